"""Physics-informed networks: domains and their points, residuals as maths at one point, training, errors; finite elements."""

from .._hesse import physics as _p
from ._domains import Box, Domain, Interval, TimeBox
from ._elements import linear_elements
from ._pinn import PINN, Boundary, Data, Initial, Residual
from ._stages import Adam, Lbfgs, Stage
from ._training import Record, Training, train

__all__ = [
    "PINN",
    "Adam",
    "Boundary",
    "Box",
    "Data",
    "Domain",
    "Initial",
    "Interval",
    "Lbfgs",
    "Record",
    "Residual",
    "Stage",
    "TimeBox",
    "Training",
    "burgers_exact",
    "latin_hypercube",
    "linear_elements",
    "max_error",
    "relative_l2",
    "sample",
    "sobol",
    "train",
    "uniform",
]

burgers_exact = _p.burgers_exact
latin_hypercube = _p.latin_hypercube
max_error = _p.max_error
relative_l2 = _p.relative_l2
sample = _p.sample
sobol = _p.sobol
uniform = _p.uniform
