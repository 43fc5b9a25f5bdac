"""Sparse matrices whose stored places are fixed and whose values are an array like any other."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, ClassVar, cast

from . import _hesse
from ._extras import require
from ._hesse import Array, asarray
from ._hesse import sparse as _s
from .nn._module import Module

if TYPE_CHECKING:
    from collections.abc import Sequence

Parts = tuple[Array, Array, Array, Array, Array, Array, Array]

__all__ = ["CSR", "coo", "csr", "from_dense", "from_scipy", "sampled_outer"]


class CSR(Module):
    """A matrix in compressed rows; make one with `csr`, `coo`, `from_dense` or `from_scipy`.

    Products with it and with its transpose are differentiable to any order with respect to `data` and to what
    it is multiplied by. It is a tree: `hs.grad` with respect to a matrix gives one with the gradient in
    ``data``, `hs.compile` and `hs.vmap` take it as an argument, and ``a.replace(data=values)`` has the same
    places with other values. A product does 2 nnz k operations; rows are shared by threads, and results do
    not depend on how many there are.

    Parameters
    ----------
    data : Array
        [nnz], the values stored, row by row.
    indptr, indices, entries : Array
        int64. Row r has the columns ``indices[p]`` for p from ``indptr[r]`` up to ``indptr[r + 1]``; position p
        holds the value ``data[entries[p]]``, or ``data[p]`` where `entries` is empty.
    by_col_indptr, by_col_indices, by_col_entries : Array
        The same of the transpose.

    Raises
    ------
    ValueError
        By ``a @ x``, unless x is (cols,) or (cols, k).
    IndexError
        By ``a @ x``, where a pattern was changed by hand and is out of range.

    Examples
    --------
    >>> import hesse as hs
    >>> a = hs.sparse.csr([1.0, 2.0, 3.0], [0, 2, 1], [0, 2, 3], (2, 3))
    >>> a @ hs.array([1.0, 1.0, 10.0])
    Array([21.,  3.], dtype=float64)
    """

    __buffers__: ClassVar[tuple[str, ...]] = (
        "indices", "indptr", "entries", "by_col_indices", "by_col_indptr", "by_col_entries",
    )  # fmt: skip
    __array_ufunc__ = None  # NumPy leaves x @ a to this class

    data: Array
    indptr: Array
    indices: Array
    entries: Array
    by_col_indptr: Array
    by_col_indices: Array
    by_col_entries: Array

    def __init__(
        self, data: Array, indptr: Array, indices: Array, entries: Array,
        by_col_indptr: Array, by_col_indices: Array, by_col_entries: Array,
    ) -> None:  # fmt: skip
        self.data = data
        self.indptr, self.indices, self.entries = indptr, indices, entries
        self.by_col_indptr, self.by_col_indices, self.by_col_entries = (
            by_col_indptr,
            by_col_indices,
            by_col_entries,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.indptr.shape[0] - 1, self.by_col_indptr.shape[0] - 1

    @property
    def nnz(self) -> int:
        """How many values are stored, zeros included."""
        return self.data.shape[0]

    @property
    def dtype(self) -> Any:
        """That of the values."""
        return self.data.dtype

    @property
    def T(self) -> CSR:
        """The transpose: the same values, read by columns."""
        return CSR(
            self.data, self.by_col_indptr, self.by_col_indices, self.by_col_entries,
            self.indptr, self.indices, self.entries,
        )  # fmt: skip

    def _parts(self) -> Parts:
        return (
            self.data, self.indptr, self.indices, self.entries,
            self.by_col_indptr, self.by_col_indices, self.by_col_entries,
        )  # fmt: skip

    def __matmul__(self, x: Any) -> Array:
        return _s.matmul(*self._parts(), x)

    def __rmatmul__(self, x: Any) -> Array:
        x = asarray(x)
        if x.ndim not in (1, 2):
            raise _hesse.ArgumentError(
                f"matmul: x times a sparse matrix needs x with one or two axes, got shape {x.shape}"
            )
        return cast("Array", self.T @ x if x.ndim == 1 else (self.T @ x.T).T)

    def todense(self) -> Array:
        """The matrix with all its entries, (rows, cols)."""
        return _s.todense(*self._parts())

    def to_scipy(self) -> Any:
        """A `scipy.sparse.csr_array` with copies of the values.

        Raises
        ------
        ImportError
            Without SciPy.
        """
        import numpy as np

        sparse = require("scipy.sparse", "io", "to_scipy")
        parts = [np.array(x) for x in (self.data, self.entries, self.indices, self.indptr)]
        data, entries, indices, indptr = parts
        return sparse.csr_array((data[entries] if entries.size else data, indices, indptr), self.shape)


def _shape(function: str, shape: Sequence[int]) -> tuple[int, int]:
    try:
        rows, cols = (operator.index(n) for n in shape)
    except (TypeError, ValueError):
        raise _hesse.ArgumentError(
            f"{function}: shape must be two integers (rows, cols), got {shape!r}"
        ) from None
    return rows, cols


def csr(data: Any, indices: Any, indptr: Any, shape: Sequence[int]) -> CSR:
    """A sparse matrix from compressed rows, as SciPy keeps them.

    Parameters
    ----------
    data : array, (nnz,)
        Values.
    indices : array of integers, (nnz,)
        Their columns; those of a row in any order, each at most once.
    indptr : array of integers, (rows + 1,)
        Row r has the entries from ``indptr[r]`` up to ``indptr[r + 1]``.
    shape : (int, int)
        Rows and columns.

    Returns
    -------
    CSR

    Raises
    ------
    ValueError
        For lengths that do not fit each other, starts that do not ascend from 0 to nnz, and a column that a
        row has twice.
    IndexError
        For a column out of range.
    TypeError
        For indices that are not integers.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.sparse.csr([1.0, 2.0, 3.0], [0, 2, 1], [0, 2, 3], (2, 3)).todense()
    Array([[1., 0., 2.],
           [0., 3., 0.]], dtype=float64)
    """
    return CSR(*_s.csr(asarray(data), asarray(indices), asarray(indptr), *_shape("csr", shape)))


def coo(data: Any, row: Any, col: Any, shape: Sequence[int]) -> CSR:
    """A sparse matrix from triplets in any order; values at the same place are added.

    Parameters
    ----------
    data : array, (nnz,)
        Values.
    row, col : array of integers, (nnz,)
        Their places.
    shape : (int, int)
        Rows and columns.

    Returns
    -------
    CSR

    Raises
    ------
    ValueError
        For arrays of different lengths.
    IndexError
        For a place out of range.
    TypeError
        For indices that are not integers.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.sparse.coo([1.0, 2.0, 3.0], [1, 0, 1], [0, 1, 0], (2, 2)).todense()
    Array([[0., 2.],
           [4., 0.]], dtype=float64)
    """
    return CSR(*_s.coo(asarray(data), asarray(row), asarray(col), *_shape("coo", shape)))


def from_dense(dense: Any) -> CSR:
    """The entries of a matrix that are not zero.

    Parameters
    ----------
    dense : array, (rows, cols)

    Returns
    -------
    CSR

    Raises
    ------
    ValueError
        Unless `dense` has two axes.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.sparse.from_dense([[0.0, 2.0], [4.0, 0.0]]).data
    Array([2., 4.], dtype=float64)
    """
    return CSR(*_s.from_dense(asarray(dense)))


def from_scipy(matrix: Any) -> CSR:
    """A matrix of `scipy.sparse` in any of its formats; values are copied.

    Parameters
    ----------
    matrix : sparse array or matrix
        Of two axes.

    Returns
    -------
    CSR

    Raises
    ------
    TypeError
        For what `scipy.sparse` does not know.

    Examples
    --------
    >>> import hesse as hs, scipy.sparse
    >>> hs.sparse.from_scipy(scipy.sparse.diags_array([1.0, 2.0])).todense()
    Array([[1., 0.],
           [0., 2.]], dtype=float64)
    """
    if not hasattr(matrix, "tocsr"):
        raise _hesse.ArgumentTypeError(
            f"from_scipy: matrix must be one of scipy.sparse, got {type(matrix).__name__}; "
            "from_dense takes arrays"
        )
    rows = matrix.tocsr(copy=True)
    rows.sum_duplicates()
    return csr(asarray(rows.data, copy=True), rows.indices, rows.indptr, rows.shape)


def sampled_outer(pattern: CSR, x: Any, y: Any) -> Array:
    """The entries of x y^T at the places that a sparse matrix stores: sampled dense-dense products.

    Parameters
    ----------
    pattern : CSR
        Its values are not read.
    x : array, (rows, k) or (rows,)
    y : array, (cols, k) or (cols,)

    Returns
    -------
    Array, (nnz,)
        In the order of ``pattern.data``.

    Raises
    ------
    ValueError
        For shapes that do not fit the pattern.
    TypeError
        Unless `pattern` is a `CSR`.

    Examples
    --------
    >>> import hesse as hs
    >>> a = hs.sparse.from_dense([[0.0, 1.0], [1.0, 0.0]])
    >>> hs.sparse.sampled_outer(a, [1.0, 2.0], [10.0, 100.0])
    Array([100.,  20.], dtype=float64)
    """
    if not isinstance(pattern, CSR):
        raise _hesse.ArgumentTypeError(
            f"sampled_outer: pattern must be a sparse matrix, got {type(pattern).__name__}; from_dense makes one"
        )
    return _s.sampled_outer(*pattern._parts(), asarray(x), asarray(y))
