#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_products.h"

namespace hesse::python {

using namespace py::literals;

void init_products(py::module_& m) {
  define_heavy(
      m, "matmul", [](const Array& x, const Array& y) { return matmul(x, y); }, "x1"_a, "x2"_a,
      py::pos_only(), text(docs::kMatmul));
  define_heavy(
      m, "dot", [](const Array& x, const Array& y) { return dot(x, y); }, "x1"_a, "x2"_a, py::pos_only(),
      text(docs::kDot));
  define(
      m, "vecdot", [](const Array& x, const Array& y, int64_t axis) { return vecdot(x, y, axis); }, "x1"_a,
      "x2"_a, py::pos_only(), py::kw_only(), "axis"_a = -1, text(docs::kVecdot));
  define(
      m, "outer", [](const Array& x, const Array& y) { return outer(x, y); }, "x1"_a, "x2"_a, py::pos_only(),
      text(docs::kOuter));
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
      "subscripts"_a, py::pos_only(), text(docs::kEinsum));
  define_heavy(
      m, "kron", [](const Array& x, const Array& y) { return kron(x, y); }, "x1"_a, "x2"_a, py::pos_only(),
      text(docs::kKron));
  define(
      m, "cross", [](const Array& x, const Array& y, int64_t axis) { return cross(x, y, axis); }, "x1"_a,
      "x2"_a, py::pos_only(), py::kw_only(), "axis"_a = -1, text(docs::kCross));
}

}  // namespace hesse::python
