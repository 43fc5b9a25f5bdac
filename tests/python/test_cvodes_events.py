"""Events of solve_ivp with BDF and Adams: exact times, derivatives of any order, vmap, compile, failures, leaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ivp_programs import G, fall, found, ground, pendulum
from scipy.integrate import solve_ivp as scipy_solve

import hesse as hs

pytestmark = pytest.mark.skipif(not hs._hesse.solvers.has_cvode(), reason="this build has no SUNDIALS")

Event = hs.solvers.Event
solve = hs.solvers.solve_ivp
TIGHT = {"rtol": 1e-10, "atol": 1e-12}
METHODS = ["BDF", "Adams"]


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert hs._hesse.solvers.live_sundials_objects() == 0


@pytest.mark.parametrize("method", METHODS)
def test_the_time_of_a_fall_and_its_derivatives(method):
    def duration(h):
        return solve(fall, (0.0, 10.0), (h, 0.0), method, events=ground, **TIGHT).t_end

    exact = math.sqrt(2 / G)
    assert float(duration(1.0)) == pytest.approx(exact, abs=1e-9)
    assert float(hs.grad(duration)(1.0)) == pytest.approx(exact / 2, abs=1e-9)
    assert float(hs.jvp(duration, (1.0,), (1.0,))[1]) == pytest.approx(exact / 2, abs=1e-9)
    both = [hs.grad, lambda f: lambda x: hs.jvp(f, (x,), (1.0,))[1]]
    for first in both:
        for second in both:
            assert float(second(first(duration))(1.0)) == pytest.approx(-exact / 4, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_events_as_scipy_finds_them(method):
    events = [lambda t, y: y[0] - 0.3, lambda t, y: y[1], lambda t, y: y[0] + y[1]]
    events[1].direction = -1
    events[2].terminal = 4
    sol = solve(pendulum, (0.0, 50.0), (1.0, 0.4), method, events=events, **TIGHT)
    ref = scipy_solve(
        lambda t, y: [y[1], -np.sin(y[0])],
        (0, 50),
        [1.0, 0.4],
        "DOP853",
        events=events,
        rtol=1e-12,
        atol=1e-12,
    )
    assert [len(t) for t in sol.t_events] == [len(t) for t in ref.t_events] != [0, 0, 0]
    for k in range(3):
        np.testing.assert_allclose(sol.t_events[k], ref.t_events[k], atol=1e-7)
        np.testing.assert_allclose(np.stack(sol.y_events[k], 1), ref.y_events[k], atol=1e-7)
    assert float(sol.t[-1]) == float(sol.t_end) == float(sol.stats["t_last"])
    np.testing.assert_array_equal([y[-1] for y in sol.y], sol.y_end)
    assert int(sol.status) == -1 and sol.success and int(sol.stats["terminal_event"]) == 2
    assert [int(n) for n in sol.stats["events"]] == [len(t) for t in ref.t_events]
    assert (np.diff(sol.t) > 0).all() and sol.t[0] == 0


def test_backwards_in_time():
    sol = solve(lambda t, y: y, (0.0, -5.0), 1.0, "BDF", events=lambda t, y: y - math.exp(-2), **TIGHT)
    np.testing.assert_allclose(sol.t_events[0], [-2.0], atol=1e-8)
    assert float(sol.t_end) == -5.0 and float(sol.y_end) == pytest.approx(math.exp(-5), rel=1e-7)
    rising = Event(lambda t, y: y - math.exp(-2), direction=1)  # in the direction of the solve, as in SciPy
    assert solve(lambda t, y: y, (0.0, -5.0), 1.0, "BDF", events=rising).t_events[0].shape == (0,)


def test_several_events_in_one_step_come_in_order():
    # y = t, which CVODES steps over in one go once it knows.
    times = [0.7, 0.2, 0.5, 0.9, 0.5]
    events = [Event(lambda t, y, c=c: y - 10 * c) for c in times]
    events[0] = Event(events[0].g, terminal=True)
    options = {"events": events, "t_eval": [1.0, 3.0, 6.0, 8.0]}
    sol = solve(lambda t, y: hs.ones_like(y), (0.0, 10.0), 0.0, "BDF", **options)
    assert [len(t) for t in sol.t_events] == [1, 1, 1, 0, 1] and int(sol.stats["accepted"]) < 40
    assert [round(float(t[0]), 9) for t in (*sol.t_events[:3], sol.t_events[4])] == [7.0, 2.0, 5.0, 5.0]
    np.testing.assert_array_equal(sol.t, [1.0, 3.0, 6.0])
    np.testing.assert_allclose(sol.y, sol.t, rtol=1e-12)
    sol = solve(lambda t, y: hs.ones_like(y), (0.0, 10.0), 0.0, "BDF", max_events=2, **options)
    np.testing.assert_allclose(sol.y, [1.0, 3.0, 6.0, math.nan], rtol=1e-12)
    np.testing.assert_allclose(sol.t_events[0], [7.0], rtol=1e-12)
    np.testing.assert_allclose(sol.t_events[3], [math.nan] * 2)
    np.testing.assert_allclose(sol.t_events[4], [5.0, math.nan], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_what_starts_at_zero_does_not_happen_there(method):
    for off in (0.0, 1e-17, -1e-17):  # within rounding, to either side
        sol = solve(fall, (0.0, 3.0), (off, 8.0), method, events=lambda t, y: y[0], **TIGHT)
        np.testing.assert_allclose(sol.t_events[0], [16 / G], rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_bouncing_ball_in_a_scan(method):
    def times(x):
        def bounce(carry, _):
            t, y = carry
            sol = solve(fall, (t, t + 50.0), y, method, t_eval=[], events=ground, **TIGHT)
            return (sol.t_end, (sol.y_end[0], -x[1] * sol.y_end[1])), sol.t_end

        return hs.scan(bounce, (0.0, (x[0], 0.0)), length=3)[1]

    def exact(x):
        return hs.sqrt(2 * x[0] / G) * hs.stack([1.0, 1.0 + 2.0 * x[1], 1.0 + 2.0 * x[1] + 2.0 * x[1] ** 2])

    x = hs.array([2.0, 0.7])
    np.testing.assert_allclose(times(x), exact(x), rtol=1e-8)
    np.testing.assert_allclose(hs.jacrev(times)(x), hs.jacrev(exact)(x), rtol=1e-7)
    np.testing.assert_allclose(hs.jacfwd(times)(x), hs.jacrev(exact)(x), rtol=1e-7)
    if method == "Adams":
        twice = hs.compile(hs.jacfwd(hs.jacrev(lambda x: times(x)[-1])))(x)
        np.testing.assert_allclose(twice, hs.hessian(lambda x: exact(x)[-1])(x), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_derivatives_in_everything_that_counts(method):
    """In args, the threshold, t0, y0 and a time: y = y0 exp(-k (t - t0)) falls to c at t0 + log(y0 / c) / k."""

    def found(k, c, t0, y0, t):
        falls = Event(lambda t, y, k: y - c, terminal=True)
        late = Event(lambda t, y, k: k * y + 0 * c - 1.0)
        sol = solve(
            lambda t, y, k: -k * y,
            (t0, 60.0),
            y0,
            method,
            hs.stack([t]),
            args=(k,),
            events=[falls, late],
            **TIGHT,
        )
        return hs.stack([sol.t_end, sol.t_events[1][0], sol.y_events[1][0], sol.y[0], sol.y_end])

    def exact(k, c, t0, y0, t):
        return hs.stack(
            [t0 + hs.log(y0 / c) / k, t0 + hs.log(y0 * k) / k, 1.0 / k, y0 * hs.exp(-k * (t - t0)), 1.0 * c]
        )

    x = tuple(map(hs.array, (0.7, 0.2, 1.0, 3.0, 1.5)))
    which = tuple(range(5))
    np.testing.assert_allclose(found(*x), exact(*x), rtol=1e-7)
    expected = np.stack(hs.jacfwd(exact, argnums=which)(*x), 1)
    forwards = np.stack(hs.jacfwd(found, argnums=which)(*x), 1)
    backwards = np.stack(hs.jacrev(found, argnums=which)(*x), 1)
    np.testing.assert_allclose(forwards, expected, atol=2e-6)
    np.testing.assert_allclose(backwards, expected, atol=2e-6)

    def total(f):
        return lambda x: hs.sum(f(*(x[i] for i in range(5))) * hs.array([1.0, -2.0, 3.0, 0.5, 1.5]))

    point = hs.stack(x)
    wanted = hs.hessian(total(exact))(point)
    np.testing.assert_allclose(hs.jacfwd(hs.grad(total(found)))(point), wanted, atol=1e-4)
    np.testing.assert_allclose(hs.jacrev(hs.grad(total(found)))(point), wanted, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_vmap_and_compile_agree_with_eager(method):
    def run(x):
        return found(x, method, 1e-9)

    rates = hs.array([0.0, 0.1, 1.5])
    one_by_one = [hs.tree_flatten(run(x))[0] for x in rates]
    together = hs.tree_flatten(hs.vmap(run)(rates))[0]
    compiled = hs.compile(run)
    for k, x in enumerate(rates):
        for a, b, c in zip(one_by_one[k], together, hs.tree_flatten(compiled(x))[0], strict=True):
            np.testing.assert_allclose(a, b[k], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(a, c, rtol=1e-12, atol=1e-12)

    def numbers(x):  # what happened
        y, t_events, y_events, t_end, y_end, _, _ = run(x)
        parts = [*y, *t_events, *y_events[0], t_end, *y_end]
        return hs.concatenate([hs.reshape(hs.where(hs.isnan(a), 0.0, a), (-1,)) for a in parts])

    rng = np.random.default_rng(1)
    v = hs.array(rng.normal(size=numbers(rates[1]).shape))
    slopes = hs.vmap(hs.grad(lambda x: hs.sum(v * numbers(x))))(rates)
    for k, x in enumerate(rates):  # <v, J u> = <J^T v, u>
        tangent = hs.jvp(numbers, (x,), (1.0,))[1]
        size = float(np.linalg.norm(v) * np.linalg.norm(tangent))
        assert float(hs.sum(v * tangent)) == pytest.approx(float(slopes[k]), abs=1e-6 * size)
    h = 1e-4
    difference = (numbers(0.1 + h) - numbers(0.1 - h)) / (2 * h)
    np.testing.assert_allclose(
        hs.compile(lambda x: hs.jvp(numbers, (x,), (1.0,))[1])(0.1), difference, atol=2e-3
    )


def test_steps_are_the_same_with_and_without_a_derivative():
    def run(h):
        sol = solve(fall, (0.0, 10.0), (h, 0.0), "BDF", events=ground, rtol=1e-6)
        return sol.t, sol.y[0], sol.t_end, sol.y_end[1]

    plain = run(1.0)
    values, tangents = hs.jvp(run, (1.0,), (1.0,))
    for a, b in zip(plain, values, strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(tangents[0][0]) == 0 and float(tangents[0][-1]) == float(tangents[2])
    assert float(tangents[2]) == pytest.approx(math.sqrt(0.5 / G), rel=1e-4)
    np.testing.assert_allclose(tangents[1][:-1], 1.0, rtol=1e-4)
    np.testing.assert_allclose(tangents[1][-1], 0.0, atol=1e-6)  # the ball is on the ground, whatever h


def test_single_precision_and_parameters_of_events_only():
    state = (hs.array(1.0, dtype=hs.float32), hs.array(0.0, dtype=hs.float32))

    def end(level):
        return solve(
            fall, (0.0, 10.0), state, "BDF", events=Event(lambda t, y: y[0] - level, terminal=True)
        ).t_end

    level = hs.array(0.5, dtype=hs.float32)
    assert float(end(level)) == pytest.approx(math.sqrt(1 / G), rel=1e-3)
    slope = hs.grad(end)(level)
    assert slope.dtype == hs.float32 and float(slope) == pytest.approx(-math.sqrt(1 / G), rel=1e-2)
    assert float(hs.jvp(end, (level,), (hs.ones_like(level),))[1]) == pytest.approx(float(slope), rel=1e-5)


def test_a_stiff_problem_with_an_event():
    def van_der_pol(t, y):
        return y[1], 1000.0 * (1.0 - y[0] ** 2) * y[1] - y[0]

    events = [Event(lambda t, y: y[0], direction=-1)]
    sol = solve(van_der_pol, (0.0, 2000.0), (2.0, 0.0), "BDF", events=events, rtol=1e-7, atol=1e-9)
    ref = scipy_solve(
        lambda t, y: [y[1], 1000 * (1 - y[0] ** 2) * y[1] - y[0]], (0, 2000), [2, 0], "Radau",
        events=[lambda t, y: y[0]], rtol=1e-7, atol=1e-9,
    )  # fmt: skip
    np.testing.assert_allclose(sol.t_events[0], ref.t_events[0][:1], rtol=1e-4)


@pytest.mark.parametrize("linear_solver", ["auto", "banded", "krylov"])
def test_a_large_system_until_its_mean_has_fallen(linear_solver):
    n = 400
    x = (np.arange(n) + 1) / (n + 1)

    def heat(t, y, d):
        wide = hs.concatenate([hs.zeros(1), y, hs.zeros(1)])
        return d * (n + 1) ** 2 * (wide[2:] - 2 * y + wide[:-2])

    def time(d):
        half = Event(lambda t, y, d: hs.mean(y) - 0.5 * np.sin(np.pi * x).mean(), terminal=True)
        return solve(
            heat, (0.0, 10.0), hs.sin(np.pi * x), "BDF", args=(d,), events=half, rtol=1e-8, atol=1e-10,
            linear_solver=linear_solver,
        ).t_end  # fmt: skip

    rate = 4 * (n + 1) ** 2 * math.sin(math.pi / (2 * (n + 1))) ** 2  # of the lowest mode
    assert float(time(0.1)) == pytest.approx(math.log(2) / (0.1 * rate), rel=1e-5)
    assert float(hs.grad(time)(0.1)) == pytest.approx(-math.log(2) / (0.01 * rate), rel=1e-4)


def test_no_step_fails_because_of_the_events():
    quiet = {"raise_on_failure": False, "t_eval": [0.5, 2.0]}
    sol = solve(lambda t, y: y**2, (0.0, 3.0), 1.0, "BDF", events=lambda t, y: y - 2.0, **quiet)
    assert int(sol.status) in (2, 3) and not sol.success
    np.testing.assert_allclose(sol.t_events[0], [0.5], atol=1e-2)  # what was found stays
    assert math.isnan(float(sol.y[1])) and math.isnan(float(sol.t_end)) and sol.t.shape == (2,)
    # A terminal event before a pole saves the solution.
    pole = Event(lambda t, y: y - 50.0, terminal=True)
    sol = solve(lambda t, y: y**2, (0.0, 3.0), 1.0, "BDF", events=pole, rtol=1e-6)
    assert sol.success and float(sol.t_end) == pytest.approx(0.98, abs=1e-3)
    few = solve(pendulum, (0.0, 30.0), (1.0, 0.0), "BDF", [1.0, 29.0], events=lambda t, y: y[0], max_events=2,
                raise_on_failure=False)  # fmt: skip
    assert int(few.status) == 6 and "max_events" in few.message
    assert not np.isnan(few.t_events[0]).any() and math.isnan(float(few.y[0][1]))
    assert int(few.stats["events"][0]) == 3
    nan = solve(fall, (0.0, 2.0), (1.0, 0.0), "BDF", events=lambda t, y: hs.log(y[0]), raise_on_failure=False)
    assert int(nan.status) == 7 and not nan.success and nan.t.shape[0] > 1
    stopped = solve(fall, (0.0, 2.0), (1.0, 0.0), "BDF", events=ground, max_steps=3, raise_on_failure=False)
    assert int(stopped.status) == 1 and math.isnan(float(stopped.t_end))
    instant = solve(fall, (1.0, 1.0), (1.0, 0.0), "BDF", events=ground)
    assert instant.success and instant.t_events[0].shape == (0,) and float(instant.t_end) == 1.0


def test_a_failed_lane_leaves_the_others_alone():
    def run(y0):
        sol = solve(
            lambda t, y: y**2, (0.0, 0.8), y0, "BDF", [0.2], events=Event(lambda t, y: y - 1.5, terminal=True),
            raise_on_failure=False,
        )  # fmt: skip
        return sol.t_end, sol.status

    t_end, status = hs.vmap(run)(hs.array([1.0, math.nan, 1.2]))
    assert [int(s) for s in status] == [-1, 3, -1]
    np.testing.assert_allclose(t_end, [1 / 3, math.nan, 1 / 6], rtol=1e-2)


@pytest.mark.parametrize(
    ("events", "error", "message"),
    [
        (lambda t, y: hs.stack(y), ValueError, r"event 0 returns shape \(2,\), expected a scalar"),
        (lambda t, y: y[0] > 0, TypeError, r"returns bool\[\]"),
        (lambda t, y: hs.log(y[0] - 0.5), FloatingPointError, "an event gives NaN"),
        (lambda t, y: hs.sqrt(-1 - y[0]), FloatingPointError, r"an event gives NaN.*t = 0,"),
    ],
)
def test_refusals(events, error, message):
    with pytest.raises(error, match=message):
        solve(fall, (0.0, 2.0), (1.0, 0.0), "BDF", events=events)


def test_refusals_of_options():
    with pytest.raises(hs.TraceError, match="give max_events"):
        hs.compile(lambda h: solve(fall, (0.0, 2.0), (h, 0.0), "BDF", [], events=lambda t, y: y[0]).t_end)(
            1.0
        )
    with pytest.raises(hs.TraceError, match="give t_eval"):
        hs.compile(lambda h: solve(fall, (0.0, 2.0), (h, 0.0), "BDF", events=ground).t_end)(1.0)
    with pytest.raises(FloatingPointError, match="more than max_events"):
        hs.compile(
            lambda h: (
                solve(
                    pendulum, (0.0, 30.0), (h, 0.0), "BDF", [], events=lambda t, y: y[0], max_events=2
                ).t_events
            )
        )(1.0)
    with pytest.raises(ValueError, match="BDF finds no events of a state without entries"):
        solve(lambda t, y: y, (0.0, 1.0), hs.zeros(0), "BDF", events=lambda t, y: t - 0.5)
    with pytest.raises(ValueError, match=r"Forward\(\) takes no events"):
        solve(fall, (0.0, 2.0), (1.0, 0.0), "BDF", [1.0], events=ground, adjoint=hs.solvers.Forward())

    def fails(t, y):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        solve(fall, (0.0, 2.0), (1.0, 0.0), "BDF", events=fails)

    def later(t, y):
        def check(y):
            if float(y) < 0.5:
                raise KeyError("mine")
            return y

        return hs.callback(check, hs.ShapeDtype((), hs.float64), hs.stop_gradient(y[0]))

    with pytest.raises(KeyError, match="mine"):
        solve(fall, (0.0, 2.0), (1.0, 0.0), "BDF", events=later)
