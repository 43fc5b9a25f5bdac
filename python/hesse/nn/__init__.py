"""Layers, losses and initialisers."""

from ._module import Module

__all__ = ["Module"]
