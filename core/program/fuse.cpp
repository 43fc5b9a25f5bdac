#include "core/program/fuse.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/cpu/assign.h"
#include "core/ops.h"
#include "core/ops/map_split.h"
#include "core/ops/rows.h"
#include "core/program/batch.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }
using Kind = Access::Kind;
using RK = Result::Kind;

/// The graph with the groups of a batch as maps.
class Fusion {
 public:
  Fusion(const Graph& g, Rows rows) : g_(g), rows_(rows), batch_(g, rows) {}
  double worth() const { return batch_.worth(); }
  Ref<const Graph> result() {
    return trace_closed([this](std::span<const Array> args) { return rebuild(args); }, g_.input_avals());
  }

 private:
  const Graph::Equation& equation(size_t e) const { return g_.equations()[e]; }
  const Aval& value(int v) const { return g_.values()[at(v)]; }
  Aval row_of(int v, RowAxis axis) const { return batch_.row_of(v, axis); }

  Arrays rebuild(std::span<const Array> args) {
    env_.assign(g_.values().size(), Array());
    std::copy(args.begin(), args.end(), env_.begin());
    for (const auto& [id, a] : g_.constants()) env_[at(id)] = a;
    for (int level = 0; level <= batch_.last_level(); ++level) {
      for (size_t e = 0; e < g_.equations().size(); ++e)
        if (!batch_.is_member(e) && batch_.level(e) == level) apply_alone(equation(e));
      const auto group = batch_.groups().find(level);
      if (group != batch_.groups().end()) apply_joined(group->second);
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

  // ---- operands ------------------------------------------------------------------------------------------
  /// What a joined map reads, each thing once.
  struct Operands {
    using Key = std::tuple<int, Kind, int64_t>;  // value, how, its axis of rows or its index array
    std::map<Key, size_t> place;
    std::map<int, int> index_place;
    Arrays arrays, indices;
    std::vector<Access> access;
    Avals avals;
  };
  void meet(Operands& all, int v, const Access& access, RowAxis axis) const {
    const Operands::Key key{v, access.kind, access.kind == Kind::Gather ? access.index : axis};
    if (!all.place.emplace(key, all.arrays.size()).second) return;
    const Array& whole = env_[at(v)];
    all.arrays.push_back(access.kind != Kind::Each ? whole
                         : axis == kEveryEntry     ? flatten(whole)
                                                   : moveaxis(whole, {axis}, {0}));
    all.access.push_back(access);
    all.avals.push_back(access.kind == Kind::Uniform  ? value(v)
                        : access.kind == Kind::Gather ? row_of(v, 0)
                                                      : row_of(v, axis));
  }
  void meet_each(Operands& all, int v, RowAxis axis) const {
    if (is_same_in_rows(v, axis)) return;
    if (const auto source = broadcast_source(v, axis))
      meet(all, *source, Access::uniform(), kShared);
    else
      meet(all, v, Access::each(), axis);
  }
  int index_of(Operands& all, const Graph::Equation& eq, const MapParts& map, int i) const {
    const int v = eq.in[map.access.size() + at(i)];
    const auto [it, added] = all.index_place.emplace(v, static_cast<int>(all.indices.size()));
    if (added) all.indices.push_back(env_[at(v)]);
    return it->second;
  }

  // A value that is the same in every row: what it was broadcast from, or an entry of a constant.
  std::optional<int> broadcast_source(int v, RowAxis axis) const {
    const int e = batch_.maker(v);
    if (e < 0 || batch_.is_member(at(e)) || equation(at(e)).op->name() != "broadcast_to") return std::nullopt;
    const int source = equation(at(e)).in[0];
    const Shape &from = value(source).shape, &to = value(v).shape;
    if (axis == kEveryEntry) return num_elements(from) == 1 ? std::optional(source) : std::nullopt;
    const auto own = axis - static_cast<RowAxis>(to.size() - from.size());
    if (own >= 0 && from[static_cast<size_t>(own)] != 1) return std::nullopt;
    return source;
  }
  // The row of `v`, from the array that it was broadcast from.
  Array broadcast_row(const Array& source, int v, RowAxis axis) const {
    if (axis == kEveryEntry) return reshape(source, {});
    const Shape row = row_of(v, axis).shape;
    const auto own = axis - static_cast<RowAxis>(value(v).shape.size() - source.ndim());
    return broadcast_to(own >= 0 ? squeeze(source, Axes{own}) : source, row);
  }
  bool is_same_in_rows(int v, RowAxis axis) const {
    const Array& a = env_[at(v)];
    if (!is_constant(a)) return false;
    for (size_t d = 0; d < a.ndim(); ++d)
      if ((axis == kEveryEntry || axis == static_cast<RowAxis>(d)) && a.strides()[d] != 0 &&
          a.shape()[d] != 1)
        return false;
    return axis == kEveryEntry || a.strides()[static_cast<size_t>(axis)] == 0;
  }
  Array constant_row(int v, RowAxis axis) const {
    View row = env_[at(v)].view();
    if (axis >= 0) return env_[at(v)].viewed(cpu::at(row, static_cast<size_t>(axis), 0));
    while (!row.shape.empty()) row = cpu::at(row, 0, 0);
    return env_[at(v)].viewed(row);
  }

  // ---- a joined map --------------------------------------------------------------------------------------
  /// A value that the map gives out, and as what.
  struct Given {
    int value;
    Result result;
  };

  void apply_joined(const std::vector<size_t>& members) {
    const std::set<int> made = made_by(members);
    Operands all;
    for (size_t e : members) {
      const Graph::Equation& eq = equation(e);
      if (const MapParts* map = map_parts(*eq.op)) {
        for (size_t i = 0; i < map->access.size(); ++i) {
          const Access& a = map->access[i];
          if (a.kind == Kind::Gather)
            meet(all, eq.in[i], Access::gather(index_of(all, eq, *map, a.index)), kShared);
          else if (a.kind == Kind::Uniform)
            meet(all, eq.in[i], a, kShared);
          else if (!made.count(eq.in[i]))
            meet_each(all, eq.in[i], 0);
        }
      } else {
        for (size_t i = 0; i < eq.in.size(); ++i) {
          if (made.count(eq.in[i])) continue;
          const RowAxis axis = batch_.operand_rows(e)[i];
          if (axis == kShared)
            meet(all, eq.in[i], Access::uniform(), kShared);
          else
            meet_each(all, eq.in[i], axis);
        }
      }
    }
    std::vector<size_t> views;
    const std::vector<Given> given = given_by(members, all, views);
    const Ref<const Graph> body = trace_closed(
        [&](std::span<const Array> args) { return body_of(members, made, all, given, args); }, all.avals);
    std::vector<Result> results;
    for (const Given& g : given) results.push_back(g.result);
    const Arrays out = map(body, rows_.count, all.arrays, all.access, results, all.indices);
    for (size_t k = 0; k < given.size(); ++k) {
      const int v = given[k].value;
      const RowAxis axis = batch_.rows_of(v);
      env_[at(v)] = axis > 0          ? moveaxis(out[k], {0}, {axis})
                    : axis == kShared ? out[k]
                                      : reshape(out[k], value(v).shape);
    }
    for (size_t e : views) apply_alone(equation(e));
  }

  std::set<int> made_by(const std::vector<size_t>& members) const {
    std::set<int> made;
    for (size_t e : members) made.insert(equation(e).out.begin(), equation(e).out.end());
    return made;
  }

  // What is read elsewhere comes out. Views are taken of what comes out, and not written themselves.
  std::vector<Given> given_by(const std::vector<size_t>& members, Operands& all, std::vector<size_t>& views) {
    std::set<int> wanted(g_.outputs().begin(), g_.outputs().end());
    const std::set<size_t> here(members.begin(), members.end());
    for (size_t e = 0; e < g_.equations().size(); ++e)
      if (!here.count(e)) wanted.insert(equation(e).in.begin(), equation(e).in.end());
    for (size_t i = members.size(); i-- > 0;) {
      const Graph::Equation& eq = equation(members[i]);
      if (!eq.op->is_view() || !wanted.count(eq.out[0])) continue;
      wanted.insert(eq.in[0]);
      views.insert(views.begin(), members[i]);
    }
    std::vector<Given> given;
    for (size_t e : members) {
      if (std::find(views.begin(), views.end(), e) != views.end()) continue;
      const Graph::Equation& eq = equation(e);
      const MapParts* map = map_parts(*eq.op);
      for (size_t k = 0; k < eq.out.size(); ++k) {
        if (!wanted.count(eq.out[k])) continue;
        Result r = map ? map->results[k] : batch_.is_summed(eq.out[k]) ? Result::sum() : Result::each();
        if (r.kind == RK::SegmentSum) r.index = index_of(all, eq, *map, r.index);
        given.push_back({eq.out[k], r});
      }
    }
    return given;
  }

  Arrays body_of(const std::vector<size_t>& members, const std::set<int>& made, Operands& all,
                 const std::vector<Given>& given, std::span<const Array> args) const {
    std::map<int, Array> row;  // of values that are made here; of sums, what is summed
    const auto operand = [&](int v, Kind kind, int64_t how) {
      return args[all.place.at(Operands::Key{v, kind, how})];
    };
    const auto row_value = [&](int v, RowAxis axis) {
      if (made.count(v)) return row.at(v);
      if (axis == kShared) return operand(v, Kind::Uniform, kShared);
      if (is_same_in_rows(v, axis)) return constant_row(v, axis);
      if (const auto source = broadcast_source(v, axis))
        return broadcast_row(operand(*source, Kind::Uniform, kShared), v, axis);
      return operand(v, Kind::Each, axis);
    };
    for (size_t e : members) {
      const Graph::Equation& eq = equation(e);
      const SourceScope line(eq.source);
      Arrays in, out;
      if (const MapParts* map = map_parts(*eq.op)) {
        for (size_t i = 0; i < map->access.size(); ++i) {
          const Access& a = map->access[i];
          in.push_back(a.kind == Kind::Each ? row_value(eq.in[i], 0)
                       : a.kind == Kind::Uniform
                           ? operand(eq.in[i], a.kind, kShared)
                           : operand(eq.in[i], a.kind, index_of(all, eq, *map, a.index)));
        }
        out = map->body->call(in);
      } else {
        const std::vector<RowAxis>& axes = batch_.operand_rows(e);
        Avals whole;
        for (size_t i = 0; i < eq.in.size(); ++i) {
          in.push_back(row_value(eq.in[i], axes[i]));
          whole.push_back(value(eq.in[i]));
        }
        const bool of_rows = std::any_of(axes.begin(), axes.end(), [](RowAxis a) { return a != kShared; });
        out = of_rows ? Arrays{eq.op->on_row(in, axes, whole)->value} : hesse::apply(eq.op, in);
      }
      for (size_t k = 0; k < out.size(); ++k) row[eq.out[k]] = out[k];
    }
    Arrays out;
    for (const Given& g : given) out.push_back(row.at(g.value));
    return out;
  }

  const Graph& g_;
  Rows rows_;
  Batch batch_;
  Arrays env_;
};

}  // namespace

Ref<const Graph> fused(const Ref<const Graph>& g) {
  Ref<const Graph> out = g;
  if (g->is_dynamic()) return out;
  // Each round joins what is worth most; a program has few sizes of batches.
  constexpr int kRounds = 16;
  for (int round = 0; round < kRounds; ++round) {
    std::optional<Fusion> best;
    for (const Rows rows : possible_rows(*out)) {
      Fusion next(*out, rows);
      if (next.worth() > 0 && (!best || next.worth() >= best->worth())) best.emplace(std::move(next));
    }
    if (!best) break;
    out = best->result();
  }
  return out;
}

}  // namespace hesse
