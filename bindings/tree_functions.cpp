#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_tree.h"
#include "bindings/tree.h"

namespace hesse::python {
namespace {

std::string describe_leaf(py::handle h) { return Py_TYPE(h.ptr())->tp_name; }

/// Flattens what a function returned or was given: every leaf must be an array or a number.
std::pair<std::vector<py::object>, TreeDef> flatten_arrays(py::handle tree, const std::string& what) {
  std::vector<py::object> leaves;
  if (is_array(tree.ptr())) {
    leaves.push_back(py::reinterpret_borrow<py::object>(tree));
    return {std::move(leaves), TreeDef()};
  }
  TreeDef def = TreeDef::flatten(tree, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (is_array(leaves[i].ptr())) continue;
    Array a;
    if (!to_array(leaves[i].ptr(), a))
      throw TypeError(concat(what, def.paths()[i], " is a ", describe_leaf(leaves[i]),
                             "; it must be an array or a number"));
    leaves[i] = py::reinterpret_steal<py::object>(new_array(std::move(a)));
  }
  return {std::move(leaves), std::move(def)};
}

py::object tree_map(const py::function& f, py::handle tree, const py::args& rest, py::handle is_leaf) {
  std::vector<py::object> leaves;
  const TreeDef def = TreeDef::flatten(tree, leaves, is_leaf);
  std::vector<std::vector<py::object>> others;
  for (const py::handle other : rest) others.push_back(def.flatten_up_to(other, "tree_map"));
  for (size_t i = 0; i < leaves.size(); ++i) {
    py::tuple args(1 + others.size());
    args[0] = leaves[i];
    for (size_t k = 0; k < others.size(); ++k) args[k + 1] = others[k][i];
    leaves[i] = f(*args);
  }
  return def.unflatten(leaves);
}

}  // namespace

void init_tree(py::module_& m) {
  using namespace py::literals;
  py::class_<TreeDef>(m, "TreeDef", text(docs::kTreeDef))
      .def_property_readonly("num_leaves", &TreeDef::num_leaves)
      .def_property_readonly("is_leaf", &TreeDef::is_leaf, "Whether the tree is a single leaf.")
      .def("unflatten", &TreeDef::unflatten, "leaves"_a, py::pos_only())
      .def("flatten_up_to", &TreeDef::flatten_up_to, "tree"_a, "function"_a = "tree_map", py::pos_only(),
           "What the tree holds at the places of this structure's leaves.")
      .def("paths", &TreeDef::paths, "How to reach each leaf.")
      .def("buffers", &TreeDef::buffers,
           "Whether each leaf is a buffer of a Module: data that is not trained.")
      .def("_parts", &TreeDef::parts)
      .def("__eq__", [](const TreeDef& d,
                        py::handle o) { return py::isinstance<TreeDef>(o) && d == o.cast<const TreeDef&>(); })
      .def("__hash__", [](const TreeDef& d) { return static_cast<Py_ssize_t>(d.hash() >> 1); })
      .def("__repr__", [](const TreeDef& d) { return "TreeDef(" + d.to_string() + ")"; })
      .def("__str__", &TreeDef::to_string);
  m.def(
      "tree_flatten",
      [](py::handle tree, py::handle is_leaf) {
        std::vector<py::object> leaves;
        TreeDef def = TreeDef::flatten(tree, leaves, is_leaf);
        return std::make_pair(std::move(leaves), std::move(def));
      },
      "tree"_a, "is_leaf"_a = py::none(), text(docs::kTreeFlatten));
  m.def(
      "tree_leaves",
      [](py::handle tree, py::handle is_leaf) {
        std::vector<py::object> leaves;
        TreeDef::flatten(tree, leaves, is_leaf);
        return leaves;
      },
      "tree"_a, "is_leaf"_a = py::none(), text(docs::kTreeLeaves));
  m.def(
      "tree_structure",
      [](py::handle tree, py::handle is_leaf) {
        std::vector<py::object> leaves;
        return TreeDef::flatten(tree, leaves, is_leaf);
      },
      "tree"_a, "is_leaf"_a = py::none(), text(docs::kTreeStructure));
  m.def(
      "tree_unflatten",
      [](const TreeDef& def, const std::vector<py::object>& leaves) { return def.unflatten(leaves); },
      "treedef"_a, "leaves"_a, text(docs::kTreeUnflatten));
  m.def("tree_map", &tree_map, "f"_a, "tree"_a, py::pos_only(), py::kw_only(), "is_leaf"_a = py::none(),
        text(docs::kTreeMap));
  m.def(
      "_holds_arrays",
      [](py::handle tree) {
        std::vector<py::object> leaves;
        TreeDef::flatten(tree, leaves, TreeDef::Leaves::Arrays);
        return !leaves.empty();
      },
      "tree"_a, py::pos_only(), "Whether there are arrays in a tree.");
  m.def(
      "_inexact_positions",
      [](const std::vector<py::object>& leaves, const TreeDef& def) {
        std::vector<bool> buffers;
        std::vector<size_t> out;
        for (size_t k = 0; k < leaves.size(); ++k) {
          const auto t = leaf_dtype(leaves[k]);
          if (!t || !is_inexact(*t)) continue;
          if (buffers.empty()) buffers = def.buffers();
          if (!buffers[k]) out.push_back(k);
        }
        return out;
      },
      "leaves"_a, "treedef"_a, py::pos_only(),
      "Which leaves have derivatives: floating or complex, and no buffers.");
  m.def(
      "_array_positions",
      [](const std::vector<py::object>& leaves) {
        std::vector<size_t> out;
        for (size_t k = 0; k < leaves.size(); ++k)
          if (leaf_dtype(leaves[k])) out.push_back(k);
        return out;
      },
      "leaves"_a, py::pos_only(), "Which leaves are arrays or numbers.");
  m.def(
      "_is_numeric", [](py::handle o) { return leaf_dtype(o).has_value(); }, "leaf"_a, py::pos_only(),
      "Whether this is an array or a number.");
  m.def("_tree_from_parts", &TreeDef::from_parts, "parts"_a, py::pos_only());
  m.def("_flatten_arrays", &flatten_arrays, "tree"_a, "what"_a, py::pos_only());
}

}  // namespace hesse::python
