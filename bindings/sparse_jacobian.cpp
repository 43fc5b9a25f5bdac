#include "autodiff/sparse_jacobian.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/function.h"

/// Plans of sparse Jacobians and Hessians of functions of flat lists; hesse/_sparse_jacobian.py makes trees.
namespace hesse::python {

using namespace py::literals;

namespace {
using Unlock = py::call_guard<py::gil_scoped_release>;
using Places = std::tuple<int64_t, int64_t, std::vector<int64_t>, std::vector<int64_t>>;

std::optional<Pattern> pattern_of(const std::optional<Places>& p) {
  if (!p) return std::nullopt;
  const auto& [rows, cols, starts, columns] = *p;
  return Pattern{rows, cols, starts, columns};
}
using Parts = std::tuple<Array, Array, Array, Array, Array, Array, Array>;
Parts parts(const sparse::CSR& a) {
  return {a.data,          a.by_row.starts,  a.by_row.columns, a.by_row.entries,
          a.by_col.starts, a.by_col.columns, a.by_col.entries};
}
}  // namespace

void init_sparse_jacobian(py::module_& m) {
  py::module_ s = m.attr("sparse").cast<py::module_>();
  py::class_<SparsityPlan>(s, "SparsityPlan", "Where a Jacobian has entries, and its colours.")
      .def_property_readonly("nnz", [](const SparsityPlan& p) { return p.pattern().nnz(); })
      .def_property_readonly("num_passes", &SparsityPlan::num_passes)
      .def_property_readonly("in_reverse", &SparsityPlan::in_reverse)
      .def(
          "jacobian",
          [](const SparsityPlan& p, const Fn& f, const Arrays& x, const std::vector<int>& argnums) {
            return parts(p.matrix(p.jacobian_values(f, x, argnums)));
          },
          "f"_a, "args"_a, "argnums"_a, Unlock())
      .def(
          "hessian",
          [](const SparsityPlan& p, const Fn& f, const Arrays& x, const std::vector<int>& argnums) {
            return parts(p.matrix(p.hessian_values(f, x, argnums)));
          },
          "f"_a, "args"_a, "argnums"_a, Unlock());
  s.def(
      "plan_jacobian",
      [](const Fn& f, const Arrays& x, const std::vector<int>& argnums, const std::optional<Places>& places) {
        return SparsityPlan::of_jacobian(f, x, argnums, pattern_of(places));
      },
      "f"_a, "args"_a, "argnums"_a, "places"_a = py::none(), Unlock());
  s.def(
      "plan_hessian",
      [](const Fn& f, const Arrays& x, const std::vector<int>& argnums, const std::optional<Places>& places) {
        return SparsityPlan::of_hessian(f, x, argnums, pattern_of(places));
      },
      "f"_a, "args"_a, "argnums"_a, "places"_a = py::none(), Unlock());
}

}  // namespace hesse::python
