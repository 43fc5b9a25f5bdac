"""Graphs side by side as NumPy arrays, of one type of nodes and edges or of several; some of them as one, padded."""

from __future__ import annotations

import dataclasses
from operator import index
from typing import Any

import numpy as np

from .. import _hesse
from ..sparse import CSR
from ._bipartite import Bipartite
from ._edges import padding_pairs, ranks
from ._graph import Graph, assembled, numpy_of
from ._hetero import HeteroGraph, type_of

__all__ = ["Data", "GraphUnion", "refuse_sparse"]

Data = np.ndarray[Any, Any]
_STRUCTURE = (
    "source", "target", "order", "target_starts", "source_starts", "by_source", "targets_by_source",
)  # fmt: skip


@dataclasses.dataclass
class _Ends:
    """The edges of a type."""

    source_type: str
    target_type: str
    structure: dict[str, Data]
    starts: Data  # where each graph's edges start
    arrays: dict[str, Data]
    paired: bool


@dataclasses.dataclass
class GraphUnion:
    """Graphs side by side, from which graphs are picked by index arithmetic alone.

    A `Graph` has one type of nodes and one of edges, both "". Sizes are tuples: for each type of nodes how many nodes,
    for each type of edges how many edges, and last, where they are to be padded, how many graphs.
    """

    hetero: bool
    node_starts: dict[str, Data]  # all by type
    nodes: dict[str, dict[str, Data]]
    edges: dict[str, _Ends]
    graphs: dict[str, Data]  # what has a row per graph
    graph_mask: Data

    @staticmethod
    def of(function: str, graph: Graph | HeteroGraph) -> GraphUnion:
        def data(name: str, value: Any) -> Data:
            return numpy_of(function, name, value)

        def arrays(owner: Any, *fields: str) -> dict[str, Data]:
            found: dict[str, Data] = {}
            for name in fields:
                value = getattr(owner, name)
                if isinstance(value, dict):
                    found.update({f"{name}.{k}": data(f"{name}[{k!r}]", v) for k, v in value.items()})
                elif value is not None:
                    found[name] = data(name, value)
            return found

        edges: dict[str, Any] = graph.edges if isinstance(graph, HeteroGraph) else {"": graph}
        graphs = arrays(graph, "graph_data")
        if isinstance(graph, HeteroGraph):
            starts = {k: data("node_starts", v) for k, v in graph.node_starts.items()}
            nodes = {k: arrays(graph.nodes(k), "x", "y", "node_data") for k in graph.node_types}
        else:
            starts = {"": data("node_starts", graph.node_starts)}
            nodes = {"": arrays(graph, *Graph.NODE_FIELDS, "node_data")}
            if graph.y is not None:
                y = data("y", graph.y)
                y = y.reshape(1) if y.ndim == 0 else y
                per_node = y.shape[0] == graph.num_nodes and graph.num_nodes != graph.num_graphs
                (nodes[""] if per_node else graphs)["y"] = y
        count = graph.num_graphs
        for name, value in graphs.items():
            if value.ndim == 0 and count == 1:
                graphs[name] = value.reshape(1)
            elif value.ndim == 0 or value.shape[0] != count:
                per = f"neither for each of {graph.num_nodes} nodes nor" if name == "y" else "not"
                raise _hesse.ArgumentError(
                    f"{function}: {name} of shape {value.shape} has a row {per} for each of {count} graphs; give "
                    "every graph's with a first axis of length 1"
                )
        made = {}
        for name, e in edges.items():
            a, _, b = type_of(name) if name else ("", "", "")
            structure = {field: data(field, getattr(e, field)) for field in _STRUCTURE}
            of, to = (
                np.searchsorted(starts[k], structure[end], side="right")
                for k, end in ((a, "source"), (b, "target"))
            )
            if (of != to).any():
                types = f" {type_of(name)}" if name else ""
                raise _hesse.ArgumentError(
                    f"{function}: graph {to[of != to][0] - 1} has an edge{types} from another graph"
                )
            structure["order"] = ranks(structure["order"], to)
            made[name] = _Ends(
                a, b, structure, structure["target_starts"][starts[b]],
                arrays(e, *e.EDGE_FIELDS, "edge_data"), getattr(e, "paired", False),
            )  # fmt: skip
        mask = data("graph_mask", graph.graph_mask)
        return GraphUnion(isinstance(graph, HeteroGraph), starts, nodes, made, graphs, mask)

    # ---- sizes -------------------------------------------------------------------------------------------------
    def counts(self, which: Data) -> list[Data]:
        """How many nodes and edges of each type each of some graphs has."""
        starts = [*self.node_starts.values(), *(e.starts for e in self.edges.values())]
        return [s[which + 1] - s[which] for s in starts]

    @property
    def spare(self) -> tuple[int, ...]:
        """What padding has at least: two nodes and an edge of each type."""
        return (2,) * len(self.node_starts) + (1,) * len(self.edges)

    def named(self, size: tuple[int, ...]) -> tuple[Any, Any]:
        """A size as users see it: numbers of nodes and of edges or, of several types, dicts of these."""
        if not self.hetero:
            return size[0], size[1]
        n = len(self.node_starts)
        return dict(zip(self.node_starts, size[:n], strict=True)), dict(
            zip(map(type_of, self.edges), size[n:], strict=True)
        )

    def size_of(self, nodes: Any, edges: Any) -> tuple[int, ...]:
        """The inverse of `named`."""
        if not self.hetero:
            return index(nodes), index(edges)
        kinds, types = list(self.node_starts), [type_of(name) for name in self.edges]
        if set(nodes) != set(kinds) or set(edges) != set(types):
            raise _hesse.ArgumentError(
                f"DataLoader: pad must have all types of nodes, {kinds}, and of edges, {types}, and no others, got "
                f"{list(nodes)} and {list(edges)}"
            )
        return (*(index(nodes[k]) for k in kinds), *(index(edges[t]) for t in types))

    # ---- what padding is made of -------------------------------------------------------------------------------
    def _ends(self, kind: str) -> Data:
        """Two nodes: the source of the first edge that leaves the type, and the target of the first that enters it."""
        found: list[int | None] = [None, None]
        for e in self.edges.values():
            for k, (of, end) in enumerate(((e.source_type, "source"), (e.target_type, "target"))):
                if of == kind and found[k] is None and len(e.structure[end]):
                    found[k] = int(e.structure[end][0])
        some = next((n for n in found if n is not None), 0)
        return np.array([some if n is None else n for n in found], np.int64)

    def _model(self) -> int:
        """The graph of the first edge, or the first that has nodes."""
        for e in self.edges.values():
            if len(e.structure["target"]):
                starts = self.node_starts[e.target_type]
                return int(np.searchsorted(starts, e.structure["target"][0], side="right")) - 1
        counts: Any = sum(np.diff(starts) for starts in self.node_starts.values())
        return int(np.argmax(counts > 0))

    # ---- some of them ------------------------------------------------------------------------------------------
    def take(self, which: Data, size: tuple[int, ...] | None = None) -> Any:
        """Some of the graphs in the order given as one, padded to a size with a number of graphs."""
        count = len(which)
        more_graphs = 0 if size is None else size[-1] - count
        wanted = iter(size or ())
        up: dict[str, Data] = {}
        real, more = {}, {}
        rows, node_graph, node_starts = {}, {}, {}
        for kind, was in self.node_starts.items():
            counts = was[which + 1] - was[which]
            starts = _starts(counts)
            n = real[kind] = int(starts[-1])
            more[kind] = 0 if size is None else next(wanted) - n
            up[kind] = starts[:-1] - was[which]
            own = np.arange(n) - np.repeat(up[kind], counts)
            rows[kind] = _joined(own, np.resize(self._ends(kind), more[kind]))
            node_graph[kind] = _joined(np.repeat(np.arange(count), counts), np.full(more[kind], count))
            node_starts[kind] = _joined(starts, np.full(more_graphs, n + more[kind]))
        edges: dict[str, dict[str, Any]] = {}
        for name, e in self.edges.items():
            a, b, old = e.source_type, e.target_type, e.structure
            counts = e.starts[which + 1] - e.starts[which]
            starts = _starts(counts)
            m = int(starts[-1])
            extra = 0 if size is None else next(wanted) - m
            moved = np.repeat(starts[:-1] - e.starts[which], counts)
            own = np.arange(m) - moved
            to_source, to_target = np.repeat(up[a], counts), np.repeat(up[b], counts)
            pairs = padding_pairs(extra, more[a], more[b])
            source, target, added = real[a] + 2 * pairs, real[b] + 2 * pairs + 1, np.arange(m, m + extra)
            into = np.bincount(2 * pairs + 1, minlength=more[b])
            out = np.bincount(2 * pairs, minlength=more[a])
            structure = {
                "source": _joined(old["source"][own] + to_source, source),
                "target": _joined(old["target"][own] + to_target, target),
                "order": _joined(old["order"][own] + moved, added),
                "target_starts": _starts(_joined(_degrees(old["target_starts"], rows[b][: real[b]]), into)),
                "source_starts": _starts(_joined(_degrees(old["source_starts"], rows[a][: real[a]]), out)),
                "by_source": _joined(old["by_source"][own] + moved, added),
                "targets_by_source": _joined(old["targets_by_source"][own] + to_target, target),
            }
            edges[name] = {
                "edge_attr": None, "edge_weight": None, "edge_data": {}, "paired": e.paired,
                **{field: _array(value) for field, value in structure.items()},
                **_picked(e.arrays, _joined(own, np.zeros(extra, np.int64))),
            }  # fmt: skip
        nodes = {k: _picked(table, rows[k]) for k, table in self.nodes.items()}
        graphs = _picked(self.graphs, _joined(which, np.full(more_graphs, self._model())))
        batched = {
            "node_graph": {k: _array(v) for k, v in node_graph.items()},
            "node_starts": {k: _array(v) for k, v in node_starts.items()},
            "graph_mask": _array(_joined(self.graph_mask[which], np.zeros(more_graphs, bool))),
        }
        if self.hetero:
            return _hetero_graph(nodes, edges, graphs, batched)
        fields = {k: v if k == "graph_mask" else v[""] for k, v in batched.items()}
        return assembled({**_blank(), **edges[""], **nodes[""], **graphs, **fields})


def _hetero_graph(
    nodes: dict[str, dict[str, Any]], edges: dict[str, dict[str, Any]], graphs: dict[str, Any],
    batched: dict[str, Any],
) -> HeteroGraph:  # fmt: skip
    made: dict[str, Any] = {}
    for name, fields in edges.items():
        a, _, b = type_of(name)
        if a != b:
            made[name] = assembled(fields, Bipartite)
            continue
        n = batched["node_graph"][a].shape[0]  # which graph a node is of, a graph of one type does not know
        one = {
            "node_graph": _hesse.zeros(n, dtype=_hesse.int64),
            "node_starts": _array(np.array([0, n])),
            "graph_mask": _hesse.ones(1, dtype=_hesse.bool),
        }
        made[name] = assembled({**_blank(), **fields, **one})
    by_type = {
        field: {k: v[field] for k, v in nodes.items() if field in v} for field in ("x", "y", "node_data")
    }
    fields = {**by_type, "graph_data": {}, **graphs, **batched, "edges": made}
    graph: HeteroGraph = assembled(fields, HeteroGraph)
    return graph


def _blank() -> dict[str, Any]:
    return {"x": None, "pos": None, "y": None, "node_data": {}, "graph_data": {}}


def _picked(arrays: dict[str, Data], rows: Data) -> dict[str, Any]:
    """Rows of arrays, as fields; what is named "field.key" goes into a dict."""
    found: dict[str, Any] = {}
    for name, value in arrays.items():
        taken = value[rows] if len(value) else np.zeros((len(rows), *value.shape[1:]), value.dtype)
        field, dot, key = name.partition(".")
        if dot:
            found.setdefault(field, {})[key] = _hesse.asarray(taken)
        else:
            found[field] = _hesse.asarray(taken)
    return found


def _array(value: Data) -> Any:
    return _hesse.asarray(value if value.dtype == bool else value.astype(np.int64, copy=False))


def _joined(real: Data, padding: Data) -> Data:
    return np.concatenate([real, padding]) if len(padding) else real


def _starts(counts: Data) -> Data:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _degrees(starts: Data, rows: Data) -> Data:
    degrees: Data = starts[rows + 1] - starts[rows]
    return degrees


def refuse_sparse(function: str, graph: Graph | HeteroGraph) -> None:
    tables = graph.x.items() if isinstance(graph, HeteroGraph) else [(None, graph.x)]
    for kind, x in tables:
        if isinstance(x, CSR):
            name = "x" if kind is None else f"x[{kind!r}]"
            raise _hesse.ArgumentTypeError(f"{function}: {name} is sparse; use {name}.todense() first")
