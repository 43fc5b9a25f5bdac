"""Where sums and products of sparse matrices have entries, found once for their patterns."""

from __future__ import annotations

from typing import Any, ClassVar

from . import _hesse
from ._hesse import Array
from ._hesse import sparse as _s
from .nn._module import Module
from .sparse import CSR

__all__ = ["AddStructure", "MatmulStructure"]


def _check(function: str, **matrices: Any) -> None:
    for name, a in matrices.items():
        if not isinstance(a, CSR):
            raise _hesse.ArgumentTypeError(
                f"{function}: {name} must be a sparse matrix, got {type(a).__name__}; from_dense makes one"
            )


class AddStructure(Module):
    """Where the sum of two sparse matrices has entries.

    ``a + b`` finds it at every call. It is found once, outside of a compiled function that takes the matrices as
    arguments, and then adds matrices with these patterns and any values, with derivatives of any order. Values with
    heads are added head by head; values (nnz, 1) are added to each head of the others.

    Parameters
    ----------
    a, b : CSR
        Matrices of one shape; their values are not read.

    Raises
    ------
    ValueError
        For different shapes; when called, for different numbers of heads, and heads on one side only.
    TypeError
        For what is no `CSR`.

    Examples
    --------
    >>> import hesse as hs
    >>> a, b = hs.sparse.from_dense([[1.0, 2.0]]), hs.sparse.from_dense([[0.0, 3.0]])
    >>> add = hs.sparse.AddStructure(a, b)
    >>> hs.compile(lambda a, b: add(a, b).data)(a, b * 10.0)
    Array([ 1., 32.], dtype=float64)
    """

    __buffers__: ClassVar[tuple[str, ...]] = ("pattern", "left", "right")

    pattern: CSR
    left: Array
    right: Array

    def __init__(self, a: CSR, b: CSR) -> None:
        _check("AddStructure", a=a, b=b)
        parts, self.left, self.right = _s.add_structure(*a._parts(), *b._parts())
        self.pattern = CSR(*parts)

    def __call__(self, a: CSR, b: CSR) -> CSR:
        """``a + b``, for matrices with the patterns that this was made for."""
        _check("AddStructure", a=a, b=b)
        heads, others = a.data.shape[1:], b.data.shape[1:]
        if len(heads) != len(others) or (heads != others and (1,) not in (heads, others)):
            raise _hesse.ArgumentError(
                f"add: values of shapes {a.data.shape} and {b.data.shape} have different heads; one matrix is added to "
                "each head with values (nnz, 1), as of b.replace(data=b.data[:, None])"
            )
        data = _s.add_values(a.data, b.data, self.left, self.right, self.pattern.nnz)
        return self.pattern.replace(data=data)


class MatmulStructure(Module):
    """Where the product of two sparse matrices has entries, and which values meet in each of them.

    ``a @ b`` finds it at every call. It is found once, outside of a compiled function that takes the matrices as
    arguments, and then multiplies matrices with these patterns and any values, with derivatives of any order.
    It keeps six indices for each multiplication.

    Parameters
    ----------
    a, b : CSR
        Matrices, as many columns of `a` as rows of `b`; their values are not read.

    Raises
    ------
    ValueError
        For shapes that do not fit.
    TypeError
        For what is no `CSR`.

    Examples
    --------
    >>> import hesse as hs
    >>> a = hs.sparse.from_dense([[1.0, 2.0], [0.0, 3.0]])
    >>> square = hs.sparse.MatmulStructure(a, a)
    >>> hs.grad(lambda a: square(a, a).sum())(a).data
    Array([4., 4., 8.], dtype=float64)
    """

    __buffers__: ClassVar[tuple[str, ...]] = ("pattern", "triples")

    pattern: CSR
    triples: tuple[Array, ...]

    def __init__(self, a: CSR, b: CSR) -> None:
        _check("MatmulStructure", a=a, b=b)
        parts, *triples = _s.matmul_structure(*a._parts(), *b._parts())
        self.pattern, self.triples = CSR(*parts), tuple(triples)

    def __call__(self, a: CSR, b: CSR) -> CSR:
        """``a @ b``, for matrices with the patterns that this was made for."""
        _check("MatmulStructure", a=a, b=b)
        return self.pattern.replace(data=_s.paired_sum(a.data, b.data, *self.triples))
