"""Dropout and normalisations. The formulas are in core/nn/normalisation.h."""

from __future__ import annotations

import numbers
from typing import Any, ClassVar

from .. import _hesse
from .._hesse import Array
from .._hesse import nn as _nn
from ._layers import _check_sizes
from ._module import Module

__all__ = ["BatchNorm", "Dropout", "LayerNorm", "dropout"]


def dropout(x: Any, rate: float, key: Any = None) -> Any:
    """Entries are 0 with probability `rate`, and others are divided by 1 - rate.

    Parameters
    ----------
    x : array, or `hs.sparse.CSR`
        Of a sparse matrix the stored values are dropped, which is the same as for the dense one.
    rate : float
        In [0, 1).
    key : Array, optional
        The random key; None: x as it is, for evaluation.

    Returns
    -------
    Array, or CSR

    Raises
    ------
    ValueError
        For a rate outside of [0, 1).

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, J. Mach. Learn. Res. 15 (2014) 1929.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.nn.dropout(hs.ones(4), 0.5)
    Array([1., 1., 1., 1.], dtype=float64)
    >>> float(hs.mean(hs.nn.dropout(hs.ones(10000), 0.5, hs.random.key(0)))).__round__(1)
    1.0
    """
    from ..sparse import CSR

    if isinstance(x, CSR):
        return x.replace(data=dropout(x.data, rate, key))
    return _nn.dropout(_hesse.asarray(x), rate, key)


class Dropout(Module):
    """`dropout` as a layer: ``layer(x, key)`` in training, ``layer(x)`` in evaluation.

    Parameters
    ----------
    rate : float
        In [0, 1).

    Examples
    --------
    >>> import hesse as hs
    >>> hs.nn.Dropout(0.5)(hs.ones(2))
    Array([1., 1.], dtype=float64)
    """

    rate: float

    def __init__(self, rate: float) -> None:
        _nn.dropout(_hesse.zeros(0), rate, None)  # checks the rate
        self.rate = rate

    def __call__(self, x: Any, key: Any = None) -> Any:
        return dropout(x, self.rate, key)


def check_epsilon(layer: str, epsilon: Any) -> None:
    if isinstance(epsilon, bool) or not isinstance(epsilon, numbers.Real):
        raise _hesse.ArgumentTypeError(f"{layer}: epsilon must be a number, got {epsilon!r}")
    if not float(epsilon) >= 0.0:
        raise _hesse.ArgumentError(f"{layer}: epsilon must not be negative, got {epsilon}")


class LayerNorm(Module):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, over the last axis.

    Parameters
    ----------
    features : int
    epsilon : float
    affine : bool
        Whether there are a scale and a shift, 1 and 0 at first.
    dtype : optional
        float64 unless `hs.set_default_dtype` says otherwise.

    Attributes
    ----------
    scale, shift : Array or None
        [features].

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", arXiv:1607.06450 (2016).

    Examples
    --------
    >>> import hesse as hs
    >>> hs.round(hs.nn.LayerNorm(2)(hs.array([1.0, 3.0])), 3)
    Array([-1.,  1.], dtype=float64)
    """

    scale: Array | None
    shift: Array | None
    epsilon: float

    def __init__(
        self, features: int, *, epsilon: float = 1e-5, affine: bool = True, dtype: Any = None
    ) -> None:
        _check_sizes("LayerNorm", "the number of features", (features,))
        check_epsilon("LayerNorm", epsilon)
        self.scale = _hesse.ones(features, dtype=dtype) if affine else None
        self.shift = _hesse.zeros(features, dtype=dtype) if affine else None
        self.epsilon = epsilon

    def __call__(self, x: Any) -> Array:
        return _nn.layer_norm(_hesse.asarray(x), self.scale, self.shift, self.epsilon)


class BatchNorm(Module):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, with mean and variance over all axes but the last.

    ``y, norm = norm(x)`` in training: the statistics of the batch are used, and the new module has running
    averages of them; ``y, norm = norm(x, training=False)`` uses these averages. ``norm(x, mask=mask)`` leaves rows
    out of the statistics where the mask, booleans of x.shape[:-1], is False: those of padding.

    Parameters
    ----------
    features : int
    momentum : float
        How fast the averages move: average <- (1 - momentum) average + momentum value, as PyTorch has it.
    epsilon : float
    affine : bool
        Whether there are a scale and a shift, 1 and 0 at first.
    dtype : optional
        float64 unless `hs.set_default_dtype` says otherwise.

    Attributes
    ----------
    scale, shift : Array or None
        [features].
    mean, variance : Array
        [features], the averages, which are not trained; the variance is the unbiased one.

    Raises
    ------
    ValueError
        When called on features of another width, in training on fewer than two rows, and for a mask of another
        shape. With a mask that has fewer than two rows the variance of the averages is not finite.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization", arXiv:1502.03167 (2015).

    Examples
    --------
    >>> import hesse as hs
    >>> norm = hs.nn.BatchNorm(1)
    >>> y, norm = norm(hs.array([[1.0], [3.0]]))
    >>> hs.round(y, 3), norm.mean, norm.variance
    (Array([[-1.],
           [ 1.]], dtype=float64), Array([0.2], dtype=float64), Array([1.1], dtype=float64))
    """

    __buffers__: ClassVar[tuple[str, ...]] = ("mean", "variance")

    scale: Array | None
    shift: Array | None
    mean: Array
    variance: Array
    momentum: float
    epsilon: float

    def __init__(
        self,
        features: int,
        *,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
        affine: bool = True,
        dtype: Any = None,
    ) -> None:
        _check_sizes("BatchNorm", "the number of features", (features,))
        check_epsilon("BatchNorm", epsilon)
        if not 0.0 <= momentum <= 1.0:
            raise _hesse.ArgumentError(f"BatchNorm: momentum must be in [0, 1], got {momentum}")
        self.scale = _hesse.ones(features, dtype=dtype) if affine else None
        self.shift = _hesse.zeros(features, dtype=dtype) if affine else None
        self.mean = _hesse.zeros(features, dtype=dtype)
        self.variance = _hesse.ones(features, dtype=dtype)
        self.momentum, self.epsilon = momentum, epsilon

    def __call__(self, x: Any, training: bool = True, mask: Any = None) -> tuple[Array, BatchNorm]:
        x, width = _hesse.asarray(x), self.mean.shape[0]
        # Without a scale a width of 1 would make running averages of another shape.
        if x.ndim == 0 or x.shape[-1] != width:
            raise _hesse.ArgumentError(f"BatchNorm: x must be [..., {width}], got shape {tuple(x.shape)}")
        if not training:
            y = _nn.normalise(x, self.mean, self.variance, self.scale, self.shift, self.epsilon)
            return y, self
        if mask is None:
            y, mean, variance = _nn.batch_norm(x, self.scale, self.shift, self.epsilon)
        else:
            y, mean, variance = self._masked(x, _hesse.asarray(mask))
        keep, m = 1.0 - self.momentum, self.momentum
        return y, self.replace(
            mean=keep * self.mean + m * _hesse.stop_gradient(mean),
            variance=keep * self.variance + m * _hesse.stop_gradient(variance),
        )

    def _masked(self, x: Array, mask: Array) -> tuple[Array, Array, Array]:
        """The normalised rows, and the mean and the unbiased variance of those in the mask."""
        if mask.dtype != _hesse.bool or mask.shape != x.shape[:-1]:
            raise _hesse.ArgumentError(
                f"BatchNorm: mask must hold a boolean per row, {x.shape[:-1]}, got {mask.dtype} {mask.shape}"
            )
        axes = tuple(range(x.ndim - 1))
        keep = mask[..., None]
        count = _hesse.sum(_hesse.astype(mask, x.dtype))
        mean = _hesse.sum(_hesse.where(keep, x, 0), axis=axes) / count
        variance = _hesse.sum(_hesse.where(keep, x - mean, 0) ** 2, axis=axes) / count
        y = _nn.normalise(x, mean, variance, self.scale, self.shift, self.epsilon)
        return y, mean, variance * (count / (count - 1))
