"""vmap of vmap of vmap, with three operands that each vary with every subset of the axes: values and both derivatives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hs_tools import Cases, numpy_of

import hesse as hs

FEATURES = ((), (2,), (2, 2))


# Functions of one example, a scalar, a vector and a matrix, onto a vector: in Hesse, and in NumPy for a complex step ------------
def by_arithmetic(a, b, c):
    return hs.sin(a) * b + c[0] * b[1] * a


def of_arithmetic(a, b, c):
    return np.sin(a) * b + c[0] * b[1] * a


def by_matmul(a, b, c):
    return (c @ (c @ b)) * a + b @ c


def of_matmul(a, b, c):
    return (c @ (c @ b)) * a + b @ c


def by_take(a, b, c):
    """The index varies as a does."""
    return hs.take(c, hs.astype(a > 0.0, hs.int64), axis=0) * b + a * hs.take(b, hs.asarray([1, 1]))


def of_take(a, b, c):
    return c[int(a.real > 0.0)] * b + a * b[[1, 1]]


def by_where(a, b, c):
    return hs.where(b > a, b * b * c[0], a * c[1])


def of_where(a, b, c):
    return np.where(b.real > a.real, b * b * c[0], a * c[1])


def by_scan(a, b, c):
    last, ys = hs.scan(lambda s, row: (hs.sin(s) * a + row, s * row), b, c)
    return last + hs.sum(ys, axis=0)


def of_scan(a, b, c):
    s, total = b, 0.0
    for row in c:
        s, total = np.sin(s) * a + row, total + s * row
    return s + total


def by_cond(a, b, c):
    return hs.cond(a > 0.0, lambda v: c @ v, lambda v: hs.sin(v) * a, b)


def of_cond(a, b, c):
    return c @ b if a.real > 0.0 else np.sin(b) * a


def by_map(a, b, c):
    return hs.map(lambda row, v: hs.sin(row * v) * a, 2, [c, b], ["each", "uniform"], "sum")


def of_map(a, b, c):
    return sum(np.sin(row * b) * a for row in c)


BODIES = {k[3:]: (f, globals()["of_" + k[3:]]) for k, f in list(globals().items()) if k.startswith("by_")}


def nested(f, masks, sizes):
    """f under three vmaps; operand i varies with axis k where bit k of masks[i] is set."""
    for k in reversed(range(3)):
        axes = tuple(0 if mask >> k & 1 else None for mask in masks)
        inner = f
        if any(axis == 0 for axis in axes):
            f = hs.vmap(inner, in_axes=axes)
        else:  # none of them: the axis comes from an argument that is not read
            f = (
                lambda h, n: lambda *x: hs.vmap(lambda _, *x: h(*x), (0, *[None] * len(x)))(hs.zeros(n), *x)
            )(inner, sizes[k])
    return f


def one_example(f, xs):
    """Value of f, and its derivative by every entry of every operand: [entries, 2]."""
    y = f(*[x.astype(complex) for x in xs]).real
    slopes = []
    for i, x in enumerate(xs):
        for j in range(x.size):
            moved = [v.astype(complex) for v in xs]
            flat = moved[i].reshape(-1)
            flat[j] += 1e-30j
            moved[i] = flat.reshape(x.shape)
            slopes.append(f(*moved).imag / 1e-30)
    return y, np.array(slopes)


def check(name, masks, sizes, seed):
    body, plain = BODIES[name]
    rng = np.random.default_rng(seed)
    axes = [tuple(n if mask >> k & 1 else 1 for k, n in enumerate(sizes)) for mask in masks]
    given = [rng.standard_normal((*a, *feature)) for a, feature in zip(axes, FEATURES, strict=True)]
    moved = [rng.standard_normal(x.shape) for x in given]
    weights = rng.standard_normal((*sizes, 2))
    full = [np.broadcast_to(x, (*sizes, *x.shape[3:])) for x in given]
    along = [np.broadcast_to(x, (*sizes, *x.shape[3:])) for x in moved]
    value, tangent = np.zeros((*sizes, 2)), np.zeros((*sizes, 2))
    grads = [np.zeros((*sizes, *feature)) for feature in FEATURES]
    for at in np.ndindex(sizes):
        value[at], slopes = one_example(plain, [x[at] for x in full])
        tangent[at] = np.concatenate([np.ravel(x[at]) for x in along]) @ slopes
        parts = np.split(slopes @ weights[at], np.cumsum([1, 2]))
        for g, part in zip(grads, parts, strict=True):
            g[at] = part.reshape(g[at].shape)

    def squeezed(x, mask):
        return x.reshape([n for k, n in enumerate(sizes) if mask >> k & 1] + list(x.shape[3:]))

    def reduced(g, mask):
        return g.sum(axis=tuple(k for k in range(3) if not mask >> k & 1))

    f = nested(body, masks, sizes)
    args = tuple(hs.asarray(squeezed(x, m)) for x, m in zip(given, masks, strict=True))
    directions = tuple(hs.asarray(squeezed(x, m)) for x, m in zip(moved, masks, strict=True))
    y, dy = hs.jvp(f, args, directions)
    loss = lambda *x: hs.sum(f(*x) * weights)
    results = hs.grad(loss, argnums=(0, 1, 2))(*args)
    compiled = (
        hs.compile(lambda *x: hs.grad(loss, argnums=(0, 1, 2))(*x))(*args) if seed % 8 == 0 else results
    )
    for actual, expected in (
        (f(*args), value),
        (y, value),
        (dy, tangent),
        *zip(results, map(reduced, grads, masks), strict=True),
        *zip(compiled, map(reduced, grads, masks), strict=True),
    ):
        a = numpy_of(actual)
        assert a.shape == expected.shape
        np.testing.assert_allclose(a, expected, rtol=1e-11, atol=1e-11)


def check_all(name, subsets, sizes):
    cases = Cases()
    for seed, masks in enumerate(subsets):
        with cases.case(f"{name}, subsets {masks}, sizes {sizes}"):
            check(name, masks, sizes, seed)
    cases.finish()


SUBSETS = list(itertools.product(range(8), repeat=3))
EVERY = pytest.mark.parametrize("name", BODIES)


@EVERY
def test_subsets_of_axes(name):
    """A tenth of the 512 choices, each subset for each operand among them."""
    some = SUBSETS[::11][:47]
    assert all({s[i] for s in some} == set(range(8)) for i in range(3))
    check_all(name, some, (2, 3, 2))


@EVERY
@pytest.mark.parametrize("sizes", [(1, 1, 1), (0, 2, 1), (1, 3, 0), (2, 0, 2), (1, 2, 9)], ids=str)
def test_axes_of_few_examples(name, sizes):
    check_all(name, [(7, 7, 7), (1, 2, 4), (0, 5, 2), (6, 1, 0), (0, 0, 7), (0, 0, 0)], sizes)


@pytest.mark.full
@EVERY
@pytest.mark.parametrize("sizes", [(2, 3, 2), (3, 1, 2)], ids=str)
def test_every_subset_of_axes(name, sizes):
    check_all(name, SUBSETS, sizes)
