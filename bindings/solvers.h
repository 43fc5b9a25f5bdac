#pragma once
#include <pybind11/pybind11.h>

/// Parts of hesse._hesse.solvers, called by init_solvers.
namespace hesse::python {

void init_solvers_dae(pybind11::module_& solvers);
void init_solvers_interpolation(pybind11::module_& solvers);
void init_solvers_sde(pybind11::module_& solvers);
void init_solvers_sparse(pybind11::module_& solvers);

}  // namespace hesse::python
