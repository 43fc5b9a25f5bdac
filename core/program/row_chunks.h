#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with equations in batched form on the same many rows (core/program/batch.h) run on a few rows at
/// a time (core/program/chunked_rows.h): products with matrices that all rows share, and what is computed
/// entry by entry between them. Of what lies between, nothing of the size of all rows is stored; what a later
/// chunk can compute again from no more memory than reading it takes is not stored either. Rows stay as they
/// are, where the tiles of a map turn them into lanes: only what is too wide for maps is run so.
Ref<const Graph> with_row_chunks(const Ref<const Graph>& g);

}  // namespace hesse
