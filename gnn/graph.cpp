#include "gnn/graph.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <string>

#include "core/ops.h"
#include "core/segment.h"
#include "gnn/segments.h"

namespace hesse::gnn {
namespace {

using Indices = std::span<const int64_t>;

Array indices(int64_t n) { return Array::uninitialized({n}, kInt64); }
int64_t* data(const Array& a) { return a.view().as<int64_t>(); }
Indices values(const Array& a) { return {data(a), static_cast<size_t>(a.size())}; }

// What belongs to ids below n in their order, stable.
struct Sorted {
  Array starts;    // [n + 1]: where the entries of an id start
  Array order;     // [E]: which entry is at a position
  Array partners;  // [E]: what is at the same place in another list
};

// By counting. Writes to random places of long arrays miss the caches and the tables of addresses, so entries
// are brought near to their places first, block of ids by block: 3.2 s become 0.6 for 1e7 entries and 1e6
// ids.
Sorted sorted_by(Indices ids, Indices partners, int64_t n) {
  const auto count = static_cast<int64_t>(ids.size());
  const Sorted result{indices(n + 1), indices(count), indices(count)};
  int64_t* const starts = data(result.starts);
  std::fill_n(starts, n + 1, 0);
  for (const int64_t i : ids) ++starts[i + 1];
  std::partial_sum(starts, starts + n + 1, starts);
  std::vector<int64_t> next(starts, starts + n);
  const auto put = [&, order = data(result.order), sorted = data(result.partners)](int64_t id, int64_t entry,
                                                                                   int64_t partner) {
    const int64_t at = next[static_cast<size_t>(id)]++;
    order[at] = entry;
    sorted[at] = partner;
  };
  if (count < (1 << 16)) {
    for (size_t e = 0; e < ids.size(); ++e) put(ids[e], static_cast<int64_t>(e), partners[e]);
    return result;
  }
  int shift = 0;
  while ((n >> shift) >= 1024) ++shift;
  struct Entry {
    int64_t id, entry, partner;
  };
  std::vector<Entry> near(ids.size());
  std::vector<int64_t> at;
  for (int64_t id = 0; id < n; id += int64_t{1} << shift) at.push_back(starts[id]);
  for (size_t e = 0; e < ids.size(); ++e)
    near[static_cast<size_t>(at[static_cast<size_t>(ids[e] >> shift)]++)] = {ids[e], static_cast<int64_t>(e),
                                                                             partners[e]};
  for (const Entry& e : near) put(e.id, e.entry, e.partner);
  return result;
}

// Every id as often as it comes.
Array repeated(Indices starts, int64_t count) {
  const Array result = indices(count);
  int64_t* const ids = data(result);
  for (size_t i = 0; i + 1 < starts.size(); ++i)
    std::fill(ids + starts[i], ids + starts[i + 1], static_cast<int64_t>(i));
  return result;
}

int64_t count_nodes(Indices ends, const GraphArrays& arrays, std::optional<int64_t> num_nodes) {
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
  const Indices from = Indices(ends).first(ends.size() / 2), to = Indices(ends).last(ends.size() / 2);
  const int64_t n = count_nodes(ends, arrays, num_nodes);
  for (size_t e = 0; e < from.size(); ++e)
    require<IndexError>(from[e] >= 0 && from[e] < n && to[e] >= 0 && to[e] < n, "graph: edge ", e,
                        " goes from node ", from[e], " to node ", to[e], ", but nodes are 0 to ", n - 1,
                        " (num_nodes=", n, ")");
  const auto edges = static_cast<int64_t>(from.size());
  check_rows("x", arrays.x, n, "node");
  check_rows("pos", arrays.pos, n, "node");
  check_rows("edge_attr", arrays.edge_attr, edges, "edge");
  check_rows("edge_weight", arrays.edge_weight, edges, "edge");
  if (arrays.edge_weight)
    require(arrays.edge_weight->ndim() == 1, "graph: edge_weight must be one number per edge, got ",
            describe(*arrays.edge_weight), "; features of edges are edge_attr");

  const Sorted by_target = sorted_by(to, from, n);
  Graph g;
  g.order = by_target.order;
  g.source = by_target.partners;
  g.target = repeated(values(by_target.starts), edges);
  g.by_target = {by_target.starts, g.source, zeros({0}, kInt64)};
  const Sorted by_source = sorted_by(values(g.source), values(g.target), n);
  g.by_source = {by_source.starts, by_source.partners, by_source.order};
  g.node_graph = zeros({n}, kInt64);
  g.node_starts = Array::from<int64_t>({0, n});
  g.arrays = arrays;
  if (const Indices order = values(g.order); !std::is_sorted(order.begin(), order.end()))
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
