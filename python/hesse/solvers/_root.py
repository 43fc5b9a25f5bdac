"""Nonlinear equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._flat import check_callable
from .._hesse import asarray
from .._hesse import solvers as _s
from ._equations import Result, arrays_of, count_of, flat_function, optional_number, text_of, tolerances

__all__ = ["fixed_point", "implicit_function", "root_solve", "steady_state"]


def _solve(
    function: str,
    argument: str,
    f: Callable[..., Any],
    x0: Any,
    args: Sequence[Any],
    method: str,
    rtol: Any,
    atol: Any,
    max_steps: int,
    history: int,
    linear_solver: str,
    linear_rtol: float | None,
    raise_on_failure: bool,
) -> Result:
    unknowns, treedef = arrays_of(x0, f"{function}: {argument}")
    relative, absolute = tolerances(function, rtol, atol, treedef)
    x, status, steps, evaluations, residual = _s.root_solve(
        function,
        flat_function(function, f, args, treedef, argument),
        unknowns,
        text_of(function, "method", method),
        relative,
        absolute,
        count_of(function, "max_steps", max_steps),
        count_of(function, "history", history, 0),
        bool(raise_on_failure),
        text_of(function, "linear_solver", linear_solver),
        optional_number(function, "linear_rtol", linear_rtol),
    )
    return Result(
        treedef.unflatten(x), status, {"steps": steps, "evaluations": evaluations, "residual": residual}
    )


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
        ``"transient"``: follows dx/dt = f(x) in implicit steps that grow as `f` falls, to a stable steady state.
        ``"kinsol"``: Newton's method with the line search of SUNDIALS' KINSOL (where the build has it), in float64; its linear
        equations are solved with dense Jacobians (``linear_solver="lu"``, by default up to 512 unknowns) or by GMRES with
        products of the Jacobian: that is what ``"bicgstab"``, ``"cg"`` and ``"minres"`` mean there too, and these solve the
        equation of the derivatives alone.
    rtol, atol : scalar or, for `atol`, tree, optional
        Newton and transient have converged when their step is at most ``atol + rtol * abs(x)`` in every entry, Anderson
        when `f` is, KINSOL when its step is or `f` is at most `atol`. By default 1e-8 and 1e-12 in double precision, 1e-4
        and 1e-6 in single precision. `atol`: for all, or a tree like `x0` of what broadcasts to its arrays.
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
    return _solve(
        "root_solve", "x0", f, x0, args, method, rtol, atol, max_steps, history, linear_solver, linear_rtol,
        raise_on_failure,
    )  # fmt: skip


def fixed_point(
    f: Callable[..., Any],
    x0: Any,
    *,
    args: Sequence[Any] = (),
    method: str = "anderson",
    rtol: Any = None,
    atol: Any = None,
    max_steps: int = 1000,
    history: int = 5,
    linear_solver: str = "auto",
    linear_rtol: float | None = None,
    raise_on_failure: bool = True,
) -> Result:
    """Solves x = f(x) by iterating.

    It can be compiled, mapped and differentiated as `root_solve`: derivatives are those of the equation
    ``x - f(x) = 0``, whatever the iteration did.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns a tree like `x0`. It is recorded once.
    x0 : tree
        The guess: floating or complex arrays of any shapes.
    args : tuple
        More arguments of `f`.
    method : str
        ``"anderson"``: the last `history` steps are combined so that ``x - f(x)`` is least. ``"plain"``: x becomes f(x).
    rtol, atol : scalar or, for `atol`, tree, optional
        Converged when ``abs(x - f(x))`` is at most ``atol + rtol * abs(x)`` in every entry. By default 1e-8 and 1e-12 in
        double precision, 1e-4 and 1e-6 in single precision.
    max_steps : int
        Steps before the solver gives up.
    history : int
        How many steps Anderson acceleration combines.
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
        Where the solver gives up, and by derivatives where ``1 - df/dx`` is singular.

    Notes
    -----
    Walker and Ni (2011), Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49.

    Examples
    --------
    >>> import hesse as hs
    >>> x = hs.solvers.fixed_point(hs.cos, 1.0).x
    >>> hs.round(1e6 * x)
    Array(739085., dtype=float64)
    >>> a = hs.solvers.fixed_point(lambda x, a: 0.5 * (x + a / x), 1.0, args=(2.0,))
    >>> bool(hs.abs(a.x * a.x - 2.0) < 1e-7)
    True
    """
    method = text_of("fixed_point", "method", method)
    if method not in ("anderson", "plain"):
        raise _hesse.ArgumentError(f"fixed_point: method is {method!r}, expected 'anderson' or 'plain'")
    return _solve(
        "fixed_point", "x0", f, x0, args, "anderson", rtol, atol, max_steps, 0 if method == "plain" else history,
        linear_solver, linear_rtol, raise_on_failure,
    )  # fmt: skip


def steady_state(
    f: Callable[..., Any],
    y0: Any,
    *,
    t: Any = 0.0,
    args: Sequence[Any] = (),
    method: str = "newton",
    rtol: Any = None,
    atol: Any = None,
    max_steps: int = 200,
    linear_solver: str = "auto",
    linear_rtol: float | None = None,
    raise_on_failure: bool = True,
) -> Result:
    """Solves f(t, y) = 0 for the state at which dy/dt = f(t, y) stays.

    It can be compiled, mapped and differentiated as `root_solve`: how the steady state moves with `args`, of any order,
    for one linear equation.

    Parameters
    ----------
    f : callable
        ``f(t, y, *args)`` returns dy/dt, a tree like `y0`, as for `solve_ivp`. It is recorded once.
    y0 : tree
        The guess: floating or complex arrays of any shapes.
    t : scalar
        The time that `f` is given; most do not read it.
    args : tuple
        More arguments of `f`.
    method : str
        ``"newton"``: Newton's method and, where that fails, pseudo-transient continuation from `y0`. ``"transient"``: the
        second alone, which follows the solution in implicit steps that grow as `f` falls: Newton's method is faster but
        may find a state that is not stable.
    rtol, atol : scalar or, for `atol`, tree, optional
        Converged when Newton's step is at most ``atol + rtol * abs(y)`` in every entry. By default 1e-8 and 1e-12 in double
        precision, 1e-4 and 1e-6 in single precision.
    max_steps : int
        Steps of each method before it gives up.
    linear_solver, linear_rtol : str and float, optional
        How derivatives solve their linear equation, as for `implicit_function`.
    raise_on_failure : bool
        Whether giving up raises. If not, `Result.status` says why, and ``x`` is the last iterate.

    Returns
    -------
    Result
        The state is ``x``.

    Raises
    ------
    ValueError
        For an `f` that returns other shapes than those of `y0`, an unknown method, tolerances below 0.
    TypeError
        For a guess of integers, and arguments of the wrong kind.
    FloatingPointError
        Where the solver gives up, and by derivatives where the Jacobian is singular.

    Notes
    -----
    Kelley and Keyes (1998), Convergence analysis of pseudo-transient continuation, SIAM J. Numer. Anal. 35.

    Examples
    --------
    >>> import hesse as hs
    >>> def growth(t, y, rate, capacity):
    ...     return rate * y * (1.0 - y / capacity) - 1.0
    >>> def last(capacity):
    ...     return hs.solvers.steady_state(growth, 8.0, args=(1.0, capacity)).x
    >>> hs.round(1e6 * last(10.0)), hs.round(1e6 * hs.grad(last)(10.0))
    (Array(8872983., dtype=float64), Array(1016398., dtype=float64))
    """
    check_callable(f, "steady_state")
    time = asarray(t)

    def field(y: Any, *more: Any) -> Any:
        return f(time, y, *more)

    return _solve(
        "steady_state", "y0", field, y0, args, method, rtol, atol, max_steps, 0, linear_solver, linear_rtol,
        raise_on_failure,
    )  # fmt: skip


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
    out = _s.implicit_function(
        flat_function("implicit_function", f, args, treedef, "x"),
        unknowns,
        text_of("implicit_function", "linear_solver", linear_solver),
        optional_number("implicit_function", "linear_rtol", linear_rtol),
    )
    return treedef.unflatten(out)
