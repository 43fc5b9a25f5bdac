#include "core/ops/map_split.h"

#include <algorithm>

#include "core/ops.h"
#include "core/ops/control_graph.h"

namespace hesse {
namespace {

using R = Result::Kind;

size_t at(int v) { return static_cast<size_t>(v); }

// Of one product: with more, forming it costs little beside reading its factors.
constexpr int64_t kMostTerms = 32;

/// A constant whose entries are one stored element: it may stay in the body, where rules can see it.
bool is_stored_once(const Array& a) {
  if (!is_constant(a)) return false;
  for (size_t d = 0; d < a.ndim(); ++d)
    if (a.strides()[d] != 0 && a.shape()[d] != 1) return false;
  return true;
}

/// Which equations run before, inside and after, and which values the map gives to what is after.
struct Split {
  enum Phase : uint8_t { kBefore, kInside, kAfter };
  std::vector<Phase> phase;                 // by equation
  std::vector<bool> varies, needed, after;  // by value: `after` where it is the sum of the value that is read
  std::vector<int> sums;                    // varying values that are summed inside
  bool trivial = true;

  Split(const Graph& g, const std::vector<Access>& access, const std::vector<Result>& results) {
    const auto& equations = g.equations();
    std::vector<bool> marked;
    for (const Access& a : access) marked.push_back(a.kind != Access::Kind::Uniform);
    varies = g.depends_on(marked);
    needed.assign(varies.size(), false);
    after.assign(varies.size(), false);
    const auto [producer, uses] = producers_and_uses(g);
    for (size_t e = 0; e < equations.size(); ++e) {
      const bool shared =
          std::none_of(equations[e].in.begin(), equations[e].in.end(), [&](int v) { return varies[at(v)]; });
      phase.push_back(shared ? kBefore : kInside);
      trivial = trivial && phase[e] == kInside;
    }
    for (size_t k = 0; k < results.size(); ++k) {
      const int v = g.outputs()[k];
      trivial = trivial && (varies[at(v)] || results[k].kind == R::SegmentSum);
      if (results[k].kind == R::Sum) move_out(g, v, uses, producer);
      if (results[k].kind != R::Sum) needed[at(v)] = true;
    }
    for (int v : sums) needed[at(v)] = true;
    for (size_t e = equations.size(); e-- > 0;) {
      const Graph::Equation& eq = equations[e];
      bool any = phase[e] == kAfter || eq.op->has_effect();
      for (int v : eq.out) any = any || needed[at(v)];
      trivial = trivial && any;
      if (!any) continue;
      for (int v : eq.in)
        if (phase[e] != kAfter || !varies[at(v)]) needed[at(v)] = true;
    }
    for (int i = 0; i < g.num_inputs(); ++i) trivial = trivial && needed[at(i)];
  }

 private:
  // The sum of v: of an equation that is linear, it is the equation of the sums.
  void move_out(const Graph& g, int output, const std::vector<int>& uses, const std::vector<int>& producer) {
    std::vector<int> open{output};
    for (size_t i = 0; i < open.size(); ++i) {
      const int v = open[i], e = producer[at(v)];
      if (after[at(v)]) continue;
      after[at(v)] = true;
      if (!varies[at(v)]) {  // n times the value
        needed[at(v)] = true;
        continue;
      }
      if (e >= 0 && uses[at(v)] == 1 && moves(g, g.equations()[at(e)]) &&
          !outer_sum(g, v, varies, producer, uses)) {
        phase[at(e)] = kAfter;
        trivial = false;
        for (int w : g.equations()[at(e)].in)
          if (varies[at(w)]) open.push_back(w);
      } else {
        sums.push_back(v);
      }
    }
  }

  bool moves(const Graph& g, const Graph::Equation& eq) const {
    if (eq.out.size() != 1 || eq.op->has_effect()) return false;
    size_t varying = 0, inexact = 0;
    bool repeated = false;
    for (size_t j = 0; j < eq.in.size(); ++j) {
      varying += varies[at(eq.in[j])];
      inexact += is_inexact(g.values()[at(eq.in[j])].dtype);
      for (size_t l = 0; l < j; ++l) repeated = repeated || eq.in[j] == eq.in[l];
    }
    if (repeated) return false;
    switch (eq.op->linearity()) {
      case Op::Linearity::Together:
        return varying == inexact && varying == eq.in.size();
      case Op::Linearity::Each:
        return varying == 1;
      default:
        return false;
    }
  }
};

}  // namespace

std::pair<std::vector<int>, std::vector<int>> producers_and_uses(const Graph& g) {
  std::vector<int> producer(g.values().size(), -1), uses(g.values().size(), 0);
  for (size_t e = 0; e < g.equations().size(); ++e) {
    for (int v : g.equations()[e].in) ++uses[at(v)];
    for (int v : g.equations()[e].out) producer[at(v)] = static_cast<int>(e);
  }
  for (int v : g.outputs()) ++uses[at(v)];
  return {producer, uses};
}

std::optional<OuterSum> outer_sum(const Graph& g, int value, const std::vector<bool>& varies,
                                  const std::vector<int>& producer, const std::vector<int>& uses) {
  OuterSum out;
  std::vector<int> open{value};
  for (size_t i = 0; i < open.size(); ++i) {
    const int v = open[i], e = producer[at(v)];
    if (e < 0 || uses[at(v)] != 1) return std::nullopt;
    const Graph::Equation& eq = g.equations()[at(e)];
    out.unformed.push_back(v);
    if (eq.op->name() == "add") {
      open.insert(open.end(), eq.in.begin(), eq.in.end());
    } else if (eq.op->name() == "matmul") {
      const Aval &a = g.values()[at(eq.in[0])], &b = g.values()[at(eq.in[1])];
      if (a.shape.size() != 2 || b.shape.size() != 2 || a.shape[1] < 1 || a.shape[1] > kMostTerms ||
          !is_floating(a.dtype) || !varies[at(eq.in[0])] || !varies[at(eq.in[1])])
        return std::nullopt;
      out.terms.emplace_back(eq.in[0], eq.in[1]);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::optional<Arrays> map_without_shared(const Graph& body, int64_t n, const Arrays& operands,
                                         const std::vector<Access>& access,
                                         const std::vector<Result>& results, const Arrays& indices) {
  const Split split(body, access, results);
  if (split.trivial) return std::nullopt;
  const auto& equations = body.equations();

  // Before: values that are the same for all examples.
  Arrays shared(body.values().size());
  for (size_t i = 0; i < access.size(); ++i)
    if (access[i].kind == Access::Kind::Uniform) shared[i] = operands[i];
  for (const auto& [id, a] : body.constants()) shared[at(id)] = a;
  const auto run = [&](const Graph::Equation& eq, const auto& value, Arrays& env) {
    Arrays in;
    for (int v : eq.in) in.push_back(value(v));
    const SourceScope line(eq.source);
    const Arrays out = hesse::apply(eq.op, std::move(in));
    for (size_t k = 0; k < out.size(); ++k) env[at(eq.out[k])] = out[k];
  };
  const auto is_read = [&](const Graph::Equation& eq) {
    return eq.op->has_effect() || std::any_of(eq.out.begin(), eq.out.end(), [&](int v) {
             return split.needed[at(v)] || split.after[at(v)];
           });
  };
  for (size_t e = 0; e < equations.size(); ++e)
    if (split.phase[e] == Split::kBefore && is_read(equations[e]))
      run(
          equations[e], [&](int v) { return shared[at(v)]; }, shared);

  // Inside: its operands are those of examples that are read, and the shared values that are.
  std::vector<bool> read(body.values().size(), false);
  std::vector<int> inputs, outputs;
  std::vector<const Graph::Equation*> inside;
  for (size_t e = 0; e < equations.size(); ++e)
    if (split.phase[e] == Split::kInside && is_read(equations[e])) {
      inside.push_back(&equations[e]);
      for (int v : equations[e].in) read[at(v)] = true;
    }
  std::vector<Result> inner_results;
  for (int v : split.sums) {
    outputs.push_back(v);
    inner_results.push_back(Result::sum());
  }
  std::vector<int> place(results.size(), -1);  // of a result among those of the inner map
  for (size_t k = 0; k < results.size(); ++k) {
    const int v = body.outputs()[k];
    if (results[k].kind == R::Sum || (results[k].kind == R::Each && !split.varies[at(v)])) continue;
    place[k] = static_cast<int>(outputs.size());
    outputs.push_back(v);
    inner_results.push_back(results[k]);
  }
  for (int v : outputs) read[at(v)] = true;
  Arrays inner_operands;
  std::vector<Access> inner_access;
  Avals avals;
  for (size_t v = 0; v < read.size(); ++v) {
    if (!read[v]) continue;
    const bool argument = v < access.size() && access[v].kind != Access::Kind::Uniform;
    if (!argument && !shared[v].defined()) continue;
    if (!argument && is_stored_once(shared[v])) continue;  // stays a constant
    inputs.push_back(static_cast<int>(v));
    inner_operands.push_back(argument ? operands[v] : shared[v]);
    inner_access.push_back(argument ? access[v] : Access::uniform());
    avals.push_back(body.values()[v]);
  }
  Arrays inner;
  if (!outputs.empty() || !inside.empty()) {
    const Ref<const Graph> graph = trace_closed(
        [&](std::span<const Array> args) {
          Arrays env = shared;
          for (size_t i = 0; i < inputs.size(); ++i) env[at(inputs[i])] = args[i];
          for (const Graph::Equation* eq : inside)
            run(
                *eq, [&](int v) { return env[at(v)]; }, env);
          Arrays y;
          for (int v : outputs) y.push_back(env[at(v)]);
          return y;
        },
        avals);
    inner = map_inside(graph, n, inner_operands, inner_access, inner_results, indices);
  }

  // After: what the sums moved through.
  Arrays totals(body.values().size());
  for (size_t s = 0; s < split.sums.size(); ++s) totals[at(split.sums[s])] = inner[s];
  const auto total = [&](int v) -> const Array& {
    Array& t = totals[at(v)];
    if (!t.defined())
      t = n == 0 ? zeros_of(body.values()[at(v)])
                 : multiply(shared[at(v)], astype(Array(n), shared[at(v)].dtype()));
    return t;
  };
  for (size_t e = 0; e < equations.size(); ++e)
    if (split.phase[e] == Split::kAfter)
      run(
          equations[e], [&](int v) { return split.varies[at(v)] ? totals[at(v)] : shared[at(v)]; }, totals);
  Arrays out;
  for (size_t k = 0; k < results.size(); ++k) {
    const int v = body.outputs()[k];
    if (place[k] >= 0) {
      out.push_back(inner[at(place[k])]);
    } else if (results[k].kind == R::Sum) {
      out.push_back(total(v));
    } else {
      Shape shape = body.values()[at(v)].shape;
      shape.insert(0, n);
      out.push_back(broadcast_to(shared[at(v)], shape));
    }
  }
  return out;
}

}  // namespace hesse
