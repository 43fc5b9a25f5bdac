#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/ops.h"

namespace hesse {
namespace {

std::vector<double> values(const Array& x) { return x.to_vector<double>(); }
Array vector3(std::initializer_list<double> v) {
  return reshape(Array::from<double>(v), {1, 1, static_cast<int64_t>(v.size())});
}
Array wavy(const Shape& shape, double phase = 0) {
  std::vector<double> v(static_cast<size_t>(num_elements(shape)));
  for (size_t i = 0; i < v.size(); ++i) v[i] = std::sin(static_cast<double>(i) + phase);
  return Array::from<double>(v, shape);
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

TEST(Conv, ByHand) {
  const Array x = vector3({1, 2, 3, 4, 5}), w = vector3({1, 0, -1});
  EXPECT_EQ(values(conv(x, w)), (std::vector<double>{-2, -2, -2}));
  EXPECT_EQ(values(conv(x, w, {.padding = {{1, 1}}})), (std::vector<double>{-2, -2, -2, -2, 4}));
  EXPECT_EQ(values(conv(x, w, {.stride = {2}})), (std::vector<double>{-2, -2}));
  EXPECT_EQ(values(conv(x, w, {.dilation = {2}})), (std::vector<double>{-4}));
  EXPECT_EQ(values(conv(x, w, {.padding = {{0, 2}}})), (std::vector<double>{-2, -2, -2, 4, 5}));
  EXPECT_EQ(values(conv(flip(x, Axes{2}), w)), (std::vector<double>{2, 2, 2}));
  EXPECT_EQ(conv(astype(x, kInt32), astype(w, kInt32)).dtype(), kInt32);
}

TEST(Conv, ChannelsAndGroups) {
  const Array x = reshape(Array::from<double>({1, 2, 3, 10, 20, 30}), {1, 2, 3});
  const Array w = reshape(Array::from<double>({1, 1, 1, 1, 1, -1, 0, 0}), {2, 2, 2});
  EXPECT_EQ(values(conv(x, w)), (std::vector<double>{33, 55, -1, -1}));
  const Array each = reshape(Array::from<double>({1, 1, 1, -1}), {2, 1, 2});
  EXPECT_EQ(values(conv(x, each, {.groups = 2})), (std::vector<double>{3, 5, -10, -10}));
}

TEST(Conv, TwoAndThreeDimensions) {
  const Array x = reshape(Array::from<double>({1, 2, 3, 4, 5, 6, 7, 8, 9}), {1, 1, 3, 3});
  EXPECT_EQ(values(conv(x, ones({1, 1, 2, 2}))), (std::vector<double>{12, 16, 24, 28}));
  EXPECT_EQ(values(conv(x, ones({1, 1, 2, 2}), {.stride = {2, 2}, .padding = {{1, 0}, {0, 1}}})),
            (std::vector<double>{3, 3, 24, 15}));
  EXPECT_EQ(values(conv(ones({1, 1, 2, 2, 3}), ones({1, 1, 2, 2, 2}))), (std::vector<double>{8, 8}));
}

/// <y, conv(x, w)> = <conv_transpose(y, w), x>, many patches and examples.
TEST(Conv, TransposeIsTheTranspose) {
  const ConvOptions options{.stride = {2, 1}, .dilation = {1, 2}, .padding = {{1, 0}, {2, 1}}, .groups = 2};
  const Array x = wavy({3, 4, 60, 50}), w = wavy({6, 2, 3, 2}, 1), y = conv(x, w, options),
              ct = wavy(y.shape(), 2);
  const Array back = conv_transpose(ct, w, options, {0, 0});
  ASSERT_EQ(back.shape(), x.shape());
  EXPECT_NEAR(sum(multiply(y, ct)).item<double>(), sum(multiply(back, x)).item<double>(), 1e-10);
}

TEST(Conv, TransposeByHand) {
  const Array y = vector3({1, 2}), w = vector3({1, 10, 100});
  EXPECT_EQ(values(conv_transpose(y, w)), (std::vector<double>{1, 12, 120, 200}));
  EXPECT_EQ(values(conv_transpose(y, w, {.stride = {2}})), (std::vector<double>{1, 10, 102, 20, 200}));
  EXPECT_EQ(values(conv_transpose(y, w, {.stride = {2}}, {1})),
            (std::vector<double>{1, 10, 102, 20, 200, 0}));
  EXPECT_EQ(values(conv_transpose(y, w, {.padding = {{1, 1}}})), (std::vector<double>{12, 120}));
}

TEST(Conv, Empty) {
  EXPECT_EQ(conv(zeros({0, 1, 4}), ones({2, 1, 2})).shape(), (Shape{0, 2, 3}));
  EXPECT_EQ(values(conv(zeros({1, 0, 3}), ones({1, 0, 2}))), (std::vector<double>{0, 0}));
}

TEST(Conv, Refusals) {
  const std::string channels = message([] { conv(ones({1, 2, 5}), ones({3, 4, 3})); });
  EXPECT_NE(channels.find("(1, 2, 5)"), std::string::npos);
  EXPECT_NE(channels.find("(3, 4, 3)"), std::string::npos);
  EXPECT_NE(message([] { conv(ones({1, 2, 2}), ones({1, 2, 3})); }).find("does not fit"), std::string::npos);
  EXPECT_NE(message([] {
              conv(ones({1, 2, 5}), ones({2, 2, 2}), {.stride = {0}});
            }).find("stride"),
            std::string::npos);
  EXPECT_THROW(conv(ones({1, 5}), ones({1, 5})), ValueError);
  EXPECT_THROW(conv_transpose(ones({1, 1, 2}), ones({1, 1, 2}), {}, {1}), ValueError);
}

TEST(Pool, Max) {
  const Array x = vector3({1, 5, 2, 2, 9, 0});
  EXPECT_EQ(values(max_pool(x, {2})), (std::vector<double>{5, 2, 9}));
  EXPECT_EQ(values(max_pool(x, {3}, {1})), (std::vector<double>{5, 5, 9, 9}));
  EXPECT_EQ(values(max_pool(negative(x), {2}, {2}, {{1, 1}})), (std::vector<double>{-1, -2, -2, 0}));
  const Array n = vector3({1, std::numeric_limits<double>::quiet_NaN(), 2, 3});
  EXPECT_TRUE(std::isnan(values(max_pool(n, {2}))[0]));
  EXPECT_EQ(values(max_pool(n, {2}))[1], 3);
  const Array square = reshape(Array::from<double>({1, 2, 3, 4, 5, 6, 7, 8, 9}), {1, 1, 3, 3});
  EXPECT_EQ(values(max_pool(square, {2, 2}, {1, 1})), (std::vector<double>{5, 6, 8, 9}));
  EXPECT_NE(message([] { max_pool(ones({1, 1, 2}), {3}); }).find("does not fit"), std::string::npos);
  EXPECT_THROW(max_pool(ones({1, 1, 4}), {0}), ValueError);
  EXPECT_THROW(max_pool(ones({1, 1, 4}), {2}, {}, {{2, 0}}), ValueError);
}

TEST(Pool, Average) {
  const Array x = vector3({1, 5, 2, 2, 9, 0});
  EXPECT_EQ(values(avg_pool(x, {2})), (std::vector<double>{3, 2, 4.5}));
  EXPECT_EQ(values(avg_pool(x, {2}, {2}, {{1, 1}})),
            (std::vector<double>{0.5, 3.5, 5.5, 0}));  // padding counts
  EXPECT_EQ(avg_pool(wavy({2, 3, 6, 4}), {3, 2}).shape(), (Shape{2, 3, 2, 2}));
}

}  // namespace
}  // namespace hesse
