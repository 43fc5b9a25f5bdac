// First and second derivatives of the elementwise family against differences, both modes, and the non-smooth
// points.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "autodiff/autodiff.h"
#include "core/ops.h"

namespace hesse {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
Array f64(std::initializer_list<double> v) { return Array::from<double>(v); }
using F = std::function<Array(const Array&)>;

Array tangent(const F& f, const Array& x, const Array& dx) {
  const MaybeArrays t = jvp([&](std::span<const Array> a) { return Arrays{f(a[0])}; }, {x}, {dx}).second;
  return t[0] ? *t[0] : zeros_like(f(x));
}
Array cotangent(const F& f, const Array& x, const Array& ct) {
  const MaybeArrays t = vjp([&](std::span<const Array> a) { return Arrays{f(a[0])}; }, {x}).second({ct});
  return t[0] ? *t[0] : zeros_like(x);
}
/// Central differences of step h and h / 2, extrapolated.
Array differences(const F& f, const Array& x, const Array& dx) {
  const auto central = [&](double h) { return (f(x + h * dx) - f(x - h * dx)) / (2 * h); };
  return (4.0 * central(0.5e-3) - central(1e-3)) / 3.0;
}
void expect_close(const Array& a, const Array& b, double tolerance, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  const double error = max(abs(a - b) / (1.0 + abs(b))).item<double>();
  EXPECT_LT(error, tolerance) << what << "\n" << a << "\n" << b;
}

/// f is smooth around x: values of jvp, vjp, and both again of jvp and vjp.
void expect_derivatives(const std::string& name, const F& f, const Array& x) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  const auto like = [&](const Array& a) {
    std::vector<double> v(static_cast<size_t>(2 * a.size()));
    for (double& e : v) e = normal(random);
    const auto half = v.begin() + static_cast<int64_t>(v.size() / 2);
    const Array re = Array::from<double>(std::vector<double>(v.begin(), half), a.shape());
    const Array im = Array::from<double>(std::vector<double>(half, v.end()), a.shape());
    return is_complex(a.dtype()) ? make_complex(re, im) : re;
  };
  const Array u = like(x), w = like(x);
  const Array ju = tangent(f, x, u);
  expect_close(ju, differences(f, x, u), 1e-8, name + " jvp");
  const Array c = like(ju);
  const Array jtc = cotangent(f, x, c);
  EXPECT_NEAR(sum(real(c * ju)).item<double>(), sum(real(jtc * u)).item<double>(), 1e-9) << name << " vjp";
  const F first = [&](const Array& a) { return tangent(f, a, u); };
  expect_close(tangent(first, x, w), differences(first, x, w), 1e-7, name + " jvp of jvp");
  const F pulled = [&](const Array& a) { return cotangent(f, a, c); };
  const Array second = tangent(pulled, x, w);
  expect_close(second, differences(pulled, x, w), 1e-7, name + " jvp of vjp");
  EXPECT_NEAR(sum(real(u * second)).item<double>(), sum(real(w * cotangent(pulled, x, u))).item<double>(),
              1e-8)
      << name << " vjp of vjp";
}

struct Row {
  std::string name;
  F f;
  Array x;
};

TEST(ElementwiseDerivatives, Unary) {
  const Array any = f64({-1.3, -0.4, 0.2, 0.9, 2.1}), positive = f64({0.3, 0.8, 1.5, 3.2}),
              inside = f64({-0.7, -0.2, 0.1, 0.6}), above = f64({1.3, 2.0, 4.5});
  const std::vector<Row> rows = {
      {"negative", negative, any},
      {"square", square, any},
      {"abs", [](const Array& x) { return abs(x); }, any},
      {"sqrt", [](const Array& x) { return sqrt(x); }, positive},
      {"rsqrt", rsqrt, positive},
      {"reciprocal", reciprocal, any},
      {"cbrt", [](const Array& x) { return cbrt(x); }, positive},
      {"exp", [](const Array& x) { return exp(x); }, any},
      {"exp2", [](const Array& x) { return exp2(x); }, any},
      {"expm1", [](const Array& x) { return expm1(x); }, any},
      {"log", [](const Array& x) { return log(x); }, positive},
      {"log1p", [](const Array& x) { return log1p(x); }, inside},
      {"log2", [](const Array& x) { return log2(x); }, positive},
      {"log10", [](const Array& x) { return log10(x); }, positive},
      {"sin", [](const Array& x) { return sin(x); }, any},
      {"cos", [](const Array& x) { return cos(x); }, any},
      {"tan", [](const Array& x) { return tan(x); }, inside},
      {"asin", [](const Array& x) { return asin(x); }, inside},
      {"acos", [](const Array& x) { return acos(x); }, inside},
      {"atan", [](const Array& x) { return atan(x); }, any},
      {"sinh", [](const Array& x) { return sinh(x); }, any},
      {"cosh", [](const Array& x) { return cosh(x); }, any},
      {"tanh", [](const Array& x) { return tanh(x); }, any},
      {"asinh", [](const Array& x) { return asinh(x); }, any},
      {"acosh", [](const Array& x) { return acosh(x); }, above},
      {"atanh", [](const Array& x) { return atanh(x); }, inside},
      {"sigmoid", sigmoid, any},
      {"softplus", softplus, any},
      {"erf", [](const Array& x) { return erf(x); }, any},
      {"erfc", [](const Array& x) { return erfc(x); }, any},
      {"lgamma", [](const Array& x) { return lgamma(x); }, any},
      {"digamma", digamma, positive},
      {"polygamma", [](const Array& x) { return polygamma(2, x); }, positive},
      {"pow 3", [](const Array& x) { return pow(x, 3); }, any},
      {"pow -2", [](const Array& x) { return pow(x, -2); }, any},
      {"pow 1.5", [](const Array& x) { return pow(x, 1.5); }, positive},
      {"2 pow", [](const Array& x) { return pow(2.0, x); }, any},
      {"floor", [](const Array& x) { return floor(x); }, any},
      {"sign", sign, any},
      {"clip", [](const Array& x) { return clip(x, Array(-0.5), Array(1.0)); }, any},
      {"where", [](const Array& x) { return where(less(x, 0.0), sin(x), x * x); }, any},
      {"tril", [](const Array& x) { return tril(x * expand_dims(x, {1})); }, any},
      {"diag", [](const Array& x) { return diag(square(x), -1); }, any},
      {"diagonal", [](const Array& x) { return diagonal(x * expand_dims(x, {1}), 1); }, any},
      {"linspace", [](const Array& x) { return linspace(x, square(x), 4); }, any},
      {"astype", [](const Array& x) { return real(x * astype(x, kComplex128)); }, any},
      {"full", [](const Array& x) { return full({3}, sum(square(x))); }, any},
  };
  for (const Row& row : rows) expect_derivatives(row.name, row.f, row.x);
}

TEST(ElementwiseDerivatives, Binary) {
  using G = std::function<Array(const Array&, const Array&)>;
  const std::vector<std::pair<std::string, G>> functions = {
      {"add", add},
      {"subtract", subtract},
      {"multiply", multiply},
      {"divide", divide},
      {"pow", [](const Array& x, const Array& y) { return pow(x, y); }},
      {"maximum", maximum},
      {"minimum", minimum},
      {"remainder", [](const Array& x, const Array& y) { return remainder(x, y); }},
      {"fmod", [](const Array& x, const Array& y) { return fmod(x, y); }},
      {"floor_divide", floor_divide},
      {"logaddexp", logaddexp},
      {"atan2", [](const Array& x, const Array& y) { return atan2(x, y); }},
      {"hypot", [](const Array& x, const Array& y) { return hypot(x, y); }},
      {"copysign", [](const Array& x, const Array& y) { return copysign(x, y); }}};
  const Array x = f64({0.7, 1.9, 2.3}), y = f64({1.2, 0.6, -1.7});
  for (const auto& [name, g] : functions) {
    expect_derivatives(
        name + " in x", [&](const Array& a) { return g(a, y); }, x);
    expect_derivatives(
        name + " in y", [&](const Array& a) { return g(x, a); }, y);
    expect_derivatives(
        name + " in both", [&](const Array& a) { return g(a, sin(a)); }, x);
    expect_derivatives(
        name + " of a scalar", [&](const Array& a) { return g(x, sum(a)); }, f64({0.4}));
  }
}

TEST(ElementwiseDerivatives, Complex) {
  const Array z = Array::from<complex128>({{0.4, 0.3}, {-0.6, 0.5}, {1.2, -0.8}});
  const std::vector<Row> rows = {
      {"exp", [](const Array& x) { return exp(x); }, z},
      {"log", [](const Array& x) { return log(x); }, z},
      {"sqrt", [](const Array& x) { return sqrt(x); }, z},
      {"sin", [](const Array& x) { return sin(x); }, z},
      {"tan", [](const Array& x) { return tan(x); }, z},
      {"tanh", [](const Array& x) { return tanh(x); }, z},
      {"asin", [](const Array& x) { return asin(x); }, z},
      {"acos", [](const Array& x) { return acos(x); }, z},
      {"atan", [](const Array& x) { return atan(x); }, z},
      {"asinh", [](const Array& x) { return asinh(x); }, z},
      {"acosh", [](const Array& x) { return acosh(x); }, z},
      {"atanh", [](const Array& x) { return atanh(x); }, z},
      {"expm1", [](const Array& x) { return expm1(x); }, z},
      {"log1p", [](const Array& x) { return log1p(x); }, z},
      {"log2", [](const Array& x) { return log2(x); }, z},
      {"log10", [](const Array& x) { return log10(x); }, z},
      {"abs", [](const Array& x) { return abs(x); }, z},
      {"sign", sign, z},
      {"angle", angle, z},
      {"conj", [](const Array& x) { return conj(x) * x; }, z},
      {"real", [](const Array& x) { return real(square(x)); }, z},
      {"imag", [](const Array& x) { return imag(square(x)); }, z},
      {"divide", [](const Array& x) { return x / (x + 2.0); }, z},
      {"pow", [](const Array& x) { return pow(x, sin(x)); }, z},
      {"pow 3", [](const Array& x) { return pow(x, 3); }, z},
      {"make_complex", [](const Array& x) { return make_complex(real(x) * imag(x), abs(x)); }, z},
      {"astype", [](const Array& x) { return square(real(x)); }, z}};
  for (const Row& row : rows) expect_derivatives(row.name, row.f, row.x);
}

TEST(ElementwiseDerivatives, PointsThatAreNotSmooth) {
  const auto slope = [](const F& f, double x) { return tangent(f, f64({x}), f64({1})).item<double>(); };
  const auto pulled = [](const F& f, double x) { return cotangent(f, f64({x}), f64({1})).item<double>(); };
  const std::vector<std::tuple<F, double, double>> cases = {
      {[](const Array& x) { return abs(x); }, 0, 0},
      {[](const Array& x) { return maximum(x, f64({2})); }, 2, 0.5},
      {[](const Array& x) { return minimum(x, f64({2})); }, 2, 0.5},
      {[](const Array& x) { return maximum(x, x); }, 2, 1},
      {[](const Array& x) { return clip(x, Array(0.0), Array(1.0)); }, 0, 1},
      {[](const Array& x) { return clip(x, Array(0.0), Array(1.0)); }, 1, 1},
      {[](const Array& x) { return clip(x, Array(0.0), Array(1.0)); }, 1.5, 0},
      {[](const Array& x) { return sqrt(x); }, 0, kInf},
      {[](const Array& x) { return pow(x, 2); }, 0, 0},
      {[](const Array& x) { return pow(x, 1); }, 0, 1},
      {[](const Array& x) { return pow(x, f64({1})); }, 0, 1},
      {[](const Array& x) { return pow(x, f64({0})); }, 0, 0},
      {[](const Array& x) { return pow(f64({0}), x); }, 2, 0},
      {[](const Array& x) { return hypot(x, f64({0})); }, 0, 0},
      {[](const Array& x) { return logaddexp(x, x); }, -kInf, 1},
      {[](const Array& x) { return round(x); }, 0.5, 0},
      {[](const Array& x) { return stop_gradient(x) * x; }, 3, 3},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto& [f, x, expected] = cases[i];
    EXPECT_EQ(slope(f, x), expected) << "case " << i;
    EXPECT_EQ(pulled(f, x), expected) << "case " << i;
  }
  const F modulus = [](const Array& z) { return abs(z); };
  EXPECT_EQ(
      tangent(modulus, Array::from<complex128>({{0, 0}}), Array::from<complex128>({{1, 1}})).item<double>(),
      0);
  // Every derivative of x^3 at 0.
  const F cube = [](const Array& x) { return pow(x, 3); };
  const F second = [&](const Array& x) {
    return tangent([&](const Array& a) { return tangent(cube, a, f64({1})); }, x, f64({1}));
  };
  EXPECT_EQ(second(f64({0})).item<double>(), 0);
  EXPECT_EQ(tangent(second, f64({0}), f64({1})).item<double>(), 6);
}

}  // namespace
}  // namespace hesse
