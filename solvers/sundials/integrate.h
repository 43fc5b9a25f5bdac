#pragma once
#include <cmath>
#include <functional>
#include <span>
#include <string>

#include "solvers/ode.h"
#include "solvers/reporter.h"
#include "solvers/sundials/flat_field.h"
#include "solvers/sundials/linear_solvers.h"
#include "solvers/sundials/polynomials.h"

/// CVODES and ARKODE on numbers: one solve, forwards or with its adjoint. Thread-safe: a solve shares
/// nothing.
namespace hesse::solvers::sundials {

struct Settings {
  bool implicit = true;    ///< BDF or diagonally implicit Runge-Kutta, else Adams (whose equations are solved
                           ///< by fixed-point iteration) or explicit Runge-Kutta
  bool by_arkode = false;  ///< Runge-Kutta, and no multistep method
  LinearKind linear = LinearKind::Dense;
  int64_t max_steps = 100000;
  double rtol = 1e-3;
  std::span<const double> atol;             ///< [N]
  double first_step = 0.0, max_step = 0.0;  ///< 0: not given
  Reporter* reporter = nullptr;             ///< told of each step; null: nobody
  Polynomials* polynomials = nullptr;       ///< takes that of each step; null: nobody
};

/// Where f jumps: the numbers just before and just behind, in the direction of the solve.
struct Break {
  double before, after;
};

/// An initial value problem: dy/dt = field(t, y, p...), y(t0) = y0, or with a part that is treated explicitly
/// besides, dy/dt = field + explicit_part (of ARKODE, implicit).
struct Problem {
  const FlatField& field;
  const Settings& settings;
  double t0;
  std::span<const double> y0;  ///< [N]
  std::span<const Array> p;
  const FlatField* explicit_part = nullptr;
  std::span<const Break> breaks = {};  ///< behind t0, in the direction of the solve, apart from one another
};

struct Report {
  IvpStatus status = IvpStatus::Success;
  int64_t accepted = 0, rejected = 0, evaluations = 0, factorisations = 0;
  double t = 0.0, h = 0.0;  ///< how far it came, and the step it would have taken next
  int64_t entry = -1;       ///< of the state: where it failed, if it is known
  std::string note = {};    ///< more about a failure; may be empty
  IvpCause cause = IvpCause::None;
  double excess = NAN, radius = NAN;  ///< as in Diagnosis
};
/// As an output of the ops: cause, entry of the flat state, excess, radius, [4]; and its fields, for a state
/// of these arrays.
Array as_numbers(const Report& report);
inline const Aval kFound{{4}, kFloat64};
Arrays found(const Array& numbers, const StateNames& names);

/// Reports it, unless it is a success or `raise` is false: who failed, in which part ("the adjoint: "), why
/// and where.
void report_solve(std::string_view function, std::string_view part, const Report& report,
                  const StateNames& names, bool implicit, bool raise);

/// Solves to each of the times (ascending in one direction, from t0) and hands over the state there.
using Emit = std::function<void(double t, const double* y)>;
Report integrate(const Problem& problem, std::span<const double> times, const Emit& emit);
/// The same to t1, with the state at t0 and after every step.
Report integrate_steps(const Problem& problem, double t1, const Emit& emit);

/// The gradient of sum_k <c_k, y(t_k)>, c [n, N]: with the adjoint state, which obeys
///   dlambda/dt = -J^T lambda between the times and takes up c_k at t_k, zero after the last,
/// that with respect to y0 is lambda(t0), [N], and that with respect to the wanted p, as real numbers, is
///   integral over [t0, t_n] of (df/dp)^T lambda dt.
/// Forwards with checkpoints, then backwards, by a multistep method.
Report integrate_adjoint(const Problem& problem, std::span<const double> times, std::span<const double> c,
                         std::span<double> lambda, std::span<double> gradient);

}  // namespace hesse::solvers::sundials
