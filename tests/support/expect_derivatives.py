"""Give it a function and a point: it checks derivatives to third order in every mixture of forward and reverse mode."""

from __future__ import annotations

import itertools

import numpy as np
from hs_tools import arrays_of, numpy_of, pairing
from op_entry import random_like

import hesse as hs


def tuple_valued(f):
    """f with a tuple of arrays as its result."""

    def g(*xs):
        y = f(*xs)
        return tuple(y) if isinstance(y, (tuple, list)) else (y,)

    return g


def forward(f, u):
    """x -> J(x) u."""
    return lambda *xs: hs.jvp(f, xs, u)[1]


def reverse(f, w):
    """x -> J(x)^T w."""
    return lambda *xs: hs.vjp(f, *xs)[1](w)


def mixed_derivative(f, xs, modes, directions, weights):
    """D^k <w, f>[d_1, ..., d_k] with modes[i] "F" or "R" for the i-th differentiation, innermost first.

    A reverse step leaves a function onto the arguments, to be paired with that step's direction.
    """
    pending = weights
    for mode, d in zip(modes, directions, strict=False):
        if mode == "F":
            f = forward(f, d)
        else:
            f, pending = reverse(f, pending), d
    return pairing(pending, f(*xs))


def extrapolated(g, h=0.02, levels=4):
    """g'(0) by central differences of a scalar function and Richardson's extrapolation."""
    table = [(g(h / 2**k) - g(-h / 2**k)) / (2 * h / 2**k) for k in range(levels)]
    factor = 4.0
    while len(table) > 1:
        table = [(factor * b - a) / (factor - 1) for a, b in itertools.pairwise(table)]
        factor *= 4
    return table[0]


def expect_derivatives(f, *xs, order=3, rtol=1e-7, h=0.02, seed=0):
    """f of real or complex arrays (double precision) onto an array or several; every mixture of modes to `order`."""
    f = tuple_valued(f)
    xs = tuple(arrays_of(xs))
    rng = np.random.default_rng(seed)
    like = lambda arrays: tuple(arrays_of(random_like(rng, numpy_of(a)) for a in arrays))
    weights = like(f(*xs))
    directions = [like(xs) for _ in range(order)]
    for k in range(1, order + 1):

        def below(t, k=k):
            moved = tuple(x + t * d for x, d in zip(xs, directions[k - 1], strict=True))
            return mixed_derivative(f, moved, "F" * (k - 1), directions, weights)

        expected = extrapolated(below, h)
        for modes in itertools.product("FR", repeat=k):
            actual = mixed_derivative(f, xs, modes, directions, weights)
            assert abs(actual - expected) <= rtol * (1 + abs(expected)), (
                f"order {k}, modes {''.join(modes)} (innermost first): {actual!r}, differences give {expected!r}"
            )
