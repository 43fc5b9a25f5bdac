// method = "auto" from C++; tests/python/test_auto.py has the rest.
#include "solvers/switching.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/ops.h"
#include "solvers/cvode.h"

namespace hesse::solvers {
namespace {

Rhs relaxation(double rate) {
  return [rate](const Array& t, std::span<const Array> y) { return Arrays{-rate * (y[0] - cos(t))}; };
}
IvpOptions automatic() { return {.method = "auto", .t_eval = ones({1}), .rtol = 1e-6, .atol = {1e-8}}; }

TEST(Switching, SaysWhatItChose) {
  const Solution easy = solve_ivp(relaxation(1), 0.0, 1.0, {0.0}, automatic());
  EXPECT_EQ(easy.chosen, "auto");
  EXPECT_EQ(easy.implicit_steps->item<int64_t>(), 0);
  const Solution stiff = solve_ivp(relaxation(1e5), 0.0, 1.0, {0.0}, automatic());
  EXPECT_GT(stiff.implicit_steps->item<int64_t>(), 5);
  EXPECT_LT(stiff.implicit_steps->item<int64_t>(), stiff.accepted.item<int64_t>());
  EXPECT_NEAR(stiff.y[0].item<double>(), std::cos(1.0) + 1e-5 * std::sin(1.0), 1e-6);
}

TEST(Switching, LargeStatesAreJudgedAtTheStart) {
  const Arrays y0{zeros({300})};
  EXPECT_EQ(chosen_method(relaxation(1), 0.0, 1.0, y0, has_cvode()), "Tsit5");
  EXPECT_EQ(chosen_method(relaxation(1e5), 0.0, 1.0, y0, has_cvode()), has_cvode() ? "BDF" : "Rodas5P");
  EXPECT_EQ(chosen_method(relaxation(1e5), 0.0, 1.0, y0, false), "Rodas5P");
  EXPECT_EQ(chosen_method(relaxation(1e5), 0.0, 1.0, {zeros({256})}, true), "auto");
  EXPECT_EQ(chosen_method(relaxation(1e5), 0.0, 1.0, {zeros({3}, kComplex128)}, true), "Tsit5");
}

}  // namespace
}  // namespace hesse::solvers
