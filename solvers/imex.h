#pragma once
#include <vector>

#include "solvers/esdirk.h"

namespace hesse::solvers {

/// Additive Runge-Kutta methods for dy/dt = f_E(t, y) + f_I(t, y), the second term stiff (IMEX methods;
/// Kennedy and Carpenter, Additive Runge-Kutta schemes for convection-diffusion-reaction equations, Appl.
/// Numer. Math. 44 (2003) 139): ARK3, ARK4 and ARK5, their ARK3(2)4L[2]SA, ARK4(3)6L[2]SA and ARK5(4)8L[2]SA.
///   Y_i = y + h sum_{j < i} a^E_ij f_E(t + c_j h, Y_j) + h sum_{j <= i} a_ij f_I(t + c_j h, Y_j),
///   y_next = y + h sum_i b_i (f_E + f_I)(t + c_i h, Y_i).
/// Both parts have the same nodes c and weights b, also those of the embedded solution. They are ESDIRK
/// tables with an `explicit_a`, for make_esdirk on a field of two parts (solvers/split.h). No weights of
/// order 4 exist for the middle of a step: in between the solution is a cubic; steps of ARK5 end at times of
/// output.
const std::vector<EsdirkTableau>& additive_tableaus();

}  // namespace hesse::solvers
