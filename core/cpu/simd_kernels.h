#pragma once
#include <cstdint>

#include "core/cpu/isa.h"

/// Vector kernels of float and double for runs of entries, one set per instruction set, chosen at run time.
/// Inputs and outputs are contiguous, or an input is uniform (step 0). An entry's result has the same bits
/// wherever it stands in a run and however the run is cut. The functions are within 3 units in the last place
/// everywhere, exact at 0, infinities and NaN, and right for denormal arguments and results
/// (tests/core/simd_test.cpp measures them).
namespace hesse::cpu {

template <class T>
struct SimdKernels {
  using Unary = void (*)(const T* x, T* out, int64_t n);
  using Binary = void (*)(const T* x, int64_t x_step, const T* y, int64_t y_step, T* out, int64_t n);
  using Compare = void (*)(const T* x, int64_t x_step, const T* y, int64_t y_step, bool* out, int64_t n);
  using Select = void (*)(const bool* c, int64_t c_step, const T* x, int64_t x_step, const T* y,
                          int64_t y_step, T* out, int64_t n);
  /// x * y + z, x * y - z, z - x * y, rounded once where the machine has fused multiply-add.
  using Ternary = void (*)(const T* x, int64_t x_step, const T* y, int64_t y_step, const T* z, int64_t z_step,
                           T* out, int64_t n);
  Unary negative, abs, sign, square, reciprocal, sqrt, rsqrt, floor, ceil, trunc, round;
  Unary exp, expm1, log, log1p, sin, cos, tanh, sigmoid, softplus;
  Binary add, subtract, multiply, divide, maximum, minimum;
  Compare equal, not_equal, less, less_equal;
  Select where;
  Ternary multiply_add, multiply_subtract, subtract_product;
};

/// The set for an instruction set, which must not exceed detected_isa().
template <class T>
const SimdKernels<T>& simd_kernels(Isa isa);

/// The set in use.
template <class T>
const SimdKernels<T>& simd_kernels() {
  static const SimdKernels<T>& kernels = simd_kernels<T>(active_isa());
  return kernels;
}

}  // namespace hesse::cpu
