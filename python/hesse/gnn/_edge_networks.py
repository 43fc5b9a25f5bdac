"""Layers of neural message passing: matrices from features of edges, and gated updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _hesse
from .._flat import check_callable
from .._hesse import Array
from ..nn._layers import Linear
from ..nn._module import Module
from ..nn._recurrent import GRUCell
from . import _segments as seg
from ._common import check_sizes, edge_features, features, glorot, keys
from ._graph import Graph
from ._message import message_passing

__all__ = ["GatedGraphConv", "NNConv"]


class NNConv(Module):
    """Messages through matrices that a network makes of the edges: y_i = V x_i + sum_j x_j f(e_ij) + b.

    Parameters
    ----------
    in_features, out_features : int
    net : callable
        f: the features of an edge to in_features * out_features numbers, a matrix [in_features, out_features] row
        by row. The matrix of an edge lives while the edge's message is computed; they are never all stored.
    reduce : str
        "sum" or "mean".
    root : bool
        Whether there is the term V x_i.
    bias : bool
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    root : Linear or None
        V.
    bias : Array or None

    References
    ----------
    Gilmer, Schoenholz, Riley, Vinyals and Dahl, "Neural message passing for quantum chemistry",
    arXiv:1704.01212 (2017), section 5; Simonovsky and Komodakis, arXiv:1704.02901 (2017).

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]], edge_attr=[[0.5], [0.0]])
    >>> hs.gnn.NNConv(1, 4, hs.nn.MLP([1, 8, 4]))(graph.x, graph).shape
    (2, 4)
    """

    net: Callable[[Any], Any]
    root: Linear | None
    bias: Array | None
    in_features: int
    out_features: int
    reduce: str

    def __init__(
        self, in_features: int, out_features: int, net: Callable[[Any], Any], *, reduce: str = "sum",
        root: bool = True, bias: bool = True, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes("NNConv", in_features=in_features, out_features=out_features)
        check_callable(net, "NNConv")
        if reduce not in ("sum", "mean"):
            raise _hesse.ArgumentError(f"NNConv: reduce must be 'sum' or 'mean', got {reduce!r}")
        self.net = net
        k = keys(key, 1)[0]
        self.root = Linear(in_features, out_features, bias=False, key=k, dtype=dtype) if root else None
        self.bias = _hesse.zeros(out_features, dtype=dtype) if bias else None
        self.in_features, self.out_features, self.reduce = in_features, out_features, reduce

    def __call__(self, x: Any, graph: Graph, edge_attr: Any = None) -> Array:
        x = features("NNConv", x, graph, self.in_features)
        e = edge_features("NNConv", edge_attr, graph)
        shape = (self.in_features, self.out_features)

        def message(i: Any, j: Any, e: Any) -> Any:
            matrix = self.net(e)
            if matrix.shape != (shape[0] * shape[1],):
                raise _hesse.ArgumentError(
                    f"NNConv: net must return {shape[0]} * {shape[1]} numbers for an edge, got shape {matrix.shape}"
                )
            return j @ _hesse.reshape(matrix, shape)

        y: Array = message_passing(message, self.reduce, x, graph, e)
        if self.root is not None:
            y = y + self.root(x)
        return y if self.bias is None else y + self.bias


class GatedGraphConv(Module):
    """Gated graph network: K times m_i = sum_j h_j W_k, h_i <- GRU(m_i, h_i), from h = x with zeros appended.

    Parameters
    ----------
    features : int
        Of h; at least those of x.
    steps : int
        K.
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    weight : Array
        [K, features, features].
    cell : hs.nn.GRUCell

    Raises
    ------
    ValueError
        When called on more features than it has.

    References
    ----------
    Li, Tarlow, Brockschmidt and Zemel, "Gated graph sequence neural networks", arXiv:1511.05493 (2016).

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.GatedGraphConv(4, steps=2)(graph.x, graph).shape
    (2, 4)
    """

    weight: Array
    cell: GRUCell

    def __init__(self, features: int, steps: int, *, key: Array | None = None, dtype: Any = None) -> None:
        check_sizes("GatedGraphConv", features=features, steps=steps)
        k = keys(key, steps + 1)
        self.weight = _hesse.stack([glorot(k[i], (features, features), dtype) for i in range(steps)])
        self.cell = GRUCell(features, features, key=k[steps], dtype=dtype)

    def __call__(self, x: Any, graph: Graph) -> Array:
        x = features("GatedGraphConv", x, graph)
        steps, width, _ = self.weight.shape
        missing = width - x.shape[1]
        if missing < 0:
            raise _hesse.ArgumentError(
                f"GatedGraphConv: x has {x.shape[1]} features, more than the layer's {width}"
            )
        h: Array = x
        if missing:
            h = _hesse.concat([x, _hesse.zeros((x.shape[0], missing), dtype=x.dtype)], axis=-1)
        w = graph.weights(h.dtype)
        for k in range(steps):
            h = self.cell(seg.weighted_sum(w, h @ self.weight[k], graph), h)
        return h
