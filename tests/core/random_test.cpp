#include "core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/cpu/threads.h"
#include "core/ops/control.h"
#include "tests/support/expect_derivatives.h"

namespace hesse {
namespace {

using Args = std::span<const Array>;
using random::key;

std::vector<double> doubles(const Array& a) { return astype(a, kFloat64).to_vector<double>(); }

TEST(Threefry, KnownAnswers) {  // kat_vectors of the Random123 library, threefry2x32 with 20 rounds
  const auto expect = [](Key k, uint32_t c0, uint32_t c1, uint32_t x0, uint32_t x1) {
    const rng::Words w = rng::threefry(k, c0, c1);
    EXPECT_EQ(w.x0, x0);
    EXPECT_EQ(w.x1, x1);
  };
  expect({0, 0}, 0, 0, 0x6b200159, 0x99ba4efe);
  expect({0xffffffff, 0xffffffff}, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7);
  expect({0x13198a2e, 0x03707344}, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0);
}

TEST(Threefry, WordsInBlocksAreTheSameWords) {
  std::vector<uint64_t> w(100);
  const uint64_t first = 0xfffffff0u;  // the counter carries into its upper word
  rng::words({1, 2}, first, w);
  for (uint64_t i = 0; i < w.size(); ++i) EXPECT_EQ(w[i], rng::word({1, 2}, first + i));
}

TEST(Random, AnEntryDependsOnKeyAndIndexOnly) {
  const Array k = key(7);
  for (const DType t : {kFloat32, kFloat64}) {
    const auto a = doubles(random::normal(k, {1000}, t)), b = doubles(random::normal(k, {70001}, t));
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
  }
  const int threads = num_threads();
  set_num_threads(1);
  const auto one = doubles(random::uniform(k, {200000}));
  set_num_threads(3);
  const auto three = doubles(random::uniform(k, {200000}));
  set_num_threads(threads);
  EXPECT_EQ(one, three);
}

TEST(Random, PublishedVectors) {  // docs/random.md, from an implementation of their own in Python and mpmath
  const Array k = key(42);
  EXPECT_EQ(random::bits(k, {3}, kUInt64).to_vector<uint64_t>(),
            (std::vector<uint64_t>{7871734211187709741u, 276886910877598708u, 10591095138341673235u}));
  EXPECT_EQ(random::bits(k, {4}).to_vector<uint32_t>(),
            (std::vector<uint32_t>{1832780943, 270669613, 64467757, 2916123636}));
  EXPECT_EQ(doubles(random::uniform(k, {3})),
            (std::vector<double>{0.4267275666499091, 0.015010069515314584, 0.5741444178995353}));
  EXPECT_EQ(doubles(random::uniform(k, {3}, 0.0, 1.0, kFloat32)),
            (std::vector<double>{0.4267275333404541, 0.06302016973495483, 0.015010058879852295}));
  const auto near = [](const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i] / b[i], 1.0, tolerance);
  };
  near(doubles(random::normal(k, {3})), {-0.1847117452819115, -2.1698245603977533, 0.18693555179382598},
       1e-15);
  near(doubles(random::normal(k, {3}, kFloat32)),
       {-0.1847117450224935, -1.5299045351035228, -2.1698245614973994}, 1e-7);
  EXPECT_EQ(random::integers(k, 0, 100, {8}).to_vector<int64_t>(),
            (std::vector<int64_t>{42, 1, 57, 72, 68, 64, 64, 59}));
  EXPECT_EQ(random::permutation(k, 8).to_vector<int64_t>(), (std::vector<int64_t>{6, 0, 1, 2, 5, 3, 7, 4}));
  EXPECT_EQ(random::split(k).to_vector<Key>(),
            (std::vector<Key>{{0xa5464002, 0xf7450b9e}, {0xfed0556b, 0x62a24b5a}}));
  EXPECT_EQ(random::fold_in(k, Array(7)).item<Key>(), (Key{0xb7956bcf, 0x368c377d}));
}

TEST(Random, BitsOfEveryWidth) {
  const Array k = key(1);
  const auto w = random::bits(k, {5}, kUInt64).to_vector<uint64_t>();
  const auto h = random::bits(k, {10}, kUInt32).to_vector<uint32_t>();
  const auto b = random::bits(k, {10}, kUInt8).to_vector<uint8_t>();
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(w[i], rng::word({0, 1}, i));
    EXPECT_EQ(h[2 * i], w[i] >> 32);
    EXPECT_EQ(h[2 * i + 1], static_cast<uint32_t>(w[i]));
    EXPECT_EQ(b[2 * i], static_cast<uint8_t>(h[2 * i]));
  }
  EXPECT_EQ(random::bits(k, {3}, kInt64).to_vector<int64_t>()[2], static_cast<int64_t>(w[2]));
}

TEST(Random, KeysSplitAndFold) {
  const Array k = key(0x123456789abcdefull);
  EXPECT_EQ(k.item<Key>(), (Key{0x01234567, 0x89abcdef}));
  const auto a = random::split(k, 3).to_vector<Key>(), b = random::split(k, 5).to_vector<Key>();
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
  std::set<uint64_t> seen;
  for (uint64_t j = 0; j < 1000; ++j) {
    for (const Key c : {rng::split({3, 4}, j), rng::fold_in({3, 4}, j)})
      seen.insert(uint64_t{c.hi} << 32 | c.lo);
    seen.insert(rng::word({3, 4}, j));
  }
  EXPECT_EQ(seen.size(), 3000u);
  EXPECT_EQ(random::fold_in(k, Array(-1)).item<Key>(), rng::fold_in({0x01234567, 0x89abcdef}, ~uint64_t{0}));
}

/// The Kolmogorov-Smirnov statistic times sqrt(n): above 1.95 with probability 0.001.
template <class F>
double kolmogorov_smirnov(std::vector<double> x, F cdf) {
  std::sort(x.begin(), x.end());
  const double n = static_cast<double>(x.size());
  double d = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double p = cdf(x[i]), at = static_cast<double>(i);
    d = std::max({d, p - at / n, (at + 1) / n - p});
  }
  return d * std::sqrt(n);
}

/// (chi^2 - degrees) / sqrt(2 degrees): about standard normal.
double chi_square(const std::vector<double>& counts, const std::vector<double>& expected) {
  double x = 0;
  for (size_t i = 0; i < counts.size(); ++i)
    x += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
  const double degrees = static_cast<double>(counts.size()) - 1;
  return (x - degrees) / std::sqrt(2 * degrees);
}

template <class T>
std::vector<double> histogram(const Array& x, size_t bins) {
  std::vector<double> counts(bins);
  for (const T i : x.to_vector<T>()) ++counts.at(static_cast<size_t>(i));
  return counts;
}

TEST(Random, Distributions) {
  for (const DType t : {kFloat32, kFloat64}) {
    const auto u = doubles(random::uniform(key(11), {100000}, 0.0, 1.0, t));
    EXPECT_GE(*std::min_element(u.begin(), u.end()), 0.0);
    EXPECT_LT(*std::max_element(u.begin(), u.end()), 1.0);
    EXPECT_LT(kolmogorov_smirnov(u, [](double v) { return v; }), 1.95);
    const auto z = doubles(random::normal(key(12), {100000}, t));
    EXPECT_LT(kolmogorov_smirnov(z, [](double v) { return 0.5 * std::erfc(-v * std::sqrt(0.5)); }), 1.95);
    const auto g = doubles(random::gumbel(key(13), {100000}, t));
    EXPECT_LT(kolmogorov_smirnov(g, [](double v) { return std::exp(-std::exp(-v)); }), 1.95);
  }
  const Array c = random::normal(key(14), {100000}, kComplex128);
  EXPECT_NEAR(mean(square(abs(c))).item<double>(), 1.0, 0.02);
  EXPECT_LT(std::fabs(mean(real(c) * imag(c)).item<double>()), 0.01);
  const std::vector<double> equal_shares(7, 10000.0);
  EXPECT_LT(chi_square(histogram<int64_t>(random::integers(key(15), 0, 7, {70000}), 7), equal_shares), 3.1);
  const Array p = Array::from<double>({0.5, 0.0, 1.5, 2.0});
  const auto chosen = histogram<int64_t>(random::choice(key(16), 4, {40000}, true, p), 4);
  EXPECT_EQ(chosen[1], 0.0);
  EXPECT_LT(chi_square({chosen[0], chosen[2], chosen[3]}, {5000, 15000, 20000}), 3.1);
  const auto categories = histogram<int64_t>(random::categorical(key(17), log(p), Shape{40000}), 4);
  EXPECT_EQ(categories[1], 0.0);
  EXPECT_LT(chi_square({categories[0], categories[2], categories[3]}, {5000, 15000, 20000}), 3.1);
}

TEST(Random, NormalQuantile) {  // mpmath, 40 digits
  EXPECT_EQ(rng::normal_quantile(0.5), 0.0);
  const double cases[][2] = {{0.3, -0.52440051270804066},  {0.01, -2.3263478740408412},
                             {1e-3, -3.0902323061678136},  {0.9, 1.2815515655446004},
                             {1e-10, -6.3613409024040562}, {0x1p-53, -8.2095361516013869}};
  for (const auto& [p, x] : cases) EXPECT_NEAR(rng::normal_quantile(p) / x, 1.0, 5e-16) << p;
}

TEST(Random, Integers) {
  const auto x = random::integers(key(3), -3, 4, {1000}, kInt8).to_vector<int8_t>();
  EXPECT_EQ(*std::min_element(x.begin(), x.end()), -3);
  EXPECT_EQ(*std::max_element(x.begin(), x.end()), 3);
  const int64_t least = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();
  const auto wide = random::integers(key(3), least, most, {100}).to_vector<int64_t>();
  EXPECT_LT(*std::min_element(wide.begin(), wide.end()), least / 2);
  EXPECT_GT(*std::max_element(wide.begin(), wide.end()), most / 2);
}

TEST(Random, PermutationsAndChoices) {
  auto x = random::permutation(key(4), 1000).to_vector<int64_t>();
  std::vector<int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_NE(x, all);
  std::sort(x.begin(), x.end());
  EXPECT_EQ(x, all);
  std::vector<double> orders(6), shares(6, 1000.0);  // all orders of three equally often
  for (uint64_t s = 0; s < 6000; ++s) {
    const auto p =
        random::permutation(random::fold_in(key(5), Array(static_cast<int64_t>(s))), 3).to_vector<int64_t>();
    ++orders[static_cast<size_t>(2 * p[0] + (p[1] > p[2]))];
  }
  EXPECT_LT(chi_square(orders, shares), 3.1);
  for (const auto& p : {std::optional<Array>(), std::optional<Array>(ones({10}))}) {
    const auto few = random::choice(key(6), 10, {2, 3}, false, p);
    EXPECT_EQ(few.shape(), (Shape{2, 3}));
    const auto v = few.to_vector<int64_t>();
    EXPECT_EQ(std::set<int64_t>(v.begin(), v.end()).size(), 6u);
  }
  EXPECT_EQ(random::choice(key(6), 5, {1}, false, Array::from<double>({0, 0, 3, 0, 0})).item<int64_t>(), 2);
  EXPECT_EQ(random::categorical(key(6), zeros({4, 3})).shape(), (Shape{4}));
}

TEST(Random, UniformIsDifferentiableInItsBounds) {
  const Array k = key(8);
  test::expect_derivatives(
      [&](Args x) {
        return Arrays{random::uniform(k, {2, 3}, x[0], x[1])};
      },
      {Array::from<double>({0.0, 1.0, 2.0}), Array::from<double>({3.0, 4.0, 5.0})});
  EXPECT_EQ(random::uniform(k, {2}, astype(Array(0.0), kFloat32), astype(Array(2.0), kFloat32)).dtype(),
            kFloat32);
}

TEST(Random, VmapOverKeys) {
  const Array keys = random::split(key(9), 37);
  const Fn one = [](std::span<const Array> x) {
    return Arrays{random::normal(x[0], {3, 2}), random::permutation(x[0], 5), random::split(x[0], 2),
                  random::fold_in(x[0], Array(5)), random::bits(x[0], {3}, kUInt16)};
  };
  const Arrays mapped = vmap(one, {keys}, {0}, {0});
  const auto list = keys.to_vector<Key>();
  for (int64_t i = 0; i < 37; ++i) {
    const Arrays single = one(std::vector<Array>{Array(list[static_cast<size_t>(i)])});
    for (size_t o = 0; o < single.size(); ++o) {
      const Array row = getitem(mapped[o], {Index(i)});
      if (row.dtype() == kKey)
        EXPECT_EQ(row.to_vector<Key>(), single[o].to_vector<Key>());
      else
        EXPECT_EQ(doubles(row), doubles(single[o]));
    }
  }
}

TEST(Random, Refusals) {
  EXPECT_THROW(random::uniform(Array(1.0), {2}), TypeError);
  EXPECT_THROW(random::uniform(random::split(key(0)), {2}), ValueError);
  EXPECT_THROW(random::uniform(key(0), {-2}), ValueError);
  EXPECT_THROW(random::uniform(key(0), {2}, 1.0, 0.0), ValueError);
  EXPECT_THROW(random::uniform(key(0), {2}, 0.0, 1.0, kInt32), TypeError);
  EXPECT_THROW(random::integers(key(0), 3, 3, {2}), ValueError);
  EXPECT_THROW(random::integers(key(0), 0, 300, {2}, kUInt8), ValueError);
  EXPECT_THROW(random::bits(key(0), {2}, kFloat32), TypeError);
  EXPECT_THROW(random::choice(key(0), 3, {4}, false), ValueError);
  EXPECT_THROW(random::choice(key(0), 2, {4}, true, Array::from<double>({1, -1})), ValueError);
  EXPECT_THROW(random::choice(key(0), 2, {2}, false, Array::from<double>({1, 0})), ValueError);
  EXPECT_THROW(random::fold_in(key(0), Array(1.5)), TypeError);
}

}  // namespace
}  // namespace hesse
