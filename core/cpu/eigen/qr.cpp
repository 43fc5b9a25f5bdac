#include <Eigen/QR>

#include "core/cpu/eigen/blocking.h"
#include "core/cpu/eigen/matrix.h"

namespace hesse::cpu::HESSE_ISA {
namespace {

template <class T>
void qr(int64_t m, int64_t n, MatrixIn<T> a, int64_t q_columns, T* q, T* r) {
  Mat<Work<T>> basis = Mat<Work<T>>::Identity(m, q_columns);
  if (m > 0 && n > 0) {
    const Eigen::HouseholderQR<Mat<Work<T>>> factored(load_work(m, n, a));
    basis.applyOnTheLeft(factored.householderQ());
    for (int64_t i = 0; i < q_columns; ++i)
      for (int64_t j = 0; j < n; ++j) r[i * n + j] = i <= j ? T(factored.matrixQR()(i, j)) : T(0);
  }
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < q_columns; ++j) q[i * q_columns + j] = T(basis(i, j));
}

}  // namespace

void set_qr(DecompositionTables* t) {
  fix_blocking();
  t->f32.qr = qr<float>;
  t->f64.qr = qr<double>;
  t->c64.qr = qr<std::complex<float>>;
  t->c128.qr = qr<std::complex<double>>;
}

}  // namespace hesse::cpu::HESSE_ISA
