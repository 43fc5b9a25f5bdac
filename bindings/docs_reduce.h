#pragma once
#include "bindings/docs.h"

/// Docstrings: reductions.
namespace hesse::python::docs {

constexpr Doc kSum{
    .meaning = "The sum over all or some axes.",
    .parameters = {param::kX, param::kAxes, param::kDtype, param::kKeepdims},
    .returns = "Array",
    .notes =
        "The order of additions depends on the length alone: not on threads, layout or the instruction\nset.",
    .example = R"(
>>> hs.sum(hs.array([[1, 2], [3, 4]]))
Array(10, dtype=int64)
>>> hs.sum(hs.array([[1, 2], [3, 4]]), axis=0)
Array([4, 6], dtype=int64))",
};
constexpr Doc kProd{
    .meaning = "The product over all or some axes.",
    .parameters = {param::kX, param::kAxes, param::kDtype, param::kKeepdims},
    .returns = "Array",
    .notes = "Derivatives are right where entries are 0.",
    .example = R"(
>>> hs.prod(hs.array([[1, 2], [3, 4]]), axis=1)
Array([ 2, 12], dtype=int64))",
};
constexpr Doc kMax{
    .meaning = "The largest entry over all or some axes; NaN where there is one.",
    .parameters = {param::kX, param::kAxes, param::kKeepdims},
    .returns = "Array",
    .raises = "ValueError\n    For an axis of length zero.\nTypeError\n    For complex numbers.",
    .notes = "Equal entries share the derivative in equal parts.",
    .example = R"(
>>> hs.max(hs.array([[1, 2], [3, 4]]), axis=1)
Array([2, 4], dtype=int64))",
};
constexpr Doc kMin{
    .meaning = "The smallest entry over all or some axes; NaN where there is one.",
    .parameters = {param::kX, param::kAxes, param::kKeepdims},
    .returns = "Array",
    .raises = "ValueError\n    For an axis of length zero.\nTypeError\n    For complex numbers.",
    .notes = "Equal entries share the derivative in equal parts.",
    .example = R"(
>>> hs.min(hs.array([[1, 2], [3, 4]]), axis=1)
Array([1, 3], dtype=int64))",
};
constexpr Doc kMean{
    .meaning = "The arithmetic mean over all or some axes.",
    .parameters = {param::kX, param::kAxes, param::kKeepdims},
    .returns = "Array\n    Floating or complex.",
    .example = R"(
>>> hs.mean(hs.array([[1, 2], [3, 4]]), axis=0)
Array([2., 3.], dtype=float64))",
};
constexpr Doc kLogsumexp{
    .meaning = "log(sum(exp(x))), without overflow.",
    .parameters = {param::kX, param::kAxes, param::kKeepdims},
    .returns = "Array",
    .example = R"(
>>> hs.round(hs.logsumexp(hs.array([1000.0, 1000.0])) - 1000.0, 4)
Array(0.6931, dtype=float64))",
};
constexpr Doc kAll{
    .meaning = "Whether all entries are true; numbers are true where they are not 0.",
    .parameters = {param::kX, param::kAxes, param::kKeepdims},
    .returns = "Array of bool\n    True where there are no entries.",
    .example = R"(
>>> hs.all(hs.array([[True, False], [True, True]]), axis=1)
Array([False,  True], dtype=bool))",
};
constexpr Doc kAny{
    .meaning = "Whether some entry is true; numbers are true where they are not 0.",
    .parameters = {param::kX, param::kAxes, param::kKeepdims},
    .returns = "Array of bool\n    False where there are no entries.",
    .example = R"(
>>> hs.any(hs.array([[True, False], [False, False]]), axis=1)
Array([ True, False], dtype=bool))",
};
constexpr Doc kCountNonzero{
    .meaning = "How many entries are not zero.",
    .parameters = {param::kX, param::kAxes, param::kKeepdims},
    .returns = "Array of int64",
    .example = R"(
>>> hs.count_nonzero(hs.array([0, 3, 0, 4]))
Array(2, dtype=int64))",
};
constexpr Doc kArgmax{
    .meaning = "The index of the largest entry, the first of equal ones; NaN comes before all.",
    .parameters = {param::kX, param::kFlatAxis, param::kKeepdims},
    .returns = "Array of int64",
    .raises = "ValueError\n    For an axis of length zero.",
    .example = R"(
>>> hs.argmax(hs.array([[1, 5, 2], [7, 0, 7]]), axis=1)
Array([1, 0], dtype=int64))",
};
constexpr Doc kArgmin{
    .meaning = "The index of the smallest entry, the first of equal ones; NaN comes before all.",
    .parameters = {param::kX, param::kFlatAxis, param::kKeepdims},
    .returns = "Array of int64",
    .raises = "ValueError\n    For an axis of length zero.",
    .example = R"(
>>> hs.argmin(hs.array([[1, 5, 2], [7, 0, 7]]), axis=1)
Array([0, 1], dtype=int64))",
};
constexpr Doc kVar{
    .meaning = "The variance: the sum of squared deviations from the mean over N - correction.",
    .parameters = {param::kX, param::kAxes,
                   "correction : float\n    0 for that of the entries themselves, 1 for an unbiased estimate "
                   "of the variance.",
                   param::kKeepdims},
    .returns = "Array\n    Real.",
    .example = R"(
>>> hs.var(hs.array([1.0, 1.0, 5.0, 5.0]))
Array(4., dtype=float64))",
};
constexpr Doc kStd{
    .meaning = "The standard deviation: the square root of the variance.",
    .parameters = {param::kX, param::kAxes,
                   "correction : float\n    0 for that of the entries themselves, 1 for an unbiased estimate "
                   "of the variance.",
                   param::kKeepdims},
    .returns = "Array\n    Real.",
    .notes =
        "Where all entries are equal the derivative is NaN: add a small number to the variance and take\nthe "
        "root of that.",
    .example = R"(
>>> hs.std(hs.array([1.0, 1.0, 5.0, 5.0]))
Array(2., dtype=float64))",
};
constexpr Doc kSoftmax{
    .meaning = "exp(x) / sum(exp(x)) along an axis.",
    .parameters = {param::kX, param::kLastAxis},
    .returns = "Array\n    Positive, with sum 1 along the axis.",
    .example = R"(
>>> hs.softmax(hs.array([2.0, 2.0]))
Array([0.5, 0.5], dtype=float64))",
};
constexpr Doc kLogSoftmax{
    .meaning = "log(softmax(x)), exact for large differences.",
    .parameters = {param::kX, param::kLastAxis},
    .returns = "Array",
    .example = R"(
>>> hs.round(hs.log_softmax(hs.array([0.0, -1000.0])), 9)
Array([    0., -1000.], dtype=float64))",
};
constexpr Doc kCumsum{
    .meaning = "Running sums along an axis.",
    .parameters = {param::kX, param::kFlatAxis, param::kDtype},
    .returns = "Array",
    .example = R"(
>>> hs.cumsum(hs.array([1, 2, 3]))
Array([1, 3, 6], dtype=int64))",
};
constexpr Doc kCumprod{
    .meaning = "Running products along an axis.",
    .parameters = {param::kX, param::kFlatAxis, param::kDtype},
    .returns = "Array",
    .notes = "Derivatives are right where entries are 0.",
    .example = R"(
>>> hs.cumprod(hs.array([1, 2, 3]))
Array([1, 2, 6], dtype=int64))",
};
constexpr Doc kDiff{
    .meaning = "The n-th difference of neighbours along an axis: x[i + 1] - x[i], n times.",
    .parameters = {param::kX, param::kLastAxis, "n : int",
                   "prepend, append : array, optional\n    Joined to x before."},
    .returns = "Array",
    .example = R"(
>>> hs.diff(hs.array([1, 4, 9, 16]))
Array([3, 5, 7], dtype=int64)
>>> hs.diff(hs.array([1, 4, 9, 16]), n=2)
Array([2, 2], dtype=int64))",
};
constexpr Doc kTrace{
    .meaning = "The sum of a diagonal of the last two axes.",
    .parameters = {param::kMatrix, param::kOffset, param::kDtype},
    .returns = "Array, (...)",
    .example = R"(
>>> hs.trace(hs.array([[1, 2], [3, 4]]))
Array(5, dtype=int64))",
};
constexpr Doc kInterp{
    .meaning = "Piecewise linear interpolation through the points (xp, fp), constant outside.",
    .parameters = {"x : array\n    Where to interpolate.", "xp : array, (n,)\n    Ascending.",
                   "fp : array, (n,)\n    Values there."},
    .returns = "Array\n    Of the shape of x.",
    .notes = "At a point of xp the derivative in x is the slope to the right of it, 0 at the last.",
    .example = R"(
>>> hs.interp(hs.array([0.5, 1.5, 9.0]), hs.array([0.0, 1.0, 2.0]), hs.array([0.0, 10.0, 30.0]))
Array([ 5., 20., 30.], dtype=float64))",
};

}  // namespace hesse::python::docs
