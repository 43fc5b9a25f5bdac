#include "solvers/sundials/session.h"

#include <algorithm>
#include <cmath>

#include "core/ops.h"
#include "core/ops/control_graph.h"
#include "solvers/diagnosis.h"
#include "solvers/sundials/failures.h"

namespace hesse::solvers::sundials {
namespace {

Calls& calls_of(void* data) { return *static_cast<Calls*>(data); }

}  // namespace

namespace callback {

int rhs(double t, N_Vector y, N_Vector dy, void* data) {
  Calls& c = calls_of(data);
  return c.rhs(t, y, entries(dy));
}

int weights(N_Vector y, N_Vector w, void* data) {
  error_weights(calls_of(data).problem().settings, y, w);
  return 0;
}

int jacobian(double t, N_Vector y, N_Vector, SUNMatrix j, void* data, N_Vector, N_Vector, N_Vector) {
  return fill_jacobian(calls_of(data), t, y, j, false);
}

int product(N_Vector v, N_Vector jv, double t, N_Vector y, N_Vector, void* data, N_Vector) {
  Calls& c = calls_of(data);
  return c.run(*c.field().product(), t, y, v, entries(jv), c.field().size());
}

int precondition(double t, N_Vector y, N_Vector, booleantype jok, booleantype* updated, double gamma,
                 void* data) {
  *updated = jok ? SUNFALSE : SUNTRUE;
  return calls_of(data).precondition(t, y, jok, gamma, false);
}

int apply_preconditioner(double, N_Vector, N_Vector, N_Vector r, N_Vector z, double, double, int,
                         void* data) {
  return calls_of(data).apply_preconditioner(r, z, false);
}

void keep_message(int, const char*, const char*, char* text, void* data) {
  calls_of(data).keep_message(text);
}

}  // namespace callback

int Calls::run(const Graph& g, double t, N_Vector y, N_Vector v, double* out, int64_t n,
               const int64_t* rows) noexcept {
  const int64_t size = field().size();
  Arrays in;
  const int flag = guarded([&] {
    in = {scalar_of(t), vector_of(y, size)};
    in.insert(in.end(), problem_.p.begin(), problem_.p.end());
    if (v) in.push_back(vector_of(v, size));
    return 0;
  });
  return flag != 0 ? flag : Guard::run(g, std::move(in), out, n, size, rows);
}

Calls::Calls(const Problem& problem) : problem_(problem), size_(problem.field.size()) {
  if (const ScalarFunction* f = field().rhs_code()) begin(rhs_, *f);
  if (const FlatField* part = problem.explicit_part)
    if (const ScalarFunction* f = part->rhs_code()) begin(explicit_rhs_, *f);
}

void Calls::begin(Code& call, const ScalarFunction& f) {
  call.emplace(f);
  for (size_t j = 0; j < problem_.p.size(); ++j) call->set(static_cast<int>(j) + 2, problem_.p[j]);
}

int Calls::rates(const FlatField& f, Code& code, double t, N_Vector y, double* out) noexcept {
  if (!code) return run(f.rhs(), t, y, nullptr, out, size_);
  return guarded([&] {
    count();
    code->set(0, &t);
    code->set(1, entries(y));
    code->run();
    code->get(0, out);
    return judged(out, size_, size_);
  });
}

int Calls::jacobian(double t, N_Vector y, double* out) noexcept {
  const int64_t n = field().size();
  const ScalarFunction* f = field().product_code();
  if (!f) return run(*field().jacobian(), t, y, nullptr, out, n * n);
  return guarded([&] {
    count();
    if (!product_) {
      begin(product_, *f);
      const int v = static_cast<int>(problem_.p.size()) + 2;
      for (int64_t j = 0; j < n; ++j) product_->set(v, j, j, 1.0);
    }
    product_->set(0, &t);
    product_->set(1, entries(y));
    product_->run();
    for (int64_t j = 0; j < n; ++j) product_->get(j, out + j * n);
    return judged(out, n * n, n);
  });
}

int Calls::precondition(double t, N_Vector y, bool jok, double gamma, bool adjoint) noexcept {
  std::optional<IncompleteLU>& m = adjoint ? adjoint_factors_ : factors_;
  const int flag = guarded([&] {
    if (m) return 0;
    m.emplace(field().sparsity()->pattern());
    jok = false;
    return 0;
  });
  if (flag != 0) return flag;
  if (const int failed = jok ? 0 : fill_jacobian(*this, t, y, *m); failed != 0) return failed;
  return m->factor(adjoint ? gamma : -gamma) ? 0 : 1;  // 1: with a smaller step, perhaps
}

int Calls::apply_preconditioner(N_Vector r, N_Vector z, bool adjoint) noexcept {
  if (adjoint)
    adjoint_factors_->solve_transposed(entries(r), entries(z));
  else
    factors_->solve(entries(r), entries(z));
  return 0;
}

namespace {
// f, or the sum of its parts.
Ref<const Graph> whole_field(const Problem& problem) {
  const Ref<const Graph>& f = problem.field.graph();
  if (!problem.explicit_part) return f;
  return trace_closed(
      [&](std::span<const Array> x) {
        return Arrays{problem.explicit_part->graph()->call(x)[0] + f->call(x)[0]};
      },
      f->input_avals());
}
}  // namespace

void examine_field(Calls& calls, N_Vector y, Report& report) {
  const Problem& problem = calls.problem();
  const int64_t n = calls.field().size();
  Arrays in{scalar_of(report.t), vector_of(y, n)};
  in.insert(in.end(), problem.p.begin(), problem.p.end());
  report.radius = spectral_radius_at(whole_field(problem), in);
  if (report.cause != IvpCause::NotFiniteBeyond) return;
  std::vector<double> slope(static_cast<size_t>(n));
  const bool bad = calls.rhs(report.t, y, slope.data()) > 0 ||
                   (problem.explicit_part && calls.explicit_rhs(report.t, y, slope.data()) > 0);
  calls.rethrow();
  if (bad) report.cause = IvpCause::NotFinite;
}

Session::Session(Calls& calls)
    : calls_(calls), context_(make_context()), y_(make_vector(calls.field().size(), context_)) {
  const Problem& problem = calls.problem();
  const Settings& s = problem.settings;
  if (s.implicit && s.linear == LinearKind::Dense) (void)calls.field().product_code();
  if (!calls.field().rhs_code()) (void)calls.field().rhs();  // made here, where it may throw
  std::copy(problem.y0.begin(), problem.y0.end(), entries(y()));
  memory_ = Integrator(CVodeCreate(s.implicit ? CV_BDF : CV_ADAMS, context_.get()));
  void* mem = memory();
  check(CVodeSetErrHandlerFn(mem, callback::keep_message, &calls), "CVodeSetErrHandlerFn");
  check(CVodeSetUserData(mem, &calls), "CVodeSetUserData");
  check(CVodeInit(mem, callback::rhs, problem.t0, y()), "CVodeInit");
  check(CVodeWFtolerances(mem, callback::weights), "CVodeWFtolerances");
  check(CVodeSetMaxHnilWarns(mem, -1), "CVodeSetMaxHnilWarns");
  check(CVodeSetMaxNumSteps(mem, -1), "CVodeSetMaxNumSteps");  // counted by us
  allow_failures(mem);
  if (s.max_step > 0) check(CVodeSetMaxStep(mem, s.max_step), "CVodeSetMaxStep");
  solvers_ = make_solvers(y());
  if (!s.implicit) {
    check(CVodeSetNonlinearSolver(mem, solvers_.fixed_point.get()), "CVodeSetNonlinearSolver");
    return;
  }
  check(CVodeSetLinearSolver(mem, solvers_.linear.get(), solvers_.matrix.get()), "CVodeSetLinearSolver");
  const bool krylov = is_krylov(s.linear);
  if (s.linear == LinearKind::Preconditioned)
    check(CVodeSetPreconditioner(mem, callback::precondition, callback::apply_preconditioner),
          "CVodeSetPreconditioner");
  if (krylov && calls.field().product() != nullptr)  // else CVODES takes differences
    check(CVodeSetJacTimes(mem, nullptr, callback::product), "CVodeSetJacTimes");
  else if (!krylov && has_jacobian(s.linear, calls.field()))
    check(CVodeSetJacFn(mem, callback::jacobian), "CVodeSetJacFn");
  tighten(mem);
}

void Session::allow_failures(void* memory) const {
  constexpr int kMostFailures =
      20;  // march() counts on it; CVODES' own: 7 errors too large, 10 times not solved
  check(CVodeSetMaxErrTestFails(memory, kMostFailures), "CVodeSetMaxErrTestFails");
  check(CVodeSetMaxConvFails(memory, kMostFailures), "CVodeSetMaxConvFails");
}

void Session::tighten(void* memory) const {
  constexpr double kConvergence = 0.03;  // of the tolerance; CVODES' own: 0.1
  constexpr long kFresh = 5;             // steps for which a Jacobian is good; CVODES' own: 51
  check(CVodeSetNonlinConvCoef(memory, kConvergence), "CVodeSetNonlinConvCoef");
  if (solvers_.matrix) check(CVodeSetJacEvalFrequency(memory, kFresh), "CVodeSetJacEvalFrequency");
}

Session::Solvers Session::make_solvers(N_Vector like, bool adjoint) const {
  const Settings& s = calls_.problem().settings;
  Solvers out;
  if (!s.implicit) {
    out.fixed_point = NonlinearSolver(SUNNonlinSol_FixedPoint(like, 0, context_.get()));
  } else {
    out.matrix = make_matrix(s.linear, calls_.field(), adjoint, context_);
    out.linear = make_linear_solver(s.linear, like, out.matrix, context_);
  }
  return out;
}

void Session::check(int flag, const char* function) const {
  if (flag >= 0) return;
  calls_.rethrow();
  throw Error(concat("solve_ivp: ", function, " of CVODES failed with flag ", flag, ": ", calls_.message()));
}

int Session::step(double end, double* t) {
  const int flag = CVode(memory(), end, y(), t, CV_ONE_STEP);
  if (flag >= 0) is_fresh_ = false;
  return flag;
}

void Session::state_at(double t, N_Vector out) const {
  if (is_fresh_)
    N_VScale(1.0, y(), out);
  else
    check(CVodeGetDky(memory(), t, 0, out), "CVodeGetDky");
}

void Session::keep(Polynomials& all) const {
  double h = 0, t = 0;
  int order = 0;
  check(CVodeGetLastStep(memory(), &h), "CVodeGetLastStep");
  check(CVodeGetLastOrder(memory(), &order), "CVodeGetLastOrder");
  check(CVodeGetCurrentTime(memory(), &t), "CVodeGetCurrentTime");
  const int64_t n = calls_.field().size();
  const Vector out = make_vector(n, context_);
  all.add(t, h, taylor_coefficients(order, h, n, out.get(), [&](int j, N_Vector y) {
            check(CVodeGetDky(memory(), t, j, y), "CVodeGetDky");
          }));
}

void Session::restart(double t) {
  count(before_restart_);
  check(CVodeReInit(memory(), t, y()), "CVodeReInit");
  check(CVodeSetInitStep(memory(), 0.0), "CVodeSetInitStep");  // guessed
  is_fresh_ = true;
}

void Session::count(Report& report) const {
  long steps = 0, evaluations = 0, setups = 0, error_failures = 0, solver_failures = 0, of_solver = 0;
  int last_order = 0, order = 0;
  double h0 = 0, last = 0;
  CVodeGetIntegratorStats(memory(), &steps, &evaluations, &setups, &error_failures, &last_order, &order, &h0,
                          &last, &report.h, &report.t);
  CVodeGetNumStepSolveFails(memory(), &solver_failures);
  if (solvers_.linear) CVodeGetNumLinRhsEvals(memory(), &of_solver);
  const Report& earlier = before_restart_;
  report.accepted = earlier.accepted + steps;
  report.rejected = earlier.rejected + error_failures + solver_failures;
  report.evaluations = earlier.evaluations + evaluations + of_solver;
  report.factorisations = earlier.factorisations + setups;
  report.h = std::abs(report.h);
}

void Session::begin(double end) const {
  const Problem& problem = calls_.problem();
  check(CVodeSetStopTime(memory(), end), "CVodeSetStopTime");
  if (problem.settings.first_step > 0 && before_restart_.accepted == 0) {
    const double h = std::min(problem.settings.first_step, std::abs(end - problem.t0));
    check(CVodeSetInitStep(memory(), end >= problem.t0 ? h : -h), "CVodeSetInitStep");
  }
}

bool Session::is_too_short(int flag, double, const Report&) const { return flag == CV_TOO_CLOSE; }

void Session::examine(Report& report) const {
  if (!is_diagnosed(report.status)) return;
  examine_field(calls_, y(), report);
  if (report.cause != IvpCause::NotFinite && report.cause != IvpCause::NotFiniteBeyond)
    find_largest_error(
        calls_.field().size(), context_, [&](N_Vector e) { return CVodeGetEstLocalErrors(memory(), e); },
        [&](N_Vector w) { return CVodeGetErrWeights(memory(), w); }, report);
}

void Session::failed(int flag, Report& report) const {
  calls_.rethrow();
  switch (flag) {
    case CV_TOO_MUCH_WORK:
      report.status = IvpStatus::TooManySteps;
      report.cause = IvpCause::Steps;
      return;
    case CV_RHSFUNC_FAIL:
    case CV_FIRST_RHSFUNC_ERR:
    case CV_REPTD_RHSFUNC_ERR:
    case CV_UNREC_RHSFUNC_ERR:
    case CV_QRHSFUNC_FAIL:
    case CV_FIRST_QRHSFUNC_ERR:
    case CV_REPTD_QRHSFUNC_ERR:
    case CV_UNREC_QRHSFUNC_ERR:
      not_finite(calls_, report);
      return;
    case CV_ERR_FAILURE:
      too_large_errors(report);
      return;
    case CV_CONV_FAILURE:
    case CV_LSETUP_FAIL:
    case CV_LSOLVE_FAIL:
      not_solved(calls_, flag == CV_CONV_FAILURE ? IvpCause::Equations : IvpCause::Singular,
                 "the equations of a step were not solved", report);
      return;
    case CV_TOO_MUCH_ACC:
      too_accurate(report);
      return;
    default:
      check(flag, "CVode");
  }
}

}  // namespace hesse::solvers::sundials
