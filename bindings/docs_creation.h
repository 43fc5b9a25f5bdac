#pragma once
#include "bindings/docs.h"

/// Docstrings: functions that make arrays.
namespace hesse::python::docs {

constexpr Doc kZeros{
    .meaning = "Zeros.",
    .parameters = {param::kShape, param::kNewDtype, param::kDevice},
    .returns = "Array",
    .example = R"(
>>> hs.zeros((2, 3), dtype=hs.int32)
Array([[0, 0, 0],
       [0, 0, 0]], dtype=int32))",
};
constexpr Doc kOnes{
    .meaning = "Ones.",
    .parameters = {param::kShape, param::kNewDtype, param::kDevice},
    .returns = "Array",
    .example = R"(
>>> hs.ones(3)
Array([1., 1., 1.], dtype=float64))",
};
constexpr Doc kEmpty{
    .meaning = "An array whose contents do not matter: zeros.",
    .parameters = {param::kShape, param::kNewDtype, param::kDevice},
    .returns = "Array",
    .example = R"(
>>> hs.empty((2, 3)).shape
(2, 3))",
};
constexpr Doc kFull{
    .meaning = "The scalar fill_value everywhere.",
    .parameters = {param::kShape, "fill_value : scalar", param::kDtype, param::kDevice},
    .returns = "Array",
    .example = R"(
>>> hs.full((2, 2), 7)
Array([[7, 7],
       [7, 7]], dtype=int64))",
};
constexpr Doc kZerosLike{
    .meaning = "Zeros of the shape and dtype of x.",
    .parameters = {param::kX, param::kLikeDtype, param::kDevice},
    .returns = "Array",
    .example = R"(
>>> hs.zeros_like(hs.array([1, 2]))
Array([0, 0], dtype=int64))",
};
constexpr Doc kOnesLike{
    .meaning = "Ones of the shape and dtype of x.",
    .parameters = {param::kX, param::kLikeDtype, param::kDevice},
    .returns = "Array",
    .example = R"(
>>> hs.ones_like(hs.array([1, 2]))
Array([1, 1], dtype=int64))",
};
constexpr Doc kEmptyLike{
    .meaning = "An array of the shape and dtype of x whose contents do not matter: zeros.",
    .parameters = {param::kX, param::kLikeDtype, param::kDevice},
    .returns = "Array",
    .example = R"(
>>> hs.empty_like(hs.array([1, 2])).shape
(2,))",
};
constexpr Doc kFullLike{
    .meaning = "The scalar fill_value everywhere, in the shape and dtype of x.",
    .parameters = {param::kX, "fill_value : scalar", param::kLikeDtype, param::kDevice},
    .returns = "Array",
    .example = R"(
>>> hs.full_like(hs.array([1, 2]), 7)
Array([7, 7], dtype=int64))",
};
constexpr Doc kArange{
    .meaning = "start, start + step, ... below stop; arange(n) counts from 0 to n - 1.",
    .parameters = {"start : scalar\n    The end instead, where no stop is given.",
                   "stop : scalar, optional\n    Not reached.",
                   "step : scalar\n    Not 0; negative steps count down.", param::kDtype, param::kDevice},
    .returns = "Array, (n,)\n    int64 where all arguments are integers, else the default dtype.",
    .example = R"(
>>> hs.arange(4)
Array([0, 1, 2, 3], dtype=int64)
>>> hs.arange(1.0, 0.0, -0.25)
Array([1.  , 0.75, 0.5 , 0.25], dtype=float64))",
};
constexpr Doc kLinspace{
    .meaning = "num evenly spaced values from start to stop.",
    .parameters = {"start, stop : scalar", "num : int", param::kNewDtype, param::kDevice,
                   "endpoint : bool\n    Whether stop is the last value."},
    .returns = "Array, (num,)",
    .example = R"(
>>> hs.linspace(0.0, 1.0, 5)
Array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float64))",
};
constexpr Doc kLogspace{
    .meaning = "base to the power of num evenly spaced values from start to stop.",
    .parameters = {"start, stop : scalar\n    Exponents.", "num : int", param::kNewDtype,
                   "endpoint : bool\n    Whether stop is the last exponent.", "base : float"},
    .returns = "Array, (num,)",
    .example = R"(
>>> hs.round(hs.logspace(0.0, 2.0, 3), 9)
Array([  1.,  10., 100.], dtype=float64))",
};
constexpr Doc kEye{
    .meaning = "Ones on the k-th diagonal, zeros elsewhere.",
    .parameters = {"n_rows : int", "n_cols : int, optional\n    n_rows by default.", param::kK,
                   param::kNewDtype, param::kDevice},
    .returns = "Array, (n_rows, n_cols)",
    .example = R"(
>>> hs.eye(2)
Array([[1., 0.],
       [0., 1.]], dtype=float64)
>>> hs.eye(2, 3, k=1, dtype=hs.int64)
Array([[0, 1, 0],
       [0, 0, 1]], dtype=int64))",
};
constexpr Doc kMeshgrid{
    .meaning = "Coordinates of the points of a grid, an array per axis.",
    .parameters = {"*arrays : array, (n,)\n    The coordinates along each axis.",
                   "indexing : {'xy', 'ij'}\n    Whether the first array runs along the second axis of the "
                   "results (as in plots) or along\n    the first."},
    .returns = "list of Array",
    .example = R"(
>>> x, y = hs.meshgrid(hs.array([1, 2, 3]), hs.array([4, 5]))
>>> x
Array([[1, 2, 3],
       [1, 2, 3]], dtype=int64)
>>> y
Array([[4, 4, 4],
       [5, 5, 5]], dtype=int64))",
};
constexpr Doc kTril{
    .meaning = "x with zeros above the k-th diagonal.",
    .parameters = {param::kMatrix, param::kK},
    .returns = "Array, (..., m, n)",
    .example = R"(
>>> hs.tril(hs.ones((2, 2), dtype=hs.int64))
Array([[1, 0],
       [1, 1]], dtype=int64))",
};
constexpr Doc kTriu{
    .meaning = "x with zeros below the k-th diagonal.",
    .parameters = {param::kMatrix, param::kK},
    .returns = "Array, (..., m, n)",
    .example = R"(
>>> hs.triu(hs.ones((2, 2), dtype=hs.int64))
Array([[1, 1],
       [0, 1]], dtype=int64))",
};
constexpr Doc kDiag{
    .meaning = "The matrix with x on its k-th diagonal, or the k-th diagonal of the matrix x.",
    .parameters = {"x : array, (n,) or (m, n)", param::kK},
    .returns = "Array",
    .example = R"(
>>> hs.diag(hs.array([1, 2]))
Array([[1, 0],
       [0, 2]], dtype=int64)
>>> hs.diag(hs.array([[1, 2], [3, 4]]))
Array([1, 4], dtype=int64))",
};
constexpr Doc kDiagonal{
    .meaning = "A diagonal of the last two axes.",
    .parameters = {param::kMatrix, param::kOffset},
    .returns = "Array, (..., k)",
    .example = R"(
>>> hs.diagonal(hs.array([[1, 2], [3, 4]]))
Array([1, 4], dtype=int64))",
};

}  // namespace hesse::python::docs
