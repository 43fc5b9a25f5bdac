"""What is not built: equations of derivatives counted after merging, against what one would write by hand."""

from __future__ import annotations

import numpy as np
import pytest

import hesse as hs

RNG = np.random.default_rng(3)
SIZES = [1, 8, 8, 8, 1]
WEIGHTS = [hs.asarray(RNG.standard_normal((n, m))) for m, n in zip(SIZES[:-1], SIZES[1:], strict=True)]
BIASES = [hs.asarray(RNG.standard_normal(n)) for n in SIZES[1:]]


def mlp(x):
    h = hs.reshape(x, (1,))
    for k, (w, b) in enumerate(zip(WEIGHTS, BIASES, strict=True)):
        h = w @ h + b
        if k < len(WEIGHTS) - 1:
            h = hs.tanh(h)
    return h[0]


def derivative(f):
    return lambda x: hs.jvp(f, (x,), (hs.ones_like(x),))[1]


def taylor_by_hand(x):
    """The third derivative of the network: every layer carries (h, h1, h2, h3) as one would write it out."""
    h = [hs.reshape(x, (1,)), hs.ones((1,)), None, None]
    for k, (w, b) in enumerate(zip(WEIGHTS, BIASES, strict=True)):
        h = [None if c is None else w @ c for c in h]
        h[0] = h[0] + b
        if k == len(WEIGHTS) - 1:
            break
        y = hs.tanh(h[0])
        s1 = 1.0 - y * y  # tanh'
        s2 = -2.0 * y * s1  # tanh''
        s3 = -2.0 * (s1 * s1 + y * s2)  # tanh'''
        a, b2, c3 = h[1], h[2], h[3]
        y1 = s1 * a
        y2 = s2 * (a * a) + (0.0 if b2 is None else s1 * b2)
        y3 = (
            s3 * (a * a * a) + (0.0 if b2 is None else 3.0 * s2 * (a * b2)) + (0.0 if c3 is None else s1 * c3)
        )
        h = [y, y1, y2, y3]
    return h[3][0]


def test_third_derivative_of_a_network_is_taylor_mode():
    """Nested forward mode merges to Taylor mode: at most twice the equations of the formulas written out."""
    x = hs.asarray(0.3)
    nested = derivative(derivative(derivative(mlp)))
    assert float(nested(x)) == pytest.approx(float(taylor_by_hand(x)), rel=1e-10)
    graph = hs.make_graph(nested, x)
    by_hand = hs.make_graph(taylor_by_hand, x)
    assert graph.count("tanh") == len(WEIGHTS) - 1
    assert graph.count() <= 2 * by_hand.count(), (
        f"{graph.count()} equations, by hand {by_hand.count()}:\n{graph}"
    )


def test_products_of_nested_forward_mode():
    """Four matrix products per hidden layer for order three: the value and three coefficients."""
    graph = hs.make_graph(derivative(derivative(derivative(mlp))), hs.asarray(0.3))
    products = graph.count("matmul")
    assert products <= 4 * len(WEIGHTS), f"{products} products:\n{graph}"


@pytest.mark.parametrize("name", ["exp", "tanh", "mul", "div", "pow", "erf", "lgamma"])
def test_taylor_costs_at_most_quadratically_many_equations(name):
    """Order k of one op costs at most c k^2 equations up to k = 8 (lgamma: polygammas of its own order besides)."""
    f = {
        "exp": hs.exp, "tanh": hs.tanh, "mul": lambda x: hs.sin(x) * hs.cos(x), "div": lambda x: hs.sin(x) / hs.exp(x),
        "pow": lambda x: hs.pow(x, 2.7), "erf": hs.erf, "lgamma": hs.lgamma,
    }[name]  # fmt: skip
    counts = {
        k: hs.make_graph(lambda x, k=k: hs.taylor(f, x, [1.0] + [None] * (k - 1))[k], hs.asarray(0.7)).count()
        for k in (2, 4, 8)
    }
    assert counts[8] <= 8 * 64, f"equations by order: {counts}"
    assert counts[8] <= 6 * counts[4], f"equations by order: {counts}"


def test_equal_equations_are_merged():
    graph = hs.make_graph(lambda x: hs.sin(x) * 2.0 + hs.sin(x) * 2.0, hs.asarray(1.0))
    assert graph.count("sin") == 1


def test_dead_equations_are_dropped():
    def f(x):
        hs.exp(x)
        return hs.sin(x)

    assert hs.make_graph(f, hs.asarray(1.0)).count() == 1


def test_the_primal_runs_once_under_grad():
    graph = hs.make_graph(hs.grad(lambda x: hs.sum(hs.tanh(x))), hs.ones((3,)))
    assert graph.count("tanh") == 1


def test_nothing_is_built_for_what_has_no_tangent():
    """The derivative by one argument does not touch what depends on the other only."""
    f = lambda x, y: hs.sin(x) + hs.exp(hs.cos(y))
    graph = hs.make_graph(lambda x, y: hs.grad(lambda a: f(a, y))(x), hs.asarray(1.0), hs.asarray(2.0))
    assert graph.count("exp") == 0
    assert graph.count("cos") == 1  # that of sin'


def test_no_zeros_are_made_for_missing_cotangents():
    f = lambda x: hs.sum(hs.split(x, 4)[1] * 2.0)
    graph = hs.make_graph(hs.grad(f), hs.ones((8,)))
    assert graph.count("add") == 0, graph


def test_linear_functions_are_not_evaluated_again_by_their_derivative():
    w = hs.asarray(RNG.standard_normal((4, 4)))
    graph = hs.make_graph(lambda v: hs.jvp(lambda x: w @ x, (hs.ones((4,)),), (v,))[1], hs.ones((4,)))
    assert graph.count("matmul") == 1


def test_forward_laplacian_is_linear_in_the_dimension():
    """The Laplacian of a network needs one product with the weights per layer for all directions together, not one per pair."""
    w1, w2 = (hs.asarray(RNG.standard_normal(s)) for s in ((8, 5), (8, 8)))
    f = lambda x: hs.sum(hs.tanh(w2 @ hs.tanh(w1 @ x)))
    graph = hs.make_graph(lambda x: hs.laplacian(f, x)[1], hs.ones((5,)))
    hessian = hs.make_graph(lambda x: hs.trace(hs.hessian(f)(x)), hs.ones((5,)))
    assert graph.count() <= 2 * hessian.count()
    assert graph.count("tanh") == 2


def test_partials_share_their_work():
    """u, u_t, u_x, u_xx in one pass: one tanh per layer."""

    def u(t, x):
        h = hs.stack([t, x])
        for w in (hs.ones((8, 2)), hs.ones((8, 8))):
            h = hs.tanh(w @ h)
        return hs.sum(h)

    graph = hs.make_graph(
        lambda t, x: hs.partials(u, (t, x), ["", "t", "x", "xx"]), hs.asarray(0.1), hs.asarray(0.2)
    )
    assert graph.count("tanh") == 2, graph
    assert graph.count("matmul") <= 8, graph


def test_the_laplacian_is_a_forward_laplacian():
    """Directions carry first derivatives only; one more stream carries the sum of the second ones, whatever the dimension."""
    d, widths = 6, (8, 8)
    sizes = [d, *widths, 1]
    ws = [hs.asarray(RNG.standard_normal((n, m))) for m, n in zip(sizes[:-1], sizes[1:], strict=True)]

    def net(x):
        h = x
        for k, w in enumerate(ws):
            h = w @ h
            if k < len(ws) - 1:
                h = hs.tanh(h)
        return h[0]

    def laplacian(x):
        return hs.laplacian(net, x)[1]

    graph = hs.make_graph(lambda xs: hs.vmap(laplacian)(xs), hs.ones((5, d)))
    hidden = len(widths)
    # value; first derivatives, inside the map over directions; second ones, from the second layer on
    assert graph.count("matmul") == hidden + hidden + (len(ws) - 1), graph
    x = RNG.standard_normal(d)
    expected = np.trace(np.asarray(hs.hessian(net)(hs.asarray(x))))
    assert float(laplacian(hs.asarray(x))) == pytest.approx(expected, rel=1e-12)
