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

solvers::Rhs of_time_and_state(const Fn& f) {
  return [&f](const Array& t, std::span<const Array> y) {
    Arrays in{t};
    in.insert(in.end(), y.begin(), y.end());
    return f(in);
  };
}

namespace {

solvers::Event event(const Fn& g, int64_t terminal, int direction) {
  return {[h = of_time_and_state(g)](const Array& t, std::span<const Array> y) { return h(t, y)[0]; },
          terminal, direction};
}
using BacksolveOptions = std::tuple<std::string, std::optional<Array>, std::optional<Array>>;
solvers::Adjoint adjoint_of(const std::string& name, int64_t checkpoint_every, const BacksolveOptions& back) {
  if (name == "Discrete") return solvers::Discrete{checkpoint_every};
  if (name == "Interpolating") return solvers::Interpolating{};
  if (name == "Forward") return solvers::Forward{};
  if (name == "Backsolve") return solvers::Backsolve{std::get<0>(back), std::get<1>(back), std::get<2>(back)};
  return {};
}
// None, a matrix, or the parts of a sparse one.
std::optional<solvers::Mass> mass_of(const Arrays& x) {
  if (x.empty()) return std::nullopt;
  if (x.size() == 1) return x[0];
  return sparse::CSR{x[0], {x[1], x[2], x[3]}, {x[4], x[5], x[6]}};
}

}  // namespace

void init_solvers(py::module_& m) {
  py::module_ s = m.def_submodule("solvers", "Solvers on flat lists of arrays.");
  s.def(
      "solve_ivp",
      [](const Fn& f, const Array& t0, const Array& t1, const Arrays& y0, const std::string& method,
         std::optional<Array> t_eval, const Array& rtol, const Arrays& atol, std::optional<Array> first_step,
         std::optional<Array> max_step, int64_t max_steps, bool throw_on_failure,
         const std::string& linear_solver, const std::optional<Fn>& second, const std::string& adjoint,
         int64_t checkpoint_every, const std::vector<std::tuple<Fn, int64_t, int>>& conditions,
         std::optional<int64_t> max_events, bool dense_output, const std::optional<Fn>& save,
         std::optional<Array> breakpoints, const Arrays& mass, const BacksolveOptions& backsolve,
         std::vector<std::string> names, const std::optional<Fn>& progress, double progress_interval) {
        std::vector<solvers::Event> events;
        for (const auto& [g, terminal, direction] : conditions)
          events.push_back(event(g, terminal, direction));
        const solvers::IvpOptions options{.method = method,
                                          .t_eval = std::move(t_eval),
                                          .rtol = rtol,
                                          .atol = atol,
                                          .first_step = std::move(first_step),
                                          .max_step = std::move(max_step),
                                          .max_steps = max_steps,
                                          .throw_on_failure = throw_on_failure,
                                          .linear_solver = linear_solver,
                                          .events = std::move(events),
                                          .max_events = max_events,
                                          .adjoint = adjoint_of(adjoint, checkpoint_every, backsolve),
                                          .dense_output = dense_output,
                                          .save = save ? of_time_and_state(*save) : solvers::Rhs(),
                                          .breakpoints = std::move(breakpoints),
                                          .mass = mass_of(mass),
                                          .progress = progress_to(progress),
                                          .progress_interval = progress_interval,
                                          .names = std::move(names)};
        const solvers::Rhs first = of_time_and_state(f);
        const py::gil_scoped_release unlocked;
        const solvers::Solution sol =
            second ? solvers::solve_ivp(solvers::SplitRhs{first, of_time_and_state(*second)}, t0, t1, y0,
                                        options)
                   : solvers::solve_ivp(first, t0, t1, y0, options);
        using Found = std::tuple<std::vector<Array>, std::vector<Arrays>, Arrays, Array, Array, Arrays>;
        std::optional<Found> found;
        if (!conditions.empty())
          found = {sol.t_events, sol.y_events, sol.event_counts, sol.terminal_event, sol.t_end, sol.y_end};
        std::optional<std::tuple<GraphObject, size_t, Arrays>> dense;
        if (sol.dense)
          dense = {GraphObject{sol.dense->graph()}, sol.dense->num_tables(), sol.dense->arrays()};
        return std::tuple(sol.t, sol.y, sol.status, sol.accepted, sol.rejected, sol.evaluations,
                          sol.factorisations, sol.t_last, sol.h_last, sol.chosen, sol.implicit_steps, found,
                          dense, diagnosis_fields(sol));
      },
      "f"_a, "t0"_a, "t1"_a, "y0"_a, "method"_a, "t_eval"_a, "rtol"_a, "atol"_a, "first_step"_a, "max_step"_a,
      "max_steps"_a, "throw_on_failure"_a, "linear_solver"_a = "auto", "second"_a = py::none(),
      "adjoint"_a = "", "checkpoint_every"_a = 0, "events"_a = py::list(), "max_events"_a = py::none(),
      "dense_output"_a = false, "save"_a = py::none(), "breakpoints"_a = py::none(), "mass"_a = py::list(),
      "backsolve"_a = BacksolveOptions(), "names"_a = std::vector<std::string>(), "progress"_a = py::none(),
      "progress_interval"_a = 0.5);
  s.def(
      "split_of", [](const std::string& method) { return static_cast<int64_t>(solvers::split_of(method)); },
      "method"_a);
  s.def(
      "dense_values",
      [](const GraphObject& at, size_t num_tables, const Arrays& arrays, const Array& t) {
        const py::gil_scoped_release unlocked;
        return solvers::DenseOutput(at.graph, num_tables, arrays)(t);
      },
      "at"_a, "num_tables"_a, "arrays"_a, "t"_a);
  s.def(
      "describe", [](int64_t status) { return solvers::describe(static_cast<solvers::IvpStatus>(status)); },
      "status"_a);
  s.def("method_names", [] { return solvers::method_names(); });
  init_solvers_diagnosis(s);
  init_solvers_equations(s);
  init_solvers_dae(s);
  init_solvers_interpolation(s);
  init_solvers_sde(s);
  init_solvers_sparse(s);
  s.def("has_cvode", &solvers::has_cvode);
  s.def("live_sundials_objects", &solvers::live_sundials_objects);
}

}  // namespace hesse::python
