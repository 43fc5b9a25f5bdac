#pragma once
#include "core/array.h"

namespace hesse::cpu {

/// out = x y for [batch..., m, k, lanes...] and [batch..., k, n, lanes...], any strides.
void matmul(const View& x, const View& y, const View& out, int lane_axes);

}  // namespace hesse::cpu
