"""Arrays: making them, their operators and protocols, and their exchange with others."""

import copy
import ctypes
import gc
import pickle

import numpy as np
import pytest

import hesse as hs

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float32", "float64", "complex64", "complex128",
]  # fmt: skip


def address(a):
    return np.asarray(a).__array_interface__["data"][0]


# Making arrays ------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3), (1, 2, 3, 4)])
def test_numpy_round_trip(dtype, shape):
    data = (np.arange(np.prod(shape, dtype=int)) % 5).reshape(shape).astype(dtype)
    a = hs.array(data)
    assert a.shape == shape and a.dtype == dtype and a.ndim == len(shape) and a.size == data.size
    assert a.nbytes == data.nbytes and a.itemsize == data.itemsize
    back = np.asarray(a)
    assert back.dtype == data.dtype
    np.testing.assert_array_equal(back, data)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::2],
        lambda x: x[::-1],
        lambda x: x[:, ::-2],
        lambda x: x.T,
        lambda x: np.broadcast_to(x[0], (5, 6)),
        lambda x: x[1:1],
        lambda x: x.astype(">f8"),
        lambda x: np.asfortranarray(x),
    ],
)
def test_strided_numpy_arrays(view):
    x = view(np.arange(24.0).reshape(4, 6))
    np.testing.assert_array_equal(np.asarray(hs.array(x)), x)
    if x.dtype.byteorder in "=|":
        shared = hs.asarray(x, copy=False)
        np.testing.assert_array_equal(np.asarray(shared), x)
        np.testing.assert_array_equal(np.asarray(shared + 0.0), x)


def test_misaligned_memory_is_copied():
    raw = np.zeros(17, dtype=np.uint8)
    x = raw[1:].view(np.float64)
    x[:] = [1.0, 2.0]
    assert np.asarray(hs.array(x)).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="cannot be shared"):
        hs.asarray(x, copy=False)


def test_python_objects():
    assert hs.array([1, 2]).dtype == "int64"
    assert hs.array([1.0, 2]).dtype == "float64"
    assert hs.array([True]).dtype == "bool"
    assert hs.array([1j]).dtype == "complex128"
    assert hs.array([]).shape == (0,)
    assert hs.array([[1, 2], [3, 4]], dtype="float32").dtype == hs.float32
    assert hs.asarray(2.0).dtype == "float64" and not hs.asarray(2.0).weak_type
    assert hs.array(2**63).dtype == "uint64"
    assert hs.array([hs.array(1.0), 2.0]).tolist() == [1.0, 2.0]
    assert hs.array([[hs.array(1.0), 2.0], hs.array([3.0, 4.0])]).shape == (2, 2)


def test_default_dtype():
    try:
        hs.set_default_dtype("float32")
        assert hs.array([1.0]).dtype == "float32" and hs.zeros(2).dtype == "float32"
        assert hs.asarray(1j).dtype == "complex64" and hs.arange(3.0).dtype == "float32"
        assert hs.array(np.array([1.0])).dtype == "float64"
    finally:
        hs.set_default_dtype("float64")


def test_copies_and_aliases():
    data = np.array([1.0, 2.0])
    copied, implicit, shared = hs.array(data), hs.asarray(data), hs.asarray(data, copy=False)
    data[0] = 5.0
    assert copied[0] == 1.0 and implicit[0] == 1.0 and shared[0] == 5.0
    a = hs.array([1.0, 2.0])
    assert hs.asarray(a) is not None and address(hs.asarray(a)) == address(a)
    assert address(hs.array(a)) != address(a)
    assert address(hs.asarray(a, copy=True)) != address(a)
    with pytest.raises(ValueError, match="dtype changes"):
        hs.asarray(a, dtype="float32", copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        hs.asarray([1.0], copy=False)


def test_shared_memory_outlives_its_owner():
    data = np.arange(1000.0)
    a = hs.asarray(data, copy=False)
    del data
    gc.collect()
    assert float(hs.sum(a)) == 499500.0
    view = np.asarray(hs.arange(1000.0))
    gc.collect()
    assert view.sum() == 499500.0


# Out of Hesse -------------------------------------------------------------------------------------
def test_asarray_is_a_read_only_view():
    a = hs.array([[1.0, 2.0], [3.0, 4.0]])
    view = np.asarray(a)
    assert not view.flags.writeable and address(a) == view.__array_interface__["data"][0]
    with pytest.raises(ValueError):
        view[0, 0] = 1.0
    assert np.asarray(a.T).strides == (8, 16)
    assert np.array(a).flags.writeable
    assert np.asarray(a, dtype="float32").dtype == np.float32
    with pytest.raises(ValueError):
        np.asarray(a, dtype="float32", copy=False)


def test_buffer_protocol():
    a = hs.array([[1, 2, 3], [4, 5, 6]], dtype="int16")
    m = memoryview(a)
    assert m.readonly and m.format == "h" and m.shape == (2, 3) and m.strides == (6, 2)
    assert m.tolist() == [[1, 2, 3], [4, 5, 6]] and bytes(m) == np.asarray(a).tobytes()
    assert memoryview(a.T).tolist() == [[1, 4], [2, 5], [3, 6]]
    with pytest.raises(TypeError, match="not writable"):
        (ctypes.c_int16 * 6).from_buffer(a)


def test_dlpack_both_ways():
    a = hs.array([[1.0, 2.0], [3.0, 4.0]])
    assert a.__dlpack_device__() == (1, 0)
    there = np.from_dlpack(a)
    assert there.tolist() == a.tolist() and there.__array_interface__["data"][0] == address(a)
    assert not there.flags.writeable
    assert np.from_dlpack(a.T).tolist() == a.T.tolist()
    data = np.arange(12, dtype=np.int32).reshape(3, 4)[::-1, ::2]
    back = hs.from_dlpack(data)
    assert (
        back.dtype == "int32"
        and back.tolist() == data.tolist()
        and address(back) == data.__array_interface__["data"][0]
    )
    assert address(hs.from_dlpack(data, copy=True)) != data.__array_interface__["data"][0]
    assert hs.from_dlpack(np.zeros((0, 3))).shape == (0, 3)
    assert hs.from_dlpack(a.__dlpack__.__self__).tolist() == a.tolist()
    with pytest.raises(TypeError, match="__dlpack__"):
        hs.from_dlpack([1.0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_dtypes(dtype):
    a = hs.array([0, 1, 1], dtype=dtype)
    assert hs.from_dlpack(np.from_dlpack(a)).dtype == dtype


def test_capsules_free_what_they_hold():
    gc.collect()
    before = hs.live_buffers()
    capsule = hs.array([1.0, 2.0]).__dlpack__(max_version=(1, 0))
    assert hs.live_buffers() == before + 1
    del capsule
    capsule = hs.array([1.0, 2.0]).__dlpack__()
    del capsule
    taken = np.from_dlpack(hs.array([1.0, 2.0]))
    del taken
    gc.collect()
    assert hs.live_buffers() == before


def test_pickle_and_copy():
    for a in (
        hs.array([[1, 2]], dtype="int8"),
        hs.array(1 + 2j),
        hs.zeros((0, 3)),
        hs.arange(6.0).reshape(2, 3).T,
    ):
        b = pickle.loads(pickle.dumps(a))
        assert b.dtype == a.dtype and b.shape == a.shape and b.tolist() == a.tolist()
    a = hs.array([1.0])
    assert copy.copy(a) is a and copy.deepcopy(a) is a
    assert pickle.loads(pickle.dumps(hs.float32)) == hs.float32


def test_values():
    assert float(hs.array(1.5)) == 1.5 and int(hs.array([3])) == 3 and complex(hs.array(1j)) == 1j
    assert bool(hs.array(True)) is True and bool(hs.array([0.0])) is False
    assert (
        hs.array([2.5]).item() == 2.5
        and isinstance(hs.array(2).item(), int)
        and hs.array(2**63).item() == 2**63
    )
    assert [10, 20, 30][hs.array(1)] == 20
    assert hs.array([[1, 2]]).tolist() == [[1, 2]]
    assert len(hs.zeros((4, 2))) == 4 and [float(x) for x in hs.array([1.0, 2.0])] == [1.0, 2.0]
    assert 2.0 in hs.array([1.0, 2.0]) and 3.0 not in hs.array([1.0, 2.0])
    with pytest.raises(TypeError, match="unhashable"):
        hash(hs.array(1.0))


def test_printing():
    assert repr(hs.array([1.0, 2.5])) == "Array([1. , 2.5], dtype=float64)"
    assert repr(hs.array([[1, 2], [3, 4]])) == "Array([[1, 2],\n       [3, 4]], dtype=int64)"
    assert str(hs.array([True])) == "[ True]" and repr(hs.array(3)) == "Array(3, dtype=int64)"
    assert repr(hs.zeros((0, 3))) == "Array([], shape=(0, 3), dtype=float64)"
    assert f"{hs.array(3.14159):.2f}" == "3.14" and f"{hs.array([1.0])}" == "[1.]"
    assert "..." in repr(hs.zeros(10000))
    seen = []
    hs.vmap(lambda x: seen.append(repr(x)) or x)(hs.zeros((2, 3)))
    assert seen == ["Array(symbol, float64[3])"]


# Operators ----------------------------------------------------------------------------------------
BINARY = {
    "+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "/": lambda x, y: x / y,
    "//": lambda x, y: x // y, "%": lambda x, y: x % y, "**": lambda x, y: x**y,
    "<": lambda x, y: x < y, "<=": lambda x, y: x <= y, "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y, ">": lambda x, y: x > y, ">=": lambda x, y: x >= y,
}  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_binary_operators_with_everything(name):
    op = BINARY[name]
    x = np.array([1.0, 2.0, 3.5])
    a = hs.array(x)
    for other in (a, x, 2.0, 3, np.float64(2.0), np.int32(2), np.array(2.0), hs.array(2.0)):
        plain = np.asarray(other)
        for result, expected in ((op(a, other), op(x, plain)), (op(other, a), op(plain, x))):
            assert isinstance(result, hs.Array), type(result)
            np.testing.assert_allclose(np.asarray(result), expected)


def test_integer_operators():
    x, y = np.array([6, 5, 12]), np.array([3, 1, 2])
    a, b = hs.array(x), hs.array(y)
    for result, expected in (
        (a & b, x & y), (a | b, x | y), (a ^ b, x ^ y), (a << b, x << y), (a >> b, x >> y), (~a, ~x), (-a,
        -x), (+a, x), (abs(-a), x), (a & 3, x & 3), (1 | a, 1 | x),
    ):  # fmt: skip
        np.testing.assert_array_equal(np.asarray(result), expected)
    q, r = divmod(a, 4)
    assert q.tolist() == [1, 1, 3] and r.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(np.asarray(a @ b), x @ y)
    np.testing.assert_array_equal(np.asarray(x @ b), x @ y)


def test_weak_numbers():
    f32 = hs.array([1.0, 2.0], dtype="float32")
    assert (2.0 * f32).dtype == "float32" and (f32 + 1).dtype == "float32" and (f32 + 1j).dtype == "complex64"
    assert (f32 * np.float64(2.0)).dtype == "float64"
    assert (hs.array([1], dtype="int8") + 1).dtype == "int8"
    assert (hs.array([1], dtype="int8") + 1.5).dtype == "float64"
    x = f32
    x += 1.0
    assert x.dtype == "float32" and x.tolist() == [2.0, 3.0] and f32.tolist() == [1.0, 2.0]


def test_foreign_operands():
    a = hs.array([1.0, 2.0])
    assert (a == None) is False and (a != None) is True and (a == "abc") is False  # noqa: E711
    for bad in ([1.0, 2.0], "a", None, object()):
        with pytest.raises(TypeError):
            a + bad
        with pytest.raises(TypeError):
            bad * a
    with pytest.raises(TypeError, match="three-argument"):
        pow(a, 2, 3)


def test_numpy_functions_give_arrays():
    a = hs.array([1.0, 2.0])
    for result in (
        np.sin(a),
        np.add(a, np.ones(2)),
        np.sum(a),
        np.mean(a, axis=0),
        np.where(a > 1, a, 0.0),
        np.arctan2(a, 1.0),
    ):
        assert isinstance(result, hs.Array)
    assert np.concatenate([a, np.zeros(1)]).tolist() == [1.0, 2.0, 0.0]
    assert float(hs.grad(lambda x: np.sum(np.sin(x)))(hs.array([0.0]))[0]) == 1.0
    # No counterpart: NumPy's result on data, an error where the derivative would be lost.
    assert isinstance(np.frexp(a)[0], np.ndarray) and isinstance(np.percentile(a, 50), float)
    with pytest.raises(hs.TraceError, match=r"numpy\.percentile"):
        hs.grad(lambda x: np.percentile(x, 50))(a)
    with pytest.raises(hs.TraceError, match=r"numpy\.frexp"):
        hs.grad(lambda x: hs.sum(np.frexp(x)[0]))(a)
    np.testing.assert_allclose(a, [1.0, 2.0])


# Indexing -----------------------------------------------------------------------------------------
INDICES = [
    np.s_[0], np.s_[-1], np.s_[1:3], np.s_[::-1], np.s_[..., 0], np.s_[None], np.s_[:, None, 1], np.s_[1, 2],
    np.s_[1, 2, 3], np.s_[[0, 2]], np.s_[:, [3, 0, 0]], np.s_[[0, 1], [1, 2]], np.s_[::2, ..., -1], np.s_[()],
    np.s_[np.array([True, False, True, False])], np.s_[np.int64(2)], np.s_[5:1:-1], np.s_[[]], np.s_[...,
    None], np.s_[np.array([[0, 1], [2, 3]])], np.s_[1:100], np.s_[-100:2], np.s_[:, 1:, [0, 1]],
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_as_numpy(index):
    x = np.arange(60.0).reshape(4, 5, 3)
    if isinstance(index, tuple) and index == (1, 2, 3):
        with pytest.raises(IndexError):
            hs.array(x)[index]
        return
    result = hs.array(x)[index]
    np.testing.assert_array_equal(np.asarray(result), x[index])
    updated = x.copy()
    updated[index] = -1.0
    np.testing.assert_array_equal(np.asarray(hs.array(x).at[index].set(-1.0)), updated)


def test_at_updates():
    x = hs.array([1.0, 2.0, 3.0])
    assert x.at[1].set(9.0).tolist() == [1.0, 9.0, 3.0] and x.tolist() == [1.0, 2.0, 3.0]
    assert x.at[[0, 0]].add(1.0).tolist() == [3.0, 2.0, 3.0]
    assert x.at[[0, 0]].subtract(1.0).tolist() == [-1.0, 2.0, 3.0]
    assert x.at[1:].multiply(2.0).tolist() == [1.0, 4.0, 6.0] == x.at[1:].mul(2.0).tolist()
    assert x.at[:].min(2.0).tolist() == [1.0, 2.0, 2.0] and x.at[:].max(2.0).tolist() == [2.0, 2.0, 3.0]
    assert x.at[2].get() == 3.0
    g = hs.grad(lambda v: hs.sum(x.at[[1, 1]].set(v) * x))(hs.array([5.0, 6.0]))
    assert g.tolist() == [0.0, 2.0]


def test_methods():
    x = np.arange(6.0).reshape(2, 3) + 1
    a = hs.array(x)
    for name in ("sum", "prod", "mean", "max", "min", "var", "std", "cumsum", "cumprod", "argmax", "argmin"):
        np.testing.assert_allclose(np.asarray(getattr(a, name)()), getattr(x, name)(), err_msg=name)
        np.testing.assert_allclose(
            np.asarray(getattr(a, name)(axis=1)), getattr(x, name)(axis=1), err_msg=name
        )
    assert a.reshape(3, 2).shape == a.reshape((3, 2)).shape == a.reshape(-1, 2).shape == (3, 2)
    assert a.T.shape == a.mT.shape == a.transpose().shape == a.transpose(1, 0).shape == (3, 2)
    assert a.flatten().shape == a.ravel().shape == (6,) and a[None].squeeze().shape == (2, 3)
    assert a.astype("int32").dtype == "int32" and a.swapaxes(0, 1).shape == (3, 2)
    assert a.real is not None and hs.array(1 + 2j).imag == 2.0 and hs.array(1 + 2j).conj() == 1 - 2j
    assert a.device == "cpu" and a.to_device("cpu").shape == a.shape
    assert a.__array_namespace__() is hs and (a > 3).any() and not (a > 3).all()


# dtypes -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DTYPES)
def test_dtypes_equal_those_of_numpy(name):
    t = getattr(hs, name)
    assert (
        t == name
        and t == np.dtype(name)
        and t == getattr(np, name + "_" * (name == "bool"))
        and np.dtype(t) == name
    )
    assert t != "key" and t != 3 and t is hs.dtype(np.dtype(name))
    assert hash(t) == hash(np.dtype(name)) and np.zeros(1, dtype=t).dtype == name
    assert str(t) == name and repr(t) == f"hesse.{name}" and t(1).dtype == name
    assert t.itemsize == np.dtype(name).itemsize


def test_dtype_functions():
    assert hs.dtype(float) == "float64" and hs.dtype(int) == "int64" and hs.dtype(bool) == "bool"
    assert hs.result_type(hs.int8, hs.uint8) == "int16" and hs.result_type(hs.float32, 1.0) == "float32"
    assert (
        hs.result_type(hs.int32, hs.float32) in ("float32", "float64") and hs.result_type(1, 2.0) == "float64"
    )
    assert hs.can_cast(hs.int8, hs.int16) and not hs.can_cast(hs.float64, hs.float32)
    assert hs.isdtype(hs.int8, "integral") and not hs.isdtype(hs.int8, "real floating")
    assert hs.isdtype(hs.bool, "bool") and hs.isdtype(hs.complex64, ("bool", "numeric"))
    for t in ("float32", "float64"):
        mine, theirs = hs.finfo(t), np.finfo(t)
        assert (mine.bits, mine.eps, mine.max, mine.smallest_normal) == (
            theirs.bits, float(theirs.eps), float(theirs.max), float(theirs.smallest_normal))  # fmt: skip
    for t in ("int8", "int64", "uint16", "uint64"):
        assert (hs.iinfo(t).min, hs.iinfo(t).max) == (np.iinfo(t).min, np.iinfo(t).max)


def test_creation_with_dtype_and_device():
    assert hs.zeros((2, 3), dtype="int8", device="cpu").dtype == "int8" and hs.ones(3).shape == (3,)
    assert hs.full((2,), 7).dtype == "int64" and hs.full(2, 1.5).tolist() == [1.5, 1.5]
    assert hs.arange(3).dtype == "int64" and hs.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert hs.arange(5, 1, -2).tolist() == [5, 3] and hs.linspace(0, 1, 3).tolist() == [0, 0.5, 1]
    assert hs.eye(2, 3, k=1).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert hs.zeros_like(hs.ones(2, dtype="int8")).dtype == "int8" and hs.empty_like(hs.ones(2)).shape == (2,)
    with pytest.raises(ValueError, match="device"):
        hs.zeros(2, device="gpu")


def test_live_buffers_return():
    gc.collect()
    before = hs.live_buffers()
    x = hs.arange(10.0)
    y = hs.grad(lambda v: hs.sum(hs.sin(v) ** 2))(x)
    parts = [x + y for _ in range(5)]
    del x, y, parts
    gc.collect()
    assert hs.live_buffers() == before
