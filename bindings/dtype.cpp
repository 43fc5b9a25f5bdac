#include <pybind11/numpy.h>

#include <array>

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_dtype.h"

/// hesse.DType and its instances hesse.float64, hesse.bool, ... They equal NumPy's dtypes and names, and
/// NumPy accepts them where it wants a dtype.
namespace hesse::python {
namespace {

struct DTypeObject {
  DType dtype;
};
std::array<PyObject*, kNumDTypes> objects;

std::optional<DType> lookup(py::handle o) {
  if (py::isinstance<DTypeObject>(o)) return o.cast<const DTypeObject&>().dtype;
  if (PyUnicode_Check(o.ptr())) {
    const auto text = o.cast<std::string>();
    for (int i = 0; i < kNumDTypes; ++i)
      if (name(static_cast<DType>(i)) == text) return static_cast<DType>(i);
  }
  if (o.ptr() == reinterpret_cast<PyObject*>(&PyBool_Type)) return kBool;
  if (o.ptr() == reinterpret_cast<PyObject*>(&PyLong_Type)) return kInt64;
  if (o.ptr() == reinterpret_cast<PyObject*>(&PyFloat_Type)) return default_dtype();
  if (o.ptr() == reinterpret_cast<PyObject*>(&PyComplex_Type)) return complex_dtype(default_dtype());
  if (o.is_none() || PyFloat_Check(o.ptr()) || PyLong_Check(o.ptr())) return std::nullopt;
  try {
    return dtype_from_numpy(py::dtype::from_args(py::reinterpret_borrow<py::object>(o)));
  } catch (py::error_already_set&) {
    return std::nullopt;
  }
}

}  // namespace

py::object dtype_object(DType t) {
  return py::reinterpret_borrow<py::object>(objects[static_cast<size_t>(t)]);
}

DType dtype_of_object(py::handle o) {
  const auto t = lookup(o);
  if (!t)
    throw TypeError(
        concat("dtype: ", std::string(py::repr(o)),
               " is not a dtype of Hesse; there are bool, int8 to int64, uint8 to uint64, float32, float64, "
               "complex64, complex128 and key"));
  return *t;
}

void init_dtype(py::module_& m) {
  py::class_<DTypeObject> type(m, "DType", text(docs::kDType));
  type.attr("__module__") = "hesse";
  type.def_property_readonly("name", [](const DTypeObject& d) { return std::string(name(d.dtype)); })
      .def_property_readonly("itemsize", [](const DTypeObject& d) { return itemsize(d.dtype); })
      .def_property_readonly("kind",
                             [](const DTypeObject& d) {
                               const DType t = d.dtype;
                               return is_bool(t)               ? "b"
                                      : is_signed_integer(t)   ? "i"
                                      : is_unsigned_integer(t) ? "u"
                                      : is_floating(t)         ? "f"
                                      : is_complex(t)          ? "c"
                                                               : "k";
                             })
      .def_property_readonly("dtype", [](const DTypeObject& d) { return numpy_dtype(d.dtype); })
      .def_property_readonly("__numpy_dtype__", [](const DTypeObject& d) { return numpy_dtype(d.dtype); })
      .def(
          "__call__", [](const DTypeObject& d, py::handle value) { return make_array(value, d.dtype); },
          py::arg("value") = 0, py::pos_only(), "An array of this dtype.")
      .def("__repr__", [](const DTypeObject& d) { return "hesse." + std::string(name(d.dtype)); })
      .def("__str__", [](const DTypeObject& d) { return std::string(name(d.dtype)); })
      .def("__eq__",
           [](const DTypeObject& d, py::handle other) {
             const auto t = lookup(other);
             return t && *t == d.dtype;
           })
      .def("__ne__",
           [](const DTypeObject& d, py::handle other) {
             const auto t = lookup(other);
             return !t || *t != d.dtype;
           })
      .def("__hash__",
           [](const DTypeObject& d) {
             return d.dtype == kKey ? py::hash(py::str("key")) : py::hash(numpy_dtype(d.dtype));
           })
      .def("__reduce__", [](const DTypeObject& d) {
        return py::make_tuple(py::module_::import("hesse._hesse").attr("dtype"),
                              py::make_tuple(std::string(name(d.dtype))));
      });
  for (int i = 0; i < kNumDTypes; ++i) {
    const auto t = static_cast<DType>(i);
    objects[static_cast<size_t>(i)] = py::cast(DTypeObject{t}).release().ptr();
    m.attr(std::string(name(t)).c_str()) = dtype_object(t);
  }
  m.def(
      "dtype", [](DType t) { return t; }, py::arg("dtype"), py::pos_only(), text(docs::kDtype));
  m.def(
      "promote_types", [](DType a, DType b) { return promote(a, b); }, py::arg("a"), py::arg("b"),
      py::pos_only(), text(docs::kPromoteTypes));
  m.def(
      "real_dtype", [](DType t) { return real_dtype(t); }, py::arg("dtype"), py::pos_only(),
      "The real dtype of the same precision.");
  m.def(
      "complex_dtype", [](DType t) { return complex_dtype(t); }, py::arg("dtype"), py::pos_only(),
      "The complex dtype of the same precision.");
  m.def(
      "default_dtype", [] { return default_dtype(); }, text(docs::kDefaultDtype));
  m.def(
      "set_default_dtype", [](DType t) { set_default_dtype(t); }, py::arg("dtype"), py::pos_only(),
      text(docs::kSetDefaultDtype));
}

}  // namespace hesse::python
