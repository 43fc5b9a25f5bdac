"""Stochastic gradient descent, Adam, and gradient clipping on trees. The formulas are in core/nn/optim.h."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, SupportsFloat

from .. import _hesse
from .._compile import CompiledFunction
from .._dtypes import isdtype
from .._hesse import Array, tree_flatten
from .._hesse import optim as _o
from ._schedules import Schedule

__all__ = ["Adam", "AdamState", "Sgd", "SgdState", "adam", "clip_by_global_norm", "global_norm", "sgd"]


def _check_options(function: str, rate: Any, weight_decay: float) -> None:
    if not callable(rate) and not isinstance(rate, Array):
        if isinstance(rate, (str, bytes)) or not isinstance(rate, SupportsFloat):
            raise _hesse.ArgumentTypeError(
                f"{function}: the learning rate must be a number or a schedule, got {type(rate).__name__}"
            )
        if not float(rate) >= 0.0:
            raise _hesse.ArgumentError(f"{function}: the learning rate must not be negative, got {rate}")
    if not weight_decay >= 0.0:
        raise _hesse.ArgumentError(f"{function}: weight_decay must not be negative, got {weight_decay}")


def _rate(rate: float | Array | Schedule, step: Array, function: str) -> Array:
    now = _hesse.asarray(rate(step) if callable(rate) else rate)
    if now.ndim != 0:
        raise _hesse.ArgumentError(
            f"{function}: the learning rate must be a scalar, got the shape {now.shape}"
        )
    return now


class _Parameters:
    """The leaves of a tree that an optimiser moves: floating and complex ones that are no buffers."""

    def __init__(self, params: Any, function: str) -> None:
        self._leaves, self._treedef = tree_flatten(params)
        self._moved = _hesse._inexact_positions(self._leaves, self._treedef)
        self._function = function
        self.arrays = [_hesse.asarray(self._leaves[k]) for k in self._moved]

    def state(self, values: Sequence[Array]) -> Any:
        """A tree with these at the places of what is moved, and None at the others."""
        tree: list[Any] = [None] * len(self._leaves)
        for k, value in zip(self._moved, values, strict=True):
            tree[k] = value
        return self._treedef.unflatten(tree)

    def updated(self, values: Sequence[Array]) -> Any:
        """The parameters with these in place of what is moved."""
        leaves = list(self._leaves)
        for k, value in zip(self._moved, values, strict=True):
            leaves[k] = value
        return self._treedef.unflatten(leaves)

    def of(self, tree: Any) -> list[Array | None]:
        """What a tree of gradients or of a state holds at those places."""
        found = self._treedef.flatten_up_to(tree, self._function)
        return [None if found[k] is None else _hesse.asarray(found[k]) for k in self._moved]

    def part(self, where: Callable[[Any], Any], params: Any) -> list[bool]:
        """For every parameter that is moved, whether where(params) holds it."""
        chosen = {id(leaf) for leaf in _hesse.tree_leaves(where(params))}
        if not chosen <= {id(leaf) for leaf in self._leaves}:
            raise _hesse.ArgumentError(
                f"{self._function}: decay_where(params) returned something that is not part of the parameters; "
                "return its own leaves, not copies"
            )
        return [id(self._leaves[k]) in chosen for k in self._moved]

    def all_of(self, tree: Any) -> list[Array]:
        """The same for a state, which must be complete."""
        found = [a for a in self.of(tree) if a is not None]
        if len(found) != len(self._moved):
            raise _hesse.ArgumentError(
                f"{self._function}: the state has {len(found)} arrays for {len(self._moved)} parameters; "
                "make it with init(params)"
            )
        return found


class _Formula(CompiledFunction):
    """One for all models: that it is recorded for each of them is no mistake."""

    def _count(self, call: Any) -> None:
        pass


@functools.lru_cache(maxsize=64)
def _formula(step: Callable[..., Any], options: tuple[Any, ...]) -> _Formula:
    return _Formula(lambda *state: step(*state, *options), (), (), 64)


def _stepped(step: Callable[..., Any], options: tuple[Any, ...], *state: Any) -> Any:
    """step(*state, *options) as a program: one operation after the other, each called from Python, took a third of the
    time in which a small network is trained."""
    if _hesse.in_trace():
        return step(*state, *options)
    return _formula(step, options)(*state)


def _check_state(state: Any, kind: type, function: str) -> None:
    if not isinstance(state, kind):
        raise _hesse.ArgumentTypeError(
            f"{function}: the state must be what init(params) returned, got {type(state).__name__}"
        )


class SgdState(NamedTuple):
    """The number of steps done, and the velocity in the structure of the parameters (None without
    momentum), with None where nothing moves.

    Parameters
    ----------
    step : Array
    velocity : tree or None

    Examples
    --------
    >>> import hesse as hs
    >>> hs.optim.sgd(0.1).init(hs.array([1.0, 2.0]))
    SgdState(step=Array(0, dtype=int64), velocity=None)
    """

    step: Array
    velocity: Any


class Sgd:
    """Gradient descent as two functions, `init` and `update`; `sgd` makes one and says what the options are.

    Parameters
    ----------
    learning_rate : float or schedule
    momentum : float
    nesterov : bool
    weight_decay : float

    Examples
    --------
    >>> import hesse as hs
    >>> opt = hs.optim.sgd(0.5, momentum=0.5)
    >>> x = hs.array(4.0)
    >>> x, state = opt.update(hs.array(2.0), opt.init(x), x)
    >>> x, state.velocity
    (Array(3., dtype=float64), Array(2., dtype=float64))
    """

    def __init__(
        self, learning_rate: float | Array | Schedule, momentum: float, nesterov: bool, weight_decay: float
    ) -> None:
        _check_options("sgd", learning_rate, weight_decay)
        _o.sgd([], [], [], 0.0, momentum, nesterov, weight_decay)  # checks the options
        self.learning_rate = learning_rate
        self._options = (float(momentum), bool(nesterov), float(weight_decay))

    def init(self, params: Any) -> SgdState:
        """The state before the first step."""
        if self._options[0] == 0.0:
            return SgdState(_hesse.asarray(0), None)
        moved = _Parameters(params, "sgd")
        return SgdState(_hesse.asarray(0), moved.state([_hesse.zeros_like(p) for p in moved.arrays]))

    def update(self, grads: Any, state: SgdState, params: Any) -> tuple[Any, SgdState]:
        """One step: the new parameters and the new state."""
        _check_state(state, SgdState, "sgd")
        moved = _Parameters(params, "sgd")
        has_velocity = self._options[0] > 0.0
        new, velocity = _stepped(
            _o.sgd,
            self._options,
            moved.arrays,
            moved.of(grads),
            moved.all_of(state.velocity) if has_velocity and state.velocity is not None else [],
            _rate(self.learning_rate, state.step, "sgd"),
        )
        return moved.updated(new), SgdState(state.step + 1, moved.state(velocity) if has_velocity else None)


def sgd(
    learning_rate: float | Array | Schedule,
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

    Returns
    -------
    Sgd

    Notes
    -----
    p <- p - rate * v, with v the gradient or the velocity.

    References
    ----------
    Polyak (1964); Nesterov (1983), in the form of Sutskever et al. (2013).

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
    """The number of steps done, and both moments in the structure of the parameters, with None where nothing
    moves.

    Parameters
    ----------
    step : Array
    first, second : tree

    Examples
    --------
    >>> import hesse as hs
    >>> hs.optim.adam().init(hs.array([1.0]))
    AdamState(step=Array(0, dtype=int64), first=Array([0.], dtype=float64), second=Array([0.], dtype=float64))
    """

    step: Array
    first: Any
    second: Any


class Adam:
    """Adam as two functions, `init` and `update`; `adam` makes one and says what the options are.

    Parameters
    ----------
    learning_rate : float or schedule
    beta1, beta2 : float
    epsilon : float
    weight_decay : float
    l2 : float
    decay_where : callable

    Examples
    --------
    >>> import hesse as hs
    >>> opt = hs.optim.adam(0.1)
    >>> x = hs.array(1.0)
    >>> x, state = opt.update(hs.array(2.0), opt.init(x), x)
    >>> hs.round(x, 6)
    Array(0.9, dtype=float64)
    """

    def __init__(
        self,
        learning_rate: float | Array | Schedule,
        beta1: float,
        beta2: float,
        epsilon: float,
        weight_decay: float,
        l2: float = 0.0,
        decay_where: Callable[[Any], Any] | None = None,
    ) -> None:
        _check_options("adam", learning_rate, weight_decay)
        if decay_where is not None and not callable(decay_where):
            raise _hesse.ArgumentTypeError(
                "adam: decay_where must be a function of the parameters such as lambda model: model.first, got "
                f"{decay_where!r}"
            )
        _o.adam([], [], [], [], 0, 0.0, beta1, beta2, epsilon, weight_decay, l2)  # checks the options
        self.learning_rate = learning_rate
        self._options = (float(beta1), float(beta2), float(epsilon))
        self._decay = (float(weight_decay), float(l2))
        self._decay_where = decay_where

    def init(self, params: Any) -> AdamState:
        """The state before the first step: zero moments (the second is real for complex parameters)."""
        moved = _Parameters(params, "adam")
        first = [_hesse.zeros_like(p) for p in moved.arrays]
        second = [_hesse.real(m) if isdtype(m.dtype, "complex floating") else m for m in first]
        return AdamState(_hesse.asarray(0), moved.state(first), moved.state(second))

    def update(self, grads: Any, state: AdamState, params: Any) -> tuple[Any, AdamState]:
        """One step: the new parameters and the new state."""
        _check_state(state, AdamState, "adam")
        moved = _Parameters(params, "adam")
        rate = _rate(self.learning_rate, state.step, "adam")
        found, firsts, seconds = moved.of(grads), moved.all_of(state.first), moved.all_of(state.second)
        decayed = [True] * len(moved.arrays)
        if self._decay_where is not None:
            decayed = moved.part(self._decay_where, params)
        new, first, second = (list(moved.arrays) for _ in range(3))
        for group, decay in ((True, self._decay), (False, (0.0, 0.0))):
            at = [k for k, d in enumerate(decayed) if d is group]
            if at:
                done = _stepped(
                    _o.adam,
                    (*self._options, *decay),
                    [moved.arrays[k] for k in at],
                    [found[k] for k in at],
                    [firsts[k] for k in at],
                    [seconds[k] for k in at],
                    state.step,
                    rate,
                )
                for into, values in zip((new, first, second), done, strict=True):
                    for k, value in zip(at, values, strict=True):
                        into[k] = value
        return moved.updated(new), AdamState(state.step + 1, moved.state(first), moved.state(second))


def adam(
    learning_rate: float | Array | Schedule = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    l2: float = 0.0,
    decay_where: Callable[[Any], Any] | None = None,
) -> Adam:
    """Adam (Kingma and Ba 2015); with weight_decay > 0 it is AdamW (Loshchilov and Hutter 2019).

    Parameters
    ----------
    learning_rate : float or schedule
        A schedule is a function of the number of steps done: see `cosine_decay` and its neighbours.
    beta1, beta2 : float
        In [0, 1): how slowly the averages of the gradient and of its square move.
    epsilon : float
        Added to the root of the second.
    weight_decay : float
        p <- p - rate * weight_decay * p besides.
    l2 : float
        Adds l2 * p to the gradient, which is what PyTorch's Adam calls weight_decay.
    decay_where : callable, optional
        From the parameters to the part of them that `weight_decay` and `l2` are for, such as
        ``lambda model: model.first``; by default all.

    Returns
    -------
    Adam

    Notes
    -----
    m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g**2, and
    p <- p - rate * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + epsilon).

    References
    ----------
    Kingma and Ba, arXiv:1412.6980 (2015); Loshchilov and Hutter, arXiv:1711.05101 (2019).

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
    return Adam(learning_rate, beta1, beta2, epsilon, weight_decay, l2, decay_where)


def global_norm(tree: Any) -> Array:
    """The square root of the sum of all squares in a tree.

    Parameters
    ----------
    tree : tree of arrays

    Returns
    -------
    Array, scalar

    Notes
    -----
    The derivative where all entries are 0 is 0.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.optim.global_norm({"a": hs.array([3.0]), "b": hs.array(4.0)})
    Array(5., dtype=float64)
    """
    return _o.global_norm([_hesse.asarray(x) for x in _hesse.tree_leaves(tree)])


def clip_by_global_norm(grads: Any, max_norm: float) -> tuple[Any, Array]:
    """Gradients scaled down so that their norm is at most `max_norm`, and the norm before.

    Parameters
    ----------
    grads : tree of arrays
    max_norm : float

    Returns
    -------
    tree, Array
        The gradients, and their norm before.

    References
    ----------
    Pascanu, Mikolov and Bengio, arXiv:1211.5063 (2013).

    Examples
    --------
    >>> import hesse as hs
    >>> hs.optim.clip_by_global_norm([hs.array([3.0, 4.0])], 1.0)
    ([Array([0.6, 0.8], dtype=float64)], Array(5., dtype=float64))
    """
    leaves, treedef = tree_flatten(grads)
    clipped, norm = _o.clip_by_global_norm([_hesse.asarray(g) for g in leaves], max_norm)
    return treedef.unflatten(clipped), norm
