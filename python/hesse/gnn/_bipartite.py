"""Edges from one set of nodes to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..nn._module import Module
from ..sparse import CSR
from . import _segments as seg
from ._graph import Graph, _edges

__all__ = ["Bipartite"]


class Bipartite(Module):
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

    __buffers__: ClassVar[tuple[str, ...]] = Graph.__buffers__[:7]

    source: Array
    target: Array
    order: Array
    target_starts: Array
    source_starts: Array
    by_source: Array
    targets_by_source: Array
    edge_attr: Array | None
    edge_weight: Array | None
    edge_data: dict[str, Array]

    def __init__(
        self, edge_index: Any, num_sources: int, num_targets: int, *, edge_attr: Any = None,
        edge_weight: Any = None, edge_data: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        edges = _edges(edge_index)
        for row, n, what in ((0, num_sources, "source"), (1, num_targets, "target")):
            bad = np.flatnonzero((edges[row] < 0) | (edges[row] >= n))
            if bad.size:
                raise _hesse.OutOfRangeError(
                    f"Bipartite: edge {bad[0]} has the {what} {edges[row, bad[0]]}, but {what}s are 0 to {n - 1}; "
                    f"{len(bad)} edge(s) are out of range"
                )
        both = Graph(
            edges,
            num_nodes=max(num_sources, num_targets),
            edge_attr=edge_attr,
            edge_weight=edge_weight,
            edge_data=edge_data,
        )
        for name in ("source", "target", "order", "by_source", "targets_by_source", "edge_attr",
                     "edge_weight", "edge_data"):  # fmt: skip
            setattr(self, name, getattr(both, name))
        self.target_starts = both.target_starts[: num_targets + 1]
        self.source_starts = both.source_starts[: num_sources + 1]

    @property
    def num_sources(self) -> int:
        """How many nodes edges come from."""
        return self.source_starts.shape[0] - 1

    @property
    def num_nodes(self) -> int:
        """How many nodes edges go to: the rows of a layer's result."""
        return self.target_starts.shape[0] - 1

    @property
    def num_edges(self) -> int:
        """E."""
        return self.source.shape[0]

    @property
    def edge_index(self) -> Array:
        """[2, E]: sources above targets, sorted by target."""
        return _hesse.stack([self.source, self.target])

    def adjacency(self, values: Any = None) -> CSR:
        """The matrix A with A[target, source] = value, [targets, sources]; by default `edge_weight`, or ones."""
        empty = _hesse.zeros(0, dtype=_hesse.int64)
        return CSR(
            self.weights() if values is None else values, self.target_starts, self.source, empty,
            self.source_starts, self.targets_by_source, self.by_source,
        )  # fmt: skip

    def weights(self, dtype: Any = None) -> Array:
        """`edge_weight`, or ones of the dtype, (E,)."""
        return self.edge_weight if self.edge_weight is not None else _hesse.ones(self.num_edges, dtype=dtype)

    def degree(self, weighted: bool = False) -> Array:
        """How many edges end in each target; weighted: the sum of their weights."""
        if weighted and self.edge_weight is not None:
            return seg.total(self.edge_weight, self.target, self.num_nodes)
        return self.target_starts[1:] - self.target_starts[:-1]

    def __repr__(self) -> str:
        more = [
            f"{k}={v.dtype}[{','.join(map(str, v.shape))}]"
            for k, v in (
                ("edge_attr", self.edge_attr),
                ("edge_weight", self.edge_weight),
                *self.edge_data.items(),
            )
            if v is not None
        ]
        sizes = f"{self.num_sources} sources", f"{self.num_nodes} targets", f"{self.num_edges} edges"
        return f"Bipartite({', '.join([*sizes, *more])})"
