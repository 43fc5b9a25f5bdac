#pragma once
#include <string_view>

#include "solvers/field.h"

/// Problems M dy/dt = f(t, y) with a constant matrix M. Methods that solve systems with M take it as it is,
/// and where it is singular the problem is a differential-algebraic one, of index 1: with a projector P whose
/// kernel is what M reaches, P f(t, y) = 0 are its algebraic equations. Others solve
/// dy/dt = M^-1 f(t, y).
namespace hesse::solvers {

/// Whether a method's own equations take M: Rosenbrock methods and ESDIRK.
bool takes_mass(std::string_view method);

/// M^-1 f for the other methods. Throws ValueError where M does not fit y0, is singular, or the method takes
/// f in two parts; TypeError for complex states and a matrix of other than real numbers.
SplitRhs over_mass(const SplitRhs& f, const Mass& mass, const Arrays& y0, std::string_view method);

/// Makes `field` that of M dy/dt = f: M, and P unless M is known to be invertible, join its captures, which
/// are the last of `operands`. Throws as the other does, for singular M too, which are allowed here.
void add_mass(Field& field, const Mass& mass, const Arrays& y0, Arrays& operands, std::string_view method);

/// A start that satisfies the algebraic equations.
struct MassStart {
  Arrays y;      ///< y0, as a function of its differential part, t0 and what f captures
  Array status;  ///< IvpStatus, an int64 scalar
};
/// y0 where P f(t0, y0) = 0 as far as the tolerances ask: what it is from there by a step of Newton's method,
/// which M does not see, is at most 10 (atol + rtol |y0|). Its derivatives are those of
///   M (y - y0) + P f(t0, y) = 0.
/// Elsewhere it fails with IvpStatus::Inconsistent; with `raise`, by NumericalError that says how far off it
/// is.
MassStart consistent_start(const Field& field, const Array& t0, const Arrays& y0, const Arrays& operands,
                           bool raise);

}  // namespace hesse::solvers
