"""hesse.solvers: minimise and least_squares on standard problems, against SciPy, and their derivatives."""

import numpy as np
import pytest
from expect_derivatives import expect_derivatives

import hesse as hs
from hesse.solvers import least_squares, minimise

METHODS = ["bfgs", "lbfgs", "newton-cg", "trust"]


def rosenbrock(x, a=1.0):
    return hs.sum((a - x[:-1]) ** 2 + 100.0 * (x[1:] - x[:-1] ** 2) ** 2)


def beale(x):
    return sum((c - x[0] * (1.0 - x[1] ** k)) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))


def wood(x):
    return (
        100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + 90 * (x[3] - x[2] ** 2) ** 2 + (1 - x[2]) ** 2
        + 10.1 * ((x[1] - 1) ** 2 + (x[3] - 1) ** 2) + 19.8 * (x[1] - 1) * (x[3] - 1)
    )  # fmt: skip


def bowl(x, p):
    """Not quadratic, with one minimum."""
    return hs.sum(hs.cosh(x - p)) + 0.5 * hs.sum(x) ** 2 + 0.1 * hs.sum(x**2 * p)


# minima -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("f", "x0", "expected"),
    [
        (rosenbrock, [-1.2, 1.0], [1.0, 1.0]),
        (rosenbrock, np.linspace(-0.5, 1.5, 10), np.ones(10)),
        (beale, [1.0, 1.0], [3.0, 0.5]),
        (wood, [-3.0, -1.0, -3.0, -1.0], np.ones(4)),
        (lambda x: hs.sum(x**2 * np.logspace(0, 6, 5)), np.ones(5), np.zeros(5)),
        (lambda x: hs.sum(hs.sqrt(1 + x**2)), [80.0, -3.0], [0.0, 0.0]),
    ],
)
def test_standard_problems(method, f, x0, expected):
    sol = minimise(f, np.asarray(x0), method=method, gtol=1e-8)
    np.testing.assert_allclose(np.asarray(sol.x), expected, atol=2e-6)
    assert sol.success and float(sol.stats["residual"]) <= 1e-8
    np.testing.assert_allclose(float(sol.stats["value"]), float(f(hs.asarray(expected))), atol=1e-9)


def test_quasi_newton_takes_about_the_evaluations_of_scipy():
    scipy = pytest.importorskip("scipy.optimize")
    x0 = np.array([-1.2, 1.0, 0.5, -0.3, 2.0])
    for method, theirs in (("bfgs", "BFGS"), ("lbfgs", "L-BFGS-B")):
        expected = scipy.minimize(scipy.rosen, x0, jac=scipy.rosen_der, method=theirs, options={"gtol": 1e-6})
        sol = minimise(rosenbrock, x0, method=method)
        assert int(sol.stats["evaluations"]) < 1.5 * expected.nfev


@pytest.mark.parametrize("method", ["newton-cg", "trust"])
def test_second_order_methods_converge_fast_at_the_end(method):
    p = np.array([0.3, -0.4, 1.0])
    ten = [
        minimise(bowl, np.zeros(3), args=(p,), method=method, gtol=10.0**-k).stats["steps"] for k in (3, 9)
    ]
    assert int(ten[1]) - int(ten[0]) <= 4
    assert int(ten[1]) <= 12


def test_trust_region_leaves_a_saddle():
    f = lambda x: x[0] ** 2 - x[1] ** 2 + 0.25 * x[1] ** 4
    for method in ("trust", "newton-cg"):
        x = np.asarray(minimise(f, np.array([1.0, 1e-3]), method=method).x)
        np.testing.assert_allclose([x[0], abs(x[1])], [0.0, np.sqrt(2.0)], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_trees_dtypes_and_a_wall(method, dtype):
    """log: f is NaN for trial steps beyond the wall; x is a tree."""
    x0 = {"a": hs.full((2,), 3.0, dtype=dtype), "b": hs.ones((), dtype=dtype)}
    f = lambda x: hs.sum(x["a"] - hs.log(x["a"])) + (x["b"] - 4.0) ** 2
    sol = minimise(f, x0, method=method)
    np.testing.assert_allclose(np.asarray(sol.x["a"]), 1.0, atol=3e-3 if dtype == "float32" else 1e-5)
    np.testing.assert_allclose(float(sol.x["b"]), 4.0, atol=2e-3)
    assert str(sol.x["a"].dtype).endswith(dtype)


def test_complex_unknowns():
    z = minimise(lambda z: hs.abs(z - (1.0 + 2.0j)) ** 2 + hs.real(z) ** 2, 0j).x
    np.testing.assert_allclose(complex(z), 0.5 + 2.0j, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_derivatives_in_every_mixture(method):
    def solve(p):
        sol = minimise(bowl, np.zeros(3), args=(p,), method=method, gtol=1e-13)
        return sol.x, sol.stats["value"]

    expect_derivatives(
        solve, np.array([0.3, -0.4, 1.0]), order=2 if method != "bfgs" else 3, rtol=1e-6, h=0.01
    )


def test_value_has_the_derivative_of_the_envelope():
    p = hs.array([0.3, -0.4, 1.0])
    value = lambda p: minimise(bowl, np.zeros(3), args=(p,), gtol=1e-12).stats["value"]
    x = minimise(bowl, np.zeros(3), args=(p,), gtol=1e-12).x
    np.testing.assert_allclose(
        np.asarray(hs.grad(value)(p)), np.asarray(hs.grad(bowl, argnums=1)(x, p)), rtol=1e-9
    )


def test_hyperparameters_through_ridge_regression():
    """argmin |a w - b|^2 + l |w|^2 = (a^T a + l)^-1 a^T b."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(30, 5)), rng.normal(size=30)
    fit = lambda l: (
        minimise(
            lambda w: hs.sum((hs.matmul(a, w) - b) ** 2) + l * hs.sum(w**2),
            np.zeros(5),
            method="lbfgs",
            gtol=1e-11,
        ).x
    )
    exact = lambda l: hs.linalg.solve(a.T @ a + l * hs.eye(5), hs.asarray(a.T @ b))
    for d in (lambda f: hs.jacfwd(f), lambda f: hs.jacrev(f), lambda f: hs.jacfwd(hs.jacrev(f))):
        np.testing.assert_allclose(np.asarray(d(fit)(0.7)), np.asarray(d(exact)(0.7)), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_vmap_is_a_loop_and_programs_are_eager(method):
    p = np.random.default_rng(0).normal(size=(4, 3))
    solve = lambda p: minimise(bowl, np.zeros(3), args=(p,), method=method, gtol=1e-9)
    whole = hs.vmap(solve)(p)
    for i in range(4):
        one = solve(p[i])
        np.testing.assert_allclose(np.asarray(whole.x[i]), np.asarray(one.x), rtol=1e-9, atol=1e-11)
    loss = lambda p: hs.sum(hs.vmap(lambda q: solve(q).x)(p) ** 2)
    g = hs.grad(loss)(p)
    np.testing.assert_allclose(np.asarray(hs.compile(hs.grad(loss))(p)), np.asarray(g), rtol=1e-6, atol=1e-9)


def test_large_problem_by_lbfgs():
    n = 5000
    p = np.linspace(-1, 1, n)
    f = lambda x, p: hs.sum(hs.cosh(x - p)) + 0.5 * hs.sum((x[1:] - x[:-1]) ** 2)
    solve = lambda p: minimise(f, np.zeros(n), args=(p,), method="lbfgs", gtol=1e-10).x
    x = solve(p)
    g = np.asarray(hs.grad(lambda p: hs.sum(solve(p) ** 2))(p))
    # H g' = 2 x with the tridiagonal H; g = cosh(x - p) g'
    adjoint = g / np.cosh(np.asarray(x) - p)
    product = np.asarray(hs.hvp(lambda x: f(x, p), x, hs.array(adjoint)))
    np.testing.assert_allclose(product, 2 * np.asarray(x), atol=1e-7)


def test_minimum_in_a_minimum():
    """The value of the inner one is a function of x with exact derivatives, second ones too."""
    inner = lambda x: minimise(lambda y: (y - x) ** 2 + 0.1 * y**4, 0.0, gtol=1e-11).stats["value"]
    x = minimise(lambda x: inner(x) + (x - 1.0) ** 2, 0.5, method="newton-cg", gtol=1e-8).x
    g = float(hs.grad(lambda x: inner(x) + (x - 1.0) ** 2)(x))
    assert abs(g) < 1e-8


# least squares ------------------------------------------------------------------------------------------------------

T = np.linspace(0.0, 1.0, 20)
DATA = 3.0 * np.exp(-2.0 * T) + 0.1 * np.sin(20 * T)


def misfit(x, data):
    return x[0] * hs.exp(-x[1] * T) - data


def test_least_squares_agrees_with_scipy():
    scipy = pytest.importorskip("scipy.optimize")
    expected = scipy.least_squares(
        lambda x: x[0] * np.exp(-x[1] * T) - DATA, [1.0, 1.0], method="lm", xtol=1e-14, ftol=1e-14, gtol=1e-14
    )
    sol = least_squares(misfit, np.ones(2), args=(DATA,))
    np.testing.assert_allclose(np.asarray(sol.x), expected.x, rtol=1e-8)
    np.testing.assert_allclose(float(sol.stats["value"]), expected.cost, rtol=1e-12)
    assert int(sol.stats["evaluations"]) <= 2 * expected.nfev


@pytest.mark.parametrize(
    ("f", "x0", "expected", "tolerance"),
    [
        (lambda x: hs.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]]), [-1.2, 1.0], [1.0, 1.0], 1e-8),
        (
            lambda x: hs.stack(
                [10 * (x[2] - 10 * hs.atan2(x[1], x[0]) / (2 * np.pi)), 10 * (hs.hypot(x[0], x[1]) - 1), x[2]]
            ),
            [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], 1e-8,
        ),
        (
            lambda x: hs.stack(
                [x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2]
            ),
            [3.0, -1.0, 0.0, 1.0], np.zeros(4), 1e-4,  # a singular Jacobian at the solution
        ),
        (lambda x: hs.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2.0]), [1.0, 1.0], [1e6, 2e-6], 1e-5),
        (lambda x: (x[0] - 2.0 + 0.0 * x[1]), [0.0, 5.0], [2.0, 5.0], 1e-7),  # x[1] has no part
    ],
)  # fmt: skip
def test_least_squares_on_standard_problems(f, x0, expected, tolerance):
    sol = least_squares(f, np.asarray(x0))
    np.testing.assert_allclose(
        np.asarray(sol.x), expected, rtol=tolerance, atol=tolerance * 1e-2 if tolerance == 1e-5 else tolerance
    )


def test_least_squares_derivatives():
    """With curvature: at a misfit that is not small, Gauss-Newton's derivative would be wrong."""
    solve = lambda d: least_squares(misfit, np.ones(2), args=(d,), gtol=1e-13, rtol=1e-13).x
    expect_derivatives(lambda d: solve(DATA + d * hs.cos(3 * T)), np.array(0.2), order=3, rtol=1e-5, h=0.05)
    jacobian = np.asarray(hs.jacrev(solve)(hs.array(DATA)))
    np.testing.assert_allclose(jacobian, np.asarray(hs.jacfwd(solve)(hs.array(DATA))), rtol=1e-9, atol=1e-12)
    value = lambda d: least_squares(misfit, np.ones(2), args=(d,)).stats["value"]
    x = solve(DATA)
    np.testing.assert_allclose(
        np.asarray(hs.grad(value)(hs.array(DATA))), -np.asarray(misfit(x, DATA)), rtol=1e-6, atol=1e-9
    )


def test_least_squares_of_trees_complex_and_single():
    f = lambda x: {"r": hs.stack([x["z"] - (1.0 + 1.0j), 2.0 * x["z"] - (2.0 + 2.2j)]), "s": x["w"] - 3.0}
    x = least_squares(f, {"z": 0j, "w": 1.0}).x
    np.testing.assert_allclose(complex(x["z"]), 1.0 + 1.08j, rtol=1e-9)
    t = hs.array(T, dtype="float32")
    single = least_squares(
        lambda x: x[0] * hs.exp(-x[1] * t) - hs.array(DATA, dtype="float32"), hs.ones(2, dtype="float32")
    )
    assert str(single.x.dtype).endswith("float32")
    np.testing.assert_allclose(
        np.asarray(single.x), np.asarray(least_squares(misfit, np.ones(2), args=(DATA,)).x), rtol=1e-3
    )


def test_least_squares_under_vmap_and_compile():
    data = DATA + 0.05 * np.random.default_rng(0).normal(size=(4, 20))
    solve = lambda d: least_squares(misfit, np.ones(2), args=(d,)).x
    whole = hs.vmap(solve)(data)
    for i in range(4):
        np.testing.assert_allclose(np.asarray(whole[i]), np.asarray(solve(data[i])), rtol=1e-9)
    loss = lambda d: hs.sum(hs.vmap(solve)(d) ** 2)
    np.testing.assert_allclose(
        np.asarray(hs.compile(hs.grad(loss))(data)), np.asarray(hs.grad(loss)(data)), rtol=1e-8, atol=1e-12
    )


# failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("f", "options", "status"),
    [
        (lambda x: rosenbrock(x), {"max_steps": 3}, (1,)),
        (lambda x: hs.sum(hs.log(x - 5.0)), {}, (3,)),
        (lambda x: -hs.sum(x**2), {}, (1, 2, 3)),  # no minimum
        (lambda x: hs.sum(hs.maximum(x, -2.0 * x)), {}, (1, 2)),  # a kink: the gradient vanishes nowhere
    ],
)
def test_failures_are_said_or_data(method, f, options, status):
    x0 = np.array([-1.2, 1.0])
    sol = minimise(f, x0, method=method, raise_on_failure=False, **options)
    assert int(sol.status) in status and not sol.success
    with pytest.raises(FloatingPointError, match="^minimise: "):
        minimise(f, x0, method=method, **options)


def test_least_squares_failures():
    with pytest.raises(FloatingPointError, match="least_squares: max_steps"):
        least_squares(misfit, np.ones(2), args=(DATA,), max_steps=2)
    with pytest.raises(FloatingPointError, match="NaN or infinity"):
        least_squares(lambda x: hs.log(x), np.array([-1.0]))
    assert (
        int(least_squares(misfit, np.ones(2), args=(DATA,), max_steps=2, raise_on_failure=False).status) == 1
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: minimise(lambda x: x, np.ones(2)), ValueError, r"shape \(2,\).*least_squares"),
        (lambda: minimise(lambda x: (x[0], x[1]), np.ones(2)), ValueError, "returns 2 arrays"),
        (lambda: minimise(lambda x: 1j * hs.sum(x), np.ones(2)), TypeError, "complex128"),
        (lambda: minimise(hs.sum, np.ones(2), method="simplex"), ValueError, "expected \"bfgs\""),
        (lambda: minimise(hs.sum, np.ones(2, dtype=int)), TypeError, "int64"),
        (lambda: minimise(hs.sum, np.ones(2), gtol=-1.0), ValueError, "gtol is below 0"),
        (lambda: minimise(hs.sum, np.ones(2), gtol=np.ones(2)), ValueError, "gtol has shape"),
        (lambda: minimise(hs.sum, np.ones(2), history=0), ValueError, "history is 0"),
        (lambda: minimise(hs.sum, np.ones(2), max_steps=0.5), ValueError, "max_steps is 0.5"),
        (lambda: minimise(hs.sum, np.zeros(0)), ValueError, "no entries"),
        (lambda: least_squares(lambda x: hs.argmax(x), np.ones(2)), TypeError, "int64"),
        (lambda: least_squares(lambda x: x[:0], np.ones(2)), ValueError, "no entries"),
        (lambda: least_squares(lambda x: x, np.ones(2), gtol=1j), TypeError, "gtol has dtype"),
        (lambda: least_squares(lambda x: x, np.ones(2), atol=-1.0), ValueError, "atol is -1"),
    ],
)  # fmt: skip
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
