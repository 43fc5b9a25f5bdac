"""Loops of scalars as machine code, for one example and in lanes: against the loops of Python numbers."""

import math

import numpy as np
import pytest

import hesse as hs


def collatz_like(a, b, times):
    """An inner loop whose length depends on the values, for every time; with floats, integers and bools."""

    def body(carry, t):
        def goes_on(c):
            return (c[0] < t) & (c[2] < 200)

        def step(c):
            x, s, n, odd = c
            return [
                x + hs.where(odd, a, 0.5 * a),
                s + hs.sin(x * b) * hs.exp(-x),
                n + 1,
                ~odd,
            ]

        carry = hs.while_loop(goes_on, step, carry)
        return carry, (carry[1] * t, carry[2])

    start = [hs.zeros((), dtype=times.dtype), b * 0, hs.array(0), hs.array(True)]
    last, (y, n) = hs.scan(body, start, times)
    return last[0], y, n


def in_python(a, b, times):
    x, s, n, odd, ys, ns = 0.0, 0.0, 0, True, [], []
    for t in times:
        while x < t and n < 200:
            x, s, n, odd = x + (a if odd else 0.5 * a), s + math.sin(x * b) * math.exp(-x), n + 1, not odd
        ys.append(s * t)
        ns.append(n)
    return x, ys, ns


TIMES = np.array([0.5, 0.5, 1.5, 3.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_example(dtype):
    times = hs.array(TIMES.astype(dtype))
    x, y, n = hs.compile(collatz_like)(hs.array(dtype(0.125)), hs.array(dtype(1.3)), times)
    x0, y0, n0 = in_python(0.125, 1.3, TIMES)
    assert float(x) == x0
    assert np.asarray(n).tolist() == n0
    assert np.asarray(y) == pytest.approx(y0, rel=1e-5 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100])
def test_lanes_have_their_own_steps(count):
    rng = np.random.default_rng(count)
    a, b = 2.0 ** -rng.integers(0, 7, count), rng.normal(size=count)
    run = hs.compile(hs.vmap(lambda a, b: collatz_like(a, b, hs.array(TIMES))))
    x, y, n = (np.asarray(v) for v in run(hs.array(a), hs.array(b)))
    for i in range(count):
        x0, y0, n0 = in_python(a[i], b[i], TIMES)
        assert (x[i], n[i].tolist()) == (x0, n0)
        assert y[i] == pytest.approx(y0, rel=1e-13, abs=1e-15)


def test_an_example_does_not_depend_on_those_beside_it():
    rng = np.random.default_rng(1)
    a, b = 2.0 ** -rng.integers(0, 7, 40), rng.normal(size=40)
    run = hs.compile(hs.vmap(lambda a, b: collatz_like(a, b, hs.array(TIMES))[1]))
    order = rng.permutation(40)
    y, mixed = (
        np.asarray(run(hs.array(a), hs.array(b))),
        np.asarray(run(hs.array(a[order]), hs.array(b[order]))),
    )
    assert (y[order] == mixed).all()


def test_nan_in_one_lane_stays_there():
    b = np.array([1.0, np.nan, 2.0] * 4)
    run = hs.compile(hs.vmap(lambda b: collatz_like(hs.array(0.25), b, hs.array(TIMES))[1]))
    y = np.asarray(run(hs.array(b)))
    assert (np.isnan(y).all(axis=1) == np.isnan(b)).all()


def test_no_elements():
    run = hs.compile(hs.vmap(lambda a, b: collatz_like(a, b, hs.zeros((0,)))))
    x, y, n = run(hs.ones((5,)), hs.ones((5,)))
    assert (np.asarray(x) == 0).all() and y.shape == (5, 0) and n.shape == (5, 0)


def swapped(k):
    """Carries that change places, one as it was, one that is a constant."""

    def body(c, t):
        return [c[1], c[0] + t * k, c[2], hs.array(1.0)], (c[0], c[3])

    return hs.scan(body, [k, 2 * k, 3 * k, 4 * k], hs.arange(6.0), reverse=True)


def test_carries_that_change_places():
    k = np.linspace(0.5, 2, 11)
    run = hs.compile(hs.vmap(swapped))
    last, (y, z) = run(hs.array(k))
    p, q = k, 2 * k
    for t in range(5, -1, -1):
        assert np.allclose(np.asarray(y)[:, t], p) and np.allclose(
            np.asarray(z)[:, t], 4 * k if t == 5 else 1
        )
        p, q = q, p + t * k
    for got, expected in zip(last, (p, q, 3 * k, np.ones(11)), strict=True):
        assert np.allclose(np.asarray(got), expected)


def solved(k):
    """y' = a(y) y with matrices of two rows and a step that depends on y."""

    def step(c):
        y, t = c
        a = hs.stack([hs.stack([-k[0], k[1] * y[1]]), hs.stack([k[0] * y[0], -k[2] - y[1] ** 2])])
        h = hs.minimum(0.1 / (1 + hs.max(hs.abs(y))), 1.0 - t)
        return [y + h * (a @ (y + 0.5 * h * (a @ y))), t + h]

    y, _ = hs.while_loop(
        lambda c: c[1] < 1.0, step, [hs.stack([1.0 + 0 * k[0], 0.5 + 0 * k[0]]), hs.array(0.0)]
    )
    return y


def loss(k):
    def body(c, w):
        y = solved(k * w)
        return c + hs.sum(y**2 * w), y

    total, ys = hs.scan(body, hs.array(0.0), hs.array([0.5, 1.0, 2.0, 1.5, 0.7, 0.3]))
    return total + hs.sum(ys)


K = np.array([0.7, 1.3, 0.4])


def test_gradients():
    gradient = np.asarray(hs.compile(hs.grad(loss))(hs.array(K)))
    assert gradient == pytest.approx(np.asarray(hs.compile(hs.jacfwd(loss))(hs.array(K))), rel=1e-12)
    assert gradient == pytest.approx(np.asarray(hs.grad(loss)(hs.array(K))), rel=1e-11)
    f = hs.compile(loss)
    for i, e in enumerate(np.eye(3)):
        difference = (float(f(hs.array(K + 1e-6 * e))) - float(f(hs.array(K - 1e-6 * e)))) / 2e-6
        assert gradient[i] == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize("outer", ["jacfwd", "jacrev"])
@pytest.mark.parametrize("inner", ["jacfwd", "jacrev"])
def test_second_order(outer, inner):
    hessian = np.asarray(hs.compile(getattr(hs, outer)(getattr(hs, inner)(loss)))(hs.array(K)))
    assert hessian == pytest.approx(hessian.T, rel=1e-10)
    g = hs.compile(hs.grad(loss))
    for i, e in enumerate(np.eye(3)):
        difference = (np.asarray(g(hs.array(K + 1e-5 * e))) - np.asarray(g(hs.array(K - 1e-5 * e)))) / 2e-5
        assert hessian[i] == pytest.approx(difference, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("transform", ["grad", "jacfwd"])
def test_gradients_in_lanes(transform):
    k = K * np.exp(np.random.default_rng(0).normal(0, 0.2, (19, 3)))
    derivative = getattr(hs, transform)(loss)
    together = np.asarray(hs.compile(hs.vmap(derivative))(hs.array(k)))
    alone = hs.compile(derivative)
    for i in range(19):
        assert together[i] == pytest.approx(np.asarray(alone(hs.array(k[i]))), rel=1e-12)


@pytest.mark.parametrize("start", [[np.nan, 1.0], [np.inf, 2.0], [1.0, -np.inf], [1.0, 2.0]])
def test_zeros_of_a_matrix_meet_nan_and_infinity(start):
    matrix = hs.array([[0.0, 1.0], [-1.0, 0.0]])

    def turned(x):
        return hs.scan(lambda c, _: (matrix @ c, None), x, None, length=8)[0]

    x = hs.array(start)
    expected = x
    for _ in range(8):
        expected = matrix @ expected
    for y in (turned(x), hs.compile(turned)(x), hs.compile(hs.vmap(turned))(hs.stack([x, x]))[1]):
        np.testing.assert_array_equal(np.asarray(y), np.asarray(expected))


@pytest.mark.parametrize("transform", [lambda f: f, hs.compile])
def test_constant_indices_out_of_range_are_said(transform):
    def f(x):
        return hs.scan(lambda c, _: (hs.sum(hs.stack([c, c])[hs.array([0, 5])]), None), x, None, length=8)[0]

    with pytest.raises(IndexError, match="index 5"):
        transform(f)(hs.array(1.0))
    with pytest.raises(IndexError, match="index 5"):
        transform(hs.vmap(f))(hs.ones(3))
