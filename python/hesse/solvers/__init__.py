"""Differentiable solvers of differential equations."""

from ._ode import Solution, solve_ivp

__all__ = ["Solution", "solve_ivp"]
