#include "core/sparse.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"

/// hesse._hesse.sparse: matrices as their arrays, documented in hesse/sparse.py.
namespace hesse::python {

using namespace py::literals;

namespace {
using Parts = std::tuple<Array, Array, Array, Array, Array, Array, Array>;

Parts parts(const sparse::CSR& a) {
  return {a.data,          a.by_row.starts,  a.by_row.columns, a.by_row.entries,
          a.by_col.starts, a.by_col.columns, a.by_col.entries};
}
// Fields may have been replaced by hand: what the functions rely on is checked.
sparse::CSR matrix(const char* function, const Array& data, const Array& starts, const Array& columns,
                   const Array& entries, const Array& col_starts, const Array& col_columns,
                   const Array& col_entries) {
  for (const Array* a : {&data, &starts, &columns, &entries, &col_starts, &col_columns, &col_entries})
    require(a->ndim() == 1, function, ": the parts of a sparse matrix have one axis each, got shape ",
            a->shape(), "; under vmap replace data alone");
  require(starts.shape()[0] >= 1 && col_starts.shape()[0] >= 1, function,
          ": a sparse matrix has rows + 1 starts, got none");
  require(columns.shape() == data.shape() && col_columns.shape() == data.shape(), function,
          ": data of shape ", data.shape(), " does not fit a pattern of ", columns.shape()[0], " entries");
  for (const Array* a : {&entries, &col_entries})
    require(a->shape()[0] == 0 || a->shape() == data.shape(), function, ": data of shape ", data.shape(),
            " does not fit entries of shape ", a->shape());
  return {data, {starts, columns, entries}, {col_starts, col_columns, col_entries}};
}
}  // namespace

void init_sparse(py::module_& m) {
  py::module_ s = m.def_submodule("sparse");
  using A = const Array&;
  define_heavy(
      s, "csr",
      [](A data, A indices, A indptr, int64_t rows, int64_t cols) {
        return parts(sparse::csr(data, indices, indptr, rows, cols));
      },
      "data"_a, "indices"_a, "indptr"_a, "rows"_a, "cols"_a, py::pos_only(), "See hesse.sparse.csr.");
  define_heavy(
      s, "coo",
      [](A data, A row, A col, int64_t rows, int64_t cols) {
        return parts(sparse::coo(data, row, col, rows, cols));
      },
      "data"_a, "row"_a, "col"_a, "rows"_a, "cols"_a, py::pos_only(), "See hesse.sparse.coo.");
  define_heavy(
      s, "from_dense", [](A dense) { return parts(sparse::from_dense(dense)); }, "dense"_a, py::pos_only(),
      "See hesse.sparse.from_dense.");
  define_heavy(
      s, "matmul",
      [](A data, A b, A c, A d, A e, A f, A g, A x) {
        return sparse::matmul(matrix("matmul", data, b, c, d, e, f, g), x);
      },
      "data"_a, "indptr"_a, "indices"_a, "entries"_a, "by_col_indptr"_a, "by_col_indices"_a,
      "by_col_entries"_a, "x"_a, py::pos_only(),
      "The product of a sparse matrix, given by its parts, with x.");
  define_heavy(
      s, "todense",
      [](A data, A b, A c, A d, A e, A f, A g) {
        return sparse::todense(matrix("todense", data, b, c, d, e, f, g));
      },
      "data"_a, "indptr"_a, "indices"_a, "entries"_a, "by_col_indptr"_a, "by_col_indices"_a,
      "by_col_entries"_a, py::pos_only(), "All entries of a sparse matrix, given by its parts.");
  define_heavy(
      s, "sampled_outer",
      [](A data, A b, A c, A d, A e, A f, A g, A x, A y) {
        return sparse::sampled_outer(matrix("sampled_outer", data, b, c, d, e, f, g), x, y);
      },
      "data"_a, "indptr"_a, "indices"_a, "entries"_a, "by_col_indptr"_a, "by_col_indices"_a,
      "by_col_entries"_a, "x"_a, "y"_a, py::pos_only(), "See hesse.sparse.sampled_outer.");
}

}  // namespace hesse::python
