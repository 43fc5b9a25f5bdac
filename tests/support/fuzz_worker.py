"""Calls public functions with random arguments; run by test_fuzz.py in a process of its own, which may die.

    python fuzz_worker.py GROUP SEED COUNT LOG

Before every call its text goes to LOG, so that the call that kills the interpreter is known. Exceptions of other kinds than
the documented ones are printed, one line each; the last line is "done N".
"""

from __future__ import annotations

import atexit
import inspect
import io
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import hesse as hs

ALLOWED = (
    ValueError,
    TypeError,
    IndexError,
    FloatingPointError,
    OverflowError,
    MemoryError,
    FileNotFoundError,
    hs.Error,
)
DTYPES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
SKIP = {
    "seed",
    "set_num_threads",
    "set_default_dtype",
    "set_debug_nans",
    "set_printoptions",
    "live_buffers",
    "live_bytes",
    "compile",
    "callback",
    "train",
}
SHAPES = [
    (),
    (1,),
    (2,),
    (3,),
    (0,),
    (2, 3),
    (3, 2),
    (3, 3),
    (1, 3),
    (0, 3),
    (2, 0),
    (2, 2, 3),
    (1, 1, 1),
    (2, 1, 3, 2),
    (1, 2, 5),
    (17,),
    (4, 9),
    (20000,),  # above the size from which computations let go of the interpreter lock
]
INTS = [0, 1, -1, 2, 3, -2, 5, 7, -7, 100, -100, 2**31, -(2**31) - 1, 2**40, 2**62, 2**63, -(2**63), 2**64]
FLOATS = [0.0, -0.0, 1.0, -1.5, 0.5, float("nan"), float("inf"), -float("inf"), 1e308, 1e-308, 3.0]
WORDS = ["", "float64", "xy", "ij", "constant", "reflect", "wrap", "edge", "left", "right", "reduced", "complete", "ortho", "fro", "nuc",
         "ij,jk->ik", "ii->i", "i,i", "...i->...", "->", "ab->c", "each", "sum", "no such word", "é\0x"]  # fmt: skip
KEYWORDS = ["axis", "axes", "keepdims", "dtype", "n", "k", "shape", "indices_or_sections", "num_segments", "ord", "correction", "offset", "norm",
            "stride", "padding", "groups", "dilation", "in_axes", "out_axes", "argnums", "length", "reverse", "full_matrices", "upper", "lower",
            "largest", "descending", "side", "repeats", "shift", "s", "min", "max", "mode", "num", "endpoint", "base"]  # fmt: skip


class Values:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def chance(self, p):
        return self.rng.uniform() < p

    def numpy_array(self, dtype=None, shape=None):
        dtype, shape = dtype or self.pick(DTYPES), self.pick(SHAPES) if shape is None else shape
        if dtype == "bool":
            return self.rng.uniform(size=shape) < 0.5
        kind = np.dtype(dtype).kind
        if kind in "iu":
            lo, hi = (0, 6) if kind == "u" or self.chance(0.5) else (-6, 6)
            if self.chance(0.1):
                info = np.iinfo(dtype)
                return self.rng.choice([info.min, info.max, 0], shape).astype(dtype)
            return self.rng.integers(lo, hi, shape).astype(dtype)
        x = self.rng.standard_normal(shape) * self.pick([1.0, 1.0, 100.0, 1e-3])
        if kind == "c":
            x = x + 1j * self.rng.standard_normal(shape)
        x = np.asarray(x).astype(dtype)
        if self.chance(0.15) and x.size:
            x.reshape(-1)[: int(self.rng.integers(1, 3))] = self.pick([np.nan, np.inf, -np.inf, 0.0, -0.0])
        return x

    def array(self, dtype=None, shape=None):
        x = self.numpy_array(dtype, shape)
        if x.ndim and self.chance(0.15):
            return hs.asarray(np.repeat(x, 2, axis=-1))[..., ::2]
        if x.ndim > 1 and self.chance(0.15):
            return hs.matrix_transpose(hs.asarray(np.ascontiguousarray(np.swapaxes(x, -1, -2))))
        if self.chance(0.05):
            return hs.broadcast_to(hs.asarray(x), (2, *x.shape))
        return hs.asarray(x)

    def function(self):
        return self.pick(
            [hs.sin, lambda x: x * x, hs.sum, lambda *a: a, lambda x, y=1.0: x @ x + y, lambda x: x[0], lambda: 1.0, lambda x: None,
             lambda x: {"a": x, "b": (x, 2)}, lambda c, x: (c * 0.5, c), lambda x: float(x), lambda x: x.nothing, lambda x: "text",
             lambda x: hs.argmax(x), lambda x: x > 0, hs.linalg.inv, lambda a, b: a + b, lambda x: hs.reshape(x, (-1, 2)),
             lambda c: c[0] < 3]
        )  # fmt: skip

    def value(self, depth=0):
        r = self.rng.uniform()
        if r < 0.45:
            return self.array()
        if r < 0.58:
            return self.pick(INTS)
        if r < 0.66:
            return self.pick(FLOATS)
        if r < 0.70:
            return self.pick(
                [
                    None,
                    True,
                    False,
                    ...,
                    slice(None),
                    slice(0, 2),
                    1j,
                    b"bytes",
                    object,
                    np.float32(2),
                    np.int8(3),
                ]
            )
        if r < 0.74:
            return self.pick(WORDS)
        if r < 0.78:
            return getattr(hs, self.pick(DTYPES) if self.chance(0.8) else "float64")
        if r < 0.84:
            return tuple(int(self.rng.integers(-2, 5)) for _ in range(int(self.rng.integers(0, 4))))
        if r < 0.88 and depth < 2:
            return [self.value(depth + 1) for _ in range(int(self.rng.integers(0, 4)))]
        if r < 0.90 and depth < 2:
            return {"a": self.value(depth + 1), "b": self.value(depth + 1)}
        if r < 0.93:
            return self.numpy_array()
        if r < 0.95:
            return hs.random.key(int(self.rng.integers(100)))
        return self.function()


def describe(v) -> str:
    if isinstance(v, (hs.Array, np.ndarray)):
        data = repr(np.asarray(v).reshape(-1)[:20].tolist()) if str(v.dtype) != "key" else "?"
        return f"{'hs' if isinstance(v, hs.Array) else 'np'}.{v.dtype}{tuple(v.shape)}{data[:120]}"
    if isinstance(v, (list, tuple)):
        inner = ", ".join(map(describe, v))
        return f"[{inner}]" if isinstance(v, list) else f"({inner},)"
    if isinstance(v, dict):
        return "{" + ", ".join(f"{k!r}: {describe(x)}" for k, x in v.items()) + "}"
    if inspect.isfunction(v) and v.__name__ == "<lambda>":
        try:
            return f"lambda@{v.__code__.co_firstlineno}:{v.__code__.co_varnames}"
        except AttributeError:
            return "lambda"
    return repr(v)[:80]


def in_adapter(error) -> bool:
    """Whether it was raised by a row of the op table, such as x.at of what is no array."""
    frames = traceback.extract_tb(error.__traceback__)
    if frames[-1].name == "__getattr__":  # of the module hesse, asked for a dtype by a row
        frames.pop()
    return Path(frames[-1].filename).parent == Path(__file__).parent


def public(module, prefix):
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    out = []
    for n in names:
        f = getattr(module, n)
        if callable(f) and not inspect.isclass(f) and n not in SKIP:
            out.append((prefix + n, f))
    return out


FOLDER = tempfile.mkdtemp(prefix="hesse-fuzz-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
SIMPLE = (lambda x: x * 2.0, lambda x: np.sin(x), lambda *a: a[0], lambda *a: None, lambda *a: "text", lambda x, y: x + y)  # fmt: skip


def _paths(values):
    names = ("a.h5", "a.safetensors", "a.mat", "none", "", "folder/b.h5", "\0", "é.safetensors")
    path = os.path.join(FOLDER, values.pick(names))
    return values.pick(
        [path, path, path, os.fsencode(path), Path(path) if "\0" not in path else path, FOLDER]
    )


def _module(values):
    sizes = values.pick([[2, 3, 1], [1, 2], [3, 3, 3]])
    return hs.nn.MLP(sizes, key=hs.random.key(0))


def _graph(values):
    edges = values.rng.integers(4, size=(2, int(values.rng.integers(6))))
    return hs.gnn.Graph(edges, values.rng.normal(size=(4, 2)))


def _field(values):
    shapes = ((), (2,), (3, 2), (2, 3, 2))
    return {values.pick(["a", "b", "c/d", ""]): values.array(shape=values.pick(shapes)), "n": values.value(2)}


def _quiet(f):
    def call(*args, **kw):
        before, sys.stdout = sys.stdout, io.StringIO()
        try:
            return f(*args, **kw)
        finally:
            sys.stdout = before

    return call


def modules():
    """The modules built on arrays: each target makes its first arguments by itself, mostly of the right kind."""
    from hesse import physics

    out = []

    def add(prefix, module, skip=(), first=None):
        for n in module.__all__:
            f = getattr(module, n)
            if n not in skip and n not in SKIP and callable(f):
                out.append((f"{prefix}.{n}", f, first))

    key = lambda values: hs.random.key(int(values.rng.integers(9)))
    add("hs.nn", hs.nn, skip=("Module",))
    add("hs.nn.init", hs.nn.init, first=key)
    add("hs.optim", hs.optim)
    add("hs.gnn", hs.gnn)
    add("hs.physics", physics, skip=("Domain", "Training"))
    for n in ("sample", "sobol", "latin_hypercube", "uniform"):
        out.append((f"hs.physics.{n}", getattr(physics, n), key))
    add("hs.io", hs.io, first=_paths)
    for n in ("save_hdf5", "save_safetensors"):
        save = getattr(hs.io, n)
        out.append((f"hs.io.{n}", save, (_paths, _field)))
    out.append(
        (
            "hs.debug.print",
            _quiet(hs.debug.print),
            lambda values: values.pick(["{}", "{} {}", "{:.3f}", "{", 3]),
        )
    )
    out.append(("hs.debug.nans", hs.debug.nans, None))

    layers = lambda values: values.pick(
        [
            hs.gnn.GCNConv(2, 2),
            hs.gnn.GATConv(2, 2),
            hs.gnn.GINConv(_module(values)),
            hs.gnn.EdgeConv(_module(values)),
        ]
    )
    out.append(
        ("layer(x, graph)", lambda layer, *a, **kw: layer(*a, **kw), (layers, lambda v: v.array(), _graph))
    )
    for n in (
        "degree",
        "normalised",
        "laplacian",
        "subgraph",
        "with_self_loops",
        "undirected",
        "coalesced",
        "with_edges",
    ):
        out.append((f"Graph.{n}", lambda g, *a, n=n, **kw: getattr(g, n)(*a, **kw), _graph))
    out.append(("MLP()(x)", lambda net, *a, **kw: net(*a, **kw), _module))
    for name, make in (("sgd", hs.optim.sgd), ("adam", hs.optim.adam)):
        out.append((f"optim.{name}.init", lambda p, *a, f=make, **kw: f(0.1).init(p, *a, **kw), _field))

        def update(p, g, *a, f=make, **kw):
            o = f(0.1)
            return o.update(g, o.init(p), p, *a, **kw)

        out.append((f"optim.{name}.update", update, (_field, _field)))
        out.append((f"optim.{name}.update of a model", update, (_module, _module)))
        out.append(
            (f"optim.{name}.update of anything", lambda *a, f=make, **kw: f(0.1).update(*a, **kw), None)
        )
    out.append(
        (
            "optim.lbfgs.step",
            lambda x, *a: hs.optim.lbfgs(lambda v: hs.sum(v * v), x).step(*a),
            lambda v: v.array(),
        )
    )
    for name in ("interior", "boundary", "initial", "grid", "normalised"):
        for box in (
            physics.Box([-1.0, 0.0], [1.0, 2.0]),
            physics.TimeBox(physics.Interval(-1.0, 1.0), 0.0, 1.0),
        ):
            if hasattr(box, name):
                f = getattr(box, name)
                out.append(
                    (f"{type(box).__name__}.{name}", f, None if name in ("grid", "normalised") else key)
                )

    function = lambda values: values.pick(SIMPLE) if values.chance(0.6) else values.function()
    out.append(("compile", lambda f, *a, **kw: hs.compile(f)(*a, **kw), function))
    out.append(("compile(grad)", lambda f, *a, **kw: hs.compile(hs.grad(f))(*a, **kw), function))
    out.append(("compile(vmap)", lambda f, *a, **kw: hs.compile(hs.vmap(f))(*a, **kw), function))
    out.append(("compile, static", lambda f, *a: hs.compile(f, static_argnums=0)(*a), function))
    out.append(("compile()", hs.compile, function))
    like = lambda values: hs.ShapeDtype(values.pick([(), (2,), (3,), (2, 3)]), values.pick(DTYPES))
    out.append(("callback", hs.callback, (lambda values: values.pick(SIMPLE), like)))
    out.append(("callback, any", hs.callback, lambda values: values.pick(SIMPLE)))
    return out


def methods():
    out = []
    for n in dir(hs.Array):
        if n in ("__class__", "__new__", "__init__", "__init_subclass__", "__subclasshook__", "__getattribute__", "__delattr__", "__setattr__",
                 "__reduce__", "__reduce_ex__", "__sizeof__", "__dir__", "__del__", "__getstate__", "__setstate__"):  # fmt: skip
            continue
        f = getattr(hs.Array, n)
        if callable(f):
            out.append(("Array." + n, f))
    return out


def table_calls():
    from op_table import TABLE

    return [(e, s) for e in TABLE for s in e.samples]


GROUPS = {
    "modules": modules,
    "functions": lambda: (
        public(hs, "hs.")
        + public(hs.linalg, "hs.linalg.")
        + public(hs.fft, "hs.fft.")
        + public(hs.random, "hs.random.")
        + public(hs.solvers, "hs.solvers.")
        + public(hs.sparse, "hs.sparse.")
    ),
    "methods": methods,
}


def main(group, seed, count, log):
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # of processor time: a busy machine is no defect
    values = Values([seed, len(group)])
    fd = os.open(log, os.O_CREAT | os.O_RDWR | os.O_TRUNC)
    np.seterr(all="ignore")
    targets = table_calls() if group == "table" else GROUPS[group]()

    def attempt(text, call):
        raw = text.encode("utf-8", "replace")[:4000]
        os.ftruncate(fd, 0)
        os.pwrite(fd, raw, 0)
        signal.setitimer(signal.ITIMER_PROF, 60)
        try:
            y = call()
            repr(y)[:200]
        except ALLOWED:
            pass
        except Exception as error:
            inner = (isinstance(error, AttributeError) and "nothing" in str(error)) or (
                isinstance(error, (AttributeError, KeyError)) and in_adapter(error)
            )  # from the fuzzed function itself; KeyError: x[-1] of a dict
            if not inner:
                print(f"{text[:400]} -> {type(error).__name__}: {str(error)[:200]!r}", flush=True)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    for i in range(count):
        name, f, *makers = targets[i % len(targets)] if group != "table" else (None, None)
        if group == "table":  # a good call with something wrong in it
            from op_entry import Call

            entry, sample = targets[int(values.rng.integers(len(targets)))]
            call = Call(entry, sample, values.pick(entry.accepted()), seed=i)
            arrays = [hs.asarray(a) for a in call.arrays]
            for k in range(len(arrays)):
                if values.chance(0.6):
                    arrays[k] = (
                        values.array(shape=call.arrays[k].shape) if values.chance(0.5) else values.value()
                    )
            args = [values.value() if values.chance(0.05) else a for a in sample.rebuild(arrays)]
            kw = {k: values.value() if values.chance(0.3) else v for k, v in call.kw(hs).items()}
            attempt(
                f"{entry.name}({', '.join(map(describe, args))}, {kw})",
                lambda e=entry, a=args, k=kw: e.resolve(hs)(*a, **k),
            )
            continue
        args = [values.value() for _ in range(int(values.pick([0, 1, 1, 1, 2, 2, 2, 3, 3, 4])))]
        if group == "methods":
            args.insert(0, values.array() if values.chance(0.97) else values.value())
        if makers and makers[0] is not None and values.chance(0.9):
            first = makers[0] if isinstance(makers[0], tuple) else makers
            args[:0] = [make(values) for make in first]
        kw = {values.pick(KEYWORDS): values.value() for _ in range(int(values.pick([0, 0, 0, 1, 2])))}
        if name.endswith(
            ("while_loop", "fori_loop", "scan")
        ):  # a loop without end, or of 2^40 steps, is no defect
            args = [a if not (isinstance(a, int) and abs(a) > 1000) else 3 for a in args]
            kw = {k: v if not (isinstance(v, int) and abs(v) > 1000) else 3 for k, v in kw.items()}
            if name.endswith("while_loop"):
                args = [lambda c: hs.asarray(False), *args[1:]]
        attempt(
            f"{name}({', '.join(map(describe, args))}, {describe(kw)})", lambda f=f, a=args, k=kw: f(*a, **k)
        )
    print(f"done {count}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
