"""Parts of large graphs at random: neighbours, walks, clusters. The same key gives the same part on any machine."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _hesse
from .._extras import require
from .._hesse import Array
from .._hesse import gnn as _gnn
from ..random import key_data
from ..sparse import CSR
from . import _segments as seg
from ._common import require_graph
from ._graph import Graph, assembled, numpy_of
from ._loader import pad as _pad

__all__ = ["Sample", "clusters", "induced_sample", "neighbour_sample", "random_walk_sample", "random_walks"]


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


def _rounded(n: int) -> int:
    """n rounded up to three binary digits."""
    step = 1 << max(n.bit_length() - 3, 0)
    return -(-n // step) * step


def _made(function: str, graph: Graph, parts: tuple[Array, ...], seeds: int, padded: bool) -> Sample:
    """The sample from what the kernel gave, with the rows of the large graph."""
    if isinstance(graph.x, CSR):
        raise _hesse.ArgumentTypeError(
            f"{function}: x is sparse; use graph.replace(x=graph.x.todense()) first"
        )
    nodes, edges, source, target, target_starts, source_starts, targets_by_source, by_source = parts
    m, f = nodes.shape[0], edges.shape[0]
    fields: dict[str, Any] = dict.fromkeys(("x", "edge_attr", "edge_weight", "pos", "y"))
    fields.update({"node_data": {}, "edge_data": {}, "graph_data": {}})
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
        graph_data=graph.graph_data,
    )
    return Sample(made, nodes, edges, _hesse.arange(nodes.shape[0]) < seeds)


def _nodes(function: str, name: str, graph: Graph, nodes: Any) -> np.ndarray[Any, Any]:
    require_graph(function, graph)
    chosen = numpy_of(function, name, nodes)
    if chosen.dtype == bool and chosen.shape == (graph.num_nodes,):
        return np.flatnonzero(chosen)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise _hesse.ArgumentTypeError(
            f"{function}: {name} must be a vector of integers, or of booleans for the {graph.num_nodes} nodes, got "
            f"{chosen.dtype} {chosen.shape}"
        )
    return chosen.astype(np.int64)


def neighbour_sample(key: Any, graph: Graph, nodes: Any, sizes: Any, *, pad: bool = False) -> Sample:
    """The nodes given with what they hear of: hop by hop at most so many incoming edges of each node, at random.

    With all neighbours (-1), and as many hops as a model has layers that sum over incoming edges, the seeds get what
    they would get in the large graph.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same sample.
    graph : Graph
    nodes : array of integers, (S,), or of booleans, (N,)
        The seeds, each once.
    sizes : sequence of int
        For every hop, how many incoming edges of each node that the hop before found are taken, without
        replacement; -1: all.
    pad : bool
        Whether to add nodes and edges without meaning, see `Sample`.

    Returns
    -------
    Sample
        Seeds first, then the nodes in the order in which they were found.

    Raises
    ------
    IndexError
        For a node out of range.
    ValueError
        For a node given twice.
    TypeError
        For sparse features.

    References
    ----------
    Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs", arXiv:1706.02216 (2017),
    algorithm 2.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[1, 2, 3, 4, 5], [0, 0, 0, 1, 4]], num_nodes=6)
    >>> part = hs.gnn.neighbour_sample(hs.random.key(0), graph, [0], [2, -1])
    >>> part.graph.num_edges >= 2, int(part.nodes[0])
    (True, 0)
    """
    chosen = _nodes("neighbour_sample", "nodes", graph, nodes)
    hops = np.asarray(sizes)
    if hops.ndim != 1 or (hops.size and hops.dtype.kind not in "iu") or (hops < -1).any():
        raise _hesse.ArgumentError(
            f"neighbour_sample: sizes must be an integer for every hop, -1 for all neighbours, got {sizes!r}"
        )
    parts = _gnn.neighbour_sample(key, graph.target_starts, graph.source, chosen, tuple(hops.tolist()))
    return _made("neighbour_sample", graph, parts, len(chosen), pad)


def induced_sample(graph: Graph, nodes: Any, *, pad: bool = False) -> Sample:
    """The nodes given with all edges between them: `Graph.subgraph` at the cost of the nodes' edges alone.

    Parameters
    ----------
    graph : Graph
    nodes : array of integers, (S,), or of booleans, (N,)
        In the order that they shall have, each once. All are seeds.
    pad : bool
        Whether to add nodes and edges without meaning, see `Sample`.

    Returns
    -------
    Sample

    Raises
    ------
    IndexError
        For a node out of range.
    ValueError
        For a node given twice.
    TypeError
        For sparse features.

    Examples
    --------
    >>> import hesse as hs
    >>> triangle = hs.gnn.Graph([[0, 1, 2], [1, 2, 0]])
    >>> hs.gnn.induced_sample(triangle, [2, 0]).graph.edge_index
    Array([[0],
           [1]], dtype=int64)
    """
    chosen = _nodes("induced_sample", "nodes", graph, nodes)
    parts = _gnn.induced_sample(graph.target_starts, graph.source, chosen)
    return _made("induced_sample", graph, parts, len(chosen), pad)


def random_walks(key: Any, graph: Graph, nodes: Any, steps: int, *, p: float = 1.0, q: float = 1.0) -> Array:
    """Walks along the directions of edges, each to one of them with equal probability, or biased as in node2vec.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same walks.
    graph : Graph
        Its edge weights do not matter; duplicate edges count as often as they come.
    nodes : array of integers, (W,), or of booleans, (N,)
        Where the walks begin; a node may come several times.
    steps : int
    p, q : float
        Having come from u, a walk goes to x with probability proportional to 1/p for x = u, to 1 where an edge
        leads from u to x, and to 1/q else: small p stays near, small q goes far.

    Returns
    -------
    Array
        int64 (W, steps + 1). Where no edge leads on, a walk stays.

    Raises
    ------
    IndexError
        For a node out of range.
    ValueError
        For negative `steps`, or p or q that are not positive.

    References
    ----------
    Grover and Leskovec, "node2vec: scalable feature learning for networks", arXiv:1607.00653 (2016), section 3.2;
    by rejection instead of tables, so that nothing is made per edge.

    Examples
    --------
    >>> import hesse as hs
    >>> ring = hs.gnn.Graph([[0, 1, 2], [1, 2, 0]])
    >>> hs.gnn.random_walks(hs.random.key(0), ring, [0, 1], 3)
    Array([[0, 1, 2, 0],
           [1, 2, 0, 1]], dtype=int64)
    """
    chosen = _nodes("random_walks", "nodes", graph, nodes)
    return _gnn.random_walks(
        key, graph.source_starts, graph.targets_by_source, chosen, int(steps), float(p), float(q)
    )


def random_walk_sample(key: Any, graph: Graph, nodes: Any, steps: int, *, pad: bool = False) -> Sample:
    """The nodes that uniform walks from the nodes given come to, with all edges between them.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same sample.
    graph : Graph
    nodes : array of integers, (W,), or of booleans, (N,)
        Where the walks begin; a node may come several times.
    steps : int
    pad : bool
        Whether to add nodes and edges without meaning, see `Sample`.

    Returns
    -------
    Sample
        All its nodes are seeds, each once: first those given, then the others by number.

    Raises
    ------
    IndexError
        For a node out of range.
    ValueError
        For negative `steps`.
    TypeError
        For sparse features.

    Notes
    -----
    Nodes with many neighbours are met more often. The paper divides their losses, and edges' messages, by how often;
    `random_walks` gives the counts for that.

    References
    ----------
    Zeng, Zhou, Srivastava, Kannan and Prasanna, "GraphSAINT: graph sampling based inductive learning method",
    arXiv:1907.04931 (2020), algorithm 3.

    Examples
    --------
    >>> import hesse as hs
    >>> ring = hs.gnn.Graph([[0, 1, 2, 3], [1, 2, 3, 0]])
    >>> hs.gnn.random_walk_sample(hs.random.key(0), ring, [1], 2).nodes
    Array([1, 2, 3], dtype=int64)
    """
    chosen = _nodes("random_walk_sample", "nodes", graph, nodes)
    walks = numpy_of("random_walk_sample", "nodes", random_walks(key, graph, chosen, steps))
    given = chosen[np.sort(np.unique(chosen, return_index=True)[1])]
    met = np.concatenate([given, np.setdiff1d(walks, given)])
    parts = _gnn.induced_sample(graph.target_starts, graph.source, met)
    return _made("random_walk_sample", graph, parts, len(met), pad)


def clusters(key: Any, graph: Graph, count: int, *, method: str = "growing") -> Array:
    """Nodes in parts of nearly equal sizes with few edges between them, for batches of `induced_sample`.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same parts.
    graph : Graph
        Directions and weights of edges do not matter.
    count : int
        How many parts.
    method : str
        "growing": parts grow from random nodes, breadth first, by a node each in turn; then nodes move to the part
        that most of their neighbours are in, while sizes stay within 5 %. "metis": METIS by the package pymetis,
        which finds better parts and takes longer.

    Returns
    -------
    Array
        int64 (N,): which part every node is in, below `count`.

    Raises
    ------
    ValueError
        For a count below 1, another method, and for METIS where there are fewer nodes than parts.
    ImportError
        For "metis" where pymetis is not installed.

    References
    ----------
    Chiang, Liu, Si, Li, Bengio and Hsieh, "Cluster-GCN", arXiv:1905.07953 (2019), which uses METIS: Karypis and
    Kumar, SIAM J. Sci. Comput. 20 (1998) 359.

    Examples
    --------
    >>> import hesse as hs
    >>> import numpy as np
    >>> path = hs.gnn.Graph([range(9), range(1, 10)])
    >>> part = np.asarray(hs.gnn.clusters(hs.random.key(0), path, 2))
    >>> [hs.gnn.induced_sample(path, part == c).graph.num_nodes for c in range(2)]
    [5, 5]
    """
    require_graph("clusters", graph)
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
        raise _hesse.ArgumentTypeError(f"clusters: count must be an integer, got {count!r}")
    if count < 1:
        raise _hesse.ArgumentError(f"clusters: count must be positive, got {count}")
    if method == "growing":
        return _gnn.clusters(
            key, graph.target_starts, graph.source, graph.source_starts, graph.targets_by_source, int(count)
        )
    if method != "metis":
        raise _hesse.ArgumentError(f"clusters: method must be 'growing' or 'metis', got {method!r}")
    pymetis = require("pymetis", "metis", "clusters(method='metis')")
    s, t = graph._pairs("clusters")
    n = graph.num_nodes
    if count > n:
        raise _hesse.ArgumentError(
            f"clusters: METIS makes at most a part per node, got count={count} for {n} nodes"
        )
    code = np.unique(np.concatenate([s * n + t, t * n + s])[np.concatenate([s != t] * 2)])
    begin = np.searchsorted(code, np.arange(n + 1) * n)
    options = pymetis.Options(seed=int(key_data(key)[1]) & 0x7FFFFFFF)
    neighbours = pymetis.CSRAdjacency(begin, code % n)
    _, part = pymetis.part_graph(int(count), neighbours, options=options)
    return _hesse.asarray(np.asarray(part, np.int64))
