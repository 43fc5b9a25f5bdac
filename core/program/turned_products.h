#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with sums of outer products over rows, x^T y of [p, q], as the transpose of y^T x where rows of
/// p numbers fill vectors better than those of q: a gradient of weights by 50 features. Sums of such
/// transposes are transposed once, so that one accumulator serves all terms of a gradient. Rounding may
/// differ.
Ref<const Graph> with_turned_products(const Ref<const Graph>& g);

}  // namespace hesse
