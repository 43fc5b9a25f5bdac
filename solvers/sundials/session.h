#pragma once
#include <exception>
#include <string>

#include "solvers/sundials/handles.h"
#include "solvers/sundials/integrate.h"

namespace hesse::solvers::sundials {

/// What the functions that CVODES calls share: the problem, and what went wrong. No exception passes through
/// CVODES: it is kept, the function reports failure, and `rethrow` throws it after the call.
class Calls final {
 public:
  explicit Calls(const Problem& problem) : problem_(problem) {}
  const Problem& problem() const { return problem_; }
  const FlatField& field() const { return problem_.field; }

  /// out [n] = g(t, y, p..., v): 0, 1 where an entry is not finite (CVODES tries a smaller step), or -1
  /// after an exception.
  /// rows: which entry of the state each of `out` belongs to, by default its place modulo N.
  int run(const Graph& g, double t, N_Vector y, N_Vector v, double* out, int64_t n,
          const int64_t* rows = nullptr) noexcept;
  /// f(), or -1 after an exception.
  template <class F>
  int guarded(F f) noexcept {
    try {
      return f();
    } catch (...) {
      error_ = std::current_exception();
      return -1;
    }
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }
  void keep_message(const char* text) { message_ = text; }
  const std::string& message() const { return message_; }
  /// Whether an evaluation of this step, or of the few before, was not finite.
  bool was_bad() const { return steps_since_bad_ < 5; }
  void next_step() { ++steps_since_bad_; }
  /// Of the last such evaluation: an entry, -1 if it is unknown; and a failure that its equations reported.
  int64_t bad_entry() const { return bad_entry_; }
  const std::string& bad_note() const { return bad_note_; }

 private:
  const Problem& problem_;
  std::exception_ptr error_;
  std::string message_, bad_note_;
  int64_t bad_entry_ = -1, count_ = 0, steps_since_bad_ = 1000;
};

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
  /// The status where a step came no further.
  void stuck(Report& report) const;
  void count(Report& report) const;

  /// The solvers of implicit equations that a method needs, in their order of construction.
  struct Solvers {
    Matrix matrix;
    LinearSolver linear;
    NonlinearSolver fixed_point;
  };
  /// `adjoint`: those of the adjoint state's equations.
  Solvers make_solvers(N_Vector like, bool adjoint = false) const;
  /// Equations solved more closely and with fresher Jacobians than by default: on Robertson's problem a third
  /// fewer steps, and errors half as large.
  void tighten(void* memory) const;

 private:
  void not_finite(Report& report) const;
  Calls& calls_;
  Context context_;
  Vector y_;
  Solvers solvers_;
  Integrator memory_;  // last: it goes first
};

}  // namespace hesse::solvers::sundials
