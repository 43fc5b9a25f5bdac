"""Sparse matrices whose stored places are fixed and whose values are an array like any other.

The edges of a graph are such a matrix, with a row for every node that receives and a column for every node that
sends: ``a @ x`` sums what the neighbours send.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from . import _hesse
from ._extras import require
from ._hesse import Array, asarray
from ._hesse import sparse as _s
from .nn._module import Module

if TYPE_CHECKING:
    from collections.abc import Sequence

Parts = tuple[Array, Array, Array, Array, Array, Array, Array]
Duplicates = Literal["refuse", "sum", "keep"]

__all__ = [
    "CSR", "AddStructure", "MatmulStructure", "coo", "csc", "csr", "from_dense", "from_scipy", "identity",
    "mmread", "mmwrite", "sampled_outer",
]  # fmt: skip


class CSR(Module):
    """A matrix in compressed rows; make one with `csr`, `csc`, `coo`, `identity`, `from_dense`, `from_scipy` or
    `mmread`.

    Products with it and with its transpose are differentiable to any order with respect to `data` and to what
    it is multiplied by. It is a tree: `hs.grad` with respect to a matrix gives one with the gradient in
    ``data``, `hs.compile` and `hs.vmap` take it as an argument, and ``a.replace(data=values)`` has the same
    places with other values. A product does 2 nnz k operations; work is shared by threads in parts with equally
    many values, and results do not depend on how many threads there are.

    ``a @ x`` with an array or with another matrix, ``x @ a``, ``a + b``, ``a - b``, and ``a * d`` with a number,
    with an array (cols,) or (1, cols) that scales columns, (rows, 1) that scales rows, or (rows, cols). With
    values (nnz, heads) it is several matrices of one pattern, and ``a @ x`` takes x (cols, heads, k).

    Parameters
    ----------
    data : Array
        [nnz] or [nnz, heads], the values stored.
    indptr, indices, entries : Array
        All int32 or all int64. Row r has the columns ``indices[p]`` for p from ``indptr[r]`` up to
        ``indptr[r + 1]``; position p holds the value ``data[entries[p]]``, or ``data[p]`` where `entries` is
        empty.
    by_col_indptr, by_col_indices, by_col_entries : Array
        The same of the transpose.

    Raises
    ------
    ValueError
        By ``a @ x``, unless x is (cols,) or (cols, k), with (cols, heads) in place of cols for several heads;
        by sums and products of matrices whose shapes do not fit.
    IndexError
        By ``a @ x``, where a pattern was changed by hand and is out of range.

    Examples
    --------
    >>> import hesse as hs
    >>> a = hs.sparse.csr([1.0, 2.0, 3.0], [0, 2, 1], [0, 2, 3], (2, 3))
    >>> a @ hs.array([1.0, 1.0, 10.0])
    Array([21.,  3.], dtype=float64)
    >>> (a @ a.T).todense()
    Array([[5., 0.],
           [0., 9.]], dtype=float64)
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
        """The transpose: the same values, read by columns. Nothing is moved."""
        return CSR(
            self.data, self.by_col_indptr, self.by_col_indices, self.by_col_entries,
            self.indptr, self.indices, self.entries,
        )  # fmt: skip

    @property
    def coords(self) -> tuple[Array, Array]:
        """The row and the column of every value, int64 (nnz,), in the order of `data`."""
        return _s.coordinates(*self._parts())

    def _parts(self) -> Parts:
        return (
            self.data, self.indptr, self.indices, self.entries,
            self.by_col_indptr, self.by_col_indices, self.by_col_entries,
        )  # fmt: skip

    def __matmul__(self, x: Any) -> Any:
        if isinstance(x, CSR):
            return MatmulStructure(self, x)(self, x)
        return _s.matmul(*self._parts(), x)

    def __rmatmul__(self, x: Any) -> Array:
        x = asarray(x)
        if x.ndim not in (1, 2):
            raise _hesse.ArgumentError(
                f"matmul: x times a sparse matrix needs x with one or two axes, got shape {x.shape}"
            )
        return cast("Array", self.T @ x if x.ndim == 1 else (self.T @ x.T).T)

    def __add__(self, other: Any) -> CSR:
        if not isinstance(other, CSR):
            return NotImplemented
        return AddStructure(self, other)(self, other)

    def __neg__(self) -> CSR:
        return self.replace(data=-self.data)

    def __sub__(self, other: Any) -> CSR:
        if not isinstance(other, CSR):
            return NotImplemented
        return self + (-other)

    def __mul__(self, other: Any) -> CSR:
        if isinstance(other, CSR):
            return NotImplemented
        return self.replace(data=_s.multiply(*self._parts(), other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> CSR:
        if isinstance(other, CSR):
            return NotImplemented
        return self * (1.0 / asarray(other))

    def sum(self, axis: int | None = None) -> Array:
        """The sum of all values, or over the rows (``axis=0``, (cols,)) or the columns (``axis=1``, (rows,)).

        Raises
        ------
        ValueError
            For another axis.
        """
        if axis is None:
            return _hesse.sum(self.data, axis=0)
        return _s.sum(*self._parts(), axis)

    def diagonal(self) -> Array:
        """The entries (i, i), (min(rows, cols),)."""
        return _s.diagonal(*self._parts())

    def todense(self) -> Array:
        """The matrix with all its entries, (rows, cols), or (rows, cols, heads)."""
        return _s.todense(*self._parts())

    def to_scipy(self, format: str = "csr") -> Any:
        """A `scipy.sparse` array of a format ("csr", "csc", "coo", ...) with copies of the values.

        Raises
        ------
        ImportError
            Without SciPy.
        ValueError
            For several heads, and for a format that SciPy does not know.
        """
        import numpy as np

        sparse = require("scipy.sparse", "io", "to_scipy")
        if self.data.ndim != 1:
            raise _hesse.ArgumentError(
                f"to_scipy: data of shape {self.data.shape} is several matrices; take one, as in "
                "a.replace(data=a.data[:, 0])"
            )
        parts = [np.array(x) for x in (self.data, self.entries, self.indices, self.indptr)]
        data, entries, indices, indptr = parts
        rows = sparse.csr_array((data[entries] if entries.size else data, indices, indptr), self.shape)
        return rows.asformat(format)


def _shape(function: str, shape: Sequence[int]) -> tuple[int, int]:
    try:
        rows, cols = (operator.index(n) for n in shape)
    except (TypeError, ValueError):
        raise _hesse.ArgumentError(
            f"{function}: shape must be two integers (rows, cols), got {shape!r}"
        ) from None
    return rows, cols


def _word(function: str, duplicates: Any) -> str:
    if not isinstance(duplicates, str):
        raise _hesse.ArgumentTypeError(
            f"{function}: duplicates must be 'refuse', 'sum' or 'keep', got {duplicates!r}"
        )
    return duplicates


def csr(
    data: Any, indices: Any, indptr: Any, shape: Sequence[int], *, duplicates: Duplicates = "refuse"
) -> CSR:
    """A sparse matrix from compressed rows, as SciPy keeps them.

    Parameters
    ----------
    data : array, (nnz,) or (nnz, heads)
        Values.
    indices : array of integers, (nnz,)
        Their columns; those of a row in any order.
    indptr : array of integers, (rows + 1,)
        Row r has the entries from ``indptr[r]`` up to ``indptr[r + 1]``. Where both are int32 they are kept so,
        which halves what products read of them; otherwise as int64.
    shape : (int, int)
        Rows and columns.
    duplicates : {"refuse", "sum", "keep"}
        What becomes of several values at one place: an error, their sum, or all of them (parallel edges of a
        graph), which products then add.

    Returns
    -------
    CSR

    Raises
    ------
    ValueError
        For lengths that do not fit each other, starts that do not ascend from 0 to nnz, and (``"refuse"``) a
        column that a row has twice.
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
    return CSR(
        *_s.csr(
            asarray(data), asarray(indices), asarray(indptr), *_shape("csr", shape), _word("csr", duplicates)
        )
    )


def csc(
    data: Any, indices: Any, indptr: Any, shape: Sequence[int], *, duplicates: Duplicates = "refuse"
) -> CSR:
    """A sparse matrix from compressed columns, as SciPy keeps them; values stay in their order.

    Parameters
    ----------
    data : array, (nnz,) or (nnz, heads)
        Values.
    indices : array of integers, (nnz,)
        Their rows.
    indptr : array of integers, (cols + 1,)
        Column c has the entries from ``indptr[c]`` up to ``indptr[c + 1]``.
    shape : (int, int)
        Rows and columns.
    duplicates : {"refuse", "sum", "keep"}
        As for `csr`.

    Returns
    -------
    CSR

    Raises
    ------
    ValueError, IndexError, TypeError
        As `csr` of the transpose.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.sparse.csc([1.0, 2.0, 3.0], [0, 1, 0], [0, 1, 2, 3], (2, 3)).todense()
    Array([[1., 0., 3.],
           [0., 2., 0.]], dtype=float64)
    """
    rows, cols = _shape("csc", shape)
    return csr(data, indices, indptr, (cols, rows), duplicates=duplicates).T


def coo(data: Any, row: Any, col: Any, shape: Sequence[int], *, duplicates: Duplicates = "sum") -> CSR:
    """A sparse matrix from triplets in any order; values at the same place are added.

    The edges of a graph from `source` to `target`: ``coo(weights, target, source, (n, n), duplicates="keep")``,
    whose ``data`` are the weights in their own order.

    Parameters
    ----------
    data : array, (nnz,) or (nnz, heads)
        Values.
    row, col : array of integers, (nnz,)
        Their places. Where both are int32 indices are kept so, otherwise as int64.
    shape : (int, int)
        Rows and columns.
    duplicates : {"sum", "keep", "refuse"}
        What becomes of several values at one place. With ``"keep"`` values stay in the order given; otherwise
        they are sorted by row and column.

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
    return CSR(
        *_s.coo(asarray(data), asarray(row), asarray(col), *_shape("coo", shape), _word("coo", duplicates))
    )


def identity(n: int, *, dtype: Any = None, index_dtype: Any = None) -> CSR:
    """Ones on the diagonal, as the self-loops of a graph.

    Parameters
    ----------
    n : int
        Rows and columns.
    dtype : dtype, optional
        Of the values; the default floating dtype if not given.
    index_dtype : dtype, optional
        int32 or int64 (if not given).

    Returns
    -------
    CSR

    Raises
    ------
    ValueError
        For a negative number.
    TypeError
        For indices of another dtype.

    Examples
    --------
    >>> import hesse as hs
    >>> a = hs.sparse.from_dense([[0.0, 1.0], [1.0, 0.0]])
    >>> (a + hs.sparse.identity(2)).todense()
    Array([[1., 1.],
           [1., 1.]], dtype=float64)
    """
    chosen = _hesse.default_dtype() if dtype is None else dtype
    return CSR(*_s.identity(n, chosen, _hesse.int64 if index_dtype is None else index_dtype))


def from_dense(dense: Any) -> CSR:
    """The entries of a matrix that are not zero, with indices of int32 where they fit, as SciPy has them.

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
    """A matrix of `scipy.sparse` in any of its formats; values are copied, and int32 indices stay so.

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
    if len(matrix.shape) != 2:
        raise _hesse.ArgumentError(f"from_scipy: matrix has shape {matrix.shape}, expected two axes")
    by_columns = getattr(matrix, "format", "csr") == "csc"
    kept = matrix.copy() if by_columns else matrix.tocsr(copy=True)
    kept.sum_duplicates()
    make = csc if by_columns else csr
    return make(asarray(kept.data, copy=True), kept.indices, kept.indptr, kept.shape)


def sampled_outer(pattern: CSR, x: Any, y: Any) -> Array:
    """The entries of x y^T at the places that a sparse matrix stores: sampled dense-dense products (SDDMM).

    Parameters
    ----------
    pattern : CSR
        Its values are not read.
    x : array, (rows, k), (rows,) or (rows, heads, k)
    y : array, (cols, k), (cols,) or (cols, heads, k)

    Returns
    -------
    Array, (nnz,) or (nnz, heads)
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


from ._matrix_market import mmread, mmwrite  # noqa: E402  they make a CSR
from ._sparse_structure import AddStructure, MatmulStructure  # noqa: E402
