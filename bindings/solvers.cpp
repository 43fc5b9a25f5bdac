#include "bindings/solvers.h"
#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/function.h"
#include "solvers/cvode.h"
#include "solvers/method.h"
#include "solvers/ode.h"
#include "solvers/split.h"

/// hesse._hesse.solvers: solvers on flat lists of arrays, documented in hesse/solvers.
namespace hesse::python {

using namespace py::literals;

void init_solvers(py::module_& m) {
  py::module_ s = m.def_submodule("solvers", "Solvers on flat lists of arrays.");
  s.def(
      "solve_ivp",
      [](const Fn& f, const Array& t0, const Array& t1, const Arrays& y0, const std::string& method,
         std::optional<Array> t_eval, const Array& rtol, const Arrays& atol, std::optional<Array> first_step,
         std::optional<Array> max_step, int64_t max_steps, bool throw_on_failure,
         const std::string& linear_solver, const std::optional<Fn>& second) {
        const auto rhs = [](const Fn& fn) -> solvers::Rhs {
          return [&fn](const Array& t, std::span<const Array> y) {
            Arrays in{t};
            in.insert(in.end(), y.begin(), y.end());
            return fn(in);
          };
        };
        const solvers::IvpOptions options{.method = method,
                                          .t_eval = std::move(t_eval),
                                          .rtol = rtol,
                                          .atol = atol,
                                          .first_step = std::move(first_step),
                                          .max_step = std::move(max_step),
                                          .max_steps = max_steps,
                                          .throw_on_failure = throw_on_failure,
                                          .linear_solver = linear_solver};
        const py::gil_scoped_release unlocked;
        const solvers::Solution sol =
            second ? solvers::solve_ivp(solvers::SplitRhs{rhs(f), rhs(*second)}, t0, t1, y0, options)
                   : solvers::solve_ivp(rhs(f), t0, t1, y0, options);
        return std::tuple(sol.t, sol.y, sol.status, sol.accepted, sol.rejected, sol.evaluations,
                          sol.factorisations, sol.t_last, sol.h_last, sol.chosen, sol.implicit_steps);
      },
      "f"_a, "t0"_a, "t1"_a, "y0"_a, "method"_a, "t_eval"_a, "rtol"_a, "atol"_a, "first_step"_a, "max_step"_a,
      "max_steps"_a, "throw_on_failure"_a, "linear_solver"_a = "auto", "second"_a = py::none());
  s.def(
      "split_of", [](const std::string& method) { return static_cast<int64_t>(solvers::split_of(method)); },
      "method"_a);
  s.def(
      "describe", [](int64_t status) { return solvers::describe(static_cast<solvers::IvpStatus>(status)); },
      "status"_a);
  s.def("method_names", [] { return solvers::method_names(); });
  init_solvers_equations(s);
  init_solvers_sde(s);
  s.def("has_cvode", &solvers::has_cvode);
  s.def("live_sundials_objects", &solvers::live_sundials_objects);
}

}  // namespace hesse::python
