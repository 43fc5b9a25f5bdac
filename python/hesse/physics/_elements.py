"""Finite elements: the matrices of a mesh."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _hesse
from .._cells import as_corners
from .._hesse import Array
from ..linalg import det, inv, solve
from ..sparse import CSR, coo

__all__ = ["linear_elements"]

_Numbers = np.ndarray[Any, Any]


def linear_elements(
    points: Any, cells: Any, *, density: Any = 1.0, conductivity: Any = 1.0
) -> tuple[CSR, CSR]:
    """The mass and the stiffness matrix of linear finite elements on lines, triangles or tetrahedra.

    Function v_i is 1 at point i, 0 at all others, and linear in every cell. With the density r and the conductivity k
    the matrices are::

        M_ij = integral of r v_i v_j,    K_ij = integral of k grad v_i . grad v_j

    so that u = sum of u_i v_i solves r u_t = div(k grad u) + r f with M u' + K u = M f, where nothing flows through the
    boundary; rows of points with given values are replaced. Those of the cells of a boundary are integrals over it. The
    sums of the rows of M are the shares of the points in the volume ("lumped" masses); K is the Laplacian of cotangents
    where cells are triangles. Errors are of second order in the size of cells.

    Parameters
    ----------
    points : array, (N, D)
    cells : array of integers, (M, d + 1)
        The corners of lines, triangles or tetrahedra, d = 1, 2, 3, in any order. d may be less than D, for a surface or a
        boundary. A point of no cell has empty rows. They hold data.
    density, conductivity : scalar or array, (M,)
        The same in all cells, or for every cell.

    Returns
    -------
    mass, stiffness : CSR
        [N, N], symmetric, with the same pattern, in the dtype of the points. They are differentiable by points, density
        and conductivity.

    Raises
    ------
    ValueError
        For shapes that do not fit, points that are not finite, and a cell without volume.
    IndexError
        For a corner that is no point.
    TypeError
        For points that are not real, and cells that hold no integers.
    hesse.TraceError
        For cells whose values are not known, under `hs.compile` and `hs.vmap`.

    References
    ----------
    Strang and Fix, An Analysis of the Finite Element Method (1973), chapters 1 and 2.

    Examples
    --------
    -u'' = 1 on the unit interval with u = 0 at both ends:

    >>> import hesse as hs
    >>> mass, stiffness = hs.physics.linear_elements([[0.0], [0.25], [0.5], [1.0]], [[0, 1], [1, 2], [2, 3]])
    >>> load = mass @ hs.ones(4)
    >>> hs.linalg.solve(stiffness.todense()[1:-1, 1:-1], load[1:-1])  # x (1 - x) / 2
    Array([0.09375, 0.125  ], dtype=float64)
    """
    p = _hesse.asarray(points)
    c = _checked(p, cells)
    count, d = len(c), c.shape[1] - 1
    if p.dtype not in (_hesse.float32, _hesse.float64):
        p = _hesse.astype(p, _hesse.float64)
    corners = _hesse.reshape(_hesse.gather(p, c.ravel()), (count, d + 1, p.shape[1]))
    sides = corners[:, 1:] - corners[:, :1]
    # Coordinate k of a cell, k = 1, ..., d, grows by 1 along side k and not along the others: sides @ slopes = 1.
    if d == p.shape[1]:
        volume = _hesse.abs(det(sides)) / math.factorial(d)
        _refuse_flat(volume, sides)
        slopes = inv(sides)
    else:
        squares = sides @ _hesse.matrix_transpose(sides)
        volume = _hesse.sqrt(det(squares)) / math.factorial(d)
        _refuse_flat(volume, sides)
        slopes = _hesse.matrix_transpose(solve(squares, sides))
    slopes = _hesse.concat([-_hesse.sum(slopes, axis=2, keepdims=True), slopes], axis=2)  # of v_0, ..., v_d
    of_mass = (1.0 + np.eye(d + 1)) / ((d + 1) * (d + 2))
    weights = [
        volume * _per_cell(n, v, count, p) for n, v in (("density", density), ("conductivity", conductivity))
    ]
    parts = _hesse.asarray(of_mass, dtype=p.dtype), _hesse.matrix_transpose(slopes) @ slopes
    row, col = np.repeat(c, d + 1, axis=1).ravel(), np.tile(c, d + 1).ravel()
    mass, stiffness = (
        coo(_hesse.reshape(w[:, None, None] * part, (-1,)), row, col, (p.shape[0],) * 2)
        for w, part in zip(weights, parts, strict=True)
    )
    return mass, stiffness


def _checked(p: Array, cells: Any) -> _Numbers:
    """The cells as int64, [M, d + 1]."""
    if p.ndim != 2 or p.shape[1] == 0:
        raise _hesse.ArgumentError(f"linear_elements: points must be [N, D], got shape {p.shape}")
    if np.dtype(str(p.dtype)).kind not in "iuf":
        raise _hesse.ArgumentTypeError(f"linear_elements: points must hold real numbers, got {p.dtype}")
    if isinstance(cells, Array) and cells.is_symbol:
        raise _hesse.TraceError(
            "linear_elements: cells must hold data: make the matrices outside of compile and vmap"
        )
    c = np.asarray(cells)
    n, dimensions = p.shape
    if c.ndim != 2 or not 2 <= c.shape[1] <= dimensions + 1:
        raise _hesse.ArgumentError(
            f"linear_elements: cells must be [M, d + 1] with 1 <= d <= {dimensions}, the dimension of the points, got shape "
            f"{c.shape}"
        )
    return as_corners("linear_elements", c, n)


def _refuse_flat(volume: Array, sides: Array) -> None:
    """Cells without volume, and points that are not finite, where their values are known."""
    if volume.is_symbol:
        return
    d = sides.shape[1]
    longest = _hesse.sqrt(_hesse.max(_hesse.sum(sides**2, axis=2), axis=1)) if len(volume) else volume
    v, size = (np.asarray(_hesse.stop_gradient(a), float) for a in (volume, longest**d))
    flat = np.flatnonzero(~(v > 1e-14 * size))
    if flat.size:
        raise _hesse.ArgumentError(
            f"linear_elements: cell {flat[0]} has the volume {v[flat[0]]:.3g}; {flat.size} cell(s) are flat, have a corner "
            "twice or points that are not finite"
        )


def _per_cell(name: str, value: Any, count: int, p: Array) -> Array:
    a = _hesse.astype(_hesse.asarray(value), p.dtype)
    if a.shape not in ((), (count,)):
        raise _hesse.ArgumentError(
            f"linear_elements: {name} must be a number or [{count}], one for every cell, got shape {a.shape}"
        )
    return a
