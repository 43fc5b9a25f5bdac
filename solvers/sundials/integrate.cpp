#include "solvers/sundials/integrate.h"

#include "core/status.h"
#include "solvers/sundials/ark_session.h"
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

template <class AnySession>
Report integrate_by(const Problem& problem, std::span<const double> times, size_t next, const Emit& emit) {
  Report report;
  Calls calls(problem);
  AnySession session(calls);
  const double end = times.back(), direction = end >= problem.t0 ? 1.0 : -1.0;
  const Vector y = make_vector(problem.field.size(), session.context());
  const auto step = [&](double* t) { return session.step(end, t); };
  march(session, end, report, step, [&](double t) {
    for (; next < times.size() && (times[next] - t) * direction <= 0; ++next) {
      if (report.accepted == 0) {  // the span is a rounding error
        emit(times[next], problem.y0.data());
        continue;
      }
      session.state_at(times[next], y.get());
      emit(times[next], entries(y.get()));
    }
    return true;
  });
  return report;
}

template <class AnySession>
Report integrate_steps_by(const Problem& problem, double t1, const Emit& emit) {
  Report report;
  Calls calls(problem);
  AnySession session(calls);
  const auto step = [&](double* t) { return session.step(t1, t); };
  march(session, t1, report, step, [&](double t) {
    emit(t, report.accepted > 0 ? entries(session.y()) : problem.y0.data());
    return true;
  });
  return report;
}

}  // namespace

Report integrate(const Problem& problem, std::span<const double> times, const Emit& emit) {
  Report report;
  if (without_steps(problem.t0, problem.y0, report)) {
    if (report.status == IvpStatus::Success)
      for (const double t : times) emit(t, nullptr);
    return report;
  }
  size_t next = 0;
  while (next < times.size() && times[next] == problem.t0) emit(times[next++], problem.y0.data());
  if (next == times.size()) return report;
  return problem.settings.by_arkode ? integrate_by<ArkSession>(problem, times, next, emit)
                                    : integrate_by<Session>(problem, times, next, emit);
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
  return problem.settings.by_arkode ? integrate_steps_by<ArkSession>(problem, t1, emit)
                                    : integrate_steps_by<Session>(problem, t1, emit);
}

}  // namespace hesse::solvers::sundials
