"""Functions of one example applied to many, and functions recomputed for derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _hesse
from ._flat import Outputs, check_callable, documented, flat_function
from ._hesse import transforms as _t
from ._hesse import tree_flatten
from ._tree import broadcast_prefix

__all__ = ["checkpoint", "vmap"]


def vmap(fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """A function that applies `fun`, written for one example, to many at once.

    Parameters
    ----------
    fun : callable
        Takes and returns trees of arrays.
    in_axes : int, None, or tuple
        Which axis of the arguments counts the examples; None: the argument is the same for all. A tuple has
        an entry per argument, and an entry may be a tree of such for the parts of an argument. Keyword
        arguments are the same for all examples.
    out_axes : int, None, or tree
        Where that axis goes in the outputs; None for an output that is the same for all examples.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.vmap(hs.dot)(hs.array([[1.0, 2.0], [3.0, 4.0]]), hs.array([[1.0, 1.0], [2.0, 2.0]]))
    Array([ 3., 14.], dtype=float64)
    >>> hs.vmap(lambda a, x: a * x, in_axes=(None, 0))(2.0, hs.arange(3.0))
    Array([0., 2., 4.], dtype=float64)
    """
    check_callable(fun, "vmap")

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        axes_of_args = in_axes
        if isinstance(in_axes, (tuple, list)):
            if len(in_axes) != len(args):
                raise _hesse.ArgumentError(
                    f"vmap: in_axes has {len(in_axes)} entries for {len(args)} positional argument(s)"
                )
            axes_of_args = tuple(in_axes)
        leaves, treedef = tree_flatten(args)
        axes = broadcast_prefix(axes_of_args, treedef, "vmap: in_axes")
        positions = [k for k, axis in enumerate(axes) if axis is not None]
        for k in positions:
            if not _hesse._is_numeric(leaves[k]) or getattr(leaves[k], "ndim", 0) == 0:
                what = "a scalar" if _hesse._is_numeric(leaves[k]) else f"a {type(leaves[k]).__name__}"
                raise _hesse.ArgumentError(
                    f"vmap: argument {treedef.paths()[k]} is {what} and cannot be mapped over "
                    f"axis {axes[k]}; "
                    "give it None in in_axes"
                )
        outputs = Outputs()
        flat = flat_function(fun, leaves, treedef, positions, kwargs, outputs, "vmap")

        def axes_of_outputs(n: int) -> list[Any]:
            return broadcast_prefix(out_axes, outputs.treedef, "vmap: out_axes")

        values = _hesse.control.vmap(
            flat, [leaves[k] for k in positions], [axes[k] for k in positions], axes_of_outputs
        )
        return outputs.tree(values)

    return documented(fun, wrapper, "{name}, applied to many examples at once.")


def checkpoint(fun: Callable[..., Any]) -> Callable[..., Any]:
    """`fun`, whose derivatives run it again instead of keeping what it computed: less memory, more time.

    Parameters
    ----------
    fun : callable
        Of trees of arrays.

    Returns
    -------
    callable
        With the arguments of `fun`.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.grad(hs.checkpoint(lambda x: hs.sin(hs.sin(x))))(0.0)
    Array(1., dtype=float64)
    """
    check_callable(fun, "checkpoint")

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        leaves, treedef = tree_flatten(args)
        positions = _hesse._array_positions(leaves)
        outputs = Outputs()
        flat = flat_function(fun, leaves, treedef, positions, kwargs, outputs, "checkpoint")
        return outputs.tree(_t.checkpoint(flat, [leaves[k] for k in positions]))

    return documented(fun, wrapper, "{name}, recomputed for derivatives.")
