#pragma once
#include "solvers/ode.h"

namespace hesse::solvers {

/// solve_ivp with options.adjoint = Backsolve: the solution as one op, whose reverse mode solves the adjoint
/// equations back in time, together with the state (Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary
/// differential equations, NeurIPS 2018). With a = dL/dy and parameters theta,
///   dy/dt = f(t, y, theta),   da/dt = -a^T df/dy,   dg/dt = -a^T df/dtheta,
/// from each output time to the one before, where the state is set to what was stored and the cotangent of
/// that output joins a; dL/dtheta = g(t0), dL/dt_i = c_i^T f(t_i, y_i), dL/dt0 = -a(t0)^T f(t0, y0). That
/// solve is a solve_ivp with the same adjoint, and so has derivatives of its own. Forward mode is that of the
/// steps taken. Throws ValueError for events, dense output, save and mass matrices that the method takes
/// itself.
Solution solve_backsolve(const SplitRhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                         const IvpOptions& options);

}  // namespace hesse::solvers
