"""Initial value problems that tests of several methods share."""

from __future__ import annotations

from typing import Any

import numpy as np

import hesse as hs

G = 9.81
Event = hs.solvers.Event
solve_ivp = hs.solvers.solve_ivp


def fall(t: Any, y: Any) -> Any:
    return y[1], -G


ground = Event(lambda t, y: y[0], terminal=True, direction=-1)


def pendulum(t: Any, y: Any) -> Any:
    return y[1], -hs.sin(y[0])


def found(x: Any, method: str, rtol: float, **options: Any) -> Any:
    """All that events give, of an oscillation that is damped by x."""
    events = [
        Event(lambda t, y, c: y[0]),
        Event(lambda t, y, c: y[1], terminal=4, direction=-1),
        Event(lambda t, y, c: y[0] - 10.0),  # never
    ]
    sol = solve_ivp(
        lambda t, y, c: (y[1], -y[0] - c * y[1]), (0.0, 20.0), (1.0, 0.3), method, hs.linspace(0.0, 20.0, 9), args=(x,),
        events=events, max_events=9, rtol=rtol, atol=rtol / 100, **options,
    )  # fmt: skip
    return sol.y, sol.t_events, sol.y_events, sol.t_end, sol.y_end, sol.stats["events"], sol.status


def oscillator(t: Any, y: Any, p: Any) -> Any:
    return hs.stack([p[0] * y[1], -p[1] * hs.sin(y[0]) - 0.1 * t * y[1]])


ALL = np.array([1.0, 0.3, 1.2, 0.8, 0.1, 0.5, 1.0, 2.0])  # the state, parameters, the start, the times
WEIGHTS = np.random.default_rng(0).normal(size=(3, 2))


def outcome(z: Any, method: str = "Tsit5", adjoint: Any = None, rtol: float = 1e-8, **options: Any) -> Any:
    """A loss of everything that a solution depends on: the state, parameters, the start and the times."""
    y = solve_ivp(
        oscillator, (z[4], 3.0), z[:2], method, z[5:], args=(z[2:4],), rtol=rtol, atol=rtol, adjoint=adjoint, **options
    ).y  # fmt: skip
    return hs.sum(WEIGHTS * y * y)
