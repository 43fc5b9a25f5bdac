"""Graphs of meshes and MeshGraphNet against formulas in NumPy, and files that meshio reads.

HESSE_DATA names the folder of published meshes; by default shared/data beside the checkout.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import hesse as hs
from hesse import gnn

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HESSE_DATA", ROOT.parent / "shared" / "data"))


def sheet(n=4, seed=0):
    """Points of a shaken grid and its triangles."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1).reshape(-1, 2)
    corners = np.arange(n * n).reshape(n, n)
    a, b, c, d = (corners[i : n - 1 + i, j : n - 1 + j].ravel() for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    triangles = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])
    return grid + 0.2 * rng.uniform(-1, 1, grid.shape), triangles


def mesh(dtype=np.float64, seed=0, n=4):
    points, triangles = sheet(n, seed)
    x = np.random.default_rng(seed + 1).normal(size=(len(points), 2))
    return gnn.from_mesh(points.astype(dtype), triangles, x.astype(dtype))


# ---- from_mesh ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "kind, corners, sides",
    [("line", 2, 1), ("triangle", 3, 3), ("quad", 4, 4), ("tetra", 4, 6), ("pyramid", 5, 8), ("wedge", 6, 9),
     ("hexahedron", 8, 12), ("vertex", 1, 0)],
)  # fmt: skip
def test_cells_have_their_sides(kind, corners, sides):
    """As many as Euler's formula says; every corner of a body of faces has at least three."""
    points = np.random.default_rng(0).normal(size=(corners, 3))
    graph = gnn.from_mesh(points, {kind: np.arange(corners)[None]})
    assert graph.num_edges == 2 * sides and graph.is_undirected() and not graph.has_self_loops()
    if kind in ("tetra", "wedge", "hexahedron"):
        assert (np.asarray(graph.degree()) == 3).all()
    if kind == "hexahedron":  # corners of a cube: sides are those of length one
        cube = np.array(
            [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
        )
        graph = gnn.from_mesh(cube, {kind: np.arange(8)[None]})
        np.testing.assert_array_equal(graph.edge_attr[:, 3], np.ones(24))


def test_sides_are_kept_once_and_have_vectors():
    points, triangles = sheet(5)
    graph = gnn.from_mesh(points, triangles)
    pairs = {tuple(sorted(map(int, p))) for t in triangles for p in (t[[0, 1]], t[[1, 2]], t[[2, 0]])}
    s, t = np.asarray(graph.edge_index)
    assert sorted(zip(s.tolist(), t.tolist(), strict=True)) == sorted([*pairs, *((b, a) for a, b in pairs)])
    d = points[s] - points[t]
    np.testing.assert_array_equal(graph.edge_attr[:, :2], d)
    np.testing.assert_allclose(graph.edge_attr[:, 2], np.linalg.norm(d, axis=1), rtol=1e-15)
    more = gnn.from_mesh(
        np.float32(np.r_[points, [[9.0, 9.0]]]), {"triangle": triangles, "line": triangles[:, :2]}
    )
    assert more.num_edges == graph.num_edges and more.edge_attr.dtype == hs.float32
    assert int(more.degree()[-1]) == 0


def test_what_from_mesh_refuses():
    points, triangles = sheet()
    with pytest.raises(
        IndexError, match=r"from_mesh: cell 1 of kind 'triangle' has the corners \[0, 1, 16\], but points"
    ):
        gnn.from_mesh(points, [[0, 1, 2], [0, 1, 16]])
    with pytest.raises(IndexError, match=r"1 cell\(s\) are out of range"):
        gnn.from_mesh(points, [[0, 1, -1]])
    with pytest.raises(
        ValueError, match=r"from_mesh: cell 0 of kind 'triangle' has a corner twice, \[0, 1, 0\]"
    ):
        gnn.from_mesh(points, [[0, 1, 0]])
    with pytest.raises(
        ValueError, match=r"from_mesh: cells must be \[M, 3\] triangles .* got shape \(2, 6\)"
    ):
        gnn.from_mesh(points, np.zeros((2, 6), int))
    with pytest.raises(
        ValueError, match=r'no tetrahedra in two dimensions; give quadrilaterals as \{"quad": cells\}'
    ):
        gnn.from_mesh(points, [[0, 1, 2, 3]])
    with pytest.raises(
        ValueError, match=r"from_mesh: cells of kind 'triangle6' are not known; it knows vertex, line"
    ):
        gnn.from_mesh(points, {"triangle6": np.zeros((1, 6), int)})
    with pytest.raises(
        ValueError, match=r"from_mesh: cells of kind 'quad' must be \[M, 4\], got shape \(1, 3\)"
    ):
        gnn.from_mesh(points, {"quad": [[0, 1, 2]]})
    with pytest.raises(TypeError, match=r"from_mesh: cells must hold integers, got float64"):
        gnn.from_mesh(points, triangles.astype(float))
    with pytest.raises(ValueError, match=r"from_mesh: points must be finite, but row 3 is \[nan, 0\.0\]"):
        gnn.from_mesh(np.where(np.arange(8).reshape(4, 2) == 6, np.nan, 0.0), [[0, 1, 2]])
    with pytest.raises(ValueError, match=r"from_mesh: points must be \[N, D\], got shape \(3,\)"):
        gnn.from_mesh(np.zeros(3), [[0, 1, 2]])
    assert gnn.from_mesh(points, np.zeros((0, 3), int)).num_edges == 0


@pytest.mark.parametrize(
    "name, points, edges", [("mesh_cylinder_lam.su2", 13336, 39528), ("nested_cubes.msh", 138, None), ("square-disc.vtk", 101, 255)],
)  # fmt: skip
def test_files_that_meshio_reads(name, points, edges):
    meshio, path = pytest.importorskip("meshio"), DATA / "mesh" / name
    if not path.exists():
        pytest.skip(f"needs {path.name} in {path.parent}, the folder mesh of HESSE_DATA")
    found = meshio.read(path)
    graph = gnn.from_mesh(found.points, found.cells_dict)
    assert graph.num_nodes == points
    cells = {k: np.asarray(c) for k, c in found.cells_dict.items() if k in ("triangle", "tetra")}
    pairs = np.concatenate(
        [c[:, [a, b]] for c in cells.values() for a in range(c.shape[1]) for b in range(a)]
    )
    unique = np.unique(np.sort(pairs, axis=1), axis=0)
    assert graph.num_edges == 2 * len(unique) and edges in (None, len(unique))


# ---- MeshGraphNet ------------------------------------------------------------------------------------------------------
def mlp(net, x):
    f = np.tanh if net.activation is hs.tanh else lambda h: np.where(h.real > 0, h, 0)
    for layer in net.layers[:-1]:
        x = f(layer.weight @ x + layer.bias)
    return net.layers[-1].weight @ x + net.layers[-1].bias


def normalised(m, x):
    y = mlp(m.net, x)
    y = y - y.mean()
    return y / np.sqrt((y * y).mean() + m.norm.epsilon) * m.norm.scale + m.norm.shift


def formula(m, x, edges, attr):
    """Edge by edge; takes complex numbers."""
    v, e = [normalised(m.node_encoder, row) for row in x], [normalised(m.edge_encoder, row) for row in attr]
    for block in m.blocks:
        sums = [0 * row for row in v]
        new = []
        for k, (j, i) in enumerate(edges.T):
            message = normalised(block.edge, np.concatenate([e[k], v[i], v[j]]))
            new.append(e[k] + message)
            sums[i] = sums[i] + message
        v, e = (
            [row + normalised(block.node, np.concatenate([row, s])) for row, s in zip(v, sums, strict=True)],
            new,
        )
    return np.array([mlp(m.decoder, row) for row in v])


def net(dtype=None, **options):
    """All parameters drawn, shifts and biases too."""
    made = gnn.MeshGraphNet(
        2, 3, 2, **{"hidden": 5, "blocks": 2, **options}, key=hs.random.key(0), dtype=dtype
    )
    rng = np.random.default_rng(1)
    return hs.tree_map(lambda a: a + hs.astype(hs.array(0.2 * rng.normal(size=a.shape)), a.dtype), made)


@pytest.mark.parametrize(
    "options", [{}, {"layers": 1}, {"activation": hs.tanh}], ids=["as in the paper", "shallow", "tanh"]
)
@pytest.mark.parametrize("dtype, rtol", [(hs.float64, 1e-11), (hs.float32, 2e-4)], ids=str)
def test_values_are_those_of_the_formula(options, dtype, rtol):
    graph, model = mesh(np.float32), net(**options)
    expected = formula(
        hs.tree_map(np.asarray, model), np.asarray(graph.x, float), np.asarray(graph.edge_index),
        np.asarray(graph.edge_attr, float),
    )  # fmt: skip
    cast = lambda tree: hs.tree_map(
        lambda a: hs.astype(a, dtype) if a.dtype in (hs.float32, hs.float64) else a, tree
    )
    for f in (lambda m, g: m(g.x, g), hs.compile(lambda m, g: m(g.x, g))):
        found = f(cast(model), cast(graph))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)


def test_gradients_are_those_of_the_formula():
    """By every parameter, features of nodes and of edges, along random directions, by complex steps."""
    graph, model = mesh(n=3), net()
    c = np.random.default_rng(3).normal(size=(9, 2))
    loss = lambda m, x, attr: hs.sum(hs.array(c) * m(x, graph, attr))
    at = (model, graph.x, graph.edge_attr)
    for grad in (hs.grad(loss, argnums=(0, 1, 2)), hs.compile(hs.grad(loss, argnums=(0, 1, 2)))):
        slopes = hs.tree_leaves(grad(*at))
        leaves, treedef = hs.tree_flatten(at)
        plain, rng = [np.asarray(a) for a in leaves], np.random.default_rng(0)
        for k, (leaf, slope) in enumerate(zip(plain, slopes, strict=True)):
            direction = rng.normal(size=leaf.shape)
            m, x, attr = treedef.unflatten([*plain[:k], leaf + 1e-30j * direction, *plain[k + 1 :]])
            expected = np.sum(c * formula(m, x, np.asarray(graph.edge_index), attr)).imag / 1e-30
            found = float(np.sum(np.asarray(slope) * direction))
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-11), treedef.paths()[k]


def test_second_derivatives():
    graph, model = mesh(n=3), net()
    x, rng = graph.x, np.random.default_rng(0)
    gradient = hs.grad(lambda x: hs.sum(hs.sin(model(x, graph))))
    u, w = (hs.array(rng.normal(size=x.shape)) for _ in range(2))
    hu, hw = (hs.jvp(gradient, (x,), (d,))[1] for d in (u, w))
    assert float(hs.sum(hu * w)) == pytest.approx(float(hs.sum(hw * u)), rel=1e-9)
    difference = (gradient(x + 1e-6 * u) - gradient(x - 1e-6 * u)) / 2e-6
    np.testing.assert_allclose(hu, difference, rtol=1e-5, atol=1e-6)


def test_a_node_is_changed_by_what_is_near():
    """Two blocks: what is three edges away does not reach it."""
    graph, model = mesh(n=6), net()
    hops = np.full(36, 99)
    hops[0], s, t = 0, *np.asarray(graph.edge_index)
    for k in range(12):
        hops[t[hops[s] == k]] = np.minimum(hops[t[hops[s] == k]], k + 1)
    x = np.array(graph.x)
    x[hops >= 3] += 1.0
    before, after = (np.asarray(model(a, graph)) for a in (graph.x, x))
    np.testing.assert_array_equal(after[hops == 0], before[hops == 0])
    assert (before[hops == 1] != after[hops == 1]).any()


def test_batches_maps_and_graphs_without_edges():
    model, graphs = (
        net(),
        [
            mesh(seed=0),
            mesh(seed=1, n=3),
            gnn.from_mesh(np.zeros((2, 2)), np.zeros((0, 3), int), np.ones((2, 2))),
        ],
    )
    both = gnn.batch(graphs)
    expected = np.concatenate([np.asarray(model(g.x, g)) for g in graphs])
    np.testing.assert_allclose(model(both.x, both), expected, rtol=1e-11, atol=1e-12)
    graph, rng = graphs[0], np.random.default_rng(0)
    xs, attrs = hs.array(rng.normal(size=(3, 16, 2))), hs.array(rng.normal(size=(3, graph.num_edges, 3)))
    mapped = hs.vmap(lambda x, e: model(x, graph, e))(xs, attrs)
    np.testing.assert_allclose(
        mapped,
        [np.asarray(model(x, graph, e)) for x, e in zip(xs, attrs, strict=True)],
        rtol=1e-10,
        atol=1e-11,
    )
    none = gnn.from_mesh(np.zeros((0, 2)), np.zeros((0, 3), int), np.zeros((0, 2)))
    assert model(none.x, none).shape == (0, 2)


def test_what_mesh_graph_net_refuses():
    graph, model = mesh(), net()
    with pytest.raises(
        ValueError, match=r"MeshGraphNet: x must be \[16, 2\] for this graph, got shape \(16, 3\)"
    ):
        model(np.zeros((16, 3)), graph)
    with pytest.raises(ValueError, match=r"MeshGraphNet: edge_attr must be \[66, 3\], got shape \(66, 2\)"):
        model(graph.x, graph, np.zeros((66, 2)))
    with pytest.raises(TypeError, match=r"MeshGraphNet: graph must be a hs\.gnn\.Graph"):
        model(graph.x, 3)
    with pytest.raises(ValueError, match=r"MeshGraphNet: blocks must be positive, got 0"):
        gnn.MeshGraphNet(1, 1, 1, blocks=0)
