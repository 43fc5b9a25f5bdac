"""Cells of recurrent networks, with the gates in PyTorch's order."""

from __future__ import annotations

from typing import Any

from .. import _hesse
from .._hesse import Array
from ..random import next_key
from ._layers import Linear, _check_sizes
from ._module import Module

__all__ = ["GRUCell", "LSTMCell"]


def _two_layers(in_features: int, features: int, gates: int, key: Array | None, dtype: Any) -> list[Linear]:
    """Of the inputs and of the state, each to all gates."""
    keys = _hesse.unstack(_hesse.random.split(next_key() if key is None else key, num=2))
    sizes = in_features, features
    return [Linear(n, gates * features, key=k, dtype=dtype) for n, k in zip(sizes, keys, strict=True)]


class GRUCell(Module):
    """Gated recurrent unit: ``h = cell(x, h)`` is one step, with PyTorch's equations.

    With s(a) = 1 / (1 + exp(-a)) and products entry by entry::

        r = s(W_r x + b_r + U_r h + c_r)
        z = s(W_z x + b_z + U_z h + c_z)
        n = tanh(W_n x + b_n + r (U_n h + c_n))
        h <- (1 - z) n + z h

    The paper has U_n (r h) in the third.

    Parameters
    ----------
    in_features, features : int
        Of x and of h.
    key, dtype
        As for `hs.nn.Linear`, whose initial weights these are.

    Attributes
    ----------
    inputs : Linear
        W, [3 features, in_features], and b, the rows of r first, then of z, then of n: ``weight_ih`` and ``bias_ih`` of
        ``torch.nn.GRUCell``.
    state : Linear
        U, [3 features, features], and c, in the same order: ``weight_hh`` and ``bias_hh``.

    Returns
    -------
    Array, (..., features)
        Of ``cell(x, h)``, for x (..., in_features) and h (..., features).

    Raises
    ------
    ValueError
        When called on x or h of other shapes.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
    arXiv:1406.1078 (2014), equations 5 to 8.

    Examples
    --------
    >>> import hesse as hs
    >>> cell = hs.nn.GRUCell(3, 2, key=hs.random.key(0))
    >>> cell
    GRUCell(inputs=Linear(weight=float64[6,3], bias=float64[6]), state=Linear(weight=float64[6,2], bias=float64[6]))
    >>> h = hs.zeros((5, 2))
    >>> for x in hs.ones((4, 5, 3)):
    ...     h = cell(x, h)
    >>> h.shape
    (5, 2)
    """

    inputs: Linear
    state: Linear

    def __init__(
        self, in_features: int, features: int, *, key: Array | None = None, dtype: Any = None
    ) -> None:
        _check_sizes("GRUCell", "the numbers of features", (in_features, features))
        self.inputs, self.state = _two_layers(in_features, features, 3, key, dtype)

    def __call__(self, x: Any, h: Any) -> Array:
        x, h = _hesse.asarray(x), _hesse.asarray(h)
        n = self.state.weight.shape[1]
        for name, value, width in (("x", x, self.inputs.weight.shape[1]), ("h", h, n)):
            if value.ndim == 0 or value.shape[-1] != width:
                raise _hesse.ArgumentError(
                    f"GRUCell: {name} must be [..., {width}], got shape {tuple(value.shape)}"
                )
        if x.shape[:-1] != h.shape[:-1]:
            raise _hesse.ArgumentError(
                f"GRUCell: every row of x needs one of h, got shapes {tuple(x.shape)} and {tuple(h.shape)}; "
                "repeat h with hs.broadcast_to"
            )
        a, b = self.inputs(x), self.state(h)
        r = _hesse.sigmoid(a[..., :n] + b[..., :n])
        z = _hesse.sigmoid(a[..., n : 2 * n] + b[..., n : 2 * n])
        new = _hesse.tanh(a[..., 2 * n :] + r * b[..., 2 * n :])
        y: Array = (1.0 - z) * new + z * h
        return y


class LSTMCell(Module):
    """i, f, g, o = W x + b + U h + c; c <- s(f) c + s(i) tanh(g), h <- s(o) tanh(c) (Hochreiter and Schmidhuber,
    Neural Computation 9 (1997) 1735, with a forget gate)."""

    inputs: Linear
    state: Linear

    def __init__(
        self, in_features: int, features: int, *, key: Array | None = None, dtype: Any = None
    ) -> None:
        self.inputs, self.state = _two_layers(in_features, features, 4, key, dtype)

    def __call__(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        a = self.inputs(x) + self.state(h)
        n = h.shape[-1]
        i, f, g, o = (a[..., k * n : (k + 1) * n] for k in range(4))
        c = _hesse.sigmoid(f) * c + _hesse.sigmoid(i) * _hesse.tanh(g)
        return _hesse.sigmoid(o) * _hesse.tanh(c), c
