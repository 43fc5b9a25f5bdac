#pragma once
#include <optional>

#include "core/node.h"

/// What the other op families need of views, beside core/ops.h.
namespace hesse {

/// Strides under which memory laid out as `from` with `strides` reads as `to` in row-major order, or nullopt
/// when that needs a copy. Both shapes have the same number of elements.
std::optional<Strides> reshaped_strides(const Shape& from, const Strides& strides, const Shape& to);

// For Op::simplify of views.
/// The view of a constant needs no equation.
MaybeArray view_of_constant(const Op& op, const Array& x);
/// The operand of the recorded equation `op` that made x, or null.
const Array* operand_of(const Array& x, std::string_view op);

}  // namespace hesse
