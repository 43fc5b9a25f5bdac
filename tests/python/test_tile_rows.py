"""Entry-by-entry work on a tile: blocks run across rows of every kind, and tiles have the width that pays."""

import numpy as np
import pytest
from run_examples import run_examples

import hesse as hs

RNG = np.random.default_rng(5)
SHAPE = (6, 7, 5)
# How operands of the same values as SHAPE lie: along every axis, repeated, turned round.
SHAPES = [(6, 7, 5), (5,), (7, 1), (6, 1, 1), (6, 1, 5), (1, 7, 5), (), (5, 7, 6), (7, 6, 5), (6, 5, 7)]
TURNED = {(5, 7, 6): (2, 1, 0), (7, 6, 5): (1, 0, 2), (6, 5, 7): (0, 2, 1)}


def laid_out(x, np_or_hs):
    turn = TURNED.get(tuple(x.shape))
    return x if turn is None else np_or_hs.permute_dims(x, turn)


def expression(m, a, b, c):
    y = m.tanh(a * b + 0.5) * c
    z = m.where(a < c, y, a - b)
    return z * z + m.where(b > 0.0, c, y), m.sum(z * y, axis=(0, 1))


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("n", [2, 9, 37])
def test_rows_of_every_kind_in_one_chain(n, dtype, rtol):
    """Every shape meets every other one, an operand of each example or shared by all."""
    draw = lambda *shape: RNG.normal(size=shape).astype(dtype)
    for i, shape in enumerate(SHAPES):
        others = SHAPES[(i + 3) % len(SHAPES)], SHAPES[(i + 7) % len(SHAPES)]
        for shared in (False, True):
            a, b, c = draw(n, *SHAPE), draw(*(() if shared else (n,)), *shape), draw(n, *others[0])
            d = draw(*others[1])

            def f(a, b, c, d=d):
                b, c, d = (laid_out(x, hs) for x in (b, c, hs.asarray(d)))
                return expression(hs, a, b, c), expression(hs, a, c, d)

            with run_examples("on_lanes"):
                got = hs.compile(hs.vmap(f, (0, None if shared else 0, 0)))(*map(hs.asarray, (a, b, c)))
            for k in range(n):
                bk, ck, dk = (laid_out(x, np) for x in (b if shared else b[k], c[k], d))
                expected = expression(np, a[k], bk, ck), expression(np, a[k], ck, dk)
                for y, e in zip(hs.tree_leaves(got), hs.tree_leaves(expected), strict=True):
                    np.testing.assert_allclose(np.asarray(y)[k], e, rtol=rtol, atol=rtol * 10)


def lanes_of(f, *args):
    with run_examples("on_lanes"):
        ((_, lanes, _),) = hs.compile(f).program(*args).tilings
    return lanes


def test_there_are_tiles_for_threads():
    """Where tiles have work: 400 examples of some KiB are several tiles, 400 numbers are one."""
    heavy = hs.vmap(lambda x: hs.sum(hs.tanh(hs.outer(x, x)) @ x))
    assert lanes_of(heavy, hs.zeros((400, 40))) <= 100
    light = hs.vmap(lambda x: hs.sin(x) * x + 1.0)
    assert lanes_of(light, hs.zeros(400)) == 400


def test_narrow_tiles_are_whole_vectors():
    """Examples of some hundred KiB: as many as fit a tile, but at least one vector."""
    f = hs.vmap(lambda a: hs.sum(hs.tanh(a @ hs.tanh(a @ a))))
    for dtype in ("float32", "float64"):
        wide = lanes_of(f, hs.zeros((100, 20, 20), dtype=dtype))
        narrow = lanes_of(f, hs.zeros((100, 150, 150), dtype=dtype))
        assert narrow < wide
        assert narrow in (1, 2, 4, 8, 16)


def test_matrices_of_examples_that_thirty_two_lanes_hold():
    """Small matrices of their own no longer mean one vector."""
    f = hs.vmap(lambda a, b: a @ b)
    assert lanes_of(f, hs.zeros((1000, 10, 40)), hs.zeros((1000, 40, 10))) >= 16


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_chain_of_more_steps_than_one_loop_of_code_takes(dtype):
    """What passes from one loop to the next, and what is read much later, goes through memory."""

    def f(x, y):
        kept = [x, y]
        for k in range(900):
            a, b = kept[-1], kept[-(k * 7 % 23) - 1] if k * 7 % 23 < len(kept) else x
            kept.append(hs.maximum(hs.minimum(a * 0.5 - b * 0.25 + (0.1 if k % 3 else -0.1), 2.0), -2.0))
        return sum(kept[::150], x) + kept[-1]

    rng = np.random.default_rng(3)
    x, y = (hs.asarray(rng.normal(size=(7, 13)).astype(dtype)) for _ in range(2))
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    for g in (f, hs.vmap(f)):
        np.testing.assert_allclose(
            np.asarray(hs.compile(g)(x, y)), np.asarray(f(x, y)), rtol=tolerance, atol=tolerance
        )
