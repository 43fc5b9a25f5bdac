"""Layers that multiply features by a normalised adjacency matrix or a polynomial of one."""

from __future__ import annotations

from typing import Any

from .. import _hesse
from .._hesse import Array
from ..nn._module import Module
from ..nn._normalisation import dropout
from . import _segments as seg
from ._common import check_sizes, features, glorot, keys, linear
from ._graph import Graph, _inverse

__all__ = ["APPNP", "ChebConv", "GCNConv", "SGConv", "propagate"]


def _loops(graph: Graph, w: Array) -> tuple[Array, Array]:
    """The weights without self-loops, and a self-loop's weight for each node: what it has, else 1."""
    n = graph.num_nodes
    is_loop = graph.source == graph.target
    has = seg.total(_hesse.astype(is_loop, w.dtype), graph.target, n) > 0
    own = seg.total(_hesse.where(is_loop, w, 0), graph.target, n)
    return _hesse.where(is_loop, 0, w), _hesse.where(has, own, 1)


def propagate(graph: Graph, dtype: Any, self_loops: bool = True) -> tuple[Array, Array | None, Array | None]:
    """D^-1/2 (A + I) D^-1/2 in three parts (w, d, own): y_i = d_i (sum_j w_ij d_j x_j) + own_i x_i."""
    w = graph.weights(dtype)
    if not self_loops:
        d = _inverse(seg.total(w, graph.target, graph.num_nodes), root=True)
        return w, d, None
    w, own = _loops(graph, w)
    d = _inverse(seg.total(w, graph.target, graph.num_nodes) + own, root=True)
    return w, d, d * own * d


def apply(parts: tuple[Array, Array | None, Array | None], x: Array, graph: Graph) -> Array:
    """The product of `propagate`'s matrix with x."""
    w, d, own = parts
    if d is None:
        return seg.weighted_sum(w, x, graph)
    y = d[:, None] * seg.weighted_sum(w, d[:, None] * x, graph)
    return y if own is None else y + own[:, None] * x


class GCNConv(Module):
    """Graph convolution: y = S x W^T + b with S = D^-1/2 (A + I) D^-1/2.

    D has the row sums of A + I; a node that has self-loops keeps their weight instead of 1. Weights of edges are
    ``graph.edge_weight``, or 1.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    normalise : bool
        False: S = A, for a graph that has been normalised once and for all.
    self_loops : bool
        False: S = D^-1/2 A D^-1/2.
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    weight : Array
        [out_features, in_features].
    bias : Array or None
        [out_features].

    Raises
    ------
    ValueError
        When called on features that are not [N, in_features]; `x` may be a `hs.sparse.CSR`.

    References
    ----------
    Kipf and Welling, "Semi-supervised classification with graph convolutional networks", arXiv:1609.02907
    (2017), equation 2.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> conv = hs.gnn.GCNConv(1, 1).replace(weight=hs.array([[1.0]]))
    >>> conv(graph.x, graph)
    Array([[2.],
           [2.]], dtype=float64)
    """

    weight: Array
    bias: Array | None
    normalise: bool
    self_loops: bool

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, normalise: bool = True,
        self_loops: bool = True, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes("GCNConv", in_features=in_features, out_features=out_features)
        self.weight = glorot(keys(key, 1)[0], (out_features, in_features), dtype)
        self.bias = _hesse.zeros(out_features, dtype=dtype) if bias else None
        self.normalise, self.self_loops = normalise, self_loops

    def __call__(self, x: Any, graph: Graph) -> Array:
        x = features("GCNConv", x, graph, self.weight.shape[1], sparse=True)
        h = linear(x, self.weight)
        if self.normalise:
            y = apply(propagate(graph, h.dtype, self.self_loops), h, graph)
        else:
            y = seg.weighted_sum(graph.weights(h.dtype), h, graph)
        return y if self.bias is None else y + self.bias


class SGConv(Module):
    """Simple graph convolution: y = S^K x W^T + b with the S of `GCNConv`.

    Parameters
    ----------
    in_features, out_features : int
    steps : int
        K.
    bias : bool
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    weight : Array
        [out_features, in_features].
    bias : Array or None
        [out_features].

    References
    ----------
    Wu, Zhang, de Souza, Fifty, Yu and Weinberger, "Simplifying graph convolutional networks",
    arXiv:1902.07153 (2019).

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.SGConv(1, 4, steps=2)(graph.x, graph).shape
    (2, 4)
    """

    weight: Array
    bias: Array | None
    steps: int

    def __init__(
        self, in_features: int, out_features: int, *, steps: int = 1, bias: bool = True,
        key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes("SGConv", in_features=in_features, out_features=out_features, steps=steps)
        self.weight = glorot(keys(key, 1)[0], (out_features, in_features), dtype)
        self.bias = _hesse.zeros(out_features, dtype=dtype) if bias else None
        self.steps = steps

    def __call__(self, x: Any, graph: Graph) -> Array:
        x = features("SGConv", x, graph, self.weight.shape[1], sparse=True)
        h = linear(x, self.weight)
        parts = propagate(graph, h.dtype)
        for _ in range(self.steps):
            h = apply(parts, h, graph)
        return h if self.bias is None else h + self.bias


class APPNP(Module):
    """Personalised PageRank in K steps: z <- (1 - a) S z + a x from z = x, with the S of `GCNConv`.

    Parameters
    ----------
    steps : int
        K.
    alpha : float
        a in [0, 1], the probability to start again.
    dropout : float
        Rate at which entries of S are dropped in every step of training.

    Raises
    ------
    ValueError
        For an alpha outside of [0, 1].

    References
    ----------
    Gasteiger, Bojchevski and Günnemann, "Predict then propagate", arXiv:1810.05997 (2019), equation 4.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.APPNP(1, 0.5)(graph.x, graph)
    Array([[1.5],
           [2.5]], dtype=float64)
    """

    steps: int
    alpha: float
    dropout: float

    def __init__(self, steps: int, alpha: float = 0.1, dropout: float = 0.0) -> None:
        check_sizes("APPNP", steps=steps)
        if not 0.0 <= alpha <= 1.0:
            raise _hesse.ArgumentError(f"APPNP: alpha must be in [0, 1], got {alpha}")
        self.steps, self.alpha, self.dropout = steps, alpha, dropout

    def __call__(self, x: Any, graph: Graph, key: Array | None = None) -> Array:
        x = features("APPNP", x, graph)
        w, d, own = propagate(graph, x.dtype)
        z: Array = x
        for step in range(self.steps):
            parts = (w, d, own)
            if key is not None and self.dropout > 0.0:
                edge_key, own_key = _hesse.unstack(_hesse.random.split(_hesse.random.fold_in(key, step)))
                parts = (dropout(w, self.dropout, edge_key), d, dropout(own, self.dropout, own_key))
            z = (1.0 - self.alpha) * apply(parts, z, graph) + self.alpha * x
        return z


class ChebConv(Module):
    """Chebyshev polynomials of the Laplacian: y = sum_k T_k(2 L / lambda - I) x W_k^T + b, k < K.

    Parameters
    ----------
    in_features, out_features : int
    size : int
        K.
    kind : str, optional
        Which Laplacian: "sym", "rw" or None, as `Graph.laplacian` has them; self-loops are left out.
    lambda_max : float
        The largest eigenvalue of L, or a bound: 2 for "sym" and "rw".
    bias : bool
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    weight : Array
        [K, out_features, in_features].
    bias : Array or None
        [out_features].

    References
    ----------
    Defferrard, Bresson and Vandergheynst, "Convolutional neural networks on graphs with fast localized spectral
    filtering", arXiv:1606.09375 (2016), equation 4.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.ChebConv(1, 4, size=3)(graph.x, graph).shape
    (2, 4)
    """

    weight: Array
    bias: Array | None
    kind: str | None
    lambda_max: float

    def __init__(
        self, in_features: int, out_features: int, size: int, *, kind: str | None = "sym",
        lambda_max: float = 2.0, bias: bool = True, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes("ChebConv", in_features=in_features, out_features=out_features, size=size)
        if kind not in ("sym", "rw", None):
            raise _hesse.ArgumentError(f"ChebConv: kind must be 'sym', 'rw' or None, got {kind!r}")
        if not lambda_max > 0.0:
            raise _hesse.ArgumentError(f"ChebConv: lambda_max must be positive, got {lambda_max}")
        self.weight = _hesse.stack([glorot(k, (out_features, in_features), dtype) for k in keys(key, size)])
        self.bias = _hesse.zeros(out_features, dtype=dtype) if bias else None
        self.kind, self.lambda_max = kind, lambda_max

    def __call__(self, x: Any, graph: Graph) -> Array:
        x = features("ChebConv", x, graph, self.weight.shape[2])
        w = _hesse.where(graph.source == graph.target, 0, graph.weights(x.dtype))
        plain = graph.replace(edge_weight=w)
        scale = 2.0 / self.lambda_max
        diagonal: Any = scale - 1.0
        if self.kind is None:
            diagonal = (scale * plain.degree(weighted=True) - 1.0)[:, None]
        else:
            w = plain.normalised(self.kind).weights()
        a = graph.adjacency(-scale * w)
        before, now = None, x
        y = linear(now, self.weight[0])
        for k in range(1, self.weight.shape[0]):
            moved = a @ now + diagonal * now
            before, now = now, moved if before is None else 2.0 * moved - before
            y = y + linear(now, self.weight[k])
        return y if self.bias is None else y + self.bias
