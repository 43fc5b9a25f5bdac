#include "core/program/unroll.h"

#include <algorithm>

#include "core/ops.h"
#include "core/ops/map_split.h"
#include "core/program/map_program.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

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

}  // namespace

Ref<const Graph> unrolled(const Ref<const Graph>& g) {
  if (g->is_dynamic() || std::none_of(g->equations().begin(), g->equations().end(),
                                      [](const Graph::Equation& eq) { return few_examples(eq) != nullptr; }))
    return g;
  return trace_closed(
      [&](std::span<const Array> args) {
        Arrays env(g->values().size());
        std::copy(args.begin(), args.end(), env.begin());
        for (const auto& [id, a] : g->constants()) env[at(id)] = a;
        for (const Graph::Equation& eq : g->equations()) {
          Arrays in;
          for (int v : eq.in) in.push_back(env[at(v)]);
          const SourceScope line(eq.source);
          const MapParts* map = few_examples(eq);
          const Arrays out = map ? examples_of(*map, in) : hesse::apply(eq.op, std::move(in));
          for (size_t k = 0; k < out.size(); ++k) env[at(eq.out[k])] = out[k];
        }
        Arrays out;
        for (int v : g->outputs()) out.push_back(env[at(v)]);
        return out;
      },
      g->input_avals());
}

}  // namespace hesse
