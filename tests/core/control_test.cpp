#include <gtest/gtest.h>

#include <cmath>

#include "core/cpu/threads.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/program/explain.h"

/// Maps on tiles, loops, branches and compiled programs, forwards: values that a person can check.
namespace hesse {
namespace {

using Span = std::span<const Array>;

Array f64(const std::vector<double>& v, const Shape& shape) { return Array::from<double>(v, shape); }
Array f64(const std::vector<double>& v) { return f64(v, {static_cast<int64_t>(v.size())}); }
Array i64(const std::vector<int64_t>& v) { return Array::from<int64_t>(v, {static_cast<int64_t>(v.size())}); }
std::vector<double> values(const Array& a) { return a.to_vector<double>(); }

std::vector<Result> all(size_t n, const Result& r) { return std::vector<Result>(n, r); }

/// 0, 1, ..., n - 1 as columns of a [n, 2] table: row i holds i and 2 i.
Array table(int64_t n) {
  std::vector<double> v;
  for (int64_t i = 0; i < n; ++i) v.insert(v.end(), {static_cast<double>(i), 2.0 * static_cast<double>(i)});
  return f64(v, {n, 2});
}

class MapLengths : public testing::TestWithParam<int64_t> {};

TEST_P(MapLengths, EachSumAndSegmentSum) {
  const int64_t n = GetParam();
  const Array scale = f64({10.0, 1.0});
  std::vector<int64_t> group;
  for (int64_t i = 0; i < n; ++i) group.push_back(i % 3);
  // y_i = 10 i + 2 i
  const Fn f = [](Span x) { return Arrays{sum(multiply(x[0], x[1]))}; };
  const std::vector<Access> access{Access::each(), Access::uniform()};
  const auto run = [&](const Result& r) {
    return map(f, n, {table(n), scale}, access, [&](size_t k) { return all(k, r); }, {i64(group)})[0];
  };
  std::vector<double> each, segments(3, 0.0);
  double total = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    each.push_back(12.0 * static_cast<double>(i));
    segments[static_cast<size_t>(i % 3)] += each.back();
    total += each.back();
  }
  EXPECT_EQ(values(run(Result::each())), each);
  EXPECT_EQ(values(run(Result::sum())), (std::vector<double>{total}));
  EXPECT_EQ(values(run(Result::segment_sum(0, 3))), segments);
}

TEST_P(MapLengths, GatheredRows) {
  const int64_t n = GetParam();
  std::vector<int64_t> rows;
  std::vector<double> expected;
  for (int64_t i = 0; i < n; ++i) {
    rows.push_back(4 - i % 5);
    expected.push_back(3.0 * static_cast<double>(rows.back()));
  }
  const Array y = map([](Span x) { return Arrays{sum(x[0])}; }, n, {table(5)}, {Access::gather(0)},
                      [](size_t k) { return all(k, Result::each()); }, {i64(rows)})[0];
  EXPECT_EQ(values(y), expected);
}

// Around a vector and a tile, and several tiles with a rest.
INSTANTIATE_TEST_SUITE_P(Lengths, MapLengths, testing::Values(0, 1, 7, 8, 9, 511, 512, 513, 1500));

TEST(Map, BitsDoNotDependOnThreads) {
  const int64_t n = 3001;
  std::vector<double> x;
  for (int64_t i = 0; i < 4 * n; ++i) x.push_back(std::sin(static_cast<double>(i)));
  const auto run = [&] {
    return map(
               [](Span v) {
                 return Arrays{tanh(matmul(reshape(v[0], {1, 4}), reshape(v[0], {4, 1})))};
               },
               n, {f64(x, {n, 4})}, {Access::each()}, [](size_t k) { return all(k, Result::sum()); })[0]
        .item<double>();
  };
  const int before = num_threads();
  set_num_threads(1);
  const double alone = run();
  for (const int threads : {2, 3, 7}) {
    set_num_threads(threads);
    EXPECT_EQ(run(), alone) << threads << " threads";
  }
  set_num_threads(before);
}

TEST(Map, MapsInMaps) {
  // sum_j x_ij y_ij, an inner map over j whose lanes lie beside those of i.
  const int64_t n = 700, m = 3;
  std::vector<double> x, expected;
  for (int64_t i = 0; i < n * m; ++i) x.push_back(static_cast<double>(i % 11));
  for (int64_t i = 0; i < n; ++i) {
    double total = 0.0;
    for (int64_t j = 0; j < m; ++j) total += std::pow(x[static_cast<size_t>(i * m + j)], 2);
    expected.push_back(total);
  }
  const Fn inner = [](Span a) { return Arrays{multiply(a[0], a[0])}; };
  const Fn outer = [&](Span a) {
    return map(inner, m, {a[0]}, {Access::each()}, [](size_t k) { return all(k, Result::sum()); });
  };
  const Array y =
      map(outer, n, {f64(x, {n, m})}, {Access::each()}, [](size_t k) { return all(k, Result::each()); })[0];
  EXPECT_EQ(values(y), expected);
}

TEST(Map, AFailureNamesTheFirstExample) {
  const Array bad = i64({0, 1, 9});
  try {
    (void)map([](Span x) { return Arrays{x[0]}; }, 3, {table(2)}, {Access::gather(0)},
              [](size_t k) { return all(k, Result::each()); }, {bad});
    FAIL() << "index 9 was accepted";
  } catch (const IndexError& e) {
    EXPECT_NE(std::string(e.what()).find("index 9 at position 2 is out of range for 2 rows"),
              std::string::npos)
        << e.what();
  }
}

TEST(Loops, ScanCarriesAndStacks) {
  // Running sums, forwards and backwards.
  const Fn add_up = [](Span x) { return Arrays{add(x[0], x[1]), add(x[0], x[1])}; };
  const Array xs = f64({1, 2, 3, 4, 5, 6});
  Arrays y = scan(add_up, {f64({0}, {})}, {xs});
  EXPECT_EQ(values(y[0]), (std::vector<double>{21}));
  EXPECT_EQ(values(y[1]), (std::vector<double>{1, 3, 6, 10, 15, 21}));
  y = scan(add_up, {f64({0}, {})}, {xs}, {}, true);
  EXPECT_EQ(values(y[1]), (std::vector<double>{21, 20, 18, 15, 11, 6}));
}

TEST(Loops, WhileStopsWhereItShould) {
  for (const int64_t steps : {0, 1, 3, 4, 5, 100}) {  // bodies are prepared after a few steps
    const Arrays y = while_loop([&](Span x) { return Arrays{less(x[1], Array(steps))}; },
                                [](Span x) {
                                  return Arrays{add(x[0], multiply(x[0], Array(1.0))), add(x[1], Array(1))};
                                },
                                {f64({1}, {}), Array(int64_t{0})});
    EXPECT_EQ(values(y[0])[0], std::ldexp(1.0, static_cast<int>(steps)));
  }
}

TEST(Loops, UpdatesInPlaceLeaveTheCallersArrayAlone) {
  const int64_t n = 5000;
  const Array start = f64(std::vector<double>(static_cast<size_t>(n), 1.0));
  const int64_t before = Buffer::total_bytes();
  const Array y = fori_loop(
      Array(int64_t{0}), Array(n),
      [](const Array& i, Span x) { return Arrays{at_update(x[0], {i}, astype(i, kFloat64), Update::Add)}; },
      {start})[0];
  EXPECT_LT(Buffer::total_bytes() - before, 1000 * n);  // a copy at every step is 8 n^2
  EXPECT_EQ(y.to_vector<double>()[4321], 4322.0);
  EXPECT_EQ(values(start), std::vector<double>(static_cast<size_t>(n), 1.0));
}

TEST(Branches, OnlyTheChosenOneRuns) {
  const auto pick = [](int64_t i) {
    return switch_(Array(i),
                   {[](Span x) { return Arrays{x[0]}; }, [](Span x) { return Arrays{multiply(x[0], x[0])}; }},
                   {f64({3}, {})})[0]
        .item<double>();
  };
  EXPECT_EQ(pick(0), 3.0);
  EXPECT_EQ(pick(1), 9.0);
}

TEST(Programs, BlocksGiveWhatTheirEquationsGive) {
  // Scalars, rows, views, broadcasts, an input and a constant given out, the same output twice.
  const Fn f = [](Span x) {
    const Array a = tanh(add(x[0], Array(1.0))), b = reshape(multiply(a, a), {2, 2});
    const Array s = sum(b), t = transpose(b), c = subtract(t, s);
    return Arrays{c, x[0], t, s, c, add(multiply(s, s), Array(2.0))};
  };
  const Array x = f64({0.5, -1.0, 2.0, 0.0});
  const Compiled program = compile(f, {{x.shape(), x.dtype()}});
  const Arrays got = program(Arrays{x}), expected = f(Arrays{x});
  ASSERT_EQ(got.size(), expected.size());
  for (size_t k = 0; k < got.size(); ++k) {
    EXPECT_EQ(got[k].shape(), expected[k].shape());
    const std::vector<double> a = values(got[k]), b = values(expected[k]);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 4e-16) << k << ' ' << i;
  }
  // Other strides: laid out again.
  const Array every_other = f64({0.5, 9, -1.0, 9, 2.0, 9, 0.0, 9});
  const Array strided = getitem(every_other, {Slice{0, 8, 2}});
  EXPECT_EQ(values(program(Arrays{strided})[0]), values(got[0]));
}

TEST(Programs, TilingsOfMaps) {
  const Fn f = [](Span x) {
    return map([](Span v) { return Arrays{tanh(v[0])}; }, 1000, {x[0]}, {Access::each()},
               [](size_t k) { return all(k, Result::sum()); });
  };
  const std::vector<Tiling> t = tilings(*compile(f, {{Shape{1000}, kFloat64}}).program());
  ASSERT_EQ(t.size(), 1u);
  EXPECT_EQ(t[0].examples, 1000);
  EXPECT_EQ(t[0].lanes, 496);
}

}  // namespace
}  // namespace hesse
