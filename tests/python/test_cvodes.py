"""solve_ivp with CVODES (BDF, Adams): values, derivatives of any order, transformations, failures, leaks."""

import _thread
import signal
import threading

import numpy as np
import pytest
from ivp_programs import ALL, oscillator, outcome

import hesse as hs
from hesse import _hesse
from hesse.solvers import solve_ivp

METHODS = ["BDF", "Adams"]
live = _hesse.solvers.live_sundials_objects

if not _hesse.solvers.has_cvode():
    pytest.skip("this build has no SUNDIALS", allow_module_level=True)


@pytest.fixture(autouse=True)
def no_leaks():
    yield
    assert live() == 0


def robertson(t, y, k):
    a, b, c = k[0] * y[0], k[1] * y[1] * y[2], k[2] * y[1] * y[1]
    return hs.stack([b - a, a - b - c, c])


RATES = np.array([0.04, 1e4, 3e7])


def robertson_numpy(t, z):
    """With dy/dlog k behind y."""
    y, s = z[:3], z[3:].reshape(3, 3)
    a, b, c = RATES[0] * y[0], RATES[1] * y[1] * y[2], RATES[2] * y[1] ** 2
    j = np.array(
        [
            [-RATES[0], RATES[1] * y[2], RATES[1] * y[1]],
            [RATES[0], -RATES[1] * y[2] - 2 * RATES[2] * y[1], -RATES[1] * y[1]],
            [0, 2 * RATES[2] * y[1], 0],
        ]
    )
    p = np.array([[-a, b, 0], [a, -b, -c], [0, 0, c]])
    return np.concatenate([[b - a, a - b - c, c], (j @ s + p).ravel()])


TIMES = np.array([1e-1, 1e1, 1e3, 1e5])


@pytest.fixture(scope="module")
def reference():
    scipy = pytest.importorskip("scipy.integrate")
    start = np.concatenate([[1.0, 0, 0], np.zeros(9)])
    z = scipy.solve_ivp(robertson_numpy, (0, 1e5), start, "Radau", TIMES, rtol=1e-10, atol=1e-14).y.T
    return z[:, :3], z[:, 3:].reshape(-1, 3, 3)


Y0, P, TS = ALL[:2], ALL[2:4], ALL[5:]


def closely(z, method):
    return outcome(z, method, rtol=1e-10)


# values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("linear_solver", ["dense", "krylov"])
@pytest.mark.parametrize("rtol", [1e-4, 1e-7])
def test_robertson(reference, linear_solver, rtol):
    sol = solve_ivp(
        robertson,
        (0, 1e5),
        hs.array([1.0, 0, 0]),
        "BDF",
        TIMES,
        args=(RATES,),
        rtol=rtol,
        atol=rtol * 1e-4,
        linear_solver=linear_solver,
    )
    assert sol.success and int(sol.stats["accepted"]) < 1000
    np.testing.assert_allclose(np.asarray(sol.y), reference[0], rtol=20 * rtol)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("span", [(0.5, 3.0), (3.0, 0.5)])
def test_exact_solution(method, span):
    times = np.linspace(*span, 7)
    sol = solve_ivp(lambda t, y: hs.cos(t) * y, span, 2.0, method, times, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        np.asarray(sol.y), 2 * np.exp(np.sin(times) - np.sin(span[0])), rtol=1e-7, atol=0
    )
    assert float(sol.y[0]) == 2.0 and float(sol.stats["t_last"]) == span[1]
    again = solve_ivp(lambda t, y: hs.cos(t) * y, span, 2.0, method, times, rtol=1e-9, atol=1e-9)
    assert np.array_equal(np.asarray(sol.y), np.asarray(again.y))


@pytest.mark.parametrize("method", METHODS)
def test_every_step_without_times(method):
    sol = solve_ivp(lambda t, y: -y * y, (0.0, 2.0), 1.0, method, rtol=1e-8, atol=1e-9)
    t = np.asarray(sol.t)
    assert len(t) == int(sol.stats["accepted"]) + 1 and t[0] == 0 and t[-1] == 2 and (np.diff(t) > 0).all()
    np.testing.assert_allclose(np.asarray(sol.y), 1 / (1 + t), rtol=1e-6)


def test_trees_and_dtypes():
    def field(t, y):
        assert y["a"].dtype == hs.float32 and y["b"][0].dtype == hs.float64
        return {
            "a": -y["a"] * hs.astype(y["b"][1], hs.float32),
            "b": (hs.sum(y["a"]) + 0 * y["b"][0], hs.array(0.0)),
        }

    y0 = {"a": hs.ones((2, 1), dtype=hs.float32), "b": (hs.zeros(3), hs.array(0.5))}
    y = solve_ivp(field, (0, 1), y0, "BDF", [0.0, 1.0], rtol=1e-5, atol=1e-6).y
    assert y["a"].shape == (2, 2, 1) and y["a"].dtype == hs.float32
    np.testing.assert_allclose(np.asarray(y["a"])[1, :, 0], np.exp(-0.5), rtol=1e-4)
    np.testing.assert_allclose(np.asarray(y["b"][0])[1], 4 * (1 - np.exp(-0.5)), rtol=1e-4)


def test_steps_obey_their_options():
    def solve(**options):
        return solve_ivp(oscillator, (0, 3), Y0, "BDF", args=(P,), **options)

    assert np.diff(np.asarray(solve(max_step=0.1).t)).max() <= 0.1 + 1e-12
    assert np.asarray(solve(first_step=1e-5).t)[1] == pytest.approx(1e-5)
    few, many = (int(solve(rtol=r).stats["accepted"]) for r in (1e-3, 1e-8))
    assert few < many


def test_large_states_use_products():
    n = 600

    def heat(t, u):
        left, right = hs.roll(u, 1), hs.roll(u, -1)
        return 50.0 * (left - 2 * u + right)

    x = np.arange(n) / n
    u0 = np.sin(2 * np.pi * x)
    rate = 50.0 * 2 * (1 - np.cos(2 * np.pi / n))
    sol = solve_ivp(heat, (0, 4.0), u0, "BDF", [4.0], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(np.asarray(sol.y)[0], u0 * np.exp(-4 * rate), atol=1e-6)
    _, pull = hs.vjp(lambda u: solve_ivp(heat, (0, 4.0), u, "BDF", [4.0], rtol=1e-7, atol=1e-9).y[0], u0)
    (g,) = pull(u0)
    np.testing.assert_allclose(np.asarray(g), u0 * np.exp(-4 * rate), atol=1e-5)


def test_differences_where_there_is_no_derivative():
    def foreign(t, y):
        return hs.callback(lambda t, y: -50 * (np.asarray(y) - np.cos(np.asarray(t))), y, t, y)

    def field(t, y):
        return -50 * (y - hs.cos(t))

    ours, theirs = (
        solve_ivp(f, (0, 2), hs.ones(2), "BDF", [2.0], rtol=1e-7, atol=1e-8) for f in (field, foreign)
    )
    np.testing.assert_allclose(np.asarray(ours.y), np.asarray(theirs.y), rtol=1e-6)
    with pytest.raises(TypeError, match="foreign code has no derivative"):
        hs.grad(lambda y: hs.sum(solve_ivp(foreign, (0, 2), y, "BDF", [2.0]).y))(hs.ones(2))


# derivatives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rtol", [1e-5, 1e-8])
def test_robertson_gradients(reference, rtol):
    weights = np.array([1.0, 1e4, 1.0])

    def loss(log_k):
        y = solve_ivp(
            robertson,
            (0, 1e5),
            hs.array([1.0, 0, 0]),
            "BDF",
            TIMES,
            args=(hs.exp(log_k),),
            rtol=rtol,
            atol=rtol * 1e-4,
        ).y
        return hs.sum(weights * y)

    expected = np.einsum("tij,i->j", reference[1], weights)
    log_k = np.log(RATES)
    np.testing.assert_allclose(np.asarray(hs.grad(loss)(log_k)), expected, rtol=200 * rtol)
    forward = [float(hs.jvp(loss, (log_k,), (e,))[1]) for e in np.eye(3)]
    np.testing.assert_allclose(forward, expected, rtol=100 * rtol)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_agree_with_those_of_steps(method):
    ours, theirs = (np.asarray(hs.grad(closely)(ALL, m)) for m in (method, "Tsit5"))
    np.testing.assert_allclose(ours, theirs, atol=3e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("linear_solver", ["dense", "krylov"])
def test_forward_against_differences_and_reverse(method, linear_solver):
    rng = np.random.default_rng(2)
    u = rng.normal(size=ALL.shape)

    def solution(z):
        return solve_ivp(
            oscillator,
            (z[4], 3.0),
            z[:2],
            method,
            z[5:],
            args=(z[2:4],),
            rtol=1e-9,
            atol=1e-9,
            linear_solver=linear_solver,
        ).y

    _, tangent = hs.jvp(solution, (ALL,), (u,))
    h = 1e-4
    difference = (np.asarray(solution(ALL + h * u)) - np.asarray(solution(ALL - h * u))) / (2 * h)
    np.testing.assert_allclose(np.asarray(tangent), difference, atol=1e-5)
    _, pull = hs.vjp(solution, ALL)
    v = rng.normal(size=(3, 2))
    (g,) = pull(v)
    assert np.sum(v * np.asarray(tangent)) == pytest.approx(
        np.sum(np.asarray(g) * u), rel=2e-7
    )  # some 100 rtol


@pytest.mark.parametrize("method", METHODS)
def test_second_derivatives_in_all_modes(method):
    """Of y0 exp(-k (t1 - t0)) with respect to all of (y0, k, t0, t1)."""

    def last(z):
        return solve_ivp(
            lambda t, y: -z[1] * y, (z[2], 5.0), z[0], method, hs.reshape(z[3], (1,)), rtol=1e-10, atol=1e-10
        ).y[0]

    z = np.array([1.5, 0.7, 0.2, 1.3])

    def exact(z):
        return z[0] * hs.exp(-z[1] * (z[3] - z[2]))

    expected = np.asarray(hs.hessian(exact)(z))
    np.testing.assert_allclose(np.asarray(hs.grad(last)(z)), np.asarray(hs.grad(exact)(z)), atol=2e-8)
    for mode in ("forward", "reverse"):
        for inner in ("forward", "reverse"):
            second = hs.jacobian(hs.jacobian(last, mode=inner), mode=mode)(z)
            np.testing.assert_allclose(np.asarray(second), expected, atol=5e-8, err_msg=f"{mode} {inner}")
    third = hs.grad(lambda z: hs.sum(hs.grad(lambda z: hs.sum(hs.grad(last)(z)))(z)))(z)
    np.testing.assert_allclose(
        np.asarray(third),
        np.asarray(hs.grad(lambda z: hs.sum(hs.grad(lambda z: hs.sum(hs.grad(exact)(z)))(z)))(z)),
        atol=1e-6,
    )


def test_hessian_agrees_with_differences_of_gradients():
    hessian = np.asarray(hs.hessian(closely)(ALL, "BDF"))
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-7)
    g, h = hs.grad(closely), 1e-4
    for i, e in enumerate(np.eye(len(ALL))):
        d = (np.asarray(g(ALL + h * e, "BDF")) - np.asarray(g(ALL - h * e, "BDF"))) / (2 * h)
        np.testing.assert_allclose(hessian[i], d, atol=1e-4)


def test_gradients_scale_with_their_cotangents():
    (g,) = hs.vjp(lambda z: outcome(z, "BDF", rtol=1e-8), ALL)[1](1.0)
    for scale in (1e-30, 1e20):
        (scaled,) = hs.vjp(lambda z: outcome(z, "BDF", rtol=1e-8), ALL)[1](scale)
        np.testing.assert_allclose(np.asarray(scaled) / scale, np.asarray(g), rtol=1e-6, atol=1e-7)
        _, t = hs.jvp(lambda z: outcome(z, "BDF", rtol=1e-8), (ALL,), (scale * np.ones(8),))
        assert float(t) / scale == pytest.approx(float(hs.sum(g)), rel=1e-5)


def test_derivatives_of_every_step():
    def last(k, t0, t1):
        return solve_ivp(lambda t, y: -k * y, (t0, t1), 2.0, "BDF", rtol=1e-9, atol=1e-9).y[-1]

    g = hs.grad(last, (0, 1, 2))(1.5, 0.0, 1.0)
    e = 2 * np.exp(-1.5)
    np.testing.assert_allclose([float(x) for x in g], [-e, 1.5 * e, -1.5 * e], atol=1e-6)


def test_dtypes_of_parameters():
    def last(k, n=2):
        decay = hs.real(k * hs.conj(k)) if k.dtype in (hs.complex128, hs.complex64) else k
        y0 = hs.array(1.0, dtype=hs.float32 if k.dtype == hs.float32 else hs.float64)
        counts = hs.arange(n)
        return solve_ivp(
            lambda t, y: -decay * y * counts[1], (0, 1), y0, "BDF", [1.0], rtol=1e-6, atol=1e-8
        ).y[0]

    single = hs.grad(last)(hs.array(2.0, dtype=hs.float32))
    assert single.dtype == hs.float32 and float(single) == pytest.approx(-np.exp(-2), rel=1e-4)
    g = hs.grad(last)(hs.array(1 + 2j))
    assert complex(g) == pytest.approx(-2 * (1 - 2j) * np.exp(-5), rel=1e-4)


def test_no_cotangent_no_solve():
    """A gradient that is zero, and times whose cotangents are zero."""
    y, pull = hs.vjp(lambda y0: solve_ivp(oscillator, (0, 3), y0, "BDF", TS, args=(P,), rtol=1e-8).y, Y0)
    assert np.array_equal(np.asarray(pull(np.zeros((3, 2)))[0]), np.zeros(2))
    c = np.zeros((3, 2))
    c[1] = [1.0, -2.0]
    (g,) = pull(c)
    one = hs.vjp(lambda y0: solve_ivp(oscillator, (0, 3), y0, "BDF", TS[1:2], args=(P,), rtol=1e-8).y, Y0)[1]
    np.testing.assert_allclose(np.asarray(g), np.asarray(one(c[1:2])[0]), rtol=1e-6)
    assert np.isnan(np.asarray(pull(np.full((3, 2), np.nan))[0])).all()


# transformations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_vmap_against_a_loop(method):
    rng = np.random.default_rng(3)
    z = ALL + 0.05 * rng.normal(size=(5, len(ALL)))
    f = hs.value_and_grad(lambda z: outcome(z, method, rtol=1e-7))
    values, gradients = hs.vmap(f)(z)
    for i in range(5):
        value, gradient = f(z[i])
        assert float(values[i]) == pytest.approx(float(value), rel=1e-9)
        np.testing.assert_allclose(np.asarray(gradients[i]), np.asarray(gradient), rtol=1e-5, atol=1e-7)

    def total(p):
        def one(y0):
            return solve_ivp(oscillator, (0, 3.0), y0, method, TS, args=(p,), rtol=1e-8, atol=1e-8).y

        return hs.sum(hs.vmap(one)(z[:, :2]))

    loop = sum(
        np.asarray(
            hs.grad(
                lambda p, i=i: hs.sum(
                    solve_ivp(oscillator, (0, 3.0), z[i, :2], method, TS, args=(p,), rtol=1e-8, atol=1e-8).y
                )
            )(P)
        )
        for i in range(5)
    )
    np.testing.assert_allclose(np.asarray(hs.grad(total)(P)), loop, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_compiled_against_eager(method):
    f = hs.value_and_grad(lambda z: outcome(z, method, rtol=1e-8))
    compiled = hs.compile(f)
    for shift in (0.0, 0.1):
        value, gradient = f(ALL + shift)
        value_c, gradient_c = compiled(ALL + shift)
        assert float(value_c) == pytest.approx(float(value), rel=1e-9)
        np.testing.assert_allclose(np.asarray(gradient_c), np.asarray(gradient), rtol=1e-6, atol=1e-8)
        again = compiled(ALL + shift)
        assert np.array_equal(np.asarray(again[1]), np.asarray(gradient_c))


def test_inside_loops_and_branches():
    def advance(y, _):
        y = solve_ivp(lambda t, y: -y, (0.0, 0.5), y, "BDF", [0.5], rtol=1e-9, atol=1e-9).y[0]
        return y, y

    def last(y):
        return hs.scan(advance, y, hs.arange(4))[0]

    assert float(last(hs.array(1.0))) == pytest.approx(np.exp(-2), rel=1e-7)
    assert float(hs.grad(last)(hs.array(1.0))) == pytest.approx(np.exp(-2), rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_saved_programs(method, tmp_path):
    f = hs.value_and_grad(lambda z: outcome(z, method, rtol=1e-8))
    hs.save_program(tmp_path / "f.hesse", f, ALL)
    value, gradient = hs.load_program(tmp_path / "f.hesse")(ALL + 0.1)
    expected, slope = hs.compile(f)(ALL + 0.1)
    assert float(value) == float(expected)
    assert np.array_equal(np.asarray(gradient), np.asarray(slope))


def test_prints_of_f_happen_in_the_solve_alone(capfd):
    def field(t, y):
        hs.debug.print("at {}", t)
        return -y

    loss = lambda y: hs.sum(solve_ivp(field, (0, 1), y, "BDF", [1.0]).y)
    loss(hs.ones(1))
    once = capfd.readouterr().out.count("at ")
    hs.grad(loss)(hs.ones(1))
    assert once > 3 and capfd.readouterr().out.count("at ") == once


# failures -----------------------------------------------------------------------------------------------------------


class Boom(Exception):
    pass


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("times", [None, [0.2, 1.0]])
def test_exceptions_of_f_reach_the_caller(method, times):
    boom = Boom("at the time")

    def foreign(t, y):
        if float(t) > 0.5:
            raise boom
        return -np.asarray(y)

    def field(t, y):
        return hs.callback(foreign, y, t, y)

    with pytest.raises(Boom) as caught:
        solve_ivp(field, (0, 1), hs.ones(2), method, times)
    assert caught.value is boom
    assert live() == 0


@pytest.mark.parametrize("method", METHODS)
def test_exceptions_of_a_backward_function_reach_the_caller(method):
    boom = Boom("backwards")

    def pull(c):
        raise boom

    def field(t, y):
        @hs.custom_vjp
        def rate(y):
            return -y

        def backward(y, c):
            return (hs.callback(lambda c: pull(c), c, c),)

        rate.defvjp(lambda y: (-y, y), backward)
        return rate(y)

    def loss(y0):
        return hs.sum(solve_ivp(field, (0, 1), y0, method, [1.0], linear_solver="krylov").y)

    with pytest.raises(Boom) as caught:
        hs.grad(loss)(hs.ones(2))
    assert caught.value is boom
    assert live() == 0


def test_ctrl_c():
    # A shell starts what it runs in the background without Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer = threading.Timer(0.3, _thread.interrupt_main)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            solve_ivp(lambda t, y: -y, (0, 1e9), hs.ones(2), "BDF", [1e9], max_step=1e-3, max_steps=10**9)
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert live() == 0


@pytest.mark.parametrize("method", METHODS)
def test_what_was_computed_is_kept(method):
    def blows_up(t, y):
        return y * y

    with pytest.raises(FloatingPointError, match=r"step became smaller.*t = (1|0\.99)"):
        solve_ivp(blows_up, (0, 2), 1.0, method, [0.5, 2.0], rtol=1e-8, atol=1e-10)
    sol = solve_ivp(blows_up, (0, 2), 1.0, method, [0.5, 2.0], rtol=1e-8, atol=1e-10, raise_on_failure=False)
    assert int(sol.status) == 2 and not sol.success
    y = np.asarray(sol.y)
    assert y[0] == pytest.approx(2.0, rel=1e-6) and np.isnan(y[1])
    assert float(sol.stats["t_last"]) == pytest.approx(1.0, rel=1e-3)
    steps = solve_ivp(blows_up, (0, 2), 1.0, method, rtol=1e-8, raise_on_failure=False)
    assert int(steps.status) == 2 and np.isfinite(np.asarray(steps.y)).all()
    g = hs.grad(
        lambda y0: solve_ivp(
            blows_up, (0, 2), y0, method, [0.5, 2.0], rtol=1e-8, atol=1e-10, raise_on_failure=False
        ).y[1]
    )(1.0)
    assert np.isnan(float(g))


@pytest.mark.parametrize("method", METHODS)
def test_adjoints_say_where_they_gave_up(method):
    """At rest forwards, which takes few steps; the adjoint state oscillates, and its solution comes as far as t = 77 to 83."""

    def last(y0):
        f = lambda t, y: hs.stack([y[1], -y[0]])
        return solve_ivp(f, (0, 100), y0, method, [100.0], rtol=1e-6, atol=1e-8, max_steps=200).y[0, 0]

    with pytest.raises(
        FloatingPointError, match=r"the adjoint: max_steps attempts.*\(t = [6-9]\d\.\d+, step 0"
    ):
        hs.grad(last)(np.zeros(2))


@pytest.mark.parametrize("method", METHODS)
def test_statuses(method):
    def field(t, y):
        return (hs.ones(2) * y[0], hs.where(t > 1.0, np.nan, 1.0) * hs.ones(3))

    y0 = (hs.ones(2), hs.zeros(3))
    with pytest.raises(FloatingPointError, match=r"NaN or infinity.*t = 1.*y\[1\]\[0\] is not finite"):
        solve_ivp(field, (0, 2), y0, method, [0.5, 2.0])
    assert int(solve_ivp(field, (0, 2), y0, method, [0.5, 2.0], raise_on_failure=False).status) == 3
    sol = solve_ivp(oscillator, (0, 3), Y0, method, TS, args=(P,), max_steps=9, raise_on_failure=False)
    assert int(sol.status) == 1 and int(sol.stats["accepted"]) + int(sol.stats["rejected"]) >= 9
    with pytest.raises(FloatingPointError, match="max_steps attempts"):
        solve_ivp(oscillator, (0, 3), Y0, method, TS, args=(P,), max_steps=9)
    with pytest.raises(FloatingPointError, match="NaN or infinity"):
        solve_ivp(oscillator, (0, 3), np.array([1.0, np.nan]), method, TS, args=(P,))
    # what only a program can see
    f = hs.compile(
        lambda ts, rtol: solve_ivp(
            oscillator, (0, 3), Y0, method, ts, args=(P,), rtol=rtol, raise_on_failure=False
        )
    )
    assert int(f(TS, 1e-3).status) == 0
    assert int(f(TS[::-1].copy(), 1e-3).status) == 4
    assert int(f(TS, -1.0).status) == 5 and np.isnan(np.asarray(f(TS, -1.0).y)).all()


def test_failures_of_equations_in_f_are_those_of_a_trial():
    def field(t, y):
        return -hs.linalg.cholesky((2.0 - t) * hs.eye(2)) @ y

    assert solve_ivp(field, (0, 1), hs.ones(2), "BDF", [1.0]).success
    with pytest.raises(FloatingPointError, match="t = 2.*not positive definite"):
        solve_ivp(field, (0, 3), hs.ones(2), "BDF", [3.0])


def test_failing_example_is_named():
    with pytest.raises(FloatingPointError, match="example 1"):
        hs.vmap(lambda y0: solve_ivp(lambda t, y: y * y, (0, 2), y0, "BDF", [2.0]).y)(
            np.array([0.1, 1.0, 0.2])
        )


def test_edges():
    def field(t, y):
        return -y

    assert solve_ivp(field, (0, 1), 1.0, "BDF", hs.zeros(0)).y.shape == (0,)
    assert solve_ivp(field, (0, 1), hs.zeros((0, 2)), "BDF", [0.5, 1.0]).y.shape == (2, 0, 2)
    assert np.array_equal(np.asarray(solve_ivp(field, (1, 1), 2.0, "BDF").y), [2.0])
    tiny = 1 + 4e-16
    assert float(solve_ivp(field, (1, tiny), 2.0, "BDF", [tiny]).y[0]) == 2.0
    g = hs.grad(lambda y: hs.sum(solve_ivp(field, (1, tiny), y, "BDF", [1.0, tiny]).y))(2.0)
    assert float(g) == 2.0
    zero = solve_ivp(lambda t, y: hs.stack([1 - y[0], 0 * y[1]]), (0, 1), hs.zeros(2), "BDF", [1.0], atol=0)
    np.testing.assert_allclose(np.asarray(zero.y)[0], [1 - np.exp(-1), 0], rtol=1e-2)


def test_refusals():
    def field(t, y):
        return -y

    with pytest.raises(TypeError, match=r"array 0 of y0 is complex128\[\]; BDF solves real states"):
        solve_ivp(field, (0, 1), 1j, "BDF")
    with pytest.raises(
        ValueError, match="linear_solver is 'lu', expected auto, dense, banded, klu, krylov or ilu"
    ):
        solve_ivp(field, (0, 1), 1.0, "BDF", linear_solver="lu")
    with pytest.raises(TypeError, match="linear_solver is 3"):
        solve_ivp(field, (0, 1), 1.0, "BDF", linear_solver=3)
    with pytest.raises(ValueError, match="t_eval must ascend"):
        solve_ivp(field, (0, 1), 1.0, "BDF", [0.5, 0.2])
    with pytest.raises(ValueError, match=r"t_eval has shape \(1, 2\)"):
        solve_ivp(field, (0, 1), 1.0, "BDF", [[0.2, 0.5]])
    with pytest.raises(TypeError, match="t_eval has dtype complex128"):
        solve_ivp(field, (0, 1), 1.0, "BDF", [0.2j])
    with pytest.raises(hs.TraceError, match="give t_eval"):
        hs.compile(lambda y: solve_ivp(field, (0, 1), y, "BDF").y)(1.0)
