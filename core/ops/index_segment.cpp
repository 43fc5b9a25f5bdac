// Rows reduced by segment: message passing, pooling over graphs.
#include <limits>

#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/index_gather.h"

namespace hesse {
namespace {

/// y[s] = the largest of the rows x[i] with ids[i] == s, entry by entry; -inf, the least integer or false
/// where there are none. NaN wins. Inputs x, ids.
class SegmentMax final : public General {
 public:
  SegmentMax(int64_t length, IndexRule rule) : length_(length), rule_(std::move(rule)) {}
  std::string_view name() const override { return "segment_max"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override { return {{"length", length_}}; }
  Avals infer(std::span<const Aval> x) const override {
    require<TypeError>(!is_complex(x[0].dtype) && x[0].dtype != DType::Key, "segment_max: ", x[0].dtype,
                       " values have no order");
    Shape shape = x[0].shape;
    shape[0] = length_;
    return {{shape, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    visit_dtype(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_arithmetic_v<T>) {
        constexpr T least = std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                                        : std::numeric_limits<T>::lowest();
        for_each_run<1>(out[0].shape, {out[0].strides},
                        [&](const Offsets<1>& at, int64_t n, const Offsets<1>& step) {
                          for (int64_t k = 0; k < n; ++k) out[0].as<T>()[at[0] + k * step[0]] = least;
                        });
        combine_rows<T>(out[0], x[1], x[0], rule_, lane_axes,
                        [](T& t, T r) { t = t >= r || t != t ? t : r; });
      }
    });
  }
  bool has_lane_kernel() const override { return true; }
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
  int64_t length_;
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
  return apply1(make_op<SegmentMax>(num_segments, IndexRule{"segment_max", 0, false, false}), {x, ids});
}

OpFamily families::segments() {
  return {{"segment_max", [](const ReadParams& p) {
             return make_op<SegmentMax>(p["length"], IndexRule{"segment_max", 0, false, false});
           }}};
}

}  // namespace hesse
