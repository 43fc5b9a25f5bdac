#include <cmath>
#include <limits>

#include "core/node.h"
#include "core/op_table.h"
#include "core/ops/elementwise_op.h"

/// Sums, products and quotients. Integers wrap around.
namespace hesse {
namespace {

/// Integer arithmetic modulo 2^bits, without the undefined behaviour of signed overflow.
template <class T, class F>
T wrapping(T x, T y, F f) {
  using U = std::common_type_t<std::make_unsigned_t<T>, unsigned>;
  return static_cast<T>(f(static_cast<U>(x), static_cast<U>(y)));
}

class Negative;
/// z, where x was recorded as -z; else null.
const Array* negated(const Array& x);

/// out = x + y; for bools: or. Both cotangents are the output's.
class Add final : public BinaryOp<Add, kAnyNumber, Linear> {
 public:
  std::string_view name() const override { return "add"; }
  static constexpr EntryKernel::Role kRole = EntryKernel::Role::Add;
  HESSE_SIMD(add)
  template <class T>
  static T value(T x, T y) {
    if constexpr (std::is_same_v<T, bool>)
      return x || y;
    else if constexpr (is_integer(dtype_of<T>))
      return wrapping(x, y, [](auto a, auto b) { return a + b; });
    else
      return x + y;
  }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    if (!dx[0]) return {dx[1]};
    if (!dx[1]) return {dx[0]};
    return {add(*dx[0], *dx[1])};
  }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override { return ct; }
  // x + -z is x - z, bit for bit.
  MaybeArray simplify(std::span<const Array> x) const override {
    if (const Array* z = negated(x[1])) return subtract(x[0], *z);
    if (const Array* z = negated(x[0])) return subtract(x[1], *z);
    return std::nullopt;
  }
};

/// out = x - y. Cotangents: ct and -ct.
class Subtract final : public BinaryOp<Subtract, kNumeric, Linear> {
 public:
  std::string_view name() const override { return "subtract"; }
  static constexpr EntryKernel::Role kRole = EntryKernel::Role::Subtract;
  HESSE_SIMD(subtract)
  template <class T>
  static T value(T x, T y) {
    if constexpr (is_integer(dtype_of<T>))
      return wrapping(x, y, [](auto a, auto b) { return a - b; });
    else
      return x - y;
  }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    if (!dx[1]) return {dx[0]};
    if (!dx[0]) return {negative(*dx[1])};
    return {subtract(*dx[0], *dx[1])};
  }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int i) const override {
    return i == 0 ? ct : negative(ct);
  }
  MaybeArray simplify(std::span<const Array> x) const override {
    if (const Array* z = negated(x[1])) return add(x[0], *z);
    return std::nullopt;
  }
};

/// out = -x.
class Negative final : public UnaryOp<Negative, kNumeric, Linear> {
 public:
  std::string_view name() const override { return "negative"; }
  static constexpr EntryKernel::Role kRole = EntryKernel::Role::Single;
  HESSE_SIMD(negative)
  template <class T>
  static T value(T x) {
    if constexpr (is_integer(dtype_of<T>))
      return wrapping(T(0), x, [](auto a, auto b) { return a - b; });
    else
      return -x;
  }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override { return negative(ct); }
  MaybeArray simplify(std::span<const Array> x) const override {
    const Array* z = negated(x[0]);
    return z ? MaybeArray(*z) : std::nullopt;
  }
};

const Array* negated(const Array& x) {
  if (!x.is_symbol() || !x.node()) return nullptr;
  const Node& n = *x.node();
  return n.op() == the<Negative>() && !n.inputs().empty() ? &n.inputs()[0] : nullptr;
}

/// out = x y; for bools: and. Cotangents: ct y and ct x.
class Multiply final : public BinaryOp<Multiply, kAnyNumber, Linear> {
 public:
  Multiply() : BinaryOp(In::Each) {}
  std::string_view name() const override { return "multiply"; }
  static constexpr EntryKernel::Role kRole = EntryKernel::Role::Multiply;
  HESSE_SIMD(multiply)
  template <class T>
  static T value(T x, T y) {
    if constexpr (std::is_same_v<T, bool>)
      return x && y;
    else if constexpr (is_integer(dtype_of<T>))
      return wrapping(x, y, [](auto a, auto b) { return a * b; });
    else
      return x * y;
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    return multiply(ct, x[static_cast<size_t>(1 - i)]);
  }
  // x * 1 is x: seeds of derivatives and literal factors.
  MaybeArray simplify(std::span<const Array> x) const override {
    if (is_literal(x[0], 1.0)) return x[1];
    if (is_literal(x[1], 1.0)) return x[0];
    // Signs go outwards, where they meet a sum or another sign: -x y is -(x y), bit for bit.
    if (const Array* z = negated(x[0])) return negative(multiply(*z, x[1]));
    if (const Array* z = negated(x[1])) return negative(multiply(x[0], *z));
    return std::nullopt;
  }
};

/// out = x / y.  d/dx = 1/y,  d/dy = -out/y.
class Divide final : public BinaryOp<Divide, kInexact> {
 public:
  std::string_view name() const override { return "divide"; }
  HESSE_SIMD(divide)
  template <class T>
  static T value(T x, T y) {
    return x / y;
  }
  MaybeArray partial(std::span<const Array> x, const Array& y, int i) const override {
    const Array r = reciprocal(x[1]);  // shared: nested derivatives stay few
    return i == 0 ? r : negative(multiply(y, r));
  }
  bool is_linear_in(const std::vector<bool>& marked) const override { return marked[0] && !marked[1]; }
  MaybeArray simplify(std::span<const Array> x) const override {
    return is_literal(x[1], 1.0) ? MaybeArray(x[0]) : std::nullopt;
  }
  bool reads_input(int i) const override { return i == 1; }
};

/// out = 1 / x.  d/dx = -out^2.
class Reciprocal final : public UnaryOp<Reciprocal, kInexact> {
 public:
  std::string_view name() const override { return "reciprocal"; }
  HESSE_SIMD(reciprocal)
  template <class T>
  static T value(T x) {
    return T(1) / x;
  }
  MaybeArray partial(std::span<const Array>, const Array& y, int) const override {
    return negative(square(y));
  }
  bool reads_input(int) const override { return false; }
};

/// out = x^2.  d/dx = 2 x.
class Square final : public UnaryOp<Square, kNumeric> {
 public:
  std::string_view name() const override { return "square"; }
  static constexpr EntryKernel::Role kRole = EntryKernel::Role::Square;
  HESSE_SIMD(square)
  template <class T>
  static T value(T x) {
    return Multiply::value(x, x);
  }
  MaybeArray partial(std::span<const Array> x, const Array&, int) const override { return 2.0 * x[0]; }
  bool reads_output(int) const override { return false; }
};

/// out = |x| of a real x.  d/dx = sign x, which is 0 at 0.
class Abs final : public UnaryOp<Abs, kReal> {
 public:
  std::string_view name() const override { return "abs"; }
  static constexpr EntryKernel::Role kRole = EntryKernel::Role::Single;
  HESSE_SIMD(abs)
  template <class T>
  static T value(T x) {
    if constexpr (is_floating_v<T>)
      return std::fabs(x);
    else if constexpr (is_signed_integer(dtype_of<T>))
      return x < 0 ? Negative::value(x) : x;
    else
      return x;
  }
  MaybeArray partial(std::span<const Array> x, const Array&, int) const override { return sign(x[0]); }
  bool reads_output(int) const override { return false; }
};

/// out = |z|, real.  d|z| = Re(conj(z) dz) / |z|, and 0 at 0.
class ComplexAbs final : public Entrywise<General> {
 public:
  std::string_view name() const override { return "complex_abs"; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 1, kComplex);
    return {{x[0].shape, real_dtype(x[0].dtype)}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<kComplex>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_complex_v<T>)
        cpu::map1<T, typename T::value_type>(x[0], out[0], [](T z) { return std::abs(z); });
    });
  }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const Array modulus = where(equal(y[0], 0), 1, y[0]);
    return {divide(real(multiply(conj(x[0]), *dx[0])), modulus)};
  }
};

/// out = -1, 0 or 1 (NaN for NaN); constant almost everywhere.
class Sign final : public UnaryOp<Sign, kReal> {
 public:
  std::string_view name() const override { return "sign"; }
  HESSE_SIMD(sign)
  template <class T>
  static T value(T x) {
    if constexpr (is_floating_v<T>)
      return x > 0 ? T(1) : x < 0 ? T(-1) : x == 0 ? T(0) : x;
    else
      return static_cast<T>((x > 0) - (x < 0));
  }
  MaybeArray partial(std::span<const Array>, const Array&, int) const override { return std::nullopt; }
  bool reads_input(int) const override { return false; }
  bool reads_output(int) const override { return false; }
};

/// The larger (or smaller) of two; NaN if either is NaN. The derivative goes to the chosen one, half to each
/// of a tie.
template <bool Larger>
class Extremum final : public BinaryOp<Extremum<Larger>, kReal | kBoolOnly> {
 public:
  std::string_view name() const override { return Larger ? "maximum" : "minimum"; }
  static constexpr EntryKernel::Role kRole = EntryKernel::Role::Single;
  template <class T>
  static auto simd() {
    return Larger ? cpu::simd_kernels<T>().maximum : cpu::simd_kernels<T>().minimum;
  }
  template <class T>
  static T value(T x, T y) {
    if constexpr (is_floating_v<T>) {
      if (x != x) return x;
      if (y != y) return y;
    }
    return Larger ? (x < y ? y : x) : (y < x ? y : x);
  }
  MaybeArray partial(std::span<const Array> x, const Array& y, int i) const override {
    const Array &mine = x[static_cast<size_t>(i)], &other = x[static_cast<size_t>(1 - i)];
    const Array chosen = Larger ? greater(mine, other) : less(mine, other);
    return where(chosen, literal(1.0, y), where(equal(mine, other), literal(0.5, y), literal(0.0, y)));
  }
  bool reads_output(int) const override { return false; }
};

/// out = condition ? x : y, selected, never multiplied. The cotangent goes to the selected one.
class Where final : public Entrywise<Linear> {
 public:
  std::string_view name() const override { return "where"; }
  Avals infer(std::span<const Aval> x) const override {
    require(x.size() == 3, "where: expected a condition and two operands, got ", x.size());
    require<TypeError>(is_bool(x[0].dtype), "where: the condition must be bool, got ", x[0].dtype);
    check_operands(*this, x.subspan(1), 2, kAnything);
    require(x[0].shape == x[1].shape, "where: condition of shape ", x[0].shape, ", operands of shape ",
            x[1].shape);
    return {x[1]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<kAnything>(x[1].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_floating_v<T>)
        cpu::map3_simd<T>(x[0], x[1], x[2], out[0], cpu::simd_kernels<T>().where);
      else
        cpu::map3<bool, T, T, T>(x[0], x[1], x[2], out[0], [](bool c, T v, T w) { return c ? v : w; });
    });
  }
  EntryKernel entry_kernel(DType dtype) const override {
    EntryKernel out;
    visit_in<kFloating>(dtype, [&](auto tag) {
      out =
          entry_kernel_of(cpu::simd_kernels<typename decltype(tag)::type>().where, EntryKernel::Role::Single);
    });
    return out;
  }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    if (!dx[1] && !dx[2]) return {std::nullopt};
    return {where(x[0], dx[1] ? *dx[1] : literal(0.0, *dx[2]), dx[2] ? *dx[2] : literal(0.0, *dx[1]))};
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    if (i == 0) return std::nullopt;
    const Array zero = literal(0.0, ct);
    return i == 1 ? where(x[0], ct, zero) : where(x[0], zero, ct);
  }
  bool is_linear_in(const std::vector<bool>& marked) const override { return !marked[0]; }
  bool reads_input(int i) const override { return i == 0; }
};

}  // namespace

Array add(const Array& x, const Array& y) { return apply_promoted<Add>("add", x, y); }
Array subtract(const Array& x, const Array& y) { return apply_promoted<Subtract>("subtract", x, y); }
Array multiply(const Array& x, const Array& y) { return apply_promoted<Multiply>("multiply", x, y); }
Array divide(const Array& x, const Array& y) { return apply_inexact<Divide>("divide", x, y); }
Array negative(const Array& x) { return apply1(the<Negative>(), {x}); }
Array positive(const Array& x) {
  check_dtype("positive", x, kNumeric);
  return x;
}
Array reciprocal(const Array& x) { return apply_inexact<Reciprocal>("reciprocal", x); }
Array square(const Array& x) { return apply1(the<Square>(), {x}); }

Array abs(const Array& x) {
  if (is_complex(x.dtype())) return apply1(the<ComplexAbs>(), {x});
  if (is_unsigned_integer(x.dtype()) || is_bool(x.dtype())) return x;
  return apply1(the<Abs>(), {x});
}

Array sign(const Array& x) {
  if (!is_complex(x.dtype())) return apply1(the<Sign>(), {x});
  // z / |z|, and 0 at 0.
  const Array modulus = abs(x);
  return divide(x, where(equal(modulus, 0), 1, modulus));
}

Array maximum(const Array& x, const Array& y) { return apply_promoted<Extremum<true>>("maximum", x, y); }
Array minimum(const Array& x, const Array& y) { return apply_promoted<Extremum<false>>("minimum", x, y); }

Array clip(const Array& x, const std::optional<Array>& lo, const std::optional<Array>& hi) {
  check_dtype("clip", x, kReal);
  Array y = x;
  if (lo) y = where(less(y, *lo), *lo, y);
  if (hi) y = where(greater(y, *hi), *hi, y);
  return y;
}

Array where(const Array& condition, const Array& x, const Array& y) {
  Arrays v = promote_and_broadcast("where", {x, y});
  const Array c = converted(condition, kBool);
  if (c.shape() == v[0].shape()) return apply1(the<Where>(), {c, v[0], v[1]});
  const Shape shape = broadcast_shapes("where", c.shape(), v[0].shape());
  return apply1(the<Where>(), {broadcast_to(c, shape), broadcast_to(v[0], shape), broadcast_to(v[1], shape)});
}

OpFamily families::arithmetic() {
  return {listed<Add>(),        listed<Subtract>(),   listed<Negative>(),       listed<Multiply>(),
          listed<Divide>(),     listed<Reciprocal>(), listed<Square>(),         listed<Abs>(),
          listed<ComplexAbs>(), listed<Sign>(),       listed<Extremum<true>>(), listed<Extremum<false>>(),
          listed<Where>()};
}

}  // namespace hesse
