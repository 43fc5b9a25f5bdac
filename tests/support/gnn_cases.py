"""Graph layers with formulas of their own: every edge in turn, in NumPy. A module's fields are arrays of NumPy there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import hesse as hs
from hesse import gnn

N, F, OUT, EDGE = 7, 3, 4, 2
# Sorted neither way; a duplicate (0, 1), a self-loop (3, 3), an edge without its reverse, node 6 without edges.
EDGES = np.array([[0, 1, 0, 2, 3, 3, 4, 1, 5, 2, 0, 4], [1, 0, 1, 1, 3, 2, 2, 2, 4, 5, 4, 0]])


def mlp(net: Any, x: np.ndarray) -> np.ndarray:
    for layer in net.layers[:-1]:
        x = np.tanh(layer.weight @ x + layer.bias)
    return net.layers[-1].weight @ x + net.layers[-1].bias


@dataclass
class Edges:
    """A graph for the formulas: lists of (source, target, weight, features)."""

    n: int
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    attr: np.ndarray

    def into(self, i: int):
        return [e for e in range(len(self.source)) if self.target[e] == i]

    def matrix(self, loops: bool = True) -> np.ndarray:
        """A[target, source]."""
        a = np.zeros((self.n, self.n))
        for s, t, w in zip(self.source, self.target, self.weight, strict=True):
            if loops or s != t:
                a[t, s] += w
        return a


def gcn_matrix(g: Edges) -> np.ndarray:
    a = g.matrix()
    for i in range(g.n):
        if not any(s == t == i for s, t in zip(g.source, g.target, strict=True)):
            a[i, i] = 1.0
    d = a.sum(axis=1)
    return a / np.sqrt(np.outer(d, d))


def laplacian(g: Edges, kind: str | None) -> np.ndarray:
    a = g.matrix(loops=False)
    d = a.sum(axis=1)
    if kind is None:
        return np.diag(d) - a
    safe = np.where(d > 0, d, 1.0)
    inverse = np.where(d > 0, 1 / safe, 0.0)
    if kind == "rw":
        return np.eye(g.n) - inverse[:, None] * a
    return np.eye(g.n) - np.sqrt(np.outer(inverse, inverse)) * a


def softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max())
    return x / x.sum()


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def gcn(m, x, g):
    return gcn_matrix(g) @ x @ m.weight.T + m.bias


def sage(m, x, g):
    y = np.zeros((g.n, OUT))
    for i in range(g.n):
        into = g.into(i)
        r = np.zeros(F)
        if into:
            if m.reduce == "max":
                r = np.max([x[g.source[e]] for e in into], axis=0)
            else:
                r = sum(g.weight[e] * x[g.source[e]] for e in into)
                if m.reduce == "mean":
                    r = r / sum(g.weight[e] for e in into)
        y[i] = m.neighbours.weight @ r + m.neighbours.bias + m.root.weight @ x[i]
    return y


def sg(m, x, g):
    s = gcn_matrix(g)
    return np.linalg.matrix_power(s, m.steps) @ x @ m.weight.T + m.bias


def appnp(m, x, g):
    s, z = gcn_matrix(g), x
    for _ in range(m.steps):
        z = (1 - m.alpha) * s @ z + m.alpha * x
    return z


def cheb(m, x, g):
    scaled = 2 * laplacian(g, m.kind) / m.lambda_max - np.eye(g.n)
    t = [np.eye(g.n), scaled]
    while len(t) < len(m.weight):
        t.append(2 * scaled @ t[-1] - t[-2])
    return sum(t[k] @ x @ m.weight[k].T for k in range(len(m.weight))) + m.bias


def _attention(m, x, g, score, value, own=True, heads=2):
    """score(i, j, e, h), value(j, e, h); with `own`, j = i takes part and self-loops do not."""
    y = np.zeros((g.n, heads, OUT))
    for i in range(g.n):
        into = [e for e in g.into(i) if not (own and g.source[e] == i)]
        attr = [g.attr[e] for e in into]
        nodes = [g.source[e] for e in into]
        if own:
            nodes.append(i)
            attr.append(np.mean(attr, axis=0) if attr else np.zeros(EDGE))
        if not nodes:
            continue
        for h in range(heads):
            a = softmax(np.array([score(i, j, e, h) for j, e in zip(nodes, attr, strict=True)]))
            y[i, h] = sum(c * value(j, e, h) for c, j, e in zip(a, nodes, attr, strict=True))
    return y


def gat(m, x, g):
    w = m.weight.reshape(2, OUT, F)
    v = None if m.edge_weight is None else m.edge_weight.reshape(2, OUT, EDGE)

    def score(i, j, e, h):
        s = m.source_attention[h] @ w[h] @ x[j] + m.target_attention[h] @ w[h] @ x[i]
        return leaky(s if v is None else s + m.edge_attention[h] @ v[h] @ e)

    y = _attention(m, x, g, score, lambda j, e, h: w[h] @ x[j], own=m.self_loops)
    return (y.reshape(g.n, -1) if m.concat else y.mean(axis=1)) + m.bias


def gatv2(m, x, g):
    split = lambda layer: (layer.weight.reshape(2, OUT, F), layer.bias.reshape(2, OUT))
    (l, c), (r, d) = split(m.source), split(m.source if m.target is None else m.target)
    v = None if m.edge_weight is None else m.edge_weight.reshape(2, OUT, EDGE)

    def score(i, j, e, h):
        s = r[h] @ x[i] + d[h] + l[h] @ x[j] + c[h]
        return m.attention[h] @ leaky(s if v is None else s + v[h] @ e)

    y = _attention(m, x, g, score, lambda j, e, h: l[h] @ x[j] + c[h])
    return (y.reshape(g.n, -1) if m.concat else y.mean(axis=1)) + m.bias


def transformer(m, x, g):
    part = lambda layer, i, h: (layer.weight @ x[i] + layer.bias).reshape(2, OUT)[h]
    edge = lambda e, h: 0.0 if m.edge is None else (m.edge @ e).reshape(2, OUT)[h]
    y = _attention(
        m, x, g,
        lambda i, j, e, h: part(m.query, i, h) @ (part(m.key, j, h) + edge(e, h)) / np.sqrt(OUT),
        lambda j, e, h: part(m.value, j, h) + edge(e, h),
        own=False,
    )  # fmt: skip
    y = y.reshape(g.n, -1) if m.concat else y.mean(axis=1)
    r = x @ m.skip.weight.T + m.skip.bias
    if m.gate is None:
        return y + r
    b = sigmoid(np.concatenate([y, r, y - r], axis=1) @ m.gate)[:, None]
    return b * r + (1 - b) * y


def gin(m, x, g):
    sums = [sum((g.weight[e] * x[g.source[e]] for e in g.into(i)), np.zeros(F)) for i in range(g.n)]
    return np.array([mlp(m.net, (1 + m.epsilon) * x[i] + sums[i]) for i in range(g.n)])


def gine(m, x, g):
    edge = lambda e: g.attr[e] if m.edge is None else m.edge.weight @ g.attr[e] + m.edge.bias
    sums = [
        sum((np.maximum(x[g.source[e]] + edge(e), 0) for e in g.into(i)), np.zeros(F)) for i in range(g.n)
    ]
    return np.array([mlp(m.net, (1 + m.epsilon) * x[i] + sums[i]) for i in range(g.n)])


def edge_conv(m, x, g):
    reduce = {"max": np.max, "sum": np.sum, "mean": np.mean}[m.reduce]
    y = np.zeros((g.n, OUT))
    for i in range(g.n):
        if g.into(i):
            y[i] = reduce(
                [mlp(m.net, np.concatenate([x[i], x[g.source[e]] - x[i]])) for e in g.into(i)], axis=0
            )
    return y


def nnconv(m, x, g):
    y = x @ m.root.weight.T + m.bias
    for i in range(g.n):
        messages = [x[g.source[e]] @ mlp(m.net, g.attr[e]).reshape(F, OUT) for e in g.into(i)]
        if messages:
            y[i] += np.sum(messages, axis=0) if m.reduce == "sum" else np.mean(messages, axis=0)
    return y


def gated(m, x, g):
    h = np.concatenate([x, np.zeros((g.n, OUT - F))], axis=1)
    for w in m.weight:
        agg = g.matrix() @ h @ w
        a = agg @ m.cell.inputs.weight.T + m.cell.inputs.bias
        b = h @ m.cell.state.weight.T + m.cell.state.bias
        r, z = sigmoid(a[:, :OUT] + b[:, :OUT]), sigmoid(a[:, OUT : 2 * OUT] + b[:, OUT : 2 * OUT])
        h = (1 - z) * np.tanh(a[:, 2 * OUT :] + r * b[:, 2 * OUT :]) + z * h
    return h


def pna(m, x, g):
    y = np.zeros((g.n, OUT))
    for i in range(g.n):
        into = g.into(i)
        values = {}
        if into:
            edge = lambda e: [] if m.edge is None else [m.edge.weight @ g.attr[e] + m.edge.bias]
            rows = np.array(
                [
                    m.before.weight @ np.concatenate([x[i], x[g.source[e]], *edge(e)]) + m.before.bias
                    for e in into
                ]
            )
            variance = (rows**2).mean(axis=0) - rows.mean(axis=0) ** 2
            std = np.where(variance > 1e-5, np.sqrt(np.maximum(variance, 1e-5)), 0)
            values = {"mean": rows.mean(axis=0), "min": rows.min(axis=0), "max": rows.max(axis=0), "std": std,
                      "sum": rows.sum(axis=0), "var": variance}  # fmt: skip
        together = np.concatenate([values.get(name, np.zeros(F)) for name in m.aggregators])
        d = max(len(into), 1)
        scale = {"identity": 1, "amplification": np.log(d + 1) / m.mean_log_degree, "linear": d / m.mean_degree,
                 "attenuation": m.mean_log_degree / np.log(d + 1), "inverse": m.mean_degree / d}  # fmt: skip
        row = np.concatenate([x[i], *(together * scale[name] for name in m.scalers)])
        row = m.after.weight @ row + m.after.bias
        y[i] = m.last.weight @ row + m.last.bias
    return y


RELATION = np.array([0, 1, 0, 2, 1, 2, 0, 1, 1, 2, 0, 0])


def rgcn(m, x, g, relation):
    w = m.weight
    if m.coefficients is not None:
        w = np.einsum("rb,bof->rof", m.coefficients, m.weight)
    y = x @ m.root.T + m.bias
    for i in range(g.n):
        for r in range(3):
            into = [e for e in g.into(i) if relation[e] == r]
            if into:
                y[i] += np.mean([w[r] @ x[g.source[e]] for e in into], axis=0)
    return y


@dataclass
class Case:
    """A layer: how it is made, called and computed. `takes` says what else it takes: "edge" or "relation"."""

    name: str
    make: Callable[..., Any]
    formula: Callable[..., Any]
    takes: str = ""
    symmetric: bool = False

    def __str__(self) -> str:
        return self.name

    def layer(self, seed: int = 0, dtype: Any = None):
        """With all arrays drawn, biases and epsilons too."""
        made = self.make(key=hs.random.key(seed), dtype=dtype)
        rng = np.random.default_rng(seed)
        return hs.tree_map(lambda a: a + hs.asarray(0.3 * rng.normal(size=a.shape), dtype=a.dtype), made)

    def graph(self, seed: int = 0, dtype: Any = np.float64):
        rng = np.random.default_rng(seed)
        edges = np.unique(np.concatenate([EDGES, EDGES[::-1]], axis=1), axis=1) if self.symmetric else EDGES
        count = edges.shape[1]
        w = rng.uniform(0.5, 2.0, count).astype(dtype)
        if self.symmetric:
            w = ((edges[0] + 1) * (edges[1] + 1) / 10.0).astype(dtype)
        return gnn.Graph(
            edges,
            rng.normal(size=(N, F)).astype(dtype),
            edge_weight=w,
            edge_attr=rng.normal(size=(count, EDGE if self.takes != "wide" else F)).astype(dtype),
            edge_data={"relation": RELATION[:count] if count == len(RELATION) else np.zeros(count, int)},
        )

    def call(self, layer: Any, x: Any, graph: Any, e: Any = None):
        if self.takes in ("edge", "wide"):
            return layer(x, graph, edge_attr=graph.edge_attr if e is None else e)
        if self.takes == "relation":
            return layer(x, graph, graph.edge_data["relation"])
        return layer(x, graph)

    def reference(self, layer: Any, x: np.ndarray, graph: Any, e: np.ndarray | None = None):
        plain = Edges(
            graph.num_nodes,
            *(np.asarray(a) for a in (graph.source, graph.target, graph.edge_weight)),
            np.asarray(graph.edge_attr) if e is None else e,
        )
        more = (np.asarray(graph.edge_data["relation"]),) if self.takes == "relation" else ()
        return self.formula(hs.tree_map(lambda a: np.asarray(a), layer), x, plain, *more)


def _with_net(sizes, build):
    return lambda key, dtype: build(
        hs.nn.MLP(sizes, key=hs.random.fold_in(key, 9), dtype=dtype), key=key, dtype=dtype
    )


ALL = ["mean", "min", "max", "std", "sum", "var"]
SCALERS = ["identity", "amplification", "attenuation", "linear", "inverse"]
DEGREES = [1, 1, 1, 3, 1]
CASES = [
    Case("gcn", lambda **k: gnn.GCNConv(F, OUT, **k), gcn),
    *(
        Case(f"sage {r}", lambda r=r, **k: gnn.SAGEConv(F, OUT, reduce=r, **k), sage)
        for r in ("mean", "sum", "max")
    ),
    Case("sg", lambda **k: gnn.SGConv(F, OUT, steps=3, **k), sg),
    Case("appnp", lambda key, dtype: gnn.APPNP(3, 0.2), appnp),
    *(
        Case(
            f"cheb {kind}",
            lambda kind=kind, lam=lam, **k: gnn.ChebConv(F, OUT, 4, kind=kind, lambda_max=lam, **k),
            cheb,
        )
        for kind, lam in (("sym", 2.0), ("rw", 1.7), (None, 9.0))
    ),
    Case("gat", lambda **k: gnn.GATConv(F, OUT, heads=2, **k), gat),
    Case(
        "gat edges",
        lambda **k: gnn.GATConv(F, OUT, heads=2, edge_features=EDGE, concat=False, **k),
        gat,
        "edge",
    ),
    Case("gatv2", lambda **k: gnn.GATv2Conv(F, OUT, heads=2, share_weights=True, concat=False, **k), gatv2),
    Case("gatv2 edges", lambda **k: gnn.GATv2Conv(F, OUT, heads=2, edge_features=EDGE, **k), gatv2, "edge"),
    Case("transformer", lambda **k: gnn.TransformerConv(F, OUT, heads=2, concat=False, **k), transformer),
    Case(
        "transformer edges",
        lambda **k: gnn.TransformerConv(F, OUT, heads=2, edge_features=EDGE, gate=True, **k),
        transformer,
        "edge",
    ),
    Case(
        "gin",
        _with_net(
            [F, 5, OUT],
            lambda net, key, dtype: gnn.GINConv(net, epsilon=0.3, train_epsilon=True, dtype=dtype),
        ),
        gin,
    ),
    Case(
        "gine", _with_net([F, 5, OUT], lambda net, key, dtype: gnn.GINEConv(net, epsilon=0.3)), gine, "wide"
    ),
    Case(
        "gine edges",
        _with_net([F, 5, OUT], lambda net, **k: gnn.GINEConv(net, in_features=F, edge_features=EDGE, **k)),
        gine,
        "edge",
    ),
    *(
        Case(
            f"edge {r}",
            _with_net([2 * F, 5, OUT], lambda net, key, dtype, r=r: gnn.EdgeConv(net, reduce=r)),
            edge_conv,
        )
        for r in ("max", "sum", "mean")
    ),
    *(
        Case(
            f"nn {r}",
            _with_net([EDGE, 5, F * OUT], lambda net, r=r, **k: gnn.NNConv(F, OUT, net, reduce=r, **k)),
            nnconv,
            "edge",
        )
        for r in ("sum", "mean")
    ),
    Case("gated", lambda **k: gnn.GatedGraphConv(OUT, 2, **k), gated),
    Case("pna", lambda **k: gnn.PNAConv(F, OUT, ALL, SCALERS, degrees=DEGREES, **k), pna),
    Case(
        "pna edges",
        lambda **k: gnn.PNAConv(F, OUT, ALL[:4], SCALERS[:3], degrees=DEGREES, edge_features=EDGE, **k),
        pna,
        "edge",
    ),
    Case("rgcn", lambda **k: gnn.RGCNConv(F, OUT, 3, **k), rgcn, "relation"),
    Case("rgcn bases", lambda **k: gnn.RGCNConv(F, OUT, 3, bases=2, **k), rgcn, "relation"),
]
