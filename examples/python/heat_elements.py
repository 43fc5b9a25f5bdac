"""Heat between two cylinders by finite elements, until it is at rest, against the exact flow.

    python heat_elements.py [mesh]

The inner cylinder is kept at 1 and the outer one at 0, and between them u_t = u_xx + u_yy. With linear triangles that is
M u' + K u = 0 for the nodes inside. The flow of heat at rest, u^T K u, is 2 pi / arccosh((a^2 + b^2 - d^2) / 2ab) for
radii a and b, and centres d apart. On meshes that are made here the error is of second order; the argument (or HESSE_MESH)
is a mesh that meshio reads, whose lines have the tags 1 and 2, or HDF5 with `pos`, `cells` and `node_type`.
"""

import argparse
import os

import numpy as np

import hesse as hs


def annulus(rings=10, around=36, outer=None, seed=0):
    """Points, triangles and kinds (0 inside, 1 inner, 2 outer cylinder) of a ring of about equilateral, growing triangles."""
    side = 2.0 * np.pi / around
    growth = 1.0 + 0.5 * 3.0**0.5 * side if outer is None else (outer / 0.5) ** (1.0 / (rings - 1))
    k, i = np.divmod(np.arange(rings * around), around)
    kind = np.select([k == 0, k == rings - 1], [1, 2])
    moved = 0.2 * side * (kind == 0) * np.random.default_rng(seed).uniform(-1, 1, (2, len(k)))
    r = 0.5 * growth**k * (1.0 + moved[0])
    angle = side * (i + 0.5 * (k % 2)) + moved[1]  # odd rings are turned by half a side
    a, b, c, d = ((k + up) * around + (i + right) % around for up in (0, 1) for right in (0, 1))
    odd = k % 2 == 1
    triangles = np.concatenate([[b, a, np.where(odd, d, c)], [c, d, np.where(odd, a, b)]], axis=1).T
    inside = (triangles < len(k)).all(axis=1)
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1), triangles[inside], kind


def read(path):
    """Points, triangles and kinds of nodes."""
    if str(path).endswith((".h5", ".hdf5")):
        mesh = {name: np.asarray(a) for name, a in hs.io.load_hdf5(path).items()}
        return mesh["pos"], mesh["cells"][:, :3], mesh["node_type"].astype(int)
    import meshio

    mesh = meshio.read(path)
    kind, tags = np.zeros(len(mesh.points), int), next(iter(mesh.cell_data_dict.values()))
    kind[mesh.cells_dict["line"]] = tags["line"][:, None]
    return mesh.points[:, :2], mesh.cells_dict["triangle"], kind


def circle(points):
    """The centre and the radius of points on a circle."""
    centre = points.mean(axis=0)
    return centre, np.linalg.norm(points - centre, axis=1).mean()


def heat_step(mass, stiffness, fixed, dt, parts=1):
    """u at t -> u at t + dt for columns of temperatures, [N, S], in `parts` steps; those of fixed nodes stay.

    SDIRK2, which is L-stable: u <- R(-h M^-1 K) u with R(z) = (1 + (1 - 2 g) z) / (1 - g z)^2 and g = 1 - 1/sqrt(2).
    """
    free, g, h = hs.array(~fixed, dtype=hs.float64)[:, None], 1.0 - 0.5**0.5, dt / parts
    m, k = (
        free * mass + (1.0 - free) * hs.sparse.identity(len(fixed)),
        free * stiffness,
    )  # fixed nodes: u' = 0
    matrix = m + (g * h) * k
    solve = lambda b: hs.solvers.linear_solve(matrix, b).x
    step = lambda _, u: solve(m @ solve(m @ u - (1.0 - 2.0 * g) * h * (k @ u)))
    return hs.compile(lambda u: hs.fori_loop(0, parts, step, u))


def flow_at_rest(points, triangles, kind):
    """By finite elements after a long time, and exactly."""
    (inner, a), (outer, b) = (circle(points[kind == k]) for k in (1, 2))
    mass, stiffness = hs.physics.linear_elements(points, triangles)
    start = hs.array(kind == 1, dtype=hs.float64)[:, None]
    u = heat_step(mass, stiffness, kind != 0, dt=10.0 * b**2, parts=10)(start)
    square = np.sum((inner - outer) ** 2)
    return float(hs.sum(u * (stiffness @ u))), 2.0 * np.pi / np.arccosh(
        (a**2 + b**2 - square) / (2.0 * a * b)
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mesh", nargs="?", default=os.environ.get("HESSE_MESH"))
    parser.add_argument("--quick", action="store_true", help="the same: it takes a second")
    options = parser.parse_args()
    errors = []
    for n in (1, 2, 4):
        found, exact = flow_at_rest(*annulus(6 * n + 1, 24 * n, outer=2.0))
        errors.append(abs(found / exact - 1.0))
        print(
            f"{(6 * n + 1) * 24 * n:5} nodes: flow {found:.5f}, exactly {exact:.5f}: off by {100 * errors[-1]:.3f} %"
        )
    if not errors[0] > 3.0 * errors[1] > 9.0 * errors[2]:
        raise SystemExit("the error should be of second order")
    if options.mesh:
        found, exact = flow_at_rest(*read(options.mesh))
        print(
            f"{options.mesh}: flow {found:.5f}, exactly {exact:.5f}: off by {100 * abs(found / exact - 1.0):.3f} %"
        )


if __name__ == "__main__":
    main()
