#include "core/program/map_cost.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "core/cpu/isa.h"
#include "core/program/explain.h"

namespace hesse {
namespace {

/// Estimates, in what an entry of a sum costs in the first-level cache (about 0.3 ns), fitted to both ways of
/// running networks, products, chains of entries and of scalars, and solves, with 1 to 1000 rows.
constexpr double kEquation = 700;    // to call a kernel of ordinary arrays
constexpr double kInBlock = 230;     // the same where a block works entry by entry
constexpr double kExample = 3000;    // to run a program for one example
constexpr double kMap = 2500;        // to set out and collect the tiles of a map
constexpr double kOnLanes = 400;     // to call a lane kernel
constexpr double kFlopsAnEntry = 5;  // of a product of matrices
constexpr double kFlopsOnLanes = 7.5;
constexpr double kToOrFromLanes = 1.5;  // an entry of an operand or result
constexpr double kStrided = 4;          // an entry of one lane alone
constexpr double kBeyondCache = 3;      // lanes that lie further away
constexpr double kClearly = 1.35;       // few examples are not to be slower than a loop over them
constexpr int64_t kFewExamples = 7;
constexpr double kBesideOverhead = 1e6;    // of all examples: some 300 microseconds
constexpr double kOnAllThreads = 1 << 18;  // bytes of a value
constexpr double kCacheBytes = 1 << 18;    // of one value on one vector of lanes

std::atomic<RunExamples> g_run_examples{RunExamples::AsCostsSay};

/// The work on one example.
struct Work {
  double calls = 0, calls_in_block = 0, alone = 0;  // of kernels of ordinary arrays; what they then do
  double lane_calls = 0, on_lanes = 0;
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
    const double flops = eq.op->flops(x, y), cost = std::max(written, flops / kFlopsAnEntry);
    const bool by_entry = eq.out.size() == 1 && !eq.in.empty() &&
                          eq.op->entry_kernel(x.back().dtype).kind != EntryKernel::Kind::None;
    out.calls += kEquation;
    out.calls_in_block += by_entry ? kInBlock : kEquation;
    out.alone += cost;
    if (eq.op->has_lane_kernel()) {
      out.lane_calls += kOnLanes;
      out.on_lanes += std::max(written, flops / kFlopsOnLanes);
    } else {
      out.lane_by_lane += kEquation + cost + kStrided * (read + written);
    }
  }
  return out;
}

/// Few examples of which no thread had better take some: their equations are part of the program.
bool few(const Work& one, int64_t n) {
  return n >= 1 && n <= kFewExamples && one.lane_by_lane == 0 &&
         (static_cast<double>(n) * (one.calls_in_block + one.alone) < kBesideOverhead ||
          one.largest > kOnAllThreads);
}

}  // namespace

void set_run_examples(RunExamples how) { g_run_examples = how; }

int64_t vector_lanes(const Graph& body) {
  const auto is_float = [](const Aval& a) { return a.dtype == kFloat32; };
  const bool floats = std::any_of(body.values().begin(), body.values().end(), is_float);
  return cpu::vector_bytes() / (floats ? 4 : 8);
}

int64_t most_lanes(const Graph& scheduled, const std::vector<bool>& varies) {
  constexpr double kNear = 1 << 17;
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
  if (g_run_examples != RunExamples::AsCostsSay) return g_run_examples != RunExamples::OnLanes;
  if (n <= 1) return true;
  const Work all = work_of(body, varies), tiled = work_of(scheduled, varies);
  const int64_t width = vector_lanes(body);
  const auto examples = static_cast<double>(n), filled = static_cast<double>((n + width - 1) / width * width);
  const double distance = tiled.largest * static_cast<double>(width) <= kCacheBytes ? 1 : kBeyondCache;
  double moved = num_entries(body.output_avals());
  for (int i = 0; i < body.num_inputs(); ++i)
    if (varies[static_cast<size_t>(i)]) moved += num_entries(body.input_aval(i));
  const double on_lanes = kMap + tiled.lane_calls +
                          distance * filled * (tiled.on_lanes + kToOrFromLanes * moved) +
                          examples * tiled.lane_by_lane;
  return few(all, n) ? examples * (all.calls_in_block + all.alone) < kClearly * on_lanes
                     : examples * (kExample + all.calls + all.alone) < on_lanes;
}

bool better_unrolled(const Graph& body, const std::vector<bool>& varies, int64_t n) {
  if (g_run_examples != RunExamples::AsCostsSay) return n > 0 && g_run_examples == RunExamples::Unrolled;
  return n == 1 || few(work_of(body, varies), n);
}

}  // namespace hesse
