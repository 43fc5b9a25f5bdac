"""MPNN of PyTorch Geometric's layers, PyTorch's GRU cell; writes parameters, values and gradients. Needs no Hesse.

python pyg_mpnn_worker.py graphs.npz results.npz
"""

import sys
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")
from torch.nn import GRUCell, Linear, ReLU, Sequential  # noqa: E402
from torch_geometric import nn as pyg  # noqa: E402

torch.set_default_dtype(torch.float64)


class MPNN(torch.nn.Module):
    def __init__(self, nodes, edges, out, hidden, steps, pool_steps, edge_hidden):
        super().__init__()
        net = Sequential(Linear(edges, edge_hidden), ReLU(), Linear(edge_hidden, hidden * hidden))
        self.first = Linear(nodes, hidden)
        self.conv = pyg.NNConv(hidden, hidden, net, aggr="add", root_weight=False, bias=False)
        self.gru = torch.nn.GRU(hidden, hidden)
        self.project = Linear(hidden + nodes, hidden)
        self.set2set = pyg.aggr.Set2Set(hidden, pool_steps)
        self.dense = Sequential(Linear(2 * hidden, hidden), ReLU(), Linear(hidden, out))
        self.steps = steps

    def forward(self, x, edges, attr, batch):
        h = self.first(x)
        for _ in range(self.steps):
            h = self.gru(self.conv(h, edges, attr)[None], h[None])[0][0]
        return self.dense(self.set2set(self.project(torch.cat([h, x], dim=-1)), batch))


def main(graphs_file, result_file):
    data = np.load(graphs_file)
    rng, results = np.random.default_rng(0), {}
    edges, batch = torch.tensor(data["edges"]), torch.tensor(data["batch"])
    cases = {
        "mpnn": (MPNN(*map(int, data["sizes"])), lambda m, x, attr, h: m(x, edges, attr, batch)),
        "cell": (GRUCell(data["x"].shape[1], data["h"].shape[1]), lambda m, x, attr, h: m(x, h)),
    }
    for name, (model, call) in cases.items():
        for parameter in model.parameters():  # biases too are drawn
            parameter.data = torch.tensor(rng.normal(scale=0.4, size=tuple(parameter.shape)))
        inputs = {k: torch.tensor(data[k], requires_grad=True) for k in ("x", "attr", "h")}
        y = call(model, *inputs.values())
        c = rng.normal(size=tuple(y.shape))
        (y * torch.tensor(c)).sum().backward()
        results[f"{name}|y"], results[f"{name}|c"] = y.detach().numpy(), c
        for k, value in inputs.items():
            results[f"{name}|d{k}"] = np.zeros(value.shape) if value.grad is None else value.grad.numpy()
        for k, parameter in model.named_parameters():
            results[f"{name}|p.{k}"], results[f"{name}|d.{k}"] = (
                parameter.detach().numpy(),
                parameter.grad.numpy(),
            )
    np.savez(result_file, **results)


main(*sys.argv[1:])
