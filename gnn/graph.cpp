#include "gnn/graph.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "core/ops.h"
#include "core/segment.h"
#include "gnn/segments.h"

namespace hesse::gnn {
namespace {

Array vector_of(const std::vector<int64_t>& v) {
  return Array::from<int64_t>(v, {static_cast<int64_t>(v.size())});
}

// Where the segments of ids below n start.
std::vector<int64_t> starts_of(const std::vector<int64_t>& ids, int64_t n) {
  std::vector<int64_t> starts(static_cast<size_t>(n) + 1, 0);
  for (const int64_t i : ids) ++starts[static_cast<size_t>(i) + 1];
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  return starts;
}

// Positions in ascending order of ids, stable.
std::vector<int64_t> sorted_positions(const std::vector<int64_t>& ids, int64_t n) {
  std::vector<int64_t> next = starts_of(ids, n), order(ids.size());
  for (size_t e = 0; e < ids.size(); ++e)
    order[static_cast<size_t>(next[static_cast<size_t>(ids[e])]++)] = static_cast<int64_t>(e);
  return order;
}

std::vector<int64_t> picked(const std::vector<int64_t>& values, const std::vector<int64_t>& at) {
  std::vector<int64_t> result;
  result.reserve(at.size());
  for (const int64_t k : at) result.push_back(values[static_cast<size_t>(k)]);
  return result;
}

int64_t count_nodes(const std::vector<int64_t>& ends, const GraphArrays& arrays,
                    std::optional<int64_t> num_nodes) {
  if (num_nodes) {
    require(*num_nodes >= 0, "graph: num_nodes must not be negative, got ", *num_nodes);
    return *num_nodes;
  }
  for (const auto& [name, rows] : {std::pair{"x", &arrays.x}, std::pair{"pos", &arrays.pos}})
    if (*rows) {
      require((*rows)->ndim() >= 1, "graph: ", name, " must have a row per node, got a scalar");
      return (*rows)->dim(0);
    }
  return ends.empty() ? 0 : *std::max_element(ends.begin(), ends.end()) + 1;
}

void check_rows(const char* name, const std::optional<Array>& a, int64_t rows, const char* of_what) {
  if (a)
    require(a->ndim() >= 1 && a->dim(0) == rows, "graph: ", name, " must have a row for each of ", rows, " ",
            of_what, "s, got ", describe(*a));
}

void check_pool(const char* function, const Array& x, const Graph& g) {
  require(x.ndim() == 2 && x.dim(0) == g.num_nodes(), function, ": x must be [", g.num_nodes(),
          ", F] for this graph, got ", describe(x));
}

Array inverse(const Array& d, bool root) {
  const Array positive = d > 0.0, safe = where(positive, d, 1.0);
  return where(positive, root ? rsqrt(safe) : 1.0 / safe, 0.0);
}

}  // namespace

const Array& Graph::x() const {
  require(arrays.x.has_value(), "Graph: there are no features x");
  return *arrays.x;
}

Graph graph(const Array& edge_index, const GraphArrays& arrays, std::optional<int64_t> num_nodes) {
  require(edge_index.ndim() == 2 && edge_index.dim(0) == 2,
          "graph: edge_index must be [2, E], sources above targets, got ", describe(edge_index));
  require<TypeError>(is_integer(edge_index.dtype()), "graph: edge_index must hold integers, got ",
                     describe(edge_index));
  const std::vector<int64_t> ends = astype(edge_index, kInt64).to_vector<int64_t>();
  const auto half = static_cast<std::ptrdiff_t>(ends.size() / 2);
  const int64_t n = count_nodes(ends, arrays, num_nodes);
  const std::vector<int64_t> from(ends.begin(), ends.begin() + half), to(ends.begin() + half, ends.end());
  for (size_t e = 0; e < from.size(); ++e)
    require<IndexError>(from[e] >= 0 && from[e] < n && to[e] >= 0 && to[e] < n, "graph: edge ", e,
                        " goes from node ", from[e], " to node ", to[e], ", but nodes are 0 to ", n - 1,
                        " (num_nodes=", n, ")");
  const auto edges = static_cast<int64_t>(half);
  check_rows("x", arrays.x, n, "node");
  check_rows("pos", arrays.pos, n, "node");
  check_rows("edge_attr", arrays.edge_attr, edges, "edge");
  check_rows("edge_weight", arrays.edge_weight, edges, "edge");
  if (arrays.edge_weight)
    require(arrays.edge_weight->ndim() == 1, "graph: edge_weight must be one number per edge, got ",
            describe(*arrays.edge_weight), "; features of edges are edge_attr");

  const std::vector<int64_t> order = sorted_positions(to, n);
  const std::vector<int64_t> source = picked(from, order), target = picked(to, order);
  const std::vector<int64_t> by_source = sorted_positions(source, n);
  Graph g;
  g.source = vector_of(source);
  g.target = vector_of(target);
  g.order = vector_of(order);
  g.by_target = {vector_of(starts_of(target, n)), g.source, zeros({0}, kInt64)};
  g.by_source = {vector_of(starts_of(source, n)), vector_of(picked(target, by_source)), vector_of(by_source)};
  g.node_graph = zeros({n}, kInt64);
  g.node_starts = vector_of({0, n});
  g.arrays = arrays;
  if (!std::is_sorted(order.begin(), order.end()))
    for (std::optional<Array>* a : {&g.arrays.edge_attr, &g.arrays.edge_weight})
      if (*a) *a = gather(**a, g.order);
  return g;
}

Array edge_weights(const Graph& g, DType dtype) {
  return g.arrays.edge_weight ? *g.arrays.edge_weight : ones({g.num_edges()}, dtype);
}

sparse::CSR adjacency(const Graph& g, const std::optional<Array>& values) {
  const DType dtype = g.arrays.x ? g.arrays.x->dtype() : default_dtype();
  const Array data = values ? *values : edge_weights(g, dtype);
  require((data.ndim() == 1 || data.ndim() == 2) && data.shape()[0] == g.num_edges(),
          "adjacency: values must be a number, or one per head, for each of ", g.num_edges(), " edges, got ",
          describe(data));
  return {data, g.by_target, g.by_source};
}

Array in_degree(const Graph& g) {
  const int64_t n = g.num_nodes();
  return slice(g.by_target.starts, {1}, {n + 1}, {1}) - slice(g.by_target.starts, {0}, {n}, {1});
}

Graph normalised(const Graph& g, std::string_view kind) {
  require(kind == "sym" || kind == "rw" || kind == "left",
          "normalised: kind must be \"sym\", \"rw\" or \"left\", got \"", std::string(kind), "\"");
  const Array w = adjacency(g).data;
  const Array ids = kind == "left" ? g.source : g.target;
  const Array d = inverse(segment_sum(w, ids, g.num_nodes()), kind == "sym");
  Graph result = g;
  const Array scaled = gather(d, ids) * w;
  result.arrays.edge_weight = kind == "sym" ? scaled * gather(d, g.source) : scaled;
  return result;
}

Graph batch(const std::vector<Graph>& graphs) {
  require(!graphs.empty(), "batch: there are no graphs");
  if (graphs.size() == 1) return graphs[0];
  // Indices of every graph, moved up by what is before it; starts keep their last entry once.
  const auto shifted = [&](auto&& field, auto&& size, bool starts = false) {
    Arrays parts;
    int64_t before = 0;
    for (size_t k = 0; k < graphs.size(); ++k) {
      Array part = field(graphs[k]);
      if (starts && k + 1 < graphs.size()) part = slice(part, {0}, {part.dim(0) - 1}, {1});
      parts.push_back(part + before);
      before += size(graphs[k]);
    }
    return concatenate(parts);
  };
  const auto nodes = [](const Graph& g) { return g.num_nodes(); };
  const auto edges = [](const Graph& g) { return g.num_edges(); };
  Graph all;
  all.source = shifted([](const Graph& g) { return g.source; }, nodes);
  all.target = shifted([](const Graph& g) { return g.target; }, nodes);
  all.order = shifted([](const Graph& g) { return g.order; }, edges);
  all.by_target = {shifted([](const Graph& g) { return g.by_target.starts; }, edges, true), all.source,
                   zeros({0}, kInt64)};
  all.by_source = {shifted([](const Graph& g) { return g.by_source.starts; }, edges, true),
                   shifted([](const Graph& g) { return g.by_source.columns; }, nodes),
                   shifted([](const Graph& g) { return g.by_source.entries; }, edges)};
  all.node_graph =
      shifted([](const Graph& g) { return g.node_graph; }, [](const Graph& g) { return g.num_graphs(); });
  all.node_starts = shifted([](const Graph& g) { return g.node_starts; }, nodes, true);
  const auto joined = [&](const char* name, std::optional<Array> GraphArrays::*field) {
    Arrays parts;
    for (size_t k = 0; k < graphs.size(); ++k) {
      const std::optional<Array>& a = graphs[k].arrays.*field;
      require(a.has_value() == (graphs[0].arrays.*field).has_value(), "batch: of the graphs 0 and ", k,
              " one has no ", name);
      if (a) parts.push_back(a->ndim() == 0 ? reshape(*a, {1}) : *a);
    }
    if (!parts.empty()) all.arrays.*field = concatenate(parts);
  };
  joined("x", &GraphArrays::x);
  joined("edge_attr", &GraphArrays::edge_attr);
  joined("edge_weight", &GraphArrays::edge_weight);
  joined("pos", &GraphArrays::pos);
  joined("y", &GraphArrays::y);
  return all;
}

Array global_sum_pool(const Array& x, const Graph& g) {
  check_pool("global_sum_pool", x, g);
  return segment_sum(x, g.node_graph, g.num_graphs());
}
Array global_mean_pool(const Array& x, const Graph& g) {
  check_pool("global_mean_pool", x, g);
  return segment_mean(x, g.node_graph, g.node_starts.dim(0) - 1);
}
Array global_max_pool(const Array& x, const Graph& g) {
  check_pool("global_max_pool", x, g);
  return segments::maximum(x, g.node_graph, g.node_starts);
}

}  // namespace hesse::gnn
