"""Graph data sets from the folders of text files that TUDataset has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .. import _hesse
from ._graph import Graph
from ._tables import Table

__all__ = ["load_tudataset"]

_Numbers = np.ndarray[Any, Any]


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

    def table(what: str, kind: str = "integers", least: bool = False) -> Table | None:
        file = folder / f"{name}_{what}.txt"
        return Table(function, file, kind) if least or file.exists() else None

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
