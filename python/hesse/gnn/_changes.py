"""Graphs from graphs: other edges on the same nodes, duplicates merged, some of the nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..sparse import CSR
from . import _segments as seg
from ._graph import Graph, numpy_of, shifts

__all__ = ["merged", "subgraph", "with_edges"]


def with_edges(graph: Graph, edge_index: Any, take: Any, new: float) -> Graph:
    """See `Graph.with_edges`."""
    fields: dict[str, Any] = dict.fromkeys(graph.EDGE_FIELDS)
    data: dict[str, Any] = {}
    if take is not None:
        where = numpy_of("with_edges", "take", take)
        if where.ndim != 1 or (where.size and where.dtype.kind not in "iu"):
            raise _hesse.ArgumentTypeError(
                f"with_edges: take must be a vector of integers, got {where.dtype} {where.shape}"
            )
        if where.size and where.max() >= graph.num_edges:
            raise _hesse.OutOfRangeError(
                f"with_edges: take names the edge {int(where.max())}, edges are 0 to {graph.num_edges - 1}"
            )
        where = where.astype(np.int64)
        known = _hesse.asarray(np.maximum(where, 0))
        missing = _hesse.asarray(where < 0)

        def taken(value: Array, new: float = new) -> Array:
            if graph.num_edges == 0:
                return _hesse.full((len(where), *value.shape[1:]), new, dtype=value.dtype)
            picked = seg.rows(value, known)
            return _hesse.where(seg.over(missing, picked), _hesse.asarray(new, dtype=value.dtype), picked)

        fields = {k: taken(getattr(graph, k)) for k in graph.EDGE_FIELDS if getattr(graph, k) is not None}
        # A new edge joins the nodes themselves, not images of them.
        data = {k: taken(v, 0.0 if k == "shift" else new) for k, v in graph.edge_data.items()}
    made = Graph(edge_index, num_nodes=graph.num_nodes, edge_data=data, paired=graph.paired, **fields)
    kept = {
        k: getattr(graph, k)
        for k in ("x", "pos", "y", "node_data", "graph_data", "node_graph", "node_starts", "graph_mask")
    }
    return made.replace(**kept)


def merged(
    graph: Graph,
    function: str,
    s: np.ndarray[Any, Any],
    t: np.ndarray[Any, Any],
    take: np.ndarray[Any, Any],
    turned: np.ndarray[Any, Any],
    reduce: str,
) -> Graph:
    """The graph with one edge for each pair (s, t); arrays come from the edges `take`, reduced over duplicates.

    In a periodic system edges to different images of a node are different; those `turned` have the opposite shift.
    """
    if reduce not in ("sum", "mean", "max"):
        raise _hesse.ArgumentError(f"{function}: reduce must be 'sum', 'mean' or 'max', got {reduce!r}")
    shift = shifts(function, graph)
    shift = np.where(turned[:, None], -shift[take], shift[take])
    order = np.lexsort((*shift.T, s, t))
    s, t, take, shift = s[order], t[order], take[order], shift[order]
    first = np.ones(len(s), bool)
    first[1:] = (s[1:] != s[:-1]) | (t[1:] != t[:-1]) | (shift[1:] != shift[:-1]).any(axis=1)
    starts = np.concatenate([np.flatnonzero(first), [len(s)]]).astype(np.int64)
    ids = _hesse.asarray((np.cumsum(first) - 1).astype(np.int64))
    made = with_edges(graph, np.stack([s[first], t[first]]), None, 0.0)
    reduction = {
        "sum": lambda x, i, b: seg.total(x, i, b.shape[0] - 1),
        "mean": seg.mean,
        "max": seg.maximum,
    }
    at = _hesse.asarray(take.astype(np.int64))

    def merged(value: Array) -> Array:  # the new edges are in this order already: sorted by target
        return reduction[reduce](seg.rows(value, at), ids, _hesse.asarray(starts))

    fields = {k: merged(getattr(graph, k)) for k in graph.EDGE_FIELDS if getattr(graph, k) is not None}
    data = {k: merged(v) for k, v in graph.edge_data.items() if k != "shift"}
    if "shift" in graph.edge_data:
        data["shift"] = _hesse.asarray(
            shift[first].reshape(int(first.sum()), *graph.edge_data["shift"].shape[1:])
        )
    return made.replace(edge_data={k: data[k] for k in graph.edge_data}, **fields)


def subgraph(graph: Graph, nodes: Any) -> Graph:
    """See `Graph.subgraph`."""
    chosen = numpy_of("subgraph", "nodes", nodes)
    n = graph.num_nodes
    if chosen.dtype == bool:
        if chosen.shape != (n,):
            raise _hesse.ArgumentError(
                f"subgraph: a mask must have one entry per node, ({n},), got {chosen.shape}"
            )
        chosen = np.flatnonzero(chosen)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise _hesse.ArgumentTypeError(
            f"subgraph: nodes must be a vector of integers or a mask, got {chosen.dtype} {chosen.shape}"
        )
    chosen = chosen.astype(np.int64)
    if chosen.size and (chosen.min() < 0 or chosen.max() >= n):
        raise _hesse.OutOfRangeError(
            f"subgraph: nodes are 0 to {n - 1}, got {int(chosen.min())} to {int(chosen.max())}"
        )
    if len(np.unique(chosen)) != len(chosen):
        raise _hesse.ArgumentError("subgraph: a node is given twice")
    new_name = np.full(n, -1, np.int64)
    new_name[chosen] = np.arange(len(chosen))
    s, t = graph._pairs("subgraph")
    keep = np.flatnonzero((new_name[s] >= 0) & (new_name[t] >= 0)) if len(s) else np.zeros(0, np.int64)
    graph_of = numpy_of("subgraph", "node_graph", graph.node_graph)[chosen]
    if (np.diff(graph_of) < 0).any():
        raise _hesse.ArgumentError("subgraph: the nodes of a batch must come graph by graph")
    at, kept = _hesse.asarray(chosen), _hesse.asarray(keep)

    def of_nodes(value: Any) -> Any:
        if isinstance(value, CSR):
            raise _hesse.ArgumentTypeError("subgraph: x is sparse; use x.todense() first")
        return None if value is None else seg.rows(value, at)

    fields: dict[str, Any] = {
        k: seg.rows(getattr(graph, k), kept) for k in graph.EDGE_FIELDS if getattr(graph, k) is not None
    }
    made = Graph(
        np.stack([new_name[s[keep]], new_name[t[keep]]]),
        num_nodes=len(chosen),
        edge_data={k: seg.rows(v, kept) for k, v in graph.edge_data.items()},
        paired=graph.paired,
        **fields,
    )
    starts = np.searchsorted(graph_of, np.arange(graph.num_graphs + 1)).astype(np.int64)
    y = of_nodes(graph.y) if graph.y is not None and graph.y.ndim and graph.y.shape[0] == n else graph.y
    return made.replace(
        x=of_nodes(graph.x),
        pos=of_nodes(graph.pos),
        y=y,
        node_data={k: of_nodes(v) for k, v in graph.node_data.items()},
        graph_data=graph.graph_data,
        node_graph=_hesse.asarray(graph_of.astype(np.int64)),
        node_starts=_hesse.asarray(starts),
        graph_mask=graph.graph_mask,
    )
