"""Regression: a small network learns z = e^x sin(3 y) from samples with Adam, and is saved and loaded again."""

import os
import tempfile

import hesse as hs

# The data: 1024 points of the square [-1, 1]^2.
target = lambda p: hs.exp(p[..., 0]) * hs.sin(3.0 * p[..., 1])
data, weights, shuffling = hs.unstack(hs.random.split(hs.random.key(0), num=3))
points = hs.random.uniform(data, (1024, 2), -1.0, 1.0)
values = target(points)

# The network is a tree: a structure of arrays that gradients, optimisers and files see as one thing.
net = hs.nn.MLP([2, 32, 32, 1], hs.tanh, key=weights)
epochs, batch = 400, 64
steps = epochs * (len(points) // batch)
adam = hs.optim.adam(hs.optim.warmup(50, hs.optim.cosine_decay(1e-2, steps - 50)))


def loss(net, points, values):
    return hs.mean((net(points)[:, 0] - values) ** 2)


@hs.compile
def step(net, state, points, values):
    """One step of Adam. It is recorded at the first call and run without Python afterwards."""
    value, gradient = hs.value_and_grad(loss)(net, points, values)
    net, state = adam.update(gradient, state, net)
    return net, state, value


state = adam.init(net)
for epoch in range(epochs):
    order = hs.random.permutation(hs.random.fold_in(shuffling, epoch), len(points))
    for chosen in hs.reshape(order, (-1, batch)):
        net, state, value = step(net, state, points[chosen], values[chosen])
    if epoch % 100 == 99:
        print(f"epoch {epoch + 1:4}: loss {float(value):.2e}")

# Prediction at points that it has not seen, compared with the function itself.
x, y = hs.meshgrid(hs.linspace(-0.95, 0.95, 40), hs.linspace(-0.95, 0.95, 40))
grid = hs.stack([x, y], axis=-1)  # [40, 40, 2]: the features are the last axis
prediction = net(grid)[..., 0]
error = float(hs.physics.relative_l2(prediction, target(grid)))
print(f"relative L2 error on a grid: {error:.2e}")

# Weights to a file and back: the same bits. `like` says which names, shapes and dtypes are expected.
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "net.safetensors")
    hs.io.save_safetensors(path, net, {"about": "e^x sin(3 y)"})
    print("saved:", ", ".join(hs.io.leaf_names(net)))
    other = hs.nn.MLP([2, 32, 32, 1], hs.tanh, key=hs.random.key(1))
    loaded = hs.io.load_safetensors(path, like=other)
same = hs.array_equal(loaded(grid)[..., 0], prediction)
print("the loaded network predicts the same:", bool(same))

if not (error < 2e-2 and same):
    raise SystemExit("the error should be below 2e-2 and the predictions equal")
