"""Neighbours within a cutoff, in free and in periodic systems, and graphs of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array
from . import _segments as seg
from ._common import require_graph
from ._graph import Graph, numpy_of
from ._undirected import is_kept

__all__ = ["edge_offsets", "edge_vectors", "finite_positions", "neighbours", "radius_graph", "vectors_of"]

_Numbers = np.ndarray[Any, Any]
# Positions of images that are held at a time, and places of targets times images without a tree.
_MOST_IMAGES = 20_000_000
_MOST_PAIRS = 200_000_000
_CHUNK = 4_000_000
# What rounding may add to a distance between positions that were moved into the cell; the test itself is exact.
_SLACK = 1e-6


def finite_positions(function: str, pos: Any, name: str = "pos") -> _Numbers:
    p = numpy_of(function, name, pos)
    if p.ndim != 2 or p.shape[1] == 0:
        raise _hesse.ArgumentError(f"{function}: {name} must be [N, D], got shape {p.shape}")
    if p.dtype.kind not in "iuf":
        raise _hesse.ArgumentTypeError(f"{function}: {name} must hold real numbers, got {p.dtype}")
    p = p.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(p).all(axis=1))
    if bad.size:
        raise _hesse.ArgumentError(
            f"{function}: {name} must be finite, but row {bad[0]} is {p[bad[0]].tolist()} ({bad.size} such row(s))"
        )
    return p


def _lattice(function: str, cell: Any, periodic: Any, d: int) -> tuple[_Numbers, _Numbers]:
    """The cell, [D, D], and which of its rows repeat, [D]."""
    if cell is None:
        if periodic is not None and np.any(numpy_of(function, "periodic", periodic)):
            raise _hesse.ArgumentError(
                f"{function}: periodic is {periodic}, but there is no cell; give cell="
            )
        return np.zeros((d, d)), np.zeros(d, bool)
    c = numpy_of(function, "cell", cell)
    if c.shape != (d, d) or c.dtype.kind not in "iuf":
        raise _hesse.ArgumentError(
            f"{function}: cell must be [{d}, {d}] real numbers, a lattice vector in every row, got shape "
            f"{c.shape} of {c.dtype}"
        )
    c = c.astype(np.float64)
    repeats = np.asarray(True if periodic is None else numpy_of(function, "periodic", periodic))
    if repeats.dtype.kind != "b" or repeats.shape not in ((), (d,)):
        raise _hesse.ArgumentError(
            f"{function}: periodic must be one bool, or {d} for the rows of the cell, got {periodic!r}"
        )
    repeats = np.broadcast_to(repeats, (d,))
    length = np.linalg.norm(c, axis=1)
    if not np.isfinite(c).all():
        raise _hesse.ArgumentError(f"{function}: cell must be finite, got {c.tolist()}")
    rows = c[repeats]
    if len(rows) and (
        not length[repeats].all() or np.linalg.svd(rows / length[repeats, None], compute_uv=False)[-1] < 1e-10
    ):
        raise _hesse.ArgumentError(
            f"{function}: cell is singular: its periodic rows {rows.tolist()} must be independent; periodic= "
            "says which repeat"
        )
    return c, repeats


def _images(p: _Numbers, cell: _Numbers, cutoff: float) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Which atom, [I], moved by which lattice vectors, [I, P], can be within the cutoff of the box of atoms p.

    With the dual basis g_k (g_k . a_l = 1 for k = l, else 0) a vector r has the coordinates f_k = g_k . r, and
    |f_k| <= |g_k| |r|: images whose coordinates are farther than |g_k| cutoff from all atoms cannot matter.
    """
    dual = np.linalg.pinv(cell)  # [D, P]
    f = p @ dual
    reach = np.linalg.norm(dual, axis=0) * cutoff * (1 + _SLACK) + _SLACK
    low, high = f.min(axis=0) - reach, f.max(axis=0) + reach
    first, last = np.ceil(low - f.max(axis=0)), np.floor(high - f.min(axis=0))
    if np.prod(last - first + 1) * len(p) > _MOST_IMAGES:
        raise _hesse.ArgumentError(
            f"neighbours: a cutoff of {cutoff} reaches {np.prod(last - first + 1):.3g} images of each of {len(p)} "
            f"positions in the cell {cell.tolist()}; at most {_MOST_IMAGES} positions are held: use a smaller cutoff"
        )
    ranges = [np.arange(int(a), int(b) + 1) for a, b in zip(first, last, strict=True)]
    atoms, shifts = [], []
    for shift in itertools.product(*ranges):
        s = np.array(shift)
        near = np.flatnonzero(((f + s >= low) & (f + s <= high)).all(axis=1))
        atoms.append(near)
        shifts.append(np.broadcast_to(s, (len(near), len(s))))
    which, by = np.concatenate(atoms), np.concatenate(shifts)
    return which, by, p[which] + by @ cell


def _candidates(p: _Numbers, images: _Numbers, radius: float) -> tuple[_Numbers, _Numbers]:
    """Pairs (target, image) that are within the radius; there may be more."""
    try:
        from scipy.spatial import cKDTree
    except ImportError:
        targets, hits = [], []
        step = max(1, _CHUNK // max(len(images), 1))
        for a in range(0, len(p), step):
            square = np.zeros((len(p[a : a + step]), len(images)))
            for k in range(p.shape[1]):
                square += (p[a : a + step, k, None] - images[:, k]) ** 2
            t, i = np.nonzero(square <= radius * radius)
            targets.append(t + a)
            hits.append(i)
        return np.concatenate(targets), np.concatenate(hits)
    tree = cKDTree(images)
    counts = np.asarray(tree.query_ball_point(p, radius, return_length=True), np.int64)
    if counts.sum() > _MOST_PAIRS:
        raise _hesse.ArgumentError(
            f"neighbours: {counts.sum()} pairs are within {radius:.6g}; at most {_MOST_PAIRS} are held: use a smaller "
            "cutoff"
        )
    found: _Numbers = np.empty(counts.sum(), np.int64)
    cuts = np.searchsorted(np.cumsum(counts), np.arange(_CHUNK, counts.sum() + _CHUNK, _CHUNK)) + 1
    first, begin = 0, 0
    for last in np.unique(np.minimum(cuts, len(p))):  # lists take more memory than arrays: some at a time
        lists = tree.query_ball_point(p[first:last], radius)
        size = int(counts[first:last].sum())
        found[begin : begin + size] = np.fromiter(itertools.chain.from_iterable(lists), np.int64, size)
        first, begin = last, begin + size
    return np.repeat(np.arange(len(p)), counts), found


def neighbours(pos: Any, cutoff: float, cell: Any = None, periodic: Any = None) -> tuple[Array, Array | None]:
    """All pairs of positions within a cutoff, in both directions, with the images of periodic systems.

    Edge e goes from j = ``edge_index[0, e]`` to i = ``edge_index[1, e]``; its vector is
    ``pos[j] - pos[i] + shifts[e] @ cell``, no longer than the cutoff. A position is no neighbour of itself, but is
    one of its own images. The cell may be triclinic and smaller than the cutoff, and positions may lie outside of
    it. Every edge has its reverse, with the opposite shift.

    Parameters
    ----------
    pos : array, (N, D)
        Holds data: neighbours are found outside of `hs.compile` and `hs.vmap`.
    cutoff : float
        Pairs at this very distance count as neighbours.
    cell : array, (D, D), optional
        A lattice vector in every row; none: a free system.
    periodic : bool or D bools, optional
        Which rows of the cell repeat, by default all. Rows that do not repeat may be zero.

    Returns
    -------
    edge_index : Array
        int64 (2, E), sorted by target, source and shift.
    shifts : Array or None
        int64 (E, D); None without a cell.

    Raises
    ------
    ValueError
        For shapes that do not fit, positions or a cell with NaN or infinities, dependent lattice vectors, a cutoff
        that is not positive and finite, or that reaches more than 20 million images or 200 million pairs.
    TypeError
        For positions that are no real numbers.

    Notes
    -----
    Candidates come from SciPy's ``cKDTree`` where it is installed, else from all pairs. Whether they are within the
    cutoff is decided by the vector above in float64: the result is the same.

    Examples
    --------
    Two atoms in a periodic line of length 3, at a distance of 1 and, the other way round, of 2:

    >>> import hesse as hs
    >>> edges, shifts = hs.gnn.neighbours([[0.0], [1.0]], 2.0, cell=[[3.0]])
    >>> edges
    Array([[1, 1, 0, 0],
           [0, 0, 1, 1]], dtype=int64)
    >>> shifts[:, 0]
    Array([-1,  0,  0,  1], dtype=int64)
    """
    p = finite_positions("neighbours", pos)
    try:
        radius = float(cutoff)
    except (TypeError, ValueError, OverflowError) as error:
        raise _hesse.ArgumentTypeError(f"neighbours: cutoff must be a number, got {cutoff!r}") from error
    if not 0 < radius < np.inf:
        raise _hesse.ArgumentError(f"neighbours: cutoff must be positive and finite, got {radius}")
    n, d = p.shape
    lattice, repeats = _lattice("neighbours", cell, periodic, d)
    shifts = np.zeros((0, d), np.int64)
    if n == 0:
        target = source = np.zeros(0, np.int64)
    else:
        rows = np.flatnonzero(repeats)
        # Atoms far outside of the cell are moved into it for the search, and their shifts back afterwards.
        home = np.zeros((n, d), np.int64)
        if len(rows):
            away = np.floor(p @ np.linalg.pinv(lattice[rows]))
            if not (np.abs(away) < 2**31).all():
                raise _hesse.ArgumentError(
                    f"neighbours: pos lies up to {np.abs(away).max():.3g} cells away from the cell "
                    f"{lattice.tolist()}; move positions into it"
                )
            home[:, rows] = away.astype(np.int64)
        inside = p - home @ lattice
        if len(rows):
            which, by, images = _images(inside, lattice[rows], radius)
        else:
            which, by, images = np.arange(n), np.zeros((n, 0), np.int64), inside
        size = float(np.abs(images).max()) if len(images) else 0.0
        target, image = _candidates(inside, images, radius * (1 + _SLACK) + 1e-12 * size)
        source = which[image]
        shifts = np.zeros((len(target), d), np.int64)
        shifts[:, rows] = by[image]
        # pos[j] - home[j] @ cell + s @ cell is the image: the shift of pos[j] itself is s - home[j] + home[i].
        shifts += home[target] - home[source]
        vector = p[source] - p[target] + shifts @ lattice
        own = (source == target) & ~shifts.any(axis=1)
        with np.errstate(over="ignore"):
            keep = (np.sqrt(np.sum(vector * vector, axis=1)) <= radius) & ~own
        target, source, shifts = target[keep], source[keep], shifts[keep]
        order = np.lexsort((*shifts.T[::-1], source, target))
        target, source, shifts = target[order], source[order], shifts[order]
    edges = _hesse.asarray(np.stack([source, target]).astype(np.int64))
    return edges, None if cell is None else _hesse.asarray(shifts)


def radius_graph(
    pos: Any,
    cutoff: float,
    *,
    cell: Any = None,
    periodic: Any = None,
    z: Any = None,
    x: Any = None,
    y: Any = None,
    node_data: Mapping[str, Any] | None = None,
    graph_data: Mapping[str, Any] | None = None,
    pairs: bool = False,
) -> Graph:
    """The graph that joins all positions within a cutoff, as `SchNet` takes it.

    Parameters
    ----------
    pos : array, (N, D)
    cutoff, cell, periodic
        As for `neighbours`.
    z : array of integers, (N,), optional
        Atomic numbers, which become ``node_data["z"]``.
    x, y, node_data, graph_data
        As for `Graph`.
    pairs : bool
        Whether every pair of neighbours is one edge and not two, as `Graph.pairs` makes it: for `SchNet` and
        `message_passing`.

    Returns
    -------
    Graph
        With a cell, ``edge_data["shift"]``, int64 (E, D), and ``graph_data["cell"]``, (1, D, D) in the dtype of
        the positions, which `batch` joins. The vector of an edge is ``pos[source] - pos[target] + shift @ cell``.

    Raises
    ------
    ValueError, TypeError
        As `neighbours` and `Graph` do.

    Examples
    --------
    >>> import hesse as hs
    >>> hs.gnn.radius_graph([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], 1.5, z=[1, 1])
    Graph(2 nodes, 2 edges, pos=float64[2,3], z=int64[2])
    >>> chain = hs.gnn.radius_graph([[0.0, 0.0, 0.0]], 2.5, cell=hs.eye(3), periodic=[True, False, False])
    >>> chain.edge_data["shift"][:, 0]
    Array([-2, -1,  1,  2], dtype=int64)
    """
    edges, shifts = neighbours(pos, cutoff, cell, periodic)
    if pairs:
        s, t = np.asarray(edges)
        by = np.zeros((len(s), 0)) if shifts is None else np.asarray(shifts)
        kept = is_kept(s, t, by)
        edges = _hesse.asarray(np.stack([s[kept], t[kept]]))
        shifts = None if shifts is None else _hesse.asarray(by[kept])
    p = _hesse.asarray(pos)
    if np.asarray(pos).dtype.kind != "f":
        p = _hesse.astype(p, _hesse.float64)
    of_nodes, of_graph, of_edges = dict(node_data or {}), dict(graph_data or {}), {}
    if z is not None:
        of_nodes["z"] = z
    if shifts is not None:
        of_edges["shift"] = shifts
        of_graph["cell"] = _hesse.astype(_hesse.asarray(cell), p.dtype)[None]
    return Graph(
        edges, x, pos=p, y=y, node_data=of_nodes, edge_data=of_edges, graph_data=of_graph, paired=pairs
    )


def edge_vectors(graph: Graph) -> Array:
    """From the target of every edge to its source: pos[source] - pos[target] + shift @ cell.

    Parameters
    ----------
    graph : Graph
        With positions; of `radius_graph`, or with edges of one's own.

    Returns
    -------
    Array, (E, D)
        In a graph of pairs one vector for each of them: sums over edges count every pair once. Differentiable by the
        positions and by ``graph_data["cell"]``.

    Raises
    ------
    ValueError
        For a graph without positions, and for shifts without a cell or of another shape.

    Examples
    --------
    >>> import hesse as hs
    >>> chain = hs.gnn.radius_graph([[0.5, 0.0]], 1.0, cell=hs.eye(2), periodic=[True, False])
    >>> hs.gnn.edge_vectors(chain)
    Array([[-1.,  0.],
           [ 1.,  0.]], dtype=float64)
    """
    return vectors_of("edge_vectors", graph)


def vectors_of(layer: str, graph: Graph) -> Array:
    """`edge_vectors`, whose errors name the layer."""
    require_graph(layer, graph, pairs=True)
    if graph.pos is None:
        raise _hesse.ArgumentError(f"{layer}: the graph has no positions; make it with pos=")
    vectors = seg.rows(graph.pos, graph.source) - seg.rows(graph.pos, graph.target)
    offsets = edge_offsets(layer, graph)
    return vectors if offsets is None else vectors + offsets


def edge_offsets(layer: str, graph: Graph) -> Array | None:
    """shift @ cell for every edge, [E, D], or None in a free system; checked."""
    shift, cell = graph.edge_data.get("shift"), graph.graph_data.get("cell")
    if shift is None:
        return None
    assert graph.pos is not None
    count, d = graph.num_graphs, graph.pos.shape[1]
    if cell is None:
        raise _hesse.ArgumentError(
            f'{layer}: the graph has edge_data["shift"] but no cell; radius_graph makes graph_data["cell"]'
        )
    if shift.shape != (graph.num_edges, d) or cell.shape != (count, d, d):
        raise _hesse.ArgumentError(
            f'{layer}: edge_data["shift"] must be [{graph.num_edges}, {d}] and graph_data["cell"] '
            f"[{count}, {d}, {d}], got shapes {shift.shape} and {cell.shape}"
        )
    shift = _hesse.astype(shift, graph.pos.dtype)
    if count == 1:
        return shift @ cell[0]
    each = seg.rows(cell, seg.rows(graph.node_graph, graph.target))
    return _hesse.sum(shift[:, :, None] * each, axis=1)
