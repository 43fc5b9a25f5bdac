#include <unordered_map>

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/function.h"
#include "bindings/tree.h"
#include "core/ops/control.h"

/// Recorded versions of a compiled function and how a call finds its own, without Python in between.
namespace hesse::python {

using namespace py::literals;

namespace {

/// What decides whether a recorded program fits a call: structures, shapes, dtypes, static arguments.
struct Signature {
  TreeDef args, captured;
  Avals avals;
  std::vector<bool> weak;
  DType dtype = DType::Float64;
  py::object fixed;  // compared by ==
  size_t hash = 0;

  void finish() {
    hash = args.hash() * 31 + captured.hash();
    for (const Aval& a : avals) {
      for (const int64_t d : a.shape) hash = hash * 1000003 + static_cast<size_t>(d);
      hash = hash * 1000003 + static_cast<size_t>(a.dtype) + 1;
    }
    if (!fixed.is_none()) hash = hash * 1000003 + static_cast<size_t>(py::hash(fixed));
  }
  bool operator==(const Signature& o) const {
    return hash == o.hash && avals == o.avals && weak == o.weak && dtype == o.dtype && args == o.args &&
           captured == o.captured && (fixed.is(o.fixed) || fixed.equal(o.fixed));
  }
};
struct HashOf {
  size_t operator()(const Signature& s) const { return s.hash; }
};

/// One call: its arrays and its signature. Arrays and numbers among the arguments are inputs, and the arrays
/// that were captured; everything else is part of the structure.
struct Call {
  Signature signature;
  Arrays arrays;
  Call(py::handle args, py::handle captured, py::handle fixed) {
    std::vector<py::object> leaves;
    signature.args = TreeDef::flatten(args, leaves, TreeDef::Leaves::Numeric);
    signature.captured = TreeDef::flatten(captured, leaves, TreeDef::Leaves::Arrays);
    signature.dtype = default_dtype();
    signature.fixed = py::reinterpret_borrow<py::object>(fixed);
    arrays.reserve(leaves.size());
    for (const py::object& leaf : leaves) {
      arrays.push_back(require_array(leaf.ptr(), "compile"));
      signature.avals.push_back(aval(arrays.back()));
      signature.weak.push_back(arrays.back().is_weak());
    }
    signature.finish();
  }
};

struct Program {
  Compiled compiled;
  TreeDef out;

  py::object operator()(const Arrays& arrays) const {
    const Arrays values = [&] {
      const py::gil_scoped_release unlocked;
      return compiled(arrays);
    }();
    std::vector<py::object> leaves;
    leaves.reserve(values.size());
    for (const Array& v : values) leaves.push_back(py::cast(v));
    return out.unflatten(leaves);
  }
};

struct Programs {
  std::unordered_map<Signature, std::shared_ptr<const Program>, HashOf> known;
};

}  // namespace

void init_compile(py::module_& m) {
  py::class_<Call>(m, "_Call")
      .def(py::init<py::handle, py::handle, py::handle>(), "args"_a, "captured"_a, "fixed"_a, py::pos_only())
      .def_property_readonly("arrays", [](const Call& c) { return c.arrays; })
      .def_property_readonly(
          "args", [](const Call& c) { return c.signature.args; }, "The structure of the arguments.")
      .def_property_readonly(
          "captured", [](const Call& c) { return c.signature.captured; },
          "The structure of what was captured.");
  py::class_<Program, std::shared_ptr<Program>>(m, "_Program")
      .def_property_readonly("graph", [](const Program& p) { return GraphObject{p.compiled.graph}; })
      .def_property_readonly("program", [](const Program& p) { return GraphObject{p.compiled.program()}; })
      .def_property_readonly("num_captures", [](const Program& p) { return p.compiled.captures.size(); })
      .def(
          "__call__", [](const Program& p, const Call& c) { return p(c.arrays); }, "call"_a, py::pos_only());
  m.def(
      "_record",
      [](const Fn& f, const Call& call, py::function structure) {
        Compiled compiled = [&] {
          const py::gil_scoped_release unlocked;
          return compile(f, call.signature.avals);
        }();
        return std::make_shared<Program>(Program{std::move(compiled), structure().cast<const TreeDef&>()});
      },
      "f"_a, "call"_a, "structure"_a, py::pos_only(),
      "Records f; structure() is asked for that of its output afterwards.");
  py::class_<Programs>(m, "_Programs")
      .def(py::init<>())
      .def(
          "run",
          [](const Programs& p, py::handle args, py::handle captured, py::handle fixed) -> py::object {
            const Call call(args, captured, fixed);
            const auto found = p.known.find(call.signature);
            if (found == p.known.end()) return py::ellipsis();
            const auto program = found->second;  // kept while it runs: another thread may clear the table
            return (*program)(call.arrays);
          },
          "args"_a, "captured"_a, "fixed"_a, py::pos_only(),
          "The result, or ... when there is no program for this call.")
      .def(
          "find",
          [](const Programs& p, const Call& call) -> std::shared_ptr<Program> {
            const auto found = p.known.find(call.signature);
            return found == p.known.end() ? nullptr : std::const_pointer_cast<Program>(found->second);
          },
          "call"_a, py::pos_only())
      .def(
          "add",
          [](Programs& p, const Call& call, const std::shared_ptr<Program>& program) {
            p.known.insert_or_assign(call.signature, program);
          },
          "call"_a, "program"_a, py::pos_only())
      .def("clear", [](Programs& p) { p.known.clear(); })
      .def("__len__", [](const Programs& p) {
        std::vector<const Program*> distinct;
        for (const auto& [signature, program] : p.known) distinct.push_back(program.get());
        std::sort(distinct.begin(), distinct.end());
        return std::unique(distinct.begin(), distinct.end()) - distinct.begin();
      });
}

}  // namespace hesse::python
