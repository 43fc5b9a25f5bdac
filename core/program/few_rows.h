#pragma once
#include "core/graph.h"

namespace hesse {

/// The graph with what is computed of all rows, where only the few that a gather reads are wanted, computed
/// of these alone: f(x)[i] = f(x[i]) for what works entry by entry, (x w)[i] = x[i] w, and rows of products
/// with sparse matrices. So are the labelled nodes of a graph. And transposed, for the derivatives: what
/// reads zeros to which few rows were added (scatter_add) reads these, where it is a sum over rows or a
/// product. Terms that are zero are left out, so NaN and infinity that only meet them do not come out; and
/// what is out of range in rows that nobody wants is not reported, as in all that programs leave out.
Ref<const Graph> with_few_rows(const Ref<const Graph>& g);

}  // namespace hesse
