"""Graphs from what other packages hold; each of these is imported only when it is met."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .. import _hesse
from ..sparse import CSR
from ._graph import Graph, numpy_of, refuse_pairs
from ._hetero import HeteroGraph

__all__ = ["from_dense", "from_networkx", "from_pyg", "from_scipy", "to_pyg"]


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


def from_pyg(data: Any) -> Any:
    """A `torch_geometric.data.Data` as a graph: edge_index, x, edge_attr, edge_weight, pos and y; or a `HeteroData`.

    Parameters
    ----------
    data : torch_geometric.data.Data or HeteroData
        Tensors are copied to NumPy arrays. A mask or another tensor with a row per node becomes `node_data`,
        one with a row per edge `edge_data`, and the rest `graph_data`. With as many edges as nodes, those whose names
        begin with "edge" are of edges; with as many graphs as nodes or edges, tensors are not of graphs. ``batch``,
        with ``ptr`` where it is there, says which graph of a batch each node is of.

    Returns
    -------
    Graph or HeteroGraph
        Of as many graphs as the batch has.

    Raises
    ------
    TypeError
        For what has no edge_index.
    ValueError
        For a ``batch`` whose nodes do not come graph by graph, and one that only some types of nodes have.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.from_pyg(data)  # doctest: +SKIP
    Graph(2708 nodes, 10556 edges, x=float32[2708,1433], y=int64[2708])
    """
    if hasattr(data, "node_types") and hasattr(data, "edge_types"):
        return _from_hetero(data)
    if getattr(data, "edge_index", None) is None or not hasattr(data, "keys"):
        raise _hesse.ArgumentTypeError(
            f"from_pyg: data must be a torch_geometric Data with edge_index, got {type(data).__name__}"
        )

    arrays = _tensors(data)
    edges = arrays.pop("edge_index")
    known = {k: arrays.pop(k) for k in ("x", "edge_attr", "edge_weight", "pos", "y") if k in arrays}
    n, count = int(data.num_nodes), edges.shape[1]
    of, graphs = _batch_of("batch", arrays, n)
    mask = _graph_mask(arrays, graphs)
    node_data, edge_data, graph_data = {}, {}, {}
    for name, value in arrays.items():
        rows = value.shape[0] if value.ndim else -1
        if rows == n and not (name.startswith("edge") and rows == count):
            node_data[name] = value
        elif rows == count:
            edge_data[name] = value
        else:
            graph_data[name] = value
    made = Graph(edges, num_nodes=n, node_data=node_data, edge_data=edge_data, graph_data=graph_data, **known)
    if of is None:
        return made
    return made.replace(node_graph=_hesse.asarray(of), node_starts=_starts(of, graphs), graph_mask=mask)


_Numbers = np.ndarray[Any, Any]
_MOST_EMPTY = 1_000_000  # graphs: more are a mistake, and may not fit into memory


def _batch_of(name: str, arrays: dict[str, Any], n: int) -> tuple[_Numbers | None, int]:
    """Which graph each node is of, and how many graphs there are; takes both out of the tensors of nodes."""
    of = arrays.get("batch")
    if of is None or of.shape != (n,) or of.dtype.kind not in "iu":
        return None, 1
    del arrays["batch"]
    of = of.astype(np.int64)
    wrong = np.flatnonzero(np.diff(of, prepend=0) < 0)
    if wrong.size:
        raise _hesse.ArgumentError(
            f"from_pyg: {name} must ascend from 0 on, so that nodes come graph by graph, but is {of[wrong[0]]} at node "
            f"{wrong[0]}; sort the nodes by it, or give it another name to have it in node_data"
        )
    graphs = int(of[-1]) + 1 if n else 1
    ptr = arrays.get("ptr")
    if ptr is not None and ptr.ndim == 1 and ptr.dtype.kind in "iu":
        del arrays["ptr"]
        graphs = len(ptr) - 1  # the last graphs may have no nodes
        if not np.array_equal(ptr, np.searchsorted(of, np.arange(graphs + 1))):
            raise _hesse.ArgumentError(
                f"from_pyg: ptr, {len(ptr)} starts from {ptr[:1].tolist()} to {ptr[-1:].tolist()}, is not where the "
                f"graphs of {name} start; leave it out"
            )
    elif graphs > n + _MOST_EMPTY:
        raise _hesse.ArgumentError(
            f"from_pyg: {name} ends with graph {graphs - 1}, of {n} nodes; number the graphs from 0 on"
        )
    return of, graphs


def _graph_mask(arrays: dict[str, Any], graphs: int) -> Any:
    """Which graphs are no padding, as `to_pyg` writes it for a padded batch."""
    mask = arrays.get("graph_mask")
    if mask is None or mask.shape != (graphs,) or mask.dtype != bool or graphs == 1:
        return _hesse.ones(graphs, dtype=_hesse.bool)
    return _hesse.asarray(arrays.pop("graph_mask"))


def _starts(of: _Numbers, graphs: int) -> Any:
    return _hesse.asarray(np.searchsorted(of, np.arange(graphs + 1)).astype(np.int64))


def _tensors(store: Any) -> dict[str, Any]:
    names = store.keys() if callable(store.keys) else store.keys
    return {
        name: np.array(store[name].detach().cpu().numpy()) for name in names if hasattr(store[name], "detach")
    }


def _from_hetero(data: Any) -> HeteroGraph:
    x: dict[str, Any] = {}
    y: dict[str, Any] = {}
    sizes, node_data, of = {}, {}, {}
    graphs = 1
    for kind in data.node_types:
        arrays = _tensors(data[kind])
        sizes[kind] = int(data[kind].num_nodes)
        of[kind], count = _batch_of(f"batch of nodes {kind!r}", arrays, sizes[kind])
        graphs = max(graphs, count)
        for name, known in (("x", x), ("y", y)):
            if name in arrays:
                known[kind] = arrays.pop(name)
        if arrays:
            node_data[kind] = arrays
    attr: dict[Any, Any] = {}
    weight: dict[Any, Any] = {}
    edges, edge_data = {}, {}
    for edge_type in data.edge_types:
        arrays = _tensors(data[edge_type])
        if "edge_index" not in arrays:
            raise _hesse.ArgumentTypeError(f"from_pyg: the edges {edge_type} have no edge_index")
        edges[edge_type] = arrays.pop("edge_index")
        for name, known in (("edge_attr", attr), ("edge_weight", weight)):
            if name in arrays:
                known[edge_type] = arrays.pop(name)
        edge_data[edge_type] = arrays
    without = [kind for kind, ids in of.items() if ids is None and sizes[kind]]
    if graphs > 1 and without:
        raise _hesse.ArgumentError(
            f"from_pyg: nodes of the type {without[0]!r} have no batch, those of another type have; add it, an integer "
            "for each node, ascending"
        )
    graph_data = _tensors(data.stores[0])  # that of the whole graph
    mask = _graph_mask(graph_data, graphs)
    made = HeteroGraph(
        edges, x, num_nodes=sizes, edge_attr=attr, edge_weight=weight, y=y, node_data=node_data,
        edge_data=edge_data, graph_data=graph_data,
    )  # fmt: skip
    if graphs == 1:
        return made
    ids = {kind: np.zeros(0, np.int64) if own is None else own for kind, own in of.items()}
    return made.replace(
        node_graph={kind: _hesse.asarray(own) for kind, own in ids.items()},
        node_starts={kind: _starts(own, graphs) for kind, own in ids.items()},
        graph_mask=mask,
    )


def to_pyg(graph: Any) -> Any:
    """A graph as a `torch_geometric.data.Data`, or a heterogeneous one as a `HeteroData`.

    Parameters
    ----------
    graph : Graph or HeteroGraph
        Arrays are copied to tensors; those of `node_data`, `edge_data` and `graph_data` keep their names. Edges are in
        the graph's order. Of a batch, ``batch`` says which graph a node is of and ``ptr`` where the graphs' nodes start
        and, if it has padding, ``graph_mask`` which graphs are none.

    Returns
    -------
    torch_geometric.data.Data or HeteroData

    Raises
    ------
    TypeError
        For what is no graph, and sparse features.
    ValueError
        For a name in `node_data`, `edge_data` or `graph_data` that a field has already, and for a graph of pairs.
    ImportError
        Without PyTorch Geometric.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.to_pyg(hs.gnn.Graph([[0], [1]], x=hs.ones((2, 3))))  # doctest: +SKIP
    Data(x=[2, 3], edge_index=[2, 1], num_nodes=2)
    """
    if not isinstance(graph, (Graph, HeteroGraph)):
        raise _hesse.ArgumentTypeError(
            f"to_pyg: graph must be a Graph or HeteroGraph, got {type(graph).__name__}"
        )
    if isinstance(graph, Graph):
        refuse_pairs("to_pyg", graph)
    try:
        torch, pyg = (importlib.import_module(name) for name in ("torch", "torch_geometric.data"))
    except ImportError as error:
        raise ImportError("to_pyg needs PyTorch Geometric: pip install torch torch_geometric") from error

    def fill(store: Any, *tables: dict[str, Any]) -> None:
        filled: set[str] = set()
        for table in tables:
            for name, value in table.items():
                if value is None:
                    continue
                if isinstance(value, CSR):
                    raise _hesse.ArgumentTypeError(f"to_pyg: {name} is sparse; use {name}.todense() first")
                if name in filled:
                    raise _hesse.ArgumentError(f"to_pyg: two arrays would have the name {name!r}")
                filled.add(name)
                store[name] = torch.from_numpy(np.array(numpy_of("to_pyg", name, value)))

    mask = numpy_of("to_pyg", "graph_mask", graph.graph_mask)
    masked = {} if mask.all() else {"graph_mask": mask}
    if isinstance(graph, Graph):
        data = pyg.Data()
        known = {k: getattr(graph, k) for k in ("x", "edge_index", "edge_attr", "edge_weight", "pos", "y")}
        if graph.num_graphs != 1:
            known |= {"batch": graph.node_graph, "ptr": graph.node_starts}
        fill(data, known, graph.node_data, graph.edge_data, graph.graph_data, masked)
        data.num_nodes = graph.num_nodes
        return data
    data = pyg.HeteroData()
    for kind in graph.node_types:
        known = {"x": graph.x.get(kind), "y": graph.y.get(kind)}
        if graph.num_graphs != 1:
            known |= {"batch": graph.node_graph[kind], "ptr": graph.node_starts[kind]}
        fill(data[kind], known, graph.node_data.get(kind, {}))
        data[kind].num_nodes = graph.num_nodes(kind)
    for edge_type in graph.edge_types:
        edges = graph[edge_type]
        known = {k: getattr(edges, k) for k in ("edge_index", "edge_attr", "edge_weight")}
        fill(data[edge_type], known, edges.edge_data)
    fill(data, graph.graph_data, masked)
    return data
