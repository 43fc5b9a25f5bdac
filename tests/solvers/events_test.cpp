// Events of solve_ivp from C++: exact times, derivatives, rows, failures.
#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/trees.h"

namespace hesse::solvers {
namespace {

constexpr double kPi = 3.14159265358979323846;

double entry(const Array& x, int64_t i) { return getitem(x, {Index(i)}).item<double>(); }
Array number(double x) { return Array::from<double>(std::array{x}, {}); }

// x'' = -w^2 x
Rhs oscillator(const Array& w) {
  return [w](const Array&, std::span<const Array> y) { return Arrays{y[1], -w * w * y[0]}; };
}
Event zero_of(size_t k, int64_t terminal = 0, int direction = 0) {
  return {[k](const Array&, std::span<const Array> y) { return y[k]; }, terminal, direction};
}

TEST(Events, AreFoundByEveryMethod) {
  for (const char* method :
       {"Bosh3", "Dopri5", "Tsit5", "Dop853", "RK4", "Rodas4", "Rodas5P", "Kvaerno3", "Kvaerno5"}) {
    IvpOptions options{.method = method, .rtol = 1e-8, .atol = {1e-10}};
    if (options.method == "RK4") options.first_step = 1e-2;
    options.events = {zero_of(0), zero_of(1, 0, -1)};
    const Solution sol = solve_ivp(oscillator(number(1)), 0.0, 10.0, {number(1), number(0)}, options);
    ASSERT_EQ(sol.t_events[0].shape(), Shape({3})) << method;
    ASSERT_EQ(sol.t_events[1].shape(), Shape({1})) << method;  // the zero at t = 0 is none
    for (int64_t k = 0; k < 3; ++k) {
      EXPECT_NEAR(entry(sol.t_events[0], k), (k + 0.5) * kPi, 1e-6) << method;
      EXPECT_NEAR(entry(sol.y_events[0][0], k), 0.0, 1e-14) << method;
      EXPECT_NEAR(entry(sol.y_events[0][1], k), k % 2 == 0 ? -1 : 1, 1e-6) << method;
    }
    EXPECT_NEAR(entry(sol.t_events[1], 0), 2 * kPi, 1e-6) << method;
    EXPECT_EQ(sol.t_end.item<double>(), 10.0);
    EXPECT_EQ(sol.status.item<int64_t>(), 0);
    EXPECT_EQ(sol.event_counts[0].item<int64_t>(), 3);
    EXPECT_EQ(sol.terminal_event.item<int64_t>(), -1);
  }
}

TEST(Events, EndTheSolutionAtADifferentiableTime) {
  // The third zero of cos(w t): 5 pi / (2 w)
  const auto end = [](Array w) {
    return solve_ivp(oscillator(w), 0.0, 100.0, {number(1), number(0)},
                     {.rtol = 1e-11, .atol = {1e-13}, .events = {zero_of(0, 3)}})
        .t_end;
  };
  const double w = 1.3, t = 2.5 * kPi / w;
  EXPECT_NEAR(end(w).item<double>(), t, 1e-9);
  EXPECT_NEAR(grad(end)(w).item<double>(), -t / w, 1e-8);
  EXPECT_NEAR(grad(grad(end))(w).item<double>(), 2 * t / (w * w), 1e-6);
}

TEST(Events, LeaveOutTimesAfterTheEndOrMakeThemNaN) {
  IvpOptions options{.t_eval = Array::from<double>({0.5, 1.0, 2.0, 3.0}), .rtol = 1e-9, .atol = {1e-11}};
  options.events = {zero_of(0, 1), zero_of(1)};
  const Arrays y0{number(1), number(0)};
  const Solution sol = solve_ivp(oscillator(number(1)), 0.0, 5.0, y0, options);
  EXPECT_EQ(sol.t.shape(), Shape({2}));
  EXPECT_EQ(sol.y[0].shape(), Shape({2}));
  EXPECT_EQ(sol.status.item<int64_t>(), static_cast<int64_t>(IvpStatus::TerminalEvent));
  EXPECT_EQ(sol.terminal_event.item<int64_t>(), 0);
  options.max_events = 2;
  const Solution rows = solve_ivp(oscillator(number(1)), 0.0, 5.0, y0, options);
  EXPECT_EQ(rows.t.shape(), Shape({4}));
  EXPECT_NEAR(entry(rows.y[0], 1), std::cos(1.0), 1e-8);
  EXPECT_TRUE(std::isnan(entry(rows.y[0], 2)));
  EXPECT_EQ(rows.t_events[0].shape(), Shape({1}));
  EXPECT_EQ(rows.t_events[1].shape(), Shape({2}));
  EXPECT_TRUE(std::isnan(entry(rows.t_events[1], 0)));
  EXPECT_NEAR(rows.t_end.item<double>(), kPi / 2, 1e-8);
  EXPECT_NEAR(rows.y_end[1].item<double>(), -1.0, 1e-8);
}

TEST(Events, HappenOnTheirOwnInEveryExample) {
  const auto ends = [](std::span<const Array> x) {
    IvpOptions options{.t_eval = zeros({0}, kFloat64), .rtol = 1e-9, .atol = {1e-11}};
    options.events = {zero_of(0, 1)};
    const Solution sol = solve_ivp(oscillator(x[0]), 0.0, 3.0, {number(1), number(0)}, options);
    return Arrays{sol.t_end, sol.t_events[0], sol.status};
  };
  const Arrays out = vmap(ends, {Array::from<double>({0.1, 1.0, 4.0})}, {0}, {0});
  EXPECT_EQ(entry(out[0], 0), 3.0);
  EXPECT_NEAR(entry(out[0], 1), kPi / 2, 1e-7);
  EXPECT_NEAR(entry(out[0], 2), kPi / 8, 1e-7);
  EXPECT_TRUE(std::isnan(out[1].to_vector<double>()[0]));
  EXPECT_EQ(out[2].to_vector<int64_t>(), (std::vector<int64_t>{0, -1, -1}));
}

struct Motion {
  Array x, v;
  auto fields() { return hesse::fields("x", x, "v", v); }
};

TEST(Events, TakeTrees) {
  const Motion start{1.0, 0.0};
  const auto field = [](const Array&, const Motion& m) { return Motion{m.v, -m.x}; };
  const auto height = [](const Array&, const Motion& m) { return m.x; };
  const auto sol =
      solve_ivp(field, 0.0, 9.0, start, {.rtol = 1e-9, .atol = {1e-9}, .events = {event(start, height, 2)}});
  EXPECT_NEAR(sol.y_end->v.item<double>(), 1.0, 1e-6);
  EXPECT_NEAR(entry(sol.y_events[0].v, 0), -1.0, 1e-6);
  EXPECT_NEAR(sol.flat.t_end.item<double>(), 1.5 * kPi, 1e-6);
}

TEST(Events, RefuseWhatDoesNotFit) {
  const Arrays y0{number(1), number(0)};
  const auto with = [&](Event event) {
    solve_ivp(oscillator(number(1)), 0.0, 5.0, y0, {.events = {std::move(event)}});
  };
  EXPECT_THROW(with({}), ValueError);
  EXPECT_THROW(with(zero_of(0, -1)), ValueError);
  EXPECT_THROW(with(zero_of(0, 0, 2)), ValueError);
  EXPECT_THROW(with({[](const Array&, std::span<const Array> y) {
                 return stack({y[0], y[1]});
               }}),
               ValueError);
  EXPECT_THROW(with({[](const Array&, std::span<const Array> y) { return y[0] > 0.0; }}), TypeError);
  EXPECT_THROW(with({[](const Array&, std::span<const Array> y) { return log(y[0]); }}), NumericalError);
  IvpOptions few{.t_eval = zeros({0}, kFloat64), .events = {zero_of(0)}, .max_events = 1};
  EXPECT_THROW(solve_ivp(oscillator(number(1)), 0.0, 9.0, y0, few), NumericalError);
  few.t_eval = {};
  EXPECT_THROW(solve_ivp(oscillator(number(1)), 0.0, 9.0, y0, few), ValueError);
}

}  // namespace
}  // namespace hesse::solvers
