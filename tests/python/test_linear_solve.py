"""hesse.solvers.linear_solve: every method against NumPy, its derivatives, and what it refuses."""

import numpy as np
import pytest
from expect_derivatives import expect_derivatives

import hesse as hs
from hesse.solvers import linear_solve

N = 12
RNG = np.random.default_rng(3)
BASE = RNG.normal(size=(N, N))
MATRICES = {
    "definite": BASE @ BASE.T + N * np.eye(N),
    "indefinite": BASE + BASE.T + np.diag(np.linspace(-9, 9, N)),
    "general": BASE + 6 * np.eye(N),
}
B = RNG.normal(size=N)
CASES = [
    ("lu", "general"), ("cholesky", "definite"), ("cg", "definite"), ("minres", "definite"),
    ("minres", "indefinite"), ("bicgstab", "general"), ("gmres", "general"), ("gmres", "indefinite"),
]  # fmt: skip
KRYLOV = [c for c in CASES if c[0] not in ("lu", "cholesky")]
TIGHT = {"rtol": 1e-13}


def jacobi(a):
    return lambda r: r / np.abs(np.diag(a))


def second_difference(u):
    """-u'' on a grid with zeros outside, times the spacing squared."""
    return 2.0 * u - hs.pad(u[1:], [(0, 1)]) - hs.pad(u[:-1], [(1, 0)])


@pytest.mark.parametrize(("method", "kind"), CASES)
@pytest.mark.parametrize("form", ["matrix", "function", "sparse", "columns"])
def test_agrees_with_numpy(method, kind, form):
    a = MATRICES[kind]
    b = RNG.normal(size=(N, 3)) if form == "columns" else B
    given = {
        "function": lambda x: hs.matmul(a, x),
        "sparse": hs.sparse.from_dense(a),
    }.get(form, a)
    sol = linear_solve(given, b, method=method, rtol=1e-11, max_steps=400)
    np.testing.assert_allclose(np.asarray(sol.x), np.linalg.solve(a, b), rtol=1e-8, atol=1e-9)
    assert sol.success and float(sol.stats["residual"]) < 1e-8


@pytest.mark.parametrize(("method", "kind"), KRYLOV)
def test_preconditioners_and_stopping(method, kind):
    a = np.diag(np.logspace(0, 3, N)) @ MATRICES[kind] @ np.diag(np.logspace(0, 3, N))
    if method in ("cg", "minres"):
        a = (a + a.T) / 2
    plain, better = (
        linear_solve(a, B, method=method, preconditioner=p, rtol=1e-6, max_steps=2000, raise_on_failure=False)
        for p in (None, jacobi(a))
    )
    assert better.success and int(better.stats["steps"]) <= int(plain.stats["steps"])
    r = B - a @ np.asarray(better.x)
    if method != "minres":  # which measures the residual by the preconditioner's estimate
        assert np.linalg.norm(r) <= 1.01e-6 * np.linalg.norm(B)
    np.testing.assert_allclose(np.abs(r).max(), float(better.stats["residual"]), rtol=1e-6, atol=1e-11)
    start = np.linalg.solve(a, B)
    assert int(linear_solve(a, B, method=method, x0=start, rtol=1e-6).stats["steps"]) == 0
    assert int(linear_solve(a, B, method=method, atol=10.0).stats["steps"]) == 0


@pytest.mark.parametrize("method", ["cg", "minres", "bicgstab", "gmres"])
def test_methods_end_after_n_steps(method):
    """In exact arithmetic; n = 4, and a restart after 2 for GMRES still converges."""
    a = MATRICES["definite"][:4, :4]
    sol = linear_solve(a, B[:4], method=method, rtol=1e-12)
    assert int(sol.stats["steps"]) <= 5
    if method == "gmres":
        short = linear_solve(a, B[:4], method=method, rtol=1e-12, restart=2, max_steps=200)
        np.testing.assert_allclose(np.asarray(short.x), np.linalg.solve(a, B[:4]), rtol=1e-9)
        assert int(short.stats["steps"]) > int(sol.stats["steps"])


def test_gmres_takes_the_steps_of_scipy():
    sparse = pytest.importorskip("scipy.sparse.linalg")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(60, 60)) + 12 * np.eye(60), rng.normal(size=60)
    theirs = []
    sparse.gmres(a, b, rtol=1e-9, restart=60, callback=lambda r: theirs.append(r), callback_type="pr_norm")
    ours = linear_solve(a, b, method="gmres", rtol=1e-9, restart=60)
    assert abs(int(ours.stats["steps"]) - len(theirs)) <= 1
    theirs = []
    s = a @ a.T
    sparse.cg(s, b, rtol=1e-9, callback=theirs.append)
    assert (
        abs(int(linear_solve(s, b, method="cg", rtol=1e-9, max_steps=1000).stats["steps"]) - len(theirs)) <= 2
    )


@pytest.mark.parametrize("method", ["lu", "cholesky", "cg", "minres", "bicgstab", "gmres"])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_dtypes(method, dtype):
    a = MATRICES["definite"].astype(dtype)
    if dtype.startswith("complex"):
        skew = np.tril(BASE, -1)
        a = a + 1j * (skew - skew.T)
    b = (B + (1j * B[::-1] if dtype.startswith("complex") else 0)).astype(dtype)
    sol = linear_solve(a.astype(dtype), b.astype(dtype), method=method)
    assert str(sol.x.dtype).endswith(dtype)
    single = dtype in ("float32", "complex64")
    np.testing.assert_allclose(
        np.asarray(sol.x), np.linalg.solve(a, b), rtol=2e-3 if single else 1e-6, atol=1e-4 if single else 1e-8
    )


def test_trees_and_promotion():
    def a(x):
        return {"u": 3.0 * x["u"] + x["v"], "v": 2.0 * x["v"] + hs.sum(x["u"])}

    b = {"u": hs.ones((2, 2)), "v": hs.array(3.0)}
    for method in ("gmres", "lu", "bicgstab"):
        x = linear_solve(a, b, method=method).x
        np.testing.assert_allclose(np.asarray(a(x)["u"]), 1.0, rtol=1e-7)
        np.testing.assert_allclose(float(a(x)["v"]), 3.0, rtol=1e-7)
    assert np.asarray(linear_solve([[2, 0], [0, 4]], [2, 4]).x).tolist() == [1.0, 1.0]
    mixed = linear_solve(hs.sparse.from_dense(np.eye(2)), hs.ones(2, dtype="float32"), method="cg").x
    assert str(mixed.dtype) == "float64"
    assert np.asarray(linear_solve(np.eye(3), np.zeros(3), method="cg").x).tolist() == [0.0] * 3


def test_a_large_sparse_system():
    n = 20000
    b = np.ones(n)
    main, off = np.full(n, 2.5), np.full(n - 1, -1.0)
    rows = np.concatenate([np.arange(n), np.arange(n - 1), np.arange(1, n)])
    cols = np.concatenate([np.arange(n), np.arange(1, n), np.arange(n - 1)])
    a = hs.sparse.coo(np.concatenate([main, off, off]), rows, cols, (n, n))
    sol = linear_solve(a, b, method="cg")
    assert int(sol.stats["steps"]) < 60
    x = np.asarray(sol.x)
    np.testing.assert_allclose(2.5 * x[1:-1] - x[2:] - x[:-2], 1.0, atol=1e-5)
    # d sum(x) / d data = -x y at the places of the pattern, where a y = 1
    g = hs.grad(lambda data: hs.sum(linear_solve(a.replace(data=data), b, method="cg").x))(a.data)
    np.testing.assert_allclose(float(hs.sum(g)), -(x @ x) - 2 * (x[1:] @ x[:-1]), rtol=1e-5)  # y = x


@pytest.mark.parametrize(("method", "kind"), CASES)
@pytest.mark.parametrize("preconditioned", [False, True])
def test_derivatives_in_every_mixture(method, kind, preconditioned):
    if preconditioned and method in ("lu", "cholesky"):
        pytest.skip("direct")
    a = MATRICES[kind][:5, :5]
    scale = np.linspace(0.5, 1.5, 5)

    def solve(p, b):
        matrix = a * hs.outer(p, p) if kind != "general" else a * p
        m = jacobi(a) if preconditioned else None
        options = {} if method in ("lu", "cholesky") else {"rtol": 1e-13, "max_steps": 100}
        return linear_solve(lambda x: matrix @ x, hs.sin(b), method=method, preconditioner=m, **options).x

    expect_derivatives(solve, scale, B[:5], order=2, rtol=1e-6, h=0.01)


def test_third_derivatives():
    a = MATRICES["general"][:3, :3]
    for method in ("gmres", "bicgstab"):
        solve = lambda p: (
            linear_solve(lambda x, p=p: hs.matmul(a, p * x) + 3.0 * x, hs.sin(p), method=method, **TIGHT).x
        )
        expect_derivatives(solve, np.array([0.5, 1.0, 1.5]), order=3, rtol=1e-5)


def test_transpose_is_the_solution_with_the_transpose():
    a = MATRICES["general"]
    solve = lambda b: linear_solve(lambda x: hs.matmul(a, x), b, method="gmres", **TIGHT).x
    (t,) = hs.linear_transpose(solve, hs.array(B))(hs.array(B))
    np.testing.assert_allclose(np.asarray(t), np.linalg.solve(a.T, B), rtol=1e-9)
    u, v = RNG.normal(size=(2, N))
    np.testing.assert_allclose(
        float(hs.sum(v * solve(hs.array(u)))),
        float(hs.sum(u * hs.vjp(solve, hs.array(B))[1](hs.array(v))[0])),
        rtol=1e-9,
    )


def test_gradient_with_respect_to_a_captured_network():
    """An implicit layer: (1 + W^T W) x = b."""
    w = RNG.normal(size=(4, N)) / 4
    by_cg = lambda w: hs.sum(
        linear_solve(lambda x: x + hs.matmul(w.T, hs.matmul(w, x)), B, method="cg", **TIGHT).x ** 3
    )
    dense = lambda w: hs.sum(hs.linalg.solve(hs.eye(N) + hs.matmul(w.T, w), B) ** 3)
    w = hs.array(w)
    np.testing.assert_allclose(
        np.asarray(hs.grad(by_cg)(w)), np.asarray(hs.grad(dense)(w)), rtol=1e-8, atol=1e-10
    )
    v = hs.array(RNG.normal(size=(4, N)))
    np.testing.assert_allclose(
        np.asarray(hs.hvp(by_cg, w, v)), np.asarray(hs.hvp(dense, w, v)), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_vmap_is_a_loop_and_programs_are_eager(method, kind):
    a = MATRICES[kind][:6, :6]
    b = RNG.normal(size=(5, 6))
    solve = lambda s, b: linear_solve(lambda x: s * hs.matmul(a, x), b, method=method)
    s = hs.array([1.0, 2.0, 0.5, 3.0, 1.5])
    whole = hs.vmap(solve)(s, hs.array(b))
    for i in range(5):
        one = solve(s[i], hs.array(b[i]))
        np.testing.assert_allclose(np.asarray(whole.x[i]), np.asarray(one.x), rtol=1e-12, atol=1e-14)
        assert int(whole.stats["steps"][i]) == int(one.stats["steps"])
    loss = lambda s, b: hs.sum(hs.vmap(lambda s, b: solve(s, b).x)(s, b) ** 2)
    eager = hs.grad(loss, argnums=(0, 1))(s, hs.array(b))
    program = hs.compile(hs.grad(loss, argnums=(0, 1)))(s, hs.array(b))
    for e, p in zip(eager, program, strict=True):
        np.testing.assert_allclose(np.asarray(p), np.asarray(e), rtol=1e-10)
    shared = hs.vmap(lambda b: linear_solve(a, b, method=method).x)(hs.array(b))
    np.testing.assert_allclose(np.asarray(shared), np.linalg.solve(a, b.T).T, rtol=1e-6, atol=1e-8)


def test_save_and_load(tmp_path):
    g = hs.compile(
        hs.grad(
            lambda k: hs.sum(
                linear_solve(
                    lambda u: k * second_difference(u), hs.ones(5), preconditioner=lambda r: 0.5 * r
                ).x
            )
        )
    )
    expected = float(g(2.0))
    np.testing.assert_allclose(expected, -17.5 / 4, rtol=1e-8)
    hs.save_program(tmp_path / "solve.hesse", g, 2.0)
    assert float(hs.load_program(tmp_path / "solve.hesse")(2.0)) == expected


# failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "options", "status", "message"),
    [
        (-MATRICES["definite"], {"method": "cg"}, 4, "unfit"),
        (MATRICES["general"], {"method": "gmres", "max_steps": 3}, 1, "max_steps"),
        (MATRICES["indefinite"], {"method": "minres", "max_steps": 3}, 1, "max_steps"),
        (np.diag([1.0] * (N - 1) + [0.0]), {"method": "gmres"}, 2, "no step improves"),
        (np.full((N, N), np.nan), {"method": "bicgstab"}, 3, "NaN or infinity"),
        (np.full((N, N), np.nan), {"method": "gmres"}, 3, "NaN or infinity"),
        (np.full((N, N), np.nan), {"method": "cg"}, 3, "NaN or infinity"),
        (np.full((N, N), np.nan), {"method": "minres"}, 3, "NaN or infinity"),
        (np.zeros((N, N)), {"method": "lu"}, 4, "singular"),
        (np.zeros((N, N)), {"method": "minres"}, 4, "singular"),
        (np.diag([1.0, 2.0] * (N // 2 - 1) + [3.0, 0.0]), {"method": "minres"}, 1, "max_steps"),
    ],
)
def test_failures_are_said_or_data(a, options, status, message):
    with pytest.raises(FloatingPointError, match=message):
        linear_solve(a, B, **options)
    sol = linear_solve(a, B, raise_on_failure=False, **options)
    assert int(sol.status) == status and not sol.success
    with pytest.raises(FloatingPointError, match=message):
        hs.compile(lambda b: linear_solve(a, b, **options).x)(B)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: linear_solve(lambda x: x + 1.0, B), ValueError, "of zero is 1"),
        (lambda: linear_solve(lambda x: x * x, B), ValueError, "not a linear function"),
        (lambda: linear_solve(lambda x: x, B, preconditioner=hs.abs), ValueError, "preconditioner is not a linear"),
        (lambda: linear_solve(lambda x: x[:2], B), ValueError, r"f returns float64\[2\]"),
        (lambda: linear_solve(np.ones((2, 3)), np.ones(2)), ValueError, "square"),
        (lambda: linear_solve(np.ones(3), np.ones(3)), ValueError, "square matrix"),
        (lambda: linear_solve(np.eye(3), np.ones(2)), ValueError, "rows of a"),
        (lambda: linear_solve(hs.sparse.from_dense(np.eye(3)), np.ones(2)), ValueError, "expected"),
        (lambda: linear_solve(np.eye(3), (np.ones(3), np.ones(3))), ValueError, "rows of a"),
        (lambda: linear_solve(np.eye(3), np.ones(3), method="jacobi"), ValueError, "method is"),
        (lambda: linear_solve(np.eye(3), np.ones(3), method=None), TypeError, "method is None"),
        (lambda: linear_solve(np.eye(3), np.ones(3), preconditioner=np.eye(3)), ValueError, "takes no preconditioner"),
        (lambda: linear_solve(np.eye(3), np.ones(3), method="cg", rtol=-1), ValueError, "rtol is -1"),
        (lambda: linear_solve(np.eye(3), np.ones(3), method="cg", atol=[1.0, 2.0]), ValueError, "linear_solve: atol"),
        (lambda: linear_solve(np.eye(3), np.ones(3), method="cg", x0=np.ones(2)), ValueError, "x0"),
        (lambda: linear_solve(np.eye(3), np.ones(3), method="cg", x0=(1.0,)), ValueError, "x0 is"),
        (lambda: linear_solve(lambda x: x, np.ones(3), x0=(1.0,)), ValueError, "x0 has the structure"),
        (lambda: linear_solve(np.eye(3), np.ones(3), max_steps=0), ValueError, "max_steps is 0"),
        (lambda: linear_solve(np.eye(3), np.ones(3), restart=0), ValueError, "restart is 0"),
        (lambda: linear_solve(lambda x: x, np.ones(3, dtype=int)), TypeError, "int64"),
        (lambda: linear_solve(np.eye(0), np.ones(0)), ValueError, "no entries"),
    ],
)  # fmt: skip
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_residual_that_rounding_spoilt_is_no_success():
    """In single precision the residual that CG carries along falls on, while that of x does not."""
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(60, 60)))
    a = hs.array((q * np.logspace(0, 7, 60)) @ q.T, dtype="float32")
    b = hs.ones(60, dtype="float32")
    sol = linear_solve(a, b, method="cg", rtol=1e-6, max_steps=100_000, raise_on_failure=False)
    assert int(sol.status) == 2 and float(sol.stats["residual"]) > 1e-2
