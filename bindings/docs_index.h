#pragma once
#include "bindings/docs.h"

/// Docstrings: gathering, scattering, sorting.
namespace hesse::python::docs {

constexpr Doc kTake{
    .meaning = "Entries along an axis, by index.",
    .parameters = {param::kX, param::kIndices, param::kFlatAxis},
    .returns = "Array",
    .raises = "IndexError\n    For an index out of range.",
    .example = R"(
>>> hs.take(hs.array([[1, 2], [3, 4]]), hs.array([1, 1, 0]), axis=0)
Array([[3, 4],
       [3, 4],
       [1, 2]], dtype=int64))",
};
constexpr Doc kTakeAlongAxis{
    .meaning = "Entries along an axis, by an index for every entry of the result.",
    .parameters = {param::kX, "indices : array of integers\n    As many axes as x; the others broadcast.",
                   param::kLastAxis},
    .returns = "Array",
    .raises = "IndexError\n    For an index out of range.",
    .example = R"(
>>> x = hs.array([[3, 1], [2, 4]])
>>> hs.take_along_axis(x, hs.argsort(x), axis=-1)
Array([[1, 3],
       [2, 4]], dtype=int64))",
};
constexpr Doc kGather{
    .meaning = "The rows x[indices].",
    .parameters = {"x : array, (n, ...)", "indices : array of integers, (m,)"},
    .returns = "Array, (m, ...)",
    .raises = "IndexError\n    For an index out of range.",
    .example = R"(
>>> hs.gather(hs.array([[1, 2], [3, 4]]), hs.array([1, 0]))
Array([[3, 4],
       [1, 2]], dtype=int64))",
};
constexpr Doc kScatterAdd{
    .meaning = "num_rows rows, to which row i of x is added at indices[i].",
    .parameters = {"x : array, (m, ...)", "indices : array of integers, (m,)", "num_rows : int"},
    .returns = "Array, (num_rows, ...)",
    .raises = "IndexError\n    For an index out of range.",
    .notes = "Rows are added in the order of the indices, on any number of threads.",
    .example = R"(
>>> hs.scatter_add(hs.array([1, 2, 4]), hs.array([0, 2, 0]), 3)
Array([5, 0, 2], dtype=int64))",
};
constexpr Doc kSegmentSum{
    .meaning = "Sums of the rows of x with equal segment ids.",
    .parameters = {"x : array, (m, ...)", "segment_ids : array of integers, (m,)\n    In any order.",
                   "num_segments : int"},
    .returns = "Array, (num_segments, ...)",
    .raises = "IndexError\n    For an id out of range.",
    .notes = "Rows are added in order, on any number of threads.",
    .example = R"(
>>> hs.segment_sum(hs.array([1, 2, 4]), hs.array([0, 1, 0]), 2)
Array([5, 2], dtype=int64))",
};
constexpr Doc kSegmentMax{
    .meaning = "Maxima of the rows of x with equal segment ids.",
    .parameters = {"x : array, (m, ...)", "segment_ids : array of integers, (m,)\n    In any order.",
                   "num_segments : int"},
    .returns = "Array, (num_segments, ...)\n    -inf or the least integer for an empty segment.",
    .raises = "IndexError\n    For an id out of range.",
    .notes = "Equal entries share the derivative in equal parts.",
    .example = R"(
>>> hs.segment_max(hs.array([1, 2, 4]), hs.array([0, 1, 0]), 2)
Array([4, 2], dtype=int64))",
};
constexpr Doc kSort{
    .meaning = "Entries in order along an axis, NaN last.",
    .parameters = {param::kX, param::kLastAxis, param::kDescending, param::kStable},
    .returns = "Array",
    .raises = "TypeError\n    For complex numbers.",
    .notes = "The derivative goes to where an entry came from; of equal ones the first comes first.",
    .example = R"(
>>> hs.sort(hs.array([3, 1, 2]))
Array([1, 2, 3], dtype=int64)
>>> hs.sort(hs.array([3, 1, 2]), descending=True)
Array([3, 2, 1], dtype=int64))",
};
constexpr Doc kArgsort{
    .meaning = "The indices that put x in order along an axis.",
    .parameters = {param::kX, param::kLastAxis, param::kDescending, param::kStable},
    .returns = "Array of int64",
    .raises = "TypeError\n    For complex numbers.",
    .example = R"(
>>> hs.argsort(hs.array([3, 1, 2]))
Array([1, 2, 0], dtype=int64))",
};
constexpr Doc kTopk{
    .meaning = "The k largest entries along an axis and their indices, the largest first.",
    .parameters = {param::kX, "k : int", param::kLastAxis,
                   "largest : bool\n    False gives the k smallest, the smallest first."},
    .returns = "tuple of Array\n    Values and indices (int64).",
    .notes = "The derivative goes to where an entry came from; of equal ones the first is taken.",
    .example = R"(
>>> values, indices = hs.topk(hs.array([3, 1, 4, 1, 5]), 2)
>>> values, indices
(Array([5, 4], dtype=int64), Array([4, 2], dtype=int64)))",
};
constexpr Doc kSearchsorted{
    .meaning = "Where entries of x2 would have to be inserted into the ascending x1.",
    .parameters = {"x1 : array, (n,)", "x2 : array",
                   "side : {'left', 'right'}\n    Before or after equal entries.",
                   "sorter : array of integers, (n,), optional\n    Indices that put x1 in order."},
    .returns = "Array of int64\n    Of the shape of x2.",
    .example = R"(
>>> hs.searchsorted(hs.array([1, 3, 5]), hs.array([0, 3, 4]))
Array([0, 1, 2], dtype=int64))",
};
constexpr Doc kNonzero{
    .meaning = "Where x is not zero: an array of indices per axis. Not under a trace.",
    .parameters = {param::kX},
    .returns = "tuple of Array of int64",
    .raises = "TypeError\n    Under a trace: the shape would depend on values.",
    .example = R"(
>>> hs.nonzero(hs.array([[0, 1], [2, 0]]))
(Array([0, 1], dtype=int64), Array([1, 0], dtype=int64)))",
};

}  // namespace hesse::python::docs
