#include <Eigen/Eigenvalues>

#include "core/cpu/eigen/blocking.h"
#include "core/cpu/eigen/phase.h"

namespace hesse::cpu::HESSE_ISA {
namespace {

template <class T>
SpectralStatus eigh(int64_t n, MatrixIn<T> a, typename RealOf<T>::type* w, T* v) {
  if (n == 0) return SpectralStatus::Ok;
  using W = Work<T>;
  const Mat<W> work = load_work(n, n, a);
  if (!all_finite(work)) return SpectralStatus::NotFinite;
  const Eigen::SelfAdjointEigenSolver<Mat<W>> solver(work,
                                                     v ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  if (solver.info() != Eigen::Success) return SpectralStatus::NoConvergence;
  for (int64_t j = 0; j < n; ++j) w[j] = static_cast<typename RealOf<T>::type>(solver.eigenvalues()[j]);
  if (v) {
    for (int64_t j = 0; j < n; ++j) {
      const auto column = solver.eigenvectors().col(j);
      const W phase = leading_phase(column);
      for (int64_t i = 0; i < n; ++i) v[i * n + j] = T(column[i] * phase);
    }
  }
  return SpectralStatus::Ok;
}

}  // namespace

void set_eigh(DecompositionTables* t) {
  fix_blocking();
  t->f32.eigh = eigh<float>;
  t->f64.eigh = eigh<double>;
  t->c64.eigh = eigh<std::complex<float>>;
  t->c128.eigh = eigh<std::complex<double>>;
}

}  // namespace hesse::cpu::HESSE_ISA
