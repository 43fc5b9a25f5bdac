#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with its maps over the same examples joined: they and the equations between them that work row
/// by row, the reductions over rows included, become one map that runs once over tiles. The value and the
/// gradient of a mean over points then share their forward pass, and nothing of the size of all points is
/// stored between them.
///
/// What depends on a sum over all examples cannot be in the map that forms it: maps are joined by levels, the
/// number of such sums behind them.
Ref<const Graph> fused(const Ref<const Graph>& g);

}  // namespace hesse
