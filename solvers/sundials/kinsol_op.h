#pragma once
#include "core/op.h"

namespace hesse::solvers::sundials {

/// Solves f(v) = 0 with KINSOL. `field`: (t, v [n], captures...) -> [n], of float64, t not read. Operands: v0
/// [n], rtol [], atol [n], status [] (int64: nothing is done unless it is TooManySteps), captures... Gives
/// the last v [n], and steps, evaluations and the SolveStatus (int64): a success where no entry of f is above
/// the least atol, or of a step above atol + rtol |v|. Without derivative: that is the equation's.
OpRef kinsol_op(Ref<const Graph> field, bool krylov, int64_t max_steps);

}  // namespace hesse::solvers::sundials
