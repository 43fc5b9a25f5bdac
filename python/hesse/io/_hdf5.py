"""HDF5 files through h5py."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .. import _hesse
from .._extras import require
from .._hesse import Array
from .._replacing import replacing

__all__ = ["load_hdf5", "save_hdf5"]

Path = str | os.PathLike[str]

DEFLATE = 1032  # 258 bytes in two bits
# What a stored byte can become at most, by the number of the filter: deflate, shuffle, Fletcher's sum, N-bit (one bit
# of 16 bytes) and LZF (264 bytes in three). Of others (scale-offset, those of plugins) no bound is known.
_EXPANSION = {1: DEFLATE, 2: 1, 3: 1, 5: 128, 32000: 88}


@contextlib.contextmanager
def reading(what: str, path: Path) -> Iterator[Any]:
    """The open file, for `what`; whatever h5py raises because of a malformed one becomes an error that names it."""
    h5py = require("h5py", "io", what)
    name = os.fspath(path)
    if not os.path.exists(name):
        raise _hesse.FileMissingError(f"{what}: there is no file {name}")
    try:
        with open(name, "rb"):
            pass
    except OSError as error:  # a folder, or no permission
        raise _hesse.FileError(f"{what}: {name} cannot be read: {error.strerror}") from error
    try:
        with h5py.File(name, "r") as file:
            yield file
    except _hesse.Error:
        raise
    except MemoryError as error:
        raise _hesse.FormatError(f"{what}: {name} does not fit into memory: {error}") from error
    except Exception as error:  # OSError, KeyError, RuntimeError, ValueError, TypeError and others
        raise _hesse.FormatError(
            f"{what}: {name} cannot be read as HDF5: it is no such file, or is truncated or damaged"
        ) from error


def unwritten(item: Any) -> tuple[int, str]:
    """How many bytes of a dataset were never written (HDF5 gives a fill value for them), and what the file says of it.

    `_hesse.FormatError`, without the file's name, for sizes that what is stored cannot have.
    """
    if item.shape is None:
        raise _hesse.FormatError("has no values (its dataspace is null)")
    creation, kind = item.id.get_create_plist(), item.id.get_type().get_size()
    if item.is_virtual or creation.get_external_count():
        raise _hesse.FormatError("has its values in other files; h5repack collects them in one")
    needs, stored = math.prod(item.shape) * kind, item.id.get_storage_size()
    says = f"of shape {item.shape} needs {needs} bytes, the file holds {stored}"
    size = os.path.getsize(item.file.filename)
    if stored > size:
        raise _hesse.FormatError(f"{says} by its own account, but has {size} bytes itself")
    written, bound = needs if stored else 0, float(stored)
    if item.chunks is not None:
        chunks = math.prod(-(-n // c) for n, c in zip(item.shape, item.chunks, strict=True))
        found = item.id.get_num_chunks()
        filters = [creation.get_filter(k)[0] for k in range(creation.get_nfilters())]
        says += f" in {found} of {chunks} chunks"
        # Chunks may reach over the edges, so that fewer than all can have as many bytes.
        whole = math.prod(item.chunks) * kind
        written = needs if found >= chunks else min(found * whole, max(needs - 1, 0))
        if stored:
            bound *= math.prod(_EXPANSION.get(f, math.inf) for f in filters)
        if filters:
            says += ", compressed"
    if written > bound:
        raise _hesse.FormatError(f"{says}, which cannot be so much")
    return needs - written, says


@contextlib.contextmanager
def writing(what: str, path: Path) -> Iterator[Any]:
    """A new open file, for `what`, that takes its place when all is written."""
    h5py = require("h5py", "io", what)
    with replacing(what, path) as temporary, h5py.File(temporary, "w") as file:
        yield file


def _check_attributes(argument: str, given: Any) -> None:
    if given is not None and not isinstance(given, Mapping):
        raise _hesse.ArgumentTypeError(
            f"save_hdf5: {argument} is of type {type(given).__name__}; expected a dict of values by name"
        )


def save_hdf5(
    path: Path,
    datasets: Mapping[str, Any],
    attributes: Mapping[str, Any] | None = None,
    dataset_attributes: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Writes arrays as datasets of an HDF5 file, whole or not at all.

    Parameters
    ----------
    path : path
    datasets : dict
        Arrays by name; "a/b" makes a group a.
    attributes : dict, optional
        Numbers and strings that belong to the file.
    dataset_attributes : dict, optional
        Such attributes of datasets, by their names.

    Raises
    ------
    ImportError
        Where h5py is not installed: it comes with ``pip install 'hesse[io]'``.

    Examples
    --------
    >>> import hesse as hs, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "field.h5")
    >>> hs.io.save_hdf5(path, {"x": hs.linspace(0.0, 1.0, 3)}, {"title": "an example"})
    >>> hs.io.load_hdf5(path)
    {'x': Array([0. , 0.5, 1. ], dtype=float64)}
    """
    if not isinstance(datasets, Mapping):
        raise _hesse.ArgumentTypeError(
            f"save_hdf5: datasets is of type {type(datasets).__name__}; expected a dict of arrays by name"
        )
    _check_attributes("attributes", attributes)
    _check_attributes("dataset_attributes", dataset_attributes)
    for name, some in (dataset_attributes or {}).items():
        _check_attributes(f"dataset_attributes[{name!r}]", some)
    arrays = {name: np.asarray(value) for name, value in datasets.items()}
    for name, array in arrays.items():
        if not isinstance(name, str) or not name.strip("/") or array.dtype.kind not in "biufc":
            raise _hesse.ArgumentTypeError(
                f"save_hdf5: dataset {name!r} is of dtype {array.dtype}; expected a name and an array of numbers"
            )
    with writing("save_hdf5", path) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        file.attrs.update(dict(attributes or {}))
        for name, some in (dataset_attributes or {}).items():
            if name not in file:
                raise _hesse.ArgumentError(f"save_hdf5: there is no dataset {name!r} to give attributes to")
            file[name].attrs.update(dict(some))


def load_hdf5(path: Path) -> dict[str, Array]:
    """The numeric datasets of an HDF5 file, by name ("group/name").

    What a dataset declares is held against what the file stores before memory is taken: gzip's and LZF's bytes cannot
    become more than 1032 and 88 times as many, those of scale-offset or of a plugin any number. Parts that were never
    written, as of netCDF's dimensions, are HDF5's fill value, but all together no more than 1032 times the file.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to Array

    Raises
    ------
    FileNotFoundError
    OSError
        For a folder, or without permission.
    ValueError
        Where the file is no HDF5 file, is truncated or damaged, or has a dataset that cannot be as large as it says,
        has its values in other files, or is of a dtype without a counterpart, naming the dataset.
    ImportError
        Where h5py is not installed.

    Examples
    --------
    >>> import hesse as hs
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "field.h5")
    >>> hs.io.save_hdf5(path, {"run/x": hs.array([1, 2])})
    >>> hs.io.load_hdf5(path)
    {'run/x': Array([1, 2], dtype=int64)}
    """
    h5py = require("h5py", "io", "load_hdf5")
    found: dict[str, Array] = {}
    filled = 0

    def visit(name: str, item: Any) -> None:
        nonlocal filled
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "biufc":
            return
        try:
            missing, says = unwritten(item)
            filled += missing
            if missing and filled > DEFLATE * os.path.getsize(path):
                raise _hesse.FormatError(f"{says}: the rest was never written; read parts of it with h5py")
            found[name] = _hesse.array(item[()])
        except _hesse.Error as error:
            raise _hesse.FormatError(f"load_hdf5: {os.fspath(path)}: {name} {error}") from None

    with reading("load_hdf5", path) as file:
        file.visititems(visit)
    return found
