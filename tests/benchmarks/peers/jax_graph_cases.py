"""The workloads on graphs and molecules in JAX."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from .. import graph_data
from ..case import Case
from .jax_training import training


def gcn(form: str, dtype: str) -> Case:
    """Sums of gathered rows by sorted segments, which is faster than jax.experimental.sparse; features too."""
    found = graph_data.citations(dtype)
    n = graph_data.NODES
    source, target, weights = map(jnp.asarray, (found.source, found.target(), found.weights))
    labels, labelled = jnp.asarray(found.labels[found.labelled]), jnp.asarray(found.labelled)
    add = lambda rows, ids: jax.ops.segment_sum(rows, ids, num_segments=n, indices_are_sorted=True)
    spread = lambda h: add(h[source] * weights[:, None], target)
    if form == "sparse features":
        rows, words = found.x.nonzero()
        x = tuple(map(jnp.asarray, (rows, words, found.x[rows, words])))
        product = lambda x, w: add(w[x[1]] * x[2][:, None], x[0])
    else:
        x = jnp.asarray(found.x)
        product = lambda x, w: x @ w

    def loss_of(params: Any, x: Any) -> Any:
        (w1, b1), (w2, b2) = params
        h = jax.nn.relu(spread(product(x, w1)) + b1)
        scores = spread(h @ w2) + b2
        return optax.softmax_cross_entropy_with_integer_labels(scores[labelled], labels).mean()

    params = [tuple(map(jnp.asarray, layer)) for layer in found.layers]
    return training(loss_of, optax.adam(graph_data.GCN_RATE), params, (x,))


def schnet(dtype: str) -> Case:
    found = graph_data.molecules(dtype)
    source, target, z, molecule = map(jnp.asarray, (found.source, found.target, found.z, found.molecule))
    pos, energies, forces = map(jnp.asarray, (found.pos, found.energies, found.forces))
    n, count = len(found.pos), graph_data.MOLECULES
    centres = jnp.linspace(0.0, graph_data.CUTOFF, graph_data.GAUSSIANS, dtype=dtype)
    factor = -0.5 * ((graph_data.GAUSSIANS - 1) / graph_data.CUTOFF) ** 2
    ssp = lambda x: jax.nn.softplus(x) - math.log(2.0)
    add = lambda rows, ids, n: jax.ops.segment_sum(rows, ids, num_segments=n, indices_are_sorted=True)

    def energy(w: Any, pos: Any) -> Any:
        linear = lambda x, name: x @ w[name] + w[f"{name}.bias"]
        r = jnp.linalg.norm(pos[source] - pos[target], axis=-1)
        g = jnp.exp(factor * (r[:, None] - centres) ** 2)
        window = 0.5 * (jnp.cos(r * (math.pi / graph_data.CUTOFF)) + 1)
        h = w["embedding"][z]
        for k in range(graph_data.INTERACTIONS):
            filters = linear(ssp(linear(g, f"{k}.first")), f"{k}.second") * window[:, None]
            m = add((h @ w[f"{k}.before"])[source] * filters, target, n)
            h = h + linear(ssp(linear(m, f"{k}.after")), f"{k}.last")
        return add(linear(ssp(linear(h, "hidden")), "last")[:, 0], molecule, count)

    def loss_of(w: Any, pos: Any) -> Any:
        def total(pos: Any) -> Any:
            e = energy(w, pos)
            return e.sum(), e

        (_, e), slope = jax.value_and_grad(total, has_aux=True)(pos)
        return ((e - energies) ** 2).mean() + ((-slope - forces) ** 2).mean()

    return training(loss_of, optax.adam(graph_data.SCHNET_RATE), found.weights, (pos,))
