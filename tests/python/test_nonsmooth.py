"""The tables of docs/derivatives.md: derivatives where functions are not smooth, and of complex numbers."""

from __future__ import annotations

import numpy as np
import pytest

import hesse as hs

INF, NAN = np.inf, np.nan
KNOTS = hs.asarray([0.0, 1.0, 2.0])


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
        ("leaky_relu", lambda x: hs.nn.leaky_relu(x, 0.125), [0.0], [0.125]),
        ("elu", lambda x: hs.nn.elu(x, 3.0), [0.0], [3]),
        ("hypot", lambda x: hs.hypot(x[0], x[1]), [0.0, 0.0], [0, 0]),
        ("cbrt", hs.cbrt, [0.0], [INF]),
        ("sqrt of -0", hs.sqrt, [-0.0], [-INF]),
        ("atan2", lambda x: hs.atan2(x[0], x[1]), [0.0, 0.0], [NAN, NAN]),
        ("copysign", lambda x: hs.copysign(2.0, x), [0.0, -1.0], [0, 0]),
        ("remainder", lambda x: hs.remainder(x, 2.0), [4.0, 5.0], [1, 1]),
        ("remainder, divisor", lambda y: hs.remainder(4.0, y), [2.0], [-2]),
        ("fmod", lambda x: hs.fmod(x, 2.0), [4.0, -4.0], [1, 1]),
        ("fmod, divisor", lambda y: hs.fmod(-5.0, y), [2.0], [2]),
        ("floor_divide", lambda x: hs.floor_divide(x, 2.0), [4.0], [0]),
        ("exponent 0", lambda x: hs.pow(x, 0.0), [0.0], [0]),
        ("exponent 1", lambda x: hs.pow(x, 1.0), [0.0], [1]),
        ("exponent 0.5", lambda x: hs.pow(x, 0.5), [0.0], [INF]),
        ("exponent of a negative number", lambda y: hs.pow(-1.0, y), [2.0], [NAN]),
        ("bounds of clip", lambda b: hs.clip(hs.asarray([-1.0, 0.0]), b[0], 1.0), [0.0], [1]),
        ("max, NaN", lambda x: hs.maximum(x, NAN), [1.0], [0]),
        ("Frobenius norm", lambda x: hs.linalg.matrix_norm(hs.reshape(x, (2, 2))), [0.0] * 4, [0] * 4),
        ("largest modulus", lambda x: hs.linalg.norm(x, ord=INF), [1.0, 1.0], [0.5, 0.5]),
        ("max_pool", lambda x: hs.max_pool(x[None, None], 2), [1.0, 1.0], [1, 0]),
        ("topk", lambda x: hs.topk(x, 1)[0], [2.0, 2.0, 1.0], [1, 0, 0]),
        ("prod, a zero", hs.prod, [0.0, 2.0, 3.0], [6, 0, 0]),
        ("cumprod, a zero", hs.cumprod, [0.0, 2.0, 3.0], [9, 0, 0]),
        ("interp, a knot", lambda x: hs.interp(x, KNOTS, KNOTS * KNOTS), [0.0, 1.0, 2.0, 3.0], [1, 3, 0, 0]),
        ("std, equal entries", hs.std, [1.0, 1.0], [NAN, NAN]),
        pytest.param(
            "global_norm",
            lambda x: hs.optim.global_norm([x]),
            [0.0, 0.0],
            [0, 0],
        ),
        ("det, singular", lambda x: hs.linalg.det(hs.reshape(x, (2, 2))), [1.0, 0, 0, 0], [0, 0, 0, 1]),
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


def test_the_angle_of_zero_has_no_derivative():
    assert np.isnan(complex(hs.grad(hs.angle)(0j)))


def test_the_modulus_of_a_complex_number_has_derivative_zero_at_zero():
    assert complex(hs.grad(hs.abs)(0j)) == 0.0


def test_vectors_of_repeated_eigenvalues_have_no_derivative():
    gradient = hs.grad(lambda a: hs.linalg.eigh(a).eigenvectors[0, 0])(hs.eye(2))
    assert np.isnan(np.asarray(gradient)).all()
    gradient = hs.grad(lambda a: hs.linalg.svd(a).U[0, 0])(hs.eye(2))
    assert np.isnan(np.asarray(gradient)).all()


def test_sums_over_repeated_eigenvalues_have_a_first_derivative():
    gradient = hs.grad(lambda a: hs.sum(hs.linalg.eigvalsh(a) ** 2))(hs.eye(2))
    np.testing.assert_allclose(gradient, 2.0 * np.eye(2))


def test_the_last_of_equal_indices_has_the_cotangent_of_at_set():
    last = hs.grad(lambda y: hs.sum(hs.zeros(2).at[hs.asarray([0, 0])].set(y)))(hs.asarray([5.0, 6.0]))
    assert last.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("x", [True, 3])
def test_grad_refuses_what_has_no_tangent(x):
    for value in (x, hs.asarray(x)):
        with pytest.raises(TypeError, match="derivatives need floating or complex arguments"):
            hs.grad(lambda x: x * 1.0)(value)
    with pytest.raises(TypeError, match="dtype key"):
        hs.grad(hs.random.normal)(hs.random.key(0))


def test_integer_outputs_have_no_derivative():
    x = hs.asarray([1.0, 2.0])
    assert hs.jvp(hs.argmax, (x,), (x,))[1] is None
    with pytest.raises(TypeError, match="int64"):
        hs.grad(hs.argmax)(x)
    with pytest.raises(TypeError, match="int64"):
        hs.jacobian(hs.argmax)(x)


def test_shapes_that_depend_on_values_are_refused_under_a_trace():
    x = hs.asarray([1.0, 2.0])
    for f in (hs.nonzero, hs.unique_values, lambda x: x[x > 1.0]):
        f(x)
        with pytest.raises(TypeError, match="the shape of the result would depend on its values"):
            hs.compile(f)(x)


def test_complex_input_is_refused_where_the_mathematics_is_real():
    for f in (hs.erf, hs.lgamma, hs.sort, hs.maximum, hs.floor):
        with pytest.raises(TypeError, match="complex"):
            f(*(2 * [hs.asarray([1.0j])] if f is hs.maximum else [hs.asarray([1.0j])]))
