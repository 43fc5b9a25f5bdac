#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "tests/support/expect_derivatives.h"

/// Reductions, products and convolutions: derivatives to third order, corners, and every example of a vmap
/// against a call of its own.
namespace hesse {
namespace {

using test::expect_derivatives;

Array wavy(const Shape& shape, double phase = 0) {
  std::vector<double> v(static_cast<size_t>(num_elements(shape)));
  for (size_t i = 0; i < v.size(); ++i) v[i] = std::sin(1 + static_cast<double>(i) * 1.7 + phase);
  return Array::from<double>(v, shape);
}
std::vector<double> gradient(const std::function<Array(const Array&)>& f, const Array& x) {
  return grad(f)(x).to_vector<double>();
}
/// f(a, b) of two arrays.
void expect_binary(const std::function<Array(const Array&, const Array&)>& f, const Array& a, const Array& b,
                   int order = 3) {
  expect_derivatives([&f](std::span<const Array> v) { return Arrays{f(v[0], v[1])}; }, Arrays{a, b}, order);
}

TEST(ReduceDerivatives, Smooth) {
  const Array x = wavy({3, 4});
  expect_derivatives([](const Array& v) { return sum(v * v * v, Axes{0}); }, x);
  expect_derivatives([](const Array& v) { return prod(v, Axes{1}, true); }, x);
  expect_derivatives([](const Array& v) { return prod(v); }, wavy({2, 2}));
  expect_derivatives([](const Array& v) { return prod(v, Axes{0, 2}); }, wavy({2, 3, 2}));
  expect_derivatives([](const Array& v) { return var(v, Axes{1}, 1.0); }, x);
  expect_derivatives([](const Array& v) { return std(v, Axes{0}); }, x);
  expect_derivatives([](const Array& v) { return logsumexp(v, Axes{1}); }, x);
  expect_derivatives([](const Array& v) { return softmax(v, 0); }, x);
  expect_derivatives([](const Array& v) { return log_softmax(v); }, x);
  expect_derivatives([](const Array& v) { return cumsum(v * v, 1, true); }, x);
  expect_derivatives([](const Array& v) { return cumprod(v, 0); }, x);
  const Array apart = reshape(Array::from<double>({1, -2, 3, -0.4, 2.5, 1.5}), {2, 3});
  expect_derivatives([](const Array& v) { return max(v * v, Axes{1}); }, apart);
  expect_derivatives([](const Array& v) { return min(v * v); }, apart);
  expect_derivatives([](const Array& v) { return diff(v * v, 2) + trace(matmul(v, transpose(v))); }, x);
}

TEST(ReduceDerivatives, ZerosInProducts) {
  const Array x = Array::from<double>({2, 0, 3, 0, -1}), y = Array::from<double>({2, 0, 3});
  EXPECT_EQ(gradient([](const Array& v) { return prod(v); }, y), (std::vector<double>{0, 6, 0}));
  expect_derivatives([](const Array& v) { return prod(v); }, x);
  expect_derivatives([](const Array& v) { return prod(v); }, y);
  expect_derivatives([](const Array& v) { return cumprod(v, 0); }, x);
}

TEST(ReduceDerivatives, TiesShareEqually) {
  const auto largest = [](const Array& v) { return max(v); };
  EXPECT_EQ(gradient(largest, Array::from<double>({1, 3, 3, 2})), (std::vector<double>{0, 0.5, 0.5, 0}));
  EXPECT_EQ(gradient([](const Array& v) { return sum(min(v, Axes{1})); },
                     reshape(Array::from<double>({1, 1, 2, 5}), {2, 2})),
            (std::vector<double>{0.5, 0.5, 1, 0}));
}

TEST(ReduceDerivatives, Interpolation) {
  const Array x = Array::from<double>({-0.5, 0.3, 0.9, 1.7, 4}), xp = Array::from<double>({0, 1, 3}),
              fp = Array::from<double>({1, 4, -2});
  expect_derivatives([](std::span<const Array> v) { return Arrays{interp(v[0], v[1], v[2])}; },
                     Arrays{x, xp, fp});
}

TEST(ProductDerivatives, MatMul) {
  for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{{{2, 3}, {3, 2}},
                                                                 {{3}, {3}},
                                                                 {{2, 3}, {3}},
                                                                 {{3}, {3, 2}},
                                                                 {{2, 2, 3}, {3, 2}},
                                                                 {{2, 3}, {2, 3, 2}},
                                                                 {{2, 1, 2, 2}, {3, 2, 2}}})
    expect_binary([](const Array& x, const Array& y) { return matmul(x, y); }, wavy(a), wavy(b, 1));
  expect_binary([](const Array& x, const Array& y) { return matmul(x, y); },
                make_complex(wavy({2, 2}), wavy({2, 2}, 2)), make_complex(wavy({2, 2}, 1), wavy({2, 2}, 3)));
}

TEST(ProductDerivatives, Others) {
  const Array a = wavy({2, 3}), b = wavy({2, 3}, 1);
  for (const char* s : {"ij,ij->", "ij,ij->i", "ij,kj->ik", "ij,kl->jl", "ij,ik->ijk"})
    expect_binary([s](const Array& x, const Array& y) { return einsum(s, {x, y}); }, a, b);
  expect_derivatives([](const Array& x) { return einsum("ii,ij,jk->k", {x, x, x}); }, wavy({2, 2}));
  expect_binary([](const Array& x, const Array& y) { return vecdot(x, y); }, a, b);
  expect_binary([](const Array& x, const Array& y) { return kron(x, y); }, a, b, 2);
  expect_binary([](const Array& x, const Array& y) { return cross(x, y); }, a, b, 2);
  expect_binary([](const Array& x, const Array& y) { return tensordot(x, y, {0, 1}, {0, 1}); }, a, b);
}

TEST(ConvDerivatives, AllThreeOfTheFamily) {
  const ConvOptions one{.stride = {2}, .padding = {{1, 2}}},
      two{.dilation = {1, 2}, .padding = {{1, 0}, {0, 1}}, .groups = 2};
  expect_binary([&](const Array& x, const Array& w) { return conv(x, w, one); }, wavy({2, 2, 5}),
                wavy({2, 2, 3}, 1));
  expect_binary([&](const Array& x, const Array& w) { return conv(x, w, two); }, wavy({1, 2, 3, 4}),
                wavy({2, 1, 2, 2}, 1));
  expect_binary([&](const Array& y, const Array& w) { return conv_transpose(y, w, one, {1}); },
                wavy({1, 2, 4}), wavy({2, 1, 3}, 1));
  expect_derivatives(
      [](const Array& x) {
        return avg_pool(x * x, {2, 2}, {1, 1}, {{1, 0}, {0, 0}});
      },
      wavy({1, 2, 3, 3}));
  expect_derivatives([](const Array& x) { return max_pool(x * x, {2}, {1}, {{1, 0}}); }, wavy({1, 2, 4}));
}

using Unary = std::function<Array(const Array&)>;
/// vmap and vmap of the gradient give what calls one by one give, for numbers of examples about a vector's
/// and a tile's.
void expect_examples(const Unary& f, const Shape& shape) {
  const Unary df = grad([&f](const Array& x) {
    const Array y = f(x);
    return sum(y * y);
  });
  for (const Unary& g : {f, df})
    for (const int64_t n : {0, 1, 7, 9, 131}) {
      Shape stacked = shape;
      stacked.insert(0, n);
      const Array x = wavy(stacked);
      const Array ys = vmap([&g](std::span<const Array> v) { return Arrays{g(v[0])}; }, {x}, {0}, {0})[0];
      ASSERT_EQ(ys.dim(0), n);
      for (int64_t i = 0; i < n; ++i) {
        const Array expected = g(getitem(x, {i})), actual = getitem(ys, {i});
        ASSERT_EQ(actual.shape(), expected.shape());
        ASSERT_EQ(actual.dtype(), expected.dtype());
        const Array apart = abs(astype(actual, kFloat64) - astype(expected, kFloat64));
        ASSERT_TRUE(all(apart < 1e-12).item<bool>()) << i << " of " << n;
      }
    }
}

TEST(Examples, Reductions) {
  const Shape s{3, 4};
  expect_examples([](const Array& x) { return sum(x, Axes{0}); }, s);
  expect_examples([](const Array& x) { return sum(x); }, s);
  expect_examples([](const Array& x) { return prod(x, Axes{1}, true); }, s);
  expect_examples([](const Array& x) { return prod(x); }, s);
  expect_examples([](const Array& x) { return max(x, Axes{0}); }, s);
  expect_examples([](const Array& x) { return min(x); }, s);
  expect_examples([](const Array& x) { return std(x, Axes{1}); }, s);
  expect_examples([](const Array& x) { return logsumexp(x, Axes{0, 1}, true); }, s);
  expect_examples([](const Array& x) { return softmax(x); }, s);
  expect_examples([](const Array& x) { return cumsum(x, 0, true) * cumprod(x, 1); }, s);
  expect_examples([](const Array& x) { return take_along_axis(x, argmax(x, 1, true), 1); }, s);
  expect_examples(
      [](const Array& x) { return where(any(x > 0.9), x, astype(all(x > -2.0, Axes{0}), kFloat64) * x); }, s);
  expect_examples([](const Array& x) { return astype(count_nonzero(x > 0.0, Axes{1}), kFloat64) * sum(x); },
                  s);
  expect_examples([](const Array& x) { return interp(x, linspace(-0.9, 0.9, 5), wavy({5})); }, s);
  expect_examples([](const Array& x) { return diff(x, 2) + trace(x); }, s);
}

TEST(Examples, Products) {
  const Array w = wavy({4, 3}, 1), v = wavy({4}, 2), batch = wavy({2, 4, 2});
  expect_examples([&](const Array& x) { return matmul(w, x); }, {3, 4});
  expect_examples([&](const Array& x) { return matmul(w, x); }, {3});
  expect_examples([&](const Array& x) { return matmul(x, w); }, {5, 4});
  expect_examples([&](const Array& x) { return matmul(x, w); }, {2, 5, 4});
  expect_examples([&](const Array& x) { return matmul(x, v); }, {3, 4});
  expect_examples([&](const Array& x) { return matmul(x, transpose(x)); }, {3, 4});
  expect_examples([&](const Array& x) { return matmul(x, batch); }, {3, 4});
  expect_examples([&](const Array& x) { return outer(x, x) + dot(x, x); }, {4});
  expect_examples([&](const Array& x) { return einsum("ij,ki,kj->k", {x, w, w}); }, {3, 3});
  expect_examples([&](const Array& x) { return einsum("ii->i", {x}) + einsum("ii", {x}); }, {3, 3});
  expect_examples(
      [&](const Array& x) {
        return kron(x, wavy({2})) + sum(cross(wavy({6, 3}), x), Axes{1});
      },
      {3});
}

TEST(Examples, Convolutions) {
  const Array w = wavy({2, 1, 3}, 1), x = wavy({2, 2, 7}, 2);
  const ConvOptions options{.stride = {2}, .padding = {{1, 1}}, .groups = 2};
  expect_examples([&](const Array& v) { return conv(v, w, options); }, {1, 2, 6});
  expect_examples([&](const Array& v) { return conv(x, v, options); }, {2, 1, 3});
  expect_examples([&](const Array& v) { return conv_transpose(v, w, options); }, {1, 2, 3});
  expect_examples([](const Array& v) { return max_pool(v, {2}) + avg_pool(v, {2}); }, {2, 1, 6});
}

}  // namespace
}  // namespace hesse
