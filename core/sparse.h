#pragma once
#include <utility>
#include <vector>

#include "core/array.h"
#include "core/tree.h"

/// Sparse matrices in compressed rows (CSR). Which entries are stored is fixed; their values are an array
/// like any other: derivatives of every order pass through them, forwards and backwards, and they may differ
/// between the examples of a map. The edges of a graph are a matrix with a row for every node that receives
/// and a column for every node that sends.
namespace hesse::sparse {

/// One side of a pattern: positions [starts[r], starts[r + 1]) belong to row r; position p lies in column
/// columns[p] and holds entry entries[p] of the values, or entry p where `entries` is empty. All int32, or
/// all int64.
struct Rows {
  Array starts, columns, entries;
  auto fields() { return hesse::fields("starts", starts, "columns", columns, "entries", entries); }
};

/// A matrix of shape (rows, cols) with values [nnz], or [nnz, heads]: several matrices of one pattern. Both
/// sides are kept: products with the matrix walk its rows, products with its transpose its columns;
/// transposing swaps them.
struct CSR {
  Array data;           ///< [nnz] or [nnz, heads]
  Rows by_row, by_col;  ///< starts: [rows + 1] and [cols + 1]

  int64_t rows() const { return by_row.starts.shape()[0] - 1; }
  int64_t cols() const { return by_col.starts.shape()[0] - 1; }
  int64_t nnz() const { return by_row.columns.shape()[0]; }
  DType index_dtype() const { return by_row.columns.dtype(); }
  CSR transpose() const { return {data, by_col, by_row}; }
  /// The same pattern with other values. Throws ValueError unless they are [nnz] or [nnz, heads].
  CSR with_data(const Array& values) const;
  auto fields() { return hesse::fields("data", data, "by_row", by_row, "by_col", by_col); }
};

// Making matrices. Indices are kept as int32 where all are given so, which halves what products read of them;
// otherwise as int64.
// ---------------------------------------------------------------------------------------------------------
/// What becomes of several values at one place: an error; their sum; or all are kept (parallel edges of a
/// graph), and products add them.
enum class Duplicates { Refuse, Sum, Keep };

/// A matrix from SciPy's three arrays: row r has the columns indices[indptr[r]:indptr[r + 1]], in any order.
/// Throws ValueError for starts that do not ascend from 0 to nnz and (Refuse) columns that repeat, IndexError
/// for columns out of range, TypeError for indices that are no integers.
CSR csr(const Array& data, const Array& indices, const Array& indptr, int64_t rows, int64_t cols,
        Duplicates duplicates = Duplicates::Refuse);
/// The same by columns: column c has the rows indices[indptr[c]:indptr[c + 1]]. Values stay in that order.
CSR csc(const Array& data, const Array& indices, const Array& indptr, int64_t rows, int64_t cols,
        Duplicates duplicates = Duplicates::Refuse);
/// From triplets in any order: values in the order of rows, and of columns within a row; with Keep they stay
/// as given, so that values of edges need not be sorted. Throws IndexError for places out of range.
CSR coo(const Array& data, const Array& row, const Array& col, int64_t rows, int64_t cols,
        Duplicates duplicates = Duplicates::Sum);
/// The entries of a matrix that are not zero, with indices of int32 where they fit. Throws ValueError unless
/// `dense` has two axes.
CSR from_dense(const Array& dense);
/// Ones on the diagonal.
CSR identity(int64_t n, DType dtype = kFloat64, DType index_dtype = kInt64);

// Reading them
// ---------------------------------------------------------------------------------------------------------
/// [rows, cols], or [rows, cols, heads]
Array todense(const CSR& a);
/// The row and the column of every value, int64 [nnz].
std::pair<Array, Array> coordinates(const CSR& a);
/// The entries (i, i): [min(rows, cols)].
Array diagonal(const CSR& a);
/// Sums over an axis: 0 gives [cols], 1 gives [rows]. Throws ValueError for another axis.
Array sum(const CSR& a, int64_t axis);

// Products
// ---------------------------------------------------------------------------------------------------------
/// a x for x of shape [cols] or [cols, k]; 2 nnz k flops. With values [nnz, heads]: x [cols, heads] or
/// [cols, heads, k], head by head. Throws ValueError where lengths differ.
Array matmul(const CSR& a, const Array& x);
/// The entries of the dense product x y^T at the places of a pattern (SDDMM): values [nnz] from x [rows, k]
/// and y [cols, k] (or vectors), [nnz, heads] from [rows, heads, k] and [cols, heads, k]. What a product is,
/// differentiated with respect to its values.
Array sampled_outer(const CSR& pattern, const Array& x, const Array& y);
/// Entry by entry with a dense array that broadcasts to (rows, cols): [cols] and [1, cols] scale columns,
/// [rows, 1] rows; the places stay. Throws ValueError for other shapes.
CSR multiply(const CSR& a, const Array& dense);

// Sparse with sparse
// ---------------------------------------------------------------------------------------------------------
/// Where the sum of two matrices has entries, found once for their patterns; values are then added with
/// derivatives of any order.
struct AddStructure {
  CSR pattern;        ///< of the sum; its values are zero
  Array left, right;  ///< for each value of a and of b, which value of the sum it is part of; int64
  CSR operator()(const CSR& a, const CSR& b) const;
  auto fields() { return hesse::fields("pattern", pattern, "left", left, "right", right); }
};
/// Throws ValueError for different shapes, TraceError where a pattern is not known yet.
AddStructure add_structure(const CSR& a, const CSR& b);
CSR add(const CSR& a, const CSR& b);

/// Where the product of two matrices has entries, and which pairs of values each of them adds: value t is the
/// sum of a[l] b[r] over the pairs (l, r) of row t of `by_product`; by_left and by_right are the same triples
/// in the order of l, (t, r), and of r, (t, l). The memory is 6 indices for each multiply-add.
struct MatmulStructure {
  CSR pattern;  ///< of the product; its values are zero
  Rows by_product, by_left, by_right;
  CSR operator()(const CSR& a, const CSR& b) const;
  auto fields() {
    return hesse::fields("pattern", pattern, "by_product", by_product, "by_left", by_left, "by_right",
                         by_right);
  }
};
/// Throws ValueError where a has not as many columns as b has rows, TraceError where a pattern is not known.
MatmulStructure matmul_structure(const CSR& a, const CSR& b);
CSR matmul(const CSR& a, const CSR& b);

/// Indices of any integer dtype as numbers.
std::vector<int64_t> index_values(const Array& indices);

}  // namespace hesse::sparse
