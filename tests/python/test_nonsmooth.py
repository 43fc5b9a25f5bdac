"""The tables of docs/derivatives.md: derivatives where functions are not smooth, and of complex numbers."""

from __future__ import annotations

import numpy as np
import pytest

import hesse as hs

INF = np.inf


def total(f):
    return lambda x: hs.sum(f(x))


@pytest.mark.parametrize("way", ["reverse", "forward", "compiled"])
@pytest.mark.parametrize(
    "name, f, x, expected",
    [
        ("abs", hs.abs, [0.0, -0.0], [0, 0]),
        ("sign", hs.sign, [0.0, 2.0], [0, 0]),
        ("floor", hs.floor, [1.0, 1.5], [0, 0]),
        ("ceil", hs.ceil, [1.0, 1.5], [0, 0]),
        ("trunc", hs.trunc, [1.0, 1.5], [0, 0]),
        ("round", hs.round, [1.0, 1.5], [0, 0]),
        ("maximum", lambda x: hs.maximum(x, 1.0), [1.0, 0.0, 2.0], [0.5, 0, 1]),
        ("minimum", lambda x: hs.minimum(x, 1.0), [1.0, 0.0, 2.0], [0.5, 1, 0]),
        ("max", lambda x: hs.max(x), [3.0, 1.0, 3.0, 3.0], [1 / 3, 0, 1 / 3, 1 / 3]),
        ("min", lambda x: hs.min(x), [1.0, 1.0, 3.0], [0.5, 0.5, 0]),
        ("where, chosen", lambda x: hs.where(x > 0.0, hs.exp(x), 0.0), [1000.0], [INF]),
        ("where, not chosen", lambda x: hs.where(x > 0.0, hs.exp(-x), 0.0), [-1.0], [0]),
        ("clip", lambda x: hs.clip(x, 0.0, 1.0), [0.0, 1.0, 0.5, -1.0, 2.0], [1, 1, 1, 0, 0]),
        ("sqrt", hs.sqrt, [0.0], [INF]),
        ("norm", lambda x: hs.linalg.vector_norm(x), [0.0, 0.0], [0, 0]),
        ("square", lambda x: x**2, [0.0, 3.0], [0, 6]),
        ("cube", lambda x: x**3, [0.0, 2.0], [0, 12]),
        ("exponent of 0", lambda y: hs.pow(0.0, y), [1.0, 2.5], [0, 0]),
        ("relu", hs.nn.relu, [0.0, 1.0, -1.0], [0, 1, 0]),
        ("sort", lambda x: hs.sort(x) * hs.asarray([1.0, 2.0, 3.0]), [5.0, 5.0, 1.0], [2, 3, 1]),
        (
            "segment_max",
            lambda x: hs.segment_max(x, hs.asarray([0, 0, 1]), num_segments=2),
            [2.0, 2.0, 1.0],
            [0.5, 0.5, 1],
        ),
        (
            "double where",
            lambda x: hs.where(x > 0.0, hs.sqrt(hs.where(x > 0.0, x, 1.0)), 0.0),
            [0.0, 4.0],
            [0, 0.25],
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_points_that_are_not_smooth(name, f, x, expected, way):
    x = hs.asarray(x)
    if way == "forward":
        got = [float(hs.jvp(total(f), (x,), (e,))[1]) for e in hs.eye(x.shape[0])]
    else:
        grad = hs.grad(total(f))
        got = np.asarray((hs.compile(grad) if way == "compiled" else grad)(x))
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_where_alone_gives_nan_for_the_root():
    """Why the docs show the double `where`."""
    assert np.isnan(float(hs.grad(lambda x: hs.where(x > 0.0, hs.sqrt(x), 0.0))(0.0)))


def test_eigenvalues_that_repeat_have_the_derivative_of_the_diagonal():
    a = hs.eye(3)
    direction = np.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]])
    values = lambda a: hs.linalg.eigh(a)[0]
    np.testing.assert_allclose(hs.sum(hs.jvp(values, (a,), (hs.asarray(direction),))[1]), 6.0)


def test_complex_gradient_is_that_of_jax():
    """f = Re(z)^2 + 3 Im(z): df/dx - i df/dy = 2 x - 3 i."""
    f = lambda z: hs.real(z) ** 2 + 3.0 * hs.imag(z)
    assert complex(hs.grad(f)(hs.asarray(2.0 + 1.0j))) == 4.0 - 3.0j
    # descent follows the conjugate
    z = hs.asarray(2.0 + 1.0j)
    assert float(f(z - 0.01 * hs.conj(hs.grad(f)(z)))) < float(f(z))


def test_complex_pairing_has_no_conjugate():
    f = lambda z: z * z * (1.0 + 2.0j)
    z, u, v = hs.asarray(0.3 - 0.7j), hs.asarray(1.1 + 0.4j), hs.asarray(-0.2 + 0.9j)
    forward = complex(v * hs.jvp(f, (z,), (u,))[1]).real
    backward = complex(hs.vjp(f, z)[1](v)[0] * u).real
    assert forward == pytest.approx(backward, rel=1e-14)


def test_integers_have_no_gradients():
    with pytest.raises(TypeError, match="grad"):
        hs.grad(lambda n: n * 1.0)(hs.asarray(3))
    g = hs.grad(lambda t: t["x"] * t["n"])({"x": hs.asarray(2.0), "n": hs.asarray(3)})
    assert g["n"] is None and float(g["x"]) == 3.0
