#include "core/program/unroll.h"

#include <algorithm>
#include <numeric>

#include "core/ops.h"
#include "core/ops/map_split.h"
#include "core/program/map_program.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

/// The map of an equation that is to be unrolled, or null.
const MapParts* few_examples(const Graph::Equation& eq) {
  constexpr int64_t kMostEquations = 1024;
  const MapParts* map = map_parts(*eq.op);
  return map && map->n * map->body->count() <= kMostEquations && map_program(*eq.op)->better_unrolled()
             ? map
             : nullptr;
}

Arrays examples_of(const MapParts& map, std::span<const Array> operands) {
  std::vector<Arrays> of_result(map.results.size());
  for (int64_t i = 0; i < map.n; ++i) {
    Arrays in;
    for (size_t j = 0; j < map.access.size(); ++j)
      in.push_back(map.access[j].kind == Access::Kind::Uniform ? operands[j]
                                                               : getitem(operands[j], {Index(i)}));
    const Arrays y = map.body->call(in);
    for (size_t k = 0; k < y.size(); ++k) of_result[k].push_back(y[k]);
  }
  Arrays out;
  for (size_t k = 0; k < map.results.size(); ++k) {
    if (map.results[k].kind == Result::Kind::Each) {
      out.push_back(stack(of_result[k]));
      continue;
    }
    Array sum = of_result[k][0];
    for (size_t i = 1; i < of_result[k].size(); ++i) sum = add(sum, of_result[k][i]);
    out.push_back(sum);
  }
  return out;
}

const Expands* expands(const Graph::Equation& eq) { return dynamic_cast<const Expands*>(eq.op.get()); }

}  // namespace

Ref<const Graph> expanded(const Ref<const Graph>& g, bool inside) {
  if (g->is_dynamic()) return g;
  Ref<const Graph> out = g;
  while (std::any_of(out->equations().begin(), out->equations().end(), expands)) {  // they may hold others
    const Ref<const Graph> from = out;
    out = replaced(*from, [&](size_t e, const Arrays& values) -> std::optional<Arrays> {
      const Graph::Equation& eq = from->equations()[e];
      const Expands* op = expands(eq);
      if (op == nullptr) return std::nullopt;
      Arrays in;
      for (int v : eq.in) in.push_back(values[static_cast<size_t>(v)]);
      return op->expanded(in);
    });
  }
  out = with_loops_outside(out, inside);
  return with_bodies(out, [](const Graph::Equation& eq) -> Ref<const Graph> {
    const Ref<const Graph>& body = map_parts(*eq.op)->body;
    const Ref<const Graph> with = with_prepared_loops(expanded(body, true));
    return with == body ? nullptr : with;
  });
}

Ref<const Graph> with_tangent_loops_alone(const Ref<const Graph>& g) {
  std::vector<Graph::Equation> equations = g->equations();
  const auto loop = [&](size_t e) { return dynamic_cast<const Loop*>(equations[e].op.get()); };
  std::vector<int> outputs = g->outputs();
  bool any = false;
  for (size_t t = 0; t < equations.size(); ++t) {
    if (loop(t) == nullptr) continue;
    for (size_t p = 0; p < t; ++p) {
      if (loop(p) == nullptr) continue;
      const auto [places, results] = loop(t)->primal_in(*equations[p].op);
      const Graph::Equation &primal = equations[p], &tangent = equations[t];
      if (places.empty() ||
          !std::equal(places.begin(), places.end(), primal.in.begin(), primal.in.end(),
                      [&](int i, int v) { return tangent.in[static_cast<size_t>(i)] == v; }))
        continue;
      // What reads the primal's results moves behind the tangent, unless that reads it, too.
      std::vector<bool> depends(g->values().size(), false);
      for (int v : primal.out) depends[static_cast<size_t>(v)] = true;
      std::vector<Graph::Equation> before, after;
      bool effects = primal.op->has_effect() || tangent.op->has_effect(), moves = false;  // one that moves
      for (size_t e = p + 1; e <= t; ++e) {
        const bool reads = std::any_of(equations[e].in.begin(), equations[e].in.end(),
                                       [&](int v) { return depends[static_cast<size_t>(v)]; });
        if (reads)
          for (int v : equations[e].out) depends[static_cast<size_t>(v)] = true;
        if (equations[e].op->has_effect()) {  // they stay in their order
          effects = effects || (moves && !reads);
          moves = moves || reads;
        }
        if (e < t) (reads ? after : before).push_back(equations[e]);
        if (e == t && reads) effects = true;  // a tangent that needs the value cannot stand for it
      }
      if (effects) continue;
      Graph::Equation both = tangent;
      const std::vector<int> tangent_out = tangent.out;
      for (size_t k = 0; k < results.size(); ++k) both.out[static_cast<size_t>(results[k])] = primal.out[k];
      const auto rename = [&](std::vector<int>& values) {
        for (int& v : values)
          for (size_t k = 0; k < tangent_out.size(); ++k)
            if (v == tangent_out[k]) v = both.out[k];
      };
      before.push_back(both);
      before.insert(before.end(), after.begin(), after.end());
      std::move(before.begin(), before.end(), equations.begin() + static_cast<std::ptrdiff_t>(p));
      equations.erase(equations.begin() + static_cast<std::ptrdiff_t>(t));
      for (size_t e = p; e < equations.size(); ++e) rename(equations[e].in);
      rename(outputs);
      any = true;
      t = p;  // what follows has moved
      break;
    }
  }
  if (!any) return g;
  return Graph::assemble(g->num_inputs(), g->values(), g->constants(), std::move(equations),
                         std::move(outputs));
}

Ref<const Graph> with_prepared_loops(const Ref<const Graph>& given) {
  const Ref<const Graph> g = with_tangent_loops_alone(given);
  std::vector<Graph::Equation> equations;
  std::vector<int> same(g->values().size());  // by value: the one that takes its place
  std::iota(same.begin(), same.end(), 0);
  const auto renamed = [&](std::vector<int>& values) {
    for (int& v : values) v = same[static_cast<size_t>(v)];
  };
  std::vector<size_t> loops;  // of `equations`
  bool any = false;
  for (Graph::Equation eq : g->equations()) {
    renamed(eq.in);
    const auto* loop = dynamic_cast<const Loop*>(eq.op.get());
    if (loop == nullptr) {
      equations.push_back(std::move(eq));
      continue;
    }
    const auto first = std::find_if(loops.begin(), loops.end(), [&](size_t e) {
      return equations[e].in == eq.in && dynamic_cast<const Loop&>(*equations[e].op).is_saved_by(*eq.op);
    });
    OpRef prepared = loop->prepared();
    any = any || prepared || first != loops.end();
    if (prepared) eq.op = std::move(prepared);
    if (first == loops.end()) {
      loops.push_back(equations.size());
      equations.push_back(std::move(eq));
      continue;
    }
    Graph::Equation& earlier = equations[*first];
    const size_t n = earlier.out.size();
    for (size_t k = 0; k < n; ++k) same[static_cast<size_t>(eq.out[k])] = earlier.out[k];
    std::copy(earlier.out.begin(), earlier.out.end(), eq.out.begin());
    earlier = std::move(eq);
  }
  if (!any) return g;
  std::vector<int> outputs = g->outputs();
  renamed(outputs);
  return Graph::assemble(g->num_inputs(), g->values(), g->constants(), std::move(equations),
                         std::move(outputs));
}

Ref<const Graph> unrolled(const Ref<const Graph>& g) {
  if (g->is_dynamic() || std::none_of(g->equations().begin(), g->equations().end(),
                                      [](const Graph::Equation& eq) { return few_examples(eq) != nullptr; }))
    return g;
  return replaced(*g, [&](size_t e, const Arrays& values) -> std::optional<Arrays> {
    const Graph::Equation& eq = g->equations()[e];
    const MapParts* map = few_examples(eq);
    if (!map) return std::nullopt;
    Arrays in;
    for (int v : eq.in) in.push_back(values[static_cast<size_t>(v)]);
    return examples_of(*map, in);
  });
}

}  // namespace hesse
