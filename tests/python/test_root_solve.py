"""hesse.solvers: root_solve, fixed_point, steady_state and implicit_function, against SciPy and exact derivatives."""

import numpy as np
import pytest
from expect_derivatives import expect_derivatives

import hesse as hs
from hesse.solvers import fixed_point, implicit_function, root_solve, solve_ivp, steady_state

A = np.array([[4.0, 1.0, 0.5], [0.0, 3.0, -1.0], [1.0, 0.2, 5.0]])


def curve(x, p):
    """Two equations that have a root near (1, -1.7) for p = (4, 1)."""
    return hs.stack([x[0] ** 2 + x[1] ** 2 - p[0], hs.exp(x[0]) + x[1] - p[1]])


def gentle(x, p):
    """Close to linear: Newton and Anderson find its root from anywhere."""
    return hs.matmul(hs.astype(A, x.dtype), x) + 0.3 * hs.sin(x) - p


GUESS, P = np.array([1.0, -1.7]), np.array([4.0, 1.0])


# values -------------------------------------------------------------------------------------------------------------


def test_agrees_with_scipy():
    scipy = pytest.importorskip("scipy.optimize")
    expected = scipy.root(lambda x: [x[0] ** 2 + x[1] ** 2 - 4, np.exp(x[0]) + x[1] - 1], GUESS, tol=1e-13).x
    sol = root_solve(curve, GUESS, args=(P,))
    np.testing.assert_allclose(np.asarray(sol.x), expected, rtol=1e-12)
    assert sol.success and "found" in sol.message and int(sol.stats["steps"]) < 6
    assert int(sol.stats["evaluations"]) == int(sol.stats["steps"]) + 1
    assert float(sol.stats["residual"]) < 1e-12


def test_newton_converges_quadratically():
    errors = []
    for n in range(1, 5):
        x = root_solve(lambda x: x * x - 2.0, 1.0, max_steps=n, raise_on_failure=False).x
        errors.append(abs(float(x) - np.sqrt(2.0)))
    assert errors[3] < 1e-11 and all(b < a * a for a, b in zip(errors, errors[1:], strict=False))


def test_line_search_goes_where_newton_alone_diverges():
    """For |x| > 1.39 Newton's method on atan doubles its error."""
    sol = root_solve(hs.atan, 30.0)
    assert abs(float(sol.x)) < 1e-12
    assert int(sol.stats["evaluations"]) > int(sol.stats["steps"]) + 1


@pytest.mark.parametrize("n", [1, 7, 40])
@pytest.mark.parametrize("method", ["newton", "anderson"])
def test_chandrasekhars_h_equation(n, method):
    """H(mu) = 1 + c/2 H(mu) integral of mu H(nu) / (mu + nu): Kelley's test problem, by the midpoint rule."""
    mu = (np.arange(n) + 0.5) / n
    kernel = 0.9 / (2 * n) * mu[:, None] / (mu[:, None] + mu[None])
    sol = root_solve(lambda h: h - 1.0 / (1.0 - hs.matmul(kernel, h)), np.ones(n), method=method)
    h = np.asarray(sol.x)
    np.testing.assert_allclose(h, 1 + h * (kernel @ h), rtol=1e-7)


def test_trees_of_arrays():
    def f(x):
        return {"a": x["a"] - hs.stack([x["b"], 2 * x["b"]]), "b": x["b"] ** 2 - 2.0}

    sol = root_solve(f, {"a": np.zeros(2), "b": 1.0})
    np.testing.assert_allclose(np.asarray(sol.x["a"]), [np.sqrt(2), 2 * np.sqrt(2)])
    assert sol.x["b"].shape == ()
    number = root_solve(lambda x: (x[0] - 1, 0.0 * x[1] + x[1]), (3.0, 2.0)).x
    assert [float(v) for v in number] == [1.0, 0.0]


def test_complex_numbers():
    z = root_solve(lambda z: z**3 - 1.0, 0.1 + 1.0j).x
    np.testing.assert_allclose(complex(z), np.exp(2j * np.pi / 3), rtol=1e-12)
    # Not holomorphic: z + conj(z)/2 = w
    w = root_solve(lambda z: z + 0.5 * hs.conj(z) - (3.0 + 1.0j), 0j).x
    np.testing.assert_allclose(complex(w), 2.0 + 2.0j, rtol=1e-12)
    expect_derivatives(
        lambda w: root_solve(lambda z: z**2 + 0.5 * hs.conj(z) - w, np.array([1.0 + 0.2j])).x,
        np.array([1.4 + 0.5j]),
        order=2,
        h=0.01,
    )


@pytest.mark.parametrize("method", ["newton", "anderson", "transient"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-4), ("float64", 1e-7)])
def test_dtypes(method, dtype, tolerance):
    f = lambda x: -gentle(x, hs.array([1.0, 2.0, 3.0], dtype=dtype)) * (1 if method == "transient" else -0.2)
    sol = root_solve(f, hs.zeros(3, dtype=dtype), method=method)
    assert str(sol.x.dtype).endswith(dtype)
    exact = root_solve(gentle, np.zeros(3), args=(np.array([1.0, 2.0, 3.0]),)).x
    np.testing.assert_allclose(np.asarray(sol.x), np.asarray(exact), rtol=tolerance)


def test_mixed_dtypes_keep_theirs():
    x0 = (hs.zeros((), dtype="float32"), hs.ones(2))
    sol = root_solve(lambda x: (x[0] - 2.0, x[1] ** 2 - 3.0), x0)
    assert [str(v.dtype) for v in sol.x] == ["float32", "float64"]
    np.testing.assert_allclose(np.asarray(sol.x[1]), np.sqrt(3.0), rtol=1e-14)


def test_anderson_needs_fewer_steps_than_plain_iteration():
    f = lambda x: 0.9 * hs.cos(x) + 0.1 * hs.roll(x, 1)
    fast, slow = (fixed_point(f, np.zeros(6), method=m) for m in ("anderson", "plain"))
    np.testing.assert_allclose(np.asarray(fast.x), np.asarray(slow.x), rtol=1e-6)
    assert 2 * int(fast.stats["steps"]) < int(slow.stats["steps"])
    x = np.asarray(fast.x)
    np.testing.assert_allclose(x, 0.9 * np.cos(x) + 0.1 * np.roll(x, 1), rtol=1e-7)


def test_large_system_without_a_jacobian():
    """Derivatives by GMRES: no matrix of 36 million entries."""
    n = 6000
    p = np.linspace(0, 1, n)
    f = lambda x, p: x - 0.3 * hs.cos(hs.roll(x, 1)) - p
    solve = lambda p: root_solve(f, np.zeros(n), args=(p,), method="anderson", rtol=1e-10).x
    x = np.asarray(solve(p))
    np.testing.assert_allclose(x, 0.3 * np.cos(np.roll(x, 1)) + p, atol=1e-9)
    g = np.asarray(hs.grad(lambda p: hs.sum(solve(p)))(p))
    # (1 + 0.3 sin(x_{i}) shifted)^T g = 1
    np.testing.assert_allclose(g + 0.3 * np.sin(x) * np.roll(g, -1), 1.0, rtol=1e-7)


# derivatives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["newton", "anderson"])
@pytest.mark.parametrize("linear_solver", ["lu", "gmres", "bicgstab"])
def test_derivatives_in_every_mixture(method, linear_solver):
    def solve(p):
        f = lambda x, p: gentle(x, p * hs.sin(p)) / 5.0
        return root_solve(
            f, np.zeros(3), args=(p,), method=method, rtol=1e-12, atol=1e-13, linear_solver=linear_solver,
            linear_rtol=1e-13,
        ).x  # fmt: skip

    expect_derivatives(solve, np.array([1.0, 2.0, 0.5]), order=2 if linear_solver == "bicgstab" else 3)


def test_derivative_does_not_depend_on_how_well_it_was_solved_nor_on_the_guess():
    """At x the derivative is that of the equation there, whatever the steps were; the guess has none."""
    loose = lambda p: root_solve(lambda x: x * x - p, 1.0, rtol=0.3).x
    x = float(loose(2.0))
    assert abs(float(hs.grad(loose)(2.0)) - 0.5 / x) < 1e-15
    assert float(hs.grad(lambda x0: root_solve(lambda x: x * x - 2.0, x0).x)(1.0)) == 0.0


def test_captured_values_are_differentiated_as_arguments_are():
    by_args = hs.grad(lambda p: root_solve(lambda x, p: x**3 - p, 1.0, args=(p,)).x)(2.0)
    captured = hs.grad(lambda p: root_solve(lambda x: x**3 - p, 1.0).x)(2.0)
    assert float(by_args) == float(captured)
    np.testing.assert_allclose(float(captured), 2 ** (-2 / 3) / 3, rtol=1e-13)


def test_root_in_a_root_and_in_loops():
    def inner(a):
        return root_solve(lambda y: y * y - a, 1.0).x

    outer = lambda p: root_solve(lambda x: inner(x) + x - p, 1.0).x  # sqrt(x) + x = p
    np.testing.assert_allclose(float(outer(6.0)), 4.0, rtol=1e-12)
    expect_derivatives(lambda p: outer(p), np.array(6.0), order=2)

    def stepped(p):
        """Implicit Euler for y' = -p y^3 by hand."""
        step = lambda i, y: root_solve(lambda z: z - y + 0.1 * p * z**3, y).x
        return hs.fori_loop(0, 5, step, 1.0)

    expect_derivatives(stepped, np.array(0.7), order=2)
    eager, compiled = hs.value_and_grad(stepped)(0.7), hs.compile(hs.value_and_grad(stepped))(0.7)
    np.testing.assert_allclose(np.asarray(compiled[1]), np.asarray(eager[1]), rtol=1e-13)


def test_branches_inside_the_function():
    f = lambda x, p: hs.cond(x > 0, lambda: x**3 - p, lambda: x - p)
    solve = lambda p: root_solve(f, 2.0, args=(p,)).x
    np.testing.assert_allclose(float(hs.grad(solve)(8.0)), 1 / 12, rtol=1e-12)


def test_implicit_function_of_a_solution_from_elsewhere():
    def cube_root(p):
        x = np.cbrt(np.asarray(hs.stop_gradient(p)))
        return implicit_function(lambda x, p: x**3 - p, x, args=(p,))

    np.testing.assert_allclose(np.asarray(cube_root(hs.array([8.0, 27.0]))), [2.0, 3.0])
    np.testing.assert_allclose(
        np.asarray(hs.grad(lambda p: hs.sum(cube_root(p)))(hs.array([8.0, 27.0]))), [1 / 12, 1 / 27]
    )
    twice = hs.grad(lambda p: hs.grad(lambda q: implicit_function(lambda x, q: x**3 - q, 2.0, args=(q,)))(p))(
        8.0
    )
    np.testing.assert_allclose(float(twice), -2 / 9 * 8 ** (-5 / 3), rtol=1e-12)


# maps and programs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["newton", "anderson", "transient"])
def test_vmap_is_a_loop_and_programs_are_eager(method):
    p = np.random.default_rng(0).normal(size=(7, 3))
    solve = lambda p: root_solve(
        lambda x: -gentle(x, p) * (-0.2 if method == "anderson" else 1), np.zeros(3), method=method
    )
    whole = hs.vmap(solve)(p)
    steps = [int(s) for s in np.asarray(whole.stats["steps"])]
    for i in range(7):
        one = solve(p[i])
        np.testing.assert_allclose(np.asarray(whole.x[i]), np.asarray(one.x), rtol=1e-13)
        assert steps[i] == int(one.stats["steps"])
    assert whole.success
    loss = lambda p: hs.sum(hs.vmap(lambda q: solve(q).x)(p) ** 2)
    g = np.asarray(hs.grad(loss)(p))
    np.testing.assert_allclose(np.asarray(hs.compile(hs.grad(loss))(p)), g, rtol=1e-12)
    for i in range(2):
        one = hs.grad(lambda q: hs.sum(solve(q).x ** 2))(hs.array(p[i]))
        np.testing.assert_allclose(np.asarray(one), g[i], rtol=1e-12)
    h = np.asarray(hs.hessian(lambda q: hs.sum(solve(q).x ** 2))(hs.array(p[0])))
    np.testing.assert_allclose(
        np.asarray(hs.compile(hs.hessian(lambda q: hs.sum(solve(q).x ** 2)))(p[0])), h, rtol=1e-11
    )
    np.testing.assert_allclose(h, h.T, atol=1e-13)


def test_result_is_a_tree():
    sol = hs.compile(lambda p: root_solve(lambda x: x * x - p, 1.0))(2.0)
    assert sol.success and abs(float(sol.x) - np.sqrt(2.0)) < 1e-12


def test_save_and_load(tmp_path):
    g = hs.compile(hs.grad(lambda p: root_solve(lambda x: x**3 - p, 1.0, linear_solver="gmres").x))
    expected = float(g(2.0))
    path = tmp_path / "root.hesse"
    hs.save_program(path, g, 2.0)
    assert float(hs.load_program(path)(2.0)) == expected


# steady states ------------------------------------------------------------------------------------------------------


def brusselator(t, y, a, b):
    x, z = y
    return (a + x * x * z - (b + 1.0) * x, b * x - x * x * z)


@pytest.mark.parametrize("method", ["newton", "transient"])
def test_steady_state_is_where_the_solution_goes(method):
    sol = steady_state(brusselator, (1.0, 1.0), args=(1.0, 1.5), method=method)
    np.testing.assert_allclose([float(v) for v in sol.x], [1.0, 1.5], rtol=1e-10)
    late = solve_ivp(
        brusselator, (0.0, 100.0), (1.0, 1.0), args=(1.0, 1.5), t_eval=[100.0], rtol=1e-9, atol=1e-10
    )
    np.testing.assert_allclose([float(v[0]) for v in late.y], [float(v) for v in sol.x], rtol=1e-6)

    def states(p):
        return hs.stack(list(steady_state(brusselator, (1.0, 1.0), args=(p[0], p[1]), method=method).x))

    np.testing.assert_allclose(
        np.asarray(hs.jacrev(states)(hs.array([1.0, 1.5]))), [[1, 0], [-1.5, 1]], atol=1e-10
    )
    expect_derivatives(states, np.array([1.0, 1.5]), order=2)


def test_transient_finds_the_stable_state_and_takes_over_where_newton_fails():
    bistable = lambda t, y: y - y**3
    assert abs(float(steady_state(bistable, 0.1).x)) < 1e-12  # Newton: the nearest, which is not stable
    assert abs(float(steady_state(bistable, 0.1, method="transient").x) - 1.0) < 1e-12
    # |f| has a minimum that is no root at y = 0; Newton goes there, the solution passes it.
    passing = lambda t, y: -(y**3) / 3 + y * 0.5 + 1.0 - 0.0 * t
    sol = steady_state(passing, -1.5)
    assert not root_solve(lambda y: passing(0.0, y), -1.5, raise_on_failure=False, max_steps=200).success
    np.testing.assert_allclose(float(passing(0.0, sol.x)), 0.0, atol=1e-9)
    assert sol.success and float(sol.x) > 1.0


def test_steady_state_of_a_stiff_reaction():
    def robertson(t, y, k):
        a, b, c = y
        return (
            -k * a + 1e4 * b * c + 0.1 * (1 - a),
            k * a - 1e4 * b * c - 3e7 * b * b,
            3e7 * b * b - 0.1 * c,
        )

    for method in ("newton", "transient"):
        a, b, c = (float(v) for v in steady_state(robertson, (1.0, 0.0, 0.0), args=(0.04,), method=method).x)
        assert all(abs(float(v)) < 1e-12 for v in robertson(0.0, (a, b, c), 0.04))
        assert a > 0.8 and 1e-5 < b < 1e-4


# failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x0", "options", "status", "message"),
    [
        (lambda x: x * x + 1.0, 3.0, {}, 2, "no step improves"),
        (lambda x: x * x - 1.0, 0.0, {}, 4, "singular"),
        (lambda x: hs.log(x), -1.0, {}, 3, "NaN or infinity"),
        (lambda x: hs.exp(x) - 2.0, 30.0, {"max_steps": 3}, 1, "max_steps"),
        (lambda x: 3.0 * x - 1.0, 1.0, {"method": "anderson", "history": 0}, 1, "max_steps"),
        (lambda x: -hs.exp(x), 1.0, {"method": "anderson", "history": 0}, 3, "NaN or infinity"),
    ],
)
def test_failures_are_said_or_data(f, x0, options, status, message):
    with pytest.raises(FloatingPointError, match=message) as caught:
        root_solve(f, x0, **options)
    assert str(caught.value).startswith("root_solve: ") and "residual" in str(caught.value)
    sol = root_solve(f, x0, raise_on_failure=False, **options)
    assert int(sol.status) == status and message in sol.message and not sol.success
    with pytest.raises(FloatingPointError, match=message):
        hs.compile(lambda x: root_solve(f, x, **options).x)(x0)


def test_failures_under_vmap():
    solve = lambda p: root_solve(lambda x: x * x - p, 1.1, raise_on_failure=False)
    sol = hs.vmap(solve)(hs.array([2.0, -1.0, 3.0]))
    assert [int(s) for s in np.asarray(sol.status)] == [0, 2, 0] and not sol.success
    np.testing.assert_allclose(np.asarray(sol.x)[[0, 2]], np.sqrt([2.0, 3.0]))
    with pytest.raises(FloatingPointError, match="no step improves"):
        hs.vmap(lambda p: root_solve(lambda x: x * x - p, 1.1).x)(hs.array([2.0, -1.0]))


def test_nan_in_an_argument():
    sol = root_solve(lambda x: x - np.nan, 1.0, raise_on_failure=False)
    assert int(sol.status) == 3


def test_derivative_at_a_singular_jacobian_raises():
    with pytest.raises(FloatingPointError, match="singular"):
        hs.grad(lambda p: implicit_function(lambda x: (x - p) ** 3, 1.0))(1.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: root_solve(lambda x: x[:1], np.zeros(2)), ValueError, r"f returns float64\[1\] for array 0 of x0"),
        (lambda: root_solve(lambda x: (x, x), 1.0), ValueError, "structure"),
        (lambda: root_solve(lambda x: x, 1), TypeError, "int64"),
        (lambda: root_solve(lambda x: x, ()), ValueError, "holds no arrays"),
        (lambda: root_solve(lambda x: x, np.zeros(0)), ValueError, "no entries"),
        (lambda: root_solve(lambda x: x, 1.0, method="secant"), ValueError, "\"newton\", \"anderson\""),
        (lambda: root_solve(lambda x: x, 1.0, method=3), TypeError, "method is 3"),
        (lambda: root_solve(lambda x: x, 1.0, rtol=-1.0), ValueError, "rtol is -1"),
        (lambda: root_solve(lambda x: x, 1.0, rtol=[1.0]), ValueError, "expected a scalar"),
        (lambda: root_solve(lambda x: x, np.ones(2), atol=np.ones(3)), ValueError, "does not fit"),
        (lambda: root_solve(lambda x: x, 1.0, max_steps=0), ValueError, "max_steps is 0"),
        (lambda: root_solve(lambda x: x, 1.0, history=-1), ValueError, "history is -1"),
        (lambda: root_solve(lambda x: x, 1.0, linear_solver="qr"), ValueError, "linear_solver is"),
        (lambda: root_solve(lambda x: x, 1.0, args=3), TypeError, "args is 3"),
        (lambda: root_solve(3, 1.0), TypeError, "root_solve"),
        (lambda: fixed_point(lambda x: x, 1.0, method="newton"), ValueError, "'anderson' or 'plain'"),
        (lambda: fixed_point(lambda x: x[:1], np.ones(2)), ValueError, "fixed_point: f returns"),
        (lambda: steady_state(lambda t, y: y, 1.0, method="anderson"), ValueError, "steady_state: method"),
        (lambda: implicit_function(lambda x: x[:1], np.zeros(2)), ValueError, "implicit_function: f returns"),
        (lambda: implicit_function(lambda x: x, 1.0, linear_rtol=-1.0), ValueError, "linear_rtol"),
    ],
)  # fmt: skip
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_tolerance_per_array():
    f = lambda x: (x[0] ** 2 - 2.0, hs.sin(x[1]))
    sol = root_solve(f, (1.0, hs.array([0.1, 0.2])), atol=(1e-3, np.array([1e-14, 1e-3])), rtol=0.0)
    assert sol.success and abs(float(sol.x[1][0])) < 1e-13
    with pytest.raises(FloatingPointError, match="below 0"):
        hs.compile(lambda tol: root_solve(lambda x: x - 1.0, 0.0, rtol=tol).x)(-1.0)
