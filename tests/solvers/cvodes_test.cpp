// solve_ivp with CVODES from C++: exact solutions, derivatives of any order, maps, failures, leaks.
#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/cvode.h"
#include "solvers/trees.h"

namespace hesse::solvers {
namespace {

Array times(std::initializer_list<double> t) { return Array::from<double>(t); }
double entry(const Array& x, int64_t i) { return getitem(x, {Index(i)}).item<double>(); }

/// Every test: nothing of SUNDIALS is left.
class Cvodes : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_cvode()) GTEST_SKIP() << "this build has no SUNDIALS";
  }
  void TearDown() override { EXPECT_EQ(live_sundials_objects(), 0); }
};

IvpOptions tight(const std::string& method, const Array& t) {
  return {.method = method, .t_eval = t, .rtol = 1e-10, .atol = {1e-10}};
}
Rhs decay(const Array& rate) {
  return [rate](const Array&, std::span<const Array> y) { return Arrays{-rate * y[0]}; };
}

TEST(CvodesOff, IsRefusedWithTheRemedy) {
  EXPECT_TRUE(is_cvode_method("BDF"));
  EXPECT_TRUE(is_cvode_method("Adams"));
  EXPECT_FALSE(is_cvode_method("Tsit5"));
  if (has_cvode()) GTEST_SKIP() << "this build has SUNDIALS";
  try {
    (void)solve_ivp(decay(1.0), 0.0, 1.0, {1.0}, {.method = "BDF"});
    FAIL() << "solved without a solver";
  } catch (const ValueError& e) {
    EXPECT_NE(std::string(e.what()).find("HESSE_SUNDIALS=ON"), std::string::npos) << e.what();
  }
}

TEST_F(Cvodes, FollowsAnExactSolution) {
  for (const char* method : {"BDF", "Adams"}) {
    const Solution sol =
        solve_ivp([](const Array& t, std::span<const Array> y) { return Arrays{cos(t) * y[0]}; }, 0.0, 3.0,
                  {1.0}, tight(method, times({0.0, 0.7, 3.0})));
    ASSERT_EQ(sol.status.item<int64_t>(), 0) << method;
    EXPECT_EQ(entry(sol.y[0], 0), 1.0);
    EXPECT_NEAR(entry(sol.y[0], 1), std::exp(std::sin(0.7)), 1e-8) << method;
    EXPECT_NEAR(entry(sol.y[0], 2), std::exp(std::sin(3.0)), 1e-8) << method;
  }
}

TEST_F(Cvodes, SolvesAStiffProblemInFewSteps) {
  // The fast component is at -1e6 of its equilibrium from the start.
  const Rhs f = [](const Array& t, std::span<const Array> y) { return Arrays{-1e6 * (y[0] - cos(t))}; };
  for (const char* linear : {"dense", "krylov"}) {
    const Solution sol = solve_ivp(
        f, 0.0, 2.0, {0.0},
        {.method = "BDF", .t_eval = times({2.0}), .rtol = 1e-6, .atol = {1e-8}, .linear_solver = linear});
    EXPECT_NEAR(entry(sol.y[0], 0), std::cos(2.0), 1e-5) << linear;
    EXPECT_LT(sol.accepted.item<int64_t>(), 400) << linear;
  }
}

TEST_F(Cvodes, SolvesByRungeKuttaMethods) {
  // y = exp(-k t), in halves: one is stiff for the methods that take two.
  const auto last = [](const Array& k, const std::string& method) {
    const IvpOptions options = tight(method, times({2.0}));
    if (method != "ARKODE_IMEX") return solve_ivp(decay(k), 0.0, 2.0, {1.0}, options).y[0];
    return solve_ivp(SplitRhs{decay(0.25 * k), decay(0.75 * k)}, 0.0, 2.0, {1.0}, options).y[0];
  };
  for (const char* method : {"ARKODE_ERK", "ARKODE_DIRK", "ARKODE_IMEX"}) {
    EXPECT_NEAR(last(0.5, method).item<double>(), std::exp(-1.0), 1e-8) << method;
    const auto f = [&](const Array& k) { return reshape(last(k, method), {}); };
    EXPECT_NEAR(grad(f)(0.5).item<double>(), -2 * std::exp(-1.0), 1e-7) << method;
    EXPECT_NEAR(grad(grad(f))(0.5).item<double>(), 4 * std::exp(-1.0), 1e-6) << method;
  }
  EXPECT_THROW(solve_ivp(decay(0.5), 0.0, 2.0, {1.0}, tight("ARKODE_IMEX", times({2.0}))), ValueError);
}

TEST_F(Cvodes, FindsEventsWithTheirDerivatives) {
  // y = exp(-k t) falls to c at log(1 / c) / k.
  const auto end = [](std::span<const Array> x) {
    const Event falls{[c = x[1]](const Array&, std::span<const Array> y) { return y[0] - c; }, 1, -1};
    const Event half{[](const Array&, std::span<const Array> y) { return y[0] - 0.5; }};
    const Solution sol =
        solve_ivp(decay(x[0]), 0.0, 60.0, {1.0},
                  {.method = "BDF", .rtol = 1e-10, .atol = {1e-12}, .events = {falls, half}});
    EXPECT_EQ(sol.status.item<int64_t>(), static_cast<int64_t>(IvpStatus::TerminalEvent));
    EXPECT_EQ(sol.terminal_event.item<int64_t>(), 0);
    EXPECT_NEAR(entry(sol.t_events[1], 0), std::log(2.0) / x[0].item<double>(), 1e-7);
    EXPECT_NEAR(sol.y_end[0].item<double>(), x[1].item<double>(), 1e-12);
    return Arrays{sol.t_end};
  };
  const Array k(0.5), c(0.2);
  EXPECT_NEAR(end(Arrays{k, c})[0].item<double>(), std::log(5.0) / 0.5, 1e-7);
  const Arrays g = value_and_grad([&](std::span<const Array> x) { return end(x); }, {k, c}, {0, 1}).second;
  EXPECT_NEAR(g[0].item<double>(), -std::log(5.0) / 0.25, 1e-6);
  EXPECT_NEAR(g[1].item<double>(), -10.0, 1e-6);
}

TEST_F(Cvodes, GivesAllStepsWithoutTimes) {
  const Solution sol =
      solve_ivp(decay(1.0), 2.0, -1.0, {Array(3.0)}, {.method = "BDF", .rtol = 1e-8, .atol = {1e-9}});
  const std::vector<double> t = sol.t.to_vector<double>();
  ASSERT_EQ(static_cast<int64_t>(t.size()), sol.accepted.item<int64_t>() + 1);
  EXPECT_EQ(t.front(), 2.0);
  EXPECT_EQ(t.back(), -1.0);
  for (size_t i = 1; i < t.size(); ++i) EXPECT_LT(t[i], t[i - 1]);
  EXPECT_NEAR(entry(sol.y[0], -1), 3 * std::exp(3.0), 1e-4);
}

TEST_F(Cvodes, IsDifferentiableThrice) {
  for (const char* method : {"BDF", "Adams"}) {
    const auto last = [&](Array rate) {
      return getitem(solve_ivp(decay(rate), 0.0, 1.5, {2.0}, tight(method, times({1.5}))).y[0],
                     {Index(int64_t{0})});
    };
    const double e = 2 * std::exp(-1.5 * 0.4);
    EXPECT_NEAR(last(0.4).item<double>(), e, 1e-8);
    EXPECT_NEAR(grad(last)(0.4).item<double>(), -1.5 * e, 1e-7);
    EXPECT_NEAR(grad(grad(last))(0.4).item<double>(), 2.25 * e, 1e-6);
    EXPECT_NEAR(grad(grad(grad(last)))(0.4).item<double>(), -3.375 * e, 1e-5);
  }
}

TEST_F(Cvodes, TangentsAndCotangentsAgree) {
  // Of (y0, rate, t0, t_eval), with y0 a vector and two times.
  const Fn f = [](std::span<const Array> x) {
    const Rhs field = [&x](const Array& t, std::span<const Array> y) {
      return Arrays{sin(y[0]) * x[1] - t * y[0]};
    };
    return solve_ivp(field, x[2], 3.0, {x[0]}, tight("BDF", x[3])).y;
  };
  const Arrays x{times({0.5, 1.0}), Array::from<double>(std::array{1.3}, {}),
                 Array::from<double>(std::array{0.1}, {}), times({0.9, 2.0})};
  const MaybeArrays u{times({0.3, -0.2}), Array::from<double>(std::array{0.7}, {}),
                      Array::from<double>(std::array{-0.4}, {}), times({0.2, 0.6})};
  const Array v = reshape(times({1.0, -2.0, 0.5, 0.3}), {2, 2});
  const double forward = sum(v * *jvp(f, x, u).second[0]).item<double>();
  const MaybeArrays g = vjp(f, x).second({v});
  double backward = 0;
  for (size_t i = 0; i < x.size(); ++i) backward += sum(*g[i] * *u[i]).item<double>();
  EXPECT_NEAR(forward, backward, 2e-8);
}

TEST_F(Cvodes, HasItsOwnStepsForEveryExample) {
  const Array rates = times({0.1, 1.0, 3000.0});
  const Arrays out = vmap(
      [](std::span<const Array> x) {
        const Solution sol = solve_ivp(decay(x[0]), 0.0, 1.0, {1.0}, tight("BDF", times({1.0})));
        return Arrays{sol.y[0], sol.accepted};
      },
      {rates}, {0}, {0});
  const std::vector<int64_t> accepted = out[1].to_vector<int64_t>();
  EXPECT_LT(accepted[0], accepted[2]);
  const std::vector<double> y = out[0].to_vector<double>();
  EXPECT_NEAR(y[0], std::exp(-0.1), 1e-7);
  EXPECT_NEAR(y[1], std::exp(-1.0), 1e-7);
  EXPECT_NEAR(y[2], 0.0, 1e-7);
}

struct Motion {
  Array x, v;
  auto fields() { return hesse::fields("x", x, "v", v); }
};

TEST_F(Cvodes, TakesTrees) {
  const auto field = [](const Array&, const Motion& m) { return Motion{m.v, -m.x}; };
  const auto sol = solve_ivp(field, 0.0, 2.0, Motion{1.0, 0.0}, tight("Adams", times({1.0, 2.0})));
  EXPECT_NEAR(entry(sol.y.x, 1), std::cos(2.0), 1e-7);
  EXPECT_NEAR(entry(sol.y.v, 1), -std::sin(2.0), 1e-7);
}

struct Boom : std::exception {};

TEST_F(Cvodes, WhatTheFieldThrowsReachesTheCaller) {
  const Rhs f = [](const Array& t, std::span<const Array> y) {
    return callback(
        [](std::span<const Array> x) -> Arrays {
          if (x[0].item<double>() > 0.5) throw Boom();
          return {x[1]};
        },
        {aval(y[0])}, {t, y[0]});
  };
  for (const char* method : {"BDF", "Adams"}) {
    EXPECT_THROW((void)solve_ivp(f, 0.0, 1.0, {Array::from<double>(std::array{1.0}, {})}, {.method = method}),
                 Boom);
    EXPECT_EQ(live_sundials_objects(), 0) << method;
  }
}

TEST_F(Cvodes, GivesUpWithAStatus) {
  const Rhs f = [](const Array&, std::span<const Array> y) { return Arrays{y[0] * y[0]}; };
  IvpOptions options = tight("BDF", times({0.5, 2.0}));
  EXPECT_THROW((void)solve_ivp(f, 0.0, 2.0, {1.0}, options), NumericalError);
  options.throw_on_failure = false;
  const Solution sol = solve_ivp(f, 0.0, 2.0, {1.0}, options);
  EXPECT_EQ(sol.status.item<int64_t>(), static_cast<int64_t>(IvpStatus::StepTooSmall));
  EXPECT_NEAR(entry(sol.y[0], 0), 2.0, 1e-6);
  EXPECT_TRUE(std::isnan(entry(sol.y[0], 1)));
  options.max_steps = 3;
  EXPECT_EQ(solve_ivp(f, 0.0, 2.0, {1.0}, options).status.item<int64_t>(),
            static_cast<int64_t>(IvpStatus::TooManySteps));
}

TEST_F(Cvodes, DenseOutputIsTheSolutionAtAnyTime) {
  for (const char* method : {"BDF", "Adams", "ARKODE_ERK", "ARKODE_DIRK"}) {
    const auto at = [&](const Array& rate, const Array& t) {
      return (*solve_ivp(decay(rate), 0.0, 2.0, {1.0},
                         {.method = method, .rtol = 1e-10, .atol = {1e-12}, .dense_output = true})
                   .dense)(t)[0];
    };
    const Array y = at(0.7, times({1.7, 0.0, 0.3, 2.0}));
    for (int64_t i = 0; i < 4; ++i)
      EXPECT_NEAR(entry(y, i), std::exp(-0.7 * std::array{1.7, 0.0, 0.3, 2.0}[static_cast<size_t>(i)]), 1e-8)
          << method;
    EXPECT_NEAR(grad<0>(at)(0.7, 0.3).item<double>(), -0.3 * std::exp(-0.21), 1e-7) << method;
    EXPECT_NEAR(grad<1>(at)(0.7, 0.3).item<double>(), -0.7 * std::exp(-0.21), 1e-7) << method;
    EXPECT_THROW(at(0.7, 2.5), ValueError);
  }
}

TEST_F(Cvodes, SavesWhatIsWantedAndBeginsAfreshAtBreakpoints) {
  const auto last = [](const Array& jump) {
    const Rhs jumps = [&](const Array& t, std::span<const Array>) {
      return Arrays{where(t < 1.0, Array(0.0), jump)};
    };
    IvpOptions options = tight("BDF", times({1.0, 2.0}));
    options.breakpoints = times({1.0, 5.0});
    options.save = [](const Array& t, std::span<const Array> y) { return Arrays{2.0 * y[0], t}; };
    const Solution sol = solve_ivp(jumps, 0.0, 2.0, {0.0}, options);
    EXPECT_EQ(entry(sol.y[1], 0), 1.0);
    EXPECT_EQ(entry(sol.y[0], 0), 0.0);
    return getitem(sol.y[0], {Index(1)});
  };
  EXPECT_NEAR(last(3.0).item<double>(), 6.0, 1e-9);
  EXPECT_NEAR(grad<0>(last)(3.0).item<double>(), 2.0, 1e-8);
}

}  // namespace
}  // namespace hesse::solvers
