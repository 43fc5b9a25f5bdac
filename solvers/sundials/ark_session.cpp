#include "solvers/sundials/ark_session.h"

#include <algorithm>
#include <cmath>

#include "solvers/diagnosis.h"
#include "solvers/sundials/failures.h"

namespace hesse::solvers::sundials {
namespace {

int explicit_rhs(double t, N_Vector y, N_Vector dy, void* data) {
  return static_cast<Calls*>(data)->explicit_rhs(t, y, entries(dy));
}

}  // namespace

ArkSession::ArkSession(Calls& calls)
    : calls_(calls),
      context_(make_context()),
      y_(make_vector(calls.field().size(), context_)),
      y_last_(make_vector(calls.field().size(), context_)),
      t_last_(calls.problem().t0) {
  const Problem& problem = calls.problem();
  const Settings& s = problem.settings;
  if (s.implicit && s.linear == LinearKind::Dense) (void)calls.field().product_code();
  for (const FlatField* f : {&problem.field, problem.explicit_part})
    if (f && !f->rhs_code()) (void)f->rhs();  // made here, where it may throw
  std::copy(problem.y0.begin(), problem.y0.end(), entries(y()));
  N_VScale(1.0, y(), y_last_.get());
  const ARKRhsFn implicit_part = s.implicit ? callback::rhs : nullptr;
  const ARKRhsFn explicit_part = !s.implicit ? callback::rhs : problem.explicit_part ? explicit_rhs : nullptr;
  memory_ = RungeKutta(ARKStepCreate(explicit_part, implicit_part, problem.t0, y(), context_.get()));
  void* mem = memory_.get();
  check(ARKStepSetErrHandlerFn(mem, callback::keep_message, &calls), "ARKStepSetErrHandlerFn");
  check(ARKStepSetUserData(mem, &calls), "ARKStepSetUserData");
  check(ARKStepSetTableNum(mem, s.implicit ? ARKODE_ARK436L2SA_DIRK_6_3_4 : ARKODE_DIRK_NONE,
                           !s.implicit             ? ARKODE_DORMAND_PRINCE_7_4_5
                           : problem.explicit_part ? ARKODE_ARK436L2SA_ERK_6_3_4
                                                   : ARKODE_ERK_NONE),
        "ARKStepSetTableNum");
  check(ARKStepWFtolerances(mem, callback::weights), "ARKStepWFtolerances");
  check(ARKStepSetMaxHnilWarns(mem, -1), "ARKStepSetMaxHnilWarns");
  check(ARKStepSetMaxNumSteps(mem, -1), "ARKStepSetMaxNumSteps");  // counted by us
  check(ARKStepSetMaxErrTestFails(mem, 20), "ARKStepSetMaxErrTestFails");
  if (s.max_step > 0) check(ARKStepSetMaxStep(mem, s.max_step), "ARKStepSetMaxStep");
  if (!s.implicit) return;
  check(ARKStepSetMaxConvFails(mem, 20), "ARKStepSetMaxConvFails");
  // Stages by the equations that they solve: f of a stage times its error would be large. With predictions by
  // the last step and closer solutions, half the steps on stiff problems.
  constexpr int kMaximumOrder = 1;
  constexpr double kConvergence = 0.03;  // of the tolerance; ARKODE's own: 0.1
  check(ARKStepSetDeduceImplicitRhs(mem, SUNTRUE), "ARKStepSetDeduceImplicitRhs");
  check(ARKStepSetPredictorMethod(mem, kMaximumOrder), "ARKStepSetPredictorMethod");
  check(ARKStepSetNonlinConvCoef(mem, kConvergence), "ARKStepSetNonlinConvCoef");
  matrix_ = make_matrix(s.linear, calls.field(), false, context_);
  linear_ = make_linear_solver(s.linear, y(), matrix_, context_);
  check(ARKStepSetLinearSolver(mem, linear_.get(), matrix_.get()), "ARKStepSetLinearSolver");
  const bool krylov = is_krylov(s.linear);
  if (s.linear == LinearKind::Preconditioned)
    check(ARKStepSetPreconditioner(mem, callback::precondition, callback::apply_preconditioner),
          "ARKStepSetPreconditioner");
  if (krylov && calls.field().product() != nullptr)  // else ARKODE takes differences
    check(ARKStepSetJacTimes(mem, nullptr, callback::product), "ARKStepSetJacTimes");
  else if (!krylov && has_jacobian(s.linear, calls.field()))
    check(ARKStepSetJacFn(mem, callback::jacobian), "ARKStepSetJacFn");
}

void ArkSession::begin(double end) const {
  const Problem& problem = calls_.problem();
  check(ARKStepSetStopTime(memory_.get(), end), "ARKStepSetStopTime");
  if (problem.settings.first_step > 0 && !is_restarted_) {
    const double h = std::min(problem.settings.first_step, std::abs(end - problem.t0));
    check(ARKStepSetInitStep(memory_.get(), end >= problem.t0 ? h : -h), "ARKStepSetInitStep");
  }
}

bool ArkSession::is_too_short(int flag, double, const Report&) const { return flag == ARK_TOO_CLOSE; }

// Where an explicit stage is not finite ARKODE gives up: here with a smaller step it goes on.
int ArkSession::step(double end, double* t) {
  constexpr int kMostRetries = 20;
  void* mem = memory_.get();
  int flag = ARKStepEvolve(mem, end, y(), t, ARK_ONE_STEP);
  for (int k = 0; flag == ARK_UNREC_RHSFUNC_ERR && k < kMostRetries; ++k) {
    double h = 0;
    check(ARKStepGetCurrentStep(mem, &h), "ARKStepGetCurrentStep");
    check(ARKStepReset(mem, t_last_, y_last_.get()), "ARKStepReset");
    check(ARKStepSetStopTime(mem, end), "ARKStepSetStopTime");
    check(ARKStepSetInitStep(mem, h / 4), "ARKStepSetInitStep");
    ++retries_;
    flag = ARKStepEvolve(mem, end, y(), t, ARK_ONE_STEP);
  }
  if (flag < 0) return flag;
  t_last_ = *t;
  is_fresh_ = false;
  N_VScale(1.0, y(), y_last_.get());
  return flag;
}

void ArkSession::state_at(double t, N_Vector out) const {
  if (is_fresh_)
    N_VScale(1.0, y(), out);
  else
    check(ARKStepGetDky(memory_.get(), t, 0, out), "ARKStepGetDky");
}

void ArkSession::keep(Polynomials& all) const {
  double h = 0;
  check(ARKStepGetLastStep(memory_.get(), &h), "ARKStepGetLastStep");
  const int64_t n = calls_.field().size();
  const Vector out = make_vector(n, context_);
  const int degree = calls_.problem().settings.implicit ? 3 : 4;  // one less than the order
  all.add(t_last_, h, taylor_coefficients(degree, h, n, out.get(), [&](int j, N_Vector y) {
            check(ARKStepGetDky(memory_.get(), t_last_, j, y), "ARKStepGetDky");
          }));
}

void ArkSession::restart(double t) {
  check(ARKStepReset(memory_.get(), t, y()), "ARKStepReset");
  check(ARKStepSetInitStep(memory_.get(), 0.0), "ARKStepSetInitStep");  // guessed
  t_last_ = t;
  is_fresh_ = is_restarted_ = true;
}

void ArkSession::check(int flag, const char* function) const {
  if (flag >= 0) return;
  calls_.rethrow();
  throw Error(concat("solve_ivp: ", function, " of ARKODE failed with flag ", flag, ": ", calls_.message()));
}

void ArkSession::count(Report& report) const {
  void* mem = memory_.get();
  long steps = 0, explicit_part = 0, implicit_part = 0, setups = 0, errors = 0, unsolved = 0, of_solver = 0;
  double h0 = 0, last = 0;
  ARKStepGetStepStats(mem, &steps, &h0, &last, &report.h, &report.t);
  ARKStepGetNumRhsEvals(mem, &explicit_part, &implicit_part);
  ARKStepGetNumErrTestFails(mem, &errors);
  ARKStepGetNumStepSolveFails(mem, &unsolved);
  if (linear_) {
    ARKStepGetNumLinSolvSetups(mem, &setups);
    ARKStepGetNumLinRhsEvals(mem, &of_solver);
  }
  report.accepted = steps;
  report.rejected = errors + unsolved + retries_;
  report.evaluations = explicit_part + implicit_part + of_solver;
  report.factorisations = setups;
  report.h = std::abs(report.h);
  report.t = t_last_;
}

void ArkSession::examine(Report& report) const {
  if (!is_diagnosed(report.status)) return;
  examine_field(calls_, y_last_.get(), report);
  // Where the equations of stages are not solved the vector of the estimates holds something else.
  if (report.cause == IvpCause::Steps || report.cause == IvpCause::ErrorTest)
    find_largest_error(
        calls_.field().size(), context_,
        [&](N_Vector e) { return ARKStepGetEstLocalErrors(memory_.get(), e); },
        [&](N_Vector w) { return ARKStepGetErrWeights(memory_.get(), w); }, report);
}

void ArkSession::failed(int flag, Report& report) const {
  calls_.rethrow();
  switch (flag) {
    case ARK_TOO_MUCH_WORK:
      report.status = IvpStatus::TooManySteps;
      report.cause = IvpCause::Steps;
      return;
    case ARK_RHSFUNC_FAIL:
    case ARK_FIRST_RHSFUNC_ERR:
    case ARK_REPTD_RHSFUNC_ERR:
    case ARK_UNREC_RHSFUNC_ERR:
      not_finite(calls_, report);
      return;
    case ARK_ERR_FAILURE:
      too_large_errors(report);
      return;
    case ARK_CONV_FAILURE:
    case ARK_LSETUP_FAIL:
    case ARK_LSOLVE_FAIL:
      not_solved(calls_, flag == ARK_CONV_FAILURE ? IvpCause::Equations : IvpCause::Singular,
                 "the equations of a step were not solved", report);
      return;
    case ARK_TOO_MUCH_ACC:
      too_accurate(report);
      return;
    default:
      check(flag, "ARKStepEvolve");
  }
}

}  // namespace hesse::solvers::sundials
