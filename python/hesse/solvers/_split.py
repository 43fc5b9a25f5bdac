"""Right-hand sides on flat lists of arrays: whole, or in two parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._derivatives import grad
from .._flat import check_callable, name_of
from .._hesse import Array, TreeDef, _flatten_arrays, tree_map
from .._hesse import solvers as _s
from ._equations import numbers_like

__all__ = ["hamiltonian"]

Field = Callable[..., list[Array]]
WHOLE, SUM, HALVES = range(3)


def flat_field(
    f: Callable[..., Any], treedef: TreeDef, args: Sequence[Any], like: str, solver: str = "solve_ivp"
) -> Field:
    """f(t, tree, *args), which returns a tree like its second argument, on lists. `like` names what is like it."""

    def field(t: Array, *values: Array) -> list[Array]:
        result = f(t, treedef.unflatten(list(values)), *args)
        derivative, got = _flatten_arrays(result, f"{solver}: what {name_of(f)} returns")
        if got != treedef:
            raise _hesse.ArgumentError(
                f"{solver}: {name_of(f)} returns the structure {got}, expected that of {like}: {treedef}"
            )
        return numbers_like(derivative, [y.dtype for y in values])

    return field


def flat_fields(
    f: Any, y0: Any, treedef: TreeDef, method: str, args: Sequence[Any]
) -> tuple[Field, Field | None]:
    """The right-hand side that `method` takes: one function, or two."""
    parts = tuple(f) if isinstance(f, (tuple, list)) else (f,)
    for part in parts:
        check_callable(part, "solve_ivp")
    if len(parts) not in (1, 2):
        raise _hesse.ArgumentError(f"solve_ivp: f holds {len(parts)} functions, expected one, or a pair")
    if _s.split_of(method) == HALVES:
        if not isinstance(y0, (tuple, list)) or len(y0) != 2:
            raise _hesse.ArgumentError(
                f"solve_ivp: {method} takes a state (q, p), positions and momenta, got {type(y0).__name__}"
            )
        treedef, other = (_flatten_arrays(half, "solve_ivp: y0")[1] for half in y0)
        if treedef != other:
            raise _hesse.ArgumentError(
                f"solve_ivp: q has the structure {treedef} and p {other}, expected the same"
            )
    like = "q and p" if _s.split_of(method) == HALVES else "y0"
    fields = [flat_field(part, treedef, args, like) for part in parts]
    return fields[0], fields[1] if len(fields) == 2 else None


def hamiltonian(
    kinetic: Callable[..., Any], potential: Callable[..., Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The equations of motion of H(q, p) = T(p) + V(q), for symplectic methods of `solve_ivp`.

    Parameters
    ----------
    kinetic : callable
        ``T(p, *args)``, a scalar.
    potential : callable
        ``V(q, *args)``, a scalar.

    Returns
    -------
    (velocity, force)
        ``velocity(t, p, *args)``, dq/dt = dT/dp, and ``force(t, q, *args)``, dp/dt = -dV/dq.

    Raises
    ------
    TypeError
        For what is not a function.

    Examples
    --------
    A pendulum. Its energy stays where it was, however long it swings.

    >>> import hesse as hs
    >>> def T(p):
    ...     return 0.5 * p**2
    >>> def V(q):
    ...     return -hs.cos(q)
    >>> sol = hs.solvers.solve_ivp(
    ...     hs.solvers.hamiltonian(T, V), (0.0, 1000.0), (1.0, 0.0), "Yoshida4", [1000.0], first_step=0.05
    ... )
    >>> q, p = sol.y
    >>> abs(float(T(p[0]) + V(q[0]) - V(hs.array(1.0)))) < 1e-5
    True
    """
    check_callable(kinetic, "hamiltonian")
    check_callable(potential, "hamiltonian")

    def velocity(t: Array, p: Any, *args: Any) -> Any:
        return grad(kinetic)(p, *args)

    def force(t: Array, q: Any, *args: Any) -> Any:
        return tree_map(lambda x: -x, grad(potential)(q, *args))

    return velocity, force
