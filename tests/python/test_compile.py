"""Compiled functions as values: their versions, what they report, what they run in place."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest

import hesse as hs

TRACED: list[tuple[int, ...]] = []  # global: what a closure holds is part of a version


def zeros(n):
    return hs.zeros((n,))


def test_only_the_versions_used_last_are_kept():
    f = hs.compile(lambda x: hs.sum(x * 2.0), maxsize=2)
    calls = []
    for n in (1, 2, 1, 3):  # 2 was used longest ago when 3 comes
        f(zeros(n))
        calls.append(f.cache_size)
    assert calls == [1, 2, 2, 2]
    TRACED.clear()
    g = hs.compile(lambda x: (TRACED.append(x.shape), x + 1.0)[1], maxsize=2)
    for n in (1, 2, 1, 3, 1, 2):
        g(zeros(n))
    assert TRACED == [(1,), (2,), (3,), (2,)]


def test_memory_of_forgotten_versions_is_given_back():
    gc.collect()
    before = hs._hesse.live_bytes()
    f = hs.compile(lambda x: x + hs.asarray(np.arange(100_000.0))[: x.shape[0]], maxsize=2)
    for n in range(1, 12):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", hs.RecompilationWarning)
            f(zeros(n))
    gc.collect()
    assert hs._hesse.live_bytes() - before < 4 * 800_000


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (lambda i: ({"x": zeros(i + 1)},), r"args\[0\]\['x'\] is float64\[8\], was float64\[7\]"),
        (
            lambda i: ([zeros(1)] * (i + 1),),
            "the structure of the arguments, or a value that is not an array, changed",
        ),
        (
            lambda i: (zeros(1), "abcdefgh"[i]),
            "the structure of the arguments, or a value that is not an array, changed",
        ),
    ],
)
def test_frequent_recording_is_reported_with_its_reason(arguments, reason):
    def step(x, how=None):
        return x

    f = hs.compile(step)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(7):
            f(*arguments(i))
    with pytest.warns(
        hs.RecompilationWarning, match=f"compile: .*step.* recorded 8 times, now because {reason}"
    ) as caught:
        f(*arguments(7))
    assert "pad arrays" in str(caught[0].message) and len(caught) == 1


def test_static_values_that_never_repeat_are_reported():
    f = hs.compile(lambda x, k: x * k, static_argnums=1)
    with pytest.warns(hs.RecompilationWarning, match="a static argument changed"):
        for k in range(8):
            f(1.0, k)


def test_maxsize_is_checked():
    with pytest.raises(ValueError, match="compile: maxsize is 0; keep at least one version"):
        hs.compile(lambda x: x, maxsize=0)


def test_unhashable_static_arguments_are_refused():
    f = hs.compile(lambda x, k: x, static_argnums=1)
    with pytest.raises(
        TypeError, match="compile: the static argument k of .* cannot be hashed; make it a tuple"
    ):
        f(1.0, [1])


def test_explain_says_how_maps_run():
    f = hs.compile(lambda x, w: hs.mean(hs.vmap(lambda a: hs.tanh(w @ a) @ a)(x) ** 2))
    text = f.explain(hs.zeros((1000, 3)), hs.zeros((3, 3)))
    assert "map over 1000 examples: tiles of 496" in text


def test_a_wide_example_gets_narrower_tiles():
    f = hs.compile(lambda x: hs.sum(hs.vmap(lambda a: hs.tanh(hs.outer(a, a)))(x), axis=0))
    ((examples, lanes, size),) = f.program(hs.zeros((1000, 60))).tilings
    assert examples == 1000 and lanes < 496 and lanes * size <= 2**20


def test_effects_that_read_no_argument_happen_at_every_call(capsys):
    """Also through passes that record the program anew, in loops and beside maps."""
    calls = []

    def count():
        calls.append(None)
        return float(len(calls))

    @hs.compile
    def f(x):
        hs.debug.print("here")
        y = hs.fori_loop(0, 6, lambda i, y: y + hs.callback(count, hs.ShapeDtype(())), 0.0)
        return hs.sum(hs.vmap(lambda x: x * 2.0)(x)) + y + hs.callback(count, hs.ShapeDtype(()))

    x = hs.ones(10)
    results = [float(f(x)) for _ in range(3)]
    assert len(calls) == 21 and capsys.readouterr().out.count("here") == 3
    assert results == [20.0 + sum(range(7 * k + 1, 7 * k + 8)) for k in range(3)]
