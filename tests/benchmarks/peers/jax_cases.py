"""The workloads in JAX with optax. Threads are limited by the environment (see `driver`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import jet

from .. import data
from ..case import Case
from .jax_graph_cases import gcn, schnet
from .jax_training import training

VERSIONS = {"jax": jax.__version__, "optax": optax.__version__}


def build(workload: str, form: str, dtype: str, threads: int, points: int | None = None) -> Case:
    jax.config.update("jax_enable_x64", dtype == "float64")
    if workload in data.PINN_SIZES:
        return pinn(workload, form, dtype, points or data.PINN_POINTS[workload])
    if workload.startswith("w8_"):
        return maml(int(workload[3:]), dtype)
    if workload.startswith("w3_"):
        return spiral(workload)
    if workload.startswith("w4"):
        return robertson(workload)
    if workload.startswith("w5"):
        return gcn(form, dtype)
    if workload.startswith("w7"):
        return schnet(dtype)
    if workload.startswith("w6_"):
        return neighbours(workload, dtype)
    if workload in ("w12", "w12_eager"):
        return chain(dtype, compiled=workload == "w12")
    return {"w9": lenet, "call20": call20, "eager_op": eager_op}[workload](dtype)


def dense(layers: Any, z: Any, activation: Callable[[Any], Any]) -> Any:
    for w, b in layers[:-1]:
        z = activation(z @ w + b)
    w, b = layers[-1]
    return z @ w + b


def pinn(workload: str, form: str, dtype: str, n: int) -> Case:
    def residual(params: Any, z: Any) -> Any:
        t, x = z
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        u = lambda t, x: dense(params, jnp.stack([t, x]), jnp.tanh)[0]
        _, u_t = jax.jvp(lambda t: u(t, x), (t,), (one,))
        if form == "jet":  # Taylor mode
            u0, (u_x, u_xx) = jet.jet(lambda x: u(t, x), (x,), ((one, zero),))
        else:
            u_and_u_x = lambda x: jax.jvp(lambda x: u(t, x), (x,), (one,))
            (u0, u_x), (_, u_xx) = jax.jvp(u_and_u_x, (x,), (one,))
        return u_t + u0 * u_x - data.VISCOSITY * u_xx

    def loss_of(params: Any, interior: Any, known: Any, values: Any) -> Any:
        misfit = dense(params, known, jnp.tanh)[:, 0] - values
        return jnp.mean(jax.vmap(residual, (None, 0))(params, interior) ** 2) + jnp.mean(misfit**2)

    params = data.dense_layers(data.PINN_SIZES[workload], dtype)
    return training(loss_of, optax.adam(data.LEARNING_RATE), params, tuple(data.burgers(n, dtype)))


def neighbours(workload: str, dtype: str) -> Case:
    graph = data.neighbours(dtype)
    source, destination, w, x, cotangent = map(
        jnp.asarray, (graph.source, graph.destination(), graph.weights, graph.x, graph.cotangent)
    )

    def forward(w: Any, x: Any, source: Any, destination: Any) -> Any:
        return jax.ops.segment_sum(
            x[source] * w[:, None], destination, num_segments=len(x), indices_are_sorted=True
        )

    @jax.jit
    def both(w: Any, x: Any, source: Any, destination: Any, cotangent: Any) -> Any:
        y, vjp = jax.vjp(lambda w, x: forward(w, x, source, destination), w, x)
        return (y, *vjp(cotangent))

    call = jax.jit(lambda *args: (forward(*args),)) if workload == "w6_forward" else both
    args = (w, x, source, destination) + (() if workload == "w6_forward" else (cotangent,))
    return Case(lambda: data.squares(*map(np.asarray, jax.block_until_ready(call(*args)))))


def maml(inner: int, dtype: str) -> Case:
    def mean_square(params: Any, x: Any, y: Any) -> Any:
        return jnp.mean((dense(params, x, jax.nn.relu) - y) ** 2)

    def adapted(params: Any, x: Any, y: Any, x_query: Any, y_query: Any) -> Any:
        for _ in range(inner):
            grads = jax.grad(mean_square)(params, x, y)
            params = jax.tree.map(lambda p, g: p - data.INNER_RATE * g, params, grads)
        return mean_square(params, x_query, y_query)

    def loss_of(params: Any, *tasks: Any) -> Any:
        return jnp.mean(jax.vmap(adapted, (None, 0, 0, 0, 0))(params, *tasks))

    params = data.dense_layers(data.MAML_SIZES, dtype)
    return training(loss_of, optax.adam(data.LEARNING_RATE), params, tuple(data.sinusoids(dtype)))


def lenet(dtype: str) -> Case:
    """In the layout that XLA prefers on processors: images [batch, height, width, channels]."""
    layers = data.lenet_layers(dtype)
    params = {name: (w.transpose(2, 3, 1, 0), b) for name, (w, b) in layers.items() if w.ndim == 4}
    w, b = layers["dense1"]
    params["dense1"] = (w.reshape(50, 4, 4, 500).transpose(1, 2, 0, 3).reshape(800, 500), b)
    params["dense2"] = layers["dense2"]
    images, classes = data.digits(dtype)

    def loss_of(params: Any, images: Any, classes: Any) -> Any:
        h = images
        for name in ("conv1", "conv2"):
            w, b = params[name]
            h = jax.lax.conv_general_dilated(
                h, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            h = jax.lax.reduce_window(h + b, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        scores = dense([params["dense1"], params["dense2"]], h.reshape(data.LENET_BATCH, -1), jax.nn.relu)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, classes))

    inputs = (images.transpose(0, 2, 3, 1), classes)
    return training(loss_of, optax.sgd(0.01, momentum=0.9), params, inputs)


def spiral(workload: str) -> Case:
    import diffrax

    problem = data.spiral(workload)
    control = diffrax.PIDController(rtol=data.SPIRAL_RTOL, atol=data.SPIRAL_ATOL)

    def solution(params: Any, y0: Any, times: Any) -> Any:
        field = diffrax.ODETerm(lambda t, y, params: dense(params, y**3, jnp.tanh))
        return diffrax.diffeqsolve(
            field, diffrax.Dopri5(), times[0], times[-1], None, y0, params,
            saveat=diffrax.SaveAt(ts=times), stepsize_controller=control, max_steps=4096,
        ).ys  # fmt: skip

    def loss_of(params: Any, y0: Any, times: Any, target: Any) -> Any:
        return jnp.mean(jnp.abs(solution(params, y0, times) - target))

    return training(loss_of, optax.adam(0.0), problem.layers, (problem.y0, problem.times, problem.target))


def robertson(workload: str) -> Case:
    import diffrax
    import optimistix

    times, start, rates = map(
        jnp.asarray, (data.ROBERTSON_TIMES, data.ROBERTSON_START, data.robertson_rates(workload))
    )
    solver = diffrax.Kvaerno5(root_finder=diffrax.with_stepsize_controller_tols(optimistix.Newton)())
    control = diffrax.PIDController(rtol=data.ROBERTSON_RTOL, atol=data.ROBERTSON_ATOL)

    def field(t: Any, z: Any, theta: Any) -> Any:
        k, y1, y2, y3 = jnp.exp(theta), z[0], z[1] / data.ROBERTSON_SCALE, z[2]
        a, b, c = k[0] * y1, k[1] * y2 * y2, k[2] * y2 * y3
        return jnp.stack([c - a, data.ROBERTSON_SCALE * (a - c - b), b])

    def loss_of(theta: Any) -> Any:
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(field), solver, 0.0, 1e5, 1e-6, start, theta,
            saveat=diffrax.SaveAt(ts=times), stepsize_controller=control, max_steps=4096,
        )  # fmt: skip
        return jnp.sum(found.ys**2)

    both = jax.value_and_grad(loss_of)
    call = jax.jit(both if workload == "w4" else jax.vmap(both))
    gradient: Any = None

    def step() -> float:
        nonlocal gradient
        losses, gradient = jax.block_until_ready(call(rates))
        return float(jnp.sum(losses))

    error = (lambda: data.robertson_error(np.asarray(gradient))) if workload == "w4" else None
    return Case(step, error=error)


def chain(dtype: str, compiled: bool) -> Case:
    x, shift, scale = map(jnp.asarray, data.chain(dtype))

    def f(x: Any, shift: Any, scale: Any) -> Any:
        for _ in range(data.CHAIN_LENGTH):
            x = jnp.tanh((x + shift) * scale)
        return jnp.sum(x)

    both = jax.value_and_grad(f)
    call = jax.jit(both) if compiled else both

    def step() -> float:
        value, slope = call(x, shift, scale)
        slope.block_until_ready()
        return float(value)

    return Case(step)


def call20(dtype: str) -> Case:
    args = [jnp.asarray(a) for a in data.twenty(dtype)]

    @jax.jit
    def total(*args: Any) -> Any:
        result = args[0]
        for a in args[1:]:
            result = result + a
        return result

    def repeat(n: int) -> None:
        for _ in range(n):
            total(*args).block_until_ready()

    return Case(lambda: float(jnp.sum(total(*args))), repeat=repeat)


def eager_op(dtype: str) -> Case:
    a, b = (jnp.asarray(z) for z in data.twenty(dtype)[:2])

    def repeat(n: int) -> None:
        for _ in range(n):
            (a + b).block_until_ready()

    return Case(lambda: float(jnp.sum(a + b)), repeat=repeat)
