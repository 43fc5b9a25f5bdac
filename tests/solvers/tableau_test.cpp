// The tables of explicit Runge-Kutta methods against the theory of Butcher (Hairer, Norsett, Wanner, Solving
// Ordinary Differential Equations I, II.2) and against a problem with a known solution.
#include "solvers/tableau.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "core/error.h"
#include "tests/support/rooted_trees.h"

namespace hesse::solvers {
namespace {

using Weights = std::vector<double>;
constexpr double kTight = 1e-14;
// Of order conditions: coefficients of exact methods, rounded to double, leave up to 1.05e-14 (Tsit5, order
// 5).
constexpr double kConditions = 2e-14;

const std::vector<const Tableau*>& methods() {
  static const std::vector<const Tableau*> all = [] {
    std::vector<const Tableau*> list;
    for (const std::string& name : explicit_methods()) list.push_back(&explicit_tableau(name));
    return list;
  }();
  return all;
}

Weights minus(Weights x, const Weights& y) {
  for (size_t i = 0; i < x.size(); ++i) x[i] -= y[i];
  return x;
}

double sum(const Weights& w) { return static_cast<double>(std::accumulate(w.begin(), w.end(), Real{0})); }

/// The largest |sum_i w_i phi_i(tree) - theta^order / gamma(tree)| over the trees of an order.
Real residual(const Tableau& m, const Weights& w, int order, Real theta = 1) {
  std::vector<std::vector<Real>> phi;
  Real worst = 0;
  for (const Tree& tree : trees()) {
    if (tree.order > order) break;
    std::vector<Real> p(m.b.size(), 1);
    for (size_t i = 0; i < p.size(); ++i)
      for (const size_t child : tree.children) {
        Real value = 0;
        for (size_t j = 0; j < i; ++j) value += static_cast<Real>(m.a[i][j]) * phi[child][j];
        p[i] *= value;
      }
    phi.push_back(p);
    if (tree.order < order) continue;
    Real total = 0;
    for (size_t i = 0; i < p.size(); ++i) total += static_cast<Real>(w[i]) * p[i];
    worst = std::max(worst, std::abs(total - std::pow(theta, static_cast<Real>(order)) / tree.gamma));
  }
  return worst;
}

/// Weights are of this order and of no higher one.
void expect_order(const Tableau& m, const Weights& w, int order, Real theta = 1) {
  ASSERT_EQ(w.size(), m.b.size()) << m.name;
  for (int p = 1; p <= order; ++p)
    EXPECT_LE(residual(m, w, p, theta), kConditions) << m.name << ", order " << p;
  EXPECT_GT(residual(m, w, order + 1, theta), 1e-5) << m.name << " has a higher order than " << order;
}

void expect_near(const Weights& w, const Weights& want) {
  ASSERT_EQ(w.size(), want.size());
  for (size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(w[i], want[i], 1e-15) << "weight " << i + 1;
}

TEST(Tableau, TreesAreCounted) {
  std::vector<int> count(9);
  for (const Tree& tree : trees()) ++count[static_cast<size_t>(tree.order - 1)];
  EXPECT_EQ(count, (std::vector<int>{1, 1, 2, 4, 9, 20, 48, 115, 286}));  // OEIS A000081
}

TEST(Tableau, ShapesFitAndRowsSumToC) {
  for (const Tableau* m : methods()) {
    SCOPED_TRACE(m->name);
    const size_t s = m->b.size();
    ASSERT_EQ(m->c.size(), s);
    ASSERT_EQ(m->a.size(), s);
    EXPECT_EQ(m->c[0], 0);
    for (size_t i = 0; i < s; ++i) {
      ASSERT_EQ(m->a[i].size(), i);
      EXPECT_NEAR(sum(m->a[i]), m->c[i], kTight) << "row " << i;
    }
    EXPECT_EQ(m->error.size(), m->error_order == 0 ? 0 : s);
    EXPECT_EQ(m->second_error.size(), m->name == "Dop853" ? s : 0);
    EXPECT_EQ(m->middle.size(), m->name == "Dopri5" || m->name == "Tsit5" ? s : 0);
    EXPECT_EQ(m->first_same_as_last, m->name == "Bosh3" || m->name == "Dopri5" || m->name == "Tsit5");
    if (m->first_same_as_last) {
      EXPECT_EQ(m->c.back(), 1);
      EXPECT_EQ(m->b.back(), 0);
      EXPECT_EQ(m->a.back(), Weights(m->b.begin(), m->b.end() - 1));
    }
  }
}

TEST(Tableau, OrderOfTheSolution) {
  for (const Tableau* m : methods()) expect_order(*m, m->b, m->order);
}

TEST(Tableau, OrderOfTheEmbeddedSolution) {
  for (const Tableau* m : methods()) {
    if (m->error.empty()) continue;
    const bool dop853 = m->name == "Dop853";
    expect_order(*m, minus(m->b, m->error), dop853 ? 5 : m->error_order);
    EXPECT_EQ(m->error_order, dop853 ? 7 : m->order - 1);
    if (dop853) expect_order(*m, minus(m->b, m->second_error), 3);
  }
}

// The order conditions hold for any multiple of an error estimate too: these are the papers' weights.
TEST(Tableau, EmbeddedWeights) {
  const Tableau& bosh3 = explicit_tableau("Bosh3");
  expect_near(minus(bosh3.b, bosh3.error), {7.0 / 24, 1.0 / 4, 1.0 / 3, 1.0 / 8});
  const Tableau& dopri5 = explicit_tableau("Dopri5");
  expect_near(minus(dopri5.b, dopri5.error),
              {5179.0 / 57600, 0, 7571.0 / 16695, 393.0 / 640, -92097.0 / 339200, 187.0 / 2100, 1.0 / 40});
  const Tableau& tsit5 = explicit_tableau("Tsit5");
  EXPECT_NEAR(minus(tsit5.b, tsit5.error).back(), 1.0 / 66, 1e-16);
  const Tableau& dop853 = explicit_tableau("Dop853");
  expect_near(minus(dop853.b, dop853.second_error),
              {31.0 / 127, 0, 0, 0, 0, 0, 0, 0, 12675.0 / 17272, 0, 0, 3.0 / 136});
}

TEST(Tableau, ErrorEstimatesSumToZero) {
  for (const Tableau* m : methods())
    for (const Weights* e : {&m->error, &m->second_error}) EXPECT_NEAR(sum(*e), 0, 2e-15) << m->name;
}

TEST(Tableau, OrderOfTheMiddle) {
  for (const Tableau* m : methods())
    if (!m->middle.empty()) expect_order(*m, m->middle, 4, 0.5L);
}

// At theta = 1/2, the dense output of HNW, II.6 (program DOPRI5) is the cubic Hermite polynomial plus sum_i
// d_i k_i / 16. Tsitouras' polynomials b_7 = 2.5 theta^2 (theta - 1) (theta - 0.6) and b_2 decide the rest.
TEST(Tableau, MiddleIsThatOfTheInterpolant) {
  const Tableau& dopri5 = explicit_tableau("Dopri5");
  const Weights d = {-12715105075.0 / 11282082432.0,  0,
                     87487479700.0 / 32700410799.0,   -10690763975.0 / 1880347072.0,
                     701980252875.0 / 199316789632.0, -1453857185.0 / 822651844.0,
                     69997945.0 / 29380423.0};
  Weights want(7);
  for (size_t i = 0; i < 7; ++i) want[i] = dopri5.b[i] / 2 + d[i] / 16;
  want.front() += 1.0 / 8;
  want.back() -= 1.0 / 8;
  expect_near(dopri5.middle, want);

  const Tableau& tsit5 = explicit_tableau("Tsit5");
  EXPECT_EQ(tsit5.middle[6], 1.0 / 32);
  EXPECT_NEAR(tsit5.middle[1], 0.1017 / 4 * (1.0 / 4 - 2.1966568338249754 / 2 + 1.2949852507374631), 1e-16);
}

using State = std::array<Real, 2>;

// In polar coordinates r' = r (1 - r^2), angle' = cos t: nonlinear, coupled, depends on t.
State rhs(Real t, const State& y) {
  const Real growth = 1 - y[0] * y[0] - y[1] * y[1], turn = std::cos(t);
  return {growth * y[0] - turn * y[1], growth * y[1] + turn * y[0]};
}
State exact(Real t) {
  const Real r = 1 / std::sqrt(1 + 3 * std::exp(-2 * t));  // from 1/2
  return {r * std::cos(std::sin(t)), r * std::sin(std::sin(t))};
}

State combine(const Weights& w, const std::vector<State>& k) {
  State total{};
  for (size_t i = 0; i < w.size(); ++i)
    for (size_t n = 0; n < 2; ++n) total[n] += static_cast<Real>(w[i]) * k[i][n];
  return total;
}
State advance(const State& y, Real h, const State& slope) {
  return {y[0] + h * slope[0], y[1] + h * slope[1]};
}
/// From the errors of steps h and h / 2.
double observed_order(Real coarse, Real fine) { return static_cast<double>(std::log2(coarse / fine)); }
Real norm(const State& y) { return std::hypot(y[0], y[1]); }

std::vector<State> stages(const Tableau& m, Real t, const State& y, Real h) {
  std::vector<State> k;
  for (size_t i = 0; i < m.b.size(); ++i)
    k.push_back(rhs(t + static_cast<Real>(m.c[i]) * h, advance(y, h, combine(m.a[i], k))));
  return k;
}

/// The largest error at the steps from 0 to 2.
Real worst_error(const Tableau& m, int steps) {
  const Real h = Real{2} / steps;
  State y = exact(0);
  Real worst = 0;
  for (int n = 0; n < steps; ++n) {
    y = advance(y, h, combine(m.b, stages(m, static_cast<Real>(n) * h, y, h)));
    const State want = exact(static_cast<Real>(n + 1) * h);
    worst = std::max(worst, norm({y[0] - want[0], y[1] - want[1]}));
  }
  return worst;
}

TEST(Tableau, ConvergesWithItsOrder) {
  for (const Tableau* m : methods()) {
    // Small enough for the leading term, large enough for errors above those of the coefficients, 1e-16.
    const int steps = m->order >= 8 ? 8 : 128;
    const Real coarse = worst_error(*m, steps), fine = worst_error(*m, 2 * steps);
    EXPECT_NEAR(observed_order(coarse, fine), m->order, 0.3) << m->name << ": " << coarse << ", " << fine;
  }
}

Real estimate(const Tableau& m, Real h) {
  const std::vector<State> k = stages(m, 0, exact(0), h);
  const Real e = norm(combine(m.error, k));
  if (m.second_error.empty()) return h * e;
  const Real e3 = norm(combine(m.second_error, k));
  return h * e * e / std::sqrt(e * e + e3 * e3 / 100);
}

TEST(Tableau, ErrorEstimateHasItsOrder) {
  for (const Tableau* m : methods()) {
    if (m->error.empty()) continue;
    const Real h = m->order >= 8 ? 0.125L : 1.0L / 32;
    const Real coarse = estimate(*m, h), fine = estimate(*m, h / 2);
    EXPECT_NEAR(observed_order(coarse, fine), m->error_order + 1, 0.3)
        << m->name << ": " << coarse << ", " << fine;
  }
}

TEST(Tableau, NamesAndTheirErrors) {
  const std::vector<std::string> all(explicit_methods().begin(), explicit_methods().end());
  EXPECT_EQ(all, (std::vector<std::string>{"Euler", "Midpoint", "Heun", "RK4", "Bosh3", "Dopri5", "Tsit5",
                                           "Dop853"}));
  for (const std::string& name : all) EXPECT_EQ(explicit_tableau(name).name, name);
  EXPECT_EQ(&explicit_tableau("RK23"), &explicit_tableau("Bosh3"));
  EXPECT_EQ(&explicit_tableau("RK45"), &explicit_tableau("Dopri5"));
  EXPECT_EQ(&explicit_tableau("DOP853"), &explicit_tableau("Dop853"));
  for (const char* const unknown : {"tsit5", "Radau", ""}) {
    try {
      (void)explicit_tableau(unknown);
      ADD_FAILURE() << "'" << unknown << "' was taken";
    } catch (const ValueError& e) {
      const std::string message = e.what();
      EXPECT_NE(message.find("'" + std::string(unknown) + "'"), std::string::npos) << message;
      for (const std::string& name : all) EXPECT_NE(message.find(name), std::string::npos) << message;
      for (const char* const name : {"RK23", "RK45", "DOP853"})
        EXPECT_NE(message.find(name), std::string::npos) << message;
    }
  }
}

}  // namespace
}  // namespace hesse::solvers
