#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "solvers/interpolation.h"

/// Data as a function of the time, documented in hesse/solvers.
namespace hesse::python {

using namespace py::literals;

void init_solvers_interpolation(py::module_& s) {
  s.def(
      "interpolation",
      [](const Array& times, const Array& values, const std::string& kind) {
        const py::gil_scoped_release unlocked;
        const solvers::Interpolation f(times, values, kind);
        return std::tuple(f.times(), f.values(), f.slopes());
      },
      "times"_a, "values"_a, "kind"_a);
  s.def(
      "interpolated",
      [](const Array& times, const Array& values, std::optional<Array> slopes, const Array& t) {
        const py::gil_scoped_release unlocked;
        return solvers::Interpolation(times, values, std::move(slopes))(t);
      },
      "times"_a, "values"_a, "slopes"_a, "t"_a);
}

}  // namespace hesse::python
