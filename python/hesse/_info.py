"""What the array API standard's `__array_namespace_info__` tells."""

from __future__ import annotations

from typing import Any

from . import _hesse
from ._dtypes import isdtype

__all__ = ["__array_namespace_info__"]

_NAMES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()  # noqa: SIM905
)


class NamespaceInfo:
    """Capabilities, devices and dtypes of this implementation of the array API standard."""

    def capabilities(self) -> dict[str, Any]:
        """Boolean masks and shapes that depend on data work outside traces."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> str:
        """The device of new arrays."""
        return "cpu"

    def devices(self) -> list[str]:
        """All devices."""
        return ["cpu"]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, Any]:
        """The dtypes of new arrays for which none is said."""
        real = _hesse.default_dtype()
        return {
            "real floating": real,
            "complex floating": _hesse.complex_dtype(real),
            "integral": _hesse.int64,
            "indexing": _hesse.int64,
        }

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, Any]:
        """The dtypes, all or of a kind."""
        all_dtypes = {name: getattr(_hesse, name) for name in _NAMES}
        return {name: t for name, t in all_dtypes.items() if kind is None or isdtype(t, kind)}


def __array_namespace_info__() -> NamespaceInfo:
    """Information about this namespace, as the array API standard has it.

    Returns
    -------
    NamespaceInfo

    Examples
    --------
    >>> import hesse as hs
    >>> hs.__array_namespace_info__().default_device()
    'cpu'
    """
    return NamespaceInfo()
