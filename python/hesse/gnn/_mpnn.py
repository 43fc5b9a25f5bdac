"""The message passing network of Gilmer et al. (2017) on molecules and other small graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _hesse
from .._hesse import Array
from .._hesse import nn as _nn
from ..nn._layers import MLP, Linear
from ..nn._module import Module
from ..nn._recurrent import GRUCell
from ._common import check_sizes, edge_features, features, keys, require_graph
from ._edge_networks import NNConv
from ._graph import Graph
from ._pooling import Set2Set

__all__ = ["MPNN"]


class MPNN(Module):
    """Numbers of graphs from features of nodes and edges: messages through an edge network, a GRU, set2set.

    From h_i = L x_i + b, `steps` times with the same weights::

        m_i = sum over j of h_j f(e_ij),    h_i <- GRU(m_i, h_i)

    then set2set of P [h_i, x_i] + p over the nodes of every graph, and two dense layers. f(e_ij) is a matrix that a
    network with one hidden layer makes of the edge's features (`NNConv`). The paper appends zeros to x_i where
    L x_i + b is here.

    Parameters
    ----------
    node_features, edge_features, out_features : int
        Of ``graph.x``, of ``graph.edge_attr``, and of the result.
    hidden : int
        The width of h.
    steps : int
        Of messages; the paper takes 3 to 8.
    pool_steps : int
        Of set2set.
    edge_hidden : int
        The width of the hidden layer of f.
    activation : callable
        Of f and between the dense layers.
    key, dtype
        As for `hs.nn.Linear`.

    Returns
    -------
    Array, (G, out_features)
        Of ``model(graph)``, so that `GraphRegressor` and `GraphClassifier` take it.

    Raises
    ------
    ValueError, TypeError
        When called on a graph without features of nodes or edges, or with others than it was made for.

    References
    ----------
    Gilmer, Schoenholz, Riley, Vinyals and Dahl, "Neural message passing for quantum chemistry",
    arXiv:1704.01212 (2017), section 5.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]], edge_attr=[[0.5, 1.0], [0.0, 1.0]])
    >>> model = hs.gnn.MPNN(1, 2, 1, hidden=8, edge_hidden=4, key=hs.random.key(0))
    >>> model(graph).shape
    (1, 1)
    """

    first: Linear
    conv: NNConv
    cell: GRUCell
    project: Linear
    pool: Set2Set
    hidden_layer: Linear
    last: Linear
    edge_features: int
    steps: int
    activation: Callable[[Any], Any]

    def __init__(
        self, node_features: int, edge_features: int, out_features: int, *, hidden: int = 64, steps: int = 3,
        pool_steps: int = 3, edge_hidden: int = 128, activation: Callable[[Any], Any] = _nn.relu,
        key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes(
            "MPNN", node_features=node_features, edge_features=edge_features, out_features=out_features,
            hidden=hidden, steps=steps, pool_steps=pool_steps, edge_hidden=edge_hidden,
        )  # fmt: skip
        if not callable(activation):
            raise _hesse.ArgumentTypeError(
                f"MPNN: activation must be a function, got {type(activation).__name__}"
            )
        k = keys(key, 7)
        net = MLP([edge_features, edge_hidden, hidden * hidden], activation, key=k[0], dtype=dtype)
        self.first = Linear(node_features, hidden, key=k[1], dtype=dtype)
        # Without a bias, which that of the GRU is already.
        self.conv = NNConv(hidden, hidden, net, root=False, bias=False, key=k[0], dtype=dtype)
        self.cell = GRUCell(hidden, hidden, key=k[2], dtype=dtype)
        self.project = Linear(hidden + node_features, hidden, key=k[3], dtype=dtype)
        self.pool = Set2Set(hidden, pool_steps, key=k[4], dtype=dtype)
        self.hidden_layer = Linear(2 * hidden, hidden, key=k[5], dtype=dtype)
        self.last = Linear(hidden, out_features, key=k[6], dtype=dtype)
        self.edge_features, self.steps, self.activation = edge_features, steps, activation

    def __call__(self, graph: Graph) -> Array:
        require_graph("MPNN", graph)
        if graph.x is None or graph.edge_attr is None:
            missing = "x" if graph.x is None else "edge_attr"
            raise _hesse.ArgumentError(f"MPNN: the graph has no {missing}; make it with {missing}=")
        x = features("MPNN", graph.x, graph, self.first.weight.shape[1])
        e = edge_features("MPNN", graph.edge_attr, graph, self.edge_features)
        h = self.first(x)
        for _ in range(self.steps):
            h = self.cell(self.conv(h, graph, e), h)
        y = self.pool(self.project(_hesse.concat([h, x], axis=-1)), graph)
        return self.last(self.activation(self.hidden_layer(y)))
