#include "bindings/convert.h"
#include "bindings/function.h"
#include "bindings/solvers.h"
#include "solvers/sde.h"
#include "solvers/sde_method.h"

/// Stochastic differential equations on flat lists of arrays, documented in hesse/solvers.
namespace hesse::python {

namespace py = pybind11;
using namespace py::literals;

void init_solvers_sde(pybind11::module_& s) {
  s.def(
      "brownian_path",
      [](const Array& key, const Array& t0, const Array& t1, const Shape& shape, DType dtype,
         double tolerance, const Array& times) {
        const py::gil_scoped_release unlocked;
        return solvers::BrownianPath(key, t0, t1, shape, dtype, tolerance)(times);
      },
      "key"_a, "t0"_a, "t1"_a, "shape"_a, "dtype"_a, "tolerance"_a, "times"_a);
  // path: (t0, t1, shape, dtype) of a given one; else one is made of the key
  s.def(
      "solve_sde",
      [](const Fn& drift, const Fn& diffusion, const Array& t0, const Array& t1, const Arrays& y0,
         const Array& key, const std::optional<std::tuple<Array, Array, Shape, DType>>& path,
         int64_t num_steps, const std::string& method, std::optional<Array> t_eval,
         const std::optional<Shape>& noise_shape, double tolerance, bool throw_on_failure) {
        const solvers::SdeOptions options{.method = method,
                                          .num_steps = num_steps,
                                          .t_eval = std::move(t_eval),
                                          .noise_shape = noise_shape,
                                          .tolerance = tolerance,
                                          .throw_on_failure = throw_on_failure};
        const py::gil_scoped_release unlocked;
        solvers::SdeSolution sol = [&] {
          if (!path)
            return solvers::solve_sde(of_time_and_state(drift), of_time_and_state(diffusion), t0, t1, y0, key,
                                      options);
          const auto& [begin, end, shape, dtype] = *path;
          return solvers::solve_sde(of_time_and_state(drift), of_time_and_state(diffusion), t0, t1, y0,
                                    solvers::BrownianPath(key, begin, end, shape, dtype, tolerance), options);
        }();
        return std::tuple(sol.t, sol.y, sol.status);
      },
      "drift"_a, "diffusion"_a, "t0"_a, "t1"_a, "y0"_a, "key"_a, "path"_a, "num_steps"_a, "method"_a,
      "t_eval"_a, "noise_shape"_a, "tolerance"_a, "throw_on_failure"_a);
  s.def("sde_method_names", &solvers::sde_method_names);
}

}  // namespace hesse::python
