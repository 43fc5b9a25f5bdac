// Views: ops that only re-arrange strides, and the public functions made of them.
#include <algorithm>

#include "core/node.h"
#include "core/op.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/rows.h"
#include "core/ops/view.h"

namespace hesse {
namespace {

int64_t product(const Shape& s, size_t from) {
  int64_t n = 1;
  for (size_t i = from; i < s.size(); ++i) n *= s[i];
  return n;
}

bool leads_dynamic(const Shape& s) { return !s.empty() && s[0] == kDynamic; }

/// The feature part of a tile's shape or strides.
Dims features(const Dims& d, int lane_axes) {
  return Dims(std::span<const int64_t>(d.data(), d.size() - static_cast<size_t>(lane_axes)));
}

/// `d` followed by the lane part of `of`.
Dims with_lanes(Dims d, const Dims& of, int lane_axes) {
  for (size_t i = of.size() - static_cast<size_t>(lane_axes); i < of.size(); ++i) d.push_back(of[i]);
  return d;
}

/// y[..., i, ...] = x[..., 0 or i, ...]; stored as strides of zero.
class BroadcastTo final : public Linear {
 public:
  explicit BroadcastTo(Shape shape) : shape_(std::move(shape)) {}
  std::string_view name() const override { return "broadcast_to"; }
  Params params() const override { return {{"shape", shape_}}; }
  Avals infer(std::span<const Aval> x) const override { return {{resolve(x[0].shape), x[0].dtype}}; }
  bool is_view() const override { return true; }
  // Broadcast twice is broadcast once.
  MaybeArray simplify(std::span<const Array> x) const override {
    if (const Array* a = operand_of(x[0], name())) return broadcast_to(*a, shape_);
    return view_of_constant(*this, x[0]);
  }
  std::optional<View> alias(const View& x, int lane_axes) const override {
    const Shape from = features(x.shape, lane_axes), to = resolve(from);
    Strides strides(to.size(), 0);
    const size_t extra = to.size() - from.size();
    for (size_t i = 0; i < from.size(); ++i)
      if (from[i] == to[extra + i]) strides[extra + i] = x.strides[i];
    return View{x.data, x.dtype, with_lanes(to, x.shape, lane_axes),
                with_lanes(strides, x.strides, lane_axes)};
  }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override {
    if (axes[0] == kEveryEntry) {  // only axes of length one may be added
      if (num_elements(shape_) != num_elements(whole[0].shape)) return std::nullopt;
      return Row{x[0], kEveryEntry};
    }
    if (axes[0] == kShared) return std::nullopt;
    const auto axis = axes[0] + static_cast<int64_t>(shape_.size() - whole[0].shape.size());
    if (shape_[static_cast<size_t>(axis)] != whole[0].shape[static_cast<size_t>(axes[0])])
      return std::nullopt;
    return Row{broadcast_to(x[0], in_row(shape_, axis)), axis};
  }
  // <ct, broadcast(dx)> = <sum of ct over the broadcast axes, dx>
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int) const override {
    const Shape& from = x[0].shape();
    const size_t extra = shape_.size() - from.size();
    Axes axes;
    for (size_t i = 0; i < shape_.size(); ++i)
      if (i < extra || (from[i - extra] == 1 && shape_[i] != 1)) axes.push_back(static_cast<int64_t>(i));
    return reshape(axes.empty() ? ct : sum(ct, axes), from);
  }

 private:
  /// The shape with the operand's run-time count, after checking that the operand fits.
  Shape resolve(const Shape& from) const {
    Shape to = shape_;
    if (leads_dynamic(to) && from.size() == to.size()) to[0] = from[0];
    bool ok = from.size() <= to.size();
    for (size_t i = 0; ok && i < from.size(); ++i) {
      const int64_t length = to[to.size() - from.size() + i];
      ok = from[i] == length || (from[i] == 1 && length != kDynamic) || (i == 0 && from[i] == kDynamic);
    }
    for (size_t i = 0; ok && i + from.size() < to.size(); ++i) ok = to[i] >= 0;
    require(ok, "broadcast_to: cannot broadcast shape ", from, " to ", shape_,
            "; every axis of x, counted from the last, must be 1 or equal the new length");
    return to;
  }
  Shape shape_;
};

/// The same elements in row-major order under another shape.
class Reshape final : public Linear {
 public:
  explicit Reshape(Shape shape) : shape_(std::move(shape)) {}
  std::string_view name() const override { return "reshape"; }
  Params params() const override { return {{"shape", shape_}}; }
  Avals infer(std::span<const Aval> x) const override {
    const Shape& from = x[0].shape;
    const Shape to = resolve(from);
    const bool ok = leads_dynamic(from) ? leads_dynamic(to) && product(from, 1) == product(to, 1)
                                        : num_elements(from) == num_elements(to);
    require(ok, "reshape: cannot reshape ", from, " to ", to,
            leads_dynamic(from) ? "; the run-time count must stay the first axis"
                                : "; the numbers of elements differ, one length may be -1 to be computed");
    return {{to, x[0].dtype}};
  }
  bool is_view() const override { return true; }
  // Reshaped twice is reshaped once.
  MaybeArray simplify(std::span<const Array> x) const override {
    if (const Array* a = operand_of(x[0], name())) return reshape(*a, shape_);
    return view_of_constant(*this, x[0]);
  }
  std::optional<View> alias(const View& x, int lane_axes) const override {
    const Shape from = features(x.shape, lane_axes), to = resolve(from);
    const auto strides = reshaped_strides(from, features(x.strides, lane_axes), to);
    if (!strides) return std::nullopt;
    return View{x.data, x.dtype, with_lanes(to, x.shape, lane_axes),
                with_lanes(*strides, x.strides, lane_axes)};
  }
  // The axis of rows stays one: as many entries before it, and after it.
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override {
    if (axes[0] == kEveryEntry) return Row{x[0], kEveryEntry};
    if (axes[0] == kShared) return std::nullopt;
    const Shape& from = whole[0].shape;
    const auto row = static_cast<size_t>(axes[0]);
    int64_t wanted = 1, before = 1;
    for (size_t i = 0; i < row; ++i) wanted *= from[i];
    for (size_t i = 0; i < shape_.size(); before *= shape_[i++])
      if (before == wanted && shape_[i] == from[row])
        return Row{reshape(x[0], in_row(shape_, static_cast<RowAxis>(i))), static_cast<RowAxis>(i)};
    return std::nullopt;
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int) const override {
    return reshape(ct, x[0].shape());
  }

 private:
  Shape resolve(const Shape& from) const {
    Shape to = shape_;
    if (leads_dynamic(to) && !from.empty()) to[0] = from[0];
    return to;
  }
  Shape shape_;
};

/// y's axis i is x's axis axes[i].
class Permute final : public Linear {
 public:
  explicit Permute(Axes axes) : axes_(std::move(axes)) {}
  std::string_view name() const override { return "transpose"; }
  Params params() const override { return {{"axes", axes_}}; }
  Avals infer(std::span<const Aval> x) const override {
    require(!leads_dynamic(x[0].shape) || axes_[0] == 0, "transpose: the run-time count of ", x[0].shape,
            " must stay the first axis, got axes=", axes_);
    return {{permuted(x[0].shape, 0), x[0].dtype}};
  }
  bool is_view() const override { return true; }
  // Permuted twice is permuted once, or not at all.
  MaybeArray simplify(std::span<const Array> x) const override {
    if (const Array* a = operand_of(x[0], name())) {
      const auto inner = std::get<Dims>(x[0].node()->op()->params()[0].second);
      Axes both;
      for (const int64_t axis : axes_) both.push_back(inner[static_cast<size_t>(axis)]);
      return hesse::transpose(*a, both);
    }
    return view_of_constant(*this, x[0]);
  }
  std::optional<View> alias(const View& x, int lane_axes) const override {
    return View{x.data, x.dtype, permuted(x.shape, lane_axes), permuted(x.strides, lane_axes)};
  }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    if (axes[0] < 0) return std::nullopt;
    Axes rest;
    RowAxis to = 0;
    for (size_t i = 0; i < axes_.size(); ++i)
      if (axes_[i] == axes[0])
        to = static_cast<RowAxis>(i);
      else
        rest.push_back(axis_in_row(axes_[i], axes[0]));
    return Row{hesse::transpose(x[0], rest), to};
  }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override {
    Axes inverse(axes_.size(), 0);
    for (size_t i = 0; i < axes_.size(); ++i)
      inverse[static_cast<size_t>(axes_[i])] = static_cast<int64_t>(i);
    return hesse::transpose(ct, inverse);
  }

 private:
  Dims permuted(const Dims& d, int lane_axes) const {
    Dims out;
    for (const int64_t a : axes_) out.push_back(d[static_cast<size_t>(a)]);
    return with_lanes(out, d, lane_axes);
  }
  Axes axes_;
};

}  // namespace

std::optional<Strides> reshaped_strides(const Shape& from, const Strides& strides, const Shape& to) {
  if (from.empty() || num_elements(from) == 0) return contiguous_strides(to);
  Strides out(to.size(), 0);
  // From the last axis on: a chunk is a run of axes of x that are contiguous among themselves; axes of the
  // result must fill chunks exactly.
  int64_t chunk_stride = strides.back(), chunk = 1, filled = 1;
  auto next = static_cast<int64_t>(to.size()) - 1;
  for (size_t d = from.size(); d-- > 0;) {
    chunk *= from[d];
    if (d > 0 && (from[d - 1] == 1 || strides[d - 1] == chunk * chunk_stride)) continue;
    for (; next >= 0 && (filled < chunk || to[static_cast<size_t>(next)] == 1); --next) {
      out[static_cast<size_t>(next)] = filled * chunk_stride;
      filled *= to[static_cast<size_t>(next)];
    }
    if (filled != chunk) return std::nullopt;
    if (d > 0) chunk_stride = strides[d - 1];
    chunk = filled = 1;
  }
  return out;
}

MaybeArray view_of_constant(const Op& op, const Array& x) {
  if (!is_constant(x)) return std::nullopt;
  const Aval in = aval(x);
  op.infer({&in, 1});  // refuses bad arguments
  const std::optional<View> v = op.alias(x.view(), 0);
  if (!v) return std::nullopt;
  return x.viewed(*v);
}

const Array* operand_of(const Array& x, std::string_view op) {
  const Node* node = x.is_symbol() ? x.node().get() : nullptr;
  if (!node || node->op()->name() != op || node->inputs().empty()) return nullptr;
  return &node->inputs()[0];
}

Array reshape(const Array& x, const Shape& shape) {
  Shape to = shape;
  const bool dynamic = leads_dynamic(x.shape());
  int64_t known = 1;
  std::optional<size_t> unknown;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] >= 0) {
      known *= to[i];
      continue;
    }
    require(to[i] == -1, "reshape: shape ", shape, " has the length ", to[i], "; only -1 may be negative");
    if (dynamic && i == 0) continue;
    require(!unknown, "reshape: shape ", shape, " has more than one -1; give all lengths but one");
    unknown = i;
  }
  if (unknown) {
    const int64_t total = dynamic ? product(x.shape(), 1) : x.size();
    require(known != 0 && total % known == 0, "reshape: cannot find the length of -1 in ", shape,
            " for x of shape ", x.shape(), "; the other lengths must divide its ", total, " elements");
    to[*unknown] = total / known;
  }
  if (to == x.shape()) return x;
  return apply1(make_op<Reshape>(std::move(to)), {x});
}

Array flatten(const Array& x) { return reshape(x, Shape{x.size()}); }

Array transpose(const Array& x, const std::optional<Axes>& axes) {
  const size_t n = x.ndim();
  Axes order;
  if (axes) {
    require(axes->size() == n, "transpose: axes=", *axes, " must name each of the ", n,
            " axes of x of shape ", x.shape(), " once");
    for (const int64_t a : *axes) order.push_back(normalize_axis("transpose", a, n));
    std::vector<bool> seen(n);
    for (const int64_t a : order) {
      require(!seen[static_cast<size_t>(a)], "transpose: axes=", *axes, " names axis ", a, " twice");
      seen[static_cast<size_t>(a)] = true;
    }
  } else {
    for (size_t i = n; i-- > 0;) order.push_back(static_cast<int64_t>(i));
  }
  if (order == all_axes(n)) return x;
  return apply1(make_op<Permute>(std::move(order)), {x});
}

Array matrix_transpose(const Array& x) {
  require(x.ndim() >= 2, "matrix_transpose: x must have two axes or more, got shape ", x.shape());
  return swapaxes(x, -1, -2);
}

Array swapaxes(const Array& x, int64_t a, int64_t b) {
  const size_t i = static_cast<size_t>(normalize_axis("swapaxes", a, x.ndim()));
  const size_t j = static_cast<size_t>(normalize_axis("swapaxes", b, x.ndim()));
  Axes order = all_axes(x.ndim());
  std::swap(order[i], order[j]);
  return transpose(x, order);
}

Array moveaxis(const Array& x, const Axes& source, const Axes& destination) {
  const size_t n = x.ndim();
  require(source.size() == destination.size(), "moveaxis: source=", source, " and destination=", destination,
          " must have one length");
  normalize_axes("moveaxis", source, n);  // refuses repeats
  normalize_axes("moveaxis", destination, n);
  std::vector<int64_t> order(n, -1);
  std::vector<bool> moved(n);
  for (size_t i = 0; i < source.size(); ++i) {
    const int64_t from = normalize_axis("moveaxis", source[i], n);
    order[static_cast<size_t>(normalize_axis("moveaxis", destination[i], n))] = from;
    moved[static_cast<size_t>(from)] = true;
  }
  size_t rest = 0;
  for (int64_t& a : order) {
    if (a >= 0) continue;
    while (moved[rest]) ++rest;
    a = static_cast<int64_t>(rest++);
  }
  return transpose(x, Axes(order));
}

Array expand_dims(const Array& x, const Axes& axes) {
  const size_t n = x.ndim() + axes.size();
  const Axes fresh = normalize_axes("expand_dims", axes, n);
  Shape shape;
  size_t next = 0;
  for (size_t i = 0; i < n; ++i) {
    const bool inserted = std::find(fresh.begin(), fresh.end(), static_cast<int64_t>(i)) != fresh.end();
    shape.push_back(inserted ? 1 : x.shape()[next++]);
  }
  return reshape(x, shape);
}

Array squeeze(const Array& x, const OptAxes& axes) {
  const Axes gone = axes ? normalize_axes("squeeze", *axes, x.ndim()) : Axes{};
  Shape shape;
  for (size_t i = 0; i < x.ndim(); ++i) {
    const int64_t length = x.shape()[i];
    const bool named = std::find(gone.begin(), gone.end(), static_cast<int64_t>(i)) != gone.end();
    require(!named || length == 1, "squeeze: axis ", i, " of x of shape ", x.shape(), " has length ", length,
            ", not 1");
    if (axes ? !named : length != 1) shape.push_back(length);
  }
  return reshape(x, shape);
}

Array broadcast_to(const Array& x, const Shape& shape) {
  if (shape == x.shape()) return x;
  return apply1(make_op<BroadcastTo>(shape), {x});
}

Arrays broadcast_arrays(const Arrays& xs) {
  Shape shape;
  for (const Array& x : xs) shape = broadcast_shapes("broadcast_arrays", shape, x.shape());
  Arrays out;
  for (const Array& x : xs) out.push_back(broadcast_to(x, shape));
  return out;
}

OpFamily families::views() {
  return {listed<BroadcastTo>("broadcast_to", "shape"), listed<Reshape>("reshape", "shape"),
          listed<Permute>("transpose", "axes")};
}

}  // namespace hesse
