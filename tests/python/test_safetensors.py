"""Weights in safetensors: both directions against the package of that name, and what is refused."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest

import hesse as hs

safetensors = pytest.importorskip("safetensors")
from safetensors import numpy as theirs  # noqa: E402

DTYPES = [
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float32",
    "float64",
    "complex64",
]
SHAPES = [(), (1,), (3,), (2, 3), (0,), (2, 0, 3), (2, 1, 4)]


def values(dtype, shape):
    """Awkward numbers of a dtype: its extremes, -0, NaN and infinities among them."""
    n = int(np.prod(shape))
    rng = np.random.default_rng(n + len(dtype))
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        a = rng.integers(info.min, info.max, n, dtype=dtype, endpoint=True)
        a[: min(n, 2)] = [info.min, info.max][: min(n, 2)]
        return a.reshape(shape)
    a = rng.standard_normal(n).astype(dtype)
    a[: min(n, 4)] = [-0.0, np.nan, np.inf, np.finfo(dtype).tiny / 2][: min(n, 4)]
    return a.reshape(shape)


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# ---- both directions ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_hesse_writes_the_package_reads(dtype, tmp_path):
    path = tmp_path / "ours"
    data = {f"a{k}": values(dtype, shape) for k, shape in enumerate(SHAPES)}
    hs.io.save_safetensors(
        path, {name: hs.array(a) for name, a in data.items()}, {"who": "hesse", "ü": "✓ \"'"}
    )
    read = theirs.load_file(path)
    assert set(read) == set(data)
    for name, a in data.items():
        same(read[name], a)
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {"who": "hesse", "ü": "✓ \"'"}


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_package_writes_hesse_reads(dtype, tmp_path):
    path = tmp_path / "theirs"
    data = {f"a{k}": values(dtype, shape) for k, shape in enumerate(SHAPES)}
    theirs.save_file(data, path, {"who": "them"})
    read = hs.io.load_safetensors(path)
    assert set(read) == set(data) and hs.io.read_metadata(path) == {"who": "them"}
    for name, a in data.items():
        same(read[name], a)


def test_a_mixture_of_dtypes_is_aligned_and_read_back(tmp_path):
    path = tmp_path / "mixed"
    data = {dtype: values(dtype, (3,)) for dtype in DTYPES}
    hs.io.save_safetensors(path, data)
    for name, a in theirs.load_file(path).items():
        same(a, data[name])
    for name, a in hs.io.load_safetensors(path).items():
        same(a, data[name])
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    for name, entry in json.loads(raw[8 : 8 + length]).items():
        assert (8 + length + entry["data_offsets"][0]) % np.dtype(name).itemsize == 0, name


def test_half_precision_is_widened(tmp_path):
    path = tmp_path / "half"
    bits = np.arange(2**16, dtype=np.uint16)
    theirs.save_file({"h": bits.view(np.float16)}, path)
    wide = np.asarray(hs.io.load_safetensors(path)["h"])
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide, bits.view(np.float16).astype(np.float32))
    entry = {"b": {"dtype": "BF16", "shape": [2**16], "data_offsets": [0, 2**17]}}
    path.write_bytes(file_of(entry, bits.tobytes()))
    brain = np.asarray(hs.io.load_safetensors(path)["b"])
    expected = (bits.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(brain, expected)


# ---- trees ----------------------------------------------------------------------------------------------------------------
def test_trees_are_named_by_their_places(tmp_path):
    net = hs.nn.MLP([2, 3, 1], key=hs.random.key(0))
    model = {"net": net, "list": [hs.array(1.0), (hs.array(2), 3.5)]}
    names = [
        "list.0",
        "list.1.0",
        "list.1.1",
        *(f"net.layers.{k}.{w}" for k in (0, 1) for w in ("weight", "bias")),
    ]
    assert sorted(hs.io.leaf_names(model)) == sorted(names)
    path = tmp_path / "tree"
    hs.io.save_safetensors(path, model)
    assert sorted(theirs.load_file(path)) == sorted(names)
    other = {"net": hs.nn.MLP([2, 3, 1], key=hs.random.key(9)), "list": [hs.array(0.0), (hs.array(0), 0.0)]}
    read = hs.io.load_safetensors(path, like=other)
    assert type(read["net"]) is hs.nn.MLP and float(read["list"][1][1]) == 3.5
    for a, b in zip(hs.tree_leaves(read), hs.tree_leaves(model), strict=True):
        same(a, hs.asarray(b))
    hs.io.save_safetensors(path, hs.arange(3.0))
    assert list(hs.io.load_safetensors(path)) == ["array"]
    same(hs.io.load_safetensors(path, like=hs.zeros(3)), np.arange(3.0))
    hs.io.save_safetensors(str(path), {})
    assert hs.io.load_safetensors(os.fsencode(path)) == {} and theirs.load_file(path) == {}


def test_views_are_written_as_what_they_show(tmp_path):
    a = np.arange(24.0).reshape(2, 3, 4)
    views = {"t": hs.array(a).T, "s": hs.array(a)[:, ::-2, 1:], "b": hs.broadcast_to(hs.array(2.0), (3, 2))}
    hs.io.save_safetensors(tmp_path / "views", views)
    read = theirs.load_file(tmp_path / "views")
    np.testing.assert_array_equal(read["t"], a.T)
    np.testing.assert_array_equal(read["s"], a[:, ::-2, 1:])
    np.testing.assert_array_equal(read["b"], np.full((3, 2), 2.0))


def test_a_file_that_does_not_hold_the_model(tmp_path):
    path = tmp_path / "net"
    net = hs.nn.MLP([2, 3, 1], key=hs.random.key(0))
    hs.io.save_safetensors(path, net)
    for like, message in (
        (hs.nn.MLP([2, 3, 3, 1], key=hs.random.key(0)), "lacks 'layers.2.bias', 'layers.2.weight'"),
        ({"layers": net.layers[:1]}, "has besides 'layers.1.bias', 'layers.1.weight'"),
        ({"a": hs.ones(2)}, "lacks 'a' and has besides 'layers.0.bias'"),
        (
            hs.nn.MLP([2, 4, 1], key=hs.random.key(0)),
            r"'layers.0.weight' is float64\[3, 2\] in the file but float64\[4, 2\] in the model",
        ),
        (
            hs.nn.MLP([2, 3, 1], key=hs.random.key(0), dtype="float32"),
            r"is float64\[3, 2\] in the file but float32\[3, 2\]",
        ),
    ):
        with pytest.raises(ValueError, match=f"load_safetensors: {path}.*{message}"):
            hs.io.load_safetensors(path, like=like)


# ---- malformed files --------------------------------------------------------------------------------------------------------
def file_of(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype="F64", shape=(1,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


EIGHT = bytes(8)
MALFORMED = {
    "nothing": (b"", "truncated: 0 bytes"),
    "half a length": (b"\x01\x02\x03", "truncated: 3 bytes, and the length of the header alone takes 8"),
    "truncated header": (
        file_of(b"{}", length=50),
        "truncated header: 50 bytes announced, 2 left in the file",
    ),
    "huge header": (file_of(b"{}", length=2**63), "the header length 9223372036854775808 is above the limit"),
    "a text": (
        b"These are no weights, only words.",
        "above the limit of 100000000 bytes; is this a safetensors file",
    ),
    "empty header": (file_of(b""), "the header does not begin with '{'"),
    "a list": (file_of(b"[]"), "the header does not begin with '{'"),
    "bad JSON": (file_of(b'{"a":'), "the header is not valid JSON"),
    "bad UTF-8": (file_of(b'{"\xff":1}'), "the header is not valid JSON"),
    "two objects": (file_of(b"{}{}"), "the header is not valid JSON"),
    "deep": (file_of(b'{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}"), "the header is nested too deeply"),
    "duplicate": (file_of(b'{"a":{},"a":{}}'), 'duplicate key "a" in the header'),
    "a number": (file_of({"a": 1}), 'tensor "a" is described by number, not by an object'),
    "no offsets": (file_of({"a": {"dtype": "F64", "shape": []}}), 'tensor "a" has no data_offsets'),
    "more keys": (file_of({"a": tensor(strides=[1])}, EIGHT), 'tensor "a" has other keys than'),
    "dtype": (file_of({"a": tensor("F63")}, EIGHT), 'tensor "a": unknown dtype "F63" (known: F64'),
    "dtype's type": (file_of({"a": tensor(5)}, EIGHT), 'tensor "a": dtype is not a string'),
    "negative length": (
        file_of({"a": tensor(shape=[-1])}, EIGHT),
        'tensor "a": shape holds -1 where a non-negative integer',
    ),
    "fraction": (file_of({"a": tensor(shape=[1.0])}, EIGHT), 'tensor "a": shape holds 1.0'),
    "shape's type": (file_of({"a": {**tensor(), "shape": 1}}, EIGHT), 'tensor "a": shape is not a list'),
    "overflow": (
        file_of({"a": tensor(shape=[2**32, 2**32])}, EIGHT),
        'tensor "a": the size of shape [4294967296,4294967296] overflows',
    ),
    "hidden overflow": (file_of({"a": tensor(shape=[2**62, 0], offsets=(0, 0))}), "overflows"),
    "many dimensions": (file_of({"a": tensor(shape=[1] * 65)}, EIGHT), "65 dimensions are more than 64"),
    "size mismatch": (
        file_of({"a": tensor(shape=[2])}, EIGHT),
        'tensor "a": shape [2] of F64 takes 16 bytes, its data_offsets hold 8',
    ),
    "backwards": (
        file_of({"a": tensor(offsets=(8, 0))}, EIGHT),
        'tensor "a": data_offsets [8, 0] are out of range',
    ),
    "truncated data": (
        file_of({"a": tensor()}, EIGHT[:5]),
        'tensor "a": data_offsets [0, 8] are out of range for 5 bytes of data',
    ),
    "three offsets": (
        file_of({"a": tensor(offsets=(0, 8, 9))}, EIGHT),
        "data_offsets is not a list of two numbers",
    ),
    "overlap": (
        file_of({"a": tensor(shape=[2], offsets=(0, 16)), "b": tensor(offsets=(8, 16))}, 2 * EIGHT),
        'tensor "b" overlaps the one before it',
    ),
    "twice the same": (
        file_of({"a": tensor(), "b": tensor()}, EIGHT),
        'tensor "b" overlaps the one before it',
    ),
    "hole": (file_of({"a": tensor(offsets=(8, 16))}, 2 * EIGHT), 'a hole of 8 bytes before tensor "a"'),
    "rest": (file_of({"a": tensor()}, EIGHT + b"!"), "1 bytes after the last tensor belong to none"),
    "metadata": (file_of({"__metadata__": {"n": 1}}), '__metadata__: the value of "n" is not a string'),
    "metadata's type": (file_of({"__metadata__": []}), "__metadata__ is not an object"),
    "boolean": (
        file_of({"a": tensor("BOOL", [2], (0, 2))}, b"\x01\x02"),
        'tensor "a": a BOOL that is neither 0 nor 1',
    ),
}


@pytest.mark.parametrize("defect", MALFORMED)
def test_malformed_files_are_refused_by_name_of_the_defect(defect, tmp_path):
    contents, message = MALFORMED[defect]
    path = tmp_path / "file"
    path.write_bytes(contents)
    for read in (hs.io.load_safetensors, hs.io.read_metadata):
        with pytest.raises(ValueError) as refusal:
            read(path)
        assert str(refusal.value).startswith(f"load_safetensors: {path}: ") and message in str(refusal.value)
    if defect not in (
        "boolean",
        "more keys",
        "hidden overflow",
    ):  # nothing else is refused that the package reads
        with pytest.raises((safetensors.SafetensorError, ValueError)):
            theirs.load_file(path)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_refused_or_read_never_trusted(seed, tmp_path):
    """Every truncation, and random bytes changed anywhere."""
    path = tmp_path / "file"
    hs.io.save_safetensors(path, {"w": hs.arange(4.0), "n": hs.arange(3), "on": hs.array(True)}, {"k": "v"})
    whole = path.read_bytes()
    rng = np.random.default_rng(seed)
    for k in range(150):
        damaged = bytearray(whole)
        if seed == 0:
            del damaged[k * len(whole) // 150 :]
        else:
            for _ in range(seed):
                damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            tensors = hs.io.load_safetensors(path)
        except ValueError as refusal:
            assert str(path) in str(refusal)
        else:
            assert seed > 0 and sum(np.asarray(a).nbytes for a in tensors.values()) <= len(whole)


# ---- what cannot be written or found --------------------------------------------------------------------------------------
def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"load_safetensors: there is no file {tmp_path / 'absent'}"):
        hs.io.load_safetensors(tmp_path / "absent")
    with pytest.raises(OSError, match="is not a regular file"):
        hs.io.load_safetensors(tmp_path)
    with pytest.raises(OSError, match="save_safetensors|folder|directory"):
        hs.io.save_safetensors(tmp_path / "no" / "folder", {"a": hs.ones(1)})
    with pytest.raises(TypeError):
        hs.io.load_safetensors(3.5)


def test_what_cannot_be_written(tmp_path):
    path = tmp_path / "file"
    hs.io.save_safetensors(path, {"a": hs.ones(1)})
    before = path.read_bytes()
    for tree, kind, message in (
        ({"a": {"b": hs.ones(1)}, "a.b": hs.ones(1)}, ValueError, 'the name "a.b" occurs twice'),
        ({"__metadata__": hs.ones(1)}, ValueError, 'the name "__metadata__" is reserved'),
        ({"\ud800": hs.ones(1)}, ValueError, r"'\\ud800' cannot be written as UTF-8"),
        (
            {(1, 2): hs.ones(1)},
            ValueError,
            r"the leaf \[\(1, 2\)\] has no name in a file; dict keys must be strings",
        ),
        (
            {"z": hs.array([1j])},
            TypeError,
            'tensor "z" is complex128, which the layout lacks; save its real and imag',
        ),
        ({"k": hs.random.key(0)}, TypeError, 'tensor "k" is key, which the layout lacks; save integers'),
        ({"s": "text"}, TypeError, "str"),
    ):
        with pytest.raises(kind, match=message):
            hs.io.save_safetensors(path, tree)
        assert path.read_bytes() == before
    with pytest.raises(TypeError, match=r"metadata maps strings to strings, got 3; str\(\)"):
        hs.io.save_safetensors(path, {"a": hs.ones(1)}, {"epochs": 3})
    with pytest.raises(TypeError, match="trace|symbol|recorded"):
        hs.compile(lambda x: hs.io.save_safetensors(path, {"x": x}))(hs.ones(1))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["file"]
