"""What saving and loading HDF5 files refuses."""

import numpy as np
import pytest

import hesse as hs

pytest.importorskip("h5py")


def test_refusals(tmp_path):
    with pytest.raises(OSError, match=rf"^load_hdf5: {tmp_path} cannot be read: Is a directory$"):
        hs.io.load_hdf5(tmp_path)
    with pytest.raises(FileNotFoundError, match="^load_hdf5: there is no file"):
        hs.io.load_hdf5(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    with pytest.raises(
        ValueError,
        match=r"^load_hdf5: .*text\.h5 cannot be read as HDF5: it is no such file, or is truncated$",
    ):
        hs.io.load_hdf5(text)
    path = tmp_path / "a.h5"
    for bad, got in ((hs.ones(2), "Array"), ([1.0], "list"), (None, "NoneType")):
        with pytest.raises(
            TypeError, match=f"^save_hdf5: datasets is of type .*{got}; expected a dict of arrays by name"
        ):
            hs.io.save_hdf5(path, bad)
    for name, value in ((1, hs.ones(2)), ("", hs.ones(2)), ("a", "text"), ("a", np.array([None]))):
        with pytest.raises(
            TypeError,
            match=f"^save_hdf5: dataset {name!r} is of dtype .*; expected a name and an array of numbers",
        ):
            hs.io.save_hdf5(path, {name: value})
    for where in (tmp_path, tmp_path / "none" / "a.h5"):
        with pytest.raises(OSError, match="^save_hdf5: .* cannot be written: "):
            hs.io.save_hdf5(where, {"a": hs.ones(2)})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["text.h5"]  # nothing is left half-way


@pytest.mark.parametrize(
    "name,given",
    [
        ("attributes", (3,)),
        ("dataset_attributes", (None, 5)),
        (r"dataset_attributes\['a'\]", (None, {"a": 2})),
    ],
)
def test_attributes_that_are_no_dicts_are_refused(tmp_path, name, given):
    with pytest.raises(TypeError, match=rf"^save_hdf5: {name} is of type int; expected a dict"):
        hs.io.save_hdf5(tmp_path / "a.h5", {"a": hs.ones(2)}, *given)
    assert not list(tmp_path.iterdir())
