"""Reductions by segment: negative ids, and second derivatives where segments are empty, constant or of one entry."""

import numpy as np
import pytest

import hesse as hs

NAMES = ("sum", "mean", "max", "min", "logsumexp", "softmax", "std")


def close(got, expected, rtol=1e-12):
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("m", [3, 40_000])  # the latter is shared by threads
@pytest.mark.parametrize("name", NAMES)
def test_a_negative_id_is_refused_wherever_it_stands(name, m):
    """They count from no end, unlike indices."""
    f = getattr(hs, f"segment_{name}")
    rng = np.random.default_rng(m)
    x = hs.asarray(rng.normal(size=(m, 2)))
    ascending = np.sort(rng.integers(0, 3, m))
    runs = {
        "eager": lambda ids: f(x, ids, 3),
        "compiled": hs.compile(lambda ids: f(x, ids, 3)),
        "mapped": lambda ids: hs.vmap(lambda c: f(x[:, c], ids, 3))(hs.arange(2)),
        "differentiated": lambda ids: hs.grad(lambda x: hs.sum(f(x, ids, 3)))(x),
    }
    for ids in (ascending, rng.permutation(ascending)):
        for way, run in runs.items():
            assert not np.any(np.isnan(np.asarray(run(hs.asarray(ids))))), way
            for at in (0, m // 2, m - 1):
                bad = ids.copy()
                bad[at] = -1
                with pytest.raises(IndexError) as raised:
                    run(hs.asarray(bad))
                for part in (f"segment_{name}", "-1", f"position {at}"):
                    assert part in str(raised.value), (way, str(raised.value))


# Segment 0 has equal entries, whose mean rounds to another number, 1 and 4 none, 2 one, 3 two that differ.
IDS = hs.asarray([0, 3, 0, 2, 0, 3])
X = hs.asarray([0.1, 0.4, 0.1, 5.0, 0.1, -1.1])
WEIGHTS = hs.asarray([0.7, -1.3, 0.4, 1.9, 0.6])


def of_std(x):
    return hs.sum(WEIGHTS * hs.sin(hs.segment_std(x, IDS, 5)))


def std_alone(x):
    """What segment 3 has part in: the deviation of two numbers is half of their distance."""
    return WEIGHTS[3] * hs.sin(hs.abs(x[1] - x[5]) / 2.0)


def of_logsumexp(x):
    y = hs.segment_logsumexp(x, IDS, 5)
    return hs.sum(WEIGHTS * hs.where(hs.isfinite(y), hs.sin(y), 0.0))


def logsumexp_alone(x):
    parts = [(0, [0, 2, 4]), (2, [3]), (3, [1, 5])]
    return sum(WEIGHTS[s] * hs.sin(hs.logsumexp(hs.stack([x[i] for i in rows]))) for s, rows in parts)


U, V = (hs.asarray(np.random.default_rng(k).normal(size=6)) for k in (1, 2))
SECOND = {
    "forward over reverse": lambda f: hs.jacfwd(hs.grad(f)),
    "reverse over reverse": lambda f: hs.jacrev(hs.grad(f)),
    "forward over forward": lambda f: hs.jacfwd(hs.jacfwd(f)),
    "hessian": hs.hessian,
    "compiled": lambda f: hs.compile(hs.hessian(f)),
    "mapped": lambda f: lambda x: hs.vmap(hs.hessian(f))(hs.stack([x + U, x]))[1],
}


@pytest.mark.parametrize("f, alone", [(of_std, std_alone), (of_logsumexp, logsumexp_alone)])
def test_first_and_second_derivatives_of_segments_that_are_empty_or_constant(f, alone):
    """Finite, and of `segment_std` 0 where all entries are equal."""
    close(hs.grad(f)(X), hs.grad(alone)(X))
    close(hs.jvp(f, (X,), (V,))[1], hs.jvp(alone, (X,), (V,))[1])
    close(hs.hvp(f, X, V), hs.hvp(alone, X, V))
    expected = np.asarray(hs.hessian(alone)(X))
    assert np.abs(expected).max() > 0.1
    for way, second in SECOND.items():
        np.testing.assert_allclose(np.asarray(second(f)(X)), expected, rtol=1e-12, atol=1e-13, err_msg=way)
    curved = lambda f: lambda x: hs.sum(hs.hvp(f, x, V) * U)  # the third order too
    close(hs.grad(curved(f))(X), hs.grad(curved(alone))(X), 1e-11)


@pytest.mark.parametrize("name", ["std", "logsumexp"])
def test_segments_that_are_all_empty(name):
    f = lambda x: hs.sum(getattr(hs, f"segment_{name}")(x, hs.zeros(0, dtype=hs.int64), 3))
    x = hs.zeros(0)
    for g in (hs.grad(f), hs.compile(hs.grad(f)), lambda x: hs.hvp(f, x, x)):
        assert g(x).shape == (0,)
    assert hs.hessian(f)(x).shape == (0, 0)
    assert float(hs.jvp(f, (x,), (x,))[1]) == 0.0


def test_entries_of_minus_infinity_have_no_part_in_a_logsumexp():
    """Nor their derivatives, also where a segment has no others."""
    f = lambda x: hs.segment_logsumexp(x, hs.asarray([0, 0, 1, 1]), 2)
    x = hs.asarray([-np.inf, -np.inf, -np.inf, 1.0])
    np.testing.assert_array_equal(f(x), [-np.inf, 1.0])
    np.testing.assert_array_equal(hs.grad(lambda x: hs.sum(f(x)))(x), [0, 0, 0, 1])
    np.testing.assert_array_equal(hs.hessian(lambda x: hs.sum(f(x)))(x), np.zeros((4, 4)))
