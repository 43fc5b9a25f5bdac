// Elementary functions of vectors, for simd_kernels-inl.h. Compiled once per instruction set: no include
// guard of the usual kind. Valid for every argument, denormals, infinities and NaN included. Where
// multiply-add is not fused, constants that multiply a whole number have trailing zeros, so that the product
// is exact.
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

#undef HESSE_AVX
#undef HESSE_AVX512
#define HESSE_AVX (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2)
#define HESSE_AVX512 (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)

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
  static constexpr double kLn2 = 0x1.62e42fefa39efp-1, kLn2Rest = 0x1.abc9e3b39803fp-56;
  static constexpr double kTanhMost = 28 * kLn2;  // tanh is 1 above 19.07
};
template <>
struct Format<float> {
  static constexpr int kMantissa = 23;
  static constexpr int32_t kBias = 127, kHalfRange = 128;
  static constexpr float kShifter = 0x1.8p23f;
  static constexpr uint32_t kMantissaMask = 0x007fffff, kSqrtHalf = 0x3f3504f3;
  static constexpr float kExpLeast = -104.0f, kExpMost = 89.0f, kExpm1Least = -18.0f;
  static constexpr float kLn2Hi = 0.693359375f, kLn2Lo = -2.12194440e-4f;
  static constexpr float kLn2 = 0x1.62e43p-1f, kLn2Rest = -0x1.05c61p-29f;
  static constexpr float kTanhMost = 14 * kLn2;  // tanh is 1 above 9.02
};
inline constexpr double kLog2E = 1.44269504088896338700;

/// c0 + x (c1 + x (c2 + ...)).
template <class D, class V, class T>
HWY_INLINE V Poly(D d, V, T c) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(c));
}
template <class D, class V, class T, class... More>
HWY_INLINE V Poly(D d, V x, T c, More... more) {
  return hn::MulAdd(Poly(d, x, more...), x, hn::Set(d, static_cast<hn::TFromD<D>>(c)));
}
/// (c0 + c1 x) + x^2 ((c2 + c3 x) + x^2 (...)): half as long a chain of operations, which is what the time of
/// a run of entries depends on.
template <class D, class V, class T>
HWY_INLINE V PolyByPairs(D d, V x, V, T c) {
  return Poly(d, x, c);
}
template <class D, class V, class T, class... More>
HWY_INLINE V PolyByPairs(D d, V x, V square, T c0, T c1, More... more) {
  const V pair = Poly(d, x, c0, c1);
  if constexpr (sizeof...(more) == 0)
    return pair;
  else
    return hn::MulAdd(PolyByPairs(d, x, square, more...), square, pair);
}

/// x within bounds; NaN stays NaN. AVX's minimum and maximum return the second operand if one is NaN.
template <class D, class V>
HWY_INLINE V AtLeast(D d, V x, hn::TFromD<D> least) {
  const V bound = hn::Set(d, least);
  if constexpr (HESSE_AVX) return hn::Max(bound, x);
  return hn::IfThenElse(hn::Lt(x, bound), bound, x);
}
template <class D, class V>
HWY_INLINE V AtMost(D d, V x, hn::TFromD<D> most) {
  const V bound = hn::Set(d, most);
  if constexpr (HESSE_AVX) return hn::Min(bound, x);
  return hn::IfThenElse(hn::Gt(x, bound), bound, x);
}
template <class D, class V>
HWY_INLINE V Clamp(D d, V x, hn::TFromD<D> least, hn::TFromD<D> most) {
  return AtMost(d, AtLeast(d, x, least), most);
}

/// x - k ln 2. A fused product is exact, else that with the high part of ln 2 is.
template <class D, class V>
HWY_INLINE V SubtractLn2(D d, V x, V k) {
  using F = Format<hn::TFromD<D>>;
  const V high = hn::Set(d, HWY_NATIVE_FMA ? F::kLn2 : F::kLn2Hi);
  const V low = hn::Set(d, HWY_NATIVE_FMA ? F::kLn2Rest : F::kLn2Lo);
  return hn::NegMulAdd(k, low, hn::NegMulAdd(k, high, x));
}

/// x = k ln 2 + r with |r| <= ln 2 / 2; 2^k also as the product of two powers, since one alone can leave the
/// range of normal numbers. For |x| < 2^10 (2^7 in float).
template <class V>
struct ExpArgument {
  V r, k, power, rest;
};
template <class D, class V>
HWY_INLINE ExpArgument<V> ReduceExp(D d, V x) {
  using T = hn::TFromD<D>;
  using F = Format<T>;
  const hn::RebindToSigned<D> di;
  // The last bits of `shifted` are k + 2 bias, those of `half` k / 2 + bias.
  const V shifter = hn::Set(d, F::kShifter + T(2 * F::kBias));
  const V shifted = hn::MulAdd(x, hn::Set(d, T(kLog2E)), shifter);
  const V half = hn::MulAdd(x, hn::Set(d, T(kLog2E / 2)), hn::Set(d, F::kShifter + T(F::kBias)));
  const V k = hn::Sub(shifted, shifter);
  const auto left = hn::Sub(hn::BitCast(di, shifted), hn::BitCast(di, half));
  return {SubtractLn2(d, x, k), k, hn::BitCast(d, hn::ShiftLeft<F::kMantissa>(hn::BitCast(di, half))),
          hn::BitCast(d, hn::ShiftLeft<F::kMantissa>(left))};
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

#if HESSE_AVX512
// What Highway has no name for. The index of a look-up is the last four bits of a lane.
HWY_INLINE hn::Vec512<double> LookUp16(const double* table, hn::Vec512<double> index) {
  return hn::Vec512<double>{_mm512_permutex2var_pd(_mm512_load_pd(table), _mm512_castpd_si512(index.raw),
                                                   _mm512_load_pd(table + 8))};
}
HWY_INLINE hn::Vec512<float> LookUp16(const float* table, hn::Vec512<float> index) {
  return hn::Vec512<float>{_mm512_permutexvar_ps(_mm512_castps_si512(index.raw), _mm512_load_ps(table))};
}
/// y 2^floor(k), rounded once, for every k.
HWY_INLINE hn::Vec512<double> Scale(hn::Vec512<double> y, hn::Vec512<double> k) {
  return hn::Vec512<double>{_mm512_scalef_pd(y.raw, k.raw)};
}
HWY_INLINE hn::Vec512<float> Scale(hn::Vec512<float> y, hn::Vec512<float> k) {
  return hn::Vec512<float>{_mm512_scalef_ps(y.raw, k.raw)};
}
/// x, or `most` with its sign where |x| is more or x is NaN.
HWY_INLINE hn::Vec512<double> Limit(hn::Vec512<double> x, double most) {
  return hn::Vec512<double>{_mm512_range_pd(x.raw, _mm512_set1_pd(most), 2)};
}
HWY_INLINE hn::Vec512<float> Limit(hn::Vec512<float> x, float most) {
  return hn::Vec512<float>{_mm512_range_ps(x.raw, _mm512_set1_ps(most), 2)};
}

/// 2^(j/16) and its rounding error, relative.
template <class T>
struct Powers;
template <>
struct Powers<double> {
  alignas(64) static constexpr double kValue[16] = {0x1p+0,
                                                    0x1.0b5586cf9890fp+0,
                                                    0x1.172b83c7d517bp+0,
                                                    0x1.2387a6e756238p+0,
                                                    0x1.306fe0a31b715p+0,
                                                    0x1.3dea64c123422p+0,
                                                    0x1.4bfdad5362a27p+0,
                                                    0x1.5ab07dd485429p+0,
                                                    0x1.6a09e667f3bcdp+0,
                                                    0x1.7a11473eb0187p+0,
                                                    0x1.8ace5422aa0dbp+0,
                                                    0x1.9c49182a3f090p+0,
                                                    0x1.ae89f995ad3adp+0,
                                                    0x1.c199bdd85529cp+0,
                                                    0x1.d5818dcfba487p+0,
                                                    0x1.ea4afa2a490dap+0};
  alignas(64) static constexpr double kRest[16] = {0x0.0p+0,
                                                   0x1.79aa65d837b6dp-54,
                                                   -0x1.01b15eaa59348p-55,
                                                   0x1.68efde3a8a894p-54,
                                                   0x1.34d754db0abb6p-55,
                                                   0x1.59f48a72a4c6dp-55,
                                                   0x1.690cebb7aafb0p-56,
                                                   0x1.063e1e21c5409p-54,
                                                   -0x1.3b3efbf5e2228p-54,
                                                   -0x1.b32dcb94da51dp-56,
                                                   0x1.db72fc1f0eab4p-55,
                                                   0x1.1affc2b91ce27p-56,
                                                   0x1.c1a7792cb3387p-55,
                                                   0x1.36eae30af0cb3p-56,
                                                   0x1.4a385a63d07a7p-56,
                                                   -0x1.ff7128fd391f0p-55};
};
template <>
struct Powers<float> {
  alignas(64) static constexpr float kValue[16] = {
      0x1p+0f,          0x1.0b558600p+0f, 0x1.172b8400p+0f, 0x1.2387a600p+0f,
      0x1.306fe000p+0f, 0x1.3dea6400p+0f, 0x1.4bfdae00p+0f, 0x1.5ab07e00p+0f,
      0x1.6a09e600p+0f, 0x1.7a114800p+0f, 0x1.8ace5400p+0f, 0x1.9c491800p+0f,
      0x1.ae89fa00p+0f, 0x1.c199be00p+0f, 0x1.d5818e00p+0f, 0x1.ea4afa00p+0f};
  alignas(64) static constexpr float kRest[16] = {
      0x0.0p+0f,          0x1.8d96d400p-25f,  -0x1.9c0c2200p-27f, 0x1.96490400p-25f,
      0x1.12500200p-25f,  0x1.370be400p-25f,  -0x1.0a355000p-25f, -0x1.00d8ac00p-27f,
      0x1.26055c00p-26f,  -0x1.05cb4400p-25f, 0x1.67a1ca00p-28f,  0x1.a3b5e400p-28f,
      -0x1.f9c30400p-27f, -0x1.6961b400p-28f, -0x1.a5217c00p-28f, 0x1.61428e00p-28f};
};

/// e^x = 2^floor(k) 2^(j/16) (1 + expm1(r)), x = k ln 2 + r, k a multiple of 1/16, |r| <= ln 2 / 32.
template <class D, class V>
HWY_INLINE V Exp(D d, V x) {
  using T = hn::TFromD<D>;
  using F = Format<T>;
  const V shifter = hn::Set(d, F::kShifter / 16);
  const V shifted = hn::MulAdd(x, hn::Set(d, T(kLog2E)), shifter);
  const V k = hn::Sub(shifted, shifter);
  // Where x is too large for r to mean anything, k alone decides.
  const V r = Limit(SubtractLn2(d, x, k), T(0.03125)), square = hn::Mul(r, r);
  V p;
  if constexpr (sizeof(T) == 8)
    p = PolyByPairs(d, r, square, 0x1.0000000000005p-1, 0x1.555555548f217p-3, 0x1.555555545e2ebp-5,
                    0x1.11123afbfcf88p-7, 0x1.6c185e5a3a16ep-10);
  else
    p = Poly(d, r, 0x1.00022064e30f0p-1, 0x1.555762a59d70ap-3);
  const V power = LookUp16(Powers<T>::kValue, shifted);
  const V expm1 = hn::MulAdd(square, p, hn::Add(r, LookUp16(Powers<T>::kRest, shifted)));
  return Scale(hn::MulAdd(power, expm1, power), k);
}
#else
/// e^x = 2^k (1 + expm1(r)).
template <class D, class V>
HWY_INLINE V Exp(D d, V x) {
  using F = Format<hn::TFromD<D>>;
  const auto a = ReduceExp(d, Clamp(d, x, F::kExpLeast, F::kExpMost));
  const V y = hn::Add(Expm1Reduced(d, a.r), hn::Set(d, hn::TFromD<D>(1)));
  return hn::Mul(hn::Mul(y, a.power), a.rest);
}
#endif

/// e^x - 1 = 2^k (expm1(r) + (1 - 2^-k)); the inner difference is exact or, for large k, negligible.
template <class D, class V>
HWY_INLINE V Expm1(D d, V x) {
  using T = hn::TFromD<D>;
  using F = Format<T>;
  const hn::RebindToSigned<D> di;
  const V one = hn::Set(d, T(1));
  const auto a = ReduceExp(d, Clamp(d, x, F::kExpm1Least, F::kExpMost));
  // 2^-k from the bits of 2^k's parts; where it is too small to matter, it may be anything as small.
  const V small = hn::Min(a.k, hn::Set(d, T(F::kHalfRange / 2)));
  const auto bits = hn::BitCast(di, hn::Sub(hn::Set(d, F::kShifter + T(F::kBias)), small));
  const V rest = hn::Sub(one, hn::BitCast(d, hn::ShiftLeft<F::kMantissa>(bits)));
  const V y = hn::Mul(hn::Mul(hn::Add(Expm1Reduced(d, a.r), rest), a.power), a.rest);
  // Zeros keep their sign, tiny numbers themselves.
  return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, std::numeric_limits<T>::epsilon() / 4)), x, y);
}

/// tanh on |s| <= ln 2 / 4: s + s^3 P(s^2), P minimax.
template <class D, class V>
HWY_INLINE V TanhReduced(D d, V s) {
  const V z = hn::Mul(s, s);
  V p;
  if constexpr (sizeof(hn::TFromD<D>) == 8)
    p = PolyByPairs(d, z, hn::Mul(z, z), -0x1.55555555554bcp-2, 0x1.11111110e0a8ep-3, -0x1.ba1ba116dbf1bp-5,
                    0x1.664ec9dc09603p-6, -0x1.223c735889945p-7, 0x1.c3836b5a8b1d0p-9);
  else
    p = Poly(d, z, -0x1.55554e3626e98p-2, 0x1.1105cb3e7992ep-3, -0x1.aff00f84ddcabp-5);
  return hn::MulAdd(hn::Mul(z, s), p, s);
}

/// |x| = s - k ln 2 / 2 with a whole k, t = tanh s. With u = e^-2|x| = 2^k (1 - t) / (1 + t),
/// (1 - u) / (1 + u) = ((1 - 2^k) + (1 + 2^k) t) / ((1 + 2^k) + (1 - 2^k) t), where the sums of powers are
/// exact or, for large -k, negligible.
template <class D, class V>
HWY_INLINE V Tanh(D d, V x) {
  using T = hn::TFromD<D>;
  using F = Format<T>;
  const hn::RebindToSigned<D> di;
  const V magnitude = AtMost(d, hn::Abs(x), F::kTanhMost);
  // The last bits of `shifted` are those of the exponent of 2^k / 2.
  const V shifter = hn::Set(d, F::kShifter + T(F::kBias - 1));
  const V shifted = hn::MulAdd(magnitude, hn::Set(d, T(-2 * kLog2E)), shifter);
  const V k = hn::Sub(shifted, shifter);
  const V power = hn::BitCast(d, hn::ShiftLeft<F::kMantissa>(hn::BitCast(di, shifted)));
  // Where k is large enough for the rest of ln 2 to be noticed, 2^k is too small for it to matter.
  V s = hn::MulAdd(k, hn::Set(d, (HWY_NATIVE_FMA ? F::kLn2 : F::kLn2Hi) / 2), magnitude);
  if constexpr (!HWY_NATIVE_FMA) s = hn::MulAdd(k, hn::Set(d, F::kLn2Lo / 2), s);
  const V t = TanhReduced(d, s);
  const V half = hn::Set(d, T(0.5));
  const V sum = hn::Add(half, power), difference = hn::Sub(half, power);
  const V y = hn::Div(hn::MulAdd(sum, t, difference), hn::MulAdd(difference, t, sum));
  return hn::CopySign(y, x);
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

/// ln(1 + v) for v in [0, 1]. With s = v / (2 + v) in [0, 1/3],
/// ln(1 + v) = 2 artanh s = v - s (v - s^2 P(s^2)), P minimax.
template <class D, class V>
HWY_INLINE V Log1pUnit(D d, V v) {
  using T = hn::TFromD<D>;
  if constexpr (!HWY_NATIVE_FMA) {
    // Unfused, the short form loses too much: 1 + v is m or 2 m with m - 1 = v or (v - 1) / 2 exactly.
    const V one = hn::Set(d, T(1)), zero = hn::Zero(d);
    const auto doubled = hn::Gt(v, hn::Set(d, T(0.41421356237309505)));
    const V f = hn::IfThenElse(doubled, hn::Mul(hn::Sub(v, one), hn::Set(d, T(0.5))), v);
    return LogReduced(d, f, hn::IfThenElseZero(doubled, one), zero);
  }
  const V s = hn::Div(v, hn::Add(v, hn::Set(d, T(2))));
  const V z = hn::Mul(s, s);
  V p;
  if constexpr (sizeof(T) == 8)
    p = PolyByPairs(d, z, hn::Mul(z, z), 0x1.5555555555535p-1, 0x1.99999999a0840p-2, 0x1.249249208575ep-2,
                    0x1.c71c741f8d12ep-3, 0x1.745cb39b42dccp-3, 0x1.3b1de328ccad5p-3, 0x1.1067684bbcce8p-3,
                    0x1.efdd88f0b6914p-4, 0x1.559c3338672c6p-4, 0x1.5c8a7489419a0p-3);
  else
    p = Poly(d, z, 0x1.5555004300c76p-1, 0x1.99d27b8a92aa5p-2, 0x1.1eb6125c34dd7p-2, 0x1.1ef86c1d6e249p-2);
  return hn::NegMulAdd(s, hn::NegMulAdd(z, p, v), v);
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
template <class D, class V>
HWY_INLINE V Softplus(D d, V x) {
  return hn::Add(AtLeast(d, x, hn::TFromD<D>(0)), Log1pUnit(d, Exp(d, hn::Neg(hn::Abs(x)))));
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
