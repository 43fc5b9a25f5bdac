#include "core/sparse.h"

#include <gtest/gtest.h>

#include "autodiff/trees.h"
#include "core/cpu/sparse_rows.h"
#include "core/ops.h"
#include "core/segment.h"
#include "tests/core/compare.h"

namespace hesse {
namespace {

using test::vector_of;

sparse::CSR sample() {
  // [1 0 2]
  // [0 3 0]
  return sparse::csr(Array::from<double>(std::vector<double>{1, 2, 3}, {3}),
                     Array::from<int64_t>(std::vector<int64_t>{0, 2, 1}, {3}),
                     Array::from<int64_t>(std::vector<int64_t>{0, 2, 3}, {3}), 2, 3);
}

std::vector<double> values(const Array& a) {
  const Array c = copy(a);
  const auto* p = c.view().as<double>();
  return {p, p + c.size()};
}

TEST(Sparse, ProductsWithTheMatrixAndItsTranspose) {
  const sparse::CSR a = sample();
  EXPECT_EQ(a.rows(), 2);
  EXPECT_EQ(a.cols(), 3);
  EXPECT_EQ(a.nnz(), 3);
  EXPECT_EQ(values(sparse::matmul(a, Array::from<double>(std::vector<double>{1, 10, 100}, {3}))),
            (std::vector<double>{201, 30}));
  EXPECT_EQ(values(sparse::matmul(a.transpose(), Array::from<double>(std::vector<double>{1, 10}, {2}))),
            (std::vector<double>{1, 30, 2}));
  EXPECT_EQ(values(sparse::todense(a)), (std::vector<double>{1, 0, 2, 0, 3, 0}));
}

TEST(Sparse, AMatrixIsATreeWithAGradient) {
  const sparse::CSR a = sample();
  const Array x = Array::from<double>(std::vector<double>{1, 10, 100}, {3});
  const auto loss = [&](const Array& v) { return sum(square(sparse::matmul(a.with_data(v), x))); };
  // d/dv of sum of (A x)^2: 2 (A x)_row x_col
  EXPECT_EQ(values(grad(loss)(a.data)), (std::vector<double>{402, 40200, 600}));
  EXPECT_EQ(values(sparse::sampled_outer(a, sparse::matmul(a, x), x)),
            (std::vector<double>{201, 20100, 300}));
}

TEST(Sparse, ValuesDifferBetweenExamples) {
  const sparse::CSR a = sample();
  const Array x = Array::from<double>(std::vector<double>{1, 10, 100}, {3});
  const Array v = Array::from<double>(std::vector<double>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Array y = vmap([&](const Array& v) { return sparse::matmul(a.with_data(v), x); })(v);
  EXPECT_EQ(values(y), (std::vector<double>{201, 30, 504, 60}));
}

TEST(Sparse, BadPatternsAreRefused) {
  const Array one = Array::from<double>(std::vector<double>{1}, {1});
  const auto ints = [](std::vector<int64_t> v) {
    return Array::from<int64_t>(v, {static_cast<int64_t>(v.size())});
  };
  EXPECT_THROW(sparse::csr(one, ints({3}), ints({0, 1}), 1, 3), IndexError);
  EXPECT_THROW(sparse::csr(one, ints({0}), ints({1, 1}), 1, 3), ValueError);
  EXPECT_THROW(sparse::coo(one, ints({1}), ints({0}), 1, 3), IndexError);
  EXPECT_THROW(sample().with_data(one), ValueError);
}

TEST(Sparse, AGraphConvolution) {
  // Edges 0 -> 1, 2 -> 1 (twice), 1 -> 0.
  const Array source = vector_of<int32_t>({0, 2, 1, 2}), target = vector_of<int32_t>({1, 1, 0, 1});
  const Array w = vector_of<double>({1, 2, 3, 4});
  const sparse::CSR edges = sparse::coo(w, target, source, 3, 3, sparse::Duplicates::Keep);
  EXPECT_EQ(edges.nnz(), 4);
  EXPECT_EQ(edges.index_dtype(), kInt32);
  const sparse::CSR a = sparse::add(edges, sparse::identity(3, kFloat64, kInt32));
  EXPECT_EQ(values(sparse::todense(a)), (std::vector<double>{1, 3, 0, 1, 1, 6, 0, 0, 1}));
  const Array d = rsqrt(sparse::sum(a, 1));
  const sparse::CSR s = sparse::multiply(sparse::multiply(a, d), expand_dims(d, {1}));
  EXPECT_EQ(s.index_dtype(), kInt32);
  EXPECT_NEAR(values(sparse::matmul(s, vector_of<double>({1, 0, 0})))[1], 1 / std::sqrt(4.0 * 8.0), 1e-15);
  EXPECT_EQ(values(sparse::diagonal(a)), (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(values(sparse::todense(sparse::matmul(a, a))),
            values(matmul(sparse::todense(a), sparse::todense(a))));
}

TEST(Sparse, HeadsAreMatricesOfOnePattern) {
  const sparse::CSR a =
      sample().with_data(Array::from<double>(std::vector<double>{1, 10, 2, 20, 3, 30}, {3, 2}));
  const Array x = Array::from<double>(std::vector<double>{1, 1, 2, 2, 3, 3}, {3, 2});
  EXPECT_EQ(values(sparse::matmul(a, x)), (std::vector<double>{7, 70, 6, 60}));
  const Array g =
      grad([&](const Array& v) { return sum(square(sparse::matmul(a.with_data(v), x))); })(a.data);
  EXPECT_EQ(g.shape(), (Shape{3, 2}));
  EXPECT_EQ(values(g), (std::vector<double>{14, 140, 42, 420, 24, 240}));
}

TEST(Segments, ReductionsAndTheirEmptySegments) {
  const Array x = vector_of<double>({1, 3, 2}), ids = vector_of<int64_t>({0, 0, 2});
  EXPECT_EQ(values(segment_mean(x, ids, 3)), (std::vector<double>{2, 0, 2}));
  EXPECT_EQ(values(segment_min(x, ids, 3)), (std::vector<double>{1, INFINITY, 2}));
  EXPECT_EQ(values(segment_std(x, ids, 3)), (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(values(segment_logsumexp(x, ids, 3))[1], -INFINITY);
  EXPECT_EQ(values(segment_softmax(x, ids, 3))[2], 1.0);
  EXPECT_THROW(segment_mean(x, vector_of<int64_t>({0, 0, 3}), 3), IndexError);
  EXPECT_THROW(segment_mean(x, vector_of<int64_t>({0, 0}), 3), ValueError);
}

// Every instruction set that this processor has against the definition, for widths around the register
// blocks.
template <class T, class I>
void check_rows(cpu::Isa isa) {
  const auto& kernels = cpu::sparse_rows<T, I>(isa);
  constexpr int64_t rows = 5, cols = 7, nnz = 41;
  for (const int64_t heads : {1, 3})
    for (const int64_t width : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130}) {
      std::vector<I> starts{0, 0, 1, 37, 40, 41}, columns, entries;
      for (int64_t p = 0; p < nnz; ++p) {
        columns.push_back(static_cast<I>((p * 5 + 3) % cols));
        entries.push_back(static_cast<I>((p * 11) % nnz));
      }
      const auto numbers = [](int64_t n, int64_t k) {
        std::vector<T> v;
        for (int64_t i = 0; i < n; ++i) v.push_back(static_cast<T>((i * k) % 17 - 8));
        return v;
      };
      const std::vector<T> v = numbers(nnz * heads, 7), x = numbers(cols * heads * width, 5),
                           a = numbers(rows * heads * width, 3);
      std::vector<T> y(static_cast<size_t>(rows * heads * width), 99),
          d(static_cast<size_t>(nnz * heads), 99);
      std::vector<T> y_expected(y.size(), 0), d_expected(d.size(), 0);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t p = starts[static_cast<size_t>(r)]; p < starts[static_cast<size_t>(r) + 1]; ++p)
          for (int64_t h = 0; h < heads; ++h)
            for (int64_t k = 0; k < width; ++k) {
              const auto e = static_cast<size_t>(entries[static_cast<size_t>(p)] * heads + h);
              const auto c = static_cast<size_t>((columns[static_cast<size_t>(p)] * heads + h) * width + k);
              const auto at = static_cast<size_t>((r * heads + h) * width + k);
              y_expected[at] += v[e] * x[c];
              d_expected[e] += a[at] * x[c];
            }
      const cpu::RowPattern<I> p{starts.data(), columns.data(), entries.data(), nnz, nnz, cols};
      bool longer = false;
      EXPECT_TRUE(kernels.product(p, {v.data(), heads}, {x.data(), heads * width}, {y.data(), heads * width},
                                  heads, width, 0, rows, 1000, &longer));
      EXPECT_TRUE(kernels.sampled(p, {a.data(), heads * width}, {x.data(), heads * width}, {d.data(), heads},
                                  heads, width, 0, rows, 1000, &longer));
      EXPECT_FALSE(longer);
      EXPECT_EQ(y, y_expected) << heads << " heads, width " << width;  // small integers: exact
      EXPECT_EQ(d, d_expected) << heads << " heads, width " << width;
      if (width > 1) {
        // The same rows in the other roles: `a` is pulled back from, x gathered.
        std::vector<T> of_rows(y.size(), 99), products(d.size(), 99);
        EXPECT_TRUE(kernels.adjoint(p, {v.data(), heads}, {a.data(), heads * width},
                                    {x.data(), heads * width}, {of_rows.data(), heads * width},
                                    {products.data(), heads}, heads, width, 0, rows, 1000, &longer));
        EXPECT_EQ(of_rows, y_expected) << heads << " heads, width " << width;
        EXPECT_EQ(products, d_expected) << heads << " heads, width " << width;
      }
      columns[20] = static_cast<I>(cols);
      EXPECT_FALSE(
          kernels.product(p, {v.data(), heads}, {x.data(), heads * width}, {y.data(), heads * width}, heads,
                          width, 0, rows, 30, &longer) &&
          kernels.product_of(p, {v.data(), heads}, {x.data(), heads * width}, y.data(), heads, width, 1, 37));
      EXPECT_TRUE(longer);
      columns[20] = -1;
      EXPECT_FALSE(
          kernels.sampled_of(p, a.data(), {x.data(), heads * width}, {d.data(), heads}, heads, width, 1, 37));
    }
}

TEST(SparseRows, EveryInstructionSetAgreesWithTheDefinition) {
  for (const cpu::Isa isa : {cpu::Isa::Baseline, cpu::Isa::Avx2, cpu::Isa::Avx512}) {
    if (isa > cpu::detected_isa()) continue;
    check_rows<float, int32_t>(isa);
    check_rows<float, int64_t>(isa);
    check_rows<double, int32_t>(isa);
    check_rows<double, int64_t>(isa);
  }
}

}  // namespace
}  // namespace hesse
