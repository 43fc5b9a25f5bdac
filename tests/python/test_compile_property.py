"""Compiling never changes a result beyond rounding: random programs of 5 to 200 operations, compiled against the reference.

The reference (bounded.py) computes in long doubles and knows how far rounding may take a result; eager results are held to the same
bound. Programs run plainly, inside vmap, scan, forward and reverse mode. A failing program is cut down and shown as Python.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import replace

import array_programs as ap
import bounded as bd
import bounded_arrays as ba
import numpy as np
import pytest
from array_generator import ROWS, WEIGHTS, Generator
from array_shrinking import minimised

import hesse as hs

LENGTHS = (5, 12, 30, 80, 200)


# What is compared --------------------------------------------------------------------------------------------------------
def differences(actual, expected, what):
    """None, or a sentence: the first entry that is not within its bound."""
    y = np.asarray(actual)
    if y.shape != expected.shape or y.dtype.name != expected.dtype:
        return f"{what}: is {y.dtype}{y.shape}, expected {expected.dtype}{expected.shape}"
    off = bd.apart(y.astype(bd.LD), expected.v) if expected.is_float else np.where(y != expected.v, np.inf, 0)
    bad = expected.known & (off > expected.e)
    if expected.bits and expected.is_float:  # nothing was computed: -0 stays -0
        bad |= np.signbit(y) != np.signbit(expected.v)
        bad &= ~np.isnan(expected.v) | ~np.isnan(y)
    if not bad.any():
        return None
    i = tuple(int(k) for k in np.argwhere(bad)[0])
    return (
        f"{what}: entry {i} is {y[i]!s}, expected {np.array(expected.v[i], y.dtype)!s} to within {float(expected.e[i]):.1e} "
        f"({int(bad.sum())} of {bad.size} entries)"
    )


def compare(actual, expected, what):
    """Of two lists."""
    for k, (a, e) in enumerate(zip(actual, expected, strict=True)):
        if found := differences(a, e, f"{what}, output {k}"):
            return found
    return None


def numbers(values, tangents=None):
    out = [bd.Num(v, bits=True) for v in values]
    for n, t in zip(out, tangents or [None] * len(out), strict=True):
        if t is not None:
            t = t.astype(bd.LD)
            n.t = bd.Tangent(t, np.zeros(t.shape, bd.LD), np.abs(t))
    return out


def scaled(value, factor):
    """Another value of the same sort."""
    return np.asarray(value * factor, value.dtype) if value.dtype.kind == "f" else np.flip(value)


# The ways to run a program -----------------------------------------------------------------------------------------------
JOININGS = ("maps", "chunks", "groups")


@contextmanager
def joined(how):
    """Batches become maps, or run in chunks or groups of rows, also where that does not pay."""
    hs._hesse._set_joining(getattr(hs._hesse._Joining, how))
    try:
        yield
    finally:
        hs._hesse._set_joining(hs._hesse._Joining.as_pays)


def in_joined(f, how):
    def run(*xs):
        with joined(how):
            return f(*xs)

    return run


def plainly(program, rng):
    f = ap.function(program, hs)
    expected = ap.run(program, numbers(program.values()))
    xs = [hs.asarray(v) for v in program.values()]
    if found := compare(f(*xs), expected, "eager") or compare(hs.compile(f)(*xs), expected, "compiled"):
        return found
    for how in JOININGS:
        with joined(how):
            if found := compare(hs.compile(f)(*xs), expected, f"compiled, joined as {how}"):
                return found
    return None


def in_vmap(program, rng):
    """Three examples, some inputs the same in all."""
    f, values = ap.function(program, hs), program.values()
    axes = [0 if rng.uniform() < 0.7 else None for _ in values]
    axes[int(rng.integers(len(axes)))] = 0
    examples = [
        values,
        *[[scaled(v, c) if a == 0 else v for v, a in zip(values, axes, strict=True)] for c in (0.5, -1.0)],
    ]
    xs = [hs.asarray(np.stack(v) if a == 0 else v[0]) for *v, a in zip(*examples, axes, strict=True)]
    mapped = hs.vmap(f, tuple(axes))
    expected = [
        ba.stack(*rows) for rows in zip(*[ap.run(program, numbers(e)) for e in examples], strict=True)
    ]
    return compare(mapped(*xs), expected, "vmap") or compare(
        hs.compile(mapped)(*xs), expected, "compiled vmap"
    )


def in_scan(program, rng):
    """The first input goes through the loop, mixed with a result; the others are captured, or items."""
    f, values = ap.function(program, hs), program.values()
    items = [k for k in range(len(values)) if rng.uniform() < 0.5]
    steps = 3
    stacked = [np.stack([scaled(values[k], c) for c in (1.0, -0.5, 0.25)]) for k in items]
    first = next((k for k, v in enumerate(values) if v.dtype.kind == "f" and k not in items), None)

    def loop(*xs):
        def step(carry, given):
            inside = list(xs)
            for k, x in zip(items, given, strict=True):
                inside[k] = x
            if first is not None:
                inside[first] = carry
            outs = f(*inside)
            mixed = carry * 0.5
            return (mixed if first is not None else carry), outs

        given = [x for k, x in enumerate(xs) if k in items]
        carry, outs = hs.scan(step, xs[first] if first is not None else hs.asarray(0.0), given, length=steps)
        return (*outs, carry) if first is not None else outs

    xs = [hs.asarray(stacked[items.index(k)] if k in items else v) for k, v in enumerate(values)]
    rows, carry = [], first is not None and numbers([values[first]])[0]
    for i in range(steps):
        inside = numbers(values)
        for k, s in zip(items, stacked, strict=True):
            inside[k] = numbers([s[i]])[0]
        if first is not None:
            inside[first] = carry
            carry = bd.mul(carry, 0.5)
        rows.append(ap.run(program, inside))
    expected = [ba.stack(*row) for row in zip(*rows, strict=True)] + ([carry] if first is not None else [])
    return compare(loop(*xs), expected, "scan") or compare(hs.compile(loop)(*xs), expected, "compiled scan")


def directions(program, rng):
    """Random signs for the floating inputs, on all entries or one."""
    out = []
    for v in program.values():
        t = rng.choice([-1.0, 1.0], v.shape)
        if rng.uniform() < 0.3 and v.size:
            t = np.where(np.arange(v.size).reshape(v.shape) == rng.integers(v.size), t, 0.0)
        out.append(np.asarray(t, v.dtype) if v.dtype.kind == "f" else None)
    return out


def float_results(program):
    """The program with its floating outputs alone."""
    results = ap.run(program, numbers(program.values()))
    outputs = tuple(o for o, r in zip(program.outputs, results, strict=True) if r.is_float)
    first = next(k for k, i in program.inputs.items() if i.value.dtype.kind == "f")
    return replace(program, outputs=outputs or (first,))


def in_jvp(program, rng):
    program = float_results(program)
    f, us = ap.function(program, hs), directions(program, rng)
    place = [k for k, u in enumerate(us) if u is not None]
    xs = [hs.asarray(v) for v in program.values()]

    def run(*xs):
        def g(*live):
            inside = list(xs)
            for k, x in zip(place, live, strict=True):
                inside[k] = x
            return f(*inside)

        values, tangents = hs.jvp(g, tuple(xs[k] for k in place), tuple(hs.asarray(us[k]) for k in place))
        return (*values, *tangents)

    values = ap.run(program, numbers(program.values(), us))
    flushed = {d: np.finfo(d).smallest_normal for d in DTYPES}
    tangents = [bd.Num(t.v, t.e + flushed[v.dtype], v.dtype) for v in values for t in [v.tangent()]]
    expected = [*values, *tangents]
    if found := compare(run(*xs), expected, "jvp") or compare(hs.compile(run)(*xs), expected, "compiled jvp"):
        return found
    for how in JOININGS:
        if found := compare(in_joined(hs.compile(run), how)(*xs), expected, f"compiled jvp, joined as {how}"):
            return found
    return None


def in_grad(program, rng):
    """The gradient of a weighted sum of all outputs, paired with a direction; compiled inside and outside."""
    program = float_results(program)
    f, us, values = ap.function(program, hs), directions(program, rng), program.values()
    place = tuple(k for k, u in enumerate(us) if u is not None)
    results = ap.run(program, numbers(values, us))
    ws = [np.asarray(rng.choice([-1.0, 0.5, 1.0], r.shape), r.dtype) for r in results]
    xs = [hs.asarray(v) for v in values]

    def loss(*xs):
        return sum(hs.sum(hs.astype(y * hs.asarray(w), hs.float64)) for y, w in zip(f(*xs), ws, strict=True))

    # <gradient, direction> = <weights, tangents>
    exact = bound = scale = bd.LD(0)
    for r, w in zip(results, ws, strict=True):
        t, eps = r.tangent(), bd.limits(r.dtype)[0]
        exact += np.sum(t.v * w)
        bound += np.sum((t.e + 8 * eps * t.a) * np.abs(w))
        scale += np.sum(t.a * np.abs(w))
    if not np.isfinite(bound + exact + scale):
        return None
    for what, run in (
        ("grad", hs.grad(loss, place)),
        ("compiled grad", hs.compile(hs.grad(loss, place))),
        ("grad of compiled", hs.grad(hs.compile(loss), place)),
        *[
            (f"compiled grad, joined as {how}", in_joined(hs.compile(hs.grad(loss, place)), how))
            for how in JOININGS
        ],
    ):
        pairing = size = bd.LD(0)
        for g, k in zip(run(*xs), place, strict=True):
            g = np.asarray(g)
            if g.shape != values[k].shape or g.dtype != values[k].dtype:
                return (
                    f"{what}: argument {k} is {g.dtype}{g.shape}, expected {values[k].dtype}{values[k].shape}"
                )
            pairing += np.sum(g.astype(bd.LD) * us[k])
            size += 4 * bd.limits(g.dtype)[0] * np.sum(np.abs(g.astype(bd.LD) * us[k]))
        if not np.abs(pairing - exact) <= bound + size:
            return f"{what}: along a direction it is {float(pairing)!r}, expected {float(exact)!r} to within {float(bound + size):.1e}"
    return None


def in_special_grad(program, rng):
    """Gradients where infinities and NaN come in: of the same sort, compiled and eager, entry by entry."""
    program = float_results(program)
    f, values = ap.function(program, hs), program.values()
    place = tuple(k for k, v in enumerate(values) if v.dtype.kind == "f")
    xs = [hs.asarray(v) for v in values]
    gradient = hs.grad(lambda *xs: sum(hs.sum(hs.astype(y, hs.float64)) for y in f(*xs)), place)
    sort = lambda z: np.where(np.isnan(z), 2, np.isinf(z) * np.sign(z))
    eager = gradient(*xs)
    ways = [("compiled", hs.compile(gradient))]
    for what, run in ways + [(f"joined as {how}", in_joined(hs.compile(gradient), how)) for how in JOININGS]:
        for k, (g, e) in enumerate(zip(run(*xs), eager, strict=True)):
            off = sort(np.asarray(g)) != sort(np.asarray(e))
            if off.any():
                return f"{what} grad, argument {k}: {np.asarray(g)[off][:3]} where eager ones are {np.asarray(e)[off][:3]}"
    return None


WAYS = {
    "plainly": plainly,
    "vmap": in_vmap,
    "scan": in_scan,
    "jvp": in_jvp,
    "grad": in_grad,
    "special grad": in_special_grad,
}


# Failures are cut down ---------------------------------------------------------------------------------------------------
def failure(program, way, seed):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return WAYS[way](program, np.random.default_rng([seed, 1]))
        except AssertionError as error:
            return f"assertion: {error}"
        except hs.Error as error:
            return f"{type(error).__name__}: {error}"


def check(seed, way, profile, dtype="float64", wild=False, rows=None, count=12):
    generator = Generator(seed, profile, dtype, wild, rows, smooth="grad" in way or way == "jvp")
    program = generator.program(count)
    hold(program, way, seed)


def hold(program, way, seed):
    """The program is as the reference says, or the test fails with a smaller one."""
    fails = lambda p: failure(p, way, seed)
    if message := fails(program):
        program, message = minimised(program, message, fails)
        pytest.fail(f"seed {seed}, {way}: {message}\n\n{ap.text(program)}", pytrace=False)


# The tests ---------------------------------------------------------------------------------------------------------------
DTYPES = ("float64", "float32")


@pytest.mark.parametrize("wild", [False, True], ids=["tame", "wild"])
@pytest.mark.parametrize("profile", WEIGHTS)
@pytest.mark.parametrize("k", range(8))
def test_programs(k, profile, wild):
    check(
        1000 + k,
        "plainly",
        profile,
        DTYPES[k % 2],
        wild,
        count=LENGTHS[k % 4] if profile != "maps" else 5 + 5 * (k % 4),
    )


@pytest.mark.parametrize("profile", ["rows", "maps"])
@pytest.mark.parametrize("rows", [0, *ROWS])
def test_batches_of_every_length(rows, profile):
    """Programs written for a batch: some rows, one less and one more than a tile holds, as many as there are columns."""
    for k in range(6 if rows < 255 or profile == "rows" else 3 if rows < 1000 else 1):
        count = (8, 15, 25, 12, 10, 20)[k] if profile == "rows" else (6, 9, 12, 6, 9, 8)[k]
        check(2000 + k, "plainly", profile, DTYPES[k % 2], wild=k == 3, rows=rows, count=count)


def test_a_long_program():
    check(3000, "plainly", "mixed", count=200)
    check(3001, "plainly", "rows", count=200, rows=7)


@pytest.mark.parametrize("profile", WEIGHTS)
@pytest.mark.parametrize("way", ["vmap", "scan", "jvp", "grad"])
def test_programs_inside(way, profile):
    for k in range(16):
        wild = way in ("vmap", "scan") and k % 4 == 3
        check(
            4000 + k,
            way,
            profile,
            DTYPES[k % 2],
            wild,
            rows=(1, 2, 7, 5)[k % 4],
            count=(5, 10, 20, 30)[k % 4],
        )


@pytest.mark.parametrize("profile", WEIGHTS)
def test_gradients_of_special_values(profile):
    for k in range(12):
        check(
            6000 + k,
            "special grad",
            profile,
            DTYPES[k % 2],
            wild=True,
            rows=(2, 7, 33)[k % 3],
            count=(5, 8, 12, 20)[k % 4],
        )


@pytest.mark.parametrize("way", ["jvp", "grad"])
@pytest.mark.parametrize("rows", [255, 257])
def test_derivatives_of_batches(rows, way):
    for k in range(2):
        check(5000 + k, way, "rows", DTYPES[k], rows=rows, count=12)


def written(steps, outputs, shapes, seed=0):
    """A program from lines "name = op arguments key=value"; the inputs by their shapes."""
    rng = np.random.default_rng(seed)
    inputs = {name: ap.Input.literal(rng.standard_normal(shape)) for name, shape in shapes.items()}
    made = []
    for line in steps.split(";"):
        name, _, op, *rest = line.split()
        args = tuple(float(a) if a[0] in "-.0123456789" else a for a in rest if "=" not in a)
        kw = {k: eval(v) for k, v in (a.split("=") for a in rest if "=" in a)}
        if op in ap.REDUCE:
            kw.setdefault("keepdims", False)
        made.append(ap.Step(name, op, args, kw))
    return ap.Program(inputs, tuple(made), tuple(outputs.split()))


ROWWISE = {
    "as rows and as a whole": (
        "h = matmul x w ; t = permute h axes=(1,0) ; g = matmul h t ; s = sum g axis=1 ; y = add s v ; m = matmul t h",
        "y m h",
    ),
    "a sum over rows used again in the rows": (
        "s = sum x axis=0 ; d = sub x s ; q = square d ; r = mean q axis=0 ; z = div d r ; y = matmul z w ; a = tanh y ; m = mean a axis=None",
        "a m r",
    ),
    "columns and rows of a square matrix": ("q = mul x x ; c = sum q axis=0 ; r = sum q axis=1 ; e = add q c ; k = expand r axis=1 ; f = mul e k", "f c r"),
    "columns cut and put together": (
        "a = index x index=(slice(None),slice(0,1)) ; b = index x index=(slice(None),-1) ; k = expand b axis=1 ; p = mul a k ;"
        "c = concat p x a axis=1 ; s = softmax c axis=1 ; t = sum s axis=0 ; y = sum s axis=1",
        "s t y x",
    ),
    "softmax over the batch": ("h = matmul x w ; s = softmax h axis=0 ; y = mul s h ; t = sum y axis=0", "y t t"),
    "a column against a row": ("c = expand v axis=1 ; o = mul c u ; a = sin o ; r = sum a axis=1 ; s = sum a axis=0 ; y = mul r v", "y s a"),
    "both layers of a net": (
        "h = matmul x w ; a = tanh h ; g = permute w axes=(1,0) ; k = matmul a g ; b = add k u ; e = sub b x ; q = square e ; l = mean q axis=None",
        "l",
    ),
    "shifted rows": ("r = roll x shift=1 axis=0 ; d = sub x r ; f = flip d axis=0 ; y = matmul f w ; s = sum y axis=0", "s y"),
    "every other row": ("a = index x index=(slice(None,None,2),) ; b = tanh x ; c = index b index=(slice(None,None,2),) ; d = mul a c ; s = sum d axis=0", "s d"),
    "flattened and back": ("h = sin x ; f = reshape h shape=(-1,) ; g = mul f f ; s = sum g axis=None ; y = div h s", "y s f"),
    "the largest of each row and column": (
        "a = max x axis=1 keepdims=True ; b = max x axis=0 ; d = sub x a ; e = sub d b ; y = exp e ; s = sum y axis=1 ; t = sum y axis=0",
        "y s t",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", ["plainly", "grad", "jvp"])
@pytest.mark.parametrize("name", ROWWISE)
def test_row_by_row_and_not(name, way):
    """Batched programs in which rows meet, of as many rows as columns, and of more than a tile holds."""
    for n, d, k in ((1, 1, 1), (2, 3, 2), (5, 5, 5), (7, 7, 1), (64, 4, 64), (257, 3, 2), (600, 2, 3)):
        program = written(*ROWWISE[name], {"x": (n, d), "w": (d, k), "v": (n,), "u": (d,)}, seed=n)
        hold(program, way, n)


@pytest.mark.full
@pytest.mark.parametrize("block", range(24))
def test_many_programs(block):
    for k in range(20):
        seed = 100_000 + 20 * block + k
        rng = np.random.default_rng(seed)
        profile = list(WEIGHTS)[seed % 3]
        rows, count = None, 200 if seed % 50 == 0 else int(rng.integers(5, 60))
        if profile == "maps":  # the reference walks the examples one by one
            rows = int(rng.choice([1, 2, 7, 16, 33, 65]))
            count = int(rng.integers(5, 14))
        check(seed, "plainly", profile, DTYPES[seed // 3 % 2], wild=seed % 4 == 0, rows=rows, count=count)


@pytest.mark.full
@pytest.mark.parametrize("way", ["vmap", "scan", "jvp", "grad"])
@pytest.mark.parametrize("block", range(6))
def test_many_programs_inside(block, way):
    for k in range(30):
        seed = 200_000 + 30 * block + k
        wild = way in ("vmap", "scan") and seed % 4 == 0
        rows = (1, 2, 3, 7, 16, 17, 33)[seed % 7]
        check(seed, way, list(WEIGHTS)[seed % 3], DTYPES[seed // 3 % 2], wild, rows=rows, count=5 + seed % 30)


def test_the_reference_knows_rounding():
    """What it says of a cancellation, an overflow that depends on the order, an infinity and a comparison of near values."""
    x = bd.Num(np.array([1.0, 1e300, np.inf, 0.1]))
    y = bd.sub(bd.add(x, 1e17), 1e17)
    assert 1 <= y.e[0] < 100 and not np.isfinite(y.v[2]) and y.e[2] == 0
    assert np.isinf(bd.compare(np.less, y, 0.5).e[3]) and bd.compare(np.less, x, 0.5).e[3] == 0
    big = bd.Num(np.array([1.5e308, 1.5e308, -1.5e308]))
    assert np.isinf(ba.sum_(big).e) and np.isnan(bd.sub(x, x).v[2]) and bd.sub(x, x).e[2] == 0
    product = bd.mul(big, big)
    assert np.isinf(product.v).all() and not product.e.any()


def test_failures_are_cut_down(monkeypatch):
    """A broken operation is found, and what is shown has little else in it."""
    broken = type(
        "Broken", (), {**{k: getattr(hs, k) for k in dir(hs)}, "compile": staticmethod(_without_tanh)}
    )
    monkeypatch.setitem(globals(), "hs", broken)
    with pytest.raises(pytest.fail.Exception) as info:
        for seed in range(20):
            check(seed, "plainly", "rows", rows=7, count=30)
    shown = str(info.value).split("def f")[1].split("return")[0].splitlines()[1:-1]
    assert len(shown) == 1 and "tanh" in shown[0], info.value
    assert "array([" in str(info.value)


def _without_tanh(f):
    """The function with tanh(x) less by a millionth part."""

    def run(*xs):
        scope = {
            "hs": type(
                "Wrong",
                (),
                {**{k: getattr(hs, k) for k in dir(hs)}, "tanh": lambda x: hs.tanh(x) * (1 - 1e-6)},
            )
        }
        return type(f)(f.__code__, scope)(*xs)

    return run
