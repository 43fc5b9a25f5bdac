"""Rows of the op table: elementwise functions."""

from __future__ import annotations

import numpy as np
import scipy.special as sp
from op_entry import Entry, S, refuse
from sampling import (
    COMPLEX,
    FLOATS,
    B,
    F,
    distinct,
    interval,
    nonzero,
    off_integers,
    positive,
    real,
    unit,
)

SHAPES = [(), (3,), (2, 3), (0,), (2, 0, 3), (4, 1, 2)]
PAIRS = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((), (4,)),
    ((0,), (1,)),
    ((2, 3, 4), (3, 1)),
]


def unary(name, ref, domain=real, *, takes="fcib", special=True, ints=(-4, 6), analytic=True, **kw):
    samples = tuple(S(F(*s, domain=domain, ints=ints)) for s in SHAPES)
    refusals = [refuse(lambda hs, n=name: getattr(hs, n)("text"), TypeError)]
    if "c" not in takes:
        refusals.append(
            refuse(lambda hs, n=name: getattr(hs, n)(hs.asarray([1j, 2.0])), TypeError, name, "complex128")
        )
    refusals.extend(kw.pop("refusals", ()))
    return Entry(name, ref, samples, takes=takes, special=special, analytic=analytic, refusals=tuple(refusals),
                 **{"diff": "".join(g for g in "fc" if g in takes), **kw})  # fmt: skip


def binary(
    name,
    ref,
    domains=(real, real),
    *,
    takes="fcib",
    special=True,
    ints=((-4, 6), (-4, 6)),
    analytic=True,
    **kw,
):
    samples = tuple(
        S(F(*a, domain=domains[0], ints=ints[0]), F(*b, domain=domains[1], ints=ints[1])) for a, b in PAIRS
    )
    floats = takes not in ("i", "ib", "b")
    one, two = ("ones", "float64") if floats else ("ones", "bool" if takes == "b" else "int64")

    def mismatched(hs, n=name):
        return getattr(hs, n)(hs.ones((2, 3), dtype=getattr(hs, two)), hs.ones((4,), dtype=getattr(hs, two)))

    refusals = [refuse(mismatched, ValueError, name, "(2, 3)", "(4,)")]
    if "c" not in takes and floats:
        refusals.append(
            refuse(
                lambda hs, n=name: getattr(hs, n)(hs.asarray([1j]), hs.asarray([1.0])),
                TypeError,
                name,
                "complex128",
            )
        )
    refusals.extend(kw.pop("refusals", ()))
    return Entry(name, ref, samples, takes=takes, special=special, analytic=analytic, refusals=tuple(refusals),
                 **{"diff": "".join(g for g in "fc" if g in takes), **kw})  # fmt: skip


def polygamma_ref(n, x):
    return sp.digamma(x) if n == 0 else sp.polygamma(n, x)


def lgamma_(x):
    return np.where(np.isneginf(x), np.inf, sp.gammaln(x))  # as in C


def sigmoid_(x):
    return 1.0 / (1.0 + np.exp(-x)) if np.iscomplexobj(x) else sp.expit(x)


def softplus_(x):
    return np.log1p(np.exp(x)) if np.iscomplexobj(x) else np.logaddexp(0.0, x)


def logaddexp_(x, y):
    return np.log(np.exp(x) + np.exp(y)) if np.iscomplexobj(x) or np.iscomplexobj(y) else np.logaddexp(x, y)


def atan2_(y, x):
    if np.iscomplexobj(y) or np.iscomplexobj(x):  # by complex step: the real part is not near the origin
        return np.arctan2(np.real(y), np.real(x)) + 1j * (
            (np.real(x) * np.imag(y) - np.real(y) * np.imag(x)) / (np.real(x) ** 2 + np.real(y) ** 2)
        )
    return np.arctan2(y, x)


def hypot_(x, y):
    return np.sqrt(x * x + y * y) if np.iscomplexobj(x) or np.iscomplexobj(y) else np.hypot(x, y)


def cbrt_(x):
    if np.iscomplexobj(x):  # by complex step, real parts not zero
        r = np.cbrt(np.real(x))
        return r + 1j * np.imag(x) / (3 * r * r)
    return np.cbrt(x)


def integer_pow_is_refused(hs):
    return hs.pow(hs.asarray([2, 3]), hs.asarray([-1, 2]))


ROWS = [
    # arithmetic
    binary("add", np.add, out="same", takes="fcib"),
    binary("subtract", np.subtract, out="same", takes="fci",
           refusals=(refuse(lambda hs: hs.subtract(hs.asarray([True]), hs.asarray([True])), TypeError, "subtract", "bool"),)),
    binary("multiply", np.multiply, out="same"),
    binary("divide", np.true_divide, (real, nonzero), takes="fci", ints=((-4, 6), (1, 6))),
    binary("floor_divide", np.floor_divide, (off_integers, interval(0.9999999, 1.0000001)), takes="fi", out="same",
           ints=((-9, 9), (1, 6)), analytic=False, special=False),
    binary("remainder", np.remainder, (interval(0.2, 0.8), interval(1.0, 1.5)), takes="fi", out="same",
           ints=((-9, 9), (1, 6)), analytic=False, special=False),
    binary("fmod", np.fmod, (interval(0.2, 0.8), interval(1.0, 1.5)), takes="fi", out="same",
           ints=((-9, 9), (1, 6)), analytic=False, special=False),
    binary("pow", np.power, (positive, real), takes="fci", out="same", ints=((-3, 4), (0, 4)),
           refusals=(refuse(integer_pow_is_refused, FloatingPointError, "pow", "-1"),)),
    unary("negative", np.negative, takes="fci", out="same"),
    unary("positive", np.positive, takes="fci", out="same"),
    unary("abs", np.abs, nonzero, takes="fci", out="real_same", analytic=False),
    unary("sign", np.sign, nonzero, takes="fci", out="same", analytic=False),
    unary("square", np.square, takes="fci", out="same"),
    unary("sqrt", np.sqrt, positive, ints=(0, 6)),
    unary("rsqrt", lambda x: 1.0 / np.sqrt(x), positive, ints=(1, 6), takes="fci"),
    unary("reciprocal", lambda x: 1.0 / x, nonzero, ints=(1, 6), takes="fci"),
    unary("cbrt", cbrt_, nonzero, takes="fib"),
    # exponentials
    unary("exp", np.exp),
    unary("exp2", np.exp2),
    unary("expm1", np.expm1),
    unary("log", np.log, positive, ints=(1, 6)),
    unary("log1p", np.log1p, positive, ints=(0, 6)),
    unary("log2", np.log2, positive, ints=(1, 6)),
    unary("log10", np.log10, positive, ints=(1, 6)),
    binary("logaddexp", logaddexp_, takes="fib"),
    # circular and hyperbolic
    unary("sin", np.sin),
    unary("cos", np.cos),
    unary("tan", np.tan, unit),
    unary("asin", np.arcsin, unit, ints=(-1, 2)),
    unary("acos", np.arccos, unit, ints=(-1, 2)),
    unary("atan", np.arctan, unit),
    binary("atan2", atan2_, (nonzero, nonzero), takes="fib", ints=((1, 6), (-4, 6))),
    unary("sinh", np.sinh),
    unary("cosh", np.cosh),
    unary("tanh", np.tanh),
    unary("asinh", np.arcsinh, unit),
    unary("acosh", np.arccosh, interval(1.2, 3.0), ints=(1, 6)),
    unary("atanh", np.arctanh, unit, ints=(0, 1)),
    binary("hypot", hypot_, (nonzero, nonzero), takes="fib"),
    # special functions
    unary("sigmoid", sigmoid_, takes="fib"),
    unary("softplus", softplus_, takes="fib"),
    unary("erf", sp.erf, takes="fib"),
    unary("erfc", sp.erfc, takes="fib", rtol=4.0),
    unary("lgamma", lgamma_, positive, takes="fib", analytic=False, ints=(1, 8), rtol=4.0),
    unary("digamma", sp.digamma, positive, takes="fib", analytic=False, ints=(1, 8), rtol=8.0),
    Entry(
        "polygamma", polygamma_ref,
        tuple(S(n, F(*s, domain=positive, ints=(1, 6))) for n in (0, 1, 2, 3) for s in ((), (4,), (2, 3), (0,))),
        takes="fib", diff="f", rtol=20.0,
        refusals=(
            refuse(lambda hs: hs.polygamma(-1, hs.ones((2,))), ValueError, "polygamma", "-1"),
            refuse(lambda hs: hs.polygamma(1, hs.asarray([1j])), TypeError, "polygamma", "complex128"),
        ),
    ),
    # selection
    binary("maximum", np.maximum, (distinct(0), distinct(1)), takes="fi", out="same", analytic=False, special="any zero"),
    binary("minimum", np.minimum, (distinct(0), distinct(1)), takes="fi", out="same", analytic=False, special="any zero"),
    Entry(
        "clip", lambda x, lo=None, hi=None: np.clip(x, lo, hi),
        (
            S(F(2, 5, domain=distinct(0)), F(domain=interval(-1.01, -1.0)), F(domain=interval(1.0, 1.01))),
            S(F(4, domain=distinct(0)), F(4, domain=interval(-1.01, -1.0)), None),
            S(F(4, domain=distinct(0)), None, F(4, domain=interval(0.5, 0.51))),
            S(F(0), None, F()),
        ),
        takes="fi", out="same", diff="f",
        refusals=(refuse(lambda hs: hs.clip(hs.asarray([1j]), 0.0, 1.0), TypeError, "clip", "complex128"),),
    ),
    Entry("clip#numbers", lambda x, lo, hi: np.clip(x, lo, hi), (S(F(5, domain=distinct(0)), -0.2, 0.2), S(F(0), -1.0, 1.0)),
          takes="f", diff="f", cpp=(), call=lambda hs, x, lo, hi: hs.clip(x, lo, hi)),
    Entry(
        "where", np.where,
        (
            S(B(), F(), F()), S(B(3), F(3), F(3)), S(B(2, 3), F(3), F()), S(B(2, 1), F(3), F(2, 3)),
            S(B(0), F(1), F(0)), S(B(), F(2, 2), F(2, 2)),
        ),
        takes="fcib", out="same",
        call=lambda hs, c, x, y: hs.where(c, x, y),
        refusals=(
            refuse(lambda hs: hs.where(hs.asarray([True, False]), hs.ones((3,)), 2.0), ValueError, "where", "(2,)", "(3,)"),
        ),
    ),
    # rounding
    unary("floor", np.floor, off_integers, takes="fi", out="same", analytic=False),
    unary("ceil", np.ceil, off_integers, takes="fi", out="same", analytic=False),
    unary("trunc", np.trunc, off_integers, takes="fi", out="same", analytic=False),
    unary("round", np.round, off_integers, takes="fci", out="same", analytic=False),
    # complex parts
    unary("real", np.real, takes="fc", out="real", analytic=False, special=False),
    unary("imag", np.imag, takes="fc", out="real", analytic=False, special=False),
    unary("conj", np.conj, takes="fci", out="same", analytic=False, special=False),
    unary("angle", np.angle, nonzero, takes="fc", out="real", analytic=False, special=False, rtol=2.0),
    Entry(
        "make_complex", lambda x, y: x + 1j * y, tuple(S(F(*a), F(*b)) for a, b in PAIRS), takes="f", out="complex", diff="f",
        refusals=(refuse(lambda hs: hs.make_complex(hs.asarray([1j]), hs.asarray([1.0])), TypeError, "make_complex", "complex128"),),
    ),
    Entry("stop_gradient", lambda x: x + 0, tuple(S(F(*s)) for s in SHAPES), takes="fcib", out="same", diff="",
          refusals=(refuse(lambda hs: hs.stop_gradient("text"), TypeError),)),
    Entry("copysign", np.copysign, tuple(S(F(*a, domain=nonzero), F(*b, domain=nonzero)) for a, b in PAIRS), takes="f",
          diff="f", special=True,
          refusals=(refuse(lambda hs: hs.copysign(hs.asarray([1j]), hs.asarray([1.0])), TypeError, "copysign", "complex128"),)),
    Entry("nextafter", None, tuple(S(F(*a), F(*b)) for a, b in PAIRS), takes="f", diff="", special=False,
          check=lambda ys, xs, s: np.testing.assert_array_equal(ys[0], np.nextafter(*xs)),
          refusals=(refuse(lambda hs: hs.nextafter(hs.asarray([1j]), hs.asarray([1.0])), TypeError, "nextafter", "complex128"),)),
]  # fmt: skip


TARGETS = (*FLOATS, "bool", "int8", "int32", "int64", "uint8", "uint64", *COMPLEX)


def astype_rows():
    """astype from every dtype to every dtype that keeps the kind or widens it."""

    def to(target, *shape):
        return S(F(*shape, domain=interval(0.0, 5.0, imag=0.0), ints=(0, 6)), target)

    def call(hs, x, target):
        return hs.astype(x, getattr(hs, target))

    def target_of(sample):
        return [sample.args[1]]

    def complex_to_real(hs):
        return hs.astype(hs.asarray([1j, 2.0]), hs.float64)

    def cast(x, target):
        return x.astype({"float32": "float64", "complex64": "complex128"}.get(target, target))

    rule = {"out": target_of, "call": call, "rtol": 4.0}
    return [
        Entry("astype", cast, tuple(to(t, *s) for t in TARGETS for s in ((2, 3), (), (0,))), takes="fib", diff="",
              refusals=(refuse(complex_to_real, TypeError, "astype", "complex128", "float64"),), **rule),
        Entry("astype#complex", cast, tuple(to(t, 2, 3) for t in COMPLEX), takes="c", diff="c", cpp=(), **rule),
        Entry("astype#inexact", cast, tuple(to(t, 2, 3) for t in (*FLOATS, *COMPLEX)), takes="f", diff="f", cpp=(),
              **{**rule, "rtol": 2e8}),
    ]  # fmt: skip


def comparisons():
    for name, ref in [("equal", np.equal), ("not_equal", np.not_equal)]:
        yield binary(name, ref, takes="fcib", out="bool", diff="", ints=((0, 3), (0, 3)))
    for name, ref in [
        ("less", np.less),
        ("less_equal", np.less_equal),
        ("greater", np.greater),
        ("greater_equal", np.greater_equal),
    ]:
        yield binary(name, ref, takes="fib", out="bool", diff="", ints=((0, 3), (0, 3)))


def logicals():
    for name, ref in [
        ("logical_and", np.logical_and),
        ("logical_or", np.logical_or),
        ("logical_xor", np.logical_xor),
    ]:
        yield binary(name, ref, takes="fcib", out="bool", diff="", ints=((-1, 2), (-1, 2)))
    yield unary("logical_not", np.logical_not, takes="fcib", out="bool", diff="", ints=(-1, 2))
    for name, ref in [
        ("bitwise_and", np.bitwise_and),
        ("bitwise_or", np.bitwise_or),
        ("bitwise_xor", np.bitwise_xor),
    ]:
        yield binary(
            name,
            ref,
            takes="ib",
            out="same",
            diff="",
            special=False,
            refusals=(
                refuse(
                    lambda hs, n=name: getattr(hs, n)(hs.asarray([1.0]), hs.asarray([1.0])),
                    TypeError,
                    name,
                    "float64",
                ),
            ),
        )
    yield unary("bitwise_invert", np.invert, takes="ib", out="same", diff="", special=False)
    for name, ref in [("bitwise_left_shift", np.left_shift), ("bitwise_right_shift", np.right_shift)]:
        yield binary(
            name,
            ref,
            takes="i",
            out="same",
            diff="",
            special=False,
            ints=((0, 16), (0, 4)),
            refusals=(
                refuse(
                    lambda hs, n=name: getattr(hs, n)(hs.asarray([1.0]), hs.asarray([1.0])),
                    TypeError,
                    name,
                    "float64",
                ),
            ),
        )


def predicates():
    for name, ref in [("isnan", np.isnan), ("isinf", np.isinf), ("isfinite", np.isfinite)]:
        yield unary(name, ref, takes="fci", out="bool", diff="")
    yield unary("signbit", np.signbit, takes="f", out="bool", diff="")


def near(rng, shape, cplx):
    return np.where(rng.uniform(size=shape) < 0.5, 1.0, 1.1) * np.ones(shape)


def closeness():
    """isclose, allclose, array_equal: functions of two arrays with booleans as results."""
    pairs = tuple(S(F(*a, domain=near), F(*b, domain=near)) for a, b in PAIRS)
    yield Entry(
        "isclose",
        np.isclose,
        pairs,
        takes="fc",
        out="bool",
        diff="",
        cpp=(),
        refusals=(refuse(lambda hs: hs.isclose(hs.ones((2,)), hs.ones((3,))), ValueError, "(2,)", "(3,)"),),
    )
    yield Entry(
        "allclose", lambda x, y: np.asarray(np.allclose(x, y)), pairs, takes="fc", out="bool", diff="", cpp=()
    )
    yield Entry(
        "array_equal",
        lambda x, y: np.asarray(np.array_equal(x, y)),
        pairs,
        takes="fcib",
        out="bool",
        diff="",
        cpp=(),
        vmap=False,
        compiles=False,
    )


ROWS += [*closeness(), *astype_rows(), *comparisons(), *logicals(), *predicates()]
