#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

/// Limited-memory BFGS with a line search for the strong Wolfe conditions (Nocedal and Wright, Numerical
/// Optimization, 2nd ed., algorithms 7.4, 7.5, 3.5 and 3.6), on one flat vector of parameters in double
/// precision.
namespace hesse::optim {

struct LbfgsOptions {
  int64_t history = 50;             ///< pairs kept; memory 16 bytes * history * parameters
  int64_t max_evaluations = 25;     ///< of the function, in one line search
  double c1 = 1e-4, c2 = 0.9;       ///< sufficient decrease; curvature. 0 < c1 < c2 < 1
  double gradient_tolerance = 0.0;  ///< converged when max |g_i| is not above it
  double value_tolerance = 0.0;     ///< converged when a step lowers f by no more than this times max(1, |f|)
};

enum class LbfgsStatus { Running, GradientConverged, ValueConverged, LineSearchFailed };
/// "running", "the gradient is below the tolerance", ...
std::string_view describe(LbfgsStatus status);

/// Everything the method remembers: what a checkpoint holds, and what makes a resumed run continue with the
/// same bits.
struct LbfgsState {
  std::vector<double> x, gradient;  ///< empty gradient: not evaluated yet
  double value = 0.0;
  std::vector<std::vector<double>> steps,
      changes;  ///< s_k = x_{k+1} - x_k and y_k = g_{k+1} - g_k, oldest first
  int64_t iterations = 0, evaluations = 0;
};

/// One minimisation. Each call of step() is one iteration: a direction, a line search, an update of the
/// history.
class Lbfgs {
 public:
  /// f(x), and its gradient written to `gradient`.
  using ValueAndGradient = std::function<double(std::span<const double> x, std::span<double> gradient)>;

  /// Throws ValueError for options out of range and for x with NaN or infinity.
  Lbfgs(std::vector<double> x, const LbfgsOptions& options = {});
  /// Goes on from a saved state; throws ValueError where its sizes do not fit together.
  Lbfgs(LbfgsState state, const LbfgsOptions& options = {});

  /// Throws NumericalError where f is NaN or infinite at the current point, or at every point tried on the
  /// line: x stays the last good point then. A trial point that is not finite counts as too long a step.
  LbfgsStatus step(const ValueAndGradient& f);
  /// The function has changed (other points, other weights): evaluate it again before the next step. The
  /// history stays unless `forget`.
  void function_changed(bool forget = false);

  const LbfgsState& state() const { return state_; }
  const std::vector<double>& x() const { return state_.x; }
  double value() const { return state_.value; }

 private:
  struct Trial;
  std::vector<double> direction() const;
  double evaluate(const ValueAndGradient& f, std::span<const double> x, std::vector<double>& gradient);
  Trial try_step(const ValueAndGradient& f, const std::vector<double>& d, double t);
  bool line_search(const ValueAndGradient& f, const std::vector<double>& d, double slope, double t,
                   Trial& best);
  void remember(const Trial& next);

  LbfgsOptions options_;
  LbfgsState state_;
};

}  // namespace hesse::optim
