#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "gnn/sample.h"

/// hesse._hesse.gnn: graphs by their arrays and parts of them, documented in hesse/gnn/_edges.py and
/// _sample.py.
namespace hesse::python {

using namespace py::literals;

namespace {
using A = const Array&;
using Parts = std::tuple<Array, Array, Array, Array, Array, Array, Array, Array>;

gnn::Graph by_target(A starts, A source) {
  gnn::Graph g;
  g.by_target = {starts, source, {}};
  return g;
}
Parts parts(const gnn::Sample& s) {
  const gnn::Graph& g = s.graph;
  return {s.nodes,
          s.edges,
          g.source,
          g.target,
          g.by_target.starts,
          g.by_source.starts,
          g.by_source.columns,
          g.by_source.entries};
}
}  // namespace

void init_gnn(py::module_& m) {
  py::module_ s = m.def_submodule("gnn");
  define_heavy(
      s, "sorted_edges",
      [](A edge_index, int64_t num_nodes) {
        const gnn::Graph g = gnn::graph(edge_index, {}, num_nodes);
        return std::tuple(g.source, g.target, g.order, g.by_target.starts, g.by_source.starts,
                          g.by_source.entries, g.by_source.columns);
      },
      "edge_index"_a, "num_nodes"_a, py::pos_only(),
      "source, target, order, target_starts, source_starts, by_source, targets_by_source.");
  define(
      s, "neighbour_sample",
      [](A key, A starts, A source, A nodes, const Dims& sizes) {
        return parts(gnn::neighbour_sample(key, by_target(starts, source), nodes, sizes));
      },
      "key"_a, "target_starts"_a, "source"_a, "nodes"_a, "sizes"_a, py::pos_only(),
      "nodes, edges, source, target, target_starts, source_starts, targets_by_source, by_source.");
  define(
      s, "typed_neighbour_sample",
      [](A key, const Dims& types, const Arrays& starts, const Arrays& sources, const Dims& sizes,
         const Dims& counts, const Arrays& nodes) {
        const size_t relations = starts.size();
        require(sources.size() == relations && types.size() == 2 * relations &&
                    (relations == 0 ? sizes.empty() : sizes.size() % relations == 0),
                "typed_neighbour_sample: of ", relations, " relations there are ", types.size(), " types, ",
                sources.size(), " lists of sources and ", sizes.size(), " sizes");
        const size_t hops = relations ? sizes.size() / relations : 0;
        const std::span<const int64_t> all_sizes(sizes.begin(), sizes.size());
        std::vector<gnn::Relation> all;
        for (size_t r = 0; r < relations; ++r)
          all.push_back({types[2 * r],
                         types[2 * r + 1],
                         {starts[r], sources[r], {}},
                         Dims(all_sizes.subspan(r * hops, hops))});
        auto [found, edges] = gnn::neighbour_sample(key, all, counts, nodes);
        for (const gnn::SampledEdges& e : edges) found.insert(found.end(), {e.edges, e.source, e.target});
        return found;
      },
      "key"_a, "types"_a, "target_starts"_a, "sources"_a, "sizes"_a, "counts"_a, "nodes"_a, py::pos_only(),
      "The nodes of every type, then edges, source and target of every relation; types: its source and "
      "target "
      "type, sizes: its hops, one relation after the other.");
  define(
      s, "induced_sample",
      [](A starts, A source, A nodes) {
        return parts(gnn::induced_sample(by_target(starts, source), nodes));
      },
      "target_starts"_a, "source"_a, "nodes"_a, py::pos_only(), "As neighbour_sample.");
  define(
      s, "random_walks",
      [](A key, A starts, A targets, A nodes, int64_t steps, double p, double q) {
        gnn::Graph g;
        g.by_source = {starts, targets, {}};
        return gnn::random_walks(key, g, nodes, steps, p, q);
      },
      "key"_a, "source_starts"_a, "targets_by_source"_a, "nodes"_a, "steps"_a, "p"_a, "q"_a, py::pos_only(),
      "Walks, [W, steps + 1].");
  define(
      s, "clusters",
      [](A key, A target_starts, A source, A source_starts, A targets, int64_t count) {
        gnn::Graph g = by_target(target_starts, source);
        g.by_source = {source_starts, targets, {}};
        return gnn::clusters(key, g, count);
      },
      "key"_a, "target_starts"_a, "source"_a, "source_starts"_a, "targets_by_source"_a, "count"_a,
      py::pos_only(), "Which part every node is in.");
}

}  // namespace hesse::python
