"""Heat around a cylinder: a mesh graph network (Pfaff et al. 2021) learns one step of time from finite elements.

    python mesh_heat.py [mesh] [--steps N]

A cylinder is kept at a temperature, the far side at 0, with warm and cold spots between: u_t = u_xx + u_yy, solved with the
linear triangles of heat_elements.py. The network gets differences of temperatures along edges and gives their changes in a
step; it is trained on coarse meshes and tested on a mesh and starts that it has not seen, and on the mesh of a file (the
argument, or HESSE_MESH, as in heat_elements.py). Expected relative errors of temperatures: 1.0 % after one step, 6 % after
ten, 1.5 % and 5 % on a published mesh of 13,336 nodes, where a step changes them by 6 %; some two minutes of one core.
"""

import argparse
import os

import numpy as np
from heat_elements import annulus, circle, heat_step, read

import hesse as hs
from hesse import gnn


def starts(points, kind, side, count, rng):
    """Temperatures at the start, [N, count]: one of the cylinder, 0 at the far side, eight spots, small where it is near."""
    (centre, radius), draws = circle(points[kind == 1]), rng.uniform(size=(count, 33))
    gap, angle, width, height = draws[:, :-1].reshape(count, 8, 4).transpose(2, 0, 1)
    gap, angle = 4.0 * side * (0.5 * radius / side) ** gap, 2.0 * np.pi * angle
    spots = centre + (radius + gap)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    squares = np.sum((points[:, None, None] - spots) ** 2, axis=-1) / (gap * (0.3 + 0.7 * width)) ** 2
    u = np.sum((2.0 * height - 1.0) * np.exp(-0.5 * squares), axis=-1)
    u[kind == 1], u[kind == 2] = 2.0 * draws[:, -1] - 1.0, 0.0
    return hs.array(u)


def runs_on(points, triangles, kind, count, times, rng):
    """The mesh as a graph, and its temperatures by finite elements, float32 [times + 1, count, N].

    A step is 1.5 squared sides of the cylinder. Sizes are seen by the network in this unit, so that it serves other meshes:
    nodes have F / (1 + F) with F = dt / area, edges their direction and 1 / (1 + length^2 / dt).
    """
    side = 2.0 * np.pi * circle(points[kind == 1])[1] / np.sum(kind == 1)
    dt = 1.5 * side**2
    mass, stiffness = hs.physics.linear_elements(points, triangles)
    advance = heat_step(mass, stiffness, kind != 0, dt, parts=4)
    u = [advance(starts(points, kind, side, count, rng))]  # without the jump at the cylinder
    for _ in range(times):
        u.append(advance(u[-1]))
    fourier = dt / np.asarray(mass.sum(axis=1))[:, None]
    x = np.concatenate([np.eye(3)[kind], fourier / (1.0 + fourier)], axis=1)
    graph = gnn.from_mesh(points, triangles, np.float32(x))
    d, length = graph.edge_attr[:, :2], graph.edge_attr[:, 2:]
    edge_attr = hs.astype(hs.concat([d / length, 1.0 / (1.0 + length**2 / dt)], axis=1), hs.float32)
    return graph.replace(edge_attr=edge_attr, pos=None), np.float32(u).transpose(0, 2, 1)


def predict(model, graph, u):
    """The temperatures one step later, [N]; those of the cylinder and the far side stay.

    The network sees and gives differences over a tenth of the root mean square temperature, as the equation is linear. What
    it gives is a change where F is large, and little where it is small.
    """
    scale = 0.1 * hs.sqrt(hs.mean(u * u))
    differences = (hs.gather(u, graph.source) - hs.gather(u, graph.target)) / scale
    change = model(graph.x, graph, hs.concat([graph.edge_attr, differences[:, None]], axis=1))[:, 0]
    return u + scale * change * graph.x[:, 0] * graph.x[:, 3]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mesh", nargs="?", default=os.environ.get("HESSE_MESH"))
    parser.add_argument("--steps", type=int, default=4000, help="of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a small mesh and network")
    options = parser.parse_args()
    steps, width, sizes, unseen = options.steps, 32, [(10, 36), (10, 48), (18, 30)], [annulus(12, 40)]
    if options.quick:
        steps, width, sizes, unseen = 500, 24, [(8, 24)], [annulus(9, 28)]
    rng, others = map(np.random.default_rng, (options.seed, options.seed + 1))
    times, count = 10, 40
    training = [runs_on(*annulus(*size, seed=k), count, times, rng) for k, size in enumerate(sizes)]
    unseen += [read(options.mesh)] if options.mesh else []
    testing = [runs_on(*mesh, 6, times, others) for mesh in unseen]

    more = {"activation": hs.nn.silu, "key": hs.random.key(options.seed), "dtype": hs.float32}
    model = gnn.MeshGraphNet(4, 4, 1, hidden=width, blocks=4, **more)
    adam = hs.optim.adam(hs.optim.warmup(50, hs.optim.cosine_decay(2e-3, steps, 2e-5)))

    @hs.compile
    def train(model, state, graph, before, after):
        loss = lambda model: hs.sum((predict(model, graph, before) - after) ** 2) / hs.sum(after**2)
        value, gradient = hs.value_and_grad(loss)(model)
        gradient, _ = hs.optim.clip_by_global_norm(gradient, 0.01)
        return *adam.update(gradient, state, model), value

    state, values = adam.init(model), []
    for k in range(1, steps + 1):
        graph, u = training[rng.integers(len(training))]
        at, run = rng.integers(times), rng.integers(count)
        model, state, value = train(model, state, graph, hs.array(u[at, run]), hs.array(u[at + 1, run]))
        values.append(float(value))
        if k % max(steps // 10, 1) == 0:
            print(
                f"step {k}: relative error {100 * np.mean(values[-steps // 10 :]) ** 0.5:.2f} %", flush=True
            )

    step = hs.compile(hs.vmap(predict, (None, None, 0)))  # of all runs
    error = lambda a, b: 100.0 * np.mean(np.linalg.norm(a - b, axis=-1) / np.linalg.norm(b, axis=-1))
    for graph, u in testing:
        one, still = error([step(model, graph, v) for v in u[:-1]], u[1:]), error(u[:-1], u[1:])
        rolled = u[0]
        for _ in range(times):
            rolled = step(model, graph, rolled)
        print(f"{graph.num_nodes} unseen nodes: relative error of temperatures after one step {one:.2f} % (if nothing "
              f"changed: {still:.2f} %), after {times} steps {error(rolled, u[-1]):.2f} %", flush=True)  # fmt: skip
        if one > 0.6 * still:
            raise SystemExit("the error of one step should be below 0.6 of the change")


if __name__ == "__main__":
    main()
