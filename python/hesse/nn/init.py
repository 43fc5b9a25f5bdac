"""Initial weights of shape (out, in, window...).

Each takes a key, the shape, a gain that scales the standard deviation, and a dtype.

>>> import hesse as hs
>>> hs.nn.init.he_normal(hs.random.key(0), (4, 3)).shape
(4, 3)
"""

from .._hesse import nn as _nn

__all__ = [
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
]

glorot_normal = _nn.init.glorot_normal
glorot_uniform = _nn.init.glorot_uniform
he_normal = _nn.init.he_normal
he_uniform = _nn.init.he_uniform
lecun_normal = _nn.init.lecun_normal
lecun_uniform = _nn.init.lecun_uniform
