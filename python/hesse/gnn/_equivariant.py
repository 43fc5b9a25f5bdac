"""Equivariant graph networks: messages of distances that also move positions."""

from __future__ import annotations

from typing import Any

from .. import _hesse
from .._hesse import Array
from .._hesse import nn as _nn
from ..nn._layers import MLP, Linear
from ..nn._module import Module
from . import _segments as seg
from ._common import check_sizes, edge_features, features, keys
from ._graph import Graph
from ._message import message_passing
from ._neighbours import edge_offsets

__all__ = ["EGNN", "EGNNConv"]


class EGNNConv(Module):
    """One E(n)-equivariant layer: features h that do not see the frame, positions p that turn with it.

    With d_ij = p_i - p_j, over the incoming edges j of node i::

        m_ij = phi_e(h_i, h_j, |d_ij|^2, e_ij)
        p_i' = p_i + mean over j of d_ij phi_p(m_ij)
        h_i' = h_i + phi_h(h_i, sum over j of m_ij)

    With velocities, of which v_i are those at the start, positions move by one instead (equation 7)::

        v_i' = phi_v(h_i) v_i + mean over j of d_ij phi_p(m_ij)
        p_i' = p_i + v_i'

    Every phi has two linear layers with a SiLU between them, phi_e another at its end. Where every node has an edge
    from every other, the mean is the paper's sum times 1 / (N - 1). In a periodic system d_ij takes the shifts of
    `radius_graph` into account. Nodes at the same place are no special case, and loops are edges like others.

    Parameters
    ----------
    features : int
        Of h.
    hidden : int, optional
        The width of messages; by default that of h.
    edge_features : int
        Of e; 0: none.
    update_positions : bool
        Whether there is phi_p. Without it the layer returns the positions as they are.
    velocities : bool
        Whether there is phi_v. Then the layer is called as ``layer(x, graph, velocity=v)``, with (N, D) velocities.
    key, dtype
        As for `hs.nn.Linear`.

    Returns
    -------
    h, pos : Array
        Of ``layer(x, graph)``, (N, features) and (N, D). The next layer gets ``graph.replace(pos=pos)``. With velocities
        also v', (N, D); the next layer gets those at the start again, as in the paper.

    Raises
    ------
    ValueError
        When called on features of another width, or on a graph without positions or edge features; for velocities that
        do not fit the positions, or that move nothing (`update_positions=False`).
    TypeError
        When called without velocities by a layer that takes them, or with them by one that does not.

    References
    ----------
    Satorras, Hoogeboom and Welling, "E(n) equivariant graph neural networks", arXiv:2102.09844 (2021), equations 3 to
    7, with the networks of appendix C.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1], [1, 0]], x=[[1.0], [3.0]], pos=[[0.0, 0.0], [1.0, 0.0]])
    >>> h, pos = hs.gnn.EGNNConv(1, 8, key=hs.random.key(0))(graph.x, graph)
    >>> h.shape, pos.shape
    ((2, 1), (2, 2))
    """

    message: MLP
    node: MLP
    position: MLP | None
    velocity: MLP | None
    edge_features: int

    def __init__(
        self, features: int, hidden: int | None = None, *, edge_features: int = 0, update_positions: bool = True,
        velocities: bool = False, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        hidden = features if hidden is None else hidden
        check_sizes("EGNNConv", features=features, hidden=hidden)
        if edge_features != 0:
            check_sizes("EGNNConv", edge_features=edge_features)
        if velocities and not update_positions:
            raise _hesse.ArgumentError(
                "EGNNConv: velocities=True needs update_positions=True: they move positions"
            )
        one, two, three, *four = keys(key, 4 if velocities else 3)
        options = {"activation": _nn.silu, "dtype": dtype}
        self.message = MLP([2 * features + 1 + edge_features, hidden, hidden], key=one, **options)
        self.node = MLP([features + hidden, hidden, features], key=two, **options)
        self.position = None
        if update_positions:
            net = MLP([hidden, hidden, 1], key=three, **options)
            # Small at first, so that positions stay near where they are.
            last = net.layers[1]
            self.position = net.replace(
                layers=[net.layers[0], last.replace(weight=0.001 * last.weight, bias=None)]
            )
        self.velocity = MLP([features, hidden, 1], key=four[0], **options) if velocities else None
        self.edge_features = edge_features

    def __call__(
        self, x: Any, graph: Graph, edge_attr: Any = None, *, velocity: Any = None
    ) -> tuple[Array, ...]:
        h = features("EGNNConv", x, graph, self.node.layers[-1].weight.shape[0])
        if graph.pos is None:
            raise _hesse.ArgumentError("EGNNConv: the graph has no positions; make it with pos=")
        v = _velocity("EGNNConv", velocity, graph.pos, self.velocity is not None)
        e = edge_features("EGNNConv", edge_attr, graph, self.edge_features) if self.edge_features else None

        def message(target: Any, source: Any, edge: Any) -> Any:
            (hi, pi), (hj, pj), (attr, offset) = target, source, edge
            d = pi - pj if offset is None else pi - pj - offset
            inputs = [hi, hj, _hesse.sum(d * d, axis=0, keepdims=True)]
            m = _nn.silu(self.message(_hesse.concat(inputs if attr is None else [*inputs, attr])))
            return m if self.position is None else (m, d * self.position(m))

        edges = (e, edge_offsets("EGNNConv", graph))
        sums = message_passing(message, "sum", (h, graph.pos), graph, edges)
        pos = graph.pos
        if self.position is not None:
            sums, moves = sums
            counts = _hesse.maximum(seg.counts(graph.target_starts, pos.dtype), 1)
            moves = moves / counts[:, None]
            if v is not None and self.velocity is not None:
                v = moves = self.velocity(h) * v + moves
            pos = pos + moves
        h = h + self.node(_hesse.concat([h, sums], axis=-1))
        return (h, pos) if v is None else (h, pos, v)


def _velocity(layer: str, velocity: Any, pos: Array, taken: bool) -> Array | None:
    if taken != (velocity is not None):
        remedy = "call it with velocity=" if taken else "make it with velocities=True"
        raise _hesse.ArgumentTypeError(f"{layer}: there are {'no ' if taken else ''}velocities; {remedy}")
    if not taken:
        return None
    v = _hesse.asarray(velocity)
    if v.shape != pos.shape:
        raise _hesse.ArgumentError(
            f"{layer}: velocity must be {pos.shape} as the positions, got shape {v.shape}"
        )
    return v


class EGNN(Module):
    """Several `EGNNConv` between a linear layer to their width and one to the width of the result.

    Parameters
    ----------
    in_features, hidden, out_features, layers : int
    edge_features : int
        As for `EGNNConv`.
    update_positions : bool
        As for `EGNNConv`. An energy that is a sum of `h` over atoms has the symmetries either way.
    velocities : bool
        As for `EGNNConv`: every layer gets the velocities given, ``model(x, graph, velocity=v)``.
    key, dtype
        As for `hs.nn.Linear`.

    Returns
    -------
    h, pos : Array
        Of ``model(x, graph)``: (N, out_features) and (N, D); with velocities also those of the last layer, (N, D).

    References
    ----------
    Satorras, Hoogeboom and Welling, arXiv:2102.09844 (2021).

    Examples
    --------
    >>> import hesse as hs
    >>> water = hs.gnn.radius_graph([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]], 3.0, z=[1, 0, 0])
    >>> model = hs.gnn.EGNN(2, 16, 1, layers=2, key=hs.random.key(0))
    >>> energy = lambda g: hs.gnn.global_sum_pool(model(hs.eye(2)[g.node_data["z"]], g)[0], g)[:, 0]
    >>> energies, forces = hs.gnn.energy_and_forces(energy, water)
    >>> energies.shape, forces.shape
    ((1,), (3, 3))

    Where bodies will be, from where they are and how they move:

    >>> model = hs.gnn.EGNN(2, 16, 1, layers=2, velocities=True, key=hs.random.key(0))
    >>> h, pos, velocity = model(hs.eye(2)[water.node_data["z"]], water, velocity=hs.zeros((3, 3)))
    >>> pos.shape, velocity.shape
    ((3, 3), (3, 3))
    """

    first: Linear
    layers: list[EGNNConv]
    last: Linear

    def __init__(
        self, in_features: int, hidden: int, out_features: int, layers: int = 4, *, edge_features: int = 0,
        update_positions: bool = True, velocities: bool = False, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes("EGNN", in_features=in_features, hidden=hidden, out_features=out_features, layers=layers)
        one, two, *each = keys(key, 2 + layers)
        self.first = Linear(in_features, hidden, key=one, dtype=dtype)
        self.layers = [
            EGNNConv(
                hidden,
                edge_features=edge_features,
                update_positions=update_positions,
                velocities=velocities,
                key=k,
                dtype=dtype,
            )
            for k in each
        ]
        self.last = Linear(hidden, out_features, key=two, dtype=dtype)

    def __call__(
        self, x: Any, graph: Graph, edge_attr: Any = None, *, velocity: Any = None
    ) -> tuple[Array, ...]:
        h = self.first(features("EGNN", x, graph, self.first.weight.shape[1]))
        for layer in self.layers:
            h, *moved = layer(h, graph, edge_attr, velocity=velocity)
            graph = graph.replace(pos=moved[0])
        return self.last(h), *moved
