"""Transforms of Python functions: their arguments, trees, auxiliary outputs and nesting."""

import collections
import dataclasses
import functools
import threading
from typing import NamedTuple

import numpy as np
import pytest

import hesse as hs


def close(a, b, **kw):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), **kw)


# Gradients ----------------------------------------------------------------------------------------
def test_grad_of_numbers_and_numpy():
    assert float(hs.grad(hs.sin)(0.0)) == 1.0
    assert isinstance(hs.grad(lambda x: hs.sum(x * x))(np.array([1.0, 2.0])), hs.Array)
    close(
        hs.grad(lambda x, w: hs.sum(x * w))(np.ones(2, np.float32), hs.array([1, 2], dtype="float32")), [1, 2]
    )


def test_argnums():
    f = lambda x, y, z=1.0: x * y**2 * z
    assert float(hs.grad(f)(2.0, 3.0)) == 9.0
    assert float(hs.grad(f, 1)(2.0, 3.0)) == 12.0
    gx, gy = hs.grad(f, argnums=(0, 1))(2.0, 3.0, z=2.0)
    assert (float(gx), float(gy)) == (18.0, 24.0)
    (gy,) = hs.grad(f, argnums=(-1,))(2.0, 3.0)
    assert float(gy) == 12.0
    assert isinstance(hs.grad(f, [0])(2.0, 3.0), tuple)


def test_value_and_grad_with_aux():
    def f(x):
        return hs.sum(x**2), {"twice": 2 * x, "note": "kept", "n": 3}

    (value, aux), g = hs.value_and_grad(f, has_aux=True)(hs.array([1.0, 2.0]))
    assert float(value) == 5.0 and g.tolist() == [2.0, 4.0]
    assert aux["twice"].tolist() == [2.0, 4.0] and aux["note"] == "kept" and aux["n"] == 3
    g, aux = hs.grad(f, has_aux=True)(hs.array([1.0]))
    assert aux["twice"].tolist() == [2.0]
    # The auxiliary output of an inner gradient may be differentiated by an outer one.
    inner = lambda x: hs.grad(lambda y: (y**2, x * y), has_aux=True)(x)[1]
    assert float(hs.grad(inner)(3.0)) == 6.0


Point = collections.namedtuple("Point", "x y")


class Pair(NamedTuple):
    a: hs.Array
    b: hs.Array


@dataclasses.dataclass(frozen=True)
class Params:
    w: object
    inner: object = None
    size: int = dataclasses.field(default=3, metadata={"static": True})


class Layer(hs.nn.Module):
    w: hs.Array
    act: object = hs.tanh
    width: int = 2

    def __call__(self, x):
        return self.act(self.w * x)


class Net(hs.nn.Module):
    __buffers__ = ("seen",)

    def __init__(self, scale):
        self.layers = [Layer(hs.array(scale)), Layer(hs.array(2.0))]
        self.names = ("first", "second")
        self.seen = hs.array(0.0)
        self.steps = hs.array(3)

    def __call__(self, x):
        return functools.reduce(lambda y, layer: layer(y), self.layers, x)


TREES = {
    "dict": ({"b": 2.0, "a": 3.0}, lambda t: t["a"] * t["b"]),
    "list": ([2.0, 3.0], lambda t: t[0] * t[1]),
    "tuple": ((2.0, (3.0,)), lambda t: t[0] * t[1][0]),
    "namedtuple": (Point(2.0, 3.0), lambda t: t.x * t.y),
    "typed": (Pair(hs.array(2.0), hs.array(3.0)), lambda t: t.a * t.b),
    "dataclass": (Params(2.0, {"c": 3.0}), lambda t: t.w * t.inner["c"] * (t.size / 3)),
    "ordered": (collections.OrderedDict(z=2.0, y=3.0), lambda t: t["z"] * t["y"]),
    "none": ({"a": 2.0, "b": None, "c": [3.0]}, lambda t: t["a"] * t["c"][0]),
    "module": (Net(0.5), lambda t: t(1.0)),
    "deep": ({"a": [({"b": 2.0},)], "c": 3.0}, lambda t: t["a"][0][0]["b"] * t["c"]),
}


@pytest.mark.parametrize("name", TREES)
def test_trees_of_every_kind(name):
    tree, f = TREES[name]
    g = hs.grad(f)(tree)
    assert type(g) is type(tree)
    leaves, treedef = hs.tree_flatten(tree)
    flat = lambda *xs: f(hs.tree_unflatten(treedef, list(xs)))
    assert len(leaves) >= 2
    for k, gk in enumerate(treedef.flatten_up_to(g)):
        if gk is not None:
            close(gk, hs.grad(flat, k)(*leaves))
    ones = hs.tree_map(lambda x: hs.ones_like(hs.asarray(x)), tree)
    _, tangent = hs.jvp(f, (tree,), (g,))
    close(tangent, sum(float(a) ** 2 for a in hs.tree_leaves(g)))
    _, pull = hs.vjp(f, tree)
    close(hs.tree_leaves(pull(1.0)[0])[0], hs.tree_leaves(g)[0])
    compiled = hs.compile(hs.value_and_grad(f))
    close(compiled(tree)[0], f(tree))
    assert type(compiled(tree)[1]) is type(tree)
    batch = hs.tree_map(lambda x: hs.stack([x, x]), hs.tree_map(hs.asarray, tree))
    close(hs.vmap(f)(batch), [f(tree)] * 2)
    assert hs.tree_structure(ones) == treedef


def test_integers_and_buffers_have_no_gradient():
    g = hs.grad(lambda p: hs.sum(p["x"] * p["n"]))(
        {"x": hs.array([1.0]), "n": hs.array([3]), "k": True, "s": "text"}
    )
    assert g["x"].tolist() == [3.0] and g["n"] is None and g["k"] is None and g["s"] is None
    net = Net(0.5)
    g = hs.grad(lambda m: m(1.0) + m.seen)(net)
    assert g.seen is None and g.steps is None and g.names == net.names and g.layers[0].w is not None
    stepped = hs.tree_map(lambda p, d: p if d is None else p - 0.1 * d, net, g)
    assert isinstance(stepped, Net) and float(stepped.steps) == 3 and float(stepped(1.0)) < float(net(1.0))


def test_trainable():
    net = Net(0.5)
    parameters, rebuild = hs.trainable(net)
    assert len(parameters) == 2
    parameters, rebuild = hs.trainable(net, lambda m: m.layers[1])
    g = hs.grad(lambda p: rebuild(p)(1.0))(parameters)
    assert len(g) == 1
    close(g[0], hs.grad(lambda m: m(1.0))(net).layers[1].w)
    with pytest.raises(ValueError, match="not part of the model"):
        hs.trainable(net, lambda m: m.layers[0].w + 1)
    with pytest.raises(ValueError, match="rebuild takes 1"):
        rebuild([])


def test_modules_are_immutable_trees():
    net = Net(0.5)
    with pytest.raises(AttributeError, match="replace"):
        net.steps = 1
    with pytest.raises(AttributeError):
        del net.steps
    assert net.replace(steps=hs.array(4)).steps == 4 and net.steps == 3
    with pytest.raises(ValueError, match="no field"):
        net.replace(other=1)
    assert "w=float64[]" in repr(net) and "act=tanh" in repr(net)
    leaves, treedef = hs.tree_flatten(net)
    assert len(leaves) == 4 and treedef == hs.tree_structure(Net(7.0))
    assert treedef != hs.tree_structure(net.replace(names=("a", "b")))
    assert treedef.buffers() == [False, False, True, False]
    assert treedef.paths() == [".layers[0].w", ".layers[1].w", ".seen", ".steps"]
    assert net == hs.tree_unflatten(treedef, leaves) and net != Net(0.5)
    with pytest.raises(AttributeError, match="immutable"):
        hs.tree_unflatten(treedef, leaves).steps = 1

    class Derived(Layer):
        bias: hs.Array = dataclasses.field(default_factory=lambda: hs.array(1.0))

        def __call__(self, x):
            return super().__call__(x) + self.bias

    assert float(Derived(hs.array(0.0))(1.0)) == 1.0 and len(hs.tree_leaves(Derived(hs.array(0.0)))) == 2


def test_tree_functions():
    tree = {"b": [1, (2, None)], "a": 3}
    leaves, treedef = hs.tree_flatten(tree)
    assert leaves == [3, 1, 2] and treedef.num_leaves == 3
    rebuilt = hs.tree_unflatten(treedef, leaves)
    assert rebuilt == tree and list(rebuilt) == ["b", "a"]
    assert hs.tree_map(lambda x, y: x + y, tree, {"a": 10, "b": [20, (30, None)]}) == {
        "b": [21, (32, None)],
        "a": 13,
    }
    assert hs.tree_map(lambda x, y: (x, y), [1, 2], [None, "b"]) == [(1, None), (2, "b")]
    assert hs.tree_leaves([1, (2, 3)], is_leaf=lambda x: isinstance(x, tuple)) == [1, (2, 3)]
    assert hs.tree_structure({"a": 1, "b": 2}) == hs.tree_structure({"b": 1, "a": 2})
    assert hs.tree_structure([1]) != hs.tree_structure((1,))
    assert len({hs.tree_structure([1, 2]), hs.tree_structure([3, 4])}) == 1
    assert hs.tree_leaves({1: "a", "x": "b"}) == ["a", "b"]
    loop = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        hs.tree_leaves(loop)
    deep = 0.0
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        hs.tree_leaves(deep)
    while isinstance(deep, list):
        deep = deep.pop()


# Forward, reverse, linear -------------------------------------------------------------------------
def test_jvp_and_vjp():
    f = lambda x, y: {"p": x * y, "n": 3}
    out, d = hs.jvp(f, (2.0, 3.0), (1.0, None))
    assert float(out["p"]) == 6.0 and float(d["p"]) == 3.0 and d["n"] is None
    out, d, aux = hs.jvp(lambda x: (x**2, {"a": x + 1, "b": "s"}), 3.0, 1.0, has_aux=True)
    assert float(d) == 6.0 and float(aux["a"]) == 4.0 and aux["b"] == "s"
    out, pull = hs.vjp(f, 2.0, 3.0)
    assert [float(g) for g in pull({"p": 1.0, "n": None})] == [3.0, 2.0]
    assert [float(g) for g in pull({"p": None, "n": None})] == [0.0, 0.0]
    out, pull, aux = hs.vjp(lambda x: (x**2, "aux"), 3.0, has_aux=True)
    assert float(pull(1.0)[0]) == 6.0 and float(pull(2.0)[0]) == 12.0 and aux == "aux"
    out, pull = hs.vjp(lambda x, n: x * n, 2.0, 3)
    assert pull(1.0)[1] is None
    x = hs.array([1.0, 2.0], dtype="float32")
    assert hs.jvp(hs.sin, (x,), (np.ones(2, np.float32),))[1].dtype == "float32"


def test_linearise_and_transpose():
    calls = []
    f = lambda x: calls.append(1) or hs.sin(x) * x
    _, d = hs.linearise(f, 2.0)
    close(d(1.0), np.cos(2.0) * 2 + np.sin(2.0))
    close(d(3.0), 3 * (np.cos(2.0) * 2 + np.sin(2.0)))
    assert len(calls) == 1 and hs.linearize is hs.linearise
    m = hs.array([[1.0, 2.0, 3.0]])
    (g,) = hs.linear_transpose(lambda x: {"y": m @ x}, hs.zeros(3))(
        {"y": [10.0]} if False else {"y": hs.array([10.0])}
    )
    assert g.tolist() == [10.0, 20.0, 30.0]
    with pytest.raises(ValueError, match="linear"):
        hs.linear_transpose(hs.sin, 1.0)(1.0)


def test_jacobians_of_trees():
    f = lambda p: {"u": p["a"] * hs.stack([p["b"], p["b"] ** 2]), "v": p["b"]}
    p = {"a": hs.array([1.0, 2.0]), "b": hs.array(3.0), "n": 1}
    for transform in (hs.jacobian, hs.jacfwd, hs.jacrev):
        j = transform(f)(p)
        close(j["u"]["a"], [[3.0, 0.0], [0.0, 9.0]])
        close(j["u"]["b"], [1.0, 12.0])
        close(j["v"]["a"], [0.0, 0.0])
        assert j["u"]["n"] is None
    j, aux = hs.jacobian(lambda x: (x**2, {"v": x, "s": "t"}), has_aux=True)(hs.array([1.0, 2.0]))
    close(j, [[2.0, 0.0], [0.0, 4.0]])
    assert aux["s"] == "t" and aux["v"].shape == (2,)
    a, b = hs.jacobian(lambda x, y: x * y, argnums=(0, 1))(2.0, hs.array([3.0, 4.0]))
    assert a.shape == (2,) and b.shape == (2, 2)


def test_hessians():
    f = lambda p: p["x"] ** 2 * p["y"]
    h = hs.hessian(f)({"x": 2.0, "y": 3.0})
    assert [[float(h[i][j]) for j in "xy"] for i in "xy"] == [[6.0, 4.0], [4.0, 0.0]]
    hv = hs.hvp(f, ({"x": 2.0, "y": 3.0},), ({"x": 1.0, "y": 0.0},))
    assert float(hv[0]["x"]) == 6.0 and float(hv[0]["y"]) == 4.0
    assert hs.hessian(lambda x, y: hs.sum(x * x) * y, argnums=(0, 1))(hs.ones(2), 2.0)[0][1].shape == (2,)


def test_partials():
    def u(t, x, theta):
        return {"u": t**2 * x**3 * theta, "pair": hs.stack([t, x])}

    orders = ["", "t", "x", "xx", "tx", "t,x", (1, 1), (), 0, "theta", "thetax", "x theta"]
    out = hs.partials(u, (2.0, 3.0, 0.5), orders)
    expected = [54.0, 54.0, 54.0, 36.0, 54.0, 54.0, 36.0, 54.0, 54.0, 108.0, 108.0, 108.0]
    close([float(o["u"]) for o in out], expected)
    close(out[2]["pair"], [0.0, 1.0])
    # Arguments that are not scalars are captured, and may be differentiated from outside.
    f = lambda w: hs.partials(lambda w, x: w["a"] * x**2, (w, 3.0), ["x"])[0]
    assert float(hs.grad(f)({"a": 2.0})["a"]) == 6.0
    close(hs.vmap(lambda x: hs.partials(hs.sin, (x,), [(0, 0)])[0])(hs.arange(3.0)), -np.sin(np.arange(3.0)))
    with pytest.raises(ValueError, match="cannot read 'z'"):
        hs.partials(u, (2.0, 3.0, 0.5), ["z"])
    with pytest.raises(IndexError, match="out of range"):
        hs.partials(u, (2.0, 3.0, 0.5), [(3,)])
    with pytest.raises(ValueError, match="shape"):
        hs.partials(lambda x: hs.sum(x), (hs.ones(2),), ["x"])


def test_laplacian_and_taylor():
    value, lap = hs.laplacian(lambda x: hs.sum(x**4), hs.array([1.0, 2.0]))
    assert float(value) == 17.0 and float(lap) == 60.0
    out = hs.taylor(lambda x, y: hs.exp(x) * y, (0.0, 2.0), [(1.0, None), None, None])
    close([float(v) for v in out], [2.0, 2.0, 2.0, 2.0])
    out = hs.taylor(hs.sin, 0.0, [1.0, None, None])
    close([float(v) for v in out], [0.0, 1.0, 0.0, -1.0], atol=1e-15)


# vmap ---------------------------------------------------------------------------------------------
def test_vmap_axes():
    x, y = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    close(hs.vmap(lambda a, b: a * b, (0, None))(x, y), x * y)
    close(hs.vmap(lambda a, b: a * b, (1, 0))(x, y), (x * y).T)
    close(hs.vmap(lambda a, b: a * b, (1, 0), 1)(x, y), x * y)
    close(hs.vmap(lambda a, b: a * b, (-1, 0), -1)(x, y), x * y)
    out = hs.vmap(lambda p: {"a": p["x"] * p["w"], "w": p["w"]}, ({"x": 0, "w": None},), {"a": 1, "w": None})(
        {"x": x, "w": y}
    )
    close(out["a"], (x * y).T)
    close(out["w"], y)
    close(hs.vmap(lambda a, scale=1.0: a * scale)(x, scale=2.0), 2 * x)
    close(hs.vmap(lambda a, s: a * (2.0 if s == "two" else 1.0), (0, None))(x, "two"), 2 * x)
    close(hs.vmap(hs.vmap(lambda a, b: a - b, (None, 0)), (0, None))(x[0], y), x[0][:, None] - y[None])
    assert hs.vmap(lambda a: (a, 1.0), out_axes=(0, None))(x)[1] == 1.0


def test_vmap_axes_reach_into_modules():
    net = Net(0.5)
    stacked = hs.tree_map(lambda a: hs.stack([a, 2.0 * a, 3.0 * a]), net)
    x = hs.arange(3.0)
    each = [float(hs.tree_map(lambda a, k=k: (k + 1.0) * a, net)(x[k])) for k in range(3)]
    close(hs.vmap(lambda m, v: m(v))(stacked, x), each)
    close(hs.vmap(lambda m, v: m(v), (0, 0))(stacked, x), each)
    close(
        hs.vmap(lambda m, v: m(v), (0, None))(stacked, x[1]),
        [float(hs.tree_map(lambda a, k=k: (k + 1.0) * a, net)(x[1])) for k in range(3)],
    )


def test_vmap_of_everything():
    x = hs.arange(4.0) + 1
    f = lambda v: hs.sum(hs.sin(v) ** 2)
    close(hs.vmap(hs.grad(f))(x), hs.grad(f)(x))
    net = Net(0.5)
    close(hs.vmap(lambda m, v: m(v), (None, 0))(net, x), [net(v) for v in x])
    g = hs.grad(lambda m: hs.sum(hs.vmap(m)(x)))(net)
    close(g.layers[0].w, sum(float(hs.grad(lambda m, v=v: m(v))(net).layers[0].w) for v in x))
    seen = []
    hs.vmap(lambda v: hs.callback(lambda a: seen.append(float(a)) or a, hs.ShapeDtype(()), v))(x)
    assert seen == [1.0, 2.0, 3.0, 4.0]


# Control flow -------------------------------------------------------------------------------------
def test_loops_over_trees():
    carry, ys = hs.scan(lambda c, x: ({"s": c["s"] + x["a"], "n": c["n"] + 1}, {"y": c["s"]}),
                        {"s": 0.0, "n": 0}, {"a": hs.arange(3.0)})  # fmt: skip
    assert float(carry["s"]) == 3.0 and int(carry["n"]) == 3 and ys["y"].tolist() == [0.0, 0.0, 1.0]
    carry, ys = hs.scan(lambda c, _: (c * 2.0, None), 1.0, length=5)
    assert float(carry) == 32.0 and ys is None
    assert hs.scan(lambda c, x: (c + x, c), 0.0, hs.arange(3.0), reverse=True)[1].tolist() == [3.0, 2.0, 0.0]
    out = hs.while_loop(
        lambda c: c["i"] < 5, lambda c: {"i": c["i"] + 1, "x": c["x"] * 2.0}, {"i": 0, "x": 1.0}
    )
    assert float(out["x"]) == 32.0
    assert hs.fori_loop(0, 3, lambda i, c: (c[0] + i, c[1] * 2.0), (0, 1.0))[1] == 8.0
    f = lambda x: hs.fori_loop(0, 3, lambda i, c: c * x, 1.0)
    assert float(hs.grad(f)(2.0)) == 12.0
    g = lambda x: hs.while_loop(lambda c: c < 10.0, lambda c: c * x, 1.0)
    assert float(hs.grad(g)(2.0)) == 32.0 and float(hs.jvp(g, (2.0,), (1.0,))[1]) == 32.0


def test_branches():
    f = lambda x: hs.cond(x > 0.0, lambda v: {"y": v["x"] ** 2}, lambda v: {"y": -v["x"]}, {"x": x})["y"]
    assert [float(f(v)) for v in (3.0, -2.0)] == [9.0, 2.0] and float(hs.grad(f)(3.0)) == 6.0
    close(hs.vmap(f)(hs.array([3.0, -2.0])), [9.0, 2.0])
    assert (
        float(hs.switch(5, [hs.sin, hs.exp], 0.0)) == 1.0
        and float(hs.switch(-1, [hs.sin, hs.exp], 0.0)) == 0.0
    )
    ran = []
    run = lambda k: lambda x: hs.callback(lambda v: ran.append(k) or v, hs.ShapeDtype(()), x)
    hs.cond(True, run("yes"), run("no"), 1.0)
    assert ran == ["yes"]
    assert float(hs.cond(hs.array(False), lambda: 1.0, lambda: 2.0)) == 2.0


def test_map_accesses():
    x, w = hs.array([1.0, 2.0, 3.0]), hs.array([10.0, 20.0])
    src = hs.array([0, 2, 2, 1])
    f = lambda a, e, w: {"m": a * e * w[0], "c": a}
    out = hs.map(
        f,
        4,
        (x, hs.arange(4.0), w),
        (("gather", 0), "each", "uniform"),
        ["each", ("segment_sum", 0, 3)],
        [src],
    )
    close(out["c"], [1.0, 3.0, 3.0, 2.0])
    close(out["m"], [0.0, 60.0, 90.0])
    close(hs.map(lambda a: a**2, None, [x], ["each"], "sum"), 14.0)
    close(
        hs.grad(lambda x: hs.sum(hs.map(lambda a: a**2, 4, [x], [("gather", 0)], "each", [src])))(x),
        [2.0, 4.0, 12.0],
    )


def test_checkpoint_and_stop_gradient():
    calls = []
    f = hs.checkpoint(lambda p, s: (calls.append(1), hs.sin(p["x"]) * (2.0 if s == "a" else 1.0))[1])
    assert float(hs.grad(f)({"x": 0.0}, "a")["x"]) == 2.0 and len(calls) == 1
    assert float(hs.grad(lambda x: x * hs.stop_gradient(x))(3.0)) == 3.0


# Custom rules -------------------------------------------------------------------------------------
def test_custom_jvp():
    @hs.custom_jvp
    def f(x, p):
        """Doc."""
        return {"y": hs.sin(x) * p["w"], "n": 1}

    @f.defjvp
    def rule(primals, tangents):
        (x, p), (dx, dp) = primals, tangents
        assert dp["k"] is None
        return f(x, p), {"y": 10.0 * dx * p["w"] + dp["w"], "n": None}

    p = {"w": 2.0, "k": 1}
    assert f.__name__ == "f" and f.__doc__ == "Doc."
    close(f(1.0, p)["y"], 2 * np.sin(1.0))
    assert float(hs.grad(lambda x: f(x, p)["y"])(1.0)) == 20.0
    assert float(hs.grad(lambda p: f(1.0, p)["y"])(p)["w"]) == 1.0
    assert float(hs.jvp(lambda x: f(x, p=p)["y"], (1.0,), (1.0,))[1]) == 20.0
    close(hs.vmap(hs.grad(lambda x: f(x, p)["y"]))(hs.arange(3.0)), [20.0] * 3)
    assert float(hs.grad(hs.grad(lambda x: f(x * x, p)["y"]))(1.0)) == 40.0

    @functools.partial(hs.custom_jvp, nondiff_argnums=(0,))
    def apply(g, x):
        return g(x)

    apply.defjvp(lambda g, primals, tangents: (g(*primals), 5.0 * tangents[0]))
    assert float(hs.grad(lambda x: apply(hs.exp, x))(0.0)) == 5.0
    with pytest.raises(ValueError, match="no rule"):
        hs.custom_jvp(hs.sin)(1.0)


def test_custom_vjp():
    @hs.custom_vjp
    def f(x, p):
        return hs.sin(x) * p["w"]

    def fwd(x, p):
        return f(x, p), (hs.cos(x), p, "static")

    def bwd(residuals, ct):
        c, p, s = residuals
        assert s == "static"
        return 10.0 * ct * c * p["w"], {"w": None, "k": None}

    f.defvjp(fwd, bwd)
    p = {"w": 2.0, "k": 1}
    close(f(1.0, p), 2 * np.sin(1.0))
    close(hs.grad(f)(1.0, p), 20 * np.cos(1.0))
    assert float(hs.grad(f, 1)(1.0, p)["w"]) == 0.0
    close(hs.jvp(lambda x: f(x, p), (1.0,), (1.0,))[1], 20 * np.cos(1.0))
    close(hs.vmap(hs.grad(f), (0, None))(hs.arange(3.0), p), 20 * np.cos(np.arange(3.0)))
    close(hs.grad(hs.grad(f))(1.0, p), -20 * np.sin(1.0))

    class Holder:
        @hs.custom_vjp
        def method(self, x):
            return x

    Holder.method.defvjp(lambda self, x: (x, None), lambda _, ct: (None, 3.0 * ct))
    assert float(hs.grad(Holder().method)(1.0)) == 3.0


def test_callback():
    sine = lambda x: hs.callback(np.sin, x, x, vjp=lambda args, ct: (np.cos(args[0]) * ct,))
    close(hs.grad(lambda x: hs.sum(sine(x)))(hs.arange(3.0)), np.cos(np.arange(3.0)))
    close(hs.vmap(hs.grad(sine))(hs.arange(3.0)), np.cos(np.arange(3.0)))
    close(hs.compile(sine)(hs.arange(3.0)), np.sin(np.arange(3.0)))
    out = hs.callback(lambda p: {"s": p["a"].sum(), "k": [1]}, {"s": hs.ShapeDtype(()), "k":
    hs.ShapeDtype((1,), "int64")},
                      {"a": hs.ones(3)})  # fmt: skip
    assert float(out["s"]) == 3.0 and out["k"].dtype == "int64"
    with pytest.raises(TypeError, match="no derivative"):
        hs.grad(lambda x: hs.callback(np.sin, x, x))(1.0)
    with pytest.raises(ValueError, match="stated"):
        hs.callback(lambda x: np.zeros(3), hs.ShapeDtype(()), 1.0)
    with pytest.raises(ZeroDivisionError):
        hs.callback(lambda x: 1 / 0, hs.ShapeDtype(()), 1.0)


# compile ------------------------------------------------------------------------------------------
def test_compile_records_once_per_signature():
    calls = []

    @hs.compile
    def f(x, y=1.0):
        calls.append(1)
        return {"out": x * y, "none": None}

    for _ in range(3):
        assert f(hs.array([1.0, 2.0]))["out"].tolist() == [1.0, 2.0]
    assert len(calls) == 1
    f(hs.array([1.0, 2.0]), 3.0)
    f(hs.array([1.0, 2.0]), 4.0)
    f(hs.array([1.0, 2.0]), y=5.0)
    assert len(calls) == 3
    f(hs.array([1.0]))
    f(hs.array([1], dtype="int32"))
    assert len(calls) == 5 == f.cache_size
    f.clear_cache()
    assert f.cache_size == 0
    assert f.__name__ == "f" and "equations" in f.explain(hs.array(1.0))


def test_compile_static_arguments():
    @hs.compile(static_argnums=1, static_argnames="mode")
    def f(x, n, mode="sum"):
        for _ in range(n):
            x = x * 2.0
        return hs.sum(x) if mode == "sum" else x

    assert float(f(hs.ones(2), 3)) == 16.0 and f(hs.ones(2), 1, mode="all").tolist() == [2.0, 2.0]
    assert f.cache_size == 2
    assert (
        float(hs.compile(lambda x, how: x if how == "id" else -x)(1.0, "neg")) == -1.0
    )  # strings are static
    with pytest.raises(TypeError, match="cannot be hashed"):
        f(hs.ones(2), [1])
    with pytest.raises(hs.TraceError, match="static"):
        hs.compile(lambda x, n: [x for _ in range(n)])(hs.ones(2), 3)


def test_compile_closures_and_self():
    w = hs.array(2.0)
    helper = lambda x: x * w
    calls = []

    @hs.compile
    def f(x):
        calls.append(1)
        return helper(x) * w

    assert float(f(3.0)) == 12.0
    w = hs.array(5.0)
    assert float(f(3.0)) == 75.0 and len(calls) == 1

    def outer(v):
        g = hs.compile(lambda x: x * v)
        return g(2.0) + g(3.0)

    assert float(hs.grad(outer)(1.0)) == 5.0

    def loss(v):
        nonlocal w
        w = v
        return f(3.0)

    assert float(hs.grad(loss)(hs.array(2.0))) == 12.0 and len(calls) == 1
    w = hs.array(1.0)

    class Model(hs.nn.Module):
        w: hs.Array

        @hs.compile
        def __call__(self, x):
            calls.append("model")
            return self.w * x

    m = Model(hs.array(2.0))
    assert float(m(3.0)) == 6.0 and float(Model(hs.array(4.0))(3.0)) == 12.0
    assert calls.count("model") == 1
    assert float(hs.grad(lambda m: m(3.0))(m).w) == 3.0
    bound = hs.compile(Layer(hs.array(0.5)).__call__)
    close(bound(1.0), np.tanh(0.5))
    n = 3
    h = hs.compile(lambda x: x * n)
    assert float(h(2.0)) == 6.0
    n = 4
    assert float(h(2.0)) == 8.0


def test_compile_sees_through_functions_of_functions():
    w = hs.array(2.0)
    plain = lambda x: x * w
    inner = hs.compile(plain)
    ruled = hs.custom_vjp(plain)
    ruled.defvjp(lambda x: (plain(x), None), lambda _, ct: (ct * w,))
    versions = {
        "compiled": hs.compile(lambda x: inner(x)),
        "gradient": hs.compile(hs.grad(lambda x: plain(x) * x)),
        "partial": hs.compile(functools.partial(lambda a, x: a(x), plain)),
        "rule": hs.compile(lambda x: ruled(x)),
    }
    for value in (2.0, 5.0):
        w = hs.array(value)
        for name, f in versions.items():
            expected = 6.0 * value if name == "gradient" else 3.0 * value
            assert float(f(3.0)) == expected, name
    assert all(f.cache_size == 1 for f in versions.values())
    held = {"w": hs.array(2.0)}
    f = hs.compile(functools.partial(lambda p, x: p["w"] * x, held))
    assert float(f(3.0)) == 6.0 and "constants" not in f.explain(3.0)
    module = hs.compile(Layer(hs.array(0.5)))
    close(module(1.0), np.tanh(0.5))


def test_compile_inside_and_around_transforms():
    f = hs.compile(lambda x: hs.sum(hs.sin(x) ** 2))
    x = hs.arange(3.0)
    close(hs.grad(f)(x), hs.grad(lambda x: hs.sum(hs.sin(x) ** 2))(x))
    close(hs.compile(hs.grad(f))(x), hs.grad(f)(x))
    close(hs.vmap(f)(hs.stack([x, x])), [f(x)] * 2)
    close(hs.hessian(f)(x), np.diag(2 * np.cos(2 * np.arange(3.0))), atol=1e-12)
    assert hs.make_graph(lambda x: hs.sin(x) * hs.sin(x), 1.0).count("sin") == 1
    graph = hs.make_graph(lambda a, b: a + b, 1.0, hs.ones(2))
    assert (
        graph.num_inputs == 2
        and graph.outputs == [((2,), hs.float64)]
        and graph(1.0, hs.ones(2))[0].tolist() == [2, 2]
    )


def test_debug_print(capsys):
    @hs.compile
    def f(x):
        hs.debug.print("x = {x:.1f}, {}", "note", x=x)
        return x + 1

    f(1.0), f(2.0)
    hs.grad(lambda x: (hs.debug.print("eager {}", x), x)[1])(3.0)
    hs.vmap(lambda x: (hs.debug.print("lane {}", x), x)[1])(hs.array([1.0, 2.0]))
    assert capsys.readouterr().out.splitlines() == [
        "x = 1.0, note",
        "x = 2.0, note",
        "eager 3.0",
        "lane 1.0",
        "lane 2.0",
    ]


def test_debug_nans():
    with hs.debug_nans(), pytest.raises(FloatingPointError, match="log"):
        hs.log(hs.array([-1.0]))
    assert hs.isnan(hs.log(hs.array(-1.0)))


def test_values_under_derivatives():
    def f(x):
        y = x
        while float(y) < 100.0:
            y = y * x
        return y if y > 50 else -y

    assert float(hs.grad(f)(3.0)) == 5 * 3.0**4
    assert float(hs.grad(hs.grad(f))(3.0)) == 20 * 3.0**3


def test_threads():
    results = {}

    def work(k):
        f = lambda x: hs.sum(hs.sin(x * k))
        results[k] = [float(hs.sum(hs.compile(hs.grad(f))(hs.arange(50.0)))) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for k in range(4):
        close(results[k], [(k * np.cos(np.arange(50.0) * k)).sum()] * 5)


def test_seed():
    hs.seed(1)
    a = hs.random.normal(hs.random.next_key(), (3,))
    b = hs.random.normal(hs.random.next_key(), (3,))
    hs.seed(1)
    assert a.tolist() == hs.random.normal(hs.random.next_key(), (3,)).tolist() != b.tolist()
    with pytest.raises(hs.TraceError, match="key"):
        hs.compile(lambda x: x + hs.random.normal(hs.random.next_key()))(1.0)


def test_trees_with_other_static_fields_do_not_match():
    def linear(activation):
        return hs.nn.MLP([2, 3, 1], activation, key=hs.random.key(0))

    with pytest.raises(ValueError, match="tree_map: the trees do not match"):
        hs.tree_map(lambda p, q: p + q, linear(hs.tanh), linear(hs.sin))
    same = hs.tree_map(lambda p, q: p - q, linear(hs.tanh), linear(hs.tanh))
    assert all(float(hs.sum(abs(leaf))) == 0.0 for leaf in hs.tree_flatten(same)[0])
