"""Minima and least squares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._hesse import asarray
from .._hesse import solvers as _s
from ._equations import Result, arrays_of, count_of, flat_function, optional_number, text_of, tolerances

__all__ = ["least_squares", "minimise"]


def _result(treedef: Any, found: Any) -> Result:
    x, value, status, steps, evaluations, residual = found
    stats = {"value": value, "steps": steps, "evaluations": evaluations, "residual": residual}
    return Result(treedef.unflatten(x), status, stats)


def minimise(
    f: Callable[..., Any],
    x0: Any,
    *,
    args: Sequence[Any] = (),
    method: str = "bfgs",
    gtol: Any = None,
    max_steps: int = 1000,
    history: int = 10,
    linear_solver: str = "auto",
    linear_rtol: float | None = None,
    raise_on_failure: bool = True,
) -> Result:
    """Finds a local minimum of f(x).

    It can be compiled, mapped (every example has steps of its own) and differentiated to any order, forwards and
    backwards, with respect to `args` and everything else that `f` uses: the minimum is a root of the gradient, and its
    derivatives are those of this equation. The guess has none. To train a network with progress and checkpoints use
    `hesse.optim`.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns a real scalar. It is recorded once: where it branches on values, use `hesse.where` or
        `hesse.cond`.
    x0 : tree
        The guess: floating or complex arrays of any shapes, in a tuple, dict, ...
    args : tuple
        More arguments of `f`.
    method : str
        ``"bfgs"``: for up to some hundreds of unknowns. ``"lbfgs"``: the last `history` steps in place of a matrix.
        ``"newton-cg"``: Newton's directions by conjugate gradients, with exact Hessian-vector products. ``"trust"``: the same
        within a region that grows where the quadratic model is right.
    gtol : scalar, optional
        Converged when no entry of the gradient is above this, as in SciPy; by default 1e-6, in single precision 1e-3.
    max_steps : int
        Steps before the solver gives up.
    history : int
        Steps that ``"lbfgs"`` remembers.
    linear_solver, linear_rtol : str and float, optional
        How derivatives solve their linear equation with the Hessian, as for `implicit_function`; ``"auto"`` is ``"cg"`` above
        512 unknowns.
    raise_on_failure : bool
        Whether giving up raises. If not, `Result.status` says why, and ``x`` is the last iterate.

    Returns
    -------
    Result
        ``stats["value"]`` is f at the minimum, differentiable too; ``stats["residual"]`` the largest entry of the gradient.

    Raises
    ------
    ValueError
        For an `f` that returns no scalar, an unknown method, a tolerance below 0.
    TypeError
        For a guess of integers, and arguments of the wrong kind.
    FloatingPointError
        Where the solver gives up, and by derivatives where the Hessian is singular.

    Notes
    -----
    Nocedal and Wright, Numerical Optimization, 2nd ed.: BFGS (6.17), algorithms 7.4, 7.1, 4.1 and 7.2. Line search: Lewis and
    Overton (2013), Math. Program. 141.

    Examples
    --------
    >>> import hesse as hs
    >>> def rosenbrock(x, a):
    ...     return (a - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2
    >>> sol = hs.solvers.minimise(rosenbrock, hs.zeros(2), args=(1.0,), gtol=1e-9)
    >>> hs.round(1e6 * sol.x)
    Array([1000000., 1000000.], dtype=float64)
    >>> hs.round(hs.jacfwd(lambda a: hs.solvers.minimise(rosenbrock, hs.zeros(2), args=(a,), gtol=1e-9).x)(1.0), 6)
    Array([1., 2.], dtype=float64)
    """
    unknowns, treedef = arrays_of(x0, "minimise: x0")
    return _result(
        treedef,
        _s.minimise(
            flat_function("minimise", f, args, treedef, "x0", like=False),
            unknowns,
            text_of("minimise", "method", method),
            None if gtol is None else asarray(gtol),
            count_of("minimise", "max_steps", max_steps),
            count_of("minimise", "history", history),
            bool(raise_on_failure),
            text_of("minimise", "linear_solver", linear_solver),
            optional_number("minimise", "linear_rtol", linear_rtol),
        ),
    )


def least_squares(
    residual: Callable[..., Any],
    x0: Any,
    *,
    args: Sequence[Any] = (),
    rtol: Any = None,
    atol: Any = None,
    gtol: Any = None,
    max_steps: int = 200,
    linear_solver: str = "auto",
    linear_rtol: float | None = None,
    raise_on_failure: bool = True,
) -> Result:
    """Finds x for which the sum of squares of ``residual(x)`` is least, by Levenberg and Marquardt's method.

    It can be compiled, mapped and differentiated to any order, forwards and backwards, with respect to `args` and
    everything else that `residual` uses, such as the data: derivatives are those of the equation that the gradient is
    zero, curvature of the residual included.

    Parameters
    ----------
    residual : callable
        ``residual(x, *args)`` returns a tree of floating or complex arrays of any shapes. It is recorded once.
    x0 : tree
        The guess: floating or complex arrays of any shapes.
    args : tuple
        More arguments of `residual`.
    rtol, atol : scalar or, for `atol`, tree, optional
        Converged when a step is at most ``atol + rtol * abs(x)`` in every entry. By default 1e-8 and 1e-12 in double
        precision, 1e-4 and 1e-6 in single precision.
    gtol : scalar, optional
        Converged when the cosine between the residual and every column of the Jacobian is at most this; by default 1e-10,
        in single precision 1e-5.
    max_steps : int
        Steps before the solver gives up.
    linear_solver, linear_rtol : str and float, optional
        How derivatives solve their linear equation, as for `implicit_function`; ``"auto"`` is ``"cg"`` above 512 unknowns.
    raise_on_failure : bool
        Whether giving up raises. If not, `Result.status` says why, and ``x`` is the last iterate.

    Returns
    -------
    Result
        ``stats["value"]`` is half the sum of squares, differentiable too.

    Raises
    ------
    ValueError
        For a residual without entries, tolerances below 0.
    TypeError
        For integers, and arguments of the wrong kind.
    FloatingPointError
        Where the solver gives up, and by derivatives where the second derivatives are singular.

    Notes
    -----
    Moré (1978), The Levenberg-Marquardt algorithm, Lecture Notes in Mathematics 630; the damping is Nielsen's (1999),
    IMM-REP-1999-05. Jacobians are dense.

    Examples
    --------
    >>> import hesse as hs
    >>> t = hs.linspace(0.0, 1.0, 20)
    >>> def misfit(x, data):
    ...     return x["size"] * hs.exp(-x["rate"] * t) - data
    >>> data = 3.0 * hs.exp(-2.0 * t)
    >>> sol = hs.solvers.least_squares(misfit, {"size": 1.0, "rate": 1.0}, args=(data,))
    >>> hs.round(sol.x["size"], 6), hs.round(sol.x["rate"], 6)
    (Array(3., dtype=float64), Array(2., dtype=float64))
    """
    unknowns, treedef = arrays_of(x0, "least_squares: x0")
    relative, absolute = tolerances("least_squares", rtol, atol, treedef)
    return _result(
        treedef,
        _s.least_squares(
            flat_function("least_squares", residual, args, treedef, "x0", like=False),
            unknowns,
            relative,
            absolute,
            None if gtol is None else asarray(gtol),
            count_of("least_squares", "max_steps", max_steps),
            bool(raise_on_failure),
            text_of("least_squares", "linear_solver", linear_solver),
            optional_number("least_squares", "linear_rtol", linear_rtol),
        ),
    )
