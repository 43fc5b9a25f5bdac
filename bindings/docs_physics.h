#pragma once
#include "bindings/docs.h"

/// Docstrings: points, errors, an exact solution.
namespace hesse::python::docs {

constexpr Doc kSample{
    .meaning = "Points in the unit cube by the method of that name.",
    .parameters = {param::kKey, "method : {'uniform', 'latin_hypercube', 'sobol'}", param::kCount,
                   param::kDimensions},
    .returns = "Array, (n, d)\n    float64, in [0, 1).",
    .raises = "ValueError\n    For another method, n < 0 or d < 1.",
    .example = R"(
>>> hs.physics.sample(hs.random.key(0), 'sobol', 8, 2).shape
(8, 2))",
};
constexpr Doc kUniform{
    .meaning = "Independent points in the unit cube.",
    .parameters = {param::kKey, param::kCount, param::kDimensions},
    .returns = "Array, (n, d)\n    float64, in [0, 1).",
    .example = R"(
>>> hs.physics.uniform(hs.random.key(0), 3, 2).shape
(3, 2))",
};
constexpr Doc kLatinHypercube{
    .meaning = "Points in the unit cube, one in each of n slices of every axis.",
    .parameters = {param::kKey, param::kCount, param::kDimensions},
    .returns = "Array, (n, d)\n    float64, in [0, 1).",
    .source = "McKay, Beckman and Conover, Technometrics 21 (1979).",
    .example = R"(
>>> x = hs.physics.latin_hypercube(hs.random.key(0), 4, 2)
>>> hs.sort(hs.floor(4 * x), axis=0)[:, 0]
Array([0., 1., 2., 3.], dtype=float64))",
};
constexpr Doc kSobol{
    .meaning = "The first n points of the Sobol sequence in the unit cube, scrambled.",
    .parameters = {param::kKey, param::kCount, "d : int\n    At most 16."},
    .returns = "Array, (n, d)\n    float64, in [0, 1).",
    .raises = "ValueError\n    For d > 16.",
    .notes = "Owen's nested uniform scrambling: every aligned power of two of points stays a digital net.",
    .source =
        "Joe and Kuo, \"Constructing Sobol sequences with better two-dimensional projections\" (2008); "
        "Owen\n(1995).",
    .example = R"(
>>> x = hs.physics.sobol(hs.random.key(0), 4, 2)
>>> hs.sort(hs.floor(4 * x), axis=0)[:, 1]
Array([0., 1., 2., 3.], dtype=float64))",
};
constexpr Doc kRelativeL2{
    .meaning = "norm(u - reference) / norm(reference), over all entries.",
    .parameters = {"u, reference : array\n    Of one shape: nothing broadcasts."},
    .returns = "Array, scalar",
    .raises = "ValueError\n    For shapes that differ.",
    .notes = "The derivative at u = reference is 0.",
    .example = R"(
>>> hs.physics.relative_l2(hs.array([3.0, 5.0]), hs.array([3.0, 4.0]))
Array(0.2, dtype=float64))",
};
constexpr Doc kMaxError{
    .meaning = "The largest abs(u - reference).",
    .parameters = {"u, reference : array\n    Of one shape: nothing broadcasts."},
    .returns = "Array, scalar",
    .raises = "ValueError\n    For shapes that differ.",
    .example = R"(
>>> hs.physics.max_error(hs.array([3.0, 5.0]), hs.array([3.0, 4.0]))
Array(1., dtype=float64))",
};
constexpr Doc kBurgersExact{
    .meaning = "The solution of u_t + u u_x = nu u_xx with u(0, x) = -sin(pi x) and u(t, -1) = u(t, 1) = 0.",
    .parameters = {"t, x : array\n    They broadcast. t >= 0.", "nu : float\n    Positive.",
                   "nodes : int\n    Of the quadrature."},
    .returns = "Array\n    float64.",
    .raises = "ValueError\n    For nu <= 0 or t < 0.",
    .notes =
        "Cole-Hopf transform and Gauss-Hermite quadrature; the error for nu = 0.01 / pi, t <= 1 and "
        "200\nnodes\nis below 1e-12. Not under a trace.",
    .source = "Basdevant et al., Comput. Fluids 14 (1986) 23.",
    .example = R"(
>>> hs.round(hs.physics.burgers_exact(0.0, -0.5, 0.01 / hs.pi), 9)
Array(1., dtype=float64)
>>> bool(hs.abs(hs.physics.burgers_exact(0.5, 0.0, 0.01 / hs.pi)) < 1e-10)
True)",
};

}  // namespace hesse::python::docs
