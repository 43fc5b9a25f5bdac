"""The stiff set against stored reference solutions (tests/golden/make_stiff.py): values and derivatives of all methods.

Errors are those of the worst entry and time, |y - reference| / (scale + |reference|).
"""

import numpy as np
import pytest
from stiff_problems import PROBLEMS, reference

import hesse as hs
from hesse import _hesse

METHODS = ("Rodas5P", "Rodas4", "Kvaerno3", "KenCarp4", "Kvaerno5", "BDF")
NAMES = tuple(PROBLEMS)


# Solvers control the error of a step. Where more than ten times the tolerance comes of it:
ACCUMULATED = {("HIRES", "Kvaerno3"): 13, ("HIRES", "BDF"): 18, ("VDPOL", "BDF"): 15}


def skip_without(method):
    if method == "BDF" and not _hesse.solvers.has_cvode():
        pytest.skip("this build has no SUNDIALS")


def solution(problem, p, method, rtol):
    return hs.solvers.solve_ivp(
        problem.field(hs),
        (0.0, problem.times[-1]),
        hs.array(problem.y0),
        method,
        problem.times,
        args=(p,),
        rtol=rtol,
        atol=rtol * problem.scale,
        max_steps=1_000_000,
    ).y


def error(problem, y, expected):
    return (np.abs(np.asarray(y) - expected) / (problem.scale + np.abs(expected))).max()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_values(name, method):
    skip_without(method)
    problem, rtol = PROBLEMS[name], 1e-5
    y = solution(problem, hs.array(problem.p), method, rtol)
    assert error(problem, y, reference(name)[0]) < ACCUMULATED.get((name, method), 10) * rtol


def weights(problem, expected):
    """Of a loss in which every entry counts alike."""
    rng = np.random.default_rng(0)
    return rng.normal(size=expected.shape) / (problem.scale + np.abs(expected))


def loss_of(problem, method, rtol):
    w = weights(problem, reference(problem.name)[0])
    varied = list(problem.varied)

    def loss(log_p):
        p = hs.array(problem.p)
        p = p.at[hs.array(varied)].set(hs.exp(log_p))
        return hs.sum(w * solution(problem, p, method, rtol))

    return loss, np.log(problem.p[varied])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_adjoints_agree_with_forward_sensitivities(name, method):
    skip_without(method)
    problem = PROBLEMS[name]
    loss, x = loss_of(problem, method, 1e-5)
    gradient = np.asarray(hs.compile(hs.grad(loss))(x))
    forward = hs.compile(lambda e: hs.jvp(loss, (x,), (e,))[1])
    expected = np.array([float(forward(e)) for e in np.eye(len(x))])
    # That of the steps is exact; BDF's two are solves of their own.
    tolerance = 1e-8 if method != "BDF" else 1e-2
    assert np.abs(gradient - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize("method, rtol", [("Rodas5P", 1e-11), ("BDF", 1e-11)])
@pytest.mark.parametrize("name", NAMES)
def test_adjoints_agree_with_complex_steps(name, method, rtol):
    skip_without(method)
    problem = PROBLEMS[name]
    loss, x = loss_of(problem, method, rtol)
    y, dy = reference(name)
    expected = np.einsum("tn,tnj->j", weights(problem, y), dy)
    gradient = np.asarray(hs.compile(hs.grad(loss))(x))
    assert np.abs(gradient - expected).max() < 1e-8 * np.abs(expected).max()
