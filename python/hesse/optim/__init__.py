"""Optimisers as functions of trees, and L-BFGS.

First-order optimisers have two functions: ``state = opt.init(params)`` and
``params, state = opt.update(grads, state, params)``. State is a tree too: it is compiled, differentiated and saved like
parameters are. Where a gradient is None (integers, buffers) the parameter stays as it is.
"""

from ._first_order import Adam, AdamState, Sgd, SgdState, adam, clip_by_global_norm, global_norm, sgd
from ._lbfgs import Lbfgs, lbfgs
from ._schedules import constant, cosine_decay, exponential_decay, piecewise, warmup

__all__ = [
    "Adam",
    "AdamState",
    "Lbfgs",
    "Sgd",
    "SgdState",
    "adam",
    "clip_by_global_norm",
    "constant",
    "cosine_decay",
    "exponential_decay",
    "global_norm",
    "lbfgs",
    "piecewise",
    "sgd",
    "warmup",
]
