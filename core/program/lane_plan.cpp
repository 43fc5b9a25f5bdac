#include "core/program/lane_plan.h"

#include <algorithm>

namespace hesse {
namespace {

constexpr int64_t kTileBytes = int64_t{512}
                               << 10;  // a constant, so that results do not depend on the machine's caches
constexpr int64_t kMaxLanes = 512, kMinLanes = 16;

// An outer product: matmul of [m, 1] and [1, n].
bool is_outer(const Graph& g, const Graph::Equation& e) {
  if (e.op->name() != "matmul") return false;
  const Aval& a = g.values()[static_cast<size_t>(e.in[0])];
  const Aval& b = g.values()[static_cast<size_t>(e.in[1])];
  return a.shape.size() == 2 && b.shape.size() == 2 && a.shape[1] == 1 && is_floating(a.dtype);
}

int64_t bytes(const Aval& a) { return num_elements(a.shape) * itemsize(a.dtype); }

}  // namespace

LanePlan::LanePlan(const Graph& g, int64_t n, const std::vector<Access>& access,
                   const std::vector<Result>& results) {
  const auto& equations = g.equations();
  const size_t num_values = g.values().size();
  std::vector<bool> marked;
  for (const Access& a : access) marked.push_back(a.kind != Access::Kind::Uniform);
  varies = g.depends_on(marked);

  std::vector<int> uses(num_values, 0), producer(num_values, -1);
  for (size_t e = 0; e < equations.size(); ++e) {
    for (int v : equations[e].in) ++uses[static_cast<size_t>(v)];
    for (int v : equations[e].out) producer[static_cast<size_t>(v)] = static_cast<int>(e);
  }
  for (int v : g.outputs()) ++uses[static_cast<size_t>(v)];

  // Move sums from the outputs inwards.
  enum Phase : uint8_t { kUnset, kBefore, kTile, kAfter };
  std::vector<Phase> phase(equations.size(), kUnset);
  for (size_t e = 0; e < equations.size(); ++e)
    phase[e] = std::any_of(equations[e].in.begin(), equations[e].in.end(),
                           [&](int v) { return varies[static_cast<size_t>(v)]; })
                   ? kTile
                   : kBefore;
  std::vector<int> open;
  for (size_t k = 0; k < results.size(); ++k)
    if (results[k].kind == Result::Kind::Sum) open.push_back(g.outputs()[k]);
  std::vector<bool> summed(num_values, false);
  for (size_t i = 0; i < open.size(); ++i) {
    const auto v = static_cast<size_t>(open[i]);
    if (summed[v]) continue;
    summed[v] = true;
    const int e = producer[v];
    if (varies[v] && e >= 0 && uses[v] == 1 && equations[static_cast<size_t>(e)].out.size() == 1) {
      const Graph::Equation& eq = equations[static_cast<size_t>(e)];
      if (is_outer(g, eq) && varies[static_cast<size_t>(eq.in[0])] && varies[static_cast<size_t>(eq.in[1])]) {
        phase[static_cast<size_t>(e)] = kAfter;  // never formed
        sums.push_back({open[i], eq.in[0], eq.in[1]});
        continue;
      }
      int varying = 0, inexact = 0, repeated = 0;
      for (size_t j = 0; j < eq.in.size(); ++j) {
        varying += varies[static_cast<size_t>(eq.in[j])];
        inexact += is_inexact(g.values()[static_cast<size_t>(eq.in[j])].dtype);
        for (size_t l = 0; l < j; ++l) repeated += eq.in[j] == eq.in[l];
      }
      const auto linearity = eq.op->linearity();
      const bool together = linearity == Op::Linearity::Together && varying == inexact &&
                            varying == static_cast<int>(eq.in.size());
      const bool each = linearity == Op::Linearity::Each && varying == 1;
      if ((together || each) && !repeated) {
        phase[static_cast<size_t>(e)] = kAfter;
        for (int w : eq.in)
          if (varies[static_cast<size_t>(w)]) open.push_back(w);
        continue;
      }
    }
    sums.push_back({open[i], -1, -1});
  }

  // What nothing reads any more is dropped; what is left keeps its order.
  std::vector<bool> needed(num_values, false);
  for (const Sum& s : sums) {
    if (s.left < 0)
      needed[static_cast<size_t>(s.value)] = true;
    else
      needed[static_cast<size_t>(s.left)] = needed[static_cast<size_t>(s.right)] = true;
  }
  for (size_t k = 0; k < results.size(); ++k)
    if (results[k].kind != Result::Kind::Sum) needed[static_cast<size_t>(g.outputs()[k])] = true;
  for (size_t e = equations.size(); e-- > 0;) {
    const Graph::Equation& eq = equations[e];
    if (phase[e] == kAfter) {
      const bool formed = std::none_of(sums.begin(), sums.end(),
                                       [&](const Sum& s) { return s.left >= 0 && s.value == eq.out[0]; });
      if (!formed) continue;
      after.push_back(static_cast<int>(e));
      for (int v : eq.in)
        if (!varies[static_cast<size_t>(v)]) needed[static_cast<size_t>(v)] = true;
      continue;
    }
    bool any = eq.op->has_effect();
    for (int v : eq.out) any = any || needed[static_cast<size_t>(v)];
    if (!any) continue;
    (phase[e] == kTile ? tile : before).push_back(static_cast<int>(e));
    for (int v : eq.in) needed[static_cast<size_t>(v)] = true;
  }
  for (auto* list : {&before, &tile, &after}) std::reverse(list->begin(), list->end());
  used.assign(needed.begin(), needed.begin() + g.num_inputs());

  // The widest tile whose live values fit.
  std::vector<int> last(num_values, -1);
  for (size_t i = 0; i < tile.size(); ++i) {
    for (int v : equations[static_cast<size_t>(tile[i])].in)
      last[static_cast<size_t>(v)] = static_cast<int>(i);
    for (int v : equations[static_cast<size_t>(tile[i])].out)
      last[static_cast<size_t>(v)] = static_cast<int>(i);
  }
  int64_t live = 0, peak = 1;
  for (int v = 0; v < g.num_inputs(); ++v)
    if (varies[static_cast<size_t>(v)] && used[static_cast<size_t>(v)])
      live += bytes(g.values()[static_cast<size_t>(v)]);
  for (size_t i = 0; i < tile.size(); ++i) {
    const Graph::Equation& eq = equations[static_cast<size_t>(tile[i])];
    if (!eq.op->is_view())
      for (int v : eq.out) live += bytes(g.values()[static_cast<size_t>(v)]);
    peak = std::max(peak, live);
    for (int v : eq.in) {
      auto& l = last[static_cast<size_t>(v)];
      if (l == static_cast<int>(i) && varies[static_cast<size_t>(v)]) {
        live -= bytes(g.values()[static_cast<size_t>(v)]);
        l = -1;
      }
    }
  }
  lanes = kMaxLanes;
  while (lanes > kMinLanes && lanes * peak > kTileBytes) lanes /= 2;
  lanes = std::min(lanes, std::max<int64_t>(n, 1));
}

}  // namespace hesse
