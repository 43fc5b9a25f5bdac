#include <algorithm>
#include <cmath>
#include <optional>

#include "solvers/sundials/backward.h"
#include "solvers/sundials/march.h"
#include "solvers/sundials/session.h"

namespace hesse::solvers::sundials {
namespace {

// The functions of CVODES' interface, backwards -------------------------------------------------------------

Calls& calls_of(void* data) { return *static_cast<Calls*>(data); }

void negate(double* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = -x[i];
}

// dlambda/dt = -J^T lambda
int rhs(double t, N_Vector y, N_Vector lambda, N_Vector rate, void* data) {
  Calls& c = calls_of(data);
  const int64_t n = c.field().size();
  const int flag = c.run(c.field().transposed_product(), t, y, lambda, entries(rate), n);
  negate(entries(rate), n);
  return flag;
}

// Integrated from the end backwards: minus (df/dp)^T lambda.
int quadrature(double t, N_Vector y, N_Vector lambda, N_Vector rate, void* data) {
  Calls& c = calls_of(data);
  const int64_t m = c.field().parameters().size();
  const int flag = c.run(c.field().parameter_product(), t, y, lambda, entries(rate), m);
  negate(entries(rate), m);
  return flag;
}

int jacobian(double t, N_Vector y, N_Vector, N_Vector, SUNMatrix matrix, void* data, N_Vector, N_Vector,
             N_Vector) {
  return fill_jacobian(calls_of(data), t, y, matrix, true);
}

int product(N_Vector v, N_Vector jv, double t, N_Vector y, N_Vector, N_Vector, void* data, N_Vector) {
  return rhs(t, y, v, jv, data);
}

/// The adjoint state, solved backwards over one interval after another.
class Backward final {
 public:
  Backward(const Session& forward, Calls& calls, double t, std::span<const double> lambda, double scale)
      : forward_(forward), calls_(calls) {
    const Problem& problem = calls.problem();
    const Settings& s = problem.settings;
    const FlatField& field = calls.field();
    const int64_t n = field.size(), m = field.parameters().size();
    void* mem = forward.memory();
    (void)field.transposed_product();  // made here, where they may throw
    if (m > 0) (void)field.parameter_product();
    lambda_ = make_vector(n, forward.context());
    std::copy(lambda.begin(), lambda.end(), entries(lambda_.get()));
    const auto check = [&](int flag, const char* function) { forward.check(flag, function); };
    check(CVodeCreateB(mem, s.implicit ? CV_BDF : CV_ADAMS, &which_), "CVodeCreateB");
    check(CVodeInitB(mem, which_, rhs, t, lambda_.get()), "CVodeInitB");
    check(CVodeSetUserDataB(mem, which_, &calls), "CVodeSetUserDataB");
    // Absolute errors relative to the largest cotangent: a gradient is linear in them.
    check(CVodeSStolerancesB(mem, which_, s.rtol, kTiny * s.rtol * scale), "CVodeSStolerancesB");
    check(CVodeSetMaxNumStepsB(mem, which_, static_cast<long>(s.max_steps)), "CVodeSetMaxNumStepsB");
    forward.allow_failures(CVodeGetAdjCVodeBmem(mem, which_));
    if (s.max_step > 0) check(CVodeSetMaxStepB(mem, which_, s.max_step), "CVodeSetMaxStepB");
    solvers_ = forward.make_solvers(lambda_.get(), true);
    if (!s.implicit) {
      check(CVodeSetNonlinearSolverB(mem, which_, solvers_.fixed_point.get()), "CVodeSetNonlinearSolverB");
    } else {
      check(CVodeSetLinearSolverB(mem, which_, solvers_.linear.get(), solvers_.matrix.get()),
            "CVodeSetLinearSolverB");
      if (s.linear == LinearKind::Krylov)
        check(CVodeSetJacTimesB(mem, which_, nullptr, product), "CVodeSetJacTimesB");
      else if (has_jacobian(s.linear, field))
        check(CVodeSetJacFnB(mem, which_, jacobian), "CVodeSetJacFnB");
      forward.tighten(CVodeGetAdjCVodeBmem(mem, which_));
    }
    if (m == 0) return;
    gradient_ = make_vector(m, forward.context());
    N_VConst(0.0, gradient_.get());
    check(CVodeQuadInitB(mem, which_, quadrature, gradient_.get()), "CVodeQuadInitB");
    const Vector atol = quadrature_tolerances(field.parameters(), problem.p, problem.y0,
                                              kTiny * s.rtol * scale, forward.context());
    check(CVodeQuadSVtolerancesB(mem, which_, kQuadrature * s.rtol, atol.get()), "CVodeQuadSVtolerancesB");
    check(CVodeSetQuadErrConB(mem, which_, SUNTRUE), "CVodeSetQuadErrConB");
  }

  /// Starts anew at t with another lambda; the gradient goes on.
  void restart(double t, std::span<const double> lambda) {
    std::copy(lambda.begin(), lambda.end(), entries(lambda_.get()));
    forward_.check(CVodeReInitB(forward_.memory(), which_, t, lambda_.get()), "CVodeReInitB");
    if (gradient_)
      forward_.check(CVodeQuadReInitB(forward_.memory(), which_, gradient_.get()), "CVodeQuadReInitB");
  }

  /// Back to t, whose lambda is written. Whether that went well.
  bool solve_to(double t, std::span<double> lambda, Report& report) {
    void* mem = forward_.memory();
    calls_.next_step();
    const int flag = CVodeB(mem, t, CV_NORMAL);
    if (flag == CV_TOO_CLOSE) return true;  // the interval is a rounding error
    calls_.rethrow();
    if (flag < 0) {
      forward_.failed(flag, report);
      report.entry = calls_.bad_entry();
      CVodeGetCurrentTime(CVodeGetAdjCVodeBmem(mem, which_), &report.t);
      CVodeGetCurrentStep(CVodeGetAdjCVodeBmem(mem, which_), &report.h);
      report.h = std::abs(report.h);
      return false;
    }
    double at = t;
    forward_.check(CVodeGetB(mem, which_, &at, lambda_.get()), "CVodeGetB");
    std::copy_n(entries(lambda_.get()), lambda.size(), lambda.begin());
    if (gradient_) forward_.check(CVodeGetQuadB(mem, which_, &at, gradient_.get()), "CVodeGetQuadB");
    return true;
  }
  const Vector& gradient() const { return gradient_; }

 private:
  const Session& forward_;
  Calls& calls_;
  Vector lambda_, gradient_;
  Session::Solvers solvers_;
  int which_ = 0;
};

}  // namespace

Report integrate_adjoint(const Problem& problem, std::span<const double> times, std::span<const double> c,
                         std::span<double> lambda, std::span<double> gradient) {
  std::fill(lambda.begin(), lambda.end(), 0.0);
  std::fill(gradient.begin(), gradient.end(), 0.0);
  Report report;
  report.t = problem.t0;
  const size_t n = lambda.size();
  const auto row = [&](size_t k) { return c.subspan(k * n, n); };
  const auto take_up = [&](size_t k) {
    for (size_t i = 0; i < n; ++i) lambda[i] += row(k)[i];
  };
  // Later times than the last with a cotangent do not matter.
  size_t last = times.size();
  while (last > 0 && largest(row(last - 1)) == 0 && all_finite(row(last - 1))) --last;
  if (last == 0 || n == 0 || without_steps(problem.t0, problem.y0, report)) return report;
  if (!all_finite(c)) {  // a gradient of NaN, not a failure
    std::fill(lambda.begin(), lambda.end(), NAN);
    std::fill(gradient.begin(), gradient.end(), NAN);
    return report;
  }
  --last;
  if (times[last] == problem.t0) {
    for (size_t k = 0; k <= last; ++k) take_up(k);
    return report;
  }

  Calls calls(problem);
  const Session session(calls);
  session.check(
      CVodeAdjInit(session.memory(), points_between_checkpoints(static_cast<int64_t>(n)), CV_HERMITE),
      "CVodeAdjInit");
  const auto forward_step = [&](double* t) {
    int checkpoints = 0;
    return CVodeF(session.memory(), times[last], session.y(), t, CV_ONE_STEP, &checkpoints);
  };
  march(session, times[last], report, forward_step, [](double) { return true; });
  session.examine(report);
  if (report.status != IvpStatus::Success) return report;
  if (report.accepted == 0) {  // the span is a rounding error
    for (size_t k = 0; k <= last; ++k) take_up(k);
    return report;
  }

  const double scale = largest(c);
  std::optional<Backward> backward;
  for (size_t k = last + 1; k-- > 0;) {
    take_up(k);
    const double next = k > 0 ? times[k - 1] : problem.t0;
    if (next == times[k] || largest(lambda) == 0) continue;
    if (backward)
      backward->restart(times[k], lambda);
    else
      backward.emplace(session, calls, times[k], lambda, scale);
    if (!backward->solve_to(next, lambda, report)) return report;
  }
  if (backward && backward->gradient())
    std::copy_n(entries(backward->gradient().get()), gradient.size(), gradient.begin());
  return report;
}

}  // namespace hesse::solvers::sundials
