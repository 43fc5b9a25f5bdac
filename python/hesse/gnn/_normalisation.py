"""Normalisations that know which graph a node belongs to; `hs.nn.BatchNorm` and `hs.nn.LayerNorm` do not."""

from __future__ import annotations

from typing import Any

from .. import _hesse
from .._hesse import Array
from ..linalg import vector_norm
from ..nn._module import Module
from ..nn._normalisation import check_epsilon
from . import _segments as seg
from ._common import check_sizes, features
from ._graph import Graph

__all__ = ["GraphNorm", "PairNorm"]


class GraphNorm(Module):
    """(x - a m) / sqrt(v + epsilon) * scale + shift, with m the mean over the nodes of a graph, v that of (x - a m)^2.

    Parameters
    ----------
    features : int
    epsilon : float
    dtype : optional

    Attributes
    ----------
    scale, shift, mean_scale : Array
        [features]; the last is a.

    Raises
    ------
    ValueError
        For a negative epsilon, and when called on features of another width.

    References
    ----------
    Cai, Luo, Xu, He, Liu and Wang, "GraphNorm", arXiv:2009.03294 (2021).

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.round(hs.gnn.GraphNorm(1)(graph.x, graph), 3)
    Array([[-1.],
           [ 1.]], dtype=float64)
    """

    scale: Array
    shift: Array
    mean_scale: Array
    epsilon: float

    def __init__(self, features: int, *, epsilon: float = 1e-5, dtype: Any = None) -> None:
        check_sizes("GraphNorm", features=features)
        check_epsilon("GraphNorm", epsilon)
        self.scale, self.mean_scale = _hesse.ones(features, dtype=dtype), _hesse.ones(features, dtype=dtype)
        self.shift = _hesse.zeros(features, dtype=dtype)
        self.epsilon = epsilon

    def __call__(self, x: Any, graph: Graph) -> Array:
        x = features("GraphNorm", x, graph, self.scale.shape[0], pairs=True)
        ids, starts = graph.node_graph, graph.node_starts
        centred = x - self.mean_scale * seg.rows(seg.mean(x, ids, starts), ids)
        variance = seg.mean(centred * centred, ids, starts)
        y: Array = centred * seg.rows(_hesse.rsqrt(variance + self.epsilon), ids)
        return y * self.scale + self.shift


class PairNorm(Module):
    """s (x - m) / sqrt(epsilon + mean_i |x_i - m|^2), with m and the mean over the nodes of a graph.

    Parameters
    ----------
    scale : float
        s.
    individually : bool
        Whether every row is divided by its own norm instead: s (x - m) / (epsilon + |x_i - m|).
    epsilon : float

    Raises
    ------
    ValueError
        For a negative epsilon, and when called on features that are not [N, F].

    References
    ----------
    Zhao and Akoglu, "PairNorm: tackling oversmoothing in GNNs", arXiv:1909.12223 (2020), equations 10 and 11.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.round(hs.gnn.PairNorm()(graph.x, graph), 3)
    Array([[-1.],
           [ 1.]], dtype=float64)
    """

    scale: float
    individually: bool
    epsilon: float

    def __init__(self, scale: float = 1.0, *, individually: bool = False, epsilon: float = 1e-5) -> None:
        check_epsilon("PairNorm", epsilon)
        self.scale, self.individually, self.epsilon = scale, individually, epsilon

    def __call__(self, x: Any, graph: Graph) -> Array:
        x = features("PairNorm", x, graph, pairs=True)
        ids, starts = graph.node_graph, graph.node_starts
        centred: Array = x - seg.rows(seg.mean(x, ids, starts), ids)
        if self.individually:
            return self.scale * centred / (self.epsilon + vector_norm(centred, axis=-1, keepdims=True))
        square = seg.mean(_hesse.sum(centred * centred, axis=-1, keepdims=True), ids, starts)
        return self.scale * centred * seg.rows(_hesse.rsqrt(self.epsilon + square), ids)
