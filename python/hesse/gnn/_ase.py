"""Energies of graphs as a calculator of the Atomic Simulation Environment."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _hesse
from .._extras import require
from .._flat import check_callable
from .._hesse import Array
from ._forces import energy_and_forces, energy_forces_and_stress
from ._graph import Graph
from ._neighbours import radius_graph

__all__ = ["ase_calculator"]


def ase_calculator(
    energy: Callable[[Graph], Array], cutoff: float, *, pairs: bool = False, dtype: Any = None
) -> Any:
    """A calculator of ASE from an energy of graphs, for its dynamics, optimisers and so on.

    Parameters
    ----------
    energy : callable
        From the `radius_graph` of a structure, with ``node_data["z"]``, to its energy in eV: one number or (1,), such
        as a `SchNet`. It may not see periodic images other than by the graph's shifts and cell (`edge_vectors`).
    cutoff : float
        In Angstrom.
    pairs : bool
        Whether the graph has every pair of neighbours once, as `Graph.pairs`: quicker with a `SchNet`. A sum over
        edges counts each pair once then, and not twice.
    dtype : optional
        Of the positions, by default float64; that of the energy's weights.

    Returns
    -------
    ase.calculators.calculator.Calculator
        With energy, forces and, where all directions repeat, stress (`energy_forces_and_stress`).

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
    return _calculator_class()(energy, float(cutoff), bool(pairs), np.float64 if dtype is None else dtype)


def _one_energy(energy: Callable[[Graph], Array], graph: Graph) -> Array:
    value = _hesse.asarray(energy(graph))
    if value.shape not in ((), (1,)):
        raise _hesse.ArgumentError(
            f"ase_calculator: energy must give one number for a structure, got shape {value.shape}"
        )
    return _hesse.sum(value)


@functools.cache
def _calculator_class() -> Any:
    """Made when it is needed: its base is ASE's."""
    base: Any = require("ase.calculators.calculator", "ase", "ase_calculator")

    class HesseCalculator(base.Calculator):  # type: ignore[misc]
        implemented_properties = ("energy", "free_energy", "forces", "stress")

        def __init__(self, energy: Callable[[Graph], Array], cutoff: float, pairs: bool, dtype: Any) -> None:
            super().__init__()
            self._energy, self._cutoff, self._paired, self._dtype = energy, cutoff, pairs, dtype

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
            graph = radius_graph(
                at.positions, self._cutoff, cell=cell, periodic=periodic, z=at.numbers, pairs=self._paired
            )
            data = {k: _hesse.astype(v, self._dtype) for k, v in graph.graph_data.items()}
            assert graph.pos is not None
            graph = graph.replace(pos=_hesse.astype(graph.pos, self._dtype), graph_data=data)
            of = functools.partial(_one_energy, self._energy)
            results: dict[str, Any] = {}
            if "stress" in properties:
                value, forces, stress = energy_forces_and_stress(of, graph)
                results["stress"] = np.asarray(stress[0], np.float64)
            else:
                value, forces = energy_and_forces(of, graph)
            results["energy"] = results["free_energy"] = float(value)
            results["forces"] = np.asarray(forces, np.float64)
            self.results = results

    return HesseCalculator
