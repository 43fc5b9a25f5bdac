"""Looking into running programs."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator
from typing import Any

from . import _hesse
from ._hesse import tree_flatten

__all__ = ["nans", "print"]


def print(fmt: str, *args: Any, **kwargs: Any) -> None:
    """Prints values, also inside compiled functions, loops and `vmap` (there once per example).

    Parameters
    ----------
    fmt : str
        As for `str.format`.
    *args, **kwargs : tree
        What to print.

    Examples
    --------
    >>> import hesse as hs
    >>> @hs.compile
    ... def f(x):
    ...     hs.debug.print("x is {}", x)
    ...     return x + 1
    >>> y = f(hs.array(2.0))
    x is 2.0
    """
    if not isinstance(fmt, str):
        raise _hesse.ArgumentTypeError(
            f"debug.print: fmt is of type {type(fmt).__name__}; expected a format string first, as in "
            'debug.print("x is {}", x)'
        )
    leaves, treedef = tree_flatten((args, kwargs))
    positions = _hesse._array_positions(leaves)

    def show(*xs: Any) -> list[Any]:
        new = list(leaves)
        for k, x in zip(positions, xs, strict=True):
            new[k] = x
        shown_args, shown_kwargs = treedef.unflatten(new)
        builtins.print(fmt.format(*shown_args, **shown_kwargs))
        return []

    arrays = [_hesse.stop_gradient(_hesse.asarray(leaves[k])) for k in positions]
    _hesse.control.callback(show, [], arrays, "debug.print")


@contextlib.contextmanager
def nans(on: bool = True) -> Iterator[None]:
    """Within it, the first operation that makes a NaN of inputs without one raises `hesse.NumericalError`.

    Parameters
    ----------
    on : bool
        False lets NaN pass in a block inside such a block.

    Returns
    -------
    context manager

    Notes
    -----
    For the whole program: `hs.set_debug_nans`. Compiled functions then check every equation.

    Examples
    --------
    >>> import hesse as hs
    >>> with hs.debug_nans():
    ...     hs.log(-1.0)
    Traceback (most recent call last):
        ...
    hesse.NumericalError: ...
    """
    before = _hesse.debug_nans_enabled()
    _hesse.set_debug_nans(on)
    try:
        yield
    finally:
        _hesse.set_debug_nans(before)
