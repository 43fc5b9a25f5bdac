#pragma once
#include "core/op.h"

namespace hesse {

/// The geometry of a convolution, per spatial dimension (1 to 3), in full.
struct ConvGeometry {
  Dims stride, dilation, before, after;  // `before` and `after`: zeros around x
  int64_t groups = 1;
  Params params() const;
  /// The length of the output along dimension d, or a non-positive number where the kernel does not fit.
  int64_t out_length(size_t d, int64_t length, int64_t kernel) const;
};

/// y[n, o, p] = sum over c, k of x[n, c, p stride + k dilation - before] w[o, c, k], within each group of
/// channels: x [N, C, spatial...], w [O, C/groups, kernel...], y [N, O, out...].
class Conv final : public Linear {
 public:
  explicit Conv(ConvGeometry g) : Linear(In::Each), g_(std::move(g)) {}
  std::string_view name() const override { return "conv"; }
  double flops(std::span<const Aval> x, std::span<const Aval> out) const override {
    return 2 * num_entries(out) * num_entries(x[1]) / static_cast<double>(x[1].shape[0]);
  }
  Params params() const override { return g_.params(); }
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override;

 private:
  ConvGeometry g_;
};

/// The transpose of Conv in x: (y, w) -> x, of spatial lengths `spatial`.
class ConvToInput final : public Linear {
 public:
  ConvToInput(ConvGeometry g, Dims spatial)
      : Linear(In::Each), g_(std::move(g)), spatial_(std::move(spatial)) {}
  std::string_view name() const override { return "conv_to_input"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2 * num_entries(x[0]) * num_entries(x[1]) / static_cast<double>(x[1].shape[0]);
  }
  Params params() const override;
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override;

 private:
  ConvGeometry g_;
  Dims spatial_;
};

/// The transpose of Conv in w: (x, y) -> w, of kernel lengths `kernel`.
class ConvToWeight final : public Linear {
 public:
  ConvToWeight(ConvGeometry g, Dims kernel)
      : Linear(In::Each), g_(std::move(g)), kernel_(std::move(kernel)) {}
  std::string_view name() const override { return "conv_to_weight"; }
  double flops(std::span<const Aval> x, std::span<const Aval> out) const override {
    return 2 * num_entries(x[1]) * num_entries(out) / static_cast<double>(out[0].shape[0]);
  }
  Params params() const override;
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override;

 private:
  ConvGeometry g_;
  Dims kernel_;
};

/// The index among the flattened spatial axes of the largest entry of every window of x [N, C, spatial...];
/// the first of equals, and the first NaN before any number.
class PoolIndex final : public NonDifferentiable {
 public:
  PoolIndex(ConvGeometry g, Dims window) : g_(std::move(g)), window_(std::move(window)) {}
  std::string_view name() const override { return "pool_index"; }
  Params params() const override;
  Avals infer(std::span<const Aval> x) const override;
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override;

 private:
  ConvGeometry g_;
  Dims window_;
};

}  // namespace hesse
