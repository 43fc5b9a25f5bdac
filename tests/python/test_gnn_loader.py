"""Padding and mini-batches of graphs: what a graph from scratch holds, what a model sees, and what is refused."""

import itertools

import numpy as np
import pytest
from gnn_cases import CASES, EDGE, EDGES, RELATION, F, N

import hesse as hs
from hesse import gnn

RNG = np.random.default_rng(0)
STRUCTURE = (
    "source", "target", "order", "target_starts", "source_starts", "by_source", "targets_by_source",
    "node_graph", "node_starts", "graph_mask",
)  # fmt: skip


def some_graph(rng, n, e, y="graph", dtype=np.float32):
    """Duplicate edges, self-loops and nodes without edges are likely."""
    edges = rng.integers(n, size=(2, e)) if n else np.zeros((2, 0), int)
    return gnn.Graph(
        edges,
        rng.normal(size=(n, F)).astype(dtype),
        edge_attr=rng.normal(size=(e, EDGE)).astype(dtype),
        edge_weight=rng.uniform(0.5, 2.0, size=e),
        pos=rng.normal(size=(n, 3)),
        y=rng.normal(size=(1, 2)) if y == "graph" else rng.integers(5, size=n),
        node_data={"z": rng.integers(9, size=n)},
        edge_data={"relation": rng.integers(3, size=e)},
        graph_data={"id": rng.integers(1000, size=1), "cell": rng.normal(size=(1, 3, 3))},
    )


SHAPES = [(3, 4), (1, 0), (5, 9), (2, 2), (0, 0), (1, 3), (4, 0), (6, 11), (2, 1)]


def graphs(y="graph"):
    rng = np.random.default_rng(1)
    return [some_graph(rng, n, e, y) for n, e in SHAPES]


def assert_same(a, b):
    assert hs.tree_structure(a) == hs.tree_structure(b)
    for path, x, y in zip(hs.tree_structure(a).paths(), hs.tree_leaves(a), hs.tree_leaves(b), strict=True):
        assert x.dtype == y.dtype, path
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y), err_msg=path)


# ---- batches -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("y", ["graph", "node"])
def test_batches_in_order_are_those_of_batch(y):
    given = graphs(y)
    for size in (1, 2, 4, 9, 20):
        found = list(gnn.DataLoader(given, size))
        assert len(found) == len(gnn.DataLoader(given, size)) == -(-len(given) // size)
        for k, made in enumerate(found):
            assert_same(made, gnn.batch(given[k * size : (k + 1) * size]))
    whole = gnn.batch(given)
    for a, b in zip(gnn.DataLoader(whole, 4), gnn.DataLoader(given, 4), strict=True):
        assert_same(a, b)
    assert [b.num_graphs for b in gnn.DataLoader(given, 4, drop_last=True)] == [4, 4]
    assert len(gnn.DataLoader(given, 20, drop_last=True)) == 0


def test_scalars_per_graph_become_vectors():
    given = [gnn.Graph([[0], [1]], y=float(k), graph_data={"t": k}) for k in range(3)]
    for size in (1, 3):
        (first, *_) = gnn.DataLoader(given, size)
        assert first.y.shape == first.graph_data["t"].shape == (size,)
    assert [b.y.shape for b in gnn.DataLoader(given[:1], 1, pad=True)] == [(2,)]


def ids(loader):
    return [np.asarray(b.graph_data["id"])[np.asarray(b.graph_mask)].tolist() for b in loader]


def test_orders_depend_on_the_key_alone():
    rng = np.random.default_rng(2)
    given = [some_graph(rng, 2, 2).replace(graph_data={"id": hs.array([k])}) for k in range(40)]
    make = lambda key, **more: gnn.DataLoader(given, 7, shuffle=True, key=key, **more)
    first = [ids(loader) for loader in [make(3)] for _ in range(3)]
    assert first[0] != first[1] != first[2]
    assert all(sorted(itertools.chain(*epoch)) == list(range(40)) for epoch in first)
    assert [ids(loader) for loader in [make(hs.random.key(3), pad=True)] for _ in range(3)] == first
    assert ids(make(4)) != first[0]
    later = make(3)
    later.epoch = 2
    assert ids(later) == first[2] and later.epoch == 3
    left = make(3)
    next(iter(left))  # a pass that is left early counts
    assert ids(left) == first[1]
    assert list(itertools.chain(*ids(gnn.DataLoader(given, 7)))) == list(range(40))
    hs.seed(11)
    drawn = ids(gnn.DataLoader(given, 7, shuffle=True))
    hs.seed(11)
    assert ids(gnn.DataLoader(given, 7, shuffle=True)) == drawn
    # Two passes at once do not disturb each other.
    both = make(3)
    one, two = iter(both), iter(both)
    mixed = [(ids([a]), ids([b])) for a, b in zip(one, two, strict=True)]
    assert [a[0] for a, _ in mixed] == first[0] and [b[0] for _, b in mixed] == first[1]


# ---- buckets -----------------------------------------------------------------------------------------------------------
def chains(count=203, seed=3):
    """Chains of very different lengths, with a number each."""
    lengths = np.random.default_rng(seed).lognormal(2.5, 0.8, count).astype(int) + 1
    return [
        gnn.Graph([range(n - 1), range(1, n)], num_nodes=n, y=[float(n)], graph_data={"id": [k]})
        for k, n in enumerate(lengths)
    ]


def test_buckets_hold_every_graph_once_in_orders_that_depend_on_the_key_alone():
    given = chains()
    make = lambda key, **more: gnn.DataLoader(given, 16, shuffle=True, key=key, buckets=5, **more)
    loader = make(3, pad=True)
    first = [ids(loader) for _ in range(3)]
    assert first[0] != first[1] != first[2]
    for epoch in first:
        assert sorted(itertools.chain(*epoch)) == list(range(203))
        assert [len(b) for b in epoch] == [16] * 12 + [11]
    assert [ids(loader) for loader in [make(hs.random.key(3))] for _ in range(3)] == first
    assert ids(make(4)) != first[0]
    dropped = ids(make(3, drop_last=True))
    assert dropped == first[0][:-1]
    # Batches are of neighbouring buckets and in random order; who is together differs from pass to pass.
    bucket = np.empty(203, int)
    bucket[np.argsort([g.num_nodes + g.num_edges for g in given], kind="stable")] = np.arange(203) * 5 // 203
    found = [bucket[b] for b in first[0][:-1]]
    assert all(np.ptp(b) <= 1 for b in found) and sum(np.ptp(b) == 0 for b in found) >= 12 - 4
    assert (np.diff([b.mean() for b in found]) < 0).any()
    assert {frozenset(b) for b in first[0]}.isdisjoint(frozenset(b) for b in first[1])
    # Which graphs come last in a small batch does not depend on their sizes.
    last = np.concatenate([ids(loader)[-1] for _ in range(60)])
    assert 1.5 < bucket[last].mean() < 2.5  # 2 +- 0.055


@pytest.mark.parametrize("pad", [True, 3])
def test_buckets_waste_little(pad):
    given = chains()
    waste, sizes = {}, {}
    for buckets in (1, 5, 12):
        loader = gnn.DataLoader(given, 16, shuffle=True, key=1, buckets=buckets, pad=pad)
        sizes[buckets] = loader.sizes
        assert list(sizes[buckets]) == sorted(sizes[buckets])
        batches = [b for _ in range(3) for b in loader]
        assert {(b.num_nodes, b.num_edges) for b in batches} <= set(loader.sizes)
        real = sum(int(hs.sum(b.node_mask)) for b in batches)
        assert real == 3 * sum(g.num_nodes for g in given)
        waste[buckets] = sum(b.num_nodes for b in batches) / real - 1.0
    assert len(sizes[1]) == 3 and len(sizes[5]) == (6 if pad is True else 3)
    if pad is True:
        assert waste[5] < 0.6 * waste[1] and waste[12] < 0.2 * waste[1], waste
    # Within a batch, what a matrix of graphs and their nodes wastes: the largest for all.
    rows = lambda buckets: [
        [given[k].num_nodes for k in b]
        for b in ids(gnn.DataLoader(given, 16, shuffle=True, key=1, buckets=buckets))
    ]
    dense = lambda buckets: sum(max(b) * len(b) for b in rows(buckets)) / sum(map(sum, rows(buckets))) - 1.0
    assert dense(12) < 0.35 * dense(1), (dense(12), dense(1))


def test_fewer_sizes_waste_least():
    from hesse.gnn._loader import _fewer

    rng = np.random.default_rng(0)
    for count in (1, 2, 5, 8):
        sizes = [(int(n), int(n) - 1) for n in np.cumsum(rng.integers(1, 30, count))]
        for most in range(1, count + 2):
            cost = lambda chosen: sum(min(sum(c) for c in chosen if c >= size) for size in sizes)
            ways = [
                c for k in range(1, most + 1) for c in itertools.combinations(sizes, k) if c[-1] == sizes[-1]
            ]
            found = _fewer(sizes, most)
            assert len(found) <= most and cost(found) == min(map(cost, ways))
        assert _fewer(sizes, 0) == []


# ---- padding -----------------------------------------------------------------------------------------------------------
def test_a_padded_graph_is_a_graph():
    """Its structure is that of a graph made from its edges, and what is real is not changed."""
    given = gnn.batch(graphs())
    for nodes, edges, count in ((2, 0, 1), (2, 7, 1), (5, 3, 3), (6, 20, 1), (0, 0, 2), (0, 0, 0), (1, 0, 1)):
        n, e, g = given.num_nodes + nodes, given.num_edges + edges, given.num_graphs + count
        padded = gnn.pad(given, n, e, g)
        assert (padded.num_nodes, padded.num_edges, padded.num_graphs) == (n, e, g)
        again = gnn.Graph(padded.edge_index, num_nodes=n)
        for name in STRUCTURE[:7]:
            if name != "order":
                np.testing.assert_array_equal(
                    np.asarray(getattr(padded, name)), np.asarray(getattr(again, name)), err_msg=name
                )
        assert sorted(np.asarray(padded.order).tolist()) == list(range(e))
        starts, of = np.asarray(padded.node_starts), np.asarray(padded.node_graph)
        np.testing.assert_array_equal(of, np.repeat(np.arange(g), np.diff(starts)))
        assert (of[np.asarray(padded.source)] == of[np.asarray(padded.target)]).all()
        for mask, real, more in (
            (padded.node_mask, given.num_nodes, nodes),
            (padded.edge_mask, given.num_edges, edges),
            (padded.graph_mask, given.num_graphs, count),
        ):
            np.testing.assert_array_equal(np.asarray(mask), [True] * real + [False] * more)
        # What is real: the same fields; what is padding: an edge of the data, its nodes, their graph.
        back = gnn.unbatch(padded)
        for a, b in zip(back, gnn.unbatch(given), strict=True):
            assert_same(a, b)
        s, t = int(given.source[0]), int(given.target[0])
        for k in range(given.num_edges, e):
            np.testing.assert_array_equal(np.asarray(padded.edge_attr[k]), np.asarray(given.edge_attr[0]))
            for end, like in ((padded.source[k], s), (padded.target[k], t)):
                np.testing.assert_array_equal(np.asarray(padded.pos[int(end)]), np.asarray(given.pos[like]))
        for k in range(given.num_graphs, g):
            np.testing.assert_array_equal(
                np.asarray(padded.graph_data["cell"][k]), np.asarray(given.graph_data["cell"][0])
            )
    assert_same(gnn.pad(given, given.num_nodes, given.num_edges, given.num_graphs), given)


def test_padding_of_graphs_without_edges_and_without_nodes():
    lonely = gnn.Graph([], [[5.0]], y=[1.0], edge_attr=np.zeros((0, 2)))
    padded = gnn.pad(lonely, 3, 4, 2)
    assert padded.x[1:].tolist() == [[5.0], [5.0]] and not hs.any(padded.edge_attr)
    nothing = gnn.Graph([], np.zeros((0, 2)))
    padded = gnn.pad(nothing, 4, 2, 2)
    assert padded.x.shape == (4, 2) and not hs.any(padded.x) and padded.node_starts.tolist() == [0, 0, 4]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layers_do_not_see_padding(case):
    """Values and gradients by weights are those of the graph without it."""
    layer, graph = case.layer(), case.graph()
    assert graph.num_edges == EDGES.shape[1] == len(RELATION)
    padded = gnn.pad(graph, N + 6, graph.num_edges + 9, 3)
    y = case.call(layer, graph.x, graph)
    z = case.call(layer, padded.x, padded)
    np.testing.assert_allclose(np.asarray(z)[:N], np.asarray(y), rtol=1e-12, atol=1e-12)

    def loss(layer, x, graph):
        values = case.call(layer, x, graph) ** 2
        return hs.sum(hs.astype(graph.node_mask, values.dtype)[:, None] * values)

    gradient = hs.compile(hs.grad(loss, argnums=(0, 1) if hs.tree_leaves(layer) else (1,)))
    *expected, by_x = hs.tree_leaves(gradient(layer, graph.x, graph))
    *found, by_padded = hs.tree_leaves(gradient(layer, padded.x, padded))
    for a, b in zip([*expected, by_x], [*found, by_padded[:N]], strict=True):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=1e-10, atol=1e-10)
    assert not hs.any(by_padded[N:])


def test_pooling_and_norms_do_not_see_padding():
    given = gnn.batch(graphs())
    wide = given.replace(x=hs.astype(given.x, hs.float64))
    padded = gnn.pad(wide, 40, 60, 12)
    key = hs.random.key(0)
    set2set, gate = gnn.Set2Set(F, 3, key=key), gnn.AttentionPooling(hs.nn.Linear(F, 1, key=key))
    node = gnn.VirtualNode(F, hs.tanh)
    per_graph = [
        gnn.global_sum_pool, gnn.global_mean_pool, gnn.global_max_pool, set2set, gate,
        lambda x, g: node(x, node.start(g), g)[1],
    ]  # fmt: skip
    per_node = [
        gnn.GraphNorm(F),
        gnn.PairNorm(),
        gnn.PairNorm(individually=True),
        lambda x, g: node(x, node.start(g), g)[0],
    ]
    for f in per_graph:
        np.testing.assert_allclose(
            np.asarray(f(padded.x, padded))[: given.num_graphs],
            np.asarray(f(wide.x, wide)),
            rtol=1e-12,
            atol=1e-13,
        )
        assert bool(hs.all(hs.isfinite(f(padded.x, padded))))
    for f in per_node:
        np.testing.assert_allclose(
            np.asarray(f(padded.x, padded))[: given.num_nodes],
            np.asarray(f(wide.x, wide)),
            rtol=1e-12,
            atol=1e-13,
        )


def test_batch_norm_with_a_mask():
    """As of the rows in the mask alone, with gradients; rows outside may hold NaN."""
    rng = np.random.default_rng(3)
    rows, mask = rng.normal(size=(9, 4)) * 3 + 1, np.array([1, 1, 0, 1, 0, 1, 1, 0, 1], bool)
    norm = hs.nn.BatchNorm(4).replace(scale=hs.array(rng.normal(size=4)))
    few, after_few = norm(rows[mask])
    y, after = norm(rows, mask=mask)
    np.testing.assert_allclose(np.asarray(y)[mask], np.asarray(few), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(after.mean), np.asarray(after_few.mean), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(after.variance), np.asarray(after_few.variance), rtol=1e-12)
    every, _ = norm(rows, mask=np.ones(9, bool))
    np.testing.assert_allclose(np.asarray(every), np.asarray(norm(rows)[0]), rtol=1e-12)
    gone = np.where(mask[:, None], rows, np.nan)
    np.testing.assert_allclose(np.asarray(norm(gone, mask=mask)[0])[mask], np.asarray(few), rtol=1e-12)
    loss = lambda x, m: hs.sum(hs.where(hs.array(m)[:, None], hs.sin(norm(x, mask=m)[0]), 0.0))
    gradient = np.asarray(hs.grad(loss)(hs.array(rows), mask))
    alone = np.asarray(hs.grad(lambda x: hs.sum(hs.sin(norm(x)[0])))(hs.array(rows[mask])))
    np.testing.assert_allclose(gradient[mask], alone, rtol=1e-10, atol=1e-12)
    assert not gradient[~mask].any()
    image = norm(rows.reshape(3, 3, 4), mask=mask.reshape(3, 3))[0]
    np.testing.assert_allclose(np.asarray(image).reshape(9, 4), np.asarray(y), rtol=1e-12)
    for bad in (mask[:5], mask.astype(float), mask[:, None]):
        with pytest.raises(ValueError, match=r"BatchNorm: mask must hold a boolean per row, \(9,\), got"):
            norm(rows, mask=bad)


def test_energies_and_forces_of_padded_molecules():
    """Lengths of edges of padding are lengths of data, so nothing is NaN and forces are the same."""
    rng = np.random.default_rng(4)
    given = []
    for n in (3, 5, 2, 6):
        pos = rng.normal(size=(n, 3)) * 1.5
        given.append(gnn.radius_graph(pos, 3.0, z=rng.choice([1, 6, 8], n)))
    model = gnn.SchNet(8, 8, 2, 8, 3.0, key=hs.random.key(0))
    whole = gnn.batch(given)
    energies, forces = gnn.energy_and_forces(model, whole)
    padded = gnn.pad(whole, whole.num_nodes + 5, whole.num_edges + 13, 6)

    def loss(model, graph):
        e, f = gnn.energy_and_forces(model, graph)
        mask = hs.astype(graph.node_mask, f.dtype)[:, None]
        return hs.sum(hs.astype(graph.graph_mask, e.dtype) * e**2) + hs.sum(mask * f**2)

    e, f = hs.compile(lambda m, g: gnn.energy_and_forces(m, g))(model, padded)
    np.testing.assert_allclose(np.asarray(e)[:4], np.asarray(energies), rtol=1e-11)
    np.testing.assert_allclose(np.asarray(f)[: whole.num_nodes], np.asarray(forces), rtol=1e-9, atol=1e-11)
    a, b = (hs.compile(hs.grad(loss))(model, g) for g in (whole, padded))
    for x, y in zip(hs.tree_leaves(a), hs.tree_leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(y), np.asarray(x), rtol=1e-8, atol=1e-10)


def test_a_compiled_function_is_recorded_once_per_size():
    rng = np.random.default_rng(5)
    sizes = np.minimum(rng.geometric(0.1, size=200), 60)
    given = [some_graph(rng, int(n), int(2 * n)) for n in sizes]
    recorded = []

    @hs.compile
    def total(batch):
        recorded.append(batch.num_nodes)
        sums = gnn.global_sum_pool(batch.x, batch)
        return hs.sum(hs.astype(batch.graph_mask, sums.dtype)[:, None] * sums)

    expected = sum(float(hs.sum(g.x)) for g in given)
    for pad, most in ((True, 3), (1, 1), (5, 5)):
        loader = gnn.DataLoader(given, 16, shuffle=True, key=0, pad=pad)
        assert len(loader.sizes) <= most and list(loader.sizes) == sorted(loader.sizes)
        recorded.clear()
        for _ in range(4):
            assert abs(sum(float(total(b)) for b in loader) - expected) < 1e-2
        assert len(recorded) <= most
        assert loader.sizes[-1] == (np.sort(sizes)[-16:].sum() + 2, 2 * np.sort(sizes)[-16:].sum() + 1)
    usual = gnn.DataLoader(given, 16, shuffle=True, key=1, pad=True)
    first = [b.num_nodes == usual.sizes[0][0] for _ in range(10) for b in usual]
    assert np.mean(first) > 0.9  # the first size is for nearly all batches
    assert all(b.num_graphs == 17 for b in usual)


def test_sizes_given():
    given = graphs()
    sizes = [(40, 50), (9, 12)]
    loader = gnn.DataLoader(given, 2, pad=sizes)
    assert loader.sizes == ((9, 12), (40, 50)) and "padded to (9, 12), (40, 50)" in repr(loader)
    assert {(b.num_nodes, b.num_edges) for b in loader} <= set(sizes)
    assert len({(b.num_nodes, b.num_edges) for b in loader}) == 2
    one = gnn.DataLoader(given[:1] * 6, 3, pad=True)
    assert one.sizes == ((11, 13),)
    assert not np.asarray(next(iter(one)).edge_mask)[-1]  # the last edge is of padding
    # Padding of what is padded already is no data.
    assert gnn.DataLoader(gnn.pad(gnn.batch(given), 50, 60, 14), 2).num_graphs == len(given)


G = gnn.Graph([[0], [1]], [[1.0], [2.0]])


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: gnn.DataLoader([], 2), ValueError, "there are no graphs"),
        (lambda: gnn.DataLoader([G, 3], 2), TypeError, "item 1 is a int, not a Graph"),
        (lambda: gnn.DataLoader([G], 0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda: gnn.DataLoader([G], 2.0), TypeError, "batch_size must be an integer, got 2.0"),
        (lambda: gnn.DataLoader([G], 1, shuffle=3), TypeError, "shuffle must be True or False, got 3"),
        (lambda: gnn.DataLoader([G], 1, key=3), ValueError, "a key is for shuffle=True"),
        (lambda: gnn.DataLoader([G], 1, shuffle=True, key="k"), TypeError, "fold_in"),
        (lambda: gnn.DataLoader([G], 1, buckets=2), ValueError, "buckets are for shuffle=True"),
        (
            lambda: gnn.DataLoader([G], 1, shuffle=True, buckets=2),
            ValueError,
            "buckets must be at most the number of graphs, 1, got 2",
        ),
        (
            lambda: gnn.DataLoader([G], 1, shuffle=True, buckets=0),
            ValueError,
            "buckets must be at least 1, got 0",
        ),
        (lambda: gnn.DataLoader([G], 1, pad=0), ValueError, "pad must be at least 1, got 0"),
        (lambda: gnn.DataLoader([G], 1, pad="two"), TypeError, "pad must be True, False"),
        (
            lambda: gnn.DataLoader([G], 1, pad=[(3, 1)]),
            ValueError,
            r"none of the sizes \[\(3, 1\)\] .* add \(4, 2\)",
        ),
        (lambda: gnn.DataLoader([G], 1, pad=[]), ValueError, r"none of the sizes \[\] has room"),
        (lambda: gnn.DataLoader([G, gnn.Graph([[0], [1]])], 1), ValueError, "graph 1 has no x, graph 0 has"),
        (
            lambda: gnn.DataLoader([G.replace(y=hs.zeros(3))], 1),
            ValueError,
            r"y of shape \(3,\) has a row neither for each of 2 nodes nor for each of 1 graphs",
        ),
        (
            lambda: gnn.DataLoader([G.replace(graph_data={"cell": hs.zeros((3, 3))})], 1),
            ValueError,
            r"graph_data\.cell of shape \(3, 3\)",
        ),
        (lambda: gnn.DataLoader(G.replace(x=hs.sparse.identity(2)), 1), TypeError, "x is sparse"),
        (lambda: gnn.pad(3, 1, 1, 1), TypeError, "graph must be a Graph or a HeteroGraph, got a int"),
        (lambda: gnn.pad(G, 1, 1, 1), ValueError, "num_nodes must be at least 2, got 1"),
        (lambda: gnn.pad(G, 4, 1, 1), ValueError, "2 nodes are added, and no graph"),
        (lambda: gnn.pad(G, 3, 4, 2), ValueError, "3 edges are added, and too few nodes for them"),
        (lambda: gnn.pad(G, 3, 1.5, 2), TypeError, "num_edges must be an integer, got 1.5"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_padding_needs_data():
    with pytest.raises(TypeError, match="must hold data"):
        hs.compile(lambda g: gnn.pad(g, 4, 3, 2).x)(G)


def mixed_batch(edges):
    """Two graphs of two nodes, as PyTorch Geometric allows them: edges in any order."""
    graph = gnn.Graph(edges, num_nodes=4)
    return graph.replace(
        node_graph=hs.asarray([0, 0, 1, 1]),
        node_starts=hs.asarray([0, 2, 4]),
        graph_mask=hs.ones(2, dtype=hs.bool),
    )


def test_edges_of_a_batch_in_any_order():
    """`order` of a part names positions among its own edges."""
    batched = mixed_batch([[2, 0, 3, 1], [3, 1, 2, 0]])
    for parts in (gnn.unbatch(batched), list(gnn.DataLoader(batched, 1))):
        assert len(parts) == 2
        for part in parts:
            assert sorted(np.asarray(part.order).tolist()) == [0, 1]
            # Its first edge as given went from 0 to 1.
            assert np.asarray(part.edge_index)[:, int(np.argmin(np.asarray(part.order)))].tolist() == [0, 1]


def test_an_edge_between_two_graphs_of_a_batch_is_refused():
    batched = mixed_batch([[0, 2], [1, 0]])
    for what, use in {
        "DataLoader": lambda: gnn.DataLoader(batched, 1),
        "pad": lambda: gnn.pad(batched, 8, 8, 4),
        "unbatch": lambda: gnn.unbatch(batched),
    }.items():
        with pytest.raises(ValueError, match=f"{what}: graph 0 has an edge"):
            use()


def test_sizes_of_padding_are_whole_numbers():
    graphs = [gnn.Graph([[0], [1]])] * 3
    for pad in ([(10.9, 20)], [(10, "20")]):
        with pytest.raises(TypeError, match="DataLoader: pad must be True, False"):
            gnn.DataLoader(graphs, 2, pad=pad)
    assert len(gnn.DataLoader(graphs, 2, pad=np.True_).sizes) == len(
        gnn.DataLoader(graphs, 2, pad=True).sizes
    )
    assert len(gnn.DataLoader(graphs, 2, pad=np.False_).sizes) == 0
