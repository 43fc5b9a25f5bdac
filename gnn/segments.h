#pragma once
#include <utility>

#include "core/ops.h"

/// What layers need beside core/segment.h: a largest entry that is 0 for a node without edges, and attention
/// in which a node has a share of its own. Segments are given by ids [rows] and starts [n + 1].
namespace hesse::gnn::segments {

/// A number per row, with axes of length 1 added to broadcast against `like`.
Array over(const Array& values, const Array& like);
Array maximum(const Array& x, const Array& ids, const Array& starts);
/// exp(l - m) / sum exp(l - m) within every segment, m its largest entry. `own` [n, ...] has one entry more
/// per segment that is not in `logits`; its share is the second result.
std::pair<Array, Array> softmax(const Array& logits, const Array& ids, int64_t n, const Array& own);

}  // namespace hesse::gnn::segments
