#include <Eigen/Cholesky>
#include <Eigen/LU>

#include "core/cpu/eigen/blocking.h"
#include "core/cpu/eigen/matrix.h"

namespace hesse::cpu::HESSE_ISA {
namespace {

template <class T>
int64_t cholesky(int64_t n, MatrixIn<T> a, T* l) {
  if (n == 0) return -1;
  Mat<T> work = load(n, n, a);
  int64_t bad = Eigen::internal::llt_inplace<T, Eigen::Lower>::blocked(work);
  for (int64_t j = 0; j < n; ++j) {
    const auto pivot = Eigen::numext::real(work(j, j));
    if (bad < 0 && !(pivot > 0)) bad = j;  // NaN
    for (int64_t i = 0; i < n; ++i) l[i * n + j] = i >= j ? work(i, j) : T(0);
  }
  return bad;
}

template <unsigned Mode, class T>
void solve_triangle(const Mat<T>& t, bool transpose, Mat<T>& x) {
  constexpr unsigned kUnit = Mode & Eigen::UnitDiag;
  constexpr unsigned kOther = (Mode & Eigen::Lower ? Eigen::Upper : Eigen::Lower) | kUnit;
  if (transpose)
    t.transpose().template triangularView<kOther>().solveInPlace(x);
  else
    t.template triangularView<Mode>().solveInPlace(x);
}

template <class T>
int64_t triangular_solve(int64_t n, int64_t k, MatrixIn<T> t, bool lower, bool transpose, bool unit_diagonal,
                         MatrixIn<T> b, T* x) {
  if (n == 0 || k == 0) return -1;
  if (!unit_diagonal)
    for (int64_t i = 0; i < n; ++i)
      if (t.data[i * (t.row + t.col)] == T(0)) return i;
  const Mat<T> triangle = load(n, n, t);
  Mat<T> work = load(n, k, b);
  if (lower && unit_diagonal)
    solve_triangle<Eigen::UnitLower>(triangle, transpose, work);
  else if (lower)
    solve_triangle<Eigen::Lower>(triangle, transpose, work);
  else if (unit_diagonal)
    solve_triangle<Eigen::UnitUpper>(triangle, transpose, work);
  else
    solve_triangle<Eigen::Upper>(triangle, transpose, work);
  store(work, x);
  return -1;
}

void swap(int64_t& a, int64_t& b) {
  const int64_t t = a;
  a = b;
  b = t;
}

/// In place; permutation[i] is the row of a that came to row i.
template <class T>
void factor(Mat<T>& a, int64_t* pivots, int64_t* permutation) {
  const int64_t m = a.rows(), n = a.cols(), k = m < n ? m : n;
  for (int64_t i = 0; i < m; ++i) permutation[i] = i;
  if (k == 0) return;
  // Eigen factors a square or tall panel; a wide matrix's other columns follow.
  Eigen::Index swaps = 0;
  Eigen::Matrix<Eigen::Index, Eigen::Dynamic, 1> rows(k);
  Eigen::internal::partial_lu_impl<T, Eigen::ColMajor, Eigen::Index>::blocked_lu(
      m, k, a.data(), a.outerStride(), rows.data(), swaps);
  for (int64_t i = 0; i < k; ++i) {
    pivots[i] = rows[i];
    swap(permutation[i], permutation[rows[i]]);
    if (n > k && rows[i] != i) a.row(i).tail(n - k).swap(a.row(rows[i]).tail(n - k));
  }
  if (n > k) {
    auto rest = a.rightCols(n - k);
    a.leftCols(k).template triangularView<Eigen::UnitLower>().solveInPlace(rest);
  }
}

template <class T>
void lu(int64_t m, int64_t n, MatrixIn<T> a, T* out, int64_t* pivots, int64_t* permutation) {
  Mat<T> work = load(m, n, a);
  factor(work, pivots, permutation);
  store(work, out);
}

/// (-1)^(swaps that sort p); p is left sorted.
int parity(int64_t n, int64_t* p) {
  int sign = 1;
  for (int64_t i = 0; i < n; ++i)
    while (p[i] != i) {
      swap(p[i], p[p[i]]);
      sign = -sign;
    }
  return sign;
}

template <class T>
int lu_revealing(int64_t n, MatrixIn<T> a, T* out, int64_t* rows, int64_t* columns) {
  using R = typename RealOf<T>::type;
  if (n == 0) return 1;
  Mat<T> work = load(n, n, a);
  Eigen::Matrix<int64_t, Eigen::Dynamic, 1> pivots(n);
  factor(work, pivots.data(), rows);
  for (int64_t j = 0; j < n; ++j) columns[j] = j;
  R least = Eigen::numext::abs(work(0, 0)), largest = least;
  for (int64_t i = 1; i < n; ++i) {
    const R size = Eigen::numext::abs(work(i, i));
    if (size < least) least = size;
    if (size > largest) largest = size;
  }
  if (least <= R(n) * Eigen::NumTraits<R>::epsilon() * largest) {
    work = load(n, n, a);
    const Eigen::FullPivLU<Mat<T>> complete(work);
    work = complete.matrixLU();
    for (int64_t i = 0; i < n; ++i) {
      rows[complete.permutationP().indices()[i]] = i;
      columns[i] = complete.permutationQ().indices()[i];
    }
  }
  store(work, out);
  for (int64_t i = 0; i < n; ++i) pivots[i] = rows[i];
  const int sign = parity(n, pivots.data());
  for (int64_t i = 0; i < n; ++i) pivots[i] = columns[i];
  return sign * parity(n, pivots.data());
}

template <class T>
int64_t lu_solve(int64_t n, int64_t k, MatrixIn<T> lu, const int64_t* permutation, int64_t permutation_stride,
                 bool transpose, MatrixIn<T> b, T* x) {
  if (n == 0 || k == 0) return -1;
  for (int64_t i = 0; i < n; ++i)
    if (lu.data[i * (lu.row + lu.col)] == T(0)) return i;
  const Mat<T> factors = load(n, n, lu);
  Mat<T> work(n, k);
  if (transpose) {  // a^T = u^T l^T p
    work = load(n, k, b);
    solve_triangle<Eigen::Upper>(factors, true, work);
    solve_triangle<Eigen::UnitLower>(factors, true, work);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < k; ++j) x[permutation[i * permutation_stride] * k + j] = work(i, j);
    return -1;
  }
  for (int64_t j = 0; j < k; ++j)
    for (int64_t i = 0; i < n; ++i)
      work(i, j) = b.data[permutation[i * permutation_stride] * b.row + j * b.col];
  solve_triangle<Eigen::UnitLower>(factors, false, work);
  solve_triangle<Eigen::Upper>(factors, false, work);
  store(work, x);
  return -1;
}

template <class T>
void set(Decompositions<T>& t) {
  t.cholesky = cholesky<T>;
  t.triangular_solve = triangular_solve<T>;
  t.lu = lu<T>;
  t.lu_revealing = lu_revealing<T>;
  t.lu_solve = lu_solve<T>;
}

}  // namespace

void set_factorizations(DecompositionTables* t) {
  fix_blocking();
  set(t->f32);
  set(t->f64);
  set(t->c64);
  set(t->c128);
}

}  // namespace hesse::cpu::HESSE_ISA
