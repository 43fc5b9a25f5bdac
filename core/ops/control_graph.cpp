#include "core/ops/control_graph.h"

#include <atomic>

#include "core/ops.h"

namespace hesse {
namespace {
std::atomic<void (*)()> g_hook{nullptr};
}

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
  const std::vector<bool> depends = g.depends_on(marked);
  std::vector<bool> out;
  for (int v : g.outputs()) out.push_back(depends[static_cast<size_t>(v)]);
  return out;
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
