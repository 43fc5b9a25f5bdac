"""Stochastic gradient descent, Adam, and gradient clipping on trees. The formulas are in core/nn/optim.h."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import _hesse
from .._dtypes import isdtype
from .._hesse import Array, TreeDef, tree_flatten
from .._hesse import optim as _o
from ._schedules import Schedule

__all__ = ["Adam", "AdamState", "Sgd", "SgdState", "adam", "clip_by_global_norm", "global_norm", "sgd"]


def _check_rate(function: str, rate: float | Schedule) -> None:
    if not callable(rate) and not isinstance(rate, Array) and not rate >= 0.0:
        raise _hesse.ArgumentError(f"{function}: the learning rate must not be negative, got {rate}")


def _rate(rate: float | Schedule, step: Array) -> Any:
    return rate(step) if callable(rate) else rate


def _parameters(params: Any) -> tuple[list[Array], TreeDef]:
    leaves, treedef = tree_flatten(params)
    return [_hesse.asarray(leaf) for leaf in leaves], treedef


def _gradients(grads: Any, treedef: TreeDef, function: str) -> list[Any]:
    """A gradient or None for every parameter."""
    return [None if g is None else _hesse.asarray(g) for g in treedef.flatten_up_to(grads, function)]


def _like(treedef: TreeDef, tree: Any, function: str) -> list[Array]:
    return [_hesse.asarray(x) for x in treedef.flatten_up_to(tree, function)]


class SgdState(NamedTuple):
    """The number of steps done, and the velocity in the structure of the parameters (None without momentum)."""

    step: Array
    velocity: Any


class Sgd:
    """See `sgd`."""

    def __init__(
        self, learning_rate: float | Schedule, momentum: float, nesterov: bool, weight_decay: float
    ) -> None:
        _check_rate("sgd", learning_rate)
        _o.sgd([], [], [], 0.0, momentum, nesterov, weight_decay)  # checks the options
        self.learning_rate = learning_rate
        self._options = (momentum, nesterov, weight_decay)

    def init(self, params: Any) -> SgdState:
        """The state before the first step."""
        velocity = None
        if self._options[0] > 0.0:
            leaves, treedef = _parameters(params)
            velocity = treedef.unflatten([_hesse.zeros_like(p) for p in leaves])
        return SgdState(_hesse.asarray(0), velocity)

    def update(self, grads: Any, state: SgdState, params: Any) -> tuple[Any, SgdState]:
        """One step: the new parameters and the new state."""
        leaves, treedef = _parameters(params)
        velocity = [] if state.velocity is None else _like(treedef, state.velocity, "sgd")
        new, velocity = _o.sgd(
            leaves,
            _gradients(grads, treedef, "sgd"),
            velocity,
            _rate(self.learning_rate, state.step),
            *self._options,
        )
        moved = None if state.velocity is None else treedef.unflatten(velocity)
        return treedef.unflatten(new), SgdState(state.step + 1, moved)


def sgd(
    learning_rate: float | Schedule,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Sgd:
    """Gradient descent, with momentum and Nesterov's variant of it.

    Parameters
    ----------
    learning_rate : float or schedule
        A schedule is a function of the number of steps done: see `cosine_decay` and its neighbours.
    momentum : float
        In [0, 1): v <- momentum * v + g, and the step is along v.
    nesterov : bool
        The step is along g + momentum * v instead.
    weight_decay : float
        Adds weight_decay * parameter to the gradient.

    Examples
    --------
    >>> import hesse as hs
    >>> opt = hs.optim.sgd(0.25)
    >>> params = {"x": hs.array(4.0)}
    >>> state = opt.init(params)
    >>> params, state = opt.update(hs.grad(lambda p: p["x"] ** 2)(params), state, params)
    >>> params
    {'x': Array(2., dtype=float64)}
    """
    return Sgd(learning_rate, momentum, nesterov, weight_decay)


class AdamState(NamedTuple):
    """The number of steps done, and both moments in the structure of the parameters."""

    step: Array
    first: Any
    second: Any


class Adam:
    """See `adam`."""

    def __init__(
        self,
        learning_rate: float | Schedule,
        beta1: float,
        beta2: float,
        epsilon: float,
        weight_decay: float,
    ) -> None:
        _check_rate("adam", learning_rate)
        _o.adam([], [], [], [], 0, 0.0, beta1, beta2, epsilon, weight_decay)  # checks the options
        self.learning_rate = learning_rate
        self._options = (beta1, beta2, epsilon, weight_decay)

    def init(self, params: Any) -> AdamState:
        """The state before the first step: zero moments (the second is real for complex parameters)."""
        leaves, treedef = _parameters(params)
        first = [_hesse.zeros_like(p) for p in leaves]
        second = [_hesse.real(m) if isdtype(m.dtype, "complex floating") else m for m in first]
        return AdamState(_hesse.asarray(0), treedef.unflatten(first), treedef.unflatten(second))

    def update(self, grads: Any, state: AdamState, params: Any) -> tuple[Any, AdamState]:
        """One step: the new parameters and the new state."""
        leaves, treedef = _parameters(params)
        new, first, second = _o.adam(
            leaves,
            _gradients(grads, treedef, "adam"),
            _like(treedef, state.first, "adam"),
            _like(treedef, state.second, "adam"),
            state.step,
            _rate(self.learning_rate, state.step),
            *self._options,
        )
        moments = treedef.unflatten(first), treedef.unflatten(second)
        return treedef.unflatten(new), AdamState(state.step + 1, *moments)


def adam(
    learning_rate: float | Schedule = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> Adam:
    """Adam (Kingma and Ba 2015); with weight_decay > 0 it is AdamW (Loshchilov and Hutter 2019).

    Examples
    --------
    >>> import hesse as hs
    >>> opt = hs.optim.adam(hs.optim.cosine_decay(0.5, 200))
    >>> x = hs.array([3.0, -2.0])
    >>> state = opt.init(x)
    >>> for _ in range(200):
    ...     x, state = opt.update(hs.grad(lambda x: hs.sum((x - 1.0) ** 2))(x), state, x)
    >>> bool(hs.max(hs.abs(x - 1.0)) < 1e-3)
    True
    """
    return Adam(learning_rate, beta1, beta2, epsilon, weight_decay)


def global_norm(tree: Any) -> Array:
    """The square root of the sum of all squares in a tree.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.optim.global_norm({"a": hs.array([3.0]), "b": hs.array(4.0)})
    Array(5., dtype=float64)
    """
    return _o.global_norm([_hesse.asarray(x) for x in _hesse.tree_leaves(tree)])


def clip_by_global_norm(grads: Any, max_norm: float) -> tuple[Any, Array]:
    """Gradients scaled down so that their norm is at most `max_norm`, and the norm before.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.optim.clip_by_global_norm([hs.array([3.0, 4.0])], 1.0)
    ([Array([0.6, 0.8], dtype=float64)], Array(5., dtype=float64))
    """
    leaves, treedef = tree_flatten(grads)
    clipped, norm = _o.clip_by_global_norm([_hesse.asarray(g) for g in leaves], max_norm)
    return treedef.unflatten(clipped), norm
