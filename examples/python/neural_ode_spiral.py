"""A neural differential equation: y' = network(y^3) learns the vector field of a spiral from its trajectories.

The truth is y' = A y^3 (as in the demonstration of Chen et al., Neural ordinary differential equations, 2018). Gradients go
through the solver: they are those of the steps that it took.
"""

import sys

import hesse as hs

quick = "--quick" in sys.argv
A = hs.array([[-0.1, 2.0], [-2.0, -0.1]])
times = hs.linspace(0.0, 1.0, 11)


def trajectories(field, starts, rtol=1e-7):
    """[times, starts, 2]: all starts as one system."""
    return hs.solvers.solve_ivp(field, (0.0, times[-1]), starts, "Dopri5", times, rtol=rtol, atol=1e-9).y


# The data: pieces of one long spiral.
spiral = hs.solvers.solve_ivp(lambda t, y: y**3 @ A, (0.0, 20.0), hs.array([2.0, 0.0]), rtol=1e-9, atol=1e-9)
starts = spiral.y[:: max(1, len(spiral.t) // 24)]
truth = trajectories(lambda t, y: y**3 @ A, starts)

net = hs.nn.MLP([2, 32, 2], hs.tanh, key=hs.random.key(0))
steps = 300 if quick else 2000
adam = hs.optim.adam(hs.optim.cosine_decay(1e-2, steps))


def loss(net):
    return hs.mean((trajectories(lambda t, y: net(y**3), starts, rtol=1e-5) - truth) ** 2)


@hs.compile(donate_argnums=(0, 1))
def step(net, state):
    value, gradient = hs.value_and_grad(loss)(net)
    net, state = adam.update(gradient, state, net)
    return net, state, value


state = adam.init(net)
for i in range(steps):
    net, state, value = step(net, state)
    if i == 0 or (i + 1) % (steps // 10) == 0:
        print(f"step {i + 1:5}: loss {float(value):.2e}")

# Trajectories that it has not seen: starts between those.
others = 0.5 * (starts[1:] + starts[:-1])
error = trajectories(lambda t, y: net(y**3), others) - trajectories(lambda t, y: y**3 @ A, others)
error = float(hs.sqrt(hs.mean(error**2)))
print(f"root mean square error of new trajectories: {error:.1e}")
if not error < 0.1:
    raise SystemExit("it should be below 0.1")
