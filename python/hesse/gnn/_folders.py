"""Graph data sets from folders of text files: TUDataset's and those of the Open Graph Benchmark."""

from __future__ import annotations

import gzip
import io
import os
import warnings
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import _hesse
from .._hesse import Array
from ._graph import Graph

__all__ = ["OGB", "load_ogb", "load_tudataset"]

_Numbers = np.ndarray[Any, Any]
_MOST_NODES = 10**9  # that a list may announce where no file has a row for each of them


class _Table:
    """The rows of a file of numbers between commas, and errors that name the file and the line."""

    def __init__(self, function: str, path: Path, kind: str, finite: bool = True) -> None:
        self.function, self.path = function, path
        text = self._read()
        rows = text.count(b"\n") + (not text.endswith(b"\n") and len(text) > 0)
        self.values: _Numbers = np.zeros((0, 1), np.int64 if kind == "integers" else np.float64)
        if rows:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of a file with blank lines only: found below
                    warnings.simplefilter("error", DeprecationWarning)  # 1.5 as an integer, in old versions
                    self.values = np.loadtxt(
                        io.TextIOWrapper(io.BytesIO(text), "latin-1"),
                        np.int64 if kind == "integers" else np.float64, delimiter=",", comments=None, ndmin=2,
                    )  # fmt: skip
            except (ValueError, OverflowError, DeprecationWarning):
                raise self._bad_line(text, kind) from None
            if len(self.values) != rows:  # blank lines are left out
                raise self._bad_line(text, kind)
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=1)) if finite else np.zeros(0)
        if bad.size:
            raise self.error(int(bad[0]), f"must be finite, got {self.values[bad[0]].tolist()}")
        self.whole = b"." not in text and b"n" not in text.lower() and b"e" not in text.lower()

    def __len__(self) -> int:
        return len(self.values)

    def error(self, row: int | None, what: str) -> Exception:
        where = f"{self.path}" if row is None else f"{self.path}, line {row + 1}"
        return _hesse.FormatError(f"{self.function}: {where}: {what}")

    def _read(self) -> bytes:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            raise _hesse.FileMissingError(f"{self.function}: there is no file {self.path}") from None
        if self.path.suffix != ".gz":
            return data
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as cause:
            raise self.error(None, f"cannot be unpacked: {cause}") from cause

    def _bad_line(self, text: bytes, kind: str) -> Exception:
        lines = text.decode("latin-1").split("\n")
        width = lines[0].count(",") + 1
        convert = int if kind == "integers" else float
        for k, line in enumerate(lines[:-1] if not lines[-1] else lines):
            words = line.split(",")
            if len(words) != width:
                return self.error(k, f"must have {width} columns as line 1, got {len(words)}")
            for word in words:
                try:
                    number = convert(word)
                except ValueError:
                    return self.error(k, f"must hold {kind}, got {line[:60]!r}")
                if kind == "integers" and not -(2**63) <= number < 2**63:
                    return self.error(k, f"holds an integer that needs more than 64 bits: {line[:60]!r}")
        return self.error(None, f"cannot be read as {kind} between commas")

    def columns(self, n: int) -> _Numbers:
        if len(self) and self.values.shape[1] != n:
            raise self.error(0, f"must have {n} column(s), got {self.values.shape[1]}")
        return self.values.reshape(-1, n)

    def rows(self, n: int, what: str) -> _Table:
        if len(self) != n:
            raise self.error(None, f"has {len(self)} lines for {n} {what}")
        return self

    def between(self, low: int, high: int, what: str) -> _Numbers:
        """The values, integers from low to high."""
        bad = np.flatnonzero(((self.values < low) | (self.values > high)).any(axis=1))
        if bad.size:
            raise self.error(int(bad[0]), f"{what} are {low} to {high}, got {self.values[bad[0]].tolist()}")
        return self.values


def _one_hot(labels: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Labels as positions among those there are, column by column, and as ones in as many columns."""
    classes, columns = [], []
    for column in labels.T:
        names, position = np.unique(column, return_inverse=True)
        classes.append(position.reshape(-1))
        columns.append(np.eye(len(names))[position.reshape(-1)])
    return np.stack(classes, axis=1), np.concatenate(columns, axis=1)


def load_tudataset(path: str | os.PathLike[str], *, dtype: Any = None) -> list[Graph]:
    """The graphs of a folder DS with the files DS_A.txt, DS_graph_indicator.txt and more, as TUDataset has them.

    Parameters
    ----------
    path : path
        The folder; its name is that of the data set.
    dtype : optional
        Of features and attributes; float64 by default.

    Returns
    -------
    list of Graph
        With whichever there are files for: ``x``, (N, F): node attributes, then node labels one-hot;
        ``node_data["label"]``; ``edge_attr`` and ``edge_data["label"]``, the same of edges; ``y``: the attributes of
        the graph, a scalar where that is one, else its label. Labels are int64, (N,) or (N, columns): positions among
        those that the whole data set has, in ascending order, so that -1 and 1 become 0 and 1.

    Raises
    ------
    FileNotFoundError
        Where the folder or one of the two files is missing.
    ValueError
        For a malformed file, naming it and the line.

    References
    ----------
    Morris, Kriege, Bause, Kersting, Mutzel and Neumann, "TUDataset: a collection of benchmark datasets for learning
    with graphs", arXiv:2007.08663 (2020). www.graphlearning.io describes the files.

    Examples
    --------
    >>> import hesse as hs, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "DS"
    >>> folder.mkdir()
    >>> _ = (folder / "DS_A.txt").write_text("1, 2\\n2, 1\\n")
    >>> _ = (folder / "DS_graph_indicator.txt").write_text("1\\n1\\n2\\n")
    >>> _ = (folder / "DS_graph_labels.txt").write_text("1\\n-1\\n")
    >>> hs.gnn.load_tudataset(folder)
    [Graph(2 nodes, 2 edges, y=int64[]), Graph(1 nodes, 0 edges, y=int64[])]
    """
    function, folder = "load_tudataset", Path(path)
    if not folder.is_dir():
        raise _hesse.FileMissingError(f"{function}: there is no folder {folder}")
    name = folder.resolve().name

    def table(what: str, kind: str = "integers", least: bool = False) -> _Table | None:
        file = folder / f"{name}_{what}.txt"
        return _Table(function, file, kind) if least or file.exists() else None

    ends, indicator = table("A", least=True), table("graph_indicator", least=True)
    assert ends is not None and indicator is not None
    indicator.columns(1)
    n, count = len(indicator), len(ends)
    labels, values = table("graph_labels"), table("graph_attributes", "numbers")
    given = [len(t) for t in (labels, values) if t is not None]
    most = int(indicator.values.max()) if n else 0
    # Graphs that have no nodes are known by their labels alone; a number beyond all lines is a mistake.
    of_node = indicator.between(1, given[0] if given else min(most, n), "numbers of graphs")[:, 0] - 1
    graphs = given[0] if given else most
    edges = ends.columns(2)
    ends.between(1, n, "nodes")
    edges = edges - 1
    across = np.flatnonzero(of_node[edges[:, 0]] != of_node[edges[:, 1]])
    if across.size:
        a, b = edges[across[0]]
        raise ends.error(
            int(across[0]),
            f"joins node {a + 1} of graph {of_node[a] + 1} and node {b + 1} of graph {of_node[b] + 1}",
        )

    real = dtype

    def features(what: str, rows: int) -> tuple[_Numbers | None, _Numbers | None]:
        """Attributes and one-hot labels side by side, and labels."""
        parts, classes = [], None
        attributes, names = table(f"{what}_attributes", "numbers"), table(f"{what}_labels")
        if attributes is not None:
            parts.append(attributes.rows(rows, f"{what}s").values)
        if names is not None:
            classes, columns = _one_hot(names.rows(rows, f"{what}s").values)
            classes = classes[:, 0] if classes.shape[1] == 1 else classes
            parts.append(columns)
        return (np.concatenate(parts, axis=1) if parts else None), classes

    x, node_label = features("node", n)
    edge_attr, edge_label = features("edge", count)
    y: _Numbers | None = None
    if labels is not None:
        y = _one_hot(labels.rows(graphs, "graphs").values)[0] if graphs else labels.values
    if values is not None:
        y = values.rows(graphs, "graphs").values
    # Nodes and edges graph by graph.
    node_order = np.argsort(of_node, kind="stable")
    node_starts = np.searchsorted(of_node[node_order], np.arange(graphs + 1))
    local = np.empty(n, np.int64)
    local[node_order] = np.arange(n) - node_starts[of_node[node_order]]
    edge_graph = of_node[edges[:, 0]]
    edge_order = np.argsort(edge_graph, kind="stable")
    edge_starts = np.searchsorted(edge_graph[edge_order], np.arange(graphs + 1))

    def rows(value: _Numbers | None, at: _Numbers) -> Any:
        if value is None:
            return None
        return _hesse.asarray(value[at], dtype=real if value.dtype.kind == "f" else None)

    result = []
    for g in range(graphs):
        nodes = node_order[node_starts[g] : node_starts[g + 1]]
        own = edge_order[edge_starts[g] : edge_starts[g + 1]]
        target = None
        if y is not None:
            target = rows(y, np.array(g) if y.shape[1] == 1 else np.array([g]))
            target = target[0] if y.shape[1] == 1 else target
        result.append(
            Graph(
                local[edges[own]].T,
                num_nodes=len(nodes),
                x=rows(x, nodes),
                edge_attr=rows(edge_attr, own),
                y=target,
                node_data={} if node_label is None else {"label": rows(node_label, nodes)},
                edge_data={} if edge_label is None else {"label": rows(edge_label, own)},
            )
        )
    return result


class OGB(NamedTuple):
    """A data set of the Open Graph Benchmark.

    Parameters
    ----------
    graphs : list of Graph
        One for tasks on nodes.
    split : dict of Array
        int64 positions of nodes, or of graphs where there are several, by "train", "valid" and "test"; empty where
        the folder has no split.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.OGB([hs.gnn.Graph([[0], [1]])], {}).graphs[0].num_nodes
    2
    """

    graphs: list[Graph]
    split: dict[str, Array]


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
    ``raw/graph-label``, and ``split/<scheme>/train``, ``valid`` and ``test``.

    Parameters
    ----------
    path : path
        The folder that has ``raw`` in it.
    inverse_edges : bool
        Whether each edge is also added in the other direction, next to it and with the same features. The benchmark's
        table of data sets says for which that is meant ("add_inverse_edge").
    split : str, optional
        The scheme, where there are several.
    dtype : optional
        Of features and labels that are not integers; float64 by default.

    Returns
    -------
    OGB
        Graphs with ``x``, ``edge_attr``, and ``y``: labels of nodes, (N,) or (N, tasks), or of the graph, scalar or
        (1, tasks). Where all numbers of a file are integers they are int64. A label that is missing is NaN.

    Raises
    ------
    FileNotFoundError
        Where the folder or a file is missing.
    ValueError
        For a malformed file, naming it and the line, for several schemes where none is chosen, and for splits of links,
        which are stored as pickles.

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
    raw = folder / "raw"
    if not raw.is_dir():
        raise _hesse.FileMissingError(f"{function}: there is no folder {raw}")
    if _file(raw, "triplet-type-list") is not None:
        raise _hesse.ArgumentError(f"{function}: {folder} has several types of nodes, which are not read yet")

    def table(
        where: Path, name: str, kind: str = "integers", least: bool = False, finite: bool = True
    ) -> Any:
        file = _file(where, name)
        if file is None:
            return _Table(function, where / f"{name}.csv.gz", kind) if least else None
        return _Table(function, file, kind, finite)

    sizes = {}
    for what in ("node", "edge"):
        listed = table(raw, f"num-{what}-list", least=True)
        listed.columns(1)
        sizes[what] = listed, listed.between(0, 2**40, f"numbers of {what}s")[:, 0]
    (node_list, nodes), (edge_list, counts) = sizes["node"], sizes["edge"]
    graphs = len(nodes)
    edge_list.rows(graphs, "graphs")
    ends = table(raw, "edge", least=True)
    edges = ends.columns(2)
    ends.rows(int(counts.sum()), f"edges, the sum of {edge_list.path}")
    real = dtype

    def rows(name: str, n: int, what: str, finite: bool = True) -> Any:
        read = table(raw, name, "numbers", finite=finite)
        if read is None:
            return None
        values = read.rows(n, what).values
        return values.astype(np.int64) if read.whole else values

    total = int(nodes.sum())
    x = rows("node-feat", total, f"nodes, the sum of {node_list.path}")
    node_label = rows("node-label", total, f"nodes, the sum of {node_list.path}", finite=False)
    edge_attr = rows("edge-feat", len(edges), "edges")
    graph_label = rows("graph-label", graphs, "graphs", finite=False)
    if x is None and node_label is None and total > _MOST_NODES:
        raise node_list.error(None, f"announces {total} nodes, of which no file has a row")
    starts, edge_starts = (np.concatenate([[0], np.cumsum(k)]) for k in (nodes, counts))
    of_graph = np.repeat(np.arange(graphs), counts)
    bad = np.flatnonzero(((edges < 0) | (edges >= nodes[of_graph, None])).any(axis=1))
    if bad.size:
        e = int(bad[0])
        raise ends.error(
            e, f"nodes of graph {of_graph[e]} are 0 to {nodes[of_graph[e]] - 1}, got {edges[e].tolist()}"
        )

    def cut(value: Any, a: int, b: int) -> Any:
        if value is None:
            return None
        return _hesse.asarray(value[a:b], dtype=real if value.dtype.kind == "f" else None)

    def flat(value: Any, to: tuple[int, ...]) -> Any:
        return _hesse.reshape(value, to) if value is not None and value.shape[1] == 1 else value

    made = []
    for g in range(graphs):
        own = edges[edge_starts[g] : edge_starts[g + 1]].T
        attr = cut(edge_attr, edge_starts[g], edge_starts[g + 1])
        if inverse_edges:
            own = np.stack([own, own[::-1]], axis=2).reshape(2, -1)
            attr = None if attr is None else _hesse.repeat(attr, 2, axis=0)
        y = flat(cut(node_label, starts[g], starts[g + 1]), (int(nodes[g]),))
        if graph_label is not None:
            y = flat(cut(graph_label, g, g + 1), ())
        made.append(
            Graph(own, num_nodes=int(nodes[g]), x=cut(x, starts[g], starts[g + 1]), edge_attr=attr, y=y)
        )
    return OGB(made, _split(function, folder / "split", split, table, total if graphs == 1 else graphs))


def _file(folder: Path, name: str) -> Path | None:
    for end in (".csv.gz", ".csv"):
        if (folder / f"{name}{end}").exists():
            return folder / f"{name}{end}"
    return None


def _split(function: str, folder: Path, scheme: str | None, table: Any, n: int) -> dict[str, Array]:
    schemes = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if scheme is None and len(schemes) > 1:
        raise _hesse.ArgumentError(f"{function}: {folder} has the schemes {', '.join(schemes)}; give split=")
    if scheme is not None and scheme not in schemes:
        raise _hesse.ArgumentError(
            f"{function}: {folder} has no scheme {scheme!r}; it has {', '.join(schemes) or 'none'}"
        )
    if not schemes:
        return {}
    where = folder / (scheme or schemes[0])
    if _file(where, "train") is None and any(where.glob("*.pt")):
        raise _hesse.ArgumentError(
            f"{function}: {where} holds pickles, which are not read; edge_split splits the edges of a graph"
        )
    parts = {}
    for name in ("train", "valid", "test"):
        read = table(where, name, least=True)
        read.columns(1)
        parts[name] = _hesse.asarray(read.between(0, n - 1, "positions")[:, 0])
    return parts
