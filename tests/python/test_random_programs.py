"""Random programs over derivatives, maps, loops, branches and custom rules, to depth 3, against an independent interpreter.

Every derivative stands in the body of every control flow and the other way about, with a constant, a live variable and an
example of a map captured. Lengths are 0, 1, and one less and one more than a vector of lanes (4, 8, 16) and a tile (496). A
failing program is cut down to a smaller one that still fails before it is shown.
"""

from __future__ import annotations

import gc
import itertools

import numeric as nm
import numeric_mp as mp
import numpy as np
import programs
import pytest
from run_examples import run_examples

import hesse as hs

LENGTHS = [0, 1, 3, 5, 7, 9, 15, 17, 2, 4, 8, 16]
TILES = [495, 497, 496]  # of these programs' maps: test_tiles_are_met


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
    exact = programs.Interpreter()(program, {**env, **point})
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


def shapes_of(env):
    return {k: np.shape(v) for k, v in env.items()}


def run(seed, n, m, program, env, order=2):
    """Checks one program, and that nothing of it stays alive."""
    live = [k for k in env if k.startswith("live")]
    gc.collect()
    before = hs._hesse.live_buffers()
    with run_examples(("one_by_one", "on_lanes", "on_lanes", "unrolled", "on_lanes", "on_lanes")[seed % 6]):
        message = fails(program, env, live, seed, order)
        if message:
            small, message = minimised(program, env, live, seed, order, message)
    if message:
        pytest.fail(
            f"seed {seed}, n={n}, m={m}: {message}\nprogram: {programs.text(small)}",
            pytrace=False,
        )
    gc.collect()
    after = hs._hesse.live_buffers()
    assert after <= before, (
        f"seed {seed}: {after - before} buffers more than before; program: {programs.text(program)}"
    )


def run_random(seed, n, m, depth, order=2):
    env = programs.environment(seed, n, m)
    program = programs.Generator(seed, n, m).program(shapes_of(env), depth)
    assert programs.depth(program) >= depth
    run(seed, n, m, program, env, order)


def run_chain(seed, n, m, kinds, sort, order=2):
    """The kinds inside each other, which capture a variable of that sort."""
    env = programs.environment(seed, n, m)
    program = programs.Generator(seed, n, m).pair(shapes_of(env), list(kinds), sort)
    for outer, inner in itertools.pairwise(kinds):
        assert programs.has_inside(program, outer, inner), programs.text(program)
    if not (sort == "live" and "custom" in kinds):  # live values are passed to custom functions, not captured
        assert sort in programs.captures(program, kinds[-1]), programs.text(program)
    run(seed, n, m, program, env, order)


SORTS = ("constant", "live", "mapped")
DERIVATIVES = ("grad", "jvp", "checkpoint", "custom", "vmap")
CONTROL = ("map", "scan", "while", "cond")


def hash_of(words):
    return sum(ord(c) * (31**i % 1009) for i, c in enumerate("".join(words)))


@pytest.mark.parametrize("kind", programs.KINDS)
def test_one_kind(kind):
    """Alone and inside itself, with everything captured."""
    for k, sort in enumerate(SORTS):
        run_chain(100 + k, 3, 2, [kind], sort)
        run_chain(200 + k, 3, 2, [kind, kind], sort, order=1)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("pair", list(itertools.product(DERIVATIVES, CONTROL)), ids="-".join)
def test_pairs(pair, sort):
    """Every derivative in and around every control flow."""
    seed = hash_of((*pair, sort))
    run_chain(seed, 3, 2, pair, sort)
    run_chain(seed + 1, LENGTHS[seed % len(LENGTHS)], seed % 4, pair[::-1], sort)


@pytest.mark.full
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("pair", list(itertools.product(DERIVATIVES, CONTROL)), ids="-".join)
def test_pairs_of_every_length(pair, sort):
    for k, n in enumerate(LENGTHS):
        run_chain(1000 + k, n, k % 4, pair, sort)
        run_chain(2000 + k, n, k % 4, pair[::-1], sort)


@pytest.mark.parametrize("triple", [
    ("grad", "scan", "vmap"), ("jvp", "map", "custom"), ("vmap", "while", "grad"), ("checkpoint", "cond", "jvp"),
    ("custom", "scan", "map"), ("scan", "grad", "map"), ("map", "grad", "while"), ("while", "vmap", "jvp"),
    ("cond", "custom", "scan"), ("map", "checkpoint", "cond"), ("vmap", "cond", "custom"), ("scan", "jvp", "while"),
], ids="-".join)  # fmt: skip
def test_three_kinds_inside_each_other(triple):
    for k, sort in enumerate(SORTS):
        run_chain(hash_of(triple) + k, (1, 3, 9)[k], 2, triple, sort, order=1)


@pytest.mark.parametrize("how", programs.LINEAR)
@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_rules_with_control_flow(rule, how):
    """Rules that run each control flow on the tangent or cotangent, inside derivatives, maps, loops and branches."""
    for k, around in enumerate(("grad", "jvp", "vmap", "map", "scan", "while", "cond", "checkpoint")):
        env = programs.environment(k, 5, 2)
        generator = programs.Generator(k, 5, 2)
        generator.pick = lambda options, pick=generator.pick: (
            rule if options == ("jvp", "vjp") else how if options == programs.LINEAR else pick(options)
        )
        program = generator.pair(shapes_of(env), [around, "custom"], SORTS[k % 3])
        customs = [e for e in programs.nodes(program) if e[0] == "custom"]
        assert customs and all(e[1] == rule and set(e[5]) == {"by_" + how} for e in customs)
        run(k, 5, 2, program, env, order=1 + k % 2)


@pytest.mark.parametrize("seed", range(24))
def test_random_programs(seed):
    run_random(
        10_000 + seed, LENGTHS[seed % len(LENGTHS)], seed % 4, 1 + seed % 3, order=2 if seed % 3 < 2 else 1
    )


@pytest.mark.parametrize(
    "kinds", [["vmap"], ["map"], ["vmap", "cond"], ["grad", "map"], ["map", "scan"]], ids="-".join
)
def test_programs_with_about_a_tile_of_examples(kinds):
    """First order only, as the interpreter walks the examples one by one."""
    for k, n in enumerate(TILES):
        run_chain(20_000 + k, n, 2, kinds, SORTS[k], order=1)


def test_tiles_are_met():
    """A map of more examples than a tile holds has TILES about its border."""
    env = programs.environment(0, 497, 2)
    program = programs.Generator(0, 497, 2).pair(shapes_of(env), ["vmap"], "live")
    build = programs.Builder(hs)
    f = hs.compile(lambda **values: build(program, values))
    assert max(lanes for _, lanes, _ in f.program(**env).tilings) == 496


@pytest.mark.parametrize(
    "kinds", [(a, b) for a in ("grad", "jvp", "checkpoint") for b in CONTROL], ids="-".join
)
def test_values_in_100_digits(kinds):
    """Derivatives by differences in mpmath's numbers: no rule of anyone's enters."""
    for sort in ("constant", "live"):
        seed = hash_of(kinds) + len(sort)
        env = programs.environment(seed, 3, 2)
        program = programs.Generator(seed, 3, 2).pair(shapes_of(env), list(kinds), sort)
        if any(node[0] == "custom" for node in programs.nodes(program)):
            continue
        exact = np.asarray(programs.Interpreter(mp)(program, env), dtype=float)
        actual = programs.Builder(hs)(program, {k: hs.asarray(v) for k, v in env.items()})
        np.testing.assert_allclose(np.asarray(actual), exact, rtol=1e-11, atol=1e-11)


@pytest.mark.full
@pytest.mark.parametrize("block", range(60))
def test_many_random_programs(block):
    for k in range(25):
        seed = 100_000 + 25 * block + k
        run_random(seed, LENGTHS[seed % len(LENGTHS)], seed % 5, 1 + seed % 3, order=2 if seed % 3 < 2 else 1)


@pytest.mark.full
@pytest.mark.parametrize("block", range(30))
def test_many_random_programs_with_many_examples(block):
    for k in range(4):
        seed = 200_000 + 4 * block + k
        run_random(seed, TILES[seed % len(TILES)], seed % 4, 1, order=1)
