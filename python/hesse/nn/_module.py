"""The base class of layers and models."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, ClassVar, TypeVar

from .. import _hesse

__all__ = ["Module"]

M = TypeVar("M", bound="Module")


class _ModuleType(type):
    """Makes classes dataclasses that have no __init__, and instances immutable once it is done."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> Any:
        cls = super().__new__(mcs, name, bases, namespace, **kwargs)
        written = any(
            "__init__" in vars(b) and "__dataclass_fields__" not in vars(b) for b in cls.__mro__[:-1]
        )
        if bases and not written and inspect.get_annotations(cls):
            return dataclasses.dataclass(eq=False, repr=False)(cls)
        return cls

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = cls.__new__(cls, *args, **kwargs)  # type: ignore[arg-type]
        object.__setattr__(instance, "_building", True)
        try:
            cls.__init__(instance, *args, **kwargs)  # type: ignore[misc]
        finally:
            object.__setattr__(instance, "_building", False)
        return instance


class Module(metaclass=_ModuleType):
    """An immutable part of a model: a tree whose leaves are the arrays it holds.

    Fields that hold arrays or modules, also inside lists, tuples and dicts, are what transforms, optimisers
    and files see; everything else (sizes, functions, flags) is static and compared by ==. Without an
    `__init__` of its own a subclass is a dataclass of its annotations; with one, fields are assigned there
    and fixed afterwards.

    A layer with state returns ``(y, new_module)``, made with `replace`. The names in ``__buffers__`` mark
    fields with arrays that are data and not trained: `hs.grad` gives None for them, and optimisers skip
    them.

    Parameters
    ----------
    *args, **kwargs
        Fields in their order, or what `__init__` takes.

    Examples
    --------
    >>> import hesse as hs
    >>> class Scale(hs.nn.Module):
    ...     factor: hs.Array
    ...     power: int = 2
    ...     def __call__(self, x):
    ...         return (self.factor * x) ** self.power
    >>> scale = Scale(hs.array(3.0))
    >>> hs.grad(lambda m: m(2.0))(scale)
    Scale(factor=float64[], power=2)
    >>> scale.replace(power=1)(2.0)
    Array(6., dtype=float64)
    """

    __slots__ = ("__dict__", "__weakref__", "_building")
    __hesse_module__: ClassVar[bool] = True
    __buffers__: ClassVar[tuple[str, ...]] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if not getattr(self, "_building", False):
            raise AttributeError(
                f"{type(self).__name__} is immutable: instead of m.{name} = v write m = m.replace({name}=v)"
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def replace(self: M, **changes: Any) -> M:
        """A copy with some fields changed.

        Raises
        ------
        ValueError
            For a field that the module does not have.
        """
        unknown = changes.keys() - vars(self).keys()
        if unknown:
            raise _hesse.ArgumentError(
                f"replace: {type(self).__name__} has no field {sorted(unknown)[0]!r}; it has "
                f"{', '.join(vars(self))}"
            )
        copy = object.__new__(type(self))
        for name, value in {**vars(self), **changes}.items():
            object.__setattr__(copy, name, value)
        return copy

    def __eq__(self, other: object) -> bool:
        """Whether both are the same structure around the same arrays (by identity)."""
        if type(other) is not type(self):
            return NotImplemented
        mine, my_def = _hesse.tree_flatten(self)
        theirs, their_def = _hesse.tree_flatten(other)
        return my_def == their_def and all(a is b for a, b in zip(mine, theirs, strict=True))

    def __hash__(self) -> int:
        leaves, treedef = _hesse.tree_flatten(self)
        return hash((treedef, *map(id, leaves)))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={_summary(value)}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"

    # Pickling must not meet the guard of __setattr__.
    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)


def _summary(value: Any) -> str:
    """A field in a line: arrays by dtype and shape."""
    if isinstance(value, _hesse.Array):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(_summary, value))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_summary(v)}" for k, v in value.items()) + "}"
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return repr(value)
