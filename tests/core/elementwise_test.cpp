// Elementwise ops and creation: values at the edges, promotion, weak scalars, storage, refusals.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "core/graph.h"
#include "core/node.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"

namespace hesse {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(),
                 kNan = std::numeric_limits<double>::quiet_NaN();

template <class T>
Array arr(std::initializer_list<T> v) {
  return Array::from<T>(v);
}
Array f64(std::initializer_list<double> v) { return Array::from<double>(v); }

/// Equal values, NaN equal to NaN and -0 different from 0.
template <class T>
void expect_values(const Array& a, std::vector<T> expected) {
  ASSERT_EQ(a.dtype(), dtype_of<T>) << a;
  const std::vector<T> got = a.to_vector<T>();
  ASSERT_EQ(got.size(), expected.size()) << a;
  for (size_t i = 0; i < got.size(); ++i) {
    if constexpr (std::is_floating_point_v<T>) {
      EXPECT_TRUE((std::isnan(got[i]) && std::isnan(expected[i])) ||
                  (got[i] == expected[i] && std::signbit(got[i]) == std::signbit(expected[i])))
          << "entry " << i << ": " << got[i] << ", expected " << expected[i];
    } else {
      EXPECT_EQ(got[i], expected[i]) << "entry " << i;
    }
  }
}
template <class E, class F>
void expect_error(F f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "no error; expected one that says '" << part << "'";
  } catch (const E& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Promotion, ArraysFollowTheTable) {
  EXPECT_EQ(add(arr<int32_t>({1}), arr<uint8_t>({1})).dtype(), kInt32);
  EXPECT_EQ(add(arr<int8_t>({1}), arr<uint8_t>({1})).dtype(), kInt16);
  EXPECT_EQ(add(arr<float>({1}), arr<int64_t>({1})).dtype(), kFloat32);
  EXPECT_EQ(add(arr<float>({1}), f64({1})).dtype(), kFloat64);
  EXPECT_EQ(multiply(f64({1}), arr<complex64>({{1, 1}})).dtype(), kComplex128);
  EXPECT_EQ(divide(arr<int32_t>({1}), arr<int32_t>({2})).dtype(), kFloat64);
  EXPECT_EQ(sqrt(arr<int8_t>({4})).dtype(), kFloat64);
  EXPECT_EQ(exp(arr<bool>({true})).dtype(), kFloat64);
  expect_error<TypeError>([] { add(arr<uint64_t>({1}), arr<int64_t>({1})); }, "add: ");
  expect_error<TypeError>([] { add(Array(Key{1, 2}), 1.0); }, "add: a key does not mix");
  expect_error<TypeError>([] { sin(Array(Key{1, 2})); }, "sin: keys are not numbers");
  expect_error<ValueError>([] { add(f64({1, 2}), f64({1, 2, 3})); }, "add: shapes (2,) and (3,)");
  expect_error<TypeError>([] { subtract(arr<bool>({true}), arr<bool>({true})); },
                          "subtract: bool is not supported");
  expect_error<TypeError>([] { erf(arr<complex128>({{1, 1}})); }, "erf: complex128 is not supported");
}

TEST(Promotion, WeakScalarsGiveWay) {
  EXPECT_EQ((2.0 * arr<float>({1})).dtype(), kFloat32);
  EXPECT_EQ((2 * arr<uint8_t>({1})).dtype(), kUInt8);
  EXPECT_EQ((2.5 * arr<int32_t>({1})).dtype(), kFloat64);
  EXPECT_EQ((2 * arr<bool>({true})).dtype(), kInt64);
  EXPECT_EQ((complex128(0, 1) * arr<float>({1})).dtype(), kComplex64);
  EXPECT_EQ((complex128(0, 1) * arr<int32_t>({1})).dtype(), kComplex128);
  EXPECT_EQ((Array(1) + Array(2.5)).dtype(), kFloat64);
  EXPECT_EQ((Array(1) + Array(2)).dtype(), kInt64);
  expect_error<ValueError>([] { add(arr<uint8_t>({1}), 300); }, "add: the number 300 does not fit uint8");
  expect_error<ValueError>([] { add(arr<uint8_t>({1}), -1); }, "add: the number -1 does not fit uint8");
  expect_values<int64_t>(arr<int64_t>({1}) + Array(int64_t{9007199254740993}), {9007199254740994});
  expect_values<float>(where(arr<bool>({true, false}), arr<float>({1.5f, 2}), 0.0), {1.5f, 0});
}

TEST(Storage, LiteralsAndUniformResultsAreOneElement) {
  const Array zero = zeros({1000, 1000});
  EXPECT_EQ(zero.buffer()->bytes(), 8u);
  const Array y = exp(zero + 1.0) * ones({1000, 1000});
  EXPECT_EQ(y.buffer()->bytes(), 8u);
  EXPECT_EQ(y.shape(), (Shape{1000, 1000}));
  EXPECT_DOUBLE_EQ(literal_value(y).value(), std::numbers::e);
  EXPECT_FALSE(literal_value(f64({1, 1})).has_value());
  // A row broadcast over many rows is computed once.
  const Array rows = sin(broadcast_to(f64({1, 2, 3}), {500, 3}));
  EXPECT_EQ(rows.buffer()->bytes(), 24u);
  EXPECT_DOUBLE_EQ(rows.to_vector<double>()[1498], std::sin(2.0));
  // What is right already is passed on.
  const Array x = f64({1, 2});
  EXPECT_EQ(astype(x, kFloat64).id(), x.id());
  EXPECT_EQ(real(x).id(), x.id());
  EXPECT_EQ(pow(x, 1).id(), x.id());
  EXPECT_EQ(floor(arr<int32_t>({3})).dtype(), kInt32);
}

TEST(Strides, TransposedSlicedAndBroadcastOperands) {
  std::vector<double> v(600);
  for (size_t i = 0; i < v.size(); ++i) v[i] = 0.01 * static_cast<double>(i) - 2.0;
  const Array x = Array::from<double>(v, {20, 30});
  const Array t = transpose(x);                        // [30, 20]
  const Array s = slice(x, {0, 1}, {20, 30}, {2, 3});  // [10, 10]
  const Array column = reshape(slice(x, {0, 4}, {20, 5}, {1, 1}), {20, 1});
  const auto straight = [](const Array& a) { return Array::from<double>(a.to_vector<double>(), a.shape()); };
  const auto same = [](const Array& a, const Array& b) {
    EXPECT_EQ(a.to_vector<double>(), b.to_vector<double>());
  };
  for (const Array& a : {t, s, column}) {
    same(tanh(a), tanh(straight(a)));
    same(exp(a), exp(straight(a)));
    same(cbrt(a), cbrt(straight(a)));
    same(a * a, straight(a) * straight(a));
    same(maximum(a, 0.1), maximum(straight(a), 0.1));
    same(where(less(a, 0.3), a, negative(a)),
         where(less(straight(a), 0.3), straight(a), negative(straight(a))));
  }
  same(x * column, straight(x) * straight(broadcast_to(column, {20, 30})));
  same(atan2(column, x), atan2(straight(broadcast_to(column, {20, 30})), straight(x)));
  same(transpose(x) - t, zeros({30, 20}));
  EXPECT_EQ(tanh(zeros({0, 3})).shape(), (Shape{0, 3}));
  EXPECT_EQ(add(zeros({3, 1, 0}), zeros({5, 1})).shape(), (Shape{3, 5, 0}));
  // Pairs: a short innermost axis.
  const Array pairs = reshape(x, {300, 2});
  same(pairs * f64({2, 3}), straight(pairs) * straight(broadcast_to(f64({2, 3}), {300, 2})));
  // Short rows, on either side, of lengths that fill blocks and that do not; results of another dtype.
  for (const int64_t n : {2, 7, 16, 60, 120}) {
    const Array a = reshape(slice(reshape(x, {600}), {0}, {600 / n * n}, {1}), {600 / n, n});
    const Array row = slice(reshape(x, {600}), {3}, {3 + n}, {1});
    const Array full = straight(broadcast_to(row, {600 / n, n}));
    same(a - row, straight(a) - full);
    same(row - a, full - straight(a));
    same(where(less(row, a), a, row), where(less(full, a), a, full));
  }
  const Array cube = reshape(x, {5, 4, 30}), row = slice(x, {3, 0}, {4, 30}, {1, 1});
  same(cube / row, straight(cube) / straight(broadcast_to(row, {5, 4, 30})));
}

// On a tile every operand has a lane axis, of stride 0 where it is uniform; the output need not be
// contiguous.
TEST(Lanes, ElementwiseOnTiles) {
  using G = std::function<Array(const Array&, const Array&)>;
  const std::vector<G> functions = {add, divide, maximum,
                                    [](const Array& x, const Array& y) { return pow(x, y); },
                                    [](const Array& x, const Array& y) { return floor_divide(x, y); }};
  constexpr int64_t kFeatures = 3, kLanes = 21, kRow = 32;
  std::vector<double> x(kFeatures * kRow), y = {0.7, 1.9, -2.5};
  for (size_t i = 0; i < x.size(); ++i) x[i] = 0.1 + 0.05 * static_cast<double>(i);
  for (const G& g : functions) {
    const Aval row{{kFeatures}, kFloat64};
    const auto graph =
        trace_closed([&](std::span<const Array> a) { return Arrays{g(a[0], a[1])}; }, {{row, row}});
    ASSERT_EQ(graph->equations().size(), 1u);
    const Op& op = *graph->equations()[0].op;
    ASSERT_TRUE(op.has_lane_kernel());
    std::vector<double> out(x.size(), -7);
    const Shape tile{kFeatures, kLanes};
    const View views[] = {{x.data(), kFloat64, tile, {kRow, 1}}, {y.data(), kFloat64, tile, {1, 0}}};
    const View result{out.data(), kFloat64, tile, {kRow, 1}};
    op.kernel(views, {&result, 1}, 1);
    for (int64_t f = 0; f < kFeatures; ++f) {
      for (int64_t lane = 0; lane < kRow; ++lane) {
        const auto at = static_cast<size_t>(f * kRow + lane);
        const double expected = g(f64({x[at]}), f64({y[static_cast<size_t>(f)]})).item<double>();
        const double got = out[at];
        if (lane >= kLanes)
          EXPECT_EQ(got, -7);
        else
          EXPECT_TRUE(got == expected || (std::isnan(got) && std::isnan(expected)))
              << op.name() << ' ' << x[at];
      }
    }
  }
}

TEST(Astype, EdgesAreDefined) {
  expect_values<int32_t>(astype(f64({1.9, -1.9, kNan, kInf, -kInf, 1e10, -1e10, 2147483647.0}), kInt32),
                         {1, -1, 0, 2147483647, -2147483647 - 1, 2147483647, -2147483647 - 1, 2147483647});
  expect_values<uint8_t>(astype(f64({-1, 255.9, 256, 300, kNan}), kUInt8), {0, 255, 255, 255, 0});
  expect_values<int64_t>(
      astype(arr<float>({9.3e18f, -9.3e18f, 1e18f}), kInt64),
      {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(), 999999984306749440});
  expect_values<uint64_t>(astype(f64({1.8446744073709552e19, 1e19}), kUInt64),
                          {std::numeric_limits<uint64_t>::max(), 10000000000000000000u});
  expect_values<int8_t>(astype(arr<int32_t>({130, -129}), kInt8), {-126, 127});
  expect_values<bool>(astype(f64({0.0, -0.0, 0.5, kNan}), kBool), {false, false, true, true});
  expect_values<bool>(astype(arr<complex128>({{0, 0}, {0, 1}}), kBool), {false, true});
  expect_error<TypeError>([] { astype(arr<complex128>({{1.5, 7}}), kFloat64); }, "loses the imaginary part");
  expect_values<complex64>(astype(arr<int8_t>({3}), kComplex64), {complex64(3, 0)});
  expect_values<float>(astype(f64({1e300}), kFloat32), {std::numeric_limits<float>::infinity()});
  expect_error<TypeError>([] { astype(Array(Key{1, 2}), kInt32); }, "astype: cannot convert key");
}

TEST(Integers, NothingIsUndefined) {
  constexpr int32_t least = std::numeric_limits<int32_t>::min();
  expect_values<int32_t>(arr<int32_t>({least}) - 1, {std::numeric_limits<int32_t>::max()});
  expect_values<int32_t>(negative(arr<int32_t>({least})), {least});
  expect_values<int32_t>(abs(arr<int32_t>({least, -3})), {least, 3});
  expect_values<int32_t>(floor_divide(arr<int32_t>({7, -7, 5, least}), arr<int32_t>({2, 2, 0, -1})),
                         {3, -4, 0, least});
  expect_values<int32_t>(remainder(arr<int32_t>({7, -7, 7, 5, least}), arr<int32_t>({2, 2, -2, 0, -1})),
                         {1, 1, -1, 0, 0});
  expect_values<int32_t>(fmod(arr<int32_t>({-7, 5, least}), arr<int32_t>({2, 0, -1})), {-1, 0, 0});
  expect_values<uint8_t>(arr<uint8_t>({200}) * arr<uint8_t>({2}), {144});
  expect_values<uint16_t>(square(arr<uint16_t>({65535})), {1});
  expect_values<int32_t>(bitwise_left_shift(arr<int32_t>({1, 1, 1, -1}), arr<int32_t>({31, 32, -1, 4})),
                         {least, 0, 0, -16});
  expect_values<int32_t>(bitwise_right_shift(arr<int32_t>({-8, -8, 8, 8}), arr<int32_t>({1, 40, 40, -1})),
                         {-4, -1, 0, 0});
  expect_values<uint8_t>(bitwise_invert(arr<uint8_t>({1})), {254});
  expect_values<bool>(bitwise_invert(arr<bool>({true, false})), {false, true});
  expect_values<int64_t>(pow(arr<int64_t>({2, -2, 3}), arr<int64_t>({10, 3, 0})), {1024, -8, 1});
  expect_error<NumericalError>(
      [] {
        pow(arr<int64_t>({2, 1}), arr<int64_t>({-1, -5}));
      },
      "pow: the integer 2 to the negative power -1");
  expect_error<ValueError>([] { pow(arr<int64_t>({2}), -1); }, "pow: integers to the negative power");
  expect_values<bool>(logical_xor(arr<int32_t>({2, 0, 3}), f64({1, 0, 0})), {false, false, true});
  expect_error<TypeError>([] { bitwise_and(f64({1}), 1); }, "bitwise_and: float64 is not supported");
  expect_error<TypeError>([] { bitwise_left_shift(arr<bool>({true}), arr<bool>({true})); },
                          "bitwise_left_shift");
  expect_values<uint64_t>(sign(arr<uint64_t>({0, 7})), {0, 1});
}

TEST(Floats, DivisionWithRemainder) {
  // Python: divmod(x, y).
  expect_values<double>(
      floor_divide(f64({7, -7, 7, -0.0, 1, 1, -1, kInf, 0.1}), f64({2, 2, -2, 3, 0, kInf, kInf, 2, 0.1})),
      {3, -4, -4, -0.0, kInf, 0, -1, kNan, 1});
  expect_values<double>(
      remainder(f64({7, -7, 7, -0.0, 1, 1, -1, kInf, 6}), f64({2, 2, -2, 3, 0, kInf, kInf, 2, -3})),
      {1, 1, -1, 0.0, kNan, 1, kInf, kNan, -0.0});
  expect_values<double>(fmod(f64({-7, 7, 1}), f64({2, -2, kInf})), {-1, 1, 1});
  expect_values<double>(round(f64({0.5, 1.5, 2.5, -0.5, kNan, 1e300})), {0, 2, 2, -0.0, kNan, 1e300});
  expect_values<double>(floor(f64({-0.5, -0.0, 1.5, -kInf})), {-1, -0.0, 1, -kInf});
  expect_values<double>(ceil(f64({-0.5, 0.0, 1.5})), {-0.0, 0, 2});
  expect_values<double>(trunc(f64({-1.5, -0.5, 1.9})), {-1, -0.0, 1});
  expect_values<complex128>(round(arr<complex128>({{0.5, 1.5}})), {complex128(0, 2)});
  expect_values<double>(copysign(f64({1, -2}), f64({-0.0, 3})), {-1, 2});
  expect_values<double>(nextafter(f64({0}), f64({1})), {std::numeric_limits<double>::denorm_min()});
  expect_values<bool>(signbit(f64({-0.0, 0.0, -kInf})), {true, false, true});
}

TEST(Floats, ExtremaAndSelection) {
  expect_values<double>(maximum(f64({1, kNan, 2, -0.0}), f64({2, 1, kNan, 0.0})), {2, kNan, kNan, -0.0});
  expect_values<double>(minimum(f64({1, kNan, 2}), f64({2, 1, kNan})), {1, kNan, kNan});
  expect_values<double>(clip(f64({-1, 0.5, 3, kNan}), Array(0.0), Array(1.0)), {0, 0.5, 1, kNan});
  expect_values<int32_t>(clip(arr<int32_t>({-5, 5}), Array(0), std::nullopt), {0, 5});
  expect_values<double>(where(arr<bool>({true, false}), f64({1, 2}), f64({kNan, 3})), {1, 3});
  const Array keys = where(Array(true), Array(Key{1, 2}), Array(Key{3, 4}));
  EXPECT_EQ(keys.item<Key>(), (Key{1, 2}));
  expect_values<double>(sign(f64({-2, -0.0, 0, 3, kNan})), {-1, 0, 0, 1, kNan});
  expect_values<bool>(not_equal(f64({kNan, 1}), f64({kNan, 1})), {true, false});
  expect_values<bool>(isnan(arr<complex128>({{1, kNan}, {1, 1}})), {true, false});
  expect_values<bool>(isfinite(f64({1, kInf, kNan})), {true, false, false});
  expect_values<bool>(isinf(arr<int32_t>({1})), {false});
  expect_error<TypeError>([] { less(arr<complex128>({{1, 1}}), 1); }, "less");
}

TEST(Functions, Edges) {
  expect_values<double>(exp(f64({-kInf, kInf, kNan, -800, 800, 0})), {0, kInf, kNan, 0, kInf, 1});
  expect_values<double>(log(f64({0, -0.0, -1, kInf, 1})), {-kInf, -kInf, kNan, kInf, 0});
  expect_values<double>(tanh(f64({-0.0, kInf, -kInf, 1e-300, -50})), {-0.0, 1, -1, 1e-300, -1});
  expect_values<double>(sigmoid(f64({-kInf, kInf, 0})), {0, 1, 0.5});
  expect_values<double>(softplus(f64({-kInf, kInf, kNan})), {0, kInf, kNan});
  expect_values<double>(logaddexp(f64({-kInf, kInf, 1000, -kInf, kNan}), f64({-kInf, kInf, -1000, 3, 1})),
                        {-kInf, kInf, 1000, 3, kNan});
  expect_values<double>(sqrt(f64({-1, -0.0, kInf})), {kNan, -0.0, kInf});
  expect_values<double>(pow(f64({0, 2, -8, kInf}), 3), {0, 8, -512, kInf});
  expect_values<double>(pow(f64({0, 4, kInf}), 0.5), {0, 2, kInf});
  expect_values<double>(pow(f64({2, -1}), -2), {0.25, 1});
  expect_values<double>(pow(f64({0, kNan}), 0), {1, 1});
  expect_values<double>(pow(f64({0, -1, 0}), f64({0, 0.5, -1})), {1, kNan, kInf});
  expect_values<double>(hypot(f64({3, 0}), f64({4, 0})), {5, 0});
  EXPECT_NEAR(hypot(f64({3e200}), f64({4e200})).item<double>() / 5e200, 1, 1e-15);
  expect_values<double>(digamma(f64({0, -1, kInf})), {-kInf, kNan, kInf});
  EXPECT_NEAR(digamma(f64({1})).item<double>(), -std::numbers::egamma, 1e-15);
  EXPECT_NEAR(polygamma(1, f64({1})).item<double>(), std::numbers::pi * std::numbers::pi / 6, 1e-15);
  EXPECT_NEAR(lgamma(f64({-0.5})).item<double>(), std::log(2 * std::sqrt(std::numbers::pi)), 1e-14);
  expect_error<ValueError>([] { polygamma(-1, f64({1})); }, "polygamma: n = -1");
}

TEST(Complex, Parts) {
  const Array z = arr<complex128>({{3, 4}, {0, 0}, {-1, 0}});
  expect_values<double>(abs(z), {5, 0, 1});
  expect_values<double>(angle(z), {std::atan2(4.0, 3.0), 0, std::numbers::pi});
  expect_values<double>(angle(f64({-2, 2})), {std::numbers::pi, 0});
  expect_values<complex128>(conj(z), {{3, -4}, {0, 0}, {-1, 0}});
  expect_values<complex128>(sign(z), {{0.6, 0.8}, {0, 0}, {-1, 0}});
  expect_values<complex64>(make_complex(arr<float>({1}), 2.0), {{1, 2}});
  expect_values<double>(imag(f64({1})), {0});
  const complex128 w(0.3, -0.7), e = expm1(arr<complex128>({w})).item<complex128>();
  EXPECT_LT(std::abs(e - (std::exp(w) - 1.0)), 1e-15);
  EXPECT_LT(std::abs(log1p(arr<complex128>({w})).item<complex128>() - std::log(1.0 + w)), 1e-15);
  EXPECT_LT(std::abs(pow(arr<complex128>({w}), -3).item<complex128>() - std::pow(w, -3.0)), 1e-14);
  expect_values<complex128>(pow(arr<complex128>({{0, 0}}), arr<complex128>({{0, 0}})), {{1, 0}});
}

TEST(Creation, Ranges) {
  expect_values<int64_t>(arange(0, 5, 2, kInt64), {0, 2, 4});
  expect_values<double>(arange(1, 0, -0.25, kFloat64), {1, 0.75, 0.5, 0.25});
  expect_values<int32_t>(arange(3, 0, 1, kInt32), {});
  expect_error<ValueError>([] { arange(0, 1, 0, kInt32); }, "arange: start 0");
  expect_error<ValueError>([] { arange(0, 300, 1, kUInt8); }, "arange: 299 does not fit uint8");
  expect_values<double>(linspace(0.0, 1.0, 5), {0, 0.25, 0.5, 0.75, 1});
  expect_values<double>(linspace(0.0, 1.0, 4, false), {0, 0.25, 0.5, 0.75});
  expect_values<double>(linspace(2.0, 3.0, 1), {2});
  EXPECT_EQ(linspace(0.0, 1.0, 0).shape(), (Shape{0}));
  EXPECT_EQ(linspace(f64({0, 1}), 2.0, 3).shape(), (Shape{3, 2}));
  EXPECT_EQ(linspace(0.1, 0.7, 97).to_vector<double>().back(), 0.7);
  expect_values<int64_t>(linspace(0, 5, 3, true, kInt64), {0, 2, 5});
  expect_values<double>(logspace(0.0, 2.0, 3), {1, 10, 100});
  expect_error<ValueError>([] { linspace(0, 1, -1); }, "linspace: num = -1");
  expect_error<ValueError>([] { zeros({2, -1}); }, "zeros: negative length");
  expect_error<ValueError>([] { zeros({int64_t{1} << 40, int64_t{1} << 40}); }, "zeros: shape");
}

TEST(Creation, FillsAndMatrices) {
  EXPECT_EQ(full({2}, 3).dtype(), kInt64);
  EXPECT_EQ(full({2}, 3.0).dtype(), kFloat64);
  EXPECT_EQ(full({2}, Array(true)).dtype(), kBool);
  expect_values<float>(full({2}, 3, kFloat32), {3, 3});
  expect_values<float>(ones_like(arr<float>({5, 6})), {1, 1});
  expect_values<int8_t>(full_like(arr<int8_t>({5, 6}), 7), {7, 7});
  expect_values<double>(eye(2, 3, 1), {0, 1, 0, 0, 0, 1});
  const Array m = reshape(arange(1, 7, 1, kFloat64), {2, 3});
  expect_values<double>(tril(m), {1, 0, 0, 4, 5, 0});
  expect_values<double>(triu(m, 1), {0, 2, 3, 0, 0, 6});
  expect_values<double>(diagonal(m), {1, 5});
  expect_values<double>(diagonal(m, 2), {3});
  expect_values<double>(diagonal(m, -1), {4});
  EXPECT_EQ(diagonal(m, 5).shape(), (Shape{0}));
  EXPECT_EQ(diagonal(m, -5).shape(), (Shape{0}));
  expect_values<double>(diag(f64({1, 2})), {1, 0, 0, 2});
  expect_values<double>(diag(f64({1, 2}), 1), {0, 1, 0, 0, 0, 2, 0, 0, 0});
  expect_values<double>(diag(f64({1, 2}), -1), {0, 0, 0, 1, 0, 0, 0, 2, 0});
  const Arrays grid = meshgrid({f64({1, 2, 3}), f64({4, 5})}, "xy");
  EXPECT_EQ(grid[0].shape(), (Shape{2, 3}));
  expect_values<double>(grid[1], {4, 4, 4, 5, 5, 5});
  expect_error<ValueError>([] { meshgrid({f64({1})}, "zz"); }, "meshgrid: indexing is 'zz'");
  expect_error<ValueError>([] { tril(f64({1})); }, "tril: expected a matrix");
  expect_error<TypeError>([] { zeros({1}, kKey); }, "zeros: keys");
  // Nothing is done for rows without entries, nor for the masks of no matrices.
  EXPECT_EQ(eye(int64_t{1} << 40, 0).shape(), (Shape{int64_t{1} << 40, 0}));
  EXPECT_EQ(tril(zeros({0, 1 << 20, 1 << 20})).shape(), (Shape{0, 1 << 20, 1 << 20}));
}

// Operands of short rows are read in blocks: the bits are those of packed ones.
TEST(Elementwise, TransposedAndRepeatedOperandsOfShortRows) {
  for (const DType dtype : {kFloat64, kFloat32})
    for (const int64_t n : {2, 3, 7, 16, 127, 128, 129})
      for (const int64_t rows : {0, 1, 5, 16, 17, 300}) {
        const auto numbers = [&](const Shape& shape, double phase) {
          std::vector<double> v;
          for (int64_t i = 0; i < num_elements(shape); ++i)
            v.push_back(std::sin(phase + 1.7 * static_cast<double>(i)));
          return astype(Array::from<double>(v, shape), dtype);
        };
        const Array turned = transpose(numbers({n, rows}, 1), Axes{1, 0}), packed = numbers({rows, n}, 2),
                    row = broadcast_to(numbers({n}, 3), Shape{rows, n}),
                    uniform = broadcast_to(numbers({}, 4), Shape{rows, n}),
                    backwards = flip(transpose(numbers({n, rows}, 5), Axes{1, 0}), Axes{1});
        const Array operands[] = {turned, packed, row, uniform, backwards};
        const auto expect_same = [&](const Array& got, const Array& expected) {
          EXPECT_EQ(astype(got, kFloat64).to_vector<double>(), astype(expected, kFloat64).to_vector<double>())
              << rows << " x " << n;
        };
        for (const Array& x : operands) {
          expect_same(exp(x), exp(copy(x)));
          expect_same(square(x), square(copy(x)));
          for (const Array& y : operands) {
            expect_same(x - y, copy(x) - copy(y));
            expect_same(x < y, copy(x) < copy(y));
          }
        }
      }
}

}  // namespace
}  // namespace hesse
