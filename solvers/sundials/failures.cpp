#include "solvers/sundials/failures.h"

#include <algorithm>
#include <cmath>

namespace hesse::solvers::sundials {

bool all_finite(std::span<const double> x) {
  return std::all_of(x.begin(), x.end(), [](double v) { return std::isfinite(v); });
}

bool without_steps(double t0, std::span<const double> y0, Report& report) {
  report.t = t0;
  const auto bad = std::find_if_not(y0.begin(), y0.end(), [](double v) { return std::isfinite(v); });
  if (bad == y0.end()) return y0.empty();
  report.status = IvpStatus::NotFinite;
  report.cause = IvpCause::NotFinite;
  report.entry = bad - y0.begin();
  return true;
}

void error_weights(const Settings& settings, N_Vector y, N_Vector weights) {
  constexpr double kLeast = 1e-300;
  const double *at = entries(y), *atol = settings.atol.data();
  double* w = entries(weights);
  for (size_t i = 0; i < settings.atol.size(); ++i)
    w[i] = 1.0 / std::max(settings.rtol * std::abs(at[i]) + atol[i], kLeast);
}

void not_finite(const Guard& calls, Report& report) {
  report.status = IvpStatus::NotFinite;
  report.cause = IvpCause::NotFiniteBeyond;
  report.entry = calls.bad_entry();
  report.note = calls.bad_note();
}

void stuck(const Guard& calls, Report& report) {
  too_large_errors(report);
  if (calls.was_bad()) not_finite(calls, report);
}

void not_solved(const Guard& calls, IvpCause cause, std::string_view note, Report& report) {
  stuck(calls, report);
  if (report.status == IvpStatus::StepTooSmall) report.cause = cause;
  if (report.note.empty()) report.note = note;
}

void too_accurate(Report& report) {
  report.status = IvpStatus::StepTooSmall;
  report.cause = IvpCause::Precision;
  report.note = "the tolerances are too small for the precision";
}

void too_large_errors(Report& report) {
  report.status = IvpStatus::StepTooSmall;
  report.cause = IvpCause::ErrorTest;
}

void put_largest_error(N_Vector errors, N_Vector weights, int64_t n, Report& report) {
  double largest = -1;
  for (int64_t i = 0; i < n; ++i) {
    const double size = std::abs(entries(errors)[i] * entries(weights)[i]);
    if (!(size > largest)) continue;
    report.excess = largest = size;
    report.entry = i;
  }
}

}  // namespace hesse::solvers::sundials
