"""jacobian goes by columns or by rows, whichever are fewer."""

import numpy as np
import pytest

import hesse as hs


def passes(mode, rows, columns):
    """How many directions the recorded Jacobian maps over: the length of the map in its graph."""
    matrix = hs.asarray(np.arange(1.0, 1.0 + rows * columns).reshape(rows, columns) / (rows * columns))
    graph = hs.make_graph(hs.jacobian(lambda x: hs.tanh(matrix @ x), mode=mode), hs.ones(columns))
    text = str(graph)
    return int(text.split("map[n=")[1].split(",")[0])


@pytest.mark.parametrize("rows, columns", [(2, 50), (50, 2), (7, 8), (8, 7)])
def test_auto_takes_the_fewer_passes(rows, columns):
    assert passes("forward", rows, columns) == columns
    assert passes("reverse", rows, columns) == rows
    assert passes("auto", rows, columns) == min(rows, columns)


@pytest.mark.parametrize("rows, columns", [(2, 50), (50, 2)])
def test_auto_calls_the_function_for_the_shapes_and_once_more_for_columns(rows, columns):
    calls = []

    def f(x):
        calls.append(1)
        return hs.broadcast_to(hs.sum(x), (rows,))

    j = hs.jacobian(f)(hs.ones(columns))
    assert len(calls) == (1 if rows <= columns else 2)
    assert j.shape == (rows, columns) and bool(hs.all(j == 1.0))


@pytest.mark.parametrize("shape", [(2, 5), (5, 2)])
def test_all_modes_agree(shape):
    matrix = hs.asarray(np.arange(10.0).reshape(shape))
    f = lambda x: hs.sin(matrix @ x)
    x = hs.asarray(np.linspace(0.1, 1.0, shape[1]))
    forward, reverse, auto = (hs.jacobian(f, mode=m)(x) for m in ("forward", "reverse", "auto"))
    assert hs.allclose(forward, reverse, rtol=1e-14) and hs.allclose(auto, forward, rtol=1e-14)
