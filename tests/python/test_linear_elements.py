"""Linear finite elements against exact integrals, a formula of triangles, and differences."""

import itertools
import math

import numpy as np
import pytest

import hesse as hs
from hesse.physics import linear_elements


def grid(d, n=3, seed=0, shake=0.15):
    """Points of a shaken grid and its simplices (Kuhn's d! of every cube), of the volume n^d as its faces stay."""
    axes = np.stack(np.meshgrid(*[np.arange(n + 1.0)] * d, indexing="ij"), axis=-1).reshape(-1, d)
    inside = ((axes > 0) & (axes < n)).all(axis=1)
    points = axes + shake * inside[:, None] * np.random.default_rng(seed).uniform(-1, 1, axes.shape)
    number = {tuple(a): k for k, a in enumerate(axes.astype(int).tolist())}
    cells = []
    for corner in itertools.product(range(n), repeat=d):
        for order in itertools.permutations(range(d)):
            at, cell = list(corner), [number[corner]]
            for axis in order:
                at[axis] += 1
                cell.append(number[tuple(at)])
            cells.append(cell)
    return points, np.array(cells)


def volumes(points, cells):
    sides = points[cells[:, 1:]] - points[cells[:, :1]]
    squares = sides @ sides.transpose(0, 2, 1)
    return np.sqrt(np.linalg.det(squares)) / math.factorial(cells.shape[1] - 1)


def dense(matrices):
    return [np.asarray(m.todense()) for m in matrices]


@pytest.mark.parametrize("d", [1, 2, 3])
def test_integrals_of_linear_functions_are_exact(d):
    points, cells = grid(d)
    rng = np.random.default_rng(1)
    r, k, slope = rng.uniform(1, 2, len(cells)), rng.uniform(1, 2, len(cells)), rng.normal(size=d)
    mass, stiffness = linear_elements(points, cells, density=r, conductivity=k)
    m, s = dense((mass, stiffness))
    np.testing.assert_array_equal(mass.indices, stiffness.indices)
    np.testing.assert_allclose(m, m.T, atol=1e-14)
    np.testing.assert_allclose(s, s.T, atol=1e-14)
    volume, f = volumes(points, cells), 0.7 + points @ slope
    np.testing.assert_allclose(volume.sum(), 3.0**d, rtol=1e-12)
    np.testing.assert_allclose(m.sum(), np.sum(r * volume), rtol=1e-12)
    np.testing.assert_allclose(
        np.ones(len(f)) @ m @ f, np.sum(r * volume * f[cells].mean(axis=1)), rtol=1e-12
    )
    squares = (np.sum(f[cells] ** 2, axis=1) + f[cells].sum(axis=1) ** 2) / ((d + 1) * (d + 2))
    np.testing.assert_allclose(f @ m @ f, np.sum(r * volume * squares), rtol=1e-12)
    np.testing.assert_allclose(f @ s @ f, np.sum(k * volume) * (slope @ slope), rtol=1e-12)
    # Where the conductivity is the same everywhere, linear functions have no sources inside.
    inside = ((points > 0) & (points < 3)).all(axis=1)
    s = dense(linear_elements(points, cells, conductivity=2.5))[1]
    assert inside.any() and np.linalg.eigvalsh(s)[0] > -1e-12
    np.testing.assert_allclose((s @ f)[inside], 0.0, atol=1e-12)
    np.testing.assert_allclose(s.sum(axis=1), 0.0, atol=1e-12)


def test_triangles_have_cotangents():
    """K_ij = -(cot a + cot b) / 2, of the angles opposite to the edge; also of a surface in space."""
    points, cells = grid(2)
    bowl = np.concatenate([points, 0.3 * np.sum(points**2, axis=1, keepdims=True)], axis=1)
    for p in (points, bowl):
        expected = np.zeros((len(p), len(p)))
        for cell in cells:
            for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
                a, b = p[cell[i]] - p[cell[k]], p[cell[j]] - p[cell[k]]
                cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
                half = 0.5 * cosine / np.sqrt(1 - cosine**2)
                for one, two in ((cell[i], cell[j]), (cell[j], cell[i])):
                    expected[one, two] -= half
                    expected[one, one] += half
        mass, stiffness = dense(linear_elements(p, cells))
        np.testing.assert_allclose(stiffness, expected, atol=1e-12)
        np.testing.assert_allclose(mass.sum(), volumes(p, cells).sum(), rtol=1e-12)


@pytest.mark.parametrize("d", [1, 2])
def test_what_is_embedded_is_the_same(d):
    """Turned into a space of three dimensions, and with corners in another order."""
    points, cells = grid(d)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    space = np.pad(points, [(0, 0), (0, 3 - d)]) @ turn.T + [1.0, -2.0, 0.5]
    for a, b in zip(
        dense(linear_elements(points, cells)), dense(linear_elements(space, cells[:, ::-1])), strict=True
    ):
        np.testing.assert_allclose(b, a, atol=1e-12)


def test_second_order():
    """-div grad u = f with u = sin(x) sin(y) on a square of side pi, and what flows through a side as its integral."""
    errors = []
    for n in (6, 12):
        points, cells = grid(2, n, shake=0.1)
        points = points * np.pi / n
        mass, stiffness = linear_elements(points, cells)
        u = np.sin(points[:, 0]) * np.sin(points[:, 1])
        inside = ((points > 1e-9) & (points < np.pi - 1e-9)).all(axis=1)
        a, b = np.asarray(stiffness.todense()), np.asarray(mass @ hs.array(2.0 * u))
        found = np.zeros_like(u)
        found[inside] = np.linalg.solve(a[np.ix_(inside, inside)], b[inside])
        errors.append(np.abs(found - u).max())
    assert errors[0] < 0.08 and errors[1] < errors[0] / 3
    side = np.array([[k * 13, (k + 1) * 13] for k in range(12)])  # y = 0, as lines
    on_side = linear_elements(points, side)[0]
    np.testing.assert_allclose(float(on_side.sum()), np.pi, rtol=1e-12)


def test_derivatives_by_points_and_coefficients():
    points, cells = grid(2, 2)
    rng = np.random.default_rng(3)
    r, k = rng.uniform(1, 2, len(cells)), rng.uniform(1, 2, len(cells))
    c = rng.normal(size=(2, len(points), len(points)))

    def value(points, r, k):
        m, s = linear_elements(points, cells, density=r, conductivity=k)
        return hs.sum(m.todense() * c[0]) + hs.sum(s.todense() * c[1])

    arguments = [hs.array(a) for a in (points, r, k)]
    for n, slope in enumerate(hs.grad(value, argnums=(0, 1, 2))(*arguments)):
        direction, h = rng.normal(size=slope.shape), 1e-5
        moved = lambda t: float(value(*(a + t * direction if q == n else a for q, a in enumerate(arguments))))
        expected = (moved(h) - moved(-h)) / (2 * h)
        np.testing.assert_allclose(float(hs.sum(slope * direction)), expected, rtol=1e-8, atol=1e-8)
    with pytest.raises(hs.TraceError, match="linear_elements: cells must hold data"):
        hs.compile(lambda cells: linear_elements(points, cells))(cells)
    corners = cells.tolist()
    compiled = hs.compile(lambda p: hs.sum(linear_elements(p, corners)[1].todense() * c[1]))
    expected = float(hs.sum(linear_elements(points, cells)[1].todense() * c[1]))
    np.testing.assert_allclose(float(compiled(points)), expected, rtol=1e-12)


def test_dtypes_empty_meshes_and_points_of_no_cell():
    points, cells = grid(2)
    single, double = linear_elements(points.astype(np.float32), cells), linear_elements(points, cells)
    for a, b in zip(single, double, strict=True):
        assert a.dtype == hs.float32 and b.dtype == hs.float64
        np.testing.assert_allclose(a.todense(), b.todense(), atol=1e-5)
    whole = linear_elements(np.array([[0], [2], [7]]), [[0, 1]])
    assert whole[0].dtype == hs.float64
    np.testing.assert_allclose(whole[0].todense(), [[2 / 3, 1 / 3, 0], [1 / 3, 2 / 3, 0], [0, 0, 0]])
    np.testing.assert_allclose(whole[1].todense(), [[0.5, -0.5, 0], [-0.5, 0.5, 0], [0, 0, 0]])
    for m in linear_elements(points, np.zeros((0, 3), int)):
        assert m.shape == (16, 16) and m.nnz == 0


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (([0.0, 1.0], [[0, 1]]), ValueError, r"points must be \[N, D\], got shape \(2,\)"),
        (([[1j], [0]], [[0, 1]]), TypeError, "points must hold real numbers, got complex128"),
        (([[0.0], [1.0]], [[0, 1, 1]]), ValueError, r"1 <= d <= 1, the dimension of the points, got shape \(1, 3\)"),
        (([[0.0], [1.0]], [0, 1]), ValueError, r"got shape \(2,\)"),
        (([[0.0], [1.0]], [[0.0, 1.0]]), TypeError, "cells must hold integers, got float64"),
        (([[0.0], [1.0]], [[0, 1], [1, 2]]), IndexError, r"cell 1 has the corners \[1, 2\], but points are 0 to 1"),
        (([[0.0], [1.0]], [[0, 1], [-1, 0]]), IndexError, r"cell 1 has the corners \[-1, 0\]"),
        (([[0.0], [1.0]], [[0, 1], [1, 1]]), ValueError, "cell 1 has the volume 0; 1 cell"),
        (([[0.0, 0.0], [1.0, 1.0], [3.0, 3.0]], [[0, 1, 2]]), ValueError, "cell 0 has the volume"),
        (([[0.0] * 3, [1.0] * 3, [3.0] * 3], [[0, 1, 2]]), ValueError, "cell 0 has the volume"),
        (([[0.0], [np.nan]], [[0, 1]]), ValueError, "cell 0 has the volume nan"),
    ],
)  # fmt: skip
def test_refused(arguments, error, message):
    with pytest.raises(error, match=f"linear_elements: .*{message}"):
        linear_elements(*arguments)


def test_refused_coefficients():
    for name in ("density", "conductivity"):
        with pytest.raises(
            ValueError, match=rf"linear_elements: {name} must be a number or \[2\].*got shape \(3,\)"
        ):
            linear_elements([[0.0], [1.0], [2.0]], [[0, 1], [1, 2]], **{name: [1.0, 2.0, 3.0]})
