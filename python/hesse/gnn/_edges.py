"""Edges sorted by target, and the arrays that belong to them: what graphs of one and of two types of nodes share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from .. import _hesse
from .._hesse import Array
from .._hesse import gnn as _gnn
from ..nn._module import Module
from ..sparse import CSR
from . import _segments as seg

__all__ = ["Edges", "checked_edges", "described", "length_of", "numpy_of", "rows_of"]


def checked_edges(edge_index: Any) -> np.ndarray[Any, Any]:
    """[2, E] int64, checked."""
    if isinstance(edge_index, Array):
        _require_data("Graph", "edge_index", edge_index)
    edges = np.asarray(edge_index)
    if edges.size == 0 and edges.shape in ((0,), (2, 0), (0, 2)):
        return np.zeros((2, 0), np.int64)
    if edges.ndim != 2 or edges.shape[0] != 2:
        turned = "; transpose it" if edges.ndim == 2 and edges.shape[1] == 2 else ""
        raise _hesse.ArgumentError(
            f"Graph: edge_index must be [2, E], sources above targets, got shape {edges.shape}{turned}"
        )
    if edges.dtype.kind not in "iu":
        raise _hesse.ArgumentTypeError(
            f"Graph: edge_index must hold integers, got {edges.dtype}; convert it with astype(int)"
        )
    return edges.astype(np.int64, copy=False)


def _require_data(function: str, name: str, a: Array) -> None:
    if _hesse.in_trace():
        try:
            np.asarray(a)
        except Exception as error:
            raise _hesse.TraceError(
                f"{function}: {name} must hold data: make the graph outside of compile and vmap and pass it as "
                "an argument"
            ) from error


def numpy_of(function: str, name: str, a: Any) -> np.ndarray[Any, Any]:
    """An array's data, or an error that says why there is none."""
    if isinstance(a, Array):
        _require_data(function, name, a)
    return np.asarray(a)


def padding_pairs(edges: int, sources: int, targets: int) -> np.ndarray[Any, Any]:
    """p for each edge of padding, which goes from its node 2 p to its node 2 p + 1: no self-loops, targets ascend."""
    return np.arange(edges) * (min(sources, targets) // 2) // max(edges, 1)


def ranks(order: np.ndarray[Any, Any], graphs: Any = None) -> np.ndarray[Any, Any]:
    """Positions from 0 on in place of ascending numbers that skip some; with the graph of each, graph after graph."""
    by = np.argsort(order) if graphs is None else np.lexsort((order, graphs))
    found = np.empty(len(order), np.int64)
    found[by] = np.arange(len(order))
    return found


def rows_of(name: str, value: Any, n: int, of_what: str) -> Any:
    """A value as an array (or sparse matrix) with a row for each node or edge."""
    if isinstance(value, CSR):
        length: int = value.shape[0]
    else:
        value = _hesse.asarray(value)
        if value.ndim == 0:
            raise _hesse.ArgumentError(f"Graph: {name} must have a row per {of_what}, got a scalar")
        length = value.shape[0]
    if length != n:
        raise _hesse.ArgumentError(
            f"Graph: {name} has {length} rows for {n} {of_what}s (shape {tuple(value.shape)})"
        )
    return value


def length_of(name: str, value: Any) -> int:
    """How many rows a value has."""
    shape = value.shape if hasattr(value, "shape") else np.shape(value)
    if len(shape) == 0:
        raise _hesse.ArgumentError(f"Graph: {name} must have a row per node, got a scalar")
    return int(shape[0])


def described(kind: str, sizes: Iterable[str], *arrays: Mapping[str, Any]) -> str:
    """Sizes in words, and arrays by dtype and shape."""
    parts = [
        f"{name}={'CSR ' if isinstance(a, CSR) else ''}{a.dtype}[{','.join(map(str, a.shape))}]"
        for named in arrays
        for name, a in named.items()
        if hasattr(a, "shape")
    ]
    return f"{kind}({', '.join([*sizes, *parts])})"


class Edges(Module):
    """Edges from some nodes to the same or to others, sorted by target, with arrays: see `Graph` and `Bipartite`.

    Made of `checked_edges` whose ends are within the numbers of nodes.
    """

    __buffers__: ClassVar[tuple[str, ...]] = (
        "source", "target", "order", "target_starts", "source_starts", "by_source", "targets_by_source",
    )  # fmt: skip
    EDGE_FIELDS: ClassVar[tuple[str, ...]] = ("edge_attr", "edge_weight")

    source: Array
    target: Array
    order: Array
    target_starts: Array
    source_starts: Array
    by_source: Array
    targets_by_source: Array
    edge_attr: Array | None
    edge_weight: Array | None
    edge_data: dict[str, Array]

    def __init__(
        self, edges: np.ndarray[Any, Any], num_sources: int, num_targets: int, edge_attr: Any,
        edge_weight: Any, edge_data: Mapping[str, Any] | None,
    ) -> None:  # fmt: skip
        found = _gnn.sorted_edges(edges, max(num_sources, num_targets))
        self.source, self.target, self.order = found[:3]
        self.target_starts, self.source_starts = found[3][: num_targets + 1], found[4][: num_sources + 1]
        self.by_source, self.targets_by_source = found[5:]
        order = np.asarray(self.order)
        is_sorted = bool((order[1:] > order[:-1]).all())

        def of_edges(name: str, value: Any) -> Any:
            if value is None:
                return None
            value = rows_of(name, value, edges.shape[1], "edge")
            return value if is_sorted else seg.rows(value, self.order)

        self.edge_attr = of_edges("edge_attr", edge_attr)
        self.edge_weight = of_edges("edge_weight", edge_weight)
        if self.edge_weight is not None and self.edge_weight.ndim != 1:
            raise _hesse.ArgumentError(
                f"Graph: edge_weight must be one number per edge, got shape {self.edge_weight.shape}; "
                "features of edges are edge_attr"
            )
        self.edge_data = {k: of_edges(f"edge_data[{k!r}]", v) for k, v in (edge_data or {}).items()}

    @property
    def num_sources(self) -> int:
        """How many nodes edges may come from."""
        return self.source_starts.shape[0] - 1

    @property
    def num_nodes(self) -> int:
        """How many nodes edges may go to: the rows of a layer's result."""
        return self.target_starts.shape[0] - 1

    @property
    def num_edges(self) -> int:
        """E, directed edges."""
        return self.source.shape[0]

    @property
    def edge_index(self) -> Array:
        """[2, E]: sources above targets, sorted by target."""
        return _hesse.stack([self.source, self.target])

    def adjacency(self, values: Any = None) -> CSR:
        """The matrix A with A[target, source] = value: ``A @ x`` sums over incoming edges.

        Parameters
        ----------
        values : array, (E,), optional
            By default `weights`. Duplicate edges stay apart and add up.
        """
        empty = _hesse.zeros(0, dtype=_hesse.int64)
        return CSR(
            self.weights() if values is None else values, self.target_starts, self.source, empty,
            self.source_starts, self.targets_by_source, self.by_source,
        )  # fmt: skip

    def weights(self, dtype: Any = None) -> Array:
        """`edge_weight`, or ones of the dtype, (E,)."""
        return self.edge_weight if self.edge_weight is not None else _hesse.ones(self.num_edges, dtype=dtype)

    def degree(self, direction: str = "in", weighted: bool = False) -> Array:
        """How many edges end in ("in") or start from ("out") each node, (N,); weighted: the sum of their weights.

        Returns
        -------
        Array
            int64, or the dtype of `edge_weight`.
        """
        if direction not in ("in", "out"):
            raise _hesse.ArgumentError(f"degree: direction must be 'in' or 'out', got {direction!r}")
        ids, starts = (
            (self.target, self.target_starts) if direction == "in" else (self.source, self.source_starts)
        )
        if weighted and self.edge_weight is not None:
            return seg.total(self.edge_weight, ids, starts.shape[0] - 1)
        return starts[1:] - starts[:-1]
