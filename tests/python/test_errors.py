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
    "missing operand": (lambda: hs.add(x), TypeError, r"add\(\) takes exactly two arguments \(1 given\)"),
    "broadcast": (lambda: x + hs.ones(2), ValueError, r"^add: .*\(3,\) and \(2,\)"),
    "reshape": (
        lambda: x.reshape(2, 2),
        ValueError,
        r"^reshape: cannot reshape \(3,\) to \(2, 2\); the numbers of elements differ, one length may be -1",
    ),
    "reshape -1": (
        lambda: x.reshape(2, -1),
        ValueError,
        r"^reshape: cannot find the length of -1 in \(2, -1\).*\(3,\); the other",
    ),
    "reshape to floats": (
        lambda: x.reshape(1.5),
        TypeError,
        r"^reshape: shape is 1\.5; expected an integer or a sequence",
    ),
    "axis": (lambda: hs.sum(x, axis=1), IndexError, "^sum: axis 1 is out of range for 1 dim"),
    "repeated axis": (
        lambda: hs.sum(m, axis=(0, 0)),
        ValueError,
        r"^sum: .*axis 0|^sum: .*repeated|^sum: .*twice",
    ),
    "index": (lambda: x[3], IndexError, "^getitem: index 3 is out of range for axis 0 of length 3"),
    "index in set": (
        lambda: x.at[3].set(1.0),
        IndexError,
        r"^at\[\]\.set: index 3 is out of range for axis 0 of length 3",
    ),
    "too many indices": (
        lambda: x[0, 0],
        IndexError,
        r"^getitem: too many indices: 2 for the 1 axes of x of shape \(3,\)",
    ),
    "float index": (
        lambda: x[1.0],
        IndexError,
        r"^getitem: position 0 of the index is 1\.0, a float; an index is an integer, a slice.*int\(x\)",
    ),
    "string index": (
        lambda: m[0, "a"],
        IndexError,
        r"^getitem: position 1 of the index is 'a', a str; an index is an integer",
    ),
    "list of strings index": (
        lambda: x[["a"]],
        IndexError,
        r"^getitem: position 0 of the index is \['a'\]; an index is",
    ),
    "slice bound": (
        lambda: x[1.5:],
        TypeError,
        r"^getitem: a bound of the slice at position 0 of the index is 1\.5, a float; slice bounds are integers or None",
    ),
    "float array index": (
        lambda: x[x],
        IndexError,
        r"^getitem: an index must be integers or bools, got float64\[3\]; convert with astype",
    ),
    "assignment": (lambda: x.__setitem__(0, 1.0), TypeError, r"immutable.*x\.at\[i\]\.set\(y\)"),
    "deletion": (lambda: x.__delitem__(0), TypeError, "^arrays are immutable: entries cannot be deleted"),
    "truth": (
        lambda: bool(x),
        ValueError,
        r"^bool: the truth of an array of shape \(3,\) is ambiguous.*hs\.any.*hs\.all",
    ),
    **{
        f"{f.__name__} of many": (
            lambda f=f: f(x),
            ValueError,
            rf"^{f.__name__}: the array has shape \(3,\), not one entry; take one of them, as in float\(x\[i\]\)",
        )
        for f in (float, int, complex)
    },
    "float of complex": (
        lambda: float(hs.array(1j)),
        TypeError,
        r"^float: the array is complex; take hs\.real\(x\)",
    ),
    "float of a key": (
        lambda: float(hs.random.key(0)),
        TypeError,
        r"^float: a random key is not a number; hs\.random\.key_data",
    ),
    "index of float": (
        lambda: [1][hs.array(0.0)],
        TypeError,
        r"^index: only an integer array of shape \(\) can be an index, got float64\[\]; int\(x\)",
    ),
    "item of many": (
        lambda: x.item(),
        ValueError,
        r"^item: the array has shape \(3,\), not one entry.*x\[i\]\.item\(\)",
    ),
    "len of scalar": (lambda: len(hs.array(1.0)), TypeError, r"^len: an array of shape \(\) has no length"),
    "iterating a scalar": (
        lambda: list(hs.array(1.0)),
        TypeError,
        r"^iter: an array of shape \(\) cannot be iterated",
    ),
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
    "shape of floats": (
        lambda: hs.zeros((1.5,)),
        TypeError,
        r"^zeros: shape is \(1\.5,\); expected an integer or a sequence of integers, such as 3 or \(2, 3\)",
    ),
    "shape of text": (
        lambda: hs.ones("ab"),
        TypeError,
        "^ones: shape is 'ab'; expected an integer or a sequence",
    ),
    "negative shape": (lambda: hs.zeros((-1,)), ValueError, r"^zeros: .*-1"),
    "count of floats": (lambda: hs.eye(2.5), TypeError, r"^eye: n_rows is 2\.5; expected an integer"),
    "count too large": (
        lambda: hs.eye(2**70),
        TypeError,
        "^eye: n_rows is 1180591620717411303424; expected an integer that fits",
    ),
    "axis of text": (
        lambda: hs.sum(x, axis="a"),
        TypeError,
        "^sum: axis is 'a'; expected an integer or a sequence.* or None",
    ),
    "axis of a float": (
        lambda: hs.softmax(x, axis=0.5),
        TypeError,
        r"^softmax: axis is 0\.5; expected an integer",
    ),
    "axis of an array": (
        lambda: hs.stack([x], x),
        TypeError,
        r"^stack: axis is an array, float64\[3\]; expected an integer",
    ),
    "flag": (lambda: hs.sum(x, keepdims=None), TypeError, "^sum: keepdims is None; expected True or False"),
    "number": (lambda: hs.var(x, correction="a"), TypeError, "^var: correction is 'a'; expected a number"),
    "word": (lambda: hs.searchsorted(x, x, side=1), TypeError, "^searchsorted: side is 1; expected a string"),
    "method's axis": (lambda: x.sum("a"), TypeError, "^sum: axis is 'a'; expected an integer"),
    "seed": (lambda: hs.random.key(1.5), TypeError, r"^key: seed is 1\.5; expected an integer"),
    "random shape": (
        lambda: hs.random.normal(hs.random.key(0), 2.5),
        TypeError,
        r"^normal: shape is 2\.5; expected an integer",
    ),
    "pad widths": (lambda: hs.pad(x, "a"), TypeError, "^pad: pad_width is 'a'; expected an integer, a pair"),
    "pad triple": (
        lambda: hs.pad(x, [(1, 2, 3)]),
        TypeError,
        r"^pad: pad_width is \[\(1, 2, 3\)\]; expected an integer, a pair",
    ),
    "split": (
        lambda: hs.split(x, 1.5),
        TypeError,
        r"^split: indices_or_sections is 1\.5; expected an integer or a sequence",
    ),
    "conv stride": (
        lambda: hs.conv(x, x, stride="a"),
        TypeError,
        "^conv: stride is 'a'; expected an integer or a sequence",
    ),
    "conv padding": (
        lambda: hs.conv(x, x, padding="a"),
        TypeError,
        "^conv: padding is 'a'; expected an integer, or",
    ),
    "broadcast_shapes": (
        lambda: hs.broadcast_shapes("a"),
        TypeError,
        "^broadcast_shapes: a shape is 'a'; expected an integer",
    ),
    "repeats": (
        lambda: hs.repeat(x, x),
        TypeError,
        r"^repeat: repeats is float64\[3\]; expected an integer or a vector of integers",
    ),
    "repeats count": (
        lambda: hs.repeat(x, [1, 2]),
        ValueError,
        r"^repeat: repeats has shape \(2,\); expected \(\), or \(3,\)",
    ),
    "repeats negative": (
        lambda: hs.repeat(x, [1, -2, 1]),
        ValueError,
        "^repeat: repeats holds -2; expected 0 or more",
    ),
    "debug.print": (
        lambda: hs.debug.print(x),
        TypeError,
        r"^debug\.print: fmt is of type hesse\.Array|^debug\.print: fmt is of type Array; expected a format",
    ),
    "matmul": (
        lambda: m @ m,
        ValueError,
        r"^matmul: .*got shapes \(2, 3\) and \(2, 3\); matrix_transpose swaps",
    ),
    "inv": (
        lambda: hs.linalg.inv(hs.ones((2, 2))),
        FloatingPointError,
        r"^inv: the matrix is singular.*pinv gives",
    ),
    "solve": (
        lambda: hs.linalg.solve(hs.ones((2, 2)), hs.ones(2)),
        FloatingPointError,
        r"^solve: the matrix is singular.*pinv gives",
    ),
    "matrix_power": (
        lambda: hs.linalg.matrix_power(hs.ones((2, 2)), -1),
        FloatingPointError,
        "^matrix_power: the matrix is singular",
    ),
    "inv of a rectangle": (
        lambda: hs.linalg.inv(m),
        ValueError,
        r"^inv: expected square matrices.*float64\[2,\s?3\]; pinv",
    ),
    "cholesky": (
        lambda: hs.linalg.cholesky(-hs.eye(2)),
        FloatingPointError,
        "^cholesky: the matrix is not positive definite.*add a small",
    ),
    "cholesky of a vector": (
        lambda: hs.linalg.cholesky(x),
        ValueError,
        r"^cholesky: expected a matrix or a stack.*float64\[3\]; reshape",
    ),
    "triangular_solve": (
        lambda: hs.linalg.triangular_solve(hs.zeros((2, 2)), hs.ones(2)),
        FloatingPointError,
        "^triangular_solve: the matrix is singular: zero at position 0 of the diagonal; pinv",
    ),
    "triangular_solve rows": (
        lambda: hs.linalg.triangular_solve(hs.eye(2), x),
        ValueError,
        r"^triangular_solve: b must have as many rows as a.*float64\[2,\s?2\] and b float64\[3\]; a matrix b holds",
    ),
    "constructor": (lambda: hs.Array([1.0]), TypeError, "cannot create 'hesse.Array' instances"),
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
        r"^grad: the function returned shape \(3,\); expected a scalar, take sum or mean of it, or use jacobian",
    ),
    "complex loss": (
        lambda: hs.grad(lambda v: v * 1j)(1.0),
        TypeError,
        "^grad: the function returned dtype complex128; .*real part",
    ),
    "integer loss": (
        lambda: hs.grad(lambda v: 1)(1.0),
        TypeError,
        "^grad: the function returned dtype int64; .*astype",
    ),
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
    "jvp count": (
        lambda: hs.jvp(hs.sin, (1.0,), (1.0, 2.0)),
        ValueError,
        "^jvp: 1 primals but 2 tangents; give one tangent per primal, None for zero",
    ),
    "jvp shape": (
        lambda: hs.jvp(hs.sin, (x,), (hs.ones(2),)),
        ValueError,
        r"^jvp: tangent 0 has shape \(2,\), expected \(3,\), that of the argument",
    ),
    "jvp of an integer": (
        lambda: hs.jvp(lambda n: n * 1.0, (2,), (1,)),
        TypeError,
        "^jvp: argument 0 has dtype int64; .*None",
    ),
    "vjp trees": (
        lambda: hs.vjp(lambda v: (v, v), 1.0)[1](1.0),
        ValueError,
        r"vjp: the trees do not match: expected \(\*, \*\), got \*",
    ),
    "vjp shape": (
        lambda: hs.vjp(hs.sin, x)[1](hs.ones(2)),
        ValueError,
        r"^vjp: cotangent 0 has shape \(2,\), expected \(3,\), that of the output",
    ),
    "vjp dtype": (
        lambda: hs.vjp(hs.sin, x)[1](hs.ones(3, dtype=hs.float32)),
        TypeError,
        "^vjp: cotangent 0 has dtype float32, expected float64; convert it with astype",
    ),
    "vjp of an integer output": (
        lambda: hs.vjp(hs.argmax, x)[1](1),
        TypeError,
        "^vjp: output 0 has dtype int64; .*None as its cotangent",
    ),
    "hessian of a vector": (
        lambda: hs.hessian(hs.sin)(x),
        ValueError,
        r"^hessian: the function returned shape \(3,\); expected a scalar",
    ),
    "hessian of an integer": (
        lambda: hs.hessian(hs.argmax)(x),
        TypeError,
        "^hessian: the function returned dtype int64; .*astype",
    ),
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
        r"^vmap: in_axes.*does not match",
    ),
    "vmap axis range": (lambda: hs.vmap(hs.sin, 1)(x), IndexError, "^vmap: axis 1 is out of range for 1 dim"),
    "vmap out None": (lambda: hs.vmap(hs.sin, out_axes=None)(x), ValueError, r"^vmap: .*out_axes=None"),
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
        r"^scan: carry 0 starts as int64\[\] and the body returns float64\[\]; a carry keeps.*astype",
    ),
    "scan length": (
        lambda: hs.scan(lambda c, v: (c, v), 0.0),
        ValueError,
        "^scan: there are no xs and no length; give length=n",
    ),
    "scan carry shape": (
        lambda: hs.scan(lambda c, v: (hs.stack([c, c]), v), 0.0, x),
        ValueError,
        r"^scan: carry 0 starts as float64\[\] and the body returns float64\[2\]; a carry keeps its shape and dtype: start it so",
    ),
    "while carry": (
        lambda: hs.while_loop(lambda c: c < 3, lambda c: c * 1.5, 0),
        ValueError,
        r"^while_loop: carry 0 starts as int64\[\] and the body returns float64\[\]; a carry keeps.*astype",
    ),
    "while condition": (
        lambda: hs.while_loop(lambda c: c < 3.0, lambda c: c, x),
        ValueError,
        r"^while_loop: cond must return one bool scalar, it returns bool\[3\]; compare, and reduce with all or any",
    ),
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
    "cond shapes": (
        lambda: hs.cond(True, lambda v: v, lambda v: hs.sum(v), x),
        ValueError,
        r"^cond: output 0 is .* in branch 0 and .* in branch 1; branches return the same shapes and dtypes: broadcast",
    ),
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
    **{
        f"{f.__name__} of a symbol": (
            lambda f=f: hs.vmap(lambda v: f(v))(x),
            hs.TraceError,
            rf"^{f.__name__}: the value of a symbol float64\[\].* was asked for.*use where or cond",
        )
        for f in (float, int, complex, bool)
    },
    "item of a symbol": (
        lambda: hs.vmap(lambda v: v.item())(x),
        hs.TraceError,
        "^item: the value of a symbol",
    ),
    "tolist of a symbol": (
        lambda: hs.vmap(lambda v: v.tolist())(m),
        hs.TraceError,
        "^tolist: the value of a symbol",
    ),
    "length of a symbol": (
        lambda: hs.compile(lambda n: hs.zeros(n))(2),
        hs.TraceError,
        "^index: the value of a symbol int64",
    ),
    "if on a symbol": (lambda: hs.compile(lambda v: v if v > 0 else -v)(1.0), hs.TraceError, "static"),
    "NumPy of a symbol": (
        lambda: hs.vmap(lambda v: np.asarray(v))(x),
        hs.TraceError,
        r"^np\.asarray: the value of a symbol",
    ),
    "mask under a trace": (
        lambda: hs.vmap(lambda v: v[v > 0])(m),
        hs.TraceError,
        r"^getitem: the boolean mask.*use where\(mask, x, y\)",
    ),
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
        import signal
        import hesse as hs
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell starts us deaf to it
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
