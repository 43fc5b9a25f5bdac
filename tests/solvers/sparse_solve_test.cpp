// Sparse direct solutions and structured Jacobians of CVODES from C++.
#include "solvers/sparse_solve.h"

#include <gtest/gtest.h>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "solvers/cvode.h"
#include "solvers/linear.h"

namespace hesse::solvers {
namespace {

sparse::CSR sample() {
  // [4 1 0]
  // [0 3 2]
  // [1 0 5]
  return sparse::csr(Array::from<double>({4, 1, 3, 2, 1, 5}), Array::from<int64_t>({0, 1, 1, 2, 0, 2}),
                     Array::from<int64_t>({0, 2, 4, 6}), 3, 3);
}

TEST(SparseSolve, IsRefusedWithTheRemedy) {
  if (has_klu()) GTEST_SKIP() << "this build has KLU";
  try {
    (void)sparse_solve(sample(), ones({3}));
    FAIL() << "solved without a solver";
  } catch (const ValueError& e) {
    EXPECT_NE(std::string(e.what()).find("HESSE_KLU=ON"), std::string::npos) << e.what();
  }
}

TEST(SparseSolve, SolvesWithTheMatrixAndItsTranspose) {
  if (!has_klu()) GTEST_SKIP() << "this build has no KLU";
  const Array b = Array::from<double>({1, 2, 3});
  for (const sparse::CSR& a : {sample(), sample().transpose()}) {
    const Array x = sparse_solve(a, b).x;
    const Array left = max(abs(sparse::matmul(a, x) - b));
    EXPECT_LT(left.item<double>(), 1e-14);
    const LinearSolution same = linear_solve(a, b);
    EXPECT_EQ(same.x[0].to_vector<double>(), x.to_vector<double>());
    EXPECT_EQ(same.status.item<int64_t>(), 0);
  }
}

TEST(SparseSolve, IsDifferentiableByTheValues) {
  if (!has_klu()) GTEST_SKIP() << "this build has no KLU";
  const sparse::CSR a = sample();
  const Array b = Array::from<double>({1, 2, 3});
  const auto by = [&](auto solution) {
    const auto g = grad([&](const Array& v) { return sum(square(solution(a.with_data(v)))); });
    return grad([&](const Array& v) { return sum(square(g(v))); })(a.data).template to_vector<double>();
  };
  const std::vector<double> sparse = by([&](const sparse::CSR& m) { return sparse_solve(m, b).x; });
  const std::vector<double> dense = by([&](const sparse::CSR& m) { return solve(sparse::todense(m), b); });
  for (size_t i = 0; i < sparse.size(); ++i) EXPECT_NEAR(sparse[i], dense[i], 1e-12);
}

TEST(SparseSolve, SingularMatricesGiveNaNAndSaySo) {
  if (!has_klu()) GTEST_SKIP() << "this build has no KLU";
  const sparse::CSR a = sample().with_data(Array::from<double>({4, 1, 0, 0, 1, 5}));
  EXPECT_THROW(sparse_solve(a, ones({3})), NumericalError);
  const SparseSolution out = sparse_solve(a, ones({3}), false);
  EXPECT_TRUE(out.singular.item<bool>());
  EXPECT_TRUE(all(isnan(out.x)).item<bool>());
  EXPECT_THROW(sparse_solve(a, ones({2})), ValueError);
}

TEST(CvodesStructure, EveryLinearSolverComesToTheSame) {
  if (!has_cvode()) GTEST_SKIP() << "this build has no SUNDIALS";
  constexpr int64_t kPoints = 64;
  const Rhs heat = [](const Array&, std::span<const Array> y) {
    const Array inside = slice(y[0], {2}, {kPoints}, {1}) - 2.0 * slice(y[0], {1}, {kPoints - 1}, {1}) +
                         slice(y[0], {0}, {kPoints - 2}, {1});
    const Array zero = zeros({1});
    return Arrays{100.0 * concatenate({zero, inside, zero})};
  };
  const Array y0 = sin(linspace(0.0, 3.0, kPoints));
  std::vector<double> want;
  for (const char* linear : {"dense", "banded", "klu", "krylov", "ilu", "auto"}) {
    if (std::string(linear) == "klu" && !has_klu()) continue;
    const Solution sol = solve_ivp(heat, 0.0, 1.0, {y0},
                                   {.method = "BDF",
                                    .t_eval = Array::from<double>({1.0}),
                                    .rtol = 1e-8,
                                    .atol = {1e-10},
                                    .linear_solver = linear});
    const std::vector<double> y = sol.y[0].to_vector<double>();
    if (want.empty()) want = y;
    for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], want[i], 1e-6) << linear;
  }
  EXPECT_EQ(live_sundials_objects(), 0);
}

}  // namespace
}  // namespace hesse::solvers
