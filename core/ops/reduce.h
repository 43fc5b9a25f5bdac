#pragma once
#include "core/op.h"
#include "core/ops.h"

namespace hesse {

/// What every reduction shares: axes (normalised, sorted, not empty) that go, or stay with length one.
struct ReduceParams {
  Axes axes;
  bool keepdims = false;
  Params params() const { return {{"axes", axes}, {"keepdims", keepdims}}; }
  Shape out_shape(const Shape& x) const;
  /// How many entries of a shape are combined into one.
  int64_t count(const Shape& x) const;
  /// y, of the output's shape, spread over the operand's: the transpose of a sum.
  Array spread(const Array& y, const Shape& x) const;
  /// The reduction within one row, and the axis of rows in its result.
  std::pair<ReduceParams, RowAxis> in_row(RowAxis rows) const;
  bool goes_over(int64_t axis) const;
};

/// y = sum of x over axes. The operand's dtype is the result's: `sum` widens integers before.
class ReduceSum final : public Linear {
 public:
  ReduceSum(Axes axes, bool keepdims) : p_{std::move(axes), keepdims} {}
  const ReduceParams& reduction() const { return p_; }
  std::string_view name() const override { return "sum"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override { return p_.params(); }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override;
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override;

 private:
  ReduceParams p_;
};

/// y = product of x over axes, integers widened before.
class ReduceProd final : public General {
 public:
  ReduceProd(Axes axes, bool keepdims) : p_{std::move(axes), keepdims} {}
  std::string_view name() const override { return "prod"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override { return p_.params(); }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override;
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override;
  bool reads_output(int) const override { return false; }

 private:
  ReduceParams p_;
};

/// The largest or least entry over axes; NaN wins.
class ReduceExtremum final : public General {
 public:
  ReduceExtremum(bool largest, Axes axes, bool keepdims) : largest_(largest), p_{std::move(axes), keepdims} {}
  std::string_view name() const override { return largest_ ? "max" : "min"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override { return p_.params(); }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override;

  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override;

 private:
  bool largest_;
  ReduceParams p_;
};

/// Whether all or any of the booleans over axes are true.
class ReduceLogical final : public NonDifferentiable {
 public:
  ReduceLogical(bool all, Axes axes, bool keepdims) : all_(all), p_{std::move(axes), keepdims} {}
  std::string_view name() const override { return all_ ? "all" : "any"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override { return num_entries(x[0]); }
  Params params() const override { return p_.params(); }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }

  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override;

 private:
  bool all_;
  ReduceParams p_;
};

/// The axes a reduction of x goes over: all of them for nullopt.
Axes reduced_axes(std::string_view function, const Array& x, const OptAxes& axes);
/// The dtype in which sums and products of `t` are formed: integers and booleans widen to 64 bits.
DType widened(DType t);

}  // namespace hesse
