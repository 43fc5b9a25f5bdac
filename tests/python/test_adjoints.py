"""The parameter `adjoint` of solve_ivp: each gives the same derivatives, and those that do not exist are refused."""

import subprocess
import sys

import numpy as np
import pytest

import hesse as hs
from hesse import _hesse
from hesse.solvers import Discrete, Forward, Interpolating, solve_ivp

TS, Z = np.array([0.5, 1.0, 2.0]), np.array([1.0, 0.3, 1.2, 0.8, 0.1, 0.5, 1.0, 2.0])
WEIGHTS = np.random.default_rng(0).normal(size=(3, 2))


def oscillator(t, y, p):
    return hs.stack([p[0] * y[1], -p[1] * hs.sin(y[0]) - 0.1 * t * y[1]])


def outcome(z, method, adjoint, rtol=1e-8):
    """A loss of everything that a solution depends on."""
    y = solve_ivp(
        oscillator, (z[4], 3.0), z[:2], method, z[5:], args=(z[2:4],), rtol=rtol, atol=rtol, adjoint=adjoint
    ).y
    return hs.sum(WEIGHTS * y * y)


def multistep(method):
    return method in ("BDF", "Adams")


CASES = [
    (method, adjoint)
    for method in ("Tsit5", "Dop853", "Rodas5P", "BDF")
    for adjoint in (Discrete(), Discrete(1), Discrete(4), Forward(), Interpolating())
    if multistep(method) == isinstance(adjoint, Interpolating) or isinstance(adjoint, Forward)
    if not (method == "BDF" and not _hesse.solvers.has_cvode())
]


@pytest.mark.parametrize("method, adjoint", CASES, ids=str)
def test_gradients_are_those_of_the_default(method, adjoint):
    value, expected = hs.value_and_grad(lambda z: outcome(z, method, None))(Z)
    f = lambda z: outcome(z, method, adjoint)
    rtol = 1e-9 if not multistep(method) else 1e-5
    for transform in (lambda g: g, hs.compile):
        got, gradient = transform(hs.value_and_grad(f))(Z)
        assert float(got) == pytest.approx(float(value), rel=1e-12 if not multistep(method) else 1e-6)
        np.testing.assert_allclose(np.asarray(gradient), np.asarray(expected), rtol=rtol, atol=rtol)
    tangent = hs.jvp(f, (Z,), (np.ones(8),))[1]
    assert float(tangent) == pytest.approx(float(np.sum(np.asarray(expected))), rel=10 * rtol)


@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P", "Kvaerno5"])
def test_checkpoints_of_many_steps(method):
    """The steps that are computed again are those that were taken, to the last bit."""

    def last(k, adjoint):
        return solve_ivp(
            lambda t, y: -k * y, (0.0, 2.0), 1.0, method, [2.0], rtol=1e-9, atol=1e-9, adjoint=adjoint
        ).y[0]

    expected = float(hs.grad(lambda k: last(k, None))(1.3))
    for every in (2, 3, 7):
        for run in (
            hs.grad,
            lambda f: hs.compile(hs.grad(f)),
            lambda f: lambda k: hs.vmap(hs.grad(f))(hs.array([k]))[0],
        ):
            got = float(run(lambda k, n=every: last(k, Discrete(n)))(1.3))
            assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("adjoint", [Discrete(3), Forward()], ids=str)
def test_second_derivatives(adjoint):
    f = lambda z, a: outcome(z, "Tsit5", a, 1e-6)
    expected = np.asarray(hs.hessian(lambda z: f(z, None))(Z))
    for outer in ("forward", "reverse"):
        for inner in ("forward", "reverse"):
            second = hs.jacobian(hs.jacobian(lambda z: f(z, adjoint), mode=inner), mode=outer)(Z)
            np.testing.assert_allclose(
                np.asarray(second), expected, rtol=1e-7, atol=1e-7, err_msg=f"{outer} {inner}"
            )


@pytest.mark.parametrize("adjoint", [Discrete(3), Forward()], ids=str)
def test_vmap_against_a_loop(adjoint):
    z = Z + 0.05 * np.random.default_rng(3).normal(size=(5, 8))
    f = hs.grad(lambda z: outcome(z, "Tsit5", adjoint, 1e-6))
    for batched in (hs.vmap(f), hs.compile(hs.vmap(f))):
        gradients = np.asarray(batched(z))
        for i in range(5):
            np.testing.assert_allclose(gradients[i], np.asarray(f(z[i])), rtol=1e-8, atol=1e-9)


def test_dtypes_and_trees_of_parameters_by_forward_mode():
    def last(p, n=2):
        decay = hs.real(p["c"] * hs.conj(p["c"])) * hs.astype(p["s"], hs.float64)
        counts = hs.arange(n)
        sol = solve_ivp(
            lambda t, y: -decay * y * counts[1], (0, 1), 1.0, t_eval=[1.0], rtol=1e-9, adjoint=Forward()
        )
        return sol.y[0]

    p = {"c": hs.array(0.6 + 0.8j), "s": hs.array(2.0, dtype=hs.float32)}
    g = hs.grad(last)(p)
    assert g["s"].dtype == hs.float32 and float(g["s"]) == pytest.approx(-np.exp(-2), rel=1e-5)
    assert complex(g["c"]) == pytest.approx(-4 * (0.6 - 0.8j) * np.exp(-2), rel=1e-6)


def test_programs_are_saved(tmp_path):
    f = hs.value_and_grad(lambda z: outcome(z, "Tsit5", Forward(), 1e-6))
    hs.save_program(tmp_path / "f.hesse", f, Z)
    _, gradient = hs.load_program(tmp_path / "f.hesse")(Z)
    np.testing.assert_allclose(np.asarray(gradient), np.asarray(f(Z)[1]), rtol=1e-9)


def test_failures_come_through():
    def blows_up(adjoint, raises):
        return lambda y0: solve_ivp(
            lambda t, y: y * y, (0, 2), y0, t_eval=[0.5, 2.0], adjoint=adjoint, raise_on_failure=raises
        ).y[1]

    for adjoint in (Discrete(5), Forward()):
        with pytest.raises(FloatingPointError, match="step became smaller"):
            blows_up(adjoint, True)(1.0)
        assert np.isnan(float(blows_up(adjoint, False)(1.0)))


SCRIPT = """
import resource, sys
import numpy as np
import hesse as hs

adjoint = hs.solvers.Discrete(int(sys.argv[1]) or None)
y0 = np.random.default_rng(0).normal(size=2000)

def loss(k):
    f = lambda t, y: -k * hs.roll(y, 1)
    sol = hs.solvers.solve_ivp(f, (0.0, 1.0), y0, "RK4", [1.0], first_step=1 / 3600, adjoint=adjoint)
    return hs.sum(sol.y * sol.y)

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
g = float(hs.grad(loss)(0.5))
print(g, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_checkpoints_bound_memory():
    def run(every):
        out = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(every)], capture_output=True, text=True, check=True
        )
        gradient, kilobytes = out.stdout.split()
        return float(gradient), float(kilobytes)

    all_steps, few_steps = run(0), run(60)
    assert few_steps[0] == pytest.approx(all_steps[0], rel=1e-10)
    assert few_steps[1] < all_steps[1] / 5


def test_refusals():
    f = lambda t, y: -y
    with pytest.raises(
        ValueError,
        match=r"adjoint Interpolating\(\) .* Tsit5 has Discrete\(\), Forward\(\) and Backsolve\(\)",
    ):
        solve_ivp(f, (0, 1), 1.0, t_eval=[1.0], adjoint=Interpolating())
    with pytest.raises(
        ValueError, match=r"adjoint Discrete\(\) .* BDF has Interpolating\(\) and Forward\(\)"
    ):
        solve_ivp(f, (0, 1), 1.0, "BDF", [1.0], adjoint=Discrete())
    with pytest.raises(ValueError, match=r"Forward\(\) needs t_eval"):
        solve_ivp(f, (0, 1), 1.0, adjoint=Forward())
    with pytest.raises(ValueError, match="give t_eval for Discrete"):
        solve_ivp(f, (0, 1), 1.0, adjoint=Discrete(10))
    for wrong in (0, -1, True, 2.5):
        with pytest.raises(ValueError, match="checkpoint_every is"):
            Discrete(wrong)
    with pytest.raises(TypeError, match="adjoint is 'forward', expected Discrete"):
        solve_ivp(f, (0, 1), 1.0, adjoint="forward")
    assert Discrete(3) == Discrete(3) and hash(Forward()) == hash(Forward())


def test_dense_output_keeps_every_step():
    def solved(adjoint):
        return solve_ivp(lambda t, y: -y, (0, 1), 1.0, t_eval=[1.0], dense_output=True, adjoint=adjoint)

    with pytest.raises(
        ValueError, match="dense_output keeps every step: it excludes Discrete with checkpoint_every"
    ):
        solved(Discrete(checkpoint_every=3))
    with pytest.raises(ValueError, match=r"adjoint Forward\(\) has no dense_output"):
        solved(Forward())


def test_linear_solvers_that_do_not_exist_are_refused_by_all_methods():
    with pytest.raises(ValueError, match="linear_solver is 'qr', expected auto"):
        solve_ivp(lambda t, y: -y, (0, 1), 1.0, linear_solver="qr")
