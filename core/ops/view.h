#pragma once
#include <optional>

#include "core/array.h"

/// What the other op families need of views, beside core/ops.h.
namespace hesse {

/// Strides under which memory laid out as `from` with `strides` reads as `to` in row-major order, or nullopt when that
/// needs a copy. Both shapes have the same number of elements.
std::optional<Strides> reshaped_strides(const Shape& from, const Strides& strides, const Shape& to);

}  // namespace hesse
