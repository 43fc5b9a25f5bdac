#include "core/cpu/simd_reduce.h"

#include "core/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/cpu/simd_reduce.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace hesse::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct Sum {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Add(a, b);
  }
};
// a where it is larger, or NaN.
struct Max {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::IfThenElse(hn::Or(hn::Gt(a, b), hn::IsNaN(a)), a, b);
  }
};
struct Min {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::IfThenElse(hn::Or(hn::Lt(a, b), hn::IsNaN(a)), a, b);
  }
};

template <class T, class Op>
T one(T a, T b) {
  const hn::CappedTag<T, 1> d;
  return hn::GetLane(Op()(d, hn::Set(d, a), hn::Set(d, b)));
}

template <class T, class Op>
T fold_run(const T* p, int64_t n) {
  T result;
  int64_t i;
  if (n < 8) {
    result = p[0];
    i = 1;
  } else {
    const hn::CappedTag<T, 8> d;
    constexpr int kLanes = static_cast<int>(hn::MaxLanes(d)), kVectors = 8 / kLanes;
    hn::Vec<decltype(d)> r[kVectors];
    for (int v = 0; v < kVectors; ++v) r[v] = hn::LoadU(d, p + v * kLanes);
    for (i = 8; i + 8 <= n; i += 8)
      for (int v = 0; v < kVectors; ++v) r[v] = Op()(d, r[v], hn::LoadU(d, p + i + v * kLanes));
    HWY_ALIGN T s[8];
    for (int v = 0; v < kVectors; ++v) hn::StoreU(r[v], d, s + v * kLanes);
    for (int step = 1; step < 8; step *= 2)
      for (int j = 0; j < 8; j += 2 * step) s[j] = one<T, Op>(s[j], s[j + step]);
    result = s[0];
  }
  for (; i < n; ++i) result = one<T, Op>(result, p[i]);
  return result;
}

template <class T, class Op>
void fold_columns(const T* p, int64_t stride, int64_t n, T* out) {
  const hn::CappedTag<T, kReduceWidth<T>> d;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
  for (int w = 0; w < kReduceWidth<T>; w += kLanes) {
    const T* q = p + w;
    const auto row = [&](int64_t i) HWY_ATTR { return hn::LoadU(d, q + i * stride); };
    auto r0 = row(0);
    int64_t i = 1;
    if (n >= 8) {
      auto r1 = row(1), r2 = row(2), r3 = row(3), r4 = row(4), r5 = row(5), r6 = row(6), r7 = row(7);
      for (i = 8; i + 8 <= n; i += 8) {
        r0 = Op()(d, r0, row(i));
        r1 = Op()(d, r1, row(i + 1));
        r2 = Op()(d, r2, row(i + 2));
        r3 = Op()(d, r3, row(i + 3));
        r4 = Op()(d, r4, row(i + 4));
        r5 = Op()(d, r5, row(i + 5));
        r6 = Op()(d, r6, row(i + 6));
        r7 = Op()(d, r7, row(i + 7));
      }
      r0 = Op()(d, Op()(d, Op()(d, r0, r1), Op()(d, r2, r3)), Op()(d, Op()(d, r4, r5), Op()(d, r6, r7)));
    }
    for (; i < n; ++i) r0 = Op()(d, r0, row(i));
    hn::StoreU(r0, d, out + w);
  }
}

template <class T>
const BlockFolds<T>& Folds() {
  static constexpr BlockFolds<T> folds{{fold_run<T, Sum>, fold_columns<T, Sum>},
                                       {fold_run<T, Max>, fold_columns<T, Max>},
                                       {fold_run<T, Min>, fold_columns<T, Min>}};
  return folds;
}
const BlockFolds<float>& Float32Folds() { return Folds<float>(); }
const BlockFolds<double>& Float64Folds() { return Folds<double>(); }

}  // namespace hesse::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hesse::cpu {

template <>
const BlockFolds<float>& block_folds<float>(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::Avx512) return N_AVX3::Float32Folds();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa != Isa::Baseline) return N_AVX2::Float32Folds();
#endif
  (void)isa;
  return HWY_STATIC_DISPATCH(Float32Folds)();
}

template <>
const BlockFolds<double>& block_folds<double>(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::Avx512) return N_AVX3::Float64Folds();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa != Isa::Baseline) return N_AVX2::Float64Folds();
#endif
  (void)isa;
  return HWY_STATIC_DISPATCH(Float64Folds)();
}

}  // namespace hesse::cpu
#endif
