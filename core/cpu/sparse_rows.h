#pragma once
#include <cstdint>

#include "core/cpu/isa.h"

/// The inner loops of products with sparse matrices: rows that are gathered by index, times values, summed;
/// and dot products with gathered rows. One set per instruction set, dtype (float, double) and dtype of the
/// indices (int32, int64), chosen at run time. What is out of range is left out.
namespace hesse::cpu {

/// Row r of a pattern has the positions [starts[r], starts[r + 1]); position p lies in column columns[p] and
/// holds entry entries[p], or in column p and entry p where these are null. Every entry has `heads` values,
/// `step` apart from the next entry's; row c of a dense operand begins at c * step and has `width`
/// neighbouring numbers for each head, one head after another.
template <class I>
struct RowPattern {
  const I *starts, *columns, *entries;
  int64_t positions, num_entries, cols;
  bool near = false;  ///< what is gathered lies in a near cache: it need not be asked for
};
template <class T>
struct DenseRows {
  T* at;
  int64_t step;
};

template <class T, class I>
struct SparseRows {
  /// y[r, h, w] = sum over positions of values[e, h] * x[c, h, w], for rows [first, last); rows with more
  /// than `longest` positions are left alone. Bytes: an index and a value for each position, a gathered row
  /// of x, each row of y once. False where an index is out of range; *any_longer: whether a row was left.
  bool (*product)(const RowPattern<I>& p, DenseRows<const T> values, DenseRows<const T> x, DenseRows<T> y,
                  int64_t heads, int64_t width, int64_t first, int64_t last, int64_t longest,
                  bool* any_longer);
  /// The same sum over the positions [begin, end), to y.
  bool (*product_of)(const RowPattern<I>& p, DenseRows<const T> values, DenseRows<const T> x, T* y,
                     int64_t heads, int64_t width, int64_t begin, int64_t end);
  /// values[e, h] = sum over w of a[r, h, w] * b[c, h, w] for the positions of rows [first, last), with the
  /// same exceptions.
  bool (*sampled)(const RowPattern<I>& p, DenseRows<const T> a, DenseRows<const T> b, DenseRows<T> values,
                  int64_t heads, int64_t width, int64_t first, int64_t last, int64_t longest,
                  bool* any_longer);
  /// The same for the positions [begin, end), with one row a.
  bool (*sampled_of)(const RowPattern<I>& p, const T* a, DenseRows<const T> b, DenseRows<T> values,
                     int64_t heads, int64_t width, int64_t begin, int64_t end);
  /// Both at once, for widths above 1: y[r, h, w] = sum of values[e, h] * g[c, h, w], and products[e, h] =
  /// sum over w of x[r, h, w] * g[c, h, w]. Every gathered row is read once for the two.
  bool (*adjoint)(const RowPattern<I>& p, DenseRows<const T> values, DenseRows<const T> x,
                  DenseRows<const T> g, DenseRows<T> y, DenseRows<T> products, int64_t heads, int64_t width,
                  int64_t first, int64_t last, int64_t longest, bool* any_longer);
  /// The same for the positions [begin, end), with one row x and one row y.
  bool (*adjoint_of)(const RowPattern<I>& p, DenseRows<const T> values, const T* x, DenseRows<const T> g,
                     T* y, DenseRows<T> products, int64_t heads, int64_t width, int64_t begin, int64_t end);
};

/// For float and double with int32_t and int64_t.
template <class T, class I>
const SparseRows<T, I>& sparse_rows(Isa isa);
template <class T, class I>
const SparseRows<T, I>& sparse_rows() {
  static const SparseRows<T, I>& kernels = sparse_rows<T, I>(active_isa());
  return kernels;
}

}  // namespace hesse::cpu
