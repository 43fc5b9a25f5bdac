#pragma once
#include <pybind11/pybind11.h>

#include <filesystem>
#include <string_view>

#include "core/array.h"

/// One function per concept, called by module.cpp.
namespace hesse::python {

namespace py = pybind11;

void init_dtype(py::module_& m);
void init_array_type(py::module_& m);
/// shape, dtype, T, at, ...
PyGetSetDef* array_properties();
void init_array_methods(py::module_& m);
void init_exchange(py::module_& m);
void init_creation(py::module_& m);
void init_elementwise(py::module_& m);
void init_reduce(py::module_& m);
void init_view(py::module_& m);
void init_index(py::module_& m);
void init_products(py::module_& m);
void init_conv(py::module_& m);
void init_linalg(py::module_& m);
void init_solvers(py::module_& m);
void init_solvers_equations(py::module_& solvers);
void init_solvers_dae(py::module_& solvers);
void init_sparse(py::module_& m);
void init_fft(py::module_& m);
void init_random(py::module_& m);
void init_tree(py::module_& m);
void init_transforms(py::module_& m);
void init_control(py::module_& m);
void init_graph(py::module_& m);
void init_profile(py::module_& m);
void init_nn(py::module_& m);
void init_optim(py::module_& m);
void init_io(py::module_& m);
void init_physics(py::module_& m);
void init_compile(py::module_& m);
void init_source(py::module_& m);

/// The value of an array with one element as a Python number; errors name the function that asked for it.
py::object scalar_value(const Array& a, std::string_view function);

/// str, bytes or os.PathLike, as open() takes them.
std::filesystem::path path_of(py::handle object);

}  // namespace hesse::python
