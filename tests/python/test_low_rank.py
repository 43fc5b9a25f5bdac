"""Products with updated weights inside maps: (W + a D H) X = W X + a D (H X), and (A B) X = A (B X)."""

import numpy as np
import pytest

import hesse as hs

RNG = np.random.default_rng(11)
TASKS, SHOTS, WIDTH = 9, 4, 24


def draw(*shape, dtype="float64"):
    return hs.asarray(RNG.normal(size=shape).astype(dtype) / 3)


def close(got, want, tolerance=1e-10):
    for a, b in zip(hs.tree_flatten(got)[0], hs.tree_flatten(want)[0], strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance, atol=tolerance)


def adapted_loss(inner):
    """Second-order MAML: the weights of every task are adapted by gradient steps, then tried on other points."""

    def net(params, x):
        for w, b in params[:-1]:
            x = hs.tanh(x @ w + b)
        w, b = params[-1]
        return x @ w + b

    def loss(params, x, y):
        return hs.mean((net(params, x) - y) ** 2)

    def task(params, x, y, x_query, y_query):
        for _ in range(inner):
            params = hs.tree_map(lambda p, g: p - 0.1 * g, params, hs.grad(loss)(params, x, y))
        return loss(params, x_query, y_query)

    return lambda params, *tasks: hs.mean(hs.vmap(task, (None, 0, 0, 0, 0))(params, *tasks))


def meta_problem(dtype="float64"):
    sizes = [1, WIDTH, WIDTH, 1]
    params = [(draw(a, b, dtype=dtype), draw(b, dtype=dtype)) for a, b in zip(sizes, sizes[1:], strict=False)]
    return params, [draw(TASKS, SHOTS, 1, dtype=dtype) for _ in range(4)]


@pytest.mark.parametrize("inner", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_maml_is_the_same_compiled(inner, dtype):
    params, tasks = meta_problem(dtype)
    step = hs.value_and_grad(adapted_loss(inner))
    close(hs.compile(step)(params, *tasks), step(params, *tasks), {"float32": 1e-4, "float64": 1e-10}[dtype])


def test_adapted_weights_are_not_formed():
    """After one step the weights of a task are those of all minus an outer product of a few columns."""
    params, tasks = meta_problem()
    program = hs.compile(hs.value_and_grad(adapted_loss(1))).program(params, *tasks)
    assert program.count("map") == 1
    formed = [
        line
        for line in str(program).splitlines()
        if f"[{WIDTH},{WIDTH}] = subtract" in line.replace(" ", " ")
    ]
    assert not formed, formed


def test_updates_from_either_side_and_transposed():
    w, d, h, x = draw(WIDTH, WIDTH), draw(TASKS, WIDTH, 2), draw(TASKS, 2, WIDTH), draw(TASKS, WIDTH, 3)
    a = draw(TASKS)

    def f(w, d, h, x, a):
        m = w - a * (d @ h) + 0.5 * hs.transpose(d @ h)
        return hs.sum(m @ x), hs.transpose(x) @ m, hs.transpose(m) @ x, hs.sum(d @ h @ w @ x)

    mapped = hs.vmap(f, (None, 0, 0, 0, 0))
    close(hs.compile(mapped)(w, d, h, x, a), mapped(w, d, h, x, a))
    loss = lambda *args: sum(hs.sum(hs.sin(y)) for y in mapped(*args))
    derivative = hs.grad(loss, (0, 1, 2, 3, 4))
    close(hs.compile(derivative)(w, d, h, x, a), derivative(w, d, h, x, a))


def test_an_update_that_is_read_elsewhere_is_formed():
    w, d, h, x = draw(WIDTH, WIDTH), draw(TASKS, WIDTH, 2), draw(TASKS, 2, WIDTH), draw(TASKS, WIDTH, 3)

    def f(w, d, h, x):
        m = w - d @ h
        return m @ x, hs.sum(hs.tanh(m)), m

    mapped = hs.vmap(f, (None, 0, 0, 0))
    close(hs.compile(mapped)(w, d, h, x), mapped(w, d, h, x))


@pytest.mark.parametrize("k", [1, 2, 3, 16, 17, 32, 33])
def test_sums_of_thin_products_over_examples(k):
    """They are accumulated column by column, and not formed."""
    a, b = draw(50, 7, k), draw(50, k, 5)
    f = lambda a, b: hs.sum(hs.vmap(lambda a, b: a @ b + 2.0 * (a @ hs.cos(b)))(a, b), axis=0)
    close(hs.compile(f)(a, b), f(a, b))
    nested = hs.vmap(f)
    many = [hs.stack([z, -z, 2.0 * z]) for z in (a, b)]
    close(hs.compile(nested)(*many), nested(*many))
