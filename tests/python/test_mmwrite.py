"""Files that `hs.sparse.mmwrite` writes: compressed ones too, and nothing left behind where it fails."""

import os

import numpy as np
import pytest

import hesse as hs

scipy_io = pytest.importorskip("scipy.io")
A = hs.sparse.csr([1.0, -2.5e-300, 1.0 / 3.0], [0, 2, 1], [0, 2, 3], (2, 3))
BEFORE = b"as before\n"


def test_several_heads_are_refused(tmp_path):
    a = hs.sparse.csr(np.ones((3, 2)), [0, 2, 1], [0, 2, 3], (2, 3))
    with pytest.raises(ValueError, match=r"^mmwrite: a has data of shape \(3, 2\).*a\.data\[:, 0\]"):
        hs.sparse.mmwrite(tmp_path / "a.mtx", a)
    assert list(tmp_path.iterdir()) == []
    hs.sparse.mmwrite(tmp_path / "a.mtx", a.replace(data=a.data[:, 0]))  # as the error says
    assert hs.sparse.mmread(tmp_path / "a.mtx").nnz == 3


@pytest.mark.parametrize("name", ["a.mtx", "a", "a.txt", "a.mtx.gz", "a.mtx.bz2"])
def test_what_is_written_is_read_bit_for_bit(tmp_path, name):
    (tmp_path / name).write_bytes(BEFORE)
    hs.sparse.mmwrite(tmp_path / name, A, comment="of a test\nin two lines")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    back = hs.sparse.mmread(tmp_path / name)
    assert back.shape == A.shape
    np.testing.assert_array_equal(np.asarray(back.todense()), np.asarray(A.todense()))
    content = (tmp_path / name).read_bytes()
    assert content.startswith(
        {"gz": b"\x1f\x8b", "z2": b"BZ"}.get(name[-2:], b"%%MatrixMarket matrix coordinate real")
    )


def test_a_file_has_the_rights_of_others(tmp_path):
    hs.sparse.mmwrite(tmp_path / "a.mtx", A)
    (tmp_path / "b").touch()
    assert (tmp_path / "a.mtx").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("step", ["mmwrite", "fsync", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk", "stop"]
)
def test_nothing_is_left_behind(tmp_path, monkeypatch, step, there, error):
    """The target is as before: absent, or with its old content."""
    file, tried = tmp_path / "a.mtx", []
    if there:
        file.write_bytes(BEFORE)

    def fails(target, *_, **__):
        if step == "mmwrite":
            target.write(b"%%MatrixMarket")
        tried.append(sorted(p.name for p in tmp_path.iterdir()))
        raise error

    monkeypatch.setattr(scipy_io if step == "mmwrite" else os, step, fails)
    with pytest.raises(type(error)) as raised:
        hs.sparse.mmwrite(file, A)
    monkeypatch.undo()
    assert len(tried) == 1 and (step == "mmwrite" or len(tried[0]) == 1 + there)  # with the temporary file
    if step != "mmwrite" and isinstance(error, OSError):
        assert str(raised.value) == f"mmwrite: {file} cannot be written: No space left on device"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mtx"] * there
    assert not there or file.read_bytes() == BEFORE


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", tmp_path / "none" / "a.mtx"):
        with pytest.raises(OSError, match=f"^mmwrite: {place} cannot be written: "):
            hs.sparse.mmwrite(place, A)
    with pytest.raises(TypeError, match="^mmwrite: comment must be text, got int"):
        hs.sparse.mmwrite(tmp_path / "a.mtx", A, comment=3)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    assert list((tmp_path / "folder").iterdir()) == []


def test_compressed_files_have_the_same_bytes_every_time(tmp_path):
    """Without the time, and the name of a temporary file, which gzip would note."""
    for suffix in ("gz", "bz2"):
        files = [tmp_path / f"{name}.mtx.{suffix}" for name in "ab"]
        for file in files:
            hs.sparse.mmwrite(file, hs.sparse.from_dense(np.eye(3)))
        assert files[0].read_bytes() == files[1].read_bytes()
        assert b"tmp" not in files[0].read_bytes()
    with pytest.raises(ValueError, match="mmwrite: comment is no Unicode"):
        hs.sparse.mmwrite(tmp_path / "c.mtx", hs.sparse.from_dense(np.eye(3)), comment="\ud800")
