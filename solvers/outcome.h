#pragma once
#include <string>
#include <string_view>

#include "core/array.h"

/// How a solver of equations ended, and what becomes of its solution then.
namespace hesse::solvers {

/// The same for linear and nonlinear equations, fixed points and minima.
enum class SolveStatus : int64_t {
  Success = 0,
  TooManySteps = 1,
  NoProgress = 2,
  NotFinite = 3,
  Singular = 4,
  BadOptions = 5
};
/// What a status means and what to try, in a sentence.
std::string describe(SolveStatus status);

/// x where status (int64, a scalar) is 0. Else NaN, and a NumericalError of `function` that says why, after
/// how many steps (int64) and with which residual (a real scalar): at once, or from the program that runs it.
/// Derivatives pass through x.
Array completed(std::string_view function, const Array& x, const Array& status, const Array& steps,
                const Array& residual);

}  // namespace hesse::solvers
