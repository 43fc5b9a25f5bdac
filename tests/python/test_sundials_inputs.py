"""save, dense_output and breakpoints with the methods of SUNDIALS: as with native methods."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hesse as hs
from hesse import _hesse

if not _hesse.solvers.has_cvode():
    pytest.skip("this build has no SUNDIALS", allow_module_level=True)

METHODS = ["BDF", "Adams", "ARKODE_ERK", "ARKODE_DIRK", "ARKODE_IMEX"]
TIGHT = {"rtol": 1e-9, "atol": 1e-11}
live = _hesse.solvers.live_sundials_objects


@pytest.fixture(autouse=True)
def no_leaks():
    yield
    assert live() == 0


def solve(f, *args, **options):
    """f, for IMEX in two parts: nothing, and f."""
    method = args[2]
    pair = (lambda t, y, *p: hs.tree_map(lambda a: 0.0 * a, y), f) if method == "ARKODE_IMEX" else f
    return hs.solvers.solve_ivp(pair, *args, **options)


def difference(f, x, h=1e-5):
    return (float(f(x + h)) - float(f(x - h))) / (2 * h)


# Breakpoints -------------------------------------------------------------------------------------------------


def switched(t, y, k=1.0):
    """dy/dt = -k y, and from t = 1 on +5 more."""
    return -k * y + hs.astype(hs.where(t < 1.0, 0.0, 5.0), y.dtype)


def exact(t, k):
    before = np.exp(-k * t)
    return np.where(t < 1.0, before, before + 5 / k * (1 - np.exp(-k * (t - 1.0))))


@pytest.mark.parametrize("method", METHODS)
def test_breakpoints_waste_no_steps(method):
    t = np.linspace(0.0, 3.0, 13)
    plain = solve(switched, (0.0, 3.0), 1.0, method, t_eval=t, **TIGHT)
    told = solve(switched, (0.0, 3.0), 1.0, method, t_eval=t, breakpoints=[7.0, 1.0, -2.0], **TIGHT)
    assert int(told.stats["rejected"]) < int(plain.stats["rejected"])
    assert int(told.stats["accepted"]) < int(plain.stats["accepted"])
    np.testing.assert_allclose(told.y, exact(t, 1.0), atol=3e-8)
    steps = solve(switched, (0.0, 3.0), 1.0, method, breakpoints=[1.0], **TIGHT)
    assert any(abs(float(s) - 1.0) < 1e-15 for s in steps.t)
    assert len(steps.t) == int(steps.stats["accepted"]) + 1
    # Backwards, at the ends of the span, none, and twice; the end just behind one.
    back = solve(switched, (3.0, 0.0), float(exact(3.0, 1.0)), method, breakpoints=[1.0], **TIGHT)
    assert float(back.y[-1]) == pytest.approx(1.0, abs=5e-6)
    assert any(abs(float(s) - 1.0) < 1e-15 for s in back.t)
    for points in ([0.0], [3.0], [], [1.5, 1.5], [1.5, np.nextafter(1.5, 2), np.nextafter(1.5, 0)]):
        y = solve(lambda t, y: -y, (0.0, 3.0), 1.0, method, t_eval=[1.5, 3.0], breakpoints=points, **TIGHT).y
        np.testing.assert_allclose(y, np.exp([-1.5, -3.0]), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("times", [[1.0], [1.0, 3.0], [0.0, 0.5, 1.0, 2.0, 2.5]])
def test_derivatives_across_breakpoints(method, times):
    def last(k, **options):
        return solve(
            switched, (0.0, 3.0), 1.0, method, t_eval=times, args=(k,), breakpoints=[2.0, 1.0], **TIGHT, **options
        ).y[-1]  # fmt: skip

    end = np.float64(times[-1])
    value = lambda k: float(exact(end, k))
    slope, bend = difference(value, 1.3), difference(lambda k: difference(value, k, 1e-4), 1.3, 1e-4)
    assert float(hs.grad(last)(1.3)) == pytest.approx(slope, abs=2e-7)
    assert float(hs.compile(hs.grad(last))(1.3)) == pytest.approx(slope, abs=2e-7)
    assert float(hs.jvp(last, (1.3,), (1.0,))[1]) == pytest.approx(slope, abs=2e-7)
    forward = lambda k: last(k, adjoint=hs.solvers.Forward())
    assert float(hs.grad(forward)(1.3)) == pytest.approx(slope, abs=2e-7)
    assert float(hs.grad(hs.grad(last))(1.3)) == pytest.approx(bend, rel=1e-5, abs=1e-6)
    assert float(hs.jvp(hs.grad(last), (1.3,), (1.0,))[1]) == pytest.approx(bend, rel=1e-5, abs=1e-6)
    ks = hs.array([0.5, 1.3])
    np.testing.assert_allclose(hs.vmap(last)(ks), [value(0.5), value(1.3)], rtol=1e-7)
    np.testing.assert_allclose(hs.vmap(hs.grad(last))(ks)[1], slope, atol=2e-7)


def test_forward_and_reverse_agree_across_breakpoints():
    rng = np.random.default_rng(3)
    times, w = np.array([0.3, 1.0, 1.7, 2.0]), rng.normal(size=(4, 2))
    u = rng.normal(size=4)

    def f(t, y, p):
        drive = hs.where(t < 1.0, p[0], p[1] * t)
        return hs.stack([y[1], -hs.sin(y[0]) + drive])

    def weighted(x):
        y = solve(
            f, (0.0, 2.0), x[:2], "Adams", t_eval=times, args=(x[2:],), breakpoints=[1.0], rtol=1e-11, atol=1e-13
        ).y  # fmt: skip
        return hs.sum(y * w)

    x = hs.array([0.5, 0.1, 1.0, -0.7])
    forward = float(hs.jvp(weighted, (x,), (hs.array(u),))[1])
    reverse = float(hs.sum(hs.grad(weighted)(x) * u))
    assert reverse == pytest.approx(forward, rel=1e-8)
    assert reverse == pytest.approx(difference(lambda s: weighted(x + s * hs.array(u)), 0.0), rel=1e-6)


def test_breakpoints_with_everything_else():
    single = solve(
        switched, (0.0, 3.0), hs.array(1.0, dtype=hs.float32), "BDF", t_eval=[1.0, 3.0], breakpoints=[1.0], rtol=1e-6
    )  # fmt: skip
    assert single.y.dtype == hs.float32
    np.testing.assert_allclose(single.y, exact(np.array([1.0, 3.0]), 1.0), rtol=1e-4)
    rise = 1.0 + math.log((5 - math.exp(-1)) / 3)
    for method in METHODS:
        found = solve(
            switched, (0.0, 3.0), 1.0, method, breakpoints=[1.0], events=lambda t, y: y - 2.0, dense_output=True, **TIGHT
        )  # fmt: skip
        assert float(found.t_events[0][0]) == pytest.approx(rise, rel=1e-8)
        t = np.linspace(0, 3, 31)
        np.testing.assert_allclose(found.sol(t), exact(t, 1.0), atol=3e-8)

    def when(k):  # when y = 2, behind the breakpoint
        stop = hs.solvers.Event(lambda t, y, k: y - 2.0, terminal=True)
        return solve(
            switched, (0.0, 3.0), 1.0, "BDF", t_eval=[0.5], args=(k,), breakpoints=[1.0], events=stop, **TIGHT
        ).t_end  # fmt: skip

    assert float(when(1.0)) == pytest.approx(rise, rel=1e-8)
    assert float(hs.grad(when)(1.0)) == pytest.approx(difference(when, 1.0, 1e-3), rel=1e-4)
    # They may be mapped, and are constants.
    jumps = lambda at: solve(
        lambda t, y: hs.where(t < at[0], 1.0, 2.0) + 0.0 * y, (0.0, 3.0), 0.0, "Adams", t_eval=[2.0], breakpoints=at, **TIGHT
    ).y[0]  # fmt: skip
    at = hs.array([[0.5], [1.5]])
    np.testing.assert_allclose(hs.vmap(jumps)(at), [0.5 + 3.0, 1.5 + 1.0], rtol=1e-9)
    # Attempts are counted over all pieces.
    quiet = {"max_steps": 60, "raise_on_failure": False, "breakpoints": [1.0]}
    short = solve(switched, (0.0, 3.0), 1.0, "BDF", t_eval=[0.01, 3.0], **quiet, **TIGHT)
    assert int(short.status) == 1 and 60 <= int(short.stats["accepted"]) + int(short.stats["rejected"]) <= 62
    assert np.isnan(np.asarray(short.y)).tolist() == [False, True]


def test_auto_takes_them_for_large_states():
    n = 300
    sol = hs.solvers.solve_ivp(
        lambda t, y: -1e5 * (y - hs.cos(t)), (0.0, 1.0), hs.zeros((n,)), "auto", t_eval=[1.0], breakpoints=[0.5],
        save=lambda t, y: hs.sum(y),
    )  # fmt: skip
    assert "steps_BDF" in sol.stats
    assert float(sol.y[0]) == pytest.approx(n * math.cos(1.0), rel=1e-3)


# save --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_save(method):
    field = lambda t, y: {"x": y["v"], "v": -y["x"]}
    energy = lambda t, y: (hs.sum(y["x"] ** 2 + y["v"] ** 2), {"t": t})
    start = {"x": hs.ones((3,)), "v": hs.zeros((3,))}
    t = hs.linspace(0.0, 2.0, 5)
    sol = solve(field, (0.0, 2.0), start, method, t_eval=t, save=energy, **TIGHT)
    np.testing.assert_allclose(sol.y[0], np.full(5, 3.0), rtol=1e-6)
    np.testing.assert_array_equal(sol.y[1]["t"], t)
    steps = solve(field, (0.0, 2.0), start, method, save=energy)
    assert steps.y[0].shape == steps.t.shape and float(steps.y[0][0]) == 3.0
    assert solve(field, (0.0, 2.0), start, method, t_eval=hs.zeros((0,)), save=energy).y[0].shape == (0,)
    first = hs.solvers.Event(lambda t, y: y["x"][0], terminal=True)
    ended = solve(field, (0.0, 2.0), start, method, t_eval=t, save=energy, events=first, **TIGHT)
    assert ended.y[0].shape == (4,) and ended.y_end["x"].shape == (3,)
    padded = hs.compile(
        lambda s: solve(field, (0.0, 2.0), s, method, t_eval=t, save=energy, events=first).y[0]
    )
    assert np.isnan(padded(start)).tolist() == [False] * 4 + [True]
    # Rows that are not there have no part in derivatives.
    slope = hs.grad(lambda s: hs.sum(hs.where(hs.arange(5) < 4, padded(s), 0.0)))(start)["x"]
    np.testing.assert_allclose(slope, np.full(3, 8.0), rtol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_derivatives_of_what_is_saved(method):
    def scaled(a, **options):
        return solve(
            lambda t, y, a: -a * y, (0.0, 1.0), 1.0, method, t_eval=[1.0], args=(a,), save=lambda t, y, a: a * y,
            **TIGHT, **options,
        ).y[0]  # fmt: skip

    for options in ({}, {"adjoint": hs.solvers.Forward()}):
        value = lambda a: scaled(a, **options)
        assert float(hs.grad(value)(0.5)) == pytest.approx(0.5 * math.exp(-0.5), abs=1e-7)
        assert float(hs.jvp(value, (0.5,), (1.0,))[1]) == pytest.approx(0.5 * math.exp(-0.5), abs=1e-7)
    assert float(hs.grad(hs.grad(scaled))(0.5)) == pytest.approx(-1.5 * math.exp(-0.5), abs=1e-6)
    np.testing.assert_allclose(
        hs.vmap(scaled)(hs.array([0.5, 1.0])), [0.5 * math.exp(-0.5), math.exp(-1)], rtol=1e-7
    )
    assert float(hs.compile(scaled)(0.5)) == float(scaled(0.5))


def test_what_is_saved_of_a_failure():
    options = {
        "t_eval": [0.5, 2.0],
        "raise_on_failure": False,
        "save": lambda t, y: hs.where(y > 0, 1.0, 0.0),
    }
    sol = solve(lambda t, y: y**2, (0.0, 3.0), 1.0, "BDF", **options)
    assert not sol.success and np.isnan(np.asarray(sol.y)).tolist() == [False, True]
    with pytest.raises(ValueError, match="save and dense_output exclude one another"):
        solve(lambda t, y: -y, (0.0, 1.0), 1.0, "BDF", save=lambda t, y: y, dense_output=True)


# dense_output ------------------------------------------------------------------------------------------------


def oscillator(t, y, w=1.0):
    return {"x": y["v"], "v": -(w**2) * y["x"]}


def solved(w, method, **options):
    return solve(
        oscillator, (0.0, 6.0), {"x": 1.0, "v": 0.0}, method, args=(w,), dense_output=True, **(TIGHT | options)
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_dense_values_and_derivatives(method):
    t = np.linspace(0.0, 6.0, 23).reshape(23, 1)
    plain = solved(1.3, method)
    y = plain.sol(t)
    assert y["x"].shape == (23, 1) and plain.sol(0.5)["v"].shape == ()
    np.testing.assert_allclose(y["x"], np.cos(1.3 * t), atol=1e-7)
    np.testing.assert_allclose(y["v"], -1.3 * np.sin(1.3 * t), atol=1e-7)
    # At output times and at the ends of steps it is the solution itself.
    options = {"t_eval": t[:, 0], "args": (1.3,)} | TIGHT
    alone = solve(oscillator, (0.0, 6.0), {"x": 1.0, "v": 0.0}, method, **options)
    np.testing.assert_allclose(y["x"][:, 0], alone.y["x"], atol=1e-14)
    np.testing.assert_allclose(plain.sol(plain.t)["x"], plain.y["x"], atol=1e-15)
    given = solved(1.3, method, t_eval=[0.5, 2.0, 6.0])
    np.testing.assert_array_equal(given.t, [0.5, 2.0, 6.0])
    np.testing.assert_array_equal(given.y["x"], given.sol([0.5, 2.0, 6.0])["x"])
    # In times, which may come in any order, and in a parameter: x(t) = cos(w t), dx/dw = -t sin(w t).
    times, c = np.array([5.0, 0.0, 3.0, 3.0, 6.0]), np.array([1.0, 2.0, -1.0, 0.5, 3.0])
    slopes = hs.grad(lambda t: hs.sum(plain.sol(t)["x"] * c))(hs.array(times))
    np.testing.assert_allclose(slopes, -1.3 * np.sin(1.3 * times) * c, atol=1e-6)
    value = lambda w: hs.sum(solved(w, method).sol(times)["x"] * c)
    expected = float(np.sum(-times * np.sin(1.3 * times) * c))
    assert float(hs.grad(value)(1.3)) == pytest.approx(expected, abs=2e-6)
    assert float(hs.jvp(value, (1.3,), (1.0,))[1]) == pytest.approx(expected, abs=2e-6)
    bend = float(np.sum(-(times**2) * np.cos(1.3 * times) * c))
    assert float(hs.grad(hs.grad(value))(1.3)) == pytest.approx(bend, abs=2e-5)


@pytest.mark.parametrize("method", ["BDF", "ARKODE_ERK"])
def test_dense_maps_and_programs(method, tmp_path):
    sol = solved(1.3, method).sol
    t = hs.linspace(0.0, 6.0, 4)
    values = sol(t)["x"]
    np.testing.assert_allclose(hs.vmap(lambda t: sol(t)["x"])(t), values, rtol=1e-13)
    np.testing.assert_allclose(hs.compile(lambda s, t: s(t)["x"])(sol, t), values, rtol=1e-13)
    slopes = hs.vmap(hs.grad(lambda t: sol(t)["x"]))(t)
    np.testing.assert_allclose(slopes, sol(t)["v"], atol=1e-6)
    np.testing.assert_allclose(hs.compile(hs.vmap(hs.grad(lambda t: sol(t)["x"])))(t), slopes, rtol=1e-12)
    outside = hs.compile(lambda t: sol(t)["x"])(hs.array([-1.0, 1.0, math.nan]))
    assert np.isnan(outside).tolist() == [True, False, True]
    late = hs.grad(lambda t: sol(t)["x"])(6.0 * (1 + 1e-15))  # outside by rounding
    assert float(late) == pytest.approx(-1.3 * math.sin(7.8), abs=1e-6)
    program = hs.compile(hs.grad(lambda t: hs.sum(sol(t)["x"])))
    hs.save_program(tmp_path / "dense.hsp", program, t)
    np.testing.assert_array_equal(hs.load_program(tmp_path / "dense.hsp")(t), program(t))


def test_dense_spans_dtypes_and_ends():
    back = solve(lambda t, y: -y, (2.0, 0.0), math.exp(-2), "BDF", dense_output=True, **TIGHT).sol
    np.testing.assert_allclose(back([0.0, 1.0, 2.0]), np.exp([0.0, -1.0, -2.0]), rtol=1e-7)
    slope = hs.grad(lambda t: hs.sum(back(t)))(hs.array([0.5, 1.5]))
    np.testing.assert_allclose(slope, -np.exp([-0.5, -1.5]), rtol=1e-6)
    still = solve(lambda t, y: -y, (2.0, 2.0), 3.0, "Adams", dense_output=True).sol
    assert float(still(2.0)) == 3.0
    empty = solve(lambda t, y: -y, (0.0, 1.0), hs.zeros((0,)), "BDF", dense_output=True).sol
    assert empty([0.5, 1.0]).shape == (2, 0)
    mixed = {"a": hs.ones((2, 3), dtype=hs.float32), "b": hs.array(2.0)}
    sol = solve(
        lambda t, y: {"a": -y["a"], "b": -2.0 * y["b"]}, (0.0, 1.0), mixed, "BDF", dense_output=True, rtol=1e-8
    ).sol  # fmt: skip
    y = sol([0.25, 0.5])
    assert y["a"].shape == (2, 2, 3) and y["a"].dtype == hs.float32 and y["b"].dtype == hs.float64
    np.testing.assert_allclose(y["a"][1], np.full((2, 3), math.exp(-0.5)), rtol=1e-6)
    stop = hs.solvers.Event(lambda t, y: y - 0.5, terminal=True)
    ended = solve(
        lambda t, y: -y, (0.0, 3.0), 1.0, "BDF", dense_output=True, events=stop, t_eval=[0.5, 2.0], **TIGHT
    )
    np.testing.assert_array_equal(ended.t, [0.5])
    assert float(ended.sol(0.6)) == pytest.approx(math.exp(-0.6), rel=1e-7)
    with pytest.raises(ValueError, match="t holds 2, which lies outside the solution, from 0 to 0.693"):
        ended.sol(2.0)


def test_dense_failures_and_refusals():
    quiet = {"raise_on_failure": False, "dense_output": True}
    sol = solve(lambda t, y: y**2, (0.0, 3.0), 1.0, "BDF", t_eval=[0.5, 2.0], **quiet)
    assert not sol.success and np.isnan(np.asarray(sol.y)).tolist() == [False, True]
    assert float(sol.sol(0.5)) == pytest.approx(2.0, rel=2e-2)  # what was computed is there
    with pytest.raises(hs.TraceError, match="dense_output keeps every step"):
        hs.compile(lambda y: solve(lambda t, y: -y, (0.0, 1.0), y, "BDF", t_eval=[1.0], dense_output=True).y)(
            1.0
        )
    with pytest.raises(hs.TraceError, match="dense_output keeps every step"):
        hs.vmap(lambda y: solve(lambda t, y: -y, (0.0, 1.0), y, "BDF", dense_output=True).y)(hs.ones((2,)))
