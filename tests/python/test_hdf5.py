"""What saving and loading HDF5 files refuses."""

import numpy as np
import pytest

import hesse as hs

h5py = pytest.importorskip("h5py")


def test_refusals(tmp_path):
    with pytest.raises(OSError, match=rf"^load_hdf5: {tmp_path} cannot be read: Is a directory$"):
        hs.io.load_hdf5(tmp_path)
    with pytest.raises(FileNotFoundError, match="^load_hdf5: there is no file"):
        hs.io.load_hdf5(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    with pytest.raises(
        ValueError,
        match=r"^load_hdf5: .*text\.h5 cannot be read as HDF5: it is no such file, or is truncated or damaged$",
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


# ---- counts and sizes ----------------------------------------------------------------------------------------------------
ZEROS = np.zeros((1000, 100))
KINDS = {
    "chunked": {"chunks": (30, 7)},
    "gzip": {"chunks": (1000, 100), "compression": "gzip", "compression_opts": 9},
    "shuffled": {"chunks": (30, 7), "compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"chunks": (100, 100), "compression": "lzf"},
    "growing": {"chunks": (30, 7), "maxshape": (None, None)},
    "contiguous": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_datasets_of_all_layouts_are_read(tmp_path, kind):
    path = tmp_path / "a.h5"
    values = {
        "zeros": ZEROS,
        "noise": np.random.default_rng(0).normal(size=(91, 40)),
        "none": np.zeros((0, 3)),
    }
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            some = KINDS[kind] if value.size else {}
            file.create_dataset(
                name,
                data=value,
                **{**some, **({"chunks": (30, 7)} if "chunks" in some and name == "noise" else {})},
            )
        file.create_dataset("numbers", data=np.zeros((1000, 100), "i4"), chunks=(500, 100), scaleoffset=0)
        file.create_dataset("empty", shape=(0, 3), maxshape=(None, 3), dtype="f8")
    found = hs.io.load_hdf5(path)
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)
    assert found["numbers"].shape == (1000, 100) and found["empty"].shape == (0, 3)


@pytest.mark.parametrize(
    "load, shape", [(hs.io.load_hdf5, (10**9, 10**3, 3)), (hs.io.load_structures, (10**9, 10**3, 3))]
)
@pytest.mark.parametrize(
    "some", [{"chunks": (1000, 10, 3)}, {"chunks": (1000, 10, 3), "compression": "gzip"}, {"chunks": (1000, 10, 3), "scaleoffset": 3}, {}],
    ids=["chunked", "gzip", "scale-offset", "contiguous"],
)  # fmt: skip
def test_shapes_that_the_file_cannot_hold_are_refused(tmp_path, load, shape, some):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        item = file.create_dataset("positions", shape, "f8", **some)
        if some:
            item[:1000, :10] = 1.0
    with pytest.raises(
        ValueError,
        match=rf"{load.__name__}: .*a\.h5: positions of shape \(1000000000, 1000, 3\) needs 24000000000000 bytes, the file holds \d+.*: the rest was never written",
    ):
        load(path)


def test_bytes_that_cannot_become_so_many_are_refused(tmp_path):
    """A shape that was changed in the file: all of its chunks are there, and too small."""
    path = tmp_path / "a.h5"
    some = {"compression": "gzip", "chunks": (1 << 24,)}
    with h5py.File(path, "w") as file:
        item = file.create_dataset("a", (1 << 24,), "f8", **some)
        item.id.write_direct_chunk((0,), b"x" * 50)
    assert path.stat().st_size < 10_000
    with pytest.raises(
        ValueError,
        match=r"load_hdf5: .*a\.h5: a of shape \(16777216,\) needs 134217728 bytes, the file holds 50 in 1 of 1 chunks, compressed, which cannot be so much",
    ):
        hs.io.load_hdf5(path)
    with pytest.raises(ValueError, match=r"load_structures: .*a\.h5: a of shape .* cannot be so much"):
        hs.io.load_structures(path)


@pytest.mark.parametrize("load", [hs.io.load_hdf5, hs.io.load_structures])
def test_forged_sizes_are_refused(tmp_path, load):
    """The shape of a contiguous dataset, and what is said to be stored of a compressed one."""
    path = tmp_path / "a.h5"
    hs.io.save_hdf5(path, {"a": np.ones(12345)})
    forged = path.read_bytes().replace((12345).to_bytes(8, "little"), (10**12).to_bytes(8, "little"))
    path.write_bytes(forged)
    with pytest.raises(ValueError, match=rf"^{load.__name__}: .*a\.h5"):
        load(path)
    path.write_bytes(forged.replace((98760).to_bytes(8, "little"), (8 * 10**12).to_bytes(8, "little")))
    with pytest.raises(ValueError, match=rf"^{load.__name__}: .*a\.h5"):
        load(path)
    with h5py.File(path, "w") as file:
        item = file.create_dataset("a", (1 << 24,), "f8", compression="gzip", chunks=(1 << 24,))
        item.id.write_direct_chunk((0,), b"x" * 50)
    whole, key = path.read_bytes(), (50).to_bytes(4, "little") + bytes(12)  # size, filters, place
    assert whole.count(key) == 1
    path.write_bytes(whole.replace(key, (1 << 31).to_bytes(4, "little") + bytes(12)))
    message = r"a of shape \(16777216,\) needs 134217728 bytes, the file holds 2147483648 by its own account, but has \d+"
    with pytest.raises(ValueError, match=rf"^{load.__name__}: .*a\.h5: {message}"):
        load(path)


def test_parts_that_were_never_written(tmp_path):
    """As of netCDF's dimensions without values: fill values, as long as they are no more than a file may declare."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("dimension", (180,), ">f4")
        item = file.create_dataset("half", (100,), "f8", chunks=(10,), fillvalue=7.0)
        item[:50] = np.arange(50)
    found = hs.io.load_hdf5(path)
    np.testing.assert_array_equal(found["dimension"], np.zeros(180))
    np.testing.assert_array_equal(found["half"], [*range(50), *[7.0] * 50])
    with pytest.raises(ValueError, match=r"load_structures: .*a\.h5: dimension of shape .* never written"):
        hs.io.load_structures(path)
    with h5py.File(path, "a") as file:  # each of them alone is allowed, all of them are not
        allowed = 1000 * path.stat().st_size // 8
        for k in range(3):
            file.create_dataset(f"part{k}", (allowed // 2,), "f8", chunks=(1000,))
    with pytest.raises(ValueError, match=r"part\d of shape .* the rest was never written; read parts"):
        hs.io.load_hdf5(path)


def test_values_in_other_files_and_none_are_refused(tmp_path):
    path, other = tmp_path / "a.h5", tmp_path / "other"
    other.write_bytes(b"\0" * 80)
    for make, message in (
        (lambda file: file.create_dataset("a", (10,), "f8", external=[(str(other), 0, 80)]), "has its values in other files"),
        (lambda file: file.create_virtual_dataset("a", h5py.VirtualLayout((10**12,), "f8")), "has its values in other files"),
        (lambda file: file.create_dataset("a", data=h5py.Empty("f8")), "has no values"),
        (lambda file: file.create_dataset("a", data=np.float16([1])), "dtype float16 has no counterpart"),
    ):  # fmt: skip
        with h5py.File(path, "w") as file:
            make(file)
        with pytest.raises(ValueError, match=rf"load_hdf5: .*a\.h5: a .*{message}"):
            hs.io.load_hdf5(path)


def test_what_memory_cannot_hold_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    hs.io.save_hdf5(path, {"a": hs.ones(2)})

    def none(*_):
        raise MemoryError("no more")

    monkeypatch.setattr(h5py.Dataset, "__getitem__", none)
    for load in (hs.io.load_hdf5, hs.io.load_structures):
        with pytest.raises(ValueError, match=rf"{load.__name__}: .*a\.h5 does not fit into memory: no more"):
            load(path)


# ---- damaged files -------------------------------------------------------------------------------------------------------
def small_file(path):
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "positions", data=np.arange(18.0).reshape(3, 2, 3), chunks=(1, 2, 3), compression="gzip"
        )
        file.create_dataset("numbers", data=np.array([8, 1]))
        file.create_dataset("energy", data=np.arange(3.0), chunks=(2,))
        file.create_dataset("text", data=np.array([b"one", b"two", b"three"]))
        file.create_dataset("cell", data=np.eye(3))
        file.attrs["periodic"] = 1


LOADERS = (hs.io.load_hdf5, hs.io.load_structures)


def refused_or_read(path, what):
    for load in LOADERS:
        try:
            load(path)
        except ValueError as error:
            assert str(error).startswith(f"{load.__name__}: {path}"), (what, error)
            assert isinstance(error, hs.Error), (what, error)
        except BaseException as error:
            raise AssertionError(f"{load.__name__} of a file with {what}: {error!r}") from error


def test_overwritten_superblocks(tmp_path):
    path = tmp_path / "a.h5"
    small_file(path)
    whole = path.read_bytes()
    for at in range(96):
        for value in (0, 0xFF, whole[at] ^ 0x10):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            refused_or_read(path, f"byte {at} = {value}")
        path.write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
        refused_or_read(path, f"bytes from {at} = 255")


def test_random_flips_of_bits(tmp_path):
    """Without strings of variable length: HDF5 2.0 has no end in a heap whose free space is said to be too small."""
    path = tmp_path / "a.h5"
    small_file(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    places = np.flatnonzero(np.frombuffer(whole, np.uint8))  # zeros lie between the parts, mostly
    for k in range(1500):
        changed = bytearray(whole)
        for at in rng.choice(places, rng.integers(1, 4)):
            changed[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        refused_or_read(path, f"flips {k}")
