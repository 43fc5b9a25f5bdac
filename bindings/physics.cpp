#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_physics.h"
#include "physics/burgers.h"
#include "physics/metrics.h"
#include "physics/sampling.h"

namespace hesse::python {

using namespace py::literals;

void init_physics(py::module_& m) {
  py::module_ p = m.def_submodule("physics");
  define(
      p, "sample",
      [](const Array& key, const std::string& method, int64_t n, int64_t d) {
        return physics::sample(method, key, n, d);
      },
      "key"_a, "method"_a, "n"_a, "d"_a, text(docs::kSample));
  define(
      p, "uniform", [](const Array& key, int64_t n, int64_t d) { return physics::uniform(key, n, d); },
      "key"_a, "n"_a, "d"_a, text(docs::kUniform));
  define(
      p, "latin_hypercube",
      [](const Array& key, int64_t n, int64_t d) { return physics::latin_hypercube(key, n, d); }, "key"_a,
      "n"_a, "d"_a, text(docs::kLatinHypercube));
  define(
      p, "sobol", [](const Array& key, int64_t n, int64_t d) { return physics::sobol(key, n, d); }, "key"_a,
      "n"_a, "d"_a, text(docs::kSobol));
  p.def("sobol_unscrambled", physics::sobol_unscrambled, "n"_a, "d"_a,
        "The Sobol sequence itself, [n, d], d <= 16.");
  define(
      p, "relative_l2",
      [](const Array& u, const Array& reference) { return physics::relative_l2(u, reference); }, "u"_a,
      "reference"_a, text(docs::kRelativeL2));
  define(
      p, "max_error", [](const Array& u, const Array& reference) { return physics::max_error(u, reference); },
      "u"_a, "reference"_a, text(docs::kMaxError));
  define_heavy(
      p, "burgers_exact",
      [](const Array& t, const Array& x, double nu, int64_t nodes) {
        return physics::burgers_exact(t, x, nu, nodes);
      },
      "t"_a, "x"_a, "nu"_a, "nodes"_a = 200, text(docs::kBurgersExact));
  p.def(
      "gauss_hermite",
      [](int64_t n) {
        physics::GaussHermite rule = physics::gauss_hermite(n);
        return py::make_tuple(std::move(rule.nodes), std::move(rule.scaled_weights));
      },
      "n"_a, "Nodes z and weights w exp(z^2) of Gauss-Hermite quadrature.");
}

}  // namespace hesse::python
