"""Messages about what was recorded name the line that recorded it; values that depend on constants alone can be asked for."""

import inspect
import re

import numpy as np
import pytest

import hesse as hs


def line_of(text):
    """The number of the line of this file that holds `text`."""
    lines = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    return next(i for i, line in enumerate(lines, 1) if text in line)


def names(text):
    return rf"test_source_lines\.py:{line_of(text)}\b"


def test_value_of_a_symbol():
    def f(x):
        y = hs.sin(x)  # asked
        return float(y)

    with pytest.raises(hs.TraceError, match=names("# asked") + r".*where or cond"):
        hs.compile(f)(1.0)


def test_symbol_that_outlived_its_trace():
    kept = []

    def f(x):
        kept.append(hs.cos(x))  # kept
        return x

    hs.vmap(f)(hs.ones(3))
    with pytest.raises(hs.TraceError, match=names("kept.append(hs.cos(x))")):
        kept[0] + 1.0


def test_failure_in_a_program_names_the_line_and_the_example():
    def factor(a):
        return hs.linalg.cholesky(a)  # factor

    matrices = np.stack([np.eye(2)] * 5)
    matrices[3, 1, 1] = -1.0
    with pytest.raises(FloatingPointError, match=r"cholesky.*" + names("# factor")):
        hs.compile(factor)(matrices[3])
    with pytest.raises(FloatingPointError, match=r"example 3: cholesky.*" + names("# factor")):
        hs.vmap(factor)(matrices)


def test_failure_of_a_lane_kernel_names_the_example():
    def at(i):
        return hs.take(hs.arange(4.0), hs.reshape(i, (1,)))  # gathered

    index = hs.asarray([0, 1, 3, 2, 9, 1, 12])
    with pytest.raises(IndexError, match=r"example 4: .*9.*" + names("# gathered")):
        hs.vmap(at)(index)


def test_failure_in_a_loop_body():
    def step(c, x):
        return hs.linalg.cholesky(c - x * hs.eye(2)), None  # step

    with pytest.raises(FloatingPointError, match=names("# step")):
        hs.scan(step, hs.eye(2), hs.asarray([0.5, 0.5, 3.0]))


def test_derivative_of_a_compiled_function_keeps_the_lines():
    @hs.compile
    def f(a):
        return hs.sum(hs.linalg.cholesky(a))  # compiled

    with pytest.raises(FloatingPointError, match=names("# compiled")):
        hs.compile(hs.grad(f))(-hs.eye(3))


def test_debug_nans_names_the_line():
    def f(x):
        return hs.log(x)  # not a number

    with hs.debug_nans(), pytest.raises(FloatingPointError, match="log.*" + names("# not a number")):
        hs.compile(f)(-1.0)


def test_lines_of_the_package_are_not_named():
    try:
        hs.compile(lambda x: hs.linalg.matrix_norm(bool(hs.sin(x)) * hs.eye(2)))(1.0)
    except hs.TraceError as error:
        assert re.search(r"test_source_lines\.py:\d+", str(error)), error
        assert "linalg.py" not in str(error)


def test_constants_can_be_asked_for_while_recording():
    seen = []

    @hs.compile
    def f(x):
        scale = hs.asarray([2.0, 3.0])
        total = hs.sum(scale * 2.0)  # recorded, though its inputs hold data
        seen.append((float(total), int(hs.argmax(scale)), np.asarray(scale + 1.0).tolist()))
        return x * total if total > 5.0 else x

    assert float(f(3.0)) == 30.0
    assert seen == [(10.0, 1, [3.0, 4.0])]
    assert float(f(4.0)) == 40.0 and len(seen) == 1


def test_what_depends_on_an_argument_or_an_effect_is_not_a_constant():
    @hs.compile
    def f(x):
        return x if hs.cond(hs.asarray(True), lambda: x, lambda: -x) > 0 else -x

    with pytest.raises(hs.TraceError, match="where or cond"):
        f(1.0)

    @hs.compile
    def g(x):
        return x * float(hs.callback(lambda v: v, hs.ShapeDtype(()), hs.asarray(2.0)))

    with pytest.raises(hs.TraceError, match="was asked for"):
        g(1.0)


def test_gradients_through_a_constant_that_was_asked_for():
    @hs.compile
    def f(x):
        c = hs.sin(hs.asarray(1.0))
        assert float(c) > 0.0
        return x * c

    np.testing.assert_allclose(float(hs.grad(f)(2.0)), np.sin(1.0), rtol=1e-15)


def test_large_symbols_know_their_line_too():
    """Operations on large arrays let the interpreter's lock go; recording them takes it again."""
    f = hs.compile(lambda x: hs.matmul(hs.tanh(x), x))
    f(hs.ones((200, 200)))
    with hs.profile() as p:
        f(hs.ones((200, 200)))
    lines = {row.name: row.source for row in p.equations}
    assert "test_source_lines.py:" in lines["matmul"] and "test_source_lines.py:" in lines["tanh"]
