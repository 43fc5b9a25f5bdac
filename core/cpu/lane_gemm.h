#pragma once
#include <cstdint>

/// Products on tiles of lanes: every entry of a lane-varying matrix is a contiguous run of `lanes` values.
/// The value of a lane is one chain of multiply-adds over k, in order: the same bits wherever the lane lies
/// and whatever their number. On machines without fused multiply-add the product is rounded.
namespace hesse::cpu {

/// A matrix on a tile: entry (i, j) begins at data + i * row + j * col; uniform matrices have one value
/// there, varying ones `lanes` of them.
template <class T>
struct LaneMatrix {
  T* data;
  int64_t row, col;
};

/// y[m, n, lanes] = a[m, k] x[k, n, lanes], a uniform. 2 m n k lanes flops. The product with a uniform matrix
/// on the right is this one of the transposed.
void lane_gemm_uniform(int64_t m, int64_t n, int64_t k, int64_t lanes, LaneMatrix<const float> a,
                       LaneMatrix<const float> x, LaneMatrix<float> y);
void lane_gemm_uniform(int64_t m, int64_t n, int64_t k, int64_t lanes, LaneMatrix<const double> a,
                       LaneMatrix<const double> x, LaneMatrix<double> y);

/// y[m, n, lanes] = a[m, k, lanes] x[k, n, lanes], both varying.
void lane_gemm_varying(int64_t m, int64_t n, int64_t k, int64_t lanes, LaneMatrix<const float> a,
                       LaneMatrix<const float> x, LaneMatrix<float> y);
void lane_gemm_varying(int64_t m, int64_t n, int64_t k, int64_t lanes, LaneMatrix<const double> a,
                       LaneMatrix<const double> x, LaneMatrix<double> y);

/// acc[m, n] += sum over lanes of a[m, lanes] b[n, lanes]^T: the gradient of a matrix. Rows of a, b and acc
/// are a_row, b_row and acc_row apart. The bits depend on `lanes` and on the width of a vector.
void lane_outer_accumulate(int64_t m, int64_t n, int64_t lanes, const float* a, int64_t a_row, const float* b,
                           int64_t b_row, float* acc, int64_t acc_row);
void lane_outer_accumulate(int64_t m, int64_t n, int64_t lanes, const double* a, int64_t a_row,
                           const double* b, int64_t b_row, double* acc, int64_t acc_row);

}  // namespace hesse::cpu
