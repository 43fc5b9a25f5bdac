"""Programs that read few rows, or add to few, against the same operations one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hesse as hs

N, WIDTH, EDGES = 48, 4, 150


def pattern(rng: np.random.Generator) -> Any:
    values = hs.asarray(rng.standard_normal(EDGES))
    row, col = np.sort(rng.integers(0, N, EDGES)), rng.integers(0, N, EDGES)
    return hs.sparse.coo(values, row, col, (N, N), duplicates="keep")


def random_function(rng: np.random.Generator, steps: int) -> Any:
    """A function of features (N, WIDTH), weights, a matrix and two choices of rows, by random operations."""
    plan = [(int(rng.integers(0, 13)), rng.integers(0, 1 << 30, 4).tolist()) for _ in range(steps)]
    kept = rng.integers(0, 1 << 30, 2).tolist()

    def f(x: Any, w: Any, a: Any, some: Any, others: Any) -> Any:
        index = [some, others]
        all_rows, few_rows, rest = [x, hs.tanh(x)], [[x[some]], [x[others]]], []
        for kind, draw in plan:
            # recent ones meet again
            pick = lambda values, k, draw=draw: values[-1 - draw[k] % min(len(values), 4)]
            u, v, which = pick(all_rows, 0), pick(all_rows, 1), draw[2] % 2
            few = pick(few_rows[which], 3)
            if kind == 0:
                all_rows.append(hs.tanh(u) * v)
            elif kind == 1:
                all_rows.append(u + v)
            elif kind == 2:
                all_rows.append(u @ w)
            elif kind == 3:
                all_rows.append(a @ u)
            elif kind == 4:
                all_rows.append(a.T @ u)
            elif kind == 5:
                few_rows[which].append(u[index[which]] * 0.5)
            elif kind == 6:
                all_rows.append(hs.zeros_like(x).at[index[which]].add(few))
            elif kind == 7:
                all_rows.append(hs.scatter_add(few, index[which], N))
            elif kind == 8:
                few_rows[which].append(hs.sin(few))
            elif kind == 9:
                rest.append(u.sum(axis=0))
            elif kind == 10:
                rest.append(u.T @ v)
            elif kind == 11:
                all_rows.append(u - u.max(axis=1, keepdims=True))
            else:
                all_rows.append(hs.where(x > 0, u, hs.zeros_like(u)))
        values = [*few_rows[0][-2:], few_rows[1][-1], *rest[:4]]
        if kept[0] % 3 == 0:
            values.append(all_rows[kept[1] % len(all_rows)])
        return values

    return f


@pytest.mark.parametrize("seed", range(150))
def test_random_programs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    f = random_function(rng, int(rng.integers(4, 14)))
    x, w = (hs.asarray(rng.standard_normal(shape)) for shape in ((N, WIDTH), (WIDTH, WIDTH)))
    a = pattern(rng)
    # few enough for gathers, so few that products are summed from them, repeated, and from the end
    some = hs.asarray(rng.integers(0, N, int(rng.integers(1, 4))))
    others = hs.asarray(rng.integers(-N, N, int(rng.integers(1, N // 2))))
    arguments = (x, w, a, some, others)
    found, expected = hs.compile(f)(*arguments), f(*arguments)
    loss = lambda *z: sum((hs.tanh(v) ** 2).sum() for v in f(*z))
    gradient = hs.grad(loss, argnums=(0, 1))
    found += list(hs.compile(gradient)(*arguments))
    expected += list(gradient(*arguments))
    for got, right in zip(found, expected, strict=True):
        scale = max(1.0, float(np.abs(np.asarray(right)).max(initial=0.0)))
        np.testing.assert_allclose(np.asarray(got), np.asarray(right), rtol=1e-9, atol=1e-10 * scale)


def test_labelled_nodes_of_a_classifier() -> None:
    """Scores that are normalised for all nodes, as PyG's users write it, are found for the labelled ones alone."""
    rng = np.random.default_rng(0)
    edges = np.concatenate([rng.integers(0, 400, (2, 900)), np.tile(np.arange(400), (2, 1))], axis=1)
    graph = hs.gnn.Graph(edges, num_nodes=400)
    x, labels = hs.asarray(rng.standard_normal((400, 6))), hs.asarray(rng.integers(0, 3, 20))
    labelled = hs.asarray(rng.permutation(400)[:20])
    model = hs.gnn.GCNConv(6, 3, dtype="float64")

    def loss(model: Any, x: Any, graph: Any, labelled: Any, labels: Any) -> Any:
        scores = hs.log_softmax(model(x, graph), axis=1)[labelled]
        return -hs.take_along_axis(scores, labels[:, None], axis=1).mean()

    step = hs.compile(hs.value_and_grad(loss))
    program = str(step.program(model, x, graph, labelled, labels))
    assert "csr_matmul_at" in program and "csr_matmul_from" in program
    got, grads = step(model, x, graph, labelled, labels)
    expected, right = hs.value_and_grad(loss)(model, x, graph, labelled, labels)
    np.testing.assert_allclose(float(got), float(expected), rtol=1e-12)
    for g, r in zip(hs.tree_leaves(grads), hs.tree_leaves(right), strict=True):
        np.testing.assert_allclose(np.asarray(g), np.asarray(r), rtol=1e-10, atol=1e-13)
