"""How models are fitted: the loop of training, what rows and targets are, and what scikit-learn asks for."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import _hesse, optim
from .._compile import compile
from .._derivatives import value_and_grad
from .._hesse import Array
from ..nn import binary_cross_entropy_with_logits, softmax_cross_entropy
from ..random import fold_in, split
from ..random import key as key_of
from ._graph import numpy_of
from ._splits import EarlyStopping, class_weights, random_split, stratified_split

__all__ = ["Batch", "Classifier", "Epoch", "Estimator", "Regressor"]

_Numbers = np.ndarray[Any, Any]
# What the model is called with, the targets of its rows, and the rows' weights.
Batch = tuple[tuple[Any, ...], Any, Any]


class Epoch(NamedTuple):
    """The mean losses of an epoch: of the training rows while it lasted, and of the validation rows at its end.

    Parameters
    ----------
    loss, validation : float
        The latter is NaN without validation rows.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.Epoch(0.5, 0.25).loss
    0.5
    """

    loss: float
    validation: float


class Estimator:
    """Parameters by the names of the constructor, and the loop of training."""

    build: Callable[[Array], Any]
    epochs: int
    optimiser: Any
    batch_size: int | None
    patience: int | None
    validation_fraction: float
    seed: int

    # ---- what scikit-learn asks of an estimator ------------------------------------------------------------------
    @classmethod
    def _names(cls) -> list[str]:
        return list(inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **parameters: Any) -> Any:
        """Changes arguments of the constructor; returns the estimator."""
        for name, value in parameters.items():
            if name not in self._names():
                raise _hesse.ArgumentError(
                    f"{self._name}: there is no parameter {name!r}; they are {', '.join(self._names())}"
                )
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = importlib.import_module("sklearn.utils")
        is_classifier = isinstance(self, Classifier)
        return tags.Tags(
            estimator_type="classifier" if is_classifier else "regressor",
            target_tags=tags.TargetTags(required=False),
            classifier_tags=tags.ClassifierTags() if is_classifier else None,
            regressor_tags=None if is_classifier else tags.RegressorTags(),
        )

    def __repr__(self) -> str:
        changed = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name)
            if name == "build" or (value is not parameter.default and value != parameter.default):
                changed.append(f"{name}={getattr(value, '__name__', value)}")
        return f"{self._name}({', '.join(changed)})"

    @property
    def _name(self) -> str:
        return type(self).__name__

    # ---- what the kinds of rows and targets differ in ------------------------------------------------------------
    def _rows(self, x: Any) -> Any:
        """The rows, checked: positions of nodes, pairs, or a list of graphs."""
        raise NotImplementedError

    def _taken(self, rows: Any, which: _Numbers) -> Any:
        return rows[which]

    def _own_targets(self, rows: Any) -> Any:
        """The targets that graphs have themselves."""
        raise NotImplementedError

    def _batches(
        self, rows: Any, y: _Numbers, weights: _Numbers, key: Array | None
    ) -> Callable[[], Iterator[Batch]]:
        """Makes the batches of an epoch when called; in random order with a key."""
        raise NotImplementedError

    def _gathered(self, rows: Any, y: _Numbers, outputs: list[tuple[Any, Any]]) -> _Numbers:
        """The model's results in the order of the rows, from those of all batches with their weights."""
        parts = [
            numpy_of(self._name, "outputs", o)[numpy_of(self._name, "weights", w) > 0] for o, w in outputs
        ]
        return np.concatenate(parts)

    def _encoded(self, y: _Numbers) -> _Numbers:
        """Targets as the loss takes them."""
        raise NotImplementedError

    def _weights(self, y: _Numbers) -> _Numbers:
        return np.ones(len(y))

    def _learn(self, y: _Numbers) -> None:
        """Takes from the targets what `predict` needs."""

    def _loss(self, outputs: Array, y: Array, weights: Array) -> Array:
        raise NotImplementedError

    # ---- fitting -------------------------------------------------------------------------------------------------
    def _targets(self, rows: Any, y: Any) -> _Numbers:
        y = self._own_targets(rows) if y is None else y
        targets = numpy_of(self._name, "y", y)
        if targets.ndim == 0 or len(targets) != len(rows):
            raise _hesse.ArgumentError(
                f"{self._name}: y must have a row for each of {len(rows)} {self._what}, got shape {targets.shape}"
            )
        if len(rows) == 0:
            raise _hesse.ArgumentError(f"{self._name}: there are no {self._what}")
        return targets

    _what = "rows"

    def fit(self, X: Any, y: Any = None, *, validation: tuple[Any, Any] | None = None) -> Any:
        """Trains a new model.

        Parameters
        ----------
        X : nodes, pairs, or graphs
            See the class.
        y : array, optional
            Their targets; by default the `y` that the graphs have.
        validation : pair, optional
            Further rows and their targets (None as above), whose loss is noted after every epoch, and decides with
            `patience`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For rows and targets that do not fit each other or the model.
        FloatingPointError
            Where the loss is NaN or infinite.
        """
        self._check()
        rows = self._rows(X)
        targets = self._targets(rows, y)
        self._learn(targets)
        of_model, of_dropout, of_split, of_order = _hesse.unstack(split(key_of(self.seed), num=4))
        if validation is None and self.patience is not None:
            held, kept = self._held_out(of_split, targets)
            validation = self._taken(rows, held), targets[held]
            rows, targets = self._taken(rows, kept), targets[kept]
        model = self.build(of_model)
        optimiser = optim.adam(0.01) if self.optimiser is None else self.optimiser
        state = optimiser.init(model)
        takes_key = "key" in inspect.signature(model).parameters

        def loss(model: Any, arguments: Any, y: Any, weights: Any, key: Any) -> Array:
            outputs = model(*arguments, key=key) if takes_key else model(*arguments)
            return self._loss(self._checked(outputs, y), y, weights)

        @compile
        def step(model: Any, state: Any, arguments: Any, y: Any, weights: Any, key: Any) -> Any:
            value, gradient = value_and_grad(loss)(model, arguments, y, weights, key)
            return *optimiser.update(gradient, state, model), value

        self._forward = compile(lambda model, arguments: model(*arguments))
        batches = self._batches(rows, self._encoded(targets), self._weights(targets), of_order)
        stopping = None if self.patience is None else EarlyStopping(self.patience)
        checks: Callable[[], Iterator[Batch]] | None = None
        if validation is not None:
            others = self._rows(validation[0])
            wanted = self._targets(others, validation[1])
            checks = self._batches(others, self._encoded(wanted), self._weights(wanted), None)
        self.history_: list[Epoch] = []
        steps = 0
        for epoch in range(self.epochs):
            total = weight = 0.0
            for arguments, target, weights in batches():
                given = self._prepared(model, arguments)
                model, state, value = step(model, state, given, target, weights, fold_in(of_dropout, steps))
                steps += 1
                share = float(_hesse.sum(weights))
                total, weight = total + share * float(value), weight + share
            mean = total / weight
            if not math.isfinite(mean):
                raise _hesse.NumericalError(
                    f"{self._name}: the loss is {mean} in epoch {epoch}; a smaller learning rate may help, and "
                    "hs.debug_nans names the operation"
                )
            held_out = math.nan if checks is None else self._mean_loss(model, checks)
            self.history_.append(Epoch(mean, held_out))
            if stopping is not None and stopping.stop(held_out, model):
                break
        self.model_ = model if stopping is None or stopping.model is None else stopping.model
        return self

    def _prepared(self, model: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the model is called with: what it prepares itself, where it can."""
        if not hasattr(model, "prepare"):
            return arguments
        made = model.prepare(*arguments)
        if not isinstance(made, tuple):
            raise _hesse.ArgumentTypeError(
                f"{self._name}: the model's prepare must give a tuple, the arguments of a call, got {made!r}"
            )
        return made

    def _check(self) -> None:
        if not callable(self.build):
            raise _hesse.ArgumentTypeError(
                f"{self._name}: build must be a function of a key that gives a model, got {self.build!r}"
            )
        least = {"epochs": 1, "batch_size": 1, "patience": 1}
        for name, low in least.items():
            value = getattr(self, name)
            optional = name != "epochs" and value is None
            if not optional and (
                isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low
            ):
                raise _hesse.ArgumentError(f"{self._name}: {name} must be a positive integer, got {value!r}")
        if not 0.0 < self.validation_fraction < 1.0:
            raise _hesse.ArgumentError(
                f"{self._name}: validation_fraction must be between 0 and 1, got {self.validation_fraction}"
            )

    def _held_out(self, key: Array, y: _Numbers) -> tuple[_Numbers, _Numbers]:
        f = self.validation_fraction
        parts = random_split(key, len(y), (f, 1.0 - f))
        held, kept = (np.asarray(part) for part in parts)
        if len(held) == 0 or len(kept) == 0:
            raise _hesse.ArgumentError(
                f"{self._name}: validation_fraction={f} of {len(y)} {self._what} leaves none; give validation="
            )
        return held, kept

    def _checked(self, outputs: Any, y: Any) -> Array:
        if isinstance(outputs, tuple):
            raise _hesse.ArgumentTypeError(
                f"{self._name}: the model gave a tuple; models with a state are trained in a loop of one's own"
            )
        made = _hesse.asarray(outputs)
        if made.ndim == 0 or made.shape[0] != y.shape[0]:
            raise _hesse.ArgumentError(
                f"{self._name}: the model must give a row for each of {y.shape[0]} {self._what}, got shape {made.shape}"
            )
        return made

    def _mean_loss(self, model: Any, batches: Callable[[], Iterator[Batch]]) -> float:
        total = weight = 0.0
        for arguments, y, weights in batches():
            share = float(_hesse.sum(weights))
            outputs = self._forward(model, self._prepared(model, arguments))
            value = self._loss(self._checked(outputs, y), y, weights)
            total, weight = total + share * float(value), weight + share
        return total / weight

    def _outputs(self, X: Any) -> _Numbers:
        if not hasattr(self, "model_"):
            raise _hesse.ArgumentError(f"{self._name}: there is no model yet; call fit first")
        rows = self._rows(X)
        if len(rows) == 0:
            raise _hesse.ArgumentError(f"{self._name}: there are no {self._what}")
        blank = np.zeros(len(rows))
        found = []
        for arguments, y, weights in self._batches(rows, blank, np.ones(len(rows)), None)():
            outputs = self._forward(self.model_, self._prepared(self.model_, arguments))
            found.append((self._checked(outputs, y), weights))
        return self._gathered(rows, blank, found)


class Classifier(Estimator):
    class_weight: Any

    def _learn(self, y: _Numbers) -> None:
        if y.ndim != 1 or (y.dtype.kind == "f" and (y != np.round(y)).any()):
            raise _hesse.ArgumentError(
                f"{self._name}: y must be a vector of classes, got {y.dtype} {y.shape}"
            )
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise _hesse.ArgumentError(
                f"{self._name}: y must have two classes or more, got only {self.classes_[0]!r}"
            )

    def _encoded(self, y: _Numbers) -> _Numbers:
        position = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        strange = np.flatnonzero(self.classes_[position] != y)
        if strange.size:
            raise _hesse.ArgumentError(
                f"{self._name}: the class {y[strange[0]]!r} of row {strange[0]} is not among those that were fitted"
            )
        return np.asarray(position, np.int64)

    def _weights(self, y: _Numbers) -> _Numbers:
        given, labels = self.class_weight, self._encoded(y)
        if given is None:
            return np.ones(len(y))
        if isinstance(given, str) and given == "balanced":
            return np.asarray(class_weights(labels, num_classes=len(self.classes_)))[labels]
        if not isinstance(given, dict):
            raise _hesse.ArgumentTypeError(
                f"{self._name}: class_weight must be None, 'balanced' or a dict by class, got {given!r}"
            )
        missing = [c for c in self.classes_.tolist() if c not in given]
        if missing or not all(w > 0 for w in given.values()):
            raise _hesse.ArgumentError(
                f"{self._name}: class_weight must give every class a positive weight; "
                + (f"{missing[0]!r} has none" if missing else f"got {given}")
            )
        return np.array([given[c] for c in self.classes_.tolist()], float)[labels]

    def _held_out(self, key: Array, y: _Numbers) -> tuple[_Numbers, _Numbers]:
        f = self.validation_fraction
        held, kept = (np.asarray(p) for p in stratified_split(key, self._encoded(y), (f, 1.0 - f)))
        return (held, kept) if len(held) and len(kept) else super()._held_out(key, y)

    def _checked(self, outputs: Any, y: Any) -> Array:
        made = super()._checked(outputs, y)
        wide = 1 if made.ndim == 1 else made.shape[1]
        wanted = len(self.classes_)
        if made.ndim > 2 or (wide < wanted and not (wide == 1 and wanted == 2)):
            raise _hesse.ArgumentError(
                f"{self._name}: the model gives {wide} score(s) per row for {wanted} classes (shape {made.shape})"
            )
        return made[:, 0] if made.ndim == 2 and wide == 1 else made

    def _loss(self, outputs: Array, y: Array, weights: Array) -> Array:
        weights = _hesse.astype(weights, outputs.dtype)
        if outputs.ndim == 1:
            return binary_cross_entropy_with_logits(outputs, _hesse.astype(y, outputs.dtype), weights)
        return softmax_cross_entropy(outputs, y, weights)

    def decision_function(self, X: Any) -> _Numbers:
        """The scores of the model: (rows,) where it gives one per row, that of the second class, else (rows, C)."""
        scores = self._outputs(X)
        return scores if scores.ndim == 1 else scores[:, : len(self.classes_)]

    def predict_proba(self, X: Any) -> _Numbers:
        """Probabilities, (rows, C), of the classes in `classes_`."""
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> _Numbers:
        """The likeliest class of every row."""
        shares = self.predict_proba(X)
        return np.asarray(self.classes_[shares.argmax(axis=1)])

    def score(self, X: Any, y: Any = None) -> float:
        """The accuracy: the fraction of rows whose class is right."""
        rows = self._rows(X)
        return float((self.predict(X) == self._targets(rows, y)).mean())


class Regressor(Estimator):
    def _encoded(self, y: _Numbers) -> _Numbers:
        if y.dtype.kind not in "biuf" or y.ndim > 2:
            raise _hesse.ArgumentError(
                f"{self._name}: y must be real numbers, [rows] or [rows, targets], got {y.dtype} {y.shape}"
            )
        return y if y.dtype.kind == "f" else y.astype(float)

    def _checked(self, outputs: Any, y: Any) -> Array:
        made = super()._checked(outputs, y)
        return made[:, 0] if made.ndim == 2 and made.shape[1] == 1 and y.ndim == 1 else made

    def _loss(self, outputs: Array, y: Array, weights: Array) -> Array:
        if outputs.shape != y.shape:
            raise _hesse.ArgumentError(
                f"{self._name}: the model gives rows of shape {outputs.shape[1:]} for targets of shape {y.shape[1:]}"
            )
        known = ~_hesse.isnan(y)
        w = _hesse.astype(weights, outputs.dtype)
        w = _hesse.where(known, w if y.ndim == 1 else w[:, None], 0)
        error = outputs - _hesse.astype(_hesse.where(known, y, 0), outputs.dtype)
        return _hesse.sum(w * error**2) / _hesse.maximum(_hesse.sum(w), 1e-30)

    def predict(self, X: Any) -> _Numbers:
        """The model's value for every row, (rows,) or (rows, targets)."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs

    def score(self, X: Any, y: Any = None) -> float:
        """R^2 = 1 - sum (y - f)^2 / sum (y - mean y)^2, the mean over targets; NaN does not count."""
        wanted = self._encoded(self._targets(self._rows(X), y))
        found = self.predict(X).reshape(wanted.shape)
        rest = np.nansum((wanted - found) ** 2, axis=0)
        whole = np.nansum((wanted - np.nanmean(wanted, axis=0)) ** 2, axis=0)
        # Without a spread of targets: 1 where all is right, else 0.
        return float(np.mean(np.where(whole > 0, 1.0 - rest / np.where(whole > 0, whole, 1.0), rest == 0)))
