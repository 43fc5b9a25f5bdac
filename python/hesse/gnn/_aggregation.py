"""Layers that reduce what neighbours say by sums, means, maxima or several of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._flat import check_callable
from .._hesse import Array
from .._hesse import nn as _nn
from ..linalg import vector_norm
from ..nn._layers import Linear
from ..nn._module import Module
from ..sparse import CSR
from . import _segments as seg
from ._bipartite import Bipartite
from ._common import (
    apply_linear,
    check_sizes,
    edge_features,
    features,
    glorot,
    keys,
    linear,
    pair_of,
    sides,
)
from ._graph import Graph
from ._message import message_passing

__all__ = ["EdgeConv", "GINConv", "GINEConv", "PNAConv", "RGCNConv", "SAGEConv"]


def _weighted(graph: Graph | Bipartite, x: Array) -> Array:
    """sum_j w_ij x_j."""
    return seg.weighted_sum(graph.weights(x.dtype), x, graph)


class SAGEConv(Module):
    """GraphSAGE: y_i = W r_i + V x_i + b, with r_i the mean, sum or maximum of x_j over the neighbours j.

    Parameters
    ----------
    in_features : int or (int, int)
        A pair for a `Bipartite` graph whose sources and targets have different numbers of features.
    out_features : int
    reduce : str
        "mean", "sum" or "max". Weights of edges count in the first two: sum w x / sum w, and sum w x.
    root : bool
        Whether there is the term V x_i.
    unit_length : bool
        Whether rows of y are divided by their Euclidean norm.
    bias : bool
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    neighbours : Linear
        W and b.
    root : Linear or None
        V.

    References
    ----------
    Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs", arXiv:1706.02216 (2017),
    algorithm 1.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.SAGEConv(1, 4, reduce="max")(graph.x, graph).shape
    (2, 4)
    """

    neighbours: Linear
    root: Linear | None
    reduce: str
    unit_length: bool

    def __init__(
        self, in_features: int | tuple[int, int], out_features: int, *, reduce: str = "mean", root: bool = True,
        unit_length: bool = False, bias: bool = True, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        from_sources, from_targets = pair_of("SAGEConv", in_features)
        check_sizes("SAGEConv", out_features=out_features)
        if reduce not in ("mean", "sum", "max"):
            raise _hesse.ArgumentError(f"SAGEConv: reduce must be 'mean', 'sum' or 'max', got {reduce!r}")
        k = keys(key, 2)
        self.neighbours = Linear(from_sources, out_features, bias=bias, key=k[0], dtype=dtype)
        self.root = Linear(from_targets, out_features, bias=False, key=k[1], dtype=dtype) if root else None
        self.reduce, self.unit_length = reduce, unit_length

    def __call__(self, x: Any, graph: Graph | Bipartite) -> Array:
        weight, bias = self.neighbours.weight, self.neighbours.bias
        width = None if self.root is None else self.root.weight.shape[1]
        x, own = sides("SAGEConv", x, graph, weight.shape[1], width, sparse=self.reduce != "max")
        if self.reduce == "max":
            y = linear(
                seg.maximum(seg.rows(x, graph.source), graph.target, graph.target_starts), weight, bias
            )
        else:
            # Sums commute with W: what has fewer columns is summed.
            first = isinstance(x, CSR) or weight.shape[0] < weight.shape[1]
            y = _weighted(graph, linear(x, weight) if first else x)
            if self.reduce == "mean":
                total = graph.degree(weighted=True)
                y = y / _hesse.astype(_hesse.where(total == 0, 1, total), y.dtype)[:, None]
            y = y if first else linear(y, weight)
            y = y if bias is None else y + bias
        if self.root is not None:
            y = y + apply_linear(self.root, own)
        if self.unit_length:
            norm = vector_norm(y, axis=-1, keepdims=True)
            y = y / _hesse.where(norm == 0, 1, norm)
        return y


class GINConv(Module):
    """Graph isomorphism network: y_i = f((1 + e) x_i + sum_j x_j).

    Parameters
    ----------
    net : callable
        f, of features in the last axis, such as `hs.nn.MLP`.
    epsilon : float
        e.
    train_epsilon : bool
        Whether e is a parameter.
    dtype : optional
        Of e as a parameter.

    References
    ----------
    Xu, Hu, Leskovec and Jegelka, "How powerful are graph neural networks?", arXiv:1810.00826 (2019), equation 4.1.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.GINConv(hs.nn.MLP([1, 8, 4]))(graph.x, graph).shape
    (2, 4)
    """

    net: Callable[[Any], Any]
    epsilon: Any

    def __init__(
        self,
        net: Callable[[Any], Any],
        *,
        epsilon: float = 0.0,
        train_epsilon: bool = False,
        dtype: Any = None,
    ) -> None:
        check_callable(net, "GINConv")
        self.net = net
        self.epsilon = _hesse.asarray(epsilon, dtype=dtype) if train_epsilon else float(epsilon)

    def __call__(self, x: Any, graph: Graph | Bipartite) -> Any:
        x, own = sides("GINConv", x, graph, None, None)
        return self.net((1.0 + self.epsilon) * own + _weighted(graph, x))


class GINEConv(Module):
    """`GINConv` with features of edges: y_i = f((1 + e) x_i + sum_j relu(x_j + V e_ij + c)).

    Parameters
    ----------
    net, epsilon, train_epsilon
        As for `GINConv`.
    in_features, edge_features : int, optional
        With both there is V, [in_features, edge_features]; without, features of edges are as wide as those of nodes.
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    edge : Linear or None
        V and c.

    References
    ----------
    Hu, Liu, Gomes, Zitnik, Liang, Pande and Leskovec, "Strategies for pre-training graph neural networks",
    arXiv:1905.12265 (2020).

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]], edge_attr=[[0.5], [0.0]])
    >>> hs.gnn.GINEConv(hs.nn.MLP([1, 8, 4]))(graph.x, graph).shape
    (2, 4)
    """

    net: Callable[[Any], Any]
    edge: Linear | None
    epsilon: Any

    def __init__(
        self, net: Callable[[Any], Any], *, epsilon: float = 0.0, train_epsilon: bool = False,
        in_features: int | None = None, edge_features: int | None = None, key: Array | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        check_callable(net, "GINEConv")
        if (in_features is None) != (edge_features is None):
            raise _hesse.ArgumentError("GINEConv: in_features and edge_features are given both or not at all")
        self.net = net
        self.edge = None
        if in_features is not None and edge_features is not None:
            check_sizes("GINEConv", in_features=in_features, edge_features=edge_features)
            self.edge = Linear(edge_features, in_features, key=keys(key, 1)[0], dtype=dtype)
        self.epsilon = _hesse.asarray(epsilon, dtype=dtype) if train_epsilon else float(epsilon)

    def __call__(self, x: Any, graph: Graph, edge_attr: Any = None) -> Any:
        x = features("GINEConv", x, graph)
        e = edge_features("GINEConv", edge_attr, graph, x.shape[1] if self.edge is None else None)
        if self.edge is not None:
            e = self.edge(e)
        sums = message_passing(lambda i, j, e: _nn.relu(j + e), "sum", x, graph, e)
        return self.net((1.0 + self.epsilon) * x + sums)


class EdgeConv(Module):
    """Edge convolution: y_i = max_j (or sum, mean) of f([x_i, x_j - x_i]).

    Parameters
    ----------
    net : callable
        f, from twice the features.
    reduce : str
        "max", "sum" or "mean".

    References
    ----------
    Wang, Sun, Liu, Sarma, Bronstein and Solomon, "Dynamic graph CNN for learning on point clouds",
    arXiv:1801.07829 (2019), equation 8.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.EdgeConv(hs.nn.MLP([2, 8, 4]))(graph.x, graph).shape
    (2, 4)
    """

    net: Callable[[Any], Any]
    reduce: str

    def __init__(self, net: Callable[[Any], Any], *, reduce: str = "max") -> None:
        check_callable(net, "EdgeConv")
        if reduce not in ("mean", "sum", "max"):
            raise _hesse.ArgumentError(f"EdgeConv: reduce must be 'mean', 'sum' or 'max', got {reduce!r}")
        self.net, self.reduce = net, reduce

    def __call__(self, x: Any, graph: Graph) -> Any:
        x = features("EdgeConv", x, graph)
        return message_passing(
            lambda i, j, e: self.net(_hesse.concat([i, j - i], axis=-1)), self.reduce, x, graph
        )


class PNAConv(Module):
    """Principal neighbourhood aggregation: y_i = W g([x_i, s a(f([x_i, x_j, V e_ij])) ...]) + b.

    All aggregators a of the messages times all scalers s of the degree d of a node: identity 1, amplification
    log(d + 1) / m, attenuation m / log(d + 1), linear d / n, inverse n / d, with m and n the means of log(d + 1)
    and d over the nodes of the training set; a degree of 0 counts as 1.

    Parameters
    ----------
    in_features, out_features : int
    aggregators : sequence of str
        Of "mean", "min", "max", "std", "sum", "var".
    scalers : sequence of str
        Of "identity", "amplification", "attenuation", "linear", "inverse".
    degrees : array of integers
        How many nodes of the training set have 0, 1, 2, ... incoming edges.
    edge_features : int, optional
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    before, after, last : Linear
        f, g, and W with b.
    edge : Linear or None
        V.

    Raises
    ------
    ValueError
        For names other than these.

    References
    ----------
    Corso, Cavalleri, Beaini, Lio and Velickovic, "Principal neighbourhood aggregation for graph nets",
    arXiv:2004.05718 (2020), equations 5 to 8; one tower.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]])
    >>> hs.gnn.PNAConv(1, 4, ["mean", "max"], ["identity"], degrees=[0, 2])(graph.x, graph).shape
    (2, 4)
    """

    before: Linear
    after: Linear
    last: Linear
    edge: Linear | None
    aggregators: tuple[str, ...]
    scalers: tuple[str, ...]
    mean_degree: float
    mean_log_degree: float

    def __init__(
        self, in_features: int, out_features: int, aggregators: Sequence[str], scalers: Sequence[str], *,
        degrees: Any, edge_features: int | None = None, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        import numpy as np

        check_sizes("PNAConv", in_features=in_features, out_features=out_features)
        for name, given, known in (
            ("aggregators", aggregators, ("mean", "min", "max", "std", "sum", "var")),
            ("scalers", scalers, ("identity", "amplification", "attenuation", "linear", "inverse")),
        ):
            if isinstance(given, str) or not given or any(word not in known for word in given):
                raise _hesse.ArgumentError(
                    f"PNAConv: {name} must be some of {', '.join(known)}; got {given!r}"
                )
        histogram = np.asarray(degrees, float)
        if histogram.ndim != 1 or not histogram.sum() > 0:
            raise _hesse.ArgumentError(
                f"PNAConv: degrees must count nodes by degree, [largest degree + 1], got shape {histogram.shape} "
                f"with the sum {histogram.sum()}"
            )
        d = np.arange(len(histogram))
        self.mean_degree = float((d * histogram).sum() / histogram.sum())
        self.mean_log_degree = float((np.log(d + 1) * histogram).sum() / histogram.sum())
        k = keys(key, 4)
        parts = 3 if edge_features is not None else 2
        self.edge = None
        if edge_features is not None:
            check_sizes("PNAConv", edge_features=edge_features)
            self.edge = Linear(edge_features, in_features, key=k[3], dtype=dtype)
        self.before = Linear(parts * in_features, in_features, key=k[0], dtype=dtype)
        wide = (1 + len(aggregators) * len(scalers)) * in_features
        self.after = Linear(wide, out_features, key=k[1], dtype=dtype)
        self.last = Linear(out_features, out_features, key=k[2], dtype=dtype)
        self.aggregators, self.scalers = tuple(aggregators), tuple(scalers)

    def __call__(self, x: Any, graph: Graph, edge_attr: Any = None) -> Array:
        width = self.before.weight.shape[0]
        x = features("PNAConv", x, graph, width)
        # f is linear: its parts for the two nodes are computed per node, not per edge.
        w = self.before.weight
        parts = seg.rows(linear(x, w[:, :width], self.before.bias), graph.target)
        parts = parts + seg.rows(linear(x, w[:, width : 2 * width]), graph.source)
        if self.edge is not None:
            e = self.edge(edge_features("PNAConv", edge_attr, graph, self.edge.weight.shape[1]))
            parts = parts + linear(e, w[:, 2 * width :])
        ids, starts = graph.target, graph.target_starts

        def aggregate(name: str) -> Array:
            if name == "sum":
                return seg.total(parts, ids, graph.num_nodes)
            if name == "var":
                return seg.mean(parts * parts, ids, starts) - seg.mean(parts, ids, starts) ** 2
            f = {"mean": seg.mean, "min": seg.minimum, "max": seg.maximum, "std": seg.std}[name]
            return f(parts, ids, starts)

        together = _hesse.concat([aggregate(name) for name in self.aggregators], axis=-1)
        degree = _hesse.maximum(seg.counts(starts, x.dtype), 1)[:, None]
        log_degree = _hesse.log(degree + 1.0)

        def scaled(name: str) -> Array:
            if name == "amplification":
                return together * (log_degree / self.mean_log_degree)
            if name == "attenuation":
                return together * (self.mean_log_degree / log_degree)
            if name == "linear":
                return together * (degree / self.mean_degree)
            return together * (self.mean_degree / degree) if name == "inverse" else together

        return self.last(self.after(_hesse.concat([x, *map(scaled, self.scalers)], axis=-1)))


class RGCNConv(Module):
    """Relational graph convolution: y_i = V x_i + sum_r mean over the neighbours j by relation r of W_r x_j + b.

    Parameters
    ----------
    in_features, out_features : int
    relations : int
        R. Layers are called ``conv(x, graph, relation)`` with the relation of every edge, integers (E,) below R in
        the graph's order of edges.
    bases : int, optional
        B: W_r = sum_b a_rb U_b with B matrices instead of R.
    root, bias : bool
    key, dtype
        As for `hs.nn.Linear`.

    Attributes
    ----------
    weight : Array
        [R or B, out_features, in_features].
    coefficients : Array or None
        a, [R, B].
    root : Array or None
        V, [out_features, in_features].
    bias : Array or None

    Raises
    ------
    IndexError
        When called with a relation that is not below R.

    References
    ----------
    Schlichtkrull, Kipf, Bloem, van den Berg, Titov and Welling, "Modeling relational data with graph
    convolutional networks", arXiv:1703.06103 (2018), equations 2 and 3.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]], edge_data={"kind": [0, 1]})
    >>> hs.gnn.RGCNConv(1, 4, relations=2)(graph.x, graph, graph.edge_data["kind"]).shape
    (2, 4)
    """

    weight: Array
    coefficients: Array | None
    root: Array | None
    bias: Array | None
    relations: int

    def __init__(
        self, in_features: int, out_features: int, relations: int, *, bases: int | None = None,
        root: bool = True, bias: bool = True, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes("RGCNConv", in_features=in_features, out_features=out_features, relations=relations)
        count = relations
        if bases is not None:
            check_sizes("RGCNConv", bases=bases)
            count = bases
        k = keys(key, count + 2)
        self.weight = _hesse.stack([glorot(k[i], (out_features, in_features), dtype) for i in range(count)])
        self.coefficients = glorot(k[count], (relations, bases), dtype) if bases is not None else None
        self.root = glorot(k[count + 1], (out_features, in_features), dtype) if root else None
        self.bias = _hesse.zeros(out_features, dtype=dtype) if bias else None
        self.relations = relations

    def __call__(self, x: Any, graph: Graph, relation: Any) -> Array:
        x = features("RGCNConv", x, graph, self.weight.shape[2], sparse=True)
        relation = _hesse.asarray(relation)
        if relation.shape != (graph.num_edges,):
            raise _hesse.ArgumentError(
                f"RGCNConv: relation must be one integer per edge, ({graph.num_edges},), got {relation.shape}"
            )
        n, r = graph.num_nodes, self.relations
        one_hot = _hesse.gather(
            _hesse.eye(r, dtype=self.weight.dtype), relation
        )  # refuses what is not below R
        count = seg.total(one_hot, graph.target, n)
        share = one_hot / _hesse.maximum(seg.rows(count, graph.target), 1)
        # [E, R], or with bases [E, B]: sum_r a_rb share_r.
        shares = share if self.coefficients is None else share @ self.coefficients
        y: Array | None = None
        for b in range(self.weight.shape[0]):
            part = seg.weighted_sum(shares[:, b], linear(x, self.weight[b]), graph)
            y = part if y is None else y + part
        assert y is not None
        if self.root is not None:
            y = y + linear(x, self.root)
        return y if self.bias is None else y + self.bias
