"""Losses: scalars from predictions and targets. The formulas are in core/nn/losses.h."""

from __future__ import annotations

from typing import Any

from .. import _hesse
from .._hesse import Array
from .._hesse import nn as _nn

__all__ = ["binary_cross_entropy_with_logits", "softmax_cross_entropy"]


def softmax_cross_entropy(logits: Any, labels: Any, weights: Any = None) -> Array:
    """The mean of -log softmax(logits)[label].

    Parameters
    ----------
    logits : array, (..., C)
    labels : array of integers, (...), or of probabilities, (..., C)
        Integers below C; with probabilities p the loss of a row is -sum p log softmax(logits).
    weights : array, (...), optional
        Weights of the rows, or a mask of booleans: the mean is sum w loss / sum w. What a row of weight 0 holds
        does not matter: its label may be -1.

    Returns
    -------
    Array, scalar

    Raises
    ------
    ValueError
        For shapes that do not fit.
    IndexError
        For a label that is not below C, in a row whose weight is not 0.

    Notes
    -----
    NaN where all weights are 0.

    Examples
    --------
    >>> import hesse as hs
    >>> logits = hs.array([[2.0, 0.0], [0.0, 0.0]])
    >>> hs.nn.softmax_cross_entropy(logits, [0, 1])
    Array(0.4100376, dtype=float64)
    >>> hs.nn.softmax_cross_entropy(logits, [0, -1], weights=[True, False])
    Array(0.12692801, dtype=float64)
    """
    return _nn.softmax_cross_entropy(
        _hesse.asarray(logits),
        _hesse.asarray(labels),
        None if weights is None else _hesse.asarray(weights),
    )


def binary_cross_entropy_with_logits(logits: Any, targets: Any, weights: Any = None) -> Array:
    """The mean of -t log s(x) - (1 - t) log(1 - s(x)), with s the logistic function.

    Parameters
    ----------
    logits : array
        x, before the logistic function.
    targets : array
        t in [0, 1], of the same shape.
    weights : array, optional
        Of a shape that broadcasts to that of `logits`, or a mask: the mean is sum w loss / sum w.

    Returns
    -------
    Array, scalar

    Raises
    ------
    ValueError
        For shapes that do not fit.

    Notes
    -----
    Computed as softplus(x) - t x, which neither overflows nor loses digits.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.nn.binary_cross_entropy_with_logits([0.0, 3.0], [0, 1])
    Array(0.37086727, dtype=float64)
    """
    return _nn.binary_cross_entropy_with_logits(
        _hesse.asarray(logits),
        _hesse.asarray(targets),
        None if weights is None else _hesse.asarray(weights),
    )
