#include <gtest/gtest.h>

#include <cmath>

#include "autodiff/autodiff.h"
#include "core/cpu/loops.h"
#include "core/ops.h"
#include "tests/support/expect_derivatives.h"

/// A user's own operations: one class each, nothing registered anywhere, and every transform has them.
namespace hesse {
namespace {

/// gauss(x) = exp(-x^2), elementwise: states its value and one partial derivative.
class Gauss final : public Elementwise {
 public:
  std::string_view name() const override { return "gauss"; }
  Avals infer(std::span<const Aval> x) const override {
    require<TypeError>(x[0].dtype == kFloat64, "gauss: expected float64, got ", x[0].dtype);
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    cpu::map1<double, double>(x[0], out[0], [](double v) { return std::exp(-v * v); });
  }
  /// d gauss = -2 x gauss(x) dx
  MaybeArray partial(std::span<const Array> x, const Array& y, int) const override { return -2.0 * x[0] * y; }
};
Array gauss(const Array& x) { return apply1(the<Gauss>(), {x}); }

/// Neighbouring differences along axis 0, y_i = x_{i+1} - x_i, linear: states its transpose.
class Steps final : public Linear {
 public:
  std::string_view name() const override { return "steps"; }
  Avals infer(std::span<const Aval> x) const override {
    require(x[0].shape.size() == 1 && x[0].shape[0] > 0, "steps: expected a vector, got shape ", x[0].shape);
    return {{Shape{x[0].shape[0] - 1}, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    const double* in = x[0].as<double>();
    const int64_t stride = x[0].strides[0];
    for (int64_t i = 0; i < out[0].shape[0]; ++i)
      out[0].as<double>()[i] = in[(i + 1) * stride] - in[i * stride];
  }
  /// x_j receives ct_{j-1} - ct_j
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override {
    return pad(ct, {{1, 0}}) - pad(ct, {{0, 1}});
  }
};
Array steps(const Array& x) { return apply1(the<Steps>(), {x}); }

/// x / |x|, of the third kind: states its jvp, written with other ops; reverse mode is derived.
class Normalise final : public General {
 public:
  std::string_view name() const override { return "normalise"; }
  Avals infer(std::span<const Aval> x) const override { return {x[0]}; }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    double norm = 0;
    for (int64_t i = 0; i < x[0].shape[0]; ++i)
      norm = std::hypot(norm, x[0].as<double>()[i * x[0].strides[0]]);
    for (int64_t i = 0; i < x[0].shape[0]; ++i)
      out[0].as<double>()[i] = x[0].as<double>()[i * x[0].strides[0]] / norm;
  }
  /// y = x / |x|.  dy = (dx - y <y, dx>) / |x|
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const Array size = sqrt(sum(square(x[0])));
    return {(*dx[0] - y[0] * sum(y[0] * *dx[0])) / size};
  }
};
Array normalise(const Array& x) { return apply1(the<Normalise>(), {x}); }

const Array kPoint = Array::from<double>({0.3, -0.8, 1.1, 0.4});

TEST(UserOp, EveryKindHasEveryDerivative) {
  test::expect_derivatives([](const Array& x) { return gauss(x); }, kPoint);
  test::expect_derivatives([](const Array& x) { return gauss(steps(x)) * 2.0; }, kPoint);
  test::expect_derivatives([](const Array& x) { return normalise(x); }, kPoint);
  test::expect_derivatives([](const Array& x) { return sum(gauss(normalise(x)) * x); }, kPoint);
}

TEST(UserOp, UnderVmap) {
  const Array rows = stack({kPoint, 2.0 * kPoint, kPoint + 1.0});
  for (const auto& op : {gauss, steps, normalise}) {
    const Array y = vmap([&](std::span<const Array> v) { return Arrays{op(v[0])}; }, {rows}, {0}, {0})[0];
    for (int64_t i = 0; i < 3; ++i) {
      const Array row = getitem(rows, {i});
      EXPECT_EQ(getitem(y, {i}).to_vector<double>(), op(row).to_vector<double>());
    }
    test::expect_derivatives(
        [&](const Array& r) {
          return vmap([&](std::span<const Array> v) { return Arrays{op(v[0])}; }, {r}, {0}, {0})[0];
        },
        rows, 2);
  }
}

TEST(UserOp, InsideScanAndCompiled) {
  const auto f = [](const Array& x) {
    return scan([](std::span<const Array> c) { return Arrays{normalise(c[0] + gauss(c[0]))}; }, {x}, {},
                4)[0];
  };
  test::expect_derivatives(f, kPoint, 2);
  const Compiled program = compile([&](std::span<const Array> v) { return Arrays{f(v[0])}; }, {aval(kPoint)});
  EXPECT_EQ(program(Arrays{kPoint})[0].to_vector<double>(), f(kPoint).to_vector<double>());
}

TEST(UserOp, ErrorsOfInferAreRaised) {
  EXPECT_THROW(gauss(astype(kPoint, kFloat32)), TypeError);
  EXPECT_THROW(steps(reshape(kPoint, {2, 2})), ValueError);
}

}  // namespace
}  // namespace hesse
