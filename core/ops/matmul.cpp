#include "core/ops/matmul.h"
#include "core/op_table.h"

#include <algorithm>

#include "core/cpu/gemm.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"

namespace hesse {
namespace {

constexpr const char* kLengthsDiffer =
    "matmul: the last axis of x must be as long as the last but one of y (the last, of a vector), got "
    "shapes ";
constexpr const char* kSwapAxes =
    "; matrix_transpose swaps the last two axes, vecdot multiplies along one axis";

}  // namespace

Avals MatMul::infer(std::span<const Aval> x) const {
  const Shape &a = x[0].shape, &b = x[1].shape;
  require<TypeError>(x[0].dtype != kBool && x[0].dtype != kKey, "matmul: x and y must be numeric, got dtype ",
                     x[0].dtype, "; convert with astype first");
  require<TypeError>(x[0].dtype == x[1].dtype, "matmul: x and y must be of one dtype, got ", x[0].dtype,
                     " and ", x[1].dtype, "; convert one with astype");
  require(a.size() >= 2 && a.size() == b.size(), "matmul: x and y must be matrices, got shapes ", a, " and ",
          b);
  const size_t batch = a.size() - 2;
  for (size_t d = 0; d < batch; ++d)
    require(a[d] == b[d], "matmul: the batch axes of x and y differ, got shapes ", a, " and ", b);
  require(a[batch + 1] == b[batch], kLengthsDiffer, a, " and ", b, kSwapAxes);
  Shape out = a;
  out[batch + 1] = b[batch + 1];
  return {{out, x[0].dtype}};
}

void MatMul::kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const {
  cpu::matmul(x[0], x[1], out[0], lane_axes);
}

// Rows along one axis of the batch are products of their own; rows of x, or columns of y, meet the whole
// other matrix; rows along the axis that is summed give outer products, which are.
std::optional<Op::Row> MatMul::on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                                      std::span<const Aval> whole) const {
  const auto ndim = static_cast<RowAxis>(whole[0].shape.size()), rows = ndim - 2, columns = ndim - 1;
  const auto product = [](const Array& a, const Array& b) { return apply1(the<MatMul>(), {a, b}); };
  if (axes[0] >= 0 && axes[0] == axes[1] && axes[0] < rows) return Row{product(x[0], x[1]), axes[0]};
  if (axes[0] == rows && axes[1] == kShared)
    return Row{squeeze(product(expand_dims(x[0], {rows}), x[1]), Axes{rows}), rows};
  if (axes[0] == kShared && axes[1] == columns)
    return Row{squeeze(product(x[0], expand_dims(x[1], {columns})), Axes{columns}), columns};
  if (axes[0] == columns && axes[1] == rows)
    return Row{product(expand_dims(x[0], {columns}), expand_dims(x[1], {rows})), 0, true};
  return std::nullopt;
}

// <ct, t y> = <ct y^T, t>;  <ct, x t> = <x^T ct, t>
MaybeArray MatMul::transpose(std::span<const Array> x, const Array& ct, int i) const {
  return i == 0 ? apply1(the<MatMul>(), {ct, matrix_transpose(x[1])})
                : apply1(the<MatMul>(), {matrix_transpose(x[0]), ct});
}

namespace {

Shape without_last(const Shape& s, size_t count) {
  Shape out = s;
  for (size_t i = 0; i < count; ++i) out.pop_back();
  return out;
}
Shape with(Shape s, std::initializer_list<int64_t> more) {
  for (const int64_t n : more) s.push_back(n);
  return s;
}

/// x [..., m, k] times y [..., k, n], of one dtype.
Array matrix_product(const Array& x, const Array& y) {
  if (x.ndim() == 2 && y.ndim() == 2) return apply1(the<MatMul>(), {x, y});
  const int64_t m = x.dim(-2), k = x.dim(-1), n = y.dim(-1);
  // One matrix for the whole batch: a single product, so that its cotangent is one too and not a sum over
  // copies.
  if (y.ndim() == 2) {
    const Shape batch = without_last(x.shape(), 2);
    const Array rows = reshape(x, {num_elements(batch) * m, k});
    return reshape(apply1(the<MatMul>(), {rows, y}), with(batch, {m, n}));
  }
  if (x.ndim() == 2) return matrix_transpose(matrix_product(matrix_transpose(y), matrix_transpose(x)));
  const Shape batch = broadcast_shapes("matmul", without_last(x.shape(), 2), without_last(y.shape(), 2));
  return apply1(the<MatMul>(), {broadcast_to(x, with(batch, {m, k})), broadcast_to(y, with(batch, {k, n}))});
}

}  // namespace

Array matmul(const Array& x, const Array& y) {
  require(x.ndim() > 0 && y.ndim() > 0, "matmul: x and y must have at least one axis, got shapes ", x.shape(),
          " and ", y.shape(), "; use multiply for scalars");
  require(x.dim(-1) == y.dim(y.ndim() == 1 ? -1 : -2), kLengthsDiffer, x.shape(), " and ", y.shape(),
          kSwapAxes);
  if (x.ndim() > 2 && y.ndim() > 2)
    for (size_t i = 3; i <= std::min(x.ndim(), y.ndim()); ++i) {
      const int64_t a = x.dim(-static_cast<int64_t>(i)), b = y.dim(-static_cast<int64_t>(i));
      require(a == b || a == 1 || b == 1, "matmul: the batch axes of x and y do not broadcast, got shapes ",
              x.shape(), " and ", y.shape());
    }
  const DType dtype = common_dtype("matmul", Arrays{x, y});
  Array a = converted(x, dtype), b = converted(y, dtype);
  if (x.ndim() == 1) a = expand_dims(a, {0});
  if (y.ndim() == 1) b = expand_dims(b, {1});
  const Array product = matrix_product(a, b);
  Axes gone;
  if (y.ndim() == 1) gone.push_back(-1);
  if (x.ndim() == 1) gone.push_back(-2);
  return gone.empty() ? product : squeeze(product, gone);
}

OpFamily families::products() { return {listed<MatMul>()}; }

}  // namespace hesse
