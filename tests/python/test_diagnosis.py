"""Why a solve gave up, as data and in messages; how far a solve is."""

from __future__ import annotations

import builtins
import re

import numpy as np
import pytest

import hesse as hs

solve = hs.solvers.solve_ivp
BDF = pytest.mark.skipif(not hs._hesse.solvers.has_cvode(), reason="no SUNDIALS in this build")
ADAPTIVE = ["Tsit5", "Dop853", "Rodas5P", "Kvaerno5", "auto", pytest.param("BDF", marks=BDF)]


def failed(*args, **options):
    sol = solve(*args, **options, raise_on_failure=False)
    assert not sol.success
    return sol.diagnosis


# ---- the causes -------------------------------------------------------------------------------------------------------
def test_a_success_has_none():
    for options in ({}, {"raise_on_failure": False}, {"t_eval": [1.0], "raise_on_failure": False}):
        assert solve(lambda t, y: -y, (0.0, 1.0), 1.0, **options).diagnosis is None
    sol = solve(lambda t, y: -y, (0.0, 1.0), 1.0, first_step=hs.array(0.1), raise_on_failure=False)
    assert sol.success and sol.diagnosis is None


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_singular_solution(method):
    """dx/dt = x^2 ends at 1 / x0; the component that grows is the second entry of one array of two."""

    def f(t, y):
        return {"calm": -y["calm"], "wild": y["wild"] ** 2 * hs.array([0.1, 1.0])}

    y0 = {"calm": 1.0, "wild": hs.array([1.0, 2.0])}
    d = failed(f, (0.0, 2.0), y0, method, rtol=1e-6)
    assert d.component == "y['wild'][1]"
    assert int(d.cause) in (5, 6) or (int(d.cause) == 2 and (d.excess > 1 or method == "BDF"))
    np.testing.assert_allclose(float(d.t), 0.5, rtol=1e-3)
    assert d.implicit == (method not in ("Tsit5", "Dop853"))
    with pytest.raises(FloatingPointError, match=re.escape("y['wild'][1]")):
        solve(f, (0.0, 2.0), y0, method, rtol=1e-6)


@pytest.mark.parametrize("method", ["Tsit5", "Dop853", "Bosh3"])
def test_a_stiff_problem(method):
    """Steps of explicit methods end where |h| times the spectral radius, 2000, is 2 to 8."""

    def f(t, y):
        return hs.stack([-2000.0 * (y[0] - hs.cos(t)), -y[1]])

    d = failed(f, (0.0, 10.0), hs.zeros(2), method, max_steps=800)
    assert int(d.cause) == 1 and d.reason == "max_steps attempts did not reach the end"
    np.testing.assert_allclose(float(d.radius), 2000.0, rtol=1e-6)
    assert 1.5 < float(d.stiffness) < 10
    np.testing.assert_allclose(float(d.stiffness), float(d.step * d.radius))
    assert "stiff" in d.advice and "BDF" in d.advice
    with pytest.raises(FloatingPointError, match="step times the spectral radius of df/dy"):
        solve(f, (0.0, 10.0), hs.zeros(2), method, max_steps=800)


@BDF
def test_of_bdf_and_adams():
    f = lambda t, y: hs.stack([-2000.0 * (y[0] - hs.cos(t)), -y[1]])
    for method, implicit in (("BDF", True), ("Adams", False)):
        d = failed(f, (0.0, 10.0), hs.zeros(2), method, [10.0], max_steps=5, rtol=1e-9)
        assert int(d.cause) == 1 and d.implicit == implicit and d.component in ("y[0]", "y[1]")
        np.testing.assert_allclose(float(d.radius), 2000.0, rtol=1e-6)
        assert float(d.excess) >= 0


@BDF
@pytest.mark.parametrize("method", ["ARKODE_ERK", "ARKODE_DIRK"])
def test_of_arkode(method):
    f = lambda t, y: hs.stack([-2000.0 * (y[0] - hs.cos(t)), -y[1]])
    d = failed(f, (0.0, 10.0), hs.zeros(2), method, [10.0], max_steps=5, rtol=1e-9)
    assert int(d.cause) == 1 and d.implicit == (method == "ARKODE_DIRK") and d.component in ("y[0]", "y[1]")
    np.testing.assert_allclose(float(d.radius), 2000.0, rtol=1e-6)
    beyond = lambda t, y: (y[0], hs.stack([y[1][0], hs.sqrt(0.5 - t)]))
    d = failed(beyond, (0.0, 1.0), (1.0, hs.zeros(2)), method)
    assert int(d.cause) in (5, 6) and d.component == "y[1][1]"
    np.testing.assert_allclose(float(d.t), 0.5, atol=1e-3)


@BDF
def test_the_radius_of_a_pair_is_that_of_its_sum():
    pair = (lambda t, y: -y, lambda t, y: -99.0 * y)
    options = {"max_steps": 2, "rtol": 1e-10, "atol": 1e-12}
    d = failed(pair, (0.0, 1.0), hs.ones(2), "ARKODE_IMEX", [1.0], **options)
    assert int(d.cause) == 1 and d.implicit
    np.testing.assert_allclose(float(d.radius), 100.0, rtol=1e-6)


@BDF
@pytest.mark.parametrize("method", ["BDF", "ARKODE_ERK"])
def test_events_of_sundials(method):
    def half(t, y):
        return y - 0.5

    half.terminal = True
    seen = []
    sol = solve(lambda t, y: -y, (0.0, 10.0), 1.0, method, [0.1, 9.0], events=half, progress=seen.append,
                progress_interval=0, raise_on_failure=False)  # fmt: skip
    assert sol.diagnosis is None
    assert [p.done for p in seen] == [False] * (len(seen) - 1) + [True] and seen[-1].t == float(sol.t_end)

    def blows_up(y0):
        return solve(lambda t, y: y * y, (0.0, 2.0), y0, method, [1.5], events=half, raise_on_failure=False)

    for d in (blows_up(1.0).diagnosis, hs.compile(blows_up)(1.0).diagnosis):
        assert int(d.cause) in (2, 3, 5, 6) and d.component == "y"
        np.testing.assert_allclose(float(d.t), 1.0, rtol=1e-2)


@pytest.mark.parametrize("method", ["Rodas5P", "Kvaerno5"])
def test_a_singular_mass_matrix(method):
    """2 dx/dt = x^2 ends at t = 2, and 0 = x - z."""
    f = lambda t, y: hs.stack([y[0] ** 2, y[0] - y[1]])
    d = failed(f, (0.0, 4.0), hs.ones(2), method, [3.0], mass=np.diag([2.0, 0.0]))
    assert int(d.cause) in (2, 3, 4, 5, 6) and d.implicit
    np.testing.assert_allclose(float(d.t), 2.0, rtol=1e-2)


def test_not_stiff():
    d = failed(lambda t, y: hs.cos(50 * t) + 0 * y, (0.0, 100.0), 0.0, max_steps=50)
    assert int(d.cause) == 1 and float(d.stiffness) == 0 and "not stiff" in d.advice


def test_rotations_have_their_radius():
    """Pairs of complex eigenvalues: |J v| varies from one product to the next, its geometric mean does not."""
    a = hs.array([[0.0, 30.0], [-3.0, 0.0]])  # +- i sqrt(90)
    d = failed(lambda t, y: a @ y, (0.0, 100.0), hs.array([1.0, 1.0]), max_steps=20)
    np.testing.assert_allclose(float(d.radius), np.sqrt(90.0), rtol=1e-6)


def test_complex_states_and_float32():
    d = failed(lambda t, y: (-3 + 4j) * y, (0.0, 100.0), hs.array([1.0 + 0j]), max_steps=20)
    np.testing.assert_allclose(float(d.radius), 5.0, rtol=1e-12)
    d = failed(lambda t, y: -7 * y, (0.0, 100.0), hs.array([1.0], dtype=hs.float32), max_steps=20)
    np.testing.assert_allclose(float(d.radius), 7.0, rtol=1e-6)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_nan_beyond_a_time(method):
    """A root of what becomes negative at t = 0.5, in the second array of the state."""

    def f(t, y):
        return y[0], hs.stack([y[1][0], hs.sqrt(0.5 - t)])

    d = failed(f, (0.0, 1.0), (1.0, hs.zeros(2)), method)
    assert int(d.cause) in (5, 6) and d.component == "y[1][1]"
    np.testing.assert_allclose(float(d.t), 0.5, atol=1e-6)
    assert "f is defined" in d.advice


@pytest.mark.parametrize("method", ["Tsit5", "Kvaerno5", pytest.param("BDF", marks=BDF)])
def test_nan_at_the_start(method):
    d = failed(lambda t, y: hs.log(y), (0.0, 1.0), hs.array([1.0, -1.0]), method)
    assert int(d.cause) in (5, 6) and d.component == "y[1]" and float(d.t) == 0
    d = failed(lambda t, y: -y, (0.0, 1.0), hs.array([1.0, np.nan, 1.0]), method)
    assert int(d.cause) == 5 and d.component == "y[1]"


def test_a_jacobian_that_is_not_finite():
    """f = sqrt|y| is finite at 0, its derivative is not."""
    d = failed(lambda t, y: hs.sqrt(hs.abs(y)) + 1, (0.0, 1.0), hs.array([1.0, 0.0]), "Rodas5P")
    assert int(d.cause) == 4 and "derivative of f" in d.advice


def test_equations_that_are_not_solved():
    """At t = 0.5 f begins to jump between two values with the sign of y, whose solution slides along 0."""
    f = lambda t, y: hs.where(t < 0.5, 0.0 * y, -1e9 * hs.where(y > 0, 1.0, -1.0) * (1 + hs.abs(y)))
    d = failed(f, (0.0, 1.0), 1.0, "Kvaerno5", max_steps=5000)
    assert int(d.cause) in (1, 2, 3) and d.advice


def test_foreign_code_has_no_radius():
    def f(t, y):
        return hs.callback(lambda v: np.asarray(v) ** 2, y, y)

    d = failed(f, (0.0, 2.0), hs.array([1.0]))
    assert np.isnan(float(d.radius)) and d.component == "y[0]"
    assert "spectral" not in str(d)


def test_what_it_says():
    d = failed(lambda t, y: y**2, (0.0, 2.0), 1.0)
    assert re.fullmatch(
        r"the error is above the tolerance however small the step \(t = 0\.9999\d*, step \S+; y limits it[^;]*; "
        r"step times the spectral radius of df/dy: \S+\): the solution may be singular there.*",
        str(d),
    ), str(d)


def test_statuses_that_say_all():
    """Options and times that are found wrong when a program runs."""
    f = hs.compile(lambda rtol: solve(lambda t, y: -y, (0.0, 1.0), 1.0, t_eval=[1.0], rtol=rtol,
                                      raise_on_failure=False))  # fmt: skip
    sol = f(-1.0)
    assert int(sol.status) == 5 and int(sol.diagnosis.cause) == 0 and sol.diagnosis.component == ""


# ---- compositions -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P", "Kvaerno5", pytest.param("BDF", marks=BDF)])
def test_vmap_and_compile_agree_with_eager(method):
    def run(rate):
        y0 = hs.stack([hs.asarray(1.0), 0 * rate])
        return solve(lambda t, y: rate * y * y, (0.0, 1.0), y0, method, [1.0], raise_on_failure=False)

    rates = hs.array([0.5, 2.0, 0.9, 4.0])
    eager = [run(r) for r in rates]
    assert [s.diagnosis is None for s in eager] == [True, False, True, False]
    for mapped in (hs.vmap(run)(rates), hs.compile(hs.vmap(run))(rates)):
        d = mapped.diagnosis
        assert d.cause.shape == (4,)
        for k, s in enumerate(eager):
            if s.diagnosis is None:
                assert int(d.cause[k]) == 0
                continue
            for name in ("cause", "array", "entry"):
                assert int(getattr(d, name)[k]) == int(getattr(s.diagnosis, name)), name
            np.testing.assert_allclose(float(d.t[k]), float(s.diagnosis.t), rtol=1e-6)
            assert 0.1 < float(d.radius[k] / s.diagnosis.radius) < 10  # it is infinite at the singularity
        assert d.component == "y[0]" and d.reason == eager[1].diagnosis.reason
    one = hs.compile(run)(rates[3])
    assert int(one.diagnosis.cause) == int(eager[3].diagnosis.cause)
    with pytest.raises(FloatingPointError, match=r"y\[0\]"):
        hs.vmap(lambda r: solve(lambda t, y: r * y * y, (0.0, 1.0), hs.array([1.0, 0.0]), method, [1.0]).y)(
            rates
        )


def test_maps_in_maps():
    """dy/dt = r y^2 ends at 1 / (r y0)."""
    rates, starts = hs.array([0.5, 2.0]), hs.array([1.0, 0.1, 3.0])

    def run(r, y0, raises=False):
        return solve(lambda t, y: r * y * y, (0.0, 1.0), y0, "Tsit5", [1.0], raise_on_failure=raises)

    d = hs.vmap(hs.vmap(run, (None, 0)), (0, None))(rates, starts).diagnosis
    ends = 1 / np.outer(rates, starts)
    np.testing.assert_array_equal(np.asarray(d.cause), np.where(ends < 1, 2, 0))
    np.testing.assert_allclose(np.asarray(d.t), np.minimum(ends, 1.0), rtol=1e-3)
    with pytest.raises(FloatingPointError, match="example 0: map: example 2"):
        hs.vmap(hs.vmap(lambda r, y0: run(r, y0, True).y, (None, 0)), (0, None))(rates, starts)


def test_gradients_pass_and_are_those_of_a_solve_that_raises():
    def last(rate, raises):
        sol = solve(lambda t, y: -rate * y, (0.0, 1.0), 1.0, t_eval=[1.0], raise_on_failure=raises)
        return sol.y[0]

    for f in (lambda r: hs.grad(last)(r, False), lambda r: hs.compile(hs.grad(lambda q: last(q, False)))(r)):
        np.testing.assert_allclose(float(f(2.0)), float(hs.grad(last)(2.0, True)), rtol=1e-12)
    rates = hs.array([1.0, 2.0])
    hs.vmap(hs.grad(lambda r: last(r, False)))(rates)


@pytest.mark.parametrize("adjoint", [hs.solvers.Forward(), hs.solvers.Backsolve()])
def test_adjoints_keep_it(adjoint):
    run = lambda rate: solve(lambda t, y: rate * y * y, (0.0, 1.0), 1.0, t_eval=[1.0],
                             adjoint=adjoint, raise_on_failure=False)  # fmt: skip
    assert run(0.5).diagnosis is None and run(2.0).diagnosis.component == "y"


def test_a_dae():
    if not hs._hesse.solvers.has_cvode():
        pytest.skip("no SUNDIALS in this build")

    def f(t, y, yp):
        x, z = y
        return yp[0] - x * x, z - x

    sol = hs.solvers.solve_dae(f, (0.0, 2.0), (1.0, 1.0), t_eval=[2.0], raise_on_failure=False)
    d = sol.diagnosis
    assert int(d.cause) in (1, 2, 3, 5, 6) and d.implicit and np.isnan(float(d.radius))
    np.testing.assert_allclose(float(d.t), 1.0, atol=0.05)
    assert (
        hs.solvers.solve_dae(f, (0.0, 0.5), (1.0, 1.0), t_eval=[0.5], raise_on_failure=False).diagnosis
        is None
    )


# ---- progress ---------------------------------------------------------------------------------------------------------
METHODS = [
    "Tsit5",
    "Rodas5P",
    "Kvaerno5",
    "RK4",
    pytest.param("BDF", marks=BDF),
    pytest.param("Adams", marks=BDF),
    pytest.param("ARKODE_ERK", marks=BDF),
    pytest.param("ARKODE_DIRK", marks=BDF),
]


def check(seen, t1):
    assert [p.done for p in seen] == [False] * (len(seen) - 1) + [True]
    t = [p.t for p in seen]
    assert t == sorted(t) and t[-1] == pytest.approx(t1)
    assert all((p.t0, p.t1) == (0.0, t1) and p.elapsed >= 0 and p.remaining >= 0 for p in seen)
    assert seen[-1].remaining == 0 and seen[-1].fraction == pytest.approx(1)


@pytest.mark.parametrize("times", [None, [1.0, 20.0]])
@pytest.mark.parametrize("method", METHODS)
def test_progress(method, times):
    seen = []
    options = {"first_step": 0.05} if method == "RK4" else {"rtol": 1e-8, "atol": 1e-8}
    run = lambda **more: solve(
        lambda t, y: -y + hs.sin(t), (0.0, 20.0), 1.0, method, times, **options, **more
    )
    sol = run(progress=seen.append, progress_interval=0)
    check(seen, 20.0)
    assert len(seen) >= 3
    assert (seen[-1].accepted, seen[-1].rejected) == (int(sol.stats["accepted"]), int(sol.stats["rejected"]))
    np.testing.assert_allclose(np.asarray(sol.y), np.asarray(run().y), rtol=1e-10)


def test_progress_of_compiled_functions_and_derivatives():
    seen = []

    def last(rate):
        return solve(lambda t, y: -rate * y, (0.0, 5.0), 1.0, "Tsit5", [5.0], rtol=1e-9, progress=seen.append,
                     progress_interval=0).y[0]  # fmt: skip

    plain = lambda rate: solve(lambda t, y: -rate * y, (0.0, 5.0), 1.0, "Tsit5", [5.0], rtol=1e-9).y[0]
    compiled = hs.compile(last)
    for _ in range(2):
        seen.clear()
        np.testing.assert_allclose(float(compiled(1.0)), float(plain(1.0)), rtol=1e-12)
        check(seen, 5.0)
    np.testing.assert_allclose(float(hs.grad(last)(1.0)), float(hs.grad(plain)(1.0)), rtol=1e-12)
    value, tangent = hs.jvp(last, (1.0,), (1.0,))
    np.testing.assert_allclose(float(tangent), float(hs.grad(plain)(1.0)), rtol=1e-12)
    seen.clear()
    np.testing.assert_allclose(float(hs.compile(hs.grad(last))(1.0)), float(hs.grad(plain)(1.0)), rtol=1e-12)
    assert sum(p.done for p in seen) <= 1


@BDF
def test_progress_of_a_dae_and_derivatives_of_bdf():
    seen = []
    hs.solvers.solve_dae(
        lambda t, y, yp: yp + y, (0.0, 3.0), 1.0, -1.0, progress=seen.append, progress_interval=0
    )
    check(seen, 3.0)
    seen.clear()
    last = lambda k: solve(lambda t, y: -k * y, (0.0, 3.0), 1.0, "BDF", [3.0], progress=seen.append).y[0]
    hs.grad(last)(1.0)
    assert sum(p.done for p in seen) == 1


def test_what_progress_raises_ends_the_solve():
    class Stop(Exception):
        pass

    def stop(p):
        if p.t > 1:
            raise Stop

    for method in ["Tsit5"] + (["BDF"] if hs._hesse.solvers.has_cvode() else []):
        with pytest.raises(Stop):
            solve(
                lambda t, y: -y,
                (0.0, 20.0),
                1.0,
                method,
                [20.0],
                rtol=1e-9,
                progress=stop,
                progress_interval=0,
            )


def test_progress_of_many_solves_is_refused():
    for adjoint in (None, hs.solvers.Forward(), hs.solvers.Backsolve()):
        run = lambda k, how=adjoint: solve(
            lambda t, y: -k * y, (0.0, 1.0), 1.0, t_eval=[1.0], adjoint=how, progress=lambda p: None
        ).y  # fmt: skip
        for f in (hs.vmap(run), hs.compile(hs.vmap(run)), hs.vmap(lambda k, r=run: hs.jvp(r, (k,), (1.0,)))):
            with pytest.raises(hs.TraceError, match="progress is that of one solve"):
                f(hs.arange(3.0))
        assert float(hs.compile(run)(1.0)[0]) == pytest.approx(np.exp(-1), rel=1e-3)
    with pytest.raises(TypeError, match="solve_ivp: progress"):
        solve(lambda t, y: -y, (0.0, 1.0), 1.0, progress=3)
    with pytest.raises(ValueError, match="progress_interval is -1, expected seconds"):
        solve(lambda t, y: -y, (0.0, 1.0), 1.0, progress=print, progress_interval=-1)


def test_the_bar(capsys, monkeypatch):
    run = lambda: solve(lambda t, y: -y, (0.0, 1.0), 1.0, t_eval=[1.0], progress=True)
    pytest.importorskip("tqdm")
    run()
    assert "solve: 100%" in capsys.readouterr().err
    importing = builtins.__import__

    def without_tqdm(name, *args, **kwargs):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_tqdm)
    run()
    assert re.fullmatch(r"solve: t = 1 of 1 \(100\.0 %\), step \S+, \d+ steps, \d+ rejected, 0\.\d s\n",
                        capsys.readouterr().err)  # fmt: skip
