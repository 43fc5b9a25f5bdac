#include <cmath>
#include <limits>

#include "core/op_table.h"
#include "core/ops/elementwise_op.h"

/// Rounding, division with a whole quotient and its remainder, and signs and neighbours of floating-point
/// numbers.
namespace hesse {
namespace {

/// Constant almost everywhere: derivative zero.
template <class Derived, DTypes Set>
class Step : public UnaryOp<Derived, Set> {
 public:
  MaybeArray partial(std::span<const Array>, const Array&, int) const final { return std::nullopt; }
  bool reads_input(int) const final { return false; }
  bool reads_output(int) const final { return false; }
};

struct Floor final : Step<Floor, kFloating> {
  std::string_view name() const override { return "floor"; }
  HESSE_SIMD(floor)
  template <class T>
  static T value(T x) {
    return std::floor(x);
  }
};
struct Ceil final : Step<Ceil, kFloating> {
  std::string_view name() const override { return "ceil"; }
  HESSE_SIMD(ceil)
  template <class T>
  static T value(T x) {
    return std::ceil(x);
  }
};
struct Trunc final : Step<Trunc, kFloating> {
  std::string_view name() const override { return "trunc"; }
  HESSE_SIMD(trunc)
  template <class T>
  static T value(T x) {
    return std::trunc(x);
  }
};
/// Halves to even: the current rounding mode, which nobody changes.
struct Round final : Step<Round, kFloating> {
  std::string_view name() const override { return "round"; }
  HESSE_SIMD(round)
  template <class T>
  static T value(T x) {
    return std::nearbyint(x);
  }
};

/// The quotient and remainder of whole division towards minus infinity, Python's // and %. Dividing integers
/// by 0 gives 0 and 0; the least integer by -1 wraps around.
template <class T>
struct Floored {
  T quotient, remainder;
};
template <class T>
Floored<T> floored_divide(T x, T y) {
  if constexpr (is_floating_v<T>) {
    T m = std::fmod(x, y);
    if (y == 0) return {x / y, m};
    T q = (x - m) / y;
    if (m != 0) {
      if ((y < 0) != (m < 0)) {
        m += y;
        q -= 1;
      }
    } else {
      m = std::copysign(T(0), y);
    }
    if (q == 0) return {std::copysign(T(0), x / y), m};
    const T whole = std::floor(q);
    return {q - whole > T(0.5) ? whole + 1 : whole, m};
  } else {
    if (y == 0) return {T(0), T(0)};
    if constexpr (is_signed_integer(dtype_of<T>))
      if (y == T(-1)) return {static_cast<T>(0 - static_cast<uint64_t>(x)), T(0)};
    T q = static_cast<T>(x / y), r = static_cast<T>(x % y);
    if constexpr (is_signed_integer(dtype_of<T>)) {
      if (r != 0 && (r < 0) != (y < 0)) {
        q = static_cast<T>(q - 1);
        r = static_cast<T>(r + y);
      }
    }
    return {q, r};
  }
}

/// floor(x / y), constant almost everywhere.
class FloorDivide final : public BinaryOp<FloorDivide, kReal> {
 public:
  std::string_view name() const override { return "floor_divide"; }
  template <class T>
  static T value(T x, T y) {
    return floored_divide(x, y).quotient;
  }
  MaybeArray partial(std::span<const Array>, const Array&, int) const override { return std::nullopt; }
  bool reads_input(int) const override { return false; }
  bool reads_output(int) const override { return false; }
};
/// x - y floor(x / y).  d = dx - floor(x / y) dy.
class Remainder final : public BinaryOp<Remainder, kReal> {
 public:
  std::string_view name() const override { return "remainder"; }
  template <class T>
  static T value(T x, T y) {
    return floored_divide(x, y).remainder;
  }
  MaybeArray partial(std::span<const Array> x, const Array& y, int i) const override {
    return i == 0 ? literal(1.0, y) : negative(floor_divide(x[0], x[1]));
  }
  bool reads_output(int) const override { return false; }
};
/// x - y trunc(x / y).  d = dx - trunc(x / y) dy.
class Fmod final : public BinaryOp<Fmod, kReal> {
 public:
  std::string_view name() const override { return "fmod"; }
  template <class T>
  static T value(T x, T y) {
    if constexpr (is_floating_v<T>)
      return std::fmod(x, y);
    else
      return y == 0 || std::cmp_equal(y, -1) ? T(0) : static_cast<T>(x % y);
  }
  MaybeArray partial(std::span<const Array> x, const Array& y, int i) const override {
    return i == 0 ? literal(1.0, y) : negative(trunc(divide(x[0], x[1])));
  }
  bool reads_output(int) const override { return false; }
};

/// |x| with the sign of y.  d/dx = sign x sign y, signs read from the sign bits.
class Copysign final : public BinaryOp<Copysign, kFloating> {
 public:
  std::string_view name() const override { return "copysign"; }
  template <class T>
  static T value(T x, T y) {
    return std::copysign(x, y);
  }
  MaybeArray partial(std::span<const Array> x, const Array& y, int i) const override {
    if (i == 1) return std::nullopt;
    return where(equal(signbit(x[0]), signbit(x[1])), literal(1.0, y), literal(-1.0, y));
  }
  bool reads_output(int) const override { return false; }
};
/// The next number after x towards y: x up to rounding, so d = dx.
class Nextafter final : public BinaryOp<Nextafter, kFloating> {
 public:
  std::string_view name() const override { return "nextafter"; }
  template <class T>
  static T value(T x, T y) {
    return std::nextafter(x, y);
  }
  MaybeArray partial(std::span<const Array>, const Array& y, int i) const override {
    if (i == 1) return std::nullopt;
    return literal(1.0, y);
  }
  bool reads_input(int) const override { return false; }
};

/// Integers are whole already.
template <class T>
Array rounded(std::string_view function, const Array& x) {
  check_dtype(function, x, kReal);
  return is_integer(x.dtype()) ? x : apply1(the<T>(), {x});
}

}  // namespace

Array floor(const Array& x) { return rounded<Floor>("floor", x); }
Array ceil(const Array& x) { return rounded<Ceil>("ceil", x); }
Array trunc(const Array& x) { return rounded<Trunc>("trunc", x); }
Array round(const Array& x) {
  if (is_complex(x.dtype())) return make_complex(round(real(x)), round(imag(x)));
  return rounded<Round>("round", x);
}
Array floor_divide(const Array& x, const Array& y) {
  return apply_promoted<FloorDivide>("floor_divide", x, y);
}
Array remainder(const Array& x, const Array& y) { return apply_promoted<Remainder>("remainder", x, y); }
Array fmod(const Array& x, const Array& y) { return apply_promoted<Fmod>("fmod", x, y); }
Array copysign(const Array& x, const Array& y) { return apply_inexact<Copysign>("copysign", x, y); }
Array nextafter(const Array& x, const Array& y) { return apply_inexact<Nextafter>("nextafter", x, y); }

OpFamily families::rounding() {
  return {listed<Floor>(),     listed<Ceil>(), listed<Trunc>(),    listed<Round>(),    listed<FloorDivide>(),
          listed<Remainder>(), listed<Fmod>(), listed<Copysign>(), listed<Nextafter>()};
}

}  // namespace hesse
