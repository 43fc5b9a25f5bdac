#pragma once
#include <pybind11/pybind11.h>

#include <optional>
#include <string>
#include <vector>

#include "core/dtype.h"

/// Trees of arrays: dict, list, tuple, named tuple, dataclass, hesse.nn.Module, None.
namespace hesse::python {

namespace py = pybind11;

/// Guards C++ recursion on trees against ones that are too deep or contain themselves.
struct Deeper {
  Deeper() {
    if (Py_EnterRecursiveCall(" in a tree of arrays")) throw py::error_already_set();
  }
  ~Deeper() { Py_LeaveRecursiveCall(); }
};

/// The dtype a leaf has as an array; nullopt for what is none.
std::optional<DType> leaf_dtype(py::handle leaf);

/// The structure of a tree without its leaves. Everything that is not a container is a leaf; but inside a
/// Module only arrays are, and the rest is part of the structure, compared by ==.
class TreeDef {
 public:
  enum class Kind : uint8_t { Leaf, Static, None, Tuple, List, Dict, NamedTuple, Dataclass, Module };

  /// Appends the leaves of `tree` to `leaves`. `is_leaf`, unless None, is asked of every node first.
  static TreeDef flatten(py::handle tree, std::vector<py::object>& leaves, py::handle is_leaf = py::none());
  /// What is a leaf. All: everything that is not a container. Numeric: arrays and numbers. Arrays: arrays
  /// only, as inside a Module. The rest is part of the structure.
  enum class Leaves { All, Numeric, Arrays };
  static TreeDef flatten(py::handle tree, std::vector<py::object>& leaves, Leaves which);
  /// Whether flattening `tree` gives this structure, seen by walking both side by side; appends the leaves.
  /// It makes nothing, so it takes a fraction of the time; and gives up (false) where containers, keys or
  /// fixed values are not the very same objects or plain ones.
  bool follow(py::handle tree, Leaves which, std::vector<py::object>& leaves) const;
  /// The inverse. Throws ValueError for a wrong number of leaves.
  py::object unflatten(const std::vector<py::object>& leaves) const;
  /// What `tree` holds at the places of this structure's leaves, whole sub-trees and None included.
  /// Throws ValueError naming `function` and both structures.
  std::vector<py::object> flatten_up_to(py::handle tree, const std::string& function) const;

  int64_t num_leaves() const { return num_leaves_; }
  const std::vector<TreeDef>& children() const { return children_; }
  bool is_leaf() const { return kind_ == Kind::Leaf; }
  /// Per leaf, how to reach it: "['a'][0].weight".
  std::vector<std::string> paths() const;
  /// Per leaf, whether a Module marks it as a buffer: data that is not trained.
  std::vector<bool> buffers() const;
  std::string to_string() const;
  /// Its parts as plain objects, for files: (kind, buffer, type, names, value, children); and back.
  py::tuple parts() const;
  static TreeDef from_parts(const py::tuple& parts);
  bool operator==(const TreeDef& other) const;
  size_t hash() const;

 private:
  friend struct Flattener;
  void collect_paths(const std::string& prefix, std::vector<std::string>& out) const;
  void collect_buffers(std::vector<bool>& out) const;
  void print(std::string& out) const;
  py::object build(const std::vector<py::object>& leaves, size_t& next) const;
  bool match(py::handle tree, std::vector<py::object>& out) const;
  bool follow(py::handle tree, bool in_module, std::vector<py::object>& leaves) const;

  Kind kind_ = Kind::Leaf;
  bool buffer_ = false;
  int64_t num_leaves_ = 1;
  py::object type_;   // of a named tuple, dataclass, Module or OrderedDict
  py::object names_;  // the keys of a dict in order, or the fields
  py::object value_;  // Static: the value. Dict: its keys in order of insertion
  std::vector<TreeDef> children_;
};

}  // namespace hesse::python
