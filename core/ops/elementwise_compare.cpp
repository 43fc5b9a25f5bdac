#include <cmath>
#include <limits>

#include "core/op_table.h"
#include "core/ops/elementwise_op.h"

/// Comparisons, logic on bools, operations on bits, and tests of floating-point values. None has a
/// derivative.
namespace hesse {
namespace {

/// Bools from two operands of one dtype.
template <class F, DTypes Set>
class Comparison final : public Entrywise<NonDifferentiable> {
 public:
  std::string_view name() const override { return F::kName; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 2, Set);
    return {{x[0].shape, kBool}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<Set>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (HasSimd<F, T>)
        cpu::map2_simd<T, bool>(x[0], x[1], out[0], F::template simd<T>());
      else
        cpu::map2<T, T, bool>(x[0], x[1], out[0], [](T v, T w) { return F::value(v, w); });
    });
  }
  EntryKernel entry_kernel(DType dtype) const override { return entry_kernel_for<F>(dtype); }
};
/// A bool from one operand.
template <class F, DTypes Set>
class Predicate final : public Entrywise<NonDifferentiable> {
 public:
  std::string_view name() const override { return F::kName; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 1, Set);
    return {{x[0].shape, kBool}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<Set>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      cpu::map1<T, bool>(x[0], out[0], [](T v) { return F::value(v); });
    });
  }
};
/// The operands' dtype from two operands.
template <class F, DTypes Set>
class Bitwise final : public BinaryOp<F, Set, NonDifferentiable> {
 public:
  std::string_view name() const override { return F::kName; }
};

constexpr DTypes kOrdered = kReal | kBoolOnly;

struct EqualTo {
  static constexpr std::string_view kName = "equal";
  HESSE_SIMD(equal)
  template <class T>
  static bool value(T x, T y) {
    return x == y;
  }
};
struct NotEqualTo {
  static constexpr std::string_view kName = "not_equal";
  HESSE_SIMD(not_equal)
  template <class T>
  static bool value(T x, T y) {
    return !(x == y);
  }
};
struct Less {
  static constexpr std::string_view kName = "less";
  HESSE_SIMD(less)
  template <class T>
  static bool value(T x, T y) {
    return x < y;
  }
};
struct LessEqual {
  static constexpr std::string_view kName = "less_equal";
  HESSE_SIMD(less_equal)
  template <class T>
  static bool value(T x, T y) {
    return x <= y;
  }
};
struct And {
  static constexpr std::string_view kName = "bitwise_and";
  template <class T>
  static T value(T x, T y) {
    return static_cast<T>(x & y);
  }
};
struct Or {
  static constexpr std::string_view kName = "bitwise_or";
  template <class T>
  static T value(T x, T y) {
    return static_cast<T>(x | y);
  }
};
struct Xor {
  static constexpr std::string_view kName = "bitwise_xor";
  template <class T>
  static T value(T x, T y) {
    return static_cast<T>(x ^ y);
  }
};
struct Invert {
  static constexpr std::string_view kName = "bitwise_invert";
  template <class T>
  static T value(T x) {
    if constexpr (std::is_same_v<T, bool>)
      return !x;
    else
      return static_cast<T>(~x);
  }
};
class BitwiseInvert final : public UnaryOp<Invert, kBits, NonDifferentiable> {
 public:
  std::string_view name() const override { return Invert::kName; }
};

template <class T>
inline constexpr int kWidth = 8 * static_cast<int>(sizeof(T));
/// Bits pushed out are lost; a shift by the width or more, or by less than 0, gives 0.
struct LeftShift {
  static constexpr std::string_view kName = "bitwise_left_shift";
  template <class T>
  static T value(T x, T y) {
    if (std::cmp_less(y, 0) || std::cmp_greater_equal(y, kWidth<T>)) return 0;
    return static_cast<T>(static_cast<uint64_t>(x) << y);
  }
};
/// Keeps the sign; a shift by the width or more, or by less than 0, gives 0 or -1 by the sign.
struct RightShift {
  static constexpr std::string_view kName = "bitwise_right_shift";
  template <class T>
  static T value(T x, T y) {
    if (std::cmp_less(y, 0) || std::cmp_greater_equal(y, kWidth<T>))
      return std::cmp_less(x, 0) ? static_cast<T>(-1) : T(0);
    return static_cast<T>(x >> y);
  }
};

struct IsNan {
  static constexpr std::string_view kName = "isnan";
  template <class T>
  static bool value(T x) {
    return !(x == x);
  }
};
struct IsInf {
  static constexpr std::string_view kName = "isinf";
  template <class T>
  static bool value(T x) {
    if constexpr (is_complex_v<T>)
      return value(x.real()) || value(x.imag());
    else if constexpr (is_floating_v<T>)
      return std::fabs(x) == std::numeric_limits<T>::infinity();
    else
      return false;
  }
};
struct IsFinite {
  static constexpr std::string_view kName = "isfinite";
  template <class T>
  static bool value(T x) {
    if constexpr (is_complex_v<T>)
      return value(x.real()) && value(x.imag());
    else if constexpr (is_floating_v<T>)
      return std::fabs(x) <= std::numeric_limits<T>::max();
    else
      return true;
  }
};
struct SignBit {
  static constexpr std::string_view kName = "signbit";
  template <class T>
  static bool value(T x) {
    if constexpr (is_floating_v<T>)
      return std::signbit(x);
    else
      return std::cmp_less(x, 0);
  }
};

template <class F, DTypes Set>
Array compare(const Array& x, const Array& y) {
  return apply1(the<Comparison<F, Set>>(), promote_and_broadcast(F::kName, {x, y}));
}
/// F(y, x) under the name `function`, which its errors say.
template <class F>
Array swapped(std::string_view function, const Array& x, const Array& y) {
  Arrays in = promote_and_broadcast(function, {x, y});
  check_dtype(function, in[0], kOrdered);
  std::swap(in[0], in[1]);
  return apply1(the<Comparison<F, kOrdered>>(), in);
}
template <class F, DTypes Set = kBits>
Array bits(const Array& x, const Array& y) {
  return apply1(the<Bitwise<F, Set>>(), promote_and_broadcast(F::kName, {x, y}));
}
template <class F>
Array logic(std::string_view function, const Array& x, const Array& y) {
  return apply1(the<Bitwise<F, kBits>>(), convert_and_broadcast(function, {x, y}, kBool));
}

}  // namespace

Array equal(const Array& x, const Array& y) { return compare<EqualTo, kAnyNumber>(x, y); }
Array not_equal(const Array& x, const Array& y) { return compare<NotEqualTo, kAnyNumber>(x, y); }
Array less(const Array& x, const Array& y) { return compare<Less, kOrdered>(x, y); }
Array less_equal(const Array& x, const Array& y) { return compare<LessEqual, kOrdered>(x, y); }
Array greater(const Array& x, const Array& y) { return swapped<Less>("greater", x, y); }
Array greater_equal(const Array& x, const Array& y) { return swapped<LessEqual>("greater_equal", x, y); }

Array logical_and(const Array& x, const Array& y) { return logic<And>("logical_and", x, y); }
Array logical_or(const Array& x, const Array& y) { return logic<Or>("logical_or", x, y); }
Array logical_xor(const Array& x, const Array& y) { return logic<Xor>("logical_xor", x, y); }
Array logical_not(const Array& x) { return apply1(the<BitwiseInvert>(), {converted(x, kBool)}); }

Array bitwise_and(const Array& x, const Array& y) { return bits<And>(x, y); }
Array bitwise_or(const Array& x, const Array& y) { return bits<Or>(x, y); }
Array bitwise_xor(const Array& x, const Array& y) { return bits<Xor>(x, y); }
Array bitwise_invert(const Array& x) { return apply1(the<BitwiseInvert>(), {x}); }
Array bitwise_left_shift(const Array& x, const Array& y) { return bits<LeftShift, kIntegers>(x, y); }
Array bitwise_right_shift(const Array& x, const Array& y) { return bits<RightShift, kIntegers>(x, y); }

Array isnan(const Array& x) { return apply1(the<Predicate<IsNan, kAnyNumber>>(), {x}); }
Array isinf(const Array& x) { return apply1(the<Predicate<IsInf, kAnyNumber>>(), {x}); }
Array isfinite(const Array& x) { return apply1(the<Predicate<IsFinite, kAnyNumber>>(), {x}); }
Array signbit(const Array& x) { return apply1(the<Predicate<SignBit, kReal>>(), {x}); }

OpFamily families::comparison() {
  return {listed<Comparison<EqualTo, kAnyNumber>>(),
          listed<Comparison<NotEqualTo, kAnyNumber>>(),
          listed<Comparison<Less, kOrdered>>(),
          listed<Comparison<LessEqual, kOrdered>>(),
          listed<Bitwise<And, kBits>>(),
          listed<Bitwise<Or, kBits>>(),
          listed<Bitwise<Xor, kBits>>(),
          listed<BitwiseInvert>(),
          listed<Bitwise<LeftShift, kIntegers>>(),
          listed<Bitwise<RightShift, kIntegers>>(),
          listed<Predicate<IsNan, kAnyNumber>>(),
          listed<Predicate<IsInf, kAnyNumber>>(),
          listed<Predicate<IsFinite, kAnyNumber>>(),
          listed<Predicate<SignBit, kReal>>()};
}

}  // namespace hesse
