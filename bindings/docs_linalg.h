#pragma once
#include "bindings/docs.h"

/// Docstrings: linear algebra.
namespace hesse::python::docs {

constexpr Doc kCholesky{
    .meaning = "The triangular factor L of a positive definite matrix, x = L L^H.",
    .parameters = {param::kSquare, "upper : bool\n    Gives L^H instead."},
    .returns = "Array, (..., n, n)",
    .raises =
        "FloatingPointError\n    Where a matrix is not positive definite.\nValueError\n    For matrices that "
        "are not square.",
    .notes =
        "Works on (x + x^H) / 2, so that derivatives are symmetric.\nThe derivative: L Phi(L^-1 dx L^-H), "
        "where Phi halves the diagonal and drops what is above it.",
    .source = "Murray, \"Differentiation of the Cholesky decomposition\", arXiv:1602.07527 (2016).",
    .example = R"(
>>> hs.linalg.cholesky(hs.array([[4.0, 2.0], [2.0, 5.0]]))
Array([[2., 0.],
       [1., 2.]], dtype=float64))",
};
constexpr Doc kSolve{
    .meaning = "The solution y of x1 @ y = x2, by LU factors with partial pivoting.",
    .parameters = {"x1 : array, (..., n, n)",
                   "x2 : array, (..., n, k) or (n,)\n    Right-hand sides; a vector is one."},
    .returns = "Array\n    Of the shape of x2, with leading axes broadcast.",
    .raises =
        "FloatingPointError\n    Where a matrix is singular.\nValueError\n    For matrices that are not "
        "square.",
    .notes = "Derivatives use the factors again: dy = x1^-1 (dx2 - dx1 y).",
    .example = R"(
>>> hs.linalg.solve(hs.array([[2.0, 0.0], [0.0, 4.0]]), hs.array([2.0, 2.0]))
Array([1. , 0.5], dtype=float64))",
};
constexpr Doc kTriangularSolve{
    .meaning = "The solution y of x1 @ y = x2 for a triangular x1, or for its transpose.",
    .parameters = {"x1 : array, (..., n, n)\n    The other triangle is not read.",
                   "x2 : array, (..., n, k) or (n,)", "lower : bool\n    Which triangle x1 has.",
                   "transpose : bool\n    Solves with the transpose of x1.",
                   "unit_diagonal : bool\n    Takes the diagonal for ones."},
    .returns = "Array\n    Of the shape of x2, with leading axes broadcast.",
    .raises = "ValueError\n    For matrices that are not square.",
    .example = R"(
>>> hs.linalg.triangular_solve(hs.array([[2.0, 0.0], [1.0, 1.0]]), hs.array([2.0, 3.0]))
Array([1., 2.], dtype=float64))",
};
constexpr Doc kEigvalsh{
    .meaning = "Eigenvalues of a Hermitian matrix, ascending.",
    .parameters = {param::kSquare},
    .returns = "Array, (..., n)\n    Real.",
    .raises = "ValueError\n    For matrices that are not square.",
    .notes =
        "Works on (x + x^H) / 2. At repeated eigenvalues a single one has no derivative; what is\nsymmetric "
        "in\nthem (their sum, a norm) has the right first derivative, second ones are NaN.",
    .example = R"(
>>> hs.linalg.eigvalsh(hs.array([[2.0, 0.0], [0.0, 1.0]]))
Array([1., 2.], dtype=float64))",
};
constexpr Doc kSvdvals{
    .meaning = "Singular values, descending.",
    .parameters = {param::kMatrix},
    .returns = "Array, (..., min(m, n))\n    Real.",
    .notes = "At repeated or vanishing singular values the derivative is one of several possible ones.",
    .example = R"(
>>> hs.linalg.svdvals(hs.array([[0.0, 2.0], [1.0, 0.0]]))
Array([2., 1.], dtype=float64))",
};
constexpr Doc kDet{
    .meaning = "The determinant.",
    .parameters = {param::kSquare},
    .returns = "Array, (...)",
    .raises = "ValueError\n    For matrices that are not square.",
    .notes = "First derivatives are right for singular matrices too, higher ones at rank n - 1 or more.",
    .example = R"(
>>> hs.linalg.det(hs.array([[1.0, 2.0], [0.0, 3.0]]))
Array(3., dtype=float64))",
};
constexpr Doc kInv{
    .meaning = "The inverse.",
    .parameters = {param::kSquare},
    .returns = "Array, (..., n, n)",
    .raises =
        "FloatingPointError\n    Where a matrix is singular.\nValueError\n    For matrices that are not "
        "square.",
    .notes = "The derivative: -x^-1 dx x^-1. To multiply by an inverse, `solve` is cheaper and more exact.",
    .example = R"(
>>> hs.linalg.inv(hs.array([[2.0, 0.0], [0.0, 4.0]]))
Array([[0.5 , 0.  ],
       [0.  , 0.25]], dtype=float64))",
};
constexpr Doc kPinv{
    .meaning = "The Moore-Penrose inverse, by singular values.",
    .parameters = {param::kMatrix,
                   "rtol : float, optional\n    Singular values below rtol times the largest count as zero; "
                   "max(m, n) times the\n    precision by default."},
    .returns = "Array, (..., n, m)",
    .example = R"(
>>> hs.allclose(hs.linalg.pinv(hs.array([[2.0, 0.0], [0.0, 0.0]])), hs.array([[0.5, 0.0], [0.0, 0.0]]))
Array(True, dtype=bool))",
};
constexpr Doc kNorm{
    .meaning = "The norm of a vector (one axis, or all entries) or of matrices (two axes).",
    .parameters =
        {param::kX,
         "axis : int or tuple of int, optional\n    One axis or two; all entries as a vector by default.",
         "ord : float or {'fro', 'nuc'}\n    Of a vector: sum(abs(x)**ord)**(1 / ord); of matrices 1, 2, "
         "inf, their negatives, or a\n    name.",
         param::kKeepdims},
    .returns = "Array\n    Real.",
    .notes = "The derivative at 0 is 0 (Euclidean and Frobenius norm).",
    .example = R"(
>>> hs.linalg.norm(hs.array([3.0, 4.0]))
Array(5., dtype=float64)
>>> hs.linalg.norm(hs.array([3.0, -4.0]), ord=1)
Array(7., dtype=float64))",
};
constexpr Doc kMatrixPower{
    .meaning = "The n-th power of a square matrix; negative n invert it.",
    .parameters = {param::kSquare, "n : int"},
    .returns = "Array, (..., n, n)",
    .raises =
        "FloatingPointError\n    For n < 0, where a matrix is singular.\nValueError\n    For matrices that "
        "are not square.",
    .example = R"(
>>> hs.linalg.matrix_power(hs.array([[1.0, 1.0], [0.0, 1.0]]), 3)
Array([[1., 3.],
       [0., 1.]], dtype=float64))",
};

}  // namespace hesse::python::docs
