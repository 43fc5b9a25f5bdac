"""Functions of arrays that are short in terms of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from . import _hesse
from ._hesse import Array

__all__ = [
    "allclose",
    "array_equal",
    "cumulative_prod",
    "cumulative_sum",
    "isclose",
    "repeat",
    "tensordot",
    "unique",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


def _cumulative(f: Any, identity: Any, x: Any, axis: int | None, dtype: Any, include_initial: bool) -> Array:
    x = _hesse.asarray(x)
    if axis is None:
        if x.ndim > 1:
            raise _hesse.ArgumentError(
                f"cumulative: the array has shape {x.shape}; give an axis where there are several"
            )
        axis = 0
    y: Array = f(x, axis=axis, dtype=dtype)
    if not include_initial:
        return y
    shape = list(y.shape)
    shape[axis] = 1
    return _hesse.concatenate([_hesse.full(tuple(shape), identity, dtype=y.dtype), y], axis=axis)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Running sums along an axis, with a zero in front if `include_initial`.

    Parameters
    ----------
    x : array
        Any shape.
    axis : int, optional
        May be left out where there is one axis.
    dtype : dtype, optional
        That of the result; by default it follows from the input.
    include_initial : bool

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        Without an axis where there are several.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.cumulative_sum(hs.array([1, 2, 3]), include_initial=True)
    Array([0, 1, 3, 6], dtype=int64)
    """
    return _cumulative(_hesse.cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Running products along an axis, with a one in front if `include_initial`.

    Parameters
    ----------
    x : array
        Any shape.
    axis : int, optional
        May be left out where there is one axis.
    dtype : dtype, optional
        That of the result; by default it follows from the input.
    include_initial : bool

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        Without an axis where there are several.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.cumulative_prod(hs.array([1, 2, 3]), include_initial=True)
    Array([1, 1, 2, 6], dtype=int64)
    """
    return _cumulative(_hesse.cumprod, 1, x, axis, dtype, include_initial)


def tensordot(x1: Any, x2: Any, /, *, axes: int | Sequence[Sequence[int]] = 2) -> Array:
    """Sums of products over the last `axes` axes of x1 and the first of x2, or over pairs of named axes.

    Parameters
    ----------
    x1, x2 : array
    axes : int or pair of sequences of int
        How many axes, or those of x1 and those of x2.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        Where the lengths of the axes differ.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.tensordot(hs.ones((2, 3)), hs.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    x1, x2 = _hesse.asarray(x1), _hesse.asarray(x2)
    if isinstance(axes, int):
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise _hesse.ArgumentError(
                f"tensordot: axes is {axes}, but the arrays have {x1.ndim} and {x2.ndim} axes"
            )
        return _hesse._tensordot(x1, x2, tuple(range(x1.ndim - axes, x1.ndim)), tuple(range(axes)))
    first, second = axes
    return _hesse._tensordot(x1, x2, first, second)


def repeat(
    x: Any, repeats: Any, /, *, axis: int | None = None, total_repeat_length: int | None = None
) -> Array:
    """Every entry repeated, along an axis or, without one, of the flattened array.

    Parameters
    ----------
    x : array
    repeats : int or array of int
        How often; an array has one number per entry along the axis.
    axis : int, optional
    total_repeat_length : int, optional
        The length of the result along the axis, which a traced function needs where `repeats` is an array: what is
        longer is cut, what is shorter is filled with the last entry.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.repeat(hs.array([1, 2]), 2)
    Array([1, 1, 2, 2], dtype=int64)
    >>> hs.repeat(hs.array([1, 2]), hs.array([1, 3]))
    Array([1, 2, 2, 2], dtype=int64)
    """
    if isinstance(repeats, int) and total_repeat_length is None:
        return _hesse.repeat(x, repeats, axis=axis)
    counts = _hesse.asarray(repeats)
    if counts.dtype.kind not in "iu" or counts.ndim > 1:
        raise _hesse.ArgumentTypeError(
            f"repeat: repeats is {counts.dtype}{list(counts.shape)}; expected an integer or a vector of integers"
        )
    if counts.ndim == 0 and not counts.is_symbol and total_repeat_length is None:
        return _hesse.repeat(x, int(counts), axis=axis)
    x = _hesse.asarray(x)
    if axis is None:
        x, axis = _hesse.flatten(x), 0
    if not -x.ndim <= axis < x.ndim:
        raise _hesse.OutOfRangeError(f"repeat: axis {axis} is out of range for {x.ndim} dimension(s)")
    n = x.shape[axis]
    if counts.size == 1:
        counts = _hesse.broadcast_to(_hesse.reshape(counts, (1,)), (n,))
    if counts.shape != (n,):
        raise _hesse.ArgumentError(
            f"repeat: repeats has shape {counts.shape}; expected (), or ({n},) with a number per entry along axis {axis}"
        )
    if total_repeat_length is None:
        if counts.is_symbol:
            raise _hesse.TraceError(
                f"repeat: repeats is a symbol, {counts.dtype}{list(counts.shape)}, and the shape of the result would "
                "depend on its values; give total_repeat_length"
            )
        if bool(_hesse.any(counts < 0)):
            raise _hesse.ArgumentError(f"repeat: repeats holds {int(_hesse.min(counts))}; expected 0 or more")
        total_repeat_length = int(_hesse.sum(_hesse.astype(counts, _hesse.int64)))
    if total_repeat_length < 0 or (n == 0 and total_repeat_length > 0):
        raise _hesse.ArgumentError(
            f"repeat: total_repeat_length is {total_repeat_length} for an axis of length {n}; expected 0 or more, and 0 "
            "for an empty axis"
        )
    rows = _hesse.searchsorted(
        _hesse.cumsum(_hesse.astype(counts, _hesse.int64)), _hesse.arange(total_repeat_length), side="right"
    )
    return _hesse.take(x, _hesse.minimum(rows, n - 1), axis=axis)


class UniqueAllResult(NamedTuple):
    """Distinct values, the index of the first of each, the index of the value of each entry, and counts."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    """Distinct values and how often each occurs."""

    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    """Distinct values and, for each entry, the index of its value."""

    values: Array
    inverse_indices: Array


def _distinct(function: str, x: Any) -> UniqueAllResult:
    x = _hesse.asarray(x)
    if x.is_symbol:
        raise _hesse.TraceError(
            f"{function}: x is a symbol, {x.dtype}{list(x.shape)}, and the shape of the result would depend on its values; "
            "call it outside the traced function, or use sort"
        )
    values, indices, inverse, counts = _hesse._unique(x)
    return UniqueAllResult(values, indices, _hesse.reshape(inverse, x.shape), counts)


def unique(
    x: Any,
    /,
    *,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> Any:
    """Distinct values in ascending order. Not under a trace.

    Parameters
    ----------
    x : array
    return_index, return_inverse, return_counts : bool
        Whether to return also, in this order, the index of the first of each value in the flattened array, the index of
        the value of each entry, in the shape of x, and how often each value occurs.

    Returns
    -------
    array, or tuple of arrays where more than the values was asked for

    Examples
    --------
    >>> import hesse as hs
    >>> hs.unique(hs.array([3, 1, 3]))
    Array([1, 3], dtype=int64)
    """
    found = _distinct("unique", x)
    wanted = (True, return_index, return_inverse, return_counts)
    chosen = tuple(part for part, want in zip(found, wanted, strict=True) if want)
    return chosen if len(chosen) > 1 else chosen[0]


def unique_all(x: Any, /) -> UniqueAllResult:
    """Distinct values in ascending order, with indices, inverse and counts. Not under a trace.

    Parameters
    ----------
    x : array
        Any shape.

    Returns
    -------
    UniqueAllResult
        ``values``, ``indices`` (of the first of each), ``inverse_indices`` (in the shape of x), ``counts``.

    Raises
    ------
    TypeError
        Under a trace: the shape would depend on values.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.unique_all(hs.array([3, 1, 3])).counts
    Array([1, 2], dtype=int64)
    """
    return _distinct("unique_all", x)


def unique_counts(x: Any, /) -> UniqueCountsResult:
    """Distinct values in ascending order and how often each occurs. Not under a trace.

    Parameters
    ----------
    x : array
        Any shape.

    Returns
    -------
    UniqueCountsResult
        ``values`` and ``counts``.

    Raises
    ------
    TypeError
        Under a trace: the shape would depend on values.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.unique_counts(hs.array([3, 1, 3])).values
    Array([1, 3], dtype=int64)
    """
    values, _, _, counts = _distinct("unique_counts", x)
    return UniqueCountsResult(values, counts)


def unique_inverse(x: Any, /) -> UniqueInverseResult:
    """Distinct values in ascending order and, for each entry, the index of its value. Not under a trace.

    Parameters
    ----------
    x : array
        Any shape.

    Returns
    -------
    UniqueInverseResult
        ``values`` and ``inverse_indices`` (in the shape of x).

    Raises
    ------
    TypeError
        Under a trace: the shape would depend on values.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.unique_inverse(hs.array([3, 1, 3])).inverse_indices
    Array([1, 0, 1], dtype=int64)
    """
    values, _, inverse, _ = _distinct("unique_inverse", x)
    return UniqueInverseResult(values, inverse)


def unique_values(x: Any, /) -> Array:
    """Distinct values in ascending order. Not under a trace.

    Parameters
    ----------
    x : array
        Any shape.

    Returns
    -------
    Array, (n,)

    Raises
    ------
    TypeError
        Under a trace: the shape would depend on values.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.unique_values(hs.array([3, 1, 3]))
    Array([1, 3], dtype=int64)
    """
    return _distinct("unique_values", x).values


def isclose(x1: Any, x2: Any, /, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether entries differ by at most ``atol + rtol * abs(x2)``.

    Parameters
    ----------
    x1, x2 : array
        They broadcast.
    rtol, atol : float
    equal_nan : bool
        Whether NaN is close to NaN.

    Returns
    -------
    Array of bool

    Examples
    --------
    >>> import hesse as hs
    >>> hs.isclose(hs.array([1.0, 2.0]), hs.array([1.0, 2.1]))
    Array([ True, False], dtype=bool)
    """
    x1, x2 = _hesse.asarray(x1), _hesse.asarray(x2)
    near = _hesse.less_equal(abs(x1 - x2), atol + rtol * abs(x2)) & _hesse.isfinite(x2)
    near = near | _hesse.equal(x1, x2)
    return near | (_hesse.isnan(x1) & _hesse.isnan(x2)) if equal_nan else near


def allclose(
    x1: Any, x2: Any, /, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Array:
    """Whether all entries are close; see `isclose`.

    Parameters
    ----------
    x1, x2 : array
        They broadcast.
    rtol, atol : float
    equal_nan : bool
        Whether NaN is close to NaN.

    Returns
    -------
    Array of bool, scalar

    Examples
    --------
    >>> import hesse as hs
    >>> hs.allclose(hs.array([1.0, 2.0]), hs.array([1.0, 2.0 + 1e-9]))
    Array(True, dtype=bool)
    """
    return _hesse.all(isclose(x1, x2, rtol=rtol, atol=atol, equal_nan=equal_nan))


def array_equal(x1: Any, x2: Any, /) -> bool:
    """Whether shapes and all entries are equal.

    Parameters
    ----------
    x1, x2 : array

    Returns
    -------
    bool

    Examples
    --------
    >>> import hesse as hs
    >>> hs.array_equal(hs.array([1, 2]), hs.array([1, 2])), hs.array_equal(hs.array([1]), hs.array([1, 1]))
    (True, False)
    """
    x1, x2 = _hesse.asarray(x1), _hesse.asarray(x2)
    return x1.shape == x2.shape and bool(_hesse.all(_hesse.equal(x1, x2)))
