#include "solvers/sundials/integrate.h"

#include "core/status.h"
#include "solvers/sundials/march.h"
#include "solvers/sundials/session.h"

namespace hesse::solvers::sundials {

namespace {
// "t = 0.5, step 1e-09; entry 2 of array 1 of the state limits it"
std::string where(const Report& r, const Dims& sizes) {
  std::string out = concat("t = ", r.t, ", step ", r.h);
  int64_t entry = r.entry, total = 0;
  for (const int64_t n : sizes) total += n;
  if (entry >= 0 && total > 0) {
    out += "; ";
    if (entry >= total) out += "the tangent of ";
    entry %= total;
    size_t leaf = 0;
    while (entry >= sizes[leaf]) entry -= sizes[leaf++];
    out += concat("entry ", entry, " of ", leaf > 0 ? concat("array ", leaf, " of ") : std::string(),
                  "the state limits it");
  }
  return r.note.empty() ? out : concat(out, "; ", r.note);
}
}  // namespace

void report_solve(std::string_view function, std::string_view part, const Report& report, const Dims& sizes,
                  bool raise) {
  if (report.status != IvpStatus::Success && raise)
    report_failure(Failure::Numerical, function,
                   concat(part, describe(report.status), " (", where(report, sizes), ")"));
}

namespace {
auto forward_step(const Session& session, double end) {
  return [&session, end](double* t) { return CVode(session.memory(), end, session.y(), t, CV_ONE_STEP); };
}
}  // namespace

Report integrate(const Problem& problem, std::span<const double> times, const Emit& emit) {
  Report report;
  size_t next = 0;
  if (without_steps(problem.t0, problem.y0, report)) {
    if (report.status == IvpStatus::Success)
      for (const double t : times) emit(t, nullptr);
    return report;
  }
  while (next < times.size() && times[next] == problem.t0) emit(times[next++], problem.y0.data());
  if (next == times.size()) return report;
  Calls calls(problem);
  const Session session(calls);
  const double direction = times.back() >= problem.t0 ? 1.0 : -1.0;
  const Vector y = make_vector(problem.field.size(), session.context());
  march(session, times.back(), report, forward_step(session, times.back()), [&](double t) {
    for (; next < times.size() && (times[next] - t) * direction <= 0; ++next) {
      if (report.accepted == 0) {  // the span is a rounding error
        emit(times[next], problem.y0.data());
        continue;
      }
      session.check(CVodeGetDky(session.memory(), times[next], 0, y.get()), "CVodeGetDky");
      emit(times[next], entries(y.get()));
    }
    return true;
  });
  return report;
}

Report integrate_steps(const Problem& problem, double t1, const Emit& emit) {
  Report report;
  if (without_steps(problem.t0, problem.y0, report)) {
    if (report.status == IvpStatus::Success) {
      emit(problem.t0, nullptr);
      if (t1 != problem.t0) emit(t1, nullptr);
    }
    return report;
  }
  emit(problem.t0, problem.y0.data());
  if (t1 == problem.t0) return report;
  Calls calls(problem);
  const Session session(calls);
  march(session, t1, report, forward_step(session, t1), [&](double t) {
    emit(t, report.accepted > 0 ? entries(session.y()) : problem.y0.data());
    return true;
  });
  return report;
}

}  // namespace hesse::solvers::sundials
