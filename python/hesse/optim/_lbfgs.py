"""L-BFGS on trees. The method is in core/nn/lbfgs.h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _hesse
from .._dtypes import isdtype
from .._hesse import Array, tree_flatten
from .._hesse import optim as _o

__all__ = ["Lbfgs", "lbfgs"]


class Lbfgs:
    """One minimisation; see `lbfgs`.

    Attributes
    ----------
    status : str
        "running", "gradient_converged", "value_converged" or "line_search_failed" (no lower point was found along the
        steepest descent: at rounding errors, or with a wrong gradient).
    """

    def __init__(
        self,
        value_and_grad: Callable[[Any], tuple[Any, Any]],
        params: Any,
        state: Any,
        options: tuple[Any, ...],
    ) -> None:
        self.value_and_grad = value_and_grad
        leaves, self._treedef = tree_flatten(params)
        if not leaves:
            raise _hesse.ArgumentError("lbfgs: the parameters hold no arrays")
        self._like = [_hesse.asarray(leaf) for leaf in leaves]
        for path, p in zip(self._treedef.paths(), self._like, strict=True):
            if not isdtype(p.dtype, "real floating"):
                raise _hesse.ArgumentTypeError(
                    f"lbfgs: params{path} is {p.dtype}; only real floating parameters can be minimised over "
                    "(hs.trainable selects them)"
                )
        self.status = "running"
        self._engine = _o.Lbfgs(_o.ravel(self._like) if state is None else state, *options)
        if state is not None and self._engine.x.size != sum(p.size for p in self._like):
            raise _hesse.ArgumentError(
                f"lbfgs: the state has {self._engine.x.size} parameters, the model {sum(p.size for p in self._like)}"
            )

    def _tree(self, x: Array) -> Any:
        return self._treedef.unflatten(_o.unravel(x, self._like))

    def _evaluate(self, x: Array) -> tuple[Any, Any]:
        value, grads = self.value_and_grad(self._tree(x))
        gs = self._treedef.flatten_up_to(grads, "lbfgs")
        filled = [_hesse.zeros_like(p) if g is None else g for p, g in zip(self._like, gs, strict=True)]
        return value, _o.ravel([_hesse.asarray(g) for g in filled])

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
    params : tree of floating arrays
        Where to start.
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
