"""Packages that only some functions need."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["require"]


def require(module: str, extra: str, what: str) -> Any:
    """The module, or an ImportError that says who needs it and how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"{what} needs the package {package}: pip install 'hesse[{extra}]' (or pip install {package})"
        ) from error
