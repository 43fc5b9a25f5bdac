"""Samples of large graphs: neighbours, walks, clusters, loaders; the same from the same key for any number of threads."""

import threading
import time

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

KEY = hs.random.key(11)


def large(n=2000, m=12000, seed=0, **more):
    rng = np.random.default_rng(seed)
    return gnn.Graph(
        rng.integers(n, size=(2, m)) ** 2 // n,  # some nodes have many edges, many have none
        rng.normal(size=(n, 3)),
        num_nodes=n,
        y=rng.integers(4, size=n),
        edge_attr=rng.normal(size=(m, 2)),
        node_data={"id": np.arange(n)},
        edge_data={"id": np.arange(m)},
        **more,
    )


GRAPH = large()


def check(sample, graph, seeds):
    """Nodes, edges and arrays are those of the graph, and all that belongs to a graph holds."""
    part, nodes, edges = sample.graph, np.asarray(sample.nodes), np.asarray(sample.edges)
    m, f = (nodes >= 0).sum(), (edges >= 0).sum()
    assert (nodes[m:] == -1).all() and (edges[f:] == -1).all()
    np.testing.assert_array_equal(nodes[: len(seeds)], seeds)
    np.testing.assert_array_equal(np.asarray(sample.seeds), np.arange(len(nodes)) < len(seeds))
    assert len(set(nodes[:m])) == m and len(set(edges[:f])) == f
    ends = np.asarray(part.edge_index)
    np.testing.assert_array_equal(nodes[ends[:, :f]], np.asarray(graph.edge_index)[:, edges[:f]])
    np.testing.assert_array_equal(np.asarray(part.x)[:m], np.asarray(graph.x)[nodes[:m]])
    np.testing.assert_array_equal(np.asarray(part.y)[:m], np.asarray(graph.y)[nodes[:m]])
    np.testing.assert_array_equal(np.asarray(part.node_data["id"])[:m], nodes[:m])
    np.testing.assert_array_equal(np.asarray(part.edge_attr)[:f], np.asarray(graph.edge_attr)[edges[:f]])
    np.testing.assert_array_equal(np.asarray(part.node_mask), np.arange(len(nodes)) < m)
    np.testing.assert_array_equal(np.asarray(part.edge_mask), np.arange(len(edges)) < f)
    np.testing.assert_array_equal(np.asarray(part.node_graph), np.arange(len(nodes)) >= m)
    if f:  # padding copies an edge and its ends
        assert {tuple(r) for r in np.asarray(part.x)[m:].tolist()} <= {
            tuple(r) for r in np.asarray(part.x)[:m].tolist()
        }
        assert (np.asarray(part.edge_attr)[f:] == np.asarray(part.edge_attr)[0]).all()
    again = gnn.Graph(ends, num_nodes=part.num_nodes)  # what the constructor makes of these edges
    for name in gnn.Graph.__buffers__[:7]:
        np.testing.assert_array_equal(np.asarray(getattr(part, name)), np.asarray(getattr(again, name)), name)
    return nodes[:m], edges[:f]


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("sizes", [(), (3,), (4, 2), (2, 5, -1), (0, 3)])
def test_neighbour_sample(sizes, pad):
    seeds = np.random.default_rng(1).permutation(GRAPH.num_nodes)[:40]
    sample = gnn.neighbour_sample(KEY, GRAPH, seeds, sizes, pad=pad)
    nodes, edges = check(sample, GRAPH, seeds)
    degree = np.asarray(GRAPH.degree())
    source, target = np.asarray(GRAPH.edge_index)
    frontier, known = set(seeds.tolist()), set(seeds.tolist())
    counts = np.bincount(target[edges], minlength=GRAPH.num_nodes)
    for size in sizes:
        for v in frontier:
            assert counts[v] == (degree[v] if size < 0 else min(size, degree[v]))
        reached = set(source[edges[np.isin(target[edges], list(frontier))]].tolist())
        frontier = reached - known
        known |= frontier
    assert set(nodes.tolist()) == known and counts[list(frontier)].sum() == 0


def test_all_neighbours_give_the_same_result():
    """With every edge and as many hops as layers, seeds get what they get in the large graph."""
    seeds = np.arange(300, 330)
    sample = gnn.neighbour_sample(KEY, GRAPH, seeds, [-1, -1], pad=True)
    one, two = gnn.SAGEConv(3, 5, key=KEY), gnn.GATConv(5, 2, key=KEY)
    run = lambda g: two(hs.tanh(one(g.x, g)), g)
    np.testing.assert_allclose(np.asarray(run(sample.graph))[:30], np.asarray(run(GRAPH))[seeds], rtol=1e-12)
    # No gradient comes from padding.
    assert sample.graph.num_nodes > int((sample.nodes >= 0).sum())
    g = hs.grad(lambda x: hs.sum(two(hs.tanh(one(x, sample.graph)), sample.graph)[:30] ** 2))(sample.graph.x)
    assert bool(hs.all(hs.isfinite(g))) and not np.asarray(g)[np.asarray(sample.nodes) < 0].any()


def test_neighbours_are_uniform():
    star = gnn.Graph([range(1, 9), [0] * 8])
    counts = np.zeros(9)
    for k in range(3000):
        counts[np.asarray(gnn.neighbour_sample(hs.random.key(k), star, [0], [3]).nodes)[1:]] += 1
    chi2 = ((counts[1:] - 3000 * 3 / 8) ** 2 / (3000 * 3 / 8)).sum()
    assert chi2 < 25  # 7 degrees of freedom, and less for draws without replacement
    assert counts[1:].sum() == 9000


def test_samples_come_from_the_key():
    seeds = np.arange(50)
    draw = lambda k: np.asarray(gnn.neighbour_sample(hs.random.key(k), GRAPH, seeds, [3, 3]).edges)
    np.testing.assert_array_equal(draw(1), draw(1))
    assert len(draw(1)) != len(draw(2)) or (draw(1) != draw(2)).any()


def test_induced_sample():
    nodes = np.random.default_rng(2).permutation(GRAPH.num_nodes)[:500]
    sample = gnn.induced_sample(GRAPH, nodes, pad=True)
    check(sample, GRAPH, nodes)
    whole = GRAPH.subgraph(nodes)
    part = gnn.induced_sample(GRAPH, nodes).graph
    for name in ("edge_index", "target_starts", "by_source", "x", "y", "edge_attr"):
        np.testing.assert_array_equal(np.asarray(getattr(part, name)), np.asarray(getattr(whole, name)), name)
    mask = np.zeros(GRAPH.num_nodes, bool)
    mask[[5, 3]] = True
    np.testing.assert_array_equal(np.asarray(gnn.induced_sample(GRAPH, mask).nodes), [3, 5])
    empty = gnn.induced_sample(GRAPH, np.zeros(0, int))
    assert (empty.graph.num_nodes, empty.graph.num_edges) == (0, 0)
    assert gnn.induced_sample(GRAPH, np.zeros(0, int), pad=True).graph.num_nodes == 0
    alone = gnn.induced_sample(gnn.Graph(np.zeros((2, 0), int), np.ones((3, 1))), [1], pad=True)
    assert alone.nodes.tolist() == [1, -1, -1] and alone.graph.num_edges == 0


def test_padding_gives_few_sizes():
    from hesse.gnn._sampled import _rounded

    sizes = sorted({_rounded(n) for n in range(1, 100_000)})
    assert len(sizes) < 4 * 17 + 4 and all(_rounded(n) >= n for n in range(300))
    assert max((_rounded(n) - n) / n for n in range(1, 5000)) <= 0.25


def test_uniform_walks():
    walks = np.asarray(gnn.random_walks(KEY, GRAPH, np.arange(2000), 7))
    assert walks.shape == (2000, 8) and (walks[:, 0] == np.arange(2000)).all()
    edges = set(zip(*np.asarray(GRAPH.edge_index).tolist(), strict=True))
    out = np.asarray(GRAPH.degree("out"))
    for a, b in zip(walks[:, :-1].ravel().tolist(), walks[:, 1:].ravel().tolist(), strict=True):
        assert (a, b) in edges if out[a] else a == b
    once = gnn.random_walks(KEY, GRAPH, [7], 4)
    np.testing.assert_array_equal(
        np.asarray(gnn.random_walks(KEY, GRAPH, [7, 8, 9], 4))[:1], np.asarray(once)
    )


@pytest.mark.parametrize("p, q", [(0.25, 4.0), (4.0, 0.25), (1e6, 1e-3), (1e-4, 1.0), (2.0, 2.0)])
def test_biased_walks(p, q):
    """How often the second step goes where, against the probabilities of node2vec's equation 2."""
    edges = np.array([[0, 1], [1, 0], [1, 2], [1, 3], [1, 4], [0, 2], [2, 0], [3, 1], [4, 4], [0, 0]]).T
    graph = gnn.Graph(edges, num_nodes=5)
    walks = np.asarray(gnn.random_walks(KEY, graph, np.zeros(30000, int), 2, p=p, q=q))
    walks = walks[walks[:, 1] == 1]
    assert 8000 < len(walks) < 12000  # a third
    weight = {0: 1 / p, 2: 1.0, 3: 1 / q, 4: 1 / q}  # from 0 there are edges to 0, 1 and 2
    expected = np.array([weight.get(v, 0.0) for v in range(5)])
    expected = expected / expected.sum()
    found = np.bincount(walks[:, 2], minlength=5) / len(walks)
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(0.25 / len(walks)))


def test_random_walk_sample():
    roots = np.array([4, 9, 4, 100])
    sample = gnn.random_walk_sample(KEY, GRAPH, roots, 5)
    walks = np.asarray(gnn.random_walks(KEY, GRAPH, roots, 5))
    nodes = np.asarray(sample.nodes)
    assert set(nodes.tolist()) == set(walks.ravel().tolist()) and nodes[:3].tolist() == [4, 9, 100]
    check(sample, GRAPH, nodes)
    assert bool(hs.all(sample.seeds))


def grid(n):
    i = np.arange(n * n).reshape(n, n)
    a = np.concatenate([i[:, :-1].ravel(), i[:-1].ravel()])
    b = np.concatenate([i[:, 1:].ravel(), i[1:].ravel()])
    return gnn.Graph([[*a], [*b]], num_nodes=n * n).undirected()


def cut(graph, part):
    s, t = np.asarray(graph.edge_index)
    return (part[s] != part[t]).mean()


def test_clusters():
    graph, count = grid(40), 16
    part = np.asarray(gnn.clusters(KEY, graph, count))
    sizes = np.bincount(part, minlength=count)
    assert len(sizes) == count and sizes.min() >= 95 and sizes.max() <= 105
    # A random partition cuts 15/16 of the edges, squares of 10 x 10 cut 8 %.
    assert cut(graph, part) < 0.2
    np.testing.assert_array_equal(part, np.asarray(gnn.clusters(KEY, graph, count)))
    parts = [np.flatnonzero(part == c) for c in range(count)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(1600))
    inside = sum(gnn.induced_sample(graph, nodes).graph.num_edges for nodes in parts)
    assert inside == round((1 - cut(graph, part)) * graph.num_edges)


def test_clusters_are_communities():
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(5), 40)
    a = rng.random((200, 200)) < np.where(label[:, None] == label, 0.3, 0.005)
    part = np.asarray(gnn.clusters(KEY, gnn.from_dense(a.astype(float)), 5))
    assert np.mean([np.bincount(part[label == c]).max() / 40 for c in range(5)]) > 0.8


def test_clusters_of_few():
    assert np.asarray(gnn.clusters(KEY, gnn.Graph(np.zeros((2, 0), int), num_nodes=0), 3)).shape == (0,)
    alone = np.asarray(gnn.clusters(KEY, gnn.Graph(np.zeros((2, 0), int), num_nodes=5), 3))
    assert sorted(np.bincount(alone)) == [1, 2, 2]
    assert np.asarray(gnn.clusters(KEY, GRAPH, 1)).max() == 0


def test_clusters_by_metis():
    pytest.importorskip("pymetis", reason="pymetis is not installed: no partition by METIS")
    graph = grid(20)
    part = np.asarray(gnn.clusters(KEY, graph, 4, method="metis"))
    assert np.bincount(part, minlength=4).min() > 90 and cut(graph, part) < 0.1
    np.testing.assert_array_equal(part, np.asarray(gnn.clusters(KEY, graph, 4, method="metis")))
    with pytest.raises(ValueError, match="METIS makes at most a part per node, got count=5 for 4 nodes"):
        gnn.clusters(KEY, grid(2), 5, method="metis")


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_loader(threads):
    nodes = np.arange(100, 400)
    make = lambda threads: gnn.NeighbourLoader(
        GRAPH, nodes, [3, 2], 64, shuffle=True, key=KEY, pad=True, threads=threads, ahead=3
    )
    loader = make(threads)
    assert len(loader) == 5
    batches, alone = list(loader), list(make(0))
    seen = []
    for a, b in zip(batches, alone, strict=True):
        assert all(
            bool(hs.array_equal(u, v)) for u, v in zip(hs.tree_leaves(a), hs.tree_leaves(b), strict=True)
        )
        chosen = np.asarray(a.nodes)[np.asarray(a.seeds)]
        check(a, GRAPH, chosen)
        seen.append(chosen)
    assert [len(s) for s in seen] == [64] * 4 + [44]
    together = np.concatenate(seen)
    assert (np.sort(together) == nodes).all() and (together != nodes).any()
    chosen = lambda loader: np.concatenate([np.asarray(b.nodes)[np.asarray(b.seeds)] for b in loader])
    other = chosen(loader)
    assert (other != together).any() and loader.epoch == 2
    again = make(0)
    again.epoch = 1
    np.testing.assert_array_equal(chosen(again), other)
    ordered = gnn.NeighbourLoader(GRAPH, nodes, [2], 64, drop_last=True, threads=threads, key=3)
    assert len(ordered) == 4
    np.testing.assert_array_equal(chosen(ordered), nodes[:256])


def test_loader_trains():
    """Few programs are prepared, and a model trained on samples is right on the whole graph."""
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=1500)
    ends = rng.integers(1500, size=(2, 40000))
    ends = ends[:, (label[ends[0]] == label[ends[1]]) | (rng.random(40000) < 0.1)]
    x = rng.normal(size=(1500, 6)) + 0.7 * np.eye(6)[label]
    graph = gnn.Graph(ends, x, y=label)

    class Net(hs.nn.Module):
        one: gnn.SAGEConv
        two: gnn.SAGEConv

        def __call__(self, graph):
            return self.two(hs.nn.relu(self.one(graph.x, graph)), graph)

    net, adam, traced = (
        Net(gnn.SAGEConv(6, 16, key=KEY), gnn.SAGEConv(16, 3, key=KEY)),
        hs.optim.adam(0.02),
        [],
    )

    @hs.compile
    def step(net, state, batch):
        traced.append(batch.graph.num_nodes)
        loss = lambda net: hs.nn.softmax_cross_entropy(net(batch.graph), batch.graph.y, batch.seeds)
        return adam.update(hs.grad(loss)(net), state, net)

    state, steps = adam.init(net), 0
    loader = gnn.NeighbourLoader(
        graph, np.arange(1000), [5, 5], 100, shuffle=True, key=0, pad=True, threads=2
    )
    for _ in range(6):
        for batch in loader:
            net, state = step(net, state, batch)
            steps += 1
    assert steps == 60 and len(traced) < 10
    assert gnn.accuracy(net(graph), label, np.arange(1500) >= 1000) > 0.9


def test_prefetch():
    busy, most, lock = [0], [0], threading.Lock()

    def work(k):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.01)
        with lock:
            busy[0] -= 1
        if k == 7:
            raise ValueError("seven")
        return k * k

    found = []
    with pytest.raises(ValueError, match="seven"):
        for y in gnn.prefetch(work, range(20), threads=3):
            found.append(y)
    assert found == [k * k for k in range(7)] and 2 <= most[0] <= 3 and busy[0] == 0
    drawn = []
    for y in gnn.prefetch(lambda k: drawn.append(k) or k, range(1000), threads=2, ahead=4):
        if y == 3:
            break
    assert len(drawn) < 20  # what was not asked for is not computed
    before = threading.active_count()
    assert list(gnn.prefetch(abs, [-1, -2], threads=2)) == [1, 2] and threading.active_count() == before
    assert list(gnn.prefetch(abs, [], threads=2)) == []


def test_a_batch_costs_what_it_holds():
    """No work in proportion to the graph: a hundred times the nodes and edges take about as long."""

    def seconds(n):
        rng = np.random.default_rng(0)
        graph = gnn.Graph(rng.integers(n, size=(2, 10 * n)), num_nodes=n)
        seeds = np.arange(0, 64)
        best = np.inf
        for k in range(5):
            begin = time.perf_counter()
            gnn.neighbour_sample(hs.random.key(k), graph, seeds, [5, 5], pad=True)
            best = min(best, time.perf_counter() - begin)
        return best

    assert seconds(200_000) < 20 * seconds(5_000) + 0.01


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: gnn.neighbour_sample(KEY, None, [0], [1]), TypeError, "graph must be a hs.gnn.Graph"),
        (
            lambda: gnn.neighbour_sample(KEY, GRAPH, [2000], [1]),
            IndexError,
            "node 2000 is out of range for 2000 nodes",
        ),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, [-1], [1]), IndexError, "node -1 is out of range"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, [3, 4, 3], [1]), ValueError, "node 3 is given twice"),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, [0.5], [1]), TypeError, "must be a vector of integers"),
        (
            lambda: gnn.neighbour_sample(KEY, GRAPH, [0], 3),
            ValueError,
            "sizes must be an integer for every hop",
        ),
        (lambda: gnn.neighbour_sample(KEY, GRAPH, [0], [-2]), ValueError, "-1 for all neighbours, got"),
        (
            lambda: gnn.neighbour_sample(7, GRAPH, [0], [1]),
            TypeError,
            "neighbour_sample: key must be a random key",
        ),
        (lambda: gnn.induced_sample(GRAPH, [1, 1]), ValueError, "induced_sample: node 1 is given twice"),
        (lambda: gnn.random_walks(KEY, GRAPH, [0], -1), ValueError, "steps must not be negative, got -1"),
        (lambda: gnn.random_walks(KEY, GRAPH, [0], 1, p=0.0), ValueError, "p must be positive, got 0"),
        (lambda: gnn.random_walks(KEY, GRAPH, [0], 1, q=np.nan), ValueError, "q must be positive"),
        (
            lambda: gnn.random_walks(KEY, GRAPH, [2001], 1),
            IndexError,
            "random_walks: node 2001 is out of range",
        ),
        (lambda: gnn.clusters(KEY, GRAPH, 0), ValueError, "count must be positive, got 0"),
        (
            lambda: gnn.clusters(KEY, GRAPH, 2, method="best"),
            ValueError,
            "method must be 'growing' or 'metis'",
        ),
        (lambda: gnn.NeighbourLoader(GRAPH, [0], [1], 0), ValueError, "batch_size must be positive, got 0"),
        (lambda: gnn.NeighbourLoader(GRAPH, [0], [1], 1, key=1.5), TypeError, "key"),
        (lambda: gnn.NeighbourLoader(GRAPH, [0, 0], [1], 1), ValueError, "a node is given twice"),
        (lambda: gnn.NeighbourLoader(GRAPH, [5000], [1], 1), IndexError, "nodes are 0 to 1999, got 5000"),
        (lambda: gnn.prefetch(abs, [], threads=-1), ValueError, "threads must not be negative, got -1"),
        (lambda: gnn.prefetch(3, []), TypeError, "prefetch"),
    ],
)
def test_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_refuses_sparse_features():
    sparse = GRAPH.replace(x=hs.sparse.from_dense(np.eye(2000)))
    with pytest.raises(TypeError, match="neighbour_sample: x is sparse; use"):
        gnn.neighbour_sample(KEY, sparse, [0], [1])


def test_fields_changed_by_hand_are_met_with_an_error():
    """Nothing outside of the arrays is read, whatever they hold."""
    n = GRAPH.num_nodes
    for field, value, words in [
        ("source", GRAPH.source + n, "a neighbour .* is out of range"),
        ("source", GRAPH.source[:5], "the edges of node .* are .* of 5"),
        ("target_starts", GRAPH.target_starts * 3, "the edges of node"),
        ("target_starts", -GRAPH.target_starts, "the edges of node"),
    ]:
        broken = GRAPH.replace(**{field: value})
        with pytest.raises((ValueError, IndexError), match=words):
            gnn.neighbour_sample(KEY, broken, np.arange(1500), [-1, -1])
    broken = GRAPH.replace(targets_by_source=GRAPH.targets_by_source - n)
    with pytest.raises(IndexError, match="a neighbour .* is out of range"):
        gnn.random_walks(KEY, broken, np.arange(n), 3)
