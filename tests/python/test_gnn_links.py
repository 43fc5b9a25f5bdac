"""Pairs without an edge, splits of edges, ranking metrics, weights of classes."""

import itertools

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

RNG = np.random.default_rng(7)
KEY = hs.random.key(3)


def pairs_of(a):
    return list(zip(*np.asarray(a).tolist(), strict=True))


def random_graph(n, m, undirected=False, seed=0):
    graph = gnn.Graph(np.random.default_rng(seed).integers(n, size=(2, m)), num_nodes=n)
    return graph.undirected() if undirected else graph


@pytest.mark.parametrize("undirected", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 13])
def test_every_pair_is_found(n, undirected):
    """As many as there are: all pairs without an edge, each once."""
    graph = random_graph(n, n, undirected)
    edges = set(pairs_of(graph.edge_index))
    all_pairs = itertools.combinations(range(n), 2) if undirected else itertools.permutations(range(n), 2)
    free = sorted(set(all_pairs) - edges)
    found = pairs_of(gnn.negative_sampling(KEY, graph, len(free), undirected=undirected))
    assert sorted(found) == free
    some = gnn.negative_sampling(KEY, graph, len(free) // 3, undirected=undirected)
    assert len(set(pairs_of(some))) == len(free) // 3 and set(pairs_of(some)) <= set(free)
    assert some.dtype == hs.int64 and some.shape == (2, len(free) // 3)
    with pytest.raises(
        ValueError, match=rf"negative_sampling: {len(free) + 1} pairs.*only {len(free)} have none"
    ):
        gnn.negative_sampling(KEY, graph, len(free) + 1, undirected=undirected)


def test_pairs_in_one_direction_only():
    """Without a direction, an edge in either one takes the pair."""
    graph = gnn.Graph([[2, 1], [0, 2]], num_nodes=3)
    assert pairs_of(gnn.negative_sampling(KEY, graph, 1, undirected=True)) == [(0, 1)]


def test_pairs_of_a_batch():
    sizes = [3, 0, 1, 4, 2]
    both = gnn.batch([random_graph(n, n // 2, seed=n) for n in sizes])
    starts = np.cumsum([0, *sizes])
    within = {
        (a + i, a + j)
        for a, n in zip(starts, sizes, strict=False)
        for i in range(n)
        for j in range(n)
        if i != j
    }
    free = within - set(pairs_of(both.edge_index))
    assert set(pairs_of(gnn.negative_sampling(KEY, both, len(free)))) == free
    across = both.with_edges([[0], [4]])
    with pytest.raises(ValueError, match="the edge from node 0 to node 4 joins two graphs of a batch"):
        gnn.negative_sampling(KEY, across, 1)


def test_pairs_are_uniform_and_from_the_key():
    graph = random_graph(6, 8)
    free = sorted(set(itertools.permutations(range(6), 2)) - set(pairs_of(graph.edge_index)))
    counts = dict.fromkeys(free, 0)
    rounds, each = 2000, 5
    for k in range(rounds):
        for pair in pairs_of(gnn.negative_sampling(hs.random.key(k), graph, each)):
            counts[pair] += 1
    expected = rounds * each / len(free)
    chi2 = sum((c - expected) ** 2 / expected for c in counts.values())
    assert chi2 < 2 * len(free)  # its mean is below len(free)
    a, b, c = (gnn.negative_sampling(hs.random.key(k), graph, 5) for k in (1, 1, 2))
    assert pairs_of(a) == pairs_of(b) != pairs_of(c)


def test_pairs_of_a_large_graph():
    """Neither all pairs nor a matrix are made: 10^10 of them."""
    graph = random_graph(100_000, 300_000)
    found = np.asarray(gnn.negative_sampling(KEY, graph, 50_000))
    code = found[0] * 100_000 + found[1]
    edges = np.asarray(graph.edge_index)
    assert len(np.unique(code)) == 50_000 and not np.isin(code, edges[0] * 100_000 + edges[1]).any()
    assert (found[0] != found[1]).all()


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ((KEY, None, 1), TypeError, "negative_sampling: graph must be a hs.gnn.Graph"),
        ((KEY, random_graph(4, 3), -1), ValueError, "count must not be negative, got -1"),
        ((KEY, random_graph(4, 3), 1.5), TypeError, "count must be an integer, got 1.5"),
    ],
)
def test_pairs_refuse(arguments, error, words):
    with pytest.raises(error, match=words):
        gnn.negative_sampling(*arguments)


@pytest.mark.parametrize("undirected", [False, True])
def test_edge_split(undirected):
    given = random_graph(60, 240, undirected)
    loops = int((np.asarray(given.source) == np.asarray(given.target)).sum())
    weight = np.arange(given.num_edges, dtype=float)
    if undirected:  # the same in both directions
        s, t = np.asarray(given.edge_index)
        weight = (np.minimum(s, t) * 60 + np.maximum(s, t)).astype(float)
    graph = given.replace(edge_weight=hs.array(weight), x=hs.ones((60, 2), dtype=hs.float32))
    assert loops
    parts = gnn.edge_split(KEY, graph, (0.5, 0.2, 0.2), negatives=1.5)
    weight_of = dict(zip(pairs_of(graph.edge_index), weight, strict=True))  # of duplicates the last

    def canonical(pairs):
        return {(min(p), max(p)) if undirected else p for p in pairs}

    edges = canonical(p for p in pairs_of(graph.edge_index) if p[0] != p[1])
    asked, free = [], []
    for k, part in enumerate(parts):
        pairs, labels = pairs_of(part.pairs), np.asarray(part.labels)
        assert part.labels.dtype == hs.float32
        positive = [p for p, y in zip(pairs, labels, strict=True) if y == 1]
        negative = [p for p, y in zip(pairs, labels, strict=True) if y == 0]
        assert abs(len(positive) - (0.5, 0.2, 0.2)[k] * len(edges)) <= 1
        assert len(negative) == round(1.5 * len(positive))
        asked, free = asked + positive, free + negative
        along = pairs_of(part.graph.edge_index)
        assert sum(a == b for a, b in along) == loops
        if k:
            # What messages pass along is what all parts but this one and later ones ask for, and the rest.
            assert not canonical(along) & set(positive)
            assert canonical(p for p in along if p[0] != p[1]) == edges - set(positive) - later(
                parts[k + 1 :]
            )
        if undirected:
            assert part.graph.is_undirected() and all(a < b for a, b in pairs)
            assert [weight_of[p] for p in along] == np.asarray(part.graph.edge_weight).tolist()
    assert len(asked) == len(set(asked)) and set(asked) <= edges
    assert len(free) == len(set(free)) and not set(free) & edges
    assert not (set(free) & {(b, a) for a, b in edges} if undirected else set())
    train, val, test = parts
    np.testing.assert_array_equal(np.asarray(train.graph.edge_index), np.asarray(val.graph.edge_index))
    assert test.graph.num_edges > val.graph.num_edges
    again = gnn.edge_split(KEY, graph, (0.5, 0.2, 0.2), negatives=1.5)
    assert all(pairs_of(a.pairs) == pairs_of(b.pairs) for a, b in zip(parts, again, strict=True))


def later(parts):
    return {
        p
        for part in parts
        for p, y in zip(pairs_of(part.pairs), np.asarray(part.labels), strict=True)
        if y == 1
    }


def test_edge_split_keeps_duplicates_together():
    s, t = RNG.integers(30, size=(2, 50))
    graph = gnn.Graph([[*s, *s], [*t, *t]], num_nodes=30)
    train, test = gnn.edge_split(KEY, graph, (0.5, 0.5))
    asked = pairs_of(test.pairs[:, : int(hs.sum(test.labels))])
    assert len(set(asked)) == len(asked) and not set(asked) & set(pairs_of(test.graph.edge_index))


def test_edge_split_of_few():
    empty = gnn.edge_split(KEY, gnn.Graph(np.zeros((2, 0), int), num_nodes=3))
    assert [p.pairs.shape for p in empty] == [(2, 0)] * 3
    full = gnn.from_dense(1.0 - np.eye(5))
    with pytest.raises(
        ValueError, match="edge_split: 10 pairs without an edge are wanted, but of the 10 unordered"
    ):
        gnn.edge_split(KEY, full)
    assert sum(p.pairs.shape[1] for p in gnn.edge_split(KEY, full, negatives=0.0)) == 10
    with pytest.raises(ValueError, match="fractions must not be negative and sum to at most 1"):
        gnn.edge_split(KEY, full, (0.9, 0.3))
    with pytest.raises(ValueError, match="negatives must be a number from 0 on, got -1"):
        gnn.edge_split(KEY, full, negatives=-1.0)


def test_links_are_learnt():
    """Communities from a split alone: what is tested has never been an edge of the message-passing graph."""
    rng = np.random.default_rng(0)
    label = rng.integers(4, size=120)
    a = np.triu(rng.random((120, 120)) < np.where(label[:, None] == label, 0.3, 0.01), 1)
    graph = gnn.Graph(np.stack(np.nonzero(a | a.T)), np.eye(120))
    train, _, test = gnn.edge_split(KEY, graph, (0.8, 0.0, 0.2))
    adam = hs.optim.adam(0.02)

    def scores(model, part):
        z = model(part.graph.x, part.graph)
        return hs.sum(hs.gather(z, part.pairs[0]) * hs.gather(z, part.pairs[1]), axis=-1)

    @hs.compile
    def step(model, state, part):
        loss = lambda m: hs.nn.binary_cross_entropy_with_logits(scores(m, part), part.labels)
        return adam.update(hs.grad(loss)(model), state, model)

    model = gnn.GCNConv(120, 8, key=KEY)
    state = adam.init(model)
    before = gnn.roc_auc(scores(model, test), test.labels)
    for _ in range(60):
        model, state = step(model, state, train)
    after = scores(model, test)
    assert before < 0.7 < 0.77 < gnn.roc_auc(after, test.labels)
    assert gnn.average_precision(after, test.labels) > 0.7


def reference_precision(s, y):
    """Thresholds one by one, from the largest."""
    found, recall = 0.0, 0.0
    for threshold in sorted(set(s), reverse=True):
        chosen = s >= threshold
        now = y[chosen].sum() / y.sum()
        found += (now - recall) * y[chosen].mean()
        recall = now
    return found


def test_ranking_metrics():
    s, y = np.round(RNG.normal(size=200), 1), RNG.integers(2, size=200)
    mask = RNG.random(200) < 0.5
    np.testing.assert_allclose(gnn.average_precision(s, y), reference_precision(s, y), rtol=1e-12)
    np.testing.assert_allclose(
        gnn.average_precision(hs.array(s), hs.array(y), mask),
        reference_precision(s[mask], y[mask]),
        rtol=1e-12,
    )
    assert gnn.average_precision(np.zeros(4), [1, 0, 0, 0]) == 0.25  # all alike: the fraction of class 1
    p, n = np.round(RNG.normal(size=40), 1), np.round(RNG.normal(size=(40, 30)), 1)

    def rank(score, others):  # the mean place among equals, from a sorted list
        together = sorted([score, *others], reverse=True)
        return np.mean([place for place, v in enumerate(together, 1) if v == score])

    # OGB leaves the score itself out of its equals: the mean of the first and the last place.
    ranks = np.array([rank(v, row) for v, row in zip(p, n, strict=True)])
    np.testing.assert_allclose(gnn.mean_reciprocal_rank(p, n), (1 / ranks).mean(), rtol=1e-12)
    np.testing.assert_allclose(
        gnn.mean_reciprocal_rank(p, n[0]), np.mean([1 / rank(v, n[0]) for v in p]), rtol=1e-12
    )
    for k in (1, 3, 10, 31):
        assert gnn.hits_at_k(p, n, k) == (ranks <= k).mean()
        shared = 1.0 if k > 30 else (p > np.sort(n[0])[-k]).mean()
        assert gnn.hits_at_k(p, n[0], k) == shared
    for f, words in [
        (lambda: gnn.average_precision([0.1, 0.2], [0, 0]), "average_precision: there is no row of class 1"),
        (lambda: gnn.average_precision([0.1, np.nan], [0, 1]), "average_precision: score 1 is NaN"),
        (lambda: gnn.average_precision([0.1, 0.2], [0, 3]), "labels must be 0 or 1"),
        (lambda: gnn.mean_reciprocal_rank(p, n[:3]), r"\[P, M\], got shapes \(40,\) and \(3, 30\)"),
        (lambda: gnn.mean_reciprocal_rank([], n[0]), "there are no positive scores"),
        (lambda: gnn.mean_reciprocal_rank(p[:1], [[1.0, np.nan]]), r"negative score \[0, 1\] is NaN"),
        (lambda: gnn.hits_at_k(p, n, 0), "k must be a positive integer, got 0"),
    ]:
        with pytest.raises(ValueError, match=words):
            f()
    with pytest.raises(TypeError, match="scores must be real numbers, got complex128"):
        gnn.hits_at_k(p + 0j, n, 1)


def test_against_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    weights = pytest.importorskip("sklearn.utils.class_weight")
    s, y = np.round(RNG.normal(size=300), 1), RNG.integers(2, size=300)
    np.testing.assert_allclose(gnn.average_precision(s, y), sklearn.average_precision_score(y, s), rtol=1e-12)
    labels = np.repeat([0, 1, 2], [5, 70, 25])
    expected = weights.compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(np.asarray(gnn.class_weights(labels)), expected, rtol=1e-15)


def test_class_weights():
    labels = np.array([0, 0, 0, 2, 2, -1, 3])
    w = np.asarray(gnn.class_weights(labels, num_classes=5))
    np.testing.assert_allclose(w, [6 / 9, 0, 1, 2, 0])
    np.testing.assert_allclose(w[labels[labels >= 0]].sum(), 6)
    np.testing.assert_allclose(np.asarray(gnn.class_weights(labels, labels != 3)), [5 / 6, 0, 5 / 4])
    # The loss of weighted rows is the mean over classes of the mean over their rows.
    logits = RNG.normal(size=(6, 4))
    y = labels[labels >= 0]
    each = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(6), y]
    means = [each[y == c].mean() for c in (0, 2, 3)]
    np.testing.assert_allclose(
        float(hs.nn.softmax_cross_entropy(logits, y, weights=w[y])), np.mean(means), rtol=1e-12
    )
    for f, words in [
        (lambda: gnn.class_weights([0, 4], num_classes=3), "label 4 is not below num_classes=3"),
        (lambda: gnn.class_weights([-1, -1]), "there are no rows"),
        (lambda: gnn.class_weights([0.5]), "must be a vector of integers"),
        (lambda: gnn.class_weights([0, 1], [True]), r"one entry per row, \(2,\), got \(1,\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            f()
