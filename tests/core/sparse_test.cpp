#include "core/sparse.h"

#include <gtest/gtest.h>

#include "autodiff/trees.h"
#include "core/ops.h"

namespace hesse {
namespace {

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

}  // namespace
}  // namespace hesse
