#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with its small equations gathered in blocks: one equation each, laid out once for operands of
/// the same strides, which then runs without allocating, and its entry-by-entry steps without views. A chain
/// of a hundred operations on eight numbers is bound by what calling them costs; in a block that is some 20
/// ns each.
///
/// A block takes all that needs as many other equations (maps, loops, large arrays) before it. Effects
/// keep their order; graphs with run-time lengths stay as they are.
Ref<const Graph> blocked(const Ref<const Graph>& g);

}  // namespace hesse
