"""How solutions of differential equations are differentiated in reverse: values for the parameter `adjoint` of `solve_ivp`."""

from __future__ import annotations

import dataclasses
import operator
from typing import Any

from .. import _hesse
from .._hesse import Array, asarray

__all__ = ["Backsolve", "Discrete", "Forward", "Interpolating"]


@dataclasses.dataclass(frozen=True)
class Discrete:
    """The derivative of the steps taken, with the sizes of steps as constants: exact for them.

    The default of all methods but those of SUNDIALS (``"BDF"``, ``"Adams"``, ``"ARKODE_DIRK"``, ...), which do not have it.

    Parameters
    ----------
    checkpoint_every : int, optional
        k: reverse mode keeps the state of every k-th step, and computes those between again: memory for m steps is that of
        m/k + k states, and least for k near the square root of m; the solution is computed once more. By default every step
        between two times of `t_eval` is kept.

    Examples
    --------
    >>> import hesse as hs
    >>> def last(k):
    ...     adjoint = hs.solvers.Discrete(checkpoint_every=10)
    ...     sol = hs.solvers.solve_ivp(lambda t, y: -k * y, (0.0, 1.0), 1.0, t_eval=[1.0], rtol=1e-8, adjoint=adjoint)
    ...     return sol.y[0]
    >>> round(float(hs.grad(last)(2.0)), 5)
    -0.13534
    """

    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        k: Any = self.checkpoint_every
        if k is not None and (
            isinstance(k, bool) or not hasattr(k, "__index__") or not 0 < operator.index(k) < 2**62
        ):
            raise _hesse.ArgumentError(
                f"Discrete: checkpoint_every is {k!r}, expected a number of steps, 1 or more"
            )


@dataclasses.dataclass(frozen=True)
class Interpolating:
    """The adjoint equations, on an interpolant of the solution, which is computed again from checkpoints.

    The default of the methods of SUNDIALS (``"BDF"``, ``"Adams"``, ``"ARKODE_DIRK"``, ...), which alone have it; as accurate as
    the tolerances. Of Runge-Kutta methods it is solved by BDF, of ``"ARKODE_ERK"`` by Adams.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.solvers.Interpolating()
    Interpolating()
    """


@dataclasses.dataclass(frozen=True)
class Forward:
    """Forward sensitivities: reverse mode by forward mode, for one number of the arguments after another, as one map.

    For few parameters: a gradient costs as many tangent solutions as there are numbers it is with respect to, and memory
    does not grow with the number of steps. All methods have it, with `t_eval` and without events and dense output.

    Examples
    --------
    >>> import hesse as hs
    >>> def last(k):
    ...     sol = hs.solvers.solve_ivp(
    ...         lambda t, y: -k * y, (0.0, 1.0), 1.0, t_eval=[1.0], rtol=1e-8, adjoint=hs.solvers.Forward()
    ...     )
    ...     return sol.y[0]
    >>> round(float(hs.grad(last)(2.0)), 5)
    -0.13534
    """


@dataclasses.dataclass(frozen=True)
class Backsolve:
    """The adjoint equations, solved back in time together with the state.

    Memory does not grow with the number of steps: between two times of `t_eval` nothing is kept, the state is solved
    backwards from where it was and set to what was stored at each time. All one-step methods that take one function have
    it, with `t_eval` and without events, dense output and `save`.

    The gradient is as accurate as the tolerances, and only where the problem can be solved backwards: what decays forwards
    grows backwards. On stiff problems it is wrong or the solver gives up; ask for more output times, or use ``Discrete`` with
    `checkpoint_every`, which is exact for the steps taken.

    Parameters
    ----------
    method : str, optional
        The method backwards, a one-step one that takes one function; by default that of the solution. An implicit one solves
        systems of twice the state and all parameters.
    rtol, atol : scalar, optional
        Tolerances backwards, by default those of the solution. The error is measured over the state, its adjoint and
        the gradient; for the last two `atol` is relative to the largest cotangent, the derivative of the loss by the solution.

    Raises
    ------
    TypeError
        For a method that is not a str.

    Notes
    -----
    Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations (NeurIPS 2018): with a = dL/dy,
    da/dt = -a^T df/dy, and dL/dtheta is the integral of a^T df/dtheta; both, and y, are one problem that is solved from the
    last time to the first. Its own derivatives are by the same adjoint. Forward mode is that of the steps taken.

    Examples
    --------
    >>> import hesse as hs
    >>> def last(k):
    ...     sol = hs.solvers.solve_ivp(
    ...         lambda t, y: -k * y, (0.0, 1.0), 1.0, t_eval=[1.0], rtol=1e-8, atol=1e-10, adjoint=hs.solvers.Backsolve()
    ...     )
    ...     return sol.y[0]
    >>> round(float(hs.grad(last)(2.0)), 5)
    -0.13534
    """

    method: str | None = None
    rtol: Any = None
    atol: Any = None

    def __post_init__(self) -> None:
        method: Any = self.method
        if method is not None and not isinstance(method, str):
            raise _hesse.ArgumentTypeError(
                f"Backsolve: method is {method!r}, expected the name of a method, such as 'Tsit5'"
            )


def options_of_backsolve(adjoint: Any) -> tuple[str, Array | None, Array | None]:
    """As the solvers below take them."""
    if not isinstance(adjoint, Backsolve):
        return "", None, None
    rtol, atol = (None if x is None else asarray(x) for x in (adjoint.rtol, adjoint.atol))
    return adjoint.method or "", rtol, atol


def name_and_checkpoints(adjoint: Any) -> tuple[str, int]:
    """As the solvers below take it; "" is the default."""
    if adjoint is None:
        return "", 0
    if isinstance(adjoint, Discrete):
        return "Discrete", operator.index(adjoint.checkpoint_every or 0)
    if isinstance(adjoint, (Interpolating, Forward, Backsolve)):
        return type(adjoint).__name__, 0
    raise _hesse.ArgumentTypeError(
        f"solve_ivp: adjoint is {adjoint!r}, expected Discrete(), Interpolating(), Forward() or Backsolve() of "
        "hesse.solvers"
    )
