"""PyTorch Geometric's SchNet on molecules from a file; writes parameters, energies, forces and gradients. Needs no Hesse.

python pyg_schnet_worker.py molecules.npz results.npz
"""

import sys
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")
from torch_geometric.nn.models import SchNet  # noqa: E402

torch.set_default_dtype(torch.float64)


def main(molecules_file, result_file):
    data = np.load(molecules_file)
    sizes = [int(n) for n in data["sizes"]]
    z, batch, edges = (torch.tensor(data[k]) for k in ("z", "batch", "edges"))
    pos = torch.tensor(data["pos"], requires_grad=True)
    distances = lambda pos, batch: (edges, (pos[edges[0]] - pos[edges[1]]).norm(dim=-1))
    torch.manual_seed(0)
    net = SchNet(*sizes, cutoff=float(data["cutoff"]), interaction_graph=distances).double()
    rng = np.random.default_rng(0)
    for parameter in net.parameters():  # biases too are drawn
        parameter.data = torch.tensor(rng.normal(scale=0.3, size=tuple(parameter.shape)))
    energies = net(z, pos, batch)[:, 0]
    forces = -torch.autograd.grad(energies.sum(), pos, create_graph=True)[0]
    ((energies**2).sum() + ((forces - 0.1) ** 2).sum()).backward()
    results = {"energies": energies.detach().numpy(), "forces": forces.detach().numpy()}
    for name, parameter in net.named_parameters():
        results[f"p.{name}"] = parameter.detach().numpy()
        results[f"d.{name}"] = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
    np.savez(result_file, **results)


main(*sys.argv[1:])
