#include "bindings/tree.h"

#include "bindings/bindings.h"
#include "core/error.h"

namespace hesse::python {

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

}  // namespace hesse::python
