"""How good predictions are: numbers from data, computed outside of derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _hesse
from ._graph import numpy_of

__all__ = ["accuracy", "f1_score", "mean_absolute_error", "roc_auc", "root_mean_square_error"]

Data = np.ndarray[Any, Any]


def _mask(function: str, mask: Any, rows: int) -> Data:
    if mask is None:
        return np.ones(rows, bool)
    chosen = numpy_of(function, "mask", mask)
    if chosen.shape != (rows,):
        raise _hesse.ArgumentError(
            f"{function}: mask must have one entry per row, ({rows},), got {chosen.shape}"
        )
    return chosen.astype(bool)


def _classes(function: str, predicted: Any, labels: Any, mask: Any) -> tuple[Data, Data]:
    """Predicted and true classes of the rows in the mask."""
    p, y = numpy_of(function, "predicted", predicted), numpy_of(function, "labels", labels)
    if y.ndim != 1 or y.dtype.kind not in "iub":
        raise _hesse.ArgumentError(
            f"{function}: labels must be a vector of integers, got {y.dtype} {y.shape}"
        )
    if p.shape[:1] != y.shape or p.ndim not in (1, 2) or p.shape[1:] == (0,):
        raise _hesse.ArgumentError(
            f"{function}: predicted must be [{len(y)}] classes or [{len(y)}, C] scores, got shape {p.shape}"
        )
    if p.ndim == 1 and p.dtype.kind not in "iub":
        raise _hesse.ArgumentTypeError(
            f"{function}: a vector must hold classes, got {p.dtype}; compare probabilities with a threshold first"
        )
    if p.dtype.kind not in "biuf":
        raise _hesse.ArgumentTypeError(f"{function}: scores must be real numbers, got {p.dtype}")
    keep = _mask(function, mask, len(y))
    if not keep.any():
        raise _hesse.ArgumentError(f"{function}: there are no rows")
    if p.ndim == 2:
        bad = np.argwhere(np.isnan(p) & keep[:, None])  # argmax would choose it
        if len(bad):
            raise _hesse.ArgumentError(
                f"{function}: score {bad[0].tolist()} is NaN; leave such rows out with mask"
            )
        p = p.argmax(axis=1)
    return p[keep].astype(np.int64), y[keep].astype(np.int64)


def accuracy(predicted: Any, labels: Any, mask: Any = None) -> float:
    """The fraction of rows whose class is right.

    Parameters
    ----------
    predicted : array, (N,) or (N, C)
        Classes, or scores of which the largest is the class.
    labels : array of integers, (N,)
    mask : array of booleans, (N,), optional
        Which rows count.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For shapes that do not fit, a NaN among the scores of rows that count, or where no row counts.
    TypeError
        For a vector that is not of integers or booleans, and scores that are no real numbers.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.accuracy([0, 1, 1, 0], [0, 1, 0, 0])
    0.75
    """
    p, y = _classes("accuracy", predicted, labels, mask)
    return float((p == y).mean())


def f1_score(predicted: Any, labels: Any, mask: Any = None, average: str = "macro") -> float:
    """2 TP / (2 TP + FP + FN), over the classes of the labels and predictions; 0 for a class never right.

    Parameters
    ----------
    predicted : array, (N,) or (N, C)
        Classes, or scores of which the largest is the class.
    labels : array of integers, (N,)
    mask : array of booleans, (N,), optional
        Which rows count.
    average : str
        "macro": the mean over classes; "micro": of all counts together, which is the accuracy; "binary": of the
        class 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For shapes that do not fit, a NaN among the scores of rows that count, or where no row counts.
    TypeError
        For a vector that is not of integers or booleans, and scores that are no real numbers.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.f1_score([0, 1, 1, 0], [0, 1, 0, 0], average="binary")
    0.6666666666666666
    """
    if average not in ("macro", "micro", "binary"):
        raise _hesse.ArgumentError(f"f1_score: average must be 'macro', 'micro' or 'binary', got {average!r}")
    p, y = _classes("f1_score", predicted, labels, mask)
    classes = np.array([1]) if average == "binary" else np.union1d(p, y)
    right = np.array([((p == c) & (y == c)).sum() for c in classes])
    either = np.array([(p == c).sum() + (y == c).sum() for c in classes])
    if average == "micro":
        return float(2 * right.sum() / either.sum())
    return float(np.divide(2.0 * right, either, out=np.zeros(len(classes)), where=either > 0).mean())


def binary_scores(function: str, scores: Any, labels: Any, mask: Any) -> tuple[Data, Data]:
    """The scores and labels of the rows in the mask, checked: real numbers, 0 or 1."""
    s, y = numpy_of(function, "scores", scores), numpy_of(function, "labels", labels)
    if s.ndim != 1 or s.shape != y.shape:
        raise _hesse.ArgumentError(
            f"{function}: scores and labels must be vectors of one length, got {s.shape} and {y.shape}"
        )
    if s.dtype.kind not in "biuf":
        raise _hesse.ArgumentTypeError(f"{function}: scores must be real numbers, got {s.dtype}")
    keep = _mask(function, mask, len(y))
    s, y = s[keep].astype(float), y[keep]
    if not np.isin(y, (0, 1)).all():
        raise _hesse.ArgumentError(f"{function}: labels must be 0 or 1")
    if np.isnan(s).any():
        row = int(np.flatnonzero(keep)[np.isnan(s)][0])
        raise _hesse.ArgumentError(f"{function}: score {row} is NaN; leave such rows out with mask")
    return s, y


def roc_auc(scores: Any, labels: Any, mask: Any = None) -> float:
    """The probability that a row of class 1 has a higher score than one of class 0, ties counting half.

    Parameters
    ----------
    scores : array, (N,)
    labels : array of 0 and 1, (N,)
    mask : array of booleans, (N,), optional
        Which rows count.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For shapes that do not fit, labels other than 0 and 1, a NaN among the scores, or a class without rows.

    References
    ----------
    Hanley and McNeil, Radiology 143 (1982) 29: the area under the receiver operating characteristic curve.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    s, y = binary_scores("roc_auc", scores, labels, mask)
    positive = int((y == 1).sum())
    negative = len(y) - positive
    if positive == 0 or negative == 0:
        raise _hesse.ArgumentError(
            f"roc_auc: both classes need rows, got {positive} of class 1 and {negative} of class 0"
        )
    # Mann-Whitney: the mean of the ranks of class 1, equal scores sharing theirs.
    _, inverse, counts = np.unique(s, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    return float((ranks[y == 1].sum() - positive * (positive + 1) / 2.0) / (positive * negative))


def _errors(function: str, predicted: Any, targets: Any, mask: Any) -> Data:
    p, y = numpy_of(function, "predicted", predicted), numpy_of(function, "targets", targets)
    if p.shape != y.shape:
        raise _hesse.ArgumentError(
            f"{function}: predicted and targets must have the same shape, got {p.shape} and {y.shape}"
        )
    if p.dtype.kind not in "biuf" or y.dtype.kind not in "biuf":
        raise _hesse.ArgumentTypeError(f"{function}: needs real numbers, got {p.dtype} and {y.dtype}")
    error = p.astype(float) - y
    if mask is not None:
        error = error[_mask(function, mask, error.shape[0] if error.ndim else 0)]
    if error.size == 0:
        raise _hesse.ArgumentError(f"{function}: there are no rows")
    return np.asarray(error)


def mean_absolute_error(predicted: Any, targets: Any, mask: Any = None) -> float:
    """The mean of |predicted - target| over all entries.

    Parameters
    ----------
    predicted, targets : array, (N, ...)
        Of the same shape.
    mask : array of booleans, (N,), optional
        Which rows count.

    Returns
    -------
    float
        NaN where an entry that counts is NaN.

    Raises
    ------
    ValueError
        For shapes that differ, or where no row counts.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.mean_absolute_error([1.0, 2.0], [0.0, 4.0])
    1.5
    """
    return float(np.abs(_errors("mean_absolute_error", predicted, targets, mask)).mean())


def root_mean_square_error(predicted: Any, targets: Any, mask: Any = None) -> float:
    """The root of the mean of (predicted - target)^2 over all entries.

    Parameters
    ----------
    predicted, targets : array, (N, ...)
        Of the same shape.
    mask : array of booleans, (N,), optional
        Which rows count.

    Returns
    -------
    float
        NaN where an entry that counts is NaN.

    Raises
    ------
    ValueError
        For shapes that differ, or where no row counts.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.root_mean_square_error([1.0, 2.0], [0.0, 2.0])
    0.7071067811865476
    """
    return float(np.sqrt((_errors("root_mean_square_error", predicted, targets, mask) ** 2).mean()))
