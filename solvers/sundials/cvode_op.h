#pragma once
#include <string>

#include "core/op.h"
#include "solvers/ode.h"

/// The ops that solve with CVODES. Their operands, all but p of float64:
///   t0 [], times [n], y0 [N], rtol [], atol [N], first_step [], max_step [] (0: not given), status []
///   (int64; not 0: what is wrong with the options or times, found by the caller), p...
/// `cvode` gives y [n, N], NaN after a failure; status, accepted, rejected, evaluations (int64); t_last,
/// h_last. `cvode_adjoint` takes c [n, N] besides and gives the gradient of <c, y> with respect to y0 and to
/// the p that are wanted. Both are closed under differentiation: a tangent is the solution of the system for
/// y and its tangent, and the derivative of an adjoint solve is the adjoint of a tangent solve.
namespace hesse::solvers::sundials {

struct CvodeOptions {
  std::string method = "BDF", linear_solver = "auto";
  int64_t max_steps = 100000;
  bool raise = true;  ///< whether giving up is reported
  Dims sizes = {};    ///< of the arrays of the state, for messages
};

namespace operand {
enum : size_t { t0, times, y0, rtol, atol, first_step, max_step, status, p };
}

/// `field`: (t, y [N], p...) -> dy [N].
OpRef cvode_op(Ref<const Graph> field, const CvodeOptions& options);

/// The state at t0 and after every step to t1: operands as above, those with data.
Solution cvode_steps(const Ref<const Graph>& field, const CvodeOptions& options, const Arrays& operands,
                     const Array& t1);

}  // namespace hesse::solvers::sundials
