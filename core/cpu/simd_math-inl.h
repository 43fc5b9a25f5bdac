// Elementary functions of vectors, for simd_kernels-inl.h. Compiled once per instruction set: no include
// guard of the usual kind. Valid for every argument, denormals, infinities and NaN included. Constants that
// multiply a whole number have trailing zeros, so that the product is exact also without fused multiply-add.
#if defined(HESSE_CORE_CPU_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HESSE_CORE_CPU_SIMD_MATH_INL_H_
#undef HESSE_CORE_CPU_SIMD_MATH_INL_H_
#else
#define HESSE_CORE_CPU_SIMD_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <cstdint>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace hesse::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// The layout of a float: bits of the mantissa, bias of the exponent, and the number whose sum with a small
/// whole number shows that number in its last bits.
template <class T>
struct Format;
template <>
struct Format<double> {
  static constexpr int kMantissa = 52;
  static constexpr int64_t kBias = 1023, kHalfRange = 1024;
  static constexpr double kShifter = 0x1.8p52;
  static constexpr uint64_t kMantissaMask = 0x000fffffffffffff, kSqrtHalf = 0x3fe6a09e00000000;
  static constexpr double kExpLeast = -746.0, kExpMost = 710.0, kExpm1Least = -40.0;
  static constexpr double kLn2Hi = 6.93147180369123816490e-01, kLn2Lo = 1.90821492927058770002e-10;
};
template <>
struct Format<float> {
  static constexpr int kMantissa = 23;
  static constexpr int32_t kBias = 127, kHalfRange = 128;
  static constexpr float kShifter = 0x1.8p23f;
  static constexpr uint32_t kMantissaMask = 0x007fffff, kSqrtHalf = 0x3f3504f3;
  static constexpr float kExpLeast = -104.0f, kExpMost = 89.0f, kExpm1Least = -18.0f;
  static constexpr float kLn2Hi = 0.693359375f, kLn2Lo = -2.12194440e-4f;
};

/// c0 + x (c1 + x (c2 + ...)).
template <class D, class V, class T>
HWY_INLINE V Poly(D d, V, T c) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(c));
}
template <class D, class V, class T, class... More>
HWY_INLINE V Poly(D d, V x, T c, More... more) {
  return hn::MulAdd(Poly(d, x, more...), x, hn::Set(d, static_cast<hn::TFromD<D>>(c)));
}

/// x = k ln 2 + r with |r| <= ln 2 / 2; k also as an integer. For |x| < 2^10 (2^7 in float).
template <class V, class VI>
struct ExpArgument {
  V r, k;
  VI whole;
};
template <class D, class V>
HWY_INLINE auto ReduceExp(D d, V x) {
  using F = Format<hn::TFromD<D>>;
  const hn::RebindToSigned<D> di;
  const V shifter = hn::Set(d, F::kShifter);
  const V shifted = hn::MulAdd(x, hn::Set(d, static_cast<hn::TFromD<D>>(1.44269504088896338700)), shifter);
  const V k = hn::Sub(shifted, shifter);
  const auto whole = hn::Sub(hn::BitCast(di, shifted), hn::BitCast(di, shifter));
  V r = hn::NegMulAdd(k, hn::Set(d, F::kLn2Hi), x);
  r = hn::NegMulAdd(k, hn::Set(d, F::kLn2Lo), r);
  return ExpArgument<V, decltype(whole)>{r, k, whole};
}

/// e^r - 1 on |r| <= ln 2 / 2: r + r^2 P(r), P the Chebyshev interpolant of (e^r - 1 - r) / r^2.
template <class D, class V>
HWY_INLINE V Expm1Reduced(D d, V r) {
  V p;
  if constexpr (sizeof(hn::TFromD<D>) == 8)
    p = Poly(d, r, 0x1.0000000000001p-1, 0x1.5555555555556p-3, 0x1.5555555553cd3p-5, 0x1.1111111110987p-7,
             0x1.6c16c178c3c40p-10, 0x1.a01a01a7e6841p-13, 0x1.a019b83494791p-16, 0x1.71de0d2924871p-19,
             0x1.289286301b0dep-22, 0x1.af39e5ac082a8p-26);
  else
    p = Poly(d, r, 0x1.0000000000000p-1, 0x1.5554db913bf6bp-3, 0x1.55551879d2482p-5, 0x1.120ce320d5212p-7,
             0x1.6d127dd842fb0p-10);
  return hn::MulAdd(hn::Mul(r, r), p, r);
}

/// 2^k for k in the range of normal exponents.
template <class D, class VI>
HWY_INLINE hn::VFromD<D> PowerOfTwo(D d, VI k) {
  using F = Format<hn::TFromD<D>>;
  const hn::RebindToSigned<D> di;
  return hn::BitCast(d, hn::ShiftLeft<F::kMantissa>(hn::Add(k, hn::Set(di, F::kBias))));
}

/// y 2^k with one rounding also where the result is denormal: in two steps, for k up to twice the range.
template <class D, class V, class VI>
HWY_INLINE V Scale(D d, V y, VI k) {
  using F = Format<hn::TFromD<D>>;
  const hn::RebindToSigned<D> di;
  const hn::RebindToUnsigned<D> du;
  // Half of k, rounded down: shifted to be positive, because wide vectors lack an arithmetic shift of 64
  // bits.
  const auto positive = hn::BitCast(du, hn::Add(k, hn::Set(di, 2 * F::kHalfRange)));
  const auto half = hn::Sub(hn::BitCast(di, hn::ShiftRight<1>(positive)), hn::Set(di, F::kHalfRange));
  return hn::Mul(hn::Mul(y, PowerOfTwo(d, half)), PowerOfTwo(d, hn::Sub(k, half)));
}

template <class D, class V>
HWY_INLINE V Clamp(D d, V x, hn::TFromD<D> least, hn::TFromD<D> most) {
  return hn::Min(hn::Max(x, hn::Set(d, least)), hn::Set(d, most));
}
template <class D, class V>
HWY_INLINE V KeepNan(D, V x, V y) {
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

/// e^x = 2^k (1 + expm1(r)).
template <class D, class V>
HWY_INLINE V Exp(D d, V x) {
  using F = Format<hn::TFromD<D>>;
  const auto a = ReduceExp(d, Clamp(d, x, F::kExpLeast, F::kExpMost));
  const V y = hn::Add(Expm1Reduced(d, a.r), hn::Set(d, hn::TFromD<D>(1)));
  return KeepNan(d, x, Scale(d, y, a.whole));
}

/// e^x - 1 for x <= 0, where 2^k does not overflow; other arguments give what need not be looked at.
template <class D, class V>
HWY_INLINE V Expm1Negative(D d, V x) {
  using F = Format<hn::TFromD<D>>;
  const auto a = ReduceExp(d, Clamp(d, x, F::kExpm1Least, hn::TFromD<D>(0)));
  const V power = PowerOfTwo(d, a.whole);
  return hn::MulAdd(power, Expm1Reduced(d, a.r), hn::Sub(power, hn::Set(d, hn::TFromD<D>(1))));
}

/// e^x - 1 = 2^k (expm1(r) + (1 - 2^-k)); the inner difference is exact or, for large k, negligible.
template <class D, class V>
HWY_INLINE V Expm1(D d, V x) {
  using T = hn::TFromD<D>;
  using F = Format<T>;
  const hn::RebindToSigned<D> di;
  const V one = hn::Set(d, T(1));
  const auto a = ReduceExp(d, Clamp(d, x, F::kExpm1Least, F::kExpMost));
  const auto small = hn::Min(a.whole, hn::Set(di, F::kHalfRange / 2));
  const V rest = hn::Sub(one, PowerOfTwo(d, hn::Neg(small)));
  const V y = Scale(d, hn::Add(Expm1Reduced(d, a.r), rest), a.whole);
  // Zeros keep their sign, tiny numbers themselves.
  const auto tiny = hn::Lt(hn::Abs(x), hn::Set(d, std::numeric_limits<T>::epsilon() / 4));
  return hn::IfThenElse(hn::Or(tiny, hn::IsNaN(x)), x, y);
}

/// (1 - u) / (1 + u) with u = e^-2|x|, from v = u - 1: the quotient -v / (2 + v), with the sign of x.
template <class D, class V>
HWY_INLINE V Tanh(D d, V x) {
  const V magnitude = hn::Abs(x);
  const V v = Expm1Negative(d, hn::Neg(hn::Add(magnitude, magnitude)));
  const V y = hn::Div(v, hn::Add(v, hn::Set(d, hn::TFromD<D>(2))));
  return KeepNan(d, x, hn::CopySignToAbs(hn::Abs(y), x));
}

/// 1 / (1 + e^-x) = e^x / (1 + e^x), whichever does not overflow.
template <class D, class V>
HWY_INLINE V Sigmoid(D d, V x) {
  const V one = hn::Set(d, hn::TFromD<D>(1));
  const V e = Exp(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
}

/// R(z) / z of the next function.
template <class D, class V>
HWY_INLINE V LogSeries(D d, V z) {
  if constexpr (sizeof(hn::TFromD<D>) == 8)
    return Poly(d, z, 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                1.479819860511658591e-01);
  else
    return Poly(d, z, 0xaaaaaa.0p-24f, 0xccce13.0p-25f, 0x91e9ee.0p-25f, 0xf89e26.0p-26f);
}
/// ln(2^k (1 + f)) + c with 1 + f in [sqrt 1/2, sqrt 2), after fdlibm: with s = f / (2 + f),
/// ln(1 + f) = f - f^2 / 2 + s (f^2 / 2 + R(s^2)).
template <class D, class V>
HWY_INLINE V LogReduced(D d, V f, V k, V c) {
  using T = hn::TFromD<D>;
  const V hi = hn::Set(d, sizeof(T) == 8 ? T(6.93147180369123816490e-01) : T(6.9313812256e-01f));
  const V lo = hn::Set(d, sizeof(T) == 8 ? T(1.90821492927058770002e-10) : T(9.0580006145e-06f));
  const V s = hn::Div(f, hn::Add(f, hn::Set(d, T(2))));
  const V z = hn::Mul(s, s);
  const V series = hn::Mul(z, LogSeries(d, z));
  const V half_square = hn::Mul(hn::Mul(f, f), hn::Set(d, T(0.5)));
  const V small = hn::MulAdd(s, hn::Add(half_square, series), hn::MulAdd(k, lo, c));
  return hn::MulSub(k, hi, hn::Sub(hn::Sub(half_square, small), f));
}

/// A positive normal x as 2^k m with m in [sqrt 1/2, sqrt 2).
template <class V>
struct LogArgument {
  V k, m;
};
template <class D, class V>
HWY_INLINE LogArgument<V> SplitExponent(D d, V x) {
  using T = hn::TFromD<D>;
  using F = Format<T>;
  const hn::RebindToUnsigned<D> du;
  using U = hn::TFromD<decltype(du)>;
  const U one = static_cast<U>(F::kBias) << F::kMantissa;
  const auto bits = hn::Add(hn::BitCast(du, x), hn::Set(du, one - F::kSqrtHalf));
  const auto m = hn::Add(hn::And(bits, hn::Set(du, F::kMantissaMask)), hn::Set(du, F::kSqrtHalf));
  // The exponent as a float: put into the last bits of 2^mantissa.
  const V base = hn::Set(d, T(U(1) << F::kMantissa));
  const V exponent =
      hn::Sub(hn::BitCast(d, hn::Or(hn::ShiftRight<F::kMantissa>(bits), hn::BitCast(du, base))), base);
  return {hn::Sub(exponent, hn::Set(d, T(F::kBias))), hn::BitCast(d, m)};
}

/// The logarithm's values at the edge: -inf at 0, NaN below, inf and NaN themselves.
template <class D, class V>
HWY_INLINE V LogEdges(D d, V x, V argument, V y) {
  using T = hn::TFromD<D>;
  const V inf = hn::Inf(d);
  y = hn::IfThenElse(hn::Lt(argument, hn::Zero(d)), hn::NaN(d), y);
  y = hn::IfThenElse(hn::Eq(argument, hn::Zero(d)), hn::Set(d, -std::numeric_limits<T>::infinity()), y);
  return hn::IfThenElse(hn::Or(hn::Eq(argument, inf), hn::IsNaN(x)), x, y);
}

template <class D, class V>
HWY_INLINE V Log(D d, V x) {
  using T = hn::TFromD<D>;
  using F = Format<T>;
  const auto denormal = hn::Lt(x, hn::Set(d, std::numeric_limits<T>::min()));
  const T scale = T(typename hn::TFromD<hn::RebindToUnsigned<D>>(1) << F::kMantissa);
  const auto a = SplitExponent(d, hn::IfThenElse(denormal, hn::Mul(x, hn::Set(d, scale)), x));
  const V k = hn::Sub(a.k, hn::IfThenElseZero(denormal, hn::Set(d, T(F::kMantissa))));
  return LogEdges(d, x, x, LogReduced(d, hn::Sub(a.m, hn::Set(d, T(1))), k, hn::Zero(d)));
}

/// u = 1 + x rounded, and c = (1 + x - u) / u makes up for the rounding; near 0, f is x itself.
template <class D, class V>
HWY_INLINE V Log1p(D d, V x) {
  using T = hn::TFromD<D>;
  const V one = hn::Set(d, T(1)), zero = hn::Zero(d);
  const V u = hn::Add(one, x);
  const auto a = SplitExponent(d, u);
  const V lost =
      hn::IfThenElse(hn::Lt(u, hn::Set(d, T(2))), hn::Sub(x, hn::Sub(u, one)), hn::Sub(one, hn::Sub(u, x)));
  const auto near = hn::Eq(a.k, zero);
  const V f = hn::IfThenElse(near, x, hn::Sub(a.m, one));
  const V c = hn::IfThenElse(near, zero, hn::Div(lost, u));
  const V y = LogEdges(d, x, u, LogReduced(d, f, a.k, c));
  return hn::IfThenElse(hn::Eq(x, zero), x, y);
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + v), v = e^-|x| in [0, 1]: 1 + v is m or 2 m with m - 1 = v or (v - 1) / 2
/// exactly.
template <class D, class V>
HWY_INLINE V Softplus(D d, V x) {
  using T = hn::TFromD<D>;
  const V one = hn::Set(d, T(1)), zero = hn::Zero(d);
  const V v = Exp(d, hn::Neg(hn::Abs(x)));
  const auto doubled = hn::Gt(v, hn::Set(d, T(0.41421356237309505)));
  const V f = hn::IfThenElse(doubled, hn::Mul(hn::Sub(v, one), hn::Set(d, T(0.5))), v);
  const V log = LogReduced(d, f, hn::IfThenElseZero(doubled, one), zero);
  return hn::Add(hn::IfThenElse(hn::Lt(x, zero), zero, x), log);
}

/// s = a + b rounded, and what was lost.
template <class V>
struct TwoSum {
  V sum, rest;
};
template <class V>
HWY_INLINE TwoSum<V> Sum(V a, V b) {
  const V s = hn::Add(a, b), t = hn::Sub(s, a);
  return {s, hn::Add(hn::Sub(a, hn::Sub(s, t)), hn::Sub(b, t))};
}

inline constexpr double kTwoOverPi = 6.36619772367581382433e-01;
/// pi / 2 in parts of 33 bits and a rest: products with a whole number below 2^20 are exact.
inline constexpr double kHalfPi1 = 1.57079632673412561417e+00, kHalfPi2 = 6.07710050630396597660e-11,
                        kHalfPi3 = 2.02226624871116645580e-21, kHalfPi4 = 8.47842766036889956997e-32;
/// Larger arguments are left to the C library, entry by entry.
inline constexpr double kTrigMost = 1.6e6;

/// sin (quarter 0) or cos (quarter 1) of doubles up to kTrigMost, after fdlibm: x = k pi / 2 + r + rest, then
/// the polynomial that quarter k asks for.
template <class D, class V>
HWY_INLINE V SinCosDouble(D d, V x, int quarter) {
  const hn::RebindToUnsigned<D> du;
  const V shifter = hn::Set(d, 0x1.8p52);
  const V shifted = hn::MulAdd(x, hn::Set(d, kTwoOverPi), shifter);
  const V k = hn::Sub(shifted, shifter);
  const auto q = hn::Add(hn::BitCast(du, shifted), hn::Set(du, static_cast<uint64_t>(quarter)));
  const V first = hn::NegMulAdd(k, hn::Set(d, kHalfPi1), x);
  const auto second = Sum(first, hn::Neg(hn::Mul(k, hn::Set(d, kHalfPi2))));
  const auto third = Sum(second.sum, hn::Neg(hn::Mul(k, hn::Set(d, kHalfPi3))));
  const V tail = hn::NegMulAdd(k, hn::Set(d, kHalfPi4), hn::Add(second.rest, third.rest));
  const V r = hn::Add(third.sum, tail);
  const V rest = hn::Add(hn::Sub(third.sum, r), tail);

  const V half = hn::Set(d, 0.5), one = hn::Set(d, 1.0), z = hn::Mul(r, r);
  const V v = hn::Mul(z, r);
  const V s = Poly(d, z, 8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06,
                   -2.50507602534068634195e-08, 1.58969099521155010221e-10);
  const V sine = hn::Sub(r, hn::MulAdd(v, hn::Set(d, 1.66666666666666324348e-01),
                                       hn::MulSub(z, hn::NegMulAdd(v, s, hn::Mul(half, rest)), rest)));
  const V c = hn::Mul(
      z, Poly(d, z, 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
              -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11));
  const V half_square = hn::Mul(half, z), w = hn::Sub(one, half_square);
  const V cosine =
      hn::Add(w, hn::Add(hn::Sub(hn::Sub(one, w), half_square), hn::MulSub(z, c, hn::Mul(r, rest))));

  const V y = hn::IfThenElse(hn::RebindMask(d, hn::TestBit(q, hn::Set(du, uint64_t{1}))), cosine, sine);
  return hn::BitCast(d, hn::Xor(hn::BitCast(du, y), hn::ShiftLeft<62>(hn::And(q, hn::Set(du, uint64_t{2})))));
}

/// The same for floats held in doubles: one part of pi / 2 less and shorter polynomials.
template <class D, class V>
HWY_INLINE V SinCosOfFloat(D d, V x, int quarter) {
  const hn::RebindToUnsigned<D> du;
  const V shifter = hn::Set(d, 0x1.8p52);
  const V shifted = hn::MulAdd(x, hn::Set(d, kTwoOverPi), shifter);
  const V k = hn::Sub(shifted, shifter);
  const auto q = hn::Add(hn::BitCast(du, shifted), hn::Set(du, static_cast<uint64_t>(quarter)));
  const V r = hn::NegMulAdd(k, hn::Set(d, kHalfPi2), hn::NegMulAdd(k, hn::Set(d, kHalfPi1), x));
  const V z = hn::Mul(r, r);
  const V sine = hn::Mul(r, Poly(d, z, 1.0, -0x15555554cbac77.0p-55, 0x111110896efbb2.0p-59,
                                 -0x1a00f9e2cae774.0p-65, 0x16cd878c3b46a7.0p-71));
  const V cosine = Poly(d, z, 1.0, -0x1ffffffd0c5e81.0p-54, 0x155553e1053a42.0p-57, -0x16c087e80f1e27.0p-62,
                        0x199342e0ee5069.0p-68);
  const V y = hn::IfThenElse(hn::RebindMask(d, hn::TestBit(q, hn::Set(du, uint64_t{1}))), cosine, sine);
  return hn::BitCast(d, hn::Xor(hn::BitCast(du, y), hn::ShiftLeft<62>(hn::And(q, hn::Set(du, uint64_t{2})))));
}

}  // namespace HWY_NAMESPACE
}  // namespace hesse::cpu
HWY_AFTER_NAMESPACE();

#endif  // HESSE_CORE_CPU_SIMD_MATH_INL_H_
