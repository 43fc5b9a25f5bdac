"""Stress: against strained copies, against ASE, turned with the frame, as something to train on."""

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

VOIGT = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
CUTOFF = 2.4


def crystal(seed=0, atoms=3, cell=None, pos=None):
    rng = np.random.default_rng(seed)
    cell = 2.6 * np.eye(3) + 0.3 * rng.normal(size=(3, 3)) if cell is None else cell
    pos = (rng.uniform(size=(atoms, 3)) + 0.2 * np.arange(atoms)[:, None]) @ cell if pos is None else pos
    return gnn.radius_graph(pos, CUTOFF, cell=cell, z=np.resize([1, 6, 8], len(pos)))


def lennard_jones(graph):
    """sigma = 2, epsilon = 0.1, zero at the cutoff; one energy for every graph."""
    s6 = lambda square: (4.0 / square) ** 3
    level = lambda square: 0.2 * (s6(square) ** 2 - s6(square))
    squares = hs.sum(gnn.edge_vectors(graph) ** 2, axis=1)
    shares = hs.segment_sum(level(squares) - level(CUTOFF**2), graph.target, graph.num_nodes)
    return gnn.global_sum_pool(shares[:, None], graph)[:, 0]


MODELS = {
    "lennard_jones": lambda: lennard_jones,
    "schnet": lambda: gnn.SchNet(8, 8, 2, 6, CUTOFF, largest=9, key=hs.random.key(0)),
    "painn": lambda: gnn.PaiNN(6, 2, 4, CUTOFF, largest=9, key=hs.random.key(0)),
    "dimenet": lambda: gnn.DimeNetPlusPlus(6, 4, 3, 5, 1, 3, 3, CUTOFF, largest=9, key=hs.random.key(0)),
}


@pytest.mark.parametrize("name", MODELS)
def test_stress_is_the_slope_of_the_energies_of_strained_copies(name):
    energy, graph = MODELS[name](), gnn.batch([crystal(0), crystal(1, 2)])
    pos, cells, of = np.asarray(graph.pos), np.asarray(graph.graph_data["cell"]), np.asarray(graph.node_graph)
    energies, forces, stress = gnn.energy_forces_and_stress(energy, graph)
    e, f = gnn.energy_and_forces(energy, graph)
    np.testing.assert_allclose(energies, e, rtol=1e-12)
    np.testing.assert_allclose(forces, f, rtol=1e-9, atol=1e-11 * np.abs(f).max())
    assert stress.shape == (2, 6)
    volumes = np.abs(np.linalg.det(cells))

    def strained(g, strain):
        turn = np.eye(3) + (np.arange(2) == g)[:, None, None] * strain
        moved = np.einsum("na,nab->nb", pos, turn[of])
        return np.asarray(
            energy(graph.replace(pos=hs.array(moved), graph_data={"cell": hs.array(cells @ turn)}))
        )

    h = 1e-4
    for g in range(2):
        for k, (a, b) in enumerate(VOIGT):
            unit = np.zeros((3, 3))
            unit[a, b] += 0.5
            unit[b, a] += 0.5
            at = [strained(g, s * h * unit) for s in (1, -1, 2, -2)]
            slope = (8 * (at[0] - at[1]) - (at[2] - at[3])) / (12 * h)
            np.testing.assert_allclose(float(stress[g, k]), slope[g] / volumes[g], rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(slope[1 - g], 0.0, atol=1e-9)


def test_energy_forces_and_stress_of_a_batch_are_those_of_ase():
    ase = pytest.importorskip("ase")
    from ase.calculators.lj import LennardJones

    graphs = [crystal(0), crystal(1, 2), crystal(2, 5)]
    energies, forces, stress = gnn.energy_forces_and_stress(lennard_jones, gnn.batch(graphs))
    begin = 0
    for k, graph in enumerate(graphs):
        n = graph.num_nodes
        atoms = ase.Atoms(
            f"Ar{n}", np.asarray(graph.pos), cell=np.asarray(graph.graph_data["cell"][0]), pbc=True
        )
        atoms.calc = LennardJones(sigma=2.0, epsilon=0.1, rc=CUTOFF)
        assert np.abs(atoms.get_stress()).max() > 1e-3
        np.testing.assert_allclose(float(energies[k]), atoms.get_potential_energy(), rtol=1e-10)
        size = np.abs(atoms.get_forces()).max()
        np.testing.assert_allclose(
            forces[begin : begin + n], atoms.get_forces(), rtol=1e-9, atol=1e-12 * size
        )
        np.testing.assert_allclose(
            stress[k], atoms.get_stress(), rtol=1e-9, atol=1e-12 * np.abs(atoms.get_stress()).max()
        )
        begin += n


def matrix(stress):
    s = np.zeros((3, 3))
    for value, (a, b) in zip(np.asarray(stress), VOIGT, strict=True):
        s[a, b] = s[b, a] = value
    return s


def test_stress_turns_with_the_frame():
    graph, model = crystal(0), MODELS["painn"]()
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    moved = crystal(cell=np.asarray(graph.graph_data["cell"][0]) @ turn.T, pos=np.asarray(graph.pos) @ turn.T)
    (e, _, s), (e2, _, s2) = (gnn.energy_forces_and_stress(model, g) for g in (graph, moved))
    np.testing.assert_allclose(e2, e, rtol=0, atol=1e-10)
    assert float(hs.max(hs.abs(s))) > 1e-4
    np.testing.assert_allclose(matrix(s2[0]), turn @ matrix(s[0]) @ turn.T, rtol=0, atol=1e-11)


def test_a_larger_cell_has_the_same_stress():
    graph = crystal(0)
    pos, cell = np.asarray(graph.pos), np.asarray(graph.graph_data["cell"][0])
    twice = gnn.radius_graph(
        np.concatenate([pos, pos + cell[1]]), CUTOFF, cell=cell * [[1], [2], [1]], z=np.tile([1, 6, 8], 2)
    )
    model = MODELS["painn"]()
    (e, _, s), (e2, _, s2) = (gnn.energy_forces_and_stress(model, g) for g in (graph, twice))
    np.testing.assert_allclose(e2, 2 * np.asarray(e), rtol=1e-10)
    np.testing.assert_allclose(s2, s, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype, rtol", [(hs.float64, 1e-6), (hs.float32, None)], ids=str)
def test_a_loss_on_stress_trains(dtype, rtol):
    """Its gradient is that of its differences; compiled, too."""
    graph = gnn.batch([crystal(0), crystal(1, 2)])
    graph = hs.tree_map(lambda a: hs.astype(a, dtype) if a.dtype == hs.float64 else a, graph)
    model = hs.tree_map(lambda a: hs.astype(a, dtype), MODELS["painn"]())

    def loss(model, graph):
        energies, forces, stress = gnn.energy_forces_and_stress(model, graph)
        return hs.sum(energies**2) + hs.sum(forces**2) + 100.0 * hs.sum((stress - 0.01) ** 2)

    value, gradient = hs.compile(hs.value_and_grad(loss))(model, graph)
    assert value.dtype == dtype and all(g.dtype == dtype for g in hs.tree_leaves(gradient))
    if rtol is None:
        assert all(bool(hs.all(hs.isfinite(g))) for g in hs.tree_leaves(gradient))
        return
    leaves, treedef = hs.tree_flatten(model)
    rng = np.random.default_rng(0)
    direction = [hs.array(rng.normal(size=a.shape)) for a in leaves]
    along = lambda h: treedef.unflatten([a + h * d for a, d in zip(leaves, direction, strict=True)])
    at = [float(loss(along(h), graph)) for h in (1e-5, -1e-5, 2e-5, -2e-5)]
    product = sum(float(hs.sum(g * d)) for g, d in zip(hs.tree_leaves(gradient), direction, strict=True))
    assert product == pytest.approx((8 * (at[0] - at[1]) - (at[2] - at[3])) / 12e-5, rel=rtol)


def test_what_is_refused():
    graph = crystal(0)
    with pytest.raises(
        ValueError, match=r'graph_data\["cell"\] must be \[1, 3, 3\] for this graph, got none; radius_graph'
    ):
        gnn.energy_forces_and_stress(lennard_jones, graph.replace(graph_data={}))
    with pytest.raises(
        ValueError, match=r'graph_data\["cell"\] must be \[1, 3, 3\] for this graph, got shape \(3, 3\)'
    ):
        gnn.energy_forces_and_stress(lennard_jones, graph.replace(graph_data={"cell": hs.eye(3)}))
    with pytest.raises(ValueError, match=r"positions in three dimensions, got shape \(1, 2\)"):
        gnn.energy_forces_and_stress(lennard_jones, gnn.radius_graph([[0.0, 0.0]], 1.0, cell=np.eye(2)))
    with pytest.raises(ValueError, match=r"positions in three dimensions, got none"):
        gnn.energy_forces_and_stress(lennard_jones, gnn.Graph([[0], [0]]))
    with pytest.raises(TypeError, match=r"energy_forces_and_stress: graph must be a hs\.gnn\.Graph"):
        gnn.energy_forces_and_stress(lennard_jones, 1)
