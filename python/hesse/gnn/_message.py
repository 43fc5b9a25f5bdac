"""Message passing with the message of one edge as a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _hesse
from .._flat import check_callable
from .._hesse import Array
from .._map import map as _map
from .._vmap import vmap
from . import _segments as seg
from ._bipartite import Bipartite
from ._common import require_graph
from ._graph import Graph

__all__ = ["message_passing"]


def message_passing(
    message: Callable[..., Any],
    reduce: str,
    x: Any,
    graph: Graph | Bipartite,
    edge_attr: Any = None,
    *,
    store_edges: bool = False,
) -> Any:
    """What the incoming edges of every node have to say: y_i = reduce over j of message(x_i, x_j, e_ij).

    Parameters
    ----------
    message : callable
        Takes the rows of the target, of the source, and of the edge (None without `edge_attr`) for ONE edge, and
        returns a tree of arrays. What it captures is the same for all edges. For "softmax" it returns
        (logits, values), with logits of shape () or (H,) and values of shape (...) or (H, ...).
        In a graph of pairs (`Graph.pairs`) it is called once for both directions and returns two such trees, the
        message to the target and the one to the source: what is the same for both is computed once.
    reduce : str
        "sum", "mean", "max", "min" or "softmax", the last not for pairs. A node without edges gets 0.
    x : array or tree of arrays, (N, ...)
    graph : Graph or Bipartite
        For the latter x is a pair: trees of arrays of the sources and of the targets.
    edge_attr : array or tree of arrays, (E, ...), optional
        In the order of the graph's edges, which are sorted by target.
    store_edges : bool
        Whether messages are stored, (E, ...), before they are reduced. "max" and "min" store them always. Else
        "sum", "mean" and "softmax" are maps over edges, forwards and backwards: what leads to a
        message lives in a tile; the messages themselves are written once and added.

    Returns
    -------
    tree of arrays, (N, ...)

    Raises
    ------
    ValueError
        For another word than these, for arrays whose rows do not fit, and for messages of a pair that differ in
        shape.
    TypeError
        For a message of a pair that is no pair of trees of one structure.

    References
    ----------
    Gilmer, Schoenholz, Riley, Vinyals and Dahl, "Neural message passing for quantum chemistry",
    arXiv:1704.01212 (2017).

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1, 2], [1, 2, 1]])
    >>> x = hs.array([[1.0], [10.0], [100.0]])
    >>> hs.gnn.message_passing(lambda xi, xj, e: xj - xi, "sum", x, graph)
    Array([[  0.],
           [ 81.],
           [-90.]], dtype=float64)
    """
    check_callable(message, "message_passing")
    if isinstance(graph, Bipartite):
        if not isinstance(x, tuple) or len(x) != 2:
            raise _hesse.ArgumentTypeError(
                "message_passing: for edges between two types of nodes x must be a pair, (x_source, x_target), got "
                f"{type(x).__name__}"
            )
        source, target, sources = *x, graph.num_sources
    else:
        require_graph("message_passing", graph, pairs=True)
        source, target, sources = x, x, graph.num_nodes
    if reduce not in ("sum", "mean", "max", "min", "softmax"):
        raise _hesse.ArgumentError(
            f"message_passing: reduce must be 'sum', 'mean', 'max', 'min' or 'softmax', got {reduce!r}"
        )
    for name, tree, rows in (
        ("x", target, graph.num_nodes), ("x", source, sources), ("edge_attr", edge_attr, graph.num_edges),
    ):  # fmt: skip
        for leaf in _hesse.tree_leaves(tree):
            shape = _hesse.asarray(leaf).shape
            if len(shape) == 0 or shape[0] != rows:
                raise _hesse.ArgumentError(
                    f"message_passing: {name} must have {rows} rows for this graph, got shape {shape}"
                )
    stored = store_edges or reduce in ("max", "min")
    paired = isinstance(graph, Graph) and graph.paired
    if paired and reduce == "softmax":
        raise _hesse.ArgumentError(
            "message_passing: reduce='softmax' is over the edges into a node, and the graph has pairs of nodes, each "
            "once: use graph.directed()"
        )
    if paired:
        message = _checked(message)

    def each(f: Callable[..., Any], results: Any, *more: Any) -> Any:
        operands = [target, source, edge_attr, *more]
        access = [("gather", 0), ("gather", 1), *(["each"] * (1 + len(more)))]
        return _map(f, graph.num_edges, operands, access, results, [graph.target, graph.source])

    def per_edge(f: Callable[..., Any]) -> Any:
        if not stored:
            return each(f, "each")

        def rows(tree: Any, index: Array) -> Any:
            return _hesse.tree_map(lambda a: seg.rows(_hesse.asarray(a), index), tree)

        axes = (0, 0, None if edge_attr is None else 0)
        return vmap(f, axes)(rows(target, graph.target), rows(source, graph.source), edge_attr)

    n, ids, starts = graph.num_nodes, graph.target, graph.target_starts
    if paired:  # a node gets messages where it is the target and where it is the source
        ids, starts = _hesse.concat([ids, graph.source]), starts + graph.source_starts
    if reduce == "softmax":
        if stored:
            logits, values = per_edge(message)
            weights = seg.softmax(logits, ids, n)[0]
            return _hesse.tree_map(lambda v: seg.total(seg.over(weights, v) * v, ids, n), values)
        # The logits alone are stored; messages are computed again where they are summed.
        weights = seg.softmax(each(lambda *a: message(*a)[0], "each"), ids, n)[0]

        def weighted(xi: Any, xj: Any, e: Any, w: Any) -> Any:
            return _hesse.tree_map(lambda v: seg.over(w, v) * v, message(xi, xj, e)[1])

        return each(weighted, ("segment_sum", 0, n), weights)
    if stored:
        messages = per_edge(message)
        if paired:
            messages = _hesse.tree_map(lambda *both: _hesse.concat(both), *messages)
        if reduce == "sum":
            return _hesse.tree_map(lambda m: seg.total(m, ids, n), messages)
        reduction = {"mean": seg.mean, "max": seg.maximum, "min": seg.minimum}[reduce]
        return _hesse.tree_map(lambda m: reduction(m, ids, starts), messages)
    if paired:
        both = each(message, [("segment_sum", 0, n), ("segment_sum", 1, n)])
        sums = _hesse.tree_map(_hesse.add, *both)
    else:
        sums = each(message, ("segment_sum", 0, n))
    if reduce == "sum":
        return sums

    def mean(s: Any) -> Any:
        return s / seg.over(_hesse.maximum(seg.counts(starts, s.dtype), 1), s)

    return _hesse.tree_map(mean, sums)


def _checked(message: Callable[..., Any]) -> Callable[..., Any]:
    """The message of a pair: two trees of one structure and shapes."""

    def both(xi: Any, xj: Any, e: Any) -> Any:
        found = message(xi, xj, e)
        if not isinstance(found, tuple) or len(found) != 2:
            what = f"{len(found)} items" if isinstance(found, tuple) else f"a {type(found).__name__}"
            raise _hesse.ArgumentTypeError(
                "message_passing: in a graph of pairs message must return two messages, (to the target, to the source), "
                f"got {what}"
            )
        (there, kind), (back, other) = map(_hesse.tree_flatten, found)
        if kind != other:
            raise _hesse.ArgumentTypeError(
                "message_passing: the messages of a pair must have one structure, but the one to the target is "
                f"{kind} and the one to the source {other}"
            )
        shapes = [[tuple(_hesse.asarray(a).shape) for a in leaves] for leaves in (there, back)]
        if shapes[0] != shapes[1]:
            raise _hesse.ArgumentError(
                "message_passing: the messages of a pair must have the same shapes, but the one to the target has "
                f"{shapes[0]} and the one to the source {shapes[1]}"
            )
        return found

    return both
