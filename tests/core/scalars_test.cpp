// Graphs taken apart into scalars against the graphs.
#include "core/program/scalars.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "autodiff/autodiff.h"
#include "core/ops.h"

namespace hesse {
namespace {

Array random_array(const Shape& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<double> x(static_cast<size_t>(num_elements(shape)));
  for (double& v : x) v = std::normal_distribution<double>(0, 1)(random);
  return Array::from<double>(x, shape);
}

Arrays entries(const Arrays& arrays) {
  Arrays out;
  for (const Array& a : arrays)
    for (const double v : astype(a, kFloat64).to_vector<double>())
      out.push_back(astype(Array::from<double>(std::array{v}, {}), a.dtype()));
  return out;
}

void expect_same(const Fn& f, const Arrays& in, double tolerance = 1e-12) {
  Avals avals;
  for (const Array& a : in) avals.push_back(aval(a));
  const Ref<const Graph> g = trace_closed(f, avals);
  const auto scalars = scalarised(*g, 10000);
  ASSERT_TRUE(scalars);
  for (const Aval& a : (*scalars)->values()) EXPECT_TRUE(a.shape.empty());
  const Arrays expected = entries(g->run(in)), got = (*scalars)->run(entries(in));
  ASSERT_EQ(got.size(), expected.size());
  for (size_t k = 0; k < got.size(); ++k) {
    EXPECT_EQ(got[k].dtype(), expected[k].dtype());
    const double a = got[k].item<double>(), b = expected[k].item<double>();
    if (std::isnan(b)) {
      EXPECT_TRUE(std::isnan(a)) << k;
    } else if (a != b) {  // infinities are equal
      EXPECT_NEAR(a, b, tolerance * (1 + std::abs(b))) << k;
    }
  }
}

TEST(Scalars, EntriesViewsAndReductions) {
  const Arrays in{random_array({2, 3}, 1), random_array({3}, 2)};
  expect_same([](std::span<const Array> x) { return Arrays{x[0] * x[1] + exp(x[0]), transpose(x[0])}; }, in);
  expect_same(
      [](std::span<const Array> x) {
        return Arrays{sum(x[0], Dims{0}), max(x[0], Dims{1}), prod(x[0]), all(x[0] > 0.0), any(x[1] > 0.0)};
      },
      in);
  expect_same(
      [](std::span<const Array> x) {
        return Arrays{concatenate({x[1], getitem(x[0], {Index(1)})}, 0), stack({x[1], x[1]}, 1), flip(x[0])};
      },
      in);
  expect_same(
      [](std::span<const Array> x) {
        return Arrays{matmul(x[0], transpose(x[0])), matmul(x[0], x[1])};
      },
      in);
}

TEST(Scalars, MapsAreTakenApartExampleByExample) {
  const Arrays in{random_array({4, 3}, 1), random_array({3}, 2)};
  const auto rows = [](std::span<const Array> x) {
    const auto of_row = [&](std::span<const Array> row) {
      return Arrays{row[0] * x[1], sum(exp(row[0]) * x[1])};
    };
    const Arrays y = vmap(of_row, {x[0]}, {0}, {0, 0});
    return Arrays{y[0], sum(y[1]), y[1]};
  };
  expect_same(rows, in);
  expect_same(
      [&](std::span<const Array> x) {
        const Arrays y = rows(x);
        const MaybeArrays g = vjp(rows, {x[0], x[1]}).second(MaybeArrays(y.begin(), y.end()));
        return Arrays{*g[0], *g[1]};
      },
      in);
}

TEST(Scalars, ComparisonsAndBools) {
  std::vector<double> values{1, -2, 0, std::nan(""), INFINITY, -INFINITY};
  const Arrays in{Array::from<double>(values, {6}), random_array({6}, 3)};
  expect_same(
      [](std::span<const Array> x) {
        const Array a = x[0] > 0.0, b = x[1] > 0.0;
        return Arrays{isfinite(x[0]),
                      isinf(x[0]),
                      isnan(x[0]),
                      logical_xor(a, b),
                      equal(a, b),
                      not_equal(a, b),
                      where(a, b, logical_not(b)),
                      astype(a, kFloat64),
                      astype(b, kInt64),
                      where(a, x[0], x[1])};
      },
      in);
}

TEST(Scalars, LinearSystems) {
  for (unsigned seed = 0; seed < 20; ++seed)
    for (const int64_t n : {1, 2, 3, 5}) {
      const Arrays in{random_array({n, n}, seed), random_array({n}, seed + 100)};
      const auto f = [](std::span<const Array> x) {
        const Factored system(x[0], Factored::Singular::GivesNaN);
        return Arrays{system.solve(x[1]), system.solve(x[1] * x[1])};
      };
      expect_same(f, in, 1e-7);
      const auto transposed = [](std::span<const Array> x) {
        const Factored system(x[0], Factored::Singular::GivesNaN);
        const auto solve = [&](std::span<const Array> b) { return Arrays{system.solve(b[0])}; };
        return Arrays{*vjp(solve, {x[1]}).second({x[1]})[0]};
      };
      expect_same(transposed, in, 1e-7);
    }
}

TEST(Scalars, SingularSystemsGiveNothingFinite) {
  const Arrays in{Array::from<double>(std::array{1.0, 2.0, 2.0, 4.0}, {2, 2}), random_array({2}, 1)};
  const auto scalars =
      scalarised(*trace_closed(
                     [](std::span<const Array> x) {
                       return Arrays{Factored(x[0], Factored::Singular::GivesNaN).solve(x[1])};
                     },
                     Avals{aval(in[0]), aval(in[1])}),
                 1000);
  ASSERT_TRUE(scalars);
  for (const Array& x : (*scalars)->run(entries(in))) EXPECT_FALSE(std::isfinite(x.item<double>()));
}

TEST(Scalars, LargeOrUnknownGraphsStayWhole) {
  const Avals avals{{{40, 40}, kFloat64}};
  EXPECT_FALSE(scalarised(
      *trace_closed([](std::span<const Array> x) { return Arrays{matmul(x[0], x[0])}; }, avals), 1000));
  EXPECT_FALSE(
      scalarised(*trace_closed([](std::span<const Array> x) { return Arrays{sort(x[0])}; }, avals), 100000));
}

}  // namespace
}  // namespace hesse
