#include "solvers/sundials/kinsol_op.h"

#include <algorithm>
#include <cmath>

#include "core/op_table.h"
#include "core/ops/control_graph.h"
#include "solvers/outcome.h"
#include "solvers/sundials/flat_field.h"
#include "solvers/sundials/guard.h"

namespace hesse::solvers::sundials {
namespace {

/// What the functions that KINSOL calls share.
class Equations final : public Guard {
 public:
  Equations(const FlatField& field, std::span<const Array> captures) : field_(field), captures_(captures) {}
  const FlatField& field() const { return field_; }
  int run(const Graph& g, N_Vector v, N_Vector direction, double* out, int64_t n) noexcept {
    Arrays in;
    const int flag = guarded([&] {
      in = {scalar_of(0.0), vector_of(v, field_.size())};
      in.insert(in.end(), captures_.begin(), captures_.end());
      if (direction) in.push_back(vector_of(direction, field_.size()));
      return 0;
    });
    return flag != 0 ? flag : Guard::run(g, std::move(in), out, n, field_.size());
  }

 private:
  const FlatField& field_;
  std::span<const Array> captures_;
};

Equations& equations_of(void* data) { return *static_cast<Equations*>(data); }

int function(N_Vector v, N_Vector f, void* data) {
  Equations& e = equations_of(data);
  return e.run(e.field().rhs(), v, nullptr, entries(f), e.field().size());
}

int jacobian(N_Vector v, N_Vector, SUNMatrix j, void* data, N_Vector, N_Vector) {
  Equations& e = equations_of(data);
  const int64_t n = e.field().size();
  return e.run(*e.field().jacobian(), v, nullptr, SUNDenseMatrix_Data(j), n * n);
}

int product(N_Vector direction, N_Vector out, N_Vector v, int*, void* data) {
  Equations& e = equations_of(data);
  return e.run(*e.field().product(), v, direction, entries(out), e.field().size());
}

void keep_message(int, const char*, const char*, char* text, void* data) {
  equations_of(data).keep_message(text);
}
void ignore(const char*, const char*, char*, void*) {}

void check(int flag, const char* name, const Equations& e) {
  if (flag >= 0) return;
  e.rethrow();
  throw Error(concat("root_solve: ", name, " of KINSOL failed with flag ", flag, ": ", e.message()));
}

struct Solved {
  std::vector<double> v;
  SolveStatus status = SolveStatus::Success;
  long steps = 0, evaluations = 0;
};

SolveStatus status_of(int flag, const Equations& e) {
  switch (flag) {
    case KIN_SUCCESS:
    case KIN_INITIAL_GUESS_OK:
    case KIN_STEP_LT_STPTOL:
      return SolveStatus::Success;
    case KIN_MAXITER_REACHED:
      return SolveStatus::TooManySteps;
    case KIN_LSETUP_FAIL:
    case KIN_LSOLVE_FAIL:
    case KIN_LINSOLV_NO_RECOVERY:
      return e.was_bad() ? SolveStatus::NotFinite : SolveStatus::Singular;
    case KIN_SYSFUNC_FAIL:
    case KIN_FIRST_SYSFUNC_ERR:
    case KIN_REPTD_SYSFUNC_ERR:
      return SolveStatus::NotFinite;
    case KIN_LINESEARCH_NONCONV:
    case KIN_LINESEARCH_BCFAIL:
    case KIN_MXNEWT_5X_EXCEEDED:
      return SolveStatus::NoProgress;
    default:
      check(flag, "KINSol", e);
      return SolveStatus::NoProgress;
  }
}

Solved solved(const FlatField& field, bool krylov, int64_t max_steps, std::span<const double> v0, double rtol,
              std::span<const double> atol, std::span<const Array> captures) {
  const int64_t n = field.size();
  Equations e(field, captures);
  (void)field.rhs();  // made here, where it may throw
  const Context context = make_context();
  const Vector v = make_vector(n, context), scale = make_vector(n, context), ones = make_vector(n, context);
  std::copy(v0.begin(), v0.end(), entries(v.get()));
  N_VConst(1.0, ones.get());
  // A step is small where |d| <= rtol max(|v|, 1/scale).
  const double relative = std::max(rtol, 1e-16);
  double least = HUGE_VAL;
  for (int64_t i = 0; i < n; ++i) {
    const double a = std::max(atol[static_cast<size_t>(i)], 1e-300);
    entries(scale.get())[i] = relative / a;
    least = std::min(least, a);
  }
  LinearSolver linear;
  Matrix matrix;
  const NonlinearEquations memory(KINCreate(context.get()));
  void* mem = memory.get();
  check(KINSetErrHandlerFn(mem, keep_message, &e), "KINSetErrHandlerFn", e);
  check(KINSetInfoHandlerFn(mem, ignore, &e), "KINSetInfoHandlerFn", e);
  check(KINSetUserData(mem, &e), "KINSetUserData", e);
  check(KINSetNumMaxIters(mem, static_cast<long>(max_steps)), "KINSetNumMaxIters", e);
  check(KINSetFuncNormTol(mem, least), "KINSetFuncNormTol", e);
  check(KINSetScaledStepTol(mem, relative), "KINSetScaledStepTol", e);
  check(KINSetMaxNewtonStep(mem, 1e200), "KINSetMaxNewtonStep", e);
  check(KINSetMaxSetupCalls(mem, 1), "KINSetMaxSetupCalls", e);
  check(KINInit(mem, function, v.get()), "KINInit", e);
  if (krylov) {
    linear = LinearSolver(
        SUNLinSol_SPGMR(v.get(), SUN_PREC_NONE, static_cast<int>(std::min<int64_t>(n, 50)), context.get()));
    check(KINSetLinearSolver(mem, linear.get(), nullptr), "KINSetLinearSolver", e);
    if (field.product() != nullptr) check(KINSetJacTimesVecFn(mem, product), "KINSetJacTimesVecFn", e);
  } else {
    matrix = Matrix(SUNDenseMatrix(n, n, context.get()));
    linear = LinearSolver(SUNLinSol_Dense(v.get(), matrix.get(), context.get()));
    check(KINSetLinearSolver(mem, linear.get(), matrix.get()), "KINSetLinearSolver", e);
    if (field.jacobian() != nullptr) check(KINSetJacFn(mem, jacobian), "KINSetJacFn", e);
  }
  const int flag = KINSol(mem, v.get(), KIN_LINESEARCH, scale.get(), ones.get());
  e.rethrow();
  Solved out;
  out.status = status_of(flag, e);
  out.v.assign(entries(v.get()), entries(v.get()) + n);
  KINGetNumNonlinSolvIters(mem, &out.steps);
  KINGetNumFuncEvals(mem, &out.evaluations);
  return out;
}

class KinsolOp final : public NonDifferentiable {
 public:
  KinsolOp(Ref<const Graph> field, bool krylov, int64_t max_steps)
      : field_(std::move(field)), krylov_(krylov), max_steps_(max_steps) {}
  std::string_view name() const override { return "kinsol"; }
  Params params() const override {
    return {{"field", field_.graph()}, {"krylov", krylov_}, {"max_steps", max_steps_}};
  }
  bool has_effect() const override { return has_effects(*field_.graph()); }
  Avals infer(std::span<const Aval> x) const override {
    const Aval count{{}, kInt64};
    return {x[0], count, count, count};
  }
  Arrays eval(std::span<const Array> x) const override {
    const auto status = static_cast<SolveStatus>(x[3].item<int64_t>());
    Solved s{x[0].to_vector<double>(), status};
    const double rtol = x[1].item<double>();
    if (status == SolveStatus::TooManySteps)
      s = solved(field_, krylov_, max_steps_, s.v, rtol, x[2].to_vector<double>(), x.subspan(4));
    return {Array::from<double>(s.v, x[0].shape()), whole_of(s.steps), whole_of(s.evaluations),
            whole_of(static_cast<int64_t>(s.status))};
  }

 private:
  FlatField field_;
  bool krylov_;
  int64_t max_steps_;
};

const bool registered = (register_ops({listed<KinsolOp>("kinsol", "field", "krylov", "max_steps")}), true);

}  // namespace

OpRef kinsol_op(Ref<const Graph> field, bool krylov, int64_t max_steps) {
  return make_op<KinsolOp>(std::move(field), krylov, max_steps);
}

}  // namespace hesse::solvers::sundials
