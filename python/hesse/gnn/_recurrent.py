"""Cells of recurrent networks, with the gates in PyTorch's order."""

from __future__ import annotations

from typing import Any

from .. import _hesse
from .._hesse import Array
from ..nn._layers import Linear
from ..nn._module import Module
from ._common import keys

__all__ = ["GRUCell", "LSTMCell"]


class GRUCell(Module):
    """r, z = s(W x + b + U h + c) for two thirds of the rows, n = tanh(W x + b + r (U h + c)) for the last third;
    h <- (1 - z) n + z h (Cho et al., arXiv:1406.1078, 2014)."""

    inputs: Linear
    state: Linear

    def __init__(
        self, in_features: int, features: int, *, key: Array | None = None, dtype: Any = None
    ) -> None:
        k = keys(key, 2)
        self.inputs = Linear(in_features, 3 * features, key=k[0], dtype=dtype)
        self.state = Linear(features, 3 * features, key=k[1], dtype=dtype)

    def __call__(self, x: Array, h: Array) -> Array:
        a, b = self.inputs(x), self.state(h)
        n = h.shape[-1]
        r = _hesse.sigmoid(a[..., :n] + b[..., :n])
        z = _hesse.sigmoid(a[..., n : 2 * n] + b[..., n : 2 * n])
        new = _hesse.tanh(a[..., 2 * n :] + r * b[..., 2 * n :])
        return (1.0 - z) * new + z * h


class LSTMCell(Module):
    """i, f, g, o = W x + b + U h + c; c <- s(f) c + s(i) tanh(g), h <- s(o) tanh(c) (Hochreiter and Schmidhuber,
    Neural Computation 9 (1997) 1735, with a forget gate)."""

    inputs: Linear
    state: Linear

    def __init__(
        self, in_features: int, features: int, *, key: Array | None = None, dtype: Any = None
    ) -> None:
        k = keys(key, 2)
        self.inputs = Linear(in_features, 4 * features, key=k[0], dtype=dtype)
        self.state = Linear(features, 4 * features, key=k[1], dtype=dtype)

    def __call__(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        a = self.inputs(x) + self.state(h)
        n = h.shape[-1]
        i, f, g, o = (a[..., k * n : (k + 1) * n] for k in range(4))
        c = _hesse.sigmoid(f) * c + _hesse.sigmoid(i) * _hesse.tanh(g)
        return _hesse.sigmoid(o) * _hesse.tanh(c), c
