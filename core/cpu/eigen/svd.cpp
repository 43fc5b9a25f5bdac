#include <Eigen/SVD>

#include "core/cpu/eigen/blocking.h"
#include "core/cpu/eigen/phase.h"

namespace hesse::cpu::HESSE_ISA {
namespace {

template <class T>
struct Factors {
  Mat<T> u, v;
  Eigen::Matrix<typename RealOf<T>::type, Eigen::Dynamic, 1> s;
};

template <class Solver>
bool take(const Solver& solver, unsigned vectors, Factors<double>& out) {
  if (solver.info() != Eigen::Success) return false;
  out.s = solver.singularValues();
  if (vectors) {
    out.u = solver.matrixU();
    out.v = solver.matrixV();
    if (!all_finite(out.u) || !all_finite(out.v)) return false;
  }
  for (Eigen::Index i = 0; i < out.s.size(); ++i)
    if (!(Eigen::numext::isfinite)(out.s[i])) return false;
  return true;
}

/// By divide and conquer; by Jacobi's method where the matrix is small or that fails.
SpectralStatus decompose(const Mat<double>& a, unsigned vectors, Factors<double>& out) {
  if (!all_finite(a)) return SpectralStatus::NotFinite;
  const int64_t k = a.rows() < a.cols() ? a.rows() : a.cols();
  if (k > 16 && take(Eigen::BDCSVD<Mat<double>>(a, vectors), vectors, out)) return SpectralStatus::Ok;
  if (take(Eigen::JacobiSVD<Mat<double>>(a, vectors), vectors, out)) return SpectralStatus::Ok;
  return SpectralStatus::NoConvergence;
}

/// A complex matrix is c = p b q^H with unitary p, q and a real bidiagonal b = w s z^T: u = p w, v = q z.
/// Instantiating the solvers above for complex matrices, which go the same way, takes three times as long to
/// compile.
SpectralStatus decompose(const Mat<std::complex<double>>& a, unsigned vectors,
                         Factors<std::complex<double>>& out) {
  if (!all_finite(a)) return SpectralStatus::NotFinite;
  const bool wide = a.cols() > a.rows();
  const Mat<std::complex<double>> tall = wide ? Mat<std::complex<double>>(a.adjoint()) : a;
  const int64_t m = tall.rows(), n = tall.cols();
  const double scale = tall.cwiseAbs().maxCoeff();
  if (scale == 0) {
    out.s.setZero(n);
    if (vectors) {
      const bool full = vectors & Eigen::ComputeFullU;
      out.u.setIdentity(a.rows(), full ? a.rows() : n);
      out.v.setIdentity(a.cols(), full ? a.cols() : n);
    }
    return SpectralStatus::Ok;
  }
  Eigen::internal::UpperBidiagonalization<Mat<std::complex<double>>> reduced(tall / scale);
  Factors<double> inner;
  const SpectralStatus status = decompose(Mat<double>(reduced.bidiagonal().toDenseMatrix()), vectors, inner);
  if (status != SpectralStatus::Ok) return status;
  out.s = inner.s * scale;
  if (!vectors) return status;
  const bool full = vectors & Eigen::ComputeFullU;
  Mat<std::complex<double>> u = Mat<std::complex<double>>::Identity(m, full ? m : n);
  u.topLeftCorner(n, n) = inner.u.cast<std::complex<double>>();
  reduced.householderU().applyThisOnTheLeft(u);
  Mat<std::complex<double>> v = inner.v.cast<std::complex<double>>();
  reduced.householderV().applyThisOnTheLeft(v);
  out.u = wide ? v : u;
  out.v = wide ? u : v;
  return status;
}

template <class T>
SpectralStatus svd(int64_t m, int64_t n, MatrixIn<T> a, bool full, T* u, typename RealOf<T>::type* s, T* vh) {
  const int64_t k = m < n ? m : n, rows = full ? m : k, columns = full ? n : k;
  if (k == 0) {
    if (u) store(Mat<T>(Mat<T>::Identity(m, rows)), u);
    if (vh) store(Mat<T>(Mat<T>::Identity(columns, n)), vh);
    return SpectralStatus::Ok;
  }
  const unsigned vectors = !u     ? 0u
                           : full ? unsigned(Eigen::ComputeFullU | Eigen::ComputeFullV)
                                  : unsigned(Eigen::ComputeThinU | Eigen::ComputeThinV);
  Factors<Work<T>> f;
  const SpectralStatus status = decompose(load_work(m, n, a), vectors, f);
  if (status != SpectralStatus::Ok) return status;
  for (int64_t j = 0; j < k; ++j) s[j] = static_cast<typename RealOf<T>::type>(f.s[j]);
  if (!u) return status;
  // u_j s_j v_j^H stays the same when both vectors turn by one phase; the null spaces turn freely.
  for (int64_t j = 0; j < rows; ++j) {
    const Work<T> phase = leading_phase(f.u.col(j));
    for (int64_t i = 0; i < m; ++i) u[i * rows + j] = T(f.u(i, j) * phase);
    if (j < k) f.v.col(j) *= phase;
  }
  for (int64_t j = k; j < columns; ++j) f.v.col(j) *= leading_phase(f.v.col(j));
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t i = 0; i < n; ++i) vh[j * n + i] = T(Eigen::numext::conj(f.v(i, j)));
  return status;
}

template <class T>
SpectralStatus pinv(int64_t m, int64_t n, MatrixIn<T> a, double rtol, T* p) {
  if (m == 0 || n == 0) return SpectralStatus::Ok;
  Factors<Work<T>> f;
  const SpectralStatus status =
      decompose(load_work(m, n, a), unsigned(Eigen::ComputeThinU | Eigen::ComputeThinV), f);
  if (status != SpectralStatus::Ok) return status;
  const double cut = rtol * f.s[0];
  for (Eigen::Index j = 0; j < f.s.size(); ++j) f.v.col(j) *= f.s[j] > cut ? 1.0 / f.s[j] : 0.0;
  const Mat<Work<T>> product = f.v * f.u.adjoint();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < m; ++j) p[i * m + j] = T(product(i, j));
  return status;
}

template <class T>
void set(Decompositions<T>& t) {
  t.svd = svd<T>;
  t.pinv = pinv<T>;
}

}  // namespace

void set_svd(DecompositionTables* t) {
  fix_blocking();
  set(t->f32);
  set(t->f64);
  set(t->c64);
  set(t->c128);
}

}  // namespace hesse::cpu::HESSE_ISA
