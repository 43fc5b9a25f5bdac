"""Differentiable solvers of equations and differential equations."""

from ._dense import DenseOutput
from ._equations import Result
from ._events import Event
from ._interpolation import Interpolation, interpolate
from ._linear import linear_solve
from ._minimise import least_squares, minimise
from ._ode import Solution, solve_ivp
from ._root import fixed_point, implicit_function, root_solve, steady_state

__all__ = [
    "DenseOutput",
    "Event",
    "Interpolation",
    "Result",
    "Solution",
    "fixed_point",
    "implicit_function",
    "interpolate",
    "least_squares",
    "linear_solve",
    "minimise",
    "root_solve",
    "solve_ivp",
    "steady_state",
]
