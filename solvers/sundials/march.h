#pragma once
#include <cmath>

#include "solvers/sundials/failures.h"

namespace hesse::solvers::sundials {

/// The beginning and the end of what a reporter, if there is one, is told.
class Telling {
 public:
  Telling(Reporter* reporter, double t0, double t1, const Report& report)
      : reporter_(reporter), report_(report) {
    if (reporter_) reporter_->begin(t0, t1);
  }
  ~Telling() noexcept(false) {
    if (reporter_ && std::uncaught_exceptions() == unwinding_)
      reporter_->end(report_.t, report_.h, report_.accepted, report_.rejected);
  }
  Telling(const Telling&) = delete;
  Telling& operator=(const Telling&) = delete;

 private:
  Reporter* reporter_;
  const Report& report_;
  int unwinding_ = std::uncaught_exceptions();
};

/// Steps of a Session or a DaeSession from where it is, `t0`, to `end`, one at a time: `step(&t)` takes one
/// and gives its flag; `after(t)` is called after each and says whether to go on. Returns whether it arrived.
/// (Ctrl-C is seen by the evaluations: Guard::count.)
template <class AnySession, class Step, class After>
bool march(const AnySession& session, double t0, double end, Report& report, Step step, After after) {
  const double direction = end >= t0 ? 1.0 : -1.0;
  const Settings& settings = session.calls().problem().settings;
  constexpr int64_t kMostAttempts = 41;  // at one step: 20 errors too large, 20 equations not solved
  report.t = t0;
  session.begin(end);
  double t = t0;
  bool goes_on = true;
  int64_t allowed = 0;  // steps for which max_steps is enough whatever happens
  while ((end - t) * direction > 0) {
    const double before = t;
    if (allowed-- == 0) {
      session.count(report);
      const int64_t left = settings.max_steps - report.accepted - report.rejected;
      if (left <= 0) {
        report.status = IvpStatus::TooManySteps;
        report.cause = IvpCause::Steps;
        return false;
      }
      allowed = left / kMostAttempts;
    }
    session.calls().next_step();
    const int flag = step(&t);
    if (session.is_too_short(flag, end, report)) {  // the span is a rounding error
      return after(end);
    }
    session.calls().rethrow();
    if (flag < 0) {
      session.count(report);
      session.failed(flag, report);
      return false;
    }
    ++report.accepted;
    if (!(goes_on = after(t))) break;
    if (settings.reporter) {
      session.count(report);
      settings.reporter->step(t, report.h, report.accepted, report.rejected);
    }
    if (t == before) {
      stuck(session.calls(), report);
      break;
    }
  }
  session.count(report);
  return goes_on && !((end - t) * direction > 0) && report.status == IvpStatus::Success;
}

/// The same of a Session or an ArkSession from the beginning of its problem, afresh behind each breakpoint.
/// `after(t, until)`: the state at t holds until `until`, which lies behind a breakpoint where t lies before
/// it, else is t.
template <class AnySession, class After>
void march_through(AnySession& session, double end, Report& report, After after) {
  const Problem& problem = session.calls().problem();
  const double direction = end >= problem.t0 ? 1.0 : -1.0;
  const auto piece = [&](double from, double to, double until) {
    const auto step = [&](double* t) { return session.step(to, t); };
    return march(session, from, to, report, step, [&](double t) {
      if (Polynomials* all = problem.settings.polynomials; all && report.accepted > 0) session.keep(*all);
      return after(t, (to - t) * direction > 0 ? t : until);
    });
  };
  double from = problem.t0;
  for (const Break& b : problem.breaks) {
    if ((end - b.before) * direction <= 0) break;
    if (!piece(from, b.before, b.after) || (end - b.after) * direction <= 0) return;
    session.restart(from = b.after);
  }
  piece(from, end, end);
}

}  // namespace hesse::solvers::sundials
