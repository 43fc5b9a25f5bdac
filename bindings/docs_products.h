#pragma once
#include "bindings/docs.h"

/// Docstrings: products.
namespace hesse::python::docs {

constexpr Doc kMatmul{
    .meaning = "The matrix product, over leading axes at once.",
    .parameters = {"x1 : array, (..., m, k) or (k,)",
                   "x2 : array, (..., k, n) or (k,)\n    Leading axes broadcast."},
    .returns = "Array, (..., m, n)\n    Without the axis that a vector lacks.",
    .raises = "ValueError\n    Where the inner lengths differ.",
    .example = R"(
>>> hs.matmul(hs.array([[1, 2], [3, 4]]), hs.array([1, 1]))
Array([3, 7], dtype=int64))",
};
constexpr Doc kDot{
    .meaning =
        "The sum of products over the last axis of x1 and the second to last of x2 (the only one of a "
        "vector).",
    .parameters = {"x1 : array, (..., k)", "x2 : array, (..., k, n) or (k,)"},
    .returns = "Array",
    .example = R"(
>>> hs.dot(hs.array([1, 2, 3]), hs.array([4, 5, 6]))
Array(32, dtype=int64))",
};
constexpr Doc kVecdot{
    .meaning = "The sum of conj(x1) * x2 over an axis.",
    .parameters = {param::kX1X2, param::kLastAxis},
    .returns = "Array",
    .example = R"(
>>> hs.vecdot(hs.array([1, 2, 3]), hs.array([4, 5, 6]))
Array(32, dtype=int64))",
};
constexpr Doc kOuter{
    .meaning = "x1[i] * x2[j] for all i and j.",
    .parameters = {"x1 : array, (m,)", "x2 : array, (n,)"},
    .returns = "Array, (m, n)",
    .example = R"(
>>> hs.outer(hs.array([1, 2]), hs.array([3, 4]))
Array([[3, 4],
       [6, 8]], dtype=int64))",
};
constexpr Doc kEinsum{
    .meaning = "Sums of products in Einstein's notation.",
    .parameters = {"subscripts : str\n    Letters for the axes of each operand and, after ->, of the result; "
                   "'...' for leading\n    axes.",
                   "*operands : array"},
    .returns = "Array",
    .raises = "ValueError\n    Where subscripts and shapes do not fit.",
    .example = R"(
>>> a = hs.array([[1, 2], [3, 4]])
>>> hs.einsum('ij,jk->ik', a, a)
Array([[ 7, 10],
       [15, 22]], dtype=int64)
>>> hs.einsum('ii->', a)
Array(5, dtype=int64))",
};
constexpr Doc kKron{
    .meaning = "The Kronecker product: blocks x1[i, j] * x2.",
    .parameters = {"x1, x2 : array"},
    .returns = "Array",
    .example = R"(
>>> hs.kron(hs.array([[1, 2]]), hs.array([[1, 1]]))
Array([[1, 1, 2, 2]], dtype=int64))",
};
constexpr Doc kCross{
    .meaning = "The cross product of vectors in three dimensions.",
    .parameters = {"x1, x2 : array\n    Of length 3 along the axis; they broadcast.", param::kLastAxis},
    .returns = "Array",
    .raises = "ValueError\n    For another length.",
    .example = R"(
>>> hs.cross(hs.array([1, 0, 0]), hs.array([0, 1, 0]))
Array([0, 0, 1], dtype=int64))",
};

}  // namespace hesse::python::docs
