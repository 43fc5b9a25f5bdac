#pragma once
#include "core/ops.h"

/// Rows reduced by segment, beside segment_sum and segment_max of core/ops.h: what nodes make of the messages
/// of their edges, and graphs of their nodes. x is [m, ...] with an id in [0, num_segments) for each row, in
/// any order; ids that ascend (edges sorted by destination) are noticed and save a sort. Results have the
/// same bits for any number of threads. All are differentiable to any order. They throw ValueError for shapes
/// that do not fit, TypeError for ids that are no integers and for values without the order or mean asked
/// for, IndexError for an id out of range.
namespace hesse {

/// Means; 0 for an empty segment. Integers give the default floating dtype.
Array segment_mean(const Array& x, const Array& segment_ids, int64_t num_segments);
/// Minima; inf, the largest integer or true for an empty segment. Equal entries share the derivative.
Array segment_min(const Array& x, const Array& segment_ids, int64_t num_segments);
/// log of the sum of exp(x), without overflow; -inf for an empty segment.
Array segment_logsumexp(const Array& x, const Array& segment_ids, int64_t num_segments);
/// exp(x) divided by its sum over the segment: [m, ...], what attention makes of the scores of edges.
Array segment_softmax(const Array& x, const Array& segment_ids, int64_t num_segments);
/// Standard deviations, sqrt(mean (x - mean)^2); 0, with derivative 0, where all entries are equal, and for
/// an empty segment.
Array segment_std(const Array& x, const Array& segment_ids, int64_t num_segments);

}  // namespace hesse
