#pragma once
#include "solvers/ode.h"

namespace hesse::solvers {

/// solve_ivp with options.adjoint = Forward: the solution as a function of the ends of the span, the times
/// and the state, whose reverse mode is by forward mode. Throws ValueError for events and dense output.
Solution solve_forward(const SplitRhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                       IvpOptions options);

}  // namespace hesse::solvers
