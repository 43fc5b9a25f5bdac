#pragma once
#include "core/array.h"

/// Sums over the examples of a tile.
namespace hesse {

/// acc[features...] += sum over the last axis of v, in an order that depends on its length, its strides and,
/// for contiguous floats, the width of a vector.
void add_lane_sums(const View& v, const View& acc);
/// acc[m, n] += sum over lanes and terms of a[m, lanes] b[n, lanes]^T. 2 m n lanes flops a term.
void add_outer_products(std::span<const std::pair<View, View>> terms, const View& acc);

}  // namespace hesse
