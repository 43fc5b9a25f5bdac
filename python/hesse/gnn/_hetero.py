"""Graphs with several types of nodes and of edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..nn._module import Module
from ..sparse import CSR
from . import _segments as seg
from ._bipartite import Bipartite
from ._edges import checked_edges, length_of, numpy_of, ranks, rows_of
from ._graph import Graph

__all__ = ["EdgeType", "HeteroGraph", "hetero_batch", "hetero_unbatch", "name_of", "type_of"]

EdgeType = tuple[str, str, str]
_JOIN = "__"  # trees in files have names for keys: ("a", "to", "b") is kept as "a__to__b"


def name_of(function: str, edge_type: Any) -> str:
    """The name under which the edges of a type are kept, checked."""
    ok = isinstance(edge_type, tuple) and len(edge_type) == 3
    if not ok or not all(isinstance(word, str) and word and _JOIN not in word for word in edge_type):
        raise _hesse.ArgumentTypeError(
            f"{function}: a type of edges is (source type, relation, target type), three strings without '__', got "
            f"{edge_type!r}"
        )
    return _JOIN.join(edge_type)


def type_of(name: str) -> EdgeType:
    """The inverse of `name_of`."""
    a, relation, b = name.split(_JOIN)
    return a, relation, b


def _named(function: str, what: str, given: Mapping[Any, Any] | None, known: Any) -> dict[str, Any]:
    """Arrays by type of edges, each of a type that there is."""
    found = {name_of(function, k): v for k, v in (given or {}).items()}
    for name in found:
        if name not in known:
            raise _hesse.ArgumentError(
                f"{function}: {what} is given for {type_of(name)}, a type without edges"
            )
    return found


def _items(given: Any) -> list[tuple[Any, Any]]:
    return list(given.items()) if isinstance(given, Mapping) else []


class HeteroGraph(Module):
    """Nodes of several types, and edges of several types between them; or several such graphs side by side.

    Parameters
    ----------
    edges : dict
        By (source type, relation, target type): ``edge_index``, integers (2, E), sources above targets, both counted
        within their types.
    x : dict of arrays, optional
        By type of nodes: features (N, F). A type may lack them; what needs them says so.
    num_nodes : dict of int, optional
        By type of nodes; by default the rows of `x`, else the largest index in `edges` plus one.
    edge_attr, edge_weight : dict of arrays, optional
        By type of edges, in the order of its `edge_index`.
    y : dict of arrays, optional
        Targets by type of nodes, (N, ...).
    node_data : dict of dicts of arrays, optional
        Further arrays by type of nodes and name, such as masks.
    edge_data : dict of dicts of arrays, optional
        Further arrays by type of edges and name.
    graph_data : dict of arrays, optional
        Arrays of the whole graph by name, with a row per graph.

    Attributes
    ----------
    x, y, node_data : dict
        By type of nodes.
    node_graph, node_starts : dict of Array
        By type of nodes: which graph of a batch each is of, and where the graphs' nodes start.
    graph_mask : Array
        bool (G,): False for the graphs that only padding put there, as in `Graph`.

    Raises
    ------
    TypeError
        For a type of edges that is not three strings.
    ValueError, IndexError
        As for `Graph`, naming the type.

    Notes
    -----
    ``graph["author", "writes", "paper"]`` gives the edges of a type: a `Graph` where both ends have the same type, else
    a `Bipartite`. It is a tree, as `Graph` is.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.HeteroGraph(
    ...     {("author", "writes", "paper"): [[0, 0, 1], [0, 1, 2]], ("paper", "cites", "paper"): [[1, 2], [0, 0]]},
    ...     x={"author": hs.ones((2, 4)), "paper": hs.ones((3, 5))},
    ... )
    >>> graph
    HeteroGraph(2 author, 3 paper, 3 author-writes-paper, 2 paper-cites-paper)
    >>> graph["author", "writes", "paper"]
    Bipartite(2 sources, 3 targets, 3 edges)
    """

    __buffers__: ClassVar[tuple[str, ...]] = ("node_graph", "node_starts", "graph_mask")

    x: dict[str, Any]
    y: dict[str, Array]
    node_data: dict[str, dict[str, Array]]
    graph_data: dict[str, Array]
    node_graph: dict[str, Array]
    node_starts: dict[str, Array]
    graph_mask: Array
    edges: dict[str, Any]

    def __init__(
        self, edges: Mapping[EdgeType, Any], x: Mapping[str, Any] | None = None, *,
        num_nodes: Mapping[str, int] | None = None, edge_attr: Mapping[EdgeType, Any] | None = None,
        edge_weight: Mapping[EdgeType, Any] | None = None, y: Mapping[str, Any] | None = None,
        node_data: Mapping[str, Mapping[str, Any]] | None = None,
        edge_data: Mapping[EdgeType, Mapping[str, Any]] | None = None,
        graph_data: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        for what, given in (
            ("edges", edges), ("x", x), ("num_nodes", num_nodes), ("edge_attr", edge_attr), ("y", y),
            ("edge_weight", edge_weight), ("node_data", node_data), ("edge_data", edge_data),
            ("graph_data", graph_data), *((f"node_data[{k!r}]", v) for k, v in _items(node_data)),
            *((f"edge_data[{k!r}]", v) for k, v in _items(edge_data)),
        ):  # fmt: skip
            if not isinstance(given, Mapping) and (given is not None or what == "edges"):
                raise _hesse.ArgumentTypeError(
                    f"HeteroGraph: {what} must be a dict by types of nodes or edges, got {type(given).__name__}"
                )
        indices = {name_of("HeteroGraph", k): checked_edges(v) for k, v in edges.items()}
        sizes = self._count(indices, x or {}, num_nodes or {})
        attr, weight, data = (
            _named("HeteroGraph", what, given, indices)
            for what, given in (
                ("edge_attr", edge_attr), ("edge_weight", edge_weight), ("edge_data", edge_data),
            )
        )  # fmt: skip

        def rows(what: str, kind: str, value: Any) -> Any:
            if kind not in sizes:
                raise _hesse.ArgumentError(
                    f"HeteroGraph: {what} is given for nodes of type {kind!r}; types are {', '.join(sizes)}"
                )
            try:
                return rows_of(what, value, sizes[kind], f"{kind!r} node")
            except _hesse.ArgumentError as error:
                raise _hesse.ArgumentError(f"Hetero{error}") from None

        self.x = {k: rows(f"x[{k!r}]", k, v) for k, v in (x or {}).items()}
        self.y = {k: rows(f"y[{k!r}]", k, v) for k, v in (y or {}).items()}
        self.node_data = {
            k: {name: rows(f"node_data[{k!r}][{name!r}]", k, v) for name, v in more.items()}
            for k, more in (node_data or {}).items()
        }
        self.graph_data = {k: _hesse.asarray(v) for k, v in (graph_data or {}).items()}
        self.node_graph = {k: _hesse.zeros(n, dtype=_hesse.int64) for k, n in sizes.items()}
        self.node_starts = {k: _hesse.asarray(np.array([0, n], np.int64)) for k, n in sizes.items()}
        self.graph_mask = _hesse.ones(1, dtype=_hesse.bool)
        self.edges = {}
        for name, index in indices.items():
            source, _, target = type_of(name)
            arrays: dict[str, Any] = {
                "edge_attr": attr.get(name),
                "edge_weight": weight.get(name),
                "edge_data": data.get(name),
            }
            try:
                self.edges[name] = (
                    Graph(index, num_nodes=sizes[source], **arrays)
                    if source == target
                    else Bipartite(index, sizes[source], sizes[target], **arrays)
                )
            except (_hesse.ArgumentError, _hesse.OutOfRangeError) as error:
                raise type(error)(f"HeteroGraph: edges {type_of(name)}: {error}") from error

    @staticmethod
    def _count(
        indices: dict[str, np.ndarray[Any, Any]], x: Mapping[str, Any], given: Mapping[str, int]
    ) -> dict[str, int]:
        """How many nodes each type has; types in the order in which they are met."""
        kinds = dict.fromkeys(given if set(x) <= set(given) else [*x, *given])
        largest: dict[str, int] = {}
        for name, index in indices.items():
            source, _, target = type_of(name)
            for row, kind in enumerate((source, target)):
                kinds[kind] = None
                largest[kind] = max(largest.get(kind, 0), int(index[row].max(initial=-1)) + 1)
        sizes = {}
        for kind in kinds:
            if not isinstance(kind, str) or not kind or _JOIN in kind:
                raise _hesse.ArgumentTypeError(
                    f"HeteroGraph: a type of nodes is a string without '__', got {kind!r}"
                )
            if kind in given:
                n = given[kind]
                if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
                    raise _hesse.ArgumentError(
                        f"HeteroGraph: num_nodes[{kind!r}] must be an integer from 0 on, got {n!r}"
                    )
                sizes[kind] = int(n)
            else:
                sizes[kind] = length_of(f"x[{kind!r}]", x[kind]) if kind in x else largest.get(kind, 0)
        return sizes

    # ---- sizes -------------------------------------------------------------------------------------------------
    @property
    def node_types(self) -> list[str]:
        """The types of nodes."""
        return list(self.node_starts)

    @property
    def edge_types(self) -> list[EdgeType]:
        """The types of edges, (source type, relation, target type)."""
        return [type_of(name) for name in self.edges]

    @property
    def num_graphs(self) -> int:
        """1, or how many `batch` put together."""
        return next((s.shape[0] - 1 for s in self.node_starts.values()), 1)

    def num_nodes(self, node_type: str) -> int:
        """How many nodes of a type."""
        return self.node_graph[self._known(node_type)].shape[0]

    def node_mask(self, node_type: str) -> Array:
        """bool (N,): False for the nodes of padding of a type."""
        return seg.rows(self.graph_mask, self.node_graph[self._known(node_type)])

    def edge_mask(self, edge_type: EdgeType) -> Array:
        """bool (E,): False for the edges of padding of a type."""
        target = self[edge_type].target  # which refuses what is no type of edges
        return seg.rows(self.node_mask(edge_type[2]), target)

    def _known(self, node_type: str) -> str:
        if node_type not in self.node_starts:
            raise _hesse.ArgumentError(
                f"HeteroGraph: there are no nodes of type {node_type!r}; types are {', '.join(self.node_starts)}"
            )
        return node_type

    def __getitem__(self, edge_type: EdgeType) -> Any:
        """The edges of a type."""
        name = name_of("HeteroGraph", edge_type)
        if name not in self.edges:
            raise _hesse.ArgumentError(
                f"HeteroGraph: there are no edges {edge_type}; types are {', '.join(map(str, self.edge_types))}"
            )
        return self.edges[name]

    def nodes(self, node_type: str) -> Graph:
        """The nodes of a type as a graph without edges: for the poolings."""
        k = self._known(node_type)
        alone = Graph(
            np.zeros((2, 0), np.int64), self.x.get(k), num_nodes=self.num_nodes(k), y=self.y.get(k),
            node_data=self.node_data.get(k),
        )  # fmt: skip
        return alone.replace(
            node_graph=self.node_graph[k],
            node_starts=self.node_starts[k],
            graph_mask=self.graph_mask,
        )

    def __repr__(self) -> str:
        graphs = [f"{self.num_graphs} graphs"] if self.num_graphs != 1 else []
        nodes = [f"{v.shape[0]} {k}" for k, v in self.node_graph.items()]
        edges = [f"{v.num_edges} {k.replace(_JOIN, '-')}" for k, v in self.edges.items()]
        return f"HeteroGraph({', '.join(graphs + nodes + edges)})"

    # ---- other graphs ------------------------------------------------------------------------------------------
    def with_reversed(self) -> HeteroGraph:
        """Every edge in the other direction too, as a type of its own: (b, "rev_r", a) for (a, r, b)."""
        turned = dict(self.edges)
        for name, e in self.edges.items():
            a, relation, b = type_of(name)
            back = {"edge_attr": e.edge_attr, "edge_weight": e.edge_weight, "edge_data": e.edge_data}
            index = np.asarray(e.edge_index)[::-1]
            n, m = self.num_nodes(b), self.num_nodes(a)
            turned[_JOIN.join((b, f"rev_{relation}", a))] = (
                Graph(index, num_nodes=n, **back) if a == b else Bipartite(index, n, m, **back)
            )
        return self.replace(edges=turned)

    def to_homogeneous(self) -> Graph:
        """One graph of all nodes, type after type, and all edges.

        Returns
        -------
        Graph
            ``node_data["type"]`` and ``edge_data["type"]`` are positions in `node_types` and `edge_types`: the latter
            is the relation that `RGCNConv` takes. Features, targets and edge weights where all types have them, in
            rows of the same shape.

        Raises
        ------
        ValueError
            For a batch.

        Examples
        --------
        >>> import hesse as hs
        >>> graph = hs.gnn.HeteroGraph({("a", "to", "b"): [[0, 1], [0, 0]]}, num_nodes={"a": 2, "b": 1})
        >>> one = graph.to_homogeneous()
        >>> one.edge_index.tolist(), one.node_data["type"].tolist()
        ([[0, 1], [2, 2]], [0, 0, 1])
        """
        if self.num_graphs != 1:
            raise _hesse.ArgumentError("to_homogeneous: this is a batch; call it before batch")
        kinds = self.node_types
        sizes = [self.num_nodes(k) for k in kinds]
        first = dict(zip(kinds, np.cumsum([0, *sizes]), strict=False))

        def joined(values: list[Any]) -> Any:
            if not values or any(v is None or isinstance(v, CSR) for v in values):
                return None
            return _hesse.concat(values) if len({tuple(v.shape[1:]) for v in values}) == 1 else None

        index, counts = [np.zeros((2, 0), np.int64)], []
        for (a, _, b), e in zip(self.edge_types, self.edges.values(), strict=True):
            ends = numpy_of("to_homogeneous", "edges", e.edge_index)
            index.append(ends + np.array([[first[a]], [first[b]]]))
            counts.append(ends.shape[1])
        return Graph(
            np.concatenate(index, axis=1),
            joined([self.x.get(k) for k in kinds]),
            num_nodes=sum(sizes),
            y=joined([self.y.get(k) for k in kinds]),
            edge_attr=joined([e.edge_attr for e in self.edges.values()]),
            edge_weight=joined([e.edge_weight for e in self.edges.values()]),
            node_data={"type": np.repeat(np.arange(len(kinds)), sizes)},
            edge_data={"type": np.repeat(np.arange(len(counts)), counts)},
        )


def hetero_batch(graphs: Sequence[Any]) -> Any:
    """See `batch`."""
    for k, g in enumerate(graphs):
        if not isinstance(g, HeteroGraph):
            raise _hesse.ArgumentTypeError(f"batch: item {k} is a {type(g).__name__}, item 0 a HeteroGraph")
        for what, own, first in (
            ("nodes", g.node_starts, graphs[0].node_starts), ("edges", g.edges, graphs[0].edges),
        ):  # fmt: skip
            if set(own) != set(first):
                raise _hesse.ArgumentError(
                    f"batch: graph {k} has {what} of the types {sorted(own)}, graph 0 of {sorted(first)}"
                )
    if len(graphs) == 1:
        return graphs[0]
    kinds = graphs[0].node_types
    nodes = {k: np.cumsum([0, *(g.num_nodes(k) for g in graphs)]) for k in kinds}
    counts = np.cumsum([0, *(g.num_graphs for g in graphs)])

    def joined(name: str, values: Sequence[Any]) -> Any:
        missing = [k for k, v in enumerate(values) if v is None]
        if missing:
            raise _hesse.ArgumentError(f"batch: graph {missing[0]} has no {name}, another graph has")
        if any(isinstance(v, CSR) for v in values):
            raise _hesse.ArgumentTypeError(f"batch: {name} is sparse; use todense() first")
        values = [_hesse.reshape(v, (1,)) if v.ndim == 0 else v for v in values]
        tails = {tuple(v.shape[1:]) for v in values}
        if len(tails) != 1:
            raise _hesse.ArgumentError(
                f"batch: {name} has rows of different shapes, {' and '.join(map(str, sorted(tails)))}"
            )
        return _hesse.concat(values)

    def tables(name: str, given: Sequence[Mapping[Any, Any]]) -> dict[Any, Any]:
        keys = {k: None for table in given for k in table}
        return {k: joined(f"{name}[{k!r}]", [table.get(k) for table in given]) for k in keys}

    edges: dict[str, Any] = {}
    for name, (a, _, b) in zip(graphs[0].edges, graphs[0].edge_types, strict=True):
        parts = [g.edges[name] for g in graphs]
        first = np.cumsum([0, *(e.num_edges for e in parts)])
        index = np.concatenate(
            [
                np.asarray(e.edge_index) + np.array([[nodes[a][k]], [nodes[b][k]]])
                for k, e in enumerate(parts)
            ],
            axis=1,
        )
        arrays: dict[str, Any] = {
            field: joined(f"{field}[{name!r}]", [getattr(e, field) for e in parts])
            for field in ("edge_attr", "edge_weight")
            if any(getattr(e, field) is not None for e in parts)
        }
        arrays["edge_data"] = tables(f"edge_data[{name!r}]", [e.edge_data for e in parts])
        n, m = int(nodes[a][-1]), int(nodes[b][-1])
        made = Graph(index, num_nodes=n, **arrays) if a == b else Bipartite(index, n, m, **arrays)
        order = _hesse.concat([e.order + int(first[k]) for k, e in enumerate(parts)])
        edges[name] = made.replace(order=order)
    data = {k: [g.node_data.get(k, {}) for g in graphs] for k in kinds}
    starts = {
        k: np.concatenate(
            [nodes[k][:1], *(np.asarray(g.node_starts[k])[1:] + nodes[k][i] for i, g in enumerate(graphs))]
        )
        for k in kinds
    }
    return graphs[0].replace(
        x=tables("x", [g.x for g in graphs]),
        y=tables("y", [g.y for g in graphs]),
        node_data={k: tables(f"node_data[{k!r}]", v) for k, v in data.items() if any(v)},
        graph_data=tables("graph_data", [g.graph_data for g in graphs]),
        node_graph={
            k: _hesse.concat([g.node_graph[k] + int(counts[i]) for i, g in enumerate(graphs)]) for k in kinds
        },
        node_starts={k: _hesse.asarray(v.astype(np.int64)) for k, v in starts.items()},
        graph_mask=_hesse.concat([g.graph_mask for g in graphs]),
        edges=edges,
    )


def hetero_unbatch(graph: HeteroGraph) -> list[HeteroGraph]:
    """See `unbatch`."""
    count = graph.num_graphs
    if count == 1:
        return [graph]
    starts = {k: numpy_of("unbatch", "node_starts", v) for k, v in graph.node_starts.items()}
    for name, value in graph.graph_data.items():
        if value.ndim == 0 or value.shape[0] != count:
            raise _hesse.ArgumentError(
                f"unbatch: graph_data[{name!r}] of shape {value.shape} has no row for each of {count} graphs"
            )

    def edges_of(g: int, name: str, e: Any) -> Any:
        a, _, b = type_of(name)
        source, target = (slice(int(starts[k][g]), int(starts[k][g + 1])) for k in (a, b))
        into = numpy_of("unbatch", "target_starts", e.target_starts)
        own = slice(int(into[target.start]), int(into[target.stop]))
        ends = numpy_of("unbatch", "edges", e.edge_index)[:, own] - [[source.start], [target.start]]
        n, m = source.stop - source.start, target.stop - target.start
        if ends.size and (ends[0].min() < 0 or ends[0].max() >= n):
            raise _hesse.ArgumentError(f"unbatch: graph {g} has an edge {type_of(name)} from another graph")
        arrays: dict[str, Any] = {
            k: None if getattr(e, k) is None else getattr(e, k)[own] for k in e.EDGE_FIELDS
        }
        arrays["edge_data"] = {k: v[own] for k, v in e.edge_data.items()}
        made = Graph(ends, num_nodes=n, **arrays) if a == b else Bipartite(ends, n, m, **arrays)
        return made.replace(order=_hesse.asarray(ranks(numpy_of("unbatch", "order", e.order)[own])))

    def part(g: int) -> HeteroGraph:
        own = {k: slice(int(s[g]), int(s[g + 1])) for k, s in starts.items()}
        sizes = {k: s.stop - s.start for k, s in own.items()}
        return graph.replace(
            x={k: v[own[k]] for k, v in graph.x.items()},
            y={k: v[own[k]] for k, v in graph.y.items()},
            node_data={k: {n: v[own[k]] for n, v in t.items()} for k, t in graph.node_data.items()},
            graph_data={k: v[g : g + 1] for k, v in graph.graph_data.items()},
            node_graph={k: _hesse.zeros(n, dtype=_hesse.int64) for k, n in sizes.items()},
            node_starts={k: _hesse.asarray(np.array([0, n], np.int64)) for k, n in sizes.items()},
            graph_mask=_hesse.ones(1, dtype=_hesse.bool),
            edges={name: edges_of(g, name, e) for name, e in graph.edges.items()},
        )

    real = np.flatnonzero(numpy_of("unbatch", "graph_mask", graph.graph_mask))
    return [part(int(g)) for g in real]
