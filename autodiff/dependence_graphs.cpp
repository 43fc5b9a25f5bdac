// How dependence passes through ops that hold graphs: maps, loops, branches and calls.
#include <algorithm>

#include "autodiff/dependence.h"
#include "core/op_table.h"
#include "core/ops/map_split.h"

namespace hesse {
namespace {

constexpr double kMostUnions = 5e7;

}  // namespace

LocalDependence::LocalDependence(const Graph& g, const MaybeArrays& known, int depth) {
  std::vector<Place> place;
  const Avals in = g.input_avals();
  for (size_t i = 0; i < in.size(); ++i)
    if (is_inexact(in[i].dtype))
      for (int64_t e = 0; e < num_elements(in[i].shape); ++e) place.push_back({static_cast<int>(i), e});
  IndexSets sets(static_cast<int64_t>(place.size()));
  Dependences on(in.size());
  for (size_t p = 0; p < place.size();) {
    const auto i = static_cast<size_t>(place[p].input);
    std::vector<int> of;
    for (; p < place.size() && place[p].input == static_cast<int>(i); ++p)
      of.push_back(sets.single(static_cast<int64_t>(p)));
    on[i] = Dependence(std::move(of));
  }
  const Dependences out = DependenceWalk(sets, depth).outputs(g, std::move(on), known);
  for (size_t k = 0; k < out.size(); ++k) {
    places_.emplace_back(static_cast<size_t>(num_elements(g.output_aval(static_cast<int>(k)).shape)));
    for (size_t e = 0; e < places_[k].size(); ++e)
      for (const int32_t m : sets.members(out[k][static_cast<int64_t>(e)])) {
        places_[k][e].push_back(place[static_cast<size_t>(m)]);
        ++total_;
      }
  }
}

std::optional<Dependences> DependenceWalk::by_graphs(const Met& e) {
  const std::string_view name = e.op.name();
  constexpr int kDeepest = 40;
  if (depth_ > kDeepest) return std::nullopt;
  if (name == "map") return of_map(e);
  if (name == "scan") return of_scan(e);
  if (name == "while_loop") return of_while(e);
  if (name != "call" && name != "cond") return std::nullopt;
  const size_t first = name == "cond" ? 1 : 0;  // of a cond comes the index of the branch
  Dependences out(e.out.size());
  for (const auto& [key, param] : e.op.params()) {
    const auto* body = std::get_if<Ref<const Graph>>(&param);
    if (!body) continue;
    if ((*body)->is_dynamic()) return dense(e);
    const Dependences y = DependenceWalk(sets_, depth_ + 1)
                              .outputs(**body, {e.on.begin() + static_cast<int64_t>(first), e.on.end()},
                                       {e.known.begin() + static_cast<int64_t>(first), e.known.end()});
    for (size_t k = 0; k < out.size(); ++k) out[k] = united(out[k], y[k], num_elements(e.out[k].shape));
  }
  return out;
}

Dependences DependenceWalk::of_map(const Met& e) {
  const MapParts& map = *map_parts(e.op);
  const size_t m = map.access.size();
  if (has_run_time_length(e.in) || has_run_time_length(e.out) || map.body->is_dynamic()) return dense(e);
  MaybeArrays known(m);
  std::vector<std::vector<int64_t>> indices(e.in.size() - m);
  for (size_t i = 0; i < m; ++i)
    if (map.access[i].kind == Access::Kind::Uniform) known[i] = e.known[i];
  for (size_t j = 0; j < indices.size(); ++j) {
    if (!e.known[m + j]) return dense(e);
    indices[j] = e.known[m + j]->to_vector<int64_t>();
  }
  const LocalDependence local(*map.body, known, depth_ + 1);
  if (static_cast<double>(map.n) * static_cast<double>(local.total()) > kMostUnions) return dense(e);
  Dependences out;
  std::vector<int> parts;
  for (size_t k = 0; k < e.out.size(); ++k) {
    const Result& result = map.results[k];
    const int64_t size = local.entries(k);
    std::vector<int> y(static_cast<size_t>(num_elements(e.out[k].shape)), IndexSets::kEmpty);
    for (int64_t entry = 0; entry < size; ++entry) {
      std::vector<int> summed;
      for (int64_t example = 0; example < map.n; ++example) {
        parts.clear();
        for (const auto& [input, at] : local(k, entry)) {
          const auto i = static_cast<size_t>(input);
          const Access& access = map.access[i];
          const int64_t one = num_elements(map.body->input_aval(input).shape);
          const int64_t row = access.kind == Access::Kind::Each ? example
                              : access.kind == Access::Kind::Gather
                                  ? indices[static_cast<size_t>(access.index)][static_cast<size_t>(example)]
                                  : 0;
          if (row < 0 || (access.kind != Access::Kind::Uniform && row >= e.in[i].shape[0])) return dense(e);
          parts.push_back(e.on[i][row * one + at]);
        }
        const int of_example = sets_.unite(parts);
        if (result.kind == Result::Kind::Each) {
          y[static_cast<size_t>(example * size + entry)] = of_example;
        } else if (result.kind == Result::Kind::Sum) {
          summed.push_back(of_example);
        } else {
          const int64_t row = indices[static_cast<size_t>(result.index)][static_cast<size_t>(example)];
          if (row < 0 || row >= result.num_segments) return dense(e);
          int& to = y[static_cast<size_t>(row * size + entry)];
          to = sets_.unite(to, of_example);
        }
      }
      if (result.kind == Result::Kind::Sum) y[static_cast<size_t>(entry)] = sets_.unite(summed);
    }
    out.emplace_back(std::move(y));
  }
  return out;
}

// Step by step, until nothing changes any more.
Dependences DependenceWalk::of_scan(const Met& e) {
  const Params all = e.op.params();
  const ReadParams p(all);
  const Ref<const Graph> body = p["body"];
  const int64_t carries = p["num_carry"], xs = p["num_xs"];
  const auto nc = static_cast<size_t>(carries), nx = static_cast<size_t>(xs);
  const bool reverse = p["reverse"];
  int64_t n = p["length"];
  if (has_run_time_length(e.in) || has_run_time_length(e.out) || body->is_dynamic()) return dense(e);
  if (nx > 0) n = e.in[nc].shape[0];
  MaybeArrays known(e.in.size());
  for (size_t i = nc + nx; i < e.in.size(); ++i) known[i] = e.known[i];
  const LocalDependence local(*body, known, depth_ + 1);
  if (static_cast<double>(n) * static_cast<double>(local.total()) > kMostUnions) return dense(e);
  Dependences carry(e.on.begin(), e.on.begin() + carries);
  const auto ny = static_cast<size_t>(body->num_outputs()) - nc;
  std::vector<std::vector<int>> stacked;
  for (size_t k = nc; k < e.out.size(); ++k)
    stacked.emplace_back(static_cast<size_t>(num_elements(e.out[k].shape)), IndexSets::kEmpty);
  std::vector<int> parts;
  for (int64_t s = 0; s < n; ++s) {
    const int64_t t = reverse ? n - 1 - s : s;
    for (size_t k = nc + ny; k < e.out.size(); ++k) {
      const size_t c = k - nc - ny;
      const int64_t one = num_elements(e.in[c].shape);
      for (int64_t entry = 0; entry < one; ++entry)
        stacked[k - nc][static_cast<size_t>(t * one + entry)] = carry[c][entry];
    }
    Dependences next;
    for (size_t k = 0; k < nc + ny; ++k) {
      std::vector<int> y;
      for (int64_t entry = 0; entry < local.entries(k); ++entry) {
        parts.clear();
        for (const auto& [input, at] : local(k, entry)) {
          const auto i = static_cast<size_t>(input);
          if (i < nc)
            parts.push_back(carry[i][at]);
          else if (i < nc + nx)
            parts.push_back(e.on[i][t * num_elements(body->input_aval(input).shape) + at]);
          else
            parts.push_back(e.on[i][at]);
        }
        y.push_back(sets_.unite(parts));
      }
      if (k < nc)
        next.emplace_back(std::move(y));
      else
        std::copy(y.begin(), y.end(), stacked[k - nc].begin() + t * static_cast<int64_t>(y.size()));
    }
    carry = std::move(next);
  }
  for (auto& y : stacked) carry.emplace_back(std::move(y));
  return carry;
}

// The union over any number of steps: what is not reached after a few of them, counts as reached.
Dependences DependenceWalk::of_while(const Met& e) {
  const Params all = e.op.params();
  const ReadParams p(all);
  const Ref<const Graph> body = p["body"];
  const int64_t carries = p["num_carry"], tests = p["num_cond_consts"];
  const auto nc = static_cast<size_t>(carries), first = static_cast<size_t>(carries + tests);
  if (has_run_time_length(e.in) || body->is_dynamic()) return dense(e);
  MaybeArrays known(nc);
  known.insert(known.end(), e.known.begin() + static_cast<int64_t>(first), e.known.end());
  const LocalDependence local(*body, known, depth_ + 1);
  constexpr int kMostRounds = 50;
  Dependences carry(e.on.begin(), e.on.begin() + carries);
  bool settled = false;
  for (int round = 0; round < kMostRounds && !settled; ++round) {
    Dependences next;
    std::vector<int> parts;
    for (size_t k = 0; k < nc; ++k) {
      std::vector<int> y;
      for (int64_t entry = 0; entry < local.entries(k); ++entry) {
        parts.assign(1, carry[k][entry]);
        for (const auto& [input, at] : local(k, entry)) {
          const auto i = static_cast<size_t>(input);
          parts.push_back(i < nc ? carry[i][at] : e.on[i - nc + first][at]);
        }
        y.push_back(is_inexact(e.in[k].dtype) ? sets_.unite(parts) : IndexSets::kEmpty);
      }
      next.emplace_back(std::move(y));
    }
    settled = next == carry;
    carry = std::move(next);
  }
  if (!settled) return dense(e);
  for (size_t k = nc; k < e.out.size(); ++k)  // stacks of carries, of unknown length
    carry.emplace_back(union_of(carry[k - nc], num_elements(e.in[k - nc].shape)));
  return carry;
}

}  // namespace hesse
