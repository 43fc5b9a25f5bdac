"""Neighbours within a cutoff against all images one by one; periodic SchNet against a repeated cell; refusals."""

import builtins
import itertools

import numpy as np
import pytest

import hesse as hs
from hesse import gnn


def brute(pos, cutoff, cell, periodic, reach):
    """Every pair and shift with components up to the reach, by its distance."""
    d = pos.shape[1]
    ranges = [range(-reach, reach + 1) if p else (0,) for p in periodic]
    shifts = np.array(list(itertools.product(*ranges)))
    found = [np.zeros((0, 2 + d), np.int64)]
    for i, j in itertools.product(range(len(pos)), repeat=2):
        near = np.linalg.norm(pos[j] - pos[i] + shifts @ cell, axis=1) <= cutoff
        these = shifts[near & ((i != j) | shifts.any(axis=1))]
        found.append(np.column_stack([np.full((len(these), 2), [i, j]), these]))
    rows = np.concatenate(found)  # sorted: the product's order is that of shifts
    assert rows.tolist() == sorted(rows.tolist())
    return rows


def table(edges, shifts, d):
    edges = np.asarray(edges)
    shifts = np.zeros((edges.shape[1], d), np.int64) if shifts is None else np.asarray(shifts)
    return np.column_stack([edges[1], edges[0], shifts])


@pytest.mark.parametrize("tree", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_as_all_images_one_by_one(monkeypatch, tree, d, seed):
    if not tree:
        real = builtins.__import__

        def without(name, *rest):
            if name.startswith("scipy"):
                raise ImportError(name)
            return real(name, *rest)

        monkeypatch.setattr(builtins, "__import__", without)
    rng = np.random.default_rng([seed, d])
    cell = np.eye(d) * rng.uniform(1, 3, d) + rng.uniform(-0.7, 0.7, (d, d))
    periodic = rng.random(d) < 0.7 if seed else np.ones(d, bool)
    pos = rng.uniform(-0.5, 1.5, (5, d)) @ cell  # also outside of the cell
    height = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0).max()
    cutoff = rng.uniform(0.5, 1.6) * height  # below and above the cell's height
    edges, shifts = gnn.neighbours(pos, cutoff, cell, periodic)
    wanted = brute(pos, cutoff, cell, periodic, 6)
    assert len(wanted) and np.abs(wanted[:, 2:]).max() < 6  # nothing is beyond what the loop tries
    np.testing.assert_array_equal(table(edges, shifts, d), wanted)
    free, none = gnn.neighbours(pos, 2 * cutoff)
    assert none is None
    np.testing.assert_array_equal(table(free, None, d), brute(pos, 2 * cutoff, cell, [False] * d, 0))


def test_every_edge_has_its_reverse_and_moving_atoms_by_lattice_vectors_changes_shifts_alone():
    rng = np.random.default_rng(0)
    cell = np.array([[4.0, 0.0, 0.0], [1.5, 3.5, 0.0], [-1.0, 0.8, 5.0]])
    pos = rng.uniform(0, 1, (30, 3)) @ cell
    edges, shifts = (np.asarray(a) for a in gnn.neighbours(pos, 3.7, cell))
    rows = {(s, t, *v) for s, t, v in zip(*edges, shifts.tolist(), strict=True)}
    assert rows == {(t, s, *(-c for c in v)) for s, t, *v in rows}
    by = rng.integers(-1000, 1000, (30, 3))
    moved, other = (np.asarray(a) for a in gnn.neighbours(pos + by @ cell, 3.7, cell))
    assert rows == {(s, t, *(v + by[s] - by[t])) for s, t, v in zip(*moved, other, strict=True)}


def test_pairs_at_the_cutoff_count_and_one_atom_has_its_images():
    edges, shifts = gnn.neighbours(np.zeros((1, 3)), 1.0, np.eye(3))
    assert edges.shape == (2, 6) and np.abs(np.asarray(shifts)).sum() == 6
    edges, _ = gnn.neighbours([[0.0], [2.0]], 2.0)
    assert edges.shape == (2, 2)
    for pos in (np.zeros((0, 3)), np.zeros((1, 3))):
        edges, shifts = gnn.neighbours(pos, 1.0)
        assert edges.shape == (2, 0) and shifts is None
    edges, shifts = gnn.neighbours(np.zeros((0, 3)), 1.0, np.eye(3))
    assert edges.shape == (2, 0) and shifts.shape == (0, 3)
    assert gnn.neighbours(np.zeros((2, 3)), 1.0)[0].shape == (2, 2)  # two atoms at one place are neighbours


def test_pairs_in_several_chunks(monkeypatch):
    pos = np.random.default_rng(0).uniform(0, 4, (300, 3))
    whole = gnn.neighbours(pos, 1.5, 4 * np.eye(3))
    monkeypatch.setattr("hesse.gnn._neighbours._CHUNK", 100)
    for a, b in zip(gnn.neighbours(pos, 1.5, 4 * np.eye(3)), whole, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def crystal():
    """A triclinic cell smaller than the cutoff, and its repetition by 2 x 1 x 3."""
    rng = np.random.default_rng(2)
    cell = np.array([[2.5, 0.0, 0.3], [0.6, 2.8, 0.0], [-0.4, 0.7, 3.0]])
    pos, z = rng.uniform(0, 1, (4, 3)) @ cell, np.array([1, 6, 8, 1])
    times = [np.array(s) for s in itertools.product(range(2), range(1), range(3))]
    big = np.concatenate([pos + s @ cell for s in times])
    return (pos, cell, z), (big, cell * [[2], [1], [3]], np.tile(z, len(times)))


@pytest.fixture(scope="module")
def model():
    return gnn.SchNet(8, 8, 2, 9, 3.2, key=hs.random.key(1))


def of(part, cutoff=3.2):
    pos, cell, z = part
    return gnn.radius_graph(pos, cutoff, cell=cell, z=z)


def test_a_repeated_cell_has_the_energy_per_atom_and_the_forces_of_one(model, crystal):
    one, many = (gnn.energy_and_forces(model, of(part)) for part in crystal)
    assert abs(float(many[0][0]) / 6 - float(one[0][0])) < 1e-11
    np.testing.assert_allclose(many[1], np.tile(np.asarray(one[1]), (6, 1)), rtol=0, atol=1e-11)
    np.testing.assert_allclose(np.asarray(one[1]).sum(0), 0.0, atol=1e-12)
    free = crystal[0][0], None, crystal[0][2]
    assert abs(float(model(of(free))[0]) - float(one[0][0])) > 1e-3  # the images do count


def test_periodic_graphs_in_a_batch_and_compiled(model, crystal):
    pos, cell, z = crystal[0]
    graphs = [of(crystal[0]), of(crystal[1]), of((pos * 1.1, cell * 1.1, z))]
    both = gnn.batch(graphs)
    assert both.graph_data["cell"].shape == (3, 3, 3)
    each = [gnn.energy_and_forces(model, g) for g in graphs]
    for f in (gnn.energy_and_forces, hs.compile(lambda m, g: gnn.energy_and_forces(m, g))):
        energies, forces = f(model, both)
        np.testing.assert_allclose(energies, np.concatenate([np.asarray(e) for e, _ in each]), rtol=1e-12)
        np.testing.assert_allclose(forces, np.concatenate([np.asarray(v) for _, v in each]), atol=1e-12)
    for a, b in zip(gnn.unbatch(both), graphs, strict=True):
        np.testing.assert_array_equal(a.edge_data["shift"], b.edge_data["shift"])


def test_the_derivative_by_the_strain_is_the_difference_of_energies(model, crystal):
    graph = of(crystal[0], 3.0)

    def strained(e):
        turn = hs.eye(3) + e
        return hs.sum(
            model(graph.replace(pos=graph.pos @ turn, graph_data={"cell": graph.graph_data["cell"] @ turn}))
        )

    virial, h = np.asarray(hs.grad(strained)(hs.zeros((3, 3)))), 1e-5
    for a, b in ((0, 0), (1, 2)):
        e = np.zeros((3, 3))
        e[a, b] = h
        difference = (float(strained(hs.asarray(e))) - float(strained(hs.asarray(-e)))) / (2 * h)
        assert virial[a, b] == pytest.approx(difference, rel=1e-6, abs=1e-8)


def test_dtypes():
    graph = gnn.radius_graph(np.zeros((1, 3), np.float32), 1.0, cell=np.eye(3))
    assert graph.pos.dtype == graph.graph_data["cell"].dtype == hs.float32
    assert graph.edge_data["shift"].dtype == hs.int64
    assert gnn.radius_graph([[0, 0], [1, 0]], 1).pos.dtype == hs.float64


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((np.zeros(3), 1.0), ValueError, r"pos must be \[N, D\], got shape \(3,\)"),
        ((np.zeros((2, 3), complex), 1.0), TypeError, r"pos must hold real numbers, got complex128"),
        (([[0.0], [np.nan]], 1.0), ValueError, r"pos must be finite, but row 1 is \[nan\]"),
        (([[0.0]], 0.0), ValueError, r"cutoff must be positive and finite, got 0\.0"),
        (([[0.0]], np.nan), ValueError, r"cutoff must be positive and finite, got nan"),
        (([[0.0]], "x"), TypeError, r"cutoff must be a number, got 'x'"),
        (([[0.0, 0.0]], 1.0, np.ones((3, 3))), ValueError, r"cell must be \[2, 2\] real numbers"),
        (([[0.0, 0.0]], 1.0, np.ones((2, 2))), ValueError, r"cell is singular"),
        (([[0.0, 0.0]], 1.0, np.diag([1.0, 0.0])), ValueError, r"cell is singular"),
        (([[0.0]], 1.0, [[np.inf]]), ValueError, r"cell must be finite"),
        (([[0.0]], 1.0, None, True), ValueError, r"there is no cell; give cell="),
        (([[0.0]], 1.0, [[1.0]], [True, True]), ValueError, r"periodic must be one bool, or 1 for the rows"),
        (([[1e30]], 1.0, [[1.0]]), ValueError, r"pos lies up to 1e\+30 cells away"),
        ((np.zeros((15000, 3)), 1.0), ValueError, r"225000000 pairs are within 1"),
        (([[0.0]], 1e9, [[1.0]]), ValueError, r"reaches 2e\+09 images of each of 1 positions"),
    ],
)
def test_what_is_refused(arguments, error, message):
    with pytest.raises(error, match=rf"neighbours: .*{message}"):
        gnn.neighbours(*arguments)


def test_positions_must_hold_data_and_a_shift_needs_its_cell(model, crystal):
    with pytest.raises(hs.TraceError, match=r"neighbours: pos must hold data"):
        hs.compile(lambda p: gnn.neighbours(p, 1.0)[0])(hs.zeros((2, 3)))
    graph = of(crystal[0])
    with pytest.raises(ValueError, match=r"CFConv: the graph has edge_data\[.shift.\] but no cell"):
        model(graph.replace(graph_data={}))
    with pytest.raises(ValueError, match=r"graph_data\[.cell.\] \[1, 3, 3\], got shapes .* and \(3, 3\)"):
        model(graph.replace(graph_data={"cell": hs.eye(3)}))


# ---- graphs of structures ----------------------------------------------------------------------------------------------
def structure(n, cell, seed):
    rng = np.random.default_rng(seed)
    arrays = {"forces": rng.normal(size=(n, 3)), "group": np.arange(n), "name": np.array(["a"] * n)}
    periodic = np.array([True, False, True]) if cell is not None else np.zeros(3, bool)
    return hs.io.Structure(
        rng.integers(1, 9, n), rng.uniform(size=(n, 3)) * 3, cell, periodic, arrays, {"energy": 1.0}
    )


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("dtype", [None, hs.float32])
def test_graphs_of_structures(pairs, dtype):
    cell = np.array([[2.0, 0.0, 0.3], [0.0, 3.0, 0.0], [0.1, 0.0, 2.5]])
    structures = [structure(4, cell, 0), structure(1, cell, 1), structure(6, cell, 2)]
    y = np.array([[1e5 + 0.125, 2.0], [3.0, 4.0], [5.0, 6.0]])
    graphs = gnn.from_structures(structures, 2.2, y - y[0], pairs=pairs, dtype=dtype)
    real = hs.float64 if dtype is None else dtype
    assert graphs[2].num_edges > 0
    for k, (g, s) in enumerate(zip(graphs, structures, strict=True)):
        by_hand = gnn.radius_graph(s.positions, 2.2, cell=cell, periodic=s.periodic, z=s.numbers, pairs=pairs)
        assert g.paired is pairs and sorted(g.node_data) == ["forces", "group", "z"]
        for a, b in (
            (g.edge_index, by_hand.edge_index), (g.edge_data["shift"], by_hand.edge_data["shift"]),
            (g.node_data["z"], s.numbers), (g.node_data["group"], s.arrays["group"]),
        ):  # fmt: skip
            np.testing.assert_array_equal(a, b)
        for a, b in (
            (g.pos, s.positions), (g.node_data["forces"], s.arrays["forces"]), (g.graph_data["cell"], [cell]),
            (g.y, [y[k] - y[0]]),
        ):  # fmt: skip
            assert a.dtype == real and a.shape == np.shape(b)
            np.testing.assert_array_equal(a, np.asarray(b).astype(str(real)))
    assert gnn.batch(graphs).num_graphs == 3
    free = gnn.from_structures([structure(5, None, 3)], 2.2, dtype=dtype)[0]
    assert free.y is None and not free.graph_data and not free.edge_data and free.num_edges > 0
    assert gnn.from_structures([], 2.0, []) == []


def test_structures_that_are_refused():
    s = structure(2, None, 0)
    with pytest.raises(TypeError, match="from_structures: structures is one Structure; give a list"):
        gnn.from_structures(s, 2.0)
    with pytest.raises(TypeError, match="from_structures: item 1 is a int, not a Structure"):
        gnn.from_structures([s, 3], 2.0)
    for y in (1.0, [1.0, 2.0]):
        with pytest.raises(
            ValueError, match="from_structures: y must have a row for each of 1 structures, got shape"
        ):
            gnn.from_structures([s], 2.0, y)
    s.arrays["z"] = np.zeros(2)
    with pytest.raises(ValueError, match='from_structures: structure 0 has an array "z"'):
        gnn.from_structures([s], 2.0)
    alone = hs.io.Structure(np.array([1]), np.zeros((1, 3)))
    assert alone.cell is None and not alone.periodic.any() and alone.arrays == {} and alone.info == {}
