"""ESDIRK methods of solve_ivp: what their iteration adds to tests/python/test_stiff.py. Steps against SciPy,
derivatives against differences of the same steps, stages that are not found."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_ivp

import hesse as hs

METHODS = ("Kvaerno3", "KenCarp4", "Kvaerno5")
RATES = np.array([0.04, 3e7, 1e4])
WEIGHTS = np.array([1.0, 1e4, 1.0])  # of the size of each species


def robertson(t, y, k):
    a, b, c = k[0] * y[0], k[1] * y[1] ** 2, k[2] * y[1] * y[2]
    return hs.stack([c - a, a - c - b, b])


def solved(k, method, rtol, times):
    return hs.solvers.solve_ivp(
        robertson,
        (0.0, times[-1]),
        hs.array([1.0, 0.0, 0.0], dtype=k.dtype),
        method,
        times,
        args=(k,),
        rtol=rtol,
        atol=1e-2 * rtol / hs.array(WEIGHTS),
    )


def oscillator(t, y, p):
    """Van der Pol's equation, with a forcing."""
    return hs.stack([y[1], p[0] * (1 - y[0] ** 2) * y[1] - p[1] * y[0] + hs.sin(p[2] * t)])


def fixed_steps(p, method="Kvaerno5", dtype=hs.float64):
    """Steps of one size whatever p is, so that differences are those of one function."""
    h = 1 / 64 if method == "Kvaerno3" else 1 / 16
    tolerance = 1e-3 if dtype == hs.float32 else 5e-5 if method == "Kvaerno3" else 1e-5
    y0 = hs.stack([p[0] * 0.2, 0.5 * p[1]])
    sol = hs.solvers.solve_ivp(
        oscillator,
        (0.0, 1.0),
        y0,
        method,
        [0.3, 1.0],
        args=(p,),
        rtol=tolerance,
        atol=tolerance,
        first_step=h,
        max_step=h,
    )
    return sol.y, sol.stats


P = np.array([5.0, 2.0, 3.0])


@pytest.mark.parametrize(("method", "ratio"), [("Kvaerno3", 4.0), ("KenCarp4", 1.0), ("Kvaerno5", 0.6)])
def test_steps_of_robertson_against_radau(method, ratio):
    def f(t, y):
        a, b, c = RATES[0] * y[0], RATES[1] * y[1] ** 2, RATES[2] * y[1] * y[2]
        return [c - a, a - c - b, b]

    rtol, end = 1e-6, 1e4
    steps = (
        len(scipy_ivp(f, (0.0, end), [1.0, 0.0, 0.0], "Radau", rtol=rtol, atol=1e-2 * rtol / WEIGHTS).t) - 1
    )
    exact = scipy_ivp(f, (0.0, end), [1.0, 0.0, 0.0], "Radau", [end], rtol=1e-11, atol=1e-16).y[:, 0]
    sol = solved(hs.array(RATES), method, rtol, np.array([end]))
    assert int(sol.stats["accepted"]) < ratio * steps
    assert int(sol.stats["rejected"]) < 10
    assert np.abs((np.asarray(sol.y[0]) - exact) * WEIGHTS).max() < 3 * rtol


def van_der_pol(t, y, eps=1e-6):
    """In its slow time (Hairer and Wanner II, IV.10): two jumps until 2."""
    return [y[1], ((1 - y[0] ** 2) * y[1] - y[0]) / eps]


@pytest.fixture(scope="module")
def van_der_pol_exact():
    return scipy_ivp(van_der_pol, (0.0, 2.0), [2.0, -0.66], "Radau", [0.5, 2.0], rtol=1e-9, atol=1e-11).y[0]


@pytest.mark.parametrize("method", METHODS)
def test_van_der_pol_with_a_million(method, van_der_pol_exact):
    run = hs.compile(
        lambda y0: (
            hs.solvers.solve_ivp(
                lambda t, y: hs.stack(van_der_pol(t, y)),
                (0.0, 2.0),
                y0,
                method,
                [0.5, 2.0],
                rtol=1e-5,
                atol=1e-5,
            ).y
        )
    )
    y = np.asarray(run(hs.array([2.0, -0.66])))
    assert y[:, 0] == pytest.approx(van_der_pol_exact, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_derivatives_of_the_steps_against_differences(method):
    y, stats = fixed_steps(hs.array(P), method)
    assert int(stats["accepted"]) == (64 if method == "Kvaerno3" else 16)
    assert int(stats["rejected"]) == 0
    run = hs.compile(lambda p: fixed_steps(p, method)[0])
    forward = np.asarray(hs.compile(hs.jacobian(run, mode="forward"))(hs.array(P)))
    reverse = np.asarray(hs.compile(hs.jacobian(run, mode="reverse"))(hs.array(P)))
    assert forward == pytest.approx(reverse, rel=1e-11, abs=1e-12)
    for i in range(3):
        e = 1e-3 * np.eye(3)[i]
        difference = (np.asarray(run(hs.array(P + e))) - np.asarray(run(hs.array(P - e)))) / 2e-3
        # The iteration leaves 1e-3 of the tolerance.
        assert forward[..., i] == pytest.approx(difference, abs=5e-5 if method == "Kvaerno3" else 2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_second_derivatives_of_the_steps(method):
    def value(p):
        return hs.sum(fixed_steps(p, method)[0] ** 2)

    hessian = np.asarray(hs.compile(hs.hessian(value))(hs.array(P)))
    assert hessian == pytest.approx(hessian.T, rel=1e-9, abs=1e-10)
    gradient = hs.compile(hs.grad(value))
    for i in range(3):
        e = 1e-3 * np.eye(3)[i]
        difference = (np.asarray(gradient(hs.array(P + e))) - np.asarray(gradient(hs.array(P - e)))) / 2e-3
        assert hessian[i] == pytest.approx(difference, rel=1e-3, abs=1e-3)


def test_gradients_against_rodas5p():
    times = np.array([1.0, 100.0])

    def gradient(method):
        def loss(log_rates):
            return hs.sum((solved(hs.exp(log_rates), method, 1e-7, times).y * WEIGHTS) ** 2)

        return np.asarray(hs.compile(hs.grad(loss))(hs.array(np.log(RATES))))

    want = gradient("Rodas5P")
    for method in METHODS:
        assert gradient(method) == pytest.approx(want, rel=1e-4), method


@pytest.mark.parametrize("transform", ["eager", "compile"])
def test_examples_iterate_for_themselves(transform):
    p = P * np.exp(np.random.default_rng(0).normal(0, 0.5, (4, 3)))

    def run(q):
        sol = solved_oscillator(q)
        return sol.y, sol.stats["evaluations"], sol.stats["accepted"]

    def solved_oscillator(q):
        return hs.solvers.solve_ivp(
            oscillator, (0.0, 2.0), hs.array([2.0, 0.0]), "Kvaerno5", [2.0], args=(q,), rtol=1e-6, atol=1e-8
        )

    batched = hs.compile(hs.vmap(run)) if transform == "compile" else hs.vmap(run)
    y, evaluations, accepted = batched(hs.array(p))
    assert len(set(np.asarray(evaluations).tolist())) > 1
    for i in range(4):
        one = run(hs.array(p[i]))
        assert int(one[1]) == int(evaluations[i])
        assert int(one[2]) == int(accepted[i])
        assert np.asarray(y[i]) == pytest.approx(np.asarray(one[0]), rel=1e-10)


def test_examples_have_gradients():
    p = P * np.exp(np.random.default_rng(1).normal(0, 0.1, (3, 3)))

    def value(q):
        return hs.sum(fixed_steps(q, "KenCarp4")[0] ** 2)

    batched = np.asarray(hs.compile(hs.vmap(hs.grad(value)))(hs.array(p)))
    for i in range(3):
        assert batched[i] == pytest.approx(np.asarray(hs.grad(value)(hs.array(p[i]))), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_float32(method):
    y, _ = fixed_steps(hs.array(P, dtype=hs.float32), method, hs.float32)
    assert y.dtype == hs.float32
    assert np.asarray(y) == pytest.approx(np.asarray(fixed_steps(hs.array(P), method)[0]), abs=2e-3)
    g = hs.grad(lambda p: hs.sum(fixed_steps(p, method, hs.float32)[0]))(hs.array(P, dtype=hs.float32))
    assert g.dtype == hs.float32


@pytest.mark.parametrize(("method", "gamma"), [("KenCarp4", 0.25), ("Kvaerno5", 0.26)])
def test_a_singular_matrix_rejects_the_step(method, gamma):
    # 1 - h gamma J = 0 in the first step, of h = 1 / gamma.
    def last(rate):
        sol = hs.solvers.solve_ivp(
            lambda t, y: rate * y, (0.0, 5.0), 1.0, method, [5.0], rtol=1e-8, first_step=1 / gamma
        )
        return sol.y[0], sol.stats["rejected"]

    y, rejected = last(1.0)
    assert int(rejected) >= 1
    assert float(y) == pytest.approx(np.exp(5.0), rel=1e-5)
    assert float(hs.grad(lambda r: last(r)[0])(1.0)) == pytest.approx(5 * np.exp(5.0), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_stages_that_are_not_found_reject_the_step(method):
    # y = -log(exp(-30 y0) - 30 t) / 30: infinite soon after t = 1. Stages of long steps have no solution.
    def last(y0, first_step):
        sol = hs.solvers.solve_ivp(
            lambda t, y: hs.exp(30 * y),
            (0.0, 1.0),
            y0,
            method,
            [1.0],
            rtol=1e-7,
            atol=1e-9,
            first_step=first_step,
        )
        return sol.y[0], sol.stats["rejected"]

    def exact(y0):
        return -np.log(np.exp(-30 * y0) - 30) / 30

    y, rejected = last(-0.115, 1.0)
    assert int(rejected) >= 1
    assert float(y) == pytest.approx(exact(-0.115), abs=1e-5)
    slope = float(hs.compile(hs.grad(lambda z: last(z, 1.0)[0]))(-0.115))
    assert slope == pytest.approx((exact(-0.115 + 1e-6) - exact(-0.115 - 1e-6)) / 2e-6, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_singular_solution_is_reported(method):
    # y = 1 / (1 - t)
    with pytest.raises(
        FloatingPointError, match=r"(the step became smaller|f gives NaN).*\(t = (1|1\.000\d*|0\.999\d*), "
    ):
        hs.solvers.solve_ivp(lambda t, y: y * y, (0.0, 2.0), 1.0, method, [2.0], rtol=1e-4)


def test_f_that_is_not_defined_everywhere():
    # Stages beyond y = 0 are NaN there: smaller steps, and gradients that are finite.
    def last(rate):
        sol = hs.solvers.solve_ivp(
            lambda t, y: -rate * hs.sqrt(y), (0.0, 1.9), 1.0, "Kvaerno5", [1.9], rtol=1e-7, first_step=1.9
        )
        return sol.y[0]

    assert float(last(1.0)) == pytest.approx(0.05**2, abs=1e-6)
    assert float(hs.grad(last)(1.0)) == pytest.approx(-2 * 0.05 * 0.95, abs=1e-5)


def test_states_without_entries():
    y = hs.solvers.solve_ivp(lambda t, y: -y, (0.0, 1.0), hs.zeros(0), "KenCarp4", [0.5, 1.0]).y
    assert y.shape == (2, 0)
