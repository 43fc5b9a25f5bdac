#pragma once
#include <Eigen/Core>

#include "core/cpu/eigen/decompositions.h"

namespace hesse::cpu::HESSE_ISA {

template <class T>
using Mat = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <class T>
using RowMajor = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

/// Column-major copy.
template <class T>
Mat<T> load(int64_t m, int64_t n, const MatrixIn<T>& a) {
  Mat<T> out(m, n);
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < m; ++i) out(i, j) = a.data[i * a.row + j * a.col];
  return out;
}

/// The type a decomposition by rotations or reflections works in: single precision is decomposed in double
/// precision, at a fraction of the code, and rounded.
template <class T>
struct WorkOf {
  using type = double;
};
template <class R>
struct WorkOf<std::complex<R>> {
  using type = std::complex<double>;
};
template <class T>
using Work = typename WorkOf<T>::type;

template <class T>
Mat<Work<T>> load_work(int64_t m, int64_t n, const MatrixIn<T>& a) {
  Mat<Work<T>> out(m, n);
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < m; ++i) out(i, j) = Work<T>(a.data[i * a.row + j * a.col]);
  return out;
}

template <class T>
void store(const Mat<T>& a, T* out) {
  RowMajor<T>(out, a.rows(), a.cols()) = a;
}

}  // namespace hesse::cpu::HESSE_ISA
