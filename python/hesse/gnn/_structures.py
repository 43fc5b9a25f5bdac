"""Graphs of atomic structures, as files have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import tree_map
from ..io import Structure
from ._graph import Graph, numpy_of
from ._neighbours import radius_graph

__all__ = ["from_structures"]


def from_structures(
    structures: Sequence[Structure], cutoff: float, y: Any = None, *, pairs: bool = False, dtype: Any = None
) -> list[Graph]:
    """A graph for every atomic structure, in which atoms within a cutoff are joined: the `radius_graph` of each.

    Parameters
    ----------
    structures : sequence of Structure
        Such as `hs.io.load_extxyz` or `hs.io.load_structures` returns.
    cutoff : float
        In the unit of the positions.
    y : array, (structures, ...), optional
        Targets; every graph gets its row, (1, ...). Total energies are far from zero: take off those of the atoms, or
        the mean, in float64 before `dtype` rounds them.
    pairs : bool
        As for `radius_graph`.
    dtype : optional
        Of positions, cells, and what else is real; float64 unless `hs.set_default_dtype` says otherwise. Neighbours are
        found in float64.

    Returns
    -------
    list of Graph
        With ``pos``, atomic numbers ``node_data["z"]``, and in ``node_data`` the structure's `arrays` of numbers, such as
        "forces", by their names; what is periodic as `radius_graph` has it. What is in `info` is not taken.

    Raises
    ------
    ValueError
        For `y` of another length, an array that is named "z", and what `radius_graph` refuses.
    TypeError
        For what is no sequence of structures.

    Examples
    --------
    >>> import hesse as hs, numpy as np
    >>> z, x, f = np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]]), np.zeros((2, 3))
    >>> h2 = hs.io.Structure(z, x, arrays={"forces": f}, info={"energy": -31.7})
    >>> hs.gnn.from_structures([h2], 5.0, y=[h2.info["energy"] + 31.0], pairs=True)
    [Graph(2 nodes, 1 pairs, pos=float64[2,3], y=float64[1], forces=float64[2,3], z=int64[2])]
    """
    if isinstance(structures, Structure):
        raise _hesse.ArgumentTypeError("from_structures: structures is one Structure; give a list of them")
    rows = list(structures)
    targets = None if y is None else numpy_of("from_structures", "y", y)
    if targets is not None and (targets.ndim == 0 or len(targets) != len(rows)):
        raise _hesse.ArgumentError(
            f"from_structures: y must have a row for each of {len(rows)} structures, got shape {targets.shape}"
        )
    kind = _hesse.zeros(0, dtype=dtype).dtype
    graphs = []
    for k, s in enumerate(rows):
        if not isinstance(s, Structure):
            raise _hesse.ArgumentTypeError(
                f"from_structures: item {k} is a {type(s).__name__}, not a Structure; radius_graph takes positions"
            )
        if "z" in s.arrays:
            raise _hesse.ArgumentError(
                f'from_structures: structure {k} has an array "z", the name that its atomic numbers get; rename it'
            )
        graph = radius_graph(
            s.positions, cutoff, cell=s.cell, periodic=s.periodic, z=s.numbers, pairs=pairs,
            y=None if targets is None else targets[k : k + 1],
            node_data={name: a for name, a in s.arrays.items() if np.asarray(a).dtype.kind in "biuf"},
        )  # fmt: skip
        graphs.append(tree_map(lambda a: _hesse.astype(a, kind) if a.dtype in _REAL else a, graph))
    return graphs


_REAL = (_hesse.float32, _hesse.float64)
