#include "bindings/bindings.h"
#include "bindings/convert.h"

namespace hesse::python {

using namespace py::literals;

void init_products(py::module_& m) {
  define_heavy(
      m, "matmul", [](const Array& x, const Array& y) { return matmul(x, y); }, "x1"_a, "x2"_a,
      py::pos_only(), "The matrix product, over leading axes at once; NumPy's rules for vectors.");
  define_heavy(
      m, "dot", [](const Array& x, const Array& y) { return dot(x, y); }, "x1"_a, "x2"_a, py::pos_only(),
      "The sum of products over the last axis of x1 and the second to last of x2.");
  define(
      m, "vecdot", [](const Array& x, const Array& y, int64_t axis) { return vecdot(x, y, axis); }, "x1"_a,
      "x2"_a, py::pos_only(), py::kw_only(), "axis"_a = -1, "The sum of conj(x1) * x2 over an axis.");
  define(
      m, "outer", [](const Array& x, const Array& y) { return outer(x, y); }, "x1"_a, "x2"_a, py::pos_only(),
      "x1[i] * x2[j] for all i and j.");
  define_heavy(
      m, "_tensordot",
      [](const Array& x, const Array& y, const Axes& a, const Axes& b) { return tensordot(x, y, a, b); },
      "x1"_a, "x2"_a, "axes1"_a, "axes2"_a, py::pos_only());
  m.def(
      "einsum",
      [](const std::string& subscripts, const py::args& operands) {
        const Arrays xs = require_arrays(operands, "einsum");
        const Unlocked unlocked(16 * detail::work(xs));
        return einsum(subscripts, xs);
      },
      "subscripts"_a, py::pos_only(),
      "Sums of products in Einstein's notation, for example einsum('ij,jk->ik', a, b).");
  define_heavy(
      m, "kron", [](const Array& x, const Array& y) { return kron(x, y); }, "x1"_a, "x2"_a, py::pos_only(),
      "The Kronecker product.");
  define(
      m, "cross", [](const Array& x, const Array& y, int64_t axis) { return cross(x, y, axis); }, "x1"_a,
      "x2"_a, py::pos_only(), py::kw_only(), "axis"_a = -1,
      "The cross product of vectors in three dimensions.");
}

}  // namespace hesse::python
