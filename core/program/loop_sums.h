#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with v + (what a loop adds up from zero on) as what the loop adds up from v on. Reverse mode
/// sums the cotangents of a parameter in every loop it passes and adds the sum to that of the loop around:
/// one sum is left.
Ref<const Graph> with_sums_begun(const Ref<const Graph>& g);

}  // namespace hesse
