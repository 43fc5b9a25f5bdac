// Batches that run a few rows at a time, against the same equations one after the other.
#include "core/program/row_chunks.h"

#include <gtest/gtest.h>

#include "core/cpu/threads.h"
#include "core/debug.h"
#include "core/error.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/program/batch.h"
#include "core/program/explain.h"
#include "core/sparse.h"
#include "tests/core/compare.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;
using test::avals_of;
using test::difference;
using test::random_array;

constexpr int64_t kRows = 2050, kWidth = 130;  // 15 chunks of float64, and some rows that are left

Arrays operands(DType dtype, uint64_t seed = 1) {
  std::mt19937_64 generator(seed);
  Arrays out;
  for (const Shape& s : {Shape{kRows, kWidth}, Shape{kWidth, kWidth}, Shape{kWidth}, Shape{kRows, kWidth}})
    out.push_back(multiply(random_array(s, dtype, generator), 0.3));
  return out;
}

// A layer and what its weights would pull back: rows, a sum over rows, a sum of products over them. It reads
// and gives more rows than it has equations for: on lanes, moving them would cost more than it saves.
Arrays layer(Span x) {
  const Array y = tanh(matmul(x[0], x[1]) + x[2]) * x[3];
  const Array back = matmul(y * x[3], matrix_transpose(x[1]));
  return {y, back, sum(back, Axes{0}), matmul(matrix_transpose(x[0]), y * y)};
}

TEST(RowChunks, GiveRowsAndSums) {
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Arrays x = operands(dtype);
    const Compiled f = compile(layer, avals_of(x));
    const Report r = report(*f.program());
    ASSERT_EQ(r.chunks.size(), 1U) << f.program()->to_string();
    EXPECT_EQ(r.chunks[0].rows, kRows);
    EXPECT_GT(r.chunks[0].at_once, 0);
    EXPECT_LT(r.chunks[0].at_once, kRows / 2);
    EXPECT_GT(r.chunks[0].flops, 3 * 2.0 * kRows * kWidth * kWidth * 0.99);
    EXPECT_NE(explain(*f.program()).find("rows of a batch of 2050: "), std::string::npos);
    const Arrays got = f(x), expected = layer(x);
    for (size_t k = 0; k < got.size(); ++k) {
      EXPECT_EQ(aval(got[k]), aval(expected[k]));
      EXPECT_LT(difference(got[k], expected[k]), dtype == kFloat32 ? 1e-4 : 1e-12) << k;
    }
  }
}

TEST(RowChunks, TheSameBitsForAnyNumberOfThreads) {
  const Arrays x = operands(kFloat32);
  const Compiled f = compile(layer, avals_of(x));
  const int before = num_threads();
  set_num_threads(1);
  const Arrays one = f(x);
  for (const int threads : {2, 3, 7}) {
    set_num_threads(threads);
    const Arrays more = f(x);
    for (size_t k = 0; k < one.size(); ++k) EXPECT_TRUE(all(equal(one[k], more[k])).item<bool>());
  }
  set_num_threads(before);
}

TEST(RowChunks, OperandsMayLieAnyhow) {
  Arrays x = operands(kFloat64);
  const Compiled f = compile(layer, avals_of(x));
  const Arrays expected = f(x);
  std::mt19937_64 generator(2);
  // The same numbers, transposed in memory, every other row of more, and repeated.
  x[0] = matrix_transpose(copy(matrix_transpose(x[0])));
  x[1] = matrix_transpose(copy(matrix_transpose(x[1])));
  x[3] = slice(concatenate({x[3], x[3]}, 1), {0, kWidth}, {kRows, 2 * kWidth}, {1, 1});
  const Arrays got = f(x);
  for (size_t k = 0; k < got.size(); ++k) EXPECT_LT(difference(got[k], expected[k]), 1e-12);
}

TEST(RowChunks, NarrowRowsAndShortBatchesAreNot) {
  for (const auto& [rows, width] : {std::pair{100000, 4}, std::pair{300, 130}}) {
    const Compiled f = compile(
        layer,
        {{{rows, width}, kFloat64}, {{width, width}, kFloat64}, {{width}, kFloat64}, {{rows, 1}, kFloat64}});
    EXPECT_TRUE(report(*f.program()).chunks.empty());
  }
}

// What a second pass over the rows reads of the first is computed again where that reads no more.
TEST(RowChunks, LaterChunksComputeAgain) {
  const Fn f = [](Span x) {
    const Array pre = matmul(x[0], x[1]);
    const Array y = exp(tanh(pre));
    const Array total = sum(matmul(y, x[1]));           // needs all rows
    return Arrays{sum(matmul(y * total, x[1]) * pre)};  // and is needed by all rows
  };
  const Arrays x = operands(kFloat64);
  const Compiled g = compile(f, avals_of(x));
  const Report r = report(*g.program());
  ASSERT_EQ(r.chunks.size(), 2U) << g.program()->to_string();
  EXPECT_LT(r.chunks[0].written, 1.1 * kRows * kWidth * sizeof(double));  // the product, not its exp
  EXPECT_LT(difference(g(x)[0], f(x)[0]), 1e-12);
}

// What every row reads as a whole cannot be computed again for some rows.
TEST(RowChunks, RowsMayMeetAllOthers) {
  const Fn f = [](Span x) {
    const Array h = tanh(matmul(x[0], x[1]));
    return Arrays{matmul(h, matrix_transpose(h)), sum(matmul(h * sum(h), x[1]))};
  };
  set_joining(Joining::Chunks);
  std::mt19937_64 generator(5);
  for (const int64_t n : {2, 5, 8}) {
    const Arrays x{random_array({n, 3}, kFloat64, generator), random_array({3, 3}, kFloat64, generator)};
    const Arrays got = compile(f, avals_of(x))(x), expected = f(x);
    for (size_t k = 0; k < got.size(); ++k) EXPECT_LT(difference(got[k], expected[k]), 1e-13) << n;
  }
  set_joining(Joining::AsPays);
}

TEST(RowChunks, PullBacksToEntriesOfAMatrixAreRows) {
  constexpr int64_t kNodes = 90;
  std::mt19937_64 generator(3);
  std::vector<int64_t> starts(kNodes + 1), col;
  for (int64_t r = 0; r <= kNodes; ++r) starts[static_cast<size_t>(r)] = r * r * kRows / (kNodes * kNodes);
  for (int64_t e = 0; e < kRows; ++e) col.push_back(static_cast<int64_t>(generator() % kNodes));
  const Array v = random_array({kRows, kWidth}, kFloat64, generator);
  const sparse::CSR a =
      sparse::csr(v, Array::from<int64_t>(col, {kRows}), Array::from<int64_t>(starts, {kNodes + 1}), kNodes,
                  kNodes, sparse::Duplicates::Keep);
  Arrays x{random_array({kNodes, kWidth}, kFloat64, generator),
           random_array({kNodes, kWidth}, kFloat64, generator),
           multiply(random_array({kWidth, kWidth}, kFloat64, generator), 0.1)};
  for (const sparse::Rows& side : {a.by_row, a.by_col})
    x.insert(x.end(), {side.starts, side.columns, side.entries});
  x.push_back(v);
  for (const bool heads : {true, false}) {  // an entry has a value for every feature, or their sum
    const Fn f = [&](Span x) {
      const sparse::Rows by_row{x[3], x[4], x[5]}, by_col{x[6], x[7], x[8]};
      const Array values = heads ? ones({kRows, kWidth}, kFloat64) : ones({kRows}, kFloat64);
      const sparse::CSR pattern{values, by_row, by_col};
      const Shape row = heads ? Shape{kNodes, kWidth, 1} : Shape{kNodes, kWidth};
      const Array s = sparse::sampled_outer(pattern, reshape(x[0], row), reshape(x[1], row));
      const Array rows = heads ? s : tanh(expand_dims(s, {1}) * ones({kWidth}, kFloat64));
      const Array y = matmul(rows * x[9], x[2]);
      return Arrays{sum(tanh(y) * rows, Axes{0}), y, rows};
    };
    const Compiled g = compile(f, avals_of(x));
    ASSERT_EQ(report(*g.program()).chunks.size(), 1U) << g.program()->to_string();
    EXPECT_EQ(g.program()->to_string().find("csr_sampled"), std::string::npos) << g.program()->to_string();
    for (size_t k = 0; k < 3; ++k) EXPECT_LT(difference(g(x)[k], f(x)[k]), 1e-12);
    Arrays wrong = x;  // found when it runs, as by the product itself
    wrong[4] = copy(wrong[4]);
    *const_cast<int64_t*>(wrong[4].view().as<const int64_t>()) = -1;
    EXPECT_THROW(g(wrong), IndexError);
    wrong = x;
    wrong[3] = add(wrong[3], int64_t{1});
    EXPECT_THROW(g(wrong), IndexError);
  }
}

TEST(RowChunks, NameWhatMakesANaN) {
  const Fn f = [](Span x) { return Arrays{tanh(matmul(log(x[0] * x[0] - 1e-3), x[1])) * x[3]}; };
  const Arrays x = operands(kFloat64);
  const Compiled g = compile(f, avals_of(x));
  ASSERT_EQ(report(*g.program()).chunks.size(), 1U);
  EXPECT_TRUE(any(isnan(g(x)[0])).item<bool>());
  set_debug_nans(true);
  try {
    g(x);
    ADD_FAILURE() << "no error";
  } catch (const NumericalError& e) {
    EXPECT_NE(std::string(e.what()).find("debug_nans: log"), std::string::npos) << e.what();
  }
  const Arrays fine = operands(kFloat64);
  const Compiled h = compile(layer, avals_of(fine));
  const Arrays checked = h(fine);
  set_debug_nans(false);
  const Arrays plain = h(fine);
  for (size_t k = 0; k < plain.size(); ++k) EXPECT_LT(difference(checked[k], plain[k]), 1e-12);
}

// Small ones too, of every number of rows; what rows have nothing to do with stays.
TEST(RowChunks, OfAnyNumberOfRows) {
  const Fn f = [](Span x) {
    const Array y = sin(matmul(x[0], x[1]));
    return Arrays{y, sum(y * x[0]), matmul(matrix_transpose(y), x[0]), reshape(y, {y.shape()[0], 5, 1})};
  };
  set_joining(Joining::Chunks);
  std::mt19937_64 generator(4);
  for (const int64_t n : {0, 1, 2, 3, 4, 6, 7, 50}) {
    const Arrays x{random_array({n, 5}, kFloat64, generator), random_array({5, 5}, kFloat64, generator)};
    const Compiled g = compile(f, avals_of(x));
    const Arrays got = g(x);
    set_joining(Joining::AsPays);
    const Arrays expected = f(x);
    set_joining(Joining::Chunks);
    for (size_t k = 0; k < got.size(); ++k) {
      EXPECT_EQ(aval(got[k]), aval(expected[k]));
      EXPECT_LT(difference(got[k], expected[k]), 1e-13) << n << ", result " << k;
    }
  }
  set_joining(Joining::AsPays);
}

}  // namespace
}  // namespace hesse
