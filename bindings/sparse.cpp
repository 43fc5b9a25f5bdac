#include "core/sparse.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "core/ops/sparse_rows.h"

/// hesse._hesse.sparse: matrices as their arrays, documented in hesse/sparse.py.
namespace hesse::python {

using namespace py::literals;

namespace {
using Parts = std::tuple<Array, Array, Array, Array, Array, Array, Array>;
using A = const Array&;

Parts parts(const sparse::CSR& a) {
  return {a.data,          a.by_row.starts,  a.by_row.columns, a.by_row.entries,
          a.by_col.starts, a.by_col.columns, a.by_col.entries};
}
// Fields may have been replaced by hand: what the functions rely on is checked.
sparse::CSR matrix(const char* function, const Array& data, const Array& starts, const Array& columns,
                   const Array& entries, const Array& col_starts, const Array& col_columns,
                   const Array& col_entries) {
  for (const Array* a : {&starts, &columns, &entries, &col_starts, &col_columns, &col_entries})
    require(a->ndim() == 1, function, ": the indices of a sparse matrix have one axis each, got shape ",
            a->shape(), "; under vmap replace data alone");
  require(data.ndim() == 1 || data.ndim() == 2, function,
          ": data must be of shape (nnz) or (nnz, heads), got shape ", data.shape());
  require(starts.shape()[0] >= 1 && col_starts.shape()[0] >= 1, function,
          ": a sparse matrix has rows + 1 starts, got none");
  const int64_t nnz = data.shape()[0];
  require(columns.shape()[0] == nnz && col_columns.shape()[0] == nnz, function, ": data of shape ",
          data.shape(), " does not fit a pattern of ", columns.shape()[0], " entries");
  for (const Array* a : {&entries, &col_entries})
    require(a->shape()[0] == 0 || a->shape()[0] == nnz, function, ": data of shape ", data.shape(),
            " does not fit entries of shape ", a->shape());
  return {data, {starts, columns, entries}, {col_starts, col_columns, col_entries}};
}

sparse::Duplicates duplicates_of(const char* function, const std::string& word) {
  if (word == "refuse") return sparse::Duplicates::Refuse;
  if (word == "sum") return sparse::Duplicates::Sum;
  require(word == "keep", function, ": duplicates='", word, "' must be 'refuse', 'sum' or 'keep'");
  return sparse::Duplicates::Keep;
}

/// A function of a matrix, given by its parts, and of one array.
template <class F>
void define_of_matrix(py::module_& m, const char* name, const char* other, F f, const char* meaning) {
  define_heavy(
      m, name,
      [name, f](A data, A b, A c, A d, A e, A g, A h, A x) {
        return f(matrix(name, data, b, c, d, e, g, h), x);
      },
      "data"_a, "indptr"_a, "indices"_a, "entries"_a, "by_col_indptr"_a, "by_col_indices"_a,
      "by_col_entries"_a, py::arg(other), py::pos_only(), meaning);
}
/// Of two matrices.
template <class F>
void define_of_two(py::module_& m, const char* name, F f, const char* meaning) {
  define_heavy(
      m, name,
      [name, f](A a1, A a2, A a3, A a4, A a5, A a6, A a7, A b1, A b2, A b3, A b4, A b5, A b6, A b7) {
        return f(matrix(name, a1, a2, a3, a4, a5, a6, a7), matrix(name, b1, b2, b3, b4, b5, b6, b7));
      },
      "a_data"_a, "a_indptr"_a, "a_indices"_a, "a_entries"_a, "a_by_col_indptr"_a, "a_by_col_indices"_a,
      "a_by_col_entries"_a, "b_data"_a, "b_indptr"_a, "b_indices"_a, "b_entries"_a, "b_by_col_indptr"_a,
      "b_by_col_indices"_a, "b_by_col_entries"_a, py::pos_only(), meaning);
}
}  // namespace

void init_sparse(py::module_& m) {
  py::module_ s = m.def_submodule("sparse");
  define_heavy(
      s, "csr",
      [](A data, A indices, A indptr, int64_t rows, int64_t cols, const std::string& duplicates) {
        return parts(sparse::csr(data, indices, indptr, rows, cols, duplicates_of("csr", duplicates)));
      },
      "data"_a, "indices"_a, "indptr"_a, "rows"_a, "cols"_a, "duplicates"_a, py::pos_only(),
      "See hesse.sparse.csr.");
  define_heavy(
      s, "coo",
      [](A data, A row, A col, int64_t rows, int64_t cols, const std::string& duplicates) {
        return parts(sparse::coo(data, row, col, rows, cols, duplicates_of("coo", duplicates)));
      },
      "data"_a, "row"_a, "col"_a, "rows"_a, "cols"_a, "duplicates"_a, py::pos_only(),
      "See hesse.sparse.coo.");
  define_heavy(
      s, "from_dense", [](A dense) { return parts(sparse::from_dense(dense)); }, "dense"_a, py::pos_only(),
      "See hesse.sparse.from_dense.");
  define_heavy(
      s, "identity",
      [](int64_t n, DType dtype, DType index_dtype) {
        return parts(sparse::identity(n, dtype, index_dtype));
      },
      "n"_a, "dtype"_a, "index_dtype"_a, py::pos_only(), "See hesse.sparse.identity.");
  define_of_matrix(
      s, "matmul", "x", [](const sparse::CSR& a, A x) { return sparse::matmul(a, x); },
      "The product of a sparse matrix, given by its parts, with x.");
  define_of_matrix(
      s, "multiply", "dense", [](const sparse::CSR& a, A x) { return sparse::multiply(a, x).data; },
      "The values of a sparse matrix, given by its parts, times a dense array that broadcasts.");
  const auto unary = [&](const char* name, auto f, const char* meaning) {
    define_heavy(
        s, name,
        [name, f](A data, A b, A c, A d, A e, A f1, A g) { return f(matrix(name, data, b, c, d, e, f1, g)); },
        "data"_a, "indptr"_a, "indices"_a, "entries"_a, "by_col_indptr"_a, "by_col_indices"_a,
        "by_col_entries"_a, py::pos_only(), meaning);
  };
  unary(
      "todense", [](const sparse::CSR& a) { return sparse::todense(a); },
      "All entries of a sparse matrix, given by its parts.");
  unary(
      "diagonal", [](const sparse::CSR& a) { return sparse::diagonal(a); },
      "The entries (i, i) of a sparse matrix, given by its parts.");
  unary(
      "coordinates",
      [](const sparse::CSR& a) {
        const auto [row, col] = sparse::coordinates(a);
        return std::tuple(row, col);
      },
      "Rows and columns of the values of a sparse matrix, given by its parts.");
  define_heavy(
      s, "sum",
      [](A data, A b, A c, A d, A e, A f, A g, int64_t axis) {
        return sparse::sum(matrix("sum", data, b, c, d, e, f, g), axis);
      },
      "data"_a, "indptr"_a, "indices"_a, "entries"_a, "by_col_indptr"_a, "by_col_indices"_a,
      "by_col_entries"_a, "axis"_a, py::pos_only(),
      "Sums of a sparse matrix, given by its parts, over an axis.");
  define_heavy(
      s, "sampled_outer",
      [](A data, A b, A c, A d, A e, A f, A g, A x, A y) {
        return sparse::sampled_outer(matrix("sampled_outer", data, b, c, d, e, f, g), x, y);
      },
      "data"_a, "indptr"_a, "indices"_a, "entries"_a, "by_col_indptr"_a, "by_col_indices"_a,
      "by_col_entries"_a, "x"_a, "y"_a, py::pos_only(), "See hesse.sparse.sampled_outer.");
  define_of_two(
      s, "add_structure",
      [](const sparse::CSR& a, const sparse::CSR& b) {
        const sparse::AddStructure t = sparse::add_structure(a, b);
        return std::tuple(parts(t.pattern), t.left, t.right);
      },
      "See hesse.sparse.AddStructure.");
  define_heavy(
      s, "add_values",
      [](A a, A b, A left, A right, int64_t nnz) { return sparse::spread_sum(a, b, left, right, nnz); },
      "a"_a, "b"_a, "left"_a, "right"_a, "nnz"_a, py::pos_only(),
      "Values added as hesse.sparse.AddStructure has them.");
  define_of_two(
      s, "matmul_structure",
      [](const sparse::CSR& a, const sparse::CSR& b) {
        const sparse::MatmulStructure t = sparse::matmul_structure(a, b);
        return std::tuple(parts(t.pattern), t.by_product.starts, t.by_product.columns, t.by_product.entries,
                          t.by_left.starts, t.by_left.columns, t.by_left.entries, t.by_right.starts,
                          t.by_right.columns, t.by_right.entries);
      },
      "See hesse.sparse.MatmulStructure.");
  define_heavy(
      s, "paired_sum",
      [](A left, A right, A b, A c, A d, A e, A f, A g, A h, A i, A j) {
        const sparse::MatmulStructure t{{}, {b, c, d}, {e, f, g}, {h, i, j}};
        return sparse::paired_sum(left, right, t);
      },
      "left"_a, "right"_a, "starts"_a, "columns"_a, "entries"_a, "left_starts"_a, "left_columns"_a,
      "left_entries"_a, "right_starts"_a, "right_columns"_a, "right_entries"_a, py::pos_only(),
      "Sums of products of values, as hesse.sparse.MatmulStructure has them.");
}

}  // namespace hesse::python
