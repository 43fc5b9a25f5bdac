"""Extended XYZ files from atomic structures."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._replacing import replacing
from ._structures import SYMBOLS, Structure

__all__ = ["save_extxyz"]

_KIND = {"f": "R", "i": "I", "u": "I", "b": "L", "U": "S"}
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


def _words(array: Any) -> list[str]:
    """Numbers with all their digits."""
    if array.dtype.kind == "b":
        return ["T" if v else "F" for v in array.ravel().tolist()]
    return [str(v) for v in array.ravel().tolist()]


def _pair(where: str, key: str, value: Any) -> str:
    array = np.asarray(value)
    if not isinstance(key, str) or not _NAME.fullmatch(key) or key in ("Lattice", "Properties", "pbc"):
        raise _hesse.ArgumentError(
            f"{where}: info has the key {key!r}, which is no name, or the format's own"
        )
    if array.dtype.kind not in _KIND or array.ndim > 1 or not array.size:
        raise _hesse.ArgumentTypeError(
            f"{where}: info[{key!r}] must be a number, a bool, a text or a list of such, got {type(value).__name__} "
            f"of shape {array.shape}"
        )
    text = " ".join(_words(array))
    if "\n" in text or "\r" in text:
        raise _hesse.ArgumentError(f"{where}: info[{key!r}] has a line break")
    if array.ndim == 0 and re.fullmatch(r"[\w.+-]+", text):
        return f"{key}={text}"
    return '{}="{}"'.format(key, re.sub(r'(["\\])', r"\\\1", text))


def _frame(where: str, s: Any) -> list[str]:
    if not isinstance(s, Structure):
        raise _hesse.ArgumentTypeError(f"{where} is a {type(s).__name__}, not a Structure")
    numbers, pos = np.asarray(s.numbers), np.asarray(s.positions)
    n = len(numbers) if numbers.ndim == 1 else -1
    if numbers.dtype.kind not in "iu" or pos.shape != (n, 3) or pos.dtype.kind not in "iuf":
        raise _hesse.ArgumentError(
            f"{where}: numbers must be integers [N] and positions [N, 3], got shapes {numbers.shape} and {pos.shape}"
        )
    if not np.isfinite(pos).all() or (n and not 1 <= numbers.min() <= numbers.max() <= len(SYMBOLS)):
        raise _hesse.ArgumentError(f"{where}: positions must be finite, and numbers 1 to {len(SYMBOLS)}")
    header, columns = (
        [],
        [[SYMBOLS[z - 1] for z in numbers.tolist()], *np.reshape(_words(pos * 1.0), (n, 3)).T],
    )
    if s.cell is not None:
        cell = np.asarray(s.cell, np.float64)
        if cell.shape != (3, 3) or not np.isfinite(cell).all():
            raise _hesse.ArgumentError(f"{where}: cell must be [3, 3] finite numbers, got {cell.tolist()}")
        header.append(f'Lattice="{" ".join(_words(cell))}"')
    properties = "species:S:1:pos:R:3"
    for name, value in s.arrays.items():
        array = np.asarray(value)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in ("species", "pos", "Z"):
            raise _hesse.ArgumentError(f"{where}: arrays has the key {name!r}, which is no name, or taken")
        if (
            array.dtype.kind not in _KIND
            or array.ndim not in (1, 2)
            or len(array) != n
            or 0 in array.shape[1:]
        ):
            raise _hesse.ArgumentError(
                f"{where}: arrays[{name!r}] must be [{n}] or [{n}, K] numbers, bools or words, got {array.dtype} of "
                f"shape {array.shape}"
            )
        words = _words(array)
        if array.dtype.kind == "U" and not all(re.fullmatch(r"\S+", w) for w in words):
            raise _hesse.ArgumentError(f"{where}: arrays[{name!r}] must have words without spaces")
        wide = np.reshape(np.array(words, object), (n, 1 if array.ndim == 1 else array.shape[1]))
        columns += list(wide.T)
        properties += f":{name}:{_KIND[array.dtype.kind]}:{wide.shape[1]}"
    header.append(f"Properties={properties}")
    header += [_pair(where, k, v) for k, v in s.info.items()]
    periodic = np.broadcast_to(np.asarray(s.periodic, bool), 3)
    if periodic.any() and s.cell is None:
        raise _hesse.ArgumentError(f"{where}: it is periodic but has no cell")
    header.append(f'pbc="{" ".join(_words(periodic))}"')
    return [str(n), " ".join(header), *(" ".join(row) for row in zip(*columns, strict=True))]


def save_extxyz(path: str | os.PathLike[str], structures: Sequence[Structure]) -> None:
    """Writes structures as a file in the extended XYZ format, with all digits of their numbers.

    The file is written beside its place and then renamed: it is there as a whole or not at all.

    Parameters
    ----------
    path : path
        What was there is replaced.
    structures : sequence of Structure
        At least one. Texts in ``info`` that look like numbers are numbers when they are read.

    Raises
    ------
    TypeError
        For what is no `Structure`, or has values that the format cannot hold.
    ValueError
        For arrays that do not fit, names with spaces, texts with line breaks, and no structures.
    OSError
        Where the file cannot be written.

    Examples
    --------
    >>> import hesse as hs, numpy as np, tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "he.xyz"
    >>> atom = hs.io.Structure(np.array([2]), np.zeros((1, 3)), None, np.zeros(3, bool), {}, {"energy": -79.0})
    >>> hs.io.save_extxyz(file, [atom])
    >>> print(file.read_text(), end="")
    1
    Properties=species:S:1:pos:R:3 energy=-79.0 pbc="F F F"
    He 0.0 0.0 0.0
    """
    structures = list(structures)
    if not structures:
        raise _hesse.ArgumentError("save_extxyz: there are no structures")
    lines = [line for k, s in enumerate(structures) for line in _frame(f"save_extxyz: structure {k}", s)]
    with (
        replacing("save_extxyz", path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="\n") as file,
    ):
        file.write("\n".join(lines) + "\n")
