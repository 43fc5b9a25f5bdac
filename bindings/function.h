#pragma once
#include <pybind11/pybind11.h>

#include "core/graph.h"

namespace hesse::python {

/// A function of Python from arrays to a list of arrays, called with the GIL. Its exceptions pass through C++
/// unchanged.
Fn to_fn(pybind11::function f);

/// Python sees counted graphs through a holder of its own.
struct GraphObject {
  Ref<const Graph> graph;
};

inline Avals avals_of(const Arrays& xs) {
  Avals out;
  for (const Array& x : xs) out.push_back(aval(x));
  return out;
}

}  // namespace hesse::python

namespace pybind11::detail {
template <>
struct type_caster<hesse::Fn> {
  PYBIND11_TYPE_CASTER(hesse::Fn, const_name("Callable[..., Sequence[ArrayLike]]"));
  bool load(handle src, bool) {
    if (!PyCallable_Check(src.ptr())) return false;
    value = hesse::python::to_fn(reinterpret_borrow<function>(src));
    return true;
  }
};
}  // namespace pybind11::detail
