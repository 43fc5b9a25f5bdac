#pragma once
#include "solvers/sundials/guard.h"
#include "solvers/sundials/integrate.h"

/// Errors of steps and what failed solves report, of CVODES and IDAS alike.
namespace hesse::solvers::sundials {

bool all_finite(std::span<const double> x);
/// Whether there is nothing to step from y0 at t0: a state that is not finite (which is reported), or without
/// entries.
bool without_steps(double t0, std::span<const double> y0, Report& report);

/// Weights of errors: 1 / (rtol |y| + atol). Where both are zero no error is too small.
void error_weights(const Settings& settings, N_Vector y, N_Vector weights);

/// f gave NaN or infinity.
void not_finite(const Guard& calls, Report& report);
/// A step came no further.
void stuck(const Guard& calls, Report& report);
/// Its equations were not solved: `cause`, unless f gave NaN or infinity of late.
void not_solved(const Guard& calls, IvpCause cause, std::string_view note, Report& report);
/// The steps are smaller than the precision allows.
void too_accurate(Report& report);
/// Errors were too large however small the step.
void too_large_errors(Report& report);

/// The entry whose error is largest beside its tolerance, and that ratio, into the report. `get_errors(e)`
/// and `get_weights(w)` are functions of the solver, 0 where they succeed.
template <class GetErrors, class GetWeights>
void find_largest_error(int64_t n, const Context& context, GetErrors get_errors, GetWeights get_weights,
                        Report& report);
/// The same of [n] errors and weights.
void put_largest_error(N_Vector errors, N_Vector weights, int64_t n, Report& report);

template <class GetErrors, class GetWeights>
void find_largest_error(int64_t n, const Context& context, GetErrors get_errors, GetWeights get_weights,
                        Report& report) {
  const Vector errors = make_vector(n, context), weights = make_vector(n, context);
  if (get_errors(errors.get()) == 0 && get_weights(weights.get()) == 0)
    put_largest_error(errors.get(), weights.get(), n, report);
}

}  // namespace hesse::solvers::sundials
