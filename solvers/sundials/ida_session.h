#pragma once
#include "solvers/sundials/guard.h"
#include "solvers/sundials/ida.h"

namespace hesse::solvers::sundials {

/// What the functions that IDAS calls share: the problem, and what went wrong.
class DaeCalls final : public Guard {
 public:
  explicit DaeCalls(const DaeProblem& problem);
  const DaeProblem& problem() const { return problem_; }
  const FlatResidual& field() const { return problem_.field; }
  int64_t size() const { return problem_.field.size(); }

  /// t, y, y', p..., then `more`.
  Arrays operands(double t, N_Vector y, N_Vector yp, const Arrays& more) const;
  const Array& differential() const { return differential_; }
  /// out [n] = g(operands...), as Guard::run.
  template <class More>
  int run(const Graph& g, double t, N_Vector y, N_Vector yp, More more, double* out, int64_t n) noexcept {
    Arrays in;
    const int flag = guarded([&] {
      in = operands(t, y, yp, more());
      return 0;
    });
    return flag != 0 ? flag : Guard::run(g, std::move(in), out, n, size());
  }

 private:
  const DaeProblem& problem_;
  Array differential_;
};

/// Memory of IDAS for a problem, ready for its first step.
class DaeSession final {
 public:
  explicit DaeSession(DaeCalls& calls);
  void* memory() const { return memory_.get(); }
  const Context& context() const { return context_; }
  N_Vector y() const { return y_.get(); }
  N_Vector yp() const { return yp_.get(); }
  DaeCalls& calls() const { return calls_; }
  /// Throws Error for a flag that no input explains.
  void check(int flag, const char* function) const;
  /// The status for a negative flag of IDASolve, after rethrowing what F threw.
  void failed(int flag, Report& report) const;
  /// Steps to `end`, one at a time; `after(t)` is called after each. `step(mem, end, &t, y, yp)` is IDASolve
  /// or IDASolveF.
  template <class Step, class After>
  void march(double end, Report& report, Step step, After after) const;

  struct Solvers {
    Matrix matrix;
    LinearSolver linear;
  };
  Solvers make_solvers(N_Vector like, int64_t n) const;

 private:
  void begin(double end) const;
  void count(Report& report) const;
  void not_finite(Report& report) const;
  void stuck(Report& report) const;
  DaeCalls& calls_;
  Context context_;
  Vector y_, yp_, differential_;
  Solvers solvers_;
  DaeIntegrator memory_;  // last: it goes first
};

template <class Step, class After>
void DaeSession::march(double end, Report& report, Step step, After after) const {
  const DaeProblem& problem = calls_.problem();
  const double direction = end >= problem.t0 ? 1.0 : -1.0;
  report.t = problem.t0;
  begin(end);
  double t = problem.t0;
  while ((end - t) * direction > 0) {
    const double before = t;
    if (report.accepted + report.rejected >= problem.settings.max_steps) {
      report.status = IvpStatus::TooManySteps;
      return;
    }
    calls_.next_step();
    const int flag = step(memory(), end, &t, y(), yp());
    if (flag == IDA_ILL_INPUT && report.accepted == 0 &&
        (end - problem.t0) * direction <= 1e-14 * (std::abs(end) + std::abs(problem.t0))) {
      t = end;  // the span is a rounding error
      after(t);
      return;
    }
    count(report);
    calls_.rethrow();
    if (flag < 0) {
      failed(flag, report);
      return;
    }
    after(t);
    if (t == before) {
      stuck(report);
      return;
    }
  }
}

}  // namespace hesse::solvers::sundials
