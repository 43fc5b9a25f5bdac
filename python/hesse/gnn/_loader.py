"""Mini-batches of graphs, padded to a few sizes so that compiled functions are prepared a few times only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..random import fold_in, next_key, permutation
from ..random import key as key_of
from ._batch import batch
from ._graph import Graph, numpy_of
from ._hetero import EdgeType, HeteroGraph
from ._union import Data, GraphUnion, refuse_sparse

__all__ = ["DataLoader", "pad"]

_G = TypeVar("_G", Graph, HeteroGraph)


@overload
def pad(graph: Graph, num_nodes: int, num_edges: int, num_graphs: int) -> Graph: ...
@overload
def pad(
    graph: HeteroGraph, num_nodes: Mapping[str, int], num_edges: Mapping[EdgeType, int], num_graphs: int
) -> HeteroGraph: ...
def pad(graph: Any, num_nodes: Any, num_edges: Any, num_graphs: int) -> Any:
    """The graph with as many nodes, edges and graphs, of which those added belong to graphs of their own.

    What is added comes last: one graph with the nodes and edges, then graphs without nodes. Its rows are copies of
    the first edge, of the two nodes of that edge and of their graph, so that a model meets no values in it that it
    does not meet in data: no lengths of zero, no labels that there are not. No edge joins it to other graphs, so
    layers and what is pooled per graph are the same as without it. Sums and means over nodes, edges or graphs leave
    it out by `Graph.node_mask`, `edge_mask` and `graph_mask`.

    Parameters
    ----------
    graph : Graph or HeteroGraph
        Usually of `batch`.
    num_nodes, num_edges : int, or dict of int
        After padding; for a `HeteroGraph` dicts by type of nodes and by type of edges, and a type that is left out
        stays as it is. Nodes are added to a graph that is added too, and edges to at least two nodes that are, of
        each of their types.
    num_graphs : int

    Returns
    -------
    Graph or HeteroGraph

    Raises
    ------
    ValueError
        For numbers below those of the graph, too few nodes or graphs for what is added, and a type that there is not.
    TypeError
        For what is no graph, for numbers that are no integers, and for sparse features.

    Notes
    -----
    Of several types of nodes, those added of a type are copies of the source of the first edge that leaves the type and
    of the target of the first that enters it.

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
    if not isinstance(graph, (Graph, HeteroGraph)):
        raise _hesse.ArgumentTypeError(
            f"pad: graph must be a Graph or a HeteroGraph, got a {type(graph).__name__}"
        )
    refuse_sparse("pad", graph)
    union = GraphUnion.of("pad", graph)
    had = [int(counts.sum()) for counts in union.counts(np.arange(graph.num_graphs))]
    asked = _asked(graph, num_nodes, num_edges, union.named(tuple(had)))
    size = [_integer("pad", name, n, least) for (name, _, n), least in zip(asked, had, strict=True)]
    more_graphs = _integer("pad", "num_graphs", num_graphs, graph.num_graphs) - graph.num_graphs
    added = [n - least for n, least in zip(size, had, strict=True)]
    kinds = list(union.node_starts)
    for k, (_, what, _) in enumerate(asked[: len(kinds)]):
        if added[k] and not more_graphs:
            raise _hesse.ArgumentError(
                f"pad: {added[k]} {what} are added, and no graph that they can be in; num_graphs must be above "
                f"{graph.num_graphs}"
            )
    for k, e in enumerate(union.edges.values(), len(kinds)):
        few = [i for i in map(kinds.index, (e.source_type, e.target_type)) if added[i] < 2]
        if added[k] and few:
            raise _hesse.ArgumentError(
                f"pad: {added[k]} {asked[k][1]} are added, and too few nodes for them; {asked[few[0]][0]} must be at "
                f"least {had[few[0]] + 2}"
            )
    return union.take(np.arange(graph.num_graphs), (*size, graph.num_graphs + more_graphs))


def _asked(graph: Any, num_nodes: Any, num_edges: Any, had: tuple[Any, Any]) -> list[tuple[str, str, Any]]:
    """Every size asked for: the argument, what it counts, and the number."""
    if isinstance(graph, Graph):
        return [("num_nodes", "nodes", num_nodes), ("num_edges", "edges", num_edges)]
    found = []
    for what, given, known in zip(("nodes", "edges"), (num_nodes, num_edges), had, strict=True):
        name = f"num_{what}"
        if not isinstance(given, Mapping):
            raise _hesse.ArgumentTypeError(
                f"pad: for a HeteroGraph {name} must be a dict by types of {what}, got {given!r}"
            )
        for k in given:
            if k not in known:
                raise _hesse.ArgumentError(
                    f"pad: {name} is given for {k!r}; types are {', '.join(map(str, known))}"
                )
        found += [(f"{name}[{k!r}]", f"{what} of the type {k!r}", given.get(k, n)) for k, n in known.items()]
    return found


def _integer(function: str, name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise _hesse.ArgumentTypeError(f"{function}: {name} must be an integer, got {value!r}")
    if value < least:
        raise _hesse.ArgumentError(f"{function}: {name} must be at least {least}, got {value}")
    return int(value)


class DataLoader(Generic[_G]):
    """Mini-batches of graphs: every pass over it gives all graphs, `batch_size` at a time, each batch as one graph.

    Parameters
    ----------
    graphs : sequence of Graph or of HeteroGraph, or one of these
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
        nodes and an edge of padding. For several types nodes and edges are dicts by type, as in `sizes`, and all types
        are padded at once.

    Attributes
    ----------
    sizes : tuple of (int, int), or of (dict, dict)
        The numbers of nodes and edges, by type where there are several, that batches are padded to, in ascending order
        of their sums; empty without padding. The first holds the sum over a batch that is to be expected and two
        standard deviations more, the last the largest graphs together, others are between by equal ratios. With
        buckets: of each, or of those that waste least, the sum that is to be expected and two standard deviations more
        (and no less than of the smaller ones), and last the largest graphs together.
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
        graphs: Sequence[_G] | _G,
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
        whole: Any = graphs if isinstance(graphs, (Graph, HeteroGraph)) else batch(graphs)
        refuse_sparse("DataLoader", whole)
        self._union = GraphUnion.of("DataLoader", whole)
        self._which = np.flatnonzero(self._union.graph_mask)
        if len(self._which) == 0:
            raise _hesse.ArgumentError("DataLoader: there are no graphs")
        if self.buckets > len(self._which):
            raise _hesse.ArgumentError(
                f"DataLoader: buckets must be at most the number of graphs, {len(self._which)}, got {buckets}"
            )
        rank = np.empty(len(self._which), np.int64)
        rank[np.argsort(np.sum(self._union.counts(self._which), axis=0), kind="stable")] = np.arange(
            len(rank)
        )
        self._bucket = rank * self.buckets // len(rank)
        self._padded = self._sizes(pad)
        self.sizes = tuple(self._union.named(size) for size in self._padded)

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

    def __iter__(self) -> Iterator[_G]:
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

    def _batches(self, which: Data) -> Iterator[_G]:
        for k in range(len(self)):
            some = which[k * self.batch_size : (k + 1) * self.batch_size]
            yield self._union.take(some, self._room(some) if self._padded else None)

    def _room(self, which: Data) -> tuple[int, ...]:
        """The smallest size that holds these graphs."""
        needed: list[int] = [int(counts.sum()) for counts in self._union.counts(which)]
        return (*next(size for size in self._padded if self._holds(size, needed)), self.batch_size + 1)

    def _holds(self, size: Sequence[int], needed: Sequence[int]) -> bool:
        """Whether there is room for these numbers and for padding."""
        spare = self._union.spare
        return all(n >= least + more for n, least, more in zip(size, needed, spare, strict=True))

    def _sizes(self, pad: Any) -> tuple[tuple[int, ...], ...]:
        pad = bool(pad) if isinstance(pad, np.bool_) else pad
        if pad is False:
            return ()
        counts = self._union.counts(self._which)
        largest = [self._largest(c) for c in counts]
        if not isinstance(pad, (bool, int, np.integer)):
            return self._given(pad, largest)
        default = 3 if self.buckets == 1 else self.buckets + 1
        levels = default if pad is True else _integer("DataLoader", "pad", pad, 1)

        def bound(size: Sequence[int]) -> tuple[int, ...]:
            return tuple(
                min(n, most) + more for n, most, more in zip(size, largest, self._union.spare, strict=True)
            )

        def usual(some: Any = slice(None)) -> list[int]:
            return [self._usual(c[some], most) for c, most in zip(counts, largest, strict=True)]

        if self.buckets > 1:
            # Each is made to hold what the smaller ones hold, which `_fewer` takes for granted.
            each = np.maximum.accumulate([usual(self._bucket == k) for k in range(self.buckets)])
            sizes = _fewer([bound(size) for size in each.tolist()], levels - 1)
        else:
            first, sizes = usual(), []
            for level in range(levels - 1):
                part = level / (levels - 1)
                between = (u ** (1.0 - part) * m**part for u, m in zip(first, largest, strict=True))
                sizes.append(bound([int(np.ceil(n)) for n in between]))
        sizes.append(bound(largest))
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

    def _given(self, pad: Any, largest: list[int]) -> tuple[tuple[int, ...], ...]:
        union = self._union
        try:
            sizes = sorted((union.size_of(n, e) for n, e in pad), key=sum)
        except _hesse.Error:
            raise
        except (TypeError, ValueError) as error:
            pairs = "(nodes by type, edges by type), dicts of all types" if union.hetero else "(nodes, edges)"
            raise _hesse.ArgumentTypeError(
                f"DataLoader: pad must be True, False, a number of sizes, or pairs {pairs}, got {pad!r}"
            ) from error
        if not any(self._holds(size, largest) for size in sizes):
            least = tuple(n + more for n, more in zip(largest, union.spare, strict=True))
            raise _hesse.ArgumentError(
                f"DataLoader: none of the sizes {[union.named(size) for size in sizes]} has room for the largest batch "
                f"of {self.batch_size} and for padding, two nodes and an edge of each type; add {union.named(least)}"
            )
        return tuple(sizes)


def _fewer(sizes: list[tuple[int, ...]], most: int) -> list[tuple[int, ...]]:
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
