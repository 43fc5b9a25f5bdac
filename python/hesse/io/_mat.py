"""MATLAB files, through SciPy."""

from __future__ import annotations

import os

from .. import _hesse
from .._extras import require
from .._hesse import Array

__all__ = ["load_mat"]


def load_mat(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The numeric variables of a MATLAB file of version 4 to 7 (7.3 is HDF5: `load_hdf5`).

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
        Where the file is not what it claims to be.
    ImportError
        Where SciPy is not installed: it comes with ``pip install 'hesse[io]'``.

    Examples
    --------
    >>> import hesse as hs
    >>> import tempfile, os, scipy.io
    >>> path = os.path.join(tempfile.mkdtemp(), "field.mat")
    >>> scipy.io.savemat(path, {"x": [[1.0, 2.0]]})
    >>> hs.io.load_mat(path)
    {'x': Array([[1., 2.]], dtype=float64)}
    """
    scipy_io = require("scipy.io", "io", "load_mat")
    path = os.fspath(path)
    if not os.path.exists(path):
        raise _hesse.FileMissingError(f"load_mat: there is no file {path}")
    try:
        variables = scipy_io.loadmat(path)
    except Exception as error:  # SciPy raises ValueError, TypeError, struct.error, zlib.error and others here
        raise _hesse.FormatError(f"load_mat: {path} cannot be read as a MATLAB file: {error}") from error
    return {
        name: _hesse.array(value)
        for name, value in variables.items()
        if not name.startswith("__")
        and getattr(value, "dtype", None) is not None
        and value.dtype.kind in "biufc"
    }
