"""Direct solutions of sparse systems by KLU."""

from __future__ import annotations

import numpy as np
import pytest

import hesse as hs
from hesse.solvers import linear_solve

pytestmark = pytest.mark.skipif(not hs._hesse.solvers.has_klu(), reason="this build has no KLU")


def system(n=30, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.1) + 3 * np.eye(n)
    b = rng.standard_normal(n)
    if np.dtype(dtype).kind == "c":
        a, b = a * np.exp(1j * a), b * np.exp(2j * b)
    return a.astype(dtype), b.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("method", ["klu", "lu", "auto"])
def test_values(dtype, method):
    a, b = system(dtype=dtype)
    s = hs.sparse.from_dense(a)
    wide = a.astype("complex128" if np.dtype(dtype).kind == "c" else "float64")
    tol = 1e-4 if dtype in ("float32", "complex64") else 1e-11
    got = linear_solve(s, b, method=method)
    assert str(got.x.dtype) == dtype and int(got.status) == 0 and int(got.stats["steps"]) == 1
    np.testing.assert_allclose(got.x, np.linalg.solve(wide, b), rtol=tol, atol=tol)
    np.testing.assert_allclose(
        linear_solve(s.T, b, method=method).x, np.linalg.solve(wide.T, b), rtol=tol, atol=tol
    )
    columns = np.stack([b, 2 * b, b[::-1]], 1)
    np.testing.assert_allclose(linear_solve(s, columns, method=method).x, np.linalg.solve(wide, columns), rtol=tol, atol=tol)  # fmt: skip
    np.testing.assert_allclose(
        linear_solve(hs.sparse.from_dense(np.eye(2)), [1, 2], method=method).x, [1.0, 2.0]
    )


def test_derivatives():
    a, b = system(12)
    s = hs.sparse.from_dense(a)
    rng = np.random.default_rng(1)
    dd, db, c = (hs.asarray(rng.standard_normal(n)) for n in (s.nnz, 12, 12))
    d, b = s.data, hs.asarray(b)
    x = lambda d, b: linear_solve(s.replace(data=d), b, method="klu").x
    dense = lambda d, b: hs.linalg.solve(s.replace(data=d).todense(), b)
    y, dy = hs.jvp(x, (d, b), (dd, db))
    np.testing.assert_allclose(dy, hs.jvp(dense, (d, b), (dd, db))[1], rtol=1e-10)
    h = 1e-6
    differences = (x(d + h * dd, b + h * db) - x(d - h * dd, b - h * db)) / (2 * h)
    np.testing.assert_allclose(dy, differences, rtol=1e-6, atol=1e-8)
    gd, gb = hs.vjp(x, d, b)[1](c)
    np.testing.assert_allclose(float(hs.sum(gd * dd) + hs.sum(gb * db)), float(hs.sum(c * dy)), rtol=1e-11)
    for f in [lambda d: hs.grad(lambda d: hs.sum(x(d, b) ** 3))(d), lambda d: hs.jvp(x, (d, b), (dd, db))[1]]:
        forward = hs.jvp(f, d, dd)[1]
        other = (f(d + h * dd) - f(d - h * dd)) / (2 * h)
        np.testing.assert_allclose(forward, other, rtol=1e-5, atol=1e-7)
    second = hs.grad(lambda d: hs.sum(hs.grad(lambda d: hs.sum(x(d, b) ** 2))(d) ** 2))(d)
    other = hs.grad(lambda d: hs.sum(hs.grad(lambda d: hs.sum(dense(d, b) ** 2))(d) ** 2))(d)
    np.testing.assert_allclose(second, other, rtol=1e-8, atol=1e-9)


def test_complex_derivatives():
    a, b = system(6, dtype="complex128")
    s = hs.sparse.from_dense(a)
    loss = lambda solve: lambda d: hs.sum(hs.abs(solve(d)) ** 2)
    got = hs.grad(loss(lambda d: linear_solve(s.replace(data=d), b).x))(s.data)
    want = hs.grad(loss(lambda d: hs.linalg.solve(s.replace(data=d).todense(), hs.asarray(b))))(s.data)
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_mapped_and_compiled():
    a, b = system(10)
    s = hs.sparse.from_dense(a)
    scale = hs.asarray(np.linspace(0.5, 2.0, 5))
    bs = hs.asarray(np.random.default_rng(3).standard_normal((5, 10)))
    f = lambda k, b: linear_solve(s.replace(data=s.data * k), b).x
    loop = hs.stack([f(k, b) for k, b in zip(scale, bs, strict=True)])
    np.testing.assert_allclose(hs.vmap(f)(scale, bs), loop, rtol=1e-12)
    np.testing.assert_allclose(hs.compile(hs.vmap(f))(scale, bs), loop, rtol=1e-12)
    g = hs.grad(lambda k, b: hs.sum(f(k, b) ** 2))
    np.testing.assert_allclose(
        hs.vmap(g)(scale, bs), [g(k, b) for k, b in zip(scale, bs, strict=True)], rtol=1e-10
    )
    solve = hs.compile(lambda s, b: linear_solve(s, b).x)
    np.testing.assert_allclose(solve(s, bs[0]), f(1.0, bs[0]), rtol=1e-12)


def test_one_ordering_for_a_pattern_and_one_factorisation_for_a_gradient():
    counts = hs._hesse.solvers.klu_counts
    a, b = system(17, seed=5)
    s = hs.sparse.from_dense(a)
    before = counts()
    for k in (1.0, 1.1, 1.2):
        hs.grad(lambda k: hs.sum(linear_solve(s.replace(data=s.data * k), b).x))(k)
    assert [y - x for x, y in zip(before, counts(), strict=True)] == [1, 3]


def test_results_do_not_depend_on_what_was_solved_before():
    a, b = system(17, seed=5)
    s = hs.sparse.from_dense(a)
    first = np.asarray(linear_solve(s, b).x)
    tiny = s.replace(data=hs.where(hs.abs(s.data) > 2, 1e-13 * s.data, s.data))  # other pivots
    x = linear_solve(tiny, b).x
    np.testing.assert_allclose(tiny @ x, b, atol=1e-9 * float(hs.max(hs.abs(x))))
    assert np.array_equal(np.asarray(linear_solve(s, b).x), first)


@pytest.mark.parametrize("values", [[1.0, 0.0, 2.0, 0.0], [1.0, 2.0, 2.0, 4.0], [np.nan, 1.0, 1.0, 1.0]])
def test_singular(values):
    s, b = hs.sparse.from_dense(np.ones((2, 2))).replace(data=hs.array(values)), np.ones(2)
    with pytest.raises(FloatingPointError, match="singular"):
        linear_solve(s, b)
    out = linear_solve(s, b, raise_on_failure=False)
    assert int(out.status) == 4 and np.isnan(out.x).all()


def test_structurally_singular_and_empty_rows():
    s = hs.sparse.coo([1.0, 1.0], [0, 1], [0, 0], (2, 2))
    assert int(linear_solve(s, np.ones(2), raise_on_failure=False).status) == 4
    s = hs.sparse.coo([1.0], [0], [0], (2, 2))
    assert int(linear_solve(s, np.ones(2), raise_on_failure=False).status) == 4


def test_a_large_system():
    n = 20000
    i = np.arange(n)
    s = hs.sparse.coo(
        np.concatenate([np.full(n, 2.5), -np.ones(n - 1), -np.ones(n - 1)]),
        np.concatenate([i, i[1:], i[:-1]]), np.concatenate([i, i[:-1], i[1:]]), (n, n),
    )  # fmt: skip
    b = hs.asarray(np.sin(i))
    x = linear_solve(s, b).x
    np.testing.assert_allclose(s @ x, b, atol=1e-12)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: linear_solve(np.eye(2), np.ones(2), method="klu"), ValueError, "for sparse matrices"),
        (lambda: linear_solve(lambda x: x, np.ones(2), method="klu"), ValueError, "for sparse matrices"),
        (lambda: linear_solve(hs.sparse.from_dense(np.eye(2)), np.ones(2), method="klu", preconditioner=np.eye(2)),
         ValueError, "takes no preconditioner"),
        (lambda: linear_solve(hs.sparse.from_dense(np.eye(2)), np.ones(3), method="klu"), ValueError, "expected"),
        (lambda: linear_solve(hs.sparse.from_dense(np.eye(2)).replace(indices=hs.array([0, 7])), np.ones(2)),
         IndexError, "out of range"),
    ],
)  # fmt: skip
def test_refusals(call, error, says):
    with pytest.raises(error) as info:
        call()
    assert says in str(info.value)


def test_a_place_that_is_there_twice_is_refused():
    a = hs.sparse.coo([1.0, 2.0, 3.0, 1.0], [0, 1, 0, 1], [0, 1, 0, 0], (2, 2), duplicates="keep")
    with pytest.raises(ValueError, match="row 0 has column 0 twice"):
        hs.solvers.linear_solve(a, hs.ones(2), method="klu")


def test_int32_indices():
    i, j = np.array([0, 1, 1], np.int32), np.array([0, 1, 0], np.int32)
    a = hs.sparse.coo([1.0, 2.0, 1.0], i, j, (2, 2))
    x = hs.solvers.linear_solve(a, hs.asarray([1.0, 2.0])).x
    np.testing.assert_allclose(np.asarray(x), [1.0, 0.5])
