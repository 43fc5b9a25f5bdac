"""Functions with derivatives stated by their author."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import _hesse
from ._flat import Outputs, check_callable, flat_function, name_of, spread
from ._hesse import Array, TreeDef, _flatten_arrays, tree_flatten
from ._hesse import transforms as _t

__all__ = ["custom_jvp", "custom_vjp"]


# A rule that calls its own function is good for derivatives of this order; those beyond are of
# the function as written.
MAX_DEPTH = 3


def _inexact(x: Array) -> bool:
    return x.dtype.kind in "fc"


class _Custom:
    """What both kinds share: calling conventions."""

    _kind = "custom"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        check_callable(fun, self._kind)
        functools.update_wrapper(self, fun, updated=())
        self._fun = fun
        self._nondiff = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)
        self._depth = threading.local()

    @contextlib.contextmanager
    def _inside_rule(self) -> Iterator[None]:
        """While the rule is recorded: it may call the function itself, whose rule is recorded in turn."""
        depth = getattr(self._depth, "value", 0)
        self._depth.value = depth + 1
        try:
            yield
        finally:
            self._depth.value = depth

    def _deep(self) -> bool:
        return getattr(self._depth, "value", 0) >= MAX_DEPTH

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def _rules(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __hesse_parts__(self) -> tuple[Any, ...]:
        """What arrays may hide in, for compiled functions."""
        return (self._fun, *self._rules())

    def __hesse_with_parts__(self, fun: Callable[..., Any], *rules: Any) -> Any:
        copy = type(self)(fun, self._nondiff)
        copy._set_rules(*rules)
        return copy

    def _set_rules(self, *rules: Any) -> None:
        raise NotImplementedError

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        if not kwargs:
            return args
        bound = inspect.signature(self._fun).bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise _hesse.ArgumentTypeError(
                f"{self._kind}: {name_of(self._fun)} has keyword-only arguments {list(bound.kwargs)}; "
                "make them positional or use a closure"
            )
        return bound.args

    def _split(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...], Callable[..., Any]]:
        """The arguments without derivatives, the others, and the function of the others."""
        nondiff = {i % len(args) for i in self._nondiff} if args else set()
        fixed = tuple(a for i, a in enumerate(args) if i in nondiff)
        rest = tuple(a for i, a in enumerate(args) if i not in nondiff)

        def fun(*others: Any) -> Any:
            it = iter(others)
            return self._fun(*[args[i] if i in nondiff else next(it) for i in range(len(args))])

        return fixed, rest, fun


def _matching(tree: Any, treedef: TreeDef, like: list[Any], what: str) -> list[Array]:
    """The derivatives in `tree` of the floating entries of `like`; a None is zeros."""
    out = []
    for value, x in zip(treedef.flatten_up_to(tree, what), like, strict=True):
        if not isinstance(x, Array):
            continue
        if _inexact(x):
            out.append(_hesse.zeros_like(x) if value is None else _hesse.asarray(value))
    return out


class custom_jvp(_Custom):
    """A function whose derivative its author states; reverse mode transposes that.

    Parameters
    ----------
    fun : callable
    nondiff_argnums : sequence of int
        Positional arguments without derivatives, such as functions; the rule gets them first.

    Examples
    --------
    >>> import hesse as hs
    >>> @hs.custom_jvp
    ... def log1pexp(x):
    ...     return hs.log1p(hs.exp(x))
    >>> @log1pexp.defjvp
    ... def rule(primals, tangents):
    ...     (x,), (dx,) = primals, tangents
    ...     return log1pexp(x), (1 - 1 / (1 + hs.exp(x))) * dx
    >>> hs.grad(log1pexp)(1000.0)
    Array(1., dtype=float64)
    """

    _kind = "custom_jvp"
    _rule: Callable[..., Any] | None = None

    def _rules(self) -> tuple[Any, ...]:
        return (self._rule,)

    def _set_rules(self, *rules: Any) -> None:
        (self._rule,) = rules

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Sets the rule: ``rule(primals, tangents)`` returns ``(output, tangent of the output)``."""
        check_callable(rule, "custom_jvp.defjvp")
        self._rule = rule
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        rule = self._rule
        if rule is None:
            raise _hesse.ArgumentError(f"custom_jvp: {name_of(self._fun)} has no rule; set one with .defjvp")
        if self._deep():
            return self._fun(*args, **kwargs)
        fixed, rest, fun = self._split(self._positional(args, kwargs))
        leaves, treedef = tree_flatten(rest)
        positions = _hesse._array_positions(leaves)
        for k in positions:
            leaves[k] = _hesse.asarray(leaves[k])
        arrays = [leaves[k] for k in positions]
        outputs = Outputs()
        flat = flat_function(fun, leaves, treedef, positions, {}, outputs, "custom_jvp")

        def flat_rule(*xs: Array) -> list[Array]:
            n = len(positions)
            primals = list(leaves)
            for k, x in zip(positions, xs[:n], strict=True):
                primals[k] = x
            tangents = spread(len(leaves), [k for k in positions if _inexact(leaves[k])], xs[n:])
            with self._inside_rule():
                result = rule(*fixed, treedef.unflatten(primals), treedef.unflatten(tangents))
            if not isinstance(result, tuple) or len(result) != 2:
                raise _hesse.ArgumentTypeError(
                    f"custom_jvp: the rule of {name_of(self._fun)} must return (output, tangent), "
                    f"got {type(result).__name__}"
                )
            return _matching(result[1], outputs.treedef, outputs.values, "custom_jvp: the tangent")

        return outputs.tree(_t.custom_jvp(flat, flat_rule, arrays))


class custom_vjp(_Custom):
    """A function whose gradient its author states; forward mode transposes that.

    Parameters
    ----------
    fun : callable
    nondiff_argnums : sequence of int
        Positional arguments without derivatives, such as functions; `fwd` gets them in their places, `bwd`
        first.

    Examples
    --------
    >>> import hesse as hs
    >>> @hs.custom_vjp
    ... def reverse_gradient(x):
    ...     return x
    >>> reverse_gradient.defvjp(lambda x: (x, None), lambda residuals, ct: (-ct,))
    >>> hs.grad(reverse_gradient)(1.0)
    Array(-1., dtype=float64)
    """

    _kind = "custom_vjp"
    _forward: Callable[..., Any] | None = None
    _backward: Callable[..., Any] | None = None

    def _rules(self) -> tuple[Any, ...]:
        return (self._forward, self._backward)

    def _set_rules(self, *rules: Any) -> None:
        self._forward, self._backward = rules

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Sets the rule.

        ``fwd(*args)`` returns ``(output, residuals)``, and ``bwd(residuals, cotangent of the output)`` a
        tuple with a cotangent per argument; None is zero.
        """
        check_callable(fwd, "custom_vjp.defvjp")
        check_callable(bwd, "custom_vjp.defvjp")
        self._forward, self._backward = fwd, bwd

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        forward, backward = self._forward, self._backward
        if forward is None or backward is None:
            raise _hesse.ArgumentError(f"custom_vjp: {name_of(self._fun)} has no rule; set one with .defvjp")
        if self._deep():
            return self._fun(*args, **kwargs)
        args = self._positional(args, kwargs)
        fixed, rest, fun = self._split(args)
        nondiff = {i % len(args) for i in self._nondiff} if args else set()
        leaves, treedef = tree_flatten(rest)
        positions = _hesse._array_positions(leaves)
        for k in positions:
            leaves[k] = _hesse.asarray(leaves[k])
        outputs, residuals = Outputs(), Outputs()
        flat = flat_function(fun, leaves, treedef, positions, {}, outputs, "custom_vjp")

        def flat_forward(*xs: Array) -> list[Array]:
            new = list(leaves)
            for k, x in zip(positions, xs, strict=True):
                new[k] = x
            it = iter(treedef.unflatten(new))
            with self._inside_rule():
                result = forward(*[args[i] if i in nondiff else next(it) for i in range(len(args))])
            if not isinstance(result, tuple) or len(result) != 2:
                raise _hesse.ArgumentTypeError(
                    f"custom_vjp: fwd of {name_of(self._fun)} must return (output, residuals), "
                    f"got {type(result).__name__}"
                )
            values, structure = _flatten_arrays(result[0], "custom_vjp: the output of fwd")
            if structure != outputs.treedef:
                raise _hesse.ArgumentError(
                    f"custom_vjp: fwd returns {structure}, but {name_of(self._fun)} returns {outputs.treedef}"
                )
            residuals.aux_leaves, residuals.treedef = tree_flatten(result[1])
            kept = _hesse._array_positions(residuals.aux_leaves)
            return values + [_hesse.asarray(residuals.aux_leaves[k]) for k in kept]

        def flat_backward(*xs: Array) -> list[Array]:
            kept = _hesse._array_positions(residuals.aux_leaves)
            saved = list(residuals.aux_leaves)
            for k, x in zip(kept, xs[: len(kept)], strict=True):
                saved[k] = x
            where = [k for k, y in enumerate(outputs.values) if _inexact(y)]
            cotangents = spread(len(outputs.values), where, xs[len(kept) :])
            with self._inside_rule():
                result = backward(*fixed, residuals.treedef.unflatten(saved), outputs.tree(cotangents))
            if not isinstance(result, (tuple, list)) or len(result) != len(rest):
                count = len(result) if isinstance(result, (tuple, list)) else type(result).__name__
                raise _hesse.ArgumentTypeError(
                    f"custom_vjp: bwd of {name_of(self._fun)} must return a tuple with "
                    f"{len(rest)} cotangent(s), got {count}"
                )
            out: list[Array] = []
            for given, argument in zip(result, rest, strict=True):
                part, structure = tree_flatten(argument)
                part = [_hesse.asarray(x) if _hesse._is_numeric(x) else x for x in part]
                if given is None:
                    out += [_hesse.zeros_like(x) for x in part if isinstance(x, Array) and _inexact(x)]
                else:
                    out += _matching(given, structure, part, "custom_vjp: the cotangent")
            return out

        return outputs.tree(_t.custom_vjp(flat, flat_forward, flat_backward, [leaves[k] for k in positions]))
