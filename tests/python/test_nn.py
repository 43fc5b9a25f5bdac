"""Layers, activations, initial weights, and modules as immutable trees."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from scipy import special

import hesse as hs

key = hs.random.key
x = np.linspace(-3.0, 3.0, 13)


def close(a, b, rtol=1e-13, atol=1e-14):
    np.testing.assert_allclose(np.asarray(a), b, rtol=rtol, atol=atol)


# ---- layers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_a_product_over_the_last_axis(shape, bias):
    layer = hs.nn.Linear(3, 4, bias=bias, key=key(0))
    assert layer.weight.shape == (4, 3) and (layer.bias is None) == (not bias)
    layer = layer.replace(bias=hs.arange(4.0)) if bias else layer
    data = np.random.default_rng(0).standard_normal(shape)
    y = layer(hs.array(data))
    assert y.shape == (*shape[:-1], 4) and y.dtype == hs.float64
    close(y, data @ np.asarray(layer.weight).T + (np.arange(4.0) if bias else 0.0))


@pytest.mark.parametrize("activation", [hs.tanh, hs.nn.relu, lambda z: z * z])
def test_mlp_against_numpy(activation):
    net = hs.nn.MLP([3, 5, 4, 2], activation, key=key(1))
    net = hs.tree_map(lambda w: w + 0.1, net)  # biases that are not zero
    y = data = np.random.default_rng(1).standard_normal((6, 3))
    for k, layer in enumerate(net.layers):
        y = y @ np.asarray(layer.weight).T + np.asarray(layer.bias)
        y = np.asarray(activation(hs.array(y))) if k < 2 else y
    close(net(hs.array(data)), y)
    close(hs.vmap(net)(hs.array(data)), y)
    close(hs.compile(net)(hs.array(data)), y)


def test_layers_know_their_dtype_and_key():
    single = hs.nn.MLP([2, 3, 1], key=key(0), dtype="float32")
    assert {w.dtype for w in hs.tree_leaves(single)} == {hs.float32}
    assert single(hs.ones(2, dtype="float32")).dtype == hs.float32
    same, other = hs.nn.Linear(3, 2, key=key(5)), hs.nn.Linear(3, 2, key=key(6))
    close(same.weight, np.asarray(hs.nn.Linear(3, 2, key=key(5)).weight), rtol=0)
    assert not np.array_equal(np.asarray(same.weight), np.asarray(other.weight))
    layers = hs.nn.MLP([3, 3, 3], key=key(5)).layers
    assert not np.array_equal(np.asarray(layers[0].weight), np.asarray(layers[1].weight))
    hs.seed(3)
    first = hs.nn.Linear(3, 2), hs.nn.Linear(3, 2)
    hs.seed(3)
    again = hs.nn.Linear(3, 2)
    assert np.array_equal(np.asarray(first[0].weight), np.asarray(again.weight))
    assert not np.array_equal(np.asarray(first[1].weight), np.asarray(again.weight))
    ones = hs.nn.Linear(3, 2, key=key(0), init=lambda key, shape, dtype=None: hs.ones(shape, dtype=dtype))
    close(ones.weight, np.ones((2, 3)))


def test_gradients_of_a_network_against_differences():
    net = hs.nn.MLP([2, 4, 1], key=key(2))
    loss = lambda net: hs.sum(net(hs.array([[0.3, -0.7], [1.1, 0.2]])) ** 2)
    leaves, treedef = hs.tree_flatten(net)
    for k, g in enumerate(hs.tree_leaves(hs.grad(loss)(net))):
        w, step = np.asarray(leaves[k]), 1e-6
        for index in np.ndindex(w.shape):
            shifted = []
            for sign in (1, -1):
                moved = w.copy()
                moved[index] += sign * step
                new = [hs.array(moved) if i == k else leaf for i, leaf in enumerate(leaves)]
                shifted.append(float(loss(hs.tree_unflatten(treedef, new))))
            assert float(g[index]) == pytest.approx((shifted[0] - shifted[1]) / (2 * step), abs=1e-8)


# ---- activations ----------------------------------------------------------------------------------------------------
sigmoid = special.expit(x)
phi = special.ndtr(x)
scale, alpha = 1.0507009873554805, 1.6732632423543772
ACTIVATIONS = {
    "relu": (np.maximum(x, 0), (x > 0) * 1.0),
    "leaky_relu": (np.where(x > 0, x, 0.01 * x), np.where(x > 0, 1, 0.01)),
    "elu": (np.where(x > 0, x, np.expm1(x)), np.where(x > 0, 1, np.exp(x))),
    "selu": (scale * np.where(x > 0, x, alpha * np.expm1(x)), scale * np.where(x > 0, 1, alpha * np.exp(x))),
    "gelu": (x * phi, phi + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)),
    "silu": (x * sigmoid, sigmoid * (1 + x * (1 - sigmoid))),
    "mish": (
        x * np.tanh(np.log1p(np.exp(x))),
        np.tanh(np.log1p(np.exp(x))) + x * sigmoid / np.cosh(np.log1p(np.exp(x))) ** 2,
    ),
    "sigmoid": (sigmoid, sigmoid * (1 - sigmoid)),
    "softplus": (np.log1p(np.exp(x)), sigmoid),
    "tanh": (np.tanh(x), 1 / np.cosh(x) ** 2),
    "sin": (np.sin(x), np.cos(x)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_derivatives(name):
    f, (value, slope) = getattr(hs.nn, name), ACTIVATIONS[name]
    close(f(hs.array(x)), value)
    close(hs.grad(lambda v: hs.sum(f(v)))(hs.array(x)), slope)
    assert f(hs.array(x, dtype="float32")).dtype == hs.float32
    ends = np.asarray(hs.grad(lambda v: hs.sum(f(v)))(hs.array([-800.0, 800.0])))
    assert np.isfinite(ends).all()  # the branch that is not selected does not overflow


def test_options_of_activations():
    close(hs.nn.leaky_relu(hs.array(x), slope=0.2), np.where(x > 0, x, 0.2 * x))
    close(hs.nn.elu(hs.array(x), alpha=2.0), np.where(x > 0, x, 2.0 * np.expm1(x)))
    close(hs.nn.softmax(hs.array(x)), special.softmax(x))


# ---- initial weights --------------------------------------------------------------------------------------------------
VARIANCES = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}


@pytest.mark.parametrize("rule", VARIANCES)
@pytest.mark.parametrize("law", ["uniform", "normal"])
def test_statistics_of_initial_weights(rule, law):
    init = getattr(hs.nn.init, f"{rule}_{law}")
    for shape, fan_in, fan_out in (((120, 250), 250, 120), ((50, 20, 5, 5), 500, 1250)):
        variance = 9.0 * VARIANCES[rule](fan_in, fan_out)  # gain 3
        w = np.asarray(init(key(1), shape, 3.0)).ravel()
        sigma = math.sqrt(variance / w.size)
        assert abs(w.mean()) < 5 * sigma and w.var() == pytest.approx(variance, rel=0.05)
        kurtosis = np.mean(w**4) / np.mean(w**2) ** 2
        assert kurtosis == pytest.approx(1.8 if law == "uniform" else 3.0, abs=0.15)
        if law == "uniform":
            assert np.abs(w).max() <= math.sqrt(3 * variance)
    assert init(key(1), (3, 2), dtype="float32").dtype == hs.float32


# ---- modules ----------------------------------------------------------------------------------------------------------
class Scale(hs.nn.Module):
    factor: hs.Array
    power: int = 2

    def __call__(self, x):
        return (self.factor * x) ** self.power


class Shifted(Scale):
    shift: hs.Array | None = None


class Normed(hs.nn.Module):
    """A layer with state: a running mean that is not trained."""

    __buffers__ = ("mean",)

    def __init__(self, width):
        self.weight = hs.ones(width)
        self.mean = hs.zeros(width)
        self.draws = key(7)
        self.count = hs.array(0)

    def __call__(self, x):
        mean = 0.9 * self.mean + 0.1 * hs.mean(x, axis=0)
        return self.weight * (x - mean), self.replace(mean=mean, count=self.count + 1)


def test_modules_without_init_are_dataclasses_of_their_annotations():
    a = Shifted(hs.array(2.0), 3, hs.array(1.0))
    assert (float(a.factor), a.power, float(a.shift)) == (2.0, 3, 1.0)
    assert Shifted(factor=hs.array(2.0)).power == 2 and Shifted(hs.array(2.0)).shift is None
    with pytest.raises(TypeError, match="factor"):
        Scale()
    assert float(Scale(hs.array(2.0))(3.0)) == 36.0


def test_modules_are_immutable():
    a = Scale(hs.array(2.0))
    with pytest.raises(
        AttributeError, match=r"Scale is immutable: instead of m\.power = v write m = m\.replace\(power=v\)"
    ):
        a.power = 3
    with pytest.raises(AttributeError, match="immutable"):
        del a.power
    b = a.replace(power=3)
    assert (a.power, b.power) == (2, 3) and b.factor is a.factor and type(b) is Scale
    with pytest.raises(ValueError, match="replace: Scale has no field 'scale'; it has factor, power"):
        a.replace(scale=1)


def test_static_fields_are_structure():
    a = Scale(hs.array(2.0), 2)
    leaves, treedef = hs.tree_flatten(a)
    assert len(leaves) == 1 and leaves[0] is a.factor
    assert treedef == hs.tree_structure(Scale(hs.array(5.0), 2))
    assert treedef != hs.tree_structure(Scale(hs.array(5.0), 3))
    assert treedef != hs.tree_structure(Shifted(hs.array(5.0), 2))
    with pytest.raises(ValueError, match="tree_map: the trees do not match"):
        hs.tree_map(lambda p, q: p + q, a, Shifted(hs.array(5.0), 2))
    assert hs.tree_unflatten(treedef, [hs.array(7.0)]).power == 2
    calls = []

    @hs.compile
    def f(m, x):
        calls.append(m.power)
        return m(x)

    values = [float(f(Scale(hs.array(c), p), 2.0)) for c, p in ((1.0, 1), (2.0, 1), (1.0, 3), (2.0, 3))]
    assert values == [2.0, 4.0, 8.0, 64.0] and calls == [1, 3]  # recorded once per structure


def test_equality_is_structure_and_identity_of_arrays():
    a = Scale(hs.array(2.0))
    assert a == a.replace() and hash(a) == hash(a.replace())
    assert a != a.replace(power=5) and a != Scale(hs.array(2.0)) and a != "text"


def test_modules_print_copy_and_pickle():
    net = hs.nn.MLP([2, 3, 1], key=key(0))
    assert repr(net.layers[0]) == "Linear(weight=float64[3,2], bias=float64[3])"
    assert repr(net).startswith("MLP(layers=[Linear(") and repr(net).endswith("activation=tanh)")
    assert repr(Normed(2)) == "Normed(weight=float64[2], mean=float64[2], draws=key[], count=int64[])"
    for twin in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert hs.tree_structure(twin) == hs.tree_structure(net)
        close(twin(hs.ones(2)), np.asarray(net(hs.ones(2))), rtol=0)
        with pytest.raises(AttributeError, match="immutable"):
            twin.layers = []


def test_buffers_keys_and_integers_are_not_trained():
    layer, data = Normed(2), hs.array([[1.0, 2.0], [3.0, 6.0]])
    loss = lambda m: hs.sum(m(data)[0] ** 2)
    g = hs.grad(loss)(layer)
    assert g.mean is None and g.draws is None and g.count is None and g.weight.shape == (2,)
    _, new = layer(data)
    close(new.mean, [0.2, 0.4])
    assert int(new.count) == 1 and float(layer.mean[0]) == 0.0
    for opt in (hs.optim.sgd(0.1), hs.optim.sgd(0.1, 0.9), hs.optim.adam(0.1)):
        state = opt.init(layer)
        moved, state = opt.update(g, state, layer)
        assert type(moved) is Normed and not np.array_equal(np.asarray(moved.weight), np.ones(2))
        assert moved.mean is layer.mean and moved.draws is layer.draws and moved.count is layer.count
    best = hs.optim.lbfgs(hs.value_and_grad(lambda m: hs.sum((m.weight - 3.0) ** 2)), layer).minimise(10)
    close(best.weight, [3.0, 3.0], rtol=1e-6)
    assert best.mean is layer.mean and best.draws is layer.draws


def test_state_passes_through_compiled_steps():
    step = hs.compile(lambda m, x: m(x)[1])
    layer = Normed(2)
    for _ in range(3):
        layer = step(layer, hs.ones((4, 2)))
    assert int(layer.count) == 3 and step.cache_size == 1
    close(layer.mean, (1 - 0.9**3) * np.ones(2))


# ---- what is trained ----------------------------------------------------------------------------------------------------
def test_trainable_selects_and_freezes():
    net = hs.nn.MLP([2, 3, 1], key=key(0))
    parameters, rebuild = hs.trainable(net, lambda m: m.layers[-1])
    assert [p.shape for p in parameters] == [(1, 3), (1,)]
    opt = hs.optim.sgd(0.1)
    loss = lambda p: hs.sum(rebuild(p)(hs.ones(2)) ** 2)
    moved, _ = opt.update(hs.grad(loss)(parameters), opt.init(parameters), parameters)
    new = rebuild(moved)
    assert new.layers[0].weight is net.layers[0].weight
    assert not np.array_equal(np.asarray(new.layers[1].weight), np.asarray(net.layers[1].weight))
    everything, _ = hs.trainable(net)
    assert len(everything) == 4
    some, _ = hs.trainable(net, lambda m: [m.layers[0].bias, m.layers[1].weight])
    assert [p.shape for p in some] == [(3,), (1, 3)]
    assert len(hs.trainable(Normed(2))[0]) == 1  # neither buffers, keys nor integers


def test_what_trainable_refuses():
    net, layer = hs.nn.MLP([2, 3, 1], key=key(0)), Normed(2)
    for where, model, kind, message in (
        (lambda m: m.activation, net, ValueError, "part of the model"),
        (lambda m: hs.ones(2), net, ValueError, "not part of the model; return its own leaves"),
        (lambda m: [], net, ValueError, "holds no arrays"),
        (lambda m: m.mean, layer, TypeError, "no floating arrays besides buffers"),
        (lambda m: m.count, layer, TypeError, "no floating arrays besides buffers"),
    ):
        with pytest.raises(kind, match=message):
            hs.trainable(model, where)
    with pytest.raises(ValueError, match="rebuild takes 4 arrays, got 1"):
        hs.trainable(net)[1]([hs.ones(1)])


# ---- refusals -----------------------------------------------------------------------------------------------------------
REFUSED = {
    "no features": (
        lambda: hs.nn.Linear(0, 2),
        ValueError,
        r"Linear: the numbers of features must be positive, got \[0, 2\]",
    ),
    "fractional": (
        lambda: hs.nn.Linear(2, 1.5),
        TypeError,
        r"Linear: the numbers of features must be integers, got \[2, 1.5\]",
    ),
    "one size": (
        lambda: hs.nn.MLP([2]),
        ValueError,
        r"MLP: sizes needs at least an input and an output, got \[2\]",
    ),
    "zero size": (lambda: hs.nn.MLP([2, 0, 1]), ValueError, r"MLP: sizes must be positive, got \[2, 0, 1\]"),
    "text activation": (
        lambda: hs.nn.MLP([2, 1], "tanh"),
        TypeError,
        r"MLP: the activation must be a function such as hs\.tanh, got 'tanh'",
    ),
    "a number as key": (
        lambda: hs.nn.Linear(2, 1, key=3),
        TypeError,
        r"must be a key, got int64\[\]; make one with random\.key",
    ),
    "integer weights": (
        lambda: hs.nn.Linear(2, 1, key=key(0), dtype="int32"),
        TypeError,
        "dtype must be float32 or float64, got int32",
    ),
    "features": (
        lambda: hs.nn.Linear(2, 1, key=key(0))(hs.ones(3)),
        ValueError,
        r"linear: the weight float64\[1,2\] takes 2 features in the last axis, x is float64\[3\]",
    ),
    "a scalar": (lambda: hs.nn.Linear(2, 1, key=key(0))(1.0), ValueError, "linear: the weight"),
    "vector weights": (
        lambda: hs.nn.init.he_normal(key(0), (4,)),
        ValueError,
        r"he_normal: the shape must be \(out, in, window\.\.\.\), got \(4,\)",
    ),
    "gain": (
        lambda: hs.nn.init.lecun_normal(key(0), (4, 2), -1.0),
        ValueError,
        "lecun_normal: gain must not be negative, got -1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    call, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        call()
