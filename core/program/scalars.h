#pragma once
#include <optional>

#include "core/graph.h"

namespace hesse {

/// The graph with every array taken apart: inputs, outputs and values are scalars (the entries of the arrays
/// in row-major order, one after the other), and every equation works on one entry. What only moves entries
/// (views, joins, gathers at constant places) vanishes; sums, products of matrices, and linear systems become
/// what they compute; what is constant is computed. A zero times NaN or infinity is NaN, as in the graph.
/// nullopt where an equation cannot be taken apart (loops, decompositions other than LU, random numbers,
/// gathers at places that are computed), or where more than `most` equations would come out.
/// Results are those of the graph to rounding: sums are formed in order, and the rows of a linear system are
/// ordered by exchanges, which are selections.
std::optional<Ref<const Graph>> scalarised(const Graph& g, int64_t most);

}  // namespace hesse
