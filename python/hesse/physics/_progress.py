"""How far a training is: tqdm's bar where that is installed, else a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Any

__all__ = ["Progress"]


class Progress:
    """Shows iterations, loss and error on the standard error stream."""

    def __init__(self, total: int, done: int, shown: bool) -> None:
        self._total, self._done, self._shown = total, done, shown
        self._bar: Any = None
        self._label, self._facts = "", ""
        self._last = self._begin = time.monotonic()
        if shown:
            try:
                from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
            except ImportError:
                return
            self._bar = tqdm(total=total, initial=done, file=sys.stderr, mininterval=0.5, dynamic_ncols=True)

    def update(self, done: int, label: str, facts: dict[str, float]) -> None:
        """Called after every iteration."""
        step, self._done = done - self._done, done
        self._label = label
        self._facts = ", ".join(f"{name} {value:.3e}" for name, value in facts.items())
        if self._bar is not None:
            if label != self._bar.desc:
                self._bar.set_description_str(label, refresh=False)
            self._bar.set_postfix_str(self._facts, refresh=False)
            self._bar.update(step)
        elif self._shown and time.monotonic() - self._last > 10.0:
            self._line()

    def _line(self) -> None:
        self._last = time.monotonic()
        print(
            f"{self._label}: {self._done}/{self._total}, {self._facts}, {self._last - self._begin:.0f} s",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._shown:
            self._line()
