#pragma once
#include <pybind11/stl.h>

#include <memory>
#include <utility>

#include "bindings/array_object.h"

/// Conversions of arguments and results, and `define`, which binds a function of arrays.
namespace hesse::python {

/// An array argument before conversion: any Python object.
struct In {
  py::handle object;
};
struct InList {
  py::handle object;
};
struct OptIn {
  py::handle object;
};

py::object dtype_object(DType t);
/// hs.float64, np.float64, np.dtype("f8"), "float64", float, ...; throws TypeError for others.
DType dtype_of_object(py::handle o);

/// The list or tuple of arrays that `function` was given.
Arrays require_arrays(py::handle o, std::string_view function);

namespace detail {
template <class A>
struct Param {
  using type = A;
  static A get(type& a, const char*) { return std::forward<A>(a); }
};
template <>
struct Param<const Array&> {
  using type = In;
  static Array get(In& a, const char* function) { return require_array(a.object.ptr(), function); }
};
template <>
struct Param<const Arrays&> {
  using type = InList;
  static Arrays get(InList& a, const char* function) { return require_arrays(a.object, function); }
};
template <>
struct Param<const std::optional<Array>&> {
  using type = OptIn;
  static std::optional<Array> get(OptIn& a, const char* function) {
    if (a.object.is_none()) return std::nullopt;
    return require_array(a.object.ptr(), function);
  }
};
inline int64_t work(const Array& a) { return a.size(); }
inline int64_t work(const Arrays& xs) {
  int64_t n = 0;
  for (const Array& x : xs) n += x.size();
  return n;
}
inline int64_t work(const std::optional<Array>& a) { return a ? a->size() : 0; }
inline int64_t work(const Shape& s) {
  int64_t n = 1;  // saturating: the function itself refuses what is too large
  for (const int64_t d : s) n = d <= 0 || n > (int64_t{1} << 40) ? n : n * std::min<int64_t>(d, 1 << 20);
  return n;
}
template <class T>
int64_t work(const T&) {
  return 0;
}
}  // namespace detail

/// A function of arrays as Python calls it: array arguments are converted with errors that name the function,
/// and the GIL is released while it computes. `weight` scales the number of elements, for operations that do
/// much with each.
template <class F, class R, class... A>
auto callable(const char* name, int64_t weight, F f, R (F::*)(A...) const) {
  return [f, name, weight](typename detail::Param<A>::type... args) -> R {
    return [&](auto&&... converted) -> R {
      const Unlocked unlocked(weight * (detail::work(converted) + ... + 0));
      return f(converted...);
    }(detail::Param<A>::get(args, name)...);
  };
}
template <class F, class... Extra>
void define(py::module_& m, const char* name, F f, const Extra&... extra) {
  m.def(name, callable(name, 1, f, &F::operator()), extra...);
}
template <class F, class... Extra>
void define_heavy(py::module_& m, const char* name, F f, const Extra&... extra) {
  m.def(name, callable(name, 16, f, &F::operator()), extra...);
}
/// A method of hesse.Array; the first parameter of `f` is the array.
template <class F, class... Extra>
void define_method(const char* name, F f, const Extra&... extra) {
  const py::handle type(reinterpret_cast<PyObject*>(array_type));
  type.attr(name) =
      py::cpp_function(callable(name, 1, f, &F::operator()), py::name(name), py::is_method(type), extra...);
}

/// Keeps a Python object alive from C++ code that may drop it without holding the GIL.
std::shared_ptr<py::object> keep(py::object o);

}  // namespace hesse::python

namespace pybind11::detail {

template <>
struct type_caster<hesse::Array> {
  PYBIND11_TYPE_CASTER(hesse::Array, const_name("Array"));
  bool load(handle src, bool) { return hesse::python::to_array(src.ptr(), value); }
  static handle cast(hesse::Array a, return_value_policy, handle) {
    return hesse::python::new_array(std::move(a));
  }
};

#define HESSE_PASS_THROUGH(Type, Name)            \
  template <>                                     \
  struct type_caster<Type> {                      \
    PYBIND11_TYPE_CASTER(Type, const_name(Name)); \
    bool load(handle src, bool) {                 \
      value.object = src;                         \
      return true;                                \
    }                                             \
  };
HESSE_PASS_THROUGH(hesse::python::In, "ArrayLike")
HESSE_PASS_THROUGH(hesse::python::InList, "Sequence[ArrayLike]")
HESSE_PASS_THROUGH(hesse::python::OptIn, "ArrayLike | None")
#undef HESSE_PASS_THROUGH

template <>
struct type_caster<hesse::DType> {
  PYBIND11_TYPE_CASTER(hesse::DType, const_name("DTypeLike"));
  bool load(handle src, bool) {
    if (src.is_none()) return false;
    value = hesse::python::dtype_of_object(src);
    return true;
  }
  static handle cast(hesse::DType t, return_value_policy, handle) {
    return hesse::python::dtype_object(t).release();
  }
};

/// Shapes and axes: an integer or a sequence of integers.
template <>
struct type_caster<hesse::Dims> {
  PYBIND11_TYPE_CASTER(hesse::Dims, const_name("int | Sequence[int]"));
  bool load(handle src, bool) {
    const auto push = [&](handle item) {
      if (PyBool_Check(item.ptr()) || !PyIndex_Check(item.ptr())) return false;
      const Py_ssize_t n = PyNumber_AsSsize_t(item.ptr(), PyExc_OverflowError);
      if (n == -1 && PyErr_Occurred()) throw error_already_set();
      value.push_back(n);
      return true;
    };
    value = hesse::Dims();
    if (PyTuple_Check(src.ptr()) || PyList_Check(src.ptr())) {
      for (const handle item : reinterpret_borrow<sequence>(src))
        if (!push(item)) return false;
      return true;
    }
    if (PyUnicode_Check(src.ptr()) || PyBytes_Check(src.ptr())) return false;
    if (PyIndex_Check(src.ptr()) && !hesse::python::is_array(src.ptr()) && !hasattr(src, "__len__"))
      return push(src);
    if (hesse::python::is_array(src.ptr()) && hesse::python::array_of(src.ptr()).ndim() == 0)
      return push(src);
    if (!PySequence_Check(src.ptr())) return false;
    for (const handle item : reinterpret_borrow<sequence>(src))
      if (!push(item)) return false;
    return true;
  }
  static handle cast(const hesse::Dims& d, return_value_policy, handle) {
    tuple t(d.size());
    for (size_t i = 0; i < d.size(); ++i) t[i] = int_(d[i]);
    return t.release();
  }
};

}  // namespace pybind11::detail
