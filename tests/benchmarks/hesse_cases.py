"""The workloads in Hesse."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import hesse as hs
from hesse import physics
from hesse.demo import burgers as demo

from . import data, graph_data
from .case import Case
from .hesse_graph_cases import gcn, schnet
from .hesse_training import training, training_of

VERSIONS = {"hesse": hs.__version__}


def build(workload: str, form: str, dtype: str, threads: int, points: int | None = None) -> Case:
    """A workload in one of its forms; `points` overrides the number of points of a PINN."""
    hs.set_num_threads(threads)
    if workload in data.PINN_SIZES:
        return pinn(workload, form, dtype, points or data.PINN_POINTS[workload])
    if workload.startswith("w8_"):
        return maml(int(workload[3:]), form, dtype)
    if workload.startswith("w3_"):
        return spiral(workload, form)
    if workload.startswith("w4"):
        return robertson(workload, form)
    if workload.startswith("w5"):
        return gcn(form, dtype)
    if workload.startswith("w6_"):
        return neighbours(workload, dtype, points or data.GRAPH_EDGES)
    if workload.startswith("w7"):
        return schnet(form, dtype, points or graph_data.MOLECULES, pairs=workload == "w7_pairs")
    if workload in ("w12", "w12_eager"):
        return chain(dtype, compiled=workload == "w12")
    return {"w9": lenet, "call20": call20, "eager_op": eager_op}[workload](dtype)


def arrays(tree: Any) -> Any:
    """NumPy arrays as Hesse's, in the same lists and tuples."""
    if isinstance(tree, (list, tuple)):
        return [arrays(x) for x in tree] if isinstance(tree, list) else tuple(arrays(x) for x in tree)
    return hs.asarray(tree)


def dense(layers: Any, z: Any, activation: Callable[[Any], Any]) -> Any:
    for w, b in layers[:-1]:
        z = activation(z @ w + b)
    w, b = layers[-1]
    return z @ w + b


# ---- physics-informed networks -------------------------------------------------------------------------------------
def residual_at_a_point(params: Any, z: Any) -> Any:
    u = lambda t, x: dense(params, hs.stack([t, x]), hs.tanh)[0]
    u0, u_t, u_x, u_xx = hs.partials(u, (z[0], z[1]), ["", "t", "x", "xx"])
    return u_t + u0 * u_x - data.VISCOSITY * u_xx


def residual_of_all_points(params: Any, z: Any) -> Any:
    """The same in batched form: the network takes all points at once, and each has its own direction."""
    t, x = z[:, 0], z[:, 1]
    ones = hs.ones_like(x)
    u = lambda t, x: dense(params, hs.stack([t, x], axis=1), hs.tanh)[:, 0]
    u_and_u_x = lambda x: hs.jvp(lambda x: u(t, x), (x,), (ones,))
    (u0, u_x), (_, u_xx) = hs.jvp(u_and_u_x, (x,), (ones,))
    _, u_t = hs.jvp(lambda t: u(t, x), (t,), (ones,))
    return u_t + u0 * u_x - data.VISCOSITY * u_xx


def pinn(workload: str, form: str, dtype: str, n: int) -> Case:
    params = arrays(data.dense_layers(data.PINN_SIZES[workload], dtype))
    inputs = tuple(arrays(list(data.burgers(n, dtype))))
    opt = hs.optim.adam(data.LEARNING_RATE)
    residual = hs.vmap(residual_at_a_point, (None, 0)) if form == "vmap" else residual_of_all_points

    def loss_of(params: Any, interior: Any, known: Any, values: Any) -> Any:
        misfit = dense(params, known, hs.tanh)[:, 0] - values
        return hs.mean(residual(params, interior) ** 2) + hs.mean(misfit**2)

    return training_of(loss_of, opt, params, inputs)


# ---- sums over the neighbours of nodes -----------------------------------------------------------------------------
def neighbours(workload: str, dtype: str, edges: int) -> Case:
    graph = data.neighbours(dtype, edges)
    nodes = len(graph.x)
    a = hs.sparse.csr(graph.weights, graph.source, graph.indptr, (nodes, nodes), duplicates="keep")
    x, cotangent = hs.asarray(graph.x), hs.asarray(graph.cotangent)

    @hs.compile
    def forward(a: Any, x: Any) -> Any:
        return (a @ x,)

    @hs.compile
    def both(a: Any, x: Any, cotangent: Any) -> Any:
        y, vjp = hs.vjp(lambda w, x: a.replace(data=w) @ x, a.data, x)
        return (y, *vjp(cotangent))

    def step() -> float:
        return data.squares(*(forward(a, x) if workload == "w6_forward" else both(a, x, cotangent)))

    return Case(step)


# ---- MAML ----------------------------------------------------------------------------------------------------------
def mean_square(params: Any, x: Any, y: Any) -> Any:
    return hs.mean((dense(params, x, hs.nn.relu) - y) ** 2)


def maml(inner: int, form: str, dtype: str) -> Case:
    params = arrays(data.dense_layers(data.MAML_SIZES, dtype))
    tasks = tuple(arrays(list(data.sinusoids(dtype))))
    opt = hs.optim.adam(data.LEARNING_RATE)

    def adapted(params: Any, x: Any, y: Any, x_query: Any, y_query: Any) -> Any:
        for _ in range(inner):
            grads = hs.grad(mean_square)(params, x, y)
            params = hs.tree_map(lambda p, g: p - data.INNER_RATE * g, params, grads)
        return mean_square(params, x_query, y_query)

    def loss_of(params: Any, *tasks: Any) -> Any:
        return hs.mean(hs.vmap(adapted, (None, 0, 0, 0, 0))(params, *tasks))

    def make_update() -> Any:
        gradient = hs.value_and_grad(loss_of)
        if form == "Adam outside":
            gradient = hs.compile(gradient)

        def update(params: Any, state: Any, *tasks: Any) -> Any:
            loss, grads = gradient(params, *tasks)
            params, state = opt.update(grads, state, params)
            return params, state, loss

        return update if form == "Adam outside" else hs.compile(update)

    return training(make_update, params, opt.init(params), tasks)


# ---- LeNet ---------------------------------------------------------------------------------------------------------
def lenet(dtype: str) -> Case:
    params = {name: arrays(layer) for name, layer in data.lenet_layers(dtype).items()}
    images, classes = data.digits(dtype)
    inputs = (hs.asarray(images), hs.asarray(classes))
    opt = hs.optim.sgd(0.01, momentum=0.9)

    def loss_of(params: Any, images: Any, classes: Any) -> Any:
        h = images
        for name in ("conv1", "conv2"):
            w, b = params[name]
            h = hs.max_pool(hs.conv(h, w) + hs.reshape(b, (-1, 1, 1)), 2)
        h = hs.reshape(h, (data.LENET_BATCH, -1))
        scores = dense([params["dense1"], params["dense2"]], h, hs.nn.relu)
        chosen = hs.take_along_axis(hs.log_softmax(scores, axis=1), hs.expand_dims(classes, axis=1), axis=1)
        return -hs.mean(chosen)

    return training_of(loss_of, opt, params, inputs)


# ---- differential equations ----------------------------------------------------------------------------------------
def spiral(workload: str, method: str) -> Case:
    """A step of Adam at the rate 0: every step does the same work."""
    problem = data.spiral(workload)
    y0, times, target = arrays([problem.y0, problem.times, problem.target])
    params = arrays(problem.layers)
    opt = hs.optim.adam(0.0)

    def loss_of(params: Any, y0: Any, times: Any, target: Any) -> Any:
        field = lambda t, y: dense(params, y**3, hs.tanh)
        found = hs.solvers.solve_ivp(
            field, (times[0], times[-1]), y0, method, times, rtol=data.SPIRAL_RTOL, atol=data.SPIRAL_ATOL
        )
        return hs.mean(hs.abs(found.y - target))

    return training_of(loss_of, opt, params, (y0, times, target))


def robertson(workload: str, form: str) -> Case:
    method, *mode = form.split(", ")
    times, start, rates = arrays([data.ROBERTSON_TIMES, data.ROBERTSON_START, data.robertson_rates(workload)])

    def field(t: Any, z: Any, k: Any) -> Any:
        y1, y2, y3 = z[0], z[1] / data.ROBERTSON_SCALE, z[2]
        a, b, c = k[0] * y1, k[1] * y2 * y2, k[2] * y2 * y3
        return hs.stack([c - a, data.ROBERTSON_SCALE * (a - c - b), b])

    def loss_of(theta: Any) -> Any:
        found = hs.solvers.solve_ivp(
            field, (0.0, 1e5), start, method, times, args=(hs.exp(theta),),
            rtol=data.ROBERTSON_RTOL, atol=data.ROBERTSON_ATOL,
        )  # fmt: skip
        return hs.sum(found.y**2)

    both = (lambda theta: (loss_of(theta), hs.jacfwd(loss_of)(theta))) if mode else hs.value_and_grad(loss_of)
    call = hs.compile(both if workload == "w4" else hs.vmap(both))
    gradient: Any = None

    def step() -> float:
        nonlocal gradient
        losses, gradient = call(rates)
        return float(hs.sum(losses))

    error = (lambda: data.robertson_error(np.asarray(gradient))) if workload == "w4" else None
    return Case(step, error=error)


# ---- overheads -----------------------------------------------------------------------------------------------------
def chain(dtype: str, compiled: bool) -> Case:
    x, shift, scale = arrays(list(data.chain(dtype)))

    def f(x: Any, shift: Any, scale: Any) -> Any:
        for _ in range(data.CHAIN_LENGTH):
            x = hs.tanh((x + shift) * scale)
        return hs.sum(x)

    both = hs.value_and_grad(f)
    call = hs.compile(both) if compiled else both

    def step() -> float:
        value, _ = call(x, shift, scale)
        return float(value)

    return Case(step)


def call20(dtype: str) -> Case:
    args = arrays(data.twenty(dtype))

    @hs.compile
    def total(*args: Any) -> Any:
        result = args[0]
        for a in args[1:]:
            result = result + a
        return result

    def repeat(n: int) -> None:
        for _ in range(n):
            total(*args)

    return Case(lambda: float(hs.sum(total(*args))), repeat=repeat)


def eager_op(dtype: str) -> Case:
    a, b = arrays(data.twenty(dtype)[:2])

    def repeat(n: int) -> None:
        for _ in range(n):
            a + b

    return Case(lambda: float(hs.sum(a + b)), repeat=repeat)


# ---- maps of few or large examples ---------------------------------------------------------------------------------
def small_maps(dtype: str, quick: bool) -> list[dict[str, Any]]:
    """Medians of a compiled map and of a compiled loop, taken in turns, on one thread."""
    hs.set_num_threads(1)
    rng = np.random.default_rng(0)
    params = arrays(data.dense_layers([2, 20, 20, 20, 20, 1], dtype))

    def numbers(*shape: int) -> Any:
        return hs.asarray(rng.normal(size=shape).astype(dtype))

    def network_gradient(x: Any) -> Any:
        return hs.grad(lambda p: hs.sum(dense(p, x, hs.tanh)))(params)

    def chain_of_entries(a: Any) -> Any:
        return hs.sum(hs.tanh(2.0 * a + 1.0) * a)

    def product(a: Any) -> Any:
        return hs.sum(hs.tanh(a @ a))

    def solution(a: Any) -> Any:
        return hs.linalg.solve(a + 100.0 * hs.eye(a.shape[0], dtype=dtype), a[0])

    few, side = ((2,), 100) if quick else ((1, 2, 3, 5, 7), 1000)
    cases = [("gradient of a network 2-20x4-1", network_gradient, n, (2,)) for n in few]
    for n in few[:3]:
        cases += [(f"entries of a {k} x {k} matrix", chain_of_entries, n, (k, k)) for k in (30, side)]
        cases += [(f"square of a {k} x {k} matrix", product, n, (k, k)) for k in (30, side)]
        cases.append(("solution of 100 equations", solution, n, (100, 100)))
    return [in_turns(*case, numbers, quick) for case in cases]


def in_turns(
    title: str,
    f: Callable[[Any], Any],
    n: int,
    shape: tuple[int, ...],
    numbers: Callable[..., Any],
    quick: bool,
) -> dict[str, Any]:
    """The times of one map and of its loop."""
    x = numbers(n, *shape)
    forms = {
        "map": hs.compile(hs.vmap(f)),
        "loop": hs.compile(lambda x: hs.tree_map(lambda *rows: hs.stack(rows), *[f(x[i]) for i in range(n)])),
    }
    times: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(3 if quick else 9):
        for name, call in forms.items():
            begin, count = time.perf_counter(), 0
            while count < 2 or time.perf_counter() - begin < 0.02:
                call(x)
                count += 1
            if turn:  # the first one warms
                times[name].append((time.perf_counter() - begin) / count)
    return {"title": title, "examples": n, **{k: float(np.median(v)) for k, v in times.items()}}


# ---- the training of ./run demo ------------------------------------------------------------------------------------
def demo_problem(quick: bool) -> tuple[demo.Budget, physics.PINN, Any, Any]:
    """The budget, the problem, the network and the key of the points, as the demo has them with seed 0."""
    budget = demo.QUICK if quick else demo.FULL
    weights_key, points_key = hs.unstack(hs.random.split(hs.random.key(0)))
    net = hs.nn.MLP([2, *budget.hidden, 1], hs.tanh, key=weights_key)
    return budget, demo.make_problem(budget.points), net, points_key


def write_demo(path: str, quick: bool) -> None:
    """The weights, the points and the exact solution for the peers."""
    budget, problem, net, key = demo_problem(quick)
    ((t, x),) = problem.sample(hs.random.fold_in(key, 0))
    exact = demo.exact_reference()
    contents = {"t": t, "x": x, "t_exact": exact.t, "x_exact": exact.x, "u_exact": exact.u}
    for k, layer in enumerate(net.layers):
        contents |= {f"w{k}": layer.weight.T, f"b{k}": layer.bias}
    numbers = {"quick": quick, "adam": budget.adam, "lbfgs": budget.lbfgs}
    np.savez(path, **{name: np.asarray(a) for name, a in contents.items()}, **numbers)


def train_demo(path: str, threads: int) -> dict[str, Any]:
    hs.set_num_threads(threads)
    budget, problem, net, key = demo_problem(bool(np.load(path)["quick"]))
    stages = [physics.Adam(budget.adam), physics.Lbfgs(budget.lbfgs)]
    begin = time.perf_counter()
    trained = physics.train(problem, net, stages, key=key, progress=False, every=10**9)
    seconds = time.perf_counter() - begin
    exact = demo.exact_reference()
    error = physics.relative_l2(demo.predict(problem, trained.model, exact), exact.u)
    return {
        "seconds": seconds,
        "loss": trained.loss,
        "error": float(error),
        "iterations": trained.iteration,
        "notes": trained.notes,
    }
