"""What the rows of an estimator are: nodes of a graph, pairs of them, or graphs; and their batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..random import fold_in, permutation
from ._batch import batch
from ._common import require_graph
from ._fitting import Batch, Estimator
from ._graph import Graph, numpy_of
from ._loader import DataLoader
from ._prefetch import NeighbourLoader
from ._sampled import ids_of

__all__ = ["OfGraphs", "OfLinks", "OfNodes"]

_Numbers = np.ndarray[Any, Any]


class OfNodes(Estimator):
    graph: Graph
    sizes: Sequence[int] | None
    _what = "nodes"

    def _rows(self, x: Any) -> Any:
        require_graph(self._name, self.graph, pairs=True)  # layers say whether they take pairs
        n = self.graph.num_nodes
        nodes = ids_of(self._name, "X", n, x)
        if nodes.size and (nodes.min() < 0 or nodes.max() >= n):
            raise _hesse.OutOfRangeError(
                f"{self._name}: nodes are 0 to {n - 1}, got {nodes.min()} to {nodes.max()}"
            )
        return nodes

    def _own_targets(self, rows: Any) -> Any:
        y = self.graph.y
        if y is None or y.ndim == 0 or y.shape[0] != self.graph.num_nodes:
            raise _hesse.ArgumentError(f"{self._name}: the graph has no y with a row per node; give y")
        return np.asarray(y)[rows]

    def _batches(
        self, rows: Any, y: _Numbers, weights: _Numbers, key: Array | None
    ) -> Callable[[], Iterator[Batch]]:
        if len(np.unique(rows)) != len(rows):
            raise _hesse.ArgumentError(f"{self._name}: a node is given twice")
        graph = self.graph
        all_y = np.zeros((graph.num_nodes, *y.shape[1:]), y.dtype)
        all_weights = np.zeros(graph.num_nodes)
        all_y[rows], all_weights[rows] = y, weights
        if self.batch_size is None or key is None:  # what is predicted sees all neighbours
            whole = (graph,), _hesse.asarray(all_y), _hesse.asarray(all_weights)
            return lambda: iter([whole])
        if self.sizes is None:
            raise _hesse.ArgumentError(
                f"{self._name}: with a batch_size, sizes must say how many neighbours are sampled per hop"
            )
        data = graph.replace(
            y=_hesse.asarray(all_y), node_data={**graph.node_data, "_weight": _hesse.asarray(all_weights)}
        )
        loader = NeighbourLoader(data, rows, self.sizes, self.batch_size, shuffle=True, key=key, pad=True)

        def epoch() -> Iterator[Batch]:
            for part in loader:
                w = part.graph.node_data["_weight"]
                yield (part.graph,), part.graph.y, _hesse.where(part.seeds, w, 0)

        return epoch

    def _gathered(self, rows: Any, y: _Numbers, outputs: list[tuple[Any, Any]]) -> _Numbers:
        return np.asarray(numpy_of(self._name, "outputs", outputs[0][0])[rows])


class OfLinks(Estimator):
    graph: Graph
    _what = "pairs"

    def _rows(self, x: Any) -> Any:
        require_graph(self._name, self.graph, pairs=True)
        pairs = numpy_of(self._name, "X", x)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or (pairs.size and pairs.dtype.kind not in "iu"):
            raise _hesse.ArgumentError(
                f"{self._name}: X must be pairs of nodes, integers of shape (M, 2), got {pairs.dtype} {pairs.shape}; "
                "transpose the pairs of edge_split"
            )
        n = self.graph.num_nodes
        if pairs.size and (pairs.min() < 0 or pairs.max() >= n):
            raise _hesse.OutOfRangeError(
                f"{self._name}: nodes are 0 to {n - 1}, got {pairs.min()} to {pairs.max()}"
            )
        return pairs.astype(np.int64)

    def _own_targets(self, rows: Any) -> Any:
        raise _hesse.ArgumentError(f"{self._name}: pairs have no targets of their own; give y")

    def _batches(
        self, rows: Any, y: _Numbers, weights: _Numbers, key: Array | None
    ) -> Callable[[], Iterator[Batch]]:
        size = len(rows) if self.batch_size is None else min(int(self.batch_size), len(rows))
        epochs = 0

        def epoch() -> Iterator[Batch]:
            nonlocal epochs
            order = np.arange(len(rows))
            if key is not None and size < len(rows):
                order = np.asarray(permutation(fold_in(key, epochs), len(rows)))
            epochs += 1
            for k in range(0, len(rows), size):
                some = order[k : k + size]
                w = np.zeros(size)  # the last batch repeats pairs, without weight, to be as large
                w[: len(some)] = weights[some]
                some = np.resize(some, size)
                arguments = self.graph, _hesse.asarray(np.ascontiguousarray(rows[some].T))
                yield arguments, _hesse.asarray(y[some]), _hesse.asarray(w)

        return epoch


class OfGraphs(Estimator):
    _what = "graphs"

    def _rows(self, x: Any) -> Any:
        graphs = list(x)
        for k, g in enumerate(graphs):
            if not isinstance(g, Graph):
                raise _hesse.ArgumentTypeError(
                    f"{self._name}: X must be a list of graphs, but item {k} is a {type(g).__name__}"
                )
        return graphs

    def _taken(self, rows: Any, which: _Numbers) -> Any:
        return [rows[k] for k in which]

    def _own_targets(self, rows: Any) -> Any:
        missing = [k for k, g in enumerate(rows) if g.y is None or (g.y.ndim and g.y.shape[0] != 1)]
        if missing:
            raise _hesse.ArgumentError(f"{self._name}: graph {missing[0]} has no y of its own; give y")
        return np.stack([np.asarray(g.y).reshape(g.y.shape[1:]) for g in rows]) if rows else np.zeros(0)

    def _batches(
        self, rows: Any, y: _Numbers, weights: _Numbers, key: Array | None
    ) -> Callable[[], Iterator[Batch]]:
        whole = batch([g.replace(y=None) for g in rows])
        data = {**whole.graph_data, "_weight": _hesse.asarray(weights)}
        whole = whole.replace(y=_hesse.asarray(y), graph_data=data)
        size = min(32 if self.batch_size is None else int(self.batch_size), len(rows))
        shuffled: dict[str, Any] = {} if key is None else {"shuffle": True, "key": key}
        loader = DataLoader(whole, size, pad=True, **shuffled)

        def epoch() -> Iterator[Batch]:
            for part in loader:
                yield (part,), part.y, _hesse.where(part.graph_mask, part.graph_data["_weight"], 0)

        return epoch
