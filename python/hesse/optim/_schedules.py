"""Learning rates that change: functions of the number of steps done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._hesse import Array
from .._hesse import optim as _o

__all__ = ["Schedule", "constant", "cosine_decay", "exponential_decay", "piecewise", "warmup"]

Schedule = Callable[[Any], Array]


def constant(rate: float) -> Schedule:
    """The same rate at every step.

    Parameters
    ----------
    rate : float

    Returns
    -------
    schedule
        From the number of steps done to the rate.

    Examples
    --------
    >>> import hesse as hs
    >>> float(hs.optim.constant(0.1)(5))
    0.1
    """
    return _o.constant(rate)


def exponential_decay(rate: float, factor: float, steps: float) -> Schedule:
    """``rate * factor ** (step / steps)``.

    Parameters
    ----------
    rate : float
        At step 0.
    factor : float
        Per `steps` steps.
    steps : float

    Returns
    -------
    schedule
        From the number of steps done to the rate.

    Examples
    --------
    >>> import hesse as hs
    >>> round(float(hs.optim.exponential_decay(0.1, 0.5, 100)(200)), 6)
    0.025
    """
    return _o.exponential_decay(rate, factor, steps)


def cosine_decay(rate: float, steps: int, last: float = 0.0) -> Schedule:
    """Half a cosine from `rate` at step 0 to `last` at step `steps`, and `last` afterwards.

    Parameters
    ----------
    rate : float
        At step 0.
    steps : int
    last : float

    Returns
    -------
    schedule
        From the number of steps done to the rate.

    References
    ----------
    Loshchilov and Hutter, arXiv:1608.03983 (2017), without restarts.

    Examples
    --------
    >>> import hesse as hs
    >>> round(float(hs.optim.cosine_decay(0.1, 100)(50)), 6)
    0.05
    """
    return _o.cosine_decay(rate, steps, last)


def piecewise(rates: Sequence[float], boundaries: Sequence[int]) -> Schedule:
    """``rates[k]`` from step ``boundaries[k - 1]`` on: one rate more than boundaries.

    Parameters
    ----------
    rates : sequence of float
    boundaries : sequence of int
        Ascending.

    Returns
    -------
    schedule
        From the number of steps done to the rate.

    Examples
    --------
    >>> import hesse as hs
    >>> schedule = hs.optim.piecewise([0.1, 0.01], [1000])
    >>> float(schedule(999)), float(schedule(1000))
    (0.1, 0.01)
    """
    return _o.piecewise(list(rates), list(boundaries))


def warmup(steps: int, after: Schedule | float) -> Schedule:
    """Rises linearly during `steps` steps to the first rate of `after`, which follows.

    Parameters
    ----------
    steps : int
    after : schedule or float

    Returns
    -------
    schedule
        From the number of steps done to the rate.

    Examples
    --------
    >>> import hesse as hs
    >>> schedule = hs.optim.warmup(10, 0.1)
    >>> round(float(schedule(4)), 6), round(float(schedule(100)), 6)
    (0.05, 0.1)
    """
    if not callable(after):
        return _o.warmup(steps, _o.constant(after))
    rising, follow = _o.warmup(steps, _o.constant(1.0)), after

    def schedule(step: Any) -> Array:
        step = _hesse.asarray(step)
        return _hesse.where(
            step < steps, follow(_hesse.asarray(0)) * rising(step), follow(_hesse.maximum(step - steps, 0))
        )

    return schedule
