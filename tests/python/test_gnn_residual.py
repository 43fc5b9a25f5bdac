"""x + layer(x, graph, ...): values, gradients and programs for every layer of as many features out as in; refusals."""

import numpy as np
import pytest
from gnn_cases import EDGE, EDGES, RELATION, F, N

import hesse as hs
from hesse import gnn

KEY = hs.random.key(0)
RNG = np.random.default_rng(0)
GRAPH = gnn.Graph(EDGES, RNG.normal(size=(N, F)), edge_attr=RNG.normal(size=(EDGES.shape[1], EDGE)))
PLAIN = ((GRAPH,), {})
LAYERS = {
    "gcn": (gnn.GCNConv(F, F, key=KEY), *PLAIN),
    "gat": (gnn.GATv2Conv(F, F, heads=2, concat=False, key=KEY), *PLAIN),
    "nn": (gnn.NNConv(F, F, hs.nn.MLP([EDGE, 4, F * F], key=KEY), key=KEY), (GRAPH,), {"edge_attr": GRAPH.edge_attr}),
    "rgcn": (gnn.RGCNConv(F, F, 3, key=KEY), (GRAPH, RELATION), {}),
    "mlp": (hs.nn.MLP([F, 4, F], key=KEY), (), {}),
    "twice": (gnn.Residual(gnn.GCNConv(F, F, key=KEY)), *PLAIN),
}  # fmt: skip
each = pytest.mark.parametrize("name", LAYERS)


@each
def test_values_and_programs(name):
    layer, args, kwargs = LAYERS[name]
    expected = np.asarray(GRAPH.x) + np.asarray(layer(GRAPH.x, *args, **kwargs))
    residual = gnn.Residual(layer)
    run = lambda m, x: m(x, *args, **kwargs)
    np.testing.assert_allclose(run(residual, GRAPH.x), expected, rtol=1e-14)
    np.testing.assert_allclose(hs.compile(run)(residual, GRAPH.x), expected, rtol=1e-12)
    np.testing.assert_allclose(hs.vmap(lambda x: run(residual, x))(GRAPH.x[None])[0], expected, rtol=1e-12)
    assert [a is b for a, b in zip(hs.tree_leaves(residual), hs.tree_leaves(layer), strict=True)]


@each
def test_gradients(name):
    """Those of the layer, and the upstream gradient itself added to that by x."""
    layer, args, kwargs = LAYERS[name]
    c = hs.array(np.random.default_rng(1).normal(size=(N, F)))
    loss = lambda m, x: hs.sum(c * m(x, *args, **kwargs))
    by_layer, by_x = hs.grad(loss, argnums=(0, 1))(layer, GRAPH.x)
    for grad in (hs.grad(loss, argnums=(0, 1)), hs.compile(hs.grad(loss, argnums=(0, 1)))):
        found, by_own = grad(gnn.Residual(layer), GRAPH.x)
        np.testing.assert_allclose(by_own, by_x + c, rtol=1e-11, atol=1e-13)
        for a, b in zip(hs.tree_leaves(found.layer), hs.tree_leaves(by_layer), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    u = np.random.default_rng(2).normal(size=(N, F))
    f = lambda t: float(hs.sum(hs.sin(gnn.Residual(layer)(GRAPH.x + t * u, *args, **kwargs))))
    slope = hs.grad(lambda x: hs.sum(hs.sin(gnn.Residual(layer)(x, *args, **kwargs))))(GRAPH.x)
    assert float(hs.sum(slope * u)) == pytest.approx((f(1e-6) - f(-1e-6)) / 2e-6, rel=1e-6, abs=1e-8)


def test_edges_between_two_types():
    """x_target is added; in a HeteroConv too."""
    graph = gnn.Bipartite([[0, 0, 1], [2, 0, 0]], num_sources=2, num_targets=3)
    pair = hs.array(RNG.normal(size=(2, 4))), hs.array(RNG.normal(size=(3, F)))
    layer = gnn.SAGEConv((4, F), F, key=KEY)
    expected = np.asarray(pair[1]) + np.asarray(layer(pair, graph))
    np.testing.assert_allclose(gnn.Residual(layer)(pair, graph), expected, rtol=1e-14)
    kinds = ("author", "writes", "paper")
    both = gnn.HeteroGraph({kinds: [[0, 0, 1], [2, 0, 0]]}, num_nodes={"author": 2, "paper": 3})
    y = gnn.HeteroConv({kinds: gnn.Residual(layer)})({"author": pair[0], "paper": pair[1]}, both)
    np.testing.assert_allclose(y["paper"], expected, rtol=1e-14)


def test_what_it_refuses():
    with pytest.raises(
        ValueError,
        match=r"Residual: GCNConv must return the shape of x, \(7, 3\), got \(7, 4\); make it with as many features"
        r" out as in",
    ):
        gnn.Residual(gnn.GCNConv(F, 4))(GRAPH.x, GRAPH)
    # What would be broadcast.
    with pytest.raises(
        ValueError, match=r"Residual: GCNConv must return the shape of x, \(7, 3\), got \(7, 1\)"
    ):
        gnn.Residual(gnn.GCNConv(F, 1))(GRAPH.x, GRAPH)
    with pytest.raises(ValueError, match=r"Residual: global_sum_pool must return .* \(7, 3\), got \(1, 3\)"):
        hs.compile(lambda x: gnn.Residual(gnn.global_sum_pool)(x, GRAPH))(GRAPH.x)
    with pytest.raises(
        TypeError, match=r"Residual: the layer must return one array, BatchNorm returned tuple"
    ):
        gnn.Residual(hs.nn.BatchNorm(F))(GRAPH.x)
    with pytest.raises(TypeError, match=r"Residual: x must be dense; use x\.todense\(\)"):
        gnn.Residual(gnn.GCNConv(F, F))(hs.sparse.from_dense(np.eye(N, F)), GRAPH)
    with pytest.raises(TypeError, match=r"Residual: layer must be a function, got int"):
        gnn.Residual(3)
    for pair, words in (((GRAPH.x,), "got 1 entries"), ((GRAPH.x, None), "got 2 entries, the second None")):
        with pytest.raises(TypeError, match=f"Residual: x must be an array, or a pair .* {words}"):
            gnn.Residual(gnn.GCNConv(F, F))(pair, GRAPH)
