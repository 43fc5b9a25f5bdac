#pragma once
#include "solvers/root.h"

/// Minima of functions, and least squares. A minimum is a root of the gradient: its derivatives are those of
/// this equation, of any order and in both directions.
namespace hesse::solvers {

struct MinimiseOptions {
  /// "bfgs": a matrix [n, n] that becomes the inverse of the Hessian. "lbfgs": the last `history` steps
  /// instead. "newton-cg": Newton's directions by conjugate gradients with exact products. "trust": the same
  /// within a region that grows where the quadratic model is right.
  std::string method = "bfgs";
  /// Converged when no entry of the gradient is above this. By default 1e-6, in single precision
  /// 1e-3.
  std::optional<Array> gtol = {};
  int64_t max_steps = 1000;
  int64_t history = 10;  ///< of lbfgs
  bool throw_on_failure = true;
  ImplicitOptions implicit = {};
};
struct Minimum {
  Arrays x;           ///< like x0; the last iterate where it failed and does not throw
  Array value;        ///< f(x), with its derivatives; of least_squares the sum of squares / 2
  Array status;       ///< SolveStatus, an int64 scalar
  Array steps;        ///< int64
  Array evaluations;  ///< of f and its gradient, or of the residual, int64
  Array residual;     ///< the largest entry of the gradient, a real scalar without derivative
};
/// A local minimum of the real scalar f(x), from the guess x0, of which the minimum has no derivative. f is
/// recorded once. Throws ValueError for an f that is no scalar, an unknown method and tolerances below 0;
/// TypeError for integers; NumericalError where it fails (SolveStatus), if asked for. Nocedal and Wright,
/// Numerical Optimization, 2nd ed.: BFGS (6.17), algorithms 7.4 (L-BFGS), 7.1 (Newton-CG), 4.1 and 7.2 (trust
/// region). Line search: Lewis and Overton (2013), Math. Program. 141, with the tolerance of Hager and Zhang
/// (2005), SIAM J. Optim. 16, for rounding.
Minimum minimise(const Fn& f, const Arrays& x0, const MinimiseOptions& options = {});

struct LeastSquaresOptions {
  /// Converged when a step is at most atol + rtol |x| (Tolerances, solvers/flat.h), or when the residual is
  /// orthogonal to the columns of the Jacobian: no cosine is above gtol, by default 1e-10, in single
  /// precision 1e-5.
  std::optional<Array> rtol = {};
  Arrays atol = {};
  std::optional<Array> gtol = {};
  int64_t max_steps = 200;
  bool throw_on_failure = true;
  ImplicitOptions implicit = {};
};
/// x that minimises the sum of |r_i|^2 / 2 over all entries of what `residual` returns (floating or complex
/// arrays of any shapes), by the method of Levenberg and Marquardt with dense Jacobians. Derivatives are
/// those of the gradient's root, curvature of the residual included. Moré (1978), Lecture Notes in
/// Mathematics 630; damping: Nielsen (1999), IMM-REP-1999-05.
Minimum least_squares(const Fn& residual, const Arrays& x0, const LeastSquaresOptions& options = {});

}  // namespace hesse::solvers
