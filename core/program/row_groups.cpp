#include "core/program/row_groups.h"

#include <algorithm>
#include <set>

#include "core/ops.h"
#include "core/ops/map_split.h"
#include "core/program/batch.h"
#include "core/program/grouped_rows.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

constexpr double kLeastEntries = 1 << 18;  // of the largest value: smaller ones stay in cache as they are
constexpr double kLeastShare = 0.8;        // of the entries with rows, that groups work on

/// A graph whose equations on rows become one that runs them in groups.
class Grouping {
 public:
  explicit Grouping(const Graph& g) : g_(g), spaces_(g) {
    for (const RowSpaces::Member& m : spaces_.members()) member_.insert(m.equation);
  }

  bool pays() const {
    if (spaces_.index_links().empty() && spaces_.pattern_links().empty()) return false;
    if (std::any_of(g_.equations().begin(), g_.equations().end(),
                    [](const Graph::Equation& eq) { return eq.op->has_effect(); }))
      return false;
    const Dims& counts = spaces_.counts();
    const int64_t most_rows = *std::max_element(counts.begin(), counts.end());
    if (joining() == Joining::AsPays && Batch(g_, {most_rows, false}).worth() > 0) return false;  // for lanes
    double inside = 0, all = 0, largest = 0;
    bool product = false;
    for (size_t e = 0; e < g_.equations().size(); ++e) {
      const Graph::Equation& eq = g_.equations()[e];
      if (eq.op->is_view()) continue;
      double entries = 0;  // read or written
      for (const std::vector<int>* values : {&eq.in, &eq.out})
        for (const int v : *values)
          if (const Shape& s = g_.values()[at(v)].shape; std::count(s.begin(), s.end(), most_rows))
            entries = std::max(entries, num_entries(g_.values()[at(v)]));
      all += entries;
      if (!member_.count(e)) continue;
      inside += entries;
      largest = std::max(largest, entries);
      product = product || eq.op->name() == "matmul";
    }
    if (joining() == Joining::Groups) return inside > 0;
    return product && largest >= kLeastEntries && inside >= kLeastShare * all;
  }

  Ref<const Graph> result() {
    return trace_closed([this](std::span<const Array> args) { return rebuild(args); }, g_.input_avals());
  }

 private:
  Arrays rebuild(std::span<const Array> args) {
    Arrays env(g_.values().size());
    std::copy(args.begin(), args.end(), env.begin());
    for (const auto& [id, a] : g_.constants()) env[at(id)] = a;
    const auto alone = [&](bool after) {
      for (size_t e = 0; e < g_.equations().size(); ++e) {
        if (member_.count(e) || spaces_.follows(e) != after) continue;
        const Graph::Equation& eq = g_.equations()[e];
        Arrays in;
        for (const int v : eq.in) in.push_back(env[at(v)]);
        const SourceScope line(eq.source);
        const Arrays out = hesse::apply(eq.op, std::move(in));
        for (size_t k = 0; k < out.size(); ++k) env[at(eq.out[k])] = out[k];
      }
    };
    alone(false);
    together(env);
    alone(true);
    Arrays out;
    for (const int v : g_.outputs()) out.push_back(env[at(v)]);
    return out;
  }

  void together(Arrays& env) const {
    std::vector<bool> read(g_.values().size(), false);
    for (const int v : g_.outputs()) read[at(v)] = true;
    for (size_t e = 0; e < g_.equations().size(); ++e)
      if (!member_.count(e))
        for (const int v : g_.equations()[e].in) read[at(v)] = true;
    std::vector<const Graph::Equation*> equations;
    for (const RowSpaces::Member& m : spaces_.members()) equations.push_back(&g_.equations()[m.equation]);
    const GraphPart part = part_of(g_, equations, read);
    std::vector<int> number(g_.values().size(), -1);  // of operands, in the part
    for (size_t e = 0; e < equations.size(); ++e)
      for (size_t i = 0; i < equations[e]->in.size(); ++i)
        number[at(equations[e]->in[i])] = part.graph->equations()[e].in[i];
    GroupedRows::Parts parts{part.graph, spaces_.members(), spaces_.counts(), spaces_.index_links(),
                             spaces_.pattern_links()};
    for (RowSpaces::IndexLink& l : parts.index_links) l.index = number[at(l.index)];
    for (RowSpaces::PatternLink& l : parts.pattern_links)
      for (int* v : {&l.starts, &l.column_of, &l.entry_of}) *v = number[at(*v)];
    Arrays in;
    for (const int v : part.inputs) in.push_back(env[at(v)]);
    const SourceScope line(equations[0]->source);
    const Arrays out = hesse::apply(make_op<GroupedRows>(std::move(parts)), in);
    for (size_t k = 0; k < out.size(); ++k) env[at(part.outputs[k])] = out[k];
  }

  const Graph& g_;
  RowSpaces spaces_;
  std::set<size_t> member_;
};

}  // namespace

Ref<const Graph> with_row_groups(const Ref<const Graph>& g) {
  if (g->is_dynamic() || (joining() != Joining::AsPays && joining() != Joining::Groups)) return g;
  const bool links = std::any_of(g->equations().begin(), g->equations().end(), [](const Graph::Equation& eq) {
    return eq.op->name() == "csr_matmul" || eq.op->name() == "scatter_add";
  });
  if (!links) return g;
  Grouping grouping(*g);
  return grouping.pays() ? grouping.result() : g;
}

}  // namespace hesse
