#include <algorithm>

#include "core/ops/control_graph.h"
#include "core/ops/map_split.h"
#include "core/program/map_cost.h"
#include "core/program/map_plan.h"

namespace hesse {
namespace {

constexpr int64_t kMostTileBytes = int64_t{1} << 28;  // below one vector of lanes
// What threads share: so many tiles, unless they would have fewer bytes or lanes than this.
constexpr int64_t kSharedTiles = 8, kSharedTileBytes = int64_t{1} << 19;
constexpr int64_t kMaxLanes = 496, kSixteen = 16;
constexpr int64_t kFewBytes = 64, kMaxLanesOfFew = 4080;  // of many examples that are a few numbers

size_t at(int v) { return static_cast<size_t>(v); }

}  // namespace

MapProgram::MapProgram(const Graph& body, int64_t n, const std::vector<Access>& access,
                       const std::vector<Result>& results)
    : body_(body), n_(n), access_(access), results_(results) {
  nests_ = !body.is_dynamic();
  for (const Access& a : access) nests_ = nests_ && a.kind != Access::Kind::Gather;
  for (const Result& r : results) nests_ = nests_ && r.kind != Result::Kind::SegmentSum;
  for (const Graph::Equation& e : body.equations())
    nests_ = nests_ && !e.op->has_effect() && (e.op->is_view() || e.op->has_lane_kernel());
  for (size_t k = 0; k < results.size(); ++k)
    if (results[k].kind == Result::Kind::Sum) sum_results_.push_back(k);
}
MapProgram::~MapProgram() = default;

const MapProgram::Plan& MapProgram::plan() const {
  std::call_once(planned_, [this] {
    auto plan = std::make_unique<Plan>();
    if (body_.is_dynamic()) {
      plan->example = std::make_unique<Prepared>(Ref<const Graph>(&body_));
      plan_ = std::move(plan);
      return;
    }
    const auto [producer, uses] = producers_and_uses(body_);
    std::vector<bool> marked;
    for (const Access& a : access_) marked.push_back(a.kind != Access::Kind::Uniform);
    const std::vector<bool> varies = body_.depends_on(marked);
    std::vector<int> kept, unformed;
    std::vector<TileSum> sums;
    for (size_t k = 0; k < results_.size(); ++k) {
      const int v = body_.outputs()[k];
      if (results_[k].kind != Result::Kind::Sum) {
        kept.push_back(v);
        continue;
      }
      TileSum s{v, {}, body_.values()[at(v)]};
      if (const auto outer = outer_sum(body_, v, varies, producer, uses)) {
        s.value = -1;
        s.outer = outer->terms;
        unformed.insert(unformed.end(), outer->unformed.begin(), outer->unformed.end());
      }
      sums.push_back(std::move(s));
    }
    plan->recorded = as_recorded(body_, kept, unformed, std::move(sums));
    plan->most_lanes = most_lanes(*plan->recorded.graph, varies);
    if (better_one_by_one(body_, *plan->recorded.graph, varies, n_)) {
      plan->example = std::make_unique<Prepared>(Ref<const Graph>(&body_));
      plan->unrolled = hesse::better_unrolled(body_, varies, n_);
    }
    plan_ = std::move(plan);
  });
  return *plan_;
}

// Of the orders that are tried, the one whose tile needs the least memory: more lanes then fit the cache.
const MapProgram::Order& MapProgram::order() const {
  std::call_once(ordered_, [this] {
    const Schedule& recorded = plan().recorded;
    auto order = std::make_unique<Order>();
    constexpr int64_t kProbe = 64;  // slots are multiples of 64 bytes
    std::vector<std::optional<Strides>> outside(access_.size());
    for (size_t i = 0; i < access_.size(); ++i)
      if (is_uniform(i)) outside[i] = Strides(body_.input_aval(static_cast<int>(i)).shape.size() + 1, 0);
    for (Schedule s : {with_recomputation(recorded), with_recomputation(by_levels(recorded))}) {
      const int64_t bytes =
          std::max<int64_t>(Tile(s, {kProbe}, outside, Tile::Results::Sums).slot_bytes() / kProbe, 1);
      if (order->schedule.graph && bytes > order->bytes_per_example) continue;
      order->schedule = std::move(s);
      order->bytes_per_example = bytes;
    }
    order_ = std::move(order);
  });
  return *order_;
}

int64_t MapProgram::lanes() const {
  const int64_t bytes = order().bytes_per_example;
  // Threads share tiles: where there is work for them, there are several.
  const int64_t shared = std::max({kSixteen, kSharedTileBytes / bytes, n_ / kSharedTiles});
  const int64_t most =
      bytes <= kFewBytes ? std::clamp(n_ / kSharedTiles, kMaxLanes, kMaxLanesOfFew) : kMaxLanes;
  const int64_t fit = std::min({most, kTileBytes / bytes, plan().most_lanes, shared});
  // An odd multiple of 16: rows a power of two apart would meet in few sets of the caches.
  int64_t out = (fit / kSixteen + 1) / 2 * 2 * kSixteen - kSixteen;
  if (fit < kSixteen) {  // large examples: whole vectors, which need no further lanes
    const int64_t width = vector_lanes(body_);
    out = std::max(fit / width, int64_t{1}) * width;
  }
  while (out > 1 && out * bytes > kMostTileBytes) out /= 2;
  return std::min(out, std::max<int64_t>(n_, 1));
}

bool MapProgram::better_unrolled() const { return nests_ && plan().unrolled; }

Tiling MapProgram::tiling() const {
  if (plan().example) return {n_, 1, 0};
  return {n_, lanes(), order().bytes_per_example};
}

std::shared_ptr<const MapProgram::Layout> MapProgram::layout(
    const Dims& lanes, const std::vector<std::optional<Strides>>& outside, bool nested) const {
  const Order& p = order();
  const std::lock_guard lock(mutex_);
  for (const auto& l : layouts_)
    if (l->lanes == lanes && l->outside == outside) return l;
  auto made = std::make_shared<const Layout>(Layout{
      lanes, outside, Tile(p.schedule, lanes, outside, nested ? Tile::Results::Kept : Tile::Results::Sums)});
  constexpr size_t kKept = 8;  // a map meets few shapes; strides of operands may vary without end
  if (layouts_.size() >= kKept) layouts_.erase(layouts_.begin());
  layouts_.push_back(made);
  return made;
}

}  // namespace hesse
