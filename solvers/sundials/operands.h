#pragma once
#include "solvers/counts.h"
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
  Settings settings;  ///< with what operands say; the rest is to be set
  IvpStatus status;
};

/// What is reported, and to whom.
struct Reporting {
  std::string_view function;
  const StateNames& names;  ///< of the entries of the state
  bool implicit;            ///< whether the method is
  bool raise;               ///< whether giving up is
};

/// The counts of a solution (solvers/counts.h), and why it failed (as_numbers): outputs and their types.
inline constexpr size_t kNumCounts = kNumSolutionCounts + 1;
Arrays counts_of(const Report& r);
Avals counts_avals();
/// The diagnosis of a solution that has its counts; none where failures are raised.
void put_diagnosis(Solution& out, std::span<const Array> counts, const Reporting& how);

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
