"""Message passing by functions, pooling, metrics, splits, early stopping."""

import numpy as np
import pytest
from differences import complex_step, richardson
from gnn_cases import EDGES, N

import hesse as hs
from hesse import gnn

RNG = np.random.default_rng(1)
X, E = RNG.normal(size=(N, 3)), RNG.normal(size=(EDGES.shape[1], 2))
GRAPH = gnn.Graph(EDGES, X, edge_attr=E)
M = RNG.normal(size=(4, 8))


def message(xi, xj, e):
    return hs.tanh(hs.asarray(M) @ hs.concat([xi, xj, e]))


def reference(reduce, x, e):
    source, target = np.asarray(GRAPH.source), np.asarray(GRAPH.target)
    rows = np.tanh(np.concatenate([x[target], x[source], e], axis=1) @ M.T)
    y = np.zeros((N, 4), rows.dtype)
    for i in range(N):
        into = rows[target == i]
        if len(into) and reduce == "softmax":
            a = np.exp(into[:, :1])
            y[i] = (a / a.sum() * into).sum(axis=0)
        elif len(into):
            y[i] = getattr(np, reduce)(into, axis=0)
    return y


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "softmax"])
def test_message_passing(reduce, store):
    f = message if reduce != "softmax" else lambda *a: (message(*a)[0], message(*a))

    def run(x, e):
        return gnn.message_passing(f, reduce, x, GRAPH, e, store_edges=store)

    e = np.asarray(GRAPH.edge_attr)
    np.testing.assert_allclose(np.asarray(run(X, e)), reference(reduce, X, e), rtol=1e-12, atol=1e-14)
    compiled = hs.compile(run)
    np.testing.assert_allclose(np.asarray(compiled(X, e)), reference(reduce, X, e), rtol=1e-12, atol=1e-14)
    loss = lambda x, e: hs.sum(hs.sin(run(x, e)))
    gradient = hs.grad(loss, argnums=(0, 1))(hs.array(X), hs.array(e))
    for k, given in enumerate((X, e)):
        u = RNG.normal(size=given.shape)
        moved = lambda h: [given + h * u if j == k else v for j, v in enumerate((X, e))]
        a, b = (np.sin(reference(reduce, *moved(h))).sum() for h in (1e-6, -1e-6))
        np.testing.assert_allclose(float(hs.sum(gradient[k] * u)), (a - b) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "softmax"])
class TestDerivativesOfMessagePassing:
    """By x and by the edges: forwards, of second order, and mapped; tiles and stored messages."""

    AT, U, P = ([np.random.default_rng(k).normal(size=a.shape) for a in (X, E)] for k in (7, 8, 9))

    def run(self, reduce, store):
        f = message if reduce != "softmax" else lambda *a: (message(*a)[0], message(*a))
        return lambda x, e: gnn.message_passing(f, reduce, x, GRAPH, e, store_edges=store)

    def test_forwards_against_complex_steps(self, reduce, store):
        run, at, u = self.run(reduce, store), [*map(hs.array, self.AT)], [*map(hs.array, self.U)]
        (expected,) = complex_step(lambda xs: (reference(reduce, *xs),), self.AT, self.U)
        assert np.abs(expected).max() > 0.1
        for f in (lambda at, u: hs.jvp(run, at, u), hs.compile(lambda at, u: hs.jvp(run, at, u))):
            y, dy = f(tuple(at), tuple(u))
            np.testing.assert_allclose(np.asarray(y), reference(reduce, *self.AT), rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(np.asarray(dy), expected, rtol=1e-12, atol=1e-13)

    def test_second_order_against_differences(self, reduce, store):
        run = self.run(reduce, store)
        loss = lambda x, e: hs.sum(hs.sin(run(x, e)))
        slope = lambda xs: complex_step(lambda xs: (np.sin(reference(reduce, *xs)).sum(),), xs, self.U)
        (expected,) = richardson(slope, self.AT, self.P, h=1e-3, levels=2)
        assert abs(expected) > 0.01
        at, u, p = (tuple(map(hs.array, a)) for a in (self.AT, self.U, self.P))
        gradient = hs.grad(loss, argnums=(0, 1))
        along = lambda g, d: sum(hs.sum(a * b) for a, b in zip(g, d, strict=True))
        ways = {
            "forward over reverse": lambda at: along(hs.jvp(gradient, at, p)[1], u),
            "reverse over reverse": lambda at: along(
                hs.grad(lambda *at: along(gradient(*at), p), argnums=(0, 1))(*at), u
            ),
            "reverse over forward": lambda at: along(
                hs.grad(lambda *at: hs.jvp(loss, at, u)[1], argnums=(0, 1))(*at), p
            ),
            "forward over forward": lambda at: hs.jvp(lambda *at: hs.jvp(loss, at, u)[1], at, p)[1],
        }
        for way, second in ways.items():
            for f in (second, hs.compile(second)):
                np.testing.assert_allclose(float(f(at)), expected, rtol=1e-8, err_msg=way)

    def test_mapped_against_a_loop(self, reduce, store):
        run = self.run(reduce, store)
        rng = np.random.default_rng(8)
        many = [hs.array(rng.normal(size=(5, *a.shape))) for a in (X, E)]
        slope = lambda x, e: hs.jvp(run, (x, e), (hs.cos(x), hs.sin(e)))[1]
        gradient = hs.grad(lambda x, e: hs.sum(hs.sin(run(x, e))), argnums=(0, 1))
        for f in (run, slope, gradient):
            for axes in ((0, 0), (0, None), (None, 0)):
                given = [a if axis == 0 else a[0] for a, axis in zip(many, axes, strict=True)]
                one = lambda k: f(*(a if axis is None else a[k] for a, axis in zip(given, axes, strict=True)))
                expected = [hs.tree_leaves(one(k)) for k in range(5)]
                for mapped in (hs.vmap(f, axes), hs.compile(hs.vmap(f, axes))):
                    for n, got in enumerate(hs.tree_leaves(mapped(*given))):
                        rows = np.stack([np.asarray(leaves[n]) for leaves in expected])
                        np.testing.assert_allclose(np.asarray(got), rows, rtol=1e-11, atol=1e-13)


def test_messages_are_trees():
    y = gnn.message_passing(lambda i, j, e: {"a": j["p"] * 2.0, "b": e}, "sum", {"p": X}, GRAPH, E)
    assert y["a"].shape == (N, 3) and y["b"].shape == (N, 2)


def test_messages_are_not_stored():
    """The gradient of a sum of messages keeps nothing of the size edges times features."""
    rng = np.random.default_rng(0)
    graph = gnn.Graph(rng.integers(2000, size=(2, 40000)), num_nodes=2000)
    x = hs.array(rng.normal(size=(2000, 16)))
    w = hs.array(rng.normal(size=(16, 16)) / 4)
    loss = lambda w: hs.sum(gnn.message_passing(lambda i, j, e: hs.tanh(w @ j) * i, "sum", x, graph) ** 2)
    recorded = str(hs.make_graph(hs.grad(loss), w))
    assert "map" in recorded and "40000,16" not in recorded.replace(" ", "")


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ((1, "sum", X, GRAPH), TypeError, "message_passing"),
        (
            (message, "product", X, GRAPH),
            ValueError,
            "reduce must be 'sum', 'mean', 'max', 'min' or 'softmax', got 'product'",
        ),
        (
            (message, "sum", X[:3], GRAPH),
            ValueError,
            r"x must have 7 rows for this graph, got shape \(3, 3\)",
        ),
        (
            (message, "sum", X, GRAPH, E[:3]),
            ValueError,
            r"edge_attr must have 12 rows for this graph, got shape \(3, 2\)",
        ),
        ((message, "sum", X, EDGES), TypeError, "graph must be a hs.gnn.Graph, got ndarray"),
    ],
)
def test_message_passing_refuses(arguments, error, words):
    with pytest.raises(error, match=words):
        gnn.message_passing(*arguments)


def test_pools():
    both = gnn.batch(
        [GRAPH, gnn.Graph(np.zeros((2, 0), int), np.zeros((0, 3)), edge_attr=np.zeros((0, 2))), GRAPH]
    )
    for pool, f in (
        (gnn.global_sum_pool, np.sum),
        (gnn.global_mean_pool, np.mean),
        (gnn.global_max_pool, np.max),
    ):
        np.testing.assert_allclose(np.asarray(pool(both.x, both)), [f(X, axis=0), np.zeros(3), f(X, axis=0)])
        u = hs.array(RNG.normal(size=both.x.shape))
        a, b = (hs.sum(hs.sin(pool(both.x + h * u, both))) for h in (1e-6, -1e-6))
        g = hs.grad(lambda x: hs.sum(hs.sin(pool(x, both))))(both.x)
        np.testing.assert_allclose(float(hs.sum(g * u)), float(a - b) / 2e-6, rtol=1e-6, atol=1e-8)


def test_top_k():
    both = gnn.batch([GRAPH, GRAPH.replace(x=-GRAPH.x)])
    pool = gnn.TopKPooling(3, 0.4).replace(direction=hs.array([1.0, 2.0, 0.0]))
    x, smaller, nodes = pool(both.x, both)
    score = np.tanh(np.asarray(both.x) @ [1.0, 2.0, 0.0] / 5**0.5)
    expected = [*np.argsort(-score[:N])[:3], *(N + np.argsort(-score[N:])[:3])]
    np.testing.assert_array_equal(np.asarray(nodes), expected)
    np.testing.assert_allclose(np.asarray(x), (np.asarray(both.x) * score[:, None])[expected])
    assert smaller.num_graphs == 2 and smaller.num_nodes == 6


def test_virtual_node_and_jumping_knowledge():
    both = gnn.batch([GRAPH, GRAPH])
    layer = gnn.VirtualNode(3, hs.nn.Linear(3, 3, key=hs.random.key(0)))
    x, v = layer(both.x, layer.start(both) + 1.0, both)
    expected = np.asarray(layer.net(hs.array(X.sum(axis=0) + 1.0)))
    np.testing.assert_allclose(np.asarray(v), [expected] * 2)
    np.testing.assert_allclose(np.asarray(x[N:]), X + expected)
    a, b = RNG.normal(size=(2, N, 3))
    for mode, y in (("concat", np.concatenate([a, b], axis=1)), ("max", np.maximum(a, b)), ("sum", a + b)):
        np.testing.assert_allclose(np.asarray(gnn.JumpingKnowledge(mode)([a, b])), y)
    with pytest.raises(ValueError, match="mode must be"):
        gnn.JumpingKnowledge("mean")


def test_metrics():
    p, y = RNG.integers(3, size=50), RNG.integers(3, size=50)
    mask = RNG.random(50) < 0.6
    assert gnn.accuracy(p, y) == (p == y).mean() and gnn.accuracy(p, y, mask) == (p == y)[mask].mean()
    assert gnn.accuracy(hs.array(np.eye(3)[p]), hs.array(y)) == (p == y).mean()
    each = []
    for c in range(3):
        tp, fp, fn = ((p == c) & (y == c)).sum(), ((p == c) & (y != c)).sum(), ((p != c) & (y == c)).sum()
        each.append(2 * tp / (2 * tp + fp + fn))
    np.testing.assert_allclose(gnn.f1_score(p, y), np.mean(each))
    np.testing.assert_allclose(gnn.f1_score(p, y, average="micro"), (p == y).mean())
    np.testing.assert_allclose(gnn.f1_score(p, y, average="binary"), each[1])
    s, b = np.round(RNG.normal(size=60), 1), RNG.integers(2, size=60)
    pairs = [(i > j) + 0.5 * (i == j) for i in s[b == 1] for j in s[b == 0]]
    np.testing.assert_allclose(gnn.roc_auc(s, b), np.mean(pairs))
    a, c = RNG.normal(size=(2, 9, 2))
    np.testing.assert_allclose(gnn.mean_absolute_error(a, c), np.abs(a - c).mean())
    np.testing.assert_allclose(
        gnn.root_mean_square_error(a, c, np.arange(9) < 4), np.sqrt(((a - c)[:4] ** 2).mean())
    )
    for f, words in [
        (lambda: gnn.accuracy(p, y[:3]), r"\[3\] classes or \[3, C\] scores"),
        (lambda: gnn.accuracy(np.zeros((50, 0)), y), r"\[50, C\] scores, got shape \(50, 0\)"),
        (lambda: gnn.accuracy(p, y, np.zeros(50, bool)), "there are no rows"),
        (lambda: gnn.accuracy(p, y, mask[:4]), r"one entry per row, \(50,\), got \(4,\)"),
        (lambda: gnn.roc_auc([0.1, 0.2], [1, 1]), "both classes need rows"),
        (lambda: gnn.roc_auc([0.1, np.nan], [0, 1]), "score 1 is NaN"),
        (lambda: gnn.roc_auc([0.1, 0.2], [0, 2]), "labels must be 0 or 1"),
        (lambda: gnn.mean_absolute_error(a, c[:2]), "the same shape"),
        (lambda: gnn.f1_score(p, y, average="all"), "average must be"),
    ]:
        with pytest.raises(ValueError, match=words):
            f()
    with pytest.raises(TypeError, match="compare probabilities with a threshold"):
        gnn.accuracy(p + 0.5, y)


def test_scores_of_nan_are_refused_where_they_count():
    scores, labels = np.array([[0.2, 0.8], [0.9, 0.1], [np.nan, 0.3], [0.6, 0.4]]), [1, 0, 1, 1]
    without = np.array([True, True, False, True])
    for metric in (gnn.accuracy, gnn.f1_score):
        for given in (scores, hs.array(scores), np.float32(scores)):
            with pytest.raises(
                ValueError, match=rf"^{metric.__name__}: score \[2, 0\] is NaN; leave .* mask"
            ):
                metric(given, labels)
            assert metric(given, labels, without) == metric([1, 0, 0], [1, 0, 1])
        assert metric(np.array([[np.inf, 0.0], [-np.inf, 0.0]]), [0, 1]) == 1.0
        with pytest.raises(
            TypeError, match=f"^{metric.__name__}: scores must be real numbers, got complex128"
        ):
            metric(1j * scores, labels)
        with pytest.raises(
            TypeError, match=f"^{metric.__name__}: a vector must hold classes, got complex128"
        ):
            metric(1j * scores[:, 0], labels)
    # As of the metrics of scores, which name the row of what was given, not of what the mask leaves.
    for metric in (gnn.roc_auc, gnn.average_precision):
        with pytest.raises(ValueError, match=rf"^{metric.__name__}: score 2 is NaN; leave such rows out"):
            metric(scores[:, 0], [0, 1, 1, 0], np.array([True, False, True, True]))
        assert metric(scores[:, 0], [0, 1, 1, 0], without) == 1.0


def test_errors_of_nan_are_nan():
    a, b = np.array([[1.0, 2.0], [np.nan, 4.0], [0.0, 1.0]]), np.zeros((3, 2))
    without = np.array([True, False, True])
    for metric, expected in ((gnn.mean_absolute_error, 1.0), (gnn.root_mean_square_error, 1.5**0.5)):
        for pair in ((a, b), (b, a), (hs.array(a), hs.array(b))):
            assert np.isnan(metric(*pair))
            assert metric(*pair, without) == expected


@pytest.mark.parametrize("labels", [[0.0, 1.0], [[0, 1], [1, 0]], 3, [], ["a", "b"], [1j, 0j]], ids=str)
def test_labels_that_cannot_be_stratified(labels):
    with pytest.raises(
        ValueError, match="^stratified_split: labels must be a vector of integers, got .* \\("
    ):
        gnn.stratified_split(hs.random.key(0), labels)


@pytest.mark.parametrize("split", [gnn.random_split, gnn.stratified_split])
def test_fractions_that_cannot_be(split):
    over = 10 if split is gnn.random_split else np.arange(10) % 2
    for fractions in ((0.9, 0.2), (-0.1, 0.5), (), (0.5, np.nan), (np.inf, 0.0), [[0.5], [0.5]], 0.5):
        with pytest.raises(ValueError) as raised:
            split(hs.random.key(0), over, fractions)
        start = f"{split.__name__}: fractions must not be negative and sum to at most 1, got "
        assert str(raised.value) == start + repr(fractions)
    rest = split(hs.random.key(0), over, (0.2, 0.4))  # what is missing to 1 is in no part
    assert [len(part) for part in rest] == [2, 4]
    whole = split(hs.random.key(0), over, (0.1,) * 10)  # which sum to less than 1 by rounding
    np.testing.assert_array_equal(np.sort(np.concatenate([np.asarray(p) for p in whole])), np.arange(10))


def test_splits():
    parts = gnn.random_split(hs.random.key(0), 103, (0.6, 0.3, 0.1))
    assert [len(p) for p in parts] == [62, 31, 10]
    np.testing.assert_array_equal(np.sort(np.concatenate([np.asarray(p) for p in parts])), np.arange(103))
    again = gnn.random_split(hs.random.key(0), 103, (0.6, 0.3, 0.1))
    assert all(bool(hs.array_equal(a, b)) for a, b in zip(parts, again, strict=True))
    labels = np.repeat([0, 1, 2, -1], [40, 20, 10, 5])
    train, test = gnn.stratified_split(hs.random.key(1), labels, (0.7, 0.3))
    np.testing.assert_array_equal(np.bincount(labels[np.asarray(train)]), [28, 14, 7])
    np.testing.assert_array_equal(np.bincount(labels[np.asarray(test)]), [12, 6, 3])
    for fractions in ((0.9, 0.2), (-0.1, 0.5), ()):
        with pytest.raises(ValueError, match="fractions must not be negative and sum to at most 1"):
            gnn.random_split(hs.random.key(0), 10, fractions)


def test_early_stopping():
    stopping = gnn.EarlyStopping(3, largest=True, least_change=0.1)
    values = [0.5, 0.7, 0.75, float("nan"), 0.9, 0.91, 0.95, 0.99, 2.0]
    assert [stopping.stop(v, k) for k, v in enumerate(values)] == [False] * 7 + [True, False]
    assert (stopping.best, stopping.epoch, stopping.model) == (2.0, 8, 8)
    for bad in ({"patience": 0}, {"patience": 1, "least_change": -1.0}):
        with pytest.raises(ValueError, match="EarlyStopping"):
            gnn.EarlyStopping(**bad)
