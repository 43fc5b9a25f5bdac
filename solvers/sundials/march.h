#pragma once
#include <algorithm>
#include <cmath>

#include "core/ops/control_graph.h"
#include "solvers/sundials/session.h"

namespace hesse::solvers::sundials {

bool all_finite(std::span<const double> x);
/// Whether there is nothing to step: a state that is not finite (which is reported), or without entries.
bool without_steps(const Problem& problem, Report& report);

/// Steps to `end`, one at a time; `after(t)` is called after each. `step(mem, end, y, &t)` is CVode or
/// CVodeF.
template <class Step, class After>
void march(const Session& session, const Problem& problem, double end, Report& report, Step step,
           After after) {
  const Settings& s = problem.settings;
  const double direction = end >= problem.t0 ? 1.0 : -1.0;
  report.t = problem.t0;
  void* mem = session.memory();
  session.check(CVodeSetStopTime(mem, end), "CVodeSetStopTime");
  if (s.first_step > 0) {
    const double h = std::min(s.first_step, std::abs(end - problem.t0));
    session.check(CVodeSetInitStep(mem, direction * h), "CVodeSetInitStep");
  }
  double t = problem.t0;
  while ((end - t) * direction > 0) {
    const double before = t;
    if (report.accepted + report.rejected >= s.max_steps) {
      report.status = IvpStatus::TooManySteps;
      return;
    }
    poll_interrupt();
    session.calls().next_step();
    const int flag = step(mem, end, session.y(), &t);
    if (flag == CV_TOO_CLOSE) {  // the span is a rounding error
      t = end;
      after(t);
      return;
    }
    session.count(report);
    session.calls().rethrow();
    if (flag < 0) {
      session.failed(flag, report);
      return;
    }
    after(t);
    if (t == before) {
      session.stuck(report);
      return;
    }
  }
}

}  // namespace hesse::solvers::sundials
