"""Linear algebra, over leading axes at once."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import _hesse
from ._functions import tensordot
from ._hesse import Array, cross, diagonal, matmul, matrix_transpose, outer, trace, vecdot
from ._hesse import linalg as _l

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lu",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "triangular_solve",
    "vecdot",
    "vector_norm",
]

cholesky = _l.cholesky
det = _l.det
eigvalsh = _l.eigvalsh
inv = _l.inv
matrix_power = _l.matrix_power
norm = _l.norm
pinv = _l.pinv
solve = _l.solve
svdvals = _l.svdvals
triangular_solve = _l.triangular_solve


class EighResult(NamedTuple):
    """Eigenvalues in ascending order and the matrix of eigenvectors."""

    eigenvalues: Array
    eigenvectors: Array


class LUResult(NamedTuple):
    """Packed factors, pivots, and the permutation of rows."""

    lu: Array
    pivots: Array
    permutation: Array


class QRResult(NamedTuple):
    """An orthonormal and an upper triangular factor."""

    Q: Array
    R: Array


class SlogdetResult(NamedTuple):
    """The determinant as ``sign * exp(logabsdet)``."""

    sign: Array
    logabsdet: Array


class SVDResult(NamedTuple):
    """x = (U * S) @ Vh with singular values S in descending order."""

    U: Array
    S: Array
    Vh: Array


def eigh(x: Any, /) -> EighResult:
    """Eigenvalues and eigenvectors of a symmetric or Hermitian matrix.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.linalg.eigh(hs.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    Array([1., 2.], dtype=float64)
    """
    return EighResult(*_l.eigh(x))


def lu(x: Any, /) -> LUResult:
    """The LU factors of a matrix, with partial pivoting: ``x[permutation] = L @ U``."""
    return LUResult(*_l.lu(x))


def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """The QR factors of a matrix; mode: "reduced" or "complete"."""
    return QRResult(*_l.qr(x, mode=mode))


def slogdet(x: Any, /) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant."""
    return SlogdetResult(*_l.slogdet(x))


def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """The singular value decomposition."""
    return SVDResult(*_l.svd(x, full_matrices=full_matrices))


def vector_norm(
    x: Any, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, ord: float = 2
) -> Array:
    """The norm of a vector, over one axis, several axes together, or all entries.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.linalg.vector_norm(hs.array([3.0, 4.0]))
    Array(5., dtype=float64)
    """
    x = _hesse.asarray(x)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if len(axes) == 1:
        return norm(x, axis=axes, keepdims=keepdims, ord=float(ord))
    axes = tuple(a % x.ndim for a in axes)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    flat = _hesse.reshape(_hesse.permute_dims(x, (*rest, *axes)), (*(x.shape[a] for a in rest), -1))
    result = norm(flat, axis=(-1,), ord=float(ord))
    return (
        _hesse.reshape(result, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))
        if keepdims
        else result
    )


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: float | str | None = "fro") -> Array:
    """The norm of matrices: "fro", "nuc", or 1, 2, inf and their negatives."""
    x = _hesse.asarray(x)
    if x.ndim < 2:
        raise _hesse.ArgumentError(f"matrix_norm: expected a matrix or a stack of them, got shape {x.shape}")
    return norm(x, axis=(-2, -1), keepdims=keepdims, ord="fro" if ord is None else ord)


def matrix_rank(x: Any, /, *, rtol: float | Array | None = None) -> Array:
    """How many singular values are above `rtol` times the largest."""
    x = _hesse.asarray(x)
    s = svdvals(x)
    if rtol is None:
        from ._dtypes import finfo

        rtol = max(x.shape[-2:]) * finfo(s.dtype).eps
    threshold = _hesse.max(s, axis=-1, keepdims=True) * _hesse.expand_dims(_hesse.asarray(rtol), -1)
    return _hesse.count_nonzero(s > threshold, axis=-1)
