// solve_ivp from C++: exact solutions, derivatives, maps, failures.
#include "solvers/ode.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/trees.h"

namespace hesse::solvers {
namespace {

Array times(std::initializer_list<double> t) { return Array::from<double>(t); }
Rhs decay(const Array& rate) {
  return [rate](const Array&, std::span<const Array> y) { return Arrays{-rate * y[0]}; };
}
double entry(const Array& x, int64_t i) { return getitem(x, {Index(i)}).item<double>(); }

TEST(SolveIvp, FollowsAnExactSolution) {
  for (const char* method : {"Bosh3", "Dopri5", "Tsit5", "Dop853"}) {
    const Solution sol =
        solve_ivp([](const Array& t, std::span<const Array> y) { return Arrays{cos(t) * y[0]}; }, 0.0, 3.0,
                  {1.0}, {.method = method, .t_eval = times({0.0, 0.7, 3.0}), .rtol = 1e-9, .atol = {1e-11}});
    ASSERT_EQ(sol.status.item<int64_t>(), 0) << method;
    EXPECT_EQ(entry(sol.y[0], 0), 1.0);
    EXPECT_NEAR(entry(sol.y[0], 1), std::exp(std::sin(0.7)), 1e-7) << method;
    EXPECT_NEAR(entry(sol.y[0], 2), std::exp(std::sin(3.0)), 1e-7) << method;
  }
}

TEST(SolveIvp, GivesAllStepsWithoutTimes) {
  const Solution sol = solve_ivp(decay(1.0), 2.0, -1.0, {Array(3.0)}, {.rtol = 1e-6});
  const std::vector<double> t = sol.t.to_vector<double>();
  ASSERT_EQ(static_cast<int64_t>(t.size()), sol.accepted.item<int64_t>() + 1);
  EXPECT_EQ(t.front(), 2.0);
  EXPECT_EQ(t.back(), -1.0);
  for (size_t i = 1; i < t.size(); ++i) EXPECT_LT(t[i], t[i - 1]);
  EXPECT_NEAR(entry(sol.y[0], -1), 3 * std::exp(3.0), 1e-3);
}

TEST(SolveIvp, IsDifferentiableTwice) {
  const auto last = [](Array rate) {
    return getitem(
        solve_ivp(decay(rate), 0.0, 1.5, {2.0}, {.t_eval = times({1.5}), .rtol = 1e-10, .atol = {1e-12}})
            .y[0],
        {Index(int64_t{0})});
  };
  const double e = 2 * std::exp(-1.5 * 0.4);
  EXPECT_NEAR(last(0.4).item<double>(), e, 1e-9);
  EXPECT_NEAR(grad(last)(0.4).item<double>(), -1.5 * e, 1e-8);
  EXPECT_NEAR(grad(grad(last))(0.4).item<double>(), 2.25 * e, 1e-6);
}

TEST(SolveIvp, HasItsOwnStepsForEveryExample) {
  const Array rates = times({0.1, 1.0, 30.0});
  const Arrays out = vmap(
      [](std::span<const Array> x) {
        const Solution sol = solve_ivp(decay(x[0]), 0.0, 1.0, {1.0}, {.t_eval = times({1.0}), .rtol = 1e-6});
        return Arrays{sol.y[0], sol.accepted};
      },
      {rates}, {0}, {0});
  const std::vector<int64_t> accepted = out[1].to_vector<int64_t>();
  EXPECT_LT(accepted[0], accepted[2]);
  const std::vector<double> y = out[0].to_vector<double>();
  EXPECT_NEAR(y[0], std::exp(-0.1), 1e-6);
  EXPECT_NEAR(y[2], std::exp(-30.0), 1e-6);
}

struct Motion {
  Array x, v;
  auto fields() { return hesse::fields("x", x, "v", v); }
};

TEST(SolveIvp, TakesTrees) {
  const auto field = [](const Array&, const Motion& m) { return Motion{m.v, -m.x}; };
  const auto sol = solve_ivp(field, 0.0, 2.0, Motion{1.0, 0.0},
                             {.t_eval = times({1.0, 2.0}), .rtol = 1e-9, .atol = {1e-9}});
  EXPECT_EQ(sol.y.x.shape(), Shape({2}));
  EXPECT_NEAR(entry(sol.y.x, 1), std::cos(2.0), 1e-7);
  EXPECT_NEAR(entry(sol.y.v, 0), -std::sin(1.0), 1e-7);
  EXPECT_GT(sol.flat.accepted.item<int64_t>(), 5);
  const auto number = solve_ivp([](const Array&, const Array& y) { return -y; }, 0.0, 1.0, 1.0);
  EXPECT_NEAR(entry(number.y, -1), std::exp(-1.0), 1e-3);
}

TEST(SolveIvp, SaysWhereItGivesUp) {
  const Rhs square_of = [](const Array&, std::span<const Array> y) { return Arrays{square(y[0])}; };
  const IvpOptions options{.t_eval = times({0.5, 2.0})};
  try {
    solve_ivp(square_of, 0.0, 2.0, {1.0}, options);
    FAIL();
  } catch (const NumericalError& e) {
    EXPECT_NE(std::string(e.what()).find("t = 0.99"), std::string::npos) << e.what();
  }
  IvpOptions quiet = options;
  quiet.throw_on_failure = false;
  const Solution sol = solve_ivp(square_of, 0.0, 2.0, {1.0}, quiet);
  EXPECT_NE(sol.status.item<int64_t>(), 0);
  EXPECT_NEAR(entry(sol.y[0], 0), 2.0, 1e-2);
  EXPECT_TRUE(std::isnan(entry(sol.y[0], 1)));
}

TEST(SolveIvp, RefusesWhatDoesNotFit) {
  EXPECT_THROW(solve_ivp(decay(1.0), 0.0, 1.0, {}), ValueError);
  EXPECT_THROW(solve_ivp(decay(1.0), 0.0, 1.0, {Array(1)}), TypeError);
  EXPECT_THROW(solve_ivp(decay(1.0), 0.0, 1.0, {1.0}, {.method = "RK4"}), ValueError);
  EXPECT_THROW(solve_ivp(decay(1.0), 0.0, 1.0, {1.0}, {.t_eval = times({0.5, 0.4})}), ValueError);
  EXPECT_THROW(solve_ivp(decay(1.0), 0.0, 1.0, {1.0}, {.max_steps = 0}), ValueError);
  EXPECT_THROW(solve_ivp(
                   [](const Array&, std::span<const Array> y) {
                     return Arrays{y[0], y[0]};
                   },
                   0.0, 1.0, {1.0}),
               ValueError);
}

}  // namespace
}  // namespace hesse::solvers
