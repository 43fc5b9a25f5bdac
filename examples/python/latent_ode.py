"""A latent differential equation (Chen et al. 2018; Rubanova, Chen, Duvenaud 2019) of noisy spirals.

A recurrent encoder reads the first half of a spiral backwards and says where its latent state may begin; a neural equation
moves it on; a decoder makes points of it. Trained on both, it continues spirals that it has seen half of.
"""

import sys

import hesse as hs

quick = "--quick" in sys.argv
spirals, steps = (32, 300) if quick else (200, 3000)
LATENT, HIDDEN, SEEN, NOISE = 4, 24, 20, 0.05
times = hs.linspace(0.0, 3.0, 2 * SEEN)


def spiral(key):
    """[times, 2]: clockwise or not, from anywhere."""
    first, second = hs.unstack(hs.random.split(key))
    turn = hs.where(hs.random.uniform(first, ()) < 0.5, -1.0, 1.0)
    angle = turn * (2.0 * times + hs.random.uniform(second, (), 0.0, 2 * hs.pi))
    radius = 0.4 + 0.3 * times
    return hs.stack([radius * hs.cos(angle), radius * hs.sin(angle)], axis=1)


class Encoder(hs.nn.Module):
    cell: hs.nn.Linear
    out: hs.nn.Linear

    def __call__(self, points):
        """Mean and logarithm of the deviation of the latent state at the start."""

        def read(h, x):
            return hs.tanh(self.cell(hs.concatenate([h, x]))), None

        h, _ = hs.scan(read, hs.zeros(HIDDEN), points, reverse=True)
        both = self.out(h)
        return both[:LATENT], both[LATENT:]


class Field(hs.nn.Module):
    net: hs.nn.MLP

    def __call__(self, t, z):
        return self.net(z)


class LatentODE(hs.nn.Module):
    encoder: Encoder
    flow: hs.solvers.NeuralODE
    decoder: hs.nn.MLP

    def __call__(self, z):
        """[spirals, times, 2]: all of them as one system."""
        return hs.moveaxis(self.decoder(self.flow(z, t_eval=times)), 0, 1)


keys = hs.unstack(hs.random.split(hs.random.key(0), num=8))
truth = hs.vmap(spiral)(hs.random.split(keys[0], num=spirals))
data = truth + NOISE * hs.random.normal(keys[1], truth.shape)
model = LatentODE(
    Encoder(hs.nn.Linear(HIDDEN + 2, HIDDEN, key=keys[2]), hs.nn.Linear(HIDDEN, 2 * LATENT, key=keys[3])),
    hs.solvers.NeuralODE(
        Field(hs.nn.MLP([LATENT, 32, LATENT], hs.tanh, key=keys[4])), (0.0, 3.0), rtol=1e-3, atol=1e-4
    ),
    hs.nn.MLP([LATENT, 32, 2], hs.tanh, key=keys[5]),
)


def loss(model, key, weight):
    """Less than -log p(data), for one draw of the latent states."""

    mean, log_deviation = hs.vmap(model.encoder)(data[:, :SEEN])
    z = mean + hs.exp(log_deviation) * hs.random.normal(key, mean.shape)
    misfit = hs.sum((model(z) - data) ** 2) / (2 * NOISE**2)
    divergence = 0.5 * hs.sum(mean**2 + hs.exp(2 * log_deviation) - 1 - 2 * log_deviation)
    return (misfit + weight * divergence) / (spirals * data.shape[1])


adam = hs.optim.adam(hs.optim.cosine_decay(1e-2, steps))


@hs.compile
def step(model, state, key, weight):
    value, gradient = hs.value_and_grad(loss)(model, key, weight)
    model, state = adam.update(gradient, state, model)
    return model, state, value


state = adam.init(model)
for i in range(steps):
    model, state, value = step(model, state, hs.random.fold_in(keys[6], i), hs.array(min(1.0, i / steps)))
    if i == 0 or (i + 1) % (steps // 6) == 0:
        print(f"step {i + 1:5}: loss {float(value):8.2f}")

# New spirals, of which it sees the first half with noise.
new = hs.vmap(spiral)(hs.random.split(keys[7], num=32))
seen = new + NOISE * hs.random.normal(keys[6], new.shape)
guess = model(hs.vmap(model.encoder)(seen[:, :SEEN])[0])
error = float(hs.sqrt(hs.mean((guess - new)[:, SEEN:] ** 2)))
size = float(hs.sqrt(hs.mean(new[:, SEEN:] ** 2)))
print(f"second halves of new spirals: root mean square error {error:.2f}, where they are {size:.2f} away")
if not error < (0.8 if quick else 0.35) * size:
    raise SystemExit("it should continue spirals better")
