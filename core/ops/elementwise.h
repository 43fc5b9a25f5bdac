#pragma once
#include <optional>

#include "core/op.h"

namespace hesse {

/// An op whose operands and one result are of one shape, and whose entries do not meet.
class ActsOnEntries {
 public:
  virtual ~ActsOnEntries() = default;
};

/// The common dtype of the operands, weak scalars giving way, and every operand converted and broadcast to
/// the common shape. `function` is named in errors.
Arrays promote_and_broadcast(std::string_view function, Arrays xs);
/// As above, after promoting integers and bools to the default floating dtype.
Arrays promote_inexact(std::string_view function, Arrays xs);
/// The common dtype alone: the one strong operands promote to; a weak one counts only if its kind is higher
/// (a weak float among integers gives default_dtype(), a weak complex among float32 gives complex64).
DType common_dtype(std::string_view function, std::span<const Array> xs);
/// The operands converted to `dtype` and broadcast to their common shape.
Arrays convert_and_broadcast(std::string_view function, Arrays xs, DType dtype);
/// x itself if it is of that dtype (and not weak).
Array converted(const Array& x, DType dtype);
/// A literal of the dtype and shape of `like`, stored as one element.
Array literal(double value, const Array& like);
/// A literal of any shape without run-time counts, stored as one element.
Array literal(complex128 value, const Shape& shape, DType dtype);
/// The one value of a constant that is stored as one element (a literal, a broadcast scalar), if it is real.
std::optional<double> literal_value(const Array& x);
/// Makes an operand inexact: integers and bools become the default floating dtype. Throws TypeError for a
/// key.
Array inexact(std::string_view function, const Array& x);

}  // namespace hesse
