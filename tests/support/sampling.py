"""Random arguments for the op table: an `Arg` says the shape and the set of values, `draw` makes the array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FLOATS = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
GROUPS = {"f": FLOATS, "c": COMPLEX, "i": INTEGERS, "b": ("bool",)}

Domain = Callable[[np.random.Generator, tuple[int, ...], bool], np.ndarray]


def _complexify(re: np.ndarray, im: np.ndarray, wanted: bool) -> np.ndarray:
    return re + 1j * im if wanted else re


def real(rng, shape, cplx):
    """The normal distribution."""
    return _complexify(rng.standard_normal(shape), rng.standard_normal(shape), cplx)


def interval(lo, hi, imag=0.4):
    """Real parts in (lo, hi), imaginary parts in (-imag, imag)."""

    def draw_interval(rng, shape, cplx):
        return _complexify(rng.uniform(lo, hi, shape), rng.uniform(-imag, imag, shape), cplx)

    return draw_interval


positive = interval(0.3, 2.5)
unit = interval(-0.9, 0.9)


def nonzero(rng, shape, cplx):
    """Away from zero by at least 0.3, both signs."""
    sign = np.where(rng.uniform(size=shape) < 0.5, -1.0, 1.0)
    return _complexify(sign * rng.uniform(0.3, 2.0, shape), rng.uniform(0.2, 0.6, shape), cplx)


def distinct(offset=0):
    """Values at least 0.05 apart, also from those of another offset: no ties for max, sort and clip."""

    def draw_distinct(rng, shape, cplx):
        size = int(np.prod(shape))
        values = (
            0.5 * (rng.permutation(size) - size // 2) + 0.12 * offset + rng.uniform(-0.03, 0.03, size) + 0.07
        )
        return _complexify(values.reshape(shape), rng.uniform(-0.3, 0.3, shape), cplx)

    return draw_distinct


def off_integers(rng, shape, cplx):
    """At least 0.2 away from every half integer and integer multiple of one half: no jumps of floor and round."""
    values = 0.5 * rng.integers(-6, 7, shape) + rng.uniform(0.2, 0.3, shape)
    return _complexify(values, 0.0 * values, cplx)


def spd(rng, shape, cplx):
    """Hermitian positive definite, condition below about 30."""
    n = shape[-1]
    a = real(rng, shape, cplx)
    return a @ np.conj(np.swapaxes(a, -1, -2)) + n * np.eye(n)


def hermitian(rng, shape, cplx):
    """Hermitian with eigenvalues well apart."""
    n = shape[-1]
    q, _ = np.linalg.qr(real(rng, shape, cplx)) if n and np.prod(shape) else (real(rng, shape, cplx), None)
    w = np.arange(n) * 1.5 - n / 2 + rng.uniform(-0.2, 0.2, shape[:-1])
    return (q * w[..., None, :]) @ np.conj(np.swapaxes(q, -1, -2))


def spread_spectrum(rng, shape, cplx):
    """Any matrix with singular values well apart and away from zero."""
    if not np.prod(shape):
        return real(rng, shape, cplx)
    u, _, vh = np.linalg.svd(real(rng, shape, cplx), full_matrices=False)
    k = u.shape[-1]
    s = 0.8 + 0.9 * np.arange(k)[::-1] + rng.uniform(-0.1, 0.1, (*shape[:-2], k))
    return (u * s[..., None, :]) @ vh


def well_conditioned(rng, shape, cplx):
    """A square matrix far from singular."""
    n = shape[-1]
    return 0.5 * real(rng, shape, cplx) + (1.0 + 0.5 * n) * np.eye(n)


@dataclass(frozen=True)
class Arg:
    """One array argument. `dtype` None: the dtype under test. `diff`: takes tangents where inexact.

    `ints`: half-open range of the values when the dtype is an integer's (unsigned: from 0 up).
    """

    shape: tuple[int, ...]
    domain: Domain = real
    dtype: str | None = None
    diff: bool = True
    ints: tuple[int, int] = (-4, 6)

    def resolved(self, dtype: str) -> str:
        return self.dtype or dtype


def draw(arg: Arg, rng: np.random.Generator, dtype: str) -> np.ndarray:
    name = arg.resolved(dtype)
    if name == "bool":
        return rng.uniform(size=arg.shape) < 0.6
    if name in INTEGERS:
        if arg.ints is None:
            return np.asarray(arg.domain(rng, arg.shape, False)).astype(name)
        lo, hi = arg.ints
        if name in UNSIGNED:
            lo = max(lo, 0)
        return rng.integers(lo, hi, arg.shape).astype(name)
    values = arg.domain(rng, arg.shape, name in COMPLEX)
    return np.asarray(values).astype(name)


def F(*shape, domain=real, **kw) -> Arg:
    """An argument of the dtype under test."""
    return Arg(tuple(shape), domain, **kw)


def I(*shape, lo=0, hi=4, dtype="int64") -> Arg:
    """An integer argument that is never differentiated, values in [lo, hi)."""
    return Arg(tuple(shape), dtype=dtype, diff=False, ints=(lo, hi))


def B(*shape) -> Arg:
    """A boolean argument."""
    return Arg(tuple(shape), dtype="bool", diff=False)
