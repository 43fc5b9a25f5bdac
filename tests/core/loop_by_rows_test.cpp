// Loops over states with a row for each of several systems, as code with a row in each lane, against the same
// loops on whole arrays.
#include <gtest/gtest.h>

#include <cmath>

#include "core/cpu/assign.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/program/lane_loop.h"
#include "tests/core/compare.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;
using test::avals_of;

Array numbers(const Shape& shape, DType dtype, double phase) {
  std::vector<double> v;
  for (int64_t i = 0; i < num_elements(shape); ++i)
    v.push_back(std::sin(phase + 1.7 * static_cast<double>(i)));
  return astype(Array::from<double>(v, shape), dtype);
}
void expect_close(const Array& got, const Array& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(got.shape(), expected.shape()) << what;
  ASSERT_EQ(got.dtype(), expected.dtype()) << what;
  const auto a = astype(got, kFloat64).to_vector<double>(),
             b = astype(expected, kFloat64).to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], tolerance * (1 + std::abs(b[i]))) << what << ", entry " << i;
}
Array scalar(double x, DType dtype) { return astype(Array(x), dtype); }

// Trajectories y [n, 2] of a network's field with one step size for all, and how much their states' squares
// add up to: (y, t, h, sum) with weights w [2, 9], b [9], v [9, 2].
struct Trajectories {
  Arrays carry, weights;
  Ref<const Graph> cond, body;
  Trajectories(int64_t n, DType dtype) {
    carry = {numbers({n, 2}, dtype, 0.3), scalar(0, dtype), scalar(0.1, dtype), numbers({2, 2}, dtype, 2)};
    weights = {numbers({2, 9}, dtype, 1), numbers({9}, dtype, 4), numbers({9, 2}, dtype, 5)};
    cond = trace_closed([&](Span c) { return Arrays{c[1] < scalar(1.3, dtype)}; }, avals_of(carry));
    Arrays all = carry;
    all.insert(all.end(), weights.begin(), weights.end());
    body = trace_closed(
        [&](Span x) {
          const Array &y = x[0], &h = x[2];
          const Array slope = matmul(tanh(matmul(y, x[4]) + x[5]), x[6]);
          const Array next = y + h * slope;
          const Array error = sqrt(mean(square(h * slope / (scalar(1, dtype) + abs(y)))));
          return Arrays{next, x[1] + h,
                        h * where(error < scalar(0.02, dtype), scalar(1.1, dtype), scalar(0.9, dtype)),
                        x[3] + matmul(matrix_transpose(y), next)};
        },
        avals_of(all));
  }
  // On whole arrays.
  Arrays expected(std::vector<Arrays>* saved = nullptr) const {
    Arrays c = carry;
    while (cond->run(c)[0].item<bool>()) {
      if (saved) saved->push_back(c);
      Arrays in = c;
      in.insert(in.end(), weights.begin(), weights.end());
      c = body->run(in);
    }
    return c;
  }
};

TEST(LoopByRows, TrajectoriesWithOneStepSize) {
  for (const DType dtype : {kFloat64, kFloat32})
    for (const int64_t n : {4, 5, 7, 8, 11, 13, 20, 31, 64}) {
      const Trajectories t(n, dtype);
      const auto loop =
          LaneLoop::make_by_rows(LoopParts{.cond = t.cond, .body = t.body, .num_carry = 4, .save = false});
      ASSERT_NE(loop, nullptr) << n;
      Arrays in = t.carry;
      in.insert(in.end(), t.weights.begin(), t.weights.end());
      const Arrays expected = t.expected(), got = loop->evaluated(in, avals_of(expected), 0);
      for (size_t k = 0; k < 4; ++k)
        expect_close(got[k], expected[k], dtype == kFloat64 ? 1e-13 : 2e-5,
                     "carry " + std::to_string(k) + " of " + std::to_string(n) + " rows");
      // In memory used before: what fills its rows up does not matter.
      const Arrays again = loop->evaluated(in, avals_of(expected), 0);
      for (size_t k = 0; k < 4; ++k)
        EXPECT_EQ(astype(again[k], kFloat64).to_vector<double>(),
                  astype(got[k], kFloat64).to_vector<double>());
    }
}

TEST(LoopByRows, StacksHoldWholeStates) {
  const Trajectories t(6, kFloat64);
  const auto loop =
      LaneLoop::make_by_rows(LoopParts{.cond = t.cond, .body = t.body, .num_carry = 4, .save = true});
  ASSERT_NE(loop, nullptr);
  std::vector<Arrays> saved;
  Avals results = avals_of(t.expected(&saved));
  for (size_t k = 0; k < 4; ++k) {
    results.push_back(results[k]);
    results.back().shape.insert(0, kDynamic);
  }
  Arrays in = t.carry;
  in.insert(in.end(), t.weights.begin(), t.weights.end());
  const Arrays got = loop->evaluated(in, results, 0);
  ASSERT_GT(saved.size(), 3u);
  for (size_t k = 0; k < 4; ++k) {
    Arrays rows;
    for (const Arrays& c : saved) rows.push_back(c[k]);
    expect_close(got[4 + k], stack(rows), 1e-13, "stack " + std::to_string(k));
  }
}

TEST(LoopByRows, ScansOverSlicesWithRows) {
  constexpr int64_t kRows = 7, kSteps = 5;
  const Arrays carry{numbers({kRows, 3}, kFloat64, 1), numbers({3, 3}, kFloat64, 2)};
  const Arrays xs{numbers({kSteps, kRows, 3}, kFloat64, 3), numbers({kSteps}, kFloat64, 4)};
  // A column of transposed rows, a sum over rows that is used in each, and a constant [3, 3].
  const Array mixing = numbers({3, 3}, kFloat64, 5);
  Avals avals = avals_of(carry);
  avals.push_back({{kRows, 3}, kFloat64});
  avals.push_back({{}, kFloat64});
  avals.push_back(aval(mixing));
  const auto body = trace_closed(
      [&](Span x) {
        const Array turned = matmul(x[4], matrix_transpose(x[2]));  // [3, rows]
        const Array centre = mean(x[0], Axes{0}, true);
        const Array next = 0.5 * x[0] + x[3] * matrix_transpose(turned) - centre;
        return Arrays{next, x[1] + matmul(matrix_transpose(next), x[2]), next * x[3],
                      sum(square(next), Axes{1}), sum(next)};
      },
      avals);
  for (const bool reverse : {false, true}) {
    const auto loop = LaneLoop::make_by_rows(
        LoopParts{.body = body, .num_carry = 2, .num_xs = 2, .reverse = reverse, .save = true});
    ASSERT_NE(loop, nullptr);
    Arrays c = carry;
    std::vector<Arrays> ys(5, Arrays(kSteps, c[0]));
    for (int64_t s = 0; s < kSteps; ++s) {
      const int64_t time = reverse ? kSteps - 1 - s : s;
      const auto t = static_cast<size_t>(time);
      ys[3][t] = c[0];
      ys[4][t] = c[1];
      const auto slice = [&](const Array& x) { return x.viewed(cpu::at(x.view(), 0, time)); };
      const Arrays out = body->run(Arrays{c[0], c[1], slice(xs[0]), slice(xs[1]), mixing});
      for (size_t k = 0; k < 3; ++k) ys[k][t] = out[2 + k];
      c = {out[0], out[1]};
    }
    Arrays expected = c;
    for (const Arrays& y : ys) expected.push_back(stack(y));
    const Arrays got =
        loop->evaluated(Arrays{carry[0], carry[1], xs[0], xs[1], mixing}, avals_of(expected), kSteps);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t k = 0; k < got.size(); ++k)
      expect_close(got[k], expected[k], 1e-13, "result " + std::to_string(k) + (reverse ? " backwards" : ""));
  }
}

// A loop in a loop whose own start is the same for all rows until something with rows is added to it.
TEST(LoopByRows, LoopsInsideBeginWithWhatIsShared) {
  constexpr int64_t kRows = 5;
  const Arrays carry{numbers({kRows, 2}, kFloat64, 1)};
  const auto body = trace_closed(
      [&](Span x) {
        const Arrays inner = while_loop([](Span c) { return Arrays{c[1] < int64_t{3}}; },
                                        [&](Span c) {
                                          return Arrays{0.5 * c[0] + sin(x[0]), c[1] + int64_t{1}};
                                        },
                                        {zeros({kRows, 2}, kFloat64), Array(int64_t{0})});
        return Arrays{0.9 * x[0] - inner[0]};
      },
      avals_of(carry));
  const auto loop = LaneLoop::make_by_rows(
      LoopParts{.body = body, .num_carry = 1, .num_xs = 0, .reverse = false, .save = false});
  ASSERT_NE(loop, nullptr);
  Arrays c = carry;
  for (int step = 0; step < 4; ++step) c = body->run(c);
  expect_close(loop->evaluated(carry, avals_of(carry), 4)[0], c[0], 1e-13, "state");
}

TEST(LoopByRows, RowsThatMeetOtherwiseAreLeftToArrays) {
  const Arrays carry{numbers({6, 2}, kFloat64, 1)};
  const auto made = [&](const std::function<Array(const Array&)>& f) {
    const auto body = trace_closed([&](Span x) { return Arrays{f(x[0])}; }, avals_of(carry));
    return LaneLoop::make_by_rows(LoopParts{
               .body = body, .num_carry = 1, .num_xs = 0, .reverse = false, .save = false}) != nullptr;
  };
  EXPECT_TRUE(made([](const Array& y) { return y * sum(y); }));
  EXPECT_FALSE(made([](const Array& y) { return y * max(y); }));
  EXPECT_FALSE(made([](const Array& y) { return cumsum(y, 0); }));
  EXPECT_FALSE(made([](const Array& y) { return flip(y, Axes{0}); }));
  EXPECT_FALSE(made([](const Array& y) { return y + numbers({6, 2}, kFloat64, 2); }));  // its rows differ
  EXPECT_FALSE(made([](const Array& y) { return y + matmul(matmul(y, matrix_transpose(y)), y); }));
  const auto row_decides = trace_closed(
      [](Span x) {
        return Arrays{reshape(slice(x[0], {0, 0}, {1, 1}, {1, 1}), Shape{}) < 1.0};
      },
      avals_of(carry));
  const auto body = trace_closed([](Span x) { return Arrays{x[0] + 1.0}; }, avals_of(carry));
  EXPECT_EQ(
      LaneLoop::make_by_rows(LoopParts{.cond = row_decides, .body = body, .num_carry = 1, .save = false}),
      nullptr);
}

}  // namespace
}  // namespace hesse
