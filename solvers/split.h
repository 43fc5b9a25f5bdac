#pragma once
#include <string_view>

#include "solvers/field.h"

/// Right-hand sides in two parts (SplitRhs, solvers/ode.h), for the methods that treat these differently.
namespace hesse::solvers {

/// How a method takes its right-hand side.
enum class Split {
  None,    ///< as one function
  Sum,     ///< dy/dt = first(t, y) + second(t, y), the second one stiff: solvers/imex.h
  Halves,  ///< of y = (q..., p...): dq/dt = first(t, p), dp/dt = second(t, q): solvers/symplectic.h
};
Split split_of(std::string_view method);

/// Records f as the method takes it; its `second` is empty where it is one function. Of two parts the field
/// has both, as functions of the whole state, and is their sum. Throws ValueError where the method takes f
/// otherwise, or where q and p differ in their shapes or dtypes; and what the other `record` throws.
Field record(const SplitRhs& f, std::string_view method, const Arrays& y0, Arrays& captures);

}  // namespace hesse::solvers
