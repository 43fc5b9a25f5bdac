"""Differential-algebraic equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._flat import check_callable, name_of
from .._hesse import Array, _flatten_arrays, asarray
from .._hesse import solvers as _s
from ._diagnosis import diagnosis_of
from ._equations import (
    arrays_of,
    check_args,
    count_of,
    like_state,
    numbers_like,
    optional_array,
    span_of,
    text_of,
)
from ._ode import Solution
from ._progress import SolveProgress, reports

__all__ = ["solve_dae"]


def solve_dae(
    f: Callable[..., Any],
    t_span: Sequence[Any],
    y0: Any,
    yp0: Any = None,
    t_eval: Any = None,
    *,
    args: Sequence[Any] = (),
    algebraic: Any = None,
    find_start: bool = True,
    rtol: Any = 1e-3,
    atol: Any = 1e-6,
    first_step: Any = None,
    max_step: Any = None,
    max_steps: int = 100_000,
    raise_on_failure: bool = True,
    linear_solver: str = "auto",
    progress: bool | Callable[[SolveProgress], Any] = False,
    progress_interval: float = 0.5,
) -> Solution:
    """Solves f(t, y, y') = 0 from consistent initial values, with SUNDIALS' IDAS.

    The system must have index 1: the derivatives of some entries of y, the differential ones, and the values of the
    others, the algebraic ones, follow from `f` when the differential entries are known. Of `y0` the differential
    entries are given; the rest of `y0`, and `yp0`, are guesses from which Newton's method starts.

    It can be compiled, mapped and differentiated to any order, forwards and backwards, with respect to the differential
    entries of `y0`, `args`, everything else that `f` uses, both ends of the span, and `t_eval`. Derivatives are solutions
    of their own, of the sensitivity equations forwards and of the adjoint equations backwards, and as accurate as the
    tolerances say. Jacobians are derived.

    Parameters
    ----------
    f : callable
        ``f(t, y, yp, *args)`` returns what is to be zero, a tree like `y0`. It is recorded once: where it branches on
        values, use `hesse.where` or `hesse.cond`.
    t_span : (t0, t1)
        Where to start and to end; t1 may lie before t0.
    y0 : tree
        The state: real floating arrays of any shapes, in a tuple, dict, ... It is solved in float64.
    yp0 : tree, optional
        Its derivative, a tree like `y0`: a guess, by default zero. Only where `f` is not linear in y' does it matter.
    t_eval : array, optional
        [n], times at which the solution is given, ascending in the direction of the span. By default both ends and
        every step between (not under `hesse.compile`, `hesse.vmap` and in loops: their number depends on values).
    args : tuple
        More arguments of `f`.
    algebraic : tree of bools, optional
        Which entries are algebraic: for all, or a tree like `y0` of what broadcasts to its arrays. By default those for
        which the column of df/dy' is zero at the start; say it where that is so by chance.
    find_start : bool
        Whether the consistent initial values are computed. If not, `y0` and `yp0` must fit, or solving raises.
    rtol, atol : scalar or, for `atol`, tree
        Tolerances of the local error, as for `solve_ivp`.
    first_step, max_step, max_steps, raise_on_failure
        As for `solve_ivp`.
    linear_solver : {"auto", "dense", "krylov"}
        How the linear equations of steps are solved: with the Jacobian, or by GMRES with products of it; by default with
        the Jacobian up to 500 entries of the state.
    progress, progress_interval
        As for `solve_ivp`.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        For shapes that do not fit, times that do not ascend within the span, tolerances below 0, an unknown linear
        solver, and where the build has no SUNDIALS.
    TypeError
        For a state of integers or complex numbers, and arguments of the wrong kind.
    FloatingPointError
        Where there are no consistent initial values near the guesses, with the largest residual, and where the solver
        gives up, with the time and the entry of the state that limits the step.
    hesse.TraceError
        Without `t_eval` under `hesse.compile`, `hesse.vmap` and in loops.

    Notes
    -----
    IDAS: Hindmarsh and others, ACM Transactions on Mathematical Software 31 (2005); its method is backward
    differentiation formulas of orders 1 to 5. Adjoint equations: Cao, Li, Petzold and Serban, SIAM J. Sci. Comput. 24
    (2003): with (f_y'^T lambda)' = f_y^T lambda the gradient is an integral over lambda; what a cotangent of an
    algebraic entry adds follows from the equation at that time. ``<v, J u>`` and ``<J^T v, u>`` differ by some 100
    `rtol`.

    Systems of a higher index (a pendulum with its length as the constraint) are differentiated first, until the
    constraint determines the algebraic entries. M y' = g(t, y) is ``f = M @ yp - g``; rows and columns of a singular M are
    arranged so that its columns of algebraic entries are zero.

    Examples
    --------
    >>> import hesse as hs
    >>> def circuit(t, y, yp, r):  # a capacitor that discharges through two resistors; the node between them
    ...     charge, node = y
    ...     current = (charge - node) / r
    ...     return yp[0] + current, current - node
    >>> sol = hs.solvers.solve_dae(circuit, (0.0, 1.0), (1.0, 0.0), t_eval=[1.0], args=(1.0,), rtol=1e-8, atol=1e-8)
    >>> [round(float(v[0]), 5) for v in sol.y]  # exp(-1/2), and half of that
    [0.60653, 0.30327]
    """
    check_callable(f, "solve_dae")
    t0, t1 = span_of("solve_dae", t_span)
    check_args("solve_dae", args)
    state, treedef = arrays_of(y0, "solve_dae: y0")
    n = len(state)
    if yp0 is None:
        slopes = [_hesse.zeros(y.shape, dtype=y.dtype) for y in state]
    else:
        slopes, structure = arrays_of(yp0, "solve_dae: yp0")
        if structure != treedef:
            raise _hesse.ArgumentError(
                f"solve_dae: yp0 has the structure {structure}, expected that of y0: {treedef}"
            )

    def residual(t: Array, *values: Array) -> list[Array]:
        y, yp = list(values[:n]), list(values[n:])
        result = f(t, treedef.unflatten(y), treedef.unflatten(yp), *args)
        out, got = _flatten_arrays(result, f"solve_dae: what {name_of(f)} returns")
        if got != treedef:
            raise _hesse.ArgumentError(
                f"solve_dae: {name_of(f)} returns the structure {got}, expected that of y0: {treedef}"
            )
        return numbers_like(out, [v.dtype for v in y])

    t, y, status, accepted, rejected, evaluations, factorisations, t_last, h_last, why = _s.solve_dae(
        residual,
        t0,
        t1,
        state,
        slopes,
        optional_array(t_eval),
        asarray(rtol),
        like_state("solve_dae", "atol", atol, treedef),
        None if algebraic is None else like_state("solve_dae", "algebraic", algebraic, treedef),
        bool(find_start),
        optional_array(first_step),
        optional_array(max_step),
        count_of("solve_dae", "max_steps", max_steps),
        bool(raise_on_failure),
        text_of("solve_dae", "linear_solver", linear_solver),
        *reports("solve_dae", progress, progress_interval),
        treedef.paths(),
    )
    stats = {
        "accepted": accepted,
        "rejected": rejected,
        "evaluations": evaluations,
        "factorisations": factorisations,
        "t_last": t_last,
        "h_last": h_last,
    }
    return Solution(t, treedef.unflatten(y), status, stats, diagnosis=diagnosis_of(why, state, treedef))
