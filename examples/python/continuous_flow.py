"""A continuous normalising flow (Chen et al. 2018; FFJORD, Grathwohl et al. 2019) learns a density in the plane.

The flow of dy/dt = f(t, y) takes data at t = 1 to a normal distribution at t = 0, and d log p / dt = -tr(df/dy) along it. The
trace is exact, or estimated without bias by Hutchinson's v^T (df/dy) v, which needs one product for any dimension.
"""

import sys

import hesse as hs

quick = "--quick" in sys.argv
points, steps = (128, 200) if quick else (512, 1000)


class Field(hs.nn.Module):
    net: hs.nn.MLP

    def __call__(self, t, y):
        return self.net(hs.concatenate([y, hs.reshape(t, (1,))]))


def exact_trace(f, y, _):
    """f(y) and tr(df/dy) at one point, a product for each dimension."""
    return f(y), sum(hs.jvp(f, (y,), (e,))[1][i] for i, e in enumerate(hs.unstack(hs.eye(2))))


def hutchinson(f, y, v):
    value, product = hs.jvp(f, (y,), (v,))
    return value, hs.sum(v * product)


def log_density(field, x, trace, vectors):
    """log p at the points x [n, 2], one system: the normal density where the flow comes from, and what it gained."""

    def augmented(t, state):
        return hs.vmap(lambda y, v: trace(lambda y: field(t, y), y, v))(state[0], vectors)

    start = (x, hs.zeros(len(x)))
    y, gained = hs.solvers.solve_ivp(augmented, (1.0, 0.0), start, "Bosh3", [0.0], rtol=1e-3, atol=1e-4).y
    return -0.5 * hs.sum(y[0] ** 2, axis=1) - hs.log(hs.array(2 * hs.pi)) + gained[0]


# Two crescents.
keys = hs.unstack(hs.random.split(hs.random.key(0), num=3))
angle = hs.random.uniform(keys[0], (points,), 0.0, hs.pi)
upper = hs.arange(points) % 2 == 0
crescents = hs.stack(
    [
        hs.where(upper, hs.cos(angle) - 0.5, 0.5 - hs.cos(angle)),
        hs.where(upper, 1, -1) * (hs.sin(angle) - 0.25),
    ],
    axis=1,
)
x = crescents + 0.15 * hs.random.normal(keys[1], (points, 2))

field = Field(hs.nn.MLP([3, 24, 24, 2], hs.tanh, key=keys[2]))
adam = hs.optim.adam(hs.optim.cosine_decay(1e-2, steps))


def loss(field, signs):
    """With one random vector of signs for each point."""
    return -hs.mean(log_density(field, x, hutchinson, signs))


@hs.compile
def step(field, state, key):
    signs = hs.where(hs.random.uniform(key, (points, 2)) < 0.5, -1.0, 1.0)
    value, gradient = hs.value_and_grad(loss)(field, signs)
    field, state = adam.update(gradient, state, field)
    return field, state, value


state = adam.init(field)
for i in range(steps):
    field, state, value = step(field, state, hs.random.fold_in(hs.random.key(1), i))
    if i == 0 or (i + 1) % (steps // 5) == 0:
        print(f"step {i + 1:5}: -log p = {float(value):.3f}")

density = hs.compile(lambda x: log_density(field, x, exact_trace, x))
exact = -float(hs.mean(density(x)))
side = hs.linspace(-4.0, 4.0, 41 if quick else 81)
grid = hs.reshape(hs.stack(hs.meshgrid(side, side), axis=-1), (-1, 2))
mass = float(hs.sum(hs.exp(density(grid))) * (side[1] - side[0]) ** 2)
print(f"with exact traces: -log p = {exact:.3f}; the density integrates to {mass:.3f}")
if not (abs(mass - 1) < 0.05 and exact < 2.2):
    raise SystemExit("the density should integrate to 1, and fit")
