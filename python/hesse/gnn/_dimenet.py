"""Directional message passing: the messages of edges see the angles between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array
from .._hesse import nn as _nn
from .._vmap import vmap
from ..nn._layers import Linear
from ..nn._module import Module
from . import _segments as seg
from ._common import check_sizes, keys, require_atoms, require_graph
from ._graph import Graph, numpy_of
from ._message import message_passing
from ._neighbours import edge_vectors
from ._pooling import global_sum_pool
from ._radial import envelope, legendre, spherical_bessel_basis

__all__ = ["DimeNetPlusPlus", "triplets"]

_MOST_TRIPLETS = 200_000_000


def triplets(graph: Graph, num_triplets: int | None = None) -> Graph:
    """The graph whose nodes are the edges of a graph, and whose edges join k -> j with j -> i.

    Messages on it are messages between edges: node e of it is edge e of `graph`, in the order of its ``source`` and
    ``target``. An edge and its reverse are not joined: a triplet has k != i or, in a periodic system, another image
    of i.

    Parameters
    ----------
    graph : Graph
        Holds data: triplets are found outside of `hs.compile` and `hs.vmap`.
    num_triplets : int, optional
        Fills up to so many, as `pad` does nodes and edges, so that a compiled function meets fewer sizes: what is added
        joins the last edge with itself. That edge must be one of padding.

    Returns
    -------
    Graph
        With ``graph.num_edges`` nodes and no features.

    Raises
    ------
    ValueError
        For more than 200 million triplets, for more than `num_triplets`, or where none can be added as the last edge is
        not padding.

    Examples
    --------
    The edge 0 -> 1 leads to 1 -> 2, and back:

    >>> import hesse as hs
    >>> path = hs.gnn.Graph([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> path.edge_index
    Array([[1, 0, 2, 1],
           [0, 1, 1, 2]], dtype=int64)
    >>> hs.gnn.triplets(path).edge_index
    Array([[2, 1],
           [0, 3]], dtype=int64)
    """
    require_graph("triplets", graph)
    if num_triplets is not None and num_triplets != 0:
        check_sizes("triplets", num_triplets=num_triplets)
    return _line(graph, _joined(graph), num_triplets)


def _line(graph: Graph, joined: np.ndarray[Any, Any], num_triplets: int | None) -> Graph:
    """The graph of these triplets, filled up."""
    count = joined.shape[1]
    more = 0 if num_triplets is None else num_triplets - count
    if more < 0:
        raise _hesse.ArgumentError(f"triplets: num_triplets={num_triplets}, but there are {count}")
    if more > 0:
        if not _ends_in_padding(graph):
            raise _hesse.ArgumentError(
                f"triplets: {more} of num_triplets={num_triplets} would be added, and the last edge is not one of padding "
                "that they can join; use hs.gnn.pad with more edges, or leave num_triplets out"
            )
        joined = np.concatenate([joined, np.full((2, more), graph.num_edges - 1)], axis=1)
    return Graph(joined, num_nodes=graph.num_edges)


def _joined(graph: Graph) -> np.ndarray[Any, Any]:
    """The edges k -> j above the edges j -> i that they lead to, [2, T]."""
    source, target = (numpy_of("triplets", k, getattr(graph, k)) for k in ("source", "target"))
    starts = numpy_of("triplets", "target_starts", graph.target_starts)
    counts = (starts[1:] - starts[:-1])[source]  # edges into the source of every edge
    total = int(counts.sum())
    if total > _MOST_TRIPLETS:
        raise _hesse.ArgumentError(
            f"triplets: {graph.num_edges} edges make {total} triplets; at most {_MOST_TRIPLETS} are held: use a "
            "smaller cutoff"
        )
    to = np.repeat(np.arange(len(source)), counts)
    before = np.concatenate([[0], np.cumsum(counts)])[:-1]
    come = starts[source][to] + np.arange(total) - before[to]
    back = source[come] == target[to]
    if "shift" in graph.edge_data:
        shift = numpy_of("triplets", "shift", graph.edge_data["shift"])
        back &= (shift[come] == -shift[to]).all(axis=1)
    return np.stack([come[~back], to[~back]])


def _ends_in_padding(graph: Graph) -> bool:
    return graph.num_edges > 0 and not np.asarray(graph.edge_mask)[-1]


def _apply(layers: list[Any], x: Array) -> Array:
    for layer in layers:
        x = layer(x)
    return x


class _Layers:
    """Linear layers from one key after the other."""

    def __init__(self, key: Array | None, count: int, dtype: Any) -> None:
        self._keys, self._dtype = iter(keys(key, count)), dtype

    def plain(self, n: int, m: int) -> Linear:
        return Linear(n, m, bias=False, key=self.key(), dtype=self._dtype)

    def biased(self, n: int, m: int) -> Linear:
        return Linear(n, m, key=self.key(), dtype=self._dtype)

    def key(self) -> Array:
        return next(self._keys)


class _Residual(Module):
    first: Linear
    second: Linear

    def __init__(self, width: int, layers: _Layers) -> None:
        self.first, self.second = layers.biased(width, width), layers.biased(width, width)

    def __call__(self, x: Array) -> Array:
        return x + _nn.silu(self.second(_nn.silu(self.first(x))))


class _Output(Module):
    radial: Linear
    up: Linear
    hidden: list[Linear]
    last: Linear

    def __init__(self, radial: int, width: int, output: int, count: int, layers: _Layers) -> None:
        self.radial, self.up = layers.plain(radial, width), layers.plain(width, output)
        self.hidden = [layers.biased(output, output) for _ in range(count)]
        self.last = layers.plain(output, 1)

    def __call__(self, x: Array, rbf: Array, graph: Graph) -> Array:
        h = self.up(seg.total(self.radial(rbf) * x, graph.target, graph.num_nodes))
        for layer in self.hidden:
            h = _nn.silu(layer(h))
        return self.last(h)


class _Interaction(Module):
    radial: list[Linear]
    spherical: list[Linear]
    kj: Linear
    ji: Linear
    down: Linear
    up: Linear
    before_skip: list[_Residual]
    skip: Linear
    after_skip: list[_Residual]

    def __init__(
        self, width: int, between: int, basis: int, radial: int, spherical: int, before: int, after: int,
        layers: _Layers,
    ) -> None:  # fmt: skip
        self.radial = [layers.plain(radial, basis), layers.plain(basis, width)]
        self.spherical = [layers.plain(spherical * radial, basis), layers.plain(basis, between)]
        self.kj, self.ji = layers.biased(width, width), layers.biased(width, width)
        self.down, self.up = layers.plain(width, between), layers.plain(between, width)
        self.before_skip = [_Residual(width, layers) for _ in range(before)]
        self.skip = layers.biased(width, width)
        self.after_skip = [_Residual(width, layers) for _ in range(after)]

    def __call__(self, x: Array, rbf: Array, sbf: Array, directions: Array, line: Graph) -> Array:
        kj = _nn.silu(self.down(_nn.silu(self.kj(x)) * _apply(self.radial, rbf)))
        orders, count = sbf.shape[1:]
        norms = [math.sqrt((2 * l + 1) / (4 * math.pi)) for l in range(orders)]

        def message(target: Any, source: Any, _: Any) -> Array:
            (ji, *_), (kj_direction, waves, features) = target, source
            angular = legendre(_hesse.sum(ji * kj_direction), orders)
            y = _hesse.stack([n * p for n, p in zip(norms, angular, strict=True)])
            basis = _hesse.reshape(waves * y[:, None], (orders * count,))
            weighted: Array = features * _apply(self.spherical, basis)
            return weighted

        sums = message_passing(message, "sum", (directions, sbf, kj), line)
        h = _nn.silu(self.ji(x)) + _nn.silu(self.up(sums))
        h = _nn.silu(self.skip(_apply(self.before_skip, h))) + x
        return _apply(self.after_skip, h)


class DimeNetPlusPlus(Module):
    """Energies of molecules from distances and angles: the messages of edges depend on the edges they come from.

    The message x_ji of edge j -> i begins with the embeddings of its atoms and of its length, and is changed by those of
    the edges k -> j that lead to it (`triplets`), in every one of `blocks` interactions::

        y_ji = sum over k of down(silu(W x_kj + b) * A e(r_kj)) * B (R(r_kj) Y(angle of kj and ji))
        x_ji <- residual layers of silu(V x_ji + c) + silu(up y_ji), with a skip connection

    where R_ln(r) = u(r/c) sqrt(2) / |j_(l+1)(z_ln)| j_l(z_ln r/c) are spherical Bessel functions with the zeros z_ln,
    Y_l = sqrt((2l+1)/(4 pi)) P_l(cos angle) are Legendre polynomials, e_n(r) = u(r/c) sin(f_n r/c) are waves whose
    frequencies f_n are trained, n pi at first, and u(x) = 1/x + a x^p + b x^(p+1) + c x^(p+2) brings them smoothly to 0
    at the cutoff c. After the embedding and every interaction an output block sums ``A e * x`` over the edges of an atom
    and adds to the atom's share of the energy of its molecule.

    Angles enter by their cosines alone, so that forces are right where three atoms lie on a line.

    Parameters
    ----------
    hidden, interaction, basis, output : int
        The widths of messages, of messages between edges, of the bases and of the output blocks.
    blocks, spherical, radial : int
        How many interactions, orders l and waves n.
    cutoff : float
        In the unit of the positions; edges should join the pairs within it (`hs.gnn.radius_graph`), those beyond it
        have bases 0.
    exponent : int
        p of the envelope.
    before_skip, after_skip, output_layers : int
        How many residual layers and hidden layers of the output.
    largest : int
        Atomic numbers are below it.
    key, dtype
        As for `hs.nn.Linear`.

    Returns
    -------
    Array, (G,)
        Of ``model(graph)`` or ``model(graph, triplets)``: the energy of every graph. The graph needs ``pos`` and atomic
        numbers ``node_data={"z": ...}``. In a compiled function `triplets` of the graph is an argument, see `prepare`.

    Raises
    ------
    ValueError
        When called on a graph without positions or atomic numbers, with shifts that have no cell, or with triplets of
        another graph.

    Notes
    -----
    Two atoms at the same place have no direction: the energy of their molecule is NaN.

    References
    ----------
    Gasteiger, Groß and Günnemann, "Directional message passing for molecular graphs", arXiv:2003.03123 (2020);
    Gasteiger, Giri, Margraf and Günnemann, "Fast and uncertainty-aware directional message passing for non-equilibrium
    molecules", arXiv:2011.14115 (2020), in the form of `torch_geometric.nn.models.DimeNetPlusPlus`.

    Examples
    --------
    >>> import hesse as hs
    >>> water = hs.gnn.radius_graph([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]], 3.0, z=[8, 1, 1])
    >>> model = hs.gnn.DimeNetPlusPlus(16, 8, 4, 16, 2, 3, 4, cutoff=3.0, key=hs.random.key(0))
    >>> energy, forces = hs.gnn.energy_and_forces(model, water)
    >>> energy.shape, forces.shape
    ((1,), (3, 3))
    >>> predict = hs.compile(lambda model, graph, line: model(graph, line))
    >>> bool(hs.allclose(predict(model, water, hs.gnn.triplets(water)), energy))
    True
    """

    frequencies: Array
    embedding: Array
    radial_embedding: Linear
    edge_embedding: Linear
    interactions: list[_Interaction]
    outputs: list[_Output]
    spherical: int
    radial: int
    cutoff: float
    exponent: int

    def __init__(
        self, hidden: int = 128, interaction: int = 64, basis: int = 8, output: int = 256, blocks: int = 4,
        spherical: int = 7, radial: int = 6, cutoff: float = 5.0, *, exponent: int = 5, before_skip: int = 1,
        after_skip: int = 2, output_layers: int = 3, largest: int = 95, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes(
            "DimeNetPlusPlus", hidden=hidden, interaction=interaction, basis=basis, output=output, blocks=blocks,
            spherical=spherical, radial=radial, exponent=exponent, largest=largest,
        )  # fmt: skip
        for name, n in (
            ("before_skip", before_skip),
            ("after_skip", after_skip),
            ("output_layers", output_layers),
        ):
            if n != 0:
                check_sizes("DimeNetPlusPlus", **{name: n})
        if not 0 < cutoff < math.inf:
            raise _hesse.ArgumentError(f"DimeNetPlusPlus: cutoff must be positive and finite, got {cutoff}")
        residuals = 2 * (before_skip + after_skip)
        layers = _Layers(key, 3 + blocks * (9 + residuals) + (blocks + 1) * (3 + output_layers), dtype)
        self.embedding = _hesse.random.uniform(
            layers.key(), (largest, hidden), -math.sqrt(3.0), math.sqrt(3.0), dtype=dtype
        )
        self.frequencies = _hesse.asarray(math.pi * np.arange(1, radial + 1), dtype=self.embedding.dtype)
        self.radial_embedding = layers.biased(radial, hidden)
        self.edge_embedding = layers.biased(3 * hidden, hidden)
        self.interactions = [
            _Interaction(hidden, interaction, basis, radial, spherical, before_skip, after_skip, layers)
            for _ in range(blocks)
        ]
        self.outputs = [_Output(radial, hidden, output, output_layers, layers) for _ in range(blocks + 1)]
        self.spherical, self.radial = int(spherical), int(radial)
        self.cutoff, self.exponent = float(cutoff), int(exponent)

    def prepare(self, graph: Graph) -> tuple[Graph, Graph]:
        """What a compiled model is called with: the graph and its `triplets`, as `hs.gnn.GraphRegressor` does.

        Triplets of a padded graph are filled up to one of four numbers between a power of two and the next, where the
        padding has an edge: batches of a `DataLoader` then need few programs.
        """
        if not isinstance(graph, Graph) or not _ends_in_padding(graph):
            return graph, triplets(graph)
        joined = _joined(graph)
        step = 1 << max(joined.shape[1].bit_length() - 3, 0)
        return graph, _line(graph, joined, -(-joined.shape[1] // step) * step)

    def __call__(self, graph: Graph, line: Graph | None = None) -> Array:
        _, z = require_atoms("DimeNetPlusPlus", graph)
        if line is None:
            line = triplets(graph)
        require_graph("DimeNetPlusPlus", line)
        if line.num_nodes != graph.num_edges:
            raise _hesse.ArgumentError(
                f"DimeNetPlusPlus: the triplets are of a graph with {line.num_nodes} edges, this one has "
                f"{graph.num_edges}; use hs.gnn.triplets(graph)"
            )
        vectors = edge_vectors(graph)
        r = _hesse.sqrt(_hesse.sum(vectors * vectors, axis=1))
        directions, x = vectors / r[:, None], r / self.cutoff
        window = envelope(x, self.exponent)
        rbf = window[:, None] * _hesse.sin(self.frequencies * x[:, None])
        basis = vmap(lambda x: spherical_bessel_basis(x, self.spherical, self.radial))(x)
        sbf = window[:, None, None] * basis

        h = _hesse.gather(self.embedding, z)
        ends = [seg.rows(h, graph.target), seg.rows(h, graph.source), _nn.silu(self.radial_embedding(rbf))]
        messages = _nn.silu(self.edge_embedding(_hesse.concat(ends, axis=-1)))
        shares = self.outputs[0](messages, rbf, graph)
        for interaction, output in zip(self.interactions, self.outputs[1:], strict=True):
            messages = interaction(messages, rbf, sbf, directions, line)
            shares = shares + output(messages, rbf, graph)
        return global_sum_pool(shares, graph)[:, 0]
