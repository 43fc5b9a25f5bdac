"""Control flow applied to what a function is linear in: to the tangent in a custom_jvp rule, to the cotangent in a custom_vjp
backward function, and in linear_transpose. Such functions are transposed, where that variable has no value."""

from __future__ import annotations

import numpy as np
import pytest
from hs_tools import numpy_of

import hesse as hs

A = np.array([0.5, 2.0, 1.5])


# c -> coefficient(x) * c, written with each kind of control flow; beside it the coefficient in plain Python -----------------
def by_map(x, c):
    return hs.map(lambda a, c: a * c * x, 3, [hs.asarray(A), c], ["each", "uniform"], "sum")


def of_map(x):
    return sum(a * x for a in A)


def by_vmap(x, c):
    return hs.sum(hs.vmap(lambda a: hs.sin(a * x) * c)(hs.asarray(A)))


def of_vmap(x):
    return sum(np.sin(a * x) for a in A)


def by_scan(x, c):
    last, ys = hs.scan(lambda c, a: (c * a * x, c + a * c), c, hs.asarray(A))
    return last + hs.sum(ys)


def of_scan(x):
    c, total = 1.0, 0.0
    for a in A:
        c, total = c * a * x, total + c + a * c
    return c + total


def by_scan_over(x, c):
    """The scanned array depends on c, the carry does not at first."""
    return hs.scan(lambda s, r: (s * x + r, None), hs.zeros(()), hs.asarray(A) * c)[0]


def of_scan_over(x):
    s = 0.0
    for a in A:
        s = s * x + a
    return s


def by_scan_of_both(x, c):
    """The carry holds a value and c; the last value is then a coefficient."""
    (p, q), _ = hs.scan(
        lambda s, a: ((hs.sin(s[0]) + a, s[1] * s[0]), None), (x, c), hs.asarray(A), reverse=True
    )
    return p * q


def of_scan_of_both(x):
    p, q = x, 1.0
    for a in A[::-1]:
        p, q = np.sin(p) + a, q * p
    return p * q


def by_fori(x, c):
    return hs.fori_loop(0, 3, lambda i, s: s * x + i * s, c)


def of_fori(x):
    return x * (x + 1) * (x + 2)


def by_while(x, c):
    """The number of steps is a coefficient."""
    s, i = hs.while_loop(lambda s: s[1] < 3, lambda s: (s[0] * x, s[1] + 1), (c, 0))
    return s * hs.astype(i, hs.float64)


def of_while(x):
    return 3 * x * x * x


def by_while_of_both(x, c):
    """As long as a value that c does not change says."""
    p, q = hs.while_loop(lambda s: s[0] < 4.0, lambda s: (s[0] * 1.5, s[1] * s[0]), (x, c))
    return hs.cos(p) * q


def of_while_of_both(x):
    p, q = x, 1.0
    while p.real < 4.0:
        p, q = p * 1.5, q * p
    return np.cos(p) * q


def by_while_reversed(x, c):
    """A direction of a gradient through a loop: its stacks have tangents."""
    f = lambda x: hs.while_loop(lambda s: s < 4.0, lambda s: s * s * 6.0, x)
    return hs.jvp(hs.grad(f), (x,), (c,))[1]


def of_while_reversed(x):
    degree, factor, p = 1, 1.0, x
    while p.real < 4.0:
        degree, factor, p = 2 * degree, 6.0 * factor * factor, p * p * 6.0
    return factor * degree * (degree - 1) * x ** (degree - 2)


def by_cond(x, c):
    return hs.cond(x > 0.0, lambda s: 3.0 * s * x * x, lambda s: s, c)


def of_cond(x):
    return 3.0 * x * x


def by_cond_captured(x, c):
    return hs.cond(x > 100.0, lambda: 3.0 * c, lambda: hs.sin(x) * c)


def of_cond_captured(x):
    return np.sin(x)


def by_switch(x, c):
    return hs.switch(1, [lambda s: s, lambda s: hs.exp(x) * s, lambda s: 2.0 * s], c)


def of_switch(x):
    return np.exp(x)


def by_checkpoint(x, c):
    return hs.checkpoint(lambda s: hs.sin(x) * s * x)(c)


def of_checkpoint(x):
    return np.sin(x) * x


def by_compile(x, c):
    return hs.compile(lambda x, s: hs.cos(x) * s + s)(x, c)


def of_compile(x):
    return np.cos(x) + 1


def by_nested(x, c):
    """A loop of branches of a map."""
    inner = lambda s: hs.sum(hs.vmap(lambda a: hs.tanh(a * x) * s)(hs.asarray(A)))
    return hs.fori_loop(0, 2, lambda i, s: hs.cond(x > 0.0, inner, lambda s: s, s), c)


def of_nested(x):
    return sum(np.tanh(a * x) for a in A) ** 2


def by_counter_in_a_loop(x, c):
    """The coefficients that an inner loop makes beside c stay inside the body of an outer one."""
    inner = lambda s: by_while(x, s) + by_while_of_both(x, s)
    return hs.fori_loop(0, 2, lambda i, s: hs.checkpoint(inner)(s), c)


def of_counter_in_a_loop(x):
    return (of_while(x) + of_while_of_both(x)) ** 2


LINEAR = {k[3:]: (f, globals()["of_" + k[3:]]) for k, f in list(globals().items()) if k.startswith("by_")}
EVERY = pytest.mark.parametrize("kind", LINEAR)
X = 0.7


def derivative(f, x):
    """By complex step."""
    return (f(x + 1e-30j)).imag / 1e-30


def second(f, x, h=1e-4):
    at = lambda k: derivative(f, x + k * h)
    return (at(-2) - 8 * at(-1) + 8 * at(1) - at(2)) / (12 * h)


def same(actual, expected, tol=1e-12):
    np.testing.assert_allclose(numpy_of(actual), expected, rtol=tol, atol=tol)


def through_rule(linear):
    """A function whose custom_jvp rule is `linear`."""

    @hs.custom_jvp
    def f(x):
        return hs.sin(x)

    f.defjvp(lambda primals, tangents: (hs.sin(primals[0]), linear(primals[0], tangents[0])))
    return f


def through_backward(linear):
    """A function whose custom_vjp backward function is `linear`."""
    f = hs.custom_vjp(lambda x: hs.sin(x))
    f.defvjp(lambda x: (hs.sin(x), x), lambda x, ct: (linear(x, ct),))
    return f


WAYS = pytest.mark.parametrize("way", [through_rule, through_backward])


@EVERY
@WAYS
def test_derivatives_of_a_function_with_such_a_rule(kind, way):
    linear, coefficient = LINEAR[kind]
    f = way(linear)
    x, xs = hs.asarray(X), np.array([0.4, 0.7, 1.1])
    d, d1 = coefficient(X), derivative(coefficient, X)
    same(hs.grad(f)(x), d)
    same(hs.jvp(f, (x,), (2.0,))[1], 2.0 * d)
    same(hs.vjp(f, x)[1](hs.asarray(3.0))[0], 3.0 * d)
    same(hs.linearise(f, x)[1](2.0), 2.0 * d)
    each = [coefficient(v) for v in xs]
    same(hs.vmap(f)(hs.asarray(xs)), np.sin(xs))
    same(hs.vmap(hs.grad(f))(hs.asarray(xs)), each)
    same(hs.vmap(lambda v: hs.jvp(f, (v,), (2.0,))[1])(hs.asarray(xs)), 2.0 * np.array(each))
    same(hs.grad(lambda v: hs.sum(hs.vmap(f)(v)))(hs.asarray(xs)), each)
    same(hs.jvp(hs.vmap(f), (hs.asarray(xs),), (hs.ones((3,)),))[1], each)
    same(hs.compile(hs.grad(f))(x), d)
    same(hs.grad(hs.compile(f))(x), d)
    forward = lambda x: hs.jvp(f, (x,), (1.0,))[1]
    for g in (hs.grad(f), forward):  # all four mixtures
        same(hs.grad(g)(x), d1, 1e-10)
        same(hs.jvp(g, (x,), (1.0,))[1], d1, 1e-10)
        same(hs.vmap(hs.grad(g))(hs.asarray(xs)), [derivative(coefficient, v) for v in xs], 1e-10)
    same(hs.grad(hs.grad(hs.grad(f)))(x), second(coefficient, X), 1e-6)


@EVERY
def test_linear_transpose(kind):
    linear, coefficient = LINEAR[kind]
    x, xs = hs.asarray(X), np.array([0.4, 0.7, 1.1])
    transposed = lambda x, ct=2.0: hs.linear_transpose(lambda c: linear(x, c), 1.0)(ct)[0]
    d1 = derivative(coefficient, X)
    same(transposed(x), 2.0 * coefficient(X))
    same(hs.vmap(transposed)(hs.asarray(xs)), [2.0 * coefficient(v) for v in xs])
    same(hs.grad(transposed)(x), 2.0 * d1, 1e-10)
    same(hs.jvp(transposed, (x,), (1.0,))[1], 2.0 * d1, 1e-10)
    same(hs.compile(transposed)(x), 2.0 * coefficient(X))
    same(hs.grad(hs.grad(transposed))(x), 2.0 * second(coefficient, X), 1e-6)
    same(hs.grad(lambda ct: transposed(x, ct))(hs.asarray(2.0)), coefficient(X))
    twice = hs.linear_transpose(lambda ct: transposed(x, ct), 1.0)(2.0)[0]
    same(twice, 2.0 * coefficient(X))


@EVERY
def test_of_arrays(kind):
    """c a matrix: the transpose is entry by entry, and the identity of pairings holds."""
    linear, coefficient = LINEAR[kind]
    if kind in ("scan_over", "while_reversed"):
        pytest.skip("written for scalars")
    if kind == "map":
        linear = lambda x, c: by_map(x, c)
    if kind in ("vmap", "scan", "nested"):
        linear = {
            "vmap": lambda x, c: hs.sum(hs.vmap(lambda a: hs.sin(a * x) * c)(hs.asarray(A)), axis=0),
            "scan": lambda x, c: (lambda r: r[0] + hs.sum(r[1], axis=0))(
                hs.scan(lambda c, a: (c * a * x, c + a * c), c, hs.asarray(A))
            ),
            "nested": lambda x, c: hs.fori_loop(
                0,
                2,
                lambda i, s: hs.sum(hs.vmap(lambda a: hs.tanh(a * x) * s)(hs.asarray(A)), axis=0),
                c,
            ),
        }[kind]
    ct = np.arange(6.0).reshape(2, 3)
    got = hs.linear_transpose(lambda c: linear(hs.asarray(X), c), hs.zeros((2, 3)))(hs.asarray(ct))[0]
    same(got, coefficient(X) * ct)


# refusals -------------------------------------------------------------------------------------------------------------------
NONLINEAR = {
    "cond": lambda c: hs.cond(c > 0.0, lambda s: 2.0 * s, lambda s: s, c),
    "while_loop": lambda c: hs.while_loop(lambda s: s < 4.0, lambda s: 1.5 * s, c),
    "while_loop, a captured bound": lambda c: hs.while_loop(lambda s: s[0] < c, lambda s: (s[0] + 1.0, s[1] * 2.0), (0.0, c))[1],
    "multiply": lambda c: c * c,
    "scan": lambda c: hs.scan(lambda s, a: (s * s * a, None), c, hs.asarray(A))[0],
    "call": lambda c: hs.checkpoint(lambda s: hs.sin(s))(c),
    "map": lambda c: hs.sum(hs.vmap(lambda a: hs.exp(a * c))(hs.asarray(A))),
}  # fmt: skip


@pytest.mark.parametrize("name", NONLINEAR)
def test_functions_that_are_not_linear_are_refused_by_name(name):
    f, op = NONLINEAR[name], name.split(",")[0]
    with pytest.raises(ValueError, match=f"{op} is not linear"):
        hs.linear_transpose(f, 1.0)(1.0)
    rule = through_rule(lambda x, c: f(c))
    with pytest.raises(ValueError, match=f"custom_jvp: {op} is not linear.*tangents"):
        hs.grad(rule)(X)
    backward = through_backward(lambda x, c: f(c))
    with pytest.raises(ValueError, match=f"{op} is not linear.*custom_vjp"):
        hs.jvp(backward, (hs.asarray(X),), (1.0,))
    same(hs.jvp(rule, (X,), (1.0,))[1], f(hs.asarray(1.0)))
    same(hs.grad(backward)(X), f(hs.asarray(1.0)))


def test_an_index_that_depends_on_the_variable_is_refused():
    with pytest.raises(ValueError, match="not linear"):
        hs.linear_transpose(lambda c: hs.asarray(A)[hs.astype(c, hs.int64)] * c, 1.0)(1.0)


def test_a_rule_applied_to_the_variable():
    """Works where the function is linear and its rule is the same everywhere; else it is refused by name."""
    double = hs.custom_vjp(lambda c: 2.0 * c)
    double.defvjp(lambda c: (2.0 * c, None), lambda _, ct: (5.0 * ct,))
    same(hs.linear_transpose(lambda c: double(c) * X, 1.0)(1.0)[0], 5.0 * X)
    scale = hs.custom_vjp(lambda x, c: x * c)
    scale.defvjp(lambda x, c: (x * c, x), lambda x, ct: (0.0 * ct, 7.0 * x * ct))
    same(hs.linear_transpose(lambda c: scale(hs.asarray(X), c), 1.0)(1.0)[0], 7.0 * X)
    same(hs.grad(through_rule(scale))(X), 7.0 * X)
    triple = hs.custom_jvp(lambda c: 3.0 * c)
    triple.defjvp(lambda primals, tangents: (3.0 * primals[0], 4.0 * tangents[0]))
    same(hs.linear_transpose(triple, 1.0)(1.0)[0], 4.0)

    bent = hs.custom_vjp(lambda c: 2.0 * c)
    bent.defvjp(lambda c: (2.0 * c, c), lambda c, ct: (c * ct,))
    with pytest.raises(ValueError, match="custom_vjp is not linear"):
        hs.linear_transpose(bent, 1.0)(1.0)
    curved = hs.custom_jvp(lambda c: hs.sin(c))
    curved.defjvp(lambda primals, tangents: (hs.sin(primals[0]), tangents[0]))
    with pytest.raises(ValueError, match="custom_jvp is not linear"):
        hs.linear_transpose(curved, 1.0)(1.0)
