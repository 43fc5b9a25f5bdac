"""Events of solve_ivp: exact times, derivatives of any order, vmap, compile, SciPy, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ivp_programs import G, fall, found, ground, pendulum
from scipy.integrate import solve_ivp as scipy_solve
from scipy.special import ellipk

import hesse as hs

Event = hs.solvers.Event
solve = hs.solvers.solve_ivp
TIGHT = {"rtol": 1e-10, "atol": 1e-12}
METHODS = ["Bosh3", "Dopri5", "Tsit5", "Dop853", "Rodas4", "Rodas5P", "Kvaerno3", "Kvaerno5", "KenCarp4"]


def period(angle):
    """Of a pendulum that starts at rest at this angle."""
    return 4 * ellipk(np.sin(angle / 2) ** 2)


@pytest.mark.parametrize("method", [*METHODS, "RK4", "Heun"])
def test_the_time_of_a_fall_and_its_derivatives(method):
    options = TIGHT if method in METHODS else {"first_step": 0.01}

    def duration(h):
        return solve(fall, (0.0, 10.0), (h, 0.0), method, events=ground, **options).t_end

    exact = math.sqrt(2 / G)
    assert float(duration(1.0)) == pytest.approx(exact, abs=1e-12)
    assert float(hs.grad(duration)(1.0)) == pytest.approx(exact / 2, abs=1e-12)
    assert float(hs.jvp(duration, (1.0,), (1.0,))[1]) == pytest.approx(exact / 2, abs=1e-12)
    assert float(hs.grad(hs.grad(duration))(1.0)) == pytest.approx(-exact / 4, abs=1e-11)


@pytest.mark.parametrize("method", ["Tsit5", "Dop853", "Rodas5P"])
def test_pendulum_against_the_elliptic_integral(method):
    def last(angle):
        zero = Event(lambda t, y: y[0], terminal=5)
        return solve(pendulum, (0.0, 100.0), (angle, 0.0), method, events=zero, **TIGHT)

    sol = last(1.2)
    expected = period(1.2) * np.array([0.25, 0.75, 1.25, 1.75, 2.25])
    np.testing.assert_allclose(sol.t_events[0], expected, rtol=1e-8)
    np.testing.assert_allclose(np.abs(sol.y_events[0][1]), 2 * math.sin(0.6), rtol=1e-8)
    assert sol.y_events[0][0].shape == (5,)
    assert int(sol.stats["events"][0]) == 5 and int(sol.stats["terminal_event"]) == 0
    assert sol.success and sol.message == "a terminal event ended the solution" and int(sol.status) == -1
    # dK/dm = (E - (1 - m) K) / (2 m (1 - m)), m = sin^2(angle / 2); here by differences.
    h = 1e-4
    slope = 2.25 * (period(1.2 + h) - period(1.2 - h)) / (2 * h)
    assert float(hs.grad(lambda a: last(a).t_end)(1.2)) == pytest.approx(slope, rel=1e-6)
    if method != "Tsit5":
        return
    bend = 2.25 * (period(1.2 + h) - 2 * period(1.2) + period(1.2 - h)) / h**2
    assert float(hs.jvp(hs.grad(lambda a: last(a).t_end), (1.2,), (1.0,))[1]) == pytest.approx(bend, rel=1e-4)


def test_events_as_scipy_finds_them():
    events = [lambda t, y: y[0] - 0.3, lambda t, y: y[1], lambda t, y: y[0] + y[1]]
    events[1].direction = -1
    events[2].terminal = 4
    sol = solve(pendulum, (0.0, 50.0), (1.0, 0.4), events=events, rtol=1e-9, atol=1e-12)
    ref = scipy_solve(
        lambda t, y: [y[1], -np.sin(y[0])], (0, 50), [1.0, 0.4], events=events, rtol=1e-9, atol=1e-12
    )
    assert [len(t) for t in sol.t_events] == [len(t) for t in ref.t_events] != [0, 0, 0]
    for k in range(3):
        np.testing.assert_allclose(sol.t_events[k], ref.t_events[k], atol=1e-7)
        np.testing.assert_allclose(np.stack(sol.y_events[k], 1), ref.y_events[k], atol=1e-7)
    assert float(sol.t[-1]) == pytest.approx(ref.t[-1], abs=1e-7) and ref.status == 1
    assert float(sol.t[-1]) == float(sol.t_end) == float(sol.stats["t_last"])
    np.testing.assert_allclose([y[-1] for y in sol.y], sol.y_end)


def test_backwards_in_time():
    sol = solve(lambda t, y: y, (0.0, -5.0), 1.0, events=lambda t, y: y - math.exp(-2), **TIGHT)
    np.testing.assert_allclose(sol.t_events[0], [-2.0], atol=1e-9)
    rising = Event(lambda t, y: y - math.exp(-2), direction=1)  # in the direction of the solve, as in SciPy
    assert solve(lambda t, y: y, (0.0, -5.0), 1.0, events=rising, **TIGHT).t_events[0].shape == (0,)


def test_several_events_in_one_step_come_in_order():
    # One step of RK4 from 0 to 1: y = t
    times = [0.7, 0.2, 0.5, 0.9]
    events = [Event(lambda t, y, c=c: y - c) for c in times]
    events[0] = Event(events[0].g, terminal=True)
    sol = solve(lambda t, y: hs.ones_like(y), (0.0, 1.0), 0.0, "RK4", first_step=1.0, events=events)
    assert [len(t) for t in sol.t_events] == [1, 1, 1, 0]
    assert [round(float(t[0]), 12) for t in sol.t_events[:3]] == [0.7, 0.2, 0.5]
    sol = solve(
        lambda t, y: hs.ones_like(y), (0.0, 1.0), 0.0, "RK4", first_step=1.0, events=events,
        t_eval=[0.1, 0.3, 0.6, 0.8], max_events=3,
    )  # fmt: skip
    np.testing.assert_allclose(sol.y, [0.1, 0.3, 0.6, math.nan])
    np.testing.assert_allclose(
        np.stack(sol.t_events[1:]), [[0.2] + [math.nan] * 2, [0.5] + [math.nan] * 2, [math.nan] * 3]
    )


def test_what_starts_at_zero_does_not_happen_there():
    for off in (0.0, 1e-17, -1e-17):  # within rounding, to either side
        sol = solve(fall, (0.0, 3.0), (off, 8.0), events=lambda t, y: y[0], **TIGHT)
        np.testing.assert_allclose(sol.t_events[0], [16 / G], rtol=1e-10)
    # At the end of a step: it happens once.
    sol = solve(lambda t, y: hs.ones_like(y), (0.0, 2.0), -1.0, "RK4", first_step=0.5, events=lambda t, y: y)
    np.testing.assert_allclose(sol.t_events[0], [1.0], rtol=1e-15)
    # Two zeros within a step are not seen, and so is one that is touched.
    sol = solve(
        lambda t, y: hs.ones_like(y),
        (0.0, 1.0),
        0.0,
        "RK4",
        first_step=1.0,
        events=lambda t, y: (y - 0.4) * (y - 0.6),
    )
    assert sol.t_events[0].shape == (0,)


def bounces(height, restitution, n, **options):
    def bounce(carry, _):
        t, y = carry
        sol = solve(fall, (t, t + 50.0), y, t_eval=[], events=ground, **options)
        return (sol.t_end, (sol.y_end[0], -restitution * sol.y_end[1])), sol.t_end

    return hs.scan(bounce, (0.0, (height, 0.0)), length=n)[1]


def exact_bounces(height, restitution, n):
    return hs.sqrt(2 * height / G) * hs.stack(
        [1.0 + 2.0 * sum(restitution**i for i in range(1, k + 1)) for k in range(n)]
    )


@pytest.mark.parametrize("method", ["Tsit5", "Dop853", "Rodas5P"])
def test_bouncing_ball_in_a_scan(method):
    def times(x):
        return bounces(x[0], x[1], 5, method=method, rtol=1e-8, atol=1e-10)

    def exact(x):
        return exact_bounces(x[0], x[1], 5)

    x = hs.array([2.0, 0.7])
    np.testing.assert_allclose(times(x), exact(x), rtol=1e-10)
    np.testing.assert_allclose(hs.jacrev(times)(x), hs.jacrev(exact)(x), rtol=1e-9)
    # Errors of Rodas5P are nothing but rounding here: tangents are right only where the steps are those of the values.
    np.testing.assert_allclose(hs.jacfwd(times)(x), hs.jacrev(exact)(x), rtol=1e-9)
    if method == "Tsit5":
        hessian = hs.compile(hs.hessian(lambda x: times(x)[-1]))(x)
        np.testing.assert_allclose(hessian, hs.hessian(lambda x: exact(x)[-1])(x), rtol=1e-8)
        twice = hs.jacrev(hs.jacrev(lambda x: times(x)[-1]))(x)
        np.testing.assert_allclose(twice, hessian, rtol=1e-9)


def test_bouncing_ball_restarted_in_python():
    """The number of bounces depends on values; a plain loop is differentiated too."""

    def last(height):
        t, y = 0.0, (height, 0.0)
        for _ in range(4):
            sol = solve(fall, (t, t + 50.0), y, events=lambda t, y: y[0], **TIGHT)
            t, y = sol.t_events[0][0], (sol.y_events[0][0][0], -0.5 * sol.y_events[0][1][0])
        return t

    assert float(last(1.0)) == pytest.approx(math.sqrt(2 / G) * 2.75, rel=1e-10)
    assert float(hs.grad(last)(1.0)) == pytest.approx(math.sqrt(2 / G) * 1.375, rel=1e-9)


def thermostat(outside, n, method="Tsit5"):
    """Heats at rate 5 until 21, cools until 19, and so on: the times of n switches."""

    def field(t, y, heat):
        return 5.0 * heat - 0.3 * (y - outside)

    def phase(carry, _):
        t, y, heat = carry
        switch = Event(lambda t, y, heat: y - hs.where(heat > 0.5, 21.0, 19.0), terminal=True)
        sol = solve(field, (t, t + 100.0), y, method, t_eval=[], args=(heat,), events=switch, **TIGHT)
        return (sol.t_end, sol.y_end, 1.0 - heat), sol.t_end

    return hs.scan(phase, (0.0, 19.0, 1.0), length=n)[1]


def exact_thermostat(outside, n):
    warm = outside + 5 / 0.3
    up = hs.log((warm - 19.0) / (warm - 21.0)) / 0.3
    down = hs.log((21.0 - outside) / (19.0 - outside)) / 0.3
    return hs.stack([((k + 2) // 2) * up + ((k + 1) // 2) * down for k in range(n)])


@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P", "Kvaerno5"])
def test_thermostat(method):
    np.testing.assert_allclose(thermostat(10.0, 6, method), exact_thermostat(hs.array(10.0), 6), rtol=1e-9)
    slopes = hs.jacrev(exact_thermostat)(hs.array(10.0), 6)
    compiled = hs.compile(hs.jacfwd(lambda x: thermostat(x, 6, method)))(10.0)
    # Rodas5P's polynomial has a slope of one order less than its value.
    close = 1e-4 if method == "Rodas5P" else 1e-7
    np.testing.assert_allclose(compiled, slopes, rtol=close)
    np.testing.assert_allclose(hs.grad(lambda x: thermostat(x, 6, method)[-1])(10.0), slopes[-1], rtol=close)


@pytest.mark.parametrize("method", ["Tsit5", "Dop853", "Rodas5P"])
def test_vmap_and_compile_agree_with_eager(method):
    def run(x):
        return found(x, method, 1e-8)

    rates = hs.array([0.0, 0.1, 1.5])
    one_by_one = [hs.tree_flatten(run(x))[0] for x in rates]
    together = hs.tree_flatten(hs.vmap(run)(rates))[0]
    compiled = hs.compile(run)
    for k, x in enumerate(rates):
        for a, b, c in zip(one_by_one[k], together, hs.tree_flatten(compiled(x))[0], strict=True):
            np.testing.assert_allclose(a, b[k], rtol=1e-7, atol=1e-8)
            np.testing.assert_allclose(a, c, rtol=1e-7, atol=1e-8)

    def total(x):  # of what happened
        _, t_events, y_events, t_end, y_end, _, _ = run(x)
        parts = [hs.sum(hs.where(hs.isnan(a), 0.0, a)) for a in (*t_events, *y_events[0])]
        return sum(parts) + t_end + y_end[0] * y_end[1]

    slopes, value = hs.vmap(hs.grad(total))(rates), hs.compile(total)
    for k, x in enumerate(rates):
        h = 1e-5
        difference = (float(value(x + h)) - float(value(x - h))) / (2 * h)
        assert float(slopes[k]) == pytest.approx(difference, rel=2e-4, abs=1e-5)
    x, slope = rates[1], float(slopes[1])
    assert float(hs.grad(total)(x)) == pytest.approx(slope, rel=1e-6)
    assert float(hs.compile(hs.grad(total))(x)) == pytest.approx(slope, rel=1e-6)
    assert float(hs.jvp(total, (x,), (1.0,))[1]) == pytest.approx(slope, rel=1e-6)
    if method == "Tsit5":
        second = hs.vmap(hs.grad(hs.grad(total)))(rates)
        assert float(hs.jvp(hs.grad(total), (x,), (1.0,))[1]) == pytest.approx(float(second[1]), rel=1e-6)


def test_derivatives_in_everything_that_counts():
    """In args, the threshold, t0 and y0: y = y0 exp(-k (t - t0)) falls to c at t0 + log(y0 / c) / k."""

    def end(k, c, t0, y0):
        falls = Event(lambda t, y, k: y - c, terminal=True)
        return solve(
            lambda t, y, k: -k * y, (t0, 60.0), y0, args=(k,), events=falls, rtol=1e-11, atol=1e-13
        ).t_end

    x = (0.7, 0.2, 1.0, 3.0)
    exact = [-math.log(15) / 0.49, -1 / (0.7 * 0.2), 1.0, 1 / (0.7 * 3)]
    got = hs.grad(end, argnums=(0, 1, 2, 3))(*x)
    np.testing.assert_allclose(got, exact, rtol=1e-7)
    forwards = [hs.jvp(lambda v: end(*x[:i], v, *x[i + 1 :]), (x[i],), (1.0,))[1] for i in range(4)]
    np.testing.assert_allclose(forwards, exact, rtol=1e-7)


def test_single_precision_and_complex_states():
    state = (hs.array(1.0, dtype=hs.float32), hs.array(0.0, dtype=hs.float32))
    sol = solve(fall, (0.0, 10.0), state, events=ground)
    assert sol.y_end[0].dtype == hs.float32 and sol.t_end.dtype == hs.float64
    assert float(sol.t_end) == pytest.approx(math.sqrt(2 / G), rel=3e-6)
    turns = solve(
        lambda t, y: 1j * y, (0.0, 5.0), hs.array(1.0 + 0j), events=lambda t, y: hs.imag(y), **TIGHT
    )
    np.testing.assert_allclose(turns.t_events[0], [math.pi], rtol=1e-9)


def test_a_stiff_problem_with_an_event():
    def van_der_pol(t, y):
        return y[1], 1000.0 * (1.0 - y[0] ** 2) * y[1] - y[0]

    events = [Event(lambda t, y: y[0], direction=-1)]
    for method in ("Rodas5P", "Kvaerno5"):
        sol = solve(van_der_pol, (0.0, 2000.0), (2.0, 0.0), method, events=events, rtol=1e-6, atol=1e-8)
        ref = scipy_solve(
            lambda t, y: [y[1], 1000 * (1 - y[0] ** 2) * y[1] - y[0]], (0, 2000), [2, 0], "Radau",
            events=[lambda t, y: y[0]], rtol=1e-7, atol=1e-9,
        )  # fmt: skip
        np.testing.assert_allclose(sol.t_events[0], ref.t_events[0][:1], rtol=1e-4)


def test_no_step_fails_because_of_the_events():
    quiet = {"raise_on_failure": False, "t_eval": [0.5, 2.0]}
    sol = solve(lambda t, y: y**2, (0.0, 3.0), 1.0, events=lambda t, y: y - 2.0, **quiet)
    assert int(sol.status) in (2, 3) and not sol.success
    np.testing.assert_allclose(sol.t_events[0], [0.5], atol=1e-3)  # what was found stays
    assert math.isnan(float(sol.y[1])) and math.isnan(float(sol.t_end)) and sol.t.shape == (2,)
    # A terminal event before a pole saves the solution.
    sol = solve(lambda t, y: y**2, (0.0, 3.0), 1.0, events=Event(lambda t, y: y - 50.0, terminal=True))
    assert sol.success and float(sol.t_end) == pytest.approx(0.98, abs=1e-3)
    few = solve(pendulum, (0.0, 30.0), (1.0, 0.0), t_eval=[1.0, 29.0], events=lambda t, y: y[0], max_events=2,
                raise_on_failure=False)  # fmt: skip
    assert int(few.status) == 6 and "max_events" in few.message
    assert not np.isnan(few.t_events[0]).any() and math.isnan(float(few.y[0][1]))
    assert int(few.stats["events"][0]) == 3
    nan = solve(fall, (0.0, 2.0), (1.0, 0.0), events=lambda t, y: hs.log(y[0]), raise_on_failure=False)
    assert int(nan.status) == 7 and not nan.success


@pytest.mark.parametrize(
    ("events", "error", "message"),
    [
        (3, TypeError, "events is 3"),
        ([3], TypeError, "event 0 is 3"),
        (lambda t, y: hs.stack(y), ValueError, r"event 0 returns shape \(2,\), expected a scalar"),
        (lambda t, y: hs.astype(y[0], hs.int64), TypeError, r"event 0 returns int64\[\]"),
        (lambda t, y: y[0] > 0, TypeError, r"returns bool\[\]"),
        (lambda t, y: hs.exp(1j * y[0]), TypeError, r"returns complex128\[\]"),
        (lambda t, y: None, TypeError, "returns NoneType, expected a real scalar"),
        (lambda t, y: y, TypeError, "returns tuple, expected a real scalar"),
        (lambda t, y: hs.log(y[0] - 0.5), FloatingPointError, "an event gives NaN"),
        (lambda t, y: hs.sqrt(-1 - y[0]), FloatingPointError, r"an event gives NaN.*t = 0,"),
    ],
)
def test_refusals(events, error, message):
    with pytest.raises(error, match=message):
        solve(fall, (0.0, 2.0), (1.0, 0.0), events=events)


def test_refusals_of_options():
    for bad in ({"g": 3}, {"terminal": -1}, {"terminal": 0.5}, {"direction": "up"}, {"direction": math.nan}):
        with pytest.raises((TypeError, ValueError), match="Event: "):
            Event(**{"g": lambda t, y: y, **bad})
    with pytest.raises(ValueError, match="max_events is -1"):
        solve(fall, (0.0, 2.0), (1.0, 0.0), events=ground, max_events=-1)
    with pytest.raises(ValueError, match="give t_eval as well"):
        solve(fall, (0.0, 2.0), (1.0, 0.0), events=ground, max_events=2)
    with pytest.raises(hs.TraceError, match="give max_events"):
        hs.compile(lambda h: solve(fall, (0.0, 2.0), (h, 0.0), t_eval=[], events=lambda t, y: y[0]).t_end)(
            1.0
        )
    with pytest.raises(FloatingPointError, match="more than max_events"):
        hs.compile(
            lambda h: (
                solve(
                    pendulum, (0.0, 30.0), (h, 0.0), t_eval=[], events=lambda t, y: y[0], max_events=2
                ).t_events
            )
        )(1.0)

    def fails(t, y):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        solve(fall, (0.0, 2.0), (1.0, 0.0), events=fails)
