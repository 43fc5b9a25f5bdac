// Arrays put together: concatenate, and what is made of it, of slices and of broadcasts.
#include <algorithm>

#include "core/node.h"
#include "core/op.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/rows.h"
#include "core/ops/view_loops.h"
#include "core/ops/view_slice.h"

namespace hesse {
namespace {

/// The operands one after the other along an axis.
class Concatenate final : public Linear {
 public:
  explicit Concatenate(int64_t axis) : axis_(static_cast<size_t>(axis)) {}
  std::string_view name() const override { return "concatenate"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Params params() const override { return {{"axis", static_cast<int64_t>(axis_)}}; }
  Avals infer(std::span<const Aval> x) const override {
    Aval out = x[0];
    for (size_t i = 0; i < x.size(); ++i) {
      const Shape& s = x[i].shape;
      bool fits = s.size() == out.shape.size() && s[axis_] != kDynamic;
      for (size_t d = 0; fits && d < s.size(); ++d) fits = d == axis_ || s[d] == out.shape[d];
      require(fits, "concatenate: operand ", i, " of shape ", s, " does not fit operand 0 of shape ",
              x[0].shape, "; all axes but axis ", axis_, " must agree");
      require<TypeError>(x[i].dtype == out.dtype, "concatenate: dtypes ", out.dtype, " and ", x[i].dtype,
                         " differ");
      if (i > 0) out.shape[axis_] += s[axis_];
    }
    return {out};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    View to = out[0];
    const int64_t step = to.strides[axis_] * itemsize(to.dtype);
    for (const View& from : x) {
      to.shape[axis_] = from.shape[axis_];
      copy_elements(from, to);
      to.data = to.as<char>() + step * from.shape[axis_];
    }
  }
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    const auto rows = common_axis(axes);
    if (!rows || *rows == static_cast<RowAxis>(axis_)) return std::nullopt;
    const int64_t axis = axis_in_row(static_cast<int64_t>(axis_), *rows);
    return Row{apply1(make_op<Concatenate>(axis), Arrays(x.begin(), x.end())), *rows};
  }
  // Cotangent i is the part of ct where operand i went.
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    Part part = Part::whole(ct.shape());
    for (int k = 0; k < i; ++k) part.start[axis_] += x[static_cast<size_t>(k)].shape()[axis_];
    part.size[axis_] = x[static_cast<size_t>(i)].shape()[axis_];
    return slice_part(ct, part);
  }

 private:
  size_t axis_;
};

/// Operands in one dtype; weak scalars give way.
Arrays in_one_dtype(std::string_view function, const Arrays& xs) {
  Arrays scalars;  // promotion asks for dtypes only, so it may be asked of stand-ins that broadcast
  bool mixed = false;
  for (const Array& x : xs) mixed = mixed || x.dtype() != xs[0].dtype();
  if (!mixed) return xs;
  for (const Array& x : xs) scalars.push_back(x.is_weak() ? x : Array::uninitialized({}, x.dtype()));
  for (const Array& x : scalars)
    if (!x.is_weak()) fill_zero(x.view());
  const DType dtype = promote_and_broadcast(function, scalars)[0].dtype();
  Arrays out;
  for (const Array& x : xs) out.push_back(converted(x, dtype));
  return out;
}

/// x with `before` and `after` entries added along one axis: entry i of the result is entry source[i] of x.
std::vector<int64_t> padding_source(const std::string& mode, int64_t n, int64_t before, int64_t after) {
  std::vector<int64_t> source;
  for (int64_t i = -before; i < n + after; ++i) {
    if (mode == "edge") {
      source.push_back(std::clamp<int64_t>(i, 0, n - 1));
    } else if (mode == "wrap") {
      source.push_back((i % n + n) % n);
    } else {  // reflect: the edge itself is not repeated
      const int64_t period = std::max<int64_t>(2 * (n - 1), 1), k = (i % period + period) % period;
      source.push_back(std::min(k, period - k) % n);
    }
  }
  return source;
}

Array joined(const Arrays& xs, size_t axis) {
  if (xs.size() == 1) return xs[0];
  return apply1(make_op<Concatenate>(static_cast<int64_t>(axis)), xs);
}

}  // namespace

Array concatenate(const Arrays& xs, OptAxis axis) {
  require(!xs.empty(), "concatenate: needs at least one array");
  Arrays parts = in_one_dtype("concatenate", xs);
  if (!axis)
    for (Array& x : parts) x = flatten(x);
  for (size_t i = 0; i < parts.size(); ++i)
    require(parts[i].ndim() > 0, "concatenate: operand ", i, " is a scalar; use stack for scalars");
  return joined(parts, static_cast<size_t>(normalize_axis("concatenate", axis.value_or(0), parts[0].ndim())));
}

Array stack(const Arrays& xs, int64_t axis) {
  require(!xs.empty(), "stack: needs at least one array");
  for (size_t i = 1; i < xs.size(); ++i)
    require(xs[i].shape() == xs[0].shape(), "stack: operand ", i, " of shape ", xs[i].shape(),
            " differs from operand 0 of shape ", xs[0].shape(), "; all shapes must agree");
  const int64_t a = normalize_axis("stack", axis, xs[0].ndim() + 1);
  Arrays parts = in_one_dtype("stack", xs);
  for (Array& x : parts) x = expand_dims(x, {a});
  return joined(parts, static_cast<size_t>(a));
}

Array roll(const Array& x, const Axes& shift, const OptAxes& axes) {
  if (!axes) {
    require(shift.size() == 1, "roll: shift=", shift, " must be one number when axes are not given");
    return reshape(roll(flatten(x), shift, Axes{0}), x.shape());
  }
  require(shift.size() == axes->size() || shift.size() == 1 || axes->size() == 1, "roll: shift=", shift,
          " and axes=", *axes, " must have one length");
  Array y = x;
  const size_t count = shift.empty() || axes->empty() ? 0 : std::max(shift.size(), axes->size());
  for (size_t i = 0; i < count; ++i) {
    const int64_t axis = normalize_axis("roll", (*axes)[axes->size() == 1 ? 0 : i], x.ndim());
    const int64_t n = x.dim(axis);
    if (n == 0) continue;
    const int64_t s = shift[shift.size() == 1 ? 0 : i] % n, first = s > 0 ? n - s : -s;
    if (first == 0 || first == n) continue;
    const Arrays halves = split(y, std::vector<int64_t>{first}, axis);
    y = joined({halves[1], halves[0]}, static_cast<size_t>(axis));
  }
  return y;
}

Array tile(const Array& x, const Dims& repetitions) {
  const size_t n = std::max(x.ndim(), repetitions.size());
  Shape from, wide, to;  // (r, 1) x (1, n) -> (r, n) -> (r n), per axis
  for (size_t i = 0; i < n; ++i) {
    const int64_t length = i + x.ndim() < n ? 1 : x.shape()[i + x.ndim() - n];
    const int64_t r = i + repetitions.size() < n ? 1 : repetitions[i + repetitions.size() - n];
    require(r >= 0, "tile: repetitions=", repetitions, " must not be negative");
    from.push_back(1), from.push_back(length);
    wide.push_back(r), wide.push_back(length);
    to.push_back(r * length);
  }
  return reshape(broadcast_to(reshape(x, from), wide), to);
}

Array repeat(const Array& x, int64_t repeats, OptAxis axis) {
  require(repeats >= 0, "repeat: repeats=", repeats, " must not be negative");
  if (!axis) return repeat(flatten(x), repeats, 0);
  const auto a = static_cast<size_t>(normalize_axis("repeat", *axis, x.ndim()));
  Shape from = x.shape(), wide = x.shape(), to = x.shape();
  from.insert(a + 1, 1);
  wide.insert(a + 1, repeats);
  to[a] *= repeats;
  return reshape(broadcast_to(reshape(x, from), wide), to);
}

Array pad(const Array& x, const std::vector<std::pair<int64_t, int64_t>>& widths, const Array& value,
          const std::string& mode) {
  const size_t n = x.ndim();
  require(widths.size() == n || widths.size() == 1, "pad: got ", widths.size(), " pairs of widths for the ",
          n, " axes of x of shape ", x.shape(), "; give one for each axis, or one for all");
  require(mode == "constant" || mode == "edge" || mode == "reflect" || mode == "wrap", "pad: mode '", mode,
          "' is not one of constant, edge, reflect, wrap");
  const auto width = [&](size_t i) { return widths[widths.size() == 1 ? 0 : i]; };
  Shape shape = x.shape();
  Dims start;
  for (size_t i = 0; i < n; ++i) {
    const auto [before, after] = width(i);
    require(before >= 0 && after >= 0, "pad: widths (", before, ", ", after, ") of axis ", i,
            " must not be negative");
    require(mode == "constant" || shape[i] > 0 || before + after == 0, "pad: axis ", i, " of x of shape ",
            x.shape(), " is empty: mode '", mode, "' has nothing to repeat; use mode 'constant'");
    start.push_back(before);
    shape[i] += before + after;
  }
  if (mode != "constant") {
    Array y = x;
    for (size_t i = 0; i < n; ++i) {
      const auto [before, after] = width(i);
      if (before + after == 0) continue;
      const std::vector<int64_t> source = padding_source(mode, x.shape()[i], before, after);
      y = take(y, Array::from<int64_t>(source, Shape{static_cast<int64_t>(source.size())}),
               static_cast<int64_t>(i));
    }
    return y;
  }
  require(value.ndim() == 0, "pad: value must be a scalar, got shape ", value.shape());
  if (is_literal(value, 0.0) && x.dtype() != DType::Key) return unslice(x, shape, start, Dims(n, 1));
  return update_part(broadcast_to(converted(value, x.dtype()), shape), x, {start, x.shape(), Dims(n, 1)});
}

OpFamily families::joins() { return {listed<Concatenate>("concatenate", "axis")}; }

}  // namespace hesse
