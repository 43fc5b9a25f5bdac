#pragma once
#include <string>

#include "core/op.h"
#include "solvers/sundials/operands.h"

/// The ops that solve with CVODES. Their operands are those of solvers/sundials/operands.h, then p... `cvode`
/// gives y [n, N], NaN after a failure; status, accepted, rejected, evaluations, factorisations (int64);
/// t_last, h_last. `cvode_adjoint` takes c [n, N] besides and gives the gradient of <c, y> with respect to y0
/// and to the p that are wanted. Both are closed under differentiation (solvers/solution_op.h).
namespace hesse::solvers::sundials {

struct CvodeOptions {
  std::string method = "BDF", linear_solver = "auto";
  int64_t max_steps = 100000;
  bool raise = true;  ///< whether giving up is reported
  Dims sizes = {};    ///< of the arrays of the state, for messages
  Reporting reporting() const { return {"solve_ivp", sizes, raise}; }
};

/// A problem in numbers, from its operands.
struct CvodeNumbers final : Numbers {
  CvodeNumbers(const FlatField& field, const CvodeOptions& options, std::span<const Array> x);
  Problem problem() const { return {field, settings, t0, y0, p}; }
  const FlatField& field;
  std::span<const Array> p;
};

/// `field`: (t, y [N], p...) -> dy [N].
OpRef cvode_op(Ref<const Graph> field, const CvodeOptions& options);

/// The state at t0 and after every step to t1: operands as above, those with data.
Solution cvode_steps(const Ref<const Graph>& field, const CvodeOptions& options, const Arrays& operands,
                     const Array& t1);

}  // namespace hesse::solvers::sundials
