"""Cells of meshes, as arrays of their corners."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _hesse

_Numbers = np.ndarray[Any, Any]


def as_corners(function: str, cells: _Numbers, num_points: int, kind: str = "") -> _Numbers:
    """Cells [M, corners] as int64; an error where a corner is no point. `kind` says which cells these are."""
    if cells.dtype.kind not in "iu":
        raise _hesse.ArgumentTypeError(
            f"{function}: cells must hold integers, got {cells.dtype}; convert with astype(int)"
        )
    bad = np.flatnonzero(((cells < 0) | (cells >= num_points)).any(axis=1))
    if bad.size:
        raise _hesse.OutOfRangeError(
            f"{function}: cell {bad[0]}{kind} has the corners {cells[bad[0]].tolist()}, but points are 0 to "
            f"{num_points - 1}; {len(bad)} cell(s) are out of range"
        )
    return cells.astype(np.int64)
