#pragma once
#include <memory>

#include "solvers/method.h"
#include "solvers/tableau.h"

namespace hesse::solvers {

/// An explicit Runge-Kutta method on a right-hand side. The tableau must outlive it.
std::unique_ptr<const Method> make_explicit(const Tableau& tableau, Field field);

}  // namespace hesse::solvers
