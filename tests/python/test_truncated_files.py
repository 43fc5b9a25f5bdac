"""Files of other formats that end too early are refused."""

import numpy as np
import pytest

import hesse as hs

VALUES = np.arange(4000.0).reshape(40, 100) ** 1.5


def cuts(size):
    """Lengths all over the file, those near its ends more densely."""
    return sorted(
        {1, 7, 8, 64, size - 1, size - 8, size - 64, *np.linspace(1, size - 1, 25).astype(int).tolist()}
    )


def test_hdf5(tmp_path):
    pytest.importorskip("h5py")
    path, short = tmp_path / "whole.h5", tmp_path / "short.h5"
    hs.io.save_hdf5(path, {"a": hs.asarray(VALUES), "group/b": hs.arange(10)}, {"title": "a test"})
    content = path.read_bytes()
    assert hs.array_equal(hs.io.load_hdf5(path)["a"], hs.asarray(VALUES))
    for n in cuts(len(content)):
        short.write_bytes(content[:n])
        with pytest.raises(ValueError, match=r"load_hdf5: .*short\.h5 cannot be read as HDF5"):
            hs.io.load_hdf5(short)


@pytest.mark.parametrize("version, compressed", [("4", False), ("5", False), ("5", True)])
def test_mat(tmp_path, version, compressed):
    scipy_io = pytest.importorskip("scipy.io")
    path, short = tmp_path / "whole.mat", tmp_path / "short.mat"
    scipy_io.savemat(path, {"a": VALUES}, format=version, do_compression=compressed)
    content = path.read_bytes()
    assert hs.array_equal(hs.io.load_mat(path)["a"], hs.asarray(VALUES))
    for n in cuts(len(content)):
        short.write_bytes(content[:n])
        with pytest.raises(ValueError, match=r"load_mat: .*short\.mat cannot be read"):
            hs.io.load_mat(short)


@pytest.mark.parametrize("name", ["h5", "mat"])
def test_an_empty_file(tmp_path, name):
    pytest.importorskip("h5py" if name == "h5" else "scipy.io")
    path = tmp_path / f"empty.{name}"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read"):
        (hs.io.load_hdf5 if name == "h5" else hs.io.load_mat)(path)
