"""The stages of a training: which optimiser, how long, on which points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import _hesse, optim

__all__ = ["Adam", "Lbfgs", "Stage"]


class Stage:
    """A part of a training: `Adam` or `Lbfgs`.

    Examples
    --------
    >>> import hesse as hs
    >>> isinstance(hs.physics.Adam(100), hs.physics.Stage)
    True
    """

    iterations: int
    resample: int | None


@dataclass(frozen=True)
class Adam(Stage):
    """A stage of Adam.

    Parameters
    ----------
    iterations : int
    learning_rate : float or schedule
        A number decays to zero along half a cosine; a schedule (`hs.optim.constant`, ...) is taken as it is.
    batch : int, optional
        Points per iteration of every term that has more, in random order without repetition until all were used.
    resample : int, optional
        New points every so many iterations.
    clip : float, optional
        The largest norm of a gradient.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.physics.Adam(1000, learning_rate=1e-3).iterations
    1000
    """

    iterations: int
    learning_rate: float | optim._schedules.Schedule = 5e-3
    batch: int | None = None
    resample: int | None = None
    clip: float | None = None


@dataclass(frozen=True)
class Lbfgs(Stage):
    """A stage of L-BFGS on all points.

    Parameters
    ----------
    iterations : int
    history : int
    resample : int, optional
        New points every so many iterations; the history is kept.
    value_tolerance : float
        Ends the stage when an iteration lowers the loss by no more than this times max(1, loss).

    Examples
    --------
    >>> import hesse as hs
    >>> hs.physics.Lbfgs(500).history
    100
    """

    iterations: int
    history: int = 100
    resample: int | None = None
    value_tolerance: float = 0.0


def check(stage: Stage) -> None:
    """Refuses what would fail after hours, in a later stage."""
    kind = type(stage).__name__

    def require(ok: bool, what: str, value: Any) -> None:
        if not ok:
            raise _hesse.ArgumentError(f"{kind}: {what}, got {value}")

    def count(name: str, least: int) -> None:
        value = getattr(stage, name)
        what = "must be a positive integer" if least else "must be an integer from 0 on"
        require(type(value) is int and value >= least, f"{name} {what}", value)

    if not isinstance(stage, (Adam, Lbfgs)):
        raise _hesse.ArgumentTypeError(f"train: a stage must be Adam or Lbfgs, got {kind}")
    count("iterations", 0)
    if stage.resample is not None:
        count("resample", 1)
    if isinstance(stage, Lbfgs):
        count("history", 1)
        require(stage.value_tolerance >= 0.0, "value_tolerance must not be negative", stage.value_tolerance)
        return
    if stage.batch is not None:
        count("batch", 1)
    require(stage.clip is None or stage.clip > 0.0, "clip must be positive", stage.clip)
    rate = stage.learning_rate
    require(callable(rate) or rate >= 0.0, "learning_rate must not be negative", rate)


def optimiser(stage: Adam) -> optim.Adam:
    rate = stage.learning_rate
    return optim.adam(rate if callable(rate) else optim.cosine_decay(rate, max(stage.iterations, 1)))


def settings(stages: Sequence[Stage]) -> str:
    """What must be the same to go on, as words; of a schedule only that it is one."""
    words = []
    for k, stage in enumerate(stages):
        for name, value in vars(stage).items():
            text = "schedule" if callable(value) else value
            words.append(f"stage{k}.{type(stage).__name__}.{name}={text}")
    return " ".join(words)
