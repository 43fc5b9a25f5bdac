"""solve_dae (IDAS): values, consistent starts, derivatives of any order, transformations, failures, leaks."""

import numpy as np
import pytest

import hesse as hs
from hesse import _hesse
from hesse.solvers import solve_dae, solve_ivp

if not _hesse.solvers.has_cvode():
    pytest.skip("this build has no SUNDIALS", allow_module_level=True)


@pytest.fixture(autouse=True)
def no_leaks():
    yield
    assert _hesse.solvers.live_sundials_objects() == 0


RATES = np.array([0.04, 1e4, 3e7])
TIMES = np.array([0.4, 40.0, 4e3])


def rober_rates(t, y, k):
    a, b, c = k[0] * y[0], k[1] * y[1] * y[2], k[2] * y[1] * y[1]
    return hs.stack([b - a, a - b - c, c])


def rober(t, y, yp, k):
    """With the conservation of mass in place of the third equation."""
    rates = rober_rates(t, y, k)
    return hs.stack([yp[0] - rates[0], yp[1] - rates[1], hs.sum(y) - 1.0])


def circuit(t, y, yp, r, c):
    """A source sin t + 1, a resistor, a node with a diode to ground and a capacitor behind another resistor."""
    charge, node = y
    diode = 0.1 * (hs.exp(node) - 1.0)
    through = (node - charge / c) / r[1]
    return yp[0] - through, (hs.sin(t) + 1.0 - node) / r[0] - diode - through


def circuit_solution(z, rtol=1e-9, **options):
    """z: charge at the start, r (2), c, t0, times (2)."""
    return solve_dae(
        circuit, (z[4], 3.0), (z[0], 0.0), t_eval=z[5:], args=(z[1:3], z[3]), rtol=rtol, atol=rtol, **options
    ).y


Z = np.array([0.5, 1.0, 0.7, 1.3, 0.1, 1.0, 2.5])
WEIGHTS = np.array([[1.0, -0.7], [0.3, 2.0]])


def outcome(z, rtol=1e-9):
    charge, node = circuit_solution(z, rtol)
    return hs.sum(WEIGHTS[:, 0] * charge**2 + WEIGHTS[:, 1] * hs.sin(node))


def reduced(z, rtol=1e-10):
    """The same by an ODE, its node by Newton's method."""

    def node_of(t, charge):
        def current(node):
            return circuit(t, (charge, node), (0.0, 0.0), z[1:3], z[3])[1]

        return hs.solvers.root_solve(current, hs.array(0.5)).x

    def field(t, charge):
        return (node_of(t, charge) - charge / z[3]) / z[2]

    charge = solve_ivp(field, (z[4], 3.0), z[0], "BDF", z[5:], rtol=rtol, atol=rtol).y
    node = hs.stack([node_of(z[5], charge[0]), node_of(z[6], charge[1])])
    return hs.sum(WEIGHTS[:, 0] * charge**2 + WEIGHTS[:, 1] * hs.sin(node))


# values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("linear_solver", ["dense", "krylov"])
@pytest.mark.parametrize("rtol", [1e-4, 1e-7])
def test_robertson_against_the_ode(rtol, linear_solver):
    sol = solve_dae(
        rober,
        (0.0, 4e3),
        hs.array([1.0, 0.0, 0.5]),
        t_eval=TIMES,
        args=(RATES,),
        rtol=rtol,
        atol=rtol * np.array([1e-2, 1e-6, 1e-2]),
        linear_solver=linear_solver,
    )
    reference = solve_ivp(
        rober_rates,
        (0.0, 4e3),
        hs.array([1.0, 0, 0]),
        "Rodas5P",
        TIMES,
        args=(RATES,),
        rtol=1e-10,
        atol=1e-15,
    ).y
    assert sol.success and int(sol.stats["accepted"]) < 700
    np.testing.assert_allclose(np.asarray(sol.y), np.asarray(reference), rtol=20 * rtol)


def test_pendulum():
    """Cartesian coordinates, with the tension that the twice differentiated constraint determines."""

    def f(t, y, yp, g):
        x, v, tension = y
        vx, vv, _ = yp
        return (
            vx - v,
            vv + tension * x + g * hs.array([0.0, 1.0]),
            hs.sum(v * v) - tension * hs.sum(x * x) - g * x[1],
        )

    y0 = (hs.array([1.0, 0.0]), hs.zeros(2), hs.array(0.0))
    sol = solve_dae(f, (0.0, 2.0), y0, t_eval=[1.0, 2.0], args=(9.81,), rtol=1e-9, atol=1e-10)
    angle = solve_ivp(
        lambda t, a: hs.stack([a[1], -9.81 * hs.sin(a[0])]),
        (0.0, 2.0),
        hs.array([np.pi / 2, 0.0]),
        "Dop853",
        [1.0, 2.0],
        rtol=1e-11,
        atol=1e-12,
    ).y
    a, w = np.asarray(angle).T
    np.testing.assert_allclose(np.asarray(sol.y[0]), np.stack([np.sin(a), -np.cos(a)], 1), atol=1e-6)
    np.testing.assert_allclose(np.asarray(sol.y[2]), w**2 + 9.81 * np.cos(a), atol=1e-5)


def test_backwards_in_time_and_every_step():
    sol = solve_dae(lambda t, y, yp: yp + y, (1.0, 0.0), 1.0, t_eval=[0.5, 0.0], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(np.asarray(sol.y), np.exp([0.5, 1.0]), rtol=1e-6)
    sol = solve_dae(lambda t, y, yp: yp + y, (0.0, 1.0), 1.0, rtol=1e-6)
    t = np.asarray(sol.t)
    assert len(t) == int(sol.stats["accepted"]) + 1 and t[0] == 0 and t[-1] == 1 and (np.diff(t) > 0).all()
    np.testing.assert_allclose(np.asarray(sol.y), np.exp(-t), rtol=1e-4)


def test_derivatives_that_are_not_linear_start_from_a_guess():
    # y'^2 = y: y = (1 + t/2)^2 or (1 - t/2)^2.
    for slope, end in ((0.5, 2.25), (-0.5, 0.25)):
        sol = solve_dae(lambda t, y, yp: yp * yp - y, (0, 1), 1.0, slope, [1.0], rtol=1e-8, atol=1e-9)
        assert float(sol.y[0]) == pytest.approx(end, rel=1e-5)


def test_algebraic_entries_may_be_told():
    def f(t, y, yp):
        return hs.stack([y[1] * yp[0] - 1.0, y[1] - 1.0 - t])

    y0 = hs.array([1.0, 0.5])
    for algebraic in (None, hs.array([False, True])):
        sol = solve_dae(f, (0.0, 1.0), y0, t_eval=[1.0], algebraic=algebraic, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(np.asarray(sol.y)[0], [1 + np.log(2.0), 2.0], rtol=1e-6)
    with pytest.raises(FloatingPointError, match="is `algebraic` right"):
        solve_dae(f, (0.0, 1.0), y0, t_eval=[1.0], algebraic=True)


def test_trees_and_dtypes():
    def f(t, y, yp):
        assert y["a"].dtype == hs.float32 and t.dtype == hs.float64
        return {"a": yp["a"] + y["a"], "b": y["b"] - hs.sum(y["a"])}

    y0 = {"a": hs.ones((2, 1), dtype=hs.float32), "b": hs.array(0.0)}
    y = solve_dae(f, (0, 1), y0, t_eval=[0.0, 1.0], rtol=1e-6, atol=1e-7).y
    assert y["a"].dtype == hs.float32 and y["a"].shape == (2, 2, 1)
    np.testing.assert_allclose(np.asarray(y["b"]), [2.0, 2 * np.exp(-1)], rtol=1e-4)


def test_large_states_use_products():
    n = 260  # 520 entries: heat with its flux as algebraic entries

    def f(t, y, yp):
        u, flux = y
        return yp[0] - 50.0 * (flux - hs.roll(flux, 1)), flux - (hs.roll(u, -1) - u)

    x = np.arange(n) / n
    u0 = np.sin(2 * np.pi * x)
    rate = 50.0 * 2 * (1 - np.cos(2 * np.pi / n))

    def last(u):
        return solve_dae(f, (0, 1.0), (u, hs.zeros(n)), t_eval=[1.0], rtol=1e-6, atol=1e-8).y[0][0]

    y, pull = hs.vjp(last, u0)
    np.testing.assert_allclose(np.asarray(y), u0 * np.exp(-rate), atol=1e-5)
    np.testing.assert_allclose(np.asarray(pull(u0)[0]), u0 * np.exp(-rate), atol=1e-4)


# derivatives --------------------------------------------------------------------------------------------------------


def test_gradients_of_robertson():
    weights = np.array([1.0, 1e4, 1.0])

    def by_dae(log_k):
        y = solve_dae(
            rober,
            (0.0, 4e3),
            hs.array([1.0, 0.0, 0.0]),
            t_eval=TIMES,
            args=(hs.exp(log_k),),
            rtol=1e-8,
            atol=np.array([1e-10, 1e-14, 1e-10]),
        ).y
        return hs.sum(weights * y)

    def by_ode(log_k):
        y = solve_ivp(
            rober_rates,
            (0.0, 4e3),
            hs.array([1.0, 0.0, 0.0]),
            "Rodas5P",
            TIMES,
            args=(hs.exp(log_k),),
            rtol=1e-9,
            atol=np.array([1e-11, 1e-15, 1e-11]),
        ).y
        return hs.sum(weights * y)

    x = np.log(RATES)
    expected = np.asarray(hs.grad(by_ode)(x))
    np.testing.assert_allclose(np.asarray(hs.grad(by_dae)(x)), expected, rtol=2e-6)
    forward = [float(hs.jvp(by_dae, (x,), (e,))[1]) for e in np.eye(3)]
    np.testing.assert_allclose(forward, expected, rtol=2e-6)


def test_gradients_against_the_reduced_system():
    """Of the start, parameters, t0 and times, through differential and algebraic entries."""
    expected = np.asarray(hs.grad(reduced)(Z))
    np.testing.assert_allclose(np.asarray(hs.grad(outcome)(Z)), expected, atol=3e-7)
    forward = [float(hs.jvp(outcome, (Z,), (e,))[1]) for e in np.eye(len(Z))]
    np.testing.assert_allclose(forward, expected, atol=3e-7)


@pytest.mark.parametrize("linear_solver", ["dense", "krylov"])
def test_forward_and_reverse_agree(linear_solver):
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=Z.shape), rng.normal(size=(2, 2))
    f = lambda z: hs.stack(circuit_solution(z, linear_solver=linear_solver))
    y, tangent = hs.jvp(f, (Z,), (u,))
    h = 1e-4
    difference = (np.asarray(f(Z + h * u)) - np.asarray(f(Z - h * u))) / (2 * h)
    np.testing.assert_allclose(np.asarray(tangent), difference, atol=1e-5)
    (g,) = hs.vjp(f, Z)[1](v)
    assert np.sum(v * np.asarray(tangent)) == pytest.approx(np.sum(np.asarray(g) * u), rel=1e-6)


def test_second_derivatives_in_all_modes():
    expected = np.asarray(hs.hessian(lambda z: reduced(z, 1e-9))(Z))
    for mode in ("forward", "reverse"):
        for inner in ("forward", "reverse"):
            second = hs.jacobian(hs.jacobian(lambda z: outcome(z, 1e-8), mode=inner), mode=mode)(Z)
            np.testing.assert_allclose(np.asarray(second), expected, atol=2e-5, err_msg=f"{mode} {inner}")


def test_derivatives_of_every_step():
    def last(k, t0, t1):
        return solve_dae(lambda t, y, yp: yp + k * y, (t0, t1), 2.0, rtol=1e-9, atol=1e-9).y[-1]

    g = hs.grad(last, (0, 1, 2))(1.5, 0.0, 1.0)
    e = 2 * np.exp(-1.5)
    np.testing.assert_allclose([float(x) for x in g], [-e, 1.5 * e, -1.5 * e], atol=1e-6)


def test_cotangents_of_the_start():
    """A time at t0, whose algebraic entry depends on the differential one."""
    z = np.array([*Z[:5], Z[4], 2.5])

    def both(z, t):
        return solve_dae(
            circuit, (0.1, 3.0), (z[0], 0.0), t_eval=t, args=(z[1:3], z[3]), rtol=1e-9, atol=1e-9
        ).y

    for t in ([0.1], [0.1, 1.0]):
        g = hs.grad(lambda z, t=t: hs.sum(both(z, t)[1]))(z)
        for i, e in enumerate(np.eye(7)):
            h = 1e-5
            d = float(hs.sum(both(z + h * e, t)[1]) - hs.sum(both(z - h * e, t)[1])) / (2 * h)
            assert float(g[i]) == pytest.approx(d, abs=1e-6)


# transformations ----------------------------------------------------------------------------------------------------


def test_vmap_against_a_loop():
    z = Z + 0.05 * np.random.default_rng(1).normal(size=(4, len(Z)))
    f = hs.value_and_grad(lambda z: outcome(z, 1e-7))
    values, gradients = hs.vmap(f)(z)
    for i in range(4):
        value, gradient = f(z[i])
        assert float(values[i]) == pytest.approx(float(value), rel=1e-8)
        np.testing.assert_allclose(np.asarray(gradients[i]), np.asarray(gradient), rtol=1e-5, atol=1e-6)


def test_compiled_against_eager(tmp_path):
    f = hs.value_and_grad(lambda z: outcome(z, 1e-8))
    compiled = hs.compile(f)
    for shift in (0.0, 0.1):
        value, gradient = f(Z + shift)
        value_c, gradient_c = compiled(Z + shift)
        assert float(value_c) == pytest.approx(float(value), rel=1e-9)
        np.testing.assert_allclose(np.asarray(gradient_c), np.asarray(gradient), rtol=1e-6, atol=1e-7)
    hs.save_program(tmp_path / "f.hesse", f, Z)
    value, gradient = hs.load_program(tmp_path / "f.hesse")(Z + 0.1)
    assert float(value) == float(value_c)


# failures -----------------------------------------------------------------------------------------------------------


def test_inconsistent_starts_name_the_largest_residual():
    def impossible(t, y, yp):
        return hs.stack([yp[0] + y[0], y[1] * y[1] + 1.0])

    with pytest.raises(
        FloatingPointError, match=r"not consistent, and .* not found.*largest residual, entry 1 .*, is 1"
    ):
        solve_dae(impossible, (0, 1), hs.array([1.0, 0.1]), t_eval=[1.0])
    given = lambda y, yp: solve_dae(circuit, (0, 1), y, yp, [1.0], args=(hs.ones(2), 1.0), find_start=False)
    with pytest.raises(FloatingPointError, match=r"not consistent: the largest residual, entry 1 .* is 2\."):
        given((0.5, -0.7), (0.0, 0.0))


def test_index_two_is_refused():
    def f(t, y, yp):
        return hs.stack([yp[0] - y[1], y[0] - hs.sin(t)])

    with pytest.raises(FloatingPointError, match="is the index of the system 1"):
        solve_dae(f, (0, 1), hs.array([0.0, 1.0]), t_eval=[1.0])


class Boom(Exception):
    pass


@pytest.mark.parametrize("times", [None, [0.2, 1.0]])
def test_exceptions_of_f_reach_the_caller(times):
    boom = Boom("at the time")

    def foreign(t, y):
        if float(t) > 0.5:
            raise boom
        return -np.asarray(y)

    def f(t, y, yp):
        @hs.custom_jvp
        def rate(y):
            return hs.callback(foreign, y, t, y)

        rate.defjvp(lambda primals, tangents: (rate(*primals), -tangents[0]))
        return yp - rate(y)

    with pytest.raises(Boom) as caught:
        solve_dae(f, (0, 1), hs.ones(2), t_eval=times)
    assert caught.value is boom
    assert _hesse.solvers.live_sundials_objects() == 0


def test_what_was_computed_is_kept():
    f = lambda t, y, yp: yp - y * y
    with pytest.raises(FloatingPointError, match=r"solve_dae.*t = (1|0\.99)"):
        solve_dae(f, (0, 2), 1.0, t_eval=[0.5, 2.0], rtol=1e-8, atol=1e-10)
    sol = solve_dae(f, (0, 2), 1.0, t_eval=[0.5, 2.0], rtol=1e-8, atol=1e-10, raise_on_failure=False)
    y = np.asarray(sol.y)
    assert int(sol.status) in (2, 3) and y[0] == pytest.approx(2.0, rel=1e-6) and np.isnan(y[1])
    few = solve_dae(lambda t, y, yp: yp + y, (0, 9), 1.0, t_eval=[9.0], max_steps=5, raise_on_failure=False)
    assert int(few.status) == 1
    with pytest.raises(FloatingPointError, match="NaN"):
        solve_dae(lambda t, y, yp: yp + hs.log(0.5 - t) * y, (0, 1), 1.0, t_eval=[1.0])


def test_edges_and_refusals():
    f = lambda t, y, yp: yp + y
    assert solve_dae(f, (0, 1), 1.0, t_eval=hs.zeros(0)).y.shape == (0,)
    assert solve_dae(f, (0, 1), hs.zeros((0, 2)), t_eval=[0.5, 1.0]).y.shape == (2, 0, 2)
    assert np.array_equal(np.asarray(solve_dae(f, (1, 1), 2.0).y), [2.0])
    with pytest.raises(TypeError, match="array 0 of y0 is complex128"):
        solve_dae(f, (0, 1), 1j)
    with pytest.raises(TypeError, match="array 0 of y0 is int64"):
        solve_dae(f, (0, 1), hs.array(1))
    with pytest.raises(ValueError, match="linear_solver is 'lu'"):
        solve_dae(f, (0, 1), 1.0, linear_solver="lu")
    with pytest.raises(ValueError, match="t_eval must ascend"):
        solve_dae(f, (0, 1), 1.0, t_eval=[0.5, 0.2])
    with pytest.raises(ValueError, match=r"array 0 of yp0 has shape \(2,\)"):
        solve_dae(f, (0, 1), 1.0, hs.zeros(2))
    with pytest.raises(ValueError, match="yp0 has the structure"):
        solve_dae(f, (0, 1), 1.0, (1.0,))
    with pytest.raises(ValueError, match="F returns"):
        solve_dae(lambda t, y, yp: hs.zeros(2), (0, 1), 1.0)
    with pytest.raises(TypeError, match="expected bools"):
        solve_dae(f, (0, 1), 1.0, algebraic=hs.array(1.0))
    with pytest.raises(ValueError, match="rtol is -1"):
        solve_dae(f, (0, 1), 1.0, rtol=-1.0)
    with pytest.raises(hs.TraceError, match="give t_eval"):
        hs.compile(lambda y: solve_dae(f, (0, 1), y).y)(1.0)


def test_starts_that_do_not_exist_can_be_data():
    """One bad example does not fail the others: y1^2 = a has no solution for a < 0."""

    def last(a, raises=False):
        def f(t, y, yp):
            return hs.stack([yp[0] - y[1], y[1] * y[1] - a])

        return solve_dae(
            f, (0.0, 1.0), hs.array([0.0, 1.0]), t_eval=[1.0], rtol=1e-8, atol=1e-10, raise_on_failure=raises
        )

    sol = hs.vmap(last)(hs.array([4.0, -1.0]))
    assert float(sol.y[0, 0, 0]) == pytest.approx(2.0, rel=1e-6)
    assert int(sol.status[0]) == 0 and int(sol.status[1]) == 3 and np.isnan(sol.y[1]).all()
    with pytest.raises(FloatingPointError, match="solve_dae"):
        last(-1.0, True)


def test_cotangents_at_times_that_are_neighbours():
    t = np.nextafter(0.5, 1.0)

    def loss(y0):
        y = solve_dae(lambda t, y, yp: yp + y, (0.0, 1.0), y0, t_eval=[0.5, t, 1.0], rtol=1e-8, atol=1e-10).y
        return hs.sum(y)

    assert float(hs.grad(loss)(1.0)) == pytest.approx(2 * np.exp(-0.5) + np.exp(-1.0), rel=1e-5)
