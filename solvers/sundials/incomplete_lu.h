#pragma once
#include <span>
#include <vector>

#include "autodiff/pattern.h"

namespace hesse::solvers::sundials {

/// Incomplete factors of I + s J on the pattern of J (ILU(0); Saad, Iterative methods for sparse linear
/// systems, 10.3): what preconditions GMRES.
class IncompleteLU final {
 public:
  /// Of a square matrix; rows of the pattern ascend and hold the diagonal.
  explicit IncompleteLU(const Pattern& pattern);
  /// The values of J at the places of the pattern, to be written.
  std::span<double> jacobian() { return jacobian_; }
  /// Whether there are factors: false for a pivot that is zero or not finite.
  bool factor(double s);
  /// z with L U z = r, or (L U)^T z = r; [n].
  void solve(const double* r, double* z) const;
  void solve_transposed(const double* r, double* z) const;

 private:
  const Pattern& pattern_;
  std::vector<int64_t> diagonal_;  // the place of each row's
  std::vector<double> jacobian_, factors_;
};

}  // namespace hesse::solvers::sundials
