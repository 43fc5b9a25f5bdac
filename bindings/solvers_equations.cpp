#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/function.h"
#include "solvers/linear.h"
#include "solvers/minimise.h"
#include "solvers/root.h"

/// Equations on flat lists of arrays, documented in hesse/solvers.
namespace hesse::python {

using namespace py::literals;

namespace {
std::tuple<Arrays, Array, Array, Array, Array, Array> fields(const solvers::Minimum& m) {
  return {m.x, m.value, m.status, m.steps, m.evaluations, m.residual};
}
}  // namespace

void init_solvers_equations(py::module_& s) {
  // function: "root_solve", "fixed_point" or "steady_state"
  s.def(
      "root_solve",
      [](const std::string& function, const Fn& f, const Arrays& x0, const std::string& method,
         std::optional<Array> rtol, const Arrays& atol, int64_t max_steps, int64_t history,
         bool throw_on_failure, const std::string& linear_solver, std::optional<double> linear_rtol) {
        const py::gil_scoped_release unlocked;
        const auto solver = function == "fixed_point"    ? solvers::fixed_point
                            : function == "steady_state" ? solvers::steady_state
                                                         : solvers::root_solve;
        solvers::Root out = solver(f, x0,
                                   {.method = method,
                                    .rtol = std::move(rtol),
                                    .atol = atol,
                                    .max_steps = max_steps,
                                    .history = history,
                                    .throw_on_failure = throw_on_failure,
                                    .implicit = {.linear_solver = linear_solver, .rtol = linear_rtol}});
        return std::tuple(out.x, out.status, out.steps, out.evaluations, out.residual);
      },
      "function"_a, "f"_a, "x0"_a, "method"_a, "rtol"_a, "atol"_a, "max_steps"_a, "history"_a,
      "throw_on_failure"_a, "linear_solver"_a, "linear_rtol"_a);
  s.def(
      "minimise",
      [](const Fn& f, const Arrays& x0, const std::string& method, std::optional<Array> gtol,
         int64_t max_steps, int64_t history, bool throw_on_failure, const std::string& linear_solver,
         std::optional<double> linear_rtol) {
        const py::gil_scoped_release unlocked;
        return fields(solvers::minimise(f, x0,
                                        {.method = method,
                                         .gtol = std::move(gtol),
                                         .max_steps = max_steps,
                                         .history = history,
                                         .throw_on_failure = throw_on_failure,
                                         .implicit = {.linear_solver = linear_solver, .rtol = linear_rtol}}));
      },
      "f"_a, "x0"_a, "method"_a, "gtol"_a, "max_steps"_a, "history"_a, "throw_on_failure"_a,
      "linear_solver"_a, "linear_rtol"_a);
  s.def(
      "least_squares",
      [](const Fn& residual, const Arrays& x0, std::optional<Array> rtol, const Arrays& atol,
         std::optional<Array> gtol, int64_t max_steps, bool throw_on_failure,
         const std::string& linear_solver, std::optional<double> linear_rtol) {
        const py::gil_scoped_release unlocked;
        return fields(
            solvers::least_squares(residual, x0,
                                   {.rtol = std::move(rtol),
                                    .atol = atol,
                                    .gtol = std::move(gtol),
                                    .max_steps = max_steps,
                                    .throw_on_failure = throw_on_failure,
                                    .implicit = {.linear_solver = linear_solver, .rtol = linear_rtol}}));
      },
      "residual"_a, "x0"_a, "rtol"_a, "atol"_a, "gtol"_a, "max_steps"_a, "throw_on_failure"_a,
      "linear_solver"_a, "linear_rtol"_a);
  s.def(
      "linear_solve",
      [](const std::optional<Fn>& a, const std::optional<Array>& matrix, const Arrays& b,
         const std::string& method, std::optional<Fn> preconditioner, std::optional<Array> rtol,
         const Array& atol, std::optional<Arrays> x0, std::optional<int64_t> max_steps, int64_t restart,
         bool throw_on_failure) {
        const py::gil_scoped_release unlocked;
        const solvers::LinearOptions options{.method = method,
                                             .preconditioner = preconditioner.value_or(Fn()),
                                             .rtol = std::move(rtol),
                                             .atol = atol,
                                             .x0 = std::move(x0),
                                             .max_steps = max_steps,
                                             .restart = restart,
                                             .throw_on_failure = throw_on_failure};
        const solvers::LinearSolution out = a ? solvers::linear_solve(*a, b, options)
                                              : solvers::linear_solve(matrix.value(), b.at(0), options);
        return std::tuple(out.x, out.status, out.steps, out.residual);
      },
      "a"_a, "matrix"_a, "b"_a, "method"_a, "preconditioner"_a, "rtol"_a, "atol"_a, "x0"_a, "max_steps"_a,
      "restart"_a, "throw_on_failure"_a);
  s.def(
      "implicit_function",
      [](const Fn& f, const Arrays& x, const std::string& linear_solver, std::optional<double> linear_rtol) {
        const py::gil_scoped_release unlocked;
        return solvers::implicit_function(f, x, {.linear_solver = linear_solver, .rtol = linear_rtol});
      },
      "f"_a, "x"_a, "linear_solver"_a, "linear_rtol"_a);
  s.def(
      "describe_solve",
      [](int64_t status) { return solvers::describe(static_cast<solvers::SolveStatus>(status)); },
      "status"_a);
}

}  // namespace hesse::python
