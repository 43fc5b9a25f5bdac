// Runs of entries through the functions of simd_math-inl.h. Compiled once per instruction set, as that is.
#if defined(HESSE_CORE_CPU_SIMD_KERNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HESSE_CORE_CPU_SIMD_KERNELS_INL_H_
#undef HESSE_CORE_CPU_SIMD_KERNELS_INL_H_
#else
#define HESSE_CORE_CPU_SIMD_KERNELS_INL_H_
#endif

#include "core/cpu/simd_kernels.h"
#include "core/cpu/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hesse::cpu {
namespace HWY_NAMESPACE {

// One functor per kernel: f(d, x...) on vectors.
#define HESSE_UNARY(Name, expression)         \
  struct Name {                               \
    template <class D, class V>               \
    HWY_INLINE V operator()(D d, V x) const { \
      (void)d;                                \
      return expression;                      \
    }                                         \
  }
#define HESSE_BINARY(Name, expression)                \
  struct Name {                                       \
    template <class D, class V>                       \
    HWY_INLINE auto operator()(D d, V x, V y) const { \
      (void)d;                                        \
      return expression;                              \
    }                                                 \
  }
HESSE_UNARY(NegativeF, hn::Neg(x));
HESSE_UNARY(AbsF, hn::Abs(x));
HESSE_UNARY(SignF, hn::IfThenElse(hn::Or(hn::Lt(x, hn::Zero(d)), hn::Gt(x, hn::Zero(d))),
                                  hn::CopySignToAbs(hn::Set(d, hn::TFromD<D>(1)), x),
                                  hn::IfThenElse(hn::IsNaN(x), x, hn::Zero(d))));
HESSE_UNARY(SquareF, hn::Mul(x, x));
HESSE_UNARY(ReciprocalF, hn::Div(hn::Set(d, hn::TFromD<D>(1)), x));
HESSE_UNARY(SqrtF, hn::Sqrt(x));
HESSE_UNARY(RsqrtF, hn::Div(hn::Set(d, hn::TFromD<D>(1)), hn::Sqrt(x)));
// Zeros keep the sign of x, which Highway's scalar rounding loses.
HESSE_UNARY(FloorF, hn::CopySign(hn::Floor(x), x));
HESSE_UNARY(CeilF, hn::CopySign(hn::Ceil(x), x));
HESSE_UNARY(TruncF, hn::CopySign(hn::Trunc(x), x));
HESSE_UNARY(RoundF, hn::CopySign(hn::Round(x), x));
HESSE_UNARY(ExpF, Exp(d, x));
HESSE_UNARY(Expm1F, Expm1(d, x));
HESSE_UNARY(LogF, Log(d, x));
HESSE_UNARY(Log1pF, Log1p(d, x));
HESSE_UNARY(TanhF, Tanh(d, x));
HESSE_UNARY(SigmoidF, Sigmoid(d, x));
HESSE_UNARY(SoftplusF, Softplus(d, x));
HESSE_BINARY(AddF, hn::Add(x, y));
HESSE_BINARY(SubtractF, hn::Sub(x, y));
HESSE_BINARY(MultiplyF, hn::Mul(x, y));
HESSE_BINARY(DivideF, hn::Div(x, y));
HESSE_BINARY(MaximumF, hn::IfThenElse(hn::IsNaN(y), y, hn::IfThenElse(hn::Lt(x, y), y, x)));
HESSE_BINARY(MinimumF, hn::IfThenElse(hn::IsNaN(y), y, hn::IfThenElse(hn::Lt(y, x), y, x)));
HESSE_BINARY(EqualF, hn::Eq(x, y));
HESSE_BINARY(NotEqualF, hn::Not(hn::Eq(x, y)));  // Highway's Ne is false for NaN
HESSE_BINARY(LessF, hn::Lt(x, y));
HESSE_BINARY(LessEqualF, hn::Le(x, y));
#undef HESSE_UNARY
#undef HESSE_BINARY

/// Replaces the entries of y whose argument is too large for the vector code by the C library's.
template <int Quarter, class D, class V>
HWY_NOINLINE V PatchTrig(D d, V x, V y) {
  using T = hn::TFromD<D>;
  HWY_ALIGN T xs[hn::MaxLanes(d)], ys[hn::MaxLanes(d)];
  hn::Store(x, d, xs);
  hn::Store(y, d, ys);
  for (size_t i = 0; i < hn::Lanes(d); ++i)
    if (!(std::fabs(xs[i]) <= T(kTrigMost))) ys[i] = Quarter == 0 ? std::sin(xs[i]) : std::cos(xs[i]);
  return hn::Load(d, ys);
}
template <int Quarter>
struct SinCosF {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    V y = SinCosDouble(d, x, Quarter);
    if (Quarter == 0) y = hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 0x1p-27)), x, y);
    return hn::AllTrue(d, hn::Le(hn::Abs(x), hn::Set(d, kTrigMost))) ? y : PatchTrig<Quarter>(d, x, y);
  }
};

template <class T>
HWY_INLINE void CopySome(const T* from, T* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}

/// out = f(x), where out may be x. Every entry goes through the arithmetic of a whole vector: the last ones
/// of a run together with some before them, fewer than a vector through a buffer, so that nothing outside is
/// read or written.
template <class F, class T>
HWY_INLINE void Unary(const T* x, T* out, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (n >= lanes) {
    const auto last = hn::LoadU(d, x + n - lanes);  // before out, if it is x, has been written to
    int64_t i = 0;
    // Three vectors at a time, whose chains of operations the compiler interleaves: a processor looks ahead
    // for no more than two of tanh, and waits for their ends.
    for (; i < n - 3 * lanes; i += 3 * lanes) {
      const auto a = F()(d, hn::LoadU(d, x + i)), b = F()(d, hn::LoadU(d, x + i + lanes)),
                 c = F()(d, hn::LoadU(d, x + i + 2 * lanes));
      hn::StoreU(a, d, out + i);
      hn::StoreU(b, d, out + i + lanes);
      hn::StoreU(c, d, out + i + 2 * lanes);
    }
    for (; i < n - lanes; i += lanes) hn::StoreU(F()(d, hn::LoadU(d, x + i)), d, out + i);
    hn::StoreU(F()(d, last), d, out + n - lanes);
  } else if (n > 0) {
    HWY_ALIGN T buffer[hn::MaxLanes(d)] = {};
    CopySome(x, buffer, n);
    hn::Store(F()(d, hn::Load(d, buffer)), d, buffer);
    CopySome(buffer, out, n);
  }
}

/// Floats as doubles, half a vector at a time.
template <int Quarter>
HWY_INLINE void UnarySinCos(const float* x, float* out, int64_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float buffer[hn::MaxLanes(half)] = {};
  for (int64_t i = 0; i < n; i += lanes) {
    const bool whole = i + lanes <= n;
    if (!whole) CopySome(x + i, buffer, n - i);
    const auto v = whole ? hn::LoadU(half, x + i) : hn::Load(half, buffer);
    auto y = hn::DemoteTo(half, SinCosOfFloat(d, hn::PromoteTo(d, v), Quarter));
    if (!hn::AllTrue(half, hn::Le(hn::Abs(v), hn::Set(half, static_cast<float>(kTrigMost)))))
      y = PatchTrig<Quarter>(half, v, y);
    if (whole) {
      hn::StoreU(y, half, out + i);
    } else {
      hn::Store(y, half, buffer);
      CopySome(buffer, out + i, n - i);
    }
  }
}

/// One operand of a kernel: loaded vector by vector, or splat once (what is stored might else change it).
template <class D, bool Uniform>
struct Operand {
  using T = hn::TFromD<D>;
  using V = hn::VFromD<D>;
  const T* at;
  V value;
  HWY_INLINE Operand(D d, const T* x) : at(x), value(Uniform ? hn::Set(d, *x) : hn::Zero(d)) {}
  HWY_INLINE V load(D d, int64_t i) const {
    if constexpr (Uniform)
      return value;
    else
      return hn::LoadU(d, at + i);
  }
  HWY_INLINE V load_some(D d, int64_t i, int64_t n) const {
    if constexpr (Uniform) return value;
    HWY_ALIGN T buffer[hn::MaxLanes(d)] = {};
    CopySome(at + i, buffer, n);
    return hn::Load(d, buffer);
  }
};

/// run(i) for whole vectors, two at a time; returns where the rest begins.
template <class Run>
HWY_INLINE int64_t WholeVectors(int64_t lanes, int64_t n, Run run) {
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    run(i);
    run(i + lanes);
  }
  if (i + lanes <= n) {
    run(i);
    i += lanes;
  }
  return i;
}

template <class F, bool UniformX, bool UniformY, class T>
HWY_INLINE void BinaryRun(const T* x, const T* y, T* out, int64_t n) {
  const hn::ScalableTag<T> d;
  using D = decltype(d);
  const Operand<hn::ScalableTag<T>, UniformX> a(d, x);
  const Operand<hn::ScalableTag<T>, UniformY> b(d, y);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t i = WholeVectors(
      lanes, n, [&](int64_t at) HWY_ATTR __attribute__((always_inline)) {
        hn::StoreU(F()(d, a.load(d, at), b.load(d, at)), d, out + at);
      });
  if (i >= n) return;
  HWY_ALIGN T buffer[hn::MaxLanes(D())];
  hn::Store(F()(d, a.load_some(d, i, n - i), b.load_some(d, i, n - i)), d, buffer);
  CopySome(buffer, out + i, n - i);
}
template <class F, class T>
void Binary(const T* x, int64_t x_step, const T* y, int64_t y_step, T* out, int64_t n) {
  if (x_step != 0 && y_step != 0)
    BinaryRun<F, false, false>(x, y, out, n);
  else if (x_step != 0)
    BinaryRun<F, false, true>(x, y, out, n);
  else if (y_step != 0)
    BinaryRun<F, true, false>(x, y, out, n);
  else
    BinaryRun<F, true, true>(x, y, out, n);
}

struct MultiplyAddF {
  template <class V>
  HWY_INLINE V operator()(V x, V y, V z) const {
    return hn::MulAdd(x, y, z);
  }
};
struct MultiplySubtractF {
  template <class V>
  HWY_INLINE V operator()(V x, V y, V z) const {
    return hn::MulSub(x, y, z);
  }
};
struct SubtractProductF {
  template <class V>
  HWY_INLINE V operator()(V x, V y, V z) const {
    return hn::NegMulAdd(x, y, z);
  }
};
template <class F, bool UniformX, bool UniformY, bool UniformZ, class T>
HWY_INLINE void TernaryRun(const T* x, const T* y, const T* z, T* out, int64_t n) {
  const hn::ScalableTag<T> d;
  using D = decltype(d);
  const Operand<hn::ScalableTag<T>, UniformX> a(d, x);
  const Operand<hn::ScalableTag<T>, UniformY> b(d, y);
  const Operand<hn::ScalableTag<T>, UniformZ> c(d, z);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t i = WholeVectors(
      lanes, n, [&](int64_t at) HWY_ATTR __attribute__((always_inline)) {
        hn::StoreU(F()(a.load(d, at), b.load(d, at), c.load(d, at)), d, out + at);
      });
  if (i >= n) return;
  HWY_ALIGN T buffer[hn::MaxLanes(D())];
  hn::Store(F()(a.load_some(d, i, n - i), b.load_some(d, i, n - i), c.load_some(d, i, n - i)), d, buffer);
  CopySome(buffer, out + i, n - i);
}
template <class F, class T>
void Ternary(const T* x, int64_t x_step, const T* y, int64_t y_step, const T* z, int64_t z_step, T* out,
             int64_t n) {
  const auto with = [&]<bool X, bool Y>() HWY_ATTR {
    if (z_step != 0)
      TernaryRun<F, X, Y, false>(x, y, z, out, n);
    else
      TernaryRun<F, X, Y, true>(x, y, z, out, n);
  };
  if (x_step != 0 && y_step != 0)
    with.template operator()<false, false>();
  else if (x_step != 0)
    with.template operator()<false, true>();
  else if (y_step != 0)
    with.template operator()<true, false>();
  else
    with.template operator()<true, true>();
}

/// A mask as one byte, 0 or 1, per lane.
template <class D, class M>
HWY_INLINE void StoreBools(D, M mask, uint8_t* out) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint8_t, D> bytes;
  const auto ones = hn::IfThenElseZero(hn::RebindMask(du, mask), hn::Set(du, 1));
  hn::StoreU(hn::TruncateTo(bytes, ones), bytes, out);
}
template <class F, bool UniformX, bool UniformY, class T>
HWY_INLINE void CompareRun(const T* x, const T* y, uint8_t* out, int64_t n) {
  const hn::ScalableTag<T> d;
  const Operand<hn::ScalableTag<T>, UniformX> a(d, x);
  const Operand<hn::ScalableTag<T>, UniformY> b(d, y);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) StoreBools(d, F()(d, a.load(d, i), b.load(d, i)), out + i);
  if (i >= n) return;
  uint8_t buffer[hn::MaxLanes(d)];
  StoreBools(d, F()(d, a.load_some(d, i, n - i), b.load_some(d, i, n - i)), buffer);
  CopySome(buffer, out + i, n - i);
}
template <class F, class T>
void Compare(const T* x, int64_t x_step, const T* y, int64_t y_step, bool* out, int64_t n) {
  static_assert(sizeof(bool) == 1);
  auto* const bytes = reinterpret_cast<uint8_t*>(out);
  if (x_step != 0 && y_step != 0)
    CompareRun<F, false, false>(x, y, bytes, n);
  else if (x_step != 0)
    CompareRun<F, false, true>(x, y, bytes, n);
  else if (y_step != 0)
    CompareRun<F, true, false>(x, y, bytes, n);
  else
    CompareRun<F, true, true>(x, y, bytes, n);
}

/// A mask from one byte per lane.
template <class D>
HWY_INLINE auto LoadBools(D d, const uint8_t* c) {
  const hn::RebindToUnsigned<D> du;
  const auto bytes = hn::LoadU(hn::Rebind<uint8_t, D>(), c);
  if constexpr (sizeof(hn::TFromD<D>) == 8)
    return hn::RebindMask(
        d, hn::Ne(hn::PromoteTo(du, hn::PromoteTo(hn::Rebind<uint32_t, D>(), bytes)), hn::Zero(du)));
  else
    return hn::RebindMask(d, hn::Ne(hn::PromoteTo(du, bytes), hn::Zero(du)));
}
template <bool UniformX, bool UniformY, class T>
HWY_INLINE void SelectRun(const uint8_t* c, const T* x, const T* y, T* out, int64_t n) {
  const hn::ScalableTag<T> d;
  const Operand<hn::ScalableTag<T>, UniformX> a(d, x);
  const Operand<hn::ScalableTag<T>, UniformY> b(d, y);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::IfThenElse(LoadBools(d, c + i), a.load(d, i), b.load(d, i)), d, out + i);
  for (; i < n; ++i) out[i] = c[i] != 0 ? x[UniformX ? 0 : i] : y[UniformY ? 0 : i];
}
template <class T>
void Select(const bool* c, int64_t c_step, const T* x, int64_t x_step, const T* y, int64_t y_step, T* out,
            int64_t n) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(c);
  if (c_step == 0) {
    const T* const from = *c ? x : y;
    const int64_t step = *c ? x_step : y_step;
    for (int64_t i = 0; i < n; ++i) out[i] = from[i * step];
  } else if (x_step != 0 && y_step != 0) {
    SelectRun<false, false>(bytes, x, y, out, n);
  } else if (x_step != 0) {
    SelectRun<false, true>(bytes, x, y, out, n);
  } else if (y_step != 0) {
    SelectRun<true, false>(bytes, x, y, out, n);
  } else {
    SelectRun<true, true>(bytes, x, y, out, n);
  }
}

template <int Quarter>
void Trig(const double* x, double* out, int64_t n) {
  Unary<SinCosF<Quarter>>(x, out, n);
}
template <int Quarter>
void Trig(const float* x, float* out, int64_t n) {
  UnarySinCos<Quarter>(x, out, n);
}

template <class T>
const SimdKernels<T>& Kernels() {
  static constexpr SimdKernels<T> kKernels = {
      .negative = Unary<NegativeF, T>,
      .abs = Unary<AbsF, T>,
      .sign = Unary<SignF, T>,
      .square = Unary<SquareF, T>,
      .reciprocal = Unary<ReciprocalF, T>,
      .sqrt = Unary<SqrtF, T>,
      .rsqrt = Unary<RsqrtF, T>,
      .floor = Unary<FloorF, T>,
      .ceil = Unary<CeilF, T>,
      .trunc = Unary<TruncF, T>,
      .round = Unary<RoundF, T>,
      .exp = Unary<ExpF, T>,
      .expm1 = Unary<Expm1F, T>,
      .log = Unary<LogF, T>,
      .log1p = Unary<Log1pF, T>,
      .sin = static_cast<typename SimdKernels<T>::Unary>(Trig<0>),
      .cos = static_cast<typename SimdKernels<T>::Unary>(Trig<1>),
      .tanh = Unary<TanhF, T>,
      .sigmoid = Unary<SigmoidF, T>,
      .softplus = Unary<SoftplusF, T>,
      .add = Binary<AddF, T>,
      .subtract = Binary<SubtractF, T>,
      .multiply = Binary<MultiplyF, T>,
      .divide = Binary<DivideF, T>,
      .maximum = Binary<MaximumF, T>,
      .minimum = Binary<MinimumF, T>,
      .equal = Compare<EqualF, T>,
      .not_equal = Compare<NotEqualF, T>,
      .less = Compare<LessF, T>,
      .less_equal = Compare<LessEqualF, T>,
      .where = Select<T>,
      .multiply_add = Ternary<MultiplyAddF, T>,
      .multiply_subtract = Ternary<MultiplySubtractF, T>,
      .subtract_product = Ternary<SubtractProductF, T>,
  };
  return kKernels;
}

}  // namespace HWY_NAMESPACE
}  // namespace hesse::cpu
HWY_AFTER_NAMESPACE();

#endif  // HESSE_CORE_CPU_SIMD_KERNELS_INL_H_
