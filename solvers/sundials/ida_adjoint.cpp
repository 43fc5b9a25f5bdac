#include <algorithm>
#include <cmath>
#include <optional>

#include "solvers/sundials/backward.h"
#include "solvers/sundials/ida_session.h"
#include "solvers/sundials/march.h"

namespace hesse::solvers::sundials {
namespace {

// The functions of IDAS' interface, backwards: z = (mu, lambda) [2 N]
// ----------------------------------------

DaeCalls& calls_of(void* data) { return *static_cast<DaeCalls*>(data); }

int residual(double t, N_Vector y, N_Vector yp, N_Vector z, N_Vector zp, N_Vector r, void* data) {
  DaeCalls& c = calls_of(data);
  const int64_t n = 2 * c.size();
  return c.run(
      c.field().adjoint(), t, y, yp,
      [&] {
        return Arrays{c.differential(), vector_of(z, n), vector_of(zp, n)};
      },
      entries(r), n);
}

int jacobian(double t, double cj, N_Vector y, N_Vector yp, N_Vector, N_Vector, N_Vector, SUNMatrix j,
             void* data, N_Vector, N_Vector, N_Vector) {
  DaeCalls& c = calls_of(data);
  const int64_t n = 2 * c.size();
  return c.run(
      c.field().adjoint_jacobian(), t, y, yp,
      [&] {
        return Arrays{c.differential(), scalar_of(cj)};
      },
      SUNDenseMatrix_Data(j), n * n);
}

int product(double t, N_Vector y, N_Vector yp, N_Vector, N_Vector, N_Vector, N_Vector v, N_Vector jv,
            double cj, void* data, N_Vector, N_Vector) {
  DaeCalls& c = calls_of(data);
  const int64_t n = 2 * c.size();
  return c.run(
      c.field().adjoint_product(), t, y, yp,
      [&] {
        return Arrays{c.differential(), scalar_of(cj), vector_of(v, n)};
      },
      entries(jv), n);
}

// Integrated from the end backwards: F_p^T lambda.
int quadrature(double t, N_Vector y, N_Vector yp, N_Vector z, N_Vector, N_Vector rate, void* data) {
  DaeCalls& c = calls_of(data);
  const int64_t n = c.size(), m = c.field().parameters().size();
  const int flag = c.run(
      c.field().parameter_product(), t, y, yp,
      [&] {
        return Arrays{
            Array::from<double>(std::span<const double>(entries(z) + n, static_cast<size_t>(n)), {n})};
      },
      entries(rate), m);
  for (int64_t i = 0; i < m; ++i) entries(rate)[i] = -entries(rate)[i];
  return flag;
}

/// The adjoint state at a time.
struct AdjointState {
  std::vector<double> z, zp, nu;
};

/// The adjoint state, solved backwards over one interval after another.
class Backward final {
 public:
  Backward(const DaeSession& forward, double t, const AdjointState& at, double scale) : forward_(forward) {
    DaeCalls& calls = forward.calls();
    const DaeProblem& problem = calls.problem();
    const Settings& s = problem.settings;
    const int64_t n = calls.size(), m = calls.field().parameters().size();
    void* mem = forward.memory();
    (void)calls.field().adjoint();  // made here, where they may throw
    if (s.linear == LinearKind::Krylov)
      (void)calls.field().adjoint_product();
    else
      (void)calls.field().adjoint_jacobian();
    z_ = make_vector(2 * n, forward.context());
    zp_ = make_vector(2 * n, forward.context());
    const Vector id = make_vector(2 * n, forward.context()), atol = make_vector(2 * n, forward.context());
    const double lambda = largest(std::span<const double>(at.z).subspan(static_cast<size_t>(n)));
    for (int64_t i = 0; i < n; ++i) {
      entries(id.get())[i] = problem.differential[static_cast<size_t>(i)];
      entries(id.get())[n + i] = 0;
      // Relative to the largest cotangent: a gradient is linear in them.
      entries(atol.get())[i] = kTiny * s.rtol * scale;
      entries(atol.get())[n + i] = kTiny * s.rtol * (lambda > 0 ? lambda : scale);
    }
    put(at);
    const auto check = [&](int flag, const char* function) { forward.check(flag, function); };
    check(IDACreateB(mem, &which_), "IDACreateB");
    check(IDAInitB(mem, which_, residual, t, z_.get(), zp_.get()), "IDAInitB");
    check(IDASetUserDataB(mem, which_, &calls), "IDASetUserDataB");
    check(IDASVtolerancesB(mem, which_, s.rtol, atol.get()), "IDASVtolerancesB");
    check(IDASetIdB(mem, which_, id.get()), "IDASetIdB");
    check(IDASetSuppressAlgB(mem, which_, SUNTRUE), "IDASetSuppressAlgB");
    check(IDASetMaxNumStepsB(mem, which_, static_cast<long>(s.max_steps)), "IDASetMaxNumStepsB");
    if (s.max_step > 0) check(IDASetMaxStepB(mem, which_, s.max_step), "IDASetMaxStepB");
    solvers_ = forward.make_solvers(z_.get(), 2 * n);
    check(IDASetLinearSolverB(mem, which_, solvers_.linear.get(), solvers_.matrix.get()),
          "IDASetLinearSolverB");
    if (s.linear == LinearKind::Krylov)
      check(IDASetJacTimesB(mem, which_, nullptr, product), "IDASetJacTimesB");
    else
      check(IDASetJacFnB(mem, which_, jacobian), "IDASetJacFnB");
    check(IDASetNonlinConvCoef(IDAGetAdjIDABmem(mem, which_), 0.03), "IDASetNonlinConvCoef");
    if (m == 0) return;
    (void)calls.field().parameter_product();
    gradient_ = make_vector(m, forward.context());
    N_VConst(0.0, gradient_.get());
    check(IDAQuadInitB(mem, which_, quadrature, gradient_.get()), "IDAQuadInitB");
    const Vector errors = quadrature_tolerances(calls.field().parameters(), problem.p, problem.y0,
                                                kTiny * s.rtol * scale, forward.context());
    check(IDAQuadSVtolerancesB(mem, which_, kQuadrature * s.rtol, errors.get()), "IDAQuadSVtolerancesB");
    check(IDASetQuadErrConB(mem, which_, SUNTRUE), "IDASetQuadErrConB");
  }

  /// Starts anew at t; the gradient goes on.
  void restart(double t, const AdjointState& at) {
    put(at);
    forward_.check(IDAReInitB(forward_.memory(), which_, t, z_.get(), zp_.get()), "IDAReInitB");
    if (gradient_)
      forward_.check(IDAQuadReInitB(forward_.memory(), which_, gradient_.get()), "IDAQuadReInitB");
  }

  /// From a time back to t, whose mu is written. Whether that went well.
  bool solve_to(double from, double t, std::span<double> mu, Report& report) {
    void* mem = forward_.memory();
    DaeCalls& calls = forward_.calls();
    calls.next_step();
    const int flag = IDASolveB(mem, t, IDA_NORMAL);
    calls.rethrow();
    if (flag == IDA_ILL_INPUT && std::abs(t - from) <= 1e-14 * (std::abs(t) + std::abs(from)))
      return true;  // the span is a rounding error
    if (flag < 0) {
      forward_.failed(flag, report);
      report.entry = calls.bad_entry();
      return false;
    }
    double at = t;
    forward_.check(IDAGetB(mem, which_, &at, z_.get(), zp_.get()), "IDAGetB");
    std::copy_n(entries(z_.get()), mu.size(), mu.begin());
    if (gradient_) forward_.check(IDAGetQuadB(mem, which_, &at, gradient_.get()), "IDAGetQuadB");
    return true;
  }
  const Vector& gradient() const { return gradient_; }

 private:
  void put(const AdjointState& at) {
    std::copy(at.z.begin(), at.z.end(), entries(z_.get()));
    std::copy(at.zp.begin(), at.zp.end(), entries(zp_.get()));
  }

  const DaeSession& forward_;
  Vector z_, zp_, gradient_;
  DaeSession::Solvers solvers_;
  int which_ = 0;
};

/// What is kept of the forward solve at a time.
struct Point {
  std::vector<double> y, yp;
};

// Takes up a cotangent c at a time (FlatResidual::start), and adds -F_p^T nu to the gradient.
AdjointState take_up(const DaeProblem& problem, double t, const Point& at, std::span<const double> c,
                     std::span<const double> mu, std::span<double> gradient) {
  const int64_t n = problem.field.size();
  const auto array = [&](std::span<const double> x) { return Array::from<double>(x, {n}); };
  Arrays in{scalar_of(t), array(at.y), array(at.yp)};
  in.insert(in.end(), problem.p.begin(), problem.p.end());
  Arrays with = in;
  with.insert(with.end(), {array(problem.differential), array(c), array(mu)});
  const Arrays out = problem.field.start().run(with);
  const AdjointState state{out[0].to_vector<double>(), out[1].to_vector<double>(),
                           out[2].to_vector<double>()};
  if (!gradient.empty() && largest(state.nu) > 0) {
    in.push_back(out[2]);
    const std::vector<double> more = problem.field.parameter_product().run(in)[0].to_vector<double>();
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += more[i];
  }
  return state;
}

}  // namespace

Report integrate_adjoint(const DaeProblem& problem, std::span<const double> times, std::span<const double> c,
                         std::span<double> mu, std::span<double> gradient) {
  std::fill(mu.begin(), mu.end(), 0.0);
  std::fill(gradient.begin(), gradient.end(), 0.0);
  Report report;
  report.t = problem.t0;
  const size_t n = mu.size();
  const auto row = [&](size_t k) { return c.subspan(k * n, n); };
  // Later times than the last with a cotangent do not matter.
  size_t count = times.size();
  while (count > 0 && largest(row(count - 1)) == 0 && all_finite(row(count - 1))) --count;
  if (count == 0 || without_steps(problem.t0, problem.y0, report)) return report;
  if (!all_finite(c)) {  // a gradient of NaN, not a failure
    std::fill(mu.begin(), mu.end(), NAN);
    std::fill(gradient.begin(), gradient.end(), NAN);
    return report;
  }
  std::vector<Point> points(count);
  const Point first{{problem.y0.begin(), problem.y0.end()}, {problem.yp0.begin(), problem.yp0.end()}};
  size_t next = 0;
  while (next < count && times[next] == problem.t0) points[next++] = first;
  const auto keep_mu = [&](const AdjointState& s) { std::copy_n(s.z.begin(), n, mu.begin()); };
  if (next == count) {
    for (size_t k = count; k-- > 0;) keep_mu(take_up(problem, times[k], points[k], row(k), mu, gradient));
    return report;
  }

  const long kept = points_between_checkpoints(static_cast<int64_t>(2 * n));
  DaeCalls calls(problem);
  const DaeSession session(calls);
  session.check(IDAAdjInit(session.memory(), kept, IDA_HERMITE), "IDAAdjInit");
  const double end = times[count - 1], direction = end >= problem.t0 ? 1.0 : -1.0;
  const Vector y = make_vector(calls.size(), session.context()),
               yp = make_vector(calls.size(), session.context());
  const auto forward_step = [&](double* t) {
    int checkpoints = 0;
    return IDASolveF(session.memory(), end, t, session.y(), session.yp(), IDA_ONE_STEP, &checkpoints);
  };
  march(session, problem.t0, end, report, forward_step, [&](double t) {
    for (; next < count && (times[next] - t) * direction <= 0; ++next) {
      points[next] = first;
      if (report.accepted == 0) continue;
      session.check(IDAGetDky(session.memory(), times[next], 0, y.get()), "IDAGetDky");
      session.check(IDAGetDky(session.memory(), times[next], 1, yp.get()), "IDAGetDky");
      points[next].y.assign(entries(y.get()), entries(y.get()) + n);
      points[next].yp.assign(entries(yp.get()), entries(yp.get()) + n);
    }
    return true;
  });
  session.examine(report);
  if (report.status != IvpStatus::Success) return report;

  const double scale = largest(c);
  std::optional<Backward> backward;
  for (size_t k = count; k-- > 0;) {
    const AdjointState at = take_up(problem, times[k], points[k], row(k), mu, gradient);
    keep_mu(at);
    const double before = k > 0 ? times[k - 1] : problem.t0;
    if (before == times[k] || report.accepted == 0 || largest(mu) == 0) continue;
    if (backward)
      backward->restart(times[k], at);
    else
      backward.emplace(session, times[k], at, scale);
    if (!backward->solve_to(times[k], before, mu, report)) return report;
  }
  if (backward && backward->gradient())
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += entries(backward->gradient().get())[i];
  return report;
}

}  // namespace hesse::solvers::sundials
