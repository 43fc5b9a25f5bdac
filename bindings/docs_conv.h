#pragma once
#include "bindings/docs.h"

/// Docstrings: convolution and pooling.
namespace hesse::python::docs {

constexpr Doc kConv{
    .meaning = "Cross-correlation with a kernel, in 1 to 3 dimensions.",
    .parameters =
        {"x : array, (N, C, spatial...)", "w : array, (O, C / groups, spatial...)", param::kStride,
         param::kPadding,
         "dilation : int or tuple of int\n    The step between entries of the kernel; one by default.",
         "groups : int\n    Channels in groups see only the outputs of their group."},
    .returns = "Array, (N, O, spatial...)",
    .raises = "ValueError\n    Where shapes or options do not fit.",
    .example = R"(
>>> hs.conv(hs.array([[[1, 2, 3, 4]]]) * 1.0, hs.array([[[1.0, -1.0]]]))
Array([[[-1., -1., -1.]]], dtype=float64))",
};
constexpr Doc kConvTranspose{
    .meaning = "The transpose of `conv` in its first argument.",
    .parameters =
        {"y : array, (N, O, spatial...)", "w : array, (O, C / groups, spatial...)\n    As for `conv`.",
         param::kStride, param::kPadding, "dilation : int or tuple of int", "groups : int",
         "output_padding : int or tuple of int\n    Adds to the spatial lengths, which strides leave open."},
    .returns = "Array, (N, C, spatial...)",
    .raises = "ValueError\n    Where shapes or options do not fit.",
    .example = R"(
>>> hs.conv_transpose(hs.array([[[1.0, 2.0]]]), hs.array([[[1.0, 1.0]]]), stride=2)
Array([[[1., 1., 2., 2.]]], dtype=float64))",
};
constexpr Doc kMaxPool{
    .meaning = "The largest entry of each window of the spatial axes.",
    .parameters = {"x : array, (N, C, spatial...)", "window : int or tuple of int",
                   "stride : int or tuple of int\n    That of the window; its length by default.",
                   param::kPadding},
    .returns = "Array, (N, C, spatial...)",
    .notes = "Of equal entries of a window the first gets the derivative; padding never wins.",
    .example = R"(
>>> hs.max_pool(hs.array([[[1.0, 3.0, 2.0, 0.0]]]), 2)
Array([[[3., 2.]]], dtype=float64))",
};
constexpr Doc kAvgPool{
    .meaning = "The mean of each window of the spatial axes.",
    .parameters = {"x : array, (N, C, spatial...)", "window : int or tuple of int",
                   "stride : int or tuple of int\n    That of the window; its length by default.",
                   param::kPadding},
    .returns = "Array, (N, C, spatial...)",
    .notes = "Padding counts as zeros.",
    .example = R"(
>>> hs.avg_pool(hs.array([[[1.0, 3.0, 2.0, 0.0]]]), 2)
Array([[[2., 1.]]], dtype=float64))",
};

}  // namespace hesse::python::docs
