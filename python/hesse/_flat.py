"""Functions of trees as functions of flat lists of arrays, and back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from . import _hesse
from ._hesse import Array, TreeDef, _flatten_arrays, tree_flatten


class Outputs:
    """What a flat function notes of the tree it returned."""

    __slots__ = ("aux", "aux_leaves", "treedef", "values")
    treedef: TreeDef
    values: list[Array]
    aux: TreeDef
    aux_leaves: list[Any]

    def tree(self, values: Sequence[Any]) -> Any:
        return values[0] if self.treedef.is_leaf else self.treedef.unflatten(values)


def name_of(fun: Callable[..., Any]) -> str:
    return getattr(fun, "__name__", type(fun).__name__)


def positional_parameters(fun: Any) -> list[str]:
    """The names of positional parameters, for messages."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def check_callable(fun: Any, transform: str) -> None:
    if not callable(fun):
        raise _hesse.ArgumentTypeError(f"{transform}: expected a function, got {type(fun).__name__}")


def with_aux(result: Any, transform: str) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise _hesse.ArgumentTypeError(
            f"{transform}: with has_aux=True the function must return a pair (output, aux), got "
            f"{type(result).__name__}"
        )
    return result


def flat_function(
    fun: Callable[..., Any],
    leaves: list[Any],
    treedef: TreeDef,
    positions: list[int],
    kwargs: dict[str, Any],
    outputs: Outputs,
    transform: str,
    has_aux: bool = False,
) -> Callable[..., list[Array]]:
    """`fun` as a function of the leaves at `positions` only, the other leaves as they are.

    `treedef` is that of the tuple of arguments. Arrays in aux follow the outputs; the rest of aux is noted.
    """

    def flat(*xs: Array) -> list[Array]:
        new = list(leaves)
        for k, x in zip(positions, xs, strict=True):
            new[k] = x
        result = fun(*treedef.unflatten(new), **kwargs)
        if not has_aux:
            values, outputs.treedef = _flatten_arrays(result, f"{transform}: the output of {name_of(fun)}")
            outputs.values = values
            return values
        result, aux = with_aux(result, transform)
        values, outputs.treedef = _flatten_arrays(result, f"{transform}: the output of {name_of(fun)}")
        outputs.values = values
        outputs.aux_leaves, outputs.aux = tree_flatten(aux)
        return values + [leaf for leaf in outputs.aux_leaves if isinstance(leaf, Array)]

    return flat


def aux_tree(outputs: Outputs, arrays: Sequence[Array]) -> Any:
    """aux as it was, its arrays taken from what the transform returned."""
    rest = iter(arrays)
    return outputs.aux.unflatten(
        [next(rest) if isinstance(leaf, Array) else leaf for leaf in outputs.aux_leaves]
    )


def spread(n: int, positions: list[int], values: Sequence[Any]) -> list[Any]:
    out: list[Any] = [None] * n
    for k, value in zip(positions, values, strict=True):
        out[k] = value
    return out


def argument_list(args: Any, transform: str, what: str) -> tuple[Any, ...]:
    if isinstance(args, (tuple, list)) and not hasattr(args, "_fields"):
        return tuple(args)
    if isinstance(args, Array) or not hasattr(args, "__iter__"):
        return (args,)
    raise _hesse.ArgumentTypeError(
        f"{transform}: {what} must be a tuple, one entry per argument, got {type(args).__name__}"
    )


def normalised_argnums(argnums: int | Sequence[int], num_args: int, transform: str) -> tuple[int, ...]:
    nums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not nums:
        raise _hesse.ArgumentError(f"{transform}: argnums is empty; name at least one argument")
    for i in nums:
        if not -num_args <= i < num_args:
            raise _hesse.OutOfRangeError(
                f"{transform}: argnums {i} is out of range for {num_args} positional argument(s); "
                "differentiated arguments are passed by position"
            )
    return tuple(i % num_args for i in nums)


class Chosen:
    """The arguments named by argnums, as leaves: those that have derivatives, and where they are."""

    __slots__ = ("args", "arrays", "leaves", "nums", "positions", "single", "treedef")

    def __init__(self, transform: str, args: tuple[Any, ...], argnums: int | Sequence[int]) -> None:
        self.args = args
        self.single = isinstance(argnums, int)
        self.nums = normalised_argnums(argnums, len(args), transform)
        self.leaves, self.treedef = tree_flatten(tuple(args[i] for i in self.nums))
        self.positions = _hesse._inexact_positions(self.leaves, self.treedef)
        if len(self.positions) < len(self.leaves):
            self._check(transform)
        self.arrays = [self.leaves[k] for k in self.positions]

    def _check(self, transform: str) -> None:
        for i in self.nums:
            leaves, treedef = tree_flatten(self.args[i])
            if _hesse._inexact_positions(leaves, treedef):
                continue
            if treedef.is_leaf:
                leaf = leaves[0]
                dtype = getattr(leaf, "dtype", type(leaf).__name__)
                remedy = (
                    "convert it with astype, or write 2.0 for 2"
                    if _hesse._is_numeric(leaf)
                    else "use argnums"
                )
                raise _hesse.ArgumentTypeError(
                    f"{transform}: argument {i} has dtype {dtype}; derivatives need floating or "
                    f"complex arguments, {remedy}"
                )
            raise _hesse.ArgumentTypeError(
                f"{transform}: argument {i}, {treedef}, holds no floating or complex arrays to "
                "differentiate by"
            )

    def function(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        """`fun` of the chosen arguments, the others as they are."""
        if self.nums == tuple(range(len(self.args))):
            return fun

        @functools.wraps(fun, updated=())
        def partial(*chosen: Any, **kwargs: Any) -> Any:
            full = list(self.args)
            for i, value in zip(self.nums, chosen, strict=True):
                full[i] = value
            return fun(*full, **kwargs)

        return partial

    def tree(self, values: Sequence[Any]) -> Any:
        """Values for `positions` in the structure of the chosen arguments, None elsewhere."""
        tree = self.treedef.unflatten(spread(len(self.leaves), self.positions, values))
        return tree[0] if self.single else tree


def documented(fun: Callable[..., Any], wrapper: Callable[..., Any], doc: str) -> Callable[..., Any]:
    functools.update_wrapper(wrapper, fun, updated=())
    own = getattr(fun, "__doc__", None)
    wrapper.__doc__ = doc.format(name=name_of(fun)) + (f"\n\n{own}" if own else "")
    return wrapper


def tangents_at(
    transform: str, primals: list[Any], tangents: list[Any], positions: list[int]
) -> list[Array | None]:
    """Tangents at `positions`; a None is zero. Numbers take the dtype of their primal."""
    out: list[Array | None] = []
    for k in positions:
        t = tangents[k]
        if t is not None and (not isinstance(t, Array) or t.weak_type):
            t = _hesse.asarray(t, dtype=_hesse.asarray(primals[k]).dtype)
        out.append(t)
    return out


def or_zeros(value: Array, derivative: Array | None) -> Array | None:
    """A derivative that does not exist (of integers) is None; one that is zero is zeros."""
    if derivative is None and value.dtype.kind in "fc":
        return _hesse.zeros_like(value)
    return derivative
