#include <gtest/gtest.h>

#include <cmath>

#include "core/cpu/gemm.h"
#include "core/cpu/lane_gemm.h"
#include "core/ops.h"

namespace hesse {
namespace {

template <class T = double>
Array wavy(const Shape& shape, double phase = 0) {
  std::vector<T> v(static_cast<size_t>(num_elements(shape)));
  for (size_t i = 0; i < v.size(); ++i)
    v[i] = static_cast<T>(std::is_integral_v<T> ? static_cast<double>(i % 7) - 3
                                                : std::sin(static_cast<double>(i) + phase));
  return Array::from<T>(v, shape);
}
std::vector<double> values(const Array& x) { return x.to_vector<double>(); }

/// Entry by entry.
Array reference(const Array& x, const Array& y) {
  return sum(multiply(expand_dims(x, {-1}), expand_dims(y, {-3})), Axes{-2});
}
void expect_close(const Array& actual, const Array& expected, double tolerance = 1e-13) {
  ASSERT_EQ(actual.shape(), expected.shape());
  if (actual.size() == 0) return;
  EXPECT_LT(max(abs(subtract(actual, expected))).item<double>(), tolerance);
}
template <class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(MatMul, ByHand) {
  const Array a = reshape(Array::from<double>({1, 2, 3, 4, 5, 6}), {2, 3});
  const Array v = Array::from<double>({1, 0, -1});
  EXPECT_EQ(values(matmul(a, transpose(a))), (std::vector<double>{14, 32, 32, 77}));
  EXPECT_EQ(values(matmul(a, v)), (std::vector<double>{-2, -2}));
  EXPECT_EQ(values(matmul(Array::from<double>({1, -1}), a)), (std::vector<double>{-3, -3, -3}));
  EXPECT_EQ(matmul(v, v).shape(), Shape{});
  EXPECT_EQ(matmul(v, v).item<double>(), 2);
  const Array i = make_complex(Array::from<double>({0, 1}), Array::from<double>({1, 0}));
  EXPECT_EQ(matmul(i, i).item<complex128>(), complex128(0, 0));  // i^2 + 1: nothing is conjugated
  EXPECT_EQ(vecdot(i, i).item<complex128>(), complex128(2, 0));
}

TEST(MatMul, SizesAndStrides) {
  for (const int64_t m : {1, 3, 20, 70})
    for (const int64_t k : {1, 5, 33})
      for (const int64_t n : {1, 2, 9, 64}) {
        const Array x = wavy({m, k}), y = wavy({k, n}, 1), expected = reference(x, y);
        expect_close(matmul(x, y), expected);
        expect_close(matmul(transpose(copy(transpose(x))), y), expected);
        expect_close(matmul(x, transpose(copy(transpose(y)))), expected);
        const Array wide = wavy({m, 2 * k}), every = slice(wide, {0, 0}, {m, 2 * k}, {1, 2});
        expect_close(matmul(every, y), reference(copy(every), y));
        expect_close(matmul(flip(x), y), reference(flip(x), y));
        expect_close(matmul(broadcast_to(wavy({1, k}), {m, k}), y),
                     reference(broadcast_to(wavy({1, k}), {m, k}), y));
        EXPECT_EQ(values(astype(matmul(wavy<int32_t>({m, k}), wavy<int32_t>({k, n})), kFloat64)),
                  values(reference(astype(wavy<int32_t>({m, k}), kFloat64),
                                   astype(wavy<int32_t>({k, n}), kFloat64))));
      }
}

TEST(MatMul, LargeProductsInPieces) {
  for (const Shape& s : {Shape{700, 150, 200}, Shape{40, 600, 900}}) {
    const Array x = wavy({s[0], s[1]}), y = wavy({s[1], s[2]}, 2);
    const Array rows = slice(x, {0, 0}, {s[0], s[1]}, {97, 1});
    expect_close(slice(matmul(x, y), {0, 0}, {s[0], s[2]}, {97, 1}), reference(rows, y), 1e-11);
  }
}

template <class T>
void narrow_products(double tolerance) {
  for (const int64_t m : {1, 5, 8, 15, 64, 65, 130})
    for (const int64_t k : {1, 7, 16, 40, 300})
      for (const int64_t n : {1, 4, 7, 8, 17, 33, 64, 65, 130}) {
        const Array x = wavy<T>({m, k}), y = wavy<T>({k, n}, 1), expected = reference(x, y);
        const Array x_turned = transpose(copy(transpose(x))), y_turned = transpose(copy(transpose(y)));
        for (const Array& a : {x, x_turned})
          for (const Array& b : {y, y_turned}) expect_close(matmul(a, b), expected, tolerance);
      }
  // In pieces of the long side, and of the sum.
  const Array x = wavy<T>({5000, 900}), g = wavy<T>({5000, 8}, 2), w = wavy<T>({900, 8}, 3);
  for (const int64_t row : {0, 511, 512, 4999})
    expect_close(take(matmul(x, w), Array::from<int64_t>({row}), 0),
                 reference(take(x, Array::from<int64_t>({row}), 0), w), 900 * tolerance);
  for (const int64_t column : {0, 511, 512, 899}) {
    const Array at = Array::from<int64_t>({column});
    expect_close(take(matmul(transpose(x), g), at, 0), reference(transpose(take(x, at, 1)), g),
                 5000 * tolerance);
  }
  expect_close(matmul(transpose(g), x), transpose(matmul(transpose(x), g)), 5000 * tolerance);
}
TEST(MatMul, NarrowFloat64) { narrow_products<double>(1e-12); }
TEST(MatMul, NarrowFloat32) { narrow_products<float>(2e-4); }

TEST(MatMul, Batches) {
  const Array x = wavy({2, 1, 3, 4}), y = wavy({5, 4, 2}, 1);
  expect_close(matmul(x, y), reference(x, y));
  expect_close(matmul(x, wavy({4, 2})), reference(x, wavy({4, 2})));
  expect_close(matmul(wavy({3, 4}), y), reference(wavy({3, 4}), y));
  expect_close(matmul(wavy({4}), y), squeeze(reference(wavy({1, 4}), y), Axes{-2}));
  expect_close(matmul(x, wavy({4})), squeeze(reference(x, wavy({4, 1})), Axes{-1}));
}

TEST(MatMul, Empty) {
  EXPECT_EQ(values(matmul(zeros({2, 0}), zeros({0, 3}))), std::vector<double>(6, 0.0));
  EXPECT_EQ(matmul(zeros({0, 3}), zeros({3, 2})).shape(), (Shape{0, 2}));
  EXPECT_EQ(matmul(zeros({0, 2, 3}), zeros({3, 2})).shape(), (Shape{0, 2, 2}));
}

TEST(MatMul, Refusals) {
  EXPECT_NE(message([] {
              matmul(ones({2, 3}), ones({2, 3}));
            }).find("got shapes (2, 3) and (2, 3)"),
            std::string::npos);
  EXPECT_THROW(matmul(Array(1.0), ones({3})), ValueError);
  EXPECT_THROW(matmul(astype(ones({2, 2}), kBool), astype(ones({2, 2}), kBool)), TypeError);
}

TEST(Products, OuterKronCrossDot) {
  const Array a = Array::from<double>({1, 2}), b = Array::from<double>({3, 4, 5});
  EXPECT_EQ(values(outer(a, b)), (std::vector<double>{3, 4, 5, 6, 8, 10}));
  EXPECT_EQ(values(kron(a, b)), (std::vector<double>{3, 4, 5, 6, 8, 10}));
  EXPECT_EQ(values(kron(eye(2), a)), (std::vector<double>{1, 2, 0, 0, 0, 0, 1, 2}));
  EXPECT_EQ(values(cross(Array::from<double>({1, 0, 0}), Array::from<double>({0, 1, 0}))),
            (std::vector<double>{0, 0, 1}));
  expect_close(dot(wavy({2, 3, 4}), wavy({4, 5})), reference(wavy({2, 3, 4}), wavy({4, 5})));
  EXPECT_EQ(dot(Array(2.0), a).shape(), (Shape{2}));
  EXPECT_EQ(values(vecdot(outer(a, b), b)), (std::vector<double>{50, 100}));
  EXPECT_EQ(tensordot(wavy({2, 3, 4}), wavy({4, 2}), {2, 0}, {0, 1}).shape(), (Shape{3}));
  EXPECT_EQ(tensordot(a, b, {}, {}).shape(), (Shape{2, 3}));
}

TEST(Einsum, ByHand) {
  const Array a = reshape(Array::from<double>({1, 2, 3, 4, 5, 6}), {2, 3}),
              v = Array::from<double>({1, 0, -1});
  EXPECT_EQ(values(einsum("ij->ji", {a})), (std::vector<double>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(values(einsum("ji", {a})), (std::vector<double>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(values(einsum("ij,j", {a, v})), (std::vector<double>{-2, -2}));
  EXPECT_EQ(einsum("ij,ij->", {a, a}).item<double>(), 91);
  EXPECT_EQ(values(einsum("ij,ij->i", {a, a})), (std::vector<double>{14, 77}));
  EXPECT_EQ(einsum("ii", {matmul(transpose(a), a)}).item<double>(), 91);
  EXPECT_EQ(values(einsum("ii->i", {matmul(a, transpose(a))})), (std::vector<double>{14, 77}));
  EXPECT_EQ(values(einsum("i,j->ji", {Array::from<double>({1, 2}), v})),
            (std::vector<double>{1, 2, 0, 0, -1, -2}));
  EXPECT_EQ(values(einsum("i...->...", {a})), (std::vector<double>{5, 7, 9}));
  EXPECT_EQ(values(einsum("i,i->", {Array::from<double>({2}), v})),
            (std::vector<double>{0}));  // length one spreads
  EXPECT_EQ(einsum("ij,jk", {wavy<int32_t>({2, 3}), wavy<int32_t>({3, 2})}).dtype(), kInt32);
}

TEST(Einsum, AgainstMatMul) {
  const Array x = wavy({3, 2, 4}), y = wavy({3, 4, 5}, 1), z = wavy({5, 6}, 2);
  expect_close(einsum("bij,bjk->bik", {x, y}), matmul(x, y));
  expect_close(einsum("bij,bjk,kl->bil", {x, y, z}), matmul(matmul(x, y), z));
  expect_close(einsum("kl,bij,bjk->lbi", {z, x, y}), moveaxis(matmul(matmul(x, y), z), {2}, {0}));
  expect_close(einsum("...ij,...jk->...ik", {x, wavy({4, 5})}), matmul(x, wavy({4, 5})));
  expect_close(einsum("bij,bjk->ik", {x, y}), sum(matmul(x, y), Axes{0}));
  expect_close(
      einsum("aab,abc->c", {wavy({3, 3, 2}), wavy({3, 2, 4})}),
      sum(matmul(einsum("aab->ab", {wavy({3, 3, 2})}), reshape(wavy({3, 2, 4}), {3, 2, 4})), Axes{0, 1}), 10);
}

TEST(Einsum, Refusals) {
  EXPECT_NE(message([] {
              einsum("ij,jk->ik", {ones({2, 3}), ones({4, 2})});
            }).find("'j' the lengths 3 and 4"),
            std::string::npos);
  EXPECT_NE(message([] { einsum("ij->ik", {ones({2, 3})}); }).find("'k' of the result"), std::string::npos);
  EXPECT_THROW(einsum("ij", {ones({2})}), ValueError);
  EXPECT_THROW(einsum("ij->i.", {ones({2, 2})}), ValueError);
  EXPECT_THROW(einsum("i,j", {ones({2})}), ValueError);
}

/// The value of a lane is the same wherever it lies: every lane of every tile width against a tile of one.
template <class T>
void lanes_do_not_depend_on_their_place() {
  for (const int64_t n : {1, 3, 5})
    for (const int64_t lanes : {1, 2, 7, 8, 31, 64, 67}) {
      const int64_t m = 7, k = 11;
      const Array w = wavy<T>({m, k}), x = wavy<T>({k, n, lanes}), a = wavy<T>({m, k, lanes}, 1);
      const auto run = [&](const Array& left, const Array& right) {
        const Array out = Array::uninitialized({m, n, left.dim(-1)}, left.dtype());
        cpu::matmul(left.view(), right.view(), out.view(), 1);
        return out;
      };
      const Array uniform = run(broadcast_to(expand_dims(w, {2}), {m, k, lanes}), x), varying = run(a, x);
      for (int64_t l = 0; l < lanes; ++l) {
        const auto lane = [&](const Array& t) {
          return copy(slice(t, {0, 0, l}, {t.dim(0), t.dim(1), l + 1}, {1, 1, 1}));
        };
        EXPECT_EQ(run(expand_dims(w, {2}), lane(x)).template to_vector<T>(),
                  lane(uniform).template to_vector<T>());
        EXPECT_EQ(run(lane(a), lane(x)).template to_vector<T>(), lane(varying).template to_vector<T>());
        expect_close(astype(reshape(lane(varying), {m, n}), kFloat64),
                     astype(reference(reshape(lane(a), {m, k}), reshape(lane(x), {k, n})), kFloat64),
                     sizeof(T) == 4 ? 1e-5 : 1e-14);
      }
      // Transposed: the uniform matrix on the right.
      const Array out = Array::uninitialized({n, m, lanes}, w.dtype());
      const Array xt = copy(transpose(x, Axes{1, 0, 2})), wt = transpose(w);
      cpu::matmul(xt.view(), broadcast_to(expand_dims(wt, {2}), {k, m, lanes}).view(), out.view(), 1);
      EXPECT_EQ(copy(transpose(out, Axes{1, 0, 2})).template to_vector<T>(), uniform.template to_vector<T>());
    }
}
TEST(LaneGemm, Float64) { lanes_do_not_depend_on_their_place<double>(); }
TEST(LaneGemm, Float32) { lanes_do_not_depend_on_their_place<float>(); }

template <class T>
void outer_products_accumulate() {
  for (const int64_t m : {1, 4, 6})
    for (const int64_t n : {1, 3, 4, 9})
      for (const int64_t lanes : {0, 1, 5, 16, 37}) {
        const Array a = wavy<T>({m, lanes}), b = wavy<T>({n, lanes}, 1);
        std::vector<T> acc(static_cast<size_t>(m * (n + 1)), T(2));
        const Array c = wavy<T>({m, lanes}, 2);
        const cpu::OuterTerm<T> terms[] = {{a.view().as<const T>(), lanes, b.view().as<const T>(), lanes},
                                           {c.view().as<const T>(), lanes, b.view().as<const T>(), lanes}};
        cpu::lane_kernels<T>().outer_accumulate(m, n, lanes, terms, 2, acc.data(), n + 1);
        const auto expected = lanes == 0 ? std::vector<T>(static_cast<size_t>(m * n), T(0))
                                         : matmul(a + c, transpose(b)).template to_vector<T>();
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j)
            EXPECT_NEAR(acc[static_cast<size_t>(i * (n + 1) + j)],
                        2 + expected[static_cast<size_t>(i * n + j)], sizeof(T) == 4 ? 1e-5 : 1e-13);
          EXPECT_EQ(acc[static_cast<size_t>(i * (n + 1) + n)], T(2));
        }
      }
}
template <class T>
void row_sums_accumulate() {
  for (const int64_t lanes : {0, 1, 5, 16, 37, 128}) {
    const Array x = wavy<T>({3, lanes});
    std::vector<T> acc(3, T(2));
    cpu::lane_kernels<T>().row_sums(3, lanes, x.view().as<const T>(), acc.data());
    const auto expected = sum(x, Axes{1}).template to_vector<T>();
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(acc[i], 2 + expected[i], sizeof(T) == 4 ? 1e-5 : 1e-13);
  }
}
TEST(LaneGemm, RowSums) {
  row_sums_accumulate<double>();
  row_sums_accumulate<float>();
}

/// z + a x, z by entry or by lane, is z and then the product's multiply-adds: near their sum.
template <class T>
void products_begin_at_what_is_added() {
  const int64_t m = 7, k = 11;
  for (const int64_t n : {1, 3, 6})
    for (const int64_t lanes : {1, 7, 8, 67}) {
      const Array w = wavy<T>({m, k}), a = wavy<T>({m, k, lanes}, 1), x = wavy<T>({k, n, lanes}, 2);
      for (const int64_t step : {0, 1}) {
        const Array z = wavy<T>({m, n, step == 0 ? 1 : lanes}, 3);
        const cpu::LaneAddend<T> addend{z.view().as<const T>(), z.strides()[0], z.strides()[1], step};
        const auto run = [&](auto kernel, const Array& left, int64_t row, int64_t col) {
          const Array out = Array::uninitialized({m, n, lanes}, x.dtype());
          kernel(m, n, k, lanes, {left.view().as<const T>(), row, col},
                 {x.view().as<const T>(), n * lanes, lanes}, addend, {out.view().as<T>(), n * lanes, lanes});
          return out;
        };
        const auto expected = [&](const Array& left) {  // [m, k, lanes or 1]
          return z + sum(expand_dims(left, {2}) * expand_dims(x, {0}), Axes{1});
        };
        const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-14;
        expect_close(astype(run(cpu::lane_kernels<T>().uniform, w, k, 1), kFloat64),
                     astype(expected(expand_dims(w, {2})), kFloat64), tolerance);
        expect_close(astype(run(cpu::lane_kernels<T>().varying, a, k * lanes, lanes), kFloat64),
                     astype(expected(a), kFloat64), tolerance);
      }
    }
}
TEST(LaneGemm, AddendFloat64) { products_begin_at_what_is_added<double>(); }
TEST(LaneGemm, AddendFloat32) { products_begin_at_what_is_added<float>(); }

template <class T>
void rows_are_spread() {
  for (const int64_t lanes : {1, 3, 4, 8, 17, 64}) {
    const Array x = wavy<T>({3, lanes + 2});
    for (const int64_t step : {0, 1}) {
      std::vector<T> out(static_cast<size_t>(3 * lanes + 1), T(-7));
      cpu::lane_kernels<T>().spread(3, lanes, x.view().as<const T>(), lanes + 2, step, out.data());
      for (int64_t r = 0; r < 3; ++r)
        for (int64_t l = 0; l < lanes; ++l)
          EXPECT_EQ(out[static_cast<size_t>(r * lanes + l)],
                    x.view().as<const T>()[r * (lanes + 2) + l * step]);
      EXPECT_EQ(out.back(), T(-7));
    }
  }
}
TEST(LaneGemm, Spread) {
  rows_are_spread<double>();
  rows_are_spread<float>();
}

TEST(LaneGemm, OuterFloat64) { outer_products_accumulate<double>(); }
TEST(LaneGemm, OuterFloat32) { outer_products_accumulate<float>(); }

}  // namespace
}  // namespace hesse
