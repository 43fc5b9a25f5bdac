"""What is refused, and what the message says: the function, the argument, what was given, what to do."""

import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import hesse as hs

x = hs.array([1.0, 2.0, 3.0])
m = hs.ones((2, 3))

CASES = {
    "list operand": (
        lambda: hs.exp([1.0]),
        TypeError,
        r"exp: expected an array or a number, got list; hs\.asarray",
    ),
    "string operand": (lambda: hs.add(x, "a"), TypeError, "add: expected an array or a number, got str"),
    "missing operand": (lambda: hs.add(x), TypeError, "exactly two"),
    "broadcast": (lambda: x + hs.ones(2), ValueError, r"add.*\(3,\).*\(2,\)"),
    "reshape": (lambda: x.reshape(2, 2), ValueError, r"reshape.*\(3,\).*\(2, 2\)"),
    "axis": (lambda: hs.sum(x, axis=1), IndexError, "sum: axis 1 is out of range for 1 dim"),
    "repeated axis": (lambda: hs.sum(m, axis=(0, 0)), ValueError, "sum.*axis"),
    "index": (lambda: x[3], IndexError, "index 3 is out of range for axis 0 of length 3"),
    "too many indices": (lambda: x[0, 0], IndexError, "getitem"),
    "float index": (lambda: x[1.0], IndexError, "an index must be an integer.*got float"),
    "string index": (lambda: x["a"], IndexError, "got str"),
    "assignment": (lambda: x.__setitem__(0, 1.0), TypeError, r"immutable.*x\.at\[i\]\.set\(y\)"),
    "deletion": (lambda: x.__delitem__(0), TypeError, "immutable"),
    "truth": (lambda: bool(x), ValueError, r"truth of an array of shape \(3,\) is ambiguous.*hs\.any"),
    "float of many": (lambda: float(x), ValueError, "item"),
    "float of complex": (lambda: float(hs.array(1j)), TypeError, r"complex.*hs\.real"),
    "index of float": (lambda: [1][hs.array(0.0)], TypeError, "integer array"),
    "item of many": (lambda: x.item(), ValueError, r"item: the array has shape \(3,\)"),
    "len of scalar": (lambda: len(hs.array(1.0)), TypeError, "no length"),
    "iterating a scalar": (lambda: list(hs.array(1.0)), TypeError, "cannot be iterated"),
    "unknown dtype": (
        lambda: hs.zeros(2, dtype="float16"),
        TypeError,
        "'float16' is not a dtype of Hesse; there are",
    ),
    "NumPy dtype": (lambda: hs.array(np.zeros(2, np.float16)), TypeError, "float16.*astype"),
    "strings": (lambda: hs.array(np.array(["a"])), TypeError, "<U1.*no counterpart"),
    "objects": (lambda: hs.array(np.array([None])), TypeError, "object.*no counterpart"),
    "ragged list": (lambda: hs.array([[1.0], [1.0, 2.0]]), ValueError, "different shapes"),
    "ragged arrays": (lambda: hs.array([x, m]), ValueError, r"different shapes, \(3,\) and \(2, 3\)"),
    "big integer": (lambda: hs.array(2**64), (ValueError, TypeError), "64 bits|object"),
    "big operand": (lambda: x + 2**64, ValueError, "18446744073709551616 does not fit into 64 bits"),
    "shape of floats": (lambda: hs.zeros((1.5,)), TypeError, "zeros"),
    "negative shape": (lambda: hs.zeros((-1,)), ValueError, "zeros"),
    "matmul": (lambda: m @ m, ValueError, r"matmul.*\(2, 3\)"),
    "constructor": (lambda: hs.Array([1.0]), TypeError, "cannot create"),
    # Transforms
    "not a function": (lambda: hs.grad(3.0), TypeError, "grad: expected a function, got float"),
    "integer argument": (
        lambda: hs.grad(hs.sin)(2),
        TypeError,
        r"grad: argument 0 has dtype int.*write 2\.0",
    ),
    "integer array": (lambda: hs.grad(hs.sum)(hs.arange(3)), TypeError, "argument 0 has dtype int64.*astype"),
    "nothing to differentiate": (lambda: hs.grad(lambda p: 1.0)({"n": 1}), TypeError, "holds no floating"),
    "text argument": (lambda: hs.grad(lambda s: 1.0)("a"), TypeError, "argument 0 has dtype str"),
    "vector loss": (
        lambda: hs.grad(hs.sin)(x),
        ValueError,
        r"grad: the function returned shape \(3,\); expected a scalar",
    ),
    "complex loss": (lambda: hs.grad(lambda v: v * 1j)(1.0), TypeError, "complex128"),
    "integer loss": (lambda: hs.grad(lambda v: 1)(1.0), TypeError, "int64"),
    "tree loss": (
        lambda: hs.grad(lambda v: {"loss": v})(1.0),
        TypeError,
        r"returned \{'loss': \*\}.*has_aux",
    ),
    "text loss": (lambda: hs.grad(lambda v: "a")(1.0), TypeError, "output of <lambda> is a str"),
    "text in the output": (
        lambda: hs.vmap(lambda v: {"a": [v, "b"]})(x),
        TypeError,
        r"output of <lambda>\['a'\]\[1\] is a str",
    ),
    "argnums range": (
        lambda: hs.grad(hs.sin, 1)(1.0),
        IndexError,
        "argnums 1 is out of range for 1 positional",
    ),
    "argnums empty": (lambda: hs.grad(hs.sin, ())(1.0), ValueError, "argnums is empty"),
    "no aux": (lambda: hs.grad(hs.sin, has_aux=True)(1.0), TypeError, r"pair \(output, aux\)"),
    "jvp trees": (
        lambda: hs.jvp(lambda p: p["a"], ({"a": 1.0},), ({"b": 1.0},)),
        ValueError,
        r"do not match: expected \(\{'a': \*\},\), got \(\{'b': \*\},\)",
    ),
    "jvp count": (lambda: hs.jvp(hs.sin, (1.0,), (1.0, 2.0)), ValueError, "1 primals but 2 tangents"),
    "jvp shape": (lambda: hs.jvp(hs.sin, (x,), (hs.ones(2),)), ValueError, r"jvp.*\(2,\)"),
    "jvp of an integer": (lambda: hs.jvp(lambda n: n * 1.0, (2,), (1,)), TypeError, "jvp"),
    "vjp trees": (
        lambda: hs.vjp(lambda v: (v, v), 1.0)[1](1.0),
        ValueError,
        r"vjp: the trees do not match: expected \(\*, \*\), got \*",
    ),
    "vjp shape": (lambda: hs.vjp(hs.sin, x)[1](hs.ones(2)), ValueError, r"\(2,\)"),
    "hessian of a vector": (lambda: hs.hessian(hs.sin)(x), ValueError, "scalar"),
    "jacobian mode": (lambda: hs.jacobian(hs.sin, mode="up")(x), ValueError, "mode is 'up'"),
    "vmap scalar": (
        lambda: hs.vmap(lambda p: p["a"])({"a": 1.0}),
        ValueError,
        r"argument \[0\]\['a'\] is a scalar",
    ),
    "vmap lengths": (lambda: hs.vmap(hs.add)(x, hs.ones(2)), ValueError, "length 3.*2"),
    "vmap nothing": (lambda: hs.vmap(hs.sin, None)(x), ValueError, "no argument is mapped"),
    "vmap axes count": (lambda: hs.vmap(hs.add, (0,))(x, x), ValueError, "in_axes has 1 entries for 2"),
    "vmap axes kind": (lambda: hs.vmap(hs.sin, ("a",))(x), ValueError, r"in_axes\[0\] is 'a'"),
    "vmap axes tree": (
        lambda: hs.vmap(lambda p: p["a"], ({"b": 0},))({"a": x}),
        ValueError,
        "does not match",
    ),
    "vmap axis range": (lambda: hs.vmap(hs.sin, 1)(x), IndexError, "vmap: axis 1"),
    "vmap out None": (lambda: hs.vmap(hs.sin, out_axes=None)(x), ValueError, "out_axes=None"),
    "tree_map": (
        lambda: hs.tree_map(hs.add, [1.0], (1.0,)),
        ValueError,
        r"tree_map: the trees do not match: expected \[\*\], got \(\*,\)",
    ),
    "unflatten": (
        lambda: hs.tree_unflatten(hs.tree_structure([1, 2]), [1]),
        ValueError,
        "has 2 leaves, got 1",
    ),
    "scan pair": (lambda: hs.scan(lambda c, v: c, 0.0, x), TypeError, r"pair \(carry, y\), got Array"),
    "scan structure": (
        lambda: hs.scan(lambda c, v: ((c, c), v), 0.0, x),
        ValueError,
        r"structure from \* to \(\*, \*\)",
    ),
    "scan dtype": (
        lambda: hs.scan(lambda c, v: (c + v, v), 0, x),
        ValueError,
        "scan.*int64.*float64|scan.*float64.*int64",
    ),
    "scan length": (lambda: hs.scan(lambda c, v: (c, v), 0.0), ValueError, "scan.*length"),
    "while predicate": (
        lambda: hs.while_loop(lambda c: "a", lambda c: c, 0.0),
        TypeError,
        "bool scalar, got str",
    ),
    "cond predicate": (
        lambda: hs.cond(1.0, hs.sin, hs.cos, 1.0),
        TypeError,
        "cond: the predicate has dtype float64",
    ),
    "cond structures": (
        lambda: hs.cond(True, lambda v: v, lambda v: (v, v), 1.0),
        ValueError,
        r"different structures, \(\*, \*\) and \*",
    ),
    "cond shapes": (lambda: hs.cond(True, lambda v: v, lambda v: hs.sum(v), x), ValueError, "same shapes"),
    "switch empty": (lambda: hs.switch(0, [], 1.0), ValueError, "branches is empty"),
    "map access": (lambda: hs.map(hs.sin, 3, [x], ["all"]), ValueError, "unknown access 'all'"),
    "map count": (lambda: hs.map(hs.sin, 3, [x], []), ValueError, "0 entries for 1 operands"),
    "custom_vjp count": (lambda: _custom(lambda r, ct: (ct, ct)), TypeError, "a tuple with 1 cotangent"),
    "custom_vjp shape": (lambda: _custom(lambda r, ct: (hs.ones(2),)), ValueError, r"float64\[2\]"),
    "custom_vjp capture": (
        lambda: hs.grad(lambda v: _custom(lambda r, ct: (ct,), v))(1.0),
        ValueError,
        "pass it as an argument",
    ),
    "compile output": (
        lambda: hs.compile(lambda v: "text")(1.0),
        TypeError,
        "compile: the output of <lambda> is a str",
    ),
    # Values of symbols
    "float of a symbol": (lambda: hs.vmap(lambda v: float(v))(x), hs.TraceError, r"use where or cond"),
    "if on a symbol": (lambda: hs.compile(lambda v: v if v > 0 else -v)(1.0), hs.TraceError, "static"),
    "NumPy of a symbol": (lambda: hs.vmap(lambda v: np.asarray(v))(x), hs.TraceError, "symbol"),
    "mask under a trace": (lambda: hs.vmap(lambda v: v[v > 0])(m), hs.TraceError, "mask"),
    "escaped symbol": (lambda: _escaped() + 1.0, hs.TraceError, "symbol whose trace has ended"),
}


def _custom(backward, captured=1.0):
    f = hs.custom_vjp(lambda v: v * captured)
    f.defvjp(lambda v: (v * captured, None), backward)
    return hs.grad(f)(1.0) + f(1.0)


def _escaped():
    kept = []
    hs.vmap(lambda v: kept.append(v) or v)(x)
    return kept[0]


@pytest.mark.parametrize("name", CASES)
def test_message(name):
    call, error, message = CASES[name]
    with pytest.raises(error, match=message):
        call()


def test_errors_are_both_hesse_and_builtin():
    for call, builtin in (
        (lambda: x + hs.ones(2), ValueError),
        (lambda: hs.exp([1.0]), TypeError),
        (lambda: x[9], IndexError),
    ):
        with pytest.raises(hs.Error) as info:
            call()
        assert isinstance(info.value, builtin)
    for error, builtin in (
        (hs.ArgumentError, ValueError), (hs.ArgumentTypeError, TypeError), (hs.OutOfRangeError, IndexError),
        (hs.NumericalError, FloatingPointError), (hs.FileMissingError, FileNotFoundError), (hs.FormatError,
        ValueError), (hs.TraceError, hs.Error),
    ):  # fmt: skip
        assert issubclass(error, builtin) and issubclass(error, hs.Error) and error.__module__ == "hesse"


class Own(Exception):
    pass


def _with_rule(f):
    g = hs.custom_jvp(f)
    g.defjvp(lambda primals, tangents: (primals[0], tangents[0]))
    return g


@pytest.mark.parametrize(
    "run",
    [
        lambda f: hs.grad(f)(1.0),
        lambda f: hs.jvp(f, (1.0,), (1.0,)),
        lambda f: hs.vjp(f, 1.0),
        lambda f: hs.linearise(f, 1.0),
        lambda f: hs.jacobian(f)(x),
        lambda f: hs.hessian(f)(x),
        lambda f: hs.partials(f, (1.0,), [(0,)]),
        lambda f: hs.laplacian(f, x),
        lambda f: hs.vmap(f)(x),
        lambda f: hs.vmap(hs.grad(f))(x),
        lambda f: hs.checkpoint(f)(1.0),
        lambda f: hs.compile(f)(1.0),
        lambda f: hs.scan(lambda c, v: (f(c), v), 1.0, x),
        lambda f: hs.while_loop(f, f, 1.0),
        lambda f: hs.cond(True, f, f, 1.0),
        lambda f: _with_rule(f)(1.0),
        lambda f: hs.map(f, 3, [x], ["each"]),
        lambda f: hs.callback(f, hs.ShapeDtype(()), 1.0),
        lambda f: hs.compile(lambda v: hs.callback(f, hs.ShapeDtype(()), v))(1.0),
        lambda f: hs.vmap(lambda v: hs.callback(f, hs.ShapeDtype(()), v))(x),
        lambda f: hs.tree_map(f, [1.0]),
    ],
)
def test_exceptions_of_users_pass_unchanged(run):
    thrown = Own("mine")

    def f(v):
        raise thrown

    with pytest.raises(Own) as info:
        run(f)
    assert info.value is thrown
    # Nothing is left half-way: the next call works.
    assert float(hs.grad(hs.sin)(0.0)) == 1.0 and not hs.in_trace()


def test_ctrl_c_interrupts_long_loops():
    code = """
        import hesse as hs
        print("ready", flush=True)
        hs.fori_loop(0, 10**9, lambda i, c: c * 1.0000001, 1.0)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in err and process.returncode != 0
