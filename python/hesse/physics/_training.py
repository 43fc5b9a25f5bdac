"""Training a physics-informed network: stages of optimisers, checkpoints, and the loop around them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import _hesse, optim
from .._compile import compile
from .._derivatives import value_and_grad
from .._hesse import Array
from ..io import leaf_names, load_safetensors, read_metadata, save_safetensors
from ..random import key_data
from ._interrupts import Interrupts
from ._pinn import PINN
from ._progress import Progress
from ._stages import Adam, Lbfgs, Stage, check, optimiser, settings

__all__ = ["Record", "Training", "train"]

Points = Sequence[Sequence[Array]]


class Record(NamedTuple):
    """What was noted at an iteration, counted over all stages; error is NaN where none was asked for.

    Parameters
    ----------
    iteration : int
    loss, error : float

    Examples
    --------
    >>> import hesse as hs
    >>> hs.physics.Record(10, 0.5, 0.25).loss
    0.5
    """

    iteration: int
    loss: float
    error: float


class Training:
    """A training in progress: `step` does one iteration, `save` and `load` keep all that the rest depends on.

    Parameters
    ----------
    problem : PINN
    model : tree
    stages : sequence of Stage
    key : Array
        Of all points drawn.
    tag : str
        Of what `save` writes: another tag is refused by `load`.

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

    Examples
    --------
    >>> import hesse as hs
    >>> problem = hs.physics.PINN(
    ...     hs.physics.Interval(0.0, 1.0),
    ...     [hs.physics.Residual(lambda u, x: hs.grad(u)(x) + u(x), 8)],
    ...     transform=lambda u, x: 1.0 + x * u,
    ... )
    >>> net = hs.nn.MLP([1, 4, 1], key=hs.random.key(0))
    >>> training = hs.physics.Training(problem, net, [hs.physics.Adam(2)], hs.random.key(1))
    >>> while training.step():
    ...     pass
    >>> training.iteration, training.total
    (2, 2)
    """

    def __init__(self, problem: PINN, model: Any, stages: Sequence[Stage], key: Any, tag: str = "") -> None:
        if not isinstance(problem, PINN):
            raise _hesse.ArgumentTypeError(f"train: the problem must be a PINN, got {type(problem).__name__}")
        if not isinstance(stages, (tuple, list)):
            raise _hesse.ArgumentTypeError(f"train: stages must be a list, got {type(stages).__name__}")
        for stage in stages:
            check(stage)
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
        elif isinstance(stage, Lbfgs):
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
            opt = optimiser(stage)
            clip = stage.clip
            gradient = self._gradient

            def update(model: Any, state: Any, points: Points) -> Any:
                loss, grads = gradient(model, points)
                if clip is not None:
                    grads, _ = optim.clip_by_global_norm(grads, clip)
                return loss, *opt.update(grads, state, model)

            step = self._adam_steps[self._stage] = compile(update)
        if self._state is None:
            self._state = optimiser(stage).init(self.model)
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
        try:
            self._engine.step()
        except _hesse.NumericalError as error:
            raise _hesse.NumericalError(
                f"train: at iteration {self.iteration}, in L-BFGS: {error}"
            ) from error
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
        metadata = {
            "format": _FORMAT,
            "stages": settings(self.stages),
            "tag": self.tag,
            "notes": "\n".join(self.notes),
        }
        save_safetensors(path, tree, metadata)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Goes on from what `save` wrote, for the same problem, stages and key.

        Raises
        ------
        ValueError
            Where the file is malformed or belongs to another training; the message says what differs.
        """
        name = os.fspath(path)
        try:
            tensors, metadata = load_safetensors(path), read_metadata(path)
        except _hesse.FileMissingError:
            raise _hesse.FileMissingError(
                f"resume: there is no checkpoint {name}; begin without resuming"
            ) from None
        except _hesse.FormatError as error:
            raise _hesse.FormatError(
                f"resume: the checkpoint is damaged; begin without resuming ({error})"
            ) from error
        if metadata.get("format") != _FORMAT:
            raise _hesse.FormatError(f"resume: {name} is not a checkpoint of a training")
        for ours, what in ((settings(self.stages), "stages"), (self.tag, "tag")):
            _compare(metadata.get(what, ""), ours, name)
        key = key_data(self._key)
        if not bool(_hesse.all(_entry(tensors, "key", name, key.shape) == key)):
            raise _hesse.ArgumentError(f"resume: {name} was written with another key (seed)")
        counters = [int(v) for v in _entry(tensors, "counters", name, (4,))]
        stage, done, draw, iteration = counters
        most = self.stages[stage].iterations if 0 <= stage < len(self.stages) else 0
        if not (
            0 <= stage <= len(self.stages) and 0 <= done <= most and 0 <= draw <= iteration <= self.total
        ):
            raise _hesse.FormatError(
                f"resume: {name}: the counters {counters} do not fit {settings(self.stages)}"
            )
        self.model = _restore(tensors, "model", self.model, name)
        self._stage, self._done, self._draw, self.iteration = stage, done, draw - 1, iteration
        self._resample()
        self.loss = float(_entry(tensors, "loss", name, (1,))[0])
        self.records = [
            Record(int(i), float(a), float(b)) for i, a, b in _entry(tensors, "records", name, (None, 3))
        ]
        self.notes = [line for line in metadata.get("notes", "").split("\n") if line]
        self._state = self._engine = None
        if isinstance(self.stage, Adam) and self._done:
            self._state = _restore(tensors, "adam", optimiser(self.stage).init(self.model), name)
        elif isinstance(self.stage, Lbfgs) and self._done:
            parts = ("x", "gradient", "value", "steps", "changes", "counts")
            state = {part: _entry(tensors, f"lbfgs.{part}", name) for part in parts}
            try:
                self._engine = self._new_engine(self.stage, state)
            except _hesse.ArgumentError as error:
                raise _hesse.FormatError(f"resume: {name}: {error}") from error


_FORMAT = "hesse training 1"


def _compare(theirs: str, ours: str, path: str) -> None:
    """Refuses a checkpoint of other settings, and says in which words they differ."""
    if theirs != ours:
        then, now = theirs.split(), ours.split()
        raise _hesse.ArgumentError(
            f"resume: {path} was written with {' '.join(w for w in then if w not in now) or 'less'}, "
            f"this is {' '.join(w for w in now if w not in then) or 'less'}; give the options it was written with, "
            "or begin without resuming"
        )


def _entry(
    tensors: dict[str, Array], name: str, path: str, shape: tuple[int | None, ...] | None = None
) -> Array:
    """An array of a file; None in its shape stands for any length."""
    if name not in tensors:
        raise _hesse.FormatError(f"resume: {path} has no entry {name!r}")
    got = tensors[name].shape
    if shape is not None and (
        len(got) != len(shape) or any(n not in (None, m) for n, m in zip(shape, got, strict=True))
    ):
        raise _hesse.FormatError(f"resume: {path}: {name!r} has the shape {got}, expected {shape}")
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
        Words such as "points=2000" that are kept in the checkpoint; resuming with others is refused, as it is with
        other stages or another key.

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

    Examples
    --------
    >>> import hesse as hs
    >>> problem = hs.physics.PINN(
    ...     hs.physics.Interval(0.0, 1.0),
    ...     [hs.physics.Residual(lambda u, x: hs.grad(u)(x) + u(x), 8)],
    ...     transform=lambda u, x: 1.0 + x * u,
    ... )
    >>> net = hs.nn.MLP([1, 4, 1], key=hs.random.key(0))
    >>> trained = hs.physics.train(problem, net, [hs.physics.Adam(3)], key=hs.random.key(1), progress=False)
    >>> trained.iteration
    3
    """
    if every < 1:
        raise _hesse.ArgumentError(f"train: every must be positive, got {every}")
    training = Training(problem, model, stages, key, tag)
    if resume:
        if checkpoint is None:
            raise _hesse.ArgumentError("train: resume needs a checkpoint")
        training.load(checkpoint)
    bar = Progress(training.total, training.iteration, progress)
    latest: dict[str, float] = {}
    saved = time.monotonic()
    try:
        with Interrupts() as interrupts:
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
