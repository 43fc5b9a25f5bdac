"""L-BFGS on trees. The method is in core/nn/lbfgs.h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _hesse
from .._dtypes import isdtype
from .._flat import check_callable
from .._hesse import Array, tree_flatten
from .._hesse import optim as _o

__all__ = ["Lbfgs", "lbfgs"]


class Lbfgs:
    """One minimisation by L-BFGS; `lbfgs` makes one and says what the options are.

    Parameters
    ----------
    value_and_grad : callable
    params : tree
    state : dict or None
    options : tuple
        As for `lbfgs`, which makes one.

    Attributes
    ----------
    status : str
        "running", "gradient_converged", "value_converged" or "line_search_failed" (no lower point was found along the
        steepest descent: at rounding errors, or with a wrong gradient).

    Examples
    --------
    >>> import hesse as hs
    >>> opt = hs.optim.lbfgs(hs.value_and_grad(lambda x: hs.sum((x - 2.0) ** 2)), hs.zeros(2))
    >>> while opt.step():
    ...     pass
    >>> hs.allclose(opt.params, hs.array([2.0, 2.0]))
    Array(True, dtype=bool)
    """

    def __init__(
        self,
        value_and_grad: Callable[[Any], tuple[Any, Any]],
        params: Any,
        state: Any,
        options: tuple[Any, ...],
    ) -> None:
        check_callable(value_and_grad, "lbfgs")
        self.value_and_grad = value_and_grad
        self._leaves, self._treedef = tree_flatten(params)
        self._moved = _hesse._inexact_positions(self._leaves, self._treedef)
        self._like = [_hesse.asarray(self._leaves[k]) for k in self._moved]
        if not self._like:
            raise _hesse.ArgumentError(
                f"lbfgs: the parameters hold no floating arrays; they are {self._treedef}"
            )
        paths = self._treedef.paths()
        self._paths = [paths[k] for k in self._moved]
        for path, p in zip(self._paths, self._like, strict=True):
            if not isdtype(p.dtype, "real floating"):
                raise _hesse.ArgumentTypeError(
                    f"lbfgs: params{path} is {p.dtype}; only real parameters can be minimised over: "
                    "take its real and imaginary parts"
                )
        self.status = "running"
        self._engine = _o.Lbfgs(_o.ravel(self._like) if state is None else state, *options)
        if state is not None and self._engine.x.size != sum(p.size for p in self._like):
            raise _hesse.ArgumentError(
                f"lbfgs: the state has {self._engine.x.size} parameters, the model {sum(p.size for p in self._like)}"
            )

    def _tree(self, x: Array) -> Any:
        leaves = list(self._leaves)
        for k, value in zip(self._moved, _o.unravel(x, self._like), strict=True):
            leaves[k] = value
        return self._treedef.unflatten(leaves)

    def _evaluate(self, x: Array) -> tuple[Any, Any]:
        result = self.value_and_grad(self._tree(x))
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise _hesse.ArgumentTypeError(
                f"lbfgs: the function must return (value, gradient), got {type(result).__name__}; "
                "hs.value_and_grad(loss) does"
            )
        value, found = result[0], self._treedef.flatten_up_to(result[1], "lbfgs")
        value = _hesse.asarray(value)
        if value.ndim != 0:
            raise _hesse.ArgumentError(f"lbfgs: the value must be a scalar, got the shape {value.shape}")
        grads = []
        for k, path, p in zip(self._moved, self._paths, self._like, strict=True):
            g = _hesse.zeros_like(p) if found[k] is None else _hesse.asarray(found[k])
            if g.shape != p.shape:
                raise _hesse.ArgumentError(
                    f"lbfgs: params{path} has the shape {p.shape} but its gradient {g.shape}"
                )
            grads.append(g)
        return value, _o.ravel(grads)

    def step(self) -> bool:
        """One iteration: a direction, a line search and an update of the history.

        Returns
        -------
        bool
            Whether to go on; `status` says why not.

        Raises
        ------
        FloatingPointError
            Where the function or its gradient is NaN or infinite at the current point, or at every point that the line
            search tries. The parameters stay at the last good point.
        """
        self.status = self._engine.step(self._evaluate)
        return self.status == "running"

    def minimise(self, max_iterations: int) -> Any:
        """Steps until it converges or `max_iterations` are done; returns the parameters."""
        while self.iterations < max_iterations and self.step():
            pass
        return self.params

    def function_changed(self, forget: bool = False) -> None:
        """Says that `value_and_grad` has changed (other points, other weights): it is evaluated again before the next
        step. The history is kept unless `forget`.
        """
        self._engine.function_changed(forget)
        self.status = "running"

    @property
    def params(self) -> Any:
        """The parameters, in the structure they were given."""
        return self._tree(self._engine.x)

    @property
    def value(self) -> float:
        """The function there."""
        return float(self._engine.value)

    @property
    def iterations(self) -> int:
        return int(self._engine.iterations)

    @property
    def evaluations(self) -> int:
        """How often `value_and_grad` was called."""
        return int(self._engine.evaluations)

    @property
    def state(self) -> dict[str, Array]:
        """Everything the method remembers, for a file; `lbfgs(..., state=...)` goes on from it bit for bit."""
        state: dict[str, Array] = self._engine.state()
        return state


def lbfgs(
    value_and_grad: Callable[[Any], tuple[Any, Any]],
    params: Any,
    *,
    history: int = 50,
    max_evaluations: int = 25,
    c1: float = 1e-4,
    c2: float = 0.9,
    gradient_tolerance: float = 0.0,
    value_tolerance: float = 0.0,
    state: dict[str, Array] | None = None,
) -> Lbfgs:
    """Limited-memory BFGS with a line search for the strong Wolfe conditions.

    Parameters
    ----------
    value_and_grad : callable
        From the parameters to a scalar and its gradient, such as ``hs.compile(hs.value_and_grad(loss))``.
    params : tree
        Where to start. Its floating arrays move; integers, keys and buffers stay as they are.
    history : int
        How many pairs of steps and gradient changes are kept.
    max_evaluations : int
        Of the function, in one line search.
    c1, c2 : float
        Sufficient decrease and curvature, 0 < c1 < c2 < 1.
    gradient_tolerance, value_tolerance : float
        Converged when no entry of the gradient is above the first, or when a step lowers the value by no more than the
        second times max(1, abs(value)).
    state : optional
        What `Lbfgs.state` gave: goes on from there; `params` then gives the structure only.

    Returns
    -------
    Lbfgs
        `step` does one iteration, `minimise` many.

    References
    ----------
    Nocedal and Wright, "Numerical optimization" (2006), algorithms 7.4, 7.5, 3.5 and 3.6.

    Examples
    --------
    >>> import hesse as hs
    >>> def rosenbrock(p):
    ...     return (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2
    >>> opt = hs.optim.lbfgs(hs.value_and_grad(rosenbrock), {"x": -1.2, "y": 1.0}, gradient_tolerance=1e-9)
    >>> best = opt.minimise(100)
    >>> opt.status, round(float(best["x"]), 8), round(float(best["y"]), 8)
    ('gradient_converged', 1.0, 1.0)
    """
    options = (history, max_evaluations, c1, c2, gradient_tolerance, value_tolerance)
    return Lbfgs(value_and_grad, params, state, options)
