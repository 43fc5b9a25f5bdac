"""A solution at any time."""

from __future__ import annotations

from typing import Any

from .._hesse import Array, asarray
from .._hesse import solvers as _s
from ..nn._module import Module

__all__ = ["DenseOutput"]


class DenseOutput(Module):
    """A solution between the ends of its steps: ``sol.sol(t)`` for a `Solution` with ``dense_output=True``.

    It is a tree of arrays, and can be given to compiled and mapped functions. Times may be traced or mapped; derivatives,
    of any order, are those in the times and in all that the solution depends on.

    Parameters
    ----------
    graph, num_tables, arrays, structure
        What the solver kept: not meant to be made by hand.

    Raises
    ------
    ValueError
        For times outside the solution. Where they are traced the state is NaN there.

    Notes
    -----
    Between the ends of a step it is the polynomial of the method (see `solve_ivp`). Methods without one, Dop853, ARK5 and those
    with fixed steps, take the step again as far as the time: as accurate as the method, at the cost of a step for each
    time. Of the methods of SUNDIALS values are those of the polynomials, and derivatives are solves of their own, as those of
    `solve_ivp`: one for all times that are given together, one for each under `hesse.vmap`.

    Examples
    --------
    >>> import hesse as hs
    >>> sol = hs.solvers.solve_ivp(lambda t, y: -y, (0.0, 2.0), 1.0, dense_output=True, rtol=1e-9, atol=1e-12)
    >>> hs.round(1e6 * sol.sol([0.5, 1.0]))
    Array([606531., 367879.], dtype=float64)
    >>> hs.round(1e6 * hs.grad(sol.sol)(0.5))
    Array(-606531., dtype=float64)
    """

    graph: Any
    num_tables: int
    arrays: list[Array]
    structure: Any

    def __call__(self, t: Any) -> Any:
        """The state at times of any shape, the axes of which come first: a tree like the initial state."""
        return self.structure.unflatten(_s.dense_values(self.graph, self.num_tables, self.arrays, asarray(t)))
