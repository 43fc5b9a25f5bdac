"""What layers share: checks of their arguments, initial weights, products with dense or sparse features."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

from .. import _hesse
from .._hesse import Array
from .._hesse import nn as _nn
from ..nn._layers import Linear
from ..random import next_key
from ..sparse import CSR
from ._bipartite import Bipartite
from ._graph import Graph, refuse_pairs
from ._hetero import HeteroGraph

__all__ = [
    "check_sizes",
    "edge_features",
    "features",
    "glorot",
    "keys",
    "linear",
    "pair_of",
    "require_atoms",
    "require_graph",
    "sides",
]


def check_sizes(layer: str, **sizes: Any) -> None:
    """Every one a positive integer."""
    for name, n in sizes.items():
        if not isinstance(n, SupportsIndex) or isinstance(n, bool):
            raise _hesse.ArgumentTypeError(f"{layer}: {name} must be an integer, got {n!r}")
        if operator.index(n) < 1:
            raise _hesse.ArgumentError(f"{layer}: {name} must be positive, got {n}")


def pair_of(layer: str, in_features: Any) -> tuple[int, int]:
    """Checked numbers of features of sources and of targets, from one for both or from a pair."""
    if isinstance(in_features, tuple) and len(in_features) == 2:
        check_sizes(layer, **{"in_features[0]": in_features[0], "in_features[1]": in_features[1]})
        return in_features
    check_sizes(layer, in_features=in_features)
    return in_features, in_features


def require_graph(layer: str, graph: Any, pairs: bool = False) -> None:
    """A `Graph`, with directed edges unless the layer takes `pairs` too."""
    if isinstance(graph, Bipartite):
        raise _hesse.ArgumentTypeError(
            f"{layer}: graph must be a hs.gnn.Graph, got edges between two types of nodes; SAGEConv, GATConv, GATv2Conv, "
            "TransformerConv, GINConv and message_passing take those"
        )
    if isinstance(graph, HeteroGraph):
        inner = [t for t in graph.edge_types if t[0] == t[2]]
        one = f"the edges within one type of nodes, such as graph[{inner[0]!r}], or " if inner else ""
        raise _hesse.ArgumentTypeError(
            f"{layer}: graph must be a hs.gnn.Graph, got HeteroGraph; take {one}all types as one graph, "
            "graph.to_homogeneous(); HeteroConv has a layer for each type of edges"
        )
    if not isinstance(graph, Graph):
        raise _hesse.ArgumentTypeError(
            f"{layer}: graph must be a hs.gnn.Graph, got {type(graph).__name__}; layers are called as "
            "layer(x, graph)"
        )
    if not pairs:
        refuse_pairs(layer, graph)


def require_atoms(layer: str, graph: Any, pairs: bool = False) -> tuple[Array, Array]:
    """The positions and the atomic numbers of a graph."""
    require_graph(layer, graph, pairs)
    if graph.pos is None or "z" not in graph.node_data:
        raise _hesse.ArgumentError(
            f'{layer}: the graph needs positions and atomic numbers: pos= and node_data={{"z": ...}}'
        )
    return graph.pos, graph.node_data["z"]


def features(
    layer: str, x: Any, graph: Graph, width: int | None = None, sparse: bool = False, pairs: bool = False
) -> Any:
    """Checked features of nodes, [N, width]: an array, or a sparse matrix where the layer takes one."""
    require_graph(layer, graph, pairs)
    if isinstance(x, CSR):
        if not sparse:
            raise _hesse.ArgumentTypeError(f"{layer}: x must be dense; use x.todense()")
    else:
        if x is None:
            raise _hesse.ArgumentTypeError(f"{layer}: x is None; the features of a graph are graph.x")
        x = _hesse.asarray(x)
    if len(x.shape) != 2 or x.shape[0] != graph.num_nodes or (width is not None and x.shape[1] != width):
        columns = "F" if width is None else width
        raise _hesse.ArgumentError(
            f"{layer}: x must be [{graph.num_nodes}, {columns}] for this graph, got shape {tuple(x.shape)}"
        )
    return x


def sides(
    layer: str, x: Any, graph: Any, source_width: int | None, target_width: int | None, sparse: bool = False
) -> tuple[Any, Any]:
    """Checked features of sources and of targets: the same for a graph, a pair for edges between two types."""
    if not isinstance(graph, Bipartite):
        if target_width is not None and source_width != target_width:
            raise _hesse.ArgumentTypeError(
                f"{layer}: with in_features=({source_width}, {target_width}) the graph must be a hs.gnn.Bipartite, got "
                f"{type(graph).__name__}"
            )
        x = features(layer, x, graph, source_width, sparse)
        return x, x
    if not isinstance(x, tuple) or len(x) != 2:
        raise _hesse.ArgumentTypeError(
            f"{layer}: for edges between two types of nodes x must be a pair, (x_source, x_target), got "
            f"{type(x).__name__}"
        )
    checked = []
    for name, part, rows, width in (
        ("x_source", x[0], graph.num_sources, source_width), ("x_target", x[1], graph.num_nodes, target_width),
    ):  # fmt: skip
        if isinstance(part, CSR) and not sparse:
            raise _hesse.ArgumentTypeError(f"{layer}: {name} must be dense; use {name}.todense()")
        part = part if isinstance(part, CSR) else _hesse.asarray(part)
        if len(part.shape) != 2 or part.shape[0] != rows or (width is not None and part.shape[1] != width):
            raise _hesse.ArgumentError(
                f"{layer}: {name} must be [{rows}, {'F' if width is None else width}], got shape {tuple(part.shape)}"
            )
        checked.append(part)
    return checked[0], checked[1]


def edge_features(layer: str, value: Any, graph: Graph | Bipartite, width: int | None = None) -> Array:
    """Checked features of edges in the graph's order, [E, width]; one axis counts as width 1."""
    if value is None:
        value = graph.edge_attr
    if value is None:
        raise _hesse.ArgumentTypeError(
            f"{layer}: edge features are needed: give edge_attr, or a graph with it"
        )
    value = _hesse.asarray(value)
    if value.ndim == 1:
        value = value[:, None]
    if (
        value.ndim != 2
        or value.shape[0] != graph.num_edges
        or (width is not None and value.shape[1] != width)
    ):
        columns = "F" if width is None else width
        raise _hesse.ArgumentError(
            f"{layer}: edge_attr must be [{graph.num_edges}, {columns}], got shape {tuple(value.shape)}"
        )
    checked: Array = value
    return checked


def keys(key: Array | None, n: int) -> list[Array]:
    """Keys for n initial weights; without a key from the state that `hs.seed` sets."""
    return list(_hesse.unstack(_hesse.random.split(next_key() if key is None else key, num=n)))


def glorot(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    return _nn.init.glorot_uniform(key, shape, dtype=dtype)


def linear(x: Any, weight: Array, bias: Array | None = None) -> Array:
    """x W^T + b for dense or sparse x."""
    if isinstance(x, CSR):
        y: Array = x @ _hesse.matrix_transpose(weight)
        return y if bias is None else y + bias
    return _nn.linear(x, weight, bias)


def apply_linear(layer: Linear, x: Any) -> Array:
    return linear(x, layer.weight, layer.bias)
