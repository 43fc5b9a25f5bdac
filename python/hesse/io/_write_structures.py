"""HDF5 files from atomic structures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import _hesse
from .._extras import require
from ._hdf5 import writing
from ._structures import SYMBOLS, Structure

__all__ = ["save_structures"]

_Numbers = np.ndarray[Any, Any]
_OWN = ("cell", "numbers", "offsets", "positions")


def _values(where: str, group: str, key: Any, value: Any) -> _Numbers:
    """What belongs to atoms or to a structure, as an array of numbers, bools or texts."""
    if not isinstance(key, str) or not key.isprintable() or "/" in key or key in ("", ".", *_OWN):
        raise _hesse.ArgumentError(
            f"{where}: {group} has the key {key!r}, which is no name of a dataset, or the layout's own; rename it"
        )
    # Before NumPy drops zero characters at ends.
    if any("\0" in text for text in np.asarray(value, object).flat if isinstance(text, str)):
        raise _hesse.ArgumentError(f"{where}: {group}[{key!r}] has a text with a zero character")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise _hesse.ArgumentTypeError(f"{where}: {group}[{key!r}] is no array: {error}") from error
    if array.dtype.kind == "O" and all(isinstance(v, str) for v in array.flat):
        array = array.astype(np.str_)
    if array.dtype.kind not in "biufU" or array.ndim > 30:
        raise _hesse.ArgumentTypeError(
            f"{where}: {group}[{key!r}] must be real numbers, bools or texts, got {type(value).__name__} of "
            f"{array.dtype} of shape {array.shape}"
        )
    return array


def _parts(where: str, s: Any) -> dict[tuple[str, str], _Numbers]:
    """The arrays of a structure by (group, key); the groups "" and "arrays" have a row per atom."""
    if not isinstance(s, Structure):
        raise _hesse.ArgumentTypeError(f"{where} is a {type(s).__name__}, not a Structure")
    numbers, pos = np.asarray(s.numbers), np.asarray(s.positions)
    n = len(numbers) if numbers.ndim == 1 else -1
    if numbers.dtype.kind not in "iu" or pos.shape != (n, 3) or pos.dtype.kind != "f":
        raise _hesse.ArgumentError(
            f"{where}: numbers must be integers [N] and positions real [N, 3], got {numbers.dtype} of shape "
            f"{numbers.shape} and {pos.dtype} of shape {pos.shape}"
        )
    if not np.isfinite(pos).all() or (n and not 1 <= numbers.min() <= numbers.max() <= len(SYMBOLS)):
        raise _hesse.ArgumentError(f"{where}: positions must be finite, and numbers 1 to {len(SYMBOLS)}")
    parts = {("", "numbers"): numbers.astype(np.int64), ("", "positions"): pos}
    periodic = np.asarray(s.periodic)
    if periodic.dtype.kind != "b" or periodic.shape not in ((), (3,)) or periodic.any() != periodic.all():
        raise _hesse.ArgumentError(
            f"{where}: periodic must be three bools that are all the same, got {periodic.tolist()}; "
            "save_extxyz writes others"
        )
    if s.cell is not None:
        cell = np.asarray(s.cell)
        if cell.dtype.kind not in "iuf" or cell.shape != (3, 3) or not np.isfinite(cell).all():
            raise _hesse.ArgumentError(f"{where}: cell must be [3, 3] finite numbers, got {cell.tolist()}")
        parts["cell", "cell"] = cell
    elif periodic.any():
        raise _hesse.ArgumentError(f"{where}: it is periodic but has no cell")
    parts["periodic", "periodic"] = np.asarray(periodic.any())
    for name, table in (("arrays", s.arrays), ("info", s.info)):
        if not isinstance(table, Mapping):
            raise _hesse.ArgumentTypeError(f"{where}: {name} must be a dict, got {type(table).__name__}")
    for key, value in s.arrays.items():
        array = _values(where, "arrays", key, value)
        if array.shape[:1] != (n,):
            raise _hesse.ArgumentError(
                f"{where}: arrays[{key!r}] must be [{n}, ...], got shape {array.shape}"
            )
        parts["arrays", key] = array
    for key, value in s.info.items():
        if key in s.arrays:
            raise _hesse.ArgumentError(f"{where}: arrays and info both have the key {key!r}; rename one")
        parts["info", key] = _values(where, "info", key, value)
    return parts


def _check_same(
    where: str, parts: dict[tuple[str, str], _Numbers], first: dict[tuple[str, str], _Numbers]
) -> None:
    """A dataset has one dtype and one shape, and is there for all structures."""
    for group, key in {**first, **parts}:
        name = f"{group}[{key!r}]" if group in ("arrays", "info") else key
        if (group, key) not in parts or (group, key) not in first:
            raise _hesse.ArgumentError(
                f"{where}: {name} must be there for all structures or for none; nan may stand for missing numbers"
            )
        a, b = parts[group, key], first[group, key]
        if group == "periodic":
            if a != b:
                raise _hesse.ArgumentError(
                    f"{where}: periodic is {bool(a)}, but {bool(b)} before; save_extxyz writes both"
                )
            continue
        skip = 1 if group in ("", "arrays") else 0
        texts = a.dtype.kind == b.dtype.kind == "U"  # of any lengths
        if a.shape[skip:] != b.shape[skip:] or (a.dtype != b.dtype and not texts):
            raise _hesse.ArgumentError(
                f"{where}: {name} is {a.dtype} of shape {a.shape}, but {b.dtype} of shape {b.shape} in structure 0; "
                "all must have one dtype and shape"
            )


def save_structures(path: str | os.PathLike[str], structures: Sequence[Structure]) -> None:
    """Writes structures as an HDF5 file that `load_structures` reads, with every bit of their numbers.

    Numbers of atoms may differ. The file is written beside its place and then renamed: it is there as a whole or not
    at all. Atomic numbers are written as int64, all else in its dtype, in this machine's order of bytes; integers and
    floats of Python become NumPy's int64 and float64.

    Parameters
    ----------
    path : path
        What was there is replaced.
    structures : sequence of Structure
        At least one. All have a cell or none, repeat in all directions or in none, and have the same keys, dtypes
        and shapes (but for the number of atoms) in `arrays` and `info`. For what differs there is `save_extxyz`.

    Raises
    ------
    TypeError
        For what is no `Structure`, or has values that are no real numbers, bools or texts.
    ValueError
        For arrays that do not fit, structures that differ as above, keys that name no dataset, values of `info` that
        the file's shapes could not tell from those of atoms, and no structures.
    OSError
        Where the file cannot be written.
    ImportError
        Where h5py is not installed: it comes with ``pip install 'hesse[io]'``.

    Examples
    --------
    >>> import hesse as hs, numpy as np, tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "he.h5"
    >>> he = hs.io.Structure(np.array([2]), np.zeros((1, 3)), info={"energy": -79.0})
    >>> he2 = hs.io.Structure(np.array([2, 2]), np.eye(2, 3), info={"energy": -158.0})
    >>> hs.io.save_structures(file, [he, he2])
    >>> [(s.numbers, s.info) for s in hs.io.load_structures(file)]
    [(array([2]), {'energy': np.float64(-79.0)}), (array([2, 2]), {'energy': np.float64(-158.0)})]
    """
    if isinstance(structures, Structure) or not isinstance(structures, Iterable):
        raise _hesse.ArgumentTypeError(
            f"save_structures: structures must be a list of Structures, got one {type(structures).__name__}"
        )
    rows = [_parts(f"save_structures: structure {k}", s) for k, s in enumerate(structures)]
    if not rows:
        raise _hesse.ArgumentError("save_structures: there are no structures")
    for k, parts in enumerate(rows):
        _check_same(f"save_structures: structure {k}", parts, rows[0])
    h5py = require("h5py", "io", "save_structures")
    sizes = [len(parts["", "numbers"]) for parts in rows]
    equal, atoms, count = len(set(sizes)) == 1, sum(sizes), len(rows)
    info = {key: value.shape for (group, key), value in rows[0].items() if group == "info"}
    # A reader tells rows of atoms from rows of structures by their shapes, so the layout is one in which these differ.
    stacked = equal and all(shape[:1] != (sizes[0],) for shape in info.values())
    if not stacked and info and atoms == count:
        key, shape = next((k, s) for k, s in info.items() if not equal or s[:1] == (sizes[0],))
        raise _hesse.ArgumentError(
            f"save_structures: info[{key!r}] of shape {shape} cannot be told from an array of the {atoms} atoms that "
            f"{count} structures have; save_extxyz writes it"
        )
    data: dict[str, _Numbers] = {}
    for group, key in rows[0]:
        values = [parts[group, key] for parts in rows]
        if group in ("", "arrays"):
            data[key] = np.stack(values) if stacked else np.concatenate(values)
        elif group != "periodic":
            data[key] = np.stack(values)
    if not stacked:
        data["offsets"] = np.cumsum([0, *sizes], dtype=np.int64)
    for key, array in data.items():
        if array.dtype.kind == "U":
            try:
                text = np.char.encode(array, "utf-8")
            except UnicodeEncodeError as error:
                raise _hesse.ArgumentError(
                    f"save_structures: {key!r} has a text that is no Unicode: {error}"
                ) from error
            data[key] = text.astype(h5py.string_dtype("utf-8", text.dtype.itemsize))
    with writing("save_structures", path) as file:
        for key in sorted(data):  # as they are read: the same structures give the same bytes
            file.create_dataset(key, data=data[key])
        file.attrs["periodic"] = int(rows[0]["periodic", "periodic"])
