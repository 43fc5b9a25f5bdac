#include <array>

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/solvers.h"

/// Why a solve gave up and how far it is, documented in hesse/solvers.
namespace hesse::python {

using namespace py::literals;

DiagnosisFields diagnosis_fields(const solvers::Solution& sol) {
  if (!sol.diagnosis) return std::nullopt;
  const solvers::Diagnosis& d = *sol.diagnosis;
  return std::tuple(d.cause, d.t, d.step, d.array, d.entry, d.excess, d.radius, d.implicit);
}

solvers::ProgressFn progress_to(const std::optional<Fn>& f) {
  if (!f) return {};
  return [call = *f](const solvers::IvpProgress& p) {
    const auto of = [](auto v) { return Array::from<decltype(v)>(std::array{v}, {}); };
    call(Arrays{of(p.t0), of(p.t1), of(p.t), of(p.step), of(p.accepted), of(p.rejected), of(p.elapsed),
                of(p.remaining), Array(p.done)});
  };
}

void init_solvers_diagnosis(py::module_& s) {
  s.def(
      "describe_cause",
      [](int64_t cause) { return solvers::describe(static_cast<solvers::IvpCause>(cause)); }, "cause"_a);
  s.def(
      "advice",
      [](int64_t cause, double stiffness, bool implicit) {
        return solvers::advice(static_cast<solvers::IvpCause>(cause), stiffness, implicit);
      },
      "cause"_a, "stiffness"_a, "implicit"_a);
  s.def(
      "describe_diagnosis",
      [](const Arrays& found, const Array& t, const Array& step, bool implicit,
         const std::vector<std::string>& paths, const std::vector<Dims>& shapes) {
        return solvers::describe(solvers::Diagnosis{found[0],
                                                    t,
                                                    step,
                                                    found[1],
                                                    found[2],
                                                    found[3],
                                                    found[4],
                                                    implicit,
                                                    {paths, {shapes.begin(), shapes.end()}}});
      },
      "found"_a, "t"_a, "step"_a, "implicit"_a, "paths"_a, "shapes"_a);
  s.def(
      "name_of_entry",
      [](int64_t array, int64_t entry, const std::vector<std::string>& paths,
         const std::vector<Dims>& shapes) {
        return solvers::StateNames{paths, {shapes.begin(), shapes.end()}}.of(array, entry);
      },
      "array"_a, "entry"_a, "paths"_a, "shapes"_a);
}

}  // namespace hesse::python
