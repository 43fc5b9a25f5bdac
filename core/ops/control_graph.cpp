#include "core/ops/control_graph.h"

#include <algorithm>
#include <atomic>

#include "core/ops.h"

namespace hesse {
namespace {
std::atomic<void (*)()> g_hook{nullptr};

// Calls visit(equation, which of its operands depend on an input marked) for every equation with such an
// operand, and returns for every value whether it does.
template <class Visit>
std::vector<bool> spread(const Graph& g, const std::vector<bool>& marked, Visit visit) {
  std::vector<bool> depends(g.values().size(), false);
  std::copy(marked.begin(), marked.end(), depends.begin());
  for (const Graph::Equation& e : g.equations()) {
    std::vector<bool> in;
    for (int v : e.in) in.push_back(depends[static_cast<size_t>(v)]);
    if (std::find(in.begin(), in.end(), true) == in.end()) continue;
    visit(e, in);
    const std::vector<bool> out = e.op->depends_on(in);
    for (size_t k = 0; k < e.out.size(); ++k) depends[static_cast<size_t>(e.out[k])] = out.empty() || out[k];
  }
  return depends;
}

}  // namespace

Ref<const Graph> permuted(const Ref<const Graph>& g, const std::vector<int>& from, const Avals& avals,
                          const std::vector<int>& of) {
  return trace_closed(
      [&](std::span<const Array> args) {
        Arrays in(static_cast<size_t>(g->num_inputs()));
        for (size_t i = 0; i < from.size(); ++i)
          if (from[i] >= 0) in[static_cast<size_t>(from[i])] = args[i];
        const Arrays all = g->call(in);
        Arrays out;
        for (int k : of) out.push_back(all[static_cast<size_t>(k)]);
        return out;
      },
      avals);
}

std::vector<bool> outputs_that_depend(const Graph& g, const std::vector<bool>& marked) {
  const std::vector<bool> depends =
      spread(g, marked, [](const Graph::Equation&, const std::vector<bool>&) {});
  std::vector<bool> out;
  for (int v : g.outputs()) out.push_back(depends[static_cast<size_t>(v)]);
  return out;
}

bool is_linear(const Graph& g, const std::vector<bool>& marked) {
  bool linear = true;
  (void)spread(g, marked, [&](const Graph::Equation& e, const std::vector<bool>& in) {
    linear = linear && e.op->is_linear_in(in);
  });
  return linear;
}

bool has_effects(const Graph& g) {
  return std::any_of(g.equations().begin(), g.equations().end(),
                     [](const Graph::Equation& eq) { return eq.op->has_effect(); });
}

Ref<const Graph> without_effects(const Ref<const Graph>& g) {
  if (!has_effects(*g)) return g;
  std::vector<Graph::Equation> rest;
  for (const Graph::Equation& eq : g->equations())
    if (!eq.op->has_effect() || !eq.out.empty()) rest.push_back(eq);
  const Ref<const Graph> silent =
      Graph::assemble(g->num_inputs(), g->values(), g->constants(), std::move(rest), g->outputs());
  return trace_closed([&](std::span<const Array> x) { return silent->call(x); }, silent->input_avals());
}

Array zeros_of(const Aval& a) { return broadcast_to(astype(Array(0.0), a.dtype), a.shape); }

std::vector<bool> inexact(const Avals& avals) {
  std::vector<bool> out;
  for (const Aval& a : avals) out.push_back(is_inexact(a.dtype));
  return out;
}

void poll_interrupt() {
  if (auto* hook = g_hook.load(std::memory_order_relaxed)) hook();
}
void set_interrupt_hook(void (*hook)()) { g_hook.store(hook); }

}  // namespace hesse
