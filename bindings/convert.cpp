#include "bindings/convert.h"

#include <pybind11/numpy.h>

#include <cstring>

#include "core/error.h"

namespace hesse::python {

std::shared_ptr<py::object> keep(py::object o) {
  return {new py::object(std::move(o)), [](py::object* held) {
            if (!Py_IsInitialized()) return;  // the interpreter is gone: nothing to give back to
            const py::gil_scoped_acquire gil;
            delete held;
          }};
}

// Arguments
// -----------------------------------------------------------------------------------------------------------
namespace {

/// What was given, in a few words: "float64[3]", "(1.5,)", "'abc'".
std::string shown(py::handle o) {
  if (is_array(o.ptr())) return concat("an array, ", describe(array_of(o.ptr())));
  if (PyCallable_Check(o.ptr()) && !PyType_Check(o.ptr())) return "a function";
  std::string text;
  try {
    text = py::str(py::repr(o));
  } catch (py::error_already_set&) {  // an object that cannot be shown
    text = concat("an object of type ", Py_TYPE(o.ptr())->tp_name);
  }
  constexpr size_t kMost = 60;
  return text.size() > kMost ? concat("of type ", Py_TYPE(o.ptr())->tp_name) : text;
}

}  // namespace

void refuse(py::handle got, Where where, std::string_view expected) {
  throw TypeError(concat(where.function, ": ", where.argument, " is ", shown(got), "; expected ", expected));
}

namespace detail {

bool to_double(PyObject* o, double& out) {
  if (PyUnicode_Check(o) || PyBytes_Check(o)) return false;
  out = PyFloat_AsDouble(o);
  if (out != -1.0 || !PyErr_Occurred()) return true;
  if (is_array(o)) throw py::error_already_set();  // says more: a symbol, several entries, complex
  PyErr_Clear();
  return false;
}

}  // namespace detail

// NumPy
// ---------------------------------------------------------------------------------------------------------------
std::optional<DType> dtype_from_numpy(py::handle numpy_dtype) {
  const auto d = py::reinterpret_borrow<py::dtype>(numpy_dtype);
  const auto size = d.itemsize();
  switch (d.kind()) {
    case 'b':
      return kBool;
    case 'i':
      return size == 1 ? kInt8 : size == 2 ? kInt16 : size == 4 ? kInt32 : kInt64;
    case 'u':
      return size == 1 ? kUInt8 : size == 2 ? kUInt16 : size == 4 ? kUInt32 : kUInt64;
    case 'f':
      if (size == 4) return kFloat32;
      if (size == 8) return kFloat64;
      return std::nullopt;
    case 'c':
      if (size == 8) return kComplex64;
      if (size == 16) return kComplex128;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

py::object numpy_dtype(DType t) {
  require<TypeError>(t != kKey, "random keys have no NumPy dtype; hs.random.key_data gives their bits");
  return py::dtype::from_args(py::str(std::string(name(t))));
}

Array from_numpy(py::handle numpy_array, bool share) {
  auto a = py::reinterpret_borrow<py::array>(numpy_array);
  const auto dtype = dtype_from_numpy(a.dtype());
  if (!dtype)
    throw TypeError(
        concat("NumPy dtype ", std::string(py::str(a.dtype())),
               " has no counterpart in Hesse; convert it first, for example with .astype(np.float64)"));
  const auto item = static_cast<int64_t>(a.itemsize());
  if (const char order = a.dtype().byteorder(); order != '=' && order != '|') {
    a = a.attr("astype")(a.dtype().attr("newbyteorder")("="));
    share = true;  // this copy is ours
  }
  Shape shape;
  for (py::ssize_t i = 0; i < a.ndim(); ++i) shape.push_back(a.shape(i));
  const bool c_order = (a.flags() & py::array::c_style) != 0;
  if (!share && !c_order) {
    a = a.attr("copy")("C");
    share = true;
  }
  bool whole_items =
      reinterpret_cast<uintptr_t>(a.data()) % static_cast<uintptr_t>(std::min<int64_t>(item, 8)) == 0;
  for (py::ssize_t i = 0; i < a.ndim(); ++i) whole_items = whole_items && a.strides(i) % item == 0;
  if (!share || !whole_items || a.size() == 0) {
    if (!c_order) a = a.attr("copy")("C");
    const Array out = Array::uninitialized(shape, *dtype);
    if (a.size() > 0) std::memcpy(out.view().data, a.data(), static_cast<size_t>(a.nbytes()));
    return out;
  }
  Strides strides;
  int64_t first = 0, last = 0;  // the extent of the memory, in elements from data()
  for (py::ssize_t i = 0; i < a.ndim(); ++i) {
    const int64_t s = a.strides(i) / item;
    strides.push_back(s);
    (s < 0 ? first : last) += s * (a.shape(i) - 1);
  }
  char* base = static_cast<char*>(const_cast<void*>(a.data())) + first * item;
  auto held = keep(a);
  Ref<Buffer> buffer =
      Buffer::wrap(base, static_cast<size_t>((last - first + 1) * item), [held]() mutable { held.reset(); });
  return Array(shape, strides, -first, *dtype, std::move(buffer));
}

py::object to_numpy(const Array& given) {
  const Array a = given.materialised();
  const View v = a.view();
  std::vector<py::ssize_t> shape(v.shape.begin(), v.shape.end()), strides;
  const DType dtype = v.dtype == kKey ? kUInt32 : v.dtype;
  for (const int64_t s : v.strides) strides.push_back(s * itemsize(v.dtype));
  if (v.dtype == kKey) {  // the two words of each key
    shape.push_back(2);
    strides.push_back(4);
  }
  const py::capsule owner(new Array(a.detached()), [](void* p) { delete static_cast<Array*>(p); });
  py::array out(py::reinterpret_borrow<py::dtype>(numpy_dtype(dtype)), shape, strides, v.data, owner);
  py::detail::array_proxy(out.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return out;
}

std::optional<Array> from_buffer(py::handle o, bool share) {
  if (!PyObject_CheckBuffer(o.ptr())) return std::nullopt;
  const auto view = py::reinterpret_steal<py::object>(PyMemoryView_FromObject(o.ptr()));
  if (!view) throw py::error_already_set();
  py::object numpy;
  try {
    numpy = py::module_::import("numpy").attr("asarray")(view);
  } catch (py::error_already_set& e) {  // a format that NumPy does not read
    if (!e.matches(PyExc_Exception)) throw;
  }
  if (!numpy || !dtype_from_numpy(numpy.attr("dtype")))
    throw TypeError(
        concat("asarray: the buffer of a ", Py_TYPE(o.ptr())->tp_name, " has the format '",
               std::string(py::str(view.attr("format"))),
               "', which has no counterpart in Hesse; there are ?, integers (bhilqBHILQ), f, d, Zf and "
               "Zd, and memoryview.cast reads bytes as one of them"));
  return from_numpy(numpy, share);
}

// Arrays from Python objects
// ------------------------------------------------------------------------------------------
namespace {

bool is_numpy(PyObject* o) {
  if (py::isinstance<py::array>(o)) return true;
  static PyObject* const generic = py::object(py::module_::import("numpy").attr("generic")).release().ptr();
  return PyObject_TypeCheck(o, reinterpret_cast<PyTypeObject*>(generic));
}

Array from_int(PyObject* o) {
  int overflow = 0;
  const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (v == -1 && !overflow && PyErr_Occurred()) throw py::error_already_set();
  if (!overflow) return Array(static_cast<int64_t>(v));
  const unsigned long long u = PyLong_AsUnsignedLongLong(o);
  if (PyErr_Occurred()) {
    PyErr_Clear();
    throw ValueError(concat("the integer ", std::string(py::str(o)), " does not fit into 64 bits"));
  }
  const uint64_t word = u;
  return Array::from<uint64_t>(std::span<const uint64_t>(&word, 1), Shape{});
}

std::string type_name(PyObject* o) { return Py_TYPE(o)->tp_name; }

}  // namespace

bool to_array(PyObject* o, Array& out) {
  if (is_array(o)) {
    out = array_of(o);
  } else if (PyFloat_CheckExact(o)) {
    out = Array(PyFloat_AS_DOUBLE(o));
  } else if (PyBool_Check(o)) {
    out = Array(o == Py_True);
  } else if (PyLong_CheckExact(o)) {
    out = from_int(o);
  } else if (PyComplex_CheckExact(o)) {
    out = Array(complex128(PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o)));
  } else if (o == Py_None || PyUnicode_Check(o) || PyTuple_Check(o) || PyList_Check(o) || PyType_Check(o)) {
    return false;
  } else if (is_numpy(o)) {
    out = from_numpy(py::array::ensure(py::reinterpret_borrow<py::object>(o)), false);
  } else if (PyLong_Check(o)) {
    out = from_int(o);
  } else if (PyFloat_Check(o)) {
    out = Array(PyFloat_AsDouble(o));
  } else if (py::hasattr(o, "__array__")) {
    const auto converted =
        py::module_::import("numpy").attr("asarray")(py::reinterpret_borrow<py::object>(o));
    out = from_numpy(converted, false);
  } else {
    return false;
  }
  return true;
}

Array require_array(PyObject* o, std::string_view function) {
  Array out;
  if (to_array(o, out)) return out;
  const bool list = PyTuple_Check(o) || PyList_Check(o);
  throw TypeError(concat(function, ": expected an array or a number, got ", type_name(o),
                         list ? "; hs.asarray makes an array of a list, hs.stack of a list of arrays" : ""));
}

Arrays require_arrays(py::handle o, std::string_view function) {
  if (is_array(o.ptr())) return unstack(array_of(o.ptr()), 0);
  if (!PyTuple_Check(o.ptr()) && !PyList_Check(o.ptr()) && !PyIter_Check(o.ptr()) && !is_numpy(o.ptr()))
    throw TypeError(concat(function, ": expected a list or tuple of arrays, got ", type_name(o.ptr())));
  Arrays out;
  for (const py::handle item : py::reinterpret_borrow<py::iterable>(o))
    out.push_back(require_array(item.ptr(), function));
  return out;
}

namespace {

bool holds_arrays(py::handle o) {
  if (is_array(o.ptr())) return true;
  if (!PyTuple_Check(o.ptr()) && !PyList_Check(o.ptr())) return false;
  if (Py_EnterRecursiveCall(" in hs.asarray")) throw py::error_already_set();
  bool found = false;
  for (const py::object item : py::reinterpret_borrow<py::sequence>(o)) found = found || holds_arrays(item);
  Py_LeaveRecursiveCall();
  return found;
}

/// Strong arrays: what the user made an array is one, even of a number.
Array strong(const Array& a) { return a.is_weak() ? full(a.shape(), a, a.dtype()) : a; }

Array stack_nested(py::handle o) {
  if (!PyTuple_Check(o.ptr()) && !PyList_Check(o.ptr())) return strong(require_array(o.ptr(), "asarray"));
  Arrays parts;
  for (const py::object item : py::reinterpret_borrow<py::sequence>(o)) parts.push_back(stack_nested(item));
  for (const Array& p : parts)
    require(p.shape() == parts.front().shape(), "asarray: the entries of a list have different shapes, ",
            parts.front().shape(), " and ", p.shape());
  return stack(parts, 0);
}

}  // namespace

Array make_array(py::handle o, std::optional<DType> dtype) {
  const auto convert = [&](const Array& a) { return dtype && a.dtype() != *dtype ? astype(a, *dtype) : a; };
  const bool list = PyTuple_Check(o.ptr()) || PyList_Check(o.ptr());
  if (!list) {
    if (is_array(o.ptr())) return convert(copy(array_of(o.ptr())));
    if (!is_numpy(o.ptr()))
      if (const auto a = from_buffer(o, false)) return convert(*a);
    const Array a = require_array(o.ptr(), "asarray");
    return a.is_weak() ? full(a.shape(), a, dtype.value_or(a.dtype())) : convert(a);
  }
  if (holds_arrays(o)) return convert(stack_nested(o));
  py::object np;
  try {
    np = py::module_::import("numpy").attr("asarray")(o);
  } catch (py::error_already_set& e) {
    if (!e.matches(PyExc_ValueError)) throw;
    throw ValueError("asarray: the entries of a list have different shapes, or it is nested too deeply");
  }
  Array a = from_numpy(np, false);
  // A list of Python floats has no dtype of its own: it takes the default one.
  if (!dtype && is_inexact(a.dtype())) {
    const DType wanted = is_complex(a.dtype()) ? complex_dtype(default_dtype()) : default_dtype();
    if (a.dtype() == kFloat64 || a.dtype() == kComplex128) a = a.dtype() == wanted ? a : astype(a, wanted);
  }
  return convert(a);
}

// Indices
// ---------------------------------------------------------------------------------------------------------------
namespace {

constexpr const char* kIndexKinds =
    "; an index is an integer, a slice, ..., None, or an array or list of integers or booleans";

std::optional<int64_t> slice_bound(PyObject* o, size_t place) {
  if (o == Py_None) return std::nullopt;
  if (!PyIndex_Check(o)) {
    throw TypeError(concat("getitem: a bound of the slice at position ", place, " of the index is ", shown(o),
                           ", a ", type_name(o), "; slice bounds are integers or None"));
  }
  const Py_ssize_t n = PyNumber_AsSsize_t(o, nullptr);  // clips, as Python's own slices do
  if (n == -1 && PyErr_Occurred()) throw py::error_already_set();
  return n;
}

Index parse_one(PyObject* o, size_t place) {
  if (o == Py_None) return NewAxis{};
  if (o == Py_Ellipsis) return Ellipsis{};
  if (PySlice_Check(o)) {
    const auto* s = reinterpret_cast<PySliceObject*>(o);
    return Slice{slice_bound(s->start, place), slice_bound(s->stop, place), slice_bound(s->step, place)};
  }
  if (is_array(o)) return array_of(o);
  if (PyBool_Check(o)) {
    const bool value = o == Py_True;
    return Array::from<bool>(std::span<const bool>(&value, 1), Shape{});
  }
  if (PyLong_Check(o)) {
    const Py_ssize_t n = PyNumber_AsSsize_t(o, PyExc_IndexError);
    if (n == -1 && PyErr_Occurred()) throw py::error_already_set();
    return static_cast<int64_t>(n);
  }
  if (PyList_Check(o) || PyTuple_Check(o)) {
    Array a;
    try {
      a = make_array(o, std::nullopt);
    } catch (const TypeError&) {  // a list of what is no number
      throw IndexError(concat("getitem: position ", place, " of the index is ", shown(o), kIndexKinds));
    }
    if (a.size() == 0) a = astype(a, kInt64);
    return a;
  }
  if (is_numpy(o)) {
    const Array a = require_array(o, "getitem");
    if (a.ndim() == 0 && is_integer(a.dtype())) return a.item<int64_t>();
    return a;
  }
  if (PyFloat_Check(o) || PyUnicode_Check(o) || !PyIndex_Check(o))
    throw IndexError(concat("getitem: position ", place, " of the index is ", shown(o), ", a ", type_name(o),
                            kIndexKinds, PyFloat_Check(o) ? "; int(x) makes an integer of a float" : ""));
  const Py_ssize_t n = PyNumber_AsSsize_t(o, PyExc_IndexError);
  if (n == -1 && PyErr_Occurred()) throw py::error_already_set();
  return static_cast<int64_t>(n);
}

}  // namespace

std::vector<Index> parse_index(PyObject* key) {
  std::vector<Index> out;
  if (!PyTuple_Check(key)) {
    out.push_back(parse_one(key, 0));
    return out;
  }
  const Py_ssize_t n = PyTuple_GET_SIZE(key);
  out.reserve(static_cast<size_t>(n));
  for (Py_ssize_t i = 0; i < n; ++i)
    out.push_back(parse_one(PyTuple_GET_ITEM(key, i), static_cast<size_t>(i)));
  return out;
}

}  // namespace hesse::python
