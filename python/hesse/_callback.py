"""Foreign code in the middle of recorded functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import _hesse
from ._flat import check_callable, name_of
from ._hesse import Array, tree_flatten
from ._hesse import control as _c

__all__ = ["ShapeDtype", "callback"]


class ShapeDtype(NamedTuple):
    """What is stated of an array before there is one.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Examples
    --------
    >>> import hesse as hs
    >>> hs.ShapeDtype((2, 3), "float32")
    ShapeDtype(shape=(2, 3), dtype='float32')
    """

    shape: tuple[int, ...]
    dtype: Any = "float64"


def callback(
    fn: Callable[..., Any],
    result: Any,
    *args: Any,
    vjp: Callable[..., Any] | None = None,
    name: str | None = None,
) -> Any:
    """Foreign code on data, in the middle of anything: NumPy, SciPy, a simulator.

    Parameters
    ----------
    fn : callable
        Takes NumPy arrays in the structure of `args`; returns arrays in the structure of `result`. Inside
        `vmap` it is called for every example, inside `compile` at every run.
    result : tree of `ShapeDtype`
        Shapes and dtypes of what `fn` returns; arrays may stand for themselves.
    *args : tree
        The arguments.
    vjp : callable, optional
        ``vjp(args, cotangents)`` returns the cotangents of `args`, in NumPy too; without it there is no
        derivative. It must be linear in the cotangents.
    name : str, optional
        For error messages.

    Examples
    --------
    >>> import hesse as hs, numpy as np
    >>> sine = lambda x: hs.callback(np.sin, hs.ShapeDtype((), "float64"), x,
    ...                              vjp=lambda args, ct: (np.cos(args[0]) * ct,))
    >>> hs.grad(sine)(0.0)
    Array(1., dtype=float64)
    """
    check_callable(fn, "callback")

    def is_spec(x: Any) -> bool:
        return isinstance(x, ShapeDtype) or hasattr(x, "shape")

    specs, out_def = tree_flatten(result, is_leaf=is_spec)
    for spec in specs:
        if not is_spec(spec):
            raise _hesse.ArgumentTypeError(
                f"callback: result must hold ShapeDtype or arrays, got {type(spec).__name__}"
            )
    avals = [(tuple(s.shape), _hesse.dtype(s.dtype)) for s in specs]
    label = name or name_of(fn)

    def evaluate(*primals: Any) -> Any:
        leaves, treedef = tree_flatten(primals)
        positions = _hesse._array_positions(leaves)

        def run(*xs: Array) -> list[Any]:
            import numpy as np

            new = list(leaves)
            for k, x in zip(positions, xs, strict=True):
                new[k] = np.asarray(x)
            values = out_def.flatten_up_to(fn(*treedef.unflatten(new)), "callback")
            return [_hesse.asarray(v, dtype=dtype) for v, (_, dtype) in zip(values, avals, strict=True)]

        return out_def.unflatten(
            _c.callback(run, avals, [_hesse.asarray(leaves[k]) for k in positions], label)
        )

    if vjp is None:
        return evaluate(*args)
    from ._custom import custom_vjp

    differentiable = custom_vjp(evaluate)

    def forward(*primals: Any) -> tuple[Any, Any]:
        return evaluate(*primals), primals

    def backward(primals: tuple[Any, ...], cotangents: Any) -> Any:
        return callback(lambda *a: vjp(a[:-1], a[-1]), primals, *primals, cotangents, name=f"vjp of {label}")

    differentiable.defvjp(forward, backward)
    return differentiable(*args)
