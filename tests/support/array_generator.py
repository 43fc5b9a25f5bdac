"""Random programs of array_programs.py. The generator runs the reference as it goes and drops steps after which little is known."""

from __future__ import annotations

import itertools

import bounded as bd
import bounded_arrays as ba
import numpy as np
from array_programs import BINARY, COMPARE, REDUCE, UNARY, Input, Program, Step, pruned, rename, run_steps

ROWS = (1, 2, 7, 255, 256, 257, 1000)
MOST = 70_000  # entries of a value
SPECIAL = {
    "float64": [np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, 1e300, -1e300, 1e-300, -1e-300, 5e-324],
    "float32": [np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, 1e30, -1e30, 1e-30, -1e-30, 1e-45],
}
BOUNDED = ("sin", "cos", "tanh", "sigmoid", "atan")
WEIGHTS = {
    "mixed": {"unary": 5, "binary": 5, "literal": 2, "compare": 2, "logic": 1, "choose": 2, "integer": 1, "reduce": 3, "product": 3, "shape": 5, "join": 2,
                  "index": 2, "order": 1, "cast": 1, "gram": 0, "normalise": 0, "vmap": 0.3, "update": 1.5},
    "rows": {"unary": 5, "binary": 5, "literal": 2, "compare": 1, "logic": 0.5, "choose": 1, "integer": 0.3, "reduce": 4, "product": 6, "shape": 2, "join": 2,
                 "index": 0.5, "order": 0.5, "cast": 0.2, "gram": 1, "normalise": 1.5, "vmap": 0.3, "update": 0.6},
    "maps": {"unary": 3, "binary": 3, "literal": 1, "compare": 1, "logic": 0.5, "choose": 1, "integer": 0.3, "reduce": 5, "product": 2, "shape": 1, "join": 1,
                 "index": 0.5, "order": 0.2, "cast": 0, "gram": 0.3, "normalise": 0.5, "vmap": 14, "update": 0.5},
}  # fmt: skip


class Generator:
    """profile: of WEIGHTS. rows: the length of the batch. wild: with infinities, NaN, tiny and huge values."""

    def __init__(self, seed, profile="mixed", dtype="float64", wild=False, rows=None, smooth=False, depth=0):
        self.rng = np.random.default_rng(seed)
        self.seed, self.profile, self.dtype, self.wild, self.smooth = seed, profile, dtype, wild, smooth
        self.rows, self.depth = rows, depth
        self.names = itertools.count()
        self.inputs, self.steps, self.pool, self.outside = {}, [], {}, {}

    # Small choices
    def pick(self, options):
        options = list(options)
        return options[int(self.rng.integers(len(options)))] if options else None

    def chance(self, p):
        return self.rng.uniform() < p

    def value(self, wanted=lambda x: x.is_float, recent=0.6):
        """The name of a value, likely one of the last."""
        names = [k for k, x in self.pool.items() if wanted(x)]
        if self.rows and self.chance(0.7):  # of the batch
            names = [k for k in names if self.pool[k].ndim and self.pool[k].shape[0] == self.rows] or names
        if self.outside and (not names or self.chance(0.15)):
            names = [k for k, x in self.outside.items() if wanted(x)] or names
        return self.pick(names[-4:] if self.chance(recent) else names)

    def at(self, name):
        return self.pool[name] if name in self.pool else self.outside[name]

    def axis(self, x):
        return int(self.rng.integers(x.ndim))

    # Inputs
    def give(self, shape, dtype=None, kind="float", high=0):
        name, seed = f"x{len(self.inputs)}", int(self.rng.integers(10**6))
        r, dtype = f"np.random.default_rng({seed})", dtype or self.dtype
        if kind == "int":
            code = f"{r}.integers(0, {high}, {shape})"
        elif kind == "bool":
            code = f"{r}.uniform(size={shape}) < 0.5"
        elif self.wild:
            code = (
                f"(r := {r}) and np.where(r.uniform(size={shape}) < 0.15, r.choice({SPECIAL[dtype]}, {shape}), "
                f"r.standard_normal({shape})).astype('{dtype}')"
            )
        else:
            code = f"{r}.standard_normal({shape}).astype('{dtype}')"
        self.inputs[name] = Input.of(code)
        self.pool[name] = bd.Num(self.inputs[name].value, bits=True)
        return name

    def begin(self):
        d = lambda: int(self.pick([1, 2, 3, 4, 5, 8, 13, 20]))
        other = "float32" if self.dtype == "float64" else "float64"
        if self.profile == "mixed":
            dims = [1, 2, 3, 3, 4, 5, 7] + [0] * self.chance(0.15)
            for _ in range(int(self.rng.integers(2, 5))):
                shape = tuple(int(self.pick(dims)) for _ in range(int(self.pick([0, 1, 1, 2, 2, 2, 3]))))
                self.give(shape, other if self.chance(0.1) else None)
            return
        if self.rows is None:
            self.rows = int(self.pick(ROWS))
        n = self.rows
        width = n if n <= 20 and self.chance(0.4) else d()
        self.give((n, width))
        last = width
        for _ in range(int(self.rng.integers(1, 3))):
            last, before = (last if self.chance(0.3) else d()), last
            self.give((before, last))
        for shape in [(n, d()), (n,), (n, 1), (1, width), (width,), (), (last,)]:
            if self.chance(0.5):
                self.give(shape, other if self.chance(0.04) else None)

    # Steps
    def push(self, op, *args, **kw):
        """Adds a step unless too little would be known of its result; its name, or None."""
        if None in args:
            return None
        step = Step(f"v{next(self.names)}" if not self.depth else f"r{next(self.names)}", op, args, kw)
        env = {**self.outside, **self.pool}
        try:
            out = run_steps([step], dict(env))[step.name]
        except (ValueError, IndexError, ZeroDivisionError, np.exceptions.AxisError):
            return None
        if out.v.size > MOST or out.ndim > 4 or not self.is_telling(out):
            return None
        self.pool[step.name] = out
        self.steps.append(step)
        return step.name

    def is_telling(self, x):
        if not x.v.size:
            return True
        if not x.is_float:
            return np.mean(x.e > 0) < 0.2 and (x.dtype == "bool" or np.abs(x.v).max() < 2**31)
        finite = np.isfinite(x.v)
        if not self.wild and (not finite.all() or np.abs(x.v).max() > 1e6):
            return False
        eps = bd.limits(x.dtype)[0]
        close = ~finite | (x.e <= 3e4 * eps * np.abs(np.where(finite, x.v, 0)) + 1e3 * eps)
        return np.mean(close & np.isfinite(x.e)) >= 0.7 and (not self.wild or np.mean(np.isnan(x.v)) < 0.7)

    def unary(self):
        x = self.value()
        op = self.pick(BOUNDED if self.chance(0.5) else UNARY)
        if op in ("log", "sqrt", "log1p", "reciprocal") and not self.wild:
            x = self.push("square", x)
            x = x and self.push("add", x, 0.3)
        return x and self.push(op, x)

    def partner(self, x, wanted=lambda x: x.is_float):
        def fits(y):
            try:
                shape = np.broadcast_shapes(x.shape, y.shape)
            except ValueError:
                return False
            return wanted(y) and np.prod(shape) <= MOST

        return self.value(fits, 0.4)

    def binary(self):
        x = self.value()
        op = self.pick(("add", "sub", "mul", "mul", "add") if self.chance(0.7) else BINARY)
        args = [x, self.partner(self.at(x))]
        if op == "div" and not self.wild:
            args[1] = self.push("square", args[1])
            args[1] = args[1] and self.push("add", args[1], 0.5)
        if self.chance(0.5):
            args.reverse()
        return None not in args and self.push(op, *args)

    def literal(self):
        c = self.pick([0.5, -1.0, 2.0, 0.0, 1.0, -0.0, 0.3, 1e-3, round(float(self.rng.normal()), 2), 1, 3])
        args = [self.value(), c]
        if self.chance(0.3):
            args.reverse()
        return self.push(self.pick(["add", "sub", "mul", "maximum"]), *args)

    def compare(self):
        x = self.value()
        y = 0.0 if self.chance(0.2) else self.partner(self.at(x))
        if self.chance(0.15):
            return self.push(self.pick(["isnan", "isfinite"]), x)
        return self.push(self.pick(COMPARE), x, y)

    def logic(self):
        boolean = lambda x: x.dtype == "bool"
        x = self.value(boolean)
        if x is None:
            return self.compare()
        y = self.partner(self.at(x), boolean)
        return self.push("not", x) if self.chance(0.3) else self.push(self.pick(["and", "or", "xor"]), x, y)

    def choose(self):
        c = self.value(lambda x: x.dtype == "bool") or self.compare()
        if not c:
            return None
        x = self.partner(self.at(c))
        y = x and self.partner(self.at(x))
        return y and self.push("where", c, *((x, 0.0) if self.chance(0.2) else (x, y)))

    def integer(self):
        whole = lambda x: x.dtype == "int64"
        x = self.value(whole)
        if x is None:
            if self.depth:
                return None
            x = self.value()
            return self.give(self.at(x).shape, kind="int", high=7) if self.at(x).v.size <= 1000 else None
        op = self.pick(
            [
                "int_add",
                "int_mul",
                "int_max",
                "int_rem",
                "int_div",
                "int_less",
                "int_equal",
                "astype",
                "sum",
                "sort",
            ]
        )
        if op in ("int_rem", "int_div"):
            return self.push(op, x, int(self.pick([1, 2, 3, 7])))
        if op == "astype":
            return self.push(op, x, dtype=self.dtype)
        if op in ("sum", "sort"):
            if not self.at(x).ndim:
                return None
            axis = self.axis(self.at(x))
            return self.push(op, x, axis=axis, **({"keepdims": False} if op == "sum" else {}))
        return self.push(op, x, self.partner(self.at(x), whole))

    def cast(self):
        x = self.value(lambda x: True)
        dtype = self.pick(["float32", "float64"]) if self.at(x).is_float else self.pick([self.dtype, "int64"])
        return self.push("astype", x, dtype=dtype)

    def reduce(self):
        op = self.pick(("sum", "mean") if self.chance(0.6) else REDUCE)
        x = self.value(
            (lambda x: x.dtype == "bool")
            if op in ("any", "all")
            else lambda x: x.is_float or (x.dtype == "bool" and op == "sum")
        )
        if x is None or 0 in self.at(x).shape:
            return None
        ndim = self.at(x).ndim
        if op == "argmax":
            return ndim and self.push(
                op, x, axis=int(self.rng.integers(ndim)), keepdims=bool(self.chance(0.3))
            )
        axes = [None, *range(ndim), *range(-ndim, 0), *itertools.combinations(range(ndim), 2)]
        axis = self.pick(axes[1:] if ndim and self.chance(0.8) else axes)
        if ndim and self.at(x).shape[0] == self.rows and self.chance(0.4):
            axis = 0
        return self.push(op, x, axis=axis, keepdims=bool(self.chance(0.4)))

    def product(self):
        x = self.value(lambda x: x.is_float and x.ndim > 0)
        if x is None:
            return None
        k = self.at(x).shape[-1]
        y = self.value(lambda y: y.is_float and y.ndim and y.shape[-2 if y.ndim > 1 else 0] == k, 0.4)
        if y is None or (self.at(x).v.size * self.at(y).v.size > 2e7):
            return None
        out = self.push("matmul", x, y)
        return (out and self.push(self.pick(BOUNDED), out)) if self.chance(0.5) else out

    def update(self):
        """A matrix moved by an outer product, as a step of descent does, and products with what comes out."""
        w = self.value(lambda x: x.is_float and x.ndim == 2 and 0 not in x.shape and x.v.size <= 400)
        if w is None:
            return None
        columns = lambda x: x.is_float and x.shape == self.at(w).shape[1:]
        h = self.value(columns)
        if h is None:
            r = self.value(lambda x: x.is_float and x.shape == self.at(w).shape[:1])
            h = r and self.push("matmul", r, w)
        d = h and self.push("matmul", w, h)
        d = d and self.push(self.pick(BOUNDED), d)
        step = d and self.push("outer", d, h)
        step = step and self.push("mul", step, float(self.pick([0.1, -0.5, 1.0])))
        new = step and self.push(self.pick(["sub", "add"]), w, step)
        out = new and self.push("matmul", new, self.value(columns))
        if out and self.chance(0.3):  # and back
            return self.push("matmul", self.push("permute", new, axes=(1, 0)), out)
        return out

    def gram(self):
        x = self.value(lambda x: x.is_float and x.ndim == 2)
        n = x and self.at(x).shape[0]
        y = x and self.value(lambda y: y.is_float and y.ndim == 2 and y.shape[0] == n)
        if y is None:
            return None
        t = self.push("permute", x, axes=(1, 0))
        if self.chance(0.5) and n * n * self.at(x).shape[1] <= 2e5:
            return self.push("matmul", x, t)
        return self.push("matmul", t, y)

    def normalise(self):
        x = self.value(lambda x: x.is_float and x.ndim == 2 and 0 not in x.shape)
        if x is None:
            return None
        axis, keep = int(self.rng.integers(2)), bool(self.chance(0.7))
        if axis == 1:
            keep = True
        kind = self.pick(["centre", "scale", "softmax", "range"])
        if kind == "softmax":
            return self.push("softmax", x, axis=axis)
        if kind == "range":
            low = self.push("min", x, axis=axis, keepdims=keep)
            return low and self.push("sub", x, low)
        m = self.push("mean", x, axis=axis, keepdims=keep)
        z = m and self.push("sub", x, m)
        if kind == "centre" or not z:
            return z
        s = self.push("var", x, axis=axis, keepdims=keep)
        s = s and self.push("add", s, 0.1)
        s = s and self.push("sqrt", s)
        return s and self.push("div", z, s)

    def shape(self):
        x = self.value(lambda x: True)
        a = self.at(x)
        kind = self.pick(
            ["permute", "reshape", "index", "index", "flip", "roll", "expand", "squeeze", "broadcast"]
        )
        if kind == "permute":
            return (
                self.push(kind, x, axes=tuple(map(int, self.rng.permutation(a.ndim)))) if a.ndim > 1 else None
            )
        if kind == "reshape":
            return self.push(kind, x, shape=self.other_shape(a.shape))
        if kind == "expand":
            return self.push(kind, x, axis=int(self.rng.integers(a.ndim + 1)))
        if kind == "squeeze":
            ones = [i for i, n in enumerate(a.shape) if n == 1]
            return self.push(kind, x, axis=self.pick(ones)) if ones else None
        if kind == "broadcast":
            shape = [n if n != 1 or self.chance(0.3) else int(self.pick([2, 3])) for n in a.shape]
            return self.push(
                kind, x, shape=tuple([int(self.pick([1, 2, 3]))] * bool(self.chance(0.5)) + shape)
            )
        if not a.ndim:
            return None
        if kind in ("flip", "roll"):
            return self.push(
                kind,
                x,
                axis=self.axis(a),
                **({"shift": int(self.rng.integers(-3, 4))} if kind == "roll" else {}),
            )
        index = []
        for n in a.shape:
            if self.chance(0.5):
                index.append(slice(None))
            elif n and self.chance(0.4):
                index.append(int(self.rng.integers(-n, n)))
            else:
                lo, hi = sorted(int(i) for i in self.rng.integers(0, n + 1, 2))
                index.append(
                    self.pick(
                        [
                            slice(lo, hi),
                            slice(lo, None),
                            slice(None, hi),
                            slice(None, None, -1),
                            slice(None, None, 2),
                        ]
                    )
                )
        if self.chance(0.2):
            index.insert(int(self.rng.integers(len(index) + 1)), None)
        return self.push("index", x, index=tuple(index))

    def other_shape(self, shape):
        size = int(np.prod(shape))
        if self.chance(0.3) or not size:
            return (size,)
        shape = list(shape)
        if len(shape) > 1 and self.chance(0.5):
            i = int(self.rng.integers(len(shape) - 1))
            shape[i : i + 2] = [shape[i] * shape[i + 1]]
            return tuple(shape)
        if shape:
            i = int(self.rng.integers(len(shape)))
            divisor = self.pick([d for d in range(1, shape[i] + 1) if shape[i] % d == 0])
            shape[i : i + 1] = [divisor, shape[i] // divisor]
        return tuple(shape)

    def join(self):
        x = self.value(lambda x: x.ndim > 0)
        if x is None:
            return None
        a = self.at(x)
        if self.chance(0.4):
            same = lambda y: y.shape == a.shape and y.dtype == a.dtype
            return self.push("stack", x, self.value(same), axis=int(self.rng.integers(a.ndim + 1)))
        axis = self.axis(a)
        rest = lambda s: s[:axis] + s[axis + 1 :]
        others = [self.value(lambda y: y.ndim == a.ndim and rest(y.shape) == rest(a.shape) and y.dtype == a.dtype)
                  for _ in range(int(self.rng.integers(1, 3)))]  # fmt: skip
        return self.push("concat", x, *others, axis=axis)

    def index(self):
        x = self.value(lambda x: x.is_float and x.ndim > 0 and 0 not in x.shape)
        if x is None or self.depth:
            return None
        a = self.at(x)
        if self.chance(0.5):
            segments = int(self.pick([1, 2, 5, 40]))
            return self.push(
                "segment_sum", x, self.give((a.shape[0],), kind="int", high=segments), segments=segments
            )
        axis = self.axis(a)
        count = a.shape[axis] if self.chance(0.4) else int(self.pick([1, 2, 7]))
        return self.push("take", x, self.give((count,), kind="int", high=a.shape[axis]), axis=axis)

    def order(self):
        x = self.value(lambda x: x.is_float and x.ndim > 0 and 0 not in x.shape)
        return x and self.push(self.pick(["cumsum", "sort", "softmax"]), x, axis=self.axis(self.at(x)))

    def vmap(self):
        """A map whose body is a small program of its own, with what it captures."""
        lengths = [x.shape[0] for x in self.pool.values() if x.is_float and x.ndim and x.shape[0]]
        if self.depth or not lengths:
            return None
        n = self.rows if self.rows in lengths and self.chance(0.8) else self.pick(lengths)
        mapped = lambda x: x.is_float and x.ndim and x.shape[0] == n and x.v.size <= 30_000
        names = list(dict.fromkeys(self.value(mapped) for _ in range(int(self.rng.integers(1, 4)))))
        if None in names:
            return None
        axes = [0] * len(names)
        if self.chance(0.4):
            names.append(self.value(lambda x: x.is_float and x.v.size <= 400))
            axes.append(None)
            if names[-1] is None or names[-1] in names[:-1]:
                names, axes = names[:-1], axes[:-1]
        inner = Generator(
            int(self.rng.integers(10**9)), "mixed", self.dtype, self.wild, smooth=self.smooth, depth=1
        )
        inner.outside = {k: x for k, x in self.pool.items() if x.is_float and x.v.size <= 400}
        for i, (name, axis) in enumerate(zip(names, axes, strict=True)):
            inner.pool[f"a{i}"] = ba.view(self.pool[name], (lambda b: b[0]) if axis == 0 else lambda b: b)
        inputs = dict.fromkeys(inner.pool)
        inner.grow(int(self.rng.integers(2, 8 if n < 100 else 5)))
        steps = [
            s for s in inner.steps if inner.pool[s.name].is_float and inner.pool[s.name].v.size * n <= MOST
        ]
        if not steps:
            return None
        name = f"v{next(self.names)}"  # rows are named after the map
        new = lambda k: f"{name}{k}" if k in inner.pool and k not in inputs else k
        body = rename(Program(inputs, tuple(inner.steps), (steps[-1].name,)), new)
        out = self.push("vmap", *names, axes=tuple(axes), body=pruned(body))
        if out and self.chance(0.5):  # used in sums, and with them
            total = self.push(self.pick(["sum", "mean"]), out, axis=0, keepdims=bool(self.chance(0.3)))
            if total and self.chance(0.5):
                return self.push(self.pick(["sub", "mul"]), out, total)
        return out

    def grow(self, count):
        weights = dict(WEIGHTS[self.profile])
        if self.smooth:
            weights.update(compare=0, logic=0, choose=0.5, integer=0, cast=0)
        kinds, p = list(weights), np.array(list(weights.values()))
        for _ in range(20 * count):
            if len(self.steps) >= count:
                break
            getattr(self, kinds[int(self.rng.choice(len(kinds), p=p / p.sum()))])()

    def program(self, count):
        self.begin()
        ends = int(self.rng.integers(3)) if self.profile != "mixed" else 0
        self.grow(count - ends)
        for _ in range(ends):  # losses
            self.reduce()
        read = set().union(*(s.reads() for s in self.steps)) if self.steps else set()
        ends = [s.name for s in self.steps if s.name not in read]
        outputs = [ends[int(i)] for i in self.rng.permutation(len(ends))[:6]]
        for _ in range(int(self.rng.integers(0, 4))):  # values read inside too, inputs, repeated ones
            outputs.append(self.pick([*self.pool, *outputs]))
        return pruned(
            Program(dict(self.inputs), tuple(self.steps), tuple(outputs or [next(iter(self.inputs))])),
            inputs=False,
        )
