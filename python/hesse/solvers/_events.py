"""Events of initial value problems."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._flat import name_of
from .._hesse import Array, asarray

__all__ = ["Event"]


@dataclasses.dataclass(frozen=True)
class Event:
    """A condition on the solution of `solve_ivp`: it happens where a function passes zero.

    Parameters
    ----------
    g : callable
        ``g(t, y, *args)`` returns a real scalar. It is recorded once, as the right-hand side is.
    terminal : bool or int
        Whether the solution ends where it happens; a number: where it happens for that many times.
    direction : float
        Above 0: only where g rises through zero; below 0: only where it falls.

    Raises
    ------
    TypeError, ValueError
        Where `g` is no function, or `terminal` or `direction` no such number.

    Notes
    -----
    It happens where the signs of g at both ends of a step differ. What passes zero twice within one step, or touches it
    without a change of sign, is not seen: limit ``max_step`` where that matters. The time is found on the polynomial
    that the solution is between both ends, to rounding; methods without one (Dop853, ARK5, fixed steps) take the
    step again, as far as that. Events of one step come in the order of their times; each happens once in it. Where g is
    zero at t0, but for rounding, it does not happen there: a solution may start where another ended.

    The derivative of the time follows from g(t, y(t)) = 0: it is infinite or NaN where g touches zero. Whether an event
    happens has no derivative.

    Examples
    --------
    >>> import hesse as hs
    >>> def fall(t, y):
    ...     return y[1], -9.81
    >>> ground = hs.solvers.Event(lambda t, y: y[0], terminal=True, direction=-1)
    >>> def duration(height):
    ...     return hs.solvers.solve_ivp(fall, (0.0, 10.0), (height, 0.0), events=ground).t_end
    >>> hs.round(1e6 * duration(1.0))   # sqrt(2 height / g)
    Array(451524., dtype=float64)
    >>> hs.round(1e6 * hs.grad(duration)(1.0))
    Array(225762., dtype=float64)
    """

    g: Callable[..., Any]
    terminal: bool | int = False
    direction: float = 0

    def __post_init__(self) -> None:
        if not callable(self.g):
            raise _hesse.ArgumentTypeError(f"Event: g is {self.g!r}, expected a function of t and y")
        if not hasattr(self.terminal, "__index__") or not 0 <= operator.index(self.terminal) < 2**31:
            raise _hesse.ArgumentError(
                f"Event: terminal is {self.terminal!r}, expected True, False or how many times it happens before the "
                "solution ends"
            )
        if not isinstance(self.direction, (int, float)) or self.direction != self.direction:
            raise _hesse.ArgumentError(
                f"Event: direction is {self.direction!r}, expected a number: above 0 for rising, below 0 for falling"
            )


class Watched:
    """The events of a solve, as the core takes them."""

    def __init__(self, events: Any, treedef: Any, args: Sequence[Any]) -> None:
        if isinstance(events, Event) or callable(events):
            events = (events,)
        if not isinstance(events, (tuple, list)):
            raise _hesse.ArgumentTypeError(
                f"solve_ivp: events is {events!r}, expected a function g(t, y, *args), an Event or a list of them"
            )
        self._treedef, self._args = treedef, args
        self._events = [self._event(k, event) for k, event in enumerate(events)]

    @staticmethod
    def _event(k: int, event: Any) -> Event:
        if isinstance(event, Event):
            return event
        if not callable(event):
            raise _hesse.ArgumentTypeError(
                f"solve_ivp: event {k} is {event!r}, expected a function g(t, y, *args) or an Event"
            )
        return Event(event, getattr(event, "terminal", False) or False, getattr(event, "direction", 0))

    def _function(self, k: int, g: Callable[..., Any]) -> Callable[..., list[Array]]:
        def value(t: Array, *values: Array) -> list[Array]:
            result = g(t, self._treedef.unflatten(list(values)), *self._args)
            if not _hesse._is_numeric(result):
                raise _hesse.ArgumentTypeError(
                    f"solve_ivp: event {k}, {name_of(g)}, returns {type(result).__name__}, expected a real scalar"
                )
            return [asarray(result)]

        return value

    def flat(self) -> list[tuple[Callable[..., list[Array]], int, int]]:
        """For each its function of arrays, when it is terminal (0: never) and its direction (-1, 0, 1)."""
        return [
            (self._function(k, e.g), operator.index(e.terminal), (e.direction > 0) - (e.direction < 0))
            for k, e in enumerate(self._events)
        ]
