#pragma once
#include <pybind11/pybind11.h>

#include <optional>
#include <string_view>
#include <vector>

#include "bindings/errors.h"
#include "core/error.h"
#include "core/ops.h"

/// hesse.Array as a Python object, and what Python objects become when an array is expected.
namespace hesse::python {

namespace py = pybind11;

struct ArrayObject {
  PyObject_HEAD Array array;
};
/// hesse.Array; written once, when the module is imported.
extern PyTypeObject* array_type;

inline bool is_array(PyObject* o) { return Py_TYPE(o) == array_type; }
inline const Array& array_of(PyObject* o) { return reinterpret_cast<ArrayObject*>(o)->array; }
/// A new Python object; null with an exception set when there is no memory.
PyObject* new_array(Array a);

/// Numbers become weak scalars; NumPy arrays and scalars and whatever has __array__ are copied. Lists are
/// refused: they are trees. False when `o` is none of these.
bool to_array(PyObject* o, Array& out);
/// As above, or a TypeError naming the function.
Array require_array(PyObject* o, std::string_view function);
/// hs.array: nested lists too, those that hold arrays being stacked. Always a copy.
Array make_array(py::handle o, std::optional<DType> dtype);

/// An object with the buffer protocol and a numeric format (memoryview, array.array, bytes): copied, or with
/// its memory shared. Nullopt when `o` has no buffer.
std::optional<Array> from_buffer(py::handle o, bool share);
/// A NumPy array copied, or with its memory shared where `share` and the layout allow.
Array from_numpy(py::handle numpy_array, bool share);
/// A read-only NumPy array over the same memory.
py::object to_numpy(const Array& a);
std::optional<DType> dtype_from_numpy(py::handle numpy_dtype);
py::object numpy_dtype(DType t);

/// What stands between the brackets of x[...].
std::vector<Index> parse_index(PyObject* key);

/// An argument of an operation: the array inside a Python object, or one converted from it.
class Operand {
 public:
  explicit Operand(PyObject* o) {
    if (is_array(o))
      array_ = &array_of(o);
    else if (to_array(o, converted_))
      array_ = &converted_;
  }
  Operand(PyObject* o, std::string_view function) {
    if (is_array(o)) {
      array_ = &array_of(o);
    } else {
      converted_ = require_array(o, function);
      array_ = &converted_;
    }
  }
  Operand(const Operand&) = delete;
  Operand& operator=(const Operand&) = delete;
  explicit operator bool() const { return array_ != nullptr; }
  const Array& operator*() const { return *array_; }
  int64_t size() const { return array_->size(); }

 private:
  const Array* array_ = nullptr;
  Array converted_;
};

/// Runs `f`; where the value of a symbol is asked for, the error names `function`.
template <class F>
decltype(auto) naming(std::string_view function, F&& f) {
  try {
    return f();
  } catch (const TraceError& e) {
    const std::string_view what = e.what();
    if (what.substr(0, 14) != "the value of a") throw;
    throw TraceError(concat(function, ": ", what));
  }
}

/// Lets other Python threads run while an operation on this many elements does.
inline constexpr int64_t kReleaseGilAbove = 1 << 14;
class Unlocked {
 public:
  explicit Unlocked(int64_t elements) {
    if (elements > kReleaseGilAbove) release_.emplace();
  }

 private:
  std::optional<py::gil_scoped_release> release_;
};

/// Runs `f`, turning C++ exceptions into Python ones: for functions that CPython calls directly.
template <class F>
PyObject* guarded(F&& f) noexcept {
  try {
    return f();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

}  // namespace hesse::python
