#pragma once
#include "core/op.h"

namespace hesse {

/// What every reduction shares: axes (normalised, sorted, not empty) that go, or stay with length one.
struct ReduceParams {
  Axes axes;
  bool keepdims = false;
  Params params() const { return {{"axes", axes}, {"keepdims", keepdims}}; }
  Shape out_shape(const Shape& x) const;
  /// y, of the output's shape, spread over the operand's: the transpose of a sum.
  Array spread(const Array& y, const Shape& x) const;
};

/// y = sum of x over axes. The operand's dtype is the result's: `sum` widens integers before.
class ReduceSum final : public Linear {
 public:
  ReduceSum(Axes axes, bool keepdims) : p_{std::move(axes), keepdims} {}
  const ReduceParams& reduction() const { return p_; }
  std::string_view name() const override { return "sum"; }
  Params params() const override { return p_.params(); }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override;

 private:
  ReduceParams p_;
};

}  // namespace hesse
