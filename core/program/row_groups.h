#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with what works row by row on nodes, edges and graphs (core/program/row_spaces.h) run for a few
/// whole graphs of a batch at a time (core/program/grouped_rows.h), where values with many rows are too large
/// to stay in cache. Which graphs there are is only seen in the indices, at every run; where they are one, or
/// too large, the equations run as `with_row_chunks` leaves them.
Ref<const Graph> with_row_groups(const Ref<const Graph>& g);

}  // namespace hesse
