"""Graphs: nodes, edges sorted by target, and the arrays that belong to them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..sparse import CSR
from . import _segments as seg
from ._edges import Edges, checked_edges, described, length_of, numpy_of, rows_of

__all__ = ["Graph", "assembled", "numpy_of", "refuse_pairs", "refuse_self_loops"]


class Graph(Edges):
    """Nodes and directed edges between them, with arrays that belong to either; or several graphs side by side.

    A graph is a tree: it goes through `hs.compile`, `hs.grad` and files as models do. Sizes are read from
    shapes, so that a compiled function serves all graphs of the same sizes. Edges are kept sorted by target, in
    the order given within one target; what belongs to edges is put in that order too (`order` says how).
    Duplicate edges and self-loops are kept, nodes without edges are allowed, and so are graphs without nodes.

    Parameters
    ----------
    edge_index : array of integers, (2, E)
        Row 0 has the sources, row 1 the targets: edge e carries a message from ``edge_index[0, e]`` to
        ``edge_index[1, e]``. An undirected graph has every edge in both directions.
    x : array, (N, F), or `hs.sparse.CSR`, optional
        Features of nodes.
    num_nodes : int, optional
        By default the rows of `x` or `pos`, else the largest index plus one.
    edge_attr : array, (E, ...), optional
        Features of edges, in the order of `edge_index`.
    edge_weight : array, (E,), optional
        One number per edge, which layers multiply messages by.
    pos : array, (N, D), optional
        Positions of nodes.
    y : array, optional
        Targets: (N, ...) for nodes, or (1, ...) for the graph.
    node_data, edge_data, graph_data : dict of arrays, optional
        Further arrays by name, with a row per node, per edge, and per graph.
    paired : bool
        Whether every edge stands for both directions between its nodes, of which it is one: half of an undirected
        graph. `pairs` and `directed` turn one kind into the other. Layers say whether they take pairs, and refuse
        them otherwise.

    Attributes
    ----------
    source, target : Array
        int64 (E,), sorted by target.
    order : Array
        int64 (E,): position in the sorted edges to position in `edge_index` as given.
    target_starts : Array
        int64 (N + 1,): the edges into node i are ``target_starts[i]`` up to ``target_starts[i + 1]``.
    source_starts, by_source, targets_by_source : Array
        The same by source: the edges out of node j are ``by_source[source_starts[j]:source_starts[j + 1]]``.
    node_graph, node_starts : Array
        int64 (N,) and (G + 1,): which graph of a batch a node belongs to, and where the graphs' nodes start.
    graph_mask : Array
        bool (G,): False for the graphs that only `pad` put there; losses and metrics leave these out.

    Raises
    ------
    ValueError
        For an `edge_index` that is not (2, E), for arrays whose lengths do not fit, and for a pair of a node and
        itself, other than its image in a periodic system.
    IndexError
        For an edge with a negative index or one that is not below the number of nodes.
    TypeError
        For an `edge_index` that holds no integers.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1, 2], [1, 0, 1]], x=[[1.0], [10.0], [100.0]])
    >>> graph
    Graph(3 nodes, 3 edges, x=float64[3,1])
    >>> graph.edge_index
    Array([[1, 0, 2],
           [0, 1, 1]], dtype=int64)
    """

    __buffers__: ClassVar[tuple[str, ...]] = (*Edges.__buffers__, "node_graph", "node_starts", "graph_mask")
    NODE_FIELDS: ClassVar[tuple[str, ...]] = ("x", "pos")

    node_graph: Array
    node_starts: Array
    graph_mask: Array
    x: Any
    pos: Array | None
    y: Array | None
    node_data: dict[str, Array]
    graph_data: dict[str, Array]
    paired: bool

    def __init__(
        self,
        edge_index: Any,
        x: Any = None,
        *,
        num_nodes: int | None = None,
        edge_attr: Any = None,
        edge_weight: Any = None,
        pos: Any = None,
        y: Any = None,
        node_data: Mapping[str, Any] | None = None,
        edge_data: Mapping[str, Any] | None = None,
        graph_data: Mapping[str, Any] | None = None,
        paired: bool = False,
    ) -> None:
        edges = checked_edges(edge_index)
        n = self._count(edges, x, pos, num_nodes)
        bad = np.flatnonzero(((edges < 0) | (edges >= n)).any(axis=0))
        if bad.size:
            e = int(bad[0])
            s, t = (int(i) for i in edges[:, e])
            raise _hesse.OutOfRangeError(
                f"Graph: edge {e} goes from node {s} to node {t}, but nodes are 0 to {n - 1} "
                f"(num_nodes={n}); {len(bad)} edge(s) are out of range"
            )
        super().__init__(edges, n, n, edge_attr, edge_weight, edge_data)
        self.node_graph = _hesse.zeros(n, dtype=_hesse.int64)
        self.node_starts = _hesse.asarray(np.array([0, n], np.int64))
        self.graph_mask = _hesse.ones(1, dtype=_hesse.bool)

        def of_nodes(name: str, value: Any) -> Any:
            return None if value is None else rows_of(name, value, n, "node")

        self.x = of_nodes("x", x)
        self.pos = of_nodes("pos", pos)
        self.y = None if y is None else _hesse.asarray(y)
        self.node_data = {k: of_nodes(f"node_data[{k!r}]", v) for k, v in (node_data or {}).items()}
        self.graph_data = {k: _hesse.asarray(v) for k, v in (graph_data or {}).items()}
        self.paired = bool(paired)
        if self.paired:
            refuse_self_loops("Graph", self)

    @staticmethod
    def _count(edges: np.ndarray[Any, Any], x: Any, pos: Any, num_nodes: int | None) -> int:
        if num_nodes is not None:
            if isinstance(num_nodes, bool) or not isinstance(num_nodes, (int, np.integer)):
                raise _hesse.ArgumentTypeError(f"Graph: num_nodes must be an integer, got {num_nodes!r}")
            if num_nodes < 0:
                raise _hesse.ArgumentError(f"Graph: num_nodes must not be negative, got {num_nodes}")
            return int(num_nodes)
        for name, rows in (("x", x), ("pos", pos)):
            if rows is not None:
                return length_of(name, rows)
        return int(edges.max()) + 1 if edges.size else 0

    # ---- sizes -------------------------------------------------------------------------------------------------
    @property
    def num_graphs(self) -> int:
        """G: 1, or how many `batch` put together."""
        return self.node_starts.shape[0] - 1

    @property
    def node_mask(self) -> Array:
        """bool (N,): False for the nodes of padding."""
        return seg.rows(self.graph_mask, self.node_graph)

    @property
    def edge_mask(self) -> Array:
        """bool (E,): False for the edges of padding."""
        return seg.rows(self.node_mask, self.target)

    def __repr__(self) -> str:
        graphs = f"{self.num_graphs} graphs, " if self.num_graphs != 1 else ""
        named = {k: getattr(self, k) for k in ("x", "edge_attr", "edge_weight", "pos", "y")}
        sizes = f"{graphs}{self.num_nodes} nodes", f"{self.num_edges} {'pairs' if self.paired else 'edges'}"
        return described("Graph", sizes, named, self.node_data, self.edge_data, self.graph_data)

    # ---- matrices ----------------------------------------------------------------------------------------------
    def adjacency(self, values: Any = None) -> CSR:
        """The matrix A with A[target, source] = value: ``A @ x`` sums over incoming edges.

        Of a graph of pairs it has the edges that are stored, so the sum over neighbours is ``A @ x + A.T @ x``.

        Parameters
        ----------
        values : array, (E,), optional
            By default `edge_weight`, or ones in the dtype of `x`. Duplicate edges stay apart and add up.
        """
        return super().adjacency(values)

    def weights(self, dtype: Any = None) -> Array:
        """`edge_weight`, or ones of the dtype, by default that of `x`, (E,)."""
        return super().weights(self.x.dtype if dtype is None and self.x is not None else dtype)

    def degree(self, direction: str = "in", weighted: bool = False) -> Array:
        """How many edges end in ("in") or start from ("out") each node, (N,); weighted: the sum of their weights.

        In a graph of pairs it is how many pairs a node is in, whatever the direction: as in `directed`.

        Returns
        -------
        Array
            int64, or the dtype of `edge_weight`.
        """
        if not self.paired:
            return super().degree(direction, weighted)
        one_way = self.replace(paired=False)
        one_way.degree(direction)  # which checks it
        return one_way.degree("in", weighted) + one_way.degree("out", weighted)

    def normalised(self, kind: str = "sym") -> Graph:
        """The same graph with edge weights divided by degrees (sums of weights); 0 where a degree is 0.

        Parameters
        ----------
        kind : str
            With d the degree by incoming edges: "sym": w_ij / sqrt(d_i d_j) (Kipf and Welling 2017);
            "rw": w_ij / d_i, so that what a node gets is a mean; "left": w_ij over the degree of the source by
            outgoing edges, so that what a node sends is shared out. The latter two are not the same in both
            directions, and refused for a graph of pairs.
        """
        w = self.weights()
        if self.paired and kind in ("rw", "left"):
            refuse_pairs(f"normalised({kind!r})", self)
        if kind == "sym":
            d = seg.total(w, self.target, self.num_nodes)
            if self.paired:
                d = d + seg.total(w, self.source, self.num_nodes)
            d = _inverse(d, root=True)
            w = seg.rows(d, self.target) * w * seg.rows(d, self.source)
        elif kind == "rw":
            w = seg.rows(_inverse(seg.total(w, self.target, self.num_nodes)), self.target) * w
        elif kind == "left":
            w = seg.rows(_inverse(seg.total(w, self.source, self.num_nodes)), self.source) * w
        else:
            raise _hesse.ArgumentError(f"normalised: kind must be 'sym', 'rw' or 'left', got {kind!r}")
        return self.replace(edge_weight=w)

    def laplacian(self, kind: str | None = None) -> CSR:
        """D - A with A[target, source] = w and D its row sums; self-loops are left out.

        Parameters
        ----------
        kind : str, optional
            None: D - A; "sym": I - D^-1/2 A D^-1/2; "rw": I - D^-1 A. A node without edges has the row of I
            in the latter two.
        """
        if kind not in (None, "sym", "rw"):
            raise _hesse.ArgumentError(f"laplacian: kind must be None, 'sym' or 'rw', got {kind!r}")
        from .. import sparse

        refuse_pairs("laplacian", self)
        w = _hesse.where(self.source == self.target, 0, self.weights())
        plain = self.replace(edge_weight=w)
        n = self.num_nodes
        nodes = _hesse.arange(n)
        if kind is None:
            diagonal, w = plain.degree(weighted=True), -w
        else:
            diagonal, w = _hesse.ones(n, dtype=w.dtype), -plain.normalised(kind).weights()
        return sparse.coo(
            _hesse.concat([diagonal, w]),
            _hesse.concat([nodes, self.target]),
            _hesse.concat([nodes, self.source]),
            (n, n),
        )

    # ---- other graphs on the same nodes ------------------------------------------------------------------------
    def with_edges(self, edge_index: Any, take: Any = None, new: float = 0.0) -> Graph:
        """The same nodes with other edges; in a graph of pairs, with other pairs.

        Parameters
        ----------
        edge_index : array of integers, (2, M)
        take : array of integers, (M,), optional
            Which edge of this graph each has its arrays from; -1: `new` in all entries. Without it the edges
            have no arrays.
        new : float
        """
        from ._changes import with_edges

        return with_edges(self, edge_index, take, new)

    def _pairs(self, function: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        return numpy_of(function, "source", self.source), numpy_of(function, "target", self.target)

    def with_self_loops(self, fill_value: float = 1.0) -> Graph:
        """Adds an edge from every node to itself where there is none; its weight and attributes are `fill_value`.

        In a periodic system an edge to an image of its own node is none, and ``edge_data["shift"]`` of the new is 0.
        """
        refuse_pairs("with_self_loops", self)
        s, t = self._pairs("with_self_loops")
        missing = np.setdiff1d(np.arange(self.num_nodes), s[self_loops("with_self_loops", self)])
        edges = np.stack([np.concatenate([s, missing]), np.concatenate([t, missing])])
        take = np.concatenate([np.arange(len(s)), np.full(len(missing), -1)])
        return self.with_edges(edges, take, fill_value)

    def without_self_loops(self) -> Graph:
        """Leaves out the edges from a node to itself."""
        s, t = self._pairs("without_self_loops")
        keep = np.flatnonzero(~self_loops("without_self_loops", self))
        return self.with_edges(np.stack([s[keep], t[keep]]), keep)

    def coalesced(self, reduce: str = "sum") -> Graph:
        """Duplicate edges become one, whose weight and attributes are their "sum", "mean" or "max".

        Edges with different ``edge_data["shift"]`` lead to different images of a node: they stay apart.
        """
        from ._changes import merged

        refuse_pairs("coalesced", self)
        s, t = self._pairs("coalesced")
        return merged(self, "coalesced", s, t, np.arange(len(s)), np.zeros(len(s), bool), reduce)

    def undirected(self, reduce: str = "sum") -> Graph:
        """Every edge in both directions, each pair once; weights and attributes are reduced ("sum", "mean", "max").

        Under "sum" a weight given in both directions counts twice, as in A + A^T. The reverse of an edge has the
        opposite ``edge_data["shift"]``.
        """
        from ._changes import merged

        refuse_pairs("undirected", self)
        s, t = self._pairs("undirected")
        take = np.arange(len(s))
        both = np.concatenate([s, t]), np.concatenate([t, s])
        turned = np.arange(2 * len(s)) >= len(s)
        return merged(self, "undirected", *both, np.concatenate([take, take]), turned, reduce)

    def is_undirected(self) -> bool:
        """Whether every edge has its reverse, as often and with the same weight; a graph of pairs stands for one."""
        if self.paired:
            return True
        s, t = self._pairs("is_undirected")
        columns = [np.zeros(len(s))]
        if self.edge_weight is not None:
            columns = [numpy_of("is_undirected", "edge_weight", self.edge_weight)]
        there, back = np.lexsort((*columns, s, t)), np.lexsort((*columns, t, s))
        same = (s[there] == t[back]).all() and (t[there] == s[back]).all()
        return bool(same and (columns[0][there] == columns[0][back]).all())

    def has_self_loops(self) -> bool:
        """Whether an edge goes from a node to itself."""
        return bool(self_loops("has_self_loops", self).any())

    def pairs(self) -> Graph:
        """An undirected graph with one edge for both directions: messages both ways share what is the same for both.

        Of every edge and its reverse one is kept: that from the node with the lower number or, between a node and its
        image, the one whose shift has a positive first entry that is not 0. `message_passing`, `CFConv`, `SchNet` and
        poolings take such graphs, `batch`, `pad`, `DataLoader` and `subgraph` keep them so.

        Returns
        -------
        Graph
            With ``paired=True`` and half of the edges; itself where it has pairs already.

        Raises
        ------
        ValueError
            For an edge without its reverse (as often and, in a periodic system, with the opposite
            ``edge_data["shift"]``), for a self-loop, and for arrays of edges that differ between the two directions.

        Examples
        --------
        >>> import hesse as hs
        >>> path = hs.gnn.Graph([[0, 1, 1, 2], [1, 0, 2, 1]], edge_weight=[3.0, 3.0, 5.0, 5.0])
        >>> half = path.pairs()
        >>> half, half.edge_weight
        (Graph(3 nodes, 2 pairs, edge_weight=float64[2]), Array([3., 5.], dtype=float64))
        >>> x = hs.array([[1.0], [10.0], [100.0]])
        >>> hs.gnn.message_passing(lambda xi, xj, w: (w * xj, w * xi), "sum", x, half, half.edge_weight)
        Array([[ 30.],
               [503.],
               [ 50.]], dtype=float64)
        """
        from ._undirected import pairs

        return pairs(self)

    def directed(self) -> Graph:
        """A graph of pairs with every edge in both directions: the inverse of `pairs`, but for the order of edges.

        Both directions have the arrays of the pair, and opposite shifts. A graph without pairs is returned as it is.

        Examples
        --------
        >>> import hesse as hs
        >>> hs.gnn.Graph([[0, 1], [1, 2]], paired=True).directed().edge_index
        Array([[1, 0, 2, 1],
               [0, 1, 1, 2]], dtype=int64)
        """
        from ._undirected import directed

        return directed(self)

    def subgraph(self, nodes: Any) -> Graph:
        """The graph of some nodes, in the order given, and the edges between them.

        Parameters
        ----------
        nodes : array of integers (M,), or of booleans (N,)

        Raises
        ------
        IndexError
            For a node that there is not.
        ValueError
            For a node given twice, or nodes of a batch that do not come graph by graph.
        """
        from ._changes import subgraph

        return subgraph(self, nodes)


def assembled(fields: Mapping[str, Any], kind: type[Any] = Graph) -> Any:
    """A graph, or edges, of all its fields, which fit, in the order of one that was constructed: the same tree."""
    made = object.__new__(kind)
    for part in reversed(kind.__mro__):
        for name, annotation in inspect.get_annotations(part).items():
            if not annotation.startswith("ClassVar"):
                object.__setattr__(made, name, fields[name])
    return made


def refuse_pairs(function: str, graph: Graph) -> None:
    """Where the edges that are stored would be taken for all of them."""
    if graph.paired:
        raise _hesse.ArgumentError(
            f"{function}: the graph has pairs of nodes, each once, and {function} needs edges in both directions: use "
            "graph.directed(); message_passing, CFConv, SchNet and poolings take pairs"
        )


def self_loops(function: str, graph: Graph) -> np.ndarray[Any, Any]:
    """Which edges join a node to itself, and not to an image of itself: bool (E,)."""
    s, t = graph._pairs(function)
    loops: np.ndarray[Any, Any] = s == t
    if loops.any() and "shift" in graph.edge_data:
        loops &= ~shifts(function, graph).any(axis=1)
    return loops


def shifts(function: str, graph: Graph) -> np.ndarray[Any, Any]:
    """By how much the image of an edge's source is moved, (E, D); D is 0 where edges have no ``shift``."""
    if "shift" not in graph.edge_data:
        return np.zeros((graph.num_edges, 0))
    shift = numpy_of(function, "edge_data['shift']", graph.edge_data["shift"])
    return shift.reshape(len(shift), int(np.prod(shift.shape[1:])))


def refuse_self_loops(function: str, graph: Graph) -> None:
    """A pair joins two nodes, or a node to an image of itself: a self-loop has no other direction."""
    loops = self_loops(function, graph)
    if loops.any():
        node = int(graph._pairs(function)[0][np.flatnonzero(loops)[0]])
        raise _hesse.ArgumentError(
            f"{function}: node {node} is joined to itself, which is no pair ({int(loops.sum())} such edge(s)); "
            "without_self_loops() leaves these out"
        )


def _inverse(d: Array, root: bool = False) -> Array:
    """1 / d, or 1 / sqrt(d); 0 where d is 0."""
    positive = d > 0
    safe = _hesse.where(positive, d, 1)
    return _hesse.where(positive, _hesse.rsqrt(safe) if root else 1 / safe, 0)
