#include "solvers/sundials/integrate.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/ops.h"
#include "core/status.h"
#include "solvers/sundials/ark_session.h"
#include "solvers/sundials/march.h"
#include "solvers/sundials/session.h"

namespace hesse::solvers::sundials {

namespace {
// Which array of the state an entry is of, and which entry in that; the tangent comes behind the state.
struct Place {
  int64_t array = -1, entry = -1;
  bool tangent = false;
};
Place place_of(int64_t entry, const StateNames& names) {
  int64_t total = 0;
  for (const Shape& shape : names.shapes) total += num_elements(shape);
  if (entry < 0 || total == 0) return {};
  Place out{0, entry % total, entry >= total};
  for (const Shape& shape : names.shapes) {
    const int64_t n = num_elements(shape);
    if (out.entry < n) return out;
    out.entry -= n;
    ++out.array;
  }
  return {};
}
Array scalar(double x) { return Array::from<double>(std::span<const double>(&x, 1), {}); }
Array scalar(int64_t x) { return Array::from<int64_t>(std::span<const int64_t>(&x, 1), {}); }
}  // namespace

Array as_numbers(const Report& r) {
  if (r.status == IvpStatus::Success) return Array::from<double>(std::array{0.0, 0.0, 0.0, 0.0}, {4});
  return Array::from<double>(
      std::array{static_cast<double>(r.cause), static_cast<double>(r.entry), r.excess, r.radius}, {4});
}

Arrays found(const Array& numbers, const StateNames& names) {
  const auto at = [&](int64_t i) { return getitem(numbers, {Index(i)}); };
  Array entry = astype(at(1), kInt64), array = where(entry < int64_t{0}, entry, int64_t{0});
  Array rest = entry;
  int64_t begin = 0, number = 0;
  for (const Shape& shape : names.shapes) {
    const Array within = entry >= begin;
    array = where(within, number++, array);
    rest = where(within, entry - begin, rest);
    begin += num_elements(shape);
  }
  return {astype(at(0), kInt64), array, rest, at(2), at(3)};
}

void report_solve(std::string_view function, std::string_view part, const Report& r, const StateNames& names,
                  bool implicit, bool raise) {
  if (r.status == IvpStatus::Success || !raise) return;
  const Place place = place_of(r.entry, names);
  const Diagnosis d{scalar(static_cast<int64_t>(r.cause)),
                    scalar(r.t),
                    scalar(r.h),
                    scalar(place.array),
                    scalar(place.entry),
                    scalar(r.excess),
                    scalar(r.radius),
                    implicit,
                    names};
  std::string why = describe(r.status);
  if (place.tangent) why += ", in the tangent";
  why = is_diagnosed(r.status) ? explained(why, d) : concat(why, " (t = ", r.t, ", step ", r.h, ")");
  if (!r.note.empty()) why = concat(why, "; ", r.note);
  report_failure(Failure::Numerical, function, concat(part, why));
}

namespace {

template <class AnySession>
Report integrate_by(const Problem& problem, std::span<const double> times, size_t next, const Emit& emit) {
  Report report;
  Calls calls(problem);
  AnySession session(calls);
  const double end = times.back(), direction = end >= problem.t0 ? 1.0 : -1.0;
  const Telling telling(problem.settings.reporter, problem.t0, end, report);
  const Vector y = make_vector(problem.field.size(), session.context());
  march_through(session, end, report, [&](double t, double until) {
    for (; next < times.size() && (times[next] - until) * direction <= 0; ++next) {
      session.state_at((times[next] - t) * direction < 0 ? times[next] : t, y.get());
      emit(times[next], entries(y.get()));
    }
    return true;
  });
  session.examine(report);
  return report;
}

template <class AnySession>
Report integrate_steps_by(const Problem& problem, double t1, const Emit& emit) {
  Report report;
  Calls calls(problem);
  AnySession session(calls);
  const Telling telling(problem.settings.reporter, problem.t0, t1, report);
  march_through(session, t1, report, [&](double t, double) {
    emit(t, entries(session.y()));
    return true;
  });
  session.examine(report);
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
