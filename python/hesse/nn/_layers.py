"""Layers: modules that are functions of an array. Features are the last axis."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

from .. import _hesse
from .._hesse import Array
from .._hesse import nn as _nn
from ..random import next_key
from ._module import Module

__all__ = ["MLP", "Linear"]

Initialiser = Callable[..., Array]
Activation = Callable[[Any], Any]


def _check_sizes(layer: str, what: str, sizes: Sequence[int]) -> None:
    if not all(isinstance(n, SupportsIndex) for n in sizes):
        raise _hesse.ArgumentTypeError(f"{layer}: {what} must be integers, got {list(sizes)!r}")
    if not all(operator.index(n) >= 1 for n in sizes):
        raise _hesse.ArgumentError(f"{layer}: {what} must be positive, got {list(sizes)!r}")


class Linear(Module):
    """x W^T + b over the last axis.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Whether to add a bias, zero at first.
    key : Array, optional
        The random key of the weights; by default the next of the state that `hs.seed` sets.
    init : callable
        From (key, shape, dtype=) to weights; see `hs.nn.init`.
    dtype : optional
        float64 unless `hs.set_default_dtype` says otherwise.

    Attributes
    ----------
    weight : Array
        [out_features, in_features], as PyTorch stores it.
    bias : Array or None
        [out_features].

    Examples
    --------
    >>> import hesse as hs
    >>> layer = hs.nn.Linear(3, 2, key=hs.random.key(0))
    >>> layer
    Linear(weight=float64[2,3], bias=float64[2])
    >>> layer(hs.ones((5, 3))).shape
    (5, 2)
    """

    weight: Array
    bias: Array | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        key: Array | None = None,
        init: Initialiser = _nn.init.glorot_uniform,
        dtype: Any = None,
    ) -> None:
        _check_sizes("Linear", "the numbers of features", (in_features, out_features))
        self.weight = init(next_key() if key is None else key, (out_features, in_features), dtype=dtype)
        self.bias = _hesse.zeros(out_features, dtype=dtype) if bias else None

    def __call__(self, x: Any) -> Array:
        return _nn.linear(x, self.weight, self.bias)


class MLP(Module):
    """Linear layers with an activation between them.

    Parameters
    ----------
    sizes : sequence of int
        Features from input to output: ``[2, 20, 20, 1]`` has two hidden layers of 20.
    activation : callable
        After every layer but the last.
    key, init, dtype
        As for `Linear`.

    Examples
    --------
    >>> import hesse as hs
    >>> net = hs.nn.MLP([2, 20, 20, 1], key=hs.random.key(0))
    >>> net(hs.array([0.5, -0.5])).shape
    (1,)
    >>> sum(w.size for w in hs.tree_leaves(net))
    501
    """

    layers: list[Linear]
    activation: Activation

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Activation = _hesse.tanh,
        *,
        key: Array | None = None,
        init: Initialiser = _nn.init.glorot_uniform,
        dtype: Any = None,
    ) -> None:
        if len(sizes) < 2:
            raise _hesse.ArgumentError(
                f"MLP: sizes needs at least an input and an output, got {list(sizes)!r}"
            )
        _check_sizes("MLP", "sizes", sizes)
        if not callable(activation):
            raise _hesse.ArgumentTypeError(
                f"MLP: the activation must be a function such as hs.tanh, got {activation!r}"
            )
        keys = _hesse.unstack(_hesse.random.split(next_key() if key is None else key, num=len(sizes) - 1))
        self.layers = [
            Linear(n, m, key=k, init=init, dtype=dtype)
            for n, m, k in zip(sizes, sizes[1:], keys, strict=False)
        ]
        self.activation = activation

    def __call__(self, x: Any) -> Array:
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return last(x)
