#pragma once
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

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

/// An argument of another kind (a number, a shape, a dtype) before conversion: any Python object, shown in
/// signatures as what it becomes.
template <class T>
struct Raw {
  py::handle object;
};
/// A result that Python sees as a tuple.
struct TupleOf {
  Arrays items;
};
/// The one device; the array API standard lets many functions name one.
struct Device {};

/// Which argument of which function is converted, for messages.
struct Where {
  const char* function;
  const char* argument;
};
/// Throws "function: argument is got, expected expected".
[[noreturn]] void refuse(py::handle got, Where where, std::string_view expected);

namespace detail {
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <class T>
std::string expected() {
  if constexpr (std::is_same_v<T, bool>)
    return "True or False";
  else if constexpr (std::is_integral_v<T>)
    return "an integer";
  else if constexpr (std::is_floating_point_v<T>)
    return "a number";
  else if constexpr (std::is_same_v<T, std::string>)
    return "a string";
  else if constexpr (std::is_same_v<T, Dims>)
    return "an integer or a sequence of integers, such as 3 or (2, 3)";
  else if constexpr (std::is_same_v<T, DType>)
    return "a dtype, such as hs.float64";
  else if constexpr (std::is_same_v<T, std::variant<double, std::string>>)
    return "a number or a string";
  else
    return py::detail::make_caster<T>::name.text;
}
/// The double that `o` converts to; the TraceError of a symbol passes, other failures are false.
bool to_double(PyObject* o, double& out);
}  // namespace detail

/// A Python object as a T, or a TypeError that names function, argument, what was given and what is expected.
template <class T>
T convert(py::handle o, Where where, const char* alternative = "") {
  if constexpr (detail::IsOptional<T>::value) {
    if (o.is_none()) return std::nullopt;
    return convert<typename T::value_type>(o, where, " or None");
  } else {
    const auto refused = [&](const std::string& expected) { refuse(o, where, expected + alternative); };
    if constexpr (std::is_same_v<T, double>) {
      double value = 0.0;
      if (!detail::to_double(o.ptr(), value)) refused(detail::expected<T>());
      return value;
    } else {
      py::detail::make_caster<T> caster;
      const bool none = std::is_same_v<T, bool> && o.is_none();  // pybind11 takes it for False
      if (none || !caster.load(o, true))
        refused(std::is_integral_v<T> && PyLong_Check(o.ptr()) ? "an integer that fits into 64 bits"
                                                               : detail::expected<T>());
      return py::detail::cast_op<T>(std::move(caster));
    }
  }
}

namespace detail {
/// How an argument arrives and what it becomes. What holds Python objects passes unchanged.
template <class T, bool = std::is_base_of_v<py::handle, T>>
struct Param {
  using type = Raw<T>;
  static T get(const type& a, Where where) { return convert<T>(a.object, where); }
};
template <class T>
struct Param<T, true> {
  using type = T;
  static T get(const type& a, Where) { return a; }
};
template <>
struct Param<Array, false> {
  using type = In;
  static Array get(const In& a, Where where) { return require_array(a.object.ptr(), where.function); }
};
template <>
struct Param<Arrays, false> {
  using type = InList;
  static Arrays get(const InList& a, Where where) { return require_arrays(a.object, where.function); }
};
template <>
struct Param<std::optional<Array>, false> {
  using type = OptIn;
  static std::optional<Array> get(const OptIn& a, Where where) {
    if (a.object.is_none()) return std::nullopt;
    return require_array(a.object.ptr(), where.function);
  }
};

/// Whether a type is free of Python objects, so that code which sees only such types needs no GIL.
template <class T>
struct IsPlain : std::is_arithmetic<T> {};
template <>
struct IsPlain<std::string> : std::true_type {};
template <>
struct IsPlain<Array> : std::true_type {};
template <>
struct IsPlain<TupleOf> : std::true_type {};
template <>
struct IsPlain<Dims> : std::true_type {};
template <>
struct IsPlain<DType> : std::true_type {};
template <>
struct IsPlain<Device> : std::true_type {};
template <class T>
struct IsPlain<std::optional<T>> : IsPlain<T> {};
template <class T>
struct IsPlain<std::vector<T>> : IsPlain<T> {};
template <class... T>
struct IsPlain<std::variant<T...>> : std::conjunction<IsPlain<T>...> {};
template <class... T>
struct IsPlain<std::tuple<T...>> : std::conjunction<IsPlain<T>...> {};
template <class T, class U>
struct IsPlain<std::pair<T, U>> : std::conjunction<IsPlain<T>, IsPlain<U>> {};

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

/// The names of `n` arguments: those that pybind11 was given, after "self" for a method.
template <class... Extra>
std::vector<const char*> argument_names(size_t n, const Extra&... extra) {
  std::vector<const char*> names;
  [[maybe_unused]] const auto add = [&](const auto& e) {
    if constexpr (std::is_base_of_v<py::arg, std::decay_t<decltype(e)>>) names.push_back(e.name);
  };
  (add(extra), ...);
  if (names.size() < n) names.insert(names.begin(), "self");
  names.resize(n, "an argument");
  return names;
}
}  // namespace detail

/// A function of arrays as Python calls it: arguments are converted with errors that name function and
/// argument. The GIL is released while it computes, if neither its arguments nor its result are Python
/// objects: a function that makes or reads any keeps it. `weight` scales the number of elements, for
/// operations that do much with each.
template <class F, class R, class... A, class... Extra>
auto callable(const char* name, int64_t weight, F f, R (F::*)(A...) const, const Extra&... extra) {
  return [f, name, weight, names = detail::argument_names(sizeof...(A), extra...)](
             const typename detail::Param<std::remove_cvref_t<A>>::type&... args) -> R {
    [[maybe_unused]] size_t k = 0;
    // Braces: converted from left to right, as `names` is read.
    std::tuple<std::remove_cvref_t<A>...> converted{
        detail::Param<std::remove_cvref_t<A>>::get(args, Where{name, names[k++]})...};
    return std::apply(
        [&](auto&... values) -> R {
          if constexpr (std::conjunction_v<detail::IsPlain<R>, detail::IsPlain<std::remove_cvref_t<A>>...>) {
            const Unlocked unlocked(weight * (detail::work(values) + ... + 0));
            return naming(name, [&]() -> R { return f(values...); });
          } else {
            return naming(name, [&]() -> R { return f(values...); });
          }
        },
        converted);
  };
}
template <class F, class... Extra>
void define(py::module_& m, const char* name, F f, const Extra&... extra) {
  m.def(name, callable(name, 1, f, &F::operator(), extra...), extra...);
}
template <class F, class... Extra>
void define_heavy(py::module_& m, const char* name, F f, const Extra&... extra) {
  m.def(name, callable(name, 16, f, &F::operator(), extra...), extra...);
}
/// A method of hesse.Array; the first parameter of `f` is the array.
template <class F, class... Extra>
void define_method(const char* name, F f, const Extra&... extra) {
  const py::handle type(reinterpret_cast<PyObject*>(array_type));
  type.attr(name) = py::cpp_function(callable(name, 1, f, &F::operator(), extra...), py::name(name),
                                     py::is_method(type), extra...);
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

template <class T>
struct type_caster<hesse::python::Raw<T>> {
  PYBIND11_TYPE_CASTER(hesse::python::Raw<T>, make_caster<T>::name);
  bool load(handle src, bool) {
    value.object = src;
    return true;
  }
};

template <>
struct type_caster<hesse::python::TupleOf> {
  PYBIND11_TYPE_CASTER(hesse::python::TupleOf, const_name("tuple[Array, ...]"));
  static handle cast(hesse::python::TupleOf t, return_value_policy, handle) {
    tuple out(t.items.size());
    for (size_t i = 0; i < t.items.size(); ++i) out[i] = pybind11::cast(std::move(t.items[i]));
    return out.release();
  }
};

template <>
struct type_caster<hesse::python::Device> {
  PYBIND11_TYPE_CASTER(hesse::python::Device, const_name("str | None"));
  bool load(handle src, bool) {
    if (src.is_none()) return true;
    hesse::require(PyUnicode_Check(src.ptr()) && src.cast<std::string>() == "cpu",
                   "device: there is only 'cpu'");
    return true;
  }
  static handle cast(hesse::python::Device, return_value_policy, handle) { return none().release(); }
};

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
