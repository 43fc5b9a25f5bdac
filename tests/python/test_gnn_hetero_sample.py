"""Samples of graphs with several types of nodes and edges, and their loaders."""

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

KEY = hs.random.key(4)
W, C, R, V = (
    ("author", "writes", "paper"),
    ("paper", "cites", "paper"),
    ("paper", "rev", "author"),
    ("venue", "hosts", "paper"),
)
COUNTS = {"author": 300, "paper": 900, "venue": 7, "editor": 0}


def large(seed=0):
    rng = np.random.default_rng(seed)
    ends = lambda a, b, m: np.stack(
        [rng.integers(COUNTS[a], size=m), rng.integers(COUNTS[b], size=m) ** 2 // COUNTS[b]]
    )
    edges = {t: ends(t[0], t[2], m) for t, m in ((W, 2000), (C, 3000), (R, 2500), (V, 900))}
    return gnn.HeteroGraph(
        edges,
        {"author": rng.normal(size=(300, 3)), "paper": rng.normal(size=(900, 5)), "venue": rng.normal(size=(7, 2))},
        num_nodes=COUNTS,
        y={"paper": rng.integers(4, size=900)},
        node_data={k: {"id": np.arange(n)} for k, n in COUNTS.items()},
        edge_attr={R: rng.normal(size=(2500, 2))},
        edge_weight={W: rng.uniform(size=2000)},
        edge_data={C: {"id": np.arange(3000)}},
        graph_data={"name": [1.0]},
    )  # fmt: skip


GRAPH = large()
SEEDS = np.random.default_rng(1).permutation(900)[:40]


def ends(graph, edge_type):
    return np.asarray(graph[edge_type].edge_index)


def check(sample, graph, seeds):
    """Numbers of nodes and edges are those of the graph, arrays have its rows, and all holds that belongs to a graph."""
    part, nodes, edges = sample.graph, {}, {}
    assert part.node_types == graph.node_types and part.edge_types == graph.edge_types
    for k in graph.node_types:
        ids = np.asarray(sample.nodes[k])
        m = (ids >= 0).sum()
        own = np.asarray(seeds.get(k, []), int)
        assert (
            (ids[m:] == -1).all() and len(set(ids[:m])) == m == len(ids[:m]) and part.num_nodes(k) == len(ids)
        )
        np.testing.assert_array_equal(ids[: len(own)], own)
        np.testing.assert_array_equal(np.asarray(sample.seeds[k]), np.arange(len(ids)) < len(own))
        np.testing.assert_array_equal(np.asarray(part.node_data[k]["id"])[:m], ids[:m])
        np.testing.assert_array_equal(np.asarray(part.node_graph[k]), np.arange(len(ids)) >= m)
        np.testing.assert_array_equal(np.asarray(part.node_mask(k)), ids >= 0)
        np.testing.assert_array_equal(np.asarray(part.node_starts[k])[:2], [0, m])
        for rows in ("x", "y"):
            assert (k in getattr(part, rows)) == (k in getattr(graph, rows))
            if k in getattr(graph, rows):
                whole = np.asarray(getattr(graph, rows)[k])
                found = np.asarray(getattr(part, rows)[k])
                np.testing.assert_array_equal(found[:m], whole[ids[:m]])
                assert np.isin(found[m:], whole).all()
        nodes[k] = ids[:m]
    for t in graph.edge_types:
        which = np.asarray(sample.edges[t])
        f = (which >= 0).sum()
        assert (which[f:] == -1).all() and len(set(which[:f])) == f
        a, _, b = t
        s, d = ends(part, t)
        assert (s[f:] >= len(nodes[a])).all() and (d[f:] >= len(nodes[b])).all()  # padding joins padding
        assert a != b or (s[f:] != d[f:]).all()
        np.testing.assert_array_equal(
            np.stack([nodes[a][s[:f]], nodes[b][d[:f]]]), ends(graph, t)[:, which[:f]]
        )
        for name in ("edge_attr", "edge_weight"):
            whole, found = getattr(graph[t], name), getattr(part[t], name)
            assert (whole is None) == (found is None)
            if whole is not None:
                np.testing.assert_array_equal(np.asarray(found)[:f], np.asarray(whole)[which[:f]])
        if t == C:
            np.testing.assert_array_equal(
                np.asarray(part[t].edge_data["id"])[:f], np.asarray(graph[t].edge_data["id"])[which[:f]]
            )
        edges[t] = which[:f]
    return nodes, edges


SIZES = {
    "none": (),
    "one hop": (3,),
    "two": (4, 2),
    "all, then some": (-1, 3, 2),
    "by type": {W: (2, 3), C: (0, 4), R: (-1, -1), V: (1, 0)},
}


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_hop_by_hop(sizes, pad):
    """Of each node that the hop before found, as many edges of each type as asked for, or all that there are."""
    seeds = {"paper": SEEDS, "venue": [2]}
    nodes, edges = check(gnn.neighbour_sample(KEY, GRAPH, seeds, sizes, pad=pad), GRAPH, seeds)
    of_type = sizes if isinstance(sizes, dict) else dict.fromkeys(GRAPH.edge_types, sizes)
    taken = {t: np.bincount(ends(GRAPH, t)[1, e], minlength=COUNTS[t[2]]) for t, e in edges.items()}
    known = {k: set(map(int, seeds.get(k, []))) for k in COUNTS}
    frontier = {k: set(v) for k, v in known.items()}
    for hop in range(len(of_type[W])):
        reached = {k: set() for k in COUNTS}
        for t in GRAPH.edge_types:
            s, d = ends(GRAPH, t)
            degree = np.bincount(d, minlength=COUNTS[t[2]])
            for v in frontier[t[2]]:
                size = of_type[t][hop]
                assert taken[t][v] == (degree[v] if size < 0 else min(size, degree[v]))
                taken[t][v] = 0
            mine = edges[t][np.isin(d[edges[t]], list(frontier[t[2]]))]
            reached[t[0]] |= set(s[mine].tolist())
        frontier = {k: reached[k] - known[k] for k in COUNTS}
        known = {k: known[k] | reached[k] for k in COUNTS}
    assert {k: set(v.tolist()) for k, v in nodes.items()} == known
    assert not any(n.any() for n in taken.values())  # no edges but these


def test_all_neighbours_as_in_the_graph_of_one_type():
    """The same nodes and edges as from the one graph of all types, and models give the seeds the same."""
    one = GRAPH.to_homogeneous()
    first = dict(zip(COUNTS, np.cumsum([0, *COUNTS.values()]), strict=False))
    whole = gnn.neighbour_sample(KEY, one, SEEDS + first["paper"], [-1, -1])
    part = gnn.neighbour_sample(KEY, GRAPH, {"paper": SEEDS}, [-1, -1], pad=True)
    nodes, edges = check(part, GRAPH, {"paper": SEEDS})
    assert sorted(np.asarray(whole.nodes).tolist()) == sorted(
        np.concatenate([nodes[k] + first[k] for k in COUNTS]).tolist()
    )
    by_type = np.bincount(np.asarray(whole.graph.edge_data["type"]), minlength=4).tolist()
    assert by_type == [len(edges[t]) for t in GRAPH.edge_types]
    sizes = {"author": 3, "paper": 5, "venue": 2}
    key = lambda k: hs.random.fold_in(KEY, k)
    convs = [
        gnn.HeteroConv({t: gnn.SAGEConv((sizes[t[0]], sizes[t[2]]) if t[0] != t[2] else 5, 4, key=key(i))
                        for i, t in enumerate(GRAPH.edge_types)}),
        gnn.HeteroConv({W: gnn.SAGEConv((4, 4), 3, key=key(8)), C: gnn.SAGEConv(4, 3, key=key(9))}),
    ]  # fmt: skip

    def run(graph):
        x = {k: hs.tanh(v) for k, v in convs[0](graph.x, graph).items()}
        return convs[1](x, graph)["paper"]

    np.testing.assert_allclose(np.asarray(run(part.graph))[:40], np.asarray(run(GRAPH))[SEEDS], rtol=1e-12)


def test_one_type_is_drawn_as_a_graph_is():
    rng = np.random.default_rng(2)
    index = rng.integers(500, size=(2, 4000))
    plain, typed = gnn.Graph(index, num_nodes=500), gnn.HeteroGraph({C: index}, num_nodes={"paper": 500})
    a = gnn.neighbour_sample(KEY, plain, SEEDS[SEEDS < 500], (3, 2))
    b = gnn.neighbour_sample(KEY, typed, {"paper": SEEDS[SEEDS < 500]}, (3, 2))
    np.testing.assert_array_equal(np.asarray(a.nodes), np.asarray(b.nodes["paper"]))
    np.testing.assert_array_equal(np.asarray(a.edges), np.asarray(b.edges[C]))
    np.testing.assert_array_equal(np.asarray(a.graph.edge_index), ends(b.graph, C))


def test_every_neighbour_is_as_likely():
    star = gnn.HeteroGraph({W: [range(8), [0] * 8], V: [range(4), [0] * 4]})
    counts = {"author": np.zeros(8), "venue": np.zeros(4)}
    draws = 2000
    for k in range(draws):
        nodes = gnn.neighbour_sample(hs.random.key(k), star, {"paper": [0]}, {W: [3], V: [1]}).nodes
        for kind, n in counts.items():
            n[np.asarray(nodes[kind])] += 1
    for kind, size in (("author", 3), ("venue", 1)):
        expected = draws * size / len(counts[kind])
        assert counts[kind].sum() == draws * size
        assert (((counts[kind] - expected) ** 2) / expected).sum() < 25


def test_empty():
    sample = gnn.neighbour_sample(KEY, GRAPH, {}, (2, 2), pad=True)
    assert {k: int((v >= 0).sum()) for k, v in sample.nodes.items()} == dict.fromkeys(COUNTS, 0)
    assert sample.graph.num_nodes("editor") == 0 and sample.graph.num_nodes("venue") == 2
    lonely = gnn.HeteroGraph({W: np.zeros((2, 0), int)}, num_nodes={"author": 2, "paper": 3})
    sample = gnn.neighbour_sample(KEY, lonely, {"paper": [2, 0]}, (-1,), pad=True)
    assert sample.nodes["paper"].tolist()[:2] == [2, 0] and sample.graph[W].num_edges == 0
    nothing = gnn.HeteroGraph({})
    assert gnn.neighbour_sample(KEY, nothing, {}, (1,)).nodes == {}


def test_loader():
    train = np.zeros(900, bool)
    train[SEEDS] = True
    options = {"sizes": dict.fromkeys(GRAPH.edge_types, (3, 2)), "batch_size": 16, "key": 3}
    loader = gnn.NeighbourLoader(GRAPH, {"paper": train}, **options, shuffle=True)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    seen = np.concatenate([np.asarray(b.nodes["paper"])[np.asarray(b.seeds["paper"])] for b in batches])
    assert sorted(seen.tolist()) == sorted(SEEDS.tolist())
    again = list(loader)  # another order, another sample
    assert np.asarray(again[0].nodes["paper"]).tolist()[:16] != seen[:16].tolist()
    for threads in (0, 2, 3):
        same = gnn.NeighbourLoader(GRAPH, {"paper": train}, **options, shuffle=True, threads=threads)
        for a, b in zip(batches, same, strict=True):
            check(b, GRAPH, {"paper": np.asarray(b.nodes["paper"])[np.asarray(b.seeds["paper"])]})
            for k in GRAPH.node_types:
                np.testing.assert_array_equal(np.asarray(a.nodes[k]), np.asarray(b.nodes[k]))
            for t in GRAPH.edge_types:
                np.testing.assert_array_equal(np.asarray(a.edges[t]), np.asarray(b.edges[t]))


def test_training_on_padded_batches_is_recorded_once():
    calls = []

    def loss(conv, batch):
        calls.append(1)
        logits = conv(batch.graph.x, batch.graph)["paper"]
        weights = hs.astype(batch.seeds["paper"], hs.float64)
        return hs.nn.softmax_cross_entropy(logits, batch.graph.y["paper"], weights=weights)

    conv = gnn.HeteroConv({W: gnn.SAGEConv((3, 5), 4, key=KEY), C: gnn.SAGEConv(5, 4, key=KEY)})
    make = lambda pad: gnn.NeighbourLoader(GRAPH, {"paper": range(900)}, (2,), batch_size=47, key=1, pad=pad)
    plain = [float(loss(conv, batch)) for batch in make(False)]
    calls.clear()
    compiled, loader = hs.compile(loss), make(True)
    padded = [float(compiled(conv, batch)) for batch in loader]
    assert len(padded) == 20 and len(calls) <= 2  # what eight samples have is enough, also for the last batch
    np.testing.assert_allclose(padded, plain, rtol=1e-12)
    # Where a batch is larger than those eight, all types get more, by the same factor.
    nodes, edges = loader._largest
    loader._largest = (
        {k: max(n // 2, min(n, 1)) for k, n in nodes.items()},
        {t: n // 3 for t, n in edges.items()},
    )
    for a, b in zip(make(True), make(True), strict=True):
        check(a, GRAPH, {"paper": np.asarray(a.nodes["paper"])[np.asarray(a.seeds["paper"])]})
        assert hs.tree_structure(a.graph) == hs.tree_structure(b.graph)
    loader.epoch = 0
    for batch, expected in zip(loader, plain, strict=True):
        check(batch, GRAPH, {"paper": np.asarray(batch.nodes["paper"])[np.asarray(batch.seeds["paper"])]})
        np.testing.assert_allclose(float(loss(conv, batch)), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: gnn.neighbour_sample(KEY, GRAPH, SEEDS, (1,)), TypeError, r"for a HeteroGraph nodes must be a dict by types of nodes, such as \{'author': nodes\}, got ndarray"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, {"papers": SEEDS}, (1,)), ValueError, "no nodes of type 'papers'; types are author, paper"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, {"paper": [900]}, (1,)), IndexError, "node 900 is out of range for 900 nodes"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, {"paper": [3, 3]}, (1,)), ValueError, "node 3 is given twice"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, {"paper": [1.5]}, (1,)), TypeError, r"nodes\['paper'\] must be a vector of integers, or of booleans for the 900 nodes"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, {"paper": SEEDS}, (-2,)), ValueError, "sizes must be an integer for every hop"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, {"paper": SEEDS}, {W: (1,)}), ValueError, "sizes must have as many hops for each of .*hosts.*, 0 for a type to leave out"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, {"paper": SEEDS}, {W: (1,), C: (1, 2), R: (1,), V: (1,)}), ValueError, "as many hops for each"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, {"paper": SEEDS}, {W: (1,), C: "a", R: (1,), V: (1,)}), ValueError, r"sizes\[\('paper', 'cites', 'paper'\)\] must be an integer"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH.replace(x={"paper": hs.sparse.from_dense(hs.ones((900, 2)))}), {"paper": SEEDS}, (1,)), TypeError, r"x\['paper'\] is sparse"),
        (lambda: gnn.neighbour_sample(3, GRAPH, {"paper": SEEDS}, (1,)), TypeError, "key must be a random key"),
        *((call, TypeError, f"{name}: graph must be a hs.gnn.Graph, got HeteroGraph; take the edges within one type of nodes, such as graph.*cites.*, or all types as one graph, graph.to_homogeneous") for name, call in (
            ("induced_sample", lambda: gnn.induced_sample(GRAPH, SEEDS)),
            ("random_walks", lambda: gnn.random_walks(KEY, GRAPH, SEEDS, 2)),
            ("random_walk_sample", lambda: gnn.random_walk_sample(KEY, GRAPH, SEEDS, 2)),
            ("clusters", lambda: gnn.clusters(KEY, GRAPH, 2)),
        )),
        (lambda: gnn.NeighbourLoader(GRAPH, SEEDS, (1,), 8), TypeError, "for a HeteroGraph nodes must be a dict with one type of nodes, got"),
        (lambda: gnn.NeighbourLoader(GRAPH, {"paper": SEEDS, "author": [1]}, (1,), 8), TypeError, "got the types paper, author"),
        (lambda: gnn.NeighbourLoader(GRAPH, {"paper": [900]}, (1,), 8), IndexError, "nodes are 0 to 899, got 900 to 900"),
        (lambda: gnn.NeighbourLoader(GRAPH, {"paper": [1, 1]}, (1,), 8), ValueError, "a node is given twice"),
    ],
)  # fmt: skip
def test_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()
