"""Compiled programs in batched form become maps: same results, one pass over the rows, wherever they lie."""

import numpy as np
import pytest

import hesse as hs

RNG = np.random.default_rng(3)
N = 700
TOLERANCE = {"float32": 2e-4, "float64": 1e-10}


def draw(*shape, dtype="float64"):
    return hs.asarray(RNG.normal(size=shape).astype(dtype))


def layers(sizes, dtype="float64"):
    return [
        (draw(a, b, dtype=dtype) / a**0.5, draw(b, dtype=dtype))
        for a, b in zip(sizes, sizes[1:], strict=False)
    ]


def net(params, x):
    for w, b in params[:-1]:
        x = hs.tanh(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def close(got, want, rtol=1e-10):
    got, want = hs.tree_flatten(got)[0], hs.tree_flatten(want)[0]
    for a, b in zip(got, want, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(1.0, float(np.abs(b).max(initial=0.0))))


def rows_outside(program, n):
    """Equations outside maps that write an array with an axis of n."""
    return [
        line
        for line in str(program).splitlines()
        if line.startswith("  %") and str(n) in line.split("=")[0] and " = slice" not in line
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_of_a_batched_loss_is_one_map(dtype):
    params, x, y = layers([3, 20, 20, 2], dtype), draw(N * 10, 3, dtype=dtype), draw(N * 10, 2, dtype=dtype)

    def loss(params):
        return hs.mean((net(params, x) - y) ** 2)

    step = hs.compile(hs.value_and_grad(loss))
    close(step(params), hs.value_and_grad(loss)(params), TOLERANCE[dtype])
    program = step.program(params)
    assert program.count("map") == 1 and program.count("tanh") == 2, program
    assert not rows_outside(program, N * 10), program


def test_a_batched_residual_is_the_map_that_vmap_gives():
    params, x = layers([2, 10, 10, 1]), draw(N * 5, 2)

    def residual(f, x, along_t, along_x):
        """u_t + u u_x - u_xx"""
        u, u_t = hs.jvp(f, (x,), (along_t,))
        u_x, u_xx = hs.jvp(lambda x: hs.jvp(f, (x,), (along_x,))[1], (x,), (along_x,))
        return u_t + u * u_x - u_xx

    t, s = hs.asarray([1.0, 0.0]), hs.asarray([0.0, 1.0])

    def batched(params):
        directions = [hs.broadcast_to(d, x.shape) for d in (t, s)]
        return hs.mean(residual(lambda x: net(params, x), x, *directions) ** 2)

    def mapped(params):
        return hs.mean(hs.vmap(lambda x: residual(lambda x: net(params, x)[0], x, t, s) ** 2)(x))

    step, reference = hs.compile(hs.value_and_grad(batched)), hs.compile(hs.value_and_grad(mapped))
    close(step(params), reference(params))
    program = step.program(params)
    assert program.count("map") == 1
    assert program.count("tanh") == reference.program(params).count("tanh") == 2


def test_columns_slices_and_joins_stay_in_the_row():
    x, w = draw(N * 10, 5), draw(5, 4)

    def f(x, w):
        a = hs.concatenate([x[:, 1:3], hs.sin(x[:, :2] * x[:, 3:])], axis=1) @ w[:4]
        b = hs.stack([hs.max(a, 1), hs.min(a, 1), hs.cumulative_sum(a, axis=1)[:, -1]], axis=1)
        c = hs.where(b > 0, b, hs.sort(b, axis=1)) * hs.astype(hs.argmax(a, axis=1), "float64")[:, None]
        return hs.sum(c**2), hs.sum(hs.exp(-c), axis=0)

    compiled = hs.compile(f)
    close(compiled(x, w), f(x, w))
    assert compiled.program(x, w).count("map") == 1
    assert not rows_outside(compiled.program(x, w), N * 10)
    close(hs.compile(hs.grad(lambda *a: f(*a)[0], (0, 1)))(x, w), hs.grad(lambda *a: f(*a)[0], (0, 1))(x, w))


def test_rows_on_the_last_axis():
    x, w = draw(5, N * 10), draw(6, 5)

    def f(x, w):
        h = hs.tanh(w @ x)
        return h @ hs.transpose(h), hs.sum(h, 1), hs.sum(hs.transpose(h) ** 2)

    compiled = hs.compile(f)
    close(compiled(x, w), f(x, w))
    assert compiled.program(x, w).count("map") == 1


def test_large_arrays_are_worked_on_in_one_pass():
    x, y = draw(300, 400), draw(300, 400)

    def f(x, y):
        z = hs.sin(x) * hs.exp(-y * y) + hs.where(x > y, x, 2.0 * y)
        return z, hs.sum(z), hs.reshape(z, (400, 300)) * 2.0

    compiled = hs.compile(f)
    close(compiled(x, y), f(x, y))
    assert compiled.program(x, y).count("map") == 1
    close(hs.compile(f)(hs.transpose(x), hs.transpose(y)), f(hs.transpose(x), hs.transpose(y)))


def test_what_meets_all_rows_stays_outside():
    x = draw(N, 20)

    def gram(x):
        y = hs.tanh(x) * 2.0
        return hs.sum(hs.exp(-((y @ hs.transpose(y)) ** 2))), hs.sum(hs.sort(y, axis=0) * y)

    close(hs.compile(gram)(x), gram(x))
    close(hs.compile(hs.grad(lambda x: sum(gram(x))))(x), hs.grad(lambda x: sum(gram(x)))(x))


def test_a_normalisation_over_the_batch_splits():
    params, x = layers([4, 16, 16, 3]), draw(N * 4, 4)

    def loss(params):
        h = net(params, x)
        z = (h - hs.mean(h, 0)) / hs.std(h, 0)
        return hs.mean(hs.logsumexp(z, 1) * h[:, 0])

    step = hs.compile(hs.value_and_grad(loss))
    close(step(params), hs.value_and_grad(loss)(params), 1e-9)
    assert step.program(params).count("map") > 1


@pytest.mark.parametrize("n", [128, 129, 256, 511, 512, 513])
def test_as_many_rows_as_columns(n):
    """Square matrices: which axis has the rows is not to be told by lengths."""
    x, w, b = draw(n, n), draw(n, n), draw(n)

    def f(x, w, b):
        h = hs.tanh(x @ w / n + b)
        return hs.sum(h * hs.transpose(x)), h @ x, hs.mean(h, 0) + hs.mean(h, 1)

    close(hs.compile(f)(x, w, b), f(x, w, b))
    close(
        hs.compile(hs.grad(lambda *a: f(*a)[0], (0, 1, 2)))(x, w, b),
        hs.grad(lambda *a: f(*a)[0], (0, 1, 2))(x, w, b),
    )


def test_weights_as_long_as_the_batch():
    """A matrix whose axis has the length of the batch is a matrix."""
    x, w, v = draw(512, 30), draw(30, 512), draw(512, 30)

    def f(x, w, v):
        return hs.tanh(hs.tanh(x @ w) @ v) + x

    close(hs.compile(f)(x, w, v), f(x, w, v))
    g = hs.grad(lambda *a: hs.sum(f(*a) ** 2), (0, 1, 2))
    close(hs.compile(g)(x, w, v), g(x, w, v))


def test_in_a_loop_and_under_vmap():
    params, x, y = layers([3, 16, 1]), draw(N * 4, 3), draw(N * 4, 1)

    def loss(params):
        return hs.mean((net(params, x) - y) ** 2)

    def step(_, params):
        return hs.tree_map(lambda p, g: p - 0.05 * g, params, hs.grad(loss)(params))

    def train(params):
        return hs.fori_loop(0, 6, step, params)

    expected = params
    for _ in range(6):
        expected = step(0, expected)
    close(hs.compile(train)(params), expected)
    stacked = hs.tree_map(lambda p: hs.stack([p, 0.5 * p]), params)
    close(hs.compile(hs.vmap(loss))(stacked), hs.vmap(loss)(stacked))


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_bits_do_not_depend_on_threads(threads):
    params, x = layers([3, 16, 16, 1]), draw(N * 20, 3)
    step = hs.compile(hs.value_and_grad(lambda p: hs.mean(net(p, x) ** 2)))
    before = hs.get_num_threads()
    try:
        hs.set_num_threads(1)
        expected = hs.tree_flatten(step(params))[0]
        hs.set_num_threads(threads)
        got = hs.tree_flatten(step(params))[0]
    finally:
        hs.set_num_threads(before)
    assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(got, expected, strict=True))
