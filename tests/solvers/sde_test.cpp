// Stochastic differential equations and Brownian paths from C++; tests/python/test_sde.py has the rest.
#include "solvers/sde.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/sde_method.h"

namespace hesse::solvers {
namespace {

const Rhs kDecay = [](const Array&, std::span<const Array> y) { return Arrays{-1.0 * y[0]}; };
const Rhs kProportional = [](const Array&, std::span<const Array> y) { return Arrays{0.5 * y[0]}; };

TEST(BrownianPath, IsAFunctionOfTime) {
  const BrownianPath path(random::key(1), 0.0, 2.0, {3});
  EXPECT_EQ(path.levels(), 20);
  const Array w = path(linspace(0.0, 2.0, 9));
  EXPECT_EQ(w.shape(), (Shape{9, 3}));
  EXPECT_EQ(max(abs(getitem(w, {Index(0)}))).item<double>(), 0.0);
  EXPECT_LT(max(abs(getitem(w, {Index(3)}) - path(0.75))).item<double>(), 1e-14);
  EXPECT_TRUE(all(isnan(path(3.0))).item<bool>());
  EXPECT_THROW(BrownianPath(random::key(1), 1.0, 1.0), ValueError);
  EXPECT_THROW(BrownianPath(1.0, 0.0, 1.0), TypeError);
}

TEST(Sde, EveryMethodFollowsThePath) {
  const BrownianPath path(random::key(4), 0.0, 1.0);
  const double w = path(1.0).item<double>();
  for (const std::string& method : sde_method_names()) {
    SCOPED_TRACE(method);
    const SdeSolution sol =
        solve_sde(kDecay, kProportional, 0.0, 1.0, {1.0}, path, {.method = method, .num_steps = 4096});
    EXPECT_EQ(sol.y[0].shape(), (Shape{4097}));
    const double ito = method == "ReversibleHeun" ? 0.0 : 0.125;
    const double exact = std::exp(-1 - ito + 0.5 * w);
    EXPECT_NEAR(getitem(sol.y[0], {Index(4096)}).item<double>(), exact, 0.02 * exact);
  }
}

TEST(Sde, GradientsAndMaps) {
  const auto end = [](const Array& rate, const Array& key) {
    const Rhs drift = [&](const Array&, std::span<const Array> y) { return Arrays{-rate * y[0]}; };
    const SdeOptions options{.method = "Milstein", .num_steps = 8, .t_eval = Array::from<double>({1.0})};
    return sum(solve_sde(drift, kProportional, 0.0, 1.0, {1.0}, key, options).y[0]);
  };
  const Array key = random::key(2);
  const double slope = grad([&](const Array& r) { return end(r, key); })(0.7).item<double>();
  const double e = 1e-5;
  const double central = (end(0.7 + e, key).item<double>() - end(0.7 - e, key).item<double>()) / (2 * e);
  EXPECT_NEAR(slope, central, 1e-9);
  const Array keys = random::split(key, 3);
  const Array all =
      vmap([&](std::span<const Array> k) { return Arrays{end(0.7, k[0])}; }, {keys}, {0}, {0})[0];
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_NEAR(getitem(all, {Index(i)}).item<double>(), end(0.7, getitem(keys, {Index(i)})).item<double>(),
                1e-13);
}

TEST(Sde, Refusals) {
  const Array key = random::key(0);
  EXPECT_THROW((void)solve_sde(kDecay, kProportional, 0.0, 1.0, {1.0}, key, {.method = "Euler"}), ValueError);
  EXPECT_THROW((void)solve_sde(kDecay, kProportional, 0.0, 1.0, {1.0}, key, {.num_steps = 0}), ValueError);
  EXPECT_THROW((void)solve_sde(kDecay, kProportional, 0.0, 1.0, {}, key), ValueError);
  EXPECT_THROW((void)solve_sde(kDecay, kProportional, 0.0, 1.0, {1.0}, Array(1.0)), TypeError);
  const Rhs cube = [](const Array&, std::span<const Array> y) { return Arrays{y[0] * y[0] * y[0]}; };
  EXPECT_THROW((void)solve_sde(cube, kProportional, 0.0, 50.0, {3.0}, key), NumericalError);
}

}  // namespace
}  // namespace hesse::solvers
