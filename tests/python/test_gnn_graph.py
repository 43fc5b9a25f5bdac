"""Graphs: how they are made and refused, matrices, other graphs from them, batches, encodings."""

import numpy as np
import pytest
import scipy.sparse
from gnn_cases import EDGES, N

import hesse as hs
from hesse import gnn

RNG = np.random.default_rng(0)
COUNT = EDGES.shape[1]
W = RNG.uniform(0.5, 2.0, COUNT)
ATTR = RNG.normal(size=(COUNT, 2))
X = RNG.normal(size=(N, 3))


def graph(**more):
    return gnn.Graph(EDGES, X, edge_weight=W, edge_attr=ATTR, **more)


def dense(g, weights=None):
    """A[target, source]."""
    a = np.zeros((g.num_nodes, g.num_nodes))
    w = np.ones(g.num_edges) if weights is None else np.asarray(weights)
    np.add.at(a, (np.asarray(g.target), np.asarray(g.source)), w)
    return a


def test_edges_are_sorted_by_target_and_keep_what_is_theirs():
    g = graph(edge_data={"k": np.arange(COUNT)})
    order = np.argsort(EDGES[1], kind="stable")
    np.testing.assert_array_equal(np.asarray(g.edge_index), EDGES[:, order])
    np.testing.assert_array_equal(np.asarray(g.order), order)
    np.testing.assert_array_equal(np.asarray(g.edge_weight), W[order])
    np.testing.assert_array_equal(np.asarray(g.edge_attr), ATTR[order])
    np.testing.assert_array_equal(np.asarray(g.edge_data["k"]), order)
    for j in range(N):
        out = np.asarray(g.by_source)[int(g.source_starts[j]) : int(g.source_starts[j + 1])]
        assert set(out) == set(np.flatnonzero(EDGES[:, order][0] == j)) and (np.diff(out) > 0).all()
    assert (g.num_nodes, g.num_edges, g.num_graphs) == (N, COUNT, 1)
    assert (
        repr(g)
        == f"Graph(7 nodes, 12 edges, x=float64[7,3], edge_attr=float64[12,2], edge_weight=float64[12], k=int64[{COUNT}])"
    )


@pytest.mark.parametrize("n, m", [(0, 0), (3, 0), (1, 5), (7, 40), (300, 5000), (60000, 400)])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint16])
def test_edges_are_sorted_as_numpy_sorts(n, m, dtype):
    rng = np.random.default_rng(n + m)
    for ascending in (False, True):
        edges = rng.integers(max(n, 1), size=(2, m)).astype(dtype)
        edges = edges[:, np.argsort(edges[1], kind="stable")] if ascending else edges
        weight = rng.normal(size=m)
        graphs = [
            gnn.Graph(edges, num_nodes=n, edge_weight=weight),
            gnn.Bipartite(edges, n + 2, n + 5, edge_weight=weight),
        ]
        order = np.argsort(edges[1], kind="stable")
        source, target = edges[:, order]
        by_source = np.argsort(source, kind="stable")
        for g in graphs:
            sizes = g.num_sources, g.num_nodes
            starts = [
                np.concatenate([[0], np.cumsum(np.bincount(ids, minlength=k))])
                for ids, k in zip((source, target), sizes, strict=True)
            ]
            for name, expected in [
                ("order", order), ("source", source), ("target", target), ("by_source", by_source),
                ("targets_by_source", target[by_source]), ("source_starts", starts[0]), ("target_starts", starts[1]),
                ("edge_weight", weight[order]),
            ]:  # fmt: skip
                found = getattr(g, name)
                assert found.dtype == (hs.float64 if name == "edge_weight" else hs.int64)
                np.testing.assert_array_equal(np.asarray(found), expected, name)


def test_adjacency_and_degrees():
    g = graph()
    a = dense(g, g.edge_weight)
    np.testing.assert_allclose(np.asarray(g.adjacency() @ g.x), a @ X, rtol=1e-13)
    np.testing.assert_allclose(np.asarray(g.adjacency().T @ g.x), a.T @ X, rtol=1e-13)
    for direction, axis in (("in", 1), ("out", 0)):
        np.testing.assert_array_equal(np.asarray(g.degree(direction)), dense(g).sum(axis))
        np.testing.assert_allclose(np.asarray(g.degree(direction, weighted=True)), a.sum(axis), rtol=1e-13)
    with pytest.raises(ValueError, match="direction must be 'in' or 'out', got 'up'"):
        g.degree("up")


@pytest.mark.parametrize("kind", ["sym", "rw", "left"])
def test_normalisations(kind):
    g = graph()
    a = dense(g, g.edge_weight)
    rows, columns = a.sum(1), a.sum(0)
    inverse = lambda d: np.divide(1.0, d, out=np.zeros_like(d), where=d > 0)
    expected = {
        "sym": np.sqrt(np.outer(inverse(rows), inverse(rows))) * a,
        "rw": inverse(rows)[:, None] * a,
        "left": a * inverse(columns)[None, :],
    }[kind]
    found = g.normalised(kind)
    np.testing.assert_allclose(dense(g, found.edge_weight), expected, rtol=1e-13, atol=1e-15)
    # Derivatives by the weights stay finite where a degree is 0.
    gradient = hs.grad(lambda w: hs.sum(g.replace(edge_weight=w).normalised(kind).edge_weight ** 2))(
        g.edge_weight
    )
    assert bool(hs.all(hs.isfinite(gradient)))


@pytest.mark.parametrize("kind", [None, "sym", "rw"])
def test_laplacians(kind):
    g = graph()
    from gnn_cases import Edges, laplacian

    plain = Edges(N, *(np.asarray(a) for a in (g.source, g.target, g.edge_weight, g.edge_attr)))
    np.testing.assert_allclose(
        np.asarray(g.laplacian(kind).todense()), laplacian(plain, kind), rtol=1e-13, atol=1e-15
    )
    both = g.undirected()
    eigenvalues = np.linalg.eigvals(np.asarray(both.laplacian(kind).todense()))
    assert abs(eigenvalues.imag).max() < 1e-12 and eigenvalues.real.min() > -1e-12


def test_self_loops():
    g = graph()
    more = g.with_self_loops(5.0)
    a = dense(g, g.edge_weight)
    np.testing.assert_allclose(
        dense(more, more.edge_weight), a + np.diag(np.where(np.arange(N) == 3, 0.0, 5.0))
    )
    assert more.num_edges == COUNT + N - 1
    less = more.without_self_loops()
    np.testing.assert_allclose(dense(less, less.edge_weight), a - np.diag(np.diag(a)))
    assert g.has_self_loops() and not less.has_self_loops()
    assert np.asarray(more.edge_attr).shape == (COUNT + N - 1, 2)


def test_coalesced_and_undirected():
    g = graph()
    a = dense(g, g.edge_weight)
    once = g.coalesced()
    np.testing.assert_allclose(dense(once, once.edge_weight), a)
    assert once.num_edges == len(np.unique(EDGES, axis=1).T)
    both = g.undirected()
    np.testing.assert_allclose(dense(both, both.edge_weight), a + a.T)
    assert both.is_undirected() and not g.is_undirected()
    count = dense(g) + dense(g).T
    mean = g.undirected("mean")
    np.testing.assert_allclose(
        dense(mean, mean.edge_weight), np.divide(a + a.T, count, out=np.zeros_like(a), where=count > 0)
    )
    largest = g.coalesced("max")
    assert float(hs.max(largest.edge_weight)) == W.max()
    # Sums are differentiable by the weights.
    gradient = hs.grad(lambda w: hs.sum(g.replace(edge_weight=w).undirected().edge_weight))(g.edge_weight)
    np.testing.assert_allclose(np.asarray(gradient), 2.0)
    weights = gnn.Graph([[0, 1], [1, 0]], edge_weight=[1.0, 2.0])
    assert not weights.is_undirected() and weights.replace(edge_weight=None).is_undirected()
    with pytest.raises(ValueError, match="reduce must be 'sum', 'mean' or 'max', got 'least'"):
        g.coalesced("least")


def test_edges_to_different_images_are_different():
    # Two nodes in a cell of length 5: 0 -> 1 within it (twice), 0 -> 1 over the border, and 1 -> an image of itself.
    shift = np.array([[0.0, 0, 0], [0, 0, 0], [5, 0, 0], [0, 5, 0]])
    g = gnn.Graph(
        [[0, 0, 0, 1], [1, 1, 1, 1]], edge_weight=[1.0, 2.0, 4.0, 8.0], edge_data={"shift": shift, "n": W[:4]}
    )

    def edges(g):
        return sorted(
            (int(a), int(b), *map(float, v), float(w))
            for a, b, v, w in zip(
                g.source, g.target, np.asarray(g.edge_data["shift"]), g.edge_weight, strict=True
            )
        )

    once = g.coalesced()
    assert edges(once) == [(0, 1, 0, 0, 0, 3), (0, 1, 5, 0, 0, 4), (1, 1, 0, 5, 0, 8)]
    np.testing.assert_allclose(np.sort(np.asarray(once.edge_data["n"])), np.sort([W[0] + W[1], W[2], W[3]]))
    both = g.undirected()
    there = edges(once)
    assert edges(both) == sorted(
        [*there, *((b, a, 0.0 - x, 0.0 - y, 0.0 - z, w) for a, b, x, y, z, w in there)]
    )
    assert both.pairs().num_edges == 3
    assert not g.has_self_loops() and g.without_self_loops().num_edges == 4
    looped = g.with_self_loops()
    assert looped.num_edges == 6 and looped.has_self_loops()
    new = [
        k
        for k in range(6)
        if int(looped.source[k]) == int(looped.target[k]) and float(looped.edge_weight[k]) == 1
    ]
    assert len(new) == 2 and not np.asarray(looped.edge_data["shift"])[new].any()


def test_subgraph():
    g = graph(y=np.arange(N), node_data={"name": np.arange(N) * 10})
    nodes = np.array([4, 0, 2])
    s = g.subgraph(nodes)
    np.testing.assert_allclose(dense(s, s.edge_weight), dense(g, g.edge_weight)[np.ix_(nodes, nodes)])
    np.testing.assert_array_equal(np.asarray(s.x), X[nodes])
    np.testing.assert_array_equal(np.asarray(s.node_data["name"]), nodes * 10)
    np.testing.assert_array_equal(np.asarray(s.y), nodes)
    mask = np.arange(N) < 3
    np.testing.assert_allclose(dense(g.subgraph(mask)), dense(g)[:3, :3])
    for bad, error, words in [
        ([0, 7], IndexError, "nodes are 0 to 6, got 0 to 7"),
        ([-1], IndexError, "got -1 to -1"),
        ([1, 1], ValueError, "a node is given twice"),
        ([0.5], TypeError, "vector of integers or a mask"),
        (np.ones(3, bool), ValueError, r"one entry per node, \(7,\), got \(3,\)"),
    ]:
        with pytest.raises(error, match=words):
            g.subgraph(bad)
    both = gnn.batch([g, g])
    with pytest.raises(ValueError, match="graph by graph"):
        both.subgraph([8, 1])
    part = both.subgraph([1, 2, 8])
    assert part.num_graphs == 2
    np.testing.assert_array_equal(np.asarray(part.node_graph), [0, 0, 1])
    np.testing.assert_array_equal(np.asarray(part.node_starts), [0, 2, 3])


def test_batch_and_unbatch():
    one = graph(y=np.array([1.5]), graph_data={"g": np.array([[1, 2]])}, node_data={"n": np.arange(N)})
    two = gnn.Graph(
        [[1], [0]], RNG.normal(size=(2, 3)), edge_weight=[1.0], edge_attr=[[0.0, 1.0]], y=2.5,
        graph_data={"g": [[3, 4]]}, node_data={"n": [0, 1]},
    )  # fmt: skip
    none = gnn.Graph(
        np.zeros((2, 0), int), np.zeros((0, 3)), edge_weight=np.zeros(0), edge_attr=np.zeros((0, 2)), y=0.0,
        graph_data={"g": [[5, 6]]}, node_data={"n": np.zeros(0, int)},
    )  # fmt: skip
    graphs = [one, none, two, one]
    all_ = gnn.batch(graphs)
    offset = [0, N, N, N + 2]
    index = np.concatenate(
        [np.asarray(g.edge_index) + o for g, o in zip(graphs, offset, strict=True)], axis=1
    )
    again = gnn.Graph(index, num_nodes=2 * N + 2)  # what a graph made from scratch holds
    for name in ("source", "target", "target_starts", "source_starts", "by_source", "targets_by_source"):
        np.testing.assert_array_equal(
            np.asarray(getattr(all_, name)), np.asarray(getattr(again, name)), err_msg=name
        )
    np.testing.assert_array_equal(np.asarray(all_.node_graph), [0] * N + [2] * 2 + [3] * N)
    np.testing.assert_array_equal(np.asarray(all_.node_starts), [0, N, N, N + 2, 2 * N + 2])
    np.testing.assert_array_equal(np.asarray(all_.y), [1.5, 0.0, 2.5, 1.5])
    for g, h in zip(graphs, gnn.unbatch(all_), strict=True):
        for name in (
            "source",
            "target",
            "order",
            "target_starts",
            "source_starts",
            "by_source",
            "x",
            "edge_weight",
            "edge_attr",
        ):
            np.testing.assert_array_equal(
                np.asarray(getattr(h, name)), np.asarray(getattr(g, name)), err_msg=name
            )
        np.testing.assert_array_equal(np.asarray(h.y), np.asarray(g.y).reshape(1))
        np.testing.assert_array_equal(np.asarray(h.graph_data["g"]), np.asarray(g.graph_data["g"]))
        np.testing.assert_array_equal(np.asarray(h.node_data["n"]), np.asarray(g.node_data["n"]))
    assert gnn.batch([all_, two]).num_graphs == 5
    for bad, error, words in [
        ([], ValueError, "there are no graphs"),
        ([one, X], TypeError, "item 1 is a ndarray"),
        ([one, two.replace(x=None)], ValueError, "graph 1 has no x, graph 0 has"),
        ([one.replace(x=None), two], ValueError, "graph 0 has no x, graph 1 has"),
        (
            [one, two.replace(x=hs.zeros((2, 4)))],
            ValueError,
            r"x has rows of different shapes, \(3,\) and \(4,\)",
        ),
    ]:
        with pytest.raises(error, match=words):
            gnn.batch(bad)


def test_gradients_pass_through_batches():
    g = graph()
    f = lambda x: hs.sum(gnn.batch([g.replace(x=x), g.replace(x=2.0 * x)]).x ** 2)
    np.testing.assert_allclose(np.asarray(hs.grad(f)(g.x)), 10.0 * X)


@pytest.mark.parametrize(
    "edges, more, error, words",
    [
        ([[0, 5], [1, 0]], {"num_nodes": 3}, IndexError, "edge 1 goes from node 5 to node 0, but nodes are 0 to 2"),
        ([[0, 1], [1, -1]], {}, IndexError, "edge 1 goes from node 1 to node -1"),
        ([[0, 1], [1, 3]], {"x": np.ones((3, 1))}, IndexError, "edge 1 goes from node 1 to node 3, .*num_nodes=3"),
        ([[0.0], [1.0]], {}, TypeError, "must hold integers, got float64"),
        (np.zeros((5, 2), int), {}, ValueError, r"must be \[2, E\].*got shape \(5, 2\); transpose it"),
        (np.zeros((2, 2, 2), int), {}, ValueError, r"got shape \(2, 2, 2\)"),
        ([[0], [1]], {"edge_weight": [1.0, 2.0]}, ValueError, r"edge_weight has 2 rows for 1 edges"),
        ([[0], [1]], {"edge_weight": [[1.0]]}, ValueError, "edge_weight must be one number per edge"),
        ([[0], [1]], {"edge_attr": 1.0}, ValueError, "edge_attr must have a row per edge, got a scalar"),
        ([[0], [1]], {"x": np.ones((3, 1)), "pos": np.ones((2, 3))}, ValueError, "pos has 2 rows for 3 nodes"),
        ([[0], [1]], {"x": np.ones((3, 1)), "num_nodes": 4}, ValueError, "x has 3 rows for 4 nodes"),
        ([[0], [1]], {"num_nodes": -1}, ValueError, "num_nodes must not be negative"),
        ([[0], [1]], {"num_nodes": 2.5}, TypeError, "num_nodes must be an integer, got 2.5"),
        ([[0], [1]], {"node_data": {"q": [1.0]}}, ValueError, r"node_data\['q'\] has 1 rows for 2 nodes"),
    ],
)  # fmt: skip
def test_refusals(edges, more, error, words):
    with pytest.raises(error, match=words):
        gnn.Graph(edges, **more)


def test_empty_graphs():
    for edges in ([], np.zeros((2, 0)), np.zeros((0, 2))):
        assert (gnn.Graph(edges).num_nodes, gnn.Graph(edges, num_nodes=3).num_nodes) == (0, 3)
    g = gnn.Graph([], num_nodes=3)
    assert g.is_undirected() and not g.has_self_loops()
    assert (
        g.with_self_loops().num_edges == 3 and g.undirected().num_edges == 0 and g.coalesced().num_edges == 0
    )
    assert g.normalised().num_edges == 0 and g.subgraph([2]).num_nodes == 1
    np.testing.assert_array_equal(np.asarray(g.degree()), 0)
    np.testing.assert_allclose(np.asarray(g.laplacian("sym").todense()), np.eye(3))


def test_from_other_packages():
    a = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [4.0, 0.0, 5.0]])
    for made in (
        gnn.from_dense(a),
        gnn.from_scipy(scipy.sparse.csr_array(a)),
        gnn.from_scipy(scipy.sparse.coo_matrix(a)),
    ):
        np.testing.assert_array_equal(dense(made, made.edge_weight), a.T)
    assert gnn.from_scipy(scipy.sparse.csr_array(a), x=np.ones((3, 2))).x.shape == (3, 2)
    with pytest.raises(TypeError, match="one of scipy.sparse, got ndarray"):
        gnn.from_scipy(a)
    with pytest.raises(ValueError, match=r"square, got shape \(2, 3\)"):
        gnn.from_scipy(scipy.sparse.csr_array((2, 3)))
    with pytest.raises(ValueError, match="square"):
        gnn.from_dense(np.ones((2, 3)))
    with pytest.raises(TypeError, match="one of networkx, got list"):
        gnn.from_networkx([])
    with pytest.raises(TypeError, match="torch_geometric Data with edge_index, got list"):
        gnn.from_pyg([])


def test_from_networkx():
    networkx = pytest.importorskip("networkx")
    g = networkx.Graph()
    g.add_node("c", f=[3.0])
    g.add_node("a", f=[1.0])
    g.add_edge("a", "c", w=2.0)
    g.add_edge("a", "a", w=7.0)
    made = gnn.from_networkx(g, weight="w", x="f")
    np.testing.assert_array_equal(dense(made, made.edge_weight), [[0.0, 2.0], [2.0, 7.0]])
    np.testing.assert_array_equal(np.asarray(made.x), [[3.0], [1.0]])
    assert gnn.from_networkx(networkx.DiGraph([(0, 1)])).num_edges == 1
    with pytest.raises(ValueError, match="the edge 'c' - 'a' has no attribute 'v'"):
        gnn.from_networkx(g, weight="v")
    g.add_node("b")
    with pytest.raises(ValueError, match="from_networkx: the node 'b' has no attribute 'f'"):
        gnn.from_networkx(g, x="f")


def test_from_networkx_with_parallel_edges():
    networkx = pytest.importorskip("networkx")
    edges = [("a", "b", 1.0), ("a", "b", 2.0), ("b", "a", 4.0), ("b", "b", 8.0), ("b", "b", 16.0)]
    for kind, expected, count in (
        (networkx.MultiDiGraph, [[0.0, 4.0], [3.0, 24.0]], 5),
        (networkx.MultiGraph, [[0.0, 7.0], [7.0, 24.0]], 8),
    ):
        g = kind()
        for u, v, w in edges:
            g.add_edge(u, v, w=w)
        made = gnn.from_networkx(g, weight="w")
        assert made.num_edges == count and made.is_undirected() == (not g.is_directed())
        np.testing.assert_array_equal(dense(made, made.edge_weight), expected)  # all edges stay, and add up


class Tensor:
    """What a tensor of torch offers."""

    def __init__(self, a):
        self.a = np.asarray(a)

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.a


class Data(dict):
    """What a Data of torch_geometric offers."""

    num_nodes = 3
    edge_index = property(lambda self: self["edge_index"])


def test_from_pyg():
    made = gnn.from_pyg(
        Data(
            edge_index=Tensor([[0, 1], [1, 0]]),
            x=Tensor(np.ones((3, 2), np.float32)),
            y=Tensor([0, 1, 2]),
            train_mask=Tensor([True, False, True]),
            edge_type=Tensor([4, 5]),
            extra=Tensor([[1.0]]),
            text="no tensor",
        )
    )
    assert (made.num_nodes, made.x.dtype, made.y.shape) == (3, hs.float32, (3,))
    assert set(made.node_data) == {"train_mask"} and set(made.graph_data) == {"extra"}
    np.testing.assert_array_equal(np.asarray(made.edge_data["edge_type"]), [5, 4])  # sorted by target


def pyg_batch(batch, n=5, **more):
    made = Data(edge_index=Tensor([[0, 3], [1, 4]]), batch=Tensor(batch), u=Tensor(np.ones((3, 2))), **more)
    made.num_nodes = n
    return made


def test_from_pyg_keeps_batches():
    made = gnn.from_pyg(pyg_batch([0, 0, 0, 2, 2], ptr=Tensor([0, 3, 3, 5]), mask=Tensor(np.arange(5))))
    assert made.num_graphs == 3 and made.node_graph.tolist() == [0, 0, 0, 2, 2]
    assert made.node_starts.tolist() == [0, 3, 3, 5] and made.graph_mask.tolist() == [True] * 3
    assert set(made.node_data) == {"mask"} and set(made.graph_data) == {"u"}
    parts = gnn.unbatch(made)
    assert [g.num_nodes for g in parts] == [3, 0, 2] and parts[2].graph_data["u"].shape == (1, 2)
    assert parts[2].node_data["mask"].tolist() == [3, 4] and parts[2].edge_index.tolist() == [[0], [1]]
    # Without ptr the last graph that has nodes is the last; with it there may be more. What is padded stays so.
    assert gnn.from_pyg(pyg_batch([0, 0, 0, 2, 2])).num_graphs == 3
    with pytest.raises(ValueError, match="from_pyg: batch ends with graph 100000000000, of 5 nodes"):
        gnn.from_pyg(pyg_batch([0, 0, 0, 1, 10**11]))
    with pytest.raises(
        ValueError, match="from_pyg: ptr, 3 starts from .0. to .5., is not where the graphs of batch"
    ):
        gnn.from_pyg(pyg_batch([0, 0, 0, 1, 1], ptr=Tensor([0, 1, 5])))
    padded = gnn.from_pyg(
        pyg_batch([0, 0, 0, 1, 1], ptr=Tensor([0, 3, 5, 5]), graph_mask=Tensor([True, False, False]))
    )
    assert padded.num_graphs == 3 and padded.graph_mask.tolist() == [True, False, False]
    assert set(padded.graph_data) == {"u"} and len(gnn.unbatch(padded)) == 1
    # A batch that is no integer per node is an array like others.
    assert set(gnn.from_pyg(pyg_batch([0.5] * 5)).node_data) == {"batch"}
    for bad, words in (
        ([0, 1, 0, 2, 2], "is 0 at node 2; sort the nodes"),
        ([-1, 0, 0, 1, 1], "is -1 at node 0"),
    ):
        with pytest.raises(ValueError, match=f"from_pyg: batch must ascend from 0 on, .* {words}"):
            gnn.from_pyg(pyg_batch(bad))


def test_graphs_are_trees():
    """Programs are reused for graphs of the same sizes; gradients are those of arrays that are not patterns."""
    f = hs.compile(lambda g: hs.sum(g.adjacency() @ g.x))
    calls = []
    traced = hs.compile(lambda g: (calls.append(1), hs.sum(g.adjacency() @ g.x))[1])
    for seed in range(3):
        edges = np.random.default_rng(seed).integers(N, size=EDGES.shape)
        g = gnn.Graph(edges, X, edge_weight=W)
        np.testing.assert_allclose(float(f(g)), float(traced(g)), rtol=1e-13)
    assert len(calls) == 1
    gradient = hs.grad(lambda g: hs.sum(g.adjacency() @ g.x))(graph())
    assert gradient.source is None and gradient.x.shape == X.shape and gradient.edge_weight.shape == W.shape


def test_graphs_are_made_outside_of_programs():
    with pytest.raises(hs.TraceError, match="make the graph outside of compile"):
        hs.compile(lambda e: hs.sum(gnn.Graph(e, num_nodes=N).degree()))(hs.array(EDGES))


def test_random_walks():
    g = gnn.batch([graph(), gnn.Graph(EDGES, X, edge_weight=W + 1.0, edge_attr=ATTR)])
    found = np.asarray(gnn.random_walk_encoding(g, 4))
    expected = []
    for w in (W, W + 1.0):
        a = np.zeros((N, N))
        np.add.at(a, (EDGES[0], EDGES[1]), w)
        d = a.sum(1, keepdims=True)
        p = np.divide(a, d, out=np.zeros_like(a), where=d > 0)
        expected.append(np.stack([np.diag(np.linalg.matrix_power(p, k)) for k in range(1, 5)], axis=1))
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-12, atol=1e-15)
    with pytest.raises(ValueError, match="k must be at least 1"):
        gnn.random_walk_encoding(g, 0)


def test_encodings_of_periodic_graphs():
    """Edges to several images of a node are parallel edges: every one is a way to walk, and they add up."""
    # A ring of three, the first two joined by two images each way, and a node with an image of itself.
    s, t = np.array([[0, 1, 0, 1, 1, 2, 2, 0, 2, 2], [1, 0, 1, 0, 2, 1, 0, 2, 2, 2]])
    shift = np.array([[0.0], [0], [3], [-3], [0], [0], [3], [-3], [3], [-3]])
    w = np.array([1.0, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    g = gnn.Graph(
        [s, t], edge_weight=w, edge_attr=np.arange(10.0), edge_data={"shift": shift, "k": np.arange(10)}
    )
    for weight in (w, None):
        given = g if weight is not None else g.replace(edge_weight=None)
        a = np.zeros((3, 3))
        np.add.at(a, (s, t), 1.0 if weight is None else weight)
        p = a / a.sum(1, keepdims=True)
        expected = np.stack([np.diag(np.linalg.matrix_power(p, k)) for k in range(1, 5)], axis=1)
        for one in (
            given,
            given.replace(edge_attr=None, edge_data={"shift": given.edge_data["shift"]}).pairs(),
        ):
            np.testing.assert_allclose(np.asarray(gnn.random_walk_encoding(one, 4)), expected, rtol=1e-12)
        plain = given.replace(edge_data={})
        np.testing.assert_allclose(
            np.asarray(gnn.laplacian_encoding(given, 2)), np.asarray(gnn.laplacian_encoding(plain, 2))
        )
        loops = a - np.diag(np.diag(a))
        d = loops.sum(1)
        for kind, matrix in (
            (None, np.diag(d) - loops),
            ("sym", np.eye(3) - loops / np.sqrt(np.outer(d, d))),
            ("rw", np.eye(3) - loops / d[:, None]),
        ):
            np.testing.assert_allclose(np.asarray(given.laplacian(kind).todense()), matrix, atol=1e-14)
    for encoding in (gnn.random_walk_encoding, gnn.laplacian_encoding):
        with pytest.raises(TypeError, match="_encoding: graph must be a hs.gnn.Graph, got HeteroGraph; take"):
            encoding(gnn.HeteroGraph({("a", "to", "b"): [[0], [0]]}), 2)


def test_laplacian_encoding():
    g = graph().undirected()
    found = np.asarray(gnn.laplacian_encoding(g, 3))
    matrix = np.asarray(g.laplacian("sym").todense())
    values = np.linalg.eigvalsh(matrix)[1:4]
    np.testing.assert_allclose(matrix @ found, found * values, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), 1.0)
    few = np.asarray(gnn.laplacian_encoding(gnn.Graph([[0, 1], [1, 0]]), 3))
    np.testing.assert_allclose(np.abs(few), [[0.5**0.5, 0, 0], [0.5**0.5, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(
        np.abs(np.asarray(gnn.laplacian_encoding(g, 3, key=hs.random.key(0)))), np.abs(found)
    )
    with pytest.raises(ValueError, match="directed edges"):
        gnn.laplacian_encoding(graph(), 2)
