"""Numbers with a bound of their rounding errors, in NumPy's long doubles: what a result may differ from, and by how much.

A `Num` is the value in extended precision and a bound `e`, entry by entry, of what any order of the same operations in `dtype`
may differ from it: 0 for what has no rounding (integers, comparisons, views), inf where nothing is known (a comparison at a
rounding border, an overflow that depends on the order of a sum, inf - inf after one). So no tolerance is chosen by hand.
A derivative along a direction is carried beside it: its value, its bound, and the sum `a` of the absolute values of all paths,
whose rounding bounds forward and reverse mode alike. No code of Hesse's.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np

LD = np.longdouble
FLOATS = ("float32", "float64")
ULPS = 8.0  # of functions; arithmetic has 1


@dataclass
class Tangent:
    v: np.ndarray
    e: np.ndarray
    a: np.ndarray

    def map(self, f):
        return Tangent(f(self.v), f(self.e), f(self.a))


class Num:
    """`bits`: nothing but a view or a choice of what was given, so even signs of zeros are known."""

    def __init__(self, v, e=None, dtype=None, t=None, bits=False):
        v = np.asarray(v)
        self.dtype = dtype or v.dtype.name
        self.v = v.astype(LD) if self.dtype in FLOATS else v
        self.e = np.zeros(v.shape, LD) if e is None else np.asarray(e, LD)
        self.t, self.bits = t, bits

    shape = property(lambda self: self.v.shape)
    ndim = property(lambda self: self.v.ndim)
    is_float = property(lambda self: self.dtype in FLOATS)
    known = property(lambda self: np.isfinite(self.e))

    def without_tangent(self):
        return Num(self.v, self.e, self.dtype, bits=self.bits)

    def tangent(self):
        zeros = np.zeros(self.shape, LD)
        return self.t or Tangent(zeros, zeros, zeros)


def num(x, dtype="float64"):
    return x if isinstance(x, Num) else Num(np.asarray(x, dtype), dtype=dtype)


def limits(dtype):
    """The spacing at 1, the smallest normal number (compiled programs and maps flush what is smaller), the largest."""
    info = np.finfo(dtype)
    return LD(info.eps), LD(info.smallest_normal), LD(info.max)


def quiet(f):
    @functools.wraps(f)
    def run(*args, **kw):
        with np.errstate(all="ignore"):
            return f(*args, **kw)

    return run


@quiet
def apart(x, y):
    """How far x is from y: 0 for equal infinities and NaNs, inf for other pairs with one."""
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    return np.where(same, 0, np.where(np.isfinite(x) & np.isfinite(y), np.abs(x - y), np.inf))


def rounded(v, e, dtype, ulps=1.0):
    """Adds the rounding of one operation, and what overflow makes of the value."""
    eps, tiny, most = limits(dtype)
    e = np.where(np.isnan(e), np.inf, e)
    finite = np.isfinite(v)
    if ulps:
        e = np.where(finite, e + ulps * (eps * np.abs(np.where(finite, v, 0)) + tiny), e)
    over = finite & (np.abs(v) + e > most * (1 - eps))
    # A fused multiply-add may bring back what is less than twice too large.
    sure = over & (np.abs(v) - e > 2 * most)
    v = np.where(sure, np.sign(v) * np.inf, v)
    e = np.where(sure, 0, np.where(over, np.inf, e))
    return v, e


def weigh(t, p, pe, eps):
    """A tangent times a partial derivative p that is known up to pe."""
    p, pe = np.asarray(p), np.asarray(pe)
    return Tangent(
        p * t.v, np.abs(p) * t.e + pe * (t.a + t.e) + 4 * eps * np.abs(p) * t.a, (np.abs(p) + pe) * t.a
    )


def settled(t):
    """Nothing is claimed of derivatives that are not finite."""
    bad = ~np.isfinite(t.v) | ~np.isfinite(t.a) | np.isnan(t.e)
    return Tangent(t.v, np.where(bad, np.inf, t.e), t.a)


def float_of(xs):
    names = [x.dtype for x in xs if isinstance(x, Num) and x.is_float]
    return "float64" if "float64" in names or not names else "float32"


# Entry by entry ----------------------------------------------------------------------------------------------------------
@quiet
def entrywise(f, xs, partials, ulps=1.0, error=None):
    """f of the values; its error from the corners of what the operands may be, where f is monotonic in each."""
    dtype = float_of(xs)
    xs = [num(x, dtype) for x in xs]
    v = f(*[x.v for x in xs])
    e = np.zeros(v.shape, LD)
    if error is not None:
        e = error(*xs) + e
    elif any(x.e.any() for x in xs):
        ends = [(x.v - x.e, x.v + x.e) if x.e.any() else (x.v,) for x in xs]
        for corner in itertools.product(*ends):
            e = np.maximum(e, apart(f(*corner), v))
    for x in xs:
        e = np.where(np.isfinite(x.e), e, np.inf)
    v, e = rounded(v, e, dtype, ulps)
    out = Num(v, e, dtype)
    if any(x.t for x in xs):
        inner, eps = [x.without_tangent() for x in xs], limits(dtype)[0]
        parts = []
        for i, x in enumerate(xs):
            if x.t:
                p = num(partials[i](*inner, out), dtype)
                parts.append(weigh(x.t, p.v, p.e, eps))
        out.t = added(parts, v.shape, eps)
    return out


def added(parts, shape, eps):
    v = sum(np.broadcast_to(p.v, shape) for p in parts)
    a = sum(np.broadcast_to(p.a, shape) for p in parts)
    return settled(Tangent(v, sum(np.broadcast_to(p.e, shape) for p in parts) + len(parts) * eps * a, a))


def one(*_):
    return 1.0


def add(x, y):
    return entrywise(np.add, [x, y], [one, one])


def sub(x, y):
    return entrywise(np.subtract, [x, y], [one, lambda *_: -1.0])


def mul(x, y):
    return entrywise(np.multiply, [x, y], [lambda a, b, _: b, lambda a, b, _: a])


def _crosses(x):
    return np.where((np.abs(x.v) <= x.e) & (x.e > 0), np.inf, 0)


@quiet
def div(x, y):
    y = num(y, float_of([x, y]))
    y = Num(y.v, y.e + _crosses(y), y.dtype, y.t)
    return entrywise(np.divide, [x, y], [lambda a, b, _: div(1.0, b), lambda a, b, q: neg(div(q, b))])


def reciprocal(x):
    return div(1.0, x)


def neg(x):
    return entrywise(np.negative, [x], [lambda *_: -1.0], 0)


def _chosen(x, y, best):
    def share(mine):
        def partial(a, b, _):
            near = (np.abs(a.v - b.v) <= a.e + b.e) & (a.e + b.e > 0)
            first = np.where(a.v == b.v, 0.5, ((a.v > b.v) == (best is np.maximum)).astype(LD))
            return Num(first if mine else 1 - first, near.astype(LD), "float64")

        return quiet(partial)

    return entrywise(best, [x, y], [share(True), share(False)], 0)


def maximum(x, y):
    return _chosen(x, y, np.maximum)


def minimum(x, y):
    return _chosen(x, y, np.minimum)


def absolute(x):
    return entrywise(
        np.abs,
        [x],
        [lambda a, _: Num(np.sign(a.v), np.where((np.abs(a.v) <= a.e) & (a.e > 0), 2, 0), a.dtype)],
        0,
    )


def _wave(x):
    return np.where(np.isfinite(x.v), np.minimum(x.e, 2), 0)


def sin(x):
    return entrywise(np.sin, [x], [lambda a, _: cos(a)], ULPS, _wave)


def cos(x):
    return entrywise(np.cos, [x], [lambda a, _: neg(sin(a))], ULPS, _wave)


def tanh(x):
    return entrywise(np.tanh, [x], [lambda a, y: sub(1.0, mul(y, y))], ULPS)


def exp(x):
    return entrywise(np.exp, [x], [lambda a, y: y], ULPS)


def expm1(x):
    return entrywise(np.expm1, [x], [lambda a, y: add(y, 1.0)], ULPS)


@quiet
def log(x):
    x = Num(x.v, x.e + _crosses(x), x.dtype, x.t)
    return entrywise(np.log, [x], [lambda a, _: div(1.0, a)], ULPS)


def log1p(x):
    return entrywise(np.log1p, [x], [lambda a, _: div(1.0, add(a, 1.0))], ULPS)


def sqrt(x):
    return entrywise(np.sqrt, [x], [lambda a, y: div(0.5, y)])


def square(x):
    return entrywise(np.square, [x], [lambda a, _: mul(2.0, a)])


def atan(x):
    return entrywise(np.arctan, [x], [lambda a, _: div(1.0, add(1.0, mul(a, a)))], ULPS)


def sigmoid(x):
    def f(v):
        small = np.exp(-np.abs(v))
        return np.where(v >= 0, 1 / (1 + small), small / (1 + small))

    return entrywise(f, [x], [lambda a, y: mul(y, sub(1.0, y))], ULPS)


def softplus(x):
    f = lambda v: np.maximum(v, 0) + np.log1p(np.exp(-np.abs(v)))
    return entrywise(f, [x], [lambda a, _: sigmoid(a)], ULPS)


def hypot(x, y):
    return entrywise(np.hypot, [x, y], [lambda a, b, r: div(a, r), lambda a, b, r: div(b, r)], ULPS)


def _steps(f):
    @quiet
    def run(x):
        return entrywise(f, [x], [lambda *_: 0.0], 0)

    return run


floor, sign, rint = _steps(np.floor), _steps(np.sign), _steps(np.rint)


def astype(x, dtype):
    if dtype in FLOATS:
        out = Num(x.v, x.e, dtype, x.t)
        if x.dtype == "float64" and dtype == "float32":
            out.v, out.e = quiet(rounded)(out.v, out.e, dtype)
            if x.t:
                eps = limits(dtype)[0]
                out.t = Tangent(x.t.v, x.t.e + eps * x.t.a, x.t.a)
        return out
    return Num(x.v.astype(dtype), x.e, dtype)


# Comparisons, booleans, integers -----------------------------------------------------------------------------------------
@quiet
def compare(f, x, y):
    x, y = num(x), num(y)
    near = (np.abs(x.v - y.v) <= x.e + y.e) & (x.e + y.e > 0)
    v = f(x.v, y.v)
    unsure = near | ~np.isfinite(x.e) | ~np.isfinite(y.e)
    return Num(v, np.where(unsure, np.inf, np.zeros(v.shape)), "bool")


@quiet
def discrete(f, *xs):
    xs = [x if isinstance(x, Num) else Num(np.asarray(x)) for x in xs]
    v = f(*[x.v for x in xs])
    return Num(v, sum(x.e for x in xs) + np.zeros(np.shape(v)), np.asarray(v).dtype.name)


def isnan(x):
    return Num(np.isnan(x.v), np.where(np.isfinite(x.e), 0, np.inf), "bool")


def isfinite(x):
    return Num(np.isfinite(x.v), np.where(np.isfinite(x.e), 0, np.inf), "bool")


@quiet
def where(c, x, y):
    dtype = float_of([x, y])
    bits = all(isinstance(z, Num) and z.bits for z in (x, y))
    x, y = num(x, dtype), num(y, dtype)
    v = np.where(c.v, x.v, y.v)
    unsure = c.e > 0
    e = np.where(c.v, x.e, y.e) + np.zeros(v.shape)
    e = np.where(unsure, apart(x.v, y.v) + x.e + y.e, e)
    out = Num(v, e, dtype, bits=bits)
    if x.t or y.t:
        s, t = x.tangent(), y.tangent()
        pick = lambda p, q: np.where(c.v, p, q) + np.zeros(v.shape)
        te = np.where(unsure, np.abs(s.v - t.v) + s.e + t.e, pick(s.e, t.e))
        out.t = settled(Tangent(pick(s.v, t.v), te, np.where(unsure, s.a + t.a, pick(s.a, t.a))))
    return out
