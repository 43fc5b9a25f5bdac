"""Symplectic methods of solve_ivp: order, what they preserve, derivatives."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_ivp

import hesse as hs
from hesse.solvers import hamiltonian, solve_ivp

ORDERS = {"Leapfrog": 2, "Yoshida4": 4, "Yoshida6": 6, "SuzukiUmeno8": 8}
METHODS = tuple(ORDERS)


def kinetic(p):
    return 0.5 * hs.sum(p**2)


def kepler(q):
    return -1.0 / hs.sqrt(hs.sum(q**2))


ECCENTRICITY = 0.3
START = (hs.array([1 - ECCENTRICITY, 0.0]), hs.array([0.0, np.sqrt((1 + ECCENTRICITY) / (1 - ECCENTRICITY))]))
PERIOD = 2 * np.pi


def orbit(method, n, start=START, t_span=(0.0, PERIOD), times=None, **options):
    times = [t_span[1]] if times is None else times
    h = PERIOD / n
    return solve_ivp(hamiltonian(kinetic, kepler), t_span, start, method, times, first_step=h, **options)


@pytest.mark.parametrize("method", METHODS)
def test_order_on_a_closed_orbit(method):
    errors = []
    for n in (50, 100) if method == "SuzukiUmeno8" else (200, 400, 800):
        sol = orbit(method, n)
        assert int(sol.stats["accepted"]) <= n + 1
        errors.append(float(hs.max(hs.abs(sol.y[0][0] - START[0]))))
    assert np.all(np.abs(np.log2(np.array(errors[:-1]) / errors[1:]) - ORDERS[method]) < 0.5), errors


@pytest.mark.parametrize("method", METHODS)
def test_time_reversal(method):
    there = orbit(method, 64, t_span=(0.0, 5.0))
    back = orbit(method, 64, start=(there.y[0][0], there.y[1][0]), t_span=(5.0, 0.0))
    # The last step there and the first one back differ, where the span is no multiple of steps.
    exact = orbit(method, 64, t_span=(0.0, PERIOD))
    home = orbit(method, 64, start=(exact.y[0][0], -exact.y[1][0]), t_span=(0.0, PERIOD))
    assert hs.allclose(home.y[0][0], START[0], atol=1e-12)
    assert hs.allclose(home.y[1][0], -START[1], atol=1e-12)
    assert hs.allclose(back.y[0][0], START[0], atol=10 * (PERIOD / 64) ** ORDERS[method])


@pytest.mark.parametrize("method", METHODS)
def test_the_map_is_symplectic(method):
    def flow(z):
        sol = orbit(method, 40, start=(z[:2], z[2:]), t_span=(0.0, 4.0))
        return hs.concatenate([sol.y[0][0], sol.y[1][0]])

    z = hs.concatenate(START)
    jacobian = np.asarray(hs.jacobian(flow)(z))
    omega = np.block([[np.zeros((2, 2)), np.eye(2)], [-np.eye(2), np.zeros((2, 2))]])
    assert np.abs(jacobian.T @ omega @ jacobian - omega).max() < 1e-11
    # Runge and Kutta's is not.

    def other(z):
        def f(t, z):
            return hs.concatenate([z[2:], -hs.grad(kepler)(z[:2])])

        return solve_ivp(f, (0.0, 4.0), z, "RK4", [4.0], first_step=0.1).y[0]

    jacobian = np.asarray(hs.jacobian(other)(z))
    assert np.abs(jacobian.T @ omega @ jacobian - omega).max() > 1e-7


@pytest.mark.parametrize("method", ("Leapfrog", "Yoshida4"))
def test_energy_over_1e5_steps(method):
    def pendulum(q):
        return -hs.cos(q)

    h, steps = 0.125, 100_000
    times = h * np.arange(1, 201) * (steps // 200)
    sol = solve_ivp(
        hamiltonian(lambda p: 0.5 * p**2, pendulum),
        (0.0, h * steps),
        (1.0, 0.2),
        method,
        times,
        first_step=h,
        max_steps=steps,
    )
    assert int(sol.stats["accepted"]) == steps
    energy = np.asarray(0.5 * sol.y[1] ** 2 - hs.cos(sol.y[0]))
    exact = 0.5 * 0.2**2 - np.cos(1.0)
    bound = 2e-3 if method == "Leapfrog" else 2e-5
    assert np.abs(energy - exact).max() < bound
    assert abs(energy[100:].mean() - energy[:100].mean()) < 0.2 * bound  # no drift


def test_forces_that_depend_on_time():
    def velocity(t, p):
        return (1 + 0.5 * hs.sin(t)) * p

    def force(t, q):
        return -q + hs.cos(2 * t)

    exact = scipy_ivp(
        lambda t, y: [(1 + 0.5 * np.sin(t)) * y[1], -y[0] + np.cos(2 * t)],
        (0.0, 3.0),
        [1.0, 0.5],
        "DOP853",
        [3.0],
        rtol=1e-13,
        atol=1e-13,
    ).y[:, 0]
    for method, order in ORDERS.items():
        errors = []
        for n in (12, 24):
            q, p = solve_ivp((velocity, force), (0.0, 3.0), (1.0, 0.5), method, [3.0], first_step=3.0 / n).y
            errors.append(max(abs(float(q[0]) - exact[0]), abs(float(p[0]) - exact[1])))
        assert np.log2(errors[0] / errors[1]) > order - 0.5, (method, errors)


def test_trees_args_and_dtypes():
    def velocity(t, p, mass):
        return {"a": p["a"] / mass, "b": p["b"] / mass}

    def force(t, q, mass):
        return {"a": -q["a"], "b": -4.0 * q["b"]}

    q0 = {"a": hs.ones(3, dtype=hs.float32), "b": hs.ones((2, 2), dtype=hs.float32)}
    p0 = hs.tree_map(hs.zeros_like, q0)
    sol = solve_ivp(
        (velocity, force), (0.0, 1.0), (q0, p0), "Yoshida4", [0.5, 1.0], args=(2.0,), first_step=0.05
    )
    q, p = sol.y
    assert q["a"].shape == (2, 3) and p["b"].shape == (2, 2, 2) and q["a"].dtype == hs.float32
    assert np.allclose(np.asarray(q["a"][1]), np.cos(1 / np.sqrt(2)), atol=1e-5)
    assert np.allclose(np.asarray(q["b"][1]), np.cos(2 / np.sqrt(2)), atol=1e-5)


def test_derivatives():
    def last(s, method="Yoshida4"):
        sol = orbit(method, 50, start=(s * START[0], START[1]), t_span=(0.0, 3.0), times=[1.0, 3.0])
        return hs.concatenate([sol.y[0].reshape(-1), sol.y[1].reshape(-1)])

    for method in ("Leapfrog", "SuzukiUmeno8"):

        def f(s, method=method):
            return last(s, method)

        s, e = hs.array(1.02), 1e-5
        y, tangent = hs.jvp(f, (s,), (hs.array(1.0),))
        assert hs.allclose(tangent, (f(s + e) - f(s - e)) / (2 * e), rtol=1e-7, atol=1e-7)
        w = hs.array(np.random.default_rng(1).normal(size=y.shape))
        assert abs(float(hs.vjp(f, s)[1](w)[0] - hs.sum(w * tangent))) < 1e-11

    def g(s):
        return hs.sum(last(s) ** 3)

    second = hs.grad(hs.grad(g))(hs.array(1.02))
    mixed = hs.jvp(hs.grad(g), (hs.array(1.02),), (hs.array(1.0),))[1]
    assert hs.allclose(second, mixed, rtol=1e-10)
    e = 1e-5
    central = (hs.grad(g)(hs.array(1.02 + e)) - hs.grad(g)(hs.array(1.02 - e))) / (2 * e)
    assert hs.allclose(second, central, rtol=1e-5)


def test_derivative_in_the_end_of_the_span():
    def end(t1):
        return orbit("Yoshida6", 100, t_span=(0.0, t1), times=hs.reshape(t1, (1,))).y[0][0]

    tangent = hs.jvp(end, (hs.array(2.0),), (hs.array(1.0),))[1]
    velocity = orbit("Yoshida6", 100, t_span=(0.0, 2.0)).y[1][0]
    assert hs.allclose(tangent, velocity, rtol=1e-6)


def test_vmap_and_compile():
    factors = hs.array([0.9, 1.0, 1.1])

    def last(s):
        return orbit("Yoshida4", 60, start=(s * START[0], START[1])).y[0][0]

    expected = hs.stack([last(s) for s in factors])
    assert hs.allclose(hs.vmap(last)(factors), expected, rtol=1e-12)
    assert hs.allclose(hs.compile(last)(factors[0]), expected[0], rtol=1e-12)
    gradients = hs.stack([hs.grad(lambda s: hs.sum(last(s)))(s) for s in factors])
    both = hs.compile(hs.vmap(hs.grad(lambda s: hs.sum(last(s)))))(factors)
    assert hs.allclose(both, gradients, rtol=1e-10)


def test_steps_without_times_of_output():
    sol = solve_ivp(hamiltonian(kinetic, kepler), (0.0, 1.0), START, "Leapfrog", first_step=0.1)
    assert np.allclose(np.asarray(sol.t), np.linspace(0, 1, 11))
    assert sol.y[0].shape == (11, 2)


def test_not_finite():
    with pytest.raises(FloatingPointError, match="NaN or infinity"):
        solve_ivp(
            hamiltonian(kinetic, kepler),
            (0.0, 1.0),
            (hs.zeros(2), hs.zeros(2)),
            "Leapfrog",
            [1.0],
            first_step=0.1,
        )


def test_refusals():
    pair = hamiltonian(kinetic, kepler)
    with pytest.raises(ValueError, match="its step is first_step, which is missing"):
        solve_ivp(pair, (0.0, 1.0), START, "Leapfrog", [1.0])
    with pytest.raises(
        ValueError, match=r"Leapfrog takes f as a pair of functions, \(dq/dt of p, dp/dt of q\)"
    ):
        solve_ivp(lambda t, y: y, (0.0, 1.0), START, "Leapfrog", [1.0], first_step=0.1)
    with pytest.raises(
        ValueError, match=r"Yoshida4 takes a state \(q, p\), positions and momenta, got Array"
    ):
        solve_ivp(pair, (0.0, 1.0), hs.zeros(4), "Yoshida4", [1.0], first_step=0.1)
    with pytest.raises(ValueError, match="expected the same"):
        solve_ivp(pair, (0.0, 1.0), (hs.zeros(2), [hs.zeros(2)]), "Yoshida4", [1.0], first_step=0.1)
    with pytest.raises(ValueError, match=r"array 0 of q is float64\[2\].*that of p float64\[3\]"):
        solve_ivp(pair, (0.0, 1.0), (hs.zeros(2), hs.zeros(3)), "Yoshida4", [1.0], first_step=0.1)
    with pytest.raises(TypeError, match="hamiltonian: expected a function"):
        hamiltonian(kinetic, 1.0)
