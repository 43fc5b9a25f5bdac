"""Layers of PyTorch Geometric on a graph from a file; writes parameters, values and gradients. Needs no Hesse.

python pyg_worker.py graph.npz results.npz
"""

import sys
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")
from torch.nn import Linear, Sequential, Tanh  # noqa: E402
from torch_geometric import nn as pyg  # noqa: E402

torch.set_default_dtype(torch.float64)
F, OUT, EDGE = 3, 4, 2
ALL = ["mean", "min", "max", "std", "sum", "var"]
SCALERS = ["identity", "amplification", "attenuation", "linear", "inverse_linear"]
DEGREES = torch.tensor([1, 1, 1, 3, 1])


def net(n, m, k):
    return Sequential(Linear(n, m), Tanh(), Linear(m, k))


class VirtualNode(torch.nn.Module):
    """As Hu et al. (2020) have it in their code for PyTorch Geometric, which has no layer of this name."""

    def __init__(self):
        super().__init__()
        self.first, self.nn = torch.nn.Parameter(torch.zeros(F)), Linear(F, F)

    def forward(self, x, batch):
        v = self.nn(self.first + pyg.global_add_pool(x, batch))
        return torch.cat([x + v[batch], v])


def layers():
    """Name: (layer, how it is called from (x, edges, weights, attr, wide, kind, batch))."""
    plain = lambda f: lambda x, i, w, a, wide, r, b: f(x, i)
    weighted = lambda f: lambda x, i, w, a, wide, r, b: f(x, i, w)
    with_attr = lambda f: lambda x, i, w, a, wide, r, b: f(x, i, a)
    with_wide = lambda f: lambda x, i, w, a, wide, r, b: f(x, i, wide)
    with_kind = lambda f: lambda x, i, w, a, wide, r, b: f(x, i, r)
    pooled = lambda f: lambda x, i, w, a, wide, r, b: f(x, b)
    found = {}

    def add(name, layer, how):
        found[name] = (layer, how(layer))

    add("gcn", pyg.GCNConv(F, OUT), weighted)
    add("gcn no loops", pyg.GCNConv(F, OUT, add_self_loops=False), weighted)
    for reduce in ("mean", "sum", "max"):
        add(f"sage {reduce}", pyg.SAGEConv(F, OUT, aggr=reduce), plain)
    add("sage unit", pyg.SAGEConv(F, OUT, normalize=True), plain)
    add("sg", pyg.SGConv(F, OUT, K=3), weighted)
    add("appnp", pyg.APPNP(3, 0.2), weighted)
    add("cheb", pyg.ChebConv(F, OUT, 4), plain)
    add("gat", pyg.GATConv(F, OUT, heads=2), plain)
    add("gat mean", pyg.GATConv(F, OUT, heads=2, concat=False, add_self_loops=False), plain)
    add("gat edges", pyg.GATConv(F, OUT, heads=2, edge_dim=EDGE), with_attr)
    add("gatv2", pyg.GATv2Conv(F, OUT, heads=2), plain)
    add("gatv2 edges", pyg.GATv2Conv(F, OUT, heads=2, edge_dim=EDGE), with_attr)
    add("transformer", pyg.TransformerConv(F, OUT, heads=2), plain)
    add("transformer gate", pyg.TransformerConv(F, OUT, heads=2, edge_dim=EDGE, beta=True), with_attr)
    add("gin", pyg.GINConv(net(F, 5, OUT), eps=0.3, train_eps=True), plain)
    add("gine", pyg.GINEConv(net(F, 5, OUT), eps=0.3), with_wide)
    add("gine edges", pyg.GINEConv(net(F, 5, OUT), edge_dim=EDGE), with_attr)
    for reduce in ("max", "sum", "mean"):
        add(f"edge {reduce}", pyg.EdgeConv(net(2 * F, 5, OUT), aggr=reduce), plain)
    for reduce in ("add", "mean"):
        add(f"nn {reduce}", pyg.NNConv(F, OUT, net(EDGE, 5, F * OUT), aggr=reduce), with_attr)
    add("gated", pyg.GatedGraphConv(OUT, 2), weighted)
    add("pna", pyg.PNAConv(F, OUT, ALL, SCALERS, deg=DEGREES), plain)
    add("pna edges", pyg.PNAConv(F, OUT, ALL[:4], SCALERS[:3], deg=DEGREES, edge_dim=EDGE), with_attr)
    add("rgcn", pyg.RGCNConv(F, OUT, 3), with_kind)
    add("rgcn bases", pyg.RGCNConv(F, OUT, 3, num_bases=2), with_kind)
    add("sum pool", pyg.aggr.SumAggregation(), pooled)
    add("mean pool", pyg.aggr.MeanAggregation(), pooled)
    add("max pool", pyg.aggr.MaxAggregation(), pooled)
    add("attention pool", pyg.aggr.AttentionalAggregation(Linear(F, 1), Linear(F, OUT)), pooled)
    add("set2set", pyg.aggr.Set2Set(F, 3), pooled)
    add("graph norm", pyg.GraphNorm(F), pooled)
    add("pair norm", pyg.PairNorm(1.3), pooled)
    add("pair norm individually", pyg.PairNorm(1.3, scale_individually=True), pooled)
    add("batch norm", pyg.BatchNorm(F), lambda f: lambda x, i, w, a, wide, r, b: f(x))
    add("layer norm", pyg.LayerNorm(F, mode="node"), lambda f: lambda x, i, w, a, wide, r, b: f(x))
    add("top k", pyg.TopKPooling(F, 0.5), lambda f: lambda x, i, w, a, wide, r, b: f(x, i, batch=b)[0])
    add("virtual node", VirtualNode(), pooled)
    jumping = lambda f: lambda x, i, w, a, wide, r, b: f([x, x * x, torch.sin(x)])
    add("jumping concat", pyg.JumpingKnowledge("cat"), jumping)
    add("jumping max", pyg.JumpingKnowledge("max"), jumping)
    add("jumping lstm", pyg.JumpingKnowledge("lstm", F, 3), jumping)
    return found


def utilities(data):
    """Matrices and encodings of the directed graph, and of the undirected one made of it."""
    from torch_geometric.data import Data
    from torch_geometric.transforms import AddRandomWalkPE
    from torch_geometric.utils import add_remaining_self_loops, get_laplacian, to_dense_adj, to_undirected

    index, w, n = torch.tensor(data["edges"]), torch.tensor(data["w"]), data["x"].shape[0]
    dense = lambda edges, weights: to_dense_adj(edges, edge_attr=weights, max_num_nodes=n)[0].numpy()
    found = {
        f"undirected {reduce}": dense(*to_undirected(index, w, n, reduce=reduce))
        for reduce in ("add", "mean", "max")
    }
    both, total = to_undirected(index, w, n, reduce="add")
    for kind in (None, "sym", "rw"):
        found[f"laplacian {kind}"] = dense(*get_laplacian(both, total, kind, num_nodes=n))
    found["loops"] = dense(*add_remaining_self_loops(index, w, fill_value=1.0, num_nodes=n))
    found["walks"] = AddRandomWalkPE(4, "pe")(
        Data(edge_index=torch.unique(index, dim=1), num_nodes=n)
    ).pe.numpy()
    return found


def main(graph_file, result_file):
    data = np.load(graph_file)
    torch.manual_seed(0)
    edges, batch = torch.tensor(data["edges"]), torch.tensor(data["batch"])
    kind, rng, results = torch.tensor(data["kind"]), np.random.default_rng(0), {}
    for name, (layer, call) in layers().items():
        for parameter in layer.parameters():  # biases too are drawn
            parameter.data = torch.tensor(rng.normal(scale=0.5, size=tuple(parameter.shape)))
        x, w, a, wide = (torch.tensor(data[k], requires_grad=True) for k in ("x", "w", "attr", "wide"))
        index = torch.tensor(data["both"]) if name == "cheb" else edges
        y = call(x, index, w, a, wide, kind, batch)
        c = rng.normal(size=tuple(y.shape))
        (y * torch.tensor(c)).sum().backward()
        results[f"{name}|y"], results[f"{name}|c"] = y.detach().numpy(), c
        inputs = {"x": x, "w": w, "attr": a, "wide": wide}
        for key, value in [*inputs.items(), *((f"p.{k}", p) for k, p in layer.named_parameters())]:
            results[f"{name}|{key}"] = value.detach().numpy()
            results[f"{name}|d{key}"] = np.zeros(value.shape) if value.grad is None else value.grad.numpy()
    results.update({f"utility {k}": v for k, v in utilities(data).items()})
    np.savez(result_file, **results)


main(*sys.argv[1:])
