"""Weights that make training on random parts of a graph unbiased: the normalisation of GraphSAINT."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import _hesse
from ._common import require_graph
from ._graph import Graph, numpy_of
from ._sampled import Sample

__all__ = ["saint_normalised"]


def saint_normalised(graph: Graph, samples: Iterable[Sample]) -> Graph:
    """The graph with weights of edges and of losses by how often a sampler meets them.

    With C_v and C_uv how many of N samples hold the node v and the edge from u to v::

        alpha_uv = C_uv / C_v       edge_weight becomes edge_weight / alpha_uv
        lambda_v = n C_v / N        node_data["loss_weight"] is 1 / lambda_v, for n nodes

    Of samples drawn from this graph by the same sampler, a node gets on average the weighted sum over all its incoming
    edges, and the sum of losses times their weights is on average the mean of the losses of all nodes.

    Parameters
    ----------
    graph : Graph
        With the weights that a layer shall multiply messages by, such as ``graph.with_self_loops().normalised()`` for
        `GCNConv` with ``normalise=False``.
    samples : iterable of Sample
        Drawn from the graph as batches will be: by `random_walk_sample` from random nodes, by `induced_sample`, padded
        or not. The more, the better the weights: the paper draws until each node has been met some fifty times.

    Returns
    -------
    Graph
        What no sample holds counts as met once.

    Raises
    ------
    ValueError
        Without samples, and for a graph that has a `loss_weight` already.
    TypeError
        For what is not a sample.
    IndexError
        For samples of a larger graph.

    References
    ----------
    Zeng, Zhou, Srivastava, Kannan and Prasanna, "GraphSAINT: graph sampling based inductive learning method",
    arXiv:1907.04931 (2020), propositions 3.1 and 3.2 and the estimates of section 3.3, here called C and N.

    Examples
    --------
    >>> import hesse as hs
    >>> graph = hs.gnn.Graph([[0, 1, 1, 2], [1, 0, 2, 1]], x=[[1.0], [2.0], [4.0]])
    >>> def draw(graph, k):
    ...     key, of_walks = hs.random.split(hs.random.key(k))
    ...     return hs.gnn.random_walk_sample(of_walks, graph, hs.random.integers(key, 0, 3, (1,)), 1)
    >>> weighted = hs.gnn.saint_normalised(graph, (draw(graph, k) for k in range(300)))
    >>> batch = draw(weighted, 1000).graph
    >>> batch.edge_weight.shape == (batch.num_edges,), batch.node_data["loss_weight"].shape == (batch.num_nodes,)
    (True, True)
    """
    function = "saint_normalised"
    require_graph(function, graph)
    if "loss_weight" in graph.node_data:
        raise _hesse.ArgumentError(
            f'{function}: the graph has node_data["loss_weight"] already; give the graph as it was before'
        )
    n, e = graph.num_nodes, graph.num_edges
    met: dict[str, np.ndarray[Any, Any]] = {"nodes": np.zeros(n, np.int64), "edges": np.zeros(e, np.int64)}
    count = 0
    for k, sample in enumerate(samples):
        if not isinstance(sample, Sample):
            raise _hesse.ArgumentTypeError(f"{function}: item {k} is a {type(sample).__name__}, not a Sample")
        for what, ids in (("nodes", sample.nodes), ("edges", sample.edges)):
            own = numpy_of(function, what, ids)
            own = own[own >= 0]  # without padding
            if own.size and own.max() >= len(met[what]):
                raise _hesse.OutOfRangeError(
                    f"{function}: sample {k} has number {own.max()} of the {what}, the graph has {len(met[what])}; is it "
                    "a sample of this graph?"
                )
            met[what][own] += 1
        count += 1
    if not count:
        raise _hesse.ArgumentError(f"{function}: there are no samples")
    of_node, of_edge = (np.maximum(c, 1) for c in met.values())
    weight = graph.weights()
    inverse_alpha = of_node[numpy_of(function, "target", graph.target)] / of_edge
    return graph.replace(
        edge_weight=weight * _hesse.asarray(inverse_alpha, dtype=weight.dtype),
        node_data={
            **graph.node_data,
            "loss_weight": _hesse.asarray(count / (n * of_node), dtype=weight.dtype),
        },
    )
