#pragma once
#include <pybind11/pybind11.h>

namespace hesse::python {

/// Sets the Python exception that matches the C++ exception being handled; to be called inside a catch block.
void set_python_error() noexcept;
/// hesse.Error and its children, each of which is the matching built-in exception too.
void init_errors(pybind11::module_& m);

}  // namespace hesse::python
