#include "bindings/tree.h"

#include <pybind11/numpy.h>

#include <unordered_map>

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_tree.h"

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

/// The dtype a leaf has as an array; nullopt for what is none.
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

/// Guards C++ recursion on trees against ones that are too deep or contain themselves.
struct Deeper {
  Deeper() {
    if (Py_EnterRecursiveCall(" in a tree of arrays")) throw py::error_already_set();
  }
  ~Deeper() { Py_LeaveRecursiveCall(); }
};

/// The fields of a Module: its __dict__.
py::dict fields_of(py::handle module) {
  return py::reinterpret_steal<py::dict>(PyObject_GenericGetDict(module.ptr(), nullptr));
}

}  // namespace

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
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); ++i)
          add(def, flatten(PyTuple_GET_ITEM(o, i), in_module, buffer));
        break;
      case TreeDef::Kind::List: {
        const auto items = py::reinterpret_borrow<py::list>(h);
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
    if (!PyDict_CheckExact(h.ptr()) &&
        std::string(Py_TYPE(h.ptr())->tp_name).find("OrderedDict") != std::string::npos)
      def.type_ = py::type::of(h);
    for (const py::handle key : sorted) add(def, flatten(dict[key], in_module, buffer));
  }
};

TreeDef TreeDef::flatten(py::handle tree, std::vector<py::object>& leaves, py::handle is_leaf) {
  return Flattener{leaves, is_leaf.is_none() ? nullptr : is_leaf.ptr()}.flatten(tree, false, false);
}

TreeDef TreeDef::flatten(py::handle tree, std::vector<py::object>& leaves, Leaves which) {
  return Flattener{leaves, nullptr, which == Leaves::Numeric}.flatten(tree, which == Leaves::Arrays, false);
}

py::object TreeDef::build(const std::vector<py::object>& leaves, size_t& next) const {
  switch (kind_) {
    case Kind::Leaf:
      return leaves[next++];
    case Kind::Static:
      return value_;
    case Kind::None:
      return py::none();
    case Kind::List: {
      py::list out(children_.size());
      for (size_t i = 0; i < children_.size(); ++i) out[i] = children_[i].build(leaves, next);
      return out;
    }
    case Kind::Tuple:
    case Kind::NamedTuple: {
      py::tuple out(children_.size());
      for (size_t i = 0; i < children_.size(); ++i) out[i] = children_[i].build(leaves, next);
      return kind_ == Kind::Tuple ? py::object(out) : type_(*out);
    }
    case Kind::Dict: {
      py::dict by_key, out;
      const py::tuple keys(names_);
      for (size_t i = 0; i < children_.size(); ++i) by_key[keys[i]] = children_[i].build(leaves, next);
      for (const py::handle key : py::list(value_)) out[key] = by_key[key];
      return type_ ? type_(out) : py::object(out);
    }
    default: {
      // Fields are set past __init__ and past the guards of immutable classes: they were checked when first
      // made.
      static PyObject* const make =
          py::object(py::handle(reinterpret_cast<PyObject*>(&PyBaseObject_Type)).attr("__new__"))
              .release()
              .ptr();
      py::object out = py::handle(make)(type_);
      const py::tuple names(names_);
      for (size_t i = 0; i < children_.size(); ++i) {
        const py::object value = children_[i].build(leaves, next);
        if (PyObject_GenericSetAttr(out.ptr(), py::object(names[i]).ptr(), value.ptr()) != 0)
          throw py::error_already_set();
      }
      return out;
    }
  }
}

py::object TreeDef::unflatten(const std::vector<py::object>& leaves) const {
  require(static_cast<int64_t>(leaves.size()) == num_leaves_, "tree_unflatten: the structure has ",
          num_leaves_, " leaves, got ", leaves.size());
  size_t next = 0;
  return build(leaves, next);
}

namespace {
bool same_value(py::handle a, py::handle b) {
  if (a.is(b)) return true;
  if (Py_TYPE(a.ptr()) != Py_TYPE(b.ptr())) return false;
  const auto same = py::reinterpret_steal<py::object>(PyObject_RichCompare(a.ptr(), b.ptr(), Py_EQ));
  if (!same) throw py::error_already_set();
  return PyObject_IsTrue(same.ptr()) == 1;
}
}  // namespace

bool TreeDef::match(py::handle h, std::vector<py::object>& out) const {
  const size_t n = children_.size();
  switch (kind_) {
    case Kind::Leaf:
      out.push_back(py::reinterpret_borrow<py::object>(h));
      return true;
    case Kind::Static:  // None where a gradient leaves out what has none
      return h.is_none() || same_value(value_, h);
    case Kind::None:
      return h.is_none();
    case Kind::List:
    case Kind::Tuple:
    case Kind::NamedTuple: {
      const bool right = kind_ == Kind::List ? PyList_Check(h.ptr())
                         : kind_ == Kind::Tuple
                             ? PyTuple_Check(h.ptr()) && !py::hasattr(h, "_fields")
                             : Py_TYPE(h.ptr()) == reinterpret_cast<PyTypeObject*>(type_.ptr());
      if (!right || PySequence_Size(h.ptr()) != static_cast<Py_ssize_t>(n)) return false;
      const auto items = py::reinterpret_borrow<py::sequence>(h);
      for (size_t i = 0; i < n; ++i)
        if (!children_[i].match(py::object(items[i]), out)) return false;
      return true;
    }
    case Kind::Dict: {
      if (!PyDict_Check(h.ptr()) || PyDict_Size(h.ptr()) != static_cast<Py_ssize_t>(n)) return false;
      const auto dict = py::reinterpret_borrow<py::dict>(h);
      const py::tuple keys(names_);
      for (size_t i = 0; i < n; ++i)
        if (!dict.contains(keys[i]) || !children_[i].match(py::object(dict[keys[i]]), out)) return false;
      return true;
    }
    default: {
      if (Py_TYPE(h.ptr()) != reinterpret_cast<PyTypeObject*>(type_.ptr())) return false;
      const py::tuple names(names_);
      for (size_t i = 0; i < n; ++i)
        if (!py::hasattr(h, names[i]) || !children_[i].match(py::getattr(h, names[i]), out)) return false;
      return true;
    }
  }
}

std::vector<py::object> TreeDef::flatten_up_to(py::handle tree, const std::string& function) const {
  std::vector<py::object> out;
  if (match(tree, out)) return out;
  std::vector<py::object> ignored;
  throw ValueError(concat(function, ": the trees do not match: expected ", to_string(), ", got ",
                          flatten(tree, ignored).to_string()));
}

void TreeDef::collect_paths(const std::string& prefix, std::vector<std::string>& out) const {
  if (kind_ == Kind::Leaf) out.push_back(prefix);
  for (size_t i = 0; i < children_.size(); ++i) {
    std::string step;
    if (kind_ == Kind::Tuple || kind_ == Kind::List)
      step = concat("[", i, "]");
    else if (kind_ == Kind::Dict)
      step = concat("[", std::string(py::repr(py::object(py::tuple(names_)[i]))), "]");
    else
      step = concat(".", std::string(py::str(py::object(py::tuple(names_)[i]))));
    children_[i].collect_paths(prefix + step, out);
  }
}
std::vector<std::string> TreeDef::paths() const {
  std::vector<std::string> out;
  collect_paths("", out);
  return out;
}

void TreeDef::collect_buffers(std::vector<bool>& out) const {
  if (kind_ == Kind::Leaf) out.push_back(buffer_);
  for (const TreeDef& child : children_) child.collect_buffers(out);
}
std::vector<bool> TreeDef::buffers() const {
  std::vector<bool> out;
  collect_buffers(out);
  return out;
}

void TreeDef::print(std::string& out) const {
  if (out.size() > 1000) return;
  const auto list = [&](const char* open, const char* close, auto&& label) {
    out += open;
    bool first = true;
    for (size_t i = 0; i < children_.size(); ++i) {
      if (kind_ >= Kind::NamedTuple && children_[i].num_leaves_ == 0) continue;
      if (!first) out += ", ";
      first = false;
      out += label(i);
      children_[i].print(out);
    }
    out += close;
  };
  const auto field = [&](size_t i) { return std::string(py::str(py::object(py::tuple(names_)[i]))) + "="; };
  const auto nothing = [](size_t) { return std::string(); };
  switch (kind_) {
    case Kind::Leaf:
      out += "*";
      break;
    case Kind::Static:
      out += py::repr(value_);
      break;
    case Kind::None:
      out += "None";
      break;
    case Kind::Tuple:
      list("(", children_.size() == 1 ? ",)" : ")", nothing);
      break;
    case Kind::List:
      list("[", "]", nothing);
      break;
    case Kind::Dict:
      list("{", "}",
           [&](size_t i) { return std::string(py::repr(py::object(py::tuple(names_)[i]))) + ": "; });
      break;
    default:
      out += std::string(py::str(type_.attr("__name__")));
      list("(", ")", field);
  }
}
std::string TreeDef::to_string() const {
  std::string out;
  print(out);
  if (out.size() > 1000) out = out.substr(0, 1000) + "...";
  return out;
}

py::tuple TreeDef::parts() const {
  const auto or_none = [](const py::object& o) { return o ? o : py::object(py::none()); };
  py::tuple children(children_.size());
  for (size_t i = 0; i < children_.size(); ++i) children[i] = children_[i].parts();
  return py::make_tuple(static_cast<int>(kind_), buffer_, or_none(type_), or_none(names_), or_none(value_),
                        children);
}

TreeDef TreeDef::from_parts(const py::tuple& parts) {
  const Deeper deeper;
  TreeDef def;
  const auto kind = parts[0].cast<int>();
  require(kind >= 0 && kind <= static_cast<int>(Kind::Module), "tree: there is no kind ", kind);
  def.kind_ = static_cast<Kind>(kind);
  def.buffer_ = parts[1].cast<bool>();
  const auto unless_none = [](py::object o) { return o.is_none() ? py::object() : o; };
  def.type_ = unless_none(parts[2]);
  def.names_ = unless_none(parts[3]);
  def.value_ = def.kind_ == Kind::Static ? py::object(parts[4]) : unless_none(parts[4]);
  for (const py::handle child : parts[5].cast<py::tuple>())
    def.children_.push_back(from_parts(child.cast<py::tuple>()));
  const bool named = def.kind_ >= Kind::Dict;
  require(!named || (def.names_ && py::len(def.names_) == def.children_.size()),
          "tree: the names do not fit the children");
  def.num_leaves_ = def.kind_ == Kind::Leaf ? 1 : 0;
  for (const TreeDef& child : def.children_) def.num_leaves_ += child.num_leaves_;
  return def;
}

bool TreeDef::operator==(const TreeDef& o) const {
  if (kind_ != o.kind_ || num_leaves_ != o.num_leaves_ || children_.size() != o.children_.size())
    return false;
  if (type_.ptr() != o.type_.ptr()) return false;
  if (kind_ == Kind::Static) {
    return same_value(value_, o.value_);
  }
  if (names_ && !names_.is(o.names_) && !names_.equal(o.names_)) return false;
  return children_ == o.children_;
}

size_t TreeDef::hash() const {
  size_t h = static_cast<size_t>(kind_) * 0x9e3779b97f4a7c15u + static_cast<size_t>(num_leaves_);
  const auto mix = [&](size_t v) { h = (h ^ v) * 0x100000001b3u + (h >> 29); };
  mix(reinterpret_cast<size_t>(type_.ptr()));
  const auto hash_of = [](const py::object& o) -> size_t {
    const Py_hash_t v = PyObject_Hash(o.ptr());
    if (v != -1 || !PyErr_Occurred()) return static_cast<size_t>(v);
    PyErr_Clear();  // unhashable: compared by == all the same
    return 0;
  };
  if (names_) mix(hash_of(names_));
  if (kind_ == Kind::Static) mix(hash_of(value_));
  for (const TreeDef& child : children_) mix(child.hash());
  return h;
}

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
