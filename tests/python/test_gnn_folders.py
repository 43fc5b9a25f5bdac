"""Data sets in folders of text files: TUDataset and Open Graph Benchmark, right and broken ones."""

import gzip

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

# Three graphs: a path of 3 nodes, two nodes with an edge, a node alone; nodes of graphs 1 and 2 are mixed.
TU = {
    "A": "1, 2\n2, 1\n2, 4\n4, 2\n5, 3\n",
    "graph_indicator": "1\n1\n2\n1\n2\n3\n",
    "graph_labels": "-1\n1\n-1\n",
    "node_labels": "7\n5\n5\n9\n7\n5\n",
    "node_attributes": "0.5, 1.0\n1.5, 2\n2.5, 3.0\n3.5, 4e0\n4.5, 5.0\n5.5, -6.0\n",
    "edge_labels": "1\n1\n0\n0\n1\n",
    "edge_attributes": "0.1\n0.2\n0.3\n0.4\n0.5\n",
}


def tu(tmp_path, **changes):
    folder = tmp_path / "SMALL"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for name, text in (TU | changes).items():
        if text is not None:
            (folder / f"SMALL_{name}.txt").write_text(text)
    return folder


def test_tudataset(tmp_path):
    a, b, c = gnn.load_tudataset(tu(tmp_path))
    np.testing.assert_array_equal(np.asarray(a.adjacency().todense()), [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(np.asarray(b.edge_index), [[1], [0]])  # node 5 to node 3
    assert (c.num_nodes, c.num_edges) == (1, 0)
    hot = {7: [0, 1, 0], 5: [1, 0, 0], 9: [0, 0, 1]}
    np.testing.assert_array_equal(np.asarray(a.x), [[0.5, 1, *hot[7]], [1.5, 2, *hot[5]], [3.5, 4, *hot[9]]])
    np.testing.assert_array_equal(np.asarray(b.x), [[2.5, 3, *hot[5]], [4.5, 5, *hot[7]]])
    assert a.node_data["label"].tolist() == [1, 0, 2] and b.node_data["label"].tolist() == [0, 1]
    # In the order of the graph, sorted by target: 2 -> 1, 1 -> 2, 4 -> 2, 2 -> 4.
    np.testing.assert_array_equal(
        np.asarray(a.edge_attr), [[0.2, 0, 1], [0.1, 0, 1], [0.4, 1, 0], [0.3, 1, 0]]
    )
    assert a.edge_data["label"].tolist() == [1, 1, 0, 0]
    assert [int(g.y) for g in (a, b, c)] == [0, 1, 0] and a.y.dtype == hs.int64 and a.y.shape == ()
    both = gnn.batch([a, b, c])
    assert both.y.tolist() == [0, 1, 0] and both.x.dtype == hs.float64
    narrow = gnn.load_tudataset(str(tu(tmp_path)), dtype=hs.float32)[0]
    assert narrow.x.dtype == narrow.edge_attr.dtype == hs.float32


def test_tudataset_with_fewer_files(tmp_path):
    few = {k: None for k in TU if k not in ("A", "graph_indicator")}
    plain = gnn.load_tudataset(tu(tmp_path, **few))
    assert [g.num_nodes for g in plain] == [3, 2, 1] and plain[0].x is None and plain[0].y is None
    graphs = gnn.load_tudataset(tu(tmp_path, **few, graph_attributes="0.5\n1.5\n-2.5\n"))
    assert [float(g.y) for g in graphs] == [0.5, 1.5, -2.5]
    graphs = gnn.load_tudataset(
        tu(tmp_path, **few | {"graph_labels": TU["graph_labels"]}, graph_attributes="1, 2\n3, 4\n5, 6\n")
    )
    assert gnn.batch(graphs).y.tolist() == [[1, 2], [3, 4], [5, 6]]
    # Graphs without nodes are known by their labels; two columns of labels; no newline at the end.
    graphs = gnn.load_tudataset(
        tu(
            tmp_path,
            **few
            | {
                "graph_labels": "4\n4\n4\n5",
                "graph_indicator": "1\n1\n3\n1\n3\n4",
                "node_labels": "0, 1\n0, 2\n1, 1\n0, 1\n0, 1\n0, 1\n",
            },
        )
    )
    assert [g.num_nodes for g in graphs] == [3, 0, 2, 1] and [int(g.y) for g in graphs] == [0, 0, 0, 1]
    assert graphs[2].node_data["label"].tolist() == [[1, 0], [0, 0]] and graphs[1].x.shape == (0, 4)
    assert gnn.load_tudataset(tu(tmp_path, **few | {"A": "", "graph_indicator": ""})) == []
    empty = gnn.load_tudataset(tu(tmp_path, **few | {"A": ""}))
    assert [g.num_edges for g in empty] == [0, 0, 0]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"A": "1, 2\n2, 7\n"}, r"SMALL_A.txt, line 2: nodes are 1 to 6, got \[2, 7\]"),
        ({"A": "0, 2\n"}, r"SMALL_A.txt, line 1: nodes are 1 to 6, got \[0, 2\]"),
        ({"A": "1, 2\n2, x\n"}, "SMALL_A.txt, line 2: must hold integers, got '2, x'"),
        ({"A": "1, 2\n2, 1.5\n"}, "SMALL_A.txt, line 2: must hold integers, got '2, 1.5'"),
        ({"A": "1, 2\n2\n"}, "SMALL_A.txt, line 2: must have 2 columns as the first, got 1"),
        ({"A": "1, 2, 3\n"}, r"SMALL_A.txt, line 1: must have 2 column\(s\), got 3"),
        ({"A": "1, 2\n\n2, 1\n"}, "SMALL_A.txt, line 2: must have 2 columns as the first, got 1"),
        ({"A": "1, 2\n2, 99999999999999999999\n"}, "line 2: holds an integer that needs more than 64 bits"),
        ({"A": "1, 2\n1, 3\n"}, "SMALL_A.txt, line 2: joins node 1 of graph 1 and node 3 of graph 2"),
        ({"A": "\x00\x01binary"}, "SMALL_A.txt, line 1: must hold integers"),
        ({"A": "\n\n"}, "SMALL_A.txt, line 1: must hold integers, got ''"),
        ({"graph_indicator": "1\n1\n2\n1\n2\n4\n"}, "SMALL_graph_indicator.txt, line 6: numbers of graphs are 1 to 3, got"),
        ({"graph_indicator": "1\n1\n0\n1\n2\n3\n"}, "SMALL_graph_indicator.txt, line 3: numbers of graphs are 1 to 3"),
        ({"graph_indicator": "1\n1\n2\n1\n2\n"}, "SMALL_node_attributes.txt: has 6 lines for 5 nodes"),
        ({"graph_indicator": "1\n2\n3\n4\n5\n900000000000\n", "graph_labels": None, "A": ""}, "line 6: numbers of graphs are 1 to 6"),
        ({"graph_labels": "1\n0\n"}, "graph_indicator.txt, line 6: numbers of graphs are 1 to 2, got"),
        ({"edge_labels": "1\n1\n"}, "SMALL_edge_labels.txt: has 2 lines for 5 edges"),
        ({"edge_attributes": "1\n1\n1\n1\n"}, "SMALL_edge_attributes.txt: has 4 lines for 5 edges"),
        ({"node_attributes": "1\n2\nnan\n4\n5\n6\n"}, r"SMALL_node_attributes.txt, line 3: must be finite, got \[nan\]"),
        ({"node_attributes": "1\n2\n3\n4\n5\n1e999\n"}, r"SMALL_node_attributes.txt, line 6: must be finite, got \[inf\]"),
        ({"node_attributes": "1\n2\n3\n4 5\n5\n6\n"}, "SMALL_node_attributes.txt, line 4: must hold numbers, got '4 5'"),
        ({"graph_attributes": "1\n2\n"}, "SMALL_graph_attributes.txt: has 2 lines for 3 graphs"),
    ],
)  # fmt: skip
def test_tudataset_refuses(tmp_path, changes, words):
    with pytest.raises(ValueError, match=f"load_tudataset: .*{words}"):
        gnn.load_tudataset(tu(tmp_path, **changes))


def test_tudataset_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="load_tudataset: there is no folder"):
        gnn.load_tudataset(tmp_path / "NONE")
    for name in ("A", "graph_indicator"):
        with pytest.raises(FileNotFoundError, match=f"there is no file .*SMALL_{name}.txt"):
            gnn.load_tudataset(tu(tmp_path, **{name: None}))


NODES = {
    "raw/edge": "0,1\n1,2\n3,0\n",
    "raw/num-node-list": "4\n",
    "raw/num-edge-list": "3\n",
    "raw/node-feat": "0.5,1\n1.5,2\n2.5,3\n3.5,4\n",
    "raw/edge-feat": "1\n2\n3\n",
    "raw/node-label": "0\n2\n1\n0\n",
    "split/time/train": "0\n3\n",
    "split/time/valid": "1\n",
    "split/time/test": "2\n",
}
GRAPHS = {
    "raw/edge": "0,1\n1,2\n0,1\n",
    "raw/num-node-list": "3\n2\n1\n",
    "raw/num-edge-list": "2\n1\n0\n",
    "raw/node-feat": "5,1\n6,2\n7,3\n8,4\n9,5\n1,1\n",
    "raw/edge-feat": "1,0\n2,0\n3,1\n",
    "raw/graph-label": "1,nan\n0,0.5\n1,1\n",
    "split/scaffold/train": "0\n2\n",
    "split/scaffold/valid": "",
    "split/scaffold/test": "1\n",
}


def ogb(tmp_path, files, packed=True, **changes):
    for file in tmp_path.rglob("*.csv*"):
        file.unlink()
    for name, text in (files | changes).items():
        if text is None:
            continue
        path = tmp_path / f"{name}.csv{'.gz' if packed else ''}"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode() if isinstance(text, str) else text
        path.write_bytes(gzip.compress(data) if packed and isinstance(text, str) else data)
    return tmp_path


@pytest.mark.parametrize("packed", [True, False])
def test_ogb_nodes(tmp_path, packed):
    (graph,), split = gnn.load_ogb(ogb(tmp_path, NODES, packed))
    np.testing.assert_array_equal(np.asarray(graph.edge_index), [[3, 0, 1], [0, 1, 2]])
    np.testing.assert_array_equal(np.asarray(graph.edge_attr), [[3], [1], [2]])
    assert graph.x.dtype == hs.float64 and graph.x[3].tolist() == [3.5, 4.0]
    assert (
        graph.y.dtype == hs.int64 and graph.y.tolist() == [0, 2, 1, 0] and graph.edge_attr.dtype == hs.int64
    )
    assert {k: v.tolist() for k, v in split.items()} == {"train": [0, 3], "valid": [1], "test": [2]}


def test_ogb_inverse_edges(tmp_path):
    (graph,), _ = gnn.load_ogb(ogb(tmp_path, NODES), inverse_edges=True, dtype=hs.float32)
    assert graph.is_undirected() and graph.num_edges == 6 and graph.x.dtype == hs.float32
    ends, attr = np.asarray(graph.edge_index).T.tolist(), np.asarray(graph.edge_attr)[:, 0].tolist()
    by_pair = {frozenset(e): a for e, a in zip(ends, attr, strict=True)}
    assert by_pair == {frozenset((0, 1)): 1, frozenset((1, 2)): 2, frozenset((0, 3)): 3}


def test_ogb_graphs(tmp_path):
    graphs, split = gnn.load_ogb(ogb(tmp_path, GRAPHS))
    assert [(g.num_nodes, g.num_edges) for g in graphs] == [(3, 2), (2, 1), (1, 0)]
    assert graphs[1].x.tolist() == [[8, 4], [9, 5]] and graphs[1].x.dtype == hs.int64
    assert graphs[2].edge_attr.shape == (0, 2) and graphs[1].edge_attr.tolist() == [[3, 1]]
    both = gnn.batch(graphs)
    np.testing.assert_array_equal(np.asarray(both.y), [[1, np.nan], [0, 0.5], [1, 1]])
    assert split["train"].tolist() == [0, 2] and split["valid"].shape == (0,)
    single = gnn.load_ogb(ogb(tmp_path, GRAPHS, **{"raw/graph-label": "1\n0\n1\n"}))
    assert gnn.batch(single.graphs).y.tolist() == [1, 0, 1]


def test_ogb_schemes(tmp_path):
    folder = ogb(tmp_path, NODES | {f"split/other/{k}": "0\n" for k in ("train", "valid", "test")})
    with pytest.raises(ValueError, match="has the schemes other, time; give split="):
        gnn.load_ogb(folder)
    assert gnn.load_ogb(folder, split="other").split["test"].tolist() == [0]
    with pytest.raises(ValueError, match="has no scheme 'random'; it has other, time"):
        gnn.load_ogb(folder, split="random")
    for file in (folder / "split").rglob("*.gz"):
        file.unlink()
    (folder / "split" / "time" / "train.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"train.pt: of pickles only dicts of arrays of NumPy are read"):
        gnn.load_ogb(folder, split="time")


@pytest.mark.parametrize(
    "files, changes, words",
    [
        (NODES, {"raw/edge": "0,1\n1,4\n3,0\n"}, r"edge.csv.gz, line 2: nodes of graph 0 are 0 to 3, got \[1, 4\]"),
        (NODES, {"raw/edge": "0,1\n1,2\n-3,0\n"}, r"edge.csv.gz, line 3: nodes of graph 0 are 0 to 3, got \[-3, 0\]"),
        (GRAPHS, {"raw/edge": "0,1\n1,2\n0,2\n"}, r"edge.csv.gz, line 3: nodes of graph 1 are 0 to 1, got \[0, 2\]"),
        (NODES, {"raw/edge": "0,1\n1,2\n"}, "edge.csv.gz: has 2 lines for 3 edges, the sum of .*num-edge-list"),
        (NODES, {"raw/edge": "0,1\n1,2\n3,a\n"}, "edge.csv.gz, line 3: must hold integers, got '3,a'"),
        (NODES, {"raw/num-node-list": "5\n"}, "node-feat.csv.gz: has 4 lines for 5 nodes, the sum of .*num-node-list"),
        (NODES, {"raw/num-node-list": "-4\n"}, r"num-node-list.csv.gz, line 1: numbers of nodes are 0 to \d+, got \[-4\]"),
        (NODES, {"raw/num-node-list": "4,4\n"}, r"num-node-list.csv.gz, line 1: must have 1 column\(s\), got 2"),
        (NODES, {"raw/num-node-list": "1000000000000\n", "raw/node-feat": None, "raw/node-label": None}, "announces 1000000000000 nodes, of which no file has a row"),
        (NODES, {"raw/num-edge-list": "3\n0\n"}, "num-edge-list.csv.gz: has 2 lines for 1 graphs"),
        (NODES, {"raw/node-feat": "1\n2\nnan\n4\n"}, "node-feat.csv.gz, line 3: must be finite"),
        (NODES, {"raw/node-label": "1\n2\n"}, "node-label.csv.gz: has 2 lines for 4 nodes"),
        (NODES, {"split/time/test": "4\n"}, r"test.csv.gz, line 1: positions are 0 to 3, got \[4\]"),
        (GRAPHS, {"raw/graph-label": "1\n"}, "graph-label.csv.gz: has 1 lines for 3 graphs"),
        (NODES, {"raw/edge": gzip.compress(b"0,1\n1,2\n3,0\n" * 50)[:-12]}, "edge.csv.gz: cannot be unpacked: .*end-of-stream"),
        (NODES, {"raw/edge": b"0,1\n"}, "edge.csv.gz: cannot be unpacked: Not a gzipped file"),
    ],
)  # fmt: skip
def test_ogb_refuses(tmp_path, files, changes, words):
    with pytest.raises(ValueError, match=f"load_ogb: .*{words}"):
        gnn.load_ogb(ogb(tmp_path, files, **changes))


def test_ogb_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="load_ogb: there is no folder .*raw"):
        gnn.load_ogb(tmp_path)
    for name in ("raw/edge", "raw/num-node-list", "split/time/valid"):
        with pytest.raises(FileNotFoundError, match=f"there is no file .*{name.split('/')[-1]}.csv.gz"):
            gnn.load_ogb(ogb(tmp_path, NODES, **{name: None}))


def test_ogb_further_files_and_missing_labels(tmp_path):
    files = NODES | {"raw/node_year": "2000\n2001\n2002\n2003\n", "raw/edge_kind": "7\n8\n9\n"}
    files |= {"raw/node-label": "1,,\n,2.5,\n,,3\n0,0,0\n", "raw/node-feat": "9007199254740993\n1\n2\n3\n"}
    (graph,), _ = gnn.load_ogb(ogb(tmp_path, files), inverse_edges=True)
    assert graph.node_data["year"].tolist() == [2000, 2001, 2002, 2003]
    ends, kinds = np.asarray(graph.edge_index).T.tolist(), graph.edge_data["kind"].tolist()
    assert (
        sorted(zip(map(tuple, map(sorted, ends)), kinds, strict=True))
        == [((0, 1), 7)] * 2 + [((0, 3), 9)] * 2 + [((1, 2), 8)] * 2
    )
    nan = np.nan
    np.testing.assert_array_equal(
        np.asarray(graph.y), [[1, nan, nan], [nan, 2.5, nan], [nan, nan, 3], [0, 0, 0]]
    )
    assert int(graph.x[0, 0]) == 2**53 + 1  # no digit is lost
    with pytest.raises(ValueError, match="node_year.csv.gz: has 1 lines for 4 nodes"):
        gnn.load_ogb(ogb(tmp_path, files | {"raw/node_year": "1\n"}))


A = "relations/author___writes___paper"
TYPES = {
    "raw/triplet-type-list": "author,writes,paper\npaper,cites,paper\n",
    "raw/num-node-dict": "author,paper\n2,3\n1,2\n",
    f"raw/{A}/edge": "0,2\n1,0\n0,1\n",
    f"raw/{A}/num-edge-list": "2\n1\n",
    f"raw/{A}/edge_role": "1\n2\n3\n",
    "raw/relations/paper___cites___paper/edge": "2,0\n1,0\n",
    "raw/relations/paper___cites___paper/num-edge-list": "1\n1\n",
    "raw/relations/paper___cites___paper/edge-feat": "0.5\n1.5\n",
    "raw/node-feat/paper/node-feat": "1,2\n3,4\n5,6\n7,8\n9,10\n",
    "raw/node-feat/paper/node_year": "1\n2\n3\n4\n5\n",
    "raw/node-label/paper/node-label": "0\n1\n0\n1\n1\n",
    "split/time/paper/train": "0\n4\n",
    "split/time/paper/valid": "1\n",
    "split/time/paper/test": "2\n3\n",
}


def test_ogb_with_types(tmp_path):
    (one, two), split = gnn.load_ogb(ogb(tmp_path, TYPES))
    assert one.node_types == ["author", "paper"] and "author" not in one.x
    assert (one.num_nodes("author"), two.num_nodes("author"), two.num_nodes("paper")) == (2, 1, 2)
    assert sorted(zip(*one["author", "writes", "paper"].edge_index.tolist(), strict=True)) == [(0, 2), (1, 0)]
    assert two["author", "writes", "paper"].edge_data["role"].tolist() == [3]
    assert two["paper", "cites", "paper"].edge_attr.tolist() == [[1.5]]
    assert two.x["paper"].tolist() == [[7, 8], [9, 10]] and two.y["paper"].tolist() == [1, 1]
    assert one.node_data["paper"]["year"].tolist() == [1, 2, 3]
    assert split["train"]["paper"].tolist() == [0, 4] and set(split) == {"train", "valid", "test"}
    assert gnn.batch([one, two]).num_nodes("paper") == 5
    with pytest.raises(
        ValueError, match="several types of nodes; leave out inverse_edges and use with_reversed"
    ):
        gnn.load_ogb(tmp_path, inverse_edges=True)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"raw/triplet-type-list": "author,writes,book\n"}, "triplet-type-list.csv.gz, line 1: must be source type.*'author,writes,book'"),
        ({"raw/triplet-type-list": "author,writes,paper\nauthor,writes\n"}, "triplet-type-list.csv.gz, line 2: must be source type"),
        ({"raw/num-node-dict": "author,author\n2,3\n"}, "num-node-dict.csv.gz, line 1: must name types of nodes, each once"),
        ({"raw/num-node-dict": "author,paper\n2,3\n1\n"}, "num-node-dict.csv.gz, line 3: must have 2 columns as the first"),
        ({"raw/num-node-dict": "author,paper\n2,3\n1,x\n"}, "num-node-dict.csv.gz, line 3: must hold integers, got '1,x'"),
        ({f"raw/{A}/edge": "0,2\n1,0\n0,2\n"}, r"writes___paper/edge.csv.gz, line 3: nodes of graph 1 are 0 to 0 for sources and 0 to 1 for targets, got \[0, 2\]"),
        ({f"raw/{A}/edge": None}, "there is no file .*author___writes___paper/edge.csv.gz"),
        ({f"raw/{A}/num-edge-list": "3\n"}, "num-edge-list.csv.gz: has 1 lines for 2 graphs"),
        ({"raw/node-label/paper/node-label": "0\n"}, "node-label.csv.gz: has 1 lines for 5 nodes, the sum of .*num-node-dict"),
        ({"split/time/paper/test": "5\n"}, r"paper/test.csv.gz, line 1: positions are 0 to 4, got \[5\]"),
    ],
)  # fmt: skip
def test_ogb_with_types_refuses(tmp_path, changes, words):
    with pytest.raises((ValueError, FileNotFoundError), match=f"load_ogb: .*{words}"):
        gnn.load_ogb(ogb(tmp_path, TYPES, **changes))


def test_a_large_folder_is_read_in_seconds(tmp_path):
    """A hundred thousand edges and more: tables are parsed as wholes."""
    rng = np.random.default_rng(0)
    n = 20_000
    ends = rng.integers(n, size=(200_000, 2))
    text = "\n".join(f"{a},{b}" for a, b in ends.tolist())
    (graph,), split = gnn.load_ogb(
        ogb(tmp_path, {"raw/edge": text, "raw/num-node-list": str(n), "raw/num-edge-list": "200000"}, False)
    )
    assert graph.num_edges == 200_000 and not split
    order = np.lexsort((np.arange(len(ends)), ends[:, 1]))
    np.testing.assert_array_equal(np.asarray(graph.edge_index), ends[order].T)
