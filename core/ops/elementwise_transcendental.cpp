#include <cmath>
#include <numbers>

#include "core/op_table.h"
#include "core/ops/elementwise_op.h"

/// Roots, exponentials, logarithms, trigonometric and hyperbolic functions and their inverses.
namespace hesse {
namespace {

constexpr double kLn2 = std::numbers::ln2, kLn10 = std::numbers::ln10;

/// One operand, inexact; the derivative reads x only (FromInput) or y only (FromOutput).
template <class Derived, DTypes Set = kInexact>
class FromInput : public UnaryOp<Derived, Set> {
 public:
  MaybeArray partial(std::span<const Array> x, const Array&, int) const final { return Derived::slope(x[0]); }
  bool reads_output(int) const final { return false; }
};
template <class Derived, DTypes Set = kInexact>
class FromOutput : public UnaryOp<Derived, Set> {
 public:
  MaybeArray partial(std::span<const Array>, const Array& y, int) const final { return Derived::slope(y); }
  bool reads_input(int) const final { return false; }
};

/// d sqrt = 1 / (2 y); infinite at 0.
struct Sqrt final : FromOutput<Sqrt> {
  std::string_view name() const override { return "sqrt"; }
  HESSE_SIMD(sqrt)
  template <class T>
  static T value(T x) {
    return std::sqrt(x);
  }
  static Array slope(const Array& y) { return 0.5 / y; }
};
/// y = 1 / sqrt x.  dy = -y^3 / 2.
struct Rsqrt final : FromOutput<Rsqrt> {
  std::string_view name() const override { return "rsqrt"; }
  HESSE_SIMD(rsqrt)
  template <class T>
  static T value(T x) {
    return T(1) / std::sqrt(x);
  }
  static Array slope(const Array& y) { return -0.5 * (y * square(y)); }
};
/// dy = 1 / (3 y^2).
struct Cbrt final : FromOutput<Cbrt, kFloating> {
  std::string_view name() const override { return "cbrt"; }
  template <class T>
  static T value(T x) {
    return std::cbrt(x);
  }
  static Array slope(const Array& y) { return reciprocal(3.0 * square(y)); }
};

/// d e^x = e^x.
struct Exp final : FromOutput<Exp> {
  std::string_view name() const override { return "exp"; }
  HESSE_SIMD(exp)
  template <class T>
  static T value(T x) {
    return std::exp(x);
  }
  static Array slope(const Array& y) { return y; }
};
/// d 2^x = 2^x ln 2.
struct Exp2 final : FromOutput<Exp2> {
  std::string_view name() const override { return "exp2"; }
  template <class T>
  static T value(T x) {
    if constexpr (is_complex_v<T>)
      return std::exp(x * static_cast<typename T::value_type>(kLn2));
    else
      return std::exp2(x);
  }
  static Array slope(const Array& y) { return kLn2 * y; }
};
/// d (e^x - 1) = y + 1.
struct Expm1 final : FromOutput<Expm1> {
  std::string_view name() const override { return "expm1"; }
  HESSE_SIMD(expm1)
  template <class T>
  static T value(T x) {
    if constexpr (is_complex_v<T>) {
      // e^a cos b - 1 = expm1(a) cos b - 2 sin^2(b/2), without cancellation.
      using R = typename T::value_type;
      const R a = x.real(), b = x.imag(), s = std::sin(b / 2);
      return T(std::expm1(a) * std::cos(b) - 2 * s * s, std::exp(a) * std::sin(b));
    } else {
      return std::expm1(x);
    }
  }
  static Array slope(const Array& y) { return y + 1.0; }
};
/// d ln x = 1 / x.
struct Log final : FromInput<Log> {
  std::string_view name() const override { return "log"; }
  HESSE_SIMD(log)
  template <class T>
  static T value(T x) {
    return std::log(x);
  }
  static Array slope(const Array& x) { return reciprocal(x); }
};
/// d ln(1 + x) = 1 / (1 + x).
struct Log1p final : FromInput<Log1p> {
  std::string_view name() const override { return "log1p"; }
  HESSE_SIMD(log1p)
  template <class T>
  static T value(T x) {
    if constexpr (is_complex_v<T>) {
      // ln|1 + z| = log1p(a (a + 2) + b^2) / 2 where that does not overflow.
      using R = typename T::value_type;
      const R a = x.real(), b = x.imag();
      if (!(std::fabs(a) < 1 && std::fabs(b) < 1)) return std::log(T(1 + a, b));
      return T(std::log1p(a * (a + 2) + b * b) / 2, std::atan2(b, 1 + a));
    } else {
      return std::log1p(x);
    }
  }
  static Array slope(const Array& x) { return reciprocal(1.0 + x); }
};
/// d log2 x = 1 / (x ln 2).
struct Log2 final : FromInput<Log2> {
  std::string_view name() const override { return "log2"; }
  template <class T>
  static T value(T x) {
    if constexpr (is_complex_v<T>)
      return std::log(x) * static_cast<typename T::value_type>(1 / kLn2);
    else
      return std::log2(x);
  }
  static Array slope(const Array& x) { return (1 / kLn2) / x; }
};
/// d log10 x = 1 / (x ln 10).
struct Log10 final : FromInput<Log10> {
  std::string_view name() const override { return "log10"; }
  template <class T>
  static T value(T x) {
    return std::log10(x);
  }
  static Array slope(const Array& x) { return (1 / kLn10) / x; }
};

/// d sin x = cos x.
struct Sin final : FromInput<Sin> {
  std::string_view name() const override { return "sin"; }
  HESSE_SIMD(sin)
  template <class T>
  static T value(T x) {
    return std::sin(x);
  }
  static Array slope(const Array& x) { return cos(x); }
};
/// d cos x = -sin x.
struct Cos final : FromInput<Cos> {
  std::string_view name() const override { return "cos"; }
  HESSE_SIMD(cos)
  template <class T>
  static T value(T x) {
    return std::cos(x);
  }
  static Array slope(const Array& x) { return negative(sin(x)); }
};
/// d tan x = 1 + y^2.
struct Tan final : FromOutput<Tan> {
  std::string_view name() const override { return "tan"; }
  template <class T>
  static T value(T x) {
    return std::tan(x);
  }
  static Array slope(const Array& y) { return 1.0 + square(y); }
};
/// d asin x = 1 / sqrt((1 - x) (1 + x)).
struct Asin final : FromInput<Asin> {
  std::string_view name() const override { return "asin"; }
  template <class T>
  static T value(T x) {
    return std::asin(x);
  }
  static Array slope(const Array& x) { return rsqrt((1.0 - x) * (1.0 + x)); }
};
/// d acos x = -1 / sqrt((1 - x) (1 + x)).
struct Acos final : FromInput<Acos> {
  std::string_view name() const override { return "acos"; }
  template <class T>
  static T value(T x) {
    return std::acos(x);
  }
  static Array slope(const Array& x) { return negative(rsqrt((1.0 - x) * (1.0 + x))); }
};
/// d atan x = 1 / (1 + x^2).
struct Atan final : FromInput<Atan> {
  std::string_view name() const override { return "atan"; }
  template <class T>
  static T value(T x) {
    return std::atan(x);
  }
  static Array slope(const Array& x) { return reciprocal(1.0 + square(x)); }
};
/// d sinh x = cosh x.
struct Sinh final : FromInput<Sinh> {
  std::string_view name() const override { return "sinh"; }
  template <class T>
  static T value(T x) {
    return std::sinh(x);
  }
  static Array slope(const Array& x) { return cosh(x); }
};
/// d cosh x = sinh x.
struct Cosh final : FromInput<Cosh> {
  std::string_view name() const override { return "cosh"; }
  template <class T>
  static T value(T x) {
    return std::cosh(x);
  }
  static Array slope(const Array& x) { return sinh(x); }
};
/// d tanh x = 1 - y^2.
struct Tanh final : FromOutput<Tanh> {
  std::string_view name() const override { return "tanh"; }
  HESSE_SIMD(tanh)
  template <class T>
  static T value(T x) {
    return std::tanh(x);
  }
  static Array slope(const Array& y) { return 1.0 - square(y); }
};
/// d asinh x = 1 / sqrt(1 + x^2).
struct Asinh final : FromInput<Asinh> {
  std::string_view name() const override { return "asinh"; }
  template <class T>
  static T value(T x) {
    return std::asinh(x);
  }
  static Array slope(const Array& x) { return rsqrt(1.0 + square(x)); }
};
/// d acosh x = 1 / (sqrt(x - 1) sqrt(x + 1)): two roots, for the branch cut of complex x.
struct Acosh final : FromInput<Acosh> {
  std::string_view name() const override { return "acosh"; }
  template <class T>
  static T value(T x) {
    return std::acosh(x);
  }
  static Array slope(const Array& x) { return rsqrt(x - 1.0) * rsqrt(x + 1.0); }
};
/// d atanh x = 1 / ((1 - x) (1 + x)).
struct Atanh final : FromInput<Atanh> {
  std::string_view name() const override { return "atanh"; }
  template <class T>
  static T value(T x) {
    return std::atanh(x);
  }
  static Array slope(const Array& x) { return reciprocal((1.0 - x) * (1.0 + x)); }
};

/// y = 1 / (1 + e^-x).  dy = y (1 - y).
struct Sigmoid final : FromOutput<Sigmoid, kFloating> {
  std::string_view name() const override { return "sigmoid"; }
  HESSE_SIMD(sigmoid)
  template <class T>
  static T value(T x) {
    const T e = std::exp(-std::fabs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
  }
  static Array slope(const Array& y) { return y * (1.0 - y); }
};
/// y = ln(1 + e^x) = max(x, 0) + log1p(e^-|x|).  dy = sigmoid x.
struct Softplus final : FromInput<Softplus, kFloating> {
  std::string_view name() const override { return "softplus"; }
  HESSE_SIMD(softplus)
  template <class T>
  static T value(T x) {
    return (x > 0 ? x : x != x ? x : T(0)) + std::log1p(std::exp(-std::fabs(x)));
  }
  static Array slope(const Array& x) { return sigmoid(x); }
};

/// y = ln(e^a + e^b) = max(a, b) + log1p(e^-|a-b|).  dy = sigmoid(a - b) da + sigmoid(b - a) db.
class Logaddexp final : public BinaryOp<Logaddexp, kFloating> {
 public:
  std::string_view name() const override { return "logaddexp"; }
  template <class T>
  static T value(T a, T b) {
    if (a == b) return a + static_cast<T>(kLn2);  // also both infinite
    if (a != a || b != b) return a + b;
    return (a > b ? a : b) + std::log1p(std::exp(-std::fabs(a - b)));
  }
  MaybeArray partial(std::span<const Array> x, const Array& y, int i) const override {
    const Array &mine = x[static_cast<size_t>(i)], &other = x[static_cast<size_t>(1 - i)];
    const Array d = subtract(mine, other);
    // Equal infinities have no difference; each gets a half.
    return sigmoid(where(logical_and(isinf(mine), equal(mine, other)), literal(0.0, y), d));
  }
  bool reads_output(int) const override { return false; }
};
/// The angle of (x, y), operands (y, x).  d = (x dy - y dx) / (x^2 + y^2).
class Atan2 final : public BinaryOp<Atan2, kFloating> {
 public:
  std::string_view name() const override { return "atan2"; }
  template <class T>
  static T value(T y, T x) {
    return std::atan2(y, x);
  }
  MaybeArray partial(std::span<const Array> x, const Array&, int i) const override {
    const Array norm = square(x[0]) + square(x[1]);
    return i == 0 ? x[1] / norm : negative(x[0]) / norm;
  }
  bool reads_output(int) const override { return false; }
};
/// r = sqrt(x^2 + y^2).  dr = (x dx + y dy) / r, and 0 at the origin.
class Hypot final : public BinaryOp<Hypot, kFloating> {
 public:
  std::string_view name() const override { return "hypot"; }
  template <class T>
  static T value(T x, T y) {
    return std::hypot(x, y);
  }
  MaybeArray partial(std::span<const Array> x, const Array& r, int i) const override {
    return x[static_cast<size_t>(i)] / where(equal(r, 0.0), literal(1.0, r), r);
  }
};

}  // namespace

Array sqrt(const Array& x) { return apply_inexact<Sqrt>("sqrt", x); }
Array rsqrt(const Array& x) { return apply_inexact<Rsqrt>("rsqrt", x); }
Array cbrt(const Array& x) { return apply_inexact<Cbrt>("cbrt", x); }
Array exp(const Array& x) { return apply_inexact<Exp>("exp", x); }
Array exp2(const Array& x) { return apply_inexact<Exp2>("exp2", x); }
Array expm1(const Array& x) { return apply_inexact<Expm1>("expm1", x); }
Array log(const Array& x) { return apply_inexact<Log>("log", x); }
Array log1p(const Array& x) { return apply_inexact<Log1p>("log1p", x); }
Array log2(const Array& x) { return apply_inexact<Log2>("log2", x); }
Array log10(const Array& x) { return apply_inexact<Log10>("log10", x); }
Array logaddexp(const Array& x, const Array& y) { return apply_inexact<Logaddexp>("logaddexp", x, y); }
Array sin(const Array& x) { return apply_inexact<Sin>("sin", x); }
Array cos(const Array& x) { return apply_inexact<Cos>("cos", x); }
Array tan(const Array& x) { return apply_inexact<Tan>("tan", x); }
Array asin(const Array& x) { return apply_inexact<Asin>("asin", x); }
Array acos(const Array& x) { return apply_inexact<Acos>("acos", x); }
Array atan(const Array& x) { return apply_inexact<Atan>("atan", x); }
Array atan2(const Array& y, const Array& x) { return apply_inexact<Atan2>("atan2", y, x); }
Array sinh(const Array& x) { return apply_inexact<Sinh>("sinh", x); }
Array cosh(const Array& x) { return apply_inexact<Cosh>("cosh", x); }
Array tanh(const Array& x) { return apply_inexact<Tanh>("tanh", x); }
Array asinh(const Array& x) { return apply_inexact<Asinh>("asinh", x); }
Array acosh(const Array& x) { return apply_inexact<Acosh>("acosh", x); }
Array atanh(const Array& x) { return apply_inexact<Atanh>("atanh", x); }
Array hypot(const Array& x, const Array& y) { return apply_inexact<Hypot>("hypot", x, y); }
Array sigmoid(const Array& x) { return apply_inexact<Sigmoid>("sigmoid", x); }
Array softplus(const Array& x) { return apply_inexact<Softplus>("softplus", x); }

OpFamily families::transcendental() {
  return {listed<Sqrt>(),  listed<Rsqrt>(), listed<Cbrt>(),    listed<Exp>(),      listed<Exp2>(),
          listed<Expm1>(), listed<Log>(),   listed<Log1p>(),   listed<Log2>(),     listed<Log10>(),
          listed<Sin>(),   listed<Cos>(),   listed<Tan>(),     listed<Asin>(),     listed<Acos>(),
          listed<Atan>(),  listed<Sinh>(),  listed<Cosh>(),    listed<Tanh>(),     listed<Asinh>(),
          listed<Acosh>(), listed<Atanh>(), listed<Sigmoid>(), listed<Softplus>(), listed<Logaddexp>(),
          listed<Atan2>(), listed<Hypot>()};
}

}  // namespace hesse
