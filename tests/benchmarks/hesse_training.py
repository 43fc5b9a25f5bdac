"""Steps of training in Hesse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hesse as hs

from .case import Case


def training(make_update: Callable[[], Any], params: Any, state: Any, inputs: tuple[Any, ...]) -> Case:
    """A case of ``params, state, loss = update(params, state, *inputs)``."""
    update = make_update()

    def step() -> float:
        nonlocal params, state
        params, state, loss = update(params, state, *inputs)
        return float(loss)

    def forget() -> None:
        nonlocal update
        update = make_update()

    return Case(step, forget=forget)


def training_of(loss_of: Callable[..., Any], opt: Any, params: Any, inputs: tuple[Any, ...]) -> Case:
    """The same of a loss and an optimiser, as one compiled function."""

    def make_update() -> Any:
        @hs.compile
        def update(params: Any, state: Any, *inputs: Any) -> Any:
            loss, grads = hs.value_and_grad(loss_of)(params, *inputs)
            params, state = opt.update(grads, state, params)
            return params, state, loss

        return update

    return training(make_update, params, opt.init(params), inputs)
