#pragma once
#include <string_view>

#include "core/array.h"

/// Times, tolerances and other real options of solvers, as they are given. Messages name `function`.
namespace hesse::solvers {

/// A real scalar, as float64. Throws ValueError for another shape, TypeError for complex numbers, booleans
/// and keys.
Array real_scalar(std::string_view function, const Array& x, std::string_view name);
/// Times [n] (`t_eval`), as float64. Throws likewise.
Array real_times(std::string_view function, const Array& times);
/// Throws ValueError where a number that is known is below 0 or, unless allowed, 0.
void check_positive(std::string_view function, const Array& x, std::string_view name, bool zero_allowed);

/// 1, or -1 for a span that descends: a float64 scalar without derivative.
Array direction_of(const Array& t0, const Array& t1);
/// Whether times ascend within the span, in its direction: a bool scalar, without derivative. Throws
/// ValueError where it is known that they do not.
Array in_order(std::string_view function, const Array& times, const Array& t0, const Array& t1);
/// Times t [n] of steps, as functions of both ends: t[0] = t0 and, where the solver arrived, t[n-1] = t1.
Array step_times(const Array& t, const Array& t0, const Array& t1, bool arrived);

}  // namespace hesse::solvers
