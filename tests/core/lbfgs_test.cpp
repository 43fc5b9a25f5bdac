#include "core/nn/lbfgs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"

namespace hesse::optim {
namespace {

// Rosenbrock's function of every pair of parameters.
double rosenbrock(std::span<const double> x, std::span<double> g) {
  double f = 0;
  for (size_t i = 0; i < x.size(); i += 2) {
    const double a = 1 - x[i], b = x[i + 1] - x[i] * x[i];
    f += a * a + 100 * b * b;
    g[i] = -2 * a - 400 * x[i] * b;
    g[i + 1] = 200 * b;
  }
  return f;
}

LbfgsStatus run(Lbfgs& opt, const Lbfgs::ValueAndGradient& f, int64_t limit) {
  LbfgsStatus status = LbfgsStatus::Running;
  while (status == LbfgsStatus::Running && opt.state().iterations < limit) status = opt.step(f);
  return status;
}

TEST(Lbfgs, RosenbrockInTwoAndTwentyDimensions) {
  for (const size_t n : {size_t{2}, size_t{20}}) {
    std::vector<double> start(n, 1.0);
    for (size_t i = 0; i < n; i += 2) start[i] = -1.2 + 0.05 * static_cast<double>(i);
    Lbfgs opt(start, {.history = 10, .gradient_tolerance = 1e-10});
    EXPECT_EQ(run(opt, rosenbrock, 500), LbfgsStatus::GradientConverged);
    for (const double v : opt.x()) EXPECT_NEAR(v, 1.0, 1e-9);
    EXPECT_LT(opt.state().evaluations, n == 2 ? 60 : 500);
  }
}

// For a quadratic with exact arithmetic n + 1 pairs are enough; every accepted point satisfies both Wolfe
// conditions.
TEST(Lbfgs, AcceptedPointsSatisfyTheStrongWolfeConditions) {
  const auto f = [](std::span<const double> x, std::span<double> g) {
    double value = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      value += std::pow(x[i], 4) + 0.5 * static_cast<double>(i + 1) * x[i] * x[i] + std::sin(3 * x[i]);
      g[i] = 4 * std::pow(x[i], 3) + static_cast<double>(i + 1) * x[i] + 3 * std::cos(3 * x[i]);
    }
    return value;
  };
  const LbfgsOptions options{.history = 5, .c1 = 1e-4, .c2 = 0.5, .gradient_tolerance = 1e-8};
  Lbfgs opt({3.0, -2.0, 1.5, 0.3}, options);
  (void)opt.step(f);
  for (int k = 0; k < 12; ++k) {
    const LbfgsState before = opt.state();
    if (opt.step(f) != LbfgsStatus::Running) break;
    const LbfgsState& after = opt.state();
    double slope0 = 0, slope1 = 0;  // along s = t d; the factor t is on both sides
    for (size_t i = 0; i < after.x.size(); ++i) {
      slope0 += before.gradient[i] * (after.x[i] - before.x[i]);
      slope1 += after.gradient[i] * (after.x[i] - before.x[i]);
    }
    EXPECT_LE(after.value, before.value + options.c1 * slope0);
    EXPECT_LE(std::abs(slope1), options.c2 * std::abs(slope0) + 1e-15);
  }
}

TEST(Lbfgs, ASavedStateContinuesBitForBit) {
  const std::vector<double> start{-1.2, 1.0, 0.5, -0.7};
  Lbfgs whole(start, {.history = 3}), first(start, {.history = 3});
  for (int k = 0; k < 20; ++k) (void)whole.step(rosenbrock);
  for (int k = 0; k < 9; ++k) (void)first.step(rosenbrock);
  Lbfgs second(first.state(), {.history = 3});
  for (int k = 0; k < 11; ++k) (void)second.step(rosenbrock);
  EXPECT_EQ(whole.x(), second.x());
  EXPECT_EQ(whole.state().evaluations, second.state().evaluations);
}

// A wall of NaN beyond x = 2: steps that jump over it are shortened.
TEST(Lbfgs, NanOnTheLineShortensTheStep) {
  const auto f = [](std::span<const double> x, std::span<double> g) {
    if (x[0] > 2.0) return std::numeric_limits<double>::quiet_NaN();
    g[0] = 2.0 * (x[0] - 1.9);
    return (x[0] - 1.9) * (x[0] - 1.9);
  };
  Lbfgs opt({-40.0}, {.gradient_tolerance = 1e-8});
  EXPECT_EQ(run(opt, f, 100), LbfgsStatus::GradientConverged);
  EXPECT_NEAR(opt.x()[0], 1.9, 1e-7);
}

TEST(Lbfgs, NanEverywhereRaisesAndKeepsTheLastGoodPoint) {
  bool poisoned = false;
  const auto f = [&](std::span<const double> x, std::span<double> g) {
    const double value = rosenbrock(x, g);
    return poisoned ? std::numeric_limits<double>::quiet_NaN() : value;
  };
  Lbfgs opt({-1.2, 1.0});
  (void)opt.step(f);
  const std::vector<double> before = opt.x();
  poisoned = true;
  try {
    (void)opt.step(f);
    FAIL() << "NaN was accepted";
  } catch (const NumericalError& e) {
    EXPECT_NE(
        std::string(e.what()).find("NaN or infinite at every one of the 25 points tried in iteration 1"),
        std::string::npos)
        << e.what();
  }
  EXPECT_EQ(opt.x(), before);
  opt.function_changed();
  EXPECT_THROW((void)opt.step(f), NumericalError);
  poisoned = false;
  EXPECT_EQ(opt.step(f), LbfgsStatus::Running);
}

TEST(Lbfgs, AWrongGradientStopsTheSearch) {
  const auto f = [](std::span<const double> x, std::span<double> g) {
    g[0] = -2.0 * x[0];  // uphill
    return x[0] * x[0];
  };
  Lbfgs opt({1.0});
  EXPECT_EQ(opt.step(f), LbfgsStatus::LineSearchFailed);
  EXPECT_EQ(opt.x()[0], 1.0);
}

TEST(Lbfgs, BadOptionsAndStates) {
  EXPECT_THROW(Lbfgs({1.0}, {.history = 0}), ValueError);
  EXPECT_THROW(Lbfgs({1.0}, {.c1 = 0.9, .c2 = 0.1}), ValueError);
  EXPECT_THROW(Lbfgs({1.0}, {.max_evaluations = 1}), ValueError);
  EXPECT_THROW(Lbfgs({1.0}, {.value_tolerance = -1.0}), ValueError);
  EXPECT_THROW(Lbfgs(std::vector<double>{NAN}), ValueError);
  LbfgsState state;
  state.x = {1.0, 2.0};
  state.gradient = {1.0};
  EXPECT_THROW(Lbfgs{state}, ValueError);
  state.gradient = {};
  state.steps = {{1.0, 2.0}};
  EXPECT_THROW(Lbfgs{state}, ValueError);
  state.changes = {{1.0}};
  EXPECT_THROW(Lbfgs{state}, ValueError);
}

}  // namespace
}  // namespace hesse::optim
