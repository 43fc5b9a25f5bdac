#pragma once
#include "bindings/docs.h"

/// Docstrings: methods of arrays.
namespace hesse::python::docs {

constexpr Doc kArrayType{
    .meaning = "An immutable n-dimensional array: data, or a symbol in a trace.",
    .notes =
        "`hs.array`, `hs.zeros`, ... make arrays; `np.asarray(x)` is a read-only view. Operators "
        "and\nindices are\nthose of NumPy; dtypes promote by the table of the array API standard.",
    .example = R"(
>>> x = hs.array([[1.0, 2.0], [3.0, 4.0]])
>>> x.shape, x.dtype, x.ndim
((2, 2), hesse.float64, 2)
>>> x[0] + x[:, 1]
Array([3., 6.], dtype=float64)
>>> x.at[0, 0].set(7.0).T
Array([[7., 3.],
       [2., 4.]], dtype=float64))",
};
constexpr Doc kItem{
    .meaning = "The value of an array with one entry, as a Python number.",
    .returns = "bool, int, float or complex",
    .raises = "ValueError\n    For more entries or none.\nTypeError\n    Under a trace.",
    .example = R"(
>>> hs.array([2.5]).item()
2.5)",
};
constexpr Doc kTolist{
    .meaning = "Nested Python lists of Python numbers.",
    .returns = "list",
    .example = R"(
>>> hs.array([[1, 2], [3, 4]]).tolist()
[[1, 2], [3, 4]])",
};
constexpr Doc kCopy{
    .meaning = "A copy in row-major order.",
    .returns = "Array",
    .example = R"(
>>> hs.array([1, 2]).copy()
Array([1, 2], dtype=int64))",
};
constexpr Doc kToDevice{
    .meaning = "The same array: there is one device, 'cpu'.",
    .parameters = {"device : {'cpu'}", "stream : optional\n    Not used."},
    .returns = "Array",
    .raises = "ValueError\n    For another device.",
    .example = R"(
>>> hs.array([1, 2]).to_device('cpu')
Array([1, 2], dtype=int64))",
};
constexpr Doc kReshape{
    .meaning = "The same entries in another shape: `hs.reshape`.",
    .parameters = {"*shape : int or tuple of int\n    One length may be -1."},
    .returns = "Array",
    .raises = "ValueError\n    Where the numbers of entries differ.",
    .example = R"(
>>> hs.arange(4).reshape(2, -1)
Array([[0, 1],
       [2, 3]], dtype=int64))",
};
constexpr Doc kTranspose{
    .meaning = "The axes permuted, or reversed: `hs.transpose`.",
    .parameters = {"*axes : int or tuple of int, optional"},
    .returns = "Array",
    .example = R"(
>>> hs.zeros((2, 3)).transpose().shape
(3, 2))",
};
constexpr Doc kFlatten{
    .meaning = "All entries in one axis, in row-major order.",
    .returns = "Array",
    .example = R"(
>>> hs.array([[1, 2], [3, 4]]).flatten()
Array([1, 2, 3, 4], dtype=int64))",
};
constexpr Doc kRavel{
    .meaning = "All entries in one axis, in row-major order.",
    .returns = "Array",
    .example = R"(
>>> hs.array([[1, 2], [3, 4]]).ravel()
Array([1, 2, 3, 4], dtype=int64))",
};
constexpr Doc kSqueeze{
    .meaning = "Without axes of length one: `hs.squeeze`.",
    .parameters = {"axis : int or tuple of int, optional\n    All of length one by default."},
    .returns = "Array",
    .example = R"(
>>> hs.zeros((1, 3)).squeeze().shape
(3,))",
};
constexpr Doc kSwapaxes{
    .meaning = "Two axes swapped.",
    .parameters = {"axis1, axis2 : int"},
    .returns = "Array",
    .example = R"(
>>> hs.zeros((2, 3, 4)).swapaxes(0, 2).shape
(4, 3, 2))",
};
constexpr Doc kAstype{
    .meaning = "Converted to another dtype: `hs.astype`.",
    .parameters = {"dtype : dtype"},
    .returns = "Array",
    .example = R"(
>>> hs.array([1, 2]).astype(hs.float64)
Array([1., 2.], dtype=float64))",
};
constexpr Doc kConj{
    .meaning = "The complex conjugate.",
    .returns = "Array",
    .example = R"(
>>> hs.array([1.0 + 2.0j]).conj()
Array([1.-2.j], dtype=complex128))",
};
constexpr Doc kSum{
    .meaning = "The function `hs.sum` of this array.",
    .parameters = {param::kAxes, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([[1, 2], [3, 4]]).sum(axis=0)
Array([4, 6], dtype=int64))",
};
constexpr Doc kProd{
    .meaning = "The function `hs.prod` of this array.",
    .parameters = {param::kAxes, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([[1, 2], [3, 4]]).prod(axis=0)
Array([3, 8], dtype=int64))",
};
constexpr Doc kMean{
    .meaning = "The function `hs.mean` of this array.",
    .parameters = {param::kAxes, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([[1.0, 2.0], [3.0, 4.0]]).mean(axis=0)
Array([2., 3.], dtype=float64))",
};
constexpr Doc kMax{
    .meaning = "The function `hs.max` of this array.",
    .parameters = {param::kAxes, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([[1, 2], [3, 4]]).max(axis=0)
Array([3, 4], dtype=int64))",
};
constexpr Doc kMin{
    .meaning = "The function `hs.min` of this array.",
    .parameters = {param::kAxes, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([[1, 2], [3, 4]]).min(axis=0)
Array([1, 2], dtype=int64))",
};
constexpr Doc kAll{
    .meaning = "The function `hs.all` of this array.",
    .parameters = {param::kAxes, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([True, False]).all()
Array(False, dtype=bool))",
};
constexpr Doc kAny{
    .meaning = "The function `hs.any` of this array.",
    .parameters = {param::kAxes, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([True, False]).any()
Array(True, dtype=bool))",
};
constexpr Doc kArgmax{
    .meaning = "The function `hs.argmax` of this array.",
    .parameters = {param::kFlatAxis, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([1, 3, 2]).argmax()
Array(1, dtype=int64))",
};
constexpr Doc kArgmin{
    .meaning = "The function `hs.argmin` of this array.",
    .parameters = {param::kFlatAxis, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([1, 3, 2]).argmin()
Array(0, dtype=int64))",
};
constexpr Doc kVar{
    .meaning = "The function `hs.var` of this array.",
    .parameters = {param::kAxes, "correction : float\n    1 for an unbiased estimate.", param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([1.0, 3.0]).var()
Array(1., dtype=float64))",
};
constexpr Doc kStd{
    .meaning = "The function `hs.std` of this array.",
    .parameters = {param::kAxes, "correction : float\n    1 for an unbiased estimate of the variance.",
                   param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.array([1.0, 3.0]).std()
Array(1., dtype=float64))",
};
constexpr Doc kCumsum{
    .meaning = "The function `hs.cumsum` of this array.",
    .parameters = {param::kFlatAxis},
    .returns = "Array",
    .example = R"(
>>> hs.array([1, 2, 3]).cumsum()
Array([1, 3, 6], dtype=int64))",
};
constexpr Doc kCumprod{
    .meaning = "The function `hs.cumprod` of this array.",
    .parameters = {param::kFlatAxis},
    .returns = "Array",
    .example = R"(
>>> hs.array([1, 2, 3]).cumprod()
Array([1, 2, 6], dtype=int64))",
};
constexpr Doc kDot{
    .meaning = "The product `hs.dot` of this array and another.",
    .parameters = {"other : array"},
    .returns = "Array",
    .example = R"(
>>> hs.array([1, 2]).dot(hs.array([3, 4]))
Array(11, dtype=int64))",
};
constexpr Doc kAt{
    .meaning =
        "x.at[i].set(y): a new array with entries replaced; also add, subtract, multiply, min, max, get.",
    .notes =
        "Of equal indices the last one sets, and alone has the derivative; `add` accumulates in "
        "their\norder.",
    .example = R"(
>>> hs.zeros(3).at[1].set(5.0)
Array([0., 5., 0.], dtype=float64)
>>> hs.zeros(3).at[hs.array([0, 0])].add(1.0)
Array([2., 0., 0.], dtype=float64))",
};

}  // namespace hesse::python::docs
