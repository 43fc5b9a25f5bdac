"""The finite elements of examples/python/heat_elements.py against exact solutions, and the scales of mesh_heat.py's network."""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import hesse as hs
from hesse import gnn
from hesse.physics import linear_elements

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HESSE_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def elements():
    sys.path.insert(0, str(ROOT / "examples" / "python"))  # where a script's own folder is
    try:
        yield importlib.import_module("heat_elements")
    finally:
        sys.path.remove(str(ROOT / "examples" / "python"))


@pytest.fixture(scope="module")
def heat(elements):
    return importlib.import_module("mesh_heat")


def areas(points, triangles):
    a, b = (points[triangles[:, k]] - points[triangles[:, 0]] for k in (1, 2))
    return 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def test_a_ring_of_triangles(elements):
    points, triangles, kind = elements.annulus(8, 20, outer=2.0)
    area, radius = areas(points, triangles), np.hypot(*points.T)
    polygon = 10 * np.sin(2 * np.pi / 20) * (2.0**2 - 0.5**2)
    assert area.min() > 0 and area.sum() == pytest.approx(polygon, rel=1e-12)
    graph = gnn.from_mesh(points, triangles)
    assert len(points) - graph.num_edges // 2 + len(triangles) == 0  # Euler
    np.testing.assert_allclose(radius[kind == 1], 0.5, rtol=1e-12)
    np.testing.assert_allclose(radius[kind == 2], 2.0, rtol=1e-12)


def step_of(elements, points, triangles, kind, dt, parts=1):
    return elements.heat_step(*linear_elements(points, triangles), kind != 0, dt, parts)


def test_a_mode_of_the_annulus_decays_as_it_should(elements):
    """u = Z(l r) cos(2 a) e^(-l^2 t), Z = J_2 Y_2(l/2) - Y_2 J_2(l/2) of order 2, 0 at both radii; error of order h^2."""
    special, optimize = pytest.importorskip("scipy.special"), pytest.importorskip("scipy.optimize")
    z = lambda l, r: (
        special.jv(2, l * r) * special.yv(2, l * 0.5) - special.yv(2, l * r) * special.jv(2, l * 0.5)
    )
    l, t = optimize.brentq(lambda l: z(l, 2.0), 2.0, 3.5), 0.1
    errors = []
    for n in (1, 2):
        points, triangles, kind = elements.annulus(12 * n - (n - 1), 36 * n, outer=2.0)
        mode = z(l, np.hypot(*points.T)) * np.cos(2.0 * np.arctan2(points[:, 1], points[:, 0]))
        step = step_of(elements, points, triangles, kind, t, parts=6 * n)
        u = np.asarray(step(hs.array(np.stack([mode, -2.0 * mode], axis=1))))
        np.testing.assert_allclose(u[:, 1], -2.0 * u[:, 0], rtol=1e-9, atol=1e-12)
        errors.append(
            np.linalg.norm(u[:, 0] - np.exp(-(l**2) * t) * mode) / np.linalg.norm(np.exp(-(l**2) * t) * mode)
        )
    assert errors[0] < 0.03 and errors[1] < errors[0] / 3.4


def test_steps_of_time_are_of_second_order_and_damp(elements):
    points, triangles, kind = elements.annulus(6, 14)
    u = hs.array(np.random.default_rng(0).normal(size=(len(points), 1)))
    solve = lambda parts: np.asarray(step_of(elements, points, triangles, kind, 0.2, parts)(u))
    exact = solve(256)
    np.testing.assert_array_equal(exact[kind != 0], np.asarray(u)[kind != 0])
    errors = [np.linalg.norm(solve(parts) - exact) for parts in (8, 16, 32)]
    assert errors[0] / errors[1] > 3.4 and errors[1] / errors[2] > 3.4
    # One step of a thousand times the slowest time: at rest, where a method that is not L-stable swings.
    rest = np.asarray(step_of(elements, points, triangles, kind, 1e3)(u))
    np.testing.assert_allclose(
        rest, np.asarray(step_of(elements, points, triangles, kind, 1e6)(u)), atol=1e-2
    )


def test_what_the_network_sees_has_no_unit(elements, heat):
    """A mesh of twice the size has the same features, and temperatures their multiples; boundaries stay."""
    points, triangles, kind = elements.annulus(6, 20)
    rng = lambda: np.random.default_rng(0)
    (graph, u), (other, v) = (heat.runs_on(c * points, triangles, kind, 2, 3, rng()) for c in (1.0, 2.0))
    np.testing.assert_allclose(other.x, graph.x, atol=1e-6)
    np.testing.assert_allclose(other.edge_attr, graph.edge_attr, atol=1e-6)
    np.testing.assert_allclose(v, u, atol=1e-5)
    assert u.shape == (4, 2, 120) and np.abs(u[1:] - u[:-1])[:, :, kind == 0].max() > 0.01
    model = gnn.MeshGraphNet(4, 4, 1, hidden=8, blocks=2, key=hs.random.key(0), dtype=hs.float32)
    after = np.asarray(heat.predict(model, graph, hs.array(u[0, 0])))
    np.testing.assert_array_equal(after[kind != 0], u[0, 0][kind != 0])
    assert np.abs(after - u[0, 0]).max() > 1e-4
    np.testing.assert_allclose(
        heat.predict(model, graph, hs.array(3.0 * u[0, 0])), 3.0 * after, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", ["cylinder_lam.h5", "mesh_cylinder_lam.su2"])
def test_the_published_mesh(elements, name):
    path = DATA / "mesh" / name
    if not path.exists():
        pytest.skip(f"needs {path.name} in {path.parent}, the folder mesh of HESSE_DATA")
    pytest.importorskip("h5py" if name.endswith("h5") else "meshio")
    points, triangles, kind = elements.read(path)
    assert np.bincount(kind).tolist() == [12856, 400, 80]
    mass, _ = linear_elements(points, triangles)
    assert float(mass.sum()) == pytest.approx(705.3462, abs=1e-4)
    for k, exact in ((1, [0.5, 0.0, 0.5]), (2, [0.0, 0.0, 15.0])):
        centre, radius = elements.circle(points[kind == k])
        np.testing.assert_allclose([*centre, radius], exact, atol=1e-4)
    found, exact = elements.flow_at_rest(points, triangles, kind)
    assert found == pytest.approx(exact, rel=1e-3)
