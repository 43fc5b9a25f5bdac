"""A program as users write it, checked by mypy --strict in test_typing.py: the package's types suffice for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import hesse as hs

Params = dict[str, hs.Array]


def predict(params: Params, x: hs.Array) -> hs.Array:
    return hs.tanh(x @ params["w"]) + params["b"]


def loss(params: Params, x: hs.Array, y: hs.Array) -> hs.Array:
    return hs.mean((predict(params, x) - y) ** 2)


class Net(hs.nn.Module):
    layer: hs.nn.Linear
    scale: hs.Array

    def __init__(self, key: hs.Array) -> None:
        self.layer = hs.nn.Linear(2, 1, key=key)
        self.scale = hs.ones(())

    def __call__(self, x: hs.Array) -> hs.Array:
        return self.scale * self.layer(x)


@hs.compile
def step(params: Params, x: hs.Array, y: hs.Array) -> Params:
    gradient: Params = hs.grad(loss)(params, x, y)
    return {name: p - 0.1 * gradient[name] for name, p in params.items()}


def main() -> float:
    key = hs.random.key(0)
    x = hs.random.normal(key, (8, 2), dtype=hs.float64)
    y = hs.sum(x, axis=1, keepdims=True)
    params: Params = {"w": hs.zeros((2, 1)), "b": hs.zeros(1)}
    for _ in range(3):
        params = step(params, x, y)
    net = Net(key)
    value, gradient = hs.value_and_grad(lambda net: hs.mean((net(x) - y) ** 2))(net)
    optimiser = hs.optim.adam(1e-2)
    state = optimiser.init(net)
    net, state = optimiser.update(gradient, state, net)
    a: npt.NDArray[np.float64] = np.asarray(x)
    first, rest = hs.split(x, [1])
    values, counts = hs.unique_counts(hs.arange(3))
    carry, ys = hs.scan(lambda c, v: (c + v, c), 0.0, x[:, 0])
    dtype: hs.DType = x.dtype
    shape: tuple[int, ...] = hs.repeat(hs.unique(x[0]), 2).shape
    updated = x.at[0].set(1.0).T.reshape(2, -1)
    assert a.shape == x.shape and dtype == hs.float64 and shape == (4,) and updated.shape == (2, 8)
    assert (
        first.shape[0] + rest.shape[0] == 8
        and values.size == counts.size
        and float(carry) == float(ys[-1] + x[-1, 0])
    )
    return float(value) + float(loss(params, x, y)) + float(hs.linalg.norm(x))


if __name__ == "__main__":
    print(main())
