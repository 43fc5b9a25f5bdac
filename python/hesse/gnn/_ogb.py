"""Graph data sets from the folders of the Open Graph Benchmark."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import _hesse
from .._hesse import Array
from ._graph import Graph
from ._hetero import HeteroGraph
from ._stored import npz_arrays, pickled_arrays
from ._tables import Table, unpacked

__all__ = ["OGB", "load_ogb"]

_Numbers = np.ndarray[Any, Any]
_PARTS = ("train", "valid", "test")
_ENDS = (
    "edge",
    "edge_neg",
    "source_node",
    "target_node",
    "target_node_neg",
    "head",
    "tail",
    "head_neg",
    "tail_neg",
)
_MOST_NODES = 10**9  # that a list may announce where no file has a row for each of them


class OGB(NamedTuple):
    """A data set of the Open Graph Benchmark.

    Parameters
    ----------
    graphs : list of Graph or HeteroGraph
        One for tasks on nodes.
    split : dict
        int64 positions of nodes, or of graphs where there are several, by "train", "valid" and "test"; for several
        types of nodes a dict of these by type; for tasks on links a dict of arrays by the names that they have in the
        folder, such as "edge" and "edge_neg", int64 (2, M), sources above targets. Empty where the folder has no split.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.OGB([hs.gnn.Graph([[0], [1]])], {}).graphs[0].num_nodes
    2
    """

    graphs: list[Any]
    split: dict[str, Any]


class _Reader:
    """The files of one folder of a data set."""

    def __init__(self, function: str, dtype: Any) -> None:
        self.function, self.dtype = function, dtype

    @staticmethod
    def file(folder: Path, name: str) -> Path | None:
        for end in (".csv.gz", ".csv"):
            if (folder / f"{name}{end}").exists():
                return folder / f"{name}{end}"
        return None

    def table(self, folder: Path, name: str, **options: Any) -> Table:
        """A file of integers that there must be."""
        return Table(
            self.function, self.file(folder, name) or folder / f"{name}.csv.gz", "integers", **options
        )

    def numbers(self, folder: Path, name: str, n: int, what: str, finite: bool = True) -> _Numbers | None:
        """A file that there may be, with n rows: int64 where all its numbers are integers."""
        path = self.file(folder, name)
        if path is None:
            return None
        read = Table(self.function, path, "numbers", finite=finite)
        values = read.rows(n, what).values
        if not read.whole:
            return values
        if len(values) and np.abs(values).max() >= 2.0**53:  # read anew, with all digits
            values = Table(self.function, path, "integers").values
        return values.astype(np.int64)

    def further(self, folder: Path, kind: str, n: int, what: str) -> dict[str, _Numbers]:
        """Files such as node_year: arrays by what follows the first word."""
        found = {}
        for path in sorted(folder.glob(f"{kind}_*.csv*")):
            name = path.name.split(".csv")[0]
            values = self.numbers(folder, name, n, what)
            if values is not None:
                found[name.removeprefix(f"{kind}_")] = values
        return found

    def counts(self, folder: Path, name: str, what: str) -> tuple[Table, _Numbers]:
        listed = self.table(folder, name)
        listed.columns(1)
        return listed, listed.between(0, 2**40, what)[:, 0]

    def edges(self, folder: Path, sources: _Numbers, targets: _Numbers) -> tuple[_Numbers, _Numbers]:
        """[E, 2], and where the edges of the graphs start; sources and targets: how many nodes graphs have."""
        listed, counts = self.counts(folder, "num-edge-list", "numbers of edges")
        listed.rows(len(sources), "graphs")
        ends = self.table(folder, "edge")
        edges = ends.columns(2)
        ends.rows(int(counts.sum()), f"edges, the sum of {listed.path}")
        of_graph = np.repeat(np.arange(len(sources)), counts)
        most = np.stack([sources[of_graph], targets[of_graph]], axis=1) - 1
        bad = np.flatnonzero(((edges < 0) | (edges > most)).any(axis=1))
        if bad.size:
            e = int(bad[0])
            a, b = most[e]
            span = f"0 to {a}" if a == b else f"0 to {a} for sources and 0 to {b} for targets"
            raise ends.error(e, f"nodes of graph {of_graph[e]} are {span}, got {edges[e].tolist()}")
        return edges, _starts(counts)

    def array(self, value: _Numbers | None, a: int, b: int) -> Any:
        """Rows a to b - 1."""
        if value is None:
            return None
        return _hesse.asarray(value[a:b], dtype=self.dtype if value.dtype.kind == "f" else None)

    def arrays(self, values: dict[str, _Numbers], a: int, b: int) -> dict[str, Any]:
        return {k: _vector(self.array(v, a, b)) for k, v in values.items()}


def _starts(counts: _Numbers) -> _Numbers:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _vector(value: Any) -> Any:
    """(N,) from (N, 1)."""
    return value[:, 0] if value is not None and value.ndim == 2 and value.shape[1] == 1 else value


def load_ogb(
    path: str | os.PathLike[str],
    *,
    inverse_edges: bool = False,
    split: str | None = None,
    dtype: Any = None,
) -> OGB:
    """A data set for tasks on nodes or graphs from the folder that the Open Graph Benchmark unpacks.

    Files are tables between commas, each packed (.csv.gz) or not (.csv): ``raw/edge``, ``raw/num-node-list`` and
    ``raw/num-edge-list``, and whichever there are of ``raw/node-feat``, ``raw/edge-feat``, ``raw/node-label`` and
    ``raw/graph-label``, and ``split/<scheme>/train``, ``valid`` and ``test``. What else begins with ``raw/node_`` or
    ``raw/edge_`` goes to `node_data` and `edge_data`. Graphs with several types of nodes are those that
    ``raw/triplet-type-list`` and ``raw/num-node-dict`` tell of, with a folder for each type. Large data sets have
    ``raw/data.npz`` in place of these tables, and ``raw/node-label.npz`` or ``raw/graph-label.npz``.

    Splits of links are ``split/<scheme>/train.pt``, ``valid.pt`` and ``test.pt``, pickles of dicts. These are read where
    they hold arrays of NumPy and nothing else; no code that they name is run. What has tensors of PyTorch in it is
    refused; where you trust it, store it anew: ``numpy.savez("train.npz", **{k: numpy.asarray(v) for k, v in
    torch.load("train.pt", weights_only=False).items()})``. A ``train.npz`` is taken before ``train.pt``.

    Parameters
    ----------
    path : path
        The folder that has ``raw`` in it.
    inverse_edges : bool
        Whether each edge is also added in the other direction, next to it and with the same features. The benchmark's
        table of data sets says for which that is meant ("add_inverse_edge"). Not for several types of nodes:
        `HeteroGraph.with_reversed` does that.
    split : str, optional
        The scheme, where there are several.
    dtype : optional
        Of features and labels that are not integers; by default float64, or that of the .npz file.

    Returns
    -------
    OGB
        Graphs, or heterogeneous ones, with ``x``, ``edge_attr``, and ``y``: labels of nodes, (N,) or (N, tasks), or of
        the graph, scalar or (1, tasks). Where all numbers of a file are integers they are int64. A label that is
        missing is NaN.

    Raises
    ------
    FileNotFoundError
        Where the folder or a file is missing.
    ValueError
        For a malformed file, naming it and the line or the array, for several schemes where none is chosen, and for
        pickles of other things than arrays.

    References
    ----------
    Hu, Fey, Zitnik, Dong, Ren, Liu, Catasta and Leskovec, "Open Graph Benchmark", arXiv:2005.00687 (2020).

    Examples
    --------
    >>> import hesse as hs, tempfile, pathlib
    >>> raw = pathlib.Path(tempfile.mkdtemp()) / "raw"
    >>> raw.mkdir()
    >>> for name, text in [("edge", "0,1\\n1,2\\n0,1\\n"), ("num-node-list", "3\\n2\\n"), ("num-edge-list", "2\\n1\\n")]:
    ...     _ = (raw / f"{name}.csv").write_text(text)
    >>> hs.gnn.load_ogb(raw.parent).graphs
    [Graph(3 nodes, 2 edges), Graph(2 nodes, 1 edges)]
    """
    function, folder = "load_ogb", Path(path)
    raw, read = folder / "raw", _Reader(function, dtype)
    if not raw.is_dir():
        raise _hesse.FileMissingError(f"{function}: there is no folder {raw}")
    if read.file(raw, "triplet-type-list") is not None:
        if inverse_edges:
            raise _hesse.ArgumentError(
                f"{function}: {folder} has several types of nodes; leave out inverse_edges and use with_reversed"
            )
        made, sizes = _hetero(read, raw)
        scheme = _scheme(function, folder / "split", split)
        parts: dict[str, dict[str, Array]] = {}
        for kind, n in sizes.items():
            if scheme is not None and (scheme / kind).is_dir():
                for name, positions in _split(read, scheme / kind, n).items():
                    parts.setdefault(name, {})[kind] = positions
        return OGB(made, parts)
    if (raw / "edge_index_dict.npz").exists():
        raise _hesse.FormatError(
            f"{function}: {raw / 'edge_index_dict.npz'}: several types of nodes are read from tables only"
        )
    parts_of = _from_npz if (raw / "data.npz").exists() else _from_tables
    nodes, edges, edge_starts, per_node, per_edge, graph_label = parts_of(read, raw)
    x, node_label, edge_attr = (
        per_node.pop("feat", None),
        per_node.pop("label", None),
        per_edge.pop("feat", None),
    )
    graphs, starts = len(nodes), _starts(nodes)

    def twice(value: Any) -> Any:
        return _hesse.repeat(value, 2, axis=0) if inverse_edges and value is not None else value

    made = []
    for g in range(graphs):
        (a, b), (e, f) = starts[g : g + 2], edge_starts[g : g + 2]
        own = edges[e:f].T
        if inverse_edges:
            own = np.stack([own, own[::-1]], axis=2).reshape(2, -1)
        y = _vector(read.array(node_label, a, b))
        if graph_label is not None:
            y = read.array(graph_label, g, g + 1)
            y = y[0, 0] if y.shape[1] == 1 else y
        made.append(
            Graph(
                own,
                num_nodes=int(b - a),
                x=read.array(x, a, b),
                edge_attr=twice(read.array(edge_attr, e, f)),
                y=y,
                node_data=read.arrays(per_node, a, b),
                edge_data={k: twice(v) for k, v in read.arrays(per_edge, e, f).items()},
            )
        )
    scheme = _scheme(function, folder / "split", split)
    if scheme is None:
        return OGB(made, {})
    if read.file(scheme, "train") is None and any(scheme.glob("train.[np][pt]*")):
        return OGB(made, {name: _links(read, scheme, name, made) for name in _PARTS})
    return OGB(made, _split(read, scheme, int(starts[-1]) if graphs == 1 else graphs))


_Parts = tuple[_Numbers, _Numbers, _Numbers, dict[str, _Numbers], dict[str, _Numbers], "_Numbers | None"]


def _from_tables(read: _Reader, raw: Path) -> _Parts:
    """Numbers of nodes; edges, [E, 2], and where those of graphs start; what there is of nodes, edges and graphs."""
    listed, nodes = read.counts(raw, "num-node-list", "numbers of nodes")
    edges, edge_starts = read.edges(raw, nodes, nodes)
    total, what = int(nodes.sum()), f"nodes, the sum of {listed.path}"
    per_node = {
        "feat": read.numbers(raw, "node-feat", total, what),
        "label": read.numbers(raw, "node-label", total, what, finite=False),
        **read.further(raw, "node", total, what),
    }
    per_edge = {
        "feat": read.numbers(raw, "edge-feat", len(edges), "edges"), **read.further(raw, "edge", len(edges), "edges"),
    }  # fmt: skip
    graph_label = read.numbers(raw, "graph-label", len(nodes), "graphs", finite=False)
    of_nodes, of_edges = ({k: v for k, v in part.items() if v is not None} for part in (per_node, per_edge))
    if not of_nodes and total > _MOST_NODES:
        raise listed.error(None, f"announces {total} nodes, of which no file has a row")
    return nodes, edges, edge_starts, of_nodes, of_edges, graph_label


def _from_npz(read: _Reader, raw: Path) -> _Parts:
    """The same from arrays."""
    path = raw / "data.npz"
    arrays = npz_arrays(read.function, path)

    def refuse(what: str, file: Path = path) -> NoReturn:
        raise _hesse.FormatError(f"{read.function}: {file}: {what}")

    def integers(name: str, ndim: int) -> _Numbers:
        if name not in arrays:
            refuse(f"has no {name}; it has {', '.join(arrays)}")
        a = arrays.pop(name)
        if a.ndim != ndim or a.dtype.kind not in "iu":
            refuse(f"{name} must hold integers along {ndim} axes, got {a.dtype} of shape {a.shape}")
        return a.astype(np.int64)

    index, nodes, counts = (
        integers("edge_index", 2),
        integers("num_nodes_list", 1),
        integers("num_edges_list", 1),
    )
    if index.shape[0] != 2:
        refuse(f"edge_index must be [2, E], got shape {index.shape}")
    for name, listed in (("num_nodes_list", nodes), ("num_edges_list", counts)):
        if len(listed) != len(nodes) or listed.min(initial=0) < 0 or listed.max(initial=0) > 2**40:
            refuse(f"{name} must have numbers from 0 to {2**40} for {len(nodes)} graphs, got {len(listed)} from "
                   f"{listed.min(initial=0)} to {listed.max(initial=0)}")  # fmt: skip
    total = int(nodes.sum())
    if counts.sum() != index.shape[1]:
        refuse(f"edge_index has {index.shape[1]} edges, num_edges_list {counts.sum()}")
    most = np.repeat(nodes, counts)
    bad = np.flatnonzero(((index < 0) | (index >= most)).any(axis=0))
    if bad.size:
        e = int(bad[0])
        refuse(f"edge_index[:, {e}] is {index[:, e].tolist()}, nodes of its graph are 0 to {most[e] - 1}")
    found: dict[str, dict[str, _Numbers]] = {"node": {}, "edge": {}}
    sizes = {"node": total, "edge": index.shape[1], "graph": len(nodes)}

    def rows(a: _Numbers, kind: str, name: str, file: Path) -> _Numbers:
        if a.ndim == 0 or len(a) != sizes[kind]:
            refuse(f"{name} has shape {a.shape} for {sizes[kind]} {kind}s", file)
        if not name.endswith("label") and a.dtype.kind == "f" and not np.isfinite(a).all():
            refuse(f"{name} must be finite", file)
        return a

    for name, a in arrays.items():
        kind, _, field = name.partition("_")
        if kind not in found or not field:
            refuse(f"{name} is neither of nodes (node_...) nor of edges (edge_...)")
        found[kind][field] = rows(a, kind, name, path)
    graph_label = None
    for kind in ("node", "graph"):
        file = raw / f"{kind}-label.npz"
        if file.exists():
            labels = npz_arrays(read.function, file)
            if f"{kind}_label" not in labels:
                refuse(f"has no {kind}_label; it has {', '.join(labels)}", file)
            label = rows(labels[f"{kind}_label"], kind, f"{kind}_label", file)
            if kind == "node":
                found["node"]["label"] = label
            else:
                graph_label = label.reshape(len(label), -1)
    if not found["node"] and total > _MOST_NODES:
        refuse(f"announces {total} nodes, of which no array has a row")
    return nodes, index.T, _starts(counts), found["node"], found["edge"], graph_label


def _hetero(read: _Reader, raw: Path) -> tuple[list[Any], dict[str, int]]:
    """The graphs, and how many nodes they have together by type."""
    listed = read.table(raw, "num-node-dict", header=True)
    kinds = listed.header
    if len(set(kinds)) != len(kinds) or not all(kinds):
        raise listed.error(-1, f"must name types of nodes, each once, got {','.join(kinds)!r}")
    nodes = dict(zip(kinds, listed.columns(len(kinds)).T, strict=True))
    listed.between(0, 2**40, "numbers of nodes")
    triplets = _triplets(read, raw, kinds)
    graphs = len(listed)
    starts = {k: _starts(v) for k, v in nodes.items()}
    totals = {k: int(v[-1]) for k, v in starts.items()}
    x, y, data = {}, {}, {}
    for kind, n in totals.items():
        what = f"nodes, the sum of {listed.path}"
        x[kind] = read.numbers(raw / "node-feat" / kind, "node-feat", n, what)
        y[kind] = read.numbers(raw / "node-label" / kind, "node-label", n, what, finite=False)
        data[kind] = read.further(raw / "node-feat" / kind, "node", n, what)
        if x[kind] is None and y[kind] is None and not data[kind] and n > _MOST_NODES:
            raise listed.error(None, f"announces {n} nodes of type {kind}, of which no file has a row")
    edges = {}
    for triplet in triplets:
        folder = raw / "relations" / "___".join(triplet)
        index, edge_starts = read.edges(folder, nodes[triplet[0]], nodes[triplet[2]])
        attr = read.numbers(folder, "edge-feat", len(index), "edges")
        edges[triplet] = index, edge_starts, attr, read.further(folder, "edge", len(index), "edges")
    made = []
    for g in range(graphs):
        cut = {k: (int(s[g]), int(s[g + 1])) for k, s in starts.items()}
        own = {t: slice(*s[g : g + 2]) for t, (_, s, _, _) in edges.items()}
        made.append(
            HeteroGraph(
                {t: index[own[t]].T for t, (index, _, _, _) in edges.items()},
                {k: read.array(x[k], *cut[k]) for k in kinds if x[k] is not None},
                num_nodes={k: b - a for k, (a, b) in cut.items()},
                y={k: _vector(read.array(y[k], *cut[k])) for k in kinds if y[k] is not None},
                node_data={k: read.arrays(data[k], *cut[k]) for k in kinds if data[k]},
                edge_attr={
                    t: read.array(attr, own[t].start, own[t].stop)
                    for t, (_, _, attr, _) in edges.items()
                    if attr is not None
                },
                edge_data={
                    t: read.arrays(more, own[t].start, own[t].stop)
                    for t, (_, _, _, more) in edges.items()
                    if more
                },
            )
        )
    return made, totals


def _triplets(read: _Reader, raw: Path, kinds: list[str]) -> list[tuple[str, str, str]]:
    path = read.file(raw, "triplet-type-list")
    assert path is not None
    found = []
    for k, line in enumerate(unpacked(read.function, path).decode("latin-1").splitlines()):
        words = tuple(line.strip().split(","))
        if len(words) != 3 or words[0] not in kinds or words[2] not in kinds or words in found:
            raise _hesse.FormatError(
                f"{read.function}: {path}, line {k + 1}: must be source type, relation and target type, each triple "
                f"once, with types among {', '.join(kinds)}; got {line[:80]!r}"
            )
        found.append(words)
    return found


def _scheme(function: str, folder: Path, scheme: str | None) -> Path | None:
    """The folder of a split."""
    schemes = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if scheme is None and len(schemes) > 1:
        raise _hesse.ArgumentError(f"{function}: {folder} has the schemes {', '.join(schemes)}; give split=")
    if scheme is not None and scheme not in schemes:
        raise _hesse.ArgumentError(
            f"{function}: {folder} has no scheme {scheme!r}; it has {', '.join(schemes) or 'none'}"
        )
    return folder / (scheme or schemes[0]) if schemes else None


def _split(read: _Reader, folder: Path, n: int) -> dict[str, Array]:
    parts = {}
    for name in _PARTS:
        listed = read.table(folder, name)
        listed.columns(1)
        parts[name] = _hesse.asarray(listed.between(0, n - 1, "positions")[:, 0])
    return parts


def _links(read: _Reader, folder: Path, name: str, graphs: list[Any]) -> dict[str, Array]:
    """Pairs of nodes of a part, and what belongs to them."""
    path = folder / f"{name}.npz"
    if path.exists():
        arrays = npz_arrays(read.function, path)
    else:
        path = folder / f"{name}.pt"
        arrays = pickled_arrays(read.function, path)
    if len(graphs) != 1:
        raise _hesse.FormatError(
            f"{read.function}: {path}: splits links of one graph, but there are {len(graphs)}"
        )
    n, found = graphs[0].num_nodes, {}
    for field, a in arrays.items():
        if field not in _ENDS:
            found[field] = _hesse.asarray(a, dtype=read.dtype if a.dtype.kind == "f" else None)
            continue
        pairs = field.startswith("edge")
        if a.dtype.kind not in "iu" or a.ndim == 0 or (pairs and (a.ndim != 2 or a.shape[1] != 2)):
            raise _hesse.FormatError(
                f"{read.function}: {path}: {field} must hold integers {'(M, 2)' if pairs else '(M, ...)'}, got "
                f"{a.dtype} {a.shape}"
            )
        if a.size and not (a.min() >= 0 and a.max() < n):
            raise _hesse.FormatError(
                f"{read.function}: {path}: {field} holds {a.min()} to {a.max()}, nodes are 0 to {n - 1}"
            )
        found[field] = _hesse.asarray((a.T if pairs else a).astype(np.int64))
    return found
