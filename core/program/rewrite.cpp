#include "core/program/rewrite.h"

#include <tuple>
#include <unordered_map>

#include "core/constant.h"
#include "core/cpu/assign.h"
#include "core/ops.h"
#include "core/ops/map_split.h"

namespace hesse {
namespace {
size_t at(int v) { return static_cast<size_t>(v); }

// Constants of the same bits are one: equations that read them are equal then.
class Constants {
 public:
  Array one(const Array& a) {
    const auto key = constant_key(a);
    return key ? seen_.emplace(*key, a).first->second : a;
  }

 private:
  std::unordered_map<std::string, Array> seen_;
};

}  // namespace

Ref<const Graph> replaced(const Graph& g,
                          const std::function<std::optional<Arrays>(size_t e, const Arrays& values)>& rule) {
  return trace_closed(
      [&](std::span<const Array> args) {
        Arrays env(g.values().size());
        std::copy(args.begin(), args.end(), env.begin());
        Constants constants;
        for (const auto& [id, a] : g.constants()) env[at(id)] = constants.one(a);
        for (size_t e = 0; e < g.equations().size(); ++e) {
          const Graph::Equation& eq = g.equations()[e];
          const SourceScope line(eq.source);
          std::optional<Arrays> out = rule(e, env);
          if (!out) {
            Arrays in;
            for (int v : eq.in) in.push_back(env[at(v)]);
            out = hesse::apply(eq.op, std::move(in));
          }
          for (size_t k = 0; k < out->size(); ++k) {  // those made of constants are constants
            const Array& y = (*out)[k];
            env[at(eq.out[k])] = y.defined() && y.has_data() ? constants.one(y) : y;
          }
        }
        Arrays out;
        for (int v : g.outputs()) out.push_back(env[at(v)]);
        return out;
      },
      g.input_avals());
}

Makers::Makers(const Graph& g) : g_(g) { std::tie(number_, uses_) = producers_and_uses(g); }

const Graph::Equation* Makers::of(int v, std::string_view op) const {
  if (number(v) < 0) return nullptr;
  const Graph::Equation& eq = g_.equations()[at(number(v))];
  return eq.op->name() == op ? &eq : nullptr;
}

int Makers::transposed(int v) const {
  const Graph::Equation* eq = g_.values()[at(v)].shape.size() == 2 ? of(v, "transpose") : nullptr;
  return eq ? eq->in[0] : -1;
}

bool is_zero(const Array& a) {
  if (!a.has_data() || !is_floating(a.dtype())) return false;
  const Array flat = Array::uninitialized(a.shape(), a.dtype());
  cpu::assign(a.view(), flat.view());
  const auto* bytes = static_cast<const char*>(flat.view().data);
  return std::all_of(bytes, bytes + static_cast<size_t>(a.size()) * itemsize(a.dtype()),
                     [](char c) { return c == 0; });
}

GraphPart part_of(const Graph& g, const std::vector<const Graph::Equation*>& equations,
                  const std::vector<bool>& read) {
  std::vector<const Array*> constant(g.values().size(), nullptr);
  for (const auto& [v, a] : g.constants()) constant[at(v)] = &a;
  std::vector<bool> made(g.values().size(), false);
  for (const Graph::Equation* eq : equations)
    for (const int v : eq->out) made[at(v)] = true;
  // Inputs, then constants, then results, as in any graph.
  GraphPart out;
  std::vector<int> number(g.values().size(), -1), outputs;
  std::vector<Aval> values;
  std::vector<std::pair<int, Array>> constants;
  const auto add = [&](int v) {
    if (number[at(v)] >= 0) return false;
    number[at(v)] = static_cast<int>(values.size());
    values.push_back(g.values()[at(v)]);
    return true;
  };
  for (const Graph::Equation* eq : equations)
    for (const int v : eq->in)
      if (!made[at(v)] && !constant[at(v)] && add(v)) out.inputs.push_back(v);
  for (const Graph::Equation* eq : equations)
    for (const int v : eq->in)
      if (constant[at(v)] && add(v)) constants.emplace_back(number[at(v)], *constant[at(v)]);
  std::vector<Graph::Equation> body;
  for (const Graph::Equation* eq : equations) {
    for (const int v : eq->out) {
      add(v);
      if (!read[at(v)]) continue;
      out.outputs.push_back(v);
      outputs.push_back(number[at(v)]);
    }
    body.push_back(*eq);
    for (std::vector<int>* all : {&body.back().in, &body.back().out})
      for (int& v : *all) v = number[at(v)];
  }
  out.graph = Graph::assemble(static_cast<int>(out.inputs.size()), std::move(values), std::move(constants),
                              std::move(body), std::move(outputs));
  return out;
}

Ref<const Graph> with_bodies(const Ref<const Graph>& g,
                             const std::function<Ref<const Graph>(const Graph::Equation&)>& rule) {
  if (g->is_dynamic()) return g;
  std::vector<Ref<const Graph>> bodies;  // by equation; null where nothing changes
  bool any = false;
  for (const Graph::Equation& eq : g->equations()) {
    const MapParts* map = map_parts(*eq.op);
    bodies.push_back(map && !map->body->is_dynamic() ? rule(eq) : nullptr);
    any = any || bodies.back();
  }
  if (!any) return g;
  return replaced(*g, [&](size_t e, const Arrays& env) -> std::optional<Arrays> {
    if (!bodies[e]) return std::nullopt;
    const Graph::Equation& eq = g->equations()[e];
    const MapParts& m = *map_parts(*eq.op);
    Arrays operands, indices;
    for (size_t i = 0; i < eq.in.size(); ++i)
      (i < m.access.size() ? operands : indices).push_back(env[at(eq.in[i])]);
    return map(bodies[e], m.n, operands, m.access, m.results, indices);
  });
}

}  // namespace hesse
