"""GraphSAINT's normalisation: what is on average over samples is what the whole graph gives."""

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

RNG = np.random.default_rng(0)
N, E = 30, 120
EDGES = RNG.integers(N, size=(2, E))
WEIGHT = RNG.uniform(0.5, 2.0, E)
X = RNG.normal(size=(N, 3))
GRAPH = gnn.Graph(EDGES, X, edge_weight=WEIGHT, node_data={"id": np.arange(N)}).with_self_loops()


def draw(graph, seed, pad=False):
    roots, walks = hs.unstack(hs.random.split(hs.random.key(seed)))
    return gnn.random_walk_sample(walks, graph, hs.random.integers(roots, 0, N, (3,)), 2, pad=pad)


def plain(graph):
    """The sums over incoming edges of the whole graph, and losses of nodes."""
    dense = np.zeros((N, N))
    np.add.at(dense, (np.asarray(graph.target), np.asarray(graph.source)), np.asarray(graph.edge_weight))
    return dense @ X, np.sin(X).sum(axis=1)


def averages(graph, samples):
    """Over samples: of what a node gets in those that hold it, and of the weighted losses."""
    sums, counts, losses = np.zeros((N, 3)), np.zeros(N), []
    for sample in samples:
        part, real = sample.graph, np.asarray(sample.nodes) >= 0
        nodes = np.asarray(sample.nodes)[real]
        np.testing.assert_array_equal(np.asarray(part.node_data["id"])[real], nodes)
        sums[nodes] += np.asarray(part.adjacency() @ part.x)[real]
        counts[nodes] += 1
        each = np.asarray(part.node_data["loss_weight"]) * np.sin(np.asarray(part.x)).sum(axis=1)
        losses.append(each[np.asarray(sample.seeds)].sum())
    return sums / counts[:, None], np.mean(losses)


@pytest.mark.parametrize("pad", [False, True])
def test_over_the_samples_that_were_counted_it_is_exact(pad):
    """sum_u w_vu / alpha_uv C_uv / C_v x_u is the sum over all edges, and sum_v L_v C_v / (N lambda_v) the mean."""
    weighted = gnn.saint_normalised(GRAPH, (draw(GRAPH, k, pad) for k in range(800)))
    assert weighted.edge_weight.shape == GRAPH.edge_weight.shape and weighted.edge_weight.dtype == hs.float64
    met, loss = averages(weighted, (draw(weighted, k, pad) for k in range(800)))
    sums, losses = plain(GRAPH)
    np.testing.assert_allclose(met, sums, rtol=1e-10, atol=1e-12)
    assert loss == pytest.approx(losses.mean(), rel=1e-10)
    # A loop is in every sample that holds its node.
    loops = np.asarray(GRAPH.source) == np.asarray(GRAPH.target)
    np.testing.assert_array_equal(
        np.asarray(weighted.edge_weight)[loops], np.asarray(GRAPH.edge_weight)[loops]
    )


def test_new_samples_are_unbiased():
    weighted = gnn.saint_normalised(GRAPH, (draw(GRAPH, k) for k in range(2000)))
    samples = [draw(weighted, 10_000 + k) for k in range(1500)]
    met, loss = averages(weighted, samples)
    sums, losses = plain(GRAPH)
    assert np.abs(met - sums).mean() < 0.12 * np.abs(sums).mean()
    assert abs(loss - losses.mean()) < 0.1 * np.abs(losses).mean()
    # Without the weights nodes with many neighbours count too much, and sums lack what samples leave out.
    bare = [
        draw(GRAPH.replace(node_data={**GRAPH.node_data, "loss_weight": hs.full(N, 1.0 / N)}), 10_000 + k)
        for k in range(1500)
    ]
    biased, _ = averages(GRAPH, bare)
    assert np.abs(biased - sums).mean() > 4 * np.abs(met - sums).mean()


def test_counts_are_those_of_numpy():
    samples = [draw(GRAPH, k) for k in range(20)]
    node, edge = np.zeros(N), np.zeros(GRAPH.num_edges)
    for s in samples:
        np.add.at(node, np.asarray(s.nodes), 1)
        np.add.at(edge, np.asarray(s.edges), 1)
    assert (node == 0).any() or (edge == 0).any()  # what is not met counts as met once
    node, edge = np.maximum(node, 1), np.maximum(edge, 1)
    weighted = gnn.saint_normalised(GRAPH, samples)
    alpha = edge / node[np.asarray(GRAPH.target)]
    np.testing.assert_allclose(weighted.edge_weight, np.asarray(GRAPH.edge_weight) / alpha, rtol=1e-14)
    np.testing.assert_allclose(weighted.node_data["loss_weight"], 20 / (N * node), rtol=1e-14)
    single = gnn.saint_normalised(
        gnn.Graph(EDGES, X.astype(np.float32)),
        samples[:0] + [gnn.induced_sample(gnn.Graph(EDGES, X), [0, 1])],
    )
    assert single.edge_weight.dtype == single.node_data["loss_weight"].dtype == hs.float32


def test_gradients_of_batches_are_on_average_those_of_the_graph():
    """One linear layer and a loss of its output that is linear: gradients of samples average to the full gradient."""
    graph = GRAPH.replace(y=hs.array(RNG.normal(size=N))).normalised("rw")
    conv = gnn.GCNConv(3, 1, normalise=False, bias=False, key=hs.random.key(1))
    weighted = gnn.saint_normalised(graph, (draw(graph, k) for k in range(800)))

    def loss(conv, g, weights):
        return hs.sum(weights * conv(g.x, g)[:, 0] * g.y)

    full = np.asarray(hs.grad(loss)(conv, graph, hs.full(N, 1.0 / N)).weight)
    samples = [draw(weighted, k) for k in range(800)]
    parts = [
        np.asarray(hs.grad(loss)(conv, s.graph, s.graph.node_data["loss_weight"]).weight) for s in samples
    ]
    np.testing.assert_allclose(np.mean(parts, axis=0), full, rtol=1e-10)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: gnn.saint_normalised(GRAPH, []), ValueError, "there are no samples"),
        (lambda: gnn.saint_normalised(GRAPH, [GRAPH]), TypeError, "item 0 is a Graph, not a Sample"),
        (lambda: gnn.saint_normalised(gnn.Graph([[0], [1]]), [draw(GRAPH, 0)]), IndexError, r"sample 0 has number \d+ of the nodes, the graph has 2"),
        (lambda: gnn.saint_normalised(gnn.saint_normalised(GRAPH, [draw(GRAPH, 0)]), [draw(GRAPH, 0)]), ValueError, "loss_weight.* already"),
        (lambda: gnn.saint_normalised(3, []), TypeError, "graph must be a hs.gnn.Graph"),
    ],
)  # fmt: skip
def test_refuses(call, error, words):
    with pytest.raises(error, match=f"saint_normalised: .*{words}"):
        call()
