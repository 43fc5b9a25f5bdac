"""Complete problems: ``python -m hesse.demo burgers`` and ``python -m hesse.demo burgers-inverse``."""

from ._main import main

__all__ = ["main"]
