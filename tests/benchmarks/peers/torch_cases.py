"""The workloads in PyTorch: eager with `autograd.grad`, and with `torch.func`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.func import grad, jvp, vmap

from .. import data
from ..case import Case
from .torch_graph_cases import gcn, schnet
from .torch_training import training

VERSIONS = {"torch": torch.__version__}


def build(workload: str, form: str, dtype: str, threads: int, points: int | None = None) -> Case:
    torch.set_num_threads(threads)
    torch.set_default_dtype(getattr(torch, dtype))
    if workload in data.PINN_SIZES:
        return pinn(workload, form, dtype, points or data.PINN_POINTS[workload])
    if workload.startswith("w8_"):
        return maml(int(workload[3:]), form, dtype)
    if workload.startswith("w5"):
        return gcn(form, dtype)
    if workload.startswith("w7"):
        return schnet(dtype)
    if workload.startswith("w6_"):
        return neighbours(workload, dtype)
    if workload in ("w12", "w12_eager"):
        return chain(dtype, compiled=workload == "w12")
    return {"w9": lenet, "call20": call20, "eager_op": eager_op}[workload](dtype)


def parameters(layers: data.Layers) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [tuple(torch.from_numpy(a.copy()).requires_grad_() for a in layer) for layer in layers]


def dense(layers: Any, z: torch.Tensor, activation: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    for w, b in layers[:-1]:
        z = activation(torch.addmm(b, z, w) if z.ndim == 2 else z @ w + b)
    w, b = layers[-1]
    return torch.addmm(b, z, w) if z.ndim == 2 else z @ w + b


def neighbours(workload: str, dtype: str) -> Case:
    """Products with matrices in compressed rows; their own gradient is dense, so that users write it by hand: the
    product with the transpose, and dot products of edges in chunks that fit into the cache."""
    graph = data.neighbours(dtype)
    nodes, edges = len(graph.x), len(graph.source)
    numbers = (graph.indptr, graph.source, graph.weights, graph.x, graph.cotangent)
    indptr, source, w, x, cotangent = map(torch.from_numpy, numbers)
    csr = lambda indptr, indices, w: torch.sparse_csr_tensor(indptr, indices, w, (nodes, nodes))
    if workload == "w6_forward":
        a = csr(indptr, source, w)

        def step() -> float:
            with torch.no_grad():
                return data.squares((a @ x).numpy())

        return Case(step)

    target = graph.destination()
    order = np.lexsort((target, graph.source))
    starts = np.concatenate([[0], np.cumsum(np.bincount(graph.source, minlength=nodes))]).astype(np.int32)
    by_source, sources, destination = map(torch.from_numpy, (order, starts, target))
    targets = torch.from_numpy(target[order])

    class NeighbourSum(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(w, x)
            return csr(indptr, source, w) @ x

        @staticmethod
        def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            w, x = ctx.saved_tensors
            of_weights = torch.empty_like(w)
            for k in range(0, edges, 8192):
                chunk = slice(k, k + 8192)
                of_weights[chunk] = (x[source[chunk]] * g[destination[chunk]]).sum(1)
            return of_weights, csr(sources, targets, w[by_source]) @ g

    w.requires_grad_()
    x.requires_grad_()

    def step_both() -> float:
        y = NeighbourSum.apply(w, x)
        of_weights, of_x = torch.autograd.grad(y, (w, x), cotangent)
        return data.squares(y.detach().numpy(), of_weights.numpy(), of_x.numpy())

    return Case(step_both)


def derivative(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """dy_i/dx_i, to be differentiated again."""
    return torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)[0]


def pinn(workload: str, form: str, dtype: str, n: int) -> Case:
    layers = parameters(data.dense_layers(data.PINN_SIZES[workload], dtype))
    interior, known, values = map(torch.from_numpy, data.burgers(n, dtype))
    t, x = (interior[:, k : k + 1].clone() for k in (0, 1))
    ones = torch.ones_like(x)
    u = lambda t, x: dense(layers, torch.cat([t, x], dim=1), torch.tanh)

    def by_reverse_mode() -> torch.Tensor:
        u0 = u(t, x)
        u_x = derivative(u0, x)
        return derivative(u0, t) + u0 * u_x - data.VISCOSITY * derivative(u_x, x)

    def by_forward_mode() -> torch.Tensor:
        u_and_u_x = lambda x: jvp(lambda x: u(t, x), (x,), (ones,))
        (u0, u_x), (_, u_xx) = jvp(u_and_u_x, (x,), (ones,))
        _, u_t = jvp(lambda t: u(t, x), (t,), (ones,))
        return u_t + u0 * u_x - data.VISCOSITY * u_xx

    if form == "eager":
        t.requires_grad_()
        x.requires_grad_()
    residual = by_reverse_mode if form == "eager" else by_forward_mode

    def loss_of() -> torch.Tensor:
        misfit = dense(layers, known, torch.tanh)[:, 0] - values
        return residual().square().mean() + misfit.square().mean()

    return training(torch.optim.Adam([p for layer in layers for p in layer], lr=data.LEARNING_RATE), loss_of)


def maml(inner: int, form: str, dtype: str) -> Case:
    layers = parameters(data.dense_layers(data.MAML_SIZES, dtype))
    params = tuple(p for layer in layers for p in layer)
    tasks = tuple(map(torch.from_numpy, data.sinusoids(dtype)))

    def mean_square(params: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (dense(list(zip(params[::2], params[1::2], strict=True)), x, torch.relu) - y).square().mean()

    def gradient(params: Any, x: torch.Tensor, y: torch.Tensor) -> Any:
        if form == "func":
            return grad(mean_square)(params, x, y)
        return torch.autograd.grad(mean_square(params, x, y), params, create_graph=True)

    def adapted(params: Any, x: Any, y: Any, x_query: Any, y_query: Any) -> torch.Tensor:
        for _ in range(inner):
            params = tuple(
                p - data.INNER_RATE * g for p, g in zip(params, gradient(params, x, y), strict=True)
            )
        return mean_square(params, x_query, y_query)

    def loss_of() -> torch.Tensor:
        if form == "func":
            return vmap(adapted, (None, 0, 0, 0, 0))(params, *tasks).mean()
        return torch.stack([adapted(params, *(z[k] for z in tasks)) for k in range(data.TASKS)]).mean()

    return training(torch.optim.Adam(params, lr=data.LEARNING_RATE), loss_of)


def lenet(dtype: str) -> Case:
    layers = data.lenet_layers(dtype)
    params = dict(zip(layers, parameters(list(layers.values())), strict=True))
    images, classes = map(torch.from_numpy, data.digits(dtype))

    def loss_of() -> torch.Tensor:
        h = images
        for name in ("conv1", "conv2"):
            h = torch.nn.functional.max_pool2d(torch.nn.functional.conv2d(h, *params[name]), 2)
        scores = dense([params["dense1"], params["dense2"]], h.flatten(1), torch.relu)
        return torch.nn.functional.cross_entropy(scores, classes)

    moved = [p for layer in params.values() for p in layer]
    return training(torch.optim.SGD(moved, lr=0.01, momentum=0.9), loss_of)


def chain(dtype: str, compiled: bool) -> Case:
    x, shift, scale = map(torch.from_numpy, data.chain(dtype))

    def f(x: torch.Tensor) -> torch.Tensor:
        for _ in range(data.CHAIN_LENGTH):
            x = torch.tanh((x + shift) * scale)
        return x.sum()

    call = torch.compile(f) if compiled else f

    def step() -> float:
        z = x.clone().requires_grad_()
        value = call(z)
        value.backward()
        return value.item()

    return Case(step)


def call20(dtype: str) -> Case:
    args = [torch.from_numpy(a) for a in data.twenty(dtype)]

    @torch.compile
    def total(*args: torch.Tensor) -> torch.Tensor:
        result = args[0]
        for a in args[1:]:
            result = result + a
        return result

    def repeat(n: int) -> None:
        for _ in range(n):
            total(*args)

    return Case(lambda: total(*args).sum().item(), repeat=repeat)


def eager_op(dtype: str) -> Case:
    a, b = (torch.from_numpy(z) for z in data.twenty(dtype)[:2])

    def repeat(n: int) -> None:
        for _ in range(n):
            a + b

    return Case(lambda: (a + b).sum().item(), repeat=repeat)


# ---- the training of ./run demo ------------------------------------------------------------------------------------
def train_demo(path: str, threads: int) -> dict[str, Any]:
    """Adam with a rate that falls along half a cosine, then L-BFGS, as `hesse.demo.burgers` does it."""
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float64)
    demo = data.read_demo(path)
    layers = parameters(demo.layers)
    params = [p for layer in layers for p in layer]
    t, x = (torch.from_numpy(demo.points[:, k : k + 1].copy()).requires_grad_() for k in (0, 1))

    def solution(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        u = dense(layers, torch.cat([2.0 * t - 1.0, x], dim=1), torch.tanh)
        return -(1.0 - t) * torch.sin(math.pi * x) + t * (1.0 - x**2) * u

    def loss_of() -> torch.Tensor:
        u0 = solution(t, x)
        u_x = derivative(u0, x)
        equation = derivative(u0, t) + u0 * u_x - data.VISCOSITY * derivative(u_x, x)
        return (equation.square() / (1.0 + 0.01 * u_x**2)).mean()

    begin = time.perf_counter()
    adam = torch.optim.Adam(params, lr=data.DEMO_RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, demo.adam)
    for _ in range(demo.adam):
        adam.zero_grad()
        loss_of().backward()
        adam.step()
        decay.step()
    lbfgs = torch.optim.LBFGS(
        params,
        max_iter=demo.lbfgs,
        max_eval=data.DEMO_LINE_SEARCH * demo.lbfgs,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        history_size=data.DEMO_HISTORY,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        lbfgs.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    lbfgs.step(closure)
    seconds = time.perf_counter() - begin
    with torch.no_grad():
        u = solution(*(torch.from_numpy(demo.grid()[:, k : k + 1].copy()) for k in (0, 1)))
    return {
        "seconds": seconds,
        "loss": loss_of().item(),
        "error": demo.error(u.numpy()),
        "iterations": demo.adam + lbfgs.state[params[0]]["n_iter"],
    }
