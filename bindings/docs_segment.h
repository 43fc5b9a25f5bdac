#pragma once
#include "bindings/docs.h"

/// Docstrings: reductions by segment.
namespace hesse::python::docs {

constexpr const char* kRowsOfSegments = "x : array, (m, ...)";
constexpr const char* kSegmentIds =
    "segment_ids : array of integers, (m,)\n    In any order; ids that ascend are noticed and save a sort.";
constexpr const char* kNumSegments = "num_segments : int";

constexpr Doc kSegmentMean{
    .meaning = "Means of the rows of x with equal segment ids.",
    .parameters = {kRowsOfSegments, kSegmentIds, kNumSegments},
    .returns = "Array, (num_segments, ...)\n    0 for an empty segment.",
    .raises = "IndexError\n    For an id out of range.",
    .notes = "The same bits on any number of threads.",
    .example = R"(
>>> hs.segment_mean(hs.array([1.0, 2.0, 4.0]), hs.array([0, 2, 0]), 3)
Array([2.5, 0. , 2. ], dtype=float64))",
};
constexpr Doc kSegmentMin{
    .meaning = "Minima of the rows of x with equal segment ids.",
    .parameters = {kRowsOfSegments, kSegmentIds, kNumSegments},
    .returns = "Array, (num_segments, ...)\n    inf or the largest integer for an empty segment.",
    .raises = "IndexError\n    For an id out of range.",
    .notes = "Equal entries share the derivative in equal parts.",
    .example = R"(
>>> hs.segment_min(hs.array([1, 2, 4]), hs.array([0, 1, 0]), 2)
Array([1, 2], dtype=int64))",
};
constexpr Doc kSegmentLogsumexp{
    .meaning = "Logarithms of the sums of exp(x) over the rows with equal segment ids, without overflow.",
    .parameters = {kRowsOfSegments, kSegmentIds, kNumSegments},
    .returns = "Array, (num_segments, ...)\n    -inf for an empty segment.",
    .raises = "IndexError\n    For an id out of range.\nTypeError\n    For complex numbers.",
    .notes = "The same bits on any number of threads.",
    .example = R"(
>>> hs.segment_logsumexp(hs.array([0.0, 1.0, 0.0]), hs.array([0, 1, 0]), 2)
Array([0.69314718, 1.        ], dtype=float64))",
};
constexpr Doc kSegmentSoftmax{
    .meaning = "exp(x) divided by its sum over the rows with the same segment id: attention over neighbours.",
    .parameters = {kRowsOfSegments, kSegmentIds, kNumSegments},
    .returns = "Array, (m, ...)",
    .raises = "IndexError\n    For an id out of range.\nTypeError\n    For complex numbers.",
    .notes = "The same bits on any number of threads.",
    .example = R"(
>>> hs.segment_softmax(hs.array([0.0, 1.0, 0.0]), hs.array([0, 1, 0]), 2)
Array([0.5, 1. , 0.5], dtype=float64))",
};
constexpr Doc kSegmentStd{
    .meaning = "Standard deviations of the rows of x with equal segment ids, sqrt(mean((x - mean)^2)).",
    .parameters = {kRowsOfSegments, kSegmentIds, kNumSegments},
    .returns = "Array, (num_segments, ...)\n    0 for an empty segment.",
    .raises = "IndexError\n    For an id out of range.\nTypeError\n    For complex numbers.",
    .notes = "Where all entries of a segment are equal the derivative is 0.",
    .example = R"(
>>> hs.segment_std(hs.array([1.0, 2.0, 4.0]), hs.array([0, 1, 0]), 2)
Array([1.5, 0. ], dtype=float64))",
};

}  // namespace hesse::python::docs
