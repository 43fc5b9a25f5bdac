#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/function.h"
#include "bindings/solvers.h"
#include "solvers/dae.h"

/// Differential-algebraic equations on flat lists of arrays, documented in hesse/solvers.
namespace hesse::python {

using namespace py::literals;

void init_solvers_dae(py::module_& s) {
  s.def(
      "solve_dae",
      [](const Fn& f, const Array& t0, const Array& t1, const Arrays& y0, const Arrays& yp0,
         std::optional<Array> t_eval, const Array& rtol, const Arrays& atol, std::optional<Arrays> algebraic,
         bool find_start, std::optional<Array> first_step, std::optional<Array> max_step, int64_t max_steps,
         bool throw_on_failure, const std::string& linear_solver, const std::optional<Fn>& progress,
         double progress_interval, std::vector<std::string> names) {
        const solvers::DaeResidual residual = [&f](const Array& t, std::span<const Array> y,
                                                   std::span<const Array> yp) {
          Arrays in{t};
          in.insert(in.end(), y.begin(), y.end());
          in.insert(in.end(), yp.begin(), yp.end());
          return f(in);
        };
        const py::gil_scoped_release unlocked;
        solvers::Solution sol = solvers::solve_dae(residual, t0, t1, y0, yp0,
                                                   {.t_eval = std::move(t_eval),
                                                    .rtol = rtol,
                                                    .atol = atol,
                                                    .algebraic = std::move(algebraic),
                                                    .find_start = find_start,
                                                    .first_step = std::move(first_step),
                                                    .max_step = std::move(max_step),
                                                    .max_steps = max_steps,
                                                    .throw_on_failure = throw_on_failure,
                                                    .linear_solver = linear_solver,
                                                    .progress = progress_to(progress),
                                                    .progress_interval = progress_interval,
                                                    .names = std::move(names)});
        return std::tuple(sol.t, sol.y, sol.status, sol.accepted, sol.rejected, sol.evaluations,
                          sol.factorisations, sol.t_last, sol.h_last, diagnosis_fields(sol));
      },
      "f"_a, "t0"_a, "t1"_a, "y0"_a, "yp0"_a, "t_eval"_a, "rtol"_a, "atol"_a, "algebraic"_a, "find_start"_a,
      "first_step"_a, "max_step"_a, "max_steps"_a, "throw_on_failure"_a, "linear_solver"_a,
      "progress"_a = py::none(), "progress_interval"_a = 0.5, "names"_a = std::vector<std::string>());
}

}  // namespace hesse::python
