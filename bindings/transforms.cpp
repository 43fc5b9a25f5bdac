#include "autodiff/autodiff.h"

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_graph.h"
#include "bindings/function.h"

/// Derivatives of functions of flat lists; hesse/_transforms.py makes trees of them. The GIL is released
/// throughout and taken again by the functions of Python that are called.
namespace hesse::python {

using namespace py::literals;

Fn to_fn(py::function f) {
  const auto held = keep(std::move(f));
  return [held](std::span<const Array> xs) {
    const py::gil_scoped_acquire gil;
    py::tuple args(xs.size());
    for (size_t i = 0; i < xs.size(); ++i) args[i] = py::cast(xs[i]);
    const auto result = py::reinterpret_steal<py::object>(PyObject_Call(held->ptr(), args.ptr(), nullptr));
    if (!result) throw py::error_already_set();
    return require_arrays(result, "a traced function");
  };
}

namespace {

using Unlock = py::call_guard<py::gil_scoped_release>;

py::cpp_function linear(LinearFn f) {
  return py::cpp_function([f = std::move(f)](const MaybeArrays& x) { return f(x); }, Unlock());
}

Mode mode_of(const std::string& name) {
  if (name == "forward") return Mode::Forward;
  if (name == "reverse") return Mode::Reverse;
  require(name == "auto", "jacobian: mode is '", name, "'; expected 'auto', 'forward' or 'reverse'");
  return Mode::Auto;
}

}  // namespace

void init_transforms(py::module_& m) {
  py::module_ t = m.def_submodule("transforms", "Derivatives of functions of flat lists of arrays.");
  t.def(
      "jvp", [](const Fn& f, const Arrays& x, const MaybeArrays& dx) { return jvp(f, x, dx); }, Unlock());
  t.def("linearise", [](const Fn& f, const Arrays& x) {
    auto [y, g] = [&] {
      const py::gil_scoped_release unlocked;
      return linearise(f, x);
    }();
    return py::make_tuple(std::move(y), linear(std::move(g)));
  });
  t.def("vjp", [](const Fn& f, const Arrays& x) {
    auto [y, g] = [&] {
      const py::gil_scoped_release unlocked;
      return vjp(f, x);
    }();
    return py::make_tuple(std::move(y), linear(std::move(g)));
  });
  t.def(
      "linear_transpose",
      [](const Fn& f, const Arrays& like, const MaybeArrays& ct) {
        return linear_transpose(f, avals_of(like), ct);
      },
      Unlock());
  t.def(
      "value_and_grad",
      [](const Fn& f, const Arrays& x, const std::vector<int>& argnums) {
        return value_and_grad(f, x, argnums);
      },
      Unlock());
  t.def(
      "jacobian",
      [](const Fn& f, const Arrays& x, const std::vector<int>& argnums, const std::string& mode) {
        return jacobian(f, x, argnums, mode_of(mode));
      },
      Unlock());
  t.def(
      "hessian",
      [](const Fn& f, const Arrays& x, const std::vector<int>& argnums) { return hessian(f, x, argnums); },
      Unlock());
  t.def(
      "hvp", [](const Fn& f, const Arrays& x, const Arrays& v) { return hvp(f, x, v); }, Unlock());
  t.def(
      "partials",
      [](const Fn& f, const Arrays& x, const std::vector<std::vector<int>>& orders) {
        return partials(f, x, orders);
      },
      Unlock());
  t.def(
      "laplacian", [](const Fn& f, const Array& x) { return laplacian(f, x); }, Unlock());
  t.def(
      "taylor",
      [](const Fn& f, const Arrays& x, const std::vector<MaybeArrays>& series) {
        return taylor(f, x, series);
      },
      Unlock());
  t.def(
      "custom_jvp", [](const Fn& f, const Fn& rule, const Arrays& x) { return custom_jvp(f, rule, x); },
      Unlock());
  t.def(
      "custom_vjp",
      [](const Fn& f, const Fn& forward, const Fn& backward, const Arrays& x) {
        return custom_vjp(f, forward, backward, x);
      },
      Unlock());
  t.def(
      "checkpoint", [](const Fn& f, const Arrays& x) { return checkpoint(f, x); }, Unlock());
  m.def("set_debug_nans", &set_debug_nans, "on"_a, py::pos_only(), text(docs::kSetDebugNans));
  m.def("debug_nans_enabled", &debug_nans, "Whether set_debug_nans is on.");
}

}  // namespace hesse::python
