"""How far a solve is: a function is told, or a bar shown."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from .. import _hesse
from .._flat import check_callable
from .._hesse import Array

__all__ = ["SolveProgress"]


@dataclasses.dataclass(frozen=True)
class SolveProgress:
    """How far a solve is: what `solve_ivp` and `solve_dae` give to the function `progress`.

    Parameters
    ----------
    t0, t1 : float
        The span.
    t, step : float
        Where the solve is, and the size of its next step.
    accepted, rejected : int
        Steps so far.
    elapsed : float
        Wall time since it began, in seconds.
    remaining : float
        An estimate of what is left, in seconds, from the speed of late; infinity before the first step is accepted.
    done : bool
        Whether it is the last report of this solve.

    Examples
    --------
    >>> import hesse as hs
    >>> seen = []
    >>> sol = hs.solvers.solve_ivp(lambda t, y: -y, (0.0, 1.0), 1.0, t_eval=[1.0], progress=seen.append)
    >>> seen[-1].done, seen[-1].t, round(seen[-1].fraction, 3)
    (True, 1.0, 1.0)
    """

    t0: float
    t1: float
    t: float
    step: float
    accepted: int
    rejected: int
    elapsed: float
    remaining: float
    done: bool

    @property
    def fraction(self) -> float:
        """How much of the span is done, from 0 to 1."""
        return (self.t - self.t0) / (self.t1 - self.t0) if self.t1 != self.t0 else 1.0

    def __str__(self) -> str:
        left = f", {_duration(self.remaining)} left" if not self.done else ""
        return (
            f"t = {self.t:.6g} of {self.t1:.6g} ({100 * self.fraction:.1f} %), step {self.step:.3g}, "
            f"{self.accepted} steps, {self.rejected} rejected, {_duration(self.elapsed)}{left}"
        )


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "unknown time"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d} min"


class _Bar:
    """tqdm's bar where that is installed, else a line on the standard error stream now and then."""

    _SECONDS = 5.0  # between lines

    def __init__(self) -> None:
        self._bar: Any = None
        self._steps, self._printed = -1, -math.inf
        try:
            from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            tqdm = None
        self._tqdm = tqdm

    def __call__(self, p: SolveProgress) -> None:
        begins = p.accepted + p.rejected < self._steps  # the one before did not come to its end
        self._steps = -1 if p.done else p.accepted + p.rejected
        if self._tqdm is None:
            if p.done or begins or time.monotonic() - self._printed > self._SECONDS:
                self._printed = -math.inf if p.done else time.monotonic()
                print(f"solve: {p}", file=sys.stderr, flush=True)
            return
        if self._bar is None or begins:
            self._close()
            form = "{desc}: {percentage:3.0f}%|{bar}| {postfix}"
            self._bar = self._tqdm(
                total=1.0, desc="solve", file=sys.stderr, bar_format=form, dynamic_ncols=True
            )
        self._bar.n = min(max(p.fraction, 0.0), 1.0)
        self._bar.set_postfix_str(str(p), refresh=True)
        if p.done:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def reports(
    function: str, progress: bool | Callable[[SolveProgress], Any], interval: Any
) -> tuple[Callable[..., list[Array]] | None, float]:
    """What the core calls with the fields as arrays, and the seconds between."""
    if isinstance(interval, (bool, str)) or not hasattr(interval, "__float__") or not float(interval) >= 0:
        raise _hesse.ArgumentError(
            f"{function}: progress_interval is {interval!r}, expected seconds, 0 or more"
        )
    if progress is False or progress is None:
        return None, float(interval)
    call: Callable[[SolveProgress], Any] = _Bar() if progress is True else progress
    check_callable(call, f"{function}: progress")
    names = {"accepted": int, "rejected": int, "done": bool}
    convert = [names.get(field.name, float) for field in dataclasses.fields(SolveProgress)]

    def run(*values: Array) -> list[Array]:
        call(SolveProgress(*(c(v) for c, v in zip(convert, values, strict=True))))
        return []

    return run, float(interval)
