"""PyTorch Geometric's DimeNet++ on molecules from a file; writes parameters, energies, forces, gradients. Needs no Hesse.

python pyg_dimenet_worker.py molecules.npz results.npz
"""

import sys
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")
from torch_geometric.nn.models import dimenet, dimenet_utils  # noqa: E402

torch.set_default_dtype(torch.float64)
NAMES = [
    "hidden_channels", "int_emb_size", "basis_emb_size", "out_emb_channels", "num_blocks", "num_spherical", "num_radial",
]  # fmt: skip


def zeros(n, k):
    """Zeros of spherical Bessel functions in double precision; PyTorch Geometric has them in single."""
    from scipy.optimize import brentq

    roots = [np.arange(1, k + n) * np.pi]
    for order in range(1, n):
        above = roots[-1]
        f = lambda x, order=order: dimenet_utils.Jn(x, order)
        roots.append(
            np.array([brentq(f, a, b, xtol=1e-15) for a, b in zip(above[:-1], above[1:], strict=True)])
        )
    return np.array([r[:k] for r in roots])


def triplets(edge_index, num_nodes):
    """Its own needs an extension package."""
    j, i = edge_index
    ji, kj = torch.nonzero(i[None, :] == j[:, None], as_tuple=True)
    keep = j[kj] != i[ji]
    ji, kj = ji[keep], kj[keep]
    return i, j, i[ji], j[ji], j[kj], kj, ji


def main(molecules_file, result_file):
    data = np.load(molecules_file)
    z, batch, edges = (torch.tensor(data[k]) for k in ("z", "batch", "edges"))
    dimenet_utils.Jn_zeros = zeros
    dimenet.triplets, dimenet.radius_graph = triplets, lambda *a, **k: edges
    pos = torch.tensor(data["pos"], requires_grad=True)
    torch.manual_seed(0)
    sizes = {name: int(n) for name, n in zip(NAMES, data["sizes"], strict=True)}
    net = dimenet.DimeNetPlusPlus(out_channels=1, cutoff=float(data["cutoff"]), **sizes).double()
    rng = np.random.default_rng(0)
    for name, parameter in net.named_parameters():  # biases too are drawn
        if name != "rbf.freq":
            parameter.data = torch.tensor(rng.normal(scale=0.4, size=tuple(parameter.shape)))
    energies = net(z, pos, batch)[:, 0]
    forces = -torch.autograd.grad(energies.sum(), pos, create_graph=True)[0]
    ((energies**2).sum() + ((forces - 0.1) ** 2).sum()).backward()
    results = {"energies": energies.detach().numpy(), "forces": forces.detach().numpy()}
    for name, parameter in net.named_parameters():
        results[f"p.{name}"] = parameter.detach().numpy()
        results[f"d.{name}"] = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
    np.savez(result_file, **results)


main(*sys.argv[1:])
