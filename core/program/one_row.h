#pragma once
#include <optional>

#include "core/ops/loop.h"

namespace hesse {

/// How the rows of a loop meet a carry that sums over rows are added to, and that nothing else reads: each
/// adds what is its own. The carry is the sum of all.
inline constexpr RowAxis kPartial = -3;

/// A loop over states that have a row for each of n systems, the trajectories of a batch that take their
/// steps together, as the loop of one of these rows. Where rows meet, in the norm of an error or the gradient
/// by weights that all have in common, stands the op sum_over_rows.
struct LoopOfOneRow {
  LoopParts parts;
  /// By operand of the loop: the axis of rows that it has lost, counted in a slice of xs; kShared: it is as
  /// it was; or kPartial.
  std::vector<RowAxis> operands;
  /// By result, in the same way: carries, then ys.
  std::vector<RowAxis> results;
};

/// Carries that may have rows, their first axis: one of each length, the most frequent first.
std::vector<size_t> carries_with_rows(const Graph& body, size_t num_carry);

/// Found by following the rows of carry `seed`, its first axis, through all equations (Op::on_row); operands
/// of the same shape are taken to have rows, too. nullopt where rows meet otherwise than in sums.
std::optional<LoopOfOneRow> of_one_row(const LoopParts& loop, size_t seed);

/// Of equal values in n lanes the sum of all: what of_one_row puts where rows are added. Runs on n lanes
/// only.
OpRef sum_over_rows(int64_t n);

}  // namespace hesse
