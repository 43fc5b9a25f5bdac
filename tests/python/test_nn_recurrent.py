"""The gated recurrent unit: values and gradients against a formula in NumPy, one row and gate at a time."""

import numpy as np
import pytest

import hesse as hs

IN, N = 3, 4


def cell(dtype=None):
    """Biases drawn too."""
    rng = np.random.default_rng(0)
    made = hs.nn.GRUCell(IN, N, key=hs.random.key(0), dtype=dtype)
    return hs.tree_map(lambda a: a + hs.asarray(0.3 * rng.normal(size=a.shape), dtype=a.dtype), made)


def formula(w, b, u, c, x, h):
    """With PyTorch's weight_ih, bias_ih, weight_hh, bias_hh; takes complex numbers."""
    s = lambda a: 1 / (1 + np.exp(-a))
    part = lambda a, k: a[k * N : (k + 1) * N]
    rows = []
    for x_i, h_i in zip(x, h, strict=True):
        r, z = (s(part(w, k) @ x_i + part(b, k) + part(u, k) @ h_i + part(c, k)) for k in range(2))
        n = np.tanh(part(w, 2) @ x_i + part(b, 2) + r * (part(u, 2) @ h_i + part(c, 2)))
        rows.append((1 - z) * n + z * h_i)
    return np.array(rows)


def plain(m):
    return m.inputs.weight, m.inputs.bias, m.state.weight, m.state.bias


def drawn(dtype=float):
    rng = np.random.default_rng(1)
    return rng.normal(size=(5, IN)).astype(dtype), rng.normal(size=(5, N)).astype(dtype)


@pytest.mark.parametrize("dtype, rtol", [(hs.float64, 1e-13), (hs.float32, 2e-6)], ids=str)
def test_values(dtype, rtol):
    m, (x, h) = cell(dtype), drawn()
    expected = formula(*(np.asarray(a, float) for a in plain(m)), x, h)
    x, h = hs.asarray(x, dtype=dtype), hs.asarray(h, dtype=dtype)
    for y in (m(x, h), hs.compile(lambda m, x, h: m(x, h))(m, x, h), hs.vmap(m)(x, h)):
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(m(x[0], h[0]), expected[0], rtol=rtol, atol=rtol)
    np.testing.assert_allclose(m(x[None], h[None])[0], expected, rtol=rtol, atol=rtol)


def test_gradients():
    """Every entry, by weights, biases, inputs and state, by complex steps."""
    m, (x, h) = cell(), drawn()
    v = np.random.default_rng(2).normal(size=(5, N))
    loss = lambda m, x, h: hs.sum(hs.array(v) * m(x, h))
    for grad in (hs.grad(loss, argnums=(0, 1, 2)), hs.compile(hs.grad(loss, argnums=(0, 1, 2)))):
        by_cell, *others = grad(m, hs.array(x), hs.array(h))
        slopes = [*plain(by_cell), *others]
        at = [*(np.asarray(a) for a in plain(m)), x, h]
        for k, slope in enumerate(slopes):
            expected = np.zeros(slope.shape)
            for index in np.ndindex(*slope.shape):
                moved = at[k].astype(complex)
                moved[index] += 1e-30j
                expected[index] = np.sum(v * formula(*at[:k], moved, *at[k + 1 :])).imag / 1e-30
            np.testing.assert_allclose(slope, expected, rtol=1e-11, atol=1e-13)


def test_a_long_sequence_in_a_scan():
    """Steps in a loop of the program, and the gradient through them."""
    m, (_, h) = cell(), drawn()
    xs = hs.array(np.random.default_rng(3).normal(size=(20, 5, IN)))

    def unrolled(m):
        state = hs.array(h)
        for x in xs:
            state = m(x, state)
        return hs.sum(state**2)

    looped = lambda m: hs.sum(hs.scan(lambda state, x: (m(x, state), None), hs.array(h), xs)[0] ** 2)
    np.testing.assert_allclose(looped(m), unrolled(m), rtol=1e-12)
    ours, theirs = (hs.tree_leaves(hs.grad(f)(m)) for f in (looped, unrolled))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_layout_and_key():
    a, b, c = (hs.nn.GRUCell(IN, N, key=hs.random.key(k)) for k in (0, 0, 1))
    assert a.inputs.weight.shape == (3 * N, IN) and a.state.weight.shape == (3 * N, N)
    assert bool(hs.array_equal(a.state.weight, b.state.weight))
    assert not bool(hs.array_equal(a.state.weight, c.state.weight))


@pytest.mark.parametrize(
    "run, words",
    [
        (lambda: hs.nn.GRUCell(0, 4), r"GRUCell: the numbers of features must be positive, got \[0, 4\]"),
        (lambda: cell()(np.ones((5, 2)), np.ones((5, N))), r"GRUCell: x must be \[\.\.\., 3\], got shape \(5, 2\)"),
        (lambda: cell()(np.ones((5, IN)), np.ones((5, 3))), r"GRUCell: h must be \[\.\.\., 4\], got shape \(5, 3\)"),
        (lambda: cell()(np.float64(1.0), np.ones(N)), r"GRUCell: x must be \[\.\.\., 3\], got shape \(\)"),
        (
            lambda: cell()(np.ones((5, IN)), np.ones(N)),
            r"GRUCell: every row of x needs one of h, got shapes \(5, 3\) and \(4,\); repeat h with hs\.broadcast_to",
        ),
    ],
)  # fmt: skip
def test_what_the_cell_refuses(run, words):
    with pytest.raises(ValueError, match=words):
        run()
    with pytest.raises(TypeError, match=r"GRUCell: the numbers of features must be integers"):
        hs.nn.GRUCell(2.0, 3)
