"""Random programs over derivatives, maps, loops, branches and custom rules, to depth 3, against an independent interpreter.

Lengths are 0, 1, and one less and one more than a vector of lanes (4, 8, 16) and a tile (128). A failing program is cut down
to a smaller one that still fails before it is shown.
"""

from __future__ import annotations

import gc
import itertools

import numeric as nm
import numpy as np
import programs
import pytest

import hesse as hs

LENGTHS = [0, 1, 3, 5, 7, 9, 15, 17, 2, 4, 8, 16]
TILES = [127, 129, 128]


def check(program, env, live, seed, order=2):
    """Value, both modes, forward over reverse, the compiled program, and vmap of it, against the interpreter."""
    rng = np.random.default_rng([seed, 7])
    build = programs.Builder(hs)
    fixed = {k: hs.asarray(v) for k, v in env.items() if k not in live}
    xs = [hs.asarray(env[k]) for k in live]

    def f(*values):
        return build(program, {**fixed, **dict(zip(live, values, strict=True))})

    u = [rng.standard_normal(np.shape(env[k])) for k in live]
    v = [rng.standard_normal(np.shape(env[k])) for k in live]
    nm.reset()
    e2, e1 = (
        nm.fresh(),
        nm.fresh(),
    )  # the derivative along u is the inner one: its perturbation is the younger
    if order < 2:
        point = {k: nm.perturbed(env[k], e1, a) for k, a in zip(live, u, strict=True)}
    else:
        point = {
            k: nm.perturbed(nm.perturbed(env[k], e2, b), e1, a) for k, a, b in zip(live, u, v, strict=True)
        }
    exact = programs.evaluate(program, {**env, **point})
    part = lambda mask: np.asarray(exact.parts.get(mask, np.zeros(exact.shape)))
    w = rng.standard_normal(exact.shape)
    us, vs, ws = (tuple(map(hs.asarray, a)) for a in (u, v, [w]))

    def same(actual, expected, what, tol=1e-9):
        scale = max(1.0, float(np.abs(expected).max()) if np.size(expected) else 0.0)
        np.testing.assert_allclose(np.asarray(actual), expected, rtol=tol, atol=tol * scale, err_msg=what)

    same(f(*xs), part(0), "value")
    y, dy = hs.jvp(f, tuple(xs), us)
    same(y, part(0), "value under forward mode")
    same(dy, part(e1), "forward mode")
    y, pull = hs.vjp(f, *xs)
    same(y, part(0), "value under reverse mode")
    reverse = sum(float(np.sum(np.asarray(g) * a)) for g, a in zip(pull(ws[0]), u, strict=True))
    same(reverse, np.sum(w * part(e1)), "reverse mode")
    same(hs.compile(f)(*xs), part(0), "compiled")
    compiled = hs.compile(lambda *a: hs.vjp(f, *a)[1](ws[0]))(*xs)
    reverse = sum(float(np.sum(np.asarray(g) * a)) for g, a in zip(compiled, u, strict=True))
    same(reverse, np.sum(w * part(e1)), "compiled reverse mode")
    batch = hs.vmap(f)(*[hs.stack([x, 0.5 * x]) for x in xs])
    same(batch[0], part(0), "vmap, first example")
    same(batch[1], np.asarray(f(*[0.5 * x for x in xs])), "vmap, second example")
    if order > 1:
        second = np.sum(w * part(e1 | e2))
        along = lambda *a: hs.jvp(f, a, us)[1]
        back = lambda *a: hs.vjp(f, *a)[1](ws[0])
        same(
            float(np.sum(w * np.asarray(hs.jvp(along, tuple(xs), vs)[1]))),
            second,
            "forward over forward",
            1e-8,
        )
        mixed = sum(
            float(np.sum(np.asarray(h) * a)) for h, a in zip(hs.jvp(back, tuple(xs), vs)[1], u, strict=True)
        )
        same(mixed, second, "forward over reverse", 1e-8)
        mixed = sum(
            float(np.sum(np.asarray(h) * b)) for h, b in zip(hs.vjp(along, *xs)[1](ws[0]), v, strict=True)
        )
        same(mixed, second, "reverse over forward", 1e-8)


def smaller(e):
    """Programs that are e with one part replaced by a simpler one."""
    if not isinstance(e, tuple) or not e or not isinstance(e[0], str):
        return
    if e[0] in ("un", "sum"):
        yield e[2] if e[0] == "un" else ("const", 0.7)
    if e[0] == "bin":
        yield e[2]
        yield e[3]
    if e[0] == "cond":
        yield e[2]
        yield e[3]
    for i, a in enumerate(e[1:], 1):
        if isinstance(a, tuple) and a and isinstance(a[0], str):
            for s in smaller(a):
                yield (*e[:i], s, *e[i + 1 :])
        elif isinstance(a, tuple) and a and isinstance(a[0], tuple):
            for j, b in enumerate(a):
                for s in smaller(b):
                    yield (*e[:i], (*a[:j], s, *a[j + 1 :]), *e[i + 1 :])


def fails(program, env, live, seed, order):
    try:
        check(program, env, live, seed, order)
    except AssertionError as error:
        return str(error).strip().splitlines()[0] if str(error).strip() else "assertion"
    except (
        Exception
    ) as error:  # a program that Hesse refuses; or one that became ill-formed while being cut down
        return f"{type(error).__name__}: {error}"
    return None


def first_line_kind(message):
    """What stays the same while a failing program is cut down."""
    return message.split(":")[0][:60]


def minimised(program, env, live, seed, order, message, tries=150):
    kind, progress = first_line_kind(message), True
    while progress and tries > 0:
        progress = False
        for candidate in smaller(program):
            tries -= 1
            if tries <= 0:
                break
            found = fails(candidate, env, live, seed, order)
            if found and first_line_kind(found) == kind:
                program, progress, message = candidate, True, found
                break
    return program, message


def run(seed, n, m, depth, transforms=None, order=2):
    generator = programs.Generator(seed, n, m, transforms)
    env = programs.environment(seed, n, m)
    live = [k for k in env if k.startswith("live")]
    program = generator.program({k: np.shape(v) for k, v in env.items()}, depth)
    gc.collect()
    before = hs._hesse.live_buffers()
    message = fails(program, env, live, seed, order)
    if message:
        small, message = minimised(program, env, live, seed, order, message)
        pytest.fail(
            f"seed {seed}, n={n}, m={m}, depth {depth}: {message}\nprogram: {programs.text(small)}",
            pytrace=False,
        )
    gc.collect()
    after = hs._hesse.live_buffers()
    assert after <= before, (
        f"seed {seed}: {after - before} buffers more than before; program: {programs.text(program)}"
    )


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize(
    "transform", ["grad", "jvp", "checkpoint", "custom", "vmap", "map", "scan", "while", "fori", "cond"]
)
def test_one_transform(transform, depth):
    """Programs of one transform, alone and inside itself."""
    for seed in range(2):
        run(100 * depth + seed, 3, 2, depth, (transform,))


@pytest.mark.parametrize(
    "pair",
    list(
        itertools.product(["grad", "jvp", "checkpoint", "custom", "vmap"], ["map", "scan", "while", "cond"])
    ),
    ids="-".join,
)
def test_pairs(pair):
    """Every derivative in and around every control flow."""
    run(hash_of(pair), 3, 2, 3, pair)


def hash_of(words):
    return sum(ord(c) * (31**i % 1009) for i, c in enumerate("".join(words)))


@pytest.mark.parametrize("seed", range(36))
def test_random_programs(seed):
    run(10_000 + seed, LENGTHS[seed % len(LENGTHS)], seed % 4, 1 + seed % 3)


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_with_many_examples(seed):
    """About a tile of examples: first order only, as the interpreter walks them one by one."""
    run(20_000 + seed, TILES[seed % len(TILES)], 2, 1, ("vmap", "map"), order=1)
    run(30_000 + seed, TILES[seed % len(TILES)], 1, 2, ("vmap", "map", "grad", "cond", "scan"), order=1)


@pytest.mark.full
@pytest.mark.parametrize("block", range(60))
def test_many_random_programs(block):
    for k in range(25):
        seed = 100_000 + 25 * block + k
        run(seed, LENGTHS[seed % len(LENGTHS)], seed % 5, 1 + seed % 3)


@pytest.mark.full
@pytest.mark.parametrize("block", range(30))
def test_many_random_programs_with_many_examples(block):
    for k in range(4):
        seed = 200_000 + 4 * block + k
        run(seed, TILES[seed % len(TILES)], seed % 4, 1 + seed % 2, order=1)
