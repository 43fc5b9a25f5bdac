"""Training a physics-informed network: stages of optimisers, checkpoints, and the loop around them."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, NamedTuple

from .. import _hesse, optim
from .._compile import compile
from .._derivatives import value_and_grad
from .._hesse import Array
from ..io import leaf_names, load_safetensors, read_metadata, save_safetensors
from ..random import key_data
from ._pinn import PINN
from ._progress import Progress

__all__ = ["Adam", "Lbfgs", "Record", "Training", "train"]


@dataclass(frozen=True)
class Adam:
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
    """

    iterations: int
    learning_rate: float | optim._schedules.Schedule = 5e-3
    batch: int | None = None
    resample: int | None = None
    clip: float | None = None


@dataclass(frozen=True)
class Lbfgs:
    """A stage of L-BFGS on all points.

    Parameters
    ----------
    iterations : int
    history : int
    resample : int, optional
        New points every so many iterations; the history is kept.
    value_tolerance : float
        Ends the stage when an iteration lowers the loss by no more than this times max(1, loss).
    """

    iterations: int
    history: int = 100
    resample: int | None = None
    value_tolerance: float = 0.0


Stage = Adam | Lbfgs
Points = Sequence[Sequence[Array]]


class Record(NamedTuple):
    """What was noted at an iteration, counted over all stages; error is NaN where none was asked for."""

    iteration: int
    loss: float
    error: float


class Training:
    """A training in progress: `step` does one iteration, `save` and `load` keep all that the rest depends on.

    Attributes
    ----------
    model : tree
        The model as trained so far.
    loss : float
        At the beginning of the last iteration for Adam, at its end for L-BFGS.
    iteration : int
        Iterations done, over all stages.
    records : list of Record
    notes : list of str
        How each stage ended.
    """

    def __init__(self, problem: PINN, model: Any, stages: Sequence[Stage], key: Any, tag: str = "") -> None:
        for stage in stages:
            _check(stage)
        self.problem, self.model, self.stages, self.tag = problem, model, tuple(stages), tag
        self.loss = math.nan
        self.iteration = 0
        self.records: list[Record] = []
        self.notes: list[str] = []
        self._key = _hesse.asarray(key)
        self._stage = self._done = 0  # the current stage, and its iterations done
        self._draw = -1
        self._points: Points = ()
        self._state: Any = None  # of Adam
        self._engine: optim.Lbfgs | None = None
        self._gradient = compile(value_and_grad(problem.loss))
        self._adam_steps: dict[int, Callable[..., Any]] = {}
        self._resample()

    @property
    def total(self) -> int:
        """Iterations of all stages."""
        return sum(stage.iterations for stage in self.stages)

    @property
    def stage(self) -> Stage | None:
        """The current stage; None at the end."""
        return self.stages[self._stage] if self._stage < len(self.stages) else None

    def step(self) -> bool:
        """One iteration; False when all stages are done.

        Raises
        ------
        FloatingPointError
            Where the loss is NaN or infinite.
        """
        stage = self.stage
        while stage is not None and self._done >= stage.iterations:
            stage = self._next_stage("all iterations done")
        if stage is None:
            return False
        if stage.resample and self._done and self._done % stage.resample == 0:
            self._resample()
            if self._engine is not None:
                self._engine.function_changed()
        if isinstance(stage, Adam):
            self._adam(stage)
        else:
            self._lbfgs(stage)
        self._done += 1
        self.iteration += 1
        if self._engine is not None and self._engine.status != "running":
            self._next_stage(self._engine.status)
        return True

    def _next_stage(self, why: str) -> Stage | None:
        stage = self.stages[self._stage]
        self.notes.append(f"{type(stage).__name__}: {why} after {self._done} iterations")
        self._stage, self._done = self._stage + 1, 0
        self._state = self._engine = None
        return self.stage

    def _resample(self) -> None:
        self._draw += 1
        self._points = self.problem.sample(_hesse.random.fold_in(self._key, 2 * self._draw))

    def _adam(self, stage: Adam) -> None:
        step = self._adam_steps.get(self._stage)
        if step is None:
            opt = _optimiser(stage)
            clip = stage.clip
            gradient = self._gradient

            def update(model: Any, state: Any, points: Points) -> Any:
                loss, grads = gradient(model, points)
                if clip is not None:
                    grads, _ = optim.clip_by_global_norm(grads, clip)
                return loss, *opt.update(grads, state, model)

            step = self._adam_steps[self._stage] = compile(update)
        if self._state is None:
            self._state = _optimiser(stage).init(self.model)
        points = self._points if stage.batch is None else self._batch(stage.batch)
        value, model, state = step(self.model, self._state, points)
        loss = float(value)
        if not math.isfinite(loss):
            raise _hesse.NumericalError(
                f"train: the loss is {loss} at iteration {self.iteration}, in Adam; the model is that before it. "
                "A smaller learning rate or clip=1.0 may help; hs.debug_nans names the operation"
            )
        self.loss, self.model, self._state = loss, model, state

    def _batch(self, size: int) -> Points:
        """The points of this iteration: slices of a permutation per round through all points."""
        key = _hesse.random.fold_in(self._key, 2 * self._draw + 1)
        chosen = []
        for k, points in enumerate(self._points):
            n = points[0].shape[0]
            if n <= size:
                chosen.append(points)
                continue
            round_, place = divmod(self._done, n // size)
            order = _hesse.random._permutation(_hesse.random.fold_in(key, round_ * len(self._points) + k), n)[
                place * size : (place + 1) * size
            ]
            chosen.append(tuple(_hesse.take(z, order, axis=0) for z in points))
        return chosen

    def _lbfgs(self, stage: Lbfgs) -> None:
        if self._engine is None:
            self._engine = self._new_engine(stage, None)
        self._engine.step()
        self.loss, self.model = self._engine.value, self._engine.params

    def _new_engine(self, stage: Lbfgs, state: dict[str, Array] | None) -> optim.Lbfgs:
        return optim.lbfgs(
            lambda model: self._gradient(model, self._points),
            self.model,
            history=stage.history,
            value_tolerance=stage.value_tolerance,
            state=state,
        )

    def record(self, error: Callable[[Any], Any] | None = None) -> Record:
        """Notes the loss and the error of the model now."""
        entry = Record(self.iteration, self.loss, math.nan if error is None else float(error(self.model)))
        self.records.append(entry)
        return entry

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all that the rest of the training depends on."""
        tree: dict[str, Any] = {
            "model": self.model,
            "counters": _hesse.array([self._stage, self._done, self._draw, self.iteration]),
            "loss": _hesse.array([self.loss]),
            "key": key_data(self._key),
            "records": _hesse.asarray([[float(v) for v in r] for r in self.records])
            if self.records
            else _hesse.zeros((0, 3)),
        }
        if self._state is not None:
            tree["adam"] = self._state
        if self._engine is not None:
            tree["lbfgs"] = self._engine.state
        metadata = {"format": "hesse training 1", "tag": self.tag, "notes": "\n".join(self.notes)}
        save_safetensors(path, tree, metadata)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Goes on from what `save` wrote, for the same problem, stages and key.

        Raises
        ------
        ValueError
            Where the file is malformed or belongs to another training; the message says what differs.
        """
        name = os.fspath(path)
        tensors, metadata = load_safetensors(path), read_metadata(path)
        if metadata.get("format") != "hesse training 1":
            raise _hesse.FormatError(f"resume: {name} is not a checkpoint of a training")
        if metadata.get("tag") != self.tag:
            raise _hesse.ArgumentError(
                f"resume: {name} was written with the options {metadata.get('tag')!r}, these are {self.tag!r}"
            )
        counters = [int(v) for v in _entry(tensors, "counters", name)]
        if bytes(memoryview(_entry(tensors, "key", name))) != bytes(memoryview(key_data(self._key))):
            raise _hesse.ArgumentError(f"resume: {name} was written with another seed")
        if len(counters) != 4 or not 0 <= counters[0] <= len(self.stages) or min(counters) < 0:
            raise _hesse.FormatError(
                f"resume: {name}: the counters {counters} do not fit {len(self.stages)} stages"
            )
        self.model = _restore(tensors, "model", self.model, name)
        self._stage, self._done, draw, self.iteration = counters
        self._draw = draw - 1
        self._resample()
        self.loss = float(_entry(tensors, "loss", name)[0])
        self.records = [Record(int(i), float(a), float(b)) for i, a, b in _entry(tensors, "records", name)]
        self.notes = [line for line in metadata.get("notes", "").split("\n") if line]
        self._state = self._engine = None
        if isinstance(self.stage, Adam) and self._done:
            self._state = _restore(tensors, "adam", _optimiser(self.stage).init(self.model), name)
        elif isinstance(self.stage, Lbfgs) and self._done:
            parts = ("x", "gradient", "value", "steps", "changes", "counts")
            self._engine = self._new_engine(
                self.stage, {part: _entry(tensors, f"lbfgs.{part}", name) for part in parts}
            )


def _check(stage: Stage) -> None:
    kind = type(stage).__name__
    if not isinstance(stage, (Adam, Lbfgs)):
        raise _hesse.ArgumentTypeError(f"train: a stage must be Adam or Lbfgs, got {kind}")
    if stage.iterations < 0:
        raise _hesse.ArgumentError(f"{kind}: iterations must not be negative, got {stage.iterations}")
    if stage.resample is not None and stage.resample < 1:
        raise _hesse.ArgumentError(f"{kind}: resample must be positive, got {stage.resample}")
    if isinstance(stage, Adam) and stage.batch is not None and stage.batch < 1:
        raise _hesse.ArgumentError(f"{kind}: batch must be positive, got {stage.batch}")


def _optimiser(stage: Adam) -> optim.Adam:
    rate = stage.learning_rate
    return optim.adam(rate if callable(rate) else optim.cosine_decay(rate, max(stage.iterations, 1)))


def _entry(tensors: dict[str, Array], name: str, path: str) -> Any:
    if name not in tensors:
        raise _hesse.FormatError(f"resume: {path} has no entry {name!r}")
    return tensors[name]


def _restore(tensors: dict[str, Array], part: str, like: Any, path: str) -> Any:
    """The tree `like` with the arrays of that part of a file."""
    leaves, treedef = _hesse.tree_flatten(like)
    restored = []
    for name, leaf in zip(leaf_names({part: like}), leaves, strict=True):
        expected, got = _hesse.asarray(leaf), _entry(tensors, name, path)
        if (got.shape, got.dtype) != (expected.shape, expected.dtype):
            raise _hesse.ArgumentError(
                f"resume: {path}: {name!r} is {got.dtype}{list(got.shape)} in the file but "
                f"{expected.dtype}{list(expected.shape)} here; was it written for another network?"
            )
        restored.append(got)
    return treedef.unflatten(restored)


class _Interrupts:
    """Turns the first Ctrl-C into a flag, so that an iteration is finished; the second interrupts at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def train(
    problem: PINN,
    model: Any,
    stages: Sequence[Stage],
    *,
    key: Any,
    error: Callable[[Any], Any] | None = None,
    every: int = 100,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    save_every: float = 60.0,
    tag: str = "",
) -> Training:
    """Trains a model on a problem.

    Parameters
    ----------
    problem : PINN
    model : tree
        The network, or a tree that holds it (see `PINN`).
    stages : sequence of Adam and Lbfgs
    key : Array
        Where all random choices come from.
    error : callable, optional
        ``error(model)`` is shown and noted every `every` iterations.
    progress : bool
        Whether to show a bar on the standard error stream.
    checkpoint : path, optional
        Where to save: every `save_every` seconds, when interrupted and at the end.
    resume : bool
        Go on from `checkpoint`: the result is that of an uninterrupted training, bit for bit.
    tag : str
        Kept in the checkpoint; resuming with another one is refused.

    Returns
    -------
    Training
        With the model, the loss and the records.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, when the iteration is finished and the checkpoint saved.
    FloatingPointError
        Where the loss is NaN or infinite.
    """
    training = Training(problem, model, stages, key, tag)
    if resume:
        if checkpoint is None:
            raise _hesse.ArgumentError("train: resume needs a checkpoint")
        training.load(checkpoint)
    bar = Progress(training.total, training.iteration, progress)
    latest: dict[str, float] = {}
    saved = time.monotonic()
    try:
        with _Interrupts() as interrupts:
            while not interrupts.asked:
                label = type(training.stage).__name__
                if not training.step():
                    break
                if training.iteration % every == 0 and error is not None:
                    latest["error"] = training.record(error).error
                bar.update(training.iteration, label, {"loss": training.loss, **latest})
                if checkpoint is not None and time.monotonic() - saved > save_every:
                    training.save(checkpoint)
                    saved = time.monotonic()
            if not interrupts.asked:
                training.record(error)
            if checkpoint is not None:
                training.save(checkpoint)
            if interrupts.asked:
                where = "" if checkpoint is None else f"; saved in {os.fspath(checkpoint)}"
                raise KeyboardInterrupt(f"stopped after iteration {training.iteration}{where}")
    finally:
        bar.close()
    return training
