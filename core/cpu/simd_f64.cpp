// The vector kernels of double, once per instruction set.
#include "core/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/cpu/simd_f64.cpp"
#include <hwy/foreach_target.h>

#include "core/cpu/simd_kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hesse::cpu {
namespace HWY_NAMESPACE {
const SimdKernels<double>& Float64Kernels() { return Kernels<double>(); }
}  // namespace HWY_NAMESPACE
}  // namespace hesse::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hesse::cpu {

template <>
const SimdKernels<double>& simd_kernels<double>(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::Avx512) return N_AVX3::Float64Kernels();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa != Isa::Baseline) return N_AVX2::Float64Kernels();
#endif
  (void)isa;
  return HWY_STATIC_DISPATCH(Float64Kernels)();
}

}  // namespace hesse::cpu
#endif
