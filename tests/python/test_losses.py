"""Losses, dropout, normalisations of hs.nn, and what Adam does with weight decay."""

import numpy as np
import pytest

import hesse as hs

RNG = np.random.default_rng(0)
LOGITS, LABELS = RNG.normal(size=(3, 5, 4)), RNG.integers(4, size=(3, 5))
W = RNG.uniform(size=(3, 5))


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def directional(f, x, reference):
    """The gradient of f along a random direction against central differences of the reference; also compiled."""
    u = RNG.normal(size=x.shape)
    expected = (reference(x + 1e-6 * u) - reference(x - 1e-6 * u)) / 2e-6
    for g in (hs.grad(f), hs.compile(hs.grad(f))):
        np.testing.assert_allclose(float(hs.sum(g(hs.array(x)) * u)), expected, rtol=1e-6, atol=1e-9)
    _, forward = hs.jvp(f, (hs.array(x),), (hs.array(u),))
    np.testing.assert_allclose(float(forward), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("weights", [None, W, W > 0.5])
def test_softmax_cross_entropy(weights):
    one_hot = np.eye(4)[LABELS]
    p = RNG.dirichlet(np.ones(4), size=(3, 5))
    for labels, probabilities in ((LABELS, one_hot), (LABELS.astype(np.int8), one_hot), (p, p)):
        reference = lambda x: np.average(-(probabilities * log_softmax(x)).sum(-1), weights=weights)
        f = lambda x: hs.nn.softmax_cross_entropy(x, labels, weights)
        np.testing.assert_allclose(float(f(LOGITS)), reference(LOGITS), rtol=1e-13)
        directional(f, LOGITS, reference)
    y = hs.nn.softmax_cross_entropy(LOGITS.astype(np.float32), LABELS, weights)
    assert y.dtype == hs.float32
    mapped = hs.vmap(hs.nn.softmax_cross_entropy)(LOGITS, LABELS)
    np.testing.assert_allclose(np.asarray(mapped), (-(one_hot * log_softmax(LOGITS)).sum(-1)).mean(-1))


def test_rows_of_weight_zero_are_not_read():
    labels = np.array([1, -1, 99])
    y = hs.nn.softmax_cross_entropy(LOGITS[0, :3], labels, [True, False, False])
    np.testing.assert_allclose(float(y), -log_softmax(LOGITS[0, 0])[1])
    assert np.isnan(float(hs.nn.softmax_cross_entropy(LOGITS[0, :3], labels, [0, 0, 0])))
    # Probability 0 of what cannot be: the loss is that of the rest.
    y = hs.nn.softmax_cross_entropy([[-np.inf, 0.0, 1.0]], [[0.0, 1.0, 0.0]])
    np.testing.assert_allclose(float(y), np.log1p(np.e))


@pytest.mark.parametrize("weights", [None, W, W > 0.5])
def test_binary_cross_entropy(weights):
    x, t = RNG.normal(size=(3, 5)), RNG.uniform(size=(3, 5))

    def reference(x):
        p = 1 / (1 + np.exp(-x))
        return np.average(-t * np.log(p) - (1 - t) * np.log(1 - p), weights=weights)

    f = lambda x: hs.nn.binary_cross_entropy_with_logits(x, t, weights)
    np.testing.assert_allclose(float(f(x)), reference(x), rtol=1e-13)
    directional(f, x, reference)
    np.testing.assert_allclose(float(hs.nn.binary_cross_entropy_with_logits([800.0, -800.0], [0, 1])), 800.0)
    assert float(hs.nn.binary_cross_entropy_with_logits([800.0, -800.0], [True, False])) == 0.0


@pytest.mark.parametrize(
    "f, error, words",
    [
        (
            lambda: hs.nn.softmax_cross_entropy(LOGITS, LABELS[0]),
            ValueError,
            r"an integer per row, \(3, 5\), got int64\[5\]",
        ),
        (lambda: hs.nn.softmax_cross_entropy(LOGITS, LABELS * 1.0), ValueError, "the shape of the logits"),
        (
            lambda: hs.nn.softmax_cross_entropy(LOGITS, LABELS, W[0]),
            ValueError,
            "weights must have a number per row",
        ),
        (lambda: hs.nn.softmax_cross_entropy([1, 2], 0), TypeError, "logits must be real floating"),
        (lambda: hs.nn.softmax_cross_entropy(1.0, 0), ValueError, r"logits must be \[..., C\]"),
        (lambda: hs.nn.softmax_cross_entropy([[1.0, 2.0]], [2]), IndexError, "2"),
        (lambda: hs.nn.softmax_cross_entropy([[1.0, 2.0]], [-1]), IndexError, "out of range"),
        (
            lambda: hs.nn.binary_cross_entropy_with_logits([1.0], [1.0, 2.0]),
            ValueError,
            "targets must have the shape",
        ),
        (lambda: hs.nn.dropout(np.ones(3), 1.0), ValueError, r"rate must be in \[0, 1\), got 1"),
        (lambda: hs.nn.Dropout(-0.1), ValueError, r"rate must be in \[0, 1\), got -0.1"),
        (lambda: hs.nn.dropout(np.ones(3, int), 0.5), TypeError, "floating"),
        (lambda: hs.nn.LayerNorm(0), ValueError, "positive"),
        (lambda: hs.nn.LayerNorm(2)(np.ones((3, 4))), ValueError, "scale must be a vector of 4"),
        (lambda: hs.nn.BatchNorm(4)(np.ones((1, 4))), ValueError, r"two rows at least.*training=False"),
        (lambda: hs.nn.BatchNorm(2, momentum=2.0), ValueError, r"momentum must be in \[0, 1\]"),
        (lambda: hs.optim.adam(0.1, l2=-1.0), ValueError, "l2 must not be negative"),
        (lambda: hs.optim.adam(0.1, decay_where=3), TypeError, "decay_where must be a function"),
    ],
)
def test_refusals(f, error, words):
    with pytest.raises(error, match=words):
        f()


def test_relu_keeps_nan():
    np.testing.assert_array_equal(
        np.asarray(hs.nn.relu(hs.array([np.nan, -1.0, 0.0, 2.0]))), [np.nan, 0.0, 0.0, 2.0]
    )
    np.testing.assert_array_equal(
        np.asarray(hs.grad(lambda x: hs.sum(hs.nn.relu(x)))(hs.array([-1.0, 0.0, 2.0]))), [0.0, 0.0, 1.0]
    )


def test_dropout():
    x = hs.ones((200, 300))
    y = np.asarray(hs.nn.dropout(x, 0.3, hs.random.key(1)))
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / y.size)
    np.testing.assert_array_equal(np.asarray(hs.nn.Dropout(0.3)(x, hs.random.key(1))), y)
    assert hs.nn.Dropout(0.3)(x) is not None and np.asarray(hs.nn.dropout(x, 0.3)).min() == 1.0
    g = hs.grad(lambda x: hs.sum(hs.nn.dropout(x, 0.3, hs.random.key(1)) ** 2))(x)
    np.testing.assert_allclose(np.asarray(g), 2 * y / 0.7 * (y > 0))
    a = hs.sparse.from_dense([[0.0, 2.0], [4.0, 0.0]])
    dropped = hs.nn.dropout(a, 0.5, hs.random.key(0))
    np.testing.assert_array_equal(
        np.asarray(dropped.data), np.asarray(hs.nn.dropout(a.data, 0.5, hs.random.key(0)))
    )
    assert hs.nn.dropout(hs.ones(2, dtype=hs.float32), 0.5, hs.random.key(0)).dtype == hs.float32


def test_layer_norm():
    x = RNG.normal(size=(3, 5))
    scale, shift = RNG.normal(size=(2, 5))
    norm = hs.nn.LayerNorm(5, epsilon=1e-3).replace(scale=hs.array(scale), shift=hs.array(shift))
    reference = lambda x: (
        (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) * scale + shift
    )
    np.testing.assert_allclose(np.asarray(norm(x)), reference(x), rtol=1e-12)
    directional(lambda x: hs.sum(hs.sin(norm(x))), x, lambda x: np.sin(reference(x)).sum())
    assert hs.nn.LayerNorm(5, affine=False)(x).shape == (3, 5)


def test_batch_norm():
    x = RNG.normal(size=(6, 2, 3)) + 1.0
    norm = hs.nn.BatchNorm(3, momentum=0.25)
    reference = lambda x: (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5)
    y, after = norm(x)
    np.testing.assert_allclose(np.asarray(y), reference(x), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(after.mean), 0.25 * x.mean((0, 1)))
    np.testing.assert_allclose(np.asarray(after.variance), 0.75 + 0.25 * x.var((0, 1), ddof=1))
    z, same = after(x, training=False)
    assert same is after
    expected = (x - np.asarray(after.mean)) / np.sqrt(np.asarray(after.variance) + 1e-5)
    np.testing.assert_allclose(np.asarray(z), expected, rtol=1e-12)
    directional(lambda x: hs.sum(hs.sin(norm(x)[0])), x, lambda x: np.sin(reference(x)).sum())
    gradient = hs.grad(lambda n: hs.sum(n(hs.array(x))[0] ** 2))(norm)
    assert gradient.mean is None and gradient.scale.shape == (3,)


def test_adam_with_l2_and_decay_of_a_part():
    """l2 is the gradient of l2 / 2 |p|^2 added; both kinds of decay act on the part that is named."""
    params = {"a": hs.array(RNG.normal(size=3)), "b": hs.array(RNG.normal(size=2))}
    loss = lambda p: hs.sum(hs.sin(p["a"])) + hs.sum(p["b"] ** 3)

    def steps(adam, f):
        p, state = params, adam.init(params)
        step = hs.compile(lambda p, state: adam.update(hs.grad(f)(p), state, p))
        for _ in range(5):
            p, state = step(p, state)
        return p

    penalty = lambda p, names: sum(0.05 * hs.sum(p[k] ** 2) for k in names)
    cases = [
        (hs.optim.adam(0.1, l2=0.1), lambda p: loss(p) + penalty(p, "ab")),
        (hs.optim.adam(0.1, l2=0.1, decay_where=lambda p: p["b"]), lambda p: loss(p) + penalty(p, "b")),
        (hs.optim.adam(0.1, l2=0.1, decay_where=lambda p: [p["a"]]), lambda p: loss(p) + penalty(p, "a")),
    ]
    for adam, with_penalty in cases:
        found, expected = steps(adam, loss), steps(hs.optim.adam(0.1), with_penalty)
        for k in "ab":
            np.testing.assert_allclose(np.asarray(found[k]), np.asarray(expected[k]), rtol=1e-10)
    part = steps(hs.optim.adam(0.1, weight_decay=0.2, decay_where=lambda p: p["a"]), loss)
    np.testing.assert_allclose(
        np.asarray(part["a"]), np.asarray(steps(hs.optim.adam(0.1, weight_decay=0.2), loss)["a"])
    )
    np.testing.assert_allclose(np.asarray(part["b"]), np.asarray(steps(hs.optim.adam(0.1), loss)["b"]))
    with pytest.raises(ValueError, match="not part of the parameters"):
        hs.optim.adam(0.1, l2=0.1, decay_where=lambda p: p["a"] + 1.0).update(
            params, hs.optim.adam(0.1).init(params), params
        )
