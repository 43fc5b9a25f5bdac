"""What explain says of a program: operations counted by hand, bytes, tiles, what is stored for all examples and why."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hesse as hs

RNG = np.random.default_rng(0)


def a(*shape, dtype="float64"):
    return hs.asarray(RNG.standard_normal(shape).astype(dtype))


def flops(f, *args):
    return hs.make_graph(f, *args).flops


# Counts by hand ----------------------------------------------------------------------------------------------------------
COUNTS = {
    "by entries": (lambda x: hs.tanh(x) * 2.0, (a(5, 7),), 2 * 35),
    "broadcast": (lambda x, y: x + y, (a(5, 7), a(7)), 35),
    "where": (lambda x: hs.where(x > 0.0, x, 0.0), (a(9),), 2 * 9),
    "views": (lambda x: hs.reshape(hs.permute_dims(x, (1, 0))[1:, ::2], (-1,)), (a(6, 4),), 0),
    "joined": (lambda x, y: hs.concat([x, y]), (a(6, 4), a(2, 4)), 0),
    "taken": (lambda x, i: hs.take(x, i, axis=0), (a(6, 4), hs.asarray([0, 3])), 0),
    "sum": (lambda x: hs.sum(x, axis=0), (a(6, 4),), 24),
    "max": (lambda x: hs.max(x, axis=1), (a(6, 4),), 24),
    "running sum": (lambda x: hs.cumsum(x, axis=1), (a(6, 4),), 24),
    "segments": (lambda x, i: hs.segment_sum(x, i, 3), (a(6, 4), hs.asarray([0, 0, 1, 2, 2, 2])), 24),
    "sort": (lambda x: hs.sort(x), (a(3, 8),), 24 * 3),
    "product": (lambda x, y: x @ y, (a(6, 4), a(4, 5)), 2 * 6 * 4 * 5),
    "batched product": (lambda x, y: x @ y, (a(3, 6, 4), a(3, 4, 5)), 3 * 2 * 6 * 4 * 5),
    "matrix and vector": (lambda x, y: x @ y, (a(6, 4), a(4)), 2 * 6 * 4),
    "outer product": (lambda x, y: hs.outer(x, y), (a(6), a(4)), 24),
    "convolution": (lambda x, w: hs.conv(x, w), (a(2, 3, 10), a(4, 3, 5)), 2 * (2 * 4 * 6) * (3 * 5)),
    "transform": (lambda x: hs.fft.fft(x), (hs.astype(a(3, 16), hs.complex128),), 3 * 5 * 16 * 4),
    "real transform": (lambda x: hs.fft.rfft(x), (a(3, 16),), 3 * 2.5 * 16 * 4),
    "cholesky": (lambda x: hs.linalg.cholesky(x), (hs.eye(6),), 6**3 / 3 + 2 * 36),
    "map": (lambda x: hs.vmap(lambda r: hs.sin(r) * r)(x), (a(9, 4),), 9 * 8),
    "map with a sum": (lambda x: hs.map(lambda r: hs.sin(r), 9, [x], ["each"], "sum"), (a(9, 4),), 9 * (4 + 4)),
    "scan": (lambda x: hs.scan(lambda c, v: (c * v, c + v), 1.0, x)[0], (a(9),), 2 * 9),
    "loop of unknown length": (lambda x: hs.while_loop(lambda s: s < 9.0, lambda s: s * 2.0, x), (a(),), 2),
    "branches": (lambda x: hs.cond(x[0] > 0.0, lambda: hs.sin(hs.cos(x)), lambda: x), (a(9),), 1 + 18),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_operations(name):
    f, args, count = COUNTS[name]
    graph = hs.make_graph(f, *args)
    slack = 2 if name == "branches" else 0  # the choice itself
    assert count <= graph.flops <= count + slack, graph


@pytest.mark.parametrize("form", ["by example", "batched"])
def test_a_network(form):
    """2 m n for each layer and example, and two operations by entries on what comes out."""
    sizes, n = [3, 20, 20, 2], 300
    layers = [(a(p, q), a(q)) for p, q in zip(sizes[:-1], sizes[1:], strict=True)]

    def net(x):
        for w, b in layers:
            x = hs.tanh(x @ w + b)
        return x

    f = hs.compile(hs.vmap(net) if form == "by example" else net)
    by_hand = n * sum(2 * p * q + 2 * q for p, q in zip(sizes[:-1], sizes[1:], strict=True))
    x = a(n, 3)
    assert f.graph(x).flops == by_hand and f.program(x).flops == by_hand
    assert f"{by_hand / 1e3:.3g} kflop" in f.explain(x)
    if form == "by example":
        (report,) = f.program(x).maps
        assert report.flops == by_hand and report.flops_per_example == by_hand / n
        weights = sum(p * q + q for p, q in zip(sizes[:-1], sizes[1:], strict=True))
        assert report.bytes_read == 8 * (3 * n + weights) and report.bytes_written == 8 * 2 * n
        assert report.intensity == by_hand / (report.bytes_read + report.bytes_written)


def test_the_burgers_step_against_the_count_by_hand():
    """A network 2-20x8-1 with u, u_x, the combination of u_t and u_xx, and the gradient: 42 products of 20 x 20, 22 outer
    products, 8 tanh and about 190 operations on 20 entries for every point."""
    sizes = [2, *[20] * 8, 1]
    layers = [(a(q, p), a(q)) for p, q in zip(sizes[:-1], sizes[1:], strict=True)]

    def residual(layers, t, x):
        def u(t, x):
            h = hs.stack([t, x])
            for w, b in layers[:-1]:
                h = hs.tanh(w @ h + b)
            return (layers[-1][0] @ h + layers[-1][1])[0]

        u0, u_t, u_x, u_xx = hs.partials(u, (t, x), ["", "t", "x", "xx"])
        return u_t + u0 * u_x - 0.01 * u_xx

    def loss(layers, t, x):
        return hs.mean(hs.vmap(residual, (None, 0, 0))(layers, t, x) ** 2)

    step, n = hs.compile(hs.value_and_grad(loss)), 1000
    args = (layers, a(n), a(n))
    (report,) = step.program(*args).maps
    by_hand = 2 * 400 * (42 + 22) + 20 * (190 + 8)
    assert report.examples == n and 0.9 * by_hand < report.flops_per_example < 1.2 * by_hand, (
        report.flops_per_example
    )
    assert not report.stored  # nothing of the size of all points leaves the map
    weights = sum(p * q + q for p, q in zip(sizes[:-1], sizes[1:], strict=True))
    assert report.bytes_read >= 8 * (2 * n + weights) and report.bytes_read < 2 * 8 * (2 * n + weights)
    forward = hs.compile(lambda *args: hs.vmap(residual, (None, 0, 0))(*args)).program(*args).flops / n
    assert 0.9 < forward / (3 * 7 * 800 + 90 * 20) < 1.1


# What is stored ----------------------------------------------------------------------------------------------------------
def stored(f, *args):
    return [(tuple(s.shape), s.why) for m in hs.compile(f).program(*args).maps for s in m.stored]


def test_results_and_what_a_sum_over_all_separates():
    x, w = a(2000), a(3)
    f = lambda x: hs.vmap(lambda r: hs.sum(hs.sin(r) * w))(x)
    assert stored(f, x) == [((2000,), "it is returned")]
    assert stored(lambda x: hs.sum(f(x) ** 2), x) == []

    def normalised(x):
        y = f(x)
        return hs.sum(hs.vmap(hs.cos)(y - hs.mean(y)))

    ((shape, why),) = stored(normalised, x)
    assert shape == (2000,) and why == "another map reads it, which needs a sum over all examples first"


def test_maps_that_are_better_apart():
    x = a(100_000, 3)
    found = stored(lambda x: hs.sum(hs.vmap(lambda r: hs.sum(hs.sin(r)))(x) ** 2), x)
    assert found in ([], [((100_000,), "another map reads it, and joining them would not pay")])


def test_what_is_read_as_a_whole():
    x = a(2000, 3)
    f = lambda x: hs.vmap(lambda r: hs.sum(hs.sin(r)))(x)
    ((_, why),) = stored(lambda x: hs.sort(f(x))[:3], x)
    assert why == "sort reads it, outside maps"

    def pairs(x):
        y = f(x)
        return hs.vmap(lambda r: hs.sum(hs.tanh(r[0] - y)))(x)

    assert ((2000,), "every example of another map reads all of it") in stored(pairs, x)

    def gathered(x):
        i = hs.asarray(np.arange(2000)[::-1].copy())
        return hs.map(lambda r: hs.sin(r), 2000, [f(x)], [("gather", 0)], "sum", [i])

    assert stored(gathered, x) == [((2000,), "another map gathers its rows")]


def test_the_text():
    x = a(2000, 3)
    f = hs.compile(lambda x: hs.vmap(lambda r: hs.sum(hs.sin(r)))(x))
    lines = f.explain(x).splitlines()
    assert (
        lines[0] == "<lambda>: 1 equations in 1 map(s), recorded as 1 in 1, 1 version(s)"
        or "in 1 map(s)" in lines[0]
    )
    assert lines[1].startswith("map over 2000 examples: tiles of ") and lines[1].endswith(" bytes an example")
    assert (
        lines[2]
        == "  2 equations, 6 flop an example, 12 kflop in all; reads 46.9 KiB, writes 15.6 KiB: 0.188 flop a byte"
    )
    assert lines[3] == "  stored for all examples: float64[2000], 15.6 KiB: it is returned"
    assert (
        lines[4] == "outside maps: 0 equations, 0 flop"
        and lines[5] == "in all: 12 kflop, 62.5 KiB read and written"
    )


def test_maps_in_loops():
    """Loops multiply operations; their maps are listed with what holds them."""
    x = a(50, 3)
    f = hs.compile(
        lambda x: hs.scan(
            lambda c, _: (c + hs.sum(hs.vmap(lambda r: hs.sin(r) @ r)(x)), None), 0.0, length=7
        )[0]
    )
    program = f.program(x)
    (report,) = program.maps
    assert report.inside == "scan" and "inside scan: tiles of" in f.explain(x)
    assert program.flops >= 7 * report.flops and report.flops >= 50 * (3 + 6)
    assert math.isfinite(program.bytes)


def test_constants_are_listed():
    table = a(100)
    f = hs.compile(lambda v: v + TABLE)
    assert "constants, by reference: float64[100]" in f.explain(table)


TABLE = a(100)
