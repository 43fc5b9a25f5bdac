// The adjoint Backsolve from C++: gradients by solving backwards.
#include "solvers/backsolve.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/ops.h"

namespace hesse::solvers {
namespace {

Array numbers(std::initializer_list<double> x) { return Array::from<double>(x); }

// y at t and at 2 t of dy/dt = -rate y, y(start) = 1, as a sum with weights.
Array weighted(const Array& rate, const Array& start, const Array& t, const Backsolve& adjoint) {
  const Solution sol =
      solve_ivp([rate](const Array&, std::span<const Array> y) { return Arrays{-rate * y[0]}; }, start, 3.0,
                {1.0}, {.t_eval = stack({t, 2.0 * t}), .rtol = 1e-10, .atol = {1e-12}, .adjoint = adjoint});
  return sum(sol.y[0] * numbers({1.0, 3.0}));
}

TEST(Backsolve, GradientsByRateStartAndTime) {
  const double k = 0.7, s = 0.2, t = 1.1;
  const double first = std::exp(-k * (t - s)), second = 3 * std::exp(-k * (2 * t - s));
  const auto by_rate = [&](Array x) { return weighted(x, s, t, {}); };
  const auto by_start = [&](Array x) { return weighted(k, x, t, {}); };
  const auto by_time = [&](Array x) { return weighted(k, s, x, {}); };
  EXPECT_NEAR(by_rate(k).item<double>(), first + second, 1e-9);
  EXPECT_NEAR(grad(by_rate)(k).item<double>(), -(t - s) * first - (2 * t - s) * second, 1e-7);
  EXPECT_NEAR(grad(by_start)(s).item<double>(), k * (first + second), 1e-7);
  EXPECT_NEAR(grad(by_time)(t).item<double>(), -k * first - 2 * k * second, 1e-7);
  const double squares = std::pow(t - s, 2) * first + std::pow(2 * t - s, 2) * second;
  EXPECT_NEAR(grad(grad(by_rate))(k).item<double>(), squares, 1e-6);
}

TEST(Backsolve, HasOptionsOfItsOwn) {
  const auto f = [](Array x) {
    return weighted(x, 0.0, 1.0, {.method = "Kvaerno5", .rtol = Array(1e-8), .atol = Array(1e-10)});
  };
  EXPECT_NEAR(grad(f)(1.0).item<double>(), -std::exp(-1.0) - 6 * std::exp(-2.0), 1e-5);
  const auto wrong = [](const Backsolve& adjoint) { return weighted(1.0, 0.0, 1.0, adjoint); };
  EXPECT_THROW(wrong({.method = "BDF"}), ValueError);
  EXPECT_THROW(wrong({.method = "RK4"}), ValueError);
  EXPECT_THROW(wrong({.rtol = Array(-1.0)}), ValueError);
}

}  // namespace
}  // namespace hesse::solvers
