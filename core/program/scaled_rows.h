#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with products of matrices shared between what differs by a number s_i for each row i:
///     (s a) W = s (a W)   and   sum_j a_ij (g W^T)_ij = sum_c g_ic (a W)_ic,
/// where it has both for the same a and W: a W serves the two. So it is in training on forces, where features
/// a' = da/dr of a distance r enter a layer W: the force along r is the sum of a' (g W^T), and its derivative
/// meets (s a') W. Rounding differs. `g` itself where there is nothing to share.
Ref<const Graph> with_scaled_rows(const Ref<const Graph>& g);

}  // namespace hesse
