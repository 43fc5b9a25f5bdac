#pragma once
#include "gnn/graph.h"

/// Parts of large graphs, at random. Drawing one costs what the part holds, not what the graph does, and
/// takes one thread: several threads draw several. The same key gives the same part.
namespace hesse::gnn {

/// Some nodes of a graph with some of the edges between them.
struct Sample {
  Graph graph;  ///< nodes numbered anew; without arrays
  Array nodes;  ///< int64 [M]: which nodes these are
  Array edges;  ///< int64 [F]: which edges, by their positions in the large graph
};

/// The nodes given, and hop by hop what they hear of: of each node that the last hop found at most sizes[hop]
/// incoming edges without replacement, all of them for a negative size (Hamilton, Ying and Leskovec 2017).
/// The nodes given come first. Throws IndexError for a node out of range, ValueError for one given twice.
Sample neighbour_sample(const Array& key, const Graph& g, const Array& nodes, const Dims& sizes);

/// The edges into nodes of one type from nodes of another (or the same), types being numbers, and at most how
/// many of them are taken of each node, hop by hop.
struct Relation {
  int64_t source_type, target_type;
  sparse::Rows by_target;
  Dims sizes;
};

/// Some edges of a relation, in ascending order of their targets.
struct SampledEdges {
  Array edges;           ///< int64 [F]: which, by their positions in the large graph
  Array source, target;  ///< int64 [F]: their ends, nodes of each type numbered anew
};

/// neighbour_sample of a graph with several types: in every hop each relation takes edges of what the last
/// hop found of its target type, in the order of relations. `nodes` has the nodes of every type given,
/// `counts` how many there are; both are by type, and so are the nodes returned. Throws also ValueError for
/// relations that differ in their numbers of hops or name a type that there is not.
std::pair<Arrays, std::vector<SampledEdges>> neighbour_sample(const Array& key,
                                                              const std::vector<Relation>& relations,
                                                              const Dims& counts, const Arrays& nodes);

/// The nodes given with all edges between them. Throws as neighbour_sample does.
Sample induced_sample(const Graph& g, const Array& nodes);

/// Walks along outgoing edges, int64 [W, steps + 1], the first column being `starts`; where no edge leads on,
/// a walk stays. Having come from u, the next node x is taken with probability proportional to 1/p for x = u,
/// 1 where an edge leads from u to x, else 1/q (node2vec: Grover and Leskovec 2016, equation 2). Throws
/// IndexError for a node out of range, ValueError for negative steps and p or q that are not positive.
Array random_walks(const Array& key, const Graph& g, const Array& starts, int64_t steps, double p = 1.0,
                   double q = 1.0);

/// Nodes in `count` parts of nearly equal sizes with few edges between them, int64 [N] below `count`. Parts
/// grow from random nodes, breadth first, by a node each in turn; then nodes move to the part that most of
/// their neighbours are in while sizes stay within 5 %. Directions do not matter. Throws ValueError for a
/// count below 1.
Array clusters(const Array& key, const Graph& g, int64_t count);

}  // namespace hesse::gnn
