"""CVODES with banded and sparse Jacobians whose structure is read off the right-hand side."""

from __future__ import annotations

import numpy as np
import pytest

import hesse as hs
from hesse.solvers import solve_ivp

core = hs._hesse.solvers
pytestmark = pytest.mark.skipif(not core.has_cvode(), reason="this build has no CVODES")
needs_klu = pytest.mark.skipif(not core.has_klu(), reason="this build has no KLU")
LINEAR = ["dense", "banded", pytest.param("klu", marks=needs_klu), "ilu", "auto"]


def laplacian(w):
    return hs.concatenate([w[1:2] - w[:1], w[2:] - 2.0 * w[1:-1] + w[:-2], w[-2:-1] - w[-1:]])


def brusselator(n, interleaved):
    """Two species on n points, one after the other or in turn."""

    def f(t, y, d):
        u, v = (y[::2], y[1::2]) if interleaved else (y[:n], y[n:])
        du = 1.0 + u * u * v - 4.0 * u + d[0] * (n - 1) ** 2 * laplacian(u)
        dv = 3.0 * u - u * u * v + d[1] * (n - 1) ** 2 * laplacian(v)
        return hs.reshape(hs.stack([du, dv], 1), (2 * n,)) if interleaved else hs.concatenate([du, dv])

    x = np.linspace(0, 1, n)
    u, v = 1 + np.sin(2 * np.pi * x), np.full(n, 3.0)
    y0 = np.stack([u, v], 1).ravel() if interleaved else np.concatenate([u, v])
    return f, hs.asarray(y0)


D = hs.array([0.02, 0.03])


def final(f, y0, d, linear_solver="auto", rtol=1e-8, **options):
    return solve_ivp(
        f, (0.0, 1.0), y0, args=(d,), method="BDF", t_eval=[0.5, 1.0], rtol=rtol, atol=1e-10,
        linear_solver=linear_solver, **options,
    )  # fmt: skip


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("linear_solver", LINEAR)
def test_solutions_and_derivatives_agree_with_krylov(linear_solver, interleaved):
    f, y0 = brusselator(20, interleaved)
    y = lambda d, how: final(f, y0, d, how).y
    want = y(D, "krylov")
    np.testing.assert_allclose(y(D, linear_solver), want, rtol=1e-5, atol=1e-7)
    loss = lambda how: lambda d: hs.sum(y(d, how)[-1] ** 2)
    g = hs.grad(loss(linear_solver))(D)
    np.testing.assert_allclose(g, hs.grad(loss("krylov"))(D), rtol=1e-4)
    tangents = [hs.jvp(loss(linear_solver), D, hs.asarray(e))[1] for e in np.eye(2)]
    np.testing.assert_allclose(g, tangents, rtol=1e-5)


@pytest.mark.parametrize("linear_solver", LINEAR[1:])
def test_second_derivatives(linear_solver):
    f, y0 = brusselator(17, True)
    loss = lambda d: hs.sum(final(f, y0, d, linear_solver).y[-1] ** 2)
    v, h = hs.array([1.0, -0.5]), 1e-4
    hv = hs.jvp(hs.grad(loss), D, v)[1]
    differences = (hs.grad(loss)(D + h * v) - hs.grad(loss)(D - h * v)) / (2 * h)
    np.testing.assert_allclose(hv, differences, rtol=2e-3)


def test_against_scipy():
    integrate = pytest.importorskip("scipy.integrate")
    f, y0 = brusselator(30, False)
    g = lambda t, y: np.asarray(f(t, hs.asarray(y), D))
    want = integrate.solve_ivp(g, (0, 1), np.asarray(y0), method="LSODA", rtol=1e-9, atol=1e-11).y[:, -1]
    np.testing.assert_allclose(final(f, y0, D).y[-1], want, rtol=1e-5)


@needs_klu
def test_large_systems_are_sparse_unasked():
    n = 1000
    f, y0 = brusselator(n, False)
    before = core.klu_counts()
    sol = final(f, y0, D, rtol=1e-5)
    assert int(sol.stats["factorisations"]) > 5  # matrices: GMRES makes none
    banded = brusselator(n, True)
    again = final(*banded, D, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(again.y)[-1][::2], np.asarray(sol.y)[-1][:n], rtol=1e-4)
    assert core.klu_counts() == before  # of linear_solve


def test_where_nothing_is_known_to_be_zero():
    a = hs.asarray(np.random.default_rng(0).standard_normal((40, 40)) - 10 * np.eye(40))
    f = lambda t, y: a @ hs.tanh(y)
    y0 = hs.ones(40)
    sol = solve_ivp(f, (0.0, 1.0), y0, method="BDF", t_eval=[1.0])
    assert int(sol.stats["factorisations"]) > 0
    with pytest.raises(ValueError, match="nine tenths are known to be zero"):
        solve_ivp(f, (0.0, 1.0), y0, method="BDF", t_eval=[1.0], linear_solver="banded")


@pytest.mark.parametrize("linear_solver", LINEAR[1:])
def test_mapped_compiled_and_float32(linear_solver):
    f, y0 = brusselator(18, True)
    last = lambda d: final(f, y0, d, linear_solver, rtol=1e-6).y[-1]
    ds = hs.stack([D, 2 * D])
    np.testing.assert_allclose(hs.vmap(last)(ds), [last(d) for d in ds], rtol=1e-9)
    np.testing.assert_allclose(hs.compile(last)(D), last(D), rtol=1e-9)
    single = final(f, hs.astype(y0, hs.float32), hs.astype(D, hs.float32), linear_solver, rtol=1e-4).y[-1]
    assert single.dtype == hs.float32
    np.testing.assert_allclose(single, last(D), rtol=1e-2)


@pytest.mark.parametrize("linear_solver", LINEAR[1:])
def test_bad_values_name_the_entry(linear_solver):
    def f(t, y):
        return laplacian(y) + hs.where(hs.arange(60) == 41, hs.sqrt(0.5 - t), 0.0)

    with pytest.raises(FloatingPointError, match=r"y\[41\]"):
        solve_ivp(f, (0.0, 1.0), hs.ones(60), method="BDF", t_eval=[1.0], linear_solver=linear_solver)


def plane(n, d):
    """Diffusion and wind on n x n points, with a reaction: the factors of its Jacobian fill."""

    def f(t, y, d):
        u = hs.pad(hs.reshape(y, (n, n)), 1)
        mid = u[1:-1, 1:-1]
        spread = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4.0 * mid
        wind = u[2:, 1:-1] - u[:-2, 1:-1] + 0.5 * (u[1:-1, 2:] - u[1:-1, :-2])
        return hs.reshape(d[0] * spread + d[1] * wind - mid**3, (-1,))

    x = np.sin(np.pi * (np.arange(n) + 1) / (n + 1))
    return f, hs.asarray(np.outer(x, x).ravel()), hs.asarray(d)


@pytest.mark.parametrize("method", ["BDF", "ARKODE_DIRK"])
def test_incomplete_factors_precondition_gmres(method):
    f, y0, d = plane(16, [200.0, 30.0])

    def solved(how, d):
        return solve_ivp(
            f, (0.0, 0.1), y0, method, [0.05, 0.1], args=(d,), rtol=1e-7, atol=1e-9, linear_solver=how
        )  # fmt: skip

    want, got = solved("dense", d), solved("ilu", d)
    np.testing.assert_allclose(got.y, want.y, rtol=1e-4, atol=1e-7)
    assert int(got.stats["evaluations"]) < int(solved("krylov", d).stats["evaluations"])
    assert int(got.stats["factorisations"]) > 0
    weights = np.random.default_rng(4).normal(size=y0.shape)
    loss = lambda how: lambda d: hs.sum(solved(how, d).y[0] * weights)
    g = hs.grad(loss("ilu"))(d)  # the adjoint's is the transposed
    np.testing.assert_allclose(g, hs.grad(loss("dense"))(d), rtol=1e-4)
    v = hs.array([1.0, -2.0])
    assert float(hs.jvp(loss("ilu"), (d,), (v,))[1]) == pytest.approx(float(hs.sum(g * v)), rel=1e-4)


def test_no_object_of_sundials_is_left():
    f, y0 = brusselator(20, False)
    for how in ["banded", "ilu", "auto"]:
        hs.grad(lambda d, how=how: hs.sum(final(f, y0, d, how).y))(D)
    assert core.live_sundials_objects() == 0


def test_unknown_solvers_are_refused():
    f, y0 = brusselator(3, False)
    with pytest.raises(ValueError, match="expected auto, dense, banded, klu, krylov or ilu"):
        final(f, y0, D, "qr")
