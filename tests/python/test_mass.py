"""Mass matrices, M dy/dt = f(t, y): linear problems against the matrix exponential, differential-algebraic ones against exact
and stored solutions, derivatives, and what is refused."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from stiff_problems import PROBLEMS, reference

import hesse as hs
from hesse import _hesse
from hesse.solvers import Discrete, Forward, solve_ivp

IMPLICIT = ("Rodas5P", "Rodas4", "Kvaerno5", "KenCarp4", "Kvaerno3")
SUNDIALS = ("BDF", "Adams") if _hesse.solvers.has_cvode() else ()
M = np.array([[2.0, 0.5, 0.0], [0.3, 1.0, 0.1], [0.0, -0.2, 1.5]])
A = np.array([[-1.0, 0.4, 0.0], [0.2, -2.0, 0.3], [0.1, 0.0, -0.7]])
Y0 = np.array([1.0, -0.5, 2.0])
TIMES = np.array([0.5, 1.0, 2.0])
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def linear(t, y, a):
    return a @ y


def exact(times, m=M):
    return np.stack([scipy.linalg.expm(np.linalg.solve(m, A) * t) @ Y0 for t in times])


def solved(m, method="Rodas5P", a=A, y0=Y0, times=TIMES, **options):
    return solve_ivp(
        linear,
        (0.0, 2.0),
        y0,
        method,
        times,
        args=(hs.array(a) if isinstance(a, np.ndarray) else a,),
        mass=m,
        **{**TIGHT, **options},
    ).y


@pytest.mark.parametrize("method", [*IMPLICIT, "Tsit5", "Dop853", *SUNDIALS])
@pytest.mark.parametrize("sparse", [False, True])
def test_linear_problems_against_the_matrix_exponential(method, sparse):
    m = hs.sparse.from_dense(M) if sparse else M
    tolerance = 1e-6 if method in SUNDIALS else 1e-7
    np.testing.assert_allclose(solved(m, method), exact(TIMES), rtol=tolerance, atol=tolerance)


def test_methods_with_fixed_steps_and_single_precision():
    np.testing.assert_allclose(solved(M, "RK4", first_step=0.01), exact(TIMES), atol=1e-8)
    single = lambda x: hs.array(x, dtype=hs.float32)
    for method in ("Tsit5", "Rodas5P", "Kvaerno3"):
        y = solved(single(M), method, single(A), single(Y0), rtol=1e-4, atol=1e-5)
        assert y.dtype == hs.float32
        np.testing.assert_allclose(y, exact(TIMES), atol=1e-3)


@pytest.mark.parametrize("method", ["Rodas5P", "Kvaerno5", "Tsit5"])
def test_diagonal_matrices(method):
    """A constant one is kept as its diagonal; one that is differentiated or an argument is not."""
    m = np.diag([2.0, 0.5, 3.0])
    sparse = hs.sparse.from_dense(m)
    constant = solved(m, method)
    np.testing.assert_allclose(constant, exact(TIMES, m), atol=1e-7)
    for y in (
        hs.compile(lambda: solved(m, method))(),
        hs.compile(lambda: solved(sparse, method))(),
        hs.compile(lambda x: solved(x, method))(hs.array(m)),
        hs.jvp(lambda x: solved(x, method), (hs.array(m),), (hs.array(m),))[0],
    ):
        np.testing.assert_allclose(y, constant, rtol=1e-10)
    by_a = lambda m: hs.grad(lambda a: hs.sum(W * solved(m, method, a) ** 2))(hs.array(A))
    np.testing.assert_allclose(by_a(m), hs.compile(by_a)(hs.array(m)), rtol=1e-8)


def test_constants_of_a_compiled_function_are_looked_at_when_it_is_traced():
    single = lambda y0: solved(np.diag([1.0, 1.0, 0.0]), "Tsit5", hs.array(A, dtype=hs.float32), y0)
    with pytest.raises(ValueError, match="of rank 2 of 3, and Tsit5 needs its inverse"):
        hs.compile(single)(hs.array(Y0, dtype=hs.float32))


def test_auto_is_rodas5p():
    sol = solve_ivp(
        lambda t, y: hs.array(A) @ y, (0.0, 2.0), Y0, "auto", TIMES, mass=M, raise_on_failure=False, **TIGHT
    )
    assert int(sol.stats["steps_Rodas5P"]) == int(sol.stats["accepted"]) > 0
    np.testing.assert_allclose(sol.y, exact(TIMES), atol=1e-7)


def test_a_tree_of_states_is_in_the_order_of_its_arrays():
    def f(t, y):
        flat = hs.array(A) @ hs.concatenate([y["b"][None], y["c"]])
        return {"b": flat[0], "c": flat[1:]}

    for method in ("Rodas5P", "Tsit5"):
        y = solve_ivp(
            f, (0.0, 2.0), {"c": Y0[1:], "b": Y0[0]}, method, TIMES, mass=M, **TIGHT
        ).y  # keys are sorted
        np.testing.assert_allclose(y["b"], exact(TIMES)[:, 0], atol=1e-7)
        np.testing.assert_allclose(y["c"], exact(TIMES)[:, 1:], atol=1e-7)


def test_a_large_sparse_matrix_of_finite_elements():
    """The heat equation in linear elements: explicit steps with sparse factors of M."""
    n = 200
    h = 1 / (n + 1)
    lumps = scipy.sparse.diags_array([h / 6, 2 * h / 3, h / 6], offsets=[-1, 0, 1], shape=(n, n))
    stiffness = scipy.sparse.diags_array([-1 / h, 2 / h, -1 / h], offsets=[-1, 0, 1], shape=(n, n))
    m, k = (hs.sparse.from_scipy(a.tocsr()) for a in (lumps, stiffness))
    x = np.arange(1, n + 1) * h
    y0 = np.sin(np.pi * x)
    theta = np.pi * h
    rate = 6 / h**2 * (1 - np.cos(theta)) / (2 + np.cos(theta))  # of this wave, in the discrete problem
    for method, end in (("Tsit5", 1e-4), ("Kvaerno5", 0.1)):
        y = solve_ivp(lambda t, y: -(k @ y), (0.0, end), y0, method, [end], mass=m, rtol=1e-7, atol=1e-9).y[0]
        np.testing.assert_allclose(y, np.exp(-rate * end) * y0, atol=1e-6)


# Differential-algebraic problems -----------------------------------------------------------------------------------------


def robertson(t, y, p):
    a, b, c = p[0] * y[0], p[1] * y[1] * y[1], p[2] * y[1] * y[2]
    return hs.stack([c - a, a - b - c, y[0] + y[1] + y[2] - 1])


def robertson_dae(p, method, rtol, **options):
    problem = PROBLEMS["ROBER"]
    return solve_ivp(
        robertson,
        (0.0, problem.times[-1]),
        problem.y0,
        method,
        problem.times,
        args=(p,),
        rtol=rtol,
        atol=rtol * problem.scale,
        mass=np.diag([1.0, 1.0, 0.0]),
        **options,
    )


@pytest.mark.parametrize("method", IMPLICIT)
def test_robertson_as_a_dae_against_the_golden_reference(method):
    problem, rtol = PROBLEMS["ROBER"], 1e-5
    sol = robertson_dae(hs.array(problem.p), method, rtol)
    expected = reference("ROBER")[0]
    error = np.abs(np.asarray(sol.y) - expected) / (problem.scale + np.abs(expected))
    assert error.max() < 10 * rtol
    # Its algebraic equation holds.
    assert np.abs(np.asarray(sol.y).sum(axis=1) - 1).max() < 1e-6


@pytest.mark.parametrize("method, adjoint", [("Rodas5P", None), ("Kvaerno5", None), ("Rodas5P", Forward())])
def test_gradient_of_the_rates_of_robertson(method, adjoint):
    problem = PROBLEMS["ROBER"]
    y, dy = reference("ROBER")
    w = np.random.default_rng(0).normal(size=y.shape) / (problem.scale + np.abs(y))

    def loss(log_p):
        return hs.sum(w * robertson_dae(hs.exp(log_p), method, 1e-8, adjoint=adjoint).y)

    x = np.log(problem.p)
    gradient = np.asarray(hs.compile(hs.grad(loss))(x))
    np.testing.assert_allclose(gradient, np.einsum("tn,tnp->p", w, dy), rtol=1e-4)
    tangent = hs.compile(lambda x: hs.jvp(loss, (x,), (np.ones(3),))[1])(x)
    assert float(tangent) == pytest.approx(gradient.sum(), rel=1e-6)


def waves(t, y, p):
    """x = sin t and z = 2 + cos t for p = 1: x' = z - 2 + ..., 0 = z^2 - ..."""
    x, z = y
    drift = p * z - 2 * p + (x - hs.sin(t)) * z
    constraint = p * z * z - (2 + hs.cos(t)) ** 2 + x * x - hs.sin(t) ** 2
    return drift, constraint


ROTATED = np.array([[0.6, 0.8], [-0.8, 0.6]])
WAVE_MASS = {"diagonal": np.diag([1.0, 0.0]), "full": np.outer([1.0, 2.0], [1.0, 0.0])}


def waves_solved(method, h, tolerance, mass="diagonal", p=1.0, times=(1.5,), start=(0.0, 3.0), **options):
    """Steps of one size. With the full matrix the second equation is two times the first one, plus the constraint."""

    def f(t, y, p):
        drift, constraint = waves(t, y, p)
        return (drift, constraint) if mass == "diagonal" else (drift, 2 * drift + constraint)

    return solve_ivp(
        f,
        (0.0, times[-1]),
        start,
        method,
        times,
        args=(p,),
        mass=WAVE_MASS[mass],
        rtol=0.0,
        atol=tolerance,
        first_step=h,
        max_step=h,
        **options,
    )


@pytest.mark.parametrize("mass", ["diagonal", "full"])
@pytest.mark.parametrize(
    "method, order, h", [("Rodas5P", 5, 0.0625), ("Rodas4", 4, 0.0625), ("Kvaerno5", 5, 0.25), ("KenCarp4", 4, 0.125), ("Kvaerno3", 3, 0.0625)]
)  # fmt: skip
def test_order_of_convergence(method, order, h, mass):
    def errors(step):
        # The tolerance of the equations of stages falls as the error does; that of the error test is never reached.
        sol = waves_solved(method, step, step**order, mass)
        assert int(sol.stats["rejected"]) == 0
        x, z = (float(v[-1]) for v in sol.y)
        return np.array([abs(x - np.sin(1.5)), abs(z - 2 - np.cos(1.5))])

    coarse, fine = errors(h), errors(h / 4)
    rates = np.log(coarse / fine) / np.log(4)
    assert np.all(rates > order - 0.5), rates
    assert np.all(fine < 1e-4)


@pytest.mark.parametrize("method", ["Rodas5P", "Kvaerno5"])
@pytest.mark.parametrize("mass", ["diagonal", "full"])
def test_dense_output_save_and_times_at_the_start(method, mass):
    times = np.array([0.0, 0.7, 1.5])
    sol = waves_solved(method, 0.05, 1e-6, mass, times=times, dense_output=True)
    np.testing.assert_allclose(sol.y[0], np.sin(times), atol=1e-6)
    np.testing.assert_allclose(sol.y[1], 2 + np.cos(times), atol=1e-6)
    np.testing.assert_allclose(sol.sol(1.0)[1], 2 + np.cos(1.0), atol=1e-5)

    def at(t):
        x, z = waves_solved(method, 0.05, 1e-6, mass, times=t).y
        return hs.stack([x, z])

    # The derivative by a time is that of the solution, at the start too: z' follows from the constraint.
    for t, slope in zip(times, np.stack([np.cos(times), -np.sin(times)], axis=1), strict=True):
        tangent = hs.jvp(lambda s, t=t: at(hs.stack([s, 1.6]))[:, 0], (hs.array(t),), (hs.array(1.0),))[1]
        np.testing.assert_allclose(tangent, slope, atol=3e-4)


def consistent(x, p):
    return np.sqrt((9 - x * x) / p)


@pytest.mark.parametrize("method", ["Rodas5P", "Kvaerno5"])
@pytest.mark.parametrize("mass", ["diagonal", "full"])
def test_gradients_follow_the_algebraic_equations(method, mass):
    def end(x, z, p):
        x, z = waves_solved(method, 0.05, 1e-6, mass, p, start=(x, z)).y
        return x[0] + 2 * z[0]

    point = 0.2, consistent(0.2, 1.3), 1.3
    by_x, by_z, by_p = (float(g) for g in hs.grad(end, (0, 1, 2))(*map(hs.array, point)))
    h = 1e-5
    moved = lambda x, p: float(end(hs.array(x), hs.array(consistent(x, p)), hs.array(p)))
    assert by_z == 0
    assert by_x == pytest.approx((moved(0.2 + h, 1.3) - moved(0.2 - h, 1.3)) / (2 * h), rel=1e-6)
    assert by_p == pytest.approx((moved(0.2, 1.3 + h) - moved(0.2, 1.3 - h)) / (2 * h), rel=1e-6)
    one, none = hs.array(1.0), hs.array(0.0)
    for direction, expected in (((one, none, none), by_x), ((none, one, none), 0), ((none, none, one), by_p)):
        tangent = hs.jvp(end, tuple(map(hs.array, point)), direction)[1]
        assert float(tangent) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("method", ["Rodas5P", "Kvaerno5"])
def test_algebraic_entries_jump_at_breakpoints(method):
    """x' = -z, z = x + u(t), where u is 0 before and c from 1: x = exp(-t), then decaying to -c."""

    def solved(c, times):
        f = lambda t, y: (-y[1], y[1] - y[0] - hs.where(t < 1, 0.0, c))
        return solve_ivp(
            f,
            (0.0, 2.0),
            (1.0, 1.0),
            method,
            times,
            mass=np.diag([1.0, 0.0]),
            breakpoints=[1.0],
            rtol=1e-8,
            atol=1e-9,
        )

    after = np.array([1 + 1e-6, 1.01, 2.0])
    x = (np.exp(-1) + 2) * np.exp(1 - after) - 2
    sol = solved(2.0, after)
    np.testing.assert_allclose(sol.y[0], x, atol=1e-7)
    np.testing.assert_allclose(sol.y[1], x + 2, atol=1e-6)
    before = solved(2.0, [0.5, 1 - 1e-6])
    np.testing.assert_allclose(before.y[1], np.exp([-0.5, -1 + 1e-6]), atol=1e-6)
    by_c = hs.grad(lambda c: solved(c, [2.0]).y[1][0])(2.0)
    assert float(by_c) == pytest.approx(np.exp(-1), rel=1e-6)


def test_units_make_no_matrix_singular():
    """An equation in units of 1e-30, and one entry of the state in units of 1e20."""
    units = np.diag([1.0, 1e-30, 1.0]) @ M @ np.diag([1.0, 1.0, 1e20])
    a = np.diag([1.0, 1e-30, 1.0]) @ A @ np.diag([1.0, 1.0, 1e20])
    y0 = Y0 * [1, 1, 1e-20]
    for method in ("Rodas5P", "Tsit5"):
        y = solved(units, method, a, y0, atol=hs.array([1e-11, 1e-11, 1e-31]))
        np.testing.assert_allclose(y * np.array([1, 1, 1e20]), exact(TIMES), atol=1e-7)


# Derivatives by the matrix -----------------------------------------------------------------------------------------------

W = np.random.default_rng(1).normal(size=(3, 3))
D = np.random.default_rng(2).normal(size=(3, 3))


def loss_of(method, tolerance=1e-9, **options):
    return lambda m: hs.sum(W * solved(m, method, rtol=tolerance, atol=tolerance, **options) ** 2)


def exact_loss(m):
    return float(np.sum(W * exact(TIMES, m) ** 2))


@pytest.mark.parametrize("method", ["Rodas5P", "Kvaerno5", "Tsit5", "RK4", *SUNDIALS[:1]])
def test_gradient_by_the_matrix(method):
    options = {"first_step": 0.01} if method == "RK4" else {}
    f = loss_of(method, **options)
    h = 1e-5
    slope = (exact_loss(M + h * D) - exact_loss(M - h * D)) / (2 * h)
    for run in (hs.grad(f), hs.compile(hs.grad(f))):
        gradient = np.asarray(run(hs.array(M)))
        assert np.sum(gradient * D) == pytest.approx(slope, rel=1e-5)
    tangent = float(hs.jvp(f, (hs.array(M),), (hs.array(D),))[1])
    # The adjoint of BDF is as accurate as the tolerances.
    assert np.sum(gradient * D) == pytest.approx(tangent, rel=1e-10 if method not in SUNDIALS else 1e-5)


def test_gradient_by_a_sparse_matrix_is_that_at_its_places():
    m = hs.sparse.from_dense(M)
    for method in ("Rodas5P", "Tsit5"):
        dense = np.asarray(hs.grad(loss_of(method))(hs.array(M)))
        sparse = m.replace(data=hs.grad(loss_of(method))(m).data)
        np.testing.assert_allclose(sparse.todense(), np.where(M == 0, 0, dense), rtol=1e-8)


def test_checkpoints_and_forward_adjoint():
    expected = hs.grad(loss_of("Rodas5P"))(hs.array(M))
    for adjoint in (Discrete(checkpoint_every=3), Forward()):
        run = hs.compile(hs.grad(loss_of("Rodas5P", adjoint=adjoint)))
        np.testing.assert_allclose(run(hs.array(M)), expected, rtol=1e-9)


@pytest.mark.parametrize("method", ["Rodas5P", "Kvaerno3", "Tsit5"])
def test_second_derivatives_by_the_matrix(method):
    f = loss_of(method, 1e-6)
    scalar = lambda s: f(hs.array(M) + s * hs.array(D))
    h = 1e-3
    at = lambda s: exact_loss(M + s * D)
    expected = (at(h) - 2 * at(0) + at(-h)) / h**2
    for outer in (hs.grad, lambda g: lambda s: hs.jvp(g, (s,), (hs.array(1.0),))[1]):
        assert float(outer(hs.grad(scalar))(hs.array(0.0))) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("method", ["Rodas5P", "Kvaerno5", "Tsit5"])
def test_mapped_over_matrices(method):
    many = np.stack([M, M + 0.1 * np.eye(3), M + 0.1 * D])
    f = loss_of(method, 1e-6)
    for run in (hs.vmap(hs.value_and_grad(f)), hs.compile(hs.vmap(hs.value_and_grad(f)))):
        values, gradients = run(hs.array(many))
        for i, m in enumerate(many):
            value, gradient = hs.value_and_grad(f)(hs.array(m))
            assert float(values[i]) == pytest.approx(float(value), rel=1e-10)
            np.testing.assert_allclose(gradients[i], gradient, rtol=1e-8, atol=1e-10)


def test_singular_matrices_that_are_arguments():
    """Whether a matrix is singular is found when the program runs."""

    def end(m, start):
        sol = solve_ivp(
            lambda t, y: waves(t, y, 1.0),
            (0.0, 1.5),
            (start[0], start[1]),
            "Rodas5P",
            [1.5],
            mass=m,
            rtol=1e-8,
            atol=1e-8,
            raise_on_failure=False,
        )
        return hs.stack([v[0] for v in sol.y]), sol.status

    expected = [np.sin(1.5), 2 + np.cos(1.5)]
    y, status = hs.compile(end)(hs.array(WAVE_MASS["diagonal"]), hs.array([0.0, 3.0]))
    np.testing.assert_allclose(y, expected, atol=1e-6)
    y, status = hs.compile(end)(hs.array(WAVE_MASS["diagonal"]), hs.array([0.0, 3.5]))
    assert int(status) == 8 and np.isnan(np.asarray(y)).all()
    # Of these the last one has a start for every value of z.
    many = hs.array([[[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, -1e-3]]])
    y, status = hs.vmap(end)(many, hs.array([[0.0, 3.0], [0.0, 3.5], [0.0, 3.5]]))
    assert np.asarray(status).tolist() == [0, 8, 0]
    np.testing.assert_allclose(y[0], expected, atol=1e-6)
    np.testing.assert_allclose(y[2], expected, atol=1e-2)


# Bad input ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mass, options, error, words",
    [
        (np.eye(2), {}, ValueError, r"mass has shape \(2, 2\), expected \(3, 3\): a row and a column for each entry"),
        (np.ones(3), {}, ValueError, r"mass has shape \(3,\), expected"),
        (hs.sparse.from_dense(np.ones((3, 2))), {}, ValueError, r"mass has shape \(3, 2\), expected"),
        (1j * np.eye(3), {}, TypeError, "mass has dtype complex128, expected real numbers"),
        (np.eye(3) > 0, {}, TypeError, "mass has dtype bool, expected real numbers"),
        (np.diag([1, np.nan, 1]), {}, ValueError, "mass holds nan at position 4, expected finite"),
        (np.diag([1.0, 1.0, 0.0]), {"method": "Tsit5"}, ValueError, "singular, of rank 2 of 3, and Tsit5 needs its inverse; use Rodas5P or Kvaerno5"),
        (np.outer([1.0, 2, 3], [1, 1, 1.0]), {"method": "Dop853"}, ValueError, "of rank 1 of 3"),
        (np.diag([1.0, 1.0, 0.0]), {"method": "Rodas5P"}, FloatingPointError, r"y0 does not fit the singular mass matrix: the largest residual .* entry 2 of what f returns, is 1.3, and entry 2 of the state is about 1.857.* off.*solve_dae"),
        (np.diag([1.0, 1.0, 0.0]), {"method": "Kvaerno5", "a": np.diag([1.0, 1.0, 0.0])}, FloatingPointError, "is the index of the system 1"),
        (np.eye(3), {"y0": Y0 + 0j}, TypeError, "a mass matrix takes real states"),
        (scipy.sparse.csr_array(np.eye(3)), {}, TypeError, "mass is a csr_array; convert it with hesse.sparse.from_scipy"),
        ("diagonal", {}, TypeError, "mass is 'diagonal', expected a matrix or a hesse.sparse.CSR"),
    ],
)  # fmt: skip
def test_refusals(mass, options, error, words):
    with pytest.raises(error, match=words):
        solved(mass, **options)


@pytest.mark.skipif(not SUNDIALS, reason="this build has no SUNDIALS")
def test_bdf_refuses_a_singular_matrix():
    with pytest.raises(ValueError, match="BDF needs its inverse; use Rodas5P or Kvaerno5, .* or solve_dae"):
        solved(np.diag([1.0, 1.0, 0.0]), "BDF")


@pytest.mark.parametrize("method", ["ARK4", "Leapfrog"])
def test_methods_of_two_functions_take_no_mass(method):
    f = lambda t, y: -y
    state = (1.0, 0.5) if method == "Leapfrog" else 1.0
    with pytest.raises(ValueError, match=f"{method} takes no mass matrix"):
        solve_ivp((f, f), (0.0, 1.0), state, method, [1.0], first_step=0.1, mass=np.eye(2))


def test_failures_as_data():
    sol = solve_ivp(
        linear, (0.0, 1.0), Y0, "Rodas5P", [1.0], args=(A,), mass=np.diag([1.0, 1, 0]), raise_on_failure=False
    )
    assert int(sol.status) == 8 and "solve_dae" in sol.message and np.isnan(np.asarray(sol.y)).all()
    singular = hs.compile(lambda m: solve_ivp(
        linear, (0.0, 1.0), Y0, "Tsit5", [1.0], args=(A,), mass=m, raise_on_failure=False
    ).status)(hs.array(np.diag([1.0, 1, 0])))  # fmt: skip
    assert int(singular) == 3
    nothing = solve_ivp(lambda t, y: y, (0.0, 1.0), hs.zeros(0), "Rodas5P", [1.0], mass=hs.zeros((0, 0)))
    assert nothing.y.shape == (1, 0)


def test_a_start_within_the_tolerances_is_taken():
    sol = waves_solved("Rodas5P", 0.05, 1e-3, start=(0.0, 3.0 + 5e-3))
    np.testing.assert_allclose(sol.y[1], 2 + np.cos(1.5), atol=1e-3)
