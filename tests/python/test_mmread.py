"""MatrixMarket files that claim more than they hold or than memory has room for, and compressed ones that are damaged."""

import bz2
import gzip

import numpy as np
import pytest

import hesse as hs

pytest.importorskip("scipy.io")
HEAD = "%%MatrixMarket matrix coordinate real general\n% a comment\n\n"
GOOD = HEAD + "3 2 3\n1 1 1.5\n3 2 -2.0\n2 1 4.0\n"
PACK = {"a.mtx": bytes, "a.mtx.gz": gzip.compress, "a.mtx.bz2": bz2.compress}
PACKED = ["a.mtx.gz", "a.mtx.bz2"]


def put(tmp_path, name, text):
    (tmp_path / name).write_bytes(PACK[name](text.encode()))
    return tmp_path / name


def refused(path, message):
    with pytest.raises(hs.FormatError, match=rf"^mmread: {path}: {message}"):
        hs.sparse.mmread(path)


@pytest.mark.parametrize("name", PACK)
def test_good_files(tmp_path, name):
    found = hs.sparse.mmread(put(tmp_path, name, GOOD))
    np.testing.assert_array_equal(found.todense(), [[1.5, 0], [4, 0], [0, -2]])
    short = (
        "%%MatrixMarket matrix coordinate pattern general\n9 9 4\n" + "1 1\n2 2\n3 3\n4 4"
    )  # as short as can be
    assert hs.sparse.mmread(put(tmp_path, name, short)).nnz == 4
    assert hs.sparse.mmread(put(tmp_path, name, HEAD + "0 0 0\n")).shape == (0, 0)
    many = HEAD + "500 500 90000\n" + "".join(f"{k // 300 + 1} {k % 300 + 1} {k}\n" for k in range(90000))
    assert hs.sparse.mmread(put(tmp_path, name, many)).nnz == 90000


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize(
    "sizes, message",
    [
        ("3 2 1000000000000", "Line 4: says that it holds 1000000000000 entries, more than the 25 bytes that follow can"),
        ("3 2 8", "Line 4: says that it holds 8 entries, more than the 25 bytes that follow can"),
        ("3 2 4", "Truncated file"),
        ("3 2 2", "Line .*too"),
        ("1000000000000 2 3", "Line 4: 1000000000000 rows and 2 columns need 32000000000064 bytes even without entries"),
        ("3 1000000000000 3", "Line 4: 3 rows and 1000000000000 columns need 32000000000096 bytes"),
        ("9223372036854775807 9223372036854775807 3", "Line 4: 9223372036854775807 rows"),
        ("99999999999999999999 2 3", ".*out of range"),
    ],
)  # fmt: skip
def test_sizes_that_cannot_be(tmp_path, name, sizes, message):
    refused(put(tmp_path, name, GOOD.replace("3 2 3", sizes)), message)


@pytest.mark.parametrize("name", PACKED)
def test_damaged_compression(tmp_path, name):
    path = put(tmp_path, name, GOOD)
    whole = path.read_bytes()
    for n in range(1, len(whole)):
        path.write_bytes(whole[:n])
        refused(path, "cannot be unpacked: ")
    path.write_bytes(b"this is nothing that was compressed")
    refused(path, "cannot be unpacked: ")
    path.write_bytes(b"")
    refused(path, "")
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:  # gzip's header has bytes, such as the time, that mean nothing
            assert hs.sparse.mmread(path).nnz == 3
        except hs.FormatError as error:
            assert str(error).startswith(f"mmread: {path}: ")


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^mmread: there is no file .*none\.mtx\.gz"):
        hs.sparse.mmread(tmp_path / "none.mtx.gz")
    with pytest.raises(OSError, match=r"^mmread: .* cannot be read: Is a directory"):
        hs.sparse.mmread(tmp_path)


def test_what_memory_cannot_hold_is_named(tmp_path, monkeypatch):
    import scipy.io

    def none(_):
        raise MemoryError("no more")

    monkeypatch.setattr(scipy.io, "mmread", none)
    refused(put(tmp_path, "a.mtx", GOOD), "does not fit into memory: no more")
