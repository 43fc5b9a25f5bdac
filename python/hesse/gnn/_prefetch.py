"""Batches of samples, prepared ahead of time in threads."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from .. import _hesse
from .._flat import check_callable
from .._hesse import Array
from ..random import fold_in, next_key, permutation, split
from ..random import key as key_of
from ._graph import Graph
from ._hetero import EdgeType, HeteroGraph
from ._sample import hetero_sample, neighbour_sample
from ._sampled import Sizes, ids_of, nodes_of

__all__ = ["NeighbourLoader", "prefetch"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def _check_counts(function: str, **counts: Any) -> None:
    for name, n in counts.items():
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
            raise _hesse.ArgumentTypeError(f"{function}: {name} must be an integer, got {n!r}")
        if n < 0:
            raise _hesse.ArgumentError(f"{function}: {name} must not be negative, got {n}")


def prefetch(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, threads: int = 1, ahead: int = 2
) -> Iterator[_Result]:
    """function(item) for every item, in order, computed in threads while the results before are used.

    Parameters
    ----------
    function : callable
        A function of an item that does not depend on others, such as one that draws a sample with its own key.
    items : iterable
    threads : int
        0: each result is computed when it is asked for.
    ahead : int
        How many results are kept at most that nobody has asked for yet; at least one per thread is worked on.

    Yields
    ------
    object
        The same for any number of threads.

    Raises
    ------
    Exception
        Whatever `function` raises, in the place of its result.

    Examples
    --------
    >>> import hesse as hs
    >>> list(hs.gnn.prefetch(lambda k: k * k, range(4), threads=2))
    [0, 1, 4, 9]
    """
    check_callable(function, "prefetch")
    _check_counts("prefetch", threads=threads, ahead=ahead)
    return _prefetch(function, items, threads, ahead)


def _prefetch(
    function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int, ahead: int
) -> Iterator[_Result]:
    if threads == 0:
        yield from map(function, items)
        return
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="hesse-prefetch") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > max(ahead, threads):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also where the loop over the results is left early
            for future in waiting:
                future.cancel()


class NeighbourLoader:
    """Mini-batches of a large graph's nodes: every pass over it gives all of them, with sampled neighbourhoods.

    Parameters
    ----------
    graph : Graph or HeteroGraph
    nodes : array of integers, (S,), or of booleans, (N,)
        The nodes to go through, each once. For a `HeteroGraph` a dict that has these for one type.
    sizes : sequence of int, or dict of these
        As for `neighbour_sample`.
    batch_size : int
    shuffle : bool
        Whether every pass has an order of its own.
    key : Array or int, optional
        A random key or a seed, of orders and samples; without it, from the state that `hs.seed` sets.
    drop_last : bool
        Whether a last batch with fewer nodes is left out.
    pad : bool
        Whether samples are padded, so that compiled functions meet few sizes: see `Sample`. Those of a `HeteroGraph` are
        padded to as many nodes and edges of each type as the largest of eight batches has, or, where that is not
        enough, to 1.25, 1.25^2 ... times as many.
    threads, ahead : int
        As for `prefetch`. What a pass gives depends on the key and on `epoch` alone.

    Attributes
    ----------
    epoch : int
        How many passes have begun; set it to go on where another process stopped.

    Raises
    ------
    IndexError
        For a node out of range.
    ValueError
        For a node given twice, and a batch size below 1.

    Examples
    --------
    >>> import hesse as hs
    >>> ring = hs.gnn.Graph([range(10), [*range(1, 10), 0]], x=hs.ones((10, 3)))
    >>> loader = hs.gnn.NeighbourLoader(ring, range(8), [2, 2], batch_size=3, key=0)
    >>> len(loader), [int(hs.sum(batch.seeds)) for batch in loader]
    (3, [3, 3, 2])

    Papers with their authors:

    >>> writes = ("author", "writes", "paper")
    >>> graph = hs.gnn.HeteroGraph({writes: [[0, 1, 2, 0], [0, 0, 1, 2]]})
    >>> for batch in hs.gnn.NeighbourLoader(graph, {"paper": range(3)}, {writes: [1]}, batch_size=2, key=0):
    ...     print(batch.graph, batch.nodes["paper"].tolist())
    HeteroGraph(2 author, 2 paper, 2 author-writes-paper) [0, 1]
    HeteroGraph(1 author, 1 paper, 1 author-writes-paper) [2]
    """

    def __init__(
        self, graph: Graph | HeteroGraph, nodes: Any, sizes: Any, batch_size: int, *, shuffle: bool = False,
        key: Array | int | None = None, drop_last: bool = False, pad: bool = False, threads: int = 1,
        ahead: int = 2,
    ) -> None:  # fmt: skip
        self.node_type: str | None = None
        if isinstance(graph, HeteroGraph):
            if not isinstance(nodes, Mapping) or len(nodes) != 1:
                raise _hesse.ArgumentTypeError(
                    "NeighbourLoader: for a HeteroGraph nodes must be a dict with one type of nodes, got "
                    + (
                        f"the types {', '.join(map(str, nodes))}"
                        if isinstance(nodes, Mapping)
                        else f"{nodes!r}"
                    )
                )
            ((self.node_type, nodes),) = nodes.items()
            count = graph.num_nodes(self.node_type)
            self.nodes = ids_of("NeighbourLoader", f"nodes[{self.node_type!r}]", count, nodes)
        else:
            self.nodes = nodes_of("NeighbourLoader", "nodes", graph, nodes)
            count = graph.num_nodes
        _check_counts("NeighbourLoader", batch_size=batch_size, threads=threads, ahead=ahead)
        if batch_size < 1:
            raise _hesse.ArgumentError(f"NeighbourLoader: batch_size must be positive, got {batch_size}")
        if self.nodes.size and not (self.nodes.min() >= 0 and self.nodes.max() < count):
            raise _hesse.OutOfRangeError(
                f"NeighbourLoader: nodes are 0 to {count - 1}, got {self.nodes.min()} to {self.nodes.max()}"
            )
        if len(np.unique(self.nodes)) != len(self.nodes):
            raise _hesse.ArgumentError("NeighbourLoader: a node is given twice")
        self.graph, self.sizes, self.batch_size = graph, sizes, int(batch_size)
        self.shuffle, self.drop_last, self.pad = shuffle, drop_last, pad
        self.threads, self.ahead, self.epoch = threads, ahead, 0
        self._largest: Sizes | None = None
        key = next_key() if key is None else key
        self._key = key_of(key) if isinstance(key, (int, np.integer)) else key
        fold_in(self._key, 0)  # refuses what is no key

    def __len__(self) -> int:
        """The number of batches of a pass."""
        whole, rest = divmod(len(self.nodes), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        """Samples, or those of several types."""
        of_order, of_samples = _hesse.unstack(split(fold_in(self._key, self.epoch)))
        self.epoch += 1  # before the first batch: a pass that is left early counts too
        nodes = self.nodes
        if self.shuffle:
            nodes = nodes[np.asarray(permutation(of_order, len(nodes)))]

        if self.pad and self._largest is None and isinstance(self.graph, HeteroGraph):
            self._largest = self._measured()

        def batch(k: int) -> Any:
            chosen: Any = nodes[k * self.batch_size : (k + 1) * self.batch_size]
            if isinstance(self.graph, HeteroGraph):
                room = self._room if self.pad else None
                return hetero_sample(
                    fold_in(of_samples, k), self.graph, {self.node_type: chosen}, self.sizes, room
                )
            return neighbour_sample(fold_in(of_samples, k), self.graph, chosen, self.sizes, pad=self.pad)

        return prefetch(batch, range(len(self)), threads=self.threads, ahead=self.ahead)

    def _measured(self) -> Sizes:
        """How many nodes and edges of each type a sample has at most, by eight batches; at least one if there are any."""
        graph: Any = self.graph
        bare = graph.replace(x={}, y={}, node_data={})
        most_nodes = {k: min(graph.num_nodes(k), 1) for k in graph.node_types}
        most_edges = {t: min(graph[t].num_edges, 1) for t in graph.edge_types}
        for k, which in enumerate(np.linspace(0, max(len(self) - 1, 0), 8).astype(int)):
            of_nodes, of_sample = _hesse.unstack(split(fold_in(fold_in(self._key, -1), k)))
            nodes = (
                self.nodes[np.asarray(permutation(of_nodes, len(self.nodes)))] if self.shuffle else self.nodes
            )
            chosen = nodes[which * self.batch_size : (which + 1) * self.batch_size]
            sample = hetero_sample(of_sample, bare, {self.node_type: chosen}, self.sizes, None)
            most_nodes = {k: max(n, sample.nodes[k].shape[0]) for k, n in most_nodes.items()}
            most_edges = {t: max(n, sample.edges[t].shape[0]) for t, n in most_edges.items()}
        return most_nodes, most_edges

    def _room(self, graph: HeteroGraph, nodes: dict[str, int], edges: dict[EdgeType, int]) -> Sizes:
        """The smallest size that holds these, and two nodes of padding of each type that there are nodes of."""
        assert self._largest is not None
        most_nodes, most_edges = self._largest
        for level in itertools.count():
            factor = 1.25**level
            up_nodes = {k: math.ceil(n * factor) for k, n in most_nodes.items()}
            up_edges = {t: math.ceil(n * factor) for t, n in most_edges.items()}
            enough = [up_nodes[k] >= n for k, n in nodes.items()] + [
                up_edges[t] >= n for t, n in edges.items()
            ]
            if all(enough):
                return {k: n + 2 if n else 0 for k, n in up_nodes.items()}, up_edges
        raise AssertionError
