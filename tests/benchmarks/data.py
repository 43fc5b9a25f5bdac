"""Data and weights of the workloads: the same numbers for every library, from fixed seeds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]

VISCOSITY = 0.01 / np.pi
LEARNING_RATE = 1e-3
INNER_RATE = 0.01  # of the steps on a task in MAML
TASKS, SHOTS = 25, 10
CHAIN_LENGTH = 33  # of (add, multiply, tanh)

PINN_SIZES = {"w1": [2] + [20] * 8 + [1], "w2": [2] + [128] * 4 + [1]}
PINN_POINTS = {"w1": 10_000, "w2": 20_000}
MAML_SIZES = [1, 40, 40, 1]
LENET_BATCH = 64


def dense_layers(sizes: list[int], dtype: str, seed: int = 0) -> Layers:
    """Weights [in, out] with Glorot's variance, and zero biases."""
    rng = np.random.default_rng(seed)
    return [
        ((rng.standard_normal((m, n)) * np.sqrt(2.0 / (m + n))).astype(dtype), np.zeros(n, dtype))
        for m, n in pairwise(sizes)
    ]


class Burgers(NamedTuple):
    """(t, x) inside the domain; (t, x) and u where u is known: 50 initial and 50 boundary points."""

    interior: np.ndarray
    known: np.ndarray
    values: np.ndarray


def burgers(n: int, dtype: str) -> Burgers:
    rng = np.random.default_rng(10)
    interior = rng.uniform([0.0, -1.0], [1.0, 1.0], (n, 2))
    start = np.stack([np.zeros(50), rng.uniform(-1.0, 1.0, 50)], axis=1)
    sides = np.stack([rng.uniform(0.0, 1.0, 50), np.tile([-1.0, 1.0], 25)], axis=1)
    values = np.concatenate([-np.sin(np.pi * start[:, 1]), np.zeros(50)])
    return Burgers(*(a.astype(dtype) for a in (interior, np.concatenate([start, sides]), values)))


class Sinusoids(NamedTuple):
    """Tasks y = a sin(x - p): support and query points, each [tasks, shots, 1]."""

    x: np.ndarray
    y: np.ndarray
    x_query: np.ndarray
    y_query: np.ndarray


def sinusoids(dtype: str) -> Sinusoids:
    rng = np.random.default_rng(20)
    amplitude, phase = rng.uniform(0.1, 5.0, (TASKS, 1, 1)), rng.uniform(0.0, np.pi, (TASKS, 1, 1))
    x, x_query = rng.uniform(-5.0, 5.0, (2, TASKS, SHOTS, 1))
    y, y_query = (amplitude * np.sin(z - phase) for z in (x, x_query))
    return Sinusoids(*(a.astype(dtype) for a in (x, y, x_query, y_query)))


class Digits(NamedTuple):
    """Images [batch, 1, 28, 28] and their classes."""

    images: np.ndarray
    classes: np.ndarray


def digits(dtype: str) -> Digits:
    rng = np.random.default_rng(30)
    return Digits(rng.random((LENET_BATCH, 1, 28, 28)).astype(dtype), rng.integers(0, 10, LENET_BATCH))


def lenet_layers(dtype: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Two convolutions [out, in, 5, 5] and two dense layers [in, out], with Caffe's "xavier" weights."""
    rng = np.random.default_rng(31)

    def layer(shape: tuple[int, ...], fan_in: int, out: int) -> tuple[np.ndarray, np.ndarray]:
        bound = np.sqrt(3.0 / fan_in)
        return rng.uniform(-bound, bound, shape).astype(dtype), np.zeros(out, dtype)

    return {
        "conv1": layer((20, 1, 5, 5), 25, 20),
        "conv2": layer((50, 20, 5, 5), 500, 50),
        "dense1": layer((800, 500), 800, 500),
        "dense2": layer((500, 10), 500, 10),
    }


class Chain(NamedTuple):
    x: np.ndarray
    shift: np.ndarray
    scale: np.ndarray


def chain(dtype: str) -> Chain:
    """x <- tanh((x + shift) * scale), on 8 numbers."""
    return Chain(np.linspace(-1.0, 1.0, 8).astype(dtype), np.full(8, 0.1, dtype), np.full(8, 1.1, dtype))


class Spiral(NamedTuple):
    """States on a spiral, the times of the solutions from there, the solutions, and the network's layers."""

    y0: np.ndarray  # [20, 2]
    times: np.ndarray  # [10]
    target: np.ndarray  # [10, 20, 2]
    layers: Layers


SPIRAL_RTOL, SPIRAL_ATOL = 1e-7, 1e-9


def runge_kutta(f: Callable[[np.ndarray], np.ndarray], y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The solution of y' = f(y) at the times, the first of which is that of y, by the classical method."""
    found = [y]
    for begin, end in pairwise(times):
        n = int((end - begin) / 2e-3) + 1
        h = (end - begin) / n
        for _ in range(n):
            k1 = f(y)
            k2 = f(y + h / 2 * k1)
            k3 = f(y + h / 2 * k2)
            k4 = f(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        found.append(y)
    return np.stack(found)


def spiral(workload: str) -> Spiral:
    """The spiral of the neural ODE demonstrations: y' = y^3 A; weights are larger over the longer time."""
    rng = np.random.default_rng(0)
    times = np.linspace(0, 25, 1000)[:10] if workload == "w3_short" else np.linspace(0, 5, 10)
    f = lambda y: y**3 @ np.array([[-0.1, 2.0], [-2.0, -0.1]])
    y0 = runge_kutta(f, np.array([2.0, 0.0]), np.concatenate([[0.0], np.sort(rng.uniform(0, 20, 20))]))[1:]
    deviation = 0.1 if workload == "w3_short" else 0.3
    layers = [(rng.normal(0, deviation, (m, n)), np.zeros(n)) for m, n in ((2, 50), (50, 2))]
    return Spiral(y0, times, runge_kutta(f, y0, times), layers)


# Robertson's problem: z = (y1, 1e4 y2, y3), theta = log(k1, k2, k3), to times from 1e-5 to 1e5.
ROBERTSON_SCALE = 1e4
ROBERTSON_RTOL, ROBERTSON_ATOL = 1e-6, 1e-8
ROBERTSON_TIMES = np.logspace(-5, 5, 40)
ROBERTSON_START = np.array([1.0, 0.0, 0.0])
ROBERTSON_RATES = np.log([0.04, 3e7, 1e4])
# The sum of squares of z at these times and its gradient, by SciPy's Radau on the sensitivity equations (rtol
# 1e-10, atol 1e-13).
ROBERTSON_LOSS = 36.06683990091605
ROBERTSON_GRADIENT = np.array([2.2121155726565833, -1.1840510461600375, -1.0733723054526796])


def robertson_rates(workload: str) -> np.ndarray:
    """theta, or [1000, 3] of them."""
    if workload == "w4":
        return ROBERTSON_RATES
    return ROBERTSON_RATES + np.random.default_rng(0).uniform(-0.3, 0.3, (1000, 3))


def robertson_error(gradient: np.ndarray) -> float:
    """Relative, in the 2-norm."""
    return float(np.linalg.norm(gradient - ROBERTSON_GRADIENT) / np.linalg.norm(ROBERTSON_GRADIENT))


# A random graph whose nodes have degrees by a power law: y[i] = sum of w[e] x[source[e]] over the edges e to i.
GRAPH_EDGES, GRAPH_DEGREE, GRAPH_WIDTH = 4_000_000, 20, 64


class Neighbours(NamedTuple):
    """Edges sorted by destination: those to node i are indptr[i] up to indptr[i + 1]; some are there twice."""

    indptr: np.ndarray  # int32 [nodes + 1]
    source: np.ndarray  # int32 [edges]
    weights: np.ndarray  # [edges]
    x: np.ndarray  # [nodes, width]
    cotangent: np.ndarray  # [nodes, width]

    def destination(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.x), dtype=np.int32), np.diff(self.indptr))


def neighbours(dtype: str, edges: int = GRAPH_EDGES) -> Neighbours:
    rng, nodes = np.random.default_rng(0), edges // GRAPH_DEGREE
    p = (np.arange(nodes) + 10.0) ** -0.7
    cdf = np.cumsum(p / p.sum())
    permutations = rng.permutation(nodes), rng.permutation(nodes)
    source, destination = (
        to[np.minimum(np.searchsorted(cdf, rng.random(edges)), nodes - 1)] for to in permutations
    )
    order = np.lexsort((source, destination))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(destination, minlength=nodes))])
    numbers = rng.random(edges), *rng.standard_normal((2, nodes, GRAPH_WIDTH))
    w, x, cotangent = (a.astype(dtype) for a in numbers)
    return Neighbours(indptr.astype(np.int32), source[order].astype(np.int32), w, x, cotangent)


def squares(*results: np.ndarray) -> float:
    """The sum of squares of a few entries of each: what is compared of results that are no loss."""
    return float(sum((np.asarray(a[:64], np.float64) ** 2).sum() for a in results))


class Demo(NamedTuple):
    """The training of ./run demo: weights, points [n, 2] of (t, x), the exact solution on a grid, and iterations."""

    layers: Layers
    points: np.ndarray
    t_exact: np.ndarray
    x_exact: np.ndarray
    u_exact: np.ndarray
    adam: int
    lbfgs: int

    def grid(self) -> np.ndarray:
        """The places of the exact solution, [n, 2] of (t, x)."""
        x, t = np.meshgrid(self.x_exact, self.t_exact, indexing="ij")
        return np.stack([t.ravel(), x.ravel()], axis=1)

    def error(self, u: np.ndarray) -> float:
        """Relative, in the L2 norm."""
        u = u.reshape(self.u_exact.shape)
        return float(np.linalg.norm(u - self.u_exact) / np.linalg.norm(self.u_exact))


DEMO_RATE, DEMO_HISTORY, DEMO_LINE_SEARCH = 5e-3, 100, 25


def read_demo(path: str) -> Demo:
    file = np.load(path)
    layers = [(file[f"w{k}"], file[f"b{k}"]) for k in range(sum(name.startswith("w") for name in file.files))]
    points = np.stack([file["t"], file["x"]], axis=1)
    exact = (file[f"{name}_exact"] for name in "txu")
    return Demo(layers, points, *exact, int(file["adam"]), int(file["lbfgs"]))


def twenty(dtype: str) -> list[np.ndarray]:
    """Twenty arguments of 8 numbers."""
    rng = np.random.default_rng(40)
    return list(rng.standard_normal((20, 8)).astype(dtype))
