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
    "tensordot",
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
    """Running products along an axis, with a one in front if `include_initial`."""
    return _cumulative(_hesse.cumprod, 1, x, axis, dtype, include_initial)


def tensordot(x1: Any, x2: Any, /, *, axes: int | Sequence[Sequence[int]] = 2) -> Array:
    """Sums of products over the last `axes` axes of x1 and the first of x2, or over pairs of named axes.

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


def unique_all(x: Any, /) -> UniqueAllResult:
    """Distinct values in ascending order, with indices, inverse and counts. Not under a trace.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.unique_all(hs.array([3, 1, 3])).counts
    Array([1, 2], dtype=int64)
    """
    x = _hesse.asarray(x)
    values, indices, inverse, counts = _hesse._unique(x)
    return UniqueAllResult(values, indices, _hesse.reshape(inverse, x.shape), counts)


def unique_counts(x: Any, /) -> UniqueCountsResult:
    """Distinct values in ascending order and how often each occurs. Not under a trace."""
    values, _, _, counts = unique_all(x)
    return UniqueCountsResult(values, counts)


def unique_inverse(x: Any, /) -> UniqueInverseResult:
    """Distinct values in ascending order and, for each entry, the index of its value. Not under a trace."""
    values, _, inverse, _ = unique_all(x)
    return UniqueInverseResult(values, inverse)


def unique_values(x: Any, /) -> Array:
    """Distinct values in ascending order. Not under a trace."""
    return unique_all(x).values


def isclose(x1: Any, x2: Any, /, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether entries differ by at most ``atol + rtol * abs(x2)``."""
    x1, x2 = _hesse.asarray(x1), _hesse.asarray(x2)
    near = _hesse.less_equal(abs(x1 - x2), atol + rtol * abs(x2)) & _hesse.isfinite(x2)
    near = near | _hesse.equal(x1, x2)
    return near | (_hesse.isnan(x1) & _hesse.isnan(x2)) if equal_nan else near


def allclose(
    x1: Any, x2: Any, /, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Array:
    """Whether all entries are close; see `isclose`."""
    return _hesse.all(isclose(x1, x2, rtol=rtol, atol=atol, equal_nan=equal_nan))


def array_equal(x1: Any, x2: Any, /) -> bool:
    """Whether shapes and all entries are equal."""
    x1, x2 = _hesse.asarray(x1), _hesse.asarray(x2)
    return x1.shape == x2.shape and bool(_hesse.all(_hesse.equal(x1, x2)))
