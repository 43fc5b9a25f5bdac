"""Results too small for a normal number: as IEEE 754 says one operation at a time, 0 in compiled programs and maps."""

import platform
import warnings

import numpy as np
import pytest

import hesse as hs

flushed = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="only processors of the x86-64 kind flush"
)
DTYPES = (hs.float32, hs.float64)


def tiny(dtype):
    return np.finfo(np.float32 if dtype == hs.float32 else np.float64).tiny


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_operation_at_a_time_keeps_them(dtype):
    x = hs.full(40, tiny(dtype), dtype=dtype)
    np.testing.assert_array_equal(x * 0.25, np.asarray(x) * 0.25)
    assert float((x * 0.25)[0]) > 0


@flushed
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [3, 40, 100_000])
def test_compiled_programs_and_maps_flush_results(dtype, n):
    x = hs.full(n, tiny(dtype), dtype=dtype)
    f = lambda x: x * 0.25
    for result in (hs.compile(f)(x), hs.vmap(f)(x), hs.compile(hs.vmap(f))(x)):
        np.testing.assert_array_equal(result, np.zeros(n))
    before = hs.get_num_threads()
    try:
        hs.set_num_threads(3)
        np.testing.assert_array_equal(hs.compile(f)(x), np.zeros(n))
    finally:
        hs.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_operands_are_read_as_they_are(dtype):
    x = hs.full(40, tiny(dtype), dtype=dtype) * 0.25
    compiled = hs.compile(lambda x: (hs.log(x), x > 0, x * 8.0))(x)
    for a, b in zip(compiled, (hs.log(x), x > 0, x * 8.0), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6 if dtype == hs.float32 else 1e-14)


def test_numpy_finds_its_numbers_after_a_call_and_in_callbacks():
    seen = []

    def foreign(a):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns where subnormal numbers are flushed
            seen.append(np.float64(np.finfo(np.float64).tiny) * 0.25)
            seen.append(np.multiply(np.full(3, np.finfo(np.float64).tiny), 0.25)[0])
        return a

    f = hs.compile(lambda x: hs.callback(foreign, hs.ShapeDtype((3,)), hs.sin(x)) + 1.0)
    f(hs.ones(3))
    foreign(None)
    assert len(seen) == 4 and all(s > 0 for s in seen)


def test_a_failing_program_leaves_the_mode_as_it_was():
    def fail(a):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        hs.compile(lambda x: hs.callback(fail, hs.ShapeDtype((3,)), x))(hs.ones(3))
    assert np.multiply(np.full(3, np.finfo(np.float64).tiny), 0.25)[0] > 0
