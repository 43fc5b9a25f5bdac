"""Bases of distances and angles, for one edge."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array

__all__ = ["bessel_zeros", "cosine_cutoff", "envelope", "legendre", "spherical_bessel_basis"]


def cosine_cutoff(r: Array, cutoff: float) -> Array:
    """(cos(pi r / c) + 1) / 2 up to the cutoff c, and 0 beyond."""
    inside: Array = 0.5 * (_hesse.cos(r * (math.pi / cutoff)) + 1.0)
    return _hesse.where(r < cutoff, inside, 0.0)


def envelope(x: Array, exponent: int) -> Array:
    """1/x + a x^(p-1) + b x^p + c x^(p+1), p = exponent + 1, below 1 and 0 from there on: with two derivatives 0 at 1."""
    p = exponent + 1
    a, b, c = -(p + 1) * (p + 2) / 2, p * (p + 2), -p * (p + 1) / 2
    return _hesse.where(x < 1.0, 1.0 / x + x ** (p - 1) * (a + x * (b + x * c)), 0.0)


def legendre(x: Array, count: int) -> list[Array]:
    """P_0(x), ..., P_(count - 1)(x), by their recurrence."""
    values = [_hesse.ones_like(x), x]
    for n in range(1, count - 1):
        values.append(((2 * n + 1) * x * values[n] - n * values[n - 1]) / (n + 1))
    return values[:count]


def _upward(order: int, x: Any, sin: Any, cos: Any) -> Any:
    """j_order(x) by j_(k+1) = (2k + 1) / x j_k - j_(k-1), which loses no digits where x > order."""
    before, now = sin / x, sin / (x * x) - cos / x
    if order == 0:
        return before
    for k in range(1, order):
        before, now = now, (2 * k + 1) / x * now - before
    return now


@functools.cache
def bessel_zeros(orders: int, count: int) -> np.ndarray[Any, Any]:
    """The first positive zeros of the spherical Bessel functions j_0 to j_(orders - 1), [orders, count].

    Those of j_l lie between neighbouring ones of j_(l-1); j_0 has n pi.
    """
    zeros = np.arange(1, count + orders) * np.pi
    rows = [zeros[:count]]
    for order in range(1, orders):
        low, high = zeros[:-1].copy(), zeros[1:].copy()
        sign = np.sign(_upward(order, low, np.sin(low), np.cos(low)))
        for _ in range(60):  # bisection, to the last bit
            middle = 0.5 * (low + high)
            same = np.sign(_upward(order, middle, np.sin(middle), np.cos(middle))) == sign
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        zeros = 0.5 * (low + high)
        rows.append(zeros[:count])
    return np.array(rows)


def _series(order: int, x: Array) -> Array:
    """j_order(x) by its series, for x < order + 1: x^l / (2l + 1)!! (1 - x^2/2 / (2l + 3) (1 - x^2/2 / (2 (2l + 5)) (...)))."""
    half = 0.5 * x * x
    terms = 6 + 3 * (order + 1)  # the next one is below 1e-17
    value = _hesse.ones_like(x)
    for k in range(terms, 0, -1):
        value = 1.0 - half / (k * (2 * order + 2 * k + 1)) * value
    return value * x**order / math.prod(range(1, 2 * order + 2, 2))


def spherical_bessel_basis(x: Array, orders: int, count: int) -> Array:
    """sqrt(2) / |j_(l+1)(z_ln)| j_l(z_ln x) for distances x below 1, [orders, count], z_ln the n-th zero of j_l.

    Upward recurrence loses what the series keeps at small arguments: in single precision all digits of j_6 at 1.
    """
    zeros = bessel_zeros(orders, count)
    rows = []
    for order in range(orders):
        z = zeros[order]
        norm = np.sqrt(2.0) / np.abs(_upward(order + 1, z, np.sin(z), np.cos(z)))
        a = _hesse.astype(_hesse.asarray(z), x.dtype) * x
        small = a < order + 1
        far = _hesse.where(small, order + 1.0, a)
        upward = _upward(order, far, _hesse.sin(far), _hesse.cos(far))
        values = _hesse.where(small, _series(order, _hesse.where(small, a, 0.0)), upward)
        rows.append(values * _hesse.astype(_hesse.asarray(norm), x.dtype))
    return _hesse.stack(rows)
