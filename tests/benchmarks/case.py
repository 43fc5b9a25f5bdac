"""One piece of work in one library, ready to be timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Case:
    """A step that can be repeated.

    Parameters
    ----------
    step : callable
        Does the work, waits for it, and returns the loss before the update (or a result to compare).
    repeat : callable, optional
        ``repeat(n)`` does n steps, where calling `step` would cost as much as the work.
    forget : callable, optional
        Drops what was compiled, so that the next step prepares itself again.
    error : callable, optional
        The relative error of the last step's result, where a better one is known.
    """

    def __init__(
        self,
        step: Callable[[], Any],
        *,
        repeat: Callable[[int], None] | None = None,
        forget: Callable[[], None] | None = None,
        error: Callable[[], float] | None = None,
    ) -> None:
        self.step = step
        self._repeat = repeat
        self.forget = forget
        self.error = error

    def repeat(self, n: int) -> None:
        if self._repeat is not None:
            self._repeat(n)
            return
        for _ in range(n):
            self.step()

    def samples(self, seconds: float, least: int, batch: int) -> list[float]:
        """Seconds per step of batches of steps: for at least so long, and at least so many of them."""
        clock, found = time.perf_counter, []
        end = clock() + seconds
        while len(found) < least or clock() < end:
            begin = clock()
            self.repeat(batch)
            found.append((clock() - begin) / batch)
        return found
