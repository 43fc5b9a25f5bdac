"""Forces: the derivatives of an energy by positions."""

from __future__ import annotations

from collections.abc import Callable

from .. import _hesse
from .._derivatives import value_and_grad
from .._flat import check_callable
from .._hesse import Array
from ._common import require_graph
from ._graph import Graph

__all__ = ["energy_and_forces"]


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
    require_graph("energy_and_forces", graph)
    if graph.pos is None:
        raise _hesse.ArgumentError("energy_and_forces: the graph has no positions; make it with pos=")

    def total(pos: Array) -> tuple[Array, Array]:
        energies = energy(graph.replace(pos=pos))
        return _hesse.sum(energies), energies

    (_, energies), slope = value_and_grad(total, has_aux=True)(graph.pos)
    return energies, -slope
