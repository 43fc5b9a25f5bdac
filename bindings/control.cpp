#include "core/ops/control.h"

#include <chrono>

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/function.h"
#include "core/ops/control_graph.h"

/// map, loops, branches, callbacks, on flat lists; hesse/_control.py makes trees of them.
namespace hesse::python {

using namespace py::literals;

namespace {

using Unlock = py::call_guard<py::gil_scoped_release>;

/// ("each",), ("uniform",), ("gather", k)
Access access_of(const py::tuple& t) {
  const auto kind = t[0].cast<std::string>();
  if (kind == "each") return Access::each();
  if (kind == "uniform") return Access::uniform();
  require(kind == "gather", "map: unknown access '", kind, "'; expected 'each', 'uniform' or ('gather', k)");
  return Access::gather(t[1].cast<int>());
}
/// ("each",), ("sum",), ("segment_sum", k, num_segments)
Result result_of(const py::tuple& t) {
  const auto kind = t[0].cast<std::string>();
  if (kind == "each") return Result::each();
  if (kind == "sum") return Result::sum();
  require(kind == "segment_sum", "map: unknown result '", kind,
          "'; expected 'each', 'sum' or ('segment_sum', k, n)");
  return Result::segment_sum(t[1].cast<int>(), t[2].cast<int64_t>());
}

/// Ctrl-C inside long loops: Python's own handlers, at most twenty times a second.
void check_signals() {
  using Clock = std::chrono::steady_clock;
  static thread_local Clock::time_point last;
  const auto now = Clock::now();
  if (now - last < std::chrono::milliseconds(50)) return;
  last = now;
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace

void init_control(py::module_& m) {
  set_interrupt_hook(&check_signals);
  py::module_ c = m.def_submodule("control", "Loops and branches on flat lists of arrays.");
  // axes_of_outputs(n) is asked after the function ran.
  c.def("vmap", [](const Fn& f, const Arrays& x, const MapAxes& in_axes, py::function axes_of_outputs) {
    const auto held = keep(std::move(axes_of_outputs));
    MapAxes out_axes;
    const Fn g = [&](std::span<const Array> xs) {
      Arrays y = f(xs);
      const py::gil_scoped_acquire gil;
      out_axes = (*held)(y.size()).cast<MapAxes>();
      return y;
    };
    const py::gil_scoped_release unlocked;
    return vmap(g, x, in_axes, out_axes);
  });
  c.def("map", [](const Fn& f, int64_t n, const Arrays& operands, const std::vector<py::tuple>& access,
                  py::function results_of_outputs, const Arrays& indices) {
    std::vector<Access> reads;
    for (const py::tuple& a : access) reads.push_back(access_of(a));
    const auto held = keep(std::move(results_of_outputs));
    const auto results = [&](size_t num_outputs) {
      const py::gil_scoped_acquire gil;
      std::vector<Result> out;
      for (const py::handle r : (*held)(num_outputs).cast<py::list>())
        out.push_back(result_of(r.cast<py::tuple>()));
      return out;
    };
    const py::gil_scoped_release unlocked;
    return map(f, n, operands, reads, results, indices);
  });
  c.def(
      "scan",
      [](const Fn& f, const Arrays& carry, const Arrays& xs, std::optional<int64_t> length, bool reverse) {
        return scan(f, carry, xs, length, reverse);
      },
      Unlock());
  c.def(
      "while_loop",
      [](const Fn& condition, const Fn& body, const Arrays& carry) {
        return while_loop(condition, body, carry);
      },
      Unlock());
  c.def(
      "fori_loop",
      [](const Array& lower, const Array& upper, const Fn& body, const Arrays& carry) {
        return fori_loop(
            lower, upper,
            [&](const Array& i, std::span<const Array> xs) {
              Arrays in{i};
              in.insert(in.end(), xs.begin(), xs.end());
              return body(in);
            },
            carry);
      },
      Unlock());
  c.def(
      "cond",
      [](const Array& predicate, const Fn& if_true, const Fn& if_false, const Arrays& operands) {
        return cond(predicate, if_true, if_false, operands);
      },
      Unlock());
  c.def(
      "switch",
      [](const Array& index, const std::vector<Fn>& branches, const Arrays& operands) {
        return switch_(index, branches, operands);
      },
      Unlock());
  c.def("callback", [](const Fn& f, const std::vector<std::pair<Shape, DType>>& outputs, const Arrays& x,
                       const std::string& name) {
    Avals avals;
    for (const auto& [shape, dtype] : outputs) avals.push_back({shape, dtype});
    const py::gil_scoped_release unlocked;
    return callback(f, avals, x, name);
  });
}

}  // namespace hesse::python
