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

int precondition(double t, N_Vector y, N_Vector, N_Vector, booleantype jok, booleantype* updated,
                 double gamma, void* data) {
  *updated = jok ? SUNFALSE : SUNTRUE;
  return calls_of(data).precondition(t, y, jok, gamma, true);
}

int apply_preconditioner(double, N_Vector, N_Vector, N_Vector, N_Vector r, N_Vector z, double, double, int,
                         void* data) {
  return calls_of(data).apply_preconditioner(r, z, true);
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
      if (s.linear == LinearKind::Preconditioned)
        check(CVodeSetPreconditionerB(mem, which_, precondition, apply_preconditioner),
              "CVodeSetPreconditionerB");
      if (is_krylov(s.linear))
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

/// Where f does not jump: from t0 or just behind a breakpoint, with the state there, to just before the next.
struct Piece {
  double from, to;
  std::vector<double> y;
};

// Those up to `end`; their states are found by one solve forwards.
std::vector<Piece> pieces_to(const Problem& problem, double end, Report& report) {
  std::vector<Piece> out{{problem.t0, end, {problem.y0.begin(), problem.y0.end()}}};
  const double direction = end >= problem.t0 ? 1.0 : -1.0;
  const auto count = std::count_if(problem.breaks.begin(), problem.breaks.end(),
                                   [&](const Break& b) { return (end - b.before) * direction > 0; });
  if (count == 0) return out;
  Calls calls(problem);
  Session session(calls);
  march_through(session, end, report, [&](double t, double until) {
    if (t == until) return true;
    out.back().to = t;
    if ((end - until) * direction <= 0) return false;
    const double* y = entries(session.y());
    out.push_back({until, end, {y, y + problem.y0.size()}});
    return static_cast<int64_t>(out.size()) <= count;
  });
  session.examine(report);
  return out;
}

/// The adjoint state on its way back, and what has been gathered.
class AdjointState final {
 public:
  AdjointState(std::span<const double> times, std::span<const double> c, std::span<double> lambda,
               std::span<double> gradient, double direction)
      : times_(times),
        c_(c),
        lambda_(lambda),
        gradient_(gradient),
        direction_(direction),
        next_(times.size()),
        scale_(largest(c)) {}

  /// Back over a piece, at whose end it is.
  void solve(const Problem& problem, const Piece& piece, Report& report) {
    const Problem here{problem.field, problem.settings, piece.from, piece.y, problem.p};
    Calls calls(here);
    const Session session(calls);
    session.check(CVodeAdjInit(session.memory(),
                               points_between_checkpoints(static_cast<int64_t>(lambda_.size())), CV_HERMITE),
                  "CVodeAdjInit");
    const auto forward_step = [&](double* t) {
      int checkpoints = 0;
      return CVodeF(session.memory(), piece.to, session.y(), t, CV_ONE_STEP, &checkpoints);
    };
    march(session, piece.from, piece.to, report, forward_step, [](double) { return true; });
    session.examine(report);
    if (report.status != IvpStatus::Success) return;
    std::optional<Backward> backward;
    double t = piece.to;
    take_up_until(t);
    while ((t - piece.from) * direction_ > 0 && report.accepted > 0) {  // 0: the span is a rounding error
      const bool reaches = next_ > 0 && (times_[next_ - 1] - piece.from) * direction_ > 0;
      const double to = reaches ? times_[next_ - 1] : piece.from;
      if (largest(lambda_) != 0) {
        if (backward)
          backward->restart(t, lambda_);
        else
          backward.emplace(session, calls, t, lambda_, scale_);
        if (!backward->solve_to(to, lambda_, report)) return;
      }
      take_up_until(t = to);
    }
    take_up_until(piece.from);
    if (!backward || !backward->gradient()) return;
    const double* more = entries(backward->gradient().get());
    for (double& g : gradient_) g += *more++;
  }
  /// The cotangents of the times from t on.
  void take_up_until(double t) {
    for (; next_ > 0 && (times_[next_ - 1] - t) * direction_ >= 0; --next_)
      for (size_t i = 0; i < lambda_.size(); ++i) lambda_[i] += c_[(next_ - 1) * lambda_.size() + i];
  }

 private:
  std::span<const double> times_, c_;
  std::span<double> lambda_, gradient_;
  double direction_;
  size_t next_;  // times that are not taken up yet
  double scale_;
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
  // Later times than the last with a cotangent do not matter.
  size_t count = times.size();
  while (count > 0 && largest(row(count - 1)) == 0 && all_finite(row(count - 1))) --count;
  if (count == 0 || n == 0 || without_steps(problem.t0, problem.y0, report)) return report;
  if (!all_finite(c)) {  // a gradient of NaN, not a failure
    std::fill(lambda.begin(), lambda.end(), NAN);
    std::fill(gradient.begin(), gradient.end(), NAN);
    return report;
  }
  const double end = times[count - 1], direction = end >= problem.t0 ? 1.0 : -1.0;
  AdjointState state(times.first(count), c.first(count * n), lambda, gradient, direction);
  if (end != problem.t0) {
    const std::vector<Piece> pieces = pieces_to(problem, end, report);
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
      if (report.status != IvpStatus::Success) return report;
      state.solve(problem, *piece, report = {});
    }
  }
  state.take_up_until(problem.t0);
  return report;
}

}  // namespace hesse::solvers::sundials
