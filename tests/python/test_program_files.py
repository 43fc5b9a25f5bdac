"""Programs as files: what is saved is what is loaded, elsewhere too, and what is damaged is refused."""

from __future__ import annotations

import dataclasses
import enum
import functools
import itertools
import subprocess
import sys
import textwrap
from typing import NamedTuple

import numpy as np
import pytest
from hs_tools import Cases, arrays_of
from op_entry import Call
from op_table import TABLE

import hesse as hs


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check_same(a, b):
    x, y = hs.tree_leaves(a), hs.tree_leaves(b)
    assert hs.tree_structure(a) == hs.tree_structure(b)
    for u, v in zip(x, y, strict=True):
        if u.dtype == hs.key:
            assert hs.array_equal(hs.random.bits(u, (4,)), hs.random.bits(v, (4,)))
        else:
            assert same_bits(u, v)


@pytest.fixture
def saved(tmp_path):
    """saved(f, *args): f, compiled, and as a file holds it."""
    count = itertools.count()

    def make(f, *args, **kwargs):
        path = tmp_path / f"{next(count)}.hesse"
        hs.save_program(path, f, *args, **kwargs)
        return hs.load_program(path)

    return make


# every op ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("entry", [e for e in TABLE if e.compiles], ids=lambda e: e.name)
def test_every_op(entry, saved):
    cases = Cases()
    accepted = entry.accepted()
    dtypes = [d for d in ("float64", "complex128", "int64", "bool", "float32") if d in accepted] or accepted
    for dtype, sample in itertools.product(dtypes[:3], entry.samples):
        call = Call(entry, sample, dtype)
        with cases.case(f"{entry.name} {sample} {dtype}"):
            arrays = arrays_of(call.arrays)
            f = hs.compile(lambda *xs, call=call: call.run(hs, list(xs)))
            check_same(saved(f, *arrays)(*arrays), f(*arrays))
    cases.finish()


@pytest.mark.parametrize(
    "entry", [e for e in TABLE if e.compiles and e.differentiated()], ids=lambda e: e.name
)
def test_the_gradient_of_every_op(entry, saved):
    """The ops that derivatives are made of: transposes, products with residuals."""
    cases = Cases()
    for sample in [s for s in entry.samples if s.diff][:2]:
        call = Call(entry, sample, entry.differentiated()[0])
        if not call.taken:
            continue
        with cases.case(f"{entry.name} {sample}"):
            fixed = arrays_of(call.arrays)

            def loss(*xs, call=call, fixed=fixed):
                full = list(fixed)
                for i, x in zip(call.taken, xs, strict=True):
                    full[i] = x
                out = [y for y in call.run(hs, full) if y.dtype.kind in "fc"]
                return sum(hs.sum(hs.real(y * y)) for y in out)

            xs = [fixed[i] for i in call.taken]
            f = hs.compile(hs.grad(loss, argnums=tuple(range(len(xs)))))
            check_same(saved(f, *xs)(*xs), f(*xs))
    cases.finish()


# what holds graphs -------------------------------------------------------------------------------------------------------
@hs.custom_vjp
def clipped(x):
    return x


clipped.defvjp(lambda x: (x, None), lambda _, ct: (0.5 * ct,))


@hs.custom_jvp
def softened(x):
    return hs.abs(x)


softened.defjvp(lambda p, t: (softened(*p), hs.tanh(p[0]) * t[0]))

inner = hs.compile(lambda x: hs.sin(x) * 2.0)

CONTROL = {
    "map": lambda x: hs.vmap(lambda a: hs.sin(a) * hs.sum(x))(x),
    "map that gathers": lambda x: hs.map(
        lambda a: 2.0 * a, None, [x], [("gather", 0)], ("segment_sum", 1, 2), [[0, 2, 1], [1, 0, 0]]
    ),
    "scan": lambda x: hs.scan(lambda c, a: (c * hs.cos(a), c + a), 1.0, x),
    "scan backwards": lambda x: hs.scan(lambda c, a: (c * hs.cos(a), c + a), 1.0, x, reverse=True),
    "while_loop": lambda x: hs.while_loop(lambda c: hs.sum(c) < 50.0, lambda c: c * 1.5 + x, x),
    "fori_loop": lambda x: hs.fori_loop(0, 7, lambda i, c: c + i * x, x),
    "cond": lambda x: hs.cond(x[0] > 0.0, lambda x: hs.sin(x), lambda x: x * 3.0, x),
    "switch": lambda x: hs.switch(hs.array(1), [hs.sin, hs.cos, hs.exp], x),
    "checkpoint": lambda x: hs.checkpoint(lambda x: hs.sin(hs.sin(x)))(x),
    "custom_vjp": lambda x: clipped(x) ** 2,
    "custom_jvp": lambda x: softened(x) ** 2,
    "call": lambda x: inner(x) + inner(2.0 * x),
    "random": lambda x: x + hs.random.normal(hs.random.key(3), (3,)),
    "partials": lambda x: hs.vmap(lambda a: hs.stack(hs.partials(lambda t: hs.sin(t) ** 3, (a,), ["", "t", "tt"])))(x),
    "literals": lambda x: hs.where(x > 1.0, hs.full((3,), hs.inf), hs.full((3,), -0.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTROL)
def test_control_flow(name, saved):
    f, x = CONTROL[name], hs.array([0.3, 1.1, 0.7])
    check_same(saved(f, x)(x), hs.compile(f)(x))

    def loss(x):
        return sum(hs.sum(y) for y in hs.tree_leaves(f(x)))

    check_same(saved(hs.grad(loss), x)(x), hs.compile(hs.grad(loss))(x))
    loaded = saved(loss, x)  # differentiated after loading: every mixture
    for outer, inside in itertools.product((hs.jacfwd, hs.jacrev), repeat=2):
        check_close(outer(inside(loaded))(x), outer(inside(loss))(x))


def check_close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12, atol=1e-12)


def test_a_training_step(saved):
    net = hs.nn.MLP([2, 8, 8, 1], key=hs.random.key(0))
    adam = hs.optim.adam(1e-2)
    x = hs.random.normal(hs.random.key(1), (16, 2))

    def step(net, state, x):
        loss, grad = hs.value_and_grad(lambda net: hs.mean(hs.vmap(net)(x) ** 2))(net)
        return *adam.update(grad, state, net), loss

    state = adam.init(net)
    loaded, compiled = saved(step, net, state, x), hs.compile(step)
    a, b = (net, state), (net, state)
    for _ in range(3):
        *a, loss_a = loaded(*a, x)
        *b, loss_b = compiled(*b, x)
        check_same(loss_a, loss_b)
    check_same(a, b)
    assert type(a[0]) is type(net)


# how it is used ----------------------------------------------------------------------------------------------------------
def test_it_is_a_function_like_others(saved):
    f = saved(lambda x: hs.sin(x) ** 2, 0.5)
    xs = hs.linspace(0.0, 1.0, 5)
    check_close(hs.vmap(f)(xs), hs.sin(xs) ** 2)
    check_close(hs.vmap(hs.grad(f))(xs), hs.sin(2.0 * xs))
    check_close(hs.grad(hs.grad(f))(0.3), 2.0 * np.cos(0.6))
    check_close(hs.compile(lambda x: f(x) + 1.0)(0.3), np.sin(0.3) ** 2 + 1.0)
    assert "1 equations" in f.explain() or "equations" in f.explain()
    assert f.graph.count("sin") == 1 and f.program.count() >= 1
    again = saved(lambda x: f(x) + 1.0, 0.5)
    check_close(again(0.3), np.sin(0.3) ** 2 + 1.0)
    assert "LoadedProgram" in repr(f)


def test_captured_arrays_are_constants(saved):
    w = hs.array([1.0, 2.0])

    def make(w):
        return lambda x: x * w

    f = saved(make(w), w)
    check_same(f(hs.array([3.0, 4.0])), hs.array([3.0, 8.0]))
    assert f.graph.num_inputs == 1


def test_methods(tmp_path):
    f = hs.compile(lambda x: 2.0 * x)
    f.save(tmp_path / "f.hesse", 1.0)
    check_same(hs.load_program(str(tmp_path / "f.hesse"))(3.0), hs.array(6.0))


def test_inside_a_derivative(tmp_path):
    def loss(w):
        hs.save_program(tmp_path / "f.hesse", lambda x: x * w, 1.0)
        return w

    with pytest.raises(hs.TraceError, match="save_program: .* being differentiated"):
        hs.grad(loss)(2.0)


class Pair(NamedTuple):
    a: object
    b: object


@dataclasses.dataclass
class State:
    x: object
    rate: float = dataclasses.field(metadata={"static": True}, default=0.5)
    table: dict = dataclasses.field(default_factory=dict)


class Mode(enum.Enum):
    FAST = 1


@pytest.mark.parametrize(
    "tree",
    [
        1.0,
        (1.0, [hs.array([1, 2]), {"b": hs.array(True), "a": None}]),
        Pair(1.0, hs.array([2.0])),
        State(hs.array([1.0, 2.0]), 0.25, {1: hs.array(3.0)}),
        hs.nn.MLP([1, 3, 1], activation=hs.sin, key=hs.random.key(0)),
        hs.random.key(2),
    ],
    ids=["number", "containers", "named tuple", "dataclass", "module", "key"],
)
def test_trees(tree, saved):
    f = saved(lambda tree: (tree, {"again": tree}), tree)
    first, second = f(tree)
    check_same(first, hs.compile(lambda t: t)(tree))
    check_same(second["again"], first)
    assert hs.tree_structure(first) == hs.tree_structure(tree)


def test_static_arguments(saved):
    f = hs.compile(
        lambda x, n, how=None: x**n if how is Mode.FAST else x, static_argnums=1, static_argnames="how"
    )
    loaded = saved(f, 3.0, 2, how=Mode.FAST)
    check_same(loaded(3.0, 2, how=Mode.FAST), hs.array(9.0))
    with pytest.raises(
        ValueError, match=r"argument 1 \(n\) is static and is 3, but this program was saved for 2"
    ):
        loaded(3.0, 3, how=Mode.FAST)
    with pytest.raises(ValueError, match="argument how is static and is None"):
        loaded(3.0, 2, how=None)
    with pytest.raises(TypeError, match="a static argument of <lambda> holds a object"):
        saved(hs.compile(lambda x, o: x, static_argnums=1), 1.0, object())


def norm(scale, x, *, shift=0.0):
    return scale * hs.sum(x["u"]) + shift


def test_other_arguments_are_refused_by_name(saved):
    f = saved(norm, 1.0, {"u": hs.zeros((3,))}, shift=0.0)
    u = {"u": hs.ones((3,))}
    check_same(f(2, u, shift=1), hs.array(7.0))
    check_same(f(hs.array(2.0), {"u": np.ones(3)}, shift=np.float64(1.0)), hs.array(7.0))
    for args, kwargs, says in [
        ((1.0, {"u": hs.ones((4,))}), {"shift": 0.0}, r"norm: argument 1 \(x\) at \['u'\] is float64\[4\], but this program was saved for float64\[3\]"),
        ((1.0, {"u": hs.ones((3,), dtype="float32")}), {"shift": 0.0}, r"argument 1 \(x\) at \['u'\] is float32\[3\]"),
        ((1.0, {"v": hs.ones((3,))}), {"shift": 0.0}, r"argument 1 \(x\) is \{'v': \*\}, but .* \{'u': \*\}"),
        ((1.0,), {"shift": 0.0}, r"1 positional argument\(s\) are given, but .* for 2"),
        ((1.0, u), {}, r"the keywords are \[\], but .*\['shift'\]"),
        ((1.0, u), {"shift": 1j}, r"argument \['shift'\] is a Python complex128 number"),
        ((hs.ones((2,)), u), {"shift": 0.0}, r"argument 0 \(scale\) is float64\[2\], but .* float64\[\]"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=says):
            f(*args, **kwargs)


def test_code_is_refused_by_name(saved):
    def callback(x):
        return hs.callback(np.sin, hs.ShapeDtype(()), x)

    def prints(x):
        hs.debug.print("{}", x)
        return x

    with pytest.raises(
        TypeError, match=r'holds the op callback "sin" \(.*test_program_files.py:\d+\).*take it out'
    ):
        saved(callback, 1.0)
    with pytest.raises(TypeError, match=r'prints holds the op callback "debug.print"'):
        saved(prints, 1.0)
    with pytest.raises(TypeError, match="callback"):
        saved(hs.vmap(callback), hs.ones((3,)))

    @dataclasses.dataclass
    class Local:
        x: object

    with pytest.raises(TypeError, match="Local, which no module has under its name"):
        saved(lambda s: s, Local(1.0))


# another process ---------------------------------------------------------------------------------------------------------
WRITER = """
import sys, dataclasses, hesse as hs
from state_of_test import State

def step(state, x):
    return State(state.x - 0.1 * hs.grad(lambda w: hs.sum((w * x - 1.0) ** 2))(state.x), state.count + 1)

hs.save_program(sys.argv[1], step, State(hs.ones((2,)), 0), hs.array([1.0, 2.0]))
print(hs.compile(step)(State(hs.ones((2,)), 0), hs.array([1.0, 2.0])))
"""
READER = """
import sys, hesse as hs
from state_of_test import State
step = hs.load_program(sys.argv[1])
print(step(State(hs.ones((2,)), 0), hs.array([1.0, 2.0])))
"""


def python(code, *args, cwd):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_another_process(tmp_path):
    (tmp_path / "state_of_test.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass State:\n    x: object\n    count: object\n"
    )
    path = tmp_path / "step.hesse"
    wrote = python(WRITER, path, cwd=tmp_path)
    assert wrote.returncode == 0, wrote.stderr
    read = python(READER, path, cwd=tmp_path)
    assert read.stdout == wrote.stdout and read.returncode == 0, read.stderr
    with pytest.raises(
        ValueError, match="an argument of step needs state_of_test:State, which cannot be found .*importable"
    ):
        hs.load_program(path)


# damage ------------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "f.hesse"
    hs.save_program(
        path,
        lambda x: hs.scan(lambda c, a: (c + a * hs.arange(40.0), c[0]), hs.zeros((40,)), x),
        hs.ones((3,)),
    )
    return path.read_bytes()


def test_truncated_files(whole, tmp_path):
    path = tmp_path / "short.hesse"
    for n in sorted({0, 1, 7, 8, 39, 40, 41, *range(0, len(whole), 97), len(whole) - 1}):
        path.write_bytes(whole[:n])
        with pytest.raises(ValueError, match=r"load_program: .*short\.hesse: (truncated|it was damaged)"):
            hs.load_program(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="1 bytes follow its end"):
        hs.load_program(path)


def test_every_flipped_byte(whole, tmp_path):
    """All of the head, and bits all over the rest: refused, and quickly (no absurd allocations)."""
    path = tmp_path / "flipped.hesse"
    places = [(i, bit) for i in range(40) for bit in range(8)]
    places += [(i, i % 8) for i in range(40, len(whole), 13)]
    for i, bit in places:
        damaged = bytearray(whole)
        damaged[i] ^= 1 << bit
        path.write_bytes(damaged)
        with pytest.raises(hs.FormatError, match=r"load_program: .*flipped\.hesse: "):
            hs.load_program(path)


def test_another_version(whole, tmp_path):
    path = tmp_path / "later.hesse"
    path.write_bytes(whole[:8] + (7).to_bytes(4, "little") + whole[12:])
    with pytest.raises(
        hs.FormatError, match=r"format version 7, this library \(\d.*\) reads version 1; save it again"
    ):
        hs.load_program(path)


def test_no_program(tmp_path):
    path = tmp_path / "other.hesse"
    path.write_bytes(b"x" * 100)
    with pytest.raises(hs.FormatError, match="it is no saved program"):
        hs.load_program(path)
    with pytest.raises(FileNotFoundError, match="load_program: there is no file"):
        hs.load_program(tmp_path / "nothing.hesse")
    with pytest.raises(hs.FileError, match="is not a regular file"):
        hs.load_program(tmp_path)
    with pytest.raises(hs.FileError, match="cannot create the file"):
        hs.save_program(tmp_path / "no" / "folder.hesse", hs.sin, 1.0)


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "f.hesse"
    hs.save_program(path, hs.sin, 1.0)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        hs.save_program(path, lambda x: hs.callback(np.sin, hs.ShapeDtype(()), x), 1.0)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["f.hesse"]


def forged(whole, change):
    """The file with its text changed and the checksum made again: what only a defect of a writer would give."""
    size = int.from_bytes(whole[16:24], "little")
    text = change(whole[40 : 40 + size])
    head = whole[:16] + len(text).to_bytes(8, "little") + whole[24:32]
    body = text + whole[40 + size :]
    state = 0xCBF29CE484222325
    for byte in head + body:
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    return head + state.to_bytes(8, "little") + body


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda t: t.replace(b'"op":"add"', b'"op":"subtractor"'), "there is no op subtractor"),
        (lambda t: t.replace(b'"num_carry",1', b'"num_carry",1.5'), "parameter num_carry is of another type"),
        (lambda t: t.replace(b'["num_carry"', b'["num_carries"'), "parameter num_carry is missing"),
        (lambda t: t.replace(b'"shape":[40]', b'"shape":[4611686018427387904]'), "constant"),
        (lambda t: t.replace(b'"float64"', b'"float65"'), "float65"),
        (lambda t: t.replace(b'"equations"', b'"equation"'), "an entry is missing"),
        (lambda t: t[:-5], "not valid JSON"),
        (lambda t: t.replace(b'"in":[', b'"in":[99,'), "value 99 is not there"),
    ],
)
def test_defects_of_writers(whole, tmp_path, change, says):
    path = tmp_path / "forged.hesse"
    path.write_bytes(forged(whole, lambda t: t))
    hs.load_program(path)
    path.write_bytes(forged(whole, change))
    with pytest.raises(hs.FormatError, match=says):
        hs.load_program(path)


def test_options_of_modules(saved):
    """They are compared by ==; the message names the one that differs."""
    x = hs.ones((1,))
    nets = [hs.nn.MLP([1, 2, 1], activation=f, key=hs.random.key(0)) for f in (hs.sin, hs.cos)]
    loaded = saved(lambda net, x: net(x), nets[0], x)
    check_same(loaded(nets[0], x), hs.compile(lambda net, x: net(x))(nets[0], x))
    with pytest.raises(ValueError, match=r"argument 0 \(net\) is of .*cos.* at \.activation, but .*sin"):
        loaded(nets[1], x)
    partial = hs.nn.MLP([1, 2, 1], activation=functools.partial(hs.clip, min=0.0), key=hs.random.key(0))
    with pytest.raises(
        TypeError, match="argument of <lambda> holds partial, which no module has under its name"
    ):
        saved(lambda net, x: net(x), partial, x)
