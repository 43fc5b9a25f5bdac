#pragma once
#include <complex>
#include <cstdint>

/// Dense decompositions of one matrix, by Eigen, in the variant of the active instruction set. Results are
/// row-major and contiguous; nothing throws on data.
namespace hesse::cpu {

/// A matrix to be read: element (i, j) lies at data[i * row + j * col].
template <class T>
struct MatrixIn {
  const T* data;
  int64_t row, col;
};

template <class T>
struct RealOf {
  using type = T;
};
template <class R>
struct RealOf<std::complex<R>> {
  using type = R;
};

enum class SpectralStatus { Ok, NotFinite, NoConvergence };

/// The kernels for one element type.
template <class T>
struct Decompositions {
  using R = typename RealOf<T>::type;

  /// l l^H = a, from the lower triangle of a. Returns the first pivot that is not positive, or -1.
  int64_t (*cholesky)(int64_t n, MatrixIn<T> a, T* l);
  /// op(t) x = b with b of n rows and k columns. Returns the first diagonal entry that is zero, or -1.
  int64_t (*triangular_solve)(int64_t n, int64_t k, MatrixIn<T> t, bool lower, bool transpose,
                              bool unit_diagonal, MatrixIn<T> b, T* x);
  /// Row i of a was swapped with row pivots[i]; row i of (l u) is row permutation[i] of a.
  void (*lu)(int64_t m, int64_t n, MatrixIn<T> a, T* lu, int64_t* pivots, int64_t* permutation);
  /// (l u)[i, j] = a[rows[i], columns[j]] for a square a. Pivots are chosen per column, or in the whole
  /// matrix where a pivot would vanish otherwise: then those that vanish come last. Returns the sign of both
  /// permutations together.
  int (*lu_revealing)(int64_t n, MatrixIn<T> a, T* lu, int64_t* rows, int64_t* columns);
  /// a x = b or a^T x = b from the factors of `lu`. Returns the first zero pivot, or -1.
  int64_t (*lu_solve)(int64_t n, int64_t k, MatrixIn<T> lu, const int64_t* permutation,
                      int64_t permutation_stride, bool transpose, MatrixIn<T> b, T* x);
  /// q of m rows and q_columns columns, r of q_columns rows; q_columns is min(m, n) or m.
  void (*qr)(int64_t m, int64_t n, MatrixIn<T> a, int64_t q_columns, T* q, T* r);
  /// Eigenvalues ascending; v may be null. From the lower triangle of a.
  SpectralStatus (*eigh)(int64_t n, MatrixIn<T> a, R* w, T* v);
  /// Singular values descending; u and vh may be null. With `full`, u is m x m and vh is n x n.
  SpectralStatus (*svd)(int64_t m, int64_t n, MatrixIn<T> a, bool full, T* u, R* s, T* vh);
  /// The n x m pseudo-inverse; singular values up to rtol times the largest count as zero.
  SpectralStatus (*pinv)(int64_t m, int64_t n, MatrixIn<T> a, double rtol, T* p);
};

/// For float, double and their complex types.
template <class T>
const Decompositions<T>& decompositions();

}  // namespace hesse::cpu
