#pragma once
#include "core/array.h"

namespace hesse {

/// acc[features...] += the sum over the last axis of v, in eight interleaved partial sums: any strides and
/// dtype.
void add_lane_sums(const View& v, const View& acc);

}  // namespace hesse
