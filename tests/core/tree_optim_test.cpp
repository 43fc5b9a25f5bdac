#include "core/nn/tree_optim.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/nn/layers.h"

namespace hesse {
namespace {

double value(const Array& a) { return a.item<double>(); }

struct Point {
  Array x, y;
  auto fields() { return hesse::fields("x", x, "y", y); }
};
Array rosenbrock(const Point& p) { return square(1.0 - p.x) + 100.0 * square(p.y - p.x * p.x); }

TEST(TreeOptim, AdamIsThatOfLists) {
  const auto schedule = optim::cosine_decay(0.1, 10);
  const auto adam = optim::adam(schedule, {.beta1 = 0.8, .weight_decay = 0.01});
  Point p{Array(-1.2), Array(1.0)};
  auto state = adam.init(p);
  EXPECT_EQ(leaf_names(state),
            (std::vector<std::string>{"step", "first.x", "first.y", "second.x", "second.y"}));
  optim::AdamResult flat{leaves(p), leaves(state.first), leaves(state.second)};
  for (int64_t step = 0; step < 5; ++step) {
    const Point g = grad(rosenbrock)(p);
    std::tie(p, state) = adam.update(g, state, p);
    flat = optim::adam(flat.parameters, {g.x, g.y}, flat.first, flat.second, Array(step),
                       schedule(Array(step)), {.beta1 = 0.8, .weight_decay = 0.01});
  }
  EXPECT_EQ(value(p.x), value(flat.parameters[0]));
  EXPECT_EQ(value(p.y), value(flat.parameters[1]));
  EXPECT_EQ(value(state.second.y), value(flat.second[1]));
  EXPECT_EQ(state.step.item<int64_t>(), 5);
  EXPECT_THROW((void)optim::adam(0.1, {.beta1 = 1.0}), ValueError);
}

TEST(TreeOptim, SgdWithAndWithoutMomentum) {
  const auto loss = [](const Point& p) { return square(p.x) + 2.0 * square(p.y); };
  const auto sgd = optim::sgd(0.1);
  Point p{Array(1.0), Array(1.0)};
  auto state = sgd.init(p);
  EXPECT_FALSE(state.velocity);
  std::tie(p, state) = sgd.update(grad(loss)(p), state, p);
  EXPECT_DOUBLE_EQ(value(p.x), 0.8);
  EXPECT_DOUBLE_EQ(value(p.y), 0.6);

  const auto heavy = optim::sgd(0.1, {.momentum = 0.5});
  auto moving = heavy.init(p);
  std::tie(p, moving) = heavy.update(Point{1.0, 0.0}, moving, p);
  std::tie(p, moving) = heavy.update(Point{1.0, 0.0}, moving, p);
  EXPECT_DOUBLE_EQ(value(p.x), 0.8 - 0.1 - 0.15);
  EXPECT_DOUBLE_EQ(value(moving.velocity->x), 1.5);
  EXPECT_EQ(moving.step.item<int64_t>(), 2);
}

TEST(TreeOptim, StepsAreCompiledOnce) {
  const auto adam = optim::adam(1e-2);
  int recorded = 0;
  const auto step = compile([&](const nn::MLP& net, const optim::AdamState<nn::MLP>& state, const Array& x) {
    ++recorded;
    const auto [value, gradient] =
        value_and_grad([&](const nn::MLP& net) { return mean(square(net(x))); })(net);
    const auto [next, next_state] = adam.update(gradient, state, net);
    return std::tuple(next, next_state, value);
  });
  nn::MLP net = nn::MLP::create(random::key(0), {2, 4, 1});
  const Array x = random::normal(random::key(1), {16, 2});
  auto state = adam.init(net);
  Array loss, first;
  for (int k = 0; k < 50; ++k) {
    std::tie(net, state, loss) = step(net, state, x);
    if (k == 0) first = loss;
  }
  EXPECT_EQ(recorded, 1);
  EXPECT_LT(value(loss), 0.5 * value(first));
}

TEST(TreeOptim, LbfgsMinimisesOverATree) {
  auto lbfgs =
      optim::lbfgs(value_and_grad(rosenbrock), Point{Array(-1.2), Array(1.0)}, {.gradient_tolerance = 1e-9});
  const Point best = lbfgs.minimise(100);
  EXPECT_EQ(lbfgs.status(), optim::LbfgsStatus::GradientConverged);
  EXPECT_NEAR(value(best.x), 1.0, 1e-9);
  EXPECT_NEAR(value(best.y), 1.0, 1e-9);
  EXPECT_LT(lbfgs.value(), 1e-18);
  EXPECT_LE(lbfgs.iterations(), lbfgs.evaluations());
  EXPECT_THROW((void)optim::lbfgs(value_and_grad(rosenbrock), Point{Array(1.0), Array(1.0)}, {.history = 0}),
               ValueError);
}

}  // namespace
}  // namespace hesse
