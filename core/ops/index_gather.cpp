// Gather and scatter-add, each the other's transpose, and flat positions from several indices.
#include "core/ops/index_gather.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/cpu/assign.h"
#include "core/cpu/lane_gemm.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/segment_groups.h"
#include "core/status.h"

namespace hesse {
namespace {

/// to[i] = table[index[i]] where every row lies in one piece: whether all indices are in range; nullopt, and
/// nothing done, where not.
std::optional<bool> copy_rows(const View& table, const View& index, const View& to, bool wraps) {
  int64_t width = 1;
  for (size_t d = table.shape.size(); d-- > 1; width *= table.shape[d])
    if (table.shape[d] != 1 && table.strides[d] != width) return std::nullopt;
  if (index.shape.size() != 1 || !is_contiguous(to.shape, to.strides) || to.size() == 0) return std::nullopt;
  const auto copy = [&](auto t) {
    using T = decltype(t);  // of that size: bits are copied
    return cpu::lane_kernels<T>().gather(index.shape[0], index.as<const int64_t>(), index.strides[0], wraps,
                                         table.shape[0], width, static_cast<const T*>(table.data),
                                         table.strides[0], static_cast<T*>(to.data));
  };
  switch (itemsize(table.dtype)) {
    case 4:
      return copy(float());
    case 8:
      return copy(double());
    default:
      return std::nullopt;
  }
}

void require_int64(std::string_view op, const Aval& index) {
  require<TypeError>(index.dtype == DType::Int64, op, ": indices must be int64, got ", index.dtype);
}

/// rows = table[index], along one axis.
class Gather final : public Linear {
 public:
  explicit Gather(IndexRule rule) : rule_(std::move(rule)) {}
  std::string_view name() const override { return "gather"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Params params() const override { return rule_.params(); }
  Avals infer(std::span<const Aval> x) const override {
    require_int64(rule_.function, x[1]);
    return {{rows_shape(x[0].shape, x[1].shape, rule_), x[0].dtype}};
  }
  // Bytes: an index per row, and each row's entries read and written once.
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    const IndexWalk walk = index_walk(x[0], x[1], rule_, lane_axes);
    const auto* const index = x[1].as<const int64_t>();
    bool ok = true;
    if (lane_axes == 0 && !rule_.along && rule_.axis == 0)
      if (const auto copied = copy_rows(x[0], x[1], out[0], rule_.wraps)) {
        if (!*copied) report_bad_index(x[1], walk.length, rule_, lane_axes);
        return;
      }
    visit_itemsize(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* const from = x[0].as<const T>();
      T* const to = out[0].as<T>();
      for_each_run<3>(out[0].shape, {walk.table, walk.index, out[0].strides},
                      [&](const Offsets<3>& at, int64_t length, const Offsets<3>& step) {
                        if (step[1] == 0) {
                          int64_t i = index[at[1]];
                          const bool found = walk.locate(i);
                          ok = ok && found;
                          const T* const f = from + at[0] + (found ? i * walk.stride : 0);
                          T* const t = to + at[2];
                          if (found && step[0] == 1 && step[2] == 1) {
                            std::memcpy(t, f, static_cast<size_t>(length) * sizeof(T));
                          } else {
                            for (int64_t k = 0; k < length; ++k)
                              t[k * step[2]] = found ? f[k * step[0]] : T{};
                          }
                          return;
                        }
                        for (int64_t k = 0; k < length; ++k) {
                          int64_t i = index[at[1] + k * step[1]];
                          const bool found = walk.locate(i);
                          to[at[2] + k * step[2]] = found ? from[at[0] + k * step[0] + i * walk.stride] : T{};
                          ok = ok && found;
                        }
                      });
    });
    if (!ok || out[0].size() == 0) report_bad_index(x[1], walk.length, rule_, lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  void kernel_on_rows(std::span<const View> x, const View& out, int64_t first, int64_t last) const override {
    const View y = cpu::range(out, 0, first, last - first);
    kernel(x, {&y, 1}, 0);
  }
  // An index for every row, of a table that all share.
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override {
    if (rule_.along || axes[0] != kShared || axes[1] < 0 || whole[1].shape.size() != 1) return std::nullopt;
    return Row{gather_rows(x[0], x[1], rule_), rule_.axis};
  }
  bool reads_input(int i) const override { return i == 1; }
  // <ct, dx[index]> = <scatter_add(ct, index), dx>
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    if (i != 0) return std::nullopt;
    return scatter_add_rows(ct, x[1], x[0].shape()[static_cast<size_t>(rule_.axis)], rule_);
  }

 private:
  IndexRule rule_;
};

/// table = 0; table[index] += rows, in index order.
class ScatterAdd final : public Linear {
 public:
  ScatterAdd(int64_t length, IndexRule rule) : length_(length), rule_(std::move(rule)) {}
  std::string_view name() const override { return "scatter_add"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override {
    Params p = rule_.params();
    p.emplace_back("length", length_);
    return p;
  }
  Avals infer(std::span<const Aval> x) const override {
    require_int64(rule_.function, x[1]);
    require<TypeError>(x[0].dtype != DType::Key, rule_.function, ": keys cannot be added");
    const auto axis = static_cast<size_t>(rule_.axis), ni = rule_.along ? 1 : x[1].shape.size();
    Shape table = x[0].shape;
    require(axis + ni <= table.size(), rule_.function, ": x of shape ", x[0].shape,
            " has too few axes for indices of shape ", x[1].shape);
    for (size_t i = 0; i < ni; ++i) table.erase(axis);
    table.insert(axis, length_);
    require(rows_shape(table, x[1].shape, rule_) == x[0].shape, rule_.function, ": x of shape ", x[0].shape,
            " and indices of shape ", x[1].shape, " do not match; there must be one row of x for each index");
    return {{table, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    if (lane_axes == 0 && rule_.axis == 0 && !rule_.along && sum_segments(x[0], x[1], out[0], rule_.wraps))
      return;
    fill_zero(out[0]);
    add_rows(x, out[0], lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  void kernel_on_rows(std::span<const View> x, const View& out, int64_t first, int64_t last) const override {
    fill_zero(cpu::range(out, 0, first, last - first));
    add_rows(x, out, 0);
  }
  bool reads_input(int i) const override { return i == 1; }
  // <ct, scatter_add(dx, index)> = <ct[index], dx>
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    if (i != 0) return std::nullopt;
    return gather_rows(ct, x[1], rule_);
  }

 private:
  void add_rows(std::span<const View> x, const View& out, int lane_axes) const {
    visit_dtype(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_same_v<T, bool>)
        combine_rows<T>(out, x[1], x[0], rule_, lane_axes, [](T& t, T r) { t = t || r; });
      else if constexpr (!std::is_same_v<T, Key>)
        combine_rows<T>(out, x[1], x[0], rule_, lane_axes, [](T& t, T r) { t = static_cast<T>(t + r); });
    });
  }

  int64_t length_;
  IndexRule rule_;
};

/// sum_k index_k * stride_k, with each index checked against its own axis; one that is out of range gives the
/// least int64, which no table has.
class RavelIndices final : public NonDifferentiable {
 public:
  RavelIndices(Dims lengths, Axes axes, std::string function)
      : lengths_(std::move(lengths)), axes_(std::move(axes)), function_(std::move(function)) {}
  std::string_view name() const override { return "ravel_indices"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Params params() const override { return {{"lengths", lengths_}, {"axes", axes_}, {"function", function_}}; }
  Avals infer(std::span<const Aval> x) const override {
    for (const Aval& index : x) require_int64("ravel_indices", index);
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    const Strides place = contiguous_strides(lengths_);
    fill_zero(out[0]);
    for (size_t a = 0; a < x.size(); ++a) {
      const int64_t length = lengths_[a];
      const IndexWalk walk{{}, {}, 0, length, true};
      bool ok = true;
      for_each_run<2>(out[0].shape, {x[a].strides, out[0].strides},
                      [&](const Offsets<2>& at, int64_t n, const Offsets<2>& step) {
                        for (int64_t k = 0; k < n; ++k) {
                          int64_t i = x[a].as<const int64_t>()[at[0] + k * step[0]];
                          int64_t& flat = out[0].as<int64_t>()[at[1] + k * step[1]];
                          const bool found = walk.locate(i);
                          ok = ok && found;
                          flat =
                              found && flat >= 0 ? flat + i * place[a] : std::numeric_limits<int64_t>::min();
                        }
                      });
      if (!ok) report_bad_index(x[a], length, {function_, axes_[a]}, lane_axes);
    }
  }
  bool has_lane_kernel() const override { return true; }

 private:
  Dims lengths_;
  Axes axes_;
  std::string function_;
};

}  // namespace

Params IndexRule::params() const {
  return {
      {"function", function}, {"axis", axis}, {"along", along}, {"wraps", wraps}, {"shown_axis", shown_axis}};
}

IndexRule index_rule(const ReadParams& p) {
  return {p["function"], p["axis"], p["along"], p["wraps"], p["shown_axis"]};
}

Array checked_indices(const std::string& function, const Array& indices) {
  require<TypeError>(is_integer(indices.dtype()), function, ": indices must be integers, got ",
                     describe(indices), "; convert with astype(indices, int64)");
  return converted(indices, DType::Int64);
}

Shape rows_shape(const Shape& table, const Shape& index, const IndexRule& rule) {
  const auto axis = static_cast<size_t>(rule.axis);
  Shape rows = table;
  if (!rule.along) {
    rows.erase(axis);
    for (size_t i = 0; i < index.size(); ++i) rows.insert(axis + i, index[i]);
    return rows;
  }
  require(index.size() == table.size(), rule.function, ": indices of shape ", index,
          " must have as many axes as x of shape ", table);
  rows[axis] = index[axis];
  require(rows == index, rule.function, ": indices of shape ", index, " and x of shape ", table,
          " must agree on all axes but axis ", axis);
  return rows;
}

IndexWalk index_walk(const View& table, const View& index, const IndexRule& rule, int lane_axes) {
  const auto axis = static_cast<size_t>(rule.axis);
  const size_t features = table.shape.size() - static_cast<size_t>(lane_axes);
  IndexWalk walk{table.strides, index.strides, table.strides[axis], table.shape[axis], rule.wraps};
  if (rule.along) {
    walk.table[axis] = 0;
    return walk;
  }
  const size_t ni = index.shape.size() - static_cast<size_t>(lane_axes);
  walk.table.erase(axis);
  for (size_t i = 0; i < ni; ++i) walk.table.insert(axis, 0);
  for (size_t i = 0; i < axis; ++i) walk.index.insert(0, 0);
  for (size_t i = axis + 1; i < features; ++i) walk.index.insert(axis + ni, 0);
  return walk;
}

void report_bad_index(const View& index, int64_t length, const IndexRule& rule, int lane_axes) {
  const IndexWalk range{{}, {}, 0, length, rule.wraps};
  const auto* const data = index.as<const int64_t>();
  int64_t lanes = 1, position = 0, first = -1, value = 0, largest = -1;
  for (size_t d = index.shape.size() - static_cast<size_t>(lane_axes); d < index.shape.size(); ++d)
    lanes *= index.shape[d];
  for_each_run<1>(index.shape, {index.strides}, [&](const Offsets<1>& at, int64_t n, const Offsets<1>& step) {
    for (int64_t k = 0; k < n; ++k, ++position) {
      int64_t i = data[at[0] + k * step[0]];
      largest = std::max(largest, i);
      if (range.locate(i) || first >= 0) continue;
      first = position / lanes;
      value = data[at[0] + k * step[0]];
    }
  });
  if (first < 0) return;
  const Shape features(
      std::span<const int64_t>(index.shape.data(), index.shape.size() - static_cast<size_t>(lane_axes)));
  std::string place;
  if (features.size() == 1) place = concat(" at position ", first);
  if (features.size() > 1) {
    Dims at(features.size(), 0);
    for (size_t d = features.size(); d-- > 0; first /= features[d]) at[d] = first % features[d];
    place = concat(" at position ", at);
  }
  report_failure(Failure::Index, rule.function,
                 rule.wraps  ? concat("index ", value, place, " is out of range for axis ",
                                     rule.shown_axis < 0 ? rule.axis : rule.shown_axis, " of length ", length)
                 : value < 0 ? concat("index ", value, place, " is negative; segments are numbered from 0")
                             : concat("index ", value, place, " is out of range for ", length,
                                      " segments; did you mean num_segments=", largest + 1, "?"));
}

Array gather_rows(const Array& table, const Array& indices, const IndexRule& rule) {
  return apply1(make_op<Gather>(rule), {table, indices});
}

Array scatter_add_rows(const Array& rows, const Array& indices, int64_t length, const IndexRule& rule) {
  return apply1(make_op<ScatterAdd>(length, rule), {rows, indices});
}

Array ravel_indices(const Arrays& indices, const Dims& lengths, const Axes& axes,
                    const std::string& function) {
  return apply1(make_op<RavelIndices>(lengths, axes, function), indices);
}

// The public functions
// ------------------------------------------------------------------------------------------

Array take(const Array& x, const Array& indices, OptAxis axis) {
  const Array index = checked_indices("take", indices);
  if (!axis) return take(flatten(x), index, 0);
  return gather_rows(x, index, {"take", normalize_axis("take", *axis, x.ndim())});
}

Array take_along_axis(const Array& x, const Array& indices, int64_t axis) {
  const Array index = checked_indices("take_along_axis", indices);
  require(index.ndim() == x.ndim(), "take_along_axis: indices of shape ", index.shape(),
          " must have as many axes as x of shape ", x.shape());
  const int64_t a = normalize_axis("take_along_axis", axis, x.ndim());
  const auto i = static_cast<size_t>(a);
  Shape xs = x.shape(), is = index.shape();  // all other axes broadcast
  xs[i] = is[i] = 1;
  const Shape common = broadcast_shapes("take_along_axis", xs, is);
  xs = is = common;
  xs[i] = x.shape()[i];
  is[i] = index.shape()[i];
  return gather_rows(broadcast_to(x, xs), broadcast_to(index, is), {"take_along_axis", a, true});
}

Array gather(const Array& x, const Array& indices) {
  require(x.ndim() > 0, "gather: x must have at least one axis");
  return gather_rows(x, checked_indices("gather", indices), {"gather"});
}

Array scatter_add(const Array& x, const Array& indices, int64_t num_rows) {
  require(num_rows >= 0, "scatter_add: num_rows=", num_rows, " must not be negative");
  return scatter_add_rows(x, checked_indices("scatter_add", indices), num_rows, {"scatter_add"});
}

OpFamily families::gather() {
  return {
      {"gather", [](const ReadParams& p) { return make_op<Gather>(index_rule(p)); }},
      {"scatter_add", [](const ReadParams& p) { return make_op<ScatterAdd>(p["length"], index_rule(p)); }},
      listed<RavelIndices>("ravel_indices", "lengths", "axes", "function")};
}

}  // namespace hesse
