// The vector kernels of float, once per instruction set.
#include "core/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/cpu/simd_f32.cpp"
#include <hwy/foreach_target.h>

#include "core/cpu/simd_kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hesse::cpu {
namespace HWY_NAMESPACE {
const SimdKernels<float>& Float32Kernels() { return Kernels<float>(); }
}  // namespace HWY_NAMESPACE
}  // namespace hesse::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hesse::cpu {

template <>
const SimdKernels<float>& simd_kernels<float>(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::Avx512) return N_AVX3::Float32Kernels();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa != Isa::Baseline) return N_AVX2::Float32Kernels();
#endif
  (void)isa;
  return HWY_STATIC_DISPATCH(Float32Kernels)();
}

}  // namespace hesse::cpu
#endif
