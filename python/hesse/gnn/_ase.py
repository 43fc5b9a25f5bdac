"""Energies of graphs as a calculator of the Atomic Simulation Environment."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _hesse
from .._derivatives import value_and_grad
from .._extras import require
from .._flat import check_callable
from .._hesse import Array
from ._graph import Graph
from ._neighbours import radius_graph

__all__ = ["ase_calculator"]


def ase_calculator(energy: Callable[[Graph], Array], cutoff: float, *, dtype: Any = None) -> Any:
    """A calculator of ASE from an energy of graphs, for its dynamics, optimisers and so on.

    Parameters
    ----------
    energy : callable
        From the `radius_graph` of a structure, with ``node_data["z"]``, to its energy in eV: one number or (1,), such
        as a `SchNet`. It may not see periodic images other than by the graph's shifts and cell (`edge_vectors`).
    cutoff : float
        In Angstrom.
    dtype : optional
        Of the positions, by default float64; that of the energy's weights.

    Returns
    -------
    ase.calculators.calculator.Calculator
        With energy, forces -dE/dpos and, where all directions repeat, stress: dE/de / V for the strain e, which takes
        positions and cell to x (1 + e), in the order xx, yy, zz, yz, xz, xy.

    Raises
    ------
    ImportError
        Where ASE is not installed: it comes with ``pip install 'hesse[ase]'``.
    ValueError
        For a cutoff that is not positive and finite; and when it is asked for energies of structures that
        `radius_graph` refuses.

    Examples
    --------
    >>> import hesse as hs, ase
    >>> def springs(graph):
    ...     r = hs.sqrt(hs.sum(hs.gnn.edge_vectors(graph) ** 2, axis=1))
    ...     return 0.25 * hs.sum((r - 1.0) ** 2)  # every pair has two edges
    >>> atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, 1.5]], calculator=hs.gnn.ase_calculator(springs, 3.0))
    >>> atoms.get_potential_energy(), atoms.get_forces()[1, 2]
    (0.125, np.float64(-0.5))
    """
    check_callable(energy, "ase_calculator")
    require("ase.calculators.calculator", "ase", "ase_calculator")
    if not 0 < cutoff < np.inf:
        raise _hesse.ArgumentError(f"ase_calculator: cutoff must be positive and finite, got {cutoff}")
    return _calculator_class()(energy, float(cutoff), np.float64 if dtype is None else dtype)


def _evaluate(
    energy: Callable[[Graph], Array], graph: Graph, with_strain: bool
) -> tuple[float, Array, Array | None]:
    """The energy, its slopes by positions, and by strain."""

    def total(pos: Array, strain: Array | None) -> Array:
        moved = graph.replace(pos=pos)
        if strain is not None:
            turn = _hesse.eye(pos.shape[1], dtype=pos.dtype) + strain
            moved = graph.replace(
                pos=pos @ turn, graph_data={**graph.graph_data, "cell": graph.graph_data["cell"] @ turn}
            )
        value = _hesse.asarray(energy(moved))
        if value.shape not in ((), (1,)):
            raise _hesse.ArgumentError(
                f"ase_calculator: energy must give one number for a structure, got shape {value.shape}"
            )
        return _hesse.sum(value)

    assert graph.pos is not None
    if not with_strain:
        value, slope = value_and_grad(lambda pos: total(pos, None))(graph.pos)
        return float(value), slope, None
    strain = _hesse.zeros((3, 3), dtype=graph.pos.dtype)
    value, (slope, virial) = value_and_grad(total, argnums=(0, 1))(graph.pos, strain)
    return float(value), slope, virial


@functools.cache
def _calculator_class() -> Any:
    """Made when it is needed: its base is ASE's."""
    base: Any = require("ase.calculators.calculator", "ase", "ase_calculator")

    class HesseCalculator(base.Calculator):  # type: ignore[misc]
        implemented_properties = ("energy", "free_energy", "forces", "stress")

        def __init__(self, energy: Callable[[Graph], Array], cutoff: float, dtype: Any) -> None:
            super().__init__()
            self._energy, self._cutoff, self._dtype = energy, cutoff, dtype

        def calculate(
            self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = base.all_changes
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            at = self.atoms
            periodic = np.asarray(at.pbc)
            cell = np.asarray(at.cell) if periodic.any() else None
            if "stress" in properties and not periodic.all():
                raise base.PropertyNotImplementedError(
                    f"stress needs a cell that repeats in all directions, pbc is {periodic.tolist()}"
                )
            # Neighbours are found in float64 whatever the network computes in.
            graph = radius_graph(at.positions, self._cutoff, cell=cell, periodic=periodic, z=at.numbers)
            data = {k: _hesse.astype(v, self._dtype) for k, v in graph.graph_data.items()}
            assert graph.pos is not None
            graph = graph.replace(pos=_hesse.astype(graph.pos, self._dtype), graph_data=data)
            value, slope, virial = _evaluate(self._energy, graph, "stress" in properties)
            self.results = {"energy": value, "free_energy": value, "forces": -np.asarray(slope, np.float64)}
            if virial is not None:
                s = np.asarray(virial, np.float64) / at.get_volume()
                s = 0.5 * (s + s.T)
                self.results["stress"] = s[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]

    return HesseCalculator
