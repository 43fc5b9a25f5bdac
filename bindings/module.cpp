#include "bindings/bindings.h"
#include "bindings/errors.h"

namespace hesse::python {
void init_gnn(py::module_& m);
void init_segment(py::module_& m);
void init_sparse_jacobian(py::module_& m);  // adds to what init_sparse makes
}  // namespace hesse::python

PYBIND11_MODULE(_hesse, m) {
  using namespace hesse::python;
  m.doc() = "The compiled part of the package hesse; import that instead.";
  init_errors(m);
  init_dtype(m);
  init_array_type(m);
  init_array_methods(m);
  init_exchange(m);
  init_creation(m);
  init_elementwise(m);
  init_reduce(m);
  init_view(m);
  init_index(m);
  init_products(m);
  init_conv(m);
  init_linalg(m);
  init_solvers(m);
  init_segment(m);
  init_sparse(m);
  init_sparse_jacobian(m);
  init_fft(m);
  init_random(m);
  init_tree(m);
  init_transforms(m);
  init_control(m);
  init_graph(m);
  init_profile(m);
  init_nn(m);
  init_optim(m);
  init_gnn(m);
  init_io(m);
  init_physics(m);
  init_compile(m);
  init_source(m);
  m.attr("__version__") = HESSE_VERSION;
}
