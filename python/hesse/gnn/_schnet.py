"""SchNet: continuous filters of distances."""

from __future__ import annotations

import math
from typing import Any

from .. import _hesse
from .._hesse import Array
from ..nn._layers import Linear
from ..nn._module import Module
from ._common import check_sizes, keys, require_atoms, require_graph
from ._graph import Graph
from ._message import message_passing
from ._neighbours import edge_offsets, vectors_of
from ._pooling import global_sum_pool

__all__ = ["CFConv", "SchNet", "shifted_softplus"]

# Of an array of edges that is stored unless told otherwise: several of them stay in a third-level cache.
_STORED_BYTES = 8 << 20


def shifted_softplus(x: Any) -> Array:
    """log(1 + e^x) - log 2: smooth, and 0 at 0 (Schütt et al. 2017).

    Parameters
    ----------
    x : array

    Returns
    -------
    Array

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.shifted_softplus(hs.array([0.0]))
    Array([0.], dtype=float64)
    """
    return _hesse.softplus(x) - math.log(2.0)


class CFConv(Module):
    """Continuous-filter convolution: y_i = sum over j of W(r_ij) * x_j, entry by entry.

    The filter is W(r) = C(r) f(g(r)) with Gaussians g_k(r) = exp(-(r - k d)^2 / (2 d^2)) on a grid of spacing d
    from 0 to the cutoff c, a network f of two linear layers, and C(r) = (cos(pi r / c) + 1) / 2. Edges should join
    the pairs within the cutoff (`radius_graph`): those beyond it are not left out. In a graph of pairs
    (`Graph.pairs`) a filter serves both directions: a training step takes two thirds of the time. In a periodic system the
    vector of an edge is pos[source] - pos[target] + shift @ cell with ``edge_data["shift"]`` and ``graph_data["cell"]``. The
    filters of edges live in a tile, forwards and backwards; their products with features are written once and added.
    Or what belongs to edges is stored, (E, F), and not computed again in every pass: a training step with forces on
    15,000 edges and 64 filters in float32 takes two thirds of the time, and 160 MB instead of 33.

    Parameters
    ----------
    filters : int
        F, the width of x and of the filter.
    gaussians : int
    cutoff : float
        In the unit of the positions.
    store_edges : bool, optional
        Whether what belongs to edges is stored; by default where an array (E, F) takes no more than 8 MiB. A training step
        with forces holds some 14 of them for each interaction.
    key, dtype
        As for `hs.nn.Linear`.

    Raises
    ------
    ValueError
        When called on features that are not [N, F], or on a graph without positions, or with shifts that have no cell.

    References
    ----------
    Schütt et al., "SchNet: a continuous-filter convolutional neural network for modeling quantum interactions",
    arXiv:1706.08566 (2017), equations 2 and 3; the cutoff is that of `torch_geometric`'s `CFConv`.

    Examples
    --------
    >>> import hesse as hs
    >>> pair = hs.gnn.Graph([[0, 1], [1, 0]], pos=[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    >>> conv = hs.gnn.CFConv(4, 10, cutoff=3.0, key=hs.random.key(0))
    >>> conv(hs.ones((2, 4)), pair).shape
    (2, 4)
    """

    first: Linear
    second: Linear
    gaussians: int
    cutoff: float
    store_edges: bool | None

    def __init__(
        self, filters: int, gaussians: int = 50, cutoff: float = 10.0, *, store_edges: bool | None = None,
        key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes("CFConv", filters=filters, gaussians=gaussians)
        if not cutoff > 0 or gaussians < 2:
            raise _hesse.ArgumentError(
                f"CFConv: cutoff must be positive and gaussians at least 2, got {cutoff} and {gaussians}"
            )
        one, two = keys(key, 2)
        self.first = Linear(gaussians, filters, key=one, dtype=dtype)
        self.second = Linear(filters, filters, key=two, dtype=dtype)
        self.gaussians, self.cutoff = int(gaussians), float(cutoff)
        self.store_edges = None if store_edges is None else bool(store_edges)

    def filter(self, r: Array) -> Array:
        """W(r), (..., F), for distances (...)."""
        spacing = self.cutoff / (self.gaussians - 1)
        centres = _hesse.linspace(0.0, self.cutoff, self.gaussians, dtype=r.dtype)
        r = r[..., None]
        g = _hesse.exp((-0.5 / spacing**2) * (r - centres) ** 2)
        window = 0.5 * (_hesse.cos(r * (math.pi / self.cutoff)) + 1.0)
        values: Array = self.second(shifted_softplus(self.first(g))) * window
        return values

    def __call__(self, x: Any, graph: Graph) -> Array:
        require_graph("CFConv", graph, pairs=True)
        if graph.pos is None:
            raise _hesse.ArgumentError("CFConv: the graph has no positions; make it with pos=")
        width = self.second.weight.shape[0]
        x = _hesse.asarray(x)
        if x.shape != (graph.num_nodes, width):
            raise _hesse.ArgumentError(
                f"CFConv: x must be [{graph.num_nodes}, {width}] for this graph, got shape {x.shape}"
            )

        stores = self.store_edges
        if stores is None:
            stores = graph.num_edges * width * x.dtype.itemsize <= _STORED_BYTES
        if stores:
            filters = self.filter(_hesse.sqrt(_hesse.sum(vectors_of("CFConv", graph) ** 2, axis=1)))
            a = graph.adjacency(filters)
            product: Array = a @ x + a.T @ x if graph.paired else a @ x
            return product

        def message(target: Any, source: Any, edge: Any) -> Any:
            (own, p), (other, q) = target, source
            vector = q - p if edge is None else q - p + edge
            w = self.filter(_hesse.sqrt(_hesse.sum(vector**2)))
            return (w * other, w * own) if graph.paired else w * other

        y: Array = message_passing(message, "sum", (x, graph.pos), graph, edge_offsets("CFConv", graph))
        return y


class _Interaction(Module):
    before: Array  # [F, H]: no bias
    conv: CFConv
    after: Linear
    last: Linear

    def __init__(self, before: Array, conv: CFConv, after: Linear, last: Linear) -> None:
        self.before, self.conv, self.after, self.last = before, conv, after, last

    def __call__(self, x: Array, graph: Graph) -> Array:
        y = self.conv(x @ _hesse.matrix_transpose(self.before), graph)
        return self.last(shifted_softplus(self.after(y)))


class SchNet(Module):
    """Energies of molecules from atomic numbers and distances.

    Features h of atoms begin as an embedding of their atomic numbers; every interaction adds
    ``linear(ssp(linear(cfconv(linear(h)))))``; a network ``linear(ssp(linear(h)))`` gives each atom's share of the
    energy of its molecule. It does not change when a molecule is moved, turned or reflected, or its atoms are
    numbered otherwise.

    Parameters
    ----------
    hidden, filters : int
        The widths of the features and of the filters.
    interactions, gaussians : int
    cutoff : float
        In the unit of the positions; edges should join the pairs within it (`hs.gnn.radius_graph`). In a graph of
        pairs (``radius_graph(..., pairs=True)``) every filter is computed once, for the same energies and forces.
    largest : int
        Atomic numbers are below it.
    store_edges : bool, optional
        As for `CFConv`.
    key, dtype
        As for `hs.nn.Linear`.

    Returns
    -------
    Array, (G,)
        Of ``model(graph)``: the energy of every graph. The graph needs ``pos`` and atomic numbers
        ``node_data={"z": ...}``.

    References
    ----------
    Schütt et al., arXiv:1706.08566 (2017), in the form of `torch_geometric.nn.models.SchNet`.

    Examples
    --------
    >>> import hesse as hs
    >>> water = hs.gnn.Graph(
    ...     [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]],
    ...     pos=[[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]],
    ...     node_data={"z": [8, 1, 1]},
    ... )
    >>> model = hs.gnn.SchNet(16, 16, 2, 20, cutoff=3.0, key=hs.random.key(0))
    >>> energy, forces = hs.gnn.energy_and_forces(model, water)
    >>> energy.shape, forces.shape
    ((1,), (3, 3))
    """

    embedding: Array
    interactions: list[_Interaction]
    hidden_layer: Linear
    last: Linear

    def __init__(
        self, hidden: int = 128, filters: int = 128, interactions: int = 6, gaussians: int = 50,
        cutoff: float = 10.0, *, largest: int = 100, store_edges: bool | None = None, key: Array | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes("SchNet", hidden=hidden, filters=filters, interactions=interactions, largest=largest)
        one, two, three, *each = keys(key, 3 + interactions)
        self.embedding = _hesse.random.normal(one, (largest, hidden), dtype=dtype)
        self.interactions = []
        for k in each:
            a, b, c, d = keys(k, 4)
            self.interactions.append(
                _Interaction(
                    Linear(hidden, filters, bias=False, key=a, dtype=dtype).weight,
                    CFConv(filters, gaussians, cutoff, store_edges=store_edges, key=b, dtype=dtype),
                    Linear(filters, hidden, key=c, dtype=dtype),
                    Linear(hidden, hidden, key=d, dtype=dtype),
                )
            )
        self.hidden_layer = Linear(hidden, max(hidden // 2, 1), key=two, dtype=dtype)
        self.last = Linear(max(hidden // 2, 1), 1, key=three, dtype=dtype)

    def __call__(self, graph: Graph) -> Array:
        _, z = require_atoms("SchNet", graph, pairs=True)
        h = _hesse.gather(self.embedding, z)
        for interaction in self.interactions:
            h = h + interaction(h, graph)
        shares = self.last(shifted_softplus(self.hidden_layer(h)))
        return global_sum_pool(shares, graph)[:, 0]
