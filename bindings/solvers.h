#pragma once
#include <pybind11/pybind11.h>

#include "solvers/ode.h"

namespace hesse::python {

/// A function of the time and the arrays of a state, which must outlive what is returned: Python's references
/// are not counted where the GIL is released.
solvers::Rhs of_time_and_state(const Fn& f);

/// Why a solve gave up, field by field and whether the method is implicit; None where there is nothing to
/// say.
using DiagnosisFields = std::optional<std::tuple<Array, Array, Array, Array, Array, Array, Array, bool>>;
DiagnosisFields diagnosis_fields(const solvers::Solution& sol);

/// Reports how far a solve is: f(fields as arrays), in the order of IvpProgress.
solvers::ProgressFn progress_to(const std::optional<Fn>& f);

// Parts of hesse._hesse.solvers, called by init_solvers.

void init_solvers_diagnosis(pybind11::module_& solvers);
void init_solvers_dae(pybind11::module_& solvers);
void init_solvers_interpolation(pybind11::module_& solvers);
void init_solvers_sde(pybind11::module_& solvers);
void init_solvers_sparse(pybind11::module_& solvers);

}  // namespace hesse::python
