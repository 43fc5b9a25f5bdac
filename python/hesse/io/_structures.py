"""Atomic structures from extended XYZ and HDF5 files."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import _hesse
from .._extras import require
from ._hdf5 import reading, unwritten

__all__ = ["Structure", "load_extxyz", "load_structures"]

_Numbers = np.ndarray[Any, Any]
_ELEMENTS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br "
    "Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho "
    "Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es "
    "Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
SYMBOLS = _ELEMENTS.split()
_NUMBER_OF = {symbol: z for z, symbol in enumerate(SYMBOLS, 1)}
_PAIR = re.compile(
    r"""\s*(?P<key>"[^"]*"|[^\s="'{}\[\]]+)\s*
        (?:=\s*(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\{[^{}]*\}|\[[^\[\]]*\]|[^\s"'{}\[\]]+))?(?=\s|$)""",
    re.VERBOSE,
)
_TRUTH = {"T": True, "True": True, "true": True, "TRUE": True, "F": False, "False": False, "false": False,
          "FALSE": False}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms at places, with what a file says about them: in NumPy arrays, in the file's units.

    Parameters
    ----------
    numbers : ndarray
        Atomic numbers, int64 (N,).
    positions : ndarray
        (N, 3).
    cell : ndarray, optional
        A lattice vector in every row, (3, 3).
    periodic : ndarray, optional
        Which of them repeat, bool (3,); by default none.
    arrays : dict of ndarray, optional
        What belongs to atoms, (N, ...), such as "forces".
    info : dict, optional
        What belongs to the structure, such as "energy".

    Examples
    --------
    >>> import hesse as hs, numpy as np
    >>> atom = hs.io.Structure(np.array([2]), np.zeros((1, 3)), info={"energy": 0.0})
    >>> hs.gnn.radius_graph(atom.positions, 1.0, cell=atom.cell, periodic=atom.periodic, z=atom.numbers)
    Graph(1 nodes, 0 edges, pos=float64[1,3], z=int64[1])
    """

    numbers: _Numbers
    positions: _Numbers
    cell: _Numbers | None = None
    periodic: _Numbers = field(default_factory=lambda: np.zeros(3, bool))
    arrays: dict[str, _Numbers] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)


class _Lines:
    """The lines of a text file; errors name it and the line."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            with open(self.path, encoding="utf-8") as file:
                self.lines = file.read().split("\n")
        except FileNotFoundError as error:
            raise _hesse.FileMissingError(f"load_extxyz: there is no file {self.path}") from error
        except OSError as error:
            raise _hesse.FileError(f"load_extxyz: {self.path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise _hesse.FormatError(f"load_extxyz: {self.path} is no text in UTF-8: {error}") from error
        while self.lines and not self.lines[-1].strip():
            self.lines.pop()

    def error(self, at: int, what: str) -> _hesse.FormatError:
        return _hesse.FormatError(f"load_extxyz: {self.path}, line {at + 1}: {what}")


def _value(text: str) -> Any:
    """A value of the header: a number, a truth value, an array of either, or the text."""
    if text[:1] in "\"'{[":
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    words = text.replace(",", " ").split()
    for convert in (_integer, _real, _TRUTH.__getitem__):
        try:
            values = [convert(w) for w in words]
        except (ValueError, KeyError, OverflowError):
            continue
        if values:
            return values[0] if len(values) == 1 else np.array(values)
    return text


def _integer(word: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", word):
        raise ValueError(word)
    return int(word)


def _real(word: str) -> float:
    if "_" in word:  # Python's own digit groups
        raise ValueError(word)
    return float(word)


def _header(file: _Lines, at: int) -> dict[str, Any]:
    text, found, position = file.lines[at], {}, 0
    while text[position:].strip():
        pair = _PAIR.match(text, position)
        if pair is None:
            raise file.error(
                at, f"cannot be read as key=value from {text[position : position + 40].strip()!r} on"
            )
        key, value = pair["key"].strip('"'), pair["value"]
        if key in found:
            raise file.error(at, f"has the key {key!r} twice")
        found[key] = True if value is None else value if key == "Properties" else _value(value)
        position = pair.end()
    return found


_KINDS: dict[str, tuple[Any, str]] = {
    "S": (str, "text"), "R": (_real, "a number"), "I": (_integer, "an integer"),
    "L": (_TRUTH.__getitem__, "T or F"),
}  # fmt: skip


def _columns(file: _Lines, at: int, text: str) -> list[tuple[str, str, int]]:
    parts = text.strip("\"'").split(":")
    triples = [tuple(parts[k : k + 3]) for k in range(0, len(parts), 3)]
    for triple in triples:
        if len(triple) != 3 or triple[1] not in _KINDS or not re.fullmatch(r"[1-9]\d{0,5}", triple[2]):
            raise file.error(
                at, f"Properties={text} must be name:kind:count triples with a kind of S, R, I or L"
            )
    found = [(name, kind, int(count)) for name, kind, count in triples]
    names = [name for name, _, _ in found]
    if len(set(names)) != len(names):
        raise file.error(at, f"Properties={text} names a column twice")
    if ("pos", "R", 3) not in found or not {("species", "S", 1), ("Z", "I", 1)} & set(found):
        raise file.error(at, f"Properties={text} must have pos:R:3 and species:S:1 or Z:I:1")
    return found


def _lattice(file: _Lines, at: int, info: dict[str, Any]) -> tuple[_Numbers | None, _Numbers]:
    cell, periodic = info.pop("Lattice", None), info.pop("pbc", None)
    if cell is not None:
        if not isinstance(cell, np.ndarray) or cell.size != 9 or cell.dtype.kind not in "if":
            raise file.error(at, f"Lattice must be nine numbers, got {cell}")
        cell = cell.astype(np.float64).reshape(3, 3)
        if not np.isfinite(cell).all():
            raise file.error(at, f"Lattice must be finite, got {cell.tolist()}")
    if periodic is None:
        periodic = np.full(3, cell is not None)
    if not isinstance(periodic, np.ndarray) or periodic.shape != (3,) or periodic.dtype.kind != "b":
        raise file.error(at, f"pbc must be three of T and F, got {periodic}")
    if periodic.any() and cell is None:
        raise file.error(at, "is periodic by its pbc, but has no Lattice")
    return cell, periodic


def _frame(file: _Lines, at: int) -> tuple[Structure, int]:
    """The structure that begins at a line, and the line after it."""
    word, available = file.lines[at].strip(), len(file.lines)
    if not re.fullmatch(r"\d{1,18}", word):
        raise file.error(at, f"must be a number of atoms, got {word[:40]!r}")
    n = int(word)
    if at + 2 + n > available or at + 1 >= available:
        raise file.error(at, f"announces {n} atoms, but {max(available - at - 2, 0)} lines follow its header")
    info = _header(file, at + 1) if "=" in file.lines[at + 1] else {}
    columns = _columns(file, at + 1, str(info.pop("Properties", "species:S:1:pos:R:3")))
    cell, periodic = _lattice(file, at + 1, info)
    first = at + 2
    rows = [line.split() for line in file.lines[first : first + n]]
    width = sum(count for _, _, count in columns)
    for k, row in enumerate(rows):
        if len(row) != width:
            raise file.error(first + k, f"must have {width} columns, got {len(row)}")
    arrays: dict[str, _Numbers] = {}
    begin = 0
    for name, kind, count in columns:
        convert, what = _KINDS[kind]
        values = []
        for k, row in enumerate(rows):
            try:
                values.append([convert(w) for w in row[begin : begin + count]])
            except (ValueError, KeyError):
                raise file.error(
                    first + k, f"{name} must be {what}, got {' '.join(row[begin : begin + count])!r}"
                ) from None
        dtype = {"S": np.str_, "R": np.float64, "I": np.int64, "L": np.bool_}[kind]
        array: _Numbers = np.array(values, dtype).reshape(n, count)
        arrays[name] = array[:, 0] if count == 1 else array
        begin += count
    positions, symbols, numbers = arrays.pop("pos"), arrays.pop("species", None), arrays.pop("Z", None)
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if bad.size:
        raise file.error(first + int(bad[0]), f"pos must be finite, got {positions[bad[0]].tolist()}")
    if numbers is None:
        assert symbols is not None
        unknown = [k for k, s in enumerate(symbols) if s not in _NUMBER_OF]
        if unknown:
            raise file.error(first + unknown[0], f"{str(symbols[unknown[0]])!r} is no chemical element")
        numbers = np.array([_NUMBER_OF[s] for s in symbols], np.int64)
    bad = np.flatnonzero((numbers < 1) | (numbers > len(SYMBOLS)))
    if bad.size:
        raise file.error(first + int(bad[0]), f"Z must be 1 to {len(SYMBOLS)}, got {numbers[bad[0]]}")
    return Structure(numbers, positions, cell, periodic, arrays, info), first + n


def load_extxyz(path: str | os.PathLike[str]) -> list[Structure]:
    """The structures of a file in the extended XYZ format; plain XYZ too.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Structure
        The header's ``Properties`` name the arrays of atoms besides species (or Z) and pos; what else it has is in
        ``info``. A ``Lattice`` without ``pbc`` repeats in all directions. Positions and cells are finite; a number of
        another column or of ``info`` may be nan, as a label that is missing, or inf, and stays so.

    Raises
    ------
    FileNotFoundError
    ValueError
        For a file that is malformed or shorter than it says, naming the file and the line.

    References
    ----------
    https://github.com/libAtoms/extxyz describes the format.

    Examples
    --------
    >>> import hesse as hs, tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "h2.xyz"
    >>> _ = file.write_text('''2
    ... Properties=species:S:1:pos:R:3:forces:R:3 energy=-31.7
    ... H 0 0 0     0 0  0.1
    ... H 0 0 0.74  0 0 -0.1
    ... ''')
    >>> (h2,) = hs.io.load_extxyz(file)
    >>> h2.numbers, h2.info
    (array([1, 1]), {'energy': -31.7})
    >>> h2.arrays["forces"][0]
    array([0. , 0. , 0.1])
    """
    file = _Lines(path)
    structures, at = [], 0
    while at < len(file.lines):
        structure, at = _frame(file, at)
        structures.append(structure)
    if not structures:
        raise _hesse.FormatError(f"load_extxyz: {file.path} is empty")
    return structures


def load_structures(path: str | os.PathLike[str]) -> list[Structure]:
    """The structures of an HDF5 file with datasets ``numbers`` and ``positions``.

    For F structures of N atoms each, positions are (F, N, 3) and numbers (N,) or (F, N). For structures of different
    sizes both have a row per atom of all structures, and ``offsets``, (F + 1,), says where each begins. ``cell``
    is (3, 3) or (F, 3, 3); then all directions repeat unless the file's attribute ``periodic`` is 0. Every other
    dataset has a row per atom, as positions do, and goes to ``arrays``, or else per structure, and goes to ``info``.
    Positions and cells are finite; other numbers may be nan, as a label that is missing, or inf, and stay so.
    `save_structures` writes such files.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Structure

    Raises
    ------
    FileNotFoundError
    OSError
        For a folder, or without permission.
    ValueError
        For what is no HDF5 file, is truncated or damaged, does not have this layout, or has a dataset of which parts
        were never written, that lies in other files or cannot be as large as it says (see `load_hdf5`), or atomic
        numbers beside 1 to 118, naming the file and the dataset.
    ImportError
        Where h5py is not installed: it comes with ``pip install 'hesse[io]'``.

    Notes
    -----
    HDF5's library (2.0) may not return from a file whose heap of strings of variable length is damaged.
    `save_structures` writes texts of fixed length, which need none.

    Examples
    --------
    >>> import hesse as hs, numpy as np, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "h2.h5")
    >>> hs.io.save_hdf5(path, {"numbers": [1, 1], "positions": np.zeros((5, 2, 3)), "energy": np.arange(5.0)})
    >>> structures = hs.io.load_structures(path)
    >>> len(structures), structures[3].info
    (5, {'energy': np.float64(3.0)})
    """
    h5py = require("h5py", "io", "load_structures")
    name = os.fspath(path)

    def error(what: str) -> _hesse.FormatError:
        return _hesse.FormatError(f"load_structures: {name}: {what}")

    data: dict[str, _Numbers] = {}
    with reading("load_structures", path) as file:
        periodic = np.asarray(file.attrs.get("periodic", 1))
        if periodic.size != 1 or periodic.dtype.kind not in "biuf":
            raise error(
                f"the attribute periodic must be one number, got {periodic.dtype} of shape {periodic.shape}"
            )
        repeats = bool(periodic.item())
        for key, item in file.items():
            if item is None:
                raise error(f"{key} cannot be opened: it is damaged, or a link to nothing")
            kind = item.dtype.kind if isinstance(item, h5py.Dataset) else "?"
            if kind not in "biufSO" or (kind == "O" and h5py.check_string_dtype(item.dtype) is None):
                raise error(f"{key} is no dataset of numbers or strings")
            try:
                missing, says = unwritten(item)
            except _hesse.FormatError as cause:
                raise error(f"{key} {cause}") from None
            if missing:
                raise error(f"{key} {says}: the rest was never written")
            try:
                data[key] = np.asarray(item.asstr()[()]) if kind in "SO" else np.asarray(item[()])
            except UnicodeDecodeError as cause:
                raise error(f"{key} has a string that cannot be decoded: {cause}") from cause
            if kind == "S":  # no wider than the file has them, as variable ones may be
                data[key] = data[key].astype(np.str_)
    for key in ("positions", "numbers"):
        if key not in data:
            raise error(f"there is no dataset {key}")
    positions, numbers, cell = data.pop("positions"), data.pop("numbers"), data.pop("cell", None)
    if numbers.dtype.kind not in "iu" or positions.dtype.kind != "f":
        raise error(f"numbers must be integers and positions real, got {numbers.dtype} and {positions.dtype}")
    if not np.isfinite(positions).all():
        raise error("positions must be finite")
    offsets = data.pop("offsets", None)
    if offsets is None:
        if positions.ndim != 3 or positions.shape[2] != 3:
            raise error(f"positions must be [F, N, 3] without offsets, got shape {positions.shape}")
        count, rows = positions.shape[0], positions.shape[:2]
        if numbers.shape == rows[1:]:
            numbers = np.broadcast_to(numbers, rows)
        cuts: list[Any] = list(range(count))
    else:
        if positions.ndim != 2 or positions.shape[1] != 3:
            raise error(f"positions must be [atoms, 3] with offsets, got shape {positions.shape}")
        rows = positions.shape[:1]
        whole = offsets.ndim == 1 and len(offsets) and offsets.dtype.kind in "iu"
        if (
            not whole
            or offsets[0] != 0
            or offsets[-1] != rows[0]
            or (np.diff(offsets.astype(np.int64)) < 0).any()
        ):
            raise error(f"offsets must rise from 0 to the {rows[0]} atoms of positions")
        count = len(offsets) - 1
        cuts = [slice(int(a), int(b)) for a, b in itertools.pairwise(offsets)]
    if numbers.shape != rows:
        raise error(
            f"numbers of shape {numbers.shape} must be {rows}, as positions of shape {positions.shape}"
        )
    wrong = np.argwhere((numbers < 1) | (numbers > len(SYMBOLS)))
    if wrong.size:
        at = tuple(wrong[0].tolist())
        raise error(f"numbers must be 1 to {len(SYMBOLS)}, got {numbers[at]} at {list(at)}")
    if cell is not None and cell.shape not in ((3, 3), (count, 3, 3)):
        raise error(f"cell must be [3, 3] or [{count}, 3, 3], got shape {cell.shape}")
    if cell is not None and cell.dtype.kind not in "iuf":
        raise error(f"cell must be numbers, got {cell.dtype}")
    if cell is not None and not np.isfinite(cell).all():
        wrong = np.argwhere(~np.isfinite(cell))
        raise error(f"cell must be finite, got {cell[tuple(wrong[0])]} at {wrong[0].tolist()}")
    per_atom = {k: v for k, v in data.items() if v.shape[: len(rows)] == rows}
    per_structure = {k: v for k, v in data.items() if k not in per_atom}
    for key, value in per_structure.items():
        if value.shape[:1] != (count,):
            raise error(
                f"{key} of shape {value.shape} has a row neither for each of {count} structures nor for each atom"
            )
    return [
        Structure(
            numbers[cut].astype(np.int64),
            positions[cut],
            None if cell is None else cell if cell.ndim == 2 else cell[k],
            np.full(3, cell is not None and repeats),
            {key: value[cut] for key, value in per_atom.items()},
            {key: str(v[k]) if isinstance(v[k], np.str_) else v[k] for key, v in per_structure.items()},
        )
        for k, cut in enumerate(cuts)
    ]
