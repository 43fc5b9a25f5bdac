"""Initial value problems."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._flat import check_callable, name_of
from .._hesse import Array, _flatten_arrays, asarray
from .._hesse import solvers as _s
from ..sparse import CSR
from ._adjoint import Backsolve, Discrete, Forward, Interpolating, name_and_checkpoints, options_of_backsolve
from ._dense import DenseOutput
from ._diagnosis import Diagnosis, diagnosis_of
from ._equations import arrays_of, check_args, count_of, like_state, optional_array, span_of
from ._events import Event, Watched
from ._plot import plot
from ._progress import SolveProgress, reports
from ._split import flat_fields

__all__ = ["Solution", "solve_ivp"]


@dataclasses.dataclass(frozen=True)
class Solution:
    """What `solve_ivp` returns: a tree, which compiled and mapped functions may return too.

    Parameters
    ----------
    t : Array
        [n], the times.
    y : tree
        The state at these times, or what `solve_ivp` was to save: time is the first axis of every array. (SciPy has it
        last.)
    status : Array
        0 where the end was reached; else 1: too many steps, 2: the step became too small, 3: NaN or infinity, 4:
        times that do not ascend, 5: tolerances or steps that are negative (found when a program runs), 6: too many
        events, 7: an event that gives NaN, 8: initial values that do not fit a singular mass matrix. -1: a terminal event
        ended the solution, which is a success, too.
    stats : dict
        The numbers of ``accepted`` and ``rejected`` steps, of ``evaluations`` of f and ``factorisations`` of matrices,
        how far the solver came (``t_last``) and the step it would have taken next (``h_last``). With ``method="auto"`` also
        how many accepted steps were of which method: ``steps_Tsit5``, ``steps_Rodas5P``, ``steps_BDF``. With events how
        often each happened (``events``), and the number of the one that ended the solution (``terminal_event``; -1: none).
    t_events, y_events : list, optional
        For each event the times when it happened, [m], and the state at these times, with time as the first axis.
        Where shapes must not depend on values (see `solve_ivp`) they have as many rows as there is room for, NaN where it
        did not happen.
    t_end, y_end : Array and tree, optional
        Of a solution with events: where it ended, at t1 or when a terminal event happened, and the state there. They are
        differentiable wherever the end lies.
    sol : DenseOutput, optional
        With ``dense_output=True``: a function of the time.
    diagnosis : Diagnosis, optional
        Where the solver gave up and does not raise: why, at which component, how stiff it is there, what to try.

    Examples
    --------
    >>> import hesse as hs
    >>> sol = hs.solvers.solve_ivp(lambda t, y: 1.0 - y, (0.0, 1.0), 0.0)
    >>> sol.success, sol.message
    (True, 'the end of the span was reached')
    >>> len(sol.t) == int(sol.stats["accepted"]) + 1
    True
    """

    t: Array
    y: Any
    status: Array
    stats: dict[str, Any]
    t_events: list[Array] | None = None
    y_events: list[Any] | None = None
    t_end: Array | None = None
    y_end: Any = None
    sol: DenseOutput | None = None
    diagnosis: Diagnosis | None = None

    @property
    def success(self) -> bool:
        """Whether the end or a terminal event was reached (by all, under vmap)."""
        return bool(_hesse.all(_hesse.less_equal(self.status, 0)))

    @property
    def message(self) -> str:
        """What the status means, and what to try; with ``method="auto"`` also what was chosen."""
        steps = {name[6:]: int(_hesse.sum(n)) for name, n in self.stats.items() if name.startswith("steps_")}
        used = ", ".join(f"{n} of {name}" for name, n in steps.items())
        return _s.describe(int(_hesse.max(self.status))) + (f"; steps: {used}" if used else "")

    def plot(self, phase: Sequence[Any] | None = None, ax: Any = None) -> Any:
        """Draws the solution with matplotlib (an optional extra).

        Parameters
        ----------
        phase : (x, y), optional
            Two entries of the state that are drawn against one another, by their places among all entries or by their
            names (``"x"``, ``"y[1]"``, as in the legend). By default every entry is drawn against the time; dashed lines
            mark events.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            For the solutions of several examples, for more than 50 entries without `phase`, and for entries that are none.
        ImportError
            Without matplotlib: ``pip install 'hesse[demo]'``.
        """
        return plot(self, phase, ax)


def mass_parts(mass: Any) -> list[Array]:
    """No arrays, a matrix, or the parts of a sparse one."""
    if mass is None:
        return []
    if isinstance(mass, CSR):
        return list(mass._parts())
    if hasattr(mass, "tocsr"):
        raise _hesse.ArgumentTypeError(
            f"solve_ivp: mass is a {type(mass).__name__}; convert it with hesse.sparse.from_scipy"
        )
    try:
        return [asarray(mass)]
    except TypeError as error:
        raise _hesse.ArgumentTypeError(
            f"solve_ivp: mass is {mass!r}, expected a matrix or a hesse.sparse.CSR"
        ) from error


def solve_ivp(
    f: Callable[..., Any] | Sequence[Callable[..., Any]],
    t_span: Sequence[Any],
    y0: Any,
    method: str = "Tsit5",
    t_eval: Any = None,
    *,
    args: Sequence[Any] = (),
    rtol: Any = 1e-3,
    atol: Any = 1e-6,
    first_step: Any = None,
    max_step: Any = None,
    max_steps: int = 100_000,
    raise_on_failure: bool = True,
    linear_solver: str = "auto",
    adjoint: Discrete | Interpolating | Forward | Backsolve | None = None,
    events: Event | Callable[..., Any] | Sequence[Event | Callable[..., Any]] = (),
    max_events: int | None = None,
    dense_output: bool = False,
    save: Callable[..., Any] | None = None,
    breakpoints: Any = None,
    mass: Any = None,
    progress: bool | Callable[[SolveProgress], Any] = False,
    progress_interval: float = 0.5,
) -> Solution:
    """Solves dy/dt = f(t, y), y(t0) = y0.

    It can be compiled, mapped (every example has steps of its own) and differentiated to any order, forwards
    and backwards, with respect to `y0`, `args`, everything else that `f` uses, both ends of the span, and
    `t_eval`. Derivatives are those of the steps taken: exact for them, with the sizes of steps as constants.
    Reverse mode keeps the state of every step between two times of `t_eval`. With the methods of SUNDIALS
    (``"BDF"``, ``"ARKODE_DIRK"``, ...) derivatives are solutions of their own, of the sensitivity equations forwards and of the
    adjoint equations backwards, and as accurate as the tolerances say.

    Parameters
    ----------
    f : callable
        ``f(t, y, *args)`` returns dy/dt, a tree like `y0`. It is recorded, not called for each step: where it branches on
        values, use `hesse.where` or `hesse.cond`. For some methods a pair of functions, see `method`.
    t_span : (t0, t1)
        Where to start and to end; t1 may lie before t0.
    y0 : tree
        The state: floating or complex arrays of any shapes, in a tuple, dict, ...
    method : str
        ``"Tsit5"``, ``"Dopri5"`` (or ``"RK45"``), ``"Bosh3"`` (``"RK23"``), ``"Dop853"`` (``"DOP853"``) choose their
        steps; ``"Euler"``, ``"Midpoint"``, ``"Heun"``, ``"RK4"`` take steps of `first_step`. These are explicit: on stiff
        problems they need very many steps. ``"Rodas5P"`` and ``"Rodas4"`` are for stiff problems of few unknowns with
        real states: the Jacobian of f is derived, and one matrix is factored for each step. ``"Kvaerno5"``,
        ``"KenCarp4"`` and ``"Kvaerno3"`` are for the same problems: they solve equations at each stage, and
        ``stats["evaluations"]`` counts how often f was called for that (Jacobians apart). ``"BDF"``, for stiff problems,
        and ``"Adams"`` are multistep methods of variable order, by SUNDIALS (where the build has it), for real states.
        So are Runge-Kutta methods that choose their steps: ``"ARKODE_ERK"`` (explicit, of order 5) and ``"ARKODE_DIRK"``
        (implicit, of order 4, for stiff problems, also large ones: see `linear_solver`).

        ``"auto"`` says in `Solution.stats` and `Solution.message` what it chose. For real states of up to 256 entries: steps of
        Tsit5 where accuracy limits them, of Rodas5P where stability would; each step estimates the spectral radius of the
        Jacobian by one product with it. For larger ones once, at (t0, y0): BDF where stability would cost an explicit
        method more than 1000 steps, else Tsit5; where values are not known, under `hesse.compile` and `hesse.vmap`, BDF.
        Without SUNDIALS that is Rodas5P, and Tsit5 where values are not known. Tsit5 for complex states.

        Two groups of methods take a pair ``f = (first, second)``. ``"ARK4"``, ``"ARK3"`` and ``"ARK5"`` (IMEX) solve
        dy/dt = first(t, y, *args) + second(t, y, *args), for real states: `second` is stiff and treated as Kvaerno's
        methods do, with the Jacobian of `second` alone; `first` is only evaluated. So does ``"ARKODE_IMEX"``, by SUNDIALS, for
        large systems. ``"Leapfrog"``, ``"Yoshida4"``,
        ``"Yoshida6"`` and ``"SuzukiUmeno8"`` (symplectic, of orders 2, 4, 6, 8) take a state y = (q, p) and solve
        dq/dt = first(t, p, *args), dp/dt = second(t, q, *args) with steps of `first_step`: see `hamiltonian`.
    t_eval : array, optional
        [n], times at which the solution is given, ascending in the direction of the span. By default both ends and
        every step between (not under `hesse.compile`, `hesse.vmap` and in loops: their number depends on values).
    args : tuple
        More arguments of `f`.
    rtol, atol : scalar or, for `atol`, tree
        Tolerances of the local error: a step is accepted where the root mean square over all entries of
        ``error / (atol + rtol * max(|y|, |y_next|))`` is at most 1. `atol`: for all, or a tree like `y0` of what broadcasts
        to its arrays.
    first_step, max_step : scalar, optional
        The first step, guessed by default, and the largest.
    max_steps : int
        Attempts, accepted or not, before the solver gives up.
    raise_on_failure : bool
        Whether giving up raises. If not, `Solution.status` and `Solution.diagnosis` say why, and the rest of ``y`` is NaN.
    linear_solver : {"auto", "dense", "banded", "klu", "krylov", "ilu"}
        How ``"BDF"``, ``"ARKODE_DIRK"`` and ``"ARKODE_IMEX"`` solve their linear equations: with the Jacobian of f (of the
        second of two) as a dense, banded or sparse matrix (the last by KLU), or by GMRES with products of it. ``"ilu"`` is
        GMRES, preconditioned with incomplete factors on the places of the sparse Jacobian (ILU(0)): for equations in two and
        three dimensions, whose complete factors fill. Where the Jacobian has entries is read off f (`hesse.sparse_jacobian`);
        ``"auto"`` takes a narrow band, few entries whose factors do not fill, a dense matrix up to 500 entries of the state,
        or GMRES. Jacobians and products are derived; where f has no derivative (`hesse.callback`), they are differences.
    adjoint : Discrete, Interpolating, Forward or Backsolve, optional
        How it is differentiated in reverse, of `hesse.solvers`: by default ``Discrete()``, with the methods of
        SUNDIALS ``Interpolating()``.
    events : Event, callable or sequence of them, optional
        What is looked for on the way: `Event`, or a function ``g(t, y, *args)`` that passes zero where it happens, with
        SciPy's attributes ``terminal`` and ``direction`` if it has them. Not with ``Forward()``. With
        a terminal event the solution ends where it happens, and times of `t_eval` after it are left out; where shapes must not
        depend on values, under `hesse.compile`, `hesse.vmap`, in loops and with `max_events`, the state at these times is NaN.
    max_events : int, optional
        How often an event that is not terminal may happen, where shapes must not depend on values: there it is needed, and
        more is a failure. Results have that many rows then, those of terminal events as many as end the solution. With
        `t_eval`, and not with `dense_output`.
    dense_output : bool
        Whether `Solution.sol` is made, the solution as a function of the time. All steps are kept. Not with
        ``Forward()`` and ``Discrete`` with checkpoints, and not under `hesse.compile`, `hesse.vmap` and in loops.
    save : callable, optional
        ``save(t, y, *args)``, a tree of floating or complex arrays that is kept instead of the state, in ``Solution.y``:
        what is wanted of a large one. (The methods of SUNDIALS keep the state at all times while they solve.) Not with
        `dense_output`.
    breakpoints : array, optional
        [b], times where f jumps (a switch, a dose, the ends of data that are interpolated): steps end just before them, and
        the next begin afresh just behind them, so that no step is wasted on the jump. Those outside the span do nothing.
        They are constants: the solution has no derivative in them.
    mass : array or hesse.sparse.CSR, optional
        M, [n, n], for the n entries of a real state (of a tree: of its arrays in their order, each in row-major order): the
        equation is M dy/dt = f(t, y). It is a constant, and differentiable. ``"Rodas5P"``, ``"Rodas4"``, ``"Kvaerno5"``,
        ``"KenCarp4"`` and ``"Kvaerno3"`` take any M, singular ones too (see Notes), and make a sparse one dense. Explicit
        methods and those of SUNDIALS need an invertible one and solve dy/dt = M^-1 f. ``"auto"`` is Rodas5P then. Not with
        methods that take a pair of functions.
    progress : bool or callable
        True shows a bar on the standard error stream, by tqdm where that is installed, else a line now and then: the time
        in the solution, the size of steps, and an estimate of the wall time that is left. A function is called with a
        `SolveProgress`; what it raises ends the solve. Compiled functions report at every call; derivatives do not, and not
        under `hesse.vmap`. In reverse mode fewer states of steps are kept, and more are computed again.
    progress_interval : float
        Seconds of wall time that are at least between two reports, but for the last one of a solve; 0: as many as there are
        occasions, at least one in 64 attempts.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        For shapes that do not fit, times that do not ascend within the span, an unknown method, a fixed-step method
        without `first_step`, tolerances below 0, a multistep method where the build has no SUNDIALS, an adjoint that the
        method does not have, a mass matrix that does not fit or that the method cannot use.
    TypeError
        For a state of integers, or of complex numbers with a multistep method or a mass matrix, and arguments of the wrong
        kind.
    FloatingPointError
        Where the solver gives up: with the time, the entry of the state that limits the step, how stiff the problem is
        there, and what to try. `Diagnosis` has the same as data. Where `y0` does not satisfy the algebraic equations of a
        singular mass matrix: with how far off it is.
    hesse.TraceError
        Without `t_eval`, with `dense_output`, or with events that are not terminal without `max_events`, under
        `hesse.compile`, `hesse.vmap` and in loops. With `progress` under `hesse.vmap`.

    Notes
    -----
    Methods: Tsitouras (2011), Dormand and Prince (1980), Bogacki and Shampine (1989), DOP853 (Hairer, Norsett, Wanner,
    Solving Ordinary Differential Equations I), Rodas4 (Hairer and Wanner, the same II), Rodas5P (Steinebach 2023),
    Kvaerno3 and Kvaerno5 (Kvaerno 2004: ESDIRK3/2, ESDIRK5/4), KenCarp4 (Kennedy and Carpenter 2003: the implicit part of
    ARK4(3)6L[2]SA), ARK3, ARK4 and ARK5 (the same: ARK3(2)4L[2]SA, ARK4(3)6L[2]SA, ARK5(4)8L[2]SA), Yoshida (1990), Suzuki
    and Umeno (1993).
    Between steps the solution is a polynomial of degree 4 (3 for Bosh3, Rodas4, Kvaerno3, ARK3 and ARK4); the steps of Dop853,
    of ARK5 and of the methods with fixed steps end at every time of `t_eval`. Within steps of methods for stiff problems very
    stiff components with a forcing are less accurate than at their ends: limit `max_step` where that matters.

    With a singular mass matrix the problem is a differential-algebraic one: combinations of rows of f that M dy/dt does not
    reach must be zero. It must have index 1 (the algebraic equations determine the entries that M does not see), and `y0`
    must satisfy these equations as far as the tolerances ask; `solve_dae` finds a start that does. Gradients follow the
    equations too: the algebraic part of `y0` has none of its own, the differential part has that of a start which moves with
    it. Algebraic entries take part in the error test like the others: give each an `atol` of its size. At times of `t_eval`
    within a step the algebraic equations hold as far as the interpolant is accurate, at the ends of steps as far as the
    method solves them; behind a breakpoint algebraic entries are found anew. Rosenbrock methods with M: Hairer and Wanner
    II, VI.1 and VI.3; Rodas5P has its order 5 for index 1.

    BDF and Adams are CVODES (Hindmarsh and others, ACM Transactions on Mathematical Software 31, 2005), in float64 whatever
    the dtype of the state. Backwards, the solution is solved again with checkpoints, and the adjoint state from each time
    of `t_eval` to the one before (Serban and Hindmarsh, 2005): <v, J u> and <J^T v, u> differ by some 100 `rtol`. The others
    are ARKODE (Reynolds and others, the same 49, 2023), with Dormand and Prince's method, the implicit half of
    ARK4(3)6L[2]SA (Kennedy and Carpenter 2003) and both halves; backwards the state and the adjoint are solved by BDF,
    after ``"ARKODE_ERK"`` by Adams. Between the ends of steps the solution is the polynomial of the step, of the order that
    BDF and Adams have there; of degree 4 after ``"ARKODE_ERK"``, else 3. At breakpoints they begin anew with order 1 and a
    guessed step; backwards each piece between two breakpoints is solved again by itself, and all once more to find where
    the pieces begin.

    Examples
    --------
    >>> import hesse as hs
    >>> def decay(t, y, k):
    ...     return -k * y
    >>> sol = hs.solvers.solve_ivp(decay, (0.0, 1.0), 1.0, t_eval=[0.5, 1.0], args=(2.0,), rtol=1e-10, atol=1e-12)
    >>> hs.round(1e6 * sol.y)
    Array([367879., 135335.], dtype=float64)
    >>> def last(k):
    ...     return hs.solvers.solve_ivp(decay, (0.0, 1.0), 1.0, t_eval=[1.0], args=(k,), rtol=1e-10, atol=1e-12).y[0]
    >>> hs.round(1e6 * hs.grad(last)(2.0))
    Array(-135335., dtype=float64)
    """
    t0, t1 = span_of("solve_ivp", t_span)
    if not isinstance(method, str):
        raise _hesse.ArgumentTypeError(
            f"solve_ivp: method is {method!r}, expected one of {', '.join(_s.method_names())}, auto, BDF, Adams, "
            "ARKODE_ERK, ARKODE_DIRK, ARKODE_IMEX"
        )
    if not isinstance(linear_solver, str):
        raise _hesse.ArgumentTypeError(
            f"solve_ivp: linear_solver is {linear_solver!r}, expected 'auto', 'dense', 'banded', 'klu', "
            "'krylov' or 'ilu'"
        )
    check_args("solve_ivp", args)
    state, treedef = arrays_of(y0, "solve_ivp: y0")
    tolerances = like_state("solve_ivp", "atol", atol, treedef)

    field, second = flat_fields(f, y0, treedef, method, args)

    watched = Watched(events, treedef, args)
    kept = [treedef]  # the structure of what is saved

    def saved(t: Array, *values: Array) -> list[Array]:
        result = save(t, treedef.unflatten(list(values)), *args)  # type: ignore[misc]
        out, kept[0] = _flatten_arrays(result, f"solve_ivp: what {name_of(save)} returns")  # type: ignore[arg-type]
        return [a if isinstance(a, Array) else asarray(a) for a in out]

    if save is not None:
        check_callable(save, "solve_ivp: save")
    if max_events is not None:
        max_events = count_of("solve_ivp", "max_events", max_events, 0)
    (
        t,
        y,
        status,
        accepted,
        rejected,
        evaluations,
        factorisations,
        t_last,
        h_last,
        chosen,
        implicit,
        found,
        dense,
        why,
    ) = _s.solve_ivp(
        field,
        t0,
        t1,
        state,
        method,
        optional_array(t_eval),
        asarray(rtol),
        tolerances,
        optional_array(first_step),
        optional_array(max_step),
        count_of("solve_ivp", "max_steps", max_steps),
        bool(raise_on_failure),
        linear_solver,
        second,
        *name_and_checkpoints(adjoint),
        watched.flat(),
        max_events,
        bool(dense_output),
        None if save is None else saved,
        optional_array(breakpoints),
        mass_parts(mass),
        options_of_backsolve(adjoint),
        treedef.paths(),
        *reports("solve_ivp", progress, progress_interval),
    )
    stats: dict[str, Any] = {
        "accepted": accepted,
        "rejected": rejected,
        "evaluations": evaluations,
        "factorisations": factorisations,
        "t_last": t_last,
        "h_last": h_last,
    }
    if chosen == "auto" and implicit is not None:
        stats["steps_Tsit5"], stats["steps_Rodas5P"] = accepted - implicit, implicit
    elif chosen:
        stats["steps_" + chosen] = accepted
    sol = Solution(t, kept[0].unflatten(y), status, stats, diagnosis=diagnosis_of(why, state, treedef))
    if dense is not None:
        values = DenseOutput(*dense, treedef)  # type: ignore[call-arg]
        sol = dataclasses.replace(sol, sol=values)
    if found is None:
        return sol
    t_events, y_events, counts, terminal_event, t_end, y_end = found
    stats["events"] = counts
    stats["terminal_event"] = terminal_event
    return dataclasses.replace(
        sol,
        t_events=t_events,
        y_events=[treedef.unflatten(y) for y in y_events],
        t_end=t_end,
        y_end=treedef.unflatten(y_end),
    )
