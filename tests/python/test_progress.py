"""Progress of long loops: a callback every so many steps, without leaving the loop."""

from __future__ import annotations

import _thread
import signal

import numpy as np
import pytest

import hesse as hs


@pytest.fixture(params=["eager", "compiled"])
def run(request):
    return hs.compile if request.param == "compiled" else lambda f: f


def collector():
    seen = []
    return seen, lambda steps, carry: seen.append((steps, carry))


@pytest.mark.parametrize("every, steps", [(1, [1, 2, 3, 4, 5, 6, 7]), (3, [3, 6, 7]), (7, [7]), (100, [7])])
def test_fori_loop(run, every, steps):
    seen, progress = collector()
    f = run(lambda x: hs.fori_loop(2, 9, lambda i, x: x + 1.0, x, progress=progress, every=every))
    for _ in range(2):
        seen.clear()
        assert float(f(hs.array(10.0))) == 17.0
        assert [s for s, _ in seen] == steps
        assert [float(x) for _, x in seen] == [10.0 + s for s in steps]
        assert all(type(s) is int and isinstance(x, hs.Array) for s, x in seen)


def test_bounds_that_are_traced(run):
    seen, progress = collector()
    f = run(lambda n: hs.fori_loop(0, n, lambda i, x: x + i, 0, progress=progress, every=4))
    assert int(f(hs.array(6))) == 15 and [s for s, _ in seen] == [4, 6]
    assert int(f(hs.array(0))) == 0 and len(seen) == 2


def test_watch(run):
    seen, progress = collector()

    def step(i, state):
        return {"w": state["w"] * 0.5, "loss": hs.sum(state["w"])}

    f = run(
        lambda w: hs.fori_loop(
            0,
            4,
            step,
            {"w": w, "loss": 0.0},
            progress=progress,
            every=2,
            watch=lambda s: {"now": s["loss"], "twice": (2 * s["loss"],)},
        )
    )
    f(hs.ones((2,)))
    assert [(s, float(c["now"]), float(c["twice"][0])) for s, c in seen] == [(2, 1.0, 2.0), (4, 0.25, 0.5)]


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(run, reverse):
    seen, progress = collector()

    def f(xs):
        return hs.scan(lambda c, x: (c + x, c), 0.0, xs, reverse=reverse, progress=progress, every=2)

    xs = hs.array([1.0, 2.0, 3.0, 4.0, 5.0])
    total, ys = run(f)(xs)
    plain = hs.scan(lambda c, x: (c + x, c), 0.0, xs, reverse=reverse)
    assert float(total) == 15.0 and hs.array_equal(ys, plain[1])
    assert [s for s, _ in seen] == [2, 4, 5]
    assert [float(c) for _, c in seen] == ([9.0, 14.0, 15.0] if reverse else [3.0, 10.0, 15.0])


def test_while_loop(run):
    seen, progress = collector()
    f = run(lambda x: hs.while_loop(lambda x: x < 100.0, lambda x: x * 2.0, x, progress=progress, every=3))
    assert float(f(hs.array(1.0))) == 128.0
    assert [(s, float(x)) for s, x in seen] == [(3, 8.0), (6, 64.0)]


def loss(w, progress):
    def step(i, w):
        return w - 0.1 * hs.sin(w)

    return hs.sum(hs.fori_loop(0, 6, step, w, progress=progress, every=2))


def test_derivatives(run):
    seen, progress = collector()
    w = hs.array([0.5, 1.0])
    plain = hs.grad(lambda w: hs.sum(hs.fori_loop(0, 6, lambda i, w: w - 0.1 * hs.sin(w), w)))
    g = run(hs.grad(lambda w: loss(w, progress)))(w)
    np.testing.assert_allclose(np.asarray(g), np.asarray(plain(w)), rtol=1e-14)
    # Forwards only; eagerly, the loop runs once for its value and once more to keep its carries.
    assert [s for s, _ in seen] == [2, 4, 6] * (1 if run is hs.compile else 2)
    for derivative in (lambda f: hs.jvp(f, (w,), (w,)), lambda f: hs.hessian(f)(w)):
        got, expected = (derivative(lambda w, p=p: loss(w, p)) for p in (progress, lambda s, c: None))
        for a, b in zip(hs.tree_leaves(got), hs.tree_leaves(expected), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-14)


def test_inside_vmap(run):
    seen, progress = collector()
    f = run(hs.vmap(lambda w: hs.fori_loop(0, 4, lambda i, w: w + 1.0, w, progress=progress, every=2)))
    assert f(hs.array([0.0, 10.0])).tolist() == [4.0, 14.0]
    assert [(s, float(x)) for s, x in seen] == [(2, 2.0), (4, 4.0), (2, 12.0), (4, 14.0)]


def test_exceptions_end_the_loop(run):
    seen = []

    class Enough(Exception):
        pass

    def progress(steps, carry):
        seen.append(steps)
        if steps >= 20:
            raise Enough("twenty")

    f = run(lambda x: hs.fori_loop(0, 10**9, lambda i, x: x + 1.0, x, progress=progress, every=10))
    with pytest.raises(Enough, match="twenty"):
        f(hs.array(0.0))
    assert seen == [10, 20]


def test_ctrl_c(run):
    def progress(steps, carry):
        if steps == 100:
            _thread.interrupt_main()

    # Long, but not for ever: a loop that is not interrupted fails the test.
    f = run(lambda x: hs.fori_loop(0, 2 * 10**6, lambda i, x: x + 1.0, x, progress=progress, every=100))
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a background shell starts us deaf to it
    try:
        with pytest.raises(KeyboardInterrupt):
            f(hs.array(0.0))
    finally:
        signal.signal(signal.SIGINT, before)


def test_kept_carries_do_not_change(run):
    """A callback may keep what it gets although the loop updates its carry in place."""
    seen, progress = collector()
    f = run(lambda x: hs.fori_loop(0, 5, lambda i, x: x.at[i].set(1.0), x, progress=progress, every=1))
    f(hs.zeros((5,)))
    assert [float(hs.sum(x)) for _, x in seen] == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_the_body_still_runs_in_blocks():
    def body(i, x):
        for _ in range(10):
            x = hs.sin(x) + 0.1
        return x

    f = hs.compile(lambda x: hs.fori_loop(0, 50, body, x, progress=lambda s, x: None, every=10))
    with hs.profile() as p:
        f(hs.ones((4,)))
    assert "block" in {row.name for row in p.equations}


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_refusals(every):
    with pytest.raises(ValueError, match="fori_loop: every is .*1 or more"):
        hs.fori_loop(0, 3, lambda i, x: x, 0.0, progress=print, every=every)


def test_other_refusals():
    with pytest.raises(TypeError, match="scan: progress: expected a function, got int"):
        hs.scan(lambda c, x: (c, c), 0.0, length=3, progress=3)
    with pytest.raises(TypeError, match="while_loop: watch: expected a function"):
        hs.while_loop(lambda c: c < 3.0, lambda c: c + 1.0, 0.0, progress=print, watch=3)
