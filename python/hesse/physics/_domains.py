"""Domains: where an equation holds, and points in them."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import Any, SupportsFloat

from .. import _hesse
from .._hesse import Array
from .._hesse import physics as _p

__all__ = ["Box", "Domain", "Interval", "TimeBox"]

Points = tuple[Array, ...]


class Domain(abc.ABC):
    """A product of intervals with named coordinates.

    Points are tuples with an array per coordinate. They are drawn in the unit cube ("sobol", "latin_hypercube" or
    "uniform") and then stretched.

    Examples
    --------
    >>> import hesse as hs
    >>> domain = hs.physics.Interval(0.0, 1.0)
    >>> isinstance(domain, hs.physics.Domain), domain.dimensions
    (True, 1)
    >>> domain.grid(3)
    (Array([0. , 0.5, 1. ], dtype=float64),)
    """

    names: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @property
    def dimensions(self) -> int:
        return len(self.names)

    @abc.abstractmethod
    def boundary(self, key: Any, n: int, method: str = "sobol") -> Points:
        """n points on the faces, in proportion to their areas."""

    def interior(self, key: Any, n: int, method: str = "sobol") -> Points:
        """n points inside."""
        return self._stretch(_p.sample(key, method, n, self.dimensions))

    def grid(self, *counts: int) -> Points:
        """The points of a regular grid that includes the faces, each coordinate an array of shape `counts`."""
        if len(counts) != self.dimensions or not all(type(n) is int and n >= 1 for n in counts):
            raise _hesse.ArgumentError(
                f"grid: one positive count for each of {', '.join(self.names)} is needed, got {counts}"
            )
        axes = [_hesse.linspace(a, b, n) for a, b, n in zip(self.lower, self.upper, counts, strict=True)]
        return tuple(_hesse.meshgrid(*axes, indexing="ij"))

    def normalised(self, *point: Any) -> list[Any]:
        """The coordinates, each scaled to [-1, 1]."""
        scaled = []
        for z, a, b in zip(point, self.lower, self.upper, strict=True):
            scaled.append(z if (a, b) == (-1.0, 1.0) else (z - 0.5 * (a + b)) * (2.0 / (b - a)))
        return scaled

    def _stretch(self, unit: Array) -> Points:
        return tuple(
            a + (b - a) * unit[:, k] for k, (a, b) in enumerate(zip(self.lower, self.upper, strict=True))
        )

    def _set(self, names: Sequence[str], lower: Sequence[float], upper: Sequence[float]) -> None:
        kind = type(self).__name__
        if not len(names) == len(lower) == len(upper) > 0:
            raise _hesse.ArgumentError(
                f"{kind}: {len(names)} names, {len(lower)} lower and {len(upper)} upper bounds; "
                "they must be as many, and at least one"
            )
        if len(set(names)) != len(names):
            raise _hesse.ArgumentError(
                f"{kind}: the coordinates need different names, got {', '.join(names)}"
            )
        for name, a, b in zip(names, lower, upper, strict=True):
            if not all(isinstance(bound, SupportsFloat) for bound in (a, b)):
                raise _hesse.ArgumentTypeError(
                    f"{kind}: the bounds of {name} must be numbers, got {a!r} and {b!r}"
                )
            if not (a < b and math.isfinite(a) and math.isfinite(b)):
                raise _hesse.ArgumentError(
                    f"{kind}: the bounds of {name} must be finite and increase, got {a} and {b}"
                )
        self.names, self.lower, self.upper = tuple(names), tuple(map(float, lower)), tuple(map(float, upper))

    def __repr__(self) -> str:
        bounds = zip(self.names, self.lower, self.upper, strict=True)
        return f"{type(self).__name__}({', '.join(f'{n} in [{a:g}, {b:g}]' for n, a, b in bounds)})"


class Box(Domain):
    """A box with sides parallel to the axes.

    Parameters
    ----------
    lower, upper : sequence of float
        The corners.
    names : sequence of str, optional
        Of the coordinates: x, y, z, or x0, x1, ... beyond three.

    Raises
    ------
    ValueError
        For bounds that are not finite or do not increase, or names that repeat.

    Examples
    --------
    >>> import hesse as hs
    >>> box = hs.physics.Box([0.0, 0.0], [2.0, 1.0])
    >>> box
    Box(x in [0, 2], y in [0, 1])
    >>> x, y = box.interior(hs.random.key(0), 100)
    >>> x.shape, bool(hs.all(x < 2.0))
    ((100,), True)
    """

    def __init__(
        self, lower: Sequence[float], upper: Sequence[float], names: Sequence[str] | None = None
    ) -> None:
        if names is None:
            names = ("x", "y", "z")[: len(lower)] if len(lower) <= 3 else [f"x{k}" for k in range(len(lower))]
        self._set(names, lower, upper)

    def boundary(self, key: Any, n: int, method: str = "sobol") -> Points:
        return self._on_faces(_p.sample(key, method, n, self.dimensions))

    def _on_faces(self, unit: Array) -> Points:
        """The first coordinate of the unit cube chooses the face, the others the place on it."""
        sides = [b - a for a, b in zip(self.lower, self.upper, strict=True)]
        volume = 1.0
        for side in sides:
            volume *= side
        areas = [volume / side for side in sides for _ in (0, 1)]  # lower and upper face of every axis
        choice = unit[:, 0] * sum(areas)
        points = [choice * 0.0 for _ in sides]
        begin = 0.0
        for face, area in enumerate(areas):
            axis, is_upper = divmod(face, 2)
            last = face == len(areas) - 1
            here = (choice >= begin) if last else (choice >= begin) & (choice < begin + area)
            rest = iter(range(1, len(sides)))
            for k, side in enumerate(sides):
                if k == axis:
                    value: Any = self.upper[k] if is_upper else self.lower[k]
                else:
                    value = self.lower[k] + side * unit[:, next(rest)]
                points[k] = _hesse.where(here, value, points[k])
            begin += area
        return tuple(points)


class Interval(Box):
    """A bounded interval.

    Parameters
    ----------
    lower, upper : float
    name : str

    Examples
    --------
    >>> import hesse as hs
    >>> (x,) = hs.physics.Interval(-1.0, 1.0).boundary(hs.random.key(0), 4)
    >>> hs.sort(x)
    Array([-1., -1.,  1.,  1.], dtype=float64)
    """

    def __init__(self, lower: float, upper: float, name: str = "x") -> None:
        super().__init__([lower], [upper], [name])


class TimeBox(Domain):
    """A box in space during an interval of time. The first coordinate is t.

    Its boundary is that of the box at all times; its initial points are at the beginning.

    Parameters
    ----------
    space : Box
    start, end : float
    name : str
        Of the time.

    Examples
    --------
    >>> import hesse as hs
    >>> domain = hs.physics.TimeBox(hs.physics.Interval(-1.0, 1.0), 0.0, 2.0)
    >>> domain
    TimeBox(t in [0, 2], x in [-1, 1])
    >>> t, x = domain.initial(hs.random.key(0), 3)
    >>> t
    Array([0., 0., 0.], dtype=float64)
    """

    def __init__(self, space: Box, start: float, end: float, name: str = "t") -> None:
        if not isinstance(space, Box):
            raise _hesse.ArgumentTypeError(f"TimeBox: space must be a Box, got {type(space).__name__}")
        self.space = space
        self._set((name, *space.names), (start, *space.lower), (end, *space.upper))

    def boundary(self, key: Any, n: int, method: str = "sobol") -> Points:
        unit = _p.sample(key, method, n, self.dimensions)
        t = self.lower[0] + (self.upper[0] - self.lower[0]) * unit[:, self.dimensions - 1]
        return (t, *self.space._on_faces(unit[:, : self.dimensions - 1]))

    def initial(self, key: Any, n: int, method: str = "sobol") -> Points:
        """n points at the beginning."""
        return (_hesse.full(n, self.lower[0]), *self.space.interior(key, n, method))
