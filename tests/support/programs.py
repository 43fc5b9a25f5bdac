"""Random programs over derivatives, maps, loops and branches: a generator, and the two meanings of a program.

A program is a nested tuple. `evaluate` interprets it with the numbers of numeric.py, example by example and step by step;
`build` writes it with Hesse. Shapes: () and (M,) for values, with a leading length for arrays that are mapped over.

    ("var", name) ("const", c) ("un", op, e) ("bin", op, a, b) ("sum", e) ("sum0", e) ("at", e, i) ("matrix", e)
    ("grad", x, body, at)                ("jvp", x, body, at, direction)     ("checkpoint", x, body, at)
    ("custom", rule, args)               ("vmap", xs, body, arrays, shape)   ("map", xs, body, arrays, access, result, shape)
    ("scan", c, x, carry, y, init, array, shape)                             ("while", c, body, init, steps)
    ("fori", c, body, init, steps)       ("cond", predicate, yes, no)
"""

from __future__ import annotations

import itertools

import numeric as nm
import numpy as np

M = 3
UNARY = ("sin", "cos", "tanh")
BINARY = ("add", "mul", "sub")
MATRIX = np.array([[0.3, -0.5, 0.2], [0.1, 0.4, -0.6], [-0.2, 0.3, 0.5]])

# name: (value, partial derivatives), written twice below; the partials are not those of the value, and not symmetric.
CUSTOM = {"vjp1": 1, "vjp2": 2, "jvp1": 1}


# The generator -----------------------------------------------------------------------------------------------------------
class Generator:
    def __init__(self, seed, n, m, transforms=None):
        self.rng = np.random.default_rng(seed)
        self.n, self.m = n, m
        self.names = itertools.count()
        self.transforms = transforms or (
            "grad", "jvp", "checkpoint", "custom", "vmap", "map", "scan", "while", "fori", "cond"
        )  # fmt: skip

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def name(self, prefix):
        return f"{prefix}{next(self.names)}"

    def program(self, env, depth):
        """An expression of shape () or (M,) with `depth` transforms inside each other; env: name -> shape."""
        return self.structured(self.pick([(), (M,)]), dict(env), depth)

    def leaf(self, shape, env):
        names = [v for v, s in env.items() if s == shape]
        recent = names[-2:]
        return ("var", self.pick(recent if self.rng.uniform() < 0.6 else names))

    def expression(self, shape, env, depth, budget=3):
        """Some arithmetic with, where depth allows, transforms inside."""
        if depth > 0 and len(shape) < 2 and shape in ((), (M,)) and self.rng.uniform() < 0.55:
            return self.structured(shape, env, depth)
        if budget <= 0 or self.rng.uniform() < 0.15:
            return self.leaf(shape, env)
        kind = self.pick(["un", "bin", "bin", "mix", "reduce"])
        if kind == "un":
            return ("un", self.pick(UNARY), self.expression(shape, env, depth, budget - 1))
        if kind == "bin":
            return (
                "bin",
                self.pick(BINARY),
                self.expression(shape, env, depth, budget - 1),
                self.expression(shape, env, 0, budget - 1),
            )
        if kind == "mix":
            c = ("const", round(float(self.rng.uniform(-1.5, 1.5)), 2))
            other = c if self.rng.uniform() < 0.5 else self.leaf((), env)
            return ("bin", self.pick(BINARY), self.expression(shape, env, depth, budget - 1), other)
        if shape == ():
            e = self.expression((M,), env, depth, budget - 1)
            return ("sum", e) if self.rng.uniform() < 0.6 else ("at", e, int(self.rng.integers(M)))
        if shape == (M,):
            return ("matrix", self.expression((M,), env, depth, budget - 1))
        return ("un", self.pick(UNARY), self.leaf(shape, env))

    def bounded(self, e):
        return ("un", self.pick(("sin", "tanh")), e)

    def structured(self, shape, env, depth):
        kind = self.pick(self.transforms)
        return getattr(self, "make_" + kind)(shape, env, depth - 1)

    def make_grad(self, shape, env, depth):
        x = self.name("x")
        body = self.expression((), {**env, x: shape}, depth)
        body = (
            "bin",
            "mul",
            body,
            ("sum", ("un", "sin", ("var", x))) if shape else ("un", "sin", ("var", x)),
        )
        return ("grad", x, body, self.expression(shape, env, 0, 1))

    def make_jvp(self, shape, env, depth):
        x, at = self.name("x"), self.pick([(), (M,)])
        body = self.expression(shape, {**env, x: at}, depth)
        return ("jvp", x, body, self.expression(at, env, 0, 1), self.expression(at, env, 0, 1))

    def make_checkpoint(self, shape, env, depth):
        x, at = self.name("x"), self.pick([(), (M,)])
        return (
            "checkpoint",
            x,
            self.expression(shape, {**env, x: at}, depth),
            self.expression(at, env, 0, 1),
        )

    def make_custom(self, shape, env, depth):
        rule = self.pick(sorted(CUSTOM))
        return (
            "custom",
            rule,
            tuple(self.expression(shape, env, depth if k == 0 else 0, 2) for k in range(CUSTOM[rule])),
        )

    def mapped(self, env):
        """Variables of one example and the arrays they come from, all of one length."""
        outer = not any(v.startswith("e") for v in env)
        n = self.n if outer else self.m
        count = int(self.rng.integers(1, 3))
        kinds = [self.pick([(), (M,)]) for _ in range(count)]
        xs = [self.name("e") for _ in kinds]
        return n, xs, kinds

    def scaled(self, n, e):
        return ("bin", "mul", ("sum0", e), ("const", round(1.0 / (n + 1), 4)))

    def make_vmap(self, shape, env, depth):
        n, xs, kinds = self.mapped(env)
        arrays = tuple(self.expression((n, *k), env, 0, 1) for k in kinds)
        body = self.expression(shape, {**env, **dict(zip(xs, kinds, strict=True))}, depth)
        return self.scaled(n, ("vmap", tuple(xs), body, arrays, shape))

    def make_map(self, shape, env, depth):
        n, xs, kinds = self.mapped(env)
        access = tuple(self.pick(["each", "gather", "uniform"]) for _ in kinds)
        arrays, inner = [], []
        for a, k in zip(access, kinds, strict=True):
            if a == "each":
                arrays.append(self.expression((n, *k), env, 0, 1))
            elif a == "uniform":
                arrays.append(self.expression(k, env, 0, 1))
            else:  # rows of the short array
                arrays.append(self.leaf((ROWS, *k), env))
            inner.append(k)
        body = self.expression(shape, {**env, **dict(zip(xs, inner, strict=True))}, depth)
        result = self.pick(["each", "sum", "segment_sum"])
        node = ("map", tuple(xs), body, tuple(arrays), access, result, n, shape)
        if result == "sum":
            return ("bin", "mul", node, ("const", round(1.0 / (n + 1), 4)))
        return self.scaled(n, ("un", "tanh", node))

    def make_scan(self, shape, env, depth):
        c, x = self.name("c"), self.name("x")
        kind = self.pick([(), (M,)])
        inner = {**env, c: shape, x: kind}
        carry = self.bounded(self.expression(shape, inner, depth))
        y = self.expression(shape, inner, 0, 1)
        node = (
            "scan",
            c,
            x,
            carry,
            y,
            self.expression(shape, env, 0, 1),
            self.expression((self.m, *kind), env, 0, 1),
            shape,
        )
        return node

    def make_while(self, shape, env, depth):
        c = self.name("c")
        body = self.bounded(self.expression(shape, {**env, c: shape}, depth))
        return ("while", c, body, self.expression(shape, env, 0, 1), int(self.rng.integers(0, 5)))

    def make_fori(self, shape, env, depth):
        c = self.name("c")
        body = self.bounded(self.expression(shape, {**env, c: shape}, depth))
        return ("fori", c, body, self.expression(shape, env, 0, 1), int(self.rng.integers(0, 4)))

    def make_cond(self, shape, env, depth):
        return (
            "cond",
            self.expression((), env, 0, 1),
            self.expression(shape, env, depth),
            self.expression(shape, env, depth, 1),
        )


ROWS, SEGMENTS = 5, 4  # of what is gathered from, and of segment sums


def environment(seed, n, m):
    """Variables of every shape a program may ask for: constants, and live ones that are differentiated."""
    rng = np.random.default_rng(1000 + seed)
    shapes = {(), (M,), (n,), (n, M), (m,), (m, M), (ROWS,), (ROWS, M)}
    env = {}
    for k, shape in enumerate(sorted(shapes)):
        env[f"const{k}"] = 0.8 * rng.standard_normal(shape)
        env[f"live{k}"] = 0.8 * rng.standard_normal(shape)
    env["live_s"], env["live_v"] = rng.standard_normal(), rng.standard_normal(M)
    return env


# Indices for maps: fixed by the sizes -----------------------------------------------------------------------------------------
def gather_index(n, rows):
    return np.array([(7 * i + 3) % rows for i in range(n)], dtype=np.int64)


def segment_index(n, segments):
    return np.array([(5 * i + 1) % segments for i in range(n)], dtype=np.int64)


# The first meaning: an interpreter ------------------------------------------------------------------------------------------------
RULES = {
    "vjp1": (lambda x: nm.sin(x), [lambda x: nm.mul(x, x)]),
    "vjp2": (lambda x, y: nm.mul(x, y), [lambda x, y: nm.add(x, y), lambda x, y: nm.tanh(x)]),
    "jvp1": (lambda x: nm.cos(x), [lambda x: nm.mul(3.0, x)]),
}


def evaluate(e, env) -> nm.Num:
    kind = e[0]
    if kind == "var":
        return nm.num(env[e[1]])
    if kind == "const":
        return nm.num(e[1])
    if kind == "un":
        return getattr(nm, e[1])(evaluate(e[2], env))
    if kind == "bin":
        return getattr(nm, e[1])(evaluate(e[2], env), evaluate(e[3], env))
    if kind == "sum":
        return nm.total(evaluate(e[1], env))
    if kind == "sum0":
        return nm.sum_axis0(evaluate(e[1], env))
    if kind == "at":
        return nm.index(evaluate(e[1], env), e[2])
    if kind == "matrix":
        return nm.matmul(MATRIX, evaluate(e[1], env))
    return globals()["evaluate_" + kind](e, env)


def derivative_at(x, body, env, at, direction):
    p = nm.fresh()
    return nm.part_of(evaluate(body, {**env, x: nm.perturbed(at, p, direction)}), p)


def evaluate_grad(e, env):
    _, x, body, point = e
    at = evaluate(point, env)
    if at.shape == ():
        return derivative_at(x, body, env, at, 1.0)
    return nm.stack([derivative_at(x, body, env, at, np.eye(M)[i]) for i in range(M)])


def evaluate_jvp(e, env):
    _, x, body, point, direction = e
    return derivative_at(x, body, env, evaluate(point, env), evaluate(direction, env))


def evaluate_checkpoint(e, env):
    return evaluate(e[2], {**env, e[1]: evaluate(e[3], env)})


def evaluate_custom(e, env):
    value, partials = RULES[e[1]]
    return nm.custom([evaluate(a, env) for a in e[2]], value, partials)


def evaluate_vmap(e, env):
    _, xs, body, arrays, shape = e
    values = [evaluate(a, env) for a in arrays]
    rows = [
        evaluate(body, {**env, **{x: nm.index(v, i) for x, v in zip(xs, values, strict=True)}})
        for i in range(values[0].shape[0])
    ]
    return nm.stack(rows, shape)


def evaluate_map(e, env):
    _, xs, body, arrays, access, result, n, shape = e
    values = [evaluate(a, env) for a in arrays]

    def row(v, a, i):
        if a == "uniform":
            return v
        return nm.index(v, i if a == "each" else int(gather_index(n, v.shape[0])[i]))

    rows = [
        evaluate(body, {**env, **{x: row(v, a, i) for x, v, a in zip(xs, values, access, strict=True)}})
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


def evaluate_scan(e, env):
    _, c, x, carry, y, init, array, shape = e
    state, items = evaluate(init, env), evaluate(array, env)
    out = nm.num(np.zeros(shape))
    for i in range(items.shape[0]):
        inner = {**env, c: state, x: nm.index(items, i)}
        out = nm.add(out, evaluate(y, inner))
        state = evaluate(carry, inner)
    return nm.add(state, out)


def evaluate_while(e, env):
    _, c, body, init, steps = e
    state, i = evaluate(init, env), 0
    while i < steps and float(np.sum(state.value)) < 1.0:
        state, i = evaluate(body, {**env, c: state}), i + 1
    return nm.mul(state, float(i + 1))


def evaluate_fori(e, env):
    _, c, body, init, steps = e
    state = evaluate(init, env)
    for _ in range(steps):
        state = evaluate(body, {**env, c: state})
    return state


def evaluate_cond(e, env):
    return evaluate(e[2] if float(evaluate(e[1], env).value) > 0.1 else e[3], env)


# The second meaning: Hesse ------------------------------------------------------------------------------------------------------
def hesse_rules(hs):
    vjp1 = hs.custom_vjp(lambda x: hs.sin(x))
    vjp1.defvjp(lambda x: (hs.sin(x), x), lambda x, ct: (ct * (x * x),))
    vjp2 = hs.custom_vjp(lambda x, y: x * y)
    vjp2.defvjp(lambda x, y: (x * y, (x, y)), lambda r, ct: (ct * (r[0] + r[1]), ct * hs.tanh(r[0])))
    jvp1 = hs.custom_jvp(lambda x: hs.cos(x))
    jvp1.defjvp(lambda primals, tangents: (hs.cos(primals[0]), 3.0 * primals[0] * tangents[0]))
    return {"vjp1": vjp1, "vjp2": vjp2, "jvp1": jvp1}


class Builder:
    """Writes programs with Hesse's functions."""

    def __init__(self, hs):
        self.hs = hs
        self.rules = hesse_rules(hs)
        self.weights = hs.asarray(MATRIX)

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

    def custom(self, env, rule, args):
        return self.rules[rule](*[self(a, env) for a in args])

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
