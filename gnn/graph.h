#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "core/sparse.h"
#include "core/tree.h"

/// Graphs of nodes and edges, or several side by side. Edges are kept sorted by target, in the order given
/// within one target: sums over incoming edges need no atomics and give the same bits for any number of
/// threads.
namespace hesse::gnn {

/// What belongs to a graph of N nodes and E edges, all optional; arrays of edges in the order of the edges.
struct GraphArrays {
  std::optional<Array> x;            ///< [N, F] features of nodes
  std::optional<Array> edge_attr;    ///< [E, ...] features of edges
  std::optional<Array> edge_weight;  ///< [E]
  std::optional<Array> pos;          ///< [N, D] positions
  std::optional<Array> y;            ///< targets: [N, ...] of nodes or [G, ...] of graphs
  auto fields() {
    return hesse::fields("x", x, "edge_attr", edge_attr, "edge_weight", edge_weight, "pos", pos, "y", y);
  }
};

/// A tree; sizes are read from shapes, so that a compiled function serves all graphs of the same sizes.
struct Graph {
  Array source, target;           ///< int64 [E], sorted by target
  Array order;                    ///< int64 [E]: which edge, as given, is at a position
  sparse::Rows by_target;         ///< starts [N + 1]; columns: the sources
  sparse::Rows by_source;         ///< starts [N + 1]; columns: the targets; entries: positions of edges
  Array node_graph, node_starts;  ///< int64 [N] and [G + 1]: which graph a node is of, where graphs start
  GraphArrays arrays;

  int64_t num_nodes() const { return by_target.starts.shape()[0] - 1; }
  int64_t num_edges() const { return source.shape()[0]; }
  int64_t num_graphs() const { return node_starts.shape()[0] - 1; }
  /// The features of nodes. Throws ValueError without any.
  const Array& x() const;
  auto fields() {
    return hesse::fields("source", source, "target", target, "order", order, "by_target", by_target,
                         "by_source", by_source, "node_graph", node_graph, "node_starts", node_starts,
                         "arrays", arrays);
  }
};

/// A graph from edges [2, E], sources above targets; duplicates and self-loops are kept, nodes without edges
/// allowed. num_nodes: by default the rows of x or pos, else the largest index plus one. Needs data (not
/// under a trace). Throws IndexError naming the edge for an index out of range, TypeError for indices that
/// are no integers, ValueError for arrays whose lengths do not fit.
Graph graph(const Array& edge_index, const GraphArrays& arrays = {}, std::optional<int64_t> num_nodes = {});

/// A[target, source] = value: products sum over incoming edges. Values [E] or [E, heads], by
/// default edge_weight or ones. Throws ValueError for others.
sparse::CSR adjacency(const Graph& g, const std::optional<Array>& values = {});
/// edge_weight, or ones of the dtype.
Array edge_weights(const Graph& g, DType dtype);
/// How many edges end in each node, int64 [N].
Array in_degree(const Graph& g);
/// Edge weights divided by degrees (sums of weights), 0 where a degree is 0: "sym" w_ij / sqrt(d_i d_j) (Kipf
/// and Welling 2017), "rw" w_ij / d_i, both by incoming edges; "left" w_ij / d_j by outgoing ones. Throws
/// ValueError for another word.
Graph normalised(const Graph& g, std::string_view kind = "sym");

/// The disjoint union: nodes and edges of one graph after the other. Throws ValueError without graphs, or
/// where one has an array that another lacks.
Graph batch(const std::vector<Graph>& graphs);

/// Rows of x summed, averaged, or their largest entries, over the nodes of every graph: [N, F] -> [G, F]; 0
/// for a graph without nodes. Throws ValueError where rows do not fit.
Array global_sum_pool(const Array& x, const Graph& g);
Array global_mean_pool(const Array& x, const Graph& g);
Array global_max_pool(const Array& x, const Graph& g);

}  // namespace hesse::gnn
