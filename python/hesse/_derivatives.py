"""First derivatives of functions of trees: gradients, forward mode, reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import _hesse
from ._flat import (
    Chosen,
    Outputs,
    argument_list,
    aux_tree,
    check_callable,
    documented,
    flat_function,
    name_of,
    or_zeros,
    spread,
    tangents_at,
)
from ._hesse import Array, _flatten_arrays, tree_flatten
from ._hesse import transforms as _t

__all__ = ["grad", "jvp", "linear_transpose", "linearise", "linearize", "value_and_grad", "vjp"]


def value_and_grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the value of `fun` and its gradient.

    Parameters
    ----------
    fun : callable
        Returns a real scalar (shape ()), or with `has_aux` a pair of it and anything else.
    argnums : int or sequence of int
        Which positional arguments to differentiate by. Each may be a tree of arrays.
    has_aux : bool
        Whether `fun` returns ``(value, aux)``.

    Returns
    -------
    callable
        With the arguments of `fun`; returns ``(value, gradient)`` or ``((value, aux), gradient)``. The
        gradient has the structure of the argument, or is a tuple of such for a sequence of `argnums`. Where
        the tree holds integers, booleans, keys or buffers the gradient holds None. For complex x it is
        df/dx - i df/dy.

    Examples
    --------
    >>> import hesse as hs
    >>> value, gradient = hs.value_and_grad(lambda x: hs.sum(x**2))(hs.array([1.0, 2.0]))
    >>> value
    Array(5., dtype=float64)
    >>> gradient
    Array([2., 4.], dtype=float64)
    """
    check_callable(fun, "value_and_grad")

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        chosen = Chosen("grad", args, argnums)
        outputs = Outputs()
        flat = flat_function(
            chosen.function(fun),
            chosen.leaves,
            chosen.treedef,
            chosen.positions,
            kwargs,
            outputs,
            "grad",
            has_aux,
        )

        def scalar(*xs: Array) -> list[Array]:
            values = flat(*xs)
            if not outputs.treedef.is_leaf:
                raise _hesse.ArgumentTypeError(
                    f"grad: {name_of(fun)} returned {outputs.treedef}, expected a scalar; "
                    "return (value, aux) with has_aux=True, or use hs.jacobian"
                )
            return values

        values, grads = _t.value_and_grad(scalar, chosen.arrays, list(range(len(chosen.arrays))))
        value = (values[0], aux_tree(outputs, values[1:])) if has_aux else values[0]
        return value, chosen.tree(grads)

    return documented(fun, wrapper, "The value and the gradient of {name}.")


def grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the gradient of `fun`.

    As `value_and_grad`, without the value; with `has_aux` it returns ``(gradient, aux)``.

    Parameters
    ----------
    fun : callable
        Returns a real scalar, or with `has_aux` a pair of it and anything else.
    argnums : int or sequence of int
        Which positional arguments to differentiate by. Each may be a tree of arrays.
    has_aux : bool
        Whether `fun` returns ``(value, aux)``.

    Returns
    -------
    callable
        With the arguments of `fun`; for complex x the gradient is df/dx - i df/dy.

    Raises
    ------
    TypeError
        From the result, for an argument without floating or complex entries, or an output that is no real scalar.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.grad(hs.sin)(0.0)
    Array(1., dtype=float64)
    >>> hs.grad(hs.grad(lambda x: x**3))(2.0)
    Array(12., dtype=float64)
    >>> hs.grad(lambda p: p["a"] * p["b"])({"a": 2.0, "b": 3.0})
    {'a': Array(3., dtype=float64), 'b': Array(2., dtype=float64)}
    """
    check_callable(fun, "grad")
    both = value_and_grad(fun, argnums, has_aux)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return documented(fun, wrapper, "The gradient of {name}.")


def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """`fun` at `primals` and its derivative in direction `tangents`: forward mode.

    Parameters
    ----------
    fun : callable
        Takes and returns trees of arrays.
    primals, tangents : tuple
        One entry per argument of `fun`; a single argument may stand for itself. A None in `tangents` is zero.
    has_aux : bool
        Whether `fun` returns ``(output, aux)``.

    Returns
    -------
    tuple
        ``(output, tangent)`` or ``(output, tangent, aux)``. Integer and boolean outputs have no derivative: their
        tangent is None.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.jvp(lambda x: x**2, (3.0,), (1.0,))
    (Array(9., dtype=float64), Array(6., dtype=float64))
    """
    check_callable(fun, "jvp")
    primals = argument_list(primals, "jvp", "primals")
    tangents = argument_list(tangents, "jvp", "tangents")
    if len(primals) != len(tangents):
        raise _hesse.ArgumentError(
            f"jvp: {len(primals)} primals but {len(tangents)} tangents; give one tangent per primal, None for zero"
        )
    leaves, treedef = tree_flatten(primals)
    directions = treedef.flatten_up_to(tangents, "jvp")
    positions = _hesse._array_positions(leaves)
    outputs = Outputs()
    flat = flat_function(fun, leaves, treedef, positions, {}, outputs, "jvp", has_aux)
    values, dvalues = _t.jvp(
        flat, [leaves[k] for k in positions], tangents_at("jvp", leaves, directions, positions)
    )
    n = len(outputs.values)
    out = (
        outputs.tree(values[:n]),
        outputs.tree([or_zeros(v, t) for v, t in zip(values[:n], dvalues[:n], strict=True)]),
    )
    return (*out, aux_tree(outputs, values[n:])) if has_aux else out


def linearise(fun: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """`fun` at `primals` and its derivative there as a linear function of the tangents. `fun` runs once.

    Parameters
    ----------
    fun : callable
    *primals : tree of arrays
        The arguments at which.

    Returns
    -------
    output : tree
    linear : callable
        From tangents of all arguments to the tangent of the output.

    Examples
    --------
    >>> import hesse as hs
    >>> value, derivative = hs.linearise(hs.exp, 0.0)
    >>> derivative(2.0)
    Array(2., dtype=float64)
    """
    check_callable(fun, "linearise")
    leaves, treedef = tree_flatten(primals)
    positions = _hesse._array_positions(leaves)
    outputs = Outputs()
    flat = flat_function(fun, leaves, treedef, positions, {}, outputs, "linearise")
    values, linear = _t.linearise(flat, [leaves[k] for k in positions])

    def derivative(*tangents: Any) -> Any:
        """The derivative in the direction of the tangents, one per argument."""
        directions = treedef.flatten_up_to(tangents, "linearise")
        result = linear(tangents_at("linearise", leaves, directions, positions))
        return outputs.tree([or_zeros(v, t) for v, t in zip(values, result, strict=True)])

    return outputs.tree(values), derivative


linearize = linearise


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """`fun` at `primals` and its pull-back: reverse mode.

    Parameters
    ----------
    fun : callable
    *primals : tree of arrays
        The arguments at which.
    has_aux : bool
        Whether `fun` returns ``(output, aux)``.

    Returns
    -------
    output : tree
    pullback : callable
        Takes cotangents in the structure of the output (None: zero) to a tuple with a gradient per argument.
        It may be called several times.
    aux
        Only with `has_aux`.

    Examples
    --------
    >>> import hesse as hs
    >>> value, pullback = hs.vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> pullback(1.0)
    (Array(3., dtype=float64), Array(2., dtype=float64))
    """
    check_callable(fun, "vjp")
    leaves, treedef = tree_flatten(primals)
    positions = _hesse._inexact_positions(leaves, treedef)
    arrays = [leaves[k] for k in positions]
    outputs = Outputs()
    flat = flat_function(fun, leaves, treedef, positions, {}, outputs, "vjp", has_aux)
    values, pull = _t.vjp(flat, arrays)
    n = len(outputs.values)

    def pullback(cotangents: Any) -> tuple[Any, ...]:
        """Cotangents of the output to those of the arguments."""
        given = outputs.treedef.flatten_up_to(cotangents, "vjp")
        flat_ct = tangents_at("vjp", values, given, list(range(n)))
        grads = pull(flat_ct + [None] * (len(values) - n))
        grads = [or_zeros(_hesse.asarray(x), g) for x, g in zip(arrays, grads, strict=True)]
        return treedef.unflatten(spread(len(leaves), positions, grads))  # type: ignore[no-any-return]

    out = outputs.tree(values[:n])
    return (out, pullback, aux_tree(outputs, values[n:])) if has_aux else (out, pullback)


def linear_transpose(fun: Callable[..., Any], *primals: Any) -> Callable[..., Any]:
    """The transpose of a function that is linear in its arguments, of which only shapes and dtypes matter.

    Parameters
    ----------
    fun : callable
        Linear in all arguments.
    *primals : tree of arrays
        Arguments of the shapes and dtypes meant.

    Returns
    -------
    callable
        From a cotangent of the output to a tuple with one for each argument.

    Examples
    --------
    >>> import hesse as hs
    >>> transpose = hs.linear_transpose(lambda x: hs.array([[1.0, 2.0]]) @ x, hs.zeros(2))
    >>> transpose(hs.array([10.0]))
    (Array([10., 20.], dtype=float64),)
    """
    check_callable(fun, "linear_transpose")
    leaves, treedef = tree_flatten(primals)
    positions = _hesse._array_positions(leaves)
    arrays = [_hesse.asarray(leaves[k]) for k in positions]

    def transposed(cotangents: Any) -> Any:
        """Cotangents of the output to those of the arguments."""
        outputs = Outputs()
        flat = flat_function(fun, leaves, treedef, positions, {}, outputs, "linear_transpose")
        given, structure = _flatten_arrays(cotangents, "linear_transpose: the cotangent")
        result = _t.linear_transpose(flat, arrays, given)
        if outputs.treedef != structure:
            raise _hesse.ArgumentError(
                f"linear_transpose: the trees do not match: the output is {outputs.treedef}, the "
                f"cotangent {structure}"
            )
        result = [or_zeros(x, g) for x, g in zip(arrays, result, strict=True)]
        return treedef.unflatten(spread(len(leaves), positions, result))

    return transposed
