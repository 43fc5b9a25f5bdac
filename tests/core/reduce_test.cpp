#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/ops.h"
#include "core/ops/reduce.h"

namespace hesse {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::numeric_limits<double>::quiet_NaN();

Array matrix() { return reshape(Array::from<double>({1, 2, 3, 4, 5, 6}), {2, 3}); }
std::vector<double> values(const Array& x) { return x.to_vector<double>(); }

template <class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Reduce, SumOverAxes) {
  const Array x = matrix();
  EXPECT_EQ(sum(x).item<double>(), 21);
  EXPECT_EQ(values(sum(x, Axes{0})), (std::vector<double>{5, 7, 9}));
  EXPECT_EQ(values(sum(x, Axes{-1})), (std::vector<double>{6, 15}));
  EXPECT_EQ(sum(x, Axes{1}, true).shape(), (Shape{2, 1}));
  EXPECT_EQ(values(sum(transpose(x), Axes{0})), (std::vector<double>{6, 15}));
  EXPECT_EQ(values(sum(broadcast_to(Array::from<double>({1, 2}), {1000, 2}), Axes{0})),
            (std::vector<double>{1000, 2000}));
  EXPECT_EQ(sum(x, Axes{}).shape(), x.shape());
}

TEST(Reduce, SumsOfStridedAxesAreSummedInTheSameOrder) {
  std::vector<double> v(6 * 50 * 7);
  for (size_t i = 0; i < v.size(); ++i) v[i] = std::sin(static_cast<double>(i)) * 1e3;
  const Array x = Array::from<double>(v, {6, 50, 7});
  const Array y = copy(transpose(x, Axes{1, 0, 2}));  // other memory, the same values
  EXPECT_EQ(values(sum(x, Axes{0, 2})), values(sum(transpose(y, Axes{1, 0, 2}), Axes{0, 2})));
  EXPECT_EQ(sum(x).item<double>(), sum(transpose(y, Axes{1, 0, 2})).item<double>());
}

TEST(Reduce, IntegersWiden) {
  EXPECT_EQ(sum(Array::from<int8_t>({100, 100, 100})).dtype(), kInt64);
  EXPECT_EQ(sum(Array::from<int8_t>({100, 100, 100})).item<int64_t>(), 300);
  EXPECT_EQ(sum(Array::from<uint8_t>({200, 100})).dtype(), kUInt64);
  EXPECT_EQ(sum(astype(Array::from<int64_t>({1, 0, 1}), kBool)).item<int64_t>(), 2);
  EXPECT_EQ(prod(Array::from<int32_t>({100000, 100000})).item<int64_t>(), 10000000000);
  EXPECT_EQ(mean(Array::from<int32_t>({1, 2})).item<double>(), 1.5);
}

TEST(Reduce, SumIsPairwise) {
  // A running float32 sum of ten million tenths is off by 8%.
  const Array x = broadcast_to(astype(Array(0.1), kFloat32), {10000000});
  EXPECT_NEAR(static_cast<double>(sum(x).item<float>()), 1e6, 1.0);
  const Array columns = broadcast_to(astype(Array(0.1), kFloat32), {1000000, 9});
  for (const float v : sum(columns, Axes{0}).to_vector<float>()) EXPECT_NEAR(v, 1e5, 0.1);
}

TEST(Reduce, Empty) {
  EXPECT_EQ(sum(zeros({0})).item<double>(), 0);
  EXPECT_EQ(prod(zeros({0})).item<double>(), 1);
  EXPECT_EQ(values(sum(zeros({2, 0}), Axes{1})), (std::vector<double>{0, 0}));
  EXPECT_EQ(sum(zeros({0, 3}), Axes{1}).shape(), (Shape{0}));
  EXPECT_EQ(logsumexp(zeros({0})).item<double>(), -kInf);
  EXPECT_TRUE(std::isnan(mean(zeros({0})).item<double>()));
  EXPECT_NE(message([] { max(zeros({0})); }).find("max: x of shape (0,) is empty"), std::string::npos);
  EXPECT_NE(message([] {
              argmin(zeros({2, 0}), 1);
            }).find("argmin: x of shape (2, 0) is empty"),
            std::string::npos);
  EXPECT_EQ(max(zeros({0, 3}), Axes{1}).shape(), (Shape{0}));
}

TEST(Reduce, ExtremaAndPositions) {
  const Array x = reshape(Array::from<double>({3, 1, 3, -1, -5, 2}), {2, 3});
  EXPECT_EQ(values(max(x, Axes{1})), (std::vector<double>{3, 2}));
  EXPECT_EQ(values(min(x, Axes{0})), (std::vector<double>{-1, -5, 2}));
  EXPECT_EQ(argmax(x).item<int64_t>(), 0);
  EXPECT_EQ(argmax(x, 1).to_vector<int64_t>(), (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(argmin(x, 0, true).shape(), (Shape{1, 3}));
  const Array n = Array::from<double>({1, kNaN, 7, kNaN});
  EXPECT_TRUE(std::isnan(max(n).item<double>()) && std::isnan(min(n).item<double>()));
  EXPECT_EQ(argmax(n).item<int64_t>(), 1);
  EXPECT_EQ(argmin(n).item<int64_t>(), 1);
  EXPECT_THROW(max(make_complex(x, x)), TypeError);
}

TEST(Reduce, Statistics) {
  const Array x = matrix();
  EXPECT_EQ(values(mean(x, Axes{0})), (std::vector<double>{2.5, 3.5, 4.5}));
  EXPECT_DOUBLE_EQ(var(x).item<double>(), 35.0 / 12);
  EXPECT_DOUBLE_EQ(var(x, {}, 1.0).item<double>(), 3.5);
  EXPECT_DOUBLE_EQ(std(x, Axes{1}).to_vector<double>()[0], std::sqrt(2.0 / 3));
}

TEST(Reduce, LogSumExpAtInfinities) {
  EXPECT_DOUBLE_EQ(logsumexp(Array::from<double>({1000, 1000})).item<double>(), 1000 + std::log(2.0));
  EXPECT_EQ(logsumexp(Array::from<double>({-kInf, -kInf})).item<double>(), -kInf);
  EXPECT_EQ(logsumexp(Array::from<double>({-kInf, 3})).item<double>(), 3);
  EXPECT_EQ(logsumexp(Array::from<double>({kInf, 3})).item<double>(), kInf);
  EXPECT_TRUE(std::isnan(logsumexp(Array::from<double>({kNaN, 3})).item<double>()));
  EXPECT_EQ(values(softmax(Array::from<double>({0, -kInf, 0}))), (std::vector<double>{0.5, 0, 0.5}));
  EXPECT_DOUBLE_EQ(log_softmax(Array::from<double>({1e4, 0})).to_vector<double>()[1], -1e4);
}

TEST(Reduce, Logical) {
  const Array x = reshape(Array::from<int64_t>({1, 0, 2, 3}), {2, 2});
  EXPECT_FALSE(all(x).item<bool>());
  EXPECT_EQ(all(x, Axes{1}).to_vector<bool>(), (std::vector<bool>{false, true}));
  EXPECT_TRUE(any(x).item<bool>());
  EXPECT_EQ(count_nonzero(x, Axes{0}).to_vector<int64_t>(), (std::vector<int64_t>{2, 1}));
  EXPECT_TRUE(all(zeros({0})).item<bool>());
  EXPECT_FALSE(any(zeros({0})).item<bool>());
}

TEST(Reduce, RunningSumsAndProducts) {
  const Array x = matrix();
  EXPECT_EQ(values(cumsum(x)), (std::vector<double>{1, 3, 6, 10, 15, 21}));
  EXPECT_EQ(values(cumsum(x, 0)), (std::vector<double>{1, 2, 3, 5, 7, 9}));
  EXPECT_EQ(values(cumsum(x, 1, true)), (std::vector<double>{6, 5, 3, 15, 11, 6}));
  EXPECT_EQ(values(cumprod(x, -1)), (std::vector<double>{1, 2, 6, 4, 20, 120}));
  EXPECT_EQ(cumsum(zeros({3, 0}), 1).shape(), (Shape{3, 0}));
}

TEST(Reduce, Differences) {
  EXPECT_EQ(values(diff(Array::from<double>({1, 4, 9, 16}))), (std::vector<double>{3, 5, 7}));
  EXPECT_EQ(values(diff(Array::from<double>({1, 4, 9, 16}), 2)), (std::vector<double>{2, 2}));
  EXPECT_EQ(diff(zeros({1}), 3).shape(), (Shape{0}));
  EXPECT_EQ(trace(matrix()).item<double>(), 6);
  EXPECT_EQ(trace(matrix(), 1).item<double>(), 8);
}

TEST(Reduce, Interpolation) {
  const Array xp = Array::from<double>({0, 1, 3}), fp = Array::from<double>({10, 20, 0});
  EXPECT_EQ(values(interp(Array::from<double>({-1, 0, 0.5, 1, 2, 3, 9}), xp, fp)),
            (std::vector<double>{10, 10, 15, 20, 10, 0, 0}));
  EXPECT_TRUE(std::isnan(interp(Array(kNaN), xp, fp).item<double>()));
}

/// A tile: the same values lie behind each other along a last axis, and every lane must give the bits of the
/// ordinary kernel.
TEST(Reduce, LanesGiveTheBitsOfTheOrdinaryKernel) {
  const int64_t lanes = 13;
  std::vector<double> v(static_cast<size_t>(5 * 37 * lanes));
  for (size_t i = 0; i < v.size(); ++i) v[i] = std::cos(static_cast<double>(i));
  const Array tile = Array::from<double>(v, {5, 37, lanes});
  const Array out = Array::uninitialized({5, lanes}, kFloat64);
  const View x = tile.view(), y = out.view();
  ReduceSum({1}, false).kernel({&x, 1}, {&y, 1}, 1);
  for (int64_t l = 0; l < lanes; ++l) {
    const Array lane = copy(slice(tile, {0, 0, l}, {5, 37, l + 1}, {1, 1, 1}));
    EXPECT_EQ(values(sum(lane, Axes{1, 2})), values(copy(slice(out, {0, l}, {5, l + 1}, {1, 1})))) << l;
  }
}

}  // namespace
}  // namespace hesse
