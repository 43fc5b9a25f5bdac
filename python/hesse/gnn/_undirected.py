"""Undirected graphs with one edge per pair of nodes, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array
from ._changes import with_edges
from ._graph import Graph, numpy_of, refuse_self_loops, shifts

__all__ = ["directed", "is_kept", "pairs"]

_Numbers = np.ndarray[Any, Any]


def is_kept(source: _Numbers, target: _Numbers, shift: _Numbers) -> _Numbers:
    """Of an edge and its reverse the one that stands for both, (E,); shifts are (E, D), D may be 0."""
    sign = np.zeros(len(source))
    for column in shift.T[::-1]:
        sign = np.where(column != 0, column, sign)
    kept: _Numbers = (source < target) | ((source == target) & (sign > 0))
    return kept


def pairs(graph: Graph) -> Graph:
    """See `Graph.pairs`."""
    if graph.paired:
        return graph
    if not numpy_of("pairs", "graph_mask", graph.graph_mask).all():
        raise _hesse.ArgumentError(
            "pairs: the graph is padded, and edges of padding have no reverse; use pairs() before pad"
        )
    refuse_self_loops("pairs", graph)
    s, t = graph._pairs("pairs")
    arrays = {k: getattr(graph, k) for k in graph.EDGE_FIELDS if getattr(graph, k) is not None}
    arrays |= {f"edge_data[{k!r}]": v for k, v in graph.edge_data.items() if k != "shift"}
    values = {k: _flat(k, v) for k, v in arrays.items()}
    shift: _Numbers = shifts("pairs", graph)
    kept = is_kept(s, t, shift)
    # Every edge under the name that it has in the direction kept, and equal names as one number.
    names = [np.where(kept, s, t), np.where(kept, t, s), *np.where(kept[:, None], shift, -shift).T]
    order = np.lexsort(names)
    new = np.ones(len(s), bool)
    new[1:] = np.any([name[order][1:] != name[order][:-1] for name in names], axis=0)
    pair = np.empty(len(s), np.int64)
    pair[order] = np.cumsum(new) - 1
    count = int(new.sum())
    excess = np.bincount(pair[kept], minlength=count) - np.bincount(pair[~kept], minlength=count)
    if excess.any():
        lone = np.flatnonzero(np.where(kept, excess[pair] > 0, excess[pair] < 0))
        e = int(lone[0])
        by = f" with the shift {shift[e].tolist()}" if shift.shape[1] else ""
        back = " with the opposite shift" if shift.shape[1] else ""
        raise _hesse.ArgumentError(
            f"pairs: the edge from node {s[e]} to node {t[e]}{by} is there more often than its reverse{back} "
            f"({int(np.abs(excess).sum())} edge(s) have none); undirected() adds them"
        )
    # Between duplicates the values decide which is the reverse of which.
    columns = [c for v in values.values() for c in v.T] if len(s) > 2 * count else []

    def sorted_by_pair(which: _Numbers) -> _Numbers:
        where = np.flatnonzero(which)
        return where[np.lexsort([*(c[where] for c in columns), pair[where]])]

    there, back_again = sorted_by_pair(kept), sorted_by_pair(~kept)
    for name, value in values.items():
        a, b = value[there], value[back_again]
        differ = np.flatnonzero(~((a == b) | ((a != a) & (b != b))).all(axis=1))
        if differ.size:
            e = there[differ[0]]
            raise _hesse.ArgumentError(
                f"pairs: {name} must be the same in both directions, but is {a[differ[0]].tolist()} from node {s[e]} to "
                f"node {t[e]} and {b[differ[0]].tolist()} back ({differ.size} such pair(s)); what depends on the "
                "direction is computed in the message, or left out"
            )
    take = np.flatnonzero(kept)
    return with_edges(graph, np.stack([s[take], t[take]]), take, 0.0).replace(paired=True)


def _flat(name: str, value: Array) -> _Numbers:
    """The data of an array of edges, one row for each, [E, K]."""
    data = numpy_of("pairs", name, value)
    return data.reshape(len(data), int(np.prod(data.shape[1:])))


def directed(graph: Graph) -> Graph:
    """See `Graph.directed`."""
    if not graph.paired:
        return graph
    s, t = graph._pairs("directed")
    both = np.stack([np.concatenate([s, t]), np.concatenate([t, s])])
    made = with_edges(graph.replace(paired=False), both, np.tile(np.arange(len(s)), 2), 0.0)
    shift = made.edge_data.get("shift")
    if shift is None:
        return made
    turned = (made.order >= len(s)).reshape((-1, *(1,) * (shift.ndim - 1)))
    return made.replace(edge_data={**made.edge_data, "shift": _hesse.where(turned, -shift, shift)})
