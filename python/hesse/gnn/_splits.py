"""Splits of data in training, validation and test, weights of classes, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..random import permutation
from ._graph import numpy_of

__all__ = ["EarlyStopping", "class_weights", "random_split", "stratified_split"]


def _fractions(function: str, fractions: Sequence[float]) -> np.ndarray[Any, Any]:
    f = np.asarray(fractions, float)
    if f.ndim != 1 or f.size == 0 or not (f >= 0).all() or not f.sum() <= 1.0 + 1e-9:
        raise _hesse.ArgumentError(
            f"{function}: fractions must not be negative and sum to at most 1, got {fractions!r}"
        )
    return f


def _parts(order: np.ndarray[Any, Any], f: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Cuts a permutation where the fractions say, so that no two parts overlap and nothing is lost."""
    ends = np.round(np.cumsum(f) * len(order) + 1e-9).astype(int)
    return [order[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def random_split(key: Any, n: int, fractions: Sequence[float] = (0.8, 0.1, 0.1)) -> list[Array]:
    """The integers below n, cut at random into parts.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same split.
    n : int
    fractions : sequence of float
        Of n, for every part; what is missing to 1 is in no part.

    Returns
    -------
    list of Array
        int64, sorted.

    Raises
    ------
    ValueError
        For fractions that are negative or sum to more than 1.

    Examples
    --------
    >>> import hesse as hs
    >>> train, val, test = hs.gnn.random_split(hs.random.key(0), 10)
    >>> train.shape, val.shape, test.shape
    ((8,), (1,), (1,))
    """
    f = _fractions("random_split", fractions)
    order = numpy_of("random_split", "key", permutation(key, n))
    return [_hesse.asarray(np.sort(part).astype(np.int64)) for part in _parts(order, f)]


def stratified_split(key: Any, labels: Any, fractions: Sequence[float] = (0.8, 0.1, 0.1)) -> list[Array]:
    """A split that cuts every class in the same proportions, up to rounding.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same split.
    labels : array of integers, (N,)
        Rows with a negative label are in no part.
    fractions : sequence of float
        As for `random_split`.

    Returns
    -------
    list of Array
        int64 positions, sorted.

    Raises
    ------
    ValueError
        For fractions that are negative or sum to more than 1, and labels that are no vector of integers.

    Examples
    --------
    >>> import hesse as hs
    >>> labels = hs.array([0, 1] * 10)
    >>> train, test = hs.gnn.stratified_split(hs.random.key(0), labels, (0.5, 0.5))
    >>> int(hs.sum(labels[train])), int(hs.sum(labels[test]))
    (5, 5)
    """
    f = _fractions("stratified_split", fractions)
    y = numpy_of("stratified_split", "labels", labels)
    if y.ndim != 1 or y.dtype.kind not in "iub":
        raise _hesse.ArgumentError(
            f"stratified_split: labels must be a vector of integers, got {y.dtype} {y.shape}"
        )
    order = numpy_of("stratified_split", "key", permutation(key, len(y)))
    parts: list[list[np.ndarray[Any, Any]]] = [[] for _ in f]
    for label in np.unique(y[y >= 0]) if y.dtype.kind == "i" else np.unique(y):
        for into, part in zip(parts, _parts(order[y[order] == label], f), strict=True):
            into.append(part)
    return [_hesse.asarray(np.sort(np.concatenate(p) if p else np.zeros(0)).astype(np.int64)) for p in parts]


def class_weights(labels: Any, mask: Any = None, *, num_classes: int | None = None) -> Array:
    """N / (C n_c) for the C classes: rows weighted so count every class alike, however rare it is.

    Parameters
    ----------
    labels : array of integers, (N,)
        Rows with a negative label do not count.
    mask : array of booleans, (N,), optional
        Which rows count.
    num_classes : int, optional
        C; by default the largest label plus one.

    Returns
    -------
    Array
        float64 (C,), 0 for a class without rows, which does not count in C either. Their sum over the rows is N.

    Raises
    ------
    ValueError
        For labels that are no vector of integers, or not below `num_classes`; and where no row counts.

    Examples
    --------
    >>> import hesse as hs
    >>> labels = hs.array([0, 0, 0, 1])
    >>> weights = hs.gnn.class_weights(labels)
    >>> weights
    Array([0.66666667, 2.        ], dtype=float64)
    >>> logits = hs.zeros((4, 2))
    >>> hs.nn.softmax_cross_entropy(logits, labels, weights=weights[labels])
    Array(0.69314718, dtype=float64)
    """
    y = numpy_of("class_weights", "labels", labels)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise _hesse.ArgumentError(
            f"class_weights: labels must be a vector of integers, got {y.dtype} {y.shape}"
        )
    if mask is not None:
        chosen = numpy_of("class_weights", "mask", mask)
        if chosen.shape != y.shape:
            raise _hesse.ArgumentError(
                f"class_weights: mask must have one entry per row, {y.shape}, got {chosen.shape}"
            )
        y = y[chosen.astype(bool)]
    y = y[y >= 0]
    if y.size == 0:
        raise _hesse.ArgumentError("class_weights: there are no rows")
    if num_classes is not None and y.max() >= num_classes:
        raise _hesse.ArgumentError(
            f"class_weights: label {int(y.max())} is not below num_classes={num_classes}"
        )
    count = np.bincount(y, minlength=num_classes or 0)
    weights = np.zeros(len(count))
    there = count > 0
    weights[there] = len(y) / (there.sum() * count[there])
    return _hesse.asarray(weights)


class EarlyStopping:
    """Remembers the best model by a number of every epoch, and says when it has not got better for a while.

    Parameters
    ----------
    patience : int
        How many epochs without improvement are waited for.
    largest : bool
        Whether larger numbers are better (an accuracy) or smaller ones (a loss).
    least_change : float
        By how much a number must be better to count.

    Attributes
    ----------
    best : float
        The best number, and with it `epoch` (counted from 0) and `model`.

    Raises
    ------
    ValueError
        For a patience below 1, or a negative `least_change`.

    Examples
    --------
    >>> import hesse as hs
    >>> stopping = hs.gnn.EarlyStopping(patience=2)
    >>> [stopping.stop(loss, f"model {k}") for k, loss in enumerate([3.0, 1.0, 2.0, 1.5])]
    [False, False, False, True]
    >>> stopping.best, stopping.epoch, stopping.model
    (1.0, 1, 'model 1')
    """

    def __init__(self, patience: int, *, largest: bool = False, least_change: float = 0.0) -> None:
        if not isinstance(patience, int) or patience < 1:
            raise _hesse.ArgumentError(
                f"EarlyStopping: patience must be a positive integer, got {patience!r}"
            )
        if not least_change >= 0.0:
            raise _hesse.ArgumentError(
                f"EarlyStopping: least_change must not be negative, got {least_change}"
            )
        self.patience, self.largest, self.least_change = patience, largest, least_change
        self.best = -math.inf if largest else math.inf
        self.epoch = -1
        self.model: Any = None
        self._epochs = 0

    def stop(self, value: Any, model: Any) -> bool:
        """Takes the number and the model of an epoch; whether to stop. NaN is never an improvement."""
        value = float(value)
        change = value - self.best if self.largest else self.best - value
        if change > self.least_change:
            self.best, self.epoch, self.model = value, self._epochs, model
        self._epochs += 1
        return self._epochs - 1 - self.epoch >= self.patience
