"""Graphs with several types of nodes and edges: against NumPy, against PyTorch Geometric, and what is refused."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import hesse as hs
from hesse import gnn
from test_gnn_graph import Data, Tensor
from test_gnn_loader import assert_same
from test_gnn_pyg import net, with_, with_linear

WORKER = Path(__file__).parents[1] / "support" / "pyg_hetero_worker.py"
KEY = hs.random.key(0)
RNG = np.random.default_rng(3)
W, C, R, V = (
    ("author", "writes", "paper"),
    ("paper", "cites", "paper"),
    ("paper", "rev", "author"),
    ("venue", "hosts", "paper"),
)
TYPES = {"writes": W, "cites": C, "rev": R, "hosts": V}
SIZES = {"author": 4, "paper": 6, "venue": 2}
# Unsorted, with a duplicate (writes), a self-loop (cites), nodes without edges (author 3, paper 5).
EDGES = {
    W: np.array([[0, 2, 1, 0, 0], [4, 0, 1, 4, 3]]),
    C: np.array([[5, 1, 2, 0], [0, 0, 2, 1]]),
    R: np.array([[4, 0, 1, 3], [0, 2, 1, 0]]),
    V: np.array([[1, 0, 1, 1], [3, 0, 1, 0]]),
}
X = {"author": RNG.normal(size=(4, 3)), "paper": RNG.normal(size=(6, 5)), "venue": RNG.normal(size=(2, 5))}
ATTR = RNG.normal(size=(4, 2))
Y = np.arange(6)
TRAIN = np.arange(6) % 2 == 0


def made(**changes):
    return gnn.HeteroGraph(
        EDGES, X, edge_attr={R: ATTR}, y={"paper": Y}, node_data={"paper": {"train": TRAIN}}, **changes
    )


GRAPH = made()


def test_types_and_sizes():
    assert GRAPH.node_types == ["author", "paper", "venue"] and GRAPH.edge_types == [W, C, R, V]
    assert [GRAPH.num_nodes(k) for k in SIZES] == [4, 6, 2] and GRAPH.num_graphs == 1
    writes = GRAPH[W]
    assert (writes.num_sources, writes.num_nodes, writes.num_edges) == (4, 6, 5)
    dense = np.zeros((6, 4))
    np.add.at(dense, (EDGES[W][1], EDGES[W][0]), 1.0)
    np.testing.assert_array_equal(np.asarray(writes.adjacency().todense()), dense)
    np.testing.assert_array_equal(np.asarray(writes.degree()), dense.sum(axis=1))
    np.testing.assert_array_equal(np.asarray(writes.adjacency() @ hs.array(X["author"])), dense @ X["author"])
    np.testing.assert_array_equal(np.asarray(GRAPH[R].edge_attr), ATTR[np.asarray(GRAPH[R].order)])
    assert isinstance(GRAPH[C], gnn.Graph)
    np.testing.assert_array_equal(np.asarray(writes.degree("out")), dense.sum(axis=0))
    inferred = gnn.HeteroGraph({W: [[0, 3], [7, 1]]})
    assert (inferred.num_nodes("author"), inferred.num_nodes("paper")) == (4, 8)
    assert gnn.HeteroGraph({W: np.zeros((2, 0), int)}).num_nodes("paper") == 0


def test_they_are_trees():
    calls = []

    @hs.compile
    def f(g):
        calls.append(1)
        return hs.sum(g[W].adjacency() @ g.x["author"]) + hs.sum(g[C].adjacency() @ g.x["paper"])

    expected = X["author"][EDGES[W][0]].sum() + X["paper"][EDGES[C][0]].sum()
    np.testing.assert_allclose(float(f(GRAPH)), expected)
    f(GRAPH.replace(x={k: v + 1.0 for k, v in GRAPH.x.items()}))
    assert len(calls) == 1
    gradient = hs.grad(lambda g: f(g) * 1.0)(GRAPH)
    np.testing.assert_array_equal(
        np.asarray(gradient.x["author"])[:, 0], np.bincount(EDGES[W][0], minlength=4)
    )
    assert gradient[W].source is None


def test_to_homogeneous():
    one = GRAPH.to_homogeneous()
    assert one.num_nodes == 12 and one.num_edges == 17 and one.x is None  # of different widths
    first = {"author": 0, "paper": 4, "venue": 10}
    expected = {
        (first[a] + s, first[b] + t, k)
        for k, (a, _, b) in enumerate(TYPES.values())
        for s, t in EDGES[a, _, b].T
    }
    found = zip(*np.asarray(one.edge_index).tolist(), one.edge_data["type"].tolist(), strict=True)
    assert set(found) == expected
    np.testing.assert_array_equal(np.asarray(one.node_data["type"]), np.repeat([0, 1, 2], [4, 6, 2]))
    same = gnn.HeteroGraph(
        EDGES,
        {k: v[:, :3] for k, v in X.items()},
        edge_weight={k: np.arange(v.shape[1]) + 1.0 for k, v in EDGES.items()},
    )
    one = same.to_homogeneous()
    np.testing.assert_array_equal(
        np.asarray(one.x), np.concatenate([X["author"], X["paper"][:, :3], X["venue"][:, :3]])
    )
    # R-GCN on it is a matrix per relation on each type of edges.
    conv = gnn.RGCNConv(3, 2, 4, key=KEY)
    y = np.asarray(conv(one.x, one.replace(edge_weight=None), one.edge_data["type"]))
    x = np.asarray(one.x)
    expected = x @ np.asarray(conv.root).T + np.asarray(conv.bias)
    for r, edge_type in enumerate(same.edge_types):
        a, _, b = edge_type
        s, t = EDGES[edge_type] + np.array([[first[a]], [first[b]]])
        for i in set(t.tolist()):
            expected[i] += np.asarray(conv.weight)[r] @ x[s[t == i]].mean(axis=0)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="to_homogeneous: this is a batch"):
        gnn.batch([GRAPH, GRAPH]).to_homogeneous()


def test_with_reversed():
    both = GRAPH.with_reversed()
    assert both.edge_types[4:] == [("paper", "rev_writes", "author"), ("paper", "rev_cites", "paper"),
                                   ("author", "rev_rev", "paper"), ("paper", "rev_hosts", "venue")]  # fmt: skip
    a, b = GRAPH[W].adjacency().todense(), both["paper", "rev_writes", "author"].adjacency().todense()
    np.testing.assert_array_equal(np.asarray(a).T, np.asarray(b))
    pairs = lambda e: sorted(
        zip(*np.asarray(e.edge_index).tolist(), np.asarray(e.edge_attr).tolist(), strict=True)
    )
    turned = [(t, s, v) for s, t, v in pairs(both["author", "rev_rev", "paper"])]
    assert sorted(turned) == pairs(GRAPH[R])


CONV = {
    W: gnn.SAGEConv((3, 5), 4, key=KEY),
    C: gnn.GCNConv(5, 4, key=KEY),
    R: gnn.SAGEConv((5, 3), 4, key=KEY, reduce="sum"),
    V: gnn.GINConv(hs.nn.Linear(5, 4, key=KEY)),
}


def test_a_layer_per_type():
    y = gnn.HeteroConv(CONV)(GRAPH.x, GRAPH)
    assert {k: v.shape for k, v in y.items()} == {"paper": (6, 4), "author": (4, 4)}
    expected = (
        CONV[W]((GRAPH.x["author"], GRAPH.x["paper"]), GRAPH[W])
        + CONV[C](GRAPH.x["paper"], GRAPH[C])
        + CONV[V]((GRAPH.x["venue"], GRAPH.x["paper"]), GRAPH[V])
    )
    np.testing.assert_allclose(np.asarray(y["paper"]), np.asarray(expected), rtol=1e-14)
    sums = np.zeros((4, 5))
    np.add.at(sums, EDGES[R][1], X["paper"][EDGES[R][0]])
    m = CONV[R]
    rows = (
        sums @ np.asarray(m.neighbours.weight).T
        + np.asarray(m.neighbours.bias)
        + X["author"] @ np.asarray(m.root.weight).T
    )
    np.testing.assert_allclose(np.asarray(y["author"]), rows, rtol=1e-12)


def test_batches():
    rng = np.random.default_rng(5)
    other = gnn.HeteroGraph(
        {W: [[1, 0], [0, 1]], C: np.zeros((2, 0), int), R: [[0], [1]], V: [[0], [1]]},
        {"author": rng.normal(size=(2, 3)), "paper": rng.normal(size=(2, 5)), "venue": rng.normal(size=(1, 5))},
        edge_attr={R: rng.normal(size=(1, 2))}, y={"paper": [7, 8]}, node_data={"paper": {"train": [True, True]}},
    )  # fmt: skip
    both = gnn.batch([GRAPH, other, GRAPH])
    assert both.num_graphs == 3 and repr(both).startswith(
        "HeteroGraph(3 graphs, 10 author, 14 paper, 5 venue"
    )
    conv = gnn.HeteroConv(CONV)
    y, parts = conv(both.x, both), [conv(g.x, g) for g in (GRAPH, other, GRAPH)]
    for kind in ("paper", "author"):
        np.testing.assert_allclose(
            np.asarray(y[kind]), np.concatenate([np.asarray(p[kind]) for p in parts]), rtol=1e-12
        )
    pooled = gnn.global_mean_pool(y["paper"], both.nodes("paper"))
    np.testing.assert_allclose(np.asarray(pooled[1]), np.asarray(parts[1]["paper"]).mean(axis=0), rtol=1e-12)
    assert both.y["paper"].tolist() == [*range(6), 7, 8, *range(6)]
    assert both.node_data["paper"]["train"].shape == (14,) and both[R].edge_attr.shape == (9, 2)
    again = gnn.batch([both, other])
    assert again.num_graphs == 4 and again.node_graph["venue"].tolist() == [0, 0, 1, 2, 2, 3]
    assert again.node_starts["author"].tolist() == [0, 4, 6, 10, 12]
    whole = gnn.HeteroGraph({k: np.asarray(again[k].edge_index) for k in again.edge_types}, again.x)
    for k in again.edge_types:
        for name in ("target_starts", "source_starts", "by_source", "targets_by_source"):
            np.testing.assert_array_equal(
                np.asarray(getattr(again[k], name)), np.asarray(getattr(whole[k], name))
            )
    assert gnn.batch([GRAPH]) is GRAPH
    for graphs, error, words in [
        ([GRAPH, gnn.Graph([[0], [1]])], TypeError, "item 1 is a Graph, item 0 a HeteroGraph"),
        ([GRAPH, gnn.HeteroGraph({W: [[0], [0]]})], ValueError, "graph 1 has nodes of the types"),
        ([GRAPH, GRAPH.replace(x={"author": GRAPH.x["author"]})], ValueError, "graph 1 has no x"),
    ]:
        with pytest.raises(error, match=words):
            gnn.batch(graphs)


def test_messages_between_types():
    message = lambda i, j, e: hs.tanh(hs.sum(j) * i[:2] + e)
    e = RNG.normal(size=(5, 2))
    order = np.asarray(GRAPH[W].order)
    s, t = EDGES[W][:, order]
    rows = np.tanh(X["author"][s].sum(axis=1, keepdims=True) * X["paper"][t][:, :2] + e)
    for store in (False, True):
        for reduce in ("sum", "mean", "max", "min"):
            y = gnn.message_passing(
                message, reduce, (X["author"], X["paper"]), GRAPH[W], e, store_edges=store
            )
            expected = np.zeros((6, 2))
            for i in set(t.tolist()):
                expected[i] = getattr(np, reduce)(rows[t == i], axis=0)
            np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-12)
    g = hs.grad(lambda a: hs.sum(gnn.message_passing(message, "sum", (a, X["paper"]), GRAPH[W], e)))(
        hs.array(X["author"])
    )
    assert g.shape == (4, 3) and not np.asarray(g)[3].any()


def test_keys_reach_the_layers():
    layer = lambda m, n: gnn.GATConv((m, n), 2, dropout=0.5, self_loops=False, key=KEY)
    conv = gnn.HeteroConv({W: layer(3, 5), R: layer(5, 3)})
    a, b, c = (conv(GRAPH.x, GRAPH, key=k)["paper"] for k in (KEY, KEY, None))
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert np.abs(np.asarray(a - c)).max() > 0.01


def test_layers_are_trained_and_saved(tmp_path):
    graph = made()

    class Net(hs.nn.Module):
        one: gnn.HeteroConv
        two: gnn.HeteroConv
        venue: hs.Array

        def __call__(self, graph):
            x = {**graph.x, "venue": self.venue}
            x = {**x, **{k: hs.tanh(v) for k, v in self.one(x, graph).items()}}
            return self.two(x, graph)["paper"]

    second = {W: gnn.SAGEConv(4, 6, key=KEY), C: gnn.SAGEConv(4, 6, key=KEY)}
    second[W] = gnn.SAGEConv((4, 4), 6, key=KEY)
    model, adam = Net(gnn.HeteroConv(CONV), gnn.HeteroConv(second), hs.zeros((2, 5))), hs.optim.adam(0.05)
    state = adam.init(model)

    @hs.compile
    def step(model, state, graph):
        loss = lambda m: hs.nn.softmax_cross_entropy(m(graph), graph.y["paper"])
        value, gradient = hs.value_and_grad(loss)(model)
        return *adam.update(gradient, state, model), value

    losses = []
    for _ in range(60):
        model, state, value = step(model, state, graph)
        losses.append(float(value))
    assert losses[-1] < 0.2 * losses[0]
    hs.io.save_safetensors(tmp_path / "m.safetensors", model)
    names = hs.io.leaf_names(model)
    assert "one.layers.author__writes__paper.neighbours.weight" in names


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: gnn.HeteroGraph({("a", "b"): [[0], [0]]}), TypeError, "three strings without '__', got"),
        (lambda: gnn.HeteroGraph({("a", "x__y", "b"): [[0], [0]]}), TypeError, "three strings without '__'"),
        (lambda: gnn.HeteroGraph(EDGES, X, num_nodes={"venue": 1}), ValueError, r"HeteroGraph: x\['venue'\] has 2 rows for 1 'venue' nodes"),
        (lambda: gnn.HeteroGraph({W: [[0, 9], [0, 1]]}, X), IndexError, r"edges \('author', 'writes', 'paper'\): Bipartite: edge 1 has the source 9, but sources are 0 to 3"),
        (lambda: gnn.HeteroGraph({C: [[0, 9], [0, 1]]}, X), IndexError, r"edges \('paper', 'cites', 'paper'\): Graph: edge 1 goes from node 9"),
        (lambda: gnn.HeteroGraph({W: [[0, -1], [0, 1]]}, X), IndexError, "source -1"),
        (lambda: gnn.HeteroGraph(EDGES, X, y={"papers": Y}), ValueError, r"y\['papers'\] is given for nodes of type 'papers'; types are author, paper, venue"),
        (lambda: gnn.HeteroGraph(EDGES, X, edge_attr={("a", "b", "c"): ATTR}), ValueError, "edge_attr is given for .*a type without edges"),
        (lambda: gnn.HeteroGraph(EDGES, X, edge_attr={W: ATTR}), ValueError, "edge_attr has 4 rows for 5 edges"),
        (lambda: gnn.HeteroGraph(EDGES, num_nodes={"paper": -1}), ValueError, r"num_nodes\['paper'\] must be an integer from 0 on, got -1"),
        (lambda: gnn.Bipartite(EDGES[W], 4.0, 6), TypeError, "Bipartite: num_sources must be an integer, got 4.0"),
        (lambda: gnn.Bipartite([], 4, -1), ValueError, "Bipartite: num_targets must not be negative, got -1"),
        (lambda: GRAPH["paper", "writes", "author"], ValueError, "there are no edges .*; types are"),
        (lambda: GRAPH.num_nodes("editor"), ValueError, "no nodes of type 'editor'; types are author, paper, venue"),
        (lambda: gnn.HeteroGraph([EDGES], X), TypeError, "edges must be a dict by types of nodes or edges, got list"),
        (lambda: gnn.HeteroGraph(EDGES, 3.0), TypeError, "x must be a dict by types"),
        (lambda: gnn.HeteroGraph(EDGES, X, node_data={"paper": Y}), TypeError, r"node_data\['paper'\] must be a dict"),
        (lambda: gnn.HeteroConv([]), TypeError, "layers must be a dict by types of edges, got list"),
        (lambda: gnn.HeteroConv({}), ValueError, "there are no layers"),
        (lambda: gnn.HeteroConv(CONV, reduce="add"), ValueError, "reduce must be 'sum', 'mean'"),
        (lambda: gnn.HeteroConv(CONV)({"author": X["author"], "paper": X["paper"]}, GRAPH), ValueError, r"nodes of type 'venue' have no features, which the layer of \('venue', 'hosts', 'paper'\) needs; give x\['venue'\]"),
        (lambda: gnn.HeteroConv(CONV)(X, gnn.Graph(EDGES[C])), TypeError, "graph must be a hs.gnn.HeteroGraph, got Graph"),
        (lambda: gnn.GCNConv(3, 4)((X["author"], X["paper"]), GRAPH[W]), TypeError, "GCNConv: graph must be a hs.gnn.Graph, got edges between two types of nodes; SAGEConv"),
        (lambda: CONV[W](X["author"], GRAPH[W]), TypeError, r"SAGEConv: for edges between two types of nodes x must be a pair, \(x_source, x_target\), got ndarray"),
        (lambda: CONV[W]((X["paper"], X["author"]), GRAPH[W]), ValueError, r"SAGEConv: x_source must be \[4, 3\], got shape \(6, 5\)"),
        (lambda: CONV[W](X["paper"], GRAPH[C]), TypeError, r"SAGEConv: with in_features=\(3, 5\) the graph must be a hs.gnn.Bipartite, got Graph"),
        (lambda: gnn.GATConv((3, 5), 4)((X["author"], X["paper"]), GRAPH[W]), ValueError, "make the layer with self_loops=False"),
        (lambda: gnn.message_passing(lambda i, j, e: j, "sum", X["author"], GRAPH[W]), TypeError, "x must be a pair"),
        (lambda: gnn.pad(GRAPH, 9, {}, 2), TypeError, "pad: for a HeteroGraph num_nodes must be a dict by types of nodes, got 9"),
        (lambda: gnn.pad(GRAPH, {}, {W: 9.5}, 2), TypeError, r"pad: num_edges\[\('author', 'writes', 'paper'\)\] must be an integer, got 9.5"),
        (lambda: gnn.pad(GRAPH, {"papers": 9}, {}, 2), ValueError, "pad: num_nodes is given for 'papers'; types are author, paper, venue"),
        (lambda: gnn.pad(GRAPH, {"paper": 5}, {}, 2), ValueError, r"num_nodes\['paper'\] must be at least 6, got 5"),
        (lambda: gnn.pad(GRAPH, {"paper": 8}, {}, 1), ValueError, "2 nodes of the type 'paper' are added, and no graph that they can be in; num_graphs must be above 1"),
        (lambda: gnn.pad(GRAPH, {"paper": 8}, {W: 7}, 2), ValueError, r"2 edges of the type \('author', 'writes', 'paper'\) are added, and too few nodes for them; num_nodes\['author'\] must be at least 6"),
        (lambda: gnn.pad(GRAPH.replace(x={"paper": hs.sparse.identity(6)}), {}, {}, 2), TypeError, r"pad: x\['paper'\] is sparse; use x\['paper'\].todense\(\)"),
        (lambda: gnn.DataLoader([GRAPH.replace(x={"paper": hs.sparse.identity(6)})], 1), TypeError, r"DataLoader: x\['paper'\] is sparse"),
        (lambda: gnn.DataLoader([GRAPH, gnn.Graph([[0], [1]])], 1), TypeError, "item 1 is a Graph, item 0 a HeteroGraph"),
        (lambda: gnn.DataLoader([GRAPH.replace(graph_data={"t": hs.zeros(3)})], 1), ValueError, r"graph_data.t of shape \(3,\) has a row not for each of 1 graphs"),
        (lambda: gnn.DataLoader([GRAPH], 1, pad=[(9, 9)]), TypeError, r"or pairs \(nodes by type, edges by type\), dicts of all types, got"),
        (lambda: gnn.DataLoader([GRAPH], 1, pad=[({"paper": 9}, {})]), ValueError, r"pad must have all types of nodes, \['author', 'paper', 'venue'\]"),
        (lambda: gnn.DataLoader([GRAPH], 1, pad=[]), ValueError, r"none of the sizes \[\] has room .* add \(\{'author': 6, 'paper': 8, 'venue': 4\}, \{\('author', 'writes', 'paper'\): 6,"),
        (lambda: gnn.unbatch(3), TypeError, "unbatch: graph must be a Graph or a HeteroGraph, got a int"),
        (lambda: gnn.unbatch(gnn.batch([GRAPH, GRAPH]).replace(graph_data={"t": hs.zeros(3)})), ValueError, r"graph_data\['t'\] of shape \(3,\) has no row for each of 2 graphs"),
        (lambda: gnn.unbatch(gnn.batch([GRAPH, GRAPH]).replace(node_starts={"author": hs.array([0, 1, 8]), "paper": hs.array([0, 6, 12]), "venue": hs.array([0, 2, 4])})), ValueError, r"graph 0 has an edge \('author', 'writes', 'paper'\) from another graph"),
        (lambda: gnn.GCNConv(3, 4)(X["author"], GRAPH), TypeError, r"GCNConv: graph must be a hs.gnn.Graph, got HeteroGraph; take the edges within one type of nodes, such as graph\[\('paper', 'cites', 'paper'\)\], or all types as one graph, graph.to_homogeneous\(\); HeteroConv has"),
        (lambda: gnn.to_pyg(3), TypeError, "to_pyg: graph must be a Graph or HeteroGraph, got int"),
    ],
)  # fmt: skip
def test_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---- batches, padding ------------------------------------------------------------------------------------------------
def some_graph(rng, authors, papers, venues, edges, number=0):
    """Duplicate edges, self-loops and nodes without edges are likely, types without nodes or edges are there."""
    sizes = {"author": authors, "paper": papers, "venue": venues}
    index = {}
    for t in EDGES:
        m = edges if sizes[t[0]] and sizes[t[2]] else 0
        index[t] = np.stack([rng.integers(max(sizes[k], 1), size=m) for k in (t[0], t[2])])
    count = {t: v.shape[1] for t, v in index.items()}
    return gnn.HeteroGraph(
        index,
        {k: rng.normal(size=(sizes[k], X[k].shape[1])) for k in SIZES},
        num_nodes=sizes,
        y={"paper": rng.integers(4, size=papers)},
        edge_attr={R: rng.normal(size=(count[R], 2)).astype(np.float32)},
        edge_weight={C: rng.uniform(0.5, 2.0, size=count[C])},
        node_data={"paper": {"train": rng.uniform(size=papers) < 0.5}, "author": {"id": np.arange(authors)}},
        edge_data={W: {"year": rng.integers(9, size=count[W])}},
        graph_data={"t": rng.normal(size=(1, 2)), "id": [number]},
    )  # fmt: skip


SHAPES = [(4, 6, 2, 5), (2, 1, 0, 3), (0, 3, 1, 2), (0, 0, 0, 0), (1, 1, 1, 0), (3, 2, 2, 7), (5, 4, 1, 4)]


def graphs():
    rng = np.random.default_rng(6)
    return [some_graph(rng, *shape, number=k) for k, shape in enumerate(SHAPES)]


def test_a_batch_is_taken_apart():
    given = graphs()
    parts = gnn.unbatch(gnn.batch(given))
    assert len(parts) == len(given)
    for a, b in zip(parts, given, strict=True):
        assert a.node_types == b.node_types and a.edge_types == b.edge_types
        assert_same(a, b)
    assert gnn.unbatch(GRAPH) == [GRAPH]
    cut = lambda x: hs.sum(gnn.unbatch(gnn.batch(given).replace(x={"paper": x}))[0].x["paper"] ** 2)
    x = gnn.batch(given).x["paper"]
    expected = 2.0 * np.asarray(x) * (np.arange(len(x)) < 6)[:, None]
    np.testing.assert_allclose(np.asarray(hs.grad(cut)(x)), expected)


def test_batches_of_a_loader_are_those_of_batch():
    given = graphs()
    for size in (1, 2, 3, 7, 20):
        found = list(gnn.DataLoader(given, size))
        assert len(found) == -(-len(given) // size)
        for k, made in enumerate(found):
            assert_same(made, gnn.batch(given[k * size : (k + 1) * size]))
    for a, b in zip(gnn.DataLoader(gnn.batch(given), 3), gnn.DataLoader(given, 3), strict=True):
        assert_same(a, b)


def test_a_padded_graph_is_a_graph():
    """Structure as of a graph made from its edges; what is real is not changed, what is added is copied."""
    given = gnn.batch(graphs())
    had = {k: given.num_nodes(k) for k in given.node_types}
    edges_had = {t: given[t].num_edges for t in given.edge_types}
    for nodes, edges, more in (
        ({"author": 2, "paper": 2, "venue": 2}, {W: 1, C: 1, R: 1, V: 1}, 1),
        ({"author": 5, "paper": 2, "venue": 0}, {W: 9, C: 0, R: 3}, 3),
        ({"paper": 7}, {C: 20}, 1), ({"venue": 1}, {}, 1), ({}, {}, 2), ({}, {}, 0),
    ):  # fmt: skip
        sizes = {k: had[k] + n for k, n in nodes.items()}
        padded = gnn.pad(
            given, sizes, {t: edges_had[t] + n for t, n in edges.items()}, given.num_graphs + more
        )
        assert padded.num_graphs == given.num_graphs + more
        np.testing.assert_array_equal(
            np.asarray(padded.graph_mask), [True] * given.num_graphs + [False] * more
        )
        assert hs.tree_structure(padded) == hs.tree_structure(given)
        for k, n in had.items():
            assert padded.num_nodes(k) == n + nodes.get(k, 0)
            of, starts = np.asarray(padded.node_graph[k]), np.asarray(padded.node_starts[k])
            np.testing.assert_array_equal(of, np.repeat(np.arange(padded.num_graphs), np.diff(starts)))
            np.testing.assert_array_equal(np.asarray(padded.node_mask(k)), np.arange(len(of)) < n)
            np.testing.assert_array_equal(
                np.asarray(padded.nodes(k).node_mask), np.asarray(padded.node_mask(k))
            )
            rows = {tuple(row) for row in np.asarray(given.x[k]).tolist()}
            assert {tuple(row) for row in np.asarray(padded.x[k]).tolist()} == rows
        again = gnn.HeteroGraph({t: np.asarray(padded[t].edge_index) for t in padded.edge_types}, padded.x)
        for t, m in edges_had.items():
            e = padded[t]
            assert e.num_edges == m + edges.get(t, 0) and type(e) is type(given[t])
            for name in (
                "source",
                "target",
                "target_starts",
                "source_starts",
                "by_source",
                "targets_by_source",
            ):
                np.testing.assert_array_equal(
                    np.asarray(getattr(e, name)), np.asarray(getattr(again[t], name)), name
                )
            assert sorted(np.asarray(e.order).tolist()) == list(range(e.num_edges))
            np.testing.assert_array_equal(np.asarray(padded.edge_mask(t)), np.arange(e.num_edges) < m)
            ends = np.asarray(padded.node_graph[t[0]])[np.asarray(e.source)]
            np.testing.assert_array_equal(ends, np.asarray(padded.node_graph[t[2]])[np.asarray(e.target)])
        for a in range(edges_had[R], padded[R].num_edges):
            np.testing.assert_array_equal(
                np.asarray(padded[R].edge_attr[a]), np.asarray(given[R].edge_attr[0])
            )
        for a, b in zip(gnn.unbatch(padded), gnn.unbatch(given), strict=True):
            assert_same(a, b)


def test_padding_of_types_without_nodes():
    """Where there is nothing to copy, rows of padding are 0."""
    bare = gnn.HeteroGraph({W: np.zeros((2, 0), int)}, {"author": np.zeros((0, 2)), "paper": [[3.0]]})
    padded = gnn.pad(bare, {"author": 2, "paper": 3}, {W: 2}, 2)
    assert padded.x["author"].tolist() == [[0.0, 0.0]] * 2 and padded.x["paper"].tolist() == [[3.0]] * 3
    assert padded[W].edge_index.tolist() == [[0, 0], [2, 2]] and padded.node_starts["paper"].tolist() == [
        0,
        1,
        3,
    ]
    lone = gnn.HeteroGraph({}, num_nodes={"author": 1})
    assert gnn.pad(gnn.batch([lone, lone]), {"author": 5}, {}, 3).node_graph["author"].tolist() == [
        0,
        1,
        2,
        2,
        2,
    ]
    both = gnn.batch([gnn.pad(lone, {"author": 2}, {}, 2), lone])
    assert both.graph_mask.tolist() == [True, False, True] and len(gnn.unbatch(both)) == 2


def loss(conv, graph):
    """Per graph, of pooled nodes, and per node: both without padding."""
    y = conv(graph.x, graph)
    papers = graph.nodes("paper")
    pooled = gnn.global_mean_pool(hs.tanh(y["paper"]), papers)
    mask = hs.astype(graph.graph_mask, hs.float64)[:, None]
    rows = hs.astype(graph.node_mask("author"), hs.float64)[:, None]
    return hs.sum(mask * pooled**2) + hs.sum(rows * hs.sin(y["author"]))


def test_models_do_not_see_padding():
    conv, given = gnn.HeteroConv(CONV), gnn.batch(graphs())
    padded = gnn.pad(given, {"author": 20, "paper": 25, "venue": 9}, dict.fromkeys(EDGES, 40), 11)
    y, z = conv(given.x, given), conv(padded.x, padded)
    for k in y:
        np.testing.assert_allclose(
            np.asarray(z[k])[: given.num_nodes(k)], np.asarray(y[k]), rtol=1e-12, atol=1e-14
        )
    gradient = hs.compile(hs.grad(loss))
    for a, b in zip(*(hs.tree_leaves(gradient(conv, g)) for g in (given, padded)), strict=True):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "options", [{}, {"shuffle": True, "key": 1}, {"shuffle": True, "key": 1, "buckets": 4}]
)
def test_a_compiled_model_is_recorded_once_per_size(options):
    rng = np.random.default_rng(7)
    sizes = np.minimum(rng.geometric(0.15, size=(60, 3)), 30)
    given = [some_graph(rng, *map(int, n), int(n.sum()), number=k) for k, n in enumerate(sizes)]
    conv = gnn.HeteroConv(CONV)
    expected = [float(loss(conv, g)) for g in given]
    for pad, most in ((True, 3 if len(options) < 3 else 5), (1, 1)):
        loader, total = gnn.DataLoader(given, 8, pad=pad, **options), hs.compile(loss)
        for _ in range(3):
            seen = []
            for batch in loader:
                which = np.asarray(batch.graph_data["id"])[np.asarray(batch.graph_mask)].tolist()
                seen += which
                assert batch.num_graphs == 9
                size = {k: batch.num_nodes(k) for k in SIZES}, {t: batch[t].num_edges for t in EDGES}
                assert size in loader.sizes
                np.testing.assert_allclose(
                    float(total(conv, batch)), sum(expected[k] for k in which), rtol=1e-10
                )
            assert sorted(seen) == list(range(60))
        assert total.cache_size <= len(loader.sizes) <= most
        sums = [sum(n.values()) + sum(e.values()) for n, e in loader.sizes]
        assert sums == sorted(sums)
    given_sizes = gnn.DataLoader(given, 8, pad=list(reversed(loader.sizes)), **options)
    assert given_sizes.sizes == loader.sizes and "padded to ({'author':" in repr(given_sizes)
    one = gnn.DataLoader(given[:1] * 6, 3, pad=True)
    n = given[0].num_nodes
    assert one.sizes[-1][0] == {k: 3 * n(k) + 2 for k in SIZES}
    assert one.sizes[-1][1] == {t: 3 * given[0][t].num_edges + 1 for t in EDGES} and len(one.sizes) == 1


class Store(Data):
    """What a store of HeteroData of torch_geometric offers, and with one for each type HeteroData itself."""


def hetero_data(batch, **more):
    made = Store()
    made.node_types, made.edge_types = ["author", "paper"], [W]
    made.stores = [Store({k: Tensor(v) for k, v in more.items()})]
    for kind, of in batch.items():
        made[kind] = Store(x=Tensor(np.arange(3.0)[:, None]), mask=Tensor(np.arange(3)))
        made[kind].num_nodes = 3
        if of is not None:
            made[kind]["batch"] = Tensor(of)
    made[W] = Store(edge_index=Tensor([[0, 2], [1, 2]]), year=Tensor([7, 8]))
    return made


def test_from_pyg_keeps_batches_and_graph_data():
    data = hetero_data({"author": [0, 0, 1], "paper": [0, 0, 1]}, u=[[1.0], [2.0], [3.0]])
    data["paper"]["ptr"] = Tensor([0, 2, 3, 3])
    made = gnn.from_pyg(data)
    assert made.num_graphs == 3 and set(made.graph_data) == {"u"} and set(made.node_data["paper"]) == {"mask"}
    assert {k: v.tolist() for k, v in made.node_starts.items()} == {
        "author": [0, 2, 3, 3],
        "paper": [0, 2, 3, 3],
    }
    parts = gnn.unbatch(made)
    assert [g.graph_data["u"].tolist() for g in parts] == [[[1.0]], [[2.0]], [[3.0]]]
    assert parts[1].x["paper"].tolist() == [[2.0]] and parts[1][W].edge_index.tolist() == [[0], [0]]
    assert parts[1][W].edge_data["year"].tolist() == [8] and parts[2].num_nodes("author") == 0
    one = gnn.from_pyg(hetero_data({"author": None, "paper": None}, u=[[1.0]]))
    assert one.num_graphs == 1 and one.graph_data["u"].tolist() == [[1.0]]
    masked = hetero_data({"author": [0, 0, 1], "paper": [0, 0, 1]}, graph_mask=[True, False])
    assert gnn.from_pyg(masked).graph_mask.tolist() == [True, False]
    with pytest.raises(ValueError, match="from_pyg: nodes of the type 'paper' have no batch"):
        gnn.from_pyg(hetero_data({"author": [0, 0, 1], "paper": None}))
    with pytest.raises(
        ValueError, match="from_pyg: batch of nodes 'paper' must ascend from 0 on.* is 0 at node 2"
    ):
        gnn.from_pyg(hetero_data({"author": [0, 0, 1], "paper": [0, 1, 0]}))
    del data[W]["edge_index"]
    with pytest.raises(
        TypeError, match=r"from_pyg: the edges \('author', 'writes', 'paper'\) have no edge_index"
    ):
        gnn.from_pyg(data)


# ---- PyTorch Geometric ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """What PyTorch Geometric gave, by "case|array"."""
    python = os.environ.get("HESSE_PEERS_PYTHON")
    if not python:
        pytest.skip("set HESSE_PEERS_PYTHON to an interpreter that has torch_geometric")
    folder = tmp_path_factory.mktemp("pyg")
    arrays = {f"x {k}": v for k, v in X.items()} | {f"edges {k}": EDGES[v] for k, v in TYPES.items()}
    np.savez(folder / "graph.npz", **arrays, **{"attr rev": ATTR, "y paper": Y, "train paper": TRAIN})
    package = str(Path(hs.__file__).parents[1])
    importable = subprocess.run(
        [python, "-c", "import hesse"], env={**os.environ, "PYTHONPATH": package}, check=False
    )
    more = [package] if importable.returncode == 0 else []
    done = subprocess.run(
        [python, str(WORKER), str(folder / "graph.npz"), str(folder / "results.npz"), *more],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(folder / "results.npz"))


def sage(p, size, **options):
    layer = gnn.SAGEConv(size, 4, key=KEY, root="lin_r.weight" in p, **options)
    names = {"neighbours": "lin_l"} | ({"root": "lin_r"} if "lin_r.weight" in p else {})
    return with_linear(layer, p, **names)


def gat(p, size, **options):
    layer = gnn.GATConv(size, 2, heads=2, key=KEY, edge_features=2 if "att_edge" in p else None, **options)
    pair = "lin_src.weight" in p
    fields = {"weight": p["lin_src.weight" if pair else "lin.weight"], "source_attention": p["att_src"][0],
              "target_attention": p["att_dst"][0], "bias": p["bias"]}  # fmt: skip
    if pair:
        fields["target_weight"] = p["lin_dst.weight"]
    if "att_edge" in p:
        fields |= {"edge_weight": p["lin_edge.weight"], "edge_attention": p["att_edge"][0]}
    return with_(layer, **fields)


def gatv2(p, size, **options):
    layer = gnn.GATv2Conv(
        size, 2, heads=2, key=KEY, edge_features=2 if "lin_edge.weight" in p else None, **options
    )
    layer = with_linear(layer, p, source="lin_l", target="lin_r")
    fields = {"attention": p["att"][0], "bias": p["bias"]}
    return with_(layer, **fields | ({"edge_weight": p["lin_edge.weight"]} if "lin_edge.weight" in p else {}))


def transformer(p, size, **options):
    gate = "lin_beta.weight" in p
    layer = gnn.TransformerConv(
        size, 2, heads=2, key=KEY, edge_features=2 if "lin_edge.weight" in p else None, gate=gate
    )
    layer = with_linear(layer, p, query="lin_query", key="lin_key", value="lin_value", skip="lin_skip")
    layer = with_(layer, edge=p["lin_edge.weight"]) if "lin_edge.weight" in p else layer
    return with_(layer, gate=p["lin_beta.weight"][0]) if gate else layer


def attention(layer):
    return {
        W: lambda p: layer(p, (3, 5), self_loops=False),
        C: lambda p: layer(p, 5),
        R: lambda p: layer(p, (5, 3), self_loops=False),
        V: lambda p: layer(p, 5, self_loops=False),
    }


SAGE = {
    W: lambda p: sage(p, (3, 5)),
    C: lambda p: sage(p, 5, reduce="sum"),
    R: lambda p: sage(p, (5, 3), reduce="max"),
    V: lambda p: sage(p, 5),
}
CASES = {f"sage {aggr}": (SAGE, aggr) for aggr in ("sum", "mean", "max", "min", "cat")} | {
    "gat": (attention(gat), "sum"),
    "gatv2": (attention(gatv2), "sum"),
    "transformer": (attention(transformer), "mean"),
    "gin": (
        {
            V: lambda p: gnn.GINConv(net([5, 6, 4], p), train_epsilon=True).replace(epsilon=p["eps"][0]),
            C: lambda p: sage(p, 5),
        },
        "sum",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_against_pyg(peer, name):
    build, aggr = CASES[name]
    found = {k.split("|", 1)[1]: v for k, v in peer.items() if k.startswith(f"{name}|")}
    assert found, "the worker does not know this case"

    def conv(prefix):
        layers = {}
        for edge_type, make in build.items():
            start = f"{prefix}.{edge_type[1]}|"
            layers[edge_type] = make(
                {k[len(start) :]: hs.array(v) for k, v in found.items() if k.startswith(start)}
            )
        return gnn.HeteroConv(layers, reduce={"cat": "concat"}.get(aggr, aggr))

    graph, layer = made(), conv("p")
    y = layer(graph.x, graph)
    assert set(y) == {k[2:] for k in found if k.startswith("y.")}
    for kind, rows in y.items():
        np.testing.assert_allclose(np.asarray(rows), found[f"y.{kind}"], rtol=1e-10, atol=1e-12, err_msg=kind)

    def loss(layer, x):
        return sum(hs.sum(hs.array(found[f"c.{kind}"]) * rows) for kind, rows in layer(x, graph).items())

    by_layer, by_x = hs.grad(loss, argnums=(0, 1))(layer, graph.x)
    for kind, g in by_x.items():
        np.testing.assert_allclose(np.asarray(g), found[f"dx.{kind}"], rtol=1e-9, atol=1e-11, err_msg=kind)
    trained, wanted = hs.trainable(by_layer)[0], hs.trainable(conv("dp"))[0]
    assert len(trained) == len(wanted) > 0
    for a, b in zip(trained, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-9, atol=1e-11)


def test_homogeneous_against_pyg(peer):
    one = made().to_homogeneous()
    np.testing.assert_array_equal(np.asarray(one.node_data["type"]), peer["one|node type"])
    rows = lambda edges, kind: sorted(
        zip(*np.asarray(edges).tolist(), np.asarray(kind).tolist(), strict=True)
    )
    assert rows(one.edge_index, one.edge_data["type"]) == rows(peer["one|edges"], peer["one|edge type"])


def test_conversions(peer):
    """The worker converts both ways, where its interpreter can import this package."""
    if not peer["converted"]:
        pytest.skip("the peers' interpreter cannot import this build of hesse")


def test_types_of_padding_and_of_masks_that_are_not_there():
    graph = gnn.HeteroGraph({("a", "to", "b"): [[0], [1]]}, num_nodes={"a": 1, "b": 2})
    with pytest.raises(ValueError, match=r"DataLoader: pad must have all types of nodes, \['a', 'b'\]"):
        gnn.DataLoader([graph], 1, pad=[({"a": 10}, {})])
    for edge_type in (("a", "b"), "ab"):
        with pytest.raises((TypeError, ValueError), match="HeteroGraph"):
            graph.edge_mask(edge_type)


def test_padded_samples_come_apart():
    graph = gnn.HeteroGraph(
        {("a", "to", "b"): [[0, 1], [1, 0]]}, {"a": np.eye(2), "b": np.eye(2)}, graph_data={"t": [[3.0]]}
    )
    for sample in gnn.NeighbourLoader(graph, {"b": [0]}, [2], 1, pad=True):
        (part,) = gnn.unbatch(sample.graph)
        assert part.graph_data["t"].shape == (1, 1)
