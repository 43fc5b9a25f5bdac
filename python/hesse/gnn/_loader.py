"""Mini-batches of graphs, padded to a few sizes so that compiled functions are prepared a few times only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..random import fold_in, next_key, permutation
from ..random import key as key_of
from ._batch import batch
from ._graph import Graph, assembled, numpy_of

__all__ = ["DataLoader", "pad"]

Data = np.ndarray[Any, Any]
_NODE_FIELDS = (*Graph.NODE_FIELDS, "node_data")
_EDGE_FIELDS = (*Graph.EDGE_FIELDS, "edge_data")


@dataclasses.dataclass
class _Union:
    """Graphs side by side as NumPy arrays, from which graphs are picked by index arithmetic alone."""

    structure: dict[str, Data]
    fields: dict[str, dict[str, Data]]  # "node", "edge" and "graph" to what has a row for each of them
    node_starts: Data
    edge_starts: Data
    paired: bool

    @staticmethod
    def of(function: str, graph: Graph) -> _Union:
        def data(name: str, value: Any) -> Data:
            return numpy_of(function, name, value)

        names = ("source", "target", "order", "target_starts", "source_starts", "by_source",
                 "targets_by_source", "node_starts", "graph_mask")  # fmt: skip
        structure = {name: data(name, getattr(graph, name)) for name in names}
        n, count = graph.num_nodes, graph.num_graphs
        fields: dict[str, dict[str, Data]] = {"node": {}, "edge": {}, "graph": {}}
        for kind, listed in (("node", _NODE_FIELDS), ("edge", _EDGE_FIELDS), ("graph", ("graph_data",))):
            for name in listed:
                value = getattr(graph, name)
                if isinstance(value, dict):
                    fields[kind].update({f"{name}.{k}": data(f"{name}[{k!r}]", v) for k, v in value.items()})
                elif value is not None:
                    fields[kind][name] = data(name, value)
        if graph.y is not None:
            y = data("y", graph.y)
            y = y.reshape(1) if y.ndim == 0 else y
            fields["node" if y.shape[0] == n and n != count else "graph"]["y"] = y
        for name, value in fields["graph"].items():
            if value.ndim == 0 and count == 1:
                fields["graph"][name] = value.reshape(1)
            elif value.ndim == 0 or value.shape[0] != count:
                nodes = f"neither for each of {n} nodes nor" if name == "y" else "not"
                raise _hesse.ArgumentError(
                    f"{function}: {name} of shape {value.shape} has a row {nodes} for each of {count} graphs; give "
                    "every graph's with a first axis of length 1"
                )
        starts = structure["node_starts"]
        return _Union(structure, fields, starts, structure["target_starts"][starts], graph.paired)

    def model(self) -> tuple[Data, int, int]:
        """What padding is made of: the two nodes of the first edge, that edge, and its graph."""
        s, t = self.structure["source"], self.structure["target"]
        if len(s):
            graph = np.searchsorted(self.node_starts, t[0], side="right") - 1
            return np.array([s[0], t[0]]), 0, int(graph)
        first = int(np.argmax(np.diff(self.node_starts) > 0))
        return np.array([self.node_starts[first]] * 2), 0, first

    def take(self, which: Data, sizes: tuple[int, int, int] | None = None) -> Graph:
        """Some of the graphs in the order given, padded to numbers of nodes, edges and graphs."""
        was = self.structure
        node_counts, edge_counts = np.diff(self.node_starts)[which], np.diff(self.edge_starts)[which]
        node_starts, edge_starts = _starts(node_counts), _starts(edge_counts)
        n, e, count = int(node_starts[-1]), int(edge_starts[-1]), len(which)
        up, edges_up = node_starts[:-1] - self.node_starts[which], edge_starts[:-1] - self.edge_starts[which]
        node_rows = np.arange(n) - np.repeat(up, node_counts)
        node_up, edge_up = np.repeat(up, edge_counts), np.repeat(edges_up, edge_counts)
        edge_rows = np.arange(e) - edge_up
        made = {
            "source": was["source"][edge_rows] + node_up,
            "target": was["target"][edge_rows] + node_up,
            "order": was["order"][edge_rows] + edge_up,
            "by_source": was["by_source"][edge_rows] + edge_up,
            "targets_by_source": was["targets_by_source"][edge_rows] + node_up,
            "target_starts": _starts(np.diff(was["target_starts"])[node_rows]),
            "source_starts": _starts(np.diff(was["source_starts"])[node_rows]),
            "node_graph": np.repeat(np.arange(count), node_counts),
            "node_starts": node_starts,
            "graph_mask": was["graph_mask"][which],
        }
        rows = {"node": node_rows, "edge": edge_rows, "graph": which}
        if sizes is not None:
            more_nodes, more_edges, more_graphs = sizes[0] - n, sizes[1] - e, sizes[2] - count
            nodes, edge, graph = self.model()
            pairs = np.arange(more_edges) * (more_nodes // 2) // max(more_edges, 1)
            source, target = n + 2 * pairs, n + 2 * pairs + 1
            extra = np.arange(e, e + more_edges)
            degree = np.bincount(2 * pairs, minlength=more_nodes)
            made = {
                "source": np.concatenate([made["source"], source]),
                "target": np.concatenate([made["target"], target]),
                "order": np.concatenate([made["order"], extra]),
                "by_source": np.concatenate([made["by_source"], extra]),
                "targets_by_source": np.concatenate([made["targets_by_source"], target]),
                "target_starts": np.concatenate([made["target_starts"], e + np.cumsum(np.roll(degree, 1))]),
                "source_starts": np.concatenate([made["source_starts"], e + np.cumsum(degree)]),
                "node_graph": np.concatenate([made["node_graph"], np.full(more_nodes, count)]),
                "node_starts": np.concatenate([node_starts, np.full(more_graphs, sizes[0])]),
                "graph_mask": np.concatenate([made["graph_mask"], np.zeros(more_graphs, bool)]),
            }
            rows = {
                "node": np.concatenate([node_rows, np.resize(nodes, more_nodes)]),
                "edge": np.concatenate([edge_rows, np.full(more_edges, edge)]),
                "graph": np.concatenate([which, np.full(more_graphs, graph)]),
            }
        return self._graph(made, rows)

    def _graph(self, structure: dict[str, Data], rows: dict[str, Data]) -> Graph:
        fields: dict[str, Any] = {"x": None, "edge_attr": None, "edge_weight": None, "pos": None, "y": None}
        fields.update({"node_data": {}, "edge_data": {}, "graph_data": {}, "paired": self.paired})
        for kind, arrays in self.fields.items():
            index = rows[kind]
            for name, value in arrays.items():
                taken = value[index] if len(value) else np.zeros((len(index), *value.shape[1:]), value.dtype)
                field, dot, key = name.partition(".")
                if dot:
                    fields[field][key] = _hesse.asarray(taken)
                else:
                    fields[field] = _hesse.asarray(taken)
        for name, value in structure.items():
            fields[name] = _hesse.asarray(value if value.dtype == bool else value.astype(np.int64))
        return assembled(fields)


def _starts(counts: Data) -> Data:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def pad(graph: Graph, num_nodes: int, num_edges: int, num_graphs: int) -> Graph:
    """The graph with as many nodes, edges and graphs, of which those added belong to graphs of their own.

    What is added comes last: one graph with the nodes and edges, then graphs without nodes. Its rows are copies of
    the first edge, of the two nodes of that edge and of their graph, so that a model meets no values in it that it
    does not meet in data: no lengths of zero, no labels that there are not. No edge joins it to other graphs, so
    layers and what is pooled per graph are the same as without it. Sums and means over nodes, edges or graphs leave
    it out by `Graph.node_mask`, `edge_mask` and `graph_mask`.

    Parameters
    ----------
    graph : Graph
        Usually of `batch`.
    num_nodes, num_edges, num_graphs : int
        After padding. Nodes are added to a graph that is added too, and edges to at least two nodes that are.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        For numbers below those of the graph, or too few nodes or graphs for what is added.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]], y=[2.0])
    >>> padded = hs.gnn.pad(graph, 6, 5, 2)
    >>> padded, padded.graph_mask
    (Graph(2 graphs, 6 nodes, 5 edges, x=float64[6,1], y=float64[2]), Array([ True, False], dtype=bool))
    >>> hs.nn.linear(hs.gnn.global_sum_pool(padded.x, padded), hs.array([[1.0]]))[padded.graph_mask]
    Array([[4.]], dtype=float64)
    """
    if not isinstance(graph, Graph):
        raise _hesse.ArgumentTypeError(f"pad: graph must be a Graph, got a {type(graph).__name__}")
    had = {"num_nodes": graph.num_nodes, "num_edges": graph.num_edges, "num_graphs": graph.num_graphs}
    wanted = {"num_nodes": num_nodes, "num_edges": num_edges, "num_graphs": num_graphs}
    for name, n in wanted.items():
        _integer("pad", name, n, had[name])
    more = {name: wanted[name] - had[name] for name in wanted}
    if more["num_nodes"] and not more["num_graphs"]:
        raise _hesse.ArgumentError(
            f"pad: {more['num_nodes']} nodes are added, and no graph that they can be in; num_graphs must be above "
            f"{had['num_graphs']}"
        )
    if more["num_edges"] and more["num_nodes"] < 2:
        raise _hesse.ArgumentError(
            f"pad: {more['num_edges']} edges are added, and too few nodes for them; num_nodes must be at least "
            f"{had['num_nodes'] + 2}"
        )
    _refuse_sparse("pad", graph)
    return _Union.of("pad", graph).take(np.arange(graph.num_graphs), (num_nodes, num_edges, num_graphs))


def _integer(function: str, name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise _hesse.ArgumentTypeError(f"{function}: {name} must be an integer, got {value!r}")
    if value < least:
        raise _hesse.ArgumentError(f"{function}: {name} must be at least {least}, got {value}")
    return int(value)


def _refuse_sparse(function: str, graph: Graph) -> None:
    from ..sparse import CSR

    if isinstance(graph.x, CSR):
        raise _hesse.ArgumentTypeError(f"{function}: x is sparse; use x.todense() first")


class DataLoader:
    """Mini-batches of graphs: every pass over it gives all graphs, `batch_size` at a time, each batch as one graph.

    Parameters
    ----------
    graphs : sequence of Graph, or Graph
        As for `batch`, or what `batch` returned. They are copied once, when the loader is made.
    batch_size : int
    shuffle : bool
        Whether every pass has an order of its own. Which orders these are depends on the key alone.
    key : Array or int, optional
        A random key or a seed, for `shuffle`; without it, from the state that `hs.seed` sets.
    drop_last : bool
        Whether a last batch with fewer graphs is left out.
    buckets : int
        How many groups of graphs of about equal sizes (nodes and edges together) batches are filled from, so that
        padding wastes little; for `shuffle`. Graphs are shuffled within their groups, and batches among each other. A
        last batch with fewer graphs has them from all groups, and comes last. As batches then differ in their sums,
        leave `pad` True, for about as many sizes. With many groups the same graphs meet often; 1: any graphs meet.
    pad : bool, int, or sequence of (nodes, edges)
        Whether batches are padded (`hs.gnn.pad`), so that a function under `hs.compile` is recorded and prepared
        once for all batches of a size: to at most that many sizes (True: 3, or buckets + 1), or to the smallest of the
        sizes given that fits. Every padded batch has ``batch_size + 1`` graphs, the last batch too, and at least two
        nodes and an edge of padding.

    Attributes
    ----------
    sizes : tuple of (int, int)
        The numbers of nodes and edges that batches are padded to, in ascending order; empty without padding. The
        first holds the sum over a batch that is to be expected and two standard deviations more, the last the
        largest graphs together, others are between by equal ratios. With buckets: of each, or of those that waste least,
        the sum that is to be expected and two standard deviations more, and last the largest graphs together.
    epoch : int
        How many passes have begun; set it to go on where another process stopped.

    Raises
    ------
    ValueError
        Without graphs, for graphs that `batch` refuses, for a batch size below 1, for sizes in which the largest
        batch finds no room, and for a key or buckets without `shuffle`.

    Notes
    -----
    Losses and metrics of padded batches leave out what is padding: ``sum(mask * error) / sum(mask)`` with
    ``mask = batch.graph_mask`` (`node_mask` where there is a row per node), the `weights` of losses, the `mask` of
    `hs.nn.BatchNorm` and of metrics; outside of compiled functions also ``y[batch.graph_mask]``.

    Examples
    --------
    >>> import hesse as hs
    >>> graphs = [hs.gnn.Graph([[0], [1]], x=[[k], [1.0]], y=[2.0 * k]) for k in range(5)]
    >>> for batch in hs.gnn.DataLoader(graphs, 2):
    ...     print(batch)
    Graph(2 graphs, 4 nodes, 2 edges, x=float64[4,1], y=float64[2])
    Graph(2 graphs, 4 nodes, 2 edges, x=float64[4,1], y=float64[2])
    Graph(2 nodes, 1 edges, x=float64[2,1], y=float64[1])

    A training step that is recorded once:

    >>> @hs.compile
    ... def loss(w, batch):
    ...     y = hs.gnn.global_sum_pool(batch.x * w, batch)[:, 0]
    ...     return hs.sum(batch.graph_mask * (y - batch.y) ** 2) / hs.sum(batch.graph_mask)
    >>> loader = hs.gnn.DataLoader(graphs, 2, shuffle=True, key=0, pad=True)
    >>> losses = [loss(2.0, batch) for epoch in range(3) for batch in loader]
    >>> len(losses), float(losses[0]), loader.sizes
    (9, 4.0, ((6, 3),))
    """

    def __init__(
        self,
        graphs: Sequence[Graph] | Graph,
        batch_size: int,
        *,
        shuffle: bool = False,
        key: Array | int | None = None,
        drop_last: bool = False,
        buckets: int = 1,
        pad: bool | int | Sequence[tuple[int, int]] = False,
    ) -> None:
        self.batch_size = _integer("DataLoader", "batch_size", batch_size, 1)
        for name, flag in (("shuffle", shuffle), ("drop_last", drop_last)):
            if not isinstance(flag, (bool, np.bool_)):
                raise _hesse.ArgumentTypeError(f"DataLoader: {name} must be True or False, got {flag!r}")
        self.buckets = _integer("DataLoader", "buckets", buckets, 1)
        if not shuffle and (key is not None or buckets > 1):
            what = "a key is" if key is not None else "buckets are"
            raise _hesse.ArgumentError(f"DataLoader: {what} for shuffle=True, which was not asked for")
        self.shuffle, self.drop_last, self.epoch = bool(shuffle), bool(drop_last), 0
        if shuffle:
            key = next_key() if key is None else key
            self._key = key_of(key) if isinstance(key, (int, np.integer)) else key
            fold_in(self._key, 0)  # refuses what is no key
        if isinstance(graphs, Graph):
            _refuse_sparse("DataLoader", graphs)
            whole = graphs
        else:
            whole = batch(graphs)
        self._union = _Union.of("DataLoader", whole)
        self._which = np.flatnonzero(self._union.structure["graph_mask"])
        if len(self._which) == 0:
            raise _hesse.ArgumentError("DataLoader: there are no graphs")
        if self.buckets > len(self._which):
            raise _hesse.ArgumentError(
                f"DataLoader: buckets must be at most the number of graphs, {len(self._which)}, got {buckets}"
            )
        rank = np.empty(len(self._which), np.int64)
        rank[np.argsort(np.sum(self._counts(), axis=0), kind="stable")] = np.arange(len(rank))
        self._bucket = rank * self.buckets // len(rank)
        self.sizes = self._sizes(pad)

    @property
    def num_graphs(self) -> int:
        """How many graphs there are."""
        return len(self._which)

    def __len__(self) -> int:
        """The number of batches of a pass."""
        full, rest = divmod(len(self._which), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __repr__(self) -> str:
        padded = f", padded to {', '.join(map(str, self.sizes))}" if self.sizes else ""
        return f"DataLoader({self.num_graphs} graphs, {len(self)} batches of {self.batch_size}{padded})"

    def __iter__(self) -> Iterator[Graph]:
        which = self._which
        if self.shuffle:
            key = fold_in(self._key, self.epoch)
            order = numpy_of("DataLoader", "key", permutation(key, len(which)))
            which = which[order if self.buckets == 1 else self._grouped(order, key)]
        self.epoch += 1  # before the first batch: a pass that is left early counts too
        return self._batches(which)

    def _grouped(self, order: Data, key: Array) -> Data:
        """Full batches of neighbouring buckets in random order, and then what is left of all of them."""
        full, rest = np.split(order, [len(order) // self.batch_size * self.batch_size])
        batches = full[np.argsort(self._bucket[full], kind="stable")].reshape(-1, self.batch_size)
        turns = numpy_of("DataLoader", "key", permutation(fold_in(key, 0), len(batches)))
        return np.concatenate([batches[turns].ravel(), rest])

    def _batches(self, which: Data) -> Iterator[Graph]:
        for k in range(len(self)):
            some = which[k * self.batch_size : (k + 1) * self.batch_size]
            yield self._union.take(some, self._room(some) if self.sizes else None)

    def _counts(self) -> tuple[Data, Data]:
        u = self._union
        return np.diff(u.node_starts)[self._which], np.diff(u.edge_starts)[self._which]

    def _room(self, which: Data) -> tuple[int, int, int]:
        """The smallest size that holds these graphs."""
        u = self._union
        n = int((u.node_starts[which + 1] - u.node_starts[which]).sum())
        e = int((u.edge_starts[which + 1] - u.edge_starts[which]).sum())
        nodes, edges = next(size for size in self.sizes if _holds(size, n, e))
        return nodes, edges, self.batch_size + 1

    def _sizes(self, pad: Any) -> tuple[tuple[int, int], ...]:
        if pad is False:
            return ()
        nodes, edges = self._counts()
        largest = self._largest(nodes), self._largest(edges)
        if not isinstance(pad, (bool, int, np.integer)):
            return self._given(pad, largest)
        default = 3 if self.buckets == 1 else self.buckets + 1
        levels = default if pad is True else _integer("DataLoader", "pad", pad, 1)

        def bound(n: int, e: int) -> tuple[int, int]:
            return min(n, largest[0]) + 2, min(e, largest[1]) + 1

        if self.buckets > 1:
            each = (self._bucket == k for k in range(self.buckets))
            usual = [
                bound(self._usual(nodes[k], largest[0]), self._usual(edges[k], largest[1])) for k in each
            ]
            sizes = _fewer(sorted(usual), levels - 1)
        else:
            first = self._usual(nodes, largest[0]), self._usual(edges, largest[1])
            sizes = []
            for level in range(levels - 1):
                part = level / (levels - 1)
                n, e = (
                    int(np.ceil(u ** (1.0 - part) * m**part)) for u, m in zip(first, largest, strict=True)
                )
                sizes.append(bound(n, e))
        sizes.append(bound(*largest))
        return tuple(dict.fromkeys(sizes))

    def _largest(self, counts: Data) -> int:
        """The most that a batch can have."""
        size = self.batch_size
        if self.shuffle:
            return int(np.sort(counts)[-size:].sum())
        return max(int(counts[k : k + size].sum()) for k in range(0, len(counts), size))

    def _usual(self, counts: Data, largest: int) -> int:
        """The mean and two standard deviations more of the sum of batch_size counts, drawn without replacement."""
        n, b = len(counts), min(self.batch_size, len(counts))
        spread = np.sqrt(b * counts.var() * (n - b) / max(n - 1, 1))
        return min(int(np.ceil((b * counts.mean() + 2.0 * spread) * self.batch_size / b)), largest)

    def _given(self, pad: Any, largest: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        try:
            sizes = sorted((int(n), int(e)) for n, e in pad)
        except (TypeError, ValueError) as error:
            raise _hesse.ArgumentTypeError(
                f"DataLoader: pad must be True, False, a number of sizes, or pairs (nodes, edges), got {pad!r}"
            ) from error
        if not any(_holds(size, *largest) for size in sizes):
            raise _hesse.ArgumentError(
                f"DataLoader: none of the sizes {sizes} has room for the largest batch of {self.batch_size}: "
                f"{largest[0]} nodes and {largest[1]} edges, 2 and 1 of padding; add ({largest[0] + 2}, {largest[1] + 1})"
            )
        return tuple(sizes)


def _fewer(sizes: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """At most so many of these ascending sizes, of which each serves the smaller ones before it, that waste least."""
    best: dict[int, tuple[int, tuple[int, ...]]] = {
        0: (0, ())
    }  # by how many sizes are served: cost, the chosen ones
    for _ in range(most):
        longer = dict(best)
        for j, size in enumerate(sizes, 1):
            ways = [
                (cost + (j - i) * sum(size), (*chosen, j - 1)) for i, (cost, chosen) in best.items() if i < j
            ]
            longer[j] = min([*ways, *([best[j]] if j in best else [])])
        best = longer
    return [sizes[k] for k in best[len(sizes)][1]] if most else []


def _holds(size: tuple[int, int], nodes: int, edges: int) -> bool:
    """Whether there is room; padding needs two nodes and an edge."""
    return size[0] >= nodes + 2 and size[1] >= edges + 1
