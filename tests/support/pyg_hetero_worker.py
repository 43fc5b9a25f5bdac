"""HeteroConv of PyTorch Geometric on a graph from a file; writes parameters, values and gradients.

python pyg_hetero_worker.py graph.npz results.npz [folder with the package hesse]
With the last argument, graphs are also converted from one library to the other and back.
"""

import sys
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")
from torch.nn import Linear, Sequential, Tanh  # noqa: E402
from torch_geometric import nn as pyg  # noqa: E402
from torch_geometric.data import HeteroData  # noqa: E402

torch.set_default_dtype(torch.float64)
TYPES = {
    "writes": ("author", "writes", "paper"),
    "cites": ("paper", "cites", "paper"),
    "rev": ("paper", "rev", "author"),
    "hosts": ("venue", "hosts", "paper"),
}


def cases():
    """Name: (layers by relation, how they are reduced). Authors have 3 features, papers and venues 5."""
    sage = lambda: {
        "writes": pyg.SAGEConv((3, 5), 4),
        "cites": pyg.SAGEConv(5, 4, aggr="sum"),
        "rev": pyg.SAGEConv((5, 3), 4, aggr="max"),
        "hosts": pyg.SAGEConv((5, 5), 4, root_weight=False),
    }
    attention = lambda layer, **options: {
        "writes": layer((3, 5), 2, heads=2, **options),
        "cites": layer(5, 2, heads=2),
        "rev": layer((5, 3), 2, heads=2, edge_dim=2, **options),
        "hosts": layer(5, 2, heads=2, concat=True, **options),
    }
    found = {f"sage {aggr}": (sage(), aggr) for aggr in ("sum", "mean", "max", "min", "cat")}
    found["gat"] = attention(pyg.GATConv, add_self_loops=False), "sum"
    found["gatv2"] = attention(pyg.GATv2Conv, add_self_loops=False), "sum"
    found["transformer"] = attention(pyg.TransformerConv), "mean"
    found["transformer"][0]["rev"] = pyg.TransformerConv((5, 3), 2, heads=2, edge_dim=2, beta=True)
    net = Sequential(Linear(5, 6), Tanh(), Linear(6, 4))
    found["gin"] = {"hosts": pyg.GINConv(net, eps=0.3, train_eps=True), "cites": pyg.SAGEConv(5, 4)}, "sum"
    return found


def hetero_data(data):
    graph = HeteroData()
    for kind in ("author", "paper", "venue"):
        graph[kind].x = torch.tensor(data[f"x {kind}"])
    graph["paper"].y = torch.tensor(data["y paper"])
    graph["paper"].train_mask = torch.tensor(data["train paper"])
    for relation, edge_type in TYPES.items():
        graph[edge_type].edge_index = torch.tensor(data[f"edges {relation}"])
    graph[TYPES["rev"]].edge_attr = torch.tensor(data["attr rev"])
    return graph


def conversions(graph, folder):
    """There and back, both ways; what is compared raises where it differs."""
    sys.path.insert(0, folder)
    from hesse import gnn

    ours = gnn.from_pyg(graph)
    again = gnn.to_pyg(ours)
    assert again.node_types == graph.node_types and again.edge_types == graph.edge_types
    for kind in graph.node_types:
        for name in graph[kind].to_dict():
            assert torch.equal(again[kind][name], graph[kind][name]), (kind, name)
            assert again[kind][name].dtype == graph[kind][name].dtype
    for edge_type in graph.edge_types:
        order = torch.tensor(np.asarray(ours[edge_type].order))
        assert torch.equal(again[edge_type].edge_index, graph[edge_type].edge_index[:, order])
    attr = graph[TYPES["rev"]].edge_attr
    assert torch.equal(
        again[TYPES["rev"]].edge_attr, attr[torch.tensor(np.asarray(ours[TYPES["rev"]].order))]
    )
    assert str(gnn.from_pyg(again)) == str(ours)
    plain = gnn.Graph([[0, 1, 2], [1, 2, 0]], np.ones((3, 2)), y=[0, 1, 2], edge_weight=[1.0, 2.0, 3.0],
                      node_data={"mask": [True, False, True]})  # fmt: skip
    back = gnn.from_pyg(gnn.to_pyg(plain))
    assert str(back) == str(plain) and back.edge_index.tolist() == plain.edge_index.tolist()
    both = gnn.to_pyg(gnn.batch([plain, plain]))
    assert both.batch.tolist() == [0, 0, 0, 1, 1, 1] and both.num_nodes == 6
    return 1.0


def main(graph_file, result_file, folder=None):
    data = np.load(graph_file)
    graph, rng, results = hetero_data(data), np.random.default_rng(0), {}
    torch.manual_seed(0)
    for name, (layers, aggr) in cases().items():
        for layer in layers.values():
            for parameter in layer.parameters():
                parameter.data = torch.tensor(rng.normal(scale=0.5, size=tuple(parameter.shape)))
        x = {k: v.clone().requires_grad_() for k, v in graph.x_dict.items()}
        index = {TYPES[r]: graph[TYPES[r]].edge_index for r in layers}
        options = {} if name.startswith(("sage", "gin")) else {"edge_attr_dict": graph.edge_attr_dict}
        y = pyg.HeteroConv({TYPES[r]: layer for r, layer in layers.items()}, aggr=aggr)(x, index, **options)
        total = 0.0
        for kind, rows in y.items():
            c = rng.normal(size=tuple(rows.shape))
            total = total + (rows * torch.tensor(c)).sum()
            results[f"{name}|y.{kind}"], results[f"{name}|c.{kind}"] = rows.detach().numpy(), c
        total.backward()
        for kind, value in x.items():
            results[f"{name}|dx.{kind}"] = np.zeros(value.shape) if value.grad is None else value.grad.numpy()
        for relation, layer in layers.items():
            for k, p in layer.named_parameters():
                results[f"{name}|p.{relation}|{k}"] = p.detach().numpy()
                results[f"{name}|dp.{relation}|{k}"] = p.grad.numpy()
    one = graph.to_homogeneous()
    results["one|edges"], results["one|edge type"] = one.edge_index.numpy(), one.edge_type.numpy()
    results["one|node type"] = one.node_type.numpy()
    results["converted"] = np.array(conversions(graph, folder) if folder else 0.0)
    np.savez(result_file, **results)


main(*sys.argv[1:])
