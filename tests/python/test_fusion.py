"""Compiled programs join maps over the same examples: same results, one pass."""

import numpy as np
import pytest
from run_examples import run_examples

import hesse as hs

RNG = np.random.default_rng(0)
N = 37
W = [hs.asarray(RNG.normal(size=(5, 3))), hs.asarray(RNG.normal(size=(1, 5)))]
X = hs.asarray(RNG.normal(size=(N, 3)))
Y = hs.asarray(RNG.normal(size=N))


def net(w, x):
    return (w[1] @ hs.tanh(w[0] @ x))[0]


def values(w):
    return hs.vmap(net, (None, 0))(w, X)


def mean_square(w):
    return hs.mean((values(w) - Y) ** 2)


def root(w):
    return hs.sqrt(mean_square(w))


def normalised(w):
    """A mean and a deviation over all points stand between two maps."""
    f = values(w)
    z = (f - hs.mean(f)) / hs.std(f)
    return hs.sum(hs.vmap(lambda z, x: hs.sin(z) * hs.sum(x))(z, X) * Y)


def softmax(w):
    f = values(w)
    return -hs.sum(hs.log(hs.exp(f - hs.logsumexp(f))) * Y)


def batched_between(w):
    f, g = hs.vmap(lambda w, x: (net(w, x), w[0] @ x), (None, 0))(w, X)
    h = hs.sum(g * f[:, None], axis=0)
    k = hs.sum(g, axis=1) * f
    return hs.sum(h) + hs.sum(k * hs.where(f > 0, f, -2.0 * f))


def rows_meet(w):
    """Sorting and cumulative sums need all rows."""
    f = values(w)
    return hs.sum(hs.sort(f) * Y) + hs.sum(hs.cumulative_sum(f) * f)


def two_sizes(w):
    return mean_square(w) + hs.mean(hs.vmap(net, (None, 0))(w, X[:11]) ** 2) * hs.mean(values(w))


def gathered(w):
    """A table read by index, and rows summed by index."""
    index = hs.asarray(np.arange(N) % 7)
    table = hs.tanh(X[:7] @ hs.transpose(w[0]))
    sums = hs.map(
        lambda row, x: hs.sum(row) * x, N, [table, X], [("gather", 0), "each"], ("segment_sum", 0, 7), [index]
    )
    return hs.sum(sums**2) + mean_square(w)


LOSSES = [mean_square, root, normalised, softmax, batched_between, rows_meet, two_sizes, gathered]


def close(a, b):
    for x, y in zip(hs.tree_flatten(a)[0], hs.tree_flatten(b)[0], strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("loss", LOSSES)
def test_joined_maps_give_the_same(loss):
    close(hs.compile(loss)(W), loss(W))
    close(hs.compile(hs.value_and_grad(loss))(W), hs.value_and_grad(loss)(W))


@pytest.mark.parametrize("loss", [mean_square, normalised, batched_between])
def test_second_derivatives_of_joined_maps(loss):
    def f(w):
        return sum(hs.sum(g**2) for g in hs.grad(loss)(w))

    close(hs.compile(hs.grad(f))(W), hs.grad(f)(W))
    direction = [hs.cos(w) for w in W]
    close(
        hs.compile(lambda w: hs.jvp(hs.grad(loss), (w,), (direction,)))(W),
        hs.jvp(hs.grad(loss), (W,), (direction,)),
    )


def test_compiled_functions_are_still_differentiable_and_mappable():
    loss = hs.compile(mean_square)
    close(hs.grad(loss)(W), hs.grad(mean_square)(W))
    stacked = [hs.stack([w, 2.0 * w, -w]) for w in W]
    close(hs.vmap(loss)(stacked), hs.vmap(mean_square)(stacked))
    close(hs.vmap(hs.grad(loss))(stacked), hs.vmap(hs.grad(mean_square))(stacked))


def test_value_and_gradient_of_a_mean_are_one_map():
    program = hs.compile(hs.value_and_grad(mean_square)).program(W)
    assert program.count("map") == 1, program
    assert program.count("tanh") == 1  # the forward pass is shared
    assert hs.compile(hs.value_and_grad(mean_square)).graph(W).count("map") > 1


def test_a_reduction_in_the_middle_splits():
    """What depends on a sum over all points runs in a second map."""
    assert hs.compile(hs.value_and_grad(root)).program(W).count("map") == 2
    assert hs.compile(normalised).program(W).count("map") == 2


def test_memory_does_not_grow_with_the_number_of_points():
    """No array with a row for each point but the points themselves and what is asked for."""
    xs = hs.asarray(RNG.normal(size=(5000, 3)))

    def loss(w, x):
        return hs.mean(hs.vmap(net, (None, 0))(w, x) ** 2)

    program = hs.compile(hs.value_and_grad(loss)).program(W, xs)
    inside = [
        line for line in str(program).splitlines() if line.startswith("  %") and "5000" in line.split("=")[0]
    ]
    assert not inside, program


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_bits_do_not_depend_on_threads(threads):
    xs = hs.asarray(np.random.default_rng(1).normal(size=(5000, 3)))
    step = hs.compile(hs.value_and_grad(lambda w: hs.mean(hs.vmap(net, (None, 0))(w, xs) ** 2)))
    before = hs.get_num_threads()
    try:
        hs.set_num_threads(1)
        expected = step(W)
        hs.set_num_threads(threads)
        given = step(W)
    finally:
        hs.set_num_threads(before)
    for a, b in zip(hs.tree_flatten(expected)[0], hs.tree_flatten(given)[0], strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_the_sum_of_a_value_that_all_examples_share():
    """n times the value, whatever makes it: everything moves out of the map."""
    x = hs.asarray([1.0, 2.0, 3.0])

    def f(x):
        return hs.map(lambda v: hs.sum(hs.sin(v) * v), 5, [x], ["uniform"], "sum")

    close(f(x), 5.0 * hs.sum(hs.sin(x) * x))
    close(hs.compile(hs.grad(f))(x), 5.0 * (hs.cos(x) * x + hs.sin(x)))


def test_sums_of_outer_products_with_a_factor_that_all_points_share():
    """Only products of vectors that both differ between points are formed as one product over them."""
    u = hs.asarray(RNG.normal(size=4))

    def outer(a, b):
        return hs.expand_dims(a, axis=1) @ hs.expand_dims(b, axis=0)

    def f(w, u):
        shared = hs.vmap(lambda x: outer(u, x))(X)
        both = hs.vmap(lambda x: outer(hs.tanh(w[0] @ x)[:4], x))(X)
        mixed = hs.vmap(lambda x: outer(hs.sin(w[0] @ x)[:4], x) + outer(u, x) + outer(u, hs.cos(x)))(X)
        return hs.sum(shared, axis=0), hs.sum(both, axis=0), hs.sum(mixed, axis=0)

    close(hs.compile(f)(W, u), f(W, u))
    loss = lambda w, u: sum(hs.sum(y**2) for y in f(w, u))
    close(hs.compile(hs.grad(loss, argnums=(0, 1)))(W, u), hs.grad(loss, argnums=(0, 1))(W, u))
    points, weights = np.asarray(X), np.asarray(W[0])
    expected = sum(np.outer(np.tanh(weights @ x)[:4], x) for x in points)
    np.testing.assert_allclose(np.asarray(f(W, u)[1]), expected, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(f(W, u)[0]), np.outer(np.asarray(u), points.sum(0)), rtol=1e-12)


# ---- inside a tile -------------------------------------------------------------------------------------------------
SQUARE = hs.asarray(RNG.normal(size=(4, 4)))
BIAS = hs.asarray(RNG.normal(size=4))
VECTORS = hs.asarray(RNG.normal(size=(N, 4)))
MATRICES = hs.asarray(RNG.normal(size=(N, 4, 4)))

TILES = {
    "bias": lambda x, a, w, b: w @ x + b,
    "bias of a row": lambda x, a, w, b: b + x @ w,
    "two products": lambda x, a, w, b: w @ x + a @ hs.tanh(x),
    "two readers": lambda x, a, w, b: (w @ x + b) * hs.sum(w @ x),
    "itself twice": lambda x, a, w, b: a @ x + a @ x,
    "a matrix": lambda x, a, w, b: w @ a + a,
    "a number": lambda x, a, w, b: a @ a + 2.0,
    "transposed": lambda x, a, w, b: hs.transpose(w @ a) + a,
    "reversed": lambda x, a, w, b: hs.flip(a @ x) + x,
    "reshaped": lambda x, a, w, b: hs.reshape(w @ hs.reshape(x, (4, 1)), (2, 2)) + hs.reshape(b, (2, 2)),
    "longer sum": lambda x, a, w, b: (a @ x)[:, None] + a,
    "minus": lambda x, a, w, b: b - a @ x,
    "a chain that reads itself reversed": lambda x, a, w, b: (
        hs.flip(x * 2.0) + x * 2.0 - hs.exp(hs.flip(x * 2.0))
    ),
    "a chain of conditions": lambda x, a, w, b: hs.where(
        x * 3.0 > b, hs.where(x < 0.5, x * 3.0, x), hs.sin(x * 3.0)
    ),
    "rows of numbers": lambda x, a, w, b: (a - w) * b[:, None] + (a * b) * x[0] - a,
    "a sum on the way": lambda x, a, w, b: (x * 2.0 - hs.sum(x * 2.0)) * hs.sqrt(hs.abs(x * 2.0)),
}


@pytest.mark.parametrize("how", ["on_lanes", "one_by_one", "unrolled"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("f", TILES.values(), ids=TILES)
def test_maps_agree_with_loops(f, dtype, how):
    """Products begin at what is added to them; what only one chain reads passes through one block of rows."""
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    each = (None, None, 0, 0)

    def examples(w, b, x, a):
        return hs.vmap(lambda w, b, x, a: f(x, a, w, b), each)(w, b, x, a)

    def one_by_one(w, b, x, a):
        return hs.stack([f(x[i], a[i], w, b) for i in range(x.shape[0])])

    def gradient(g):
        return hs.grad(lambda *args: hs.sum(hs.sin(g(*args))), argnums=(0, 1, 2, 3))

    with run_examples(how):
        for n in (1, 7, N):
            args = [hs.astype(t, dtype) for t in (SQUARE, BIAS, VECTORS[:n], MATRICES[:n])]
            got = [examples(*args), *hs.compile(gradient(examples))(*args)]
            for ours, expected in zip(got, [one_by_one(*args), *gradient(one_by_one)(*args)], strict=True):
                assert ours.dtype == expected.dtype
                np.testing.assert_allclose(
                    np.asarray(ours), np.asarray(expected), rtol=20 * tolerance, atol=20 * tolerance
                )
