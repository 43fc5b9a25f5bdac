#include "solvers/sundials/ida_session.h"

#include <algorithm>
#include <cmath>

#include "solvers/sundials/march.h"

namespace hesse::solvers::sundials {
namespace {

// The functions of IDAS' interface --------------------------------------------------------------------------

DaeCalls& calls_of(void* data) { return *static_cast<DaeCalls*>(data); }

int residual(double t, N_Vector y, N_Vector yp, N_Vector r, void* data) {
  DaeCalls& c = calls_of(data);
  return c.run(
      c.field().residual(), t, y, yp, [] { return Arrays{}; }, entries(r), c.size());
}

int weights(N_Vector y, N_Vector w, void* data) {
  error_weights(calls_of(data).problem().settings, y, w);
  return 0;
}

int jacobian(double t, double cj, N_Vector y, N_Vector yp, N_Vector, SUNMatrix j, void* data, N_Vector,
             N_Vector, N_Vector) {
  DaeCalls& c = calls_of(data);
  // Row j of the program's result is column j of a matrix that is stored by columns.
  return c.run(
      *c.field().jacobian(), t, y, yp, [&] { return Arrays{scalar_of(cj)}; }, SUNDenseMatrix_Data(j),
      c.size() * c.size());
}

int product(double t, N_Vector y, N_Vector yp, N_Vector, N_Vector v, N_Vector jv, double cj, void* data,
            N_Vector, N_Vector) {
  DaeCalls& c = calls_of(data);
  return c.run(
      *c.field().product(), t, y, yp,
      [&] {
        return Arrays{scalar_of(cj), vector_of(v, c.size())};
      },
      entries(jv), c.size());
}

void keep_message(int, const char*, const char*, char* text, void* data) {
  calls_of(data).keep_message(text);
}

}  // namespace

DaeCalls::DaeCalls(const DaeProblem& problem)
    : problem_(problem), differential_(Array::from<double>(problem.differential, {problem.field.size()})) {}

Arrays DaeCalls::operands(double t, N_Vector y, N_Vector yp, const Arrays& more) const {
  Arrays in{scalar_of(t), vector_of(y, size()), vector_of(yp, size())};
  in.insert(in.end(), problem_.p.begin(), problem_.p.end());
  in.insert(in.end(), more.begin(), more.end());
  return in;
}

DaeSession::DaeSession(DaeCalls& calls)
    : calls_(calls),
      context_(make_context()),
      y_(make_vector(calls.size(), context_)),
      yp_(make_vector(calls.size(), context_)),
      differential_(make_vector(calls.size(), context_)) {
  const DaeProblem& problem = calls.problem();
  const Settings& s = problem.settings;
  (void)calls.field().residual();  // made here, where it may throw
  std::copy(problem.y0.begin(), problem.y0.end(), entries(y()));
  std::copy(problem.yp0.begin(), problem.yp0.end(), entries(yp()));
  std::copy(problem.differential.begin(), problem.differential.end(), entries(differential_.get()));
  memory_ = DaeIntegrator(IDACreate(context_.get()));
  void* mem = memory();
  check(IDASetErrHandlerFn(mem, keep_message, &calls), "IDASetErrHandlerFn");
  check(IDASetUserData(mem, &calls), "IDASetUserData");
  check(IDAInit(mem, residual, problem.t0, y(), yp()), "IDAInit");
  check(IDAWFtolerances(mem, weights), "IDAWFtolerances");
  check(IDASetId(mem, differential_.get()), "IDASetId");
  check(IDASetMaxNumSteps(mem, -1), "IDASetMaxNumSteps");  // counted by us
  check(IDASetMaxErrTestFails(mem, 20), "IDASetMaxErrTestFails");
  check(IDASetMaxConvFails(mem, 20), "IDASetMaxConvFails");
  if (s.max_step > 0) check(IDASetMaxStep(mem, s.max_step), "IDASetMaxStep");
  solvers_ = make_solvers(y(), calls.size());
  check(IDASetLinearSolver(mem, solvers_.linear.get(), solvers_.matrix.get()), "IDASetLinearSolver");
  if (s.linear == LinearKind::Krylov && calls.field().product() != nullptr)  // else IDAS takes differences
    check(IDASetJacTimes(mem, nullptr, product), "IDASetJacTimes");
  else if (s.linear != LinearKind::Krylov && calls.field().jacobian() != nullptr)
    check(IDASetJacFn(mem, jacobian), "IDASetJacFn");
  constexpr double kConvergence = 0.03;  // of the tolerance, as for CVODES; IDAS' own: 0.33
  check(IDASetNonlinConvCoef(mem, kConvergence), "IDASetNonlinConvCoef");
}

DaeSession::Solvers DaeSession::make_solvers(N_Vector like, int64_t n) const {
  const LinearKind kind = calls_.problem().settings.linear;
  Solvers out;
  if (kind == LinearKind::Dense) out.matrix = Matrix(SUNDenseMatrix(n, n, context_.get()));
  out.linear = make_linear_solver(kind, like, out.matrix, context_);
  return out;
}

void DaeSession::begin(double end) const {
  const DaeProblem& problem = calls_.problem();
  const Settings& s = problem.settings;
  check(IDASetStopTime(memory(), end), "IDASetStopTime");
  if (s.first_step > 0) {
    const double h = std::min(s.first_step, std::abs(end - problem.t0));
    check(IDASetInitStep(memory(), end >= problem.t0 ? h : -h), "IDASetInitStep");
  }
}

void DaeSession::check(int flag, const char* function) const {
  if (flag >= 0) return;
  calls_.rethrow();
  throw Error(concat("solve_dae: ", function, " of IDAS failed with flag ", flag, ": ", calls_.message()));
}

void DaeSession::count(Report& report) const {
  long steps = 0, evaluations = 0, setups = 0, error_failures = 0, solver_failures = 0, of_solver = 0;
  int last_order = 0, order = 0;
  double h0 = 0, last = 0;
  IDAGetIntegratorStats(memory(), &steps, &evaluations, &setups, &error_failures, &last_order, &order, &h0,
                        &last, &report.h, &report.t);
  IDAGetNumStepSolveFails(memory(), &solver_failures);
  IDAGetNumLinResEvals(memory(), &of_solver);
  report.accepted = steps;
  report.rejected = error_failures + solver_failures;
  report.evaluations = evaluations + of_solver;
  report.factorisations = setups;
  report.h = std::abs(report.h);
}

bool DaeSession::is_too_short(int flag, double end, const Report& report) const {
  const double t0 = calls_.problem().t0;
  return flag == IDA_ILL_INPUT && report.accepted == 0 &&
         std::abs(end - t0) <= 1e-14 * (std::abs(end) + std::abs(t0));
}

void DaeSession::examine(Report& report) const {
  if (report.status == IvpStatus::TooManySteps || report.status == IvpStatus::StepTooSmall)
    find_largest_error(
        calls_.size(), context_, [&](N_Vector e) { return IDAGetEstLocalErrors(memory(), e); },
        [&](N_Vector w) { return IDAGetErrWeights(memory(), w); }, report);
}

void DaeSession::failed(int flag, Report& report) const {
  calls_.rethrow();
  switch (flag) {
    case IDA_TOO_MUCH_WORK:
      report.status = IvpStatus::TooManySteps;
      report.cause = IvpCause::Steps;
      return;
    case IDA_RES_FAIL:
    case IDA_REP_RES_ERR:
    case IDA_FIRST_RES_FAIL:
    case IDA_QRHS_FAIL:
    case IDA_FIRST_QRHS_ERR:
    case IDA_REP_QRHS_ERR:
      not_finite(calls_, report);
      return;
    case IDA_ERR_FAIL:
      too_large_errors(report);
      return;
    case IDA_CONV_FAIL:
    case IDA_LSETUP_FAIL:
    case IDA_LSOLVE_FAIL:
    case IDA_NLS_FAIL:
      not_solved(
          calls_,
          flag == IDA_LSETUP_FAIL || flag == IDA_LSOLVE_FAIL ? IvpCause::Singular : IvpCause::Equations,
          "the equations of a step were not solved: is the index of the system 1 there?", report);
      return;
    case IDA_TOO_MUCH_ACC:
      too_accurate(report);
      return;
    default:
      check(flag, "IDASolve");
  }
}

namespace {
auto forward_step(const DaeSession& session, double end) {
  return [&session, end](double* t) {
    return IDASolve(session.memory(), end, t, session.y(), session.yp(), IDA_ONE_STEP);
  };
}
}  // namespace

Report integrate(const DaeProblem& problem, std::span<const double> times, const EmitDae& emit) {
  Report report;
  size_t next = 0;
  if (without_steps(problem.t0, problem.y0, report)) {
    if (report.status == IvpStatus::Success)
      for (const double t : times) emit(t, nullptr, nullptr);
    return report;
  }
  const double *y0 = problem.y0.data(), *yp0 = problem.yp0.data();
  while (next < times.size() && times[next] == problem.t0) emit(times[next++], y0, yp0);
  if (next == times.size()) return report;
  DaeCalls calls(problem);
  const DaeSession session(calls);
  const Telling telling(problem.settings.reporter, problem.t0, times.back(), report);
  const double direction = times.back() >= problem.t0 ? 1.0 : -1.0;
  const Vector y = make_vector(calls.size(), session.context()),
               yp = make_vector(calls.size(), session.context());
  march(session, problem.t0, times.back(), report, forward_step(session, times.back()), [&](double t) {
    for (; next < times.size() && (times[next] - t) * direction <= 0; ++next) {
      if (report.accepted == 0) {  // the span is a rounding error
        emit(times[next], y0, yp0);
        continue;
      }
      session.check(IDAGetDky(session.memory(), times[next], 0, y.get()), "IDAGetDky");
      session.check(IDAGetDky(session.memory(), times[next], 1, yp.get()), "IDAGetDky");
      emit(times[next], entries(y.get()), entries(yp.get()));
    }
    return true;
  });
  session.examine(report);
  return report;
}

Report integrate_steps(const DaeProblem& problem, double t1, const EmitDae& emit) {
  Report report;
  if (without_steps(problem.t0, problem.y0, report)) {
    if (report.status == IvpStatus::Success) {
      emit(problem.t0, nullptr, nullptr);
      if (t1 != problem.t0) emit(t1, nullptr, nullptr);
    }
    return report;
  }
  const double *y0 = problem.y0.data(), *yp0 = problem.yp0.data();
  emit(problem.t0, y0, yp0);
  if (t1 == problem.t0) return report;
  DaeCalls calls(problem);
  const DaeSession session(calls);
  const Telling telling(problem.settings.reporter, problem.t0, t1, report);
  march(session, problem.t0, t1, report, forward_step(session, t1), [&](double t) {
    const bool moved = report.accepted > 0;
    emit(t, moved ? entries(session.y()) : y0, moved ? entries(session.yp()) : yp0);
    return true;
  });
  session.examine(report);
  return report;
}

}  // namespace hesse::solvers::sundials
