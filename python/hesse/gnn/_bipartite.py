"""Edges from one set of nodes to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _hesse
from ._edges import Edges, checked_edges, described

__all__ = ["Bipartite"]


class Bipartite(Edges):
    """Edges from the nodes of one type to those of another, sorted by target, as in `Graph`.

    `SAGEConv`, `GATConv`, `GATv2Conv`, `TransformerConv`, `GINConv` and `message_passing` take it with a pair
    ``(x_source, x_target)`` in place of x, and give a row for every target.

    Parameters
    ----------
    edge_index : array of integers, (2, E)
        Sources, below `num_sources`, above targets, below `num_targets`.
    num_sources, num_targets : int
    edge_attr : array, (E, ...), optional
    edge_weight : array, (E,), optional
    edge_data : dict of arrays, optional
        Further arrays with a row per edge.

    Attributes
    ----------
    source, target, order, target_starts, source_starts, by_source, targets_by_source : Array
        As in `Graph`.

    Raises
    ------
    IndexError
        For an edge from or to a node that there is not.
    ValueError, TypeError
        As for `Graph`.

    Examples
    --------
    >>> import hesse as hs
    >>> writes = hs.gnn.Bipartite([[0, 0, 1], [2, 0, 0]], num_sources=2, num_targets=3)
    >>> writes
    Bipartite(2 sources, 3 targets, 3 edges)
    >>> hs.gnn.SAGEConv((4, 5), 6)((hs.ones((2, 4)), hs.ones((3, 5))), writes).shape
    (3, 6)
    """

    def __init__(
        self, edge_index: Any, num_sources: int, num_targets: int, *, edge_attr: Any = None,
        edge_weight: Any = None, edge_data: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        edges = checked_edges(edge_index)
        for name, n in (("num_sources", num_sources), ("num_targets", num_targets)):
            if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
                raise _hesse.ArgumentTypeError(f"Bipartite: {name} must be an integer, got {n!r}")
            if n < 0:
                raise _hesse.ArgumentError(f"Bipartite: {name} must not be negative, got {n}")
        for row, n, what in ((0, num_sources, "source"), (1, num_targets, "target")):
            bad = np.flatnonzero((edges[row] < 0) | (edges[row] >= n))
            if bad.size:
                raise _hesse.OutOfRangeError(
                    f"Bipartite: edge {bad[0]} has the {what} {edges[row, bad[0]]}, but {what}s are 0 to {n - 1}; "
                    f"{len(bad)} edge(s) are out of range"
                )
        super().__init__(edges, num_sources, num_targets, edge_attr, edge_weight, edge_data)

    def __repr__(self) -> str:
        sizes = f"{self.num_sources} sources", f"{self.num_nodes} targets", f"{self.num_edges} edges"
        named = {k: getattr(self, k) for k in self.EDGE_FIELDS}
        return described("Bipartite", sizes, named, self.edge_data)
