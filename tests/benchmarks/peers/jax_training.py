"""Steps of training in JAX with optax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ..case import Case


def training(loss_of: Callable[..., Any], opt: Any, params: Any, inputs: tuple[Any, ...]) -> Case:
    params, inputs = jax.tree.map(jnp.asarray, (params, inputs))
    state = opt.init(params)

    def make_update() -> Any:
        @jax.jit
        def update(params: Any, state: Any, *inputs: Any) -> Any:
            loss, grads = jax.value_and_grad(loss_of)(params, *inputs)
            updates, state = opt.update(grads, state, params)
            return optax.apply_updates(params, updates), state, loss

        return update

    update = make_update()

    def step() -> float:
        nonlocal params, state
        params, state, loss = update(params, state, *inputs)
        return float(loss)

    def forget() -> None:
        nonlocal update
        jax.clear_caches()
        update = make_update()

    return Case(step, forget=forget)
