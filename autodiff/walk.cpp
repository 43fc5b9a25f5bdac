#include "autodiff/walk.h"

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "core/ops.h"
#include "core/ops/control_graph.h"

namespace hesse {
namespace {

using Values = std::unordered_map<const Node*, MaybeArrays>;

MaybeArray* find(Values& values, const Array& a) {
  if (!a.node()) return nullptr;
  const auto it = values.find(a.node().get());
  if (it == values.end()) return nullptr;
  return &it->second[static_cast<size_t>(a.output_index())];
}

MaybeArray& slot(Values& values, const Array& a) {
  auto& v = values[a.node().get()];
  if (v.empty()) v.resize(static_cast<size_t>(a.node()->num_outputs()));
  return v[static_cast<size_t>(a.output_index())];
}

/// What the leaves lead to. `outputs` holds the nodes not all of whose outputs depend on a leaf.
struct Reach {
  std::unordered_set<const Node*> nodes;
  std::unordered_map<const Node*, std::vector<bool>> outputs;
  bool operator()(const Array& a) const {
    if (!a.node() || !nodes.count(a.node().get())) return false;
    const auto it = outputs.find(a.node().get());
    return it == outputs.end() || it->second[static_cast<size_t>(a.output_index())];
  }
};

std::vector<bool> marks(const Node& n, const Reach& reach) {
  std::vector<bool> out;
  for (const Array& a : n.inputs()) out.push_back(reach(a));
  return out;
}

// With `by_output`, ops are asked which of their outputs depend on which inputs.
Reach reach_of(std::span<const Ref<Node>> nodes, const Arrays& leaves, bool by_output) {
  Reach reach;
  for (const Array& a : leaves)
    if (a.defined() && a.node()) reach.nodes.insert(a.node().get());
  for (const Ref<Node>& n : nodes) {
    if (reach.nodes.count(n.get()) || std::none_of(n->inputs().begin(), n->inputs().end(), std::cref(reach)))
      continue;
    reach.nodes.insert(n.get());
    if (!by_output || n->num_outputs() < 2) continue;
    std::vector<bool> depends = n->op()->depends_on(marks(*n, reach));
    if (std::find(depends.begin(), depends.end(), false) != depends.end())
      reach.outputs.emplace(n.get(), std::move(depends));
  }
  return reach;
}

// The nodes among `nodes` that lead from a leaf to an output, in order.
std::vector<const Node*> between(std::span<const Ref<Node>> nodes, const Reach& reach, const Arrays& leaves,
                                 const Arrays& outputs) {
  std::unordered_set<const Node*> leaf_nodes, needed;
  for (const Array& a : leaves)
    if (a.defined() && a.node()) leaf_nodes.insert(a.node().get());
  for (const Array& y : outputs)
    if (reach(y)) needed.insert(y.node().get());
  std::vector<const Node*> out;
  for (size_t i = nodes.size(); i-- > 0;) {
    const Node* n = nodes[i].get();
    if (!needed.count(n) || leaf_nodes.count(n)) continue;
    out.push_back(n);
    for (const Array& a : n->inputs())
      if (reach(a)) needed.insert(a.node().get());
  }
  std::reverse(out.begin(), out.end());
  return out;
}

/// The values of a linear function's symbols where its leaves are zero. What depends on the leaves is zero
/// there, or as good as zero: no rule can need more of it, being linear in it. Two sorts of values must be
/// computed: those that do not depend on the leaves, made by an op whose other outputs do, and stacks, whose
/// length only the loop knows.
class Origin {
 public:
  Origin(std::span<const Ref<Node>> nodes, const Reach& reach) {
    for (const Ref<Node>& n : nodes)
      if (!n->inputs().empty() && must_run(*n, reach)) {
        const SourceScope line(n->source());
        values_.emplace(n.get(), hesse::apply(n->op(), inputs(*n, reach)));
      }
  }
  Array operator()(const Array& a) const {
    const auto it = values_.find(a.node().get());
    if (it != values_.end()) return it->second[static_cast<size_t>(a.output_index())];
    const StagedRegion none(nullptr);
    return zeros_of(aval(a));
  }
  /// The inputs of a node: those that the trace does not hold are as they are.
  Arrays inputs(const Node& n, const Reach& reach) const {
    Arrays out;
    for (const Array& a : n.inputs())
      out.push_back(reach(a) || (a.node() && values_.count(a.node().get())) ? (*this)(a) : a);
    return out;
  }
  Arrays outputs(const Node& n) const {
    Arrays out;
    for (const Array& y : n.output_arrays())
      out.push_back(n.op()->reads_output(y.output_index()) ? (*this)(y) : y);
    return out;
  }

 private:
  bool must_run(const Node& n, const Reach& reach) const {
    if (!reach.nodes.count(&n))
      return std::any_of(n.inputs().begin(), n.inputs().end(),
                         [&](const Array& a) { return a.node() && values_.count(a.node().get()); });
    if (reach.outputs.count(&n)) return true;
    for (int k = 0; k < n.num_outputs(); ++k)
      if (const Shape& s = n.output_aval(k).shape; !s.empty() && s.front() == kDynamic) return true;
    return false;
  }
  std::unordered_map<const Node*, Arrays> values_;
};

/// One walk for both sorts of histories; `origin` is that of a linear function, else null.
MaybeArrays pull(std::span<const Ref<Node>> nodes, const Reach& reach, const Arrays& leaves,
                 const Arrays& outputs, const MaybeArrays& cotangents, const Origin* origin,
                 const std::function<void(const Node&)>& check) {
  Values cotangent;
  const auto accumulate = [&](const Array& a, const Array& ct) {
    MaybeArray& s = slot(cotangent, a);
    s = s ? add(*s, ct) : ct;
  };
  for (size_t k = 0; k < outputs.size(); ++k)
    if (cotangents[k] && reach(outputs[k])) accumulate(outputs[k], *cotangents[k]);
  const std::vector<const Node*> order = between(nodes, reach, leaves, outputs);
  for (size_t i = order.size(); i-- > 0;) {
    const Node* n = order[i];
    const auto it = cotangent.find(n);
    if (it == cotangent.end()) continue;
    const MaybeArrays ct = std::move(it->second);
    cotangent.erase(it);
    std::vector<bool> wanted;
    for (const Array& a : n->inputs()) wanted.push_back(is_inexact(a.dtype()) && reach(a));
    if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) continue;
    if (check) check(*n);
    const SourceScope line(n->source());
    const MaybeArrays dx = origin
                               ? op_vjp(n->op(), origin->inputs(*n, reach), origin->outputs(*n), ct, wanted)
                               : op_vjp(n->op(), n->inputs(), n->output_arrays(), ct, wanted);
    for (size_t j = 0; j < dx.size(); ++j)
      if (wanted[j] && dx[j]) accumulate(n->inputs()[j], *dx[j]);
  }
  MaybeArrays out;
  for (const Array& a : leaves) {
    const MaybeArray* s = find(cotangent, a);
    out.push_back(s ? *s : std::nullopt);
  }
  return out;
}

}  // namespace

MaybeArrays push_forward(std::span<const Ref<Node>> nodes, const Arrays& leaves, const MaybeArrays& tangents,
                         const Arrays& outputs) {
  // Rules record on outer tapes and traces only: `nodes` may be a live vector, so it is copied by `between`.
  Values tangent;
  for (size_t i = 0; i < leaves.size(); ++i)
    if (tangents[i]) slot(tangent, leaves[i]) = tangents[i];
  const Reach reach = reach_of(nodes, leaves, false);
  for (const Node* n : between(nodes, reach, leaves, outputs)) {
    MaybeArrays dx;
    bool any = false;
    for (const Array& a : n->inputs()) {
      const MaybeArray* t = find(tangent, a);
      dx.push_back(t ? *t : std::nullopt);
      any = any || dx.back();
    }
    if (!any) continue;
    const Arrays y = n->output_arrays();
    const SourceScope line(n->source());
    MaybeArrays dy = n->op()->jvp(n->inputs(), y, dx);
    for (size_t k = 0; k < dy.size(); ++k)
      if (dy[k]) slot(tangent, y[k]) = std::move(dy[k]);
  }
  MaybeArrays out;
  for (const Array& y : outputs) {
    const MaybeArray* t = find(tangent, y);
    out.push_back(t ? *t : std::nullopt);
  }
  return out;
}

MaybeArrays pull_back(std::span<const Ref<Node>> nodes, const Arrays& leaves, const Arrays& outputs,
                      const MaybeArrays& cotangents) {
  return pull(nodes, reach_of(nodes, leaves, false), leaves, outputs, cotangents, nullptr, {});
}

MaybeArrays transpose_linear(std::span<const Ref<Node>> nodes, const Arrays& leaves, const Arrays& outputs,
                             const MaybeArrays& cotangents, std::string_view function,
                             std::string_view demand) {
  const Reach reach = reach_of(nodes, leaves, true);
  const Origin origin(nodes, reach);
  return pull(nodes, reach, leaves, outputs, cotangents, &origin, [&](const Node& n) {
    const std::vector<bool> marked = marks(n, reach);
    bool linear = n.op()->is_linear_in(marked);
    for (size_t i = 0; i < marked.size(); ++i)  // an integer that depends on the leaves does so in steps
      linear = linear && (!marked[i] || is_inexact(n.inputs()[i].dtype()));
    require(linear, function, ": ", n.op()->name(), " is not linear in its marked operands; ", demand);
  });
}

// vjp = transpose of the jvp: its tangents are symbols, so only the linear part is recorded; the rest runs as
// it is.
MaybeArrays op_vjp(const OpRef& op, std::span<const Array> x, std::span<const Array> y,
                   std::span<const MaybeArray> ct, const std::vector<bool>& wanted) {
  if (auto stated = op->vjp(x, y, ct, wanted)) return std::move(*stated);
  const auto trace = make_ref<Trace>();
  struct Closer {
    const Ref<Trace>& t;
    ~Closer() { t->close(); }
  } closer{trace};
  MaybeArrays dx(x.size());
  Arrays symbols;
  std::vector<size_t> which;
  for (size_t i = 0; i < x.size(); ++i)
    if (wanted[i]) {
      symbols.push_back(trace->symbol(aval(x[i])));
      dx[i] = symbols.back();
      which.push_back(i);
    }
  MaybeArrays dy = op->jvp(x, y, dx);
  Arrays outputs;
  MaybeArrays cotangents;
  for (size_t k = 0; k < dy.size(); ++k)
    if (dy[k] && ct[k]) {
      outputs.push_back(*dy[k]);
      cotangents.push_back(ct[k]);
    }
  const std::vector<Ref<Node>> nodes = trace->nodes();
  const MaybeArrays pulled = transpose_linear(nodes, symbols, outputs, cotangents, op->name(),
                                              "the rule of a derivative must be linear in the tangents");
  MaybeArrays out(x.size());
  for (size_t k = 0; k < which.size(); ++k) out[which[k]] = pulled[k];
  return out;
}

}  // namespace hesse
