#pragma once
#include <functional>
#include <optional>
#include <string>

#include "solvers/ode.h"

/// Initial value problems of differential-algebraic equations F(t, y, y') = 0 of index 1, with SUNDIALS' IDAS
/// (Hindmarsh and others, ACM TOMS 31, 2005): backward differentiation formulas of orders 1 to 5. Derivatives
/// of any order are solves of their own, as accurate as the tolerances: a tangent that of the sensitivity
/// equations, a gradient that of the adjoint equations (Cao, Li, Petzold and Serban, SIAM J. Sci. Comput. 24,
/// 2003), with checkpoints.
namespace hesse::solvers {

/// F(t, y, y'): y and y' are the arrays of the state; returns arrays of the same shapes and dtypes, which are
/// to be zero. It is recorded once.
using DaeResidual =
    std::function<Arrays(const Array& t, std::span<const Array> y, std::span<const Array> yp)>;

struct DaeOptions {
  /// Times at which the state is given, as in IvpOptions.
  std::optional<Array> t_eval = {};
  Array rtol = 1e-3;     ///< of the local error, as in IvpOptions
  Arrays atol = {1e-6};  ///< one for all, or one for each array of the state, which broadcasts to it
  /// Which entries of the state are algebraic, whose derivative F does not contain: bool arrays that
  /// broadcast to those of the state. nullopt: those for which the column of dF/dy' is zero at the start.
  std::optional<Arrays> algebraic = {};
  /// Whether algebraic entries of y0 and derivatives of the others are computed at the start, from guesses.
  /// If not they must fit.
  bool find_start = true;
  std::optional<Array> first_step = {}, max_step = {};
  int64_t max_steps = 100000;  ///< attempts, accepted or not
  bool throw_on_failure = true;
  std::string linear_solver = "auto";  ///< "dense", "krylov" or "auto": dense up to 500 entries
  ProgressFn progress = {};            ///< this and the rest: as in IvpOptions
  double progress_interval = 0.5;
  std::vector<std::string> names = {};
};

/// Solves F(t, y, y') = 0 from t0 to t1, which may lie before it. Of y0 the differential entries are given;
/// the algebraic ones, and yp0, are guesses of what Newton's method finds (solvers/root.h), and have no
/// derivative. The solution is differentiated with respect to the differential entries of y0, t0, t1, t_eval
/// and what F captures.
/// Throws ValueError for shapes that do not fit, times that do not ascend within the span, tolerances below
/// 0, an unknown linear solver and builds without SUNDIALS; TypeError for integer and complex states;
/// NumericalError where the initial values are not consistent and none are found, naming the largest
/// residual, and where the solver gives up (IvpStatus), if asked for; TraceError without t_eval under vmap,
/// compile and in loops; and what F throws, unchanged.
Solution solve_dae(const DaeResidual& f, const Array& t0, const Array& t1, const Arrays& y0,
                   const Arrays& yp0, const DaeOptions& options = {});

}  // namespace hesse::solvers
