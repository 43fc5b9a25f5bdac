"""Optimisers against steps written in NumPy, schedules, clipping, and L-BFGS."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import hesse as hs
from hesse import optim

START = {"w": np.array([1.0, -2.0, 3.0]), "b": np.array(0.5)}


def close(a, b, rtol=1e-13, atol=1e-15):
    np.testing.assert_allclose(np.asarray(a), b, rtol=rtol, atol=atol)


def gradients(step):
    """Something different at every step."""
    rng = np.random.default_rng(step)
    return {name: rng.standard_normal(value.shape) for name, value in START.items()}


def arrays(tree):
    return {name: hs.array(value) for name, value in tree.items()}


def numpy_sgd(p, g, v, rate, momentum, nesterov, decay):
    g = g + decay * p
    v = momentum * v + g
    return p - rate * (g + momentum * v if nesterov else v), v


def numpy_adam(p, g, m, v, step, rate, beta1, beta2, epsilon, decay):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    corrected = m / (1 - beta1 ** (step + 1)), v / (1 - beta2 ** (step + 1))
    return p - rate * corrected[0] / (np.sqrt(corrected[1]) + epsilon) - rate * decay * p, m, v


# ---- first order ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "momentum,nesterov,decay",
    [(0.0, False, 0.0), (0.9, False, 0.0), (0.9, True, 0.0), (0.5, True, 0.1), (0.0, False, 0.1)],
)
def test_sgd_against_numpy(momentum, nesterov, decay, compiled):
    opt = optim.sgd(0.1, momentum, nesterov, decay)
    update = hs.compile(opt.update) if compiled else opt.update
    params = arrays(START)
    state = opt.init(params)
    p, v = dict(START), {name: np.zeros_like(value) for name, value in START.items()}
    for step in range(5):
        g = gradients(step)
        params, state = update(arrays(g), state, params)
        for name in p:
            p[name], v[name] = numpy_sgd(p[name], g[name], v[name], 0.1, momentum, nesterov, decay)
            close(params[name], p[name])
            if momentum:
                close(state.velocity[name], v[name])
    assert int(state.step) == 5 and (state.velocity is None) == (momentum == 0.0)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("options", [(0.9, 0.999, 1e-8, 0.0), (0.8, 0.95, 1e-3, 0.01)])
def test_adam_against_numpy(options, compiled):
    schedule = optim.exponential_decay(0.1, 0.5, 4)
    opt = optim.adam(schedule, *options)
    update = hs.compile(opt.update) if compiled else opt.update
    params = arrays(START)
    state = opt.init(params)
    p = dict(START)
    m = {name: np.zeros_like(value) for name, value in START.items()}
    v = dict(m)
    for step in range(6):
        g = gradients(step)
        params, state = update(arrays(g), state, params)
        for name in p:
            p[name], m[name], v[name] = numpy_adam(
                p[name], g[name], m[name], v[name], step, 0.1 * 0.5 ** (step / 4), *options
            )
            close(params[name], p[name], rtol=1e-12)
            close(state.first[name], m[name])
            close(state.second[name], v[name])
    assert int(state.step) == 6 and (not compiled or update.cache_size == 1)


@pytest.mark.parametrize(
    "opt", [optim.sgd(0.1), optim.sgd(0.1, 0.9), optim.adam(0.1)], ids=["sgd", "momentum", "adam"]
)
def test_what_has_no_gradient_stays(opt, tmp_path):
    params = {
        "x": hs.array([1.0, 2.0]),
        "missing": hs.array(3.0),
        "n": hs.array(4),
        "on": hs.array(True),
        "key": hs.random.key(1),
        "size": 7,
        "name": "text",
        "none": None,
    }
    grads = hs.grad(lambda p: hs.sum(p["x"] * p["n"]))(params)
    assert grads["n"] is None and grads["key"] is None
    state = opt.init(params)
    moved, state = opt.update({**grads, "missing": None}, state, params)
    moved, state = opt.update({**grads, "missing": None}, state, moved)
    assert set(moved) == set(params) and not np.array_equal(np.asarray(moved["x"]), [1.0, 2.0])
    assert float(moved["missing"]) == 3.0 and all(
        moved[k] is params[k] for k in ("n", "on", "key", "size", "name", "none")
    )
    hs.io.save_safetensors(tmp_path / "state", state)  # holds nothing for keys, which a file cannot hold


def test_dtypes_are_kept_and_complex_parameters_descend():
    single = {"x": hs.array([1.0, 2.0], dtype="float32")}
    for opt in (optim.sgd(0.1, 0.9), optim.adam(optim.cosine_decay(0.1, 10))):
        moved, state = opt.update(single, opt.init(single), single)
        assert moved["x"].dtype == hs.float32
        assert {a.dtype for a in hs.tree_leaves(state)} == {hs.float32, hs.int64}
    goal = 1.0 - 2.0j
    for opt in (optim.sgd(0.2), optim.adam(0.3)):
        z = hs.array(3.0 + 1.0j)
        state = opt.init(z)
        for _ in range(200):
            g = hs.grad(lambda z: hs.abs(z - goal) ** 2)(z)
            z, state = opt.update(g, state, z)
        assert abs(complex(z) - goal) < 1e-3


@pytest.mark.parametrize(
    "opt", [hs.optim.sgd(0.1, 0.9), hs.optim.adam(0.1, l2=np.float32(0.5))], ids=["sgd", "adam"]
)
def test_updates_from_python_are_programs(opt):
    """The same bits as within a compiled function, for any number of models, and arguments stay what they were."""
    compiled = hs.compile(opt.update)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(12):
            params = {"w": hs.linspace(-1.0, 1.0, n + 1), "b": hs.array(0.5), "fixed": hs.array([1, 2])}
            grads = {"w": params["w"] ** 2, "b": hs.array(hs.nan), "fixed": None}
            state = opt.init(params)
            new, found = opt.update(grads, state, params)
            if n == 0:
                expected, wanted = compiled(grads, state, params)
                for a, b in zip(
                    hs.tree_leaves((new, found)), hs.tree_leaves((expected, wanted)), strict=True
                ):
                    np.testing.assert_array_equal(a, b)
            assert bool(hs.isnan(new["b"])) and hs.array_equal(new["fixed"], [1, 2])
            assert hs.array_equal(params["w"], np.linspace(-1.0, 1.0, n + 1)) and int(state.step) == 0


def test_an_update_can_be_differentiated():
    """d/d(rate) of the loss after two steps of gradient descent on x^2 / 2: x2 = (1 - r)^2 x0."""

    def after(rate):
        x, opt = hs.array(3.0), optim.sgd(rate)
        state = opt.init(x)
        for _ in range(2):
            x, state = opt.update(x, state, x)
        return x**2 / 2

    close(hs.grad(after)(0.1), 9.0 * 2 * (1 - 0.1) ** 3 * -1.0)


# ---- clipping and schedules ---------------------------------------------------------------------------------------------
def test_clipping_by_the_norm_of_the_whole_tree():
    g = {"a": hs.array([3.0, 0.0]), "b": [hs.array(4.0), None], "c": hs.array(12.0, dtype="float32")}
    assert float(optim.global_norm(g)) == 13.0
    clipped, norm = optim.clip_by_global_norm(g, 6.5)
    assert float(norm) == 13.0 and clipped["b"][1] is None and clipped["c"].dtype == hs.float32
    close(clipped["a"], [1.5, 0.0])
    close(clipped["b"][0], 2.0)
    close(optim.global_norm(clipped), 6.5)
    same, _ = optim.clip_by_global_norm(g, 100.0)
    close(same["a"], [3.0, 0.0], rtol=0)
    nothing, norm = optim.clip_by_global_norm([hs.zeros(3)], 1.0)
    close(nothing[0], np.zeros(3))
    assert float(norm) == 0.0
    close(hs.grad(lambda x: optim.global_norm([x]))(hs.array([3.0, 4.0])), [0.6, 0.8])


SCHEDULES = {
    "constant": (optim.constant(0.3), lambda k: 0.3),
    "exponential": (optim.exponential_decay(0.3, 0.1, 50), lambda k: 0.3 * 0.1 ** (k / 50)),
    "cosine": (
        optim.cosine_decay(0.3, 40, 0.1),
        lambda k: 0.1 + 0.1 * (1 + math.cos(math.pi * min(k / 40, 1))),
    ),
    "piecewise": (
        optim.piecewise([0.3, 0.2, 0.1], [10, 20]),
        lambda k: 0.3 if k < 10 else 0.2 if k < 20 else 0.1,
    ),
    "warmup": (optim.warmup(5, 0.3), lambda k: 0.3 * min((k + 1) / 5, 1)),
    "warmup then decay": (
        optim.warmup(5, optim.exponential_decay(0.3, 0.5, 10)),
        lambda k: 0.3 * (k + 1) / 5 if k < 5 else 0.3 * 0.5 ** ((k - 5) / 10),
    ),
    "warmup then a function": (
        optim.warmup(5, lambda step: 0.3 / (1.0 + step)),
        lambda k: 0.3 * (k + 1) / 5 if k < 5 else 0.3 / (1 + k - 5),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    schedule, expected = SCHEDULES[name]
    compiled = hs.compile(lambda step: hs.asarray(schedule(step)))
    for k in (0, 1, 4, 5, 9, 10, 19, 20, 39, 40, 41, 1000):
        assert float(schedule(k)) == pytest.approx(expected(k), rel=1e-13)
        assert float(compiled(hs.array(k))) == pytest.approx(expected(k), rel=1e-13)
    x = hs.array(1.0)
    opt = optim.sgd(schedule)
    state = opt.init(x)
    for k in range(7):
        before = float(x)
        x, state = opt.update(hs.array(1.0), state, x)
        assert before - float(x) == pytest.approx(expected(k), rel=1e-12)


# ---- L-BFGS -------------------------------------------------------------------------------------------------------------
def rosenbrock(p):
    x, y = p["x"], p["y"]
    return hs.sum((1 - x) ** 2 + 100 * (y - x**2) ** 2)


def test_lbfgs_on_rosenbrock():
    opt = optim.lbfgs(
        hs.compile(hs.value_and_grad(rosenbrock)),
        {"x": hs.array([-1.2, 0.3]), "y": 1.0},
        gradient_tolerance=1e-10,
    )
    best = opt.minimise(200)
    assert opt.status == "gradient_converged" and opt.iterations < 60 and opt.evaluations < 90
    close(best["x"], [1.0, 1.0], rtol=1e-9)
    close(best["y"], 1.0, rtol=1e-9)
    assert opt.value < 1e-18 and set(best) == {"x", "y"}


def test_lbfgs_on_a_quadratic():
    """Ends within n iterations for n distinct eigenvalues, give or take the line search, which is not exact."""
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.standard_normal((12, 12)))
    a, b = q @ np.diag(np.repeat([1.0, 10.0, 100.0], 4)) @ q.T, rng.standard_normal(12)
    loss = lambda x: hs.sum(x * (hs.array(a) @ x)) / 2 - hs.sum(hs.array(b) * x)
    opt = optim.lbfgs(hs.value_and_grad(loss), hs.zeros(12), gradient_tolerance=1e-9)
    x = opt.minimise(60)
    assert opt.status == "gradient_converged" and opt.iterations <= 20
    close(x, np.linalg.solve(a, b), rtol=1e-8, atol=1e-10)


def test_accepted_points_satisfy_the_strong_wolfe_conditions():
    c1, c2 = 1e-3, 0.4
    loss = lambda x: hs.sum(x**4 - 3 * x**2 + hs.sin(3 * x))
    f = hs.value_and_grad(loss)
    opt = optim.lbfgs(f, hs.array([3.0, -2.5, 0.1, 1.7]), c1=c1, c2=c2, gradient_tolerance=1e-8)
    opt.step()
    for _ in range(8):
        x0 = np.asarray(opt.params)
        if not opt.step():
            break
        step = np.asarray(opt.params) - x0
        (f0, g0), (f1, g1) = f(hs.array(x0)), f(opt.params)
        slope0, slope1 = (float(np.asarray(g) @ step) for g in (g0, g1))
        assert (
            slope0 < 0.0 and float(f1) <= float(f0) + c1 * slope0 and abs(slope1) <= c2 * abs(slope0) + 1e-15
        )
    assert opt.iterations >= 4


def test_a_saved_state_goes_on_bit_for_bit(tmp_path):
    f, start = hs.value_and_grad(rosenbrock), {"x": hs.array(-1.2), "y": hs.array(1.0)}
    whole, first = optim.lbfgs(f, start, history=4), optim.lbfgs(f, start, history=4)
    whole.minimise(20)
    first.minimise(9)
    hs.io.save_safetensors(tmp_path / "state", first.state)
    second = optim.lbfgs(f, start, history=4, state=hs.io.load_safetensors(tmp_path / "state"))
    assert second.iterations == 9
    second.minimise(20)
    assert float(second.params["x"]) == float(whole.params["x"]) and second.value == whole.value
    assert second.evaluations == whole.evaluations


def test_lbfgs_moves_floating_arrays_only():
    params = {
        "x": hs.array([3.0, -1.0], dtype="float32"),
        "n": hs.array(2),
        "key": hs.random.key(0),
        "s": "text",
    }
    opt = optim.lbfgs(hs.value_and_grad(lambda p: hs.sum((p["x"] - p["n"]) ** 2)), params)
    best = opt.minimise(20)
    close(best["x"], [2.0, 2.0], rtol=1e-6)
    assert best["x"].dtype == hs.float32 and all(best[k] is params[k] for k in ("n", "key", "s"))
    unused = optim.lbfgs(lambda p: (p[0] ** 2, [2.0 * p[0], None]), [hs.array(3.0), hs.array(5.0)])
    assert [float(v) for v in unused.minimise(20)] == [0.0, 5.0]


def test_the_function_may_change():
    goal = {"at": 1.0}
    opt = optim.lbfgs(
        lambda x: ((x - goal["at"]) ** 2, 2.0 * (x - goal["at"])), 5.0, gradient_tolerance=1e-10
    )
    close(opt.minimise(20), 1.0)
    goal["at"] = -2.0
    opt.function_changed()
    assert opt.status == "running"
    close(opt.minimise(40), -2.0)


def test_why_lbfgs_ends():
    f = hs.value_and_grad(lambda x: hs.sum(x**4))
    opt = optim.lbfgs(f, hs.array([2.0, 1.0]), value_tolerance=1e-3)
    opt.minimise(100)
    assert opt.status == "value_converged" and 0 < opt.iterations < 100
    uphill = optim.lbfgs(lambda x: (x**2, -2.0 * x), 1.0)
    assert not uphill.step() and uphill.status == "line_search_failed" and float(uphill.params) == 1.0


def test_nan_on_the_line_shortens_the_step():
    f = hs.value_and_grad(
        lambda x: -hs.log(2.0 - x) - hs.log(x + 40.0) + 0.0 * x
    )  # nan beyond 2 and below -40
    opt = optim.lbfgs(f, -39.9, gradient_tolerance=1e-9)
    close(opt.minimise(50), -19.0, rtol=1e-8)


def test_nan_is_reported_and_the_last_good_point_kept():
    added = [0.0]
    opt = optim.lbfgs(lambda x: (x**2 + added[0], 2.0 * x), 3.0)
    opt.step()
    good = float(opt.params)
    for added[0] in (math.nan, math.inf):
        with pytest.raises(
            FloatingPointError, match="NaN or infinite at every one of the 25 points tried in iteration 1"
        ):
            opt.step()
        assert float(opt.params) == good
    opt.function_changed()
    with pytest.raises(
        FloatingPointError, match="the function is inf at the start of iteration 1.*debug_nans"
    ):
        opt.step()
    assert float(opt.params) == good
    added[0] = 0.0
    close(opt.minimise(20), 0.0)
    with pytest.raises(
        FloatingPointError,
        match="the function is 4 with NaN or infinity in its gradient at the start of iteration 0",
    ):
        optim.lbfgs(lambda x: (x**2, x * math.nan), 2.0).step()


# ---- refusals -----------------------------------------------------------------------------------------------------------
P = {"x": hs.array(1.0)}
SGD, ADAM = optim.sgd(0.1), optim.adam(0.1)
square = hs.value_and_grad(lambda x: x**2)
REFUSED = {
    "negative rate": (
        lambda: optim.sgd(-1),
        ValueError,
        "sgd: the learning rate must not be negative, got -1",
    ),
    "nan rate": (
        lambda: optim.adam(math.nan),
        ValueError,
        "adam: the learning rate must not be negative, got nan",
    ),
    "text rate": (
        lambda: optim.sgd("fast"),
        TypeError,
        "sgd: the learning rate must be a number or a schedule, got str",
    ),
    "vector rate": (
        lambda: optim.sgd(lambda k: hs.ones(2)).update(P, SGD.init(P), P),
        ValueError,
        r"sgd: the learning rate must be a scalar, got the shape \(2,\)",
    ),
    "momentum": (lambda: optim.sgd(0.1, 1.0), ValueError, r"sgd: momentum must be in \[0, 1\), got 1"),
    "nesterov": (lambda: optim.sgd(0.1, nesterov=True), ValueError, "sgd: nesterov needs momentum > 0"),
    "decay": (
        lambda: optim.adam(0.1, weight_decay=-0.5),
        ValueError,
        "adam: weight_decay must not be negative, got -0.5",
    ),
    "beta1": (lambda: optim.adam(0.1, beta1=1.0), ValueError, r"adam: beta1 must be in \[0, 1\), got 1"),
    "beta2": (lambda: optim.adam(0.1, beta2=-0.1), ValueError, r"adam: beta2 must be in \[0, 1\), got -0.1"),
    "epsilon": (lambda: optim.adam(0.1, epsilon=0.0), ValueError, "adam: epsilon must be positive, got 0"),
    "other tree": (
        lambda: SGD.update({"y": hs.array(1.0)}, SGD.init(P), P),
        ValueError,
        r"sgd: the trees do not match: expected \{'x': \*\}, got \{'y': \*\}",
    ),
    "gradient's shape": (
        lambda: ADAM.update({"x": hs.ones(2)}, ADAM.init(P), P),
        ValueError,
        r"adam: parameter 0 is float64\[\] but its gradient is float64\[2\]",
    ),
    "state's shape": (
        lambda: ADAM.update(P, ADAM.init({"x": hs.ones(2)}), P),
        ValueError,
        r"adam: parameter 0 is float64\[\] but its first moment is float64\[2\]; make the state with init",
    ),
    "no velocity": (
        lambda: optim.sgd(0.1, 0.9).update(P, SGD.init(P), P),
        ValueError,
        "sgd: 1 parameters but 0 entries of velocity; make the state with init",
    ),
    "state with holes": (
        lambda: ADAM.update(P, ADAM.init({"x": hs.array(1)}), P),
        ValueError,
        r"adam: the state has 0 arrays for 1 parameters; make it with init\(params\)",
    ),
    "foreign state": (
        lambda: ADAM.update(P, SGD.init(P), P),
        TypeError,
        r"adam: the state must be what init\(params\) returned, got SgdState",
    ),
    "max_norm": (
        lambda: optim.clip_by_global_norm(P, 0.0),
        ValueError,
        "clip_by_global_norm: max_norm must be positive, got 0",
    ),
    "cosine": (lambda: optim.cosine_decay(0.1, 0), ValueError, "cosine_decay: steps must be positive, got 0"),
    "piecewise": (
        lambda: optim.piecewise([0.1], [5]),
        ValueError,
        "piecewise: 1 boundaries need 2 rates, got 1",
    ),
    "boundaries": (
        lambda: optim.piecewise([0.3, 0.2, 0.1], [5, 2]),
        ValueError,
        "piecewise: boundaries must increase, got 5 before 2",
    ),
    "warmup": (lambda: optim.warmup(0, 0.1), ValueError, "warmup: steps must be positive, got 0"),
    "factor": (
        lambda: optim.exponential_decay(0.1, -1.0, 10),
        ValueError,
        "exponential_decay: factor and steps must be positive, got -1 and 10",
    ),
    "no function": (lambda: optim.lbfgs(3.0, 1.0), TypeError, "lbfgs: expected a function, got float"),
    "nothing to move": (
        lambda: optim.lbfgs(square, {"n": 1}),
        ValueError,
        r"lbfgs: the parameters hold no floating arrays; they are \{'n': \*\}",
    ),
    "complex": (
        lambda: optim.lbfgs(square, [hs.array(1j)]),
        TypeError,
        r"lbfgs: params\[0\] is complex128; only real",
    ),
    "nan start": (
        lambda: optim.lbfgs(square, math.nan),
        ValueError,
        "lbfgs: the parameters to start from hold NaN or infinity",
    ),
    "value only": (
        lambda: optim.lbfgs(lambda x: x, 1.0).step(),
        TypeError,
        r"lbfgs: the function must return \(value, gradient\), got Array; hs\.value_and_grad",
    ),
    "vector value": (
        lambda: optim.lbfgs(lambda x: (hs.ones(2), x), 1.0).step(),
        ValueError,
        r"lbfgs: the value must be a scalar, got the shape \(2,\)",
    ),
    "other gradient": (
        lambda: optim.lbfgs(lambda p: (p["x"], {"x": hs.ones(2)}), P).step(),
        ValueError,
        r"lbfgs: params\['x'\] has the shape \(\) but its gradient \(2,\)",
    ),
    "history": (
        lambda: optim.lbfgs(square, 1.0, history=0),
        ValueError,
        "lbfgs: history must be at least 1, got 0",
    ),
    "wolfe": (
        lambda: optim.lbfgs(square, 1.0, c1=0.9, c2=0.1),
        ValueError,
        "0 < c1 < c2 < 1, got c1=0.9, c2=0.1",
    ),
    "tolerance": (
        lambda: optim.lbfgs(square, 1.0, value_tolerance=-1.0),
        ValueError,
        "lbfgs: tolerances must not be negative",
    ),
    "state without entries": (
        lambda: optim.lbfgs(square, 1.0, state={"x": hs.ones(1)}),
        ValueError,
        'lbfgs: the state has no entry "value"',
    ),
    "state of another model": (
        lambda: optim.lbfgs(square, hs.ones(2), state=optim.lbfgs(square, 1.0).state),
        ValueError,
        "lbfgs: the state has 1 parameters, the model 2",
    ),
    "its own error": (
        lambda: optim.lbfgs(lambda x: 1 / 0, 1.0).step(),
        ZeroDivisionError,
        "division by zero",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    call, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        call()
