"""Poolings, normalisations and what is between layers: against formulas in NumPy, NaN, refusals."""

import numpy as np
import pytest
from gnn_pooling import CASES, GRAPHS, SIZES, F, N

import hesse as hs
from hesse import gnn

each = pytest.mark.parametrize("case", CASES, ids=str)
EMPTY = gnn.Graph(np.zeros((2, 0), int), np.ones((4, F)))


def reference(case, layer, x):
    return case.formula(hs.tree_map(np.asarray, layer), x, GRAPHS)


@each
def test_values(case):
    layer, graph = case.layer(), case.graph()
    expected = reference(case, layer, np.asarray(graph.x))
    np.testing.assert_allclose(case.call(layer, graph.x, graph), expected, rtol=1e-12, atol=1e-14)
    if case.compiles:
        compiled = hs.compile(lambda l, g: case.call(l, g.x, g))
        np.testing.assert_allclose(compiled(layer, graph), expected, rtol=1e-12, atol=1e-14)
    wide = hs.tree_map(lambda a: hs.astype(a, hs.float64), case.layer(hs.float32))
    y = case.call(case.layer(hs.float32), hs.astype(graph.x, hs.float32), graph)
    assert y.dtype == hs.float32
    expected = reference(case, wide, np.asarray(graph.x, np.float32).astype(float))
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)


@each
def test_gradients(case):
    """Every entry by parameters and features, by complex steps of the formula; forwards; the second by differences."""
    layer, graph = case.layer(), case.graph()
    at = (layer, graph.x)
    c = np.random.default_rng(3).normal(size=case.call(layer, graph.x, graph).shape)
    loss = lambda l, x: hs.sum(hs.array(c) * hs.sin(case.call(l, x, graph)))
    gradient = hs.grad(loss, argnums=(0, 1))
    found = [gradient(*at)] + ([hs.compile(gradient)(*at)] if case.compiles else [])
    leaves, treedef = hs.tree_flatten(at)
    plain = [np.asarray(a) for a in leaves]
    for k, leaf in enumerate(plain):
        expected = np.zeros(leaf.shape)
        for index in np.ndindex(*leaf.shape):
            moved = leaf.astype(complex)
            moved[index] += 1e-30j
            l, x = treedef.unflatten([*plain[:k], moved, *plain[k + 1 :]])
            expected[index] = np.sum(c * np.sin(case.formula(l, x, GRAPHS))).imag / 1e-30
        for g in found:
            np.testing.assert_allclose(
                hs.tree_leaves(g)[k], expected, rtol=1e-10, atol=1e-12, err_msg=treedef.paths()[k]
            )
    rng = np.random.default_rng(5)
    u, w = ([hs.array(rng.normal(size=a.shape)) for a in leaves] for _ in range(2))
    dot = lambda a, b: sum(float(hs.sum(p * q)) for p, q in zip(hs.tree_leaves(a), b, strict=True))
    _, forward = hs.jvp(loss, at, treedef.unflatten(u))
    np.testing.assert_allclose(float(forward), dot(found[0], u), rtol=1e-11)
    _, hu = hs.jvp(gradient, at, treedef.unflatten(u))
    moved = lambda h: gradient(*treedef.unflatten([a + h * b for a, b in zip(leaves, u, strict=True)]))
    difference = (dot(moved(1e-6), w) - dot(moved(-1e-6), w)) / 2e-6
    np.testing.assert_allclose(dot(hu, w), difference, rtol=2e-5, atol=1e-5)


@each
def test_nan_stays_in_its_graph(case):
    """A node's NaN reaches its graph (between layers: its row) and changes no bit of the others."""
    layer, graph = case.layer(), case.graph()
    node = GRAPHS[2].start + 1
    x = np.array(graph.x)
    x[node, 0] = np.nan
    before, after = (np.asarray(case.call(layer, v, graph)) for v in (graph.x, hs.array(x)))
    of = np.repeat(np.arange(len(SIZES)), SIZES)
    if case.by == "node":
        own = np.arange(N) == node
    elif case.name == "virtual node":
        own = np.concatenate([of, np.arange(len(SIZES))]) == 2
    elif case.name == "top k":
        kept = np.asarray(layer(graph.x, graph)[2])
        own = of[kept] == 2
        assert np.asarray(layer(hs.array(x), graph)[2])[own.argmax()] == node  # it counts as the largest
    else:
        own = (of if len(before) == N else np.arange(len(SIZES))) == 2
    np.testing.assert_array_equal(after[~own], before[~own])
    assert np.isnan(after[own]).any() and not np.isnan(before).any()
    if case.name in ("sum", "mean", "max"):
        np.testing.assert_array_equal(np.isnan(after[2]), [True, False, False])


def test_nan_in_a_batch_norm_stays_in_its_column():
    x = np.random.default_rng(0).normal(size=(6, 3))
    x[2, 1] = np.nan
    for mask in (None, np.ones(6, bool)):
        y, after = hs.nn.BatchNorm(3)(x, mask=mask)
        np.testing.assert_array_equal(np.isnan(y), [[False, True, False]] * 6)
        np.testing.assert_array_equal(np.isnan(after.mean), [False, True, False])
    y, _ = hs.nn.BatchNorm(3)(x, training=False)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))


TWO = gnn.batch([EMPTY, EMPTY])
JUMP = gnn.JumpingKnowledge("lstm", F, 2, key=hs.random.key(0))


@pytest.mark.parametrize(
    "f, error, words",
    [
        *(
            (lambda r=r: gnn.TopKPooling(F, r), ValueError, rf"TopKPooling: ratio must be in \(0, 1\], got {r}")
            for r in (0, -0.5, 1.5, float("nan"), float("inf"))
        ),
        (lambda: gnn.TopKPooling(F, "half"), TypeError, r"TopKPooling: ratio must be a number in \(0, 1\], got 'half'"),
        (lambda: gnn.TopKPooling(F, True), TypeError, r"TopKPooling: ratio must be a number in \(0, 1\], got True"),
        (lambda: gnn.TopKPooling(0), ValueError, "TopKPooling: in_features must be positive, got 0"),
        *(
            (lambda layer=layer, shape=shape: layer(np.ones(shape), EMPTY), ValueError,
             rf"{name}: x must be \[4, (3|F)\] for this graph, got shape \({', '.join(map(str, shape))}")
            for name, layer, shapes in (
                ("TopKPooling", gnn.TopKPooling(F), [(3, F), (4, 2), (4,)]),
                ("Set2Set", gnn.Set2Set(F, 2), [(3, F), (4, 2), (4,)]),
                ("AttentionPooling", gnn.AttentionPooling(hs.nn.Linear(F, 1)), [(3, F), (4,)]),
                ("GraphNorm", gnn.GraphNorm(F), [(3, F), (4, 2), (4, 1), (4,)]),
                ("PairNorm", gnn.PairNorm(), [(3, F), (4,), (4, F, 1)]),
                ("global_sum_pool", gnn.global_sum_pool, [(3, F), (4,)]),
                ("global_mean_pool", gnn.global_mean_pool, [(3, F), (4,)]),
                ("global_max_pool", gnn.global_max_pool, [(3, F), (4,)]),
                ("VirtualNode", lambda x, g: gnn.VirtualNode(F, hs.tanh)(x, np.zeros((1, F)), g), [(3, F), (4, 2), (4, 1)]),
            )
            for shape in shapes
        ),
        (lambda: gnn.AttentionPooling(3), TypeError, "AttentionPooling: gate must be a function, got int"),
        (lambda: gnn.AttentionPooling(hs.tanh, 3), TypeError, "AttentionPooling: net must be a function, got int"),
        (lambda: gnn.AttentionPooling(hs.nn.Linear(F, 2))(EMPTY.x, EMPTY), ValueError,
         r"AttentionPooling: gate must give \[4, 1\] or \[4, 3\] for this graph, got shape \(4, 2\)"),
        (lambda: gnn.AttentionPooling(lambda x: x[:, 0])(EMPTY.x, EMPTY), ValueError, r"gate must give .*got shape \(4,\)"),
        (lambda: gnn.AttentionPooling(hs.nn.Linear(F, 1), lambda x: x[:1])(EMPTY.x, EMPTY), ValueError,
         r"AttentionPooling: net must give \[4, C\] for this graph, got shape \(1, 3\)"),
        (lambda: gnn.Set2Set(F, 0), ValueError, "Set2Set: steps must be positive, got 0"),
        (lambda: gnn.GraphNorm(0), ValueError, "GraphNorm: features must be positive, got 0"),
        (lambda: gnn.GraphNorm(F, epsilon=-1.0), ValueError, "GraphNorm: epsilon must not be negative, got -1"),
        (lambda: gnn.PairNorm(epsilon=float("nan")), ValueError, "PairNorm: epsilon must not be negative, got nan"),
        *(
            (lambda shape=shape, norm=norm, more=more: norm(np.ones(shape), **more), ValueError,
             rf"BatchNorm: x must be \[\.\.\., {width}\], got shape \({', '.join(map(str, shape))}")
            for width, affine in ((3, True), (3, False), (1, False))
            for norm in (hs.nn.BatchNorm(width, affine=affine),)
            for shape in ((4, 2), (4,), ())
            for more in ({}, {"training": False}, {"mask": np.ones(shape[:-1], bool)})
        ),
        (lambda: gnn.VirtualNode(0, hs.tanh), ValueError, "VirtualNode: features must be positive, got 0"),
        (lambda: gnn.VirtualNode(F, None), TypeError, "VirtualNode: net must be a function, got NoneType"),
        (lambda: gnn.VirtualNode(F, hs.tanh).start(3), TypeError, r"VirtualNode: graph must be a hs\.gnn\.Graph, got int"),
        *(
            (lambda v=v: gnn.VirtualNode(F, hs.tanh)(TWO.x, v, TWO), ValueError,
             rf"VirtualNode: v must be \[2, 3\] for this graph, got {found}; begin with layer\.start\(graph\)")
            for v, found in (
                (np.zeros((1, F)), r"shape \(1, 3\)"), (np.zeros(F), r"shape \(3,\)"), (np.zeros((2, 1)), r"shape \(2, 1\)"),
                (0.0, r"shape \(\)"), (None, "None"),
            )
        ),
        (lambda: gnn.VirtualNode(F, hs.nn.Linear(F, 1))(TWO.x, np.zeros((2, F)), TWO), ValueError,
         r"VirtualNode: net must give \[2, 3\] for this graph, got shape \(2, 1\)"),
        (lambda: gnn.JumpingKnowledge("mean"), ValueError,
         "JumpingKnowledge: mode must be 'concat', 'max', 'sum' or 'lstm', got 'mean'"),
        (lambda: gnn.JumpingKnowledge("lstm"), TypeError, "JumpingKnowledge: features must be an integer, got None"),
        (lambda: gnn.JumpingKnowledge("lstm", F, 0), ValueError, "JumpingKnowledge: layers must be positive, got 0"),
        (lambda: gnn.JumpingKnowledge("lstm", 1, 1), ValueError, r"features \* layers must be at least 2, got 1"),
        (lambda: gnn.JumpingKnowledge("max", F, 2), TypeError, "mode 'max' takes no features and layers, got 3 and 2"),
        *(
            (lambda layer=layer: layer([]), ValueError,
             r"JumpingKnowledge: xs must have the output of one layer at least, got \[\]")
            for layer in (*map(gnn.JumpingKnowledge, ("concat", "max", "sum")), JUMP)
        ),
        (lambda: gnn.JumpingKnowledge()(EMPTY.x), TypeError, "xs must be a list of the outputs of layers, got Array"),
        (lambda: gnn.JumpingKnowledge()([np.ones((4, 3)), np.ones((3, 3))]), ValueError,
         r"JumpingKnowledge: xs must have the same shape for mode 'concat', but for the last axis, got \[\(4, 3\), \(3, 3\)\]"),
        *(
            (lambda layer=layer: layer([np.ones((4, 3)), np.ones((4, 1))]), ValueError,
             rf"JumpingKnowledge: xs must have the same shape for mode '{layer.mode}', got \[\(4, 3\), \(4, 1\)\]")
            for layer in (*map(gnn.JumpingKnowledge, ("max", "sum")), JUMP)
        ),
        (lambda: JUMP([np.ones((4, 2))] * 2), ValueError, r"JumpingKnowledge: xs must have 3 features, got shape \(4, 2\)"),
    ],
)  # fmt: skip
def test_refusals(f, error, words):
    with pytest.raises(error, match=words):
        f()


def test_layers_that_take_a_number_of_outputs_or_an_epsilon():
    jump = gnn.JumpingKnowledge("lstm", features=2, layers=2, key=hs.random.key(0))
    with pytest.raises(ValueError, match="JumpingKnowledge: xs must have the outputs of 2 layers, got 3"):
        jump([hs.ones((1, 2))] * 3)
    for layer in (hs.nn.LayerNorm, hs.nn.BatchNorm, gnn.GraphNorm):
        with pytest.raises(ValueError, match=f"{layer.__name__}: epsilon must not be negative, got -1.0"):
            layer(3, epsilon=-1.0)
        with pytest.raises(TypeError, match=f"{layer.__name__}: epsilon must be a number, got 'a'"):
            layer(3, epsilon="a")
    with pytest.raises(TypeError, match="MPNN: activation must be a function, got int"):
        gnn.MPNN(1, 1, 1, activation=3)
