// Loops of scalars as code in lanes: refill, stacks, masks, and lengths of zero, against loops of C++.
#include "core/program/lane_loop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autodiff/autodiff.h"
#include "core/cpu/threads.h"
#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;

const Aval kNumber{{}, kFloat64}, kCount{{}, kInt64};

Array f64(const std::vector<double>& v) { return Array::from<double>(v, {static_cast<int64_t>(v.size())}); }
Array i64(const std::vector<int64_t>& v) { return Array::from<int64_t>(v, {static_cast<int64_t>(v.size())}); }
View uniform(const Array& scalar, int64_t lanes) {
  View v = scalar.view();
  v.shape = {lanes};
  v.strides = {0};
  return v;
}

// x halves while it is above the limit; n counts.
const Ref<const Graph>& above() {
  static const Ref<const Graph> g =
      trace_closed([](Span c) { return Arrays{c[0] > c[2]}; }, Avals{kNumber, kCount, kNumber});
  return g;
}
const Ref<const Graph>& halved() {
  static const Ref<const Graph> g = trace_closed(
      [](Span c) {
        return Arrays{0.5 * c[0], c[1] + int64_t{1}};
      },
      Avals{kNumber, kCount});
  return g;
}

struct Halved {
  std::vector<double> x;
  std::vector<int64_t> n;
};
Halved in_lanes(const std::vector<double>& start, double limit, int64_t lanes = 8) {
  const auto loop =
      LaneLoop::make(LoopParts{.cond = above(), .body = halved(), .num_carry = 2, .save = false}, lanes);
  EXPECT_NE(loop, nullptr);
  const auto count = static_cast<int64_t>(start.size());
  const Array x = f64(start), n = i64(std::vector<int64_t>(start.size(), 5)), bound(limit);
  const Array x_out = Array::uninitialized({count}, kFloat64), n_out = Array::uninitialized({count}, kInt64);
  const View in[] = {x.view(), n.view(), uniform(bound, count)}, out[] = {x_out.view(), n_out.view()};
  loop->run(in, out, 1, 0);
  return {x_out.to_vector<double>(), n_out.to_vector<int64_t>()};
}

TEST(LaneLoop, ALaneTakesTheNextExampleWhenItsOwnHasEnded) {
  for (const size_t count : {1, 7, 8, 9, 61}) {
    std::vector<double> start;
    for (size_t i = 0; i < count; ++i)
      start.push_back(std::ldexp(1.0 + 0.01 * static_cast<double>(i), i * 7 % 40));
    const Halved got = in_lanes(start, 1.5);
    for (size_t i = 0; i < count; ++i) {
      double x = start[i];
      int64_t n = 5;
      for (; x > 1.5; x *= 0.5) ++n;
      EXPECT_EQ(got.x[i], x) << i << " of " << count;
      EXPECT_EQ(got.n[i], n) << i << " of " << count;
    }
  }
}

TEST(LaneLoop, LoopsThatDoNotRun) {
  const Halved got = in_lanes({1.0, -2.0, 0.0}, 1.5);
  EXPECT_EQ(got.x, (std::vector<double>{1.0, -2.0, 0.0}));
  EXPECT_EQ(got.n, (std::vector<int64_t>{5, 5, 5}));
  EXPECT_TRUE(in_lanes({}, 1.5).x.empty());
}

TEST(LaneLoop, NaNAndInfinityStayInTheirLane) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> start(20, 1024.0);
  start[3] = start[11] = nan;
  start[4] = -std::numeric_limits<double>::infinity();
  const Halved got = in_lanes(start, 1.0);
  for (size_t i = 0; i < start.size(); ++i) {
    const bool stays = i == 3 || i == 4 || i == 11;
    EXPECT_EQ(got.n[i], stays ? 5 : 15) << i;
    EXPECT_EQ(std::isnan(got.x[i]), i == 3 || i == 11) << i;
    if (!stays) {
      EXPECT_EQ(got.x[i], 1.0);
    }
  }
}

TEST(LaneLoop, OneLaneAndEightGiveTheSameBits) {
  const std::vector<double> start{3.7e8, 1.1, 99.0, 2.5e3, 7e5, 12.0, 1e12, 3.0, 8e8, 1.7};
  EXPECT_EQ(in_lanes(start, 1.5, 8).x, in_lanes(start, 1.5, 1).x);
}

TEST(LaneLoop, StacksGrow) {
  const auto loop =
      LaneLoop::make(LoopParts{.cond = above(), .body = halved(), .num_carry = 2, .save = true}, 1);
  ASSERT_NE(loop, nullptr);
  for (const int steps : {0, 1, 9, 1000}) {
    const Array x(std::ldexp(1.0, steps - 500)), n(int64_t{-3}), limit(std::ldexp(1.0, -500));
    const Aval stack{{kDynamic}, kFloat64}, counts{{kDynamic}, kInt64};
    const Arrays out = loop->evaluated(Arrays{x, n, limit}, {kNumber, kCount, stack, counts}, 0);
    EXPECT_EQ(out[1].item<int64_t>(), steps - 3);
    ASSERT_EQ(out[2].shape(), Shape{steps});
    const std::vector<double> xs = out[2].to_vector<double>();
    const std::vector<int64_t> ns = out[3].to_vector<int64_t>();
    for (int i = 0; i < steps; ++i) {
      EXPECT_EQ(xs[static_cast<size_t>(i)], std::ldexp(1.0, steps - 500 - i));
      EXPECT_EQ(ns[static_cast<size_t>(i)], i - 3);
    }
  }
}

TEST(LaneLoop, Integers) {
  // Comparisons and sums of int64 beyond what float64 can tell apart, and around zero.
  const int64_t large = int64_t{1} << 62;
  const std::vector<int64_t> a{large, large + 1, -large, 0, -1, 1, large, -5, 3, INT64_MAX};
  const std::vector<int64_t> b{large + 1, large, -large, 0, 1, -1, large, -6, 4, 1};
  const auto body = trace_closed(
      [](Span c) {
        const Array &x = c[0], &y = c[1];
        const auto as_count = [](const Array& truth) { return where(truth, int64_t{1}, int64_t{0}); };
        const Array tests = as_count(less(x, y)) + where(less_equal(x, y), int64_t{2}, int64_t{0}) +
                            where(equal(x, y), int64_t{4}, int64_t{0}) +
                            where(not_equal(x, y), int64_t{8}, int64_t{0});
        return Arrays{x, y, tests, add(x, y), subtract(x, y), astype(less(y, x), kInt64)};
      },
      Avals(6, kCount));
  const auto loop = LaneLoop::make(
      LoopParts{.body = body, .num_carry = 6, .num_xs = 0, .reverse = false, .save = false}, 8);
  ASSERT_NE(loop, nullptr);
  const auto count = static_cast<int64_t>(a.size());
  const Array zero = i64(std::vector<int64_t>(a.size(), 0));
  const Arrays in{i64(a), i64(b), zero, zero, zero, zero};
  Arrays out;
  std::vector<View> from, to;
  for (const Array& x : in) {
    from.push_back(x.view());
    out.push_back(Array::uninitialized({count}, kInt64));
    to.push_back(out.back().view());
  }
  loop->run(from, to, 1, 1);
  for (size_t i = 0; i < a.size(); ++i) {
    const int64_t tests = (a[i] < b[i]) + 2 * (a[i] <= b[i]) + 4 * (a[i] == b[i]) + 8 * (a[i] != b[i]);
    const auto wrapped = [](uint64_t x) { return static_cast<int64_t>(x); };
    const auto x = static_cast<uint64_t>(a[i]), y = static_cast<uint64_t>(b[i]);
    EXPECT_EQ(out[2].to_vector<int64_t>()[i], tests) << i;
    EXPECT_EQ(out[3].to_vector<int64_t>()[i], wrapped(x + y)) << i;
    EXPECT_EQ(out[4].to_vector<int64_t>()[i], wrapped(x - y)) << i;
    EXPECT_EQ(out[5].to_vector<int64_t>()[i], b[i] < a[i]) << i;
  }
}

TEST(LaneLoop, ScansForwardsAndBackwardsKeepTheirCarries) {
  // c <- c / 2 + x, of columns of xs [5, lanes]; carries change places, which takes a copy.
  const auto body = trace_closed(
      [](Span x) {
        return Arrays{x[1], 0.5 * x[0] + x[2], x[0] - x[1]};
      },
      Avals{kNumber, kNumber, kNumber});
  for (const bool reverse : {false, true})
    for (const int64_t length : {0, 1, 5}) {
      const auto loop = LaneLoop::make(
          LoopParts{.body = body, .num_carry = 2, .num_xs = 1, .reverse = reverse, .save = true}, 8);
      ASSERT_NE(loop, nullptr);
      constexpr int64_t kCountOf = 11;
      std::vector<double> start, other, xs;
      for (int64_t l = 0; l < kCountOf; ++l) {
        start.push_back(0.3 * static_cast<double>(l));
        other.push_back(1.0 / static_cast<double>(l + 1));
      }
      for (int64_t i = 0; i < length * kCountOf; ++i) xs.push_back(std::sin(static_cast<double>(i)));
      const Array x = Array::from<double>(xs, {length, kCountOf}), a = f64(start), b = f64(other);
      const Shape rows{length, kCountOf};
      const Arrays out{Array::uninitialized({kCountOf}, kFloat64), Array::uninitialized({kCountOf}, kFloat64),
                       Array::uninitialized(rows, kFloat64), Array::uninitialized(rows, kFloat64),
                       Array::uninitialized(rows, kFloat64)};
      const View in[] = {a.view(), b.view(), x.view()};
      std::vector<View> to;
      for (const Array& y : out) to.push_back(y.view());
      loop->run(in, to, 1, length);
      std::vector<std::vector<double>> got;
      for (const Array& y : out) got.push_back(y.to_vector<double>());
      for (int64_t l = 0; l < kCountOf; ++l) {
        const auto lane = static_cast<size_t>(l);
        double c = start[lane], d = other[lane];
        for (int64_t s = 0; s < length; ++s) {
          const auto at = static_cast<size_t>((reverse ? length - 1 - s : s) * kCountOf + l);
          EXPECT_EQ(got[2][at], c - d);
          EXPECT_EQ(got[3][at], c);
          EXPECT_EQ(got[4][at], d);
          const double next = std::fma(0.5, c, xs[at]);
          c = d;
          d = next;
        }
        EXPECT_EQ(got[0][lane], c);
        EXPECT_EQ(got[1][lane], d);
      }
    }
}

// The solution of y' = -k y by steps of an own size, and its gradient in k: (1 - k h)^n.
Arrays powers(Span k) {
  return scan(
      [&](Span x) {
        const Array times = x[1];  // steps of this element
        const Arrays y = while_loop([&](Span c) { return Arrays{c[1] < times}; },
                                    [&](Span c) {
                                      return Arrays{c[0] * (1.0 - 0.01 * k[0]), c[1] + 1.0};
                                    },
                                    {x[0], Array(0.0)});
        return Arrays{y[0], y[0]};
      },
      {Array(1.0)}, {k[1]});
}

TEST(LaneLoop, GradientsOfLoopsInLanesAreTheSameForAnyNumberOfThreads) {
  constexpr int64_t kExamples = 300, kElements = 4;
  std::vector<double> rates, times;
  for (int64_t i = 0; i < kExamples; ++i) {
    rates.push_back(0.5 + 0.01 * static_cast<double>(i));
    for (int64_t e = 0; e < kElements; ++e) times.push_back(static_cast<double>((i * (e + 3)) % 17));
  }
  const Array k = f64(rates), t = Array::from<double>(times, {kExamples, kElements});
  const Fn gradient = [](Span x) {
    return value_and_grad([&](Span k) { return Arrays{powers(Arrays{k[0], x[1]})[0]}; }, {x[0]}, {0}).second;
  };
  const Compiled program = compile(
      [&](Span x) {
        return vmap(gradient, {x[0], x[1]}, {0, 0}, {0});
      },
      {aval(k), aval(t)});
  const int before = num_threads();
  std::vector<double> first;
  for (const int threads : {1, 2, 7}) {
    set_num_threads(threads);
    const std::vector<double> got = program(Arrays{k, t})[0].to_vector<double>();
    if (threads == 1)
      first = got;
    else
      EXPECT_EQ(got, first) << threads << " threads";
  }
  set_num_threads(before);
  for (int64_t i = 0; i < kExamples; ++i) {
    const auto at = static_cast<size_t>(i);
    double n = 0;
    for (int64_t e = 0; e < kElements; ++e) n += times[at * kElements + static_cast<size_t>(e)];
    const double expected = n == 0 ? 0.0 : -0.01 * n * std::pow(1.0 - 0.01 * rates[at], n - 1);
    EXPECT_NEAR(first[at], expected, 1e-13 * (1 + std::abs(expected))) << i;
  }
}

// Factors are made in one stretch of code, and read in others: within a loop, and behind it.
TEST(LaneLoop, FactorsAreReadInLoopsBehindThem) {
  const int64_t n = 3;
  const Fn step = [&](Span c) {
    const Array &x = c[0], &a = c[2], &b = c[3];
    const Fn solution = [&](Span y) {
      const Factored system(a + astype(c[1], kFloat64) * eye(n), Factored::Singular::GivesNaN);
      const Arrays inner =
          while_loop([](Span z) { return Arrays{z[1] < int64_t{4}}; },
                     [&](Span z) {
                       return Arrays{z[0] + 0.5 * system.solve(y[0] - z[0]), z[1] + int64_t{1}};
                     },
                     {stop_gradient(x), Array(int64_t{0})});
      return Arrays{system.solve(y[0]) + stop_gradient(inner[0])};
    };
    const auto [y, back] = vjp(solution, {b});
    return Arrays{y[0] + *back({b})[0], c[1] + int64_t{1}};
  };
  const Avals avals{{{n}, kFloat64}, kCount, {{n, n}, kFloat64}, {{n}, kFloat64}};
  const auto body = trace_closed(step, avals);
  const auto cond = trace_closed([](Span c) { return Arrays{c[1] < int64_t{3}}; }, Avals{avals[0], kCount});
  // The largest entries are not on the diagonal: rows are exchanged.
  const Array a = Array::from<double>(std::array{0.1, 2.0, -1.0, 3.0, 0.2, 1.0, 1.0, -1.5, 0.1}, {n, n});
  const Arrays in{f64({1, 2, 3}), Array(int64_t{0}), a, f64({-1, 0.5, 2})};
  Arrays expected = in;
  for (int k = 0; k < 3; ++k) {
    const Arrays out = body->run(expected);
    expected[0] = out[0];
    expected[1] = out[1];
  }
  const auto loop = LaneLoop::make(LoopParts{.cond = cond, .body = body, .num_carry = 2, .save = false}, 1);
  ASSERT_NE(loop, nullptr);
  const Arrays out = loop->evaluated(in, {avals[0], avals[1]}, 0);
  EXPECT_EQ(out[1].item<int64_t>(), 3);
  for (int64_t i = 0; i < n; ++i)
    EXPECT_NEAR(out[0].to_vector<double>()[static_cast<size_t>(i)],
                expected[0].to_vector<double>()[static_cast<size_t>(i)], 1e-12);
}

// A carry that moves to where the test reads, and a test that is a carry itself.
TEST(LaneLoop, TestsThatAreCarries) {
  const Avals avals{{{}, kBool}, {{}, kBool}, kCount};
  const auto cond = trace_closed([](Span c) { return Arrays{c[0]}; }, avals);
  const auto body = trace_closed(
      [](Span c) {
        return Arrays{c[1], c[2] < int64_t{3}, c[2] + int64_t{1}};
      },
      avals);
  const auto loop = LaneLoop::make(LoopParts{.cond = cond, .body = body, .num_carry = 3, .save = false}, 1);
  ASSERT_NE(loop, nullptr);
  const Arrays out = loop->evaluated(Arrays{Array(true), Array(true), Array(int64_t{0})}, avals, 0);
  EXPECT_EQ(out[2].item<int64_t>(), 5);  // the fourth step makes the first false, the fifth moves it up
}

// Memory and layouts are those of the last run where they fit.
TEST(LaneLoop, RunsOfOtherLayoutsFollowEachOther) {
  const auto body = trace_closed(
      [](Span x) {
        return Arrays{0.5 * x[0] + x[1], x[0] * x[1]};
      },
      Avals{{{2}, kFloat64}, {{2}, kFloat64}});
  const auto loop = LaneLoop::make(
      LoopParts{.body = body, .num_carry = 1, .num_xs = 1, .reverse = false, .save = false}, 8);
  ASSERT_NE(loop, nullptr);
  for (const auto& [length, lanes, transposed] : std::vector<std::tuple<int64_t, int64_t, bool>>{
           {3, 5, false}, {3, 5, true}, {7, 5, true}, {7, 2, false}, {1, 20, false}, {3, 5, false}}) {
    std::vector<double> start, xs;
    for (int64_t i = 0; i < 2 * lanes; ++i) start.push_back(std::cos(static_cast<double>(i)));
    for (int64_t i = 0; i < 2 * length * lanes; ++i) xs.push_back(std::sin(static_cast<double>(i)));
    const Array c = Array::from<double>(start, {2, lanes}),
                x = transposed ? transpose(Array::from<double>(xs, {lanes, 2, length}), Axes{2, 1, 0})
                               : Array::from<double>(xs, {length, 2, lanes});
    const Array last = Array::uninitialized({2, lanes}, kFloat64),
                ys = Array::uninitialized({length, 2, lanes}, kFloat64);
    const View in[] = {c.view(), x.view()}, out[] = {last.view(), ys.view()};
    loop->run(in, out, 1, length);
    Array carry = c;
    for (int64_t t = 0; t < length; ++t) {
      const Array of_step = reshape(slice(x, {t, 0, 0}, {t + 1, 2, lanes}, {1, 1, 1}), Shape{2, lanes});
      const Array y = reshape(slice(ys, {t, 0, 0}, {t + 1, 2, lanes}, {1, 1, 1}), Shape{2, lanes});
      EXPECT_EQ(y.to_vector<double>(), (carry * of_step).to_vector<double>());
      carry = 0.5 * carry + of_step;
    }
    for (size_t i = 0; i < start.size(); ++i)
      EXPECT_NEAR(last.to_vector<double>()[i], carry.to_vector<double>()[i], 1e-15);
  }
}

TEST(LaneLoop, StacksOfOneRunOutliveTheNext) {
  const auto loop =
      LaneLoop::make(LoopParts{.cond = above(), .body = halved(), .num_carry = 2, .save = true}, 1);
  ASSERT_NE(loop, nullptr);
  const Avals results{kNumber, kCount, {{kDynamic}, kFloat64}, {{kDynamic}, kInt64}};
  const auto run = [&](double start) {
    return loop->evaluated(Arrays{Array(start), Array(int64_t{0}), Array(1.5)}, results, 0);
  };
  const Arrays many = run(std::ldexp(1.0, 20)), none = run(1.0), few = run(8.0);
  std::vector<double> expected;
  for (int k = 20; k > 0; --k) expected.push_back(std::ldexp(1.0, k));
  EXPECT_EQ(many[2].to_vector<double>(), expected);
  EXPECT_EQ(many[3].to_vector<int64_t>().back(), 19);
  EXPECT_EQ(none[2].shape(), Shape{0});
  EXPECT_EQ(few[2].to_vector<double>(), (std::vector<double>{8, 4, 2}));
}

TEST(LaneLoop, WhatCannotBeTakenApartRunsAsBefore) {
  const auto drawn = trace_closed([](Span x) { return Arrays{sort(x[0])}; }, Avals{{{4}, kFloat64}});
  EXPECT_EQ(LaneLoop::make(
                LoopParts{.body = drawn, .num_carry = 1, .num_xs = 0, .reverse = false, .save = false}, 8),
            nullptr);
}

}  // namespace
}  // namespace hesse
