#include "core/ops/reduce.h"

#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/reduce_engine.h"

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

Array ReduceParams::spread(const Array& y, const Shape& x) const {
  return broadcast_to(keepdims ? y : expand_dims(y, axes), x);
}

Avals ReduceSum::infer(std::span<const Aval> x) const {
  require<TypeError>(x[0].dtype != kKey && x[0].dtype != kBool, "sum: x must be numeric, got ",
                     describe(x[0].shape, x[0].dtype));
  return {{p_.out_shape(x[0].shape), x[0].dtype}};
}

void ReduceSum::kernel(std::span<const View> x, std::span<const View> out, int) const {
  visit_dtype(x[0].dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, Key> && !std::is_same_v<T, bool>)
      reduction::reduce<reduction::Sum, T>(x[0], out[0], p_.axes, p_.keepdims);
  });
}

// <ct, sum(t)> = <spread(ct), t>
MaybeArray ReduceSum::transpose(std::span<const Array> x, const Array& ct, int) const {
  return p_.spread(ct, x[0].shape());
}

namespace {

Axes reduced_axes(std::string_view function, const Array& x, const OptAxes& axes) {
  return axes ? normalize_axes(function, *axes, x.ndim()) : all_axes(x.ndim());
}
/// The dtype sums and products of `t` are formed in: integers widen to 64 bits.
DType widened(DType t) {
  if (is_bool(t) || is_signed_integer(t)) return kInt64;
  return is_unsigned_integer(t) ? kUInt64 : t;
}

}  // namespace

Array sum(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("sum", x, axes);
  const Array wide = converted(x, widened(x.dtype()));
  if (which.empty()) return wide;
  return apply1(make_op<ReduceSum>(which, keepdims), {wide});
}

Array mean(const Array& x, const OptAxes& axes, bool keepdims) {
  const Axes which = reduced_axes("mean", x, axes);
  const Array wide = promote_inexact("mean", {x})[0];
  int64_t count = 1;
  for (const int64_t a : which) count *= x.shape()[static_cast<size_t>(a)];
  const Array total = sum(wide, which, keepdims);
  return divide(total, literal(static_cast<double>(count), total));
}

}  // namespace hesse
