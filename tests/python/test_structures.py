"""Extended XYZ and HDF5 files of structures: what they say, and every way in which they can be wrong."""

import numpy as np
import pytest

import hesse as hs

GOOD = """2
Lattice="2 0 0 1 3 0 0 0 4" Properties=species:S:1:pos:R:3:forces:R:3:tag:I:1:fixed:L:1 energy=-1.5e0 step=3 \
name='a b' virial="1 2.5 3" pbc="T F T" done
Si 0 0.5 1e-1 1 2 3 7 T
O  1 -2  .25  4 5 6 -8 F

"""


def put(tmp_path, text, name="a.xyz"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_what_a_file_says(tmp_path):
    (s,) = hs.io.load_extxyz(put(tmp_path, GOOD))
    assert s.numbers.tolist() == [14, 8] and s.periodic.tolist() == [True, False, True]
    np.testing.assert_array_equal(s.positions, [[0, 0.5, 0.1], [1, -2, 0.25]])
    np.testing.assert_array_equal(s.cell, [[2, 0, 0], [1, 3, 0], [0, 0, 4]])
    np.testing.assert_array_equal(s.arrays["forces"], [[1, 2, 3], [4, 5, 6]])
    assert s.arrays["tag"].tolist() == [7, -8] and s.arrays["fixed"].tolist() == [True, False]
    virial = s.info.pop("virial")
    assert virial.tolist() == [1, 2.5, 3]
    assert s.info == {"energy": -1.5, "step": 3, "name": "a b", "done": True}


def test_several_structures_and_plain_xyz(tmp_path):
    found = hs.io.load_extxyz(put(tmp_path, "1\r\na comment\r\nHe 0 0 1\r\n0\n\n" + GOOD))
    assert [len(s.numbers) for s in found] == [1, 0, 2]
    assert found[0].cell is None and not found[0].periodic.any() and found[0].info == {}
    (s,) = hs.io.load_extxyz(put(tmp_path, '1\nLattice="1 0 0 0 1 0 0 0 1"\nHe 0 0 1\n'))
    assert s.periodic.all()


ATOM = "H 0 0 0\n"
HEAD = "Properties=species:S:1:pos:R:3"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", r"is empty"),
        ("x\n\n", r"line 1: must be a number of atoms, got 'x'"),
        ("-1\n\n", r"line 1: must be a number of atoms, got '-1'"),
        ("99999999999999\n\n" + ATOM, r"line 1: announces 99999999999999 atoms, but 1 lines follow"),
        ("1", r"line 1: announces 1 atoms, but 0 lines follow"),
        ("2\n\n" + ATOM, r"line 1: announces 2 atoms, but 1 lines follow"),
        ("1\n\n" + ATOM + ATOM, r"line 4: must be a number of atoms, got 'H 0 0 0'"),
        (GOOD.strip()[:-4], r"line 4: must have 9 columns, got 7"),
        ("1\n" + HEAD + "\nH 0 0\n", r"line 3: must have 4 columns, got 3"),
        ("1\n" + HEAD + "\nH 0 0 x\n", r"line 3: pos must be a number, got '0 0 x'"),
        ("1\n" + HEAD + "\nH 0 0 1_0\n", r"line 3: pos must be a number, got '0 0 1_0'"),
        ("1\n" + HEAD + "\nH 0 0 nan\n", r"line 3: pos must be finite"),
        ("1\n" + HEAD + "\nQq 0 0 0\n", r"line 3: 'Qq' is no chemical element"),
        ("1\n" + HEAD + ":id:I:1\nH 0 0 0 1.5\n", r"line 3: id must be an integer, got '1.5'"),
        ("1\n" + HEAD + ":on:L:1\nH 0 0 0 2\n", r"line 3: on must be T or F, got '2'"),
        ("1\nProperties=species:S:1:pos:R\n" + ATOM, r"line 2: Properties=.* must be name:kind:count"),
        ("1\nProperties=species:S:1:pos:Q:3\n" + ATOM, r"line 2: Properties=.* must be name:kind:count"),
        ("1\nProperties=species:S:1:pos:R:0\n" + ATOM, r"line 2: Properties=.* must be name:kind:count"),
        ("1\nProperties=species:S:1:x:R:3\n" + ATOM, r"line 2: Properties=.* must have pos:R:3"),
        ("1\n" + HEAD + ":pos:R:3\n" + ATOM, r"line 2: Properties=.* names a column twice"),
        ("1\n" + HEAD + " a=1 a=2\n" + ATOM, r"line 2: has the key 'a' twice"),
        ("1\n" + HEAD + ' Lattice="1 0 0\n' + ATOM, r"line 2: cannot be read as key=value from 'Lattice="),
        ("1\n" + HEAD + ' Lattice="1 0 0"\n' + ATOM, r"line 2: Lattice must be nine numbers"),
        ("1\n" + HEAD + ' Lattice="1 0 0 0 1 0 0 0 nan"\n' + ATOM, r"line 2: Lattice must be finite"),
        ("1\n" + HEAD + ' pbc="T T"\n' + ATOM, r"line 2: pbc must be three of T and F"),
        ("1\n" + HEAD + ' pbc="T T T"\n' + ATOM, r"line 2: is periodic by its pbc, but has no Lattice"),
    ],
)
def test_malformed_files_are_refused_with_their_line(tmp_path, text, message):
    path = put(tmp_path, text)
    with pytest.raises(ValueError, match=rf"load_extxyz: .*a\.xyz.* ?{message}"):
        hs.io.load_extxyz(path)


def test_a_file_cut_at_any_byte_is_refused_or_has_its_atoms(tmp_path):
    (whole,) = hs.io.load_extxyz(put(tmp_path, GOOD))
    text = GOOD.strip()
    for k in range(len(text) - 1):
        try:
            hs.io.load_extxyz(put(tmp_path, text[:k]))
        except ValueError:
            continue
        raise AssertionError(f"cut after {text[:k]!r}")
    assert len(whole.numbers) == 2


def test_files_that_are_missing_or_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"load_extxyz: there is no file"):
        hs.io.load_extxyz(tmp_path / "none")
    with pytest.raises(OSError, match=r"load_extxyz: .* cannot be read"):
        hs.io.load_extxyz(tmp_path)
    (tmp_path / "b").write_bytes(b"1\n\n\xff\xfe")
    with pytest.raises(ValueError, match=r"is no text in UTF-8"):
        hs.io.load_extxyz(tmp_path / "b")


FIXED = {
    "numbers": np.array([8, 1]),
    "positions": np.arange(18.0).reshape(3, 2, 3),
    "forces": -np.arange(18.0).reshape(3, 2, 3),
    "energy": np.arange(3.0),
    "cell": np.eye(3) * np.array([1.0, 2.0, 3.0])[:, None, None],
}
JOINED = {
    "numbers": np.array([8, 1, 6]),
    "positions": np.arange(9.0).reshape(3, 3),
    "offsets": np.array([0, 2, 3]),
    "energy": np.arange(2.0),
    "forces": np.ones((3, 3)),
}


def test_hdf5_of_equal_and_of_different_sizes(tmp_path):
    path = tmp_path / "a.h5"
    hs.io.save_hdf5(path, FIXED)
    found = hs.io.load_structures(path)
    assert [s.info for s in found] == [{"energy": e} for e in range(3)]
    for k, s in enumerate(found):
        np.testing.assert_array_equal(s.positions, FIXED["positions"][k])
        np.testing.assert_array_equal(s.arrays["forces"], FIXED["forces"][k])
        np.testing.assert_array_equal(s.cell, np.eye(3) * (k + 1))
        assert s.numbers.tolist() == [8, 1] and s.periodic.all() and list(s.arrays) == ["forces"]
    hs.io.save_hdf5(path, JOINED, {"periodic": 0})
    found = hs.io.load_structures(path)
    assert [s.numbers.tolist() for s in found] == [[8, 1], [6]] and found[1].cell is None
    np.testing.assert_array_equal(found[1].positions, [[6, 7, 8]])
    assert not found[0].periodic.any() and found[0].arrays["forces"].shape == (2, 3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"positions": None}, r"there is no dataset positions"),
        ({"numbers": None}, r"there is no dataset numbers"),
        ({"numbers": np.array([8, 1, 1])}, r"numbers of shape \(3,\) must be \(3, 2\)"),
        ({"numbers": np.array([8.0, 1.0])}, r"numbers must be integers"),
        ({"positions": np.zeros((3, 2, 2))}, r"positions must be \[F, N, 3\] without offsets"),
        ({"positions": np.full((3, 2, 3), np.nan)}, r"positions must be finite"),
        ({"cell": np.eye(2)}, r"cell must be \[3, 3\] or \[3, 3, 3\], got shape \(2, 2\)"),
        ({"energy": np.zeros(4)}, r"energy of shape \(4,\) has a row neither for each of 3 structures"),
        (
            {**JOINED, "offsets": np.array([0, 2, 4]), "cell": None},
            r"offsets must rise from 0 to the 3 atoms",
        ),
        ({**JOINED, "offsets": np.array([0, 3, 2, 3]), "cell": None}, r"offsets must rise"),
        ({"offsets": np.array([0, 2])}, r"positions must be \[atoms, 3\] with offsets"),
        ({"a/b": np.zeros(3)}, r"a is no dataset of numbers or strings"),
    ],
)
def test_hdf5_of_another_layout_is_refused(tmp_path, changes, message):
    path = tmp_path / "a.h5"
    hs.io.save_hdf5(path, {k: v for k, v in {**FIXED, **changes}.items() if v is not None})
    with pytest.raises(ValueError, match=rf"load_structures: .*a\.h5: {message}"):
        hs.io.load_structures(path)


def test_truncated_hdf5_and_datasets_without_values(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    hs.io.save_hdf5(path, FIXED)
    whole = path.read_bytes()
    for k in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:k])
        with pytest.raises(ValueError, match=r"load_structures: .*a\.h5: it cannot be read as HDF5"):
            hs.io.load_structures(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("positions", (10**9, 10**3, 3), "f4")
    with pytest.raises(
        ValueError, match=r"positions of shape .* needs 12000000000000 bytes, the file holds 0"
    ):
        hs.io.load_structures(path)
    with pytest.raises(FileNotFoundError, match=r"load_structures: there is no file"):
        hs.io.load_structures(tmp_path / "none")


def test_what_is_written_is_read(tmp_path):
    rng = np.random.default_rng(0)
    none = np.zeros(3, bool)
    info = {
        "energy": -1 / 3,
        "step": 3,
        "on": True,
        "text": 'a "b" c\\d=e',
        "list": np.array([1.5, 2]),
        "word": "Bulk",
    }
    arrays = {
        "forces": rng.normal(size=(5, 3)) * 1e-7,
        "tag": np.arange(5),
        "fixed": np.arange(5) > 2,
        "kind": np.array(list("abcde")),
    }
    structures = [
        hs.io.Structure(
            np.array([1, 8, 14, 118, 1]),
            rng.normal(size=(5, 3)),
            rng.normal(size=(3, 3)),
            ~none,
            arrays,
            info,
        ),
        hs.io.Structure(np.zeros(0, int), np.zeros((0, 3)), None, none, {}, {}),
        hs.io.Structure(np.array([2]), np.ones((1, 3), np.float32) / 3, None, none, {}, {}),
    ]
    path = tmp_path / "a.xyz"
    hs.io.save_extxyz(path, structures)
    for s, r in zip(structures, hs.io.load_extxyz(path), strict=True):
        for name in ("numbers", "positions", "periodic"):
            np.testing.assert_array_equal(getattr(r, name), getattr(s, name))
        assert (r.cell is None) == (s.cell is None) and (s.cell is None or (r.cell == s.cell).all())
        assert list(r.arrays) == list(s.arrays) and list(r.info) == list(s.info)
        for name, value in s.arrays.items():
            np.testing.assert_array_equal(r.arrays[name], value)
        for name, value in s.info.items():
            np.testing.assert_array_equal(r.info[name], value)
    assert [p.name for p in tmp_path.iterdir()] == ["a.xyz"]


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"numbers": np.array([0])}, ValueError, r"numbers 1 to 118"),
        ({"positions": np.zeros((2, 3))}, ValueError, r"got shapes \(1,\) and \(2, 3\)"),
        ({"positions": np.full((1, 3), np.nan)}, ValueError, r"positions must be finite"),
        ({"cell": np.eye(2)}, ValueError, r"cell must be \[3, 3\]"),
        ({"periodic": np.ones(3, bool)}, ValueError, r"it is periodic but has no cell"),
        ({"arrays": {"a b": np.zeros(1)}}, ValueError, r"arrays has the key 'a b'"),
        ({"arrays": {"a": np.zeros(2)}}, ValueError, r"arrays\['a'\] must be \[1\] or \[1, K\]"),
        ({"arrays": {"a": np.array(["x y"])}}, ValueError, r"must have words without spaces"),
        ({"info": {"pbc": 1}}, ValueError, r"info has the key 'pbc'"),
        ({"info": {"a": {}}}, TypeError, r"info\['a'\] must be a number"),
        ({"info": {"a": "x\ny"}}, ValueError, r"has a line break"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, changes, error, message):
    fields = {
        "numbers": np.array([1]), "positions": np.zeros((1, 3)), "cell": None, "periodic": np.zeros(3, bool),
        "arrays": {}, "info": {}, **changes,
    }  # fmt: skip
    with pytest.raises(error, match=rf"save_extxyz: structure 0.*{message}"):
        hs.io.save_extxyz(tmp_path / "a.xyz", [hs.io.Structure(**fields)])
    assert not list(tmp_path.iterdir())


def test_nothing_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"save_extxyz: there are no structures"):
        hs.io.save_extxyz(tmp_path / "a.xyz", [])
    with pytest.raises(TypeError, match=r"save_extxyz: structure 0 is a int, not a Structure"):
        hs.io.save_extxyz(tmp_path / "a.xyz", [3])
    (s,) = hs.io.load_extxyz(put(tmp_path, GOOD))
    with pytest.raises(OSError, match=r"save_extxyz: .* cannot be written"):
        hs.io.save_extxyz(tmp_path / "none" / "a.xyz", [s])
