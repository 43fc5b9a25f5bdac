#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "solvers/method.h"

namespace hesse::solvers {

/// A Rosenbrock method of s stages in the form without products with the Jacobian J (Hairer and Wanner,
/// Solving Ordinary Differential Equations II, IV.7, (7.25)):
///   (1 / (h gamma) - J) u_i = f(t + alpha_i h, y + sum_j a_ij u_j) + sum_j (c_ij / h) u_j + h gamma_i df/dt,
///   y_next = y + sum_i m_i u_i.
/// With a mass matrix M, M dy/dt = f: (M / (h gamma) - J) u_i = ... + M sum_j (c_ij / h) u_j + ... (VI.1).
/// All of them end with y_next = y_s + u_s, where y_s is the argument of the last stage; u_s is their
/// estimate of the error.
struct RosenbrockTableau {
  std::string name = {};
  int order = 0;
  int error_order = 0;
  double gamma = 0;
  std::vector<double> alpha = {};           ///< [s]
  std::vector<double> gammas = {};          ///< [s], gamma_i
  std::vector<std::vector<double>> a = {};  ///< [s], a[i] has i entries
  std::vector<std::vector<double>> c = {};  ///< [s], c[i] has i entries
  /// Rows of the interpolant, [r][s]: with k_r = sum_i dense_ri u_i and x from 0 to 1,
  /// y(t + x h) = (1 - x) y + x (y_next + (1 - x) (k_1 + x (k_2 + x k_3))).
  std::vector<std::vector<double>> dense = {};
  int dense_order = 0;
};

/// All Rosenbrock methods: Rodas4 (Hairer and Wanner II), Rodas5P (Steinebach 2023).
const std::vector<RosenbrockTableau>& rosenbrock_tableaus();
std::unique_ptr<const Method> make_rosenbrock(const RosenbrockTableau& tableau, Field field);

}  // namespace hesse::solvers
