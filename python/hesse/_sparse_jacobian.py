"""Jacobians and Hessians of which few entries differ from zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _hesse
from ._flat import Outputs, check_callable, documented, flat_function, normalised_argnums
from ._hesse import Array, tree_flatten
from ._hesse import sparse as _s

if TYPE_CHECKING:
    from .sparse import CSR

__all__ = ["sparse_hessian", "sparse_jacobian"]

Places = tuple[int, int, list[int], list[int]]


def _places(transform: str, pattern: Any) -> Places | None:
    """A pattern in compressed rows, columns in ascending order."""
    if pattern is None:
        return None
    from .sparse import CSR

    if isinstance(pattern, CSR):
        (rows, cols), starts = pattern.shape, np.asarray(pattern.indptr)
        columns = np.asarray(pattern.indices)
        row = np.repeat(np.arange(rows), np.diff(starts))
    elif hasattr(pattern, "tocoo"):
        coo = pattern.tocoo()
        (rows, cols), row, columns = coo.shape, coo.row, coo.col
    else:
        dense = np.asarray(pattern)
        if dense.ndim != 2:
            raise _hesse.ArgumentError(
                f"{transform}: pattern has shape {dense.shape}, expected a matrix: a CSR, one of scipy.sparse, "
                "or an array that is not zero where entries may be"
            )
        (rows, cols), (row, columns) = dense.shape, np.nonzero(dense)
    flat = np.unique(row.astype(np.int64) * max(cols, 1) + columns)
    starts = np.searchsorted(flat, np.arange(rows + 1) * max(cols, 1))
    return rows, cols, starts.tolist(), (flat % max(cols, 1)).tolist()


class _Arguments:
    """The arguments as leaves: all inexact ones, and which of them are differentiated by."""

    def __init__(self, transform: str, args: tuple[Any, ...], argnums: int | Sequence[int]) -> None:
        nums = normalised_argnums(argnums, len(args), transform)
        if len(set(nums)) < len(nums):
            raise _hesse.ArgumentError(f"{transform}: argnums names an argument twice: {argnums}")
        self.leaves, self.treedef = tree_flatten(args)
        self.positions = _hesse._inexact_positions(self.leaves, self.treedef)
        self.arrays = [self.leaves[k] for k in self.positions]
        ends = np.cumsum([0] + [len(tree_flatten(a)[0]) for a in args])
        self.argnums = [j for i in nums for j, k in enumerate(self.positions) if ends[i] <= k < ends[i + 1]]
        if not self.argnums:
            raise _hesse.ArgumentTypeError(
                f"{transform}: argument {nums[0]} holds no floating or complex arrays to differentiate by; "
                "convert it with astype, or use argnums"
            )

    def key(self, kwargs: dict[str, Any]) -> Any:
        """What a pattern belongs to: structures, shapes and dtypes, and the values of all that is not inexact or is
        passed by keyword.

        None where those are not known.
        """
        named, named_def = tree_flatten(kwargs)
        parts: list[Any] = [self.treedef, named_def]
        inexact = set(self.positions)
        for k, leaf in enumerate([*self.leaves, *named]):
            if k in inexact:
                a = _hesse.asarray(leaf)
                parts.append((a.shape, str(a.dtype)))
            elif isinstance(leaf, (Array, np.ndarray, np.generic)):
                try:
                    parts.append((leaf.shape, str(leaf.dtype), np.asarray(leaf).tobytes()))
                except (TypeError, _hesse.TraceError):
                    return None
            else:
                parts.append(repr(leaf))
        return tuple(parts)


def _transform(
    fun: Callable[..., Any], argnums: int | Sequence[int], pattern: Any, transform: str, doc: str
) -> Callable[..., CSR]:
    check_callable(fun, transform)
    places = _places(transform, pattern)
    plans: dict[Any, _s.SparsityPlan] = {}
    hessian = transform == "sparse_hessian"
    make = _s.plan_hessian if hessian else _s.plan_jacobian

    def wrapper(*args: Any, **kwargs: Any) -> CSR:
        from .sparse import CSR

        given = _Arguments(transform, args, argnums)
        flat = flat_function(fun, given.leaves, given.treedef, given.positions, kwargs, Outputs(), transform)
        arrays = [_hesse.asarray(a) for a in given.arrays]
        key = given.key(kwargs)
        plan = plans.get(key) if key is not None else None
        if plan is None:
            plan = make(flat, arrays, given.argnums, places)
            if key is not None:
                plans[key] = plan
        evaluate = plan.hessian if hessian else plan.jacobian
        return CSR(*evaluate(flat, arrays, given.argnums))

    return documented(fun, wrapper, doc)


def sparse_jacobian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, *, pattern: Any = None
) -> Callable[..., CSR]:
    """A function that returns the Jacobian of `fun` as a sparse matrix.

    Where it has entries is read off the graph of `fun`; columns (or rows) that have no row (column) in common
    are found together, from one pass of forward (reverse) mode: three passes for a tridiagonal Jacobian of
    any size.

    Parameters
    ----------
    fun : callable
        Takes and returns trees of arrays of any shape.
    argnums : int or sequence of int
        Which positional arguments to differentiate by.
    pattern : CSR, scipy.sparse matrix or array, (rows, cols), optional
        Where entries may differ from zero (its values are not read; of an array, those that are not zero).
        Given by hand it is taken as it is: entries outside it give wrong values.

    Returns
    -------
    callable
        With the arguments of `fun`; returns a `CSR` with a row for every entry of the outputs and a column
        for every entry of the arguments, trees flattened in order and arrays row-major. Its values are
        differentiable to any order; under `hs.vmap` take ``.data``, [nnz] for each example.

    Raises
    ------
    ValueError
        For a pattern of another shape, argnums that repeat, and where more than 2^27 entries can differ from
        zero.
    TypeError
        From the result, for arguments and outputs that have no derivatives.

    Notes
    -----
    The pattern is found at the first call with arguments of some shapes, dtypes and values of integers, and
    kept. It holds every entry that can differ from zero for any values of the floating arguments; arrays that
    `fun` closes over count with the values they have then. Entrywise operations, slices, indexing with
    constant indices, sums, sparse products, and maps, loops and branches of these are exact; for matrix
    products, sorting, Fourier transforms and the like all entries along the axes they join count, for solvers
    all.

    References
    ----------
    Curtis, Powell and Reid, IMA J. Appl. Math. 13 (1974); Gebremedhin, Manne and Pothen, SIAM Review 47
    (2005).

    Examples
    --------
    >>> import hesse as hs
    >>> J = hs.sparse_jacobian(lambda u: u[1:] ** 2 - u[:-1])(hs.array([1.0, 2.0, 3.0]))
    >>> J.nnz
    4
    >>> J.todense()
    Array([[-1.,  4.,  0.],
           [ 0., -1.,  6.]], dtype=float64)
    """
    return _transform(fun, argnums, pattern, "sparse_jacobian", "The Jacobian of {name}, sparse.")


def sparse_hessian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, *, pattern: Any = None
) -> Callable[..., CSR]:
    """A function that returns the second derivatives of a scalar function as a sparse matrix.

    As `sparse_jacobian` of the gradient; symmetry saves passes, by star colouring: two for one full row and
    column beside a diagonal.

    Parameters
    ----------
    fun : callable
        Returns a real scalar.
    argnums : int or sequence of int
        Which positional arguments to differentiate by.
    pattern : CSR, scipy.sparse matrix or array, (n, n), optional
        Where entries may differ from zero, as for `sparse_jacobian`; symmetric.

    Returns
    -------
    callable
        With the arguments of `fun`; returns a `CSR` (n, n) for the n entries of the arguments.

    Raises
    ------
    ValueError
        For a pattern of another shape or one that is not symmetric, and argnums that repeat.
    TypeError
        From the result, for arguments that are not floating, or an output that is no real scalar.

    References
    ----------
    Gebremedhin, Manne and Pothen, SIAM Review 47 (2005); Gebremedhin, Tarafdar, Manne and Pothen, SIAM J.
    Sci. Comput. 29 (2007).

    Examples
    --------
    >>> import hesse as hs
    >>> hs.sparse_hessian(lambda x: hs.sum(x[0] * x[1:] ** 2))(hs.array([2.0, 1.0, 3.0])).todense()
    Array([[0., 2., 6.],
           [2., 4., 0.],
           [6., 0., 4.]], dtype=float64)
    """
    return _transform(fun, argnums, pattern, "sparse_hessian", "The Hessian of {name}, sparse.")
