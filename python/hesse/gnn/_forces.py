"""Forces and stress: the derivatives of an energy by positions and by strain."""

from __future__ import annotations

from collections.abc import Callable

from .. import _hesse
from .._derivatives import value_and_grad
from .._flat import check_callable
from .._hesse import Array
from ..linalg import det
from . import _segments as seg
from ._common import require_graph
from ._graph import Graph

__all__ = ["energy_and_forces", "energy_forces_and_stress"]


def energy_and_forces(energy: Callable[[Graph], Array], graph: Graph) -> tuple[Array, Array]:
    """Energies of a batch of molecules, and the forces -dE/dpos on their atoms.

    Parameters
    ----------
    energy : callable
        From a graph with positions to energies, (G,), or to one energy.
    graph : Graph
        With ``pos``, (N, D).

    Returns
    -------
    energies : Array
        What `energy` returns.
    forces : Array
        (N, D), in units of energy over length. They are differentiable: a loss on forces trains.

    Raises
    ------
    ValueError
        For a graph without positions.

    Examples
    --------
    Two atoms on a spring of length 1:

    >>> import hesse as hs
    >>> pair = hs.gnn.Graph([[0], [1]], pos=[[0.0], [1.5]])
    >>> spring = lambda g: 0.5 * hs.sum((g.pos[1] - g.pos[0] - 1.0) ** 2)
    >>> energy, forces = hs.gnn.energy_and_forces(spring, pair)
    >>> forces
    Array([[ 0.5],
           [-0.5]], dtype=float64)
    """
    check_callable(energy, "energy_and_forces")
    require_graph("energy_and_forces", graph, pairs=True)
    if graph.pos is None:
        raise _hesse.ArgumentError("energy_and_forces: the graph has no positions; make it with pos=")

    def total(pos: Array) -> tuple[Array, Array]:
        energies = energy(graph.replace(pos=pos))
        return _hesse.sum(energies), energies

    (_, energies), slope = value_and_grad(total, has_aux=True)(graph.pos)
    return energies, -slope


def energy_forces_and_stress(energy: Callable[[Graph], Array], graph: Graph) -> tuple[Array, Array, Array]:
    """Energies of a batch of periodic systems, the forces on their atoms, and their stress.

    The strain e takes positions and cell to x (1 + e); the stress is (dE/de + (dE/de)^T) / 2V at e = 0, with V the
    volume of the cell. Its sign and order are those of ASE: a system that wants to expand has a negative trace.

    Parameters
    ----------
    energy : callable
        From a graph with positions and ``graph_data["cell"]`` (`radius_graph`) to energies, (G,), or to the one energy of
        one system. It may see images only by the graph's shifts and cell, as `edge_vectors` and the models do.
    graph : Graph
        In three dimensions. Where not all directions repeat, V is still the volume of the cell's parallelepiped.

    Returns
    -------
    energies : Array
        What `energy` returns.
    forces : Array
        (N, 3), -dE/dpos.
    stress : Array
        (G, 6), in the order xx, yy, zz, yz, xz, xy and units of energy over volume: eV/Angstrom^3 for eV and Angstrom.
        It is differentiable, as forces are: a loss on it trains.

    Raises
    ------
    ValueError
        For a graph without positions in three dimensions or without a cell for each of its systems.

    Examples
    --------
    A cubic crystal whose atoms are joined to their six images by springs of length 1.2: it wants to expand.

    >>> import hesse as hs
    >>> crystal = hs.gnn.radius_graph([[0.0, 0.0, 0.0]], 1.1, cell=hs.eye(3))
    >>> def springs(graph):
    ...     r = hs.sqrt(hs.sum(hs.gnn.edge_vectors(graph) ** 2, axis=1))
    ...     return 0.25 * hs.sum((r - 1.2) ** 2)  # every pair has two edges
    >>> energy, forces, stress = hs.gnn.energy_forces_and_stress(springs, crystal)
    >>> hs.round(stress, 6)
    Array([[-0.2, -0.2, -0.2,  0. ,  0. ,  0. ]], dtype=float64)
    """
    check_callable(energy, "energy_forces_and_stress")
    require_graph("energy_forces_and_stress", graph, pairs=True)
    if graph.pos is None or graph.pos.shape[1] != 3:
        found = "none" if graph.pos is None else f"shape {graph.pos.shape}"
        raise _hesse.ArgumentError(
            f"energy_forces_and_stress: the graph must have positions in three dimensions, got {found}"
        )
    count, cell = graph.num_graphs, graph.graph_data.get("cell")
    if cell is None or cell.shape != (count, 3, 3):
        found = "none" if cell is None else f"shape {cell.shape}"
        raise _hesse.ArgumentError(
            f'energy_forces_and_stress: graph_data["cell"] must be [{count}, 3, 3] for this graph, got {found}; '
            "radius_graph(..., cell=) makes it"
        )

    def total(pos: Array, strain: Array) -> tuple[Array, Array]:
        turn = _hesse.eye(3, dtype=pos.dtype) + strain
        rows = turn[0] if count == 1 else seg.rows(turn, graph.node_graph)
        moved = pos @ rows if count == 1 else _hesse.sum(pos[:, :, None] * rows, axis=1)
        energies = energy(graph.replace(pos=moved, graph_data={**graph.graph_data, "cell": cell @ turn}))
        return _hesse.sum(energies), energies

    strain = _hesse.zeros((count, 3, 3), dtype=graph.pos.dtype)
    (_, energies), (slope, by_strain) = value_and_grad(total, argnums=(0, 1), has_aux=True)(graph.pos, strain)
    s = 0.5 * (by_strain + _hesse.matrix_transpose(by_strain)) / _hesse.abs(det(cell))[:, None, None]
    voigt = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    return energies, -slope, _hesse.stack([s[:, a, b] for a, b in voigt], axis=1)
