#pragma once
#include "solvers/dense.h"
#include "solvers/sundials/cvode_op.h"
#include "solvers/sundials/flat_state.h"

/// The op that knows a solution of CVODES or ARKODE at any time. Operands: those of `cvode`, whose times [k]
/// may be in any order, then Polynomials of the steps, as arrays. It gives the state, [k, ...] for each of
/// its arrays. Values are those of the polynomials; derivatives are those of the solution with these times as
/// outputs: solves of their own, as of `cvode`.
namespace hesse::solvers::sundials {

/// From t0 to `to`. `x`: operands of `cvode`; `steps`: Polynomials.
DenseOutput cvode_dense(const Ref<const Graph>& field, const CvodeOptions& options, const FlatState& state,
                        const Arrays& x, const Array& to, const Arrays& steps);

}  // namespace hesse::solvers::sundials
