"""Sums of sparse matrices whose values have heads: those of the dense matrices, head by head."""

import numpy as np
import pytest

import hesse as hs

# Patterns of (4, 5) that share the place (2, 1); the left one has (0, 3) twice.
LEFT = np.array([3, 0, 2, 0, 1]), np.array([1, 3, 1, 3, 0])
RIGHT = np.array([2, 1, 2]), np.array([4, 2, 1])


def matrix(values, places):
    return hs.sparse.coo(values, *places, (4, 5), duplicates="keep")


def dense(values, places):
    return hs.zeros((4, 5, *values.shape[1:])).at[places].add(values)


def close(got, expected, rtol=1e-12):
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=rtol, atol=rtol)


def values_of(left, right):
    rng = np.random.default_rng(10 * left + right)
    return hs.asarray(rng.normal(size=(5, left))), hs.asarray(rng.normal(size=(3, right)))


@pytest.mark.parametrize("heads", [(1, 1), (2, 2), (7, 7), (1, 3), (3, 1), (0, 0)], ids=str)
def test_heads_are_added_each(heads):
    v, w = values_of(*heads)
    for sign, total in (
        (1.0, matrix(v, LEFT) + matrix(w, RIGHT)),
        (-1.0, matrix(v, LEFT) - matrix(w, RIGHT)),
    ):
        expected = np.asarray(dense(v, LEFT) + sign * dense(w, RIGHT))
        assert total.data.shape == (6, max(heads)) and total.shape == (4, 5)
        close(total.todense(), expected)
        x = np.random.default_rng(0).normal(size=(5, max(heads), 2))
        close(total @ x, np.einsum("rch,chk->rhk", expected, x))
    close(
        (matrix(v, LEFT).T + matrix(w, RIGHT).T).todense(), np.swapaxes(expected + 2 * dense(w, RIGHT), 0, 1)
    )


@pytest.mark.parametrize("heads", [(2, 2), (1, 3), (3, 1)], ids=str)
def test_derivatives_of_sums_with_heads(heads):
    v, w = values_of(*heads)
    u, t = values_of(heads[0] + 20, heads[1] + 20)
    u, t = u[:, : heads[0]], t[:, : heads[1]]
    f = lambda v, w: hs.sin((matrix(v, LEFT) + matrix(w, RIGHT)).todense())
    g = lambda v, w: hs.sin(dense(v, LEFT) + dense(w, RIGHT))
    close(hs.jvp(f, (v, w), (u, t))[1], hs.jvp(g, (v, w), (u, t))[1])
    ct = hs.asarray(np.random.default_rng(1).normal(size=(4, 5, max(heads))))
    for got, expected in zip(hs.vjp(f, v, w)[1](ct), hs.vjp(g, v, w)[1](ct), strict=True):
        assert float(hs.max(hs.abs(expected))) > 0.1
        close(got, expected)
    loss = lambda f: lambda v, w: hs.sum(ct * f(v, w))
    for i in (0, 1):
        for j in (0, 1):
            for second in (hs.jacfwd, hs.jacrev):
                close(*(second(hs.grad(loss(h), i), j)(v, w) for h in (f, g)), 1e-11)


def test_sums_with_heads_compiled_and_mapped():
    v, w = values_of(3, 3)
    add = hs.sparse.AddStructure(matrix(v, LEFT), matrix(w, RIGHT))
    f = lambda v, w: add(matrix(v, LEFT), matrix(w, RIGHT)).data
    close(hs.compile(f)(v, w), f(v, w))
    many = hs.stack([v, 2.0 * v, v + 1.0])
    for run in (hs.vmap(f, (0, None)), hs.compile(hs.vmap(f, (0, None)))):
        close(run(many, w), [np.asarray(f(k, w)) for k in many])


@pytest.mark.parametrize(
    "left, right, says",
    [
        ((5, 2), (3,), ["(5, 2)", "(3,)", "data[:, None]"]),
        ((5,), (3, 2), ["(5,)", "(3, 2)", "data[:, None]"]),
        ((5,), (3, 1), ["(5,)", "(3, 1)"]),
        ((5, 2), (3, 3), ["(5, 2)", "(3, 3)"]),
        ((5, 0), (3, 2), ["(5, 0)", "(3, 2)"]),
    ],
    ids=str,
)
def test_different_heads_are_refused(left, right, says):
    a, b = matrix(np.ones(left), LEFT), matrix(np.ones(right), RIGHT)
    for call in (lambda: a + b, lambda: a - b, lambda: hs.sparse.AddStructure(a, b)(a, b)):
        with pytest.raises(ValueError, match="^add: values of shapes .* have different heads") as raised:
            call()
        for part in says:
            assert part in str(raised.value), str(raised.value)


def test_a_matrix_without_heads_is_added_to_each_as_the_error_says():
    """Self-loops of a graph with weights for several heads."""
    v, _ = values_of(3, 3)
    a, loops = hs.sparse.coo(v, LEFT[0], LEFT[1] % 4, (4, 4)), hs.sparse.identity(4)
    total = a + loops.replace(data=loops.data[:, None])
    close(total.todense(), np.asarray(a.todense()) + np.eye(4)[:, :, None])


def test_products_entry_by_entry_are_left_to_python():
    a = matrix(np.ones(5), LEFT)
    assert a.__mul__(a) is NotImplemented and a.__truediv__(a) is NotImplemented
    assert a.__add__(1.0) is NotImplemented and a.__sub__(np.ones((4, 5))) is NotImplemented
    for call in (lambda: a * a, lambda: a / a, lambda: a + 1.0, lambda: a - np.ones((4, 5))):
        with pytest.raises(TypeError, match="operand.*'CSR'"):
            call()
