#pragma once
#include "bindings/docs.h"

/// Docstrings: exchange with other libraries.
namespace hesse::python::docs {

constexpr Doc kArray{
    .meaning = "A new array of a number, a nested list, a NumPy array or an array. Always a copy.",
    .parameters = {"obj : scalar, nested sequence, NumPy array or Array", param::kDtype, param::kDevice},
    .returns = "Array",
    .raises =
        "TypeError\n    For what is no array, such as strings.\nValueError\n    For nested lists of unequal "
        "lengths.",
    .example = R"(
>>> hs.array([[1, 2], [3, 4]])
Array([[1, 2],
       [3, 4]], dtype=int64)
>>> hs.array([1, 2], dtype=hs.float32)
Array([1., 2.], dtype=float32))",
};
constexpr Doc kAsarray{
    .meaning = "An array of a number, a nested list, a NumPy array or an array.",
    .parameters = {"obj : scalar, nested sequence, NumPy array or Array", param::kDtype, param::kDevice,
                   "copy : bool, optional\n    True copies always; False shares the memory of a NumPy array, "
                   "to which nobody may write\n    afterwards; None copies unless it is an array already."},
    .returns = "Array",
    .raises = "ValueError\n    Where a copy is not allowed and cannot be avoided.",
    .example = R"(
>>> hs.asarray([1, 2])
Array([1, 2], dtype=int64)
>>> hs.asarray(hs.array([1, 2]), dtype=hs.float64)
Array([1., 2.], dtype=float64))",
};
constexpr Doc kFromDlpack{
    .meaning = "An array over the memory of any object with __dlpack__; nobody may write to it afterwards.",
    .parameters = {"x : object with __dlpack__", param::kDevice,
                   "copy : bool, optional\n    True copies; otherwise memory is shared."},
    .returns = "Array",
    .raises =
        "ValueError\n    For an array on another device.\nTypeError\n    Where x has no __dlpack__, or a "
        "dtype that Hesse lacks.",
    .example = R"(
>>> import numpy as np
>>> hs.from_dlpack(np.arange(3))
Array([0, 1, 2], dtype=int64))",
};

}  // namespace hesse::python::docs
