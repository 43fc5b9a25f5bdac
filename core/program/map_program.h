#pragma once
#include <memory>
#include <mutex>

#include "core/ops/control.h"
#include "core/program/explain.h"
#include "core/program/tile.h"

namespace hesse {

/// Runs the graph of one example on tiles of examples ("lanes"), the lane index innermost: every intermediate
/// of a tile is [features..., lanes] in one arena per thread. Sums over lanes are accumulated per tile and
/// combined over fixed groups of tiles in a fixed order, so the result does not depend on threads. Equations
/// without a lane kernel run lane by lane; graphs with run-time lengths run example by example. Layouts are
/// kept for the next call. Few or large examples run one by one instead (`core/program/map_cost.h`).
class MapProgram {
 public:
  MapProgram(const Graph& body, int64_t n, const std::vector<Access>& access,
             const std::vector<Result>& results);
  ~MapProgram();
  /// `owned`: operands that nobody else holds may be overwritten.
  Arrays run(std::span<const Array> operands, std::span<const Array> indices, bool owned = false) const;

  /// How many examples run at a time, and the memory of each.
  Tiling tiling() const;

  /// Whether their equations had better be part of the program around the map (core/program/map_cost.h).
  bool better_unrolled() const;

  /// Whether it also runs inside a tile of an outer map: every equation has a lane kernel, nothing is
  /// gathered.
  bool nests() const { return nests_; }
  /// Operands [n, features..., lanes...] or, uniform, [features..., lanes...]; the examples become an axis of
  /// lanes before those of the outer tile.
  void run_nested(std::span<const View> x, std::span<const View> out, int lane_axes) const;

 private:
  struct Layout;
  struct Call;
  struct Plan;
  struct Order;
  // `nested`: sums are the caller's, their values are kept.
  std::shared_ptr<const Layout> layout(const Dims& lanes, const std::vector<std::optional<Strides>>& outside,
                                       bool nested) const;
  const Plan& plan() const;    // made at the first call
  const Order& order() const;  // made for the first tile
  int64_t lanes() const;       // of a tile
  bool is_each(size_t i) const { return access_[i].kind == Access::Kind::Each; }
  bool is_uniform(size_t i) const { return access_[i].kind == Access::Kind::Uniform; }

  const Graph& body_;
  int64_t n_;
  const std::vector<Access>& access_;
  const std::vector<Result>& results_;
  bool nests_ = true;
  std::vector<size_t> sum_results_;  // results that are summed
  mutable std::once_flag planned_, ordered_;
  mutable std::unique_ptr<const Plan> plan_;
  mutable std::unique_ptr<const Order> order_;
  mutable std::mutex mutex_;
  mutable std::vector<std::shared_ptr<const Layout>> layouts_;
};

}  // namespace hesse
