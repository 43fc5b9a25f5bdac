#pragma once
#include "core/array.h"

namespace hesse::physics {

/// norm(u - reference) / norm(reference) over all entries. Throws ValueError for shapes that differ (nothing
/// broadcasts).
Array relative_l2(const Array& u, const Array& reference);
/// The largest |u - reference|.
Array max_error(const Array& u, const Array& reference);

}  // namespace hesse::physics
