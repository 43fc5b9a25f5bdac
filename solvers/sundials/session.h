#pragma once
#include <optional>

#include "solvers/sundials/guard.h"
#include "solvers/sundials/handles.h"
#include "solvers/sundials/incomplete_lu.h"
#include "solvers/sundials/integrate.h"

namespace hesse::solvers::sundials {

/// What the functions that CVODES calls share: the problem, and what went wrong.
class Calls final : public Guard {
 public:
  explicit Calls(const Problem& problem);
  const Problem& problem() const { return problem_; }
  const FlatField& field() const { return problem_.field; }

  /// out [n] = g(t, y, p..., v), as Guard::run.
  int run(const Graph& g, double t, N_Vector y, N_Vector v, double* out, int64_t n,
          const int64_t* rows = nullptr) noexcept;

  /// out [N] = f(t, y), and out [N, N] whose row j is df/dy_j (not null for this field), likewise.
  int rhs(double t, N_Vector y, double* out) noexcept { return rates(field(), rhs_, t, y, out); }
  int explicit_rhs(double t, N_Vector y, double* out) noexcept {
    return rates(*problem_.explicit_part, explicit_rhs_, t, y, out);
  }
  int jacobian(double t, N_Vector y, double* out) noexcept;
  /// What preconditions I - gamma J or, for the adjoint, I + gamma J^T: as CVODES sets it up, where `jok`
  /// says that J of before will do, and applies it.
  int precondition(double t, N_Vector y, bool jok, double gamma, bool adjoint) noexcept;
  int apply_preconditioner(N_Vector r, N_Vector z, bool adjoint) noexcept;

 private:
  using Code = std::optional<ScalarFunction::Call>;
  void begin(Code& call, const ScalarFunction& f);
  int rates(const FlatField& field, Code& code, double t, N_Vector y, double* out) noexcept;
  const Problem& problem_;
  const int64_t size_;
  Code rhs_, explicit_rhs_, product_;
  std::optional<IncompleteLU> factors_, adjoint_factors_;
};

/// The functions that CVODES and ARKODE call, whose data are Calls: f, the weights of errors, J, its product.
namespace callback {
int rhs(double t, N_Vector y, N_Vector dy, void* data);
int weights(N_Vector y, N_Vector w, void* data);
int jacobian(double t, N_Vector y, N_Vector, SUNMatrix j, void* data, N_Vector, N_Vector, N_Vector);
int product(N_Vector v, N_Vector jv, double t, N_Vector y, N_Vector, void* data, N_Vector);
int precondition(double t, N_Vector y, N_Vector, booleantype jok, booleantype* updated, double gamma,
                 void* data);
int apply_preconditioner(double, N_Vector, N_Vector, N_Vector r, N_Vector z, double, double, int, void* data);
void keep_message(int, const char*, const char*, char* text, void* data);
}  // namespace callback

/// After a failure where y is: the spectral radius of df/dy there, and whether f is finite at t itself, into
/// the report.
void examine_field(Calls& calls, N_Vector y, Report& report);

/// Memory of CVODES for a problem, ready for its first step.
class Session final {
 public:
  explicit Session(Calls& calls);
  void* memory() const { return memory_.get(); }
  const Context& context() const { return context_; }
  N_Vector y() const { return y_.get(); }
  Calls& calls() const { return calls_; }
  /// Throws Error for a flag that no input explains.
  void check(int flag, const char* function) const;
  /// The status for a negative flag of CVode, after rethrowing what f threw.
  void failed(int flag, Report& report) const;
  /// After a failure where y() is: the component with the largest error and that over its tolerance, the
  /// spectral radius of df/dy, and whether f is finite there.
  void examine(Report& report) const;
  void count(Report& report) const;
  /// One step towards `end`; the state at a time within the last one.
  int step(double end, double* t);
  void state_at(double t, N_Vector out) const;
  /// The polynomial of the last step.
  void keep(Polynomials& all) const;
  /// Afresh at t, where the state is y().
  void restart(double t);
  /// Before the first step towards `end`.
  void begin(double end) const;
  /// Whether a flag of CVode says that t0 and `end` cannot be told apart.
  bool is_too_short(int flag, double end, const Report& report) const;

  /// The solvers of implicit equations that a method needs, in their order of construction.
  struct Solvers {
    Matrix matrix;
    LinearSolver linear;
    NonlinearSolver fixed_point;
  };
  /// `adjoint`: those of the adjoint state's equations.
  Solvers make_solvers(N_Vector like, bool adjoint = false) const;
  /// Of a step, before it is given up.
  void allow_failures(void* memory) const;
  /// Equations solved more closely and with fresher Jacobians than by default: on Robertson's problem a third
  /// fewer steps, and errors half as large.
  void tighten(void* memory) const;

 private:
  Calls& calls_;
  Context context_;
  Vector y_;
  Report before_restart_;
  bool is_fresh_ = true;  // no step was taken yet, or since the restart
  Solvers solvers_;
  Integrator memory_;  // last: it goes first
};

}  // namespace hesse::solvers::sundials
