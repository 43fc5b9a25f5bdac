#pragma once
#include "core/ops/control.h"

namespace hesse {

/// Runs the graph of one example on tiles of examples ("lanes"), the lane index innermost: every intermediate
/// of a tile is [features..., lanes] in one arena per thread. Uniform equations run once; sums over lanes are
/// accumulated per tile and combined over fixed groups of tiles in a fixed order, so the result does not
/// depend on threads. Equations without a lane kernel run lane by lane; graphs with run-time lengths run
/// example by example.
Arrays run_lanes(const Graph& body, int64_t n, std::span<const Array> operands,
                 const std::vector<Access>& access, const std::vector<Result>& results,
                 std::span<const Array> indices);

}  // namespace hesse
