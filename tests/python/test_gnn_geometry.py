"""EGNN, PaiNN and DimeNet++: against formulas in NumPy, symmetries, forces, what is defined; against PyTorch Geometric.

SchNet too against its formula, and for NaN; the rest of it is in test_gnn_molecules.py.

HESSE_PEERS_PYTHON names an interpreter that has torch and torch_geometric, as for the benchmarks.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gnn_geometry as formulas
import numpy as np
import pytest

import hesse as hs
from hesse import gnn
from hesse.gnn import _radial

pytest.importorskip("scipy")
CUTOFF = 3.0
CELL = np.array([[2.9, 0.0, 0.3], [0.5, 3.1, 0.0], [-0.2, 0.4, 3.0]])
KINDS = {1: [1.0, 0.0, 0.0], 6: [0.0, 1.0, 0.0], 8: [0.0, 0.0, 1.0]}


def one_hot(z):
    return np.array([KINDS[int(k)] for k in z]).reshape(-1, 3)


def molecule(seed=0, atoms=5, pos=None, numbers=None, cell=None, dtype=np.float64):
    """Random atoms; those within the cutoff are joined."""
    rng = np.random.default_rng(seed)
    pos = rng.normal(size=(atoms, 3)) * 1.2 if pos is None else pos
    z = rng.choice([1, 6, 8], atoms) if numbers is None else numbers
    return gnn.radius_graph(np.asarray(pos, dtype), CUTOFF, z=z, x=one_hot(z), cell=cell)


def energy_of_egnn(model, graph):
    return gnn.global_sum_pool(model(hs.astype(graph.x, graph.pos.dtype), graph)[0], graph)[:, 0]


@dataclass
class Case:
    name: str
    build: Any
    energy: Any  # of (model, graph)
    formula: Any  # of (model, z, pos, edges, offsets), one molecule

    def __str__(self):
        return self.name

    def model(self, dtype=None):
        """Without the small weights that some have at first: biases too are drawn."""
        made, rng = self.build(key=hs.random.key(1), dtype=dtype), np.random.default_rng(2)
        mixed = lambda a: a + hs.astype(hs.array(0.1 * rng.normal(size=a.shape)), a.dtype)
        return hs.tree_map(mixed, made)


CASES = [
    Case("egnn", lambda **k: gnn.EGNN(3, 6, 1, 2, **k), energy_of_egnn,
         lambda m, z, pos, *e: formulas.egnn(m, one_hot(z), pos, *e)[0].sum()),
    Case("egnn at rest", lambda **k: gnn.EGNN(3, 6, 1, 2, update_positions=False, **k), energy_of_egnn,
         lambda m, z, pos, *e: formulas.egnn(m, one_hot(z), pos, *e)[0].sum()),
    Case("painn", lambda **k: gnn.PaiNN(6, 2, 5, CUTOFF, largest=9, **k), lambda m, g: m(g),
         formulas.painn),
    Case("dimenet", lambda **k: gnn.DimeNetPlusPlus(6, 5, 3, 4, 2, 4, 3, CUTOFF, output_layers=2, largest=9, **k),
         lambda m, g: m(g), formulas.dimenet),
]  # fmt: skip
# Both ways of its filters. Not among the others: it is defined for atoms at one place, and sees edges beyond the cutoff.
SCHNET = [
    Case(f"schnet {name}", lambda store=store, **k: gnn.SchNet(6, 5, 2, 7, CUTOFF, largest=9, store_edges=store, **k),
         lambda m, g: m(g), formulas.schnet)
    for name, store in (("in tiles", False), ("stored", True))
]  # fmt: skip
each = pytest.mark.parametrize("case", CASES, ids=str)
and_schnet = pytest.mark.parametrize("case", [*CASES, *SCHNET], ids=str)
deep = [CASES[0], *CASES[2:]]


def parts(graph):
    """What the formulas take: z, positions, edges and the offsets of periodic images."""
    edges, z = np.asarray(graph.edge_index), np.asarray(graph.node_data["z"])
    offsets = np.zeros((edges.shape[1], 3))
    if "shift" in graph.edge_data:
        offsets = np.asarray(graph.edge_data["shift"]) @ np.asarray(graph.graph_data["cell"][0])
    return z, np.asarray(graph.pos), edges, offsets


def as_numpy(tree):
    return hs.tree_map(np.asarray, tree)


def energy_and_forces(case, model, graph):
    e, f = gnn.energy_and_forces(lambda g: case.energy(model, g), graph)
    return np.asarray(e), np.asarray(f)


@and_schnet
@pytest.mark.parametrize("cell", [None, CELL], ids=["free", "periodic"])
def test_energies_and_forces_are_those_of_the_formula(case, cell):
    """Forces by complex steps of the formula: to rounding."""
    graph, model = molecule(0, 5 if cell is None else 2, cell=cell), case.model()
    z, pos, edges, offsets = parts(graph)
    assert edges.shape[1] >= 8
    formula = lambda p: case.formula(as_numpy(model), z, p, edges, offsets)
    energy, forces = energy_and_forces(case, model, graph)
    np.testing.assert_allclose(energy, [formula(pos)], rtol=1e-11)
    expected = np.zeros(pos.shape)
    for index in np.ndindex(*pos.shape):
        step = pos.astype(complex)
        step[index] += 1e-30j
        expected[index] = -formula(step).imag / 1e-30
    np.testing.assert_allclose(forces, expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())
    compiled = hs.compile(lambda m, g: gnn.energy_and_forces(lambda g: case.energy(m, g), g))
    if case.name != "dimenet":
        np.testing.assert_allclose(
            compiled(model, graph)[1], forces, rtol=1e-10, atol=1e-12 * np.abs(forces).max()
        )


@and_schnet
def test_gradients_are_those_of_the_formula(case):
    """By every parameter, along a random direction, by a complex step."""
    graph, model = molecule(0), case.model()
    assert graph.num_edges >= 8
    args = parts(graph)
    gradient = hs.tree_leaves(hs.grad(lambda m: hs.sum(case.energy(m, graph)))(model))
    leaves, treedef = hs.tree_flatten(model)
    assert len(gradient) == len(leaves)
    plain, rng = [np.asarray(a) for a in leaves], np.random.default_rng(0)
    for k, (leaf, slope) in enumerate(zip(plain, gradient, strict=True)):
        direction = rng.normal(size=leaf.shape)
        moved = treedef.unflatten([*plain[:k], leaf + 1e-30j * direction, *plain[k + 1 :]])
        expected = case.formula(moved, *args).imag / 1e-30
        found = float(np.sum(np.asarray(slope) * direction))
        scale = float(np.linalg.norm(np.asarray(slope)) * np.linalg.norm(direction))
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-11 * max(scale, 1.0)), treedef.paths()[k]


@each
def test_symmetries(case):
    """Turned, reflected, moved and renumbered copies: energies equal to 1e-10, forces turned."""
    graph, model = molecule(0, 7), case.model()
    pos, z = np.asarray(graph.pos), np.asarray(graph.node_data["z"])
    energy, forces = energy_and_forces(case, model, graph)
    size = max(1.0, np.abs(forces).max())
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    assert {round(np.linalg.det(r)) for r in (turn, -turn)} == {1, -1}
    for rotation in (turn, -turn):
        e, f = energy_and_forces(case, model, molecule(pos=pos @ rotation.T + [1.0, -2.0, 3.0], numbers=z))
        np.testing.assert_allclose(e, energy, rtol=0, atol=1e-10)
        np.testing.assert_allclose(f, forces @ rotation.T, rtol=0, atol=1e-10 * size)
    order = np.random.default_rng(4).permutation(len(z))
    e, f = energy_and_forces(case, model, molecule(pos=pos[order], numbers=z[order]))
    np.testing.assert_allclose(e, energy, rtol=0, atol=1e-10)
    np.testing.assert_allclose(f, forces[order], rtol=0, atol=1e-10 * size)
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-11 * size)


def test_vectors_turn_with_the_frame():
    graph = molecule(0, 6)
    pos, z = np.asarray(graph.pos), np.asarray(graph.node_data["z"])
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    moved = molecule(pos=pos @ turn.T + 1.0, numbers=z)
    painn, egnn = CASES[2].model(), CASES[0].model()
    (s, v), (s2, v2) = painn.features(graph), painn.features(moved)
    np.testing.assert_allclose(s2, s, atol=1e-11)
    np.testing.assert_allclose(v2, np.einsum("ab,nbf->naf", turn, np.asarray(v)), atol=1e-11)
    assert float(hs.max(hs.abs(v))) > 0.1
    (h, p), (h2, p2) = egnn(graph.x, graph), egnn(moved.x, moved)
    np.testing.assert_allclose(h2, h, atol=1e-11)
    np.testing.assert_allclose(p2, np.asarray(p) @ turn.T + 1.0, atol=1e-11)
    assert float(hs.max(hs.abs(p - graph.pos))) > 0.01
    np.testing.assert_array_equal(CASES[1].model()(graph.x, graph)[1], graph.pos)


def test_egnn_with_features_of_edges():
    rng, graph = np.random.default_rng(0), molecule(0)
    graph = graph.replace(edge_attr=hs.array(rng.normal(size=(graph.num_edges, 2))))
    model = gnn.EGNN(3, 6, 2, 2, edge_features=2, key=hs.random.key(0))
    h, pos = model(graph.x, graph)
    z, p, edges, offsets = parts(graph)
    expected = formulas.egnn(as_numpy(model), one_hot(z), p, edges, offsets, np.asarray(graph.edge_attr))
    np.testing.assert_allclose(h, expected[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(pos, expected[1], rtol=1e-12)


def with_velocities(seed=0, cell=None):
    graph = molecule(seed, 5 if cell is None else 2, cell=cell)
    start = hs.array(np.random.default_rng(seed + 7).normal(size=graph.pos.shape))
    model = gnn.EGNN(3, 6, 2, 3, velocities=True, key=hs.random.key(4))
    rng = np.random.default_rng(2)
    return graph, start, hs.tree_map(lambda a: a + hs.array(0.1 * rng.normal(size=a.shape)), model)


@pytest.mark.parametrize("cell", [None, CELL], ids=["free", "periodic"])
def test_egnn_with_velocities_is_the_formula(cell):
    """Equation 7 in NumPy, values and derivatives by complex steps; without phi_p it is uniform motion."""
    graph, start, model = with_velocities(0, cell)
    z, pos, edges, offsets = parts(graph)
    formula = lambda p, v: formulas.egnn(as_numpy(model), one_hot(z), p, edges, offsets, None, v)
    for found, expected in zip(
        model(graph.x, graph, velocity=start), formula(pos, np.asarray(start)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
    weights = [np.random.default_rng(k).normal(size=(len(z), n)) for k, n in enumerate((2, 3, 3))]
    scalar = lambda outputs: sum((w * y).sum() for w, y in zip(weights, outputs, strict=True))
    loss = lambda p, v: scalar(model(graph.x, graph.replace(pos=p), velocity=v))
    gradients = hs.grad(loss, argnums=(0, 1))(graph.pos, start)
    for k, gradient in enumerate(gradients):
        for index in [(0, 0), (1, 2)]:
            at = [pos.astype(complex), np.asarray(start).astype(complex)]
            at[k][index] += 1e-30j
            assert float(gradient[index]) == pytest.approx(scalar(formula(*at)).imag / 1e-30, rel=1e-9)
    straight = model.replace(layers=[
        layer.replace(
            position=hs.tree_map(lambda a: 0.0 * a, layer.position),
            velocity=hs.tree_map(lambda a: 0.0 * a, layer.velocity).replace(
                layers=[layer.velocity.layers[0], layer.velocity.layers[1].replace(
                    weight=0.0 * layer.velocity.layers[1].weight, bias=hs.array([0.5]))]
            ),
        )
        for layer in model.layers
    ])  # fmt: skip
    _, moved, velocity = straight(graph.x, graph, velocity=start)
    np.testing.assert_allclose(velocity, 0.5 * start, rtol=1e-14)
    np.testing.assert_allclose(moved, graph.pos + 1.5 * start, rtol=1e-12)


def test_velocities_turn_with_the_frame():
    graph, start, model = with_velocities(1)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn[:, 0] *= -1  # a reflection too, for one of the signs
    other = graph.replace(pos=hs.array(np.asarray(graph.pos) @ turn.T + 2.0))
    h, p, v = model(graph.x, graph, velocity=start)
    h2, p2, v2 = model(graph.x, other, velocity=hs.array(np.asarray(start) @ turn.T))
    np.testing.assert_allclose(h, h2, rtol=1e-10)
    np.testing.assert_allclose(p2, np.asarray(p) @ turn.T + 2.0, atol=1e-11)
    np.testing.assert_allclose(v2, np.asarray(v) @ turn.T, atol=1e-11)


@each
def test_a_batch_gives_what_its_molecules_give(case):
    model = case.model()
    graphs = [molecule(seed, atoms) for seed, atoms in ((0, 5), (1, 4), (2, 1), (3, 6))]
    energies, forces = energy_and_forces(case, model, gnn.batch(graphs))
    found = [energy_and_forces(case, model, g) for g in graphs]
    np.testing.assert_allclose(energies, np.concatenate([e for e, _ in found]), rtol=1e-11)
    np.testing.assert_allclose(forces, np.concatenate([f for _, f in found]), rtol=1e-9, atol=1e-11)


def loss_of(energy):
    def loss(model, graph, *more):
        energies, forces = gnn.energy_and_forces(lambda g: energy(model, g, *more), graph)
        return hs.sum(energies**2) + hs.sum((forces - 0.1) ** 2)

    return loss


@pytest.mark.parametrize("case", deep, ids=str)
def test_a_loss_on_forces_has_the_gradient_of_its_differences(case):
    loss, graph, model = loss_of(case.energy), gnn.batch([molecule(0, 4), molecule(1, 3)]), case.model()
    leaves, treedef = hs.tree_flatten(model)
    slopes = hs.tree_leaves(hs.grad(loss)(model, graph))
    rng = np.random.default_rng(0)
    direction = [hs.array(rng.normal(size=a.shape)) for a in leaves]
    along = lambda h: treedef.unflatten([a + h * d for a, d in zip(leaves, direction, strict=True)])
    at = [float(loss(along(h), graph)) for h in (1e-5, -1e-5, 2e-5, -2e-5)]
    difference = (8 * (at[0] - at[1]) - (at[2] - at[3])) / 12e-5
    product = sum(float(hs.sum(g * d)) for g, d in zip(slopes, direction, strict=True))
    assert product == pytest.approx(difference, rel=1e-6)
    _, forward = hs.jvp(lambda h: loss(along(h), graph), (0.0,), (1.0,))
    assert float(forward) == pytest.approx(product, rel=1e-9)


@pytest.mark.parametrize("case", deep, ids=str)
@pytest.mark.parametrize("dtype, rtol", [(hs.float64, 1e-10), (hs.float32, 2e-3)], ids=str)
def test_compiled_as_eager(case, dtype, rtol):
    graph = gnn.batch([molecule(0, dtype=np.float32), molecule(1, 4, dtype=np.float32)])
    graph = graph.replace(pos=hs.astype(graph.pos, dtype))
    more, energy = (), case.energy
    if case.name == "dimenet":
        more, energy = (gnn.triplets(graph),), lambda m, g, line: m(g, line)
    loss, model = loss_of(energy), case.model()
    value, gradient = hs.value_and_grad(loss)(
        model, graph.replace(pos=hs.astype(graph.pos, hs.float64)), *more
    )
    model = hs.tree_map(lambda a: hs.astype(a, dtype), model)
    found, slopes = hs.compile(hs.value_and_grad(loss))(model, graph, *more)
    assert found.dtype == dtype
    np.testing.assert_allclose(float(found), float(value), rtol=rtol)
    for a, b in zip(hs.tree_leaves(slopes), hs.tree_leaves(gradient), strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(1.0, float(hs.max(hs.abs(b)))))


@each
def test_beyond_the_cutoff_and_alone(case):
    """An atom that is far away adds the energy it has alone, and feels no force; energies are smooth at the cutoff."""
    model, graph = case.model(), molecule(0, 4)
    pos, z = np.asarray(graph.pos), np.asarray(graph.node_data["z"])
    energy, forces = energy_and_forces(case, model, graph)
    lone, nothing = energy_and_forces(case, model, molecule(pos=np.zeros((1, 3)), numbers=z[:1]))
    np.testing.assert_array_equal(nothing, np.zeros((1, 3)))
    both = molecule(pos=np.concatenate([pos, [[50.0, 0, 0]]]), numbers=np.append(z, z[0]))
    e, f = energy_and_forces(case, model, both)
    np.testing.assert_allclose(e, energy + lone, rtol=1e-12)
    np.testing.assert_allclose(f, np.concatenate([forces, [[0.0, 0.0, 0.0]]]), atol=1e-11)
    empty, no_forces = energy_and_forces(case, model, molecule(pos=np.zeros((0, 3)), numbers=z[:0]))
    assert empty.tolist() == [0.0] and no_forces.shape == (0, 3)
    if not case.name.startswith("egnn"):
        far = gnn.Graph([[0, 1], [1, 0]], pos=[[0.0, 0, 0], [0, 0, CUTOFF + 0.5]], node_data={"z": z[:2]})
        alone = sum(
            energy_and_forces(case, model, molecule(pos=np.zeros((1, 3)), numbers=z[k : k + 1]))[0]
            for k in (0, 1)
        )
        e, f = energy_and_forces(case, model, far)
        np.testing.assert_allclose(e, alone, rtol=1e-12)
        np.testing.assert_array_equal(f, np.zeros((2, 3)))
        near = far.replace(pos=hs.array([[0.0, 0, 0], [0, 0, CUTOFF - 1e-4]]))
        np.testing.assert_allclose(energy_and_forces(case, model, near)[0], alone, atol=1e-5)


@each
def test_atoms_at_the_same_place(case):
    """EGNN is defined there; a direction is not, and the molecule's energy is NaN. Other molecules do not notice."""
    pos = np.array([[0.0, 0, 0], [1.0, 0, 0], [1.0, 0, 0]])
    model, z, good = case.model(), np.array([8, 1, 1]), molecule(0, 4)
    e, f = energy_and_forces(case, model, gnn.batch([molecule(pos=pos, numbers=z), good]))
    if case.name.startswith("egnn"):
        assert np.isfinite(e).all() and np.isfinite(f).all()
        np.testing.assert_allclose(f[1], f[2], atol=1e-12)
    else:
        assert np.isnan(e[0]) and np.isnan(f[:3]).any()
    energy, forces = energy_and_forces(case, model, good)
    np.testing.assert_allclose(e[1:], energy, rtol=1e-12)
    np.testing.assert_allclose(f[3:], forces, atol=1e-11)


@and_schnet
def test_nan_positions_stay_in_their_molecule(case):
    """An atom whose place is NaN: so are its molecule's energy and the force on it. The others give the same bits."""
    model, graph = case.model(), gnn.batch([molecule(0, 4), molecule(1, 5), molecule(2, 4)])
    energies, forces = energy_and_forces(case, model, graph)
    pos, rest = np.array(graph.pos), np.asarray(graph.node_graph) != 1
    assert int(graph.degree()[4]) > 0
    pos[4, 1] = np.nan
    e, f = energy_and_forces(case, model, graph.replace(pos=hs.array(pos)))
    np.testing.assert_array_equal(e, [energies[0], np.nan, energies[2]])
    np.testing.assert_array_equal(f[rest], forces[rest])
    assert np.isnan(f[4]).all()


@pytest.mark.parametrize("store", [False, True])
def test_cfconv_is_the_formula(store):
    """Values, and gradients by features and positions, by complex steps."""
    graph, rng = molecule(0), np.random.default_rng(1)
    conv = gnn.CFConv(4, 6, CUTOFF, store_edges=store, key=hs.random.key(0))
    x, c = rng.normal(size=(2, 5, 4))
    _, pos, edges, offsets = parts(graph)
    formula = lambda x, p: formulas.cfconv(as_numpy(conv), x, p, edges, offsets)
    np.testing.assert_allclose(conv(x, graph), formula(x, pos), rtol=1e-12, atol=1e-14)
    loss = lambda x, p: hs.sum(hs.array(c) * conv(x, graph.replace(pos=p)))
    for k, gradient in enumerate(hs.grad(loss, argnums=(0, 1))(hs.array(x), graph.pos)):
        for index in np.ndindex(*gradient.shape):
            at = [x.astype(complex), pos.astype(complex)]
            at[k][index] += 1e-30j
            expected = np.sum(c * formula(*at)).imag / 1e-30
            assert float(gradient[index]) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_forces_where_atoms_lie_on_a_line():
    """Angles 0 and pi: carbon dioxide, whose forces lie on the line and are differences of energies."""
    case = CASES[3]
    model, z = case.model(), np.array([8, 6, 8])
    at = lambda x: molecule(pos=np.array([[0.0, 0, -1.16], [0, 0, 0], [0, x, 1.2]]), numbers=z)
    _, forces = energy_and_forces(case, model, at(0.0))
    assert np.isfinite(forces).all() and np.abs(forces[:, 2]).max() > 1e-2
    np.testing.assert_allclose(forces[:, :2], 0.0, atol=1e-12)
    h = 1e-4  # energies are even in the displacement across the line
    up, down = (energy_and_forces(case, model, at(x))[0][0] for x in (h, -h))
    assert up == pytest.approx(down, abs=1e-11)
    loss = loss_of(case.energy)
    assert all(bool(hs.all(hs.isfinite(g))) for g in hs.tree_leaves(hs.grad(loss)(model, at(0.0))))


# ---- triplets and bases ------------------------------------------------------------------------------------------------
def test_triplets_are_those_of_three_loops():
    rng = np.random.default_rng(0)
    edges = np.stack([rng.integers(0, 8, 40), rng.integers(0, 8, 40)])  # loops and duplicates too
    graph = gnn.Graph(edges, num_nodes=9)
    s, t = np.asarray(graph.edge_index)
    expected = [(f, e) for e in range(40) for f in range(40) if t[f] == s[e] and s[f] != t[e]]
    line = gnn.triplets(graph)
    assert line.num_nodes == 40 and line.num_edges == len(expected) > 100
    assert sorted(map(tuple, np.asarray(line.edge_index).T.tolist())) == sorted(expected)
    assert gnn.triplets(gnn.Graph(np.zeros((2, 0), int), num_nodes=3)).num_edges == 0


def test_triplets_keep_other_images():
    """One atom in a cell: an edge is not joined with its reverse, but with the other five."""
    line = gnn.triplets(gnn.radius_graph([[0.0, 0.0, 0.0]], 1.1, cell=np.eye(3)))
    assert line.num_nodes == 6 and line.num_edges == 30
    assert (np.asarray(line.degree()) == 5).all()


def test_triplets_of_padding():
    """Those added join the last edge of padding with itself: energies of the other graphs stay, to rounding."""
    graph = gnn.batch([molecule(0, 4), molecule(1, 5)])
    padded = gnn.pad(graph, graph.num_nodes + 4, graph.num_edges + 3, 4)
    count, last = gnn.triplets(padded).num_edges, padded.num_edges - 1
    line = gnn.triplets(padded, count + 5)
    assert line.num_nodes == padded.num_edges and line.num_edges == count + 5
    added = (np.asarray(line.edge_index) == last).all(axis=0)
    assert added.sum() == 5
    assert gnn.triplets(padded, count).num_edges == count
    model = CASES[3].model()
    np.testing.assert_allclose(model(padded, line)[:2], model(graph), rtol=1e-13)
    # Few numbers of triplets for batches of about equal sizes; none are added where nothing is padding.
    numbers = set()
    for seed in range(30):
        some = gnn.batch([molecule(seed, 6), molecule(seed + 30, 7)])
        prepared, line = model.prepare(gnn.pad(some, 20, 90, 3))
        assert line.num_edges >= gnn.triplets(prepared).num_edges
        numbers.add(line.num_edges)
        assert model.prepare(some)[1].num_edges == gnn.triplets(some).num_edges
    assert len(numbers) < 12


def test_bessel_functions_against_scipy():
    from scipy.special import spherical_jn

    zeros = _radial.bessel_zeros(8, 6)
    for order in range(8):
        np.testing.assert_allclose(zeros[order], formulas.zeros_of_bessel(order, 6), rtol=1e-14)
    x = np.concatenate([np.geomspace(1e-8, 1, 60), np.linspace(0.01, 1, 50)])
    norm = np.sqrt(2) / np.abs([[spherical_jn(l + 1, r) for r in zeros[l]] for l in range(8)])
    expected = norm * np.array([[[spherical_jn(l, r * d) for r in zeros[l]] for l in range(8)] for d in x])
    basis = lambda x: _radial.spherical_bessel_basis(x, 8, 6)
    for dtype, atol in ((hs.float64, 1e-13), (hs.float32, 1e-5)):
        np.testing.assert_allclose(hs.vmap(basis)(hs.array(x, dtype=dtype)), expected, rtol=0, atol=atol)
    slope = hs.vmap(lambda d: hs.jvp(basis, (d,), (1.0,))[1])(hs.array(x))
    by_scipy = np.array(
        [[[r * spherical_jn(l, r * d, derivative=True) for r in zeros[l]] for l in range(8)] for d in x]
    )
    np.testing.assert_allclose(slope, norm * by_scipy, rtol=0, atol=1e-10)
    assert bool(hs.all(hs.isfinite(hs.grad(lambda d: hs.sum(basis(d)))(0.0))))


# ---- refusals ----------------------------------------------------------------------------------------------------------
def test_what_is_refused():
    graph = molecule(0)
    for model in (CASES[2].model(), CASES[3].model()):
        name = type(model).__name__
        with pytest.raises(ValueError, match=rf"{name}: the graph needs positions and atomic numbers"):
            model(graph.replace(node_data={}))
        with pytest.raises(TypeError, match=rf"{name}: graph must be a hs\.gnn\.Graph"):
            model(np.zeros(3))
    with pytest.raises(ValueError, match=r"EGNNConv: the graph has no positions"):
        gnn.EGNN(1, 2, 1)(np.zeros((1, 1)), gnn.Graph([[0], [0]]))
    with pytest.raises(ValueError, match=r"EGNN: x must be \[5, 3\] for this graph, got shape \(5, 2\)"):
        CASES[0].model()(np.zeros((5, 2)), graph)
    with pytest.raises(TypeError, match=r"EGNNConv: edge features are needed"):
        gnn.EGNNConv(3, edge_features=2)(graph.x, graph)
    moving = gnn.EGNN(3, 6, 1, velocities=True)
    with pytest.raises(TypeError, match=r"EGNNConv: there are no velocities; call it with velocity="):
        moving(graph.x, graph)
    with pytest.raises(TypeError, match=r"EGNNConv: there are velocities; make it with velocities=True"):
        gnn.EGNN(3, 6, 1)(graph.x, graph, velocity=graph.pos)
    with pytest.raises(ValueError, match=r"velocity must be \(5, 3\) as the positions, got shape \(5, 2\)"):
        moving(graph.x, graph, velocity=np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"velocities=True needs update_positions=True"):
        gnn.EGNN(3, 6, 1, velocities=True, update_positions=False)
    for build in (gnn.PaiNN, gnn.DimeNetPlusPlus):
        with pytest.raises(
            ValueError, match=rf"{build.__name__}: cutoff must be positive and finite, got -1"
        ):
            build(4, cutoff=-1)
        with pytest.raises(ValueError, match=rf"{build.__name__}: hidden must be positive, got 0"):
            build(0)
    model, line = CASES[3].model(), gnn.triplets(molecule(0, 7))
    with pytest.raises(
        ValueError, match=r"DimeNetPlusPlus: the triplets are of a graph with \d+ edges, this one has"
    ):
        model(graph, line)
    with pytest.raises(
        Exception, match=r"triplets: source must hold data: make the graph outside of compile"
    ):
        hs.compile(lambda m, g: m(g))(model, graph)
    with pytest.raises(TypeError, match=r"triplets: graph must be a hs\.gnn\.Graph"):
        gnn.triplets(3)
    with pytest.raises(ValueError, match=r"triplets: num_triplets=1, but there are \d+"):
        gnn.triplets(graph, 1)
    with pytest.raises(ValueError, match=r"would be added, and the last edge is not one of padding"):
        gnn.triplets(graph, 10_000)
    with pytest.raises(TypeError, match=r"triplets: num_triplets must be an integer, got 2\.5"):
        gnn.triplets(graph, 2.5)
    n = 20_000  # all edges into and out of one node: 10^8 triplets and more
    star = gnn.Graph([[*range(1, n), *[0] * (n - 1)], [*[0] * (n - 1), *range(1, n)]])
    with pytest.raises(
        ValueError, match=r"triplets: 39998 edges make \d+ triplets; at most 200000000 are held"
    ):
        gnn.triplets(star)


# ---- the peer ----------------------------------------------------------------------------------------------------------
SIZES = [8, 6, 4, 7, 2, 3, 4]


def of_pyg(p):
    """The model with PyTorch Geometric's parameters, and where each of them is."""

    def linear(layer, name):
        made = layer.replace(weight=p(f"{name}.weight"))
        return made if layer.bias is None else made.replace(bias=p(f"{name}.bias"))

    def residual(layer, name):
        return layer.replace(
            first=linear(layer.first, f"{name}.lin1"), second=linear(layer.second, f"{name}.lin2")
        )

    model = gnn.DimeNetPlusPlus(*SIZES, CUTOFF)
    interactions, outputs = [], []
    for k, block in enumerate(model.interactions):
        name = f"interaction_blocks.{k}"
        single = {f: linear(getattr(block, f), f"{name}.lin_{f}") for f in ("kj", "ji", "down", "up")}
        interactions.append(
            block.replace(
                **single, skip=linear(block.skip, f"{name}.lin"),
                radial=[linear(l, f"{name}.lin_rbf{i + 1}") for i, l in enumerate(block.radial)],
                spherical=[linear(l, f"{name}.lin_sbf{i + 1}") for i, l in enumerate(block.spherical)],
                before_skip=[residual(l, f"{name}.layers_before_skip.{i}") for i, l in enumerate(block.before_skip)],
                after_skip=[residual(l, f"{name}.layers_after_skip.{i}") for i, l in enumerate(block.after_skip)],
            )
        )  # fmt: skip
    for k, block in enumerate(model.outputs):
        name = f"output_blocks.{k}"
        outputs.append(
            block.replace(
                radial=linear(block.radial, f"{name}.lin_rbf"), up=linear(block.up, f"{name}.lin_up"),
                hidden=[linear(l, f"{name}.lins.{i}") for i, l in enumerate(block.hidden)],
                last=linear(block.last, f"{name}.lin"),
            )
        )  # fmt: skip
    return model.replace(
        frequencies=p("rbf.freq"), embedding=p("emb.emb.weight"), interactions=interactions, outputs=outputs,
        radial_embedding=linear(model.radial_embedding, "emb.lin_rbf"),
        edge_embedding=linear(model.edge_embedding, "emb.lin"),
    )  # fmt: skip


def test_dimenet_gives_what_pytorch_geometric_gives(tmp_path):
    """Energies, forces, and the gradient of a loss on both by every parameter."""
    python = os.environ.get("HESSE_PEERS_PYTHON")
    if not python:
        pytest.skip("set HESSE_PEERS_PYTHON to an interpreter that has torch_geometric")
    graph = gnn.batch([molecule(0, 6), molecule(1, 4), molecule(2, 7)])
    np.savez(
        tmp_path / "molecules.npz", sizes=SIZES, cutoff=CUTOFF, pos=np.asarray(graph.pos),
        z=np.asarray(graph.node_data["z"]), batch=np.asarray(graph.node_graph),
        edges=np.asarray(graph.edge_index),
    )  # fmt: skip
    worker = Path(__file__).parents[1] / "support" / "pyg_dimenet_worker.py"
    done = subprocess.run(
        [python, str(worker), str(tmp_path / "molecules.npz"), str(tmp_path / "results.npz")],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = dict(np.load(tmp_path / "results.npz"))
    model = of_pyg(lambda name: hs.asarray(found[f"p.{name}"]))
    energies, forces = gnn.energy_and_forces(model, graph)
    np.testing.assert_allclose(energies, found["energies"], rtol=1e-10)
    np.testing.assert_allclose(forces, found["forces"], rtol=1e-8, atol=1e-10 * np.abs(found["forces"]).max())
    gradient = hs.grad(loss_of(lambda m, g: m(g)))(model, graph)
    expected = of_pyg(lambda name: hs.asarray(found[f"d.{name}"]))
    for ours, theirs in zip(hs.tree_leaves(gradient), hs.tree_leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9 * float(hs.max(hs.abs(theirs))))
