// The tables of ESDIRK methods against the theory (Hairer, Norsett, Wanner, Solving Ordinary Differential
// Equations I, II.2; Hairer and Wanner II, IV.3), and the methods on stiff problems.
#include "solvers/esdirk.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "autodiff/trees.h"
#include "core/ops.h"
#include "tests/support/rooted_trees.h"

namespace hesse::solvers {
namespace {

using Weights = std::vector<double>;
using Complex = std::complex<Real>;
constexpr Real kConditions = 1e-15L * 10;

/// a_ij with the diagonal; zero where j > i.
Real coefficient(const EsdirkTableau& m, size_t i, size_t j) {
  if (i == j) return i == 0 ? 0 : static_cast<Real>(m.gamma);
  return j < i ? static_cast<Real>(m.a[i][j]) : 0;
}

/// The largest |sum_i w_i phi_i(tree) - x^order / density(tree)| over the trees of an order.
Real residual(const EsdirkTableau& m, const Weights& w, int order, Real x = 1) {
  std::vector<std::vector<Real>> phi;
  Real worst = 0;
  for (const Tree& tree : trees()) {
    if (tree.order > order) break;
    std::vector<Real> p(w.size(), 1);
    for (size_t i = 0; i < w.size(); ++i)
      for (const size_t child : tree.children) {
        Real value = 0;
        for (size_t j = 0; j <= i; ++j) value += coefficient(m, i, j) * phi[child][j];
        p[i] *= value;
      }
    phi.push_back(p);
    if (tree.order < order) continue;
    Real total = 0;
    for (size_t i = 0; i < w.size(); ++i) total += static_cast<Real>(w[i]) * p[i];
    worst = std::max(worst, std::abs(total - std::pow(x, static_cast<Real>(order)) / tree.gamma));
  }
  return worst;
}

void expect_order(const EsdirkTableau& m, const Weights& w, int order, Real x = 1) {
  ASSERT_EQ(w.size(), m.a.size());
  for (int p = 1; p <= order; ++p) EXPECT_LE(residual(m, w, p, x), kConditions) << p;
  EXPECT_GT(residual(m, w, order + 1, x), 1e-5L);
}

/// What a step makes of y' = z y: 1 + z sum_i w_i g_i, where g_i = 1 + z sum_j a_ij g_j.
Complex stability(const EsdirkTableau& m, const Weights& w, Complex z) {
  std::vector<Complex> g;
  Complex out = 1;
  for (size_t i = 0; i < w.size(); ++i) {
    Complex earlier = 1;
    for (size_t j = 0; j < i; ++j) earlier += z * coefficient(m, i, j) * g[j];
    g.push_back(earlier / (Real{1} - z * coefficient(m, i, i)));
    out += z * static_cast<Real>(w[i]) * g[i];
  }
  return out;
}

TEST(Esdirk, NamesAndShapes) {
  std::vector<std::string> names;
  for (const EsdirkTableau& m : esdirk_tableaus()) {
    SCOPED_TRACE(m.name);
    names.push_back(m.name);
    for (size_t i = 0; i < m.a.size(); ++i) ASSERT_EQ(m.a[i].size(), i);
    EXPECT_EQ(m.embedded.size(), m.a.size());
    EXPECT_EQ(m.nodes()[0], 0.0);
    EXPECT_NEAR(m.nodes()[1], 2 * m.gamma, 1e-15);
    EXPECT_NEAR(m.nodes().back(), 1.0, 1e-15);  // stiffly accurate: the last stage is y_next
  }
  EXPECT_EQ(names, (std::vector<std::string>{"Kvaerno3", "Kvaerno5", "KenCarp4"}));
}

TEST(Esdirk, NodesAreThoseOfThePapers) {
  const auto expect_nodes = [](const Weights& got, const Weights& want) {
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-15) << i;
  };
  const auto& all = esdirk_tableaus();
  expect_nodes(all[0].nodes(), {0, 2 * 0.4358665215084589994, 1, 1});
  expect_nodes(all[1].nodes(), {0, 0.52, 1.230333209967908, 0.8957659843500759, 0.43639360985864756, 1, 1});
  expect_nodes(all[2].nodes(), {0, 0.5, 0.332, 0.62, 0.85, 1});
}

TEST(Esdirk, Orders) {
  for (const EsdirkTableau& m : esdirk_tableaus()) {
    SCOPED_TRACE(m.name);
    expect_order(m, m.weights(), m.order);
    expect_order(m, m.embedded, m.error_order);
  }
}

TEST(Esdirk, StagesHaveOrderTwo) {
  for (const EsdirkTableau& m : esdirk_tableaus()) {
    const Weights c = m.nodes();
    for (size_t i = 0; i < c.size(); ++i) {
      Real total = 0;
      for (size_t j = 0; j <= i; ++j) total += coefficient(m, i, j) * static_cast<Real>(c[j]);
      EXPECT_NEAR(static_cast<double>(total), c[i] * c[i] / 2, 2e-15) << m.name << ", stage " << i + 1;
    }
  }
}

TEST(Esdirk, LStable) {
  for (const EsdirkTableau& m : esdirk_tableaus()) {
    SCOPED_TRACE(m.name);
    EXPECT_LT(std::abs(stability(m, m.weights(), -1e9L)), 1e-6L);
    // On the imaginary axis, and so in the left half plane, where there is no pole.
    for (Real y = 1e-3L; y < 1e6L; y *= 1.1L) {
      EXPECT_LE(std::abs(stability(m, m.weights(), Complex(0, y))), 1 + 1e-14L) << static_cast<double>(y);
      EXPECT_LE(std::abs(stability(m, m.embedded, Complex(0, y))), 1 + 1e-14L) << static_cast<double>(y);
    }
  }
}

TEST(Esdirk, MiddlesHaveOrderFour) {
  for (const EsdirkTableau& m : esdirk_tableaus()) {
    SCOPED_TRACE(m.name);
    if (m.middle.empty()) {  // the cubic: both ends, a quarter of each slope's difference
      Weights w = m.weights();
      for (double& x : w) x /= 2;
      w.front() += 0.125;
      w.back() -= 0.125;
      expect_order(m, w, 3, 0.5L);
    } else {
      expect_order(m, m.middle, 4, 0.5L);
    }
  }
}

// In the stiff limit stages lie on the solution and slopes are what gives them: for y = t^3 and steps of
// length 1 that all begin with one error of the slope.
TEST(Esdirk, MiddlesAreExactForCubicsInTheStiffLimit) {
  for (const EsdirkTableau& m : esdirk_tableaus()) {
    if (m.middle.empty()) continue;
    const Weights c = m.nodes();
    const auto slopes = [&](Real first) {
      std::vector<Real> k{first};
      for (size_t i = 1; i < c.size(); ++i) {
        Real rest = std::pow(static_cast<Real>(c[i]), Real{3});
        for (size_t j = 0; j < i; ++j) rest -= coefficient(m, i, j) * k[j];
        k.push_back(rest / static_cast<Real>(m.gamma));
      }
      return k;
    };
    Real error = 0;
    for (int n = 0; n < 3; ++n) error = slopes(error).back() - 3;
    Real middle = 0;
    const std::vector<Real> k = slopes(error);
    for (size_t i = 0; i < k.size(); ++i) middle += static_cast<Real>(m.middle[i]) * k[i];
    EXPECT_NEAR(static_cast<double>(middle), 0.125, 1e-14) << m.name;
  }
}

// With a fixed step (first_step and max_step, tolerances that accept it) errors fall with the order. The
// equation is linear, so that the iteration leaves no error.
TEST(Esdirk, ConvergesWithItsOrder) {
  const double exact = 0.3 * std::exp(-2.0) + 0.1 * (std::sin(6.0) - 3 * std::cos(6.0));
  for (const EsdirkTableau& m : esdirk_tableaus()) {
    const auto error = [&](double h) {
      const Solution sol =
          solve_ivp([](const Array& t, std::span<const Array> y) { return Arrays{sin(3.0 * t) - y[0]}; }, 0.0,
                    2.0, {0.0},
                    {.method = m.name,
                     .t_eval = Array::from<double>({2.0}),
                     .rtol = 0.0,
                     .atol = {1e-1},
                     .first_step = Array(h),
                     .max_step = Array(h)});
      EXPECT_EQ(sol.accepted.item<int64_t>(), std::llround(2 / h));
      EXPECT_EQ(sol.rejected.item<int64_t>(), 0);
      return std::abs(getitem(sol.y[0], {Index(0)}).item<double>() - exact);
    };
    const double coarse = error(1.0 / 16), fine = error(1.0 / 32);
    EXPECT_NEAR(std::log2(coarse / fine), m.order, 0.3) << m.name << ": " << coarse << ", " << fine;
  }
}

// Fast decay towards a slow solution that is known: y' = -L (y - cos t) - sin t, y(0) = 1 (Prothero and
// Robinson 1974). The ends of steps are accurate; within them interpolants lose order where L is large.
TEST(Esdirk, FollowsTheSlowSolutionOfAStiffProblem) {
  for (const EsdirkTableau& m : esdirk_tableaus()) {
    const Solution sol = solve_ivp(
        [](const Array& time, std::span<const Array> y) {
          return Arrays{-1e6 * (y[0] - cos(time)) - sin(time)};
        },
        0.0, 10.0, {1.0},
        {.method = m.name, .t_eval = Array::from<double>({2.5, 10.0}), .rtol = 1e-7, .atol = {1e-9}});
    EXPECT_NEAR(getitem(sol.y[0], {Index(0)}).item<double>(), std::cos(2.5), 1e-3) << m.name;
    EXPECT_NEAR(getitem(sol.y[0], {Index(1)}).item<double>(), std::cos(10.0), 1e-6) << m.name;
    EXPECT_LT(sol.accepted.item<int64_t>(), 500) << m.name;
    const int64_t attempts = sol.accepted.item<int64_t>() + sol.rejected.item<int64_t>();
    EXPECT_EQ(sol.factorisations.item<int64_t>(), attempts);
    // The equations are linear: one iteration, at times a second that sees that it was enough.
    const auto stages = static_cast<int64_t>(m.a.size()) - 1;
    EXPECT_GE(sol.evaluations.item<int64_t>(), attempts * stages);
    EXPECT_LE(sol.evaluations.item<int64_t>(), 3 * attempts * stages);
  }
}

TEST(Esdirk, TakesListsOfArrays) {
  for (const EsdirkTableau& m : esdirk_tableaus()) {
    const Solution sol = solve_ivp(
        [](const Array&, std::span<const Array> y) {
          return Arrays{-1e4 * (y[0] - 2.0 * y[1]), -y[1]};
        },
        0.0, 1.0, {Array::from<double>({2.0, 4.0}), Array::from<double>({1.0, 2.0})},
        {.method = m.name, .t_eval = Array::from<double>({1.0}), .rtol = 1e-7, .atol = {1e-10}});
    for (int64_t i = 0; i < 2; ++i) {
      const double slow = static_cast<double>(i + 1) * std::exp(-1.0);
      EXPECT_NEAR(getitem(sol.y[1], {Index(0), Index(i)}).item<double>(), slow, 1e-6) << m.name;
      EXPECT_NEAR(getitem(sol.y[0], {Index(0), Index(i)}).item<double>(), 2 * slow / (1 - 1e-4), 1e-6);
    }
  }
}

TEST(Esdirk, RefusesComplexStates) {
  EXPECT_THROW((void)solve_ivp([](const Array&, std::span<const Array> y) { return Arrays{-y[0]}; }, 0.0, 1.0,
                               {Array(complex128(1, 1))}, {.method = "KenCarp4"}),
               TypeError);
}

}  // namespace
}  // namespace hesse::solvers
