"""Rows of the op table: creation, reductions, cumulative sums."""

from __future__ import annotations

import numpy as np
import scipy.special as sp
from op_entry import Entry, S, refuse
from sampling import F, distinct, nonzero, real

AXES = [
    ((2, 3, 4), {}),
    ((2, 3, 4), {"axis": 0}),
    ((2, 3, 4), {"axis": -1, "keepdims": True}),
    ((2, 3, 4), {"axis": (0, 2)}),
    ((5,), {"axis": 0}),
    ((), {}),
    ((3, 1), {"axis": 1}),
]
EMPTY = [((0,), {}), ((2, 0), {"axis": 1}), ((0, 3), {"axis": 1, "keepdims": True})]
LONG = [((300,), {}), ((2, 129), {"axis": 1}), ((67, 2), {"axis": 0})]


def bad_axis(name, alias=""):
    return refuse(
        lambda hs: getattr(hs, name)(hs.ones((2, 3)), axis=5), IndexError, name + alias, "axis", "5"
    )


def repeated_axis(name):
    return refuse(lambda hs: getattr(hs, name)(hs.ones((2, 3)), axis=(0, -2)), ValueError, name, "axis")


def no_complex(name):
    return refuse(lambda hs: getattr(hs, name)(hs.asarray([1j, 2.0])), TypeError, name, "complex128")


def reduction(name, ref, domain=real, *, empty=True, long=True, takes="fci", refusals=(), **kw):
    shapes = AXES + (EMPTY if empty else []) + (LONG if long else [])
    ints, of_nothing = kw.pop("ints", (-4, 6)), kw.pop("diff_of_nothing", True)
    samples = tuple(S(F(*s, domain=domain, ints=ints), diff=of_nothing or 0 not in s, **k) for s, k in shapes)
    refusals = [bad_axis(name), repeated_axis(name), *refusals]
    if "c" not in takes:
        refusals.append(no_complex(name))
    return Entry(name, ref, samples, takes=takes, refusals=tuple(refusals),
                 **{"diff": "".join(g for g in "fc" if g in takes), "special": True, **kw})  # fmt: skip


def empty_refused(name):
    return refuse(lambda hs: getattr(hs, name)(hs.zeros((0,))), ValueError, name, "empty")


def argred(name, ref):
    samples = tuple(
        S(F(*s, domain=distinct(0)), **k)
        for s, k in [
            ((2, 3, 4), {"axis": 0}),
            ((2, 3, 4), {"axis": -1, "keepdims": True}),
            ((5,), {}),
            ((2, 3), {}),
            ((), {}),
        ]
    )
    return Entry(name, ref, samples, takes="fi", out="int64", diff="", special=True,
                 refusals=(bad_axis(name), empty_refused(name), no_complex(name)))  # fmt: skip


def logsumexp_(x, axis=None, keepdims=False):
    if np.iscomplexobj(x):
        return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))
    with np.errstate(all="ignore"):
        return (
            sp.logsumexp(x, axis=axis, keepdims=keepdims)
            if x.size
            else np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))
        )


def softmax_(x, axis=-1):
    e = np.exp(x - np.max(np.real(x), axis=axis, keepdims=True)) if x.size else np.exp(x)
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax_(x, axis=-1):
    s = x - np.max(np.real(x), axis=axis, keepdims=True) if x.size else x
    return s - np.log(np.sum(np.exp(s), axis=axis, keepdims=True))


def var_(x, axis=None, correction=0.0, keepdims=False):
    m = np.mean(x, axis=axis, keepdims=True)
    n = x.size / max(1, m.size)
    return np.sum((x - m) ** 2, axis=axis, keepdims=keepdims) / (n - correction)


def std_(x, **kw):
    return np.sqrt(var_(x, **kw))


def cumsum_(x, axis, reverse=False):
    if reverse:
        return np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis)
    return np.cumsum(x, axis=axis)


def cumulative(name, ref, takes="fci", extra=(), **kw):
    samples = [
        S(F(2, 3, 4, domain=nonzero), axis=1), S(F(7, domain=nonzero), axis=0), S(F(2, 3, domain=nonzero), axis=-1),
        S(F(0), axis=0), S(F(3, 0), axis=1), *extra,
    ]  # fmt: skip
    return Entry(name, ref, tuple(samples), takes=takes, out="widen",
                 refusals=(bad_axis(name, "|cumsum|cumprod"),), special=True, **kw)  # fmt: skip


def diff_(x, n=1, axis=-1):
    return np.diff(x, n=n, axis=axis)


def std_samples():
    """The std of one element has no derivative (the root of zero)."""
    shapes = AXES + LONG
    return tuple(S(F(*s), diff=int(np.prod(s)) > 1 and s != (3, 1), **k) for s, k in shapes)


def with_correction():
    return [
        Entry("var#correction", var_, (S(F(2, 5), axis=1, correction=1.0), S(F(6), correction=0.5)), takes="f", diff="f",
              analytic=True, call=lambda hs, x, **kw: hs.var(x, **kw), cpp=()),
        Entry("std#correction", std_, (S(F(2, 5), axis=1, correction=1.0), S(F(6), correction=0.5)), takes="f", diff="f",
              analytic=True, call=lambda hs, x, **kw: hs.std(x, **kw), cpp=()),
    ]  # fmt: skip


REDUCTIONS = [
    reduction("sum", np.sum, takes="fcib", out="widen", rtol=4.0),
    reduction("prod", np.prod, nonzero, takes="fcib", out="widen", ints=(1, 3), analytic=True, long=False),
    reduction("max", np.max, distinct(0), takes="fi", out="same", empty=False, refusals=(empty_refused("max"),)),
    reduction("min", np.min, distinct(0), takes="fi", out="same", empty=False, refusals=(empty_refused("min"),)),
    reduction("mean", np.mean, empty=False, analytic=True, out="float", rtol=4.0),
    reduction("var", var_, empty=False, takes="fi", analytic=True, rtol=8.0),
    Entry("std", std_, std_samples(), takes="fi", diff="f", analytic=True, rtol=8.0, special=True,
          refusals=(bad_axis("std"), no_complex("std"))),
    *with_correction(),
    reduction("logsumexp", logsumexp_, takes="fi", analytic=True, diff_of_nothing=False),
    reduction("all", np.all, takes="fcib", out="bool", diff=""),
    reduction("any", np.any, takes="fcib", out="bool", diff=""),
    reduction("count_nonzero", np.count_nonzero, takes="fcib", out="int64", diff=""),
    argred("argmax", np.argmax),
    argred("argmin", np.argmin),
    cumulative("cumulative_sum", cumsum_, cpp=("cumsum",), also=("cumsum",)),
    cumulative("cumulative_prod", lambda x, axis: np.cumprod(x, axis=axis), cpp=("cumprod",), also=("cumprod",), analytic=True),
    Entry("softmax", softmax_, tuple(S(F(*s), **k) for s, k in [((4,), {}), ((2, 3), {"axis": 0}), ((2, 3, 2), {"axis": 1}), ((0,), {}), ((2, 0), {"axis": 1})]),
          takes="f", diff="f", analytic=True, refusals=(no_complex("softmax"), bad_axis("softmax"))),
    Entry("log_softmax", log_softmax_, tuple(S(F(*s), **k) for s, k in [((4,), {}), ((2, 3), {"axis": 0}), ((2, 3, 2), {"axis": 1}), ((0,), {})]),
          takes="f", diff="f", analytic=True, refusals=(no_complex("log_softmax"), bad_axis("log_softmax"))),
    Entry("diff", diff_, (S(F(6)), S(F(2, 5), axis=0), S(F(2, 5), n=2), S(F(2, 5), n=0), S(F(3), n=3), S(F(0), n=1), S(F(2, 3, 4), axis=1)),
          takes="fci", out="same",
          refusals=(refuse(lambda hs: hs.diff(hs.ones((3,)), n=-1), ValueError, "diff", "-1"), bad_axis("diff"))),
    Entry("trace", lambda x, offset=0: np.trace(x, offset=offset, axis1=-2, axis2=-1),
          (S(F(3, 3)), S(F(2, 4, 3), offset=1), S(F(3, 3), offset=-2), S(F(0, 0)), S(F(2, 3), offset=5)), takes="fci", out="widen",
          also=("linalg.trace",), refusals=(refuse(lambda hs: hs.trace(hs.ones((3,))), ValueError, "trace", "(3,)"),)),
    Entry("interp", np.interp,
          (S(F(5, domain=lambda r, s, c: r.permutation(np.array([-0.7, 0.3, 0.8, 1.6, 2.9]))), F(4, domain=lambda r, s, c: np.array([0.0, 0.5, 1.1, 2.5]) + r.uniform(0, 0.05, 4)), F(4)),
           S(F(domain=lambda r, s, c: r.uniform(0.1, 0.45, s)), F(3, domain=lambda r, s, c: np.array([0.0, 0.5, 1.0])), F(3)),
           S(F(0), F(3, domain=lambda r, s, c: np.array([0.0, 0.5, 1.0])), F(3))),
          takes="f", diff="f", rtol=10.0, refusals=(
              refuse(lambda hs: hs.interp(hs.ones((2,)), hs.ones((3,)), hs.ones((4,))), ValueError, "interp", "(3,)", "(4,)"),)),
]  # fmt: skip


def creation_rows():
    def negative_shape(name, *rest):
        return refuse(lambda hs: getattr(hs, name)((2, -1), *rest), ValueError, name, "-1")

    all_dtypes = {"takes": "fcib", "diff": ""}
    shapes = [(), (3,), (2, 0), (2, 3, 4)]
    rows = [
        Entry("zeros", np.zeros, tuple(S(s, dtype="DT") for s in shapes), out="dtype", vmap=False, refusals=(negative_shape("zeros"),), **all_dtypes),
        Entry("ones", np.ones, tuple(S(s, dtype="DT") for s in shapes), out="dtype", vmap=False, refusals=(negative_shape("ones"),), **all_dtypes),
        Entry("empty", None, tuple(S(s, dtype="DT") for s in shapes), out="dtype", vmap=False, refusals=(negative_shape("empty"),),
              check=lambda ys, xs, s: None if ys[0].shape == s.args[0] else (_ for _ in ()).throw(AssertionError(ys[0].shape)), **all_dtypes),
        Entry("full", lambda s, v, dtype=None: np.full(s, v, dtype), tuple(S(s, 1, dtype="DT") for s in shapes), out="dtype", vmap=False,
              refusals=(negative_shape("full", 1.0), refuse(lambda hs: hs.full((2,), hs.ones((3,))), ValueError, "full", "(3,)")), **all_dtypes),
        Entry("full#array", lambda x: np.full((2, 3), x), (S(F()),), call=lambda hs, x: hs.full((2, 3), x), cpp=(), takes="fc", out="same"),
        Entry("zeros_like", np.zeros_like, tuple(S(F(*s)) for s in shapes), out="same", **all_dtypes),
        Entry("ones_like", np.ones_like, tuple(S(F(*s)) for s in shapes), out="same", **all_dtypes),
        Entry("full_like", lambda x, v: np.full_like(x, v), tuple(S(F(*s), 1) for s in shapes), out="same", **all_dtypes),
        Entry("empty_like", None, tuple(S(F(*s)) for s in shapes), out="same", vmap=False, compiles=True, cpp=(),
              check=lambda ys, xs, s: np.testing.assert_equal(ys[0].shape, xs[0].shape), **all_dtypes),
        Entry("arange", np.arange, (S(5, dtype="DT"), S(2, 9, 3, dtype="DT"), S(5, 0, -2, dtype="DT"), S(3, 3, dtype="DT")), takes="f", dtypes=("float32", "float64", "int32", "int64", "uint8"),
              diff="", out="dtype", vmap=False,
              refusals=(refuse(lambda hs: hs.arange(0, 5, 0), ValueError, "arange", "step", "0"),)),
        Entry("linspace", lambda a, b, num, endpoint=True: np.linspace(a, b, num, endpoint=endpoint),
              (S(F(), F(), 5), S(F(), F(), 4, endpoint=False), S(F(), F(), 1), S(F(), F(), 0), S(0.0, F(), 3), S(0.0, F(), 2)),
              rtol=10.0,
              refusals=(refuse(lambda hs: hs.linspace(0.0, 1.0, -2), ValueError, "linspace", "num", "-2"),)),
        Entry("logspace", lambda a, b, num, endpoint=True, base=10.0: base ** (a + (b - a) * np.linspace(0, 1, num, endpoint=endpoint)),
              (S(F(), F(), 5), S(F(), F(), 4, endpoint=False), S(F(), F(), 3, base=2.0)), rtol=20.0, analytic=True,
              refusals=(refuse(lambda hs: hs.logspace(0.0, 1.0, -2), ValueError, "logspace", "num", "-2"),)),
        Entry("eye", lambda n, m=None, k=0, dtype=None: np.eye(n, m, k, dtype=dtype), (S(3, dtype="DT"), S(2, 4, k=1, dtype="DT"), S(4, 2, k=-1, dtype="DT"), S(0, dtype="DT"), S(3, 3, k=7, dtype="DT")),
              out="dtype", vmap=False, refusals=(refuse(lambda hs: hs.eye(-1), ValueError, "eye", "-1"),), **all_dtypes),
        Entry("meshgrid", lambda *xs, indexing="xy": tuple(np.meshgrid(*xs, indexing=indexing)),
              (S(F(3), F(2)), S(F(3), F(2), F(4), indexing="ij"), S(F(3)), S(F(0), F(2))), takes="fci", out="same",
              refusals=(refuse(lambda hs: hs.meshgrid(hs.ones((2,)), hs.ones((2,)), indexing="ab"), ValueError, "meshgrid", "indexing", "ab"),
                        refuse(lambda hs: hs.meshgrid(hs.ones((2, 2)), hs.ones((2,))), ValueError, "meshgrid", "(2, 2)"))),
    ]  # fmt: skip
    for name, ref in [("tril", np.tril), ("triu", np.triu)]:
        rows.append(
            Entry(name, lambda x, k=0, ref=ref: ref(x, k), (S(F(3, 4)), S(F(4, 3), k=1), S(F(2, 3, 3), k=-1), S(F(0, 2)), S(F(3, 3), k=9), S(F(3, 3), k=-9)),
                  takes="fcib", out="same",
                  refusals=(refuse(lambda hs, n=name: getattr(hs, n)(hs.ones((3,))), ValueError, name, "(3,)"),))
        )  # fmt: skip
    rows += [
        Entry("diag", np.diag, (S(F(3)), S(F(3), k=1), S(F(2), k=-2), S(F(3, 4)), S(F(4, 3), k=-1), S(F(3, 3), k=5), S(F(0))), takes="fcib", out="same",
              refusals=(refuse(lambda hs: hs.diag(hs.ones((2, 2, 2))), ValueError, "diag", "(2, 2, 2)"),)),
        Entry("diagonal", lambda x, offset=0: np.diagonal(x, offset, -2, -1), (S(F(3, 3)), S(F(2, 4, 3), offset=1), S(F(3, 4), offset=-2), S(F(2, 2), offset=4), S(F(0, 0))),
              takes="fcib", out="same", also=("linalg.diagonal",),
              refusals=(refuse(lambda hs: hs.diagonal(hs.ones((3,))), ValueError, "diagonal", "(3,)"),)),
    ]  # fmt: skip
    return rows


ROWS = [*REDUCTIONS, *creation_rows()]
