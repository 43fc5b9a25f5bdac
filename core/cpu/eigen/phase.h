#pragma once
#include "core/cpu/eigen/matrix.h"

namespace hesse::cpu::HESSE_ISA {

/// The factor of modulus one that makes v's leading entry real and positive: the first whose modulus is at
/// least 0.99 of the largest, so that rounding does not choose between equals. One for v = 0.
template <class Column>
typename Column::Scalar leading_phase(const Column& v) {
  using T = typename Column::Scalar;
  using R = typename RealOf<T>::type;
  R largest = 0;
  for (Eigen::Index i = 0; i < v.size(); ++i) {
    const R size = Eigen::numext::abs(v[i]);
    if (size > largest) largest = size;
  }
  for (Eigen::Index i = 0; i < v.size(); ++i) {
    const R size = Eigen::numext::abs(v[i]);
    if (size > 0 && size >= R(0.99) * largest) return Eigen::numext::conj(v[i]) / size;
  }
  return T(1);
}

template <class T>
bool all_finite(const Mat<T>& a) {
  for (Eigen::Index i = 0; i < a.size(); ++i)
    if (!(Eigen::numext::isfinite)(a.data()[i])) return false;
  return true;
}

}  // namespace hesse::cpu::HESSE_ISA
