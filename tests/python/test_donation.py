"""Donated arguments: their memory is used for the results, and nothing that anybody else sees is overwritten."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import hesse as hs

N = 100_000  # larger than what goes into blocks
SMALL = 1000


def address(x) -> int:
    return np.asarray(x).__array_interface__["data"][0]


def fresh(n, value=1.0):
    return hs.array(np.full(n, value))


@pytest.mark.parametrize("n", [SMALL, N])
def test_a_result_lies_where_the_argument_lay(n):
    step = hs.compile(lambda w, g: w - 0.1 * g, donate_argnums=0)
    w, g = fresh(n), fresh(n, 2.0)
    step(fresh(n), g)  # recorded
    before = address(w)
    w = step(w, g)
    assert address(w) == before
    np.testing.assert_allclose(np.asarray(w), 0.8)
    np.testing.assert_array_equal(np.asarray(g), 2.0)


def test_the_first_call_donates_too():
    step = hs.compile(lambda w: w * 2.0, donate_argnums=0)
    w = fresh(N)
    before = address(w)
    assert address(step(w)) == before


def use(w):
    return {
        "arithmetic": lambda: w + 1.0,
        "a value": lambda: float(w[0]),
        "numpy": lambda: np.asarray(w),
        "a buffer": lambda: memoryview(w),
        "dlpack": lambda: np.from_dlpack(w),
        "pickle": lambda: w.__reduce__(),
        "compiled": lambda: hs.compile(lambda x: x + 1.0)(w),
        "captured": lambda: hs.compile(lambda x: x + w)(1.0),
        "gradient": lambda: hs.grad(lambda x: hs.sum(x**2))(w),
        "vmap": lambda: hs.vmap(lambda x: x)(w),
        "a list": lambda: w.tolist(),
    }


@pytest.mark.parametrize("what", list(use(None)))
def test_using_it_again(what):
    def step(params, x):
        return params * x

    w = fresh(SMALL)
    hs.compile(step, donate_argnums=0)(w, 2.0)
    assert w.shape == (SMALL,) and w.dtype == hs.float64
    with pytest.raises(
        ValueError, match=r"donated to step as argument 0 \(params\), .*what step returned, or .* hs\.array"
    ):
        use(w)[what]()


def test_donating_twice():
    step = hs.compile(lambda w: w + 1.0, donate_argnums=0)
    w = fresh(SMALL)
    step(w)
    with pytest.raises(ValueError, match="was donated to <lambda> as argument 0"):
        step(w)


# memory that others see --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [SMALL, N])
@pytest.mark.parametrize(
    "share",
    [
        np.asarray,
        memoryview,
        np.from_dlpack,
        lambda w: w[1:],
        lambda w: hs.reshape(w, (2, -1)),
    ],
    ids=["numpy", "memoryview", "dlpack", "slice", "view"],
)
def test_shared_memory_is_left_alone(share, n):
    step = hs.compile(lambda w: w * 2.0 + 1.0, donate_argnums=0)
    step(fresh(n))
    w = fresh(n)
    other = share(w)
    result = step(w)
    del w
    gc.collect()
    junk = [fresh(n, 7.0) for _ in range(4)]  # would lie in memory that was freed by mistake
    np.testing.assert_array_equal(np.asarray(other), 1.0)
    np.testing.assert_array_equal(np.asarray(result), 3.0)
    del junk


def test_memory_of_numpy_is_left_alone():
    step = hs.compile(lambda w: w * 2.0, donate_argnums=0)
    for n in (SMALL, N):
        for share in (lambda a: hs.asarray(a, copy=False), hs.from_dlpack):
            a = np.ones(n)
            np.testing.assert_array_equal(np.asarray(step(share(a))), 2.0)
            np.testing.assert_array_equal(a, 1.0)
        a = np.ones(n)  # NumPy arrays themselves are copied at the door
        np.testing.assert_array_equal(np.asarray(step(a)), 2.0)
        np.testing.assert_array_equal(a, 1.0)


def test_the_same_array_twice():
    step = hs.compile(lambda a, b: (a * 2.0, b + 1.0, a + b), donate_argnums=(0, 1))
    for n in (SMALL, N):
        w = fresh(n)
        for y, value in zip(step(w, w), (2.0, 2.0, 2.0), strict=True):
            np.testing.assert_array_equal(np.asarray(y), value)
        one = fresh(n)
        half = hs.compile(lambda a, b: a * 2.0 + b, donate_argnums=0)
        np.testing.assert_array_equal(np.asarray(half(one, one)), 3.0)
    tree = {"a": (w := fresh(SMALL)), "b": [w, w]}
    doubled = hs.compile(lambda t: hs.tree_map(lambda x: 2.0 * x, t), donate_argnums=0)(tree)
    for leaf in hs.tree_leaves(doubled):
        np.testing.assert_array_equal(np.asarray(leaf), 2.0)


def test_slices_of_one_array():
    whole = fresh(2 * N)
    a, b = whole[:N], whole[N:]
    step = hs.compile(lambda a, b: (a + 1.0, b + 2.0), donate_argnums=(0, 1))
    x, y = step(a, b)
    np.testing.assert_array_equal(np.asarray(whole), 1.0)
    np.testing.assert_array_equal(np.asarray(x), 2.0)
    np.testing.assert_array_equal(np.asarray(y), 3.0)


def test_constants_are_left_alone():
    w = fresh(N)
    remembered = hs.compile(lambda x: x + hs.sum(CONSTANT[0]))
    CONSTANT[0] = w
    first = remembered(1.0)
    hs.compile(lambda w: w * 0.0, donate_argnums=0)(w)
    assert float(remembered(1.0)) == float(first) == N + 1.0
    CONSTANT[0] = None


CONSTANT = [None]


def test_broadcast_values():
    step = hs.compile(lambda w: w + 1.0, donate_argnums=0)
    for w in (hs.zeros((SMALL,)), hs.broadcast_to(hs.array(0.0), (SMALL,)), hs.zeros((0,)), hs.array(0.0)):
        np.testing.assert_array_equal(np.asarray(step(w)), 1.0)


# everything that reads the argument late ---------------------------------------------------------------------------------
PROGRAMS = {
    "read later": lambda w, g: (w + g, w * g),
    "read after": lambda w, g: (w * 2.0, hs.sum(w), w[::-1] + g),
    "reversed": lambda w, g: (w + w[::-1], g - 1.0),
    "transposed": lambda w, g: (
        hs.reshape(hs.reshape(w, (10, -1)).mT.reshape((-1,)), (-1,)) + w,
        hs.sin(w) * w + g,
    ),
    "returned itself": lambda w, g: (w, w + g, g),
    "chain": lambda w, g: (hs.tanh(w * g + w) - hs.exp(-w) * hs.sin(g + w), w - g),
    "adam": lambda w, g: (
        w - 0.1 * (0.9 * g + 0.1 * w) / (hs.sqrt(0.5 * g * g + 0.5 * w * w) + 1e-8),
        0.9 * g + 0.1 * w,
    ),
    "products": lambda w, g: (
        hs.reshape(w, (10, -1)) @ hs.reshape(g, (-1, 10)) + 1.0,
        w + hs.reshape(hs.reshape(w, (10, -1)) * hs.reshape(g, (10, -1)), (-1,)),
    ),
    "sums": lambda w, g: (w - hs.mean(w), g / hs.norm(g) if hasattr(hs, "norm") else g / hs.sum(g)),
    "where": lambda w, g: (hs.where(w > g, w, g * 2.0), hs.maximum(w, g) - w),
    "loop": lambda w, g: hs.fori_loop(0, 5, lambda i, c: (c[0] + c[1], c[1] * 0.5 + w), (w, g)),
    "cond": lambda w, g: hs.cond(hs.sum(w) > 0.0, lambda: (w + 1.0, g), lambda: (g, w)),
    "scan": lambda w, g: hs.scan(lambda c, x: (c * 0.5 + x, c), 0.0, w),
    "map": lambda w, g: hs.vmap(lambda a, b: (hs.sin(a) * b, a + b))(w, g),
    "update": lambda w, g: (w.at[3].set(5.0), g.at[:5].add(w[:5]), w * 2.0),
}


@pytest.mark.parametrize("n", [40, SMALL, N])
@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_those_without_donation(name, n):
    if name in ("loop", "scan") and n == N:
        n = 20_000
    f = PROGRAMS[name]
    plain, donating = hs.compile(f), hs.compile(f, donate_argnums=(0, 1))
    rng = np.random.default_rng(0)
    for _ in range(3):
        w, g = rng.standard_normal(n), rng.standard_normal(n)
        expected = plain(hs.array(w), hs.array(g))
        got = donating(hs.array(w), hs.array(g))
        for a, b in zip(hs.tree_leaves(expected), hs.tree_leaves(got), strict=True):
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_random_programs():
    """Chains of random entry-by-entry operations on three donated arrays: bits as without donation."""
    rng = np.random.default_rng(1)
    unary = [hs.sin, hs.tanh, hs.square, hs.negative, hs.abs, hs.exp]
    binary = [hs.add, hs.subtract, hs.multiply, hs.maximum, hs.minimum]
    for case in range(60):
        count = int(rng.integers(1, 14))
        plan = [(int(rng.integers(0, 11)), *map(int, rng.integers(0, 2**30, 2))) for _ in range(count)]
        keep = rng.integers(0, 2**30, int(rng.integers(1, 5)))

        def f(*xs, plan=plan, keep=keep):
            values = list(xs)
            for op, i, j in plan:
                a, b = values[i % len(values)], values[j % len(values)]
                values.append(unary[op](a) if op < len(unary) else binary[op - len(unary)](a, b))
            return [values[k % len(values)] for k in keep]

        n = [7, 33, SMALL, 17_000][case % 4]
        xs = [rng.standard_normal(n) for _ in range(3)]
        plain, donating = hs.compile(f), hs.compile(f, donate_argnums=(0, 1, 2))
        for _ in range(2):
            expected = plain(*map(hs.array, xs))
            for a, b in zip(expected, donating(*map(hs.array, xs)), strict=True):
                assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), (case, plan, keep)


# transforms --------------------------------------------------------------------------------------------------------------
def test_nothing_is_donated_under_transforms():
    f = hs.compile(lambda w: hs.sum(w**3), donate_argnums=0)
    w = fresh(5, 2.0)
    np.testing.assert_allclose(np.asarray(hs.grad(f)(w)), 12.0)
    np.testing.assert_allclose(np.asarray(hs.hessian(f)(w)), 12.0 * np.eye(5))
    np.testing.assert_allclose(np.asarray(hs.vmap(f)(hs.ones((3, 5)))), 5.0)
    assert float(hs.jvp(f, (w,), (w,))[1]) == 120.0
    assert float(hs.compile(lambda w: f(w) + hs.sum(w))(w)) == 50.0
    assert float(hs.sum(w)) == 10.0  # it is still there


# what is allocated -------------------------------------------------------------------------------------------------------
def adam_step(adam):
    def step(net, state, x):
        loss, grad = hs.value_and_grad(lambda net: hs.mean(hs.vmap(net)(x) ** 2))(net)
        return *adam.update(grad, state, net), loss

    return step


def test_a_training_step_makes_no_new_parameters():
    net = hs.nn.MLP([4, 64, 64, 1], key=hs.random.key(0))
    adam = hs.optim.adam(1e-3)
    x = hs.random.normal(hs.random.key(1), (32, 4))
    step = hs.compile(adam_step(adam), donate_argnums=(0, 1))
    plain = hs.compile(adam_step(adam))
    a, b = (net, adam.init(net)), (net, adam.init(net))
    b = hs.tree_map(lambda leaf: hs.array(leaf), b)
    a = hs.tree_map(lambda leaf: hs.array(np.array(leaf)), a)
    *a, _ = step(*a, x)
    *b, _ = plain(*b, x)
    total = sum(leaf.size * 8 for leaf in hs.tree_leaves(a))
    allocated = []
    for f, t in ((plain, b), (step, a)):
        now = hs._hesse.allocated_bytes()
        *t[:], loss = f(*t, x)
        allocated.append(hs._hesse.allocated_bytes() - now)
    # Without donation, the decayed moments get memory of their own, where the new moments then lie; the new
    # parameters lie where their gradients lay, with or without it.
    assert allocated[0] - allocated[1] >= 0.95 * total * 2 / 3
    for u, v in zip(hs.tree_leaves(a), hs.tree_leaves(b), strict=True):
        assert np.asarray(u).tobytes() == np.asarray(v).tobytes()


def test_large_updates_allocate_only_temporaries():
    """Adam on arrays of 800 kB: its state is updated where it lies."""

    def step(w, m, v, g):
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g * g
        return w - 1e-2 * m / (hs.sqrt(v) + 1e-8), m, v

    plain, donating = hs.compile(step), hs.compile(step, donate_argnums=(0, 1, 2))
    g, allocated, results = fresh(N, 0.5), [], []
    for f in (plain, donating):
        state = [fresh(N) for _ in range(3)]
        state = f(*state, g)
        live, before = hs._hesse.live_bytes(), hs._hesse.allocated_bytes()
        for _ in range(3):
            state = f(*state, g)
        allocated.append((hs._hesse.allocated_bytes() - before) / 3)
        assert hs._hesse.live_bytes() - live < 10_000
        results.append(state)
    assert allocated[0] - allocated[1] >= 3 * 8 * N
    for u, v in zip(*results, strict=True):
        assert np.asarray(u).tobytes() == np.asarray(v).tobytes()


# refusals ----------------------------------------------------------------------------------------------------------------
def test_refusals():
    with pytest.raises(ValueError, match="compile: argument 1 is static and donated"):
        hs.compile(lambda x, n: x, static_argnums=1, donate_argnums=1)
    f = hs.compile(lambda x: x + 1.0, donate_argnums=2)
    with pytest.raises(ValueError, match=r"donate_argnums 2 is out of range for 1 positional argument\(s\)"):
        f(fresh(3))


def test_arguments_from_the_end_and_methods():
    f = hs.compile(lambda x, w: (x, w + 1.0), donate_argnums=-1)
    w = fresh(SMALL)
    f(1.0, w)
    with pytest.raises(ValueError, match=r"as argument -1 \(w\)"):
        w + 1.0


def test_a_failed_recording_donates_nothing():
    @hs.compile
    def bad(w):
        raise RuntimeError("no")

    f = hs.compile(lambda w: bad(w), donate_argnums=0)
    w = fresh(3)
    with pytest.raises(RuntimeError, match="no"):
        f(w)
    assert float(hs.sum(w)) == 3.0
