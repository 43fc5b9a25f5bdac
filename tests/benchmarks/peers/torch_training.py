"""Steps of training in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..case import Case


def training(opt: torch.optim.Optimizer, loss_of: Callable[[], torch.Tensor]) -> Case:
    def step() -> float:
        opt.zero_grad()
        loss = loss_of()
        loss.backward()
        opt.step()
        return loss.item()

    return Case(step)
