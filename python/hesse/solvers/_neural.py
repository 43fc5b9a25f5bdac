"""Layers that solve differential equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import _hesse
from .._flat import check_callable
from .._hesse import Array, asarray, tree_map
from ..nn import Module
from ._ode import solve_ivp

__all__ = ["NeuralODE"]


class NeuralODE(Module):
    """A layer whose output is the solution of dy/dt = field(t, y) at the end of a span, y(t0) being its input.

    Gradients go through the solver and are those of the steps that it took. The parameters are those of the field.

    Parameters
    ----------
    field : callable
        ``field(t, y, *args)`` returns dy/dt, a tree like y: a `hesse.nn.Module`, whose arrays are trained, or any function.
        For methods that take one, a pair.
    t_span : (t0, t1)
        Numbers, or arrays, which are trained then.
    method : str
        Of `solve_ivp`.
    augment : int
        Zeros to append to the last axis of the input, an array, before it is solved for: an augmented equation (Dupont,
        Doucet, Teh, Augmented neural ODEs, 2019) can do what the flow of an equation in the input's space cannot. They are
        part of the output.
    rtol, atol : float
        Tolerances of `solve_ivp`.
    options
        More arguments of `solve_ivp` by name: ``first_step``, ``max_step``, ``max_steps``, ...

    Raises
    ------
    ValueError
        Where `augment` is below 0, or the input is no array with an axis and `augment` is not 0; and what `solve_ivp` raises.
    TypeError
        Where `field` is no function.

    References
    ----------
    Chen, Rubanova, Bettencourt, Duvenaud, Neural ordinary differential equations, 2018.

    Examples
    --------
    >>> import hesse as hs
    >>> class Field(hs.nn.Module):
    ...     net: hs.nn.MLP
    ...     def __call__(self, t, y):
    ...         return self.net(y)
    >>> layer = hs.solvers.NeuralODE(Field(hs.nn.MLP([3, 16, 3], key=hs.random.key(0))), augment=1)
    >>> x = hs.ones((5, 2))
    >>> layer(x).shape, layer(x, t_eval=[0.5, 1.0]).shape
    ((5, 3), (2, 5, 3))
    >>> hs.grad(lambda layer: hs.sum(layer(x) ** 2))(layer).field.net.layers[0].weight.shape
    (16, 3)
    """

    field: Any
    t_span: tuple[Any, Any]
    method: str
    augment: int
    rtol: float
    atol: float
    options: dict[str, Any]

    def __init__(
        self,
        field: Callable[..., Any] | Sequence[Callable[..., Any]],
        t_span: Sequence[Any] = (0.0, 1.0),
        *,
        method: str = "Tsit5",
        augment: int = 0,
        rtol: float = 1e-4,
        atol: float = 1e-6,
        **options: Any,
    ) -> None:
        for part in field if isinstance(field, (tuple, list)) else (field,):
            check_callable(part, "NeuralODE")
        if not isinstance(t_span, (tuple, list)) or len(t_span) != 2:
            raise _hesse.ArgumentError(f"NeuralODE: t_span is {t_span!r}, expected two times (t0, t1)")
        if isinstance(augment, bool) or not hasattr(augment, "__index__") or augment < 0:
            raise _hesse.ArgumentError(f"NeuralODE: augment is {augment!r}, expected an integer, 0 or more")
        self.field = field
        self.t_span = (t_span[0], t_span[1])
        self.method = method
        self.augment = int(augment)
        self.rtol = rtol
        self.atol = atol
        self.options = options

    def __call__(self, y0: Any, *, t_eval: Any = None, args: Sequence[Any] = ()) -> Any:
        """The solution at the end of the span, like y0; with `t_eval` at these times, which are the first axis.

        Parameters
        ----------
        y0 : tree
            The input; a batch may be an axis of its arrays, if the field takes it, which then is one system for the solver, or
            be mapped over.
        t_eval : array, optional
            [n], within the span.
        args : tuple
            More arguments of the field.

        Returns
        -------
        tree
        """
        if self.augment:
            y0 = asarray(y0) if not isinstance(y0, (dict, list, tuple)) else y0
            if not isinstance(y0, Array) or y0.ndim == 0:
                raise _hesse.ArgumentError(
                    "NeuralODE: to augment it, the input must be one array with an axis"
                )
            zeros = _hesse.zeros((*y0.shape[:-1], self.augment), dtype=y0.dtype)
            y0 = _hesse.concatenate([y0, zeros], axis=-1)
        times = _hesse.reshape(asarray(self.t_span[1]), (1,)) if t_eval is None else t_eval
        y = solve_ivp(
            self.field,
            self.t_span,
            y0,
            self.method,
            times,
            args=args,
            rtol=self.rtol,
            atol=self.atol,
            **self.options,
        ).y
        return tree_map(lambda a: a[0], y) if t_eval is None else y
