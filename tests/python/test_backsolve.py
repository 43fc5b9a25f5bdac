"""adjoint=Backsolve(): its gradients are those of Discrete() as far as the tolerances say, where the problem can be solved
backwards."""

import subprocess
import sys

import numpy as np
import pytest
from ivp_programs import ALL as Z
from ivp_programs import outcome

import hesse as hs
from hesse.solvers import Backsolve, Discrete, Forward, solve_ivp


@pytest.mark.parametrize(
    "method, options",
    [
        *((m, {}) for m in ("Tsit5", "Dopri5", "Dop853", "Bosh3", "Rodas5P", "Kvaerno5", "auto")),
        ("RK4", {"first_step": 0.01}),
        ("Tsit5", {"max_step": 0.05, "first_step": 0.01}),
        ("Tsit5", {"breakpoints": [0.7, 1.5]}),
    ],
    ids=str,
)
def test_gradients_are_those_of_the_steps(method, options):
    rtol = 1e-6 if method == "Bosh3" else 1e-9
    value, expected = hs.value_and_grad(lambda z: outcome(z, method, None, rtol, **options))(Z)
    f = lambda z: outcome(z, method, Backsolve(), rtol, **options)
    tolerance = 1e-7 if method == "RK4" else 300 * rtol
    for transform in (lambda g: g, hs.compile):
        got, gradient = transform(hs.value_and_grad(f))(Z)
        assert float(got) == pytest.approx(float(value), rel=1e-12)
        np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=tolerance)
    tangent = hs.jvp(f, (Z,), (np.ones(8),))[1]
    assert float(tangent) == pytest.approx(float(np.sum(np.asarray(expected))), rel=1e-8)


def test_it_is_another_gradient_with_looser_tolerances():
    """So the test above compares two different computations."""
    exact = np.asarray(hs.grad(lambda z: outcome(z, rtol=1e-11))(Z))
    errors = [
        np.abs(np.asarray(hs.grad(lambda z, r=r: outcome(z, "Tsit5", Backsolve(rtol=r, atol=r)))(Z)) - exact).max()
        for r in (1e-2, 1e-4, 1e-6)
    ]  # fmt: skip
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 2e-6 and errors[0] > 1e-4


def test_the_method_backwards():
    expected = hs.grad(outcome)(Z)
    for method in ("Kvaerno5", "Dop853", "Rodas5P"):
        got = hs.grad(lambda z, m=method: outcome(z, "Tsit5", Backsolve(method=m)))(Z)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["Tsit5", "Rodas5P"])
def test_second_derivatives(method):
    f = lambda z, a: outcome(z, method, a, 1e-8)
    expected = np.asarray(hs.hessian(lambda z: f(z, None))(Z))
    for outer in ("forward", "reverse"):
        for inner in ("forward", "reverse"):
            second = hs.compile(
                hs.jacobian(hs.jacobian(lambda z: f(z, Backsolve()), mode=inner), mode=outer)
            )(Z)
            # Differences of the steps' sizes are not in the derivatives of either.
            np.testing.assert_allclose(
                second, expected, rtol=1e-4, atol=1e-4, err_msg=f"{outer} {inner}"
            )  # fmt: skip


def test_third_derivatives():
    def last(k, adjoint):
        sol = solve_ivp(
            lambda t, y: -k * y, (0.0, 1.0), 1.0, t_eval=[0.3, 1.0], rtol=1e-9, atol=1e-9, adjoint=adjoint
        )
        return sol.y[1] + sol.y[0] ** 2

    third = hs.grad(hs.grad(hs.grad(lambda k: last(k, Backsolve()))))(2.0)
    exact = -np.exp(-2) - 0.6**3 * np.exp(-1.2)
    assert float(third) == pytest.approx(exact, rel=1e-5)


def test_vmap_against_a_loop():
    z = Z + 0.05 * np.random.default_rng(3).normal(size=(5, 8))
    f = hs.grad(lambda z: outcome(z, "Tsit5", Backsolve(), 1e-6))
    for batched in (hs.vmap(f), hs.compile(hs.vmap(f))):
        gradients = np.asarray(batched(z))
        for i in range(5):
            np.testing.assert_allclose(gradients[i], np.asarray(f(z[i])), rtol=1e-7, atol=1e-8)


def test_the_spiral_neural_ode():
    """The field of examples/python/neural_ode_spiral.py, by all its weights, under compile."""
    a = hs.array([[-0.1, 2.0], [-2.0, -0.1]])
    times = hs.linspace(0.0, 1.0, 6)
    starts = hs.array(np.random.default_rng(0).uniform(-1.5, 1.5, size=(8, 2)))

    def trajectories(field, adjoint=None):
        return solve_ivp(field, (0.0, 1.0), starts, "Dopri5", times, rtol=1e-7, atol=1e-9, adjoint=adjoint).y

    truth = trajectories(lambda t, y: y**3 @ a)
    net = hs.nn.MLP([2, 32, 2], hs.tanh, key=hs.random.key(0))

    def loss(net, adjoint):
        return hs.mean((trajectories(lambda t, y: net(y**3), adjoint) - truth) ** 2)

    expected = hs.tree_leaves(hs.compile(hs.grad(lambda n: loss(n, None)))(net))
    got = hs.tree_leaves(hs.compile(hs.grad(lambda n: loss(n, Backsolve())))(net))
    for x, y in zip(got, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_dtypes_trees_and_complex_numbers():
    def last(p, y0, adjoint, n=2):
        decay = hs.real(p["c"] * hs.conj(p["c"])) * hs.astype(p["s"], hs.float64)
        counts = hs.arange(n)
        f = lambda t, y: {"u": hs.astype(-decay * y["u"] * counts[1], hs.float32), "v": 1j * p["c"] * y["v"]}
        y = solve_ivp(f, (0, 1), y0, t_eval=[0.5, 1.0], rtol=1e-6, atol=1e-6, adjoint=adjoint).y
        return hs.sum(y["u"] ** 2) + hs.sum(hs.abs(y["v"]) ** 2)

    p = {"c": hs.array(0.6 + 0.8j), "s": hs.array(2.0, dtype=hs.float32)}
    y0 = {"u": hs.array([1.0, 2.0], dtype=hs.float32), "v": hs.array(1.0 - 0.3j)}
    got = hs.grad(lambda *x: last(*x, Backsolve()), (0, 1))(p, y0)
    expected = hs.grad(lambda *x: last(*x, None), (0, 1))(p, y0)
    for a, b in zip(hs.tree_leaves(got), hs.tree_leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_single_precision():
    z = hs.array(Z, dtype=hs.float32)
    gradient = hs.grad(lambda z: outcome(z, "Tsit5", Backsolve(), 1e-5))(z)
    assert gradient.dtype == hs.float32
    np.testing.assert_allclose(gradient, hs.grad(outcome)(Z), rtol=2e-3, atol=2e-3)


def test_the_gradient_is_homogeneous_in_the_loss():
    """The tolerance of adjoints is relative to the cotangents."""
    f = lambda scale: np.asarray(hs.grad(lambda z: scale * outcome(z, "Tsit5", Backsolve(), 1e-5))(Z))
    np.testing.assert_allclose(1e-12 * f(1e12), f(1.0), rtol=1e-9)
    np.testing.assert_allclose(1e12 * f(1e-12), f(1.0), rtol=1e-9)


def test_outputs_that_the_loss_does_not_read():
    """And an output at the start itself."""

    def f(y0, adjoint):
        sol = solve_ivp(
            lambda t, y: (-y[0] * y[0], -y[1]),
            (0.0, 2.0),
            (y0, 2 * y0),
            t_eval=[0.0, 1.0, 2.0],
            rtol=1e-9,
            atol=1e-9,
            adjoint=adjoint,
        )
        return sol.y[0][0] + sol.y[0][1]

    slope = hs.grad(lambda y: f(y, Backsolve()))(1.5)
    assert float(slope) == pytest.approx(1 + 1 / 2.5**2, rel=1e-7)
    assert float(hs.grad(lambda y: hs.sum(hs.stop_gradient(f(y, Backsolve()))))(1.5)) == 0


def test_breakpoints_are_met_backwards_too():
    def f(k, adjoint):
        switched = lambda t, y: -k * y + hs.where(t < 1.0, 0.0, 5.0 * k)
        return solve_ivp(
            switched,
            (0.0, 2.0),
            1.0,
            t_eval=[0.5, 2.0],
            breakpoints=[1.0],
            rtol=1e-8,
            atol=1e-8,
            adjoint=adjoint,
        ).y[1]

    # y(2) = exp(-2 k) + 5 (1 - exp(-k))
    got = hs.grad(lambda k: f(k, Backsolve()))(0.8)
    assert float(got) == pytest.approx(-2 * np.exp(-1.6) + 5 * np.exp(-0.8), rel=1e-6)


def test_an_invertible_mass_matrix_of_an_explicit_method():
    m = np.array([[2.0, 0.5], [0.3, 1.0]])

    def f(m, adjoint, method="Tsit5"):
        y = solve_ivp(
            lambda t, y: -y,
            (0.0, 1.0),
            np.array([1.0, 2.0]),
            method,
            [1.0],
            mass=m,
            rtol=1e-9,
            atol=1e-9,
            adjoint=adjoint,
        ).y
        return hs.sum(y**2)

    got, expected = (hs.grad(lambda m, a=a: f(m, a))(hs.array(m)) for a in (Backsolve(), None))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"Backsolve\(\) takes no mass matrix with Rodas5P; use Discrete"):
        f(m, Backsolve(), "Rodas5P")


def test_stiff_problems_are_beyond_it():
    """Van der Pol's equation with mu = 1000: back in time the state leaves the slow manifold at once."""

    def end(mu, adjoint):
        f = lambda t, y: hs.stack([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])
        return solve_ivp(
            f, (0.0, 500.0), np.array([2.0, 0.0]), "Rodas5P", [500.0], rtol=1e-6, atol=1e-9, adjoint=adjoint
        ).y[0, 0]

    exact, same = (float(hs.grad(lambda m, a=a: end(m, a))(1000.0)) for a in (Discrete(), Forward()))
    assert same == pytest.approx(exact, rel=1e-6)
    with pytest.raises(
        FloatingPointError, match=r"backward solve of the adjoint Backsolve\(\) gave up at t = 499"
    ):
        hs.grad(lambda m: end(m, Backsolve()))(1000.0)


def test_programs_are_saved(tmp_path):
    f = hs.value_and_grad(lambda z: outcome(z, "Tsit5", Backsolve(), 1e-6))
    hs.save_program(tmp_path / "f.hesse", f, Z)
    _, gradient = hs.load_program(tmp_path / "f.hesse")(Z)
    np.testing.assert_allclose(np.asarray(gradient), np.asarray(f(Z)[1]), rtol=1e-9)
    # The rule of the op is there in the loaded program, too.
    g = lambda z: outcome(z, "Tsit5", Backsolve(), 1e-6)
    hs.save_program(tmp_path / "g.hesse", g, Z)
    loaded = hs.load_program(tmp_path / "g.hesse")
    assert float(loaded(Z)) == pytest.approx(float(g(Z)), rel=1e-12)


def test_failures_come_through():
    def blows_up(raises):
        return lambda y0: solve_ivp(
            lambda t, y: y * y, (0, 2), y0, t_eval=[0.5, 2.0], adjoint=Backsolve(), raise_on_failure=raises
        ).y[1]

    with pytest.raises(FloatingPointError, match="step became smaller"):
        blows_up(True)(1.0)
    assert np.isnan(float(blows_up(False)(1.0)))
    assert np.isnan(float(hs.grad(blows_up(False))(1.0)))


SCRIPT = """
import resource, sys
import numpy as np
import hesse as hs

adjoint = hs.solvers.Backsolve() if sys.argv[1] == "back" else None
y0 = np.random.default_rng(0).normal(size=2000)

def loss(k, n):
    f = lambda t, y: -k * hs.roll(y, 1)
    sol = hs.solvers.solve_ivp(f, (0.0, 1.0), y0, "RK4", [1.0], first_step=1 / n, adjoint=adjoint)
    return hs.sum(sol.y * sol.y)

hs.grad(loss)(0.5, 4)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
g = float(hs.grad(loss)(0.5, 3600))
print(g, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_number_of_steps():
    def run(which):
        out = subprocess.run(
            [sys.executable, "-c", SCRIPT, which], capture_output=True, text=True, check=True
        )
        gradient, kilobytes = out.stdout.split()
        return float(gradient), float(kilobytes)

    steps, back = run("steps"), run("back")
    assert back[0] == pytest.approx(steps[0], rel=1e-6)
    assert back[1] < steps[1] / 10


@pytest.mark.parametrize(
    "adjoint, options, words",
    [
        (Backsolve(), {"t_eval": None}, r"adjoint Backsolve\(\) needs t_eval"),
        (
            Backsolve(),
            {"method": "BDF"},
            r"of one-step methods that take one function; BDF has Interpolating\(\)",
        ),
        (Backsolve(), {"dense_output": True}, r"Backsolve\(\) has no dense_output; use Discrete"),
        (Backsolve(), {"save": lambda t, y: y}, r"Backsolve\(\) takes no save"),
        (Backsolve(), {"events": lambda t, y: y - 0.5}, r"Backsolve\(\) takes no events"),
        (Backsolve(), {"method": "RK4"}, "step is first_step, which is missing"),
        (Backsolve(method="RK4"), {}, "solves backwards by RK4, which has no error estimate"),
        (Backsolve(method="Tsit6"), {}, "no method is called 'Tsit6'"),
        (Backsolve(method="BDF"), {}, "method of Backsolve is 'BDF', expected a one-step method"),
        (Backsolve(method="ARK4"), {}, "method of Backsolve is 'ARK4'"),
        (Backsolve(), {"t_eval": [2.0]}, "t_eval must ascend within t_span"),
        (Forward(), {"t_eval": [0.5, 0.2]}, "t_eval must ascend within t_span"),
        (Backsolve(), {"rtol": -1.0}, "rtol is -1, expected a number not below 0"),
        (Backsolve(rtol=-1.0), {}, "rtol of Backsolve is -1, expected a number not below 0"),
        (Backsolve(atol=[1.0, 2.0]), {}, r"atol of Backsolve has shape \(2,\), expected a scalar"),
    ],
)
def test_refusals(adjoint, options, words):
    with pytest.raises(ValueError, match=words):
        solve_ivp(lambda t, y: -y, (0, 1), 1.0, **{"t_eval": [1.0], "adjoint": adjoint, **options})


def test_pairs_of_functions_are_refused():
    f = lambda t, y: -y
    with pytest.raises(ValueError, match=r"ARK4 has Discrete\(\)"):
        solve_ivp((f, f), (0, 1), 1.0, "ARK4", [1.0], adjoint=Backsolve())
    with pytest.raises(TypeError, match="method is 3, expected the name"):
        Backsolve(method=3)
    with pytest.raises(ValueError, match="y0 holds no arrays"):
        solve_ivp(lambda t, y: y, (0, 1), (), t_eval=[1.0], adjoint=Backsolve())
