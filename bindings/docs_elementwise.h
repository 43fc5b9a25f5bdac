#pragma once
#include "bindings/docs.h"

/// Docstrings: elementwise functions that have parameters.
namespace hesse::python::docs {

constexpr Doc kRound{
    .meaning = "Rounded to that many decimals, halves to even.",
    .parameters = {param::kX, "decimals : int\n    Negative ones round to tens, hundreds, ..."},
    .returns = "Array",
    .notes = "The derivative is 0.",
    .example = R"(
>>> hs.round(hs.array([0.5, 1.5, 2.5]))
Array([0., 2., 2.], dtype=float64)
>>> hs.round(3.14159, decimals=2)
Array(3.14, dtype=float64))",
};
constexpr Doc kPolygamma{
    .meaning = "The n-th derivative of digamma.",
    .parameters = {"n : int\n    0 is digamma itself.", "x : array\n    Real; integers become floats."},
    .returns = "Array",
    .example = R"(
>>> hs.allclose(hs.polygamma(1, 1.0), hs.pi**2 / 6)
Array(True, dtype=bool))",
};
constexpr Doc kClip{
    .meaning = "x limited to [min, max].",
    .parameters = {param::kX, "min, max : array, optional\n    Bounds; no limit where one is not given."},
    .returns = "Array",
    .notes = "The derivative in x is 1 inside and at the bounds, 0 outside; outside, the bound has it.",
    .example = R"(
>>> hs.clip(hs.array([-1.0, 0.5, 2.0]), 0.0, 1.0)
Array([0. , 0.5, 1. ], dtype=float64))",
};
constexpr Doc kWhere{
    .meaning = "x1 where the condition holds and x2 elsewhere.",
    .parameters = {"condition : array\n    Booleans.",
                   "x1, x2 : array\n    All three broadcast against each other."},
    .returns = "Array",
    .notes =
        "A derivative that is infinite in the entries not chosen makes NaN of 0 * inf; keep the "
        "argument\nitself inside the domain of the function there, with a second `where`.",
    .example = R"(
>>> x = hs.array([0.0, 4.0])
>>> f = lambda x: hs.sum(hs.where(x > 0, hs.sqrt(hs.where(x > 0, x, 1.0)), 0.0))
>>> hs.grad(f)(x)
Array([0.  , 0.25], dtype=float64))",
};
constexpr Doc kAstype{
    .meaning = "x converted to another dtype.",
    .parameters = {param::kX, "dtype : dtype",
                   "copy : bool\n    Accepted for the array API standard; arrays are immutable.",
                   param::kDevice},
    .returns = "Array",
    .notes = "Floats become integers towards zero. To integers and booleans there is no derivative.",
    .example = R"(
>>> hs.astype(hs.array([1.7, -1.7]), hs.int32)
Array([ 1, -1], dtype=int32))",
};

}  // namespace hesse::python::docs
