"""What is known of dtypes: limits, promotion, kinds."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from . import _hesse
from ._hesse import Array, DType

__all__ = ["can_cast", "finfo", "iinfo", "isdtype", "result_type"]


class finfo_object(NamedTuple):
    """The limits of a floating dtype."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return self.smallest_normal


class iinfo_object(NamedTuple):
    """The limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype(x: Any) -> DType:
    return x.dtype if isinstance(x, Array) else _hesse.dtype(getattr(x, "dtype", x))


def finfo(type: Any, /) -> finfo_object:
    """The limits of a floating dtype; of a complex one, those of its parts.

    Parameters
    ----------
    type : dtype or Array

    Returns
    -------
    finfo_object
        ``bits``, ``eps``, ``max``, ``min``, ``smallest_normal``, ``dtype``.

    Raises
    ------
    TypeError
        For a dtype that is not floating or complex.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.finfo(hs.float32).eps
    1.1920928955078125e-07
    """
    t = _hesse.real_dtype(_dtype(type))
    if t.kind != "f":
        raise _hesse.ArgumentTypeError(f"finfo: {t} is not a floating dtype; use iinfo")
    digits, exponent = (23, 127) if t.itemsize == 4 else (52, 1023)
    largest = (2.0 - 2.0**-digits) * 2.0**exponent
    return finfo_object(8 * t.itemsize, 2.0**-digits, largest, -largest, 2.0 ** (1 - exponent), t)


def iinfo(type: Any, /) -> iinfo_object:
    """The limits of an integer dtype.

    Parameters
    ----------
    type : dtype or Array

    Returns
    -------
    iinfo_object
        ``bits``, ``max``, ``min``, ``dtype``.

    Raises
    ------
    TypeError
        For a dtype that is not an integer one.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.iinfo("int8").max
    127
    """
    t = _dtype(type)
    bits = 8 * t.itemsize
    if t.kind == "i":
        return iinfo_object(bits, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), t)
    if t.kind == "u":
        return iinfo_object(bits, 2**bits - 1, 0, t)
    raise _hesse.ArgumentTypeError(f"iinfo: {t} is not an integer dtype")


_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a name of the array API standard, a dtype, or a tuple of such.

    Parameters
    ----------
    dtype : dtype
    kind : str, dtype or tuple
        'bool', 'signed integer', 'unsigned integer', 'integral', 'real floating', 'complex floating',
        'numeric', a dtype, or several of them.

    Returns
    -------
    bool

    Examples
    --------
    >>> import hesse as hs
    >>> hs.isdtype(hs.float32, "real floating"), hs.isdtype(hs.float32, ("integral", hs.float64))
    (True, False)
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    t = _dtype(dtype)
    if isinstance(kind, str) and kind in _KINDS:
        return t.kind in _KINDS[kind]
    return bool(t == _hesse.dtype(kind))


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype that an operation on these arrays, dtypes and Python numbers has.

    Parameters
    ----------
    *arrays_and_dtypes : array, dtype or number
        Python numbers take the dtype of what they meet.

    Returns
    -------
    DType

    Raises
    ------
    ValueError
        Without arguments.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.result_type(hs.float32, 1.0, hs.int8)
    hesse.float32
    """
    if not arrays_and_dtypes:
        raise _hesse.ArgumentError("result_type: needs at least one array or dtype")
    weak = [x for x in arrays_and_dtypes if type(x) in (bool, int, float, complex)]
    strong = [_dtype(x) for x in arrays_and_dtypes if type(x) not in (bool, int, float, complex)]
    if not strong:
        return functools.reduce(_hesse.promote_types, [_hesse.dtype(type(x)) for x in weak])
    common = functools.reduce(_hesse.promote_types, strong)
    if not weak:
        return common
    probe = functools.reduce(_hesse.add, weak, _hesse.zeros((), dtype=common))
    return probe.dtype


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether promotion takes the first dtype to the second.

    Parameters
    ----------
    from_, to : dtype or Array

    Returns
    -------
    bool

    Examples
    --------
    >>> import hesse as hs
    >>> hs.can_cast(hs.int8, hs.int32), hs.can_cast(hs.float64, hs.float32)
    (True, False)
    """
    to = _dtype(to)
    try:
        return bool(_hesse.promote_types(_dtype(from_), to) == to)
    except TypeError:
        return False
