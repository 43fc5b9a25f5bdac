#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hesse::solvers {

/// An explicit Runge-Kutta method of s stages, k_i = f(t + c_i h, y + h sum_j a_ij k_j),
/// y_next = y + h sum_i b_i k_i.
struct Tableau {
  std::string name = {};
  int order = 1;  ///< of the solution that is propagated
  /// The estimate of a step's error is O(h^(error_order + 1)): the order of the embedded solution, for Dop853
  /// that of its two estimates together, 7. 0: no estimate, steps are fixed.
  int error_order = 0;
  std::vector<double> c = {};               ///< [s], c[0] = 0
  std::vector<std::vector<double>> a = {};  ///< [s], a[i] has i entries
  std::vector<double> b = {};               ///< [s]
  /// [s], b minus the embedded weights (of order error_order; Dop853: of order 5): the error of a step is
  /// h sum_i error_i k_i. Empty where steps are fixed.
  std::vector<double> error = {};
  /// [s], Dop853 only: b minus embedded weights of order 3. With e5 = sum_i error_i k_i and e3 = sum_i
  /// second_error_i k_i, the error of a step is h |e5|^2 / sqrt(|e5|^2 + 0.01 |e3|^2).
  std::vector<double> second_error = {};
  /// [s], weights of y(t + h/2) = y + h sum_i middle_i k_i of the method's interpolant, of order 4. Empty
  /// where there is none.
  std::vector<double> middle = {};
  bool first_same_as_last = false;  ///< the last stage is f at the end of the step
};

/// The method of a name (case as written): Euler, Midpoint, Heun (the explicit trapezoid rule), RK4, Bosh3,
/// Dopri5, Tsit5, Dop853; SciPy's RK23, RK45 and DOP853 are Bosh3, Dopri5 and Dop853. Null otherwise.
const Tableau* find_explicit_tableau(std::string_view name);
/// The same; throws ValueError naming the known ones otherwise.
const Tableau& explicit_tableau(std::string_view name);
/// SciPy's names, for messages.
inline constexpr std::string_view kSciPyNames = "RK23 (= Bosh3), RK45 (= Dopri5), DOP853 (= Dop853)";
/// The names of all methods, each once (without SciPy's).
std::span<const std::string> explicit_methods();

}  // namespace hesse::solvers
