#pragma once
#include "solvers/sundials/flat_field.h"
#include "solvers/sundials/handles.h"

/// What the adjoint solves of CVODES and IDAS share.
namespace hesse::solvers::sundials {

/// What may be neglected of an adjoint state, beside the largest cotangent and rtol.
inline constexpr double kTiny = 1e-2;
/// Of rtol, for the gradient by parameters, an integral: its parts may cancel (ROBER: five times as
/// accurate).
inline constexpr double kQuadrature = 0.1;

/// max |x_i|, 0 for none.
double largest(std::span<const double> x);
/// Points between two checkpoints, for numbers kept at each: what is kept of the forward solve at a time.
long points_between_checkpoints(int64_t numbers);
/// Absolute tolerances of the gradients of the wanted parameters, where `tiny` is that of the adjoint state
/// of y0: a relative change of a parameter counts like one of the state.
Vector quadrature_tolerances(const FlatParameters& parameters, std::span<const Array> p,
                             std::span<const double> y0, double tiny, const Context& context);

}  // namespace hesse::solvers::sundials
