#pragma once
#include "core/graph.h"

namespace hesse {

/// An op that stands for equations as long as there may be derivatives: a program runs those instead, joined
/// with what is around them.
class Expands {
 public:
  virtual ~Expands() = default;
  virtual Arrays expanded(std::span<const Array> x) const = 0;
};
/// The graph, and the bodies of its maps, with those equations.
Ref<const Graph> expanded(const Ref<const Graph>& g);

/// The graph with every map of few examples that run one by one replaced by the equations of each example.
/// Small ones then lie in a block with the equations around them (`core/program/block.h`), without the map's
/// own overhead of some microseconds; large ones are joined entry by entry (`core/program/fuse.h`).
Ref<const Graph> unrolled(const Ref<const Graph>& g);

}  // namespace hesse
