#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/rows.h"
#include "core/ops/view_loops.h"

/// Positions of extrema.
namespace hesse {
namespace {

/// The index of the first largest or least entry along one axis, int64; the first NaN wins.
class ArgExtremum final : public NonDifferentiable {
 public:
  ArgExtremum(bool largest, int64_t axis) : largest_(largest), axis_(axis) {}
  std::string_view name() const override { return largest_ ? "argmax" : "argmin"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override { return {{"axis", axis_}}; }
  Avals infer(std::span<const Aval> x) const override {
    require<TypeError>(x[0].dtype != kKey && !is_complex(x[0].dtype), name(), ": x must be real, got ",
                       describe(x[0].shape, x[0].dtype));
    Shape out = x[0].shape;
    const auto a = static_cast<size_t>(axis_);
    require(out[a] != 0, name(), ": x of shape ", out, " is empty along axis ", axis_,
            "; guard against the empty case");
    out.erase(a);
    return {{out, kInt64}};
  }
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    return on_row_along(
        x, axes, axis_, [&](int64_t a) { return make_op<ArgExtremum>(largest_, a); }, true);
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_dtype(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_arithmetic_v<T>) {
        if (largest_)
          run<T>(x[0], out[0], [](T a, T b) { return a > b; });
        else
          run<T>(x[0], out[0], [](T a, T b) { return a < b; });
      }
    });
  }

 private:
  template <class T, class Better>
  void run(const View& x, const View& out, Better better) const {
    const auto a = static_cast<size_t>(axis_);
    const int64_t n = x.shape[a], stride = x.strides[a];
    Strides strides = x.strides;
    strides.erase(a);
    for_each_run<2>(out.shape, {strides, out.strides},
                    [&](const Offsets<2>& at, int64_t length, const Offsets<2>& steps) {
                      for (int64_t i = 0; i < length; ++i) {
                        const T* p = x.as<T>() + at[0] + i * steps[0];
                        int64_t best = 0;
                        for (int64_t k = 1; k < n; ++k) {
                          const T v = p[k * stride], b = p[best * stride];
                          if (better(v, b) || (v != v && b == b)) best = k;
                        }
                        out.as<int64_t>()[at[1] + i * steps[1]] = best;
                      }
                    });
  }
  bool largest_;
  int64_t axis_;
};

Array arg_extremum(bool largest, const Array& x, OptAxis axis, bool keepdims) {
  const char* const function = largest ? "argmax" : "argmin";
  const int64_t a = axis ? normalize_axis(function, *axis, x.ndim()) : 0;
  const Array index = apply1(make_op<ArgExtremum>(largest, a), {axis ? x : flatten(x)});
  if (!keepdims) return index;
  return axis ? expand_dims(index, {a}) : reshape(index, Shape(x.ndim(), 1));
}

}  // namespace

Array argmax(const Array& x, OptAxis axis, bool keepdims) { return arg_extremum(true, x, axis, keepdims); }
Array argmin(const Array& x, OptAxis axis, bool keepdims) { return arg_extremum(false, x, axis, keepdims); }

OpFamily families::extrema_positions() {
  return {{"argmax", [](const ReadParams& p) { return make_op<ArgExtremum>(true, p["axis"]); }},
          {"argmin", [](const ReadParams& p) { return make_op<ArgExtremum>(false, p["axis"]); }}};
}

}  // namespace hesse
