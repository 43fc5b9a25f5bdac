"""Loops over trees of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _hesse
from ._branches import cond
from ._flat import Outputs, check_callable, name_of
from ._hesse import Array, _flatten_arrays
from ._hesse import control as _c

__all__ = ["fori_loop", "scan", "while_loop"]


def _carry(tree: Any, what: str) -> tuple[list[Array], Any]:
    """The arrays of a carry; numbers become arrays of the default dtypes, which they keep."""
    values, treedef = _flatten_arrays(tree, what)
    return [_hesse.asarray(v) for v in values], treedef


def _check_structure(loop: str, got: Any, expected: Any) -> None:
    if got != expected:
        raise _hesse.ArgumentError(
            f"{loop}: the carry changed its structure from {expected} to {got}; the body must "
            "return what it is given"
        )


class _Progress:
    """Calls `progress` with the number of steps done and what is watched of the carry, every so many steps."""

    def __init__(
        self, loop: str, progress: Callable[..., Any], every: int, watch: Callable[[Any], Any] | None
    ) -> None:
        check_callable(progress, f"{loop}: progress")
        if watch is not None:
            check_callable(watch, f"{loop}: watch")
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise _hesse.ArgumentError(
                f"{loop}: every is {every!r}; expected how many steps lie between two reports, 1 or more"
            )
        self._loop, self._call, self._every = loop, progress, every
        self._watch = watch or (lambda carry: carry)

    def report(self, done: Array, last: Array | None, carry: Any) -> None:
        """Recorded at the end of a step; `done` steps are done, `last` of them in all where that is known."""
        due = _hesse.equal(_hesse.remainder(done, self._every), 0)
        if last is not None:
            due = _hesse.logical_or(due, _hesse.equal(done, last))
        values, treedef = _flatten_arrays(self._watch(carry), f"{self._loop}: what watch returns")
        arrays = [_hesse.stop_gradient(_hesse.asarray(a)) for a in (done, *values)]

        def run(done: Array, *values: Array) -> list[Array]:
            self._call(int(done), treedef.unflatten(list(values)))
            return []

        def tell() -> list[Array]:
            return _c.callback(run, [], arrays, f"{self._loop}: progress")

        cond(due, lambda: tell(), lambda: [])


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    *,
    progress: Callable[[int, Any], Any] | None = None,
    every: int = 1,
    watch: Callable[[Any], Any] | None = None,
) -> tuple[Any, Any]:
    """A loop that carries a state and stacks outputs.

    Parameters
    ----------
    f : callable
        ``f(carry, x)`` returns ``(carry, y)``; shapes and dtypes of the carry stay the same.
    init : tree
        The first carry.
    xs : tree, optional
        Arrays whose slices along axis 0 are the x of each step.
    length : int, optional
        The number of steps where there are no `xs`.
    reverse : bool
        From the last slice to the first; the ys keep their places.
    progress, every, watch : optional
        As for `fori_loop`.

    Returns
    -------
    carry : tree
    ys : tree
        The y of all steps, stacked along axis 0.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.scan(lambda total, x: (total + x, total), 0.0, hs.arange(4.0))
    (Array(6., dtype=float64), Array([0., 0., 1., 3.], dtype=float64))
    """
    check_callable(f, "scan")
    carry, carry_def = _carry(init, "scan: init")
    items, items_def = _flatten_arrays(xs, "scan: xs")
    report = None if progress is None else _Progress("scan", progress, every, watch)
    if report is not None:  # the number of steps done is carried along
        tell, count = report.report, items[0].shape[0] if items and items[0].ndim else length

        def counted(state: tuple[Any, Array], x: Any) -> tuple[Any, Any]:
            result = f(state[0], x)
            if isinstance(result, tuple) and len(result) == 2:
                tell(state[1] + 1, None if count is None else _hesse.asarray(count), result[0])
                result = (result[0], state[1] + 1), result[1]
            return result

        (last, _), stacked = scan(counted, (init, _hesse.asarray(0)), xs, length, reverse)
        return last, stacked
    n = len(carry)
    ys = Outputs()

    def body(*values: Array) -> list[Array]:
        result = f(carry_def.unflatten(list(values[:n])), items_def.unflatten(list(values[n:])))
        if not isinstance(result, tuple) or len(result) != 2:
            raise _hesse.ArgumentTypeError(
                f"scan: {name_of(f)} must return a pair (carry, y), got {type(result).__name__}"
            )
        new, structure = _flatten_arrays(result[0], "scan: the carry")
        _check_structure("scan", structure, carry_def)
        out, ys.treedef = _flatten_arrays(result[1], "scan: y")
        return new + out

    values = _c.scan(body, carry, items, length, reverse)
    return carry_def.unflatten(values[:n]), ys.treedef.unflatten(values[n:])


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init: Any,
    *,
    progress: Callable[[int, Any], Any] | None = None,
    every: int = 1,
    watch: Callable[[Any], Any] | None = None,
) -> Any:
    """``carry = body_fun(carry)`` while ``cond_fun(carry)``, differentiable in both directions.

    Parameters
    ----------
    cond_fun : callable
        From the carry to a boolean scalar.
    body_fun : callable
        From the carry to the next one, of the same structure, shapes and dtypes.
    init : tree of arrays
        The first carry.
    progress, every, watch : optional
        As for `fori_loop`; the number of steps is not known before, so the last step is not reported as such.

    Returns
    -------
    tree
        The last carry.

    Raises
    ------
    ValueError or TypeError
        Where the carry changes its structure, shapes or dtypes.

    Notes
    -----
    Reverse mode keeps the carries that entered each step, on a stack as long as the run.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.while_loop(lambda x: x < 100.0, lambda x: x * x, 3.0)
    Array(6561., dtype=float64)
    """
    check_callable(cond_fun, "while_loop")
    check_callable(body_fun, "while_loop")
    if progress is not None:
        report = _Progress("while_loop", progress, every, watch)

        def counted(state: tuple[Any, Array]) -> tuple[Any, Array]:
            new, done = body_fun(state[0]), state[1] + 1
            report.report(done, None, new)
            return new, done

        return while_loop(lambda state: cond_fun(state[0]), counted, (init, _hesse.asarray(0)))[0]
    carry, carry_def = _carry(init, "while_loop: init")

    def condition(*values: Array) -> list[Any]:
        result = cond_fun(carry_def.unflatten(list(values)))
        if not _hesse._is_numeric(result):
            raise _hesse.ArgumentTypeError(
                f"while_loop: {name_of(cond_fun)} must return a bool scalar, got {type(result).__name__}"
            )
        return [result]

    def body(*values: Array) -> list[Array]:
        new, structure = _flatten_arrays(body_fun(carry_def.unflatten(list(values))), "while_loop: the carry")
        _check_structure("while_loop", structure, carry_def)
        return new

    return carry_def.unflatten(_c.while_loop(condition, body, carry))


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init: Any,
    *,
    progress: Callable[[int, Any], Any] | None = None,
    every: int = 1,
    watch: Callable[[Any], Any] | None = None,
) -> Any:
    """``carry = body_fun(i, carry)`` for i = lower, ..., upper - 1.

    Parameters
    ----------
    lower, upper : int
        They may be arrays, also traced.
    body_fun : callable
        From i and the carry to the next carry, of the same structure, shapes and dtypes.
    init : tree of arrays
        The first carry.
    progress : callable, optional
        ``progress(steps, carry)`` is called when a multiple of `every` steps is done, and after the last one,
        without leaving the loop. What it raises ends the loop and reaches the caller.
    every : int, optional
        Steps between two calls.
    watch : callable, optional
        From the carry to the part that `progress` gets; the whole carry if there is none.

    Returns
    -------
    tree
        The last carry.

    Raises
    ------
    ValueError or TypeError
        Where the carry changes its structure, shapes or dtypes.

    Notes
    -----
    `progress` is not differentiated. Derivatives run a loop again: with its tangents, or to keep its carries
    for the way back; it reports in these runs too, but not on the way back. Inside a compiled function runs
    whose values nobody needs are left out, so that there a gradient reports once. Inside `vmap` it is called for
    every example.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.fori_loop(1, 6, lambda i, x: x * i, 1)
    Array(120, dtype=int64)

    A training loop that reports now and then:

    >>> @hs.compile
    ... def train(w):
    ...     return hs.fori_loop(0, 100, lambda i, w: w - 0.1 * hs.grad(lambda w: (w - 3.0) ** 2)(w), w,
    ...                         progress=lambda steps, w: print(f"{steps}: {float(w):.3f}"), every=40)
    >>> w = train(0.0)
    40: 3.000
    80: 3.000
    100: 3.000
    """
    check_callable(body_fun, "fori_loop")
    report = None if progress is None else _Progress("fori_loop", progress, every, watch)
    carry, carry_def = _carry(init, "fori_loop: init")
    first, end = _hesse.asarray(lower), _hesse.asarray(upper)

    def body(i: Array, *values: Array) -> list[Array]:
        result = body_fun(i, carry_def.unflatten(list(values)))
        new, structure = _flatten_arrays(result, "fori_loop: the carry")
        _check_structure("fori_loop", structure, carry_def)
        if report is not None:
            report.report(i + 1 - first, end - first, result)
        return new

    return carry_def.unflatten(_c.fori_loop(first, end, body, carry))
