"""Loops, branches and maps over trees of arrays, and foreign code in the middle of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import _hesse
from ._flat import Outputs, check_callable, flat_function, name_of
from ._hesse import Array, _flatten_arrays, tree_flatten
from ._hesse import control as _c

__all__ = ["ShapeDtype", "callback", "cond", "fori_loop", "map", "scan", "switch", "while_loop"]


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


def _branches(transform: str, branches: Sequence[Callable[..., Any]], operands: tuple[Any, ...]) -> Any:
    """The branches as flat functions that check that all return one structure."""
    leaves, treedef = tree_flatten(operands)
    positions = _hesse._array_positions(leaves)
    first = Outputs()
    flat = []
    for k, branch in enumerate(branches):
        check_callable(branch, transform)

        def run(*xs: Array, branch: Callable[..., Any] = branch, k: int = k) -> list[Array]:
            mine = Outputs()
            values = flat_function(branch, leaves, treedef, positions, {}, mine, transform)(*xs)
            if k == 0:
                first.treedef = mine.treedef
            elif mine.treedef != first.treedef:
                raise _hesse.ArgumentError(
                    f"{transform}: the branches return different structures, {first.treedef} and "
                    f"{mine.treedef}"
                )
            return values

        flat.append(run)
    return flat, [_hesse.asarray(leaves[k]) for k in positions], first


def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any) -> Any:
    """``true_fun(*operands)`` if `pred` and ``false_fun(*operands)`` otherwise; only the chosen one runs.

    Both are recorded and must return the same shapes and dtypes. For a choice per entry use `where`.

    Parameters
    ----------
    pred : boolean scalar
    true_fun, false_fun : callable
        Both take the operands.
    *operands : tree of arrays

    Returns
    -------
    tree
        What the chosen function returned.

    Raises
    ------
    ValueError
        Where the results of both differ in structure or shapes.

    Examples
    --------
    >>> import hesse as hs
    >>> f = lambda x: hs.cond(x > 0.0, lambda x: x * x, lambda x: -x, x)
    >>> hs.vmap(hs.grad(f))(hs.array([-1.0, 3.0]))
    Array([-1.,  6.], dtype=float64)
    """
    (no, yes), arrays, outputs = _branches("cond", (false_fun, true_fun), operands)
    return outputs.tree(_c.cond(pred, yes, no, arrays))


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """``branches[index](*operands)``, the index limited to the range; only the chosen one runs.

    Parameters
    ----------
    index : integer scalar
    branches : sequence of callable
        All take the operands and return the same shapes and dtypes.
    *operands : tree of arrays

    Returns
    -------
    tree
        What the chosen function returned.

    Raises
    ------
    ValueError
        Without branches, or where their results differ in structure or shapes.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.switch(1, [hs.sin, hs.square, hs.exp], 3.0)
    Array(9., dtype=float64)
    """
    if not branches:
        raise _hesse.ArgumentError("switch: branches is empty; give at least one function")
    flat, arrays, outputs = _branches("switch", tuple(branches), operands)
    return outputs.tree(_c.switch(_hesse.asarray(index), flat, arrays))


def _tuple(entry: Any) -> tuple[Any, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry)


def map(
    f: Callable[..., Any],
    n: int | None,
    operands: Sequence[Any],
    access: Sequence[Any],
    results: Any = "each",
    indices: Sequence[Any] = (),
) -> Any:
    """A function of one example, run for examples 0, ..., n - 1: `vmap` with gathers and sums.

    Derivatives are maps too, in which "each" stays "each", "uniform" becomes "sum" and "gather" becomes
    "segment_sum", and the other way round: message passing on a graph is a map over its edges.

    Parameters
    ----------
    f : callable
        Takes one slice of every operand, returns a tree of arrays. What it captures is the same for all
        examples.
    n : int or None
        How many examples; None reads it from the operands and indices.
    operands : sequence of trees
    access : sequence
        Per operand: "each" (slice i of axis 0), "uniform" (the whole of it), or ("gather", k) (row
        ``indices[k][i]``).
    results : str, tuple, or list of such
        For all outputs or per output: "each" (stacked on axis 0), "sum" (over the examples), or
        ("segment_sum", k, num_segments) (row ``indices[k][i]`` of the result accumulates example i).
    indices : sequence
        Integer arrays of length n.

    Examples
    --------
    Messages along the edges of a graph, summed at their targets:

    >>> import hesse as hs
    >>> nodes, source, target = hs.array([1.0, 10.0, 100.0]), hs.array([0, 1, 2]), hs.array([1, 0, 0])
    >>> hs.map(lambda x: 2.0 * x, 3, [nodes], [("gather", 0)], ("segment_sum", 1, 3), [source, target])
    Array([220.,   2.,   0.], dtype=float64)
    """
    check_callable(f, "map")
    operands = tuple(operands)
    if len(access) != len(operands):
        raise _hesse.ArgumentError(f"map: access has {len(access)} entries for {len(operands)} operands")
    leaves, treedef = tree_flatten(operands)
    positions = _hesse._array_positions(leaves)
    reads: list[tuple[Any, ...]] = []
    for operand, entry in zip(operands, access, strict=True):
        reads += [_tuple(entry)] * len(_hesse.tree_leaves(operand))
    arrays = [_hesse.asarray(leaves[k]) for k in positions]
    index_arrays = [_hesse.asarray(i) for i in indices]
    if n is None:
        lengths = [
            a.shape[0] for a, k in zip(arrays, positions, strict=True) if reads[k][0] == "each" and a.ndim
        ]
        lengths += [i.shape[0] for i in index_arrays if i.ndim]
        if not lengths:
            raise _hesse.ArgumentError(
                "map: n is None and no operand is read by 'each' or through an index; give n"
            )
        n = lengths[0]
    outputs = Outputs()
    flat = flat_function(f, leaves, treedef, positions, {}, outputs, "map")

    def results_of_outputs(count: int) -> list[tuple[Any, ...]]:
        if isinstance(results, list):
            if len(results) != count:
                raise _hesse.ArgumentError(f"map: results has {len(results)} entries for {count} outputs")
            return [_tuple(r) for r in results]
        return [_tuple(results)] * count

    values = _c.map(flat, n, arrays, [reads[k] for k in positions], results_of_outputs, index_arrays)
    return outputs.tree(values)


class ShapeDtype(NamedTuple):
    """What is stated of an array before there is one.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Examples
    --------
    >>> import hesse as hs
    >>> hs.ShapeDtype((2, 3), "float32")
    ShapeDtype(shape=(2, 3), dtype='float32')
    """

    shape: tuple[int, ...]
    dtype: Any = "float64"


def callback(
    fn: Callable[..., Any],
    result: Any,
    *args: Any,
    vjp: Callable[..., Any] | None = None,
    name: str | None = None,
) -> Any:
    """Foreign code on data, in the middle of anything: NumPy, SciPy, a simulator.

    Parameters
    ----------
    fn : callable
        Takes NumPy arrays in the structure of `args`; returns arrays in the structure of `result`. Inside
        `vmap` it is called for every example, inside `compile` at every run.
    result : tree of `ShapeDtype`
        Shapes and dtypes of what `fn` returns; arrays may stand for themselves.
    *args : tree
        The arguments.
    vjp : callable, optional
        ``vjp(args, cotangents)`` returns the cotangents of `args`, in NumPy too; without it there is no
        derivative. It must be linear in the cotangents.
    name : str, optional
        For error messages.

    Examples
    --------
    >>> import hesse as hs, numpy as np
    >>> sine = lambda x: hs.callback(np.sin, hs.ShapeDtype((), "float64"), x,
    ...                              vjp=lambda args, ct: (np.cos(args[0]) * ct,))
    >>> hs.grad(sine)(0.0)
    Array(1., dtype=float64)
    """
    check_callable(fn, "callback")

    def is_spec(x: Any) -> bool:
        return isinstance(x, ShapeDtype) or hasattr(x, "shape")

    specs, out_def = tree_flatten(result, is_leaf=is_spec)
    for spec in specs:
        if not is_spec(spec):
            raise _hesse.ArgumentTypeError(
                f"callback: result must hold ShapeDtype or arrays, got {type(spec).__name__}"
            )
    avals = [(tuple(s.shape), _hesse.dtype(s.dtype)) for s in specs]
    label = name or name_of(fn)

    def evaluate(*primals: Any) -> Any:
        leaves, treedef = tree_flatten(primals)
        positions = _hesse._array_positions(leaves)

        def run(*xs: Array) -> list[Any]:
            import numpy as np

            new = list(leaves)
            for k, x in zip(positions, xs, strict=True):
                new[k] = np.asarray(x)
            values = out_def.flatten_up_to(fn(*treedef.unflatten(new)), "callback")
            return [_hesse.asarray(v, dtype=dtype) for v, (_, dtype) in zip(values, avals, strict=True)]

        return out_def.unflatten(
            _c.callback(run, avals, [_hesse.asarray(leaves[k]) for k in positions], label)
        )

    if vjp is None:
        return evaluate(*args)
    from ._custom import custom_vjp

    differentiable = custom_vjp(evaluate)

    def forward(*primals: Any) -> tuple[Any, Any]:
        return evaluate(*primals), primals

    def backward(primals: tuple[Any, ...], cotangents: Any) -> Any:
        return callback(lambda *a: vjp(a[:-1], a[-1]), primals, *primals, cotangents, name=f"vjp of {label}")

    differentiable.defvjp(forward, backward)
    return differentiable(*args)
