#pragma once
#include "core/array.h"

namespace hesse::solvers {

/// Times where steps end and begin afresh, because f jumps there: the numbers just before and just after each
/// in the direction of the solve, [b], float64 without derivative; NaN for times outside the span.
struct Breaks {
  Array before, after;
};

/// Those beside `given` (IvpOptions::breakpoints) that f can tell apart, whose t is of `dtype`. Throws
/// ValueError for another shape than [b], TypeError for complex numbers, booleans and keys.
Breaks breaks_at(const Array& given, const Array& t0, const Array& t1, const Array& direction, DType dtype);

}  // namespace hesse::solvers
