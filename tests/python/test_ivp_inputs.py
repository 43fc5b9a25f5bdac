"""What drives a solve and what is kept of it: breakpoints, interpolated data, save."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline, CubicSpline

import hesse as hs

solve = hs.solvers.solve_ivp
interpolate = hs.solvers.interpolate
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def switched(t, y, k=1.0):
    """dy/dt = -k y, and from t = 1 on +5 more."""
    return -k * y + hs.astype(hs.where(t < 1.0, 0.0, 5.0), y.dtype)


def exact(t, k):
    before = np.exp(-k * t)
    return np.where(t < 1.0, before, before + 5 / k * (1 - np.exp(-k * (t - 1.0))))


@pytest.mark.parametrize("method", ["Tsit5", "Dopri5", "Dop853", "Rodas5P", "Kvaerno5"])
def test_breakpoints_waste_no_steps(method):
    t = hs.linspace(0.0, 3.0, 13)
    plain = solve(switched, (0.0, 3.0), 1.0, method, t_eval=t, **TIGHT)
    told = solve(switched, (0.0, 3.0), 1.0, method, t_eval=t, breakpoints=[1.0, 7.0], **TIGHT)
    assert int(told.stats["rejected"]) < int(plain.stats["rejected"])
    np.testing.assert_allclose(told.y, exact(np.asarray(t), 1.0), atol=1e-7)
    steps = solve(switched, (0.0, 3.0), 1.0, method, breakpoints=[1.0], **TIGHT).t
    assert any(abs(float(s) - 1.0) < 1e-15 for s in steps)


def test_breakpoints_with_everything_else():
    def last(k, **options):
        return solve(
            switched, (0.0, 3.0), 1.0, t_eval=[1.0, 3.0], args=(k,), breakpoints=[1.0], **TIGHT, **options
        ).y[-1]

    h = 1e-5
    slope = float(exact(3.0, 1.3 + h) - exact(3.0, 1.3 - h)) / (2 * h)
    assert float(hs.grad(last)(1.3)) == pytest.approx(slope, rel=1e-6)
    assert float(hs.compile(hs.grad(last))(1.3)) == pytest.approx(slope, rel=1e-6)
    assert float(hs.jvp(last, (1.3,), (1.0,))[1]) == pytest.approx(slope, rel=1e-6)
    together = hs.vmap(last)(hs.array([0.5, 1.3]))
    np.testing.assert_allclose(together, [float(exact(3.0, 0.5)), float(exact(3.0, 1.3))], rtol=1e-7)
    # Backwards in time, in single precision, with an event and a dense output.
    back = solve(switched, (3.0, 0.0), float(exact(3.0, 1.0)), breakpoints=[1.0], **TIGHT)
    assert float(back.y[-1]) == pytest.approx(1.0, abs=1e-6)
    single = solve(switched, (0.0, 3.0), hs.array(1.0, dtype=hs.float32), breakpoints=[1.0], rtol=1e-5)
    assert float(single.y[-1]) == pytest.approx(float(exact(3.0, 1.0)), rel=1e-4)
    sol = solve(
        switched, (0.0, 3.0), 1.0, breakpoints=[1.0], events=lambda t, y: y - 2.0, dense_output=True, **TIGHT
    )
    assert float(sol.t_events[0][0]) == pytest.approx(1.0 + math.log((5 - math.exp(-1)) / 3), rel=1e-8)
    t = np.linspace(0, 3, 31)
    np.testing.assert_allclose(sol.sol(t), exact(t, 1.0), atol=1e-7)
    # At the ends of the span, and none.
    for points in ([0.0], [3.0], []):
        assert float(
            solve(lambda t, y: -y, (0.0, 3.0), 1.0, breakpoints=points, **TIGHT).y[-1]
        ) == pytest.approx(math.exp(-3), rel=1e-7)


def test_interpolation():
    times = np.array([0.0, 0.5, 1.5, 2.0, 4.0])
    values = np.stack([np.sin(times), times**2], 1)
    t = np.linspace(0.0, 4.0, 17)
    linear = interpolate(times, values, "linear")
    np.testing.assert_allclose(linear(t)[:, 0], np.interp(t, times, values[:, 0]), atol=1e-15)
    cubic = interpolate(times, values)
    np.testing.assert_allclose(cubic(t)[:, 1], t**2, atol=1e-13)
    reference = CubicHermiteSpline(times, values, np.asarray(cubic.slopes))
    np.testing.assert_allclose(cubic(t), reference(t), atol=1e-13)
    np.testing.assert_allclose(
        hs.vmap(hs.jacfwd(cubic))(hs.array(t[1:-1])), reference(t[1:-1], 1), atol=1e-12
    )
    assert cubic(t.reshape(17, 1)).shape == (17, 1, 2) and cubic(1.0).shape == (2,)
    np.testing.assert_allclose(cubic(hs.array([-1.0, 9.0])), values[[0, -1]])
    v, tangent = hs.array(values[:, 0]), hs.array([0.3, -1.0, 0.5, 2.0, 1.0])
    for kind in ("linear", "cubic"):
        at = lambda v: interpolate(times, v, kind)(1.7)
        slope = (float(at(v + 1e-6 * tangent)) - float(at(v - 1e-6 * tangent))) / 2e-6
        assert float(hs.sum(hs.grad(at)(v) * tangent)) == pytest.approx(slope, rel=1e-8)
        assert float(hs.jvp(at, (v,), (tangent,))[1]) == pytest.approx(slope, rel=1e-8)
        assert float(hs.compile(at)(v)) == pytest.approx(float(at(v)), rel=1e-13)
    two = interpolate([0.0, 2.0], hs.array([1.0, 3.0], dtype=hs.float32))
    assert float(two(0.5)) == 1.5 and two(0.5).dtype == hs.float32


@pytest.mark.parametrize("kind", ["natural", "not-a-knot"])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 40])
def test_splines_as_scipy_has_them(kind, n):
    rng = np.random.default_rng(n)
    times, values = np.cumsum(rng.uniform(0.1, 3.0, n)), rng.normal(size=(n, 2, 3))
    spline, reference = interpolate(times, values, kind), CubicSpline(times, values, bc_type=kind)
    t = np.concatenate([np.linspace(times[0], times[-1], 50), times])
    np.testing.assert_allclose(spline(t), reference(t), atol=1e-12)
    slopes = hs.vmap(hs.jacfwd(spline))(hs.array(t[1:49]))
    np.testing.assert_allclose(slopes, reference(t[1:49], 1), atol=1e-11)
    single = interpolate(times, hs.array(values, dtype=hs.float32), kind)
    assert single(t).dtype == hs.float32
    np.testing.assert_allclose(single(t), reference(t), atol=1e-4)
    turned = interpolate(times, values * 1j, kind)(t)
    np.testing.assert_allclose(turned, 1j * reference(t), atol=1e-12)


@pytest.mark.parametrize("kind", ["natural", "not-a-knot"])
def test_derivatives_of_splines(kind):
    rng = np.random.default_rng(7)
    times, values = hs.array(np.cumsum(rng.uniform(0.5, 1.5, 6))), hs.array(rng.normal(size=6))
    dt, dv = hs.array(0.1 * rng.normal(size=6)), hs.array(rng.normal(size=6))
    at = lambda t, v: interpolate(t, v, kind)(3.3) ** 2
    along = lambda s: at(times + s * dt, values + s * dv)
    difference = lambda f, h: (float(f(h)) - float(f(-h))) / (2 * h)
    reference = lambda s: float(
        CubicSpline(np.asarray(times + s * dt), np.asarray(values + s * dv), bc_type=kind)(3.3) ** 2
    )
    slope = difference(reference, 1e-5)
    assert float(hs.jvp(along, (0.0,), (1.0,))[1]) == pytest.approx(slope, rel=1e-7)
    g_t, g_v = hs.grad(at, argnums=(0, 1))(times, values)
    assert float(hs.sum(g_t * dt) + hs.sum(g_v * dv)) == pytest.approx(slope, rel=1e-7)
    bend = difference(lambda s: hs.grad(along)(s), 1e-4)
    assert float(hs.grad(hs.grad(along))(0.0)) == pytest.approx(bend, rel=1e-5)
    many = values + hs.array(rng.normal(size=(3, 1)))
    mapped = hs.vmap(lambda v: interpolate(times, v, kind)(3.3))(many)
    one_by_one = [float(interpolate(times, v, kind)(3.3)) for v in many]
    np.testing.assert_allclose(mapped, one_by_one, rtol=1e-13)
    compiled = hs.compile(lambda t, v: interpolate(t, v, kind)(3.3))(times, values)
    assert float(compiled) == pytest.approx(float(interpolate(times, values, kind)(3.3)), rel=1e-13)
    assert np.isnan(float(interpolate(times, values + hs.array([math.nan] + [0.0] * 5), kind)(3.3)))


def test_data_drive_a_solve():
    times = hs.linspace(0.0, 4.0, 9)

    def last(values, kind):
        data = interpolate(times, values, kind)
        return solve(lambda t, y: data(t), (0.0, 4.0), 0.0, t_eval=[4.0], breakpoints=times, **TIGHT).y[0]

    values = hs.sin(times)
    assert float(last(values, "linear")) == pytest.approx(float(np.trapezoid(values, times)), rel=1e-9)
    # The weights of the trapezoidal rule.
    weights = hs.grad(lambda v: last(v, "linear"))(values)
    np.testing.assert_allclose(weights, 0.5 * np.array([0.5] + [1.0] * 7 + [0.5]), rtol=1e-8)
    assert float(last(values, "cubic")) == pytest.approx(1 - math.cos(4.0), abs=5e-3)


def test_save():
    def field(t, y):
        return {"x": y["v"], "v": -y["x"]}

    def energy(t, y):
        return hs.sum(y["x"] ** 2 + y["v"] ** 2), t

    start = {"x": hs.ones((3,)), "v": hs.zeros((3,))}
    t = hs.linspace(0.0, 2.0, 5)
    sol = solve(field, (0.0, 2.0), start, t_eval=t, save=energy, **TIGHT)
    np.testing.assert_allclose(sol.y[0], np.full(5, 3.0), rtol=1e-7)
    np.testing.assert_array_equal(sol.y[1], t)
    steps = solve(field, (0.0, 2.0), start, save=energy)
    assert steps.y[0].shape == steps.t.shape and float(steps.y[0][0]) == 3.0
    first = hs.solvers.Event(lambda t, y: y["x"][0], terminal=True)
    ended = solve(field, (0.0, 2.0), start, t_eval=t, save=energy, events=first, **TIGHT)
    assert ended.y[0].shape == (4,) and ended.y_end["x"].shape == (3,)
    padded = hs.compile(lambda s: solve(field, (0.0, 2.0), s, t_eval=t, save=energy, events=first).y[0])(
        start
    )
    assert np.isnan(padded).tolist() == [False] * 4 + [True]

    def scaled(a):
        return solve(
            lambda t, y, a: -a * y,
            (0.0, 1.0),
            1.0,
            t_eval=[1.0],
            args=(a,),
            save=lambda t, y, a: a * y,
            **TIGHT,
        ).y[0]

    assert float(hs.grad(scaled)(0.5)) == pytest.approx(0.5 * math.exp(-0.5), rel=1e-7)
    np.testing.assert_allclose(
        hs.vmap(scaled)(hs.array([0.5, 1.0])), [0.5 * math.exp(-0.5), math.exp(-1)], rtol=1e-7
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"save": 3}, TypeError, "save"),
        ({"save": lambda t, y: ()}, ValueError, "save returns no arrays"),
        ({"save": lambda t, y: y > 0}, TypeError, r"save returns bool\[\]"),
        ({"save": lambda t, y: y, "dense_output": True}, ValueError, "exclude one another"),
        ({"breakpoints": 1.0}, ValueError, r"breakpoints have shape \(\)"),
        ({"breakpoints": [1j]}, TypeError, "breakpoints have dtype complex128"),
    ],
)
def test_refusals(options, error, message):
    with pytest.raises(error, match=message):
        solve(lambda t, y: -y, (0.0, 1.0), 1.0, **options)


@pytest.mark.parametrize(
    ("times", "values", "kind", "error", "message"),
    [
        ([0.0], [1.0], "cubic", ValueError, "expected one axis with 2 times or more"),
        ([0.0, 1.0], [1.0], "cubic", ValueError, r"values have shape \(1,\) for 2 times"),
        ([0.0, 1.0, 1.0], [1.0, 2.0, 3.0], "cubic", ValueError, "times do not ascend"),
        ([0.0, 1.0], [1, 2], "cubic", TypeError, "convert them with astype"),
        (
            [0.0, 1.0],
            [1.0, 2.0],
            "quintic",
            ValueError,
            "kind is 'quintic', expected linear, cubic, natural or not-a-knot",
        ),
        ([0.0, 1.0], [1.0, 2.0], 3, TypeError, "kind is 3"),
        ([0j, 1.0], [1.0, 2.0], "linear", TypeError, "times have dtype complex128"),
    ],
)
def test_refusals_of_data(times, values, kind, error, message):
    with pytest.raises(error, match=message):
        interpolate(times, values, kind)


def test_breakpoints_may_repeat_and_first_steps_behind_them_are_limited():
    def field(t, y):
        return hs.where(t < 1.0, 1.0, -2.0) + 0.0 * y

    sol = solve(field, (0.0, 3.0), 0.0, breakpoints=[1.0, 1.0, 1.0], max_step=0.25, **TIGHT)
    assert float(sol.y[-1]) == pytest.approx(1.0 - 4.0, abs=1e-12)
    assert np.diff(np.asarray(sol.t)).max() <= 0.25 * (1 + 1e-12)
    single = solve(
        lambda t, y: hs.astype(field(t, 0.0), hs.float32) + 0.0 * y, (0.0, 3.0), hs.array(0.0, dtype=hs.float32),
        breakpoints=[1.0, 1.0 + 1e-12], rtol=1e-5,
    )  # fmt: skip
    assert float(single.y[-1]) == pytest.approx(-3.0, abs=1e-5)


def test_breakpoints_keep_the_counts_of_auto():
    sol = solve(lambda t, y: -1e4 * (y - hs.cos(t)), (0.0, 2.0), 0.0, "auto", breakpoints=[1.0, 1.9])
    assert int(sol.stats["steps_Tsit5"]) + int(sol.stats["steps_Rodas5P"]) == int(sol.stats["accepted"])
    before = solve(lambda t, y: -1e4 * (y - hs.cos(t)), (0.0, 1.0), 0.0, "auto")
    assert int(sol.stats["steps_Rodas5P"]) > int(before.stats["steps_Rodas5P"]) > 0


def test_breakpoints_may_be_mapped():
    def last(at):
        stop = hs.solvers.Event(lambda t, y: y - 10.0, terminal=True)
        return solve(
            lambda t, y: hs.where(t < at[0], 1.0, 2.0) + 0.0 * y, (0.0, 3.0), 0.0, t_eval=[2.0], breakpoints=at,
            events=stop, **TIGHT,
        ).y[0]  # fmt: skip

    at = hs.array([[0.5], [1.5]])
    np.testing.assert_allclose(hs.vmap(last)(at), [0.5 + 3.0, 1.5 + 1.0], rtol=1e-9)
