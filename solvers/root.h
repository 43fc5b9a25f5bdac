#pragma once
#include <optional>
#include <string>

#include "core/graph.h"
#include "core/ops.h"
#include "solvers/flat.h"
#include "solvers/outcome.h"

/// Nonlinear equations f(x) = 0. A solution is a function of what else f uses: its derivatives, of any order
/// and in both directions, are those of the equation (implicit function theorem) and not of the steps that
/// led to it.
namespace hesse::solvers {

/// How the linear equations of a derivative are solved.
struct ImplicitOptions {
  /// "lu": the Jacobian as a dense matrix [n, n]. A method of solvers/krylov.h: products with the Jacobian
  /// alone, which must have the properties it asks for. "auto": "lu" for at most 512 real unknowns, else
  /// "gmres".
  std::string linear_solver = "auto";
  /// Of Krylov methods: done when |b - J x| is at most rtol |b|. By default 1e-10, 1e-5 in single precision.
  std::optional<double> rtol = {};
  /// What derivatives are at a singular Jacobian that "lu" takes: they fail, or are NaN.
  Factored::Singular singular = Factored::Singular::Fails;
};
/// x, which solves f(x) = 0, with the derivatives that follow from the equation:
///   df/dx dx = -df/dtheta dtheta,   theta: what f captures that is differentiated.
/// f takes arrays like x and returns as many of the same shapes and dtypes; it is recorded once. That x
/// solves it is the caller's part, and so is that it was found from values without derivatives (stop_gradient
/// of what the iteration uses): x itself counts as a constant, but forward mode would follow its making, in
/// vain. Throws ValueError where f returns other shapes, TypeError for integers; at a singular Jacobian
/// derivatives raise NumericalError.
Arrays implicit_function(const Fn& f, const Arrays& x, const ImplicitOptions& options = {});
/// The same for a function of a vector that is recorded already.
Array implicit_function(const VectorFn& f, const Array& v, const ImplicitOptions& options = {});

struct RootOptions {
  /// "newton": dense Jacobians by forward mode, with a line search. "anderson": x - f(x) again and again,
  /// accelerated: no Jacobian, for f whose x - f(x) contracts, or nearly so. "transient": follows dx/dt =
  /// f(x) in implicit steps that grow as f falls, to a stable steady state. "kinsol": Newton by SUNDIALS,
  /// with dense Jacobians or, for many unknowns, GMRES (solvers/kinsol.h).
  std::string method = "newton";
  /// Newton and transient have converged when their step is at most atol + rtol |x|, Anderson when f is, in
  /// every entry, KINSOL when its step is or when |f| is at most atol; the defaults are those of Tolerances
  /// (solvers/flat.h). `atol`: none, one for all, or one for each array.
  std::optional<Array> rtol = {};
  Arrays atol = {};
  int64_t max_steps = 100;
  int64_t history = 5;  ///< of Anderson: how many steps are combined
  bool throw_on_failure = true;
  ImplicitOptions implicit = {};
};
struct Root {
  Arrays x;           ///< like x0; the last iterate where it failed and does not throw
  Array status;       ///< SolveStatus, an int64 scalar
  Array steps;        ///< int64
  Array evaluations;  ///< of f, int64; Jacobians are not counted
  Array residual;     ///< the largest |f|, a real scalar without derivative
};
/// x with f(x) = 0, from the guess x0, of which the solution has no derivative. f is recorded once.
/// Throws ValueError for shapes that do not fit, an unknown method and tolerances below 0; TypeError for
/// integers; NumericalError where it fails (SolveStatus), if asked for.
/// Line search: Dennis and Schnabel (1983), A6.3.1, on |f|. Anderson: Walker and Ni (2011), SIAM J. Numer.
/// Anal. 49. Transient: pseudo-transient continuation, Kelley and Keyes (1998), SIAM J. Numer. Anal. 35.
Root root_solve(const Fn& f, const Arrays& x0, const RootOptions& options = {});

/// x with f(x) = x, by Anderson acceleration of x = f(x); history = 0: plain iteration. `method` is not read.
/// The derivatives are those of x - f(x) = 0.
Root fixed_point(const Fn& f, const Arrays& x0,
                 const RootOptions& options = {.method = "anderson", .max_steps = 1000});

/// y with f(y) = 0, where dy/dt = f(y): by Newton's method from y0, and where that fails, "transient" from
/// there. `method`: "newton" for this order, "transient" for the second part alone: Newton may find states
/// that are not stable.
Root steady_state(const Fn& f, const Arrays& y0, const RootOptions& options = {.max_steps = 200});

}  // namespace hesse::solvers
