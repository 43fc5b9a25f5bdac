"""solve_ivp with ARKODE (explicit, implicit and additive Runge-Kutta): values, orders, structure, derivatives, failures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from stiff_problems import PROBLEMS, reference

import hesse as hs

core = hs._hesse.solvers
solve = hs.solvers.solve_ivp
pytestmark = pytest.mark.skipif(not core.has_cvode(), reason="this build has no SUNDIALS")

METHODS = ["ARKODE_ERK", "ARKODE_DIRK", "ARKODE_IMEX"]
TIGHT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert core.live_sundials_objects() == 0


def field(method, explicit, implicit):
    """The sum of both, as the method takes it."""

    def whole(t, y, *args):
        a, b = hs.tree_flatten(explicit(t, y, *args)), hs.tree_flatten(implicit(t, y, *args))
        return hs.tree_unflatten(a[1], [u + v for u, v in zip(a[0], b[0], strict=True)])

    return (explicit, implicit) if method == "ARKODE_IMEX" else whole


def growth(method):
    """dy/dt = cos(t) y, y = exp(sin t)"""
    return field(method, lambda t, y: 0.5 * hs.cos(t) * y, lambda t, y: 0.5 * hs.cos(t) * y)


@pytest.mark.parametrize("method", METHODS)
def test_an_exact_solution(method):
    times = np.array([0.0, 0.01, 0.7, 1.9, 3.0])
    sol = solve(growth(method), (0.0, 3.0), 1.0, method, times, **TIGHT)
    np.testing.assert_allclose(sol.y, np.exp(np.sin(times)), rtol=1e-8)
    steps = solve(growth(method), (3.0, -1.0), math.exp(math.sin(3.0)), method, rtol=1e-8, atol=1e-10)
    assert len(steps.t) == int(steps.stats["accepted"]) + 1 and (np.diff(steps.t) < 0).all()
    assert steps.t[0] == 3.0 and steps.t[-1] == -1.0
    np.testing.assert_allclose(steps.y, np.exp(np.sin(steps.t)), rtol=1e-6)
    assert int(sol.stats["evaluations"]) > int(sol.stats["accepted"])
    assert (int(sol.stats["factorisations"]) > 0) == (method != "ARKODE_ERK")


@pytest.mark.parametrize(("method", "order"), [("ARKODE_ERK", 5), ("ARKODE_DIRK", 4), ("ARKODE_IMEX", 4)])
def test_the_order_of_convergence(method, order):
    oscillator = field(method, lambda t, y: (y[1], 0.0 * y[1]), lambda t, y: (0.0 * y[0], -y[0]))

    def error(h):  # steps of h: any error is accepted, and no step may be longer; equations are linear
        options = {"rtol": 1e3, "atol": 1e3, "first_step": h, "max_step": h}
        sol = solve(oscillator, (0.0, 2.0), (0.0, 1.0), method, [2.0], **options)
        assert int(sol.stats["accepted"]) == pytest.approx(2 / h, abs=2)
        return abs(float(sol.y[0][0]) - math.sin(2.0)) + abs(float(sol.y[1][0]) - math.cos(2.0))

    orders = [math.log2(error(h) / error(h / 2)) for h in (0.2, 0.1)]
    assert order - 0.4 < min(orders) and max(orders) < order + 0.6


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_stiff_problems(name):
    problem = PROBLEMS[name]
    sol = solve(
        problem.field(hs), (0.0, problem.times[-1]), hs.array(problem.y0), "ARKODE_DIRK", problem.times,
        args=(hs.array(problem.p),), rtol=1e-6, atol=1e-6 * hs.array(problem.scale),
    )  # fmt: skip
    exact = reference(name)[0]
    error = (np.abs(np.asarray(sol.y) - exact) / (problem.scale + np.abs(exact))).max()
    assert error < (1e-4 if name == "OREGO" else 2e-5)
    assert int(sol.stats["accepted"]) < 1000


N = 200
X = (np.arange(N) + 1) / (N + 1)


def advection(t, y, d):
    wide = hs.concatenate([hs.zeros(1), y])
    return -(N + 1) * (wide[1:] - wide[:-1])


def diffusion(t, y, d):
    wide = hs.concatenate([hs.zeros(1), y, hs.zeros(1)])
    return d * (N + 1) ** 2 * (wide[2:] - 2 * y + wide[:-2])


def transport(method, d, **options):
    return solve(
        field(method, advection, diffusion), (0.0, 0.2), hs.array(np.sin(np.pi * X)), method, [0.1, 0.2], args=(d,),
        **{"rtol": 1e-7, "atol": 1e-9, **options},
    )  # fmt: skip


@pytest.mark.parametrize("method", ["ARKODE_DIRK", "ARKODE_IMEX"])
@pytest.mark.parametrize("linear_solver", ["auto", "dense", "banded", "klu", "krylov", "ilu"])
def test_a_large_system_by_every_linear_solver(method, linear_solver):
    if linear_solver == "klu" and not core.has_klu():
        pytest.skip("this build has no KLU")
    expected = transport("BDF", 0.1, rtol=1e-10, atol=1e-12).y
    sol = transport(method, 0.1, linear_solver=linear_solver)
    np.testing.assert_allclose(sol.y, expected, atol=2e-6)
    explicit = transport("ARKODE_ERK", 0.1, rtol=1e-4)
    assert int(sol.stats["accepted"]) < int(explicit.stats["accepted"])


def test_the_explicit_part_needs_no_derivative():
    def foreign(t, y):
        return hs.callback(lambda y: np.cos(np.asarray(y)), y, y)

    sol = solve((foreign, lambda t, y: -1000.0 * y), (0.0, 1.0), hs.array(1.0), "ARKODE_IMEX", [1.0], **TIGHT)
    same = solve(lambda t, y: hs.cos(y) - 1000.0 * y, (0.0, 1.0), 1.0, "BDF", [1.0], **TIGHT)
    np.testing.assert_allclose(sol.y, same.y, rtol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_derivatives_of_any_order(method):
    """Of y = y0 exp(-k (t - t0)) in k, t0, y0 and t, forwards and in reverse."""

    def found(x):
        f = field(method, lambda t, y, k: -0.25 * k * y, lambda t, y, k: -0.75 * k * y)
        return solve(f, (x[1], 3.0), x[2], method, hs.stack([x[3], 2.5]), args=(x[0],), **TIGHT).y

    def exact(x):
        return x[2] * hs.exp(-x[0] * (hs.stack([x[3], 2.5]) - x[1]))

    x = hs.array([0.7, 0.2, 3.0, 1.5])
    np.testing.assert_allclose(found(x), exact(x), rtol=1e-8)
    np.testing.assert_allclose(hs.jacfwd(found)(x), hs.jacrev(exact)(x), atol=1e-7)
    np.testing.assert_allclose(hs.jacrev(found)(x), hs.jacrev(exact)(x), atol=1e-7)

    def total(f):
        return lambda x: hs.sum(f(x) * hs.array([1.0, -2.0]))

    wanted = hs.hessian(total(exact))(x)
    np.testing.assert_allclose(hs.jacfwd(hs.grad(total(found)))(x), wanted, atol=1e-5)
    np.testing.assert_allclose(hs.jacrev(hs.grad(total(found)))(x), wanted, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_transposes_of_tangents(method):
    def run(p):
        f = field(
            method,
            lambda t, y, p: (p[0] * y[1], hs.sin(t) * y[0]),
            lambda t, y, p: (-y[0], -p[1] * y[1] ** 3),
        )
        return hs.stack(solve(f, (0.0, 4.0), (1.0, p[2]), method, [1.0, 4.0], args=(p,), **TIGHT).y)

    p, v = hs.array([1.0, 0.3, -0.5]), hs.array([[1.0, -2.0], [0.5, 3.0]])
    u = hs.array([0.3, -1.0, 2.0])
    tangent = hs.jvp(run, (p,), (u,))[1]
    gradient = hs.grad(lambda p: hs.sum(v * run(p)))(p)
    assert float(hs.sum(v * tangent)) == pytest.approx(float(hs.sum(gradient * u)), abs=1e-7)
    other = hs.grad(
        lambda p: hs.sum(
            v
            * hs.stack(
                solve(
                    lambda t, y, p: (p[0] * y[1] - y[0], hs.sin(t) * y[0] - p[1] * y[1] ** 3),
                    (0.0, 4.0), (1.0, p[2]), "Dop853", [1.0, 4.0], args=(p,), **TIGHT,
                ).y
            )
        )
    )(p)  # fmt: skip
    np.testing.assert_allclose(gradient, other, rtol=1e-7)
    h = 1e-6
    difference = (run(p + h * u) - run(p - h * u)) / (2 * h)
    np.testing.assert_allclose(tangent, difference, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_vmap_and_compile(method):
    def last(k):
        f = field(method, lambda t, y, k: hs.cos(t) * y, lambda t, y, k: -k * y)
        return solve(f, (0.0, 2.0), 1.0, method, [2.0], args=(k,), rtol=1e-8, atol=1e-10).y[0]

    rates = hs.array([0.1, 1.0, 30.0])
    one_by_one = hs.stack([last(k) for k in rates])
    np.testing.assert_allclose(hs.vmap(last)(rates), one_by_one, rtol=1e-12)
    np.testing.assert_allclose(hs.compile(hs.vmap(last))(rates), one_by_one, rtol=1e-12)
    slopes = hs.vmap(hs.grad(last))(rates)
    np.testing.assert_allclose(slopes[:2], -2 * one_by_one[:2], rtol=1e-5)
    np.testing.assert_allclose(hs.compile(hs.grad(last))(rates[1]), slopes[1], rtol=1e-10)


def test_a_gradient_of_a_stiff_problem_and_of_a_large_one():
    problem = PROBLEMS["HIRES"]

    def last(log_p, method, **options):
        p = hs.array(problem.p) * hs.exp(log_p)
        return solve(
            problem.field(hs), (0.0, 50.0), hs.array(problem.y0), method, [50.0], args=(p,), rtol=1e-8,
            atol=1e-8 * hs.array(problem.scale), **options,
        ).y[0, 0]  # fmt: skip

    zero = hs.zeros(3)
    gradient = hs.grad(lambda x: last(x, "ARKODE_DIRK"))(zero)
    np.testing.assert_allclose(gradient, reference("HIRES")[1][1, 0], rtol=2e-5, atol=1e-9)
    forward = hs.grad(lambda x: last(x, "ARKODE_DIRK", adjoint=hs.solvers.Forward()))(zero)
    np.testing.assert_allclose(forward, gradient, rtol=1e-4, atol=1e-8)

    def energy(d, method):
        return hs.sum(transport(method, d).y[1] ** 2)

    slopes = [float(hs.grad(energy)(hs.array(0.1), m)) for m in ("BDF", "ARKODE_DIRK", "ARKODE_IMEX")]
    tangent = float(hs.jvp(lambda d: energy(d, "ARKODE_IMEX"), (0.1,), (1.0,))[1])
    np.testing.assert_allclose(slopes[1:], slopes[0], rtol=1e-5)
    assert tangent == pytest.approx(slopes[2], rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_events(method):
    fall = field(method, lambda t, y: (y[1], -9.81), lambda t, y: (0.0 * y[0], 0.0 * y[1]))
    ground = hs.solvers.Event(lambda t, y: y[0], terminal=True, direction=-1)

    def duration(h):
        return solve(fall, (0.0, 10.0), (h, 0.0), method, events=ground, **TIGHT).t_end

    exact = math.sqrt(2 / 9.81)
    assert float(duration(1.0)) == pytest.approx(exact, abs=1e-10)
    assert float(hs.grad(duration)(1.0)) == pytest.approx(exact / 2, abs=1e-9)
    assert float(hs.jvp(hs.grad(duration), (1.0,), (1.0,))[1]) == pytest.approx(-exact / 4, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_steps_that_give_nan_are_taken_again(method):
    """f has no value at arguments below 0, where a step that is too long comes."""
    f = field(method, lambda t, y: -hs.sqrt(y), lambda t, y: 0.0 * y)
    sol = solve(f, (0.0, 1.9), 1.0, method, [1.9], first_step=1.8, rtol=1e-6, atol=1e-9)
    assert float(sol.y[0]) == pytest.approx(0.0025, rel=1e-3) and int(sol.stats["rejected"]) > 0


@pytest.mark.parametrize("method", METHODS)
def test_failures(method):
    pole = field(method, lambda t, y: y**2, lambda t, y: 0.0 * y)
    with pytest.raises(FloatingPointError, match=r"t = (1\.0|0\.99)"):
        solve(pole, (0.0, 3.0), 1.0, method, [2.0])
    quiet = solve(pole, (0.0, 3.0), 1.0, method, [0.5, 2.0], raise_on_failure=False)
    assert int(quiet.status) in (2, 3) and math.isnan(float(quiet.y[1]))
    assert float(quiet.y[0]) == pytest.approx(2.0, rel=1e-2)
    few = solve(growth(method), (0.0, 3.0), 1.0, method, [3.0], max_steps=5, raise_on_failure=False, **TIGHT)
    assert int(few.status) == 1 and int(few.stats["accepted"]) + int(few.stats["rejected"]) == 5
    nan = field(method, lambda t, y: y * math.nan, lambda t, y: 0.0 * y)
    with pytest.raises(FloatingPointError, match="f gives NaN or infinity"):
        solve(nan, (0.0, 1.0), 1.0, method)

    def fails(t, y):
        def late(t, y):
            if t > 0.5:
                raise KeyError("mine")
            return -y

        return hs.callback(late, y, t, y)

    with pytest.raises(KeyError, match="mine"):
        solve(field(method, fails, lambda t, y: 0.0 * y), (0.0, 1.0), hs.array(1.0), method)


def test_refusals():
    pair = (lambda t, y: y, lambda t, y: -y)
    with pytest.raises(
        ValueError, match=r"ARKODE_IMEX takes f as a pair of functions, \(explicit part, implicit"
    ):
        solve(pair[0], (0.0, 1.0), 1.0, "ARKODE_IMEX")
    for method in ("ARKODE_ERK", "ARKODE_DIRK"):
        with pytest.raises(ValueError, match=f"f is a pair, and {method} takes one function"):
            solve(pair, (0.0, 1.0), 1.0, method)
        with pytest.raises(TypeError, match=f"{method} solves real states"):
            solve(pair[0], (0.0, 1.0), 1j, method)
        with pytest.raises(
            ValueError, match=rf"Discrete\(\) .* {method} has Interpolating\(\) and Forward\(\)"
        ):
            solve(pair[0], (0.0, 1.0), 1.0, method, adjoint=hs.solvers.Discrete())
    with pytest.raises(ValueError, match="no method is called 'ARKODE'.*ARKODE_DIRK"):
        solve(pair[0], (0.0, 1.0), 1.0, "ARKODE")


def test_single_precision_and_empty_states():
    y0 = hs.array([1.0, 2.0], dtype=hs.float32)
    sol = solve(lambda t, y: -y, (0.0, 1.0), y0, "ARKODE_DIRK", [1.0], rtol=1e-7, atol=1e-9)
    assert sol.y.dtype == hs.float32
    np.testing.assert_allclose(sol.y[0], np.exp(-1.0) * np.array([1.0, 2.0]), rtol=1e-6)
    empty = solve(lambda t, y: -y, (0.0, 1.0), hs.zeros(0), "ARKODE_ERK", [0.5, 1.0])
    assert empty.y.shape == (2, 0) and empty.success
