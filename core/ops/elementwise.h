#pragma once
#include "core/op.h"

namespace hesse {

/// The common dtype of the operands, weak scalars giving way, and every operand converted and broadcast to the common
/// shape. `function` is named in errors.
Arrays promote_and_broadcast(std::string_view function, Arrays xs);
/// As above, after promoting integers and bools to the default floating dtype.
Arrays promote_inexact(std::string_view function, Arrays xs);
/// x itself if it is of that dtype.
Array converted(const Array& x, DType dtype);
/// A literal of the dtype and shape of `like`, stored as one element.
Array literal(double value, const Array& like);

}  // namespace hesse
