// What is read from sparse matrices, written with their products.
#include "core/sparse.h"

#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/index_gather.h"

namespace hesse::sparse {
namespace {

Array ones_like_rows(const CSR& a, int64_t n) {
  Shape shape = a.data.shape();
  shape[0] = n;
  return literal(1.0, shape, a.data.dtype());
}

// 0, 1, ..., n - 1
Array numbers(int64_t n) { return arange(0.0, static_cast<double>(n), 1.0, kInt64); }

}  // namespace

// The entries of r 1^T and 1 c^T at the places of the pattern, for r = 0, 1, ...
std::pair<Array, Array> coordinates(const CSR& a) {
  const auto one = [](int64_t n) { return literal(1.0, Shape{n}, kInt64); };
  return {sampled_outer(a, numbers(a.rows()), one(a.cols())),
          sampled_outer(a, one(a.rows()), numbers(a.cols()))};
}

Array todense(const CSR& a) {
  const auto [row, col] = coordinates(a);
  const Array flat = hesse::add(hesse::multiply(row, Array(a.cols())), col);
  Shape shape = a.data.shape();
  shape[0] = a.rows();
  shape.insert(1, a.cols());
  return reshape(scatter_add_rows(a.data, flat, a.rows() * a.cols(), {"todense", 0, false, false}), shape);
}

Array diagonal(const CSR& a) {
  const auto [row, col] = coordinates(a);
  Array on_it = equal(row, col);
  if (a.data.ndim() == 2) on_it = expand_dims(on_it, {1});
  const CSR kept = a.with_data(where(on_it, a.data, literal(0.0, a.data)));
  return gather_rows(sum(kept, 1), numbers(std::min(a.rows(), a.cols())), {"diagonal"});
}

// A 1
Array sum(const CSR& a, int64_t axis) {
  require(axis == 0 || axis == 1, "sum: axis=", axis, " of a sparse matrix must be 0 or 1");
  const CSR m = axis == 1 ? a : a.transpose();
  return matmul(m, ones_like_rows(m, m.cols()));
}

CSR multiply(const CSR& a, const Array& dense) {
  const int64_t rows = a.rows(), cols = a.cols();
  const auto of_heads = [&](const Array& factor) {
    return a.data.ndim() == 2 ? expand_dims(factor, {1}) : factor;
  };
  if (dense.ndim() == 0) return a.with_data(hesse::multiply(a.data, dense));
  const int64_t down = dense.ndim() == 2 ? dense.shape()[0] : 1, across = dense.shape()[dense.ndim() - 1];
  require(dense.ndim() <= 2 && (down == 1 || down == rows) && (across == 1 || across == cols),
          "multiply: an array of shape ", dense.shape(), " does not broadcast to the shape (", rows, ", ",
          cols, ") of a sparse matrix");
  const Array flat = reshape(dense, {down * across});
  const auto one = [&](int64_t n) { return literal(1.0, Shape{n}, dense.dtype()); };
  const auto along = [&](int64_t n) { return n == flat.size() ? flat : broadcast_to(flat, {n}); };
  if (down == 1)
    return a.with_data(hesse::multiply(a.data, of_heads(sampled_outer(a, one(rows), along(cols)))));
  if (across == 1)
    return a.with_data(hesse::multiply(a.data, of_heads(sampled_outer(a, along(rows), one(cols)))));
  const auto [row, col] = coordinates(a);
  const Array at = hesse::add(hesse::multiply(row, Array(cols)), col);
  return a.with_data(hesse::multiply(a.data, of_heads(gather_rows(flat, at, {"multiply"}))));
}

}  // namespace hesse::sparse
