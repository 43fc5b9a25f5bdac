#include "core/program/loop_sums.h"

#include <algorithm>

#include "core/ops/loop.h"
#include "core/ops/map_split.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

bool is_zero(const Graph& g, int v) {
  const auto found = std::ranges::find(g.constants(), v, &std::pair<int, Array>::first);
  return found != g.constants().end() && is_zero(found->second);
}

/// Which carries a loop does nothing with but add to them.
std::vector<bool> sums_of(const LoopParts& loop) {
  const Graph& body = *loop.body;
  const auto [producer, uses] = producers_and_uses(body);
  std::vector<bool> out(loop.num_carry, false);
  if (loop.save) return out;
  const std::vector<int> uses_in_cond =
      loop.cond ? producers_and_uses(*loop.cond).second : std::vector<int>();
  for (size_t i = 0; i < loop.num_carry; ++i) {
    const auto carry = static_cast<int>(i);
    const int sum = body.outputs()[i], e = producer[at(sum)];
    if (e < 0 || uses[i] != 1 || uses[at(sum)] != 1 || (loop.cond && uses_in_cond[i] != 0)) continue;
    const Graph::Equation& eq = body.equations()[at(e)];
    out[i] = eq.op->name() == "add" && (eq.in[0] == carry || eq.in[1] == carry);
  }
  return out;
}

}  // namespace

Ref<const Graph> with_sums_begun(const Ref<const Graph>& g) {
  const auto [producer, uses] = producers_and_uses(*g);
  std::vector<Graph::Equation> equations = g->equations();
  std::vector<int> name(g->values().size());  // of a sum that is gone: the result of the loop
  for (size_t v = 0; v < name.size(); ++v) name[v] = static_cast<int>(v);
  std::vector<bool> gone(equations.size(), false);
  for (size_t e = 0; e < equations.size(); ++e) {
    const auto loop = loop_parts(*equations[e].op);
    if (!loop) continue;
    const std::vector<bool> sums = sums_of(*loop);
    for (size_t i = 0; i < sums.size(); ++i) {
      const int result = equations[e].out[i];
      if (!sums[i] || uses[at(result)] != 1 || !is_zero(*g, equations[e].in[i])) continue;
      const auto reads = [&](const Graph::Equation& eq) { return std::ranges::count(eq.in, result) == 1; };
      const auto reader = std::ranges::find_if(g->equations(), reads);
      if (reader == g->equations().end() || reader->op->name() != "add") continue;
      const int other = reader->in[reader->in[0] == result ? 1 : 0], total = reader->out[0];
      const bool before = producer[at(other)] < static_cast<int>(e);
      if (!before || !(g->values()[at(other)] == g->values()[at(result)])) continue;
      equations[e].in[i] = other;
      name[at(total)] = result;
      gone[at(static_cast<int>(reader - g->equations().begin()))] = true;
    }
  }
  if (std::ranges::none_of(gone, [](bool x) { return x; })) return g;
  // Names may refer to sums that are gone themselves: v + a + b of two loops.
  const auto renamed = [&](int v) {
    while (name[at(v)] != v) v = name[at(v)];
    return v;
  };
  std::vector<Graph::Equation> left;
  for (size_t e = 0; e < equations.size(); ++e) {
    if (gone[e]) continue;
    for (int& v : equations[e].in) v = renamed(v);
    left.push_back(std::move(equations[e]));
  }
  std::vector<int> outputs = g->outputs();
  for (int& v : outputs) v = renamed(v);
  return Graph::assemble(g->num_inputs(), g->values(), g->constants(), std::move(left), std::move(outputs));
}

}  // namespace hesse
