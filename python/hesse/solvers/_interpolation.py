"""Data as inputs of right-hand sides."""

from __future__ import annotations

from typing import Any

from .._hesse import Array, asarray
from .._hesse import solvers as _s
from ..nn._module import Module
from ._equations import text_of

__all__ = ["Interpolation", "interpolate"]


class Interpolation(Module):
    """What `interpolate` returns: a function of the time, and a tree of arrays.

    Parameters
    ----------
    times, values : Array
        The data.
    slopes : Array or None
        [n, ...], of the cubics.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.solvers.interpolate([0.0, 1.0, 2.0], [0.0, 1.0, 4.0])(1.5)
    Array(2.25, dtype=float64)
    """

    times: Array
    values: Array
    slopes: Array | None = None

    def __call__(self, t: Any) -> Array:
        """The value at times of any shape, the axes of which come first."""
        return _s.interpolated(self.times, self.values, self.slopes, asarray(t))


def interpolate(times: Any, values: Any, kind: str = "cubic") -> Interpolation:
    """Data at times as a function of the time, for what drives a differential equation.

    It is differentiable in the values, in the times and in the time it is asked at, and can be compiled and mapped.
    Outside the data it keeps the value at their end.

    Parameters
    ----------
    times : array
        [n], ascending, two or more.
    values : array
        [n, ...], floating or complex.
    kind : {"cubic", "natural", "not-a-knot", "linear"}
        ``"cubic"``: cubics whose slopes at the times are those of the parabolas through three neighbours: continuous with
        the slope, exact for parabolas. ``"natural"`` and ``"not-a-knot"``: the cubic splines, whose second derivative is
        continuous, too; it is zero at both ends, or the first two and the last two cubics are one, as with
        `scipy.interpolate.CubicSpline`. They depend on all values, and overshoot where data jump. ``"linear"``: the slope
        jumps at the times.

    Returns
    -------
    Interpolation
        A function of the time.

    Raises
    ------
    ValueError
        For shapes that do not fit, times that do not ascend, another kind.
    TypeError
        For values that are integers.

    Notes
    -----
    Give the solver the times where the data have kinks, so that its steps end there:
    ``solve_ivp(..., breakpoints=data.times)``.

    Examples
    --------
    >>> import hesse as hs
    >>> light = hs.solvers.interpolate([0.0, 6.0, 12.0, 18.0, 24.0], [0.0, 0.5, 1.0, 0.5, 0.0], "linear")
    >>> sol = hs.solvers.solve_ivp(lambda t, y: light(t) - 0.1 * y, (0.0, 24.0), 0.0, t_eval=[24.0],
    ...                            breakpoints=light.times, rtol=1e-8, atol=1e-8)
    >>> hs.round(1e4 * sol.y)
    Array([40694.], dtype=float64)
    """
    return Interpolation(  # type: ignore[call-arg]
        *_s.interpolation(asarray(times), asarray(values), text_of("interpolate", "kind", kind))
    )
