"""The workloads on graphs and molecules in PyTorch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from .. import graph_data
from ..case import Case
from .torch_training import training


def gcn(form: str, dtype: str) -> Case:
    """Products with sparse matrices in compressed rows."""
    found = graph_data.citations(dtype)
    n = graph_data.NODES
    numbers = (found.indptr, found.source, found.weights)
    a = torch.sparse_csr_tensor(*map(torch.from_numpy, numbers), (n, n))
    x = torch.from_numpy(found.x)
    if form == "sparse features":
        x = x.to_sparse_csr()
    labels, labelled = torch.from_numpy(found.labels[found.labelled]), torch.from_numpy(found.labelled)
    (w1, b1), (w2, b2) = [
        tuple(torch.from_numpy(p).requires_grad_() for p in layer) for layer in found.layers
    ]

    def loss_of() -> torch.Tensor:
        h = torch.relu(a @ (x @ w1) + b1)
        return F.cross_entropy((a @ (h @ w2) + b2)[labelled], labels)

    return training(torch.optim.Adam([w1, b1, w2, b2], lr=graph_data.GCN_RATE), loss_of)


def schnet(dtype: str) -> Case:
    found = graph_data.molecules(dtype)
    source, target, z, molecule = map(torch.from_numpy, (found.source, found.target, found.z, found.molecule))
    energies, forces = torch.from_numpy(found.energies), torch.from_numpy(found.forces)
    pos = torch.from_numpy(found.pos).requires_grad_()
    w = {name: torch.from_numpy(a.copy()).requires_grad_() for name, a in found.weights.items()}
    centres = torch.linspace(0.0, graph_data.CUTOFF, graph_data.GAUSSIANS, dtype=pos.dtype)
    factor = -0.5 * ((graph_data.GAUSSIANS - 1) / graph_data.CUTOFF) ** 2
    ssp = lambda x: F.softplus(x) - math.log(2.0)
    linear = lambda x, name: torch.addmm(w[f"{name}.bias"], x, w[name])

    def energy(pos: torch.Tensor) -> torch.Tensor:
        r = (pos[source] - pos[target]).norm(dim=-1)
        g = torch.exp(factor * (r[:, None] - centres) ** 2)
        window = 0.5 * (torch.cos(r * (math.pi / graph_data.CUTOFF)) + 1)
        h = w["embedding"][z]
        for k in range(graph_data.INTERACTIONS):
            filters = linear(ssp(linear(g, f"{k}.first")), f"{k}.second") * window[:, None]
            m = torch.zeros_like(h).index_add(0, target, (h @ w[f"{k}.before"])[source] * filters)
            h = h + linear(ssp(linear(m, f"{k}.after")), f"{k}.last")
        shares = linear(ssp(linear(h, "hidden")), "last")[:, 0]
        return torch.zeros(graph_data.MOLECULES, dtype=pos.dtype).index_add(0, molecule, shares)

    def loss_of() -> torch.Tensor:
        pos.grad = None
        e = energy(pos)
        f = -torch.autograd.grad(e.sum(), pos, create_graph=True)[0]
        return ((e - energies) ** 2).mean() + ((f - forces) ** 2).mean()

    return training(torch.optim.Adam(w.values(), lr=graph_data.SCHNET_RATE), loss_of)
