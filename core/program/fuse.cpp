#include "core/program/fuse.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/cpu/assign.h"
#include "core/ops.h"
#include "core/ops/map_split.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }
using Kind = Access::Kind;
using RK = Result::Kind;

Aval row_of(const Aval& a) {
  Aval out = a;
  out.shape.erase(0);
  return out;
}

/// What joins maps over `rows` examples in one graph.
class Fusion {
 public:
  Fusion(const Graph& g, int64_t rows) : g_(g), rows_(rows), alone_(g.equations().size(), false) {
    do find_levels();
    while (dissolve());
  }

  /// nullopt where no two equations join.
  std::optional<Ref<const Graph>> result() {
    bool any = false;
    for (const auto& [level, members] : groups_) any = any || members.size() > 1;
    if (!any) return std::nullopt;
    return trace_closed([this](std::span<const Array> args) { return rebuild(args); }, g_.input_avals());
  }

 private:
  const Graph::Equation& equation(size_t e) const { return g_.equations()[e]; }
  const Aval& value(int v) const { return g_.values()[at(v)]; }
  bool is_row(int v) const { return row_[at(v)]; }
  bool has_rows(int v) const { return !value(v).shape.empty() && value(v).shape[0] == rows_; }

  // Level of an equation: how many sums over all rows lie behind it. A value that is given row by row belongs
  // to the map of its level and is complete after it.
  void find_levels() {
    const size_t n = g_.equations().size();
    level_.assign(g_.values().size(), 0);
    row_.assign(g_.values().size(), false);
    member_.assign(n, false);
    summed_.assign(g_.values().size(), false);
    at_level_.assign(n, 0);
    groups_.clear();
    for (size_t e = 0; e < n; ++e)
      for (int v : equation(e).out) maker_[v] = e;
    int last_effect = 0;
    for (size_t e = 0; e < n; ++e) {
      const Graph::Equation& eq = equation(e);
      const MapParts* map = map_parts(*eq.op);
      const bool joins = map ? map->n == rows_ : !alone_[e] && works_on_rows(eq);
      int need = 0;
      for (size_t i = 0; i < eq.in.size(); ++i) {
        const int v = eq.in[i];
        const bool by_row = joins && (!map || (i < map->access.size() && map->access[i].kind == Kind::Each));
        need = std::max(need, level_[at(v)] + (is_row(v) && !by_row ? 1 : 0));
      }
      if (eq.op->has_effect()) need = last_effect = std::max(need, last_effect);
      at_level_[e] = need;
      member_[e] = joins;
      for (size_t k = 0; k < eq.out.size(); ++k) {
        const int v = eq.out[k];
        const bool each = map ? map->results[k].kind == RK::Each : !summed_[at(v)];
        row_[at(v)] = joins && each;
        level_[at(v)] = need + (joins && !each ? 1 : 0);
      }
      if (joins) groups_[need].push_back(e);
    }
  }

  // Without a map among them, equations stay as they are; then others may not be joined either.
  bool dissolve() {
    bool changed = false;
    for (const auto& [level, members] : groups_) {
      if (std::any_of(members.begin(), members.end(),
                      [&](size_t e) { return map_parts(*equation(e).op) != nullptr; }))
        continue;
      changed = true;
      for (size_t e : members) alone_[e] = true;
    }
    return changed;
  }

  // Whether every row of the result depends on that row of the operands alone, or is summed.
  bool works_on_rows(const Graph::Equation& eq) {
    if (eq.op->has_effect() || eq.out.size() != 1) return false;
    const std::vector<bool> rows = row_operands(eq);
    if (std::none_of(eq.in.begin(), eq.in.end(), [&](int v) { return is_row(v); })) return false;
    const auto trace = make_ref<Trace>();
    struct Closer {
      const Ref<Trace>& t;
      ~Closer() { t->close(); }
    } closer{trace};
    Arrays x;
    for (size_t i = 0; i < eq.in.size(); ++i)
      x.push_back(trace->symbol(rows[i] ? row_of(value(eq.in[i])) : value(eq.in[i])));
    const auto row = eq.op->on_row(x, rows, rows_);
    if (!row) return false;
    summed_[at(eq.out[0])] = row->summed;
    return row->summed || has_rows(eq.out[0]);
  }
  // Operands that are met row by row: those given so, and arrays of the same shape beside them.
  std::vector<bool> row_operands(const Graph::Equation& eq) const {
    std::vector<bool> out;
    for (int v : eq.in)
      out.push_back(is_row(v) || (has_rows(v) && std::any_of(eq.in.begin(), eq.in.end(), [&](int w) {
                                    return is_row(w) && value(w).shape == value(v).shape;
                                  })));
    return out;
  }

  Arrays rebuild(std::span<const Array> args) {
    env_.assign(g_.values().size(), Array());
    std::copy(args.begin(), args.end(), env_.begin());
    for (const auto& [id, a] : g_.constants()) env_[at(id)] = a;
    int last = 0;
    for (int l : at_level_) last = std::max(last, l);
    for (int level = 0; level <= last; ++level) {
      for (size_t e = 0; e < g_.equations().size(); ++e)
        if (!member_[e] && at_level_[e] == level) apply_alone(equation(e));
      if (const auto group = groups_.find(level); group != groups_.end()) apply_joined(group->second);
    }
    Arrays out;
    for (int v : g_.outputs()) out.push_back(env_[at(v)]);
    return out;
  }

  void apply_alone(const Graph::Equation& eq) {
    Arrays in;
    for (int v : eq.in) in.push_back(env_[at(v)]);
    const SourceScope line(eq.source);
    const Arrays out = hesse::apply(eq.op, std::move(in));
    for (size_t k = 0; k < out.size(); ++k) env_[at(eq.out[k])] = out[k];
  }

  // An operand of the joined map, once.
  void meet(int v, const Access& access, std::map<std::tuple<int, int, int>, size_t>& place, Arrays& operands,
            std::vector<Access>& all, Avals& avals) {
    const auto key = std::tuple(v, static_cast<int>(access.kind), access.index);
    if (!place.emplace(key, operands.size()).second) return;
    operands.push_back(env_[at(v)]);
    all.push_back(access);
    avals.push_back(access.kind == Kind::Uniform ? value(v) : row_of(value(v)));
  }

  // A value that is the same in every row: what it was broadcast from, or an entry of a constant.
  std::optional<int> broadcast_source(int v) const {
    const auto it = maker_.find(v);
    if (it == maker_.end() || member_[it->second]) return std::nullopt;
    const Graph::Equation& eq = equation(it->second);
    if (eq.op->name() != "broadcast_to") return std::nullopt;
    const Shape& from = value(eq.in[0]).shape;
    if (from.size() == value(v).shape.size() && from[0] != 1) return std::nullopt;
    return eq.in[0];
  }
  bool is_same_in_rows(const Array& a) const { return is_constant(a) && a.strides()[0] == 0; }

  void apply_joined(const std::vector<size_t>& members) {
    std::set<int> made;  // row values of this map
    std::map<std::tuple<int, int, int>, size_t> place;
    std::map<int, int> index_place;
    Arrays operands, indices;
    std::vector<Access> access;
    Avals avals;
    const auto each = [&](int v) {
      if (made.count(v) || is_same_in_rows(env_[at(v)])) return;
      if (const auto source = broadcast_source(v))
        meet(*source, Access::uniform(), place, operands, access, avals);
      else
        meet(v, Access::each(), place, operands, access, avals);
    };
    const auto index_of = [&](const Graph::Equation& eq, const MapParts& map, int i) {
      const int v = eq.in[map.access.size() + at(i)];
      const auto [it, added] = index_place.emplace(v, static_cast<int>(indices.size()));
      if (added) indices.push_back(env_[at(v)]);
      return it->second;
    };
    for (size_t e : members) {
      const Graph::Equation& eq = equation(e);
      if (const MapParts* map = map_parts(*eq.op)) {
        for (size_t i = 0; i < map->access.size(); ++i) {
          if (map->access[i].kind == Kind::Each)
            each(eq.in[i]);
          else if (map->access[i].kind == Kind::Uniform)
            meet(eq.in[i], Access::uniform(), place, operands, access, avals);
          else
            meet(eq.in[i], Access::gather(index_of(eq, *map, map->access[i].index)), place, operands, access,
                 avals);
        }
      } else {
        const std::vector<bool> rows = row_operands(eq);
        for (size_t i = 0; i < eq.in.size(); ++i)
          if (rows[i])
            each(eq.in[i]);
          else
            meet(eq.in[i], Access::uniform(), place, operands, access, avals);
      }
      for (int v : eq.out)
        if (is_row(v)) made.insert(v);
    }
    // What is read elsewhere comes out.
    std::set<int> wanted(g_.outputs().begin(), g_.outputs().end());
    const std::set<size_t> here(members.begin(), members.end());
    for (size_t e = 0; e < g_.equations().size(); ++e)
      if (!here.count(e)) wanted.insert(equation(e).in.begin(), equation(e).in.end());
    std::vector<int> outputs;
    std::vector<Result> results;
    for (size_t e : members) {
      const Graph::Equation& eq = equation(e);
      const MapParts* map = map_parts(*eq.op);
      for (size_t k = 0; k < eq.out.size(); ++k) {
        if (!wanted.count(eq.out[k])) continue;
        outputs.push_back(eq.out[k]);
        Result r = map ? map->results[k] : summed_[at(eq.out[k])] ? Result::sum() : Result::each();
        if (r.kind == RK::SegmentSum) r.index = index_of(eq, *map, r.index);
        results.push_back(r);
      }
    }
    const Ref<const Graph> body = trace_closed(
        [&](std::span<const Array> args) {
          std::map<int, Array> row;
          const auto operand = [&](int v, const Access& a) {
            return args[place.at(std::tuple(v, static_cast<int>(a.kind), a.index))];
          };
          const auto row_value = [&](int v) {
            if (const auto it = row.find(v); it != row.end()) return it->second;
            const Array& outside = env_[at(v)];
            if (is_same_in_rows(outside)) return outside.viewed(cpu::at(outside.view(), 0, 0));
            const Shape shape = row_of(value(v)).shape;
            if (const auto source = broadcast_source(v)) {
              Array a = operand(*source, Access::uniform());
              if (a.ndim() > shape.size()) a = reshape(a, row_of(aval(a)).shape);
              return broadcast_to(a, shape);
            }
            return operand(v, Access::each());
          };
          for (size_t e : members) {
            const Graph::Equation& eq = equation(e);
            const SourceScope line(eq.source);
            Arrays in, out;
            if (const MapParts* map = map_parts(*eq.op)) {
              for (size_t i = 0; i < map->access.size(); ++i) {
                const Access& a = map->access[i];
                in.push_back(a.kind == Kind::Each ? row_value(eq.in[i])
                             : a.kind == Kind::Uniform
                                 ? operand(eq.in[i], a)
                                 : operand(eq.in[i], Access::gather(index_of(eq, *map, a.index))));
              }
              out = map->body->call(in);
            } else {
              const std::vector<bool> rows = row_operands(eq);
              for (size_t i = 0; i < eq.in.size(); ++i)
                in.push_back(rows[i] ? row_value(eq.in[i]) : operand(eq.in[i], Access::uniform()));
              out.push_back(eq.op->on_row(in, rows, rows_)->value);
            }
            for (size_t k = 0; k < out.size(); ++k) row[eq.out[k]] = out[k];
          }
          Arrays out;
          for (int v : outputs) out.push_back(row.at(v));
          return out;
        },
        avals);
    const Arrays out = map(body, rows_, operands, access, results, indices);
    for (size_t k = 0; k < outputs.size(); ++k)
      env_[at(outputs[k])] = reshape(out[k], value(outputs[k]).shape);
  }

  const Graph& g_;
  int64_t rows_;
  std::vector<int> level_;                     // by value
  std::vector<bool> row_, summed_;             // by value
  std::vector<bool> alone_, member_;           // by equation: never joined, joined
  std::vector<int> at_level_;                  // by equation
  std::map<int, std::vector<size_t>> groups_;  // equations to join, by level
  std::map<int, size_t> maker_;
  Arrays env_;
};

}  // namespace

Ref<const Graph> fused(const Ref<const Graph>& g) {
  Ref<const Graph> out = g;
  if (g->is_dynamic()) return out;
  std::set<int64_t> sizes;
  for (const Graph::Equation& eq : g->equations())
    if (const MapParts* map = map_parts(*eq.op))
      if (map->n > 0) sizes.insert(map->n);
  for (const int64_t n : sizes)
    if (auto joined = Fusion(*out, n).result()) out = *joined;
  return out;
}

}  // namespace hesse
