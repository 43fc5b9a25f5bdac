"""Branches that values choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import _hesse
from ._flat import Outputs, check_callable, flat_function
from ._hesse import Array, tree_flatten
from ._hesse import control as _c

__all__ = ["cond", "switch"]


def _branches(transform: str, branches: Sequence[Callable[..., Any]], operands: tuple[Any, ...]) -> Any:
    """The branches as flat functions that check that all return one structure."""
    leaves, treedef = tree_flatten(operands)
    positions = _hesse._array_positions(leaves)
    first = Outputs()
    flat = []
    for k, branch in enumerate(branches):
        check_callable(branch, transform)

        def run(*xs: Array, branch: Callable[..., Any] = branch, k: int = k) -> list[Array]:
            mine = Outputs()
            values = flat_function(branch, leaves, treedef, positions, {}, mine, transform)(*xs)
            if k == 0:
                first.treedef = mine.treedef
            elif mine.treedef != first.treedef:
                raise _hesse.ArgumentError(
                    f"{transform}: the branches return different structures, {first.treedef} and "
                    f"{mine.treedef}"
                )
            return values

        flat.append(run)
    return flat, [_hesse.asarray(leaves[k]) for k in positions], first


def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any) -> Any:
    """``true_fun(*operands)`` if `pred` and ``false_fun(*operands)`` otherwise; only the chosen one runs.

    Both are recorded and must return the same shapes and dtypes. For a choice per entry use `where`.

    Parameters
    ----------
    pred : boolean scalar
    true_fun, false_fun : callable
        Both take the operands.
    *operands : tree of arrays

    Returns
    -------
    tree
        What the chosen function returned.

    Raises
    ------
    ValueError
        Where the results of both differ in structure or shapes.

    Examples
    --------
    >>> import hesse as hs
    >>> f = lambda x: hs.cond(x > 0.0, lambda x: x * x, lambda x: -x, x)
    >>> hs.vmap(hs.grad(f))(hs.array([-1.0, 3.0]))
    Array([-1.,  6.], dtype=float64)
    """
    (no, yes), arrays, outputs = _branches("cond", (false_fun, true_fun), operands)
    return outputs.tree(_c.cond(pred, yes, no, arrays))


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """``branches[index](*operands)``, the index limited to the range; only the chosen one runs.

    Parameters
    ----------
    index : integer scalar
    branches : sequence of callable
        All take the operands and return the same shapes and dtypes.
    *operands : tree of arrays

    Returns
    -------
    tree
        What the chosen function returned.

    Raises
    ------
    ValueError
        Without branches, or where their results differ in structure or shapes.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.switch(1, [hs.sin, hs.square, hs.exp], 3.0)
    Array(9., dtype=float64)
    """
    if not branches:
        raise _hesse.ArgumentError("switch: branches is empty; give at least one function")
    flat, arrays, outputs = _branches("switch", tuple(branches), operands)
    return outputs.tree(_c.switch(_hesse.asarray(index), flat, arrays))
