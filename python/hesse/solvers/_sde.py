"""Stochastic differential equations."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._flat import check_callable
from .._hesse import Array, asarray
from .._hesse import solvers as _s
from ..nn import Module
from ._equations import arrays_of, check_args, optional_array, span_of
from ._ode import Solution
from ._split import flat_field

__all__ = ["BrownianPath", "solve_sde"]


def _shape_of(shape: Any, what: str) -> tuple[int, ...]:
    sizes = shape if isinstance(shape, (tuple, list)) else (shape,)
    if not all(hasattr(n, "__index__") and not isinstance(n, bool) for n in sizes):
        raise _hesse.ArgumentTypeError(f"{what} is {shape!r}, expected a tuple of integers")
    if not all(operator.index(n) >= 0 for n in sizes):
        raise _hesse.ArgumentError(f"{what} is {shape!r}, expected lengths of 0 or more")
    return tuple(operator.index(n) for n in sizes)


class BrownianPath(Module):
    """A path of Brownian motion: a function of a random key and of time.

    Nothing is stored, and it does not matter in which order and how often it is evaluated: solvers with other steps, and
    functions that look at the noise, see the same path. It can be an argument of compiled and mapped functions.

    Parameters
    ----------
    key : Array of dtype key
        The same key gives the same path.
    t0, t1 : scalar
        The span, t0 < t1. The path is zero at t0.
    shape : tuple of int
        Of the path at one time; its entries are independent.
    tolerance : float
        Where refinement ends, as a part of the span: times that are further apart than that see Brownian motion exactly, and
        it costs a normal number for each halving.
    dtype : optional
        float64 (by default) or float32: these are different paths.

    Raises
    ------
    ValueError
        For a span that does not ascend and a tolerance outside of [2^-50, 1].
    TypeError
        Where `key` is no key.

    References
    ----------
    Levy and Ciesielski's series of hats; Karatzas and Shreve, Brownian Motion and Stochastic Calculus, 2.3.

    Examples
    --------
    >>> import hesse as hs
    >>> path = hs.solvers.BrownianPath(hs.random.key(0), 0.0, 1.0, (3,))
    >>> path(0.5).shape, path(hs.linspace(0.0, 1.0, 11)).shape
    ((3,), (11, 3))
    >>> w = hs.vmap(lambda key: hs.solvers.BrownianPath(key, 0.0, 1.0)(0.25))(hs.random.split(hs.random.key(1), 10000))
    >>> abs(float(hs.mean(w**2)) - 0.25) < 0.02
    True
    """

    key: Array
    t0: Array
    t1: Array
    shape: tuple[int, ...]
    tolerance: float
    dtype: Any

    def __init__(
        self,
        key: Any,
        t0: Any,
        t1: Any,
        shape: Any = (),
        tolerance: float = 1e-6,
        *,
        dtype: Any = None,
    ) -> None:
        self.key = asarray(key)
        self.t0 = asarray(t0, dtype=_hesse.float64)
        self.t1 = asarray(t1, dtype=_hesse.float64)
        self.shape = _shape_of(shape, "BrownianPath: shape")
        self.tolerance = float(tolerance)
        self.dtype = _hesse.float64 if dtype is None else _hesse.zeros((), dtype=dtype).dtype
        self(self.t0)  # checks

    def __call__(self, t: Any) -> Array:
        """The path at the times t, of shape ``t.shape + shape``. It has no derivative: t is a constant."""
        return _s.brownian_path(
            self.key, self.t0, self.t1, self.shape, self.dtype, self.tolerance, asarray(t)
        )


def solve_sde(
    drift: Callable[..., Any],
    diffusion: Callable[..., Any],
    t_span: Sequence[Any],
    y0: Any,
    key: Any,
    num_steps: int,
    method: str = "EulerMaruyama",
    t_eval: Any = None,
    *,
    noise_shape: Any = None,
    args: Sequence[Any] = (),
    tolerance: float = 1e-6,
    raise_on_failure: bool = True,
) -> Solution:
    """Solves dy = drift(t, y) dt + diffusion(t, y) dW, y(t0) = y0, where W is Brownian motion.

    It can be compiled, mapped (over keys: a sample of paths) and differentiated to any order, forwards and backwards, path by
    path: with respect to `y0`, `args` and everything else that the functions use, with the path of the noise held fixed.
    Times are constants, since paths have no derivative.

    Parameters
    ----------
    drift, diffusion : callable
        ``drift(t, y, *args)`` returns a tree like `y0`, ``diffusion(t, y, *args)`` too, or what `noise_shape` says.
    t_span : (t0, t1)
        t0 < t1.
    y0 : tree
        The state: floating or complex arrays of any shapes, in a tuple, dict, ...
    key : Array of dtype key, or BrownianPath
        Of a key a path is made, ``BrownianPath(key, t0, t1, shape, tolerance, dtype=...)`` with the state's real dtype; if
        there are several arrays with noise of their own, one of each of ``random.split(key, n)``. The path does not depend on
        `num_steps`, `t_eval` and `method`. A given path covers `t_span` and has the shape of the noise.
    num_steps : int
        Equal steps over the span or, with `t_eval`, from each of its times to the next (and from t0 to the first).
    method : str
        ``"EulerMaruyama"`` (Ito; strong order 1/2, or 1 where the diffusion does not depend on y; weak order 1),
        ``"Milstein"`` (Ito; strong order 1 for noise that commutes, as scalar noise does, and diagonal noise where each
        entry's diffusion depends on that entry alone; the derivative of the diffusion is derived),
        ``"ReversibleHeun"`` (Stratonovich; strong order 1/2, or 1 where the diffusion does not depend on y).
        Ito's equation with drift f is that of Stratonovich with drift f - 1/2 (dG/dy) G.
    t_eval : array, optional
        [n], ascending times within the span at which the state is given. By default both ends and every step between.
    noise_shape : tuple, optional
        By default noise is diagonal: every entry of the state has its own, and the diffusion is like the state. ``()``: all
        have the same, and the diffusion is like the state, too. ``(m,)``: a vector of m; each array of the diffusion has
        one more axis, of m at the end.
    args : tuple
        More arguments of both functions.
    tolerance : float
        Of the path that is made of a key: see `BrownianPath`.
    raise_on_failure : bool
        Whether a solution with NaN or infinity raises. If not, `Solution.status` is 3 (or 4, for times that do not ascend).

    Returns
    -------
    Solution
        Without stats.

    Raises
    ------
    ValueError
        For shapes that do not fit, times that do not ascend within the span, an unknown method, a path that does not cover
        the span, and steps that are shorter than its finest intervals.
    TypeError
        For a state of integers, what is no key, and arguments of the wrong kind.
    FloatingPointError
        Where the solution is NaN or infinite.

    Notes
    -----
    Maruyama (1955), Milstein (1974; Kloeden and Platen, Numerical Solution of Stochastic Differential Equations, 10.3),
    reversible Heun (Kidger, Foster, Li, Lyons 2021, Algorithm 1). In reverse mode the state of every step of one interval
    between times of `t_eval` is kept, and of every such time.

    Examples
    --------
    Geometric Brownian motion, and its mean over paths.

    >>> import hesse as hs
    >>> def last(key, rate):
    ...     sol = hs.solvers.solve_sde(
    ...         lambda t, y: rate * y, lambda t, y: 0.3 * y, (0.0, 1.0), 1.0, key, 64, "Milstein", [1.0]
    ...     )
    ...     return sol.y[0]
    >>> keys = hs.random.split(hs.random.key(0), 4000)
    >>> mean = hs.compile(lambda rate: hs.mean(hs.vmap(last, (0, None))(keys, rate)))
    >>> abs(float(mean(0.5)) / hs.exp(hs.array(0.5)) - 1) < 0.02
    Array(True, dtype=bool)
    >>> abs(float(hs.grad(mean)(0.5) / mean(0.5)) - 1) < 0.02
    True
    """
    check_callable(drift, "solve_sde")
    check_callable(diffusion, "solve_sde")
    t0, t1 = span_of("solve_sde", t_span)
    if not isinstance(method, str):
        raise _hesse.ArgumentTypeError(
            f"solve_sde: method is {method!r}, expected one of {', '.join(_s.sde_method_names())}"
        )
    if (
        isinstance(num_steps, bool)
        or not hasattr(num_steps, "__index__")
        or not 0 < operator.index(num_steps) < 2**31
    ):
        raise _hesse.ArgumentError(f"solve_sde: num_steps is {num_steps!r}, expected an integer, 1 or more")
    check_args("solve_sde", args, "both functions")
    state, treedef = arrays_of(y0, "solve_sde: y0")
    path = None
    if isinstance(key, BrownianPath):
        path, tolerance, key = (key.t0, key.t1, key.shape, key.dtype), key.tolerance, key.key
    shape = None if noise_shape is None else _shape_of(noise_shape, "solve_sde: noise_shape")

    t, y, status = _s.solve_sde(
        flat_field(drift, treedef, args, "y0", "solve_sde"),
        flat_field(diffusion, treedef, args, "y0", "solve_sde"),
        t0,
        t1,
        state,
        asarray(key),
        path,
        operator.index(num_steps),
        method,
        optional_array(t_eval),
        shape,
        float(tolerance),
        bool(raise_on_failure),
    )
    return Solution(t, treedef.unflatten(y), status, {})
