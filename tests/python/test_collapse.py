"""Combinations of derivatives pass through a network as one: fewer products, the same values."""

import numpy as np
import pytest

import hesse as hs

RNG = np.random.default_rng(7)
NU = 0.01 / np.pi


def network(widths, dtype="float64"):
    return [
        (
            hs.asarray((RNG.normal(size=(a, b)) / np.sqrt(a)).astype(dtype)),
            hs.asarray(RNG.normal(size=b).astype(dtype)),
        )
        for a, b in zip(widths[:-1], widths[1:], strict=True)
    ]


def dense(layers, z):
    for w, b in layers[:-1]:
        z = hs.tanh(z @ w + b)
    w, b = layers[-1]
    return (z @ w + b)[0]


def burgers(layers, z):
    u = lambda t, x: dense(layers, hs.stack([t, x]))
    u0, u_t, u_x, u_xx = hs.partials(u, (z[0], z[1]), ["", "t", "x", "xx"])
    return u_t + u0 * u_x - NU * u_xx


def laplacian(layers, z):
    """By second derivatives along every axis, as they are written down."""
    d = z.shape[0]
    total = 0.0
    for i in range(d):
        e = hs.asarray(np.eye(d)[i].astype(str(z.dtype)))
        along = lambda x, e=e: hs.jvp(lambda x: dense(layers, x), (x,), (e,))[1]
        total = total + hs.jvp(along, (z,), (e,))[1]
    return total


def mean_square(f):
    return lambda layers, z: hs.mean(hs.vmap(f, (None, 0))(layers, z) ** 2)


def test_burgers_takes_three_streams():
    """u, u_x and u_t - nu u_xx, forwards, backwards and for the weights: nine products a layer, and not twelve."""
    deep, z = network([2, 20, 20, 20, 20, 20, 20, 1]), hs.asarray(RNG.normal(size=(50, 2)))
    shallow = network([2, 20, 20, 1])
    gradient = hs.value_and_grad(mean_square(burgers))
    count = lambda layers: hs.compile(gradient).program(layers, z).count("matmul")
    assert (count(deep) - count(shallow)) / 4 == 9


def test_a_laplacian_written_down_is_a_forward_laplacian():
    """d + 2 streams: the value, d first derivatives and their sum of second ones."""
    z = hs.asarray(RNG.normal(size=(50, 5)))
    f = hs.vmap(laplacian, (None, 0))
    count = lambda widths: hs.compile(f).program(network(widths), z).count("matmul")
    assert count([5, 20, 20, 20, 1]) - count([5, 20, 20, 1]) == 5 + 2


@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-12), ("float32", 2e-4)])
@pytest.mark.parametrize("operator, d", [(burgers, 2), (laplacian, 4)])
def test_values_and_gradients_are_those_of_the_function(operator, d, dtype, rtol):
    layers = network([d, 16, 16, 16, 1], dtype)
    z = hs.asarray(RNG.normal(size=(37, d)).astype(dtype))
    loss = mean_square(operator)
    gradient = hs.value_and_grad(loss)
    expected = hs.tree_leaves(gradient(layers, z))  # eager: nothing is collapsed
    for y, e in zip(hs.tree_leaves(hs.compile(gradient)(layers, z)), expected, strict=True):
        assert y.dtype == e.dtype
        np.testing.assert_allclose(
            np.asarray(y), np.asarray(e), rtol=rtol, atol=rtol * np.abs(np.asarray(e)).max()
        )


def test_second_derivatives_of_the_loss():
    layers, z = network([2, 8, 8, 1]), hs.asarray(RNG.normal(size=(9, 2)))
    direction = hs.tree_map(lambda a: hs.sin(a), layers)
    product = lambda layers: hs.jvp(hs.grad(lambda p: mean_square(burgers)(p, z)), (layers,), (direction,))[1]
    for y, e in zip(
        hs.tree_leaves(hs.compile(product)(layers)), hs.tree_leaves(product(layers)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(y), np.asarray(e), rtol=1e-11, atol=1e-11)


def test_what_is_also_needed_alone_stays():
    """The parts are given out beside their combination: there is nothing to save."""
    layers, z = network([2, 20, 20, 20, 1]), hs.asarray(RNG.normal(size=(50, 2)))

    def parts(layers, z):
        u = lambda t, x: dense(layers, hs.stack([t, x]))
        _, u_t, u_xx = hs.partials(u, (z[0], z[1]), ["", "t", "xx"])
        return u_t - NU * u_xx, u_t, u_xx

    f = hs.vmap(parts, (None, 0))
    combined, u_t, u_xx = hs.compile(f)(layers, z)
    np.testing.assert_allclose(np.asarray(combined), np.asarray(u_t) - NU * np.asarray(u_xx), rtol=1e-13)
    for y, e in zip(hs.compile(f)(layers, z), f(layers, z), strict=True):
        np.testing.assert_allclose(np.asarray(y), np.asarray(e), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("a, b", [(1e30, 1e-30), (1e200, -1e200), (0.0, 2.0), (np.inf, 1.0), (np.nan, 1.0)])
def test_scales_of_any_size(a, b):
    """Extreme factors stay where they are: what did not overflow still does not, and what did does."""
    w = hs.asarray(RNG.normal(size=(6, 6)))
    x = hs.asarray(RNG.normal(size=(20, 6)) * 1e100)

    def f(x):
        y = a * (w @ (b * x)) + b * (w @ hs.sin(x))
        return y - w @ (a * hs.cos(x))

    eager, compiled = np.asarray(hs.vmap(f)(x)), np.asarray(hs.compile(hs.vmap(f))(x))
    np.testing.assert_array_equal(np.isfinite(compiled), np.isfinite(eager))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(
            compiled, eager, rtol=1e-9, atol=np.nanmax(np.abs(np.where(np.isfinite(eager), eager, 0))) * 1e-13
        )


def test_two_evaluations_that_meet_in_sums_are_one():
    """A bias gets a cotangent from each evaluation; added up inside the map, they too pass through as one."""

    def dense_rows(layers, z):
        for w, b in layers[:-1]:
            z = hs.tanh(z @ w + b)
        w, b = layers[-1]
        return (z @ w + b)[:, 0]

    def residual(layers, z):
        t, x = z[:, 0], z[:, 1]
        u = lambda t, x: dense_rows(layers, hs.stack([t, x], axis=1))
        ones = hs.ones_like(x)
        (u0, u_x), (_, u_xx) = hs.jvp(lambda x: hs.jvp(lambda x: u(t, x), (x,), (ones,)), (x,), (ones,))
        return hs.jvp(lambda t: u(t, x), (t,), (ones,))[1] + u0 * u_x - NU * u_xx

    gradient = hs.value_and_grad(lambda layers, z: hs.mean(residual(layers, z) ** 2))
    z = hs.asarray(RNG.normal(size=(5000, 2)))
    count = lambda layers: hs.compile(gradient).program(layers, z).count("matmul")
    deep, shallow = network([2, 20, 20, 20, 20, 20, 20, 1]), network([2, 20, 20, 1])
    assert (count(deep) - count(shallow)) / 4 == 9
    by_point = hs.value_and_grad(mean_square(burgers))
    for y, e in zip(
        hs.tree_leaves(hs.compile(gradient)(deep, z)), hs.tree_leaves(by_point(deep, z)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(y), np.asarray(e), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-3, 1e-9, 3.0, -0.25, 2.0**-30])
def test_factors_move_through_layers(scale):
    """u_t + c u_xx: c stands once, and not in every layer; the values are those of the function for any c."""
    layers, z = network([2, 12, 12, 12, 12, 1]), hs.asarray(RNG.normal(size=(40, 2)))

    def residual(layers, z):
        u = lambda t, x: dense(layers, hs.stack([t, x]))
        u_t, u_xx = hs.partials(u, (z[0], z[1]), ["t", "xx"])
        return u_t + scale * u_xx

    gradient = hs.value_and_grad(mean_square(residual))
    for y, e in zip(
        hs.tree_leaves(hs.compile(gradient)(layers, z)), hs.tree_leaves(gradient(layers, z)), strict=True
    ):
        y, e = np.asarray(y), np.asarray(e)
        np.testing.assert_allclose(y, e, rtol=1e-10, atol=1e-11 * np.abs(e).max())


def test_a_factor_costs_no_operation_per_layer():
    def count(scale, depth):
        def residual(layers, z):
            u = lambda t, x: dense(layers, hs.stack([t, x]))
            u_t, u_xx = hs.partials(u, (z[0], z[1]), ["t", "xx"])
            return u_t + scale * u_xx

        layers, z = network([2] + [12] * depth + [1]), hs.asarray(RNG.normal(size=(40, 2)))
        return hs.compile(hs.value_and_grad(mean_square(residual))).program(layers, z).count("multiply")

    # With a factor that is no power of two as many multiplications per layer as with one.
    assert count(0.3, 6) - count(0.3, 4) == count(0.5, 6) - count(0.5, 4)


@pytest.mark.parametrize("n", [40, 3000])
def test_sums_of_one_map_in_every_combination(n):
    """Added, subtracted, added twice, read elsewhere too: only what nothing else reads moves inside."""
    w, x = hs.asarray(RNG.normal(size=(5, 5))), hs.asarray(RNG.normal(size=(n, 5)))

    def f(w, x):
        h = hs.tanh(x @ w)
        a, b, c, d = (hs.sum(g(h), axis=0) for g in (hs.sin, hs.cos, hs.exp, hs.square))
        m = hs.sum(h[:, :, None] * x[:, None, :], axis=0)
        return (a - b) + (c - d), a + a, (b + m[0]) - 2.0 * c, hs.sum(h * x, axis=0) - d, m + hs.outer(a, c)

    for g in (f, lambda w, x: hs.grad(lambda w: sum(hs.sum(y**2) for y in f(w, x)))(w)):
        got, expected = hs.tree_leaves(hs.compile(g)(w, x)), hs.tree_leaves(g(w, x))
        for y, e in zip(got, expected, strict=True):
            y, e = np.asarray(y), np.asarray(e)
            np.testing.assert_allclose(y, e, rtol=1e-11, atol=1e-11 * np.abs(e).max())
