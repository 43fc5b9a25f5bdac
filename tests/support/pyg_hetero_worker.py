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
from torch_geometric.data import Batch, Data, HeteroData  # noqa: E402

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
    batches(gnn, graph)
    return 1.0


def same(a, b, fields):
    """Two graphs, or edges, of ours: arrays by arrays."""
    for field in fields:
        x, y = getattr(a, field), getattr(b, field)
        assert (x is None) == (y is None), field
        tables = (x, y) if isinstance(x, dict) else ({"": x}, {"": y})
        assert tables[0].keys() == tables[1].keys(), (field, tables)
        for k in tables[0]:
            if isinstance(tables[0][k], dict):
                assert tables[0][k].keys() == tables[1][k].keys(), (field, k)
            values = [
                list(t[k].values()) if isinstance(t[k], dict) else [] if t[k] is None else [t[k]]
                for t in tables
            ]
            for one, other in zip(*values, strict=True):
                np.testing.assert_array_equal(np.asarray(one), np.asarray(other), err_msg=f"{field} {k}")


EDGE_FIELDS = ("source", "target", "edge_attr", "edge_weight", "edge_data")
GRAPH_FIELDS = ("x", "y", "node_data", "graph_data", "node_graph", "node_starts", "graph_mask")


def batches(gnn, graph):
    """Batches of both libraries: as many graphs, and each one's arrays, also after there and back."""
    rng = np.random.default_rng(1)
    parts = []
    for n, m in ((3, 5), (1, 0), (4, 2)):
        parts.append(Data(
            x=torch.tensor(rng.normal(size=(n, 2))), edge_index=torch.tensor(rng.integers(n, size=(2, m))),
            edge_attr=torch.tensor(rng.normal(size=(m, 2))), y=torch.tensor(rng.normal(size=(1, 2))),
            mask=torch.tensor(rng.uniform(size=n) < 0.5), edge_type=torch.arange(m), t=torch.tensor([[1.0 * n, 2.0]]),
        ))  # fmt: skip
    ours = gnn.from_pyg(Batch.from_data_list(parts))
    assert ours.num_graphs == 3 and list(ours.graph_data) == ["t"] and list(ours.node_data) == ["mask"]
    for part, given in zip(gnn.unbatch(ours), parts, strict=True):
        assert part.num_nodes == given.num_nodes and part.num_edges == given.num_edges
        for name, value in (
            ("x", part.x),
            ("y", part.y),
            ("mask", part.node_data["mask"]),
            ("t", part.graph_data["t"]),
        ):
            np.testing.assert_array_equal(np.asarray(value), given[name].numpy(), err_msg=name)
        order = np.asarray(part.edge_data["edge_type"])
        np.testing.assert_array_equal(np.asarray(part.edge_index), given.edge_index.numpy()[:, order])
        np.testing.assert_array_equal(np.asarray(part.edge_attr), given.edge_attr.numpy()[order])
    empty = gnn.from_pyg(parts[0]).subgraph([])
    whole = gnn.batch([gnn.from_pyg(parts[0]), empty, gnn.from_pyg(parts[2]), empty])  # the last has no nodes
    for one in (ours, whole, gnn.pad(whole, 14, 11, 6)):
        same(gnn.from_pyg(gnn.to_pyg(one)), one, (*GRAPH_FIELDS, *EDGE_FIELDS))

    graph = graph.clone()
    graph.t, graph["author"].age = torch.tensor([[1.0, 2.0]]), torch.arange(graph["author"].num_nodes)
    graph[TYPES["writes"]].year = torch.arange(graph[TYPES["writes"]].num_edges)
    other = graph.clone()
    other.t = torch.tensor([[3.0, 4.0]])
    other["paper"].x = other["paper"].x + 1.0
    ours = gnn.from_pyg(Batch.from_data_list([graph, other, graph]))
    assert ours.num_graphs == 3 and ours.graph_data["t"].tolist() == [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]
    singles = [gnn.from_pyg(g) for g in (graph, other, graph)]
    assert singles[0].num_graphs == 1 and singles[0].graph_data["t"].tolist() == [[1.0, 2.0]]
    padded = gnn.pad(ours, {k: n.shape[0] + 2 for k, n in ours.node_graph.items()}, {}, 5)
    pairs = [*zip(gnn.unbatch(ours), singles, strict=True)]
    pairs += [(gnn.from_pyg(gnn.to_pyg(g)), g) for g in (ours, padded, *singles)]
    for a, b in pairs:
        assert a.node_types == b.node_types and a.edge_types == b.edge_types
        same(a, b, GRAPH_FIELDS)
        for edge_type in a.edge_types:
            same(a[edge_type], b[edge_type], EDGE_FIELDS)


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
