"""Nonlinear equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._hesse import solvers as _s
from ._equations import Result, arrays_of, count_of, flat_function, optional_number, text_of, tolerances

__all__ = ["implicit_function", "root_solve"]


def root_solve(
    f: Callable[..., Any],
    x0: Any,
    *,
    args: Sequence[Any] = (),
    method: str = "newton",
    rtol: Any = None,
    atol: Any = None,
    max_steps: int = 100,
    history: int = 5,
    linear_solver: str = "auto",
    linear_rtol: float | None = None,
    raise_on_failure: bool = True,
) -> Result:
    """Solves f(x) = 0.

    It can be compiled, mapped (every example has steps of its own) and differentiated to any order, forwards and
    backwards, with respect to `args` and everything else that `f` uses. Derivatives are those of the equation, by
    the implicit function theorem, and not of the steps: they cost one linear equation with the Jacobian, and no step
    is kept. The guess has none.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns a tree like `x0`. It is recorded once: where it branches on values, use `hesse.where`
        or `hesse.cond`.
    x0 : tree
        The guess: floating or complex arrays of any shapes, in a tuple, dict, ... The derivatives that complex numbers
        need are taken in real and imaginary parts: `f` need not be holomorphic.
    args : tuple
        More arguments of `f`.
    method : str
        ``"newton"``: Newton's method with dense Jacobians and a line search. ``"anderson"``: x becomes ``x - f(x)``,
        with Anderson acceleration; no Jacobian is needed, but ``x - f(x)`` must contract, or nearly so.
    rtol, atol : scalar or, for `atol`, tree, optional
        Newton has converged when its step is at most ``atol + rtol * abs(x)`` in every entry, Anderson when `f` is. By
        default 1e-8 and 1e-12 in double precision, 1e-4 and 1e-6 in single precision. `atol`: for all, or a tree like
        `x0` of what broadcasts to its arrays.
    max_steps : int
        Steps before the solver gives up.
    history : int
        How many steps Anderson acceleration combines; 0: plain iteration.
    linear_solver, linear_rtol : str and float, optional
        How derivatives solve their linear equation, as for `implicit_function`.
    raise_on_failure : bool
        Whether giving up raises. If not, `Result.status` says why, and ``x`` is the last iterate.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        For an `f` that returns other shapes than those of `x0`, an unknown method, tolerances below 0.
    TypeError
        For a guess of integers, and arguments of the wrong kind.
    FloatingPointError
        Where the solver gives up, with the reason and the residual, and by derivatives where the Jacobian is singular.

    Notes
    -----
    The line search is that of Dennis and Schnabel (1983), A6.3.1, on the norm of `f`. Anderson acceleration: Walker and
    Ni (2011), SIAM J. Numer. Anal. 49.

    Examples
    --------
    >>> import hesse as hs
    >>> def kepler(anomaly, mean, eccentricity):
    ...     return anomaly - eccentricity * hs.sin(anomaly) - mean
    >>> def solve(eccentricity):
    ...     return hs.solvers.root_solve(kepler, 1.0, args=(1.0, eccentricity)).x
    >>> hs.round(1e6 * solve(0.5))
    Array(1498701., dtype=float64)
    >>> hs.round(1e6 * hs.grad(solve)(0.5))
    Array(1034667., dtype=float64)
    """
    unknowns, treedef = arrays_of(x0, "root_solve: x0")
    relative, absolute = tolerances("root_solve", rtol, atol, treedef)
    x, status, steps, evaluations, residual = _s.root_solve(
        flat_function("root_solve", f, args, treedef, "x0"),
        unknowns,
        text_of("root_solve", "method", method),
        relative,
        absolute,
        count_of("root_solve", "max_steps", max_steps),
        count_of("root_solve", "history", history, 0),
        bool(raise_on_failure),
        text_of("root_solve", "linear_solver", linear_solver),
        optional_number("root_solve", "linear_rtol", linear_rtol),
    )
    return Result(
        treedef.unflatten(x), status, {"steps": steps, "evaluations": evaluations, "residual": residual}
    )


def implicit_function(
    f: Callable[..., Any],
    x: Any,
    *,
    args: Sequence[Any] = (),
    linear_solver: str = "auto",
    linear_rtol: float | None = None,
) -> Any:
    """x, which solves f(x) = 0, as the function of `args` that this equation defines.

    For a solution that came from elsewhere (a solver of your own, a file, a table): the value is `x`, and the
    derivatives, of any order, forwards and backwards, are those of the implicit function theorem,
    ``df/dx dx = -df/dargs dargs``.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns a tree like `x`. What else it uses is differentiated too.
    x : tree
        The solution, floating or complex arrays. It counts as a constant: that it solves the equation is not checked.
    args : tuple
        More arguments of `f`.
    linear_solver : str
        How derivatives solve their linear equation: ``"lu"`` with the Jacobian as a dense matrix; ``"gmres"``,
        ``"bicgstab"``, ``"cg"``, ``"minres"`` (the last two for symmetric Jacobians) with products alone; ``"auto"``:
        ``"lu"`` for at most 512 unknowns, else ``"gmres"``.
    linear_rtol : float, optional
        The relative residual with which these methods are done; by default 1e-10, 1e-5 in single precision.

    Returns
    -------
    tree
        Like `x`.

    Raises
    ------
    ValueError
        For an `f` that returns other shapes than those of `x`.
    TypeError
        For an `x` of integers, and arguments of the wrong kind.
    FloatingPointError
        By derivatives, where the Jacobian is singular.

    Examples
    --------
    >>> import hesse as hs
    >>> def square_root(a):
    ...     return hs.solvers.implicit_function(lambda x: x * x - a, hs.stop_gradient(hs.sqrt(a)))
    >>> hs.grad(square_root)(4.0), hs.grad(hs.grad(square_root))(4.0)
    (Array(0.25, dtype=float64), Array(-0.03125, dtype=float64))
    """
    unknowns, treedef = arrays_of(x, "implicit_function: x")
    out = _s.implicit_function(flat_function("implicit_function", f, args, treedef, "x"), unknowns, "lu")
    return treedef.unflatten(out)
