"""How good predictions are where pairs or rows are ranked: links, retrieval."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _hesse
from ._graph import numpy_of
from ._metrics import binary_scores

__all__ = ["average_precision", "hits_at_k", "mean_reciprocal_rank"]

_Numbers = np.ndarray[Any, Any]


def average_precision(scores: Any, labels: Any, mask: Any = None) -> float:
    """The sum over thresholds of (R_n - R_n-1) P_n, with precision P and recall R of the rows at or above them.

    Parameters
    ----------
    scores : array, (N,)
        Rows of equal scores are above or below a threshold together.
    labels : array of 0 and 1, (N,)
    mask : array of booleans, (N,), optional
        Which rows count.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For shapes that do not fit, labels other than 0 and 1, a NaN among the scores, or no row of class 1.

    References
    ----------
    As `sklearn.metrics.average_precision_score`.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.8333333333333333
    """
    s, y = binary_scores("average_precision", scores, labels, mask)
    if not y.any():
        raise _hesse.ArgumentError("average_precision: there is no row of class 1")
    order = np.argsort(-s, kind="stable")
    s, y = s[order], y[order]
    last = np.flatnonzero(np.append(s[1:] != s[:-1], True))  # of every run of equal scores
    right = np.cumsum(y)[last]
    gained = np.diff(right, prepend=0)
    return float((gained * right / (last + 1)).sum() / right[-1])


def _ranked(function: str, positive: Any, negative: Any) -> tuple[_Numbers, _Numbers]:
    p, n = numpy_of(function, "positive", positive), numpy_of(function, "negative", negative)
    if p.ndim != 1 or n.ndim not in (1, 2) or (n.ndim == 2 and n.shape[0] != len(p)):
        raise _hesse.ArgumentError(
            f"{function}: positive must be [P] scores and negative [M], or [P, M], got shapes {p.shape} and {n.shape}"
        )
    if p.dtype.kind not in "biuf" or n.dtype.kind not in "biuf":
        raise _hesse.ArgumentTypeError(
            f"{function}: scores must be real numbers, got {p.dtype} and {n.dtype}"
        )
    if len(p) == 0:
        raise _hesse.ArgumentError(f"{function}: there are no positive scores")
    for name, a in (("positive", p), ("negative", n)):
        bad = np.argwhere(np.isnan(a.astype(float)))
        if len(bad):
            raise _hesse.ArgumentError(f"{function}: {name} score {bad[0].tolist()} is NaN")
    return p, n


def _above(p: _Numbers, n: _Numbers) -> tuple[_Numbers, _Numbers]:
    """How many negative scores are larger than each positive one, and how many are at least as large."""
    if n.ndim == 2:
        return (n > p[:, None]).sum(axis=1), (n >= p[:, None]).sum(axis=1)
    n = np.sort(n)
    return len(n) - np.searchsorted(n, p, side="right"), len(n) - np.searchsorted(n, p, side="left")


def mean_reciprocal_rank(positive: Any, negative: Any) -> float:
    """The mean of 1 / rank of positive scores among negative ones; 1 is the best rank.

    Parameters
    ----------
    positive : array, (P,)
        Scores of the pairs that are edges.
    negative : array, (P, M) or (M,)
        Scores of the pairs that each is ranked among, or of those that all are.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For shapes that do not fit, no positive scores, or a NaN.

    Notes
    -----
    Among equal scores the rank is the mean of the first and the last place, as in the evaluators of the Open Graph
    Benchmark (Hu et al., arXiv:2005.00687): a model that gives all pairs the same score gains nothing.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.mean_reciprocal_rank([0.9, 0.5], [[0.1, 0.2, 0.3], [0.6, 0.5, 0.1]])
    0.7
    """
    above, level = _above(*_ranked("mean_reciprocal_rank", positive, negative))
    return float((1.0 / (1.0 + 0.5 * (above + level))).mean())


def hits_at_k(positive: Any, negative: Any, k: int) -> float:
    """The fraction of positive scores that are among the k best.

    Parameters
    ----------
    positive : array, (P,)
        Scores of the pairs that are edges.
    negative : array, (M,) or (P, M)
        Scores of pairs that are none: the same for all positive ones, of which each must be larger than the k-th
        largest of these (1 where there are fewer than k); or its own for each, and then the rank, as in
        `mean_reciprocal_rank`, must be at most k.
    k : int

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For shapes that do not fit, no positive scores, a NaN, or a `k` below 1.

    References
    ----------
    Hu, Fey, Zitnik, Dong, Ren, Liu, Catasta and Leskovec, "Open Graph Benchmark", arXiv:2005.00687 (2020): the
    evaluators of ogbl-collab and of ogbl-wikikg2.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.hits_at_k([0.9, 0.5, 0.1], [0.6, 0.5, 0.2], k=2)
    0.3333333333333333
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise _hesse.ArgumentError(f"hits_at_k: k must be a positive integer, got {k!r}")
    p, n = _ranked("hits_at_k", positive, negative)
    above, level = _above(p, n)
    # Larger than the k-th largest: fewer than k are at least as large.
    hit = level < k if n.ndim == 1 else 1.0 + 0.5 * (above + level) <= k
    return float(hit.mean())
