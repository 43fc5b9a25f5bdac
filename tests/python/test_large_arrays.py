"""Everything that makes Python objects of arrays, on arrays so large that computations let go of the interpreter lock."""

import contextlib
import copy
import inspect
import io
import multiprocessing
import pickle
import threading

import numpy as np
import pytest

import hesse as hs

SIZES = (2**14 + 1, 200_000)
# Bound to what they are called with: reading them is enough, or they are called below.
NOT_CALLED = {
    "__class__", "__init__", "__init_subclass__", "__new__", "__subclasshook__", "__getattribute__", "__delattr__",
    "__setattr__", "__dir__", "__getstate__", "__hash__", "__setitem__", "__delitem__", "__array_ufunc__",
    "__array_function__", "__index__", "__int__", "__float__", "__complex__", "__bool__", "item", "__matmul__", "__rmatmul__",
    "dot",
}  # fmt: skip
ARGUMENTS = {
    "reshape": (-1, 1), "astype": (hs.float32,), "to_device": ("cpu",), "swapaxes": (0, 0), "__format__": ("",),
    "__getitem__": (slice(None, None, 2),), "__deepcopy__": ({},), "__reduce_ex__": (4,), "__contains__": (3.0,),
    "__array_namespace__": (), "__getattr__": ("shape",),
}  # fmt: skip
BINARY = {"add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "and", "or", "xor", "lshift", "rshift",
          "eq", "ne", "lt", "le", "gt", "ge"}  # fmt: skip
INTEGERS = {"and", "or", "xor", "lshift", "rshift", "invert"}


def _use(name, n):
    if name == "mT":
        return hs.ones((2, n)).mT
    word = name.strip("_")
    stem = word[1:] if word[:1] == "r" and word[1:] in BINARY else word
    x = hs.arange(n) % 7 if stem in INTEGERS else hs.arange(float(n)) / n
    if stem in BINARY and name.startswith("__"):
        return getattr(x, name)(x + 1)
    value = getattr(x, name)
    return value(*ARGUMENTS.get(name, ())) if callable(value) else value


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", sorted(n for n in dir(hs.Array) if n not in NOT_CALLED))
def test_every_attribute_of_an_array(name, n):
    value = _use(name, n)
    repr(value)
    if name == "tolist":
        assert len(value) == n and value[1] == 1.0 / n


@pytest.mark.parametrize("n", SIZES)
def test_products_and_numpy_functions(n):
    x = hs.arange(float(n))
    assert float(x @ x) == float(x.dot(x)) == float(np.sum(np.arange(float(n)) ** 2))
    assert float(np.sum(x)) == float(hs.sum(x)) and np.sin(x).shape == (n,)
    with pytest.raises(TypeError, match="immutable"):
        x[0] = 1.0
    for conversion, name in ((float, "float"), (int, "int"), (complex, "complex"), (bool, "bool")):
        with pytest.raises(ValueError, match=f"{name}: the "):
            conversion(x)


@pytest.mark.parametrize("n", SIZES)
def test_functions_that_return_tuples(n):
    x = hs.arange(n) % 1000
    a = np.arange(n) % 1000
    (where,) = hs.nonzero(x)
    np.testing.assert_array_equal(np.asarray(where), np.nonzero(a)[0])
    assert len(hs.unstack(hs.ones((n, 1)))) == n
    assert [float(y) for y in hs.ones((n,))][-1] == 1.0
    values, counts = hs.unique_counts(x)
    np.testing.assert_array_equal(np.asarray(counts), np.unique(a, return_counts=True)[1])
    assert values.shape == hs.unique_values(x).shape == hs.unique_inverse(x).values.shape == (1000,)
    np.testing.assert_array_equal(np.asarray(hs.unique_all(x).inverse_indices), a)
    assert len(hs.split(x, [5, 7])) == 3 and len(hs.meshgrid(x, x[:1])) == 2
    assert len(hs.broadcast_arrays(x, 1.0)) == 2 and len(hs.topk(x, 3)) == 2
    assert hs.tree_flatten({"a": x})[0][0] is x
    assert hs.linalg.svd(hs.ones((n, 2)), full_matrices=False).S.shape == (2,)
    assert hs.random.key_data(hs.random.split(hs.random.key(0), n)).shape == (n, 2)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "complex128"])
def test_pickle_and_copies(n, dtype):
    x = hs.astype(hs.arange(n), dtype)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        y = pickle.loads(pickle.dumps(x, protocol))
        assert y.dtype == x.dtype and hs.array_equal(x, y)
    assert hs.array_equal(copy.copy(x), x) and hs.array_equal(copy.deepcopy(x), x)


@pytest.mark.parametrize("n", SIZES)
def test_keys(n):
    keys = hs.random.split(hs.random.key(3), n)
    again = pickle.loads(pickle.dumps(keys))
    assert hs.array_equal(hs.random.key_data(again), hs.random.key_data(keys))
    assert "dtype=key" in repr(keys[:2])


@pytest.mark.parametrize("n", SIZES)
def test_exchange(n):
    x, a = hs.arange(float(n)), np.arange(float(n))
    for y in (
        np.from_dlpack(x),
        np.asarray(x),
        np.array(x),
        np.asarray(memoryview(x)),
        np.asarray(x.__array__()),
    ):
        np.testing.assert_array_equal(y, a)
    assert x.__dlpack_device__() == (1, 0) and x.__array_namespace__() is hs
    for kw in ({}, {"max_version": (1, 0)}, {"copy": True}):
        assert "dltensor" in repr(x.__dlpack__(**kw))
    assert hs.array_equal(hs.from_dlpack(a), x) and hs.array_equal(hs.from_dlpack(x, copy=True), x)
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert bytes(memoryview(x).cast("B")[:8]) == a[:1].tobytes()
    out = io.BytesIO()
    np.save(out, x)
    assert hs.array_equal(hs.array(np.load(io.BytesIO(out.getvalue()))), x)


@pytest.mark.parametrize("n", SIZES)
def test_text(n, capsys):
    x = hs.arange(float(n))
    assert "..." in repr(x) and "..." in str(x) and "..." in f"{x}"
    hs.debug.print("{}", x)
    assert "..." in capsys.readouterr().out
    hs.compile(lambda v: hs.debug.print("{}", v) or v + 1)(x)
    assert "..." in capsys.readouterr().out


def test_threads_share_large_arrays():
    x = hs.arange(200_000.0)
    wrong = []

    def work():
        for _ in range(20):
            if x.tolist()[-1] != 199_999.0 or float(hs.sum(pickle.loads(pickle.dumps(x)))) != float(
                hs.sum(x)
            ):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def _work(x):
    """In another process: a computation on all cores, and an array back."""
    y = hs.vmap(lambda v: hs.sin(v) + 1.0)(x)
    return y, float(hs.sum(y))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes(method):
    arrays = [hs.arange(float(n)) / n for n in (3, *SIZES)]
    expected = [_work(x) for x in arrays]  # the parent has a pool of threads before it forks
    with multiprocessing.get_context(method).Pool(2) as pool:
        for (y, total), (z, same) in zip(
            expected, pool.map_async(_work, arrays).get(timeout=120), strict=True
        ):
            assert total == same and hs.array_equal(y, z)
    assert float(hs.sum(_work(arrays[2])[0])) == expected[2][1]


def test_every_function_of_hesse_takes_large_arrays():
    """Functions of one array: a result or a documented refusal, never a crash."""
    x = hs.arange(2**14 + 1.0)
    skipped = {"set_num_threads", "set_default_dtype", "set_debug_nans", "seed", "eye", "kron", "diag"}
    for name in hs.__all__:
        f = getattr(hs, name)
        if not callable(f) or inspect.isclass(f) or name in skipped:
            continue
        with contextlib.suppress(ValueError, TypeError, IndexError):
            repr(f(x))
