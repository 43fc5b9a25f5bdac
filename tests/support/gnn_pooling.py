"""Formulas of poolings and normalisations, graph by graph in NumPy. They take complex numbers: derivatives are complex steps.

A module's fields are arrays of NumPy here. `graphs` has the rows of every graph: slices of x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import hesse as hs
from hesse import gnn

F, OUT = 3, 4
SIZES = [3, 0, 4, 1]  # one graph has no nodes, one has no others
GRAPHS = [slice(sum(SIZES[:k]), sum(SIZES[: k + 1])) for k in range(len(SIZES))]
N = sum(SIZES)


def linear(layer, x):
    return x @ layer.weight.T + layer.bias


def mlp(net, x):
    for layer in net.layers[:-1]:
        x = np.tanh(linear(layer, x))
    return linear(net.layers[-1], x)


def network(net, x):
    return mlp(net, x) if hasattr(net, "layers") else linear(net, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    """Over rows."""
    x = np.exp(x - x.real.max(axis=0))
    return x / x.sum(axis=0)


def largest(rows):
    """The entries whose real part is the largest, column by column."""
    return np.take_along_axis(rows, np.argmax(rows.real, axis=0)[None], axis=0)[0]


def lstm(cell, x, h, c):
    i, f, g, o = np.split(linear(cell.inputs, x) + linear(cell.state, h), 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def by_graph(pool):
    """pool(m, rows) of every graph, 0 where there are none."""

    def formula(m, x, graphs):
        rows = [pool(m, x[g]) if g.stop > g.start else None for g in graphs]
        like = next(r for r in rows if r is not None)
        return np.array([np.zeros(len(like)) if r is None else r for r in rows])

    return formula


def attention(m, rows):
    values = rows if m.net is None else network(m.net, rows)
    return (softmax(network(m.gate, rows)) * values).sum(axis=0)


def set2set(m, x, graphs):
    found = []
    for g in graphs:
        h = c = r = np.zeros(F)
        for _ in range(m.steps):
            h, c = lstm(m.cell, np.concatenate([h, r]), h, c)
            r = softmax(x[g] @ h) @ x[g] if g.stop > g.start else np.zeros(F)
        found.append(np.concatenate([h, r]))
    return np.array(found)


def in_graph(normalise):
    """normalise(m, rows) of every graph, one below the other."""
    return lambda m, x, graphs: np.concatenate([normalise(m, x[g]) for g in graphs if g.stop > g.start])


def graph_norm(m, rows):
    centred = rows - m.mean_scale * rows.mean(axis=0)
    return centred / np.sqrt((centred**2).mean(axis=0) + m.epsilon) * m.scale + m.shift


def pair_norm(m, rows):
    centred = rows - rows.mean(axis=0)
    squares = (centred**2).sum(axis=1)
    if m.individually:
        return np.array(
            [m.scale * r / (m.epsilon + np.sqrt(s)) for r, s in zip(centred, squares, strict=True)]
        )
    return m.scale * centred / np.sqrt(m.epsilon + squares.mean())


def top_k(m, rows):
    score = np.tanh(rows @ m.direction / np.sqrt((m.direction**2).sum()))
    kept = np.argsort(-score.real, kind="stable")[: int(np.ceil(m.ratio * len(rows)))]
    return rows[kept] * score[kept, None]


def virtual_node(m, x, graphs):
    """The rows of all nodes above those of the virtual ones."""
    v = np.array([network(m.net, m.first + x[g].sum(axis=0)) for g in graphs])
    of = np.repeat(np.arange(len(graphs)), [g.stop - g.start for g in graphs])
    return np.concatenate([x + v[of], v])


def jumping(m, x, graphs):
    """The columns of x are those of three layers."""
    xs = np.split(x, 3, axis=1)
    if m.mode == "concat":
        return x
    if m.mode == "sum":
        return xs[0] + xs[1] + xs[2]
    if m.mode == "max":
        return np.array([largest(np.array(rows)) for rows in zip(*xs, strict=True)])
    found = []
    for rows in zip(*xs, strict=True):
        states = []
        for cell, order in ((m.upwards, (0, 1, 2)), (m.downwards, (2, 1, 0))):
            h = c = np.zeros(cell.state.weight.shape[1])
            outputs = {}
            for k in order:
                h, c = lstm(cell, rows[k], h, c)
                outputs[k] = h
            states.append(outputs)
        scores = [linear(m.score, np.concatenate([s[k] for s in states]))[0] for k in range(3)]
        found.append(softmax(np.array(scores)) @ np.array(rows))
    return np.array(found)


@dataclass
class Case:
    name: str
    make: Callable[..., Any]  # from key= and dtype=
    formula: Callable[..., Any]  # of (module, x, graphs)
    call: Callable[..., Any] = lambda layer, x, graph: layer(x, graph)
    width: int = F
    compiles: bool = True
    by: str = "graph"  # what a NaN stays in; else "node"

    def __str__(self) -> str:
        return self.name

    def layer(self, dtype: Any = None):
        """With all arrays drawn, biases and scales too."""
        rng = np.random.default_rng(1)
        made = self.make(key=hs.random.key(0), dtype=dtype)
        return hs.tree_map(lambda a: a + hs.asarray(0.3 * rng.normal(size=a.shape), dtype=a.dtype), made)

    def graph(self, dtype: Any = np.float64):
        x = np.random.default_rng(2).normal(size=(N, self.width)).astype(dtype)
        no_edges = np.zeros((2, 0), int)
        return gnn.batch([gnn.Graph(no_edges, x[g]) for g in GRAPHS])


class Pool(hs.nn.Module):
    """A function without arrays as a module."""

    pool: Callable[..., Any]

    def __call__(self, x: Any, graph: Any) -> Any:
        return self.pool(x, graph)


def _linear(n, m, key, dtype, salt=0):
    return hs.nn.Linear(n, m, key=hs.random.fold_in(key, salt), dtype=dtype)


def _mlp(n, m, key, dtype):
    return hs.nn.MLP([n, 5, m], key=key, dtype=dtype)


def _virtual(layer, x, graph):
    return hs.concat(layer(x, layer.start(graph), graph))


def _jump(layer, x, graph):
    return layer([x[:, k * F : (k + 1) * F] for k in range(3)])


CASES = [
    Case("sum", lambda **k: Pool(gnn.global_sum_pool), by_graph(lambda m, rows: rows.sum(axis=0))),
    Case("mean", lambda **k: Pool(gnn.global_mean_pool), by_graph(lambda m, rows: rows.mean(axis=0))),
    Case("max", lambda **k: Pool(gnn.global_max_pool), by_graph(lambda m, rows: largest(rows))),
    Case("attention", lambda **k: gnn.AttentionPooling(_linear(F, 1, **k)), by_graph(attention)),
    Case("attention net", lambda **k: gnn.AttentionPooling(_mlp(F, 1, **k), _linear(F, OUT, salt=1, **k)), by_graph(attention)),
    Case("attention wide", lambda **k: gnn.AttentionPooling(_linear(F, OUT, **k), _mlp(F, OUT, **k)), by_graph(attention)),
    Case("set2set", lambda **k: gnn.Set2Set(F, 3, **k), set2set),
    Case("graph norm", lambda key, dtype: gnn.GraphNorm(F, dtype=dtype), in_graph(graph_norm)),
    Case("pair norm", lambda **k: gnn.PairNorm(1.3), in_graph(pair_norm)),
    Case("pair norm individually", lambda **k: gnn.PairNorm(1.3, individually=True), in_graph(pair_norm)),
    Case("top k", lambda **k: gnn.TopKPooling(F, 0.6, **k), in_graph(top_k), lambda layer, x, graph: layer(x, graph)[0], compiles=False),
    Case("virtual node", lambda key, dtype: gnn.VirtualNode(F, _mlp(F, F, key, dtype), dtype=dtype), virtual_node, _virtual),
    *(
        Case(f"jumping {mode}", lambda mode=mode, **k: gnn.JumpingKnowledge(mode), jumping, _jump, 3 * F, by="node")
        for mode in ("concat", "max", "sum")
    ),
    Case("jumping lstm", lambda **k: gnn.JumpingKnowledge("lstm", F, 3, **k), jumping, _jump, 3 * F, by="node"),
]  # fmt: skip
