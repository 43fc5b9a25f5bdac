#include "core/program/map_loops.h"

#include <algorithm>

#include "core/ops.h"
#include "core/ops/control_graph.h"
#include "core/ops/map_split.h"
#include "core/program/rewrite.h"
#include "core/program/unroll.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

const Loop* loop_of(const Graph::Equation& eq) { return dynamic_cast<const Loop*>(eq.op.get()); }

std::vector<bool> of_operands(const Graph::Equation& eq, const std::vector<bool>& varies) {
  std::vector<bool> out;
  for (const int v : eq.in) out.push_back(varies[at(v)]);
  return out;
}
bool any(const std::vector<bool>& marks) {
  return std::find(marks.begin(), marks.end(), true) != marks.end();
}

/// Equations of one example, recorded for all: what they share is recorded as it is, what differs goes into
/// maps, and loops stand between these.
class Examples {
 public:
  Examples(const Graph& g, int64_t n) : g_(g), n_(n), values_(g.values().size()), varies_(values_.size()) {}

  Arrays run(std::span<const Array> inputs, const std::vector<bool>& varies) {
    std::copy(varies.begin(), varies.end(), varies_.begin());
    std::copy(inputs.begin(), inputs.end(), values_.begin());
    for (const auto& [v, a] : g_.constants()) values_[at(v)] = a;
    const auto& equations = g_.equations();
    for (size_t e = 0; e < equations.size(); ++e) equation(e);
    flush(equations.size());
    Arrays out;
    for (const int v : g_.outputs()) out.push_back(*values_[at(v)]);
    return out;
  }
  bool varies(int value) const { return varies_[at(value)]; }

 private:
  void equation(size_t e) {
    const Graph::Equation& eq = g_.equations()[e];
    const std::vector<bool> marks = of_operands(eq, varies_);
    if (!any(marks)) {
      const SourceScope line(eq.source);
      Arrays in;
      for (const int v : eq.in) in.push_back(*values_[at(v)]);
      give(eq, apply(eq.op, in));
      return;
    }
    if (const Loop* loop = loop_of(eq); loop && loop->steps_together(marks)) {
      flush(e);
      const SourceScope line(eq.source);
      Arrays in;
      for (const int v : eq.in) in.push_back(*values_[at(v)]);
      if (auto found = loop->for_examples(n_, in, marks)) {
        give(eq, found->results);
        for (size_t k = 0; k < eq.out.size(); ++k) varies_[at(eq.out[k])] = found->varies[k];
        return;
      }
    }
    for (const int v : eq.out) varies_[at(v)] = true;
    pending_.push_back(&eq);
  }
  void give(const Graph::Equation& eq, const Arrays& results) {
    for (size_t k = 0; k < eq.out.size(); ++k) values_[at(eq.out[k])] = results[k];
  }

  // Equations that wait become a map; what others read of them, from number `end` on, is its results.
  void flush(size_t end) {
    if (pending_.empty()) return;
    const auto& equations = g_.equations();
    std::vector<bool> read(values_.size(), false);
    for (size_t e = end; e < equations.size(); ++e)
      for (const int v : equations[e].in) read[at(v)] = true;
    for (const int v : g_.outputs()) read[at(v)] = true;
    const GraphPart part = part_of(g_, pending_, read);
    pending_.clear();
    if (part.outputs.empty()) return;
    Arrays operands;
    std::vector<Access> access;
    for (const int v : part.inputs) {
      operands.push_back(*values_[at(v)]);
      access.push_back(varies_[at(v)] ? Access::each() : Access::uniform());
    }
    const Arrays y =
        map(part.graph, n_, operands, access, std::vector<Result>(part.outputs.size(), Result::each()));
    for (size_t k = 0; k < part.outputs.size(); ++k) values_[at(part.outputs[k])] = y[k];
  }

  const Graph& g_;
  int64_t n_;
  std::vector<std::optional<Array>> values_;
  std::vector<bool> varies_;
  std::vector<const Graph::Equation*> pending_;  // those that differ between examples
};

/// The map of an equation whose loops are to stand outside, or null.
const MapParts* with_shared_loops(const Graph::Equation& eq, bool inside) {
  // By themselves more examples are better off as lanes of one loop.
  constexpr int64_t kMostAlone = 4, kMostInside = 16;
  const MapParts* map = map_parts(*eq.op);
  if (!map || map->n < 2 || map->n > (inside ? kMostInside : kMostAlone) || map->body->is_dynamic() ||
      has_effects(*map->body))
    return nullptr;
  std::vector<bool> varies;
  for (const Access& a : map->access) {
    if (a.kind == Access::Kind::Gather) return nullptr;
    varies.push_back(a.kind == Access::Kind::Each);
  }
  for (const Result& r : map->results)
    if (r.kind == Result::Kind::SegmentSum) return nullptr;
  const auto& equations = map->body->equations();
  if (std::none_of(equations.begin(), equations.end(), [](const auto& e) { return loop_of(e) != nullptr; }))
    return nullptr;
  const SharedWork work = shared_work(*map->body, varies);
  return 4 * work.shared >= work.all ? map : nullptr;
}

}  // namespace

SharedWork shared_work(const Graph& g, const std::vector<bool>& marked) {
  std::vector<bool> varies = marked;
  varies.resize(g.values().size(), false);
  SharedWork out;
  for (const Graph::Equation& eq : g.equations()) {
    const std::vector<bool> marks = of_operands(eq, varies);
    const Loop* loop = loop_of(eq);
    std::vector<bool> results(eq.out.size(), any(marks));
    if (loop && (!any(marks) || loop->steps_together(marks))) {
      const SharedWork inside = loop->shared_work(marks);
      out.shared += inside.shared;
      out.all += inside.all;
      const std::vector<bool> depend = eq.op->depends_on(marks);
      if (any(marks) && !depend.empty()) results = depend;
    } else {
      Avals in, results_of;
      for (const int v : eq.in) in.push_back(g.values()[at(v)]);
      for (const int v : eq.out) results_of.push_back(g.values()[at(v)]);
      const double work = 1 + eq.op->flops(in, results_of);
      out.all += work;
      if (!any(marks)) out.shared += work;
    }
    for (size_t k = 0; k < eq.out.size(); ++k) varies[at(eq.out[k])] = results[k];
  }
  return out;
}

std::optional<ForExamples> for_examples(const Graph& g, int64_t n, const std::vector<bool>& varies,
                                        const std::vector<bool>& first) {
  if (g.is_dynamic()) return std::nullopt;
  Avals avals = g.input_avals();
  for (size_t i = 0; i < avals.size(); ++i)
    if (varies[i]) avals[i].shape.insert(0, n);
  ForExamples out;
  bool agrees = true;
  out.graph = trace_closed(
      [&](std::span<const Array> x) {
        Examples all(g, n);
        Arrays y = all.run(x, varies);
        for (size_t k = 0; k < y.size(); ++k) {
          out.varies.push_back(all.varies(g.outputs()[k]));
          if (k >= first.size() || first[k] == out.varies[k]) continue;
          if (out.varies[k]) agrees = false;
          Shape shape = y[k].shape();
          shape.insert(0, n);
          y[k] = broadcast_to(y[k], shape);
          out.varies[k] = true;
        }
        return y;
      },
      avals);
  if (!agrees) return std::nullopt;
  return out;
}

Ref<const Graph> with_loops_outside(const Ref<const Graph>& g, bool inside) {
  const auto& equations = g->equations();
  if (g->is_dynamic() || std::none_of(equations.begin(), equations.end(), [&](const Graph::Equation& eq) {
        return with_shared_loops(eq, inside) != nullptr;
      }))
    return g;
  const Ref<const Graph> out = replaced(*g, [&](size_t e, const Arrays& values) -> std::optional<Arrays> {
    const Graph::Equation& eq = equations[e];
    const MapParts* map = with_shared_loops(eq, inside);
    if (!map) return std::nullopt;
    Arrays in;
    std::vector<bool> varies;
    for (size_t i = 0; i < eq.in.size(); ++i) {
      in.push_back(values[at(eq.in[i])]);
      varies.push_back(map->access[i].kind == Access::Kind::Each);
    }
    Examples all(*map->body, map->n);
    Arrays out = all.run(in, varies);
    for (size_t k = 0; k < out.size(); ++k) {
      if (!all.varies(map->body->outputs()[k])) {
        Shape shape = out[k].shape();
        shape.insert(0, map->n);
        out[k] = broadcast_to(out[k], shape);
      }
      if (map->results[k].kind == Result::Kind::Sum) out[k] = sum(out[k], Dims{0});
    }
    return out;
  });
  return merged(out);  // a loop beside its tangent has equal operands then
}

}  // namespace hesse
