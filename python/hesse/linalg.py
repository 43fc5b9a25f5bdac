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

    Parameters
    ----------
    x : array, (..., n, n)
        Square matrices, real or complex.

    Returns
    -------
    EighResult
        ``eigenvalues`` (..., n), real and ascending, and ``eigenvectors`` (..., n, n), the columns.

    Raises
    ------
    ValueError
        For matrices that are not square.

    Notes
    -----
    Works on (x + x^H) / 2. In each vector the first entry of (nearly) the largest modulus is real and
    positive. The derivative of the vectors, V (F * (V^H dx V)) with F[i, j] = 1 / (w[j] - w[i]), is NaN at
    repeated eigenvalues.

    References
    ----------
    Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation" (2008).

    Examples
    --------
    >>> import hesse as hs
    >>> hs.linalg.eigh(hs.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    Array([1., 2.], dtype=float64)
    """
    return EighResult(*_l.eigh(x))


def lu(x: Any, /) -> LUResult:
    """The LU factors of a matrix, with partial pivoting: ``x[permutation] = L @ U``.

    Parameters
    ----------
    x : array, (..., n, n)
        Square matrices, real or complex.

    Returns
    -------
    LUResult
        ``lu``: L below the diagonal (whose diagonal is ones) and U on and above it; ``pivots``: the row that each
        row was swapped with; ``permutation``.

    Raises
    ------
    ValueError
        For matrices that are not square.

    Examples
    --------
    >>> import hesse as hs
    >>> lu, pivots, permutation = hs.linalg.lu(hs.array([[0.0, 1.0], [2.0, 3.0]]))
    >>> lu
    Array([[2., 3.],
           [0., 1.]], dtype=float64)
    >>> permutation
    Array([1, 0], dtype=int64)
    """
    return LUResult(*_l.lu(x))


def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """The QR factors of a matrix; mode: "reduced" or "complete".

    Parameters
    ----------
    x : array, (..., m, n)
        Matrices, real or complex.
    mode : {'reduced', 'complete'}
        Whether Q has min(m, n) columns or m.

    Returns
    -------
    QRResult
        ``Q`` with orthonormal columns and ``R``, upper triangular.

    Raises
    ------
    ValueError
        For another mode.

    Notes
    -----
    Derivatives need linearly independent columns. What completes the basis has a derivative that does not
    turn that basis in itself.

    Examples
    --------
    >>> import hesse as hs
    >>> q, r = hs.linalg.qr(hs.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> hs.allclose(q @ r, hs.array([[3.0, 1.0], [4.0, 2.0]]))
    Array(True, dtype=bool)
    """
    return QRResult(*_l.qr(x, mode=mode))


def slogdet(x: Any, /) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant.

    Parameters
    ----------
    x : array, (..., n, n)
        Square matrices, real or complex.

    Returns
    -------
    SlogdetResult
        ``sign`` (of modulus one, or 0) and ``logabsdet``.

    Raises
    ------
    ValueError
        For matrices that are not square.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.linalg.slogdet(hs.array([[0.0, 1.0], [1.0, 0.0]]))
    SlogdetResult(sign=Array(-1., dtype=float64), logabsdet=Array(0., dtype=float64))
    """
    return SlogdetResult(*_l.slogdet(x))


def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """The singular value decomposition.

    Parameters
    ----------
    x : array, (..., m, n)
        Matrices, real or complex.
    full_matrices : bool
        Whether U and Vh are square.

    Returns
    -------
    SVDResult
        ``U``, ``S`` (real, descending) and ``Vh``.

    Notes
    -----
    Phases as for `eigh`, of U. Derivatives of U and Vh are NaN at repeated singular values.

    Examples
    --------
    >>> import hesse as hs
    >>> u, s, vh = hs.linalg.svd(hs.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> s
    Array([2., 1.], dtype=float64)
    >>> hs.allclose((u * s) @ vh, hs.array([[0.0, 2.0], [1.0, 0.0]]))
    Array(True, dtype=bool)
    """
    return SVDResult(*_l.svd(x, full_matrices=full_matrices))


def vector_norm(
    x: Any, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, ord: float = 2
) -> Array:
    """The norm of a vector, over one axis, several axes together, or all entries.

    Parameters
    ----------
    x : array
        Any shape.
    axis : int or tuple of int, optional
        All entries by default.
    keepdims : bool
        Whether reduced axes stay, with length one.
    ord : float
        sum(abs(x)**ord)**(1 / ord); inf and -inf are the largest and the smallest modulus.

    Returns
    -------
    Array
        Real.

    Notes
    -----
    The derivative of the Euclidean norm at 0 is 0.

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
    for a in axes:
        if not -x.ndim <= a < x.ndim:
            raise _hesse.OutOfRangeError(
                f"vector_norm: axis {a} is out of range for an array with {x.ndim} axes"
            )
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
    """The norm of matrices: "fro", "nuc", or 1, 2, inf and their negatives.

    Parameters
    ----------
    x : array, (..., m, n)
        Matrices, real or complex.
    keepdims : bool
        Whether reduced axes stay, with length one.
    ord : {'fro', 'nuc', 1, -1, 2, -2, inf, -inf}

    Returns
    -------
    Array, (...)
        Real.

    Raises
    ------
    ValueError
        For an array without two axes, or another ord.

    Notes
    -----
    The derivative of the Frobenius norm at 0 is 0.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.linalg.matrix_norm(hs.array([[3.0, 0.0], [0.0, 4.0]]))
    Array(5., dtype=float64)
    >>> hs.linalg.matrix_norm(hs.array([[3.0, 0.0], [0.0, 4.0]]), ord=1)
    Array(4., dtype=float64)
    """
    x = _hesse.asarray(x)
    if x.ndim < 2:
        raise _hesse.ArgumentError(f"matrix_norm: expected a matrix or a stack of them, got shape {x.shape}")
    return norm(x, axis=(-2, -1), keepdims=keepdims, ord="fro" if ord is None else ord)


def matrix_rank(x: Any, /, *, rtol: float | Array | None = None) -> Array:
    """How many singular values are above `rtol` times the largest.

    Parameters
    ----------
    x : array, (..., m, n)
        Matrices, real or complex.
    rtol : float or array, optional
        max(m, n) times the precision by default.

    Returns
    -------
    Array of int64, (...)

    Examples
    --------
    >>> import hesse as hs
    >>> hs.linalg.matrix_rank(hs.array([[1.0, 2.0], [2.0, 4.0]]))
    Array(1, dtype=int64)
    """
    x = _hesse.asarray(x)
    s = svdvals(x)
    if rtol is None:
        from ._dtypes import finfo

        rtol = max(x.shape[-2:]) * finfo(s.dtype).eps
    threshold = _hesse.max(s, axis=-1, keepdims=True) * _hesse.expand_dims(_hesse.asarray(rtol), -1)
    return _hesse.count_nonzero(s > threshold, axis=-1)
