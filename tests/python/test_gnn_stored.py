"""Open Graph Benchmark folders with binary files: arrays in .npz, splits of links in pickles that nothing of is run."""

import gzip
import io
import os
import pickle
import struct
import subprocess
import zipfile

import numpy as np
import pytest

import hesse as hs
from hesse import gnn
from hesse.gnn._stored import npz_arrays, pickled_arrays

RNG = np.random.default_rng(0)
EDGES = np.array([[0, 1, 3, 2, 2], [1, 2, 0, 0, 2]])
X = RNG.normal(size=(4, 2)).astype(np.float32)
DATA = {
    "edge_index": EDGES, "num_nodes_list": np.array([4]), "num_edges_list": np.array([5]), "node_feat": X,
    "node_year": np.array([[2000], [2001], [2002], [2003]]), "edge_feat": np.arange(5)[:, None],
}  # fmt: skip
PAIRS = {
    "edge": np.array([[0, 1], [3, 2]]), "edge_neg": np.array([[0, 0], [1, 3], [2, 3]]),
    "weight": np.array([1.5, 2.5]), "year": np.array([2001, 2002]),
}  # fmt: skip


def folder(path, data=DATA, **labels):
    (path / "raw").mkdir(exist_ok=True)
    np.savez_compressed(path / "raw" / "data.npz", **data)
    for name, a in labels.items():
        np.savez(path / "raw" / f"{name.replace('_', '-')}.npz", **{name: a})
    return path


def torch_file(obj, protocol=2):
    """What torch.save writes for an object without tensors."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("train/data.pkl", pickle.dumps(obj, protocol=protocol))
        file.writestr("train/version", "3\n")
    return out.getvalue()


def old_torch_file(obj):
    sizes = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = (0x1950A86A20F9469CFC6C, 1001, sizes, obj, [])
    return b"".join(pickle.dumps(part, protocol=2) for part in parts)


def split(path, contents, names=("train", "valid", "test"), end="pt"):
    (path / "split" / "time").mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / "split" / "time" / f"{name}.{end}").write_bytes(contents)
    return path


# ---- .npz ----------------------------------------------------------------------------------------------------------
def test_arrays_give_what_tables_give(tmp_path):
    label = np.array([[1.0], [np.nan], [0.0], [2.0]])
    (graph,), parts = gnn.load_ogb(folder(tmp_path, node_label=label))
    assert parts == {} and graph.num_nodes == 4 and graph.x.dtype == hs.float32
    raw = tmp_path / "tables" / "raw"
    raw.mkdir(parents=True)
    text = lambda a: "\n".join(",".join(map(repr, row)) for row in np.asarray(a).tolist()) + "\n"
    for name, a in {
        "edge": EDGES.T, "num-node-list": [[4]], "num-edge-list": [[5]], "node-feat": X.astype(float),
        "node_year": DATA["node_year"], "edge-feat": DATA["edge_feat"], "node-label": label,
    }.items():  # fmt: skip
        (raw / f"{name}.csv.gz").write_bytes(gzip.compress(text(a).encode()))
    (expected,), _ = gnn.load_ogb(raw.parent)
    for a, b in zip(hs.tree_leaves(graph), hs.tree_leaves(expected), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    (twice,), _ = gnn.load_ogb(tmp_path, inverse_edges=True, dtype=hs.float64)
    assert twice.num_edges == 10 and twice.x.dtype == hs.float64 and twice.edge_attr.dtype == hs.int64


def test_several_graphs_in_arrays(tmp_path):
    data = {
        "edge_index": np.array([[0, 1, 0], [1, 2, 1]], np.int32), "num_nodes_list": np.array([3, 2, 1]),
        "num_edges_list": np.array([2, 1, 0]), "node_feat": np.arange(12).reshape(6, 2),
    }  # fmt: skip
    (tmp_path / "split" / "random").mkdir(parents=True)
    for k, name in enumerate(("train", "valid", "test")):
        (tmp_path / "split" / "random" / f"{name}.csv").write_text(f"{k}\n")
    graphs, parts = gnn.load_ogb(folder(tmp_path, data, graph_label=np.array([[1], [0], [1]])))
    assert [(g.num_nodes, g.num_edges, int(g.y)) for g in graphs] == [(3, 2, 1), (2, 1, 0), (1, 0, 1)]
    assert graphs[1].x.tolist() == [[6, 7], [8, 9]] and graphs[0].x.dtype == hs.int64
    assert {k: v.tolist() for k, v in parts.items()} == {"train": [0], "valid": [1], "test": [2]}
    one = gnn.load_ogb(folder(tmp_path, data, graph_label=np.arange(3)))
    assert [int(g.y) for g in one.graphs] == [0, 1, 2]


def without(name):
    return {k: v for k, v in DATA.items() if k != name}


@pytest.mark.parametrize(
    "data, labels, words",
    [
        (without("edge_index"), {}, "data.npz: has no edge_index; it has num_nodes_list"),
        (without("num_edges_list"), {}, "data.npz: has no num_edges_list"),
        (DATA | {"edge_index": EDGES + 1}, {}, r"edge_index\[:, 2\] is \[4, 1\], nodes of its graph are 0 to 3"),
        (DATA | {"edge_index": EDGES - 1}, {}, r"edge_index\[:, 0\] is \[-1, 0\]"),
        (DATA | {"edge_index": EDGES * 1.0}, {}, r"edge_index must hold integers along 2 axes, got float64 of shape \(2, 5\)"),
        (DATA | {"edge_index": EDGES.T}, {}, r"edge_index must be \[2, E\], got shape \(5, 2\)"),
        (DATA | {"num_edges_list": np.array([4])}, {}, "edge_index has 5 edges, num_edges_list 4"),
        (DATA | {"num_nodes_list": np.array([-4])}, {}, r"num_nodes_list must have numbers from 0 to \d+ for 1 graphs"),
        (DATA | {"num_nodes_list": np.array([4, 4])}, {}, "num_edges_list must have .* for 2 graphs, got 1 from"),
        (DATA | {"num_nodes_list": np.array([5])}, {}, r"node_feat has shape \(4, 2\) for 5 nodes"),
        (DATA | {"node_feat": X * np.nan}, {}, "node_feat must be finite"),
        (DATA | {"edge_feat": np.zeros((3, 1))}, {}, r"edge_feat has shape \(3, 1\) for 5 edges"),
        (DATA | {"graph_feat": np.zeros(1)}, {}, "graph_feat is neither of nodes"),
        (DATA | {"node_feat": np.array([["a"]] * 4)}, {}, "node_feat has entries of type <U1, not numbers"),
        (DATA | {"node_feat": np.array([[None]] * 4)}, {}, "node_feat has entries of type object, not numbers"),
        ({k: DATA[k] for k in ("edge_index", "num_edges_list")} | {"num_nodes_list": np.array([10**12])}, {}, "announces 1000000000000 nodes, of which no array has a row"),
        (DATA, {"node_label": np.zeros(3)}, r"node-label.npz: node_label has shape \(3,\) for 4 nodes"),
        (DATA, {"graph_label": np.zeros(4)}, r"graph-label.npz: graph_label has shape \(4,\) for 1 graphs"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(tmp_path, data, labels, words):
    with pytest.raises(ValueError, match=f"load_ogb: .*{words}"):
        gnn.load_ogb(folder(tmp_path, data, **labels))


def test_labels_of_another_name_and_types_in_arrays(tmp_path):
    folder(tmp_path)
    np.savez(tmp_path / "raw" / "node-label.npz", label=np.zeros(4))
    with pytest.raises(ValueError, match="node-label.npz: has no node_label; it has label"):
        gnn.load_ogb(tmp_path)
    (tmp_path / "raw" / "data.npz").unlink()
    np.savez(tmp_path / "raw" / "edge_index_dict.npz", a=EDGES)
    with pytest.raises(ValueError, match=r"edge_index_dict.npz: several types of nodes are read from tables"):
        gnn.load_ogb(tmp_path)


def test_npz_files_that_lie_about_sizes(tmp_path):
    """No memory is taken for what a header announces."""
    path = tmp_path / "a.npz"

    def write(header, body=b"\0" * 80, name="x.npy"):
        text = (repr(header) + "\n").encode()
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(name, b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + body)

    for shape in ((10**15,), (11,), (9,), (-10,), (2**40, 2**40)):
        write({"descr": "<f8", "fortran_order": False, "shape": shape})
        with pytest.raises(ValueError, match=r"f: .*a.npz: (x announces shape|cannot be read as .npz)"):
            npz_arrays("f", path)
    write({"descr": "<f8", "fortran_order": True, "shape": (2, 5)}, np.arange(10.0).tobytes())
    np.testing.assert_array_equal(npz_arrays("f", path)["x"], np.arange(10.0).reshape(5, 2).T)
    path.write_bytes(b"not a zip file")
    with pytest.raises(ValueError, match="a.npz: cannot be read as .npz"):
        npz_arrays("f", path)
    # A member that announces more than it can unpack to.
    np.savez_compressed(path, x=np.zeros(1000))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")  # the directory, where sizes are read from
    data[at + 24 : at + 28] = struct.pack("<I", 2**31)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"x announces 2147483648 bytes and is stored in \d+"):
        npz_arrays("f", path)
    with pytest.raises(FileNotFoundError, match="f: there is no file"):
        npz_arrays("f", tmp_path / "b.npz")


# ---- splits of links -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["torch", "old torch", "pickle 4", "npz"])
def test_splits_of_links(tmp_path, kind):
    if kind == "npz":
        out = io.BytesIO()
        np.savez(out, **PAIRS)
        split(tmp_path, out.getvalue(), end="npz")
        split(tmp_path, b"what torch wrote")  # is not read
    else:
        make = {
            "torch": torch_file,
            "old torch": old_torch_file,
            "pickle 4": lambda d: pickle.dumps(d, protocol=4),
        }
        split(tmp_path, make[kind](PAIRS))
    (graph,), parts = gnn.load_ogb(folder(tmp_path), dtype=hs.float32)
    assert set(parts) == {"train", "valid", "test"} and graph.num_nodes == 4
    for part in parts.values():
        assert part["edge"].tolist() == [[0, 3], [1, 2]] and part["edge_neg"].tolist() == [
            [0, 1, 2],
            [0, 3, 3],
        ]
        assert part["year"].tolist() == [2001, 2002] and part["weight"].dtype == hs.float32


def test_pairs_by_their_ends(tmp_path):
    pairs = {
        "source_node": np.array([0, 1]),
        "target_node": np.array([2, 3]),
        "target_node_neg": np.array([[0, 1, 3], [3, 2, 0]]),
    }
    part = gnn.load_ogb(folder(split(tmp_path, torch_file(pairs)))).split["test"]
    assert {k: v.tolist() for k, v in part.items()} == {k: v.tolist() for k, v in pairs.items()}


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_of_every_kind_in_pickles(tmp_path, protocol):
    path = tmp_path / "a.pt"
    given = {
        str(k): a
        for k, a in enumerate(
            [np.zeros((0, 2), int), np.array(3.5), np.asfortranarray(X), np.array([True, False]), np.array([1, -2], ">i4"),
             *(np.arange(6).astype(t).reshape(2, 3) for t in "bhilqBHILQefd")]
        )
    }  # fmt: skip
    given["same"] = given["2"]
    for data in (pickle.dumps(given, protocol=protocol), torch_file(given, protocol)):
        path.write_bytes(data)
        found = pickled_arrays("f", path)
        assert list(found) == list(given)
        for name, a in given.items():
            np.testing.assert_array_equal(found[name], a)
            assert found[name].dtype == a.dtype.newbyteorder("=")


class Calls:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class WithTensors(pickle.Pickler):
    def persistent_id(self, obj):
        return ("storage", "LongStorage", "0", "cpu", 4) if obj is Ellipsis else None


def tensors():
    out = io.BytesIO()
    WithTensors(out, protocol=2).dump({"edge": ...})
    return out.getvalue()


def reduce_again(count):
    """One long text and many calls that each make bytes of it."""
    text = b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x00"
    call = b"c_codecs\nencode\n" + b"h\x00" + b"X\x06\0\0\0latin1" + b"\x86R"
    return b"\x80\x02(" + text + call * count + b"t."


def fill_again(count):
    """One run of bytes, and many arrays that are filled with it."""
    array = b"cnumpy.core.multiarray\n_reconstruct\n(tR"
    state = b"(K\x01M\xe8\x03\x85cnumpy\ndtype\nX\x02\0\0\0u1\x85R\x89h\x00tb"
    return b"\x80\x03(B" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x00" + (array + state) * count + b"t."


@pytest.mark.parametrize(
    "data, words",
    [
        (pickle.dumps(Calls(os.mkdir, "ran"), 2), r"it names posix.mkdir"),
        (pickle.dumps({"edge": Calls(os.mkdir, "ran")}, 4), r"it names posix.mkdir"),
        (pickle.dumps({"edge": Calls(eval, "1")}, 2), r"it names __builtin__.eval"),
        (torch_file({"edge": Calls(np.fromfile, "/etc/passwd")}), r"it names numpy"),
        (tensors(), "it has tensors of PyTorch"),
        (pickle.dumps({"head_type": ["a", "b"]}, 2), r"it is more than arrays by name \(APPENDS\)"),
        (pickle.dumps({"edge": 3}, 2), "'edge' is not an array of NumPy"),
        (pickle.dumps({3: X}, 2), "3 is not an array of NumPy"),
        (pickle.dumps([], 2), "it is no dict"),
        (pickle.dumps(X, 2), "it is no dict"),
        (pickle.dumps({"edge": np.array([None])}, 2), r"it is more than arrays by name \(APPEND\)"),
        (pickle.dumps({"edge": np.array(["a"])}, 2), "it has entries of type 'U1', not numbers"),
        (pickle.dumps({"edge": np.float64(3)}, 2), "it names numpy.*scalar"),
        (pickle.dumps({"edge": X.dtype}, 2), "'edge' is not an array of NumPy"),
        (pickle.dumps({"edge": np.ndarray}, 2), "'edge' is not an array of NumPy"),
        (pickle.dumps(PAIRS, 2)[:-200], "of pickles only dicts"),
        (b"", "of pickles only dicts"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", r"it is more than arrays by name \(LONG_BINPUT\)"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00abc.", "of pickles only dicts"),
        (b"\x80\x02cnumpy\nndarray\n}b.", "it changes functions"),
        (reduce_again(200), "it makes text of the same bytes again"),
        (b"\x80\x02})" + b"\x85" * 10**6 + b"K\x01s.", "it has more than 5000 steps"),
        (b"\x80\x02})" + b"\x85" * 4900 + b"K\x01s.", "of pickles only dicts"),
        (fill_again(1), "it is no dict"),
        (fill_again(100), "it makes arrays of the same bytes again"),
        (old_torch_file(PAIRS)[:30], "of pickles only dicts"),
    ],
)  # fmt: skip
def test_other_pickles_are_refused_and_nothing_is_run(tmp_path, monkeypatch, data, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="load_ogb: .*train.pt: .*" + words) as caught:
        gnn.load_ogb(folder(split(tmp_path, data)))
    assert "np.savez('train.npz'" in str(caught.value) and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "pairs, words",
    [
        ({"edge": np.array([[0, 4]])}, "edge holds 0 to 4, nodes are 0 to 3"),
        ({"source_node": np.array([-1])}, "source_node holds -1 to -1, nodes are 0 to 3"),
        ({"edge": np.array([[0, 1, 2]])}, r"edge must hold integers \(M, 2\), got int64 \(1, 3\)"),
        ({"edge": np.array([[0.0, 1.0]])}, r"edge must hold integers \(M, 2\), got float64 \(1, 2\)"),
        ({"target_node": np.array(1)}, r"target_node must hold integers \(M, ...\), got int64 \(\)"),
    ],
)
def test_links_that_do_not_fit(tmp_path, pairs, words):
    with pytest.raises(ValueError, match=f"load_ogb: .*train.pt: {words}"):
        gnn.load_ogb(folder(split(tmp_path, torch_file(pairs))))


def test_links_of_several_graphs_and_missing_parts(tmp_path):
    several = DATA | {"num_nodes_list": np.array([4, 0]), "num_edges_list": np.array([5, 0])}
    with pytest.raises(ValueError, match="splits links of one graph, but there are 2"):
        gnn.load_ogb(folder(split(tmp_path, torch_file(PAIRS)), several))
    (tmp_path / "split" / "time" / "valid.pt").unlink()
    with pytest.raises(FileNotFoundError, match="there is no file .*valid.pt"):
        gnn.load_ogb(folder(tmp_path))


def test_broken_files_are_refused_or_read(tmp_path):
    """Bytes changed at random: the arrays, or an error that names the file; never a crash or another error."""
    rng = np.random.default_rng(5)
    out = io.BytesIO()
    np.savez_compressed(out, **PAIRS)
    refused = 0
    for read, data in [
        (pickled_arrays, pickle.dumps(PAIRS, 2)), (pickled_arrays, torch_file(PAIRS)),
        (pickled_arrays, old_torch_file(PAIRS)), (npz_arrays, out.getvalue()),
    ]:  # fmt: skip
        for _ in range(120):
            broken = bytearray(data[: rng.integers(len(data))] if rng.random() < 0.2 else data)
            for at in rng.integers(len(broken), size=rng.integers(1, 4)) if broken else ():
                broken[at] = rng.integers(256)
            (tmp_path / "x.pt").write_bytes(broken)
            try:
                read("f", tmp_path / "x.pt")
            except ValueError as error:
                assert "f: " in str(error) and "x.pt" in str(error)
                refused += 1
    assert refused > 240


def test_files_that_torch_wrote(tmp_path):
    python = os.environ.get("HESSE_PEERS_PYTHON")
    if not python:
        pytest.skip("set HESSE_PEERS_PYTHON to an interpreter that has torch")
    code = (
        "import numpy as np, torch, sys\n"
        "pairs = {'edge': np.array([[0, 1], [3, 2]]), 'weight': np.array([1.5, 2.5])}\n"
        "for name in ('train', 'valid', 'test'):\n"
        "    torch.save(pairs, f'{sys.argv[1]}/{name}.pt', _use_new_zipfile_serialization=name != 'valid')\n"
        "torch.save({'edge': torch.tensor([[0, 1]])}, f'{sys.argv[1]}/tensors.pt')\n"
    )
    split(tmp_path, b"")
    subprocess.run([python, "-c", code, str(tmp_path / "split" / "time")], check=True, timeout=300)
    for part in gnn.load_ogb(folder(tmp_path)).split.values():
        assert part["edge"].tolist() == [[0, 3], [1, 2]] and part["weight"].tolist() == [1.5, 2.5]
    with pytest.raises(ValueError, match="it has tensors of PyTorch"):
        pickled_arrays("f", tmp_path / "split" / "time" / "tensors.pt")
