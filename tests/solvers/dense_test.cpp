// Solutions at any time, what is saved of them, breakpoints and interpolated data, from C++.
#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/ops.h"
#include "solvers/interpolation.h"
#include "solvers/ode.h"

namespace hesse::solvers {
namespace {

double entry(const Array& x, int64_t i) { return getitem(x, {Index(i)}).item<double>(); }
Rhs decay(const Array& rate) {
  return [rate](const Array&, std::span<const Array> y) { return Arrays{-rate * y[0]}; };
}

TEST(DenseOutput, IsTheSolutionAtAnyTime) {
  for (const char* method : {"Tsit5", "Dop853", "Rodas5P"}) {
    const auto at = [&](const Array& rate, const Array& t) {
      return (*solve_ivp(decay(rate), 0.0, 2.0, {1.0},
                         {.method = method, .rtol = 1e-9, .atol = {1e-11}, .dense_output = true})
                   .dense)(t)[0];
    };
    const Array y = at(0.7, Array::from<double>({0.0, 0.3, 2.0}));
    for (int64_t i = 0; i < 3; ++i)
      EXPECT_NEAR(entry(y, i), std::exp(-0.7 * std::array{0.0, 0.3, 2.0}[static_cast<size_t>(i)]), 1e-8)
          << method;
    EXPECT_NEAR(grad<0>(at)(0.7, 0.3).item<double>(), -0.3 * std::exp(-0.21), 1e-7) << method;
    EXPECT_NEAR(grad<1>(at)(0.7, 0.3).item<double>(), -0.7 * std::exp(-0.21), 1e-6) << method;
    EXPECT_THROW(at(0.7, 2.5), ValueError);
  }
}

TEST(SolveIvp, SavesWhatIsWanted) {
  IvpOptions options{.t_eval = Array::from<double>({1.0, 2.0}), .rtol = 1e-9, .atol = {1e-11}};
  options.save = [](const Array& t, std::span<const Array> y) { return Arrays{2.0 * y[0], t}; };
  const Solution sol = solve_ivp(decay(1.0), 0.0, 2.0, {1.0}, options);
  ASSERT_EQ(sol.y.size(), 2U);
  EXPECT_NEAR(entry(sol.y[0], 1), 2 * std::exp(-2.0), 1e-8);
  EXPECT_EQ(entry(sol.y[1], 0), 1.0);
}

TEST(SolveIvp, BeginsAfreshAtBreakpoints) {
  const Rhs jumps = [](const Array& t, std::span<const Array>) { return Arrays{where(t < 1.0, 0.0, 3.0)}; };
  IvpOptions options{.rtol = 1e-9, .atol = {1e-11}, .breakpoints = Array::from<double>({1.0})};
  const Solution sol = solve_ivp(jumps, 0.0, 2.0, {0.0}, options);
  EXPECT_EQ(sol.rejected.item<int64_t>(), 0);
  EXPECT_NEAR(entry(sol.y[0], -1), 3.0, 1e-12);
}

TEST(Interpolation, FollowsData) {
  const Array t = Array::from<double>({0.0, 1.0, 3.0}), v = Array::from<double>({0.0, 1.0, 9.0});
  EXPECT_NEAR(Interpolation(t, v)(2.0).item<double>(), 4.0, 1e-14);
  EXPECT_NEAR(Interpolation(t, v, "linear")(2.0).item<double>(), 5.0, 1e-14);
  EXPECT_EQ(Interpolation(t, v)(7.0).item<double>(), 9.0);
  EXPECT_NEAR(Interpolation(t, v, "not-a-knot")(2.0).item<double>(), 4.0,
              1e-14);  // of three points the parabola
  EXPECT_NEAR(Interpolation(t, v, "natural")(2.0).item<double>(), 4.25, 1e-14);
  EXPECT_THROW(Interpolation(v, t, "quintic"), ValueError);
  EXPECT_THROW(Interpolation(Array::from<double>({1.0, 1.0, 3.0}), v), ValueError);
  EXPECT_THROW(Interpolation(t, Array::from<int64_t>({1, 2, 3})), TypeError);
}

}  // namespace
}  // namespace hesse::solvers
