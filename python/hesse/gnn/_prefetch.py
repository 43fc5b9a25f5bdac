"""Batches of samples, prepared ahead of time in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from .. import _hesse
from .._flat import check_callable
from .._hesse import Array
from ..random import fold_in, next_key, permutation, split
from ..random import key as key_of
from ._graph import Graph
from ._sample import Sample, _nodes, neighbour_sample

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
    graph : Graph
    nodes : array of integers, (S,), or of booleans, (N,)
        The nodes to go through, each once.
    sizes : sequence of int
        As for `neighbour_sample`.
    batch_size : int
    shuffle : bool
        Whether every pass has an order of its own.
    key : Array or int, optional
        A random key or a seed, of orders and samples; without it, from the state that `hs.seed` sets.
    drop_last : bool
        Whether a last batch with fewer nodes is left out.
    pad : bool
        Whether samples are padded, so that compiled functions meet few sizes: see `Sample`.
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
    """

    def __init__(
        self, graph: Graph, nodes: Any, sizes: Sequence[int], batch_size: int, *, shuffle: bool = False,
        key: Array | int | None = None, drop_last: bool = False, pad: bool = False, threads: int = 1,
        ahead: int = 2,
    ) -> None:  # fmt: skip
        self.nodes = _nodes("NeighbourLoader", "nodes", graph, nodes)
        _check_counts("NeighbourLoader", batch_size=batch_size, threads=threads, ahead=ahead)
        if batch_size < 1:
            raise _hesse.ArgumentError(f"NeighbourLoader: batch_size must be positive, got {batch_size}")
        if self.nodes.size and not (self.nodes.min() >= 0 and self.nodes.max() < graph.num_nodes):
            raise _hesse.OutOfRangeError(
                f"NeighbourLoader: nodes are 0 to {graph.num_nodes - 1}, got {self.nodes.min()} to "
                f"{self.nodes.max()}"
            )
        if len(np.unique(self.nodes)) != len(self.nodes):
            raise _hesse.ArgumentError("NeighbourLoader: a node is given twice")
        self.graph, self.sizes, self.batch_size = graph, tuple(sizes), int(batch_size)
        self.shuffle, self.drop_last, self.pad = shuffle, drop_last, pad
        self.threads, self.ahead, self.epoch = threads, ahead, 0
        key = next_key() if key is None else key
        self._key = key_of(key) if isinstance(key, (int, np.integer)) else key
        fold_in(self._key, 0)  # refuses what is no key

    def __len__(self) -> int:
        """The number of batches of a pass."""
        whole, rest = divmod(len(self.nodes), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Sample]:
        of_order, of_samples = _hesse.unstack(split(fold_in(self._key, self.epoch)))
        self.epoch += 1  # before the first batch: a pass that is left early counts too
        nodes = self.nodes
        if self.shuffle:
            nodes = nodes[np.asarray(permutation(of_order, len(nodes)))]

        def batch(k: int) -> Sample:
            chosen = nodes[k * self.batch_size : (k + 1) * self.batch_size]
            return neighbour_sample(fold_in(of_samples, k), self.graph, chosen, self.sizes, pad=self.pad)

        return prefetch(batch, range(len(self)), threads=self.threads, ahead=self.ahead)
