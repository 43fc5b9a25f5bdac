// Patterns read off graphs, colourings, and sparse Jacobians and Hessians from C++.
#include "autodiff/sparse_jacobian.h"

#include <gtest/gtest.h>

#include <set>

#include "autodiff/coloring.h"
#include "core/ops.h"

namespace hesse {
namespace {

using Places = std::set<std::pair<int64_t, int64_t>>;

Places places(const Pattern& p) {
  Places out;
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t at = p.starts[static_cast<size_t>(r)]; at < p.starts[static_cast<size_t>(r) + 1]; ++at)
      out.emplace(r, p.columns[static_cast<size_t>(at)]);
  return out;
}
Pattern pattern_of(const Fn& f, const Avals& in) {
  const Ref<const Graph> g = trace_closed(f, in);
  return *jacobian_pattern_within(1000000, *g, std::vector<bool>(in.size(), true));
}
Pattern made(int64_t rows, int64_t cols, const Places& at) {
  Pattern p{rows, cols, {0}, {}};
  for (int64_t r = 0; r < rows; ++r) {
    for (const auto& [i, j] : at)
      if (i == r) p.columns.push_back(j);
    p.starts.push_back(p.nnz());
  }
  return p;
}
Array second_difference(const Array& u) {
  const int64_t n = u.size();
  return slice(u, {2}, {n}, {1}) - 2.0 * slice(u, {1}, {n - 1}, {1}) + slice(u, {0}, {n - 2}, {1});
}

TEST(Pattern, OfSlicesAndProducts) {
  const Pattern p = pattern_of(
      [](std::span<const Array> x) { return Arrays{second_difference(x[0]) * slice(x[1], {0}, {2}, {1})}; },
      {{{4}, kFloat64}, {{3}, kFloat64}});
  EXPECT_EQ(p.rows, 2);
  EXPECT_EQ(p.cols, 7);
  EXPECT_EQ(places(p), (Places{{0, 0}, {0, 1}, {0, 2}, {0, 4}, {1, 1}, {1, 2}, {1, 3}, {1, 5}}));
  EXPECT_EQ(bandwidths(p), (std::pair<int64_t, int64_t>{4, 0}));
}

TEST(Pattern, TransposesAndSymmetricParts) {
  const Pattern p = made(3, 3, {{0, 1}, {1, 0}, {1, 1}, {2, 0}});
  EXPECT_EQ(places(transposed(p)), (Places{{1, 0}, {0, 1}, {1, 1}, {0, 2}}));
  EXPECT_EQ(transposed(transposed(p)), p);
  EXPECT_EQ(places(symmetric_part(p)), (Places{{0, 1}, {1, 0}, {1, 1}}));
  EXPECT_EQ(places(with_diagonal(p)), (Places{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 2}}));
}

TEST(Pattern, WithinALimit) {
  const Ref<const Graph> g = trace_closed([](std::span<const Array> x) { return Arrays{x[0] * sum(x[0])}; },
                                          Avals{{{10}, kFloat64}});
  EXPECT_FALSE(jacobian_pattern_within(99, *g, {true}));
  EXPECT_EQ(jacobian_pattern_within(100, *g, {true})->nnz(), 100);
}

TEST(Coloring, NoTwoColumnsOfAColourShareARow) {
  Places grid;  // five points on 6 x 7
  const auto at = [](int64_t i, int64_t j) { return i * 7 + j; };
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 7; ++j) {
      grid.emplace(at(i, j), at(i, j));
      if (i > 0) grid.emplace(at(i, j), at(i - 1, j)), grid.emplace(at(i - 1, j), at(i, j));
      if (j > 0) grid.emplace(at(i, j), at(i, j - 1)), grid.emplace(at(i, j - 1), at(i, j));
    }
  const Pattern p = made(42, 42, grid);
  const Coloring c = color_columns(p);
  EXPECT_LE(c.count, 8);  // a row has five
  std::set<std::pair<int64_t, int64_t>> met;
  for (const auto& [r, col] : grid) EXPECT_TRUE(met.emplace(r, c.of[static_cast<size_t>(col)]).second);
  const Coloring star = color_symmetric(p);
  EXPECT_LT(star.count, c.count);
  // Every place can be read: it is alone in its row, among the columns of the colour it is read from.
  const SymmetricPlaces where = symmetric_places(p, star);
  size_t k = 0;
  for (const auto& [r, col] : grid) {
    const int64_t row = where.row[k], color = where.color[k];
    ++k;
    EXPECT_TRUE((row == r && color == star.of[static_cast<size_t>(col)]) ||
                (row == col && color == star.of[static_cast<size_t>(r)]));
    int64_t sharing = 0;
    for (const auto& [i, j] : grid) sharing += i == row && star.of[static_cast<size_t>(j)] == color;
    EXPECT_EQ(sharing, 1);
  }
}

TEST(SparseJacobian, OfAFunctionOfOneArray) {
  const auto jacobian = sparse_jacobian([](const Array& u) { return second_difference(u * u); });
  const Array x = Array::from<double>({1.0, 2.0, 3.0, 4.0});
  for (int call = 0; call < 2; ++call)
    EXPECT_EQ(sparse::todense(jacobian(x)).to_vector<double>(),
              (std::vector<double>{2, -8, 6, 0, 0, 4, -12, 8}));
}

TEST(SparseJacobian, OfSeveralArraysAndItsGradient) {
  const Fn f = [](std::span<const Array> x) { return Arrays{x[0] * x[1], sum(x[1])}; };
  const Arrays at{Array::from<double>({1.0, 2.0}), Array::from<double>({3.0, 5.0})};
  const sparse::CSR j = sparse_jacobian(f, at, {1, 0});
  EXPECT_EQ(sparse::todense(j).to_vector<double>(),
            (std::vector<double>{1, 0, 3, 0, 0, 2, 0, 5, 1, 1, 0, 0}));
  const auto [value, g] = value_and_grad(
      [&](std::span<const Array> x) {
        return Arrays{sum(square(sparse_jacobian(f, {x.begin(), x.end()}, {0, 1}).data))};
      },
      at, {0});
  EXPECT_EQ(value[0].item<double>(), 1 + 4 + 9 + 25 + 2);
  EXPECT_EQ(g[0].to_vector<double>(), (std::vector<double>{2, 4}));
}

TEST(SparseHessian, OfAnArrowTakesTwoPasses) {
  const Fn f = [](std::span<const Array> x) {
    const Array first = slice(x[0], {0}, {1}, {1}), rest = slice(x[0], {1}, {6}, {1});
    return Arrays{sum(first * square(rest))};
  };
  const Arrays at{Array::from<double>({2.0, 1.0, 2.0, 3.0, 4.0, 5.0})};
  const SparsityPlan plan = SparsityPlan::of_hessian(f, at, {0});
  EXPECT_EQ(plan.num_passes(), 2);
  const std::vector<double> want = hessian(f, at, {0})[0][0].to_vector<double>();
  EXPECT_EQ(sparse::todense(plan.matrix(plan.hessian_values(f, at, {0}))).to_vector<double>(), want);
  EXPECT_EQ(sparse::todense(sparse_hessian(f, at, {0})).to_vector<double>(), want);
}

TEST(SparseJacobian, RefusesWhatHasNoDerivative) {
  const Fn f = [](std::span<const Array> x) { return Arrays{x[0]}; };
  EXPECT_THROW(sparse_jacobian(f, {Array::from<int64_t>({1, 2})}, {0}), TypeError);
  EXPECT_THROW(sparse_jacobian(f, {ones({2})}, {1}), IndexError);
  EXPECT_THROW(sparse_hessian(f, {ones({2})}, {0}), ValueError);
  const SparsityPlan plan = SparsityPlan::of_jacobian(f, {ones({2})}, {0});
  EXPECT_THROW((void)plan.jacobian_values(f, {ones({3})}, {0}), ValueError);
}

}  // namespace
}  // namespace hesse
