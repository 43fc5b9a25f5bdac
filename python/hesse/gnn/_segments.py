"""Reductions over the incoming edges of nodes, and over the nodes of graphs: the one place that names segment ops.

Ids are sorted in ascending order wherever this package calls these. Empty segments: 0, except for `total_max`
inside of `softmax`, which no entry reads.
"""

from __future__ import annotations

from typing import Any

from .. import _hesse
from .._hesse import Array

__all__ = ["counts", "maximum", "mean", "minimum", "over", "rows", "softmax", "std", "total", "weighted_sum"]


def rows(x: Array, index: Array) -> Array:
    """x[index], row by row."""
    return _hesse.gather(x, index)


def total(x: Array, ids: Array, n: int) -> Array:
    """Sums, [n, ...]."""
    return _hesse.segment_sum(x, ids, n)


def over(values: Array, like: Array) -> Array:
    """One number per row, with axes of length 1 added to broadcast against `like`."""
    return _hesse.reshape(values, values.shape + (1,) * (like.ndim - values.ndim))


def counts(starts: Array, dtype: Any) -> Array:
    """The lengths of segments from where they start, [n]."""
    return _hesse.astype(starts[1:] - starts[:-1], dtype)


def mean(x: Array, ids: Array, starts: Array) -> Array:
    """Means, [n, ...]; 0 for an empty segment."""
    return _hesse.segment_mean(x, ids, starts.shape[0] - 1)


def maximum(x: Array, ids: Array, starts: Array) -> Array:
    """Largest entries, [n, ...]; 0 for an empty segment."""
    largest = _hesse.segment_max(x, ids, starts.shape[0] - 1)
    return _hesse.where(over(starts[1:] > starts[:-1], largest), largest, 0)


def minimum(x: Array, ids: Array, starts: Array) -> Array:
    """Least entries, [n, ...]; 0 for an empty segment."""
    least = _hesse.segment_min(x, ids, starts.shape[0] - 1)
    return _hesse.where(over(starts[1:] > starts[:-1], least), least, 0)


def std(x: Array, ids: Array, starts: Array, least: float = 1e-5) -> Array:
    """The root of E[x^2] - E[x]^2, and 0 where that is at most `least` (its derivative has no bound there)."""
    variance = mean(x * x, ids, starts) - mean(x, ids, starts) ** 2
    return _hesse.where(variance > least, _hesse.sqrt(_hesse.maximum(variance, least)), 0)


def softmax(logits: Array, ids: Array, n: int, own: Array | None = None) -> tuple[Array, Array | None]:
    """exp(l - m) / sum exp(l - m) within every segment, m its largest entry.

    `own` [n, ...] has one entry more per segment that is not in `logits` (the node itself): its share is the
    second result.
    """
    if own is None:
        return _hesse.segment_softmax(logits, ids, n), None
    largest = _hesse.segment_max(_hesse.stop_gradient(logits), ids, n)
    largest = _hesse.maximum(largest, _hesse.stop_gradient(own))
    shares = _hesse.exp(logits - rows(largest, ids))
    own = _hesse.exp(own - largest)
    sums = total(shares, ids, n) + own
    return shares / rows(sums, ids), own / sums


def weighted_sum(values: Array, x: Array, graph: Any) -> Array:
    """sum_j a_ij x_j over the incoming edges of i: a [E] with x [N, ...], or a [E, H] with x [N, H, C]."""
    n = graph.num_nodes
    if values.ndim == 1:
        y = graph.adjacency(values) @ _hesse.reshape(x, (x.shape[0], _size(x.shape[1:])))
        return _hesse.reshape(y, (n, *x.shape[1:]))
    heads: Array = graph.adjacency(values) @ x
    return heads


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size
