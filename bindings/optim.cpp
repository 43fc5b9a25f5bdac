#include "core/nn/optim.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "core/nn/lbfgs.h"

namespace hesse::python {

using namespace py::literals;

namespace {

Array vector_of(const std::vector<double>& v) {
  return Array::from<double>(v, {static_cast<int64_t>(v.size())});
}
std::vector<double> values_of(const Array& a) { return astype(a, kFloat64).to_vector<double>(); }

// Rows as one matrix [pairs, parameters].
Array matrix_of(const std::vector<std::vector<double>>& rows, size_t columns) {
  std::vector<double> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  return Array::from<double>(all, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(columns)});
}
std::vector<std::vector<double>> rows_of(const Array& a) {
  require(a.ndim() == 2, "lbfgs: a state's history must be a matrix, got ", describe(a));
  std::vector<std::vector<double>> rows;
  for (const Array& row : a.dim(0) == 0 ? Arrays{} : unstack(a)) rows.push_back(values_of(row));
  return rows;
}

py::dict save(const optim::Lbfgs& o) {
  const optim::LbfgsState& s = o.state();
  return py::dict("x"_a = vector_of(s.x), "gradient"_a = vector_of(s.gradient),
                  "value"_a = Array::from<double>({s.value}), "steps"_a = matrix_of(s.steps, s.x.size()),
                  "changes"_a = matrix_of(s.changes, s.x.size()),
                  "counts"_a = Array::from<int64_t>({s.iterations, s.evaluations}));
}

optim::LbfgsState load(const py::dict& d) {
  const auto get = [&](const char* key) {
    require(d.contains(key), "lbfgs: the state has no entry \"", key, "\"");
    return require_array(d[key].ptr(), "lbfgs");
  };
  const auto value = values_of(get("value"));
  const auto counts = astype(get("counts"), kInt64).to_vector<int64_t>();
  require(value.size() == 1 && counts.size() == 2, "lbfgs: the state needs one value and two counts");
  return {.x = values_of(get("x")),
          .gradient = values_of(get("gradient")),
          .value = value[0],
          .steps = rows_of(get("steps")),
          .changes = rows_of(get("changes")),
          .iterations = counts[0],
          .evaluations = counts[1]};
}

// The Python callback: x -> (value, gradient). Its exceptions pass through.
std::string step(optim::Lbfgs& o, const py::function& f) {
  const auto evaluate = [&](std::span<const double> x, std::span<double> gradient) {
    const py::tuple result = f(Array::from<double>(x, {static_cast<int64_t>(x.size())}));
    require<TypeError>(result.size() == 2, "lbfgs: the function must return (value, gradient), got ",
                       result.size(), " results");
    const Array g = require_array(result[1].ptr(), "lbfgs");
    require(g.shape() == Shape{static_cast<int64_t>(x.size())}, "lbfgs: the gradient must be a vector of ",
            x.size(), " entries, got ", describe(g));
    const auto values = values_of(g);
    std::copy(values.begin(), values.end(), gradient.begin());
    return astype(require_array(result[0].ptr(), "lbfgs"), kFloat64).item<double>();
  };
  switch (o.step(evaluate)) {
    case optim::LbfgsStatus::Running:
      return "running";
    case optim::LbfgsStatus::GradientConverged:
      return "gradient_converged";
    case optim::LbfgsStatus::ValueConverged:
      return "value_converged";
    case optim::LbfgsStatus::LineSearchFailed:
      return "line_search_failed";
  }
  return {};
}

}  // namespace

void init_optim(py::module_& m) {
  py::module_ o = m.def_submodule("optim");

  py::class_<optim::Schedule>(o, "Schedule",
                              "A learning rate per step: a function of the number of steps done.")
      .def(
          "__call__",
          [](const optim::Schedule& s, const In& done) {
            return s(require_array(done.object.ptr(), "schedule"));
          },
          "step"_a);
  o.def("constant", optim::constant, "rate"_a);
  o.def("exponential_decay", optim::exponential_decay, "rate"_a, "factor"_a, "steps"_a);
  o.def("cosine_decay", optim::cosine_decay, "rate"_a, "steps"_a, "last"_a = 0.0);
  o.def("piecewise", optim::piecewise, "rates"_a, "boundaries"_a);
  o.def("warmup", optim::warmup, "steps"_a, "after"_a);

  o.def("sgd", [](const Arrays& p, const MaybeArrays& g, const Arrays& velocity, const Array& rate,
                  double momentum, bool nesterov, double weight_decay) {
    optim::SgdResult r = optim::sgd(p, g, velocity, rate, {momentum, nesterov, weight_decay});
    return py::make_tuple(std::move(r.parameters), std::move(r.velocity));
  });
  o.def("adam", [](const Arrays& p, const MaybeArrays& g, const Arrays& first, const Arrays& second,
                   const Array& done, const Array& rate, double beta1, double beta2, double epsilon,
                   double weight_decay, double l2) {
    optim::AdamResult r =
        optim::adam(p, g, first, second, done, rate, {beta1, beta2, epsilon, weight_decay, l2});
    return py::make_tuple(std::move(r.parameters), std::move(r.first), std::move(r.second));
  });
  o.def("clip_by_global_norm", &optim::clip_by_global_norm);
  o.def("global_norm", &optim::global_norm);
  o.def("ravel", &optim::ravel);
  o.def("unravel", &optim::unravel);

  const auto options = [](int64_t history, int64_t max_evaluations, double c1, double c2,
                          double gradient_tolerance, double value_tolerance) {
    return optim::LbfgsOptions{history, max_evaluations, c1, c2, gradient_tolerance, value_tolerance};
  };
  py::class_<optim::Lbfgs>(o, "Lbfgs", "One minimisation by L-BFGS on a flat vector of float64 parameters.")
      .def(py::init(
          [=](const Array& x, int64_t history, int64_t evaluations, double c1, double c2, double g,
              double v) { return optim::Lbfgs(values_of(x), options(history, evaluations, c1, c2, g, v)); }))
      .def(py::init(
          [=](const py::dict& state, int64_t history, int64_t evaluations, double c1, double c2, double g,
              double v) { return optim::Lbfgs(load(state), options(history, evaluations, c1, c2, g, v)); }))
      .def("step", &step, "function"_a, "One iteration; returns the status.")
      .def("function_changed", &optim::Lbfgs::function_changed, "forget"_a = false)
      .def("state", &save, "Everything remembered, as a dict of arrays.")
      .def_property_readonly("x", [](const optim::Lbfgs& l) { return vector_of(l.x()); })
      .def_property_readonly("value", &optim::Lbfgs::value)
      .def_property_readonly("iterations", [](const optim::Lbfgs& l) { return l.state().iterations; })
      .def_property_readonly("evaluations", [](const optim::Lbfgs& l) { return l.state().evaluations; });
}

}  // namespace hesse::python
