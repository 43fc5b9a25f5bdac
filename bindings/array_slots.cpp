#include <pybind11/numpy.h>

#include <array>

#include "bindings/array_object.h"
#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_array.h"
#include "core/node.h"

/// The type hesse.Array: operators, indexing and protocols that CPython calls through slots.
namespace hesse::python {

PyTypeObject* array_type = nullptr;

PyObject* new_array(Array a) {
  if (!a.defined()) Py_RETURN_NONE;
  PyObject* o = array_type->tp_alloc(array_type, 0);
  if (o) new (&reinterpret_cast<ArrayObject*>(o)->array) Array(std::move(a));
  return o;
}

namespace {

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  reinterpret_cast<ArrayObject*>(self)->array.~Array();
  type->tp_free(self);
  Py_DECREF(type);
}

// Operators
// -----------------------------------------------------------------------------------------------------------
template <auto F>
PyObject* binary(PyObject* a, PyObject* b) {
  return guarded([&]() -> PyObject* {
    const Operand x(a), y(b);
    if (!x || !y) Py_RETURN_NOTIMPLEMENTED;
    const auto compute = [&] {
      const Unlocked unlocked(x.size() + y.size());
      return F(*x, *y);
    };
    return new_array(compute());
  });
}
template <auto F>
PyObject* unary(PyObject* a) {
  return guarded([&] {
    const auto compute = [&] {
      const Unlocked unlocked(array_of(a).size());
      return F(array_of(a));
    };
    return new_array(compute());
  });
}

PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) {
    PyErr_SetString(PyExc_TypeError, "pow: arrays have no three-argument power");
    return nullptr;
  }
  return binary<hesse::pow>(a, b);
}
PyObject* product(PyObject* a, PyObject* b) {
  return guarded([&]() -> PyObject* {
    const Operand x(a), y(b);
    if (!x || !y) Py_RETURN_NOTIMPLEMENTED;
    const auto compute = [&] {
      const Unlocked unlocked(16 * (x.size() + y.size()));
      return matmul(*x, *y);
    };
    return new_array(compute());
  });
}
PyObject* divmod(PyObject* a, PyObject* b) {
  return guarded([&]() -> PyObject* {
    const Operand x(a), y(b);
    if (!x || !y) Py_RETURN_NOTIMPLEMENTED;
    return py::make_tuple(floor_divide(*x, *y), remainder(*x, *y)).release().ptr();
  });
}

PyObject* compare(PyObject* a, PyObject* b, int how) {
  switch (how) {
    case Py_LT:
      return binary<hesse::less>(a, b);
    case Py_LE:
      return binary<hesse::less_equal>(a, b);
    case Py_EQ:
      return binary<hesse::equal>(a, b);
    case Py_NE:
      return binary<hesse::not_equal>(a, b);
    case Py_GT:
      return binary<hesse::greater>(a, b);
    default:
      return binary<hesse::greater_equal>(a, b);
  }
}

// Values
// --------------------------------------------------------------------------------------------------------------
PyObject* scalar(const Array& given, std::string_view function) {
  require(given.size() == 1, function, ": the array has shape ", given.shape(),
          ", not one entry; take one of them, as in ", function == "item" ? "x[i].item()" : "float(x[i])",
          ", or reduce it with sum or mean");
  const Array a = naming(function, [&] { return given.materialised(); });
  switch (a.dtype()) {
    case DType::Bool:
      return PyBool_FromLong(a.item<bool>());
    case DType::Float32:
    case DType::Float64:
      return PyFloat_FromDouble(a.item<double>());
    case DType::Complex64:
    case DType::Complex128: {
      const complex128 z = a.item<complex128>();
      return PyComplex_FromDoubles(z.real(), z.imag());
    }
    case DType::UInt64:
      return PyLong_FromUnsignedLongLong(a.item<uint64_t>());
    case DType::Key:
      throw TypeError(concat(function, ": a random key is not a number; hs.random.key_data gives its bits"));
    default:
      return PyLong_FromLongLong(a.item<int64_t>());
  }
}

int truth(PyObject* self) {
  PyObject* value = guarded([&] {
    const Array& a = array_of(self);
    require(a.size() == 1, "bool: the truth of an array of shape ", a.shape(),
            " is ambiguous; use hs.any(x) or hs.all(x), or hs.where to choose entry by entry");
    return scalar(a, "bool");
  });
  if (!value) return -1;
  const int result = PyObject_IsTrue(value);
  Py_DECREF(value);
  return result;
}

PyObject* as_float(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Array& a = array_of(self);
    require<TypeError>(!is_complex(a.dtype()),
                       "float: the array is complex; take hs.real(x) or hs.abs(x) first");
    const auto value = py::reinterpret_steal<py::object>(scalar(a, "float"));
    return PyNumber_Float(value.ptr());
  });
}
PyObject* as_int(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Array& a = array_of(self);
    require<TypeError>(!is_complex(a.dtype()),
                       "int: the array is complex; take hs.real(x) or hs.abs(x) first");
    const auto value = py::reinterpret_steal<py::object>(scalar(a, "int"));
    return PyNumber_Long(value.ptr());
  });
}
PyObject* as_index(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Array& a = array_of(self);
    require<TypeError>(is_integer(a.dtype()) && a.ndim() == 0,
                       "index: only an integer array of shape () can be an index, got ", describe(a),
                       "; int(x) makes an integer of one entry");
    return scalar(a, "index");
  });
}

// Text
// ----------------------------------------------------------------------------------------------------------------
PyObject* repr(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Array& a = array_of(self);
    if (a.is_symbol()) return PyUnicode_FromString(concat("Array(symbol, ", describe(a), ")").c_str());
    if (a.dtype() == kKey)
      return PyUnicode_FromFormat("Array(%R, dtype=key)", to_numpy(a).attr("tolist")().ptr());
    static PyObject* const array2string =
        py::object(py::module_::import("numpy").attr("array2string")).release().ptr();
    const auto text = py::reinterpret_borrow<py::object>(array2string)(
        to_numpy(a), py::arg("separator") = ", ", py::arg("prefix") = "Array(");
    const std::string shape = a.size() == 0 && a.ndim() != 1 ? concat(", shape=", a.shape()) : "";
    return PyUnicode_FromFormat("Array(%U%s, dtype=%s)", text.ptr(), shape.c_str(),
                                std::string(name(a.dtype())).c_str());
  });
}
PyObject* str(PyObject* self) {
  if (array_of(self).is_symbol() || array_of(self).dtype() == kKey) return repr(self);
  return guarded([&] { return PyObject_Str(to_numpy(array_of(self)).ptr()); });
}

// Indexing and iteration
// ------------------------------------------------------------------------------------------------
Py_ssize_t length(PyObject* self) {
  const Array& a = array_of(self);
  if (a.ndim() == 0) {
    PyErr_SetString(PyExc_TypeError, "len: an array of shape () has no length");
    return -1;
  }
  return static_cast<Py_ssize_t>(a.shape()[0]);
}
PyObject* subscript(PyObject* self, PyObject* key) {
  return guarded([&] { return new_array(getitem(array_of(self), parse_index(key))); });
}
int assign(PyObject*, PyObject*, PyObject* value) {
  PyErr_SetString(PyExc_TypeError, value
                                       ? "arrays are immutable: instead of x[i] = y write x = x.at[i].set(y)"
                                       : "arrays are immutable: entries cannot be deleted");
  return -1;
}
PyObject* iterate(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Array& a = array_of(self);
    require<TypeError>(a.ndim() > 0, "iter: an array of shape () cannot be iterated over");
    const py::object parts = py::cast(unstack(a, 0));
    return PyObject_GetIter(parts.ptr());
  });
}
int contains(PyObject* self, PyObject* value) {
  PyObject* found = guarded([&] {
    const Operand y(value, "in");
    return scalar(any(equal(array_of(self), *y)), "in");
  });
  if (!found) return -1;
  const int result = found == Py_True;
  Py_DECREF(found);
  return result;
}

// Buffer protocol
// -------------------------------------------------------------------------------------------------------
const char* buffer_format(DType t) {
  static constexpr std::array<const char*, kNumDTypes> kFormats = {"?", "b", "h", "i", "q",  "B",  "H",
                                                                   "I", "Q", "f", "d", "Zf", "Zd", nullptr};
  return kFormats[static_cast<size_t>(t)];
}
struct BufferExtents {
  std::vector<Py_ssize_t> shape, strides;
  Ref<Buffer> memory;  // the array itself may be donated meanwhile
};

int get_buffer(PyObject* self, Py_buffer* out, int flags) {
  out->obj = nullptr;
  PyObject* done = guarded([&]() -> PyObject* {
    const Array& a = array_of(self);
    refuse_given_away(a);
    if (a.is_symbol()) throw py::buffer_error("a symbol has no buffer; its value is not known yet");
    const View v = a.view();
    const char* format = buffer_format(v.dtype);
    if ((flags & PyBUF_WRITABLE) == PyBUF_WRITABLE) throw py::buffer_error("hesse arrays are read-only");
    if (!format) throw py::buffer_error("random keys have no buffer format");
    const bool strided = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
    if (!is_contiguous(v.shape, v.strides) &&
        (!strided || (flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS))
      throw py::buffer_error("the array is not contiguous; x.copy() is");
    auto extents = std::make_unique<BufferExtents>();
    extents->shape.assign(v.shape.begin(), v.shape.end());
    for (const int64_t s : v.strides) extents->strides.push_back(s * itemsize(v.dtype));
    extents->memory = a.buffer();
    out->buf = v.data;
    out->len = v.size() * itemsize(v.dtype);
    out->itemsize = itemsize(v.dtype);
    out->readonly = 1;
    out->ndim = static_cast<int>(v.shape.size());
    out->format = (flags & PyBUF_FORMAT) ? const_cast<char*>(format) : nullptr;
    out->shape = (flags & PyBUF_ND) == PyBUF_ND ? extents->shape.data() : nullptr;
    out->strides = strided ? extents->strides.data() : nullptr;
    out->suboffsets = nullptr;
    out->internal = extents.release();
    out->obj = Py_NewRef(self);
    return Py_None;
  });
  return done ? 0 : -1;
}
void release_buffer(PyObject*, Py_buffer* buffer) { delete static_cast<BufferExtents*>(buffer->internal); }

template <class F>
void* slot(F* f) {
  return reinterpret_cast<void*>(f);
}

}  // namespace

py::object scalar_value(const Array& a, std::string_view function) {
  return py::reinterpret_steal<py::object>(scalar(a, function));
}

void init_array_type(py::module_& m) {
  PyType_Slot slots[] = {
      {Py_tp_dealloc, slot(dealloc)},
      {Py_tp_repr, slot(repr)},
      {Py_tp_str, slot(str)},
      {Py_tp_richcompare, slot(compare)},
      {Py_tp_hash, slot(PyObject_HashNotImplemented)},
      {Py_tp_iter, slot(iterate)},
      {Py_tp_getset, array_properties()},
      {Py_nb_add, slot(binary<hesse::add>)},
      {Py_nb_subtract, slot(binary<hesse::subtract>)},
      {Py_nb_multiply, slot(binary<hesse::multiply>)},
      {Py_nb_true_divide, slot(binary<hesse::divide>)},
      {Py_nb_floor_divide, slot(binary<hesse::floor_divide>)},
      {Py_nb_remainder, slot(binary<hesse::remainder>)},
      {Py_nb_divmod, slot(divmod)},
      {Py_nb_power, slot(power)},
      {Py_nb_matrix_multiply, slot(product)},
      {Py_nb_and, slot(binary<hesse::bitwise_and>)},
      {Py_nb_or, slot(binary<hesse::bitwise_or>)},
      {Py_nb_xor, slot(binary<hesse::bitwise_xor>)},
      {Py_nb_lshift, slot(binary<hesse::bitwise_left_shift>)},
      {Py_nb_rshift, slot(binary<hesse::bitwise_right_shift>)},
      {Py_nb_negative, slot(unary<hesse::negative>)},
      {Py_nb_positive, slot(unary<hesse::positive>)},
      {Py_nb_absolute, slot(unary<hesse::abs>)},
      {Py_nb_invert, slot(unary<hesse::bitwise_invert>)},
      {Py_nb_bool, slot(truth)},
      {Py_nb_float, slot(as_float)},
      {Py_nb_int, slot(as_int)},
      {Py_nb_index, slot(as_index)},
      {Py_mp_length, slot(length)},
      {Py_mp_subscript, slot(subscript)},
      {Py_mp_ass_subscript, slot(assign)},
      {Py_sq_contains, slot(contains)},
      {Py_bf_getbuffer, slot(get_buffer)},
      {Py_bf_releasebuffer, slot(release_buffer)},
      {Py_tp_doc, const_cast<char*>(text(docs::kArrayType))},
      {0, nullptr},
  };
  PyType_Spec spec = {"hesse.Array", sizeof(ArrayObject), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  array_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (!array_type) throw py::error_already_set();
  m.attr("Array") = py::handle(reinterpret_cast<PyObject*>(array_type));
}

}  // namespace hesse::python
