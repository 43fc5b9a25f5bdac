"""Discrete Fourier transforms, with NumPy's conventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _hesse
from ._hesse import Array
from ._hesse import fft as _f

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

fft = _f.fft
ifft = _f.ifft
rfft = _f.rfft
irfft = _f.irfft
fftn = _f.fftn
ifftn = _f.ifftn
rfftn = _f.rfftn
irfftn = _f.irfftn
fftfreq = _f.fftfreq
rfftfreq = _f.rfftfreq

_SWAPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _swapped(norm: str) -> str:
    if norm not in _SWAPPED:
        raise _hesse.ArgumentError(f"fft: norm is {norm!r}; expected 'backward', 'ortho' or 'forward'")
    return _SWAPPED[norm]


def fft2(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str = "backward"
) -> Array:
    """The discrete Fourier transform over two axes.

    Parameters
    ----------
    x : array
        Any shape.
    s : pair of int, optional
        The lengths to which the axes are cut or padded with zeros.
    axes : pair of int
    norm : {'backward', 'ortho', 'forward'}
        Which direction is scaled: the inverse by 1 / n, both by 1 / sqrt(n), or the forward one by 1 /
        n.

    Returns
    -------
    Array
        Complex.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.fft.fft2(hs.ones((2, 2))).real
    Array([[4., 0.],
           [0., 0.]], dtype=float64)
    """
    return fftn(x, s=s, axes=axes, norm=norm)


def ifft2(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str = "backward"
) -> Array:
    """The inverse of `fft2`.

    Parameters
    ----------
    x : array
        Any shape.
    s : pair of int, optional
        The lengths to which the axes are cut or padded with zeros.
    axes : pair of int
    norm : {'backward', 'ortho', 'forward'}
        Which direction is scaled: the inverse by 1 / n, both by 1 / sqrt(n), or the forward one by 1 /
        n.

    Returns
    -------
    Array
        Complex.

    Examples
    --------
    >>> import hesse as hs
    >>> x = hs.array([[1.0, 2.0], [3.0, 4.0]])
    >>> hs.allclose(hs.fft.ifft2(hs.fft.fft2(x)), x)
    Array(True, dtype=bool)
    """
    return ifftn(x, s=s, axes=axes, norm=norm)


def rfft2(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str = "backward"
) -> Array:
    """`fft2` of a real signal, the non-negative frequencies of the last axis.

    Parameters
    ----------
    x : array
        Any shape.
    s : pair of int, optional
        The lengths to which the axes are cut or padded with zeros.
    axes : pair of int
    norm : {'backward', 'ortho', 'forward'}
        Which direction is scaled: the inverse by 1 / n, both by 1 / sqrt(n), or the forward one by 1 /
        n.

    Returns
    -------
    Array
        Complex, of length n // 2 + 1 along the last axis.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.fft.rfft2(hs.ones((2, 4))).shape
    (2, 3)
    """
    return rfftn(x, s=s, axes=axes, norm=norm)


def irfft2(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str = "backward"
) -> Array:
    """The inverse of `rfft2`.

    Parameters
    ----------
    x : array
        Any shape.
    s : pair of int, optional
        The lengths to which the axes are cut or padded with zeros.
    axes : pair of int
    norm : {'backward', 'ortho', 'forward'}
        Which direction is scaled: the inverse by 1 / n, both by 1 / sqrt(n), or the forward one by 1 /
        n.

    Returns
    -------
    Array
        Real.

    Examples
    --------
    >>> import hesse as hs
    >>> x = hs.array([[1.0, 2.0], [3.0, 4.0]])
    >>> hs.allclose(hs.fft.irfft2(hs.fft.rfft2(x)), x)
    Array(True, dtype=bool)
    """
    return irfftn(x, s=s, axes=axes, norm=norm)


def hfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The real spectrum of a Hermitian signal, given by its first half.

    Parameters
    ----------
    x : array
    n : int, optional
        The length of the result along the axis; 2 (m - 1) for m entries by default.
    axis : int
        The last one by default.
    norm : {'backward', 'ortho', 'forward'}
        Which direction is scaled: the inverse by 1 / n, both by 1 / sqrt(n), or the forward one by 1 /
        n.

    Returns
    -------
    Array
        Real.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.fft.hfft(hs.array([1.0, 0.0, 0.0]))
    Array([1., 1., 1., 1.], dtype=float64)
    """
    return irfft(_hesse.conj(x), n=n, axis=axis, norm=_swapped(norm))


def ihfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The inverse of `hfft`.

    Parameters
    ----------
    x : array
        Real.
    n : int, optional
        The length to which the axis is cut or padded with zeros; its own by default.
    axis : int
        The last one by default.
    norm : {'backward', 'ortho', 'forward'}
        Which direction is scaled: the inverse by 1 / n, both by 1 / sqrt(n), or the forward one by 1 /
        n.

    Returns
    -------
    Array
        Complex, of length n // 2 + 1 along the axis.

    Examples
    --------
    >>> import hesse as hs
    >>> x = hs.array([1.0, 2.0, 3.0, 2.0])
    >>> hs.allclose(hs.fft.hfft(hs.fft.ihfft(x)), x)
    Array(True, dtype=bool)
    """
    return _hesse.conj(rfft(x, n=n, axis=axis, norm=_swapped(norm)))


def _shift(x: Any, axes: int | Sequence[int] | None, sign: int) -> Array:
    x = _hesse.asarray(x)
    over = tuple(range(x.ndim)) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
    by = tuple(x.shape[a] // 2 if sign > 0 else -(x.shape[a] // 2) for a in over)
    return _hesse.roll(x, by, axis=over)


def fftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """Moves the zero frequency to the middle.

    Parameters
    ----------
    x : array
        Any shape.
    axes : int or tuple of int, optional
        All axes by default.

    Returns
    -------
    Array

    Examples
    --------
    >>> import hesse as hs
    >>> hs.fft.fftshift(hs.fft.fftfreq(4))
    Array([-0.5 , -0.25,  0.  ,  0.25], dtype=float64)
    """
    return _shift(x, axes, 1)


def ifftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """The inverse of `fftshift`.

    Parameters
    ----------
    x : array
        Any shape.
    axes : int or tuple of int, optional
        All axes by default.

    Returns
    -------
    Array

    Examples
    --------
    >>> import hesse as hs
    >>> hs.fft.ifftshift(hs.fft.fftshift(hs.arange(5)))
    Array([0, 1, 2, 3, 4], dtype=int64)
    """
    return _shift(x, axes, -1)
