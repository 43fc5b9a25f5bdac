"""Nested derivatives that a system with global tags confuses, from the literature, in every mixture of modes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import hesse as hs


def forward(f):
    return lambda x: hs.jvp(f, (x,), (hs.ones_like(hs.asarray(x)),))[1]


def reverse(f):
    def g(x):
        y, pull = hs.vjp(f, x)
        return pull(hs.ones_like(y))[0]

    return g


MODES = {"forward": forward, "reverse": reverse, "grad": hs.grad}
TWO = pytest.mark.parametrize(
    "outer,inner", list(itertools.product(MODES.values(), repeat=2)), ids=lambda f: f.__name__
)


@TWO
def test_siskind_and_pearlmutter_2005(outer, inner):
    """d/dx (x d/dy (x + y)) = 1; a system that confuses the perturbations gives 2."""
    f = lambda x: x * inner(lambda y: x + y)(1.0)
    assert float(outer(f)(1.0)) == 1.0


@TWO
def test_siskind_and_pearlmutter_2008(outer, inner):
    """d/dx (x d/dy (x y) at y = 2) = 2 x."""
    f = lambda x: x * inner(lambda y: x * y)(2.0)
    assert float(outer(f)(3.0)) == 6.0


@TWO
def test_the_inner_point_is_the_outer_variable(outer, inner):
    """d/dx [d/dy (x y^2) at y = x] = d/dx 2 x^2 = 4 x."""
    f = lambda x: inner(lambda y: x * y * y)(x)
    assert float(outer(f)(3.0)) == 12.0


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_manzyuk_and_others_2019(mode):
    """The derivative of a curried shift, used twice, is the second derivative, not zero and not twice the first."""

    def shift_derivative(f):  # D s at 0, where s(u)(f)(x) = f(x + u)
        return lambda x: mode(lambda u: f(x + u))(0.0)

    f = lambda x: hs.exp(x) * hs.sin(x)
    twice = shift_derivative(shift_derivative(f))
    assert float(twice(0.6)) == pytest.approx(2 * math.exp(0.6) * math.cos(0.6), rel=1e-13)


def test_a_function_that_returns_a_function():
    """The closure returned by a differentiated function keeps the value it captured, not its perturbation."""
    kept = []

    def f(x):
        kept.append(lambda y: hs.sin(x) * y)
        return x * x

    hs.grad(f)(0.5)
    assert float(hs.grad(kept[0])(2.0)) == pytest.approx(math.sin(0.5))


@TWO
def test_same_array_in_both(outer, inner):
    x = hs.asarray(0.4)
    f = lambda a: inner(lambda b: a * b + x * b)(a) * a
    assert float(outer(f)(x)) == pytest.approx(2 * 0.4 + 0.4, rel=1e-14)


@pytest.mark.parametrize("modes", list(itertools.product(MODES, repeat=3)), ids="-".join)
def test_three_deep(modes):
    """d/dx d/dy d/dz of x y z + x^2 y^2 z^2 with each variable captured by the derivatives inside it."""
    d1, d2, d3 = (MODES[m] for m in modes)
    f = lambda x: d2(lambda y: d3(lambda z: x * y * z + x**2 * y**2 * z**2)(0.7))(0.3)
    assert float(d1(f)(1.1)) == pytest.approx(1 + 8 * 1.1 * 0.3 * 0.7, rel=1e-13)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_inside_vmap_and_around_it(mode):
    """The perturbation of one example does not reach another, nor the outer derivative."""
    xs = hs.asarray([0.3, 0.7, -1.1])
    f = lambda s: hs.sum(hs.vmap(lambda x: s * mode(lambda y: s * x * y * y)(x))(xs))
    # sum of s * 2 s x^2: derivative 4 s sum x^2
    assert float(mode(f)(1.5)) == pytest.approx(4 * 1.5 * float(np.sum(np.asarray(xs) ** 2)), rel=1e-13)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_inside_loops_and_branches(mode):
    """A derivative in the body of a scan, a while_loop or a cond, of a function that captures the carry."""
    step = lambda c: mode(lambda y: c * y * y)(c) * 0.5  # c^2
    by_scan = lambda x: hs.scan(lambda c, _: (step(c), c), x, None, 2)[0]  # x^4
    by_while = lambda x: hs.while_loop(lambda s: s[1] < 2, lambda s: (step(s[0]), s[1] + 1), (x, 0))[0]
    by_cond = lambda x: hs.cond(x > 0.0, lambda v: step(step(v)), lambda v: v, x)
    for f in (by_scan, by_while, by_cond):
        assert float(mode(f)(1.3)) == pytest.approx(4 * 1.3**3, rel=1e-12)
        assert float(mode(mode(f))(1.3)) == pytest.approx(12 * 1.3**2, rel=1e-12)
