"""Loops stand outside of maps of few examples where these share work (core/program/map_loops.h): compiled against
eager, and what becomes of the program."""

import numpy as np
import pytest

import hesse as hs


def assert_same(f, *args):
    compiled = hs.compile(f)
    got, expected = hs.tree_leaves(compiled(*args)), hs.tree_leaves(f(*args))
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12, atol=1e-12)
    return str(compiled.explain(*args))


def spring(p, steps=20):
    """The place of a mass after some steps of a loop that counts by itself."""

    def step(x):
        place, speed, n = x
        speed = speed - 0.1 * (p[0] * hs.sin(place) + p[1] * speed + p[2] * hs.cos(n * place))
        return place + 0.1 * speed, speed, n + 1

    return hs.while_loop(lambda x: x[2] < steps, step, (p[0] + p[2], hs.array(0.3), 0))[0]


P = np.array([0.7, 0.2, 0.4])


def test_tangents_along_several_directions_share_one_loop():
    text = assert_same(hs.jacfwd(spring), hs.array(P))
    assert "map over 3 examples, inside while_loop" in text
    assert text.count(" = while_loop") == 1


def test_values_are_read_off_the_loop_of_the_tangents():
    text = assert_same(lambda p: (spring(p), hs.jacfwd(spring)(p)), hs.array(P))
    assert text.count(" = while_loop") == 1


def test_scans_with_xs_and_ys():
    def f(p, xs):
        def step(c, x):
            c = hs.tanh(c * p[0] + x[0] * p[1] + x[1])
            return c, (c * p[2], hs.cos(x[0]))

        last, (ys, zs) = hs.scan(step, p[0], xs)
        return last, ys, zs

    xs = hs.array(np.random.default_rng(0).normal(size=(7, 2)))
    text = assert_same(lambda p: (f(p, xs), hs.jacfwd(lambda p: f(p, xs)[:2])(p)), hs.array(P))
    assert text.count(" = scan") == 1
    # xs that differ, a carry that they do not reach, and results that do not differ
    many = hs.array(np.random.default_rng(1).normal(size=(3, 7, 2)))

    def g(p, xs):
        def step(c, x):
            a, b = c
            return (hs.tanh(a * p[0]) + hs.exp(-a), b + a * x[0]), (b * x[1], hs.sin(a))

        return hs.scan(step, (p[0], p[1]), xs)

    text = assert_same(lambda p, xs: hs.vmap(g, in_axes=(None, 0))(p, xs), hs.array(P), many)
    assert "inside scan" in text
    assert_same(lambda p, xs: hs.sum(hs.vmap(lambda x: g(p, x)[1][0])(xs), axis=0), hs.array(P), many)


def test_loops_inside_loops_and_maps_inside_maps():
    def f(p):
        def outer(c, _):
            inner = hs.while_loop(
                lambda z: z[1] < 3, lambda z: (z[0] + 0.1 * hs.sin(p[0] * z[0]) * p[1], z[1] + 1), (c, 0)
            )
            return inner[0] * p[2], inner[0]

        return hs.scan(outer, p[0], None, length=5)[1]

    text = assert_same(lambda p: (f(p), hs.jacfwd(f)(p)), hs.array(P))
    assert text.count(" = while_loop") == 1 and text.count(" = scan") == 1
    batch = hs.array(P + np.random.default_rng(2).normal(size=(10, 3)) * 0.1)
    assert_same(hs.vmap(lambda p: (f(p), hs.jacfwd(f)(p))), batch)
    assert_same(hs.vmap(hs.jacfwd(lambda p: hs.sum(f(p)))), batch)
    assert_same(hs.jacfwd(hs.jacfwd(lambda p: hs.sum(f(p)))), hs.array(P))
    assert_same(hs.hessian(lambda p: hs.sum(f(p))), hs.array(P))


def test_examples_with_steps_of_their_own_stay_apart():
    def f(p, limit):
        return hs.while_loop(
            lambda x: x[0] < limit, lambda x: (x[0] + p[0] + hs.sin(x[1]) ** 2, x[1] + p[1]), (p[1], p[2])
        )

    limits = hs.array([1.0, 5.0, 9.0])
    text = assert_same(lambda p, limits: hs.vmap(lambda l: f(p, l))(limits), hs.array(P), limits)
    assert "inside while_loop" not in text


def test_more_examples_keep_their_lanes():
    def f(p):
        return spring(p[:3]) * hs.sum(p)

    text = assert_same(hs.jacfwd(f), hs.array(np.linspace(0.1, 1, 40)))
    assert "inside while_loop" not in text


@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P", "Kvaerno5"])
def test_a_solver_and_its_sensitivities_are_one_loop(method):
    def f(t, y, p):
        return hs.stack([p[0] - p[1] * y[0] * y[1], p[1] * y[0] * y[1] - p[2] * y[1]])

    times = hs.linspace(0.5, 3.0, 4)

    def solution(p):
        return hs.solvers.solve_ivp(
            f, (0.0, 3.0), hs.array([1.0, 0.5]), method=method, t_eval=times, args=(p,)
        ).y

    text = assert_same(lambda p: (solution(p), hs.jacfwd(solution)(p)), hs.array(P))
    assert text.count(" = scan") == 1
