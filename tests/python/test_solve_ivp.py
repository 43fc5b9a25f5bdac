"""hesse.solvers.solve_ivp against exact solutions, SciPy, and itself under every transformation."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import hesse as hs
from hesse.solvers import solve_ivp

ADAPTIVE = ["Bosh3", "Dopri5", "Tsit5", "Dop853"]
FIXED = {"Euler": 1, "Midpoint": 2, "Heun": 2, "RK4": 4}


def swing(t, y):
    """A pendulum with a forcing."""
    return hs.stack([y[1], -hs.sin(y[0]) + 0.1 * hs.cos(t)])


def swing_numpy(t, y):
    return [y[1], -np.sin(y[0]) + 0.1 * np.cos(t)]


def predator_prey(t, y, theta):
    x, p = y[0], y[1]
    return hs.stack([theta[0] * x - theta[1] * x * p, theta[2] * x * p - theta[3] * p])


THETA = np.array([1.1, 0.4, 0.1, 0.4])


# values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize("span", [(0.0, 6.0), (6.0, 0.0)])
def test_agrees_with_scipy(method, span):
    scipy = pytest.importorskip("scipy.integrate")
    times = np.linspace(*span, 25)
    expected = scipy.solve_ivp(
        swing_numpy, span, [0.5, 0.2], method="DOP853", t_eval=times, rtol=1e-12, atol=1e-13
    )
    sol = solve_ivp(swing, span, hs.array([0.5, 0.2]), method, times, rtol=1e-9, atol=1e-10)
    assert sol.success and "reached" in sol.message
    np.testing.assert_allclose(np.asarray(sol.t), times)
    tolerance = 2e-6 if method == "Bosh3" else 3e-8
    np.testing.assert_allclose(np.asarray(sol.y), expected.y.T, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("method", "scipys"), [("RK45", "RK45"), ("RK23", "RK23"), ("DOP853", "DOP853")])
def test_takes_about_as_many_steps_as_scipy(method, scipys):
    scipy = pytest.importorskip("scipy.integrate")
    theirs = scipy.solve_ivp(swing_numpy, (0, 20), [0.5, 0.2], method=scipys, rtol=1e-6, atol=1e-8)
    ours = solve_ivp(swing, (0, 20), hs.array([0.5, 0.2]), method, rtol=1e-6, atol=1e-8)
    assert ours.t.shape[0] == int(ours.stats["accepted"]) + 1 == ours.y.shape[0]
    assert 0.6 < int(ours.stats["evaluations"]) / theirs.nfev < 1.5


@pytest.mark.parametrize(("method", "order"), FIXED.items())
def test_fixed_steps_have_the_order_of_the_method(method, order):
    errors = []
    for n in (16, 32):
        sol = solve_ivp(lambda t, y: hs.cos(t) * y, (0.0, 2.0), 1.0, method, [2.0], first_step=2.0 / n)
        assert int(sol.stats["accepted"]) == n
        errors.append(abs(float(sol.y[0]) - np.exp(np.sin(2.0))))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_errors_follow_the_tolerance(method):
    errors = []
    for rtol in (1e-4, 1e-6, 1e-8):
        times = [2.5, 5.0] if method == "Dop853" else np.linspace(0.1, 5, 60)  # its steps end there
        sol = solve_ivp(lambda t, y: hs.cos(t) * y, (0.0, 5.0), 1.0, method, times, rtol=rtol, atol=rtol)
        errors.append(np.abs(np.asarray(sol.y) - np.exp(np.sin(np.asarray(sol.t)))).max())
        assert errors[-1] < 30 * rtol
    assert errors[2] < errors[1] < errors[0]


def test_the_solution_between_steps_is_as_good_as_at_steps():
    for method in ("Dopri5", "Tsit5"):
        steps = solve_ivp(swing, (0.0, 10.0), hs.array([0.5, 0.2]), method, rtol=1e-8, atol=1e-10)
        between = np.sort(
            np.concatenate([np.asarray(steps.t), (np.asarray(steps.t)[1:] + np.asarray(steps.t)[:-1]) / 2])
        )
        fine = solve_ivp(swing, (0.0, 10.0), hs.array([0.5, 0.2]), "Dop853", between, rtol=1e-12, atol=1e-13)
        dense = solve_ivp(swing, (0.0, 10.0), hs.array([0.5, 0.2]), method, between, rtol=1e-8, atol=1e-10)
        error = np.abs(np.asarray(dense.y) - np.asarray(fine.y)).max(axis=1)
        assert error[1::2].max() < 6 * max(error[::2].max(), 1e-9)
        # At steps, the state of the step itself (of another program: to rounding).
        np.testing.assert_allclose(np.asarray(dense.y)[::2], np.asarray(steps.y), rtol=1e-10)


def test_states_are_trees():
    def f(t, state):
        return {"x": state["v"], "v": -state["x"] * 4.0}

    y0 = {"x": hs.array([[1.0, 0.0]]), "v": hs.zeros((1, 2))}
    sol = solve_ivp(
        f, (0.0, 1.0), y0, t_eval=[0.0, 0.5, 1.0], rtol=1e-9, atol={"x": 1e-10, "v": hs.full((2,), 1e-10)}
    )
    assert sol.y["x"].shape == (3, 1, 2)
    np.testing.assert_allclose(np.asarray(sol.y["x"])[:, 0, 0], np.cos([0, 1, 2]), atol=1e-7)
    np.testing.assert_array_equal(np.asarray(sol.y["x"])[:, 0, 1], 0)


def test_complex_states_and_float32():
    sol = solve_ivp(lambda t, y: 1j * y, (0.0, 3.0), hs.array(1.0 + 0j), t_eval=[3.0], rtol=1e-9, atol=1e-9)
    assert complex(sol.y[0]) == pytest.approx(np.exp(3j), abs=1e-7)
    sol = solve_ivp(lambda t, y: -y + 0.0 * t, (0.0, 1.0), hs.ones(3, dtype="float32"), t_eval=[1.0])
    assert sol.y.dtype == hs.float32
    np.testing.assert_allclose(np.asarray(sol.y), np.exp(-1), atol=1e-3)


def test_numbers_and_arrays_from_elsewhere():
    assert float(
        solve_ivp(lambda t, y: 1, np.array([0.0, 2.0]), 1.0, max_steps=np.int64(50)).y[-1]
    ) == pytest.approx(3.0)
    sol = solve_ivp(lambda t, y: (1.0, 2), (0.0, 1.0), (hs.array(0.0, dtype="float32"), 0.0), t_eval=[1.0])
    assert sol.y[0].dtype == hs.float32 and [float(y[0]) for y in sol.y] == pytest.approx([1.0, 2.0])


def test_no_times_no_entries():
    assert solve_ivp(lambda t, y: -y, (0.0, 1.0), hs.ones(3), t_eval=hs.zeros(0)).y.shape == (0, 3)
    assert solve_ivp(lambda t, y: -y, (0.0, 1.0), hs.zeros((0, 2)), t_eval=[0.5, 1.0]).y.shape == (2, 0, 2)
    sol = solve_ivp(lambda t, y: -y, (1.0, 1.0), hs.ones(2))
    np.testing.assert_array_equal(np.asarray(sol.y), [[1, 1]])


def test_max_step_and_first_step():
    sol = solve_ivp(lambda t, y: -y, (0.0, 1.0), 1.0, max_step=0.1, first_step=0.01)
    steps = np.diff(np.asarray(sol.t))
    assert steps[0] == pytest.approx(0.01) and steps.max() <= 0.1 * (1 + 1e-9)


# derivatives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*ADAPTIVE, "RK4"])
def test_derivatives_of_an_exact_solution(method):
    """y = y0 exp(-k (t - t0)): every first derivative, and the second in k."""
    options = {"first_step": 0.01} if method == "RK4" else {}

    def last(k, y0, t0, t1):
        return solve_ivp(
            lambda t, y: -k * y, (t0, t1), y0, method, hs.stack([t1]), rtol=1e-9, atol=1e-11, **options
        ).y[0]

    k, y0, t0, t1 = 0.7, 1.3, 0.2, 1.9
    e = np.exp(-k * (t1 - t0))
    expected = [-(t1 - t0) * y0 * e, e, k * y0 * e, -k * y0 * e]
    gradient = hs.grad(last, (0, 1, 2, 3))(k, y0, t0, t1)
    tangents = [hs.jvp(last, (k, y0, t0, t1), tuple(float(i == j) for j in range(4)))[1] for i in range(4)]
    np.testing.assert_allclose(
        [float(g) for g in gradient], expected, rtol=2e-6 if method == "Bosh3" else 1e-7
    )
    np.testing.assert_allclose([float(g) for g in tangents], [float(g) for g in gradient], rtol=1e-12)
    second = hs.grad(hs.grad(last))(k, y0, t0, t1)
    assert float(second) == pytest.approx((t1 - t0) ** 2 * y0 * e, rel=1e-5)


def test_the_derivative_in_output_times_is_the_slope():
    times = hs.array([0.0, 0.3, 0.77, 2.0])

    def y_of(times):
        return solve_ivp(swing, (0.0, 2.0), hs.array([0.5, 0.2]), t_eval=times, rtol=1e-9, atol=1e-11).y

    _, slope = hs.jvp(y_of, (times,), (hs.ones(4),))
    y = np.asarray(y_of(times))
    expected = [swing_numpy(t, row) for t, row in zip(np.asarray(times), y, strict=True)]
    np.testing.assert_allclose(np.asarray(slope), expected, atol=1e-5)


def test_forward_and_reverse_are_transposes_through_rejected_steps():
    def run(theta, y0):
        sol = solve_ivp(
            predator_prey,
            (0.0, 20.0),
            y0,
            t_eval=np.linspace(1, 20, 7),
            args=(theta,),
            first_step=8.0,
            rtol=1e-5,
        )
        return sol.y, sol.stats["rejected"]

    theta, y0 = hs.array(THETA), hs.array([8.0, 4.0])
    assert int(run(theta, y0)[1]) > 0
    rng = np.random.default_rng(0)
    u = (hs.array(rng.normal(size=4)), hs.array(rng.normal(size=2)))
    v = hs.array(rng.normal(size=(7, 2)))
    value, forward = hs.jvp(lambda *x: run(*x)[0], (theta, y0), u)
    _, pull = hs.vjp(lambda *x: run(*x)[0], theta, y0)
    back = pull(v)
    left, right = hs.sum(v * forward), hs.sum(back[0] * u[0]) + hs.sum(back[1] * u[1])
    assert float(left) == pytest.approx(float(right), rel=1e-11)
    # And against differences of a solution that is much finer.
    step = 1e-6

    def fine(sign):
        return np.asarray(solve_ivp(predator_prey, (0.0, 20.0), y0 + sign * step * u[1], "Dop853", np.linspace(1, 20, 7),
                                    args=(theta + sign * step * u[0],), rtol=1e-12, atol=1e-13).y)  # fmt: skip

    difference = (fine(1) - fine(-1)) / (2 * step)
    np.testing.assert_allclose(np.asarray(forward), difference, atol=2e-2 * np.abs(difference).max())


def test_infinities_in_rejected_steps_do_not_reach_gradients():
    def last(k):
        # A first step far too large meets the root of a negative number.
        return solve_ivp(
            lambda t, y: -k * hs.sqrt(y), (0.0, 1.0), 1.0, t_eval=[1.0], first_step=6.0, rtol=1e-8, atol=1e-10
        ).y[0]

    sol = solve_ivp(
        lambda t, y: -hs.sqrt(y),
        (0.0, 1.0),
        1.0,
        t_eval=[1.0],
        first_step=6.0,
        rtol=1e-8,
        atol=1e-10,
        max_step=6.0,
    )
    assert float(sol.y[0]) == pytest.approx(0.25, abs=1e-6)
    assert float(hs.grad(last)(1.0)) == pytest.approx(-0.5, abs=1e-5)  # y = (1 - k t / 2)^2


def test_a_field_with_a_network():
    net = hs.nn.MLP([2, 16, 2], hs.tanh, key=hs.random.key(0))
    y0 = hs.array([1.0, 0.5])

    def loss(net):
        return hs.mean(solve_ivp(lambda t, y: net(y), (0.0, 1.0), y0, t_eval=[0.5, 1.0], rtol=1e-6).y ** 2)

    value, gradient = hs.compile(hs.value_and_grad(loss))(net)
    direction = hs.tree_map(lambda p: hs.array(np.random.default_rng(p.size).normal(size=p.shape)), net)
    step = 1e-5
    ends = [loss(hs.tree_map(lambda p, d, s=s: p + s * step * d, net, direction)) for s in (1, -1)]
    slope = sum(
        float(hs.sum(g * d)) for g, d in zip(hs.tree_leaves(gradient), hs.tree_leaves(direction), strict=True)
    )
    assert slope == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-4)


# compositions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["Tsit5", "Dop853"])
def test_mapped_is_a_loop_and_compiled_is_eager(method):
    times = np.linspace(0.5, 10, 5)

    def solve(theta):
        sol = solve_ivp(
            predator_prey, (0.0, 10.0), hs.array([8.0, 4.0]), method, times, args=(theta,), rtol=1e-6
        )
        return sol.y, sol.stats["accepted"]

    thetas = hs.array(THETA * np.linspace(0.5, 1.5, 6)[:, None])
    one_by_one = [solve(theta) for theta in thetas]
    counts = [int(n) for _, n in one_by_one]
    assert len(set(counts)) > 1  # every example has its own steps
    for run in (hs.vmap(solve), hs.compile(hs.vmap(solve))):
        y, n = run(thetas)
        assert [int(k) for k in n] == counts
        np.testing.assert_allclose(
            np.asarray(y), np.stack([np.asarray(y) for y, _ in one_by_one]), rtol=1e-10
        )
    y, _ = hs.compile(solve)(thetas[0])
    np.testing.assert_allclose(np.asarray(y), np.asarray(one_by_one[0][0]), rtol=1e-12)


def test_gradients_of_an_ensemble():
    times = [2.0, 5.0]

    def last(theta):
        return hs.sum(
            solve_ivp(
                predator_prey, (0.0, 5.0), hs.array([8.0, 4.0]), t_eval=times, args=(theta,), rtol=1e-6
            ).y
            ** 2
        )

    thetas = hs.array(THETA * np.linspace(0.7, 1.3, 4)[:, None])
    together = hs.compile(hs.vmap(hs.grad(last)))(thetas)
    alone = np.stack([np.asarray(hs.grad(last)(theta)) for theta in thetas])
    np.testing.assert_allclose(np.asarray(together), alone, rtol=1e-9)


def test_a_solution_is_a_tree():
    sol = hs.compile(lambda y0: solve_ivp(swing, (0.0, 1.0), y0, t_eval=[1.0]))(hs.array([0.5, 0.2]))
    assert isinstance(sol, hs.solvers.Solution) and sol.success
    assert sol.y.shape == (1, 2)


# failures -----------------------------------------------------------------------------------------------------------


def test_a_solution_that_blows_up():
    def f(t, y):
        return hs.stack([-y[0], y[1] ** 2])

    with pytest.raises(FloatingPointError, match=r"solve_ivp.*step became.*t = 0\.99.*y\[1\]"):
        solve_ivp(f, (0.0, 2.0), hs.array([1.0, 1.0]), t_eval=[0.5, 1.5])
    with pytest.raises(FloatingPointError, match="solve_ivp"):
        hs.compile(lambda y0: solve_ivp(f, (0.0, 2.0), y0, t_eval=[0.5, 1.5]).y)(hs.array([1.0, 1.0]))
    sol = solve_ivp(f, (0.0, 2.0), hs.array([1.0, 1.0]), t_eval=[0.5, 1.5], raise_on_failure=False)
    assert int(sol.status) in (2, 3) and not sol.success and "singular" in sol.message
    np.testing.assert_allclose(np.asarray(sol.y)[0], [np.exp(-0.5), 2.0], rtol=1e-2)
    assert np.isnan(np.asarray(sol.y)[1]).all()


def test_nan_from_f_and_too_many_steps():
    with pytest.raises(FloatingPointError, match=r"NaN or infinity.*y\[2\]"):
        solve_ivp(
            lambda t, y: hs.where(hs.arange(3) == 2, hs.log(0.5 - t), -y),
            (0.0, 1.0),
            hs.ones(3),
            t_eval=[1.0],
        )
    with pytest.raises(FloatingPointError, match="max_steps"):
        solve_ivp(swing, (0.0, 100.0), hs.array([0.5, 0.2]), t_eval=[100.0], max_steps=10)
    sol = solve_ivp(swing, (0.0, 100.0), hs.array([0.5, 0.2]), max_steps=10, raise_on_failure=False)
    assert int(sol.status) == 1 and 1 < sol.t.shape[0] <= 11 and np.isfinite(np.asarray(sol.y)).all()
    with pytest.raises(FloatingPointError, match="NaN or infinity"):
        solve_ivp(lambda t, y: y / 0.0, (0.0, 1.0), 1.0, "RK4", [1.0], first_step=0.1)


@pytest.mark.parametrize("y0", [np.nan, np.inf])
def test_what_is_not_finite_from_the_start_is_found_at_once(y0):
    for options in ({}, {"first_step": 0.1}):
        with pytest.raises(FloatingPointError, match="NaN or infinity"):
            solve_ivp(lambda t, y: -y, (0.0, 1.0), y0, t_eval=[1.0], **options)
    sol = hs.vmap(lambda y: solve_ivp(lambda t, y: -y, (0.0, 1.0), y, t_eval=[1.0], raise_on_failure=False))(
        hs.array([1.0, y0])
    )
    assert [int(s) for s in sol.status] == [0, 3] and int(sol.stats["rejected"][1]) < 500


def test_tolerances_of_zero():
    sol = solve_ivp(lambda t, y: -y, (0.0, 1.0), hs.array([0.0, 1.0]), t_eval=[1.0], rtol=1e-6, atol=0.0)
    np.testing.assert_allclose(np.asarray(sol.y)[0], [0.0, np.exp(-1.0)], rtol=1e-5)
    with pytest.raises(FloatingPointError, match="solve_ivp"):
        solve_ivp(lambda t, y: -y, (0.0, 1.0), 1.0, t_eval=[1.0], rtol=0.0, atol=0.0)


def test_numbers_beyond_the_squares_of_their_dtype():
    sol = solve_ivp(
        lambda t, y: -y, (0.0, 1.0), hs.array(1e20, dtype="float32"), "Euler", [1.0], first_step=0.1
    )
    assert float(sol.y[0]) == pytest.approx(1e20 * 0.9**10, rel=1e-5)
    sol = solve_ivp(lambda t, y: -y, (0.0, 1.0), 1e160, "RK4", [1.0], first_step=0.1)
    assert float(sol.y[0]) == pytest.approx(1e160 * np.exp(-1), rel=1e-5)
    sol = solve_ivp(lambda t, y: 1e14 + 0.0 * y, (0.0, 1e-13), hs.array(0.0, dtype="float32"), t_eval=[1e-13])
    assert float(sol.y[0]) == pytest.approx(10.0) and int(sol.stats["accepted"]) < 100


def test_foreign_code_is_called_within_the_span_and_as_often_as_is_said():
    calls = []

    def table(t, y):
        calls.append(float(t))
        assert 0.0 <= t <= 1.0, t
        return -y

    def f(t, y):
        return hs.callback(table, hs.ShapeDtype((), "float64"), t, y)

    for y0, method in ((1.0, "Tsit5"), (1e5, "Dop853")):
        calls.clear()
        sol = solve_ivp(f, (0.0, 1.0), y0, method, [0.5, 1.0], rtol=1e-6)
        assert float(sol.y[1]) == pytest.approx(y0 * np.exp(-1), rel=1e-5)
        assert len(calls) == int(sol.stats["evaluations"])


def test_options_that_only_a_run_shows():
    def run(**fixed):
        return hs.compile(lambda **o: solve_ivp(swing, (0.0, 1.0), hs.ones(2), t_eval=[1.0], **o).y)(**fixed)

    for name in ("rtol", "atol", "first_step", "max_step"):
        with pytest.raises(FloatingPointError, match="must not be below 0"):
            run(**{name: hs.array(-1.0)})
    assert run(first_step=hs.array(0.1)).shape == (1, 2)


def test_an_example_that_fails_is_named():
    def last(y0):
        return solve_ivp(lambda t, y: y**2, (0.0, 1.0), y0, t_eval=[1.0]).y

    with pytest.raises(FloatingPointError, match="example 2.*solve_ivp"):
        hs.vmap(last)(hs.array([0.1, 0.5, 2.0, 0.2]))


def test_exceptions_of_f_pass_through():
    class Mine(Exception):
        pass

    def f(t, y):
        raise Mine("here")

    with pytest.raises(Mine, match="here"):
        solve_ivp(f, (0.0, 1.0), 1.0, t_eval=[1.0])
    with pytest.raises(hs.TraceError, match="where"):
        solve_ivp(lambda t, y: y if t > 0.5 else -y, (0.0, 1.0), 1.0, t_eval=[1.0])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.array([1, 2])), TypeError, ["y0", "int64", "astype"]),
        (lambda: solve_ivp(lambda t, y: y[:1], (0.0, 1.0), hs.ones(2)), ValueError, ["f returns", "float64[1]", "float64[2]"]),
        (lambda: solve_ivp(lambda t, y: hs.astype(y, "float32"), (0.0, 1.0), hs.ones(2)), ValueError, ["float32", "float64"]),
        (lambda: solve_ivp(lambda t, y: (y, y), (0.0, 1.0), hs.ones(2)), ValueError, ["structure"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), "Tsit6"), ValueError, ["Tsit6", "Tsit5"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), "RK4"), ValueError, ["RK4", "first_step"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), t_eval=[0.5, 0.5]), ValueError, ["t_eval", "ascend"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), t_eval=[0.5, 1.5]), ValueError, ["t_eval", "t_span"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), t_eval=0.5), ValueError, ["t_eval", "one axis"]),
        (lambda: solve_ivp(swing, (0.0, 1.0, 2.0), hs.ones(2)), ValueError, ["t_span"]),
        (lambda: solve_ivp(swing, (0.0, np.inf), hs.ones(2)), ValueError, ["inf"]),
        (lambda: solve_ivp(swing, (0.0, hs.ones(3)), hs.ones(2)), ValueError, ["t1", "scalar"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), rtol=-1.0), ValueError, ["rtol", "-1"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), atol=[1e-3, 1e-3]), ValueError, ["atol"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), atol=hs.ones(3)), ValueError, ["atol", "(3,)", "(2,)"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), first_step=0.0), ValueError, ["first_step"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), max_steps=0), ValueError, ["max_steps"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), ()), ValueError, ["y0", "no arrays"]),
        (lambda: solve_ivp(swing, hs.array(1.0), hs.ones(2)), ValueError, ["t_span"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), rtol=[1e-3, 1e-4]), ValueError, ["rtol", "(2,)", "scalar"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), first_step=[0.1, 0.2]), ValueError, ["first_step", "(2,)"]),
        (lambda: solve_ivp(swing, (0.0, 1.0), hs.ones(2), max_step=[0.1]), ValueError, ["max_step", "(1,)"]),
        (lambda: solve_ivp(3, (0.0, 1.0), hs.ones(2)), TypeError, ["solve_ivp"]),
        (lambda: hs.vmap(lambda y: solve_ivp(swing, (0.0, 1.0), y).y)(hs.ones((3, 2))), hs.TraceError, ["t_eval"]),
    ],
)  # fmt: skip
def test_bad_input(call, error, words):
    with pytest.raises(error) as info:
        call()
    for word in words:
        assert word in str(info.value), str(info.value)


def test_times_that_do_not_ascend_are_found_when_a_program_runs():
    run = hs.compile(lambda times: solve_ivp(swing, (0.0, 1.0), hs.ones(2), t_eval=times).y)
    assert run(hs.array([0.2, 0.4])).shape == (2, 2)
    with pytest.raises(FloatingPointError, match="t_eval does not ascend"):
        run(hs.array([0.4, 0.2]))


# published results --------------------------------------------------------------------------------------------------


def test_rates_of_the_hudson_bay_counts():
    """The maximum-likelihood fit lies near the posterior of posteriordb's hudson_lynx_hare (Lotka-Volterra, log-normal)."""
    root = pathlib.Path(__file__).resolve().parents[2]
    path = root.parent / "shared" / "data" / "ode" / "hudson-bay-lynx-hare.csv"
    if not path.exists():
        pytest.skip(f"no {path.name}: the folder shared/data is not beside this repository")
    done = subprocess.run(
        [sys.executable, root / "examples" / "python" / "lynx_hare.py", "--data", path],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    posterior = {
        "a": (0.5469, 0.0631), "b": (0.02775, 0.00415), "c": (0.8001, 0.0894), "d": (0.02409, 0.00353),
        "hare": (34.04, 2.92), "lynx": (5.936, 0.531),
    }  # fmt: skip
    for name, (mean, deviation) in posterior.items():
        assert abs(float(found[name]) - mean) < 0.5 * deviation, (name, found[name])
