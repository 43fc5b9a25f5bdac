#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with the pull-backs of sparse products to their n values written as rows: the one to the value
/// at (i, j) is <ct_i, x_j>, or their entries' products, of gathered rows. They can then be part of what runs
/// on the rows of edges (core/program/row_chunks.h), and are not stored where it reads them at once. `g`
/// itself where there are none.
Ref<const Graph> with_entries_as_rows(const Ref<const Graph>& g, int64_t n);

}  // namespace hesse
