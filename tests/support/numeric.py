"""An independent interpreter's numbers: truncated polynomials in nilpotent perturbations, in NumPy. No code of Hesse's.

A `Num` is a sum over sets of perturbations, coefficient[mask] * e_i e_j ..., where every e squares to zero. A derivative
introduces a fresh perturbation, so nested derivatives cannot be confused. Branches and loops look at the real part.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator

import numpy as np

_fresh = itertools.count()


def fresh() -> int:
    """A perturbation that no other number holds."""
    return 1 << next(_fresh)


def reset():
    """Starts the numbering of perturbations again, between programs: masks stay small."""
    global _fresh
    _fresh = itertools.count()


class Num:
    """parts: mask of perturbations -> float array; the mask 0 is the real part and is always there."""

    __slots__ = ("parts",)

    def __init__(self, parts):
        self.parts = parts

    @property
    def value(self):
        return self.parts[0]

    @property
    def shape(self):
        return np.shape(self.parts[0])

    def map_linear(self, f):
        return Num({m: f(p) for m, p in self.parts.items()})


def num(x) -> Num:
    return x if isinstance(x, Num) else Num({0: np.asarray(x, dtype=float)})


def perturbed(x, e: int, dx) -> Num:
    """x + e dx, where x and dx may hold older perturbations."""
    x, dx = num(x), num(dx)
    return add(x, Num({m | e: p for m, p in dx.parts.items()} | {0: np.zeros(np.shape(x.value))}))


def part_of(x, e: int) -> Num:
    """The derivative: the coefficient of e, without e."""
    x = num(x)
    out = {m & ~e: p for m, p in x.parts.items() if m & e}
    out.setdefault(0, np.zeros(x.shape))
    return Num(out)


def derivative(f, at, direction) -> Num:
    """The derivative of f along a direction: with respect to a fresh perturbation."""
    e = fresh()
    return part_of(f(perturbed(at, e, direction)), e)


def real(x) -> np.ndarray:
    """What branches and loops look at."""
    return num(x).value


def without(x, e: int) -> Num:
    return Num({m: p for m, p in num(x).parts.items() if not m & e})


def add(x, y) -> Num:
    x, y = num(x), num(y)
    shape = np.broadcast_shapes(x.shape, y.shape)
    out = {m: np.broadcast_to(p, shape) for m, p in x.parts.items()}
    for m, p in y.parts.items():
        out[m] = out[m] + p if m in out else np.broadcast_to(p, shape)
    return Num(out)


def neg(x) -> Num:
    return num(x).map_linear(lambda p: -p)


def sub(x, y) -> Num:
    return add(x, neg(y))


def bilinear(x, y, f) -> Num:
    """f is linear in each argument; perturbations square to zero."""
    x, y = num(x), num(y)
    out = {}
    for (a, p), (b, q) in itertools.product(x.parts.items(), y.parts.items()):
        if not a & b:
            r = f(p, q)
            out[a | b] = out[a | b] + r if a | b in out else r
    return Num(out)


def mul(x, y) -> Num:
    return bilinear(x, y, np.multiply)


def matmul(x, y) -> Num:
    return bilinear(x, y, np.matmul)


def analytic(x, derivatives) -> Num:
    """f(x) by its Taylor polynomial: derivatives(value, k) is the k-th derivative at the real part."""
    x = num(x)
    nilpotent = Num({m: p for m, p in x.parts.items() if m} | {0: np.zeros(x.shape)})
    order = functools.reduce(operator.or_, x.parts).bit_count()
    out = num(derivatives(x.value, 0))
    power = num(np.ones(x.shape))
    for k in range(1, order + 1):
        power = mul(power, nilpotent)
        power = Num({m: p for m, p in power.parts.items() if m} | {0: np.zeros(x.shape)})
        out = add(out, mul(derivatives(x.value, k) / math.factorial(k), power))
    return out


def sin(x) -> Num:
    return analytic(x, lambda v, k: np.sin(v + k * np.pi / 2))


def cos(x) -> Num:
    return analytic(x, lambda v, k: np.cos(v + k * np.pi / 2))


def exp(x) -> Num:
    return analytic(x, lambda v, k: np.exp(v))


def _tanh_derivative(v, k):
    poly = np.polynomial.Polynomial([0.0, 1.0])  # in y = tanh; y' = 1 - y^2
    for _ in range(k):
        poly = poly.deriv() * np.polynomial.Polynomial([1.0, 0.0, -1.0])
    return poly(np.tanh(v))


def tanh(x) -> Num:
    return analytic(x, _tanh_derivative)


def reciprocal(x) -> Num:
    return analytic(x, lambda v, k: (-1.0) ** k * math.factorial(k) / v ** (k + 1))


def total(x) -> Num:
    """The sum of all entries."""
    return num(x).map_linear(np.sum)


def sum_axis0(x) -> Num:
    return num(x).map_linear(lambda p: np.sum(p, axis=0))


def index(x, i) -> Num:
    return num(x).map_linear(lambda p: p[i])


def stack(xs, shape=()) -> Num:
    """Along a new axis 0; no entries give zeros of (0, *shape)."""
    xs = [num(x) for x in xs]
    masks = {0}.union(*(x.parts for x in xs)) if xs else {0}
    if not xs:
        return num(np.zeros((0, *shape)))
    return Num({m: np.stack([np.asarray(x.parts.get(m, np.zeros(x.shape))) for x in xs]) for m in masks})


def custom(args, value, partials) -> Num:
    """A function with its own derivative rule: value(*args), and d = sum partials[i](*args) dargs[i], entry by entry.

    The innermost derivative is the youngest perturbation: it meets the rule first, and older ones differentiate the rule.
    """
    args = [num(a) for a in args]
    bits = functools.reduce(operator.or_, (m for a in args for m in a.parts))
    if not bits:
        return num(value(*args))
    e = 1 << (bits.bit_length() - 1)
    base = [without(a, e) for a in args]
    d = num(0.0)
    for a, p in zip(args, partials, strict=True):
        d = add(d, mul(p(*base), part_of(a, e)))
    return perturbed(custom(base, value, partials), e, d)
