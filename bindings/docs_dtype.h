#pragma once
#include "bindings/docs.h"

/// Docstrings: dtypes.
namespace hesse::python::docs {

constexpr Doc kDType{
    .meaning =
        "The type of an array's entries: `hs.float64` and its like. Equal to NumPy's dtypes and to names.",
    .example = R"(
>>> hs.float32.name, hs.float32.itemsize, hs.float32.kind
('float32', 4, 'f')
>>> hs.float32 == 'float32'
True
>>> hs.int8(3)
Array(3, dtype=int8))",
};
constexpr Doc kDtype{
    .meaning = "The dtype meant by a name, a NumPy dtype or a Python type.",
    .parameters = {"dtype : str, numpy.dtype, type or DType"},
    .returns = "DType",
    .raises = "TypeError\n    Where Hesse has no such dtype.",
    .example = R"(
>>> hs.dtype('float32'), hs.dtype(int)
(hesse.float32, hesse.int64))",
};
constexpr Doc kPromoteTypes{
    .meaning = "The dtype that both promote to, by the table of the array API standard.",
    .parameters = {"a, b : dtype"},
    .returns = "DType",
    .raises = "TypeError\n    For keys with other dtypes.",
    .example = R"(
>>> hs.promote_types(hs.int32, hs.float32)
hesse.float32)",
};
constexpr Doc kDefaultDtype{
    .meaning = "The dtype of new arrays for which none is said.",
    .returns = "DType",
    .example = R"(
>>> hs.default_dtype()
hesse.float64)",
};
constexpr Doc kSetDefaultDtype{
    .meaning = "Makes float32 or float64 the dtype of new arrays for which none is said.",
    .parameters = {"dtype : dtype"},
    .raises = "ValueError or TypeError\n    For any other dtype.",
    .example = R"(
>>> hs.set_default_dtype(hs.float32)
>>> hs.zeros(2)
Array([0., 0.], dtype=float32)
>>> hs.set_default_dtype(hs.float64))",
};

}  // namespace hesse::python::docs
