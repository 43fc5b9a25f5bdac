"""Solutions of a batch of trajectories that take their steps together: such loops run with a trajectory in each lane where there
are 4 to 64, and on whole arrays else. Values and derivatives are the same functions."""

import numpy as np
import pytest

import hesse as hs


def layers(dtype):
    rng = np.random.default_rng(1)
    return [
        (hs.array(rng.normal(0, 0.6, (m, n)), dtype=dtype), hs.array(rng.normal(0, 0.1, n), dtype=dtype))
        for m, n in ((2, 11), (11, 2))
    ]


def states(n, dtype):
    return hs.array(np.random.default_rng(n).normal(0, 1, (n, 2)), dtype=dtype)


def solved(params, y0, method="Dopri5", **options):
    def field(t, y):
        (w, b), (v, c) = params
        return hs.tanh(y**3 @ w + b * t) @ v + c

    options = {"rtol": 1e-6, "atol": 1e-8} | options
    return hs.solvers.solve_ivp(field, (0.0, 1.0), y0, method, np.linspace(0, 1, 4), **options).y


def loss(params, y0):
    return hs.mean(solved(params, y0) ** 2)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [1, 3, 4, 5, 20, 64, 65])
def test_fixed_steps_are_those_of_each_trajectory(n, dtype):
    """With fixed steps a batch is its trajectories one by one."""
    params, y0 = layers(dtype), states(n, dtype)
    run = hs.compile(lambda params, y0: solved(params, y0, "RK4", first_step=0.05))
    got = np.asarray(run(params, y0))
    one = hs.compile(lambda params, y0: solved(params, y0, "RK4", first_step=0.05))
    expected = np.stack([np.asarray(one(params, y0[i])) for i in range(n)], axis=1)
    np.testing.assert_allclose(
        got, expected, rtol=1e-12 if dtype == "float64" else 2e-5, atol=1e-12 if dtype == "float64" else 1e-5
    )


@pytest.mark.parametrize("n", [3, 4, 7, 20, 33, 65])
def test_gradients_and_tangents_agree(n):
    """<v, J u>, for the gradient by weights, which adds up over rows and steps, and by the initial states."""
    params, y0 = layers("float64"), states(n, "float64")
    rng = np.random.default_rng(2)
    direction = hs.tree_map(lambda a: hs.array(rng.normal(size=a.shape)), (params, y0))
    value, gradient = hs.compile(hs.value_and_grad(loss, argnums=(0, 1)))(params, y0)
    plain, tangent = hs.compile(lambda d: hs.jvp(loss, (params, y0), d))(direction)
    expected = sum(
        float(hs.sum(g * d)) for g, d in zip(hs.tree_leaves(gradient), hs.tree_leaves(direction), strict=True)
    )
    assert abs(float(tangent) - expected) < 1e-11 * abs(expected)
    assert abs(float(plain) - float(value)) < 1e-13

    step, tight = 1e-4, {"rtol": 1e-10, "atol": 1e-12}
    exact = hs.compile(lambda params, y0: hs.mean(solved(params, y0, **tight) ** 2))
    moved = [
        float(exact(*hs.tree_map(lambda a, d, s=s: a + s * d, (params, y0), direction)))
        for s in (step, -step)
    ]
    assert abs((moved[0] - moved[1]) / (2 * step) - expected) < 1e-4


def test_second_derivatives():
    params, y0 = layers("float64"), states(6, "float64")
    (w, b), last = params
    f = lambda b: loss([(w, b), last], y0)
    hessian = np.asarray(hs.compile(hs.hessian(f))(b))
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-9)
    gradient = hs.compile(hs.grad(f))
    e = np.zeros(11)
    e[3] = 1e-5
    column = (np.asarray(gradient(b + e)) - np.asarray(gradient(b - e))) / 2e-5
    np.testing.assert_allclose(hessian[:, 3], column, atol=1e-6)


def test_same_bits_every_run_and_for_any_number_of_threads():
    params, y0 = layers("float64"), states(20, "float64")
    before = hs.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 7, 1):
            hs.set_num_threads(threads)
            gradient = hs.compile(hs.grad(loss))(params, y0)
            found.append([np.asarray(g).tobytes() for g in hs.tree_leaves(gradient)])
    finally:
        hs.set_num_threads(before)
    assert all(f == found[0] for f in found)


@pytest.mark.parametrize("method", ["Dopri5", "Kvaerno5", "Rodas5P"])
def test_nan_of_one_trajectory_ends_the_solve(method):
    y0 = np.array(states(8, "float64"))
    y0[3, 1] = np.nan
    with pytest.raises(hs.Error, match="y\\[7\\]|NaN|finite"):
        hs.compile(lambda y0: solved(layers("float64"), y0, method))(hs.array(y0))
