"""SchNet: symmetries, forces as derivatives, compiled against eager, refusals; against PyTorch Geometric.

HESSE_PEERS_PYTHON names an interpreter that has torch and torch_geometric, as for the benchmarks.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

CUTOFF = 3.0


def molecule(seed, atoms=7, pos=None, numbers=None, order=None):
    """Random atoms with edges between those within the cutoff."""
    rng = np.random.default_rng(seed)
    pos = rng.normal(size=(atoms, 3)) * 1.2 if pos is None else pos
    z = rng.choice([1, 6, 8], atoms) if numbers is None else numbers
    if order is not None:
        pos, z = pos[order], z[order]
    distance = np.linalg.norm(pos[:, None] - pos[None], axis=-1) + np.eye(len(z)) * 1e3
    target, source = np.nonzero(distance < CUTOFF)
    return gnn.Graph([source, target], pos=pos, node_data={"z": z})


@pytest.fixture(scope="module", params=[False, True], ids=["tiles", "stored"])
def model(request):
    return gnn.SchNet(12, 10, 2, 9, CUTOFF, store_edges=request.param, key=hs.random.key(1))


def pos_of(graph):
    return np.asarray(graph.pos)


def test_an_energy_does_not_change_when_a_molecule_is_moved_turned_reflected_or_renumbered(model):
    graph = molecule(0)
    pos, z = pos_of(graph), np.asarray(graph.node_data["z"])
    energy, forces = (np.asarray(a) for a in gnn.energy_and_forces(model, graph))
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    for rotation in (turn, -turn):  # one of the two reflects
        moved = molecule(0, pos=pos @ rotation.T + [1.0, -2.0, 3.0], numbers=z)
        e, f = gnn.energy_and_forces(model, moved)
        np.testing.assert_allclose(e, energy, rtol=0, atol=1e-10)
        np.testing.assert_allclose(f, forces @ rotation.T, rtol=0, atol=1e-10)
    order = np.random.default_rng(4).permutation(len(z))
    e, f = gnn.energy_and_forces(model, molecule(0, pos=pos, numbers=z, order=order))
    np.testing.assert_allclose(e, energy, rtol=0, atol=1e-10)
    np.testing.assert_allclose(f, forces[order], rtol=0, atol=1e-10)
    np.testing.assert_allclose(forces.sum(0), 0.0, atol=1e-12)


def test_forces_are_differences_of_energies(model):
    graph = molecule(5)
    _, forces = gnn.energy_and_forces(model, graph)
    pos, h = pos_of(graph), 1e-5
    for atom, axis in ((0, 0), (3, 2), (6, 1)):
        step = np.zeros_like(pos)
        step[atom, axis] = h
        up, down = (float(model(graph.replace(pos=hs.asarray(pos + s * step)))[0]) for s in (1, -1))
        assert float(forces[atom, axis]) == pytest.approx(-(up - down) / (2 * h), rel=1e-6, abs=1e-8)


def test_a_batch_gives_what_its_molecules_give(model):
    graphs = [molecule(seed, atoms) for seed, atoms in ((0, 7), (1, 4), (2, 1), (3, 9))]
    energies, forces = gnn.energy_and_forces(model, gnn.batch(graphs))
    each = [gnn.energy_and_forces(model, g) for g in graphs]
    np.testing.assert_allclose(energies, np.concatenate([np.asarray(e) for e, _ in each]), rtol=1e-12)
    np.testing.assert_allclose(forces, np.concatenate([np.asarray(f) for _, f in each]), atol=1e-12)


def loss_of(model, graph):
    energies, forces = gnn.energy_and_forces(model, graph)
    return hs.sum(energies**2) + hs.sum((forces - 0.1) ** 2)


def test_a_loss_on_forces_has_the_gradient_of_its_differences(model):
    graph = gnn.batch([molecule(0), molecule(1, 5)])
    gradient = hs.grad(loss_of)(model, graph)
    leaves, treedef = hs.tree_flatten(model)
    slopes = hs.tree_leaves(gradient)
    rng = np.random.default_rng(0)
    direction = [rng.normal(size=a.shape) for a in leaves]
    along = lambda h: hs.tree_unflatten(
        treedef, [a + h * hs.asarray(d) for a, d in zip(leaves, direction, strict=True)]
    )
    h = 1e-5
    difference = (float(loss_of(along(h), graph)) - float(loss_of(along(-h), graph))) / (2 * h)
    product = sum(float(hs.sum(g * hs.asarray(d))) for g, d in zip(slopes, direction, strict=True))
    assert product == pytest.approx(difference, rel=1e-6)
    _, forward = hs.jvp(lambda h: loss_of(along(h), graph), (0.0,), (1.0,))
    assert float(forward) == pytest.approx(product, rel=1e-10)


def test_stored_filters_give_what_those_in_tiles_give():
    graph = gnn.batch([molecule(0), molecule(1, 5)])
    tiles, stored = (
        hs.value_and_grad(loss_of)(
            gnn.SchNet(12, 10, 2, 9, CUTOFF, store_edges=store, key=hs.random.key(1)), graph
        )
        for store in (False, True)
    )
    np.testing.assert_allclose(stored[0], tiles[0], rtol=1e-12)
    for a, b in zip(hs.tree_leaves(stored[1]), hs.tree_leaves(tiles[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_filters_are_stored_where_they_are_few(monkeypatch):
    """By default what is stored has a limit: the same bits as with the choice that is made."""
    graph = molecule(0)
    energy = lambda store: gnn.SchNet(12, 10, 2, 9, CUTOFF, store_edges=store, key=hs.random.key(1))(graph)
    assert hs.array_equal(energy(None), energy(True))
    bytes_stored = graph.num_edges * 10 * 8
    for limit, stored in ((bytes_stored, True), (bytes_stored - 1, False)):
        monkeypatch.setattr("hesse.gnn._schnet._STORED_BYTES", limit)
        assert hs.array_equal(energy(None), energy(stored))
        model = gnn.SchNet(12, 10, 2, 9, CUTOFF, key=hs.random.key(1))
        recorded = hs.make_graph(model, graph)
        assert (recorded.count("csr_matmul") > 0) is stored and (recorded.count("map") > 0) is not stored


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("dtype, rtol", [(hs.float64, 1e-12), (hs.float32, 2e-4)])
def test_compiled_as_eager(dtype, rtol, store):
    model = gnn.SchNet(12, 10, 2, 9, CUTOFF, store_edges=store, key=hs.random.key(1), dtype=dtype)
    graph = gnn.batch([molecule(0), molecule(1, 5)])
    graph = graph.replace(pos=hs.astype(graph.pos, dtype))
    value, gradient = hs.value_and_grad(loss_of)(model, graph)
    compiled_value, compiled = hs.compile(hs.value_and_grad(loss_of))(model, graph)
    assert value.dtype == dtype
    np.testing.assert_allclose(compiled_value, value, rtol=rtol)
    for a, b in zip(hs.tree_leaves(compiled), hs.tree_leaves(gradient), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(1.0, float(hs.max(hs.abs(b)))))


def test_the_same_bits_for_any_number_of_threads(model):
    graph = gnn.batch([molecule(seed, 12) for seed in range(12)])
    step = hs.compile(hs.value_and_grad(loss_of))
    found = []
    before = hs.get_num_threads()
    try:
        for threads in (1, 2, 7):
            hs.set_num_threads(threads)
            value, gradient = step(model, graph)
            found.append([np.asarray(a).tobytes() for a in (value, *hs.tree_leaves(gradient))])
    finally:
        hs.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_filters_of_edges_are_not_stored():
    model = gnn.SchNet(12, 10, 2, 9, CUTOFF, key=hs.random.key(1))
    text = str(hs.compile(loss_of).explain(model, gnn.batch([molecule(s, 12) for s in range(40)])))
    edges = gnn.batch([molecule(s, 12) for s in range(40)]).num_edges
    assert edges > 500 and f"[{edges},10]" not in text.split("graph(")[0]


def test_what_is_refused(model):
    graph = molecule(0)
    with pytest.raises(ValueError, match=r"SchNet: the graph needs positions and atomic numbers"):
        model(graph.replace(node_data={}))
    with pytest.raises(ValueError, match=r"energy_and_forces: the graph has no positions"):
        gnn.energy_and_forces(model, gnn.Graph([[0], [0]]))
    with pytest.raises(TypeError, match=r"energy_and_forces: graph must be a hs\.gnn\.Graph"):
        gnn.energy_and_forces(model, np.zeros(3))
    conv = gnn.CFConv(4, 5, 2.0, key=hs.random.key(0))
    with pytest.raises(ValueError, match=r"CFConv: x must be \[7, 4\] for this graph, got shape \(7, 3\)"):
        conv(np.zeros((7, 3)), graph)
    with pytest.raises(ValueError, match=r"CFConv: the graph has no positions"):
        conv(np.zeros((1, 4)), gnn.Graph([[0], [0]]))
    with pytest.raises(ValueError, match=r"CFConv: cutoff must be positive and gaussians at least 2"):
        gnn.CFConv(4, 1, 2.0)
    with pytest.raises(ValueError, match=r"SchNet: interactions must be positive"):
        gnn.SchNet(4, 4, 0)


def of_pyg(p):
    """The model with PyTorch Geometric's parameters, and where each of them is."""
    linear = lambda layer, name: layer.replace(weight=p(f"{name}.weight"), bias=p(f"{name}.bias"))
    model = gnn.SchNet(12, 10, 2, 9, CUTOFF)
    interactions = []
    for k, part in enumerate(model.interactions):
        name = f"interactions.{k}"
        conv = part.conv.replace(
            first=linear(part.conv.first, f"{name}.mlp.0"), second=linear(part.conv.second, f"{name}.mlp.2")
        )
        interactions.append(
            part.replace(
                before=p(f"{name}.conv.lin1.weight"),
                conv=conv,
                after=linear(part.after, f"{name}.conv.lin2"),
                last=linear(part.last, f"{name}.lin"),
            )
        )
    return model.replace(
        embedding=p("embedding.weight"), interactions=interactions,
        hidden_layer=linear(model.hidden_layer, "lin1"), last=linear(model.last, "lin2"),
    )  # fmt: skip


def test_values_forces_and_gradients_are_those_of_pytorch_geometric(tmp_path):
    python = os.environ.get("HESSE_PEERS_PYTHON")
    if not python:
        pytest.skip("set HESSE_PEERS_PYTHON to an interpreter that has torch_geometric")
    graph = gnn.batch([molecule(0), molecule(1, 5), molecule(2, 9)])
    np.savez(
        tmp_path / "molecules.npz", sizes=[12, 10, 2, 9], cutoff=CUTOFF, pos=np.asarray(graph.pos),
        z=np.asarray(graph.node_data["z"]), batch=np.asarray(graph.node_graph),
        edges=np.asarray(graph.edge_index),
    )  # fmt: skip
    worker = Path(__file__).parents[1] / "support" / "pyg_schnet_worker.py"
    done = subprocess.run(
        [python, str(worker), str(tmp_path / "molecules.npz"), str(tmp_path / "results.npz")],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = dict(np.load(tmp_path / "results.npz"))
    model = of_pyg(lambda name: hs.asarray(found[f"p.{name}"]))
    energies, forces = gnn.energy_and_forces(model, graph)
    np.testing.assert_allclose(energies, found["energies"], rtol=1e-12)
    np.testing.assert_allclose(forces, found["forces"], rtol=1e-10, atol=1e-12)
    gradient = hs.grad(loss_of)(model, graph)
    expected = of_pyg(lambda name: hs.asarray(found[f"d.{name}"]))
    for ours, theirs in zip(hs.tree_leaves(gradient), hs.tree_leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10 * float(hs.max(hs.abs(theirs))))
