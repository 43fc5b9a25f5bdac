"""Tasks on pairs of nodes: pairs that are no edges, and edges cut into training, validation and test."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..random import fold_in, integers, permutation, split
from ._common import require_graph
from ._graph import Graph, numpy_of
from ._splits import _fractions, _parts

__all__ = ["LinkSplit", "edge_split", "negative_sampling"]

_Numbers = np.ndarray[Any, Any]


class _Pairs:
    """All pairs of different nodes of the same graph of a batch, numbered from 0 to `count` - 1.

    In the order of their first nodes, then of their second ones: of a graph's nodes a to b - 1, node s has pairs with
    all but itself, or, unordered, with s + 1 to b - 1.
    """

    def __init__(self, graph: Graph, function: str, undirected: bool) -> None:
        starts = numpy_of(function, "node_starts", graph.node_starts)
        self.graph_of = numpy_of(function, "node_graph", graph.node_graph)
        self.first, end = starts[self.graph_of], starts[1:][self.graph_of]
        self.undirected = undirected
        own = end - np.arange(len(end)) - 1 if undirected else end - self.first - 1
        self.offset = np.concatenate([[0], np.cumsum(own)]).astype(np.int64)
        self.count = int(self.offset[-1])

    def number(self, s: _Numbers, t: _Numbers) -> _Numbers:
        if not self.undirected:
            return np.asarray(self.offset[s] + t - self.first[s] - (t > s))
        s, t = np.minimum(s, t), np.maximum(s, t)
        return np.asarray(self.offset[s] + t - s - 1)

    def pair(self, number: _Numbers) -> _Numbers:
        """[2, M]: sources above targets; the smaller node first in unordered pairs."""
        s = np.searchsorted(self.offset, number, side="right") - 1
        t = number - self.offset[s]
        if self.undirected:
            return np.stack([s, s + 1 + t])
        t = t + self.first[s]
        return np.stack([s, t + (t >= s)])

    def taken(self, graph: Graph, function: str) -> _Numbers:
        """The pairs with an edge, each once, in order."""
        starts = numpy_of(function, "source_starts", graph.source_starts)
        t = numpy_of(function, "targets_by_source", graph.targets_by_source)
        s = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        between = s != t
        numbers = self.number(s[between], t[between])
        if self.undirected:  # else they are in order: by source, and for each by target
            numbers = np.sort(numbers, kind="stable")
        return np.asarray(numbers[np.append(numbers[1:] != numbers[:-1], True)] if len(numbers) else numbers)


def _distinct(key: Array, n: int, count: int) -> _Numbers:
    """Different integers below n in random order."""
    if 2 * count > n:
        return np.asarray(permutation(key, n))[:count]
    found: _Numbers = np.zeros(0, np.int64)
    for again in itertools.count():
        if len(found) == count:
            return found
        drawn = np.asarray(integers(fold_in(key, again), 0, n, (count - len(found),)))
        together = np.concatenate([found, drawn])
        found = together[np.sort(np.unique(together, return_index=True)[1])]
    raise AssertionError


def _edges(function: str, graph: Any, undirected: bool) -> tuple[Graph, _Numbers, _Numbers, _Pairs]:
    require_graph(function, graph)
    s, t = graph._pairs(function)
    pairs = _Pairs(graph, function, undirected)
    across = np.flatnonzero(pairs.graph_of[s] != pairs.graph_of[t]) if len(s) else s
    if across.size:
        e = int(across[0])
        raise _hesse.ArgumentError(
            f"{function}: the edge from node {s[e]} to node {t[e]} joins two graphs of a batch"
        )
    return graph, s, t, pairs


def _no_edges(function: str, key: Array, pairs: _Pairs, taken: _Numbers, count: int) -> _Numbers:
    """Numbers of pairs that are not among those taken, which are sorted and different."""
    free = pairs.count - len(taken)
    if count > free:
        kind = "unordered" if pairs.undirected else "ordered"
        raise _hesse.ArgumentError(
            f"{function}: {count} pairs without an edge are wanted, but of the {pairs.count} {kind} pairs of "
            f"different nodes only {free} have none"
        )
    rank = _distinct(key, free, count)
    # taken[k] - k pairs without an edge come before the pair taken[k].
    return np.asarray(rank + np.searchsorted(taken - np.arange(len(taken)), rank, side="right"))


def negative_sampling(key: Any, graph: Graph, count: int, *, undirected: bool = False) -> Array:
    """Different pairs of nodes that are no edges, all equally likely.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same pairs.
    graph : Graph
        Of a batch, both nodes of a pair are in the same graph.
    count : int
        How many pairs, M.
    undirected : bool
        Whether (i, j) and (j, i) are the same pair, which is given with the smaller node first and has an edge
        in neither direction.

    Returns
    -------
    Array
        int64 (2, M), sources above targets, in random order. No pair joins a node to itself.

    Raises
    ------
    ValueError
        Where fewer pairs than `count` have no edge. The pairs are counted, not searched for: a dense graph takes no
        longer than a sparse one.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1, 2, 0], [1, 2, 0, 2]])
    >>> pairs = hs.gnn.negative_sampling(hs.random.key(0), graph, 2)
    >>> sorted(zip(*pairs.tolist()))
    [(1, 0), (2, 1)]
    """
    count = _count("negative_sampling", count)
    graph, _, _, pairs = _edges("negative_sampling", graph, undirected)
    taken = pairs.taken(graph, "negative_sampling")
    return _hesse.asarray(pairs.pair(_no_edges("negative_sampling", key, pairs, taken, count)))


def _count(function: str, count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
        raise _hesse.ArgumentTypeError(f"{function}: count must be an integer, got {count!r}")
    if count < 0:
        raise _hesse.ArgumentError(f"{function}: count must not be negative, got {count}")
    return int(count)


class LinkSplit(NamedTuple):
    """A part of `edge_split`.

    Parameters
    ----------
    graph : Graph
        The edges that messages may pass along.
    pairs : Array
        int64 (2, M), sources above targets.
    labels : Array
        (M,), in the dtype of `x` where that is real, else float64: 1 for an edge, 0 for none.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0], [1]])
    >>> hs.gnn.LinkSplit(graph, graph.edge_index, hs.ones(1)).labels
    Array([1.], dtype=float64)
    """

    graph: Graph
    pairs: Array
    labels: Array


def edge_split(
    key: Any,
    graph: Graph,
    fractions: Sequence[float] = (0.85, 0.05, 0.1),
    *,
    negatives: float = 1.0,
    undirected: bool | None = None,
) -> list[LinkSplit]:
    """Cuts the edges of a graph at random into parts to predict, each with as many pairs that are no edges.

    Messages pass along the edges of the first part in the first part, and along those of all earlier parts in
    every other one: a model that is validated or tested never sees the edges it is asked for. Edges in no part, and
    self-loops, carry messages in all parts and are asked for in none.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same split.
    graph : Graph
    fractions : sequence of float
        Of the edges, for every part; what is missing to 1 is in no part.
    negatives : float
        How many pairs without an edge there are for every edge. They differ from part to part.
    undirected : bool, optional
        Whether (i, j) and (j, i) are one edge, both directions of which are in the same part; it is asked for once,
        with the smaller node first. By default what `Graph.is_undirected` says. Duplicates of an edge are always
        in the same part, and asked for once.

    Returns
    -------
    list of LinkSplit
        Its pairs are those with an edge, then those without.

    Raises
    ------
    ValueError
        For fractions that are negative or sum to more than 1, and where too few pairs have no edge.

    Notes
    -----
    As `torch_geometric.transforms.RandomLinkSplit` gives it with the negatives of the training fixed.

    Examples
    --------
    >>> import hesse as hs
    >>> path = hs.gnn.Graph([range(20), range(1, 21)]).undirected()
    >>> train, val, test = hs.gnn.edge_split(hs.random.key(0), path, (0.5, 0.2, 0.3))
    >>> train.graph.num_edges, train.pairs.shape, test.graph.num_edges, test.pairs.shape
    (20, (2, 20), 28, (2, 12))
    """
    f = _fractions("edge_split", fractions)
    if not 0.0 <= negatives < np.inf:
        raise _hesse.ArgumentError(f"edge_split: negatives must be a number from 0 on, got {negatives}")
    require_graph("edge_split", graph)
    graph, s, t, pairs = _edges(
        "edge_split", graph, graph.is_undirected() if undirected is None else undirected
    )
    between = np.flatnonzero(s != t)
    taken = pairs.taken(graph, "edge_split")
    which = np.searchsorted(taken, pairs.number(s[between], t[between]))
    of_edges, of_none = _hesse.unstack(split(key))
    parts = _parts(np.asarray(permutation(of_edges, len(taken))), f)
    part_of = np.full(len(taken), -1)  # -1: edges in no part
    for k, part in enumerate(parts):
        part_of[part] = k
    edge_part = np.full(len(s), -1)
    edge_part[between] = part_of[which]
    wanted = [round(negatives * len(part)) for part in parts]
    none = _no_edges("edge_split", of_none, pairs, taken, sum(wanted))
    ends = np.cumsum(wanted)
    dtype = graph.x.dtype if graph.x is not None and "float" in str(graph.x.dtype) else _hesse.float64
    result = []
    for k, part in enumerate(parts):
        along = np.flatnonzero(edge_part < max(k, 1))
        asked = [np.sort(taken[part]), none[ends[k] - wanted[k] : ends[k]]]
        labels = np.repeat([1.0, 0.0], [len(part), wanted[k]])
        result.append(
            LinkSplit(
                graph.with_edges(np.stack([s[along], t[along]]), along),
                _hesse.asarray(pairs.pair(np.concatenate(asked))),
                _hesse.asarray(labels, dtype=dtype),
            )
        )
    return result
