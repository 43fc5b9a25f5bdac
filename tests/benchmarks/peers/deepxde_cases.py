"""The physics-informed networks in DeepXDE with its PyTorch backend (DDE_BACKEND is set by `driver`)."""

from __future__ import annotations

import time
from typing import Any

import deepxde as dde
import numpy as np
import torch

from .. import data
from ..case import Case

VERSIONS = {"deepxde": dde.__version__, "torch": torch.__version__}


def build(workload: str, form: str, dtype: str, threads: int, points: int | None = None) -> Case:
    torch.set_num_threads(threads)
    dde.config.set_default_float(dtype)
    return Trained(pinn(workload, dtype, points or data.PINN_POINTS[workload]))


def equation(z: Any, u: Any) -> Any:
    u_t = dde.grad.jacobian(u, z, i=0, j=0)
    u_x = dde.grad.jacobian(u, z, i=0, j=1)
    return u_t + u * u_x - data.VISCOSITY * dde.grad.hessian(u, z, i=1, j=1)


def network(layers: data.Layers) -> Any:
    """A dense network of DeepXDE's with these weights."""
    sizes = [layers[0][0].shape[0], *(w.shape[1] for w, _ in layers)]
    net = dde.nn.FNN(sizes, "tanh", "Glorot normal")
    with torch.no_grad():
        for linear, (w, b) in zip(net.linears, layers, strict=True):
            linear.weight.copy_(torch.from_numpy(w.T.copy()))
            linear.bias.copy_(torch.from_numpy(b))
    return net


def pinn(workload: str, dtype: str, n: int) -> Any:
    interior, known, values = data.burgers(n, dtype)
    conditions = [dde.icbc.PointSetBC(known, values[:, None])]
    problem = dde.data.PDE(
        dde.geometry.Rectangle([0, -1], [1, 1]), equation, conditions, num_domain=0, anchors=interior
    )
    model = dde.Model(problem, network(data.dense_layers(data.PINN_SIZES[workload], dtype)))
    model.compile("adam", lr=data.LEARNING_RATE)
    return model


class Clock(dde.callbacks.Callback):
    """Seconds of every iteration of the training loop."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_batch_begin(self) -> None:
        self._begin = time.perf_counter()

    def on_batch_end(self) -> None:
        self.times.append(time.perf_counter() - self._begin)


class Trained(Case):
    """Steps within `Model.train`, timed by a callback: its losses before and after each call are not counted."""

    def __init__(self, model: Any) -> None:
        super().__init__(self._step)
        self._model = model

    def _train(self, iterations: int) -> list[float]:
        clock = Clock()
        # The last iteration of a call evaluates all losses again within what the callback times: it is one too many.
        self._model.train(iterations=iterations + 1, display_every=10**9, callbacks=[clock], verbose=0)
        return clock.times[:-1]

    def _step(self) -> float:
        self._model.train(iterations=1, display_every=10**9, verbose=0)
        history = self._model.losshistory.loss_train
        return float(np.sum(history[-2]))

    def samples(self, seconds: float, least: int, batch: int) -> list[float]:
        times = self._train(least)
        rest = seconds - sum(times)
        mean = sum(times) / len(times)
        return times + (self._train(int(rest / mean)) if rest > mean else [])


# ---- the training of ./run demo ------------------------------------------------------------------------------------
def train_demo(path: str, threads: int) -> dict[str, Any]:
    """Adam with a rate that falls along half a cosine, then L-BFGS, as `hesse.demo.burgers` does it."""
    torch.set_num_threads(threads)
    dde.config.set_default_float("float64")
    demo = data.read_demo(path)

    def residual(z: Any, u: Any) -> Any:
        return equation(z, u) / torch.sqrt(1.0 + 0.01 * dde.grad.jacobian(u, z, i=0, j=1) ** 2)

    def solution(z: Any, u: Any) -> Any:
        t, x = z[:, :1], z[:, 1:]
        return -(1.0 - t) * torch.sin(np.pi * x) + t * (1.0 - x**2) * u

    net = network(demo.layers)
    net.apply_feature_transform(lambda z: torch.cat([2.0 * z[:, :1] - 1.0, z[:, 1:]], dim=1))
    net.apply_output_transform(solution)
    box = dde.geometry.Rectangle([0, -1], [1, 1])
    model = dde.Model(dde.data.PDE(box, residual, [], num_domain=0, anchors=demo.points), net)
    begin = time.perf_counter()
    model.compile("adam", lr=data.DEMO_RATE, decay=("cosine", demo.adam, 0.0))
    model.train(iterations=demo.adam, display_every=10**9, verbose=0)
    evaluations = data.DEMO_LINE_SEARCH * demo.lbfgs
    dde.optimizers.set_LBFGS_options(
        maxcor=data.DEMO_HISTORY, ftol=0.0, gtol=0.0, maxiter=demo.lbfgs, maxfun=evaluations
    )
    # The backend's own limits stay those of the import: calls of 1,000 iterations.
    dde.optimizers.LBFGS_options.update(iter_per_step=demo.lbfgs, fun_per_step=evaluations)
    model.compile("L-BFGS")
    model.train(display_every=10**9, verbose=0)
    return {
        "seconds": time.perf_counter() - begin,
        "loss": float(np.sum(model.losshistory.loss_train[-1])),
        "error": demo.error(model.predict(demo.grid())),
        "iterations": model.train_state.iteration,
    }
