#pragma once
#include <optional>

#include "core/array.h"

/// Rows grouped by an id for each of them, for kernels that reduce them: every group is reduced by one thread
/// in the order of its rows, so that nothing is locked and results do not depend on the number of threads.
namespace hesse {

struct SegmentGroups {
  Array starts;  ///< int64 [segments + 1]: group s has the places [starts[s], starts[s + 1])
  Array order;   ///< int64: the row at each place; undefined where ids ascend and place p is row p
  const int64_t* starts_data() const { return starts.view().as<const int64_t>(); }
  const int64_t* order_data() const { return order.defined() ? order.view().as<const int64_t>() : nullptr; }
};
/// From int64 ids [m]; those that wrap count from the end where negative. nullopt where one is out of range.
std::optional<SegmentGroups> group_segments(const View& ids, int64_t segments, bool wraps);

/// Whether grouping rows pays: float or double rows without gaps, enough of them for several threads.
bool worth_grouping(const View& rows, const View& out);
/// out[s] = the sum of the rows with id s, in order; false, and nothing done, where grouping does not pay or
/// an id is out of range.
bool sum_segments(const View& rows, const View& ids, const View& out, bool wraps);
/// The same with the largest or the smallest; NaN wins; -inf or inf where there are none.
bool extreme_segments(const View& rows, const View& ids, const View& out, bool largest);

}  // namespace hesse
