"""Graphs of meshes, and networks on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import _hesse
from .._cells import as_corners
from .._hesse import Array
from .._hesse import nn as _nn
from .._map import map as _map
from ..linalg import vector_norm
from ..nn._layers import MLP
from ..nn._module import Module
from ..nn._normalisation import LayerNorm
from ._common import check_sizes, edge_features, features, keys
from ._graph import Graph, numpy_of
from ._neighbours import edge_vectors, finite_positions

__all__ = ["MeshGraphNet", "from_mesh"]

_SIDES = {  # pairs of corners, by meshio's names and order of corners
    "vertex": [],
    "line": [(0, 1)],
    "triangle": [(0, 1), (1, 2), (2, 0)],
    "quad": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "tetra": [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)],
    "pyramid": [(0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4), (2, 4), (3, 4)],
    "wedge": [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)],
    "hexahedron": [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)],
}  # fmt: skip
_CORNERS = {
    "vertex": 1,
    "line": 2,
    "triangle": 3,
    "quad": 4,
    "tetra": 4,
    "pyramid": 5,
    "wedge": 6,
    "hexahedron": 8,
}
_SIMPLICES = {2: "line", 3: "triangle", 4: "tetra"}


def _sides(kind: str, cells: Any, n: int) -> np.ndarray[Any, Any]:
    """The pairs of points that the cells of a kind join, [M, 2]."""
    if kind not in _SIDES:
        raise _hesse.ArgumentError(
            f"from_mesh: cells of kind {kind!r} are not known; it knows {', '.join(_SIDES)}"
        )
    c = numpy_of("from_mesh", "cells", cells)
    if c.size == 0:
        return np.zeros((0, 2), np.int64)
    if c.ndim != 2 or c.shape[1] != _CORNERS[kind]:
        raise _hesse.ArgumentError(
            f"from_mesh: cells of kind {kind!r} must be [M, {_CORNERS[kind]}], got shape {c.shape}"
        )
    c = as_corners("from_mesh", c, n, f" of kind {kind!r}")
    ordered = np.sort(c, axis=1)
    bad = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if bad.size:
        raise _hesse.ArgumentError(
            f"from_mesh: cell {bad[0]} of kind {kind!r} has a corner twice, {c[bad[0]].tolist()}; {len(bad)} such cell(s)"
        )
    return c[:, np.array(_SIDES[kind], int).reshape(-1, 2)].reshape(-1, 2)


def from_mesh(
    points: Any,
    cells: Any,
    x: Any = None,
    *,
    y: Any = None,
    node_data: Mapping[str, Any] | None = None,
) -> Graph:
    """The graph of the sides of a mesh's cells, each in both directions, once.

    Parameters
    ----------
    points : array, (N, D)
    cells : array of integers (M, 3) or (M, 4), or a dict of such
        Triangles or tetrahedra ((M, 2): lines); or arrays by the names that meshio has: "line", "triangle", "quad",
        "tetra", "pyramid", "wedge", "hexahedron", and "vertex", which has no sides. Points of no cell are nodes
        without edges.
    x, y, node_data
        As for `Graph`; such as the one-hot vectors of kinds of nodes, ``np.eye(3)[kind]``.

    Returns
    -------
    Graph
        With ``pos`` and ``edge_attr``, (E, D + 1): the vector from the target to the source, and its length.

    Raises
    ------
    ValueError
        For points that are not (N, D) or not finite, cells of other shapes or kinds, and a cell with a corner twice.
    IndexError
        For a corner that is no point.
    TypeError
        For cells that hold no integers.

    Notes
    -----
    Files are read by meshio (``pip install 'hesse[mesh]'``): SU2, Gmsh, VTK, Exodus, Abaqus and others::

        mesh = meshio.read("cylinder.su2")
        graph = hs.gnn.from_mesh(mesh.points, mesh.cells_dict)

    References
    ----------
    Pfaff, Fortunato, Sanchez-Gonzalez and Battaglia, arXiv:2010.03409 (2021), section 3.1.

    Examples
    --------
    Two triangles that make a square:

    >>> import hesse as hs
    >>> mesh = hs.gnn.from_mesh([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], [[0, 1, 2], [0, 2, 3]])
    >>> mesh
    Graph(4 nodes, 10 edges, edge_attr=float64[10,3], pos=float64[4,2])
    >>> mesh.edge_attr[0]
    Array([1., 0., 1.], dtype=float64)
    """
    p = finite_positions("from_mesh", points, "points")
    if not isinstance(cells, Mapping):
        shape = np.shape(numpy_of("from_mesh", "cells", cells))
        if len(shape) != 2 or shape[1] not in _SIMPLICES:
            raise _hesse.ArgumentError(
                f"from_mesh: cells must be [M, 3] triangles or [M, 4] tetrahedra, or a dict of arrays by kind such as "
                f'{{"quad": ...}}, got shape {shape}'
            )
        if shape[1] == 4 and p.shape[1] == 2:
            raise _hesse.ArgumentError(
                'from_mesh: there are no tetrahedra in two dimensions; give quadrilaterals as {"quad": cells}'
            )
        cells = {_SIMPLICES[shape[1]]: cells}
    pairs = [_sides(kind, c, len(p)) for kind, c in cells.items()]
    pair = np.sort(np.concatenate([np.zeros((0, 2), np.int64), *pairs]), axis=1)
    low, high = np.unique(pair, axis=0).T
    pos = _hesse.asarray(points)
    if np.asarray(points).dtype.kind != "f":
        pos = _hesse.astype(pos, _hesse.float64)
    edges = np.stack([np.concatenate([low, high]), np.concatenate([high, low])])
    graph = Graph(edges, x, pos=pos, y=y, node_data=node_data)
    vectors = edge_vectors(graph)
    return graph.replace(
        edge_attr=_hesse.concat([vectors, vector_norm(vectors, axis=1, keepdims=True)], axis=1)
    )


class _Normalised(Module):
    """A network with a LayerNorm at its end."""

    net: MLP
    norm: LayerNorm

    def __init__(self, net: MLP, dtype: Any) -> None:
        self.net, self.norm = net, LayerNorm(net.layers[-1].weight.shape[0], dtype=dtype)

    def __call__(self, x: Any) -> Array:
        return self.norm(self.net(x))


class _Block(Module):
    edge: _Normalised
    node: _Normalised

    def __init__(self, edge: _Normalised, node: _Normalised) -> None:
        self.edge, self.node = edge, node

    def __call__(self, v: Array, e: Array, graph: Graph) -> tuple[Array, Array]:
        first, *others = self.edge.net.layers
        width = e.shape[1]
        # W [e, v_i, v_j] = W_e e + W_i v_i + W_j v_j: the latter two once per node, not per edge.
        of_edge, of_target, of_source = (first.weight[:, k * width : (k + 1) * width] for k in range(3))
        ends = _nn.linear(v, of_target, first.bias), _nn.linear(v, of_source, None)

        def message(i: Array, j: Array, e: Array) -> tuple[Array, Array]:
            h = of_edge @ e + i + j
            for layer in others:
                h = layer(self.edge.net.activation(h))
            m = self.edge.norm(h)
            return e + m, m

        e, sums = _map(
            message, graph.num_edges, [*ends, e], [("gather", 0), ("gather", 1), "each"],
            ["each", ("segment_sum", 0, graph.num_nodes)], [graph.target, graph.source],
        )  # fmt: skip
        return v + self.node(_hesse.concat([v, sums], axis=-1)), e


class MeshGraphNet(Module):
    """Simulation on a mesh: an encoder, blocks of messages along its edges, and a decoder.

    Encoders make states v_i of nodes and e_ij of edges from their features; every one of `blocks` adds::

        m_ij = f(e_ij, v_i, v_j),    e_ij <- e_ij + m_ij,    v_i <- v_i + g(v_i, sum over j of m_ij)

    and a decoder makes the result of v_i. Encoders, f and g are networks with a LayerNorm at the end; the decoder has none.
    Blocks have networks of their own. A node is changed by what is at most `blocks` edges away.

    Parameters
    ----------
    node_features, edge_features, out_features : int
        Of x, of edge_attr (D + 1 for `from_mesh`), and of the result.
    hidden : int
        The width of states and networks.
    blocks : int
    layers : int
        Hidden layers of every network.
    activation : callable
        ReLU in the paper.
    key, dtype
        As for `hs.nn.Linear`.

    Returns
    -------
    Array, (N, out_features)
        Of ``model(x, graph, edge_attr=None)``; by default the edges' features are ``graph.edge_attr``. Features should be
        scaled to about 1.

    Raises
    ------
    ValueError
        When called on features of other shapes.

    References
    ----------
    Pfaff, Fortunato, Sanchez-Gonzalez and Battaglia, "Learning mesh-based simulation with graph networks",
    arXiv:2010.03409 (2021), section 3.2 and appendix A.1.

    Examples
    --------
    >>> import hesse as hs
    >>> mesh = hs.gnn.from_mesh([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], [[0, 1, 2], [0, 2, 3]])
    >>> model = hs.gnn.MeshGraphNet(1, 3, 1, hidden=16, blocks=2, key=hs.random.key(0))
    >>> model(hs.ones((4, 1)), mesh).shape
    (4, 1)
    """

    node_encoder: _Normalised
    edge_encoder: _Normalised
    blocks: list[_Block]
    decoder: MLP

    def __init__(
        self, node_features: int, edge_features: int, out_features: int, *, hidden: int = 128, blocks: int = 15,
        layers: int = 2, activation: Callable[[Any], Any] = _nn.relu, key: Array | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_sizes(
            "MeshGraphNet", node_features=node_features, edge_features=edge_features, out_features=out_features,
            hidden=hidden, blocks=blocks, layers=layers,
        )  # fmt: skip
        used = iter(keys(key, 3 + 2 * blocks))

        def net(n: int, m: int) -> MLP:
            return MLP([n, *[hidden] * layers, m], activation, key=next(used), dtype=dtype)

        def normalised(n: int) -> _Normalised:
            return _Normalised(net(n, hidden), dtype)

        self.node_encoder, self.edge_encoder = normalised(node_features), normalised(edge_features)
        self.blocks = [_Block(normalised(3 * hidden), normalised(2 * hidden)) for _ in range(blocks)]
        self.decoder = net(hidden, out_features)

    def __call__(self, x: Any, graph: Graph, edge_attr: Any = None) -> Array:
        width = self.node_encoder.net.layers[0].weight.shape[1]
        v = self.node_encoder(features("MeshGraphNet", x, graph, width))
        width = self.edge_encoder.net.layers[0].weight.shape[1]
        e = self.edge_encoder(edge_features("MeshGraphNet", edge_attr, graph, width))
        for block in self.blocks:
            v, e = block(v, e, graph)
        return self.decoder(v)
