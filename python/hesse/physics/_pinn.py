"""Physics-informed networks (Raissi, Perdikaris and Karniadakis 2019): the loss of a problem and its solution."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

from .. import _hesse
from .._compile import compile
from .._flat import check_callable
from .._hesse import Array
from .._vmap import vmap
from ._domains import Domain, Points, TimeBox

__all__ = ["PINN", "Boundary", "Data", "Initial", "Residual", "Term"]

Field = Callable[..., Any]
Sampler = Callable[[Any, int], Points]


class Term:
    """A part of the loss: weight * mean(residual(u, *point)**2) over its points."""

    def __init__(self, n: int, points: Sampler | None, weight: float, name: str) -> None:
        if not isinstance(n, SupportsIndex) or operator.index(n) < 1:
            raise _hesse.ArgumentError(
                f"{type(self).__name__}: the number of points must be a positive integer, got {n}"
            )
        if not weight > 0.0:
            raise _hesse.ArgumentError(f"{type(self).__name__}: weight must be positive, got {weight}")
        self.n, self.points, self.weight, self.name = n, points, float(weight), name

    def sample(self, domain: Domain, key: Any) -> tuple[Array, ...]:
        """Coordinates, and what else the residual takes at every point."""
        points = self.points(key, self.n) if self.points is not None else self._default_points(domain, key)
        if len(points) != domain.dimensions:
            raise _hesse.ArgumentError(
                f"{self.name}: the points have {len(points)} coordinates, the domain has {domain.dimensions}"
            )
        return tuple(_hesse.asarray(z) for z in points)

    def _default_points(self, domain: Domain, key: Any) -> Points:
        return domain.interior(key, self.n)

    def residual(self, u: Field, *point: Any) -> Any:
        """What should vanish, at one point: an array, or a tuple of them."""
        raise NotImplementedError


class Residual(Term):
    """An equation inside the domain.

    Parameters
    ----------
    equation : callable
        ``equation(u, *coordinates)``, at one point: left side minus right side, or a tuple of such. `u`
        is the solution as a function of the coordinates; ``u.model`` is the whole model, for unknown
        coefficients.
    n : int
        The number of points.
    points : callable, optional
        ``points(key, n)`` gives them; scrambled Sobol points by default.
    weight : float
    name : str
        In messages and progress.

    Examples
    --------
    >>> import hesse as hs
    >>> decay = hs.physics.Residual(lambda u, t: hs.grad(u)(t) + u(t), 20)
    >>> float(decay.residual(lambda t: hs.exp(-t), 0.0))
    0.0
    """

    def __init__(
        self,
        equation: Callable[..., Any],
        n: int,
        *,
        points: Sampler | None = None,
        weight: float = 1.0,
        name: str = "residual",
    ) -> None:
        check_callable(equation, "Residual")
        super().__init__(n, points, weight, name)
        self.equation = equation

    def residual(self, u: Field, *point: Any) -> Any:
        return self.equation(u, *point)


class Initial(Term):
    """The solution at the beginning: ``u(start, *x) = value(*x)``.

    Parameters
    ----------
    value : callable or float
        Of the coordinates in space.
    n : int
        The number of points.
    weight : float
    name : str
        In messages and progress.

    Examples
    --------
    >>> import hesse as hs
    >>> domain = hs.physics.TimeBox(hs.physics.Interval(-1.0, 1.0), 0.0, 2.0)
    >>> term = hs.physics.Initial(lambda x: x, 3)
    >>> t, x = term.sample(domain, hs.random.key(0))
    >>> t
    Array([0., 0., 0.], dtype=float64)
    """

    def __init__(
        self, value: Callable[..., Any] | float, n: int, *, weight: float = 1.0, name: str = "initial"
    ) -> None:
        super().__init__(n, None, weight, name)
        self.value = value

    def _default_points(self, domain: Domain, key: Any) -> Points:
        if not isinstance(domain, TimeBox):
            raise _hesse.ArgumentTypeError(f"Initial: the domain must be a TimeBox, got {domain}")
        return domain.initial(key, self.n)

    def residual(self, u: Field, *point: Any) -> Any:
        return u(*point) - (self.value(*point[1:]) if callable(self.value) else self.value)


class Boundary(Term):
    """The solution on the boundary: ``u(*z) = value(*z)``.

    Parameters
    ----------
    value : callable or float
        Of all coordinates.
    n : int
        The number of points.
    weight : float
    name : str
        In messages and progress.

    Examples
    --------
    >>> import hesse as hs
    >>> term = hs.physics.Boundary(0.0, 4)
    >>> (x,) = term.sample(hs.physics.Interval(-1.0, 1.0), hs.random.key(0))
    >>> hs.sort(x)
    Array([-1., -1.,  1.,  1.], dtype=float64)
    """

    def __init__(
        self, value: Callable[..., Any] | float, n: int, *, weight: float = 1.0, name: str = "boundary"
    ) -> None:
        super().__init__(n, None, weight, name)
        self.value = value

    def _default_points(self, domain: Domain, key: Any) -> Points:
        return domain.boundary(key, self.n)

    def residual(self, u: Field, *point: Any) -> Any:
        return u(*point) - (self.value(*point) if callable(self.value) else self.value)


class Data(Term):
    """Measurements: ``u(*point) = value`` at given points.

    Parameters
    ----------
    points : tuple of array
        An array per coordinate.
    values : array
        One per point; further axes are those of u.
    weight : float
    name : str
        In messages and progress.

    Examples
    --------
    >>> import hesse as hs
    >>> term = hs.physics.Data((hs.array([0.0, 1.0]),), hs.array([1.0, 3.0]))
    >>> term.n, float(term.residual(lambda x: 2.0 * x, 1.0, 3.0))
    (2, -1.0)
    """

    def __init__(
        self, points: Sequence[Any], values: Any, *, weight: float = 1.0, name: str = "data"
    ) -> None:
        if not isinstance(points, (tuple, list)):
            raise _hesse.ArgumentTypeError(
                f"Data: points must be a tuple with an array per coordinate, got {type(points).__name__}"
            )
        given, observed = tuple(_hesse.asarray(z) for z in points), _hesse.asarray(values)
        shapes = {z.shape for z in given}
        if len(shapes) != 1 or len(given[0].shape) != 1 or observed.shape[:1] != given[0].shape:
            raise _hesse.ArgumentError(
                "Data: the coordinates must be vectors of one length with a value per point, got "
                f"{[z.shape for z in given]} and values of shape {observed.shape}"
            )
        super().__init__(given[0].shape[0], lambda key, n: given, weight, name)
        self.values = observed

    def sample(self, domain: Domain, key: Any) -> tuple[Array, ...]:
        return (*super().sample(domain, key), self.values)

    def residual(self, u: Field, *point: Any) -> Any:
        *z, value = point
        return u(*z) - value


class PINN:
    """A problem: a domain, the terms of its loss, and how a network becomes a solution.

    Parameters
    ----------
    domain : Domain
    terms : sequence of Term
        Residuals, initial and boundary conditions, data.
    transform : callable, optional
        ``transform(u, *coordinates)`` makes the solution of the network's output: hard constraints, which hold
        whatever the network says and need no term in the loss.
    network : callable, optional
        Takes the model to its network, for models that hold more, such as unknown coefficients.

    References
    ----------
    Raissi, Perdikaris and Karniadakis, J. Comput. Phys. 378 (2019) 686.

    Examples
    --------
    y' = -y, y(0) = 1:

    >>> import hesse as hs
    >>> domain = hs.physics.Interval(0.0, 1.0, "t")
    >>> def decay(y, t):
    ...     y0, y_t = hs.partials(y, (t,), ["", "t"])
    ...     return y_t + y0
    >>> problem = hs.physics.PINN(domain, [hs.physics.Residual(decay, 20)], transform=lambda y, t: 1.0 + t * y)
    >>> net = hs.nn.MLP([1, 8, 1], key=hs.random.key(0))
    >>> trained = hs.physics.train(problem, net, [hs.physics.Lbfgs(60)], key=hs.random.key(1), progress=False)
    >>> bool(hs.abs(problem.predict(trained.model, hs.array([1.0])) - hs.exp(-1.0)) < 1e-3)
    True
    """

    def __init__(
        self,
        domain: Domain,
        terms: Sequence[Term],
        *,
        transform: Callable[..., Any] | None = None,
        network: Callable[[Any], Callable[[Any], Any]] | None = None,
    ) -> None:
        if not isinstance(domain, Domain):
            raise _hesse.ArgumentTypeError(f"PINN: the domain must be a Domain, got {type(domain).__name__}")
        if not isinstance(terms, (tuple, list)) or not all(isinstance(term, Term) for term in terms):
            raise _hesse.ArgumentTypeError(
                f"PINN: terms must be a list of Residual, Initial, Boundary and Data, got {terms!r}"
            )
        if not terms:
            raise _hesse.ArgumentError("PINN: at least one term is needed")
        self.domain = domain
        self.terms = tuple(terms)
        self.transform = transform
        self.network = network
        self._signature = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in domain.names]
        )
        self._predict = compile(self._values)

    def solution(self, model: Any) -> Field:
        """The solution as a function of scalar coordinates; a network with one output gives a scalar."""

        def u(*point: Any) -> Any:
            if len(point) != self.domain.dimensions:
                raise _hesse.ArgumentError(
                    f"u takes the coordinates {', '.join(self.domain.names)}, got {len(point)} of them"
                )
            net = model if self.network is None else self.network(model)
            values = net(_hesse.stack(self.domain.normalised(*point)))
            value = values[0] if values.shape == (1,) else values
            return value if self.transform is None else self.transform(value, *point)

        u.__signature__ = self._signature  # type: ignore[attr-defined]
        u.model = model  # type: ignore[attr-defined]
        return u

    def sample(self, key: Any) -> tuple[tuple[Array, ...], ...]:
        """Points of all terms: an argument of `loss`."""
        keys = _hesse.unstack(_hesse.random.split(key, num=len(self.terms)))
        return tuple(term.sample(self.domain, k) for term, k in zip(self.terms, keys, strict=True))

    def losses(self, model: Any, points: Sequence[Sequence[Array]]) -> list[Array]:
        """The weighted mean squares of the terms."""
        if len(points) != len(self.terms):
            raise _hesse.ArgumentError(
                f"loss: {len(self.terms)} terms need as many sets of points, got {len(points)}; sample(key) draws them"
            )
        u = self.solution(model)
        result = []
        for term, z in zip(self.terms, points, strict=True):
            values = vmap(lambda *point, term=term: term.residual(u, *point))(*z)
            parts = values if isinstance(values, (tuple, list)) else (values,)
            if not parts or any(part is None for part in parts):
                raise _hesse.ArgumentTypeError(
                    f"loss: the term {term.name!r} returned {values!r}; it must return what should vanish, "
                    "an array or a tuple of arrays"
                )
            total = _hesse.mean(_hesse.square(parts[0]))
            for part in parts[1:]:
                total = total + _hesse.mean(_hesse.square(part))
            result.append(total if term.weight == 1.0 else term.weight * total)
        return result

    def loss(self, model: Any, points: Sequence[Sequence[Array]]) -> Array:
        """The sum of the terms."""
        first, *rest = self.losses(model, points)
        for value in rest:
            first = first + value
        return first

    def _values(self, model: Any, *coordinates: Any) -> Any:
        return vmap(self.solution(model))(*coordinates)

    def predict(self, model: Any, *coordinates: Any) -> Array:
        """The solution at many points: an array per coordinate, which broadcast against each other."""
        if len(coordinates) != self.domain.dimensions:
            raise _hesse.ArgumentError(
                f"predict: {self.domain.dimensions} coordinates are needed "
                f"({', '.join(self.domain.names)}), got {len(coordinates)}"
            )
        zs = _hesse.broadcast_arrays(*[_hesse.asarray(z) for z in coordinates])
        shape = zs[0].shape
        values = self._predict(model, *[_hesse.reshape(z, (-1,)) for z in zs])
        return _hesse.reshape(values, (*shape, *values.shape[1:]))
