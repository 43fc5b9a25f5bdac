"""Sparse matrices in files of the MatrixMarket format, by SciPy."""

from __future__ import annotations

import contextlib
import importlib
import os
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from . import _hesse
from ._extras import require
from ._replacing import replacing
from .sparse import CSR, from_scipy

__all__ = ["mmread", "mmwrite"]

_COMPRESSED = {".gz": "gzip", ".bz2": "bz2"}
_BLOCK = 1 << 20


def _opener(name: str) -> Any:
    """What opens a file of this name, as SciPy does."""
    modules = [module for suffix, module in _COMPRESSED.items() if name.endswith(suffix)]
    return importlib.import_module(modules[0]).open if modules else open


def _packed(name: str, raw: Any) -> Any:
    """The same to write to an open file; gzip notes neither a name nor the time, for the same bytes every time."""
    if name.endswith(".gz"):
        return importlib.import_module("gzip").GzipFile("", "wb", fileobj=raw, mtime=0)
    return _opener(name)(raw, "wb") if name.endswith(".bz2") else contextlib.nullcontext(raw)


def _check_sizes(file: Path, rows: int, cols: int, entries: int) -> None:
    """That memory can hold a matrix of so many rows and columns, and that as many entries can follow the sizes."""
    with _opener(file.name)(file, "rb") as text:
        lines = enumerate(text, 1)
        line = next((k for k, words in lines if k > 1 and words.strip()[:1] not in (b"", b"%")), 1)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        # SciPy and the matrix have up to four integers for every row and column, stored or not.
        if 32 * (rows + cols) > memory:
            raise ValueError(
                f"Line {line}: {rows} rows and {cols} columns need {32 * (rows + cols)} bytes even without entries, "
                f"more than this machine's memory of {memory}"
            )
        # A line has four characters at least, such as "1 1" and its end, which the last one may lack.
        needs, found = 4 * entries - 1, 0
        while found < needs and (block := text.read(_BLOCK)):  # unpacked, and no more of it than is needed
            found += len(block)
        if found < needs:
            raise ValueError(
                f"Line {line}: says that it holds {entries} entries, more than the {found} bytes that follow can"
            )


def mmread(path: str | os.PathLike[str]) -> CSR:
    """A sparse matrix from a MatrixMarket file in coordinate format, also compressed (.gz, .bz2).

    Symmetric, skew-symmetric and Hermitian files give the whole matrix; a pattern without values gives ones.
    Values at the same place are added.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    CSR

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    OSError
        For a folder, or without permission.
    ValueError
        For a file that is malformed (the message names it and the line), cannot be unpacked, is shorter than what it
        says to hold, has more rows and columns than memory has room for, or holds a dense array.
    ImportError
        Without SciPy.

    Examples
    --------
    >>> import hesse as hs, tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.mtx"
    >>> _ = file.write_text("%%MatrixMarket matrix coordinate real general\\n2 2 2\\n1 1 3.0\\n2 1 4.0\\n")
    >>> hs.sparse.mmread(file).todense()
    Array([[3., 0.],
           [4., 0.]], dtype=float64)
    """
    io = require("scipy.io", "io", "mmread")
    file = Path(path)
    try:
        with open(file, "rb"):
            pass
    except FileNotFoundError as error:
        raise _hesse.FileMissingError(f"mmread: there is no file {file}") from error
    except OSError as error:  # a folder, or no permission
        raise _hesse.FileError(f"mmread: {file} cannot be read: {error.strerror}") from error
    try:
        rows, cols, entries, form, _, _ = io.mminfo(str(file))
        if form != "coordinate":
            raise ValueError(
                f"holds a dense array of shape ({rows}, {cols}); use scipy.io.mmread and hs.asarray"
            )
        _check_sizes(file, rows, cols, entries)
        return from_scipy(io.mmread(str(file)))
    except MemoryError as error:
        raise _hesse.FormatError(f"mmread: {file}: does not fit into memory: {error}") from error
    except (EOFError, OSError, zlib.error) as error:
        raise _hesse.FormatError(f"mmread: {file}: cannot be unpacked: {error}") from error
    except (ValueError, OverflowError) as error:
        raise _hesse.FormatError(f"mmread: {file}: {error}") from None


def mmwrite(path: str | os.PathLike[str], a: CSR, *, comment: str = "") -> None:
    """Writes a sparse matrix as a MatrixMarket file in coordinate format, with all digits of its values.

    The file is written beside its place and then renamed: it is there as a whole or not at all.

    Parameters
    ----------
    path : str or path
        The file; what was there is replaced. With the end .gz or .bz2 it is compressed.
    a : CSR
        With values of shape (nnz,).
    comment : str, optional
        Lines at the beginning of the file.

    Raises
    ------
    TypeError
        For what is no `CSR`, and a comment that is no text.
    ValueError
        For several heads.
    OSError
        Where the file cannot be written.
    ImportError
        Without SciPy.

    Examples
    --------
    >>> import hesse as hs, tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.mtx"
    >>> hs.sparse.mmwrite(file, hs.sparse.identity(2))
    >>> hs.sparse.mmread(file).nnz
    2
    """
    io = require("scipy.io", "io", "mmwrite")
    if not isinstance(a, CSR):
        raise _hesse.ArgumentTypeError(
            f"mmwrite: a must be a sparse matrix, got {type(a).__name__}; from_dense makes one"
        )
    if a.data.ndim != 1:
        raise _hesse.ArgumentError(
            f"mmwrite: a has data of shape {a.data.shape}, several matrices; write one at a time, as in "
            "a.replace(data=a.data[:, 0])"
        )
    if not isinstance(comment, str):
        raise _hesse.ArgumentTypeError(f"mmwrite: comment must be text, got {type(comment).__name__}")
    try:
        comment.encode()
    except UnicodeEncodeError as error:
        raise _hesse.ArgumentError(f"mmwrite: comment is no Unicode: {error}") from error
    matrix: Any = a.to_scipy("coo")
    text = BytesIO()  # bz2 cannot seek, which SciPy does
    io.mmwrite(text, matrix, comment=comment, symmetry="general")
    with (
        replacing("mmwrite", path) as temporary,
        open(temporary, "wb") as raw,
        _packed(os.fspath(path), raw) as file,
    ):
        file.write(text.getbuffer())
