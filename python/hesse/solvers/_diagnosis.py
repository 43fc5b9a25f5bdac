"""Why a solve gave up, as data."""

from __future__ import annotations

from typing import Any

from .. import _hesse
from .._hesse import Array
from .._hesse import solvers as _s
from ..nn._module import Module

__all__ = ["Diagnosis"]


class Diagnosis(Module):
    """Why a solve gave up: ``Solution.diagnosis`` where `solve_ivp` or `solve_dae` failed and was not to raise.

    It is made where a solve fails, from the state there: the attempt that was rejected is made again and looked at. Solves
    that reach the end do nothing for it. After a solve that ran it is None unless the solver gave up on its steps
    (``Solution.status`` 1, 2 or 3). Under `hesse.vmap` and `hesse.compile` it is there whatever happens, its arrays are
    results like others, [n] for n mapped examples, and `cause` is 0 for those that succeeded; what is said in words is said
    of the first example that failed.

    Parameters
    ----------
    cause : Array
        int64: 0 it did not give up, 1 too many steps, 2 the error is above the tolerance however small the step, 3 the
        iteration for the equations of a step does not converge, 4 a singular matrix, or a Jacobian that is not finite, 5
        NaN or infinity from f at `t`, 6 the same just beyond `t`, 7 tolerances below what the precision allows.
    t, step : Array
        float64: how far the solver came, and the size of the step that it would have taken next.
    array, entry : Array
        int64: the component that limits it, as the number of the array in the state (a tree) and of the entry in that array
        in row-major order; -1: unknown. The component with the largest error over its tolerance or, with causes 5 and 6,
        the first for which f is not finite.
    excess : Array
        float64: the error of that component, in one more step of size `step`, over its tolerance. NaN: unknown.
    radius : Array
        float64: the spectral radius of df/dy at (t, y), estimated by 24 Jacobian-vector products (the power method). NaN
        where f has no derivative, and for `solve_dae`.
    implicit : bool
        Whether the method is implicit.
    paths, shapes : tuple
        How the arrays of the state are reached, and their shapes.

    Examples
    --------
    >>> import hesse as hs
    >>> sol = hs.solvers.solve_ivp(lambda t, y: {"x": y["x"] ** 2}, (0.0, 2.0), {"x": 1.0}, raise_on_failure=False)
    >>> sol.diagnosis.reason
    'the error is above the tolerance however small the step'
    >>> round(float(sol.diagnosis.t), 3), sol.diagnosis.component  # 1 / (1 - t)
    (1.0, "y['x']")
    >>> sol = hs.solvers.solve_ivp(lambda t, y: -1e4 * (y - hs.cos(t)), (0.0, 10.0), 0.0, max_steps=1000,
    ...                            raise_on_failure=False)
    >>> 1 < float(sol.diagnosis.stiffness) < 5  # steps as long as stability allows
    True
    >>> sol.diagnosis.advice
    'the steps are as long as stability allows: the problem is stiff; use BDF, Kvaerno5 or Rodas5P'
    """

    cause: Array
    t: Array
    step: Array
    array: Array
    entry: Array
    excess: Array
    radius: Array
    implicit: bool
    paths: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def stiffness(self) -> Array:
        """`step` times `radius`: explicit methods are stable up to about 3."""
        return self.step * self.radius

    def _first(self) -> tuple[list[Array], Array, Array]:
        """The fields of the first example that failed."""
        found = [self.cause, self.array, self.entry, self.excess, self.radius]
        if self.cause.ndim == 0:
            return found, self.t, self.step
        failed = _hesse.reshape(_hesse.not_equal(self.cause, 0), (-1,))
        k = int(_hesse.argmax(_hesse.astype(failed, _hesse.int64)))
        *found, t, step = (_hesse.reshape(x, (-1,))[k] for x in (*found, self.t, self.step))
        return found, t, step

    @property
    def reason(self) -> str:
        """What the cause means."""
        return _s.describe_cause(int(self._first()[0][0]))

    @property
    def component(self) -> str:
        """What limits it, as it is reached in the state: ``"y['prey'][3]"``; "" where that is not known."""
        found = self._first()[0]
        if int(found[0]) == 0:
            return ""
        return _s.name_of_entry(int(found[1]), int(found[2]), list(self.paths), list(self.shapes))

    @property
    def advice(self) -> str:
        """What to try."""
        found, _, step = self._first()
        return _s.advice(int(found[0]), float(step * found[4]), self.implicit)

    def __str__(self) -> str:
        found, t, step = self._first()
        return _s.describe_diagnosis(found, t, step, self.implicit, list(self.paths), list(self.shapes))


def diagnosis_of(fields: tuple[Any, ...] | None, state: list[Array], treedef: Any) -> Diagnosis | None:
    """From what the core gives."""
    if fields is None:
        return None
    shapes = tuple(tuple(y.shape) for y in state)
    return Diagnosis(*fields, tuple(treedef.paths()), shapes)  # type: ignore[call-arg]
