"""Differentiable solvers of equations and differential equations."""

from ._equations import Result
from ._linear import linear_solve
from ._ode import Solution, solve_ivp
from ._root import implicit_function, root_solve

__all__ = ["Result", "Solution", "implicit_function", "linear_solve", "root_solve", "solve_ivp"]
