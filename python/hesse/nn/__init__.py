"""Layers, a recurrent cell, activations, losses, normalisations and initialisers."""

from .._hesse import nn as _nn
from .._hesse import sigmoid, sin, softmax, softplus, tanh
from . import init
from ._layers import MLP, Linear
from ._losses import binary_cross_entropy_with_logits, softmax_cross_entropy
from ._module import Module
from ._normalisation import BatchNorm, Dropout, LayerNorm, dropout
from ._recurrent import GRUCell

__all__ = [
    "MLP",
    "BatchNorm",
    "Dropout",
    "GRUCell",
    "LayerNorm",
    "Linear",
    "Module",
    "binary_cross_entropy_with_logits",
    "dropout",
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
    "softmax_cross_entropy",
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
