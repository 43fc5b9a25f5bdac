"""Random numbers from keys: the same key gives the same numbers, on any number of threads.

A key is an array of dtype key. It is not changed by use: `split` it for different draws. Inside `vmap` a
key from outside is the same for all examples.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from . import _hesse
from ._hesse import Array
from ._hesse import random as _r

__all__ = [
    "bits",
    "categorical",
    "choice",
    "fold_in",
    "gumbel",
    "integers",
    "key",
    "key_data",
    "next_key",
    "normal",
    "permutation",
    "seed",
    "split",
    "uniform",
]

key = _r.key
split = _r.split
fold_in = _r.fold_in
bits = _r.bits
uniform = _r.uniform
normal = _r.normal
gumbel = _r.gumbel
integers = _r.integers
categorical = _r.categorical


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def permutation(key: Any, x: Any, /, *, axis: int = 0) -> Array:
    """The integers below x in random order, or the slices of the array x along an axis in random order.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same numbers.
    x : int or array
    axis : int

    Returns
    -------
    Array

    References
    ----------
    Fisher and Yates (1938), with the rule of core/random.h.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.sort(hs.random.permutation(hs.random.key(0), 4))
    Array([0, 1, 2, 3], dtype=int64)
    """
    if isinstance(x, int):
        return _r._permutation(key, x)
    x = _hesse.asarray(x)
    if x.ndim == 0:
        return _r._permutation(key, int(x))
    return _hesse.take(x, _r._permutation(key, x.shape[axis]), axis=axis)


def choice(
    key: Any,
    a: Any,
    /,
    shape: int | Sequence[int] = (),
    replace: bool = True,
    p: Any = None,
    *,
    axis: int = 0,
) -> Array:
    """Random entries of the array a along an axis, or of the integers below a.

    Parameters
    ----------
    key : Array
    a : int or array
    shape : tuple of int
    replace : bool
        Whether an entry may come more than once.
    p : array, optional
        The probability of each entry; equal ones by default.
    axis : int

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        Where more entries are drawn than there are without replacement.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.random.choice(hs.random.key(0), hs.array([7, 7]), (3,))
    Array([7, 7, 7], dtype=int64)
    >>> hs.sort(hs.random.choice(hs.random.key(0), 3, (3,), replace=False))
    Array([0, 1, 2], dtype=int64)
    """
    if isinstance(a, int):
        return _r._choice(key, a, _shape(shape), replace, p)
    a = _hesse.asarray(a)
    if a.ndim == 0:
        return _r._choice(key, int(a), _shape(shape), replace, p)
    return _hesse.take(a, _r._choice(key, a.shape[axis], _shape(shape), replace, p), axis=axis)


def key_data(key: Array, /) -> Array:
    """The bits of keys, two unsigned integers each.

    Parameters
    ----------
    key : Array of dtype key

    Returns
    -------
    Array of uint32, (..., 2)

    Examples
    --------
    >>> import hesse as hs
    >>> hs.random.key_data(hs.random.key(7))
    Array([0, 7], dtype=uint32)
    """
    import numpy as np

    return _hesse.asarray(np.asarray(key))


_lock = threading.Lock()
_state: dict[str, Any] = {"key": None, "count": 0}


def seed(value: int) -> None:
    """Fixes what initialisers and samplers draw that are given no key.

    Parameters
    ----------
    value : int

    Examples
    --------
    >>> import hesse as hs
    >>> hs.seed(0)
    >>> first = hs.random.normal(hs.random.next_key())
    >>> hs.seed(0)
    >>> bool(first == hs.random.normal(hs.random.next_key()))
    True
    """
    with _lock:
        _state.update(key=key(value), count=0)


def next_key() -> Array:
    """A new key from the state that `seed` sets, for functions that are given none. Not under a trace.

    Returns
    -------
    Array of dtype key

    Raises
    ------
    TypeError
        Under a trace, where it would be drawn once and then stay the same.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.seed(0)
    >>> hs.random.next_key().dtype
    hesse.key
    """
    if _hesse.in_trace():
        raise _hesse.TraceError(
            "random: a key was drawn from the global seed inside a compiled function, a loop or a branch, "
            "where it would be drawn once and then stay the same; pass a key as an argument"
        )
    with _lock:
        if _state["key"] is None:
            _state["key"] = key(0)
        _state["count"] += 1
        return fold_in(_state["key"], _state["count"])
