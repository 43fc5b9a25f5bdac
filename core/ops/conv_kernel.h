#pragma once
#include "core/ops/conv.h"

/// Loops of convolutions on strided memory: columns of patches and matrix products.
namespace hesse::conv_kernel {

/// Every geometry in three spatial dimensions, leading ones of length one. `pos` are the lengths of the
/// output.
struct Plan {
  int64_t batch, groups, in_channels, out_channels;  // channels of one group
  int64_t in[3], kernel[3], pos[3], stride[3], dilation[3], before[3];
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t rows() const { return pos[0] * pos[1]; }
};
/// `x` [N, C, spatial...] and `w` [O, C/groups, kernel...] give the lengths.
Plan make_plan(const ConvGeometry& g, const Shape& x, const Shape& w);

void forward(const Plan& p, const View& x, const View& w, const View& y);
void to_input(const Plan& p, const View& y, const View& w, const View& x);
void to_weight(const Plan& p, const View& x, const View& y, const View& w);
/// Flat indices of the largest entries; p.kernel is the window.
void pool_index(const Plan& p, const View& x, const View& out);

}  // namespace hesse::conv_kernel
