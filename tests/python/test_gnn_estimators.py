"""fit, predict and score of nodes, pairs and graphs: what is learnt, early stopping, weights, seeds, scikit-learn."""

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

RNG = np.random.default_rng(0)
LABEL = RNG.integers(3, size=150)


def communities():
    a = np.triu(RNG.random((150, 150)) < np.where(LABEL[:, None] == LABEL, 0.12, 0.01), 1)
    x = RNG.normal(size=(150, 5)) + 1.5 * np.eye(5)[LABEL]
    return gnn.Graph(np.stack(np.nonzero(a | a.T)), x, y=LABEL)


GRAPH = communities()
TRAIN, TEST = np.arange(0, 150, 2), np.arange(1, 150, 2)


class Net(hs.nn.Module):
    one: gnn.SAGEConv
    two: gnn.SAGEConv
    rate: float = 0.0

    def __call__(self, graph, key=None):
        x = hs.nn.dropout(hs.nn.relu(self.one(graph.x, graph)), self.rate, key)
        return self.two(x, graph)


def build(key, n=3, rate=0.0):
    one, two = hs.unstack(hs.random.split(key))
    return Net(gnn.SAGEConv(5, 8, key=one), gnn.SAGEConv(8, n, key=two), rate)


def classifier(**options):
    return gnn.NodeClassifier(build, GRAPH, **{"epochs": 100, **options})


def same(a, b):
    return all(bool(hs.array_equal(x, y)) for x, y in zip(hs.tree_leaves(a), hs.tree_leaves(b), strict=True))


def test_nodes():
    c = classifier()
    assert c.fit(TRAIN, LABEL[TRAIN]) is c
    assert c.score(TEST, LABEL[TEST]) > 0.85 and c.score(TRAIN) > 0.95
    assert len(c.history_) == 100 and c.history_[-1].loss < 0.2 < 0.8 < c.history_[0].loss
    assert np.isnan(c.history_[0].validation)
    p = c.predict_proba(TEST)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(p.argmax(axis=1), c.predict(TEST))
    mask = np.zeros(150, bool)
    mask[TEST] = True
    np.testing.assert_array_equal(c.predict(mask), c.predict(TEST))
    # What was computed, by the model itself.
    np.testing.assert_array_equal(c.decision_function([7, 3]), np.asarray(c.model_(GRAPH))[[7, 3]])
    names = np.array(["x", "y", "z"])[LABEL]
    words = classifier().fit(TRAIN, names[TRAIN])
    assert words.classes_.tolist() == ["x", "y", "z"] and words.score(TEST, names[TEST]) == c.score(
        TEST, LABEL[TEST]
    )


def test_the_loop_is_the_one_that_users_write():
    """Step by step the same as a loop by hand with the same keys."""
    c = classifier(epochs=5, optimiser=hs.optim.adam(0.02), seed=3).fit(TRAIN, LABEL[TRAIN])
    of_model = hs.unstack(hs.random.split(hs.random.key(3), num=4))[0]
    model, adam = build(of_model), hs.optim.adam(0.02)
    state, losses = adam.init(model), []
    for _ in range(5):
        loss = lambda m: hs.nn.softmax_cross_entropy(m(GRAPH)[TRAIN], LABEL[TRAIN])
        value, g = hs.value_and_grad(loss)(model)
        losses.append(float(value))
        model, state = adam.update(g, state, model)
    np.testing.assert_allclose([e.loss for e in c.history_], losses, rtol=1e-10)
    for a, b in zip(hs.tree_leaves(model), hs.tree_leaves(c.model_), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-8, atol=1e-12)


def test_seeds():
    dropping = lambda key: build(key, rate=0.5)
    a, b, c = (gnn.NodeClassifier(dropping, GRAPH, epochs=4, seed=s).fit(TRAIN) for s in (1, 1, 2))
    assert same(a.model_, b.model_) and a.history_ == b.history_ and not same(a.model_, c.model_)
    # Dropout is for training alone.
    np.testing.assert_array_equal(a.predict_proba(TEST), a.predict_proba(TEST))
    still = gnn.NodeClassifier(build, GRAPH, epochs=4, seed=1).fit(TRAIN)
    assert abs(still.history_[0].loss - a.history_[0].loss) > 1e-3


def test_early_stopping():
    wrong = np.where(np.arange(75) % 4, LABEL[TRAIN], (LABEL[TRAIN] + 1) % 3)  # learnt by heart in the end
    c = classifier(epochs=400, patience=5, optimiser=hs.optim.adam(0.1)).fit(
        TRAIN, wrong, validation=(TEST, None)
    )
    losses = [e.validation for e in c.history_]
    best = int(np.argmin(losses))
    assert len(losses) == best + 6 < 400
    held = float(hs.nn.softmax_cross_entropy(c.model_(GRAPH)[TEST], LABEL[TEST]))
    np.testing.assert_allclose(held, losses[best], rtol=1e-10)
    # Without rows given, some of the training rows are held out.
    own = classifier(epochs=400, patience=5, validation_fraction=0.2).fit(TRAIN, wrong)
    assert len(own.history_) < 400 and not np.isnan(own.history_[0].validation)
    noted = classifier(epochs=3).fit(TRAIN, validation=(TEST, LABEL[TEST]))
    assert len(noted.history_) == 3 and not any(np.isnan(e.validation) for e in noted.history_)
    assert same(noted.model_, classifier(epochs=3).fit(TRAIN).model_)


def test_class_weights():
    few = np.concatenate([np.flatnonzero(LABEL == 0)[:40], np.flatnonzero(LABEL == 1)[:3]])
    weighted = classifier(epochs=1, class_weight="balanced").fit(few)
    model = build(hs.unstack(hs.random.split(hs.random.key(0), num=4))[0])
    y = LABEL[few]
    w = np.where(y == 0, 43 / 80, 43 / 6)
    expected = hs.nn.softmax_cross_entropy(model(GRAPH)[few], y, weights=w)
    np.testing.assert_allclose(weighted.history_[0].loss, float(expected), rtol=1e-12)
    given = classifier(epochs=1, class_weight={0: 43 / 80, 1: 43 / 6}).fit(few)
    assert given.history_ == weighted.history_
    assert classifier(epochs=1).fit(few).history_ != weighted.history_


def test_sampled_neighbours():
    c = classifier(epochs=25, batch_size=20, sizes=[5, 5]).fit(TRAIN)
    assert c.score(TEST) > 0.8
    assert same(c.model_, classifier(epochs=25, batch_size=20, sizes=[5, 5]).fit(TRAIN).model_)
    # All neighbours and one batch: the same gradient as from the whole graph.
    whole = classifier(epochs=3).fit(TRAIN)
    batched = classifier(epochs=3, batch_size=100, sizes=[-1, -1]).fit(TRAIN)
    np.testing.assert_allclose(
        [e.loss for e in batched.history_], [e.loss for e in whole.history_], rtol=1e-9
    )
    with pytest.raises(ValueError, match="with a batch_size, sizes must say"):
        classifier(batch_size=20).fit(TRAIN)


def test_node_regression():
    target = np.asarray(GRAPH.normalised("rw").adjacency() @ GRAPH.x)[:, :2] + np.asarray(GRAPH.x)[:, 3:]
    target = (target - target.mean(axis=0)) / target.std(axis=0)
    holes = target.copy()
    holes[::3, 0] = np.nan
    r = gnn.NodeRegressor(lambda key: build(key, 2), GRAPH, epochs=400).fit(TRAIN, holes[TRAIN])
    found = r.predict(TEST)
    assert found.shape == (75, 2) and np.isfinite(r.history_[-1].loss)
    residual = ((target[TEST] - found) ** 2).sum(axis=0)
    expected = np.mean(1 - residual / ((target[TEST] - target[TEST].mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(r.score(TEST, target[TEST]), expected, rtol=1e-12)
    assert expected > 0.5
    # A NaN does not count: the loss is the mean over what is known.
    one = gnn.NodeRegressor(lambda key: build(key, 2), GRAPH, epochs=1).fit(TRAIN, holes[TRAIN])
    model = build(hs.unstack(hs.random.split(hs.random.key(0), num=4))[0], 2)
    error = (np.asarray(model(GRAPH))[TRAIN] - holes[TRAIN]) ** 2
    np.testing.assert_allclose(one.history_[0].loss, np.nanmean(error), rtol=1e-12)
    single = gnn.NodeRegressor(lambda key: build(key, 1), GRAPH, epochs=2).fit(TRAIN, target[TRAIN, 0])
    assert single.predict(TEST).shape == (75,)


class Dot(hs.nn.Module):
    conv: gnn.GCNConv

    def __call__(self, graph, pairs):
        z = self.conv(graph.x, graph)
        return hs.sum(hs.gather(z, pairs[0]) * hs.gather(z, pairs[1]), axis=-1)


@pytest.mark.parametrize("batch_size", [None, 64])
def test_links(batch_size):
    graph = GRAPH.replace(x=hs.eye(150))
    train, val, test = gnn.edge_split(hs.random.key(0), graph, (0.7, 0.1, 0.2))
    make = lambda: gnn.LinkClassifier(
        lambda key: Dot(gnn.GCNConv(150, 8, key=key)), train.graph, epochs=40, batch_size=batch_size,
        optimiser=hs.optim.adam(0.02), patience=20,
    )  # fmt: skip
    c = make().fit(train.pairs.T, train.labels, validation=(val.pairs.T, val.labels))
    assert gnn.roc_auc(c.decision_function(test.pairs.T), test.labels) > 0.7
    p = c.predict_proba(test.pairs.T)
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-c.decision_function(test.pairs.T))), rtol=1e-12)
    np.testing.assert_array_equal(c.predict(test.pairs.T), (p[:, 1] > 0.5).astype(float))
    np.testing.assert_allclose(
        c.decision_function(test.pairs.T), np.asarray(c.model_(train.graph, test.pairs)), rtol=1e-12
    )
    assert c.score(test.pairs.T, test.labels) == (c.predict(test.pairs.T) == np.asarray(test.labels)).mean()


def molecules(n=60):
    """Rings and paths of 3 to 8 nodes; the target is the number of nodes."""
    rng, graphs = np.random.default_rng(1), []
    for _ in range(n):
        k, ring = int(rng.integers(3, 9)), int(rng.integers(2))
        ends = np.array([np.arange(k), (np.arange(k) + 1) % k])[:, : k if ring else k - 1]
        graphs.append(gnn.Graph(ends, rng.normal(size=(k, 5)), y=[float(ring)]).undirected())
    return graphs


class Pooled(hs.nn.Module):
    conv: gnn.SAGEConv
    last: hs.nn.Linear

    def __call__(self, batch):
        degree = hs.astype(batch.degree(), batch.x.dtype)[:, None]
        x = hs.concat([degree, batch.x, degree**2], axis=-1)
        return self.last(gnn.global_sum_pool(hs.tanh(self.conv(x, batch)), batch))


def pooled(key, n=2):
    one, two = hs.unstack(hs.random.split(key))
    return Pooled(gnn.SAGEConv(7, 8, key=one), hs.nn.Linear(8, n, key=two))


def test_graphs():
    graphs = molecules()
    ring = np.array([int(g.y[0]) for g in graphs])
    c = gnn.GraphClassifier(pooled, epochs=80, batch_size=16, optimiser=hs.optim.adam(0.03))
    c.fit(graphs[:40], ring[:40])
    assert c.score(graphs[40:], ring[40:]) > 0.9
    alone = [np.asarray(c.model_(g))[0] for g in graphs[:3]]
    np.testing.assert_allclose(c.decision_function(graphs[:3]), alone, rtol=1e-12)
    size = np.array([g.num_nodes for g in graphs], float)
    r = gnn.GraphRegressor(lambda key: pooled(key, 1), epochs=150, optimiser=hs.optim.adam(0.02)).fit(
        graphs[:40], size[:40]
    )
    assert r.score(graphs[40:], size[40:]) > 0.8
    own = gnn.GraphRegressor(lambda key: pooled(key, 1), epochs=2).fit(graphs)
    assert own.predict(graphs).shape == (60,)
    # Programs are prepared for few sizes: a pass has 3 sizes at most.
    traced = []

    class Counted(Pooled):
        def __call__(self, batch):
            traced.append(batch.num_nodes)
            return super().__call__(batch)

    def counted(key):
        made = pooled(key)
        return Counted(made.conv, made.last)

    gnn.GraphClassifier(counted, epochs=10, batch_size=8).fit(graphs, ring)
    assert len(traced) <= 6


def test_models_that_prepare():
    """DimeNet++ finds triplets outside of compiled functions: of the batches of training, validation and prediction."""
    rng = np.random.default_rng(0)
    places = [rng.normal(size=(4 + k % 3, 3)) * 1.2 for k in range(24)]
    graphs = [gnn.radius_graph(p, 3.0, z=[8, 1, 1, 6, 6, 1][: len(p)]) for p in places]
    bends = np.array([np.sum((p[0] - p[1]) * (p[0] - p[2])) for p in places])
    traced = []

    class Counted(gnn.DimeNetPlusPlus):
        def __call__(self, graph, line=None):
            traced.append((graph.num_nodes, graph.num_edges))
            return super().__call__(graph, line)

    def build(key):
        return Counted(8, 4, 2, 8, 1, 2, 3, 3.0, output_layers=1, key=key)

    r = gnn.GraphRegressor(build, epochs=12, batch_size=8)
    r.fit(graphs[:20], bends[:20], validation=(graphs[20:], bends[20:]))
    assert r.history_[-1].loss < r.history_[0].loss and np.isfinite(r.history_[-1].validation)
    assert len(traced) < 20 < 12 * 3  # prepared for few sizes
    alone = [float(r.model_(g)[0]) for g in graphs[20:]]
    np.testing.assert_allclose(r.predict(graphs[20:]), alone, rtol=1e-11)

    class Wrong(Pooled):
        def prepare(self, batch):
            return batch

    def wrong(key):
        made = pooled(key, 1)
        return Wrong(made.conv, made.last)

    with pytest.raises(TypeError, match=r"GraphRegressor: the model's prepare must give a tuple"):
        gnn.GraphRegressor(wrong, epochs=1).fit(graphs, bends)


def test_parameters():
    c = classifier(epochs=7, patience=2)
    assert c.get_params()["epochs"] == 7 and set(c.get_params()) == {
        "build", "graph", "epochs", "optimiser", "batch_size", "sizes", "class_weight", "patience",
        "validation_fraction", "seed",
    }  # fmt: skip
    assert c.set_params(epochs=9) is c and c.epochs == 9
    with pytest.raises(
        ValueError, match="NodeClassifier: there is no parameter 'epoch'; they are build, graph"
    ):
        c.set_params(epoch=3)
    assert repr(gnn.GraphRegressor(pooled, epochs=3)) == "GraphRegressor(build=pooled, epochs=3)"
    assert "graph" not in gnn.GraphClassifier(pooled).get_params()


def test_scikit_learn():
    sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.base import clone, is_classifier, is_regressor
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import GridSearchCV, cross_val_score

    assert sklearn.__version__
    c = classifier(epochs=20)
    copy = clone(c)
    assert copy is not c and copy.epochs == 20 and not hasattr(copy, "model_")
    assert is_classifier(c) and not is_regressor(c) and is_regressor(gnn.GraphRegressor(pooled))
    np.testing.assert_array_equal(copy.fit(TRAIN).predict(TEST), c.fit(TRAIN).predict(TEST))
    scores = cross_val_score(classifier(epochs=40), np.arange(150), LABEL, cv=3)
    assert scores.shape == (3,) and scores.mean() > 0.8
    graphs = molecules(30)
    size = np.array([g.num_nodes for g in graphs], float)
    search = GridSearchCV(
        gnn.GraphRegressor(lambda key: pooled(key, 1), optimiser=hs.optim.adam(0.02)),
        {"epochs": [1, 60]},
        cv=2,
    )
    search.fit(graphs, 100.0 + size)
    assert search.best_params_ == {"epochs": 60}
    inner = gnn.GraphRegressor(lambda key: pooled(key, 1), epochs=100, optimiser=hs.optim.adam(0.02))

    moved = TransformedTargetRegressor(
        inner, func=lambda y: (y - 105) / 2, inverse_func=lambda y: 105 + 2 * y, check_inverse=False
    )
    assert moved.fit(graphs, 100.0 + size).score(graphs, 100.0 + size) > 0.8


GRAPHS = molecules(6)


class Two(hs.nn.Module):
    w: hs.Array

    def __call__(self, graph):
        return graph.x @ self.w, self


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: classifier().predict(TEST), ValueError, "NodeClassifier: there is no model yet; call fit first"),
        (lambda: classifier().fit(TRAIN, LABEL), ValueError, r"y must have a row for each of 75 nodes, got shape \(150,\)"),
        (lambda: classifier().fit([150], [1]), IndexError, "nodes are 0 to 149, got 150"),
        (lambda: classifier().fit([1, 1, 2], [0, 0, 1]), ValueError, "a node is given twice"),
        (lambda: classifier().fit([], []), ValueError, "there are no nodes"),
        (lambda: classifier().fit([0, 1], [1, 1]), ValueError, "two classes or more, got only"),
        (lambda: classifier().fit([0, 1], [0.5, 1.5]), ValueError, "y must be a vector of classes, got float64"),
        (lambda: classifier().fit([0, 1, 2, 3], [0, 1, 2, 3]), ValueError, r"the model gives 3 score\(s\) per row for 4 classes"),
        (lambda: classifier(epochs=2).fit([0, 1], [0, 1], validation=([2], [5])), ValueError, "the class .*5.* of row 0 is not among those that were fitted"),
        (lambda: classifier(epochs=0).fit(TRAIN), ValueError, "epochs must be a positive integer, got 0"),
        (lambda: classifier(patience=0).fit(TRAIN), ValueError, "patience must be a positive integer, got 0"),
        (lambda: classifier(validation_fraction=1.5).fit(TRAIN), ValueError, "validation_fraction must be between 0 and 1, got 1.5"),
        (lambda: classifier(patience=2).fit([0, 1], [0, 1]), ValueError, "validation_fraction=0.1 of 2 nodes leaves none; give validation="),
        (lambda: classifier(class_weight={0: 1.0}).fit(TRAIN), ValueError, "class_weight must give every class a positive weight; 1 has none"),
        (lambda: classifier(class_weight="even").fit(TRAIN), TypeError, "class_weight must be None, 'balanced' or a dict"),
        (lambda: gnn.NodeClassifier(build(hs.random.key(0)), None).fit(TRAIN), TypeError, "graph must be a hs.gnn.Graph"),
        (lambda: gnn.NodeClassifier(3, GRAPH).fit(TRAIN), TypeError, "build must be a function of a key"),
        (lambda: gnn.NodeClassifier(build, GRAPH.replace(y=None)).fit(TRAIN), ValueError, "the graph has no y with a row per node; give y"),
        (lambda: gnn.NodeClassifier(lambda k: Two(hs.ones((5, 3))), GRAPH).fit(TRAIN), TypeError, "the model gave a tuple; models with a state"),
        (lambda: gnn.NodeRegressor(build, GRAPH).fit(TRAIN, LABEL[TRAIN]), ValueError, r"the model gives rows of shape \(3,\) for targets of shape \(\)"),
        (lambda: gnn.NodeRegressor(build, GRAPH).fit(TRAIN, np.array(["a"] * 75)), ValueError, "y must be real numbers"),
        (lambda: classifier(optimiser=hs.optim.sgd(1e300), epochs=5).fit(TRAIN), FloatingPointError, "NodeClassifier: the loss is (nan|inf) in epoch"),
        (lambda: gnn.LinkClassifier(build, GRAPH).fit(np.zeros((2, 5), int), [0, 1]), ValueError, r"pairs of nodes, integers of shape \(M, 2\), got int64 \(2, 5\); transpose"),
        (lambda: gnn.LinkClassifier(build, GRAPH).fit([[0, 1]]), ValueError, "pairs have no targets of their own; give y"),
        (lambda: gnn.LinkClassifier(build, GRAPH).fit([[0, 150]], [1]), IndexError, "nodes are 0 to 149, got 0 to 150"),
        (lambda: gnn.GraphClassifier(pooled).fit([GRAPHS[0], 3], [0, 1]), TypeError, "item 1 is a int"),
        (lambda: gnn.GraphClassifier(pooled).fit([GRAPH, GRAPH]), ValueError, "graph 0 has no y of its own; give y"),
        (lambda: gnn.GraphClassifier(build).fit(GRAPHS, [0, 1] * 3), ValueError, r"the model must give a row for each of 7 graphs, got shape \(\d+, 3\)"),
    ],
)  # fmt: skip
def test_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()
