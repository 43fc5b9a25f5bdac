#pragma once
#include "core/array.h"

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

/// out = x y for [batch..., m, k, lanes...] and [batch..., k, n, lanes...], any strides.
void matmul(const View& x, const View& y, const View& out, int lane_axes);

}  // namespace hesse::cpu
