"""Parts of large graphs, as samplers return them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..sparse import CSR
from . import _segments as seg
from ._common import require_graph
from ._edges import padding_pairs
from ._graph import Graph, assembled, numpy_of
from ._hetero import EdgeType, HeteroGraph
from ._loader import pad as _pad

__all__ = ["HeteroSample", "Sample", "hetero_sample_of", "ids_of", "nodes_of", "rounded_room", "sample_of"]


class Sample(NamedTuple):
    """Some nodes of a graph with some of the edges between them, as a graph of its own.

    Parameters
    ----------
    graph : Graph
        Of M nodes and F edges, with the rows that the large graph has for them; `y` too where it has a row per node.
    nodes : Array
        int64 (M,): which nodes of the large graph these are.
    edges : Array
        int64 (F,): which of its edges, by their positions there.
    seeds : Array
        bool (M,): the nodes that were asked for, which come first: the weights of a loss.

    Notes
    -----
    Padding, as `hs.gnn.pad` adds it, is a second graph that no edge joins to the first: it has -1 in `nodes` and
    `edges`, and no seeds. There is so much of it that there are few different sizes, for which `hs.compile` prepares
    a program each: M and F are rounded up to three binary digits, by a quarter at most.

    Examples
    --------
    >>> import hesse as hs
    >>> path = hs.gnn.Graph([[0, 1, 2], [1, 2, 3]], x=[[0.0], [1.0], [2.0], [3.0]])
    >>> part = hs.gnn.induced_sample(path, [3, 2], pad=True)
    >>> part.nodes, part.edges
    (Array([ 3,  2, -1, -1], dtype=int64), Array([2], dtype=int64))
    >>> part.seeds
    Array([ True,  True, False, False], dtype=bool)
    """

    graph: Graph
    nodes: Array
    edges: Array
    seeds: Array


class HeteroSample(NamedTuple):
    """Some nodes of each type of a graph with some of the edges between them, as a `HeteroGraph` of its own.

    Parameters
    ----------
    graph : HeteroGraph
        With all types that the large graph has, and the rows that it has for these nodes and edges.
    nodes : dict of Array
        By type of nodes, int64 (M,): which nodes of the large graph these are.
    edges : dict of Array
        By type of edges, int64 (F,): which of its edges, by their positions there.
    seeds : dict of Array
        By type of nodes, bool (M,): the nodes that were asked for, which come first.

    Notes
    -----
    Padding is as in `Sample`, type by type; a type that the large graph has no nodes of gets none. As sizes of many types
    come together in many ways, `NeighbourLoader` pads all types at once, to what a few samples had.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.HeteroGraph({("author", "writes", "paper"): [[0, 1, 2], [0, 0, 1]]})
    >>> part = hs.gnn.neighbour_sample(hs.random.key(0), graph, {"paper": [1]}, [-1])
    >>> part.nodes
    {'author': Array([2], dtype=int64), 'paper': Array([1], dtype=int64)}
    >>> part.edges
    {('author', 'writes', 'paper'): Array([2], dtype=int64)}
    """

    graph: HeteroGraph
    nodes: dict[str, Array]
    edges: dict[EdgeType, Array]
    seeds: dict[str, Array]


def _rounded(n: int) -> int:
    """n rounded up to three binary digits."""
    step = 1 << max(n.bit_length() - 3, 0)
    return -(-n // step) * step


def sample_of(function: str, graph: Graph, parts: tuple[Array, ...], seeds: int, padded: bool) -> Sample:
    """The sample from what the kernel gave, with the rows of the large graph."""
    if isinstance(graph.x, CSR):
        raise _hesse.ArgumentTypeError(
            f"{function}: x is sparse; use graph.replace(x=graph.x.todense()) first"
        )
    nodes, edges, source, target, target_starts, source_starts, targets_by_source, by_source = parts
    m, f = nodes.shape[0], edges.shape[0]
    fields: dict[str, Any] = dict.fromkeys(("x", "edge_attr", "edge_weight", "pos", "y"))
    fields.update({"node_data": {}, "edge_data": {}, "graph_data": {}, "paired": False})
    made = assembled(
        fields
        | {
            "source": source,
            "target": target,
            "order": _hesse.arange(f),
            "target_starts": target_starts,
            "source_starts": source_starts,
            "by_source": by_source,
            "targets_by_source": targets_by_source,
            "node_graph": _hesse.zeros(m, dtype=_hesse.int64),
            "node_starts": _hesse.asarray(np.array([0, m], np.int64)),
            "graph_mask": _hesse.ones(1, dtype=_hesse.bool),
        }
    )
    node_rows, edge_rows = nodes, edges
    if padded and m:
        more_nodes, more_edges = _rounded(m + 2) - m, _rounded(f) - f
        made = _pad(made, m + more_nodes, f + more_edges, 2)
        # The rows of padding are those of an edge and its ends: values that there are.
        ends = np.asarray(nodes)[[int(source[0]), int(target[0])] if f else [0, 0]]
        node_rows = _hesse.concat([nodes, _hesse.asarray(np.resize(ends, more_nodes))])
        edge_rows = _hesse.concat([edges, _hesse.full(more_edges, edges[0])]) if more_edges else edges
        nodes, edges = (
            _hesse.concat([ids, _hesse.full(more, -1, dtype=_hesse.int64)])
            for ids, more in ((nodes, more_nodes), (edges, more_edges))
        )

    def of_nodes(value: Any) -> Any:
        return None if value is None else seg.rows(value, node_rows)

    def of_edges(value: Any) -> Any:
        return None if value is None else seg.rows(value, edge_rows)

    per_node = graph.y is not None and graph.y.ndim > 0 and graph.y.shape[0] == graph.num_nodes
    made = made.replace(
        **{k: of_nodes(getattr(graph, k)) for k in graph.NODE_FIELDS},
        **{k: of_edges(getattr(graph, k)) for k in graph.EDGE_FIELDS},
        y=of_nodes(graph.y) if per_node else graph.y,
        node_data={k: of_nodes(v) for k, v in graph.node_data.items()},
        edge_data={k: of_edges(v) for k, v in graph.edge_data.items()},
        graph_data=_of_graphs(graph, made.num_graphs),
    )
    return Sample(made, nodes, edges, _hesse.arange(nodes.shape[0]) < seeds)


def _of_graphs(graph: Any, count: int) -> dict[str, Any]:
    """What belongs to the graph; padding, another graph, has the same."""
    return {
        k: _hesse.concat([v] * count) if v.ndim and v.shape[0] == 1 else v
        for k, v in graph.graph_data.items()
    }


def nodes_of(function: str, name: str, graph: Graph, nodes: Any) -> np.ndarray[Any, Any]:
    """Nodes of a graph as int64 numbers."""
    require_graph(function, graph)
    return ids_of(function, name, graph.num_nodes, nodes)


def ids_of(function: str, name: str, count: int, nodes: Any) -> np.ndarray[Any, Any]:
    """Numbers below count as int64, from integers or a mask; their range is not checked."""
    chosen = numpy_of(function, name, nodes)
    if chosen.dtype == bool and chosen.shape == (count,):
        return np.flatnonzero(chosen)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise _hesse.ArgumentTypeError(
            f"{function}: {name} must be a vector of integers, or of booleans for the {count} nodes, got "
            f"{chosen.dtype} {chosen.shape}"
        )
    return chosen.astype(np.int64)


Sizes = tuple[dict[str, int], dict[EdgeType, int]]
Room = Callable[[HeteroGraph, dict[str, int], dict[EdgeType, int]], Sizes]


def rounded_room(graph: HeteroGraph, nodes: dict[str, int], edges: dict[EdgeType, int]) -> Sizes:
    """To how many nodes and edges of each type these are padded: two nodes more, where there are any to copy."""
    up = {k: _rounded(n + 2) if graph.num_nodes(k) else 0 for k, n in nodes.items()}
    return up, {t: _rounded(f) for t, f in edges.items()}


def hetero_sample_of(
    function: str, graph: HeteroGraph, nodes: dict[str, Array], edges: dict[EdgeType, tuple[Array, ...]],
    seeds: dict[str, int], room: Room | None,
) -> HeteroSample:  # fmt: skip
    """The sample from which nodes and edges there are; edges: which, and their ends, in the order of targets."""
    for kind, x in graph.x.items():
        if isinstance(x, CSR):
            raise _hesse.ArgumentTypeError(f"{function}: x[{kind!r}] is sparse; use todense() first")
    sizes = {k: ids.shape[0] for k, ids in nodes.items()}
    counts = {t: which[0].shape[0] for t, which in edges.items()}
    to_nodes, to_edges = (sizes, counts) if room is None else room(graph, sizes, counts)
    more = {k: to_nodes[k] - n for k, n in sizes.items()}
    rows = {k: _extended(ids, more[k], ids[0] if sizes[k] else 0) for k, ids in nodes.items()}
    index, edge_rows, which = {}, {}, {}
    for edge_type, (ids, source, target) in edges.items():
        a, _, b = edge_type
        f = counts[edge_type]
        extra = to_edges[edge_type] - f
        which[edge_type], edge_rows[edge_type] = (
            _extended(ids, extra, -1), _extended(ids, extra, ids[0] if f else 0)
        )  # fmt: skip
        pairs = padding_pairs(extra, more[a], more[b])
        ends = (source, sizes[a] + 2 * pairs), (target, sizes[b] + 2 * pairs + 1)
        index[edge_type] = np.stack([np.concatenate([np.asarray(real), pad]) for real, pad in ends])

    def of_nodes(given: Any, kind: str) -> Any:
        return seg.rows(given, rows[kind])

    def of_edges(field: str) -> dict[Any, Any]:
        given = {k: getattr(graph[k], field) for k in edges}
        return {k: seg.rows(v, edge_rows[k]) for k, v in given.items() if v is not None}

    made = HeteroGraph(
        index,
        {k: of_nodes(v, k) for k, v in graph.x.items()},
        num_nodes={k: n + more[k] for k, n in sizes.items()},
        edge_attr=of_edges("edge_attr"),
        edge_weight=of_edges("edge_weight"),
        y={k: of_nodes(v, k) for k, v in graph.y.items()},
        node_data={k: {name: of_nodes(v, k) for name, v in t.items()} for k, t in graph.node_data.items()},
        edge_data={k: {n: seg.rows(v, edge_rows[k]) for n, v in graph[k].edge_data.items()} for k in edges},
        graph_data=_of_graphs(graph, 1 if room is None else 2),
    )
    if room is not None:
        of = {k: np.repeat(np.arange(2), [n, more[k]]) for k, n in sizes.items()}
        starts = {k: np.array([0, n, n + more[k]], np.int64) for k, n in sizes.items()}
        made = made.replace(
            node_graph={k: _hesse.asarray(v) for k, v in of.items()},
            node_starts={k: _hesse.asarray(v) for k, v in starts.items()},
        )
        made = made.replace(graph_mask=_hesse.arange(made.num_graphs) < 1)
    return HeteroSample(
        made,
        {k: _extended(ids, more[k], -1) for k, ids in nodes.items()},
        which,
        {k: _hesse.arange(n + more[k]) < seeds.get(k, 0) for k, n in sizes.items()},
    )


def _extended(ids: Array, more: int, value: Any) -> Array:
    return _hesse.concat([ids, _hesse.full(more, value, dtype=_hesse.int64)]) if more else ids
