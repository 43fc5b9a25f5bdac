"""Several graphs as one, side by side, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..sparse import CSR
from ._edges import ranks
from ._graph import Graph, assembled, numpy_of
from ._hetero import HeteroGraph, hetero_batch, hetero_unbatch

__all__ = ["batch", "unbatch"]


@overload
def batch(graphs: Sequence[Graph]) -> Graph: ...
@overload
def batch(graphs: Sequence[HeteroGraph]) -> HeteroGraph: ...
def batch(graphs: Sequence[Any]) -> Any:
    """The disjoint union of graphs: one graph whose nodes and edges are theirs, one graph after the other.

    Parameters
    ----------
    graphs : sequence of Graph, or of HeteroGraph
        At least one, all with the same arrays, and all or none with pairs. `y` and `graph_data` are joined along
        axis 0; what is a scalar per graph becomes a vector.

    Returns
    -------
    Graph or HeteroGraph
        ``node_graph`` says which graph a node is of. `unbatch` takes it apart again.

    Raises
    ------
    ValueError
        Without graphs, or where one has an array, or pairs, that another lacks.
    TypeError
        For what is not a graph, and for sparse features.

    Examples
    --------
    >>> import hesse as hs
    >>> edge, path = hs.gnn.Graph([[0], [1]], y=1.0), hs.gnn.Graph([[0, 1], [1, 2]], y=2.0)
    >>> both = hs.gnn.batch([edge, path])
    >>> both
    Graph(2 graphs, 5 nodes, 3 edges, y=float64[2])
    >>> both.node_graph
    Array([0, 0, 1, 1, 1], dtype=int64)
    """
    graphs = list(graphs)
    if not graphs:
        raise _hesse.ArgumentError("batch: there are no graphs")
    if isinstance(graphs[0], HeteroGraph):
        return hetero_batch(graphs)
    for k, g in enumerate(graphs):
        if not isinstance(g, Graph):
            raise _hesse.ArgumentTypeError(f"batch: item {k} is a {type(g).__name__}, not a Graph")
        if isinstance(g.x, CSR):
            raise _hesse.ArgumentTypeError(f"batch: x of graph {k} is sparse; use x.todense() first")
    if len(graphs) == 1:
        return graphs[0]
    paired = [g.paired for g in graphs]
    if any(paired) and not all(paired):
        raise _hesse.ArgumentError(
            f"batch: graph {paired.index(True)} has pairs of nodes, each once, graph {paired.index(False)} has directed "
            "edges; use pairs() or directed() for all"
        )

    def joined(name: str, values: list[Any], grow: bool = False) -> Array | None:
        present = [v is not None for v in values]
        if not any(present):
            return None
        if not all(present):
            raise _hesse.ArgumentError(
                f"batch: graph {present.index(False)} has no {name}, graph {present.index(True)} has"
            )
        if grow:
            values = [_hesse.reshape(v, (1,)) if v.ndim == 0 else v for v in values]
        tails = {tuple(v.shape[1:]) for v in values}
        if len(tails) != 1:
            raise _hesse.ArgumentError(
                f"batch: {name} has rows of different shapes, {' and '.join(map(str, sorted(tails)))}"
            )
        return _hesse.concat(values)

    def dicts(field: str) -> dict[str, Any]:
        names = {name: None for g in graphs for name in getattr(g, field)}
        return {
            n: joined(f"{field}[{n!r}]", [getattr(g, field).get(n) for g in graphs], field == "graph_data")
            for n in names
        }

    def shifted(field: str, sizes: list[int], starts: bool = False) -> Array:
        """The graphs' indices, each moved up by what is before it; starts keep their last entry once."""
        parts, before = [], 0
        for k, (g, size) in enumerate(zip(graphs, sizes, strict=True)):
            part = getattr(g, field)
            if starts and k < len(graphs) - 1:
                part = part[:-1]
            parts.append(part + before)
            before += size
        return _hesse.concat(parts)

    nodes, edges = [g.num_nodes for g in graphs], [g.num_edges for g in graphs]
    fields: dict[str, Any] = {
        "source": shifted("source", nodes),
        "target": shifted("target", nodes),
        "order": shifted("order", edges),
        "target_starts": shifted("target_starts", edges, starts=True),
        "source_starts": shifted("source_starts", edges, starts=True),
        "by_source": shifted("by_source", edges),
        "targets_by_source": shifted("targets_by_source", nodes),
        "node_graph": shifted("node_graph", [g.num_graphs for g in graphs]),
        "node_starts": shifted("node_starts", nodes, starts=True),
        "graph_mask": _hesse.concat([g.graph_mask for g in graphs]),
        **{k: joined(k, [getattr(g, k) for g in graphs]) for k in ("x", "edge_attr", "edge_weight", "pos")},
        "y": joined("y", [g.y for g in graphs], grow=True),
        **{field: dicts(field) for field in ("node_data", "edge_data", "graph_data")},
        "paired": paired[0],
    }
    return assembled(fields)


@overload
def unbatch(graph: Graph) -> list[Graph]: ...
@overload
def unbatch(graph: HeteroGraph) -> list[HeteroGraph]: ...
def unbatch(graph: Any) -> Any:
    """The graphs that `batch` put together.

    Parameters
    ----------
    graph : Graph or HeteroGraph

    Returns
    -------
    list of Graph or of HeteroGraph
        Without those of padding. Each has its edges sorted by target. An array `y` or in `graph_data` with a row per
        graph gives one row to each; a `y` with a row per node is cut like `x`.

    Raises
    ------
    ValueError
        For an edge between two graphs, a `y` that has a row neither per node nor per graph, and `graph_data` without a
        row per graph.
    TypeError
        For what is no graph.

    Examples
    --------
    >>> import hesse as hs
    >>> graphs = [hs.gnn.Graph([[0], [1]]), hs.gnn.Graph([[0, 1], [1, 2]])]
    >>> hs.gnn.unbatch(hs.gnn.batch(graphs))
    [Graph(2 nodes, 1 edges), Graph(3 nodes, 2 edges)]
    """
    if isinstance(graph, HeteroGraph):
        return hetero_unbatch(graph)
    if not isinstance(graph, Graph):
        raise _hesse.ArgumentTypeError(
            f"unbatch: graph must be a Graph or a HeteroGraph, got a {type(graph).__name__}"
        )
    if graph.num_graphs == 1:
        return [graph]
    starts = numpy_of("unbatch", "node_starts", graph.node_starts)
    edge_starts = numpy_of("unbatch", "target_starts", graph.target_starts)[starts]
    edges = numpy_of("unbatch", "source", graph.source), numpy_of("unbatch", "target", graph.target)
    order = numpy_of("unbatch", "order", graph.order)
    n, count = graph.num_nodes, graph.num_graphs
    real = numpy_of("unbatch", "graph_mask", graph.graph_mask)

    def cut(value: Any, a: int, b: int) -> Any:
        return None if value is None else value[a:b]

    def of_graph(name: str, g: int) -> Callable[[Any], Any]:
        def row(value: Any) -> Any:
            if value is None:
                return None
            if value.ndim and value.shape[0] == count:
                return value[g : g + 1]
            if value.ndim and value.shape[0] == n and name == "y":
                return value[starts[g] : starts[g + 1]]
            raise _hesse.ArgumentError(
                f"unbatch: {name} of shape {value.shape} has a row neither for each of {n} nodes nor for each of "
                f"{count} graphs"
            )

        return row

    result = []
    for g in map(int, np.flatnonzero(real)):
        a, b = int(starts[g]), int(starts[g + 1])
        e, f = int(edge_starts[g]), int(edge_starts[g + 1])
        inside = np.stack([edges[0][e:f] - a, edges[1][e:f] - a])
        if inside.size and (inside.min() < 0 or inside.max() >= b - a):
            raise _hesse.ArgumentError(f"unbatch: graph {g} has an edge to another graph")
        made = Graph(
            inside,
            num_nodes=b - a,
            x=cut(graph.x, a, b),
            pos=cut(graph.pos, a, b),
            edge_attr=cut(graph.edge_attr, e, f),
            edge_weight=cut(graph.edge_weight, e, f),
            y=of_graph("y", g)(graph.y),
            node_data={k: cut(v, a, b) for k, v in graph.node_data.items()},
            edge_data={k: cut(v, e, f) for k, v in graph.edge_data.items()},
            graph_data={k: of_graph(f"graph_data[{k!r}]", g)(v) for k, v in graph.graph_data.items()},
            paired=graph.paired,
        )
        result.append(made.replace(order=_hesse.asarray(ranks(order[e:f]))))
    return result
