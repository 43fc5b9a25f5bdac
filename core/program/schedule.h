#pragma once
#include "core/graph.h"

namespace hesse {

/// What a tile adds to an accumulator: the sum over lanes of a value, or of outer products.
struct TileSum {
  int value = -1;                          ///< of the graph; -1 where it is a sum of outer products
  std::vector<std::pair<int, int>> outer;  ///< the sum of left right, which is not formed
  Aval of;                                 ///< what is accumulated
};

/// The equations of a tile in the order in which they run. Its graph has the inputs and constants of the
/// body; its outputs are the values that outlive the tile, followed by nothing else.
struct Schedule {
  Ref<const Graph> graph;
  std::vector<TileSum> sums;
};

/// The equations of `body` as they come; those of `unformed` values left out.
Schedule as_recorded(const Graph& body, const std::vector<int>& kept, const std::vector<int>& unformed,
                     std::vector<TileSum> sums);

/// Orders equations so that few values live at a time. In the order of recording, a derivative runs stream by
/// stream, and everything waits for the last one. Here all that needs the same number of products before it
/// runs together (layer by layer), entry-by-entry equations of one shape next to each other.
/// Sums are counted as readers: they are added as soon as their operands are known.
Schedule by_levels(const Schedule& s);

/// Makes cheap values (one instruction an entry) again before a late use instead of keeping them, where their
/// operands are known there anyway.
Schedule with_recomputation(const Schedule& s);

}  // namespace hesse
