#pragma once
#include "solvers/sundials/session.h"

namespace hesse::solvers::sundials {

/// Memory of ARKODE for a problem, ready for its first step: explicit (Dormand and Prince 5(4)), diagonally
/// implicit (the implicit half of ARK4(3)6L[2]SA, Kennedy and Carpenter 2003), or additive where the problem
/// has an explicit part (both halves). As Session.
class ArkSession final {
 public:
  explicit ArkSession(Calls& calls);
  const Context& context() const { return context_; }
  N_Vector y() const { return y_.get(); }
  Calls& calls() const { return calls_; }
  void failed(int flag, Report& report) const;
  void examine(Report& report) const;
  void count(Report& report) const;
  void begin(double end) const;
  bool is_too_short(int flag, double end, const Report& report) const;
  int step(double end, double* t);
  void state_at(double t, N_Vector out) const;
  void keep(Polynomials& all) const;
  void restart(double t);

 private:
  void check(int flag, const char* function) const;
  Calls& calls_;
  Context context_;
  Vector y_, y_last_;  // as it is handed over, and where the last step ended
  double t_last_;
  bool is_fresh_ = true, is_restarted_ = false;
  int64_t retries_ = 0;
  Matrix matrix_;
  LinearSolver linear_;
  RungeKutta memory_;  // last: it goes first
};

}  // namespace hesse::solvers::sundials
