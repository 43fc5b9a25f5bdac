"""Rosenbrock and ESDIRK methods of solve_ivp: stiff problems against SciPy and exact solutions, and their derivatives."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_ivp

import hesse as hs

ESDIRK = ("Kvaerno3", "KenCarp4", "Kvaerno5")
METHODS = ("Rodas4", "Rodas5P", *ESDIRK)
TIMES = np.geomspace(1e-2, 1e4, 7)
RATES = np.array([0.04, 3e7, 1e4])
WEIGHTS = np.array([1.0, 1e4, 1.0])  # of the size of each species


def robertson(t, y, k):
    a, b, c = k[0] * y[0], k[1] * y[1] ** 2, k[2] * y[1] * y[2]
    return hs.stack([c - a, a - c - b, b])


def solved(k, rtol=1e-8, method="Rodas5P", times=TIMES, f=robertson):
    atol = 1e-2 * rtol / hs.array(WEIGHTS)
    return hs.solvers.solve_ivp(
        f, (0.0, times[-1]), hs.array([1.0, 0.0, 0.0]), method, times, args=(k,), rtol=rtol, atol=atol
    )


def loss(log_rates, rtol=1e-8):
    y = solved(hs.exp(log_rates), rtol).y
    return hs.sum((y * WEIGHTS) ** 2)


@pytest.fixture(scope="module")
def reference():
    def f(t, y):
        a, b, c = RATES[0] * y[0], RATES[1] * y[1] ** 2, RATES[2] * y[1] * y[2]
        return [c - a, a - c - b, b]

    sol = scipy_ivp(f, (0.0, TIMES[-1]), [1.0, 0.0, 0.0], "Radau", TIMES, rtol=1e-11, atol=1e-16)
    return sol.y.T * WEIGHTS


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rtol", [1e-4, 1e-7])
def test_robertson(method, rtol, reference):
    sol = solved(hs.array(RATES), rtol, method)
    # Within the steps of Kvaerno5, long as they are, the fast species is less accurate.
    worst = 40 if method == "Kvaerno5" else 20
    assert np.abs(np.asarray(sol.y) * WEIGHTS - reference).max() < worst * rtol
    assert int(sol.stats["factorisations"]) == int(sol.stats["accepted"] + sol.stats["rejected"])
    most = {"Kvaerno3": (150, 1300)}.get(method, (100, 500))
    assert int(sol.stats["accepted"]) < most[0 if rtol == 1e-4 else 1]


def test_gradient_of_rates_against_differences():
    x = np.log(RATES)
    gradient = np.asarray(hs.compile(hs.grad(loss))(hs.array(x)))
    f = hs.compile(lambda z: loss(z, 1e-11))
    for i in range(3):
        e = np.zeros(3)
        e[i] = 1e-3
        difference = float(f(hs.array(x + e)) - f(hs.array(x - e))) / 2e-3
        assert gradient[i] == pytest.approx(difference, rel=1e-5, abs=1e-8)


def test_forward_and_reverse_agree():
    x = hs.array(np.log(RATES))
    run = hs.compile(lambda z, dz: hs.jvp(loss, (z,), (dz,))[1])
    gradient = np.asarray(hs.compile(hs.grad(loss))(x))
    for i, e in enumerate(np.eye(3)):
        assert float(run(x, hs.array(e))) == pytest.approx(gradient[i], rel=1e-9)


def test_second_derivatives_against_differences_of_gradients():
    def short(x):
        y = solved(hs.exp(x), 1e-6, times=np.array([0.5, 10.0])).y
        return hs.sum((y * WEIGHTS) ** 2)

    x = np.log(RATES)
    hessian = np.asarray(hs.compile(hs.hessian(short))(hs.array(x)))
    gradient = hs.compile(hs.grad(short))
    assert np.allclose(hessian, hessian.T, rtol=1e-9, atol=1e-12)
    for i in range(3):
        e = np.zeros(3)
        e[i] = 1e-5
        difference = (np.asarray(gradient(hs.array(x + e))) - np.asarray(gradient(hs.array(x - e)))) / 2e-5
        assert hessian[i] == pytest.approx(difference, rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("transform", ["eager", "compile"])
def test_examples_have_their_own_steps(transform):
    rates = np.exp(np.log(RATES) + np.random.default_rng(0).normal(0, 0.5, (5, 3)))

    def last(k):
        sol = solved(k, 1e-6)
        return sol.y, sol.stats["accepted"]

    batched = hs.vmap(last)
    if transform == "compile":
        batched = hs.compile(batched)
    y, accepted = batched(hs.array(rates))
    assert len(set(np.asarray(accepted).tolist())) > 1
    for i in range(5):
        one, n = last(hs.array(rates[i]))
        assert int(n) == int(accepted[i])
        assert np.allclose(np.asarray(y[i]) * WEIGHTS, np.asarray(one) * WEIGHTS, rtol=1e-9, atol=1e-12)


def test_examples_have_gradients():
    x = np.log(RATES) + np.random.default_rng(1).normal(0, 0.3, (3, 3))
    batched = np.asarray(hs.compile(hs.vmap(hs.grad(loss)))(hs.array(x)))
    one = hs.compile(hs.grad(loss))
    for i in range(3):
        assert np.allclose(batched[i], np.asarray(one(hs.array(x[i]))), rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_time_is_an_argument_of_f(method):
    # y' = -50 (y - cos t): a fast decay to a forced oscillation (Hairer and Wanner II, IV.1).
    def f(t, y, rate):
        return -rate * (y - hs.cos(t))

    def exact(t, r=50.0):
        return r / (1 + r * r) * (r * np.cos(t) + np.sin(t) - r * np.exp(-r * t))

    times = np.array([0.1, 0.7, 3.0])

    def at(t, rate):
        return hs.solvers.solve_ivp(f, (0.0, 3.0), 0.0, method, t, args=(rate,), rtol=1e-9, atol=1e-11).y

    assert np.asarray(at(hs.array(times), 50.0)) == pytest.approx(exact(times), abs=1e-7)
    by_rate = np.asarray(hs.jacobian(lambda r: at(hs.array(times), r))(50.0))
    assert by_rate == pytest.approx((exact(times, 50.01) - exact(times, 49.99)) / 0.02, abs=1e-6)
    by_time = np.diag(np.asarray(hs.jacobian(lambda t: at(t, 50.0))(hs.array(times))))
    assert by_time == pytest.approx((exact(times + 1e-5) - exact(times - 1e-5)) / 2e-5, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_ends_of_the_span_have_derivatives(method):
    def last(t0, t1):
        sol = hs.solvers.solve_ivp(
            lambda t, y: -y * y, (t0, t1), 1.0, method, hs.stack([t1]), rtol=1e-10, atol=1e-12
        )
        return sol.y[0]

    # y = 1 / (1 + t1 - t0)
    by_t0, by_t1 = hs.grad(last, (0, 1))(0.0, 1.0)
    assert float(by_t0) == pytest.approx(0.25, abs=1e-7)
    assert float(by_t1) == pytest.approx(-0.25, abs=1e-7)
    start = hs.grad(
        lambda t: hs.solvers.solve_ivp(lambda s, y: -y * y, (0.0, 1.0), 2.0, method, hs.stack([t])).y[0]
    )
    assert float(start(0.0)) == pytest.approx(-4.0)


def test_trees_backwards_and_all_steps():
    def f(t, y):
        return {"fast": -1e3 * (y["fast"] - y["slow"]), "slow": -y["slow"]}

    y0 = {"fast": hs.array([1.0, 3.0]), "slow": hs.array([1.0, 2.0])}
    sol = hs.solvers.solve_ivp(f, (0.0, 2.0), y0, "Rodas5P", rtol=1e-8, atol=1e-10)
    t = np.asarray(sol.t)
    assert len(t) == int(sol.stats["accepted"]) + 1
    assert np.asarray(sol.y["slow"])[:, 1] == pytest.approx(2 * np.exp(-t), abs=1e-6)
    back = hs.solvers.solve_ivp(
        lambda t, y: -y, (1.0, 0.0), 1.0, "Rodas5P", [0.5, 0.0], rtol=1e-9, atol=1e-12
    )
    assert np.asarray(back.y) == pytest.approx(np.exp([0.5, 1.0]), abs=1e-7)


def test_a_large_state_uses_columns_of_a_map():
    # The heat equation on 40 points: exact in its eigenvectors.
    n = 40
    x = np.linspace(0, np.pi, n + 2)[1:-1]
    h = x[1] - x[0]

    def f(t, y):
        padded = hs.concatenate([hs.zeros(1), y, hs.zeros(1)])
        return (padded[2:] - 2 * y + padded[:-2]) / h**2

    rate = (2 - 2 * np.cos(h)) / h**2
    y = hs.solvers.solve_ivp(f, (0.0, 1.0), hs.array(np.sin(x)), "Rodas5P", [1.0], rtol=1e-8, atol=1e-10).y
    assert np.asarray(y[0]) == pytest.approx(np.exp(-rate) * np.sin(x), abs=1e-7)


def test_float32():
    y0 = hs.array([1.0, 0.0, 0.0], dtype=hs.float32)
    k = hs.array(RATES, dtype=hs.float32)
    sol = hs.solvers.solve_ivp(
        robertson, (0.0, 1.0), y0, "Rodas5P", [1.0], args=(k,), rtol=1e-4, atol=1e-4 / hs.array(WEIGHTS)
    )
    assert sol.y.dtype == hs.float32
    y = np.asarray(solved(hs.array(RATES), 1e-9, times=np.array([1.0])).y[0])
    assert np.asarray(sol.y[0]) * WEIGHTS == pytest.approx(y * WEIGHTS, abs=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_complex_states_are_refused(method):
    with pytest.raises(TypeError, match=rf"array 0 of y0 is complex.*{method} takes real states"):
        hs.solvers.solve_ivp(lambda t, y: 1j * y, (0.0, 1.0), 1.0 + 0.0j, method)


@pytest.mark.parametrize("method", METHODS)
def test_nan_is_reported(method):
    with pytest.raises(FloatingPointError, match="f gives NaN"):
        hs.solvers.solve_ivp(lambda t, y: hs.log(0.5 - t) * y, (0.0, 1.0), 1.0, method)


def test_unknown_methods_name_the_known():
    with pytest.raises(ValueError, match="no method is called 'Rodas'.*Tsit5.*Rodas5P"):
        hs.solvers.solve_ivp(lambda t, y: -y, (0.0, 1.0), 1.0, "Rodas")
