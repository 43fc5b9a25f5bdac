"""Files of numbers between commas, read as wholes, with errors that name the file and the line."""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .. import _hesse

__all__ = ["Table", "unpacked"]

_Numbers = np.ndarray[Any, Any]


def unpacked(function: str, path: Path) -> bytes:
    """What a file holds, unpacked where it ends in .gz."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise _hesse.FileMissingError(f"{function}: there is no file {path}") from None
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as cause:
        raise _hesse.FormatError(f"{function}: {path}: cannot be unpacked: {cause}") from cause


class Table:
    """The rows of a file of numbers between commas, and errors that name the file and the line."""

    def __init__(
        self, function: str, path: Path, kind: str, *, finite: bool = True, header: bool = False
    ) -> None:
        self.function, self.path = function, path
        text = unpacked(function, path)
        self.header: list[str] = []  # the words of the first line, where that is one
        if header:
            first, _, text = text.partition(b"\n")
            self.header = first.decode("latin-1").strip().split(",")
        if not finite:  # what is missing may be left out between commas
            text = re.sub(rb"(?m)(?<=,)(?=,|\r?$)|^(?=,)", b"nan", text)
        rows = text.count(b"\n") + (not text.endswith(b"\n") and len(text) > 0)
        self.values: _Numbers = np.zeros((0, 1), np.int64 if kind == "integers" else np.float64)
        if rows:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of a file with blank lines only: found below
                    warnings.simplefilter("error", DeprecationWarning)  # 1.5 as an integer, in old versions
                    self.values = np.loadtxt(
                        io.TextIOWrapper(io.BytesIO(text), "latin-1"),
                        np.int64 if kind == "integers" else np.float64, delimiter=",", comments=None, ndmin=2,
                    )  # fmt: skip
            except (ValueError, OverflowError, DeprecationWarning):
                raise self._bad_line(text, kind) from None
            if len(self.values) != rows:  # blank lines are left out
                raise self._bad_line(text, kind)
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=1)) if finite else np.zeros(0)
        if bad.size:
            raise self.error(int(bad[0]), f"must be finite, got {self.values[bad[0]].tolist()}")
        self.whole = b"." not in text and b"n" not in text.lower() and b"e" not in text.lower()

    def __len__(self) -> int:
        return len(self.values)

    def error(self, row: int | None, what: str) -> Exception:
        where = f"{self.path}" if row is None else f"{self.path}, line {row + 1 + bool(self.header)}"
        return _hesse.FormatError(f"{self.function}: {where}: {what}")

    def _bad_line(self, text: bytes, kind: str) -> Exception:
        lines = text.decode("latin-1").split("\n")
        width = lines[0].count(",") + 1
        convert = int if kind == "integers" else float
        for k, line in enumerate(lines[:-1] if not lines[-1] else lines):
            words = line.split(",")
            if len(words) != width:
                return self.error(k, f"must have {width} columns as the first, got {len(words)}")
            for word in words:
                try:
                    number = convert(word)
                except ValueError:
                    return self.error(k, f"must hold {kind}, got {line[:60]!r}")
                if kind == "integers" and not -(2**63) <= number < 2**63:
                    return self.error(k, f"holds an integer that needs more than 64 bits: {line[:60]!r}")
        return self.error(None, f"cannot be read as {kind} between commas")

    def columns(self, n: int) -> _Numbers:
        if len(self) and self.values.shape[1] != n:
            raise self.error(0, f"must have {n} column(s), got {self.values.shape[1]}")
        return self.values.reshape(-1, n)

    def rows(self, n: int, what: str) -> Table:
        if len(self) != n:
            raise self.error(None, f"has {len(self)} lines for {n} {what}")
        return self

    def between(self, low: int, high: int, what: str) -> _Numbers:
        """The values, integers from low to high."""
        bad = np.flatnonzero(((self.values < low) | (self.values > high)).any(axis=1))
        if bad.size:
            raise self.error(int(bad[0]), f"{what} are {low} to {high}, got {self.values[bad[0]].tolist()}")
        return self.values
