#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/reduce.h"

/// Products made of MatMul, multiplications and sums.
namespace hesse {

Array dot(const Array& x, const Array& y) {
  if (x.ndim() == 0 || y.ndim() == 0) return multiply(x, y);
  require(
      x.dim(-1) == y.dim(y.ndim() == 1 ? -1 : -2),
      "dot: the last axis of x must be as long as the last but one of y (the last, of a vector), got shapes ",
      x.shape(), " and ", y.shape());
  if (x.ndim() <= 2 && y.ndim() <= 2) return matmul(x, y);
  return tensordot(x, y, {-1}, {y.ndim() == 1 ? -1 : -2});
}

Array vecdot(const Array& x, const Array& y, int64_t axis) {
  const int64_t ax = normalize_axis("vecdot", axis, x.ndim()), ay = normalize_axis("vecdot", axis, y.ndim());
  require(x.dim(ax) == y.dim(ay), "vecdot: x and y must be equally long along axis ", axis, ", got shapes ",
          x.shape(), " and ", y.shape());
  const Arrays v = promote_and_broadcast("vecdot", {moveaxis(conj(x), {ax}, {-1}), moveaxis(y, {ay}, {-1})});
  if (v[0].ndim() == 1) return matmul(v[0], v[1]);
  return apply1(make_op<ReduceSum>(Axes{static_cast<int64_t>(v[0].ndim()) - 1}, false),
                {multiply(v[0], v[1])});
}

Array outer(const Array& x, const Array& y) {
  require(x.ndim() == 1 && y.ndim() == 1, "outer: x and y must be vectors, got shapes ", x.shape(), " and ",
          y.shape(), "; flatten them first");
  return multiply(expand_dims(x, {1}), expand_dims(y, {0}));
}

Array tensordot(const Array& x, const Array& y, const Axes& x_axes, const Axes& y_axes) {
  require(x_axes.size() == y_axes.size(), "tensordot: x_axes and y_axes must be equally many, got ", x_axes,
          " and ", y_axes);
  // x to [kept..., summed...], y to [summed..., kept...].
  const auto positions = [](const char* what, const Array& a, const Axes& axes) {
    Axes out;
    for (const int64_t axis : axes) out.push_back(normalize_axis(what, axis, a.ndim()));
    normalize_axes(what, out, a.ndim());  // refuses repeats
    return out;
  };
  const Axes xs = positions("tensordot", x, x_axes), ys = positions("tensordot", y, y_axes);
  int64_t summed = 1;
  for (size_t i = 0; i < xs.size(); ++i) {
    require(x.dim(xs[i]) == y.dim(ys[i]), "tensordot: axis ", x_axes[i], " of x and axis ", y_axes[i],
            " of y must be equally long, got shapes ", x.shape(), " and ", y.shape());
    summed *= x.dim(xs[i]);
  }
  Axes first, last;
  for (size_t i = 0; i < xs.size(); ++i) {
    first.push_back(static_cast<int64_t>(i));
    last.push_back(static_cast<int64_t>(x.ndim() - xs.size() + i));
  }
  const DType dtype = common_dtype("tensordot", Arrays{x, y});
  const Array a = moveaxis(converted(x, dtype), xs, last), b = moveaxis(converted(y, dtype), ys, first);
  Shape shape, rows, columns;
  for (size_t i = 0; i + xs.size() < x.ndim(); ++i) rows.push_back(a.shape()[i]);
  for (size_t i = ys.size(); i < y.ndim(); ++i) columns.push_back(b.shape()[i]);
  for (const Shape* part : {&rows, &columns})
    for (const int64_t n : *part) shape.push_back(n);
  const Array product = apply1(
      the<MatMul>(), {reshape(a, {num_elements(rows), summed}), reshape(b, {summed, num_elements(columns)})});
  return reshape(product, shape);
}

// Entry (i1 p + i2) of every axis is x_{i1} y_{i2}.
Array kron(const Array& x, const Array& y) {
  const size_t n = std::max(x.ndim(), y.ndim());
  Shape xs, ys, out;
  for (size_t i = 0; i < n; ++i) {
    const auto length = [&](const Array& a) { return i + a.ndim() < n ? 1 : a.shape()[i + a.ndim() - n]; };
    xs.push_back(length(x));
    xs.push_back(1);
    ys.push_back(1);
    ys.push_back(length(y));
    out.push_back(length(x) * length(y));
  }
  return reshape(multiply(reshape(x, xs), reshape(y, ys)), out);
}

// z_i = x_{i+1} y_{i+2} - x_{i+2} y_{i+1}, indices modulo three.
Array cross(const Array& x, const Array& y, int64_t axis) {
  const int64_t ax = normalize_axis("cross", axis, x.ndim()), ay = normalize_axis("cross", axis, y.ndim());
  require(x.dim(ax) == 3 && y.dim(ay) == 3, "cross: x and y must have length 3 along axis ", axis,
          ", got shapes ", x.shape(), " and ", y.shape());
  const Arrays v = promote_and_broadcast("cross", {moveaxis(x, {ax}, {-1}), moveaxis(y, {ay}, {-1})});
  const auto ahead = [](const Array& a, int64_t by) { return roll(a, {-by}, Axes{-1}); };
  const Array z =
      subtract(multiply(ahead(v[0], 1), ahead(v[1], 2)), multiply(ahead(v[0], 2), ahead(v[1], 1)));
  return moveaxis(z, {-1}, {axis < 0 ? axis : std::max(ax, ay)});
}

}  // namespace hesse
