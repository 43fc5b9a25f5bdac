#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with products of matrices in the bodies of its maps taken apart where that costs less:
///     (W + a D H) X = W X + a (D (H X)),   (A B) X = A (B X),
/// and the same from the left. W is the same in all examples, an update D H has few columns in D: so are the
/// adapted weights of meta-learning. What was multiplied is then often not formed at all. Rounding differs.
Ref<const Graph> with_low_rank_products(const Ref<const Graph>& g);

}  // namespace hesse
