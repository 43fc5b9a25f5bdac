#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/solvers.h"
#include "solvers/linear.h"
#include "solvers/sparse_solve.h"

/// Sparse direct solutions, documented in hesse/solvers.
namespace hesse::python {

using namespace py::literals;

void init_solvers_sparse(py::module_& s) {
  using A = const Array&;
  s.def("has_klu", &solvers::has_klu);
  s.def("klu_counts", [] {
    const solvers::KluCounts c = solvers::klu_counts();
    return std::tuple(c.analyses, c.factorisations);
  });
  s.def(
      "linear_solve_sparse",
      [](A data, A starts, A columns, A entries, A col_starts, A col_columns, A col_entries, A b,
         const std::string& method, bool throw_on_failure) {
        const py::gil_scoped_release unlocked;
        const sparse::CSR a{data, {starts, columns, entries}, {col_starts, col_columns, col_entries}};
        const solvers::LinearSolution out =
            solvers::linear_solve(a, b, {.method = method, .throw_on_failure = throw_on_failure});
        return std::tuple(out.x, out.status, out.steps, out.residual);
      },
      "data"_a, "indptr"_a, "indices"_a, "entries"_a, "by_col_indptr"_a, "by_col_indices"_a,
      "by_col_entries"_a, "b"_a, "method"_a, "throw_on_failure"_a);
}

}  // namespace hesse::python
