"""Heat around a cylinder: a mesh graph network learns one step of time from finite elements of our own.

    python mesh_heat.py [mesh] [--steps N]

A cylinder is kept at a temperature, the far side at 0, with warm and cold spots between: u_t = u_xx + u_yy. The reference
are linear triangles, M u_t + K u = 0, by steps of the L-stable SDIRK2 method. The network (Pfaff et al. 2021) gets the
differences of temperatures along edges and gives their changes in a step; it is trained on coarse meshes that are made here
and tested on a mesh and starts that it has not seen, and on the mesh of a file (the argument, or HESSE_MESH; read by meshio,
or HDF5 with `pos`, `cells` and `node_type`). Expected relative errors of temperatures: 1.0 % after one step and 6 % after ten,
1.5 % and 5 % on a published mesh of 13,336 nodes, where a step changes temperatures by 6 %; some two minutes of one core.
"""

import argparse
import os

import numpy as np

import hesse as hs
from hesse import gnn


def matrices(points, triangles):
    """The mass matrix M and the stiffness matrix K of linear triangles, as sparse matrices of the same pattern."""
    p = np.asarray(points)[triangles]  # [T, 3, 2]
    sides = np.roll(p, -2, axis=1) - np.roll(p, -1, axis=1)  # opposite to corners 0, 1, 2
    area = 0.5 * np.abs(sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0])[:, None, None]
    mass = area / 12.0 * (1.0 + np.eye(3))
    stiffness = sides @ sides.transpose(0, 2, 1) / (4.0 * area)
    row, col = np.repeat(triangles, 3, axis=1).ravel(), np.tile(triangles, 3).ravel()
    return [hs.sparse.coo(a.ravel(), row, col, (len(points),) * 2) for a in (mass, stiffness)]


def heat_step(points, triangles, fixed, dt, parts=1):
    """u at t -> u at t + dt for columns of temperatures, [N, S], in `parts` steps; those of fixed nodes stay.

    SDIRK2: (M + g h K) k1 = -K u, (M + g h K) k2 = -K (u + (1 - g) h k1), u += h ((1 - g) k1 + g k2), g = 1 - 1/sqrt(2).
    """
    mass, stiffness = matrices(points, triangles)
    free, g, h = hs.array(~fixed, dtype=hs.float64)[:, None], 1.0 - 0.5**0.5, dt / parts
    ones = hs.sparse.coo(fixed.astype(float), *[np.arange(len(points))] * 2, (len(points),) * 2)
    matrix = (mass + (g * h) * stiffness) * free + ones  # rows of fixed nodes: k = 0
    slope = lambda u: hs.solvers.linear_solve(matrix, -free * (stiffness @ u)).x

    def step(_, u):
        first = slope(u)
        return u + h * ((1.0 - g) * first + g * slope(u + (1.0 - g) * h * first))

    return hs.compile(lambda u: hs.fori_loop(0, parts, step, u))


def annulus(rings=10, around=36, inner=0.5, outer=None, shake=0.2, seed=0):
    """Points, triangles and kinds (0 inside, 1 cylinder, 2 far side) of a ring of about equilateral, growing triangles."""
    growth = 1.0 + 3.0**0.5 * np.pi / around if outer is None else (outer / inner) ** (1.0 / (rings - 1))
    radius = inner * growth ** np.arange(rings)
    angle = 2.0 * np.pi * (np.arange(around) + 0.5 * (np.arange(rings)[:, None] % 2)) / around
    kind = np.zeros((rings, around), int)
    kind[0], kind[-1] = 1, 2
    rng, moved = np.random.default_rng(seed), (kind == 0) * shake * 2.0 * np.pi / around
    r = radius[:, None] * (1.0 + moved * rng.uniform(-1, 1, kind.shape))
    angle = angle + moved * rng.uniform(-1, 1, kind.shape)
    points = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=-1).reshape(-1, 2)
    k, i = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij")
    a, b, c, d = ((k + up) * around + (i + right) % around for up in (0, 1) for right in (0, 1))
    odd = k % 2 == 1  # odd rings are turned by half a side
    first, second = np.stack([a, b, np.where(odd, d, c)], -1), np.stack([np.where(odd, a, b), d, c], -1)
    return points, np.concatenate([first, second]).reshape(-1, 3)[:, ::-1], kind.ravel()


def read(path):
    """Points, triangles and kinds of nodes."""
    if str(path).endswith((".h5", ".hdf5")):
        import h5py

        with h5py.File(path) as file:
            return file["pos"][...], file["cells"][:, :3], file["node_type"][...].astype(int)
    import meshio

    mesh = meshio.read(path)
    kind, tags = np.zeros(len(mesh.points), int), next(iter(mesh.cell_data_dict.values()))
    kind[mesh.cells_dict["line"]] = tags["line"][:, None]
    return mesh.points[:, :2], mesh.cells_dict["triangle"], kind


def wall_of(points, kind):
    """The cylinder's centre and radius, and the length of its sides."""
    wall = points[kind == 1]
    centre = wall.mean(axis=0)
    radius = np.linalg.norm(wall - centre, axis=1).mean()
    return centre, radius, 2.0 * np.pi * radius / len(wall)


def starts(points, kind, count, rng):
    """Temperatures at the start, [N, count]: one of the cylinder, 0 at the far side, eight spots, small where it is near."""
    (centre, radius, side), u = wall_of(points, kind), np.zeros((len(points), count))
    for k in range(count):
        for _ in range(8):
            gap = 4.0 * side * (0.5 * radius / side) ** rng.uniform()
            angle = rng.uniform(0, 2 * np.pi)
            at = centre + (radius + gap) * np.array([np.cos(angle), np.sin(angle)])
            square = np.sum((points - at) ** 2, axis=1) / (gap * rng.uniform(0.3, 1.0)) ** 2
            u[:, k] += rng.uniform(-1, 1) * np.exp(-0.5 * square)
        u[kind == 1, k] = rng.uniform(-1, 1)
    u[kind == 2] = 0.0
    return u


def runs_on(points, triangles, kind, count, times, rng):
    """The mesh as a graph, and its temperatures by finite elements, float32 [times + 1, count, N].

    A step is 1.5 squared sides of the cylinder. Sizes are seen by the network in this unit, so that it serves other meshes:
    nodes have F / (1 + F) with F = dt / area, edges their direction and 1 / (1 + length^2 / dt).
    """
    dt = 1.5 * wall_of(points, kind)[2] ** 2
    advance = heat_step(points, triangles, kind != 0, dt, parts=4)
    u = [advance(hs.array(starts(points, kind, count, rng)))]  # without the jump at the cylinder
    for _ in range(times):
        u.append(advance(u[-1]))
    fourier = dt / np.asarray(matrices(points, triangles)[0].sum(axis=1))[:, None]
    x = np.concatenate([np.eye(3)[kind], fourier / (1.0 + fourier)], axis=1)
    graph = gnn.from_mesh(points, triangles, x.astype(np.float32))
    d, length = np.split(np.asarray(graph.edge_attr), [2], axis=1)
    edge_attr = np.concatenate([d / length, 1.0 / (1.0 + length**2 / dt)], axis=1)
    graph = graph.replace(edge_attr=hs.array(edge_attr.astype(np.float32)), pos=None)
    return graph, np.stack([np.asarray(a).T for a in u]).astype(np.float32)


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
    rng, times, count = np.random.default_rng(options.seed), 10, 40
    steps, width, sizes = options.steps, 32, [(10, 36), (10, 48), (18, 30)]
    if options.quick:
        steps, width, sizes = 500, 24, [(8, 24)]
    training = [runs_on(*annulus(*size, seed=k), count, times, rng) for k, size in enumerate(sizes)]
    unseen = [annulus(9, 28) if options.quick else annulus(12, 40)]
    unseen += [read(options.mesh)] if options.mesh else []
    others = np.random.default_rng(options.seed + 1)
    testing = [runs_on(*mesh, 6, times, others) for mesh in unseen]
    for graph, u in training + testing:
        print(f"{graph}: {u.shape[1]} runs of {times} steps")

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

    step = hs.compile(predict)
    error = lambda a, b: 100.0 * np.linalg.norm(np.asarray(a) - b) / np.linalg.norm(b)
    for graph, u in testing:
        one, still, many = [], [], []
        for run in range(u.shape[1]):
            rolled = hs.array(u[0, run])
            for before, after in zip(u[:-1, run], u[1:, run], strict=True):
                one.append(error(step(model, graph, hs.array(before)), after))
                still.append(error(before, after))
                rolled = step(model, graph, rolled)
            many.append(error(rolled, u[-1, run]))
        one, still, many = (np.mean(a) for a in (one, still, many))
        print(f"unseen mesh of {graph.num_nodes} nodes: relative error of temperatures after one step {one:.2f} % "
              f"(if nothing changed: {still:.2f} %), after {times} steps {many:.2f} %")  # fmt: skip
        if one > 0.6 * still:
            raise SystemExit("the error of one step should be below 0.6 of the change")


if __name__ == "__main__":
    main()
