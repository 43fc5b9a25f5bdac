#include "autodiff/walk.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/ops.h"

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

// The nodes among `nodes` that lead from a leaf to an output, in order.
std::vector<const Node*> between(std::span<const Ref<Node>> nodes, const Arrays& leaves,
                                 const Arrays& outputs) {
  std::unordered_set<const Node*> leaf_nodes, forward, needed;
  for (const Array& a : leaves)
    if (a.defined() && a.node()) leaf_nodes.insert(a.node().get());
  forward = leaf_nodes;
  const auto reached = [&](const Node& n) {
    return std::any_of(n.inputs().begin(), n.inputs().end(),
                       [&](const Array& a) { return a.node() && forward.count(a.node().get()); });
  };
  for (const Ref<Node>& n : nodes)
    if (!forward.count(n.get()) && reached(*n)) forward.insert(n.get());
  for (const Array& y : outputs)
    if (y.node() && forward.count(y.node().get())) needed.insert(y.node().get());
  std::vector<const Node*> out;
  for (size_t i = nodes.size(); i-- > 0;) {
    const Node* n = nodes[i].get();
    if (!needed.count(n) || leaf_nodes.count(n)) continue;
    out.push_back(n);
    for (const Array& a : n->inputs())
      if (a.node() && forward.count(a.node().get())) needed.insert(a.node().get());
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

MaybeArrays push_forward(std::span<const Ref<Node>> nodes, const Arrays& leaves, const MaybeArrays& tangents,
                         const Arrays& outputs) {
  // Rules record on outer tapes and traces only: `nodes` may be a live vector, so it is copied by `between`.
  Values tangent;
  for (size_t i = 0; i < leaves.size(); ++i)
    if (tangents[i]) slot(tangent, leaves[i]) = tangents[i];
  for (const Node* n : between(nodes, leaves, outputs)) {
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
                      const MaybeArrays& cotangents, bool require_linear) {
  Values cotangent;
  const auto accumulate = [&](const Array& a, const Array& ct) {
    MaybeArray& s = slot(cotangent, a);
    s = s ? add(*s, ct) : ct;
  };
  const std::vector<const Node*> order = between(nodes, leaves, outputs);
  std::unordered_set<const Node*> active(order.begin(), order.end());
  for (const Array& a : leaves)
    if (a.node()) active.insert(a.node().get());
  for (size_t k = 0; k < outputs.size(); ++k)
    if (cotangents[k] && outputs[k].node() && active.count(outputs[k].node().get()))
      accumulate(outputs[k], *cotangents[k]);
  for (size_t i = order.size(); i-- > 0;) {
    const Node* n = order[i];
    const auto it = cotangent.find(n);
    if (it == cotangent.end()) continue;
    const MaybeArrays ct = std::move(it->second);
    cotangent.erase(it);
    std::vector<bool> wanted;
    for (const Array& a : n->inputs())
      wanted.push_back(a.node() && active.count(a.node().get()) && is_inexact(a.dtype()));
    if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) continue;
    require(!require_linear || n->op()->is_linear_in(wanted), "linear_transpose: ", n->op()->name(),
            " is not linear in its marked operands; the function must be linear (for a custom_vjp: its "
            "backward function "
            "in the cotangents)");
    const SourceScope line(n->source());
    const MaybeArrays dx = op_vjp(n->op(), n->inputs(), n->output_arrays(), ct, wanted);
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
  const MaybeArrays pulled = pull_back(nodes, symbols, outputs, cotangents);
  MaybeArrays out(x.size());
  for (size_t k = 0; k < which.size(); ++k) out[which[k]] = pulled[k];
  return out;
}

}  // namespace hesse
