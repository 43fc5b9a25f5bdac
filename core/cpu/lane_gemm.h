#pragma once
#include <cstdint>

#include "core/cpu/isa.h"

/// Products on tiles of lanes: every entry of a lane-varying matrix is a contiguous run of `lanes` values.
/// The value of a lane is one chain of multiply-adds over k, in order, which begins at what is added: the
/// same bits wherever the lane lies and whatever their number. On machines without fused multiply-add the
/// product is rounded.
namespace hesse::cpu {

/// A matrix on a tile: entry (i, j) begins at data + i * row + j * col; uniform matrices have one value
/// there, varying ones `lanes` of them.
template <class T>
struct LaneMatrix {
  T* data;
  int64_t row, col;
};

/// What a product on a tile is added to: one value at an entry (step 0), or one for every lane (step 1).
template <class T>
struct LaneAddend {
  const T* data = nullptr;  ///< null: nothing
  int64_t row = 0, col = 0, step = 0;
};

/// Two matrices of lanes whose outer products are summed: a[m, lanes] and b[n, lanes], rows so far apart.
template <class T>
struct OuterTerm {
  const T* a;
  int64_t a_row;
  const T* b;
  int64_t b_row;
};

/// The kernels of one instruction set. Strides in elements; `lanes` may be any number.
template <class T>
struct LaneKernels {
  /// y[m, n, lanes] = z + a[m, k] x[k, n, lanes], a uniform. 2 m n k lanes flops. The product with a uniform
  /// matrix on the right is this one of the transposed.
  void (*uniform)(int64_t m, int64_t n, int64_t k, int64_t lanes, LaneMatrix<const T> a,
                  LaneMatrix<const T> x, LaneAddend<T> z, LaneMatrix<T> y);
  /// y[m, n, lanes] = z + a[m, k, lanes] x[k, n, lanes], both varying.
  void (*varying)(int64_t m, int64_t n, int64_t k, int64_t lanes, LaneMatrix<const T> a,
                  LaneMatrix<const T> x, LaneAddend<T> z, LaneMatrix<T> y);
  /// acc[m, n] += sum over terms and lanes of a[m, lanes] b[n, lanes]^T: the gradient of a matrix. Rows of
  /// acc are acc_row apart. The bits depend on `lanes` and on the width of a vector.
  void (*outer_accumulate)(int64_t m, int64_t n, int64_t lanes, const OuterTerm<T>* terms, int64_t count,
                           T* acc, int64_t acc_row);
  /// acc[rows] += sum over lanes of x[rows, lanes].
  void (*row_sums)(int64_t rows, int64_t lanes, const T* x, T* acc);
  /// out[rows, lanes] = x, whose rows are x_row apart and have one value (step 0) or one for every lane (1).
  void (*spread)(int64_t rows, int64_t lanes, const T* x, int64_t x_row, int64_t step, T* out);
  /// to[j, i] = from[i, j] for i < m, j < n, rows so far apart: examples become lanes, and lanes examples.
  void (*transpose)(int64_t m, int64_t n, const T* from, int64_t from_row, T* to, int64_t to_row);
  /// out[i] = x[index[i]], bit by bit, for n indices and x[rows, width], whose rows are x_row apart. Negative
  /// indices count from the end if they `wrap`. Rows out of range are zero, and false comes back.
  bool (*gather)(int64_t n, const int64_t* index, int64_t index_step, bool wrap, int64_t rows, int64_t width,
                 const T* x, int64_t x_row, T* out);
};
/// For float and double.
template <class T>
const LaneKernels<T>& lane_kernels(Isa isa);
template <>
const LaneKernels<float>& lane_kernels<float>(Isa isa);
template <>
const LaneKernels<double>& lane_kernels<double>(Isa isa);
template <class T>
const LaneKernels<T>& lane_kernels() {
  static const LaneKernels<T>& kernels = lane_kernels<T>(active_isa());
  return kernels;
}

}  // namespace hesse::cpu
