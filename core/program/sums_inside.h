#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with additions of sums over the same examples inside their map: sum(x) + sum(y) = sum(x + y),
/// where nothing else reads the two. Programs in batched form sum every cotangent of a parameter on its own;
/// seen as one, they pass backwards through a network as one (core/program/collapse.h).
Ref<const Graph> with_sums_inside(const Ref<const Graph>& g);

}  // namespace hesse
