#pragma once
#include <memory>
#include <string>
#include <vector>

#include "solvers/method.h"

namespace hesse::solvers {

/// A singly diagonally implicit Runge-Kutta method of s stages whose first one is explicit,
///   k_i = f(t + c_i h, y + h sum_{j <= i} a_ij k_j),   c_i = sum_j a_ij,   a_11 = 0,   a_ii = gamma (i > 1).
/// or with a mass matrix M k_i = f(...). All of them are stiffly accurate: y_next is the argument of the last
/// stage, and k_s the first slope of the next step.
struct EsdirkTableau {
  std::string name = {};
  int order = 0;
  int error_order = 0;  ///< of the embedded solution
  double gamma = 0;
  std::vector<std::vector<double>> a = {};  ///< [s], a[i] has i entries: what stands before the diagonal
  std::vector<double> embedded = {};        ///< [s], weights of the embedded solution
  /// [s], weights of y(t + h/2) = y + h sum_i middle_i k_i, of order 4. Of these the ones of least norm that
  /// are also exact for cubics in the stiff limit, where stages lie on the solution and slopes follow from
  /// them, with equal steps. Empty: what the cubic Hermite polynomial is there.
  std::vector<double> middle = {};
  /// Of additive methods (solvers/imex.h): [s], row i has the i weights of the explicit part of the
  /// right-hand side; the table above is for the implicit part. Else empty.
  std::vector<std::vector<double>> explicit_a = {};
  std::vector<double> nodes() const;    ///< [s], c
  std::vector<double> weights() const;  ///< [s], the last row with the diagonal
};

/// All ESDIRK methods: Kvaerno3, Kvaerno5 (Kvaerno 2004), KenCarp4 (Kennedy and Carpenter 2003).
const std::vector<EsdirkTableau>& esdirk_tableaus();
std::unique_ptr<const Method> make_esdirk(const EsdirkTableau& tableau, Field field);

}  // namespace hesse::solvers
