#pragma once
#include "core/op.h"
#include "solvers/sundials/operands.h"

/// The ops that solve with IDAS. Their operands are those of solvers/sundials/operands.h, then
///   yp0 [N] (consistent with y0), differential [N] (1, or 0 for algebraic entries), p...
/// `ida` gives y and y' [n, N], NaN after a failure; status, accepted, rejected, evaluations, factorisations
/// (int64); t_last, h_last; why it failed, [4]. y is a function of the differential entries of y0, of t0,
/// times and p: the rest of y0 and yp0 follow from these, and have no derivative. y' has none either.
/// `ida_adjoint` takes c [n, N] besides and gives the gradient of <c, y> with respect to y0 and to the p that
/// are wanted. Both are closed under differentiation (solvers/solution_op.h).
namespace hesse::solvers::sundials {

struct IdaOptions {
  std::string linear_solver = "auto";
  int64_t max_steps = 100000;
  bool raise = true;                        ///< whether giving up is reported
  StateNames names = {};                    ///< of the entries of the state, for messages
  std::shared_ptr<Reporter> reporter = {};  ///< told how far a solve is; derivatives tell nobody
  Reporting reporting() const { return {"solve_dae", names, true, raise}; }
  /// The same without a reporter.
  IdaOptions silent() const { return {linear_solver, max_steps, raise, names, {}}; }
};

namespace dae_operand {
using namespace operand;
enum : size_t { yp0 = operand::more, differential, p };
}  // namespace dae_operand

/// `residual`: (t, y [N], y' [N], p...) -> [N].
OpRef ida_op(Ref<const Graph> residual, const IdaOptions& options);

/// The state at t0 and after every step to t1: operands as above, those with data.
Solution ida_steps(const Ref<const Graph>& residual, const IdaOptions& options, const Arrays& operands,
                   const Array& t1);

}  // namespace hesse::solvers::sundials
