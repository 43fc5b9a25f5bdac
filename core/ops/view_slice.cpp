// Regular parts of arrays: taken as views, written into zeros, written into a copy.
#include "core/ops/view_slice.h"
#include "core/op_table.h"

#include <algorithm>

#include "core/op.h"
#include "core/ops.h"
#include "core/ops/rows.h"
#include "core/ops/view.h"
#include "core/ops/view_loops.h"

namespace hesse {
namespace {

/// The memory of a part of `v`; trailing lane axes pass through.
View part_of(const View& v, const Part& part) {
  View out = v;
  int64_t offset = 0;
  bool empty = false;
  for (size_t i = 0; i < part.start.size(); ++i) {
    if (part.size[i] != kDynamic) out.shape[i] = part.size[i];
    out.strides[i] = v.strides[i] * part.step[i];
    offset += part.start[i] * v.strides[i];
    empty = empty || out.shape[i] == 0;
  }
  if (!empty) out.data = v.as<char>() + offset * itemsize(v.dtype);
  return out;
}

/// Throws unless the part lies within `shape`.
void check_part(std::string_view function, const Part& part, const Shape& shape) {
  bool ok = part.start.size() == shape.size();
  for (size_t i = 0; ok && i < shape.size(); ++i) {
    const int64_t start = part.start[i], size = part.size[i], step = part.step[i];
    if (shape[i] == kDynamic || size == kDynamic) {
      ok = i == 0 && start == 0 && step == 1 && (shape[i] == size || size == kDynamic);
      continue;
    }
    const int64_t last = start + (size - 1) * step;
    ok = size == 0 ||
         (size > 0 && step != 0 && std::min(start, last) >= 0 && std::max(start, last) < shape[i]);
  }
  require(ok, function, ": start ", part.start, ", size ", part.size, ", step ", part.step,
          " do not fit shape ", shape);
}

/// Whether the part has all `rows` entries of that axis, in order.
bool is_whole_along(RowAxis axis, int64_t rows, const Dims& start, const Dims& step, int64_t size) {
  const auto a = static_cast<size_t>(axis);
  return start[a] == 0 && step[a] == 1 && size == rows;
}

/// y = 0; y[start + i * step] = x[i].
class Unslice final : public Linear {
 public:
  Unslice(Shape shape, Dims start, Dims step)
      : shape_(std::move(shape)), start_(std::move(start)), step_(std::move(step)) {}
  std::string_view name() const override { return "unslice"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Params params() const override { return {{"shape", shape_}, {"start", start_}, {"step", step_}}; }
  Avals infer(std::span<const Aval> x) const override {
    Shape shape = shape_;
    if (!shape.empty() && shape[0] == kDynamic) shape[0] = x[0].shape[0];
    check_part("unslice", {start_, x[0].shape, step_}, shape);
    return {{shape, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    fill_zero(out[0]);
    const Dims size(std::span<const int64_t>(x[0].shape.data(), start_.size()));
    copy_elements(x[0], part_of(out[0], {start_, size, step_}));
  }
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override {
    const auto rows = common_axis(axes);
    if (!rows) return std::nullopt;
    const auto a = static_cast<size_t>(*rows);
    if (!is_whole_along(*rows, shape_[a], start_, step_, whole[0].shape[a])) return std::nullopt;
    return Row{unslice(x[0], in_row(shape_, *rows), in_row(start_, *rows), in_row(step_, *rows)), *rows};
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int) const override {
    return slice_part(ct, {start_, x[0].shape(), step_});
  }

 private:
  Shape shape_;
  Dims start_, step_;
};

/// y[i] = x[start + i * step], per axis.
class SlicePart final : public Linear {
 public:
  explicit SlicePart(Part part) : part_(std::move(part)) {}
  std::string_view name() const override { return "slice"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Params params() const override {
    return {{"start", part_.start}, {"size", part_.size}, {"step", part_.step}};
  }
  Avals infer(std::span<const Aval> x) const override {
    check_part("slice", part_, x[0].shape);
    Shape shape = part_.size;
    if (!shape.empty() && shape[0] == kDynamic) shape[0] = x[0].shape[0];
    return {{shape, x[0].dtype}};
  }
  bool is_view() const override { return true; }
  // The part that was just written into zeros.
  MaybeArray simplify(std::span<const Array> x) const override {
    const Array* a = operand_of(x[0], "unslice");
    if (a && x[0].node()->op()->equals(Unslice(x[0].shape(), part_.start, part_.step)) &&
        a->shape() == part_.size)
      return *a;
    return view_of_constant(*this, x[0]);
  }
  std::optional<View> alias(const View& x, int) const override { return part_of(x, part_); }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override {
    const auto rows = common_axis(axes);
    if (!rows) return std::nullopt;
    const auto a = static_cast<size_t>(*rows);
    if (!is_whole_along(*rows, whole[0].shape[a], part_.start, part_.step, part_.size[a]))
      return std::nullopt;
    const Part part{in_row(part_.start, *rows), in_row(part_.size, *rows), in_row(part_.step, *rows)};
    return Row{slice_part(x[0], part), *rows};
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int) const override {
    return unslice(ct, x[0].shape(), part_.start, part_.step);
  }

 private:
  Part part_;
};

/// y = x; y[start + i * step] = u[i]. Inputs x, u.
class UpdatePart final : public Linear {
 public:
  UpdatePart(Dims start, Dims step) : start_(std::move(start)), step_(std::move(step)) {}
  std::string_view name() const override { return "update_slice"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Params params() const override { return {{"start", start_}, {"step", step_}}; }
  Avals infer(std::span<const Aval> x) const override {
    check_part("update_slice", {start_, x[1].shape, step_}, x[0].shape);
    require<TypeError>(x[0].dtype == x[1].dtype, "update_slice: dtypes ", x[0].dtype, " and ", x[1].dtype,
                       " differ");
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    copy_elements(x[0], out[0]);
    const Dims size(std::span<const int64_t>(x[1].shape.data(), start_.size()));
    copy_elements(x[1], part_of(out[0], {start_, size, step_}));
  }
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override {
    const auto rows = common_axis(axes);
    if (!rows) return std::nullopt;
    const auto a = static_cast<size_t>(*rows);
    if (!is_whole_along(*rows, whole[0].shape[a], start_, step_, whole[1].shape[a])) return std::nullopt;
    return Row{update_part(x[0], x[1], {in_row(start_, *rows), x[1].shape(), in_row(step_, *rows)}), *rows};
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    const Part part{start_, x[1].shape(), step_};
    if (i == 1) return slice_part(ct, part);
    return update_part(ct, zeros(part.size, ct.dtype()), part);
  }

 private:
  Dims start_, step_;
};

}  // namespace

Part Part::whole(const Shape& shape) { return {Dims(shape.size(), 0), shape, Dims(shape.size(), 1)}; }

bool Part::is_whole_of(const Shape& shape) const {
  return size == shape && start == Dims(shape.size(), 0) && step == Dims(shape.size(), 1);
}

Array slice_part(const Array& x, const Part& part) {
  if (part.is_whole_of(x.shape())) return x;
  return apply1(make_op<SlicePart>(part), {x});
}

Array unslice(const Array& y, const Shape& shape, const Dims& start, const Dims& step) {
  if (Part{start, y.shape(), step}.is_whole_of(shape)) return y;
  return apply1(make_op<Unslice>(shape, start, step), {y});
}

Array update_part(const Array& x, const Array& y, const Part& part) {
  if (part.is_whole_of(x.shape())) return y;
  return apply1(make_op<UpdatePart>(part.start, part.step), {x, y});
}

Array slice(const Array& x, const Dims& start, const Dims& stop, const Dims& step) {
  const size_t n = x.ndim();
  require(start.size() == n && stop.size() == n && step.size() == n, "slice: start=", start, ", stop=", stop,
          ", step=", step, " must have one entry for each of the ", n, " axes of x of shape ", x.shape());
  Part part{start, Dims(n, 0), step};
  for (size_t i = 0; i < n; ++i) {
    require(step[i] != 0, "slice: step=", step, " has a zero");
    const int64_t span = step[i] > 0 ? stop[i] - start[i] : start[i] - stop[i], s = std::abs(step[i]);
    part.size[i] = span <= 0 ? 0 : (span + s - 1) / s;
  }
  return slice_part(x, part);
}

Array flip(const Array& x, const OptAxes& axes) {
  Part part = Part::whole(x.shape());
  for (const int64_t a : axes ? normalize_axes("flip", *axes, x.ndim()) : all_axes(x.ndim())) {
    const auto i = static_cast<size_t>(a);
    part.start[i] = x.shape()[i] - 1;
    part.step[i] = -1;
  }
  return slice_part(x, part);
}

Arrays split(const Array& x, const std::vector<int64_t>& indices, int64_t axis) {
  const auto a = static_cast<size_t>(normalize_axis("split", axis, x.ndim()));
  const int64_t n = x.shape()[a];
  // As slices of Python: negative positions count from the end, and all are clipped to the axis.
  const auto clipped = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
  Arrays out;
  for (size_t k = 0; k <= indices.size(); ++k) {
    const int64_t from = k == 0 ? 0 : clipped(indices[k - 1]),
                  to = k == indices.size() ? n : clipped(indices[k]);
    Part part = Part::whole(x.shape());
    part.start[a] = from;
    part.size[a] = std::max<int64_t>(to - from, 0);
    out.push_back(slice_part(x, part));
  }
  return out;
}

Arrays split(const Array& x, int64_t sections, int64_t axis) {
  const int64_t n = x.shape()[static_cast<size_t>(normalize_axis("split", axis, x.ndim()))];
  require(sections > 0 && n % sections == 0, "split: axis ", axis, " of length ", n, " does not divide into ",
          sections, " equal sections; give the positions instead");
  std::vector<int64_t> indices;
  for (int64_t k = 1; k < sections; ++k) indices.push_back(k * (n / sections));
  return split(x, indices, axis);
}

Arrays unstack(const Array& x, int64_t axis) {
  const auto a = static_cast<size_t>(normalize_axis("unstack", axis, x.ndim()));
  Shape shape = x.shape();
  shape.erase(a);
  Arrays out;
  for (int64_t i = 0; i < x.shape()[a]; ++i) {
    Part part = Part::whole(x.shape());
    part.start[a] = i;
    part.size[a] = 1;
    out.push_back(reshape(slice_part(x, part), shape));
  }
  return out;
}

OpFamily families::slices() {
  return {listed<Unslice>("unslice", "shape", "start", "step"),
          {"slice",
           [](const ReadParams& p) {
             return make_op<SlicePart>(Part{p["start"], p["size"], p["step"]});
           }},
          listed<UpdatePart>("update_slice", "start", "step")};
}

}  // namespace hesse
