"""Compiled functions: recorded once per structure, shapes and dtypes, then run without calling Python."""

from __future__ import annotations

import functools
import os
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import _hesse
from ._flat import check_callable, name_of, positional_parameters
from ._hesse import Array, Graph, TreeDef, _flatten_arrays, tree_flatten
from ._program_files import save
from ._static import static_arguments, unhashable

__all__ = ["RecompilationWarning", "compile", "make_graph"]


class RecompilationWarning(UserWarning):
    """A compiled function is recorded again and again: its arguments change their shapes, dtypes or structure.

    Examples
    --------
    >>> import warnings
    >>> import hesse as hs
    >>> f = hs.compile(lambda x: x + 1.0)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     for n in range(8):
    ...         y = f(hs.zeros((n,)))
    >>> caught[0].category.__name__
    'RecompilationWarning'
    """


_WARN_AT = 8  # versions; then at every doubling


class _Closure(NamedTuple):
    """A function taken apart: its cells are a tree, so arrays that it captured become inputs."""

    function: Any
    cells: tuple[Any, ...]


_EMPTY = object()


_Cell = tuple[types.CellType, Any]


def _open(value: Any, seen: tuple[int, ...] = (), cells: list[_Cell | None] | None = None) -> Any:
    """A captured value as a tree: functions are opened at their cells, recursively. The cells that it read, and what
    they held, are added to `cells`; None for what else may change."""
    if isinstance(value, types.FunctionType):
        if value.__closure__ is None or id(value) in seen:
            return value
        inner = (*seen, id(value))
        contents = []
        for cell in value.__closure__:
            try:
                held = cell.cell_contents
            except ValueError:  # a cell that is not filled yet
                held = _EMPTY  # compared by identity
            if cells is not None:
                cells.append(None if held is _EMPTY else (cell, held))
            contents.append(held if held is _EMPTY else _open(held, inner, cells))
        return _Closure(("function", value.__code__, value), tuple(contents))
    if isinstance(value, types.MethodType):
        return _Closure(("method", value), (_open(value.__func__, seen, cells), value.__self__))
    if cells is not None and (
        isinstance(value, functools.partial) or hasattr(type(value), "__hesse_parts__")
    ):
        cells.append(None)
    if isinstance(value, functools.partial):
        args = tuple(_open(a, seen, cells) for a in value.args)
        keywords = {k: _open(a, seen, cells) for k, a in value.keywords.items()}
        return _Closure(("partial", value), (_open(value.func, seen, cells), args, keywords))
    if hasattr(type(value), "__hesse_parts__"):  # compiled functions and functions with rules of their own
        return _Closure(("parts", value), tuple(_open(part, seen, cells) for part in value.__hesse_parts__()))
    return value


class _Captured:
    """What a function captured, as a tree. It is kept while the cells hold the same objects, unless there are arrays
    among these: they would live longer than the cell needs them."""

    def __init__(self, fun: Callable[..., Any]) -> None:
        self._fun = fun
        self.plain = isinstance(fun, types.FunctionType) and fun.__closure__ is None
        self._kept: tuple[list[_Cell], Any] | None = None

    def tree(self) -> Any:
        if self.plain:
            return None
        kept = self._kept
        if kept is not None:
            for cell, held in kept[0]:
                try:
                    if cell.cell_contents is not held:
                        break
                except ValueError:  # emptied
                    break
            else:
                return kept[1]
        cells: list[_Cell | None] = []
        tree = _open(self._fun, (), cells)
        fixed = [cell for cell in cells if cell is not None]
        keep = len(fixed) == len(cells) and not _hesse._holds_arrays(tree)
        self._kept = (fixed, tree) if keep else None
        return tree


def _close(value: Any) -> Any:
    """The inverse of `_open`, with what the cells hold now. What holds no arrays stays the same object."""
    if type(value) is not _Closure:
        return value
    kind, original = value.function[0], value.function[-1]
    if not _hesse._holds_arrays(value.cells):
        return original
    if kind == "method":
        return types.MethodType(_close(value.cells[0]), value.cells[1])
    if kind == "partial":
        function, args, keywords = value.cells
        return functools.partial(
            _close(function), *map(_close, args), **{k: _close(a) for k, a in keywords.items()}
        )
    if kind == "parts":
        return original.__hesse_with_parts__(*map(_close, value.cells))
    cells = tuple(
        types.CellType(_close(new)) if _hesse._holds_arrays(new) else old
        for new, old in zip(value.cells, original.__closure__, strict=True)
    )
    new = types.FunctionType(
        original.__code__, original.__globals__, original.__name__, original.__defaults__, cells
    )
    new.__kwdefaults__ = original.__kwdefaults__
    return new


def _check_unchanged(original: Any, fun: Any, given: Sequence[Any]) -> None:
    """Refuses what would be lost: an array stored in a captured variable, of which `fun` has a copy."""
    if not (isinstance(fun, types.FunctionType) and fun.__closure__ and original.__closure__):
        return
    known = {id(x) for x in given}
    for name, cell, old in zip(fun.__code__.co_freevars, fun.__closure__, original.__closure__, strict=True):
        if cell is old:
            continue
        if any(
            isinstance(x, Array) and id(x) not in known for x in tree_flatten(_open(cell.cell_contents))[0]
        ):
            raise _hesse.TraceError(
                f"compile: {name_of(fun)} stored an array in {name}, which it captured, while it was recorded; later "
                "calls would not do so. Return the array, and pass what changes as an argument"
            )


def explanation(name: str, graph: Graph, program: Graph, versions: str) -> str:
    """What `program`, recorded as `graph`, runs."""
    constants = [f"{c.dtype}{list(c.shape)}" for c in program.constants if c.size > 1]
    lines = [
        f"{name}: {program.count()} equations in {program.count('map')} map(s), recorded as "
        f"{graph.count()} in {graph.count('map')}, {versions}",
        program.explain().rstrip(),
    ]
    if constants:
        lines.append("constants, by reference: " + ", ".join(constants))
    return "\n".join([*lines, str(program)])


class CompiledFunction:
    """A function that is recorded when first called with certain shapes, and then run from the record."""

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: Sequence[int],
        static_argnames: Sequence[str],
        maxsize: int,
        donate_argnums: Sequence[int] = (),
    ) -> None:
        functools.update_wrapper(self, fun, updated=())
        self._fun = fun
        self._static_argnums = frozenset(static_argnums)
        self._static_argnames = frozenset(static_argnames)
        self._has_static = bool(static_argnums or static_argnames)
        self._maxsize = maxsize
        self._donate_argnums = tuple(donate_argnums)
        self._donation = self._make_donation() if self._donate_argnums else None
        self._programs = _hesse._Programs(maxsize)
        self._recorded, self._warn_at = 0, _WARN_AT
        self._captured = _Captured(fun)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __hesse_parts__(self) -> tuple[Any, ...]:
        return (self._fun,)

    def __hesse_with_parts__(self, fun: Callable[..., Any]) -> CompiledFunction:
        return CompiledFunction(
            fun,
            tuple(self._static_argnums),
            tuple(self._static_argnames),
            self._maxsize,
            self._donate_argnums,
        )

    def _make_donation(self) -> _hesse._Donation:
        names = positional_parameters(self._fun)
        labels = [
            (i, f"argument {i}" + (f" ({names[i]})" if -len(names) <= i < len(names) else ""))
            for i in self._donate_argnums
        ]
        return _hesse._Donation(name_of(self._fun), labels)

    def _static(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Static arguments, to be compared by ==, and the rest with None in their places."""
        if not self._has_static:
            return None, args, kwargs
        nums = {i % len(args) for i in self._static_argnums if -len(args) <= i < len(args)}
        names = self._static_argnames & kwargs.keys()
        static = (tuple((i, args[i]) for i in sorted(nums)), tuple((k, kwargs[k]) for k in sorted(names)))
        try:
            hash(static)
        except TypeError:
            raise _hesse.ArgumentTypeError(unhashable(self._fun, static)) from None
        rest = tuple(None if i in nums else a for i, a in enumerate(args))
        return static, rest, {k: v for k, v in kwargs.items() if k not in names}

    def _record(self, call: _hesse._Call, captured: Any, static: Any) -> _hesse._Program:
        """The function of this call's arrays, recorded."""
        structure: list[TreeDef] = []
        n = call.args.num_leaves

        def flat(*xs: Any) -> list[Any]:
            args, kwargs = call.args.unflatten(list(xs[:n]))
            fun = self._fun if captured is None else _close(call.captured.unflatten(list(xs[n:])))
            if static is not None:
                args = list(args)
                for i, value in static[0]:
                    args[i] = value
                kwargs = {**kwargs, **dict(static[1])}
            result = fun(*args, **kwargs)
            if fun is not self._fun:
                _check_unchanged(self._fun, fun, xs[n:])
            values, out = _flatten_arrays(result, f"compile: the output of {name_of(self._fun)}")
            structure[:] = [out]
            return values

        return _hesse._record(flat, call, lambda: structure[0])

    def _program(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[_hesse._Program, _hesse._Call]:
        static, rest, named = self._static(args, kwargs)
        captured = self._captured.tree()
        call = _hesse._Call((rest, named), captured, static)
        program = self._programs.find(call)
        if program is None:
            self._count(call)
            program = self._record(call, captured, static)
            # Live values that were not passed belong to this call alone. Recording may have changed what the
            # closure holds (a counter): the program is right for that too.
            if program.num_captures == 0:
                self._programs.add(call, program)
                if captured is not None:
                    self._programs.add(_hesse._Call((rest, named), self._captured.tree(), static), program)
        return program, call

    def _count(self, call: _hesse._Call) -> None:
        """Counts recordings, and says when there are many, and why."""
        self._recorded += 1
        if self._recorded < self._warn_at:
            return
        self._warn_at *= 2
        warnings.warn(
            f"compile: {name_of(self._fun)} has been recorded {self._recorded} times, now because "
            f"{self._programs.difference(call)}. Recording costs as much as many calls: pad arrays to a few "
            "shapes, pass numbers as arrays, and make static only what takes few values",
            RecompilationWarning,
            stacklevel=4,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        static, rest, named = self._static(args, kwargs) if self._has_static else (None, args, kwargs)
        captured = self._captured
        result = self._programs.run(
            (rest, named), None if captured.plain else captured.tree(), static, self._donation
        )
        if result is not ...:
            return result
        program, call = self._program(args, kwargs)
        return self._donation.run(program, call) if self._donation else program(call)

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """The equations that a call with these arguments runs; they also list the constants it holds."""
        return self._program(args, kwargs)[0].graph

    def program(self, *args: Any, **kwargs: Any) -> Graph:
        """The equations as they are run: maps over the same examples, and what lies row by row between, are joined."""
        return self._program(args, kwargs)[0].program

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """What a call with these arguments runs, as text: what was joined, how each map runs, what it stores for all
        examples and why, operations and bytes, and the arrays taken as constants."""
        return explanation(
            name_of(self._fun),
            self.graph(*args, **kwargs),
            self.program(*args, **kwargs),
            f"{self.cache_size} version(s)",
        )

    def save(self, path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Saves the program for arguments like these to a file: see `save_program`."""
        program, call = self._program(args, kwargs)
        save(path, self._fun, program, call, self._static(args, kwargs)[0])

    @property
    def cache_size(self) -> int:
        """How many versions have been recorded."""
        return len(self._programs)

    def clear_cache(self) -> None:
        """Forgets all recorded versions."""
        self._programs.clear()


def compile(
    fun: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    donate_argnums: int | Sequence[int] = (),
    maxsize: int = 64,
) -> Any:
    """A function that is recorded once per shapes of its arguments and then runs without Python.

    Parameters
    ----------
    fun : callable
        Takes and returns trees of arrays. It may not ask arrays for their values (`if x > 0`): see `where`,
        `cond` and static arguments.
    static_argnums, static_argnames : optional
        Arguments that are not arrays but choices (a number of layers, a flag): one record per value.
    donate_argnums : int or sequence of int, optional
        Positional arguments that the caller does not need afterwards (parameters and optimiser state of a
        training step): results are written into their memory.
    maxsize : int, optional
        How many versions are kept; beyond it the one that was used longest ago is forgotten.

    Raises
    ------
    ValueError
        If maxsize is less than 1, and where an array is used after it was donated.

    Warns
    -----
    RecompilationWarning
        When a function is recorded for the 8th time, and at every doubling: what changed, and what to do.

    Notes
    -----
    Arrays in closures and in a bound `self` are inputs at every call. Other captured values are part of the
    record, compared by ==. Arrays that are met as global variables are constants, by reference: `explain`
    lists them.

    A donated array is gone: using it again raises an error that names the call. Memory that somebody else
    sees (a NumPy view, a slice, the same array elsewhere among the arguments, memory of NumPy itself) is left
    as it is, and the results get memory of their own. Under a derivative or `vmap`, and inside another
    compiled function, nothing is donated. What has been overwritten cannot be brought back: a call that fails
    while it runs loses its donated arguments.

    Examples
    --------
    >>> import hesse as hs
    >>> @hs.compile
    ... def f(x):
    ...     return hs.sum(x**2)
    >>> f(hs.array([1.0, 2.0]))
    Array(5., dtype=float64)
    >>> hs.grad(f)(hs.array([1.0, 2.0]))
    Array([2., 4.], dtype=float64)
    >>> step = hs.compile(lambda w, g: w - 0.1 * g, donate_argnums=0)
    >>> w = step(hs.ones((3,)), hs.ones((3,)))
    """
    if not isinstance(maxsize, int):
        raise _hesse.ArgumentTypeError(f"compile: maxsize is {maxsize!r}; expected an integer")
    if maxsize < 1:
        raise _hesse.ArgumentError(f"compile: maxsize is {maxsize}; keep at least one version")
    donated = (donate_argnums,) if isinstance(donate_argnums, int) else tuple(donate_argnums)
    if fun is None:
        return lambda f: compile(
            f,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donated,
            maxsize=maxsize,
        )
    check_callable(fun, "compile")
    nums, names = static_arguments(fun, static_argnums, static_argnames)
    if set(donated) & set(nums):
        raise _hesse.ArgumentError(
            f"compile: argument {min(set(donated) & set(nums))} is static and donated; only arrays can be donated"
        )
    return CompiledFunction(fun, nums, names, maxsize, donated)


def make_graph(fun: Callable[..., Any], *args: Any) -> Graph:
    """The equations that `fun` records on arguments like these.

    Parameters
    ----------
    fun : callable
    *args : tree of arrays
        Of the shapes and dtypes meant.

    Returns
    -------
    Graph

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.make_graph(lambda x: hs.sin(x) * hs.sin(x), 1.0)
    >>> graph.count(), graph.count("sin")
    (2, 1)
    """
    check_callable(fun, "make_graph")
    leaves, treedef = tree_flatten(args)
    positions = _hesse._array_positions(leaves)

    def flat(*xs: Any) -> list[Any]:
        new = list(leaves)
        for k, x in zip(positions, xs, strict=True):
            new[k] = x
        return _flatten_arrays(fun(*treedef.unflatten(new)), f"make_graph: the output of {name_of(fun)}")[0]

    graph, _ = _hesse._trace(flat, [_hesse.asarray(leaves[k]) for k in positions], True)
    return graph
