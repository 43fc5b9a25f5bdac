"""Estimators, loaders and buckets on graphs with one edge per pair: the same as with both directions, or refused."""

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

CUTOFF = 2.4
CELL = np.array([[2.1, 0.0, 0.3], [0.5, 2.4, 0.0], [-0.2, 0.4, 3.0]])


def systems(cell=None, count=13, pairs=False):
    """Molecules or crystals of 1 to 6 atoms; the first has no neighbours."""
    rng, graphs = np.random.default_rng(0), []
    for k in range(count):
        n = 1 + k % 6
        pos = rng.uniform(size=(n, 3)) * 2.0
        y = float(np.sum(np.cos(pos)))
        graphs.append(
            gnn.radius_graph(pos, CUTOFF, cell=cell, z=rng.choice([1, 6, 8], n), y=[y], pairs=pairs)
        )
    return graphs


def both(cell=None):
    return systems(cell), systems(cell, pairs=True)


def build(key, store_edges=False):
    return gnn.SchNet(8, 6, 2, 6, CUTOFF, largest=9, store_edges=store_edges, key=key, dtype=hs.float64)


def stored(key):
    return build(key, True)


def regressor(build=build, **options):
    return gnn.GraphRegressor(
        build, **{"epochs": 4, "batch_size": 4, "optimiser": hs.optim.adam(0.003), **options}
    )


def losses(model):
    return np.array([tuple(e) for e in model.history_])


def close(a, b, tolerance=1e-10):
    for x, y in zip(hs.tree_leaves(a), hs.tree_leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("make", [build, stored], ids=["tiles", "stored"])
@pytest.mark.parametrize("cell", [None, CELL], ids=["free", "periodic"])
def test_a_regressor_learns_the_same(cell, make):
    """Batches of four in random order, padded; the last has one graph. Rounding grows from step to step."""
    directed, halves = both(cell)
    a, b = (regressor(make).fit(graphs) for graphs in (directed, halves))
    assert losses(a)[-1, 0] < 0.8 * losses(a)[0, 0]
    close(losses(b)[:, 0], losses(a)[:, 0])
    close(b.model_, a.model_)
    found = a.predict(directed)
    close(b.predict(halves), found)
    assert np.ptp(found) > 1e-3 and b.score(halves) == pytest.approx(a.score(directed), abs=1e-9)
    # What was learnt from one kind of graph is asked about the other, and one graph at a time.
    close(b.predict(directed), found)
    close(np.concatenate([b.predict([g]) for g in halves[:3]]), found[:3])
    close(np.concatenate([np.asarray(b.model_(g)) for g in halves]), found)
    close(regressor(make).fit(halves).model_, b.model_, 0.0)


def test_rows_held_out_and_given():
    directed, halves = both()
    a, b = (regressor(patience=2, validation_fraction=0.3).fit(graphs) for graphs in (directed, halves))
    assert np.isfinite(losses(a)).all()
    close(losses(b), losses(a))
    close(b.model_, a.model_)
    y = np.arange(13.0)
    given = [regressor().fit(g[:9], y[:9], validation=(g[9:], y[9:])) for g in (directed, halves)]
    mixed = regressor().fit(halves[:9], y[:9], validation=(directed[9:], y[9:]))
    for other in (given[1], mixed):
        close(losses(other), losses(given[0]))


def test_a_classifier_learns_the_same():
    directed, halves = both(CELL)
    labels = np.array(["small", "large"])[np.arange(13) % 6 // 3]
    fit = lambda graphs: gnn.GraphClassifier(build, epochs=4, batch_size=5, class_weight="balanced").fit(
        graphs, labels
    )
    a, b = fit(directed), fit(halves)
    close(b.model_, a.model_)
    close(b.predict_proba(halves), a.predict_proba(directed))
    assert b.score(halves, labels) == a.score(directed, labels)


def test_nodes_in_a_model_of_messages():
    """A whole graph of pairs, whose messages go both ways."""

    class Net(hs.nn.Module):
        weight: hs.Array

        def __call__(self, graph):
            near = lambda p, q: hs.exp(-hs.sum((q - p) ** 2)) * self.weight
            one_way = lambda p, q, e: near(p, q)
            two_ways = lambda p, q, e: (near(p, q), near(q, p))
            return gnn.message_passing(two_ways if graph.paired else one_way, "sum", graph.pos, graph)

    pos = np.random.default_rng(3).uniform(size=(20, 3)) * 3.0
    y = np.random.default_rng(4).normal(size=(20, 2))
    graphs = [gnn.radius_graph(pos, CUTOFF, y=y, pairs=pairs) for pairs in (False, True)]
    net = lambda key: Net(hs.random.normal(key, (2,)))
    a, b = (gnn.NodeRegressor(net, g, epochs=5).fit(np.arange(0, 20, 2)) for g in graphs)
    close(b.model_, a.model_)
    close(b.predict(np.arange(20)), a.predict(np.arange(20)))


@pytest.mark.parametrize(
    "options", [{"pad": True}, {"pad": 1}, {"pad": True, "buckets": 3}, {"buckets": 3}], ids=str
)
@pytest.mark.parametrize("cell", [None, CELL], ids=["free", "periodic"])
def test_loaders_and_buckets(cell, options):
    """Every graph once a pass, in batches whose energies and forces are those of the graphs, whatever is padded."""
    directed, halves = both(cell)
    model = build(hs.random.key(1))
    number = lambda g, k: g.replace(graph_data={**g.graph_data, "k": hs.array([k])})
    expected = [gnn.energy_and_forces(model, g) for g in directed]
    run = hs.compile(gnn.energy_and_forces)
    loader = gnn.DataLoader([number(g, k) for k, g in enumerate(halves)], 4, shuffle=True, key=0, **options)
    for _ in range(2):
        seen = []
        for part in loader:
            assert part.paired and (not loader.sizes or (part.num_nodes, part.num_edges) in loader.sizes)
            e, f = run(model, part)
            assert np.isfinite(np.asarray(e)).all() and np.isfinite(np.asarray(f)).all()
            mask, nodes = np.asarray(part.graph_mask), np.asarray(part.node_mask)
            which = np.asarray(part.graph_data["k"])[mask]
            close(np.asarray(e)[mask], np.concatenate([np.asarray(expected[k][0]) for k in which]))
            close(np.asarray(f)[nodes], np.concatenate([np.asarray(expected[k][1]) for k in which]))
            seen += which.tolist()
        assert sorted(seen) == list(range(13))


# ---- refused -----------------------------------------------------------------------------------------------------------
class OfLayers(hs.nn.Module):
    """A layer, and the sum over the atoms of each graph."""

    layer: hs.nn.Module

    def __call__(self, graph):
        x = hs.gather(hs.eye(9), graph.node_data["z"])
        return gnn.global_sum_pool(self.layer(x, graph), graph)[:, 0]


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda key: gnn.PaiNN(4, 1, 3, CUTOFF, largest=9, key=key), "PaiNN"),
        (lambda key: OfLayers(gnn.GCNConv(9, 1, key=key)), "GCNConv"),
        (lambda key: OfLayers(gnn.SAGEConv(9, 1, key=key)), "SAGEConv"),
    ],
)
def test_models_that_need_both_directions_are_refused(make, name):
    directed, halves = both()
    message = rf"{name}: the graph has pairs of nodes, each once, and {name} needs edges in both directions: use graph\.directed"
    with pytest.raises(ValueError, match=message):
        regressor(make, epochs=1).fit(halves)
    learnt = regressor(make, epochs=1).fit(directed)
    with pytest.raises(ValueError, match=message):
        learnt.predict(halves)
    # As the message says; edges are in another order then.
    close(learnt.predict([g.directed() for g in halves]), learnt.predict(directed))


def test_pairs_that_do_not_go():
    directed, halves = both()
    with pytest.raises(
        ValueError, match=r"batch: graph 1 has pairs of nodes, each once, graph 0 has directed edges"
    ):
        regressor().fit([directed[0], *halves[1:]])
    pos = np.random.default_rng(3).uniform(size=(20, 3)) * 3.0
    graph = gnn.radius_graph(pos, CUTOFF, x=pos, y=np.zeros(20), pairs=True)

    class Net(hs.nn.Module):
        conv: gnn.GCNConv

        def __call__(self, graph, pairs=None):
            x = self.conv(graph.x, graph)
            return x if pairs is None else hs.sum(hs.gather(x, pairs[0]) * hs.gather(x, pairs[1]), axis=-1)

    net = lambda key: Net(gnn.GCNConv(3, 1, key=key))
    with pytest.raises(ValueError, match="GCNConv: the graph has pairs"):
        gnn.NodeRegressor(net, graph, epochs=1).fit(np.arange(20))
    with pytest.raises(ValueError, match="GCNConv: the graph has pairs"):
        gnn.LinkRegressor(net, graph, epochs=1).fit([[0, 1], [2, 3]], [0.0, 1.0])
    with pytest.raises(
        ValueError, match=r"neighbour_sample: the graph has pairs|NeighbourLoader: the graph has pairs"
    ):
        gnn.NodeRegressor(net, graph, epochs=1, batch_size=4, sizes=[2]).fit(np.arange(20))
