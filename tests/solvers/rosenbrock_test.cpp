// The tables of Rosenbrock methods against the theory (Hairer and Wanner, Solving Ordinary Differential
// Equations II, IV.7), and the methods on stiff problems.
#include "solvers/rosenbrock.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/trees.h"
#include "core/ops.h"
#include "tests/support/rooted_trees.h"

namespace hesse::solvers {
namespace {

using Matrix = std::vector<std::vector<Real>>;
using Weights = std::vector<Real>;

Matrix square(size_t n) { return Matrix(n, std::vector<Real>(n, 0)); }

/// The coefficients of the usual form, k_i = h f(y + sum alpha_ij k_j) + h J sum gamma_ij k_j: with
/// G = (gamma_ij), c = diag(1/gamma) - G^-1, a = alpha G^-1, m = b G^-1.
struct Usual {
  Matrix alpha, gamma;
  Weights b, embedded;
  std::vector<Weights> dense;
};

Usual usual(const RosenbrockTableau& t) {
  const size_t s = t.a.size();
  const Real g = static_cast<Real>(t.gamma);
  Matrix inverse = square(s), a = square(s);  // of G
  for (size_t i = 0; i < s; ++i) {
    inverse[i][i] = 1 / g;
    for (size_t j = 0; j < i; ++j) {
      inverse[i][j] = -static_cast<Real>(t.c[i][j]);
      a[i][j] = static_cast<Real>(t.a[i][j]);
    }
  }
  Usual out;
  out.gamma = square(s);
  for (size_t j = 0; j < s; ++j)  // forward substitution, column by column
    for (size_t i = j; i < s; ++i) {
      Real x = i == j ? 1 : 0;
      for (size_t k = j; k < i; ++k) x -= inverse[i][k] * out.gamma[k][j];
      out.gamma[i][j] = x * g;
    }
  const auto times_gamma = [&](const Weights& w) {
    Weights x(s, 0);
    for (size_t j = 0; j < s; ++j)
      for (size_t i = j; i < s; ++i) x[j] += w[i] * out.gamma[i][j];
    return x;
  };
  for (const auto& row : a) out.alpha.push_back(times_gamma(row));
  Weights m = a[s - 1];
  out.embedded = times_gamma(m);  // y_s, the argument of the last stage
  m[s - 1] = 1;
  out.b = times_gamma(m);
  for (const auto& row : t.dense) out.dense.push_back(times_gamma(Weights(row.begin(), row.end())));
  return out;
}

/// The largest |sum_i w_i phi_i(tree) - x^order / density(tree)| over the trees of an order: a node with one
/// branch takes alpha + gamma, one with several takes alpha (Hairer and Wanner II, theorem IV.7.4).
Real residual(const Usual& m, const Weights& w, int order, Real x = 1) {
  const size_t s = w.size();
  std::vector<Weights> phi;
  Real worst = 0;
  for (const Tree& tree : trees()) {
    if (tree.order > order) break;
    Weights p(s, 1);
    for (size_t i = 0; i < s; ++i)
      for (const size_t child : tree.children) {
        Real value = 0;
        for (size_t j = 0; j <= i; ++j)
          value += (m.alpha[i][j] + (tree.children.size() == 1 ? m.gamma[i][j] : 0)) * phi[child][j];
        p[i] *= value;
      }
    phi.push_back(p);
    if (tree.order < order) continue;
    Real total = 0;
    for (size_t i = 0; i < s; ++i) total += w[i] * p[i];
    worst = std::max(worst, std::abs(total - std::pow(x, static_cast<Real>(order)) / tree.gamma));
  }
  return worst;
}

TEST(Rosenbrock, TablesFitTogether) {
  for (const RosenbrockTableau& t : rosenbrock_tableaus()) {
    SCOPED_TRACE(t.name);
    const Usual m = usual(t);
    for (size_t i = 0; i < t.a.size(); ++i) {
      ASSERT_EQ(t.a[i].size(), i);
      ASSERT_EQ(t.c[i].size(), i);
      Real alpha = 0, gamma = 0;
      for (size_t j = 0; j <= i; ++j) alpha += m.alpha[i][j], gamma += m.gamma[i][j];
      EXPECT_NEAR(static_cast<double>(alpha), t.alpha[i], 1e-13) << i;
      EXPECT_NEAR(static_cast<double>(gamma), t.gammas[i], 2e-13) << i;
    }
    EXPECT_EQ(t.a.back().back(), 1.0);  // y_next = y_s + u_s, and y_s is such a sum too
  }
}

TEST(Rosenbrock, Orders) {
  for (const RosenbrockTableau& t : rosenbrock_tableaus()) {
    SCOPED_TRACE(t.name);
    const Usual m = usual(t);
    constexpr Real kConditions = 2e-12;
    for (int p = 1; p <= t.order; ++p) EXPECT_LE(residual(m, m.b, p), kConditions) << p;
    EXPECT_GT(residual(m, m.b, t.order + 1), 1e-5);
    for (int p = 1; p <= t.error_order; ++p) EXPECT_LE(residual(m, m.embedded, p), kConditions) << p;
    EXPECT_GT(residual(m, m.embedded, t.error_order + 1), 1e-5);
  }
}

TEST(Rosenbrock, InterpolantsHaveTheirOrder) {
  for (const RosenbrockTableau& t : rosenbrock_tableaus()) {
    SCOPED_TRACE(t.name);
    const Usual m = usual(t);
    for (const Real x : {0.25L, 0.5L, 0.8L}) {
      Weights w(m.b.size());
      for (size_t i = 0; i < w.size(); ++i) {
        Real inner = 0;
        for (size_t r = m.dense.size(); r-- > 0;) inner = m.dense[r][i] + x * inner;
        w[i] = x * (m.b[i] + (1 - x) * inner);
      }
      for (int p = 1; p <= t.dense_order; ++p) EXPECT_LE(residual(m, w, p, x), 1e-11L) << p << " at " << x;
      EXPECT_GT(residual(m, w, t.dense_order + 1, x), 1e-5L);
    }
  }
}

// Fast decay towards a slow solution that is known: y' = -L (y - cos t) - sin t, y(0) = 1 (Prothero and
// Robinson 1974). The ends of steps are accurate; within them interpolants lose order where L is large.
TEST(Rosenbrock, FollowsTheSlowSolutionOfAStiffProblem) {
  for (const RosenbrockTableau& t : rosenbrock_tableaus()) {
    const Solution sol = solve_ivp(
        [](const Array& time, std::span<const Array> y) {
          return Arrays{-1e6 * (y[0] - cos(time)) - sin(time)};
        },
        0.0, 10.0, {1.0},
        {.method = t.name, .t_eval = Array::from<double>({2.5, 10.0}), .rtol = 1e-8, .atol = {1e-10}});
    EXPECT_NEAR(getitem(sol.y[0], {Index(0)}).item<double>(), std::cos(2.5), t.order == 4 ? 1e-3 : 1e-4);
    EXPECT_NEAR(getitem(sol.y[0], {Index(1)}).item<double>(), std::cos(10.0), 1e-6) << t.name;
    EXPECT_LT(sol.accepted.item<int64_t>(), 300) << t.name;
    EXPECT_EQ(sol.factorisations.item<int64_t>(),
              sol.accepted.item<int64_t>() + sol.rejected.item<int64_t>());
  }
}

TEST(Rosenbrock, TakesListsOfArrays) {
  const Solution sol = solve_ivp(
      [](const Array&, std::span<const Array> y) {
        return Arrays{-1e4 * (y[0] - 2.0 * y[1]), -y[1]};
      },
      0.0, 1.0, {Array::from<double>({2.0, 4.0}), Array::from<double>({1.0, 2.0})},
      {.method = "Rodas5P", .t_eval = Array::from<double>({1.0}), .rtol = 1e-9, .atol = {1e-12}});
  for (int64_t i = 0; i < 2; ++i) {
    const double slow = static_cast<double>(i + 1) * std::exp(-1.0);
    EXPECT_NEAR(getitem(sol.y[1], {Index(0), Index(i)}).item<double>(), slow, 1e-9);
    EXPECT_NEAR(getitem(sol.y[0], {Index(0), Index(i)}).item<double>(), 2 * slow / (1 - 1e-4), 1e-8);
  }
}

TEST(Rosenbrock, RefusesComplexStates) {
  EXPECT_THROW((void)solve_ivp([](const Array&, std::span<const Array> y) { return Arrays{-y[0]}; }, 0.0, 1.0,
                               {Array(complex128(1, 1))}, {.method = "Rodas5P"}),
               TypeError);
}

}  // namespace
}  // namespace hesse::solvers
