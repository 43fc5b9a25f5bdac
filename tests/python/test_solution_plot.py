"""Solution.plot: what is drawn, and what is said where it cannot be."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import hesse as hs


@pytest.fixture
def axes():
    figure = pytest.importorskip("matplotlib.figure")
    return figure.Figure().subplots()


def solved(**options):
    return hs.solvers.solve_ivp(
        lambda t, y: {"x": y["v"], "v": -y["x"]},
        (0.0, 6.0),
        {"x": hs.ones((2,)), "v": hs.zeros((2,))},
        **options,
    )


def test_every_entry_against_time(axes):
    sol = solved(events=lambda t, y: y["x"][0])
    assert sol.plot(ax=axes) is axes
    drawn = {line.get_label(): line for line in axes.get_lines()}
    assert {"x[0]", "x[1]", "v[0]", "v[1]", "event 0"} <= set(drawn) and len(axes.get_lines()) == 6
    np.testing.assert_array_equal(drawn["v[1]"].get_ydata(), np.asarray(sol.y["v"])[:, 1])
    np.testing.assert_array_equal(drawn["v[1]"].get_xdata(), sol.t)


def test_phase_portraits(axes):
    sol = solved()
    sol.plot(phase=("x[0]", 3), ax=axes)
    (line,) = axes.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), np.asarray(sol.y["x"])[:, 0])
    np.testing.assert_array_equal(line.get_ydata(), np.asarray(sol.y["v"])[:, 1])
    assert axes.get_xlabel() == "x[0]" and axes.get_ylabel() == "v[1]"
    for phase in (("x[0]", 4), ("x[0]", "z"), (0,), "xv"):
        with pytest.raises(ValueError, match=r"Solution.plot: phase"):
            sol.plot(phase=phase, ax=axes)


def test_one_line_complex_states_and_too_many(axes):
    hs.solvers.solve_ivp(lambda t, y: 1j * y, (0.0, 1.0), hs.array(1.0 + 0j)).plot(ax=axes)
    assert [line.get_label() for line in axes.get_lines()] == ["Re y", "Im y"]
    many = hs.solvers.solve_ivp(lambda t, y: -y, (0.0, 1.0), hs.ones((60,)))
    with pytest.raises(ValueError, match="60 entries, more than 50 lines"):
        many.plot(ax=axes)
    several = hs.vmap(
        lambda a: hs.solvers.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), 1.0, t_eval=[0.5, 1.0])
    )(hs.ones((3,)))
    with pytest.raises(ValueError, match="expected one solution"):
        hs.solvers.Solution(hs.ones((3, 2)), several.y, several.status, several.stats).plot(ax=axes)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ImportError, match=r"Solution.plot needs the package matplotlib: pip install 'hesse\[demo\]'"
    ):
        solved().plot()
