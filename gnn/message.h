#pragma once
#include <functional>

#include "gnn/graph.h"

namespace hesse::gnn {

/// What becomes of the messages that arrive at a node; a node without edges gets 0.
enum class Reduce { Sum, Mean, Max, Min };

/// The message of ONE edge, from the rows of its target, of its source, and of the edge (a scalar 0 without
/// edge features). What it captures is the same for all edges.
using Message = std::function<Array(const Array& target, const Array& source, const Array& edge)>;

/// y_i = reduce over j of message(x_i, x_j, e_ij) (Gilmer et al., arXiv:1704.01212, 2017): x [N, ...] and
/// edge [E, ...] in the graph's order of edges -> [N, ...]. Sums and means are maps over edges, forwards and
/// backwards: what leads to a message lives in a tile, and messages are written once and added. Max and min
/// store all of them. Throws
/// ValueError where rows do not fit.
Array message_passing(const Message& message, Reduce reduce, const Array& x, const Graph& g,
                      const std::optional<Array>& edge = {});

}  // namespace hesse::gnn
