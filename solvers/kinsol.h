#pragma once
#include "solvers/root_steps.h"

namespace hesse::solvers {

/// root_solve's "kinsol": Newton's method with the line search of SUNDIALS' KINSOL (Hindmarsh and others, ACM
/// TOMS 31, 2005), in float64. Its linear equations by the dense Jacobian or by GMRES with products of it, as
/// ImplicitOptions::linear_solver says: dense for "lu", GMRES for every method of products. Throws ValueError
/// where the build has no SUNDIALS, and what f throws.
RootIterate kinsol(const VectorFn& f, const Tolerances& tolerances, const RootIterate& start,
                   const RootOptions& options);

}  // namespace hesse::solvers
