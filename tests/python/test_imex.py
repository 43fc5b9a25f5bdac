"""Additive Runge-Kutta (IMEX) methods of solve_ivp: orders, a stiff advection-diffusion-reaction system, derivatives."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_ivp

import hesse as hs
from hesse.solvers import solve_ivp

METHODS = ("ARK3", "ARK4", "ARK5")
ORDERS = {"ARK3": 3, "ARK4": 4, "ARK5": 5}


def explicit(t, y, p):
    return hs.stack([hs.cos(t) * y[1], -p[0] * y[0]])


def implicit(t, y, p):
    return hs.stack([-p[1] * (y[0] - hs.sin(t)), -0.5 * y[1] ** 3])


def solved(p, method="ARK4", times=(2.0,), **options):
    y0 = hs.stack([p[0], 2.0 * p[0]])
    return solve_ivp((explicit, implicit), (0.0, times[-1]), y0, method, times, args=(p,), **options)


def reference(p, times=(2.0,)):
    def f(t, y):
        return [
            np.cos(t) * y[1] - p[1] * (y[0] - np.sin(t)),
            -p[0] * y[0] - 0.5 * y[1] ** 3,
        ]

    return scipy_ivp(f, (0.0, times[-1]), [p[0], 2 * p[0]], "DOP853", times, rtol=1e-12, atol=1e-13).y.T


def fixed(p, method="ARK4", n=16, **options):
    """n steps of one size whatever p is, so that differences are those of one function."""
    tolerance = options.pop("tolerance", 1e-3)
    h = 1.0 / n
    return solved(p, method, (0.5, 1.0), rtol=tolerance, atol=tolerance, first_step=h, max_step=h, **options)


P = hs.array([1.0, 2.0])


@pytest.mark.parametrize("method", METHODS)
def test_order(method):
    exact = reference(np.array([1.0, 2.0]), (0.5, 1.0))
    errors = []
    for n in (4, 8, 16) if method == "ARK5" else (16, 32, 64):
        sol = fixed(P, method, n, tolerance=1e-4 if method == "ARK5" else 1e-3)
        assert int(sol.stats["rejected"]) == 0
        errors.append(np.abs(np.asarray(sol.y) - exact).max())
    assert np.all(np.log2(np.array(errors[:-1]) / errors[1:]) > ORDERS[method] - 0.35), errors


@pytest.mark.parametrize("method", METHODS)
def test_tolerances(method):
    p = np.array([1.0, 50.0])
    times = np.linspace(0.1, 2.0, 7)
    sol = solved(hs.array(p), method, times, rtol=1e-6, atol=1e-8)
    assert np.abs(np.asarray(sol.y) - reference(p, times)).max() < 1e-5
    assert int(sol.stats["factorisations"]) == int(sol.stats["accepted"] + sol.stats["rejected"])


def test_without_times_of_output_and_backwards():
    sol = solve_ivp(
        (explicit, implicit), (0.0, 1.0), hs.array([1.0, 2.0]), "ARK4", args=(P,), rtol=1e-8, atol=1e-10
    )
    assert len(sol.t) == int(sol.stats["accepted"]) + 1
    back = solve_ivp(
        (explicit, implicit), (1.0, 0.0), sol.y[-1], "ARK4", [0.0], args=(P,), rtol=1e-8, atol=1e-10
    )
    assert hs.allclose(back.y[0], hs.array([1.0, 2.0]), atol=1e-6)


N = 60


def transport(t, state):
    """Upwind advection, and a slow reaction, of two species on a ring."""
    u, v = state["u"], state["v"]
    speed = 1.0
    return {
        "u": -speed * N * (u - hs.roll(u, 1)) + 0.2 * v,
        "v": -speed * N * (v - hs.roll(v, 1)) - 0.2 * v,
    }


def diffusion_and_reaction(t, state):
    """Stiff: diffusion of the grid's scale, and a fast equilibrium."""
    u, v = state["u"], state["v"]
    rate = 1e4 * (u - 2.0 * v)

    def laplacian(x):
        return 0.05 * N**2 * (hs.roll(x, 1) - 2.0 * x + hs.roll(x, -1))

    return {"u": laplacian(u) - rate, "v": laplacian(v) + rate}


@pytest.mark.parametrize("method", ("ARK4", "ARK5"))
def test_advection_diffusion_reaction(method):
    x = np.arange(N) / N
    y0 = {"u": hs.array(1 + 0.5 * np.sin(2 * np.pi * x)), "v": hs.array(0.5 + 0.25 * np.sin(2 * np.pi * x))}

    def whole(t, y):
        state = {"u": hs.array(y[:N]), "v": hs.array(y[N:])}
        total = hs.tree_map(lambda a, b: a + b, transport(t, state), diffusion_and_reaction(t, state))
        return np.concatenate([np.asarray(total["u"]), np.asarray(total["v"])])

    start = np.concatenate([np.asarray(y0["u"]), np.asarray(y0["v"])])
    exact = scipy_ivp(whole, (0.0, 0.5), start, "Radau", [0.25, 0.5], rtol=1e-9, atol=1e-11).y.T
    sol = solve_ivp(
        (transport, diffusion_and_reaction), (0.0, 0.5), y0, method, [0.25, 0.5], rtol=1e-6, atol=1e-8
    )
    got = np.concatenate([np.asarray(sol.y["u"]), np.asarray(sol.y["v"])], axis=1)
    assert np.abs(got - exact).max() < 2e-5
    # An explicit method would need steps below 3 / 1.5e4.
    assert int(sol.stats["accepted"]) < 400


@pytest.mark.parametrize("method", METHODS)
def test_derivatives(method):
    tolerance = 1e-4 if method == "ARK3" else 1e-3

    def f(p):
        return fixed(p, method, 32, tolerance=tolerance, raise_on_failure=True).y

    d = hs.array([0.3, -0.7])
    e = 1e-5
    central = (f(P + e * d) - f(P - e * d)) / (2 * e)
    y, tangent = hs.jvp(f, (P,), (d,))
    # Newton's iteration ends within 1e-3 of the tolerance: so good are differences.
    assert hs.allclose(tangent, central, rtol=1e-2, atol=1e-3)
    w = hs.array(np.random.default_rng(0).normal(size=y.shape))
    _, pull = hs.vjp(f, P)
    assert abs(float(hs.sum(w * tangent) - hs.sum(pull(w)[0] * d))) < 1e-12
    exact = (reference(np.asarray(P + e * d), (0.5, 1.0)) - reference(np.asarray(P - e * d), (0.5, 1.0))) / (
        2 * e
    )
    assert np.abs(np.asarray(tangent) - exact).max() < 1e-4


def test_second_derivatives_agree():
    def f(p):
        return hs.sum(fixed(p, "ARK3", 8).y ** 2)

    forward = hs.jacfwd(hs.grad(f))(P)
    reverse = hs.jacrev(hs.grad(f))(P)
    assert hs.allclose(forward, reverse, rtol=1e-9)
    assert hs.allclose(forward, forward.T, rtol=1e-9)
    e, gradient = 1e-4, hs.compile(hs.grad(f))
    for i in range(2):
        d = hs.array(np.eye(2)[i])
        central = (gradient(P + e * d) - gradient(P - e * d)) / (2 * e)
        assert hs.allclose(forward[i], central, rtol=2e-2, atol=2e-2)


def test_vmap_and_compile():
    ps = hs.array([[1.0, 2.0], [1.5, 30.0], [0.2, 200.0]])

    def last(p):
        sol = solved(p, rtol=1e-6, atol=1e-8)
        return sol.y[0], sol.stats["accepted"]

    one_by_one = [last(p) for p in ps]
    y, accepted = hs.vmap(last)(ps)
    for k, (expected, steps) in enumerate(one_by_one):
        assert hs.allclose(y[k], expected, rtol=1e-9)
        assert int(accepted[k]) == int(steps)
    assert hs.allclose(hs.compile(last)(ps[1])[0], one_by_one[1][0], rtol=1e-9)

    def loss(p):
        return hs.sum(last(p)[0])

    gradient = hs.compile(hs.grad(loss))
    expected = hs.stack([hs.grad(loss)(ps[0]), *(gradient(p) for p in ps[1:])])
    assert hs.allclose(hs.compile(hs.vmap(hs.grad(loss)))(ps), expected, rtol=1e-7)


def test_float32():
    sol = solved(hs.array([1.0, 20.0], dtype=hs.float32), rtol=1e-4, atol=1e-5)
    assert sol.y.dtype == hs.float32
    assert np.abs(np.asarray(sol.y) - reference(np.array([1.0, 20.0]))).max() < 1e-3


def test_not_finite():
    def bad(t, y):
        return hs.where(t > 0.5, hs.nan, -y)

    with pytest.raises(FloatingPointError, match="NaN or infinity however small the step"):
        solve_ivp((bad, lambda t, y: -y), (0.0, 1.0), 1.0, "ARK4", [1.0])
    sol = solve_ivp((bad, lambda t, y: -y), (0.0, 1.0), 1.0, "ARK4", [1.0], raise_on_failure=False)
    assert int(sol.status) == 3


def test_refusals():
    def f(t, y):
        return -y

    with pytest.raises(ValueError, match=r"f is a pair, and Tsit5 takes one function"):
        solve_ivp((f, f), (0.0, 1.0), 1.0, t_eval=[1.0])
    with pytest.raises(
        ValueError, match=r"ARK4 takes f as a pair of functions, \(explicit part, implicit part\)"
    ):
        solve_ivp(f, (0.0, 1.0), 1.0, "ARK4")
    with pytest.raises(ValueError, match="f is a pair, and BDF takes one function"):
        solve_ivp((f, f), (0.0, 1.0), 1.0, "BDF", t_eval=[1.0])
    with pytest.raises(ValueError, match="f holds 3 functions"):
        solve_ivp((f, f, f), (0.0, 1.0), 1.0, "ARK4")
    with pytest.raises(TypeError, match="expected a function, got int"):
        solve_ivp((f, 3), (0.0, 1.0), 1.0, "ARK4")
    with pytest.raises(TypeError, match="takes real states"):
        solve_ivp((f, f), (0.0, 1.0), 1j, "ARK4")
    with pytest.raises(ValueError, match=r"returns float64\[2\]|f returns"):
        solve_ivp((f, lambda t, y: hs.stack([y, y])), (0.0, 1.0), 1.0, "ARK4")
    with pytest.raises(ValueError, match="returns the structure"):
        solve_ivp((f, lambda t, y: (y, y)), (0.0, 1.0), 1.0, "ARK4")
