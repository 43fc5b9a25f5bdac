"""One row per graph from the rows of its nodes; fewer nodes; what is between layers."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array
from ..linalg import vector_norm
from ..nn._layers import Linear
from ..nn._module import Module
from ..nn._recurrent import LSTMCell
from ..sparse import CSR
from . import _segments as seg
from ._common import check_sizes, features, glorot, keys, require_graph
from ._graph import Graph, numpy_of

__all__ = [
    "AttentionPooling",
    "JumpingKnowledge",
    "Residual",
    "Set2Set",
    "TopKPooling",
    "VirtualNode",
    "global_max_pool",
    "global_mean_pool",
    "global_sum_pool",
]


def _check_function(layer: str, name: str, function: Any) -> None:
    if not callable(function):
        raise _hesse.ArgumentTypeError(f"{layer}: {name} must be a function, got {type(function).__name__}")


def _check_result(layer: str, name: str, y: Any, rows: int, *widths: int) -> None:
    """What a network gave, [rows, one of the widths]: another shape may broadcast to a wrong result."""
    if len(y.shape) != 2 or y.shape[0] != rows or (widths and y.shape[1] not in widths):
        wanted = " or ".join(f"[{rows}, {width}]" for width in dict.fromkeys(widths)) or f"[{rows}, C]"
        raise _hesse.ArgumentError(
            f"{layer}: {name} must give {wanted} for this graph, got shape {tuple(y.shape)}"
        )


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

    Raises
    ------
    ValueError
        When called with x, or a gate or net with results, of another shape.

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
        _check_function("AttentionPooling", "gate", gate)
        if net is not None:
            _check_function("AttentionPooling", "net", net)
        self.gate, self.net = gate, net

    def __call__(self, x: Any, graph: Graph) -> Array:
        x = features("AttentionPooling", x, graph, pairs=True)
        logits, y = self.gate(x), x if self.net is None else self.net(x)
        _check_result("AttentionPooling", "net", y, graph.num_nodes)
        _check_result("AttentionPooling", "gate", logits, graph.num_nodes, 1, y.shape[1])
        weights, _ = seg.softmax(logits, graph.node_graph, graph.num_graphs)
        return seg.total(weights * y, graph.node_graph, graph.num_graphs)


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
    which these are. A score that is NaN counts as the largest, so that it is seen. How many are kept depends on data:
    it runs outside of `compile`.

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
        For a ratio outside of (0, 1], and when called on features of another width.

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
        given: Any = ratio  # for mypy, to which nothing else than a float arrives
        if isinstance(given, bool) or not isinstance(given, numbers.Real):
            raise _hesse.ArgumentTypeError(f"TopKPooling: ratio must be a number in (0, 1], got {ratio!r}")
        if not 0.0 < ratio <= 1.0:
            raise _hesse.ArgumentError(f"TopKPooling: ratio must be in (0, 1], got {ratio}")
        self.direction = glorot(keys(key, 1)[0], (1, in_features), dtype)[0]
        self.ratio = float(ratio)

    def __call__(self, x: Any, graph: Graph) -> tuple[Array, Graph, Array]:
        x = features("TopKPooling", x, graph, self.direction.shape[0], pairs=True)
        score = _hesse.tanh(x @ self.direction / vector_norm(self.direction))
        data = numpy_of("TopKPooling", "x", _hesse.stop_gradient(score))
        starts = numpy_of("TopKPooling", "node_starts", graph.node_starts)
        before = np.where(np.isnan(data), -np.inf, -data)
        kept = []
        for a, b in itertools.pairwise(starts):
            order = np.argsort(before[a:b], kind="stable")
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

    Raises
    ------
    ValueError
        When called on x or v of another shape, or for a net with results of another shape.

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
        _check_function("VirtualNode", "net", net)
        self.first = _hesse.zeros(features, dtype=dtype)
        self.net = net

    def start(self, graph: Graph) -> Array:
        """v for every graph, (G, features)."""
        require_graph("VirtualNode", graph, pairs=True)
        return _hesse.broadcast_to(self.first, (graph.num_graphs, self.first.shape[0]))

    def __call__(self, x: Any, v: Array, graph: Graph) -> tuple[Array, Array]:
        width = self.first.shape[0]
        x, count = features("VirtualNode", x, graph, width, pairs=True), graph.num_graphs
        if v is None or (v := _hesse.asarray(v)).shape != (count, width):
            found = "None" if v is None else f"shape {tuple(v.shape)}"
            raise _hesse.ArgumentError(
                f"VirtualNode: v must be [{count}, {width}] for this graph, got {found}; begin with layer.start(graph)"
            )
        v = self.net(v + global_sum_pool(x, graph))
        _check_result("VirtualNode", "net", v, count, width)
        return x + seg.rows(v, graph.node_graph), v


class JumpingKnowledge(Module):
    """The outputs of all layers as one: side by side ("concat"), their largest entries ("max") or sum ("sum"), or a sum
    with weights that a node learns ("lstm").

    The last is y = sum over l of a_l x_l, a = softmax over the layers of w . [f_l, b_l] + c, where f_l and b_l are the
    states of an LSTM that reads x_1, ..., x_L and of another that reads them from x_L on.

    Parameters
    ----------
    mode : str
    features, layers : int, optional
        The width of the outputs and L, for "lstm" alone. The states have layers * features // 2 entries.
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    upwards, downwards : Module or None
        The LSTMs, as the cell of `Set2Set`.
    score : Linear or None
        w and c.

    Raises
    ------
    ValueError
        For an unknown mode; when called without outputs, or on outputs whose shapes do not fit.
    TypeError
        Without sizes for "lstm", or with them for another mode; when called on something else than a list.

    References
    ----------
    Xu, Li, Tian, Sonobe, Kawarabayashi and Jegelka, "Representation learning on graphs with jumping knowledge
    networks", arXiv:1806.03536 (2018), section 4; the states of "lstm" are as wide as in `torch_geometric`.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.JumpingKnowledge("max")([hs.array([[1.0, 4.0]]), hs.array([[3.0, 2.0]])])
    Array([[3., 4.]], dtype=float64)
    >>> jump = hs.gnn.JumpingKnowledge("lstm", features=2, layers=2, key=hs.random.key(0))
    >>> jump([hs.array([[1.0, 4.0]]), hs.array([[3.0, 2.0]])]).shape
    (1, 2)
    """

    mode: str
    layers: int | None
    upwards: LSTMCell | None
    downwards: LSTMCell | None
    score: Linear | None

    def __init__(
        self, mode: str = "concat", features: int | None = None, layers: int | None = None, *,
        key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if mode not in ("concat", "max", "sum", "lstm"):
            raise _hesse.ArgumentError(
                f"JumpingKnowledge: mode must be 'concat', 'max', 'sum' or 'lstm', got {mode!r}"
            )
        self.mode, self.layers = mode, layers
        self.upwards = self.downwards = self.score = None
        if mode == "lstm":
            check_sizes("JumpingKnowledge", features=features, layers=layers)
            assert features is not None and layers is not None
            width = layers * features // 2
            if width == 0:
                raise _hesse.ArgumentError("JumpingKnowledge: features * layers must be at least 2, got 1")
            one, two, three = keys(key, 3)
            self.upwards = LSTMCell(features, width, key=one, dtype=dtype)
            self.downwards = LSTMCell(features, width, key=two, dtype=dtype)
            self.score = Linear(2 * width, 1, key=three, dtype=dtype)
        elif features is not None or layers is not None:
            raise _hesse.ArgumentTypeError(
                f"JumpingKnowledge: mode {mode!r} takes no features and layers, got {features} and {layers}"
            )

    def __call__(self, xs: Sequence[Any]) -> Array:
        arrays = self._checked(xs)
        if self.mode == "concat":
            return _hesse.concat(arrays, axis=-1)
        if self.mode == "max":
            return _hesse.max(_hesse.stack(arrays), axis=0)
        if self.mode == "sum":
            return _hesse.sum(_hesse.stack(arrays), axis=0)
        assert self.upwards is not None and self.downwards is not None and self.score is not None
        up, down = _states(self.upwards, arrays), _states(self.downwards, arrays[::-1])[::-1]
        scores = [self.score(_hesse.concat([f, b], axis=-1)) for f, b in zip(up, down, strict=True)]
        shares = _hesse.softmax(_hesse.concat(scores, axis=-1), axis=-1)
        return _hesse.sum(shares[..., None] * _hesse.stack(arrays, axis=-2), axis=-2)

    def _checked(self, xs: Any) -> list[Array]:
        if not isinstance(xs, (list, tuple)):
            raise _hesse.ArgumentTypeError(
                f"JumpingKnowledge: xs must be a list of the outputs of layers, got {type(xs).__name__}"
            )
        if not xs:
            raise _hesse.ArgumentError(
                "JumpingKnowledge: xs must have the output of one layer at least, got []"
            )
        arrays = [_hesse.asarray(x) for x in xs]
        shapes = [tuple(x.shape) for x in arrays]
        rest = slice(-1 if self.mode == "concat" else None)
        if not all(shapes) or len({s[rest] for s in shapes}) > 1:
            but = ", but for the last axis" if self.mode == "concat" else ""
            raise _hesse.ArgumentError(
                f"JumpingKnowledge: xs must have the same shape for mode {self.mode!r}{but}, got {shapes}"
            )
        if len(arrays) != (self.layers or len(arrays)):
            raise _hesse.ArgumentError(
                f"JumpingKnowledge: xs must have the outputs of {self.layers} layers, got {len(arrays)}"
            )
        if self.upwards is not None and shapes[0][-1] != self.upwards.inputs.weight.shape[1]:
            raise _hesse.ArgumentError(
                f"JumpingKnowledge: xs must have {self.upwards.inputs.weight.shape[1]} features, got shape {shapes[0]}"
            )
        return arrays


def _states(cell: LSTMCell, xs: list[Array]) -> list[Array]:
    """h after each of the inputs, from zeros."""
    h = c = _hesse.zeros((*xs[0].shape[:-1], cell.state.weight.shape[1]), dtype=xs[0].dtype)
    found = []
    for x in xs:
        h, c = cell(x, h, c)
        found.append(h)
    return found


class Residual(Module):
    """x + layer(x, graph, ...): a layer as a change of its features.

    For edges between two types of nodes, where x is a pair, x_target + layer((x_source, x_target), graph, ...).

    Parameters
    ----------
    layer : callable
        Called with all arguments; gives as many features as x has.

    Returns
    -------
    Array
        Of the shape of x, of ``residual(x, graph, ...)``.

    Raises
    ------
    ValueError
        When called where the layer gives another shape than that of x.
    TypeError
        For a layer that is no function or gives no single array, and for sparse x.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", arXiv:1512.03385 (2016), equation 1; for
    graphs Li, Müller, Thabet and Ghanem, "DeepGCNs: Can GCNs go as deep as CNNs?", arXiv:1904.03751 (2019).

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.Residual(hs.gnn.APPNP(1, 0.0))(graph.x, graph)
    Array([[3.],
           [5.]], dtype=float64)
    """

    layer: Callable[..., Any]

    def __init__(self, layer: Callable[..., Any]) -> None:
        _check_function("Residual", "layer", layer)
        self.layer = layer

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Array:
        if isinstance(x, tuple) and (len(x) != 2 or x[1] is None):
            raise _hesse.ArgumentTypeError(
                f"Residual: x must be an array, or a pair of x_source and x_target, got {len(x)} entries"
                + (", the second None" if len(x) == 2 else "")
            )
        own = x[1] if isinstance(x, tuple) else x
        if isinstance(own, CSR):
            raise _hesse.ArgumentTypeError("Residual: x must be dense; use x.todense()")
        y = self.layer(x, *args, **kwargs)
        name = getattr(self.layer, "__name__", type(self.layer).__name__)
        if not isinstance(y, Array):
            raise _hesse.ArgumentTypeError(
                f"Residual: the layer must return one array, {name} returned {type(y).__name__}"
            )
        own = _hesse.asarray(own)
        if y.shape != own.shape:
            raise _hesse.ArgumentError(
                f"Residual: {name} must return the shape of x, {tuple(own.shape)}, got {tuple(y.shape)}; "
                "make it with as many features out as in"
            )
        return own + y
