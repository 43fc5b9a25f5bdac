"""What compiled functions refuse, and what the message says: which argument, what was given, what to do."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

import hesse as hs

x = hs.array([1.0, 2.0, 3.0])
VALUE = r": the value of a symbol {what} \(.*test_compile_errors\.py:\d+\) was asked for while a function is being recorded; use where or cond"

# name: the function, who asks, for what
VALUES = {
    "float": (lambda v: v * float(v[0]), "float", r"float64\[\]"),
    "int": (lambda v: v * int(v[0]), "int", r"float64\[\]"),
    "complex": (lambda v: v * complex(v[0]), "complex", r"float64\[\]"),
    "bool": (lambda v: bool(v[0]) and v, "bool", r"float64\[\]"),
    "if": (lambda v: v if v[0] > 0.0 else -v, "bool", r"bool\[\]"),
    "and": (lambda v: (v[0] > 0.0) and v, "bool", r"bool\[\]"),
    "not": (lambda v: v * (not v[0]), "bool", r"float64\[\]"),
    "assert": (lambda v: _asserted(hs.all(v > 0.0)), "bool", r"bool\[\]"),
    "while": (lambda v: _halved(v), "bool", r"bool\[\]"),
    "max of Python": (lambda v: max(v[0], v[1]), "bool", r"bool\[\]"),
    "sorted": (lambda v: sorted(v)[0], "bool", r"bool\[\]"),
    "in": (lambda v: v if 1.0 in v else -v, "in", r"bool\[\]"),
    "NumPy": (lambda v: np.asarray(v), r"np\.asarray", r"float64\[3\]"),
    "NumPy of a list": (lambda v: np.array([v[0], v[1]]), r"np\.asarray", r"float64\[\]"),
    "math": (lambda v: math.sin(v[0]), "float", r"float64\[\]"),
    "item": (lambda v: v[0].item(), "item", r"float64\[\]"),
    "tolist": (lambda v: hs.sum(v) + v.tolist()[0], "tolist", r"float64\[3\]"),
    "index of a list": (lambda v: [1.0, 2.0][hs.argmax(v)], "index", r"int64\[\]"),
    "bound of a slice": (lambda v: v[: hs.argmax(v)], "index", r"int64\[\]"),
    "length": (lambda v: hs.zeros(hs.argmax(v)), "index", r"int64\[\]"),
    "shape": (lambda v: v.reshape(hs.argmax(v), -1), "index", r"int64\[\]"),
    "range": (lambda v: sum(i * v for i in range(hs.argmax(v))), "index", r"int64\[\]"),
    "DLPack": (lambda v: np.from_dlpack(v), "__dlpack__", r"float64\[3\]"),
}  # fmt: skip


def _asserted(condition):
    assert condition
    return 1.0


def _halved(v):
    while v[0] > 1.0:
        v = v / 2.0
    return v


@pytest.mark.parametrize("inside", ["", "vmap", "grad"])
@pytest.mark.parametrize("name", VALUES)
def test_values_asked_for_while_recording(name, inside):
    f, who, what = VALUES[name]
    g, args = f, (x,)
    if inside == "vmap":
        g, args = hs.vmap(f), (hs.stack([x, x]),)
    if inside == "grad":
        g = hs.grad(lambda v: hs.sum(hs.asarray(f(v))))
    with pytest.raises(hs.TraceError, match=f"^{who}{VALUE.format(what=what)}"):
        hs.compile(g)(*args)
    assert not hs.in_trace()


def test_the_line_that_made_the_symbol_is_named():
    def f(v):
        w = v * 2.0
        return v if w[0] > 0.0 else -v

    with pytest.raises(hs.TraceError) as info:
        hs.compile(f)(x)
    line = int(re.search(r"test_compile_errors\.py:(\d+)\)", str(info.value))[1])
    assert line == f.__code__.co_firstlineno + 2  # where the comparison was made
    assert "make the argument static" in str(info.value)


class TestSideEffects:
    def test_a_symbol_kept_in_a_list(self):
        kept = []

        def f(v):
            kept.append(v * 2.0)
            return v

        assert hs.array_equal(hs.compile(f)(x), x)
        with pytest.raises(
            hs.TraceError,
            match=r"^add: the operand float64\[3\], made at .*test_compile_errors\.py:\d+, is a symbol whose trace has ended; "
            "return it from the traced function instead of keeping it",
        ):
            kept[0] + 1.0

    @pytest.mark.parametrize("sort", ["list", "dict", "nonlocal", "appended"])
    def test_arrays_stored_in_what_was_captured(self, sort):
        """The function works on a copy of what it captured, in which the change would be lost."""
        total, state = (
            hs.zeros(3),
            {"list": [hs.zeros(3)], "dict": {"total": hs.zeros(3)}, "appended": [hs.zeros(3)]}.get(sort),
        )

        @hs.compile
        def step(v):
            nonlocal total
            if sort == "list":
                state[0] = state[0] + v
            elif sort == "dict":
                state["total"] = state["total"] + v
            elif sort == "appended":
                state.append(v)
            else:
                total = total + v
            return v

        name = "total" if sort == "nonlocal" else "state"
        message = (
            f"^compile: .*step stored an array in {name}, which it captured, while it was recorded; later calls would not do so. "
            "Return the array, and pass what changes as an argument"
        )
        for _ in range(2):  # nothing half-made is kept
            with pytest.raises(hs.TraceError, match=message):
                step(x)
        assert step.cache_size == 0 and not hs.in_trace()
        assert hs.array_equal(total, hs.zeros(3))
        if sort == "appended":
            assert len(state) == 1

    def test_reading_and_counting_are_allowed(self):
        weights, counts = [hs.ones(3), hs.ones(3)], {"recorded": 0}

        @hs.compile
        def f(v):
            counts["recorded"] += 1
            local = list(weights)
            local[0] = local[0] * v
            return local[0] + local[1]

        for _ in range(3):
            assert hs.array_equal(f(x), x + 1.0)
        assert counts["recorded"] == 1

    def test_assignment_to_an_argument(self):
        def f(v):
            v[0] = 1.0
            return v

        with pytest.raises(
            TypeError, match=r"immutable: instead of x\[i\] = y write x = x\.at\[i\]\.set\(y\)"
        ):
            hs.compile(f)(x)


class TestRecording:
    """RecompilationWarning names what changes."""

    def warned(self, f, calls):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for args, kwargs in calls:
                f(*args, **kwargs)
        (warning,) = caught
        assert warning.category is hs.RecompilationWarning and warning.filename == __file__
        return str(warning.message)

    @pytest.mark.parametrize(
        "call, says",
        [
            (lambda n: ((x, hs.zeros(n)), {}), r"args\[1\] is float64\[8\], was float64\[7\]"),
            (
                lambda n: ((x, {"points": hs.zeros((n, 2))}), {}),
                r"args\[1\]\['points'\] is float64\[8, ?2\], was float64\[7, ?2\]",
            ),
            (lambda n: ((x,), {"y": hs.zeros(n)}), r"kwargs\['y'\] is float64\[8\], was float64\[7\]"),
            (lambda n: ((x,), {"y": [hs.zeros(1), hs.zeros(n)]}), r"kwargs\['y'\]\[1\] is float64\[8\]"),
        ],
    )
    def test_the_argument(self, call, says):
        def step(v, y):
            return v

        message = self.warned(hs.compile(step, maxsize=3), [call(n) for n in range(1, 9)])
        assert re.search(f"^compile: .*step has been recorded 8 times, now because {says}", message)
        assert "pad arrays to a few shapes" in message

    def test_a_captured_array(self):
        message, state = "", {}

        def f(v):
            return v + hs.sum(state["y"])

        def with_length(n):
            state["y"] = hs.zeros(n)
            return (x,), {}

        message = self.warned(hs.compile(f), (with_length(n) for n in range(1, 9)))
        assert "a captured array is float64[8], was float64[7]" in message

    def test_dtypes(self):
        kinds = [hs.float32, hs.float64, hs.int8, hs.int16, hs.int32, hs.int64, hs.uint8, hs.uint16]
        message = self.warned(hs.compile(lambda v: v), [((hs.zeros(2, dtype=d),), {}) for d in kinds])
        assert "args[0] is uint16[2], was uint8[2]" in message


def scaled(v, k=2, *, mode="plain"):
    return v * k if mode == "plain" else v


class TestStaticArguments:
    @pytest.mark.parametrize(
        "how, args, kwargs, says",
        [
            (
                {"static_argnums": 1},
                (x, [1]),
                {},
                "k of scaled is of type list, which cannot be hashed; make it a tuple, a string or a number",
            ),
            (
                {"static_argnames": "mode"},
                (x,),
                {"mode": {}},
                "mode of scaled is of type dict, which cannot be hashed; make it a tuple",
            ),
            (
                {"static_argnums": 0},
                (x,),
                {},
                "v of scaled is of type Array, which cannot be hashed; pass it as an ordinary argument",
            ),
            (
                {"static_argnums": 0},
                (np.ones(2),),
                {},
                "v of scaled is of type ndarray, which cannot be hashed; pass it as an ordinary argument",
            ),
        ],
    )
    def test_unhashable(self, how, args, kwargs, says):
        with pytest.raises(TypeError, match=f"^compile: the static argument {says}"):
            hs.compile(scaled, **how)(*args, **kwargs)

    def test_unhashable_of_many(self):
        with pytest.raises(
            TypeError,
            match=r"^compile: the static argument args\[2\] of .* is of type set, which cannot be hashed",
        ):
            hs.compile(lambda *a: a[0], static_argnums=2)(x, x, set())

    @pytest.mark.parametrize(
        "how, error, says",
        [
            ({"static_argnums": 2}, ValueError, "static_argnums holds 2, scaled has 2 positional arguments; expected 0 to 1"),
            ({"static_argnums": (0, -3)}, ValueError, "static_argnums holds -3, scaled has 2 positional arguments; expected 0 to 1"),
            ({"static_argnames": "nope"}, ValueError, "static_argnames holds 'nope', scaled has no such argument; expected one of v, k, mode"),
            ({"static_argnums": "k"}, TypeError, "static_argnums is 'k'; expected an integer or a sequence of integers"),
            ({"static_argnums": 1.0}, TypeError, r"static_argnums is 1\.0; expected an integer"),
            ({"static_argnums": (1, None)}, TypeError, "static_argnums holds None; expected an integer"),
            ({"static_argnums": True}, TypeError, "static_argnums is True; expected an integer"),
            ({"static_argnames": 1}, TypeError, "static_argnames is 1; expected a name or a sequence of names"),
            ({"static_argnames": ("k", 2)}, TypeError, "static_argnames holds 2; expected a name"),
            ({"maxsize": 1.5}, TypeError, r"maxsize is 1\.5; expected an integer"),
            ({"maxsize": 0}, ValueError, "maxsize is 0; keep at least one version"),
        ],
    )  # fmt: skip
    def test_declarations(self, how, error, says):
        with pytest.raises(error, match=f"^compile: {says}"):
            hs.compile(scaled, **how)
        with pytest.raises(error, match=f"^compile: {says}"):
            hs.compile(**how)(scaled)

    def test_by_position_and_by_name_alike(self):
        """An argument that is declared in one way is static when passed in the other."""

        def f(v, flag):
            return v if flag else -v

        for how in ({"static_argnums": 1}, {"static_argnames": "flag"}, {"static_argnums": -1}):
            g = hs.compile(f, **how)
            assert hs.array_equal(g(x, True), x) and hs.array_equal(g(x, flag=False), -x)

    def test_functions_of_any_arguments(self):
        f = hs.compile(
            lambda *args, **kwargs: args[0] if kwargs["how"] == "plus" else -args[0],
            static_argnames="how",
            static_argnums=5,
        )
        assert hs.array_equal(f(x, how="minus"), -x)


class TestResults:
    @pytest.mark.parametrize(
        "result, what",
        [
            ("text", " is a str"),
            ({"a": 1.0, "b": "text"}, r"\['b'\] is a str"),
            ((1.0, math.sin), r"\[1\] is a "),
            ({1.0}, " is a set"),
            ([1.0, {"k": (2.0, b"x")}], r"\[1\]\['k'\]\[1\] is a bytes"),
            (object(), " is a object"),
        ],
    )
    def test_what_is_no_array(self, result, what):
        def made(v):
            return result

        for f in (made, hs.vmap(made)):
            with pytest.raises(
                TypeError, match=f"the output of .*made.*{what}.*it must be an array or a number"
            ):
                hs.compile(f)(x)

    def test_a_generator(self):
        with pytest.raises(
            TypeError, match="compile: the output of .* is a generator; it must be an array or a number"
        ):
            hs.compile(lambda v: (a for a in v))(x)


# Memory ------------------------------------------------------------------------------------------------------------------
LIMITED = """
    import resource
    import numpy as np
    import hesse as hs

    hs.set_num_threads({threads})
    v, x = hs.asarray(np.ones(8000)), hs.asarray(np.ones(16))
    one = lambda a: hs.sum(hs.tanh(hs.outer(v * a, v)) * hs.outer(v, v * a))
    hs._hesse._set_run_examples(hs._hesse._RunExamples.{how})
    f = {f}
    for n in (1, 2):  # what is needed besides is there
        hs.compile(lambda x: hs.sum(hs.vmap(lambda a: hs.sum(hs.tanh(hs.outer(v[:9] * a, v[:9]))))(x)))(x)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)
    for n in (1, 2):  # and again
        try:
            f(x)
        except MemoryError as error:
            print("MemoryError", error)
    print("alive", float(hs.sum(hs.vmap(hs.cos)(hs.zeros(3)))))
"""
RUNS = {
    "map": ("hs.vmap(one)", r"map: not enough memory for a tile of 1 example, .* [MG]iB; the largest value of one example is float64\[8000, ?8000\]\. Make examples smaller"),
    "compiled map": ("hs.compile(lambda x: hs.sum(hs.vmap(one)(x)))", r"map: not enough memory for (a tile of 1 example, .* is|an array) float64\[8000, ?8000\]"),
    "gradient": ("hs.compile(hs.grad(lambda x: hs.sum(hs.vmap(one)(x))))", r"map: .*tile of 1 example, .* is float64\[8000, ?8000\]"),
    "map in a loop": ("hs.compile(lambda x: hs.fori_loop(0, 3, lambda i, c: c + hs.sum(hs.vmap(one)(x)), 0.0))", "map: .*(tile of 1 example|a sum over examples)"),
    "result of a map": ("hs.compile(lambda x: hs.vmap(lambda a: hs.outer(v * a, v))(x))", r"map: not enough memory for an array float64\[16, ?8000, ?8000\] \(7\.63 GiB\); take fewer examples"),
    "map one by one": ("hs.vmap(one)", r"[a-z_]+: not enough memory for an array float64\[8000, ?8000\] \(488\.3 MiB\); take fewer examples at a time, or a smaller dtype"),
    "eager": ("lambda x: one(x[0])", r"[a-z_]+: not enough memory for an array float64\[8000, ?8000\] \(488\.3 MiB\); take fewer examples at a time, or a smaller dtype"),
}  # fmt: skip


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits the address space as Linux counts it"
)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", RUNS)
def test_memory_that_is_not_there(name, threads):
    f, message = RUNS[name]
    how = "one_by_one" if "one by one" in name else "on_lanes"
    code = textwrap.dedent(LIMITED.format(f=f, threads=threads, how=how))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    lines = run.stdout.splitlines()
    assert run.returncode == 0 and len(lines) == 3 and lines[2] == "alive 3.0", run
    for line in lines[:2]:
        assert re.search(f"^MemoryError {message}", line), line
