"""Differentiable solvers of equations and differential equations."""

from ._adjoint import Backsolve, Discrete, Forward, Interpolating
from ._dae import solve_dae
from ._dense import DenseOutput
from ._diagnosis import Diagnosis
from ._equations import Result
from ._events import Event
from ._interpolation import Interpolation, interpolate
from ._linear import linear_solve
from ._minimise import least_squares, minimise
from ._neural import NeuralODE
from ._ode import Solution, solve_ivp
from ._progress import SolveProgress
from ._root import fixed_point, implicit_function, root_solve, steady_state
from ._sde import BrownianPath, solve_sde
from ._split import hamiltonian

__all__ = [
    "Backsolve",
    "BrownianPath",
    "DenseOutput",
    "Diagnosis",
    "Discrete",
    "Event",
    "Forward",
    "Interpolating",
    "Interpolation",
    "NeuralODE",
    "Result",
    "Solution",
    "SolveProgress",
    "fixed_point",
    "hamiltonian",
    "implicit_function",
    "interpolate",
    "least_squares",
    "linear_solve",
    "minimise",
    "root_solve",
    "solve_dae",
    "solve_ivp",
    "solve_sde",
    "steady_state",
]
