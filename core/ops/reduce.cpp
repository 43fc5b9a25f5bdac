#include "core/ops/reduce.h"
#include "core/op_table.h"

#include "core/ops/elementwise.h"
#include "core/ops/reduce_engine.h"
#include "core/ops/reduce_scan.h"
#include "core/ops/rows.h"

namespace hesse {
namespace reduction {

Loops make_loops(const View& x, const View& out, const Axes& axes, bool keepdims) {
  Loops loops;
  size_t next_axis = 0, out_axis = 0;
  for (size_t d = 0; d < x.shape.size(); ++d) {
    const int64_t n = x.shape[d], stride = x.strides[d];
    if (next_axis < axes.size() && axes[next_axis] == static_cast<int64_t>(d)) {
      ++next_axis;
      if (keepdims) ++out_axis;
      loops.count *= n;
      if (n == 1) continue;
      if (!loops.reduced.empty() && loops.reduced_x.back() == n * stride) {
        loops.reduced.back() *= n;
        loops.reduced_x.back() = stride;
      } else {
        loops.reduced.push_back(n);
        loops.reduced_x.push_back(stride);
      }
    } else {
      const int64_t to = out.strides[out_axis++];
      if (n == 1) continue;
      if (!loops.kept.empty() && loops.kept_x.back() == n * stride && loops.kept_out.back() == n * to) {
        loops.kept.back() *= n;
        loops.kept_x.back() = stride;
        loops.kept_out.back() = to;
      } else {
        loops.kept.push_back(n);
        loops.kept_x.push_back(stride);
        loops.kept_out.push_back(to);
      }
    }
  }
  return loops;
}

}  // namespace reduction

Shape ReduceParams::out_shape(const Shape& x) const {
  Shape out;
  size_t next = 0;
  for (size_t d = 0; d < x.size(); ++d) {
    if (next < axes.size() && axes[next] == static_cast<int64_t>(d)) {
      ++next;
      if (keepdims) out.push_back(1);
    } else {
      out.push_back(x[d]);
    }
  }
  return out;
}

int64_t ReduceParams::count(const Shape& x) const {
  int64_t n = 1;
  for (const int64_t a : axes) n *= x[static_cast<size_t>(a)];
  return n;
}

bool ReduceParams::goes_over(int64_t axis) const {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

std::pair<ReduceParams, RowAxis> ReduceParams::in_row(RowAxis rows) const {
  ReduceParams rest{{}, keepdims};
  RowAxis axis = rows;
  for (const int64_t a : axes) {
    if (a != rows) rest.axes.push_back(axis_in_row(a, rows));
    if (a < rows && !keepdims) --axis;
  }
  return {rest, axis};
}

Array ReduceParams::spread(const Array& y, const Shape& x) const {
  return broadcast_to(keepdims ? y : expand_dims(y, axes), x);
}

namespace {

void check_numeric(std::string_view function, const Aval& x) {
  require<TypeError>(x.dtype != kKey && x.dtype != kBool, function, ": x must be numeric, got ",
                     describe(x.shape, x.dtype));
}
void check_real(std::string_view function, const Aval& x) {
  require<TypeError>(x.dtype != kKey && !is_complex(x.dtype), function, ": x must be real, got ",
                     describe(x.shape, x.dtype));
}

/// Runs f<T> for the dtypes in which sums and products are formed.
template <class F>
void visit_numeric(DType t, F&& f) {
  visit_dtype(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, Key> && !std::is_same_v<T, bool>) f(tag);
  });
}

}  // namespace

Avals ReduceSum::infer(std::span<const Aval> x) const {
  check_numeric("sum", x[0]);
  return {{p_.out_shape(x[0].shape), x[0].dtype}};
}

void ReduceSum::kernel(std::span<const View> x, std::span<const View> out, int) const {
  visit_numeric(x[0].dtype, [&](auto tag) {
    reduction::reduce<reduction::Sum, typename decltype(tag)::type>(x[0], out[0], p_.axes, p_.keepdims);
  });
}

// The sum over rows is one of the rows' own sums.
std::optional<Op::Row> ReduceSum::on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                                         std::span<const Aval> whole) const {
  const RowAxis rows = axes[0];
  if (rows == kShared) return std::nullopt;
  if (rows == kEveryEntry) {
    if (p_.axes.size() != whole[0].shape.size()) return std::nullopt;
    return Row{p_.keepdims ? reshape(x[0], Shape(p_.axes.size(), 1)) : x[0], 0, true};
  }
  const auto [rest, axis] = p_.in_row(rows);
  const bool summed = p_.goes_over(rows);
  Array value = rest.axes.empty() ? x[0] : apply1(make_op<ReduceSum>(rest.axes, p_.keepdims), {x[0]});
  if (summed && p_.keepdims) value = expand_dims(value, {rows});
  return Row{value, axis, summed};
}

std::optional<Op::Row> ReduceProd::on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                                          std::span<const Aval>) const {
  if (axes[0] < 0 || p_.goes_over(axes[0])) return std::nullopt;
  const auto [rest, axis] = p_.in_row(axes[0]);
  return Row{apply1(make_op<ReduceProd>(rest.axes, rest.keepdims), {x[0]}), axis};
}
std::optional<Op::Row> ReduceExtremum::on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                                              std::span<const Aval>) const {
  if (axes[0] < 0 || p_.goes_over(axes[0])) return std::nullopt;
  const auto [rest, axis] = p_.in_row(axes[0]);
  return Row{apply1(make_op<ReduceExtremum>(largest_, rest.axes, rest.keepdims), {x[0]}), axis};
}
std::optional<Op::Row> ReduceLogical::on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                                             std::span<const Aval>) const {
  if (axes[0] < 0 || p_.goes_over(axes[0])) return std::nullopt;
  const auto [rest, axis] = p_.in_row(axes[0]);
  return Row{apply1(make_op<ReduceLogical>(all_, rest.axes, rest.keepdims), {x[0]}), axis};
}

// <ct, sum(t)> = <spread(ct), t>
MaybeArray ReduceSum::transpose(std::span<const Array> x, const Array& ct, int) const {
  return p_.spread(ct, x[0].shape());
}

Avals ReduceProd::infer(std::span<const Aval> x) const {
  check_numeric("prod", x[0]);
  return {{p_.out_shape(x[0].shape), x[0].dtype}};
}

void ReduceProd::kernel(std::span<const View> x, std::span<const View> out, int) const {
  visit_numeric(x[0].dtype, [&](auto tag) {
    reduction::reduce<reduction::Product, typename decltype(tag)::type>(x[0], out[0], p_.axes, p_.keepdims);
  });
}

// dy = sum_i (prod_{j<i} x_j) (prod_{j>i} x_j) dx_i: without a division, so that zeros do no harm.
MaybeArrays ReduceProd::jvp(std::span<const Array> x, std::span<const Array> y,
                            std::span<const MaybeArray> dx) const {
  if (!dx[0] || x[0].size() == 0) return {std::nullopt};
  const size_t gone = p_.axes.size(), kept = x[0].ndim() - gone;
  Axes last;
  for (size_t i = 0; i < gone; ++i) last.push_back(static_cast<int64_t>(kept + i));
  const auto one_axis = [&](const Array& a) {
    const Array moved = moveaxis(a, p_.axes, last);
    if (gone == 1) return moved;
    Shape shape = moved.shape();
    shape.resize(kept);
    shape.push_back(p_.count(a.shape()));
    return reshape(moved, shape);
  };
  const Array v = one_axis(x[0]);
  const auto axis = static_cast<int64_t>(kept);
  const Array before = shifted(running_product(v, axis, false), axis, false, 1.0);
  const Array after = shifted(running_product(v, axis, true), axis, true, 1.0);
  const Array dy = sum(multiply(multiply(before, after), one_axis(*dx[0])), Axes{axis});
  return {reshape(dy, y[0].shape())};
}

Avals ReduceExtremum::infer(std::span<const Aval> x) const {
  check_real(name(), x[0]);
  require(p_.count(x[0].shape) != 0, name(), ": x of shape ", x[0].shape, " is empty along axes ", p_.axes,
          " and so has no ", largest_ ? "largest" : "least",
          " entry; guard against the empty case, or append a bound with concatenate first");
  return {{p_.out_shape(x[0].shape), x[0].dtype}};
}

void ReduceExtremum::kernel(std::span<const View> x, std::span<const View> out, int) const {
  visit_dtype(x[0].dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_arithmetic_v<T>) {
      if (largest_)
        reduction::reduce<reduction::Max, T>(x[0], out[0], p_.axes, p_.keepdims);
      else
        reduction::reduce<reduction::Min, T>(x[0], out[0], p_.axes, p_.keepdims);
    }
  });
}

// dy = the mean of dx over the entries that attain y: ties share equally, as NaNs do.
MaybeArrays ReduceExtremum::jvp(std::span<const Array> x, std::span<const Array> y,
                                std::span<const MaybeArray> dx) const {
  if (!dx[0]) return {std::nullopt};
  const Array attains = logical_or(equal(x[0], p_.spread(y[0], x[0].shape())), isnan(x[0]));
  const Array ties = sum(astype(attains, x[0].dtype()), p_.axes, p_.keepdims);
  return {divide(sum(where(attains, *dx[0], literal(0.0, *dx[0])), p_.axes, p_.keepdims), ties)};
}

Avals ReduceLogical::infer(std::span<const Aval> x) const { return {{p_.out_shape(x[0].shape), kBool}}; }

void ReduceLogical::kernel(std::span<const View> x, std::span<const View> out, int) const {
  if (all_)
    reduction::reduce<reduction::All, bool>(x[0], out[0], p_.axes, p_.keepdims);
  else
    reduction::reduce<reduction::Any, bool>(x[0], out[0], p_.axes, p_.keepdims);
}

Axes reduced_axes(std::string_view function, const Array& x, const OptAxes& axes) {
  return axes ? normalize_axes(function, *axes, x.ndim()) : all_axes(x.ndim());
}

DType widened(DType t) {
  if (is_bool(t) || is_signed_integer(t)) return kInt64;
  return is_unsigned_integer(t) ? kUInt64 : t;
}

Array sum(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("sum", x, axes);
  const Array wide = converted(x, widened(x.dtype()));
  return which.empty() ? wide : apply1(make_op<ReduceSum>(which, keepdims), {wide});
}

Array prod(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("prod", x, axes);
  const Array wide = converted(x, widened(x.dtype()));
  return which.empty() ? wide : apply1(make_op<ReduceProd>(which, keepdims), {wide});
}

Array max(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("max", x, axes);
  check_real("max", aval(x));
  return which.empty() ? x : apply1(make_op<ReduceExtremum>(true, which, keepdims), {x});
}

Array min(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("min", x, axes);
  check_real("min", aval(x));
  return which.empty() ? x : apply1(make_op<ReduceExtremum>(false, which, keepdims), {x});
}

Array all(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("all", x, axes);
  const Array truth = converted(x, kBool);
  return which.empty() ? truth : apply1(make_op<ReduceLogical>(true, which, keepdims), {truth});
}

Array any(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("any", x, axes);
  const Array truth = converted(x, kBool);
  return which.empty() ? truth : apply1(make_op<ReduceLogical>(false, which, keepdims), {truth});
}

Array count_nonzero(const Array& x, const OptAxes& axes, bool keepdims) {
  return sum(astype(converted(x, kBool), kInt64), reduced_axes("count_nonzero", x, axes), keepdims);
}

OpFamily families::reductions() {
  return {
      listed<ReduceSum>("sum", "axes", "keepdims"),
      listed<ReduceProd>("prod", "axes", "keepdims"),
      {"max", [](const ReadParams& p) { return make_op<ReduceExtremum>(true, p["axes"], p["keepdims"]); }},
      {"min", [](const ReadParams& p) { return make_op<ReduceExtremum>(false, p["axes"], p["keepdims"]); }},
      {"all", [](const ReadParams& p) { return make_op<ReduceLogical>(true, p["axes"], p["keepdims"]); }},
      {"any", [](const ReadParams& p) { return make_op<ReduceLogical>(false, p["axes"], p["keepdims"]); }}};
}

}  // namespace hesse
