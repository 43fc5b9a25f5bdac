#pragma once
#include "solvers/field.h"

namespace hesse::solvers {

/// The graph of the tangents of f in its inputs from `begin` to before `end`: t is input 0, the arrays of the
/// state follow.
DerivedGraph tangents_of(const Field& field, size_t begin, size_t end);
/// The tangent of f in a direction of these inputs, as one vector. `operands` begin with the captures.
Array tangent_in(const DerivedGraph& tangents, const Packing& flat, DType time, size_t num_captures,
                 const Array& t, std::span<const Array> y, std::span<const Array> operands,
                 const Arrays& direction);

}  // namespace hesse::solvers
