"""Named compositions: derivatives and vmap inside and around every kind of sub-graph, with closures over live arrays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from expect_derivatives import expect_derivatives
from hs_tools import numpy_of

import hesse as hs

RNG = np.random.default_rng(5)
W = RNG.standard_normal((3, 3)) * 0.5
X = RNG.standard_normal((4, 3))
V = RNG.standard_normal(3)
EDGES = np.array([0, 2, 1, 3, 3, 0]), np.array([1, 1, 0, 3, 2, 2])


def same(actual, expected, tol=1e-11):
    a, e = numpy_of(actual), numpy_of(expected)
    assert a.shape == e.shape
    np.testing.assert_allclose(a, e, rtol=tol, atol=tol * max(1.0, np.abs(e).max() if e.size else 0.0))


def results(y):
    return y if isinstance(y, tuple) else (y,)


# Sub-graphs as functions of (x [3], w [3, 3]): w is captured by their bodies ------------------------------------------------
def by_vmap(x, w):
    return hs.vmap(lambda s: hs.tanh(w @ (x * s)))(hs.asarray(X[:, 0]))


def by_map_gather(x, w):
    """Messages along edges: gathered rows, a uniform operand, captured weights, summed at the targets."""
    nodes = hs.outer(hs.asarray(X[:, 0]), x)
    return hs.map(
        lambda a, b, u: hs.tanh(w @ a) * b + u, 6, [nodes, nodes, x], [("gather", 0), ("gather", 1), "uniform"],
        ("segment_sum", 1, 4), EDGES,
    )  # fmt: skip


def by_map_sum(x, w):
    return hs.map(lambda a, u: hs.sin(w @ a) * u, 4, [hs.asarray(X), x], ["each", "uniform"], "sum")


def by_map_mixed(x, w):
    return hs.map(lambda a, u: (hs.sin(w @ a) * u, hs.sum(a * u), a * u * u), 4, [hs.asarray(X), x], ["each", "uniform"],
                  ["each", "sum", ("segment_sum", 0, 3)], [np.array([0, 2, 0, 2])])  # fmt: skip


def by_scan(x, w):
    carry, ys = hs.scan(lambda c, s: (hs.tanh(w @ c + s * x), c * x), x, hs.asarray(X[:, 1]))
    return carry, ys


def by_scan_reverse(x, w):
    return hs.scan(lambda c, row: (hs.tanh(w @ c + row), hs.sum(c * x)), x, hs.asarray(X), reverse=True)


def by_while(x, w):
    return hs.while_loop(lambda c: hs.sum(c * c) > 0.05, lambda c: 0.6 * hs.tanh(w @ c + 0.1 * x), x)


def by_fori(x, w):
    return hs.fori_loop(1, 5, lambda i, c: hs.sin(w @ c) * x + c / i, x)


def by_cond(x, w):
    return hs.cond(hs.sum(x) > -100.0, lambda v: hs.tanh(w @ v) * x, lambda v: v, x * 2.0)


def by_cond_untaken(x, w):
    return hs.cond(hs.sum(x) > 100.0, lambda v: hs.tanh(w @ v), lambda v: hs.exp(hs.sin(w @ (v * x))), x)


def by_switch(x, w):
    return hs.switch(1, [lambda v: v, lambda v: hs.sin(w @ v) * x, lambda v: v * 2.0], x)


def by_checkpoint(x, w):
    return hs.checkpoint(lambda v: hs.tanh(w @ hs.sin(w @ v)) * x)(x * 1.5)


def custom_parts(hs):
    @hs.custom_jvp
    def f(x, w):
        return hs.sin(w @ x)

    @f.defjvp
    def rule(primals, tangents):
        (x, w), (dx, dw) = primals, tangents
        return f(x, w), hs.cos(w @ x) * (w @ dx + dw @ x)

    @hs.custom_vjp
    def g(x, w):
        return hs.sin(w @ x)

    def forward(x, w):
        return g(x, w), (x, w)

    def backward(residuals, ct):
        x, w = residuals
        c = ct * hs.cos(w @ x)
        return hs.matrix_transpose(w) @ c, hs.outer(c, x)

    g.defvjp(forward, backward)
    return f, g


def by_custom_jvp(x, w):
    return custom_parts(hs)[0](x * x, w) * x


def by_custom_vjp(x, w):
    return custom_parts(hs)[1](x * x, w) * x


def by_inner_grad(x, w):
    return hs.grad(lambda v: hs.sum(hs.tanh(w @ v) * x))(x * x)


def by_inner_jvp(x, w):
    return hs.jvp(lambda v: hs.tanh(w @ v) * x, (x * x,), (hs.sin(x),))[1]


def by_inner_hessian(x, w):
    return hs.hessian(lambda v: hs.sum(hs.tanh(w @ v) * x))(x) @ x


def by_inner_jacobian(x, w):
    return hs.jacobian(lambda v: hs.tanh(w @ v) * x)(x)


SUBGRAPHS = {k[3:]: f for k, f in globals().items() if k.startswith("by_")}
EVERY = pytest.mark.parametrize("f", SUBGRAPHS.values(), ids=SUBGRAPHS)


@EVERY
def test_derivatives_to_third_order(f):
    """Every mixture of modes, with respect to the operand and to what the body captures."""
    order = 2 if f in (by_inner_hessian, by_inner_jacobian) else 3
    expect_derivatives(f, V * 0.4, W, order=order, rtol=2e-6 if f is by_while else 1e-6, h=0.01)


@EVERY
def test_vmap_of_the_value_and_of_both_derivatives(f):
    """Mapped over the operand, over what is captured, and over both; n on both sides of a vector."""
    flat = lambda x, w: results(f(x, w))
    push = lambda x, w: hs.jvp(flat, (x, w), (hs.sin(x), hs.cos(w)))[1]

    def pull(x, w):
        y, back = hs.vjp(flat, x, w)
        return back(tuple(hs.cos(v) for v in y))

    for n in (1, 9):
        xs, ws = 0.4 * RNG.standard_normal((n, 3)), 0.4 * RNG.standard_normal((n, 3, 3))
        for g, (ax, aw) in itertools.product((flat, push, pull), [(0, None), (None, 0), (0, 0)]):
            args = (xs if ax == 0 else xs[0], ws if aw == 0 else ws[0])
            mapped = hs.vmap(g, in_axes=(ax, aw))(*map(hs.asarray, args))
            for i in range(n):
                one = g(hs.asarray(xs[i] if ax == 0 else xs[0]), hs.asarray(ws[i] if aw == 0 else ws[0]))
                for a, b in zip(mapped, one, strict=True):
                    same(a[i], b)


@EVERY
def test_derivatives_of_a_mapped_sum(f):
    """Reverse mode of a mean over examples, compiled or not, is the mean of the examples' gradients."""
    total = lambda x, w: sum((hs.sum(hs.sin(v)) for v in results(f(x, w))), 0.0)
    xs = 0.4 * RNG.standard_normal((5, 3))
    loss = lambda xs, w: hs.mean(hs.vmap(total, in_axes=(0, None))(xs, w))
    args = (hs.asarray(xs), hs.asarray(W))
    gx, gw = hs.grad(loss, argnums=(0, 1))(*args)
    each = [hs.grad(total, argnums=(0, 1))(hs.asarray(x), args[1]) for x in xs]
    same(gx, np.stack([numpy_of(g[0]) for g in each]) / 5)
    same(gw, sum(numpy_of(g[1]) for g in each) / 5)
    for a, b in zip(
        hs.compile(lambda xs, w: hs.grad(loss, argnums=(0, 1))(xs, w))(*args), (gx, gw), strict=True
    ):
        same(a, b)


@EVERY
def test_hessian_and_jacobian_agree_with_nested_modes(f):
    total = lambda x, w=hs.asarray(W): sum((hs.sum(hs.sin(v)) for v in results(f(x, w))), 0.0)
    x = hs.asarray(0.4 * V)
    h = numpy_of(hs.hessian(total)(x))
    same(h, h.T, 1e-9)
    same(hs.jacobian(hs.grad(total))(x), h, 1e-9)
    same(hs.jacfwd(hs.jacrev(total))(x), h, 1e-9)
    same(hs.jacrev(hs.jacfwd(total))(x), h, 1e-9)
    same(hs.hvp(total, x, hs.asarray(V)), h @ V, 1e-9)


@EVERY
def test_inside_scan_cond_and_checkpoint(f):
    """A sub-graph in the body of another keeps its value and its gradient."""
    one = lambda x, w: sum((hs.sum(v) for v in results(f(x, w))), 0.0)
    step = lambda x, w: x * 0.5 + 0.1 * hs.tanh(one(x, w))
    plain = lambda x, w: hs.sum(step(step(x, w), w))
    scanned = lambda x, w: hs.sum(hs.scan(lambda c, _: (step(c, w), None), x, None, 2)[0])
    branched = lambda x, w: hs.cond(x[0] > -50.0, lambda: plain(x, w), lambda: hs.sum(x))
    checked = lambda x, w: hs.sum(hs.checkpoint(lambda c, v: step(step(c, v), v))(x, w))
    counted = lambda x, w: hs.sum(
        hs.while_loop(lambda s: s[1] < 2, lambda s: (step(s[0], w), s[1] + 1), (x, 0))[0]
    )
    args = (hs.asarray(0.4 * V), hs.asarray(W))
    expected = hs.value_and_grad(plain, argnums=(0, 1))(*args)
    for g in (scanned, branched, checked, counted):
        value, grads = hs.value_and_grad(g, argnums=(0, 1))(*args)
        same(value, expected[0])
        for a, b in zip(grads, expected[1], strict=True):
            same(a, b)


# vmap, three deep --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("subset", list(itertools.product(range(8), repeat=2)), ids=str)
def test_three_deep_vmap(subset):
    """Two operands, each varying with every subset of three mapped axes: values and gradients."""
    sizes = (2, 3, 4)
    f = lambda a, b: hs.sin(a) * hs.sum(b * b) + a * b[0]

    def operand(mask, feature):
        axes = [n for k, n in enumerate(sizes) if mask >> k & 1]
        return RNG.standard_normal((*axes, *feature))

    a, b = operand(subset[0], ()), operand(subset[1], (2,))

    def full(x, mask, feature):
        shape = [n if mask >> k & 1 else 1 for k, n in enumerate(sizes)]
        return np.broadcast_to(x.reshape(*shape, *feature), (*sizes, *feature))

    g = f
    for k in reversed(range(3)):
        axes = tuple(0 if mask >> k & 1 else None for mask in subset)
        if axes == (None, None):
            g = (
                lambda h, n: (
                    lambda a, b: hs.vmap(lambda _, a, b: h(a, b), in_axes=(0, None, None))(hs.zeros(n), a, b)
                )
            )(g, sizes[k])
        else:
            g = hs.vmap(g, in_axes=axes)
    fa, fb = full(a, subset[0], ()), full(b, subset[1], (2,))
    same(g(hs.asarray(a), hs.asarray(b)), np.sin(fa) * np.sum(fb * fb, axis=-1) + fa * fb[..., 0])
    weights = RNG.standard_normal(sizes)
    da, db = hs.grad(lambda a, b: hs.sum(g(a, b) * weights), argnums=(0, 1))(hs.asarray(a), hs.asarray(b))
    ga = weights * (np.cos(fa) * np.sum(fb * fb, axis=-1) + fb[..., 0])
    gb = weights[..., None] * (2 * np.sin(fa)[..., None] * fb)
    gb[..., 0] += weights * fa

    def reduced(x, mask):
        return x.sum(axis=tuple(k for k in range(3) if not mask >> k & 1))

    same(da, reduced(ga, subset[0]))
    same(db, reduced(gb, subset[1]))


def test_vmap_axes_in_trees_and_out_axes():
    f = lambda p, x: {"y": p["w"] @ x + p["b"], "s": hs.sum(x)}
    w, b, xs = RNG.standard_normal((3, 3, 5)), RNG.standard_normal(3), RNG.standard_normal((3, 5))
    out = hs.vmap(f, in_axes=({"w": 2, "b": None}, -1), out_axes={"y": 1, "s": 0})(
        {"w": hs.asarray(w), "b": hs.asarray(b)}, hs.asarray(xs)
    )
    same(out["y"], np.stack([w[:, :, i] @ xs[:, i] + b for i in range(5)], axis=1))
    same(out["s"], xs.sum(axis=0))


# closures and value-dependent control flow ----------------------------------------------------------------------------------
def test_compiled_function_differentiated_by_what_it_captures():
    """A captured array that is being differentiated gives a right gradient, also when the program comes from the cache."""

    def loss(w):
        @hs.compile
        def f(x):
            return hs.sum(hs.tanh(w @ x))

        return f(hs.asarray(V)) + f(2.0 * hs.asarray(V))

    plain = lambda w: hs.sum(hs.tanh(w @ V)) + hs.sum(hs.tanh(w @ (2.0 * V)))
    for scale in (1.0, 0.5):
        w = hs.asarray(scale * W)
        same(hs.grad(loss)(w), hs.grad(plain)(w))


def test_compiled_function_called_again_with_another_captured_value():
    w = hs.asarray(W)

    class Model:
        def __init__(self, w):
            self.w = w

    holder = [w]

    @hs.compile
    def f(x):
        return holder[0] @ x

    same(f(V), W @ V)


def test_python_if_and_while_on_values_under_derivatives():
    def f(x):
        y = x
        while float(hs.sum(y)) < 50.0:
            y = y * y + x
        return 3.0 * y if float(y) > 100.0 else y

    expect_derivatives(f, np.array(1.7), rtol=1e-5, h=0.002)


def test_value_of_a_symbol_is_refused_with_the_remedy():
    with pytest.raises(hs.TraceError, match="where|cond"):
        hs.vmap(lambda x: x if x > 0 else -x)(hs.ones((3,)))


def test_a_symbol_that_outlives_its_trace_is_refused():
    kept = []
    hs.vmap(lambda x: kept.append(x) or x)(hs.ones((3,)))
    with pytest.raises(hs.TraceError):
        hs.sin(kept[0]) + 1.0


# long loops -------------------------------------------------------------------------------------------------------------------
def test_gradient_of_a_loop_of_100000_steps():
    n = 100_000
    x, dx = 0.3, 1.0
    for _ in range(n):
        dx -= 1e-5 * np.sin(x) * dx
        x += 1e-5 * np.cos(x)
    by_scan = lambda x: hs.scan(lambda c, _: (c + 1e-5 * hs.cos(c), None), x, None, n)[0]
    by_while = lambda x: hs.while_loop(
        lambda s: s[1] < n, lambda s: (s[0] + 1e-5 * hs.cos(s[0]), s[1] + 1), (x, 0)
    )[0]

    def by_python(x):
        for _ in range(n):
            x = x + 1e-5 * hs.cos(x)
        return x

    for f in (by_scan, by_while, by_python):
        assert float(hs.grad(f)(0.3)) == pytest.approx(dx, rel=1e-10)


@pytest.mark.parametrize("how", ["set", "add", "mul", "min", "max"])
def test_updates_in_a_loop_are_in_place(how):
    """10^5 updates of an array of 10^5, in every kind of loop: a copy at each would move 80 GB (of the others 1.3 GB)."""
    n = 100_000 if how == "set" else 13_000
    start, values = np.full(n, 2.0), np.linspace(-1.0, 5.0, n)
    update = lambda i, a, v: getattr(a.at[i], how)(v[i])
    loops = {
        "fori": lambda a, v: hs.fori_loop(0, n, lambda i, a: update(i, a, v), a),
        "while": lambda a, v: hs.while_loop(
            lambda s: s[0] < n, lambda s: (s[0] + 1, update(s[0], s[1], v)), (0, a)
        )[1],
        "scan": lambda a, v: hs.scan(lambda a, i: (update(i, a, v), None), a, hs.arange(n))[0],
        "compiled, in a branch": hs.compile(
            lambda a, v: hs.fori_loop(
                0, n, lambda i, a: hs.cond(i >= 0, lambda a: update(i, a, v), lambda a: a, a), a
            )
        ),
    }
    numpy = {"set": lambda a, b: b, "add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}
    a, v = hs.asarray(start), hs.asarray(values)
    for name, loop in loops.items():
        y = loop(a, v)
        np.testing.assert_array_equal(numpy_of(y), numpy[how](start, values), err_msg=name)
        np.testing.assert_array_equal(numpy_of(a), start, err_msg=f"{name}: what the caller holds")
        before = hs._hesse.allocated_bytes()
        loop(a, v)
        allocated = hs._hesse.allocated_bytes() - before
        assert allocated < 1000 * n, f"{name}: {allocated} bytes; a copy at each step is {8 * n * n}"


# perverse sizes -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "n", [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 127, 128, 129, 511, 512, 513, 1025]
)
def test_map_of_every_length(n):
    """Values, sums and gradients of maps whose length is around a vector and a tile."""
    xs, w = RNG.standard_normal((n, 3)), RNG.standard_normal((3, 3))
    index = np.array([(7 * i + 2) % 5 for i in range(n)], dtype=np.int64)
    table = RNG.standard_normal((5, 3))
    f = lambda a, r, w: hs.tanh(w @ a) * r
    how = ["each", ("gather", 0), "uniform"]
    for result in ("each", "sum", ("segment_sum", 0, 5)):
        loss = lambda xs, table, w, result=result: hs.sum(
            hs.sin(hs.map(f, n, [xs, table, w], how, result, [index]))
        )
        rows = np.tanh(xs @ w.T) * table[index]
        if result == "each":
            expected = rows
        elif result == "sum":
            expected = rows.sum(axis=0)
        else:
            expected = np.zeros((5, 3))
            np.add.at(expected, index, rows)
        args = tuple(map(hs.asarray, (xs, table, w)))
        same(hs.map(f, n, list(args), how, result, [index]), expected)
        outer = (
            np.cos(expected)
            if result == "each"
            else np.cos(expected)[index]
            if result != "sum"
            else np.broadcast_to(np.cos(expected), (n, 3))
        )
        pre = outer * table[index] * (1 - np.tanh(xs @ w.T) ** 2)
        gt = np.zeros((5, 3))
        np.add.at(gt, index, outer * np.tanh(xs @ w.T))
        gx, gtable, gw = hs.grad(loss, argnums=(0, 1, 2))(*args)
        same(gx, pre @ w)
        same(gtable, gt)
        same(gw, pre.T @ xs)
