"""Random programs over derivatives, maps, loops and branches: a generator, and the two meanings of a program.

A program is a nested tuple. `Interpreter` gives it a meaning in the numbers of numeric.py or numeric_mp.py, example by example
and step by step; `Builder` writes it with Hesse. Shapes: () and (M,) for values, with a leading length for what is mapped over.

    ("var", name) ("const", c) ("un", op, e) ("bin", op, a, b) ("sum", e) ("sum0", e) ("at", e, i) ("matrix", e)
    ("grad", x, body, at)                ("jvp", x, body, at, direction)     ("checkpoint", x, body, at)
    ("vmap", xs, body, arrays, shape)    ("map", xs, body, arrays, access, result, n, shape)
    ("scan", c, x, carry, y, init, array, shape)                             ("while", c, body, init, steps)
    ("fori", c, body, init, steps)       ("cond", predicate, yes, no)
    ("custom", rule, xs, value, slopes, how, args)

A custom function has the given value, and in place of its derivative the given slope for each argument, entry by entry. `rule`
says whether that is a custom_jvp or a custom_vjp, and how[i] with what control flow the i-th slope is applied to the tangent or
cotangent ("by_" and one of `LINEAR`). Its bodies capture only what is not differentiated: constants, and examples of constant arrays.

Names say what a variable is: const.. and live.. are global, e.. is one example, k.. one example of a constant array; the others
are bound by derivatives and loops.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numeric as nm
import numpy as np

M = 3
UNARY = ("sin", "cos", "tanh")
BINARY = ("add", "mul", "sub")
MATRIX = np.array([[0.3, -0.5, 0.2], [0.1, 0.4, -0.6], [-0.2, 0.3, 0.5]])
KINDS = ("grad", "jvp", "checkpoint", "custom", "vmap", "map", "scan", "while", "fori", "cond")
LINEAR = ("plain", "map", "scan", "while", "cond", "checkpoint")
STEPS = (0.5, 2.0)  # what a linear scan or map goes over


# What a program holds ----------------------------------------------------------------------------------------------------
def children(e) -> Iterator[tuple[tuple, tuple[str, ...]]]:
    """The parts of a node with the variables that the node binds in them."""
    kind, parts = e[0], e[1:]
    if kind in ("var", "const"):
        return
    names = parts[0] if kind in ("vmap", "map") else parts[1] if kind == "custom" else ()
    if kind in ("grad", "jvp", "checkpoint", "while", "fori"):
        names = (parts[0],)
    if kind == "scan":
        names = parts[:2]
    bodies = {"vmap": (1,), "map": (1,), "custom": (2, 3), "scan": (2, 3)}.get(kind, (1,) if names else ())
    for i, part in enumerate(parts):
        bound = names if i in bodies else ()
        if is_node(part):
            yield part, bound
        elif isinstance(part, tuple):
            yield from ((p, bound) for p in part if is_node(p))


def is_node(e) -> bool:
    return (
        isinstance(e, tuple)
        and bool(e)
        and isinstance(e[0], str)
        and (e[0] in KINDS or hasattr(Interpreter, e[0]))
    )


def nodes(e) -> Iterator[tuple]:
    yield e
    for part, _ in children(e):
        yield from nodes(part)


def depth(e) -> int:
    """How many transforms and control flows stand inside each other's bodies."""
    inner = [depth(part) for part, _ in children(e)]
    return max(inner, default=0) + (e[0] in KINDS)


def has_inside(e, outer, inner) -> bool:
    return any(a[0] == outer and any(b[0] == inner for p, bound in children(a) if bound or outer == "cond"
                                     for b in nodes(p)) for a in nodes(e))  # fmt: skip


def captured(e, bound=frozenset()) -> set[str]:
    """What the bodies of a node use from outside of it: constant, live, mapped or local."""
    if e[0] == "var":
        name = e[1]
        sort = "constant" if name.startswith("const") else "live" if name.startswith("live") else None
        return set() if name in bound else {sort or ("mapped" if name[0] in "ek" else "local")}
    return set().union(*(captured(p, bound | set(names)) for p, names in children(e)), set())


def captures(e, kind) -> set[str]:
    """What the bodies of all nodes of that kind capture."""
    return set().union(
        *(captured(p, frozenset(names)) for a in nodes(e) if a[0] == kind for p, names in children(a)
          if names or kind == "cond"), set())  # fmt: skip


# The generator -----------------------------------------------------------------------------------------------------------
class Generator:
    """Makes expressions around a chain of kinds, each in the body of the one before; the innermost body, and now and then the
    others, capture the variable `capture`."""

    def __init__(self, seed, n, m):
        self.rng = np.random.default_rng(seed)
        self.n, self.m = n, m
        self.names = itertools.count()

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def name(self, prefix):
        return f"{prefix}{next(self.names)}"

    def program(self, env, depth):
        """A chain of random kinds. env: name -> shape."""
        return self.chain(self.pick([(), (M,)]), dict(env), [self.pick(KINDS) for _ in range(depth)], None)

    def pair(self, env, kinds, sort):
        """The kinds inside each other, with a captured constant, live variable, or example that is mapped over."""
        shape = self.pick([(), (M,)])
        if sort != "mapped":
            return self.chain(shape, dict(env), kinds, "const_s" if sort == "constant" else "live_s")
        own = "custom" in kinds  # its bodies may not capture what is differentiated
        x, array = (self.name("k"), "const_n") if own else (self.name("e"), "live_n")
        body = self.chain(shape, {**env, x: ()}, kinds, x)
        return self.scaled(self.n, ("vmap", (x,), body, (("var", array),), shape))

    def leaf(self, shape, env):
        names = [v for v, s in env.items() if s == shape]
        recent = names[-2:]
        return ("var", self.pick(recent if self.rng.uniform() < 0.6 else names))

    def expression(self, shape, env, budget=3):
        """Some arithmetic."""
        if budget <= 0 or self.rng.uniform() < 0.15:
            return self.leaf(shape, env)
        kind = self.pick(["un", "bin", "bin", "mix", "reduce"])
        if kind == "un":
            return ("un", self.pick(UNARY), self.expression(shape, env, budget - 1))
        if kind == "bin":
            return (
                "bin",
                self.pick(BINARY),
                self.expression(shape, env, budget - 1),
                self.expression(shape, env, budget - 1),
            )
        if kind == "mix":
            c = ("const", round(float(self.rng.uniform(-1.5, 1.5)), 2))
            other = c if self.rng.uniform() < 0.5 else self.leaf((), env)
            return ("bin", self.pick(BINARY), self.expression(shape, env, budget - 1), other)
        if shape == ():
            e = self.expression((M,), env, budget - 1)
            return ("sum", e) if self.rng.uniform() < 0.6 else ("at", e, int(self.rng.integers(M)))
        if shape == (M,):
            return ("matrix", self.expression((M,), env, budget - 1))
        return ("un", self.pick(UNARY), self.leaf(shape, env))

    def around(self, shape, env, kinds, capture):
        """Arithmetic that holds the chain of kinds; without any, the captured variable."""
        if kinds:
            inner = self.pick([(), (M,)]) if shape == () else shape
            e = self.chain(inner, env, kinds, capture)
            if inner != shape:
                e = ("sum", e)
        else:
            e = ("var", capture) if capture else self.expression((), env, 1)
            if capture and self.rng.uniform() < 0.5:
                e = ("un", self.pick(UNARY), e)
        if capture and kinds and self.rng.uniform() < 0.3:
            e = ("bin", self.pick(BINARY), e, ("var", capture))
        return ("bin", self.pick(BINARY), self.expression(shape, env, 2), e)

    def bounded(self, e):
        return ("un", self.pick(("sin", "tanh")), e)

    def chain(self, shape, env, kinds, capture):
        body = lambda shape, env, capture=capture: self.around(shape, env, kinds[1:], capture)
        return getattr(self, "make_" + kinds[0])(shape, env, body)

    def make_grad(self, shape, env, body):
        x = self.name("x")
        y = ("var", x)
        e = (
            "bin",
            "mul",
            body((), {**env, x: shape}),
            ("sum", ("un", "sin", y)) if shape else ("un", "sin", y),
        )
        return ("grad", x, e, self.expression(shape, env, 1))

    def make_jvp(self, shape, env, body):
        x, at = self.name("x"), self.pick([(), (M,)])
        e = (
            "bin",
            "mul",
            body(shape, {**env, x: at}),
            ("un", "sin", ("var", x) if at == () else ("sum", ("var", x))),
        )
        return ("jvp", x, e, self.expression(at, env, 1), self.expression(at, env, 1))

    def make_checkpoint(self, shape, env, body):
        x, at = self.name("x"), self.pick([(), (M,)])
        return ("checkpoint", x, body(shape, {**env, x: at}), self.expression(at, env, 1))

    def make_custom(self, shape, env, body):
        xs = tuple(self.name("a") for _ in range(int(self.rng.integers(1, 3))))
        inner = {v: s for v, s in env.items() if v.startswith(("const", "k"))} | dict.fromkeys(xs, shape)
        args = [self.expression(shape, env, 2) for _ in xs]

        def part():  # what may not be captured is passed
            e = body(shape, inner, None)
            names = {n[1] for n in nodes(e) if n[0] == "var"}
            return e if names & set(xs) else ("bin", "mul", e, ("var", xs[0]))

        def with_capture(name):
            if name in inner:
                return lambda: body(shape, inner, name)
            args[0] = ("bin", "add", args[0], ("var", name))
            return part

        name = body.__defaults__[0]
        make = with_capture(name) if name else part
        slopes = tuple(self.bounded(make()) for _ in xs)
        how = tuple("by_" + self.pick(LINEAR) for _ in xs)
        return ("custom", self.pick(("jvp", "vjp")), xs, make(), slopes, how, tuple(args))

    def mapped(self, env):
        """The length and shapes of what one more map goes over."""
        outer = not any(v[0] in "ek" for v in env)
        return self.n if outer else self.m, [
            self.pick([(), (M,)]) for _ in range(int(self.rng.integers(1, 3)))
        ]

    def array(self, shape, env, constant):
        if not constant:
            return self.expression(shape, env, 1)
        return ("var", self.pick([v for v, s in env.items() if v.startswith("const") and s == shape]))

    def scaled(self, n, e):
        return ("bin", "mul", ("sum0", e), ("const", round(1.0 / (n + 1), 4)))

    def examples(self, kinds):
        """Names: of constant arrays or of any."""
        return [self.name("k" if self.rng.uniform() < 0.4 else "e") for _ in kinds]

    def make_vmap(self, shape, env, body):
        n, kinds = self.mapped(env)
        xs = self.examples(kinds)
        arrays = tuple(self.array((n, *k), env, x[0] == "k") for x, k in zip(xs, kinds, strict=True))
        e = body(shape, {**env, **dict(zip(xs, kinds, strict=True))})
        return self.scaled(n, ("vmap", tuple(xs), e, arrays, shape))

    def make_map(self, shape, env, body):
        n, kinds = self.mapped(env)
        xs = self.examples(kinds)
        access = tuple(self.pick(["each", "gather", "uniform"]) for _ in kinds)
        rows = {"each": (n,), "gather": (ROWS,), "uniform": ()}
        arrays = tuple(
            self.array((*rows[a], *k), env, x[0] == "k") for x, a, k in zip(xs, access, kinds, strict=True)
        )
        e = body(shape, {**env, **dict(zip(xs, kinds, strict=True))})
        result = self.pick(["each", "sum", "segment_sum"])
        node = ("map", tuple(xs), e, arrays, access, result, n, shape)
        if result == "sum":
            return ("bin", "mul", node, ("const", round(1.0 / (n + 1), 4)))
        return self.scaled(n, ("un", "tanh", node))

    def make_scan(self, shape, env, body):
        c, x, kind = self.name("c"), self.name("x"), self.pick([(), (M,)])
        inner = {**env, c: shape, x: kind}
        carry, y = self.bounded(body(shape, inner)), self.expression(shape, inner, 1)
        return (
            "scan",
            c,
            x,
            carry,
            y,
            self.expression(shape, env, 1),
            self.expression((self.m, *kind), env, 1),
            shape,
        )

    def make_while(self, shape, env, body):
        c = self.name("c")
        e = self.bounded(body(shape, {**env, c: shape}))
        return ("while", c, e, self.expression(shape, env, 1), int(self.rng.integers(0, 5)))

    def make_fori(self, shape, env, body):
        c = self.name("c")
        e = self.bounded(body(shape, {**env, c: shape}))
        return ("fori", c, e, self.expression(shape, env, 1), int(self.rng.integers(0, 4)))

    def make_cond(self, shape, env, body):
        return ("cond", self.expression((), env, 1), body(shape, env), body(shape, env))


ROWS, SEGMENTS = 5, 4  # of what is gathered from, and of segment sums


def environment(seed, n, m):
    """Variables of every shape a program may ask for: constants, and live ones that are differentiated."""
    rng = np.random.default_rng(1000 + seed)
    shapes = {(), (M,), (n,), (n, M), (m,), (m, M), (ROWS,), (ROWS, M)}
    env = {}
    for k, shape in enumerate(sorted(shapes)):
        env[f"const{k}"] = 0.8 * rng.standard_normal(shape)
        env[f"live{k}"] = 0.8 * rng.standard_normal(shape)
    env["const_n"], env["live_n"] = rng.standard_normal(n), rng.standard_normal(n)
    env["const_s"], env["const_v"] = rng.standard_normal(), rng.standard_normal(M)
    env["live_s"], env["live_v"] = rng.standard_normal(), rng.standard_normal(M)
    return env


# Indices for maps: fixed by the sizes ------------------------------------------------------------------------------------
def gather_index(n, rows):
    return np.array([(7 * i + 3) % rows for i in range(n)], dtype=np.int64)


def segment_index(n, segments):
    return np.array([(5 * i + 1) % segments for i in range(n)], dtype=np.int64)


# The first meaning: an interpreter ---------------------------------------------------------------------------------------
class Interpreter:
    """Evaluates programs in the numbers of a module: numeric.py's, or mpmath's in numeric_mp.py."""

    def __init__(self, numbers=nm):
        self.nm = numbers

    def __call__(self, e, env):
        return getattr(self, e[0])(env, *e[1:])

    def var(self, env, name):
        return self.nm.num(env[name])

    def const(self, env, c):
        return self.nm.num(c)

    def un(self, env, op, e):
        return getattr(self.nm, op)(self(e, env))

    def bin(self, env, op, a, b):
        return getattr(self.nm, op)(self(a, env), self(b, env))

    def sum(self, env, e):
        return self.nm.total(self(e, env))

    def sum0(self, env, e):
        return self.nm.sum_axis0(self(e, env))

    def at(self, env, e, i):
        return self.nm.index(self(e, env), i)

    def matrix(self, env, e):
        return self.nm.matmul(MATRIX, self(e, env))

    def grad(self, env, x, body, at):
        f, at = (lambda v: self(body, {**env, x: v})), self(at, env)
        if at.shape == ():
            return self.nm.derivative(f, at, 1.0)
        return self.nm.stack([self.nm.derivative(f, at, np.eye(M)[i]) for i in range(M)])

    def jvp(self, env, x, body, at, direction):
        return self.nm.derivative(lambda v: self(body, {**env, x: v}), self(at, env), self(direction, env))

    def checkpoint(self, env, x, body, at):
        return self(body, {**env, x: self(at, env)})

    def custom(self, env, rule, xs, value, slopes, how, args):
        def under(body):
            return lambda *v: self(body, {**env, **dict(zip(xs, v, strict=True))})

        def slope(body, how):
            return lambda *v: self.coefficient(how, under(body)(*v))

        return self.nm.custom(
            [self(a, env) for a in args],
            under(value),
            [slope(s, h) for s, h in zip(slopes, how, strict=True)],
        )

    def coefficient(self, how, p):
        """What Builder.linear multiplies the tangent by."""
        nm, how = self.nm, how.removeprefix("by_")
        if how == "map":
            return nm.mul(sum(STEPS), p)
        if how == "scan":
            c, total = nm.num(1.0), nm.num(0.0)
            for a in STEPS:
                c, total = nm.mul(nm.mul(c, p), a), nm.add(total, c)
            return nm.add(c, total)
        if how == "while":
            return nm.mul(2.0, nm.mul(p, p))
        if how == "cond":
            return p if float(np.sum(nm.real(p))) > 0.1 else nm.mul(0.5, nm.sin(p))
        return nm.sin(p) if how == "checkpoint" else p

    def vmap(self, env, xs, body, arrays, shape):
        values = [self(a, env) for a in arrays]
        rows = [
            self(body, {**env, **{x: self.nm.index(v, i) for x, v in zip(xs, values, strict=True)}})
            for i in range(values[0].shape[0])
        ]
        return self.nm.stack(rows, shape)

    def map(self, env, xs, body, arrays, access, result, n, shape):
        values, nm = [self(a, env) for a in arrays], self.nm

        def row(v, a, i):
            if a == "uniform":
                return v
            return nm.index(v, i if a == "each" else int(gather_index(n, v.shape[0])[i]))

        rows = [
            self(body, {**env, **{x: row(v, a, i) for x, v, a in zip(xs, values, access, strict=True)}})
            for i in range(n)
        ]
        if result == "each":
            return nm.stack(rows, shape)
        if result == "sum":
            return nm.sum_axis0(nm.stack(rows, shape))
        where = segment_index(n, SEGMENTS)
        return nm.stack(
            [
                nm.sum_axis0(nm.stack([r for r, w in zip(rows, where, strict=True) if w == s], shape))
                for s in range(SEGMENTS)
            ]
        )

    def scan(self, env, c, x, carry, y, init, array, shape):
        state, items = self(init, env), self(array, env)
        out = self.nm.num(np.zeros(shape))
        for i in range(items.shape[0]):
            inner = {**env, c: state, x: self.nm.index(items, i)}
            out = self.nm.add(out, self(y, inner))
            state = self(carry, inner)
        return self.nm.add(state, out)

    def while_(self, env, c, body, init, steps):
        state, i = self(init, env), 0
        while i < steps and float(np.sum(self.nm.real(state))) < 1.0:
            state, i = self(body, {**env, c: state}), i + 1
        return self.nm.mul(state, float(i + 1))

    def fori(self, env, c, body, init, steps):
        state = self(init, env)
        for _ in range(steps):
            state = self(body, {**env, c: state})
        return state

    def cond(self, env, predicate, yes, no):
        return self(yes if float(self.nm.real(self(predicate, env))) > 0.1 else no, env)


setattr(Interpreter, "while", Interpreter.while_)  # a keyword


# The second meaning: Hesse ------------------------------------------------------------------------------------------------------
class Builder:
    """Writes programs with Hesse's functions."""

    def __init__(self, hs):
        self.hs = hs
        self.weights = hs.asarray(MATRIX)
        self.steps = hs.asarray(np.array(STEPS))

    def __call__(self, e, env):
        return getattr(self, e[0])(env, *e[1:])

    def under(self, body, names, env):
        """The body as a function of the named variables; it captures the others."""
        names = (names,) if isinstance(names, str) else names
        return lambda *values: self(body, {**env, **dict(zip(names, values, strict=True))})

    def var(self, env, name):
        return env[name]

    def const(self, env, c):
        return c

    def un(self, env, op, e):
        return getattr(self.hs, op)(self(e, env))

    def bin(self, env, op, a, b):
        x, y = self(a, env), self(b, env)
        return x + y if op == "add" else x * y if op == "mul" else x - y

    def sum(self, env, e):
        return self.hs.sum(self(e, env))

    def sum0(self, env, e):
        return self.hs.sum(self(e, env), axis=0)

    def at(self, env, e, i):
        return self(e, env)[i]

    def matrix(self, env, e):
        return self.weights @ self(e, env)

    def grad(self, env, x, body, at):
        return self.hs.grad(self.under(body, x, env))(self(at, env))

    def jvp(self, env, x, body, at, direction):
        return self.hs.jvp(self.under(body, x, env), (self(at, env),), (self(direction, env),))[1]

    def checkpoint(self, env, x, body, at):
        return self.hs.checkpoint(self.under(body, x, env))(self(at, env))

    def custom(self, env, rule, xs, value, slopes, how, args):
        hs, run = self.hs, self.under(value, xs, env)
        parts = [
            lambda v, t, s=self.under(s, xs, env), h=h: self.linear(h, s(*v), t)
            for s, h in zip(slopes, how, strict=True)
        ]
        if rule == "jvp":
            f = hs.custom_jvp(run)

            @f.defjvp
            def forward(primals, tangents):
                terms = [part(primals, t) for part, t in zip(parts, tangents, strict=True)]
                return run(*primals), sum(terms[1:], terms[0])
        else:
            f = hs.custom_vjp(run)
            f.defvjp(lambda *v: (run(*v), v), lambda v, ct: tuple(part(v, ct) for part in parts))
        return f(*[self(a, env) for a in args])

    def linear(self, how, p, t):
        """t times a coefficient made of p (Interpreter.coefficient), by control flow that t runs through."""
        hs, how = self.hs, how.removeprefix("by_")
        if how == "map":
            return hs.map(lambda a, t: a * p * t, len(STEPS), [self.steps, t], ["each", "uniform"], "sum")
        if how == "scan":
            last, ys = hs.scan(lambda c, a: (c * p * a, c), t, self.steps)
            return last + hs.sum(ys, axis=0)
        if how == "while":
            c, i = hs.while_loop(lambda s: s[1] < 2, lambda s: (s[0] * p, s[1] + 1), (t, 0))
            return c * hs.astype(i, hs.float64)
        if how == "cond":
            return hs.cond(hs.sum(p) > 0.1, lambda s: s * p, lambda s: 0.5 * hs.sin(p) * s, t)
        return hs.checkpoint(lambda s: hs.sin(p) * s)(t) if how == "checkpoint" else p * t

    def vmap(self, env, xs, body, arrays, shape):
        return self.hs.vmap(self.under(body, xs, env))(*[self(a, env) for a in arrays])

    def map(self, env, xs, body, arrays, access, result, n, shape):
        values = [self(a, env) for a in arrays]
        indices, reads = [segment_index(n, SEGMENTS)], []
        for v, a in zip(values, access, strict=True):
            if a == "gather":
                indices.append(gather_index(n, v.shape[0]))
                reads.append(("gather", len(indices) - 1))
            else:
                reads.append(a)
        how = ("segment_sum", 0, SEGMENTS) if result == "segment_sum" else result
        return self.hs.map(self.under(body, xs, env), n, values, reads, how, indices)

    def scan(self, env, c, x, carry, y, init, array, shape):
        def step(state, item):
            inner = {**env, c: state, x: item}
            return self(carry, inner), self(y, inner)

        state, ys = self.hs.scan(step, self(init, env), self(array, env))
        return state + self.hs.sum(ys, axis=0)

    def while_(self, env, c, body, init, steps):
        hs = self.hs
        state, i = hs.while_loop(
            lambda s: hs.logical_and(s[1] < steps, hs.sum(s[0]) < 1.0),
            lambda s: (self(body, {**env, c: s[0]}), s[1] + 1),
            (self(init, env), hs.asarray(0)),
        )
        return state * hs.astype(i + 1, hs.float64)

    def fori(self, env, c, body, init, steps):
        return self.hs.fori_loop(0, steps, lambda i, s: self(body, {**env, c: s}), self(init, env))

    def cond(self, env, predicate, yes, no):
        return self.hs.cond(self(predicate, env) > 0.1, lambda: self(yes, env), lambda: self(no, env))


setattr(Builder, "while", Builder.while_)  # a keyword


def text(e, indent=0) -> str:
    """A program, readable."""
    if not isinstance(e, tuple):
        return repr(e)
    if e and e[0] in ("var", "const"):
        return str(e[1])
    inner = (
        ", ".join(text(a, indent + 1) for a in e[1:])
        if e and isinstance(e[0], str)
        else ", ".join(map(text, e))
    )
    return f"{e[0]}({inner})" if e and isinstance(e[0], str) else f"[{inner}]"
