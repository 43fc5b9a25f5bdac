"""Few or large examples run one by one, many small ones on lanes: the same results, whichever way."""

import numpy as np
import pytest
from run_examples import run_examples

import hesse as hs

RNG = np.random.default_rng(3)
HOW = pytest.mark.parametrize("how", ["on_lanes", "one_by_one", "unrolled"])


def lanes_of(f, *args):
    """How many examples the one map in f's program runs at a time."""
    with run_examples("as_costs_say"):
        ((_, lanes, _),) = hs.compile(f).program(*args).tilings
    return lanes


def is_unrolled(f, *args):
    with run_examples("as_costs_say"):
        return hs.compile(f).program(*args).count("map") == 0


def test_large_examples_run_one_by_one():
    product = hs.vmap(lambda a: hs.sum(hs.tanh(a @ a)))
    assert lanes_of(product, hs.zeros((10, 300, 300))) == 1
    assert lanes_of(product, hs.zeros((3, 150, 150))) == 1
    assert lanes_of(product, hs.zeros((64, 4, 4))) > 1


def test_few_examples_are_part_of_the_program():
    """Unless they are of a size that threads had better share."""
    product = hs.vmap(lambda a: a @ a)
    assert is_unrolled(product, hs.zeros((1, 3, 3)))
    assert is_unrolled(product, hs.zeros((1, 120, 120)))
    assert is_unrolled(product, hs.zeros((2, 20, 20)))
    assert is_unrolled(product, hs.zeros((3, 1000, 1000)))
    assert not is_unrolled(product, hs.zeros((3, 150, 150)))
    assert not is_unrolled(product, hs.zeros((64, 20, 20)))


def test_examples_that_print_are_not_unrolled():
    def f(x):
        hs.debug.print("x is {}", x)
        return x * 2.0

    with run_examples("unrolled"):
        assert hs.compile(hs.vmap(f)).program(hs.zeros((2, 3))).count("map") == 1


def test_matrices_of_their_own_stay_near():
    """Rows of wide tiles would be read from further away for every column of a product."""
    small = lanes_of(hs.vmap(lambda a, b: a @ b), hs.zeros((1000, 4, 4)), hs.zeros((1000, 4, 4)))
    large = lanes_of(hs.vmap(lambda a, b: a @ b), hs.zeros((1000, 20, 20)), hs.zeros((1000, 20, 5)))
    assert 1 < large < small


@HOW
@pytest.mark.parametrize("n", [0, 1, 5, 70])
def test_every_kind_of_result(how, n):
    x, table = RNG.normal(size=(n, 3)), RNG.normal(size=(4, 3))
    index = RNG.integers(0, 4, size=n)

    def f(row, x, w):
        return row * x, hs.sum(x) * w, hs.outer(x, row)

    def run():
        return hs.map(
            f,
            n,
            [hs.asarray(table), hs.asarray(x), hs.asarray(table[0])],
            [("gather", 0), "each", "uniform"],
            ["each", "sum", ("segment_sum", 0, 4)],
            [hs.asarray(index)],
        )

    with run_examples(how):
        each, total, segments = hs.compile(run)()
    np.testing.assert_allclose(np.asarray(each), table[index] * x, rtol=1e-14)
    np.testing.assert_allclose(np.asarray(total), x.sum() * table[0], rtol=1e-12, atol=1e-13)
    expected = np.zeros((4, 3, 3))
    np.add.at(expected, index, x[:, :, None] * table[index][:, None, :])
    np.testing.assert_allclose(np.asarray(segments), expected, rtol=1e-12, atol=1e-13)


@HOW
@pytest.mark.parametrize("n", [1, 9])
def test_a_failure_names_its_example(how, n):
    a = np.tile(np.eye(3), (n, 1, 1))
    a[n // 2, 0, 0] = -1.0
    with run_examples(how), pytest.raises(hs.Error, match=f"example {n // 2}"):
        hs.compile(hs.vmap(hs.linalg.cholesky))(hs.asarray(a))


@HOW
def test_threads_do_not_change_bits(how):
    x = hs.asarray(RNG.normal(size=(70, 40)))
    f = hs.vmap(lambda w, x: hs.sum(hs.tanh(w @ x)), (None, 0))
    gradient = lambda w: hs.grad(lambda w: hs.mean(f(w, x)))(w)
    w = hs.asarray(RNG.normal(size=(30, 40)))
    before = hs.get_num_threads()
    try:
        results = []
        with run_examples(how):
            for threads in (1, 2, 7):
                hs.set_num_threads(threads)
                results.append(np.asarray(hs.compile(gradient)(w)).tobytes())
    finally:
        hs.set_num_threads(before)
    assert len(set(results)) == 1


@HOW
def test_results_do_not_share_the_memory_of_operands(how):
    """A map of one example gives out what its body does, with an axis more."""
    x = np.arange(6.0).reshape(1, 6)
    a = hs.asarray(x)
    with run_examples(how):
        same, reversed_ = hs.vmap(lambda row: (row, hs.flip(row)))(a)
        donated = hs.compile(hs.vmap(lambda row: row * 2.0), donate_argnums=0)(hs.asarray(x) + 0.0)
    np.testing.assert_array_equal(np.asarray(same), x)
    np.testing.assert_array_equal(np.asarray(reversed_), x[:, ::-1])
    np.testing.assert_array_equal(np.asarray(donated), 2.0 * x)
    np.testing.assert_array_equal(np.asarray(a), np.arange(6.0).reshape(1, 6))


@HOW
def test_a_result_in_the_place_of_an_operand_that_is_given_out(how):
    """The sum of an operand, and a result that is written where the operand lay."""

    def body(a, x):
        return hs.checkpoint(lambda a, x: (hs.sin(a * x), a))(a, x)

    def f(x):
        a = hs.flip(x) * 2.0  # read by the map only
        return hs.map(body, x.shape[0], [a, x], ["each", "each"], ["each", "sum"])

    x = RNG.normal(size=9)
    with run_examples(how):
        g = hs.compile(f)
        for _ in range(3):
            each, total = g(hs.asarray(x))
            np.testing.assert_allclose(np.asarray(each), np.sin(2 * x[::-1] * x), rtol=1e-13)
            np.testing.assert_allclose(float(total), 2 * x.sum(), rtol=1e-12)
