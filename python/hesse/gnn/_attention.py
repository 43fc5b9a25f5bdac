"""Layers whose messages are weighted by attention."""

from __future__ import annotations

import math
from typing import Any

from .. import _hesse
from .._hesse import Array
from .._hesse import nn as _nn
from .._map import map as over_edges
from ..nn._layers import Linear
from ..nn._module import Module
from ..nn._normalisation import dropout
from . import _segments as seg
from ._bipartite import Bipartite
from ._common import apply_linear, check_sizes, edge_features, glorot, keys, linear, pair_of, sides
from ._graph import Graph
from ._message import message_passing

__all__ = ["GATConv", "GATv2Conv", "TransformerConv"]


def _refuse_loops(layer: str, graph: Any, self_loops: bool) -> None:
    if self_loops and isinstance(graph, Bipartite):
        raise _hesse.ArgumentError(
            f"{layer}: between two types of nodes there are no self-loops; make the layer with self_loops=False"
        )


def _own_edges(
    layer: str, edge_attr: Any, graph: Any, width: int, self_loops: bool
) -> tuple[Array, Array | None]:
    """Features of the edges, and for a node's self-loop the mean of those of its other incoming edges."""
    e = edge_features(layer, edge_attr, graph, width)
    if not self_loops:
        return e, None
    other = _hesse.astype(graph.source != graph.target, e.dtype)
    sums = seg.total(other[:, None] * e, graph.target, graph.num_nodes)
    count = seg.total(other, graph.target, graph.num_nodes)
    return e, sums / _hesse.maximum(count, 1)[:, None]


def _attend(
    logits: Array, own: Array | None, values: Array, graph: Graph | Bipartite, rate: float, key: Array | None
) -> Array:
    """sum_j a_ij v_j with a = softmax of the logits [E, H] over incoming edges, v [N, H, C].

    With `own` [N, H] every node attends to itself too, and self-loops among the edges do not count.
    """
    if own is not None:
        is_loop = (graph.source == graph.target)[:, None]
        logits = _hesse.where(is_loop, -math.inf, logits)
    shares, own_share = seg.softmax(logits, graph.target, graph.num_nodes, own)
    if key is not None and rate > 0.0:
        edge_key, own_key = _hesse.unstack(_hesse.random.split(key))
        shares = dropout(shares, rate, edge_key)
        own_share = None if own_share is None else dropout(own_share, rate, own_key)
    y = seg.weighted_sum(shares, values, graph)
    return y if own_share is None else y + own_share[:, :, None] * values


def _split(h: Array, heads: int) -> Array:
    """The last axis in heads: [..., H * C] to [..., H, C]."""
    return _hesse.reshape(h, (*h.shape[:-1], heads, h.shape[-1] // heads))


def _finish(y: Array, concat: bool, bias: Array | None) -> Array:
    """Heads [N, H, C] side by side or averaged."""
    y = _hesse.reshape(y, (y.shape[0], y.shape[1] * y.shape[2])) if concat else _hesse.mean(y, axis=1)
    return y if bias is None else y + bias


class GATConv(Module):
    """Graph attention: y_i = sum_j a_ij W x_j + b over the neighbours j of i and i itself, in every head.

    a_ij = softmax_j leaky_relu(s . W x_j + t . W x_i + u . V e_ij), with the last term where there are features of
    edges; a self-loop's features are the mean of those of the node's other incoming edges.

    Parameters
    ----------
    in_features : int or (int, int)
        A pair for a `Bipartite` graph whose sources and targets have different numbers of features: then there is a W for each.
    out_features : int
        Per head.
    heads : int
        H.
    concat : bool
        Whether heads are put side by side, [N, H * out_features], or averaged, [N, out_features].
    edge_features : int, optional
        Features per edge; then the layer is called with ``edge_attr=``, or reads ``graph.edge_attr``.
    negative_slope : float
    dropout : float
        Rate at which attention coefficients are dropped, when called with a key.
    self_loops : bool
        Whether nodes attend to themselves.
    bias : bool
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    weight : Array
        [H * out_features, in_features].
    target_weight : Array or None
        The same of the targets, where `in_features` is a pair.
    source_attention, target_attention : Array
        s and t, [H, out_features].
    edge_weight, edge_attention : Array or None
        V [H * out_features, edge_features] and u [H, out_features].
    bias : Array or None

    References
    ----------
    Velickovic, Cucurull, Casanova, Romero, Lio and Bengio, "Graph attention networks", arXiv:1710.10903 (2018),
    equations 3 to 6.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.GATConv(1, 4, heads=2)(graph.x, graph).shape
    (2, 8)
    """

    weight: Array
    target_weight: Array | None
    source_attention: Array
    target_attention: Array
    edge_weight: Array | None
    edge_attention: Array | None
    bias: Array | None
    concat: bool
    negative_slope: float
    dropout: float
    self_loops: bool

    def __init__(
        self, in_features: int | tuple[int, int], out_features: int, *, heads: int = 1, concat: bool = True,
        edge_features: int | None = None, negative_slope: float = 0.2, dropout: float = 0.0,
        self_loops: bool = True, bias: bool = True, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        from_sources, from_targets = pair_of("GATConv", in_features)
        check_sizes("GATConv", out_features=out_features, heads=heads)
        k = keys(key, 5)
        self.weight = glorot(k[0], (heads * out_features, from_sources), dtype)
        self.target_weight = None
        if isinstance(in_features, tuple):
            of_targets = _hesse.random.fold_in(k[0], 1)
            self.target_weight = glorot(of_targets, (heads * out_features, from_targets), dtype)
        self.source_attention = glorot(k[1], (heads, out_features), dtype)
        self.target_attention = glorot(k[2], (heads, out_features), dtype)
        self.edge_weight = self.edge_attention = None
        if edge_features is not None:
            check_sizes("GATConv", edge_features=edge_features)
            self.edge_weight = glorot(k[3], (heads * out_features, edge_features), dtype)
            self.edge_attention = glorot(k[4], (heads, out_features), dtype)
        self.bias = (
            _hesse.zeros(heads * out_features if concat else out_features, dtype=dtype) if bias else None
        )
        self.concat, self.negative_slope = concat, negative_slope
        self.dropout, self.self_loops = dropout, self_loops

    def __call__(
        self, x: Any, graph: Graph | Bipartite, edge_attr: Any = None, key: Array | None = None
    ) -> Array:
        _refuse_loops("GATConv", graph, self.self_loops)
        w = self.weight if self.target_weight is None else self.target_weight
        x, to = sides("GATConv", x, graph, self.weight.shape[1], w.shape[1], sparse=True)
        heads, width = self.source_attention.shape
        h = _split(linear(x, self.weight), heads)
        targets = h if to is x and w is self.weight else _split(linear(to, w), heads)
        sends = _hesse.sum(h * self.source_attention, axis=-1)
        gets = _hesse.sum(targets * self.target_attention, axis=-1)
        logits = seg.rows(gets, graph.target) + seg.rows(sends, graph.source)
        own = sends + gets if self.self_loops else None
        if self.edge_weight is not None and self.edge_attention is not None:
            e, own_e = _own_edges("GATConv", edge_attr, graph, self.edge_weight.shape[1], self.self_loops)
            # u . V e = (V^T u) . e: one number per edge and head, without [E, H * C].
            folded = _hesse.sum(
                _hesse.reshape(self.edge_weight, (heads, width, -1)) * self.edge_attention[:, :, None], axis=1
            )
            logits = logits + linear(e, folded)
            own = None if own is None or own_e is None else own + linear(own_e, folded)
        logits = _nn.leaky_relu(logits, self.negative_slope)
        own = None if own is None else _nn.leaky_relu(own, self.negative_slope)
        return _finish(_attend(logits, own, h, graph, self.dropout, key), self.concat, self.bias)


class GATv2Conv(Module):
    """Graph attention with dynamic coefficients: y_i = sum_j a_ij (L x_j + c) + b, over neighbours and i itself.

    a_ij = softmax_j s . leaky_relu(R x_i + d + L x_j + c + V e_ij); a self-loop's features are as in `GATConv`.

    Parameters
    ----------
    in_features : int or (int, int)
        A pair for a `Bipartite` graph whose sources and targets have different numbers of features.
    out_features : int
        Per head.
    heads, concat, edge_features, negative_slope, dropout, self_loops, bias, key, dtype
        As for `GATConv`.
    share_weights : bool
        Whether R is L.

    Attributes
    ----------
    source, target : Linear
        L x + c and R x + d, to H * out_features; they are the same layer with `share_weights`.
    attention : Array
        s, [H, out_features].
    edge_weight : Array or None
        V, [H * out_features, edge_features].
    bias : Array or None

    References
    ----------
    Brody, Alon and Yahav, "How attentive are graph attention networks?", arXiv:2105.14491 (2022), equation 7.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.GATv2Conv(1, 4, heads=2, concat=False)(graph.x, graph).shape
    (2, 4)
    """

    source: Linear
    target: Linear | None
    attention: Array
    edge_weight: Array | None
    bias: Array | None
    concat: bool
    negative_slope: float
    dropout: float
    self_loops: bool

    def __init__(
        self, in_features: int | tuple[int, int], out_features: int, *, heads: int = 1, concat: bool = True,
        edge_features: int | None = None, negative_slope: float = 0.2, dropout: float = 0.0,
        self_loops: bool = True, share_weights: bool = False, bias: bool = True, key: Array | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        from_sources, from_targets = pair_of("GATv2Conv", in_features)
        check_sizes("GATv2Conv", out_features=out_features, heads=heads)
        if share_weights and from_sources != from_targets:
            raise _hesse.ArgumentError(f"GATv2Conv: share_weights needs one in_features, got {in_features}")
        k = keys(key, 4)
        self.source = Linear(from_sources, heads * out_features, bias=bias, key=k[0], dtype=dtype)
        self.target = (
            None
            if share_weights
            else Linear(from_targets, heads * out_features, bias=bias, key=k[1], dtype=dtype)
        )
        self.attention = glorot(k[2], (heads, out_features), dtype)
        self.edge_weight = None
        if edge_features is not None:
            check_sizes("GATv2Conv", edge_features=edge_features)
            self.edge_weight = glorot(k[3], (heads * out_features, edge_features), dtype)
        self.bias = (
            _hesse.zeros(heads * out_features if concat else out_features, dtype=dtype) if bias else None
        )
        self.concat, self.negative_slope = concat, negative_slope
        self.dropout, self.self_loops = dropout, self_loops

    def __call__(
        self, x: Any, graph: Graph | Bipartite, edge_attr: Any = None, key: Array | None = None
    ) -> Array:
        _refuse_loops("GATv2Conv", graph, self.self_loops)
        to_target = self.source if self.target is None else self.target
        x, to = sides(
            "GATv2Conv", x, graph, self.source.weight.shape[1], to_target.weight.shape[1], sparse=True
        )
        heads, width = self.attention.shape
        sends = _split(apply_linear(self.source, x), heads)
        gets = sends if to is x and self.target is None else _split(apply_linear(to_target, to), heads)
        slope, attention = self.negative_slope, self.attention

        def score(sum_: Array) -> Array:
            return _hesse.sum(attention * _nn.leaky_relu(sum_, slope), axis=-1)

        index, n = [graph.target, graph.source], graph.num_edges
        if self.edge_weight is None:
            logits = over_edges(
                lambda i, j: score(i + j), n, [gets, sends], [("gather", 0), ("gather", 1)], "each", index
            )
            own = score(gets + sends) if self.self_loops else None
        else:
            e, own_e = _own_edges("GATv2Conv", edge_attr, graph, self.edge_weight.shape[1], self.self_loops)
            v = self.edge_weight
            logits = over_edges(
                lambda i, j, e: score(i + j + _hesse.reshape(v @ e, (heads, width))),
                n, [gets, sends, e], [("gather", 0), ("gather", 1), "each"], "each", index,
            )  # fmt: skip
            own = None if own_e is None else score(gets + sends + _split(linear(own_e, v), heads))
        return _finish(_attend(logits, own, sends, graph, self.dropout, key), self.concat, self.bias)


class TransformerConv(Module):
    """Dot-product attention over incoming edges: y_i = W x_i + sum_j a_ij (V x_j + E e_ij), in every head.

    a_ij = softmax_j (Q x_i) . (K x_j + E e_ij) / sqrt(out_features). With `gate`, y_i = g W x_i + (1 - g) m_i with
    g = sigmoid(u . [m_i, W x_i, m_i - W x_i]), m_i the sum.

    Parameters
    ----------
    in_features : int or (int, int)
        A pair for a `Bipartite` graph whose sources and targets have different numbers of features.
    out_features : int
        Per head.
    heads, concat, edge_features, dropout, bias, key, dtype
        As for `GATConv`.
    gate : bool
    root : bool
        Whether there is the term W x_i.

    Attributes
    ----------
    query, key, value : Linear
        Q, K and V, to H * out_features.
    edge : Array or None
        E, [H * out_features, edge_features].
    skip : Linear or None
        W.
    gate : Array or None
        u.

    References
    ----------
    Shi, Huang, Feng, Zhong, Wang and Sun, "Masked label prediction", arXiv:2009.03509 (2021), equations 3 to 6.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.TransformerConv(1, 4, heads=2)(graph.x, graph).shape
    (2, 8)
    """

    query: Linear
    key: Linear
    value: Linear
    edge: Array | None
    skip: Linear | None
    gate: Array | None
    heads: int
    concat: bool
    dropout: float

    def __init__(
        self, in_features: int | tuple[int, int], out_features: int, *, heads: int = 1, concat: bool = True,
        edge_features: int | None = None, gate: bool = False, dropout: float = 0.0, root: bool = True,
        bias: bool = True, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        from_sources, from_targets = pair_of("TransformerConv", in_features)
        check_sizes("TransformerConv", out_features=out_features, heads=heads)
        if gate and not root:
            raise _hesse.ArgumentError("TransformerConv: gate needs root=True")
        k = keys(key, 6)
        wide = heads * out_features

        def make(key: Array, m: int, n: int) -> Linear:
            return Linear(m, n, bias=bias, key=key, dtype=dtype)

        self.query = make(k[0], from_targets, wide)
        self.key, self.value = make(k[1], from_sources, wide), make(k[2], from_sources, wide)
        self.edge = None
        if edge_features is not None:
            check_sizes("TransformerConv", edge_features=edge_features)
            self.edge = glorot(k[3], (wide, edge_features), dtype)
        width = wide if concat else out_features
        self.skip = make(k[4], from_targets, width) if root else None
        self.gate = glorot(k[5], (1, 3 * width), dtype)[0] if gate else None
        self.heads, self.concat, self.dropout = heads, concat, dropout

    def __call__(
        self, x: Any, graph: Graph | Bipartite, edge_attr: Any = None, key: Array | None = None
    ) -> Array:
        widths = self.key.weight.shape[1], self.query.weight.shape[1]
        x, to = sides("TransformerConv", x, graph, *widths, sparse=True)
        heads = self.heads
        q = _split(apply_linear(self.query, to), heads)
        k, v = (_split(apply_linear(layer, x), heads) for layer in (self.key, self.value))
        scale = 1.0 / math.sqrt(q.shape[-1])
        if self.edge is None and (key is None or self.dropout == 0.0):
            logits = over_edges(
                lambda i, j: scale * _hesse.sum(i * j, axis=-1), graph.num_edges, [q, k],
                [("gather", 0), ("gather", 1)], "each", [graph.target, graph.source],
            )  # fmt: skip
            y = _attend(logits, None, v, graph, 0.0, None)
        else:
            rate = self.dropout
            attr: Any = None
            if self.edge is not None:
                attr = edge_features("TransformerConv", edge_attr, graph, self.edge.shape[1])
            kept = None
            if key is not None and rate > 0.0:
                kept = dropout(_hesse.ones((graph.num_edges, heads), dtype=q.dtype), rate, key)

            def message(i: Any, j: Any, e: Any) -> Any:
                attr, kept = e
                more = 0 if attr is None else _split(self.edge @ attr, heads)
                value = j["v"] + more
                logits = scale * _hesse.sum(i["q"] * (j["k"] + more), axis=-1)
                return logits, value if kept is None else kept[:, None] * value

            both: Any = ({"k": k, "v": v}, {"q": q})
            if not isinstance(graph, Bipartite):
                both = both[0] | both[1]
            y = message_passing(message, "softmax", both, graph, (attr, kept))
        y = _finish(y, self.concat, None)
        if self.skip is None:
            return y
        r = apply_linear(self.skip, to)
        if self.gate is None:
            return y + r
        g = _hesse.sigmoid(_hesse.concat([y, r, y - r], axis=-1) @ self.gate)[:, None]
        return g * r + (1.0 - g) * y
