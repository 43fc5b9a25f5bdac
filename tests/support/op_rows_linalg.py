"""Rows of the op table: linear algebra and random numbers.

Decompositions are unique up to a phase, so their rows compare and differentiate what does not depend on it.
"""

from __future__ import annotations

import numpy as np
from op_entry import Entry, S, refuse
from sampling import F, hermitian, nonzero, spd, spread_spectrum, well_conditioned
from scipy import special


def herm(xp, a):
    """The Hermitian part: a decomposition of a Hermitian matrix is differentiated in Hermitian directions."""
    return 0.5 * (a + xp.conj(xp.matrix_transpose(a)))


def dagger(xp, a):
    return xp.conj(xp.matrix_transpose(a))


def not_square(name, *rest):
    return refuse(
        lambda hs: getattr(hs.linalg, name)(hs.ones((2, 3)), *(hs.ones((2,)) for _ in rest)),
        ValueError,
        name,
        "(2, 3)",
        "square",
    )


def vector_given(name):
    return refuse(lambda hs: getattr(hs.linalg, name)(hs.ones((3,))), ValueError, name, "(3,)")


def integers_refused_or_promoted(name):
    return refuse(lambda hs: getattr(hs.linalg, name)("text"), TypeError)


# Invariants: the same formula for NumPy and Hesse -----------------------------------------------------------------------
def eigh_invariants(xp, w, v):
    return w, xp.abs(v) ** 2, xp.matmul(v * xp.expand_dims(w * w, axis=-2), dagger(xp, v))


def qr_invariants(xp, q, r, diagonal):
    phase = xp.sign(diagonal)
    k = phase.shape[-1]
    return q[..., :, :k] * xp.expand_dims(phase, axis=-2), r[..., :k, :] * xp.expand_dims(
        xp.conj(phase), axis=-1
    )


def svd_invariants(xp, u, s, vh):
    k = s.shape[-1]
    uk, vk = u[..., :, :k], vh[..., :k, :]
    return s, xp.abs(uk) ** 2, xp.abs(vk) ** 2, xp.matmul(uk * xp.expand_dims(s * s, axis=-2), vk)


def np_diagonal(r):
    return np.diagonal(r, 0, -2, -1)


def eigh_hs(hs, a):
    w, v = hs.linalg.eigh(herm(hs, a))
    return eigh_invariants(hs, w, v)


def eigh_np(a):
    return eigh_invariants(np, *np.linalg.eigh(herm(np, a)))


def qr_hs(hs, a, **kw):
    q, r = hs.linalg.qr(a, **kw)
    return qr_invariants(hs, q, r, hs.linalg.diagonal(r))


def qr_np(a, **kw):
    q, r = np.linalg.qr(a, **kw)
    return qr_invariants(np, q, r, np_diagonal(r))


def svd_hs(hs, a, **kw):
    u, s, vh = hs.linalg.svd(a, **kw)
    return svd_invariants(hs, u, s, vh)


def svd_np(a, **kw):
    return svd_invariants(np, *np.linalg.svd(a, **kw))


def full_svd_check(ys, xs, sample):
    u, s, vh = map(np.asarray, ys)
    a = xs[0]
    m, n = a.shape[-2:]
    assert u.shape == (*a.shape[:-2], m, m)
    assert vh.shape == (*a.shape[:-2], n, n)
    tol = 200 * np.finfo(s.dtype).eps
    k = min(m, n)
    np.testing.assert_allclose((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, atol=tol * 10)
    np.testing.assert_allclose(u @ dagger(np, u), np.broadcast_to(np.eye(m), u.shape), atol=tol)
    np.testing.assert_allclose(vh @ dagger(np, vh), np.broadcast_to(np.eye(n), vh.shape), atol=tol)


def full_qr_check(ys, xs, sample):
    q, r = map(np.asarray, ys)
    m = xs[0].shape[-2]
    tol = 200 * np.finfo(q.dtype).eps
    assert q.shape[-2:] == (m, m)
    assert r.shape[-2:] == xs[0].shape[-2:]
    np.testing.assert_allclose(q @ r, xs[0], atol=tol * 10)
    np.testing.assert_allclose(q @ dagger(np, q), np.broadcast_to(np.eye(m), q.shape), atol=tol)
    np.testing.assert_array_equal(np.tril(r, -1), 0 * np.tril(r, -1))


def lu_check(ys, xs, sample):
    packed, pivots, permutation = map(np.asarray, ys)
    a = xs[0]
    if not a.size:
        return
    n = a.shape[-1]
    flat = (
        m.reshape(-1, n, n) if m.shape[-1:] == (n,) and m.ndim == a.ndim else m.reshape(-1, n)
        for m in (packed, permutation, a)
    )
    for lu, p, m in zip(*flat, strict=True):
        lower, upper = np.tril(lu, -1) + np.eye(n), np.triu(lu)
        np.testing.assert_allclose(lower @ upper, m[p], atol=200 * np.finfo(lu.dtype).eps * np.abs(m).max())
        assert np.abs(lower).max() <= 1.0 + 1e-6 or np.iscomplexobj(lu)
    assert pivots.shape == permutation.shape


def solve_tri_ref(a, b, lower=True, transpose=False, unit_diagonal=False):
    t = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        n = a.shape[-1]
        t = t * (1 - np.eye(n)) + np.eye(n)
    if transpose:
        t = np.matrix_transpose(t)
    return np.linalg.solve(t, b)


def solve_ref(a, b):
    return np.linalg.solve(a, b)


def singular_refused(name, *rest):
    def call(hs):
        a = hs.asarray([[1.0, 2.0], [2.0, 4.0]])
        return getattr(hs.linalg, name)(a, *(hs.ones((2,)) for _ in rest))

    return refuse(call, FloatingPointError, name, "singular")


def indefinite(hs):
    return hs.linalg.cholesky(hs.asarray([[1.0, 2.0], [2.0, 1.0]]))


def norm_ref(x, axis=None, ord=2, keepdims=False):
    if axis is None:
        x = x.reshape(-1)
    if np.iscomplexobj(x):
        return np.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)
    return np.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)


def norm_hs(hs, x, axis=None, ord=2, keepdims=False):
    return hs.linalg.vector_norm(x, axis=axis, ord=ord, keepdims=keepdims)


def rank_one(rng, shape, cplx):
    return np.ones(shape)


def squares(domain=well_conditioned):
    return tuple(S(F(*s, domain=domain)) for s in [(3, 3), (1, 1), (2, 4, 4), (0, 0)])


LAX = {"takes": "fc", "out": "float", "rtol": 40.0}

LINALG = [
    Entry("linalg.cholesky", lambda a, upper=False: dagger(np, np.linalg.cholesky(herm(np, a))) if upper else np.linalg.cholesky(herm(np, a)),
          (S(F(3, 3, domain=spd)), S(F(2, 4, 4, domain=spd)), S(F(3, 3, domain=spd), upper=True), S(F(1, 1, domain=spd)), S(F(0, 0))),
          call=lambda hs, a, upper=False: hs.linalg.cholesky(herm(hs, a), upper=upper), **LAX,
          refusals=(not_square("cholesky"), vector_given("cholesky"), refuse(indefinite, FloatingPointError, "cholesky", "positive definite"), integers_refused_or_promoted("cholesky"))),
    Entry("linalg.solve", solve_ref, (S(F(3, 3, domain=well_conditioned), F(3)), S(F(3, 3, domain=well_conditioned), F(3, 2)), S(F(2, 3, 3, domain=well_conditioned), F(2, 3, 1)), S(F(2, 3, 3, domain=well_conditioned), F(3, 2)), S(F(0, 0), F(0, 2))),
          analytic=True, refusals=(not_square("solve", 1), singular_refused("solve", 1), refuse(lambda hs: hs.linalg.solve(hs.eye(2), hs.ones((3,))), ValueError, "solve", "(2, 2)", "(3,)")), **LAX),
    Entry("linalg.triangular_solve", solve_tri_ref, tuple(S(F(3, 3, domain=well_conditioned), F(3, 2), lower=lo, transpose=t, unit_diagonal=u) for lo in (True, False) for t in (True, False) for u in (True, False)) + (S(F(2, 3, 3, domain=well_conditioned), F(2, 3, 1)),),
          analytic=True, refusals=(not_square("triangular_solve", 1), refuse(lambda hs: hs.linalg.triangular_solve(hs.eye(2), hs.ones((3, 1))), ValueError, "triangular_solve", "(2, 2)", "(3, 1)")), **LAX),
    Entry("linalg.lu", None, squares(), check=lu_check, diff_out=(0,), by="self", order=5, refusals=(vector_given("lu"),), **{**LAX, "out": ("float", "int64", "int64")}),
    Entry("linalg.qr", qr_np, (S(F(3, 3, domain=spread_spectrum)), S(F(4, 2, domain=spread_spectrum)), S(F(2, 4, 3, domain=spread_spectrum)), S(F(1, 1, domain=nonzero))), call=qr_hs,
          refusals=(vector_given("qr"), refuse(lambda hs: hs.linalg.qr(hs.eye(2), mode="wrong"), ValueError, "qr", "mode", "wrong")), **LAX),
    Entry("linalg.qr#wide", qr_np, (S(F(2, 4, domain=spread_spectrum)),), call=qr_hs, cpp=(), **LAX),
    Entry("linalg.qr#complete", None, (S(F(4, 2), mode="complete"), S(F(3, 3), mode="complete"), S(F(2, 4), mode="complete")), check=full_qr_check, cpp=(), call=lambda hs, a, mode: tuple(hs.linalg.qr(a, mode=mode)), diff="", **LAX),
    Entry("linalg.eigh", eigh_np, squares(hermitian), call=eigh_hs, refusals=(not_square("eigh"), vector_given("eigh")), **{**LAX, "out": ("real", "real", "float")}),
    Entry("linalg.eigvalsh", lambda a: np.linalg.eigvalsh(herm(np, a)), squares(hermitian), call=lambda hs, a: hs.linalg.eigvalsh(herm(hs, a)), refusals=(not_square("eigvalsh"),), **{**LAX, "out": "real"}),
    Entry("linalg.svd", svd_np, tuple(S(F(*s, domain=spread_spectrum), full_matrices=False) for s in [(3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 1)]), call=svd_hs, refusals=(vector_given("svd"),), **{**LAX, "out": ("real", "real", "real", "float")}),
    Entry("linalg.svd#full", None, tuple(S(F(*s, domain=spread_spectrum), full_matrices=True) for s in [(3, 3), (4, 2), (2, 4)]), check=full_svd_check, call=lambda hs, a, full_matrices: tuple(hs.linalg.svd(a, full_matrices=full_matrices)), diff="", cpp=(), **{**LAX, "out": ("float", "real", "float")}),
    Entry("linalg.svdvals", lambda a: np.linalg.svd(a, compute_uv=False), tuple(S(F(*s, domain=spread_spectrum)) for s in [(3, 3), (4, 2), (2, 2, 3)]), refusals=(vector_given("svdvals"),), **{**LAX, "out": "real"}),
    Entry("linalg.det", np.linalg.det, squares(), analytic=True, refusals=(not_square("det"),), **LAX),
    Entry("linalg.det#singular", np.linalg.det, (S(F(3, 3, domain=lambda r, s, c: np.outer(r.standard_normal(3), r.standard_normal(3)) + np.outer(r.standard_normal(3), r.standard_normal(3)))),), diff="", cpp=(), call=lambda hs, a: hs.linalg.det(a), **{**LAX, "takes": "fc"}),
    Entry("linalg.slogdet", lambda a: tuple(np.linalg.slogdet(a)), squares(), refusals=(not_square("slogdet"),), **{**LAX, "out": ("float", "real")}),
    Entry("linalg.inv", np.linalg.inv, squares(), analytic=True, refusals=(not_square("inv"), singular_refused("inv")), **LAX),
    Entry("linalg.pinv", np.linalg.pinv, tuple(S(F(*s, domain=spread_spectrum)) for s in [(3, 3), (4, 2), (2, 3)]), refusals=(vector_given("pinv"),), **LAX),
    Entry("linalg.matrix_rank", np.linalg.matrix_rank, (S(F(3, 3, domain=spread_spectrum)), S(F(2, 4, 3, domain=spread_spectrum)), S(F(3, 3, domain=rank_one))), diff="", cpp=(), **{**LAX, "out": "int64"}),
    Entry("linalg.matrix_power", lambda a, n: np.linalg.matrix_power(a, n), tuple(S(F(3, 3, domain=well_conditioned), n) for n in (0, 1, 2, 3, 5, -1, -2)), analytic=True, refusals=(refuse(lambda hs: hs.linalg.matrix_power(hs.ones((2, 3)), 2), ValueError, "matrix_power", "(2, 3)"),), **LAX),
    Entry("linalg.vector_norm", norm_ref, (S(F(4)), S(F(2, 3), axis=1), S(F(2, 3)), S(F(4), ord=1), S(F(2, 3), axis=0, keepdims=True), S(F(4), ord=3), S(F(4), ord=float("inf")), S(F(4), ord=float("-inf")), S(F(4), ord=0, diff=False), S(F(), diff=False)),
          call=norm_hs, cpp=("norm", "vector_norm"), also=("norm", "linalg.norm"), refusals=(refuse(lambda hs: hs.linalg.vector_norm(hs.ones((2, 3)), axis=5), IndexError, "norm", "5"),), **{**LAX, "out": "real"}),
    Entry("linalg.matrix_norm", lambda x, ord="fro", keepdims=False: np.linalg.norm(x, ord=ord, axis=(-2, -1), keepdims=keepdims), (S(F(3, 2, domain=spread_spectrum)), S(F(2, 3, 3, domain=spread_spectrum)), S(F(3, 2, domain=spread_spectrum), ord="nuc"), S(F(3, 2, domain=spread_spectrum), ord=2), S(F(3, 2, domain=spread_spectrum), ord=1), S(F(3, 2, domain=spread_spectrum), ord=float("inf")), S(F(3, 3, domain=spread_spectrum), ord=-2, keepdims=True)),
          cpp=("matrix_norm",), refusals=(refuse(lambda hs: hs.linalg.matrix_norm(hs.ones((3,))), ValueError, "norm", "(3,)"),), **{**LAX, "out": "real"}),
]  # fmt: skip


# Random numbers: there is no reference in NumPy; the words of the generator are tested in test_random.py ----------------------
def in_range(lo, hi):
    def check(ys, xs, sample):
        y = np.asarray(ys[0])
        assert y.shape == tuple(sample.args[0])
        assert (y >= lo).all()
        assert (y < hi).all()
        if y.size > 1000:
            np.testing.assert_allclose(
                y.astype(float).mean(),
                (lo + hi - (1 if y.dtype.kind in "iu" else 0)) / 2,
                atol=0.15 * (hi - lo),
            )

    return check


def normal_check(ys, xs, sample):
    y = np.asarray(ys[0], dtype=float)
    assert y.shape == tuple(sample.args[0])
    if y.size > 1000:
        assert abs(y.mean()) < 0.1
        assert abs(y.std() - 1) < 0.1


def gumbel_check(ys, xs, sample):
    """Both distributions are quantiles of one p: -log(-log(p)), and that of the normal distribution."""
    import hesse as hs

    y = np.asarray(ys[0])
    p = special.ndtr(np.asarray(hs.random.normal(hs.random.key(7), *sample.args, dtype=y.dtype), dtype=float))
    np.testing.assert_allclose(y, -np.log(-np.log(p)), rtol=1e-9 if y.dtype == np.float64 else 1e-5)


def permutation_check(ys, xs, sample):
    np.testing.assert_array_equal(np.sort(np.asarray(ys[0])), np.arange(sample.args[0]))


def draws(name, *samples, check, out, dtypes, **kw):
    def call(hs, *args, **k):
        return getattr(hs.random, name)(hs.random.key(7), *args, **k)

    return Entry(
        "random." + name,
        None,
        samples,
        check=check,
        out=out,
        diff=kw.pop("diff", ""),
        vmap=kw.pop("vmap", False),
        call=call,
        dtypes=dtypes,
        **kw,
    )


SHAPES = [(), (3,), (2, 0), (50, 41)]
F2 = ("float32", "float64")

RANDOM = [
    draws("uniform", *(S(s, dtype="DT") for s in SHAPES), check=in_range(0, 1), out="dtype", dtypes=F2,
          refusals=(refuse(lambda hs: hs.random.uniform(hs.random.key(0), (-1,)), ValueError, "uniform", "-1"), refuse(lambda hs: hs.random.uniform(hs.ones((2,)), (3,)), TypeError, "uniform", "key"))),
    draws("normal", *(S(s, dtype="DT") for s in SHAPES), check=normal_check, out="dtype", dtypes=F2,
          refusals=(refuse(lambda hs: hs.random.normal(hs.random.key(0), (-1,)), ValueError, "normal", "-1"),)),
    draws("gumbel", *(S(s, dtype="DT") for s in SHAPES), check=gumbel_check, out="dtype", dtypes=F2,
          refusals=(refuse(lambda hs: hs.random.gumbel(hs.random.key(0), (-1,)), ValueError, "gumbel", "-1"), refuse(lambda hs: hs.random.gumbel(hs.random.key(0), (2,), dtype="int64"), TypeError, "gumbel", "int64"))),
    draws("bits", *(S(s, dtype="DT") for s in SHAPES), check=lambda ys, xs, s: None, out="dtype", dtypes=("uint8", "uint16", "uint32", "uint64"),
          refusals=(refuse(lambda hs: hs.random.bits(hs.random.key(0), (2,), dtype=hs.float32), TypeError, "bits", "float32"),)),
    Entry("random.integers", None, tuple(S(s) for s in SHAPES), check=in_range(-3, 11), out="int64", diff="", vmap=False, dtypes=("int64",), call=lambda hs, s: hs.random.integers(hs.random.key(3), -3, 11, s),
          refusals=(refuse(lambda hs: hs.random.integers(hs.random.key(0), 3, 3, (2,)), ValueError, "integers", "3"),)),
    draws("permutation", S(7), S(0), S(300), check=permutation_check, out="int64", dtypes=("int64",), refusals=(refuse(lambda hs: hs.random.permutation(hs.random.key(0), -1), ValueError, "permutation", "-1"),)),
    Entry("random.choice", None, tuple(S(s) for s in SHAPES), check=in_range(0, 9), out="int64", diff="", vmap=False, dtypes=("int64",), call=lambda hs, s: hs.random.choice(hs.random.key(3), 9, s),
          refusals=(refuse(lambda hs: hs.random.choice(hs.random.key(0), 3, (5,), replace=False), ValueError, "choice", "5", "3"), refuse(lambda hs: hs.random.choice(hs.random.key(0), 0, (2,)), ValueError, "choice", "0"))),
    Entry("random.categorical", None, samples=(S(F(4, diff=False)), S(F(3, 4, diff=False))), takes="f", diff="", out="int64", check=lambda ys, xs, s: np.testing.assert_equal(((np.asarray(ys[0]) >= 0) & (np.asarray(ys[0]) < 4)).all() and ys[0].shape == xs[0].shape[:-1], True),
          call=lambda hs, x: hs.random.categorical(hs.random.key(1), x), refusals=(refuse(lambda hs: hs.random.categorical(hs.random.key(0), hs.zeros((3, 0))), ValueError, "categorical", "(3, 0)"),)),
    Entry("random.key", None, (S(),), check=lambda ys, xs, s: None, call=lambda hs: hs.random.bits(hs.random.key(42), (2,)), dtypes=("uint32",), out="uint32", diff="", vmap=False, refusals=(refuse(lambda hs: hs.random.key(1.5), TypeError),)),
    Entry("random.split", None, (S(),), check=lambda ys, xs, s: np.testing.assert_equal(len(np.unique(np.asarray(ys[0]))), 6), call=lambda hs: hs.stack([hs.random.bits(k, (2,)) for k in hs.random.split(hs.random.key(42), 3)]), dtypes=("uint32",), out="uint32", diff="", vmap=False,
          refusals=(refuse(lambda hs: hs.random.split(hs.random.key(0), -1), ValueError, "split", "-1"),)),
    Entry("random.key_data", None, (S(),), check=lambda ys, xs, s: np.testing.assert_equal(np.asarray(ys[0]).shape, (2,)), call=lambda hs: hs.random.key_data(hs.random.key(42)), dtypes=("uint32",), out="uint32", diff="", vmap=False, cpp=()),
    Entry("random.fold_in", None, (S(),), check=lambda ys, xs, s: np.testing.assert_equal(len(np.unique(np.asarray(ys[0]))), 4), call=lambda hs: hs.stack([hs.random.bits(hs.random.fold_in(hs.random.key(42), i), (2,)) for i in (0, 1)]), dtypes=("uint32",), out="uint32", diff="", vmap=False,
          refusals=(refuse(lambda hs: hs.random.fold_in(hs.ones((2,)), 1), TypeError, "fold_in", "key"),)),
]  # fmt: skip

ROWS = [*LINALG, *RANDOM]
