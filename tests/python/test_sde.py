"""solve_sde and BrownianPath: orders on geometric Brownian motion, paths that do not depend on steps, derivatives."""

import numpy as np
import pytest

import hesse as hs
from hesse.solvers import BrownianPath, solve_sde

METHODS = ("EulerMaruyama", "Milstein", "ReversibleHeun")
RATE, VOLATILITY = 0.4, 0.6


def keys(n, seed=0):
    return hs.random.split(hs.random.key(seed), n)


def slopes(errors):
    return np.log2(np.array(errors[:-1]) / errors[1:])


# Brownian paths ---------------------------------------------------------------------------------------------


def test_a_path_is_its_series():
    """The definition, where it is a sum of three terms: bits that other implementations can be checked by."""
    key = hs.random.key(42)
    path = BrownianPath(key, 1.0, 3.0, (2,))
    levels = hs.random.split(key, 22)
    rise = hs.random.normal(levels[0], (2,))
    first = hs.random.normal(hs.random.fold_in(levels[1], 0), (2,))
    second = hs.random.normal(hs.random.fold_in(levels[2], 1), (2,))
    assert hs.allclose(path(1.0), hs.zeros(2), atol=0)
    assert hs.allclose(path(2.0), np.sqrt(2) * (0.5 * rise + 0.5 * first), rtol=1e-14)
    expected = np.sqrt(2) * (0.75 * rise + 0.25 * first + 0.5 / np.sqrt(2) * second)
    assert hs.allclose(path(2.5), expected, rtol=1e-14)
    assert hs.allclose(path(3.0), np.sqrt(2) * rise, rtol=1e-14)


def test_moments_at_times_that_no_interval_ends_at():
    times = hs.array([0.1, 1 / 3, 0.7, 0.7 + 1e-5])
    w = np.asarray(hs.compile(hs.vmap(lambda k: BrownianPath(k, 0.0, 1.0, (2,))(times)))(keys(20_000)))
    assert w.shape == (20_000, 4, 2)
    covariance = np.einsum("nij,nkj->ik", w, w) / (2 * len(w))
    t = np.asarray(times)
    assert np.abs(covariance - np.minimum.outer(t, t)).max() < 0.02
    assert np.abs(w.mean(axis=0)).max() < 0.02
    small = (w[:, 3] - w[:, 2]) / np.sqrt(1e-5)
    assert abs(small.var() - 1) < 0.03
    assert abs((small**4).mean() - 3) < 0.2
    assert abs(np.mean(w[..., 0] * w[..., 1])) < 0.01
    assert abs(np.mean((w[:, 1] - w[:, 0]) * (w[:, 2] - w[:, 1]))) < 0.01


def test_a_path_does_not_depend_on_how_it_is_evaluated():
    path = BrownianPath(hs.random.key(1), 0.0, 2.0)
    times = np.linspace(0, 2, 31)
    together = np.asarray(path(times))
    assert np.allclose(together, [float(path(t)) for t in times], rtol=1e-13, atol=1e-15)
    assert np.array_equal(together[::-1], np.asarray(path(times[::-1])))
    assert np.array_equal(np.asarray(path(np.linspace(0, 2, 61))[::2]), together)
    assert hs.allclose(hs.compile(lambda p: p(times))(path), together, rtol=1e-12)
    assert path(times.reshape(1, 31)).shape == (1, 31)
    assert not np.array_equal(together, np.asarray(BrownianPath(hs.random.key(2), 0.0, 2.0)(times)))


def test_paths_of_other_kinds():
    single = BrownianPath(hs.random.key(0), 0.0, 1.0, (3, 2), dtype=hs.float32)
    assert single(0.5).dtype == hs.float32 and single(0.5).shape == (3, 2)
    assert np.isnan(float(BrownianPath(hs.random.key(0), 0.0, 1.0)(1.5)))
    assert float(hs.grad(BrownianPath(hs.random.key(0), 0.0, 1.0))(0.3)) == 0.0
    assert BrownianPath(hs.random.key(0), 0.0, 1.0, (0,))(0.5).shape == (0,)


def test_what_paths_refuse():
    with pytest.raises(TypeError, match="key is float64.*expected one random key"):
        BrownianPath(0.0, 0.0, 1.0)
    with pytest.raises(TypeError, match="expected one random key"):
        BrownianPath(keys(2), 0.0, 1.0)
    with pytest.raises(ValueError, match="the span from 1 to 0 does not ascend"):
        BrownianPath(hs.random.key(0), 1.0, 0.0)
    with pytest.raises(ValueError, match="tolerance is 0"):
        BrownianPath(hs.random.key(0), 0.0, 1.0, tolerance=0.0)
    with pytest.raises(TypeError, match="dtype is int64"):
        BrownianPath(hs.random.key(0), 0.0, 1.0, dtype=hs.int64)
    with pytest.raises(TypeError, match="expected a tuple of integers"):
        BrownianPath(hs.random.key(0), 0.0, 1.0, (1.5,))
    with pytest.raises(ValueError, match="expected lengths of 0 or more"):
        BrownianPath(hs.random.key(0), 0.0, 1.0, (-1,))


# orders -----------------------------------------------------------------------------------------------------


def geometric(method, rate=RATE, volatility=VOLATILITY):
    """Drift and diffusion of dy = rate y dt + volatility y dW in the sense of Ito, whatever the method's."""
    shift = 0.5 * volatility**2 if method == "ReversibleHeun" else 0.0
    return (lambda t, y: (rate - shift) * y), (lambda t, y: volatility * y)


@pytest.mark.parametrize("method", METHODS)
def test_strong_order(method):
    drift, diffusion = geometric(method)

    def error(key, n):
        path = BrownianPath(key, 0.0, 1.0)
        sol = solve_sde(drift, diffusion, (0.0, 1.0), 1.0, path, n, method, [1.0])
        exact = hs.exp(RATE - 0.5 * VOLATILITY**2 + VOLATILITY * path(1.0))
        return hs.abs(sol.y[0] - exact)

    errors = [
        float(hs.mean(hs.compile(hs.vmap(lambda k, n=n: error(k, n)))(keys(1000)))) for n in (16, 32, 64, 128)
    ]
    order = 0.5 if method == "EulerMaruyama" else 1.0
    assert np.all(np.abs(slopes(errors) - order) < 0.17), errors


@pytest.mark.parametrize("method", METHODS)
def test_strong_order_with_additive_noise(method):
    """dy = -y dt + cos t dW: errors against the same path in many more steps."""

    def last(key, n):
        sol = solve_sde(lambda t, y: -y, lambda t, y: hs.cos(t), (0.0, 1.0), 1.0, key, n, method, [1.0])
        return sol.y[0]

    def errors(key):
        best = last(key, 2048)
        return hs.stack([hs.abs(last(key, n) - best) for n in (8, 16, 32)])

    found = np.asarray(hs.mean(hs.compile(hs.vmap(errors))(keys(200)), axis=0))
    assert np.all(slopes(found) > 0.8), found


def test_weak_order():
    """The mean of geometric Brownian motion: paired with the exact solution of each path, so few paths do."""

    def errors(method):
        drift, diffusion = geometric(method, 1.0, 0.3)

        def one(key, n):
            path = BrownianPath(key, 0.0, 1.0)
            sol = solve_sde(drift, diffusion, (0.0, 1.0), 1.0, path, n, method, [1.0])
            return sol.y[0] - hs.exp(1.0 - 0.045 + 0.3 * path(1.0))

        return [
            abs(float(hs.mean(hs.compile(hs.vmap(lambda k, n=n: one(k, n)))(keys(8000, 5)))))
            for n in (4, 8, 16)
        ]

    for method in ("EulerMaruyama", "Milstein"):
        found = errors(method)
        assert np.all(np.abs(slopes(found) - 1) < 0.35), (method, found)


def test_milstein_with_a_vector_of_noise_that_commutes():
    """dy = A y dt + sum_j B_j y dW_j with diagonal A, B_j: y = exp((A - sum B_j^2 / 2) t + sum B_j W_j) y0."""
    a, b = hs.array([0.3, -0.2]), hs.array([[0.5, 0.2, 0.1], [-0.3, 0.4, 0.2]])

    def error(key, n, method):
        path = BrownianPath(key, 0.0, 1.0, (3,))
        sol = solve_sde(
            lambda t, y: a * y,
            lambda t, y: b * y[:, None],
            (0.0, 1.0),
            hs.ones(2),
            path,
            n,
            method,
            [1.0],
            noise_shape=(3,),
        )
        exact = hs.exp(a - 0.5 * hs.sum(b**2, axis=1) + b @ path(1.0))
        return hs.sum(hs.abs(sol.y[0] - exact))

    for method, order in (("Milstein", 1.0), ("EulerMaruyama", 0.5)):
        found = [
            float(hs.mean(hs.compile(hs.vmap(lambda k, n=n, m=method: error(k, n, m)))(keys(300))))
            for n in (8, 16, 32)
        ]
        assert np.all(np.abs(slopes(found) - order) < 0.25), (method, found)


def test_scalar_noise_and_its_other_forms():
    """One noise for all as a scalar, and as a vector of one."""
    key = hs.random.key(3)
    y0 = {"a": hs.array([1.0, 2.0]), "b": hs.array(0.5)}

    def drift(t, y):
        return hs.tree_map(lambda x: -x, y)

    def diffusion(t, y):
        return {"a": 0.3 * y["a"] * y["b"], "b": 0.2 * y["b"]}

    def columns(t, y):
        return hs.tree_map(lambda g: g[..., None], diffusion(t, y))

    for method in METHODS:
        scalar = solve_sde(drift, diffusion, (0.0, 1.0), y0, key, 20, method, noise_shape=())
        path = BrownianPath(key, 0.0, 1.0, ())
        again = solve_sde(drift, diffusion, (0.0, 1.0), y0, path, 20, method, noise_shape=())
        vector = solve_sde(drift, columns, (0.0, 1.0), y0, key, 20, method, noise_shape=(1,))
        assert scalar.y["a"].shape == (21, 2) and scalar.y["b"].shape == (21,)
        for name in y0:
            assert hs.allclose(scalar.y[name], vector.y[name], rtol=1e-12)
            assert np.array_equal(np.asarray(scalar.y[name]), np.asarray(again.y[name]))


def test_diagonal_noise_of_trees_is_independent():
    def last(key):
        y0 = {"a": hs.zeros(2), "b": hs.array(0.0)}
        sol = solve_sde(
            lambda t, y: hs.tree_map(hs.zeros_like, y),
            lambda t, y: hs.tree_map(hs.ones_like, y),
            (0.0, 2.0),
            y0,
            key,
            4,
            t_eval=[2.0],
        )
        return hs.concatenate([sol.y["a"][0], sol.y["b"]])

    w = np.asarray(hs.vmap(last)(keys(5000)))
    assert np.abs(np.cov(w.T) - 2 * np.eye(3)).max() < 0.15


def test_ornstein_uhlenbeck_mean_and_variance():
    theta, sigma, times = 1.5, 0.8, np.array([0.5, 1.0, 2.0])

    def path(key):
        return solve_sde(
            lambda t, y: -theta * y, lambda t, y: sigma, (0.0, 2.0), 2.0, key, 64, "ReversibleHeun", times
        ).y

    y = np.asarray(hs.compile(hs.vmap(path))(keys(10_000)))
    assert np.abs(y.mean(axis=0) - 2 * np.exp(-theta * times)).max() < 0.02
    assert np.abs(y.var(axis=0) - sigma**2 / (2 * theta) * (1 - np.exp(-2 * theta * times))).max() < 0.01


# steps, times, bits -----------------------------------------------------------------------------------------


def test_paths_are_those_of_the_key_whatever_the_steps():
    """y = W, so that solutions show the path that they saw."""
    key, path = hs.random.key(7), BrownianPath(hs.random.key(7), 0.0, 1.0)

    def brownian(n, t_eval=None):
        return solve_sde(
            lambda t, y: hs.zeros_like(y), lambda t, y: 1.0, (0.0, 1.0), 0.0, key, n, t_eval=t_eval
        )

    coarse, fine = brownian(10), brownian(40)
    assert np.allclose(np.asarray(coarse.t), np.linspace(0, 1, 11))
    assert hs.allclose(coarse.y, path(coarse.t), atol=1e-12)
    assert hs.allclose(fine.y[::4], coarse.y, atol=1e-7)  # times differ by rounding, W by its root
    some = brownian(3, [0.0, 0.25, 0.7])
    assert hs.allclose(some.y, path(hs.array([0.0, 0.25, 0.7])), atol=1e-7)
    assert np.array_equal(np.asarray(brownian(10).y), np.asarray(coarse.y))
    longer = BrownianPath(hs.random.key(7), -1.0, 3.0)
    part = solve_sde(lambda t, y: 0.0, lambda t, y: 1.0, (0.0, 1.0), 0.0, longer, 5)
    assert hs.allclose(part.y, longer(part.t) - longer(0.0), atol=1e-12)


def test_one_step_of_each_method_by_hand():
    key = hs.random.key(11)
    w = float(BrownianPath(key, 0.0, 0.5)(0.5))
    y, h = 0.7, 0.5

    def f(t, y):
        return y * (1 - y)

    def g(t, y):
        return 0.5 + y**2

    def last(method):
        return float(solve_sde(f, g, (0.0, h), y, key, 1, method, [h]).y[0])

    euler = y + h * f(0, y) + w * g(0, y)
    assert np.isclose(last("EulerMaruyama"), euler, rtol=1e-14)
    assert np.isclose(last("Milstein"), euler + 0.5 * g(0, y) * 2 * y * (w**2 - h), rtol=1e-14)
    heun = y + 0.5 * h * (f(0, y) + f(h, euler)) + 0.5 * w * (g(0, y) + g(h, euler))
    assert np.isclose(last("ReversibleHeun"), heun, rtol=1e-14)


def test_reversible_heun_is_reversible():
    """Its steps backwards, from the last state and what is carried along: to the first."""
    key, n, h = hs.random.key(2), 50, 0.02

    def f(y):
        return np.sin(y)

    def g(y):
        return 0.5 + 0.3 * np.cos(y)

    w = np.asarray(BrownianPath(key, 0.0, 1.0)(np.linspace(0, 1, n + 1)))
    y = z = 0.3
    for dw in np.diff(w):
        z_next = 2 * y - z + f(z) * h + g(z) * dw
        y += 0.5 * (f(z) + f(z_next)) * h + 0.5 * (g(z) + g(z_next)) * dw
        z = z_next
    sol = solve_sde(
        lambda t, y: hs.sin(y),
        lambda t, y: 0.5 + 0.3 * hs.cos(y),
        (0.0, 1.0),
        0.3,
        key,
        n,
        "ReversibleHeun",
        [1.0],
    )
    assert np.isclose(float(sol.y[0]), y, rtol=1e-6)
    for dw in np.diff(w)[::-1]:
        z_last = 2 * y - z - f(z) * h - g(z) * dw
        y -= 0.5 * (f(z) + f(z_last)) * h + 0.5 * (g(z) + g(z_last)) * dw
        z = z_last
    assert np.isclose(y, 0.3, atol=1e-12)


# derivatives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_gradient_is_that_of_the_path(method):
    """y(1) = y0 exp(rate - volatility^2 / 2 + volatility W): its derivatives, path by path."""

    def last(p, key, n):
        drift, diffusion = geometric(method, p[0], p[1])
        return solve_sde(drift, diffusion, (0.0, 1.0), p[2], key, n, method, [1.0]).y[0]

    p = hs.array([RATE, VOLATILITY, 1.3])

    def errors(key, n):
        w = BrownianPath(key, 0.0, 1.0)(1.0)
        y = p[2] * hs.exp(p[0] - 0.5 * p[1] ** 2 + p[1] * w)
        exact = y * hs.stack([hs.array(1.0), w - p[1], 1 / p[2]])
        return hs.max(hs.abs(hs.grad(lambda p: last(p, key, n))(p) - exact))

    found = [float(hs.mean(hs.compile(hs.vmap(lambda k, n=n: errors(k, n)))(keys(100)))) for n in (64, 256)]
    assert found[1] < (0.15 if method == "EulerMaruyama" else 0.02), found
    assert found[1] < (0.7 if method == "EulerMaruyama" else 0.4) * found[0], found


@pytest.mark.parametrize("method", METHODS)
def test_derivatives_are_those_of_the_steps(method):
    key = hs.random.key(5)

    def f(p):
        sol = solve_sde(
            lambda t, y: hs.stack([p[0] * y[1], -hs.sin(y[0])]),
            lambda t, y: hs.stack([p[1] * hs.cos(y[0]), 0.1 + y[1] ** 2 * p[2]]),
            (0.0, 1.0),
            hs.stack([p[2], 0.5 * p[0]]),
            key,
            6,
            method,
            [0.5, 1.0],
        )
        return sol.y

    p, d, e = hs.array([1.0, 0.3, 0.4]), hs.array([0.5, -1.0, 0.7]), 1e-5
    y, tangent = hs.jvp(f, (p,), (d,))
    assert hs.allclose(tangent, (f(p + e * d) - f(p - e * d)) / (2 * e), rtol=1e-7, atol=1e-8)
    v = hs.array(np.random.default_rng(0).normal(size=y.shape))
    _, pull = hs.vjp(f, p)
    assert abs(float(hs.sum(v * tangent) - hs.sum(pull(v)[0] * d))) < 1e-12

    def loss(p):
        return hs.sum(f(p) ** 2)

    forward, reverse = hs.jacfwd(hs.grad(loss))(p), hs.jacrev(hs.grad(loss))(p)
    assert hs.allclose(forward, reverse, rtol=1e-9, atol=1e-12)
    assert hs.allclose(forward, forward.T, rtol=1e-9, atol=1e-12)
    central = (hs.grad(loss)(p + e * d) - hs.grad(loss)(p - e * d)) / (2 * e)
    assert hs.allclose(forward @ d, central, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_vmap_and_compile(method):
    def last(key, rate):
        return solve_sde(
            lambda t, y: -rate * y,
            lambda t, y: 0.2 * y + 0.1,
            (0.0, 1.0),
            hs.ones(2),
            key,
            8,
            method,
            [0.5, 1.0],
        ).y

    ks, rates = keys(5), hs.linspace(0.5, 2.0, 5)
    expected = hs.stack([last(k, r) for k, r in zip(ks, rates, strict=True)])
    assert hs.allclose(hs.vmap(last)(ks, rates), expected, rtol=1e-12)
    assert hs.allclose(hs.compile(last)(ks[0], rates[0]), expected[0], rtol=1e-12)
    slope = hs.compile(hs.vmap(hs.grad(lambda r, k: hs.sum(last(k, r)))))(rates, ks)
    one = hs.stack([hs.grad(lambda r, k=k: hs.sum(last(k, r)))(r) for k, r in zip(ks, rates, strict=True)])
    assert hs.allclose(slope, one, rtol=1e-10)


def test_float32_and_complex():
    single = solve_sde(
        lambda t, y: -y,
        lambda t, y: 0.1 * y,
        (0.0, 1.0),
        hs.array(1.0, dtype=hs.float32),
        hs.random.key(0),
        10,
        "Milstein",
    )
    assert single.y.dtype == hs.float32 and single.t.dtype == hs.float64
    phase = solve_sde(
        lambda t, y: hs.zeros_like(y),
        lambda t, y: 1j * y,
        (0.0, 1.0),
        1 + 0j,
        hs.random.key(0),
        200,
        "ReversibleHeun",
        [1.0],
    )
    w = float(BrownianPath(hs.random.key(0), 0.0, 1.0)(1.0))
    assert abs(complex(phase.y[0]) - np.exp(1j * w)) < 0.01


# failures ---------------------------------------------------------------------------------------------------


def test_not_finite():
    def run(raises, y0=2.0):
        return solve_sde(
            lambda t, y: y**3,
            lambda t, y: 0.1,
            (0.0, 10.0),
            y0,
            hs.random.key(0),
            100,
            raise_on_failure=raises,
        )

    with pytest.raises(
        FloatingPointError, match=r"solve_sde: the solution is NaN or infinite at t = .*smaller steps"
    ):
        run(True)
    sol = run(False)
    assert int(sol.status) == 3 and not sol.success and not bool(hs.isfinite(sol.y[-1]))
    assert bool(hs.isfinite(sol.y[1]))
    status = hs.vmap(lambda y: run(False, y).status)(hs.array([-0.1, 2.0]))
    assert int(status[1]) == 3
    with pytest.raises(FloatingPointError, match="NaN or infinite"):
        hs.compile(lambda y: run(True, y).y)(hs.array(2.0))


def test_refusals():
    def f(t, y):
        return -y

    key, span = hs.random.key(0), (0.0, 1.0)
    with pytest.raises(ValueError, match="no method is called 'Heun'; use one of EulerMaruyama, Milstein"):
        solve_sde(f, f, span, 1.0, key, 10, "Heun")
    with pytest.raises(TypeError, match="key is float64.*expected one random key"):
        solve_sde(f, f, span, 1.0, 0.0, 10)
    with pytest.raises(TypeError, match="array 0 of y0 is int64"):
        solve_sde(f, f, span, hs.array(1), key, 10)
    with pytest.raises(ValueError, match="num_steps is 0, expected an integer"):
        solve_sde(f, f, span, 1.0, key, 0)
    with pytest.raises(ValueError, match="expected two times"):
        solve_sde(f, f, (0.0,), 1.0, key, 10)
    with pytest.raises(ValueError, match="the span from 1 to 0 does not ascend|t_span must ascend"):
        solve_sde(f, f, (1.0, 0.0), 1.0, key, 10)
    with pytest.raises(ValueError, match="t_span must ascend, and t_eval within it"):
        solve_sde(f, f, span, 1.0, key, 10, t_eval=[0.5, 0.2])
    with pytest.raises(ValueError, match="t_span must ascend, and t_eval within it"):
        solve_sde(f, f, span, 1.0, key, 10, t_eval=[0.5, 1.2])
    with pytest.raises(
        ValueError, match=r"the drift returns float64\[3\] for array 0 of the state, expected float64\[2\]"
    ):
        solve_sde(lambda t, y: hs.zeros(3), f, span, hs.ones(2), key, 10)
    with pytest.raises(
        ValueError, match=r"the diffusion returns float64\[2\].*expected float64\[2,3\]; noise_shape"
    ):
        solve_sde(f, f, span, hs.ones(2), key, 10, noise_shape=(3,))
    with pytest.raises(ValueError, match="noise_shape has 2 axes"):
        solve_sde(f, f, span, hs.ones(2), key, 10, noise_shape=(3, 2))
    with pytest.raises(ValueError, match="are shorter than the intervals of"):
        solve_sde(f, f, span, 1.0, key, 100, tolerance=0.1)
    with pytest.raises(ValueError, match=r"the path has shape \(2,\), the noise \(\)"):
        solve_sde(f, f, span, 1.0, BrownianPath(key, 0.0, 1.0, (2,)), 10)
    with pytest.raises(ValueError, match="the path is from 0 to 0.5, which does not hold t_span"):
        solve_sde(f, f, span, 1.0, BrownianPath(key, 0.0, 0.5), 10)
    with pytest.raises(ValueError, match="has its own noise; give a key"):
        solve_sde(f, f, span, (1.0, 2.0), BrownianPath(key, 0.0, 1.0), 10)
    with pytest.raises(ValueError, match="returns the structure"):
        solve_sde(lambda t, y: (y, y), f, span, 1.0, key, 10)
    with pytest.raises(TypeError, match="expected a function"):
        solve_sde(f, 1.0, span, 1.0, key, 10)
    with pytest.raises(TypeError, match="method is 3"):
        solve_sde(f, f, span, 1.0, key, 10, 3)
