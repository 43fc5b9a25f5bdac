"""Higher derivatives and whole matrices of them: Jacobians, Hessians, partial derivatives, Taylor series."""

from __future__ import annotations

import inspect
import re
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
    tangents_at,
)
from ._hesse import Array, _flatten_arrays, tree_flatten
from ._hesse import transforms as _t

__all__ = ["hessian", "hvp", "jacfwd", "jacobian", "jacrev", "laplacian", "partials", "taylor"]


def jacobian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, mode: str = "auto"
) -> Callable[..., Any]:
    """A function that returns the Jacobian of `fun`.

    For an output of shape s and an argument of shape t it has shape s + t. Trees give trees: the structure
    of the output outside, that of the argument inside.

    Parameters
    ----------
    fun : callable
    argnums : int or sequence of int
        Which positional arguments to differentiate by.
    has_aux : bool
        Whether `fun` returns ``(output, aux)``; then the result is ``(jacobian, aux)``.
    mode : {"auto", "forward", "reverse"}
        By columns or by rows; "auto" takes the smaller number.

    Returns
    -------
    callable
        With the arguments of `fun`.

    Raises
    ------
    ValueError
        For another mode.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.jacobian(lambda x: hs.stack([x[0] * x[1], x[1]]))(hs.array([2.0, 3.0]))
    Array([[3., 2.],
           [0., 1.]], dtype=float64)
    """
    check_callable(fun, "jacobian")

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        chosen = Chosen("jacobian", args, argnums)
        outputs = Outputs()
        flat = flat_function(
            chosen.function(fun),
            chosen.leaves,
            chosen.treedef,
            chosen.positions,
            kwargs,
            outputs,
            "jacobian",
            has_aux,
        )
        aux: list[Any] = []

        def without_aux(*xs: Array) -> list[Array]:
            values = flat(*xs)
            if has_aux and not aux:
                aux.append(aux_tree(outputs, values[len(outputs.values) :]))
            return values[: len(outputs.values)]

        rows = _t.jacobian(without_aux, chosen.arrays, list(range(len(chosen.arrays))), mode)
        result = outputs.tree([chosen.tree(row) for row in rows])
        return (result, aux[0]) if has_aux else result

    return documented(fun, wrapper, "The Jacobian of {name}.")


def jacfwd(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """`jacobian` by columns: forward mode, for few inputs and many outputs.

    Parameters
    ----------
    fun : callable
    argnums : int or sequence of int
        Which positional arguments to differentiate by.
    has_aux : bool
        Whether `fun` returns ``(output, aux)``; then the result is ``(jacobian, aux)``.

    Returns
    -------
    callable
        With the arguments of `fun`.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.jacfwd(lambda x: hs.stack([x, x * x, x**3]))(2.0)
    Array([ 1.,  4., 12.], dtype=float64)
    """
    return jacobian(fun, argnums, has_aux, "forward")


def jacrev(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """`jacobian` by rows: reverse mode, for many inputs and few outputs.

    Parameters
    ----------
    fun : callable
    argnums : int or sequence of int
        Which positional arguments to differentiate by.
    has_aux : bool
        Whether `fun` returns ``(output, aux)``; then the result is ``(jacobian, aux)``.

    Returns
    -------
    callable
        With the arguments of `fun`.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.jacrev(lambda x: x[0] * x[1])(hs.array([2.0, 3.0]))
    Array([3., 2.], dtype=float64)
    """
    return jacobian(fun, argnums, has_aux, "reverse")


def hessian(fun: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the second derivatives of a scalar function.

    For an argument of shape t it has shape t + t; a tree gives a tree of trees.

    Parameters
    ----------
    fun : callable
        Returns a real scalar.
    argnums : int or sequence of int
        Which positional arguments to differentiate by.

    Returns
    -------
    callable
        With the arguments of `fun`.

    Notes
    -----
    Forward over reverse: as many passes as the argument has entries. For a product with one direction
    `hvp` is cheaper.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.hessian(lambda x: x[0] ** 2 * x[1])(hs.array([1.0, 2.0]))
    Array([[4., 2.],
           [2., 0.]], dtype=float64)
    """
    check_callable(fun, "hessian")

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        chosen = Chosen("hessian", args, argnums)
        flat = flat_function(
            chosen.function(fun),
            chosen.leaves,
            chosen.treedef,
            chosen.positions,
            kwargs,
            Outputs(),
            "hessian",
        )
        rows = _t.hessian(flat, chosen.arrays, list(range(len(chosen.arrays))))
        return chosen.tree([chosen.tree(row) for row in rows])

    return documented(fun, wrapper, "The Hessian of {name}.")


def hvp(fun: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of a scalar function times a direction, without forming it: forward over reverse.

    Parameters
    ----------
    fun : callable
    primals, tangents : tuple
        One entry per argument of `fun`; a single argument may stand for itself.

    Returns
    -------
    tree
        In the structure of `primals`.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.hvp(lambda x: hs.sum(x**3), hs.array([1.0, 2.0]), hs.array([1.0, 0.0]))
    Array([6., 0.], dtype=float64)
    """
    check_callable(fun, "hvp")
    single = isinstance(primals, Array) or not isinstance(primals, (tuple, list))
    args = (primals,) if single else tuple(primals)
    directions = (tangents,) if single else tuple(tangents)
    chosen = Chosen("hvp", args, tuple(range(len(args))))
    flat = flat_function(fun, chosen.leaves, chosen.treedef, chosen.positions, {}, Outputs(), "hvp")
    given = chosen.treedef.flatten_up_to(directions, "hvp")
    arrays = [_hesse.asarray(x) for x in chosen.arrays]
    v = [
        _hesse.zeros_like(x) if t is None else t
        for x, t in zip(arrays, tangents_at("hvp", chosen.leaves, given, chosen.positions), strict=True)
    ]
    result = chosen.tree(_t.hvp(flat, arrays, v))
    return result[0] if single else result


def _orders(fun: Callable[..., Any], num_args: int, orders: Sequence[Any]) -> list[list[int]]:
    """Multi-indices from "", "x", "xx", "t,x", 0, (0, 1) and the like."""
    names: list[str] = []
    if any(isinstance(o, str) for o in orders):
        try:
            names = list(inspect.signature(fun).parameters)[:num_args]
        except (TypeError, ValueError):
            raise _hesse.ArgumentError(
                f"partials: {name_of(fun)} has no signature to read argument names from; name "
                "them by number, as (0, 1)"
            ) from None
    word = re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)) or "$^")
    out = []
    for order in orders:
        if isinstance(order, int):
            out.append([order])
        elif isinstance(order, str):
            found = word.findall(order)
            if "".join(found) != re.sub(r"[\s,*]", "", order):
                raise _hesse.ArgumentError(
                    f"partials: cannot read {order!r} as arguments of {name_of(fun)}({', '.join(names)})"
                )
            out.append([names.index(w) for w in found])
        else:
            out.append([int(i) for i in order])
    return out


def partials(fun: Callable[..., Any], args: Any, orders: Sequence[str | int | tuple[int, ...]]) -> list[Any]:
    """Mixed partial derivatives of a function of scalars, all in one Taylor-mode pass.

    Parameters
    ----------
    fun : callable
        A function of scalars (and perhaps other arguments) that returns a tree of arrays.
    args : tuple
        Where. Only arguments that `orders` names must be scalars.
    orders : sequence
        "" for the value, "x" for the derivative by the argument named x in the signature, "xx", "tx" and so
        on; or argument numbers: (), (0,), (1, 1).

    Returns
    -------
    list
        One entry per order, each in the structure of the output.

    Examples
    --------
    >>> import hesse as hs
    >>> u = lambda t, x: t * x**3
    >>> hs.partials(u, (2.0, 1.0), ["", "t", "xx", "tx"])
    [Array(2., dtype=float64), Array(1., dtype=float64), Array(12., dtype=float64), Array(3., dtype=float64)]
    """
    check_callable(fun, "partials")
    args = argument_list(args, "partials", "args")
    wanted = _orders(fun, len(args), orders)
    whole = [i for i, a in enumerate(args) if _hesse._is_numeric(a)]  # other arguments are captured
    place = {i: k for k, i in enumerate(whole)}
    for order, name in zip(wanted, orders, strict=True):
        for i in order:
            if not -len(args) <= i < len(args):
                raise _hesse.OutOfRangeError(
                    f"partials: argument {i} in {name!r} is out of range for {len(args)} argument(s)"
                )
            if i % len(args) not in place:
                raise _hesse.ArgumentTypeError(
                    f"partials: argument {i} in {name!r} is a {type(args[i]).__name__}, not a scalar"
                )
    outputs = Outputs()

    def flat(*xs: Array) -> list[Array]:
        full = list(args)
        for i, x in zip(whole, xs, strict=True):
            full[i] = x
        values, outputs.treedef = _flatten_arrays(fun(*full), f"partials: the output of {name_of(fun)}")
        return values

    flat_orders = [[place[i % len(args)] for i in order] for order in wanted]
    results = _t.partials(flat, [_hesse.asarray(args[i]) for i in whole], flat_orders)
    return [outputs.tree(r) for r in results]


def laplacian(fun: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    """The value of a function of one array and the sum of its second derivatives.

    Parameters
    ----------
    fun : callable
        From one array to an array or a tree of them.
    x : array
        Where, any shape: the sum is over all its entries.

    Returns
    -------
    value, laplacian : tree
        Both in the structure and shape of the output.

    Notes
    -----
    The forward Laplacian: one stream of second derivatives, whatever the dimension.

    References
    ----------
    Li et al., "A computational framework for neural network-based variational Monte Carlo with forward
    Laplacian", Nature Machine Intelligence 6 (2024).

    Examples
    --------
    >>> import hesse as hs
    >>> hs.laplacian(lambda x: hs.sum(x**2), hs.array([1.0, 2.0, 3.0]))
    (Array(14., dtype=float64), Array(6., dtype=float64))
    """
    check_callable(fun, "laplacian")
    outputs = Outputs()

    def flat(v: Array) -> list[Array]:
        values, outputs.treedef = _flatten_arrays(fun(v), f"laplacian: the output of {name_of(fun)}")
        return values

    values, result = _t.laplacian(flat, _hesse.asarray(x))
    return outputs.tree(values), outputs.tree(result)


def taylor(fun: Callable[..., Any], primals: Any, series: Sequence[Any]) -> list[Any]:
    """The derivatives of ``fun(x(s))`` at s = 0, of order 0 to ``len(series)``.

    Parameters
    ----------
    fun : callable
    primals : tuple
        x(0), one entry per argument; a single argument may stand for itself.
    series : sequence
        The derivatives of x at 0, of order 1, 2, ...; each in the structure of `primals`, None being zero.

    Examples
    --------
    The derivatives of exp at 0 along x(s) = s:

    >>> import hesse as hs
    >>> hs.taylor(hs.exp, 0.0, [1.0, None])
    [Array(1., dtype=float64), Array(1., dtype=float64), Array(1., dtype=float64)]
    """
    check_callable(fun, "taylor")
    single = isinstance(primals, Array) or not isinstance(primals, (tuple, list))
    args = (primals,) if single else tuple(primals)
    leaves, treedef = tree_flatten(args)
    positions = _hesse._array_positions(leaves)
    terms = []
    for term in series:
        whole = (term,) if single else (None,) * len(args) if term is None else tuple(term)
        given = treedef.flatten_up_to(whole, "taylor")
        terms.append(tangents_at("taylor", leaves, given, positions))
    outputs = Outputs()
    flat = flat_function(fun, leaves, treedef, positions, {}, outputs, "taylor")
    results = _t.taylor(flat, [_hesse.asarray(leaves[k]) for k in positions], terms)
    return [outputs.tree(r) for r in results]
