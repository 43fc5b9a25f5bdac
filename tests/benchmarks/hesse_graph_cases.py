"""The workloads on graphs and molecules in Hesse."""

from __future__ import annotations

from typing import Any

import hesse as hs
from hesse import gnn

from . import graph_data
from .case import Case
from .hesse_training import training_of


class GCN(hs.nn.Module):
    """Two graph convolutions."""

    first: gnn.GCNConv
    second: gnn.GCNConv

    def __call__(self, x: Any, graph: gnn.Graph) -> Any:
        return self.second(hs.nn.relu(self.first(x, graph)), graph)


def gcn(form: str, dtype: str) -> Case:
    found = graph_data.citations(dtype)
    sizes = ((graph_data.WORDS, graph_data.HIDDEN), (graph_data.HIDDEN, graph_data.CLASSES))
    layers = [
        gnn.GCNConv(m, n, normalise=False, dtype=dtype).replace(weight=hs.asarray(w.T.copy()))
        for (m, n), (w, _) in zip(sizes, found.layers, strict=True)
    ]
    edges = [found.source, found.target()]
    graph = gnn.Graph(edges, num_nodes=graph_data.NODES, edge_weight=found.weights)
    x = hs.sparse.from_dense(found.x) if form == "sparse features" else hs.asarray(found.x)
    labelled, labels = hs.asarray(found.labelled), hs.asarray(found.labels[found.labelled])

    def loss_of(model: Any, x: Any, graph: Any, labelled: Any, labels: Any) -> Any:
        return hs.nn.softmax_cross_entropy(model(x, graph)[labelled], labels)

    opt = hs.optim.adam(graph_data.GCN_RATE)
    return training_of(loss_of, opt, GCN(*layers), (x, graph, labelled, labels))


def schnet(form: str, dtype: str, count: int, pairs: bool = False) -> Case:
    found = graph_data.molecules(dtype, count)
    w, linear = (
        found.weights,
        lambda layer, name: layer.replace(
            weight=hs.asarray(found.weights[name].T.copy()), bias=hs.asarray(found.weights[f"{name}.bias"])
        ),
    )
    model = gnn.SchNet(
        graph_data.WIDTH, graph_data.WIDTH, graph_data.INTERACTIONS, graph_data.GAUSSIANS,
        graph_data.CUTOFF, store_edges={"default": None, "tiles": False}[form], dtype=dtype,
    )  # fmt: skip
    interactions = [
        part.replace(
            before=hs.asarray(w[f"{k}.before"].T.copy()),
            conv=part.conv.replace(
                first=linear(part.conv.first, f"{k}.first"), second=linear(part.conv.second, f"{k}.second")
            ),
            after=linear(part.after, f"{k}.after"),
            last=linear(part.last, f"{k}.last"),
        )
        for k, part in enumerate(model.interactions)
    ]
    model = model.replace(
        embedding=hs.asarray(w["embedding"]), interactions=interactions,
        hidden_layer=linear(model.hidden_layer, "hidden"), last=linear(model.last, "last"),
    )  # fmt: skip
    graphs = []
    for m in range(count):
        atoms, edges = found.molecule == m, found.molecule[found.target] == m
        first = m * graph_data.ATOMS
        between = [found.source[edges] - first, found.target[edges] - first]
        graph = gnn.Graph(between, pos=found.pos[atoms], node_data={"z": found.z[atoms]})
        graphs.append(graph.pairs() if pairs else graph)
    inputs = gnn.batch(graphs), hs.asarray(found.energies), hs.asarray(found.forces)

    def loss_of(model: Any, graph: Any, energies: Any, forces: Any) -> Any:
        e, f = gnn.energy_and_forces(model, graph)
        return hs.mean((e - energies) ** 2) + hs.mean((f - forces) ** 2)

    return training_of(loss_of, hs.optim.adam(graph_data.SCHNET_RATE), model, inputs)
