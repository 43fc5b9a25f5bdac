#include <pybind11/numpy.h>

#include <unordered_map>

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/tree.h"

namespace hesse::python {
namespace {

/// What is known of a class; found once.
struct ClassInfo {
  TreeDef::Kind kind = TreeDef::Kind::Leaf;
  py::object names;             // dataclass: its fields
  std::vector<bool> is_static;  // dataclass: fields with metadata {"static": True}
  py::object buffers;           // Module: names of the fields that hold buffers
};

ClassInfo inspect(py::handle type) {
  ClassInfo info;
  auto* t = reinterpret_cast<PyTypeObject*>(type.ptr());
  if (py::hasattr(type, "__hesse_module__")) {
    info.kind = TreeDef::Kind::Module;
    info.buffers = py::frozenset(py::getattr(type, "__buffers__", py::tuple()));
  } else if (PyType_IsSubtype(t, &PyTuple_Type)) {
    info.kind = py::hasattr(type, "_fields") ? TreeDef::Kind::NamedTuple : TreeDef::Kind::Tuple;
  } else if (PyType_IsSubtype(t, &PyList_Type)) {
    info.kind = TreeDef::Kind::List;
  } else if (PyType_IsSubtype(t, &PyDict_Type)) {
    info.kind = TreeDef::Kind::Dict;
  } else if (py::hasattr(type, "__dataclass_fields__")) {
    info.kind = TreeDef::Kind::Dataclass;
    py::list names;
    for (const auto& [name, field] : py::dict(type.attr("__dataclass_fields__"))) {
      if (py::str(field.attr("_field_type")).attr("find")("_FIELD_CLASSVAR").cast<int>() >= 0 ||
          py::str(field.attr("_field_type")).attr("find")("_FIELD_INITVAR").cast<int>() >= 0)
        continue;
      names.append(name);
      const py::object flag = field.attr("metadata").attr("get")("static", false);
      info.is_static.push_back(PyObject_IsTrue(flag.ptr()) == 1);
    }
    info.names = py::tuple(names);
  }
  return info;
}

const ClassInfo& class_info(PyTypeObject* type) {
  static auto* const known = new std::unordered_map<PyTypeObject*, ClassInfo>();
  const auto found = known->find(type);
  if (found != known->end()) return found->second;
  Py_INCREF(type);  // a class that we know must not have its address taken by another
  return known->emplace(type, inspect(reinterpret_cast<PyObject*>(type))).first->second;
}

bool is_number(PyObject* o) {
  return PyFloat_CheckExact(o) || PyLong_CheckExact(o) || PyBool_Check(o) || PyComplex_CheckExact(o);
}

/// The fields of a Module: its __dict__.
py::dict fields_of(py::handle module) {
  return py::reinterpret_steal<py::dict>(PyObject_GenericGetDict(module.ptr(), nullptr));
}

}  // namespace

std::optional<DType> leaf_dtype(py::handle h) {
  PyObject* o = h.ptr();
  if (is_array(o)) return array_of(o).dtype();
  if (PyFloat_CheckExact(o)) return default_dtype();
  if (PyBool_Check(o)) return kBool;
  if (PyLong_CheckExact(o)) return kInt64;
  if (PyComplex_CheckExact(o)) return complex_dtype(default_dtype());
  if (py::isinstance<py::array>(h)) return dtype_from_numpy(h.attr("dtype"));
  Array a;
  return to_array(o, a) ? std::optional(a.dtype()) : std::nullopt;
}

struct Flattener {
  std::vector<py::object>& leaves;
  PyObject* is_leaf;  // or null
  bool numeric_only = false;

  TreeDef leaf(py::handle h, bool buffer) const {
    leaves.push_back(py::reinterpret_borrow<py::object>(h));
    TreeDef def;
    def.buffer_ = buffer;
    return def;
  }
  void add(TreeDef& def, TreeDef child) const {
    def.num_leaves_ += child.num_leaves_;
    def.children_.push_back(std::move(child));
  }

  TreeDef flatten(py::handle h, bool in_module, bool buffer) const {
    PyObject* o = h.ptr();
    if (is_array(o)) return leaf(h, buffer);
    if (is_leaf && py::cast<bool>(py::handle(is_leaf)(h))) return leaf(h, buffer);
    TreeDef def;
    def.num_leaves_ = 0;
    if (o == Py_None) {
      def.kind_ = TreeDef::Kind::None;
      return def;
    }
    if (is_number(o)) return in_module ? fixed(h) : leaf(h, buffer);
    if (PyUnicode_Check(o)) return in_module || numeric_only ? fixed(h) : leaf(h, buffer);
    const ClassInfo& info = class_info(Py_TYPE(o));
    if (info.kind == TreeDef::Kind::Leaf) {
      const bool numpy = py::isinstance<py::array>(h);
      return (in_module && !numpy) || (numeric_only && !numpy && !leaf_dtype(h)) ? fixed(h) : leaf(h, buffer);
    }
    const Deeper deeper;
    def.kind_ = info.kind;
    switch (info.kind) {
      case TreeDef::Kind::NamedTuple:
        def.type_ = py::type::of(h);
        def.names_ = def.type_.attr("_fields");
        [[fallthrough]];
      case TreeDef::Kind::Tuple:
        def.children_.reserve(static_cast<size_t>(PyTuple_GET_SIZE(o)));
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); ++i)
          add(def, flatten(PyTuple_GET_ITEM(o, i), in_module, buffer));
        break;
      case TreeDef::Kind::List: {
        const auto items = py::reinterpret_borrow<py::list>(h);
        def.children_.reserve(items.size());
        for (size_t i = 0; i < items.size(); ++i) add(def, flatten(items[i], in_module, buffer));
        break;
      }
      case TreeDef::Kind::Dict:
        flatten_dict(h, def, in_module, buffer);
        break;
      case TreeDef::Kind::Dataclass: {
        def.type_ = py::type::of(h);
        def.names_ = info.names;
        size_t i = 0;
        for (const py::handle name : py::tuple(info.names)) {
          const py::object value = py::getattr(h, name);
          add(def, info.is_static[i++] ? fixed(value) : flatten(value, in_module, buffer));
        }
        break;
      }
      default: {  // Module
        def.type_ = py::type::of(h);
        const py::dict fields = fields_of(h);
        py::tuple names(fields.size());
        size_t i = 0;
        for (const auto& [name, value] : fields) {
          names[i++] = name;
          add(def, flatten(value, true, buffer || info.buffers.contains(name)));
        }
        def.names_ = names;
      }
    }
    return def;
  }

  TreeDef fixed(py::handle value) const {
    TreeDef def;
    def.kind_ = TreeDef::Kind::Static;
    def.num_leaves_ = 0;
    def.value_ = py::reinterpret_borrow<py::object>(value);
    return def;
  }

  void flatten_dict(py::handle h, TreeDef& def, bool in_module, bool buffer) const {
    const auto dict = py::reinterpret_borrow<py::dict>(h);
    auto inserted = py::reinterpret_steal<py::list>(PyDict_Keys(h.ptr()));
    auto sorted = py::reinterpret_steal<py::list>(PySequence_List(inserted.ptr()));
    if (PyList_Sort(sorted.ptr()) != 0) {  // keys that do not compare keep their order
      PyErr_Clear();
      sorted = inserted;
    }
    def.names_ = py::tuple(sorted);
    def.value_ = inserted;
    def.children_.reserve(sorted.size());
    if (!PyDict_CheckExact(h.ptr()) &&
        std::string(Py_TYPE(h.ptr())->tp_name).find("OrderedDict") != std::string::npos)
      def.type_ = py::type::of(h);
    for (const py::handle key : sorted) add(def, flatten(dict[key], in_module, buffer));
  }
};

bool TreeDef::follow(py::handle h, bool in_module, std::vector<py::object>& leaves) const {
  PyObject* const o = h.ptr();
  const auto n = static_cast<Py_ssize_t>(children_.size());
  const auto child = [&](Py_ssize_t i) -> const TreeDef& { return children_[static_cast<size_t>(i)]; };
  switch (kind_) {
    case Kind::Leaf:
      if (!is_array(o) && (in_module || !is_number(o)) && !py::isinstance<py::array>(h)) return false;
      leaves.push_back(py::reinterpret_borrow<py::object>(h));
      return true;
    case Kind::Static:
      return h.is(value_);
    case Kind::None:
      return o == Py_None;
    case Kind::Tuple:
    case Kind::NamedTuple:
      if (kind_ == Kind::Tuple ? !PyTuple_CheckExact(o) : !py::type::handle_of(h).is(type_)) return false;
      if (PyTuple_GET_SIZE(o) != n) return false;
      for (Py_ssize_t i = 0; i < n; ++i)
        if (!child(i).follow(PyTuple_GET_ITEM(o, i), in_module, leaves)) return false;
      return true;
    case Kind::List:
      if (!PyList_CheckExact(o)) return false;
      for (Py_ssize_t i = 0; i < n; ++i) {
        if (PyList_GET_SIZE(o) != n) return false;  // asked again: fields of a class can run code
        const auto item = py::reinterpret_borrow<py::object>(PyList_GET_ITEM(o, i));
        if (!child(i).follow(item, in_module, leaves)) return false;
      }
      return PyList_GET_SIZE(o) == n;
    case Kind::Dict: {
      if (type_ || !PyDict_CheckExact(o) || PyDict_GET_SIZE(o) != n) return false;
      Py_ssize_t at = 0, i = 0;
      PyObject* key = nullptr;
      while (PyDict_Next(o, &at, &key, nullptr))
        if (key != PyList_GET_ITEM(value_.ptr(), i++)) return false;
      for (i = 0; i < n; ++i) {
        const auto item =
            py::reinterpret_borrow<py::object>(PyDict_GetItemWithError(o, PyTuple_GET_ITEM(names_.ptr(), i)));
        if (!item) {
          PyErr_Clear();
          return false;
        }
        if (!child(i).follow(item, in_module, leaves)) return false;
      }
      return true;
    }
    case Kind::Dataclass:
      if (!py::type::handle_of(h).is(type_)) return false;
      for (Py_ssize_t i = 0; i < n; ++i) {
        const auto item =
            py::reinterpret_steal<py::object>(PyObject_GetAttr(o, PyTuple_GET_ITEM(names_.ptr(), i)));
        if (!item) throw py::error_already_set();
        if (!child(i).follow(item, in_module, leaves)) return false;
      }
      return true;
    default: {  // Module
      if (!py::type::handle_of(h).is(type_)) return false;
      const py::dict fields = fields_of(h);
      if (PyDict_GET_SIZE(fields.ptr()) != n) return false;
      Py_ssize_t at = 0, i = 0;
      PyObject *key = nullptr, *value = nullptr;
      while (PyDict_Next(fields.ptr(), &at, &key, &value)) {
        if (i == n || key != PyTuple_GET_ITEM(names_.ptr(), i)) return false;
        const auto item = py::reinterpret_borrow<py::object>(value);
        if (!child(i++).follow(item, true, leaves)) return false;
      }
      return i == n;
    }
  }
}

bool TreeDef::follow(py::handle tree, Leaves which, std::vector<py::object>& leaves) const {
  return follow(tree, which == Leaves::Arrays, leaves);
}

TreeDef TreeDef::flatten(py::handle tree, std::vector<py::object>& leaves, py::handle is_leaf) {
  return Flattener{leaves, is_leaf.is_none() ? nullptr : is_leaf.ptr()}.flatten(tree, false, false);
}

TreeDef TreeDef::flatten(py::handle tree, std::vector<py::object>& leaves, Leaves which) {
  return Flattener{leaves, nullptr, which == Leaves::Numeric}.flatten(tree, which == Leaves::Arrays, false);
}

}  // namespace hesse::python
