"""Positions of nodes in a graph, as features."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import _hesse
from .._hesse import Array
from ._batch import unbatch
from ._common import require_graph
from ._graph import Graph, numpy_of

__all__ = ["laplacian_encoding", "random_walk_encoding"]


def _steps(function: str, k: Any) -> int:
    try:
        k = operator.index(k)
    except TypeError:
        raise _hesse.ArgumentTypeError(f"{function}: k must be an integer, got {k!r}") from None
    if k < 1:
        raise _hesse.ArgumentError(f"{function}: k must be at least 1, got {k}")
    return int(k)


def _dense(graph: Graph) -> np.ndarray[Any, Any]:
    """A[source, target], duplicates added."""
    n = graph.num_nodes
    a = np.zeros((n, n))
    source = numpy_of("encoding", "source", graph.source)
    target = numpy_of("encoding", "target", graph.target)
    np.add.at(a, (source, target), numpy_of("encoding", "edge_weight", graph.weights(_hesse.float64)))
    return a


def random_walk_encoding(graph: Graph, k: int) -> Array:
    """The probabilities that a random walk is back where it began after 1, ..., k steps.

    Parameters
    ----------
    graph : Graph
        A walk leaves a node along its outgoing edges, with probabilities in proportion to their weights; from a
        node without any it does not come back.
    k : int

    Returns
    -------
    Array, (N, k)
        float64: the diagonals of P, ..., P^k with P = D^-1 A. Takes O(k E n) for a graph of n nodes.

    Raises
    ------
    ValueError
        For k < 1.
    TypeError
        For what is not a `Graph`.

    References
    ----------
    Dwivedi et al., "Graph neural networks with learnable structural and positional representations",
    arXiv:2110.07875 (2022).

    Examples
    --------
    >>> import hesse as hs
    >>> ring = hs.gnn.Graph([[0, 1, 2], [1, 2, 0]])
    >>> hs.gnn.random_walk_encoding(ring, 3)
    Array([[0., 0., 1.],
           [0., 0., 1.],
           [0., 0., 1.]], dtype=float64)
    """
    k = _steps("random_walk_encoding", k)
    parts = []
    require_graph("random_walk_encoding", graph, pairs=True)
    for g in unbatch(graph.directed()):
        a = _dense(g)
        degree = a.sum(axis=1, keepdims=True)
        walk = np.divide(a, degree, out=np.zeros_like(a), where=degree != 0)
        # P^k one product with the few stored entries at a time: P^T is what a graph's matrix is. Entries have the sum
        # over parallel edges already: one is kept of these, also of those to several images of a node.
        walk_there = _hesse.asarray(walk.T[np.asarray(g.target), np.asarray(g.source)])
        step = g.replace(x=None, edge_attr=None, edge_data={}, edge_weight=walk_there).coalesced("max")
        power = _hesse.eye(g.num_nodes)
        diagonals = []
        for _ in range(k):
            power = step.adjacency() @ power
            diagonals.append(_hesse.diagonal(power))
        parts.append(_hesse.stack(diagonals, axis=1))
    return _hesse.concat(parts)


def laplacian_encoding(graph: Graph, k: int, *, key: Any = None) -> Array:
    """Eigenvectors of I - D^-1/2 A D^-1/2 for the k smallest eigenvalues after the first.

    Parameters
    ----------
    graph : Graph
        Undirected.
    k : int
    key : Array, optional
        A random key that chooses a sign per vector, for training; without it the first entry of largest modulus
        is positive. Vectors of equal eigenvalues are not unique either.

    Returns
    -------
    Array, (N, k)
        float64, graph by graph; zeros where a graph has too few nodes. Takes O(n^3) for a graph of n nodes.

    Raises
    ------
    ValueError
        For k < 1, and for a graph that is not undirected.
    TypeError
        For what is not a `Graph`.

    References
    ----------
    Dwivedi and Bresson, "A generalization of transformer networks to graphs", arXiv:2012.09699 (2021).

    Examples
    --------
    >>> import hesse as hs
    >>> path = hs.gnn.Graph([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> hs.round(hs.gnn.laplacian_encoding(path, 1), 3) + 0.0
    Array([[ 0.707],
           [ 0.   ],
           [-0.707]], dtype=float64)
    """
    k = _steps("laplacian_encoding", k)
    require_graph("laplacian_encoding", graph, pairs=True)
    if not graph.is_undirected():
        raise _hesse.ArgumentError(
            "laplacian_encoding: the graph has directed edges; use graph.undirected() first"
        )
    parts = []
    for g in unbatch(graph.directed()):
        n = g.num_nodes
        vectors = np.zeros((n, k))
        if n > 1:
            matrix = g.replace(x=None).laplacian("sym").todense()
            found = np.asarray(_hesse.linalg.eigh(matrix)[1])[:, 1 : k + 1]
            vectors[:, : found.shape[1]] = found
        parts.append(_hesse.asarray(vectors))
    encoding = _hesse.concat(parts)
    if key is not None:
        signs = _hesse.where(_hesse.random.uniform(key, (graph.num_graphs, k)) < 0.5, -1.0, 1.0)
        encoding = encoding * _hesse.gather(signs, graph.node_graph)
    return encoding
