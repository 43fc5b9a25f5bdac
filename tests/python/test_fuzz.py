"""Every public function with random shapes, dtypes and values: an answer or an error, and never a crash."""

import contextlib
import importlib
import inspect
import random
import warnings

import numpy as np
import pytest

import hesse as hs

DTYPES = [
    "bool",
    "int8",
    "int32",
    "int64",
    "uint8",
    "uint64",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
SHAPES = [(), (1,), (3,), (4,), (0,), (2, 3), (3, 3), (0, 3), (2, 3, 3), (1, 2, 8, 8), (2, 1, 4)]
VALUES = [0, 1, -1, 2, 3, 127, 0.5, -0.0, 1e300, -1e-300, float("inf"), float("-inf"), float("nan")]

# Errors that are an answer. Anything else (SystemError, RuntimeError, AssertionError, a crash) is a bug.
ALLOWED = (
    hs.Error,
    TypeError,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    ZeroDivisionError,
    MemoryError,
)

# What changes the process, or takes functions that must make sense together.
SKIPPED = {
    "set_default_dtype", "set_num_threads", "set_debug_nans", "debug_nans", "while_loop", "compile", "print",
    "nans", "Array", "Graph", "TreeDef", "DType", "Module", "seed", "next_key", "custom_jvp", "custom_vjp",
}  # fmt: skip
MODULES = ["", "linalg", "fft", "random"]


def public_functions():
    for name in MODULES:
        module = importlib.import_module(f"hesse.{name}" if name else "hesse")
        for public in module.__all__:
            value = getattr(module, public)
            if public in SKIPPED or not callable(value) or inspect.isclass(value):
                continue
            if inspect.ismodule(value) or isinstance(value, hs.DType):
                continue
            yield f"{name}.{public}" if name else public, value


FUNCTIONS = dict(public_functions())


def random_array(r):
    shape = r.choice(SHAPES)
    n = int(np.prod(shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = np.array([r.choice(VALUES) for _ in range(n)]).reshape(shape).astype(r.choice(DTYPES))
    kind = r.random()
    if kind < 0.2:
        return values
    a = hs.array(values)
    if kind < 0.3:
        a = a.T
    elif kind < 0.4 and a.ndim:
        a = a[::-1]
    elif kind < 0.5:
        a = hs.broadcast_to(a, (2, *a.shape))
    return a


def random_argument(r):
    make = r.choice(
        [
            random_array, random_array, random_array, random_array,
            lambda r: r.choice(VALUES),
            lambda r: r.choice([-4, -2, -1, 0, 1, 2, 3, 5, 2**62, -(2**62), 2**70]),
            lambda r: r.choice(SHAPES),
            lambda r: tuple(r.choice([-2, -1, 0, 1, 2]) for _ in range(r.randrange(4))),
            lambda r: r.choice([None, True, "constant", "same", "xy", "ij,jk", "float32", ..., object(), []]),
            lambda r: [random_array(r) for _ in range(r.randrange(3))],
            lambda r: {"a": random_array(r), "b": 1.0},
            lambda r: r.choice(DTYPES),
            lambda r: hs.random.key(r.randrange(5)),
            lambda r: r.choice([hs.sin, hs.sum, lambda *a: a[0], lambda *a: hs.sum(a[0] * 2.0)]),
        ]
    )  # fmt: skip
    return make(r)


def keyword_names(function):
    doc = (function.__doc__ or "").split("\n")[0]
    names = [
        "axis",
        "keepdims",
        "dtype",
        "k",
        "n",
        "mode",
        "axes",
        "shape",
        "ord",
        "correction",
        "stride",
        "padding",
    ]
    try:
        return [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    except (TypeError, ValueError):
        return [n for n in names if f"{n}:" in doc]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_random_calls(name):
    function = FUNCTIONS[name]
    r = random.Random(name)
    keywords = keyword_names(function)
    for _ in range(60):
        args = [random_argument(r) for _ in range(r.choice([0, 1, 1, 1, 2, 2, 2, 3, 4]))]
        kwargs = {k: random_argument(r) for k in keywords if r.random() < 0.25}
        try:
            result = function(*args, **kwargs)
            if callable(result):  # a transform: try what it made
                result = result(*[random_argument(r) for _ in range(len(args))])
            for leaf in hs.tree_leaves(result):
                if isinstance(leaf, hs.Array):
                    assert not leaf.is_symbol
                    repr(leaf)
        except ALLOWED:
            pass
    assert not hs.in_trace()


@pytest.mark.parametrize("name", [m for m in dir(hs.Array) if not m.startswith("_")])
def test_random_methods(name):
    r = random.Random(name)
    for _ in range(60):
        a = hs.asarray(random_array(r))
        try:
            value = getattr(a, name)
            if callable(value):
                value(*[random_argument(r) for _ in range(r.randrange(3))])
        except ALLOWED:
            pass


def test_random_indexing():
    r = random.Random(0)
    parts = [
        lambda: r.choice([0, 1, -1, 5, -7, 2**62, True, False, None, ..., 1.5, "a"]),
        lambda: slice(*[r.choice([None, 0, 1, -1, 3, -4, 100, 2**62, -(2**62)]) for _ in range(3)]),
        lambda: [r.choice([0, 1, -1, 9]) for _ in range(r.randrange(3))],
        lambda: random_array(r),
    ]
    for _ in range(1500):
        a = hs.asarray(random_array(r))
        index = tuple(r.choice(parts)() for _ in range(r.randrange(4)))
        index = index[0] if len(index) == 1 else index
        for use in (
            lambda a, i: a[i],
            lambda a, i: a.at[i].set(1),
            lambda a, i: a.at[i].add(random_array(r)),
        ):
            with contextlib.suppress(*ALLOWED):
                use(a, index)
