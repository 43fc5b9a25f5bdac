#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "core/array.h"

/// Initial value problems of ordinary differential equations. A solution is made of ordinary equations in
/// loops: it can be compiled, mapped over parameters, and differentiated to any order.
namespace hesse::solvers {

/// dy/dt = f(t, y): t a scalar of the state's real dtype, y the arrays of the state. Returns their
/// derivatives, of the same shapes and dtypes. What else it uses (parameters, networks) is differentiated
/// too. It is recorded once for each solve: branches on values are `where` and `cond`.
using Rhs = std::function<Arrays(const Array& t, std::span<const Array> y)>;

/// A right-hand side in two parts, for the methods that treat these differently.
/// ARK3, ARK4, ARK5 (solvers/imex.h): dy/dt = first(t, y) + second(t, y); the second one is stiff and treated
/// implicitly. Leapfrog and other symplectic methods (solvers/symplectic.h): the state is y = (q..., p...),
/// as many arrays of the same shapes; dq/dt = first(t, p), dp/dt = second(t, q).
struct SplitRhs {
  Rhs first, second;
};

/// Where and how to solve.
struct IvpOptions {
  /// A name of solvers/tableau.h or, for stiff problems, solvers/rosenbrock.h; BDF and Adams:
  /// solvers/cvode.h.
  /// "auto": solvers/switching.h; Solution says what it chose.
  std::string method = "Tsit5";
  /// Times at which the state is given, [n], ascending in the direction of the span and within it. nullopt:
  /// both ends of the span and every step between; not possible under vmap, compile and in loops.
  std::optional<Array> t_eval = {};
  /// Relative and absolute tolerance of the local error; `atol`: one scalar, or an array for each of the
  /// state, which broadcasts to it. The error of a step is the root mean square over all entries of
  /// err / (atol + rtol max(|y|, |y_next|)); steps with more than 1 are rejected.
  Array rtol = 1e-3;
  Arrays atol = {1e-6};
  /// The first step; by default it is guessed (Hairer, Norsett, Wanner I, II.4). Fixed-step methods need it:
  /// it is their step.
  std::optional<Array> first_step = {};
  std::optional<Array> max_step = {};
  int64_t max_steps = 100000;  ///< attempts, accepted or not
  bool throw_on_failure = true;
  /// BDF only, its linear equations: "dense" (the Jacobian of f), "krylov" (GMRES with its products) or
  /// "auto": dense up to 500 entries of the state.
  std::string linear_solver = "auto";
};

enum class IvpStatus : int64_t {
  Success = 0,
  TooManySteps = 1,
  StepTooSmall = 2,
  NotFinite = 3,
  BadTimes = 4,
  BadOptions = 5
};
/// What a status means and what to try, in a sentence.
std::string describe(IvpStatus status);

/// Time comes first: y[k] is [n, shape of y0[k]...]. Where the solver gave up (and does not throw), later
/// entries are NaN.
struct Solution {
  Array t;                            ///< [n], float64
  Arrays y;                           ///< the state at these times
  Array status;                       ///< IvpStatus, an int64 scalar
  Array accepted, rejected;           ///< steps, int64 scalars
  Array evaluations, factorisations;  ///< of f, and of matrices, int64 scalars
  Array t_last, h_last;               ///< how far it came, and the step it would have taken next
  /// With method = "auto": what was chosen, "auto" being Tsit5 and Rodas5P in turn, and how many accepted
  /// steps were implicit, an int64 scalar.
  std::string chosen = {};
  std::optional<Array> implicit_steps = {};
};

/// Solves dy/dt = f(t, y), y(t0) = y0, from t0 to t1, which may lie before it. The derivative of the solution
/// is that of the steps taken (`Discrete`): exact for them, with step sizes and errors as constants; it
/// includes those with respect to t0, t1 and t_eval.
/// Throws ValueError for shapes that do not fit, times that do not ascend within the span, tolerances that
/// are not positive or an unknown method; TypeError for a state of integers; NumericalError where the solver
/// gives up (IvpStatus), if asked for; TraceError where t_eval is missing under vmap, compile or in a
/// loop.
Solution solve_ivp(const Rhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                   const IvpOptions& options = {});
/// The same for a right-hand side in two parts. Throws ValueError for methods that take one function, too.
Solution solve_ivp(const SplitRhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                   const IvpOptions& options = {});

}  // namespace hesse::solvers
