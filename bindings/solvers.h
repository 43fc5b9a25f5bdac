#pragma once
#include <pybind11/pybind11.h>

#include "solvers/ode.h"

namespace hesse::python {

/// A function of the time and the arrays of a state, which must outlive what is returned: Python's references
/// are not counted where the GIL is released.
solvers::Rhs of_time_and_state(const Fn& f);

// Parts of hesse._hesse.solvers, called by init_solvers.

void init_solvers_dae(pybind11::module_& solvers);
void init_solvers_interpolation(pybind11::module_& solvers);
void init_solvers_sde(pybind11::module_& solvers);
void init_solvers_sparse(pybind11::module_& solvers);

}  // namespace hesse::python
