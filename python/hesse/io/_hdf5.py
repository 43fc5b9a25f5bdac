"""HDF5 files through h5py."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _hesse
from .._extras import require
from .._hesse import Array

__all__ = ["load_hdf5", "save_hdf5"]

Path = str | os.PathLike[str]


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
    h5py = require("h5py", "io", "save_hdf5")
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with h5py.File(temporary, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array)
            file.attrs.update(dict(attributes or {}))
            for name, some in (dataset_attributes or {}).items():
                if name not in file:
                    raise _hesse.ArgumentError(
                        f"save_hdf5: there is no dataset {name!r} to give attributes to"
                    )
                file[name].attrs.update(dict(some))
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            reason = error.strerror or "the folder is missing or cannot be written to"
            raise _hesse.FileError(f"save_hdf5: {path} cannot be written: {reason}") from error
        raise


def load_hdf5(path: Path) -> dict[str, Array]:
    """The numeric datasets of an HDF5 file, by name ("group/name").

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to Array

    Raises
    ------
    FileNotFoundError
    ValueError
        Where the file is no HDF5 file, or is truncated.
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
    path = os.fspath(path)
    if not os.path.exists(path):
        raise _hesse.FileMissingError(f"load_hdf5: there is no file {path}")
    try:
        with open(path, "rb"):
            pass
    except OSError as error:  # a folder, or no permission
        raise _hesse.FileError(f"load_hdf5: {path} cannot be read: {error.strerror}") from error
    found: dict[str, Array] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "biufc":
            found[name] = _hesse.array(item[()])

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except OSError as error:
        raise _hesse.FormatError(
            f"load_hdf5: {path} cannot be read as HDF5: it is no such file, or is truncated"
        ) from error
    return found
