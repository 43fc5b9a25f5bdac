#include "core/program/sums_inside.h"

#include <algorithm>
#include <map>

#include "core/ops.h"
#include "core/ops/control_graph.h"
#include "core/ops/map_split.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

struct Term {
  size_t output;  // of the map
  bool negative;
};
/// What an addition adds up: results of the map of equation `map`.
struct Total {
  size_t map;
  std::vector<Term> terms;
};

/// Which results of a map are sums, and which of those are of outer products and are not formed.
class Summed {
 public:
  explicit Summed(const MapParts& map) : map_(map), uses_(producers_and_uses(*map.body)) {
    std::vector<bool> marked;
    for (const Access& a : map.access) marked.push_back(a.kind != Access::Kind::Uniform);
    varies_ = map.body->depends_on(marked);
  }
  bool is_sum(size_t k) const { return map_.results[k].kind == Result::Kind::Sum; }
  bool is_formed(size_t k) const {
    return !outer_sum(*map_.body, map_.body->outputs()[k], varies_, uses_.first, uses_.second);
  }

 private:
  const MapParts& map_;
  std::pair<std::vector<int>, std::vector<int>> uses_;
  std::vector<bool> varies_;
};

/// By value, what the additions that move inside add up; those that another one reads are left out.
std::map<int, Total> totals_of(const Graph& g) {
  const auto [producer, uses] = producers_and_uses(g);
  std::map<int, Total> totals, single;  // `single`: one result of a map
  for (size_t e = 0; e < g.equations().size(); ++e) {
    const Graph::Equation& eq = g.equations()[e];
    if (const MapParts* map = map_parts(*eq.op);
        map && !map->body->is_dynamic() && !has_effects(*map->body)) {
      const Summed summed(*map);
      for (size_t k = 0; k < eq.out.size(); ++k)
        if (summed.is_sum(k) && uses[at(eq.out[k])] == 1 && summed.is_formed(k))
          single[eq.out[k]] = {e, {{k, false}}};
      continue;
    }
    const bool minus = eq.op->name() == "subtract";
    if ((!minus && eq.op->name() != "add") || eq.in[0] == eq.in[1]) continue;
    Total sum;
    bool inside = true;
    for (const size_t i : {0, 1}) {
      const int v = eq.in[i];
      const auto one = single.find(v), many = totals.find(v);
      const Total* part = one != single.end() ? &one->second : many != totals.end() ? &many->second : nullptr;
      inside = inside && part && uses[at(v)] == 1 && g.values()[at(v)] == g.values()[at(eq.out[0])] &&
               (i == 0 || part->map == sum.map);
      if (!inside) break;
      sum.map = part->map;
      for (const Term& t : part->terms) sum.terms.push_back({t.output, t.negative != (minus && i == 1)});
    }
    if (!inside) continue;
    for (int v : eq.in) totals.erase(v);
    totals.emplace(eq.out[0], std::move(sum));
  }
  return totals;
}

/// The map of one equation with `totals` as results behind those that are left; all of its old results, the
/// others undefined.
Arrays with_totals(const MapParts& m, Arrays operands, Arrays indices, const std::map<int, Total>& totals,
                   size_t equation, std::map<int, Array>& values) {
  std::vector<bool> left(m.results.size(), true);
  std::vector<Result> results;
  for (const auto& [v, total] : totals)
    if (total.map == equation)
      for (const Term& t : total.terms) left[t.output] = false;
  for (size_t k = 0; k < left.size(); ++k)
    if (left[k]) results.push_back(m.results[k]);
  const Ref<const Graph> body = trace_closed(
      [&](std::span<const Array> args) {
        const Arrays y = m.body->call({args.begin(), args.end()});
        Arrays out;
        for (size_t k = 0; k < left.size(); ++k)
          if (left[k]) out.push_back(y[k]);
        for (const auto& [v, total] : totals) {
          if (total.map != equation) continue;
          Array sum;
          for (const Term& t : total.terms) {
            if (!sum.defined())
              sum = t.negative ? negative(y[t.output]) : y[t.output];
            else
              sum = t.negative ? subtract(sum, y[t.output]) : add(sum, y[t.output]);
          }
          out.push_back(sum);
          results.push_back(Result::sum());
        }
        return out;
      },
      m.body->input_avals());
  const Arrays y = map_inside(body, m.n, operands, m.access, results, indices);
  Arrays out(m.results.size());
  size_t next = 0;
  for (size_t k = 0; k < left.size(); ++k)
    if (left[k]) out[k] = y[next++];
  for (const auto& [v, total] : totals)
    if (total.map == equation) values[v] = y[next++];
  return out;
}

}  // namespace

Ref<const Graph> with_sums_inside(const Ref<const Graph>& g) {
  if (g->is_dynamic()) return g;
  const std::map<int, Total> totals = totals_of(*g);
  if (totals.empty()) return g;
  std::vector<bool> rewritten(g->equations().size(), false);
  for (const auto& [v, total] : totals) rewritten[total.map] = true;
  std::map<int, Array> values;
  return replaced(*g, [&](size_t e, const Arrays& env) -> std::optional<Arrays> {
    const Graph::Equation& eq = g->equations()[e];
    if (!rewritten[e]) {
      const auto it = eq.out.empty() ? values.end() : values.find(eq.out[0]);
      if (it != values.end()) return Arrays{it->second};
      // An addition inside another one that moved.
      const bool gone = std::any_of(eq.in.begin(), eq.in.end(), [&](int v) { return !env[at(v)].defined(); });
      if (gone) return Arrays(eq.out.size());
      return std::nullopt;
    }
    const MapParts& m = *map_parts(*eq.op);
    Arrays operands, indices;
    for (size_t i = 0; i < eq.in.size(); ++i)
      (i < m.access.size() ? operands : indices).push_back(env[at(eq.in[i])]);
    return with_totals(m, std::move(operands), std::move(indices), totals, e, values);
  });
}

}  // namespace hesse
