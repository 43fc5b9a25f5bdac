#pragma once
#include <utility>

#include "core/array.h"
#include "core/tree.h"

/// Sparse matrices in compressed rows (CSR). Which entries are stored is fixed; their values are an array
/// like any other: derivatives of every order pass through them, forwards and backwards, and they may differ
/// between the examples of a map.
namespace hesse::sparse {

/// One side of a pattern: positions [starts[r], starts[r + 1]) belong to row r; position p lies in column
/// columns[p] and holds entry entries[p] of the values, or entry p where `entries` is empty. All int64.
struct Rows {
  Array starts, columns, entries;
  auto fields() { return hesse::fields("starts", starts, "columns", columns, "entries", entries); }
};

/// A matrix of shape (rows, cols) with values [nnz]. Both sides are kept: products with the matrix walk its
/// rows, products with its transpose its columns; transposing swaps them.
struct CSR {
  Array data;           ///< [nnz]
  Rows by_row, by_col;  ///< starts: [rows + 1] and [cols + 1]

  int64_t rows() const { return by_row.starts.shape()[0] - 1; }
  int64_t cols() const { return by_col.starts.shape()[0] - 1; }
  int64_t nnz() const { return data.shape()[0]; }
  CSR transpose() const { return {data, by_col, by_row}; }
  /// The same pattern with other values. Throws ValueError unless they are [nnz].
  CSR with_data(const Array& values) const;
  auto fields() { return hesse::fields("data", data, "by_row", by_row, "by_col", by_col); }
};

/// A matrix from SciPy's three arrays: row r has the columns indices[indptr[r]:indptr[r + 1]], in any order,
/// each at most once. Throws ValueError for starts that do not ascend from 0 to nnz or columns that repeat,
/// IndexError for columns out of range, TypeError for indices that are no integers.
CSR csr(const Array& data, const Array& indices, const Array& indptr, int64_t rows, int64_t cols);
/// From triplets in any order; values at the same place are added. Throws IndexError for places out of range.
CSR coo(const Array& data, const Array& row, const Array& col, int64_t rows, int64_t cols);
/// The entries of a matrix that are not zero. Throws ValueError unless `dense` has two axes.
CSR from_dense(const Array& dense);
/// [rows, cols]
Array todense(const CSR& a);

/// a x for x of shape [cols] or [cols, k]; 2 nnz k flops. Throws ValueError where lengths differ.
Array matmul(const CSR& a, const Array& x);
/// The entries of the dense product x y^T at the places of a pattern: values [nnz] from x [rows, k] and
/// y [cols, k] (or vectors). What a product is, differentiated with respect to its values.
Array sampled_outer(const CSR& pattern, const Array& x, const Array& y);

}  // namespace hesse::sparse
