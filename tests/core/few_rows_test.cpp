// What is computed of few rows only, against all of them.
#include "core/program/few_rows.h"

#include <gtest/gtest.h>

#include <limits>

#include "autodiff/autodiff.h"
#include "core/cpu/threads.h"
#include "core/error.h"
#include "core/ops.h"
#include "core/segment.h"
#include "core/sparse.h"
#include "tests/core/compare.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;
using test::avals_of;
using test::difference;
using test::random_array;
using test::vector_of;

constexpr int64_t kNodes = 90, kWide = 9, kClasses = 3;

/// x [n, wide], w [wide, classes], b [classes], values of edges, the rows that are wanted, and the pattern.
Arrays graph(DType dtype, DType indices, const std::vector<int64_t>& wanted, int64_t heads = 0) {
  std::mt19937_64 generator(1);
  std::vector<int64_t> from, to;
  for (int64_t i = 0; i < kNodes; ++i)
    for (uint64_t k = generator() % 6; k > 0; --k) {
      to.push_back(i);
      from.push_back(static_cast<int64_t>(generator() % static_cast<uint64_t>(kNodes)));
    }
  const auto edges = static_cast<int64_t>(from.size());
  const sparse::CSR a = sparse::coo(ones({edges}, dtype), vector_of(to), vector_of(from), kNodes, kNodes,
                                    sparse::Duplicates::Keep);
  Arrays x{random_array({kNodes, kWide}, dtype, generator), random_array({kWide, kClasses}, dtype, generator),
           random_array({kClasses}, dtype, generator),
           random_array(heads ? Shape{edges, heads} : Shape{edges}, dtype, generator), vector_of(wanted)};
  for (const sparse::Rows& side : {a.by_row, a.by_col})
    for (const Array& i : {side.starts, side.columns, side.entries}) x.push_back(astype(i, indices));
  return x;
}
sparse::CSR matrix(Span x, const Array& values) { return {values, {x[5], x[6], x[7]}, {x[8], x[9], x[10]}}; }
const std::vector<int64_t> kWanted{7, 0, -1, 41};

Ref<const Graph> program_of(const Fn& f, const Arrays& x) { return compile(f, avals_of(x)).program(); }

// The same for inputs that hang together otherwise.
void expect_same(const Fn& f, const Arrays& x, double tolerance) {
  const Arrays got = program_of(f, x)->run(x), expected = f(x);
  ASSERT_EQ(got.size(), expected.size());
  for (size_t k = 0; k < got.size(); ++k) {
    EXPECT_EQ(aval(got[k]), aval(expected[k]));
    EXPECT_LE(difference(got[k], expected[k]), tolerance) << k;
  }
}

// Logits of the wanted nodes by one graph convolution.
Arrays convolution(Span x) {
  return {gather(sparse::matmul(matrix(x, x[3]), matmul(x[0], x[1])) + x[2], x[4])};
}

TEST(FewRows, OfASparseProductHaveTheSameBits) {
  for (const DType dtype : {kFloat32, kFloat64, DType::Int64})
    for (const DType indices : {kInt32, kInt64}) {
      const Arrays x = graph(dtype, indices, kWanted);
      const Fn f = convolution;
      const auto g = program_of(f, x);
      EXPECT_EQ(g->count("csr_matmul_at"), 1);
      EXPECT_EQ(g->count("csr_matmul"), 0);
      EXPECT_TRUE(all(equal(g->run(x)[0], f(x)[0])).item<bool>());
    }
}

TEST(FewRows, OfHeadsAndOfStridedOperandsAreTheSame) {
  for (const int64_t heads : {1, 2}) {
    const Arrays x = graph(kFloat64, kInt64, kWanted, heads);
    const Fn f = [heads](Span x) {
      const Array h = matmul(x[0], x[1]);
      const Array rows = heads == 1 ? expand_dims(h, {1}) : stack({h, square(h)}, 1);
      return Arrays{gather(sparse::matmul(matrix(x, x[3]), rows), x[4])};
    };
    EXPECT_EQ(program_of(f, x)->count("csr_matmul_at"), 1);
    expect_same(f, x, 0);
  }
  const Fn transposed = [](Span x) {
    return Arrays{gather(sparse::matmul(matrix(x, x[3]), transpose(transpose(x[0]) * 2.0)), x[4])};
  };
  expect_same(transposed, graph(kFloat32, kInt32, kWanted), 1e-6);
}

// Derivatives by the weights, the bias and the features, of rows that repeat too.
TEST(FewRows, GiveTheirDerivatives) {
  for (const std::vector<int64_t>& wanted : {kWanted, std::vector<int64_t>{3, 3, 3}, std::vector<int64_t>{}})
    for (const DType dtype : {kFloat32, kFloat64}) {
      const Arrays x = graph(dtype, kInt64, wanted);
      const Fn f = [](Span x) {
        const Fn loss = [&](Span p) {
          const Array h = tanh(sparse::matmul(matrix(x, x[3]), p[0]));
          const Array y = sparse::matmul(matrix(x, x[3]), matmul(h, p[1])) + p[2];
          return Arrays{sum(square(gather(y, x[4])))};
        };
        auto [value, grad] = value_and_grad(loss, {x[0], x[1], x[2]}, {0, 1, 2});
        return Arrays{value[0], grad[0], grad[1], grad[2]};
      };
      const auto g = program_of(f, x);
      EXPECT_EQ(g->count("csr_matmul_at"), 1);
      EXPECT_EQ(g->count("csr_matmul_from"), 1);
      EXPECT_EQ(g->count("csr_matmul"), 2);  // the first layer is wanted of all nodes
      EXPECT_EQ(g->count("scatter_add"), 0);
      expect_same(f, x, dtype == kFloat32 ? 1e-5 : 1e-13);
    }
}

// A head of dense layers, behind what all rows are needed of.
TEST(FewRows, OfDenseLayersAreAllThatIsComputed) {
  const Arrays x = graph(kFloat64, kInt64, kWanted);
  const Fn f = [](Span x) {
    const Fn loss = [&](Span p) {
      const Array y = tanh(matmul(sparse::matmul(matrix(x, x[3]), x[0]) * 0.5 + x[0], p[0]) + p[1]);
      return Arrays{sum(square(gather(y, x[4])))};
    };
    auto [value, grad] = value_and_grad(loss, {x[1], x[2]}, {0, 1});
    return Arrays{value[0], grad[0], grad[1]};
  };
  const auto g = program_of(f, x);
  for (const Graph::Equation& eq : g->equations())
    for (const int v : eq.out) EXPECT_LT(num_entries(g->values()[static_cast<size_t>(v)]), kNodes);
  expect_same(f, x, 1e-13);
}

// What is computed within every row: normalised scores of all nodes, of which few are looked at.
TEST(FewRows, OfScoresAreNormalisedAlone) {
  const Arrays x = graph(kFloat64, kInt64, kWanted);
  const Fn f = [](Span x) {
    const Fn loss = [&](Span p) {
      const Array y = sparse::matmul(matrix(x, x[3]), matmul(x[0], p[0])) + p[1];
      const Array scores = y - log(sum(exp(y), Axes{1}, true));
      return Arrays{sum(gather(scores, x[4]))};
    };
    auto [value, grad] = value_and_grad(loss, {x[1], x[2]}, {0, 1});
    return Arrays{value[0], grad[0], grad[1]};
  };
  const auto g = program_of(f, x);
  EXPECT_EQ(g->count("csr_matmul_at"), 1);
  EXPECT_EQ(g->count("csr_matmul_from"), 1);
  EXPECT_EQ(g->count("scatter_add"), 0);
  expect_same(f, x, 1e-12);
}

// Rows that repeat, of zeros to which they were added; others than those that were added; and indices that
// are found from what they choose.
TEST(FewRows, OfOtherChoicesAreTheSame) {
  const std::vector<Fn> all{
      [](Span x) {
        const Array few = scatter_add(gather(x[0], x[4]), x[4], kNodes);
        return Arrays{gather(few * 2.0, x[4]), matmul(few, x[1]), sum(tanh(few) + x[0], Axes{0})};
      },
      [](Span x) {
        const Array few = scatter_add(gather(x[0], x[4]), x[4], kNodes), other = x[4] + int64_t{3};
        return Arrays{gather(few * x[0], other),
                      matmul(transpose(few * x[0]), scatter_add(gather(x[0], other), other, kNodes))};
      },
      [](Span x) {
        const Array h = tanh(matmul(x[0], x[1]));
        const Array best = slice(argsort(sum(h, Axes{1})), {0}, {5}, {1});
        return Arrays{gather(exp(h) * 2.0, best)};
      },
      [](Span x) {  // a square matrix of as many columns as there are rows
        const Array square = matmul(x[0], transpose(x[0]));
        return Arrays{gather(matmul(tanh(square), square), x[4]),
                      gather(matmul(x[0], transpose(x[0] * 2.0)), x[4])};
      }};
  for (const std::vector<int64_t>& wanted :
       {std::vector<int64_t>{7, 0, -1, 41}, std::vector<int64_t>{5, 5, 5, 9}})
    for (const Fn& f : all) expect_same(f, graph(kFloat64, kInt64, wanted), 1e-12);
}

// True and true is true, once: rows that repeat are not counted again.
TEST(FewRows, OfTruthAreCountedOnce) {
  const Fn f = [](Span x) {
    const Array rows = greater(gather(x[0], x[4]), -100.0);
    const Array few = scatter_add(rows, x[4], kNodes);
    return Arrays{sum(astype(few, kFloat64), Axes{0}), sum(few, Axes{0}), gather(tanh(x[0]), x[4])};
  };
  expect_same(f, graph(kFloat64, kInt64, {5, 5, 5, 9}), 0);
}

// Segments count from zero, and rows from the end, too.
TEST(FewRows, KeepWhatNegativeIndicesMean) {
  const Arrays x = graph(kFloat64, kInt64, kWanted);
  const Fn f = [](Span x) {
    const Array few = segment_sum(gather(x[0], x[4]), x[4], kNodes);
    return Arrays{sparse::matmul(matrix(x, x[3]), few)};
  };
  EXPECT_THROW(compile(f, avals_of(x))(x), IndexError);
  expect_same(f, graph(kFloat64, kInt64, {7, 0, 41}), 1e-13);
}

// An optimiser needs all of the gradient of a table of which few rows are looked up: it is formed once.
TEST(FewRows, AreAddedToZerosOnceWhereAllAreWanted) {
  const Arrays x = graph(kFloat64, kInt64, kWanted);
  const Fn f = [](Span x) {
    auto [value, grad] =
        value_and_grad([&](Span p) { return Arrays{sum(square(gather(p[0], x[4])))}; }, {x[0]}, {0});
    return Arrays{x[0] * 0.9 + grad[0] * 0.1, square(grad[0]) + x[0]};
  };
  EXPECT_EQ(program_of(f, x)->count("scatter_add"), 1);
  expect_same(f, x, 1e-13);
}

TEST(FewRows, AreNotTakenApartWhereAllAreNeeded) {
  const Arrays x = graph(kFloat64, kInt64, kWanted);
  const Fn both = [](Span x) {
    const Array y = sparse::matmul(matrix(x, x[3]), x[0]);
    return Arrays{gather(y, x[4]), sum(y)};
  };
  EXPECT_EQ(program_of(both, x)->count("csr_matmul_at"), 0);
  expect_same(both, x, 1e-14);
  const Arrays many = graph(kFloat64, kInt64, std::vector<int64_t>(kNodes / 2 + 1, 4));
  EXPECT_EQ(program_of(convolution, many)->count("csr_matmul_at"), 0);
  expect_same(convolution, many, 1e-14);
}

TEST(FewRows, ReportWhatIsOutOfRange) {
  const Fn derivative = [](Span x) {
    auto [value, grad] = value_and_grad([&](Span p) { return Arrays{sum(convolution(p)[0])}; },
                                        Arrays(x.begin(), x.end()), {0, 1, 2});
    return Arrays{value[0], grad[0], grad[1], grad[2]};
  };
  for (const Fn& f : {Fn(convolution), derivative}) {
    const Arrays x = graph(kFloat64, kInt64, kWanted);
    const auto g = compile(f, avals_of(x));
    for (const size_t i : {4, 6}) {
      Arrays wrong = x;
      wrong[i] = add(wrong[i], int64_t{1000});
      std::string eager, compiled;
      try {
        f(wrong);
      } catch (const IndexError& e) {
        eager = e.what();
      }
      try {
        g(wrong);
      } catch (const IndexError& e) {
        compiled = e.what();
      }
      EXPECT_NE(eager, "");
      EXPECT_EQ(compiled.substr(0, 40), eager.substr(0, 40)) << i;
    }
    EXPECT_NO_THROW(g(x));
  }
}

// Rows that nobody wants are not multiplied: what is no number there stays there.
TEST(FewRows, DoNotMeetOthers) {
  Arrays x = graph(kFloat64, kInt64, {0});
  const int64_t first = x[5].view().as<const int64_t>()[1];
  ASSERT_LT(first, x[3].shape()[0]);
  std::vector<double> values(static_cast<size_t>(x[3].shape()[0]), std::numeric_limits<double>::quiet_NaN());
  std::fill_n(values.begin(), first, 1.0);
  x[3] = Array::from<double>(std::span<const double>(values), x[3].shape());
  const Fn f = [](Span x) {
    return value_and_grad([&](Span p) { return Arrays{sum(convolution(p)[0])}; }, Arrays(x.begin(), x.end()),
                          {0, 1, 2})
        .second;
  };
  for (const Array& a : program_of(f, x)->run(x)) EXPECT_TRUE(all(isfinite(a)).item<bool>());
}

TEST(FewRows, HaveTheSameBitsForAnyNumberOfThreads) {
  std::mt19937_64 generator(3);
  constexpr int64_t n = 20000, degree = 8, width = 16;
  std::vector<int64_t> from, to, wanted;
  for (int64_t i = 0; i < n * degree; ++i) {
    to.push_back(i / degree);
    from.push_back(static_cast<int64_t>(generator() % n));
  }
  for (int64_t k = 0; k < n / 4; ++k) wanted.push_back(static_cast<int64_t>(generator() % n));
  const sparse::CSR a = sparse::coo(random_array({n * degree}, kFloat32, generator), vector_of(to),
                                    vector_of(from), n, n, sparse::Duplicates::Keep);
  const Array h = random_array({n, width}, kFloat32, generator), index = vector_of(wanted);
  const Fn f = [&](Span x) { return Arrays{gather(sparse::matmul(a, x[0]), x[1])}; };
  const auto g = program_of(f, {h, index});
  EXPECT_EQ(g->count("csr_matmul_at"), 1);
  const int before = num_threads();
  const Array expected = f(Arrays{h, index})[0];
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    EXPECT_TRUE(all(equal(g->run(Arrays{h, index})[0], expected)).item<bool>()) << threads;
  }
  set_num_threads(before);
}

}  // namespace
}  // namespace hesse
