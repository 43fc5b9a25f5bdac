"""The buffer protocol inwards: memoryview, array.array, bytes and ctypes as arrays."""

import array
import ctypes
import struct

import numpy as np
import pytest

import hesse as hs


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_array_array(code):
    given = array.array(code, [1, 2, 3])
    for make in (hs.array, hs.asarray):
        x = make(given)
        assert x.dtype == np.dtype(code) and x.tolist() == [1, 2, 3]
        given[0] = 7
        assert x.tolist() == [1, 2, 3]  # copied
        given[0] = 1
    shared = hs.asarray(given, copy=False)
    given[0] = 9
    assert shared.tolist() == [9, 2, 3]
    with pytest.raises(BufferError):  # its memory is lent
        given.append(4)
    del shared
    given.append(4)


def test_bytes():
    assert hs.array(b"\x01\x02").dtype == hs.uint8 and hs.array(b"\x01\x02").tolist() == [1, 2]
    assert hs.asarray(bytearray(b"\x05"), copy=False).tolist() == [5]
    assert hs.asarray(b"abc", copy=False).tolist() == [97, 98, 99]  # read-only memory is fine
    doubles = memoryview(struct.pack("=3d", 1.0, 2.0, 3.0)).cast("d")
    assert (
        hs.array(doubles).tolist() == [1.0, 2.0, 3.0]
        and hs.array(doubles, dtype=hs.float32).dtype == hs.float32
    )
    assert hs.array(b"").shape == (0,)


def test_memoryviews_of_any_layout():
    a = np.arange(24.0).reshape(2, 3, 4)
    for b in (a, a[:, ::2], a[::-1], a.T, a[..., 1], a[:0]):
        view = memoryview(b)
        for x in (hs.array(view), hs.asarray(view), hs.asarray(view, copy=False)):
            np.testing.assert_array_equal(np.asarray(x), b)
    steps = memoryview(array.array("i", range(10)))[1::3]
    assert hs.array(steps).tolist() == [1, 4, 7] and hs.asarray(steps, copy=False).tolist() == [1, 4, 7]
    x = hs.asarray(memoryview(a)[0:1], copy=False)
    a[0, 0, 0] = 100.0
    assert float(x[0, 0, 0]) == 100.0
    assert hs.array(memoryview(hs.arange(3))).tolist() == [0, 1, 2]
    assert hs.array((ctypes.c_double * 2)(1.0, 2.0)).tolist() == [1.0, 2.0]
    assert hs.array(memoryview(np.array([1 + 2j]))).dtype == hs.complex128
    assert hs.array(memoryview(np.array([True]))).dtype == hs.bool


def test_large_buffers():
    a = array.array("d", range(200_000))
    x = hs.asarray(a, copy=False)
    assert float(hs.sum(x)) == sum(a) and float(hs.sum(hs.array(a))) == sum(a)


@pytest.mark.parametrize(
    "given,what",
    [
        (array.array("u", "ab"), "array.array has the format 'w|array.array has the format 'u"),
        (memoryview(b"ab").cast("c"), "memoryview has the format 'c'"),
        (memoryview(np.zeros(2, np.float16)), "memoryview has the format 'e'"),
        (memoryview(np.zeros(2, "i4,f8")), "memoryview has the format 'T"),
    ],
)
@pytest.mark.parametrize("copy", [None, True, False])
def test_other_formats_are_refused(given, what, copy):
    with pytest.raises(
        TypeError, match=rf"asarray: the buffer of a ({what}).*no counterpart.*memoryview\.cast"
    ):
        hs.asarray(given, copy=copy)


def test_what_cannot_be_shared_is_said():
    swapped = memoryview(np.arange(3, dtype=">i4"))
    assert hs.array(swapped).tolist() == [0, 1, 2]
    with pytest.raises(
        ValueError, match=r"asarray: the memory cannot be shared \(byte order.*leave copy=None"
    ):
        hs.asarray(swapped, copy=False)
    with pytest.raises(ValueError, match="asarray: a copy cannot be avoided where the dtype changes"):
        hs.asarray(array.array("i", [1]), dtype=hs.float64, copy=False)
    with pytest.raises(
        ValueError, match="copy=False needs a NumPy array, an object with __dlpack__ or a buffer, got list"
    ):
        hs.asarray([1.0], copy=False)
    with pytest.raises(TypeError, match="add: expected an array or a number, got bytes"):
        hs.add(hs.ones(2), b"ab")  # no operand
