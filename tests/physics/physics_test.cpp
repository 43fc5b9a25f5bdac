#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <set>

#include "core/ops.h"
#include "physics/burgers.h"
#include "physics/metrics.h"
#include "physics/sampling.h"

namespace hesse::physics {
namespace {

double value(const Array& a) { return a.item<double>(); }

TEST(Sampling, PointsLieInTheUnitCube) {
  for (const char* method : {"uniform", "latin_hypercube", "sobol"}) {
    const Array x = sample(method, random::key(3), 257, 3);
    EXPECT_EQ(x.shape(), (Shape{257, 3}));
    EXPECT_GE(value(min(x)), 0.0);
    EXPECT_LT(value(max(x)), 1.0);
    EXPECT_NEAR(value(mean(x)), 0.5, 0.05);
    EXPECT_EQ(sample(method, random::key(3), 257, 3).to_vector<double>(), x.to_vector<double>())
        << "a key gives its points";
    EXPECT_NE(sample(method, random::key(4), 257, 3).to_vector<double>(), x.to_vector<double>());
    EXPECT_EQ(sample(method, random::key(3), 0, 2).shape(), (Shape{0, 2}));
  }
  EXPECT_THROW((void)sample("halton", random::key(0), 4, 2), ValueError);
  EXPECT_THROW((void)uniform(random::key(0), -1, 2), ValueError);
  EXPECT_THROW((void)latin_hypercube(random::key(0), 4, 0), ValueError);
  EXPECT_THROW((void)sobol(random::key(0), 4, 17), ValueError);
}

TEST(Sampling, LatinHypercubeHasOnePointInEverySlice) {
  const int64_t n = 37;
  const auto x = latin_hypercube(random::key(1), n, 4).to_vector<double>();
  for (size_t j = 0; j < 4; ++j) {
    std::set<int64_t> slices;
    for (size_t i = 0; i < static_cast<size_t>(n); ++i)
      slices.insert(static_cast<int64_t>(x[i * 4 + j] * static_cast<double>(n)));
    EXPECT_EQ(slices.size(), static_cast<size_t>(n));
  }
}

// The first points of the sequence in two dimensions, in Gray-code order, as in
// the literature.
TEST(Sampling, SobolSequence) {
  const auto x = sobol_unscrambled(8, 2).to_vector<double>();
  EXPECT_EQ(x, (std::vector<double>{0, 0, 0.5, 0.5, 0.75, 0.25, 0.25, 0.75, 0.375, 0.375, 0.875, 0.875, 0.625,
                                    0.125, 0.125, 0.625}));
}

// A net in base 2: with 2^m points, every dyadic interval of length 2^-m of an
// axis holds exactly one, scrambled or not; in the first two dimensions so does
// every dyadic box of area 2^-m.
TEST(Sampling, ScrambledSobolIsANet) {
  const unsigned m = 8, n = 1u << m;
  const auto x = sobol(random::key(5), n, 16).to_vector<double>();
  for (size_t j = 0; j < 16; ++j) {
    std::set<int> seen;
    for (size_t i = 0; i < n; ++i) seen.insert(static_cast<int>(x[i * 16 + j] * n));
    EXPECT_EQ(seen.size(), n) << "dimension " << j;
  }
  for (unsigned k = 0; k <= m; ++k) {
    std::set<std::pair<int, int>> seen;
    for (size_t i = 0; i < n; ++i)
      seen.emplace(static_cast<int>(x[i * 16] * (1u << k)),
                   static_cast<int>(x[i * 16 + 1] * (1u << (m - k))));
    EXPECT_EQ(seen.size(), n) << "boxes 2^-" << k << " x 2^-" << m - k;
  }
}

TEST(Burgers, GaussHermiteIntegratesPolynomials) {
  for (const int64_t n : {1, 2, 5, 20, 64, 200, 500}) {
    const GaussHermite rule = gauss_hermite(n);
    const Array w = rule.scaled_weights * exp(-square(rule.nodes));
    double moment = std::sqrt(std::numbers::pi);  // integral of z^(2k) exp(-z^2) = (2k-1)/2
                                                  // * that of z^(2k-2)
    for (int64_t k = 0; 2 * k < 2 * n && k < 12; ++k) {
      EXPECT_NEAR(value(sum(w * pow(rule.nodes, static_cast<double>(2 * k)))) / moment, 1.0, 2e-13)
          << n << " nodes, z^" << 2 * k;
      moment *= static_cast<double>(2 * k + 1) / 2.0;
    }
    EXPECT_NEAR(value(sum(w * rule.nodes)), 0.0, 1e-14);
  }
  EXPECT_THROW((void)gauss_hermite(0), ValueError);
}

TEST(Burgers, ExactSolutionHasItsProperties) {
  const double nu = 0.01 / std::numbers::pi;
  const Array x = linspace(-1.0, 1.0, 41);
  const Array start = burgers_exact(zeros({41}), x, nu);
  EXPECT_LT(value(max(abs(start + sin(std::numbers::pi * x)))), 1e-14);
  const Array t = expand_dims(linspace(0.0, 1.0, 11), Axes{1});
  const Array u = burgers_exact(t, x, nu);
  EXPECT_EQ(u.shape(), (Shape{11, 41}));
  EXPECT_LT(value(max(abs(u + flip(u, Axes{1})))), 1e-13) << "odd in x";
  EXPECT_LT(value(max(abs(take(u, Array::from<int64_t>({0, 40}), 1)))), 1e-12) << "zero at the ends";
  // More nodes do not change it, nor do central differences of the equation.
  EXPECT_LT(value(max(abs(u - burgers_exact(t, x, nu, 400)))), 1e-11);
  const double h = 1e-4;
  const auto at = [&](double s, double y) { return value(burgers_exact(s, y, nu)); };
  for (const double y : {-0.6, -0.05, 0.02, 0.4}) {
    const double s = 0.7, u0 = at(s, y);
    const double u_t = (at(s + h, y) - at(s - h, y)) / (2 * h), u_x = (at(s, y + h) - at(s, y - h)) / (2 * h);
    const double u_xx = (at(s, y + h) - 2 * u0 + at(s, y - h)) / (h * h);
    EXPECT_NEAR(u_t + u0 * u_x - nu * u_xx, 0.0, 2e-3 * (1 + std::abs(u0 * u_x)));
  }
  EXPECT_THROW((void)burgers_exact(0.1, 0.1, 0.0), ValueError);
  EXPECT_THROW((void)burgers_exact(-0.1, 0.1, nu), ValueError);
}

TEST(Metrics, Errors) {
  const Array u = Array::from<double>({1, 2, 2}), v = Array::from<double>({1, 2, 5});
  EXPECT_NEAR(value(relative_l2(v, u)), 1.0, 1e-15);
  EXPECT_EQ(value(max_error(v, u)), 3.0);
  EXPECT_THROW((void)relative_l2(u, zeros({1, 3})), ValueError);
  EXPECT_THROW((void)max_error(zeros({0}), zeros({0})), ValueError);
}

}  // namespace
}  // namespace hesse::physics
