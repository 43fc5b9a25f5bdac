"""PaiNN: scalars and vectors of atoms that exchange messages."""

from __future__ import annotations

import math
from typing import Any

from .. import _hesse
from .._hesse import Array
from .._hesse import nn as _nn
from ..nn._layers import MLP, Linear
from ..nn._module import Module
from ._common import check_sizes, keys, require_atoms
from ._graph import Graph
from ._message import message_passing
from ._neighbours import edge_offsets
from ._pooling import global_sum_pool
from ._radial import cosine_cutoff

__all__ = ["PaiNN"]

_EPSILON = 1e-8  # in the root of |V v|^2: the vectors of an atom alone are 0, where a norm has no derivative


class _Message(Module):
    net: MLP
    filter: Linear

    def __init__(self, hidden: int, radial: int, key: Array, dtype: Any) -> None:
        one, two = keys(key, 2)
        self.net = MLP([hidden, hidden, 3 * hidden], _nn.silu, key=one, dtype=dtype)
        self.filter = Linear(radial, 3 * hidden, key=two, dtype=dtype)

    def __call__(self, s: Array, v: Array, graph: Graph, offsets: Array | None, cutoff: float) -> Any:
        radial, width = self.filter.weight.shape[1], s.shape[1]

        def message(target: Any, source: Any, offset: Any) -> Any:
            (p, *_), (q, phi, vj) = target, source
            d = q - p if offset is None else q - p + offset
            r = _hesse.sqrt(_hesse.sum(d * d))
            waves = _hesse.arange(1, radial + 1, dtype=r.dtype) * (math.pi / cutoff)
            w = self.filter(_hesse.sin(waves * r) / r) * cosine_cutoff(r, cutoff)
            a = phi * w
            by_vectors, by_direction = a[width : 2 * width], a[2 * width :]
            return a[:width], vj * by_vectors + (d / r)[:, None] * by_direction

        return message_passing(message, "sum", (graph.pos, self.net(s), v), graph, offsets)


class _Update(Module):
    first: Linear
    second: Linear
    net: MLP

    def __init__(self, hidden: int, key: Array, dtype: Any) -> None:
        one, two, three = keys(key, 3)
        self.first = Linear(hidden, hidden, bias=False, key=one, dtype=dtype)
        self.second = Linear(hidden, hidden, bias=False, key=two, dtype=dtype)
        self.net = MLP([2 * hidden, hidden, 3 * hidden], _nn.silu, key=three, dtype=dtype)

    def __call__(self, s: Array, v: Array) -> tuple[Array, Array]:
        width = s.shape[1]
        u, w = self.first(v), self.second(v)
        norm = _hesse.sqrt(_hesse.sum(w * w, axis=1) + _EPSILON)
        a = self.net(_hesse.concat([s, norm], axis=-1))
        vv, sv, ss = a[:, :width], a[:, width : 2 * width], a[:, 2 * width :]
        return ss + sv * _hesse.sum(u * w, axis=1), u * vv[:, None, :]


class PaiNN(Module):
    """Energies of molecules from scalars s and vectors v of their atoms, which turn with the molecule.

    An atom begins with an embedding of its number and vectors 0. With r the vector from atom i to its neighbour j,
    products entry by entry, and filters W(|r|) = C(|r|) (A g(|r|) + b) of waves g_n = sin(n pi |r| / c) / |r| and the
    cutoff C = (cos(pi |r| / c) + 1) / 2, 0 beyond c, every interaction is a message block::

        s_i += sum over j of phi_s(s_j) * W_s(|r|)
        v_i += sum over j of v_j * phi_vv(s_j) * W_vv(|r|) + r / |r| * phi_vs(s_j) * W_vs(|r|)

    and an update block::

        s_i += a_ss + a_sv * <U v_i, V v_i>
        v_i += a_vv * U v_i,        (a_vv, a_sv, a_ss) = a(s_i, |V v_i|)

    where phi and a are networks of two linear layers with a SiLU between them. Another one gives each atom's share of
    the energy of its molecule.

    Parameters
    ----------
    hidden : int
        F, the number of scalars and of vectors.
    interactions, radial : int
        How many message and update blocks, and waves.
    cutoff : float
        In the unit of the positions; edges should join the pairs within it (`hs.gnn.radius_graph`), those beyond it say
        nothing.
    largest : int
        Atomic numbers are below it.
    key, dtype
        As for `hs.nn.Linear`.

    Returns
    -------
    Array, (G,)
        Of ``model(graph)``: the energy of every graph. The graph needs ``pos`` and atomic numbers
        ``node_data={"z": ...}``.

    Raises
    ------
    ValueError
        When called on a graph without positions or atomic numbers, or with shifts that have no cell.

    Notes
    -----
    Two atoms at the same place have no direction r / |r|: the energy of their molecule is NaN. The norm |V v| is
    sqrt(|V v|^2 + 1e-8), which has derivatives where vectors are 0.

    References
    ----------
    Schütt, Unke and Gastegger, "Equivariant message passing for the prediction of tensorial properties and molecular
    spectra", arXiv:2102.03150 (2021), equations 7 to 10 and figure 2.

    Examples
    --------
    >>> import hesse as hs
    >>> water = hs.gnn.radius_graph([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]], 3.0, z=[8, 1, 1])
    >>> model = hs.gnn.PaiNN(16, 2, 8, cutoff=3.0, key=hs.random.key(0))
    >>> energy, forces = hs.gnn.energy_and_forces(model, water)
    >>> energy.shape, forces.shape
    ((1,), (3, 3))
    """

    embedding: Array
    messages: list[_Message]
    updates: list[_Update]
    readout: MLP
    cutoff: float

    def __init__(
        self, hidden: int = 128, interactions: int = 3, radial: int = 20, cutoff: float = 5.0, *, largest: int = 100,
        key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes("PaiNN", hidden=hidden, interactions=interactions, radial=radial, largest=largest)
        if not 0 < cutoff < math.inf:
            raise _hesse.ArgumentError(f"PaiNN: cutoff must be positive and finite, got {cutoff}")
        one, two, *each = keys(key, 2 + 2 * interactions)
        self.embedding = _hesse.random.normal(one, (largest, hidden), dtype=dtype)
        self.messages = [_Message(hidden, radial, k, dtype) for k in each[::2]]
        self.updates = [_Update(hidden, k, dtype) for k in each[1::2]]
        self.readout = MLP([hidden, max(hidden // 2, 1), 1], _nn.silu, key=two, dtype=dtype)
        self.cutoff = float(cutoff)

    def features(self, graph: Graph) -> tuple[Array, Array]:
        """Scalars s, (N, F), and vectors v, (N, D, F), of the atoms after all interactions."""
        pos, z = require_atoms("PaiNN", graph)
        offsets = edge_offsets("PaiNN", graph)
        s = _hesse.gather(self.embedding, z)
        v = _hesse.zeros((*pos.shape, s.shape[1]), dtype=s.dtype)
        for message, update in zip(self.messages, self.updates, strict=True):
            ds, dv = message(s, v, graph, offsets, self.cutoff)
            s, v = s + ds, v + dv
            ds, dv = update(s, v)
            s, v = s + ds, v + dv
        return s, v

    def __call__(self, graph: Graph) -> Array:
        s, _ = self.features(graph)
        return global_sum_pool(self.readout(s), graph)[:, 0]
