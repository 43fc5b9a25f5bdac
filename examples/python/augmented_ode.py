"""Augmented neural differential equations: what the flow of the input's own space cannot do (Dupont, Doucet, Teh, 2019).

Points of a disc and of a ring around it are to become separable by a line. A flow of the plane cannot take the disc out of
its ring; with one more dimension it can.
"""

import sys

import hesse as hs

quick = "--quick" in sys.argv
points, steps = (128, 150) if quick else (512, 600)


class Field(hs.nn.Module):
    net: hs.nn.MLP

    def __call__(self, t, y):
        return self.net(y)


class Classifier(hs.nn.Module):
    flow: hs.solvers.NeuralODE
    last: hs.nn.Linear

    def __call__(self, x):
        return self.last(self.flow(x))[..., 0]


def classifier(augment, key):
    first, second = hs.random.split(key)
    size = 2 + augment
    field = Field(hs.nn.MLP([size, 16, size], hs.tanh, key=first))
    return Classifier(
        hs.solvers.NeuralODE(field, augment=augment, rtol=1e-3, atol=1e-4),
        hs.nn.Linear(size, 1, key=second),
    )


keys = hs.unstack(hs.random.split(hs.random.key(0), num=4))
inside = hs.arange(points) % 2 == 0
radius = hs.where(inside, 0.5, 1.0) * hs.sqrt(hs.random.uniform(keys[0], (points,), 0.0, 1.0))
radius = hs.where(inside, radius, 1.0 + 0.5 * radius)
angle = hs.random.uniform(keys[1], (points,), 0.0, 2 * hs.pi)
x = hs.stack([radius * hs.cos(angle), radius * hs.sin(angle)], axis=1)
sign = hs.where(inside, 1.0, -1.0)

adam = hs.optim.adam(hs.optim.cosine_decay(2e-2, steps))


def loss(model):
    return hs.mean(hs.nn.softplus(-sign * model(x)))


@hs.compile
def step(model, state):
    value, gradient = hs.value_and_grad(loss)(model)
    model, state = adam.update(gradient, state, model)
    return model, state, value


losses = {}
for augment in (0, 1):
    model = classifier(augment, keys[2])
    state = adam.init(model)
    for _ in range(steps):
        model, state, value = step(model, state)
    losses[augment] = float(value)
    right = float(hs.mean(hs.where(sign * model(x) > 0, 1.0, 0.0)))
    print(f"{augment} more dimensions: loss {losses[augment]:.4f}, {right:.1%} right")
if not losses[1] < 0.05:
    raise SystemExit("the augmented equation should separate them")
