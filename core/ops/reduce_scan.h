#pragma once
#include "core/ops/rows.h"

/// Running sums, products and linear recurrences along one axis, from its first entry on or, reversed, from
/// its last.
namespace hesse {

/// y_k = x_0 + ... + x_k; reversed: x_k + ... + x_{n-1}.
class CumSum final : public Linear {
 public:
  CumSum(int64_t axis, bool reverse) : axis_(axis), reverse_(reverse) {}
  std::string_view name() const override { return "cumsum"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override { return {{"axis", axis_}, {"reverse", reverse_}}; }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    return on_row_along(x, axes, axis_, [&](int64_t a) { return make_op<CumSum>(a, reverse_); });
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override;

 private:
  int64_t axis_;
  bool reverse_;
};

/// y_k = x_0 ... x_k; reversed: x_k ... x_{n-1}.
class CumProd final : public General {
 public:
  CumProd(int64_t axis, bool reverse) : axis_(axis), reverse_(reverse) {}
  std::string_view name() const override { return "cumprod"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override { return {{"axis", axis_}, {"reverse", reverse_}}; }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    return on_row_along(x, axes, axis_, [&](int64_t a) { return make_op<CumProd>(a, reverse_); });
  }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override;

 private:
  int64_t axis_;
  bool reverse_;
};

/// z_k = a_k z_{k-1} + b_k, z_0 = b_0: linear in b. The tangent of a running product and of itself, and, run
/// the other way, its own transpose.
class LinearRecurrence final : public Op {
 public:
  LinearRecurrence(int64_t axis, bool reverse) : axis_(axis), reverse_(reverse) {}
  std::string_view name() const override { return "linear_recurrence"; }
  Params params() const override { return {{"axis", axis_}, {"reverse", reverse_}}; }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval>) const override {
    return on_row_along(x, axes, axis_, [&](int64_t a) { return make_op<LinearRecurrence>(a, reverse_); });
  }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override;
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override;
  bool is_linear_in(const std::vector<bool>& marked) const override { return !marked[0]; }
  bool reads_input(int i) const override { return i == 0; }

 private:
  int64_t axis_;
  bool reverse_;
};

/// x moved by one place along the axis, away from its first entry (reversed: its last), `fill` where nothing
/// is left.
Array shifted(const Array& x, int64_t axis, bool reverse, double fill);
/// CumProd of x.
Array running_product(const Array& x, int64_t axis, bool reverse);

}  // namespace hesse
