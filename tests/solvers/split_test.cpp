// Methods for right-hand sides in two parts: their tables against the theory of coloured trees, and the C++
// interface.
#include "solvers/split.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "solvers/imex.h"
#include "solvers/split_trees.h"
#include "solvers/symplectic.h"
#include "tests/support/coloured_trees.h"

namespace hesse::solvers {
namespace {

using Row = std::vector<Real>;
constexpr Real kConditions = 2e-14L;

Row as_reals(const std::vector<double>& x) { return {x.begin(), x.end()}; }

TEST(ColouredTrees, AreCountedAsKnown) {
  // A000151.
  std::vector<int> count(6, 0);
  for (const Tree& tree : rooted_trees(5, 2)) ++count[static_cast<size_t>(tree.order)];
  EXPECT_EQ(count, (std::vector<int>{0, 2, 4, 14, 52, 214}));
}

TEST(Imex, OrdersOfBothPartsTogether) {
  for (const EsdirkTableau& m : additive_tableaus()) {
    SCOPED_TRACE(m.name);
    std::array<std::vector<Row>, 2> a;
    for (size_t i = 0; i < m.a.size(); ++i) {
      ASSERT_EQ(m.a[i].size(), i);
      ASSERT_EQ(m.explicit_a[i].size(), i);
      a[0].push_back(as_reals(m.explicit_a[i]));
      a[1].push_back(as_reals(m.a[i]));
      a[1].back().push_back(i == 0 ? 0 : static_cast<Real>(m.gamma));
    }
    const Row b = as_reals(m.weights()), embedded = as_reals(m.embedded);
    for (int p = 1; p <= m.order; ++p) EXPECT_LE(coloured_residual(a, {b, b}, p), kConditions) << p;
    EXPECT_GT(coloured_residual(a, {b, b}, m.order + 1), 1e-4L);
    for (int p = 1; p <= m.error_order; ++p)
      EXPECT_LE(coloured_residual(a, {embedded, embedded}, p), kConditions) << p;
    EXPECT_GT(coloured_residual(a, {embedded, embedded}, m.error_order + 1), 1e-4L);
    // Nodes are the same.
    for (size_t i = 0; i < m.a.size(); ++i) {
      Real sum = 0;
      for (const Real x : a[0][i]) sum += x;
      EXPECT_NEAR(static_cast<double>(sum), m.nodes()[i], 1e-14) << i;
    }
  }
}

// As partitioned Runge-Kutta methods with stages 0 ... s, where F is evaluated, and s + 1 ... 2 s, where v
// is. Along a tree the two alternate: a node of one colour has children of the other.
TEST(Symplectic, Orders) {
  for (const Composition& m : compositions()) {
    SCOPED_TRACE(m.name);
    const size_t s = m.weights.size(), stages = 2 * s + 1;
    enum Colour { Force, Velocity };
    // What has been added of F and of v until a stage, and in the end.
    std::array<Row, 2> sums{Row(stages, 0), Row(stages, 0)};
    std::array<std::vector<Row>, 2> a{std::vector<Row>(stages, Row(stages, 0)),
                                      std::vector<Row>(stages, Row(stages, 0))};
    for (size_t i = 0; i <= s; ++i) {
      a[Velocity][i] = sums[Velocity];  // q at stage i
      if (i > 0) sums[Force][i] += static_cast<Real>(m.weights[i - 1]) / 2;
      if (i == s) break;
      const auto w = static_cast<Real>(m.weights[i]);
      sums[Force][i] += w / 2;
      a[Force][s + 1 + i] = sums[Force];  // p at stage s + 1 + i
      sums[Velocity][s + 1 + i] = w;
    }
    std::array<std::vector<Row>, 2> phi;
    std::vector<Real> worst(10, 0);
    for (const Tree& tree : trees()) {
      for (const size_t root : {0, 1}) {
        Row p(stages, 1);
        for (size_t i = 0; i < stages; ++i)
          for (const size_t child : tree.children) {
            Real value = 0;
            for (size_t j = 0; j < stages; ++j) value += a[1 - root][i][j] * phi[1 - root][child][j];
            p[i] *= value;
          }
        phi[root].push_back(p);
        Real total = -1 / tree.gamma;
        for (size_t i = 0; i < stages; ++i) total += sums[root][i] * p[i];
        Real& largest = worst[static_cast<size_t>(tree.order)];
        largest = std::max(largest, std::abs(total));
      }
    }
    for (int p = 1; p <= m.order; ++p) EXPECT_LE(worst[static_cast<size_t>(p)], kConditions) << p;
    EXPECT_GT(worst[static_cast<size_t>(m.order) + 1], 1e-6L);
    for (size_t i = 0; i < s; ++i) EXPECT_EQ(m.weights[i], m.weights[s - 1 - i]);
  }
}

TEST(Split, WhatMethodsTake) {
  EXPECT_EQ(split_of("Tsit5"), Split::None);
  EXPECT_EQ(split_of("ARK4"), Split::Sum);
  EXPECT_EQ(split_of("Leapfrog"), Split::Halves);
}

TEST(Split, ImexFromCpp) {
  const Array k = 100.0;
  const auto end = [&](const Array& rate) {
    const SplitRhs f{
        [](const Array& t, std::span<const Array> y) { return Arrays{cos(t) + 0.0 * y[0]}; },
        [&](const Array& t, std::span<const Array> y) { return Arrays{-rate * (y[0] - sin(t))}; }};
    return solve_ivp(f, 0.0, 1.0, {1.0},
                     {.method = "ARK4", .t_eval = Array::from<double>({1.0}), .rtol = 1e-8, .atol = {1e-10}})
        .y[0];
  };
  // y' = cos t - k (y - sin t): y = sin t + exp(-k t)
  EXPECT_NEAR(sum(end(k)).item<double>(), std::sin(1.0) + std::exp(-100.0), 1e-7);
  const Array slope = grad([&](const Array& rate) { return sum(end(rate)); })(Array(2.0));
  EXPECT_NEAR(slope.item<double>(), -std::exp(-2.0), 1e-6);
}

TEST(Split, SymplecticFromCpp) {
  const SplitRhs oscillator{[](const Array&, std::span<const Array> p) { return Arrays{p[0]}; },
                            [](const Array&, std::span<const Array> q) { return Arrays{-q[0]}; }};
  IvpOptions options{.method = "SuzukiUmeno8", .t_eval = ones({1}), .first_step = Array(0.125)};
  const Solution sol = solve_ivp(oscillator, 0.0, 1.0, {1.0, 0.0}, options);
  EXPECT_NEAR(sol.y[0].item<double>(), std::cos(1.0), 1e-12);
  EXPECT_NEAR(sol.y[1].item<double>(), -std::sin(1.0), 1e-12);
  EXPECT_THROW((void)solve_ivp(oscillator, 0.0, 1.0, {1.0}, options), ValueError);
  EXPECT_THROW((void)solve_ivp(oscillator.first, 0.0, 1.0, {1.0, 0.0}, options), ValueError);
  options.method = "RK4";
  EXPECT_THROW((void)solve_ivp(oscillator, 0.0, 1.0, {1.0, 0.0}, options), ValueError);
}

struct Body {
  Array x, y;
  auto fields() { return hesse::fields("x", x, "y", y); }
};

TEST(Split, StatesAsTrees) {
  const IvpOptions fixed{.method = "Yoshida6", .t_eval = ones({1}), .first_step = Array(0.125)};
  const auto circle = solve_ivp([](const Array&, const Body& p) { return p; },
                                [](const Array&, const Body& q) {
                                  return Body{-q.x, -4.0 * q.y};
                                },
                                0.0, 1.0, Body{1.0, 1.0}, Body{0.0, 0.0}, fixed);
  EXPECT_NEAR(circle.q.x.item<double>(), std::cos(1.0), 1e-7);
  EXPECT_NEAR(circle.q.y.item<double>(), std::cos(2.0), 1e-5);

  const auto cooled = solve_ivp(
      [](const Array& t, const Body& b) {
        return Body{cos(t) + 0.0 * b.x, zeros_like(b.y)};
      },
      [](const Array& t, const Body& b) {
        return Body{-100.0 * (b.x - sin(t)), -b.y};
      },
      0.0, 1.0, Body{0.0, 1.0}, {.method = "ARK4", .t_eval = ones({1}), .rtol = 1e-8, .atol = {1e-10}});
  EXPECT_NEAR(cooled.y.x.item<double>(), std::sin(1.0), 1e-7);
  EXPECT_NEAR(cooled.y.y.item<double>(), std::exp(-1.0), 1e-7);

  const auto noisy = solve_sde(
      [](const Array&, const Body& b) {
        return Body{-b.x, -b.y};
      },
      [](const Array&, const Body& b) {
        return Body{0.1 * b.x, 0.0 * b.y};
      },
      0.0, 1.0, Body{1.0, 1.0}, random::key(0), {.num_steps = 512, .t_eval = ones({1})});
  EXPECT_NEAR(noisy.y.y.item<double>(), std::exp(-1.0), 1e-3);
  EXPECT_NE(noisy.y.x.item<double>(), noisy.y.y.item<double>());
}

}  // namespace
}  // namespace hesse::solvers
