"""One row per graph from the rows of its nodes; fewer nodes; what is between layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._flat import check_callable
from .._hesse import Array
from ..linalg import vector_norm
from ..nn._module import Module
from . import _segments as seg
from ._common import check_sizes, features, glorot, keys
from ._graph import Graph, numpy_of
from ._recurrent import LSTMCell

__all__ = [
    "AttentionPooling",
    "JumpingKnowledge",
    "Set2Set",
    "TopKPooling",
    "VirtualNode",
    "global_max_pool",
    "global_mean_pool",
    "global_sum_pool",
]


def global_sum_pool(x: Any, graph: Graph) -> Array:
    """The sum of x over the nodes of every graph.

    Parameters
    ----------
    x : array, (N, F)
    graph : Graph

    Returns
    -------
    Array, (G, F)

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.global_sum_pool(graph.x, graph)
    Array([[4.]], dtype=float64)
    """
    x = features("global_sum_pool", x, graph, pairs=True)
    return seg.total(x, graph.node_graph, graph.num_graphs)


def global_mean_pool(x: Any, graph: Graph) -> Array:
    """The mean of x over the nodes of every graph; 0 for a graph without nodes.

    Parameters
    ----------
    x : array, (N, F)
    graph : Graph

    Returns
    -------
    Array, (G, F)

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.global_mean_pool(graph.x, graph)
    Array([[2.]], dtype=float64)
    """
    return seg.mean(features("global_mean_pool", x, graph, pairs=True), graph.node_graph, graph.node_starts)


def global_max_pool(x: Any, graph: Graph) -> Array:
    """The largest entries of x over the nodes of every graph; 0 for a graph without nodes.

    Parameters
    ----------
    x : array, (N, F)
    graph : Graph

    Returns
    -------
    Array, (G, F)

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.global_max_pool(graph.x, graph)
    Array([[3.]], dtype=float64)
    """
    return seg.maximum(features("global_max_pool", x, graph, pairs=True), graph.node_graph, graph.node_starts)


class AttentionPooling(Module):
    """y_g = sum over the nodes i of a graph of a_i f(x_i), a = softmax over its nodes of h(x_i).

    Parameters
    ----------
    gate : callable
        h, from features to one number, [..., 1], or one per feature of f.
    net : callable, optional
        f; without it, the features themselves.

    References
    ----------
    Li, Tarlow, Brockschmidt and Zemel, "Gated graph sequence neural networks", arXiv:1511.05493 (2016), equation 7.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.AttentionPooling(hs.nn.Linear(1, 1))(graph.x, graph).shape
    (1, 1)
    """

    gate: Callable[[Any], Any]
    net: Callable[[Any], Any] | None

    def __init__(self, gate: Callable[[Any], Any], net: Callable[[Any], Any] | None = None) -> None:
        check_callable(gate, "AttentionPooling")
        self.gate, self.net = gate, net

    def __call__(self, x: Any, graph: Graph) -> Array:
        x = features("AttentionPooling", x, graph, pairs=True)
        weights, _ = seg.softmax(self.gate(x), graph.node_graph, graph.num_graphs)
        return seg.total(
            weights * (x if self.net is None else self.net(x)), graph.node_graph, graph.num_graphs
        )


class Set2Set(Module):
    """K steps of q, c <- LSTM([q, r]), r_g = sum over nodes of softmax(q_g . x_i) x_i; returns [q, r].

    Parameters
    ----------
    features : int
    steps : int
        K.
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    cell : Module
        The LSTM: ``inputs`` and ``state``, two `Linear` layers to 4 * features.

    References
    ----------
    Vinyals, Bengio and Kudlur, "Order matters: sequence to sequence for sets", arXiv:1511.06391 (2016),
    equations 3 to 7.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0, 0.0], [3.0, 1.0]])
    >>> hs.gnn.Set2Set(2, steps=3)(graph.x, graph).shape
    (1, 4)
    """

    cell: LSTMCell
    steps: int

    def __init__(self, features: int, steps: int, *, key: Array | None = None, dtype: Any = None) -> None:
        check_sizes("Set2Set", features=features, steps=steps)
        self.cell = LSTMCell(2 * features, features, key=keys(key, 1)[0], dtype=dtype)
        self.steps = steps

    def __call__(self, x: Any, graph: Graph) -> Array:
        width = self.cell.state.weight.shape[1]
        x = features("Set2Set", x, graph, width, pairs=True)
        ids, n = graph.node_graph, graph.num_graphs
        h = c = _hesse.zeros((n, width), dtype=x.dtype)
        both = _hesse.zeros((n, 2 * width), dtype=x.dtype)
        for _ in range(self.steps):
            h, c = self.cell(both, h, c)
            weights, _own = seg.softmax(_hesse.sum(seg.rows(h, ids) * x, axis=-1), ids, n)
            both = _hesse.concat([h, seg.total(weights[:, None] * x, ids, n)], axis=-1)
        return both


class TopKPooling(Module):
    """Keeps the nodes of every graph with the largest scores s = tanh(x . p / |p|), and multiplies x by s.

    Returns (x, graph, nodes): the features and the graph of the nodes kept, best first within every graph, and
    which these are. How many are kept depends on data: it runs outside of `compile`.

    Parameters
    ----------
    in_features : int
    ratio : float
        Of n nodes, ceil(ratio * n) are kept.
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    direction : Array
        p, [in_features].

    Raises
    ------
    ValueError
        For a ratio outside of (0, 1].

    References
    ----------
    Gao and Ji, "Graph U-Nets", arXiv:1905.05178 (2019), equation 2.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1, 2], [1, 2, 0]], x=[[1.0], [3.0], [2.0]])
    >>> pool = hs.gnn.TopKPooling(1, 0.5).replace(direction=hs.array([1.0]))
    >>> x, smaller, nodes = pool(graph.x, graph)
    >>> smaller, nodes
    (Graph(2 nodes, 1 edges, x=float64[2,1]), Array([1, 2], dtype=int64))
    """

    direction: Array
    ratio: float

    def __init__(
        self, in_features: int, ratio: float = 0.5, *, key: Array | None = None, dtype: Any = None
    ) -> None:
        check_sizes("TopKPooling", in_features=in_features)
        if not 0.0 < ratio <= 1.0:
            raise _hesse.ArgumentError(f"TopKPooling: ratio must be in (0, 1], got {ratio}")
        self.direction = glorot(keys(key, 1)[0], (1, in_features), dtype)[0]
        self.ratio = ratio

    def __call__(self, x: Any, graph: Graph) -> tuple[Array, Graph, Array]:
        x = features("TopKPooling", x, graph, self.direction.shape[0], pairs=True)
        score = _hesse.tanh(x @ self.direction / vector_norm(self.direction))
        data = numpy_of("TopKPooling", "x", _hesse.stop_gradient(score))
        starts = numpy_of("TopKPooling", "node_starts", graph.node_starts)
        kept = []
        for a, b in itertools.pairwise(starts):
            order = np.argsort(-data[a:b], kind="stable")
            kept.append(a + order[: math.ceil(self.ratio * (b - a))])
        nodes = np.concatenate(kept) if kept else np.zeros(0, np.int64)
        index = _hesse.asarray(nodes.astype(np.int64))
        y = seg.rows(x, index) * seg.rows(score, index)[:, None]
        return y, graph.replace(x=x).subgraph(nodes).replace(x=y), index


class VirtualNode(Module):
    """A node that is joined to all nodes of its graph: v <- f(v + sum_i x_i), and x_i <- x_i + v.

    ``x, v = layer(x, v, graph)`` between two layers, from ``v = layer.start(graph)``.

    Parameters
    ----------
    features : int
    net : callable
        f, from features to as many.
    dtype : optional

    Attributes
    ----------
    first : Array
        v at the start, [features], zeros.

    References
    ----------
    Gilmer, Schoenholz, Riley, Vinyals and Dahl, arXiv:1704.01212 (2017), section 5.2; in the form of Hu et al.,
    "Open graph benchmark", arXiv:2005.00687 (2020).

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> node = hs.gnn.VirtualNode(1, lambda v: 2.0 * v)
    >>> node(graph.x, node.start(graph), graph)
    (Array([[ 9.],
           [11.]], dtype=float64), Array([[8.]], dtype=float64))
    """

    first: Array
    net: Callable[[Any], Any]

    def __init__(self, features: int, net: Callable[[Any], Any], *, dtype: Any = None) -> None:
        check_sizes("VirtualNode", features=features)
        check_callable(net, "VirtualNode")
        self.first = _hesse.zeros(features, dtype=dtype)
        self.net = net

    def start(self, graph: Graph) -> Array:
        """v for every graph, (G, features)."""
        return _hesse.broadcast_to(self.first, (graph.num_graphs, self.first.shape[0]))

    def __call__(self, x: Any, v: Array, graph: Graph) -> tuple[Array, Array]:
        x = features("VirtualNode", x, graph, self.first.shape[0], pairs=True)
        v = self.net(v + global_sum_pool(x, graph))
        return x + seg.rows(v, graph.node_graph), v


class JumpingKnowledge(Module):
    """The outputs of all layers as one: side by side ("concat"), their largest entries ("max") or sum ("sum").

    Parameters
    ----------
    mode : str

    References
    ----------
    Xu, Li, Tian, Sonobe, Kawarabayashi and Jegelka, "Representation learning on graphs with jumping knowledge
    networks", arXiv:1806.03536 (2018).

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.JumpingKnowledge("max")([hs.array([[1.0, 4.0]]), hs.array([[3.0, 2.0]])])
    Array([[3., 4.]], dtype=float64)
    """

    mode: str

    def __init__(self, mode: str = "concat") -> None:
        if mode not in ("concat", "max", "sum"):
            raise _hesse.ArgumentError(
                f"JumpingKnowledge: mode must be 'concat', 'max' or 'sum', got {mode!r}"
            )
        self.mode = mode

    def __call__(self, xs: Sequence[Any]) -> Array:
        if not xs:
            raise _hesse.ArgumentError("JumpingKnowledge: there are no outputs of layers")
        arrays = [_hesse.asarray(x) for x in xs]
        if self.mode == "concat":
            return _hesse.concat(arrays, axis=-1)
        if self.mode == "max":
            return _hesse.max(_hesse.stack(arrays), axis=0)
        return _hesse.sum(_hesse.stack(arrays), axis=0)
