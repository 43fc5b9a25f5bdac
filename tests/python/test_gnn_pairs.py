"""Graphs with one edge per pair: against the directed graph, against loops in NumPy, carried along, refused."""

import pickle

import gnn_cases
import numpy as np
import pytest

import hesse as hs
from hesse import gnn

CUTOFF = 2.6
CELL = np.array([[2.1, 0.0, 0.3], [0.5, 2.4, 0.0], [-0.2, 0.4, 3.0]])
SYSTEMS = {
    "free": (6, None),
    "periodic": (4, CELL),
    "one atom and its images": (1, 0.8 * CELL),
    "isolated": (3, None),
}


def atoms(name, seed=0):
    """Positions and cell; of "isolated" the last atom is far away."""
    count, cell = SYSTEMS[name]
    pos = np.random.default_rng(seed).uniform(size=(count, 3)) * 2.2
    if name == "isolated":
        pos[-1] += 20.0
    return pos, cell


def directed(name, seed=0, pairs=False):
    pos, cell = atoms(name, seed)
    return gnn.radius_graph(pos, CUTOFF, cell=cell, z=np.resize([1, 6, 8], len(pos)), pairs=pairs)


def schnet(store_edges=False):
    return gnn.SchNet(
        7, 6, 2, 5, CUTOFF, largest=9, store_edges=store_edges, key=hs.random.key(0), dtype=hs.float64
    )


def close(found, expected, tolerance=1e-12):
    found, expected = hs.tree_leaves(found), hs.tree_leaves(expected)
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0.0) <= tolerance * max(np.abs(b).max(initial=0.0), 1.0)


def same_graph(a, b):
    left, right = hs.tree_flatten(a), hs.tree_flatten(b)
    assert left[1] == right[1]
    for x, y in zip(left[0], right[0], strict=True):
        np.testing.assert_array_equal(x, y)


def as_set(graph):
    """Edges as sorted rows: source, target, shift."""
    columns = [np.asarray(graph.source), np.asarray(graph.target)]
    if "shift" in graph.edge_data:
        columns += list(np.asarray(graph.edge_data["shift"]).T)
    return sorted(zip(*(c.tolist() for c in columns), strict=True))


# ---- which edges -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SYSTEMS)
def test_pairs_and_back(name):
    graph = directed(name)
    half = graph.pairs()
    assert half.paired and not graph.paired and 2 * half.num_edges == graph.num_edges
    same_graph(half, directed(name, pairs=True))
    assert half.pairs() is half and graph.directed() is graph
    again = half.directed()
    assert not again.paired and as_set(again) == as_set(graph)
    assert half.is_undirected() and graph.is_undirected()
    for direction in ("in", "out"):
        np.testing.assert_array_equal(half.degree(direction), graph.degree(direction))
    assert "pairs" in repr(half) and "edges" not in repr(half)
    # Every pair once: what is kept and its reverses are all edges, and none twice.
    reverse = [(t, s, *(-k for k in shift)) for s, t, *shift in as_set(half)]
    assert sorted(as_set(half) + reverse) == as_set(graph) and not set(reverse) & set(as_set(half))


def test_an_atom_and_its_images_are_joined_once():
    half = gnn.radius_graph([[0.3, 0.0]], 1.0, cell=np.eye(2), pairs=True)
    np.testing.assert_array_equal(half.edge_data["shift"], [[0, 1], [1, 0]])
    assert int(half.degree()[0]) == 4
    np.testing.assert_array_equal(gnn.edge_vectors(half), [[0.0, 1.0], [1.0, 0.0]])


def test_arrays_of_edges_and_duplicates():
    """Values decide which of two parallel edges is the reverse of which; NaN equals NaN."""
    edges = [[0, 1, 0, 1, 2, 1, 2, 1], [1, 0, 1, 0, 1, 2, 1, 2]]
    weight = [1.0, 5.0, 5.0, 1.0, 7.0, np.nan, np.nan, 7.0]
    graph = gnn.Graph(edges, num_nodes=4, edge_weight=weight, edge_attr=np.outer(weight, [1.0, 2.0]),
                      edge_data={"kind": [1, 3, 3, 1, 0, 4, 4, 0]})  # fmt: skip
    half = graph.pairs()
    assert half.num_edges == 4
    np.testing.assert_array_equal(half.edge_index, [[0, 0, 1, 1], [1, 1, 2, 2]])
    np.testing.assert_array_equal(half.edge_weight, [1.0, 5.0, np.nan, 7.0])
    np.testing.assert_array_equal(half.edge_attr, np.outer([1.0, 5.0, np.nan, 7.0], [1.0, 2.0]))
    np.testing.assert_array_equal(half.edge_data["kind"], [1, 3, 4, 0])
    finite = half.replace(edge_weight=hs.array([1.0, 5.0, 2.0, 7.0]))
    np.testing.assert_array_equal(finite.degree(), [2, 4, 2, 0])
    np.testing.assert_array_equal(finite.degree(weighted=True), [6.0, 15.0, 9.0, 0.0])
    a = finite.adjacency().todense()
    np.testing.assert_array_equal(a + a.T, finite.directed().adjacency().todense())
    b = finite.normalised().adjacency().todense()
    close(b + b.T, finite.directed().normalised().adjacency().todense())


def test_a_graph_without_nodes_or_edges():
    for n in (0, 3):
        graph = gnn.Graph(
            np.zeros((2, 0), int), num_nodes=n, pos=np.zeros((n, 3)), node_data={"z": np.ones(n, int)}
        )
        half = graph.pairs()
        assert half.paired and half.num_edges == 0 and half.directed().num_edges == 0
        for store in (False, True):
            model = schnet(store)
            close(gnn.energy_and_forces(model, half), gnn.energy_and_forces(model, graph))


def test_random_multigraphs():
    rng = np.random.default_rng(0)
    for _ in range(20):
        m = int(rng.integers(1, 12))
        s, t = rng.integers(0, 5, (2, m))
        s, t = s[s != t], t[s != t]
        w = rng.integers(0, 3, len(s)).astype(float)
        order = rng.permutation(2 * len(s))
        both = np.array([np.concatenate([s, t]), np.concatenate([t, s])])[:, order]
        graph = gnn.Graph(both, num_nodes=5, edge_weight=np.tile(w, 2)[order])
        rows = lambda g: sorted(
            zip(*np.asarray(g.edge_index).tolist(), np.asarray(g.edge_weight).tolist(), strict=True)
        )
        assert rows(graph.pairs()) == sorted(
            zip(np.minimum(s, t).tolist(), np.maximum(s, t).tolist(), w.tolist(), strict=True)
        )
        assert rows(graph.pairs().directed()) == rows(graph)
        if len(s):
            with pytest.raises(ValueError, match="more often than its reverse"):
                gnn.Graph(both[:, 1:], num_nodes=5).pairs()


def test_copies_keep_what_edges_are():
    half = directed("periodic").pairs()
    for copy in (pickle.loads(pickle.dumps(half)), hs.tree_map(lambda a: a, half), half.replace(x=None)):
        assert copy.paired
        same_graph(copy, half)


# ---- SchNet ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("store", [False, True], ids=["tiles", "stored"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_energies_forces_and_their_derivatives_are_those_of_the_directed_graph(name, store):
    graph, model = directed(name), schnet(store)
    half = graph.pairs()
    # Rounding: entries of a few units.
    close(model(half), model(graph))
    forces = gnn.energy_and_forces(model, graph)
    close(gnn.energy_and_forces(model, half), forces)
    close(hs.compile(gnn.energy_and_forces)(model, half), forces)

    def loss(model, graph):
        e, f = gnn.energy_and_forces(model, graph)
        return hs.sum(e**2) + hs.sum(hs.sin(f))

    expected = hs.grad(loss)(model, graph)
    close(hs.grad(loss)(model, half), expected)
    close(hs.compile(hs.grad(loss))(model, half), expected)
    energy = lambda g: lambda pos: hs.sum(model(g.replace(pos=pos)))
    close(hs.hessian(energy(half))(half.pos), hs.hessian(energy(graph))(graph.pos))
    if graph.graph_data:
        close(
            gnn.energy_forces_and_stress(model, half),
            gnn.energy_forces_and_stress(model, graph),
            tolerance=1e-11,
        )


def test_float32_and_threads():
    graph = gnn.batch([directed("free", k) for k in range(6)])
    model = hs.tree_map(lambda a: hs.astype(a, hs.float32), schnet(True))
    graph = graph.replace(pos=hs.astype(graph.pos, hs.float32))
    step = hs.compile(gnn.energy_and_forces)
    close(step(model, graph.pairs()), step(model, graph), tolerance=1e-5)
    before = hs.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            hs.set_num_threads(threads)
            found.append(step(model, graph.pairs()))
        for a, b in zip(*found, strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        hs.set_num_threads(before)


# ---- message passing ---------------------------------------------------------------------------------------------------
def mixed(p, q, xi, yi, xj, yj, e):
    """Messages of an edge j -> i, which are not symmetric: of the two nodes, a weight and the parameters p and q."""
    return {"a": hs.tanh(p * (xi - xj) + e[0]) * yj, "b": q * e[1] * xj}


def paired_message(p, q):
    def both(i, j, e):
        return mixed(p, q, *i, *j, e), mixed(p, q, *j, *i, e)

    return both


@pytest.mark.parametrize("store", [False, True], ids=["tiles", "stored"])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min"])
def test_message_passing_against_a_loop(reduce, store):
    """Pairs in both orders of their nodes, one of them twice; node 5 is isolated."""
    rng = np.random.default_rng(3)
    edges = np.array([[0, 3, 1, 4, 1, 0, 2], [1, 1, 2, 0, 0, 4, 3]])
    n, m = 6, edges.shape[1]
    x, y, e = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    p, q = 0.7, np.array([1.3, -0.4])
    half = gnn.Graph(edges, num_nodes=n, edge_data={"e": e}, paired=True)
    f = lambda p, q, x, y, graph: gnn.message_passing(
        paired_message(p, q) if graph.paired else lambda i, j, e: mixed(p, q, *i, *j, e),
        reduce, (x, y), graph, graph.edge_data["e"], store_edges=store,
    )  # fmt: skip
    into = {i: [] for i in range(n)}
    for (s, t), w in zip(edges.T.tolist(), e, strict=True):
        for i, j in ((t, s), (s, t)):
            into[i].append(np.stack([np.tanh(p * (x[i] - x[j]) + w[0]) * y[j], q * w[1] * x[j]]))
    of = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}[reduce]
    expected = np.stack([of(into[i], axis=0) if into[i] else np.zeros((2, 2)) for i in range(n)])
    arguments = [hs.asarray(v) for v in (p, q, x, y)]
    for run in (f, hs.compile(f)):
        found = run(*arguments, half)
        close([found["a"], found["b"]], [expected[:, 0], expected[:, 1]])
    # Derivatives of first and second order against the graph with both directions.
    loss = lambda graph: lambda p, q, x, y: sum(
        hs.sum(hs.sin(v) * hs.asarray(rng_c)) for v, rng_c in zip(hs.tree_leaves(f(p, q, x, y, graph)), c, strict=True)
    )  # fmt: skip
    c = rng.normal(size=(2, n, 2))
    first = lambda graph: hs.grad(loss(graph), argnums=(0, 1, 2, 3))
    close(first(half)(*arguments), first(half.directed())(*arguments))
    sharp = lambda graph: lambda *a: sum(hs.sum(g * g) for g in first(graph)(*a))
    second = lambda graph: hs.compile(hs.grad(sharp(graph), argnums=(0, 1, 2, 3)))
    close(second(half)(*arguments), second(half.directed())(*arguments), tolerance=1e-11)


def test_messages_of_several_ranks():
    half = gnn.Graph([[0, 2], [1, 1]], num_nodes=3, paired=True)
    x = hs.array([1.0, 2.0, 4.0])
    both = lambda i, j, e: ((j, hs.stack([i, j])), (i, hs.stack([j, i])))
    for store in (False, True):
        one, two = gnn.message_passing(both, "sum", x, half, store_edges=store)
        np.testing.assert_array_equal(one, [2.0, 5.0, 2.0])
        np.testing.assert_array_equal(two, [[1.0, 2.0], [4.0, 5.0], [4.0, 2.0]])


def test_results_of_a_map_per_item_of_a_tuple():
    i, x = hs.array([0, 1, 0]), hs.array([1.0, 2.0, 4.0])
    f = lambda v: ({"a": v, "b": 2.0 * v}, (), v[None])
    tree = hs.map(f, 3, [x], ["each"], [("segment_sum", 0, 2), "each", "sum"], [i])
    np.testing.assert_array_equal(tree[0]["a"], [5.0, 2.0])
    np.testing.assert_array_equal(tree[0]["b"], [10.0, 4.0])
    assert tree[1] == ()
    np.testing.assert_array_equal(tree[2], [7.0])
    with pytest.raises(ValueError, match="results has 4 entries for 3 outputs"):
        hs.map(f, 3, [x], ["each"], ["each"] * 4)


# ---- carried along -----------------------------------------------------------------------------------------------------
def test_batch_pad_and_unbatch():
    names, model = ["periodic", "one atom and its images"], schnet()
    graphs = [directed(name) for name in names]
    halves = [g.pairs() for g in graphs]
    together = gnn.batch(halves)
    assert together.paired
    same_graph(together, gnn.batch(graphs).pairs().replace(order=together.order))
    e, f = gnn.energy_and_forces(model, gnn.batch(graphs))
    close(gnn.energy_and_forces(model, together), (e, f))
    padded = gnn.pad(together, together.num_nodes + 5, together.num_edges + 7, 4)
    assert padded.paired
    pe, pf = gnn.energy_and_forces(model, padded)
    close((pe[:2], pf[: len(f)]), (e, f))
    assert np.isfinite(np.asarray(pe)).all() and np.isfinite(np.asarray(pf)).all()
    for part, half in zip(gnn.unbatch(padded), halves, strict=True):
        assert part.paired and as_set(part) == as_set(half)
    with pytest.raises(ValueError, match="the graph is padded"):
        gnn.pad(gnn.batch(graphs), 20, 200, 4).pairs()


def test_loader():
    model = schnet(True)
    graphs = [directed("free", seed) for seed in range(5)]
    energies = np.concatenate([np.asarray(model(g)) for g in graphs])
    run, seen = hs.compile(lambda m, g: m(g)), 0
    for part in gnn.DataLoader([g.pairs() for g in graphs], 2, pad=1):
        assert part.paired
        close(np.asarray(run(model, part))[np.asarray(part.graph_mask)], energies[seen : seen + 2])
        seen += 2
    # A program is chosen by the kind of graph as well.
    close(run(model, graphs[0]), run(model, graphs[0].pairs()))


def test_subgraphs_and_other_edges():
    graph = directed("free")
    keep = np.array([4, 0, 3])
    part = graph.pairs().subgraph(keep)
    assert part.paired
    undirected = lambda g: sorted(tuple(sorted(e)) for e in as_set(g))
    assert undirected(part) == undirected(graph.subgraph(keep).pairs())
    assert graph.pairs().with_edges([[1], [0]]).paired
    crystal = directed("periodic").pairs().without_self_loops()
    assert crystal.paired and as_set(crystal) == as_set(directed("periodic").without_self_loops().pairs())
    x, smaller, nodes = gnn.TopKPooling(3, 0.5, key=hs.random.key(0))(hs.ones((6, 3)), graph.pairs())
    assert smaller.paired and smaller.num_nodes == 3


def test_poolings_normalisations_and_encodings_do_not_mind():
    graph, x = directed("free"), hs.asarray(np.random.default_rng(0).normal(size=(6, 3)))
    half = graph.pairs()
    for layer in (
        gnn.global_sum_pool, gnn.global_mean_pool, gnn.global_max_pool, gnn.GraphNorm(3), gnn.PairNorm(),
        gnn.AttentionPooling(hs.nn.Linear(3, 1, key=hs.random.key(0))), gnn.Set2Set(3, 2, key=hs.random.key(0)),
        lambda x, g: gnn.VirtualNode(3, lambda v: 2.0 * v)(x, hs.zeros((1, 3)), g),
        lambda x, g: gnn.random_walk_encoding(g, 3),
    ):  # fmt: skip
        close(layer(x, half), layer(x, graph))
    a, b = (np.asarray(gnn.laplacian_encoding(g, 2)) for g in (half, graph))
    close(np.abs(a), np.abs(b), tolerance=1e-10)


def test_the_calculator_of_ase():
    ase = pytest.importorskip("ase")
    model = schnet()
    found = []
    for pairs in (False, True):
        pos, cell = atoms("periodic")
        at = ase.Atoms("HCOH", pos, cell=cell, pbc=True)
        at.calc = gnn.ase_calculator(model, CUTOFF, pairs=pairs)
        found.append((at.get_potential_energy(), at.get_forces(), at.get_stress()))
    close(found[1], found[0], tolerance=1e-11)


# ---- refused -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", gnn_cases.CASES, ids=str)
def test_layers_that_need_both_directions_say_so(case):
    half = gnn.Graph([[0, 1], [1, 2]], num_nodes=7, paired=True)
    layer, graph = case.layer(0, dtype=hs.float64), case.graph(0, np.float64)
    with pytest.raises(ValueError, match=r"the graph has pairs of nodes.*use graph\.directed\(\)"):
        case.call(
            layer, graph.x, half.replace(edge_attr=hs.ones((2, 2)), edge_data={"relation": hs.array([0, 1])})
        )


@pytest.mark.parametrize(
    "run, message",
    [
        (lambda g: gnn.PaiNN(4, 1, 3, 2.0, largest=9)(g), "PaiNN: the graph has pairs"),
        (
            lambda g: gnn.DimeNetPlusPlus(6, 4, 3, 5, 1, 3, 3, 2.0, largest=9)(g),
            "DimeNetPlusPlus: the graph has pairs",
        ),
        (lambda g: gnn.triplets(g), "triplets: the graph has pairs"),
        (
            lambda g: gnn.MeshGraphNet(3, 1, 2, hidden=4, blocks=1)(hs.ones((6, 3)), g),
            "MeshGraphNet: the graph has pairs",
        ),
        (lambda g: gnn.EGNN(3, 6, 1, 2)(hs.ones((6, 3)), g), "EGNN: the graph has pairs"),
        (
            lambda g: gnn.neighbour_sample(hs.random.key(0), g, [0], [2]),
            "neighbour_sample: the graph has pairs",
        ),
        (lambda g: gnn.induced_sample(g, [0]), "induced_sample: the graph has pairs"),
        (lambda g: gnn.random_walks(hs.random.key(0), g, [0], 2), "random_walks: the graph has pairs"),
        (lambda g: gnn.clusters(hs.random.key(0), g, 2), "clusters: the graph has pairs"),
        (lambda g: gnn.edge_split(hs.random.key(0), g), "edge_split: the graph has pairs"),
        (lambda g: gnn.negative_sampling(hs.random.key(0), g, 2), "negative_sampling: the graph has pairs"),
        (lambda g: g.normalised("rw"), r"normalised\('rw'\): the graph has pairs"),
        (lambda g: g.normalised("left"), r"normalised\('left'\): the graph has pairs"),
        (lambda g: g.laplacian(), "laplacian: the graph has pairs"),
        (lambda g: g.with_self_loops(), "with_self_loops: the graph has pairs"),
        (lambda g: g.coalesced(), "coalesced: the graph has pairs"),
        (lambda g: g.undirected(), "undirected: the graph has pairs"),
        (lambda g: gnn.batch([g, g.directed()]), r"batch: graph 0 has pairs.*graph 1 has directed"),
        (lambda g: gnn.batch([g.directed(), g, g]), r"batch: graph 1 has pairs.*graph 0 has directed"),
        (lambda g: g.with_edges([[0, 2], [1, 2]]), "Graph: node 2 is joined to itself, which is no pair"),
        (
            lambda g: gnn.message_passing(lambda i, j, e: ((i, j), (j, i)), "softmax", g.pos, g),
            "'softmax' is over",
        ),
        (
            lambda g: gnn.message_passing(lambda i, j, e: (i, i[:1]), "sum", g.pos, g),
            r"the same shapes.*\[\(1,\)\]",
        ),
    ],
)
def test_refused(run, message):
    with pytest.raises(ValueError, match=message):
        run(directed("free").pairs())


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize(
    "returned, message",
    [
        (lambda i, j: i, r"two messages, \(to the target, to the source\), got a Array"),
        (lambda i, j: (i, j, i), "got 3 items"),
        (lambda i, j: [i, j], "got a list"),
        (lambda i, j: ({"a": i}, {"b": j}), "must have one structure"),
    ],
)
def test_messages_that_are_no_pair(returned, message, store):
    half = directed("free").pairs()
    with pytest.raises(TypeError, match=message):
        gnn.message_passing(lambda i, j, e: returned(i, j), "sum", half.pos, half, store_edges=store)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: gnn.Graph([[0, 1, 2], [1, 0, 1]]).pairs(), r"from node 2 to node 1 is there more often.*undirected\(\)"),
        (lambda: gnn.Graph([[0, 1, 0], [1, 0, 1]]).pairs(), r"from node 0 to node 1 is there more often"),
        (lambda: gnn.Graph([[0, 1, 1], [1, 0, 1]]).pairs(), r"pairs: node 1 is joined to itself.*without_self_loops\(\)"),
        (lambda: gnn.Graph([[0], [0]], edge_data={"shift": [[0, 0]]}, paired=True), "Graph: node 0 is joined to itself"),
        (lambda: gnn.Graph([[3], [3]], paired=True), "Graph: node 3 is joined to itself"),
        (lambda: gnn.Graph([[0, 1], [1, 0]], edge_data={"shift": [[1], [1]]}).pairs(),
         r"with the shift \[1\] is there more often than its reverse with the opposite shift"),
        (lambda: gnn.Graph([[0, 0], [0, 0]], edge_data={"shift": [[1], [1]]}).pairs(), r"from node 0 to node 0 with the"),
        (lambda: gnn.Graph([[0, 1], [1, 0]], edge_weight=[1.0, 2.0]).pairs(),
         r"edge_weight must be the same in both directions, but is \[1.0\] from node 0 to node 1 and \[2.0\] back"),
        (lambda: gnn.Graph([[0, 1], [1, 0]], edge_attr=[[1.0, 2.0], [1.0, 3.0]]).pairs(), "edge_attr must be the same"),
        (lambda: gnn.Graph([[0, 1], [1, 0]], edge_data={"v": [1.0, -1.0]}).pairs(), r"edge_data\['v'\] must be the same"),
        (lambda: gnn.Graph([[0, 0, 1, 1], [1, 1, 0, 0]], edge_weight=[1.0, 2.0, 2.0, 2.0]).pairs(), "edge_weight must be"),
    ],
)  # fmt: skip
def test_what_is_no_undirected_graph(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_pyg_gets_directed_edges():
    with pytest.raises(ValueError, match="to_pyg: the graph has pairs"):
        gnn.to_pyg(directed("free").pairs())
