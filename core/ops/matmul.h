#pragma once
#include "core/op.h"

namespace hesse {

/// y[..., i, j] = sum over k of x[..., i, k] y[..., k, j]: operands [batch..., m, k] and [batch..., k, n] of
/// one dtype and batch shape.
class MatMul final : public Linear {
 public:
  MatMul() : Linear(In::Each) {}
  std::string_view name() const override { return "matmul"; }
  double flops(std::span<const Aval> x, std::span<const Aval> out) const override {
    // An outer product has nothing to add.
    const auto k = static_cast<double>(x[0].shape.back());
    return (k == 1 ? 1 : 2 * k) * num_entries(out);
  }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  bool has_lane_kernel() const override { return true; }
  std::optional<Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                            std::span<const Aval> whole) const override;
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override;
};

}  // namespace hesse
