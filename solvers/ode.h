#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "core/array.h"
#include "core/sparse.h"
#include "solvers/adjoint.h"
#include "solvers/dense.h"
#include "solvers/diagnosis.h"
#include "solvers/progress.h"

/// Initial value problems of ordinary differential equations. A solution is made of ordinary equations in
/// loops: it can be compiled, mapped over parameters, and differentiated to any order.
namespace hesse::solvers {

/// dy/dt = f(t, y): t a scalar of the state's real dtype, y the arrays of the state. Returns their
/// derivatives, of the same shapes and dtypes. What else it uses (parameters, networks) is differentiated
/// too. It is recorded, and not called for each step: branches on values are `where` and `cond`.
using Rhs = std::function<Arrays(const Array& t, std::span<const Array> y)>;

/// A condition on the solution. It happens where g(t, y), a real scalar, passes zero from one end of a step
/// to the other: zeros that it touches, and two within one step, are not seen. The time is found on the
/// solution between the ends, to rounding; where g is zero at t0 it does not happen there. Its derivative is
/// that of the equation g(t, y(t)) = 0.
struct Event {
  std::function<Array(const Array& t, std::span<const Array> y)> g;
  int64_t terminal = 0;  ///< the solution ends where it happens for this many times; 0: never
  int direction = 0;     ///< 1: only where g rises through zero; -1: where it falls
};

/// A right-hand side in two parts, for the methods that treat these differently.
/// ARK3, ARK4, ARK5 (solvers/imex.h), ARKODE_IMEX (solvers/cvode.h): dy/dt = first(t, y) + second(t, y); the
/// second one is stiff and treated implicitly. Leapfrog and other symplectic methods (solvers/symplectic.h):
/// the state is y = (q..., p...), as many arrays of the same shapes; dq/dt = first(t, p), dp/dt = second(t,
/// q).
struct SplitRhs {
  Rhs first, second;
};

/// M of M dy/dt = f(t, y): [n, n] for the n entries of the state, of its arrays one after the other, each in
/// row-major order.
using Mass = std::variant<Array, sparse::CSR>;

/// Where and how to solve.
struct IvpOptions {
  /// A name of solvers/tableau.h or, for stiff problems, solvers/rosenbrock.h; methods of SUNDIALS:
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
  /// Of BDF, ARKODE_DIRK and ARKODE_IMEX, their linear equations: with the Jacobian of f as a "dense",
  /// "banded" or sparse ("klu") matrix, "krylov" (GMRES with its products), "ilu" (the same, preconditioned
  /// with incomplete factors of the sparse matrix: where those of "klu" fill), or "auto": a narrow band or
  /// few entries, which are read off f, else dense up to 500 entries of the state.
  std::string linear_solver = "auto";
  /// With a terminal event, outputs end there: times of t_eval after it are left out or, where shapes do not
  /// depend on values (under vmap, compile, in loops, with max_events), NaN.
  std::vector<Event> events = {};
  /// How often an event that is not terminal may happen, where shapes do not depend on values: it is needed
  /// there. Results have as many rows, NaN where it did not happen; more is a failure. By default there are
  /// as many rows as it happened.
  std::optional<int64_t> max_events = {};
  /// How it is differentiated in reverse; by default Discrete, Interpolating for methods of SUNDIALS.
  Adjoint adjoint = {};
  /// Whether Solution::dense is made: the solution at any time. All steps are kept; not under vmap, compile
  /// and in loops.
  bool dense_output = false;
  /// (t, y) -> arrays, which Solution::y holds instead of the state: what is kept of a large one (methods of
  /// SUNDIALS keep the state at all times while they solve). Empty: the state.
  Rhs save = {};
  /// Times [b] where f jumps: steps end just before them and the next begin afresh just behind them.
  /// Constants: the solution has no derivative in them. Those outside the span do nothing.
  std::optional<Array> breakpoints = {};
  /// M dy/dt = f(t, y), for a real state. Rosenbrock methods and ESDIRK take a singular M, too: the problem
  /// is a differential-algebraic one then, whose index must be 1 and whose algebraic equations y0 must
  /// satisfy; the entries of y0 that these determine have no derivative of their own. Explicit methods, BDF
  /// and Adams solve dy/dt = M^-1 f. Not with methods for SplitRhs. "auto" is Rodas5P.
  std::optional<Mass> mass = {};
  /// Told how far the solve is, at most once in `progress_interval` seconds of wall time and at its end; 0:
  /// at every occasion (once in some million operations, at least every 64 attempts). What it throws ends the
  /// solve. Compiled solves report too; derivatives do not, and under vmap it is refused, by TraceError.
  ProgressFn progress = {};
  double progress_interval = 0.5;
  /// How the caller reaches the arrays of the state ("['prey']"), for messages.
  std::vector<std::string> names = {};
};

enum class IvpStatus : int64_t {
  TerminalEvent = -1,  ///< a success, too
  Success = 0,
  TooManySteps = 1,
  StepTooSmall = 2,
  NotFinite = 3,
  BadTimes = 4,
  BadOptions = 5,
  TooManyEvents = 6,
  EventNotFinite = 7,
  Inconsistent = 8
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
  // With events:
  std::vector<Array> t_events;       ///< of each event, [m], float64
  std::vector<Arrays> y_events;      ///< of each event the state then, [m, shape of y0[k]...]
  Arrays event_counts;               ///< how often each happened, int64 scalars
  Array terminal_event;              ///< the one that ended the solution, an int64 scalar; -1: none
  Array t_end;                       ///< t1, or when the terminal event happened
  Arrays y_end;                      ///< the state then
  std::optional<DenseOutput> dense;  ///< with dense_output: from t0 to where the solution ended
  /// With method = "auto": what was chosen, "auto" being Tsit5 and Rodas5P in turn, and how many accepted
  /// steps were implicit, an int64 scalar.
  std::string chosen = {};
  std::optional<Array> implicit_steps = {};
  /// Why it gave up on its steps (is_diagnosed). nullopt after a solve that ran and did not; where it was
  /// recorded, under vmap and compile, it is there unless throw_on_failure, and says so by its cause.
  std::optional<Diagnosis> diagnosis = {};
};

/// Solves dy/dt = f(t, y), y(t0) = y0, from t0 to t1, which may lie before it. The derivative of the solution
/// is that of the steps taken (`Discrete`): exact for them, with step sizes and errors as constants; it
/// includes those with respect to t0, t1 and t_eval.
/// Throws ValueError for shapes that do not fit, times that do not ascend within the span, tolerances that
/// are not positive or an unknown method; TypeError for a state of integers; NumericalError where the solver
/// gives up (IvpStatus), if asked for; TraceError where t_eval, or with events max_events, is missing under
/// vmap, compile or in a loop.
Solution solve_ivp(const Rhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                   const IvpOptions& options = {});
/// The same for a right-hand side in two parts. Throws ValueError for methods that take one function, too.
Solution solve_ivp(const SplitRhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                   const IvpOptions& options = {});

}  // namespace hesse::solvers
