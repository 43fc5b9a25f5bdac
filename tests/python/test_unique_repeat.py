"""unique and repeat, against NumPy; repeat of traced counts."""

import numpy as np
import pytest

import hesse as hs


@pytest.mark.parametrize(
    "x",
    [
        np.array([3, 1, 3, 2]),
        np.array([[2.0, 1.0], [1.0, np.nan]]),
        np.array([]),
        np.array([True, False, True]),
    ],
)
def test_unique(x):
    for index in (False, True):
        for inverse in (False, True):
            for counts in (False, True):
                kw = {"return_index": index, "return_inverse": inverse, "return_counts": counts}
                ours, theirs = hs.unique(hs.array(x), **kw), np.unique(x, **kw)
                if not isinstance(theirs, tuple):
                    ours, theirs = (ours,), (theirs,)
                assert len(ours) == len(theirs)
                for a, b in zip(ours, theirs, strict=True):
                    np.testing.assert_array_equal(np.asarray(a).reshape(-1), b.reshape(-1))
    assert hs.unique(hs.array([[1, 1]]), return_inverse=True)[1].shape == (1, 2)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_repeat(axis):
    x = np.arange(6.0).reshape(2, 3)
    n = 6 if axis is None else x.shape[axis]
    for repeats in (
        2,
        0,
        np.int32(3),
        np.array(2),
        np.array([2]),
        np.arange(n),
        np.arange(n, dtype=np.int8),
        list(range(n)),
    ):
        ours = hs.repeat(hs.array(x), repeats, axis=axis)
        np.testing.assert_array_equal(np.asarray(ours), np.repeat(x, repeats, axis=axis))


def test_repeat_of_a_given_length():
    x, counts = hs.array([1.0, 2.0, 3.0]), hs.array([1, 0, 2])
    assert hs.repeat(x, counts, total_repeat_length=2).tolist() == [1.0, 3.0]
    assert hs.repeat(x, counts, total_repeat_length=5).tolist() == [1.0, 3.0, 3.0, 3.0, 3.0]
    assert hs.repeat(x, 2, total_repeat_length=4).tolist() == [1.0, 1.0, 2.0, 2.0]
    f = hs.compile(lambda x, n: hs.repeat(x, n, total_repeat_length=3))
    assert f(x, counts).tolist() == [1.0, 3.0, 3.0]
    assert hs.vmap(lambda n: hs.repeat(x, n, total_repeat_length=2))(
        hs.array([[2, 0, 0], [0, 1, 1]])
    ).tolist() == [[1.0, 1.0], [2.0, 3.0]]
    assert hs.grad(lambda x: hs.sum(hs.repeat(x, counts)))(x).tolist() == [1.0, 0.0, 2.0]
    many = hs.repeat(hs.arange(200), hs.full((200,), 127, dtype=hs.int8))  # more than an int8 counts
    assert many.shape == (25_400,) and int(many[-1]) == 199
    with pytest.raises(ValueError, match="^repeat: total_repeat_length is 2 for an axis of length 0"):
        hs.repeat(hs.zeros(0), hs.zeros(0, dtype=hs.int64), total_repeat_length=2)
    with pytest.raises(IndexError, match=r"^repeat: axis 1 is out of range for 1 dimension"):
        hs.repeat(x, counts, axis=1)
