#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/function.h"
#include "solvers/cvode.h"
#include "solvers/method.h"
#include "solvers/ode.h"

/// hesse._hesse.solvers: solvers on flat lists of arrays, documented in hesse/solvers.
namespace hesse::python {

using namespace py::literals;

namespace {
solvers::Adjoint adjoint_of(const std::string& name, int64_t checkpoint_every) {
  if (name == "Discrete") return solvers::Discrete{checkpoint_every};
  if (name == "Interpolating") return solvers::Interpolating{};
  if (name == "Forward") return solvers::Forward{};
  return {};
}
}  // namespace

void init_solvers(py::module_& m) {
  py::module_ s = m.def_submodule("solvers", "Solvers on flat lists of arrays.");
  s.def(
      "solve_ivp",
      [](const Fn& f, const Array& t0, const Array& t1, const Arrays& y0, const std::string& method,
         std::optional<Array> t_eval, const Array& rtol, const Arrays& atol, std::optional<Array> first_step,
         std::optional<Array> max_step, int64_t max_steps, bool throw_on_failure,
         const std::string& linear_solver, const std::string& adjoint, int64_t checkpoint_every) {
        const solvers::Rhs rhs = [&f](const Array& t, std::span<const Array> y) {
          Arrays in{t};
          in.insert(in.end(), y.begin(), y.end());
          return f(in);
        };
        const py::gil_scoped_release unlocked;
        solvers::Solution sol = solvers::solve_ivp(rhs, t0, t1, y0,
                                                   {.method = method,
                                                    .t_eval = std::move(t_eval),
                                                    .rtol = rtol,
                                                    .atol = atol,
                                                    .first_step = std::move(first_step),
                                                    .max_step = std::move(max_step),
                                                    .max_steps = max_steps,
                                                    .throw_on_failure = throw_on_failure,
                                                    .linear_solver = linear_solver,
                                                    .adjoint = adjoint_of(adjoint, checkpoint_every)});
        return std::tuple(sol.t, sol.y, sol.status, sol.accepted, sol.rejected, sol.evaluations,
                          sol.factorisations, sol.t_last, sol.h_last);
      },
      "f"_a, "t0"_a, "t1"_a, "y0"_a, "method"_a, "t_eval"_a, "rtol"_a, "atol"_a, "first_step"_a, "max_step"_a,
      "max_steps"_a, "throw_on_failure"_a, "linear_solver"_a = "auto", "adjoint"_a = "",
      "checkpoint_every"_a = 0);
  s.def(
      "describe", [](int64_t status) { return solvers::describe(static_cast<solvers::IvpStatus>(status)); },
      "status"_a);
  s.def("method_names", [] { return solvers::method_names(); });
  init_solvers_equations(s);
  init_solvers_dae(s);
  s.def("has_cvode", &solvers::has_cvode);
  s.def("live_sundials_objects", &solvers::live_sundials_objects);
}

}  // namespace hesse::python
