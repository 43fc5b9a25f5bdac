// Mass matrices from C++: M dy/dt = f(t, y), dense and sparse, invertible and not.
#include "solvers/mass.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/ops.h"
#include "solvers/trees.h"

namespace hesse::solvers {
namespace {

Array numbers(std::initializer_list<double> x) { return Array::from<double>(x); }
double entry(const Array& x, int64_t i) { return getitem(x, {Index(i)}).item<double>(); }

// m dy/dt = -y
Array decayed(const Array& m, const std::string& method) {
  const Array mass = m * numbers({1, 0, 0, 2});
  return solve_ivp([](const Array&, std::span<const Array> y) { return Arrays{-y[0]}; }, 0.0, 1.0,
                   {numbers({1, 1})},
                   {.method = method,
                    .t_eval = numbers({1.0}),
                    .rtol = 1e-9,
                    .atol = {1e-11},
                    .mass = reshape(mass, {2, 2})})
      .y[0];
}

TEST(MassMatrix, IsDifferentiableWithEveryMethod) {
  for (const char* method : {"Rodas5P", "Kvaerno5", "Tsit5"}) {
    SCOPED_TRACE(method);
    EXPECT_EQ(takes_mass(method), std::string_view(method) != "Tsit5");
    const auto slower = [&](Array m) {
      return getitem(decayed(m, method), {Index(int64_t{0}), Index(int64_t{1})});
    };
    EXPECT_NEAR(slower(1.0).item<double>(), std::exp(-0.5), 1e-8);
    EXPECT_NEAR(grad(slower)(1.0).item<double>(), 0.5 * std::exp(-0.5), 1e-7);
    EXPECT_NEAR(grad(grad(slower))(1.0).item<double>(), (0.25 - 1) * std::exp(-0.5), 1e-6);
  }
}

struct Circuit {
  Array charge, node;
  auto fields() { return hesse::fields("charge", charge, "node", node); }
};

// A capacitor that discharges through two resistors, and the node between them: an algebraic equation.
TEST(MassMatrix, MayBeSingularAndSparse) {
  const auto circuit = [](const Array&, const Circuit& c) {
    const Array current = c.charge - c.node;
    return Circuit{-current, current - c.node};
  };
  const sparse::CSR mass = sparse::from_dense(reshape(numbers({1, 0, 0, 0}), {2, 2}));
  const auto solved = [&](const Array& node) {
    return solve_ivp(
        circuit, 0.0, 1.0, Circuit{1.0, node},
        {.method = "Rodas5P", .t_eval = numbers({1.0}), .rtol = 1e-8, .atol = {1e-10}, .mass = mass});
  };
  const auto sol = solved(0.5);
  EXPECT_NEAR(entry(sol.y.charge, 0), std::exp(-0.5), 1e-7);
  EXPECT_NEAR(entry(sol.y.node, 0), 0.5 * std::exp(-0.5), 1e-7);
  EXPECT_THROW(solved(0.7), NumericalError);
}

TEST(MassMatrix, IsRefusedWhereItDoesNotFit) {
  const Rhs f = [](const Array&, std::span<const Array> y) { return Arrays{-y[0]}; };
  const auto solve = [&](const Array& mass, const std::string& method) {
    return solve_ivp(f, 0.0, 1.0, {numbers({1, 1})}, {.method = method, .mass = mass});
  };
  EXPECT_THROW(solve(eye(3), "Rodas5P"), ValueError);
  EXPECT_THROW(solve(zeros({2, 2}), "Tsit5"), ValueError);
  EXPECT_THROW(solve(astype(eye(2), DType::Complex128), "Rodas5P"), TypeError);
  EXPECT_NO_THROW(solve(astype(eye(2), kInt64), "Rodas5P"));
}

}  // namespace
}  // namespace hesse::solvers
