"""NeuralODE as a layer: values and gradients are those of solve_ivp; it is a tree, can be trained, saved and mapped."""

import numpy as np
import pytest

import hesse as hs
from hesse.solvers import NeuralODE, solve_ivp


class Field(hs.nn.Module):
    net: hs.nn.MLP

    def __call__(self, t, y, scale=1.0):
        return scale * self.net(y) * hs.cos(t)


def layer(size=2, **options):
    return NeuralODE(Field(hs.nn.MLP([size, 8, size], key=hs.random.key(0))), **options)


X = hs.array([[0.5, -0.3], [1.0, 0.2], [-0.7, 0.4]])


def test_it_is_the_solution():
    model = layer(t_span=(0.0, 2.0), method="Dopri5", rtol=1e-6, atol=1e-8, max_step=0.5)
    expected = solve_ivp(
        model.field, (0.0, 2.0), X, "Dopri5", [1.0, 2.0], rtol=1e-6, atol=1e-8, max_step=0.5
    ).y
    assert hs.allclose(model(X), expected[1], rtol=1e-12)
    assert hs.allclose(model(X, t_eval=[1.0, 2.0]), expected, rtol=1e-12)
    doubled = solve_ivp(
        model.field, (0.0, 2.0), X, "Dopri5", [2.0], args=(2.0,), rtol=1e-6, atol=1e-8, max_step=0.5
    ).y
    assert hs.allclose(model(X, args=(2.0,)), doubled[0], rtol=1e-12)


def test_gradients():
    model = layer(method="RK4", first_step=0.25)

    def loss(model, x):
        return hs.sum(model(x) ** 2)

    slopes, by_input = hs.grad(loss, (0, 1))(model, X)
    assert isinstance(slopes, NeuralODE)
    leaves, treedef = hs.tree_flatten(model)
    for i, e in ((0, 1e-6), (3, 1e-6)):
        direction = [hs.ones_like(a) if j == i else hs.zeros_like(a) for j, a in enumerate(leaves)]

        def at(s, direction=direction):
            return loss(treedef.unflatten([a + s * d for a, d in zip(leaves, direction, strict=True)]), X)

        got = float(hs.sum(hs.tree_leaves(slopes)[i]))
        assert np.isclose(got, float((at(e) - at(-e)) / (2 * e)), rtol=1e-7, atol=1e-9)
    e = hs.array(np.full(X.shape, 1e-6))
    assert np.isclose(
        float(hs.sum(by_input)), float((loss(model, X + e) - loss(model, X - e)) / 2e-6), rtol=1e-7
    )


def test_augmented():
    model = layer(3, augment=1)
    y = model(X)
    assert y.shape == (3, 3)
    padded = hs.concatenate([X, hs.zeros((3, 1))], axis=1)
    assert hs.allclose(y, layer(3)(padded), rtol=1e-12)
    assert model(X[0]).shape == (3,)
    assert model(X.astype(hs.float64), t_eval=[0.5, 1.0]).shape == (2, 3, 3)


def test_maps_programs_and_trees():
    model = layer()
    one_by_one = hs.stack([model(x) for x in X])
    assert hs.allclose(hs.vmap(model)(X), one_by_one, rtol=1e-12)
    assert hs.allclose(hs.compile(lambda m, x: m(x))(model, X), model(X), rtol=1e-12)
    both = NeuralODE(lambda t, y: {"a": -y["b"], "b": y["a"]}, (0.0, np.pi), rtol=1e-9, atol=1e-9)
    end = both({"a": hs.array(1.0), "b": hs.zeros(2)[0]})
    assert abs(float(end["a"]) + 1) < 1e-6 and abs(float(end["b"])) < 1e-6


def test_the_span_can_be_trained():
    model = NeuralODE(lambda t, y: -y, (0.0, hs.array(1.0)), rtol=1e-8, atol=1e-10)
    slope = hs.grad(lambda m: m(hs.array(1.0)))(model).t_span[1]
    assert abs(float(slope) + np.exp(-1)) < 1e-6


def test_training(tmp_path):
    """A rotation by a quarter, from its pairs."""
    model = layer(t_span=(0.0, 1.0), rtol=1e-3, atol=1e-5)
    target = hs.stack([-X[:, 1], X[:, 0]], axis=1)
    adam = hs.optim.adam(3e-2)

    def loss(model):
        return hs.mean((model(X) - target) ** 2)

    @hs.compile
    def step(model, state):
        value, gradient = hs.value_and_grad(loss)(model)
        model, state = adam.update(gradient, state, model)
        return model, state, value

    state = adam.init(model)
    first = float(loss(model))
    for _ in range(200):
        model, state, value = step(model, state)
    assert float(value) < 1e-3 * first
    file = tmp_path / "model.safetensors"
    hs.io.save_safetensors(file, model)
    again = hs.io.load_safetensors(file, layer())
    assert np.array_equal(
        np.asarray(again.field.net.layers[0].weight), np.asarray(model.field.net.layers[0].weight)
    )


def test_symplectic_and_imex_layers():
    oscillator = NeuralODE(
        hs.solvers.hamiltonian(lambda p: 0.5 * p**2, lambda q: 0.5 * q**2),
        (0.0, 1.0),
        method="Yoshida4",
        first_step=0.01,
    )
    q, p = oscillator((1.0, 0.0))
    assert abs(float(q) - np.cos(1)) < 1e-8 and abs(float(p) + np.sin(1)) < 1e-8
    split = NeuralODE((lambda t, y: y, lambda t, y: -1000.0 * y), (0.0, 1.0), method="ARK4")
    assert abs(float(split(1.0))) < 1e-3


def test_refusals():
    with pytest.raises(TypeError, match="NeuralODE: expected a function, got int"):
        NeuralODE(3)
    with pytest.raises(ValueError, match="t_span is .*expected two times"):
        NeuralODE(lambda t, y: y, (1.0,))
    with pytest.raises(ValueError, match="augment is -1"):
        layer(augment=-1)
    with pytest.raises(ValueError, match="must be one array with an axis"):
        NeuralODE(lambda t, y: y, augment=1)((X, X))
    with pytest.raises(ValueError, match="must be one array with an axis"):
        NeuralODE(lambda t, y: y, augment=1)(1.0)
    with pytest.raises(ValueError, match="no method is called 'Tsit6'"):
        layer(method="Tsit6")(X)
