"""Layers, activations and initialisers."""

from .._hesse import nn as _nn
from .._hesse import sigmoid, sin, softmax, softplus, tanh
from . import init
from ._layers import MLP, Linear
from ._module import Module

__all__ = [
    "MLP",
    "Linear",
    "Module",
    "elu",
    "gelu",
    "init",
    "leaky_relu",
    "linear",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "tanh",
]

elu = _nn.elu
gelu = _nn.gelu
leaky_relu = _nn.leaky_relu
linear = _nn.linear
mish = _nn.mish
relu = _nn.relu
selu = _nn.selu
silu = _nn.silu
