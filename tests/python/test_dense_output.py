"""Solutions between the ends of their steps: exact values, derivatives in times and parameters, maps, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_solve

import hesse as hs

solve = hs.solvers.solve_ivp
TIGHT = {"rtol": 1e-10, "atol": 1e-12}
METHODS = ["Bosh3", "Dopri5", "Tsit5", "Dop853", "Rodas5P", "Kvaerno5", "RK4"]


def oscillator(t, y, w=1.0):
    return {"x": y["v"], "v": -(w**2) * y["x"]}


def solved(w, method="Tsit5", **options):
    options = {"first_step": 0.01} | options if method == "RK4" else TIGHT | options
    return solve(
        oscillator, (0.0, 6.0), {"x": 1.0, "v": 0.0}, method, args=(w,), dense_output=True, **options
    )


@pytest.mark.parametrize("method", METHODS)
def test_values_and_derivatives(method):
    t = np.linspace(0.0, 6.0, 23).reshape(23, 1)
    close = {"Bosh3": 1e-5, "RK4": 1e-7}.get(method, 1e-8)
    loose = {"rtol": 1e-7, "atol": 1e-9} if method == "Bosh3" else {}
    sol = solved(1.3, method, **loose).sol
    y = sol(t)
    assert y["x"].shape == (23, 1)
    np.testing.assert_allclose(y["x"], np.cos(1.3 * t), atol=close)
    np.testing.assert_allclose(y["v"], -1.3 * np.sin(1.3 * t), atol=close)
    # In the time: what the right-hand side says.
    slope = hs.grad(lambda t: sol(t)["x"])(2.345)
    assert float(slope) == pytest.approx(-1.3 * math.sin(1.3 * 2.345), abs=1e3 * close)
    # In a parameter: x(t) = cos(w t), dx/dw = -t sin(w t).
    value = lambda w: solved(w, method, **loose).sol(2.345)["x"]
    expected = -2.345 * math.sin(1.3 * 2.345)
    assert float(hs.grad(value)(1.3)) == pytest.approx(expected, abs=10 * close)
    assert float(hs.jvp(value, (1.3,), (1.0,))[1]) == pytest.approx(expected, abs=10 * close)
    if method == "Tsit5":
        bend = float(hs.grad(hs.grad(value))(1.3))
        assert bend == pytest.approx(-(2.345**2) * math.cos(1.3 * 2.345), abs=1e-6)


def test_it_agrees_with_t_eval_and_with_steps():
    for method in ("Tsit5", "Rodas5P"):
        plain = solved(1.3, method)
        np.testing.assert_allclose(plain.sol(plain.t)["x"], plain.y["x"], rtol=1e-13, atol=1e-13)
        times = hs.linspace(0.5, 5.5, 6)
        given = solved(1.3, method, t_eval=times)
        np.testing.assert_array_equal(given.t, times)
        alone = solve(
            oscillator, (0.0, 6.0), {"x": 1.0, "v": 0.0}, method, t_eval=times, args=(1.3,), **TIGHT
        )
        np.testing.assert_allclose(given.y["x"], alone.y["x"], rtol=1e-9)
        np.testing.assert_allclose(given.sol(times)["x"], given.y["x"], rtol=1e-14)


def test_as_scipy_has_it():
    options = {"rtol": 1e-8, "atol": 1e-10}
    ref = scipy_solve(lambda t, y: [y[1], -np.sin(y[0])], (0, 9), [1.0, 0.0], dense_output=True, **options)
    sol = solve(lambda t, y: (y[1], -hs.sin(y[0])), (0.0, 9.0), (1.0, 0.0), dense_output=True, **options)
    t = np.linspace(0, 9, 50)
    np.testing.assert_allclose(np.stack(sol.sol(t)), ref.sol(t), atol=1e-6)


def test_maps_and_programs():
    sol = solved(1.3).sol
    t = hs.linspace(0.0, 6.0, 7)
    values = sol(t)["x"]
    np.testing.assert_allclose(hs.vmap(lambda t: sol(t)["x"])(t), values, rtol=1e-13)
    np.testing.assert_allclose(hs.compile(lambda s, t: s(t)["x"])(sol, t), values, rtol=1e-13)
    slopes = hs.vmap(hs.grad(lambda t: sol(t)["x"]))(t)
    np.testing.assert_allclose(slopes, sol(t)["v"], atol=1e-6)
    outside = hs.compile(lambda t: sol(t)["x"])(hs.array([-1.0, 3.0, 7.0]))
    assert np.isnan(outside).tolist() == [True, False, True]


def test_backwards_single_precision_and_no_span():
    sol = solve(lambda t, y: y, (1.0, -2.0), math.e, dense_output=True, **TIGHT).sol
    np.testing.assert_allclose(sol([1.0, 0.0, -2.0]), np.exp([1.0, 0.0, -2.0]), rtol=1e-8)
    single = solve(lambda t, y: -y, (0.0, 1.0), hs.array(1.0, dtype=hs.float32), dense_output=True).sol
    assert single(0.5).dtype == hs.float32 and float(single(0.5)) == pytest.approx(math.exp(-0.5), rel=1e-3)
    point = solve(lambda t, y: -y, (1.0, 1.0), 3.0, dense_output=True).sol
    assert float(point(1.0)) == 3.0


@pytest.mark.parametrize("method", ["Tsit5", "Dop853"])
def test_up_to_a_terminal_event(method):
    zero = hs.solvers.Event(lambda t, y, w: y["x"], terminal=2)
    sol = solved(1.0, method, events=zero, t_eval=hs.linspace(0.0, 6.0, 13))
    assert sol.t.shape == (10,)  # 4.5 is before 3 pi / 2
    np.testing.assert_allclose(sol.y["x"], np.cos(np.asarray(sol.t)), atol=1e-8)
    assert float(sol.sol(sol.t_end)["x"]) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="outside the solution"):
        sol.sol(4.9)


def test_failures_and_refusals():
    quiet = {"raise_on_failure": False, "dense_output": True}
    sol = solve(lambda t, y: y**2, (0.0, 3.0), 1.0, t_eval=[0.5, 2.0], **quiet)
    assert not sol.success and np.isnan(np.asarray(sol.y)).tolist() == [False, True]
    assert float(sol.sol(0.5)) == pytest.approx(2.0, rel=1e-2)  # what was computed is there
    sol = solved(1.0).sol
    with pytest.raises(ValueError, match=r"t holds 6.5, which lies outside the solution, from 0 to 6"):
        sol([1.0, 6.5])
    with pytest.raises(TypeError, match="t has dtype complex128"):
        sol(1j)
    with pytest.raises(hs.TraceError, match="dense_output keeps every step"):
        hs.compile(lambda y: solve(lambda t, y: -y, (0.0, 1.0), y, t_eval=[1.0], dense_output=True).y)(1.0)
