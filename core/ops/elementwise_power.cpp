#include <algorithm>
#include <cmath>

#include "core/op_table.h"
#include "core/ops/elementwise_op.h"
#include "core/status.h"

/// Powers: with a fixed integer exponent, by multiplication; and with an exponent per entry.
namespace hesse {
namespace {

Array integer_pow(const Array& x, int64_t n);

/// x^n, n >= 0, by squaring; integers wrap around.
template <class T>
T power(T x, uint64_t n) {
  if constexpr (is_integer(dtype_of<T>)) {
    using U = std::common_type_t<std::make_unsigned_t<T>, unsigned>;
    U result = 1, base = static_cast<U>(x);
    for (; n > 0; n >>= 1, base *= base)
      if (n & 1) result *= base;
    return static_cast<T>(result);
  } else {
    T result(1);
    for (;;) {
      if (n & 1) result *= x;
      n >>= 1;
      if (n == 0) return result;
      x *= x;
    }
  }
}

/// The same products for runs of floats, a block at a time.
template <class T>
void power_run(const T* x, T* out, int64_t count, uint64_t n, bool inverse) {
  const cpu::SimdKernels<T>& simd = cpu::simd_kernels<T>();
  T base[cpu::kBlock], result[cpu::kBlock];
  for (int64_t first = 0; first < count; first += cpu::kBlock) {
    const int64_t m = std::min(cpu::kBlock, count - first);
    std::copy_n(x + first, m, base);
    std::fill_n(result, m, T(1));
    for (uint64_t bits = n; bits != 0;) {
      if (bits & 1) simd.multiply(result, 1, base, 1, result, m);
      bits >>= 1;
      if (bits != 0) simd.multiply(base, 1, base, 1, base, m);
    }
    if (inverse)
      simd.reciprocal(result, out + first, m);
    else
      std::copy_n(result, m, out + first);
  }
}

/// y = x^n for a fixed integer n.  dy/dx = n x^(n-1).
class IntegerPow final : public Entrywise<Elementwise> {
 public:
  explicit IntegerPow(int64_t n) : n_(n) {}
  std::string_view name() const override { return "integer_pow"; }
  Params params() const override { return {{"n", n_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 1, n_ >= 0 ? kNumeric : kInexact);
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    const uint64_t n = n_ < 0 ? 0 - static_cast<uint64_t>(n_) : static_cast<uint64_t>(n_);
    visit_in<kNumeric>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_floating_v<T>) {
        cpu::map1_simd<T>(x[0], out[0], [n, inverse = n_ < 0](const T* from, T* to, int64_t count) {
          power_run(from, to, count, n, inverse);
        });
      } else if (n_ >= 0) {
        cpu::map1<T, T>(x[0], out[0], [n](T v) { return power(v, n); });
      } else if constexpr (!is_integer(dtype_of<T>)) {
        cpu::map1<T, T>(x[0], out[0], [n](T v) { return T(1) / power(v, n); });
      }
    });
  }
  MaybeArray partial(std::span<const Array> x, const Array&, int) const override {
    return multiply(static_cast<double>(n_), integer_pow(x[0], n_ - 1));
  }
  bool reads_output(int) const override { return false; }

 private:
  int64_t n_;
};

/// z = x^y.  dz/dx = y x^(y-1), 0 where y = 0.  dz/dy = z ln x, 0 where x = 0.
class Pow final : public BinaryOp<Pow, kNumeric> {
 public:
  std::string_view name() const override { return "pow"; }
  template <class T>
  static T value(T x, T y) {
    if constexpr (is_integer(dtype_of<T>)) {
      if (std::cmp_greater_equal(y, 0)) return power(x, static_cast<uint64_t>(y));
      report_failure(Failure::Numerical, "pow",
                     concat("the integer ", +x, " to the negative power ", +y,
                            " is a fraction; convert the base with astype"));
      return T(0);
    } else if constexpr (is_complex_v<T>) {
      if (y == T(0)) return T(1);
      if (x == T(0) && y.imag() == 0 && y.real() > 0) return T(0);
      return std::pow(x, y);
    } else {
      return std::pow(x, y);
    }
  }
  MaybeArray partial(std::span<const Array> x, const Array& z, int i) const override {
    const Array &base = x[0], &exponent = x[1];
    if (i == 1) {
      const Array zero = equal(base, 0.0);
      return where(zero, literal(0.0, z), z * log(where(zero, literal(1.0, z), base)));
    }
    // A constant exponent needs no guard, and its derivative is a power with a constant exponent again.
    if (const auto p = literal_value(exponent)) {
      if (*p == 0.0) return std::nullopt;
      return multiply(literal(*p, exponent), pow(base, literal(*p - 1.0, exponent)));
    }
    const Array zero = equal(exponent, 0.0);
    return where(zero, literal(0.0, z), exponent * pow(base, where(zero, literal(1.0, z), exponent - 1.0)));
  }
};

Array integer_pow(const Array& x, int64_t n) {
  if (n == 0) return literal(1.0, x);
  if (n == 1) return x;
  if (n == 2) return square(x);
  if (n == -1) return reciprocal(x);
  return apply1(make_op<IntegerPow>(n), {x});
}

}  // namespace

Array pow(const Array& x, const Array& y) {
  // A small integer exponent that is a number, not an array: x^n by multiplication.
  if (y.is_weak() && y.ndim() == 0 && x.dtype() != kKey && !is_bool(x.dtype())) {
    const auto p = literal_value(y);
    const DType dtype = common_dtype("pow", std::array{x, y});
    if (p && *p == std::floor(*p) && std::fabs(*p) <= 32) {
      require(*p >= 0 || is_inexact(dtype), "pow: integers to the negative power ", *p,
              " are fractions; convert the base with astype");
      return integer_pow(converted(x, dtype), static_cast<int64_t>(*p));
    }
    if (p && *p == 0.5) return sqrt(converted(x, dtype));
  }
  return apply_promoted<Pow>("pow", x, y);
}

OpFamily families::powers() { return {listed<IntegerPow>("integer_pow", "n"), listed<Pow>()}; }

}  // namespace hesse
