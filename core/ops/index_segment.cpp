// Rows reduced by segment: message passing, pooling over graphs.
#include <limits>

#include "core/cpu/assign.h"
#include "core/ops/elementwise.h"
#include "core/ops/index_gather.h"
#include "core/ops/segment_groups.h"
#include "core/segment.h"

namespace hesse {
namespace {

/// y[s] = the largest (or smallest) of the rows x[i] with ids[i] == s, entry by entry; -inf, the least
/// integer or false (or their opposites) where there are none. NaN wins. Inputs x, ids.
class SegmentExtreme final : public General {
 public:
  /// `function` is named where an id is out of range.
  SegmentExtreme(int64_t length, bool largest, const std::string& function)
      : length_(length), largest_(largest), rule_{function, 0, false, false} {}
  std::string_view name() const override { return largest_ ? "segment_max" : "segment_min"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override { return {{"length", length_}, {"function", rule_.function}}; }
  Avals infer(std::span<const Aval> x) const override {
    require<TypeError>(!is_complex(x[0].dtype) && x[0].dtype != DType::Key, name(), ": ", x[0].dtype,
                       " values have no order");
    Shape shape = x[0].shape;
    shape[0] = length_;
    return {{shape, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    if (lane_axes == 0 && extreme_segments(x[0], x[1], out[0], largest_)) return;
    combine(x, out[0], out[0], lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  void kernel_on_rows(std::span<const View> x, const View& out, int64_t first, int64_t last) const override {
    combine(x, out, cpu::range(out, 0, first, last - first), 0);
  }
  // dy_s = sum of dx_i over those i of segment s with x_i = y_s, divided by their number.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    if (!dx[0]) return {std::nullopt};
    const Array attains = logical_or(equal(x[0], gather_rows(y[0], x[1], rule_)), isnan(x[0]));
    const auto total = [&](const Array& rows) { return scatter_add_rows(rows, x[1], length_, rule_); };
    const Array count = total(astype(attains, y[0].dtype()));
    return {divide(total(where(attains, *dx[0], literal(0.0, *dx[0]))), maximum(count, literal(1.0, count)))};
  }

 private:
  // The extremes of rows, where `written` of `out` holds none yet.
  void combine(std::span<const View> x, const View& out, const View& written, int lane_axes) const {
    visit_dtype(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_arithmetic_v<T>) {
        using Limits = std::numeric_limits<T>;
        const T none = std::is_floating_point_v<T>
                           ? static_cast<T>(largest_ ? -Limits::infinity() : Limits::infinity())
                           : (largest_ ? Limits::lowest() : Limits::max());
        for_each_run<1>(written.shape, {written.strides},
                        [&](const Offsets<1>& at, int64_t n, const Offsets<1>& step) {
                          for (int64_t k = 0; k < n; ++k) written.as<T>()[at[0] + k * step[0]] = none;
                        });
        if (largest_)
          combine_rows<T>(out, x[1], x[0], rule_, lane_axes, [](T& t, T r) { t = t >= r || t != t ? t : r; });
        else
          combine_rows<T>(out, x[1], x[0], rule_, lane_axes, [](T& t, T r) { t = t <= r || t != t ? t : r; });
      }
    });
  }

  int64_t length_;
  bool largest_;
  IndexRule rule_;
};

Array checked_ids(const std::string& function, const Array& x, const Array& ids, int64_t num_segments) {
  require(num_segments >= 0, function, ": num_segments=", num_segments, " must not be negative");
  require(ids.ndim() == 1 && x.ndim() >= 1 && x.shape()[0] == ids.shape()[0], function,
          ": segment_ids of shape ", ids.shape(),
          " must be one-dimensional with an entry for each row of x of shape ", x.shape());
  return checked_indices(function, ids);
}

}  // namespace

Array segment_sum(const Array& x, const Array& segment_ids, int64_t num_segments) {
  const Array ids = checked_ids("segment_sum", x, segment_ids, num_segments);
  return scatter_add_rows(x, ids, num_segments, {"segment_sum", 0, false, false});
}

Array segment_max(const Array& x, const Array& segment_ids, int64_t num_segments) {
  const Array ids = checked_ids("segment_max", x, segment_ids, num_segments);
  return apply1(make_op<SegmentExtreme>(num_segments, true, "segment_max"), {x, ids});
}

Array segment_min(const Array& x, const Array& segment_ids, int64_t num_segments) {
  const Array ids = checked_ids("segment_min", x, segment_ids, num_segments);
  return apply1(make_op<SegmentExtreme>(num_segments, false, "segment_min"), {x, ids});
}

namespace {

/// Rows of x and their ids, and the sums and gathers by which reductions are written.
struct Segmented {
  Segmented(const std::string& function, const Array& values, const Array& segment_ids, int64_t num_segments,
            bool real = true)
      : rule{function, 0, false, false}, n(num_segments) {
    ids = checked_ids(function, values, segment_ids, num_segments);
    require<TypeError>(!real || !is_complex(values.dtype()), function, ": x must be real, got ",
                       describe(values));
    x = inexact(function, values);
  }
  Array sum(const Array& rows) const { return scatter_add_rows(rows, ids, n, rule); }
  Array spread(const Array& of_segments) const { return gather_rows(of_segments, ids, rule); }
  /// sum / max(number of rows, 1)
  Array mean(const Array& rows) const {
    const Array number = sum(literal(complex128(1.0), ids.shape(), x.dtype()));
    Shape shape(x.ndim(), 1);
    shape[0] = n;
    return divide(sum(rows), reshape(maximum_of_one(number), shape));
  }
  /// The largest value of each segment as a constant shift, where it is finite.
  Array finite_shift() const {
    const Array m = apply1(make_op<SegmentExtreme>(n, true, rule.function), {stop_gradient(x), ids});
    return where(isfinite(m), m, literal(0.0, m));
  }
  IndexRule rule;
  int64_t n;
  Array x, ids;

 private:
  static Array maximum_of_one(const Array& number) {
    const Array one = literal(1.0, number);
    return where(equal(number, literal(0.0, number)), one, number);
  }
};

}  // namespace

Array segment_mean(const Array& x, const Array& segment_ids, int64_t num_segments) {
  const Segmented s("segment_mean", x, segment_ids, num_segments, false);
  return s.mean(s.x);
}

// log sum exp(x - m) + m; the sum is zero where a segment has no entries, or -inf alone.
Array segment_logsumexp(const Array& x, const Array& segment_ids, int64_t num_segments) {
  const Segmented s("segment_logsumexp", x, segment_ids, num_segments);
  const Array shift = s.finite_shift(), total = s.sum(exp(subtract(s.x, s.spread(shift))));
  const Array none = equal(total, literal(0.0, total));
  const Array value = add(log(where(none, literal(1.0, total), total)), shift);
  return where(none, literal(-std::numeric_limits<double>::infinity(), value), value);
}

Array segment_softmax(const Array& x, const Array& segment_ids, int64_t num_segments) {
  const Segmented s("segment_softmax", x, segment_ids, num_segments);
  const Array e = exp(subtract(s.x, s.spread(s.finite_shift())));
  return divide(e, s.spread(s.sum(e)));
}

// sqrt mean (c - mean c)^2, c being x less its largest entry: of equal entries that is exactly zero, whatever
// their mean rounds to.
Array segment_std(const Array& x, const Array& segment_ids, int64_t num_segments) {
  const Segmented s("segment_std", x, segment_ids, num_segments);
  const Array c = subtract(s.x, s.spread(s.finite_shift()));
  const Array variance = s.mean(square(subtract(c, s.spread(s.mean(c)))));
  const Array none = equal(variance, literal(0.0, variance));
  return where(none, literal(0.0, variance), sqrt(where(none, literal(1.0, variance), variance)));
}

OpFamily families::segments() {
  const auto entry = [](const char* name, bool largest) {
    return OpEntry{name, [name, largest](const ReadParams& p) {
                     std::string function = name;
                     if (p.has("function")) function = static_cast<std::string>(p["function"]);
                     return make_op<SegmentExtreme>(p["length"], largest, function);
                   }};
  };
  return {entry("segment_max", true), entry("segment_min", false)};
}

}  // namespace hesse
