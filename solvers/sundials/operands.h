#pragma once
#include "solvers/sundials/flat_field.h"
#include "solvers/sundials/integrate.h"

/// What the ops that solve with CVODES and with IDAS read and give.
namespace hesse::solvers::sundials {

/// The operands that they share, all but status of float64:
///   t0 [], times [n], y0 [N], rtol [], atol [N], first_step [], max_step [] (0: not given), status []
///   (int64; not 0: what is wrong with the options or times, found by the caller), more...
namespace operand {
enum : size_t { t0, times, y0, rtol, atol, first_step, max_step, status, more };
}

/// These operands in numbers.
struct Numbers {
  explicit Numbers(std::span<const Array> x);
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  double t0;
  std::vector<double> times, y0, atol;
  Settings settings;  ///< of which `implicit`, `by_arkode`, `linear` and `max_steps` are to be set
  IvpStatus status;
};

/// What is reported, and to whom.
struct Reporting {
  std::string_view function;
  const Dims& sizes;  ///< of the arrays of the state
  bool raise;         ///< whether giving up is
};

/// Status, accepted, rejected, evaluations, factorisations (int64), t_last, h_last: outputs and their types.
Arrays counts_of(const Report& r);
Avals counts_avals();
/// The same into a solution.
void put_counts(Solution& out, std::span<const Array> counts);

/// The report of a solve that finds states, unless the operands say that it cannot be.
template <class Solve>
Report solved(const Numbers& in, Solve solve) {
  if (in.status == IvpStatus::Success) return solve();
  Report r;
  r.status = in.status;
  r.t = in.t0;
  return r;
}
/// The solution at t0 and after every step: `solve(emit)` calls emit(t, y [N]) for each. Failures are raised.
Solution steps_solution(const Numbers& in, const Reporting& how,
                        const std::function<Report(const Emit&)>& solve);
/// The gradients that an adjoint op gives: `solve` writes that of y0 [N] and those of p, as real numbers.
Arrays gradients_of(const Numbers& in, const Reporting& how, const FlatParameters& p,
                    const std::function<Report(std::span<double>, std::span<double>)>& solve);

}  // namespace hesse::solvers::sundials
