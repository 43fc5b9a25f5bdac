// Equations from C++: roots, linear equations, minima; derivatives, maps, failures.
#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/equation_trees.h"

namespace hesse::solvers {
namespace {

Array vector(std::initializer_list<double> x) { return Array::from<double>(x); }
double entry(const Array& x, int64_t i) { return getitem(x, {Index(i)}).item<double>(); }
Array matrix() { return reshape(vector({4, 1, 0.5, 1, 3, -1, 0.5, -1, 5}), {3, 3}); }
Array other() { return reshape(vector({4, 1, 0.5, 0, 3, -1, 1, 0.2, 5}), {3, 3}); }

TEST(RootSolve, FindsARootAndItsDerivatives) {
  const auto root = [](Array p) {
    return root_solve([&](const Array& x) { return x * x * x - p; }, Array(1.5)).x;
  };
  EXPECT_NEAR(root(8.0).item<double>(), 2.0, 1e-12);
  EXPECT_NEAR(grad(root)(8.0).item<double>(), 1.0 / 12, 1e-12);
  EXPECT_NEAR(grad(grad(root))(8.0).item<double>(), -2.0 / 9 * std::pow(8.0, -5.0 / 3), 1e-12);
}

TEST(RootSolve, TellsHowItWent) {
  const Fn f = [](std::span<const Array> x) { return Arrays{x[0] * x[0] - 2.0}; };
  const Root found = root_solve(f, {1.0});
  EXPECT_EQ(found.status.item<int64_t>(), 0);
  EXPECT_LT(found.steps.item<int64_t>(), 8);
  EXPECT_EQ(found.evaluations.item<int64_t>(), found.steps.item<int64_t>() + 1);
  EXPECT_LT(found.residual.item<double>(), 1e-14);
}

TEST(RootSolve, EveryExampleHasItsOwnSteps) {
  const Arrays out = vmap(
      [](std::span<const Array> p) {
        const Root r = root_solve([&](std::span<const Array> x) { return Arrays{exp(x[0]) - p[0]}; }, {0.0});
        return Arrays{r.x[0], r.steps};
      },
      {vector({1.0, 2.0, 1e6})}, {0}, {0});
  EXPECT_NEAR(entry(out[0], 2), std::log(1e6), 1e-10);
  EXPECT_NEAR(entry(out[0], 1), std::log(2.0), 1e-12);
  const std::vector<int64_t> steps = out[1].to_vector<int64_t>();
  EXPECT_LT(steps[0], steps[1]);
  EXPECT_LT(steps[1], steps[2]);
}

TEST(RootSolve, FailsAsAsked) {
  const Fn none = [](std::span<const Array> x) { return Arrays{x[0] * x[0] + 1.0}; };
  EXPECT_THROW(root_solve(none, {3.0}), NumericalError);
  const Root quiet = root_solve(none, {3.0}, {.throw_on_failure = false});
  EXPECT_EQ(quiet.status.item<int64_t>(), static_cast<int64_t>(SolveStatus::NoProgress));
  EXPECT_THROW(root_solve(none, {}), ValueError);
  EXPECT_THROW(root_solve(none, {Array(1)}), TypeError);
  EXPECT_THROW(root_solve(none, {1.0}, {.method = "bisection"}), ValueError);
  EXPECT_THROW(root_solve(none, {1.0}, {.rtol = Array(-1.0)}), ValueError);
}

struct Pair {
  Array u, v;
  auto fields() { return hesse::fields("u", u, "v", v); }
};

TEST(RootSolve, TakesTrees) {
  const auto f = [](const Pair& p) { return Pair{p.u - sum(p.v), p.v * p.v - 2.0}; };
  const auto found = root_solve(f, Pair{0.0, vector({1.0, 1.0})});
  EXPECT_NEAR(found.x.u.item<double>(), 2 * std::sqrt(2.0), 1e-12);
  EXPECT_EQ(found.flat.status.item<int64_t>(), 0);
  const Array same = implicit_function([](const Array& x) { return x * x - 2.0; }, Array(std::sqrt(2.0)));
  EXPECT_EQ(same.item<double>(), std::sqrt(2.0));
}

TEST(FixedPoint, IsAcceleratedByItsHistory) {
  const auto f = [](const Array& x) { return cos(x); };
  const auto fast = fixed_point(f, Array(1.0));
  const auto slow = fixed_point(f, Array(1.0), {.max_steps = 1000, .history = 0});
  EXPECT_NEAR(fast.x.item<double>(), 0.7390851332151607, 1e-8);
  EXPECT_NEAR(slow.x.item<double>(), 0.7390851332151607, 1e-7);
  EXPECT_LT(3 * fast.flat.steps.item<int64_t>(), slow.flat.steps.item<int64_t>());
}

TEST(SteadyState, OfALogisticEquation) {
  const auto state = [](Array harvest) {
    return steady_state([&](const Array& y) { return y * (1.0 - y) - harvest; }, Array(0.6),
                        {.method = "transient", .max_steps = 200})
        .x;
  };
  const double root = std::sqrt(1 - 4 * 0.16);
  EXPECT_NEAR(state(0.16).item<double>(), 0.5 * (1 + root), 1e-10);
  EXPECT_NEAR(grad(state)(0.16).item<double>(), -1 / root, 1e-9);
}

TEST(LinearSolve, EveryMethodSolvesAndIsLinear) {
  const Array b = vector({1.0, -2.0, 0.5});
  for (const char* method : {"lu", "cholesky", "cg", "minres", "bicgstab", "gmres"}) {
    const bool symmetric =
        std::string(method) != "lu" && std::string(method) != "bicgstab" && std::string(method) != "gmres";
    const Array a = symmetric ? matrix() : other();
    const LinearSolution sol = linear_solve(a, b, {.method = method, .rtol = Array(1e-12)});
    EXPECT_EQ(sol.status.item<int64_t>(), 0) << method;
    EXPECT_LT(max(abs(matmul(a, sol.x[0]) - b)).item<double>(), 1e-9) << method;
    // <v, a^-1 u> = <a^-T v, u>
    const auto solved = [&](std::span<const Array> u) {
      return linear_solve([&](std::span<const Array> x) { return Arrays{matmul(a, x[0])}; }, {u[0]},
                          {.method = method, .rtol = Array(1e-12)})
          .x;
    };
    const Array u = vector({0.3, 1.0, -2.0}), v = vector({2.0, 0.1, 1.0});
    const MaybeArrays t = linear_transpose(solved, {aval(u)}, {v});
    EXPECT_NEAR(dot(v, solved(Arrays{u})[0]).item<double>(), dot(*t[0], u).item<double>(), 1e-9) << method;
  }
}

TEST(LinearSolve, ManyRightHandSidesAndSparse) {
  const Array b = reshape(vector({1, 0, 0, 1, 2, 2}), {3, 2});
  const Array x = linear_solve(sparse::from_dense(other()), b).x[0];
  EXPECT_LT(max(abs(matmul(other(), x) - b)).item<double>(), 1e-6);
  EXPECT_EQ(linear_solve(other(), b).x[0].shape(), Shape({3, 2}));
}

TEST(LinearSolve, RefusesWhatIsNotLinear) {
  const Array b = vector({1.0, 2.0});
  EXPECT_THROW(linear_solve([](const Array& x) { return x * x; }, b), ValueError);
  EXPECT_THROW(linear_solve([](const Array& x) { return x + 1.0; }, b), ValueError);
  EXPECT_THROW(linear_solve(matrix(), b), ValueError);
  EXPECT_THROW(linear_solve(matrix(), vector({1, 2, 3}), {.method = "sor"}), ValueError);
  EXPECT_THROW(linear_solve(-matrix(), vector({1, 2, 3}), {.method = "cg"}), NumericalError);
}

TEST(Minimise, EveryMethodFindsTheMinimumAndItsDerivative) {
  for (const char* method : {"bfgs", "lbfgs", "newton-cg", "trust"}) {
    const auto minimum = [&](Array a) {
      const auto f = [&](const Array& x) {
        const Array first = getitem(x, {Index(int64_t{0})}), second = getitem(x, {Index(int64_t{1})});
        return square(a - first) + 100.0 * square(second - square(first));
      };
      return sum(minimise(f, vector({-1.2, 1.0}), {.method = method, .gtol = Array(1e-10)}).x);  // a + a^2
    };
    EXPECT_NEAR(minimum(1.0).item<double>(), 2.0, 1e-8) << method;
    EXPECT_NEAR(grad(minimum)(1.0).item<double>(), 3.0, 1e-6) << method;
    EXPECT_NEAR(grad(grad(minimum))(1.0).item<double>(), 2.0, 1e-4) << method;
  }
  EXPECT_THROW(minimise([](const Array& x) { return x; }, vector({1.0, 2.0})), ValueError);
  EXPECT_THROW(minimise([](const Array& x) { return -x * x; }, Array(1.0)), NumericalError);
}

TEST(LeastSquares, FitsADecay) {
  const Array t = linspace(0.0, 1.0, 20), data = 3.0 * exp(-2.0 * t);
  const auto fit = [&](Array scale) {
    return least_squares([&](const Pair& p) { return p.u * exp(-p.v * t) - scale * data; }, Pair{1.0, 1.0})
        .x.u;
  };
  EXPECT_NEAR(fit(1.0).item<double>(), 3.0, 1e-8);
  EXPECT_NEAR(grad(fit)(1.0).item<double>(), 3.0, 1e-7);
}

}  // namespace
}  // namespace hesse::solvers
