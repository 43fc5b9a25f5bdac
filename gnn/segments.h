#pragma once
#include <optional>
#include <utility>

#include "core/ops.h"

/// Reductions over sorted segments, given by ids [rows] and starts [n + 1]; 0 for an empty segment.
namespace hesse::gnn::segments {

/// A number per row, with axes of length 1 added to broadcast against `like`.
Array over(const Array& values, const Array& like);
Array mean(const Array& x, const Array& ids, const Array& starts);
Array maximum(const Array& x, const Array& ids, const Array& starts);
/// exp(l - m) / sum exp(l - m) within every segment, m its largest entry. `own` [n, ...] has one entry more
/// per segment that is not in `logits`; its share is the second result.
std::pair<Array, std::optional<Array>> softmax(const Array& logits, const Array& ids, int64_t n,
                                               const std::optional<Array>& own = {});

}  // namespace hesse::gnn::segments
