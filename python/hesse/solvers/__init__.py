"""Differentiable solvers of equations and differential equations."""

from ._equations import Result
from ._linear import linear_solve
from ._minimise import least_squares, minimise
from ._ode import Solution, solve_ivp
from ._root import fixed_point, implicit_function, root_solve, steady_state
from ._split import hamiltonian

__all__ = [
    "Result",
    "Solution",
    "fixed_point",
    "hamiltonian",
    "implicit_function",
    "least_squares",
    "linear_solve",
    "minimise",
    "root_solve",
    "solve_ivp",
    "steady_state",
]
