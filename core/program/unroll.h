#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with every map of few examples that run one by one replaced by the equations of each example.
/// Small ones then lie in a block with the equations around them (`core/program/block.h`), without the map's
/// own overhead of some microseconds; large ones are joined entry by entry (`core/program/fuse.h`).
Ref<const Graph> unrolled(const Ref<const Graph>& g);

}  // namespace hesse
