"""Profiles: equations and steps with their counts, bytes and lines, as a table and as a trace."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

import hesse as hs


def test_equations_of_a_compiled_function():
    f = hs.compile(lambda x, w: hs.sum(hs.tanh(hs.matmul(x, w)) ** 2))
    x, w = hs.ones((200, 200)), hs.ones((200, 200))  # too large for a block
    f(x, w)
    with hs.profile() as p:
        for _ in range(3):
            f(x, w)
    rows = {row.name: row for row in p.equations}
    assert rows["matmul"].calls == 3
    assert rows["matmul"].bytes == 3 * 3 * 200 * 200 * 8
    assert rows["matmul"].source.startswith("test_profile.py:") or "test_profile.py:" in rows["matmul"].source
    assert all(row.seconds >= 0 for row in p.equations)
    times = [row.seconds for row in p.equations]
    assert times == sorted(times, reverse=True)


def test_steps_inside_maps_and_blocks():
    f = hs.compile(lambda x, w: hs.sum(hs.vmap(lambda a: hs.sum(hs.tanh(w @ a)))(x)))
    g = hs.compile(lambda x: hs.sum(hs.exp(hs.sin(x) + 1.0) * 2.0))
    x, w, y = hs.ones((1300, 3)), hs.ones((4, 3)), hs.ones((5,))
    f(x, w), g(y)
    with hs.profile() as p:
        f(x, w), g(y)
    steps = {row.name: row for row in p.steps}
    assert steps["matmul"].calls == 3  # tiles of 512
    assert any("more entry by entry" in name for name in steps)
    assert {"map", "block"} <= {row.name for row in p.equations}


def test_eager_operations_are_recorded():
    with hs.profile() as p:
        hs.exp(hs.ones((4,))), hs.exp(hs.ones((4,)))
    assert {row.name: row.calls for row in p.equations}["exp"] == 2


def test_nothing_is_recorded_outside():
    with hs.profile() as p:
        pass
    hs.exp(hs.ones((4,)))
    assert p.equations == [] and p.steps == []


def test_profiles_do_not_nest_and_end_with_an_error():
    with hs.profile(), pytest.raises(ValueError, match="profile: one is being taken already"), hs.profile():
        pass
    with pytest.raises(RuntimeError, match="from inside"), hs.profile() as p:
        hs.exp(1.0)
        raise RuntimeError("from inside")
    assert [row.name for row in p.equations] == ["exp"]
    with hs.profile():  # the one before has ended
        pass


def test_results_are_the_same_under_a_profile():
    f = hs.compile(hs.grad(lambda x: hs.sum(hs.vmap(lambda a: hs.tanh(a) * a)(x))))
    x = hs.asarray(np.linspace(-1, 1, 1000))
    y = np.asarray(f(x))
    with hs.profile():
        np.testing.assert_array_equal(np.asarray(f(x)), y)


def test_trace_for_a_viewer(tmp_path):
    with hs.profile() as p:
        hs.exp(hs.ones((4,)))
    p.save(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    (event,) = [e for e in trace["traceEvents"] if e["name"] == "exp"]
    assert event["ph"] == "X" and event["dur"] >= 0 and event["args"]["bytes"] == 64
    assert [f.name for f in tmp_path.iterdir()] == ["trace.json"]
    with pytest.raises(OSError):
        p.save(tmp_path / "no such folder" / "trace.json")


def test_table_is_text():
    f = hs.compile(lambda x: hs.sum(hs.vmap(hs.tanh)(x)))
    with hs.profile() as p:
        f(hs.ones((100,)))
    lines = str(p).splitlines()
    assert lines[0].split()[:2] == ["equations", "calls"]
    assert any(line.startswith("map") for line in lines)


def test_threads_are_told_apart():
    x = hs.ones((8,))
    with hs.profile() as p:
        threads = [threading.Thread(target=lambda: hs.exp(x)) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert sum(row.calls for row in p.equations if row.name == "exp") == 3
