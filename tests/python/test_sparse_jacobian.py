"""Sparse Jacobians and Hessians: patterns hold every entry, are exact where they should be, and values are right."""

from __future__ import annotations

import numpy as np
import pytest
from op_entry import Call
from op_table import TABLE

import hesse as hs


def dense(matrix):
    return np.asarray(matrix.todense())


def places(matrix):
    return dense(matrix.replace(data=hs.ones(matrix.nnz))) != 0


def full(f, *args, argnums=0):
    """The dense Jacobian as a matrix."""
    j = np.asarray(hs.jacobian(f, argnums)(*args))
    columns = np.size(args[argnums])
    return j.reshape(-1, columns) if columns else j.reshape(j.size, 0)


def laplacian(u):
    return hs.pad(u[1:], [(0, 1)]) - 2.0 * u + hs.pad(u[:-1], [(1, 0)])


def tridiagonal(n):
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= 1


# ---- every op -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("entry", TABLE, ids=[e.name for e in TABLE])
def test_patterns_hold_every_entry_of_every_op(entry):
    dtypes = [d for d in entry.differentiated() if d in ("float64", "complex128")]
    if not dtypes:
        pytest.skip("has no derivatives")
    for dtype in dtypes:
        for sample in entry.samples:
            call = Call(entry, sample, dtype)
            if not sample.diff or not call.taken:
                continue
            fixed = [hs.asarray(a) for a in call.arrays]

            def f(*xs, call=call, fixed=fixed):
                arrays = list(fixed)
                for i, x in zip(call.taken, xs, strict=True):
                    arrays[i] = x
                ys = [y for y in call.run(hs, arrays) if np.dtype(str(y.dtype)).kind in "fc"]
                if call.entry.diff_out is not None:
                    ys = [y for k, y in enumerate(call.run(hs, arrays)) if k in call.entry.diff_out]
                return hs.concatenate([hs.flatten(y) for y in ys]) if ys else hs.zeros(0)

            for k, i in enumerate(call.taken):
                xs = [fixed[j] for j in call.taken]
                if xs[k].size == 0 or xs[k].size * np.size(np.asarray(f(*xs))) > 20000:
                    continue
                if np.asarray(f(*xs)).dtype.kind != xs[k].dtype.kind:
                    continue  # of complex arguments: not one number
                j = hs.sparse_jacobian(f, k)(*xs)
                want = full(f, *xs, argnums=k)
                outside = np.abs(np.where(places(j), 0.0, want))
                assert not outside.any(), f"{entry.name} {sample} argument {i}: {np.argwhere(outside)[:3]}"
                if dtype == "float64":  # not all complex ones are holomorphic
                    scale = max(1, np.abs(want).max(initial=0))
                    np.testing.assert_allclose(dense(j), want, rtol=1e-9, atol=1e-9 * scale)


# ---- compositions ---------------------------------------------------------------------------------------------
STEPS = [
    lambda x, r: hs.sin(x),
    lambda x, r: x * hs.roll(x, int(r.integers(1, 4))),
    lambda x, r: hs.flip(x) + 1.0,
    lambda x, r: x[hs.asarray(r.permutation(x.shape[0]))],
    lambda x, r: hs.concatenate([x[2:], x[:2] ** 2]),
    lambda x, r: hs.segment_sum(x, hs.asarray(r.integers(0, 6, x.shape[0])), 6)[hs.asarray(r.integers(0, 6, x.shape[0]))],
    lambda x, r: hs.where(hs.asarray(r.random(x.shape[0]) < 0.5), x, hs.zeros_like(x)),
    lambda x, r: hs.flatten(hs.sum(hs.reshape(x, (3, 4)), 0, keepdims=True) * hs.reshape(x, (3, 4))),
    lambda x, r: hs.flatten(hs.reshape(x, (4, 3)) @ hs.asarray(r.standard_normal((3, 3)) * (r.random((3, 3)) < 0.4))),
    lambda x, r: hs.flatten(hs.reshape(x, (3, 4)).T),
    lambda x, r: hs.flatten(hs.max(hs.reshape(x, (6, 2)), 1, keepdims=True) + hs.reshape(x, (6, 2))),
    lambda x, r: hs.vmap(lambda a, b: a * hs.sum(b))(x, hs.reshape(hs.tile(x, 2), (12, 2))),
    lambda x, r: hs.scan(lambda c, v: (c * 0.5 + v, c * v), hs.array(0.0), x)[1],
    lambda x, r: hs.cond(x[0] > 0, lambda v: hs.roll(v, 1), lambda v: v * v, x),
    lambda x, r: hs.fori_loop(0, 2, lambda i, v: v + hs.roll(v, 1) ** 2, x),
    lambda x, r: hs.checkpoint(lambda v: v[::-1] * v)(x),
    lambda x, r: x.at[hs.asarray([1, 3])].set(x[5] ** 2),
    lambda x, r: hs.cumsum(x) * 0.1,
    lambda x, r: hs.sparse.from_dense(np.diag(np.ones(11), 1)) @ x,
    lambda x, r: hs.stop_gradient(x) + hs.floor(x) + x * hs.sign(hs.roll(x, 1)),
    lambda x, r: hs.sort(hs.reshape(x, (3, 4)), axis=1).reshape(-1),
    lambda x, r: hs.pad(x[1:-1], [(1, 1)], mode="reflect"),
    lambda x, r: hs.fft.irfft(hs.fft.rfft(hs.reshape(x, (3, 4))), n=4).reshape(-1),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_patterns_hold_every_entry_of_random_programs(seed):
    draws = np.random.default_rng(seed)
    picked = draws.integers(0, len(STEPS), draws.integers(1, 5))

    def f(x):
        r = np.random.default_rng([seed, 1])
        for k in picked:
            x = STEPS[k](x, r)
        return x

    for _ in range(2):
        x = hs.asarray(draws.standard_normal(12))
        j = hs.sparse_jacobian(f)(x)
        want = full(f, x)
        assert not np.where(places(j), 0.0, want).any()
        np.testing.assert_allclose(dense(j), want, rtol=1e-9, atol=1e-9)
        g = lambda v: hs.sum(hs.sin(f(v)) * f(v))
        h = hs.sparse_hessian(g)(x)
        want = np.asarray(hs.hessian(g)(x))
        np.testing.assert_allclose(dense(h), want, rtol=1e-8, atol=1e-8 * max(1, np.abs(want).max()))


@pytest.mark.parametrize(
    "f, n, expected",
    [
        (laplacian, 7, tridiagonal(7)),
        (lambda u: u[1:] * u[:-1], 4, np.eye(3, 4) + np.eye(3, 4, 1)),
        (lambda u: hs.sum(hs.reshape(u, (3, 2)), 1), 6, np.kron(np.eye(3), [1, 1])),
        (lambda u: hs.stop_gradient(u) + hs.floor(u), 3, np.zeros((3, 3))),
        (lambda u: hs.roll(u, 1) + u, 4, np.eye(4) + np.roll(np.eye(4), 1, 0)),
        (lambda u: hs.vmap(lambda a: a[0] * a[1])(hs.reshape(u, (3, 2))), 6, np.kron(np.eye(3), [1, 1])),
        (lambda u: hs.scan(lambda c, v: (v, c), hs.array(0.0), u)[1], 4, np.eye(4, 4, -1)),
        (lambda u: hs.reshape(hs.conv(hs.reshape(u, (1, 1, 6)), hs.array([[[1.0, 0.0, 1.0]]])), (-1,)), 6,
         np.eye(4, 6) + np.eye(4, 6, 2)),
        (lambda u: hs.flatten(hs.softmax(hs.reshape(u, (2, 3)), axis=1)), 6, np.kron(np.eye(2), np.ones((3, 3)))),
        (lambda u: hs.array([[1.0, 0.0], [0.0, 2.0]]) @ u, 2, np.eye(2)),
        (lambda u: u[0] * u, 4, np.eye(4) + np.eye(1, 4).T @ np.zeros((1, 4)) + np.outer(np.ones(4), np.eye(4)[0])),
        (lambda u: hs.linalg.solve(hs.eye(2) + u[2], u[:2]), 3, np.ones((2, 3))),
    ],
)  # fmt: skip
def test_exact_patterns(f, n, expected):
    j = hs.sparse_jacobian(f)(hs.asarray(np.random.default_rng(0).standard_normal(n)))
    assert np.array_equal(places(j), np.asarray(expected) != 0)


def test_convolutions_and_constant_matrices_of_any_size():
    n = 20000
    u = hs.asarray(np.random.default_rng(0).standard_normal(n))
    weights = hs.array([[[1.0, -2.0, 1.0]]])
    f = lambda u: hs.reshape(hs.conv(hs.reshape(u, (1, 1, n)), weights, padding=1), (n,))
    j = hs.sparse_jacobian(f)(u)
    assert j.nnz == 3 * n - 2
    np.testing.assert_allclose(j @ u, f(u), rtol=1e-12, atol=1e-12)
    h = hs.sparse_hessian(lambda u: hs.sum(f(u) ** 2))(u)
    assert h.nnz == 5 * n - 6
    n = 700
    a = np.diag(np.ones(n)) - np.diag(np.ones(n - 1), 1)
    for f in [
        lambda x: a @ x,
        lambda x: x @ a,
        lambda x: hs.flatten(hs.reshape(x, (2, n // 2)) @ a[:350, :350]),
    ]:
        j = hs.sparse_jacobian(f)(u[:n])
        assert j.nnz <= 2 * n - 1
        np.testing.assert_allclose(np.asarray(j @ u[:n]), f(u[:n]), rtol=1e-12)


def test_custom_rules_count_as_they_say():
    @hs.custom_jvp
    def straight_through(x):
        return hs.floor(x)

    straight_through.defjvp(lambda primals, tangents: (hs.floor(primals[0]), tangents[0]))
    x = hs.array([0.5, 1.5, 2.5])
    j = hs.sparse_jacobian(lambda x: straight_through(x) * 2.0)(x)
    assert np.array_equal(dense(j), 2 * np.eye(3))


# ---- passes ---------------------------------------------------------------------------------------------------
def passes(f, x, hessian=False):
    make = hs._hesse.sparse.plan_hessian if hessian else hs._hesse.sparse.plan_jacobian
    plan = make(lambda v: [f(v)], [x], [0])
    return plan.num_passes, plan.in_reverse


def test_as_few_passes_as_colours():
    x = hs.ones(200)
    assert passes(laplacian, x) == (3, False)
    assert passes(lambda u: hs.sum(hs.reshape(u, (2, 100)), 1), x) == (1, True)  # by rows
    assert passes(lambda u: u**2, x) == (1, False)
    arrow = lambda u: u[0] * hs.sum(u[1:] ** 2)
    assert passes(arrow, x, hessian=True) == (2, False)
    assert passes(lambda u: hs.sum(u[1:] ** 2 * u[:-1] ** 2), x, hessian=True)[0] <= 3
    grid = lambda u: hs.sum((hs.reshape(u, (10, 20))[1:] * hs.reshape(u, (10, 20))[:-1]) ** 2) + hs.sum(u**3)
    assert passes(grid, x, hessian=True)[0] <= 3


# ---- transforms -----------------------------------------------------------------------------------------------
def chain(u):
    return hs.sin(u[1:]) * u[:-1] ** 2


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_values_and_their_derivatives(dtype):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(6) + (1j * rng.standard_normal(6) if dtype == "complex128" else 0)
    x = hs.asarray(x.astype(dtype))
    j = hs.sparse_jacobian(chain)
    tol = 1e-5 if dtype == "float32" else 1e-12
    assert str(j(x).dtype) == dtype
    np.testing.assert_allclose(dense(j(x)), full(chain, x), rtol=tol, atol=tol)
    if dtype == "complex128":
        return
    v = hs.asarray(rng.standard_normal(6).astype(dtype))
    w = hs.asarray(rng.standard_normal(j(x).nnz).astype(dtype))
    value = lambda x: j(x).data
    dy = hs.jvp(value, x, v)[1]
    other = hs.jvp(lambda x: hs.jacobian(chain)(x), x, v)[1]
    np.testing.assert_allclose(dense(j(x).replace(data=dy)), np.asarray(other), rtol=tol, atol=tol)
    back = hs.vjp(value, x)[1](w)[0]
    np.testing.assert_allclose(float(hs.sum(back * v)), float(hs.sum(w * dy)), rtol=10 * tol)
    second = hs.grad(lambda x: hs.sum(value(x) ** 2))
    reference = hs.grad(lambda x: hs.sum(hs.jacobian(chain)(x) ** 2))
    np.testing.assert_allclose(second(x), reference(x), rtol=10 * tol, atol=10 * tol)
    hess = hs.jacobian(second)(x), hs.jacobian(reference)(x)
    np.testing.assert_allclose(*map(np.asarray, hess), rtol=100 * tol, atol=100 * tol)


@pytest.mark.parametrize("wide", [False, True])
def test_mapped_and_compiled(wide):
    f = (lambda u: hs.sum(hs.reshape(u**2, (2, 5)), 1)) if wide else chain
    xs = hs.asarray(np.random.default_rng(2).standard_normal((4, 10)))
    j = hs.sparse_jacobian(f)
    batch = hs.vmap(lambda x: j(x).data)(xs)
    assert batch.shape == (4, j(xs[0]).nnz)
    for k in range(4):
        np.testing.assert_allclose(batch[k], j(xs[k]).data, rtol=1e-13)
    np.testing.assert_allclose(hs.compile(lambda x: j(x).data)(xs[1]), j(xs[1]).data, rtol=1e-13)
    np.testing.assert_allclose(dense(hs.compile(hs.sparse_jacobian(f))(xs[1])), dense(j(xs[1])), rtol=1e-13)
    h = hs.sparse_hessian(lambda x: hs.sum(f(x) ** 2))
    np.testing.assert_allclose(
        hs.compile(hs.vmap(lambda x: h(x).data))(xs), [h(x).data for x in xs], rtol=1e-12, atol=1e-13
    )


def test_trees_and_argnums():
    def f(p, theta, index):
        return {"y": p["u"] * theta + p["v"][index], "z": hs.sum(p["v"])}

    p = {"u": hs.array([[1.0, 2.0]]), "v": hs.array([3.0, 4.0, 5.0])}
    theta, index = hs.array(2.0), hs.array([2, 0])
    j = hs.sparse_jacobian(f)(p, theta, index)
    assert np.array_equal(dense(j), [[2, 0, 0, 0, 1], [0, 2, 1, 0, 0], [0, 0, 1, 1, 1]])
    both = hs.sparse_jacobian(f, (1, 0))(p, theta, index)  # in the order of argnums
    assert np.array_equal(dense(both)[:, 0], [1, 2, 0])
    assert np.array_equal(dense(both)[:, 1:], dense(j))
    keep = hs.sparse_jacobian(f)
    keep(p, theta, index)
    assert np.array_equal(dense(keep(p, theta, hs.array([1, 1])))[:2, 2:], [[0, 1, 0], [0, 1, 0]])
    h = hs.sparse_hessian(lambda p: hs.sum(p["u"] ** 3) * p["v"][0])(p)
    assert h.shape == (5, 5) and h.nnz == 6


def test_a_pattern_by_hand():
    x = hs.array([1.0, 2.0, 3.0])
    f = lambda x: x**2
    scipy = pytest.importorskip("scipy.sparse")
    for pattern in [np.eye(3), scipy.eye_array(3), hs.sparse.from_dense(np.eye(3))]:
        assert np.array_equal(dense(hs.sparse_jacobian(f, pattern=pattern)(x)), np.diag([2.0, 4.0, 6.0]))
    h = hs.sparse_hessian(lambda x: hs.sum(x**3), pattern=np.eye(3))(x)
    assert np.array_equal(dense(h), np.diag([6.0, 12.0, 18.0]))


def test_a_large_system():
    n = 20000
    x = hs.asarray(np.linspace(0, 1, n))
    j = hs.sparse_jacobian(lambda u: laplacian(u) + u**3)(x)
    assert j.nnz == 3 * n - 2
    v = hs.asarray(np.random.default_rng(0).standard_normal(n))
    np.testing.assert_allclose(
        np.asarray(j @ v), hs.jvp(lambda u: laplacian(u) + u**3, x, v)[1], rtol=1e-12, atol=1e-12
    )


def test_empty():
    assert hs.sparse_jacobian(lambda x: x**2)(hs.zeros(0)).shape == (0, 0)
    assert hs.sparse_jacobian(lambda x: x[:0])(hs.ones(3)).shape == (0, 3)
    assert hs.sparse_jacobian(lambda x: hs.ones(2))(hs.ones(3)).nnz == 0
    assert hs.sparse_hessian(lambda x: hs.sum(x))(hs.ones(3)).nnz == 0


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: hs.sparse_jacobian(3), TypeError, "expected a function"),
        (lambda: hs.sparse_jacobian(lambda x: x)(hs.array([1, 2])), TypeError, "no floating or complex"),
        (lambda: hs.sparse_jacobian(lambda x: x > 0)(hs.ones(2)), TypeError, "has dtype bool"),
        (lambda: hs.sparse_jacobian(lambda x: x, pattern=np.ones(3)), ValueError, "expected a matrix"),
        (lambda: hs.sparse_jacobian(lambda x: x, pattern=np.eye(3))(hs.ones(2)), ValueError, "expected (2, 2)"),
        (lambda: hs.sparse_jacobian(lambda x, y: x, (0, 0))(hs.ones(2), 1.0), ValueError, "twice"),
        (lambda: hs.sparse_jacobian(lambda x: x, 1)(hs.ones(2)), IndexError, "out of range"),
        (lambda: hs.sparse_jacobian(lambda x: x * hs.sum(x))(hs.ones(20000)), ValueError, "more than 134217728"),
        (lambda: hs.sparse_hessian(lambda x: x)(hs.ones(2)), ValueError, "expected a scalar"),
        (lambda: hs.sparse_hessian(lambda x: hs.sum(x), pattern=np.eye(2, 2, 1))(hs.ones(2)), ValueError, "symmetric"),
        (lambda: hs.sparse_hessian(lambda x: hs.sum(hs.abs(x)))(hs.ones(2, dtype="complex128")), TypeError, "complex"),
    ],
)  # fmt: skip
def test_refusals(call, error, says):
    with pytest.raises(error) as info:
        call()
    assert says in str(info.value)


def test_plans_belong_to_what_their_patterns_depend_on():
    """Keyword arguments count by value, long index arrays by all of their entries."""
    j = hs.sparse_jacobian(lambda x, *, a, shift=0: a @ hs.roll(x, shift))
    x = hs.array([1.0, 2.0, 3.0])
    for a in (np.eye(3), np.triu(np.ones((3, 3))), np.diag([1.0, 0.0, 2.0])):
        np.testing.assert_array_equal(j(x, a=a).todense(), a)
        np.testing.assert_array_equal(j(x, a=a, shift=1).todense(), np.roll(a, -1, axis=1))
    picks = hs.sparse_jacobian(lambda x, i: 2.0 * x[i])
    i = np.arange(2000)
    other = i.copy()
    other[1000] = 7
    x = hs.arange(2000.0)
    picks(x, i)
    found = picks(x, other)
    assert found.nnz == 2000 and float(found.todense()[1000, 7]) == 2.0


def test_dense_hessians_take_no_time_to_colour():
    h = hs.sparse_hessian(lambda x: hs.sum(x) ** 2)(hs.ones(600))
    assert h.nnz == 600 * 600 and float(h.todense()[3, 500]) == 2.0
