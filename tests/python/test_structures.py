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
        ("1\nProperties=Z:I:1:pos:R:3\n119 0 0 0\n", r"line 3: Z must be 1 to 118, got 119"),
        ("1\nProperties=Z:I:1:pos:R:3\n0 0 0 0\n", r"line 3: Z must be 1 to 118, got 0"),
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
        ({"numbers": np.array([8, 0])}, r"numbers must be 1 to 118, got 0 at \[0, 1\]"),
        ({"numbers": np.array([[8, 1], [8, 1], [119, 1]])}, r"numbers must be 1 to 118, got 119 at \[2, 0\]"),
        (
            {"numbers": np.array([2**64 - 8, 1], np.uint64)},
            r"numbers must be 1 to 118, got 18446744073709551608",
        ),
        ({"cell": np.eye(3) > 0}, r"cell must be numbers, got bool"),
        ({"cell": np.diag([1, np.nan, 1])}, r"cell must be finite, got nan at \[1, 1\]"),
        ({"cell": np.full((3, 3, 3), np.inf)}, r"cell must be finite, got inf at \[0, 0, 0\]"),
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
        with pytest.raises(ValueError, match=r"load_structures: .*a\.h5 cannot be read as HDF5"):
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


@pytest.mark.parametrize("periodic", [[1, 0, 1], "yes", np.zeros((0,)), np.array([None, 1])[:0].astype("S1")])
def test_a_periodic_attribute_that_is_no_number_is_refused(tmp_path, periodic):
    path = tmp_path / "a.h5"
    hs.io.save_hdf5(path, FIXED, {"periodic": periodic})
    with pytest.raises(
        ValueError, match=r"load_structures: .*a\.h5: the attribute periodic must be one number, got"
    ):
        hs.io.load_structures(path)
    for value in (0, False, np.array([0])):
        hs.io.save_hdf5(path, FIXED, {"periodic": value})
        assert not hs.io.load_structures(path)[0].periodic.any()


def test_hdf5_that_cannot_be_opened_or_has_other_things(tmp_path):
    h5py = pytest.importorskip("h5py")
    with pytest.raises(OSError, match=r"load_structures: .* cannot be read: Is a directory"):
        hs.io.load_structures(tmp_path)
    path = tmp_path / "a.h5"
    for make, message in (
        (lambda file: file.create_dataset("x", data=np.array([b"\xff"])), r"x has a string that cannot be decoded"),
        (lambda file: file.create_dataset("x", data=[file.ref], dtype=h5py.ref_dtype), r"x is no dataset of numbers"),
        (lambda file: file.__setitem__("x", h5py.SoftLink("/none")), r"x cannot be opened"),
    ):  # fmt: skip
        with h5py.File(path, "w") as file:
            make(file)
        with pytest.raises(ValueError, match=rf"load_structures: .*a\.h5:? {message}"):
            hs.io.load_structures(path)


def test_labels_may_be_nan(tmp_path):
    text = '1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=nan stress="nan 1 inf"\nH 0 0 0 nan 1 nan\n'
    (s,) = hs.io.load_extxyz(put(tmp_path, text))
    np.testing.assert_array_equal(s.arrays["forces"], [[np.nan, 1, np.nan]])
    np.testing.assert_array_equal([s.info["energy"], *s.info["stress"]], [np.nan, np.nan, 1, np.inf])
    forces, energy = FIXED["forces"].copy(), FIXED["energy"].copy()
    forces[1], energy[2] = np.nan, np.nan
    hs.io.save_hdf5(tmp_path / "a.h5", {**FIXED, "forces": forces, "energy": energy})
    found = hs.io.load_structures(tmp_path / "a.h5")
    np.testing.assert_array_equal([s.arrays["forces"] for s in found], forces)
    np.testing.assert_array_equal([s.info["energy"] for s in found], energy)


# ---- HDF5 files of structures -------------------------------------------------------------------------------------------
def some(sizes, *, cell=True, seed=0, real=np.float64):
    rng = np.random.default_rng(seed)
    odd = np.array([-0.0, np.nan, np.inf, 5e-324, 1 / 3]).astype(real)
    return [
        hs.io.Structure(
            rng.integers(1, 119, n),
            rng.normal(size=(n, 3)).astype(real),
            rng.normal(size=(3, 3)) if cell else None,
            np.full(3, cell),
            {
                "forces": rng.choice(odd, (n, 3)),
                "tag": rng.integers(-9, 9, n).astype("i2"),
                "on": rng.random(n) > 0.5,
                "name": rng.choice(["C1", "Ångström", ""], n),
                "hessian": rng.normal(size=(n, 2, 3)).astype("f4"),
            },
            {"energy": rng.choice(odd), "step": k, "good": k % 2 == 0, "text": f"no {k} é", "stress": rng.normal(size=(3, 3))},
        )
        for k, n in enumerate(sizes)
    ]  # fmt: skip


def assert_same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype.kind == b.dtype.kind
    if a.dtype.kind == "U":
        assert a.tolist() == b.tolist()
    else:
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("sizes", [(4, 4, 4), (4, 1, 0, 7), (5,), (1, 1), (0, 0), (3, 3), (1, 3)])
@pytest.mark.parametrize("cell", [False, True])
@pytest.mark.parametrize("real", ["f2", "f4", "f8"])
def test_structures_are_read_bit_by_bit(tmp_path, sizes, cell, real):
    """(3, 3) with stress [3, 3] would be rows of atoms if they were stacked; of (1, 1) no layout can tell energies."""
    path, structures = tmp_path / "a.h5", some(sizes, cell=cell, real=real)
    if sizes == (1, 1):
        structures = [hs.io.Structure(s.numbers, s.positions, s.cell, s.periodic, s.arrays, {"energy": s.info["energy"]}) for s in structures]  # fmt: skip
    hs.io.save_structures(path, structures)
    found = hs.io.load_structures(path)
    for s, r in zip(structures, found, strict=True):
        assert_same(r.numbers, s.numbers)
        assert_same(r.positions, s.positions)
        assert_same(r.periodic, s.periodic)
        assert (r.cell is None) == (s.cell is None) and (
            s.cell is None or r.cell.tobytes() == s.cell.tobytes()
        )
        assert set(r.arrays) == set(s.arrays) and set(r.info) == set(s.info)
        for name, value in s.arrays.items():
            assert_same(r.arrays[name], value)
        for name, value in s.info.items():
            assert_same(r.info[name], value)
        assert "text" not in r.info or type(r.info["text"]) is str
    before = path.read_bytes()
    hs.io.save_structures(path, found)  # what is read can be written
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def one(**changes):
    fields = {"numbers": np.array([1, 8]), "positions": np.zeros((2, 3)), "info": {"energy": 1.0}}
    return hs.io.Structure(**{**fields, **changes})


@pytest.mark.parametrize(
    "structures, error, message",
    [
        ([], ValueError, "there are no structures"),
        (one(), TypeError, "structures must be a list of Structures, got one Structure"),
        (5, TypeError, "structures must be a list of Structures, got one int"),
        ([one(arrays=None)], TypeError, "structure 0: arrays must be a dict, got NoneType"),
        ([one(info={"q": [[1], [1, 2]]})], TypeError, r"structure 0: info\['q'\] is no array: "),
        ([one(info={"e": ["a\0", "b"]})], ValueError, r"structure 0: info\['e'\] has a text with a zero character"),
        ([3], TypeError, "structure 0 is a int, not a Structure"),
        ([one(numbers=np.array([0, 1]))], ValueError, "structure 0: positions must be finite, and numbers 1 to 118"),
        ([one(numbers=np.array([1.0, 1]))], ValueError, "structure 0: numbers must be integers"),
        ([one(), one(positions=np.zeros((1, 3)))], ValueError, r"structure 1: numbers must .* float64 of shape \(1, 3\)"),
        ([one(positions=np.zeros((2, 3), int))], ValueError, "structure 0: numbers must .* and int64 of shape"),
        ([one(positions=np.full((2, 3), np.nan))], ValueError, "structure 0: positions must be finite"),
        ([one(cell=np.eye(2))], ValueError, r"structure 0: cell must be \[3, 3\] finite"),
        ([one(cell=np.full((3, 3), np.inf))], ValueError, r"structure 0: cell must be \[3, 3\] finite"),
        ([one(periodic=np.ones(3, bool))], ValueError, "structure 0: it is periodic but has no cell"),
        ([one(cell=np.eye(3), periodic=np.array([True, False, True]))], ValueError, "structure 0: periodic must be three bools that are all the same, got .True, False, True.; save_extxyz"),
        ([one(cell=np.eye(3)), one()], ValueError, "structure 1: cell must be there for all structures or for none"),
        ([one(cell=np.eye(3)), one(cell=np.eye(3), periodic=np.ones(3, bool))], ValueError, "structure 1: periodic is True, but False before"),
        ([one(), one(info={})], ValueError, r"structure 1: info\['energy'\] must be there for all .*; nan may stand"),
        ([one(), one(arrays={"f": np.zeros(2)})], ValueError, r"structure 1: arrays\['f'\] must be there for all"),
        ([one(), one(info={"energy": 1})], ValueError, r"structure 1: info\['energy'\] is int64 of shape \(\), but float64"),
        ([one(), one(info={"energy": np.ones(2)})], ValueError, r"structure 1: info\['energy'\] is float64 of shape \(2,\), but"),
        ([one(), one(positions=np.zeros((2, 3), "f4"))], ValueError, "structure 1: positions is float32 of shape"),
        ([one(arrays={"f": np.zeros(3)})], ValueError, r"structure 0: arrays\['f'\] must be \[2, ...\], got shape \(3,\)"),
        ([one(arrays={"f": np.zeros(2, complex)})], TypeError, r"structure 0: arrays\['f'\] must be real numbers.* complex128"),
        ([one(info={"a": {}})], TypeError, r"structure 0: info\['a'\] must be real numbers, bools or texts, got dict"),
        ([one(info={"a": b"x"})], TypeError, r"structure 0: info\['a'\] must be real numbers"),
        ([one(info={"a": 2**70})], TypeError, r"structure 0: info\['a'\] must be real numbers"),
        ([one(info={"a": "x\0"})], ValueError, r"structure 0: info\['a'\] has a text with a zero character"),
        ([one(info={"a": "\ud800"})], ValueError, "'a' has a text that is no Unicode"),
        *(([one(info={key: 1})], ValueError, "structure 0: info has the key") for key in ("", ".", "a/b", "cell", "offsets", "a\0", 3)),
        ([one(arrays={"energy": np.zeros(2)})], ValueError, "structure 0: arrays and info both have the key 'energy'"),
        ([hs.io.Structure(np.ones(n, int), np.zeros((n, 3)), info={"e": 1.0}) for n in (0, 2)], ValueError, r"info\['e'\] of shape \(\) cannot be told from an array of the 2 atoms that 2 structures have; save_extxyz"),
        ([hs.io.Structure(np.ones(1, int), np.zeros((1, 3)), info={"e": 1.0, "d": [1.0]})], ValueError, r"info\['d'\] of shape \(1,\) cannot be told"),
    ],
)  # fmt: skip
def test_what_the_hdf5_layout_cannot_hold_is_refused(tmp_path, structures, error, message):
    with pytest.raises(error, match=f"^save_structures: {message}") as raised:
        hs.io.save_structures(tmp_path / "a.h5", structures)
    assert isinstance(raised.value, hs.Error) and not list(tmp_path.iterdir())


def test_structures_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    hs.io.save_structures(path, [one()])
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.File, "create_dataset", full)
    with pytest.raises(OSError, match=r"save_structures: .*a\.h5 cannot be written: No space left"):
        hs.io.save_structures(path, [one(), one()])
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    with pytest.raises(OSError, match=r"save_structures: .* cannot be written"):
        hs.io.save_structures(tmp_path / "none" / "a.h5", [one()])
