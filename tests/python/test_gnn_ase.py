"""The calculator for ASE, the reader of extended XYZ and neighbours, each against what ASE has itself."""

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

ase = pytest.importorskip("ase")

CELL = np.array([[4.2, 0.0, 0.3], [0.8, 4.0, 0.0], [-0.5, 0.9, 4.4]])
CUTOFF = 6.5  # more than the cell


def lennard_jones(graph):
    """Pairs of sigma = 2 and epsilon = 0.1, zero at the cutoff, which ASE's does too."""
    s6 = lambda square: (4.0 / square) ** 3
    level = lambda square: 0.4 * (s6(square) ** 2 - s6(square))
    squares = hs.sum(gnn.edge_vectors(graph) ** 2, axis=1)
    return 0.5 * hs.sum(level(squares) - level(CUTOFF**2))


def argon(pbc=True):
    rng = np.random.default_rng(0)
    at = np.array([[0, 0, 0], [0.5, 0.5, 0.1], [0.5, 0.0, 0.5], [0.1, 0.5, 0.5]]) + 0.05 * rng.normal(
        size=(4, 3)
    )
    return ase.Atoms("Ar4", at @ CELL, cell=CELL, pbc=pbc)


@pytest.mark.parametrize("pbc", [True, False, [True, False, True]])
def test_energy_forces_and_stress_are_those_of_lennard_jones(pbc):
    from ase.calculators.calculator import PropertyNotImplementedError
    from ase.calculators.lj import LennardJones

    ours, theirs = argon(pbc), argon(pbc)
    ours.calc = gnn.ase_calculator(lennard_jones, CUTOFF)
    theirs.calc = LennardJones(sigma=2.0, epsilon=0.1, rc=CUTOFF)
    assert abs(theirs.get_potential_energy()) > 0.01
    np.testing.assert_allclose(ours.get_potential_energy(), theirs.get_potential_energy(), rtol=1e-12)
    np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), rtol=1e-10, atol=1e-12)
    if np.all(pbc):
        np.testing.assert_allclose(ours.get_stress(), theirs.get_stress(), rtol=1e-10, atol=1e-12)
    else:
        with pytest.raises(PropertyNotImplementedError, match="stress needs a cell"):
            ours.get_stress()


def test_dynamics_of_ase_conserve_the_energy_of_a_network():
    from ase import units
    from ase.md.verlet import VelocityVerlet

    atoms = argon(False)
    model = gnn.SchNet(8, 8, 1, 8, 8.0, largest=19, key=hs.random.key(0), dtype=hs.float32)
    atoms.calc = gnn.ase_calculator(lambda g: 0.1 * model(g), 8.0, dtype=hs.float32)
    atoms.set_momenta(np.random.default_rng(0).normal(size=(4, 3)) * np.sqrt(40.0 * 50 * units.kB))
    before, at = atoms.get_total_energy(), atoms.positions.copy()
    VelocityVerlet(atoms, 2.0 * units.fs).run(20)
    assert np.abs(atoms.positions - at).max() > 0.01
    assert abs(atoms.get_total_energy() - before) < 1e-4


def test_neighbours_are_those_of_ase():
    from ase.neighborlist import neighbor_list

    for pbc in (True, [False, True, True]):
        atoms = argon(pbc)
        i, j, s = neighbor_list("ijS", atoms, CUTOFF)
        edges, shifts = gnn.neighbours(atoms.positions, CUTOFF, CELL, atoms.pbc)
        order = np.lexsort((*s.T[::-1], j, i))
        np.testing.assert_array_equal(edges, [j[order], i[order]])
        np.testing.assert_array_equal(shifts, s[order])


def test_what_ase_writes_is_read(tmp_path):
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    frames = [
        argon(),
        argon([True, False, True]),
        ase.Atoms("OH2", [[0, 0, 0], [0.8, 0.6, 0], [-0.8, 0.6, 0]]),
    ]
    rng = np.random.default_rng(0)
    for k, atoms in enumerate(frames):
        atoms.calc = SinglePointCalculator(atoms, energy=-1.5 * k, forces=rng.normal(size=(len(atoms), 3)))
        atoms.info["name"] = f"frame {k}"
        atoms.arrays["charge"] = rng.integers(-2, 3, len(atoms))
    write(tmp_path / "a.xyz", frames, format="extxyz")
    for atoms, s in zip(frames, hs.io.load_extxyz(tmp_path / "a.xyz"), strict=True):
        assert s.numbers.tolist() == atoms.numbers.tolist() and s.periodic.tolist() == atoms.pbc.tolist()
        np.testing.assert_allclose(s.positions, atoms.positions, atol=1e-7)
        np.testing.assert_allclose(s.arrays["forces"], atoms.get_forces(), atol=1e-7)
        assert s.arrays["charge"].tolist() == atoms.arrays["charge"].tolist()
        assert s.info["energy"] == atoms.get_potential_energy() and s.info["name"] == atoms.info["name"]
        if s.cell is not None:
            np.testing.assert_allclose(s.cell, np.asarray(atoms.cell), atol=1e-7)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"ase_calculator: cutoff must be positive and finite, got 0"):
        gnn.ase_calculator(lennard_jones, 0)
    with pytest.raises(TypeError, match=r"ase_calculator"):
        gnn.ase_calculator(3, 1.0)
    atoms = argon()
    atoms.calc = gnn.ase_calculator(lambda g: g.pos, 2.0)
    with pytest.raises(
        ValueError, match=r"ase_calculator: energy must give one number .* got shape \(4, 3\)"
    ):
        atoms.get_potential_energy()
    atoms.positions[0] = np.nan
    with pytest.raises(ValueError, match=r"neighbours: pos must be finite"):
        atoms.get_potential_energy()
    with pytest.raises(ValueError, match=r"edge_vectors: the graph has no positions"):
        gnn.edge_vectors(gnn.Graph([[0], [0]]))
