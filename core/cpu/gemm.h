#pragma once
#include "core/array.h"
#include "core/cpu/lane_gemm.h"

namespace hesse::cpu {

/// A matrix in memory: lengths, and strides in elements.
template <class T>
struct Matrix {
  T* data;
  int64_t rows, cols;
  int64_t row, col;
};

/// out = a b, any strides; all dtypes but bool and keys; integers wrap. Large products run on several
/// threads, cut by their size alone.
template <class T>
void gemm(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& out);

/// Whether so many columns had better be the lanes of a tile (core/cpu/lane_gemm.h): products are then not
/// blocked and packed.
bool columns_as_lanes(int64_t columns);
/// out = z + a b on this thread, the columns being lanes; b and out have contiguous rows, a is read where it
/// lies. z may be out itself. Of float and double.
template <class T>
void gemm_by_columns(const Matrix<const T>& a, const Matrix<const T>& b, const LaneAddend<T>& z,
                     const Matrix<T>& out);

/// out = x y for [batch..., m, k, lanes...] and [batch..., k, n, lanes...], any strides.
void matmul(const View& x, const View& y, const View& out, int lane_axes);

}  // namespace hesse::cpu
