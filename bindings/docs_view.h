#pragma once
#include "bindings/docs.h"

/// Docstrings: shapes, joining, splitting.
namespace hesse::python::docs {

constexpr Doc kReshape{
    .meaning = "The same entries in another shape.",
    .parameters =
        {param::kX, "shape : int or tuple of int\n    One length may be -1: it follows from the others.",
         "copy : bool, optional\n    Whether the result has memory of its own; where it must by default."},
    .returns = "Array",
    .raises = "ValueError\n    Where the numbers of entries differ.",
    .example = R"(
>>> hs.reshape(hs.arange(6), (2, -1))
Array([[0, 1, 2],
       [3, 4, 5]], dtype=int64))",
};
constexpr Doc kFlatten{
    .meaning = "All entries in one axis, in row-major order.",
    .parameters = {param::kX},
    .returns = "Array, (n,)",
    .example = R"(
>>> hs.flatten(hs.array([[1, 2], [3, 4]]))
Array([1, 2, 3, 4], dtype=int64))",
};
constexpr Doc kRavel{
    .meaning = "All entries in one axis, in row-major order.",
    .parameters = {param::kX},
    .returns = "Array, (n,)",
    .example = R"(
>>> hs.ravel(hs.array([[1, 2], [3, 4]]))
Array([1, 2, 3, 4], dtype=int64))",
};
constexpr Doc kPermuteDims{
    .meaning = "The axes permuted: axis i of the result is axis axes[i] of x.",
    .parameters = {param::kX, "axes : tuple of int"},
    .returns = "Array",
    .example = R"(
>>> hs.permute_dims(hs.zeros((2, 3, 4)), (2, 0, 1)).shape
(4, 2, 3))",
};
constexpr Doc kTranspose{
    .meaning = "The axes permuted, or reversed.",
    .parameters = {param::kX, "axes : tuple of int, optional\n    In reverse order by default."},
    .returns = "Array",
    .example = R"(
>>> hs.transpose(hs.array([[1, 2], [3, 4]]))
Array([[1, 3],
       [2, 4]], dtype=int64))",
};
constexpr Doc kMatrixTranspose{
    .meaning = "The last two axes swapped.",
    .parameters = {param::kMatrix},
    .returns = "Array, (..., n, m)",
    .example = R"(
>>> hs.matrix_transpose(hs.array([[1, 2], [3, 4]]))
Array([[1, 3],
       [2, 4]], dtype=int64))",
};
constexpr Doc kSwapaxes{
    .meaning = "Two axes swapped.",
    .parameters = {param::kX, "axis1, axis2 : int"},
    .returns = "Array",
    .example = R"(
>>> hs.swapaxes(hs.zeros((2, 3, 4)), 0, 2).shape
(4, 3, 2))",
};
constexpr Doc kMoveaxis{
    .meaning = "Axes moved to other places, the rest in order.",
    .parameters = {param::kX, "source, destination : int or tuple of int"},
    .returns = "Array",
    .example = R"(
>>> hs.moveaxis(hs.zeros((2, 3, 4)), 0, -1).shape
(3, 4, 2))",
};
constexpr Doc kExpandDims{
    .meaning = "New axes of length one.",
    .parameters = {param::kX, "axis : int or tuple of int\n    Where they are in the result."},
    .returns = "Array",
    .example = R"(
>>> hs.expand_dims(hs.zeros((2, 3)), 1).shape
(2, 1, 3))",
};
constexpr Doc kSqueeze{
    .meaning = "Without axes of length one.",
    .parameters = {param::kX, "axis : int or tuple of int, optional\n    All of length one by default."},
    .returns = "Array",
    .raises = "ValueError\n    For an axis of another length.",
    .example = R"(
>>> hs.squeeze(hs.zeros((1, 3, 1))).shape
(3,))",
};
constexpr Doc kBroadcastTo{
    .meaning = "x repeated along axes of length one and new leading axes, as a view.",
    .parameters = {param::kX, param::kShape},
    .returns = "Array",
    .raises = "ValueError\n    Where x does not broadcast to the shape.",
    .example = R"(
>>> hs.broadcast_to(hs.array([1, 2]), (2, 2))
Array([[1, 2],
       [1, 2]], dtype=int64))",
};
constexpr Doc kBroadcastArrays{
    .meaning = "All arrays in their common shape.",
    .parameters = {"*arrays : array"},
    .returns = "list of Array",
    .example = R"(
>>> [x.shape for x in hs.broadcast_arrays(hs.zeros((2, 1)), hs.zeros(3))]
[(2, 3), (2, 3)])",
};
constexpr Doc kBroadcastShapes{
    .meaning = "The shape that arrays of these shapes broadcast to.",
    .parameters = {"*shapes : int or tuple of int"},
    .returns = "tuple of int",
    .raises = "ValueError\n    Where there is none.",
    .example = R"(
>>> hs.broadcast_shapes((2, 1), 3)
(2, 3))",
};
constexpr Doc kFlip{
    .meaning = "Entries in reverse order along axes.",
    .parameters = {param::kX, "axis : int or tuple of int, optional\n    All axes by default."},
    .returns = "Array",
    .example = R"(
>>> hs.flip(hs.array([1, 2, 3]))
Array([3, 2, 1], dtype=int64))",
};
constexpr Doc kRoll{
    .meaning = "Entries moved along axes, around the end.",
    .parameters = {param::kX, "shift : int or tuple of int\n    By how many places.",
                   "axis : int or tuple of int, optional\n    By default the array is taken as flat."},
    .returns = "Array",
    .example = R"(
>>> hs.roll(hs.array([1, 2, 3, 4]), 1)
Array([4, 1, 2, 3], dtype=int64))",
};
constexpr Doc kTile{
    .meaning = "x repeated as a whole.",
    .parameters = {param::kX, "repetitions : int or tuple of int\n    How often along each axis."},
    .returns = "Array",
    .example = R"(
>>> hs.tile(hs.array([1, 2]), 2)
Array([1, 2, 1, 2], dtype=int64))",
};
constexpr Doc kRepeat{
    .meaning = "Every entry repeated.",
    .parameters = {param::kX, "repeats : int", param::kFlatAxis},
    .returns = "Array",
    .example = R"(
>>> hs.repeat(hs.array([1, 2]), 2)
Array([1, 1, 2, 2], dtype=int64))",
};
constexpr Doc kPad{
    .meaning = "x with entries added at the ends of axes.",
    .parameters =
        {param::kX,
         "pad_width : int or sequence\n    A number, (before, after), or such a pair for each axis.",
         "mode : {'constant', 'edge', 'reflect', 'wrap'}\n    What is added.",
         "constant_values : scalar\n    For mode 'constant'."},
    .returns = "Array",
    .example = R"(
>>> hs.pad(hs.array([1, 2]), (1, 2))
Array([0, 1, 2, 0, 0], dtype=int64)
>>> hs.pad(hs.array([1, 2, 3]), 1, mode='reflect')
Array([2, 1, 2, 3, 2], dtype=int64))",
};
constexpr Doc kConcat{
    .meaning = "Arrays joined along an axis.",
    .parameters = {"arrays : sequence of array\n    Of one shape but for that axis.",
                   "axis : int, optional\n    The first by default; with None they are flattened before."},
    .returns = "Array",
    .raises = "ValueError\n    Where the other axes differ.",
    .example = R"(
>>> hs.concat([hs.array([1, 2]), hs.array([3])])
Array([1, 2, 3], dtype=int64))",
};
constexpr Doc kConcatenate{
    .meaning = "Arrays joined along an axis.",
    .parameters = {"arrays : sequence of array\n    Of one shape but for that axis.",
                   "axis : int, optional\n    The first by default; with None they are flattened before."},
    .returns = "Array",
    .raises = "ValueError\n    Where the other axes differ.",
    .example = R"(
>>> hs.concatenate([hs.array([1, 2]), hs.array([3])])
Array([1, 2, 3], dtype=int64))",
};
constexpr Doc kStack{
    .meaning = "Arrays of one shape joined along a new axis.",
    .parameters = {"arrays : sequence of array", "axis : int\n    Where the new axis is in the result."},
    .returns = "Array",
    .raises = "ValueError\n    Where shapes differ.",
    .example = R"(
>>> hs.stack([hs.array([1, 2]), hs.array([3, 4])], axis=1)
Array([[1, 3],
       [2, 4]], dtype=int64))",
};
constexpr Doc kUnstack{
    .meaning = "The slices along an axis.",
    .parameters = {param::kX, "axis : int"},
    .returns = "tuple of Array",
    .example = R"(
>>> hs.unstack(hs.array([[1, 2], [3, 4]]))
(Array([1, 2], dtype=int64), Array([3, 4], dtype=int64)))",
};
constexpr Doc kSplit{
    .meaning = "Parts of x along an axis: as many equal ones, or cut at these indices.",
    .parameters = {param::kX, "indices_or_sections : int or sequence of int", "axis : int"},
    .returns = "list of Array",
    .raises = "ValueError\n    Where x has no such equal parts.",
    .example = R"(
>>> hs.split(hs.arange(4), 2)
[Array([0, 1], dtype=int64), Array([2, 3], dtype=int64)]
>>> [part.shape for part in hs.split(hs.arange(5), [1, 3])]
[(1,), (2,), (2,)])",
};

}  // namespace hesse::python::docs
