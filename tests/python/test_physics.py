"""Domains, points, terms of a loss, metrics, the exact Burgers solution, and training."""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import qmc

import hesse as hs
from hesse import physics
from hesse._hesse import physics as _compiled

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "pinn"
key = hs.random.key
METHODS = ["uniform", "latin_hypercube", "sobol"]


def close(a, b, rtol=1e-13, atol=1e-14):
    np.testing.assert_allclose(np.asarray(a), b, rtol=rtol, atol=atol)


# ---- points in the unit cube ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
def test_points_lie_in_the_unit_cube_and_depend_on_the_key_only(method):
    draw = getattr(physics, method)
    a = np.asarray(draw(key(1), 200, 3))
    assert a.shape == (200, 3) and a.dtype == np.float64 and a.min() >= 0.0 and a.max() < 1.0
    np.testing.assert_array_equal(a, np.asarray(physics.sample(key(1), method, 200, 3)))
    assert not np.array_equal(a, np.asarray(draw(key(2), 200, 3)))
    assert np.abs(a.mean(axis=0) - 0.5).max() < 0.1 and np.abs(np.corrcoef(a.T) - np.eye(3)).max() < 0.25
    assert draw(key(1), 0, 2).shape == (0, 2)


@pytest.mark.parametrize("d", [1, 2, 5, 16])
def test_the_sobol_sequence_is_that_of_scipy(d):
    expected = qmc.Sobol(d, scramble=False, bits=32).random(512)
    np.testing.assert_array_equal(np.asarray(_compiled.sobol_unscrambled(512, d)), expected)


@pytest.mark.parametrize("seed", range(3))
def test_scrambling_keeps_the_net(seed):
    """Every aligned block of 2^m points has one in every elementary interval of volume 2^-m in (x0, x1)."""
    a = np.asarray(physics.sobol(key(seed), 256, 2))
    for m in range(1, 7):
        for block in a.reshape(-1, 2**m, 2):
            for p in range(m + 1):
                cells = np.floor(block * [2**p, 2 ** (m - p)]).astype(int)
                assert len({tuple(c) for c in cells}) == 2**m
    first = physics.sobol(key(seed), 256, 2)[:100]
    np.testing.assert_array_equal(np.asarray(first), np.asarray(physics.sobol(key(seed), 100, 2)))


@pytest.mark.parametrize("n,d", [(1, 1), (7, 3), (100, 2)])
def test_a_latin_hypercube_has_one_point_in_every_slice(n, d):
    a = np.asarray(physics.latin_hypercube(key(3), n, d))
    for column in a.T:
        assert sorted(np.floor(column * n).astype(int)) == list(range(n))


def test_low_discrepancy_integrates_better():
    f = lambda a: np.prod(1 + (np.asarray(a) - 0.5), axis=1).mean() - 1.0
    error = {
        m: math.sqrt(np.mean([f(physics.sample(key(k), m, 256, 3)) ** 2 for k in range(8)])) for m in METHODS
    }
    assert error["sobol"] < 0.1 * error["uniform"] and error["latin_hypercube"] < 0.7 * error["uniform"]


# ---- domains ------------------------------------------------------------------------------------------------------------
BOX = physics.Box([0.0, -1.0], [2.0, 0.0])


@pytest.mark.parametrize("method", METHODS)
def test_interior_points(method):
    x, y = (np.asarray(z) for z in BOX.interior(key(0), 500, method))
    assert x.shape == y.shape == (500,)
    assert x.min() >= 0.0 and x.max() < 2.0 and y.min() >= -1.0 and y.max() < 0.0
    assert abs(x.mean() - 1.0) < 0.1 and abs(y.mean() + 0.5) < 0.05


@pytest.mark.parametrize("method", METHODS)
def test_boundary_points_are_on_the_faces_in_proportion_to_their_areas(method):
    x, y = (np.asarray(z) for z in BOX.boundary(key(0), 1200, method))
    left, right, below, above = x == 0.0, x == 2.0, y == -1.0, y == 0.0
    assert np.all(left | right | below | above)
    for face, share in ((left, 1 / 6), (right, 1 / 6), (below, 1 / 3), (above, 1 / 3)):
        assert abs(face.mean() - share) < 0.05
    assert abs(np.mean(x[below]) - 1.0) < 0.1 and abs(np.mean(y[left]) + 0.5) < 0.1
    lower, upper = np.zeros(3), np.array([1.0, 2.0, 3.0])
    points = np.stack([np.asarray(z) for z in physics.Box(lower, upper).boundary(key(0), 2200, method)])
    assert np.all((points == lower[:, None]).any(axis=0) | (points == upper[:, None]).any(axis=0))
    areas = np.array([6.0, 3.0, 2.0]) / 22.0
    for k in range(3):
        for end in (lower, upper):
            assert abs(np.mean(points[k] == end[k]) - areas[k]) < 0.04


def test_time_boxes():
    domain = physics.TimeBox(BOX, 1.0, 3.0)
    assert domain.names == ("t", "x", "y") and domain.dimensions == 3
    assert repr(domain) == "TimeBox(t in [1, 3], x in [0, 2], y in [-1, 0])"
    t, x, _ = (np.asarray(z) for z in domain.interior(key(0), 400))
    assert t.min() >= 1.0 and t.max() < 3.0 and abs(t.mean() - 2.0) < 0.1
    t, x, y = (np.asarray(z) for z in domain.initial(key(0), 50))
    assert np.all(t == 1.0) and np.ptp(x) > 1.5 and np.ptp(y) > 0.7
    t, x, y = (np.asarray(z) for z in domain.boundary(key(0), 400))
    assert np.all((x == 0.0) | (x == 2.0) | (y == -1.0) | (y == 0.0)) and abs(t.mean() - 2.0) < 0.1
    assert np.abs(np.corrcoef(t, x + y)[0, 1]) < 0.15


def test_grids_and_scaling():
    t, x = physics.TimeBox(physics.Interval(-1.0, 1.0), 0.0, 1.0).grid(3, 5)
    close(t, np.linspace(0, 1, 3)[:, None] * np.ones(5))
    close(x, np.ones((3, 1)) * np.linspace(-1, 1, 5))
    close(hs.stack(BOX.normalised(hs.array([0.0, 2.0]), hs.array([-1.0, -0.5]))), [[-1.0, 1.0], [-1.0, 0.0]])
    assert physics.Box([0] * 4, [1] * 4).names == ("x0", "x1", "x2", "x3")
    (r,) = physics.Interval(0.0, 5.0, "r").grid(6)
    close(r, np.arange(6.0))


# ---- terms of the loss ----------------------------------------------------------------------------------------------------
DOMAIN = physics.TimeBox(physics.Interval(0.0, 2.0), 0.0, 1.0)


def linear_model(coefficients):
    """u(t, x) = a + b t + c x as a model, with the network's scaled inputs undone."""
    a, b, c = coefficients
    network = lambda model: (
        lambda z: hs.stack([model[0] + model[1] * (z[0] + 1.0) / 2.0 + model[2] * (z[1] + 1.0)])
    )
    return [hs.array(a), hs.array(b), hs.array(c)], network


def test_losses_against_numpy():
    model, network = linear_model((0.5, 2.0, -1.0))
    u = lambda t, x: 0.5 + 2.0 * t - x

    def equation(u, t, x):
        u0, u_t, u_x = hs.partials(u, (t, x), ["", "t", "x"])
        return u_t + 3.0 * u_x * x, u0

    t, x = hs.array([0.1, 0.7]), hs.array([1.5, 0.2])
    terms = [
        physics.Residual(equation, 20, weight=2.0),
        physics.Initial(lambda x: hs.sin(x), 10, weight=5.0),
        physics.Initial(0.25, 10),
        physics.Boundary(lambda t, x: t * x, 12),
        physics.Boundary(1.0, 12, weight=0.5),
        physics.Data((t, x), hs.array([1.0, 2.0]), weight=3.0),
    ]
    problem = physics.PINN(DOMAIN, terms, network=network)
    points = problem.sample(key(4))
    (rt, rx), (_, ix), (_, jx), (bt, bx), (ct, cx) = ([np.asarray(z) for z in p] for p in points[:5])
    expected = [
        2.0 * (np.mean((2.0 - 3.0 * rx) ** 2) + np.mean(u(rt, rx) ** 2)),
        5.0 * np.mean((0.5 - ix - np.sin(ix)) ** 2),
        np.mean((0.5 - jx - 0.25) ** 2),
        np.mean((u(bt, bx) - bt * bx) ** 2),
        0.5 * np.mean((u(ct, cx) - 1.0) ** 2),
        3.0 * np.mean((np.array([0.5 + 0.2 - 1.5, 0.5 + 1.4 - 0.2]) - [1.0, 2.0]) ** 2),
    ]
    close(hs.stack(problem.losses(model, points)), expected, rtol=1e-12)
    close(problem.loss(model, points), sum(expected), rtol=1e-12)
    assert set(bx) <= {0.0, 2.0} and len(rt) == 20 and len(bt) == 12


def test_points_of_ones_own_and_unknown_coefficients():
    model, network = linear_model((0.0, 1.0, 0.0))
    model = {"net": model, "speed": hs.array(4.0)}
    where = lambda k, n: (hs.full(n, 0.5), hs.linspace(0.0, 2.0, n))
    seen = []

    def equation(u, t, x):
        seen.append(u.model["speed"])
        return u(t, x) * u.model["speed"] - x

    problem = physics.PINN(
        DOMAIN, [physics.Residual(equation, 5, points=where)], network=lambda m: network(m["net"])
    )
    points = problem.sample(key(0))
    close(points[0][1], np.linspace(0, 2, 5))
    close(problem.loss(model, points), np.mean((2.0 - np.linspace(0, 2, 5)) ** 2))
    g = hs.grad(problem.loss)(model, points)
    close(g["speed"], np.mean(2 * 0.5 * (2.0 - np.linspace(0, 2, 5))))
    assert seen


def test_hard_constraints_and_prediction():
    net = hs.nn.MLP([2, 6, 1], key=key(0))
    problem = physics.PINN(
        DOMAIN,
        [physics.Residual(lambda u, t, x: u(t, x), 4)],
        transform=lambda u, t, x: hs.cos(x) + t * u,
    )
    x = np.linspace(0, 2, 7)
    close(problem.predict(net, 0.0, hs.array(x)), np.cos(x))
    t = hs.array([[0.0], [0.5]])
    u = problem.predict(net, t, hs.array(x))
    assert u.shape == (2, 7)
    one = net(hs.array([2 * 0.5 - 1, x[3] - 1.0]))[0]  # coordinates are scaled to [-1, 1]
    close(u[1, 3], np.cos(x[3]) + 0.5 * float(one))
    vector = physics.PINN(DOMAIN, [physics.Residual(lambda u, t, x: u(t, x), 4)])
    assert vector.predict(hs.nn.MLP([2, 3, 2], key=key(0)), t, hs.array(x)).shape == (2, 7, 2)
    assert [p[0].shape for p in vector.sample(key(0))] == [(4,)]


# ---- metrics and the exact solution -----------------------------------------------------------------------------------------
def test_metrics():
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, 4, 5))
    close(physics.relative_l2(hs.array(u), hs.array(v)), np.linalg.norm(u - v) / np.linalg.norm(v))
    close(physics.max_error(u, v), np.abs(u - v).max())
    close(physics.relative_l2(hs.array([3 + 4j]), hs.array([5j])), math.hypot(3, 1) / 5)
    assert math.isnan(float(physics.max_error(np.array([math.nan, 0.0]), np.zeros(2))))


def test_the_exact_solution_against_the_stored_reference():
    h5py = pytest.importorskip("h5py")
    path = DATA / "burgers_shock.h5"
    if not path.exists():
        pytest.skip(
            "no stored solution burgers_shock.h5: the folder shared/data is not beside this repository"
        )
    with h5py.File(path) as file:
        t, x, u = (file[name][()] for name in ("t", "x", "u"))
    ours = physics.burgers_exact(t[None, :], x[:, None], 0.01 / hs.pi)
    assert ours.shape == u.shape and float(physics.relative_l2(ours, u)) < 1e-11


def test_the_exact_solution_satisfies_the_equation():
    nu, h = 0.05, 1e-4
    f = lambda t, x: np.asarray(physics.burgers_exact(hs.array(t), hs.array(x), nu))
    t, x = np.meshgrid([0.2, 0.6, 0.9], [-0.7, -0.2, 0.05, 0.4])
    u, u_x = f(t, x), (f(t, x + h) - f(t, x - h)) / (2 * h)
    u_t, u_xx = (f(t + h, x) - f(t - h, x)) / (2 * h), (f(t, x + h) - 2 * u + f(t, x - h)) / h**2
    close(u_t + u * u_x, nu * u_xx, rtol=0, atol=1e-5)
    ends = np.linspace(-1, 1, 9)
    close(f(np.zeros(9), ends), -np.sin(np.pi * ends))
    close(f(np.array([0.3, 0.8]), np.array([-1.0, 1.0])), [0.0, 0.0])


# ---- training ---------------------------------------------------------------------------------------------------------------
INTERVAL = physics.Interval(0.0, 1.0, "t")


def decay(y, t):
    y0, y_t = hs.partials(y, (t,), ["", "t"])
    return y_t + y0


def decay_problem():
    return physics.PINN(INTERVAL, [physics.Residual(decay, 20)], transform=lambda y, t: 1.0 + t * y)


NET = hs.nn.MLP([1, 6, 1], key=key(0))


def test_training_solves_an_equation_and_keeps_records():
    problem, t = decay_problem(), hs.linspace(0.0, 1.0, 11)
    error = lambda model: physics.max_error(problem.predict(model, t), hs.exp(-t))
    stages = [physics.Adam(40, learning_rate=0.02, clip=1.0), physics.Lbfgs(60)]
    trained = physics.train(problem, NET, stages, key=key(1), error=error, every=25, progress=False)
    assert [r.iteration for r in trained.records] == [25, 50, 75, 100, 100] and trained.iteration == 100
    assert trained.records[-1].error < 1e-4 < trained.records[0].error and trained.loss < 1e-7
    assert trained.records[-1].loss == trained.loss
    assert trained.notes[0] == "Adam: all iterations done after 40 iterations"
    assert trained.stage is None and not trained.step()


def test_progress_is_shown_on_the_error_stream(capsys):
    physics.train(decay_problem(), NET, [physics.Adam(3)], key=key(1))
    out, err = capsys.readouterr()
    assert out == "" and "loss" in err and "3/3" in err
    physics.train(decay_problem(), NET, [physics.Adam(3)], key=key(1), progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_batch_goes_through_all_points_once_a_round():
    problem = physics.PINN(INTERVAL, [physics.Residual(lambda y, t: y(t), 12), physics.Residual(decay, 5)])
    training = physics.Training(problem, NET, [physics.Adam(9, batch=4)], key(2))
    everything = np.asarray(training._points[0][0])
    rounds = []
    for _ in range(3):
        batches = []
        for _ in range(3):
            first, second = training._batch(4)
            batches.append(np.asarray(first[0]))
            assert second[0].shape == (4,)
            training.step()
        assert all(b.shape == (4,) for b in batches)
        rounds.append(np.concatenate(batches))
        assert sorted(rounds[-1]) == sorted(everything)
    assert not np.array_equal(rounds[0], rounds[1])


def test_points_are_drawn_again():
    training = physics.Training(decay_problem(), NET, [physics.Adam(7, resample=3)], key(2))
    seen = []
    while training.step():
        seen.append(tuple(np.asarray(training._points[0][0])))
    assert [k for k in range(1, 7) if seen[k] != seen[k - 1]] == [3, 6]


def poisoned(stage, at):
    """Trains a number p along the loss p^2, NaN once p is below a bound."""
    problem = physics.PINN(
        INTERVAL,
        [physics.Residual(lambda u, t: u.model["p"] + 0.0 * hs.sqrt(u.model["p"] - at), 3)],
        network=lambda model: lambda z: z,
    )
    return physics.train(problem, {"p": hs.array(1.0)}, [stage], key=key(0), progress=False)


def test_a_loss_that_is_nan_is_reported_with_its_iteration():
    # Adam lowers p by its rate: 0.9, 0.8, 0.7, and then 0.6 < 0.65
    with pytest.raises(
        FloatingPointError, match=r"train: the loss is nan at iteration 4, in Adam.*clip=1\.0.*debug_nans"
    ):
        poisoned(physics.Adam(20, learning_rate=hs.optim.constant(0.1)), 0.65)
    with pytest.raises(
        FloatingPointError, match="train: at iteration 0, in L-BFGS: lbfgs: the function is -?nan"
    ):
        poisoned(physics.Lbfgs(20), 1.5)


def test_the_model_before_the_nan_is_kept():
    problem = physics.PINN(
        INTERVAL,
        [physics.Residual(lambda u, t: hs.log(u.model["p"]), 3)],
        network=lambda model: lambda z: z,
    )
    training = physics.Training(
        problem, {"p": hs.array(2.0)}, [physics.Adam(9, learning_rate=hs.optim.constant(0.1))], key(0)
    )
    training.model = {"p": hs.array(-1.0)}
    with pytest.raises(FloatingPointError, match="at iteration 0"):
        training.step()
    assert float(training.model["p"]) == -1.0 and training.iteration == 0


def test_training_in_a_thread_leaves_signals_alone():
    results = []
    work = lambda: results.append(
        physics.train(decay_problem(), NET, [physics.Adam(3)], key=key(1), progress=False).iteration
    )
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [3]


def test_checkpoints_are_saved_now_and_then(tmp_path, monkeypatch):
    saved = []
    save = physics.Training.save
    monkeypatch.setattr(
        physics.Training, "save", lambda self, path: (saved.append(self.iteration), save(self, path))
    )
    path = tmp_path / "c"
    physics.train(
        decay_problem(), NET, [physics.Adam(4)], key=key(1), progress=False, checkpoint=path, save_every=-1.0
    )
    assert saved == [1, 2, 3, 4, 4] and os.listdir(tmp_path) == ["c"]


# ---- refusals -----------------------------------------------------------------------------------------------------------------
K = key(0)
RESIDUAL = physics.Residual(lambda u, t: u(t), 3)
SIMPLE = physics.PINN(INTERVAL, [RESIDUAL])


def train(*stages, **options):
    return physics.train(SIMPLE, NET, list(stages), **{"key": K, "progress": False, **options})


def loss_of(equation):
    problem = physics.PINN(INTERVAL, [physics.Residual(equation, 3, name="the law")])
    return problem.loss(NET, problem.sample(K))


REFUSED = {
    "method": (
        lambda: physics.sample(K, "halton", 3, 2),
        ValueError,
        'sample: there is no method "halton"; known: uniform, latin_hypercube, sobol',
    ),
    "dimensions": (
        lambda: physics.sobol(K, 3, 17),
        ValueError,
        "sobol: 16 dimensions at most, got 17; use latin_hypercube",
    ),
    "negative n": (
        lambda: physics.uniform(K, -1, 2),
        ValueError,
        "uniform: the number of points must not be negative, got -1",
    ),
    "no key": (
        lambda: physics.latin_hypercube(3, 2, 2),
        TypeError,
        r"must be a key, got int64\[\]; make one with random\.key",
    ),
    "bounds": (
        lambda: physics.Interval(1.0, 0.0),
        ValueError,
        r"Interval: the bounds of x must be finite and increase, got 1\.0 and 0\.0",
    ),
    "infinite": (lambda: physics.Box([0.0], [math.inf]), ValueError, "Box: the bounds of x must be finite"),
    "counts of bounds": (
        lambda: physics.Box([0.0], [1.0, 2.0]),
        ValueError,
        "Box: 1 names, 1 lower and 2 upper bounds",
    ),
    "text bounds": (
        lambda: physics.Box("a", "b"),
        TypeError,
        "Box: the bounds of x must be numbers, got 'a' and 'b'",
    ),
    "equal names": (
        lambda: physics.TimeBox(INTERVAL, 0.0, 1.0),
        ValueError,
        "TimeBox: the coordinates need different names, got t, t",
    ),
    "space": (lambda: physics.TimeBox(3, 0.0, 1.0), TypeError, "TimeBox: space must be a Box, got int"),
    "grid": (
        lambda: BOX.grid(3),
        ValueError,
        r"grid: one positive count for each of x, y is needed, got \(3,\)",
    ),
    "fractional grid": (lambda: INTERVAL.grid(2.5), ValueError, r"grid: one positive count .* got \(2\.5,\)"),
    "no terms": (lambda: physics.PINN(INTERVAL, []), ValueError, "PINN: at least one term is needed"),
    "one term": (
        lambda: physics.PINN(INTERVAL, RESIDUAL),
        TypeError,
        "PINN: terms must be a list of Residual",
    ),
    "a number as term": (
        lambda: physics.PINN(INTERVAL, [3]),
        TypeError,
        r"PINN: terms must be a list of Residual.*got \[3\]",
    ),
    "no domain": (
        lambda: physics.PINN([0, 1], [RESIDUAL]),
        TypeError,
        "PINN: the domain must be a Domain, got list",
    ),
    "no equation": (lambda: physics.Residual(3.0, 3), TypeError, "Residual: expected a function, got float"),
    "points": (
        lambda: physics.Residual(decay, 0),
        ValueError,
        "Residual: the number of points must be a positive integer, got 0",
    ),
    "fractional points": (
        lambda: physics.Boundary(0.0, 2.5),
        ValueError,
        "Boundary: the number of points must be a positive integer, got 2.5",
    ),
    "weight": (
        lambda: physics.Initial(0.0, 3, weight=0.0),
        ValueError,
        "Initial: weight must be positive, got 0.0",
    ),
    "initial": (
        lambda: physics.PINN(INTERVAL, [physics.Initial(0.0, 3)]).sample(K),
        TypeError,
        r"Initial: the domain must be a TimeBox, got Interval\(t in \[0, 1\]\)",
    ),
    "data": (
        lambda: physics.Data((hs.ones(3),), hs.ones(2)),
        ValueError,
        r"Data: the coordinates must be vectors of one length with a value per point, got \[\(3,\)\] and values of shape \(2,\)",
    ),
    "data without tuple": (
        lambda: physics.Data(hs.ones(3), hs.ones(3)),
        TypeError,
        "Data: points must be a tuple with an array per coordinate, got Array",
    ),
    "own points": (
        lambda: physics.PINN(
            INTERVAL, [physics.Residual(decay, 3, points=lambda k, n: (hs.ones(n), hs.ones(n)))]
        ).sample(K),
        ValueError,
        "residual: the points have 2 coordinates, the domain has 1",
    ),
    "coordinates": (
        lambda: SIMPLE.predict(NET, hs.ones(3), hs.ones(3)),
        ValueError,
        r"predict: 1 coordinates are needed \(t\), got 2",
    ),
    "coordinates of u": (
        lambda: loss_of(lambda u, t: u(t, t)),
        ValueError,
        "u takes the coordinates t, got 2 of them",
    ),
    "nothing returned": (
        lambda: loss_of(lambda u, t: None),
        TypeError,
        "loss: the term 'the law' returned None; it must return what should vanish",
    ),
    "sets of points": (
        lambda: SIMPLE.loss(NET, []),
        ValueError,
        r"loss: 1 terms need as many sets of points, got 0; sample\(key\) draws them",
    ),
    "other network": (
        lambda: SIMPLE.predict(hs.nn.MLP([2, 1], key=K), hs.ones(3)),
        ValueError,
        "linear: the weight",
    ),
    "shapes": (
        lambda: physics.relative_l2(hs.ones(3), hs.ones((3, 1))),
        ValueError,
        r"relative_l2: u is float64\[3\] but the reference is float64\[3,1\]; reshape one",
    ),
    "nothing to compare": (
        lambda: physics.max_error(hs.ones(0), hs.ones(0)),
        ValueError,
        "max_error: there are no values to compare",
    ),
    "nu": (
        lambda: physics.burgers_exact(0.5, 0.5, 0.0),
        ValueError,
        "burgers_exact: nu must be positive, got 0",
    ),
    "time": (
        lambda: physics.burgers_exact(-1.0, 0.5, 0.1),
        ValueError,
        "burgers_exact: t must not be negative, got -1",
    ),
    "nodes": (
        lambda: physics.burgers_exact(0.5, 0.5, 0.1, nodes=0),
        ValueError,
        "gauss_hermite: the number of nodes must be from 1 to 1000, got 0",
    ),
    "traced": (
        lambda: hs.compile(lambda x: physics.burgers_exact(0.5, x, 0.1))(0.5),
        TypeError,
        "the value of a symbol",
    ),
    "stage": (lambda: train(3), TypeError, "train: a stage must be Adam or Lbfgs, got int"),
    "stages": (
        lambda: physics.train(SIMPLE, NET, physics.Adam(3), key=K),
        TypeError,
        "train: stages must be a list, got Adam",
    ),
    "problem": (
        lambda: physics.train(3, NET, [], key=K),
        TypeError,
        "train: the problem must be a PINN, got int",
    ),
    "iterations": (
        lambda: train(physics.Adam(-1)),
        ValueError,
        "Adam: iterations must be an integer from 0 on, got -1",
    ),
    "fractional iterations": (
        lambda: train(physics.Lbfgs(2.5)),
        ValueError,
        "Lbfgs: iterations must be an integer from 0 on, got 2.5",
    ),
    "resample": (
        lambda: train(physics.Adam(3, resample=0)),
        ValueError,
        "Adam: resample must be a positive integer, got 0",
    ),
    "batch": (
        lambda: train(physics.Adam(3, batch=0)),
        ValueError,
        "Adam: batch must be a positive integer, got 0",
    ),
    "rate": (
        lambda: train(physics.Adam(3, learning_rate=-1.0)),
        ValueError,
        "Adam: learning_rate must not be negative, got -1.0",
    ),
    "clip": (lambda: train(physics.Adam(3, clip=0.0)), ValueError, "Adam: clip must be positive, got 0.0"),
    "history, at once": (
        lambda: train(physics.Adam(10**9), physics.Lbfgs(3, history=0)),
        ValueError,
        "Lbfgs: history must be a positive integer, got 0",
    ),
    "tolerance": (
        lambda: train(physics.Lbfgs(3, value_tolerance=-1.0)),
        ValueError,
        "Lbfgs: value_tolerance must not be negative, got -1.0",
    ),
    "every": (lambda: train(physics.Adam(3), every=0), ValueError, "train: every must be positive, got 0"),
    "resume": (lambda: train(physics.Adam(3), resume=True), ValueError, "train: resume needs a checkpoint"),
    "training's key": (lambda: train(physics.Adam(3), key=3), TypeError, "must be a key"),
    "nothing to train": (
        lambda: physics.train(SIMPLE, 3, [physics.Lbfgs(2)], key=K),
        (TypeError, ValueError),
        "floating|callable",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    call, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        call()
