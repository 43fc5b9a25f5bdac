#pragma once
#include "solvers/sundials/flat_residual.h"
#include "solvers/sundials/integrate.h"

/// IDAS on numbers: one solve, forwards or with its adjoint. Thread-safe: a solve shares nothing.
namespace hesse::solvers::sundials {

/// field(t, y, y', p...) = 0, from consistent y0, yp0. `implicit` of the settings is not read.
struct DaeProblem {
  const FlatResidual& field;
  const Settings& settings;
  double t0;
  std::span<const double> y0, yp0, differential;  ///< [N]; the last: 1, or 0 for algebraic entries
  std::span<const Array> p;
};

/// Solves to each of the times (ascending in one direction, from t0) and hands over the state there and its
/// slope.
using EmitDae = std::function<void(double t, const double* y, const double* yp)>;
Report integrate(const DaeProblem& problem, std::span<const double> times, const EmitDae& emit);
/// The same to t1, with the state at t0 and after every step.
Report integrate_steps(const DaeProblem& problem, double t1, const EmitDae& emit);

/// The gradient of sum_k <c_k, y(t_k)>, c [n, N]. With the adjoint state (FlatResidual), zero after the last
/// time, that with respect to y0 is mu(t0), [N], zero in algebraic entries, and that with respect to the
/// wanted p, as real numbers, is
///   - integral over [t0, t_n] of F_p^T lambda dt - sum_k F_p^T nu_k.
/// Forwards with checkpoints, then backwards.
Report integrate_adjoint(const DaeProblem& problem, std::span<const double> times, std::span<const double> c,
                         std::span<double> mu, std::span<double> gradient);

}  // namespace hesse::solvers::sundials
