"""Sums, products, views and orders of the numbers of bounded.py."""

from __future__ import annotations

import numpy as np
from bounded import (
    LD,
    Num,
    Tangent,
    add,
    added,
    apart,
    div,
    exp,
    float_of,
    limits,
    log,
    mul,
    quiet,
    settled,
    square,
    sub,
    weigh,
)


# Sums and products -------------------------------------------------------------------------------------------------------
def axes_of(x, axis):
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def added_up(v, e, size, dtype, f, scale=1.0):
    """f is linear: a sum in any order, of `size` terms."""
    eps, tiny, most = limits(dtype)
    total = f(v)
    absolute = f(np.where(np.isfinite(v), np.abs(v), 0))
    bound = f(e) + size * eps * absolute + (tiny if size > 1 else 0)
    bound = np.where(np.isfinite(total) | ~np.isfinite(f(e)), bound, 0)
    bound = np.where(np.isnan(bound) | (absolute > most / 4), np.inf, bound)
    return total, bound


@quiet
def sum_(x, axis=None, keepdims=False):
    axes = axes_of(x, axis)
    f = lambda a: np.sum(a, axis=axes, keepdims=keepdims)
    if not x.is_float:
        return Num(f(x.v.astype(np.int64)), f(x.e), "int64")
    size = int(np.prod([x.shape[a] for a in axes]))
    v, e = added_up(x.v, x.e, size, x.dtype, f)
    out = Num(v, e, x.dtype)
    if x.t:
        out.t = linear(x.t, f, size, x.dtype)
    return out


def linear(t, f, size, dtype):
    a = f(t.a)
    return settled(Tangent(f(t.v), f(t.e) + size * limits(dtype)[0] * a, a))


@quiet
def mean(x, axis=None, keepdims=False):
    size = int(np.prod([x.shape[a] for a in axes_of(x, axis)]))
    return div(sum_(x, axis, keepdims), float(size))


def var(x, axis=None, keepdims=False):
    return mean(square(sub(x, mean(x, axis, True))), axis, keepdims)


def _extreme(f):
    @quiet
    def run(x, axis=None, keepdims=False):
        axes = axes_of(x, axis)
        g = lambda a: f(a, axis=axes, keepdims=keepdims)
        v = g(x.v)
        if not x.is_float:
            return Num(v, np.max(x.e, axis=axes, keepdims=keepdims), x.dtype)
        e = np.maximum(apart(g(x.v - x.e), v), apart(g(x.v + x.e), v))
        e = np.where(np.all(np.isfinite(x.e), axis=axes, keepdims=keepdims), e, np.inf)
        out = Num(v, e, x.dtype)
        if x.t:
            whole = f(x.v, axis=axes, keepdims=True)
            near = np.abs(x.v - whole) <= x.e + np.max(x.e, axis=axes, keepdims=True)
            sharp = np.count_nonzero(x.e * near, axis=axes, keepdims=keepdims) == 0
            single = np.count_nonzero(near, axis=axes, keepdims=keepdims) == 1
            first = (x.v == whole) / np.sum(x.v == whole, axis=axes, keepdims=True)
            t = weigh(x.t, first, 0, limits(x.dtype)[0]).map(
                lambda p: np.sum(p, axis=axes, keepdims=keepdims)
            )
            spread = 2 * np.sum(x.t.a * near, axis=axes, keepdims=keepdims)
            out.t = settled(Tangent(t.v, np.where(sharp | single, t.e, t.e + spread), t.a))
        return out

    return run


max_, min_ = _extreme(np.max), _extreme(np.min)


@quiet
def any_(x, axis=None, keepdims=False):
    axes = axes_of(x, axis)
    return Num(np.any(x.v, axis=axes, keepdims=keepdims), np.sum(x.e, axis=axes, keepdims=keepdims), "bool")


@quiet
def all_(x, axis=None, keepdims=False):
    axes = axes_of(x, axis)
    return Num(np.all(x.v, axis=axes, keepdims=keepdims), np.sum(x.e, axis=axes, keepdims=keepdims), "bool")


@quiet
def argmax(x, axis=None, keepdims=False):
    v = np.argmax(x.v, axis=axis, keepdims=keepdims)
    axes = axes_of(x, axis)
    best = np.max(x.v, axis=axes, keepdims=True)
    slack = x.e + np.max(x.e, axis=axes, keepdims=True)
    near = np.count_nonzero((np.abs(x.v - best) <= slack) & (slack > 0), axis=axes, keepdims=keepdims) > 1
    unsure = near | np.any(~np.isfinite(x.e), axis=axes, keepdims=keepdims)
    return Num(v, np.where(unsure, np.inf, 0) + np.zeros(np.shape(v)), "int64")


def softmax(x, axis):
    shifted = exp(sub(x, max_(x.without_tangent(), axis, True)))
    return _finite_only(x, div(shifted, sum_(shifted, axis, True)), axis, True)


def logsumexp(x, axis=None, keepdims=False):
    top = max_(x.without_tangent(), axis, True)
    total = add(log(sum_(exp(sub(x, top)), axis, True)), top)
    axes = axes_of(x, axis)
    if not keepdims:
        total = view(total, lambda a: np.squeeze(a, axes))
    return _finite_only(x, total, axis, keepdims)


def _finite_only(x, y, axis, keepdims):
    bad = ~np.all(np.isfinite(x.v), axis=axes_of(x, axis), keepdims=keepdims)
    y.e = np.where(bad, np.inf, y.e)
    y.bits = False
    return y


@quiet
def cumsum(x, axis):
    f = lambda a: np.cumsum(a, axis=axis)
    if not x.is_float:
        return Num(f(x.v.astype(np.int64)), f(x.e), "int64")
    v, e = added_up(x.v, x.e, x.shape[axis], x.dtype, f)
    out = Num(v, e, x.dtype)
    if x.t:
        out.t = linear(x.t, f, x.shape[axis], x.dtype)
    return out


@quiet
def matmul(x, y):
    dtype, k = float_of([x, y]), x.shape[-1]
    eps, tiny, most = limits(dtype)
    v = np.matmul(x.v, y.v)
    bare = lambda a: np.where(np.isfinite(a), np.abs(a), 0)
    ax, ay = bare(x.v), bare(y.v)
    ex, ey = x.e, y.e
    known = (
        np.matmul(~np.isfinite(ex) * LD(1), np.ones_like(ey))
        + np.matmul(np.ones_like(ex), ~np.isfinite(ey) * LD(1))
    ) == 0
    ex, ey = bare(ex), bare(ey)
    absolute = np.matmul(ax, ay)
    e = np.matmul(ax, ey) + np.matmul(ex, ay) + np.matmul(ex, ey) + (k + 1) * (eps * absolute + tiny)
    # inf times what may be zero or of either sign
    risky = np.matmul(~np.isfinite(x.v) * LD(1), (ey > 0) * LD(1)) + np.matmul(
        (ex > 0) * LD(1), ~np.isfinite(y.v) * LD(1)
    )
    e = np.where(np.isfinite(v), e, np.where(risky > 0, np.inf, 0))
    e = np.where(known & (absolute <= most / 4), e, np.inf)
    out = Num(v, e if k else np.zeros(np.shape(v)), dtype)
    if x.t or y.t:
        parts = []
        for t, p, order in ((x.t, y, 1), (y.t, x, -1)):
            if t:
                mm = lambda a, b, order=order: np.matmul(*(a, b)[::order])
                a = mm(t.a, np.abs(p.v) + p.e)
                e = mm(t.e, np.abs(p.v)) + mm(t.a + t.e, p.e) + (k + 4) * eps * a
                parts.append(Tangent(mm(t.v, p.v), e, a))
        out.t = added(parts, np.shape(v), eps)
    return out


def outer(x, y):
    return mul(view(x, lambda a: a[:, None]), view(y, lambda a: a[None, :]))


# Views, indices, order ---------------------------------------------------------------------------------------------------
def view(x, f):
    return Num(f(x.v), f(x.e), x.dtype, x.t and x.t.map(f), x.bits)


def joined(f, xs):
    """f puts the entries of several arrays together."""
    dtype = float_of(xs) if xs[0].is_float else xs[0].dtype
    t = None
    if any(x.t for x in xs):
        ts = [x.tangent() for x in xs]
        t = Tangent(*(f([getattr(s, k) for s in ts]) for k in "vea"))
    return Num(f([x.v for x in xs]), f([x.e for x in xs]), dtype, t, all(x.bits for x in xs))


def concat(*xs, axis):
    return joined(lambda a: np.concatenate(a, axis=axis), xs)


def stack(*xs, axis=0):
    return joined(lambda a: np.stack(a, axis=axis), xs)


def take(x, i, axis):
    """i is a Num of integers whose values are sure."""
    out = view(x, lambda a: np.take(a, i.v, axis=axis))
    if i.e.any():
        out.e = np.full(out.shape, np.inf, LD)
        out.t = out.t and Tangent(out.t.v, out.e, out.t.a)
    return out


@quiet
def segment_sum(x, i, segments):
    def f(a):
        out = np.zeros((segments, *a.shape[1:]), a.dtype)
        np.add.at(out, i.v, a)
        return out

    v, e = added_up(x.v, x.e, max(2, x.shape[0]), x.dtype, f)
    out = Num(v, e, x.dtype)
    if x.t:
        out.t = linear(x.t, f, x.shape[0], x.dtype)
    return out


@quiet
def sort(x, axis):
    f = lambda a: np.sort(a, axis=axis)
    v = f(x.v)
    if not x.is_float:
        return Num(v, np.broadcast_to(np.max(x.e, axis=axis, keepdims=True, initial=0), v.shape), x.dtype)
    e = np.maximum(apart(f(x.v - x.e), v), apart(f(x.v + x.e), v))
    e = np.where(np.all(np.isfinite(x.e), axis=axis, keepdims=True), e, np.inf)
    out = Num(v, e, x.dtype)
    if x.t:
        order = np.argsort(x.v, axis=axis, kind="stable")
        along = lambda a: np.take_along_axis(a, order, axis)
        t, width = x.t.map(along), along(x.e)
        gap = np.diff(v, axis=axis) <= np.take(width, range(1, v.shape[axis]), axis) + np.take(
            width, range(v.shape[axis] - 1), axis
        )
        unsure = np.any(gap, axis=axis, keepdims=True)
        out.t = settled(Tangent(t.v, np.where(unsure, np.inf, t.e), t.a))
    return out
