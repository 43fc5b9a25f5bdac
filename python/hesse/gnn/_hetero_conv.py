"""A layer for each type of edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import _hesse
from .._hesse import Array
from ..nn._module import Module
from ._hetero import EdgeType, HeteroGraph, name_of, type_of

__all__ = ["HeteroConv"]


class HeteroConv(Module):
    """A layer for every type of edges; what different ones give to a node is reduced.

    y_i = reduce over the edge types r that end in the type of i of layer_r(x_source, x_target)_i.

    Parameters
    ----------
    layers : dict
        By (source type, relation, target type): a layer. It is called as ``layer(x, edges)`` where source and target
        type are the same, else as ``layer((x_source, x_target), edges)``: see `Bipartite` for the layers that take
        that, and make attention with ``self_loops=False``.
    reduce : str
        "sum", "mean", "max", "min", or "concat" along the last axis, in the order of `layers`.

    Raises
    ------
    TypeError
        For a type of edges that is not three strings.
    ValueError
        When called: for a type of edges that the graph has not, and one whose nodes have no features.

    Notes
    -----
    Called as ``conv(x, graph, key=...)`` with a dict of features by type of nodes, it gives such a dict, of the types
    that edges end in. With a key each layer, which must take one, gets its own. As `HeteroConv` of PyTorch Geometric.

    References
    ----------
    Schlichtkrull, Kipf, Bloem, van den Berg, Titov and Welling, "Modeling relational data with graph convolutional
    networks", arXiv:1703.06103 (2018), equation 2 with any layer for a relation.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.HeteroGraph(
    ...     {("author", "writes", "paper"): [[0, 0, 1], [0, 1, 2]], ("paper", "cites", "paper"): [[1, 2], [0, 0]]},
    ...     x={"author": hs.ones((2, 4)), "paper": hs.ones((3, 5))},
    ... )
    >>> conv = hs.gnn.HeteroConv({
    ...     ("author", "writes", "paper"): hs.gnn.SAGEConv((4, 5), 6),
    ...     ("paper", "cites", "paper"): hs.gnn.GCNConv(5, 6),
    ... })
    >>> {kind: y.shape for kind, y in conv(graph.x, graph).items()}
    {'paper': (3, 6)}
    """

    layers: dict[str, Any]
    reduce: str

    def __init__(self, layers: Mapping[EdgeType, Callable[..., Any]], *, reduce: str = "sum") -> None:
        if reduce not in ("sum", "mean", "max", "min", "concat"):
            raise _hesse.ArgumentError(
                f"HeteroConv: reduce must be 'sum', 'mean', 'max', 'min' or 'concat', got {reduce!r}"
            )
        if not isinstance(layers, Mapping):
            raise _hesse.ArgumentTypeError(
                f"HeteroConv: layers must be a dict by types of edges, got {type(layers).__name__}"
            )
        if not layers:
            raise _hesse.ArgumentError("HeteroConv: there are no layers")
        self.layers = {name_of("HeteroConv", k): layer for k, layer in layers.items()}
        self.reduce = reduce

    def __call__(
        self, x: Mapping[str, Any], graph: HeteroGraph, *, key: Array | None = None
    ) -> dict[str, Any]:
        if not isinstance(graph, HeteroGraph):
            raise _hesse.ArgumentTypeError(
                f"HeteroConv: graph must be a hs.gnn.HeteroGraph, got {type(graph).__name__}"
            )
        keys = None if key is None else _hesse.unstack(_hesse.random.split(key, num=len(self.layers)))
        parts: dict[str, list[Any]] = {}
        for k, (name, layer) in enumerate(self.layers.items()):
            edge_type = type_of(name)
            source, _, target = edge_type
            edges = graph[edge_type]
            for kind in (source, target):
                if x.get(kind) is None:
                    raise _hesse.ArgumentError(
                        f"HeteroConv: nodes of type {kind!r} have no features, which the layer of {edge_type} needs; "
                        f"give x[{kind!r}], such as a trained array with a row for each of them"
                    )
            features = x[source] if source == target else (x[source], x[target])
            options = {} if keys is None else {"key": keys[k]}
            parts.setdefault(target, []).append(layer(features, edges, **options))
        return {kind: self._reduced(values) for kind, values in parts.items()}

    def _reduced(self, values: list[Any]) -> Any:
        if self.reduce == "concat":
            return _hesse.concat(values, axis=-1)
        y = values[0]
        for value in values[1:]:
            if self.reduce == "max":
                y = _hesse.maximum(y, value)
            elif self.reduce == "min":
                y = _hesse.minimum(y, value)
            else:
                y = y + value
        return y / len(values) if self.reduce == "mean" else y
