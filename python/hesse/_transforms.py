"""Derivatives of functions of trees."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from . import _hesse
from ._hesse import Array, TreeDef, _flatten_arrays, tree_flatten
from ._hesse import transforms as _t
from ._tree import broadcast_prefix

__all__ = [
    "checkpoint",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "laplacian",
    "linear_transpose",
    "linearise",
    "linearize",
    "partials",
    "taylor",
    "value_and_grad",
    "vjp",
    "vmap",
]


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


def check_callable(fun: Any, transform: str) -> None:
    if not callable(fun):
        raise _hesse.ArgumentTypeError(f"{transform}: expected a function, got {type(fun).__name__}")


def with_aux(result: Any, transform: str) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise _hesse.ArgumentTypeError(
            f"{transform}: with has_aux=True the function must return a pair (output, aux), got {type(result).__name__}"
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
                    f"{transform}: argument {i} has dtype {dtype}; derivatives need floating or complex arguments, {remedy}"
                )
            raise _hesse.ArgumentTypeError(
                f"{transform}: argument {i}, {treedef}, holds no floating or complex arrays to differentiate by"
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
        """Values for `positions` in the structure of the chosen arguments; None for what has no derivative."""
        tree = self.treedef.unflatten(spread(len(self.leaves), self.positions, values))
        return tree[0] if self.single else tree


def documented(fun: Callable[..., Any], wrapper: Callable[..., Any], doc: str) -> Callable[..., Any]:
    try:
        functools.update_wrapper(wrapper, fun, updated=())
    except AttributeError:
        pass
    wrapper.__doc__ = doc.format(name=name_of(fun)) + (
        "\n\n" + fun.__doc__ if getattr(fun, "__doc__", None) else ""
    )
    return wrapper


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
        With the arguments of `fun`; returns ``(value, gradient)`` or ``((value, aux), gradient)``. The gradient
        has the structure of the argument, or is a tuple of such for a sequence of `argnums`. Where the tree holds
        integers, booleans, keys or buffers the gradient holds None. For complex x it is df/dx - i df/dy.

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


def _tangents(
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
        ``(output, tangent)`` or ``(output, tangent, aux)``; the tangent of an integer output is None.

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
        raise _hesse.ArgumentError(f"jvp: {len(primals)} primals but {len(tangents)} tangents")
    leaves, treedef = tree_flatten(primals)
    directions = treedef.flatten_up_to(tangents, "jvp")
    positions = _hesse._array_positions(leaves)
    outputs = Outputs()
    flat = flat_function(fun, leaves, treedef, positions, {}, outputs, "jvp", has_aux)
    values, dvalues = _t.jvp(
        flat, [leaves[k] for k in positions], _tangents("jvp", leaves, directions, positions)
    )
    n = len(outputs.values)
    out = (
        outputs.tree(values[:n]),
        outputs.tree([_or_zeros(v, t) for v, t in zip(values[:n], dvalues[:n], strict=True)]),
    )
    return (*out, aux_tree(outputs, values[n:])) if has_aux else out


def _or_zeros(value: Array, derivative: Array | None) -> Array | None:
    """A derivative that does not exist (of integers) is None; one that is zero is zeros."""
    if derivative is None and value.dtype.kind in "fc":
        return _hesse.zeros_like(value)
    return derivative


def linearise(fun: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """`fun` at `primals` and its derivative there as a linear function of the tangents. `fun` runs once.

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
        result = linear(_tangents("linearise", leaves, directions, positions))
        return outputs.tree([_or_zeros(v, t) for v, t in zip(values, result, strict=True)])

    return outputs.tree(values), derivative


linearize = linearise


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """`fun` at `primals` and its pull-back: reverse mode.

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
        flat_ct = _tangents("vjp", values, given, list(range(n)))
        grads = pull(flat_ct + [None] * (len(values) - n))
        grads = [_or_zeros(_hesse.asarray(x), g) for x, g in zip(arrays, grads, strict=True)]
        return treedef.unflatten(spread(len(leaves), positions, grads))  # type: ignore[no-any-return]

    out = outputs.tree(values[:n])
    return (out, pullback, aux_tree(outputs, values[n:])) if has_aux else (out, pullback)


def linear_transpose(fun: Callable[..., Any], *primals: Any) -> Callable[..., Any]:
    """The transpose of a function that is linear in its arguments, of which only shapes and dtypes matter.

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
                f"linear_transpose: the trees do not match: the output is {outputs.treedef}, the cotangent {structure}"
            )
        result = [_or_zeros(x, g) for x, g in zip(arrays, result, strict=True)]
        return treedef.unflatten(spread(len(leaves), positions, result))

    return transposed


def jacobian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, mode: str = "auto"
) -> Callable[..., Any]:
    """A function that returns the Jacobian of `fun`.

    For an output of shape s and an argument of shape t it has shape s + t. Trees give trees: the structure of the
    output outside, that of the argument inside.

    Parameters
    ----------
    fun : callable
    argnums : int or sequence of int
        Which positional arguments to differentiate by.
    has_aux : bool
        Whether `fun` returns ``(output, aux)``; then the result is ``(jacobian, aux)``.
    mode : {"auto", "forward", "reverse"}
        By columns or by rows; "auto" takes the smaller number.

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
    """`jacobian` by columns: forward mode, for few inputs and many outputs."""
    return jacobian(fun, argnums, has_aux, "forward")


def jacrev(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """`jacobian` by rows: reverse mode, for many inputs and few outputs."""
    return jacobian(fun, argnums, has_aux, "reverse")


def hessian(fun: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the second derivatives of a scalar function.

    For an argument of shape t it has shape t + t; a tree gives a tree of trees.

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
    """The Hessian of a scalar function at `primals` times `tangents`, without forming it: forward over reverse.

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
        for x, t in zip(arrays, _tangents("hvp", chosen.leaves, given, chosen.positions), strict=True)
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
                f"partials: {name_of(fun)} has no signature to read argument names from; name them by number, as (0, 1)"
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
        "" for the value, "x" for the derivative by the argument named x in the signature, "xx", "tx" and so on;
        or argument numbers: (), (0,), (1, 1).

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
    """The value of a function of one array and its Laplacian, the sum of the second derivatives, without gradients.

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
        terms.append(_tangents("taylor", leaves, given, positions))
    outputs = Outputs()
    flat = flat_function(fun, leaves, treedef, positions, {}, outputs, "taylor")
    results = _t.taylor(flat, [_hesse.asarray(leaves[k]) for k in positions], terms)
    return [outputs.tree(r) for r in results]


def vmap(fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """A function that applies `fun`, written for one example, to many at once.

    Parameters
    ----------
    fun : callable
        Takes and returns trees of arrays.
    in_axes : int, None, or tuple
        Which axis of the arguments counts the examples; None: the argument is the same for all. A tuple has an entry
        per argument, and an entry may be a tree of such for the parts of an argument. Keyword arguments are the same
        for all examples.
    out_axes : int, None, or tree
        Where that axis goes in the outputs; None for an output that is the same for all examples.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.vmap(hs.dot)(hs.array([[1.0, 2.0], [3.0, 4.0]]), hs.array([[1.0, 1.0], [2.0, 2.0]]))
    Array([ 3., 14.], dtype=float64)
    >>> hs.vmap(lambda a, x: a * x, in_axes=(None, 0))(2.0, hs.arange(3.0))
    Array([0., 2., 4.], dtype=float64)
    """
    check_callable(fun, "vmap")

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        axes_of_args = in_axes
        if isinstance(in_axes, (tuple, list)):
            if len(in_axes) != len(args):
                raise _hesse.ArgumentError(
                    f"vmap: in_axes has {len(in_axes)} entries for {len(args)} positional argument(s)"
                )
            axes_of_args = tuple(in_axes)
        leaves, treedef = tree_flatten(args)
        axes = broadcast_prefix(axes_of_args, treedef, "vmap: in_axes")
        positions = [k for k, axis in enumerate(axes) if axis is not None]
        for k in positions:
            if not _hesse._is_numeric(leaves[k]) or getattr(leaves[k], "ndim", 0) == 0:
                what = "a scalar" if _hesse._is_numeric(leaves[k]) else f"a {type(leaves[k]).__name__}"
                raise _hesse.ArgumentError(
                    f"vmap: argument {treedef.paths()[k]} is {what} and cannot be mapped over axis {axes[k]}; "
                    "give it None in in_axes"
                )
        outputs = Outputs()
        flat = flat_function(fun, leaves, treedef, positions, kwargs, outputs, "vmap")

        def axes_of_outputs(n: int) -> list[Any]:
            return broadcast_prefix(out_axes, outputs.treedef, "vmap: out_axes")

        values = _hesse.control.vmap(
            flat, [leaves[k] for k in positions], [axes[k] for k in positions], axes_of_outputs
        )
        return outputs.tree(values)

    return documented(fun, wrapper, "{name}, applied to many examples at once.")


def checkpoint(fun: Callable[..., Any]) -> Callable[..., Any]:
    """`fun`, whose derivatives run it again instead of keeping what it computed on the way: less memory, more time.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.grad(hs.checkpoint(lambda x: hs.sin(hs.sin(x))))(0.0)
    Array(1., dtype=float64)
    """
    check_callable(fun, "checkpoint")

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        leaves, treedef = tree_flatten(args)
        positions = _hesse._array_positions(leaves)
        outputs = Outputs()
        flat = flat_function(fun, leaves, treedef, positions, kwargs, outputs, "checkpoint")
        return outputs.tree(_t.checkpoint(flat, [leaves[k] for k in positions]))

    return documented(fun, wrapper, "{name}, recomputed for derivatives.")
