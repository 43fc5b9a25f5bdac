"""Every graph layer: values and gradients against formulas written edge by edge, and what all layers must do."""

import numpy as np
import pytest
from gnn_cases import CASES, EDGE, EDGES, F, N

import hesse as hs
from hesse import gnn

each = pytest.mark.parametrize("case", CASES, ids=str)


def functions(case, seed=0, dtype=np.float64):
    """(loss of (layer, x, e), the same in NumPy, their arguments)."""
    layer, graph = case.layer(seed, dtype=hs.asarray(np.zeros(0, dtype)).dtype), case.graph(seed, dtype)
    c = np.random.default_rng(seed + 1).normal(size=case.call(layer, graph.x, graph).shape)

    def loss(layer, x, e):
        return hs.sum(hs.asarray(c) * hs.sin(case.call(layer, x, graph, e)))

    def reference(layer, x, e):
        return float(np.sum(c * np.sin(case.reference(layer, np.asarray(x), graph, np.asarray(e)))))

    return loss, reference, (layer, graph.x, graph.edge_attr), graph


@each
def test_values(case):
    layer, graph = case.layer(), case.graph()
    expected = case.reference(layer, np.asarray(graph.x), graph)
    np.testing.assert_allclose(np.asarray(case.call(layer, graph.x, graph)), expected, rtol=1e-12, atol=1e-12)
    compiled = hs.compile(lambda l, g: case.call(l, g.x, g))
    np.testing.assert_allclose(np.asarray(compiled(layer, graph)), expected, rtol=1e-12, atol=1e-12)


@each
def test_float32(case):
    layer, graph = case.layer(dtype=hs.float32), case.graph(dtype=np.float32)
    y = case.call(layer, graph.x, graph)
    assert y.dtype == hs.float32
    wide = hs.tree_map(lambda a: hs.astype(a, hs.float64), layer)
    expected = case.reference(wide, np.asarray(graph.x, float), graph)
    np.testing.assert_allclose(np.asarray(y), expected, rtol=3e-5, atol=3e-5)


@each
def test_gradients(case):
    """Every entry of the gradient by parameters, features and edge features against central differences."""
    loss, reference, at, graph = functions(case)
    gradient = hs.grad(loss, argnums=(0, 1, 2))(*at)
    compiled = hs.compile(hs.grad(loss, argnums=(0, 1, 2)))(*at)
    leaves, treedef = hs.tree_flatten(at)
    for k, leaf in enumerate(leaves):
        expected = np.zeros(leaf.shape)
        for index in np.ndindex(*leaf.shape):
            values = []
            for h in (1e-6, -1e-6):
                moved = np.array(leaf)
                moved[index] += h
                values.append(reference(*treedef.unflatten([*leaves[:k], hs.array(moved), *leaves[k + 1 :]])))
            expected[index] = (values[0] - values[1]) / 2e-6
        for found in (gradient, compiled):
            actual = hs.tree_leaves(found)[k]
            np.testing.assert_allclose(
                np.asarray(actual), expected, rtol=1e-6, atol=1e-7, err_msg=treedef.paths()[k]
            )


@each
def test_forward_mode_and_second_order(case):
    """<v, J u> = <J^T v, u>, and u^T H w symmetric and equal to differences of the gradient."""
    loss, _, at, graph = functions(case)
    rng = np.random.default_rng(5)
    leaves, treedef = hs.tree_flatten(at)
    u, w = (treedef.unflatten([hs.array(rng.normal(size=a.shape)) for a in leaves]) for _ in range(2))
    dot = lambda a, b: sum(
        float(hs.sum(x * y)) for x, y in zip(hs.tree_leaves(a), hs.tree_leaves(b), strict=True)
    )
    gradient = hs.grad(loss, argnums=(0, 1, 2))
    g = gradient(*at)
    _, forward = hs.jvp(lambda *a: loss(*a), at, u)
    np.testing.assert_allclose(float(forward), dot(g, u), rtol=1e-11)
    _, hu = hs.jvp(gradient, at, u)
    _, hw = hs.jvp(gradient, at, w)
    np.testing.assert_allclose(dot(hu, w), dot(hw, u), rtol=1e-8, atol=1e-9)
    moved = lambda h: gradient(
        *treedef.unflatten([a + h * b for a, b in zip(leaves, hs.tree_leaves(u), strict=True)])
    )
    a, b = moved(1e-6), moved(-1e-6)
    np.testing.assert_allclose(dot(hu, w), (dot(a, w) - dot(b, w)) / 2e-6, rtol=2e-5, atol=1e-5)


@each
def test_vmap(case):
    """Over features of nodes against a loop."""
    layer, graph = case.layer(), case.graph()
    xs = hs.array(np.random.default_rng(3).normal(size=(3, N, F)))
    f = lambda x: case.call(layer, x, graph)
    np.testing.assert_allclose(
        np.asarray(hs.vmap(f)(xs)), np.stack([np.asarray(f(x)) for x in xs]), rtol=1e-11, atol=1e-12
    )


@each
def test_permutations(case):
    """New names of the nodes and another order of the edges rename the rows of the result."""
    layer, graph = case.layer(), case.graph()
    rng = np.random.default_rng(2)
    name, order = rng.permutation(N), rng.permutation(graph.num_edges)
    edges = name[np.asarray(graph.edge_index)][:, order]
    other = gnn.Graph(
        edges, np.asarray(graph.x)[np.argsort(name)],
        edge_weight=np.asarray(graph.edge_weight)[order], edge_attr=np.asarray(graph.edge_attr)[order],
        edge_data={"relation": np.asarray(graph.edge_data["relation"])[order]},
    )  # fmt: skip
    y, z = (np.asarray(case.call(layer, g.x, g)) for g in (graph, other))
    np.testing.assert_allclose(z[name], y, rtol=1e-11, atol=1e-12)


@each
def test_batches(case):
    """A batch gives what its graphs give."""
    layer, graphs = case.layer(), [case.graph(seed) for seed in (0, 1)]
    graphs.append(graphs[0].with_edges(np.zeros((2, 0), int), np.zeros(0, int)))
    both = gnn.batch(graphs)
    y = np.asarray(case.call(layer, both.x, both))
    expected = np.concatenate([np.asarray(case.call(layer, g.x, g)) for g in graphs])
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)


@each
def test_no_nodes_and_no_edges(case):
    layer = case.layer()
    width = F if case.takes == "wide" else EDGE
    for n in (0, 3):
        graph = gnn.Graph(
            np.zeros((2, 0), int), np.ones((n, F)), edge_attr=np.zeros((0, width)), edge_weight=np.zeros(0),
            edge_data={"relation": np.zeros(0, int)},
        )  # fmt: skip
        y = case.call(layer, graph.x, graph)
        assert y.shape[0] == n
        np.testing.assert_allclose(
            np.asarray(y),
            case.reference(layer, np.ones((n, F)), graph) if n else np.zeros(y.shape),
            atol=1e-12,
        )
        g = hs.grad(lambda l, x: hs.sum(case.call(l, x, graph)), argnums=(0, 1))(layer, graph.x)
        assert all(bool(hs.all(hs.isfinite(a))) for a in hs.tree_leaves(g))


@each
def test_nan_stays_with_whom_it_reaches(case):
    """A node's NaN reaches the nodes that its edges lead to, and no node without such edges."""
    layer, graph = case.layer(), case.graph()

    def reached(node):
        x = np.array(graph.x)
        x[node] = np.nan
        return np.isnan(np.asarray(case.call(layer, hs.array(x), graph))).any(axis=1)

    alone, sends = reached(6), reached(5)  # 6 has no edges, 5 sends to 4
    assert not alone[:6].any() and (alone[6] or case.name.startswith("edge"))
    assert sends[4] and not sends[6]


@each
def test_refusals(case):
    layer, graph = case.layer(), case.graph()
    with pytest.raises(ValueError, match=r"x must be \[7, "):
        case.call(layer, graph.x[:-1], graph)
    with pytest.raises(TypeError, match=r"graph must be a hs\.gnn\.Graph"):
        layer(*((graph.x, EDGES) if case.takes != "relation" else (graph.x, EDGES, None)))


def test_sparse_features():
    """Layers whose first act is x W take sparse x, and give the same with the same gradients."""
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(N, F)) * (rng.random((N, F)) < 0.5)
    graph = CASES[0].graph()
    kind = graph.edge_data["relation"]
    for layer, more in [
        (gnn.GCNConv(F, 2), ()), (gnn.SGConv(F, 2, steps=2), ()), (gnn.GATConv(F, 2, heads=2), ()),
        (gnn.GATv2Conv(F, 2), ()), (gnn.TransformerConv(F, 2), ()), (gnn.SAGEConv(F, 2), ()),
        (gnn.RGCNConv(F, 2, 3), (kind,)),
    ]:  # fmt: skip
        f = lambda l, x: hs.sum(l(x, graph, *more) ** 2)
        a, b = hs.grad(f)(layer, hs.array(dense)), hs.grad(f)(layer, hs.sparse.from_dense(dense))
        for p, q in zip(hs.tree_leaves(a), hs.tree_leaves(b), strict=True):
            np.testing.assert_allclose(np.asarray(p), np.asarray(q), rtol=1e-10, atol=1e-12)
    with pytest.raises(TypeError, match="x must be dense"):
        gnn.GINConv(hs.nn.MLP([F, 2]))(hs.sparse.from_dense(dense), graph)


def test_dropout_of_attention():
    graph = CASES[0].graph()
    for layer in (
        gnn.GATConv(F, 2, dropout=0.5),
        gnn.GATv2Conv(F, 2, dropout=0.5),
        gnn.TransformerConv(F, 2, dropout=0.5),
    ):
        y = layer(graph.x, graph)
        drawn = [np.asarray(layer(graph.x, graph, key=hs.random.key(k))) for k in range(200)]
        np.testing.assert_array_equal(np.asarray(layer(graph.x, graph, key=hs.random.key(0))), drawn[0])
        assert not np.allclose(drawn[0], drawn[1])
        # Dropout changes no expected value of a sum: five standard errors.
        error = np.std(drawn, axis=0) / np.sqrt(len(drawn))
        assert (np.abs(np.mean(drawn, axis=0) - np.asarray(y)) <= 5 * error + 1e-12).all()
