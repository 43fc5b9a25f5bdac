#include "core/program/map_cost.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "core/cpu/isa.h"
#include "core/program/explain.h"

namespace hesse {
namespace {

/// Estimates, in what an entry of a sum costs in the first-level cache (about 0.3 ns); the choices that
/// follow from them were compared with both ways for products, chains of entries and solves of 10 to 1000
/// rows.
constexpr double kEquation = 700;    // to call a kernel
constexpr double kFlopsAnEntry = 5;  // of a product of matrices
constexpr double kToAndFromLanes = 1.3;
constexpr double kStrided = 4;           // to copy an entry of one lane
constexpr double kBeyondCache = 3;       // lanes that lie further away
constexpr double kCacheBytes = 1 << 18;  // of one value on one vector of lanes

std::atomic<RunExamples> g_run_examples{RunExamples::AsCostsSay};

/// The work on one example.
struct Work {
  double alone = 0;         // as ordinary arrays
  double calls = 0;         // of lane kernels, once for a tile
  double entries = 0;       // that these work on
  double lane_by_lane = 0;  // of what has no lane kernel
  double largest = 0;       // bytes of a value
};

Work work_of(const Graph& g, const std::vector<bool>& varies) {
  Work out;
  const auto differs = [&](int v) { return varies[static_cast<size_t>(v)]; };
  for (const Graph::Equation& eq : g.equations()) {
    if (eq.op->is_view() || std::none_of(eq.out.begin(), eq.out.end(), differs)) continue;
    Avals x, y;
    double read = 0, written = 0;
    for (int v : eq.in) {
      x.push_back(g.values()[static_cast<size_t>(v)]);
      if (differs(v)) read += num_entries(x.back());
    }
    for (int v : eq.out) {
      y.push_back(g.values()[static_cast<size_t>(v)]);
      written += num_entries(y.back());
      out.largest = std::max(out.largest, bytes_of(y.back()));
    }
    const double cost = std::max(written, eq.op->flops(x, y) / kFlopsAnEntry);
    out.alone += kEquation + cost;
    if (eq.op->has_lane_kernel()) {
      out.calls += kEquation;
      out.entries += cost;
    } else {
      out.lane_by_lane += kEquation + cost + kStrided * (read + written);
    }
  }
  return out;
}

}  // namespace

void set_run_examples(RunExamples how) { g_run_examples = how; }

int64_t vector_lanes(const Graph& body) {
  const auto is_float = [](const Aval& a) { return a.dtype == kFloat32; };
  const bool floats = std::any_of(body.values().begin(), body.values().end(), is_float);
  return cpu::vector_bytes() / (floats ? 4 : 8);
}

int64_t most_lanes(const Graph& scheduled, const std::vector<bool>& varies) {
  constexpr double kNear = 32768;
  double largest = 0;
  for (const Graph::Equation& eq : scheduled.equations()) {
    const auto differs = [&](int v) { return varies[static_cast<size_t>(v)]; };
    if (eq.op->name() != "matmul" || !std::all_of(eq.in.begin(), eq.in.end(), differs)) continue;
    for (int v : eq.in) largest = std::max(largest, bytes_of(scheduled.values()[static_cast<size_t>(v)]));
  }
  if (largest == 0) return std::numeric_limits<int64_t>::max();
  return std::max(vector_lanes(scheduled), static_cast<int64_t>(kNear / largest));
}

bool better_one_by_one(const Graph& body, const Graph& scheduled, const std::vector<bool>& varies,
                       int64_t n) {
  if (g_run_examples != RunExamples::AsCostsSay) return g_run_examples == RunExamples::OneByOne;
  if (n <= 1) return true;
  const Work all = work_of(body, varies), tiled = work_of(scheduled, varies);
  const int64_t width = vector_lanes(body);
  const auto examples = static_cast<double>(n), filled = static_cast<double>((n + width - 1) / width * width);
  const double distance = tiled.largest * static_cast<double>(width) <= kCacheBytes ? 1 : kBeyondCache;
  const double on_lanes =
      tiled.calls + kToAndFromLanes * distance * filled * tiled.entries + examples * tiled.lane_by_lane;
  return examples * all.alone < on_lanes;
}

}  // namespace hesse
