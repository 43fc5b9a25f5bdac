"""Static arguments of compiled functions: checked against the signature, by position and by name alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from . import _hesse
from ._flat import name_of

_BOTH = inspect.Parameter.POSITIONAL_OR_KEYWORD
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, _BOTH)
_NAMED = (_BOTH, inspect.Parameter.KEYWORD_ONLY)


def _parameters(fun: Callable[..., Any]) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):  # a built-in function
        return None


def _listed(value: Any, kind: type, argument: str, expected: str) -> tuple[Any, ...]:
    if isinstance(value, kind) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, set, frozenset)):
        raise _hesse.ArgumentTypeError(f"compile: {argument} is {value!r}; expected {expected}")
    for v in value:
        if not isinstance(v, kind) or isinstance(v, bool):
            raise _hesse.ArgumentTypeError(f"compile: {argument} holds {v!r}; expected {expected}")
    return tuple(value)


def static_arguments(
    fun: Callable[..., Any], nums: Any, names: Any
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The positions and names of static arguments. One that may be passed in both ways is in both."""
    nums = _listed(nums, int, "static_argnums", "an integer or a sequence of integers")
    names = _listed(names, str, "static_argnames", "a name or a sequence of names")
    if not (nums or names) or (parameters := _parameters(fun)) is None:
        return nums, names
    kinds = {p.kind for p in parameters}
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    named = {p.name for p in parameters if p.kind in _NAMED}
    n, positions, words = len(positional), set(), set(names)
    for i in nums:
        if inspect.Parameter.VAR_POSITIONAL not in kinds and not -n <= i < n:
            raise _hesse.ArgumentError(
                f"compile: static_argnums holds {i}, {name_of(fun)} has {n} positional arguments; "
                f"expected {f'0 to {n - 1}' if n else 'static_argnames'}"
            )
        positions.add(i + n if -n <= i < 0 and inspect.Parameter.VAR_POSITIONAL not in kinds else i)
    for name in names:
        if inspect.Parameter.VAR_KEYWORD not in kinds and name not in named:
            raise _hesse.ArgumentError(
                f"compile: static_argnames holds {name!r}, {name_of(fun)} has no such argument; "
                f"expected one of {', '.join(p.name for p in parameters if p.name in named)}"
            )
    for i, p in enumerate(positional):
        if p.kind is _BOTH and (i in positions or p.name in words):
            positions.add(i)
            words.add(p.name)
    return tuple(sorted(positions)), tuple(sorted(words))


def unhashable(fun: Callable[..., Any], static: tuple[Any, Any]) -> str:
    """What to say of the first static argument that cannot be hashed. static: pairs by position and by name."""
    parameters = [p.name for p in _parameters(fun) or [] if p.kind in _POSITIONAL]
    for key, value in (*static[0], *static[1]):
        try:
            hash(value)
        except TypeError:
            what = (
                key if isinstance(key, str) else parameters[key] if key < len(parameters) else f"args[{key}]"
            )
            remedy = (
                "pass it as an ordinary argument"
                if hasattr(value, "__array__")
                else "make it a tuple, a string or a number"
            )
            return (
                f"compile: the static argument {what} of {name_of(fun)} is of type {type(value).__name__}, which "
                f"cannot be hashed; {remedy}"
            )
    return f"compile: a static argument of {name_of(fun)} cannot be hashed"
