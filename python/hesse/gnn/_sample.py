"""Parts of large graphs at random: neighbours, walks, clusters. The same key gives the same part on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import numpy as np

from .. import _hesse
from .._extras import require
from .._hesse import Array
from .._hesse import gnn as _gnn
from ..random import key_data
from ._common import require_graph
from ._graph import Graph, numpy_of
from ._hetero import HeteroGraph, name_of
from ._sampled import HeteroSample, Room, Sample, hetero_sample_of, ids_of, nodes_of, rounded_room, sample_of

__all__ = [
    "clusters",
    "hetero_sample",
    "induced_sample",
    "neighbour_sample",
    "random_walk_sample",
    "random_walks",
]


@overload
def neighbour_sample(key: Any, graph: Graph, nodes: Any, sizes: Any, *, pad: bool = ...) -> Sample: ...
@overload
def neighbour_sample(
    key: Any, graph: HeteroGraph, nodes: Mapping[str, Any], sizes: Any, *, pad: bool = ...
) -> HeteroSample: ...
def neighbour_sample(key: Any, graph: Any, nodes: Any, sizes: Any, *, pad: bool = False) -> Any:
    """The nodes given with what they hear of: hop by hop at most so many incoming edges of each node, at random.

    With all neighbours (-1), and as many hops as a model has layers that sum over incoming edges, the seeds get what
    they would get in the large graph.

    Parameters
    ----------
    key : Array
        A random key; the same key gives the same sample.
    graph : Graph or HeteroGraph
    nodes : array of integers, (S,), or of booleans, (N,)
        The seeds, each once; for several types of nodes a dict of these by type.
    sizes : sequence of int
        For every hop, how many incoming edges of each node that the hop before found are taken, without
        replacement; -1: all. For several types of edges as many of each, or a dict by all types of edges, of as many
        hops each; 0 leaves a type out.
    pad : bool
        Whether to add nodes and edges without meaning, see `Sample`.

    Returns
    -------
    Sample or HeteroSample
        Seeds first, then the nodes in the order in which they were found: those of a hop by the types of edges in the
        order of `HeteroGraph.edge_types`.

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
    if isinstance(graph, HeteroGraph):
        return hetero_sample(key, graph, nodes, sizes, rounded_room if pad else None)
    chosen = nodes_of("neighbour_sample", "nodes", graph, nodes)
    parts = _gnn.neighbour_sample(key, graph.target_starts, graph.source, chosen, _hops("sizes", sizes))
    return sample_of("neighbour_sample", graph, parts, len(chosen), pad)


def _hops(name: str, sizes: Any) -> tuple[int, ...]:
    hops = np.asarray(sizes)
    if hops.ndim != 1 or (hops.size and hops.dtype.kind not in "iu") or (hops < -1).any():
        raise _hesse.ArgumentError(
            f"neighbour_sample: {name} must be an integer for every hop, -1 for all neighbours, got {sizes!r}"
        )
    return tuple(hops.tolist())


def hetero_sample(key: Any, graph: HeteroGraph, nodes: Any, sizes: Any, room: Room | None) -> HeteroSample:
    """See `neighbour_sample`."""
    function = "neighbour_sample"
    if not isinstance(nodes, Mapping):
        raise _hesse.ArgumentTypeError(
            f"{function}: for a HeteroGraph nodes must be a dict by types of nodes, such as "
            f"{{{graph.node_types[0]!r}: nodes}}, got {type(nodes).__name__}"
            if graph.node_types
            else f"{function}: the graph has no nodes"
        )
    kinds, types = graph.node_types, graph.edge_types
    chosen = {k: ids_of(function, f"nodes[{k!r}]", graph.num_nodes(k), v) for k, v in nodes.items()}
    if isinstance(sizes, Mapping):
        given = {name_of(function, k): _hops(f"sizes[{k!r}]", v) for k, v in sizes.items()}
        if set(given) != set(graph.edges) or len({len(v) for v in given.values()}) > 1:
            raise _hesse.ArgumentError(
                f"{function}: sizes must have as many hops for each of {', '.join(map(str, types))}, 0 for a type to "
                f"leave out; got {sizes!r}"
            )
        hops = [given[name] for name in graph.edges]
    else:
        hops = [_hops("sizes", sizes)] * len(types)
    found = iter(
        _gnn.typed_neighbour_sample(
            key,
            tuple(kinds.index(k) for a, _, b in types for k in (a, b)),
            [graph[t].target_starts for t in types],
            [graph[t].source for t in types],
            tuple(size for sizes_of_type in hops for size in sizes_of_type),
            tuple(graph.num_nodes(k) for k in kinds),
            [chosen.get(k, np.zeros(0, np.int64)) for k in kinds],
        )
    )
    return hetero_sample_of(
        function,
        graph,
        {k: next(found) for k in kinds},
        {t: (next(found), next(found), next(found)) for t in types},
        {k: len(v) for k, v in chosen.items()},
        room,
    )


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
    chosen = nodes_of("induced_sample", "nodes", graph, nodes)
    parts = _gnn.induced_sample(graph.target_starts, graph.source, chosen)
    return sample_of("induced_sample", graph, parts, len(chosen), pad)


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
    TypeError
        For what is not a `Graph`; of a `HeteroGraph` take the edges of one type, or `HeteroGraph.to_homogeneous`.

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
    chosen = nodes_of("random_walks", "nodes", graph, nodes)
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
    Nodes with many neighbours are met more often. `saint_normalised` gives the weights of edges and losses that the paper
    makes up for it with.

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
    chosen = nodes_of("random_walk_sample", "nodes", graph, nodes)
    walks = numpy_of("random_walk_sample", "nodes", random_walks(key, graph, chosen, steps))
    given = chosen[np.sort(np.unique(chosen, return_index=True)[1])]
    met = np.concatenate([given, np.setdiff1d(walks, given)])
    parts = _gnn.induced_sample(graph.target_starts, graph.source, met)
    return sample_of("random_walk_sample", graph, parts, len(met), pad)


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
    TypeError
        For what is not a `Graph`; of a `HeteroGraph` take the edges of one type, or `HeteroGraph.to_homogeneous`.
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
