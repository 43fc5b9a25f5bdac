"""MPNN against a formula written edge by edge and node by node, and what a model of graphs must do."""

import gnn_cases
import numpy as np
import pytest

import hesse as hs
from hesse import gnn

NODE, EDGE, OUT, HIDDEN = 3, 2, 2, 4


def graph(n=5, seed=0):
    """Random directed edges, some of them twice, and self-loops."""
    rng = np.random.default_rng(seed)
    edges = rng.integers(n, size=(2, 2 * n)) if n else np.zeros((2, 0), int)
    return gnn.Graph(edges, rng.normal(size=(n, NODE)), edge_attr=rng.normal(size=(2 * n, EDGE)))


def three():
    """One of them without edges."""
    return gnn.batch([graph(), graph(2, 1).with_edges(np.zeros((2, 0), int), np.zeros(0, int)), graph(4, 2)])


def model(dtype=None, **options):
    """All parameters drawn, biases too."""
    sizes = {"hidden": HIDDEN, "steps": 2, "pool_steps": 3, "edge_hidden": 5, **options}
    made = gnn.MPNN(NODE, EDGE, OUT, **sizes, key=hs.random.key(0), dtype=dtype)
    rng = np.random.default_rng(1)
    return hs.tree_map(lambda a: a + hs.asarray(0.2 * rng.normal(size=a.shape), dtype=a.dtype), made)


def formula(m, x, edges, attr, starts):
    """A node, an edge, a graph at a time; takes complex numbers."""
    act = np.tanh if m.activation is hs.tanh else lambda a: np.where(a.real > 0, a, 0)
    dense = lambda layer, a: layer.weight @ a + layer.bias
    s = gnn_cases.sigmoid
    d = HIDDEN

    def gru(m_i, h_i):
        a, b = dense(m.cell.inputs, m_i), dense(m.cell.state, h_i)
        r, z = s(a[:d] + b[:d]), s(a[d : 2 * d] + b[d : 2 * d])
        return (1 - z) * np.tanh(a[2 * d :] + r * b[2 * d :]) + z * h_i

    h = [dense(m.first, row) for row in x]
    one, two = m.conv.net.layers
    for _ in range(m.steps):
        messages = [np.zeros(d) for _ in h]
        for (j, i), e in zip(edges.T, attr, strict=True):
            messages[i] = messages[i] + h[j] @ dense(two, act(dense(one, e))).reshape(d, d)
        h = [gru(*pair) for pair in zip(messages, h, strict=True)]
    rows = [dense(m.project, np.concatenate(pair)) for pair in zip(h, x, strict=True)]
    found = []
    for begin, end in zip(starts, starts[1:], strict=False):
        own, q, c, both = rows[begin:end], np.zeros(d), np.zeros(d), np.zeros(2 * d)
        for _ in range(m.pool.steps):
            i, f, g, o = np.split(dense(m.pool.cell.inputs, both) + dense(m.pool.cell.state, q), 4)
            c = s(f) * c + s(i) * np.tanh(g)
            q = s(o) * np.tanh(c)
            weights = np.exp([q @ row for row in own])
            r = sum((w * row for w, row in zip(weights / weights.sum(), own, strict=True)), np.zeros(d))
            both = np.concatenate([q, r])
        found.append(dense(m.last, act(dense(m.hidden_layer, both))))
    return np.array(found)


def reference(m, g, x=None, attr=None):
    x, attr = (np.asarray(a, a.dtype if a.dtype == complex else float) for a in (
        np.asarray(g.x) if x is None else x, np.asarray(g.edge_attr) if attr is None else attr,
    ))  # fmt: skip
    return formula(m, x, np.asarray(g.edge_index), attr, np.asarray(g.node_starts))


@pytest.mark.parametrize(
    "options", [{}, {"steps": 4, "pool_steps": 1}, {"activation": hs.tanh}], ids=["relu", "steps", "tanh"]
)
@pytest.mark.parametrize("dtype, rtol", [(hs.float64, 1e-12), (hs.float32, 2e-5)], ids=str)
def test_values_are_those_of_the_formula(options, dtype, rtol):
    m, g = model(dtype, **options), three()
    expected = reference(hs.tree_map(lambda a: np.asarray(a, float), m), g)
    g = g.replace(x=hs.astype(g.x, dtype), edge_attr=hs.astype(g.edge_attr, dtype))
    for y in (m(g), hs.compile(lambda m, g: m(g))(m, g)):
        assert y.dtype == dtype and y.shape == (3, OUT)
        np.testing.assert_allclose(y, expected, rtol=rtol, atol=rtol)


def test_gradients_are_those_of_the_formula():
    """Every entry of the gradient by parameters, features of nodes and of edges, by complex steps."""
    m, g = model(activation=hs.tanh), three()
    c = np.random.default_rng(3).normal(size=(3, OUT))
    loss = lambda m, x, e: hs.sum(hs.array(c) * m(g.replace(x=x, edge_attr=e)))
    at = (m, g.x, g.edge_attr)
    leaves, treedef = hs.tree_flatten(at)
    plain = [np.asarray(a) for a in leaves]
    found = [hs.tree_leaves(f(hs.grad(loss, argnums=(0, 1, 2)))(*at)) for f in (lambda f: f, hs.compile)]
    rng = np.random.default_rng(4)
    for k, leaf in enumerate(plain):
        for _ in range(4):  # along random directions
            u = rng.normal(size=leaf.shape)
            moved = treedef.unflatten([*plain[:k], leaf + 1e-30j * u, *plain[k + 1 :]])
            expected = np.sum(c * reference(moved[0], g, *moved[1:])).imag / 1e-30
            for slopes in found:
                slope = float(np.sum(np.asarray(slopes[k]) * u))
                assert slope == pytest.approx(expected, rel=1e-9, abs=1e-11), treedef.paths()[k]


def test_forward_mode_and_second_order():
    """<v, J u> = <J^T v, u>; H is symmetric and the difference of gradients."""
    m, g = model(activation=hs.tanh), graph()
    rng = np.random.default_rng(5)
    u, w = (hs.tree_map(lambda a: hs.array(rng.normal(size=a.shape)), m) for _ in range(2))
    dot = lambda a, b: sum(
        float(hs.sum(x * y)) for x, y in zip(hs.tree_leaves(a), hs.tree_leaves(b), strict=True)
    )
    loss = lambda m: hs.sum(hs.sin(m(g)))
    gradient = hs.grad(loss)
    assert float(hs.jvp(loss, (m,), (u,))[1]) == pytest.approx(dot(gradient(m), u), rel=1e-11)
    hu, hw = (hs.jvp(gradient, (m,), (d,))[1] for d in (u, w))
    assert dot(hu, w) == pytest.approx(dot(hw, u), rel=1e-9)
    a, b = (gradient(hs.tree_map(lambda p, q, t=t: p + t * q, m, u)) for t in (1e-6, -1e-6))
    assert dot(hu, w) == pytest.approx((dot(a, w) - dot(b, w)) / 2e-6, rel=2e-5)


def test_symmetries_batches_and_maps():
    m, g, rng = model(), graph(), np.random.default_rng(2)
    name, order = rng.permutation(5), rng.permutation(g.num_edges)
    other = gnn.Graph(
        name[np.asarray(g.edge_index)][:, order], np.asarray(g.x)[np.argsort(name)],
        edge_attr=np.asarray(g.edge_attr)[order],
    )  # fmt: skip
    np.testing.assert_allclose(m(other), m(g), rtol=1e-11)
    graphs = [g, other, graph(3, 7)]
    both = gnn.batch(graphs)
    np.testing.assert_allclose(m(both), np.concatenate([np.asarray(m(a)) for a in graphs]), rtol=1e-11)
    xs = hs.array(rng.normal(size=(3, 5, NODE)))
    f = lambda x: m(g.replace(x=x))
    np.testing.assert_allclose(hs.vmap(f)(xs), [np.asarray(f(x)) for x in xs], rtol=1e-11)
    padded = gnn.pad(both, both.num_nodes + 4, both.num_edges + 7, 5)
    y = np.asarray(m(padded))
    np.testing.assert_allclose(y[:3], m(both), rtol=1e-11)
    assert np.isfinite(y).all()
    assert m(graph(0)).shape == (1, OUT)


def test_in_an_estimator():
    """It learns a sum over the edges of a graph."""
    graphs = [graph(4, seed) for seed in range(24)]
    y = np.array([float(hs.sum(g.edge_attr[:, 0])) for g in graphs])
    build = lambda key: gnn.MPNN(NODE, EDGE, 1, hidden=8, steps=2, edge_hidden=8, key=key)
    fitted = gnn.GraphRegressor(build, epochs=60, batch_size=8, optimiser=hs.optim.adam(0.01)).fit(graphs, y)
    assert fitted.history_[-1].loss < 0.3 * fitted.history_[0].loss
    assert fitted.score(graphs, y) > 0.7


def test_what_it_refuses():
    m, g = model(), graph()
    with pytest.raises(TypeError, match=r"MPNN: graph must be a hs\.gnn\.Graph, got ndarray"):
        m(np.ones((5, NODE)))
    with pytest.raises(ValueError, match=r"MPNN: the graph has no x; make it with x="):
        m(gnn.Graph([[0], [1]], edge_attr=[[1.0, 2.0]]))
    with pytest.raises(ValueError, match=r"MPNN: the graph has no edge_attr; make it with edge_attr="):
        m(gnn.Graph([[0], [1]], np.ones((2, NODE))))
    with pytest.raises(ValueError, match=r"MPNN: x must be \[5, 3\] for this graph, got shape \(5, 4\)"):
        m(g.replace(x=hs.ones((5, 4))))
    with pytest.raises(ValueError, match=r"MPNN: edge_attr must be \[10, 2\], got shape \(10, 1\)"):
        m(g.replace(edge_attr=hs.ones((10, 1))))
    with pytest.raises(ValueError, match=r"MPNN: the graph has pairs"):
        m(gnn.Graph([[0], [1]], np.ones((2, NODE)), edge_attr=[[1.0, 2.0]], paired=True))
    with pytest.raises(ValueError, match=r"MPNN: pool_steps must be positive, got 0"):
        model(pool_steps=0)
    with pytest.raises(TypeError, match=r"MPNN: hidden must be an integer, got 2\.5"):
        model(hidden=2.5)
