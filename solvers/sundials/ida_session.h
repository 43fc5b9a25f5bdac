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
  /// After a failure: the entry with the largest error, and that over its tolerance.
  void examine(Report& report) const;
  void count(Report& report) const;
  /// Before the first step towards `end`.
  void begin(double end) const;
  /// Whether a flag of IDASolve says that t0 and `end` cannot be told apart.
  bool is_too_short(int flag, double end, const Report& report) const;

  struct Solvers {
    Matrix matrix;
    LinearSolver linear;
  };
  Solvers make_solvers(N_Vector like, int64_t n) const;

 private:
  DaeCalls& calls_;
  Context context_;
  Vector y_, yp_, differential_;
  Solvers solvers_;
  DaeIntegrator memory_;  // last: it goes first
};

}  // namespace hesse::solvers::sundials
