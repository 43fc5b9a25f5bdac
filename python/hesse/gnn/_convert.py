"""Graphs from what other packages hold; each of these is imported only when it is met."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _hesse
from ._graph import Graph, numpy_of

__all__ = ["from_dense", "from_networkx", "from_pyg", "from_scipy"]


def from_dense(adjacency: Any, **fields: Any) -> Graph:
    """A graph with an edge i -> j of weight a[i, j] for every entry that is not zero.

    Parameters
    ----------
    adjacency : array, (N, N)
    **fields
        Further arguments of `Graph`.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        For a matrix that is not square.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.from_dense([[0.0, 2.0], [0.0, 0.0]])
    Graph(2 nodes, 1 edges, edge_weight=float64[1])
    """
    a = numpy_of("from_dense", "adjacency", adjacency)
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise _hesse.ArgumentError(f"from_dense: adjacency must be square, got shape {a.shape}")
    source, target = np.nonzero(a)
    return Graph(np.stack([source, target]), num_nodes=a.shape[0], edge_weight=a[source, target], **fields)


def from_scipy(matrix: Any, **fields: Any) -> Graph:
    """A graph with an edge i -> j of weight a[i, j] for every stored entry of a sparse matrix.

    Parameters
    ----------
    matrix : sparse array or matrix of `scipy.sparse`, (N, N)
        Duplicate entries stay duplicate edges, and stored zeros are edges of weight 0.
    **fields
        Further arguments of `Graph`.

    Returns
    -------
    Graph

    Raises
    ------
    TypeError
        For what is not a sparse matrix.
    ValueError
        For a matrix that is not square.

    Examples
    --------
    >>> import hesse as hs, scipy.sparse
    >>> hs.gnn.from_scipy(scipy.sparse.eye_array(3, k=1))
    Graph(3 nodes, 2 edges, edge_weight=float64[2])
    """
    if not hasattr(matrix, "tocoo"):
        raise _hesse.ArgumentTypeError(
            f"from_scipy: matrix must be one of scipy.sparse, got {type(matrix).__name__}; "
            "from_dense takes arrays"
        )
    a = matrix.tocoo()
    if a.shape[0] != a.shape[1]:
        raise _hesse.ArgumentError(f"from_scipy: the matrix must be square, got shape {a.shape}")
    edges = np.stack([np.asarray(a.row, np.int64), np.asarray(a.col, np.int64)])
    return Graph(edges, num_nodes=a.shape[0], edge_weight=a.data, **fields)


def from_networkx(graph: Any, weight: str | None = None, x: str | None = None, **fields: Any) -> Graph:
    """A graph of `networkx`; nodes are numbered in its order, and an undirected edge becomes two.

    Parameters
    ----------
    graph : networkx.Graph, DiGraph, MultiGraph or MultiDiGraph
    weight : str, optional
        The edge attribute that becomes `edge_weight`.
    x : str, optional
        The node attribute that becomes `x`.
    **fields
        Further arguments of `Graph`.

    Returns
    -------
    Graph

    Raises
    ------
    TypeError
        For what is not a graph of networkx.
    ValueError
        For a node or an edge without the attribute.

    Examples
    --------
    >>> import hesse as hs
    >>> import networkx                               # doctest: +SKIP
    >>> hs.gnn.from_networkx(networkx.path_graph(3))  # doctest: +SKIP
    Graph(3 nodes, 4 edges)
    """
    if not (hasattr(graph, "is_directed") and hasattr(graph, "edges") and hasattr(graph, "nodes")):
        raise _hesse.ArgumentTypeError(
            f"from_networkx: graph must be one of networkx, got {type(graph).__name__}"
        )
    number = {node: i for i, node in enumerate(graph.nodes)}
    there, back, weights = [], [], []
    for u, v, data in graph.edges(data=True):
        if weight is not None and weight not in data:
            raise _hesse.ArgumentError(f"from_networkx: the edge {u!r} - {v!r} has no attribute {weight!r}")
        both = not graph.is_directed() and u != v
        for a, b in ((u, v), (v, u)) if both else ((u, v),):
            there.append(number[a])
            back.append(number[b])
            weights.append(data[weight] if weight is not None else 1.0)
    if x is not None:
        without = [node for node, data in graph.nodes(data=True) if x not in data]
        if without:
            raise _hesse.ArgumentError(f"from_networkx: the node {without[0]!r} has no attribute {x!r}")
        fields["x"] = np.array([data[x] for _, data in graph.nodes(data=True)])
    if weight is not None:
        fields["edge_weight"] = np.array(weights, float)
    return Graph(np.array([there, back], np.int64).reshape(2, -1), num_nodes=len(number), **fields)


def from_pyg(data: Any) -> Graph:
    """A `torch_geometric.data.Data` as a graph: edge_index, x, edge_attr, edge_weight, pos and y.

    Parameters
    ----------
    data : torch_geometric.data.Data
        Tensors are copied to NumPy arrays. A mask or another tensor with a row per node becomes `node_data`,
        one with a row per edge `edge_data`, and the rest `graph_data`.

    Returns
    -------
    Graph

    Raises
    ------
    TypeError
        For what has no edge_index.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.from_pyg(data)  # doctest: +SKIP
    Graph(2708 nodes, 10556 edges, x=float32[2708,1433], y=int64[2708])
    """
    if getattr(data, "edge_index", None) is None or not hasattr(data, "keys"):
        raise _hesse.ArgumentTypeError(
            f"from_pyg: data must be a torch_geometric Data with edge_index, got {type(data).__name__}"
        )

    def numpy(value: Any) -> Any:
        return np.array(value.detach().cpu().numpy())

    names = data.keys() if callable(data.keys) else data.keys
    arrays = {name: numpy(data[name]) for name in names if hasattr(data[name], "detach")}
    edges = arrays.pop("edge_index")
    known = {k: arrays.pop(k) for k in ("x", "edge_attr", "edge_weight", "pos", "y") if k in arrays}
    n, count = int(data.num_nodes), edges.shape[1]
    node_data, edge_data, graph_data = {}, {}, {}
    for name, value in arrays.items():
        rows = value.shape[0] if value.ndim else -1
        if rows == n and not (name.startswith("edge") and rows == count):
            node_data[name] = value
        elif rows == count:
            edge_data[name] = value
        else:
            graph_data[name] = value
    return Graph(edges, num_nodes=n, node_data=node_data, edge_data=edge_data, graph_data=graph_data, **known)
